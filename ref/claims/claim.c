/* SPDX-License-Identifier: Apache-2.0 */
/* Claims: what a check owns, its models and passes, and its statements. */
#include <float.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ref/arith.h"
#include "ref/claim.h"
#include "ref/rng.h"

struct claim_owned {
    struct claim_owned *next;
    void (*release)(void *);
    void *what;
};

static void release_model(void *m)
{
    model_close(m);
    free(m);
}
static void release_batch(void *b)
{
    batch_free(b);
}
static void release_decode(void *d)
{
    decode_close(d);
}
static void release_tape(void *t)
{
    tape_close(t);
    free(t);
}
static void release_pass(void *p)
{
    struct claim_pass *pass = p;
    free(pass->pass.gradients);
    free(pass);
}

bool claim_own(struct claim *c, void (*release)(void *), void *what)
{
    struct claim_owned *o = malloc(sizeof *o);
    if (!o) {
        release(what);
        return claim_true(c, false, "memory");
    }
    *o = (struct claim_owned){c->owned, release, what};
    c->owned = o;
    return true;
}

static void begin(struct claim *c, const struct assay_variant *v)
{
    c->variant = v;
    c->checks = c->failures = 0;
    c->owned = NULL;
}

static void end(struct claim *c)
{
    while (c->owned) {
        struct claim_owned *o = c->owned;
        c->owned = o->next;
        o->release(o->what);
        free(o);
    }
}

bool claim_run(const struct assay_variant *v, const struct variant_claim *what, struct claim *c)
{
    begin(c, v);
    what->check(c);
    end(c);
    return c->checks > 0 && c->failures == 0;
}

bool claim_measure(const struct assay_variant *v, const struct variant_measurement *what,
                   struct measured *m, struct claim *c)
{
    begin(c, v);
    what->measure(c, m);
    end(c);
    return c->failures == 0;
}

bool claim_true(struct claim *c, bool holds, const char *statement, ...)
{
    char text[400];
    va_list arguments;
    va_start(arguments, statement);
    vsnprintf(text, sizeof text, statement, arguments);
    va_end(arguments);
    c->checks++;
    c->failures += !holds;
    if (c->report)
        c->report(c->sink, holds, text);
    return holds;
}

struct assay_model *claim_model_of(struct claim *c, const struct assay_variant *v,
                                   const char *overrides)
{
    char text[768], error[300] = "out of memory";
    struct assay_config config;
    snprintf(text, sizeof text, "%s %s", v && v->settings ? v->settings[0].overrides : "",
             overrides);
    struct assay_model *m = calloc(1, sizeof *m);
    if (m && config_make(&config, v, text, error, sizeof error) == 0) {
        struct assay_batch *b = batch_random(v, &config, 1, config.length, 1);
        int failed = b ? model_open(m, c->kernels, v, &config, b, 1, error, sizeof error) : -1;
        batch_free(b);
        if (failed == 0)
            return claim_own(c, release_model, m) ? m : NULL;
    }
    free(m);
    claim_true(c, false, "a model with '%s': %s", overrides, error);
    return NULL;
}

struct assay_model *claim_transform(struct claim *c, const struct assay_model *from,
                                    const struct assay_batch *data, tape *t)
{
    struct assay_transform x;
    struct assay_model *m = from && data && t ? malloc(sizeof *m) : NULL;
    if (!m || !model_transform(&x, from, data, t)) {
        claim_true(c, false, "a transform: %s", t && tape_error(t) ? tape_error(t) : "no model");
        free(m);
        return NULL;
    }
    *m = x.to;
    return claim_own(c, release_model, m) ? m : NULL;
}

struct assay_model *claim_model(struct claim *c, const char *overrides)
{
    return claim_model_of(c, c->variant, overrides);
}

const struct assay_batch *claim_batch(struct claim *c, const struct assay_model *m, size_t samples,
                                      size_t length, uint64_t seed)
{
    struct assay_batch *b = m ? batch_random(m->variant, &m->config, samples, length, seed) : NULL;
    return b && claim_own(c, release_batch, b) ? b : NULL;
}

tape *claim_tape(struct claim *c)
{
    tape *t = malloc(sizeof *t);
    if (!t || tape_open(t, c->kernels) != 0) {
        free(t);
        claim_true(c, false, "memory");
        return NULL;
    }
    t->recording = true;
    return claim_own(c, release_tape, t) ? t : NULL;
}

static struct claim_pass *pass_new(struct claim *c, struct assay_model *m,
                                   const struct assay_batch *b)
{
    tape *t = m && b ? claim_tape(c) : NULL;
    struct claim_pass *p = t ? calloc(1, sizeof *p) : NULL;
    if (!p)
        return NULL;
    p->pass = (struct assay_pass){.model = m, .t = t, .batch = b, .denominator = 1};
    p->pass.gradients = calloc(m->elements[ASSAY_PARAMETER] + 1, m->kernels->element);
    return claim_own(c, release_pass, p) ? p : NULL;
}

struct claim_pass *claim_forward(struct claim *c, struct assay_model *m,
                                 const struct assay_batch *b)
{
    struct claim_pass *p = pass_new(c, m, b);
    if (!p)
        return NULL;
    p->output = model_forward(&p->pass);
    if (!p->output)
        claim_true(c, false, "a forward pass: %s", tape_error(p->pass.t));
    return p->output ? p : NULL;
}

struct claim_pass *claim_output(struct claim *c, const struct assay_variant *v,
                                const char *overrides)
{
    struct assay_model *m = claim_model_of(c, v, overrides);
    return m ? claim_forward(c, m, claim_batch(c, m, 2, m->config.length, 7)) : NULL;
}

/* Reaches layers through a context that the pass keeps on its tape. */
struct claim_pass *claim_blank(struct claim *c, struct assay_model *m, const struct assay_batch *b,
                               size_t samples, size_t length)
{
    struct claim_pass *p = pass_new(c, m, b);
    struct assay_context *context = p ? tape_allocate(p->pass.t, sizeof *context) : NULL;
    if (!context)
        return NULL;
    *context = (struct assay_context){.pass = &p->pass,
                                      .batch = b,
                                      .samples = samples,
                                      .length = length,
                                      .causal = m->config.frame == FRAME_DECODER,
                                      .blocks = m->config.layers};
    p->context = context;
    return p;
}

bool claim_updating(struct claim *c, struct claim_pass *p)
{
    int room = 0;
    for (size_t i = 0; p && i < p->pass.model->entries; i++)
        room += p->pass.model->entry[i].kind == ASSAY_BUFFER;
    struct assay_emission *emission =
        p ? tape_allocate(p->pass.t, (size_t)(room + 1) * sizeof *emission) : NULL;
    if (!emission)
        return claim_true(c, false, "a pass of training");
    p->pass.emission = emission;
    p->pass.emission_room = room;
    p->pass.train = p->context->train = true;
    return true;
}

void claim_settle(struct claim_pass *p)
{
    struct assay_model *m = p->pass.model;
    enum assay_profile profile = m->kernels->profile;
    tape *t = p->pass.t;
    for (int i = 0; i < p->pass.emissions; i++) {
        const struct assay_emission *e = &p->pass.emission[i];
        const struct assay_entry *to = &m->entry[e->entry];
        double keep = assay_scalar(profile, e->keep);
        tensor old = scale(t, model_tensor(m, t, to->name), keep),
               new = scale(t, reshape(t, e->value, to->shape), assay_scalar_sub(profile, 1, keep));
        model_store(m, to->name, keep != 0 ? add(t, old, new) : e->value);
    }
}

layer claim_layer(struct claim *c, struct claim_pass *p, const char *path)
{
    (void)c;
    layer l = {.model = p->pass.model, .t = p->pass.t, .context = p->context};
    snprintf(l.path, sizeof l.path, "%s", path);
    return l;
}

void claim_backward(struct claim *c, struct claim_pass *p, int count, const tensor *y,
                    const tensor *cotangent)
{
    tape_backward_from(p->pass.t, count, y, cotangent);
    if (tape_error(p->pass.t))
        claim_true(c, false, "a backward pass: %s", tape_error(p->pass.t));
}

/* The gradient's numbers are put on the pass's tape, so that they can be
 * compared like any tensor. */
tensor claim_gradient(struct claim *c, struct claim_pass *p, const char *entry)
{
    const struct assay_model *m = p->pass.model;
    const struct assay_entry *e = model_find(m, entry);
    if (!e || e->kind != ASSAY_PARAMETER) {
        claim_true(c, false, "there is a parameter '%s'", entry);
        return TENSOR_NONE;
    }
    return tape_parameter(p->pass.t, e->shape,
                          (char *)p->pass.gradients + e->offset * m->kernels->element, NULL);
}

tensor claim_trace(struct claim *c, struct claim_pass *p, const char *name)
{
    for (size_t i = 0; i < p->pass.t->marks; i++)
        if (p->pass.t->marked[i].kind == ASSAY_TRACE
            && strcmp(p->pass.t->marked[i].name, name) == 0)
            return p->pass.t->marked[i].value;
    claim_true(c, false, "there is a trace '%s'", name);
    return TENSOR_NONE;
}

tensor claim_values(struct claim *c, tape *t, struct assay_shape shape, const double *values)
{
    (void)c;
    return tape_variable_f64(t, shape, values);
}

tensor claim_random(struct claim *c, tape *t, struct assay_shape shape, uint64_t seed)
{
    size_t elements = shape_elements(shape);
    double *value = malloc((elements + 1) * sizeof *value);
    struct assay_rng rng;
    if (!value)
        return TENSOR_NONE;
    assay_rng_named(&rng, seed, "claim");
    for (size_t i = 0; i < elements; i++)
        value[i] = (double)assay_rng_normal(&rng);
    tensor x = claim_values(c, t, shape, value);
    free(value);
    return x;
}

bool claim_alone(struct claim *c, struct claim_alone *a, const char *overrides, size_t n)
{
    struct assay_model *m = claim_model(c, overrides);
    size_t length = m ? m->config.length : 0;
    a->n = n ? n : length;
    a->pass = m ? claim_blank(c, m, claim_batch(c, m, 1, length, 1), 1, a->n) : NULL;
    if (!a->pass)
        return false;
    struct assay_shape heads = SHAPE(1, a->n, m->config.heads, m->config.head_width);
    struct assay_shape keys = SHAPE(1, a->n, m->config.key_heads, m->config.head_width);
    a->t = a->pass->pass.t;
    a->l = claim_layer(c, a->pass, "block.0.mixer");
    a->x = claim_random(c, a->t, SHAPE(1, a->n, m->config.stream), 1);
    a->h.query = claim_random(c, a->t, heads, 1);
    a->h.key = claim_random(c, a->t, keys, 2);
    a->h.value = claim_random(c, a->t, keys, 3);
    return true;
}

struct assay_decode *claim_decode(struct claim *c, const struct assay_model *m, size_t capacity)
{
    struct assay_decode *d = m ? decode_open(m->kernels, capacity) : NULL;
    return d && claim_own(c, release_decode, d) ? d : NULL;
}

tensor claim_step(struct claim *c, struct assay_model *m, struct assay_decode *d, size_t samples,
                  const int32_t *ids, struct assay_counts *counts)
{
    struct assay_input input = {"ids", ASSAY_I32, SHAPE(samples, 1), ids};
    struct assay_pass pass = {.model = m, .t = claim_tape(c), .denominator = 1, .decode = d};
    pass.batch = claim_batch_of(c, 1, &input);
    tensor y = pass.t && pass.batch && d ? model_forward(&pass) : TENSOR_NONE;
    if (!y)
        claim_true(c, false, "a step: %s", pass.t ? tape_error(pass.t) : "memory");
    if (counts && pass.t)
        *counts = pass.t->counts;
    return y;
}

void claim_copy_weights(struct claim *c, const struct assay_model *from, struct assay_model *to)
{
    size_t copied = 0;
    for (size_t i = 0; from && to && i < from->entries; i++) {
        const struct assay_entry *e = &from->entry[i], *f = model_find(to, e->name);
        if (!f || !shape_equal(e->shape, f->shape))
            continue;
        memcpy(entry_data(to, f), entry_data(from, e), e->elements * to->kernels->element);
        copied++;
    }
    if (!copied)
        claim_true(c, false, "weights to copy");
}

/* ---- statements ---- */

static double *read_values(struct claim *c, tensor x)
{
    double *value = malloc((elements_of(x) + 1) * sizeof *value);
    if (value)
        c->kernels->to_f64(elements_of(x), x->data, value);
    return value;
}

double claim_roundoff(const struct claim *c)
{
    return c->kernels->profile == ASSAY_F32 ? (double)FLT_EPSILON / 2 : DBL_EPSILON / 2;
}

double claim_distance(struct claim *c, tensor a, tensor b, double *scale)
{
    *scale = 0;
    if (!a || !b || elements_of(a) != elements_of(b))
        return (double)INFINITY;
    double *x = read_values(c, a), *y = read_values(c, b), distance = x && y ? 0 : (double)INFINITY;
    for (size_t i = 0; x && y && i < elements_of(a); i++) {
        double d = fabs(x[i] - y[i]), s = fmax(fabs(x[i]), fabs(y[i]));
        distance = d > distance || d != d ? d : distance;
        *scale = s > *scale ? s : *scale;
    }
    free(x);
    free(y);
    return distance;
}

double claim_largest(struct claim *c, tensor x)
{
    double scale;
    claim_distance(c, x, x, &scale);
    return scale;
}

bool claim_equal_bits(struct claim *c, const tape *t, tensor a, tensor b, const char *what)
{
    bool equal = a && b && elements_of(a) == elements_of(b)
                 && memcmp(a->data, b->data, elements_of(a) * t->kernels->element) == 0;
    return claim_true(c, equal, "%s: equal bits", what);
}

bool claim_close(struct claim *c, tensor a, tensor b, double units, double scale, const char *what)
{
    double own_scale, distance = claim_distance(c, a, b, &own_scale);
    double unit = claim_roundoff(c) * (scale > 0 ? scale : own_scale);
    return claim_true(c, distance <= units * unit,
                      "%s: differ by %.3g units of roundoff (bound %g)", what,
                      unit > 0 ? distance / unit : distance, units);
}

bool claim_differs(struct claim *c, tensor a, tensor b, double units, const char *what)
{
    double scale, distance = claim_distance(c, a, b, &scale);
    double unit = claim_roundoff(c) * scale;
    return claim_true(c, isfinite(distance) && distance > units * unit,
                      "%s: differ by %.3g units of roundoff (more than %g)", what,
                      unit > 0 ? distance / unit : distance, units);
}

/* Gaussian elimination with complete pivoting in binary64. */
size_t claim_rank(struct claim *c, tensor matrix, double units)
{
    size_t m = dim_of(matrix, 0), n = dim_of(matrix, 1), rank = 0;
    double *a = read_values(c, matrix), largest = 0;
    for (; a && rank < m && rank < n; rank++) {
        size_t row = rank, column = rank;
        for (size_t i = rank; i < m; i++)
            for (size_t j = rank; j < n; j++)
                if (fabs(a[i * n + j]) > fabs(a[row * n + column])) {
                    row = i;
                    column = j;
                }
        double pivot = a[row * n + column];
        largest = rank ? largest : fabs(pivot);
        if (fabs(pivot) <= units * claim_roundoff(c) * largest)
            break;
        for (size_t j = 0; j < n; j++) {
            double swap = a[row * n + j];
            a[row * n + j] = a[rank * n + j];
            a[rank * n + j] = swap;
        }
        for (size_t i = 0; i < m; i++) {
            double swap = a[i * n + column];
            a[i * n + column] = a[i * n + rank];
            a[i * n + rank] = swap;
        }
        for (size_t i = rank + 1; i < m; i++) {
            double factor = a[i * n + rank] / pivot;
            for (size_t j = rank; j < n; j++)
                a[i * n + j] -= factor * a[rank * n + j];
        }
    }
    free(a);
    return rank;
}

double claim_value(struct claim *c, tensor x, size_t index)
{
    double *value = x ? read_values(c, x) : NULL;
    double one = value && index < elements_of(x) ? value[index] : (double)NAN;
    free(value);
    return one;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Papers' optimizers: states by name, what rules use, and the steps that golden files hold. */
#include "ref/update.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ref/rng.h"
#include "ref/variant.h"

/* ---- states ---- */

static void state_free(struct assay_state *s)
{
    if (!s)
        return;
    free(s->data);
    free(s->next);
    free(s);
}

void states_free(struct assay_states *s)
{
    for (size_t i = 0; i < s->count; i++)
        state_free(s->state[i]);
    free(s->state);
    *s = (struct assay_states){0};
}

void states_commit(struct assay_states *s)
{
    for (size_t i = 0; i < s->count; i++) {
        struct assay_state *one = s->state[i];
        void *last = one->data;
        if (one->kept) {
            one->data = one->next;
            one->next = last;
        }
        one->kept = false;
    }
}

void states_forget(struct assay_states *s)
{
    for (size_t i = 0; i < s->count; i++)
        s->state[i]->kept = false;
}

void states_reset(struct assay_states *s, const struct assay_kernels *kernels)
{
    states_forget(s);
    for (size_t i = 0; i < s->count; i++)
        memset(s->state[i]->data, 0, s->state[i]->elements * kernels->element);
}

static struct assay_state *state_new(const struct assay_update *u, const char *name,
                                     struct assay_shape shape)
{
    struct assay_state *s = calloc(1, sizeof *s);
    if (!s)
        return NULL;
    s->entry = u->entry;
    s->shape = shape;
    s->elements = shape_elements(shape);
    snprintf(s->name, sizeof s->name, "%s", name);
    size_t bytes = (s->elements * u->t->kernels->element + 64) & ~(size_t)63;
    s->data = aligned_alloc(64, bytes);
    s->next = aligned_alloc(64, bytes);
    if (!s->data || !s->next) {
        state_free(s);
        return NULL;
    }
    memset(s->data, 0, bytes);
    return s;
}

/* The entry's state of that name, made if it is not there; NULL and the tape's error. */
static struct assay_state *state_of(struct assay_update *u, const char *name,
                                    struct assay_shape shape)
{
    struct assay_states *all = u->states;
    char expected[96], found[96];
    for (size_t i = 0; i < all->count; i++)
        if (all->state[i]->entry == u->entry && strcmp(all->state[i]->name, name) == 0) {
            if (shape_equal(all->state[i]->shape, shape))
                return all->state[i];
            tape_fail(u->t, "update_state", "'%s' of %s is %s, found %s", name, u->entry->name,
                      shape_text(all->state[i]->shape, expected), shape_text(shape, found));
            return NULL;
        }
    if (strlen(name) >= STATE_NAME_MAX) {
        tape_fail(u->t, "update_state", "expected a name of at most %d characters; found '%s'",
                  STATE_NAME_MAX - 1, name);
        return NULL;
    }
    if (all->count == all->room) {
        size_t room = all->room ? 2 * all->room : 64;
        struct assay_state **more = realloc(all->state, room * sizeof *more);
        if (more) {
            all->state = more;
            all->room = room;
        }
    }
    struct assay_state *made = all->count < all->room ? state_new(u, name, shape) : NULL;
    if (made)
        all->state[all->count++] = made;
    else
        tape_fail(u->t, "update_state", "out of memory for '%s' of %s", name, u->entry->name);
    return made;
}

tensor update_state(struct assay_update *u, const char *name, struct assay_shape shape)
{
    struct assay_state *s = state_of(u, name, shape);
    return s ? tape_parameter(u->t, shape, s->data, NULL) : TENSOR_NONE;
}

void update_keep(struct assay_update *u, const char *name, tensor x)
{
    struct assay_state *s = x ? state_of(u, name, x->shape) : NULL;
    if (!s)
        return;
    if (!u->t->dry)
        memcpy(s->next, x->data, s->elements * u->t->kernels->element);
    s->kept = true;
}

/* ---- what rules use ---- */

double update_hyper(const struct assay_update *u, const char *name)
{
    int index = 0;
    if (!u->model->variant || !variant_by_hyper(u->model->variant, name, &index)) {
        tape_fail(u->t, "update_hyper", "the optimizer has no hyper-parameter '%s'", name);
        return 0;
    }
    return u->model->config.hyper[index];
}

double update_power(const struct assay_update *u, double base)
{
    double result = 1;
    for (size_t n = u->step; n; n >>= 1) {
        if (n & 1)
            result = assay_scalar_mul(ASSAY_F64, result, base);
        base = assay_scalar_mul(ASSAY_F64, base, base);
    }
    return result;
}

tensor update_average(struct assay_update *u, double keep, tensor x, tensor y)
{
    tensor kept = scale(u->t, x, keep);
    return add(u->t, kept, scale(u->t, y, assay_scalar_sub(ASSAY_F64, 1, keep)));
}

tensor update_of(struct assay_update *u, tensor p, tensor g)
{
    const struct assay_variant *v = u->model->variant;
    if (!v || !v->update) {
        tape_fail(u->t, "update", "the paper has no optimizer");
        return TENSOR_NONE;
    }
    snprintf(u->t->where, sizeof u->t->where, "%s: %s", v->id, u->entry->name);
    tensor updated = v->update(u, p, g);
    if (updated && !shape_equal(updated->shape, u->entry->shape)) {
        tape_fail(u->t, "update", "expected the parameter's shape");
        return TENSOR_NONE;
    }
    return tape_error(u->t) ? TENSOR_NONE : updated;
}

/* ---- golden files ---- */

static const char prefix[] = "gradient/";

static bool add_gradient(struct assay_batch *b, const struct assay_entry *e, uint64_t seed)
{
    struct assay_shape shape = e->shape;
    struct assay_rng rng;
    char name[ASSAY_NAME_MAX + sizeof prefix];
    for (int i = shape.rank++; i > 0; i--)
        shape.dim[i] = shape.dim[i - 1];
    shape.dim[0] = UPDATE_STEPS;
    snprintf(name, sizeof name, "%s%s", prefix, e->name);
    size_t elements = shape_elements(shape);
    void *data = batch_add(b, name, ASSAY_REAL, shape);
    double *value = malloc((elements + 1) * sizeof *value);
    assay_rng_named(&rng, seed, name);
    for (size_t i = 0; value && i < elements; i++) {
        double size = 0.25 + 0.75 * (double)assay_rng_uniform(&rng);
        value[i] = assay_rng_below(&rng, 2) ? size : -size;
    }
    if (data && value)
        assay_kernels_def(ASSAY_F32)->from_f64(elements, value, data);
    free(value);
    return data && value;
}

struct assay_batch *update_batch(const struct assay_model *m, uint64_t seed)
{
    struct assay_batch *b = calloc(1, sizeof *b);
    bool made = b != NULL;
    for (size_t i = 0; made && i < m->entries; i++)
        if (m->entry[i].kind == ASSAY_PARAMETER)
            made = add_gradient(b, &m->entry[i], seed);
    if (made)
        return b;
    batch_free(b);
    return NULL;
}

/* Row `step` of the entry's gradients. */
static tensor gradient_at(struct assay_pass *p, const struct assay_entry *e, size_t step)
{
    layer l = {.model = p->model,
               .t = p->t,
               .context = &(struct assay_context){.pass = p, .batch = p->batch}};
    tensor all = input(&l, tape_string(p->t, "%s%s", prefix, e->name));
    return reshape(p->t, slice(p->t, all, 0, step - 1, 1), e->shape);
}

static double norm_at(struct assay_pass *p, size_t step)
{
    const struct assay_kernels *k = p->t->kernels;
    double sum = 0;
    for (size_t i = 0; i < p->model->entries; i++) {
        const struct assay_entry *e = &p->model->entry[i];
        tensor g = e->kind == ASSAY_PARAMETER ? gradient_at(p, e, step) : TENSOR_NONE;
        if (g)
            sum = assay_scalar_add(k->profile, sum, k->sum_squares(e->elements, g->data));
    }
    return assay_scalar_sqrt(k->profile, sum);
}

static tensor copy_of(tape *t, struct assay_shape shape, const void *data)
{
    tensor x = tape_new(t, ASSAY_REAL, shape);
    if (x)
        memcpy(x->data, data, shape_elements(shape) * t->kernels->element);
    return x;
}

static void trace_states(tape *t, const struct assay_states *s)
{
    for (size_t i = 0; i < s->count && !tape_error(t); i++) {
        const struct assay_state *one = s->state[i];
        tensor x = copy_of(t, one->shape, one->data);
        tape_mark(t, ASSAY_TRACE, tape_string(t, "state.%s.%s", one->name, one->entry->name), x,
                  (double)INFINITY);
    }
}

tensor update_steps(struct assay_pass *p)
{
    const struct assay_model *m = p->model;
    tape *t = p->t;
    struct assay_states states = {0};
    tensor *value = tape_allocate(t, m->entries * sizeof *value);
    int parameters = 0;
    for (size_t i = 0; value && i < m->entries; i++)
        if (m->entry[i].kind == ASSAY_PARAMETER)
            value[parameters++] = copy_of(t, m->entry[i].shape, entry_data(m, &m->entry[i]));
    for (size_t step = 1; value && step <= UPDATE_STEPS; step++) {
        double norm = norm_at(p, step);
        for (size_t i = 0, at = 0; i < m->entries; i++) {
            const struct assay_entry *e = &m->entry[i];
            if (e->kind != ASSAY_PARAMETER)
                continue;
            struct assay_update u = {.t = t, .model = m, .entry = e, .states = &states};
            u.step = step;
            u.first = step == 1;
            u.rate = u.decay = 1;
            u.norm = norm;
            value[at] = update_of(&u, value[at], gradient_at(p, e, step));
            if (value[at])
                tape_mark(t, ASSAY_TRACE, tape_string(t, "step.%zu.%s", step, e->name), value[at],
                          (double)INFINITY);
            at++;
        }
        states_commit(&states);
    }
    trace_states(t, &states);
    states_free(&states);
    for (int i = 0; value && i < parameters; i++)
        value[i] = value[i] ? reshape(t, value[i], SHAPE(elements_of(value[i]))) : TENSOR_NONE;
    return value ? concat(t, 0, parameters, value) : TENSOR_NONE;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Every paper in every setting: its forms against each other, those of another execution against the
 * reference, and its declared properties, each NO with its control. */
#include <float.h>
#include <math.h>

#include "harness/tests/variant_kit.h"

enum { SAMPLES = 3, LENGTH = 12 };

static double roundoff(enum assay_profile profile)
{
    return profile == ASSAY_F32 ? (double)FLT_EPSILON / 2 : DBL_EPSILON / 2;
}

/* ---- forms ---- */

static bool is_causal(const struct assay_config *c)
{
    return c->frame != FRAME_ENCODER;
}

/* Largest difference in units of roundoff of the scale. */
static double units_between(struct kit *a, tensor x, struct kit *b, tensor y,
                            enum assay_profile profile)
{
    double *p = kit_values(a, x), *q = kit_values(b, y), distance = p && q ? 0 : (double)INFINITY,
           scale = 0;
    for (size_t i = 0; p && q && i < elements_of(x); i++) {
        double d = fabs(p[i] - q[i]);
        distance = d > distance || d != d ? d : distance;
        scale = fmax(scale, fmax(fabs(p[i]), fabs(q[i])));
    }
    free(p);
    free(q);
    return scale > 0 ? distance / (scale * roundoff(profile)) : distance;
}

/* One token at a time through the decode state: what its rows differ from those of the parallel pass,
 * in units of roundoff of the output's scale; negative where all have its bits, infinite if it fails. */
static double decoded_units(struct kit *parallel, struct kit *k, enum assay_profile profile)
{
    size_t n = dim_of(parallel->output, 1), row = elements_of(parallel->output) / (SAMPLES * n),
           element = k->model.kernels->element;
    struct assay_decode *d = decode_open(k->model.kernels, k->model.config.length);
    double *whole = kit_values(parallel, parallel->output), scale = 0, distance = 0;
    bool ran = d && whole, bits = true;
    for (size_t i = 0; whole && i < elements_of(parallel->output); i++)
        scale = fmax(scale, fabs(whole[i]));
    for (size_t i = 0; ran && i < n; i++) {
        struct assay_batch step = *parallel->batch;
        int32_t token[SAMPLES];
        const char *stepped = k->model.config.frame == FRAME_ENCODER_DECODER ? "target_ids" : "ids";
        for (int j = 0; j < step.inputs; j++)
            if (strcmp(step.input[j].name, stepped) == 0) {
                for (size_t b = 0; b < SAMPLES; b++)
                    token[b] = ((const int32_t *)step.input[j].data)[b * n + i];
                step.input[j].shape.dim[1] = 1;
                step.input[j].data = token;
            }
        tape_reset(&k->t);
        struct assay_pass pass = {
            .model = &k->model, .t = &k->t, .batch = &step, .denominator = 1, .decode = d};
        tensor y = model_forward(&pass);
        double *got = kit_values(k, y);
        ran = got != NULL;
        if (!y)
            diag("token %zu: %s", i, tape_error(&k->t));
        for (size_t b = 0; ran && b < SAMPLES; b++) {
            bits &=
                memcmp((char *)y->data + b * row * element,
                       (char *)parallel->output->data + (b * n + i) * row * element, row * element)
                == 0;
            for (size_t e = 0; e < row; e++)
                distance = fmax(distance, fabs(got[b * row + e] - whole[(b * n + i) * row + e]));
        }
        free(got);
    }
    decode_close(d);
    free(whole);
    return !ran ? (double)INFINITY : bits ? -1 : distance / (scale * roundoff(profile));
}

static void check_form(const struct subject *s, const struct variant_form *f,
                       enum assay_profile profile)
{
    const struct assay_kernels *kernels = assay_kernels_cpu(profile, NULL);
    const char *profile_name = profile == ASSAY_F32 ? "f32" : "f64";
    struct kit a = {0}, b = {0};
    char first[256], other[256];
    /* A decoder steps over tokens, not over padding. */
    const char *padding = f->decode ? "pad_is_zero=0" : "";
    snprintf(first, sizeof first, "%s %s %s", s->variant->forms[0].overrides,
             f->decode ? f->overrides : "", padding);
    snprintf(other, sizeof other, "%s %s", f->overrides, padding);
    if (!kit_open(&a, kernels, s, first, SAMPLES, LENGTH)
        || !kit_open(&b, kernels, s, other, SAMPLES, LENGTH)) {
        ok(false, "%s: form %s", s->label, f->name);
        kit_close(&a);
        return;
    }
    kit_shake(&a);
    kit_shake(&b);
    bool ran = kit_run(&a);
    double bound = f->bound > 0 ? f->bound : frame_units(&a.model.config, LENGTH);
    if (f->decode && ran && is_causal(&a.model.config)) {
        double units = decoded_units(&a, &b, profile);
        if (f->equals == FORM_BITS)
            ok(units < 0, "%s: %s: step by step has the bits of the parallel form", s->label,
               profile_name);
        else
            ok(units <= bound,
               "%s: %s: step by step and in parallel differ by %.3g units of roundoff (bound %g)",
               s->label, profile_name, fmax(units, 0), bound);
    } else if (!f->decode && ran && kit_run(&b)) {
        double units = units_between(&a, a.output, &b, b.output, profile);
        tape_backward(&a.t, a.loss);
        tape_backward(&b.t, b.loss);
        bool same =
            memcmp(a.output->data, b.output->data, elements_of(a.output) * kernels->element) == 0
            && memcmp(a.gradients, b.gradients,
                      a.model.elements[ASSAY_PARAMETER] * kernels->element)
                   == 0;
        if (f->equals == FORM_BITS)
            ok(same, "%s: %s: form %s has the bits of %s, gradients included", s->label,
               profile_name, f->name, s->variant->forms[0].name);
        else
            ok(units <= bound, "%s: %s: form %s and %s differ by %.3g units of roundoff (bound %g)",
               s->label, profile_name, f->name, s->variant->forms[0].name, units, bound);
    } else if (!ran) {
        ok(false, "%s: form %s runs", s->label, f->name);
    }
    kit_close(&a);
    kit_close(&b);
}

/* A paper of another order of execution has the reference's weights, and its function. */
static void check_execution(const struct subject *s, enum assay_profile profile)
{
    const struct assay_kernels *kernels = assay_kernels_cpu(profile, NULL);
    struct kit own, plain = {0};
    bool opened = kit_open(&own, kernels, s, "", SAMPLES, LENGTH)
                  && kit_open_config(&plain, kernels, NULL, &own.model.config, SAMPLES, LENGTH);
    if (opened) {
        kit_shake(&own);
        kit_shake(&plain);
        opened = kit_run(&own) && kit_run(&plain);
    }
    if (opened) {
        double units = units_between(&own, own.output, &plain, plain.output, profile),
               bound = frame_units(&own.model.config, LENGTH);
        ok(units <= bound,
           "%s: %s: it and the reference differ by %.3g units of roundoff (bound %g)", s->label,
           profile == ASSAY_F32 ? "f32" : "f64", units, bound);
    } else {
        ok(false, "%s: it and the reference run", s->label);
    }
    kit_close(&own);
    kit_close(&plain);
}

/* ---- properties ---- */

/* The stream after the last block, before and after `change` was made to the batch. */
struct change {
    double *before, *after;
    size_t samples, n, width;
    double scale;
};

static bool observe(struct kit *k, void (*change)(struct kit *k), struct change *c)
{
    *c = (struct change){0};
    if (!kit_run(k))
        return false;
    tensor x = kit_stream(k);
    c->before = kit_values(k, x);
    c->samples = dim_of(x, 0);
    c->n = dim_of(x, 1);
    c->width = width_of(x);
    change(k);
    if (!kit_run(k))
        return false;
    c->after = kit_values(k, kit_stream(k));
    for (size_t i = 0; c->before && i < c->samples * c->n * c->width; i++)
        c->scale = fmax(c->scale, fabs(c->before[i]));
    return c->before && c->after;
}

/* What the last stack reads: ids, or features of so many numbers a token. */
static uint32_t *tokens_data(struct kit *k, size_t *width)
{
    const struct assay_config *c = &k->model.config;
    const char *name = c->inputs == INPUTS_VALUES          ? "values"
                       : c->head == HEAD_TWO_TOWER         ? "ids2"
                       : c->frame == FRAME_ENCODER_DECODER ? "target_ids"
                                                           : "ids";
    *width = c->inputs == INPUTS_VALUES ? c->values : 1;
    for (int i = 0; i < k->batch->inputs; i++)
        if (strcmp(k->batch->input[i].name, name) == 0)
            return (uint32_t *)(uintptr_t)k->batch->input[i].data;
    return NULL;
}

enum { CHANGED = 7 };

/* Token `at` of all becomes another: id 1 or 2, or every feature 1 or 2. */
static void change_at(struct kit *k, size_t at)
{
    size_t width;
    uint32_t *token = tokens_data(k, &width);
    bool values = k->model.config.inputs == INPUTS_VALUES;
    for (size_t i = at * width; i < (at + 1) * width; i++) {
        const uint32_t one = values ? 0x3f800000 : 1, two = values ? 0x40000000 : 2;
        token[i] = token[i] == one ? two : one;
    }
}

/* The token at position CHANGED of every sample becomes another. */
static void change_token(struct kit *k)
{
    for (size_t s = 0; s < SAMPLES; s++)
        change_at(k, s * k->length + CHANGED);
}

/* Sample 1 becomes another sequence. */
static void change_sample(struct kit *k)
{
    for (size_t i = 0; i < k->length; i++)
        change_at(k, k->length + i);
}

/* Position i gets the token of position (5 i + 3) mod 12. */
static size_t moved(size_t i)
{
    return (5 * i + 3) % LENGTH;
}

/* Inputs called "edge...", if i32, hold tokens' positions, which follow: that of `from` is 5 (from - 3),
 * as 5 * 5 = 1 mod 12. */
static void permute_edges(struct kit *k)
{
    for (int i = 0; i < k->batch->inputs; i++) {
        const struct assay_input *in = &k->batch->input[i];
        int32_t *end = (int32_t *)(uintptr_t)in->data;
        bool ends = in->type == ASSAY_I32 && strncmp(in->name, "edge", 4) == 0;
        for (size_t j = 0; ends && j < shape_elements(in->shape); j++)
            end[j] = 5 * (end[j] + LENGTH - 3) % LENGTH;
    }
}

static void permute_tokens(struct kit *k)
{
    size_t width;
    uint32_t *all = tokens_data(k, &width), *old = malloc(LENGTH * width * sizeof *old);
    for (size_t s = 0; old && s < SAMPLES; s++) {
        uint32_t *token = all + s * LENGTH * width;
        memcpy(old, token, LENGTH * width * sizeof *old);
        for (size_t i = 0; i < LENGTH; i++)
            memcpy(token + i * width, old + moved(i) * width, width * sizeof *old);
    }
    free(old);
    permute_edges(k);
}

static double distance_causal(const struct change *c)
{
    double d = 0;
    size_t cls = c->n - LENGTH; /* a token in front */
    for (size_t s = 0; s < c->samples; s++)
        for (size_t i = 0; i < (CHANGED + cls) * c->width; i++)
            d = fmax(d,
                     fabs(c->before[s * c->n * c->width + i] - c->after[s * c->n * c->width + i]));
    return d;
}

static double distance_samples(const struct change *c)
{
    double d = 0;
    for (size_t s = 0; s < c->samples; s++)
        for (size_t i = 0; s != 1 && i < c->n * c->width; i++)
            d = fmax(d,
                     fabs(c->before[s * c->n * c->width + i] - c->after[s * c->n * c->width + i]));
    return d;
}

static double distance_permuted(const struct change *c)
{
    double d = 0;
    size_t cls = c->n - LENGTH;
    for (size_t s = 0; s < c->samples; s++)
        for (size_t i = 0; i < LENGTH; i++)
            for (size_t j = 0; j < c->width; j++)
                d = fmax(d, fabs(c->after[(s * c->n + cls + i) * c->width + j]
                                 - c->before[(s * c->n + cls + moved(i)) * c->width + j]));
    return d;
}

static const struct {
    const char *name;
    void (*change)(struct kit *k);
    double (*distance)(const struct change *c);
} tried[PROPERTY_COUNT] = {
    [PROPERTY_CAUSAL] = {"causal", change_token, distance_causal},
    [PROPERTY_SAMPLE_INDEPENDENT] = {"independent of other samples", change_sample,
                                     distance_samples},
    [PROPERTY_PERMUTATION_EQUIVARIANT] = {"permutation-equivariant", permute_tokens,
                                          distance_permuted},
};

static void check_property(const struct subject *s, const struct variant_property *p)
{
    struct kit k;
    struct change c;
    /* Padding would move with the tokens or hide them. */
    char mode[256];
    snprintf(mode, sizeof mode, "%s pad_is_zero=0", p->mode ? p->mode : "");
    if (!kit_open(&k, assay_kernels_cpu(ASSAY_F64, NULL), s, mode, SAMPLES, LENGTH)) {
        ok(false, "%s: a model for '%s'", s->label, tried[p->which].name);
        return;
    }
    kit_shake(&k);
    size_t width;
    if (!tokens_data(&k, &width)) {
        skip(1, "no tokens");
    } else if (!observe(&k, tried[p->which].change, &c)) {
        ok(false, "%s: %s: it runs", s->label, tried[p->which].name);
    } else {
        double d = tried[p->which].distance(&c), units = d / (roundoff(ASSAY_F64) * c.scale);
        double bound = p->bound > 0 ? p->bound : frame_units(&k.model.config, LENGTH);
        if (p->holds == HOLDS_BITS)
            ok(d <= 0, "%s: %s, to the bit%s%s", s->label, tried[p->which].name,
               p->mode ? " with " : "", p->mode ? p->mode : "");
        else if (p->holds == HOLDS_ROUNDING)
            ok(units <= bound, "%s: %s, to %.3g units of roundoff (bound %g)", s->label,
               tried[p->which].name, units, bound);
        else
            ok(units > 1e3, "%s: not %s: %.3g units of roundoff", s->label, tried[p->which].name,
               units);
        free(c.before);
        free(c.after);
    }
    kit_close(&k);
}

static void check(const struct subject *s)
{
    if (s->variant->kind == KIND_EXECUTION) {
        check_execution(s, ASSAY_F32);
        check_execution(s, ASSAY_F64);
    }
    for (const struct variant_form *f = s->variant->forms ? s->variant->forms + 1 : NULL;
         f && f->name; f++) {
        check_form(s, f, ASSAY_F32);
        check_form(s, f, ASSAY_F64);
    }
    for (const struct variant_property *p = s->variant->properties; p && p->holds; p++)
        if (p->which != PROPERTY_DIFFERENTIABLE && p->holds != HOLDS_NOT_APPLICABLE)
            check_property(s, p);
}

int main(int argc, char **argv)
{
    each_subject(argc, argv, check);
    return done_testing();
}

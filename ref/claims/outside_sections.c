/* SPDX-License-Identifier: Apache-2.0 */
/* Sections of outside vectors, row by row of the variant's table: a layer on bare inputs, or the
 * whole encoder of the Long Range Arena around a mixer. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "ref/claim.h"

enum { NAME = 160, INPUTS = 6 };

/* "SECTION/kind/name"; false (reported) if it is too long. */
static bool named(struct claim *c, const char *section, const char *kind, const char *name,
                  char full[NAME])
{
    bool fits = snprintf(full, NAME, "%s/%s%s", section, kind, name) < NAME;
    return fits || claim_true(c, false, "a name of at most %d characters: '%s'", NAME - 1, name);
}

static bool has(struct claim *c, const char *section, const char *kind, const char *name)
{
    struct assay_shape shape;
    char full[NAME];
    return named(c, section, kind, name, full) && c->outside
           && c->outside(c->archive, full, &shape);
}

/* Integers "SECTION/name" [b, n] as a tensor, or NONE where the section has none. */
static tensor flags(struct claim *c, tape *t, const char *section, const char *name)
{
    struct assay_shape shape;
    char full[NAME];
    if (!has(c, section, "", name) || !named(c, section, "", name, full))
        return TENSOR_NONE;
    const int32_t *ids = outside_ids(c, full, &shape);
    return ids ? tape_input_i32(t, shape, ids) : TENSOR_NONE;
}

/* Which tokens are no padding: "input/valid", "input/mask", "input/input_mask", or from
 * "input/lengths"; NONE: all. */
static tensor valid_tokens(struct claim *c, tape *t, const char *section, size_t samples,
                           size_t length)
{
    struct assay_shape shape;
    char full[NAME];
    static const char *const names[] = {"input/valid", "input/mask", "input/input_mask"};
    tensor valid = TENSOR_NONE;
    for (int i = 0; i < 3 && !valid; i++)
        valid = flags(c, t, section, names[i]);
    if (valid || !has(c, section, "", "input/lengths"))
        return valid;
    named(c, section, "", "input/lengths", full);
    const int32_t *lengths = outside_ids(c, full, &shape);
    int32_t *ids = lengths ? tape_allocate(t, samples * length * sizeof *ids) : NULL;
    for (size_t i = 0; ids && i < samples * length; i++)
        ids[i] = (int32_t)(i % length) < lengths[i / length];
    return ids ? tape_input_i32(t, SHAPE(samples, length), ids) : TENSOR_NONE;
}

/* Their weights under our path; a name that begins with '/' is the section's own. */
static void load(struct claim *c, struct assay_model *m, const char *ours, const char *weights,
                 const struct outside_section *s)
{
    for (const struct outside_name *n = s->names; m && n && n->ours; n++) {
        char entry[NAME], name[NAME];
        bool own = n->theirs[0] == '/';
        snprintf(entry, sizeof entry, "%s%s", ours, n->ours);
        if (named(c, own ? s->section : weights, own ? "" : "param/", n->theirs + own, name))
            outside_load(c, m, entry, name, n->view);
    }
}

/* Where a sum's terms cancel, as in the gradient of a key's bias, both codes hold the rounding of
 * the terms, not a number: at most some thousand roundings of the section's largest gradient. */
static const double negligible = 0x1p-40;

double outside_largest(struct claim *c, const char *name)
{
    struct assay_shape shape;
    const double *x = c->outside ? c->outside(c->archive, name, &shape) : NULL;
    double most = 0;
    for (size_t i = 0; x && i < shape_elements(shape); i++)
        most = fmax(most, fabs(x[i]));
    return most;
}

void outside_meets_gradient(struct claim *c, tensor ours, const char *name, double most,
                            struct outside_view view)
{
    double scale;
    if (outside_largest(c, name) > negligible * most) {
        outside_meets(c, ours, name, NULL, view);
        return;
    }
    double found = claim_distance(c, ours, ours, &scale);
    claim_true(c, found <= 0 && scale <= negligible * most, "meets %s: nothing but rounding, %.2g",
               name, scale);
}

/* Gradients of what the section has gradients of. */
static void meet_gradients(struct claim *c, struct claim_pass *p, const char *ours,
                           const struct outside_section *s)
{
    size_t met = 0;
    double most = 0;
    for (const struct outside_name *n = s->names; n && n->ours; n++) {
        char name[NAME];
        if (named(c, s->section, "grad/", n->theirs, name))
            most = fmax(most, outside_largest(c, name));
    }
    for (const struct outside_name *n = s->names; n && n->ours; n++) {
        char entry[NAME], name[NAME];
        snprintf(entry, sizeof entry, "%s%s", ours, n->ours);
        if (n->theirs[0] == '/' || !has(c, s->section, "grad/", n->theirs))
            continue;
        named(c, s->section, "grad/", n->theirs, name);
        outside_meets_gradient(c, claim_gradient(c, p, entry), name, most, n->view);
        met++;
    }
    if (s->names && s->names->theirs[0] != '/')
        claim_true(c, met > 0, "%s has gradients of the weights", s->section);
}

/* The gradient that x collected, as a tensor. */
static tensor gradient_of(tape *t, tensor x)
{
    return x && x->gradient ? tape_parameter(t, x->shape, x->gradient, NULL) : TENSOR_NONE;
}

static void meet_output(struct claim *c, const char *section, tensor y)
{
    char name[NAME], name32[NAME];
    if (named(c, section, "output/", "y", name) && named(c, section, "output32/", "y", name32))
        outside_meets(c, y, name, has(c, section, "output32/", "y") ? name32 : NULL, AS_IT_IS);
}

static tensor cotangent_of(struct claim *c, tape *t, const char *section, tensor y)
{
    char name[NAME];
    named(c, section, "cotangent/", "y", name);
    return y ? outside_tensor(c, t, name, AS_IT_IS, y->shape) : TENSOR_NONE;
}

/* Rows whose every key is masked are zeroed where the section says so ("buffer/row"): their
 * softmax hangs on the rounding of a large constant there. y: [b, n, d] */
static tensor without_rows(struct claim *c, tape *t, const char *section, tensor y)
{
    tensor row = flags(c, t, section, "buffer/row");
    if (!row || !y)
        return y;
    tensor column = reshape(t, row, SHAPE(dim_of(row, 0), dim_of(row, 1), 1));
    tensor keep = expand(t, column, y->shape);
    tensor nothing = scale(t, y, 0);
    return choose(t, keep, y, nothing);
}

tensor outside_block(layer *l, const tensor *input)
{
    return l->model->slot.block(l, input[0]);
}

/* Where an input's numbers are: the section's "input/NAME", or that of its weights; a name that
 * begins with '/' is the section's own: "/buffer/noise". */
static void input_named(struct claim *c, const struct outside_section *s, const char *input,
                        char name[NAME])
{
    const char *weights = s->weights ? s->weights : s->section;
    if (input[0] == '/')
        named(c, s->section, "", input + 1, name);
    else
        named(c, has(c, s->section, "input/", input) ? s->section : weights, "input/", input, name);
}

static void meet_layer(struct claim *c, const struct outside_section *s)
{
    static const char *const only_x[] = {"x", NULL};
    const char *weights = s->weights ? s->weights : s->section;
    const char *const *inputs = s->inputs ? s->inputs : only_x;
    struct assay_model *m = claim_model(c, s->overrides);
    struct assay_shape shape[INPUTS];
    char name[NAME], ours[NAME];
    int count = 0;
    for (; m && inputs[count] && count < INPUTS; count++) {
        input_named(c, s, inputs[count], name);
        if (!c->outside || !c->outside(c->archive, name, &shape[count])) {
            claim_true(c, false, "the outside vectors have '%s'", name);
            return;
        }
    }
    size_t samples = count ? shape[0].dim[0] : 0, n = m ? m->config.length : 0;
    const char *path = s->path ? s->path : "block.0.mixer";
    snprintf(ours, sizeof ours, "%s%s", path, *path ? "." : "");
    load(c, m, ours, weights, s);
    struct claim_pass *p =
        m ? claim_blank(c, m, claim_batch(c, m, samples, n, 1), samples, n) : NULL;
    if (!p)
        return;
    tape *t = p->pass.t;
    tensor input[INPUTS + 1] = {0};
    for (int i = 0; i < count; i++) {
        input_named(c, s, inputs[i], name);
        input[i] = outside_tensor(c, t, name, AS_IT_IS, shape[i]);
    }
    p->context->causal = s->causal;
    p->context->valid = valid_tokens(c, t, s->section, samples, n);
    layer l = claim_layer(c, p, path);
    tensor y = s->apply ? s->apply(&l, input) : c->variant->slot.mixer(&l, input[0], TENSOR_NONE);
    if (!y)
        claim_true(c, false, "%s: %s", s->section, tape_error(t));
    y = without_rows(c, t, s->section, y);
    meet_output(c, s->section, y);
    tensor cotangent = c->profile == ASSAY_F64 ? cotangent_of(c, t, s->section, y) : TENSOR_NONE;
    if (!cotangent)
        return;
    claim_backward(c, p, 1, &y, &cotangent);
    meet_gradients(c, p, ours, s);
    for (int i = 0; i < count; i++) {
        const char *own = inputs[i][0] == '/' ? strchr(inputs[i] + 1, '/') : NULL;
        const char *input_name = own ? own + 1 : inputs[i];
        if (has(c, s->section, "grad/", input_name)) {
            named(c, s->section, "grad/", input_name, name);
            outside_meets(c, gradient_of(t, input[i]), name, NULL, AS_IT_IS);
        }
    }
}

const struct outside_name outside_lra_projections[] = {
    {"query.weight", "query/kernel", AS_IT_IS},
    {"key.weight", "key/kernel", AS_IT_IS},
    {"value.weight", "value/kernel", AS_IT_IS},
    {"output.weight", "out/kernel", AS_IT_IS},
    {0},
};

/* The benchmark's names for everything but the mixer. */
static const struct outside_name around[] = {
    {"embed.token", "Embed_0/embedding", AS_IT_IS},
    {"embed.cls", "cls", AS_IT_IS},
    {"final.gain", "encoder_norm/scale", AS_IT_IS},
    {"final.bias", "encoder_norm/bias", AS_IT_IS},
    {"head.hidden.weight", "mlp/kernel", AS_IT_IS},
    {"head.hidden.bias", "mlp/bias", AS_IT_IS},
    {"head.output.weight", "logits/kernel", AS_IT_IS},
    {"head.output.bias", "logits/bias", AS_IT_IS},
    {0},
};
static const struct outside_name in_block[] = {
    {"norm1.gain", "LayerNorm_0/scale", AS_IT_IS},
    {"norm1.bias", "LayerNorm_0/bias", AS_IT_IS},
    {"norm2.gain", "LayerNorm_2/scale", AS_IT_IS},
    {"norm2.bias", "LayerNorm_2/bias", AS_IT_IS},
    {"ffn.in.weight", "MlpBlock_3/Dense_0/kernel", AS_IT_IS},
    {"ffn.in.bias", "MlpBlock_3/Dense_0/bias", AS_IT_IS},
    {"ffn.out.weight", "MlpBlock_3/Dense_1/kernel", AS_IT_IS},
    {"ffn.out.bias", "MlpBlock_3/Dense_1/bias", AS_IT_IS},
    {0},
};

/* One list of names between two passes over it: to load, then to compare gradients. */
static void each_name(struct claim *c, struct assay_model *m, struct claim_pass *p,
                      const struct outside_section *s, size_t block, const char *ours,
                      const char *theirs, const struct outside_name *list)
{
    /* The size of the section's gradients: that of the last layer's. */
    char head[NAME];
    named(c, s->section, "grad/", "logits/bias", head);
    double most = p ? outside_largest(c, head) : 0;
    for (; list->ours; list++) {
        char entry[NAME], name[NAME], full[NAME];
        bool own = list->theirs[0] == '/', cls = strcmp(list->ours, "embed.cls") == 0,
             hidden = strncmp(list->ours, "head.hidden", 11) == 0;
        snprintf(entry, sizeof entry, ours, block);
        snprintf(name, sizeof name, theirs, block);
        strncat(entry, list->ours, sizeof entry - strlen(entry) - 1);
        strncat(name, list->theirs, sizeof name - strlen(name) - 1);
        if ((cls && m->config.pool != POOL_CLS) || (hidden && m->config.head_hidden == 0)
            || (own && p))
            continue;
        if (own)
            named(c, s->section, "", list->theirs + 1, full);
        else
            named(c, s->section, p ? "grad/" : "param/", name, full);
        if (p)
            outside_meets_gradient(c, claim_gradient(c, p, entry), full, most, list->view);
        else
            outside_load(c, m, entry, full, list->view);
    }
}

static void each_weight(struct claim *c, struct assay_model *m, struct claim_pass *p,
                        const struct outside_section *s)
{
    char mixer[NAME];
    snprintf(mixer, sizeof mixer, "encoderblock_%%zu/%s/", s->encoder);
    each_name(c, m, p, s, 0, "", "", around);
    for (size_t b = 0; b < m->config.layers; b++) {
        each_name(c, m, p, s, b, "block.%zu.", "encoderblock_%zu/", in_block);
        each_name(c, m, p, s, b, "block.%zu.mixer.", mixer, s->names);
    }
}

/* The benchmark's encoder at the sizes of the vectors: CLS, sinusoids, blocks, norm, head. */
#define ENCODER \
    "vocab=9 classes=3 width=16 heads=2 head_width=4 hidden=16 layers=1 length=14 pool=cls " \
    "position=sinusoidal activation=gelu_tanh norm_eps=1e-6 head_hidden=16 attention_bias=0 " \
    "output_bias=0 "

static void meet_encoder(struct claim *c, const struct outside_section *s)
{
    char overrides[512], name[NAME];
    struct assay_shape shape = {0};
    snprintf(overrides, sizeof overrides, ENCODER "%s", s->overrides ? s->overrides : "");
    struct assay_model *m = claim_model(c, overrides);
    named(c, s->section, "input/", "ids", name);
    const int32_t *ids = m ? outside_ids(c, name, &shape) : NULL;
    if (!ids)
        return;
    each_weight(c, m, NULL, s);
    struct assay_input input = {"ids", ASSAY_I32, shape, ids};
    struct claim_pass *p = claim_forward(c, m, claim_batch_of(c, 1, &input));
    if (!p)
        return;
    meet_output(c, s->section, p->output);
    tensor cotangent =
        c->profile == ASSAY_F64 ? cotangent_of(c, p->pass.t, s->section, p->output) : TENSOR_NONE;
    if (!cotangent)
        return;
    claim_backward(c, p, 1, &p->output, &cotangent);
    each_weight(c, m, p, s);
}

void outside_meets_sections(struct claim *c)
{
    for (const struct outside_section *s = c->variant->outside; s && s->section; s++)
        (s->encoder ? meet_encoder : meet_layer)(c, s);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Outside vectors of gla.c: what other code computes, under its names. fla-org/flash-linear-attention:
 * the layer as it is, the layer with grouped keys, short convolutions and clamped gates, and the
 * recurrence alone; each with its last state. */
#include <stdio.h>

#include "ref/parts/decayed.h"
#include "variants/outside.h"

static const struct outside_name weights[] = {
    {"query.weight", "q_proj.weight", TRANSPOSED},
    {"key.weight", "k_proj.weight", TRANSPOSED},
    {"value.weight", "v_proj.weight", TRANSPOSED},
    {"gate.weight", "g_proj.weight", TRANSPOSED},
    {"decay_in.weight", "gk_proj.0.weight", TRANSPOSED},
    {"decay_out.weight", "gk_proj.1.weight", TRANSPOSED},
    {"decay_out.bias", "gk_proj.1.bias", AS_IT_IS},
    {"norm.gain", "g_norm_swish_gate.weight", AS_IT_IS},
    {"output.weight", "o_proj.weight", TRANSPOSED},
    {0},
};
static const struct outside_name convolutions[] = {
    {"query_conv.weight", "q_conv1d.weight", TRANSPOSED},
    {"key_conv.weight", "k_conv1d.weight", TRANSPOSED},
    {"value_conv.weight", "v_conv1d.weight", TRANSPOSED},
    {0},
};

/* What the vectors call `kind`/`name` of a section. */
static const char *called(tape *t, const char *section, const char *kind, const char *name)
{
    return tape_string(t, "%s%s/%s", section, kind, name);
}

static void meet(struct claim *c, tape *t, tensor y, const char *section, const char *name)
{
    outside_meets(c, y, called(t, section, "output", name), called(t, section, "output32", name),
                  AS_IT_IS);
}

static void meet_gradient(struct claim *c, tape *t, tensor x, const char *name)
{
    outside_meets(c, tape_parameter(t, x->shape, x->gradient, NULL), name, NULL, AS_IT_IS);
}

static void meet_layer(struct claim *c, const char *section, const char *overrides, bool convolved)
{
    static const char ours[] = "block.0.mixer.";
    struct assay_model *m = claim_model(c, overrides);
    struct claim_pass *p = m ? claim_blank(c, m, claim_batch(c, m, 2, 20, 1), 2, 20) : NULL;
    if (!p)
        return;
    tape *t = p->pass.t;
    const char *theirs = called(t, section, "param", ""),
               *gradients = called(t, section, "grad", "");
    outside_load_all(c, m, ours, theirs, weights, -1);
    if (convolved)
        outside_load_all(c, m, ours, theirs, convolutions, -1);
    layer l = claim_layer(c, p, "block.0.mixer");
    tensor x = outside_tensor(c, t, called(t, section, "input", "x"), AS_IT_IS, SHAPE(2, 20, 16));
    tensor end = TENSOR_NONE, y = gla_mixed(&l, x, &end);
    meet(c, t, y, section, "y");
    meet(c, t, end, section, "state");
    if (c->profile != ASSAY_F64 || !y)
        return;
    tensor results[] = {y, end}, cotangent[2];
    cotangent[0] = outside_tensor(c, t, called(t, section, "cotangent", "y"), AS_IT_IS, y->shape);
    cotangent[1] =
        outside_tensor(c, t, called(t, section, "cotangent", "state"), AS_IT_IS, end->shape);
    claim_backward(c, p, 2, results, cotangent);
    outside_meet_gradients(c, p, ours, gradients, weights, -1);
    if (convolved)
        outside_meet_gradients(c, p, ours, gradients, convolutions, -1);
    meet_gradient(c, t, x, called(t, section, "grad", "x"));
}

void gla_meets_the_layers(struct claim *c)
{
    meet_layer(c, "", "width=16 heads=2 length=20 eps=1e-5", false);
    meet_layer(c, "mqa/",
               "width=16 heads=4 key_heads=2 length=20 expand_k=1 tau=4 clamp=0.2 conv=4", true);
}

/* Bare operands [b, n, h, w] and a state to start from. */
void gla_meets_the_recurrence(struct claim *c)
{
    enum { SAMPLES = 2, STEPS = 11, HEADS = 3, KEYS = 4, VALUES = 5, OPERANDS = 5 };
    static const char *const names[OPERANDS] = {"q", "k", "v", "gk", "initial_state"};
    tape *t = claim_tape(c);
    tensor x[OPERANDS], row[4], end;
    for (size_t i = 0; i < OPERANDS; i++) {
        struct assay_shape shape = i == 4 ? SHAPE(SAMPLES, HEADS, KEYS, VALUES)
                                          : SHAPE(SAMPLES, STEPS, HEADS, i == 2 ? VALUES : KEYS);
        x[i] = outside_tensor(c, t, called(t, "op/", "input", names[i]), AS_IT_IS, shape);
    }
    for (size_t i = 0; i < 4; i++)
        row[i] = gla_heads_as_rows(t, x[i], HEADS);
    tensor start = reshape(t, x[4], SHAPE(SAMPLES * HEADS, KEYS, VALUES));
    /* 4^(-1/2) */
    struct decayed r = {scale(t, row[0], 0.5), row[1], row[2], row[3]};
    tensor y = decayed_scan(t, r, start, &end);
    y = transpose(t, reshape(t, y, SHAPE(SAMPLES, HEADS, STEPS, VALUES)), 1, 2);
    meet(c, t, y, "op/", "o");
    meet(c, t, end, "op/", "state");
    if (c->profile != ASSAY_F64 || !y)
        return;
    tensor results[] = {y, end}, cotangent[2];
    cotangent[0] = outside_tensor(c, t, "op/cotangent/o", AS_IT_IS, y->shape);
    cotangent[1] = outside_tensor(c, t, "op/cotangent/state", AS_IT_IS, end->shape);
    tape_backward_from(t, 2, results, cotangent);
    for (size_t i = 0; i < 4; i++)
        meet_gradient(c, t, x[i], called(t, "op/", "grad", names[i]));
    /* Their state is binary32 from the start on, and so is its gradient: off by half a unit of that. */
    tensor theirs = outside_tensor(c, t, "op/grad/initial_state", AS_IT_IS, x[4]->shape);
    claim_close(c, tape_parameter(t, x[4]->shape, x[4]->gradient, NULL), theirs, 0x1p29 + 1, 0,
                "op/grad/initial_state, which the authors round to binary32");
}

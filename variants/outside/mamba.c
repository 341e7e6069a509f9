/* SPDX-License-Identifier: Apache-2.0 */
/* Outside vectors of mamba.c: what other code computes, under its names. state-spaces/mamba: a
 * language model of two blocks, one of its mixers step by step, and the scan alone. */
#include <string.h>

#include "ref/parts/selective.h"
#include "variants/outside.h"

enum { SAMPLES = 2, TOKENS = 20, STEPS = 12, CHANNELS = 6 };

static const struct outside_name in_block[] = {
    {"norm.gain", "norm.weight", AS_IT_IS},
    {"mixer.in.weight", "mixer.in_proj.weight", TRANSPOSED},
    {"mixer.conv.weight", "mixer.conv1d.weight", TRANSPOSED},
    {"mixer.conv.bias", "mixer.conv1d.bias", AS_IT_IS},
    {"mixer.maps.weight", "mixer.x_proj.weight", TRANSPOSED},
    {"mixer.step.weight", "mixer.dt_proj.weight", TRANSPOSED},
    {"mixer.step.bias", "mixer.dt_proj.bias", AS_IT_IS},
    {"mixer.A_log", "mixer.A_log", AS_IT_IS},
    {"mixer.D", "mixer.D", AS_IT_IS},
    {"mixer.out.weight", "mixer.out_proj.weight", TRANSPOSED},
    {0},
};
static const struct outside_name around[] = {
    {"embed.token", "backbone.embedding.weight", AS_IT_IS},
    {"final.gain", "backbone.norm_f.weight", AS_IT_IS},
    {0},
};
static const char *const ours[] = {"block.0.", "block.1."};

/* The last tensor traced under a name: on a tape of several passes, that of the last. */
static tensor last_trace(const tape *t, const char *name)
{
    tensor found = TENSOR_NONE;
    for (size_t i = 0; i < t->marks; i++)
        if (t->marked[i].kind == ASSAY_TRACE && strcmp(t->marked[i].name, name) == 0)
            found = t->marked[i].value;
    return found;
}

/* The first mixer's outputs token by token, and its state at the end. */
static void meet_steps(struct claim *c, struct assay_model *m, const int32_t *ids)
{
    tape *t = claim_tape(c);
    struct assay_decode *d = decode_open(m->kernels, TOKENS);
    struct assay_context context = {.decode = d, .samples = SAMPLES};
    tensor row[TOKENS];
    for (size_t i = 0; t && d && i < TOKENS; i++) {
        const int32_t token[SAMPLES] = {ids[i], ids[TOKENS + i]};
        struct assay_input input = {"ids", ASSAY_I32, SHAPE(SAMPLES, 1), token};
        struct assay_batch b = {.inputs = 1, .input = {input}};
        struct assay_pass pass = {.model = m, .t = t, .batch = &b, .denominator = 1, .decode = d};
        model_forward(&pass);
        row[i] = last_trace(t, "block.0.mixer.out");
    }
    if (t && d) {
        tensor y = concat(t, 1, TOKENS, row);
        outside_meets(c, y, "output/mixer0_step", "output32/mixer0_step", AS_IT_IS);
        layer l = {.model = m, .t = t, .context = &context, .path = "block.0.mixer"};
        tensor h = carried(&l, "state", SHAPE(SAMPLES, 32, 4));
        outside_meets(c, h, "output/mixer0_ssm_state", "output32/mixer0_ssm_state", AS_IT_IS);
        strcpy(l.path, "block.0.mixer.conv");
        h = transpose(t, carried(&l, "state", SHAPE(SAMPLES, 4, 32)), 1, 2);
        outside_meets(c, h, "output/mixer0_conv_state", "output32/mixer0_conv_state", AS_IT_IS);
    }
    decode_close(d);
}

void mamba_meets_the_model(struct claim *c)
{
    struct assay_model *m =
        claim_model(c, "vocab=32 length=20 width=16 layers=2 d_state=4 dt_rank=2");
    struct assay_shape shape;
    const int32_t *ids = m ? outside_ids(c, "input/ids", &shape) : NULL;
    if (!ids)
        return;
    outside_load_all(c, m, ours[0], "param/backbone.layers.0.", in_block, -1);
    outside_load_all(c, m, ours[1], "param/backbone.layers.1.", in_block, -1);
    outside_load_all(c, m, "", "param/", around, -1);
    struct assay_input input = {"ids", ASSAY_I32, shape, ids};
    struct claim_pass *p = claim_forward(c, m, claim_batch_of(c, 1, &input));
    if (!p)
        return;
    outside_meets(c, p->output, "output/logits", "output32/logits", AS_IT_IS);
    outside_meets(c, claim_trace(c, p, "block.0.mixer.out"), "output/mixer0", "output32/mixer0",
                  AS_IT_IS);
    outside_meets(c, claim_trace(c, p, "block.1.mixer.out"), "output/mixer1", "output32/mixer1",
                  AS_IT_IS);
    meet_steps(c, m, ids);
    if (c->profile != ASSAY_F64)
        return;
    tensor y = p->output, cotangent = outside_tensor(c, p->pass.t, "cotangent/logits", AS_IT_IS,
                                                     SHAPE(SAMPLES, TOKENS, 32));
    claim_backward(c, p, 1, &y, &cotangent);
    outside_meet_gradients(c, p, ours[0], "grad/backbone.layers.0.", in_block, -1);
    outside_meet_gradients(c, p, ours[1], "grad/backbone.layers.1.", in_block, -1);
    outside_meet_gradients(c, p, "", "grad/", around, -1);
}

/* Bare operands; theirs have channels before time. */
static const struct {
    const char *input, *gradient;
    struct assay_shape shape;
} operands[] = {
    {"scan/input/u", "scan/grad/u", {3, {SAMPLES, CHANNELS, STEPS}}},
    {"scan/input/delta", "scan/grad/delta", {3, {SAMPLES, CHANNELS, STEPS}}},
    {"scan/input/z", "scan/grad/z", {3, {SAMPLES, CHANNELS, STEPS}}},
    {"scan/input/B", "scan/grad/B", {3, {SAMPLES, 4, STEPS}}},
    {"scan/input/C", "scan/grad/C", {3, {SAMPLES, 4, STEPS}}},
    {"scan/input/A", "scan/grad/A", {2, {CHANNELS, 4}}},
    {"scan/input/D", "scan/grad/D", {1, {CHANNELS}}},
    {"scan/input/delta_bias", "scan/grad/delta_bias", {1, {CHANNELS}}},
};
enum operand { U, DELTA, Z, B, C, A, D, DELTA_BIAS, OPERANDS };

void mamba_meets_the_scan(struct claim *c)
{
    tape *t = claim_tape(c);
    tensor x[OPERANDS], by_time[A], end;
    for (size_t i = 0; i < OPERANDS; i++)
        x[i] = outside_tensor(c, t, operands[i].input, AS_IT_IS, operands[i].shape);
    for (size_t i = 0; i < A; i++)
        by_time[i] = transpose(t, x[i], 1, 2);
    tensor delta = softplus(t, add(t, by_time[DELTA], x[DELTA_BIAS]));
    struct selective s = {by_time[U], delta, x[A], by_time[B], by_time[C]};
    tensor y = selective_scan(t, s, TENSOR_NONE, &end);
    y = add(t, y, multiply(t, s.u, x[D]));
    y = transpose(t, multiply(t, y, silu(t, by_time[Z])), 1, 2);
    outside_meets(c, y, "scan/output/out", "scan/output32/out", AS_IT_IS);
    outside_meets(c, end, "scan/output/last_state", "scan/output32/last_state", AS_IT_IS);
    if (c->profile != ASSAY_F64 || !y)
        return;
    tensor results[] = {y, end}, cotangent[2];
    cotangent[0] = outside_tensor(c, t, "scan/cotangent/out", AS_IT_IS, y->shape);
    cotangent[1] = outside_tensor(c, t, "scan/cotangent/last_state", AS_IT_IS, end->shape);
    tape_backward_from(t, 2, results, cotangent);
    for (size_t i = 0; i < OPERANDS; i++) {
        tensor gradient = tape_parameter(t, x[i]->shape, x[i]->gradient, NULL);
        outside_meets(c, gradient, operands[i].gradient, NULL, AS_IT_IS);
    }
}

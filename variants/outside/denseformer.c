/* SPDX-License-Identifier: Apache-2.0 */
/* Outside vectors of denseformer.c: what other code computes, under its names.
 * The authors' epfml/DenseFormer: the package's module, and the experiment's model. */
#include <stdio.h>

#include "variants/outside.h"

/* epfml/DenseFormer, the package's module alone: x[0] the embedding, x[i] the
 * output of block i, y[i - 1] = Y_i. */
void denseformer_meets_the_package(struct claim *c)
{
    static const size_t setting[][2] = {{1, 1}, {2, 1}, {3, 1}, {1, 2}, {2, 3}, {3, 2}};
    for (size_t s = 0; s < sizeof setting / sizeof *setting; s++) {
        char text[96], name[96];
        size_t k = setting[s][0], p = setting[s][1];
        snprintf(text, sizeof text, "layers=6 width=6 heads=1 dilation=%zu period=%zu", k, p);
        struct assay_model *m = claim_model(c, text);
        struct claim_pass *pass = m ? claim_blank(c, m, claim_batch(c, m, 2, 4, 1), 2, 4) : NULL;
        if (!pass)
            return;
        tensor past[7], y[6], cotangent[6];
        layer l = claim_layer(c, pass, "");
        for (size_t i = 0; i <= 6; i++)
            past[i] = outside_tensor(c, pass->pass.t, "dwa/input/x",
                                     (struct outside_view){.index = (long)i}, SHAPE(2, 4, 6));
        for (size_t i = 1; i <= 6; i++) {
            snprintf(text, sizeof text, "average.%zu", i);
            snprintf(name, sizeof name, "dwa_k%zu_p%zu/param/alphas.%zu.weight", k, p, i - 1);
            if (i % p == 0)
                outside_load(c, m, text, name, AS_IT_IS);
            y[i - 1] = i % p == 0 ? denseformer_depth_weighted_average(&l, past, i, k) : past[i];
            struct outside_view view = {.index = (long)i - 1};
            char name32[96];
            snprintf(name, sizeof name, "dwa_k%zu_p%zu/output/y", k, p);
            snprintf(name32, sizeof name32, "dwa_k%zu_p%zu/output32/y", k, p);
            outside_meets(c, y[i - 1], name, name32, view);
            snprintf(name, sizeof name, "dwa_k%zu_p%zu/cotangent/y", k, p);
            cotangent[i - 1] = outside_tensor(c, pass->pass.t, name, view, SHAPE(2, 4, 6));
        }
        if (c->profile != ASSAY_F64)
            continue;
        claim_backward(c, pass, 6, y, cotangent);
        for (size_t i = p; i <= 6; i += p) {
            snprintf(text, sizeof text, "average.%zu", i);
            snprintf(name, sizeof name, "dwa_k%zu_p%zu/grad/alphas.%zu.weight", k, p, i - 1);
            outside_meets(c, claim_gradient(c, pass, text), name, NULL, AS_IT_IS);
        }
    }
}

/* The experiment's GPT: c_attn is q, k, v; the head is the embedding. */
static const struct outside_name gpt_block[] = {
    {"norm1.gain", "ln_1.weight", AS_IT_IS},
    {"norm2.gain", "ln_2.weight", AS_IT_IS},
    {"mixer.query.weight", "attn.c_attn.weight", {-1, 0, 12, true, 0}},
    {"mixer.key.weight", "attn.c_attn.weight", {-1, 12, 12, true, 0}},
    {"mixer.value.weight", "attn.c_attn.weight", {-1, 24, 12, true, 0}},
    {"mixer.output.weight", "attn.c_proj.weight", TRANSPOSED},
    {"ffn.in.weight", "mlp.c_fc.weight", TRANSPOSED},
    {"ffn.out.weight", "mlp.c_proj.weight", TRANSPOSED},
    {0}};
static const struct outside_name gpt_rest[] = {
    {"embed.token", "wte.weight", AS_IT_IS}, {"final.gain", "ln_f.weight", AS_IT_IS}, {0}};
static const char *const gpt_ours[] = {"block.0.", "block.1.", "block.2."};
static const char *const gpt_theirs[] = {"param/transformer.h.0.0.", "param/transformer.h.1.0.",
                                         "param/transformer.h.2.0."};
static const char *const gpt_gradients[] = {"model_k1/grad/transformer.h.0.0.",
                                            "model_k1/grad/transformer.h.1.0.",
                                            "model_k1/grad/transformer.h.2.0."};

void denseformer_meets_the_experiments_model(struct claim *c)
{
    for (int k = 1; k <= 2; k++) {
        char text[300], name[96], name32[96];
        snprintf(text, sizeof text,
                 "frame=decoder head=language tie_embedding=1 vocab=13 length=16 width=12 heads=2 "
                 "hidden=48 layers=3 norm_bias=0 "
                 "attention_bias=0 output_bias=0 ffn_bias=0 position=rotary rotary_interleaved=1 "
                 "pad_is_zero=0 dilation=%d",
                 k);
        struct assay_model *m = claim_model(c, text);
        struct assay_shape shape = {0};
        const int32_t *ids = outside_ids(c, "input/idx", &shape);
        if (!m || !ids)
            return;
        for (int i = 0; i < 3; i++)
            outside_load_all(c, m, gpt_ours[i], gpt_theirs[i], gpt_block, -1);
        outside_load_all(c, m, "", "param/transformer.", gpt_rest, -1);
        for (int i = 0; i < 3; i++) {
            snprintf(text, sizeof text, "average.%d", i + 1);
            snprintf(name, sizeof name, "model_k%d/param/weights.%d.weight", k, i);
            outside_load(c, m, text, name, AS_IT_IS);
        }
        struct assay_input input = {"ids", ASSAY_I32, shape, ids};
        struct claim_pass *p = claim_forward(c, m, claim_batch_of(c, 1, &input));
        if (!p)
            return;
        tensor y[2] = {p->output, claim_trace(c, p, "average.3")}, cotangent[2];
        static const char *const output[2] = {"logits", "y_last"};
        for (int i = 0; i < 2; i++) {
            snprintf(name, sizeof name, "model_k%d/output/%s", k, output[i]);
            snprintf(name32, sizeof name32, "model_k%d/output32/%s", k, output[i]);
            outside_meets(c, y[i], name, name32, AS_IT_IS);
            snprintf(name, sizeof name, "model_k%d/cotangent/%s", k, output[i]);
            cotangent[i] = outside_tensor(c, p->pass.t, name, AS_IT_IS, y[i]->shape);
        }
        if (c->profile != ASSAY_F64)
            continue;
        claim_backward(c, p, 2, y, cotangent);
        for (int i = 0; k == 1 && i < 3; i++)
            outside_meet_gradients(c, p, gpt_ours[i], gpt_gradients[i], gpt_block, -1);
        if (k == 1)
            outside_meet_gradients(c, p, "", "model_k1/grad/transformer.", gpt_rest, -1);
        for (int i = 0; i < 3; i++) {
            snprintf(text, sizeof text, "average.%d", i + 1);
            snprintf(name, sizeof name, "model_k%d/grad/weights.%d.weight", k, i);
            outside_meets(c, claim_gradient(c, p, text), name, NULL, AS_IT_IS);
        }
    }
}

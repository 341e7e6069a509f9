/* SPDX-License-Identifier: Apache-2.0 */
/* Outside vectors of crmsnorm.c: what other code computes, under its names.
 * The authors' ZixuanJiang/pre-rmsnorm-transformer. */
#include <stdio.h>

#include "variants/outside.h"

/* Their image [2, 3, 8, 8] as 16 patches of (row, column, channel) numbers, "(p1 p2 c)". */
static void patches_of(const double *image, double *patch)
{
    for (size_t b = 0; b < 2; b++)
        for (size_t i = 0; i < 16; i++)
            for (size_t j = 0; j < 12; j++) {
                size_t row = i / 4 * 2 + j / 6, column = i % 4 * 2 + j / 3 % 2, channel = j % 3;
                patch[(b * 16 + i) * 12 + j] = image[((b * 3 + channel) * 8 + row) * 8 + column];
            }
}

/* Both tensors of a linear layer; theirs are rows from .. from + count of a stack's element. */
/* clang-format off */
#define LINEAR(ours, theirs, index, from, count) \
    {ours ".weight", theirs "weight", {index, from, count, true, 0}}, \
    {ours ".bias", theirs "bias", {index, from, count, false, 0}}
/* clang-format on */

static const struct outside_name vit_block[] = {
    LINEAR("mixer.query", "att_in_linear_", 0, 0, 16),
    LINEAR("mixer.key", "att_in_linear_", 0, 16, 16),
    LINEAR("mixer.value", "att_in_linear_", 0, 32, 16),
    LINEAR("mixer.output", "att_out_linear_", 0, 0, 0),
    LINEAR("ffn.in", "mlp_in_linear_", 0, 0, 0),
    LINEAR("ffn.out", "mlp_out_linear_", 0, 0, 0),
    {0},
};
static const struct outside_name vit_rest[] = {
    LINEAR("embed.values", "patch_linear_", -1, 0, 0),
    {"embed.positions", "pos_embedding", {0, 0, 0, false, 0}},
    {"embed.cls", "cls_token", AS_IT_IS},
    LINEAR("head.output", "cls_head_linear_", -1, 0, 0),
    {0},
};
static const struct outside_name gpt[] = {
    {"embed.token", "wte.weight", AS_IT_IS},
    {"embed.positions", "wpe.weight", AS_IT_IS},
    LINEAR("block.0.mixer.query", "transformer.layers.0.1.to_qkv.", -1, 0, 16),
    LINEAR("block.0.mixer.key", "transformer.layers.0.1.to_qkv.", -1, 16, 16),
    LINEAR("block.0.mixer.value", "transformer.layers.0.1.to_qkv.", -1, 32, 16),
    LINEAR("block.0.mixer.output", "transformer.layers.0.1.to_out.", -1, 0, 0),
    LINEAR("block.0.ffn.in", "transformer.layers.0.3.net.0.", -1, 0, 0),
    LINEAR("block.0.ffn.out", "transformer.layers.0.3.net.2.", -1, 0, 0),
    LINEAR("head.output", "final_linear.", -1, 0, 0),
    {0},
};

/* What their conversion makes of weights, where it is stored. */
static void meet_converted_weights(struct claim *c, struct crmsnorm_forms f)
{
    static const struct outside_name stored[] = {
        {"block.0.mixer.query.weight", "compressed_att_in_linear_weight", {0, 0, 16, true, 0}},
        {"block.1.mixer.value.weight", "compressed_att_in_linear_weight", {1, 32, 16, true, 0}},
        LINEAR("block.1.mixer.output", "compressed_att_out_linear_", 1, 0, 0),
        {"block.0.ffn.in.weight", "compressed_mlp_in_linear_weight", {0, 0, 0, true, 0}},
        LINEAR("block.0.ffn.out", "compressed_mlp_out_linear_", 0, 0, 0),
        LINEAR("embed.values", "compressed_patch_linear_", -1, 0, 0),
        {"embed.positions", "compressed_pos_embedding", {0, 0, 0, false, 0}},
        {"embed.cls", "compressed_cls_token", AS_IT_IS},
        {"head.output.weight", "compressed_cls_head_linear_weight", TRANSPOSED},
        LINEAR("embed.values", "zm_patch_linear_", -1, 0, 0),
        {"embed.positions", "zm_pos_embedding", {0, 0, 0, false, 0}},
        {0},
    };
    tape *t = claim_tape(c);
    for (size_t i = 0; t && stored[i].ours; i++) {
        char name[96];
        const struct assay_model *m = stored[i].theirs[0] == 'c' ? f.crms : f.rms;
        snprintf(name, sizeof name, "vit/output/%s", stored[i].theirs);
        outside_meets(c, model_tensor(m, t, stored[i].ours), name, NULL, stored[i].view);
    }
}

static void meets(struct claim *c, struct claim_pass *p, const char *name, const char *name32)
{
    outside_meets(c, p->output, name, name32, AS_IT_IS);
}

/* In binary64 the gradients follow; whether they were computed. */
static bool pulled_back(struct claim *c, struct claim_pass *p, const char *name)
{
    tensor cotangent = outside_tensor(c, p->pass.t, name, AS_IT_IS, p->output->shape);
    if (!cotangent || c->profile != ASSAY_F64)
        return false;
    claim_backward(c, p, 1, &p->output, &cotangent);
    return true;
}

/* Their image as the patches that a linear layer embeds; a real batch cannot be drawn from ids,
 * so the models are made for it. */
void crmsnorm_meets_the_image_model(struct claim *c)
{
    struct assay_shape shape;
    const double *image = c->outside ? c->outside(c->archive, "vit/input/image", &shape) : NULL;
    double patch[2 * 16 * 12];
    if (!claim_true(c, image != NULL, "the outside vectors have the image"))
        return;
    patches_of(image, patch);
    struct assay_input values = claim_input(c, "values", SHAPE(2, 16, 12), patch);
    struct assay_batch *b = claim_batch_of(c, 1, &values);
    struct crmsnorm_forms f = crmsnorm_three_forms(
        c, "inputs=values values=12 pool=cls cls_position=0 classes=5 length=16");
    struct crmsnorm_passes p;
    if (!f.ln || !b)
        return;
    outside_load_all(c, f.ln, "block.0.", "vit/param/", vit_block, 0);
    outside_load_all(c, f.ln, "block.1.", "vit/param/", vit_block, 1);
    outside_load_all(c, f.ln, "", "vit/param/", vit_rest, -1);
    if (!crmsnorm_convert(c, f) || !crmsnorm_run_forms(c, f, b, &p))
        return;
    meets(c, p.ln, "vit/output/pre_ln_result", "vit/output32/pre_ln_result");
    meets(c, p.rms, "vit/output/pre_rms_result", "vit/output32/pre_rms_result");
    meets(c, p.crms, "vit/output/pre_crms_result", "vit/output32/pre_crms_result");
    meet_converted_weights(c, f);
    if (!pulled_back(c, p.ln, "vit/cotangent/pre_ln_result"))
        return;
    outside_meet_gradients(c, p.ln, "block.0.", "vit/grad/", vit_block, 0);
    outside_meet_gradients(c, p.ln, "block.1.", "vit/grad/", vit_block, 1);
    outside_meet_gradients(c, p.ln, "", "vit/grad/", vit_rest, -1);
}

/* Raw weights as pre-LN and in the training form (the same gradients), and compressed. */
void crmsnorm_meets_the_language_model(struct claim *c)
{
#define GPT "frame=decoder head=language vocab=11 length=16 layers=1 pad_is_zero=0 "
    struct crmsnorm_forms f = crmsnorm_three_forms(c, GPT);
    struct assay_model *training = claim_model(c, CRMSNORM_PLAIN GPT "form=pre_rms_training");
    struct assay_shape shape = {0};
    const int32_t *ids = outside_ids(c, "gpt/input/ids", &shape);
    struct assay_input input = {"ids", ASSAY_I32, shape, ids};
    struct assay_batch *b = ids ? claim_batch_of(c, 1, &input) : NULL;
    if (!b || !training || !f.ln)
        return;
    struct assay_model *const raw[] = {f.ln, training};
    static const char *const name[][2] = {{"gpt/output/pre_ln", "gpt/output32/pre_ln"},
                                          {"gpt/output/pre_rms", "gpt/output32/pre_rms"}};
    for (int i = 0; i < 2; i++) {
        outside_load_all(c, raw[i], "", "gpt/param/", gpt, -1);
        struct claim_pass *p = claim_forward(c, raw[i], b);
        if (!p)
            return;
        meets(c, p, name[i][0], name[i][1]);
        if (pulled_back(c, p, "gpt/cotangent/pre_ln"))
            outside_meet_gradients(c, p, "", "gpt/grad/", gpt, -1);
    }
    struct claim_pass *p = crmsnorm_convert(c, f) ? claim_forward(c, f.crms, b) : NULL;
    if (p)
        meets(c, p, "gpt/output/pre_crms", "gpt/output32/pre_crms");
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Outside vectors of swin.c: what other code computes, under its names.
 * The authors' microsoft/Swin-Transformer: 16 x 32 pixels, grids of 8 x 16 and 4 x 8, windows of 4. */
#include "variants/outside.h"

/* clang-format off */
#define BOTH(ours, theirs, from, count) \
    {ours ".weight", theirs ".weight", {-1, from, count, true, 0}}, \
    {ours ".bias", theirs ".bias", {-1, from, count, false, 0}}
#define NORM(ours, theirs) \
    {ours ".gain", theirs ".weight", AS_IT_IS}, {ours ".bias", theirs ".bias", AS_IT_IS}
#define OURS(i, b) "stage." #i ".block." #b
#define THEIRS(i, b) "layers." #i ".blocks." #b
#define BLOCK(i, b, d) \
    NORM(OURS(i, b) ".norm1", THEIRS(i, b) ".norm1"), \
    NORM(OURS(i, b) ".norm2", THEIRS(i, b) ".norm2"), \
    BOTH(OURS(i, b) ".mixer.query", THEIRS(i, b) ".attn.qkv", 0, d), \
    BOTH(OURS(i, b) ".mixer.key", THEIRS(i, b) ".attn.qkv", d, d), \
    BOTH(OURS(i, b) ".mixer.value", THEIRS(i, b) ".attn.qkv", 2 * d, d), \
    BOTH(OURS(i, b) ".mixer.output", THEIRS(i, b) ".attn.proj", 0, 0), \
    {OURS(i, b) ".mixer.relative", THEIRS(i, b) ".attn.relative_position_bias_table", AS_IT_IS}, \
    BOTH(OURS(i, b) ".ffn.in", THEIRS(i, b) ".mlp.fc1", 0, 0), \
    BOTH(OURS(i, b) ".ffn.out", THEIRS(i, b) ".mlp.fc2", 0, 0)
static const struct outside_name names[] = {
    BOTH("embed.patch", "patch_embed.proj", 0, 0), NORM("embed.patch_norm", "patch_embed.norm"),
    BLOCK(0, 0, 8), BLOCK(0, 1, 8), BLOCK(1, 0, 16), BLOCK(1, 1, 16),
    NORM("stage.0.merge.norm", "layers.0.downsample.norm"),
    {"stage.0.merge.reduction.weight", "layers.0.downsample.reduction.weight", TRANSPOSED},
    NORM("final", "norm"), BOTH("head.output", "head", 0, 0), {0}};
/* clang-format on */

/* The tables that their modules build. */
static void meet_tables(struct claim *c, tape *t)
{
    enum { M = 4, N = M * M };
    static const char *const index[] = {"buffer/" THEIRS(0, 0) ".attn.relative_position_index",
                                        "buffer/" THEIRS(0, 1) ".attn.relative_position_index",
                                        "buffer/" THEIRS(1, 0) ".attn.relative_position_index",
                                        "buffer/" THEIRS(1, 1) ".attn.relative_position_index"};
    const struct windows shifted = windows_on((struct grid){8, 16}, M, M / 2);
    double row[N * N];
    for (size_t e = 0; e < N * N; e++)
        row[e] = (double)swin_relative_row(M, e / N, e % N);
    tensor rows = tape_input_f64(t, SHAPE(N, N), row), mask = swin_mask(t, &shifted, 1);
    for (size_t i = 0; i < sizeof index / sizeof *index; i++)
        outside_meets(c, rows, index[i], NULL, AS_IT_IS);
    outside_meets(c, mask, "buffer/" THEIRS(0, 1) ".attn_mask", NULL, AS_IT_IS);
}

static tensor first_sample(struct claim *c, struct claim_pass *p, const char *name)
{
    tensor x = claim_trace(c, p, name);
    return x ? slice(p->pass.t, x, 0, 0, 1) : TENSOR_NONE;
}

void swin_meets_the_authors_model(struct claim *c)
{
    struct assay_model *m =
        claim_model(c, "rows=16 length=512 heads=2 hidden=24 window=4 classes=7");
    const struct assay_batch *b = claim_batch(c, m, 2, 512, 1);
    struct claim_pass *p = b ? claim_blank(c, m, b, 2, 512) : NULL;
    if (!p)
        return;
    tape *t = p->pass.t;
    outside_load_all(c, m, "", "param/", names, -1);
    layer embed = claim_layer(c, p, "embed"), root = claim_layer(c, p, ""),
          head = claim_layer(c, p, "head");
    tensor image = outside_tensor(c, t, "input/x", AS_IT_IS, SHAPE(2, 3, 16, 32));
    tensor pixels = image ? permute(t, image, (const int[]){0, 2, 3, 1}) : TENSOR_NONE;
    tensor x = swin_tokens(&embed, reshape(t, pixels, SHAPE(2, 512, 3)));
    x = apply_norm(&root, "final", m->slot.stack(&root, x));
    tensor y = m->slot.head(&head, x);
    if (!claim_true(c, y, "a forward pass"))
        return;
    meet_tables(c, t);
    outside_meets(c, y, "output/logits", "output32/logits", AS_IT_IS);
    outside_meets(c, first_sample(c, p, "stage.0.block.1"), "output/stage0_block1",
                  "output32/stage0_block1", AS_IT_IS);
    outside_meets(c, first_sample(c, p, "stage.0.merged"), "output/stage0_merged",
                  "output32/stage0_merged", AS_IT_IS);
    outside_meets(c, first_sample(c, p, "stage.1.block.1"), "output/stage1", "output32/stage1",
                  AS_IT_IS);
    tensor cotangent = c->profile == ASSAY_F64
                           ? outside_tensor(c, t, "cotangent/logits", AS_IT_IS, y->shape)
                           : TENSOR_NONE;
    if (!cotangent)
        return;
    claim_backward(c, p, 1, &y, &cotangent);
    outside_meets(c, tape_parameter(t, image->shape, image->gradient, NULL), "grad/x", NULL,
                  AS_IT_IS);
    outside_meet_gradients(c, p, "", "grad/", names, -1);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Outside vectors of vit.c: what other code computes, under its names.
 * timm's VisionTransformer (huggingface/pytorch-image-models). With a mean it keeps the class token
 * and leaves it out of the mean, where the official code has none. */
#include <stdio.h>

#include "variants/outside.h"

/* clang-format off */
#define BOTH(ours, theirs, from, count) \
    {ours ".weight", theirs ".weight", {-1, from, count, true, 0}}, \
    {ours ".bias", theirs ".bias", {-1, from, count, false, 0}}
#define NORM(ours, theirs) \
    {ours ".gain", theirs ".weight", AS_IT_IS}, {ours ".bias", theirs ".bias", AS_IT_IS}
#define BLOCK(i, d) \
    NORM("block." #i ".norm1", "blocks." #i ".norm1"), \
    NORM("block." #i ".norm2", "blocks." #i ".norm2"), \
    BOTH("block." #i ".mixer.query", "blocks." #i ".attn.qkv", 0, d), \
    BOTH("block." #i ".mixer.key", "blocks." #i ".attn.qkv", d, d), \
    BOTH("block." #i ".mixer.value", "blocks." #i ".attn.qkv", 2 * d, d), \
    BOTH("block." #i ".mixer.output", "blocks." #i ".attn.proj", 0, 0), \
    BOTH("block." #i ".ffn.in", "blocks." #i ".mlp.fc1", 0, 0), \
    BOTH("block." #i ".ffn.out", "blocks." #i ".mlp.fc2", 0, 0)
#define AROUND \
    {"embed.cls", "cls_token", AS_IT_IS}, {"embed.positions", "pos_embed", AS_IT_IS}, \
    BOTH("embed.patch", "patch_embed.proj", 0, 0), NORM("final", "norm"), \
    BOTH("head.output", "head", 0, 0)
static const struct outside_name base[] = {AROUND, BLOCK(0, 16), BLOCK(1, 16), {0}};
static const struct outside_name small[] = {
    AROUND, BLOCK(0, 8), BOTH("head.pretrain", "pre_logits.fc", 0, 0), {0}};

#define IMAGE "rows=12 length=192 "
static const struct section {
    const char *prefix, *weights, *overrides;
    const struct outside_name *names;
    bool mean;
} sections[] = {
    {"", "", IMAGE "hidden=64", base, false},
    {"gap/", "", IMAGE "hidden=64", base, true},
    {"pretrain/", "pretrain/", IMAGE "width=8 layers=1 pretrain=1", small, false},
};
/* clang-format on */

static void full_name(char name[96], const char *prefix, const char *kind, const char *what)
{
    snprintf(name, 96, "%s%s/%s", prefix, kind, what);
}

static void meet(struct claim *c, tensor ours, const char *prefix, const char *what)
{
    char name[96], name32[96];
    full_name(name, prefix, "output", what);
    full_name(name32, prefix, "output32", what);
    outside_meets(c, ours, name, name32, AS_IT_IS);
}

/* image [b, C, H, W] -> logits */
static tensor forward(struct claim *c, struct claim_pass *p, const struct section *s, tensor image)
{
    struct assay_model *m = p->pass.model;
    tape *t = p->pass.t;
    layer embed = claim_layer(c, p, "embed"), root = claim_layer(c, p, ""),
          head = claim_layer(c, p, "head");
    tensor pixels = permute(t, image, (const int[]){0, 2, 3, 1});
    tensor x = vit_tokens(&embed, reshape(t, pixels, SHAPE(2, 12 * 16, 3)));
    x = apply_norm(&root, "final", m->slot.stack(&root, x));
    x = x && s->mean ? mean_over(t, slice(t, x, 1, 1, dim_of(x, 1) - 1), 1) : x;
    return m->slot.head(&head, x);
}

static void meet_gradients(struct claim *c, struct claim_pass *p, const struct section *s,
                           tensor image, tensor y)
{
    char name[96];
    full_name(name, s->prefix, "cotangent", "logits");
    tensor cotangent = outside_tensor(c, p->pass.t, name, AS_IT_IS, y->shape);
    if (!cotangent)
        return;
    claim_backward(c, p, 1, &y, &cotangent);
    full_name(name, s->prefix, "grad", "x");
    outside_meets(c, tape_parameter(p->pass.t, image->shape, image->gradient, NULL), name, NULL,
                  AS_IT_IS);
    full_name(name, s->prefix, "grad", "");
    if (!s->mean)
        outside_meet_gradients(c, p, "", name, s->names, -1);
}

void vit_meets_the_port(struct claim *c)
{
    for (size_t i = 0; i < sizeof sections / sizeof *sections; i++) {
        const struct section *s = &sections[i];
        struct assay_model *m = claim_model(c, s->overrides);
        const struct assay_batch *b = claim_batch(c, m, 2, 12 * 16, 1);
        struct claim_pass *p = b ? claim_blank(c, m, b, 2, 12 * 16) : NULL;
        char name[96];
        if (!p)
            return;
        full_name(name, s->weights, "param", "");
        outside_load_all(c, m, "", name, s->names, -1);
        tensor image = outside_tensor(c, p->pass.t, "input/x", AS_IT_IS, SHAPE(2, 3, 12, 16));
        tensor y = image ? forward(c, p, s, image) : TENSOR_NONE;
        if (!claim_true(c, y, "%sa forward pass", s->prefix))
            return;
        meet(c, y, s->prefix, "logits");
        if (i == 0)
            meet(c, claim_trace(c, p, "block.0"), "", "block0");
        if (i == 0)
            meet(c, claim_trace(c, p, "block.1"), "", "block1");
        if (c->profile == ASSAY_F64)
            meet_gradients(c, p, s, image, y);
    }
}

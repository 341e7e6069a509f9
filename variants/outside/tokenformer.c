/* SPDX-License-Identifier: Apache-2.0 */
/* Outside vectors of tokenformer.c: what other code computes, under its names.
 * The authors' Haiyang-W/TokenFormer. */
#include <stdio.h>
#include <string.h>

#include "variants/outside.h"

enum { QKV }; /* the first hyper-parameter */

static tensor bare_tokens(layer *l, const tensor *x)
{
    return tokenformer_pattention(l, x[0], 10, QKV);
}

static const struct outside_name tokens[] = {
    {"key", "key_param_tokens", AS_IT_IS}, {"value", "value_param_tokens", AS_IT_IS}, {0}};

/* clang-format off */
#define BARE(normalisation) \
    {"pattention_" normalisation, "pattention", "width=12 heads=1 head_width=10 layers=1 length=6 " \
     "qkv=20 normalisation=" normalisation, .names = tokens, .apply = bare_tokens, \
     .path = "block.0.mixer.query"}
const struct outside_section outside_tokenformer[] = {
    BARE("l2_norm_gelu"), BARE("gelu_l2_norm"), BARE("softmax"), {0}};

#define PAIR(ours, theirs) \
    {ours ".key", theirs ".key_param_tokens", AS_IT_IS}, \
    {ours ".value", theirs ".value_param_tokens", AS_IT_IS}
static const struct outside_name in_layer[] = {
    PAIR("mixer.query", "attention.query"), PAIR("mixer.key", "attention.key"),
    PAIR("mixer.value", "attention.value"), PAIR("mixer.output", "attention.proj"),
    PAIR("ffn", "mlp"), {0}};
/* clang-format on */

/* Old tokens, then the new ones of section `more`, if any. */
static void load_layer(struct claim *c, struct assay_model *m, tape *t, const char *more)
{
    for (const struct outside_name *n = in_layer; n->ours; n++) {
        char name[160];
        snprintf(name, sizeof name, "block.0.%s", n->ours);
        const struct assay_entry *e = model_find(m, name);
        bool mlp = strncmp(n->theirs, "mlp", 3) == 0;
        size_t old = mlp ? 32 : 16, grown = mlp ? 16 : 8;
        snprintf(name, sizeof name, "layer/param/%s", n->theirs);
        tensor x = outside_tensor(c, t, name, AS_IT_IS, SHAPE(old, 16));
        if (more) {
            snprintf(name, sizeof name, "%s/new_param/%s", more, n->theirs);
            tensor y = outside_tensor(c, t, name, AS_IT_IS, SHAPE(grown, 16));
            x = concat(t, 0, 2, (tensor[]){x, y});
        }
        claim_true(c, e && model_store(m, e->name, x), "%s is loaded", n->ours);
    }
}

/* A block on x [16, 2, 16], tokens first; its two outputs, with one gradient of both. */
void tokenformer_meets_the_layer(struct claim *c)
{
    static const char *const sections[] = {"layer", "grown_zero", "grown_random"};
    for (int i = 0; i < 3; i++) {
        char name[64], name32[64];
        struct assay_model *m =
            claim_model(c, i ? "length=16 heads=2 rotary_width=4 layers=1 " TOKENFORMER_GROWN
                             : "length=16 heads=2 rotary_width=4 layers=1");
        struct claim_pass *p = m ? claim_blank(c, m, claim_batch(c, m, 2, 16, 1), 2, 16) : NULL;
        if (!p)
            return;
        tape *t = p->pass.t;
        struct assay_shape shape = SHAPE(16, 2, 16);
        load_layer(c, m, t, i ? sections[i] : NULL);
        tensor x = outside_tensor(c, t, "layer/input/x", AS_IT_IS, shape), y[2], cotangent[2];
        tensor in = transpose(t, x, 0, 1);
        layer l = claim_layer(c, p, "block.0");
        tensor attended = apply_mixer(&l, "mixer", apply_norm(&l, "norm1", in), TENSOR_NONE);
        tensor middle = add(t, in, attended);
        tensor fed = apply_ffn(&l, "ffn", apply_norm(&l, "norm2", middle));
        y[0] = transpose(t, attended, 0, 1);
        y[1] = transpose(t, add(t, middle, fed), 0, 1);
        for (int k = 0; k < 2; k++) {
            const char *what = k ? "y" : "attention";
            snprintf(name, sizeof name, "%s/output/%s", sections[i], what);
            snprintf(name32, sizeof name32, "%s/output32/%s", sections[i], what);
            outside_meets(c, y[k], name, name32, AS_IT_IS);
            snprintf(name, sizeof name, "layer/cotangent/%s", what);
            cotangent[k] = outside_tensor(c, t, name, AS_IT_IS, shape);
        }
        if (i || c->profile != ASSAY_F64)
            continue;
        claim_backward(c, p, 2, y, cotangent);
        outside_meet_gradients(c, p, "block.0.", "layer/grad/", in_layer, -1);
    }
}

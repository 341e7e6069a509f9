/* SPDX-License-Identifier: Apache-2.0 */
/* Outside vectors of matformer.c: what other code computes, under its names.
 * The authors' devvrit/matformer. */
#include <stdio.h>
#include <string.h>

#include "variants/outside.h"

static const struct outside_name in_block[] = {
    {"norm1.gain", "input_layernorm.weight", AS_IT_IS},
    {"norm2.gain", "post_attention_layernorm.weight", AS_IT_IS},
    {"mixer.query.weight", "self_attn.q_proj.weight", TRANSPOSED},
    {"mixer.key.weight", "self_attn.k_proj.weight", TRANSPOSED},
    {"mixer.value.weight", "self_attn.v_proj.weight", TRANSPOSED},
    {"mixer.output.weight", "self_attn.o_proj.weight", TRANSPOSED},
    {"ffn.gate.weight", "mlp.gate_proj.weight", TRANSPOSED},
    {"ffn.in.weight", "mlp.up_proj.weight", TRANSPOSED},
    {"ffn.out.weight", "mlp.down_proj.weight", TRANSPOSED},
    {0}};
static const struct outside_name around[] = {{"embed.token", "model.embed_tokens.weight", AS_IT_IS},
                                             {"final.gain", "model.norm.weight", AS_IT_IS},
                                             {"head.output.weight", "lm_head.weight", TRANSPOSED},
                                             {0}};
/* Their table takes id 0 for padding, and gives its row no gradient. */
static const struct outside_view but_padding = {.index = -1, .from = 1, .count = 12};

/* Their loss is of the next token, of 15 a sample. ids: [2, 16] */
static struct assay_batch *their_batch(struct claim *c, int32_t target[32])
{
    struct assay_shape shape = {0};
    const int32_t *ids = outside_ids(c, "input/input_ids", &shape);
    if (!ids || shape_elements(shape) != 32)
        return NULL;
    for (int i = 0; i < 32; i++)
        target[i] = i % 16 == 15 ? -100 : ids[i + 1];
    return claim_batch_of(c, 2,
                          (struct assay_input[]){{"ids", ASSAY_I32, shape, ids},
                                                 {"target", ASSAY_I32, shape, target}});
}

/* Output and its cotangent, where there are gradients. */
static tensor meet(struct claim *c, struct claim_pass *p, const char *section, const char *what,
                   tensor y)
{
    char name[64], name32[64];
    snprintf(name, sizeof name, "%s/output/%s", section, what);
    snprintf(name32, sizeof name32, "%s/output32/%s", section, what);
    outside_meets(c, y, name, name32, AS_IT_IS);
    snprintf(name, sizeof name, "%s/cotangent/%s", section, what);
    bool gradients = *section == 's' || strcmp(section, "mix") == 0;
    return gradients && y ? outside_tensor(c, p->pass.t, name, AS_IT_IS, y->shape) : TENSOR_NONE;
}

static void meets_one_size(struct claim *c, const char *section, int sizes)
{
    char text[96];
    int32_t target[32];
    snprintf(text, sizeof text, "preset=llama gate=product vocab=13 sizes=%d", sizes);
    struct assay_model *m = claim_model(c, text);
    struct assay_batch *batch = their_batch(c, target);
    struct claim_pass *p = m && batch ? claim_blank(c, m, batch, 2, 16) : NULL;
    if (!p)
        return;
    outside_load_all(c, m, "block.0.", "param/model.layers.0.", in_block, -1);
    outside_load_all(c, m, "block.1.", "param/model.layers.1.", in_block, -1);
    outside_load_all(c, m, "", "param/", around, -1);
    p->pass.denominator = 2 * 15;
    tensor y[3], cotangent[3];
    y[1] = model_loss(&p->pass, &y[0]);
    y[2] = claim_trace(c, p, "block.0.ffn.y");
    static const char *const names[] = {"logits", "loss", "mlp0"};
    int outputs = *section == 's' ? 3 : 2;
    for (int i = 0; i < outputs; i++)
        cotangent[i] = meet(c, p, section, names[i], y[i]);
    if (!cotangent[0] || c->profile != ASSAY_F64)
        return;
    claim_backward(c, p, outputs, y, cotangent);
    for (int i = 0; i < 2; i++) {
        char ours[32], theirs[64];
        snprintf(ours, sizeof ours, "block.%d.", i);
        snprintf(theirs, sizeof theirs, "%s/grad/model.layers.%d.", section, i);
        outside_meet_gradients(c, p, ours, theirs, in_block, -1);
    }
    snprintf(text, sizeof text, "%s/grad/", section);
    outside_meet_gradients(c, p, "", text, around + 1, -1);
    snprintf(text, sizeof text, "%s/grad/model.embed_tokens.weight", section);
    tensor table = claim_gradient(c, p, "embed.token");
    outside_meets(c, slice(p->pass.t, table, 0, 1, 12), text, NULL, but_padding);
}

void matformer_meets_the_authors_model(struct claim *c)
{
    static const char *const sections[] = {"s", "m", "l", "xl", "mix"};
    static const int sizes[] = {1, 2, 3, 4, 24};
    for (int i = 0; i < 5; i++)
        meets_one_size(c, sections[i], sizes[i]);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Outside vectors of linformer.c: what other code computes, under its names.
 * lucidrains/linformer, and the layer of google-research/long-range-arena. */
#include "variants/outside.h"

/* The port's share_kv ties the tokens' projections too: values are the keys. */
static tensor tied(layer *l, const tensor *x)
{
    struct heads h = project_heads(l, x[0], TENSOR_NONE);
    return linformer_low_rank(l, h.query, h.key, h.key);
}

#define PROJECTIONS(ours, theirs) \
    {ours "query.weight", theirs "to_q.weight", TRANSPOSED}, \
        {ours "key.weight", theirs "to_k.weight", TRANSPOSED}, \
        {ours "output.weight", theirs "to_out.weight", TRANSPOSED}, \
    { \
        ours "output.bias", theirs "to_out.bias", AS_IT_IS \
    }

#define PORT "attention_bias=0 output_bias=1 k=4 width=8 heads=2 layers=1 length=16 pad_is_zero=0 "

static const struct outside_name port[] = {
    PROJECTIONS("", ""),
    {"value.weight", "to_v.weight", TRANSPOSED},
    {"key_projection", "proj_k", AS_IT_IS},
    {"value_projection", "proj_v", AS_IT_IS},
    {0},
};
static const struct outside_name port_tied[] = {
    PROJECTIONS("", ""),
    {"projection", "proj_k", AS_IT_IS},
    {0},
};
#define NETWORK "net.layers.0."
static const struct outside_name network[] = {
    PROJECTIONS("mixer.", NETWORK "0.fn."),
    {"mixer.value.weight", NETWORK "0.fn.to_v.weight", TRANSPOSED},
    {"mixer.key_projection", NETWORK "0.fn.proj_k", AS_IT_IS},
    {"mixer.value_projection", NETWORK "0.fn.proj_v", AS_IT_IS},
    {"norm1.gain", NETWORK "0.norm.weight", AS_IT_IS},
    {"norm1.bias", NETWORK "0.norm.bias", AS_IT_IS},
    {"ffn.in.weight", NETWORK "1.fn.w1.weight", TRANSPOSED},
    {"ffn.in.bias", NETWORK "1.fn.w1.bias", AS_IT_IS},
    {"ffn.out.weight", NETWORK "1.fn.w2.weight", TRANSPOSED},
    {"ffn.out.bias", NETWORK "1.fn.w2.bias", AS_IT_IS},
    {"norm2.gain", NETWORK "1.norm.weight", AS_IT_IS},
    {"norm2.bias", NETWORK "1.norm.bias", AS_IT_IS},
    {0},
};
static const struct outside_name lra_names[] = {
    {"query.weight", "query/kernel", AS_IT_IS}, {"key.weight", "key/kernel", AS_IT_IS},
    {"value.weight", "value/kernel", AS_IT_IS}, {"output.weight", "out/kernel", AS_IT_IS},
    {"projection", "lr_kernel", AS_IT_IS},      {0},
};

#define LRA "form=lra k=4 width=16 heads=2 head_width=4 layers=1 attention_bias=0 output_bias=0 "

/* clang-format off */
const struct outside_section outside_linformer[] = {
    {"port/attention", .overrides = PORT "sharing=headwise", .names = port},
    {"port/attention_short", .overrides = PORT "sharing=headwise", .names = port},
    {"port/attention_one_kv_head", .overrides = PORT "sharing=headwise key_heads=1", .names = port},
    {"port/attention_share_kv", .overrides = PORT "sharing=kv", .names = port_tied, .apply = tied},
    {"port/network", .overrides = PORT "sharing=headwise hidden=32 activation=gelu",
     .names = network, .apply = outside_block, .path = "block.0"},
    {"lra/attention", .overrides = LRA "length=20", .names = lra_names},
    {"lra/attention_n20", "lra/attention", LRA "length=20", .names = lra_names},
    {"lra/encoder", .overrides = "form=lra k=16", .names = lra_names,
     .encoder = "LinformerAttention_1"},
    {0},
};
/* clang-format on */

/* SPDX-License-Identifier: Apache-2.0 */
/* Outside vectors of sparse_transformer.c: what other code computes, under its names.
 * The authors' openai/sparse_attention, and the layer of google-research/long-range-arena. */
#include "variants/outside.h"

/* Bare queries, keys and values [b, n, h w]. */
static tensor port_heads(layer *l, const tensor *x)
{
    struct heads h;
    h.query = split_heads(l, x[0], config_of(l)->heads);
    h.key = split_heads(l, x[1], config_of(l)->heads);
    h.value = split_heads(l, x[2], config_of(l)->heads);
    return merge_heads(l, sparse_transformer_attended(l, &h));
}

/* clang-format off */
static const char *const qkv[] = {"q", "k", "v", NULL};

#define PORT(name, options) \
    {"port/" name, .overrides = "width=8 heads=2 layers=1 length=16 " options, \
     .inputs = qkv, .apply = port_heads, .causal = true}
#define LRA "form=lra width=16 heads=2 head_width=4 layers=1 attention_bias=0 output_bias=0 "

const struct outside_section outside_sparse_transformer[] = {
    PORT("all", "stride=16"),
    PORT("local", "pattern=strided use=first window=4"),
    PORT("strided", "pattern=strided use=second"),
    PORT("blocksparse_local", "pattern=strided use=first window=4"),
    PORT("blocksparse_strided", "pattern=strided use=second"),
    PORT("blocksparse_fixed_1vert", ""),
    PORT("blocksparse_fixed_2verts", "stride=8 summary=2 subblocks=2"),
    {"lra/fixed", .overrides = LRA "length=15", .names = outside_lra_projections},
    {"lra/fixed_cls", "lra/fixed", LRA "length=14 pool=cls", .names = outside_lra_projections},
    {"lra/local_strided", "lra/fixed", LRA "length=15 pattern=strided window=3",
     .names = outside_lra_projections},
    {"lra/encoder", .overrides = "form=lra", .names = outside_lra_projections,
     .encoder = "SparseAttention_1"},
    {0}};
/* clang-format on */

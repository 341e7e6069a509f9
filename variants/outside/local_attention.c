/* SPDX-License-Identifier: Apache-2.0 */
/* Outside vectors of local_attention.c: what other code computes, under its names.
 * lucidrains/local-attention, and the layer of google-research/long-range-arena. */
#include "variants/outside.h"

/* Bare queries, keys and values [b, h, n, w]. */
static tensor port_windows(layer *l, const tensor *x)
{
    struct heads h;
    h.query = transpose(l->t, x[0], 1, 2);
    h.key = transpose(l->t, x[1], 1, 2);
    h.value = transpose(l->t, x[2], 1, 2);
    return transpose(l->t, local_attention_contiguous(l, &h), 1, 2);
}

/* clang-format off */
static const char *const qkv[] = {"q", "k", "v", NULL};

#define PORT(name, options, is_causal) \
    {"port/" name, .overrides = "width=4 heads=1 layers=1 block=4 length=" options, \
     .inputs = qkv, .apply = port_windows, .causal = is_causal}
#define LRA "form=lra block=4 width=16 heads=2 head_width=4 layers=1 attention_bias=0 output_bias=0 "

const struct outside_section outside_local_attention[] = {
    PORT("block", "16", false),
    PORT("block_autopad", "14", false),
    PORT("block_causal", "16", true),
    PORT("look_around1", "16 look_backward=1 look_forward=1", false),
    PORT("look_around1_exact", "16 look_backward=1 look_forward=1 exact=1", false),
    PORT("lookback1_causal", "16 look_backward=1", true),
    PORT("lookback1_exact_causal", "16 look_backward=1 exact=1", true),
    {"lra/attention", .overrides = LRA "length=15", .names = outside_lra_projections},
    {"lra/attention_divisible", "lra/attention", LRA "length=16",
     .names = outside_lra_projections},
    {"lra/encoder", .overrides = "form=lra block=4 layers=2", .names = outside_lra_projections,
     .encoder = "LocalAttention_1"},
    {0}};
/* clang-format on */

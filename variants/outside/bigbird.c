/* SPDX-License-Identifier: Apache-2.0 */
/* Outside vectors of bigbird.c: what other code computes, under its names.
 * The port in huggingface/transformers, and the layer of google-research/long-range-arena. */
#include "variants/outside.h"

/* The port ends before the output projection. */
static tensor port_layer(layer *l, const tensor *x)
{
    return bigbird_attended(l, x[0]);
}

/* clang-format off */
static const struct outside_name port[] = {
    {"query.weight", "query.weight", TRANSPOSED},
    {"key.weight", "key.weight", TRANSPOSED},
    {"value.weight", "value.weight", TRANSPOSED},
    {"random_blocks", "/output/random_blocks", AS_IT_IS},
    {0}};
static const struct outside_name lra_names[] = {
    {"query.weight", "query/kernel", AS_IT_IS},
    {"key.weight", "key/kernel", AS_IT_IS},
    {"value.weight", "value/kernel", AS_IT_IS},
    {"output.weight", "out/kernel", AS_IT_IS},
    {"random_blocks", "/buffer/random_blocks", AS_IT_IS},
    {0}};

#define PORT "width=8 heads=2 layers=1 block=2 attention_bias=0 output_bias=0 "
#define LRA "form=lra width=16 heads=2 head_width=4 layers=1 block=2 attention_bias=0 " \
    "output_bias=0 "

const struct outside_section outside_bigbird[] = {
    {"port/train", .overrides = PORT "length=24 random=1", .names = port, .apply = port_layer},
    {"port/train_r2", "port/train", PORT "length=28 random=2", .names = port,
     .apply = port_layer},
    {"lra/attention", .overrides = LRA "length=15 random=1", .names = lra_names},
    {"lra/attention_divisible", "lra/attention", LRA "length=16 random=1", .names = lra_names},
    {"lra/attention_r2", "lra/attention", LRA "length=21 random=2", .names = lra_names},
    {"lra/encoder", .overrides = "form=lra block=2 random=3 length=30", .names = lra_names,
     .encoder = "BigBirdAttention_1"},
    {0}};
/* clang-format on */

/* SPDX-License-Identifier: Apache-2.0 */
/* Outside vectors of longformer.c: what other code computes, under its names.
 * The authors' allenai/longformer, and the layer of google-research/long-range-arena. */
#include "variants/outside.h"

/* Flags of a tensor of numbers above `threshold`: i32 [b, n]. */
static tensor above(layer *l, tensor x, double threshold)
{
    size_t all = elements_of(x);
    int32_t *flag = tape_allocate(l->t, all * sizeof *flag);
    double *value = tape_allocate(l->t, all * sizeof *value);
    if (!flag || !value)
        return TENSOR_NONE;
    tensor_read(l->t, x, value);
    for (size_t e = 0; e < all; e++)
        flag[e] = value[e] > threshold;
    return tape_input_i32(l->t, x->shape, flag);
}

/* The authors' layer ends before the output projection. */
static tensor port_layer(layer *l, const tensor *x)
{
    return longformer_attended(l, x[0]);
}

/* Their mask: -1 padding, 0 local, 1 global. */
static tensor port_masked(layer *l, const tensor *x)
{
    l->context->valid = above(l, x[1], -0.5);
    stream_put(l, "global", above(l, x[1], 0.5));
    return longformer_attended(l, x[0]);
}

static tensor lra_masked(layer *l, const tensor *x)
{
    stream_put(l, "global", above(l, x[1], 0.5));
    return l->model->slot.mixer(l, x[0], TENSOR_NONE);
}

/* clang-format off */
#define LINEAR(name) \
    {name ".weight", name ".weight", TRANSPOSED}, {name ".bias", name ".bias", AS_IT_IS}
#define GLOBAL_LINEAR LINEAR("query_global"), LINEAR("key_global"), LINEAR("value_global")
static const struct outside_name port[] = {
    LINEAR("query"), LINEAR("key"), LINEAR("value"), {0}};
static const struct outside_name port_both[] = {
    LINEAR("query"), LINEAR("key"), LINEAR("value"), GLOBAL_LINEAR, {0}};
static const struct outside_name lra_names[] = {
    {"query.weight", "query_sliding_window/kernel", AS_IT_IS},
    {"key.weight", "key_sliding_window/kernel", AS_IT_IS},
    {"value.weight", "value_sliding_window/kernel", AS_IT_IS},
    {"query_global.weight", "query_global/kernel", AS_IT_IS},
    {"key_global.weight", "key_global/kernel", AS_IT_IS},
    {"value_global.weight", "value_global/kernel", AS_IT_IS},
    {"output.weight", "out/kernel", AS_IT_IS},
    {0}};
static const char *const masked[] = {"x", "attention_mask", NULL};
static const char *const marked[] = {"x", "global", NULL};

#define PORT "width=8 heads=2 layers=1 length=16 window=4 "
#define LRA "form=lra width=16 heads=2 head_width=4 layers=1 length=15 attention_bias=0 " \
    "output_bias=0 "

const struct outside_section outside_longformer[] = {
    {"port/sliding_chunks", .overrides = PORT "global=0", .names = port, .apply = port_layer},
    {"port/sliding_chunks_padded", "port/sliding_chunks", PORT "global=0", .names = port,
     .inputs = masked, .apply = port_masked},
    {"port/sliding_chunks_global", "port/sliding_chunks", PORT "global=1", .names = port_both,
     .inputs = masked, .apply = port_masked},
    {"lra/window4", .overrides = LRA "window=4", .names = lra_names},
    {"lra/window4_causal", "lra/window4", LRA "window=4", .names = lra_names, .causal = true},
    {"lra/window4_global", "lra/window4", LRA "window=4", .names = lra_names, .inputs = marked,
     .apply = lra_masked},
    {"lra/window5", "lra/window4", LRA "window=5", .names = lra_names},
    {"lra/encoder", .overrides = "form=lra window=4", .names = lra_names,
     .encoder = "LongformerAttention_1"},
    {0}};
/* clang-format on */

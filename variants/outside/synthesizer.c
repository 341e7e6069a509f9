/* SPDX-License-Identifier: Apache-2.0 */
/* Outside vectors of synthesizer.c: what other code computes, under its names.
 * leaderj1001/Synthesizer, and the layer of google-research/long-range-arena. */
#include "variants/outside.h"

/* The port ends before the output projection. */
static tensor port_softmax(layer *l, const tensor *x)
{
    return synthesizer_weighted(l, x[0], synthesizer_scores(l, x[0]));
}

static tensor port_plain_tiling(layer *l, const tensor *x)
{
    return synthesizer_weighted(l, x[0], synthesizer_factorised_dense(l, x[0], true));
}

/* R itself weighs the values. */
static tensor port_random(layer *l, const tensor *x)
{
    tensor v = apply_linear(l, "value", x[0], config_of(l)->width, true);
    tensor r = reshape(l->t, synthesizer_random_scores(l), SHAPE(12, 12));
    return matmul(l->t, expand(l->t, r, SHAPE(dim_of(v, 0), 12, 12)), v);
}

#define VALUE \
    {"value.weight", "value_fc.weight", TRANSPOSED}, \
    { \
        "value.bias", "value_fc.bias", AS_IT_IS \
    }
#define DOTS \
    {"query.weight", "query_fc.weight", TRANSPOSED}, {"query.bias", "query_fc.bias", AS_IT_IS}, \
        {"key.weight", "key_fc.weight", TRANSPOSED}, \
    { \
        "key.bias", "key_fc.bias", AS_IT_IS \
    }

/* clang-format off */
static const struct outside_name port_dense[] = {
    VALUE,
    {"dense.weight", "dense.0.weight", TRANSPOSED}, {"dense.bias", "dense.0.bias", AS_IT_IS},
    {"dense_out", "dense.2.weight", TRANSPOSED}, {"dense_out_bias", "dense.2.bias", AS_IT_IS},
    {0}};
static const struct outside_name port_factors[] = {
    VALUE,
    {"factor_a.weight", "a_proj.weight", TRANSPOSED}, {"factor_a.bias", "a_proj.bias", AS_IT_IS},
    {"factor_c.weight", "b_proj.weight", TRANSPOSED}, {"factor_c.bias", "b_proj.bias", AS_IT_IS},
    {0}};
static const struct outside_name port_dot[] = {VALUE, DOTS, {0}};
static const struct outside_name port_mixture[] = {
    VALUE, DOTS, {"random", "attention", AS_IT_IS}, {0}};
static const struct outside_name port_r[] = {VALUE, {"random", "attention", AS_IT_IS}, {0}};

#define VALUES {"value.weight", "value/kernel", AS_IT_IS}, {"output.weight", "out/kernel", AS_IT_IS}
#define QK {"query.weight", "query/kernel", AS_IT_IS}, {"key.weight", "key/kernel", AS_IT_IS}
#define DENSE_NAMES \
    {"dense.weight", "dense_syn/kernel", AS_IT_IS}, {"dense_out", "dense_syn_len/kernel", AS_IT_IS}
#define R_NAMES {"random_1", "random1", AS_IT_IS}, {"random_2", "random2", AS_IT_IS}
static const struct outside_name lra_dense[] = {VALUES, DENSE_NAMES, {0}};
static const struct outside_name lra_all[] = {VALUES, DENSE_NAMES, R_NAMES, QK, {0}};
static const struct outside_name lra_factors[] = {VALUES, R_NAMES, {0}};
static const struct outside_name lra_random[] = {VALUES, {"random", "random", AS_IT_IS}, {0}};
static const struct outside_name lra_dot[] = {VALUES, {"random", "random", AS_IT_IS}, QK, {0}};

#define PORT "width=8 heads=1 layers=1 length=12 attention_bias=1 pad_is_zero=0 random=no dot=0 "
#define LRA "form=lra width=16 heads=2 head_width=4 layers=1 length=14 pool=mean rank=3 " \
    "attention_bias=0 output_bias=0 random=no dot=0 "

const struct outside_section outside_synthesizer[] = {
    {"port/dense", .overrides = PORT "dense=1 dense_hidden=12", .names = port_dense,
     .apply = port_softmax},
    {"port/factorized_dense", .overrides = PORT "factorised_dense=1 factor=4",
     .names = port_factors, .apply = port_plain_tiling},
    {"port/factorized_random", .overrides = PORT "dot=1 scale_scores=0", .names = port_dot,
     .apply = port_softmax},
    {"port/mixture", .overrides = PORT "dot=1 scale_scores=0 random=trained",
     .names = port_mixture, .apply = port_softmax},
    {"port/random", .overrides = PORT "random=trained", .names = port_r, .apply = port_random},
    {"lra/dense", .overrides = LRA "dense=1", .names = lra_dense},
    {"lra/dense_factorized_random_dot", .overrides = LRA "dense=1 factorised_random=1 dot=1",
     .names = lra_all},
    {"lra/factorized_random", .overrides = LRA "factorised_random=1", .names = lra_factors},
    {"lra/random", .overrides = LRA "random=trained", .names = lra_random},
    {"lra/random_dot", .overrides = LRA "random=trained dot=1", .names = lra_dot},
    {"lra/encoder", .overrides = "form=lra length=12 random=trained dot=1", .names = lra_dot,
     .encoder = "SynthesizerAttention_1"},
    {0}};
/* clang-format on */

/* SPDX-License-Identifier: Apache-2.0 */
/* Outside vectors of linear_transformer.c: what other code computes, under its names.
 * The authors' idiap/fast-transformers, and the layer of google-research/long-range-arena. */
#include "variants/outside.h"

/* idiap/fast-transformers: Linear layers with biases. */
static const struct outside_name port[] = {
    {"query.weight", "query_projection.weight", TRANSPOSED},
    {"key.weight", "key_projection.weight", TRANSPOSED},
    {"value.weight", "value_projection.weight", TRANSPOSED},
    {"output.weight", "out_projection.weight", TRANSPOSED},
    {"query.bias", "query_projection.bias", AS_IT_IS},
    {"key.bias", "key_projection.bias", AS_IT_IS},
    {"value.bias", "value_projection.bias", AS_IT_IS},
    {"output.bias", "out_projection.bias", AS_IT_IS},
    {0},
};

#define PORT "width=8 heads=2 layers=1 length=12"
#define LRA "form=lra attention_bias=0 output_bias=0 "

const struct outside_section outside_linear_transformer[] = {
    {"port/layer", .overrides = PORT, .names = port},
    {"port/layer_causal", "port/layer", PORT, .names = port, .causal = true},
    {"port/layer_causal_padded", "port/layer", PORT, .names = port, .causal = true},
    {"lra/attention", .overrides = LRA "width=16 heads=2 head_width=4 layers=1 length=15",
     .names = outside_lra_projections},
    {"lra/encoder", .overrides = "form=lra", .names = outside_lra_projections,
     .encoder = "LinearAttention_1"},
    {0},
};

/* The recurrent module: bare q, k, v [2, 12, 2, 4], stepped; final state S and z. */
void linear_transformer_meets_the_recurrent_module(struct claim *c)
{
    tape *t = claim_tape(c);
    struct assay_shape shape = SHAPE(2, 12, 2, 4);
    tensor q = elu_plus_one(t, outside_tensor(c, t, "port/recurrent/input/q", AS_IT_IS, shape));
    tensor k = elu_plus_one(t, outside_tensor(c, t, "port/recurrent/input/k", AS_IT_IS, shape));
    tensor v = transpose(t, outside_tensor(c, t, "port/recurrent/input/v", AS_IT_IS, shape), 1, 2),
           end;
    q = transpose(t, q, 1, 2);
    k = transpose(t, k, 1, 2);
    tensor y = linear_transformer_recurrent_sums(t, q, k, with_ones(t, v), TENSOR_NONE, &end);
    outside_meets(c, transpose(t, linear_transformer_normalised(t, y, 1e-6), 1, 2),
                  "port/recurrent/output/y", "port/recurrent/output32/y", AS_IT_IS);
    outside_meets(c, slice(t, end, 2, 0, 4), "port/recurrent/output/state_S",
                  "port/recurrent/output32/state_S", AS_IT_IS);
    outside_meets(c, slice(t, end, 2, 4, 1), "port/recurrent/output/state_Z",
                  "port/recurrent/output32/state_Z", AS_IT_IS);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The reference's fillings of the slots: embedding, norm, linear, feed-forward,
 * residual, block, stack, head. */
#include <string.h>

#include "ref/arith.h"
#include "ref/model/internal.h"

const struct assay_slots assay_reference_slots = {
    .embed = reference_embed,
    .position = reference_position,
    .norm = reference_norm,
    .linear = reference_linear,
    .mixer = reference_mixer,
    .ffn = reference_ffn,
    .residual = reference_residual,
    .block = reference_block,
    .stack = reference_stack,
    .head = reference_head,
    .loss = reference_loss,
};

void slots_override(struct assay_slots *slot, const struct assay_variant *variant)
{
    if (!variant)
        return;
    const struct assay_slots *v = &variant->slot;
#define TAKE(name) slot->name = v->name ? v->name : slot->name
    TAKE(embed);
    TAKE(position);
    TAKE(norm);
    TAKE(linear);
    TAKE(mixer);
    TAKE(ffn);
    TAKE(residual);
    TAKE(block);
    TAKE(stack);
    TAKE(head);
    TAKE(loss);
#undef TAKE
}

#define UNDER(l, name, mixing, call) \
    do { \
        size_t mark = layer_enter(l, "%s", name); \
        bool before = tape_mixing((l)->t, mixing); \
        tensor result = call; \
        tape_mixing((l)->t, before); \
        layer_leave(l, mark); \
        return result; \
    } while (0)

tensor apply_norm(layer *l, const char *name, tensor x)
{
    UNDER(l, name, l->t->mixing, config_of(l)->norm == NORM_NONE ? x : l->model->slot.norm(l, x));
}
tensor apply_linear(layer *l, const char *name, tensor x, size_t out, bool bias)
{
    UNDER(l, name, false, l->model->slot.linear(l, x, out, bias));
}
tensor apply_mixer(layer *l, const char *name, tensor x, tensor memory)
{
    UNDER(l, name, true, l->model->slot.mixer(l, x, memory));
}
tensor apply_ffn(layer *l, const char *name, tensor x)
{
    UNDER(l, name, false, l->model->slot.ffn(l, x));
}
tensor apply_block(layer *l, const char *name, tensor x)
{
    UNDER(l, name, false, l->model->slot.block(l, x));
}

tensor drop(layer *l, const char *name, tensor x)
{
    double rate = config_of(l)->dropout;
    return l->context->train && rate > 0
               ? dropout(l->t, x, rate, tape_string(l->t, "%s.%s", l->path, name))
               : x;
}

bool path_ends(const layer *l, const char *end)
{
    size_t length = strlen(l->path), tail = strlen(end);
    return length >= tail && strcmp(l->path + length - tail, end) == 0;
}

/* Of a weight [fan_in, out]. T5 divides the query's deviation by the root of the head
 * width, because it has no scale. */
struct assay_init weight_init(const layer *l, size_t fan_in)
{
    const struct assay_config *c = config_of(l);
    double in = (double)fan_in * (path_ends(l, "query") ? (double)c->head_width : 1);
    switch (c->weights) {
    case WEIGHTS_NORMAL:
        return init_normal(c->weight_deviation);
    case WEIGHTS_TORCH:
        return init_torch_uniform(fan_in);
    case WEIGHTS_T5:
        return init_normal(assay_scalar_div(ASSAY_F32, 1, assay_scalar_sqrt(ASSAY_F32, in)));
    default:
        return init_xavier();
    }
}

/* With Xavier weights the benchmark's feed-forward biases start at deviation 1e-6. */
static struct assay_init bias_init(const layer *l, size_t fan_in)
{
    switch (config_of(l)->weights) {
    case WEIGHTS_TORCH:
        return init_torch_uniform(fan_in);
    case WEIGHTS_XAVIER:
        return init_normal(1e-6);
    default:
        return init_zeros();
    }
}

tensor linear_weight(layer *l, size_t in, size_t out)
{
    return param(l, "weight", SHAPE(in, out), weight_init(l, in));
}

tensor linear_bias(layer *l, size_t in, size_t out)
{
    return param(l, "bias", SHAPE(out), bias_init(l, in));
}

/* y = x weight + bias.  x: [.., in] -> [.., out] */
tensor reference_linear(layer *l, tensor x, size_t out, bool bias)
{
    if (!x)
        return TENSOR_NONE;
    size_t in = width_of(x);
    /* Asked for one by one: the registry keeps the order, and C leaves that of arguments open. */
    tensor weight = linear_weight(l, in, out);
    tensor shift = bias ? linear_bias(l, in, out) : TENSOR_NONE;
    return linear(l->t, x, weight, shift);
}

tensor reference_norm(layer *l, tensor x)
{
    const struct assay_config *c = config_of(l);
    if (!x)
        return TENSOR_NONE;
    tensor gain = c->norm_gain ? param(l, "gain", SHAPE(width_of(x)), init_ones()) : TENSOR_NONE;
    if (c->norm == NORM_RMS)
        return rms_norm(l->t, x, gain, c->norm_eps);
    tensor bias = c->norm_bias ? param(l, "bias", SHAPE(width_of(x)), init_zeros()) : TENSOR_NONE;
    return layer_norm(l->t, x, gain, bias, c->norm_eps);
}

tensor activation(layer *l, tensor x)
{
    switch (config_of(l)->activation) {
    case ACTIVATION_RELU:
        return relu(l->t, x);
    case ACTIVATION_GELU:
        return gelu(l->t, x);
    case ACTIVATION_GELU_TANH:
        return gelu_tanh(l->t, x);
    default:
        return silu(l->t, x);
    }
}

/* act(x W1) W2, or gated: (act(x Wg) * (x W1)) W2 (Shazeer 2020). */
tensor reference_ffn(layer *l, tensor x)
{
    const struct assay_config *c = config_of(l);
    if (!x)
        return TENSOR_NONE;
    size_t width = width_of(x);
    tensor y = apply_linear(l, "in", x, c->hidden, c->ffn_bias);
    if (c->gated)
        y = multiply(l->t, activation(l, apply_linear(l, "gate", x, c->hidden, c->ffn_bias)), y);
    else
        y = activation(l, y);
    return apply_linear(l, "out", drop(l, "inner", y), width, c->ffn_bias);
}

tensor reference_residual(layer *l, tensor x, tensor y)
{
    return add(l->t, x, y);
}

/* One sublayer in its frame: x + f(norm x), or norm(x + f x). */
static tensor framed(layer *l, const char *norm, const char *name, tensor x, tensor memory,
                     bool feed)
{
    bool pre = config_of(l)->placement == PLACE_PRE;
    tensor y = pre ? apply_norm(l, norm, x) : x;
    y = feed ? apply_ffn(l, name, y) : apply_mixer(l, name, y, memory);
    y = l->model->slot.residual(l, x, drop(l, name, y));
    return pre ? y : apply_norm(l, norm, y);
}

tensor reference_block(layer *l, tensor x)
{
    x = framed(l, "norm1", "mixer", x, TENSOR_NONE, false);
    if (l->context->memory)
        x = framed(l, "norm_cross", "cross", x, l->context->memory, false);
    return framed(l, "norm2", "ffn", x, TENSOR_NONE, true);
}

/* x: [b, n, d] through all blocks. */
tensor reference_stack(layer *l, tensor x)
{
    for (size_t i = 0; i < l->context->blocks; i++) {
        l->context->block = i;
        x = apply_block(l, tape_string(l->t, "block.%zu", i), x);
        trace(l, tape_string(l->t, "block.%zu", i), x);
    }
    return x;
}

/* A CLS token [1, 1, d] in front of x: [b, n, d] -> [b, n + 1, d];
 * its validity is that of the first token. */
static tensor prepend_cls(layer *l, tensor x)
{
    size_t samples = dim_of(x, 0), width = width_of(x);
    tensor cls =
        expand(l->t, param(l, "cls", SHAPE(1, 1, width), init_zeros()), SHAPE(samples, 1, width));
    if (l->context->valid)
        l->context->valid = concat(
            l->t, 1, 2, (tensor[]){slice(l->t, l->context->valid, 1, 0, 1), l->context->valid});
    l->context->length++;
    return concat(l->t, 1, 2, (tensor[]){cls, x});
}

/* "ids" [b, n] through the table, or "values" [b, n, f] through a linear layer -> [b, n, d]. */
static tensor token_vectors(layer *l)
{
    const struct assay_config *c = config_of(l);
    tensor ids = l->context->ids;
    if (!ids && c->inputs == INPUTS_VALUES)
        return apply_linear(l, "values", input(l, "values"), c->stream, true);
    if (!ids)
        return TENSOR_NONE;
    if (c->pad_is_zero && !l->context->causal)
        l->context->valid = nonzero(l->t, ids);
    tensor x = gather_rows(
        l->t, param(l, "token", SHAPE(c->vocab, c->stream), init_normal(c->embed_deviation)), ids);
    return c->scale_embedding ? scale(l->t, x, assay_scalar_sqrt(profile_of(l), (double)c->width))
                              : x;
}

tensor embed_rows(layer *l, tensor x)
{
    const struct assay_config *c = config_of(l);
    bool cls = c->pool == POOL_CLS && c->head == HEAD_CLASSIFY;
    if (x && cls && c->cls_position)
        x = prepend_cls(l, x);
    x = l->model->slot.position(l, x);
    if (x && cls && !c->cls_position)
        x = prepend_cls(l, x);
    if (x && c->embed_norm)
        x = apply_norm(l, "norm", x);
    return x ? drop(l, "embed", x) : TENSOR_NONE;
}

tensor reference_embed(layer *l)
{
    return embed_rows(l, token_vectors(l));
}

/* [b, n, d] -> [b, d]: the first row, or the mean over all positions, padding included
 * (as the benchmark has it). */
tensor pool_rows(layer *l, tensor x)
{
    if (!x)
        return TENSOR_NONE;
    tensor row = config_of(l)->pool == POOL_MEAN ? mean_over(l->t, x, 1) : slice(l->t, x, 1, 0, 1);
    return reshape(l->t, row, SHAPE(dim_of(x, 0), width_of(x)));
}

static tensor head_linear(layer *l, const char *name, tensor x, size_t out, bool bias)
{
    if (!x)
        return TENSOR_NONE;
    size_t mark = layer_enter(l, "%s", name), in = width_of(x);
    struct assay_init init =
        config_of(l)->weights == WEIGHTS_XAVIER ? init_lecun_normal() : weight_init(l, in);
    tensor weight = param(l, "weight", SHAPE(in, out), init);
    tensor y =
        linear(l->t, x, weight, bias ? param(l, "bias", SHAPE(out), init_zeros()) : TENSOR_NONE);
    layer_leave(l, mark);
    return y;
}

/* Classes: pool -> (hidden -> ReLU ->) classes.  Two towers: x is [e1, e2, ..] already pooled.
 * Language: every position. */
tensor reference_head(layer *l, tensor x)
{
    const struct assay_config *c = config_of(l);
    if (!x)
        return TENSOR_NONE;
    if (c->head == HEAD_LANGUAGE && c->tie_embedding) {
        if (c->preset == PRESET_T5)
            x = scale(l->t, x,
                      assay_scalar_div(profile_of(l), 1,
                                       assay_scalar_sqrt(profile_of(l), (double)c->width)));
        return matmul_nt(l->t, x, l->context->embedding);
    }
    if (c->head == HEAD_LANGUAGE)
        return head_linear(l, "output", x, c->vocab, c->head_bias);
    tensor y = c->head == HEAD_TWO_TOWER ? x : pool_rows(l, x);
    if (c->head_hidden)
        y = relu(l->t, head_linear(l, "hidden", y, c->head_hidden, true));
    if (c->head == HEAD_TWO_TOWER && c->head_hidden)
        y = relu(l->t, head_linear(l, "hidden2", y, c->head_hidden / 2, true));
    return head_linear(l, "output", y, c->classes, c->head_bias);
}

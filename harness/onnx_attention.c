/* SPDX-License-Identifier: Apache-2.0 */
/* Attention as nodes of ONNX: heads in front, products, masks as sets, softmax. */
#include "harness/onnx_nodes.h"

static const char *both(struct assay_onnx *g, const char *a, const char *b)
{
    return a && b ? two(g, "And", a, b) : a ? a : b;
}

/* The keys that causality and the window leave to each query, bool [n, n_k]; NULL: all. */
static const char *window(struct assay_onnx *g, tensor y, size_t queries, size_t keys)
{
    bool causal = number_of(y, ATTENTION_CAUSAL) != 0, all = true;
    unsigned char *allowed = tape_allocate(g->t, queries * keys);
    for (size_t i = 0; allowed && i < queries; i++)
        for (size_t j = 0; j < keys; j++) {
            double ahead = (double)j - (number_of(y, ATTENTION_FIRST) + (double)i);
            allowed[i * keys + j] = (!causal || ahead <= 0)
                                    && ahead >= -number_of(y, ATTENTION_LEFT)
                                    && ahead <= number_of(y, ATTENTION_RIGHT);
            all &= allowed[i * keys + j];
        }
    return all ? NULL
               : assay_onnx_constant(g, NULL, ASSAY_ONNX_BOOL, SHAPE(queries, keys), allowed);
}

static const char *attention_allowed(struct assay_onnx *g, tensor y, const char *const *x,
                                     size_t queries, size_t keys)
{
    const char *allowed = window(g, y, queries, keys);
    if (x[3]) /* key_valid [b, n_k] */
        allowed =
            both(g, allowed, unsqueezed(g, unsqueezed(g, cast(g, x[3], ASSAY_ONNX_BOOL), 1), 1));
    if (x[4]) /* query_valid [b, n] */
        allowed =
            both(g, allowed, unsqueezed(g, unsqueezed(g, cast(g, x[4], ASSAY_ONNX_BOOL), 1), -1));
    return x[5] ? both(g, allowed, cast(g, x[5], ASSAY_ONNX_BOOL)) : allowed;
}

/* Keys or values [b, n_k, g, w] -> [b, h, keys, w]: cut to the keys there are, each head's for all
 * the query heads that read it. */
static const char *of_heads(struct assay_onnx *g, const char *name, tensor x, size_t keys,
                            size_t heads)
{
    size_t b = dim_of(x, 0), own = dim_of(x, 2), width = dim_of(x, 3);
    if (keys < dim_of(x, 1))
        name = sliced(g, name, 1, 0, (int64_t)keys, 1);
    name = transposed(g, name, INTEGERS(0, 2, 1, 3));
    if (own == heads)
        return name;
    name = shaped(g, "Expand", unsqueezed(g, name, 2), SHAPE(b, own, heads / own, keys, width));
    return shaped(g, "Reshape", name, SHAPE(b, heads, keys, width));
}

/* query [b, n, h, w], key [b, n_k, g, w], value [b, n_k, g, v] -> [b, n, h, v], or the
 * probabilities [b, h, n, n_k], or log-sum-exp [b, h, n]. */
RULE(assay_onnx_attention)
{
    tensor query = operand_of(y, 0);
    size_t keys = (size_t)number_of(y, ATTENTION_KEYS), heads = dim_of(query, 2);
    if (number_of(y, ATTENTION_DROPOUT) > 0)
        return NULL;
    const char *q = transposed(g, x[0], INTEGERS(0, 2, 1, 3));
    const char *k = turned(g, of_heads(g, x[1], operand_of(y, 1), keys, heads), 4);
    const char *scores = two(g, "MatMul", q, k);
    scores = two(g, "Mul", scores, number(g, number_of(y, ATTENTION_SCALE)));
    if (x[6])
        scores = two(g, "Add", scores, x[6]);
    const char *allowed = attention_allowed(g, y, x, dim_of(query, 1), keys);
    if (number_of(y, ATTENTION_RESULT) == ATTENTION_LOG_SUM)
        return shaped(g, "Reshape", log_sum_exp_of(g, scores, allowed), y->shape);
    const char *p = softmax_of(g, scores, allowed, number_of(y, ATTENTION_UNIFORM_IF_EMPTY) != 0);
    if (number_of(y, ATTENTION_RESULT) == ATTENTION_PROBABILITY)
        return p;
    const char *v = of_heads(g, x[2], operand_of(y, 2), keys, heads);
    return transposed(g, two(g, "MatMul", p, v), INTEGERS(0, 2, 1, 3));
}

/* SPDX-License-Identifier: Apache-2.0 */
/* What causal mixers without softmax share: the depthwise convolution over the last few tokens, and
 * the triangle of the pairs that causality allows, for their n x n forms. */
#include "ref/model/internal.h"

tensor causal_convolution(tape *t, tensor x, tensor weight, tensor bias, tensor before)
{
    if (!x || !weight)
        return TENSOR_NONE;
    size_t n = dim_of(x, 1), taps = dim_of(weight, 0), past = taps - 1;
    tensor all = x, y = TENSOR_NONE;
    if (past && before) {
        tensor tail = slice(t, before, 1, dim_of(before, 1) - past, past);
        all = concat(t, 1, 2, (tensor[]){tail, x});
    } else if (past) {
        all = pad(t, x, 1, past, 0);
    }
    for (size_t j = 0; j < taps; j++) {
        tensor shifted = slice(t, all, 1, j, n), tap = slice(t, weight, 0, j, 1);
        tensor term = multiply(t, shifted, tap);
        y = j ? add(t, y, term) : term;
    }
    return bias ? add(t, y, bias) : y;
}

tensor short_convolution(layer *l, const char *name, tensor x, size_t taps, bool bias)
{
    if (!x)
        return TENSOR_NONE;
    size_t mark = layer_enter(l, "%s", name), width = width_of(x), n = dim_of(x, 1);
    bool decoding = l->context->decode != NULL;
    tensor before = decoding ? carried(l, "state", SHAPE(dim_of(x, 0), taps, width)) : TENSOR_NONE;
    tensor weight = param(l, "weight", SHAPE(taps, width), init_torch_uniform(taps));
    tensor shift = bias ? param(l, "bias", SHAPE(width), init_torch_uniform(taps)) : TENSOR_NONE;
    tensor y = causal_convolution(l->t, x, weight, shift, before);
    if (decoding) {
        tensor all = concat(l->t, 1, 2, (tensor[]){before, x});
        carry(l, "state", slice(l->t, all, 1, n, taps));
    }
    layer_leave(l, mark);
    return y;
}

tensor causal_ones(tape *t, size_t n)
{
    double *one = tape_allocate(t, n * n * sizeof *one);
    for (size_t i = 0; one && i < n * n; i++)
        one[i] = i % n <= i / n;
    return one ? tape_input_f64(t, SHAPE(n, n), one) : TENSOR_NONE;
}

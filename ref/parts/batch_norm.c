/* SPDX-License-Identifier: Apache-2.0 */
/* Batch norms: moments of channels over a batch, and their running means. eps and momentum are those of
 * PyTorch. */
#include "ref/arith.h"
#include "ref/model/internal.h"

static const double batch_eps = 1e-5, keep = 0.9;

struct moments batch_moments(layer *l, tensor x)
{
    tape *t = l->t;
    struct moments m = {TENSOR_NONE, TENSOR_NONE};
    if (!x)
        return m;
    size_t d = width_of(x), rows = rows_of(x);
    m.mean = buffer(l, "mean", SHAPE(d), init_zeros());
    m.variance = buffer(l, "variance", SHAPE(d), init_ones());
    if (!l->context->train)
        return m;
    tensor flat = reshape(t, x, SHAPE(rows, d));
    m.mean = mean_over(t, flat, 0);
    m.variance = mean_over(t, square(t, subtract(t, flat, m.mean)), 0);
    double unbiased =
        assay_scalar_div(profile_of(l), (double)rows, rows > 1 ? (double)(rows - 1) : 1);
    buffer_emit(l, "mean", m.mean, keep);
    buffer_emit(l, "variance", scale(t, m.variance, unbiased), keep);
    return m;
}

tensor batch_norm(layer *l, const char *name, tensor x, double first_gain)
{
    tape *t = l->t;
    if (!x)
        return TENSOR_NONE;
    size_t mark = layer_enter(l, "%s", name), d = width_of(x);
    tensor gain = param(l, "gain", SHAPE(d), init_constant(first_gain));
    tensor bias = param(l, "bias", SHAPE(d), init_zeros());
    struct moments m = batch_moments(l, x);
    tensor deviation = square_root(t, offset(t, m.variance, batch_eps));
    x = divide(t, subtract(t, x, m.mean), deviation);
    x = add(t, multiply(t, x, gain), bias);
    layer_leave(l, mark);
    return x;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Layers of the diffusion transformer. */
#include "ref/parts/diffusion.h"

#include "ref/arith.h"
#include "ref/elementary.h"
#include "ref/model/internal.h"

tensor time_features(tape *t, tensor time, size_t channels)
{
    size_t half = channels / 2;
    double *index = tape_allocate(t, half * sizeof *index);
    if (!time || !index)
        return TENSOR_NONE;
    for (size_t i = 0; i < half; i++)
        index[i] = (double)i;
    tensor exponent = scale(t, tape_input_f64(t, SHAPE(1, half), index),
                            -assay_scalar_log(t->kernels->profile, 10000));
    tensor rate = exponential(t, divide_by(t, exponent, (double)half));
    tensor angle = multiply(t, reshape(t, time, SHAPE(elements_of(time), 1)), rate);
    tensor part[2] = {cosine(t, angle)};
    part[1] = sine(t, angle);
    return concat(t, 1, 2, part);
}

tensor diffusion_condition(layer *l, tensor time, tensor label, size_t classes, size_t channels)
{
    size_t d = config_of(l)->stream;
    tensor y = apply_linear(l, "time.in", time_features(l->t, time, channels), d, true);
    y = y ? apply_linear(l, "time.out", silu(l->t, y), d, true) : TENSOR_NONE;
    tensor table = param(l, "class", SHAPE(classes + 1, d), init_normal(0.02));
    return y ? add(l->t, y, gather_rows(l->t, table, label)) : TENSOR_NONE;
}

void diffusion_modulation(layer *l, tensor condition, int count, tensor *part)
{
    size_t mark = layer_enter(l, "modulation"), b = dim_of(condition, 0), d = width_of(condition);
    tensor weight = param(l, "weight", SHAPE(d, (size_t)count * d), init_zeros());
    tensor bias = param(l, "bias", SHAPE((size_t)count * d), init_zeros());
    tensor all = linear(l->t, silu(l->t, condition), weight, bias);
    for (int i = 0; i < count; i++)
        part[i] = reshape(l->t, slice(l->t, all, 1, (size_t)i * d, d), SHAPE(b, 1, d));
    layer_leave(l, mark);
}

tensor diffusion_modulated(layer *l, const char *norm, tensor x, tensor shift, tensor scale)
{
    tensor y = apply_norm(l, norm, x);
    return add(l->t, multiply(l->t, y, offset(l->t, scale, 1)), shift);
}

/* [n, d], n tokens in rows of `columns`: half of a row says the column, half the row, each as
 * sin(p w_i), then cos(p w_i), w_i = 10000^(-i / (d / 4)). */
static void places(struct assay_shape shape, double columns, double *value)
{
    size_t d = shape.dim[1], wide = (size_t)columns, quarter = d / 4;
    for (size_t e = 0; e < shape.dim[0] * d; e++) {
        size_t token = e / d, j = e % d, place = j < d / 2 ? token % wide : token / wide,
               k = j % (d / 2);
        double rate =
            assay_wide_exp(-assay_wide_log(10000) * (double)(k % quarter) / (double)quarter);
        value[e] = k < quarter ? assay_wide_sin((double)place * rate)
                               : assay_wide_cos((double)place * rate);
    }
}

tensor diffusion_tokens(layer *l, tensor pixels, struct grid g, size_t patch)
{
    size_t d = config_of(l)->stream, n = g.rows * g.columns / (patch * patch);
    tensor x = apply_linear(l, "patch", image_patches(l->t, pixels, g, patch), d, true);
    tensor table =
        buffer(l, "position", SHAPE(n, d), init_table(places, (double)(g.columns / patch)));
    return x ? add(l->t, x, table) : TENSOR_NONE;
}

tensor diffusion_pixels(layer *l, tensor x, tensor condition, struct grid g, size_t patch,
                        size_t channels)
{
    tensor part[2];
    if (!x || !condition)
        return TENSOR_NONE;
    diffusion_modulation(l, condition, 2, part);
    x = diffusion_modulated(l, "norm", x, part[0], part[1]);
    size_t mark = layer_enter(l, "output"), out = patch * patch * channels;
    tensor weight = param(l, "weight", SHAPE(width_of(x), out), init_zeros());
    tensor y = linear(l->t, x, weight, param(l, "bias", SHAPE(out), init_zeros()));
    layer_leave(l, mark);
    return image_from_patches(l->t, y, g, patch);
}

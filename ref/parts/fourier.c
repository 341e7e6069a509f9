/* SPDX-License-Identifier: Apache-2.0 */
/* Convolutions as long as what they convolve, by Fourier transforms made of ops. */
#include "ref/elementary.h"
#include "ref/model/internal.h"

struct complex {
    tensor re, im;
};

/* exp(-2 pi i j k / n), j < rows, k < columns: [rows, columns, 1] */
static struct complex roots(tape *t, size_t n, size_t rows, size_t columns)
{
    size_t count = rows * columns;
    double *re = tape_allocate(t, count * sizeof *re), *im = tape_allocate(t, count * sizeof *im);
    struct complex w = {TENSOR_NONE, TENSOR_NONE};
    for (size_t i = 0; im && i < count; i++) {
        double angle = 6.283185307179586 * (double)(i / columns * (i % columns) % n) / (double)n;
        re[i] = assay_wide_cos(angle);
        im[i] = -assay_wide_sin(angle);
    }
    if (!im)
        return w;
    w.re = tape_input_f64(t, SHAPE(rows, columns, 1), re);
    w.im = tape_input_f64(t, SHAPE(rows, columns, 1), im);
    return w;
}

typedef tensor multiplication(tape *t, tensor x, tensor y);

static struct complex product(tape *t, multiplication *f, struct complex a, struct complex b)
{
    tensor re = f(t, a.re, b.re), im = f(t, a.re, b.im);
    re = subtract(t, re, f(t, a.im, b.im));
    return (struct complex){re, add(t, im, f(t, a.im, b.re))};
}

static struct complex shaped(tape *t, struct complex x, struct assay_shape shape)
{
    x.re = reshape(t, x.re, shape);
    return (struct complex){x.re, reshape(t, x.im, shape)};
}

/* sum_j x_j exp(-2 pi i j k / n), n = 2^p or 3 2^p, in steps of factors, which sort themselves: of
 * x [rows, factor, m, s] the sums over the factor become [rows, m, factor, s]. */
static struct complex transformed(tape *t, struct complex x)
{
    size_t rows = dim_of(x.re, 0), all = width_of(x.re), s = 1, factor;
    for (size_t n = all; n > 1 && x.re && x.im; n /= factor, s *= factor) {
        factor = n % 3 == 0 ? 3 : 2;
        size_t m = n / factor;
        struct complex sums = shaped(t, roots(t, factor, factor, factor), SHAPE(factor, factor));
        x = product(t, matmul_tn, shaped(t, x, SHAPE(rows, factor, m * s)), sums);
        x = shaped(t, x, SHAPE(rows, m, s, factor));
        x.re = transpose(t, x.re, 2, 3);
        x.im = transpose(t, x.im, 2, 3);
        x = shaped(t, product(t, multiply, x, roots(t, n, m, factor)), SHAPE(rows, all));
    }
    return x;
}

/* The first 2^p or 3 2^p from 2 n on, where sums do not wrap around. */
static size_t transform_size(size_t n)
{
    size_t two = 1, three = 3;
    while (two < 2 * n)
        two *= 2;
    while (three < 2 * n)
        three *= 2;
    return two < three ? two : three;
}

size_t long_convolution_products(size_t n)
{
    size_t all = transform_size(n), terms = 0;
    for (size_t left = all, factor; left > 1; left /= factor) {
        factor = left % 3 == 0 ? 3 : 2;
        terms += factor;
    }
    return 4 * all * terms;
}

tensor long_convolution(tape *t, tensor x, tensor kernel)
{
    if (!x || !kernel)
        return TENSOR_NONE;
    size_t b = dim_of(x, 0), n = dim_of(x, 1), c = width_of(kernel), own = width_of(x),
           N = transform_size(n);
    struct complex X, H, y;
    X.re = pad(t, reshape(t, transpose(t, x, 1, 2), SHAPE(b * own, n)), 1, 0, N - n);
    H.re = pad(t, transpose(t, kernel, 0, 1), 1, 0, N - n);
    if (!X.re || !H.re)
        return TENSOR_NONE;
    X.im = tape_filled(t, X.re->shape, 0);
    H.im = tape_filled(t, H.re->shape, 0);
    X = shaped(t, transformed(t, X), SHAPE(b, own, N));
    y = product(t, multiply, X, transformed(t, H));
    /* The inverse: conjugates, before and after. */
    y.im = negate(t, y.im);
    y = shaped(t, y, SHAPE(b * c, N));
    if (!y.re || !y.im)
        return TENSOR_NONE;
    y = transformed(t, y);
    tensor real = slice(t, reshape(t, y.re, SHAPE(b, c, N)), 2, 0, n);
    return transpose(t, divide_by(t, real, (double)N), 1, 2);
}

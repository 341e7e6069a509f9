/* SPDX-License-Identifier: Apache-2.0 */
/* Mistakes in layer norms and root-mean-square norms. */
#include <math.h>
#include <string.h>

#include "harness/power/mutant.h"

/* ---- the same norm with other numbers ---- */

#define WITH_EPS(name, wrong) \
    static void name##_layer(size_t rows, size_t width, double eps, const void *x, \
                             const void *gain, const void *bias, void *y, void *mean, \
                             void *deviation) \
    { \
        below()->layer_norm(rows, width, wrong, x, gain, bias, y, mean, deviation); \
    } \
    static void name##_rms(size_t rows, size_t width, double eps, const void *x, const void *gain, \
                           void *y, void *deviation) \
    { \
        below()->rms_norm(rows, width, wrong, x, gain, y, deviation); \
    } \
    void mistake_##name(struct assay_kernels *table) \
    { \
        table->layer_norm = name##_layer; \
        table->rms_norm = name##_rms; \
    }

WITH_EPS(norm_eps_tenth, eps / 10)
WITH_EPS(norm_eps_missing, 0 * eps)

/* A norm written out: mean and mean square about it, the deviation from them by a rule. */
struct norm {
    size_t rows, width;
    double eps;
    const void *x, *gain, *bias;
    void *y, *mean, *deviation; /* mean NULL: rms */
};

typedef double (*rule)(double mean_square, double eps, size_t width);

static void norm_by(rule deviation_of, const struct norm *n)
{
    void *value = borrow(n->rows * n->width);
    for (size_t r = 0; value && r < n->rows; r++) {
        const void *x = element_at(n->x, r * n->width);
        double mean = 0, square = 0;
        for (size_t j = 0; n->mean && j < n->width; j++)
            mean += element(x, j) / (double)n->width;
        for (size_t j = 0; j < n->width; j++)
            square += pow(element(x, j) - mean, 2) / (double)n->width;
        double deviation = deviation_of(square, n->eps, n->width);
        if (n->mean)
            element_set(n->mean, r, mean);
        element_set(n->deviation, r, deviation);
        for (size_t j = 0; j < n->width; j++)
            element_set(value, r * n->width + j,
                        (element(x, j) - mean) / deviation * (n->gain ? element(n->gain, j) : 1)
                            + (n->bias ? element(n->bias, j) : 0));
    }
    if (value)
        deliver(n->rows * n->width, value, n->y, ASSAY_STORE);
    release();
}

static double outside(double square, double eps, size_t width)
{
    (void)width;
    return sqrt(square) + eps;
}

static double unbiased(double square, double eps, size_t width)
{
    return sqrt(square * (double)width / (double)(width - (width > 1)) + eps);
}

/* A reciprocal root of 12 bits, as an instruction gives it before its Newton step. */
static double fast_root(double square, double eps, size_t width)
{
    int exponent;
    (void)width;
    double fraction = frexp(1 / sqrt(square + eps), &exponent);
    return 1 / ldexp(floor(ldexp(fraction, 12)), exponent - 12);
}

#define BY_RULE(name, rule) \
    static void name##_layer(size_t rows, size_t width, double eps, const void *x, \
                             const void *gain, const void *bias, void *y, void *mean, \
                             void *deviation) \
    { \
        norm_by(rule, &(struct norm){rows, width, eps, x, gain, bias, y, mean, deviation}); \
    } \
    static void name##_rms(size_t rows, size_t width, double eps, const void *x, const void *gain, \
                           void *y, void *deviation) \
    { \
        norm_by(rule, &(struct norm){rows, width, eps, x, gain, NULL, y, NULL, deviation}); \
    } \
    void mistake_##name(struct assay_kernels *table) \
    { \
        table->layer_norm = name##_layer; \
        table->rms_norm = name##_rms; \
    }

BY_RULE(norm_eps_outside, outside)
BY_RULE(norm_fast_root, fast_root)
BY_RULE(norm_unbiased, unbiased)

/* ---- one norm for the other ---- */

static void layer_as_rms(size_t rows, size_t width, double eps, const void *x, const void *gain,
                         const void *bias, void *y, void *mean, void *deviation)
{
    (void)bias;
    below()->fill(rows, 0, mean);
    below()->rms_norm(rows, width, eps, x, gain, y, deviation);
}

static void layer_as_rms_backward(size_t rows, size_t width, const void *x, const void *gain,
                                  const void *mean, const void *deviation, const void *dy, void *dx,
                                  void *d_gain, void *d_bias, void *scratch)
{
    (void)mean;
    (void)d_bias;
    below()->rms_norm_backward(rows, width, x, gain, deviation, dy, dx, d_gain, scratch);
}

void mistake_norm_not_centred(struct assay_kernels *table)
{
    table->layer_norm = layer_as_rms;
    table->layer_norm_backward = layer_as_rms_backward;
}

static void rms_as_layer(size_t rows, size_t width, double eps, const void *x, const void *gain,
                         void *y, void *deviation)
{
    void *mean = borrow(rows);
    if (mean)
        below()->layer_norm(rows, width, eps, x, gain, NULL, y, mean, deviation);
    release();
}

static void rms_as_layer_backward(size_t rows, size_t width, const void *x, const void *gain,
                                  const void *deviation, const void *dy, void *dx, void *d_gain,
                                  void *scratch)
{
    void *mean = borrow(rows);
    if (mean) {
        below()->sum(rows, width, 1, x, mean, ASSAY_STORE);
        below()->map(MAP_DIVIDE, rows, (double)width, mean, mean, ASSAY_STORE);
        below()->layer_norm_backward(rows, width, x, gain, mean, deviation, dy, dx, d_gain, NULL,
                                     scratch);
    }
    release();
}

void mistake_norm_rms_centred(struct assay_kernels *table)
{
    table->rms_norm = rms_as_layer;
    table->rms_norm_backward = rms_as_layer_backward;
}

/* ---- gain and bias ---- */

static void layer_forward(size_t rows, size_t width, double eps, const void *x, const void *gain,
                          const void *bias, void *y, void *mean, void *deviation)
{
    (void)gain;
    below()->layer_norm(rows, width, eps, x, NULL, bias, y, mean, deviation);
}

static void layer_no_gain_backward(size_t rows, size_t width, const void *x, const void *gain,
                                   const void *mean, const void *deviation, const void *dy,
                                   void *dx, void *d_gain, void *d_bias, void *scratch)
{
    (void)gain;
    (void)d_gain;
    below()->layer_norm_backward(rows, width, x, NULL, mean, deviation, dy, dx, NULL, d_bias,
                                 scratch);
}

static void rms_no_gain(size_t rows, size_t width, double eps, const void *x, const void *gain,
                        void *y, void *deviation)
{
    (void)gain;
    below()->rms_norm(rows, width, eps, x, NULL, y, deviation);
}

static void rms_no_gain_backward(size_t rows, size_t width, const void *x, const void *gain,
                                 const void *deviation, const void *dy, void *dx, void *d_gain,
                                 void *scratch)
{
    (void)gain;
    (void)d_gain;
    below()->rms_norm_backward(rows, width, x, NULL, deviation, dy, dx, NULL, scratch);
}

void mistake_norm_gain_missing(struct assay_kernels *table)
{
    table->layer_norm = layer_forward;
    table->layer_norm_backward = layer_no_gain_backward;
    table->rms_norm = rms_no_gain;
    table->rms_norm_backward = rms_no_gain_backward;
}

/* Only the gradient with respect to x forgets the gain. */
static void layer_no_gain_dx(size_t rows, size_t width, const void *x, const void *gain,
                             const void *mean, const void *deviation, const void *dy, void *dx,
                             void *d_gain, void *d_bias, void *scratch)
{
    (void)gain;
    below()->layer_norm_backward(rows, width, x, NULL, mean, deviation, dy, dx, d_gain, d_bias,
                                 scratch);
}

static void rms_no_gain_dx(size_t rows, size_t width, const void *x, const void *gain,
                           const void *deviation, const void *dy, void *dx, void *d_gain,
                           void *scratch)
{
    (void)gain;
    below()->rms_norm_backward(rows, width, x, NULL, deviation, dy, dx, d_gain, scratch);
}

void mistake_norm_gain_missing_dx(struct assay_kernels *table)
{
    table->layer_norm_backward = layer_no_gain_dx;
    table->rms_norm_backward = rms_no_gain_dx;
}

static void layer_no_bias(size_t rows, size_t width, double eps, const void *x, const void *gain,
                          const void *bias, void *y, void *mean, void *deviation)
{
    (void)bias;
    below()->layer_norm(rows, width, eps, x, gain, NULL, y, mean, deviation);
}

static void layer_no_bias_backward(size_t rows, size_t width, const void *x, const void *gain,
                                   const void *mean, const void *deviation, const void *dy,
                                   void *dx, void *d_gain, void *d_bias, void *scratch)
{
    (void)d_bias;
    below()->layer_norm_backward(rows, width, x, gain, mean, deviation, dy, dx, d_gain, NULL,
                                 scratch);
}

void mistake_norm_bias_missing(struct assay_kernels *table)
{
    table->layer_norm = layer_no_bias;
    table->layer_norm_backward = layer_no_bias_backward;
}

/* Weights of a model whose gain is kept as gain - 1. */
static void *gain_plus_one(size_t width, const void *gain)
{
    void *wrong = gain ? borrow(width) : NULL;
    for (size_t j = 0; wrong && j < width; j++)
        element_set(wrong, j, 1 + element(gain, j));
    return wrong;
}

static void layer_plus_one(size_t rows, size_t width, double eps, const void *x, const void *gain,
                           const void *bias, void *y, void *mean, void *deviation)
{
    below()->layer_norm(rows, width, eps, x, gain_plus_one(width, gain), bias, y, mean, deviation);
    release();
}

static void rms_plus_one(size_t rows, size_t width, double eps, const void *x, const void *gain,
                         void *y, void *deviation)
{
    below()->rms_norm(rows, width, eps, x, gain_plus_one(width, gain), y, deviation);
    release();
}

void mistake_norm_gain_plus_one(struct assay_kernels *table)
{
    table->layer_norm = layer_plus_one;
    table->rms_norm = rms_plus_one;
}

/* d_gain = sum of dy, as if it were the bias. */
static void gain_gradient_plain(size_t rows, size_t width, const void *x, const void *gain,
                                const void *mean, const void *deviation, const void *dy, void *dx,
                                void *d_gain, void *d_bias, void *scratch)
{
    below()->layer_norm_backward(rows, width, x, gain, mean, deviation, dy, dx, NULL, d_bias,
                                 scratch);
    below()->layer_norm_backward(rows, width, x, gain, mean, deviation, dy, NULL, NULL, d_gain,
                                 scratch);
}

REPLACES(norm_gain_gradient_plain, layer_norm_backward, gain_gradient_plain)

/* d_gain = sum of dy x, with x as it came. */
static void gain_gradient_raw(size_t rows, size_t width, const void *x, const void *gain,
                              const void *mean, const void *deviation, const void *dy, void *dx,
                              void *d_gain, void *d_bias, void *scratch)
{
    void *zeros = borrow(rows), *ones = borrow(rows);
    if (zeros && ones) {
        below()->fill(rows, 1, ones);
        below()->layer_norm_backward(rows, width, x, gain, mean, deviation, dy, dx, NULL, d_bias,
                                     scratch);
        below()->layer_norm_backward(rows, width, x, gain, zeros, ones, dy, NULL, d_gain, NULL,
                                     scratch);
    }
    release();
}

REPLACES(norm_gain_gradient_raw, layer_norm_backward, gain_gradient_raw)

/* ---- gradients ---- */

/* dx = (dy gain - [xhat mean(dy gain xhat)]) / deviation: the mean is taken for a constant, and
 * without the brackets the deviation, too. */
static void constant_gradient(bool deviation_too, const struct norm *n, const void *dy, void *dx)
{
    void *value = borrow(n->rows * n->width);
    for (size_t r = 0; value && r < n->rows; r++) {
        size_t at = r * n->width;
        double mean = n->mean ? element(n->mean, r) : 0, deviation = element(n->deviation, r);
        double product = 0;
        for (size_t j = 0; j < n->width && !deviation_too; j++)
            product += element(dy, at + j) * (n->gain ? element(n->gain, j) : 1)
                       * (element(n->x, at + j) - mean) / deviation / (double)n->width;
        for (size_t j = 0; j < n->width; j++)
            element_set(value, at + j,
                        (element(dy, at + j) * (n->gain ? element(n->gain, j) : 1)
                         - (element(n->x, at + j) - mean) / deviation * product)
                            / deviation);
    }
    if (value)
        deliver(n->rows * n->width, value, dx, ASSAY_ADD);
    release();
}

static struct norm kept(size_t rows, size_t width, const void *x, const void *gain,
                        const void *mean, const void *deviation)
{
    return (struct norm){.rows = rows,
                         .width = width,
                         .x = x,
                         .gain = gain,
                         .mean = element_at(mean, 0),
                         .deviation = element_at(deviation, 0)};
}

#define CONSTANT(name, deviation_too) \
    static void name##_layer(size_t rows, size_t width, const void *x, const void *gain, \
                             const void *mean, const void *deviation, const void *dy, void *dx, \
                             void *d_gain, void *d_bias, void *scratch) \
    { \
        struct norm n = kept(rows, width, x, gain, mean, deviation); \
        below()->layer_norm_backward(rows, width, x, gain, mean, deviation, dy, NULL, d_gain, \
                                     d_bias, scratch); \
        if (dx) \
            constant_gradient(deviation_too, &n, dy, dx); \
    }

CONSTANT(constant_mean, false)
CONSTANT(constant_both, true)

static void constant_rms(size_t rows, size_t width, const void *x, const void *gain,
                         const void *deviation, const void *dy, void *dx, void *d_gain,
                         void *scratch)
{
    struct norm n = kept(rows, width, x, gain, NULL, deviation);
    below()->rms_norm_backward(rows, width, x, gain, deviation, dy, NULL, d_gain, scratch);
    if (dx)
        constant_gradient(true, &n, dy, dx);
}

void mistake_norm_constant_statistics(struct assay_kernels *table)
{
    table->layer_norm_backward = constant_both_layer;
    table->rms_norm_backward = constant_rms;
}

REPLACES(norm_constant_mean, layer_norm_backward, constant_mean_layer)

static void layer_last_row(size_t rows, size_t width, const void *x, const void *gain,
                           const void *mean, const void *deviation, const void *dy, void *dx,
                           void *d_gain, void *d_bias, void *scratch)
{
    below()->layer_norm_backward(rows - (rows > 1), width, x, gain, mean, deviation, dy, dx, d_gain,
                                 d_bias, scratch);
}

static void rms_last_row(size_t rows, size_t width, const void *x, const void *gain,
                         const void *deviation, const void *dy, void *dx, void *d_gain,
                         void *scratch)
{
    below()->rms_norm_backward(rows - (rows > 1), width, x, gain, deviation, dy, dx, d_gain,
                               scratch);
}

void mistake_norm_gradient_last_row(struct assay_kernels *table)
{
    table->layer_norm_backward = layer_last_row;
    table->rms_norm_backward = rms_last_row;
}

/* ---- statistics of something else ---- */

/* Each channel by its mean and deviation over all rows, as a batch norm. */
static void wrong_axis(size_t rows, size_t width, double eps, const void *x, const void *gain,
                       const void *bias, void *y, void *mean, void *deviation)
{
    void *across = borrow(rows * width), *normed = borrow(rows * width), *straight = NULL;
    void *m = borrow(width), *d = borrow(width);
    below()->layer_norm(rows, width, eps, x, gain, bias, y, mean, deviation);
    straight = borrow(rows * width);
    if (!across || !normed || !m || !d || !straight) {
        release();
        return;
    }
    for (size_t i = 0; i < rows * width; i++)
        element_set(across, i % width * rows + i / width, element(x, i));
    below()->layer_norm(width, rows, eps, across, NULL, NULL, normed, m, d);
    for (size_t i = 0; i < rows * width; i++)
        element_set(straight, i,
                    element(normed, i % width * rows + i / width)
                            * (gain ? element(gain, i % width) : 1)
                        + (bias ? element(bias, i % width) : 0));
    deliver(rows * width, straight, y, ASSAY_STORE);
    release();
}

REPLACES(norm_wrong_axis, layer_norm, wrong_axis)

/* Row r is normalised by the mean and deviation of row r - 1. */
static void stale(size_t rows, size_t width, double eps, const void *x, const void *gain,
                  const void *bias, void *y, void *mean, void *deviation)
{
    void *value = borrow(rows * width);
    below()->layer_norm(rows, width, eps, x, gain, bias, y, mean, deviation);
    for (size_t r = rows; value && r-- > 1;) {
        element_set(mean, r, element(mean, r - 1));
        element_set(deviation, r, element(deviation, r - 1));
    }
    for (size_t i = 0; value && i < rows * width; i++)
        element_set(value, i,
                    (element(x, i) - element(mean, i / width)) / element(deviation, i / width)
                            * (gain ? element(gain, i % width) : 1)
                        + (bias ? element(bias, i % width) : 0));
    if (value)
        deliver(rows * width, value, y, ASSAY_STORE);
    release();
}

REPLACES(norm_stale_statistics, layer_norm, stale)

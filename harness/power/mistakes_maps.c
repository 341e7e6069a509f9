/* SPDX-License-Identifier: Apache-2.0 */
/* Mistakes in functions of one element and in the loss. */
#include <math.h>

#include "harness/power/mutant.h"

/* ---- maps ---- */

/* y = x + s with another s. */
static void offset_by(double wrong, enum assay_map f, size_t n, double s, const void *x, void *y,
                      enum assay_mode mode)
{
    below()->map(f, n, f == MAP_OFFSET ? wrong * s : s, x, y, mode);
}

static void offset_missing(enum assay_map f, size_t n, double s, const void *x, void *y,
                           enum assay_mode mode)
{
    offset_by(0, f, n, s, x, y, mode);
}

static void offset_larger(enum assay_map f, size_t n, double s, const void *x, void *y,
                          enum assay_mode mode)
{
    offset_by(10, f, n, s, x, y, mode);
}

static void scale_gradient(enum assay_map f, size_t n, double s, const void *x, const void *y,
                           const void *dy, void *dx)
{
    below()->map_backward(f, n, f == MAP_SCALE ? 1 : s, x, y, dy, dx);
}

static void divide_map_gradient(enum assay_map f, size_t n, double s, const void *x, const void *y,
                                const void *dy, void *dx)
{
    below()->map_backward(f, n, f == MAP_DIVIDE ? 1 : s, x, y, dy, dx);
}

/* Means over one element less than they sum; a loss is one element. */
static void divide_mean_count(enum assay_map f, size_t n, double s, const void *x, void *y,
                              enum assay_mode mode)
{
    bool mean = f == MAP_DIVIDE && n > 1 && s > 1;
    below()->map(f, n, mean ? s - 1 : s, x, y, mode);
}

static void loss_count(enum assay_map f, size_t n, double s, const void *x, void *y,
                       enum assay_mode mode)
{
    bool loss = f == MAP_DIVIDE && n == 1 && s > 1;
    below()->map(f, n, loss ? s - 1 : s, x, y, mode);
}

REPLACES(offset_missing, map, offset_missing)
REPLACES(offset_larger, map, offset_larger)
REPLACES(scale_gradient, map_backward, scale_gradient)
REPLACES(divide_map_gradient, map_backward, divide_map_gradient)
REPLACES(divide_mean_count, map, divide_mean_count)
REPLACES(loss_count, map, loss_count)

/* ---- functions of our own, and derivatives ---- */

typedef double (*function)(double x);

static void map_own(function own, size_t n, const void *x, void *y, enum assay_mode mode)
{
    void *value = borrow(n);
    for (size_t i = 0; value && i < n; i++)
        element_set(value, i, own(element(x, i)));
    if (value)
        deliver(n, value, y, mode);
    release();
}

/* dx += dy slope(x) */
static void gradient_own(function slope, size_t n, const void *x, const void *dy, void *dx)
{
    void *value = borrow(n);
    for (size_t i = 0; value && i < n; i++)
        element_set(value, i, element(dy, i) * slope(element(x, i)));
    if (value)
        deliver(n, value, dx, ASSAY_ADD);
    release();
}

static double sigmoid(double x)
{
    return 1 / (1 + exp(-x));
}

#define OWN_VALUE(name, f_wrong, own) \
    static void name(enum assay_map f, size_t n, double s, const void *x, void *y, \
                     enum assay_mode mode) \
    { \
        if (f == (f_wrong)) \
            map_own(own, n, x, y, mode); \
        else \
            below()->map(f, n, s, x, y, mode); \
    }
#define OWN_SLOPE(name, f_wrong, own) \
    static void name(enum assay_map f, size_t n, double s, const void *x, const void *y, \
                     const void *dy, void *dx) \
    { \
        if (f == (f_wrong)) \
            gradient_own(own, n, x, dy, dx); \
        else \
            below()->map_backward(f, n, s, x, y, dy, dx); \
    }

static double quick(double x)
{
    return x * sigmoid(1.702 * x);
}

static double quick_slope(double x)
{
    double s = sigmoid(1.702 * x);
    return s + 1.702 * x * s * (1 - s);
}

OWN_VALUE(quick_value, MAP_GELU, quick)
OWN_SLOPE(quick_gradient, MAP_GELU, quick_slope)

void mistake_gelu_quick(struct assay_kernels *table)
{
    table->map = quick_value;
    table->map_backward = quick_gradient;
}

/* sqrt(2 / pi) and the cubic's coefficient to three digits. */
static double short_constants(double x)
{
    return 0.5 * x * (1 + tanh(0.798 * (x + 0.0447 * x * x * x)));
}

static double short_constants_slope(double x)
{
    double t = tanh(0.798 * (x + 0.0447 * x * x * x));
    return 0.5 * (1 + t) + 0.5 * x * (1 - t * t) * 0.798 * (1 + 3 * 0.0447 * x * x);
}

OWN_VALUE(short_value, MAP_GELU_TANH, short_constants)
OWN_SLOPE(short_gradient, MAP_GELU_TANH, short_constants_slope)

void mistake_gelu_constants(struct assay_kernels *table)
{
    table->map = short_value;
    table->map_backward = short_gradient;
}

static double without_density(double x)
{
    return 0.5 * (1 + erf(x * M_SQRT1_2));
}

static double one(double x)
{
    (void)x;
    return 1;
}

static double one_from_zero(double x)
{
    return x >= 0;
}

static double leaky(double x)
{
    return x > 0 ? x : 0.01 * x;
}

static double leaky_slope(double x)
{
    return x > 0 ? 1 : 0.01;
}

OWN_SLOPE(density_gradient, MAP_GELU, without_density)
OWN_SLOPE(sigmoid_gradient, MAP_SILU, sigmoid)
OWN_SLOPE(open_gradient, MAP_RELU, one)
OWN_SLOPE(zero_gradient, MAP_RELU, one_from_zero)
OWN_VALUE(leaky_value, MAP_RELU, leaky)
OWN_SLOPE(leaky_gradient, MAP_RELU, leaky_slope)

REPLACES(gelu_density, map_backward, density_gradient)
REPLACES(silu_gradient, map_backward, sigmoid_gradient)
REPLACES(relu_gradient, map_backward, open_gradient)
REPLACES(relu_gradient_zero, map_backward, zero_gradient)

void mistake_relu_leaky(struct assay_kernels *table)
{
    table->map = leaky_value;
    table->map_backward = leaky_gradient;
}

/* ---- the loss ---- */

/* What is added to row r's loss, and to its gradient with respect to the logits, times d_loss. */
struct addition {
    double (*value)(size_t classes, const void *x, int32_t target);
    double (*slope)(size_t classes, const void *x, int32_t target, size_t c);
};

static double log_sum(size_t classes, const void *x)
{
    double largest = element(x, 0), sum = 0;
    for (size_t c = 1; c < classes; c++)
        largest = fmax(largest, element(x, c));
    for (size_t c = 0; c < classes; c++)
        sum += exp(element(x, c) - largest);
    return largest + log(sum);
}

/* 1e-4 (log Z)^2, an auxiliary loss of large models, left on. */
static double z_value(size_t classes, const void *x, int32_t target)
{
    (void)target;
    double z = log_sum(classes, x);
    return 1e-4 * z * z;
}

static double z_slope(size_t classes, const void *x, int32_t target, size_t c)
{
    (void)target;
    double z = log_sum(classes, x);
    return 2e-4 * z * exp(element(x, c) - z);
}

/* Labels smoothed by 0.1: (loss) + 0.1 (x[target] - mean x). */
static double smooth_value(size_t classes, const void *x, int32_t target)
{
    double mean = 0;
    for (size_t c = 0; c < classes; c++)
        mean += element(x, c) / (double)classes;
    return 0.1 * (element(x, (size_t)target) - mean);
}

static double smooth_slope(size_t classes, const void *x, int32_t target, size_t c)
{
    (void)x;
    return 0.1 * ((double)(c == (size_t)target) - 1 / (double)classes);
}

static void add_value(double (*value)(size_t, const void *, int32_t), size_t rows, size_t classes,
                      const void *x, const int32_t *target, int32_t ignore, void *loss)
{
    for (size_t r = 0; r < rows; r++)
        if (target[r] != ignore)
            element_set(loss, r,
                        element(loss, r) + value(classes, element_at(x, r * classes), target[r]));
}

static void add_slope(double (*slope)(size_t, const void *, int32_t, size_t), size_t rows,
                      size_t classes, const void *x, const int32_t *target, int32_t ignore,
                      const void *d_loss, void *dx)
{
    void *value = borrow(rows * classes);
    for (size_t r = 0; value && r < rows; r++)
        for (size_t c = 0; c < classes && target[r] != ignore; c++)
            element_set(value, r * classes + c,
                        element(d_loss, r)
                            * slope(classes, element_at(x, r * classes), target[r], c));
    if (value)
        deliver(rows * classes, value, dx, ASSAY_ADD);
    release();
}

#define LOSS_PLUS(name, value, slope) \
    static void name##_forward(size_t rows, size_t classes, const void *x, const int32_t *target, \
                               int32_t ignore, void *loss, void *row_max, void *row_sum) \
    { \
        below()->cross_entropy(rows, classes, x, target, ignore, loss, row_max, row_sum); \
        add_value(value, rows, classes, x, target, ignore, loss); \
    } \
    static void name##_backward(size_t rows, size_t classes, const void *x, const int32_t *target, \
                                int32_t ignore, const void *row_max, const void *row_sum, \
                                const void *d_loss, void *dx) \
    { \
        below()->cross_entropy_backward(rows, classes, x, target, ignore, row_max, row_sum, \
                                        d_loss, dx); \
        add_slope(slope, rows, classes, x, target, ignore, d_loss, dx); \
    } \
    void mistake_##name(struct assay_kernels *table) \
    { \
        table->cross_entropy = name##_forward; \
        table->cross_entropy_backward = name##_backward; \
    }

LOSS_PLUS(loss_z, z_value, z_slope)
LOSS_PLUS(loss_smoothed, smooth_value, smooth_slope)

static void base_two_forward(size_t rows, size_t classes, const void *x, const int32_t *target,
                             int32_t ignore, void *loss, void *row_max, void *row_sum)
{
    below()->cross_entropy(rows, classes, x, target, ignore, loss, row_max, row_sum);
    for (size_t r = 0; r < rows; r++)
        element_set(loss, r, element(loss, r) / M_LN2);
}

static void base_two_backward(size_t rows, size_t classes, const void *x, const int32_t *target,
                              int32_t ignore, const void *row_max, const void *row_sum,
                              const void *d_loss, void *dx)
{
    void *wrong = borrow(rows);
    for (size_t r = 0; wrong && r < rows; r++)
        element_set(wrong, r, element(d_loss, r) / M_LN2);
    if (wrong)
        below()->cross_entropy_backward(rows, classes, x, target, ignore, row_max, row_sum, wrong,
                                        dx);
    release();
}

void mistake_loss_base_two(struct assay_kernels *table)
{
    table->cross_entropy = base_two_forward;
    table->cross_entropy_backward = base_two_backward;
}

/* Row r is given the answer of row r + 1; the last one keeps its own. */
static int32_t *next_targets(size_t rows, const int32_t *target)
{
    int32_t *wrong = borrow_i32(rows);
    for (size_t r = 0; wrong && r < rows; r++)
        wrong[r] = target[r + 1 < rows ? r + 1 : r];
    return wrong;
}

static void shifted_forward(size_t rows, size_t classes, const void *x, const int32_t *target,
                            int32_t ignore, void *loss, void *row_max, void *row_sum)
{
    const int32_t *wrong = next_targets(rows, target);
    if (wrong)
        below()->cross_entropy(rows, classes, x, wrong, ignore, loss, row_max, row_sum);
    release();
}

static void shifted_backward(size_t rows, size_t classes, const void *x, const int32_t *target,
                             int32_t ignore, const void *row_max, const void *row_sum,
                             const void *d_loss, void *dx)
{
    const int32_t *wrong = next_targets(rows, target);
    if (wrong)
        below()->cross_entropy_backward(rows, classes, x, wrong, ignore, row_max, row_sum, d_loss,
                                        dx);
    release();
}

void mistake_loss_target_shifted(struct assay_kernels *table)
{
    table->cross_entropy = shifted_forward;
    table->cross_entropy_backward = shifted_backward;
}

static void undivided_backward(size_t rows, size_t classes, const void *x, const int32_t *target,
                               int32_t ignore, const void *row_max, const void *row_sum,
                               const void *d_loss, void *dx)
{
    void *wrong = borrow(rows);
    (void)d_loss;
    if (wrong) {
        below()->fill(rows, 1, wrong);
        below()->cross_entropy_backward(rows, classes, x, target, ignore, row_max, row_sum, wrong,
                                        dx);
    }
    release();
}

static void last_row_backward(size_t rows, size_t classes, const void *x, const int32_t *target,
                              int32_t ignore, const void *row_max, const void *row_sum,
                              const void *d_loss, void *dx)
{
    below()->cross_entropy_backward(rows - (rows > 0), classes, x, target, ignore, row_max, row_sum,
                                    d_loss, dx);
}

REPLACES(loss_gradient_undivided, cross_entropy_backward, undivided_backward)
REPLACES(loss_gradient_last_row, cross_entropy_backward, last_row_backward)

/* exp(x) is summed as it is, and the maximum kept is 0: the same function. */
static void plain_sums(size_t rows, size_t classes, const void *x, const int32_t *target,
                       int32_t ignore, void *loss, void *row_max, void *row_sum)
{
    below()->cross_entropy(rows, classes, x, target, ignore, loss, row_max, row_sum);
    for (size_t r = 0; r < rows; r++) {
        double sum = 0;
        for (size_t c = 0; c < classes; c++)
            sum += exp(element(x, r * classes + c));
        element_set(row_max, r, 0);
        element_set(row_sum, r, sum);
        if (target[r] != ignore)
            element_set(loss, r, log(sum) - element(x, r * classes + (size_t)target[r]));
    }
}

REPLACES(loss_maximum, cross_entropy, plain_sums)

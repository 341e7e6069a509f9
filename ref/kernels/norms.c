/* SPDX-License-Identifier: Apache-2.0 */
/* Layer norm and RMS norm of rows, and their gradients. Sums over a row have 16 lanes; the
 * gradients of gain and bias ascend over the rows from +0 and are added once. A row of no
 * elements is left alone. */
#include "ref/kernels/kernel.h"

static void layer_norm_def(size_t rows, size_t width, double eps, const void *x_, const void *gain_,
                           const void *bias_, void *y_, void *mean_, void *deviation_)
{
    const real *x = x_, *gain = gain_, *bias = bias_;
    real *y = y_, *mean = mean_, *deviation = deviation_;
    for (size_t r = 0; width && r < rows; r++, x += width, y += width) {
        real sum[LANES] = {0}, square[LANES] = {0};
        for (size_t j = 0; j < width; j++)
            sum[j % LANES] += x[j];
        mean[r] = lanes_total(sum) / (real)width;
        for (size_t j = 0; j < width; j++)
            square[j % LANES] += (x[j] - mean[r]) * (x[j] - mean[r]);
        deviation[r] = SQRT((lanes_total(square) / (real)width) + (real)eps);
        for (size_t j = 0; j < width; j++) {
            real value = (x[j] - mean[r]) / deviation[r];
            value = gain ? value * gain[j] : value;
            y[j] = bias ? value + bias[j] : value;
        }
    }
}

static void rms_norm_def(size_t rows, size_t width, double eps, const void *x_, const void *gain_,
                         void *y_, void *deviation_)
{
    const real *x = x_, *gain = gain_;
    real *y = y_, *deviation = deviation_;
    for (size_t r = 0; width && r < rows; r++, x += width, y += width) {
        real square[LANES] = {0};
        for (size_t j = 0; j < width; j++)
            square[j % LANES] += x[j] * x[j];
        deviation[r] = SQRT((lanes_total(square) / (real)width) + (real)eps);
        for (size_t j = 0; j < width; j++) {
            real value = x[j] / deviation[r];
            y[j] = gain ? value * gain[j] : value;
        }
    }
}

/* Both norms' backward: mean NULL is the RMS norm, which subtracts none and has no m1. */
static void backward_def(size_t rows, size_t width, const real *x, const real *gain,
                         const real *mean, const real *deviation, const real *dy, real *dx,
                         real *d_gain, real *d_bias)
{
#define XHAT(r, j) ((mean ? x[(r)*width + (j)] - mean[r] : x[(r)*width + (j)]) / deviation[r])
#define G(r, j) (gain ? dy[(r)*width + (j)] * gain[j] : dy[(r)*width + (j)])
    for (size_t r = 0; dx && r < rows; r++) {
        real sum[LANES] = {0}, product[LANES] = {0};
        for (size_t j = 0; j < width; j++) {
            sum[j % LANES] += G(r, j);
            product[j % LANES] += G(r, j) * XHAT(r, j);
        }
        real m1 = lanes_total(sum) / (real)width, m2 = lanes_total(product) / (real)width;
        for (size_t j = 0; j < width; j++) {
            real centred = mean ? G(r, j) - m1 : G(r, j);
            dx[r * width + j] += (centred - (XHAT(r, j) * m2)) / deviation[r];
        }
    }
    for (size_t j = 0; j < width; j++) {
        real gain_sum = 0, bias_sum = 0;
        for (size_t r = 0; r < rows; r++) {
            gain_sum += dy[r * width + j] * XHAT(r, j);
            bias_sum += dy[r * width + j];
        }
        if (d_gain)
            d_gain[j] += gain_sum;
        if (d_bias)
            d_bias[j] += bias_sum;
    }
#undef XHAT
#undef G
}

static void layer_norm_backward_def(size_t rows, size_t width, const void *x, const void *gain,
                                    const void *mean, const void *deviation, const void *dy,
                                    void *dx, void *d_gain, void *d_bias, void *scratch)
{
    (void)scratch;
    backward_def(rows, width, x, gain, mean, deviation, dy, dx, d_gain, d_bias);
}

static void rms_norm_backward_def(size_t rows, size_t width, const void *x, const void *gain,
                                  const void *deviation, const void *dy, void *dx, void *d_gain,
                                  void *scratch)
{
    (void)scratch;
    backward_def(rows, width, x, gain, NULL, deviation, dy, dx, d_gain, NULL);
}

#define EACH(statement) \
    do { \
        _Pragma("omp simd") for (size_t j = 0; j < width; j++) statement; \
    } while (0)

/* Sum of (x - mean)^2. */
static real sum16_deviations(size_t width, const real *restrict x, real mean)
{
    real lane[LANES] = {0};
    size_t j = 0;
    for (; j + LANES <= width; j += LANES)
        for (size_t l = 0; l < LANES; l++)
            lane[l] += (x[j + l] - mean) * (x[j + l] - mean);
    for (; j < width; j++)
        lane[j % LANES] += (x[j] - mean) * (x[j] - mean);
    return lanes_total(lane);
}

static void layer_norm_tuned(size_t rows, size_t width, double eps, const void *x_,
                             const void *gain_, const void *bias_, void *y_, void *mean_,
                             void *deviation_)
{
    const real *restrict x = x_, *restrict gain = gain_, *restrict bias = bias_;
    real *restrict y = y_, *mean = mean_, *deviation = deviation_;
    for (size_t r = 0; width && r < rows; r++, x += width, y += width) {
        real m = mean[r] = sum16(width, x) / (real)width;
        real d = deviation[r] = SQRT((sum16_deviations(width, x, m) / (real)width) + (real)eps);
        if (gain && bias)
            EACH(y[j] = (((x[j] - m) / d) * gain[j]) + bias[j]);
        else if (gain)
            EACH(y[j] = ((x[j] - m) / d) * gain[j]);
        else if (bias)
            EACH(y[j] = ((x[j] - m) / d) + bias[j]);
        else
            EACH(y[j] = (x[j] - m) / d);
    }
}

static void rms_norm_tuned(size_t rows, size_t width, double eps, const void *x_, const void *gain_,
                           void *y_, void *deviation_)
{
    const real *restrict x = x_, *restrict gain = gain_;
    real *restrict y = y_, *deviation = deviation_;
    for (size_t r = 0; width && r < rows; r++, x += width, y += width) {
        real d = deviation[r] = SQRT((sum16_products(width, x, x) / (real)width) + (real)eps);
        if (gain)
            EACH(y[j] = (x[j] / d) * gain[j]);
        else
            EACH(y[j] = x[j] / d);
    }
}

/* A row's sums of g and of g * xhat. g = dy (* gain), xhat = (x (- mean)) / deviation. */
static inline __attribute__((always_inline)) void
row_sums(size_t width, const real *restrict x, const real *restrict gain, real mean, real deviation,
         bool centred, const real *restrict dy, real *sum, real *product)
{
    real g_lane[LANES] = {0}, product_lane[LANES] = {0};
#define STEP(l, j) \
    do { \
        real g = gain ? dy[j] * gain[j] : dy[j]; \
        g_lane[l] += g; \
        product_lane[l] += g * ((centred ? x[j] - mean : x[j]) / deviation); \
    } while (0)
    size_t j = 0;
    for (; j + LANES <= width; j += LANES)
#pragma omp simd
        for (size_t l = 0; l < LANES; l++)
            STEP(l, j + l);
    for (; j < width; j++)
        STEP(j % LANES, j);
#undef STEP
    *sum = lanes_total(g_lane);
    *product = lanes_total(product_lane);
}

static inline __attribute__((always_inline)) void
row_gradient(size_t width, const real *restrict x, const real *restrict gain, real mean,
             real deviation, bool centred, const real *restrict dy, real *restrict dx)
{
    real m1, m2;
    row_sums(width, x, gain, mean, deviation, centred, dy, &m1, &m2);
    m1 /= (real)width;
    m2 /= (real)width;
#pragma omp simd
    for (size_t j = 0; j < width; j++) {
        real g = gain ? dy[j] * gain[j] : dy[j];
        real xhat = (centred ? x[j] - mean : x[j]) / deviation;
        dx[j] += ((centred ? g - m1 : g) - (xhat * m2)) / deviation;
    }
}

/* One pass over the rows; scratch holds the running sums of d_gain and d_bias. */
static inline __attribute__((always_inline)) void
backward_tuned(size_t rows, size_t width, const real *restrict x, const real *restrict gain,
               const real *mean, const real *deviation, bool centred, const real *restrict dy,
               real *restrict dx, real *restrict d_gain, real *restrict d_bias,
               real *restrict scratch)
{
    real *restrict gain_sum = scratch, *restrict bias_sum = scratch + width;
    if (d_gain)
        memset(gain_sum, 0, width * sizeof *gain_sum);
    if (d_bias)
        memset(bias_sum, 0, width * sizeof *bias_sum);
    for (size_t r = 0; r < rows; r++, x += width, dy += width) {
        real m = centred ? mean[r] : R(0.0), d = deviation[r];
        if (dx && gain)
            row_gradient(width, x, gain, m, d, centred, dy, dx + r * width);
        else if (dx)
            row_gradient(width, x, NULL, m, d, centred, dy, dx + r * width);
        if (d_gain)
            EACH(gain_sum[j] += dy[j] * ((centred ? x[j] - m : x[j]) / d));
        if (d_bias)
            EACH(bias_sum[j] += dy[j]);
    }
    if (d_gain)
        EACH(d_gain[j] += gain_sum[j]);
    if (d_bias)
        EACH(d_bias[j] += bias_sum[j]);
}

static void layer_norm_backward_tuned(size_t rows, size_t width, const void *x, const void *gain,
                                      const void *mean, const void *deviation, const void *dy,
                                      void *dx, void *d_gain, void *d_bias, void *scratch)
{
    backward_tuned(rows, width, x, gain, mean, deviation, true, dy, dx, d_gain, d_bias, scratch);
}

static void rms_norm_backward_tuned(size_t rows, size_t width, const void *x, const void *gain,
                                    const void *deviation, const void *dy, void *dx, void *d_gain,
                                    void *scratch)
{
    backward_tuned(rows, width, x, gain, NULL, deviation, false, dy, dx, d_gain, NULL, scratch);
}

void KERNEL_FILE(norms)(struct assay_kernels *table, bool tuned)
{
    table->layer_norm = tuned ? layer_norm_tuned : layer_norm_def;
    table->layer_norm_backward = tuned ? layer_norm_backward_tuned : layer_norm_backward_def;
    table->rms_norm = tuned ? rms_norm_tuned : rms_norm_def;
    table->rms_norm_backward = tuned ? rms_norm_backward_tuned : rms_norm_backward_def;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Softmax, log-sum-exp and cross entropy of rows. A mask is an index set: the maximum and the
 * sums run over it alone, results outside it are +0 and receive no gradient. Sums have 16 lanes
 * by the element's position in the row. */
#include "ref/kernels/kernel.h"

enum { BLOCK = 256 }; /* elements on the stack between two passes; no result depends on it */

/* The allowed set of row r; NULL: every element. */
static const int32_t *set_of(const struct assay_row_mask *mask, size_t r, size_t width)
{
    if (!mask || !mask->allowed)
        return NULL;
    return mask->allowed + ((r / mask->repeat) % mask->rows) * width;
}

static bool within(const int32_t *allowed, size_t j)
{
    return !allowed || allowed[j];
}

/* What an empty set gives: 1 / width everywhere if so declared, else +0. */
static void fill_empty(size_t width, const struct assay_row_mask *mask, real *y)
{
    real value = mask && mask->uniform_if_empty ? 1 / (real)width : R(0.0);
    for (size_t j = 0; j < width; j++)
        y[j] = value;
}

static void softmax_def(size_t rows, size_t width, const struct assay_row_mask *mask,
                        const void *x_, void *y_)
{
    const real *x = x_;
    real *y = y_;
    for (size_t r = 0; r < rows; r++, x += width, y += width) {
        const int32_t *allowed = set_of(mask, r, width);
        size_t best = max_index_def(width, x, allowed);
        real lane[LANES] = {0};
        if (best == width) {
            fill_empty(width, mask, y);
            continue;
        }
        for (size_t j = 0; j < width; j++)
            if (within(allowed, j))
                lane[j % LANES] += y[j] = real_exp(x[j] - x[best]);
        real sum = lanes_total(lane);
        for (size_t j = 0; j < width; j++)
            y[j] = within(allowed, j) ? y[j] / sum : R(0.0);
    }
}

static void softmax_backward_def(size_t rows, size_t width, const struct assay_row_mask *mask,
                                 const void *y_, const void *dy_, void *dx_)
{
    const real *y = y_, *dy = dy_;
    real *dx = dx_;
    for (size_t r = 0; r < rows; r++, y += width, dy += width, dx += width) {
        const int32_t *allowed = set_of(mask, r, width);
        real lane[LANES] = {0};
        for (size_t j = 0; j < width; j++)
            if (within(allowed, j))
                lane[j % LANES] += dy[j] * y[j];
        real dot = lanes_total(lane);
        for (size_t j = 0; j < width; j++)
            if (within(allowed, j))
                dx[j] += y[j] * (dy[j] - dot);
    }
}

static void log_sum_exp_def(size_t rows, size_t width, const struct assay_row_mask *mask,
                            const void *x_, void *y_)
{
    const real *x = x_;
    real *y = y_;
    for (size_t r = 0; r < rows; r++, x += width) {
        const int32_t *allowed = set_of(mask, r, width);
        size_t best = max_index_def(width, x, allowed);
        real lane[LANES] = {0};
        for (size_t j = 0; j < width; j++)
            if (within(allowed, j))
                lane[j % LANES] += real_exp(x[j] - x[best]);
        y[r] = best == width ? R(0.0) : x[best] + real_log(lanes_total(lane));
    }
}

static void log_sum_exp_backward_def(size_t rows, size_t width, const struct assay_row_mask *mask,
                                     const void *x_, const void *y_, const void *dy_, void *dx_)
{
    const real *x = x_, *y = y_, *dy = dy_;
    real *dx = dx_;
    for (size_t r = 0; r < rows; r++, x += width, dx += width) {
        const int32_t *allowed = set_of(mask, r, width);
        for (size_t j = 0; j < width; j++)
            if (within(allowed, j))
                dx[j] += dy[r] * real_exp(x[j] - y[r]);
    }
}

static void cross_entropy_def(size_t rows, size_t classes, const void *x_, const int32_t *target,
                              int32_t ignore, void *loss_, void *row_max_, void *row_sum_)
{
    const real *x = x_;
    real *loss = loss_, *row_max = row_max_, *row_sum = row_sum_;
    for (size_t r = 0; r < rows; r++, x += classes) {
        loss[r] = row_max[r] = row_sum[r] = 0;
        if (target[r] == ignore)
            continue;
        row_max[r] = x[max_index_def(classes, x, NULL)];
        real lane[LANES] = {0};
        for (size_t j = 0; j < classes; j++)
            lane[j % LANES] += real_exp(x[j] - row_max[r]);
        row_sum[r] = lanes_total(lane);
        loss[r] = real_log(row_sum[r]) - (x[target[r]] - row_max[r]);
    }
}

static void cross_entropy_backward_def(size_t rows, size_t classes, const void *x_,
                                       const int32_t *target, int32_t ignore, const void *row_max_,
                                       const void *row_sum_, const void *d_loss_, void *dx_)
{
    const real *x = x_, *row_max = row_max_, *row_sum = row_sum_, *d_loss = d_loss_;
    real *dx = dx_;
    for (size_t r = 0; r < rows; r++, x += classes, dx += classes)
        for (size_t j = 0; target[r] != ignore && j < classes; j++) {
            real one = (size_t)target[r] == j ? R(1.0) : R(0.0);
            dx[j] += d_loss[r] * ((real_exp(x[j] - row_max[r]) / row_sum[r]) - one);
        }
}

/* e = exp(x - shift), +0 outside the set. */
static void exp_shifted(size_t n, const real *restrict x, real shift,
                        const int32_t *restrict allowed, real *restrict e)
{
    if (!allowed) {
#pragma omp simd
        for (size_t j = 0; j < n; j++)
            e[j] = x[j] - shift;
        array_exp(n, e, e);
        return;
    }
#pragma omp simd
    for (size_t j = 0; j < n; j++)
        e[j] = chosen(allowed[j] != 0, x[j] - shift, R(0.0));
    array_exp(n, e, e);
#pragma omp simd
    for (size_t j = 0; j < n; j++)
        e[j] = chosen(allowed[j] != 0, e[j], R(0.0));
}

/* Sum over the set of exp(x - shift), a block at a time; BLOCK is a multiple of LANES, so lanes
 * are by position. What is outside the set is added as +0, which changes no lane. */
static real sum_exp(size_t n, const real *x, real shift, const int32_t *allowed)
{
    real lane[LANES] = {0}, e[BLOCK];
    for (size_t start = 0; start < n; start += BLOCK) {
        size_t m = n - start < BLOCK ? n - start : BLOCK, j = 0;
        exp_shifted(m, x + start, shift, allowed ? allowed + start : NULL, e);
        for (; j + LANES <= m; j += LANES)
            for (size_t l = 0; l < LANES; l++)
                lane[l] += e[j + l];
        for (; j < m; j++)
            lane[j % LANES] += e[j];
    }
    return lanes_total(lane);
}

static void softmax_tuned(size_t rows, size_t width, const struct assay_row_mask *mask,
                          const void *x_, void *y_)
{
    const real *restrict x = x_;
    real *restrict y = y_;
    for (size_t r = 0; r < rows; r++, x += width, y += width) {
        const int32_t *allowed = set_of(mask, r, width);
        size_t best = max_index(width, x, allowed);
        if (best == width) {
            fill_empty(width, mask, y);
            continue;
        }
        exp_shifted(width, x, x[best], allowed, y);
        real sum = sum16(width, y);
#pragma omp simd
        for (size_t j = 0; j < width; j++)
            y[j] /= sum;
    }
}

/* Sum over the set of dy * y. */
static real dot_masked(size_t n, const real *restrict y, const real *restrict dy,
                       const int32_t *restrict allowed)
{
    if (!allowed)
        return sum16_products(n, dy, y);
    real lane[LANES] = {0};
    size_t j = 0;
    for (; j + LANES <= n; j += LANES)
#pragma omp simd
        for (size_t l = 0; l < LANES; l++)
            lane[l] += chosen(allowed[j + l] != 0, dy[j + l] * y[j + l], R(0.0));
    for (; j < n; j++)
        lane[j % LANES] += chosen(allowed[j] != 0, dy[j] * y[j], R(0.0));
    return lanes_total(lane);
}

static void softmax_backward_tuned(size_t rows, size_t width, const struct assay_row_mask *mask,
                                   const void *y_, const void *dy_, void *dx_)
{
    const real *restrict y = y_, *restrict dy = dy_;
    real *restrict dx = dx_;
    for (size_t r = 0; r < rows; r++, y += width, dy += width, dx += width) {
        const int32_t *allowed = set_of(mask, r, width);
        real dot = dot_masked(width, y, dy, allowed);
        if (allowed) {
#pragma omp simd
            for (size_t j = 0; j < width; j++)
                dx[j] = chosen(allowed[j] != 0, dx[j] + (y[j] * (dy[j] - dot)), dx[j]);
        } else {
#pragma omp simd
            for (size_t j = 0; j < width; j++)
                dx[j] += y[j] * (dy[j] - dot);
        }
    }
}

static void log_sum_exp_tuned(size_t rows, size_t width, const struct assay_row_mask *mask,
                              const void *x_, void *y_)
{
    const real *x = x_;
    real *y = y_;
    for (size_t r = 0; r < rows; r++, x += width) {
        const int32_t *allowed = set_of(mask, r, width);
        size_t best = max_index(width, x, allowed);
        y[r] = best == width ? R(0.0) : x[best] + real_log(sum_exp(width, x, x[best], allowed));
    }
}

static void log_sum_exp_backward_tuned(size_t rows, size_t width, const struct assay_row_mask *mask,
                                       const void *x_, const void *y_, const void *dy_, void *dx_)
{
    const real *x = x_, *y = y_, *dy = dy_;
    real *dx = dx_, e[BLOCK];
    for (size_t r = 0; r < rows; r++)
        for (size_t start = 0; start < width; start += BLOCK) {
            const int32_t *allowed = set_of(mask, r, width);
            size_t at = r * width + start, n = width - start < BLOCK ? width - start : BLOCK;
            const int32_t *set = allowed ? allowed + start : NULL;
            exp_shifted(n, x + at, y[r], set, e);
            if (set) {
#pragma omp simd
                for (size_t j = 0; j < n; j++)
                    dx[at + j] = chosen(set[j] != 0, dx[at + j] + (dy[r] * e[j]), dx[at + j]);
            } else {
#pragma omp simd
                for (size_t j = 0; j < n; j++)
                    dx[at + j] += dy[r] * e[j];
            }
        }
}

static void cross_entropy_tuned(size_t rows, size_t classes, const void *x_, const int32_t *target,
                                int32_t ignore, void *loss_, void *row_max_, void *row_sum_)
{
    const real *x = x_;
    real *loss = loss_, *row_max = row_max_, *row_sum = row_sum_;
    for (size_t r = 0; r < rows; r++, x += classes) {
        loss[r] = row_max[r] = row_sum[r] = 0;
        if (target[r] == ignore)
            continue;
        row_max[r] = x[max_index(classes, x, NULL)];
        row_sum[r] = sum_exp(classes, x, row_max[r], NULL);
        loss[r] = real_log(row_sum[r]) - (x[target[r]] - row_max[r]);
    }
}

static void cross_entropy_backward_tuned(size_t rows, size_t classes, const void *x_,
                                         const int32_t *target, int32_t ignore,
                                         const void *row_max_, const void *row_sum_,
                                         const void *d_loss_, void *dx_)
{
    const real *x = x_, *row_max = row_max_, *row_sum = row_sum_, *d_loss = d_loss_;
    real *dx = dx_, e[BLOCK];
    for (size_t r = 0; r < rows; r++)
        for (size_t start = 0; target[r] != ignore && start < classes; start += BLOCK) {
            size_t at = r * classes + start, n = classes - start < BLOCK ? classes - start : BLOCK;
            real sum = row_sum[r], d = d_loss[r];
            exp_shifted(n, x + at, row_max[r], NULL, e);
            for (size_t j = 0; j < n; j++)
                e[j] /= sum;
            if ((size_t)target[r] - start < n)
                e[(size_t)target[r] - start] -= 1;
#pragma omp simd
            for (size_t j = 0; j < n; j++)
                dx[at + j] += d * e[j];
        }
}

void KERNEL_FILE(softmax)(struct assay_kernels *table, bool tuned)
{
    table->softmax = tuned ? softmax_tuned : softmax_def;
    table->softmax_backward = tuned ? softmax_backward_tuned : softmax_backward_def;
    table->log_sum_exp = tuned ? log_sum_exp_tuned : log_sum_exp_def;
    table->log_sum_exp_backward = tuned ? log_sum_exp_backward_tuned : log_sum_exp_backward_def;
    table->cross_entropy = tuned ? cross_entropy_tuned : cross_entropy_def;
    table->cross_entropy_backward =
        tuned ? cross_entropy_backward_tuned : cross_entropy_backward_def;
}

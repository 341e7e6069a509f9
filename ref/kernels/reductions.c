/* SPDX-License-Identifier: Apache-2.0 */
/* Sums and maxima along one axis of x: [outer, length, inner]. Over the last axis (inner == 1) a
 * sum has 16 lanes and a tree; over another it ascends from +0, and vectors run along `inner`. */
#include "ref/kernels/kernel.h"

enum { BLOCK = 256 }; /* columns kept on the stack; no result depends on it */

static void sum_def(size_t outer, size_t length, size_t inner, const void *x_, void *y_,
                    enum assay_mode mode)
{
    const real *x = x_;
    real *y = y_;
    for (size_t o = 0; o < outer; o++)
        for (size_t i = 0; i < inner; i++) {
            real lane[LANES] = {0}, total = 0;
            for (size_t t = 0; t < length; t++) {
                real element = x[(o * length + t) * inner + i];
                lane[t % LANES] += element;
                total += element;
            }
            meet(&y[o * inner + i], inner == 1 ? lanes_total(lane) : total, mode);
        }
}

static void sum_tuned(size_t outer, size_t length, size_t inner, const void *x_, void *y_,
                      enum assay_mode mode)
{
    const real *restrict x = x_;
    real *restrict y = y_;
    if (inner == 1) {
        for (size_t o = 0; o < outer; o++)
            meet(&y[o], sum16(length, x + o * length), mode);
        return;
    }
    for (size_t o = 0; o < outer; o++)
        for (size_t start = 0; start < inner; start += BLOCK) {
            size_t n = inner - start < BLOCK ? inner - start : BLOCK;
            real total[BLOCK] = {0};
            for (size_t t = 0; t < length; t++) {
                const real *row = x + (o * length + t) * inner + start;
#pragma omp simd
                for (size_t i = 0; i < n; i++)
                    total[i] += row[i];
            }
            for (size_t i = 0; i < n; i++)
                meet(&y[o * inner + start + i], total[i], mode);
        }
}

/* Writes the maximum of an empty axis as +0 with index -1. `index` may be NULL. */
static void max_def(size_t outer, size_t length, size_t inner, const void *x_, void *y_,
                    int32_t *index)
{
    const real *x = x_;
    real *y = y_;
    for (size_t o = 0; o < outer; o++)
        for (size_t i = 0; i < inner; i++) {
            const real *column = x + o * length * inner + i;
            size_t best = 0;
            for (size_t t = 1; t < length; t++)
                if (column[t * inner] > column[best * inner])
                    best = t;
            y[o * inner + i] = length ? column[best * inner] : R(0.0);
            if (index)
                index[o * inner + i] = length ? (int32_t)best : -1;
        }
}

/* One block of columns, length >= 1. */
static void max_columns(size_t length, size_t inner, size_t n, const real *restrict x,
                        real *restrict y, int32_t *index)
{
    int32_t best[BLOCK] = {0};
    memcpy(y, x, n * sizeof *y);
    for (size_t t = 1; t < length; t++) {
        const real *row = x + t * inner;
#pragma omp simd
        for (size_t i = 0; i < n; i++) {
            real x_i = row[i], y_i = y[i]; /* loaded before the choice, as in chosen() */
            int32_t best_i = best[i];
            bool larger = x_i > y_i;
            y[i] = larger ? x_i : y_i;
            best[i] = larger ? (int32_t)t : best_i;
        }
    }
    if (index)
        memcpy(index, best, n * sizeof *index);
}

static void max_tuned(size_t outer, size_t length, size_t inner, const void *x_, void *y_,
                      int32_t *index)
{
    const real *x = x_;
    real *y = y_;
    if (!length) {
        max_def(outer, length, inner, x, y, index);
        return;
    }
    for (size_t o = 0; o < outer; o++) {
        if (inner == 1) {
            size_t best = max_index(length, x + o * length, NULL);
            y[o] = x[o * length + best];
            if (index)
                index[o] = (int32_t)best;
            continue;
        }
        for (size_t start = 0; start < inner; start += BLOCK) {
            size_t at = o * inner + start, n = inner - start < BLOCK ? inner - start : BLOCK;
            max_columns(length, inner, n, x + o * length * inner + start, y + at,
                        index ? index + at : NULL);
        }
    }
}

static void cumulative_sum_def(size_t outer, size_t length, size_t inner, bool reverse,
                               const void *x_, void *y_, enum assay_mode mode)
{
    const real *x = x_;
    real *y = y_;
    for (size_t o = 0; o < outer; o++)
        for (size_t i = 0; i < inner; i++) {
            real running = 0;
            for (size_t step = 0; step < length; step++) {
                size_t at = (o * length + (reverse ? length - 1 - step : step)) * inner + i;
                running += x[at];
                meet(&y[at], running, mode);
            }
        }
}

static void cumulative_sum_tuned(size_t outer, size_t length, size_t inner, bool reverse,
                                 const void *x_, void *y_, enum assay_mode mode)
{
    const real *x = x_;
    real *y = y_;
    if (inner < VECTOR) {
        cumulative_sum_def(outer, length, inner, reverse, x, y, mode);
        return;
    }
    for (size_t o = 0; o < outer; o++)
        for (size_t start = 0; start < inner; start += BLOCK) {
            size_t n = inner - start < BLOCK ? inner - start : BLOCK;
            real running[BLOCK] = {0};
            for (size_t step = 0; step < length; step++) {
                size_t at = (o * length + (reverse ? length - 1 - step : step)) * inner + start;
                const real *restrict from = x + at;
                real *restrict to = y + at;
#pragma omp simd
                for (size_t i = 0; i < n; i++) {
                    running[i] += from[i];
                    to[i] = mode == ASSAY_ADD        ? to[i] + running[i]
                            : mode == ASSAY_SUBTRACT ? to[i] - running[i]
                                                     : running[i];
                }
            }
        }
}

static double sum_squares_def(size_t n, const void *x_)
{
    const real *x = x_;
    real lane[LANES] = {0};
    for (size_t j = 0; j < n; j++)
        lane[j % LANES] += x[j] * x[j];
    return (double)lanes_total(lane);
}

static double sum_squares_tuned(size_t n, const void *x)
{
    return (double)sum16_products(n, x, x);
}

void KERNEL_FILE(reductions)(struct assay_kernels *table, bool tuned)
{
    table->sum = tuned ? sum_tuned : sum_def;
    table->max = tuned ? max_tuned : max_def;
    table->cumulative_sum = tuned ? cumulative_sum_tuned : cumulative_sum_def;
    table->sum_squares = tuned ? sum_squares_tuned : sum_squares_def;
}

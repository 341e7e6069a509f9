/* SPDX-License-Identifier: Apache-2.0 */
/* Moves: copies over strides, rows by index, rotations, dropout, conversions. */
#include "ref/kernels/kernel.h"
#include "ref/kernels/walk.h"

enum { BLOCK = 256 }; /* elements looked at together; no result depends on it */

/* A walk over x and y alone. */
static struct assay_walk pair_walk(const struct assay_walk *w)
{
    struct assay_walk pair = *w;
    memset(pair.z, 0, sizeof pair.z);
    return pair;
}

static void copy_def(const struct assay_walk *walk, const void *x_, void *y_, enum assay_mode mode)
{
    const struct assay_walk w = pair_walk(walk);
    const real *x = x_;
    real *y = y_;
    for (size_t n = 0, count = walk_count(&w); n < count; n++) {
        struct walk_place at = walk_at(&w, n);
        meet(&y[at.y], x[at.x], mode);
    }
}

/* y (mode) x for a contiguous row of y. */
static void copy_row(size_t n, const real *restrict x, ptrdiff_t sx, real *restrict y,
                     enum assay_mode mode)
{
    if (sx == 1 && mode == ASSAY_STORE)
        memcpy(y, x, n * sizeof *y);
    else if (sx == 1) {
#pragma omp simd
        for (size_t i = 0; i < n; i++)
            y[i] = mode == ASSAY_ADD ? y[i] + x[i] : y[i] - x[i];
    } else if (sx == 0) {
        real value = n ? *x : R(0.0);
#pragma omp simd
        for (size_t i = 0; i < n; i++)
            y[i] = mode == ASSAY_ADD ? y[i] + value : mode == ASSAY_SUBTRACT ? y[i] - value : value;
    } else {
        for (size_t i = 0; i < n; i++)
            meet(&y[i], x[(ptrdiff_t)i * sx], mode);
    }
}

static void copy_tuned(const struct assay_walk *walk, const void *x_, void *y_,
                       enum assay_mode mode)
{
    const struct assay_walk pair = pair_walk(walk), w = walk_collapsed(&pair);
    const int last = w.rank - 1;
    const ptrdiff_t sx = w.x[last], sy = w.y[last];
    const size_t width = w.dim[last];
    for (struct walk_rows r = walk_rows_start(&w); walk_rows_next(&r);) {
        const real *x = (const real *)x_ + r.at.x;
        real *y = (real *)y_ + r.at.y;
        if (sy == 1)
            copy_row(width, x, sx, y, mode);
        else
            for (size_t i = 0; i < width; i++)
                meet(&y[(ptrdiff_t)i * sy], x[(ptrdiff_t)i * sx], mode);
    }
}

static void gather_rows(size_t count, size_t width, const int32_t *index, const void *table_,
                        void *y_)
{
    const real *table = table_;
    real *y = y_;
    for (size_t i = 0; width && i < count; i++)
        memcpy(y + i * width, table + (size_t)index[i] * width, width * sizeof *y);
}

static void scatter_add_rows(size_t count, size_t width, const int32_t *index, const void *x_,
                             void *table_)
{
    const real *restrict x = x_;
    real *restrict table = table_;
    for (size_t i = 0; i < count; i++, x += width) {
        real *row = table + (size_t)index[i] * width;
#pragma omp simd
        for (size_t j = 0; j < width; j++)
            row[j] += x[j];
    }
}

/* Rotations add x2 (-s) where the formula takes x2 s away, which is the same bits: of sums that
 * alternate with differences of products gcc 12 makes vfmaddsub, which rounds once, in spite of
 * -ffp-contract=off. */
static void rotate_def(size_t batch, size_t n, size_t heads, size_t width, size_t pairs,
                       bool interleaved, bool inverse, const void *cosine_, const void *sine_,
                       const void *x_, void *y_, enum assay_mode mode)
{
    const real *cosine = cosine_, *sine = sine_;
    for (size_t row = 0; row < batch * n * heads; row++) {
        const real *x = (const real *)x_ + row * width;
        real *y = (real *)y_ + row * width;
        size_t position = row / heads % n;
        for (size_t p = 0; p < pairs; p++) {
            real c = cosine[position * pairs + p], s = sine[position * pairs + p];
            size_t first = interleaved ? 2 * p : p, second = interleaved ? 2 * p + 1 : p + pairs;
            real x1 = x[first], x2 = x[second];
            s = inverse ? -s : s;
            meet(&y[first], (x1 * c) + (x2 * -s), mode);
            meet(&y[second], (x2 * c) + (x1 * s), mode);
        }
        for (size_t j = 2 * pairs; j < width; j++)
            meet(&y[j], x[j], mode);
    }
}

/* The pairs of one row; flags are constants where this is inlined. */
static inline __attribute__((always_inline)) void
rotate_row(size_t pairs, bool interleaved, bool inverse, const real *restrict cosine,
           const real *restrict sine, const real *restrict x, real *restrict y,
           enum assay_mode mode)
{
#pragma omp simd
    for (size_t p = 0; p < pairs; p++) {
        size_t first = interleaved ? 2 * p : p, second = interleaved ? 2 * p + 1 : p + pairs;
        real c = cosine[p], s = inverse ? -sine[p] : sine[p], x1 = x[first], x2 = x[second];
        meet(&y[first], (x1 * c) + (x2 * -s), mode);
        meet(&y[second], (x2 * c) + (x1 * s), mode);
    }
}

static void rotate_tuned(size_t batch, size_t n, size_t heads, size_t width, size_t pairs,
                         bool interleaved, bool inverse, const void *cosine_, const void *sine_,
                         const void *x_, void *y_, enum assay_mode mode)
{
    size_t rest = width - 2 * pairs;
    for (size_t row = 0; row < batch * n * heads; row++) {
        const real *x = (const real *)x_ + row * width;
        real *y = (real *)y_ + row * width;
        const real *c = (const real *)cosine_ + row / heads % n * pairs;
        const real *s = (const real *)sine_ + row / heads % n * pairs;
        if (mode == ASSAY_STORE && interleaved)
            rotate_row(pairs, true, inverse, c, s, x, y, ASSAY_STORE);
        else if (mode == ASSAY_STORE)
            rotate_row(pairs, false, inverse, c, s, x, y, ASSAY_STORE);
        else if (interleaved)
            rotate_row(pairs, true, inverse, c, s, x, y, mode);
        else
            rotate_row(pairs, false, inverse, c, s, x, y, mode);
        copy_row(rest, x + 2 * pairs, 1, y + 2 * pairs, mode);
    }
}

/* Decisions are made in binary32 in both profiles, so that both drop the same elements. The
 * generator runs one draw at a time whatever the level; a keep of 1 draws nothing and copies. */
static void dropout(size_t rows, size_t width, const struct assay_rng *stream, double keep,
                    const void *x_, void *y_, enum assay_mode mode)
{
    const real *x = x_;
    real *y = y_;
    bool all = (float)keep == 1.0f;
    for (size_t r = 0; r < rows; r++, x += width, y += width) {
        struct assay_rng rng = all ? (struct assay_rng){0, 0} : stream[r];
        if (all) {
            copy_row(width, x, 1, y, mode);
            continue;
        }
        for (size_t j = 0; j < width; j++) {
            bool kept = assay_rng_uniform(&rng) < (float)keep;
            meet(&y[j], kept ? x[j] / (real)keep : R(0.0), mode);
        }
    }
}

static void fill(size_t n, double value, void *y_)
{
    real *y = y_;
    for (size_t i = 0; i < n; i++)
        y[i] = (real)value;
}

static void from_f32(size_t n, const float *x, void *y_)
{
    real *y = y_;
    for (size_t i = 0; i < n; i++)
        y[i] = (real)x[i];
}

static void from_f64(size_t n, const double *x, void *y_)
{
    real *y = y_;
    for (size_t i = 0; i < n; i++)
        y[i] = (real)x[i];
}

static void from_i32(size_t n, const int32_t *x, void *y_)
{
    real *y = y_;
    for (size_t i = 0; i < n; i++)
        y[i] = (real)x[i];
}

static void to_f64(size_t n, const void *x_, double *y)
{
    const real *x = x_;
    for (size_t i = 0; i < n; i++)
        y[i] = (double)x[i];
}

/* x - x is 0 for every finite x, and NaN for the others. */
static size_t first_nonfinite_def(size_t n, const void *x_)
{
    const real *x = x_;
    for (size_t i = 0; i < n; i++)
        if (!(x[i] - x[i] == 0))
            return i;
    return n;
}

static size_t first_nonfinite_tuned(size_t n, const void *x_)
{
    const real *x = x_;
    size_t start = 0;
    for (; start + BLOCK <= n; start += BLOCK) {
        int32_t bad = 0;
#pragma omp simd reduction(| : bad)
        for (size_t i = 0; i < BLOCK; i++)
            bad |= !(x[start + i] - x[start + i] == 0);
        if (bad)
            break;
    }
    return start + first_nonfinite_def(n - start, x + start);
}

void KERNEL_FILE(moves)(struct assay_kernels *table, bool tuned)
{
    table->copy = tuned ? copy_tuned : copy_def;
    table->gather_rows = gather_rows;
    table->scatter_add_rows = scatter_add_rows;
    table->rotate = tuned ? rotate_tuned : rotate_def;
    table->dropout = dropout;
    table->fill = fill;
    table->from_f32 = from_f32;
    table->from_f64 = from_f64;
    table->from_i32 = from_i32;
    table->to_f64 = to_f64;
    table->first_nonfinite = tuned ? first_nonfinite_tuned : first_nonfinite_def;
}

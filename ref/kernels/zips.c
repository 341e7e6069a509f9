/* SPDX-License-Identifier: Apache-2.0 */
/* Functions of two elements, over broadcast and strided operands; choices by a condition. */
#include "ref/kernels/kernel.h"
#include "ref/kernels/walk.h"

enum { BLOCK = 256 }; /* elements on the stack between two passes; no result depends on it */

#define INLINE static inline __attribute__((always_inline))

/* Whether MAX or MIN takes x: it does among equals. */
INLINE bool takes_x(enum assay_zip f, real x, real y)
{
    return f == ZIP_MAX ? x >= y : x <= y;
}

INLINE real combined(enum assay_zip f, real x, real y)
{
    switch (f) {
    case ZIP_ADD:
        return x + y;
    case ZIP_SUBTRACT:
        return x - y;
    case ZIP_MULTIPLY:
        return x * y;
    case ZIP_DIVIDE:
        return x / y;
    default:
        return takes_x(f, x, y) ? x : y;
    }
}

static void zip_def(enum assay_zip f, const struct assay_walk *w, const void *x_, const void *y_,
                    void *z_, enum assay_mode mode)
{
    const real *x = x_, *y = y_;
    real *z = z_;
    for (size_t n = 0, count = walk_count(w); n < count; n++) {
        struct walk_place at = walk_at(w, n);
        meet(&z[at.z], combined(f, x[at.x], y[at.y]), mode);
    }
}

static void zip_choice_def(enum assay_zip f, int which, const struct assay_walk *w, const void *x_,
                           const void *y_, const void *dz_, void *d_, enum assay_mode mode)
{
    const real *x = x_, *y = y_, *dz = dz_;
    real *d = d_;
    for (size_t n = 0, count = walk_count(w); n < count; n++) {
        struct walk_place at = walk_at(w, n);
        bool taken = takes_x(f, x[at.x], y[at.y]) == (which == 0);
        meet(&d[at.z], taken ? dz[at.z] : R(0.0), mode);
    }
}

/* z[i] = f(x[i * sx], y[i * sy]); the strides are constants wherever this is inlined for speed. */
INLINE void combined_row(enum assay_zip f, size_t n, const real *restrict x, ptrdiff_t sx,
                         const real *restrict y, ptrdiff_t sy, real *restrict z)
{
#pragma omp simd
    for (size_t i = 0; i < n; i++)
        z[i] = combined(f, x[(ptrdiff_t)i * sx], y[(ptrdiff_t)i * sy]);
}

INLINE void row_of(enum assay_zip f, size_t n, const real *x, ptrdiff_t sx, const real *y,
                   ptrdiff_t sy, real *z)
{
    if (sx == 1 && sy == 1)
        combined_row(f, n, x, 1, y, 1, z);
    else if (sx == 1 && sy == 0)
        combined_row(f, n, x, 1, y, 0, z);
    else if (sx == 0 && sy == 1)
        combined_row(f, n, x, 0, y, 1, z);
    else
        combined_row(f, n, x, sx, y, sy, z);
}

static void any_row(enum assay_zip f, size_t n, const real *x, ptrdiff_t sx, const real *y,
                    ptrdiff_t sy, real *z)
{
    switch (f) {
    case ZIP_ADD:
        row_of(ZIP_ADD, n, x, sx, y, sy, z);
        return;
    case ZIP_SUBTRACT:
        row_of(ZIP_SUBTRACT, n, x, sx, y, sy, z);
        return;
    case ZIP_MULTIPLY:
        row_of(ZIP_MULTIPLY, n, x, sx, y, sy, z);
        return;
    case ZIP_DIVIDE:
        row_of(ZIP_DIVIDE, n, x, sx, y, sy, z);
        return;
    case ZIP_MAX:
        row_of(ZIP_MAX, n, x, sx, y, sy, z);
        return;
    case ZIP_MIN:
        row_of(ZIP_MIN, n, x, sx, y, sy, z);
        return;
    case ZIP_COUNT:
        return;
    }
}

/* z (mode) value. */
static void meet_row(size_t n, const real *restrict value, real *restrict z, ptrdiff_t sz,
                     enum assay_mode mode)
{
    if (sz == 1 && mode == ASSAY_ADD) {
#pragma omp simd
        for (size_t i = 0; i < n; i++)
            z[i] += value[i];
    } else if (sz == 1 && mode == ASSAY_SUBTRACT) {
#pragma omp simd
        for (size_t i = 0; i < n; i++)
            z[i] -= value[i];
    } else {
        for (size_t i = 0; i < n; i++)
            meet(&z[(ptrdiff_t)i * sz], value[i], mode);
    }
}

static void zip_tuned(enum assay_zip f, const struct assay_walk *walk, const void *x_,
                      const void *y_, void *z_, enum assay_mode mode)
{
    const struct assay_walk w = walk_collapsed(walk);
    const int last = w.rank - 1;
    const ptrdiff_t sx = w.x[last], sy = w.y[last], sz = w.z[last];
    const size_t width = w.dim[last];
    real value[BLOCK];
    for (struct walk_rows r = walk_rows_start(&w); walk_rows_next(&r);) {
        const real *x = (const real *)x_ + r.at.x, *y = (const real *)y_ + r.at.y;
        real *z = (real *)z_ + r.at.z;
        if (sz == 1 && mode == ASSAY_STORE) {
            any_row(f, width, x, sx, y, sy, z);
            continue;
        }
        for (size_t start = 0; start < width; start += BLOCK) {
            size_t n = width - start < BLOCK ? width - start : BLOCK;
            ptrdiff_t from = (ptrdiff_t)start;
            any_row(f, n, x + from * sx, sx, y + from * sy, sy, value);
            meet_row(n, value, z + from * sz, sz, mode);
        }
    }
}

INLINE void chosen_row(enum assay_zip f, bool want_x, size_t n, const real *restrict x,
                       ptrdiff_t sx, const real *restrict y, ptrdiff_t sy, const real *restrict dz,
                       ptrdiff_t sz, real *restrict value)
{
#pragma omp simd
    for (size_t i = 0; i < n; i++) {
        bool took_x = takes_x(f, x[(ptrdiff_t)i * sx], y[(ptrdiff_t)i * sy]);
        value[i] = chosen(took_x == want_x, dz[(ptrdiff_t)i * sz], R(0.0));
    }
}

static void zip_choice_tuned(enum assay_zip f, int which, const struct assay_walk *walk,
                             const void *x_, const void *y_, const void *dz_, void *d_,
                             enum assay_mode mode)
{
    const struct assay_walk w = walk_collapsed(walk);
    const int last = w.rank - 1;
    const ptrdiff_t sx = w.x[last], sy = w.y[last], sz = w.z[last];
    real value[BLOCK];
    for (struct walk_rows r = walk_rows_start(&w); walk_rows_next(&r);)
        for (size_t start = 0, width = w.dim[last]; start < width; start += BLOCK) {
            size_t n = width - start < BLOCK ? width - start : BLOCK;
            ptrdiff_t from = (ptrdiff_t)start;
            const real *x = (const real *)x_ + r.at.x + from * sx,
                       *y = (const real *)y_ + r.at.y + from * sy;
            const real *dz = (const real *)dz_ + r.at.z + from * sz;
            if (sx == 1 && sy == 1 && sz == 1)
                chosen_row(f, which == 0, n, x, 1, y, 1, dz, 1, value);
            else
                chosen_row(f, which == 0, n, x, sx, y, sy, dz, sz, value);
            meet_row(n, value, (real *)d_ + r.at.z + from * sz, sz, mode);
        }
}

static void select_any(size_t n, const int32_t *restrict condition, const void *x_, const void *y_,
                       void *z_)
{
    const real *restrict x = x_, *restrict y = y_;
    real *restrict z = z_;
#pragma omp simd
    for (size_t i = 0; i < n; i++)
        z[i] = chosen(condition[i] != 0, x[i], y[i]);
}

static void masked_add_any(size_t n, const int32_t *restrict condition, bool when, const void *x_,
                           void *z_)
{
    const real *restrict x = x_;
    real *restrict z = z_;
#pragma omp simd
    for (size_t i = 0; i < n; i++)
        z[i] = chosen((condition[i] != 0) == when, z[i] + x[i], z[i]);
}

void KERNEL_FILE(zips)(struct assay_kernels *table, bool tuned)
{
    table->zip = tuned ? zip_tuned : zip_def;
    table->zip_choice = tuned ? zip_choice_tuned : zip_choice_def;
    table->select = select_any;
    table->masked_add = masked_add_any;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The inner tile of matrix products: TILE_M x TILE_N chains held in registers, vectors along the
 * columns. Blocking, packing and padding leave every chain c = fma(a, b, c), k ascending, as it
 * is: between two pieces of k it rests in c. */
#ifndef ASSAY_KERNELS_TILE_H
#define ASSAY_KERNELS_TILE_H

#include "ref/kernels/kernel.h"

/* The accumulators, two vectors of b and one of a fill the registers. */
enum { TILE_M = VECTOR_REGISTERS == 32 ? 8 : 6, TILE_N = 2 * VECTOR };

#define TILE_INLINE static inline __attribute__((always_inline))

TILE_INLINE vec vec_fma(real a, vec b, vec c)
{
    vec r;
    UNROLLED_FOR (l, VECTOR)
        r[l] = FMA(a, b[l], c[l]);
    return r;
}

/* One tile: c[i, j] (mode) the chain over p of fma(a[row[i] + p * a_column], b[p * b_row + j],
 * .), TILE_M x vecs vectors; it starts from c if `resume`. row NULL: row[i] = i. */
TILE_INLINE void tile_body(int vecs, size_t k, const real *a, const size_t *row, size_t a_column,
                           const real *b, size_t b_row, real *c, size_t c_row, bool resume,
                           enum assay_mode mode)
{
    vec sum[TILE_M][2], y[2];
    UNROLLED_FOR (i, TILE_M)
        UNROLLED_FOR (v, vecs)
            sum[i][v] = resume ? vec_load(c + (size_t)i * c_row + v * VECTOR) : (vec){0};
    for (size_t p = 0; p < k; p++) {
        UNROLLED_FOR (v, vecs)
            y[v] = vec_load(b + v * VECTOR);
        UNROLLED_FOR (i, TILE_M)
            UNROLLED_FOR (v, vecs)
                sum[i][v] = vec_fma(a[row ? row[i] : (size_t)i], y[v], sum[i][v]);
        a += a_column;
        b += b_row;
    }
    UNROLLED_FOR (i, TILE_M)
        UNROLLED_FOR (v, vecs) {
            real *to = c + (size_t)i * c_row + v * VECTOR;
            vec value = sum[i][v];
            if (mode == ASSAY_ADD)
                value = vec_load(to) + value;
            else if (mode == ASSAY_SUBTRACT)
                value = vec_load(to) - value;
            vec_store(to, value);
        }
}

/* a and where its rows begin. Rows beyond the last repeat it. */
struct tile_rows {
    const real *a;
    size_t row[TILE_M], column;
    bool adjacent;
};

/* Filled in place: a struct that is returned is copied, and the copy waits for the stores. */
TILE_INLINE void tile_rows(struct tile_rows *r, const real *a, size_t a_row, size_t a_column,
                           size_t rows)
{
    r->a = a;
    r->column = a_column;
    r->adjacent = a_row == 1 && rows >= TILE_M;
    for (size_t i = 0; !r->adjacent && i < TILE_M; i++)
        r->row[i] = (i < rows ? i : rows - 1) * a_row;
}

#define TILE_FUNCTION(name, vecs, rows) \
    __attribute__((unused, noinline)) static void name( \
        size_t k, const struct tile_rows *r, const real *b, size_t b_row, real *c, size_t c_row, \
        bool resume, enum assay_mode mode) \
    { \
        tile_body(vecs, k, r->a, rows, r->column, b, b_row, c, c_row, resume, mode); \
    }

TILE_FUNCTION(tile_rows_wide, 2, r->row)
TILE_FUNCTION(tile_rows_narrow, 1, r->row)
TILE_FUNCTION(tile_adjacent_wide, 2, NULL)
TILE_FUNCTION(tile_adjacent_narrow, 1, NULL)

/* A tile of any size up to TILE_M x TILE_N; b has TILE_N columns (VECTOR if columns <= VECTOR),
 * of which `columns` are kept. Where the tile doesn't fill its vectors, c is staged. */
static inline void tile(size_t rows, size_t columns, size_t k, const struct tile_rows *r,
                        const real *b, size_t b_row, real *c, size_t c_row, bool resume,
                        enum assay_mode mode)
{
    bool narrow = columns <= VECTOR,
         whole = rows >= TILE_M && columns == (narrow ? VECTOR : TILE_N);
    real staged[TILE_M * TILE_N];
    real *to = whole ? c : staged;
    size_t to_row = whole ? c_row : TILE_N;
    if (!whole && resume) {
        memset(staged, 0, sizeof staged);
        for (size_t i = 0; i < rows; i++)
            memcpy(staged + i * TILE_N, c + i * c_row, columns * sizeof *c);
    }
    enum assay_mode inner = whole ? mode : ASSAY_STORE;
    if (r->adjacent)
        (narrow ? tile_adjacent_narrow : tile_adjacent_wide)(k, r, b, b_row, to, to_row, resume,
                                                             inner);
    else
        (narrow ? tile_rows_narrow : tile_rows_wide)(k, r, b, b_row, to, to_row, resume, inner);
    for (size_t i = 0; !whole && i < rows; i++)
        for (size_t j = 0; j < columns; j++)
            meet(&c[i * c_row + j], staged[i * TILE_N + j], mode);
}

/* Reals of b packed: panels of TILE_N columns, each [k, TILE_N], the last one padded with zeros. */
static inline size_t packed_size(size_t k, size_t n)
{
    return (n + TILE_N - 1) / TILE_N * TILE_N * k;
}

/* Packs k rows of b [., n] into panels that hold `panel_k` rows each. */
static inline void pack_panels(size_t k, size_t n, const real *restrict b, size_t b_row,
                               size_t b_column, size_t panel_k, real *restrict packed)
{
    for (size_t j = 0; j < n; j += TILE_N, packed += panel_k * TILE_N) {
        const real *from = b + j * b_column;
        size_t columns = n - j < TILE_N ? n - j : TILE_N;
        if (b_column == 1 && columns == TILE_N)
            for (size_t p = 0; p < k; p++)
                memcpy(packed + p * TILE_N, from + p * b_row, TILE_N * sizeof(real));
        else if (b_column == 1)
            for (size_t p = 0; p < k; p++) {
                real *to = packed + p * TILE_N;
                memcpy(to, from + p * b_row, columns * sizeof *to);
                memset(to + columns, 0, (TILE_N - columns) * sizeof *to);
            }
        else {
            if (columns < TILE_N)
                memset(packed, 0, k * TILE_N * sizeof(real));
            for (size_t p = 0; p < k; p++)
                for (size_t c = 0; c < columns; c++)
                    packed[p * TILE_N + c] = from[p * b_row + c * b_column];
        }
    }
}

/* c [m, n] (mode) a [m, k] b, b packed in panels `panel` reals apart. */
static inline void packed_product(size_t m, size_t n, size_t k, const real *a, size_t a_row,
                                  size_t a_column, const real *packed, size_t panel, real *c,
                                  size_t c_row, bool resume, enum assay_mode mode)
{
    for (size_t i = 0; i < m; i += TILE_M) {
        size_t rows = m - i < TILE_M ? m - i : TILE_M;
        struct tile_rows r;
        tile_rows(&r, a + i * a_row, a_row, a_column, rows);
        for (size_t j = 0; j < n; j += TILE_N)
            tile(rows, n - j < TILE_N ? n - j : TILE_N, k, &r, packed + j / TILE_N * panel, TILE_N,
                 c + i * c_row + j, c_row, resume, mode);
    }
}

#endif

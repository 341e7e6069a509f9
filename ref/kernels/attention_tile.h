/* SPDX-License-Identifier: Apache-2.0 */
/* Probabilities of a tile of queries: the product's tiles over all keys that any of its rows may
 * see, then the softmax row by row. Outside a row's set p is +0, and chains run over it: fma(+0,
 * v, c) is c but for a zero's sign, which the + 0 at their end removes. */
#ifndef ASSAY_KERNELS_ATTENTION_TILE_H
#define ASSAY_KERNELS_ATTENTION_TILE_H

#include "ref/kernels/attention.h"
#include "ref/kernels/tile.h"

/* ROWS queries at a time. Columns start at multiples of SPAN, which keeps panels whole and lanes
 * absolute. */
enum { ROWS = 24, SPAN = (int)TILE_N > (int)LANES ? (int)TILE_N : (int)LANES };

static inline size_t round_up(size_t x, size_t unit)
{
    return (x + unit - 1) / unit * unit;
}

/* Reals between a tile's rows; a little more than the keys, so that rows don't share the sets of
 * a cache. */
static inline size_t tile_row_size(const struct assay_attention *a)
{
    return round_up(a->keys, SPAN) + SPAN;
}

/* Queries [first, first + rows) of head h of sample b; columns [from, to), to <= keys; p: [rows,
 * row_size]. */
struct query_tile {
    const struct assay_attention *a;
    size_t b, h, first, rows, from, to, row_size;
    bool empty[ROWS];
    real *p;
};

/* Whether no key is allowed. */
static inline bool row_is_empty(const struct assay_attention *a, size_t b, size_t h, size_t i)
{
    struct span s = attention_span(a, i);
    const int32_t *allowed = allowed_row(a, b, h, i),
                  *valid = a->key_valid ? a->key_valid + b * a->keys : NULL;
    if (a->query_valid && !a->query_valid[b * a->queries + i])
        return true;
    while (s.from < s.to && ((allowed && !allowed[s.from]) || (valid && !valid[s.from])))
        s.from++;
    return s.from == s.to;
}

static inline struct query_tile query_tile(const struct assay_attention *a, size_t b, size_t h,
                                           size_t first, real *p)
{
    struct query_tile t = {.a = a,
                           .b = b,
                           .h = h,
                           .first = first,
                           .from = a->keys,
                           .row_size = tile_row_size(a),
                           .p = p};
    t.rows = a->queries - first < ROWS ? a->queries - first : ROWS;
    for (size_t r = 0; r < t.rows; r++) {
        struct span s = attention_span(a, first + r);
        t.empty[r] = row_is_empty(a, b, h, first + r);
        if (t.empty[r])
            s = a->uniform_if_empty ? (struct span){0, a->keys} : (struct span){a->keys, 0};
        t.from = s.from < t.from ? s.from : t.from;
        t.to = s.to > t.to ? s.to : t.to;
    }
    t.from = t.from < t.to ? t.from / SPAN * SPAN : t.to;
    return t;
}

/* x = +0 on [from, to). */
static inline void clear(real *x, size_t from, size_t to)
{
    for (size_t j = from; j < to; j++)
        x[j] = 0;
}

/* Keys of head g, transposed and packed, make the scores' panels; so do values for dp. table:
 * [batch, capacity, heads, width]. */
static inline void pack_transposed(const struct assay_attention *a, size_t b, size_t g,
                                   const void *table, size_t width, real *packed)
{
    pack_panels(width, a->keys, (const real *)table + key_at(a, width, b, 0, g), 1,
                a->key_heads * width, width, packed);
}

/* The same as they stand: [keys, width]. */
static inline void pack_straight(const struct assay_attention *a, size_t b, size_t g,
                                 const void *table, size_t width, real *packed)
{
    pack_panels(a->keys, width, (const real *)table + key_at(a, width, b, 0, g),
                a->key_heads * width, 1, a->keys, packed);
}

/* y [rows, row_size] on the tile's columns: rows of `table` [batch, queries, heads, width] times
 * a transposed pack. */
static inline void tile_times_transposed(const struct query_tile *t, const void *table,
                                         size_t width, const real *packed, real *y)
{
    const struct assay_attention *a = t->a;
    packed_product(t->rows, t->to - t->from, width,
                   (const real *)table + query_at(a, width, t->b, t->first, t->h), a->heads * width,
                   1, packed + t->from * width, width * TILE_N, y + t->from, t->row_size, false,
                   ASSAY_STORE);
}

/* y [rows, .] the tile's x [rows, row_size] times a straight pack. */
static inline void tile_times_straight(const struct query_tile *t, const real *x, size_t width,
                                       const real *packed, real *y, size_t y_row)
{
    packed_product(t->rows, width, t->to - t->from, x + t->from, t->row_size, 1,
                   packed + t->from * TILE_N, t->a->keys * TILE_N, y, y_row, false, ASSAY_STORE);
}

/* Chains to scores less `shift` on the row's span; -infinity, of which exp makes +0, where a mask
 * excludes a key. */
static inline void finish_scores(const struct query_tile *t, size_t r, struct span s, real shift,
                                 real *x)
{
    const struct assay_attention *a = t->a;
    size_t i = t->first + r;
    const int32_t *allowed = allowed_row(a, t->b, t->h, i),
                  *valid = a->key_valid ? a->key_valid + t->b * a->keys : NULL;
    const real *bias =
        a->bias ? (const real *)a->bias + bias_row_at(a, t->b, t->h, i) * a->keys : NULL;
    real scale = (real)a->scale, nothing = -(real)__builtin_inff();
    for (size_t j = s.from; bias && j < s.to; j++)
        x[j] = ((x[j] * scale) + bias[j]) - shift;
    for (size_t j = s.from; !bias && j < s.to; j++)
        x[j] = (x[j] * scale) - shift;
    for (size_t j = s.from; allowed && j < s.to; j++)
        x[j] = chosen(allowed[j] != 0, x[j], nothing);
    for (size_t j = s.from; valid && j < s.to; j++)
        x[j] = chosen(valid[j] != 0, x[j], nothing);
}

/* The largest of n > 0 elements, the first among equals. */
static inline real first_largest(size_t n, const real *x)
{
    real m = largest16(n, x);
    size_t j = 0;
    while (m == 0 && x[j] != 0)
        j++;
    return m == 0 ? x[j] : m;
}

/* Scores less their largest on the row's span; returns it. Rounding is monotonic, so that without
 * bias and masks the largest score is the largest chain's; a zero's sign needs the scores. */
static inline real centre_scores(const struct query_tile *t, size_t r, struct span s, real *x)
{
    const struct assay_attention *a = t->a;
    bool plain = !a->bias && !a->allowed && !a->key_valid && a->scale > 0;
    real m = plain ? largest16(s.to - s.from, x + s.from) * (real)a->scale : R(0.0);
    if (m != 0) {
        finish_scores(t, r, s, m, x);
        return m;
    }
    finish_scores(t, r, s, 0, x);
    m = first_largest(s.to - s.from, x + s.from);
    for (size_t j = s.from; j < s.to; j++)
        x[j] = x[j] - m;
    return m;
}

/* exp on the row's span, +0 on the tile's other columns up to a multiple of LANES. */
static inline void row_exp(const struct query_tile *t, struct span s, real *x)
{
    array_exp(s.to - s.from, x + s.from, x + s.from);
    clear(x, t->from, s.from);
    clear(x, s.to, round_up(t->to, LANES));
}

/* p of a row without an allowed key. */
static inline void row_empty(const struct query_tile *t, real *x)
{
    real p = t->a->uniform_if_empty ? R(1.0) / (real)t->a->keys : R(0.0);
    for (size_t j = t->from; j < t->to; j++)
        x[j] = p;
    clear(x, t->to, round_up(t->to, LANES));
}

static inline void row_divide(const struct query_tile *t, real z, real *x)
{
    for (size_t j = t->from; j < t->to; j++)
        x[j] = x[j] / z;
}

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* Attention, backward. Each contribution is a chain from +0, + 0, then added: no zero's sign
 * depends on what a mask left out. p is computed again from the scores, which gives the
 * forward's bits. */
#include "ref/kernels/attention_tile.h"

static const real *row_of(const void *table, const struct assay_attention *a, size_t row)
{
    return table ? (const real *)table + row * a->keys : NULL;
}

/* ds of a row from its p: dp = (chain of fma(d_output, value)) [* keep] [+ d_probability], D =
 * sum p dp. */
static void score_gradient_def(const struct assay_attention *a, size_t b, size_t h, size_t i,
                               const real *p, real *ds)
{
    size_t row = row_at(a, b, h, i), width = a->value_width, g = h / attention_group(a);
    const real *keep = row_of(a->keep, a, row), *d_probability = row_of(a->d_probability, a, row);
    const real *d_output = (const real *)a->d_output + query_at(a, width, b, i, h);
    for (size_t j = 0; j < a->keys; j++) {
        const real *value = (const real *)a->value + key_at(a, width, b, j, g);
        real chain = 0;
        for (size_t c = 0; c < width; c++)
            chain = FMA(d_output[c], value[c], chain);
        ds[j] = keep ? chain * keep[j] : chain;
        if (d_probability)
            ds[j] += d_probability[j];
    }
    real lane[LANES] = {0};
    for (size_t j = 0; j < a->keys; j++)
        if (allows(a, b, h, i, j))
            lane[j % LANES] += p[j] * ds[j];
    real D = lanes_total(lane);
    for (size_t j = 0; j < a->keys; j++)
        ds[j] = allows(a, b, h, i, j) ? p[j] * (ds[j] - D) : R(0.0);
}

/* d_query of row i: chain over j of the set of fma(dr, key), dr = ds * scale. */
static void query_gradient_def(const struct assay_attention *a, size_t b, size_t h, size_t i,
                               const real *ds)
{
    for (size_t c = 0; c < a->width; c++) {
        real chain = 0;
        for (size_t j = 0; j < a->keys; j++) {
            size_t key = key_at(a, a->width, b, j, h / attention_group(a)) + c;
            if (allows(a, b, h, i, j))
                chain = FMA(ds[j] * (real)a->scale, ((const real *)a->key)[key], chain);
        }
        ((real *)a->d_query)[query_at(a, a->width, b, i, h) + c] += chain + R(0.0);
    }
}

/* Runs on the chains of d_key [keys, width] and d_value [keys, value_width]. */
static void key_gradients_def(const struct assay_attention *a, size_t b, size_t h, size_t i,
                              const real *p, const real *ds, real *d_key, real *d_value)
{
    const real *query = (const real *)a->query + query_at(a, a->width, b, i, h);
    const real *d_output = (const real *)a->d_output + query_at(a, a->value_width, b, i, h);
    const real *keep = row_of(a->keep, a, row_at(a, b, h, i));
    for (size_t j = 0; j < a->keys; j++) {
        for (size_t c = 0; c < a->width; c++)
            if (allows(a, b, h, i, j))
                d_key[j * a->width + c] =
                    FMA(ds[j] * (real)a->scale, query[c], d_key[j * a->width + c]);
        for (size_t c = 0; c < a->value_width; c++)
            if (p[j] != 0)
                d_value[j * a->value_width + c] =
                    FMA(keep ? p[j] * keep[j] : p[j], d_output[c], d_value[j * a->value_width + c]);
    }
}

/* y += completed chains, which may end in -0. */
static void add_chains(size_t n, const real *restrict chain, real *restrict y)
{
#pragma omp simd
    for (size_t c = 0; c < n; c++)
        y[c] += chain[c] + R(0.0);
}

/* Completed chains of key head g are added to their destinations. */
static void add_key_gradients(const struct assay_attention *a, size_t b, size_t g,
                              const real *d_key, const real *d_value)
{
    for (size_t j = 0; a->d_key && j < a->keys; j++)
        add_chains(a->width, d_key + j * a->width, (real *)a->d_key + key_at(a, a->width, b, j, g));
    for (size_t j = 0; a->d_value && j < a->keys; j++)
        add_chains(a->value_width, d_value + j * a->value_width,
                   (real *)a->d_value + key_at(a, a->value_width, b, j, g));
}

/* The heads of a group and their queries, ascending. */
static void group_def(const struct assay_attention *a, size_t b, size_t g, real *d_bias)
{
    real *p = a->scratch, *ds = p + a->keys, *d_key = ds + a->keys,
         *d_value = d_key + a->keys * a->width, m, z;
    size_t group = attention_group(a);
    memset(d_key, 0, a->keys * (a->width + a->value_width) * sizeof(real));
    for (size_t h = g * group; h < (g + 1) * group; h++)
        for (size_t i = 0; i < a->queries; i++) {
            probability_def(a, b, h, i, p, &m, &z);
            score_gradient_def(a, b, h, i, p, ds);
            if (a->d_query)
                query_gradient_def(a, b, h, i, ds);
            key_gradients_def(a, b, h, i, p, ds, d_key, d_value);
            for (size_t j = 0; a->d_bias && j < a->keys; j++)
                d_bias[bias_row_at(a, b, h, i) * a->keys + j] += ds[j];
        }
    add_key_gradients(a, b, g, d_key, d_value);
}

static void attention_backward_def(const struct assay_attention *a)
{
    real *d_bias = (real *)a->scratch + a->keys * (2 + a->width + a->value_width);
    if (a->d_bias)
        memset(d_bias, 0, bias_size(a) * sizeof(real));
    for (size_t b = 0; b < a->batch; b++)
        for (size_t g = 0; g < a->key_heads; g++)
            group_def(a, b, g, d_bias);
    for (size_t l = 0; a->d_bias && l < bias_size(a); l++)
        ((real *)a->d_bias)[l] += d_bias[l];
}

/* The scratch of the tiles, cut as attention_scratch counts it. */
struct backward {
    real *keys_transposed, *values_transposed, *keys; /* packs of one key head */
    real *p, *ds, *kept;                              /* [ROWS, row_size]; kept is p * keep */
    real *d_key, *d_value;            /* chains: [keys, width], [keys, value_width] */
    real *d_query, *query, *d_output; /* [ROWS, width], and packs of the tile's rows */
    real *d_bias;
};

static struct backward backward_scratch(const struct assay_attention *a)
{
    struct backward x = {.keys_transposed = a->scratch};
    size_t tile = ROWS * tile_row_size(a);
    x.values_transposed = x.keys_transposed + packed_size(a->width, a->keys);
    x.keys = x.values_transposed + packed_size(a->value_width, a->keys);
    x.p = x.keys + packed_size(a->keys, a->width);
    x.ds = x.p + tile;
    x.kept = a->keep ? x.ds + tile : x.p;
    x.d_key = x.ds + tile + (a->keep ? tile : 0);
    x.d_value = x.d_key + a->keys * a->width;
    x.d_query = x.d_value + a->keys * a->value_width;
    x.query = x.d_query + ROWS * a->width;
    x.d_output = x.query + packed_size(ROWS, a->width);
    x.d_bias = x.d_output + packed_size(ROWS, a->value_width);
    return x;
}

/* p of row r again, from its m and z. */
static void probability_again(const struct query_tile *t, size_t r, real *p)
{
    size_t row = row_at(t->a, t->b, t->h, t->first + r);
    struct span s = attention_span(t->a, t->first + r);
    if (t->empty[r]) {
        row_empty(t, p);
        return;
    }
    finish_scores(t, r, s, ((const real *)t->a->row_max)[row], p);
    row_exp(t, s, p);
    row_divide(t, ((const real *)t->a->row_sum)[row], p);
}

/* From the chains of dp to dr = ds * scale; ds also goes to d_bias, and p * keep to `kept`. */
static void score_gradient(const struct query_tile *t, size_t r, const real *p, real *kept,
                           real *ds, real *d_bias)
{
    const struct assay_attention *a = t->a;
    size_t row = row_at(a, t->b, t->h, t->first + r);
    const real *keep = row_of(a->keep, a, row), *d_probability = row_of(a->d_probability, a, row);
    for (size_t j = t->from; keep && j < t->to; j++) {
        kept[j] = p[j] * keep[j];
        ds[j] = ds[j] * keep[j];
    }
    for (size_t j = t->from; d_probability && j < t->to; j++)
        ds[j] = ds[j] + d_probability[j];
    if (t->empty[r]) {
        clear(ds, t->from, t->to);
        return;
    }
    size_t end = round_up(t->to, LANES);
    clear(ds, t->to, end);
    real D = sum16_products(end - t->from, p + t->from, ds + t->from), scale = (real)a->scale;
    for (size_t j = t->from; d_bias && j < t->to; j++)
        d_bias[j] += p[j] * (ds[j] - D);
    for (size_t j = t->from; j < t->to; j++)
        ds[j] = (p[j] * (ds[j] - D)) * scale;
}

/* Runs the chains y [keys, width] on over the tile's rows: y[j] += fma(x[r, j], rows of
 * `table`). */
static void key_chains(const struct query_tile *t, const real *x, const void *table, size_t width,
                       real *packed, real *y)
{
    const struct assay_attention *a = t->a;
    const real *from = (const real *)table + query_at(a, width, t->b, t->first, t->h);
    pack_panels(t->rows, width, from, a->heads * width, 1, t->rows, packed);
    packed_product(t->to - t->from, width, t->rows, x + t->from, 1, t->row_size, packed,
                   t->rows * TILE_N, y + t->from * width, width, true, ASSAY_STORE);
}

static void tile_backward(const struct query_tile *t, const struct backward *x)
{
    const struct assay_attention *a = t->a;
    tile_times_transposed(t, a->query, a->width, x->keys_transposed, x->p);
    tile_times_transposed(t, a->d_output, a->value_width, x->values_transposed, x->ds);
    for (size_t r = 0; r < t->rows; r++) {
        size_t at = r * t->row_size;
        real *d_bias =
            a->d_bias ? x->d_bias + bias_row_at(a, t->b, t->h, t->first + r) * a->keys : NULL;
        probability_again(t, r, x->p + at);
        score_gradient(t, r, x->p + at, x->kept + at, x->ds + at, d_bias);
    }
    if (a->d_key)
        key_chains(t, x->ds, a->query, a->width, x->query, x->d_key);
    if (a->d_value)
        key_chains(t, x->kept, a->d_output, a->value_width, x->d_output, x->d_value);
    if (!a->d_query)
        return;
    tile_times_straight(t, x->ds, a->width, x->keys, x->d_query, a->width);
    for (size_t r = 0; r < t->rows; r++)
        add_chains(a->width, x->d_query + r * a->width,
                   (real *)a->d_query + query_at(a, a->width, t->b, t->first + r, t->h));
}

static void group_backward(const struct assay_attention *a, size_t b, size_t g,
                           const struct backward *x)
{
    pack_transposed(a, b, g, a->key, a->width, x->keys_transposed);
    pack_transposed(a, b, g, a->value, a->value_width, x->values_transposed);
    pack_straight(a, b, g, a->key, a->width, x->keys);
    memset(x->d_key, 0, a->keys * (a->width + a->value_width) * sizeof(real));
    for (size_t h = g * attention_group(a); h < (g + 1) * attention_group(a); h++)
        for (size_t i = 0; i < a->queries; i += ROWS) {
            struct query_tile t = query_tile(a, b, h, i, x->p);
            tile_backward(&t, x);
        }
    add_key_gradients(a, b, g, x->d_key, x->d_value);
}

static void attention_backward_tiled(const struct assay_attention *a)
{
    struct backward x = backward_scratch(a);
    if (a->d_bias)
        memset(x.d_bias, 0, bias_size(a) * sizeof(real));
    for (size_t b = 0; b < a->batch; b++)
        for (size_t g = 0; g < a->key_heads; g++)
            group_backward(a, b, g, &x);
    for (size_t l = 0; a->d_bias && l < bias_size(a); l++)
        ((real *)a->d_bias)[l] += x.d_bias[l];
}

void KERNEL_FILE(attention_backward)(struct assay_kernels *table, bool tuned)
{
    table->attention_backward = tuned ? attention_backward_tiled : attention_backward_def;
}

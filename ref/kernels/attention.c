/* SPDX-License-Identifier: Apache-2.0 */
/* Attention, forward: the definition row by row, and by tiles of queries. */
#include "ref/kernels/attention_tile.h"

static void attention_row_def(const struct assay_attention *a, size_t b, size_t h, size_t i)
{
    real *p = a->scratch, *output = (real *)a->output + query_at(a, a->value_width, b, i, h), m, z;
    size_t row = row_at(a, b, h, i);
    const real *keep = a->keep ? (const real *)a->keep + row * a->keys : NULL;
    probability_def(a, b, h, i, p, &m, &z);
    ((real *)a->row_max)[row] = m;
    ((real *)a->row_sum)[row] = z;
    if (a->log_sum)
        ((real *)a->log_sum)[row] = z > 0 ? m + real_log(z) : R(0.0);
    for (size_t j = 0; a->probability && j < a->keys; j++)
        ((real *)a->probability)[row * a->keys + j] = p[j];
    for (size_t c = 0; c < a->value_width; c++) {
        real chain = 0;
        for (size_t j = 0; j < a->keys; j++)
            if (allows(a, b, h, i, j) || z == 0) {
                size_t value = key_at(a, a->value_width, b, j, h / attention_group(a)) + c;
                chain = FMA(keep ? p[j] * keep[j] : p[j], ((const real *)a->value)[value], chain);
            }
        output[c] = chain + R(0.0);
    }
}

static void attention_def(const struct assay_attention *a)
{
    for (size_t b = 0; b < a->batch; b++)
        for (size_t h = 0; h < a->heads; h++)
            for (size_t i = 0; i < a->queries; i++)
                attention_row_def(a, b, h, i);
}

static size_t attention_scratch_def(const struct assay_attention *a)
{
    size_t rows = 2 * a->keys, gradients = a->keys * (a->width + a->value_width);
    return (rows + gradients + (a->bias || a->d_bias ? bias_size(a) : 0)) * sizeof(real);
}

/* Packed keys and values; tiles of p, dp and p * keep; the chains of d_key, d_value and d_query;
 * packed rows of query and d_output; the sums of d_bias. Forward needs a part of it. */
static size_t attention_scratch(const struct assay_attention *a)
{
    size_t columns = round_up(a->keys, TILE_N), width = round_up(a->width, TILE_N);
    size_t value_width = round_up(a->value_width, TILE_N);
    size_t packed = columns * (a->width + a->value_width) + a->keys * (width + value_width);
    size_t tiles = (a->keep ? 3u : 2u) * ROWS * tile_row_size(a),
           chains = a->keys * (a->width + a->value_width);
    size_t rows = ROWS * (a->width + width + value_width);
    return (packed + tiles + chains + rows + (a->d_bias ? bias_size(a) : 0)) * sizeof(real);
}

/* The softmax of row r, and what is kept of it. */
static void softmax_row(const struct query_tile *t, size_t r)
{
    const struct assay_attention *a = t->a;
    size_t row = row_at(a, t->b, t->h, t->first + r);
    struct span s = attention_span(a, t->first + r);
    real *x = t->p + r * t->row_size, m = 0, z = 0;
    if (t->empty[r])
        row_empty(t, x);
    else {
        m = centre_scores(t, r, s, x);
        row_exp(t, s, x);
        z = sum16(round_up(t->to, LANES) - t->from, x + t->from);
        row_divide(t, z, x);
    }
    ((real *)a->row_max)[row] = m;
    ((real *)a->row_sum)[row] = z;
    if (a->log_sum)
        ((real *)a->log_sum)[row] = z > 0 ? m + real_log(z) : R(0.0);
    if (a->probability) {
        real *p = (real *)a->probability + row * a->keys;
        clear(p, 0, t->from);
        memcpy(p + t->from, x + t->from, (t->to - t->from) * sizeof(real));
        clear(p, t->to, a->keys);
    }
    const real *keep = a->keep ? (const real *)a->keep + row * a->keys : NULL;
    for (size_t j = t->from; keep && j < t->to; j++)
        x[j] = x[j] * keep[j];
}

static void attention_head(const struct assay_attention *a, size_t b, size_t h, const real *keys,
                           const real *values, real *p)
{
    for (size_t i = 0; i < a->queries; i += ROWS) {
        struct query_tile t = query_tile(a, b, h, i, p);
        tile_times_transposed(&t, a->query, a->width, keys, p);
        for (size_t r = 0; r < t.rows; r++)
            softmax_row(&t, r);
        real *output = (real *)a->output + query_at(a, a->value_width, b, i, h);
        tile_times_straight(&t, p, a->value_width, values, output, a->heads * a->value_width);
        for (size_t r = 0; r < t.rows; r++)
            for (size_t c = 0; c < a->value_width; c++)
                output[r * a->heads * a->value_width + c] += R(0.0);
    }
}

static void attention_tiled(const struct assay_attention *a)
{
    real *keys = a->scratch, *values = keys + packed_size(a->width, a->keys);
    real *p = values + packed_size(a->keys, a->value_width);
    for (size_t b = 0; b < a->batch; b++)
        for (size_t g = 0; g < a->key_heads; g++) {
            pack_transposed(a, b, g, a->key, a->width, keys);
            pack_straight(a, b, g, a->value, a->value_width, values);
            for (size_t h = g * attention_group(a); h < (g + 1) * attention_group(a); h++)
                attention_head(a, b, h, keys, values, p);
        }
}

void KERNEL_FILE(attention)(struct assay_kernels *table, bool tuned)
{
    table->attention_scratch = tuned ? attention_scratch : attention_scratch_def;
    table->attention = tuned ? attention_tiled : attention_def;
}

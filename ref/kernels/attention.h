/* SPDX-License-Identifier: Apache-2.0 */
/* What attention's forward and backward share: where a head's vectors lie, and which keys a
 * query may see. */
#ifndef ASSAY_KERNELS_ATTENTION_H
#define ASSAY_KERNELS_ATTENTION_H

#include "ref/kernels/kernel.h"

static inline size_t attention_group(const struct assay_attention *a)
{
    return a->key_heads ? a->heads / a->key_heads : 0;
}

/* Offsets of sample b: query i of head h, key or value j of key head g; and of [batch, heads,
 * queries, .] rows. */
static inline size_t query_at(const struct assay_attention *a, size_t width, size_t b, size_t i,
                              size_t h)
{
    return ((b * a->queries + i) * a->heads + h) * width;
}

static inline size_t key_at(const struct assay_attention *a, size_t width, size_t b, size_t j,
                            size_t g)
{
    return ((b * a->key_capacity + j) * a->key_heads + g) * width;
}

static inline size_t row_at(const struct assay_attention *a, size_t b, size_t h, size_t i)
{
    return (b * a->heads + h) * a->queries + i;
}

static inline size_t bias_row_at(const struct assay_attention *a, size_t b, size_t h, size_t i)
{
    size_t plane = (a->bias_batch ? b : 0) * (a->bias_head ? a->heads : 1) + (a->bias_head ? h : 0);
    return plane * a->queries + i;
}

static inline size_t bias_size(const struct assay_attention *a)
{
    return (a->bias_batch ? a->batch : 1) * (a->bias_head ? a->heads : 1) * a->queries * a->keys;
}

/* Row i of the table of allowed pairs, or NULL. */
static inline const int32_t *allowed_row(const struct assay_attention *a, size_t b, size_t h,
                                         size_t i)
{
    size_t plane = b * a->allowed_batch + h * a->allowed_head;
    return a->allowed ? a->allowed + (plane * a->queries + i) * a->keys : NULL;
}

/* The keys that causality and windows leave to query i: [from, to). */
struct span {
    size_t from, to;
};

static inline struct span attention_span(const struct assay_attention *a, size_t i)
{
    size_t at = a->first + i;
    struct span s = {0, a->keys};
    if (a->left != SIZE_MAX && at > a->left)
        s.from = at - a->left;
    if (a->causal && at < s.to)
        s.to = at + 1;
    if (a->right != SIZE_MAX && at + a->right < s.to)
        s.to = at + a->right + 1;
    if (s.from > s.to)
        s.from = s.to;
    return s;
}

/* The definition of the set, the scores and the probabilities. */
static inline bool allows(const struct assay_attention *a, size_t b, size_t h, size_t i, size_t j)
{
    struct span s = attention_span(a, i);
    const int32_t *row = allowed_row(a, b, h, i);
    return j >= s.from && j < s.to && (!a->key_valid || a->key_valid[b * a->keys + j])
           && (!a->query_valid || a->query_valid[b * a->queries + i]) && (!row || row[j]);
}

/* s[i, j] of head h. */
static inline real score_def(const struct assay_attention *a, size_t b, size_t h, size_t i,
                             size_t j)
{
    const real *query = (const real *)a->query + query_at(a, a->width, b, i, h);
    const real *key = (const real *)a->key + key_at(a, a->width, b, j, h / attention_group(a));
    real chain = 0;
    for (size_t c = 0; c < a->width; c++)
        chain = FMA(query[c], key[c], chain);
    real s = chain * (real)a->scale;
    return a->bias ? s + ((const real *)a->bias)[bias_row_at(a, b, h, i) * a->keys + j] : s;
}

/* Row i of p, +0 outside the set; m and z. */
static inline void probability_def(const struct assay_attention *a, size_t b, size_t h, size_t i,
                                   real *p, real *m, real *z)
{
    bool empty = true;
    real lane[LANES] = {0};
    *m = *z = 0;
    for (size_t j = 0; j < a->keys; j++)
        if (allows(a, b, h, i, j)) {
            p[j] = score_def(a, b, h, i, j);
            *m = empty || p[j] > *m ? p[j] : *m;
            empty = false;
        }
    for (size_t j = 0; j < a->keys; j++)
        if (empty)
            p[j] = a->uniform_if_empty ? R(1.0) / (real)a->keys : R(0.0);
        else {
            p[j] = allows(a, b, h, i, j) ? real_exp(p[j] - *m) : R(0.0);
            lane[j % LANES] += p[j];
        }
    if (empty)
        return;
    *z = lanes_total(lane);
    for (size_t j = 0; j < a->keys; j++)
        p[j] = p[j] / *z;
}

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* Softmax attention in parts: to some of the keys at a time, in tiles, put together by a merge that
 * is associative. What orders of execution have in common that never hold all n x n scores.
 *
 *     of keys J:   m = max_J s_j,  l = sum_J exp(s_j - m),  O = sum_J exp(s_j - m) v_j
 *     merge:       m = max(m1, m2),  a_i = exp(m_i - m),  l = a1 l1 + a2 l2,  O = a1 O1 + a2 O2
 *     in the end:  O / l, and L = m + log l
 *
 * A tape's numbers are finite: -2^120 stands for the score of a pair that is masked, -2^100 for the
 * maximum of no scores, so that exp of their difference, and of either's to any other score, is +0.
 * O / l and L don't depend on m: no gradient flows through it. */
#ifndef ASSAY_PARTIALS_H
#define ASSAY_PARTIALS_H

#include "ref/model.h"

#define MASKED_SCORE (-0x1p120)
#define NO_SCORE (-0x1p100)

/* Of rows of queries, planes by planes: [planes, rows, v], and [planes, rows, 1] twice. */
struct partial { tensor output, most, sum; };

/* Of no keys: the merge's neutral element, in bits. */
struct partial partial_empty(tape *t, size_t planes, size_t rows, size_t width);
/* p and more keys: score [planes, rows, k], value [planes, k, v]. One rescaling less than a merge with
 * the keys' own partial. Weights are dropped at `rate`, in O alone, by the draws of `name`. */
struct partial partial_next(tape *t, struct partial p, tensor score, tensor value, double rate,
                            const char *name);
struct partial partial_merge(tape *t, struct partial a, struct partial b);
/* O / l; 0 for a row that has seen no key */
tensor partial_output(tape *t, struct partial p);
/* m + log l; 2^100, for infinity, for a row that has seen no key: exp(s - L) is +0 */
tensor partial_log_sum(tape *t, struct partial p);

/* Queries, keys and values of attention as planes, one for each sample and head of the keys: row
 * i r + a of a plane's queries is query i of the a-th of the r heads that share the key head.
 * query [b g, n r, w], key [b g, n_k, w], value [b g, n_k, v] */
struct planes {
    tensor query, key, value;
    size_t heads, key_heads;
    size_t queries, keys;             /* n, n_k */
    double scale;
    /* query i sees key j iff j <= first + i; n_k - n: the last query sees all keys */
    bool causal;
    long first;
    const int32_t *valid;             /* [b, n_k]: keys that are no padding; NULL: all */
    double dropout;
    const char *name;                 /* of the draws */
};

/* query [b, n, h, w], key [b, n_k, g, w], value [b, n_k, g, v]; valid: i32 [b, n_k] or NONE */
struct planes planes_of(tape *t, tensor query, tensor key, tensor value, tensor valid, bool causal);
/* The same of a layer's heads: the scale, masks and dropout that `attention_defaults` has, of a cache
 * what is filled. */
struct planes planes_of_heads(layer *l, const struct heads *h, tensor memory);
/* One of them. */
struct planes plane_of(tape *t, const struct planes *p, size_t plane);
/* y [b g, n r, v] -> [b, n, h, v] */
tensor planes_joined(tape *t, const struct planes *p, tensor y);
/* y [b, n, h, v], where queries that are padding see, as the frame has it, all keys alike: the mean of
 * value [b, n_k, g, v]. Without padding y itself. */
tensor padding_sees_all(layer *l, tensor y, tensor value);

/* So many of the queries, or keys, from one on; a tile is the pairs of both, in all planes. */
struct part { size_t from, count; };
struct tile { struct part query, key; };
struct planes planes_of_queries(tape *t, const struct planes *p, struct part part);
/* Rows of x [planes, rows, w], `group` for each of the part; x itself, where that is all. */
tensor rows_of_part(tape *t, tensor x, struct part part, size_t group);
/* heads / key_heads: rows for a query */
size_t rows_of_query(const struct planes *p);
/* The tile's scaled scores, [planes, rows, keys], MASKED_SCORE where a pair is masked. */
tensor tile_scores(tape *t, const struct planes *p, struct tile at);
/* What the tile's queries have seen, and the tile's keys. */
struct partial tile_next(tape *t, const struct planes *p, struct tile at, struct partial before);
/* The name of a tile's draws. */
const char *tile_name(tape *t, const struct planes *p, struct tile at);
/* The first query that sees key j; n or more if none does. */
size_t first_query(const struct planes *p, size_t key);

/* ---- claims about orders of execution ---- */

struct claim;
/* Bare attention, normal, the same for all: query [b, n, 4, 4], key and value [b, n_k, 2, 4]. */
struct attention_case {
    size_t samples, queries, keys;
    bool causal;
    const int32_t *valid;             /* [b, n_k] or NULL */
};
struct claim_attention {
    tape *t;
    tensor query, key, value;
    struct planes p;
};
struct claim_attention claim_attention(struct claim *c, struct attention_case from);
/* Its pairs of query and key under one explicit mask: [b, n, 4, 4]. */
tensor attention_whole(const struct claim_attention *a);
/* All scores, [planes, rows, n_k]. */
tensor attention_scores(const struct claim_attention *a);
/* How far two orders may part, in units of roundoff of max |v|. Scores are the same chains. A weight
 * passes an exponential and, for each time that it is rescaled, one more and a product; the roundings
 * of the exponents' arguments, each its own size, add up to m - s, of which the weighted mean is at
 * most log n_k < n_k / 2. Numerator and denominator are sums of n_k weights, then there is one
 * division. Twice, for the other side rounds too. */
double attention_units(size_t keys, size_t rescalings);
/* O of the planes, [b g, n r, v], in the order that is claimed: [b, n, 4, 4] and the gradients of query,
 * key and value are those of attention as a whole. */
typedef tensor attention_order(tape *t, const struct planes *p, const void *about);
void claim_meets_attention(struct claim *c, struct attention_case from, size_t rescalings,
                           attention_order *order, const void *about, const char *what);

#endif

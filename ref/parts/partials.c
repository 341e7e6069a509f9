/* SPDX-License-Identifier: Apache-2.0 */
/* Partial softmax attention, its merge, and the tiles it is made of. */
#include "ref/parts/partials.h"

#include "ref/arith.h"

struct partial partial_empty(tape *t, size_t planes, size_t rows, size_t width)
{
    struct partial p;
    p.output = tape_filled(t, SHAPE(planes, rows, width), 0);
    p.most = tape_filled(t, SHAPE(planes, rows, 1), NO_SCORE);
    p.sum = tape_filled(t, SHAPE(planes, rows, 1), 0);
    return p;
}

/* exp(m - most), by which what was computed against m is multiplied. */
static tensor rescaling(tape *t, tensor m, tensor most)
{
    return exponential(t, subtract(t, m, most));
}

struct partial partial_next(tape *t, struct partial p, tensor score, tensor value, double rate,
                            const char *name)
{
    tensor m = stop_gradient(t, maximum(t, p.most, max_over(t, score, 2)));
    tensor weight = exponential(t, subtract(t, score, m)), a = rescaling(t, p.most, m);
    tensor sum = sum_over(t, weight, 2), kept = multiply(t, a, p.sum);
    struct partial y = {.most = m, .sum = add(t, kept, sum)};
    tensor mixed = matmul(t, dropout(t, weight, rate, name), value);
    tensor before = multiply(t, a, p.output);
    y.output = add(t, before, mixed);
    return y;
}

struct partial partial_merge(tape *t, struct partial a, struct partial b)
{
    tensor m = maximum(t, a.most, b.most), of_a = rescaling(t, a.most, m);
    tensor of_b = rescaling(t, b.most, m), one = multiply(t, of_a, a.sum);
    tensor two = multiply(t, of_b, b.sum);
    struct partial y = {.most = m, .sum = add(t, one, two)};
    one = multiply(t, of_a, a.output);
    two = multiply(t, of_b, b.output);
    y.output = add(t, one, two);
    return y;
}

/* l, 1/2 for 0: the largest score's term is 1 and rounding is monotonic, so that l is 0 or at least
 * 1. */
static tensor divisor(tape *t, tensor sum)
{
    return sum ? maximum(t, sum, tape_filled(t, SHAPE(1), 0.5)) : TENSOR_NONE;
}

tensor partial_output(tape *t, struct partial p)
{
    return divide(t, p.output, divisor(t, p.sum));
}

/* m, which is NO_SCORE where l is 0, times 2 sign(l) - 1. */
tensor partial_log_sum(tape *t, struct partial p)
{
    tensor side = offset(t, scale(t, sign_of(t, p.sum), 2), -1), m = multiply(t, p.most, side);
    return add(t, m, logarithm(t, divisor(t, p.sum)));
}

/* ---- planes ---- */

/* x [b, n, h, w] -> [b g, n r, w] */
static tensor to_planes(tape *t, tensor x, size_t key_heads)
{
    static const int heads_first[] = {0, 2, 1, 3, 4};
    if (!x)
        return TENSOR_NONE;
    size_t b = dim_of(x, 0), n = dim_of(x, 1), r = dim_of(x, 2) / key_heads, w = width_of(x);
    tensor y = permute(t, reshape(t, x, SHAPE(b, n, key_heads, r, w)), heads_first);
    return reshape(t, y, SHAPE(b * key_heads, n * r, w));
}

tensor planes_joined(tape *t, const struct planes *p, tensor y)
{
    static const int queries_first[] = {0, 2, 1, 3, 4};
    if (!y)
        return TENSOR_NONE;
    size_t g = p->key_heads, b = dim_of(y, 0) / g, v = width_of(y);
    y = reshape(t, y, SHAPE(b, g, p->queries, p->heads / g, v));
    return reshape(t, permute(t, y, queries_first), SHAPE(b, p->queries, p->heads, v));
}

struct planes planes_of(tape *t, tensor query, tensor key, tensor value, tensor valid, bool causal)
{
    struct planes p = {.causal = causal, .valid = flags_of(t, valid)};
    if (!query || !key || !value)
        return p;
    enum assay_profile profile = t->kernels->profile;
    double root = assay_scalar_sqrt(profile, assay_scalar(profile, (double)width_of(query)));
    p.scale = assay_scalar_div(profile, 1, root);
    p.heads = dim_of(query, 2);
    p.key_heads = dim_of(key, 2);
    p.queries = dim_of(query, 1);
    p.keys = dim_of(key, 1);
    p.first = (long)p.keys - (long)p.queries;
    p.query = to_planes(t, query, p.key_heads);
    p.key = to_planes(t, key, p.key_heads);
    p.value = to_planes(t, value, p.key_heads);
    return p;
}

struct planes planes_of_heads(layer *l, const struct heads *h, tensor memory)
{
    struct attention_options o = attention_defaults(l, h->key, memory);
    tape *t = l->t;
    tensor key = o.keys ? slice(t, h->key, 1, 0, o.keys) : h->key;
    tensor value = o.keys ? slice(t, h->value, 1, 0, o.keys) : h->value;
    struct planes p = planes_of(t, h->query, key, value, o.key_valid, o.causal);
    if (o.scale > 0)
        p.scale = o.scale;
    p.dropout = o.dropout;
    p.name = o.name;
    return p;
}

struct planes plane_of(tape *t, const struct planes *p, size_t plane)
{
    struct planes one = *p;
    one.query = slice(t, p->query, 0, plane, 1);
    one.key = slice(t, p->key, 0, plane, 1);
    one.value = slice(t, p->value, 0, plane, 1);
    if (p->valid)
        one.valid = p->valid + plane / p->key_heads * p->keys;
    return one;
}

struct planes planes_of_queries(tape *t, const struct planes *p, struct part part)
{
    struct planes some = *p;
    some.query = rows_of_part(t, p->query, part, rows_of_query(p));
    some.queries = part.count;
    some.first += (long)part.from;
    return some;
}

/* [b, 1, g, v] -> [b, n, h, v] */
static tensor for_each_query(tape *t, tensor x, const struct assay_shape *to)
{
    size_t b = dim_of(x, 0), g = dim_of(x, 2), v = width_of(x), heads = to->dim[2];
    x = expand(t, reshape(t, x, SHAPE(b, 1, g, 1, v)), SHAPE(b, 1, g, heads / g, v));
    return expand(t, reshape(t, x, SHAPE(b, 1, heads, v)), *to);
}

tensor padding_sees_all(layer *l, tensor y, tensor value)
{
    tape *t = l->t;
    tensor valid = l->context->valid;
    if (!y || !value || !valid || !config_of(l)->pad_is_zero)
        return y;
    tensor mean = mean_over(t, value, 1);
    if (!mean)
        return TENSOR_NONE;
    tensor keep = expand(t, reshape(t, valid, SHAPE(dim_of(y, 0), dim_of(y, 1), 1, 1)), y->shape);
    mean = for_each_query(t, mean, &y->shape);
    return choose(t, keep, y, mean);
}

/* ---- tiles ---- */

size_t rows_of_query(const struct planes *p)
{
    return p->heads / p->key_heads;
}

tensor rows_of_part(tape *t, tensor x, struct part part, size_t group)
{
    bool all = x && part.from == 0 && part.count * group == dim_of(x, 1);
    return !x || all ? x : slice(t, x, 1, part.from * group, part.count * group);
}

/* Whether a query sees each of a tile's keys; true if it sees all. */
static bool mask_row(const struct planes *p, size_t plane, size_t query, struct part key,
                     int32_t *row)
{
    const int32_t *valid = p->valid ? p->valid + plane / p->key_heads * p->keys + key.from : NULL;
    long last = p->causal ? p->first + (long)query - (long)key.from : (long)key.count;
    bool all = true;
    for (size_t j = 0; j < key.count; j++) {
        row[j] = (long)j <= last && (!valid || valid[j]);
        all &= row[j] != 0;
    }
    return all;
}

/* i32 [planes, rows, keys], or NONE where every pair is seen. */
static tensor tile_mask(tape *t, const struct planes *p, struct tile at)
{
    size_t group = rows_of_query(p), rows = at.query.count * group, keys = at.key.count;
    bool all = !p->causal || (long)(at.key.from + keys) <= p->first + (long)at.query.from + 1;
    if (all && !p->valid)
        return TENSOR_NONE;
    tensor mask = tape_input_i32(t, SHAPE(dim_of(p->query, 0), rows, keys), NULL);
    for (size_t r = 0; mask && !t->dry && r < rows_of(mask); r++) {
        int32_t *row = (int32_t *)mask->data + r * keys;
        bool seen = mask_row(p, r / rows, at.query.from + r % rows / group, at.key, row);
        all = (r == 0 || all) && seen;
    }
    return t->dry || !all ? mask : TENSOR_NONE;
}

tensor tile_scores(tape *t, const struct planes *p, struct tile at)
{
    tensor query = rows_of_part(t, p->query, at.query, rows_of_query(p));
    tensor key = rows_of_part(t, p->key, at.key, 1);
    tensor score = scale(t, matmul_nt(t, query, key), p->scale);
    tensor mask = score ? tile_mask(t, p, at) : TENSOR_NONE;
    return mask ? choose(t, mask, score, tape_filled(t, score->shape, MASKED_SCORE)) : score;
}

const char *tile_name(tape *t, const struct planes *p, struct tile at)
{
    return p->dropout > 0
               ? tape_string(t, "%s.%zu.%zu", p->name ? p->name : "", at.query.from, at.key.from)
               : NULL;
}

struct partial tile_next(tape *t, const struct planes *p, struct tile at, struct partial before)
{
    tensor score = tile_scores(t, p, at), value = rows_of_part(t, p->value, at.key, 1);
    return partial_next(t, before, score, value, p->dropout, tile_name(t, p, at));
}

size_t first_query(const struct planes *p, size_t key)
{
    return p->causal && (long)key > p->first ? (size_t)((long)key - p->first) : 0;
}

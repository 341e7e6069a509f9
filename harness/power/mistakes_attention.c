/* SPDX-License-Identifier: Apache-2.0 */
/* Mistakes in attention: those that change every call (struct mutant's `attention`), and those of
 * what it computes. */
#include <math.h>
#include <string.h>

#include "harness/power/mutant.h"

static size_t query_elements(const struct assay_attention *a, size_t width)
{
    return a->batch * a->queries * a->heads * width;
}

static size_t key_elements(const struct assay_attention *a, size_t width)
{
    return a->batch * a->key_capacity * a->key_heads * width;
}

static size_t bias_planes(const struct assay_attention *a)
{
    return (a->bias_batch ? a->batch : 1) * (a->bias_head ? a->heads : 1);
}

/* ---- scale ---- */

void attention_scaled_twice(struct assay_attention *a)
{
    a->scale *= a->scale;
}

void attention_unscaled(struct assay_attention *a)
{
    a->scale = 1;
}

void attention_scaled_by_width(struct assay_attention *a)
{
    a->scale /= sqrt((double)a->heads);
}

void attention_base_two(struct assay_attention *a)
{
    a->scale *= M_LN2;
}

/* ---- masks ---- */

void attention_sees_next(struct assay_attention *a)
{
    a->first += a->causal;
}

void attention_not_causal(struct assay_attention *a)
{
    a->causal = false;
}

void attention_causal(struct assay_attention *a)
{
    a->causal = true;
}

/* j < i in place of j <= i; the first query sees nothing. */
void attention_not_itself(struct assay_attention *a)
{
    int32_t *allowed = a->causal && !a->allowed ? borrow_i32(a->queries * a->keys) : NULL;
    for (size_t i = 0; allowed && i < a->queries; i++)
        for (size_t j = 0; j < a->keys; j++)
            allowed[i * a->keys + j] = j < a->first + i;
    if (allowed) {
        a->allowed = allowed;
        a->allowed_batch = a->allowed_head = 0;
    }
}

void attention_padding_seen(struct assay_attention *a)
{
    a->key_valid = NULL;
}

void attention_padding_asks(struct assay_attention *a)
{
    a->query_valid = NULL;
}

/* Key j is judged by the validity of key j - 1: one key of padding is seen. */
void attention_mask_shifted(struct assay_attention *a)
{
    int32_t *wrong = a->key_valid ? borrow_i32(a->batch * a->keys) : NULL;
    for (size_t i = 0; wrong && i < a->batch * a->keys; i++)
        wrong[i] = a->key_valid[i % a->keys ? i - 1 : i];
    if (wrong)
        a->key_valid = wrong;
}

/* The first sample's mask for all. */
void attention_mask_of_first(struct assay_attention *a)
{
    int32_t *wrong = a->key_valid ? borrow_i32(a->batch * a->keys) : NULL;
    for (size_t i = 0; wrong && i < a->batch * a->keys; i++)
        wrong[i] = a->key_valid[i % a->keys];
    if (wrong)
        a->key_valid = wrong;
}

/* Keys further back than half of the sequence are not seen. */
void attention_window(struct assay_attention *a)
{
    a->left = a->keys / 2;
}

/* Key 0 is seen by query 0 alone. */
void attention_first_key_lost(struct assay_attention *a)
{
    int32_t *allowed = a->allowed ? NULL : borrow_i32(a->queries * a->keys);
    for (size_t i = 0; allowed && i < a->queries; i++)
        for (size_t j = 0; j < a->keys; j++)
            allowed[i * a->keys + j] = j > 0 || i == 0;
    if (allowed) {
        a->allowed = allowed;
        a->allowed_batch = a->allowed_head = 0;
    }
}

/* ---- what is read ---- */

/* The last key (or value) is that of the position before: a cache that was read too early. */
static const void *stale_rows(const struct assay_attention *a, const void *rows, size_t width)
{
    size_t row = a->key_heads * width;
    void *wrong = a->keys > 1 ? borrow_copy(key_elements(a, width), rows) : NULL;
    for (size_t b = 0; wrong && b < a->batch; b++) {
        size_t last = (b * a->key_capacity + a->keys - 1) * row;
        memcpy(element_at(wrong, last), element_at(rows, last - row), row * below()->element);
    }
    return wrong ? wrong : rows;
}

void attention_stale_key(struct assay_attention *a)
{
    a->key = stale_rows(a, a->key, a->width);
}

void attention_stale_value(struct assay_attention *a)
{
    a->value = stale_rows(a, a->value, a->value_width);
}

/* Keys of another head, values of the right one. */
void attention_key_heads_turned(struct assay_attention *a)
{
    size_t rows = a->batch * a->key_capacity, head = a->width * below()->element;
    void *wrong = borrow(key_elements(a, a->width));
    for (size_t i = 0; wrong && i < rows * a->key_heads; i++) {
        size_t other = i / a->key_heads * a->key_heads + (i + 1) % a->key_heads;
        memcpy(element_at(wrong, i * a->width), element_at(a->key, other * a->width), head);
    }
    if (wrong)
        a->key = wrong;
}

/* ---- bias ---- */

void attention_bias_missing(struct assay_attention *a)
{
    a->bias = NULL;
    a->d_bias = NULL;
}

/* Added before the scale. */
void attention_bias_scaled(struct assay_attention *a)
{
    size_t n = a->bias ? bias_planes(a) * a->queries * a->keys : 0;
    void *wrong = a->bias ? borrow(n) : NULL;
    if (wrong) {
        below()->map(MAP_SCALE, n, a->scale, a->bias, wrong, ASSAY_STORE);
        a->bias = wrong;
    }
}

/* bias'[plane, i, j] = bias[plane', i', j'] */
static void bias_from(struct assay_attention *a, bool transposed, bool reversed)
{
    size_t planes = bias_planes(a), n = a->keys;
    bool changes = a->bias && a->queries == a->keys;
    void *wrong = changes ? borrow(planes * n * n) : NULL;
    for (size_t e = 0; wrong && e < planes * n * n; e++) {
        size_t plane = e / (n * n), i = e / n % n, j = e % n;
        size_t from = ((reversed ? planes - 1 - plane : plane) * n + (transposed ? j : i)) * n
                      + (transposed ? i : j);
        element_set(wrong, e, element(a->bias, from));
    }
    if (wrong)
        a->bias = wrong;
}

void attention_bias_transposed(struct assay_attention *a)
{
    bias_from(a, true, false);
}

void attention_bias_heads_reversed(struct assay_attention *a)
{
    bias_from(a, false, true);
}

/* ---- gradients ---- */

void attention_no_query_gradient(struct assay_attention *a)
{
    a->d_query = NULL;
}

void attention_no_key_gradient(struct assay_attention *a)
{
    a->d_key = NULL;
}

void attention_no_value_gradient(struct assay_attention *a)
{
    a->d_value = NULL;
}

void attention_no_bias_gradient(struct assay_attention *a)
{
    a->d_bias = NULL;
}

/* Products with the scale left out: what is added is divided by it again. */
static void unscaled_backward(const struct assay_attention *a)
{
    struct assay_attention wrong = *a;
    size_t queries = query_elements(a, a->width), keys = key_elements(a, a->width);
    wrong.d_query = a->d_query ? borrow(queries) : NULL;
    wrong.d_key = a->d_key ? borrow(keys) : NULL;
    below()->attention_backward(&wrong);
    if (wrong.d_query)
        below()->map(MAP_DIVIDE, queries, a->scale, wrong.d_query, a->d_query, ASSAY_ADD);
    if (wrong.d_key)
        below()->map(MAP_DIVIDE, keys, a->scale, wrong.d_key, a->d_key, ASSAY_ADD);
    release();
}

REPLACES(attention_gradient_unscaled, attention_backward, unscaled_backward)

/* ds = p dp in place of p (dp - D), D = sum p dp = d_output . output of the query: what is missing
 * comes back as p D, of which d_query gets sum_j p D key, d_key sum_i p D query, times the scale. */
struct place {
    size_t b, h, i;
};

static void add_missing(const struct assay_attention *a, struct place at, const void *p, double D,
                        void *d_query, void *d_key)
{
    size_t group = a->heads / a->key_heads;
    size_t query = ((at.b * a->queries + at.i) * a->heads + at.h) * a->width;
    for (size_t j = 0; j < a->keys; j++) {
        size_t key = ((at.b * a->key_capacity + j) * a->key_heads + at.h / group) * a->width;
        double ds =
            element(p, ((at.b * a->heads + at.h) * a->queries + at.i) * a->keys + j) * D * a->scale;
        for (size_t c = 0; c < a->width; c++) {
            if (d_query)
                element_set(d_query, query + c,
                            element(d_query, query + c) + ds * element(a->key, key + c));
            if (d_key)
                element_set(d_key, key + c,
                            element(d_key, key + c) + ds * element(a->query, query + c));
        }
    }
}

static void no_subtraction_backward(const struct assay_attention *a)
{
    size_t rows = a->batch * a->heads * a->queries, outputs = query_elements(a, a->value_width);
    size_t queries = query_elements(a, a->width), keys = key_elements(a, a->width);
    struct assay_attention again = *a;
    void *d_query = borrow(queries), *d_key = borrow(keys);
    again.probability = borrow(rows * a->keys);
    again.output = borrow(outputs);
    again.row_max = borrow(rows), again.row_sum = borrow(rows), again.log_sum = NULL;
    below()->attention_backward(a);
    if (again.probability && again.output && again.row_max && again.row_sum && d_query && d_key) {
        below()->attention(&again);
        for (size_t e = 0; e < rows; e++) {
            struct place at = {e / a->queries / a->heads, e / a->queries % a->heads,
                               e % a->queries};
            size_t out = ((at.b * a->queries + at.i) * a->heads + at.h) * a->value_width;
            double D = 0;
            for (size_t c = 0; c < a->value_width; c++)
                D += element(a->d_output, out + c) * element(again.output, out + c);
            add_missing(a, at, again.probability, D, d_query, d_key);
        }
        if (a->d_query)
            deliver(queries, d_query, a->d_query, ASSAY_ADD);
        if (a->d_key)
            deliver(keys, d_key, a->d_key, ASSAY_ADD);
    }
    release();
}

REPLACES(attention_no_subtraction, attention_backward, no_subtraction_backward)

/* ---- values ---- */

static size_t row_of(const struct assay_attention *a, size_t e, size_t width)
{
    size_t h = e / width % a->heads, i = e / width / a->heads % a->queries,
           b = e / width / a->heads / a->queries;
    return (b * a->heads + h) * a->queries + i;
}

/* The sum of exp(s - m) is not divided by. */
static void unnormalised(const struct assay_attention *a)
{
    size_t n = query_elements(a, a->value_width);
    below()->attention(a);
    void *wrong = borrow(n);
    for (size_t e = 0; wrong && e < n; e++) {
        double z = element(a->row_sum, row_of(a, e, a->value_width));
        element_set(wrong, e, element(a->output, e) * (z > 0 ? z : 1));
    }
    if (wrong)
        deliver(n, wrong, a->output, ASSAY_STORE);
    release();
}

REPLACES(attention_unnormalised, attention, unnormalised)

/* Heads are put together in the opposite order. */
static void heads_reversed(const struct assay_attention *a)
{
    size_t n = query_elements(a, a->value_width), width = a->value_width;
    below()->attention(a);
    void *wrong = borrow(n);
    for (size_t e = 0; wrong && e < n; e++) {
        size_t row = e / width / a->heads, h = e / width % a->heads;
        element_set(wrong, e,
                    element(a->output, (row * a->heads + a->heads - 1 - h) * width + e % width));
    }
    if (wrong)
        memcpy(a->output, wrong, n * below()->element);
    release();
}

REPLACES(attention_heads_reversed, attention, heads_reversed)

/* p[i, j] = exp(s[i, j]) / sum over queries i, not keys j. */
static void queries_normalised(const struct assay_attention *a, void *p)
{
    for (size_t plane = 0; plane < a->batch * a->heads; plane++)
        for (size_t j = 0; j < a->keys; j++) {
            double sum = 0;
            for (size_t pass = 0; pass < 2; pass++)
                for (size_t i = 0; i < a->queries; i++) {
                    size_t row = plane * a->queries + i, at = row * a->keys + j;
                    double e = pass ? element(p, at)
                                    : element(p, at) * element(a->row_sum, row)
                                          * exp(element(a->row_max, row));
                    sum += pass ? 0 : e;
                    element_set(p, at, pass && sum > 0 ? e / sum : e);
                }
        }
}

static void wrong_axis(const struct assay_attention *a)
{
    struct assay_attention again = *a;
    size_t n = query_elements(a, a->value_width), width = a->value_width;
    again.probability = borrow(a->batch * a->heads * a->queries * a->keys);
    void *output = borrow(n);
    if (again.probability && output) {
        below()->attention(&again);
        queries_normalised(a, again.probability);
        for (size_t e = 0; e < n; e++) {
            size_t row = row_of(a, e, width), b = row / a->queries / a->heads;
            size_t g = row / a->queries % a->heads / (a->heads / a->key_heads);
            double sum = 0;
            for (size_t j = 0; j < a->keys; j++)
                sum += element(again.probability, row * a->keys + j)
                       * element(a->value, ((b * a->key_capacity + j) * a->key_heads + g) * width
                                               + e % width);
            element_set(output, e, sum);
        }
        deliver(n, output, a->output, ASSAY_STORE);
    }
    release();
}

REPLACES(attention_wrong_axis, attention, wrong_axis)

/* Query, key and value as 11 bits. */
void attention_tf32(struct assay_attention *a)
{
    size_t queries = query_elements(a, a->width), keys = key_elements(a, a->width);
    void *query = borrow_copy(queries, a->query), *key = borrow_copy(keys, a->key);
    void *value = borrow_copy(key_elements(a, a->value_width), a->value);
    if (query && key && value) {
        shorten(queries, query);
        shorten(keys, key);
        shorten(key_elements(a, a->value_width), value);
        a->query = query, a->key = key, a->value = value;
    }
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The honest table: attention. Channels are permuted, and queries and keys where no rule depends on
 * their positions. The base table computes in binary32; added to its results is what a backend of
 * the precision rounds on the way: probabilities and score gradients, which are operands of
 * products, and, where the kernels aren't fused, scores and the gradients of probabilities. */
#include <string.h>

#include "ref/kernels/honest.h"

/* A call in a drawn order. All arrays are contiguous copies with key_capacity == keys. */
struct ordered {
    struct honest *h;
    struct assay_rng rng;
    const struct assay_attention *caller;
    struct assay_attention a;
    int32_t *queries, *keys, *channels, *value_channels; /* NULL: as they are */
    float *p, *p_noisy;                                  /* [batch, heads, queries, keys] */
    float *row_max, *row_sum;                            /* [batch, heads, queries] */
    float *dp, *ds_error;                                /* [keys], of one row */
};

static size_t rows_of(const struct assay_attention *a)
{
    return a->batch * a->heads * a->queries;
}

/* x: [batch, capacity >= n, heads, width], to or from a copy [batch, n, heads, width] in order. */
static void move_vectors(const struct ordered *o, size_t capacity, size_t n, size_t heads,
                         size_t width, const int32_t *order, const int32_t *channels, bool back,
                         void *x_, float *copy)
{
    float *x = x_;
    for (size_t b = 0; b < o->a.batch; b++)
        for (size_t i = 0; i < n; i++) {
            size_t there = b * capacity + (order ? (size_t)order[i] : i), here = b * n + i;
            float *mine = copy + here * heads * width, *theirs = x + there * heads * width;
            honest_permute(heads, width, 1, channels, back, back ? mine : theirs,
                           back ? theirs : mine);
        }
}

static void move_queries(const struct ordered *o, size_t width, const int32_t *channels, bool back,
                         void *x, float *copy)
{
    move_vectors(o, o->a.queries, o->a.queries, o->a.heads, width, o->queries, channels, back, x,
                 copy);
}

static void move_keys(const struct ordered *o, size_t width, const int32_t *channels, bool back,
                      void *x, float *copy)
{
    move_vectors(o, o->caller->key_capacity, o->a.keys, o->a.key_heads, width, o->keys, channels,
                 back, x, copy);
}

static float *query_like(struct ordered *o, const void *x, size_t width, const int32_t *channels)
{
    float *copy = x ? honest_take(o->h, o->a.batch * o->a.queries * o->a.heads * width) : NULL;
    if (copy)
        move_queries(o, width, channels, false, (void *)(uintptr_t)x, copy);
    return copy;
}

static float *key_like(struct ordered *o, const void *x, size_t width, const int32_t *channels)
{
    float *copy = x ? honest_take(o->h, o->a.batch * o->a.keys * o->a.key_heads * width) : NULL;
    if (copy)
        move_keys(o, width, channels, false, (void *)(uintptr_t)x, copy);
    return copy;
}

/* x: [planes, queries, keys] */
static void move_pairs(const struct ordered *o, size_t planes, bool back, void *x_, void *copy_)
{
    char *x = x_, *copy = copy_;
    size_t row = o->a.keys * sizeof(float);
    for (size_t p = 0; p < planes; p++)
        for (size_t i = 0; i < o->a.queries; i++) {
            size_t there = p * o->a.queries + (o->queries ? (size_t)o->queries[i] : i);
            char *mine = copy + (p * o->a.queries + i) * row, *theirs = x + there * row;
            honest_permute(1, o->a.keys, 1, o->keys, back, back ? mine : theirs,
                           back ? theirs : mine);
        }
}

static void *pair_like(struct ordered *o, const void *x, size_t planes)
{
    void *copy = x ? honest_take(o->h, planes * o->a.queries * o->a.keys) : NULL;
    if (copy)
        move_pairs(o, planes, false, (void *)(uintptr_t)x, copy);
    return copy;
}

static void *valid_like(struct ordered *o, const int32_t *x, size_t n, const int32_t *order)
{
    int32_t *copy = x ? honest_take(o->h, o->a.batch * n) : NULL;
    if (copy)
        honest_permute(o->a.batch, n, 1, order, false, x, copy);
    return copy;
}

/* A row per query, [batch, heads, queries], back to the caller. */
static void rows_back(const struct ordered *o, const float *mine, void *theirs)
{
    if (theirs)
        honest_permute(o->a.batch * o->a.heads, o->a.queries, 1, o->queries, true, mine, theirs);
}

static size_t bias_planes(const struct assay_attention *a)
{
    return (a->bias_batch ? a->batch : 1) * (a->bias_head ? a->heads : 1);
}

/* allowed: [1 or batch, 1 or heads] planes, by its strides in planes. */
static size_t allowed_planes(const struct assay_attention *a)
{
    return a->batch && a->heads
               ? (a->batch - 1) * a->allowed_batch + (a->heads - 1) * a->allowed_head + 1
               : 0;
}

/* What the forward reads; operands rounded. */
static void order_inputs(struct ordered *o)
{
    const struct assay_attention *c = o->caller;
    struct assay_attention *a = &o->a;
    struct honest *h = o->h;
    bool placed = c->causal || c->left != SIZE_MAX || c->right != SIZE_MAX;
    o->queries = placed ? NULL : honest_order(h, &o->rng, c->queries);
    o->keys = placed ? NULL : honest_order(h, &o->rng, c->keys);
    o->channels = honest_order(h, &o->rng, c->width);
    o->value_channels = honest_order(h, &o->rng, c->value_width);
    if (h->failed)
        return;
    a->key_capacity = a->keys;
    a->query = query_like(o, c->query, c->width, o->channels);
    a->key = key_like(o, c->key, c->width, o->channels);
    a->value = key_like(o, c->value, c->value_width, o->value_channels);
    a->d_output = query_like(o, c->d_output, c->value_width, o->value_channels);
    a->key_valid = valid_like(o, c->key_valid, c->keys, o->keys);
    a->query_valid = valid_like(o, c->query_valid, c->queries, o->queries);
    a->allowed = pair_like(o, c->allowed, allowed_planes(c));
    a->bias = pair_like(o, c->bias, bias_planes(c));
    a->keep = pair_like(o, c->keep, c->batch * c->heads);
    a->d_probability = pair_like(o, c->d_probability, c->batch * c->heads);
    if (h->failed)
        return;
    honest_operands(h, c->batch * c->queries * c->heads * c->width, (float *)(uintptr_t)a->query);
    honest_operands(h, c->batch * c->keys * c->key_heads * c->width, (float *)(uintptr_t)a->key);
    honest_operands(h, c->batch * c->keys * c->key_heads * c->value_width,
                    (float *)(uintptr_t)a->value);
    honest_operands(h, a->d_output ? c->batch * c->queries * c->heads * c->value_width : 0,
                    (float *)(uintptr_t)a->d_output);
}

/* The place of a vector of head a and query i, or of its key head and key j, in the copies. */
static size_t query_at(const struct ordered *o, size_t b, size_t i, size_t head, size_t width)
{
    return ((b * o->a.queries + i) * o->a.heads + head) * width;
}

static size_t key_at(const struct ordered *o, size_t b, size_t j, size_t head, size_t width)
{
    size_t group = o->a.heads / o->a.key_heads;
    return ((b * o->a.keys + j) * o->a.key_heads + head / group) * width;
}

static size_t row_at(const struct ordered *o, size_t b, size_t i, size_t head)
{
    return (b * o->a.heads + head) * o->a.queries + i;
}

static size_t bias_at(const struct ordered *o, size_t b, size_t i, size_t head)
{
    const struct assay_attention *a = &o->a;
    size_t plane =
        (a->bias_batch ? b : 0) * (a->bias_head ? a->heads : 1) + (a->bias_head ? head : 0);
    return (plane * a->queries + i) * a->keys;
}

static float dot(size_t n, const float *x, const float *y)
{
    float sum = 0;
    for (size_t c = 0; c < n; c++)
        sum += x[c] * y[c];
    return sum;
}

/* What storing the score of a pair in 16 bits changes. */
static float score_error(const struct ordered *o, size_t b, size_t i, size_t j, size_t head)
{
    const struct assay_attention *a = &o->a;
    float s = (float)a->scale
              * dot(a->width, (const float *)a->query + query_at(o, b, i, head, a->width),
                    (const float *)a->key + key_at(o, b, j, head, a->width));
    if (a->bias)
        s += ((const float *)a->bias)[bias_at(o, b, i, head) + j];
    return honest_stored(o->h, s) - s;
}

/* A row of p as the backend has it. To first order an error e of the scores makes p (1 + e - sum p
 * e) of p: e is at most u |s|, so that what is left out is u |s| / 2 of that. */
static void disturb(struct ordered *o, size_t b, size_t i, size_t head)
{
    const float *p = o->p + row_at(o, b, i, head) * o->a.keys;
    float *noisy = o->p_noisy + row_at(o, b, i, head) * o->a.keys, mean = 0;
    bool scores = o->h->eager && o->h->low && o->row_sum[row_at(o, b, i, head)] > 0;
    for (size_t j = 0; j < o->a.keys; j++) {
        noisy[j] = scores && p[j] > 0 ? score_error(o, b, i, j, head) : 0;
        mean += p[j] * noisy[j];
    }
    for (size_t j = 0; j < o->a.keys; j++) {
        float value = p[j] + p[j] * (noisy[j] - (p[j] > 0 ? mean : 0));
        value = honest_nudged(value, assay_rng_next(&o->rng) >> 30);
        noisy[j] = honest_operand(o->h, value);
    }
}

/* The forward with probabilities, and what the backend has of them. */
static void probabilities(struct ordered *o, void *output)
{
    struct assay_attention forward = o->a;
    size_t pairs = rows_of(&o->a) * o->a.keys;
    forward.probability = o->p = honest_take(o->h, pairs);
    forward.row_max = o->row_max = honest_take(o->h, rows_of(&o->a));
    forward.row_sum = o->row_sum = honest_take(o->h, rows_of(&o->a));
    forward.output = output;
    forward.scratch =
        honest_take(o->h, o->h->base->attention_scratch(&forward) / sizeof(float) + 1);
    o->p_noisy = honest_take(o->h, pairs);
    if (o->h->failed)
        return;
    o->h->base->attention(&forward);
    for (size_t b = 0; b < o->a.batch; b++)
        for (size_t head = 0; head < o->a.heads; head++)
            for (size_t i = 0; i < o->a.queries; i++)
                disturb(o, b, i, head);
}

/* output += sum over j of what the backend's p differs by [* keep], times value. */
static void disturb_output(const struct ordered *o, size_t b, size_t i, size_t head, float *output)
{
    size_t row = row_at(o, b, i, head) * o->a.keys, width = o->a.value_width;
    float *y = output + query_at(o, b, i, head, width);
    for (size_t j = 0; j < o->a.keys; j++) {
        float error = o->p_noisy[row + j] - o->p[row + j];
        const float *value = (const float *)o->a.value + key_at(o, b, j, head, width);
        if (o->a.keep)
            error *= ((const float *)o->a.keep)[row + j];
        for (size_t c = 0; c < width; c++)
            y[c] += error * value[c];
    }
}

static struct ordered start(const struct assay_attention *a)
{
    struct ordered o = {.caller = a, .a = *a};
    o.h = honest_enter(&o.rng);
    order_inputs(&o);
    return o;
}

static void attention(const struct assay_attention *a)
{
    struct ordered o = start(a);
    size_t outputs = a->batch * a->queries * a->heads * a->value_width;
    float *output = honest_take(o.h, outputs), *log_sum = NULL;
    if (a->log_sum)
        o.a.log_sum = log_sum = honest_take(o.h, rows_of(a));
    if (!o.h->failed)
        probabilities(&o, output);
    if (!o.h->failed) {
        for (size_t b = 0; b < a->batch; b++)
            for (size_t head = 0; head < a->heads; head++)
                for (size_t i = 0; i < a->queries; i++)
                    disturb_output(&o, b, i, head, output);
        honest_settle(o.h, &o.rng, outputs, NULL, false, output);
        move_queries(&o, a->value_width, o.value_channels, true, a->output, output);
        if (a->probability) {
            honest_settle(o.h, &o.rng, rows_of(a) * a->keys, NULL, false, o.p_noisy);
            move_pairs(&o, a->batch * a->heads, true, a->probability, o.p_noisy);
        }
        rows_back(&o, o.row_max, a->row_max);
        rows_back(&o, o.row_sum, a->row_sum);
        rows_back(&o, log_sum, a->log_sum);
    }
    honest_leave(o.h, outputs ? a->output : NULL);
}

/* dp of a row: gradients of the probabilities. */
static float probability_gradient(const struct ordered *o, size_t b, size_t i, size_t j,
                                  size_t head)
{
    size_t width = o->a.value_width, at = row_at(o, b, i, head) * o->a.keys + j;
    float dp = dot(width, (const float *)o->a.d_output + query_at(o, b, i, head, width),
                   (const float *)o->a.value + key_at(o, b, j, head, width));
    if (o->a.keep)
        dp *= ((const float *)o->a.keep)[at];
    return o->a.d_probability ? dp + ((const float *)o->a.d_probability)[at] : dp;
}

/* ds_error: what the backend's ds of a row differs by, as a product reads it. */
static void score_gradient_errors(struct ordered *o, size_t b, size_t i, size_t head)
{
    size_t row = row_at(o, b, i, head) * o->a.keys;
    const float *p = o->p + row, *noisy = o->p_noisy + row, scale = (float)o->a.scale;
    float sum = 0, sum_noisy = 0;
    for (size_t j = 0; j < o->a.keys; j++) {
        float dp = o->dp[j] = probability_gradient(o, b, i, j, head);
        sum += p[j] * dp;
        sum_noisy += noisy[j] * (o->h->eager ? honest_stored(o->h, dp) : dp);
    }
    for (size_t j = 0; j < o->a.keys; j++) {
        float dp = o->dp[j], seen = o->h->eager ? honest_stored(o->h, dp) : dp;
        float ds = p[j] * (dp - sum), own = noisy[j] * (seen - sum_noisy);
        o->ds_error[j] = scale != 0 ? honest_operand(o->h, own * scale) / scale - ds : 0;
    }
}

static void add_errors(const struct ordered *o, size_t b, size_t i, size_t j, size_t head)
{
    const struct assay_attention *a = &o->a;
    size_t at = row_at(o, b, i, head) * a->keys + j, query = query_at(o, b, i, head, a->width),
           key = key_at(o, b, j, head, a->width), value = key_at(o, b, j, head, a->value_width);
    float dr = o->ds_error[j] * (float)a->scale, dp = o->p_noisy[at] - o->p[at];
    if (a->keep)
        dp *= ((const float *)a->keep)[at];
    for (size_t c = 0; c < a->width; c++) {
        if (a->d_query)
            ((float *)a->d_query)[query + c] += dr * ((const float *)a->key)[key + c];
        if (a->d_key)
            ((float *)a->d_key)[key + c] += dr * ((const float *)a->query)[query + c];
    }
    const float *d_output = (const float *)a->d_output + query_at(o, b, i, head, a->value_width);
    for (size_t c = 0; a->d_value && c < a->value_width; c++)
        ((float *)a->d_value)[value + c] += dp * d_output[c];
    if (a->d_bias)
        ((float *)a->d_bias)[bias_at(o, b, i, head) + j] += o->ds_error[j];
}

/* An empty set's row has no gradients of scores, and its probabilities are exact enough. */
static void disturb_gradients(struct ordered *o)
{
    o->dp = honest_take(o->h, o->a.keys);
    o->ds_error = honest_take(o->h, o->a.keys);
    for (size_t b = 0; !o->h->failed && b < o->a.batch; b++)
        for (size_t head = 0; head < o->a.heads; head++)
            for (size_t i = 0; i < o->a.queries; i++) {
                if (!(o->row_sum[row_at(o, b, i, head)] > 0))
                    continue;
                score_gradient_errors(o, b, i, head);
                for (size_t j = 0; j < o->a.keys; j++)
                    if (o->p[row_at(o, b, i, head) * o->a.keys + j] > 0)
                        add_errors(o, b, i, j, head);
            }
}

static void attention_backward(const struct assay_attention *a)
{
    struct ordered o = start(a);
    struct honest *h = o.h;
    size_t queries = a->batch * a->queries * a->heads * a->width,
           keys = a->batch * a->keys * a->key_heads, biases = bias_planes(a) * a->queries * a->keys,
           outputs = a->batch * a->queries * a->heads * a->value_width;
    float *dq = query_like(&o, a->d_query, a->width, o.channels),
          *dk = key_like(&o, a->d_key, a->width, o.channels),
          *dv = key_like(&o, a->d_value, a->value_width, o.value_channels),
          *db = pair_like(&o, a->d_bias, bias_planes(a)), *output = honest_take(h, outputs);
    float *old_q = dq ? honest_copied(h, queries, dq) : NULL,
          *old_k = dk ? honest_copied(h, keys * a->width, dk) : NULL,
          *old_v = dv ? honest_copied(h, keys * a->value_width, dv) : NULL,
          *old_b = db ? honest_copied(h, biases, db) : NULL;
    o.a.d_query = dq, o.a.d_key = dk, o.a.d_value = dv, o.a.d_bias = db;
    o.a.probability = o.a.log_sum = NULL;
    if (!h->failed)
        probabilities(&o, output);
    o.a.row_max = o.row_max, o.a.row_sum = o.row_sum;
    o.a.scratch = honest_take(h, h->base->attention_scratch(&o.a) / sizeof(float) + 1);
    if (!h->failed) {
        h->base->attention_backward(&o.a);
        disturb_gradients(&o);
    }
    if (!h->failed && dq) {
        honest_settle(h, &o.rng, queries, old_q, false, dq);
        move_queries(&o, a->width, o.channels, true, a->d_query, dq);
    }
    if (!h->failed && dk) {
        honest_settle(h, &o.rng, keys * a->width, old_k, false, dk);
        move_keys(&o, a->width, o.channels, true, a->d_key, dk);
    }
    if (!h->failed && dv) {
        honest_settle(h, &o.rng, keys * a->value_width, old_v, false, dv);
        move_keys(&o, a->value_width, o.value_channels, true, a->d_value, dv);
    }
    if (!h->failed && db) {
        honest_settle(h, &o.rng, biases, old_b, false, db);
        move_pairs(&o, bias_planes(a), true, a->d_bias, db);
    }
    honest_leave(h, !queries || !keys ? NULL
                    : a->d_query      ? a->d_query
                    : a->d_key        ? a->d_key
                                      : a->d_value);
}

void honest_attention(struct assay_kernels *table)
{
    table->attention = attention;
    table->attention_backward = attention_backward;
}

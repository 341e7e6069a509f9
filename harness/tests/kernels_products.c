/* SPDX-License-Identifier: Apache-2.0 */
/* Products, attention and scans: every level's tiles have the bits of the definition, for random
 * shapes, strides, masks and modes; and an honest backend of binary32 has its numbers. */
#include "harness/tests/kernels_trial.h"
#include "ref/honest.h"

enum { TRIALS = 150 };

static const char *const levels[] = {"base", "x86-64-v3", "x86-64-v4"};

static size_t below(struct trial *t, size_t n)
{
    return assay_rng_below(&t->rng, (uint32_t)n);
}

static bool coin(struct trial *t)
{
    return below(t, 2) == 0;
}

static int32_t *flags(struct trial *t, size_t n, size_t one_in)
{
    int32_t *x = room(t, n * sizeof *x);
    for (size_t i = 0; i < n; i++)
        x[i] = below(t, one_in) ? 0 : (int32_t)(1 + below(t, 3));
    return x;
}

/* A copy of a block, guard included, to give each table the same destination. */
static void *copy(struct trial *t, const void *x)
{
    for (int b = 0; b < t->blocks; b++)
        if (t->block[b] == x) {
            void *y = room(t, t->bytes[b] - GUARD);
            return memcpy(y, x, t->bytes[b]);
        }
    return NULL;
}

/* Numbers as close as the trial asks; the guard is as it was. */
static bool near(const struct trial *t, size_t bytes, const void *x_, const void *y_)
{
    const float *x = x_, *y = y_;
    size_t n = (bytes - GUARD) / sizeof *x;
    for (size_t i = 0; i < n; i++) {
        double error = (double)x[i] - (double)y[i], size = x[i] < 0 ? -(double)x[i] : (double)x[i];
        if (!((error < 0 ? -error : error) <= t->tolerance * (1 + size))) {
            diag("%g and %g", (double)x[i], (double)y[i]);
            return false;
        }
    }
    return memcmp(x + n, y + n, GUARD) == 0;
}

static bool same(const struct trial *t, const void *x, const void *y)
{
    for (int b = 0; b < t->blocks; b++)
        if (t->block[b] == x)
            return y
                   && (t->tolerance > 0 ? near(t, t->bytes[b], x, y)
                                        : memcmp(x, y, t->bytes[b]) == 0);
    return !x && !y;
}

static size_t size_of(struct trial *t)
{
    static const size_t sizes[] = {0,  1,  1,  2,  3,  5,  7,  8,  9,  12, 13, 15,
                                   16, 17, 24, 25, 31, 32, 33, 48, 63, 64, 65, 97};
    return sizes[below(t, sizeof sizes / sizeof *sizes)];
}

/* Strides of a [rows, columns] operand, stored either way round with some padding; the size it
 * takes. */
static size_t layout(struct trial *t, size_t rows, size_t columns, size_t *row, size_t *column)
{
    size_t padding = below(t, 3), step = 1 + (below(t, 4) == 0);
    if (coin(t)) {
        *column = step;
        *row = columns * step + padding;
        return rows * *row + columns * step;
    }
    *row = step;
    *column = rows * step + padding;
    return columns * *column + rows * step;
}

static struct assay_product product_problem(struct trial *t)
{
    struct assay_product p = {.batch = {1 + below(t, 2), 1 + below(t, 3)},
                              .m = size_of(t),
                              .n = size_of(t),
                              .k = size_of(t)};
    if (below(t, 8) == 0)
        p.k += 250 + below(t, 40); /* more than a block */
    if (below(t, 8) == 0)
        p.n += 250 + below(t, 40);
    while (p.m * p.n * p.k > 150000)
        p.m /= 2, p.n = p.k > 200 ? p.n / 2 : p.n;
    size_t a = layout(t, p.m, p.k, &p.a_row, &p.a_column),
           b = layout(t, p.k, p.n, &p.b_row, &p.b_column);
    p.c_row = p.n + below(t, 3);
    size_t c = p.m * p.c_row;
    p.mode = (enum assay_mode)below(t, 4);
    p.a_batch[1] = a;
    p.a_batch[0] = a * p.batch[1];
    p.b_batch[1] = coin(t) ? 0 : b;
    p.b_batch[0] = b * p.batch[1];
    if (p.mode != ASSAY_CONTINUE || coin(t)) {
        p.c_batch[1] = c;
        p.c_batch[0] = c * p.batch[1];
    }
    p.a = numbers(t, a * p.batch[0] * p.batch[1]);
    p.b = numbers(t, b * p.batch[0] * p.batch[1]);
    p.c = numbers(t, c * p.batch[0] * p.batch[1]);
    return p;
}

static bool product_agrees(struct trial *t, const struct assay_kernels *cpu)
{
    struct assay_product p = product_problem(t), q = p;
    q.c = copy(t, p.c);
    t->table->product(&p);
    cpu->product(&q);
    bool agrees = same(t, p.c, q.c);
    if (!agrees)
        diag("%zu x %zu x %zu, a %zu %zu, b %zu %zu, mode %d", p.m, p.n, p.k, p.a_row, p.a_column,
             p.b_row, p.b_column, p.mode);
    return agrees;
}

static void attention_masks(struct trial *t, struct assay_attention *a)
{
    a->first = below(t, 4) ? 0 : below(t, a->keys + 3);
    a->causal = coin(t);
    a->left = below(t, 3) ? SIZE_MAX : below(t, a->keys + 2);
    a->right = below(t, 3) ? SIZE_MAX : below(t, a->keys + 2);
    a->uniform_if_empty = coin(t);
    if (below(t, 3) == 0)
        a->key_valid = flags(t, a->batch * a->keys, 2 + below(t, 2));
    if (below(t, 3) == 0)
        a->query_valid = flags(t, a->batch * a->queries, 2);
    if (below(t, 3) == 0) {
        bool batch = coin(t), head = coin(t);
        a->allowed_head = head;
        a->allowed_batch = batch ? (head ? a->heads : 1) : 0;
        a->allowed = flags(t, (batch ? a->batch : 1) * (head ? a->heads : 1) * a->queries * a->keys,
                           1 + below(t, 4));
    }
}

static struct assay_attention attention_problem(struct trial *t)
{
    size_t group = 1 + below(t, 3), key_heads = 1 + below(t, 2);
    struct assay_attention a = {
        .batch = 1 + below(t, 2),
        .queries = size_of(t),
        .keys = size_of(t),
        .heads = group * key_heads,
        .key_heads = key_heads,
        .width = size_of(t) % 33,
        .value_width = size_of(t) % 34,
        .scale = 0.375,
    };
    if (t->table->element == sizeof(double)) {
        a.queries %= 33;
        a.width %= 9;
        a.value_width %= 10;
    }
    a.key_capacity = a.keys + (coin(t) ? 0 : below(t, 5));
    attention_masks(t, &a);
    size_t query = a.batch * a.queries * a.heads, key = a.batch * a.key_capacity * a.key_heads,
           pairs = query * a.keys;
    a.query = numbers(t, query * a.width);
    a.key = numbers(t, key * a.width);
    a.value = numbers(t, key * a.value_width);
    a.keep = below(t, 3) ? NULL : numbers(t, pairs);
    if (below(t, 3) == 0) {
        a.bias_batch = coin(t);
        a.bias_head = coin(t);
        size_t bias =
            (a.bias_batch ? a.batch : 1) * (a.bias_head ? a.heads : 1) * a.queries * a.keys;
        a.bias = numbers(t, bias);
        a.d_bias = coin(t) ? numbers(t, bias) : NULL;
    }
    a.output = room(t, query * a.value_width * t->table->element);
    a.probability = room(t, pairs * t->table->element);
    a.log_sum = coin(t) ? room(t, query * t->table->element) : NULL;
    a.row_max = room(t, query * t->table->element);
    a.row_sum = room(t, query * t->table->element);
    a.d_output = numbers(t, query * a.value_width);
    a.d_probability = coin(t) ? numbers(t, pairs) : NULL;
    a.d_query = below(t, 8) ? numbers(t, query * a.width) : NULL;
    a.d_key = below(t, 8) ? numbers(t, key * a.width) : NULL;
    a.d_value = below(t, 8) ? numbers(t, key * a.value_width) : NULL;
    return a;
}

static bool attention_agrees(struct trial *t, const struct assay_kernels *cpu)
{
    struct assay_attention a = attention_problem(t), b = a, c;
    void **outputs[] = {&b.output,  &b.probability, &b.log_sum, &b.row_max, &b.row_sum,
                        &b.d_query, &b.d_key,       &b.d_value, &b.d_bias};
    for (size_t o = 0; o < sizeof outputs / sizeof *outputs; o++)
        *outputs[o] = copy(t, *outputs[o]);
    c = b;
    c.output = copy(t, a.output);
    c.probability = NULL; /* the form that holds no queries x keys */
    c.d_query = c.d_key = c.d_value = c.d_bias = NULL;
    bool kept = attention_run(t, t->table, &a);
    kept = attention_run(t, cpu, &b) && kept;
    kept = attention_run(t, cpu, &c) && kept;
    const struct {
        const char *name;
        const void *x, *y;
    } pairs[] = {
        {"output", a.output, b.output},
        {"output without probability", a.output, c.output},
        {"probability", a.probability, b.probability},
        {"log_sum", a.log_sum, b.log_sum},
        {"row_max", a.row_max, b.row_max},
        {"row_sum", a.row_sum, b.row_sum},
        {"d_query", a.d_query, b.d_query},
        {"d_key", a.d_key, b.d_key},
        {"d_value", a.d_value, b.d_value},
        {"d_bias", a.d_bias, b.d_bias},
    };
    bool agrees = kept;
    for (size_t p = 0; p < sizeof pairs / sizeof *pairs; p++)
        if (!same(t, pairs[p].x, pairs[p].y)) {
            diag("%s: %zu queries, %zu keys, %zu / %zu heads, width %zu, %zu", pairs[p].name,
                 a.queries, a.keys, a.heads, a.key_heads, a.width, a.value_width);
            agrees = false;
        }
    return agrees;
}

/* Key j for query i as ref/kernels.h says it, in signed integers. */
static bool contract_allows(const struct assay_attention *a, size_t b, size_t h, size_t i, size_t j)
{
    long at = (long)(a->first + i), key = (long)j;
    if ((a->causal && key > at) || (a->left != SIZE_MAX && key < at - (long)a->left)
        || (a->right != SIZE_MAX && key > at + (long)a->right))
        return false;
    if ((a->key_valid && !a->key_valid[b * a->keys + j])
        || (a->query_valid && !a->query_valid[b * a->queries + i]))
        return false;
    size_t plane = b * a->allowed_batch + h * a->allowed_head;
    return !a->allowed || a->allowed[plane * a->queries * a->keys + i * a->keys + j];
}

/* In binary64 no allowed key's p underflows: scores stay within 32 * 2 * 2 * 0.375 + 2. */
static bool row_is_right(const struct assay_attention *a, size_t b, size_t h, size_t i,
                         const double *p)
{
    size_t count = 0;
    for (size_t j = 0; j < a->keys; j++)
        count += contract_allows(a, b, h, i, j);
    for (size_t j = 0; j < a->keys; j++) {
        bool positive = count ? contract_allows(a, b, h, i, j) : a->uniform_if_empty;
        if ((p[j] > 0) != positive || (!count && positive && p[j] != 1.0 / (double)a->keys))
            return false;
    }
    return true;
}

static void attention_sets(void)
{
    struct trial t = {.table = assay_kernels_def(ASSAY_F64)};
    assay_rng_named(&t.rng, 1, "sets");
    bool right = true;
    for (int trial = 0; trial < TRIALS; trial++) {
        struct assay_attention a = attention_problem(&t);
        attention_run(&t, t.table, &a);
        for (size_t b = 0; b < a.batch; b++)
            for (size_t h = 0; h < a.heads; h++)
                for (size_t i = 0; i < a.queries; i++) {
                    size_t row = (b * a.heads + h) * a.queries + i;
                    right =
                        right
                        && row_is_right(&a, b, h, i, (const double *)a.probability + row * a.keys);
                }
        trial_free(&t);
    }
    ok(right,
       "attention: p is positive on the allowed set and zero outside, or uniform, %d random "
       "problems",
       TRIALS);
}

static bool scan_agrees(struct trial *t, const struct assay_kernels *cpu)
{
    size_t outer = 1 + below(t, 3), length = size_of(t), inner = size_of(t),
           n = outer * length * inner;
    void *a = numbers(t, n), *b = numbers(t, n),
         *start = coin(t) ? numbers(t, outer * inner) : NULL, *dh = numbers(t, n);
    void *h = room(t, n * t->table->element), *h2 = copy(t, h),
         *scratch = room(t, inner * t->table->element);
    void *d[3] = {numbers(t, n), numbers(t, n), coin(t) ? numbers(t, outer * inner) : NULL};
    void *e[3] = {copy(t, d[0]), copy(t, d[1]), copy(t, d[2])};
    t->table->scan(outer, length, inner, a, b, start, h);
    cpu->scan(outer, length, inner, a, b, start, h2);
    t->table->scan_backward(outer, length, inner, a, h, start, dh, d[0], d[1], d[2], scratch);
    cpu->scan_backward(outer, length, inner, a, h, start, dh, e[0], e[1], e[2], scratch);
    return same(t, h, h2) && same(t, d[0], e[0]) && same(t, d[1], e[1]) && same(t, d[2], e[2]);
}

static struct assay_matrix_scan matrix_scan_problem(struct trial *t)
{
    struct assay_matrix_scan s = {.batch = 1 + below(t, 2),
                                  .n = size_of(t) % 34,
                                  .d_k = size_of(t) % 18,
                                  .d_v = size_of(t) % 35};
    size_t keys = s.batch * s.n * s.d_k, values = s.batch * s.n * s.d_v,
           state = s.batch * s.d_k * s.d_v;
    s.q = numbers(t, keys);
    s.k = numbers(t, keys);
    s.v = numbers(t, values);
    s.decay_width = coin(t) ? 1 : s.d_k;
    s.decay = below(t, 3) ? numbers(t, s.batch * s.n * s.decay_width) : NULL;
    s.start = coin(t) ? numbers(t, state) : NULL;
    s.o = room(t, values * t->table->element);
    s.end = coin(t) ? room(t, state * t->table->element) : NULL;
    s.d_o = numbers(t, values);
    s.d_end = coin(t) ? numbers(t, state) : NULL;
    s.d_q = below(t, 8) ? numbers(t, keys) : NULL;
    s.d_k_out = below(t, 8) ? numbers(t, keys) : NULL;
    s.d_v_out = below(t, 8) ? numbers(t, values) : NULL;
    s.d_decay = s.decay && below(t, 8) ? numbers(t, s.batch * s.n * s.decay_width) : NULL;
    s.d_start = coin(t) ? numbers(t, state) : NULL;
    return s;
}

static bool matrix_scan_agrees(struct trial *t, const struct assay_kernels *cpu)
{
    struct assay_matrix_scan a = matrix_scan_problem(t), b = a;
    void **outputs[] = {&b.o, &b.end, &b.d_q, &b.d_k_out, &b.d_v_out, &b.d_decay, &b.d_start};
    for (size_t o = 0; o < sizeof outputs / sizeof *outputs; o++)
        *outputs[o] = copy(t, *outputs[o]);
    bool kept = matrix_scan_run(t, t->table, &a);
    kept = matrix_scan_run(t, cpu, &b) && kept;
    return kept && same(t, a.o, b.o) && same(t, a.end, b.end) && same(t, a.d_q, b.d_q)
           && same(t, a.d_k_out, b.d_k_out) && same(t, a.d_v_out, b.d_v_out)
           && same(t, a.d_decay, b.d_decay) && same(t, a.d_start, b.d_start);
}

static void agreement(const char *what,
                      bool (*agrees)(struct trial *, const struct assay_kernels *))
{
    for (int profile = ASSAY_F32; profile <= ASSAY_F64; profile += ASSAY_F64 - ASSAY_F32)
        for (size_t l = 0; l < sizeof levels / sizeof *levels; l++) {
            const struct assay_kernels *cpu =
                assay_kernels_cpu((enum assay_profile)profile, levels[l]);
            if (!cpu) {
                skip(1, "this machine or build lacks the level");
                continue;
            }
            struct trial t = {.table = assay_kernels_def((enum assay_profile)profile)};
            assay_rng_named(&t.rng, 1, what);
            int failed = 0;
            for (int i = 0; i < TRIALS; i++) {
                failed += !agrees(&t, cpu);
                trial_free(&t);
            }
            ok(failed == 0, "%s: %s has the bits of the definition, binary%d, %d random problems",
               what, levels[l], profile, TRIALS);
        }
}

/* Orders and single units are nothing beside a misplaced element, which is wrong by its own size:
 * chains of up to 350 products of magnitude 4 are within 350 * 350 * 4 * 2^-24 = 0.03 in the worst
 * order and some 1e-4 in a drawn one. */
static void honest_agreement(const char *what,
                             bool (*agrees)(struct trial *, const struct assay_kernels *))
{
    const struct assay_kernels *def = assay_kernels_def(ASSAY_F32);
    struct trial t = {.table = def, .tolerance = 1e-3};
    assay_rng_named(&t.rng, 2, what);
    int failed = 0;
    for (int i = 0; i < TRIALS; i++) {
        failed += !agrees(&t, assay_honest_begin(def, ASSAY_PRECISION_F32, (uint64_t)i));
        trial_free(&t);
    }
    ok(failed == 0, "%s: an honest backend has the definition's numbers, %d random problems", what,
       TRIALS);
}

int main(void)
{
    honest_agreement("product", product_agrees);
    honest_agreement("attention", attention_agrees);
    honest_agreement("scan", scan_agrees);
    honest_agreement("matrix scan", matrix_scan_agrees);
    agreement("product", product_agrees);
    agreement("attention", attention_agrees);
    agreement("scan", scan_agrees);
    agreement("matrix scan", matrix_scan_agrees);
    attention_sets();
    return done_testing();
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Attention and scans: the definition's gradients are those of its forward, by central differences
 * in binary64. */
#include "harness/tests/kernels_trial.h"

/* A function of inputs [count] with its gradient, for differences. */
struct differentiable {
    double (*value)(void *problem);
    void *problem;
    double magnitude; /* bounds the sum of absolute terms of the value */
};

/* Whether d is the derivative by x. The central difference at step h is off by c h^2 (1 +
 * O(h^2)) plus rounding, and the differences at h and 2 h differ by 3 c h^2: more than the
 * truncation. Rounding: a value passes through fewer than 200 operations, each off by 2^-53 of
 * at most `magnitude`; two values, divided by 2 h. */
static bool is_derivative(const struct differentiable *f, double *x, double d)
{
    const double h = 0x1p-13;
    double at = *x, difference[2];
    for (int i = 0; i < 2; i++) {
        double step = h * (1 + i);
        *x = at + step;
        double above = f->value(f->problem);
        *x = at - step;
        difference[i] = (above - f->value(f->problem)) / (2 * step);
    }
    *x = at;
    double truncation = difference[1] - difference[0], error = difference[0] - d;
    double bound = (truncation < 0 ? -truncation : truncation) + 200 * 0x1p-53 * f->magnitude / h;
    bool holds = (error < 0 ? -error : error) <= bound;
    if (!holds)
        diag("gradient %.17g, difference %.17g, bound %.3g", d, difference[0], bound);
    return holds;
}

static bool all_derivatives(const struct differentiable *f, size_t n, const void *x,
                            const void *gradient)
{
    bool hold = true;
    for (size_t i = 0; i < n; i++)
        hold = is_derivative(f, (double *)(uintptr_t)x + i, ((const double *)gradient)[i]) && hold;
    return hold;
}

static double weighted(size_t n, const void *weight, const void *x)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += ((const double *)weight)[i] * ((const double *)x)[i];
    return sum;
}

static void *zeros(struct trial *t, size_t n)
{
    return memset(room(t, n * sizeof(double)), 0, n * sizeof(double));
}

static double attention_value(void *problem)
{
    const struct assay_attention *a = problem;
    assay_kernels_def(ASSAY_F64)->attention(a);
    size_t rows = a->batch * a->queries * a->heads;
    return weighted(rows * a->value_width, a->d_output, a->output)
           + weighted(rows * a->keys, a->d_probability, a->probability);
}

/* 2 samples, 3 queries after 1 cached key, 5 keys, 4 heads on 2: a causal form with every input
 * that has a gradient. */
static void attention_derivatives(void)
{
    struct trial t = {.table = assay_kernels_def(ASSAY_F64)};
    assay_rng_named(&t.rng, 2, "derivatives");
    struct assay_attention a = {
        .batch = 2,
        .queries = 3,
        .keys = 5,
        .key_capacity = 6,
        .heads = 4,
        .key_heads = 2,
        .width = 2,
        .value_width = 3,
        .first = 1,
        .left = SIZE_MAX,
        .right = SIZE_MAX,
        .causal = true,
        .scale = 0.75,
        .bias_head = true,
    };
    size_t rows = 2 * 3 * 4, query = rows * 2, key = 2 * 6 * 2 * 2, value = 2 * 6 * 2 * 3,
           bias = 4 * 3 * 5, pairs = rows * 5;
    a.query = numbers(&t, query), a.key = numbers(&t, key), a.value = numbers(&t, value);
    a.bias = numbers(&t, bias), a.keep = numbers(&t, pairs);
    a.output = zeros(&t, rows * 3), a.probability = zeros(&t, pairs), a.row_max = zeros(&t, rows),
    a.row_sum = zeros(&t, rows);
    a.d_output = numbers(&t, rows * 3), a.d_probability = numbers(&t, pairs);
    a.d_query = zeros(&t, query), a.d_key = zeros(&t, key), a.d_value = zeros(&t, value),
    a.d_bias = zeros(&t, bias);
    attention_run(&t, t.table, &a);
    /* |d_output|, |value|, |keep| < 2 and rows of p sum to 1: each output term is below 8, each
     * probability's below 2. */
    struct differentiable f = {attention_value, &a, (double)rows * (3 * 8 + 2)};
    ok(all_derivatives(&f, query, a.query, a.d_query), "attention: d_query is the derivative");
    ok(all_derivatives(&f, key, a.key, a.d_key), "attention: d_key is the derivative");
    ok(all_derivatives(&f, value, a.value, a.d_value), "attention: d_value is the derivative");
    ok(all_derivatives(&f, bias, a.bias, a.d_bias), "attention: d_bias is the derivative");
    trial_free(&t);
}

static double matrix_scan_value(void *problem)
{
    const struct assay_matrix_scan *s = problem;
    assay_kernels_def(ASSAY_F64)->matrix_scan(s);
    return weighted(s->batch * s->n * s->d_v, s->d_o, s->o)
           + weighted(s->batch * s->d_k * s->d_v, s->d_end, s->end);
}

static void matrix_scan_derivatives(size_t decay_width)
{
    struct trial t = {.table = assay_kernels_def(ASSAY_F64)};
    assay_rng_named(&t.rng, 3, "derivatives");
    struct assay_matrix_scan s = {
        .batch = 2, .n = 5, .d_k = 3, .d_v = 2, .decay_width = decay_width};
    size_t keys = 2 * 5 * 3, values = 2 * 5 * 2, state = 2 * 3 * 2, decays = 2 * 5 * decay_width;
    s.q = numbers(&t, keys), s.k = numbers(&t, keys), s.v = numbers(&t, values);
    s.decay = numbers(&t, decays), s.start = numbers(&t, state);
    s.o = zeros(&t, values), s.end = zeros(&t, state);
    s.d_o = numbers(&t, values), s.d_end = numbers(&t, state);
    s.d_q = zeros(&t, keys), s.d_k_out = zeros(&t, keys), s.d_v_out = zeros(&t, values);
    s.d_decay = zeros(&t, decays), s.d_start = zeros(&t, state);
    matrix_scan_run(&t, t.table, &s);
    /* Inputs are below 2: |S_t| < 2 |S_(t-1)| + 4 < 192 after 5 steps from 2, |o| < 3 * 2 * 192. */
    struct differentiable f = {matrix_scan_value, &s,
                               (double)values * 2 * 1152 + (double)state * 2 * 192};
    bool hold = all_derivatives(&f, keys, s.q, s.d_q);
    hold = all_derivatives(&f, keys, s.k, s.d_k_out) && hold;
    hold = all_derivatives(&f, values, s.v, s.d_v_out) && hold;
    hold = all_derivatives(&f, decays, s.decay, s.d_decay) && hold;
    hold = all_derivatives(&f, state, s.start, s.d_start) && hold;
    ok(hold, "matrix scan: gradients are the derivatives, %zu decays per step", decay_width);
    trial_free(&t);
}

struct scan_problem {
    void *a, *b, *start, *h, *dh;
};

static double scan_value(void *problem)
{
    struct scan_problem *s = problem;
    assay_kernels_def(ASSAY_F64)->scan(2, 5, 3, s->a, s->b, s->start, s->h);
    return weighted(30, s->dh, s->h);
}

static void scan_derivatives(void)
{
    struct trial t = {.table = assay_kernels_def(ASSAY_F64)};
    assay_rng_named(&t.rng, 4, "derivatives");
    struct scan_problem s = {numbers(&t, 30), numbers(&t, 30), numbers(&t, 6), zeros(&t, 30),
                             numbers(&t, 30)};
    void *da = zeros(&t, 30), *db = zeros(&t, 30), *d_start = zeros(&t, 6), *scratch = zeros(&t, 3);
    struct differentiable f = {scan_value, &s,
                               30 * 2 * 128}; /* |h| < 2 |h| + 2 < 128 after 5 steps from 2 */
    scan_value(&s);
    t.table->scan_backward(2, 5, 3, s.a, s.h, s.start, s.dh, da, db, d_start, scratch);
    bool hold = all_derivatives(&f, 30, s.a, da);
    hold = all_derivatives(&f, 30, s.b, db) && hold;
    ok(all_derivatives(&f, 6, s.start, d_start) && hold, "scan: gradients are the derivatives");
    trial_free(&t);
}

int main(void)
{
    attention_derivatives();
    matrix_scan_derivatives(1);
    matrix_scan_derivatives(3);
    scan_derivatives();
    return done_testing();
}

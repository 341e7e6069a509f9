/* SPDX-License-Identifier: Apache-2.0 */
/* Performer: random features whose products are, on average, exp(q . k / sqrt(w)), so that sums over
 * keys factor out of softmax attention (FAVOR+).
 * Choromanski et al. 2020, arXiv:2009.14794; settled by the authors' code as google-research/
 * long-range-arena has it (performer_attention.py), with lucidrains/performer-pytorch as witness.
 *
 *     u = w^(-1/4) z,  phi(z) = m^(-1/2) (exp(Omega u - |u|^2 / 2 - stab) + eps)      Omega: [m, w]
 *     o_i = phi(q_i) (sum_j phi(k_j)^T v_j) / (phi(q_i) . sum_j phi(k_j)): O(n m w)
 *     stab: of a query the largest of Omega u, of keys the largest over all of them
 *     kernel=relu: phi(z) = max(Omega z, 0) + eps_k, without Omega where projection=0
 *     kernel=trigonometric: phi(z) = m^(-1/2) [cos(Omega u), sin(Omega u)] exp(|u|^2 / 2 - its max)
 *
 * Replaces the mixer. Causal sums are a recurrence with m (w + 1) numbers of state; the keys' common
 * stabiliser would look ahead (by way of eps alone, as it cancels), so that causal settings have
 * key_stabiliser=0. Padding keys have phi = 0; form=lra, the benchmark's relu kernel without Omega,
 * ignores padding. Deviations: Omega is drawn once, where the code can draw it anew in training; and
 * its signs are drawn so that rows are uniform over directions, which the estimator's lack of bias
 * needs: the code keeps LAPACK's, of which the first number is never positive. */
#include <stdio.h>

#include "ref/arith.h"
#include "variants/outside.h"

enum { SOFTMAX, RELU, TRIGONOMETRIC };
enum { FEATURES, KERNEL, PROJECTION, EPS, KERNEL_EPS, KEY_STABILISER, GUARD, EQUAL_LENGTHS, FORM };

static bool lra(const layer *l)
{
    return hyper_is(l, "form", "lra");
}

static int kernel(const layer *l)
{
    return lra(l) ? RELU : (int)hyper(l, "kernel");
}

static bool projects(const struct assay_config *c)
{
    return c->hyper[FORM] == 0 && (c->hyper[KERNEL] != RELU || c->hyper[PROJECTION] > 0);
}

/* 1 / sqrt(x), or 1 / sqrt(sqrt(x)) */
static double inverse_root(const layer *l, size_t x, bool twice)
{
    enum assay_profile p = profile_of(l);
    double root = assay_scalar_sqrt(p, assay_scalar(p, (double)x));
    return assay_scalar_div(p, 1, twice ? assay_scalar_sqrt(p, root) : root);
}

/* |u|^2 / 2 of each row: [b, h, n, 1] */
static tensor half_square(tape *t, tensor u)
{
    return scale(t, sum_over(t, square(t, u), -1), 0.5);
}

/* z [b, h, n, w], projected [b, h, n, m] -> phi [b, h, n, m] */
static tensor softmax_features(layer *l, tensor u, tensor projected, bool query, bool detached)
{
    tape *t = l->t;
    tensor stab = TENSOR_NONE;
    if (query)
        stab = max_over(t, projected, -1);
    else if (hyper(l, "key_stabiliser") > 0)
        stab = max_over(t, max_over(t, projected, -1), 2);
    stab = stab && detached ? stop_gradient(t, stab) : stab;
    tensor exponent = subtract(t, projected, half_square(t, u));
    exponent = stab ? subtract(t, exponent, stab) : exponent;
    tensor phi = offset(t, exponential(t, exponent), hyper(l, "eps"));
    return scale(t, phi, inverse_root(l, hyper_n(l, "features"), false));
}

static tensor trigonometric_features(layer *l, tensor u, tensor projected)
{
    tape *t = l->t;
    tensor diagonal = half_square(t, u), waves[2];
    tensor factor = exponential(t, subtract(t, diagonal, max_over(t, diagonal, 2)));
    factor = scale(t, factor, inverse_root(l, hyper_n(l, "features"), false));
    waves[0] = cosine(t, projected);
    waves[1] = sine(t, projected);
    return multiply(t, concat(t, 3, 2, waves), factor);
}

/* z [b, h, n, w] -> phi(z). `port`: detached stabilisers, and the relu kernel on scaled z. */
tensor performer_features(layer *l, tensor z, bool query, bool port)
{
    tape *t = l->t;
    if (!z)
        return TENSOR_NONE;
    size_t w = width_of(z);
    bool scaled = kernel(l) != RELU || port;
    tensor u = scaled ? scale(t, z, inverse_root(l, w, true)) : z, projected = u;
    if (projects(config_of(l))) {
        struct assay_init init = init_orthogonal(hyper(l, "equal_lengths"));
        projected = matmul_nt(t, u, draw(l, "omega", SHAPE(hyper_n(l, "features"), w), init));
    }
    if (kernel(l) == RELU)
        return offset(t, relu(t, projected), hyper(l, "kernel_eps"));
    return kernel(l) == SOFTMAX ? softmax_features(l, u, projected, query, port)
                                : trigonometric_features(l, u, projected);
}

/* Numerators and, as one more column, denominators: [b, h, n, v + 1]. */
tensor performer_sums(layer *l, tensor q, tensor k, tensor v, bool causal)
{
    tape *t = l->t;
    v = with_ones(t, v);
    if (!q || !k || !v)
        return TENSOR_NONE;
    if (!causal)
        return matmul(t, q, matmul_tn(t, k, v));
    size_t rows = dim_of(q, 0) * dim_of(q, 1), n = dim_of(q, 2), m = width_of(q);
    tensor end, start = carried(l, "state", SHAPE(rows, m, width_of(v)));
    tensor a = reshape(t, q, SHAPE(rows, n, m)), b = reshape(t, k, SHAPE(rows, n, m));
    tensor c = reshape(t, v, SHAPE(rows, n, width_of(v)));
    tensor y = matrix_scan(t, a, b, c, TENSOR_NONE, start, &end);
    carry(l, "state", y ? end : TENSOR_NONE);
    return reshape(t, y, SHAPE(dim_of(q, 0), dim_of(q, 1), n, width_of(v)));
}

/* A denominator of at most `guard` gets twice that. sums: [b, h, n, v + 1] -> [b, h, n, v] */
tensor performer_normalised(layer *l, tensor sums, double guard)
{
    tape *t = l->t;
    if (!sums)
        return TENSOR_NONE;
    size_t width = width_of(sums) - 1;
    tensor numerator = slice(t, sums, 3, 0, width), d = slice(t, sums, 3, width, 1);
    if (guard > 0) {
        tensor small = sign_of(t, offset(t, negate(t, absolute(t, d)), guard));
        d = add(t, d, scale(t, offset(t, small, 1), guard));
    }
    return multiply(t, numerator, reciprocal(t, d));
}

/* heads [b, n, h, w] -> [b, n, h, w] */
tensor performer_favor(layer *l, const struct heads *h, bool causal)
{
    tape *t = l->t;
    tensor q = transpose(t, h->query, 1, 2), k = transpose(t, h->key, 1, 2);
    tensor v = transpose(t, h->value, 1, 2), query = performer_features(l, q, true, false);
    tensor key = performer_features(l, k, false, false);
    key = lra(l) ? key : without_padding(l, key, 2);
    double guard = kernel(l) == RELU ? 0 : hyper(l, "guard");
    tensor y = performer_normalised(l, performer_sums(l, query, key, v, causal), guard);
    return transpose(t, y, 1, 2);
}

/* x: [b, n, d] -> [b, n, d] */
static tensor performer(layer *l, tensor x, tensor memory)
{
    const struct assay_config *c = config_of(l);
    struct heads h;
    h.query = project(l, "query", x);
    h.key = project(l, "key", memory ? memory : x);
    h.value = project(l, "value", memory ? memory : x);
    tensor y = performer_favor(l, &h, l->context->causal && !memory);
    return apply_linear(l, "output", merge_heads(l, y), c->stream, c->output_bias);
}

/* ---- claims ---- */

enum { N = 12, W = 4 };

#define SMALL "length=12 width=8 heads=2 layers=1 "

/* The row-normalised n x n weights: [1, 2, N, N]. */
static tensor weights(struct claim_alone *a, bool causal)
{
    tensor query = transpose(a->t, a->h.query, 1, 2), key = transpose(a->t, a->h.key, 1, 2);
    tensor q = performer_features(&a->l, query, true, false),
           k = performer_features(&a->l, key, false, false);
    tensor w = matmul_nt(a->t, q, k);
    int32_t before[N * N];
    for (int e = 0; e < N * N; e++)
        before[e] = !causal || e % N <= e / N;
    tensor mask = expand(a->t, tape_input_i32(a->t, SHAPE(1, 1, N, N), before), SHAPE(1, 2, N, N));
    w = choose(a->t, mask, w, scale(a->t, w, 0));
    return divide(a->t, w, sum_over(a->t, w, -1));
}

/* w [1, 2, N, N], v [1, N, 2, W] -> [1, N, 2, W] */
static tensor weighted(tape *t, tensor w, tensor v)
{
    return transpose(t, matmul(t, w, transpose(t, v, 1, 2)), 1, 2);
}

/* Positive terms: numerators and denominators are sums of N products of m products in two orders. */
static void equals_the_quadratic_form(struct claim *c)
{
    static const char *const kernels[] = {SMALL "key_stabiliser=0", SMALL "form=lra"};
    struct claim_alone a;
    for (int i = 0; i < 4 && claim_alone(c, &a, kernels[i / 2], 0); i++) {
        tensor linear = performer_favor(&a.l, &a.h, i % 2);
        tensor w = weights(&a, i % 2);
        claim_close(c, linear, weighted(a.t, w, a.h.value), 8 * (N + 16), 0,
                    i % 2 ? "causal: factored and brute force" : "factored and brute force");
        claim_true(c, claim_value(c, sum_all(a.t, w), 0) > 0, "weights are positive");
    }
}

static void weights_are_positive_and_sum_to_one(struct claim *c)
{
    struct claim_alone a;
    if (!claim_alone(c, &a, SMALL, 0))
        return;
    tensor ones = tape_filled(a.t, a.h.value->shape, 1), w = weights(&a, false);
    struct heads one = {a.h.query, a.h.key, ones}, zero = a.h;
    /* eps keeps every feature positive; both sums are of the same N m terms. */
    claim_close(c, performer_favor(&a.l, &one, false), ones, 4 * (N + 16), 1, "rows sum to 1");
    bool positive = w != TENSOR_NONE;
    for (size_t i = 0; positive && i < elements_of(w); i++)
        positive = claim_value(c, w, i) > 0;
    claim_true(c, positive, "every weight is positive");
    zero.key = scale(a.t, a.h.key, 0);
    tensor y = performer_favor(&a.l, &zero, false), mean = mean_over(a.t, a.h.value, 1);
    tensor means = expand(a.t, mean, a.h.value->shape);
    claim_close(c, y, means, 4 * (N + 16), 0, "keys of zero: the mean of the values");
    if (!claim_alone(c, &a, SMALL "kernel=trigonometric features=4", 0))
        return;
    bool negative = false;
    for (size_t i = 0; i < 2 * N * N; i++)
        negative |= claim_value(c, weights(&a, false), i) < 0;
    claim_true(c, negative, "trigonometric features give negative weights");
}

/* Estimates of exp(u_q . u_k) by one feature each: [rows]. */
static tensor estimates(struct claim *c, tape *t, bool orthogonal, size_t rows)
{
    char overrides[96];
    snprintf(overrides, sizeof overrides, SMALL "features=%zu", rows);
    struct assay_model *m = claim_model(c, overrides);
    tensor omega = !m           ? TENSOR_NONE
                   : orthogonal ? model_tensor(m, t, "block.0.mixer.omega")
                                : claim_random(c, t, SHAPE(rows, W), 5);
    tensor q = scale(t, claim_random(c, t, SHAPE(1, W), 1), 0.5);
    tensor k = scale(t, claim_random(c, t, SHAPE(1, W), 2), 0.5);
    tensor exponent = matmul_nt(t, add(t, q, k), omega);
    tensor half_q = half_square(t, q), half_k = half_square(t, k), half = add(t, half_q, half_k);
    return exponential(t, subtract(t, exponent, half));
}

/* Mean squared error of means of `group` estimates, and their mean. */
static double spread(struct claim *c, tape *t, tensor one, size_t group, double truth, double *mean)
{
    tensor means = mean_over(t, reshape(t, one, SHAPE(elements_of(one) / group, group)), 1);
    double sum = 0, squares = 0, count = (double)elements_of(means);
    for (size_t i = 0; i < elements_of(means); i++) {
        double x = claim_value(c, means, i);
        sum += x;
        squares += (x - truth) * (x - truth);
    }
    *mean = sum / count;
    return squares / count;
}

/* Lemma 2: the variance of one estimate is K^2 (exp(|u_q + u_k|^2) - 1), K = exp(u_q . u_k). Mean
 * squares of R groups scatter by no more than a quarter here (R >= 256, tails as measured with other
 * seeds: 0.8 to 1.2), means by 5 standard errors. */
static void estimator_is_unbiased(struct claim *c)
{
    enum { ROWS = 8192 };
    tape *t = claim_tape(c);
    tensor iid = estimates(c, t, false, ROWS), ortho = estimates(c, t, true, ROWS);
    if (!iid || !ortho)
        return;
    tensor q = scale(t, claim_random(c, t, SHAPE(1, W), 1), 0.5);
    tensor k = scale(t, claim_random(c, t, SHAPE(1, W), 2), 0.5);
    double K = claim_value(c, exponential(t, matmul_nt(t, q, k)), 0);
    double grown = claim_value(c, exponential(t, scale(t, half_square(t, add(t, q, k)), 2)), 0);
    double variance = K * K * (grown - 1), mean, each[3], blocks;
    for (size_t i = 0; i < 3; i++) {
        size_t m = (size_t)2 << 2 * i;
        each[i] = spread(c, t, iid, m, K, &mean) * (double)m / variance;
        claim_true(c, each[i] > 0.75 && each[i] < 1.25,
                   "m = %zu: variance times m is %.3f of the lemma's", m, each[i]);
    }
    double off = (mean - K) * (mean - K);
    claim_true(c, off <= 25 * variance / ROWS, "the mean is %.5f, exp(u_q . u_k) %.5f", mean, K);
    blocks = spread(c, t, ortho, W, K, &mean) * W / variance;
    claim_true(c, (mean - K) * (mean - K) <= 25 * variance / ROWS, "orthogonal: mean %.5f", mean);
    claim_true(c, blocks < each[0], "orthogonal rows: variance times m is %.3f", blocks);
}

static void more_features_come_closer(struct claim *c)
{
    double error[3];
    for (size_t i = 0; i < 3; i++) {
        struct claim_alone a;
        char overrides[96];
        snprintf(overrides, sizeof overrides, SMALL "features=%d", 16 << 4 * i);
        if (!claim_alone(c, &a, overrides, 0))
            return;
        a.h.query = scale(a.t, a.h.query, 0.5); /* the variance grows with exp(|q + k|^2) */
        a.h.key = scale(a.t, a.h.key, 0.5);
        tensor approximate = performer_favor(&a.l, &a.h, false);
        tensor whole = attention(a.t, a.h.query, a.h.key, a.h.value, NULL);
        tensor difference = subtract(a.t, whole, approximate);
        error[i] = claim_value(c, sum_all(a.t, square(a.t, difference)), 0);
    }
    claim_true(c, error[1] < error[0] && error[2] < error[1],
               "m = 16, 256, 4096: squared errors against softmax attention %.3g, %.3g, %.3g",
               error[0], error[1], error[2]);
}

static void rows_are_orthogonal(struct claim *c)
{
    struct assay_model *m = claim_model(c, SMALL "features=8192");
    tape *t = claim_tape(c);
    tensor omega = m ? model_tensor(m, t, "block.0.mixer.omega") : TENSOR_NONE;
    if (!omega)
        return;
    tensor blocks = reshape(t, omega, SHAPE(8192 / W, W, W)), squares = square(t, omega);
    tensor product = matmul_nt(t, blocks, blocks);
    double worst = 0, total = claim_value(c, sum_all(t, squares), 0) / 8192;
    for (size_t e = 0; e < 64 * W * W; e++) {
        double x = claim_value(c, product, e);
        worst = e / W % W != e % W && x * x > worst ? x * x : worst;
    }
    /* Entries are rounded to binary32: products of 4 terms of rows of length below 5. */
    claim_true(c, worst < (W * 25 * 0x1p-24) * (W * 25 * 0x1p-24),
               "rows of a block are orthogonal");
    /* chi^2 with 4 degrees has variance 8: 5 standard errors of 8192 of them. */
    claim_true(c, total > W - 0.16 && total < W + 0.16, "mean squared length %.3f of %d", total, W);
}

/* ---- descriptor ---- */

static double width_of_features(const struct assay_config *c)
{
    if (!projects(c))
        return (double)c->head_width;
    return c->hyper[FEATURES] * (c->hyper[KERNEL] == TRIGONOMETRIC ? 2 : 1);
}

static double multiply_adds(const struct assay_config *c, size_t n)
{
    double d = (double)c->width, h = (double)c->heads, w = (double)c->head_width,
           m = width_of_features(c), projected = projects(c) ? c->hyper[FEATURES] * w : 0;
    return (double)n * (4 * d * h * w + 2 * h * projected + 2 * h * m * (w + 1));
}

static double state_elements(const struct assay_config *c, size_t n)
{
    (void)n;
    return (double)(c->layers * c->heads * (c->head_width + 1)) * width_of_features(c);
}

static const char *const kernels[] = {"softmax", "relu", "trigonometric", NULL};

/* clang-format off */
const struct assay_variant assay_variant_performer = {
    .id = "performer",
    .title = "Rethinking Attention with Performers",
    .authors = "Choromanski et al. 2020",
    .idea = "Positive orthogonal random features approximate the softmax kernel without bias: "
            "attention in O(n m w).",
    .equations = "phi(z) = m^(-1/2) (exp(Omega u - |u|^2 / 2 - stab) + eps), u = w^(-1/4) z;  "
                 "o_i = phi(q_i) (sum_j phi(k_j)^T v_j) / (phi(q_i) . sum_j phi(k_j))",
    .source = {"arXiv:2009.14794", "google-research/google-research",
               "the authors' code, as google-research/long-range-arena has it", CONFIDENCE_HIGH},
    .kind = KIND_VARIANT, .family = "linear-attention", .replaces = "mixer",
    .slot = {.mixer = performer},
    .hypers = (const struct variant_hyper[]){
        {"features", "m, rows of Omega", 256, 16, AT_LEAST_1},
        {"kernel", "what the features stand for", 0, 0, is_choice,
         "softmax, relu or trigonometric", kernels},
        {"projection", "relu: features of Omega z, not of z", 1, 1, FLAG},
        {"eps", "added to each feature of softmax", 1e-6, 1e-6, NOT_NEGATIVE},
        {"kernel_eps", "added to each feature of relu", 1e-3, 1e-3, NOT_NEGATIVE},
        {"key_stabiliser", "the keys' largest exponent is subtracted", 1, 1, FLAG},
        {"guard", "softmax: a denominator this small gets twice as much", 1e-6, 1e-6, NOT_NEGATIVE},
        {"equal_lengths", "rows of Omega have length sqrt(w)", 0, 0, FLAG},
        {"form", "lra: the benchmark's relu kernel without Omega", 0, 0, PAPER_OR_LRA},
        {0}},
    .settings = (const struct variant_setting[]){
        {"default", "preset=pre_ln"},
        {"causal", "preset=pre_ln frame=decoder head=language pad_is_zero=0 key_stabiliser=0"},
        {"relu", "preset=pre_ln kernel=relu"},
        {"lra", "preset=pre_ln form=lra"},
        {0}},
    .forms = (const struct variant_form[]){
        {"parallel", "", false, FORM_BITS, 0, NULL},
        {"decode", "", true, FORM_BITS, 0, "the scan, one step at a time"},
        {0}},
    .properties = (const struct variant_property[]){
        {PROPERTY_CAUSAL, HOLDS_BITS, 0, "key_stabiliser=0 frame=decoder head=language",
         "the state holds earlier tokens only"},
        {PROPERTY_CAUSAL, HOLDS_NO, 0, "key_stabiliser=1 form=paper kernel=softmax eps=1e-2 "
         "frame=decoder head=language", "eps weighs against a stabiliser over all keys"},
        {PROPERTY_SAMPLE_INDEPENDENT, HOLDS_BITS, 0, NULL, "sums run within a sample"},
        {PROPERTY_PERMUTATION_EQUIVARIANT, HOLDS_ROUNDING, 0, "position=none frame=encoder",
         "sums change their order"},
        {PROPERTY_DIFFERENTIABLE, HOLDS_ROUNDING, 0, NULL, NULL},
        {0}},
    .claims = (const struct variant_claim[]){
        {CLAIM_IDENTITY, "equals the quadratic form of its features, bidirectional and causal",
         equals_the_quadratic_form, 0},
        {CLAIM_BOUND, "the estimator is unbiased, its variance falls as 1 / m, and orthogonal rows "
         "lower it", estimator_is_unbiased, 0},
        {CLAIM_BOUND, "with more features the output comes closer to softmax attention's",
         more_features_come_closer, 0},
        {CLAIM_IDENTITY, "weights are positive and sum to 1, unlike trigonometric ones",
         weights_are_positive_and_sum_to_one, 0},
        {CLAIM_IDENTITY, "rows of Omega are orthogonal in blocks, as long as normal vectors",
         rows_are_orthogonal, 0},
        {CLAIM_OUTSIDE, "the authors' attention functions; the benchmark's encoder; the port's",
         outside_meets_sections, 0},
        {0}},
    .outside = outside_performer,
    .untested = "Accuracies of the Long Range Arena (18.01, 65.40, 53.82, 42.77, 77.05) need the "
                "full-size runs.",
    .needs = NEEDS_KEYS_PER_HEAD,
    .mixer_multiply_adds = multiply_adds,
    .grows = {1, 1, "abstract: linear in the length, in time and in memory"},
    .decode_elements = state_elements,
};
/* clang-format on */

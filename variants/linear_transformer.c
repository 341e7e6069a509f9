/* SPDX-License-Identifier: Apache-2.0 */
/* Linear transformer: with phi(q) . phi(k) in place of exp(q . k), sums over keys factor out of
 * attention.
 * Katharopoulos et al. 2020, arXiv:2006.16236; settled by the official code
 * (idiap/fast-transformers, linear_attention.py, causal_linear_attention.py and the recurrent form)
 * and, for form=lra, by google-research/long-range-arena.
 *
 *     phi(z) = elu(z) + 1
 *     bidirectional: o_i = phi(q_i) S / (phi(q_i) . z + eps)
 *                    S = sum_j phi(k_j)^T v_j,  z = sum_j phi(k_j)
 *     causal:        the same with S_i, z_i summed over j <= i: a recurrence of constant state
 *
 * Replaces the mixer. z is carried as one more column of S, for a value that is 1 everywhere.
 * Padding keys: phi(k) = 0 (paper form); the benchmark's form ignores every mask. Scores
 * have no scale. */
#include "ref/arith.h"
#include "variants/outside.h"

/* Numerator and denominator of each query as one product: [b, h, n, v + 1].
 * query, key: [b, h, n, w], value: [b, h, n, v + 1] */

/* Brute force: the n x n weights. */
static tensor quadratic_sums(tape *t, tensor query, tensor key, tensor value, bool causal)
{
    tensor weight = matmul_nt(t, query, key);
    size_t n = dim_of(query, 2);
    int32_t *allowed = causal ? tape_allocate(t, n * n * sizeof *allowed) : NULL;
    if (allowed) {
        for (size_t i = 0; i < n * n; i++)
            allowed[i] = i % n <= i / n;
        tensor mask = expand(t, tape_input_i32(t, SHAPE(1, 1, n, n), allowed),
                             SHAPE(dim_of(query, 0), dim_of(query, 1), n, n));
        weight = choose(t, mask, weight, scale(t, weight, 0));
    }
    return matmul(t, weight, value);
}

static tensor as_rows(tape *t, tensor x)
{
    return reshape(t, x, SHAPE(dim_of(x, 0) * dim_of(x, 1), dim_of(x, 2), dim_of(x, 3)));
}

/* Causal: S_i = S_(i-1) + phi(k_i)^T v_i, from and to the given state [b h, w, v + 1]. */
tensor linear_transformer_recurrent_sums(tape *t, tensor query, tensor key, tensor value,
                                         tensor start, tensor *end)
{
    tensor q = as_rows(t, query), k = as_rows(t, key), v = as_rows(t, value);
    tensor y = matrix_scan(t, q, k, v, TENSOR_NONE, start, end);
    return reshape(t, y,
                   SHAPE(dim_of(query, 0), dim_of(query, 1), dim_of(query, 2), width_of(value)));
}

/* Causal in chunks: what came before the chunk through its state, what is inside by brute force. */
static tensor chunked_sums(tape *t, tensor query, tensor key, tensor value, size_t chunk)
{
    size_t n = dim_of(query, 2), chunks = (n + chunk - 1) / chunk;
    tensor state = TENSOR_NONE, *part = tape_allocate(t, chunks * sizeof *part);
    for (size_t i = 0; part && i < chunks; i++) {
        size_t from = i * chunk, length = from + chunk < n ? chunk : n - from;
        tensor q = slice(t, query, 2, from, length), k = slice(t, key, 2, from, length),
               v = slice(t, value, 2, from, length);
        part[i] = quadratic_sums(t, q, k, v, true);
        if (state)
            part[i] = add(t, part[i], matmul(t, q, state));
        tensor update = matmul_tn(t, k, v);
        state = state ? add(t, state, update) : update;
    }
    return part ? concat(t, 2, (int)chunks, part) : TENSOR_NONE;
}

/* sums [b, h, n, v + 1] -> numerator / (denominator + eps): [b, h, n, v] */
tensor linear_transformer_normalised(tape *t, tensor sums, double eps)
{
    if (!sums)
        return TENSOR_NONE;
    size_t width = width_of(sums) - 1;
    tensor numerator = slice(t, sums, 3, 0, width), denominator = slice(t, sums, 3, width, 1);
    return divide(t, numerator, offset(t, denominator, eps));
}

/* x: [b, n, d] -> [b, n, d] */
static tensor linear_attention(layer *l, tensor x, tensor memory)
{
    tape *t = l->t;
    const struct assay_config *c = config_of(l);
    size_t heads = c->heads, width = c->head_width;
    tensor from = memory ? memory : x, q = elu_plus_one(t, project(l, "query", x));
    tensor k = elu_plus_one(t, project(l, "key", from)), v = project(l, "value", from);
    q = transpose(t, q, 1, 2);
    /* phi(k) of padding is zero. */
    tensor valid = hyper_is(l, "form", "lra") ? TENSOR_NONE : valid_keys(l, memory);
    k = transpose(t, only_valid(t, k, valid, 1), 1, 2);
    v = with_ones(t, transpose(t, v, 1, 2));
    tensor sums;
    bool causal = l->context->causal && !memory && hyper_is(l, "form", "paper");
    if (hyper_is(l, "evaluation", "quadratic")) {
        sums = quadratic_sums(t, q, k, v, causal);
    } else if (!causal) {
        sums = matmul(t, q, matmul_tn(t, k, v));
    } else if (hyper_is(l, "evaluation", "chunked")) {
        sums = chunked_sums(t, q, k, v, hyper_n(l, "chunk"));
    } else {
        struct assay_shape shape = SHAPE(q ? dim_of(q, 0) * heads : 0, width, width + 1);
        tensor end, start = q ? carried(l, "state", shape) : TENSOR_NONE;
        sums = linear_transformer_recurrent_sums(t, q, k, v, start, &end);
        carry(l, "state", sums ? end : TENSOR_NONE);
    }
    tensor y = transpose(t, linear_transformer_normalised(t, sums, hyper(l, "eps")), 1, 2);
    return apply_linear(l, "output", merge_heads(l, y), c->stream, c->output_bias);
}

/* ---- claims ---- */

enum { HEADS = 2, LENGTH = 12, WIDTH = 4 };

struct features {
    tape *t;
    tensor query, key, value;
};

/* phi(q), phi(k) and v with its column of ones, for one sample. */
static struct features features(struct claim *c)
{
    tape *t = claim_tape(c);
    struct assay_shape shape = SHAPE(1, HEADS, LENGTH, WIDTH);
    struct features f = {.t = t};
    f.query = elu_plus_one(t, claim_random(c, t, shape, 1));
    f.key = elu_plus_one(t, claim_random(c, t, shape, 2));
    f.value = with_ones(t, claim_random(c, t, shape, 3));
    return f;
}

/* Numerator and denominator are sums of n products of w products, computed in two orders.
 * phi > 0, so the denominator's relative error is at most (n + w) roundoffs in each, the
 * numerator's likewise relative to denominator * max|v|: the quotients differ by at most
 * 4 (n + w + 2) roundoffs of max|v|. */
static const double reorder_units = 4 * (LENGTH + WIDTH + 2);

static void equals_the_quadratic_form(struct claim *c)
{
    struct features f = features(c);
    double scale = claim_largest(c, f.value);
    tensor brute = linear_transformer_normalised(
        f.t, quadratic_sums(f.t, f.query, f.key, f.value, false), 1e-6);
    tensor factored = linear_transformer_normalised(
        f.t, matmul(f.t, f.query, matmul_tn(f.t, f.key, f.value)), 1e-6);
    claim_close(c, brute, factored, reorder_units, scale,
                "bidirectional: factored and brute force");
    brute = linear_transformer_normalised(f.t, quadratic_sums(f.t, f.query, f.key, f.value, true),
                                          1e-6);
    tensor end,
        sums = linear_transformer_recurrent_sums(f.t, f.query, f.key, f.value, TENSOR_NONE, &end);
    claim_close(c, brute, linear_transformer_normalised(f.t, sums, 1e-6), reorder_units, scale,
                "causal: recurrent and brute force");
    sums = chunked_sums(f.t, f.query, f.key, f.value, 5);
    claim_close(c, brute, linear_transformer_normalised(f.t, sums, 1e-6), reorder_units, scale,
                "causal: chunks of 5 and brute force");
}

static void state_does_not_grow(struct claim *c)
{
    struct assay_model *m = claim_model(c, "frame=decoder head=language pad_is_zero=0 layers=1");
    struct assay_decode *d = m ? decode_open(m->kernels, m->config.length) : NULL;
    size_t bytes = 0;
    for (size_t i = 0; d && i < m->config.length; i++) {
        const struct assay_batch *b = claim_batch(c, m, 1, 1, i + 1);
        tape *t = claim_tape(c);
        struct assay_pass pass = {.model = m, .t = t, .batch = b, .denominator = 1, .decode = d};
        if (!b || !t || !model_forward(&pass))
            break;
        bytes = i ? bytes : decode_bytes(d);
        claim_true(c, decode_bytes(d) == bytes, "after %zu tokens the state has %zu elements",
                   i + 1, decode_bytes(d) / m->kernels->element);
    }
    size_t w = m ? m->config.head_width : 0;
    claim_true(c, m && bytes == m->config.heads * (w * w + w) * m->kernels->element,
               "the state is d_k d_v + d_k per head");
    decode_close(d);
}

static void first_token_sees_itself(struct claim *c)
{
    struct features f = features(c);
    tensor end,
        sums = linear_transformer_recurrent_sums(f.t, f.query, f.key, f.value, TENSOR_NONE, &end);
    tensor first = slice(f.t, linear_transformer_normalised(f.t, sums, 1e-6), 2, 0, 1);
    tensor q = slice(f.t, f.query, 2, 0, 1), k = slice(f.t, f.key, 2, 0, 1);
    tensor s = matmul_nt(f.t, q, k);
    tensor v = slice(f.t, slice(f.t, f.value, 2, 0, 1), 3, 0, WIDTH);
    tensor expected = multiply(f.t, v, divide(f.t, s, offset(f.t, s, 1e-6)));
    claim_close(c, first, expected, 4 + WIDTH, 0,
                "o_0 = v_0 s / (s + eps), s = phi(q_0) . phi(k_0)");
}

static void row_weights_sum_to_one(struct claim *c)
{
    struct features f = features(c);
    tensor ones = tape_filled(f.t, SHAPE(1, HEADS, LENGTH, 2), 1);
    tensor s = quadratic_sums(f.t, f.query, f.key, slice(f.t, ones, 3, 0, 1), false);
    tensor total =
        linear_transformer_normalised(f.t, matmul(f.t, f.query, matmul_tn(f.t, f.key, ones)), 1e-6);
    claim_close(c, total, divide(f.t, s, offset(f.t, s, 1e-6)), reorder_units, 1,
                "weights of a row sum to s / (s + eps)");
    tensor weight = matmul_nt(f.t, f.query, f.key);
    bool all = weight != TENSOR_NONE;
    for (size_t i = 0; all && i < elements_of(weight); i++)
        all = claim_value(c, weight, i) > 0;
    claim_true(c, all, "every weight is positive");
}

static void a_scaled_query_differs(struct claim *c)
{
    tape *t = claim_tape(c);
    struct assay_shape shape = SHAPE(1, HEADS, LENGTH, WIDTH);
    tensor q = claim_random(c, t, shape, 1), k = elu_plus_one(t, claim_random(c, t, shape, 2));
    tensor state = matmul_tn(t, k, with_ones(t, claim_random(c, t, shape, 3)));
    tensor one = linear_transformer_normalised(t, matmul(t, elu_plus_one(t, q), state), 1e-6);
    tensor two =
        linear_transformer_normalised(t, matmul(t, elu_plus_one(t, scale(t, q, 2)), state), 1e-6);
    claim_differs(c, one, two, 1000, "outputs for q and 2 q");
}

static void cost_is_linear(struct claim *c)
{
    uint64_t count[2];
    for (size_t i = 0; i < 2; i++) {
        tape *t = claim_tape(c);
        size_t n = (size_t)LENGTH << i;
        struct assay_shape shape = SHAPE(1, HEADS, n, WIDTH);
        tensor q = claim_random(c, t, shape, 1), k = claim_random(c, t, shape, 2),
               v = with_ones(t, claim_random(c, t, shape, 3)), end;
        linear_transformer_recurrent_sums(t, q, k, v, TENSOR_NONE, &end);
        count[i] = t->counts.multiply_adds;
        claim_true(c, count[i] == 2 * n * WIDTH * (WIDTH + 1) * HEADS,
                   "n = %zu: %llu multiply-adds, 2 n d_k (d_v + 1) h", n,
                   (unsigned long long)count[i]);
    }
    claim_true(c, count[1] == 2 * count[0], "twice the tokens, twice the cost");
}

static void rank_is_the_head_width(struct claim *c)
{
    const char *one =
        "heads=1 head_width=4 width=12 length=12 layers=1 attention_bias=0 output_bias=0";
    tensor weight = claim_implied_weights(c, one, linear_attention);
    tensor usual = claim_implied_weights(c, one, assay_reference_slots.mixer);
    /* Elimination multiplies the rounding of the entries by at most 2^(rank - 1) n. */
    size_t rank = claim_rank(c, weight, 8 * LENGTH * WIDTH);
    size_t full = claim_rank(c, usual, 8 * LENGTH * WIDTH);
    claim_true(c, rank == WIDTH && full == LENGTH,
               "the layer's %d x %d weights have rank %zu = d_k, softmax attention's %zu", LENGTH,
               LENGTH, rank, full);
}

static void padding_is_not_seen(struct claim *c)
{
    claim_ignores_padding(c, "length=12 layers=1");
}

/* ---- descriptor ---- */

static double multiply_adds(const struct assay_config *c, size_t n)
{
    double d = (double)c->width, inner = (double)(c->heads * c->head_width),
           w = (double)c->head_width;
    return (double)n * (4 * d * inner + 2 * (double)c->heads * w * (w + 1));
}

static double state_elements(const struct assay_config *c, size_t n)
{
    (void)n;
    return (double)(c->layers * c->heads * c->head_width * (c->head_width + 1));
}

enum evaluation { LINEAR, CHUNKED, QUADRATIC };

static struct variant_growth growth(const struct assay_config *c)
{
    if ((enum evaluation)c->hyper[2] == QUADRATIC)
        return (struct variant_growth){
            2, 2, "section 3.2: with the weights made first it costs what softmax attention does"};
    return (struct variant_growth){
        1, 1, "abstract and section 3.2: linear in the length, in time and in memory"};
}

static const char *const evaluations[] = {"linear", "chunked", "quadratic", NULL};

/* clang-format off */
const struct assay_variant assay_variant_linear_transformer = {
    .id = "linear_transformer",
    .title = "Transformers are RNNs: Fast Autoregressive Transformers with Linear Attention",
    .authors = "Katharopoulos et al. 2020",
    .idea = "phi(q) . phi(k) in place of exp(q . k), so that sums over keys factor out: O(n d^2), "
            "or an RNN of constant state.",
    .equations = "phi(z) = elu(z) + 1;  o_i = phi(q_i) (sum_j phi(k_j)^T v_j) / (phi(q_i) . sum_j "
                 "phi(k_j) + eps)",
    .source = {"arXiv:2006.16236", "idiap/fast-transformers",
               "the official code; form=lra by google-research/long-range-arena", CONFIDENCE_HIGH},
    .kind = KIND_VARIANT, .family = "linear-attention", .replaces = "mixer",
    .slot = {.mixer = linear_attention},
    .hypers = (const struct variant_hyper[]){
        {"eps", "added to the denominator", 1e-6, 1e-6, positive, "a positive number", NULL},
        {"form", "paper: masks, causality; lra: the benchmark's, which ignores both", 0, 0,
         PAPER_OR_LRA},
        {"evaluation", "order of evaluation of the sums", 0, 0, is_choice,
         "linear, chunked or quadratic", evaluations},
        {"chunk", "tokens per chunk of evaluation=chunked", 64, 5, AT_LEAST_1},
        {0}},
    .settings = (const struct variant_setting[]){
        {"default", "preset=pre_ln"},
        {"causal", "preset=pre_ln frame=decoder head=language pad_is_zero=0"},
        {"cross", "preset=pre_ln frame=encoder_decoder head=language layers=1 decoder_layers=1"},
        {"lra", "preset=pre_ln form=lra"},
        {0}},
    .forms = (const struct variant_form[]){
        {"recurrent", "evaluation=linear", false, FORM_BITS, 0, NULL},
        {"decode", "evaluation=linear", true, FORM_BITS, 0, "the scan, one step at a time"},
        {"chunked", "evaluation=chunked", false, FORM_ROUNDING, 0,
         "the same sums in another order"},
        {"quadratic", "evaluation=quadratic", false, FORM_ROUNDING, 0,
         "the same sums in another order"},
        {0}},
    .properties = (const struct variant_property[]){
        {PROPERTY_CAUSAL, HOLDS_BITS, 0, "form=paper frame=decoder head=language",
         "the state holds earlier tokens only"},
        {PROPERTY_CAUSAL, HOLDS_NO, 0, "form=lra frame=decoder head=language",
         "the benchmark's form ignores every mask"},
        {PROPERTY_SAMPLE_INDEPENDENT, HOLDS_BITS, 0, NULL, "sums run within a sample"},
        {PROPERTY_PERMUTATION_EQUIVARIANT, HOLDS_ROUNDING, 0, "position=none frame=encoder",
         "sums change their order"},
        {PROPERTY_DIFFERENTIABLE, HOLDS_ROUNDING, 0, NULL, NULL},
        {0}},
    .claims = (const struct variant_claim[]){
        {CLAIM_IDENTITY, "equals the quadratic form, bidirectional and causal",
         equals_the_quadratic_form, 0},
        {CLAIM_COUNT, "decoding carries d_k d_v + d_k numbers per head, whatever the length",
         state_does_not_grow, 0},
        {CLAIM_IDENTITY, "the first causal token sees only itself", first_token_sees_itself, 0},
        {CLAIM_IDENTITY, "row weights are positive and sum to s / (s + eps)",
         row_weights_sum_to_one, 0},
        {CLAIM_NEGATIVE, "scaling a query changes its output: phi is not homogeneous",
         a_scaled_query_differs, 0},
        {CLAIM_COUNT, "multiply-adds are linear in n", cost_is_linear, 0},
        {CLAIM_IDENTITY, "the implied attention has rank d_k", rank_is_the_head_width, 0},
        {CLAIM_IDENTITY, "padding is not seen, nor that of a memory", padding_is_not_seen, 0},
        {CLAIM_OUTSIDE, "the authors' recurrent module with its state",
         linear_transformer_meets_the_recurrent_module, 0},
        {CLAIM_OUTSIDE, "the authors' layers (bidirectional, causal, padded), the benchmark's "
         "layer and encoder", outside_meets_sections, 0},
        {0}},
    .outside = outside_linear_transformer,
    .untested = "Accuracies of the Long Range Arena (16.13, 65.90, 53.09, 42.34, 75.30) need the "
                "full-size runs.",
    .needs = NEEDS_KEYS_PER_HEAD,
    .mixer_multiply_adds = multiply_adds,
    .decode_elements = state_elements,
    .growth = growth,
};
/* clang-format on */

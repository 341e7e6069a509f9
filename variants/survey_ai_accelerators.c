/* SPDX-License-Identifier: Apache-2.0 */
/* A tutorial on serving transformers: what its techniques promise to leave unchanged.
 * Park et al. 2024, arXiv:2407.09111 (abstract and outline; no code). Each technique is computed here in
 * its plainest form, on the reference decoder:
 *
 *     speculative sampling   draft x ~ q, kept with min(1, p(x) / q(x)), else drawn from max(p - q, 0)
 *     expected tokens        (1 - a^(g+1)) / (1 - a) for each call of the target, a: rate of acceptance
 *     paged keys and values  token i stands in block table[i / B], row i mod B
 *     sinks                  query i sees the first 4 keys and the last w
 *     Jacobi decoding        all tokens at once from the last guess, until none changes */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "ref/claim.h"

enum { VOCAB = 4, TOKENS = 12, SEQUENCE = 16, BLOCK = 4, BLOCKS = 6 };

#define DECODER "preset=llama frame=decoder head=language pad_is_zero=0 vocab=4 length=16 "
#define TARGET DECODER "layers=2 embed_deviation=1 weight_deviation=1"
#define DRAFT DECODER "layers=1 embed_deviation=1 weight_deviation=1"

/* Logits [1, n, VOCAB] of a sequence. */
static struct claim_pass *logits_of(struct claim *c, struct assay_model *m, const int32_t *ids,
                                    size_t n)
{
    struct assay_batch batch = {1, {{"ids", ASSAY_I32, SHAPE(1, n), ids}}};
    return m ? claim_forward(c, m, &batch) : NULL;
}

static int32_t largest(struct claim *c, tensor logits, size_t row)
{
    int32_t best = 0;
    for (int32_t v = 1; v < VOCAB; v++)
        if (claim_value(c, logits, row * VOCAB + (size_t)v)
            > claim_value(c, logits, row * VOCAB + (size_t)best))
            best = v;
    return best;
}

/* ---- speculative sampling ---- */

struct speculation {
    struct claim *c;
    struct assay_model *target, *draft;
    size_t start;       /* tokens before; two more are asked for */
    int drafted;        /* proposals in a call of the target */
    double temperature; /* that drafts are drawn with, but which the rule doesn't know: 1 */
    double chance[VOCAB][VOCAB], tokens; /* of the two tokens; expected of the first call */
    size_t leaves;
};

/* What the model says comes next: softmax(logits / temperature). */
static bool next(struct claim *c, struct assay_model *m, const int32_t *ids, size_t n,
                 double temperature, double p[VOCAB])
{
    struct claim_pass *pass = logits_of(c, m, ids, n);
    if (!pass)
        return false;
    tape *t = pass->pass.t;
    tensor last = slice(t, pass->output, 1, n - 1, 1);
    tensor y = softmax(t, divide_by(t, last, temperature), 2, TENSOR_NONE, false);
    for (size_t v = 0; v < VOCAB; v++)
        p[v] = claim_value(c, y, v);
    return true;
}

/* Adds up all that can come after ids, which came with this chance: `drafts` more proposals belong to this
 * call of the target. */
static bool follow(struct speculation *s, int32_t *ids, size_t n, int drafts, double chance,
                   int call)
{
    double p[VOCAB], q[VOCAB], drawn[VOCAB], refused = 0, rest = 0;
    if (call > 0 && n >= s->start + 2) {
        s->chance[ids[s->start]][ids[s->start + 1]] += chance;
        s->leaves++;
        return true;
    }
    bool made = next(s->c, s->target, ids, n, 1, p) && next(s->c, s->draft, ids, n, 1, q)
                && next(s->c, s->draft, ids, n, s->temperature, drawn);
    s->tokens += made && call == 0 ? chance : 0;
    for (size_t v = 0; made && v < VOCAB; v++) {
        refused += drawn[v] * (1 - fmin(1, p[v] / q[v]));
        rest += fmax(p[v] - q[v], 0);
    }
    for (int32_t v = 0; made && v < VOCAB; v++) {
        ids[n] = v;
        if (drafts == 0)
            made = follow(s, ids, n + 1, s->drafted, chance * p[v], call + 1);
        else
            made =
                follow(s, ids, n + 1, drafts - 1, chance * drawn[v] * fmin(1, p[v] / q[v]), call);
        if (made && drafts > 0 && p[v] > q[v] && (ids[n] = v, true))
            made = follow(s, ids, n + 1, s->drafted, chance * refused * (p[v] - q[v]) / rest,
                          call + 1);
    }
    return made;
}

static bool speculate(struct claim *c, struct speculation *s, int drafted, double temperature)
{
    int32_t ids[SEQUENCE] = {1, 3, 2};
    *s = (struct speculation){.c = c, .start = 3, .drafted = drafted, .temperature = temperature};
    s->target = claim_model_of(c, NULL, TARGET);
    s->draft = claim_model_of(c, NULL, DRAFT);
    return s->target && s->draft && follow(s, ids, s->start, drafted, 1, 0);
}

/* Largest distance from p(x1) p(x2 | x1). */
static double from_target(struct speculation *s)
{
    int32_t ids[SEQUENCE] = {1, 3, 2};
    double one[VOCAB], two[VOCAB], far = 0;
    if (!next(s->c, s->target, ids, s->start, 1, one))
        return (double)INFINITY;
    for (int32_t v = 0; v < VOCAB; v++) {
        ids[s->start] = v;
        if (!next(s->c, s->target, ids, s->start + 1, 1, two))
            return (double)INFINITY;
        for (int32_t w = 0; w < VOCAB; w++)
            far = fmax(far, fabs(s->chance[v][w] - one[v] * two[w]));
    }
    return far;
}

static void keeps_the_distribution(struct claim *c)
{
    struct speculation s;
    if (!speculate(c, &s, 2, 1))
        return;
    /* A leaf is a product of at most 5 factors, each of 4 roundings and of sums of VOCAB terms; the sum
     * of all is at most 1. */
    double far = from_target(&s), bound = (double)(5 * (4 + VOCAB) + s.leaves) * claim_roundoff(c);
    claim_true(
        c, far <= bound,
        "two tokens over all %zu ways that drafts are kept or refused: p(x1) p(x2 | x1) to %.2g "
        "(bound %.2g)",
        s.leaves, far, bound);
    if (speculate(c, &s, 2, 2)) {
        far = from_target(&s);
        claim_true(c, far > 1e-3,
                   "drafts drawn at another temperature than the rule's q miss it by %.2g", far);
    }
}

/* Greedy decoding; with `call` the target judges `drafted` proposals at once. -> calls of the target */
static size_t greedy(struct claim *c, struct assay_model *target, struct assay_model *draft,
                     size_t drafted, int32_t ids[SEQUENCE])
{
    size_t n = 1, calls = 0;
    for (ids[0] = 1; n < TOKENS; calls++) {
        size_t proposed = n;
        for (size_t i = 0; i < drafted && proposed < TOKENS - 1; i++, proposed++) {
            struct claim_pass *pass = logits_of(c, draft, ids, proposed);
            if (!pass)
                return 0;
            ids[proposed] = largest(c, pass->output, proposed - 1);
        }
        struct claim_pass *pass = logits_of(c, target, ids, proposed);
        if (!pass)
            return 0;
        bool kept = true;
        for (; kept && n <= proposed; n++) {
            int32_t right = largest(c, pass->output, n - 1);
            kept = n < proposed && ids[n] == right;
            ids[n] = right;
        }
    }
    return calls;
}

static void greedy_output_is_the_target_s(struct claim *c)
{
    int32_t plain[SEQUENCE], ids[SEQUENCE];
    struct assay_model *target = claim_model_of(c, NULL, TARGET),
                       *draft = claim_model_of(c, NULL, DRAFT);
    size_t calls = greedy(c, target, target, 0, plain);
    for (size_t drafted = 1; drafted <= 4; drafted++) {
        size_t fewer = greedy(c, target, draft, drafted, ids);
        claim_true(c, fewer && fewer <= calls && memcmp(ids, plain, TOKENS * sizeof *ids) == 0,
                   "%zu drafts of a smaller model: the same %d tokens in %zu calls instead of %zu",
                   drafted, TOKENS - 1, fewer, calls);
        fewer = greedy(c, target, target, drafted, ids);
        size_t least = (TOKENS - 1 + drafted) / (drafted + 1);
        claim_true(c, fewer == least, "the target's own drafts are all kept: %zu calls", fewer);
    }
}

/* ---- other orders of decoding ---- */

static void jacobi_converges(struct claim *c)
{
    int32_t plain[SEQUENCE], guess[SEQUENCE] = {1};
    struct assay_model *m = claim_model_of(c, NULL, TARGET);
    size_t rounds = 0;
    greedy(c, m, m, 0, plain);
    for (bool changed = true; changed && rounds <= TOKENS;) {
        struct claim_pass *pass = logits_of(c, m, guess, TOKENS);
        changed = false;
        for (size_t i = TOKENS; pass && --i > 0;) {
            int32_t right = largest(c, pass->output, i - 1);
            changed |= guess[i] != right;
            guess[i] = right;
        }
        rounds += changed;
    }
    claim_true(c, rounds < TOKENS && memcmp(guess, plain, TOKENS * sizeof *guess) == 0,
               "%d tokens from a blank guess: the greedy ones after %zu rounds", TOKENS - 1,
               rounds);
}

static void companions_do_not_matter(struct claim *c)
{
    struct assay_model *m = claim_model_of(c, NULL, DECODER "layers=2");
    const struct assay_batch *all = m ? claim_batch(c, m, 3, TOKENS, 5) : NULL;
    struct claim_pass *together = all ? claim_forward(c, m, all) : NULL;
    for (size_t s = 0; together && s < 3; s++) {
        size_t n = TOKENS - 3 * s; /* shorter sequences: what comes after is the batch's padding */
        struct claim_pass *alone =
            logits_of(c, m, (const int32_t *)all->input[0].data + s * TOKENS, n);
        tensor row = slice(together->pass.t, together->output, 0, s, 1);
        if (alone)
            claim_equal_bits(c, together->pass.t, slice(together->pass.t, row, 1, 0, n),
                             alone->output, "a sequence in a batch of three, and alone");
    }
}

static void caches_keep_the_function(struct claim *c)
{
    struct assay_model *m = claim_model_of(c, NULL, DECODER "layers=2 heads=4 key_heads=2");
    const struct assay_batch *all = m ? claim_batch(c, m, 2, TOKENS, 6) : NULL;
    struct claim_pass *whole = all ? claim_forward(c, m, all) : NULL;
    struct assay_decode *d = whole ? decode_open(m->kernels, TOKENS) : NULL;
    size_t same = 0, counted = 0;
    for (size_t i = 0; d && i < TOKENS; i++) {
        const int32_t *ids = all->input[0].data, token[2] = {ids[i], ids[TOKENS + i]};
        struct assay_batch one = {1, {{"ids", ASSAY_I32, SHAPE(2, 1), token}}};
        struct assay_pass pass = {.model = m, .t = claim_tape(c), .batch = &one, .decode = d};
        tensor y = pass.t ? model_forward(&pass) : TENSOR_NONE;
        double scale;
        same +=
            y && claim_distance(c, y, slice(whole->pass.t, whole->output, 1, i, 1), &scale) <= 0;
        counted += decode_bytes(d)
                   == 2 * m->config.layers * m->config.key_heads * m->config.head_width * (i + 1)
                          * 2 * m->kernels->element;
    }
    decode_close(d);
    claim_true(c, same == TOKENS, "%zu of %d rows by a cache are those of the whole", same, TOKENS);
    claim_true(c, counted == TOKENS, "2 L h_kv d_h s b numbers after each of %zu tokens", counted);
}

/* ---- where keys and values stand ---- */

enum { HEADS = 2, WIDTH = 4, ROW = HEADS * WIDTH };

struct pool {
    double row[BLOCKS * BLOCK * ROW];
    int owners[BLOCKS];
};

/* Attention of one query to the n tokens that a block table finds in the pool. */
static tensor paged(struct claim *c, tape *t, const struct pool *pool, const int *table, size_t n)
{
    int32_t place[BLOCKS * BLOCK];
    for (size_t i = 0; i < n; i++)
        place[i] = (int32_t)((size_t)table[i / BLOCK] * BLOCK + i % BLOCK);
    tensor rows = claim_values(c, t, SHAPE(1, BLOCKS * BLOCK, ROW), pool->row);
    tensor index = tape_input_i32(t, SHAPE(1, n), place);
    tensor key = reshape(t, take(t, rows, index), SHAPE(1, n, HEADS, WIDTH));
    tensor query = claim_random(c, t, SHAPE(1, 1, HEADS, WIDTH), 1);
    return attention(t, query, key, scale(t, key, 0.5), &(struct attention_options){0});
}

static void write_token(struct pool *pool, const int *table, size_t i, double salt)
{
    for (size_t j = 0; j < ROW; j++)
        pool->row[((size_t)table[i / BLOCK] * BLOCK + i % BLOCK) * ROW + j] =
            (double)((7 * i + 3 * j + 5) % 11) / 8 - salt;
}

static void pages_keep_the_function(struct claim *c)
{
    static const int orders[][3] = {{0, 1, 2}, {2, 0, 1}, {5, 3, 1}, {4, 2, 0}};
    enum { N = 10 };
    tape *t = claim_tape(c);
    tensor first = TENSOR_NONE;
    for (size_t k = 0; t && k < sizeof orders / sizeof *orders; k++) {
        struct pool pool = {{0}, {0}};
        for (size_t i = 0; i < N; i++)
            write_token(&pool, orders[k], i, 0);
        tensor y = paged(c, t, &pool, orders[k], N);
        first = k ? first : y;
        claim_equal_bits(c, t, first, y, "blocks in order, and elsewhere in the pool");
    }
}

/* Two sequences share 10 tokens in 3 blocks; the second changes its last one. */
static void forks_are_isolated(struct claim *c)
{
    enum { N = 10 };
    tape *t = claim_tape(c);
    for (int copies = 1; t && copies >= 0; copies--) {
        struct pool pool = {{0}, {2, 2, 2}};
        int parent[3] = {0, 1, 2}, fork[3] = {0, 1, 2};
        for (size_t i = 0; i < N; i++)
            write_token(&pool, parent, i, 0);
        tensor before = paged(c, t, &pool, parent, N);
        if (copies && pool.owners[fork[2]] > 1) {
            memcpy(&pool.row[3 * BLOCK * ROW], &pool.row[2 * BLOCK * ROW],
                   BLOCK * ROW * sizeof *pool.row);
            pool.owners[2]--;
            fork[2] = 3;
        }
        write_token(&pool, fork, N - 1, 1);
        tensor after = paged(c, t, &pool, parent, N);
        if (copies)
            claim_equal_bits(c, t, before, after, "a sequence before and after its fork wrote");
        else
            claim_differs(c, before, after, 1000, "without copy on write");
    }
}

static void sinks_that_see_all(struct claim *c)
{
    enum { N = 12, SINKS = 4 };
    tape *t = claim_tape(c);
    tensor x = t ? claim_random(c, t, SHAPE(1, N, HEADS, WIDTH), 3) : TENSOR_NONE;
    struct attention_options o = {.causal = true};
    tensor full = attention(t, x, x, x, &o);
    for (size_t w = N; x && w >= 4; w -= 4) {
        int32_t sees[N * N];
        for (size_t i = 0; i < N; i++)
            for (size_t j = 0; j < N; j++)
                sees[i * N + j] = j <= i && (j < SINKS || i - j < w);
        o.allowed = tape_input_i32(t, SHAPE(1, 1, N, N), sees);
        tensor y = attention(t, x, x, x, &o);
        if (w >= N - SINKS)
            claim_equal_bits(c, t, full, y, "a window that reaches the sinks, and full attention");
        else
            claim_differs(c, full, y, 1000, "a shorter window");
    }
}

/* ---- what a call yields ---- */

static double formula(double a, int drafted)
{
    double power = 1, sum = 0;
    for (int i = 0; i <= drafted; i++, power *= a)
        sum += power;
    return sum;
}

/* With one rate for every position the sum over how many are kept is the closed form. */
static void expected_tokens(struct claim *c)
{
    for (int drafted = 1; drafted <= 8; drafted++) {
        double a = 0.7, all = 1, expected = 0;
        for (int kept = 0; kept <= drafted; kept++, all *= a)
            expected += (kept + 1) * all * (kept < drafted ? 1 - a : 1);
        double closed = (1 - all) / (1 - a);
        claim_true(c,
                   fabs(expected - closed) <= 4 * (drafted + 2) * closed * claim_roundoff(c)
                       && fabs(formula(a, drafted) - closed)
                              <= 4 * (drafted + 2) * closed * claim_roundoff(c),
                   "%d drafts kept with 0.7: %.6g tokens a call", drafted, closed);
    }
}

static void measure_tokens(struct claim *c, struct measured *m)
{
    for (int rate = 5; rate <= 9; rate++)
        for (int drafted = 1; drafted <= 8; drafted++) {
            char name[32];
            snprintf(name, sizeof name, "kept %.1f", rate / 10.0);
            m->row(m->sink, name, (const double[]){drafted, formula(rate / 10.0, drafted)});
        }
    for (int drafted = 1; drafted <= 3; drafted++) {
        struct speculation s;
        if (speculate(c, &s, drafted, 1))
            m->row(m->sink, "two models here", (const double[]){drafted, s.tokens});
    }
}

/* clang-format off */
const struct assay_variant assay_variant_survey_ai_accelerators = {
    .id = "survey_ai_accelerators",
    .title = "Inference Optimization of Foundation Models on AI Accelerators",
    .authors = "Park et al. 2024",
    .idea = "A tutorial: how transformers are served fast, and which of its techniques leave the function as it is.",
    .equations = "keep x ~ q with min(1, p(x) / q(x)), else draw from max(p - q, 0);  tokens a call = (1 - a^(g+1)) / (1 - a)\n"
                 "decode time >= (bytes of weights + 2 L h_kv d_h s b beta) / bandwidth",
    .source = {"arXiv:2407.09111", NULL, "abstract and outline", CONFIDENCE_MEDIUM},
    .kind = KIND_SURVEY, .family = "systems", .replaces = "nothing",
    .claims = (const struct variant_claim[]){
        {CLAIM_EXHAUSTIVE, "speculative sampling keeps the target's distribution", keeps_the_distribution, 0},
        {CLAIM_IDENTITY, "greedy speculation gives the target's greedy tokens", greedy_output_is_the_target_s, 0},
        {CLAIM_COUNT, "a call yields (1 - a^(g+1)) / (1 - a) tokens", expected_tokens, 0},
        {CLAIM_IDENTITY, "paged attention has the bits of contiguous attention", pages_keep_the_function, 0},
        {CLAIM_NEGATIVE, "copy on write isolates forks", forks_are_isolated, 0},
        {CLAIM_IDENTITY, "continuous batching: companions change no bit", companions_do_not_matter, 0},
        {CLAIM_COUNT, "decoding by a cache is the full pass, in 2 L h_kv d_h s b numbers", caches_keep_the_function, 0},
        {CLAIM_IDENTITY, "sinks and a window that reaches them are full attention", sinks_that_see_all, 0},
        {CLAIM_IDENTITY, "Jacobi decoding ends at the greedy tokens in at most n rounds", jacobi_converges, 0},
        {0}},
    .measurements = (const struct variant_measurement[]){
        {"speculation", "Expected tokens for a call of the target against the number of drafts: the formula, and two models here over all outcomes",
         (const char *const[]){"drafts", "drafts a call", "tokens a call", NULL}, measure_tokens, 1, LOG_NEITHER},
        {0}},
    .untested = "What is said of accelerators (throughput, overlap of communication, disaggregated prefill) needs them. The papers "
                "it collects have files of their own: attention in tiles, split keys, experts, state spaces.",
};
/* clang-format on */

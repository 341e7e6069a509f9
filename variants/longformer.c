/* SPDX-License-Identifier: Apache-2.0 */
/* Longformer: attention in a sliding window, plus a few global tokens, with projections of their
 * own, that see all and are seen by all.
 * Beltagy et al. 2020, arXiv:2004.05150; form=paper by the authors' code (allenai/longformer,
 * sliding_chunks), dilation and causality by the paper; form=lra by google-research/long-range-arena
 * (longformer_attention.py).
 *
 *     y_i = softmax(q_i k_j / sqrt(w)) v_j over j in N(i) and G, each key once, i not in G
 *     N(i) = { j : |i - j| <= a D, (i - j) mod D = 0 }, a = window / 2; causal: j <= i, no G
 *     y_i = softmax(q'_i k'_j / sqrt(w)) v'_j over all j, i in G         q' = x W', k', v' likewise
 *
 * Replaces the mixer; O(n (window + |G|)). G: the tokens that a stream "global" (i32 [b, n]) marks,
 * else the first `global` ones (CLS, a question). Where D = 1 and there is no G the band is
 * attention's own window; else blocks of a D keys are gathered behind the global ones.
 * form=paper: rows of padding are zero. form=lra: an even window
 * has window / 2 tokens to the right, one less to the left and the token itself; the benchmark
 * passes no G, and its global projections have no effect; rows of padding are uniform (zero where a
 * stream marks G). Deviations: one window for all layers (the paper's grows from layer to layer in
 * the character models, whose list it leaves to its tables); W' starts apart from W, not as its
 * copy; attention_dropout is not applied. Left out: copying positions side by side for longer
 * inputs, training in stages of growing windows, and the authors' third mode,
 * sliding_chunks_no_overlap, whose chunks see their neighbours whole. */
#include <string.h>

#include "ref/parts/blocks.h"
#include "variants/outside.h"

enum { WINDOW, DILATION, DILATED_HEADS, GLOBAL, FORM };

static bool lra(const struct assay_config *c)
{
    return c->hyper[FORM] > 0;
}

/* Tokens that a head's query sees on either side, and how far apart they are. */
struct band {
    size_t left, right, dilation, straight; /* straight: heads without dilation come first */
};

static struct band band_of(const struct assay_config *c, bool causal)
{
    size_t window = (size_t)c->hyper[WINDOW], dilated = (size_t)c->hyper[DILATED_HEADS],
           right = window / 2;
    return (struct band){.left = lra(c) ? window - right - 1 : right,
                         .right = causal ? 0 : right,
                         .dilation = (size_t)c->hyper[DILATION],
                         .straight = c->heads - dilated};
}

static bool in_band(const void *pattern, size_t head, size_t query, size_t key)
{
    const struct band *b = pattern;
    size_t step = head < b->straight ? 1 : b->dilation;
    size_t far = query > key ? query - key : key - query;
    return far % step == 0 && far / step <= (query > key ? b->left : b->right);
}

/* ---- global tokens ---- */

struct globals {
    size_t most;    /* of one sample; 0: none, and the rest is NONE */
    tensor row;     /* i32 [b most], in [b n] */
    tensor present; /* i32 [b, most]: 0 where a sample has fewer */
    tensor local;   /* i32 [b, n]: neither global nor padding */
};

static struct globals globals_of(layer *l, size_t samples, size_t n)
{
    tape *t = l->t;
    struct globals g = {0, TENSOR_NONE, TENSOR_NONE, TENSOR_NONE};
    /* On a dry tape flags have no data yet. */
    const int32_t *valid = t->dry ? NULL : ids_of(l->context->valid),
                  *marked = t->dry ? NULL : ids_of(stream_get(l, "global"));
    size_t first = lra(config_of(l)) ? 0 : hyper_n(l, "global"), all = samples * n;
    bool none = l->context->causal || (!marked && first == 0);
    int32_t *global = none ? NULL : tape_allocate(t, 4 * all * sizeof *global);
    if (!global)
        return g;
    int32_t *local = global + all, *row = local + all, *present = row + all;
    memset(row, 0, 2 * all * sizeof *row);
    for (size_t e = 0, count = 0; e < all; e++) {
        bool is = !valid || valid[e];
        global[e] = is && (marked ? marked[e] != 0 : e % n < first);
        local[e] = is && !global[e];
        count = (e % n ? count : 0) + (size_t)global[e];
        g.most = count > g.most ? count : g.most;
    }
    for (size_t e = 0, count = 0; e < all; e++) {
        count = e % n ? count : 0;
        if (global[e]) {
            size_t at = e / n * g.most + count++;
            row[at] = (int32_t)e;
            present[at] = 1;
        }
    }
    if (g.most == 0)
        return g;
    g.row = tape_input_i32(t, SHAPE(samples * g.most), row);
    g.present = tape_input_i32(t, SHAPE(samples, g.most), present);
    g.local = tape_input_i32(t, SHAPE(samples, n), local);
    return g;
}

/* x [b, n, ..] -> [b, most, ..]: the global tokens' rows */
static tensor global_rows(tape *t, tensor x, const struct globals *g)
{
    if (!x)
        return TENSOR_NONE;
    size_t b = dim_of(x, 0), n = dim_of(x, 1);
    struct assay_shape shape = x->shape;
    shape.dim[1] = g->most;
    tensor y = gather_rows(t, reshape(t, x, SHAPE(b * n, elements_of(x) / (b * n))), g->row);
    return reshape(t, y, shape);
}

/* Global tokens see all tokens, through projections of their own; other rows are +0.
 * x [b, n, d] -> [b, n, h, w] */
static tensor from_everywhere(layer *l, tensor x, const struct globals *g)
{
    tape *t = l->t;
    const struct assay_config *c = config_of(l);
    size_t inner = c->heads * c->head_width, b = dim_of(x, 0), n = dim_of(x, 1);
    tensor q = project(l, "query_global", global_rows(t, x, g));
    tensor k = project(l, "key_global", x), v = project(l, "value_global", x);
    struct attention_options o = {.key_valid = l->context->valid,
                                  .query_valid = g->present,
                                  .scale = c->scale_scores ? 0 : 1};
    tensor y = attention(t, q, k, v, &o);
    y = reshape(t, y, SHAPE(b * g->most, inner));
    return reshape(t, scatter_add_rows(t, b * n, g->row, y), SHAPE(b, n, c->heads, c->head_width));
}

/* Declares the global projections that nothing passes through. */
static void unused_projections(layer *l, size_t width)
{
    static const char *const names[] = {"query_global", "key_global", "value_global"};
    const struct assay_config *c = config_of(l);
    for (int i = 0; i < 3; i++) {
        size_t mark = layer_enter(l, "%s", names[i]);
        linear_weight(l, width, c->heads * c->head_width);
        if (c->attention_bias)
            linear_bias(l, width, c->heads * c->head_width);
        layer_leave(l, mark);
    }
}

/* ---- the window ---- */

/* Attention's own window. query [b, n, h, w], key and value, cached in decoding, [b, n_k, h, w] */
static tensor by_window(layer *l, const struct heads *h, struct band band)
{
    const struct assay_context *x = l->context;
    struct attention_options o = {.scale = config_of(l)->scale_scores ? 0 : 1,
                                  .windowed = true,
                                  .left = band.left,
                                  .right = band.right,
                                  .first = x->first,
                                  .keys = x->decode ? x->first + x->length : 0,
                                  .uniform_if_empty =
                                      lra(config_of(l)) && config_of(l)->pad_is_zero,
                                  .key_valid = x->valid,
                                  .query_valid = x->valid};
    return attention(l->t, h->query, h->key, h->value, &o);
}

/* Blocks as long as the band's longer side, their neighbours, and global tokens in front; global
 * tokens ask nothing and are no keys of blocks. */
static tensor by_blocks(layer *l, const struct heads *h, struct band band, const struct globals *g)
{
    tape *t = l->t;
    size_t n = dim_of(h->query, 1), heads = dim_of(h->query, 2);
    size_t reach = (band.left > band.right ? band.left : band.right) * band.dilation;
    struct band *pattern = tape_allocate(t, sizeof *pattern);
    struct block_pattern p = {.sees = in_band, .pattern = pattern};
    p.size = reach == 0 ? 1 : reach < n ? reach : n;
    p.heads = band.dilation > 1 ? heads : 1;
    size_t blocks = (n + p.size - 1) / p.size, before = band.left > 0, after = band.right > 0;
    p.seen = before + 1 + after;
    size_t each = blocks * p.seen;
    const int32_t *row = neighbour_blocks(t, blocks, before, after);
    int32_t *index = tape_allocate(t, p.heads * each * sizeof *index);
    if (!pattern || !row || !index)
        return TENSOR_NONE;
    for (size_t i = 0; i < p.heads * each; i++)
        index[i] = row[i % each];
    *pattern = band;
    p.index = index;
    tensor valid = l->context->valid;
    if (g->most > 0) {
        p.front_key = global_rows(t, h->key, g);
        p.front_value = global_rows(t, h->value, g);
        p.front_valid = g->present;
        valid = g->local;
    }
    struct attention_options o = {.query_valid = valid,
                                  .scale = config_of(l)->scale_scores ? 0 : 1};
    return block_attention(t, h->query, h->key, h->value, &p, valid, &o);
}

/* x: [b, n, d] -> heads side by side [b, n, h w] */
tensor longformer_attended(layer *l, tensor x)
{
    const struct assay_config *c = config_of(l);
    struct heads h = project_heads(l, x, TENSOR_NONE);
    if (!h.query || !h.key || !h.value)
        return TENSOR_NONE;
    struct globals g = globals_of(l, dim_of(x, 0), dim_of(x, 1));
    struct band band = band_of(c, l->context->causal);
    bool straight = band.dilation == 1 || band.straight == c->heads;
    if (!straight && l->context->decode) {
        tape_fail(l->t, "longformer", "expected dilation 1 to decode, got %zu", band.dilation);
        return TENSOR_NONE;
    }
    if (lra(c) && g.most == 0)
        unused_projections(l, width_of(x));
    tensor y = g.most == 0 && straight ? by_window(l, &h, band) : by_blocks(l, &h, band, &g);
    if (g.most > 0)
        y = add(l->t, y, from_everywhere(l, x, &g));
    return merge_heads(l, y);
}

/* x: [b, n, d] -> [b, n, d]; between two sequences attention stays as it is. */
static tensor longformer(layer *l, tensor x, tensor memory)
{
    if (memory)
        return assay_reference_slots.mixer(l, x, memory);
    tensor y = longformer_attended(l, x);
    return apply_linear(l, "output", y, config_of(l)->stream, config_of(l)->output_bias);
}

/* ---- claims ---- */

enum { N = 12, HEADS = 2, WIDTH = 4 };

#define SMALL "length=12 layers=1 width=8 heads=2 pad_is_zero=0 "

/* The band, and the columns of global tokens, whose own rows ask nothing here. */
static bool in_band_or_global(const struct claim_alone *a, const void *about, size_t head, size_t i,
                              size_t j)
{
    bool causal = a->l.context->causal;
    struct band band = band_of(config_of(&a->l), causal);
    size_t globals = causal || lra(config_of(&a->l)) ? 0 : hyper_n(&a->l, "global");
    (void)about;
    return i >= globals && (j < globals || in_band(&band, head, i, j));
}

static tensor alone_in_blocks(layer *l, const struct heads *h)
{
    struct globals g = globals_of(l, dim_of(h->query, 0), dim_of(h->query, 1));
    return by_blocks(l, h, band_of(config_of(l), l->context->causal), &g);
}

static tensor alone_in_window(layer *l, const struct heads *h)
{
    return by_window(l, h, band_of(config_of(l), l->context->causal));
}

/* Explicit attention under the n x n mask "band, or column of a global token, or row of one". */
static tensor under_a_mask(struct claim_alone *a, const struct heads *h, size_t globals)
{
    struct band band = band_of(config_of(&a->l), a->l.context->causal);
    int32_t allowed[HEADS * N * N];
    for (size_t e = 0; e < HEADS * N * N; e++) {
        size_t i = e / N % N, j = e % N;
        allowed[e] = in_band(&band, e / (N * N), i, j) || i < globals || j < globals;
    }
    struct attention_options o = {.explicit_form = true};
    o.allowed = tape_input_i32(a->t, SHAPE(1, HEADS, N, N), allowed);
    return attention(a->t, h->query, h->key, h->value, &o);
}

/* Scores are the same chains. Two sums of at most 12 terms run in another order, that of the weights
 * and that of the weighted values: 12 roundings of the largest value each, in either form. */
static void close_to(struct claim *c, tensor one, tensor two, tensor value, const char *what)
{
    claim_close(c, one, two, 2 * (N + N), claim_largest(c, value), what);
}

static struct heads projected_globally(struct claim_alone *a)
{
    struct heads h;
    h.query = project(&a->l, "query_global", a->x);
    h.key = project(&a->l, "key_global", a->x);
    h.value = project(&a->l, "value_global", a->x);
    return h;
}

static void one_softmax_over_band_and_globals(struct claim *c)
{
    static const char *const overrides[] = {SMALL "window=6 global=1 dilation=3 dilated_heads=2",
                                            SMALL "window=4 global=2 dilation=2 dilated_heads=1",
                                            SMALL "window=4 global=2"};
    struct claim_alone a;
    struct heads h, all;
    for (int i = 0; i < 3 && claim_alone(c, &a, overrides[i], 0); i++) {
        size_t globals = hyper_n(&a.l, "global");
        tensor y = split_heads(&a.l, longformer_attended(&a.l, a.x), HEADS), part[2];
        h = project_heads(&a.l, a.x, TENSOR_NONE);
        all = projected_globally(&a);
        tensor whole = attention(a.t, all.query, all.key, all.value, NULL);
        tensor window = under_a_mask(&a, &h, globals);
        part[0] = slice(a.t, whole, 1, 0, globals);
        part[1] = slice(a.t, window, 1, globals, N - globals);
        close_to(c, y, concat(a.t, 1, 2, part), h.value, overrides[i] + sizeof SMALL - 1);
    }
    struct globals g = globals_of(&a.l, 1, N);
    struct band band = band_of(config_of(&a.l), false);
    tensor once = slice(a.t, by_blocks(&a.l, &h, band, &g), 1, 2, 2);
    g.local = TENSOR_NONE;
    tensor twice = slice(a.t, by_blocks(&a.l, &h, band, &g), 1, 2, 2);
    claim_differs(c, once, twice, 1000, "a global token that is also in the window");
    h.value = tape_filled(a.t, h.value->shape, 1);
    tensor sums = by_blocks(&a.l, &h, band, &g);
    close_to(c, sums, h.value, h.value, "weights of a row sum to 1");
}

static void blocks_equal_the_band(struct claim *c)
{
    static const char *const overrides[] = {SMALL "window=4 global=0",
                                            SMALL "window=7 global=0 scale_scores=0",
                                            SMALL "form=lra window=4",
                                            SMALL "form=lra window=5",
                                            SMALL "form=lra window=1",
                                            SMALL "window=4 global=2",
                                            SMALL "window=4 global=2 dilation=2 dilated_heads=1"};
    static const struct claim_mask own = {.name = "the window",
                                          .mixed = alone_in_window,
                                          .sees = in_band_or_global,
                                          .bits = true},
                                   blocks = {.name = "blocks",
                                             .mixed = alone_in_blocks,
                                             .sees = in_band_or_global};
    for (int k = 0; k < 7; k++) {
        claim_meets_mask(c, overrides[k], &blocks);
        if (k < 5)
            claim_meets_mask(c, overrides[k], &own);
    }
}

static void limits_are_full_attention(struct claim *c)
{
    static const char *const wide[] = {"length=12 layers=1 pad_is_zero=0 window=24 global=0",
                                       "length=12 layers=1 pad_is_zero=1 window=24 form=lra"};
    for (int i = 0; i < 2; i++) {
        struct claim_pass *own = claim_output(c, c->variant, wide[i]),
                          *plain = claim_output(c, NULL,
                                                i ? "length=12 layers=1"
                                                  : "length=12 layers=1 pad_is_zero=0");
        if (plain && own)
            claim_equal_bits(c, plain->pass.t, plain->output, own->output,
                             "no global token, a window of 2 n, and the reference");
    }
    struct claim_alone a;
    if (!claim_alone(c, &a, SMALL "window=4 global=12", 0))
        return;
    tensor y = split_heads(&a.l, longformer_attended(&a.l, a.x), HEADS);
    struct heads h = projected_globally(&a);
    tensor whole = attention(a.t, h.query, h.key, h.value, NULL);
    claim_equal_bits(c, a.t, y, whole, "all tokens global, and attention with W'");
}

static void shared_projections_are_a_mask(struct claim *c)
{
    static const char *const names[] = {"query", "key", "value"};
    struct claim_alone a;
    if (!claim_alone(c, &a, SMALL "window=4 global=2", 0))
        return;
    struct assay_model *m = a.pass->pass.model;
    for (int i = 0; i < 6; i++) {
        const char *part = i % 2 ? "bias" : "weight";
        const char *ours = tape_string(a.t, "block.0.mixer.%s.%s", names[i / 2], part);
        const char *theirs = tape_string(a.t, "block.0.mixer.%s_global.%s", names[i / 2], part);
        model_store(m, theirs, model_tensor(m, a.t, ours));
    }
    struct heads h = project_heads(&a.l, a.x, TENSOR_NONE);
    tensor y = split_heads(&a.l, longformer_attended(&a.l, a.x), HEADS);
    close_to(c, y, under_a_mask(&a, &h, 2), h.value, "band or global row or global column");
}

/* Token 11 is changed below `layers` layers: how many tokens' outputs are the same. */
static size_t unaffected(struct claim *c, const char *overrides, int layers)
{
    struct claim_alone a;
    if (!claim_alone(c, &a, overrides, 0))
        return SIZE_MAX;
    tensor part[2];
    part[0] = slice(a.t, a.x, 1, 0, N - 1);
    part[1] = claim_random(c, a.t, SHAPE(1, 1, HEADS * WIDTH), 2);
    tensor x = a.x, z = concat(a.t, 1, 2, part);
    for (int i = 0; i < layers; i++) {
        x = longformer(&a.l, x, TENSOR_NONE);
        z = longformer(&a.l, z, TENSOR_NONE);
    }
    size_t same = 0;
    for (size_t i = 0; i < N; i++) {
        double scale;
        tensor one = slice(a.t, x, 1, i, 1), two = slice(a.t, z, 1, i, 1);
        if (claim_distance(c, one, two, &scale) <= 0)
            same++;
    }
    return same;
}

static void receptive_field(struct claim *c)
{
    for (int layers = 1; layers <= 2; layers++) {
        size_t same = unaffected(c, SMALL "window=4 global=0", layers),
               reach = layers == 1 ? 2u : 4u;
        claim_true(c, same == N - 1 - reach, "window of 4, %d layers: a token reaches %zu others",
                   layers, N - 1 - same);
    }
    size_t same = unaffected(c, SMALL "window=2 global=0 dilation=3 dilated_heads=2", 2);
    claim_true(c, same == N - 1 - 2, "dilation 3: steps of 3, %zu unaffected", same);
    same = unaffected(c, SMALL "window=4 global=1", 2);
    claim_true(c, same == 0, "with a global token two layers connect all, %zu unaffected", same);
}

#define ONE "length=64 layers=1 width=2 heads=1 pad_is_zero=0 "

static void cost_is_linear(struct claim *c)
{
    uint64_t count[3] = {0};
    for (size_t i = 0; i < 3; i++) {
        struct claim_alone a;
        if (!claim_alone(c, &a, ONE "window=8 global=1", (size_t)1024 << i))
            return;
        longformer_attended(&a.l, a.x);
        count[i] = a.t->counts.multiply_adds;
    }
    /* n (8 w^2) and n (a few pairs): all in n but the window's ends. */
    double slope = (double)(count[2] - count[1]) / (double)(count[1] - count[0]);
    claim_true(c, slope == 2, "from n = 1024 to 2048 to 4096 multiply-adds grow by %llu and %llu",
               (unsigned long long)(count[1] - count[0]),
               (unsigned long long)(count[2] - count[1]));
}

/* ---- descriptor ---- */

static size_t globals_in(const struct assay_config *c)
{
    return c->frame == FRAME_DECODER || lra(c) ? 0 : (size_t)c->hyper[GLOBAL];
}

static double extra_parameters(const struct assay_config *c)
{
    double inner = (double)(c->heads * c->head_width), layers = (double)c->layers;
    bool has = lra(c) || globals_in(c) > 0;
    return has ? layers * 3 * inner * ((double)c->width + (c->attention_bias ? 1 : 0)) : 0;
}

/* Pairs of n tokens, of which g are global, that a head's window and global columns see. */
static double pairs(const struct band *b, size_t head, size_t n, size_t g)
{
    size_t step = head < b->straight ? 1 : b->dilation, sum = 0;
    for (size_t i = g; i < n; i++) {
        size_t before = (i - g) / step, after = (n - 1 - i) / step;
        sum +=
            g + 1 + (before < b->left ? before : b->left) + (after < b->right ? after : b->right);
    }
    return (double)sum;
}

static double multiply_adds(const struct assay_config *c, size_t n)
{
    struct band b = band_of(c, c->frame == FRAME_DECODER);
    double d = (double)c->width, w = (double)c->head_width, inner = (double)c->heads * w,
           m = (double)n, sum = 4 * m * d * inner;
    size_t g = globals_in(c) < n ? globals_in(c) : n;
    for (size_t head = 0; head < c->heads; head++)
        sum += 2 * w * pairs(&b, head, n, g);
    double global = (double)g;
    return g > 0 ? sum + (2 * m + global) * d * inner + 2 * inner * global * m : sum;
}

static const char *legal(const struct assay_config *c)
{
    if ((size_t)c->hyper[DILATED_HEADS] > c->heads)
        return "dilated_heads: expected at most heads";
    return lra(c) && c->hyper[DILATION] > 1 ? "dilation: expected 1 where form=lra" : NULL;
}

/* clang-format off */
const struct assay_variant assay_variant_longformer = {
    .id = "longformer",
    .title = "Longformer: The Long-Document Transformer",
    .authors = "Beltagy et al. 2020",
    .idea = "A sliding window for every token, and a few global tokens with projections of their "
            "own that see all and are seen by all: O(n w).",
    .equations = "y_i = softmax(q_i k_j / sqrt(w)) v_j over the window and G; for i in G over all, "
                 "with q', k', v'",
    .source = {"arXiv:2004.05150", "allenai/longformer",
               "the authors' code; form=lra by google-research/long-range-arena",
               CONFIDENCE_HIGH},
    .kind = KIND_VARIANT, .family = "sparse-attention", .replaces = "mixer",
    .slot = {.mixer = longformer},
    .hypers = (const struct variant_hyper[]){
        {"window", "tokens of the window, both sides", 512, 4, AT_LEAST_1},
        {"dilation", "gap between the window's tokens", 1, 1, AT_LEAST_1},
        {"dilated_heads", "heads with dilation, the last ones", 2, 1, NOT_NEGATIVE},
        {"global", "global tokens, the first ones (bidirectional, form=paper)", 1, 1, NOT_NEGATIVE},
        {"form", "lra: the benchmark's window, no global tokens", 0, 0, PAPER_OR_LRA},
        {0}},
    .settings = (const struct variant_setting[]){
        {"default", "preset=pre_ln"},
        {"causal", "preset=pre_ln frame=decoder head=language pad_is_zero=0"},
        {"dilated", "preset=pre_ln dilation=2 global=2"},
        {"lra", "preset=pre_ln form=lra"},
        {0}},
    .forms = (const struct variant_form[]){
        {"parallel", "", false, FORM_BITS, 0, NULL},
        {"decode", "", true, FORM_BITS, 0, "the window of the newest token, over cached keys"},
        {0}},
    .properties = (const struct variant_property[]){
        {PROPERTY_CAUSAL, HOLDS_BITS, 0, "frame=decoder head=language", "the window ends at i"},
        {PROPERTY_SAMPLE_INDEPENDENT, HOLDS_BITS, 0, NULL, "sums run within a sample"},
        {PROPERTY_PERMUTATION_EQUIVARIANT, HOLDS_NO, 0, "position=none frame=encoder",
         "windows know positions"},
        {PROPERTY_DIFFERENTIABLE, HOLDS_ROUNDING, 0, NULL, NULL},
        {0}},
    .claims = (const struct variant_claim[]){
        {CLAIM_IDENTITY, "no global token and a wide window, or all tokens global, is attention",
         limits_are_full_attention, 0},
        {CLAIM_IDENTITY, "one softmax over window and global tokens, each key once",
         one_softmax_over_band_and_globals, 0},
        {CLAIM_IDENTITY, "chunks of keys compute the band", blocks_equal_the_band, 0},
        {CLAIM_IDENTITY, "a token reaches L a D others, or all in two layers by a global token",
         receptive_field, 0},
        {CLAIM_COUNT, "multiply-adds are linear in n", cost_is_linear, 0},
        {CLAIM_IDENTITY, "with W' = W the mask is band, global row or global column",
         shared_projections_are_a_mask, 0},
        {CLAIM_OUTSIDE, "the authors' layers, padded and with global tokens; the benchmark's "
         "layers and encoder", outside_meets_sections, 0},
        {0}},
    .outside = outside_longformer,
    .untested = "Accuracies of the Long Range Arena (35.63, 62.85, 56.89, 42.22, 69.71) and bits per "
                "character (1.00, 1.10) need the full-size runs. That the mixer has 7 d^2 weights "
                "follows from the formula of its parameters.",
    .needs = NEEDS_KEYS_PER_HEAD | NEEDS_NO_BIAS, .legal = legal,
    .extra_parameters = extra_parameters,
    .mixer_multiply_adds = multiply_adds,
    .grows = {1, 1, "section 3.1: O(n w), and O(n) for the global tokens"},
};
/* clang-format on */

/* SPDX-License-Identifier: Apache-2.0 */
/* Reformer: queries are their own keys, are hashed into buckets by random rotations, sorted by
 * bucket, and see their bucket in their own chunk and the one before; residual layers are reversible.
 * Kitaev et al. 2020, arXiv:2001.04451; form=paper by the paper (sections 2 and 3), its ends (streams
 * side by side, then the norm) and its padding by google/trax, with lucidrains/reformer-pytorch as
 * witness; form=lra by google-research/long-range-arena (reformer_attention.py).
 *
 *     k_j = q_j / |q_j|,  h_t(q) = argmax [q R_t; -q R_t],  R_t: [w, b / 2], normal; b for padding
 *     P_t(i): j sorted by (h_t(q_j), j) into the chunk of i or the one before, h_t(q_j) = h_t(q_i),
 *             j != i, neither is padding, j <= i if causal
 *     s_ij = q_i k_j / sqrt(w) - log N_ij,  N_ij: rounds t with j in P_t(i) but for causality
 *     z_i^t = log sum_{j in P_t(i)} exp(s_ij),  o_i^t = sum exp(s_ij - z_i^t) v_j
 *     o_i = sum_t softmax_t(z_i^t) o_i^t,  or v_i if no P_t(i) has a key
 *     y1 = x1 + mixer(norm x2), y2 = x2 + ffn(norm y1), x1 = x2 = x; at the end [y1; y2]
 *
 * Replaces the mixer and the stack; O(n rounds chunk). recomputed=1: activations are recomputed from
 * [y1; y2], hashes are kept.
 * The authors' code is the setting authors_code: no bucket's mask (within=0: the first chunk sees the
 * last, with round t's first that is round t - 1's last), no N (counted=0) and no scale
 * (scale_scores=0, with its 1e-6 beside the mean square of q_j). within=0 counted=1 is the port's: a
 * pair that only meets where rounds touch has N = 0, whose log is log 1e-9.
 * form=lra: b chunks, so n^2 / b; keys are queries, times sqrt(w); no mask, nor of padding; no output
 * projection; n is filled with zeros to more than a multiple of `chunk`; heads [h, n, w] are read as
 * [n, h w]; residuals are plain.
 * Deviations: rotations are drawn once for each layer (trax: for each head and sample, at every step;
 * the benchmark: the same for all layers). trax gives a token's logit for itself -1e5, which in
 * binary32 spoils the weights of a row that has nothing else: here the limit stands. With within=1
 * the first chunk has none before it (the port's sees the last one of a single round, if one bucket
 * fills all between). Padding is not hashed (the port's is, and moves the others). An encoder ends as
 * trax's language model does (trax's encoder takes the streams' mean). One argmax for all buckets
 * (the paper's longest inputs hash with two factors); attention_dropout is not applied; feed-forward
 * layers are not split into chunks, which no bit of the output shows. */
#include <stdio.h>
#include <string.h>

#include "ref/arith.h"
#include "ref/parts/buckets.h"
#include "variants/outside.h"

enum { BUCKETS, ROUNDS, CHUNK, WITHIN, COUNTED, RESIDUAL, RECOMPUTED, FORM };

static bool lra(const struct assay_config *c)
{
    return c->hyper[FORM] > 0;
}

static bool reversible(const struct assay_config *c)
{
    return c->hyper[RESIDUAL] <= 0;
}

/* ---- hashing ---- */

/* n tokens are filled up to `all`, in chunks of `size`. */
static struct sorted chunks_of(const struct assay_config *c, size_t n)
{
    size_t chunk = (size_t)c->hyper[CHUNK], all = n + chunk - n % chunk;
    if (lra(c))
        return (struct sorted){.all = all, .size = all / (size_t)c->hyper[BUCKETS]};
    chunk = chunk < n ? chunk : n;
    return (struct sorted){.all = (n + chunk - 1) / chunk * chunk, .size = chunk};
}

/* A group is a head of a sample. */
struct lsh {
    struct sorted s;
    bool within, causal;
    size_t samples, heads, n, width;
    const int32_t *valid; /* [samples, n], or NULL: no padding */
    /* Masks, i32; all NONE: all pairs */
    tensor pairs; /* [groups chunks, size, seen] */
    tensor times; /* the same: N */
    tensor any;   /* [groups, n, rounds]: P_t(i) isn't empty */
    tensor some;  /* [groups, n, 1]: one of them isn't */
};

/* q: [b, n, h, w] -> i32 [b, n, h, rounds, 1] */
static tensor hashed(layer *l, tensor q)
{
    tape *t = l->t;
    size_t rounds = hyper_n(l, "rounds"), half = hyper_n(l, "hash_buckets") / 2, w = width_of(q);
    tensor r = draw(l, "rotations", SHAPE(w, rounds, half), init_normal(1)), side[2];
    side[0] = matmul(t, q, reshape(t, r, SHAPE(w, rounds * half)));
    side[0] = reshape(t, side[0], SHAPE(dim_of(q, 0), dim_of(q, 1), dim_of(q, 2), rounds, half));
    side[1] = negate(t, side[0]);
    return top_k(t, concat(t, -1, 2, side), 1, tape_string(t, "%s.bucket", l->path));
}

/* id: of q [b, n, h, w]. Padding and what fills the last chunk come last, in a bucket of their own; the
 * benchmark's zeros hash to the first. */
static bool sorted_by_hash(layer *l, tensor q, tensor id, bool padding_hashed, struct lsh *s)
{
    const struct assay_config *c = config_of(l);
    size_t b = hyper_n(l, "hash_buckets"), rounds = hyper_n(l, "rounds"), n = dim_of(q, 1),
           h = dim_of(q, 2);
    *s = (struct lsh){chunks_of(c, n), .within = hyper(l, "within") > 0, .heads = h, .n = n};
    s->samples = dim_of(q, 0);
    s->width = width_of(q);
    s->causal = l->context->causal;
    s->valid = lra(c) ? NULL : ids_of(l->context->valid);
    s->s.groups = s->samples * h;
    s->s.rounds = rounds;
    size_t all = s->s.all, count = s->s.groups * rounds * all;
    int32_t *bucket = tape_allocate(l->t, count * sizeof *bucket), end = lra(c) ? 0 : (int32_t)b;
    for (size_t e = 0; bucket && e < count; e++) {
        size_t g = e / all / rounds, round = e / all % rounds, i = e % all, row = g / h * n + i;
        bool token = i < n && (padding_hashed || !s->valid || s->valid[row]);
        bucket[e] = token ? ids_of(id)[(row * h + g % h) * rounds + round] : end;
    }
    return bucket && sort_by_bucket(l->t, &s->s, b + 1, bucket);
}

/* x [b, n, h, w] -> [groups, all, w], filled with zeros */
static tensor by_group(tape *t, const struct lsh *s, tensor x)
{
    tensor y = reshape(t, transpose(t, x, 1, 2), SHAPE(s->s.groups, s->n, s->width));
    return s->s.all > s->n ? pad(t, y, 1, 0, s->s.all - s->n) : y;
}

/* ---- masks ---- */

/* Whether round t brings j into the chunk of i or the one before, and their buckets matter or are one. */
static bool met(const struct lsh *h, size_t g, size_t t, size_t i, size_t j)
{
    const struct sorted *s = &h->s;
    const int32_t *place = s->place + (g * s->rounds + t) * s->all,
                  *bucket = s->bucket + (g * s->rounds + t) * s->all;
    size_t mine = (size_t)place[i] / s->size, its = (size_t)place[j] / s->size;
    return (mine == its || mine == its + 1) && (!h->within || bucket[i] == bucket[j]);
}

/* Whether the key at place `to` of group g is in P_t of the query at place `from`. */
static bool allowed(const struct lsh *h, size_t g, size_t from, size_t to)
{
    const struct sorted *s = &h->s;
    const int32_t *token = s->token + g * s->rounds * s->all,
                  *valid = h->valid ? h->valid + g / h->heads * h->n : NULL;
    size_t i = (size_t)token[from], j = (size_t)token[to], round = from / s->all;
    if (i >= h->n || j >= h->n || i == j || (h->causal && j > i)
        || (valid && !(valid[i] && valid[j])))
        return false;
    return !h->within || (to / s->all == round && met(h, g, round, i, j));
}

static bool find_masks(tape *t, struct lsh *h)
{
    const struct sorted *s = &h->s;
    size_t places = s->rounds * s->all;
    h->pairs = tape_input_i32(t, SHAPE(s->groups * s->chunks, s->size, s->seen), NULL);
    h->times = h->pairs ? tape_input_i32(t, h->pairs->shape, NULL) : TENSOR_NONE;
    h->any = tape_input_i32(t, SHAPE(s->groups, h->n, s->rounds), NULL);
    h->some = tape_input_i32(t, SHAPE(s->groups, h->n, 1), NULL);
    if (!h->some)
        return false;
    int32_t *pair = h->pairs->data, *times = h->times->data, *any = h->any->data,
            *some = h->some->data;
    for (size_t e = 0; e < s->groups * places; e++) {
        size_t g = e / places, from = e % places;
        const int32_t *token = s->token + g * places, *at = s->at + from / s->size * s->seen;
        size_t i = (size_t)token[from], row = g * h->n + i;
        int32_t found = 0;
        for (size_t c = 0; c < s->seen; c++, pair++, times++) {
            found |= *pair = allowed(h, g, from, (size_t)at[c]);
            *times = !*pair;
            for (size_t round = 0; *pair && round < s->rounds; round++)
                *times += met(h, g, round, i, (size_t)token[at[c]]);
        }
        if (i < h->n)
            some[row] |= any[row * s->rounds + from / s->all] = found;
    }
    return true;
}

/* ---- attention ---- */

/* log N_ij. At 0 the code's, see above. */
static tensor logarithms(tape *t, size_t rounds, tensor times)
{
    double *x = tape_allocate(t, (rounds + 1) * sizeof *x);
    for (size_t i = 0; x && i <= rounds; i++)
        x[i] = i ? (double)i : 1e-9;
    tensor table = x ? logarithm(t, tape_input_f64(t, SHAPE(rounds + 1, 1), x)) : TENSOR_NONE;
    return reshape(t, gather_rows(t, table, times), times->shape);
}

/* In chunks: q [.., size, w], k and v [.., seen, w] -> of the first n tokens [groups, n, w] */
static tensor attended(layer *l, const struct lsh *h, tensor q, tensor k, tensor v, double factor,
                       size_t n)
{
    tape *t = l->t;
    const struct sorted *s = &h->s;
    size_t g = s->groups, r = s->rounds, w = h->width;
    if (!q || !k || !v)
        return TENSOR_NONE;
    if (!h->pairs && r == 1) {
        /* Nothing needs the scores, so they are not held. */
        struct attention_options o = {.scale = factor};
        k = reshape(t, k, SHAPE(g * s->chunks, s->seen, 1, w));
        v = reshape(t, v, k->shape);
        q = reshape(t, q, SHAPE(g * s->chunks, s->size, 1, w));
        return reshape(t, of_tokens(t, s, attention(t, q, k, v, &o), n), SHAPE(g, n, w));
    }
    tensor scores = scale(t, matmul_nt(t, q, k), factor);
    if (h->times && r > 1 && hyper(l, "counted") > 0)
        scores = subtract(t, scores, logarithms(t, r, h->times));
    tensor p = softmax(t, scores, -1, h->pairs, false);
    tensor o = of_tokens(t, s, matmul(t, p, v), n);
    if (r == 1)
        return reshape(t, o, SHAPE(g, n, w));
    tensor z = of_tokens(t, s, log_sum_exp(t, scores, -1, h->pairs), n);
    tensor share = softmax(t, reshape(t, z, SHAPE(g, n, r)), -1, h->any, false);
    return reshape(t, matmul(t, reshape(t, share, SHAPE(g, n, 1, r)), o), SHAPE(g, n, w));
}

tensor reformer_by_buckets(layer *l, tensor q, tensor v, bool padding_hashed)
{
    tape *t = l->t;
    const struct assay_config *c = config_of(l);
    struct lsh s;
    tensor id = hashed(l, q);
    if (!id || !v || !sorted_by_hash(l, q, id, padding_hashed, &s))
        return TENSOR_NONE;
    if (!lra(c) && !find_masks(t, &s))
        return TENSOR_NONE;
    double w = (double)s.width, root = assay_scalar_sqrt(profile_of(l), w), factor = root;
    if (!lra(c)) /* keys have the length sqrt(w) */
        factor = assay_scalar_div(profile_of(l), 1, c->scale_scores ? w : root);
    tensor query = by_group(t, &s, q), value = by_group(t, &s, v), key = query;
    if (!lra(c)) /* by 1e-24 a zero vector stays zero */
        key = by_group(t, &s, rms_norm(t, q, TENSOR_NONE, c->scale_scores ? 1e-24 : 1e-6));
    query = in_chunks(t, &s.s, query);
    key = seen_by_chunks(t, &s.s, key);
    tensor y =
        attended(l, &s, query, key, seen_by_chunks(t, &s.s, value), factor, lra(c) ? s.s.all : s.n);
    if (lra(c))
        return slice(t, reshape(t, y, SHAPE(s.samples, s.s.all, s.heads * s.width)), 1, 0, s.n);
    if (!y)
        return TENSOR_NONE;
    tensor own = slice(t, value, 1, 0, s.n), some = expand(t, s.some, y->shape);
    y = reshape(t, choose(t, some, y, own), SHAPE(s.samples, s.heads, s.n, s.width));
    return merge_heads(l, transpose(t, y, 1, 2));
}

/* x: [b, n, d] -> [b, n, d]; between two sequences attention stays as it is. */
static tensor reformer(layer *l, tensor x, tensor memory)
{
    const struct assay_config *c = config_of(l);
    if (memory)
        return assay_reference_slots.mixer(l, x, memory);
    tensor q = project(l, "query", x), v = project(l, "value", x);
    tensor y = q ? reformer_by_buckets(l, q, v, false) : TENSOR_NONE;
    return lra(c) ? y : apply_linear(l, "output", y, c->stream, c->output_bias);
}

/* x: [b, n, d] -> both streams side by side, [b, n, 2 d], or plain residuals' [b, n, d] */
static tensor two_streams(layer *l, tensor x)
{
    if (!x || !reversible(config_of(l)))
        return assay_reference_slots.stack(l, x);
    tensor y = reversible_stack(l, x, hyper(l, "recomputed") > 0);
    y = reshape(l->t, permute(l->t, y, (int[]){1, 2, 0, 3}),
                SHAPE(dim_of(x, 0), dim_of(x, 1), 2 * width_of(x)));
    trace(l, "streams", y);
    return y;
}

/* ---- claims: reversible layers ---- */

#define STREAMS "weights=xavier embed_deviation=1 layers=3 width=16 heads=2 length=12 "

/* A step back, x + f - f, loses at most two roundings of the stream; a sublayer's own sums lose as many
 * as they have terms. Both are passed on alike, into streams and gradients: so twice the terms of all
 * blocks bound what comes of it, to first order, where x is as large as f. */
static double frames_own(const struct assay_config *c)
{
    size_t terms = 6 * c->width + c->length + c->hidden + 2 * (c->width + 16);
    return 2 * (double)((c->layers + 1) * terms);
}

/* Forward and backward. */
static struct claim_pass *there_and_back(struct claim *c, const char *overrides)
{
    struct claim_pass *p = claim_output(c, c->variant, overrides);
    if (!p)
        return NULL;
    tensor cotangent = claim_random(c, p->pass.t, p->output->shape, 3);
    claim_backward(c, p, 1, &p->output, &cotangent);
    return p;
}

static void gradients_from_the_result(struct claim *c)
{
    struct claim_pass *kept = there_and_back(c, STREAMS "recomputed=0"),
                      *again = there_and_back(c, STREAMS "recomputed=1");
    if (!kept || !again)
        return;
    claim_equal_bits(c, kept->pass.t, kept->output, again->output, "the outputs");
    /* Nothing has been taken back yet. */
    static const char *const last[] = {"block.2.ffn.in.weight", "block.2.norm2.gain", "final.gain"};
    for (int i = 0; i < 3; i++) {
        tensor one = claim_gradient(c, kept, last[i]), two = claim_gradient(c, again, last[i]);
        claim_equal_bits(c, kept->pass.t, one, two, last[i]);
    }
    const struct assay_model *m = kept->pass.model;
    double apart = 0, bound = frames_own(&m->config), unit = claim_roundoff(c), scale;
    for (size_t i = 0; i < m->entries; i++) {
        if (m->entry[i].kind != ASSAY_PARAMETER)
            continue;
        tensor one = claim_gradient(c, kept, m->entry[i].name),
               two = claim_gradient(c, again, m->entry[i].name);
        double d = claim_distance(c, one, two, &scale);
        apart = d > apart * scale * unit ? d / (scale * unit) : apart;
    }
    claim_true(c, apart > 0 && apart < bound,
               "gradients of recomputed activations are off by %.3g units (bound %g), and not by 0",
               apart, bound);
}

/* Takes the blocks back from y1, y2; `order`: the feed-forward layer's step first. */
static void take_back(layer *l, tensor y[2], bool order)
{
    tape *t = l->t;
    for (size_t block = l->context->blocks; block-- > 0;) {
        size_t mark = layer_enter(l, "block.%zu", block);
        for (int i = 0; i < 2; i++) {
            bool feed = (i == 0) == order;
            tensor x = apply_norm(l, feed ? "norm2" : "norm1", y[!feed]);
            x = feed ? apply_ffn(l, "ffn", x) : apply_mixer(l, "mixer", x, TENSOR_NONE);
            y[feed] = subtract(t, y[feed], x);
        }
        layer_leave(l, mark);
    }
}

/* A layer of a blank pass, and its input */
static bool bare_layer(struct claim *c, const char *path, layer *l, tensor *x)
{
    struct assay_model *m = claim_model(c, STREAMS "pad_is_zero=0");
    struct claim_pass *p = m ? claim_blank(c, m, claim_batch(c, m, 2, 12, 1), 2, 12) : NULL;
    if (!p)
        return false;
    *l = claim_layer(c, p, path);
    *x = claim_random(c, l->t, SHAPE(2, 12, 16), 1);
    return true;
}

static void blocks_are_invertible(struct claim *c)
{
    layer l;
    tensor x;
    if (!bare_layer(c, "", &l, &x))
        return;
    tensor both = reversible_stack(&l, x, false);
    for (int order = 0; order < 2; order++) {
        tensor y[2];
        for (size_t i = 0; i < 2; i++)
            y[i] = reshape(l.t, slice(l.t, both, 0, i, 1), x->shape);
        take_back(&l, y, order);
        for (int i = 0; i < 2; i++)
            if (order)
                claim_close(c, y[i], x, frames_own(config_of(&l)), 0, "x from y, step by step");
            else
                claim_differs(c, y[i], x, 1e6, "the steps of a block in the wrong order");
    }
}

/* Bytes that the tape holds at its fullest */
static double bytes_held(struct claim *c, const char *overrides)
{
    struct claim_pass *p = there_and_back(c, overrides);
    return p ? (double)p->pass.t->counts.bytes : 0;
}

#define HELD "width=16 heads=2 length=48 hidden=32 pad_is_zero=0 "

/* Hashes are integers: samples n heads rounds of them, with less than 1 KiB around them. */
static void memory_does_not_grow(struct claim *c)
{
    double stored = bytes_held(c, HELD "layers=6") - bytes_held(c, HELD "layers=2"),
           again = bytes_held(c, HELD "layers=6 recomputed=1")
                   - bytes_held(c, HELD "layers=2 recomputed=1"),
           hashes = 2 * 48 * 2 * 2 * 4, stream = 2 * 48 * 16 * 8;
    claim_true(c, again <= 4 * (hashes + 1024),
               "four more blocks hold %g bytes more: their hashes, %g", again, 4 * hashes);
    claim_true(c, stored > 4 * 20 * stream,
               "stored, four more blocks hold %g bytes more: over 20 streams each", stored);
}

/* ---- claims: hashing ---- */

enum { N = 12, WIDTH = 4 };

#define SMALL "length=12 layers=1 width=4 heads=1 pad_is_zero=0 "

/* All hashes are 0: one bucket. */
static void without_rotations(struct claim_alone *a)
{
    const char *name = "block.0.mixer.rotations";
    tensor r = model_tensor(a->pass->pass.model, a->t, name);
    model_store(a->pass->pass.model, name, scale(a->t, r, 0));
}

static tensor mixed(struct claim_alone *a)
{
    return reformer_by_buckets(&a->l, a->h.query, a->h.value, false);
}

/* Explicit attention of q over q / |q| with times[i][j], 0 if j is not seen; a row without keys has
 * its own. */
static tensor under_a_mask(struct claim_alone *a, const int32_t *times, bool repeated)
{
    int32_t seen[N * N];
    double weight[N * N];
    for (size_t i = 0; i < N; i++) {
        bool any = false;
        for (size_t e = i * N; e < (i + 1) * N; e++) {
            any |= seen[e] = times[e] > 0;
            weight[e] = repeated && seen[e] ? times[e] : 1;
        }
        seen[i * N + i] |= !any;
    }
    struct assay_shape shape = SHAPE(1, 1, N, N);
    tensor length = square_root(a->t, sum_over(a->t, square(a->t, a->h.query), -1));
    struct attention_options o = {.explicit_form = true};
    o.allowed = tape_input_i32(a->t, shape, seen);
    o.bias = logarithm(a->t, tape_input_f64(a->t, shape, weight));
    tensor key = divide(a->t, a->h.query, length);
    return merge_heads(&a->l, attention(a->t, a->h.query, key, a->h.value, &o));
}

/* The same over all other tokens, or all before. */
static tensor full_attention(struct claim_alone *a)
{
    int32_t all[N * N];
    for (size_t e = 0; e < N * N; e++)
        all[e] = a->l.context->causal ? e % N < e / N : e % N != e / N;
    return under_a_mask(a, all, false);
}

/* times[i][j]: rounds that P_t(i) holds j in, from the hashes alone: the place of i is how many (h, j)
 * come before (h_i, i). */
static void count_pairs(struct claim_alone *a, int32_t *times)
{
    size_t all = hyper_n(&a->l, "rounds"), chunk = hyper_n(&a->l, "chunk");
    const int32_t *h = ids_of(hashed(&a->l, a->h.query));
    memset(times, 0, N * N * sizeof *times);
    for (size_t t = 0; h && t < all; t++) {
        size_t place[N] = {0};
        for (size_t i = 0; i < N; i++)
            for (size_t j = 0; j < N; j++)
                place[i] +=
                    h[j * all + t] < h[i * all + t] || (h[j * all + t] == h[i * all + t] && j < i);
        for (size_t e = 0; e < N * N; e++) {
            size_t i = e / N, j = e % N, mine = place[i] / chunk, its = place[j] / chunk;
            times[e] += i != j && (!a->l.context->causal || j < i)
                        && h[i * all + t] == h[j * all + t] && (mine == its || mine == its + 1);
        }
    }
}

/* A key in one form is a sum of 12 lanes and a square root, in the other the same with an epsilon;
 * scores of 4 products, softmax and its merging over 12 keys in two orders, 3 rounds: less than a
 * hundred roundings of the largest value, either way. */
static void close_to(struct claim *c, tensor one, tensor two, tensor v, const char *what)
{
    claim_close(c, one, two, 200, claim_largest(c, v), what);
}

static void one_chunk_is_full_attention(struct claim *c)
{
    static const char *const overrides[] = {
        SMALL "chunk=12 within=0 rounds=1", SMALL "chunk=12 within=0 rounds=3 counted=1",
        SMALL "chunk=12 within=1 rounds=1", SMALL "chunk=16 within=1 rounds=2 counted=1"};
    struct claim_alone a;
    for (int i = 0; i < 8 && claim_alone(c, &a, overrides[i / 2], 0); i++) {
        a.pass->context->causal = i % 2;
        if (i >= 4)
            without_rotations(&a);
        tensor y = mixed(&a);
        close_to(c, y, full_attention(&a), a.h.value, overrides[i / 2] + sizeof SMALL - 1);
    }
    if (!claim_alone(c, &a, SMALL "chunk=4 within=0 rounds=1", 0))
        return;
    tensor y = mixed(&a);
    claim_differs(c, y, full_attention(&a), 1e6,
                  "three chunks, of which two are seen, and full attention");
}

static void rounds_merge_to_one_softmax(struct claim *c)
{
    struct claim_alone a;
    for (int i = 0; i < 4; i++) {
        bool counted = i / 2;
        int32_t times[N * N];
        const char *how =
            counted ? SMALL "chunk=4 rounds=3 counted=1" : SMALL "chunk=4 rounds=3 counted=0";
        if (!claim_alone(c, &a, how, 0))
            return;
        a.pass->context->causal = i % 2;
        count_pairs(&a, times);
        tensor y = mixed(&a), one = under_a_mask(&a, times, !counted);
        close_to(c, y, one, a.h.value,
                 counted ? "rounds by log-sum-exp, and one softmax over their union"
                         : "not counted, and one softmax where a pair counts as often as it meets");
        claim_differs(c, y, under_a_mask(&a, times, counted), 1e6, "the other of the two");
    }
}

/* Whatever stands at padding, in queries and values: the others' rows have the same bits. */
static void padding_is_not_seen(struct claim *c)
{
    static const int32_t valid[N] = {1, 1, 0, 1, 1, 1, 0, 0, 1, 1, 1, 0};
    struct claim_alone a;
    if (!claim_alone(c, &a, SMALL "chunk=4 rounds=2", 0))
        return;
    a.pass->context->valid = tape_input_i32(a.t, SHAPE(1, N), valid);
    tensor keep =
        expand(a.t, reshape(a.t, a.pass->context->valid, SHAPE(1, N, 1, 1)), a.h.query->shape);
    tensor of[] = {a.h.query, a.h.value}, other[2], y[2];
    for (uint64_t i = 0; i < 2; i++)
        other[i] = choose(a.t, keep, of[i], claim_random(c, a.t, keep->shape, 4 + i));
    for (int among = 0; among < 2; among++) {
        y[0] = reformer_by_buckets(&a.l, of[0], of[1], among);
        y[1] = reformer_by_buckets(&a.l, other[0], other[1], among);
        y[1] = choose(a.t, reshape(a.t, keep, SHAPE(1, N, WIDTH)), y[1], y[0]);
        if (among)
            claim_differs(c, y[0], y[1], 1e6, "the same where padding is hashed");
        else
            claim_equal_bits(c, a.t, y[0], y[1], "tokens' rows with other vectors at padding");
    }
}

static void hashes_are_angles(struct claim *c)
{
    struct claim_alone a;
    if (!claim_alone(c, &a, SMALL "hash_buckets=6 rounds=4", 0))
        return;
    const int32_t *h = ids_of(hashed(&a.l, a.h.query)),
                  *longer = ids_of(hashed(&a.l, scale(a.t, a.h.query, 8))),
                  *turned = ids_of(hashed(&a.l, negate(a.t, a.h.query)));
    without_rotations(&a);
    tensor equal = hashed(&a.l, a.h.query);
    const int32_t *tied = ids_of(equal);
    bool same = h && longer, opposite = h && turned, first = tied;
    for (size_t i = 0; same && opposite && first && i < N * 4; i++) {
        same = h[i] == longer[i];
        opposite = turned[i] == (h[i] + 3) % 6;
        first = tied[i] == 0;
    }
    claim_true(c, same, "h(8 q) = h(q)");
    claim_true(c, opposite, "h(-q) = h(q) + b / 2 modulo b");
    claim_true(c, first, "a tie goes to the first bucket");
    struct lsh s;
    bool stable = first && sorted_by_hash(&a.l, a.h.query, equal, false, &s);
    for (size_t i = 0; stable && i < s.s.all; i++)
        stable = s.s.token[i] == (int32_t)i;
    claim_true(c, stable, "tokens of one bucket keep their order");
}

/* Rows 0 to 5 depend on the hashes of later tokens, and on nothing else of them. */
static void the_future_is_not_read(struct claim *c)
{
    struct claim_alone a;
    if (!claim_alone(c, &a, SMALL "chunk=4 rounds=2", 0))
        return;
    a.pass->context->causal = true;
    tensor early = slice(a.t, mixed(&a), 1, 0, 6),
           cotangent = claim_random(c, a.t, SHAPE(1, 6, WIDTH), 3);
    claim_backward(c, a.pass, 1, &early, &cotangent);
    tensor of[] = {a.h.query, a.h.value};
    for (int i = 0; i < 2; i++) {
        double d[N * WIDTH], future = 0, past = 0;
        gradient_read(a.t, of[i], d);
        for (size_t e = 0; e < N * WIDTH; e++)
            *(e < 6 * WIDTH ? &past : &future) += d[e] * d[e];
        claim_true(c, past > 0 && future <= 0, "of later tokens' %s nothing is read",
                   i ? "values" : "queries");
    }
}

/* The distance to full attention in the mean over draws of the rotations. */
static void more_rounds_come_closer(struct claim *c)
{
    enum { DRAWS = 32 };
    double before = 0;
    for (size_t rounds = 1; rounds <= 16; rounds *= 2) {
        struct claim_alone a;
        char overrides[96];
        snprintf(overrides, sizeof overrides, SMALL "chunk=4 rounds=%zu", rounds);
        if (!claim_alone(c, &a, overrides, 0))
            return;
        tensor whole = full_attention(&a);
        double mean = 0, scale;
        for (uint64_t i = 0; i < DRAWS; i++) {
            tensor r = claim_random(c, a.t, SHAPE(WIDTH, rounds, 2), 10 + i);
            model_store(a.pass->pass.model, "block.0.mixer.rotations", r);
            mean += claim_distance(c, mixed(&a), whole, &scale) / DRAWS;
        }
        claim_true(c, rounds == 1 || mean < before, "%zu rounds are %.3g off in the mean", rounds,
                   mean);
        before = mean;
    }
}

static void feed_forward_in_chunks(struct claim *c)
{
    layer l;
    tensor x, part[3];
    if (!bare_layer(c, "block.0", &l, &x))
        return;
    for (size_t i = 0; i < 3; i++)
        part[i] = apply_ffn(&l, "ffn", slice(l.t, x, 1, 4 * i, 4));
    tensor whole = apply_ffn(&l, "ffn", x);
    claim_equal_bits(c, l.t, concat(l.t, 1, 3, part), whole, "three chunks of 4 tokens and all 12");
}

/* ---- descriptor ---- */

/* Of the head's first matrix that the second stream meets. */
static double head_parameters(const struct assay_config *c)
{
    size_t rows = c->head == HEAD_TWO_TOWER ? (c->nli ? 4 : 2) : 1,
           columns = c->head == HEAD_LANGUAGE ? c->vocab
                     : c->head_hidden         ? c->head_hidden
                                              : c->classes;
    return (double)(c->width * rows * columns);
}

static double extra_parameters(const struct assay_config *c)
{
    double d = (double)c->width, inner = (double)(c->heads * c->head_width);
    double key = d * inner + (c->attention_bias ? inner : 0),
           output = lra(c) ? inner * d + (c->output_bias ? d : 0) : 0;
    bool normed = c->final_norm && c->norm != NORM_NONE;
    double norm = normed ? d * (c->norm_gain + (c->norm_bias && c->norm == NORM_LAYER)) : 0;
    return (reversible(c) ? norm + head_parameters(c) : 0) - (double)c->layers * (key + output);
}

static double multiply_adds(const struct assay_config *c, size_t n)
{
    double d = (double)c->width, inner = (double)(c->heads * c->head_width), m = (double)n,
           r = c->hyper[ROUNDS];
    struct sorted k = chunks_of(c, n);
    /* The head's first matrix has two streams to read, which isn't a mixer's, but is more. */
    double head = reversible(c) ? head_parameters(c) / (double)c->layers : 0;
    head *= c->head == HEAD_LANGUAGE ? m : 1;
    double places = r * (double)k.all, size = (double)k.size,
           seen = places > size ? 2 * size : size;
    double merge = r > 1 ? (lra(c) ? (double)k.all : m) * r * inner : 0;
    return head + m * d * inner * (lra(c) ? 2 : 3) + m * inner * r * c->hyper[BUCKETS] / 2
           + places * seen * 2 * inner + merge;
}

static struct variant_growth growth(const struct assay_config *c)
{
    if (!lra(c))
        return (struct variant_growth){1, 1,
                                       "table 1: n times chunk and rounds; sorting adds no "
                                       "multiply-adds"};
    return (struct variant_growth){2, c->hyper[ROUNDS] > 1 ? 2 : 1,
                                   "the benchmark's chunks are a tenth of n"};
}

/* The benchmark's encoder has plain residuals, and zeros stay zeros. */
static void resolve(struct assay_config *c)
{
    if (lra(c)) {
        c->hyper[RESIDUAL] = 1;
        c->attention_bias = false;
    }
}

static const char *legal(const struct assay_config *c)
{
    if (c->position == POSITION_ROTARY)
        return "position: expected none, learned or sinusoidal: scores have no positions";
    if (lra(c) && (c->frame != FRAME_ENCODER || c->heads * c->head_width != c->width))
        return "form: expected, for lra, frame=encoder and heads * head_width = width";
    if (lra(c) && (size_t)c->hyper[CHUNK] % (size_t)c->hyper[BUCKETS] != 0)
        return "chunk: expected, for form=lra, a multiple of hash_buckets";
    if (reversible(c)
        && (c->placement != PLACE_PRE || c->frame == FRAME_ENCODER_DECODER || c->tie_embedding))
        return "residual: expected plain, or placement=pre, tie_embedding=0 and one stack";
    return NULL;
}

static bool up_to_2_20(double x)
{
    return at_least_one(x) && x <= 0x1p20;
}

static bool even(double x)
{
    return up_to_2_20(x) && (size_t)x % 2 == 0;
}

static bool up_to_256(double x)
{
    return at_least_one(x) && x <= 256;
}

/* clang-format off */
static const char *const residuals[] = {"reversible", "plain", NULL};
const struct assay_variant assay_variant_reformer = {
    .id = "reformer",
    .title = "Reformer: The Efficient Transformer",
    .authors = "Kitaev et al. 2020",
    .idea = "Shared queries and keys are hashed, sorted by bucket and attended in chunks; residual "
            "layers are reversible, so that activations need not be kept.",
    .equations = "o_i = sum_t softmax_t(z_i^t) o_i^t over rounds of P_t(i); y1 = x1 + mixer(x2), "
                 "y2 = x2 + ffn(y1)",
    .source = {"arXiv:2001.04451", "google/trax",
               "the paper; form=lra by google-research/long-range-arena", CONFIDENCE_HIGH},
    .kind = KIND_VARIANT, .family = "sparse-attention", .replaces = "mixer, stack",
    .slot = {.mixer = reformer, .stack = two_streams},
    .hypers = (const struct variant_hyper[]){
        {"hash_buckets", "of a round; the paper: 2 n / chunk", 192, 4, even,
         "even, from 2 to 2^20", NULL},
        {"rounds", "of hashing", 8, 2, up_to_256, "from 1 to 256", NULL},
        {"chunk", "tokens of a chunk; form=lra: n is filled to more than a multiple", 128, 4,
         up_to_2_20, "from 1 to 2^20", NULL},
        {"within", "keys are of the query's bucket", 1, 1, FLAG},
        {"counted", "a pair that several rounds bring together counts once", 1, 1, FLAG},
        {"residual", "reversible: two streams, side by side at the end", 0, 0, is_choice,
         "reversible or plain", residuals},
        {"recomputed", "with residual=reversible: activations are not kept", 1, 0, FLAG},
        {"form", "lra: the benchmark's, with b chunks and no mask", 0, 0, PAPER_OR_LRA},
        {0}},
    .settings = (const struct variant_setting[]){
        {"default", "preset=pre_ln"},
        {"causal", "preset=pre_ln frame=decoder head=language pad_is_zero=0"},
        {"recomputed", "preset=pre_ln recomputed=1"},
        {"authors_code", "preset=pre_ln frame=decoder head=language pad_is_zero=0 within=0 counted=0 "
                         "scale_scores=0"},
        {"lra", "preset=pre_ln form=lra rounds=1"},
        {0}},
    .forms = (const struct variant_form[]){
        {"stored", "", false, FORM_BITS, 0, NULL},
        {"recomputed", "recomputed=1", false, FORM_ROUNDING, 1,
         "outputs have the same bits; a claim compares gradients"},
        {0}},
    .properties = (const struct variant_property[]){
        {PROPERTY_CAUSAL, HOLDS_NO, 0, "frame=decoder head=language form=paper rounds=1 hash_buckets=2 chunk=2",
         "a later token's hash moves the borders of chunks, though nothing else of it is read"},
        {PROPERTY_SAMPLE_INDEPENDENT, HOLDS_BITS, 0, NULL, "rows are sorted within a sample"},
        {PROPERTY_PERMUTATION_EQUIVARIANT, HOLDS_NO, 0, "position=none frame=encoder",
         "tokens of one bucket are cut into chunks by their positions"},
        {PROPERTY_DIFFERENTIABLE, HOLDS_ROUNDING, 0, NULL, "for fixed hashes"},
        {0}},
    .claims = (const struct variant_claim[]){
        {CLAIM_IDENTITY, "recomputed activations give the gradients of stored ones, up to the "
                         "rounding of x + f - f", gradients_from_the_result, 0},
        {CLAIM_IDENTITY, "the blocks' inputs follow from their outputs", blocks_are_invertible, 0},
        {CLAIM_COUNT, "recomputed, memory does not grow with blocks but for their hashes",
         memory_does_not_grow, 0},
        {CLAIM_IDENTITY, "one chunk, or one bucket in one chunk, is full shared-QK attention",
         one_chunk_is_full_attention, 0},
        {CLAIM_IDENTITY, "rounds merged by log-sum-exp are one softmax over their union",
         rounds_merge_to_one_softmax, 0},
        {CLAIM_IDENTITY, "hashes depend on direction, opposite ones are opposite, ties are stable",
         hashes_are_angles, 0},
        {CLAIM_IDENTITY, "what stands at padding moves no token", padding_is_not_seen, 0},
        {CLAIM_IDENTITY, "causal: of later tokens only the hashes matter", the_future_is_not_read,
         0},
        {CLAIM_BOUND, "more rounds come closer to full attention", more_rounds_come_closer, 0},
        {CLAIM_IDENTITY, "feed-forward layers in chunks of tokens have the same bits",
         feed_forward_in_chunks, 0},
        {CLAIM_OUTSIDE, "the authors' attention; the port's, its layer and network; the "
                        "benchmark's layers, encoder", outside_meets_sections, 0},
        {0}},
    .outside = outside_reformer,
    .untested = "Bits per dimension (enwik8 1.05), the copying task and the accuracies of the Long "
                "Range Arena (37.27, 56.10, 53.40, 38.07, 68.50) need the full-size runs.",
    .needs = NEEDS_KEYS_PER_HEAD | NEEDS_NO_BIAS,
    .resolve = resolve,
    .legal = legal,
    .extra_parameters = extra_parameters,
    .mixer_multiply_adds = multiply_adds,
    .growth = growth,
};
/* clang-format on */

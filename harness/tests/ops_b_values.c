/* SPDX-License-Identifier: Apache-2.0 */
/* The ops of attention, scans, moves, rows and losses: values against plain loops, and counts.
 * Decisions: ops_b_decisions.c. Gradients and bits: ops_b.c. Errors: ops_b_errors.c. */
#include <float.h>
#include <math.h>
#include <string.h>

#include "harness/tests/tap.h"
#include "ref/ops.h"

#define COUNT(array) ((int)(sizeof(array) / sizeof *(array)))
#define IDS(shape, ...) tape_input_i32(t, shape, (int32_t[]){__VA_ARGS__})

enum { ROOM = 1024 };

/* Multiples of 1/8 in [-2, 2]: sums and products of few of them are exact in binary64. */
static tensor eighths(tape *t, struct assay_shape shape, unsigned seed, double *x)
{
    double value[ROOM];
    for (size_t i = 0; i < shape_elements(shape); i++) {
        seed = seed * 1103515245u + 12345u;
        value[i] = ((double)(seed >> 16 & 31) - 15) / 8;
    }
    if (x)
        memcpy(x, value, shape_elements(shape) * sizeof *x);
    return tape_variable_f64(t, shape, value);
}

static bool has_values(const tape *t, tensor y, struct assay_shape shape, const double *expected,
                       double tolerance)
{
    if (!y || !shape_equal(y->shape, shape)) {
        diag("%s", tape_error(t) ? tape_error(t) : "another shape");
        return false;
    }
    double got[ROOM];
    tensor_read(t, y, got);
    for (size_t i = 0; i < elements_of(y); i++)
        if (!(fabs(got[i] - expected[i]) <= tolerance)) {
            diag("element %zu: expected %.17g, got %.17g, tolerance %.2g", i, expected[i], got[i],
                 tolerance);
            return false;
        }
    return true;
}

/* Attention of [2, 3, 4, 5] over [2, 6, 2, .]: causal from 2, window 3 to the left, and a table of
 * allowed pairs of each sample and head, or that of the first head of the first sample for all. */
enum { B = 2, N = 3, H = 4, W = 5, K = 6, G = 2, V = 3, FIRST = 2, LEFT = 3 };
struct pairs {
    bool own;
    int32_t allowed[B * H * N * K];
};

static struct pairs pairs_of(bool own)
{
    struct pairs p = {.own = own};
    unsigned seed = 1;
    for (int i = 0; i < B * H * N * K; i++) {
        seed = seed * 1103515245u + 12345u;
        p.allowed[i] = i / K != 1 && (seed >> 16) % 3;
    }
    return p;
}

static bool sees(const struct pairs *p, int plane, int i, int j)
{
    return j <= FIRST + i && j >= FIRST + i - LEFT
           && p->allowed[((p->own ? plane : 0) * N + i) * K + j];
}

/* Output row, probabilities and log sum of one query. */
static void plain_attention(const struct pairs *set, int plane, int i, const double *q,
                            const double *k, const double *v, double *y, double *p, double *lse)
{
    double z = 0;
    for (int j = 0; j < K; j++) {
        double s = 0;
        for (int c = 0; c < W; c++)
            s += q[c] * k[j * G * W + c];
        p[j] = sees(set, plane, i, j) ? exp(s / sqrt(W)) : 0;
        z += p[j];
    }
    *lse = z > 0 ? log(z) : 0;
    for (int c = 0; c < V; c++)
        y[c] = 0;
    for (int j = 0; j < K; j++) {
        p[j] = z > 0 ? p[j] / z : 0;
        for (int c = 0; c < V; c++)
            y[c] += p[j] * v[j * G * V + c];
    }
}

/* Both computations round each score |s| <= S = W * 2 * 2 / sqrt(W) < 9 at most W + 3 times, so an
 * exponential is relatively off by less than (2 * 9 (W + 3) + 2) u with the maximum's own error (u
 * = epsilon / 2); a sum of K of them, a division and the chain over K add less than 2 K + 2.
 * |value| <= 2. Twice that between the two. */
static const double attention_tolerance =
    2 * 2 * (2 * (18 * (W + 3) + 2) + 2 * K + 2) * DBL_EPSILON / 2;

static void attention_values(tape *t, bool explicit_form)
{
    struct pairs set = pairs_of(!explicit_form);
    double q[B * N * H * W], k[B * K * G * W], v[B * K * G * V], y[B * N * H * V], p[B * H * N * K],
        lse[B * H * N];
    tensor query = eighths(t, SHAPE(B, N, H, W), 1, q), key = eighths(t, SHAPE(B, K, G, W), 2, k);
    tensor value = eighths(t, SHAPE(B, K, G, V), 3, v), probability, log_sum;
    for (int b = 0; b < B; b++)
        for (int h = 0; h < H; h++)
            for (int i = 0; i < N; i++) {
                int row = (b * N + i) * H + h, out = (b * H + h) * N + i,
                    g = b * K * G + h / (H / G);
                plain_attention(&set, b * H + h, i, q + row * W, k + g * W, v + g * V, y + row * V,
                                p + out * K, lse + out);
            }
    struct attention_options o = {
        .causal = true,
        .first = FIRST,
        .windowed = true,
        .left = LEFT,
        .right = SIZE_MAX,
        .log_sum = &log_sum,
        .allowed = tape_input_i32(t, set.own ? SHAPE(B, H, N, K) : SHAPE(1, 1, N, K), set.allowed),
        .explicit_form = explicit_form,
        .probability = explicit_form ? &probability : NULL};
    tensor r = attention(t, query, key, value, &o);
    ok(has_values(t, r, SHAPE(B, N, H, V), y, attention_tolerance),
       "attention is what plain loops give");
    ok(has_values(t, log_sum, SHAPE(B, H, N), lse, attention_tolerance), "so are its log sums");
    if (explicit_form)
        ok(has_values(t, probability, SHAPE(B, H, N, K), p, attention_tolerance),
           "so are its probabilities");
    uint64_t seen = 0;
    for (int row = 0; row < B * H * N; row++)
        for (int j = 0; j < K; j++)
            seen += sees(&set, row / N, row % N, j);
    ok(t->counts.multiply_adds == seen * (W + V), "attention counts the allowed pairs");
    tape_backward(t, sum_all(t, r));
    ok(t->counts.multiply_adds == seen * (W + V + W + V + W + W + V),
       "and five products each going back");
}

/* n queries over n keys; counted here one by one. */
static void attention_counts(tape *t, size_t n, size_t first, size_t left, size_t right,
                             bool causal)
{
    uint64_t seen = 0;
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < n; j++)
            seen += (!causal || j <= first + i) && j + left >= first + i && j <= first + i + right;
    tensor x = eighths(t, SHAPE(1, n, 1, 1), 5, NULL);
    struct attention_options o = {
        .causal = causal, .first = first, .windowed = true, .left = left, .right = right};
    uint64_t before = t->counts.multiply_adds;
    attention(t, x, x, x, &o);
    ok(t->counts.multiply_adds - before == 2 * seen,
       "%zu positions from %zu, window %zu to %zu%s: %llu pairs", n, first, left, right,
       causal ? ", causal" : "", (unsigned long long)seen);
}

/* A cache of 6 keys that holds 4, against keys, masks and bias of 4. */
static void attention_cache(tape *t)
{
    double full[ROOM], cut[ROOM];
    tensor query = eighths(t, SHAPE(B, N, H, W), 1, NULL),
           key = eighths(t, SHAPE(B, K, G, W), 2, NULL);
    tensor value = eighths(t, SHAPE(B, K, G, V), 3, NULL),
           bias = eighths(t, SHAPE(B, 1, N, K), 4, NULL);
    struct pairs set = pairs_of(true);
    tensor allowed = tape_input_i32(t, SHAPE(B, H, N, K), set.allowed);
    tensor valid = IDS(SHAPE(B, K), 1, 0, 1, 1, 0, 0, 1, 1, 1, 0, 1, 1);
    struct attention_options o = {.key_valid = valid, .allowed = allowed, .bias = bias, .keys = 4};
    tensor_read(t, attention(t, query, key, value, &o), full);
    o = (struct attention_options){.key_valid = slice(t, valid, 1, 0, 4),
                                   .allowed = slice(t, allowed, 3, 0, 4),
                                   .bias = slice(t, bias, 3, 0, 4)};
    tensor_read(t, attention(t, query, slice(t, key, 1, 0, 4), slice(t, value, 1, 0, 4), &o), cut);
    ok(!tape_error(t) && memcmp(full, cut, B * N * H * V * sizeof *cut) == 0,
       "a cache that isn't full has the bits of the keys it holds");
}

static void attention_dropout(tape *t, const struct assay_kernels *other)
{
    tape u;
    tensor p[2] = {NULL, NULL};
    if (tape_open(&u, other))
        return;
    double y[2][ROOM], one[K * V];
    for (int i = 0; i < K * V; i++)
        one[i] = 1;
    for (int i = 0; i < 2; i++) {
        tape *on = i ? &u : t;
        tensor zero = tape_filled(on, SHAPE(1, K, 1, W), 0),
               value = tape_input_f64(on, SHAPE(1, K, 1, V), one);
        struct attention_options o = {
            .explicit_form = true, .probability = &p[i], .dropout = 0.5, .name = "d"};
        tensor r = attention(on, zero, zero, value, &o);
        tensor_read(on, r, y[i]);
    }
    /* p = 1/6 on each key: a row's output is 2/6 for each of the keys that are kept. */
    bool same = true, some = false;
    for (int i = 0; i < K * V; i++) {
        same &= lround(3 * y[0][i]) == lround(3 * y[1][i])
                && fabs(3 * y[0][i] - (double)lround(3 * y[0][i])) < 1e-5;
        some |= lround(3 * y[0][i]) != 3;
    }
    ok(same && some, "both profiles drop the same probabilities");
    double sum[K];
    tensor_read(t, sum_over(t, p[0], -1), sum);
    ok(fabs(sum[0] - 1) < 6 * DBL_EPSILON,
       "the probabilities that are handed out are those before dropout");
    tape_close(&u);
}

static void scan_values(tape *t)
{
    double a[24], b[24], start[8], h[24];
    tensor ta = eighths(t, SHAPE(2, 3, 4), 1, a), tb = eighths(t, SHAPE(2, 3, 4), 2, b),
           ts = eighths(t, SHAPE(2, 4), 3, start);
    for (int o = 0; o < 2; o++)
        for (int n = 0; n < 3; n++)
            for (int i = 0; i < 4; i++) {
                int at = (o * 3 + n) * 4 + i;
                h[at] = a[at] * (n ? h[at - 4] : start[o * 4 + i]) + b[at];
            }
    ok(has_values(t, scan(t, ta, tb, ts, 1), SHAPE(2, 3, 4), h, 0), "scan is the recurrence");
    double q[12], k[12], v[6], decay[6], o[6], state[4][1], end[8];
    tensor tq = eighths(t, SHAPE(2, 3, 2), 4, q), tk = eighths(t, SHAPE(2, 3, 2), 5, k),
           tv = eighths(t, SHAPE(2, 3, 1), 6, v);
    tensor td = eighths(t, SHAPE(2, 3), 7, decay), last;
    for (int s = 0; s < 2; s++) {
        state[0][0] = state[1][0] = 0;
        for (int n = 0; n < 3; n++) {
            int at = s * 3 + n;
            o[at] = 0;
            for (int i = 0; i < 2; i++) {
                state[i][0] = decay[at] * state[i][0] + k[at * 2 + i] * v[at];
                o[at] += q[at * 2 + i] * state[i][0];
                end[s * 2 + i] = state[i][0];
            }
        }
    }
    uint64_t before = t->counts.multiply_adds;
    tensor r = matrix_scan(t, tq, tk, tv, td, TENSOR_NONE, &last);
    ok(has_values(t, r, SHAPE(2, 3, 1), o, 0), "matrix_scan is the recurrence");
    ok(has_values(t, last, SHAPE(2, 2, 1), end, 0), "its end is the last state");
    ok(t->counts.multiply_adds - before == 2 * 2 * 3 * 2 * 1,
       "matrix_scan counts update and readout");
}

/* A move is known by where element (i, j, k) of a result comes from in x [2, 3, 4]; -1: zero. */
#define AT(i, j, k) ((((i)*3) + (j)) * 4 + (k))
#define FROM(name, place) \
    static int name(int i, int j, int k) \
    { \
        return place; \
    }
#define MOVE(name, made) \
    static tensor name(tape *t, tensor x) \
    { \
        return made; \
    }
FROM(same_place, AT(i, j, k))
FROM(of_permute, AT(j, k, i))
FROM(of_transpose, AT(k, j, i))
FROM(of_slice, AT(i, j + 1, k))
FROM(of_pad, (j < 2 || j > 4) ? -1 : AT(i, j - 2, k))
FROM(of_flip, AT(i, 2 - j, k))
FROM(of_roll, AT(i, j, (k + 3) % 4))
FROM(of_roll_back, AT(i, (j + 4) % 3, k))
FROM(of_concat, AT(i % 2, j, k))
FROM(of_take, AT(i, i ? (j ? 0 : 1) : 2, k))
FROM(of_take_last, AT(i, j, (i + j + 3 * k) % 4))

typedef tensor move(tape *t, tensor x);
MOVE(do_reshape, reshape(t, reshape(t, x, SHAPE(4, 6)), SHAPE(2, 3, 4)))
MOVE(do_permute, permute(t, x, (int[]){-1, 0, 1}))
MOVE(do_transpose, transpose(t, x, 0, -1))
MOVE(do_slice, slice(t, x, -2, 1, 2))
MOVE(do_pad, pad(t, x, 1, 2, 1))
MOVE(do_flip, flip(t, x, 1))
MOVE(do_roll, roll(t, x, 2, 5))
MOVE(do_roll_back, roll(t, x, 1, -1))
MOVE(do_concat, concat(t, 0, 2, (tensor[]){x, x}))
MOVE(do_take, take(t, x, IDS(SHAPE(2, 2), 2, 2, 1, 0)))
MOVE(do_take_last, take_last(t, x, IDS(SHAPE(2, 3, 2), 0, 3, 1, 0, 2, 1, 1, 0, 2, 1, 3, 2)))

static const struct {
    const char *name;
    move *move;
    int (*from)(int i, int j, int k);
    int i, j, k;
} moves[] = {
    {"reshape", do_reshape, same_place, 2, 3, 4},
    {"permute", do_permute, of_permute, 4, 2, 3},
    {"transpose", do_transpose, of_transpose, 4, 3, 2},
    {"slice", do_slice, of_slice, 2, 2, 4},
    {"pad", do_pad, of_pad, 2, 6, 4},
    {"flip", do_flip, of_flip, 2, 3, 4},
    {"roll", do_roll, of_roll, 2, 3, 4},
    {"roll backwards", do_roll_back, of_roll_back, 2, 3, 4},
    {"concat", do_concat, of_concat, 4, 3, 4},
    {"take", do_take, of_take, 2, 2, 4},
    {"take_last", do_take_last, of_take_last, 2, 3, 2},
};

static void move_values(tape *t)
{
    double x[24], expected[ROOM];
    int32_t ids[24];
    for (int e = 0; e < 24; e++)
        x[e] = ids[e] = e + 1;
    for (int m = 0; m < COUNT(moves); m++) {
        size_t n = 0;
        for (int i = 0; i < moves[m].i; i++)
            for (int j = 0; j < moves[m].j; j++)
                for (int k = 0; k < moves[m].k; k++) {
                    int from = moves[m].from(i, j, k);
                    expected[n++] = from < 0 ? 0 : x[from];
                }
        struct assay_shape shape =
            SHAPE((size_t)moves[m].i, (size_t)moves[m].j, (size_t)moves[m].k);
        ok(has_values(t, moves[m].move(t, tape_input_f64(t, SHAPE(2, 3, 4), x)), shape, expected,
                      0),
           "%s moves reals", moves[m].name);
        ok(has_values(t, moves[m].move(t, tape_input_i32(t, SHAPE(2, 3, 4), ids)), shape, expected,
                      0),
           "%s moves i32", moves[m].name);
    }
    tensor row = tape_input_f64(t, SHAPE(2, 1), x);
    ok(has_values(t, expand(t, row, SHAPE(2, 2, 2)), SHAPE(2, 2, 2),
                  (double[]){1, 1, 2, 2, 1, 1, 2, 2}, 0),
       "expand repeats");
    tensor table = tape_input_f64(t, SHAPE(4, 2), x), index = IDS(SHAPE(3), 3, 0, 3);
    ok(has_values(t, gather_rows(t, table, index), SHAPE(3, 2), (double[]){7, 8, 1, 2, 7, 8}, 0),
       "gather_rows picks rows");
    tensor rows = tape_input_f64(t, SHAPE(3, 2), x);
    ok(has_values(t, scatter_add_rows(t, 4, index, rows), SHAPE(4, 2),
                  (double[]){3, 4, 0, 0, 0, 0, 6, 8}, 0),
       "scatter_add_rows adds up");
    tensor c = tape_filled(t, SHAPE(1, 1), 0.5), s = tape_filled(t, SHAPE(1, 1), 2),
           v = tape_input_f64(t, SHAPE(1, 1, 1, 3), x);
    ok(has_values(t, rotate(t, v, c, s, false), SHAPE(1, 1, 1, 3), (double[]){0.5 - 4, 1 + 2, 3},
                  0),
       "rotate turns a pair and copies the rest");
    tensor empty = slice(t, v, -1, 3, 0);
    ok(has_values(t, concat(t, -1, 2, (tensor[]){empty, v}), SHAPE(1, 1, 1, 3), x, 0),
       "an empty part can be joined");
}

static void losses_values(tape *t)
{
    double x[8], y[8], sum = 0;
    tensor tx = eighths(t, SHAPE(2, 4), 1, x), ty = eighths(t, SHAPE(2, 4), 2, y);
    for (int i = 0; i < 8; i++)
        sum += (x[i] - y[i]) * (x[i] - y[i]);
    ok(has_values(t, mean_squared_error(t, tx, ty, 16), SCALAR_SHAPE, (double[]){sum / 16}, 0),
       "mean_squared_error is the sum over the denominator");
    double z = 0;
    for (int j = 0; j < 4; j++)
        z += exp(x[4 + j]);
    double loss = (log(z) - x[4 + 1]) / 2;
    /* Terms of size at most log 4 + 4 < 6, some 10 roundings on either side. */
    ok(has_values(t, cross_entropy(t, tx, IDS(SHAPE(2), -7, 1), -7, 2), SCALAR_SHAPE, &loss,
                  20 * 6 * DBL_EPSILON / 2),
       "cross_entropy leaves the ignored target out");
}

static void not_recording(tape *t)
{
    tensor q = eighths(t, SHAPE(1, 8, 1, 2), 1, NULL), w = eighths(t, SHAPE(1, 4, 2), 2, NULL), end;
    size_t before = t->live, needed = 0;
    t->recording = false;
    tensor y = attention(t, q, q, q, &(struct attention_options){.explicit_form = true});
    needed = t->live - before;
    ok(y && !y->needs_gradient && !y->saved && needed <= 64 * 8,
       "attention that isn't recorded keeps no probabilities");
    tensor o = matrix_scan(t, w, w, w, TENSOR_NONE, TENSOR_NONE, &end);
    tensor l = cross_entropy(t, w, IDS(SHAPE(1, 4), 0, 1, 0, 1), -1, 4), s = stop_gradient(t, w),
           g = gather_rows(t, reshape(t, w, SHAPE(4, 2)), IDS(SHAPE(1), 0));
    ok(o && end && l && s && g && !o->needs_gradient && !end->needs_gradient && !l->needs_gradient
           && !g->needs_gradient,
       "nor does any other op want a gradient");
    t->recording = true;
}

int main(void)
{
    const struct assay_kernels *kernels = assay_kernels_def(ASSAY_F64),
                               *narrow = assay_kernels_def(ASSAY_F32);
    tape t;
    if (tape_open(&t, kernels))
        return 2;
    attention_values(&t, false);
    tape_reset(&t);
    t.counts = (struct assay_counts){0};
    attention_values(&t, true);
    attention_counts(&t, 9, 0, SIZE_MAX / 2, SIZE_MAX / 2, true);
    attention_counts(&t, 9, 0, 2, 3, false);
    attention_counts(&t, 9, 3, 2, 3, true);
    attention_counts(&t, 9, 12, 2, 0, false);
    attention_cache(&t);
    attention_dropout(&t, narrow);
    scan_values(&t);
    move_values(&t);
    losses_values(&t);
    tape_reset(&t);
    not_recording(&t);
    tape_close(&t);
    return done_testing();
}

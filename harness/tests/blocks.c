/* SPDX-License-Identifier: Apache-2.0 */
/* Block-sparse attention against the explicit form with the whole n x n mask: values and gradients
 * within the rounding of sums in another order, shared and separate patterns of heads, keys in front
 * of the blocks, queries that are padding, padding, what is refused. */
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "harness/tests/tap.h"
#include "ref/parts/blocks.h"

enum { SAMPLES = 2, N = 11, HEADS = 2, WIDTH = 4, SIZE = 3, BLOCKS = 4, SEEN = 3 };
enum { FRONT = 2 };
enum { ROOM = SAMPLES * N * HEADS * WIDTH };

static void values(unsigned seed, double *x)
{
    for (size_t i = 0; i < ROOM; i++) {
        seed = seed * 1103515245u + 12345u;
        x[i] = ((double)(seed >> 16 & 255) - 127) / 64;
    }
}

/* A window of 4 tokens to the left and 2 to the right for head 0, twice that for head 1. */
static bool window(const void *pattern, size_t head, size_t query, size_t key)
{
    (void)pattern;
    size_t reach = head + 1;
    return key + 2 * reach >= query && key <= query + reach;
}

static const int32_t alike[BLOCKS * SEEN] = {0, 1, -1, 0, 1, 2, 3, 2, 1, 2, 3, -1};
static const int32_t apart[HEADS * BLOCKS * SEEN] = {0, 1, -1, 1, 0, 2, 2, 1, 3,  3, -1, 2,
                                                     0, 3, 2,  1, 2, 0, 0, 3, -1, 3, 0,  1};
static const int32_t valid[SAMPLES * N] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
                                           1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0};

/* With `global`, tokens 0 and 1 (of sample 1 only 0) stand in front and are no keys of blocks, and
 * padding asks nothing. */
struct trial {
    struct block_pattern p;
    bool global;
};

static const int32_t front_valid[SAMPLES * FRONT] = {1, 1, 1, 0};

/* Whether query i of a head sees key j. */
static bool seen(const struct trial *trial, size_t sample, size_t head, size_t i, size_t j)
{
    const struct block_pattern *p = &trial->p;
    if (trial->global && !valid[sample * N + i])
        return false;
    if (trial->global && j < FRONT)
        return front_valid[sample * FRONT + j];
    const int32_t *row = p->index + ((p->heads == 1 ? 0 : head * BLOCKS) + i / SIZE) * SEEN;
    for (size_t s = 0; s < SEEN; s++)
        if (row[s] == (int32_t)(j / SIZE))
            return valid[sample * N + j]
                   && (!p->sees || p->sees(NULL, p->heads == 1 ? 0 : head, i, j));
    return false;
}

static tensor explicit_form(tape *t, const tensor *x, const struct trial *trial)
{
    static int32_t allowed[SAMPLES * HEADS * N * N];
    for (size_t e = 0; e < SAMPLES * HEADS * N * N; e++)
        allowed[e] = seen(trial, e / (HEADS * N * N), e / (N * N) % HEADS, e / N % N, e % N);
    struct attention_options o = {.scale = 0.5, .explicit_form = true};
    o.allowed = tape_input_i32(t, SHAPE(SAMPLES, HEADS, N, N), allowed);
    return attention(t, x[0], x[1], x[2], &o);
}

static tensor by_blocks(tape *t, const tensor *x, const struct trial *trial)
{
    struct block_pattern p = trial->p;
    struct attention_options o = {.scale = 0.5};
    int32_t in_blocks[SAMPLES * N];
    for (size_t i = 0; i < SAMPLES * N; i++)
        in_blocks[i] = valid[i] && (!trial->global || i % N >= FRONT);
    tensor keys = tape_input_i32(t, SHAPE(SAMPLES, N), in_blocks);
    if (trial->global) {
        p.front_key = slice(t, x[1], 1, 0, FRONT);
        p.front_value = slice(t, x[2], 1, 0, FRONT);
        p.front_valid = tape_input_i32(t, SHAPE(SAMPLES, FRONT), front_valid);
        o.query_valid = tape_input_i32(t, SHAPE(SAMPLES, N), valid);
    }
    return block_attention(t, x[0], x[1], x[2], &p, keys, &o);
}

/* Output and the gradients of query, key and value for a fixed cotangent. */
static bool compute(const struct trial *trial,
                    tensor form(tape *, const tensor *, const struct trial *),
                    double result[4][ROOM])
{
    tape t;
    double x[ROOM];
    tensor in[3];
    tape_open(&t, assay_kernels_def(ASSAY_F64));
    t.recording = true;
    for (unsigned i = 0; i < 3; i++) {
        values(i + 1, x);
        in[i] = tape_variable_f64(&t, SHAPE(SAMPLES, N, HEADS, WIDTH), x);
    }
    tensor y = form(&t, in, trial);
    values(9, x);
    tensor cotangent = tape_variable_f64(&t, SHAPE(SAMPLES, N, HEADS, WIDTH), x);
    if (y)
        tape_backward_from(&t, 1, &y, &cotangent);
    bool whole = y && !tape_error(&t);
    if (whole)
        memcpy(result[0], y->data, sizeof result[0]);
    for (int i = 0; whole && i < 3; i++)
        memcpy(result[1 + i], in[i]->gradient, sizeof result[1]);
    diag("%s", tape_error(&t) ? tape_error(&t) : "computed");
    tape_close(&t);
    return whole;
}

/* Scores are sums of 4 products below 2^2, the rest sums of at most 11 terms below 2^2 of weights
 * that sum to 1: a few dozen roundings of numbers below 2^5. */
static const double bound = 64 * 32 * DBL_EPSILON;

static void compare(const struct trial *trial, const char *what)
{
    static double whole[4][ROOM], blocks[4][ROOM];
    static const char *const names[] = {"output", "d query", "d key", "d value"};
    bool computed = compute(trial, explicit_form, whole) && compute(trial, by_blocks, blocks);
    ok(computed, "%s: both forms compute", what);
    for (int k = 0; computed && k < 4; k++) {
        double distance = 0;
        for (size_t i = 0; i < ROOM; i++)
            distance = fmax(distance, fabs(whole[k][i] - blocks[k][i]));
        ok(distance <= bound, "%s: %s differs by %.2g (bound %.2g)", what, names[k], distance,
           bound);
    }
}

static void padding(void)
{
    tape t;
    tape_open(&t, assay_kernels_def(ASSAY_F64));
    struct assay_shape shape = SHAPE(1, 4, 1, 1);
    tensor zero = tape_filled(&t, shape, 0), one = tape_filled(&t, shape, 1);
    struct block_pattern p = {.size = 3, .seen = 1, .heads = 1, .index = (int32_t[]){0, 1}};
    struct attention_options o = {.scale = 1};
    const double *y;
    tensor hidden = block_attention(&t, zero, zero, one, &p, TENSOR_NONE, &o);
    p.padding_is_seen = true;
    tensor shown = block_attention(&t, zero, zero, one, &p, TENSOR_NONE, &o);
    y = hidden ? hidden->data : NULL;
    ok(y && y[3] == 1, "a block's padding is no key");
    y = shown ? shown->data : NULL;
    ok(y && fabs(y[3] - 1.0 / 3) < DBL_EPSILON, "unless the pattern wants it");
    p.seen = 0;
    ok(!block_attention(&t, zero, zero, one, &p, TENSOR_NONE, &o) && tape_error(&t),
       "a pattern without blocks is refused");
    tape_reset(&t);
    zero = tape_filled(&t, shape, 0);
    p = (struct block_pattern){.size = 3, .seen = 1, .heads = 1, .index = (int32_t[]){0, 2}};
    bool refused = !block_attention(&t, zero, zero, zero, &p, TENSOR_NONE, &o) && tape_error(&t);
    ok(refused, "so is a block that there is not: %s", refused ? tape_error(&t) : "");
    tape_close(&t);
}

int main(void)
{
    static const struct block_pattern
        whole = {.size = SIZE, .seen = SEEN, .heads = 1, .index = alike},
        shared = {.size = SIZE, .seen = SEEN, .heads = 1, .index = alike, .sees = window},
        separate = {.size = SIZE, .seen = SEEN, .heads = HEADS, .index = apart, .sees = window};
    compare(&(struct trial){whole, false}, "whole blocks");
    compare(&(struct trial){shared, false}, "a window in shared blocks");
    compare(&(struct trial){separate, false}, "each head its blocks and window");
    compare(&(struct trial){shared, true}, "a window and keys in front");
    compare(&(struct trial){separate, true}, "each head its blocks, and keys in front");
    padding();
    return done_testing();
}

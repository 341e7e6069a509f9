/* SPDX-License-Identifier: Apache-2.0 */
/* Attention in parts against attention as a whole: values and gradients of tiles and of merged partials,
 * with order, padding and shared keys; the neutral element, rows without a key; what is made aside. */
#include <float.h>
#include <math.h>
#include <string.h>

#include "harness/tests/tap.h"
#include "ref/parts/partials.h"

enum { SAMPLES = 2, N = 6, KEYS = 7, HEADS = 4, KEY_HEADS = 2, WIDTH = 4 };
enum { ROOM = SAMPLES * KEYS * HEADS * WIDTH };

static const int32_t valid[SAMPLES * KEYS] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0};

static tensor numbers(tape *t, unsigned seed, struct assay_shape shape)
{
    double x[ROOM];
    for (size_t i = 0; i < shape_elements(shape); i++) {
        seed = seed * 1103515245u + 12345u;
        x[i] = ((double)(seed >> 16 & 255) - 127) / 64;
    }
    return tape_variable_f64(t, shape, x);
}

/* Queries, keys and values, and the way from them to an output. */
struct trial {
    bool causal, padded;
    enum { WHOLE, TILES, MERGED } way;
};

static tensor as_a_whole(tape *t, const tensor x[3], tensor flags, bool causal)
{
    struct attention_options o = {.causal = causal, .first = KEYS - N, .key_valid = flags};
    return attention(t, x[0], x[1], x[2], &o);
}

/* Keys in tiles of 3: one after the other, or each a partial of its own, merged from the last one. */
static tensor in_parts(tape *t, const struct planes *p, bool merged)
{
    struct partial none =
        partial_empty(t, dim_of(p->query, 0), dim_of(p->query, 1), width_of(p->value));
    struct partial sum = none;
    for (size_t i = 0; i < 3; i++) {
        size_t from = merged ? 6 - 3 * i : 3 * i;
        struct tile at = {{0, N}, {from, from == 6 ? 1 : 3}};
        struct partial next = tile_next(t, p, at, merged ? none : sum);
        sum = merged ? partial_merge(t, next, sum) : next;
    }
    return planes_joined(t, p, partial_output(t, sum));
}

/* Output, then the gradients of query, key and value for one cotangent. */
static bool compute(const struct trial *trial, double result[4][ROOM])
{
    tape t;
    bool fine = tape_open(&t, assay_kernels_cpu(ASSAY_F64, NULL)) == 0;
    t.recording = true;
    tensor x[3] = {numbers(&t, 1, SHAPE(SAMPLES, N, HEADS, WIDTH)),
                   numbers(&t, 2, SHAPE(SAMPLES, KEYS, KEY_HEADS, WIDTH)),
                   numbers(&t, 3, SHAPE(SAMPLES, KEYS, KEY_HEADS, WIDTH))};
    tensor flags = trial->padded ? tape_input_i32(&t, SHAPE(SAMPLES, KEYS), valid) : TENSOR_NONE;
    struct planes p = planes_of(&t, x[0], x[1], x[2], flags, trial->causal);
    tensor y = trial->way == WHOLE ? as_a_whole(&t, x, flags, trial->causal)
                                   : in_parts(&t, &p, trial->way == MERGED);
    tensor cotangent = numbers(&t, 4, SHAPE(SAMPLES, N, HEADS, WIDTH));
    tape_backward_from(&t, 1, &y, &cotangent);
    fine = fine && !tape_error(&t);
    if (fine)
        tensor_read(&t, y, result[0]);
    for (int i = 0; fine && i < 3; i++)
        fine = gradient_read(&t, x[i], result[1 + i]);
    if (!fine)
        diag("%s", tape_error(&t));
    tape_close(&t);
    return fine;
}

/* Scores are the same, sums of at most 12 terms below 2^7 (a gradient's: 2 w 2^2 2^1, times 2^1) of
 * weights that pass 3 products and exponentials more. */
static const double bound = 64 * 128 * DBL_EPSILON;

static void compare(struct trial trial, const char *what)
{
    static double whole[4][ROOM], parts[4][ROOM];
    static const char *const names[] = {"output", "d query", "d key", "d value"};
    static const size_t count[] = {SAMPLES * N * HEADS * WIDTH, SAMPLES * N * HEADS * WIDTH,
                                   SAMPLES * KEYS * KEY_HEADS * WIDTH,
                                   SAMPLES * KEYS * KEY_HEADS * WIDTH};
    struct trial one = trial;
    one.way = WHOLE;
    bool computed = compute(&one, whole) && compute(&trial, parts);
    ok(computed, "%s: both compute", what);
    for (int k = 0; computed && k < 4; k++) {
        double distance = 0;
        for (size_t i = 0; i < count[k]; i++)
            distance = fmax(distance, fabs(whole[k][i] - parts[k][i]));
        ok(distance <= bound, "%s: %s differs by %.2g (bound %.2g)", what, names[k], distance,
           bound);
    }
}

static bool same(tape *t, tensor x, tensor y)
{
    return x && y && memcmp(x->data, y->data, elements_of(x) * t->kernels->element) == 0;
}

static bool all_are(tape *t, tensor x, double value)
{
    return same(t, x, tape_filled(t, x->shape, value));
}

static void no_keys(void)
{
    tape t;
    tape_open(&t, assay_kernels_def(ASSAY_F64));
    struct partial none = partial_empty(&t, 2, 3, 4), some;
    some = partial_next(&t, none, numbers(&t, 1, SHAPE(2, 3, 5)), numbers(&t, 2, SHAPE(2, 5, 4)), 0,
                        NULL);
    struct partial left = partial_merge(&t, none, some), right = partial_merge(&t, some, none);
    ok(same(&t, left.output, some.output) && same(&t, left.most, some.most)
           && same(&t, left.sum, some.sum) && same(&t, right.output, some.output)
           && same(&t, right.most, some.most) && same(&t, right.sum, some.sum),
       "the partial of no keys is the merge's neutral element, in bits");
    tensor masked = tape_filled(&t, SHAPE(2, 3, 5), MASKED_SCORE);
    struct partial blind = partial_next(&t, none, masked, numbers(&t, 2, SHAPE(2, 5, 4)), 0, NULL);
    ok(all_are(&t, blind.output, 0) && all_are(&t, blind.most, NO_SCORE)
           && all_are(&t, blind.sum, 0),
       "so is that of masked keys");
    ok(all_are(&t, partial_output(&t, blind), 0)
           && all_are(&t, partial_log_sum(&t, blind), -NO_SCORE),
       "its output is 0, and its log-sum stands for infinity");
    struct planes p = {.causal = true, .queries = 6, .keys = 4, .first = -2};
    ok(first_query(&p, 0) == 2 && first_query(&p, 3) == 5, "the last query sees the last key");
    p.causal = false;
    ok(first_query(&p, 3) == 0, "without order all see all");
    tape_close(&t);
}

/* ---- aside ---- */

static void twice(tape *t, void *closure, tensor *y)
{
    tensor sum = add(t, y[0], y[0]);
    tape_mark(t, ASSAY_TRACE, "aside", sum, 0);
    y[0] = closure ? slice(t, sum, 0, 0, 1) : sum;
}

static void made_and_forgotten(void)
{
    tape t;
    tape_open(&t, assay_kernels_def(ASSAY_F64));
    t.recording = true;
    tensor y = tape_filled(&t, SHAPE(64), 3), x = y;
    size_t live = t.live;
    for (int i = 0; i < 3; i++)
        made_aside(&t, 1, &y, twice, NULL);
    ok(!tape_error(&t) && y == x && all_are(&t, y, 24),
       "what is made aside takes the leaf's place");
    tape_reset(&t);
    y = tape_filled(&t, SHAPE(64), 3);
    made_aside(&t, 1, &y, twice, NULL);
    ok(t.live == live && t.nodes == 0 && t.marks == 0 && t.recording,
       "no memory, node or mark is left of it");
    t.describing = true;
    made_aside(&t, 1, &y, twice, NULL);
    ok(y && y->description && all_are(&t, y, 12), "a tape that describes keeps its ops");
    t.describing = false;
    made_aside(&t, 1, &y, twice, &t);
    ok(tape_error(&t) && strstr(tape_error(&t), "a result of the shape that was there"),
       "another shape is refused: %s", tape_error(&t) ? tape_error(&t) : "");
    tape_close(&t);
}

int main(void)
{
    compare((struct trial){false, false, TILES}, "tiles");
    compare((struct trial){true, false, TILES}, "tiles in order");
    compare((struct trial){true, true, TILES}, "tiles in order, padded");
    compare((struct trial){false, true, MERGED}, "merged, padded");
    compare((struct trial){true, true, MERGED}, "merged, in order, padded");
    no_keys();
    made_and_forgotten();
    return done_testing();
}

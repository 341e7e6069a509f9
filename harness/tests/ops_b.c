/* SPDX-License-Identifier: Apache-2.0 */
/* The ops of attention, scans, moves, rows, decisions and losses, one case after the other:
 * gradients against GSL, bits of the forms and of the tables against each other, dry runs. Values
 * and errors: ops_b_values.c. */
#include <string.h>

#include "harness/tests/gradient.h"
#include "harness/tests/tap.h"
#include "ref/ops.h"

#define COUNT(array) ((int)(sizeof(array) / sizeof *(array)))
#define IDS(shape, ...) tape_input_i32(t, shape, (int32_t[]){__VA_ARGS__})

enum { ROOM = 4096, LEAVES = 5 };

/* Multiples of 1/8 in [-2, 2]. */
static void eighths(size_t n, unsigned seed, double *x)
{
    for (size_t i = 0; i < n; i++) {
        seed = seed * 1103515245u + 12345u;
        x[i] = ((double)(seed >> 16 & 31) - 15) / 8;
    }
}

static void variables(tape *t, int count, const struct gradient_leaf *leaf, tensor *x)
{
    for (int i = 0; i < count; i++) {
        double value[ROOM];
        eighths(shape_elements(leaf[i].shape), 7u + (unsigned)i, value);
        x[i] = tape_variable_f64(t, leaf[i].shape, leaf[i].value ? leaf[i].value : value);
    }
}

/* How a case is built: attention's form, and which of two outputs is used (b: both). */
struct use {
    bool explicit_form;
    char of;
};

#define BUILDER(name, made) \
    static tensor name(tape *t, const tensor *x, int n, void *context) \
    { \
        (void)n, (void)context; \
        return made; \
    }

static tensor flat(tape *t, tensor x)
{
    return reshape(t, x, SHAPE(elements_of(x)));
}

static tensor both(tape *t, tensor x, tensor y)
{
    return concat(t, 0, 2, (tensor[]){flat(t, x), flat(t, y)});
}

/* query [2, 3, 4, 5], key [2, 6, 2, 5], value [2, 6, 2, 3]; the second sample's last query has no
 * key. */
static tensor pairs_allowed(tape *t)
{
    return IDS(SHAPE(2, 1, 3, 6), 1, 1, 0, 1, 0, 1, 0, 1, 1, 0, 0, 0, 1, 0, 0, 0, 0, 1, /**/
               1, 1, 1, 1, 1, 1, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0, 0, 0);
}

static tensor keys_valid(tape *t)
{
    return IDS(SHAPE(2, 6), 1, 1, 1, 1, 1, 0, 1, 0, 1, 1, 1, 1);
}

static tensor queries_valid(tape *t)
{
    return IDS(SHAPE(2, 3), 1, 1, 0, 1, 1, 1);
}

#define ATTENTION(name, ...) \
    static tensor name(tape *t, const tensor *x, int n, void *context) \
    { \
        struct attention_options o = {__VA_ARGS__}; \
        (void)n; \
        o.explicit_form |= ((const struct use *)context)->explicit_form; \
        return attention(t, x[0], x[1], x[2], &o); \
    }

ATTENTION(attend, 0)
ATTENTION(attend_causal, .causal = true, .first = 2)
ATTENTION(attend_window, .windowed = true, .left = 1, .right = 1, .first = 2)
ATTENTION(attend_local, .causal = true, .windowed = true, .left = 2, .right = SIZE_MAX, .first = 1,
          .scale = 0.5)
ATTENTION(attend_allowed, .allowed = pairs_allowed(t))
ATTENTION(attend_uniform, .allowed = pairs_allowed(t), .uniform_if_empty = true)
ATTENTION(attend_valid, .key_valid = keys_valid(t), .query_valid = queries_valid(t))
ATTENTION(attend_bias, .bias = x[3])
ATTENTION(attend_cache, .keys = 4, .causal = true, .first = 1, .key_valid = keys_valid(t),
          .bias = x[3])
ATTENTION(attend_dropout, .dropout = 0.25, .name = "probabilities", .explicit_form = true)

static tensor attend_probability(tape *t, const tensor *x, int n, void *context)
{
    tensor p = TENSOR_NONE;
    struct attention_options o = {
        .causal = true, .first = 3, .explicit_form = true, .probability = &p};
    tensor y = attention(t, x[0], x[1], x[2], &o);
    char of = ((const struct use *)context)->of;
    (void)n;
    return of == 'b' ? both(t, y, p) : of == 'p' ? p : y;
}

/* log_sum is a constant to the derivative. */
static tensor attend_log_sum(tape *t, const tensor *x, int n, void *context)
{
    tensor log_sum = TENSOR_NONE;
    struct attention_options o = {.log_sum = &log_sum};
    (void)n, (void)context;
    tensor y = attention(t, x[0], x[1], x[2], &o);
    return multiply(t, y, permute(t, reshape(t, log_sum, SHAPE(2, 4, 3, 1)), (int[]){0, 2, 1, 3}));
}

BUILDER(scan_1, scan(t, x[0], x[1], x[2], 1))
BUILDER(scan_last, scan(t, x[0], x[1], TENSOR_NONE, -1))
BUILDER(matrix_plain, matrix_scan(t, x[0], x[1], x[2], TENSOR_NONE, TENSOR_NONE, NULL))
BUILDER(matrix_decay, matrix_scan(t, x[0], x[1], x[2], x[3], TENSOR_NONE, NULL))
BUILDER(matrix_start, matrix_scan(t, x[0], x[1], x[2], x[3], x[4], NULL))

static tensor matrix_end(tape *t, const tensor *x, int n, void *context)
{
    tensor end = TENSOR_NONE;
    tensor o = matrix_scan(t, x[0], x[1], x[2], x[3], x[4], &end);
    char of = ((const struct use *)context)->of;
    (void)n;
    return of == 'b' ? both(t, o, end) : of == 'e' ? end : o;
}

BUILDER(reshaped, reshape(t, x[0], SHAPE(4, 6)))
BUILDER(permuted, permute(t, x[0], (int[]){2, 0, 1}))
BUILDER(transposed, transpose(t, x[0], 0, -1))
BUILDER(expanded, expand(t, x[0], SHAPE(2, 3, 5, 4)))
BUILDER(joined, concat(t, 1, 3, (tensor[]){x[0], x[1], x[0]}))
BUILDER(sliced, slice(t, x[0], 1, 1, 2))
BUILDER(padded, pad(t, x[0], 1, 2, 1))
BUILDER(flipped, flip(t, x[0], 1))
BUILDER(rolled, roll(t, x[0], 1, -1))
BUILDER(gathered, gather_rows(t, x[0], IDS(SHAPE(2, 2), 1, 0, 1, 3)))
BUILDER(scattered, scatter_add_rows(t, 5, IDS(SHAPE(4), 1, 0, 1, 3), x[0]))
BUILDER(taken, take(t, x[0], IDS(SHAPE(2, 2), 2, 0, 1, 1)))
BUILDER(taken_last, take_last(t, x[0], IDS(SHAPE(2, 3, 2), 3, 0, 1, 1, 0, 2, 2, 2, 1, 0, 3, 1)))

static tensor table_of(tape *t, unsigned seed)
{
    double value[6];
    eighths(6, seed, value);
    return tape_input_f64(t, SHAPE(3, 2), value);
}

BUILDER(rotated, rotate(t, x[0], table_of(t, 1), table_of(t, 2), false))
BUILDER(rotated_pairs, rotate(t, x[0], table_of(t, 1), table_of(t, 2), true))
BUILDER(largest, take_last(t, x[0], top_k(t, x[0], 2, "largest")))
BUILDER(stopped, multiply(t, x[0], stop_gradient(t, square(t, x[0]))))
BUILDER(straight, multiply(t, st(t, round_to_even(t, x[0]), square(t, x[0])), x[0]))
BUILDER(dropped, dropout(t, x[0], 0.5, "draws"))
BUILDER(entropy, cross_entropy(t, x[0], IDS(SHAPE(2, 3), 0, 3, -1, 1, 1, 2), -1, 5))
BUILDER(squared_error, mean_squared_error(t, x[0], x[1], 24))

#define QKV \
    {.shape = SHAPE(2, 3, 4, 5)}, {.shape = SHAPE(2, 6, 2, 5)}, \
    { \
        .shape = SHAPE(2, 6, 2, 3) \
    }
#define BOX \
    { \
        .shape = SHAPE(2, 3, 4) \
    }

static const struct op_case {
    const char *statement;
    gradient_builder *build;
    int leaves;
    struct gradient_leaf leaf[LEAVES];
    char of;
} cases[] = {
    {"attention", attend, 3, {QKV}, 0},
    {"attention, causal", attend_causal, 3, {QKV}, 0},
    {"attention, window", attend_window, 3, {QKV}, 0},
    {"attention, causal window, scale", attend_local, 3, {QKV}, 0},
    {"attention, allowed pairs", attend_allowed, 3, {QKV}, 0},
    {"attention, uniform if empty", attend_uniform, 3, {QKV}, 0},
    {"attention, valid keys and queries", attend_valid, 3, {QKV}, 0},
    {"attention, bias of samples and heads",
     attend_bias,
     4,
     {QKV, {.shape = SHAPE(2, 4, 3, 6)}},
     0},
    {"attention, one bias", attend_bias, 4, {QKV, {.shape = SHAPE(1, 1, 3, 6)}}, 0},
    {"attention, cache not full", attend_cache, 4, {QKV, {.shape = SHAPE(1, 4, 3, 6)}}, 0},
    {"attention, dropout", attend_dropout, 3, {QKV}, 0},
    {"attention with probabilities, both used", attend_probability, 3, {QKV}, 'b'},
    {"attention with probabilities, they alone", attend_probability, 3, {QKV}, 'p'},
    {"attention with probabilities, output alone", attend_probability, 3, {QKV}, 'y'},
    {"attention with log sums", attend_log_sum, 3, {QKV}, 0},
    {"scan", scan_1, 3, {BOX, BOX, {.shape = SHAPE(2, 1, 4)}}, 0},
    {"scan, start without the axis", scan_1, 3, {BOX, BOX, {.shape = SHAPE(2, 4)}}, 0},
    {"scan over the last axis, no start", scan_last, 2, {BOX, BOX}, 0},
    {"matrix scan", matrix_plain, 3, {BOX, BOX, {.shape = SHAPE(2, 3, 5)}}, 0},
    {"matrix scan, one decay",
     matrix_decay,
     4,
     {BOX, BOX, {.shape = SHAPE(2, 3, 5)}, {.shape = SHAPE(2, 3)}},
     0},
    {"matrix scan, start",
     matrix_start,
     5,
     {BOX, BOX, {.shape = SHAPE(2, 3, 5)}, BOX, {.shape = SHAPE(2, 4, 5)}},
     0},
    {"matrix scan with end, both used",
     matrix_end,
     5,
     {BOX, BOX, {.shape = SHAPE(2, 3, 5)}, BOX, {.shape = SHAPE(2, 4, 5)}},
     'b'},
    {"matrix scan with end, it alone",
     matrix_end,
     5,
     {BOX, BOX, {.shape = SHAPE(2, 3, 5)}, BOX, {.shape = SHAPE(2, 4, 5)}},
     'e'},
    {"matrix scan with end, output alone",
     matrix_end,
     5,
     {BOX, BOX, {.shape = SHAPE(2, 3, 5)}, BOX, {.shape = SHAPE(2, 4, 5)}},
     'o'},
    {"reshape", reshaped, 1, {BOX}, 0},
    {"permute", permuted, 1, {BOX}, 0},
    {"transpose", transposed, 1, {BOX}, 0},
    {"expand", expanded, 1, {{.shape = SHAPE(3, 1, 4)}}, 0},
    {"concat", joined, 2, {BOX, {.shape = SHAPE(2, 2, 4)}}, 0},
    {"slice", sliced, 1, {BOX}, 0},
    {"pad", padded, 1, {BOX}, 0},
    {"flip", flipped, 1, {BOX}, 0},
    {"roll", rolled, 1, {BOX}, 0},
    {"gather_rows", gathered, 1, {{.shape = SHAPE(4, 3)}}, 0},
    {"scatter_add_rows", scattered, 1, {{.shape = SHAPE(4, 3)}}, 0},
    {"take", taken, 1, {BOX}, 0},
    {"take_last", taken_last, 1, {BOX}, 0},
    {"rotate", rotated, 1, {{.shape = SHAPE(2, 3, 2, 5)}}, 0},
    {"rotate, neighbours", rotated_pairs, 1, {{.shape = SHAPE(2, 3, 2, 5)}}, 0},
    {"top_k and take_last", largest, 1, {BOX}, 0},
    {"stop_gradient", stopped, 1, {BOX}, 0},
    {"st", straight, 1, {{.shape = SHAPE(2, 3, 4), .low = -2, .high = 2}}, 0},
    {"dropout", dropped, 1, {BOX}, 0},
    {"cross_entropy", entropy, 1, {BOX}, 0},
    {"mean_squared_error", squared_error, 2, {BOX, BOX}, 0},
};

/* Whether the builder leaves attention's form to its user. */
static bool has_forms(const struct op_case *c)
{
    return c->build == attend || c->build == attend_causal || c->build == attend_window
           || c->build == attend_local || c->build == attend_allowed || c->build == attend_uniform
           || c->build == attend_valid || c->build == attend_bias || c->build == attend_cache;
}

static void gradients(void)
{
    for (int i = 0; i < COUNT(cases); i++) {
        struct use use = {false, cases[i].of};
        gradient_ok(assay_kernels_def(ASSAY_F64), cases[i].build, &use, cases[i].leaves,
                    cases[i].leaf, 11, cases[i].statement);
    }
}

/* One forward and backward with the cotangent's elements in eighths. */
struct outcome {
    char error[512];
    struct assay_shape shape;
    struct assay_counts counts;
    size_t values;
    double value[ROOM]; /* the result, then the gradient of each leaf */
};

static void run(const struct assay_kernels *kernels, const struct op_case *c, bool explicit_form,
                struct outcome *out)
{
    tape t;
    tensor x[LEAVES];
    double cotangent[ROOM];
    struct use use = {explicit_form, c->of};
    *out = (struct outcome){.error = "no table"};
    if (!kernels || tape_open(&t, kernels))
        return;
    variables(&t, c->leaves, c->leaf, x);
    tensor y = c->build(&t, x, c->leaves, &use);
    eighths(elements_of(y), 3, cotangent);
    tensor d = y ? tape_input_f64(&t, y->shape, cotangent) : TENSOR_NONE;
    tape_backward_from(&t, 1, &y, &d);
    memcpy(out->error, t.error, sizeof out->error);
    if (y && !t.error[0]) {
        out->shape = y->shape;
        out->counts = t.counts;
        tensor_read(&t, y, out->value);
        out->values = elements_of(y);
        for (int i = 0; i < c->leaves; i++) {
            gradient_read(&t, x[i], out->value + out->values);
            out->values += elements_of(x[i]);
        }
    }
    tape_close(&t);
}

static bool same_bits(const struct outcome *a, const struct outcome *b)
{
    if (a->error[0] || b->error[0])
        diag("%s", a->error[0] ? a->error : b->error);
    return !a->error[0] && !b->error[0] && a->values > 0 && a->values == b->values
           && memcmp(a->value, b->value, a->values * sizeof a->value[0]) == 0;
}

static void bits(enum assay_profile profile)
{
    static struct outcome def, other;
    for (int i = 0; i < COUNT(cases); i++) {
        run(assay_kernels_def(profile), &cases[i], false, &def);
        run(assay_kernels_cpu(profile, NULL), &cases[i], false, &other);
        ok(same_bits(&def, &other), "%s: cpu has def's bits, binary%d", cases[i].statement,
           (int)profile);
        if (!has_forms(&cases[i]))
            continue;
        run(assay_kernels_def(profile), &cases[i], true, &other);
        ok(same_bits(&def, &other), "%s: the explicit form has the same bits, binary%d",
           cases[i].statement, (int)profile);
        run(assay_kernels_cpu(profile, NULL), &cases[i], true, &other);
        ok(same_bits(&def, &other), "%s: and so has cpu's, binary%d", cases[i].statement,
           (int)profile);
    }
}

static void dry_runs(void)
{
    static struct outcome def, dry;
    for (int i = 0; i < COUNT(cases); i++) {
        run(assay_kernels_def(ASSAY_F32), &cases[i], false, &def);
        run(assay_kernels_dry(ASSAY_F32), &cases[i], false, &dry);
        bool same = shape_equal(def.shape, dry.shape)
                    && def.counts.multiply_adds == dry.counts.multiply_adds
                    && def.counts.elements == dry.counts.elements
                    && def.counts.multiply_adds + def.counts.elements > 0;
        ok(same && !def.error[0] && !dry.error[0], "%s: a dry run has the shape and the counts",
           cases[i].statement);
        if (!same)
            diag("%llu and %llu products, %llu and %llu elements %s",
                 (unsigned long long)def.counts.multiply_adds,
                 (unsigned long long)dry.counts.multiply_adds,
                 (unsigned long long)def.counts.elements, (unsigned long long)dry.counts.elements,
                 dry.error);
    }
}

int main(void)
{
    gradients();
    bits(ASSAY_F32);
    bits(ASSAY_F64);
    dry_runs();
    return done_testing();
}

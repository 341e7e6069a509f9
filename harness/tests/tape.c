/* SPDX-License-Identifier: Apache-2.0 */
/* The tape: order of sums in gradients, bad operands, dry runs, memory, marks, holding. */
#include "ref/tape.h"

#include <malloc.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "harness/tests/tap.h"
#include "ref/ops.h"
#include "ref/tape/op.h"

/* A request that no machine can meet has to fail, under the address sanitizer too. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
    return "allocator_may_return_null=1";
}

#define COUNT(array) ((int)(sizeof(array) / sizeof *(array)))

enum { ROOM = 1024 };

/* Full binary32 fractions of [-1, 1), so that the order of a sum is seen in its bits. */
static void fractions(size_t n, unsigned seed, float *x)
{
    for (size_t i = 0; i < n; i++) {
        seed = seed * 1664525u + 1013904223u;
        x[i] = (float)(seed >> 8) * 0x1p-23f - 1;
    }
}

static tensor variable(tape *t, struct assay_shape shape, const float *x)
{
    double wide[ROOM];
    for (size_t i = 0; i < shape_elements(shape); i++)
        wide[i] = x[i];
    return tape_variable_f64(t, shape, wide);
}

static bool gradient_is(tape *t, tensor x, const float *expected)
{
    double got[ROOM];
    bool same = gradient_read(t, x, got);
    for (size_t i = 0; same && i < elements_of(x); i++)
        same = got[i] == (double)expected[i];
    return same;
}

/* d = what arrives at [d] from [b, n, d]: rows of a sample ascending, then the samples. */
static void broadcast_order(tape *t)
{
    enum { B = 3, N = 37, D = 5 };
    float x[B * N * D], dz[B * N * D], total[D] = {0}, rows[D] = {0};
    fractions(B * N * D, 1, x);
    fractions(B * N * D, 2, dz);
    for (int b = 0; b < B; b++) {
        float sample[D] = {0};
        for (int i = 0; i < N; i++)
            for (int j = 0; j < D; j++) {
                sample[j] += dz[(b * N + i) * D + j];
                rows[j] += dz[(b * N + i) * D + j];
            }
        for (int j = 0; j < D; j++)
            total[j] += sample[j];
    }
    tape_reset(t);
    tensor y = variable(t, SHAPE(D), x), one = variable(t, SHAPE(D), x);
    tensor cotangent = tape_input_f32(t, SHAPE(B, N, D), dz);
    tensor ones = tape_filled(t, SHAPE(B, N, D), 1);
    tensor z[2] = {add(t, variable(t, SHAPE(B, N, D), x), y), multiply(t, ones, one)};
    tape_backward_from(t, 2, z, (tensor[]){cotangent, cotangent});
    ok(gradient_is(t, y, total),
       "add: a repeated operand's gradient is summed last axis first, one axis at a time");
    ok(gradient_is(t, one, total), "multiply: the same");
    ok(memcmp(rows, total, sizeof rows) != 0, "... which one sum over all rows is not");

    float w[D * D];
    fractions(D * D, 3, w);
    tape_reset(t);
    tensor weight = variable(t, SHAPE(D, D), w), bias = variable(t, SHAPE(D), w);
    tensor v = linear(t, tape_input_f32(t, SHAPE(B, N, D), x), weight, bias);
    cotangent = tape_input_f32(t, SHAPE(B, N, D), dz);
    tape_backward_from(t, 1, &v, &cotangent);
    ok(gradient_is(t, bias, rows), "linear: the bias's gradient is one sum over all rows");
    float dw[D * D] = {0};
    for (int r = 0; r < B * N; r++)
        for (int i = 0; i < D; i++)
            for (int j = 0; j < D; j++)
                dw[i * D + j] = fmaf(x[r * D + i], dz[r * D + j], dw[i * D + j]);
    ok(gradient_is(t, weight, dw), "linear: the weight's gradient is one chain over all rows");

    /* a [B, N, D] as [k, m]: y [B, D, D] = a^T b with b [N, D] for all samples. */
    float db[N * D] = {0};
    for (int s = 0; s < B; s++)
        for (int i = 0; i < D; i++)
            for (int p = 0; p < N; p++)
                for (int j = 0; j < D; j++)
                    db[p * D + j] =
                        fmaf(x[(s * N + p) * D + i], dz[(s * D + i) * D + j], db[p * D + j]);
    tape_reset(t);
    tensor b = variable(t, SHAPE(N, D), x);
    tensor y2 = matmul_tn(t, tape_input_f32(t, SHAPE(B, N, D), x), b);
    cotangent = tape_input_f32(t, SHAPE(B, D, D), dz);
    tape_backward_from(t, 1, &y2, &cotangent);
    ok(gradient_is(t, b, db),
       "matmul_tn: a shared b's gradient is one chain over the rows of all samples");
}

/* Contributions arrive from the last op to the first, each completed before it is added. */
static void contribution_order(tape *t)
{
    float x[3] = {0x1p-24f, 1, -0x1p-24f}, expected[1] = {((0.0f + x[2]) + x[1]) + x[0]};
    tape_reset(t);
    tensor v = variable(t, SHAPE(1), (float[]){0.5f});
    tensor y[3], c[3];
    for (int i = 0; i < 3; i++) {
        y[i] = scale(t, v, 1);
        c[i] = tape_input_f32(t, SHAPE(1), &x[i]);
    }
    tape_backward_from(t, 3, y, c);
    ok(gradient_is(t, v, expected), "contributions are added in descending tape order");
    tape_reset(t);
    v = variable(t, SHAPE(1), x);
    double none;
    ok(!gradient_read(t, v, &none) && none == 0, "a gradient that nothing reached reads as 0");
    t->recording = false;
    tensor s = sum_all(t, v);
    ok(!s->needs_gradient, "a tape that doesn't record keeps nothing for a backward pass");
    tape_backward(t, s);
    ok(tape_error(t) && strstr(tape_error(t), "recording"), "... and a backward pass says so: %s",
       tape_error(t));
    t->recording = true;
}

/* Bad operands */

struct operands {
    tensor m23, m34, v4, v3, b234, c243, i3, scalar;
};

#define BAD(made) static tensor made(tape *t, const struct operands *o)
BAD(bad_matmul)
{
    return matmul(t, o->m34, o->m23);
}
BAD(bad_matmul_nt)
{
    return matmul_nt(t, o->m23, o->m34);
}
BAD(bad_matmul_tn)
{
    return matmul_tn(t, o->b234, o->c243);
}
BAD(bad_matmul_rank)
{
    return matmul(t, o->m23, o->b234);
}
BAD(bad_linear)
{
    return linear(t, o->m23, o->m34, o->v3);
}
BAD(bad_add)
{
    return add(t, o->m23, o->v4);
}
BAD(bad_type)
{
    return multiply(t, o->m23, o->i3);
}
BAD(bad_choose)
{
    return choose(t, o->i3, o->v3, o->m23);
}
BAD(bad_axis)
{
    return sum_over(t, o->m23, 2);
}
BAD(bad_mean)
{
    return mean_over(t, o->scalar, 0);
}
BAD(bad_cumulative)
{
    return cumulative_sum(t, o->v4, -2);
}
BAD(bad_max)
{
    (void)o;
    return max_over(t, tape_filled(t, SHAPE(2, 0), 0), 1);
}
BAD(bad_softmax)
{
    return softmax(t, o->m34, -1, o->i3, false);
}
BAD(bad_log_sum_exp)
{
    return log_sum_exp(t, o->m34, 2, TENSOR_NONE);
}
BAD(bad_layer_norm)
{
    return layer_norm(t, o->m34, o->v4, o->v3, 1e-5);
}
BAD(bad_rms_norm)
{
    return rms_norm(t, o->m34, o->v3, 1e-5);
}
BAD(bad_logarithm)
{
    return logarithm(t, negate(t, o->v3));
}
BAD(bad_divisor)
{
    return divide_by(t, o->v3, 0);
}
BAD(bad_none)
{
    (void)o;
    return hyperbolic_tangent(t, TENSOR_NONE);
}

static const struct bad_case {
    tensor (*make)(tape *, const struct operands *);
    const char *message;
} bad_cases[] = {
    {bad_matmul,
     "toy: block.1: matmul: expected a [.., m, k] and b [(..,) k, n], got [3, 4] and [2, 3]"},
    {bad_matmul_nt,
     "toy: block.1: matmul_nt: expected a [.., m, k] and b [(..,) n, k], got [2, 3] and [3, 4]"},
    {bad_matmul_tn, "toy: block.1: matmul_tn: expected a [.., k, m] and b [(..,) k, n], got [2, 3, "
                    "4] and [2, 4, 3]"},
    {bad_matmul_rank,
     "toy: block.1: matmul: expected a [.., m, k] and b [(..,) k, n], got [2, 3] and [2, 3, 4]"},
    {bad_linear, "toy: block.1: linear: expected x [.., in], weight [in, out] and bias [out] or "
                 "none, got [2, 3] and [3, 4] "
                 "and [3]"},
    {bad_add, "toy: block.1: add: expected shapes that are equal or 1 along each axis from the "
              "end, got [2, 3] and [4]"},
    {bad_type, "toy: block.1: multiply: expected real operands, got [2, 3] and i32 [3]"},
    {bad_choose, "toy: block.1: choose: expected condition, x and y of one shape, got i32 [3] and "
                 "[3] and [2, 3]"},
    {bad_axis, "toy: block.1: sum_over: expected an axis of the operand, got axis 2 of [2, 3]"},
    {bad_mean, "toy: block.1: mean_over: expected an axis of the operand, got axis 0 of []"},
    {bad_cumulative,
     "toy: block.1: cumulative_sum: expected an axis of the operand, got axis -2 of [4]"},
    {bad_max, "toy: block.1: max_over: expected an axis that isn't empty, got [2, 0]"},
    {bad_softmax, "toy: block.1: softmax: expected an allowed set that broadcasts to the operand, "
                  "got [3, 4] and i32 [3]"},
    {bad_log_sum_exp,
     "toy: block.1: log_sum_exp: expected an axis of the operand, got axis 2 of [3, 4]"},
    {bad_layer_norm, "toy: block.1: layer_norm: expected x [.., width], gain [width], bias "
                     "[width], got [3, 4] and [4] and [3]"},
    {bad_rms_norm,
     "toy: block.1: rms_norm: expected x [.., width], gain [width], got [3, 4] and [3]"},
    {bad_logarithm, "toy: block.1: logarithm: expected finite values, got "},
    {bad_divisor, "toy: block.1: divide_by: expected a divisor that isn't 0, got [3]"},
    {bad_none, "toy: block.1: hyperbolic_tangent: expected a tensor as operand 1, got none"},
};

static struct operands operands_of(tape *t)
{
    return (struct operands){tape_filled(t, SHAPE(2, 3), 1),    tape_filled(t, SHAPE(3, 4), 1),
                             tape_filled(t, SHAPE(4), 1),       tape_filled(t, SHAPE(3), 1),
                             tape_filled(t, SHAPE(2, 3, 4), 1), tape_filled(t, SHAPE(2, 4, 3), 1),
                             tape_input_i32(t, SHAPE(3), NULL), tape_filled(t, SCALAR_SHAPE, 1)};
}

/* Every op of these files on nothing: passes it on. */
static bool all_pass_on(tape *t)
{
    tensor n = TENSOR_NONE;
    const tensor made[] = {matmul(t, n, n),
                           matmul_nt(t, n, n),
                           matmul_tn(t, n, n),
                           linear(t, n, n, n),
                           add(t, n, n),
                           divide(t, n, n),
                           maximum(t, n, n),
                           choose(t, n, n, n),
                           gelu(t, n),
                           sum_over(t, n, 0),
                           mean_over(t, n, 0),
                           max_over(t, n, 0),
                           sum_all(t, n),
                           cumulative_sum(t, n, 0),
                           softmax(t, n, 0, n, false),
                           log_sum_exp(t, n, 0, n),
                           layer_norm(t, n, n, n, 0),
                           rms_norm(t, n, n, 0)};
    bool none = true;
    for (int i = 0; i < COUNT(made); i++)
        none &= made[i] == TENSOR_NONE;
    tape_backward(t, n);
    tape_mark(t, ASSAY_TRACE, "nothing", n, 0);
    double nothing;
    tensor_read(t, n, &nothing);
    return none && dim_of(n, 0) == 1 && rank_of(n) == 0 && elements_of(n) == 0
           && !gradient_read(t, n, &nothing);
}

static void errors(tape *t)
{
    for (int i = 0; i < COUNT(bad_cases); i++) {
        tape_reset(t);
        strcpy(t->where, "toy: block.1");
        struct operands o = operands_of(t);
        const struct bad_case *c = &bad_cases[i];
        tensor y = c->make(t, &o);
        const char *got = tape_error(t);
        if (!ok(!y && got && !strncmp(got, c->message, strlen(c->message)), "%s", c->message))
            diag("got %s", got ? got : "no error");
    }
    tape_reset(t);
    struct operands o = operands_of(t);
    bad_add(t, &o);
    char first[512];
    strcpy(first, tape_error(t));
    bad_axis(t, &o);
    ok(all_pass_on(t) && !matmul(t, o.m23, o.m34) && !strcmp(first, tape_error(t)),
       "the first error stays, and ops pass it on");
    tape_reset(t);
    ok(!tape_error(t), "tape_reset forgets the error");
    tensor huge = tape_filled(t, SHAPE((size_t)1 << 40, (size_t)1 << 40), 1);
    ok(!huge && strstr(tape_error(t), "out of memory"),
       "a size that overflows is out of memory: %s", tape_error(t));
    tape_reset(t);
    huge = tape_filled(t, SHAPE((size_t)1 << 55), 1);
    ok(!huge && strstr(tape_error(t), "out of memory"), "more than there is is out of memory: %s",
       tape_error(t));
    tape_reset(t);
    ok(bad_add(t, &o) == TENSOR_NONE, "a tape lives on after it");
}

/* A block with every kind of op; the parameters live outside. */
struct block {
    void *data, *gradient;
};

static tensor block_loss(tape *t, const struct block *p, tensor shapes[3])
{
    struct assay_shape square = SHAPE(8, 8), vector = SHAPE(8);
    tensor w = tape_parameter(t, square, p->data, p->gradient),
           g = tape_parameter(t, vector, p->data, p->gradient);
    tensor x = tape_filled(t, SHAPE(2, 5, 8), 0.25);
    tensor h =
        layer_norm(t, add(t, linear(t, x, w, g), tape_filled(t, SHAPE(5, 1), 0.5)), g, g, 1e-5);
    tensor a = softmax(t, matmul_nt(t, h, h), -1,
                       tape_input_i32(t, SHAPE(5, 1), (int32_t[]){1, 1, 0, 1, 1}), false);
    tensor y = rms_norm(t, matmul(t, a, multiply(t, h, g)), g, 1e-5);
    shapes[0] = max_over(t, y, 1);
    shapes[1] = divide(t, mean_over(t, gelu(t, y), -1), tape_filled(t, SHAPE(2, 1, 1), 3));
    shapes[2] = matmul_tn(t, cumulative_sum(t, y, 1), log_sum_exp(t, y, 2, TENSOR_NONE));
    return add(t, sum_all(t, shapes[0]), add(t, sum_all(t, shapes[1]), sum_all(t, shapes[2])));
}

static void dry_run(tape *t, tape *dry)
{
    float weight[64], gradient[64] = {0};
    fractions(64, 4, weight);
    tensor real_one[3], dry_one[3];
    tape_reset(t);
    tape_reset(dry);
    t->counts = dry->counts = (struct assay_counts){0};
    tensor loss = block_loss(t, &(struct block){weight, gradient}, real_one);
    struct assay_counts forward = t->counts;
    tape_backward(t, loss);
    tensor dry_loss = block_loss(dry, &(struct block){NULL, gradient}, dry_one);
    ok(!tape_error(t) && !tape_error(dry), "a block runs on a real and on a dry tape");
    if (tape_error(t) || tape_error(dry)) {
        diag("%s", tape_error(t) ? tape_error(t) : tape_error(dry));
        return;
    }
    ok(!memcmp(&forward, &dry->counts, sizeof forward),
       "the dry forward counts what the real one does");
    /* linear: 10 x 8 x 8, scores and values: 2 x 5 x 5 x 8 each, last product: 2 x 8 x 1 x 5. */
    ok(forward.multiply_adds == 640 + 2 * 400 + 80, "multiply-adds are those of the products: %llu",
       (unsigned long long)forward.multiply_adds);
    tape_backward(dry, dry_loss);
    bool same = true;
    for (int i = 0; i < 3; i++)
        same &= shape_equal(real_one[i]->shape, dry_one[i]->shape);
    ok(same, "shapes are the same");
    ok(!memcmp(&t->counts, &dry->counts, sizeof dry->counts),
       "the dry backward counts what the real one does: %llu bytes at most",
       (unsigned long long)dry->counts.bytes);
    /* Of linear only the weight wants a gradient; of the others both factors do. */
    ok(t->counts.multiply_adds == forward.multiply_adds + 640 + 2 * (2 * 400 + 80),
       "the backward of a product is two products");
    double values[16];
    tensor_read(dry, dry_one[0], values);
    ok(values[0] == 0 && values[15] == 0, "a dry value reads as 0");
}

static size_t memory_in_use(void)
{
    struct mallinfo2 m = mallinfo2();
    return m.uordblks + m.hblkhd;
}

static void memory(tape *t)
{
    float weight[64], gradient[64];
    fractions(64, 5, weight);
    tensor kept[3];
    size_t before = 0, bytes = 0;
    bool same = true;
    for (int step = 0; step < 4; step++) {
        memset(gradient, 0, sizeof gradient);
        tape_reset(t);
        t->counts.bytes = 0;
        for (int repeat = 0; repeat < 40; repeat++)
            tape_backward(t, block_loss(t, &(struct block){weight, gradient}, kept));
        tape_mark(t, ASSAY_TRACE, tape_string(t, "block.%d", 1), kept[0], 0);
        if (step) {
            same &= memory_in_use() == before && t->counts.bytes == bytes;
        }
        before = memory_in_use();
        bytes = t->counts.bytes;
    }
    ok(same && bytes > 1 << 17, "a tape allocates nothing after the first step of %zu bytes",
       bytes);
    ok(t->marks == 1 && !strcmp(t->marked[0].name, "block.1"), "a mark keeps its name");
    size_t live = t->live;
    struct op_loan loan = op_borrow(t);
    void *lent = tape_allocate(t, 1);
    for (int i = 0; i < 100; i++)
        op_memory(t, 4096);
    op_give_back(t, loan);
    ok(t->live == live && tape_allocate(t, 1) == lent, "memory that was lent is used again");
    void *p = tape_allocate(t, 1);
    ok((uintptr_t)p % 64 == 0, "the arena is aligned to 64 bytes");
}

static void holding(tape *t)
{
    int32_t value = 7;
    float half = 0.5f;
    tape_reset(t);
    t->freeze = ASSAY_HOLD_RECORD;
    tape_hold(t, &value, sizeof value);
    tape_hold(t, &half, sizeof half);
    t->freeze = ASSAY_HOLD_REPLAY;
    for (int run = 0; run < 2; run++) {
        tape_reset(t);
        value = 9;
        half = 3;
        tape_hold(t, &value, sizeof value);
        tape_hold(t, &half, sizeof half);
        ok(value == 7 && half == 0.5f, "run %d replays what was held", run + 1);
    }
    tape_hold(t, &value, sizeof value);
    ok(tape_error(t) != NULL, "more than was held is an error: %s", tape_error(t));
    tape_reset(t);
    tape_hold(t, &(char){0}, 1);
    ok(tape_error(t) != NULL, "another size than was held is an error");
    tape_forget_held(t);
    t->freeze = ASSAY_FREE;
    tape_reset(t);
    tape_hold(t, &value, sizeof value);
    ok(!tape_error(t) && t->holds == 0, "a free tape holds nothing");
}

int main(void)
{
    tape t, dry;
    if (!ok(tape_open(&t, assay_kernels_def(ASSAY_F32)) == 0
                && tape_open(&dry, assay_kernels_dry(ASSAY_F32)) == 0 && dry.dry,
            "tapes of binary32 open"))
        return done_testing();
    broadcast_order(&t);
    contribution_order(&t);
    errors(&t);
    dry_run(&t, &dry);
    memory(&t);
    holding(&t);
    tape_close(&t);
    tape_close(&dry);
    return done_testing();
}

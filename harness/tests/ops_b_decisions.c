/* SPDX-License-Identifier: Apache-2.0 */
/* What a derivative does not see: choices, stopped gradients, straight-through values, draws,
 * published gradients. */
#include <math.h>
#include <string.h>

#include "harness/tests/tap.h"
#include "ref/ops.h"

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

static bool has_minus_zero(const tape *t, tensor y)
{
    double got[ROOM];
    bool any = false;
    tensor_read(t, y, got);
    for (size_t i = 0; i < elements_of(y); i++)
        any |= got[i] == 0 && signbit(got[i]);
    return any;
}

static void decisions(tape *t)
{
    double x[8] = {1, 5, 5, 2, 0.5, -1, 4, 3};
    tensor v = tape_variable_f64(t, SHAPE(2, 4), x);
    tensor best = top_k(t, v, 2, "expert");
    ok(has_values(t, best, SHAPE(2, 2), (double[]){1, 2, 2, 3}, 0),
       "top_k is descending, ties to the lower index");
    ok(t->marks == 1 && t->marked[0].kind == ASSAY_DECISION && t->marked[0].value == best
           && t->marked[0].margin == 2.5 && strcmp(t->marked[0].name, "expert") == 0,
       "top_k is marked as a decision with the smallest gap at the cut");
    top_k(t, v, 4, "all");
    ok(isinf(t->marked[1].margin), "a decision that can't flip has an infinite margin");
    top_k(t, v, 1, "first");
    ok(t->marked[2].margin == 0, "a tie has margin 0");
    tensor stop = stop_gradient(t, v), soft = square(t, v), hard = round_to_even(t, v);
    tensor y = st(t, hard, soft);
    double expected[8];
    tensor_read(t, hard, expected);
    ok(has_values(t, y, SHAPE(2, 4), expected, 0), "st has the bits of hard");
    tape_backward(t, sum_all(t, multiply(t, y, stop)));
    double d[8], wanted[8];
    for (int i = 0; i < 8; i++)
        wanted[i] = 2 * x[i] * x[i];
    gradient_read(t, v, d);
    ok(memcmp(d, wanted, sizeof d) == 0,
       "the gradient goes to soft, and not through stop_gradient");
}

static void steps(tape *t)
{
    double x[6] = {0.5, 1.5, -0.25, -2.75, 3, 0};
    tensor v = tape_variable_f64(t, SHAPE(2, 3), x), y = nearest_integer(t, v, "codes");
    size_t first = t->marks - 1;
    ok(has_values(t, y, SHAPE(2, 3), (double[]){0, 2, 0, -3, 3, 0}, 0) && !y->needs_gradient
           && !has_minus_zero(t, y),
       "nearest_integer: ties to even, no -0, no gradient");
    const struct assay_marked *m = &t->marked[first];
    ok(m->kind == ASSAY_DECISION && m->value->type == ASSAY_I32 && ids_of(m->value)[3] == -3
           && m->margin == 0,
       "its integers are a decision; half an integer has margin 0");
    nearest_integer(t, tape_input_f64(t, SHAPE(2), (double[]){4.125, -7.25}), "wide");
    ok(t->marked[first + 1].margin == 0.25, "the margin is the distance from half an integer");
    tensor is = above_zero(t, offset(t, v, -0.125), "above");
    ok(is->type == ASSAY_I32
           && !memcmp(ids_of(is), (int32_t[]){1, 1, 0, 0, 1, 0}, 6 * sizeof(int32_t))
           && t->marked[first + 2].margin == 0.125,
       "above_zero is a decision with the smallest |x| as its margin");
    ok(!ids_of(above_zero(t, scale(t, v, 0), "zero"))[0], "zero is not above zero");
    struct assay_decided other[] = {{(int32_t[]){1, 2, 0, -3, 3, 0}, 6}, {(int32_t[6]){1}, 6}};
    t->decided = other;
    t->decisions = 2;
    t->decisions_taken = 0;
    y = nearest_integer(t, v, "codes");
    is = above_zero(t, v, "above");
    t->decided = NULL;
    ok(has_values(t, y, SHAPE(2, 3), (double[]){1, 2, 0, -3, 3, 0}, 0) && ids_of(is)[0]
           && !ids_of(is)[1] && t->flips == 3,
       "the decisions of another pass are taken, and what differs is counted");
    t->flips = t->decisions = t->decisions_taken = 0;
    nearest_integer(t, tape_filled(t, SHAPE(1), 0x1p31), "far");
    ok(tape_error(t)
           && !strcmp(tape_error(t),
                      "nearest_integer: expected numbers within i32, got 2.14748e+09"),
       "nearest_integer: what does not fit into i32 is an error");
    t->error[0] = '\0';
}

/* What a numerical derivative sees: choices and stopped values of the base point, st as hard + a
 * change of soft. */
static void held(tape *t)
{
    double x[3] = {1, 2, 3}, moved[3] = {3, 2, 1}, wanted[3] = {10, 4, -2};
    tensor v = tape_input_f64(t, SHAPE(3), x), w = tape_input_f64(t, SHAPE(3), moved);
    t->freeze = ASSAY_HOLD_RECORD;
    top_k(t, v, 2, "held");
    nearest_integer(t, v, "held");
    above_zero(t, offset(t, v, -2), "held");
    stop_gradient(t, v);
    st(t, scale(t, v, 2), square(t, v));
    t->freeze = ASSAY_HOLD_REPLAY;
    tensor best = top_k(t, w, 2, "held"), whole = nearest_integer(t, w, "held");
    tensor above = above_zero(t, offset(t, w, -2), "held"), stop = stop_gradient(t, w);
    tensor y = st(t, scale(t, w, 2), square(t, w));
    t->freeze = ASSAY_FREE;
    tape_forget_held(t);
    ok(has_values(t, best, SHAPE(2), (double[]){2, 1}, 0) && has_values(t, whole, SHAPE(3), x, 0)
           && !ids_of(above)[0] && ids_of(above)[2],
       "held decisions stay");
    ok(has_values(t, stop, SHAPE(3), x, 0), "held stop_gradients stay");
    ok(has_values(t, w, SHAPE(3), moved, 0), "what is held doesn't reach the operand");
    ok(has_values(t, y, SHAPE(3), wanted, 0), "held st is hard plus the change of soft");
}

static void draws(tape *t, const struct assay_kernels *other)
{
    tape u;
    if (tape_open(&u, other))
        return;
    double all[ROOM], some[ROOM], rows[ROOM], narrow[ROOM];
    tensor_read(t, dropout(t, tape_filled(t, SHAPE(8, 6), 1), 0.25, "layer.0"), all);
    t->sample = (uint32_t[]){6, 1};
    t->samples = 2;
    tensor_read(t, dropout(t, tape_filled(t, SHAPE(2, 2, 3), 1), 0.25, "layer.0"), some);
    ok(memcmp(some, all + 36, 6 * sizeof *all) == 0
           && memcmp(some + 6, all + 6, 6 * sizeof *all) == 0,
       "a sample's draws are its own, whatever the shard");
    tensor_read(t, dropout(t, tape_filled(t, SHAPE(4, 3), 1), 0.25, "layer.0"), rows);
    ok(memcmp(rows, some, 12 * sizeof *all) == 0, "whether they are one row or several");
    dropout(t, tape_filled(t, SHAPE(3, 2), 1), 0.25, "layer.0");
    ok(tape_error(t) && strstr(tape_error(t), "2 samples, got 3"),
       "another number of samples is an error");
    t->error[0] = '\0';
    t->sample = NULL;
    tensor_read(&u, dropout(&u, tape_filled(&u, SHAPE(8, 6), 1), 0.25, "layer.0"), narrow);
    int dropped = 0;
    bool same = true;
    for (int i = 0; i < 48; i++) {
        dropped += all[i] == 0;
        same &= (all[i] == 0) == (narrow[i] == 0) && (all[i] == 0 || all[i] == 1 / 0.75);
    }
    ok(same && dropped > 0 && dropped < 48,
       "both profiles drop the same elements and divide the others by keep");
    tensor_read(t, dropout(t, tape_filled(t, SHAPE(8, 6), 1), 0.25, "layer.1"), some);
    ok(memcmp(some, all, 48 * sizeof *all) != 0, "another name draws differently");
    tensor x = tape_filled(t, SHAPE(8, 6), 1);
    ok(dropout(t, x, 0, "layer.0") == x, "rate 0 is x itself");
    tensor_read(t, uniform_draws(t, SHAPE(8, 6), "layer.0"), some);
    for (int i = 0; i < 48; i++)
        same &= (some[i] >= 0.75) == (all[i] == 0) && some[i] > 0;
    ok(same, "uniform draws are what dropout compares with");
    tensor_read(&u, uniform_draws(&u, SHAPE(8, 6), "layer.0"), narrow);
    t->step = 1;
    tensor_read(t, uniform_draws(t, SHAPE(8, 6), "layer.0"), all);
    t->step = 0;
    ok(memcmp(some, narrow, 48 * sizeof *some) == 0 && memcmp(some, all, 48 * sizeof *some) != 0,
       "alike in both profiles, other ones in another step");
    tape_close(&u);
}

/* dL/dx = 3 d, dL/dy none; makes a decision on the way, which must not be kept. */
static void published(tape *t, void *closure, tensor d_value, tensor *gradient)
{
    top_k(t, d_value, 1, "inner");
    gradient[0] = scale(t, d_value, *(double *)closure);
}

static void unfit(tape *t, void *closure, tensor d_value, tensor *gradient)
{
    (void)closure;
    gradient[0] = sum_over(t, d_value, -1);
}

static void customs(tape *t)
{
    double x[6], d[6], three = 3;
    tensor tx = eighths(t, SHAPE(6), 1, x), ty = eighths(t, SHAPE(6), 2, NULL);
    tensor y = custom(t, "clipped", multiply(t, tx, ty), 2, (tensor[]){tx, ty}, published, &three);
    tensor loss = sum_all(t, y);
    size_t nodes = t->nodes;
    tape_backward(t, loss);
    gradient_read(t, tx, d);
    bool all = true;
    for (int i = 0; i < 6; i++)
        all &= d[i] == 3;
    ok(all && !tape_error(t), "custom has the gradient that was published");
    gradient_read(t, ty, d);
    bool none = true;
    for (int i = 0; i < 6; i++)
        none &= d[i] == 0;
    ok(none, "nothing else flows through its value");
    ok(t->nodes == nodes && t->marks == 0, "what its backward made is forgotten");
    y = custom(t, "clipped", multiply(t, tx, ty), 1, (tensor[]){tx}, unfit, NULL);
    tape_backward(t, sum_all(t, y));
    ok(tape_error(t)
           && !strcmp(tape_error(t),
                      "clipped: expected a gradient of its input's shape, got [6] and [1]"),
       "a published gradient of another shape is an error");
}

struct keeping {
    tensor kept;
};

/* dL/dx = 1.5 d; keeps 2 d. */
static void keeping(tape *t, void *closure, tensor d_value, tensor *gradient)
{
    struct keeping *k = closure;
    k->kept = tape_keep(t, scale(t, d_value, 2));
    gradient[0] = scale(t, d_value, 1.5);
}

/* Two backwards, one after the other: the second reuses the memory of the first. */
static void kept(tape *t)
{
    struct keeping one = {0}, two = {0};
    double x[6];
    tape_reset(t);
    tensor tx = eighths(t, SHAPE(6), 1, x);
    tensor y = custom(t, "one", scale(t, tx, 1), 1, (tensor[]){tx}, keeping, &one);
    y = custom(t, "two", scale(t, y, 1), 1, (tensor[]){y}, keeping, &two);
    size_t live = t->live;
    tape_backward(t, sum_all(t, scale(t, y, 2)));
    ok(has_values(t, one.kept, SHAPE(6), (double[]){6, 6, 6, 6, 6, 6}, 0)
           && has_values(t, two.kept, SHAPE(6), (double[]){4, 4, 4, 4, 4, 4}, 0),
       "what a backward keeps lasts");
    ok(t->kept > 0 && t->live > live + t->kept, "kept bytes are in use");
    size_t resident = tape_resident(t);
    for (int i = 0; i < 3; i++) {
        tape_reset(t);
        tx = eighths(t, SHAPE(6), 1, x);
        y = custom(t, "one", scale(t, tx, 1), 1, (tensor[]){tx}, keeping, &one);
        y = custom(t, "two", scale(t, y, 1), 1, (tensor[]){y}, keeping, &two);
        tape_backward(t, sum_all(t, scale(t, y, 2)));
    }
    ok(tape_resident(t) == resident, "until the tape is reset");
}

int main(void)
{
    tape t;
    if (tape_open(&t, assay_kernels_def(ASSAY_F64)))
        return 2;
    decisions(&t);
    steps(&t);
    held(&t);
    draws(&t, assay_kernels_def(ASSAY_F32));
    tape_reset(&t);
    customs(&t);
    kept(&t);
    tape_close(&t);
    return done_testing();
}

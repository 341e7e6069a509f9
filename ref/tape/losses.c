/* SPDX-License-Identifier: Apache-2.0 */
/* Losses: a sum over what the tape holds, divided by a denominator that was known before the
 * forward. */
#include "ref/tape/op.h"

/* What the backward of a loss needs; row_max, row_sum: [rows], of the cross entropy. */
struct loss {
    double denominator;
    const int32_t *target;
    int32_t ignore;
    void *row_max, *row_sum;
};

static bool denominator_fits(tape *t, const char *op, double denominator)
{
    bool fits = denominator > 0 && denominator - denominator == 0;
    if (!fits)
        tape_fail(t, op, "expected a positive denominator, got %g", denominator);
    return fits;
}

/* y: one element = (sum of x, n elements as one last axis) / denominator. */
static void sum_and_divide(tape *t, size_t n, const void *x, double denominator, void *y)
{
    void *sum = op_memory(t, 1);
    if (!sum)
        return;
    t->kernels->sum(1, n, 1, x, sum, ASSAY_STORE);
    t->kernels->map(MAP_DIVIDE, 1, denominator, sum, y, ASSAY_STORE);
    op_wrote(t, 2);
}

/* n copies of dloss / denominator; NULL after an error. */
static void *share_of(tape *t, tensor y, double denominator, size_t n)
{
    void *share = op_memory(t, 1), *shares = op_memory(t, n);
    if (!shares)
        return NULL;
    t->kernels->map(MAP_DIVIDE, 1, denominator, y->gradient, share, ASSAY_STORE);
    struct assay_walk w = {.rank = 1, .dim = {n}, .x = {0}, .y = {1}, .z = {1}};
    t->kernels->copy(&w, share, shares, ASSAY_STORE);
    op_wrote(t, 1 + n);
    return shares;
}

/* dx = (dloss / denominator) * (softmax(x) - one-hot(target)), rows with the ignored target left
 * out. */
static void cross_entropy_gradients(tape *t, tensor y)
{
    const struct loss *l = y->saved;
    tensor x = y->input[0];
    void *dx = tape_gradient(t, x);
    if (!dx)
        return;
    struct op_loan loan = op_borrow(t);
    void *shares = share_of(t, y, l->denominator, rows_of(x));
    if (shares)
        t->kernels->cross_entropy_backward(rows_of(x), width_of(x), x->data, l->target, l->ignore,
                                           l->row_max, l->row_sum, shares, dx);
    op_wrote(t, elements_of(x));
    op_give_back(t, loan);
}

static const struct assay_op cross_entropy_op = {"cross_entropy", cross_entropy_gradients};

static bool targets_fit(tape *t, tensor logits, tensor target, int32_t ignore)
{
    const int32_t *wanted = ids_of(target);
    size_t classes = width_of(logits);
    for (size_t i = 0, n = elements_of(target); i < n; i++)
        if (wanted[i] != ignore && (wanted[i] < 0 || (size_t)wanted[i] >= classes)) {
            tape_fail(t, "cross_entropy", "target %d at position %zu is outside %zu classes",
                      (int)wanted[i], i, classes);
            return false;
        }
    return true;
}

static struct assay_shape leading(tensor x)
{
    struct assay_shape shape = x->shape;
    shape.rank--;
    return shape;
}

tensor cross_entropy(tape *t, tensor logits, tensor target, int32_t ignore, double denominator)
{
    const char *name = cross_entropy_op.name;
    if (!op_reals(t, name, TENSORS(logits)) || !op_ids(t, name, TENSORS(target))
        || !op_expect(t, name,
                      logits->shape.rank > 0 && shape_equal(leading(logits), target->shape),
                      "logits [.., classes] and i32 targets [..]", TENSORS(logits, target))
        || !denominator_fits(t, name, denominator) || !targets_fit(t, logits, target, ignore))
        return TENSOR_NONE;
    size_t rows = rows_of(logits);
    tensor y = tape_new(t, ASSAY_REAL, SCALAR_SHAPE);
    struct op_loan kept = op_borrow(t);
    struct loss *l = tape_allocate(t, sizeof *l);
    void *row_max = op_memory(t, rows), *row_sum = op_memory(t, rows);
    if (!row_sum)
        return TENSOR_NONE;
    *l = (struct loss){denominator, ids_of(target), ignore, row_max, row_sum};
    struct op_loan loan = op_borrow(t);
    void *losses = op_memory(t, rows);
    if (losses) {
        t->kernels->cross_entropy(rows, width_of(logits), logits->data, l->target, ignore, losses,
                                  row_max, row_sum);
        op_wrote(t, rows);
        sum_and_divide(t, rows, losses, denominator, y->data);
    }
    op_give_back(t, t->recording ? loan : kept);
    op_describe(t, y, name, TENSORS(logits, target), NUMBERS(ignore, denominator));
    return tape_record(t, &cross_entropy_op, y, TENSORS(logits), l);
}

/* dx = (2 * (x - y)) * (dloss / denominator), dy = -dx. */
static void squared_error_gradients(tape *t, tensor loss)
{
    const struct loss *l = loss->saved;
    tensor x = loss->input[0], y = loss->input[1];
    size_t n = elements_of(x);
    void *dx = tape_gradient(t, x), *dy = tape_gradient(t, y);
    struct op_loan loan = op_borrow(t);
    struct assay_walk w = {.rank = 1, .dim = {n}, .x = {1}, .y = {1}, .z = {1}};
    void *difference = op_memory(t, n), *twice = op_memory(t, n),
         *shares = share_of(t, loss, l->denominator, n);
    if (shares) {
        t->kernels->zip(ZIP_SUBTRACT, &w, x->data, y->data, difference, ASSAY_STORE);
        t->kernels->map(MAP_SCALE, n, 2, difference, twice, ASSAY_STORE);
        if (dx)
            t->kernels->zip(ZIP_MULTIPLY, &w, twice, shares, dx, ASSAY_ADD);
        if (dy)
            t->kernels->zip(ZIP_MULTIPLY, &w, twice, shares, dy, ASSAY_SUBTRACT);
    }
    op_wrote(t, (2u + (dx != NULL) + (dy != NULL)) * n);
    op_give_back(t, loan);
}

static const struct assay_op squared_error_op = {"mean_squared_error", squared_error_gradients};

tensor mean_squared_error(tape *t, tensor x, tensor y, double denominator)
{
    const char *name = squared_error_op.name;
    if (!op_reals(t, name, TENSORS(x, y))
        || !op_expect(t, name, shape_equal(x->shape, y->shape), "x and y of one shape",
                      TENSORS(x, y))
        || !denominator_fits(t, name, denominator))
        return TENSOR_NONE;
    size_t n = elements_of(x);
    tensor loss = tape_new(t, ASSAY_REAL, SCALAR_SHAPE);
    struct loss *l = tape_allocate(t, sizeof *l);
    if (!loss || !l)
        return TENSOR_NONE;
    *l = (struct loss){.denominator = denominator};
    struct op_loan loan = op_borrow(t);
    void *difference = op_memory(t, n), *squares = op_memory(t, n);
    if (squares) {
        struct assay_walk w = {.rank = 1, .dim = {n}, .x = {1}, .y = {1}, .z = {1}};
        t->kernels->zip(ZIP_SUBTRACT, &w, x->data, y->data, difference, ASSAY_STORE);
        t->kernels->map(MAP_SQUARE, n, 0, difference, squares, ASSAY_STORE);
        op_wrote(t, 2 * n);
        sum_and_divide(t, n, squares, denominator, loss->data);
    }
    op_give_back(t, loan);
    op_describe(t, loss, name, TENSORS(x, y), NUMBERS(denominator));
    return tape_record(t, &squared_error_op, loss, TENSORS(x, y), l);
}

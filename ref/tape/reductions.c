/* SPDX-License-Identifier: Apache-2.0 */
/* Reductions along one axis, which stays with size 1; the sum of everything; running sums. */
#include "ref/tape/op.h"

static struct assay_shape without(tensor x, int axis)
{
    struct assay_shape shape = x->shape;
    shape.dim[axis] = 1;
    return shape;
}

static bool axis_of(tape *t, const char *op, tensor x, int *axis)
{
    if (!op_reals(t, op, TENSORS(x)))
        return false;
    int wanted = *axis;
    *axis = op_axis(x, wanted);
    if (*axis >= 0)
        return true;
    char shape[96];
    tape_fail(t, op, "expected an axis of the operand, got axis %d of %s", wanted,
              shape_text(x->shape, shape));
    return false;
}

/* Around the axis that y lacks, the only one where the shapes differ; where none does it had one
 * element. */
static struct op_view reduced_view(tensor x, tensor y)
{
    for (int i = 0; i < x->shape.rank; i++)
        if (x->shape.dim[i] != y->shape.dim[i])
            return op_view_of(x, i);
    return (struct op_view){elements_of(x), 1, 1};
}

/* dx += dy, repeated along the axis. */
static void spread(tape *t, struct op_view v, const void *dy, void *dx)
{
    ptrdiff_t inner = (ptrdiff_t)v.inner, slice = (ptrdiff_t)(v.length * v.inner);
    struct assay_walk w = {
        .rank = 3, .dim = {v.outer, v.length, v.inner}, .x = {inner, 0, 1}, .y = {slice, inner, 1}};
    t->kernels->copy(&w, dy, dx, ASSAY_ADD);
    op_wrote(t, v.outer * v.length * v.inner);
}

static void sum_backward(tape *t, tensor y)
{
    void *dx = tape_gradient(t, y->input[0]);
    if (dx)
        spread(t, reduced_view(y->input[0], y), y->gradient, dx);
}

static const struct assay_op sum_op = {"sum_over", sum_backward};

tensor sum_over(tape *t, tensor x, int axis)
{
    tensor y =
        axis_of(t, "sum_over", x, &axis) ? tape_new(t, ASSAY_REAL, without(x, axis)) : TENSOR_NONE;
    if (!y)
        return TENSOR_NONE;
    struct op_view v = op_view_of(x, axis);
    t->kernels->sum(v.outer, v.length, v.inner, x->data, y->data, ASSAY_STORE);
    op_wrote(t, v.outer * v.inner);
    op_describe(t, y, sum_op.name, TENSORS(x), NUMBERS(axis));
    return tape_record(t, &sum_op, y, TENSORS(x), NULL);
}

/* dx = dy / count, repeated. */
static void mean_backward(tape *t, tensor y)
{
    void *dx = tape_gradient(t, y->input[0]);
    if (!dx)
        return;
    struct op_view v = reduced_view(y->input[0], y);
    struct op_loan loan = op_borrow(t);
    void *share = op_memory(t, v.outer * v.inner);
    if (share) {
        t->kernels->map(MAP_DIVIDE, v.outer * v.inner, (double)v.length, y->gradient, share,
                        ASSAY_STORE);
        op_wrote(t, v.outer * v.inner);
        spread(t, v, share, dx);
    }
    op_give_back(t, loan);
}

static const struct assay_op mean_op = {"mean_over", mean_backward};

tensor mean_over(tape *t, tensor x, int axis)
{
    if (!axis_of(t, "mean_over", x, &axis)
        || !op_expect(t, "mean_over", x->shape.dim[axis] > 0, "an axis that isn't empty",
                      TENSORS(x)))
        return TENSOR_NONE;
    tensor y = tape_new(t, ASSAY_REAL, without(x, axis));
    if (!y)
        return TENSOR_NONE;
    struct op_view v = op_view_of(x, axis);
    struct op_loan loan = op_borrow(t);
    void *sum = op_memory(t, v.outer * v.inner);
    if (sum) {
        t->kernels->sum(v.outer, v.length, v.inner, x->data, sum, ASSAY_STORE);
        t->kernels->map(MAP_DIVIDE, v.outer * v.inner, (double)v.length, sum, y->data, ASSAY_STORE);
    }
    op_give_back(t, loan);
    op_wrote(t, 2 * v.outer * v.inner);
    op_describe(t, y, mean_op.name, TENSORS(x), NUMBERS(axis));
    return tape_record(t, &mean_op, y, TENSORS(x), NULL);
}

/* saved: for each element of y, its element's index in x. */
static void max_backward(tape *t, tensor y)
{
    void *dx = tape_gradient(t, y->input[0]);
    if (!dx)
        return;
    t->kernels->scatter_add_rows(elements_of(y), 1, y->saved, y->gradient, dx);
    op_wrote(t, elements_of(y));
}

static const struct assay_op max_op = {"max_over", max_backward};

tensor max_over(tape *t, tensor x, int axis)
{
    if (!axis_of(t, "max_over", x, &axis)
        || !op_expect(t, "max_over", x->shape.dim[axis] > 0, "an axis that isn't empty", TENSORS(x))
        || !op_expect(t, "max_over", elements_of(x) <= INT32_MAX, "less than 2^31 elements",
                      TENSORS(x)))
        return TENSOR_NONE;
    tensor y = tape_new(t, ASSAY_REAL, without(x, axis));
    int32_t *index = y ? tape_allocate(t, elements_of(y) * sizeof *index) : NULL;
    if (!index)
        return TENSOR_NONE;
    struct op_view v = op_view_of(x, axis);
    t->kernels->max(v.outer, v.length, v.inner, x->data, y->data, index);
    op_wrote(t, elements_of(y));
    for (size_t o = 0; !t->dry && o < v.outer; o++)
        for (size_t i = 0; i < v.inner; i++) {
            int32_t *at = &index[o * v.inner + i];
            *at = (int32_t)((o * v.length + (size_t)*at) * v.inner + i);
        }
    op_describe(t, y, max_op.name, TENSORS(x), NUMBERS(axis));
    return tape_record(t, &max_op, y, TENSORS(x), index);
}

static void sum_all_backward(tape *t, tensor y)
{
    tensor x = y->input[0];
    void *dx = tape_gradient(t, x);
    if (dx)
        spread(t, (struct op_view){1, elements_of(x), 1}, y->gradient, dx);
}

static const struct assay_op sum_all_op = {"sum_all", sum_all_backward};

tensor sum_all(tape *t, tensor x)
{
    tensor y =
        op_reals(t, "sum_all", TENSORS(x)) ? tape_new(t, ASSAY_REAL, SCALAR_SHAPE) : TENSOR_NONE;
    if (!y)
        return TENSOR_NONE;
    op_reduce(t, x->shape, x->data, SCALAR_SHAPE, y->data, ASSAY_STORE);
    return tape_record(t, &sum_all_op, y, TENSORS(x), NULL);
}

/* saved: the view. The gradient is the running sum from the other end. */
static void cumulative_backward(tape *t, tensor y)
{
    const struct op_view *v = y->saved;
    void *dx = tape_gradient(t, y->input[0]);
    if (!dx)
        return;
    t->kernels->cumulative_sum(v->outer, v->length, v->inner, true, y->gradient, dx, ASSAY_ADD);
    op_wrote(t, elements_of(y));
}

static const struct assay_op cumulative_op = {"cumulative_sum", cumulative_backward};

tensor cumulative_sum(tape *t, tensor x, int axis)
{
    tensor y =
        axis_of(t, "cumulative_sum", x, &axis) ? tape_new(t, ASSAY_REAL, x->shape) : TENSOR_NONE;
    struct op_view *v = tape_allocate(t, sizeof *v);
    if (!y || !v)
        return TENSOR_NONE;
    *v = op_view_of(x, axis);
    t->kernels->cumulative_sum(v->outer, v->length, v->inner, false, x->data, y->data, ASSAY_STORE);
    op_wrote(t, elements_of(y));
    op_describe(t, y, cumulative_op.name, TENSORS(x), NUMBERS(axis));
    return tape_record(t, &cumulative_op, y, TENSORS(x), v);
}

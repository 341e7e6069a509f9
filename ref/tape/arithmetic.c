/* SPDX-License-Identifier: Apache-2.0 */
/* Arithmetic of two tensors with broadcasting, and choice by a condition. */
#include "ref/tape/op.h"

static bool broadcast_shape(struct assay_shape x, struct assay_shape y, struct assay_shape *z)
{
    *z = x.rank >= y.rank ? x : y;
    struct assay_shape other = x.rank >= y.rank ? y : x;
    for (int i = 1; i <= other.rank; i++)
        if (z->dim[z->rank - i] == 1)
            z->dim[z->rank - i] = other.dim[other.rank - i];
    return op_broadcasts(x, *z) && op_broadcasts(y, *z);
}

/* The index space of z: x repeated in operand x, y in operand y. */
static struct assay_walk walk_of(struct assay_shape x, struct assay_shape y, struct assay_shape z)
{
    struct assay_walk w = op_walk(z);
    op_broadcast(x, z, w.x);
    op_broadcast(y, z, w.y);
    return w;
}

static tensor zip_of(tape *t, const struct assay_op *op, enum assay_zip f, tensor x, tensor y)
{
    struct assay_shape shape;
    if (!op_reals(t, op->name, TENSORS(x, y))
        || !op_expect(t, op->name, broadcast_shape(x->shape, y->shape, &shape),
                      "shapes that are equal or 1 along each axis from the end", TENSORS(x, y)))
        return TENSOR_NONE;
    tensor z = tape_new(t, ASSAY_REAL, shape);
    if (!z)
        return TENSOR_NONE;
    struct assay_walk w = walk_of(x->shape, y->shape, shape);
    t->kernels->zip(f, &w, x->data, y->data, z->data, ASSAY_STORE);
    op_wrote(t, shape_elements(shape));
    return tape_record(t, op, z, TENSORS(x, y), NULL);
}

/* Where a contribution of z's shape is completed: in the gradient itself if the operand is as large
 * as z, else in scratch, from which it is summed over the repeated axes. */
struct contribution {
    void *to;
    enum assay_mode mode;
    void *gradient;
    enum assay_mode sum_mode;
    struct op_loan loan;
};

static bool contribution_open(tape *t, tensor z, tensor x, enum assay_mode mode,
                              struct contribution *c)
{
    void *gradient = tape_gradient(t, x);
    *c = (struct contribution){
        .to = gradient, .gradient = gradient, .mode = mode, .loan = op_borrow(t)};
    if (c->gradient && elements_of(x) != elements_of(z)) {
        c->to = op_memory(t, elements_of(z));
        c->mode = ASSAY_STORE;
        c->sum_mode = mode;
    }
    return c->to != NULL;
}

static void contribution_close(tape *t, tensor z, tensor x, const struct contribution *c)
{
    op_wrote(t, elements_of(z));
    if (c->to != c->gradient)
        op_reduce(t, z->shape, c->to, x->shape, c->gradient, c->sum_mode);
    op_give_back(t, c->loan);
}

static void add_backward(tape *t, tensor z)
{
    for (int i = 0; i < 2; i++) {
        void *d = tape_gradient(t, z->input[i]);
        if (d)
            op_reduce(t, z->shape, z->gradient, z->input[i]->shape, d, ASSAY_ADD);
    }
}

static void subtract_backward(tape *t, tensor z)
{
    for (int i = 0; i < 2; i++) {
        void *d = tape_gradient(t, z->input[i]);
        if (d)
            op_reduce(t, z->shape, z->gradient, z->input[i]->shape, d,
                      i ? ASSAY_SUBTRACT : ASSAY_ADD);
    }
}

/* dx = dz * y, dy = dz * x. */
static void multiply_backward(tape *t, tensor z)
{
    for (int i = 0; i < 2; i++) {
        tensor other = z->input[1 - i];
        struct contribution c;
        if (!contribution_open(t, z, z->input[i], ASSAY_ADD, &c))
            continue;
        struct assay_walk w = walk_of(z->shape, other->shape, z->shape);
        t->kernels->zip(ZIP_MULTIPLY, &w, z->gradient, other->data, c.to, c.mode);
        contribution_close(t, z, z->input[i], &c);
    }
}

/* dx = dz / y, dy = -((dz * z) / y). */
static void divide_backward(tape *t, tensor z)
{
    tensor x = z->input[0], y = z->input[1];
    struct assay_walk w = walk_of(z->shape, y->shape, z->shape);
    struct contribution c;
    if (contribution_open(t, z, x, ASSAY_ADD, &c)) {
        t->kernels->zip(ZIP_DIVIDE, &w, z->gradient, y->data, c.to, c.mode);
        contribution_close(t, z, x, &c);
    }
    if (contribution_open(t, z, y, ASSAY_SUBTRACT, &c)) {
        void *product = op_memory(t, elements_of(z));
        if (product) {
            struct assay_walk same = op_walk(z->shape);
            t->kernels->zip(ZIP_MULTIPLY, &same, z->gradient, z->data, product, ASSAY_STORE);
            op_wrote(t, elements_of(z));
            t->kernels->zip(ZIP_DIVIDE, &w, product, y->data, c.to, c.mode);
        }
        contribution_close(t, z, y, &c);
    }
}

/* dz goes to the operand that was taken, to x among equals. */
static void choice_backward(tape *t, tensor z, enum assay_zip f)
{
    tensor x = z->input[0], y = z->input[1];
    struct assay_walk w = walk_of(x->shape, y->shape, z->shape);
    for (int i = 0; i < 2; i++) {
        struct contribution c;
        if (!contribution_open(t, z, z->input[i], ASSAY_ADD, &c))
            continue;
        t->kernels->zip_choice(f, i, &w, x->data, y->data, z->gradient, c.to, c.mode);
        contribution_close(t, z, z->input[i], &c);
    }
}

static void maximum_backward(tape *t, tensor z)
{
    choice_backward(t, z, ZIP_MAX);
}

static void minimum_backward(tape *t, tensor z)
{
    choice_backward(t, z, ZIP_MIN);
}

static const struct assay_op add_op = {"add", add_backward};
static const struct assay_op subtract_op = {"subtract", subtract_backward};
static const struct assay_op multiply_op = {"multiply", multiply_backward};
static const struct assay_op divide_op = {"divide", divide_backward};
static const struct assay_op maximum_op = {"maximum", maximum_backward};
static const struct assay_op minimum_op = {"minimum", minimum_backward};

tensor add(tape *t, tensor x, tensor y)
{
    return zip_of(t, &add_op, ZIP_ADD, x, y);
}

tensor subtract(tape *t, tensor x, tensor y)
{
    return zip_of(t, &subtract_op, ZIP_SUBTRACT, x, y);
}

tensor multiply(tape *t, tensor x, tensor y)
{
    return zip_of(t, &multiply_op, ZIP_MULTIPLY, x, y);
}

tensor divide(tape *t, tensor x, tensor y)
{
    return zip_of(t, &divide_op, ZIP_DIVIDE, x, y);
}

tensor maximum(tape *t, tensor x, tensor y)
{
    return zip_of(t, &maximum_op, ZIP_MAX, x, y);
}

tensor minimum(tape *t, tensor x, tensor y)
{
    return zip_of(t, &minimum_op, ZIP_MIN, x, y);
}

static void choose_backward(tape *t, tensor z)
{
    for (int i = 0; i < 2; i++) {
        void *d = tape_gradient(t, z->input[1 + i]);
        if (d) {
            t->kernels->masked_add(elements_of(z), z->input[0]->data, i == 0, z->gradient, d);
            op_wrote(t, elements_of(z));
        }
    }
}

static const struct assay_op choose_op = {"choose", choose_backward};

static const struct assay_op nonzero_op = {"nonzero", NULL};

tensor nonzero(tape *t, tensor x)
{
    tensor y = op_ids(t, "nonzero", TENSORS(x)) ? tape_new(t, ASSAY_I32, x->shape) : TENSOR_NONE;
    if (!y)
        return TENSOR_NONE;
    int32_t *is = y->data;
    for (size_t i = 0, n = elements_of(x); i < n; i++)
        is[i] = ids_of(x)[i] != 0;
    op_wrote(t, elements_of(x));
    return tape_record(t, &nonzero_op, y, TENSORS(x), NULL);
}

tensor choose(tape *t, tensor condition, tensor x, tensor y)
{
    if (!op_ids(t, "choose", TENSORS(condition)) || !op_reals(t, "choose", TENSORS(x, y))
        || !op_expect(t, "choose",
                      shape_equal(condition->shape, x->shape) && shape_equal(x->shape, y->shape),
                      "condition, x and y of one shape", TENSORS(condition, x, y)))
        return TENSOR_NONE;
    tensor z = tape_new(t, ASSAY_REAL, x->shape);
    if (!z)
        return TENSOR_NONE;
    t->kernels->select(elements_of(z), condition->data, x->data, y->data, z->data);
    op_wrote(t, elements_of(z));
    return tape_record(t, &choose_op, z, TENSORS(condition, x, y), NULL);
}

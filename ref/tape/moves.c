/* SPDX-License-Identifier: Apache-2.0 */
/* Moves: ops that put elements elsewhere. Real operands move through the kernel table, i32 operands
 * here on the host. */
#include "ref/tape/op.h"

#include <string.h>

/* A box of elements that goes from an input to the result: a walk (x: strides in the input, y: in
 * the result) and where it starts in either. Boxes of one result don't overlap. */
struct piece {
    int input;
    size_t from, to;
    struct assay_walk walk;
};

struct move {
    int pieces;
    struct piece piece[];
};

/* data + n elements; on a dry tape there is nothing to point to. */
static void *element_at(const tape *t, void *data, size_t n)
{
    return data ? (char *)data + n * t->kernels->element : NULL;
}

static void copy_ids(const struct assay_walk *w, const int32_t *x, int32_t *y)
{
    size_t index[ASSAY_RANK_MAX] = {0}, count = 1;
    for (int i = 0; i < w->rank; i++)
        count *= w->dim[i];
    ptrdiff_t from = 0, to = 0;
    for (size_t n = 0; n < count; n++) {
        y[to] = x[from];
        for (int i = w->rank; i-- > 0;) {
            from += w->x[i];
            to += w->y[i];
            if (++index[i] < w->dim[i])
                break;
            from -= w->x[i] * (ptrdiff_t)w->dim[i];
            to -= w->y[i] * (ptrdiff_t)w->dim[i];
            index[i] = 0;
        }
    }
}

static size_t piece_elements(const struct piece *p)
{
    size_t n = 1;
    for (int i = 0; i < p->walk.rank; i++)
        n *= p->walk.dim[i];
    return n;
}

static void put(tape *t, const struct piece *p, tensor x, tensor y)
{
    if (y->type == ASSAY_I32)
        copy_ids(&p->walk, (const int32_t *)x->data + p->from, (int32_t *)y->data + p->to);
    else
        t->kernels->copy(&p->walk, element_at(t, x->data, p->from), element_at(t, y->data, p->to),
                         ASSAY_STORE);
    op_wrote(t, piece_elements(p));
}

/* Each input gets the gradients of its elements back from where they went. */
static void move_backward(tape *t, tensor y)
{
    const struct move *m = y->saved;
    for (int i = 0; i < m->pieces; i++) {
        const struct piece *p = &m->piece[i];
        void *dx = tape_gradient(t, y->input[p->input]);
        if (!dx)
            continue;
        struct assay_walk back = p->walk;
        memcpy(back.x, p->walk.y, sizeof back.x);
        memcpy(back.y, p->walk.x, sizeof back.y);
        t->kernels->copy(&back, element_at(t, y->gradient, p->to), element_at(t, dx, p->from),
                         ASSAY_ADD);
        op_wrote(t, piece_elements(p));
    }
}

static const struct assay_op permute_op = {"permute", move_backward};
static const struct assay_op concat_op = {"concat", move_backward};
static const struct assay_op slice_op = {"slice", move_backward};
static const struct assay_op pad_op = {"pad", move_backward};
static const struct assay_op flip_op = {"flip", move_backward};
static const struct assay_op roll_op = {"roll", move_backward};

/* Room for a move of so many pieces; NULL after an error. */
static struct move *move_open(tape *t, int pieces)
{
    struct move *m = tape_allocate(t, sizeof *m + (size_t)pieces * sizeof m->piece[0]);
    if (m)
        m->pieces = 0;
    return m;
}

/* Puts the pieces in place and records the op, described by its numbers. */
static tensor move_close(tape *t, const struct assay_op *op, struct move *m, tensor y, int inputs,
                         const tensor *input, int numbers, const double *number)
{
    if (!m || !y)
        return TENSOR_NONE;
    for (int i = 0; i < m->pieces; i++)
        put(t, &m->piece[i], input[m->piece[i].input], y);
    op_describe(t, y, op->name, inputs, input, numbers, number);
    return tape_record(t, op, y, inputs, input, m);
}

/* Along one axis: `length` slices of input x from slice `from` (backwards from there if reversed)
 * to slice `to` of y. */
static void move_slices(struct move *m, int input, tensor x, tensor y, int axis, size_t from,
                        size_t to, size_t length, bool reversed)
{
    struct op_view in = op_view_of(x, axis), out = op_view_of(y, axis);
    ptrdiff_t inner = (ptrdiff_t)in.inner;
    m->piece[m->pieces++] = (struct piece){
        .input = input,
        .from = from * in.inner,
        .to = to * in.inner,
        .walk = {.rank = 3,
                 .dim = {in.outer, length, in.inner},
                 .x = {(ptrdiff_t)(in.length * in.inner), reversed ? -inner : inner, 1},
                 .y = {(ptrdiff_t)(out.length * in.inner), inner, 1}}};
}

/* The axis as 0 .. rank - 1; false after an error. */
static bool axis_of(tape *t, const char *op, tensor x, int *axis)
{
    if (!op_given(t, op, TENSORS(x)))
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

static struct assay_shape with_length(tensor x, int axis, size_t length)
{
    struct assay_shape shape = x->shape;
    shape.dim[axis] = length;
    return shape;
}

static void reshape_backward(tape *t, tensor y)
{
    void *dx = tape_gradient(t, y->input[0]);
    if (dx)
        op_copy(t, elements_of(y), y->gradient, dx, ASSAY_ADD);
}

static const struct assay_op reshape_op = {"reshape", reshape_backward};

/* The result shares x's data. */
tensor reshape(tape *t, tensor x, struct assay_shape shape)
{
    if (!op_given(t, "reshape", TENSORS(x)))
        return TENSOR_NONE;
    bool fits = shape.rank >= 0 && shape.rank <= ASSAY_RANK_MAX;
    if (!fits || shape_elements(shape) != elements_of(x)) {
        char from[96], to[96];
        tape_fail(t, "reshape", "expected as many elements as in %s, got %s",
                  shape_text(x->shape, from),
                  fits ? shape_text(shape, to) : "a shape of too many axes");
        return TENSOR_NONE;
    }
    tensor y = tape_allocate(t, sizeof *y);
    if (!y)
        return TENSOR_NONE;
    *y = (struct assay_node){
        .type = x->type, .shape = shape, .reads = READS_NOTHING, .data = x->data};
    return tape_record(t, &reshape_op, y, TENSORS(x), NULL);
}

static bool is_permutation(const int *axes, int rank)
{
    unsigned seen = 0;
    for (int i = 0; i < rank; i++)
        if (axes[i] >= 0 && axes[i] < rank)
            seen |= 1u << axes[i];
    return seen == (1u << rank) - 1;
}

tensor permute(tape *t, tensor x, const int *axes)
{
    if (!op_given(t, "permute", TENSORS(x)))
        return TENSOR_NONE;
    int rank = x->shape.rank, from[ASSAY_RANK_MAX];
    for (int i = 0; i < rank; i++)
        from[i] = op_axis(x, axes[i]);
    if (!op_expect(t, "permute", is_permutation(from, rank), "each axis of the operand once",
                   TENSORS(x)))
        return TENSOR_NONE;
    struct assay_shape shape = x->shape;
    for (int i = 0; i < rank; i++)
        shape.dim[i] = x->shape.dim[from[i]];
    tensor y = tape_new(t, x->type, shape);
    struct move *m = move_open(t, 1);
    if (!y || !m)
        return TENSOR_NONE;
    struct assay_walk source = op_walk(x->shape);
    struct piece *p = &m->piece[m->pieces++];
    *p = (struct piece){.walk = op_walk(shape)};
    double order[ASSAY_RANK_MAX];
    for (int i = 0; i < rank; i++) {
        p->walk.x[i] = source.x[from[i]];
        order[i] = from[i];
    }
    return move_close(t, &permute_op, m, y, TENSORS(x), rank, order);
}

tensor transpose(tape *t, tensor x, int one, int other)
{
    if (!axis_of(t, "transpose", x, &one) || !axis_of(t, "transpose", x, &other))
        return TENSOR_NONE;
    int axes[ASSAY_RANK_MAX];
    for (int i = 0; i < x->shape.rank; i++)
        axes[i] = i == one ? other : i == other ? one : i;
    return permute(t, x, axes);
}

/* dx = dy summed over what was repeated: last axis first, one axis at a time. */
static void expand_backward(tape *t, tensor y)
{
    tensor x = y->input[0];
    void *dx = tape_gradient(t, x);
    if (dx)
        op_reduce(t, y->shape, y->gradient, x->shape, dx, ASSAY_ADD);
}

static const struct assay_op expand_op = {"expand", expand_backward};

tensor expand(tape *t, tensor x, struct assay_shape shape)
{
    if (!op_given(t, "expand", TENSORS(x)))
        return TENSOR_NONE;
    if (shape.rank > ASSAY_RANK_MAX || !op_broadcasts(x->shape, shape)) {
        char from[96], to[96];
        tape_fail(t, "expand", "expected a shape that %s repeats to, got %s",
                  shape_text(x->shape, from),
                  shape.rank > ASSAY_RANK_MAX ? "a shape of too many axes" : shape_text(shape, to));
        return TENSOR_NONE;
    }
    tensor y = tape_new(t, x->type, shape);
    if (!y)
        return TENSOR_NONE;
    struct piece p = {.walk = op_walk(shape)};
    op_broadcast(x->shape, shape, p.walk.x);
    put(t, &p, x, y);
    return tape_record(t, &expand_op, y, TENSORS(x), NULL);
}

static bool same_but_for(tensor x, tensor y, int axis)
{
    return x->type == y->type && x->shape.rank == y->shape.rank
           && shape_equal(with_length(x, axis, 0), with_length(y, axis, 0));
}

tensor concat(tape *t, int axis, int count, const tensor *x)
{
    if (t->error[0])
        return TENSOR_NONE;
    if (count < 1) {
        tape_fail(t, "concat", "expected at least one operand, got %d", count);
        return TENSOR_NONE;
    }
    if (!op_given(t, "concat", count, x) || !axis_of(t, "concat", x[0], &axis))
        return TENSOR_NONE;
    size_t length = 0;
    for (int i = 0; i < count; i++) {
        if (!op_expect(t, "concat", same_but_for(x[0], x[i], axis),
                       "operands alike but for the axis", TENSORS(x[0], x[i])))
            return TENSOR_NONE;
        length += x[i]->shape.dim[axis];
    }
    tensor y = tape_new(t, x[0]->type, with_length(x[0], axis, length));
    struct move *m = move_open(t, count);
    size_t to = 0;
    for (int i = 0; y && m && i < count; i++) {
        move_slices(m, i, x[i], y, axis, 0, to, x[i]->shape.dim[axis], false);
        to += x[i]->shape.dim[axis];
    }
    return move_close(t, &concat_op, m, y, count, x, NUMBERS(axis));
}

tensor slice(tape *t, tensor x, int axis, size_t from, size_t length)
{
    if (!axis_of(t, "slice", x, &axis))
        return TENSOR_NONE;
    size_t there = x->shape.dim[axis];
    if (from > there || length > there - from) {
        char shape[96];
        tape_fail(t, "slice", "expected a part of axis %d, got %zu elements from %zu of %s", axis,
                  length, from, shape_text(x->shape, shape));
        return TENSOR_NONE;
    }
    tensor y = tape_new(t, x->type, with_length(x, axis, length));
    struct move *m = move_open(t, 1);
    if (y && m) {
        y->reads = READS_PICKED;
        move_slices(m, 0, x, y, axis, from, 0, length, false);
    }
    return move_close(t, &slice_op, m, y, TENSORS(x), NUMBERS(axis, (double)from, (double)length));
}

tensor pad(tape *t, tensor x, int axis, size_t before, size_t after)
{
    if (!axis_of(t, "pad", x, &axis))
        return TENSOR_NONE;
    size_t length = x->shape.dim[axis], padded;
    if (__builtin_add_overflow(before, after, &padded)
        || __builtin_add_overflow(padded, length, &padded)) {
        tape_fail(t, "pad", "expected fewer zeros, got %zu before and %zu after", before, after);
        return TENSOR_NONE;
    }
    tensor y = tape_new(t, x->type, with_length(x, axis, padded));
    struct move *m = move_open(t, 1);
    if (!y || !m)
        return TENSOR_NONE;
    size_t n = elements_of(y);
    if (y->type == ASSAY_I32)
        memset(y->data, 0, n * sizeof(int32_t));
    else
        t->kernels->fill(n, 0, y->data);
    op_wrote(t, n - elements_of(x));
    move_slices(m, 0, x, y, axis, 0, before, length, false);
    return move_close(t, &pad_op, m, y, TENSORS(x), NUMBERS(axis, (double)before, (double)after));
}

tensor flip(tape *t, tensor x, int axis)
{
    if (!axis_of(t, "flip", x, &axis))
        return TENSOR_NONE;
    size_t length = x->shape.dim[axis];
    tensor y = tape_new(t, x->type, x->shape);
    struct move *m = move_open(t, 1);
    if (y && m)
        move_slices(m, 0, x, y, axis, length ? length - 1 : 0, 0, length, true);
    return move_close(t, &flip_op, m, y, TENSORS(x), NUMBERS(axis));
}

tensor roll(tape *t, tensor x, int axis, long by)
{
    if (!axis_of(t, "roll", x, &axis))
        return TENSOR_NONE;
    size_t length = x->shape.dim[axis], shift = 0;
    if (length) {
        long rest = by % (long)length;
        shift = (size_t)(rest < 0 ? rest + (long)length : rest);
    }
    tensor y = tape_new(t, x->type, x->shape);
    struct move *m = move_open(t, 2);
    if (y && m) {
        move_slices(m, 0, x, y, axis, 0, shift, length - shift, false);
        move_slices(m, 0, x, y, axis, length - shift, 0, shift, false);
    }
    return move_close(t, &roll_op, m, y, TENSORS(x), NUMBERS(axis, (double)shift));
}

/* saved: whether pairs are neighbours. The rotation's transpose is the rotation back. */
static void rotate_backward(tape *t, tensor y)
{
    const bool *interleaved = y->saved;
    tensor x = y->input[0], cosine = y->input[1], sine = y->input[2];
    void *dx = tape_gradient(t, x);
    if (!dx)
        return;
    t->kernels->rotate(dim_of(x, 0), dim_of(x, 1), dim_of(x, 2), dim_of(x, 3), width_of(cosine),
                       *interleaved, true, cosine->data, sine->data, y->gradient, dx, ASSAY_ADD);
    op_wrote(t, elements_of(x));
}

static const struct assay_op rotate_op = {"rotate", rotate_backward};

tensor rotate(tape *t, tensor x, tensor cosine, tensor sine, bool interleaved)
{
    if (!op_reals(t, "rotate", TENSORS(x, cosine, sine))
        || !op_expect(
            t, "rotate",
            x->shape.rank == 4 && cosine->shape.rank == 2 && shape_equal(cosine->shape, sine->shape)
                && dim_of(cosine, 0) == dim_of(x, 1) && width_of(cosine) <= width_of(x) / 2,
            "x [b, n, h, w], cosine and sine [n, pairs] with at most w / 2 pairs",
            TENSORS(x, cosine, sine))
        || !op_expect(t, "rotate", !cosine->needs_gradient && !sine->needs_gradient,
                      "tables that want no gradient", TENSORS(cosine, sine)))
        return TENSOR_NONE;
    tensor y = tape_new(t, ASSAY_REAL, x->shape);
    bool *kept = tape_allocate(t, sizeof *kept);
    if (!y || !kept)
        return TENSOR_NONE;
    *kept = interleaved;
    t->kernels->rotate(dim_of(x, 0), dim_of(x, 1), dim_of(x, 2), dim_of(x, 3), width_of(cosine),
                       interleaved, false, cosine->data, sine->data, x->data, y->data, ASSAY_STORE);
    op_wrote(t, elements_of(y));
    op_describe(t, y, rotate_op.name, TENSORS(x, cosine, sine), NUMBERS(interleaved));
    return tape_record(t, &rotate_op, y, TENSORS(x, cosine, sine), kept);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* What the op files share: checks of operands, memory of the tape, views along an axis, broadcast
 * gradients.
 *
 * An op: check with op_reals / op_given and op_expect; tape_new; the kernel; op_wrote or
 * op_multiplied; tape_record. A backward: for each input `void *d = tape_gradient(t, input)`; where
 * it isn't NULL a kernel adds to it.
 *
 * On a dry tape real data is NULL and op_memory gives an address that nobody may touch: only
 * kernels get such pointers, and the dry kernels touch nothing. */
#ifndef ASSAY_TAPE_OP_H
#define ASSAY_TAPE_OP_H

#include "ref/ops.h"

/* A list of tensors as the two arguments `count, x`. */
#define TENSORS(...) \
    (int)(sizeof((tensor[]){__VA_ARGS__}) / sizeof(tensor)), ((tensor[]){__VA_ARGS__})

/* Its numbers as the two arguments `count, number`. */
#define NUMBERS(...) \
    (int)(sizeof((double[]){__VA_ARGS__}) / sizeof(double)), ((double[]){__VA_ARGS__})

/* No error so far and all operands there. A missing operand without an earlier error is one. */
bool op_given(tape *t, const char *op, int count, const tensor *x);
/* The same, and all are real; op_ids: all are i32. NONEs are not optional in either: list only what
 * is given. */
bool op_reals(tape *t, const char *op, int count, const tensor *x);
bool op_ids(tape *t, const char *op, int count, const tensor *x);
/* If not `holds`: "<where>: <op>: expected <expected>, got <shapes of x>", without NONEs. */
bool op_expect(tape *t, const char *op, bool holds, const char *expected, int count,
               const tensor *x);

/* 0 .. rank - 1, or -1 if x has no such axis. */
int op_axis(tensor x, int axis);

/* x seen as [outer, length, inner] around an axis of 0 .. rank - 1. */
struct op_view {
    size_t outer, length, inner;
};
struct op_view op_view_of(tensor x, int axis);

/* The elements of a tensor, contiguous, as a walk over its shape: strides of x, y and z alike. */
struct assay_walk op_walk(struct assay_shape shape);
/* Strides of `from` in the index space of `to`, aligned at the end, 0 where an axis is repeated.
 * stride[to.rank]. */
void op_broadcast(struct assay_shape from, struct assay_shape to, ptrdiff_t *stride);
bool op_broadcasts(struct assay_shape from, struct assay_shape to);

/* Room for `reals` elements in the arena, not zeroed; NULL after an error. */
void *op_memory(tape *t, size_t reals);
/* Memory taken between the two calls is given back, but for what tape_keep holds. Take gradients (tape_gradient) and tensors
 * before op_borrow. */
struct op_loan {
    struct assay_chunk *chunk;
    size_t used, live, live_mixing, kept;
};
struct op_loan op_borrow(const tape *t);
void op_give_back(tape *t, struct op_loan loan);

/* Between the two calls the tape has other memory, nodes and marks, which are empty at first and
 * forgotten when it steps aside again; all else goes on. False after an error: then don't step
 * back. */
struct op_aside {
    struct assay_aside *left;       /* what the tape had */
    size_t live, live_mixing;
};
bool op_step_aside(tape *t, struct op_aside *aside);
void op_step_back(tape *t, const struct op_aside *aside);
/* What was marked aside the last time, after stepping back. */
const struct assay_marked *op_marked_aside(const tape *t, size_t *count);
/* While aside: tensors that lie where the tape was, and that the nodes recorded here want a gradient
 * of, get its buffer there. */
void op_gradients_left(tape *t, struct op_aside *aside);

/* Describes y, before tape_record, which describes what has no description yet by op and inputs:
 * so only ops with numbers, or with operands that are no inputs, call it. */
void op_describe(tape *t, tensor y, const char *op, int operands, const tensor *operand,
                 int numbers, const double *number);

/* Counting. */
void op_wrote(tape *t, size_t elements);
/* real elements read or written besides the op's inputs, output and their gradients */
void op_moved(tape *t, size_t elements);
void op_multiplied(tape *t, size_t batch, size_t m, size_t n, size_t k);

/* dst (STORE or ADD) src, n elements. */
void op_copy(tape *t, size_t n, const void *src, void *dst, enum assay_mode mode);
/* d [shape x] (mode) the sum of `full` [shape] over the axes that x repeats, or lacks: last axis
 * first, one axis at a time (by 16 lanes where nothing is left behind the axis, else ascending);
 * completed, then meets d once. */
void op_reduce(tape *t, struct assay_shape shape, const void *full, struct assay_shape x, void *d,
               enum assay_mode mode);

#endif

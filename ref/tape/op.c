/* SPDX-License-Identifier: Apache-2.0 */
/* What the op files share; see op.h. The arena's part is in arena.c. */
#include "ref/tape/op.h"

#include <stdio.h>
#include <string.h>

/* "[2, 3] and i32 [4]" for the tensors that are there. */
static void shapes_text(int count, const tensor *x, char *text, size_t room)
{
    size_t used = 0;
    text[0] = '\0';
    for (int i = 0; i < count && used + 1 < room; i++) {
        char shape[96];
        if (x[i])
            used += (size_t)snprintf(text + used, room - used, "%s%s%s", used ? " and " : "",
                                     x[i]->type == ASSAY_I32 ? "i32 " : "",
                                     shape_text(x[i]->shape, shape));
    }
}

bool op_given(tape *t, const char *op, int count, const tensor *x)
{
    if (t->error[0])
        return false;
    for (int i = 0; i < count; i++)
        if (!x[i]) {
            tape_fail(t, op, "expected a tensor as operand %d, got none", i + 1);
            return false;
        }
    return true;
}

static bool given_of_type(tape *t, const char *op, enum assay_type type, int count, const tensor *x)
{
    if (!op_given(t, op, count, x))
        return false;
    for (int i = 0; i < count; i++)
        if (x[i]->type != type)
            return op_expect(t, op, false, type == ASSAY_REAL ? "real operands" : "i32 operands",
                             count, x);
    return true;
}

bool op_reals(tape *t, const char *op, int count, const tensor *x)
{
    return given_of_type(t, op, ASSAY_REAL, count, x);
}

bool op_ids(tape *t, const char *op, int count, const tensor *x)
{
    return given_of_type(t, op, ASSAY_I32, count, x);
}

bool op_expect(tape *t, const char *op, bool holds, const char *expected, int count,
               const tensor *x)
{
    if (!holds) {
        char shapes[320];
        shapes_text(count, x, shapes, sizeof shapes);
        tape_fail(t, op, "expected %s, got %s", expected, shapes);
    }
    return holds && !t->error[0];
}

int op_axis(tensor x, int axis)
{
    int rank = x->shape.rank, from_start = axis < 0 ? axis + rank : axis;
    return from_start >= 0 && from_start < rank ? from_start : -1;
}

struct op_view op_view_of(tensor x, int axis)
{
    struct op_view view = {1, x->shape.dim[axis], 1};
    for (int i = 0; i < axis; i++)
        view.outer *= x->shape.dim[i];
    for (int i = axis + 1; i < x->shape.rank; i++)
        view.inner *= x->shape.dim[i];
    return view;
}

bool op_broadcasts(struct assay_shape from, struct assay_shape to)
{
    bool fits = from.rank <= to.rank;
    for (int i = 1; fits && i <= from.rank; i++)
        fits = from.dim[from.rank - i] == 1 || from.dim[from.rank - i] == to.dim[to.rank - i];
    return fits;
}

void op_broadcast(struct assay_shape from, struct assay_shape to, ptrdiff_t *stride)
{
    ptrdiff_t step = 1;
    for (int i = to.rank; i-- > 0;) {
        int own = i - (to.rank - from.rank);
        stride[i] = own >= 0 && from.dim[own] != 1 ? step : 0;
        if (own >= 0)
            step *= (ptrdiff_t)from.dim[own];
    }
}

struct assay_walk op_walk(struct assay_shape shape)
{
    struct assay_walk w = {.rank = shape.rank};
    ptrdiff_t step = 1;
    for (int i = shape.rank; i-- > 0;) {
        w.dim[i] = shape.dim[i];
        w.x[i] = w.y[i] = w.z[i] = step;
        step *= (ptrdiff_t)shape.dim[i];
    }
    return w;
}

void op_describe(tape *t, tensor y, const char *op, int operands, const tensor *operand,
                 int numbers, const double *number)
{
    if (!y || !t->describing)
        return;
    struct assay_description *d = tape_allocate(t, sizeof *d);
    tensor *operands_kept = tape_allocate(t, (size_t)operands * sizeof *operand);
    double *numbers_kept = tape_allocate(t, (size_t)numbers * sizeof *number);
    char *name = tape_string(t, "%s", op), *where = tape_string(t, "%s", t->where);
    if (!where)
        return;
    if (operands)
        memcpy(operands_kept, operand, (size_t)operands * sizeof *operand);
    if (numbers)
        memcpy(numbers_kept, number, (size_t)numbers * sizeof *number);
    *d = (struct assay_description){.op = name,
                                    .where = where,
                                    .operands = operands,
                                    .operand = operands_kept,
                                    .numbers = numbers,
                                    .number = numbers_kept};
    y->description = d;
}

void op_wrote(tape *t, size_t elements)
{
    t->counts.elements += elements;
}

void op_moved(tape *t, size_t elements)
{
    t->counts.moved += (uint64_t)elements * t->kernels->element;
}

void op_multiplied(tape *t, size_t batch, size_t m, size_t n, size_t k)
{
    t->counts.multiply_adds += (uint64_t)batch * m * n * k;
}

void op_copy(tape *t, size_t n, const void *src, void *dst, enum assay_mode mode)
{
    struct assay_walk w = {.rank = 1, .dim = {n}, .x = {1}, .y = {1}, .z = {1}};
    t->kernels->copy(&w, src, dst, mode);
    op_wrote(t, n);
}

void op_reduce(tape *t, struct assay_shape shape, const void *full, struct assay_shape x, void *d,
               enum assay_mode mode)
{
    int axis[ASSAY_RANK_MAX], axes = 0;
    for (int i = shape.rank; i-- > 0;) {
        int own = i - (shape.rank - x.rank);
        if (shape.dim[i] != 1 && (own < 0 || x.dim[own] == 1))
            axis[axes++] = i;
    }
    if (!axes) {
        /* An axis of one element: the sum is the element. */
        t->kernels->sum(1, 1, shape_elements(shape), full, d, mode);
        op_wrote(t, shape_elements(shape));
        return;
    }
    struct op_loan loan = op_borrow(t);
    struct assay_node now = {.shape = shape};
    const void *from = full;
    for (int a = 0; a < axes; a++) {
        struct op_view v = op_view_of(&now, axis[a]);
        bool last = a == axes - 1;
        void *to = last ? d : op_memory(t, v.outer * v.inner);
        if (t->error[0])
            break;
        t->kernels->sum(v.outer, v.length, v.inner, from, to, last ? mode : ASSAY_STORE);
        op_wrote(t, v.outer * v.inner);
        now.shape.dim[axis[a]] = 1;
        from = to;
    }
    op_give_back(t, loan);
}

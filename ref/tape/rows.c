/* SPDX-License-Identifier: Apache-2.0 */
/* Rows picked by index: gathers and their transpose. take and take_last are gathers whose rows are
 * numbered through all leading axes. */
#include "ref/tape/op.h"

#include <string.h>

/* count rows of `width`, of a table of `rows`. */
struct rows {
    size_t rows, width, count;
    const int32_t *index;
};

/* Every index is in 0 .. limit - 1, or the tape has an error: outside `what` of so many `units`. */
static bool indices_fit(tape *t, const char *op, tensor index, size_t limit, const char *what,
                        const char *units)
{
    const int32_t *i = ids_of(index);
    for (size_t n = 0, count = elements_of(index); n < count; n++)
        if (i[n] < 0 || (size_t)i[n] >= limit) {
            tape_fail(t, op, "index %d at position %zu is outside %s of %zu %s", (int)i[n], n, what,
                      limit, units);
            return false;
        }
    return true;
}

/* x: the table. Contributions meet in zeros of the table's size, ascending, and are added once. */
static void gather_backward(tape *t, tensor y)
{
    const struct rows *r = y->saved;
    void *dx = tape_gradient(t, y->input[0]);
    if (!dx)
        return;
    struct op_loan loan = op_borrow(t);
    void *contribution = op_memory(t, r->rows * r->width);
    if (contribution) {
        t->kernels->fill(r->rows * r->width, 0, contribution);
        t->kernels->scatter_add_rows(r->count, r->width, r->index, y->gradient, contribution);
        op_wrote(t, r->count * r->width);
        op_copy(t, r->rows * r->width, contribution, dx, ASSAY_ADD);
    }
    op_give_back(t, loan);
}

static const struct assay_op gather_op = {"gather_rows", gather_backward};
static const struct assay_op take_op = {"take", gather_backward};
static const struct assay_op take_last_op = {"take_last", gather_backward};

static tensor gather(tape *t, const struct assay_op *op, tensor x, tensor index,
                     struct assay_shape shape, struct rows rows)
{
    tensor y = tape_new(t, x->type, shape);
    struct rows *r = tape_allocate(t, sizeof *r);
    if (!y || !r)
        return TENSOR_NONE;
    *r = rows;
    y->reads = READS_PICKED;
    if (x->type == ASSAY_REAL)
        t->kernels->gather_rows(r->count, r->width, r->index, x->data, y->data);
    else
        for (size_t i = 0; r->width && i < r->count; i++)
            memcpy((int32_t *)y->data + i * r->width,
                   (const int32_t *)x->data + (size_t)r->index[i] * r->width,
                   r->width * sizeof(int32_t));
    op_wrote(t, elements_of(y));
    op_describe(t, y, op->name, TENSORS(x, index), 0, NULL);
    return tape_record(t, op, y, TENSORS(x), r);
}

/* The shape of index with an axis of w at its end. */
static struct assay_shape rows_shape(tensor index, size_t w)
{
    struct assay_shape shape = index->shape;
    if (shape.rank < ASSAY_RANK_MAX)
        shape.dim[shape.rank] = w;
    shape.rank++;
    return shape;
}

tensor gather_rows(tape *t, tensor table, tensor index)
{
    const char *name = gather_op.name;
    if (!op_given(t, name, TENSORS(table)) || !op_ids(t, name, TENSORS(index))
        || !op_expect(t, name, table->shape.rank == 2, "a table [rows, w] and i32 indices",
                      TENSORS(table, index))
        || !indices_fit(t, name, index, dim_of(table, 0), "a table", "rows"))
        return TENSOR_NONE;
    return gather(
        t, &gather_op, table, index, rows_shape(index, width_of(table)),
        (struct rows){dim_of(table, 0), width_of(table), elements_of(index), ids_of(index)});
}

/* index[g, i] of `groups` groups of `limit` rows as a number through all groups; NULL after an
 * error. */
static const int32_t *numbered(tape *t, const char *op, tensor index, size_t groups, size_t limit)
{
    if (groups && limit > INT32_MAX / groups) {
        tape_fail(t, op, "expected less than 2^31 rows, got %zu times %zu", groups, limit);
        return NULL;
    }
    size_t count = elements_of(index), each = groups ? count / groups : 0;
    int32_t *flat = tape_allocate(t, count * sizeof *flat);
    for (size_t i = 0; flat && i < count; i++)
        flat[i] = (int32_t)(i / each * limit) + ids_of(index)[i];
    return flat;
}

tensor take(tape *t, tensor x, tensor index)
{
    const char *name = take_op.name;
    if (!op_given(t, name, TENSORS(x)) || !op_ids(t, name, TENSORS(index))
        || !op_expect(t, name,
                      x->shape.rank == 3 && index->shape.rank == 2
                          && dim_of(index, 0) == dim_of(x, 0),
                      "x [b, n, w] and i32 indices [b, k]", TENSORS(x, index))
        || !indices_fit(t, name, index, dim_of(x, 1), "a sample", "rows"))
        return TENSOR_NONE;
    size_t b = dim_of(x, 0), n = dim_of(x, 1);
    const int32_t *flat = numbered(t, name, index, b, n);
    if (!flat)
        return TENSOR_NONE;
    return gather(t, &take_op, x, index, rows_shape(index, width_of(x)),
                  (struct rows){b * n, width_of(x), elements_of(index), flat});
}

static bool leading_axes_agree(tensor x, tensor index)
{
    bool agree = x->shape.rank == index->shape.rank && x->shape.rank > 0;
    for (int i = 0; agree && i < x->shape.rank - 1; i++)
        agree = x->shape.dim[i] == index->shape.dim[i];
    return agree;
}

tensor take_last(tape *t, tensor x, tensor index)
{
    const char *name = take_last_op.name;
    if (!op_given(t, name, TENSORS(x)) || !op_ids(t, name, TENSORS(index))
        || !op_expect(t, name, leading_axes_agree(x, index), "x [.., n] and i32 indices [.., k]",
                      TENSORS(x, index))
        || !indices_fit(t, name, index, width_of(x), "an axis", "elements"))
        return TENSOR_NONE;
    const int32_t *flat = numbered(t, name, index, rows_of(x), width_of(x));
    if (!flat)
        return TENSOR_NONE;
    return gather(t, &take_last_op, x, index, index->shape,
                  (struct rows){elements_of(x), 1, elements_of(index), flat});
}

/* dx = the rows of dy, completed in scratch because gathering stores. */
static void scatter_backward(tape *t, tensor y)
{
    const struct rows *r = y->saved;
    void *dx = tape_gradient(t, y->input[0]);
    if (!dx)
        return;
    struct op_loan loan = op_borrow(t);
    void *contribution = op_memory(t, r->count * r->width);
    if (contribution) {
        t->kernels->gather_rows(r->count, r->width, r->index, y->gradient, contribution);
        op_wrote(t, r->count * r->width);
        op_copy(t, r->count * r->width, contribution, dx, ASSAY_ADD);
    }
    op_give_back(t, loan);
}

static const struct assay_op scatter_op = {"scatter_add_rows", scatter_backward};

tensor scatter_add_rows(tape *t, size_t rows, tensor index, tensor x)
{
    const char *name = scatter_op.name;
    if (!op_ids(t, name, TENSORS(index)) || !op_reals(t, name, TENSORS(x))
        || !op_expect(t, name,
                      x->shape.rank > 0 && shape_equal(rows_shape(index, width_of(x)), x->shape),
                      "x [.., w] and i32 indices [..]", TENSORS(index, x))
        || !indices_fit(t, name, index, rows, "a table", "rows"))
        return TENSOR_NONE;
    size_t w = width_of(x);
    tensor y = tape_new(t, ASSAY_REAL, SHAPE(rows, w));
    struct rows *r = tape_allocate(t, sizeof *r);
    if (!y || !r)
        return TENSOR_NONE;
    *r = (struct rows){rows, w, elements_of(index), ids_of(index)};
    t->kernels->fill(rows * w, 0, y->data);
    t->kernels->scatter_add_rows(r->count, w, r->index, x->data, y->data);
    op_wrote(t, rows * w + r->count * w);
    op_describe(t, y, name, TENSORS(index, x), 0, NULL);
    return tape_record(t, &scatter_op, y, TENSORS(x), r);
}

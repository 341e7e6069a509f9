/* SPDX-License-Identifier: Apache-2.0 */
/* Matrix products. Transposes are strides, never copies; every element of a value or a gradient is
 * one chain. */
#include "ref/tape/op.h"

static void backward(tape *t, tensor y);
static const struct assay_op matmul_op = {"matmul", backward};
static const struct assay_op matmul_nt_op = {"matmul_nt", backward};
static const struct assay_op matmul_tn_op = {"matmul_tn", backward};

/* y = a b for `batch` pairs of matrices: a(i, p) [m, k], b(p, j) [k, n], y(i, j) [m, n] by strides
 * of their storage. */
struct sizes {
    size_t batch, m, n, k;
    size_t a_row, a_column, b_row, b_column;
    bool shared; /* one b for the whole batch */
    bool a_transposed, b_transposed;
};

static struct sizes sizes_of(const struct assay_op *op, tensor a, tensor b)
{
    struct sizes s = {
        .batch = 1, .a_transposed = op == &matmul_tn_op, .b_transposed = op == &matmul_nt_op};
    for (int i = 0; i < a->shape.rank - 2; i++)
        s.batch *= a->shape.dim[i];
    s.m = dim_of(a, s.a_transposed ? -1 : -2);
    s.k = dim_of(a, s.a_transposed ? -2 : -1);
    s.n = dim_of(b, s.b_transposed ? -2 : -1);
    s.a_row = s.a_transposed ? 1 : s.k;
    s.a_column = s.a_transposed ? s.m : 1;
    s.b_row = s.b_transposed ? 1 : s.n;
    s.b_column = s.b_transposed ? s.k : 1;
    s.shared = b->shape.rank == 2;
    if (s.shared && !s.a_transposed) {
        /* The rows of all samples are the rows of one matrix. */
        s.m *= s.batch;
        s.batch = 1;
    }
    return s;
}

static bool shapes_fit(const struct assay_op *op, tensor a, tensor b)
{
    int rank = a->shape.rank;
    if (rank < 2 || b->shape.rank < 2 || (b->shape.rank != 2 && b->shape.rank != rank))
        return false;
    for (int i = 0; b->shape.rank > 2 && i < rank - 2; i++)
        if (a->shape.dim[i] != b->shape.dim[i])
            return false;
    return dim_of(a, op == &matmul_tn_op ? -2 : -1) == dim_of(b, op == &matmul_nt_op ? -1 : -2);
}

static tensor product(tape *t, const struct assay_op *op, tensor a, tensor b, const char *expected)
{
    if (!op_reals(t, op->name, TENSORS(a, b))
        || !op_expect(t, op->name, shapes_fit(op, a, b), expected, TENSORS(a, b)))
        return TENSOR_NONE;
    struct assay_shape shape = a->shape;
    shape.dim[shape.rank - 2] = dim_of(a, op == &matmul_tn_op ? -1 : -2);
    shape.dim[shape.rank - 1] = dim_of(b, op == &matmul_nt_op ? -2 : -1);
    tensor y = tape_new(t, ASSAY_REAL, shape);
    if (!y)
        return TENSOR_NONE;
    struct sizes s = sizes_of(op, a, b);
    t->kernels->product(&(struct assay_product){.batch = {s.batch, 1},
                                                .m = s.m,
                                                .n = s.n,
                                                .k = s.k,
                                                .a = a->data,
                                                .a_row = s.a_row,
                                                .a_column = s.a_column,
                                                .a_batch = {s.m * s.k},
                                                .b = b->data,
                                                .b_row = s.b_row,
                                                .b_column = s.b_column,
                                                .b_batch = {s.shared ? 0 : s.k * s.n},
                                                .c = y->data,
                                                .c_row = s.n,
                                                .c_batch = {s.m * s.n},
                                                .mode = ASSAY_STORE});
    op_multiplied(t, s.batch, s.m, s.n, s.k);
    return tape_record(t, op, y, TENSORS(a, b), NULL);
}

tensor matmul(tape *t, tensor a, tensor b)
{
    return product(t, &matmul_op, a, b, "a [.., m, k] and b [(..,) k, n]");
}

tensor matmul_nt(tape *t, tensor a, tensor b)
{
    return product(t, &matmul_nt_op, a, b, "a [.., m, k] and b [(..,) n, k]");
}

tensor matmul_tn(tape *t, tensor a, tensor b)
{
    return product(t, &matmul_tn_op, a, b, "a [.., k, m] and b [(..,) k, n]");
}

/* da(i, p) = chain over j of fma(dy(i, j), b(p, j)); stored [k, m], the factors change places: da^T
 * = b dy^T. */
static void add_to_a(tape *t, const struct sizes *s, const void *b, const void *dy, void *da)
{
    struct assay_product p = {
        .batch = {s->batch, 1}, .k = s->n, .c = da, .c_batch = {s->m * s->k}, .mode = ASSAY_ADD};
    size_t b_batch = s->shared ? 0 : s->k * s->n, y_batch = s->m * s->n;
    if (s->a_transposed) {
        p.m = s->k, p.n = p.c_row = s->m;
        p.a = b, p.a_row = s->b_row, p.a_column = s->b_column, p.a_batch[0] = b_batch;
        p.b = dy, p.b_row = 1, p.b_column = s->n, p.b_batch[0] = y_batch;
    } else {
        p.m = s->m, p.n = p.c_row = s->k;
        p.a = dy, p.a_row = s->n, p.a_column = 1, p.a_batch[0] = y_batch;
        p.b = b, p.b_row = s->b_column, p.b_column = s->b_row, p.b_batch[0] = b_batch;
    }
    t->kernels->product(&p);
    op_multiplied(t, s->batch, s->m, s->k, s->n);
}

/* db(p, j) = chain over i of fma(a(i, p), dy(i, j)); stored [n, k], the factors change places. A
 * shared b has one chain over the rows of all samples, in scratch, since a chain that starts from
 * db would not be a contribution. */
static void add_to_b(tape *t, const struct sizes *s, const void *a, const void *dy, void *db)
{
    struct assay_product p = {
        .batch = {s->batch, 1}, .k = s->m, .c = db, .c_batch = {s->k * s->n}, .mode = ASSAY_ADD};
    if (s->b_transposed) {
        p.m = s->n, p.n = p.c_row = s->k;
        p.a = dy, p.a_row = 1, p.a_column = s->n, p.a_batch[0] = s->m * s->n;
        p.b = a, p.b_row = s->a_row, p.b_column = s->a_column, p.b_batch[0] = s->m * s->k;
    } else {
        p.m = s->k, p.n = p.c_row = s->n;
        p.a = a, p.a_row = s->a_column, p.a_column = s->a_row, p.a_batch[0] = s->m * s->k;
        p.b = dy, p.b_row = s->n, p.b_column = 1, p.b_batch[0] = s->m * s->n;
    }
    op_multiplied(t, s->batch, s->k, s->n, s->m);
    if (!s->shared || s->batch == 1) {
        t->kernels->product(&p);
        return;
    }
    struct op_loan loan = op_borrow(t);
    p.c = op_memory(t, s->k * s->n);
    p.c_batch[0] = 0;
    p.mode = ASSAY_CONTINUE;
    if (p.c) {
        t->kernels->fill(s->k * s->n, 0, p.c);
        t->kernels->product(&p);
        op_copy(t, s->k * s->n, p.c, db, ASSAY_ADD);
    }
    op_give_back(t, loan);
}

static void backward(tape *t, tensor y)
{
    tensor a = y->input[0], b = y->input[1];
    struct sizes s = sizes_of(y->op, a, b);
    void *da = tape_gradient(t, a);
    if (da)
        add_to_a(t, &s, b->data, y->gradient, da);
    void *db = tape_gradient(t, b);
    if (db)
        add_to_b(t, &s, a->data, y->gradient, db);
}

/* x seen as [rows, in]: the bias's gradient is by definition one sum over all rows (ascending; 16
 * lanes if out is 1), not one axis of x at a time. */
static void linear_backward(tape *t, tensor y)
{
    tensor x = y->input[0], weight = y->input[1], bias = y->input[2];
    size_t rows = rows_of(x), in = width_of(x), out = width_of(weight);
    struct sizes s = {.batch = 1,
                      .m = rows,
                      .n = out,
                      .k = in,
                      .a_row = in,
                      .a_column = 1,
                      .b_row = out,
                      .b_column = 1,
                      .shared = true};
    void *dx = tape_gradient(t, x);
    if (dx)
        add_to_a(t, &s, weight->data, y->gradient, dx);
    void *dw = tape_gradient(t, weight);
    if (dw)
        add_to_b(t, &s, x->data, y->gradient, dw);
    void *d_bias = tape_gradient(t, bias);
    if (d_bias) {
        t->kernels->sum(1, rows, out, y->gradient, d_bias, ASSAY_ADD);
        op_wrote(t, out);
    }
}

static const struct assay_op linear_op = {"linear", linear_backward};

tensor linear(tape *t, tensor x, tensor weight, tensor bias)
{
    if (!op_reals(t, "linear", TENSORS(x, weight))
        || (bias && !op_reals(t, "linear", TENSORS(bias)))
        || !op_expect(
            t, "linear",
            x->shape.rank >= 1 && weight->shape.rank == 2 && width_of(x) == weight->shape.dim[0]
                && (!bias || (bias->shape.rank == 1 && bias->shape.dim[0] == weight->shape.dim[1])),
            "x [.., in], weight [in, out] and bias [out] or none", TENSORS(x, weight, bias)))
        return TENSOR_NONE;
    size_t rows = rows_of(x), in = width_of(x), out = weight->shape.dim[1];
    struct assay_shape shape = x->shape;
    shape.dim[shape.rank - 1] = out;
    tensor y = tape_new(t, ASSAY_REAL, shape);
    if (!y)
        return TENSOR_NONE;
    t->kernels->product(&(struct assay_product){.batch = {1, 1},
                                                .m = rows,
                                                .n = out,
                                                .k = in,
                                                .a = x->data,
                                                .a_row = in,
                                                .a_column = 1,
                                                .b = weight->data,
                                                .b_row = out,
                                                .b_column = 1,
                                                .c = y->data,
                                                .c_row = out,
                                                .mode = ASSAY_STORE});
    op_multiplied(t, 1, rows, out, in);
    if (bias) {
        struct assay_walk w = {
            .rank = 2, .dim = {rows, out}, .x = {0, 1}, .y = {(ptrdiff_t)out, 1}};
        t->kernels->copy(&w, bias->data, y->data, ASSAY_ADD);
        op_wrote(t, rows * out);
    }
    return tape_record(t, &linear_op, y, TENSORS(x, weight, bias), NULL);
}

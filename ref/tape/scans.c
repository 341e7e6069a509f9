/* SPDX-License-Identifier: Apache-2.0 */
/* Recurrences along an axis: h_t = a_t h_(t-1) + b_t, and the matrix state of linear attention.
 * Formulas: ref/kernels.h. */
#include "ref/tape/op.h"

/* saved: the view around the axis. Per element: a * h, and backward a * g and g * h. */
static void scan_gradients(tape *t, tensor h)
{
    const struct op_view *v = h->saved;
    tensor a = h->input[0], b = h->input[1], start = h->input[2];
    void *da = tape_gradient(t, a), *db = tape_gradient(t, b), *d_start = tape_gradient(t, start);
    struct op_loan loan = op_borrow(t);
    void *scratch = op_memory(t, v->inner);
    if (scratch) {
        t->kernels->scan_backward(v->outer, v->length, v->inner, a->data, h->data,
                                  start ? start->data : NULL, h->gradient, da, db, d_start,
                                  scratch);
        t->counts.multiply_adds += elements_of(h) * (da ? 2 : 1);
    }
    op_give_back(t, loan);
}

static const struct assay_op scan_op = {"scan", scan_gradients};

/* start: one slice of x, with the axis or without it. */
static bool is_slice(tensor start, tensor x, int axis)
{
    struct assay_shape kept = x->shape, dropped = x->shape;
    kept.dim[axis] = 1;
    dropped.rank--;
    for (int i = axis; i < dropped.rank; i++)
        dropped.dim[i] = x->shape.dim[i + 1];
    return shape_equal(start->shape, kept) || shape_equal(start->shape, dropped);
}

tensor scan(tape *t, tensor a, tensor b, tensor start, int axis)
{
    if (!op_reals(t, "scan", TENSORS(a, b)) || (start && !op_reals(t, "scan", TENSORS(start))))
        return TENSOR_NONE;
    int along = op_axis(a, axis);
    if (along < 0) {
        char shape[96];
        tape_fail(t, "scan", "expected an axis of the operand, got axis %d of %s", axis,
                  shape_text(a->shape, shape));
        return TENSOR_NONE;
    }
    if (!op_expect(t, "scan",
                   shape_equal(a->shape, b->shape) && (!start || is_slice(start, a, along)),
                   "a and b of one shape and start like one slice of them", TENSORS(a, b, start)))
        return TENSOR_NONE;
    tensor h = tape_new(t, ASSAY_REAL, a->shape);
    struct op_view *v = tape_allocate(t, sizeof *v);
    if (!h || !v)
        return TENSOR_NONE;
    *v = op_view_of(a, along);
    t->kernels->scan(v->outer, v->length, v->inner, a->data, b->data, start ? start->data : NULL,
                     h->data);
    t->counts.multiply_adds += elements_of(h);
    op_describe(t, h, scan_op.name, TENSORS(a, b, start), NUMBERS(along));
    return tape_record(t, &scan_op, h, TENSORS(a, b, start), v);
}

static const char matrix_name[] = "matrix_scan";

/* What the backward needs: the forward's call, and the output, on which dL/do arrives. */
struct call {
    struct assay_matrix_scan s;
    tensor output;
};

/* The whole backward; input: q, k, v, decay or NONE, start or NONE. d_o NULL: zeros; d_end NULL:
 * none. Per step the state and its gradient are made again, d_k d_v multiply-adds each, and so is
 * each gradient that is wanted. */
static void add_gradients(tape *t, const struct call *call, tensor *input, const void *d_o,
                          const void *d_end)
{
    struct assay_matrix_scan s = call->s;
    s.d_q = tape_gradient(t, input[0]);
    s.d_k_out = tape_gradient(t, input[1]);
    s.d_v_out = tape_gradient(t, input[2]);
    s.d_decay = tape_gradient(t, input[3]);
    s.d_start = tape_gradient(t, input[4]);
    s.d_o = d_o;
    s.d_end = d_end;
    struct op_loan loan = op_borrow(t);
    if (!d_o) {
        size_t n = s.batch * s.n * s.d_v;
        void *zeros = op_memory(t, n);
        if (zeros)
            t->kernels->fill(n, 0, zeros);
        s.d_o = zeros;
    }
    s.scratch = tape_allocate(t, t->kernels->matrix_scan_scratch(&s));
    if (s.scratch) {
        t->kernels->matrix_scan_backward(&s);
        uint64_t products =
            2u + (s.d_q != NULL) + (s.d_k_out != NULL) + (s.d_v_out != NULL) + (s.d_decay != NULL);
        t->counts.multiply_adds += products * s.batch * s.n * s.d_k * s.d_v;
    }
    op_give_back(t, loan);
}

static void matrix_backward(tape *t, tensor o)
{
    add_gradients(t, o->saved, o->input, o->gradient, NULL);
}

/* Where the end is asked for it is a node recorded just before o, whose only input it is: both
 * gradients are complete when its turn comes, and it does the whole backward. */
static void end_backward(tape *t, tensor end)
{
    const struct call *call = end->saved;
    add_gradients(t, call, end->input, call->output->gradient, end->gradient);
}

static void output_backward(tape *t, tensor o)
{
    tape_gradient(t, o->input[0]);
}

static const struct assay_op matrix_scan_op = {matrix_name, matrix_backward};
static const struct assay_op end_op = {matrix_name, end_backward};
static const struct assay_op output_op = {matrix_name, output_backward};

static bool operands_fit(tensor q, tensor k, tensor v, tensor decay, tensor start)
{
    if (q->shape.rank != 3 || v->shape.rank != 3 || !shape_equal(q->shape, k->shape)
        || dim_of(q, 0) != dim_of(v, 0) || dim_of(q, 1) != dim_of(v, 1))
        return false;
    struct assay_shape steps = SHAPE(dim_of(q, 0), dim_of(q, 1));
    return (!decay || shape_equal(decay->shape, steps) || shape_equal(decay->shape, q->shape))
           && (!start
               || shape_equal(start->shape, SHAPE(dim_of(q, 0), dim_of(q, 2), dim_of(v, 2))));
}

static bool run(tape *t, struct assay_matrix_scan *s)
{
    struct op_loan loan = op_borrow(t);
    s->scratch = tape_allocate(t, t->kernels->matrix_scan_scratch(s));
    if (s->scratch)
        t->kernels->matrix_scan(s);
    op_give_back(t, loan);
    s->scratch = NULL;
    t->counts.multiply_adds += 2 * (uint64_t)s->batch * s->n * s->d_k * s->d_v;
    return !t->error[0];
}

tensor matrix_scan(tape *t, tensor q, tensor k, tensor v, tensor decay, tensor start, tensor *end)
{
    if (end)
        *end = TENSOR_NONE;
    if (!op_reals(t, matrix_name, TENSORS(q, k, v))
        || (decay && !op_reals(t, matrix_name, TENSORS(decay)))
        || (start && !op_reals(t, matrix_name, TENSORS(start)))
        || !op_expect(t, matrix_name, operands_fit(q, k, v, decay, start),
                      "q and k [b, n, w], v [b, n, v], decay [b, n] or [b, n, w] or none, start "
                      "[b, w, v] or none",
                      TENSORS(q, k, v, decay, start)))
        return TENSOR_NONE;
    size_t b = dim_of(q, 0), n = dim_of(q, 1), w = dim_of(q, 2), width = dim_of(v, 2);
    tensor o = tape_new(t, ASSAY_REAL, SHAPE(b, n, width));
    tensor last = end ? tape_new(t, ASSAY_REAL, SHAPE(b, w, width)) : TENSOR_NONE;
    struct call *call = tape_allocate(t, sizeof *call);
    if (!call)
        return TENSOR_NONE;
    *call = (struct call){.s = {.batch = b,
                                .n = n,
                                .d_k = w,
                                .d_v = width,
                                .decay_width = !decay                   ? 0
                                               : decay->shape.rank == 2 ? 1
                                                                        : w,
                                .q = q->data,
                                .k = k->data,
                                .v = v->data,
                                .decay = decay ? decay->data : NULL,
                                .start = start ? start->data : NULL,
                                .o = o->data,
                                .end = last ? last->data : NULL},
                          .output = o};
    if (!run(t, &call->s))
        return TENSOR_NONE;
    op_describe(t, o, matrix_name, TENSORS(q, k, v, decay, start), NUMBERS(MATRIX_SCAN_OUTPUT));
    if (!end)
        return tape_record(t, &matrix_scan_op, o, TENSORS(q, k, v, decay, start), call);
    op_describe(t, last, matrix_name, TENSORS(q, k, v, decay, start), NUMBERS(MATRIX_SCAN_END));
    *end = tape_record(t, &end_op, last, TENSORS(q, k, v, decay, start), call);
    return tape_record(t, &output_op, o, TENSORS(last), NULL);
}

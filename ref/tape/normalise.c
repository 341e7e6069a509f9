/* SPDX-License-Identifier: Apache-2.0 */
/* Softmax and log-sum-exp over index sets, layer and root-mean-square norms. */
#include "ref/tape/op.h"

/* mask->allowed [x's shape]: allowed, with its repeated axes written out. */
static bool write_out(tape *t, tensor x, tensor allowed, struct assay_row_mask *mask)
{
    size_t n = elements_of(x), width = width_of(x);
    int32_t *full = tape_allocate(t, n * sizeof *full);
    if (!full)
        return false;
    const int32_t *from = ids_of(allowed);
    ptrdiff_t stride[ASSAY_RANK_MAX];
    op_broadcast(allowed->shape, x->shape, stride);
    size_t index[ASSAY_RANK_MAX] = {0};
    ptrdiff_t at = 0;
    for (size_t e = 0; e < n; e++) {
        full[e] = from[at];
        for (int i = x->shape.rank; i-- > 0;) {
            at += stride[i];
            if (++index[i] < x->shape.dim[i])
                break;
            at -= stride[i] * (ptrdiff_t)index[i];
            index[i] = 0;
        }
    }
    mask->allowed = full;
    mask->rows = width ? n / width : 0;
    mask->repeat = 1;
    return true;
}

/* Rows of `allowed` are repeated behind their axes, or in front of them, as they stand; other
 * patterns are written out. */
static bool row_mask(tape *t, tensor x, tensor allowed, bool uniform_if_empty,
                     struct assay_row_mask *mask)
{
    *mask = (struct assay_row_mask){.rows = 1, .repeat = 1, .uniform_if_empty = uniform_if_empty};
    if (!allowed)
        return true;
    struct assay_shape a = allowed->shape;
    bool as_it_stands = a.rank > 0 && a.dim[a.rank - 1] == width_of(x);
    enum { BEHIND, WITHIN, BEFORE } place = BEHIND;
    for (int i = 2; i <= x->shape.rank; i++) {
        size_t dim = x->shape.dim[x->shape.rank - i], own = i <= a.rank ? a.dim[a.rank - i] : 1;
        if (dim == 1)
            continue;
        if (own == 1) {
            place = place == BEHIND ? BEHIND : BEFORE;
            mask->repeat *= place == BEHIND ? dim : 1;
        } else {
            as_it_stands &= place != BEFORE;
            place = WITHIN;
            mask->rows *= dim;
        }
    }
    mask->allowed = ids_of(allowed);
    return as_it_stands || write_out(t, x, allowed, mask);
}

static void softmax_backward(tape *t, tensor y)
{
    const struct assay_row_mask *mask = y->saved;
    void *dx = tape_gradient(t, y->input[0]);
    if (!dx)
        return;
    t->kernels->softmax_backward(rows_of(y), width_of(y), mask, y->data, y->gradient, dx);
    op_wrote(t, elements_of(y));
}

static void log_sum_exp_backward(tape *t, tensor y)
{
    const struct assay_row_mask *mask = y->saved;
    tensor x = y->input[0];
    void *dx = tape_gradient(t, x);
    if (!dx)
        return;
    t->kernels->log_sum_exp_backward(rows_of(x), width_of(x), mask, x->data, y->data, y->gradient,
                                     dx);
    op_wrote(t, elements_of(x));
}

static const struct assay_op softmax_op = {"softmax", softmax_backward};
static const struct assay_op log_sum_exp_op = {"log_sum_exp", log_sum_exp_backward};

/* allowed with an axis and the last (another one) exchanged; a missing axis is one of size 1. */
static tensor allowed_moved(tape *t, tensor x, int axis, tensor allowed)
{
    struct assay_shape a = {.rank = x->shape.rank};
    for (int i = 1; i <= a.rank; i++)
        a.dim[a.rank - i] =
            i <= allowed->shape.rank ? allowed->shape.dim[allowed->shape.rank - i] : 1;
    return transpose(t, reshape(t, allowed, a), axis, -1);
}

static bool operands_fit(tape *t, const char *op, tensor x, int *axis, tensor allowed)
{
    if (!op_reals(t, op, TENSORS(x)) || (allowed && !op_ids(t, op, TENSORS(allowed))))
        return false;
    int wanted = *axis;
    *axis = op_axis(x, wanted);
    if (*axis < 0) {
        char shape[96];
        tape_fail(t, op, "expected an axis of the operand, got axis %d of %s", wanted,
                  shape_text(x->shape, shape));
        return false;
    }
    return op_expect(t, op, !allowed || op_broadcasts(allowed->shape, x->shape),
                     "an allowed set that broadcasts to the operand", TENSORS(x, allowed));
}

tensor softmax(tape *t, tensor x, int axis, tensor allowed, bool uniform_if_empty)
{
    if (!operands_fit(t, "softmax", x, &axis, allowed))
        return TENSOR_NONE;
    if (axis != x->shape.rank - 1) {
        if (allowed)
            allowed = allowed_moved(t, x, axis, allowed);
        tensor y = softmax(t, transpose(t, x, axis, -1), -1, allowed, uniform_if_empty);
        return transpose(t, y, axis, -1);
    }
    tensor y = tape_new(t, ASSAY_REAL, x->shape);
    struct assay_row_mask *mask = tape_allocate(t, sizeof *mask);
    if (!y || !mask || !row_mask(t, x, allowed, uniform_if_empty, mask))
        return TENSOR_NONE;
    t->kernels->softmax(rows_of(x), width_of(x), mask, x->data, y->data);
    op_wrote(t, elements_of(y));
    op_describe(t, y, softmax_op.name, TENSORS(x, allowed), NUMBERS(uniform_if_empty));
    return tape_record(t, &softmax_op, y, TENSORS(x), mask);
}

tensor log_sum_exp(tape *t, tensor x, int axis, tensor allowed)
{
    if (!operands_fit(t, "log_sum_exp", x, &axis, allowed))
        return TENSOR_NONE;
    if (axis != x->shape.rank - 1) {
        if (allowed)
            allowed = allowed_moved(t, x, axis, allowed);
        return transpose(t, log_sum_exp(t, transpose(t, x, axis, -1), -1, allowed), axis, -1);
    }
    struct assay_shape shape = x->shape;
    shape.dim[axis] = 1;
    tensor y = tape_new(t, ASSAY_REAL, shape);
    struct assay_row_mask *mask = tape_allocate(t, sizeof *mask);
    if (!y || !mask || !row_mask(t, x, allowed, false, mask))
        return TENSOR_NONE;
    t->kernels->log_sum_exp(rows_of(x), width_of(x), mask, x->data, y->data);
    op_wrote(t, elements_of(x));
    op_describe(t, y, log_sum_exp_op.name, TENSORS(x, allowed), 0, NULL);
    return tape_record(t, &log_sum_exp_op, y, TENSORS(x), mask);
}

/* Kept for the backward, per row. rms norms have no mean. */
struct moments {
    void *mean, *deviation;
};

static bool vector_of(tensor gain, tensor x)
{
    return !gain || (gain->shape.rank == 1 && gain->shape.dim[0] == width_of(x));
}

static bool norm_fits(tape *t, const char *op, tensor x, tensor gain, tensor bias, double eps)
{
    return op_reals(t, op, TENSORS(x)) && (!gain || op_reals(t, op, TENSORS(gain)))
           && (!bias || op_reals(t, op, TENSORS(bias)))
           && op_expect(
               t, op,
               x->shape.rank > 0 && width_of(x) > 0 && vector_of(gain, x) && vector_of(bias, x),
               bias ? "x [.., width], gain [width], bias [width]" : "x [.., width], gain [width]",
               TENSORS(x, gain, bias))
           && op_expect(t, op, eps >= 0, "eps of 0 or more", TENSORS(x));
}

static void layer_norm_backward(tape *t, tensor y)
{
    const struct moments *m = y->saved;
    tensor x = y->input[0], gain = y->input[1], bias = y->input[2];
    void *dx = tape_gradient(t, x), *d_gain = tape_gradient(t, gain),
         *d_bias = tape_gradient(t, bias);
    struct op_loan loan = op_borrow(t);
    void *scratch = op_memory(t, 2 * width_of(x));
    if (scratch)
        t->kernels->layer_norm_backward(rows_of(x), width_of(x), x->data, gain ? gain->data : NULL,
                                        m->mean, m->deviation, y->gradient, dx, d_gain, d_bias,
                                        scratch);
    op_give_back(t, loan);
    op_wrote(t, elements_of(x));
}

static void rms_norm_backward(tape *t, tensor y)
{
    const struct moments *m = y->saved;
    tensor x = y->input[0], gain = y->input[1];
    void *dx = tape_gradient(t, x), *d_gain = tape_gradient(t, gain);
    struct op_loan loan = op_borrow(t);
    void *scratch = op_memory(t, 2 * width_of(x));
    if (scratch)
        t->kernels->rms_norm_backward(rows_of(x), width_of(x), x->data, gain ? gain->data : NULL,
                                      m->deviation, y->gradient, dx, d_gain, scratch);
    op_give_back(t, loan);
    op_wrote(t, elements_of(x));
}

static const struct assay_op layer_norm_op = {"layer_norm", layer_norm_backward};
static const struct assay_op rms_norm_op = {"rms_norm", rms_norm_backward};

tensor layer_norm(tape *t, tensor x, tensor gain, tensor bias, double eps)
{
    tensor y = norm_fits(t, "layer_norm", x, gain, bias, eps) ? tape_new(t, ASSAY_REAL, x->shape)
                                                              : TENSOR_NONE;
    if (!y)
        return TENSOR_NONE;
    struct op_loan loan = op_borrow(t);
    struct moments *m = tape_allocate(t, sizeof *m);
    void *mean = op_memory(t, rows_of(x)), *deviation = op_memory(t, rows_of(x));
    if (!m || !mean || !deviation)
        return TENSOR_NONE;
    *m = (struct moments){mean, deviation};
    t->kernels->layer_norm(rows_of(x), width_of(x), eps, x->data, gain ? gain->data : NULL,
                           bias ? bias->data : NULL, y->data, mean, deviation);
    op_wrote(t, elements_of(y));
    if (!t->recording)
        op_give_back(t, loan);
    op_describe(t, y, layer_norm_op.name, TENSORS(x, gain, bias), NUMBERS(eps));
    return tape_record(t, &layer_norm_op, y, TENSORS(x, gain, bias), m);
}

tensor rms_norm(tape *t, tensor x, tensor gain, double eps)
{
    tensor y = norm_fits(t, "rms_norm", x, gain, TENSOR_NONE, eps)
                   ? tape_new(t, ASSAY_REAL, x->shape)
                   : TENSOR_NONE;
    if (!y)
        return TENSOR_NONE;
    struct op_loan loan = op_borrow(t);
    struct moments *m = tape_allocate(t, sizeof *m);
    void *deviation = op_memory(t, rows_of(x));
    if (!m || !deviation)
        return TENSOR_NONE;
    *m = (struct moments){NULL, deviation};
    t->kernels->rms_norm(rows_of(x), width_of(x), eps, x->data, gain ? gain->data : NULL, y->data,
                         deviation);
    op_wrote(t, elements_of(y));
    if (!t->recording)
        op_give_back(t, loan);
    op_describe(t, y, rms_norm_op.name, TENSORS(x, gain), NUMBERS(eps));
    return tape_record(t, &rms_norm_op, y, TENSORS(x, gain), m);
}

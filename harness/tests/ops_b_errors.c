/* SPDX-License-Identifier: Apache-2.0 */
/* Messages of the ops of attention, scans, moves, rows, decisions and losses: what is built, and
 * what the tape says. */
#include <string.h>

#include "harness/tests/tap.h"
#include "ref/ops.h"

#define COUNT(array) ((int)(sizeof(array) / sizeof *(array)))
#define IDS(shape, ...) tape_input_i32(t, shape, (int32_t[]){__VA_ARGS__})

#define FAULT(name, made) \
    static void name(tape *t) \
    { \
        tensor x = tape_filled(t, SHAPE(2, 3, 4), 1), q = tape_filled(t, SHAPE(2, 3, 4, 5), 1); \
        tensor k = tape_filled(t, SHAPE(2, 6, 2, 5), 1); \
        tensor angle = tape_variable_f64(t, SHAPE(3, 2), (double[6]){0}); \
        (void)x, (void)q, (void)k, (void)angle; \
        made; \
    }
#define ATTEND(...) attention(t, q, k, k, &(struct attention_options){__VA_ARGS__})

FAULT(heads, attention(t, tape_filled(t, SHAPE(2, 3, 3, 5), 1), k, k, NULL))
FAULT(key_valid, ATTEND(.key_valid = IDS(SHAPE(2, 2), 1, 1, 1, 1)))
FAULT(query_valid, ATTEND(.query_valid = IDS(SHAPE(2, 2), 1, 1, 1, 1)))
FAULT(allowed, ATTEND(.allowed = IDS(SHAPE(2, 2), 1, 1, 1, 1)))
FAULT(bias, ATTEND(.bias = x))
FAULT(mask_type, ATTEND(.allowed = x))
FAULT(cache, ATTEND(.keys = 7))
FAULT(tiled_dropout, ATTEND(.dropout = 0.1, .name = "d"))
FAULT(attention_rate, ATTEND(.dropout = 1, .name = "d", .explicit_form = true))
FAULT(scan_shapes, scan(t, x, slice(t, x, 0, 0, 1), TENSOR_NONE, 1))
FAULT(scan_axis, scan(t, x, x, TENSOR_NONE, 3))
FAULT(scan_start, scan(t, x, x, x, 1))
FAULT(matrix_shapes, matrix_scan(t, x, x, q, TENSOR_NONE, TENSOR_NONE, NULL))
FAULT(reshape_count, reshape(t, x, SHAPE(5, 5)))
FAULT(permute_axes, permute(t, x, (int[]){0, 1, 1}))
FAULT(transpose_axis, transpose(t, x, 0, 3))
FAULT(expand_shape, expand(t, x, SHAPE(2, 3, 5)))
FAULT(concat_shape, concat(t, 0, 2, (tensor[]){x, slice(t, x, 2, 0, 1)}))
FAULT(concat_none, concat(t, 0, 0, NULL))
FAULT(slice_range, slice(t, x, 1, 2, 2))
FAULT(pad_room, pad(t, x, 1, SIZE_MAX, 1))
FAULT(flip_axis, flip(t, x, -4))
FAULT(roll_axis, roll(t, x, 3, 1))
FAULT(gather_index, gather_rows(t, reshape(t, tape_filled(t, SHAPE(16, 1), 1), SHAPE(16, 1)),
                                IDS(SHAPE(2, 2), 1, 0, 15, 17)))
FAULT(gather_negative, gather_rows(t, reshape(t, x, SHAPE(6, 4)), IDS(SHAPE(1), -1)))
FAULT(gather_shape, gather_rows(t, x, IDS(SHAPE(1), 0)))
FAULT(scatter_index, scatter_add_rows(t, 2, IDS(SHAPE(2, 3), 0, 1, 0, 1, 2, 0), x))
FAULT(scatter_shape, scatter_add_rows(t, 2, IDS(SHAPE(2), 0, 1), x))
FAULT(take_index, take(t, x, IDS(SHAPE(2, 1), 0, 3)))
FAULT(take_shape, take(t, x, IDS(SHAPE(1, 1), 0)))
FAULT(take_last_index, take_last(t, x, IDS(SHAPE(2, 3, 1), 0, 0, 0, 0, 4, 0)))
FAULT(take_last_shape, take_last(t, x, IDS(SHAPE(2), 0, 0)))
FAULT(rotate_shape, rotate(t, q, x, x, false))
FAULT(rotate_gradient, rotate(t, q, angle, angle, false))
FAULT(top_k_count, top_k(t, x, 5, "k"))
FAULT(st_shape, st(t, x, q))
FAULT(stop_none, stop_gradient(t, TENSOR_NONE))
FAULT(dropout_rate, dropout(t, x, 1, "d"))
FAULT(entropy_target, cross_entropy(t, x, IDS(SHAPE(2, 3), 0, -1, 3, 4, 0, 0), -1, 6))
FAULT(entropy_shape, cross_entropy(t, x, IDS(SHAPE(2), 0, 0), -1, 6))
FAULT(entropy_denominator, cross_entropy(t, x, IDS(SHAPE(2, 3), 0, 0, 0, 0, 0, 0), -1, 0))
FAULT(squared_shape, mean_squared_error(t, x, q, 1))

static const struct {
    void (*made)(tape *t);
    const char *message;
} faults[] = {
    {heads, "attention: expected query [b, n, h, w], key [b, n_k, g, w] and value [b, n_k, g, v] "
            "with h a multiple of g, "
            "got [2, 3, 3, 5] and [2, 6, 2, 5] and [2, 6, 2, 5]"},
    {key_valid, "attention: expected key_valid [b, n_k], got i32 [2, 2] and [2, 6, 2, 5]"},
    {query_valid, "attention: expected query_valid [b, n], got i32 [2, 2] and [2, 3, 4, 5]"},
    {allowed, "attention: expected allowed [b or 1, h or 1, n, n_k], got i32 [2, 2] and [2, 3, 4, "
              "5] and [2, 6, 2, 5]"},
    {bias, "attention: expected bias [b or 1, h or 1, n, n_k], got [2, 3, 4] and [2, 3, 4, 5] and "
           "[2, 6, 2, 5]"},
    {mask_type, "attention: expected i32 operands, got [2, 3, 4]"},
    {cache, "attention: expected at most the 6 keys there are, got keys 7"},
    {tiled_dropout, "attention: expected the explicit form for dropout or probabilities, got [2, "
                    "3, 4, 5] and [2, 6, 2, 5]"},
    {attention_rate, "attention: expected a dropout rate of at least 0 and below 1, got 1"},
    {scan_shapes, "scan: expected a and b of one shape and start like one slice of them, got [2, "
                  "3, 4] and [1, 3, 4]"},
    {scan_axis, "scan: expected an axis of the operand, got axis 3 of [2, 3, 4]"},
    {scan_start, "scan: expected a and b of one shape and start like one slice of them, got [2, 3, "
                 "4] and [2, 3, 4] and "
                 "[2, 3, 4]"},
    {matrix_shapes, "matrix_scan: expected q and k [b, n, w], v [b, n, v], decay [b, n] or [b, n, "
                    "w] or none, start "
                    "[b, w, v] or none, got [2, 3, 4] and [2, 3, 4] and [2, 3, 4, 5]"},
    {reshape_count, "reshape: expected as many elements as in [2, 3, 4], got [5, 5]"},
    {permute_axes, "permute: expected each axis of the operand once, got [2, 3, 4]"},
    {transpose_axis, "transpose: expected an axis of the operand, got axis 3 of [2, 3, 4]"},
    {expand_shape, "expand: expected a shape that [2, 3, 4] repeats to, got [2, 3, 5]"},
    {concat_shape, "concat: expected operands alike but for the axis, got [2, 3, 4] and [2, 3, 1]"},
    {concat_none, "concat: expected at least one operand, got 0"},
    {slice_range, "slice: expected a part of axis 1, got 2 elements from 2 of [2, 3, 4]"},
    {pad_room, "pad: expected fewer zeros, got 18446744073709551615 before and 1 after"},
    {flip_axis, "flip: expected an axis of the operand, got axis -4 of [2, 3, 4]"},
    {roll_axis, "roll: expected an axis of the operand, got axis 3 of [2, 3, 4]"},
    {gather_index, "gather_rows: index 17 at position 3 is outside a table of 16 rows"},
    {gather_negative, "gather_rows: index -1 at position 0 is outside a table of 6 rows"},
    {gather_shape,
     "gather_rows: expected a table [rows, w] and i32 indices, got [2, 3, 4] and i32 [1]"},
    {scatter_index, "scatter_add_rows: index 2 at position 4 is outside a table of 2 rows"},
    {scatter_shape,
     "scatter_add_rows: expected x [.., w] and i32 indices [..], got i32 [2] and [2, 3, 4]"},
    {take_index, "take: index 3 at position 1 is outside a sample of 3 rows"},
    {take_shape, "take: expected x [b, n, w] and i32 indices [b, k], got [2, 3, 4] and i32 [1, 1]"},
    {take_last_index, "take_last: index 4 at position 4 is outside an axis of 4 elements"},
    {take_last_shape,
     "take_last: expected x [.., n] and i32 indices [.., k], got [2, 3, 4] and i32 [2]"},
    {rotate_shape, "rotate: expected x [b, n, h, w], cosine and sine [n, pairs] with at most w / 2 "
                   "pairs, got [2, 3, 4, 5] "
                   "and [2, 3, 4] and [2, 3, 4]"},
    {rotate_gradient, "rotate: expected tables that want no gradient, got [3, 2] and [3, 2]"},
    {top_k_count, "top_k: expected x [.., n] with at least k elements, got k 5 and [2, 3, 4]"},
    {st_shape, "st: expected hard and soft of one shape, got [2, 3, 4] and [2, 3, 4, 5]"},
    {stop_none, "stop_gradient: expected a tensor as operand 1, got none"},
    {dropout_rate, "dropout: expected a rate of at least 0 and below 1, got [2, 3, 4]"},
    {entropy_target, "cross_entropy: target 4 at position 3 is outside 4 classes"},
    {entropy_shape, "cross_entropy: expected logits [.., classes] and i32 targets [..], got [2, 3, "
                    "4] and i32 [2]"},
    {entropy_denominator, "cross_entropy: expected a positive denominator, got 0"},
    {squared_shape,
     "mean_squared_error: expected x and y of one shape, got [2, 3, 4] and [2, 3, 4, 5]"},
};

static void errors(const struct assay_kernels *kernels)
{
    for (int i = 0; i < COUNT(faults); i++) {
        tape t;
        if (tape_open(&t, kernels))
            return;
        faults[i].made(&t);
        ok(!strcmp(t.error, faults[i].message), "%s table: %s", kernels->name, faults[i].message);
        if (strcmp(t.error, faults[i].message))
            diag("got %s", t.error[0] ? t.error : "no error");
        tape_close(&t);
    }
}

int main(void)
{
    errors(assay_kernels_def(ASSAY_F64));
    errors(assay_kernels_dry(ASSAY_F32));
    return done_testing();
}

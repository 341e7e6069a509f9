/* SPDX-License-Identifier: Apache-2.0 */
/* The tape: nodes, leaves, marks, holding, backward, readers. Its arena is in arena.c. */
#include "ref/tape.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ref/tape/op.h"

/* Keeps room for one more element in a growing array; doubling, so that a second step finds it
 * large enough. */
static bool room_for_one(tape *t, void **array, size_t *room, size_t count, size_t size)
{
    if (count < *room)
        return true;
    size_t more = *room ? 2 * *room : 256;
    void *grown = realloc(*array, more * size);
    if (!grown) {
        tape_fail(t, "tape", "out of memory");
        return false;
    }
    *array = grown;
    *room = more;
    return true;
}

const char *tape_error(const tape *t)
{
    return t->error[0] ? t->error : NULL;
}

void tape_fail(tape *t, const char *op, const char *format, ...)
{
    if (t->error[0])
        return;
    int used =
        snprintf(t->error, sizeof t->error, "%s%s%s: ", t->where, t->where[0] ? ": " : "", op);
    if (used < 0 || (size_t)used >= sizeof t->error)
        return;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(t->error + used, sizeof t->error - (size_t)used, format, arguments);
    va_end(arguments);
}

tensor tape_new(tape *t, enum assay_type type, struct assay_shape shape)
{
    if (t->error[0])
        return TENSOR_NONE;
    if (shape.rank < 0 || shape.rank > ASSAY_RANK_MAX) {
        tape_fail(t, "tensor", "expected at most %d axes, got %d", ASSAY_RANK_MAX, shape.rank);
        return TENSOR_NONE;
    }
    size_t elements = 1;
    for (int i = 0; i < shape.rank; i++)
        if (__builtin_mul_overflow(elements, shape.dim[i], &elements) || elements > SIZE_MAX / 16) {
            char text[96];
            tape_fail(t, "tensor", "out of memory: %s", shape_text(shape, text));
            return TENSOR_NONE;
        }
    tensor x = tape_allocate(t, sizeof *x);
    if (!x)
        return TENSOR_NONE;
    *x = (struct assay_node){.type = type, .shape = shape};
    if (type == ASSAY_REAL && t->dry)
        return op_memory(t, elements) ? x : TENSOR_NONE;
    x->data =
        type == ASSAY_REAL ? op_memory(t, elements) : tape_allocate(t, elements * sizeof(int32_t));
    if (!x->data)
        return TENSOR_NONE;
    if (type == ASSAY_I32 && t->dry)
        memset(x->data, 0, elements * sizeof(int32_t));
    return x;
}

/* An op's output is finite, or the tape's error names the op and the element. */
static bool finite_output(tape *t, const char *op, tensor y)
{
    if (t->dry || y->type != ASSAY_REAL)
        return true;
    size_t n = shape_elements(y->shape), bad = t->kernels->first_nonfinite(n, y->data);
    if (bad >= n)
        return true;
    double value;
    t->kernels->to_f64(1, (const char *)y->data + bad * t->kernels->element, &value);
    struct assay_shape index = y->shape;
    for (int i = index.rank; i-- > 0; bad /= y->shape.dim[i])
        index.dim[i] = bad % y->shape.dim[i];
    char at[96], shape[96];
    tape_fail(t, op, "expected finite values, got %g at %s of %s", value, shape_text(index, at),
              shape_text(y->shape, shape));
    return false;
}

bool tape_mixing(tape *t, bool mixing)
{
    bool before = t->mixing;
    if (before)
        t->counts.mixing_multiply_adds += t->counts.multiply_adds - t->mixing_from;
    t->mixing_from = t->counts.multiply_adds;
    t->mixing = mixing;
    return before;
}

static uint64_t bytes_of(const tape *t, tensor x)
{
    return (uint64_t)elements_of(x)
           * (x && x->type == ASSAY_REAL ? t->kernels->element : sizeof(int32_t));
}

/* What the op that makes y reads of its input x. */
static uint64_t bytes_read(const tape *t, tensor y, tensor x)
{
    uint64_t all = bytes_of(t, x), picked = bytes_of(t, y);
    return y->reads == READS_ALL || all < picked ? all : picked;
}

static void count_forward(tape *t, tensor y, int inputs, const tensor *input)
{
    if (y->reads == READS_NOTHING)
        return;
    t->counts.moved += bytes_of(t, y);
    for (int i = 0; i < inputs; i++)
        t->counts.moved += bytes_read(t, y, input[i]);
}

static void count_backward(tape *t, tensor y)
{
    t->counts.moved += bytes_of(t, y);
    for (int i = 0; i < y->inputs; i++) {
        uint64_t bytes = bytes_read(t, y, y->input[i]);
        bool wanted = y->input[i] && y->input[i]->needs_gradient;
        t->counts.moved += (y->reads == READS_ALL ? bytes : 0) + (wanted ? 2 * bytes : 0);
    }
}

tensor tape_record(tape *t, const struct assay_op *op, tensor y, int inputs, const tensor *input,
                   void *saved)
{
    if (t->error[0] || !y || !finite_output(t, op->name, y))
        return TENSOR_NONE;
    y->op = op;
    if (!y->description)
        op_describe(t, y, op->name, inputs, input, 0, NULL);
    y->mixing = t->mixing;
    count_forward(t, y, inputs, input);
    bool wanted = false;
    for (int i = 0; i < inputs; i++)
        wanted |= input[i] && input[i]->needs_gradient;
    if (t->recording && wanted && y->type == ASSAY_REAL) {
        y->needs_gradient = true;
        y->input = tape_allocate(t, (size_t)inputs * sizeof *input);
        if (!y->input)
            return TENSOR_NONE;
        memcpy(y->input, input, (size_t)inputs * sizeof *input);
        y->inputs = inputs;
        y->saved = saved;
    }
    if (!room_for_one(t, (void **)&t->node, &t->node_room, t->nodes, sizeof *t->node))
        return TENSOR_NONE;
    t->node[t->nodes++] = y;
    return y;
}

tensor tape_parameter(tape *t, struct assay_shape shape, void *data, void *gradient)
{
    if (t->error[0])
        return TENSOR_NONE;
    tensor x = tape_allocate(t, sizeof *x);
    if (x)
        *x = (struct assay_node){.type = ASSAY_REAL,
                                 .shape = shape,
                                 .data = data,
                                 .needs_gradient = gradient != NULL,
                                 .gradient = gradient};
    return x;
}

tensor tape_input_f32(tape *t, struct assay_shape shape, const float *data)
{
    tensor x = tape_new(t, ASSAY_REAL, shape);
    if (!x || t->dry)
        return x;
    size_t n = shape_elements(shape);
    if (data)
        t->kernels->from_f32(n, data, x->data);
    else
        memset(x->data, 0, n * t->kernels->element);
    return x;
}

tensor tape_input_f64(tape *t, struct assay_shape shape, const double *data)
{
    if (!data)
        return tape_input_f32(t, shape, NULL);
    tensor x = tape_new(t, ASSAY_REAL, shape);
    if (x && !t->dry)
        t->kernels->from_f64(shape_elements(shape), data, x->data);
    return x;
}

tensor tape_variable_f64(tape *t, struct assay_shape shape, const double *data)
{
    tensor x = tape_input_f64(t, shape, data);
    if (x)
        x->needs_gradient = true;
    return x;
}

tensor tape_input_i32(tape *t, struct assay_shape shape, const int32_t *data)
{
    tensor x = tape_new(t, ASSAY_I32, shape);
    if (!x)
        return x;
    size_t bytes = shape_elements(shape) * sizeof *data;
    if (data)
        memcpy(x->data, data, bytes);
    else
        memset(x->data, 0, bytes);
    return x;
}

tensor tape_filled(tape *t, struct assay_shape shape, double value)
{
    tensor x = tape_new(t, ASSAY_REAL, shape);
    if (x)
        t->kernels->fill(shape_elements(shape), value, x->data);
    return x;
}

void tape_name(tape *t, tensor x, const char *kind, const char *name)
{
    if (!x || !t->describing)
        return;
    struct assay_description *d = tape_allocate(t, sizeof *d);
    if (!d)
        return;
    *d = (struct assay_description){.op = tape_string(t, "%s", kind),
                                    .name = tape_string(t, "%s", name),
                                    .where = tape_string(t, "%s", t->where)};
    x->description = d;
}

void *tape_gradient(tape *t, tensor x)
{
    if (!x || !x->needs_gradient || t->error[0])
        return NULL;
    if (!x->gradient) {
        size_t n = shape_elements(x->shape);
        x->gradient = op_memory(t, n);
        if (x->gradient && !t->dry)
            memset(x->gradient, 0, n * t->kernels->element); /* zero bits are +0 in both profiles */
    }
    return x->gradient;
}

void tape_backward_from(tape *t, int count, const tensor *y, const tensor *cotangent)
{
    if (t->error[0])
        return;
    if (!t->recording) {
        tape_fail(t, "backward", "expected a tape that was recording");
        return;
    }
    if (!op_reals(t, "backward", count, y) || !op_reals(t, "backward", count, cotangent))
        return;
    for (int i = 0; i < count; i++) {
        if (!op_expect(t, "backward", shape_equal(y[i]->shape, cotangent[i]->shape),
                       "a cotangent of the value's shape", TENSORS(y[i], cotangent[i])))
            return;
        void *d = tape_gradient(t, y[i]);
        if (d)
            op_copy(t, elements_of(y[i]), cotangent[i]->data, d, ASSAY_ADD);
    }
    /* What a backward makes with ops is not differentiated again. */
    t->recording = false;
    for (size_t i = t->nodes; i-- > 0 && !t->error[0];) {
        tensor n = t->node[i];
        if (n->needs_gradient && n->gradient && n->op->backward) {
            tape_mixing(t, n->mixing);
            count_backward(t, n);
            n->op->backward(t, n);
        }
    }
    tape_mixing(t, false);
    t->recording = true;
}

void tape_backward(tape *t, tensor loss)
{
    if (!op_reals(t, "backward", TENSORS(loss))
        || !op_expect(t, "backward", elements_of(loss) == 1, "a loss of one element",
                      TENSORS(loss)))
        return;
    tensor one = tape_filled(t, loss->shape, 1);
    if (one)
        tape_backward_from(t, 1, &loss, &one);
}

/* x becomes the decision that is given, before any other op reads it. */
static void take_decision(tape *t, const char *name, tensor x)
{
    size_t n = elements_of(x), at = t->decisions_taken++;
    if (at >= t->decisions || t->decided[at].elements != n) {
        tape_fail(t, name, "expected a decision of %zu elements, got %zu", n,
                  at < t->decisions ? t->decided[at].elements : 0);
        return;
    }
    int32_t *own = x->data;
    for (size_t i = 0; i < n; i++) {
        t->flips += own[i] != t->decided[at].data[i];
        own[i] = t->decided[at].data[i];
    }
}

void tape_mark(tape *t, enum assay_mark kind, const char *name, tensor x, double margin)
{
    /* A backward that is made of ops decides for itself: nothing is recorded there. */
    if (kind == ASSAY_DECISION && t->decided && t->recording && x && x->type == ASSAY_I32)
        take_decision(t, name, x);
    if (t->error[0] || !x
        || !room_for_one(t, (void **)&t->marked, &t->mark_room, t->marks, sizeof *t->marked))
        return;
    const char *kept = tape_string(t, "%s", name);
    if (kept)
        t->marked[t->marks++] = (struct assay_marked){kind, kept, x, margin};
}

/* A held copy: its length, then its bytes. It outlives tape_reset. */
void tape_hold(tape *t, void *data, size_t bytes)
{
    if (t->freeze == ASSAY_FREE || t->dry || t->error[0])
        return;
    if (t->freeze == ASSAY_HOLD_RECORD) {
        if (!room_for_one(t, (void **)&t->held, &t->hold_room, t->holds, sizeof *t->held))
            return;
        char *copy = malloc(sizeof bytes + bytes);
        if (!copy) {
            tape_fail(t, "hold", "out of memory");
            return;
        }
        memcpy(copy, &bytes, sizeof bytes);
        if (bytes)
            memcpy(copy + sizeof bytes, data, bytes);
        t->held[t->holds++] = copy;
        return;
    }
    size_t kept = 0;
    if (t->hold_next < t->holds)
        memcpy(&kept, t->held[t->hold_next], sizeof kept);
    if (t->hold_next >= t->holds || kept != bytes) {
        tape_fail(t, "hold",
                  "expected the values held at the base point, in the same order, got another run");
        return;
    }
    if (bytes)
        memcpy(data, (char *)t->held[t->hold_next] + sizeof kept, bytes);
    t->hold_next++;
}

void tape_forget_held(tape *t)
{
    for (size_t i = 0; i < t->holds; i++)
        free(t->held[i]);
    t->holds = t->hold_next = 0;
}

size_t shape_elements(struct assay_shape shape)
{
    size_t n = 1;
    for (int i = 0; i < shape.rank; i++)
        n *= shape.dim[i];
    return n;
}

bool shape_equal(struct assay_shape a, struct assay_shape b)
{
    bool equal = a.rank == b.rank;
    for (int i = 0; equal && i < a.rank; i++)
        equal = a.dim[i] == b.dim[i];
    return equal;
}

const char *shape_text(struct assay_shape shape, char text[96])
{
    size_t used = 1;
    memcpy(text, "[", 2);
    for (int i = 0; i < shape.rank && used < 92; i++)
        used += (size_t)snprintf(text + used, 94 - used, "%s%zu", i ? ", " : "", shape.dim[i]);
    if (used > 93)
        used = 93;
    memcpy(text + used, "]", 2);
    return text;
}

/* Of TENSOR_NONE, which a failed op returns: no axes, no elements, sizes of 1 so that dividing by
 * them is harmless. */
int rank_of(tensor x)
{
    return x ? x->shape.rank : 0;
}

size_t dim_of(tensor x, int axis)
{
    int i = x ? op_axis(x, axis) : -1;
    return i < 0 ? 1 : x->shape.dim[i];
}

size_t elements_of(tensor x)
{
    return x ? shape_elements(x->shape) : 0;
}

size_t width_of(tensor x)
{
    return dim_of(x, -1);
}

size_t rows_of(tensor x)
{
    if (!x)
        return 0;
    struct assay_shape leading = x->shape;
    leading.rank -= leading.rank > 0;
    return shape_elements(leading);
}

const int32_t *ids_of(tensor x)
{
    return x && x->type == ASSAY_I32 ? x->data : NULL;
}

const int32_t *flags_of(const tape *t, tensor flags)
{
    const int32_t *flag = ids_of(flags);
    bool any = !t->dry;
    for (size_t i = 0; flag && !any && i < elements_of(flags); i++)
        any = flag[i] != 0;
    return any ? flag : NULL;
}

void tensor_read(const tape *t, tensor x, double *values)
{
    if (!x)
        return;
    size_t n = shape_elements(x->shape);
    if (x->type == ASSAY_I32) {
        const int32_t *ids = x->data;
        for (size_t i = 0; i < n; i++)
            values[i] = ids[i];
    } else if (t->dry || !x->data) {
        memset(values, 0, n * sizeof *values);
    } else {
        t->kernels->to_f64(n, x->data, values);
    }
}

bool gradient_read(const tape *t, tensor x, double *values)
{
    if (!x)
        return false;
    size_t n = shape_elements(x->shape);
    if (t->dry || !x->gradient) {
        memset(values, 0, n * sizeof *values);
        return false;
    }
    t->kernels->to_f64(n, x->gradient, values);
    return true;
}

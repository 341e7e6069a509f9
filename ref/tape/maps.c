/* SPDX-License-Identifier: Apache-2.0 */
/* Elementwise functions of one tensor. */
#include "ref/tape/op.h"

static const char *const names[MAP_COUNT] = {
    [MAP_NEGATE] = "negate",
    [MAP_ABS] = "absolute",
    [MAP_SQUARE] = "square",
    [MAP_SQRT] = "square_root",
    [MAP_RECIPROCAL] = "reciprocal",
    [MAP_EXP] = "exponential",
    [MAP_EXPM1] = "exponential_minus_one",
    [MAP_LOG] = "logarithm",
    [MAP_LOG1P] = "logarithm_one_plus",
    [MAP_TANH] = "hyperbolic_tangent",
    [MAP_ERF] = "error_function",
    [MAP_SIN] = "sine",
    [MAP_COS] = "cosine",
    [MAP_SIGMOID] = "sigmoid",
    [MAP_LOG_SIGMOID] = "log_sigmoid",
    [MAP_SOFTPLUS] = "softplus",
    [MAP_RELU] = "relu",
    [MAP_RELU_SQUARED] = "relu_squared",
    [MAP_LEAKY_RELU] = "leaky_relu",
    [MAP_ELU] = "elu",
    [MAP_ELU_PLUS_ONE] = "elu_plus_one",
    [MAP_SILU] = "silu",
    [MAP_GELU] = "gelu",
    [MAP_GELU_TANH] = "gelu_tanh",
    [MAP_SCALE] = "scale",
    [MAP_OFFSET] = "offset",
    [MAP_DIVIDE] = "divide_by",
    [MAP_ROUND] = "round_to_even",
    [MAP_FLOOR] = "floor_of",
    [MAP_SIGN] = "sign_of",
};

/* What the backward of a map needs besides x and y. The op is here for its name. */
struct map {
    struct assay_op op;
    enum assay_map f;
    double s;
};

static void backward(tape *t, tensor y)
{
    const struct map *m = y->saved;
    void *dx = tape_gradient(t, y->input[0]);
    if (!dx)
        return;
    t->kernels->map_backward(m->f, elements_of(y), m->s, y->input[0]->data, y->data, y->gradient,
                             dx);
    op_wrote(t, elements_of(y));
}

tensor map_of(tape *t, enum assay_map f, tensor x, double s)
{
    bool known = (unsigned)f < MAP_COUNT;
    const char *name = known ? names[f] : "map_of";
    if (!op_reals(t, name, TENSORS(x)) || !op_expect(t, name, known, "one of the maps", TENSORS(x))
        || !op_expect(t, name, f != MAP_DIVIDE || s != 0, "a divisor that isn't 0", TENSORS(x)))
        return TENSOR_NONE;
    tensor y = tape_new(t, ASSAY_REAL, x->shape);
    struct map *m = tape_allocate(t, sizeof *m);
    if (!y || !m)
        return TENSOR_NONE;
    *m = (struct map){{name, backward}, f, s};
    t->kernels->map(f, elements_of(y), s, x->data, y->data, ASSAY_STORE);
    op_wrote(t, elements_of(y));
    op_describe(t, y, name, TENSORS(x), NUMBERS(s));
    return tape_record(t, &m->op, y, TENSORS(x), m);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Nodes of ONNX as the rules of ops write them: constants, shapes, axes, masked softmax. Each call
 * makes a node and returns its result's name; what a call is given is named before it, since the
 * order of a call's arguments is open and that of the nodes is not. */
#ifndef ASSAY_ONNX_NODES_H
#define ASSAY_ONNX_NODES_H

#include <float.h>
#include <string.h>

#include "harness/onnx.h"
#include "ref/ops.h"

/* Writes the nodes of y, whose operands are called x; NULL without an error: there is no form. */
#define RULE(name) const char *name(struct assay_onnx *g, tensor y, const char *const *x)
#define LIST(type, ...) (int)(sizeof((type[]){__VA_ARGS__}) / sizeof(type)), ((type[]){__VA_ARGS__})
#define INPUTS(...) LIST(const char *, __VA_ARGS__)
#define INTEGERS(...) LIST(int64_t, __VA_ARGS__)
#define ATTRIBUTES(...) LIST(struct assay_onnx_attribute, __VA_ARGS__)
#define INTEGER(n, v) \
    { \
        .name = n, .kind = ASSAY_ONNX_INTEGER_ATTRIBUTE, .integer = v \
    }
#define REAL(n, v) \
    { \
        .name = n, .kind = ASSAY_ONNX_REAL_ATTRIBUTE, .real = (float)(v) \
    }
#define TEXT(n, v) \
    { \
        .name = n, .kind = ASSAY_ONNX_TEXT_ATTRIBUTE, .text = v \
    }

static inline struct assay_onnx_attribute axes_attribute(const char *name, int count,
                                                         const int64_t *axes)
{
    return (struct assay_onnx_attribute){
        .name = name, .kind = ASSAY_ONNX_INTEGERS_ATTRIBUTE, .count = count, .integers = axes};
}

static inline const char *node(struct assay_onnx *g, const char *op, int inputs,
                               const char *const *input, int attributes,
                               const struct assay_onnx_attribute *attribute)
{
    const char *result;
    assay_onnx_node(g, op, inputs, input, attributes, attribute, 1, &result);
    return result;
}

static inline const char *one(struct assay_onnx *g, const char *op, const char *a)
{
    return node(g, op, INPUTS(a), 0, NULL);
}

static inline const char *two(struct assay_onnx *g, const char *op, const char *a, const char *b)
{
    return node(g, op, INPUTS(a, b), 0, NULL);
}

static inline const char *where(struct assay_onnx *g, const char *condition, const char *a,
                                const char *b)
{
    return node(g, "Where", INPUTS(condition, a, b), 0, NULL);
}

static inline const char *cast(struct assay_onnx *g, const char *a, enum assay_onnx_type type)
{
    return node(g, "Cast", INPUTS(a), ATTRIBUTES(INTEGER("to", type)));
}

static inline const char *number(struct assay_onnx *g, double value)
{
    return assay_onnx_constant(g, NULL, ASSAY_ONNX_FLOAT, SCALAR_SHAPE, &(float){(float)value});
}

static inline const char *filled(struct assay_onnx *g, struct assay_shape shape, double value)
{
    size_t elements = shape_elements(shape);
    float *data = tape_allocate(g->t, elements * sizeof *data);
    for (size_t i = 0; data && i < elements; i++)
        data[i] = (float)value;
    return data ? assay_onnx_constant(g, NULL, ASSAY_ONNX_FLOAT, shape, data) : NULL;
}

static inline const char *integers(struct assay_onnx *g, int count, const int64_t *value)
{
    return assay_onnx_constant(g, NULL, ASSAY_ONNX_INT64, SHAPE((size_t)count), value);
}

/* Reshape and Expand: the shape is an operand. */
static inline const char *shaped(struct assay_onnx *g, const char *op, const char *a,
                                 struct assay_shape shape)
{
    int64_t dim[ASSAY_RANK_MAX];
    for (int i = 0; i < shape.rank; i++)
        dim[i] = (int64_t)shape.dim[i];
    return two(g, op, a, integers(g, shape.rank, dim));
}

static inline const char *sliced(struct assay_onnx *g, const char *a, int64_t axis, int64_t from,
                                 int64_t to, int64_t step)
{
    const char *first = integers(g, INTEGERS(from)), *end = integers(g, INTEGERS(to));
    const char *along = integers(g, INTEGERS(axis)), *by = integers(g, INTEGERS(step));
    return node(g, "Slice", INPUTS(a, first, end, along, by), 0, NULL);
}

static inline const char *joined(struct assay_onnx *g, int64_t axis, int count,
                                 const char *const *part)
{
    return node(g, "Concat", count, part, ATTRIBUTES(INTEGER("axis", axis)));
}

static inline const char *transposed(struct assay_onnx *g, const char *a, int count,
                                     const int64_t *order)
{
    return node(g, "Transpose", INPUTS(a), ATTRIBUTES(axes_attribute("perm", count, order)));
}

/* The last two axes exchanged. */
static inline const char *turned(struct assay_onnx *g, const char *a, int rank)
{
    int64_t order[ASSAY_RANK_MAX];
    for (int i = 0; i < rank; i++)
        order[i] = i < rank - 2 ? i : 2 * rank - 3 - i;
    return transposed(g, a, rank, order);
}

static inline const char *unsqueezed(struct assay_onnx *g, const char *a, int64_t axis)
{
    return two(g, "Unsqueeze", a, integers(g, INTEGERS(axis)));
}

/* Along one axis, which stays. In opset 17 only ReduceSum has it as an operand. */
static inline const char *reduced(struct assay_onnx *g, const char *op, const char *a, int64_t axis)
{
    if (strcmp(op, "ReduceSum") == 0)
        return two(g, op, a, integers(g, INTEGERS(axis)));
    return node(g, op, INPUTS(a), ATTRIBUTES(axes_attribute("axes", 1, &axis)));
}

static inline double number_of(tensor y, int i)
{
    return y->description->number[i];
}

static inline int64_t integer_of(tensor y, int i)
{
    return (int64_t)number_of(y, i);
}

static inline tensor operand_of(tensor y, int i)
{
    return y->description->operand[i];
}

/* Over the last axis; allowed: bool, or NULL. What isn't allowed takes part as the lowest finite
 * number, so that it vanishes in exp, and a row without an allowed element comes out uniform. */
static inline const char *softmax_of(struct assay_onnx *g, const char *x, const char *allowed,
                                     bool uniform_if_empty)
{
    const char *scores = allowed ? where(g, allowed, x, number(g, -(double)FLT_MAX)) : x;
    const char *p = node(g, "Softmax", INPUTS(scores), ATTRIBUTES(INTEGER("axis", -1)));
    return allowed && !uniform_if_empty ? where(g, allowed, p, number(g, 0)) : p;
}

/* m + log(sum of exp(x - m)), m the maximum; 0 for an empty set. */
static inline const char *log_sum_exp_of(struct assay_onnx *g, const char *x, const char *allowed)
{
    const char *zero = allowed ? number(g, 0) : NULL;
    const char *scores = allowed ? where(g, allowed, x, number(g, -(double)FLT_MAX)) : x;
    const char *m = reduced(g, "ReduceMax", scores, -1);
    const char *e = one(g, "Exp", two(g, "Sub", scores, m));
    const char *sum = reduced(g, "ReduceSum", allowed ? where(g, allowed, e, zero) : e, -1);
    const char *result = two(g, "Add", m, one(g, "Log", sum));
    return allowed ? where(g, two(g, "Greater", sum, zero), result, zero) : result;
}

/* Rules that are larger: harness/onnx_attention.c, harness/onnx_scans.c. */
RULE(assay_onnx_attention);
RULE(assay_onnx_scan);
RULE(assay_onnx_matrix_scan);

#endif

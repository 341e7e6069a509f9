/* SPDX-License-Identifier: Apache-2.0 */
/* The table of ops: each op of the tape (ref/ops.h) as nodes of ONNX, opset 17. It stands at the
 * end; an op that isn't in it has no ONNX form. */
#include "harness/onnx_ops.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

#include "harness/onnx_nodes.h"

/* Nodes of a formula with two or three operands; all others have one. */
static int arity_of(const char *op)
{
    static const char *const binary[] = {"Add", "Div", "Equal", "Greater", "MatMul",
                                         "Max", "Min", "Mul",   "Sub"};
    for (size_t i = 0; i < sizeof binary / sizeof *binary; i++)
        if (strcmp(op, binary[i]) == 0)
            return 2;
    return strcmp(op, "Where") == 0 ? 3 : 1;
}

/* A formula, operands first: a, b, c are the op's operands, s its number, numerals are constants,
 * all else are nodes. "a 0.5 Mul" is a * 0.5. */
static const char *formula(struct assay_onnx *g, const char *text, tensor y, const char *const *x)
{
    enum { DEPTH = 8 };
    const char *stack[DEPTH];
    char word[32];
    int depth = 0, length = 0;
    for (; depth < DEPTH && sscanf(text, "%31s%n", word, &length) == 1; text += length) {
        if (isdigit((unsigned char)word[0])) {
            stack[depth++] = number(g, strtod(word, NULL));
        } else if (word[1] == '\0') {
            stack[depth++] = word[0] == 's' ? number(g, number_of(y, 0)) : x[word[0] - 'a'];
        } else {
            int arity = arity_of(word);
            depth -= arity;
            stack[depth] = node(g, word, arity, &stack[depth], 0, NULL);
            depth++;
        }
    }
    return depth == 1 ? stack[0] : NULL;
}

static RULE(choose_rule)
{
    (void)y;
    return where(g, cast(g, x[0], ASSAY_ONNX_BOOL), x[1], x[2]);
}

static RULE(nonzero_rule)
{
    (void)y;
    return cast(g, cast(g, x[0], ASSAY_ONNX_BOOL), ASSAY_ONNX_INT32);
}

static RULE(above_zero_rule)
{
    (void)y;
    return cast(g, two(g, "Greater", x[0], number(g, 0)), ASSAY_ONNX_INT32);
}

static RULE(matmul_nt_rule)
{
    return two(g, "MatMul", x[0], turned(g, x[1], rank_of(operand_of(y, 1))));
}

static RULE(matmul_tn_rule)
{
    return two(g, "MatMul", turned(g, x[0], rank_of(operand_of(y, 0))), x[1]);
}

static RULE(linear_rule)
{
    (void)y;
    const char *product = two(g, "MatMul", x[0], x[1]);
    return x[2] ? two(g, "Add", product, x[2]) : product;
}

static RULE(sum_over_rule)
{
    return reduced(g, "ReduceSum", x[0], integer_of(y, 0));
}

static RULE(mean_over_rule)
{
    return reduced(g, "ReduceMean", x[0], integer_of(y, 0));
}

static RULE(max_over_rule)
{
    return reduced(g, "ReduceMax", x[0], integer_of(y, 0));
}

static RULE(sum_all_rule)
{
    (void)y;
    return node(g, "ReduceSum", INPUTS(x[0]), ATTRIBUTES(INTEGER("keepdims", 0)));
}

static RULE(cumulative_sum_rule)
{
    int64_t axis = integer_of(y, 0);
    return two(g, "CumSum", x[0],
               assay_onnx_constant(g, NULL, ASSAY_ONNX_INT64, SCALAR_SHAPE, &axis));
}

static RULE(softmax_rule)
{
    return softmax_of(g, x[0], x[1] ? cast(g, x[1], ASSAY_ONNX_BOOL) : NULL, number_of(y, 0) != 0);
}

static RULE(log_sum_exp_rule)
{
    (void)y;
    return log_sum_exp_of(g, x[0], x[1] ? cast(g, x[1], ASSAY_ONNX_BOOL) : NULL);
}

static RULE(layer_norm_rule)
{
    const char *gain = x[1] ? x[1] : filled(g, SHAPE(width_of(y)), 1);
    return node(g, "LayerNormalization", x[2] ? 3 : 2, (const char *[]){x[0], gain, x[2]},
                ATTRIBUTES(INTEGER("axis", -1), REAL("epsilon", number_of(y, 0))));
}

/* (x / sqrt(mean x^2 + eps)) * gain */
static RULE(rms_norm_rule)
{
    const char *mean = reduced(g, "ReduceMean", two(g, "Mul", x[0], x[0]), -1);
    const char *shifted = two(g, "Add", mean, number(g, number_of(y, 0)));
    const char *normed = two(g, "Div", x[0], one(g, "Sqrt", shifted));
    return x[1] ? two(g, "Mul", normed, x[1]) : normed;
}

static RULE(reshape_rule)
{
    return shaped(g, "Reshape", x[0], y->shape);
}

static RULE(expand_rule)
{
    return shaped(g, "Expand", x[0], y->shape);
}

static RULE(permute_rule)
{
    int64_t order[ASSAY_RANK_MAX];
    for (int i = 0; i < rank_of(y); i++)
        order[i] = integer_of(y, i);
    return transposed(g, x[0], rank_of(y), order);
}

static RULE(concat_rule)
{
    return joined(g, integer_of(y, 0), y->description->operands, x);
}

static RULE(slice_rule)
{
    return sliced(g, x[0], integer_of(y, 0), integer_of(y, 1), integer_of(y, 1) + integer_of(y, 2),
                  1);
}

static RULE(pad_rule)
{
    int64_t zeros[2 * ASSAY_RANK_MAX] = {0};
    zeros[integer_of(y, 0)] = integer_of(y, 1);
    zeros[rank_of(y) + integer_of(y, 0)] = integer_of(y, 2);
    return node(g, "Pad", INPUTS(x[0], integers(g, 2 * rank_of(y), zeros)),
                ATTRIBUTES(TEXT("mode", "constant")));
}

static RULE(flip_rule)
{
    return sliced(g, x[0], integer_of(y, 0), -1, INT64_MIN, -1);
}

/* y[i] = x[i - by], cyclic */
static RULE(roll_rule)
{
    int64_t axis = integer_of(y, 0), length = (int64_t)dim_of(y, (int)axis);
    int64_t cut = length - integer_of(y, 1);
    const char *end = sliced(g, x[0], axis, cut, length, 1),
               *start = sliced(g, x[0], axis, 0, cut, 1);
    return joined(g, axis, INPUTS(end, start));
}

/* The first and second elements of the pairs of x [b, n, h, w]. */
static const char *pairs_of(struct assay_onnx *g, const char *x, bool interleaved, int64_t pairs,
                            int64_t which)
{
    return interleaved ? sliced(g, x, 3, which, 2 * pairs, 2)
                       : sliced(g, x, 3, which * pairs, (which + 1) * pairs, 1);
}

/* y1 = x1 c - x2 s, y2 = x2 c + x1 s; tables [n, pairs]; what is behind the pairs stays. */
static RULE(rotate_rule)
{
    bool interleaved = number_of(y, 0) != 0;
    size_t pairs = width_of(operand_of(y, 1)), width = width_of(y);
    const char *c = unsqueezed(g, x[1], 1), *s = unsqueezed(g, x[2], 1);
    const char *first = pairs_of(g, x[0], interleaved, (int64_t)pairs, 0),
               *second = pairs_of(g, x[0], interleaved, (int64_t)pairs, 1);
    const char *first_c = two(g, "Mul", first, c), *second_s = two(g, "Mul", second, s);
    const char *second_c = two(g, "Mul", second, c), *first_s = two(g, "Mul", first, s);
    const char *turned_pair[2] = {two(g, "Sub", first_c, second_s)};
    turned_pair[1] = two(g, "Add", second_c, first_s);
    struct assay_shape shape = y->shape;
    shape.dim[3] = 2 * pairs;
    for (int i = 0; interleaved && i < 2; i++)
        turned_pair[i] = unsqueezed(g, turned_pair[i], 4);
    const char *result = joined(g, interleaved ? 4 : 3, 2, turned_pair);
    if (interleaved)
        result = shaped(g, "Reshape", result, shape);
    if (2 * pairs == width)
        return result;
    const char *rest = sliced(g, x[0], 3, (int64_t)(2 * pairs), (int64_t)width, 1);
    return joined(g, 3, INPUTS(result, rest));
}

static RULE(gather_rows_rule)
{
    (void)y;
    return node(g, "Gather", INPUTS(x[0], x[1]), ATTRIBUTES(INTEGER("axis", 0)));
}

/* Indices as GatherND and ScatterND have them: int64, in an axis of their own. */
static const char *index_tuples(struct assay_onnx *g, const char *index)
{
    return unsqueezed(g, cast(g, index, ASSAY_ONNX_INT64), -1);
}

static RULE(take_rule)
{
    (void)y;
    return node(g, "GatherND", INPUTS(x[0], index_tuples(g, x[1])),
                ATTRIBUTES(INTEGER("batch_dims", 1)));
}

static RULE(take_last_rule)
{
    (void)y;
    return node(g, "GatherElements", INPUTS(x[0], x[1]), ATTRIBUTES(INTEGER("axis", -1)));
}

static RULE(scatter_add_rows_rule)
{
    const char *zeros = filled(g, y->shape, 0);
    return node(g, "ScatterND", INPUTS(zeros, index_tuples(g, x[0]), x[1]),
                ATTRIBUTES(TEXT("reduction", "add")));
}

static RULE(top_k_rule)
{
    const char *result[2];
    assay_onnx_node(g, "TopK", INPUTS(x[0], integers(g, INTEGERS(integer_of(y, 0)))),
                    ATTRIBUTES(INTEGER("axis", -1)), 2, result);
    return cast(g, result[1], ASSAY_ONNX_INT32);
}

/* A copy: stop_gradient, custom, and st, whose first operand is the hard one. */
static RULE(same)
{
    (void)g;
    (void)y;
    return x[0];
}

static const struct rule {
    const char *op, *formula;
    const char *(*write)(struct assay_onnx *g, tensor y, const char *const *x);
} rules[] = {
    {"above_zero", NULL, above_zero_rule},
    {"absolute", "a Abs", NULL},
    {"add", "a b Add", NULL},
    {"attention", NULL, assay_onnx_attention},
    {"choose", NULL, choose_rule},
    {"concat", NULL, concat_rule},
    {"cosine", "a Cos", NULL},
    {"cumulative_sum", NULL, cumulative_sum_rule},
    {"custom", NULL, same},
    {"divide", "a b Div", NULL},
    {"divide_by", "a s Div", NULL},
    /* x > 0 ? x : exp(x) - 1 */
    {"elu", "a 0 Greater a a Exp 1 Add a 0.5 Mul Tanh Mul Where", NULL},
    {"elu_plus_one", "a 0 Greater a 1 Add a Exp Where", NULL},
    {"error_function", "a Erf", NULL},
    {"expand", NULL, expand_rule},
    {"exponential", "a Exp", NULL},
    /* exp(x) - 1 = (exp(x) + 1) tanh(x / 2), which loses no digits near 0 */
    {"exponential_minus_one", "a Exp 1 Add a 0.5 Mul Tanh Mul", NULL},
    {"flip", NULL, flip_rule},
    {"floor_of", "a Floor", NULL},
    {"gather_rows", NULL, gather_rows_rule},
    {"gelu", "a 0.5 Mul a 0.70710678118654752440 Mul Erf 1 Add Mul", NULL},
    {"gelu_tanh",
     "a 0.5 Mul a a a Mul a Mul 0.044715 Mul Add 0.79788456080286535588 Mul Tanh 1 Add Mul", NULL},
    {"hyperbolic_tangent", "a Tanh", NULL},
    {"layer_norm", NULL, layer_norm_rule},
    {"leaky_relu", "a 0 Greater a a s Mul Where", NULL},
    {"linear", NULL, linear_rule},
    {"log_sigmoid", "a Neg Softplus Neg", NULL},
    {"log_sum_exp", NULL, log_sum_exp_rule},
    {"logarithm", "a Log", NULL},
    /* u = 1 + x rounded: u = 1 ? x : log(u) * (x / (u - 1)), which loses no digits either */
    {"logarithm_one_plus", "a 1 Add 1 Equal a a 1 Add Log a a 1 Add 1 Sub Div Mul Where", NULL},
    {"matmul", "a b MatMul", NULL},
    {"matmul_nt", NULL, matmul_nt_rule},
    {"matmul_tn", NULL, matmul_tn_rule},
    {"matrix_scan", NULL, assay_onnx_matrix_scan},
    {"max_over", NULL, max_over_rule},
    {"maximum", "a b Max", NULL},
    {"mean_over", NULL, mean_over_rule},
    {"minimum", "a b Min", NULL},
    {"multiply", "a b Mul", NULL},
    {"nearest_integer", "a Round", NULL},
    {"negate", "a Neg", NULL},
    {"nonzero", NULL, nonzero_rule},
    {"offset", "a s Add", NULL},
    {"pad", NULL, pad_rule},
    {"permute", NULL, permute_rule},
    {"reciprocal", "a Reciprocal", NULL},
    {"relu", "a Relu", NULL},
    {"relu_squared", "a Relu a Relu Mul", NULL},
    {"reshape", NULL, reshape_rule},
    {"rms_norm", NULL, rms_norm_rule},
    {"roll", NULL, roll_rule},
    {"rotate", NULL, rotate_rule},
    {"round_to_even", "a Round", NULL},
    {"scale", "a s Mul", NULL},
    {"scan", NULL, assay_onnx_scan},
    {"scatter_add_rows", NULL, scatter_add_rows_rule},
    {"sigmoid", "a Sigmoid", NULL},
    {"sign_of", "a Sign", NULL},
    {"silu", "a a Sigmoid Mul", NULL},
    {"sine", "a Sin", NULL},
    {"slice", NULL, slice_rule},
    {"softmax", NULL, softmax_rule},
    {"softplus", "a Softplus", NULL},
    {"square", "a a Mul", NULL},
    {"square_root", "a Sqrt", NULL},
    {"st", NULL, same},
    {"stop_gradient", NULL, same},
    {"subtract", "a b Sub", NULL},
    {"sum_all", NULL, sum_all_rule},
    {"sum_over", NULL, sum_over_rule},
    {"take", NULL, take_rule},
    {"take_last", NULL, take_last_rule},
    {"top_k", NULL, top_k_rule},
};

const char *assay_onnx_op(struct assay_onnx *graph, tensor y, const char *const *operand)
{
    const struct assay_description *d = y->description;
    graph->where = d->where;
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++) {
        const struct rule *rule = &rules[i];
        if (strcmp(rule->op, d->op) != 0)
            continue;
        const char *result = rule->write ? rule->write(graph, y, operand)
                                         : formula(graph, rule->formula, y, operand);
        if (result || tape_error(graph->t))
            return result;
    }
    snprintf(graph->t->where, sizeof graph->t->where, "%s", d->where);
    tape_fail(graph->t, d->op, "this op has no ONNX form");
    return NULL;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Recurrences as ONNX's Scan, whose body computes one step. */
#include "harness/onnx_nodes.h"

static struct assay_shape without_axis(struct assay_shape shape, int64_t axis)
{
    shape.rank--;
    for (int i = (int)axis; i < shape.rank; i++)
        shape.dim[i] = shape.dim[i + 1];
    return shape;
}

/* A loop over slices along `axis`: its state, then the slices, go in; the state at the end, then
 * the stacked results, come out. */
static void loop(struct assay_onnx *g, struct assay_onnx *body, int64_t axis, int inputs,
                 const char *const *input, const char *result[2])
{
    const int64_t axes[] = {axis, axis, axis, axis};
    assay_onnx_node(g, "Scan", inputs, input,
                    ATTRIBUTES({.name = "body", .kind = ASSAY_ONNX_GRAPH_ATTRIBUTE, .body = body},
                               INTEGER("num_scan_inputs", inputs - 1),
                               axes_attribute("scan_input_axes", inputs - 1, axes),
                               axes_attribute("scan_output_axes", 1, axes)),
                    2, result);
    assay_onnx_free(body);
}

static struct assay_onnx body_of(const struct assay_onnx *g)
{
    return (struct assay_onnx){.t = g->t, .named = g->named, .where = g->where};
}

static const char *body_input(struct assay_onnx *body, struct assay_shape shape)
{
    const char *name = tape_string(body->t, "slice.%zu", ++*body->named);
    assay_onnx_input(body, name, ASSAY_ONNX_FLOAT, shape);
    return name;
}

static void body_output(struct assay_onnx *body, const char *name, struct assay_shape shape)
{
    assay_onnx_output(body, name, ASSAY_ONNX_FLOAT, shape);
}

/* h = a h + b along an axis */
RULE(assay_onnx_scan)
{
    int64_t axis = integer_of(y, 0);
    struct assay_shape shape = without_axis(y->shape, axis);
    struct assay_onnx body = body_of(g);
    const char *h = body_input(&body, shape), *a = body_input(&body, shape),
               *b = body_input(&body, shape), *result[2];
    h = two(&body, "Add", two(&body, "Mul", a, h), b);
    body_output(&body, h, shape);
    body_output(&body, one(&body, "Identity", h), shape);
    const char *start = x[2] ? shaped(g, "Reshape", x[2], shape) : filled(g, shape, 0);
    loop(g, &body, axis, INPUTS(start, x[0], x[1]), result);
    return result[1];
}

/* S = decay S + k v^T, o = S^T q per step along axis 1; S [b, w, v] */
RULE(assay_onnx_matrix_scan)
{
    tensor q = operand_of(y, 0), v = operand_of(y, 2), decay = operand_of(y, 3);
    struct assay_shape row = SHAPE(dim_of(q, 0), dim_of(q, 2)),
                       wide = SHAPE(dim_of(v, 0), dim_of(v, 2)),
                       state = SHAPE(dim_of(q, 0), dim_of(q, 2), dim_of(v, 2));
    struct assay_onnx body = body_of(g);
    const char *s = body_input(&body, state), *now[4], *result[2];
    for (int i = 0; i < 3; i++)
        now[i] = body_input(&body, i < 2 ? row : wide);
    if (decay) {
        now[3] = body_input(&body, without_axis(decay->shape, 1));
        now[3] = unsqueezed(&body, now[3], -1);
        if (rank_of(decay) == 2)
            now[3] = unsqueezed(&body, now[3], -1);
        s = two(&body, "Mul", now[3], s);
    }
    const char *column = unsqueezed(&body, now[1], 2), *line = unsqueezed(&body, now[2], 1);
    s = two(&body, "Add", two(&body, "Mul", column, line), s);
    const char *o = two(&body, "MatMul", unsqueezed(&body, now[0], 1), s);
    body_output(&body, s, state);
    body_output(&body, two(&body, "Squeeze", o, integers(&body, INTEGERS(1))), wide);
    const char *start = x[4] ? x[4] : filled(g, state, 0);
    loop(g, &body, 1, decay ? 5 : 4, (const char *[]){start, x[0], x[1], x[2], x[3]}, result);
    return result[number_of(y, 0) == MATRIX_SCAN_END ? 0 : 1];
}

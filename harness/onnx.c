/* SPDX-License-Identifier: Apache-2.0 */
/* ONNX messages, field by field. */
#include "harness/onnx.h"

#include <stdlib.h>
#include <string.h>

#include "harness/safetensors.h"

/* onnx.proto */
enum { MODEL_IR = 1, MODEL_PRODUCER = 2, MODEL_PRODUCER_VERSION = 3, MODEL_ABOUT = 6 };
enum { MODEL_GRAPH = 7, MODEL_OPSET = 8, MODEL_PROPERTY = 14 };
enum { OPSET_VERSION = 2 };
enum { PROPERTY_KEY = 1, PROPERTY_VALUE = 2 };
enum { GRAPH_NODE = 1, GRAPH_NAME = 2, GRAPH_INITIALIZER = 5, GRAPH_INPUT = 11, GRAPH_OUTPUT = 12 };
enum { NODE_INPUT = 1, NODE_OUTPUT = 2, NODE_NAME = 3, NODE_OP = 4, NODE_ATTRIBUTE = 5 };
enum { ATTRIBUTE_NAME = 1, ATTRIBUTE_REAL = 2, ATTRIBUTE_INTEGER = 3, ATTRIBUTE_TEXT = 4 };
enum { ATTRIBUTE_GRAPH = 6, ATTRIBUTE_INTEGERS = 8, ATTRIBUTE_KIND = 20 };
enum { TENSOR_DIM = 1, TENSOR_TYPE = 2, TENSOR_NAME = 8, TENSOR_RAW_DATA = 9 };
enum { VALUE_NAME = 1, VALUE_TYPE = 2, TYPE_TENSOR = 1 };
enum { TENSOR_TYPE_ELEMENT = 1, TENSOR_TYPE_SHAPE = 2, SHAPE_DIM = 1, DIM_SIZE = 1 };

void assay_onnx_free(struct assay_onnx *graph)
{
    assay_protobuf_free(&graph->nodes);
    assay_protobuf_free(&graph->initializers);
    assay_protobuf_free(&graph->inputs);
    assay_protobuf_free(&graph->outputs);
}

static void put_graph(struct assay_protobuf *message, int field, const struct assay_onnx *graph,
                      const char *name)
{
    struct assay_protobuf fields = {0};
    assay_protobuf_fields(&fields, &graph->nodes);
    assay_protobuf_string(&fields, GRAPH_NAME, name);
    assay_protobuf_fields(&fields, &graph->initializers);
    assay_protobuf_fields(&fields, &graph->inputs);
    assay_protobuf_fields(&fields, &graph->outputs);
    assay_protobuf_message(message, field, &fields);
    assay_protobuf_free(&fields);
}

static void put_attribute(struct assay_protobuf *node, const struct assay_onnx_attribute *a)
{
    struct assay_protobuf fields = {0};
    assay_protobuf_string(&fields, ATTRIBUTE_NAME, a->name);
    switch (a->kind) {
    case ASSAY_ONNX_REAL_ATTRIBUTE:
        assay_protobuf_float(&fields, ATTRIBUTE_REAL, a->real);
        break;
    case ASSAY_ONNX_INTEGER_ATTRIBUTE:
        assay_protobuf_integer(&fields, ATTRIBUTE_INTEGER, a->integer);
        break;
    case ASSAY_ONNX_TEXT_ATTRIBUTE:
        assay_protobuf_string(&fields, ATTRIBUTE_TEXT, a->text);
        break;
    case ASSAY_ONNX_GRAPH_ATTRIBUTE:
        put_graph(&fields, ATTRIBUTE_GRAPH, a->body, a->name);
        break;
    case ASSAY_ONNX_INTEGERS_ATTRIBUTE:
        for (int i = 0; i < a->count; i++)
            assay_protobuf_integer(&fields, ATTRIBUTE_INTEGERS, a->integers[i]);
    }
    assay_protobuf_integer(&fields, ATTRIBUTE_KIND, a->kind);
    assay_protobuf_message(node, NODE_ATTRIBUTE, &fields);
    assay_protobuf_free(&fields);
}

/* "block.1.mixer/MatMul.17" */
static const char *new_name(struct assay_onnx *graph, const char *what)
{
    const char *path = graph->where ? strstr(graph->where, ": ") : NULL;
    return tape_string(graph->t, "%s%s%s.%zu", path ? path + 2 : "", path ? "/" : "", what,
                       ++*graph->named);
}

static void put_node(struct assay_onnx *graph, const char *op, int inputs, const char *const *input,
                     int attributes, const struct assay_onnx_attribute *attribute, int results,
                     const char *const *result)
{
    struct assay_protobuf node = {0};
    for (int i = 0; i < inputs; i++)
        assay_protobuf_string(&node, NODE_INPUT, input[i] ? input[i] : "");
    for (int i = 0; i < results; i++)
        assay_protobuf_string(&node, NODE_OUTPUT, result[i]);
    assay_protobuf_string(&node, NODE_NAME, result[0]);
    assay_protobuf_string(&node, NODE_OP, op);
    for (int i = 0; i < attributes; i++)
        put_attribute(&node, &attribute[i]);
    assay_protobuf_message(&graph->nodes, GRAPH_NODE, &node);
    assay_protobuf_free(&node);
}

void assay_onnx_node(struct assay_onnx *graph, const char *op, int inputs, const char *const *input,
                     int attributes, const struct assay_onnx_attribute *attribute, int results,
                     const char **result)
{
    for (int i = 0; i < results; i++)
        result[i] = new_name(graph, op);
    if (!tape_error(graph->t))
        put_node(graph, op, inputs, input, attributes, attribute, results, result);
}

void assay_onnx_copy(struct assay_onnx *graph, const char *value, const char *name)
{
    if (!tape_error(graph->t))
        put_node(graph, "Identity", 1, &value, 0, NULL, 1, &name);
}

static size_t element_size(enum assay_onnx_type type)
{
    return type == ASSAY_ONNX_BOOL ? 1 : type == ASSAY_ONNX_INT64 ? 8 : 4;
}

void assay_onnx_tensor(struct assay_protobuf *fields, const char *name, enum assay_onnx_type type,
                       struct assay_shape shape, const void *data)
{
    size_t elements = shape_elements(shape), size = element_size(type);
    char *bytes = calloc(elements + 1, size);
    fields->failed |= !bytes;
    if (!bytes)
        return;
    if (elements)
        assay_copy_little_endian(bytes, data, size, elements);
    for (int i = 0; i < shape.rank; i++)
        assay_protobuf_integer(fields, TENSOR_DIM, (int64_t)shape.dim[i]);
    assay_protobuf_integer(fields, TENSOR_TYPE, type);
    assay_protobuf_string(fields, TENSOR_NAME, name);
    assay_protobuf_bytes(fields, TENSOR_RAW_DATA, bytes, elements * size);
    free(bytes);
}

const char *assay_onnx_constant(struct assay_onnx *graph, const char *name,
                                enum assay_onnx_type type, struct assay_shape shape,
                                const void *data)
{
    const char *known = name ? name : new_name(graph, "constant");
    struct assay_protobuf fields = {0};
    if (tape_error(graph->t))
        return NULL;
    assay_onnx_tensor(&fields, known, type, shape, data);
    assay_protobuf_message(&graph->initializers, GRAPH_INITIALIZER, &fields);
    assay_protobuf_free(&fields);
    return known;
}

/* A ValueInfoProto. */
static void put_value(struct assay_protobuf *graph, int field, const char *name,
                      enum assay_onnx_type type, struct assay_shape shape)
{
    struct assay_protobuf dim = {0}, dims = {0}, form = {0}, types = {0}, value = {0};
    for (int i = 0; i < shape.rank; i++) {
        assay_protobuf_integer(&dim, DIM_SIZE, (int64_t)shape.dim[i]);
        assay_protobuf_message(&dims, SHAPE_DIM, &dim);
    }
    assay_protobuf_integer(&form, TENSOR_TYPE_ELEMENT, type);
    assay_protobuf_message(&form, TENSOR_TYPE_SHAPE, &dims);
    assay_protobuf_message(&types, TYPE_TENSOR, &form);
    assay_protobuf_string(&value, VALUE_NAME, name);
    assay_protobuf_message(&value, VALUE_TYPE, &types);
    assay_protobuf_message(graph, field, &value);
    assay_protobuf_free(&dim);
    assay_protobuf_free(&dims);
    assay_protobuf_free(&form);
    assay_protobuf_free(&types);
    assay_protobuf_free(&value);
}

void assay_onnx_input(struct assay_onnx *graph, const char *name, enum assay_onnx_type type,
                      struct assay_shape shape)
{
    if (!tape_error(graph->t))
        put_value(&graph->inputs, GRAPH_INPUT, name, type, shape);
}

void assay_onnx_output(struct assay_onnx *graph, const char *name, enum assay_onnx_type type,
                       struct assay_shape shape)
{
    if (!tape_error(graph->t))
        put_value(&graph->outputs, GRAPH_OUTPUT, name, type, shape);
}

void assay_onnx_model(const struct assay_onnx *graph, const char *name, const char *about,
                      const char *const (*property)[2], struct assay_protobuf *model)
{
    struct assay_protobuf fields = {0};
    assay_protobuf_integer(model, MODEL_IR, ASSAY_ONNX_IR);
    assay_protobuf_string(model, MODEL_PRODUCER, "assay");
    assay_protobuf_string(model, MODEL_PRODUCER_VERSION, PACKAGE_VERSION);
    assay_protobuf_string(model, MODEL_ABOUT, about);
    put_graph(model, MODEL_GRAPH, graph, name);
    assay_protobuf_integer(&fields, OPSET_VERSION, ASSAY_ONNX_OPSET);
    assay_protobuf_message(model, MODEL_OPSET, &fields);
    for (; property && (*property)[0]; property++) {
        assay_protobuf_string(&fields, PROPERTY_KEY, (*property)[0]);
        assay_protobuf_string(&fields, PROPERTY_VALUE, (*property)[1]);
        assay_protobuf_message(model, MODEL_PROPERTY, &fields);
    }
    assay_protobuf_free(&fields);
}

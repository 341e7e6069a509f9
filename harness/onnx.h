/* SPDX-License-Identifier: Apache-2.0 */
/* ONNX graphs: nodes, attributes, tensors and whole models, written as they are made. Field numbers
 * are those of onnx.proto. Names of values are strings in the arena of a tape, whose sticky error
 * serves the writer, too: after an error names are NULL, and nothing else happens. */
#ifndef ASSAY_ONNX_H
#define ASSAY_ONNX_H

#include "harness/protobuf.h"
#include "ref/tape.h"

enum { ASSAY_ONNX_IR = 8, ASSAY_ONNX_OPSET = 17 };

/* Element types, by ONNX's numbers. A bool is a byte. */
enum assay_onnx_type {
    ASSAY_ONNX_FLOAT = 1,
    ASSAY_ONNX_INT32 = 6,
    ASSAY_ONNX_INT64 = 7,
    ASSAY_ONNX_BOOL = 9
};

/* A graph, or the body of a loop in one. */
struct assay_onnx {
    tape *t;
    size_t *named; /* values so far, the same count in bodies: names are unique */
    const char *where;
    struct assay_protobuf nodes, initializers, inputs, outputs;
};

struct assay_onnx_attribute {
    const char *name;
    /* by ONNX's numbers */
    enum {
        ASSAY_ONNX_REAL_ATTRIBUTE = 1,
        ASSAY_ONNX_INTEGER_ATTRIBUTE = 2,
        ASSAY_ONNX_TEXT_ATTRIBUTE = 3,
        ASSAY_ONNX_GRAPH_ATTRIBUTE = 5,
        ASSAY_ONNX_INTEGERS_ATTRIBUTE = 7
    } kind;
    float real;
    int64_t integer;
    const char *text;
    int count;
    const int64_t *integers;
    const struct assay_onnx *body;
};

void assay_onnx_free(struct assay_onnx *graph);

/* A node with so many results, whose names go to `result`. An input that is NULL is one that an
 * optional input isn't given for. */
void assay_onnx_node(struct assay_onnx *graph, const char *op, int inputs, const char *const *input,
                     int attributes, const struct assay_onnx_attribute *attribute, int results,
                     const char **result);
/* The value under another name. */
void assay_onnx_copy(struct assay_onnx *graph, const char *value, const char *name);
/* A constant; `name` NULL: one is made. */
const char *assay_onnx_constant(struct assay_onnx *graph, const char *name,
                                enum assay_onnx_type type, struct assay_shape shape,
                                const void *data);
void assay_onnx_input(struct assay_onnx *graph, const char *name, enum assay_onnx_type type,
                      struct assay_shape shape);
void assay_onnx_output(struct assay_onnx *graph, const char *name, enum assay_onnx_type type,
                       struct assay_shape shape);

/* The fields of a TensorProto; data in the host's byte order. */
void assay_onnx_tensor(struct assay_protobuf *fields, const char *name, enum assay_onnx_type type,
                       struct assay_shape shape, const void *data);
/* The fields of a ModelProto; `property`: pairs of key and value, NULL behind the last. */
void assay_onnx_model(const struct assay_onnx *graph, const char *name, const char *about,
                      const char *const (*property)[2], struct assay_protobuf *model);

#endif

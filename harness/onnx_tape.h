/* SPDX-License-Identifier: Apache-2.0 */
/* A recorded tape as the files of an ONNX backend test: the graph that computes some of its
 * tensors, the inputs that it was recorded on, and the values there. */
#ifndef ASSAY_ONNX_TAPE_H
#define ASSAY_ONNX_TAPE_H

#include "harness/protobuf.h"
#include "ref/tape.h"

#define ASSAY_ONNX_DATA "test_data_set_0"

/* model.onnx, test_data_set_0/input_0.pb, .., output_0.pb, .. */
struct assay_onnx_files {
    struct assay_onnx_file {
        char name[64];
        struct assay_protobuf content;
    } *file;
    size_t count, ops;
};

struct assay_onnx_about {
    const char *name, *text;
    const char *const (*property)[2]; /* pairs of key and value, NULL behind the last; or NULL */
};

/* t: a tape of binary32 that was describing. Results are outputs under their names, "@2" behind a
 * name's second; described leaves are inputs and initializers "kind/name", the others constants.
 * 0, or -1 with a message. Caller: assay_onnx_files_free, also after -1. */
int assay_onnx_tape(tape *t, size_t count, const tensor *result, const char *const *name,
                    const struct assay_onnx_about *about, struct assay_onnx_files *files,
                    char *error, size_t room);
void assay_onnx_files_free(struct assay_onnx_files *files);

#endif

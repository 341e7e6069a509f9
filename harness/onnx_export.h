/* SPDX-License-Identifier: Apache-2.0 */
/* A model as ONNX: the forward pass of evaluation mode. */
#ifndef ASSAY_ONNX_EXPORT_H
#define ASSAY_ONNX_EXPORT_H

#include "harness/onnx_tape.h"
#include "ref/variant.h"

/* Weights and batch are those of the golden file with this seed, and so is the output, bit for bit.
 * trace: the golden's trace as further outputs. *bound: how many constants of the graph the model
 * made from the batch's inputs; for other inputs they are wrong. 0, or -1 with a message. Caller:
 * assay_onnx_files_free, also after -1. */
int assay_onnx_export(const struct assay_variant *variant, const struct variant_setting *setting,
                      uint64_t seed, bool trace, struct assay_onnx_files *files, size_t *bound,
                      char *error, size_t room);

#endif

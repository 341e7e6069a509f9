/* SPDX-License-Identifier: Apache-2.0 */
/* The ops of the tape as nodes of ONNX. */
#ifndef ASSAY_ONNX_OPS_H
#define ASSAY_ONNX_OPS_H

#include "harness/onnx.h"

/* Writes the nodes that compute y, whose operands have these names (NULL: not given), and returns
 * the result's name: NULL, with the tape's error, for an op without an ONNX form. */
const char *assay_onnx_op(struct assay_onnx *graph, tensor y, const char *const *operand);

#endif

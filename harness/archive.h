/* SPDX-License-Identifier: Apache-2.0 */
/* Archives beside models: both call something `assay_entry` and have a largest rank. Here, the
 * archive's are `struct assay_archive_tensor` and ASSAY_ARCHIVE_RANK; `assay_entry` and
 * ASSAY_RANK_MAX are the model's. */
#ifndef ASSAY_ARCHIVE_H
#define ASSAY_ARCHIVE_H

#define assay_entry assay_archive_tensor
#define ASSAY_RANK_MAX ASSAY_ARCHIVE_RANK
#include "harness/safetensors.h"
#undef assay_entry
#undef ASSAY_RANK_MAX

#include "ref/model.h"

#endif

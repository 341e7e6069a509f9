/* SPDX-License-Identifier: Apache-2.0 */
/* The pages of `assay show` as JSON objects. */
#ifndef ASSAY_SHOW_JSON_H
#define ASSAY_SHOW_JSON_H

#include <stdio.h>

#include "harness/outside.h"
#include "suites/task.h"

void assay_show_paper_json(FILE *out, const struct assay_variant *v,
                           const struct assay_outside *outside);
void assay_show_task_json(FILE *out, const struct assay_task *task);

#endif

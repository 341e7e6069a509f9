/* SPDX-License-Identifier: Apache-2.0 */
/* Outside vectors for claims: the numbers in FOLDER/outside/<id>.safetensors, exact in binary64. */
#ifndef ASSAY_OUTSIDE_H
#define ASSAY_OUTSIDE_H

#include "ref/claim.h"

struct assay_outside;

/* 0; -1 with a message. Without a file *outside is NULL, and that is no error. */
int assay_outside_open(const char *golden, const char *id, struct assay_outside **outside,
                       char *error, size_t room);
void assay_outside_close(struct assay_outside *outside);

/* The callback of struct claim, with the archive as `outside`. NULL: no such tensor, one of more
 * axes than a model's, or integers beyond 2^53. */
const double *assay_outside_numbers(void *outside, const char *name, struct assay_shape *shape);

/* Metadata of the file, or NULL. */
const char *assay_outside_says(const struct assay_outside *outside, const char *key);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* Names that a user types: papers, settings, tasks, presets, fields, kernels, profiles. What is not
 * known is answered with the nearest names. */
#ifndef ASSAY_LOOKUP_H
#define ASSAY_LOOKUP_H

#include <stdbool.h>
#include <stddef.h>

#include "harness/nearest.h"
#include "ref/variant.h"
#include "suites/presets.h"
#include "suites/task.h"

/* NULL with a message in `error`. */
const struct assay_variant *assay_lookup_variant(const char *id, char *error, size_t room);
const struct variant_setting *assay_lookup_setting(const struct assay_variant *variant,
                                                   const char *name, char *error, size_t room);
const struct assay_task *assay_lookup_task(const char *id, char *error, size_t room);
const struct assay_preset *assay_lookup_preset(const struct assay_task *task, const char *name,
                                               char *error, size_t room);
/* "def", "cpu" (the best that this machine runs) or a level of cpu. */
const struct assay_kernels *assay_lookup_kernels(enum assay_profile profile, const char *name,
                                                 char *error, size_t room);
/* "f32" or "f64"; 0 with a message. */
enum assay_profile assay_lookup_profile(const char *name, char *error, size_t room);
const char *assay_profile_name(enum assay_profile profile);

/* The names of enumerations, as they are typed and shown. */
const char *assay_kind_name(enum variant_kind kind);
const char *assay_confidence_name(enum confidence confidence);
const char *assay_class_name(enum claim_class class);
const char *assay_property_name(enum property property);
const char *assay_holds_name(enum holds holds);
bool assay_lookup_kind(const char *name, enum variant_kind *kind, char *error, size_t room);

#endif

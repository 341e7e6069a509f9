/* SPDX-License-Identifier: Apache-2.0 */
/* Configurations as text: all fields of a model ("name=value ..."), in an order that config_make
 * reads back to the same numbers. */
#ifndef ASSAY_CONFIGURATION_H
#define ASSAY_CONFIGURATION_H

#include <stdbool.h>
#include <stddef.h>

#include "ref/variant.h"

enum { ASSAY_FIELD_TEXT = 64 };

/* Field i of the configuration: the frame's fields, then the variant's hyper-parameters. False past
 * the last. A choice has a name as its text and *number NaN; the others have both. */
bool assay_configuration_at(const struct assay_config *config, const struct assay_variant *variant,
                            size_t i, const char **name, char text[ASSAY_FIELD_TEXT],
                            double *number);

/* All of it, allocated; NULL without memory. */
char *assay_configuration_text(const struct assay_config *config,
                               const struct assay_variant *variant);

/* config_make and config_check; an unknown field is answered with the nearest. 0 or -1. */
int assay_configuration_make(struct assay_config *config, const struct assay_variant *variant,
                             const char *text, char *error, size_t room);

/* The next "name=value" of a text of words separated by blanks or commas: false at the end or,
 * with a message, at a word that is none. */
struct assay_word {
    char name[ASSAY_FIELD_TEXT], value[ASSAY_FIELD_TEXT];
};
bool assay_word_next(const char **text, struct assay_word *word, char *error, size_t room);

/* Is it a hyper-parameter of the variant? */
bool assay_is_hyper(const struct assay_variant *variant, const char *name);

#endif

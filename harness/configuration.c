/* SPDX-License-Identifier: Apache-2.0 */
/* Configurations as text. */
#include "harness/configuration.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness/files.h"
#include "harness/lookup.h"

static bool hyper_at(const struct assay_config *config, const struct assay_variant *variant,
                     size_t i, const char **name, char text[ASSAY_FIELD_TEXT], double *number)
{
    if (!variant || !variant->hypers)
        return false;
    for (size_t j = 0; j <= i; j++)
        if (!variant->hypers[j].name)
            return false;
    const struct variant_hyper *hyper = &variant->hypers[i];
    *name = hyper->name;
    *number = hyper->choices ? (double)NAN : config->hyper[i];
    if (hyper->choices)
        snprintf(text, ASSAY_FIELD_TEXT, "%s", hyper->choices[(int)config->hyper[i]]);
    else
        snprintf(text, ASSAY_FIELD_TEXT, "%.17g", config->hyper[i]);
    return true;
}

bool assay_configuration_at(const struct assay_config *config, const struct assay_variant *variant,
                            size_t i, const char **name, char text[ASSAY_FIELD_TEXT],
                            double *number)
{
    if (i >= config_field_count)
        return hyper_at(config, variant, i - config_field_count, name, text, number);
    const struct config_field *field = &config_fields[i];
    *name = field->name;
    config_text(config, field, text, ASSAY_FIELD_TEXT);
    *number = field->type == FIELD_CHOICE ? (double)NAN : strtod(text, NULL);
    return true;
}

char *assay_configuration_text(const struct assay_config *config,
                               const struct assay_variant *variant)
{
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    const char *name;
    char value[ASSAY_FIELD_TEXT];
    double number;
    if (!out)
        return NULL;
    for (size_t i = 0; assay_configuration_at(config, variant, i, &name, value, &number); i++)
        fprintf(out, "%s%s=%s", i ? " " : "", name, value);
    if (fclose(out) == 0)
        return text;
    free(text);
    return NULL;
}

bool assay_is_hyper(const struct assay_variant *variant, const char *name)
{
    int index;
    return variant && variant_by_hyper(variant, name, &index) != NULL;
}

bool assay_word_next(const char **text, struct assay_word *word, char *error, size_t room)
{
    static const char separators[] = " ,\t\n";
    *text += strspn(*text, separators);
    size_t length = strcspn(*text, separators), name = strcspn(*text, " ,\t\n=");
    if (length == 0)
        return false;
    if (name == 0 || name >= sizeof word->name || name >= length
        || length - name - 1 >= sizeof word->value) {
        assay_complain(error, room, "expected name=value, found '%.*s'",
                       (int)(length < 60 ? length : 60), *text);
        return false;
    }
    memcpy(word->name, *text, name);
    word->name[name] = '\0';
    memcpy(word->value, *text + name + 1, length - name - 1);
    word->value[length - name - 1] = '\0';
    *text += length;
    return true;
}

static bool is_field(const char *name)
{
    for (size_t i = 0; i < config_field_count; i++)
        if (strcmp(config_fields[i].name, name) == 0)
            return true;
    return false;
}

static int complain_field(const struct assay_variant *variant, const char *name, char *error,
                          size_t room)
{
    struct assay_nearest nearest = {.asked = name};
    for (size_t i = 0; i < config_field_count; i++)
        assay_nearest_offer(&nearest, config_fields[i].name);
    for (int i = 0; variant && variant->hypers && variant->hypers[i].name; i++)
        assay_nearest_offer(&nearest, variant->hypers[i].name);
    return assay_nearest_complain(&nearest, "field", "`assay show reference` lists the model's",
                                  error, room);
}

int assay_configuration_make(struct assay_config *config, const struct assay_variant *variant,
                             const char *text, char *error, size_t room)
{
    const char *at = text;
    struct assay_word word;
    error[0] = '\0';
    while (assay_word_next(&at, &word, error, room))
        if (!is_field(word.name) && !assay_is_hyper(variant, word.name))
            return complain_field(variant, word.name, error, room);
    if (error[0])
        return -1;
    if (config_make(config, variant, text, error, room) != 0)
        return -1;
    return config_check(config, variant, error, room);
}

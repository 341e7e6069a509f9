/* SPDX-License-Identifier: Apache-2.0 */
/* A small golden of format 2 whose budgets are round numbers, and files to compare with it. */
#ifndef ASSAY_TESTS_GOLDEN_KIT_H
#define ASSAY_TESTS_GOLDEN_KIT_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness/safetensors.h"

enum { KIT_TENSORS = 7, KIT_ROOM = 64 };

/* Results in the order of the file. f32: 2 B is the budget where it is over 8 u S = 2^-21 S; "grad/bias"
 * has too large a B to be judged. Budgets are powers of two, so that a test can stand on the edge. */
static const struct kit_tensor {
    const char *name;
    size_t rank, dim[3];
    double scale;
    const char *budgets;
} kit_tensors[KIT_TENSORS] = {
    {"output", 2, {2, 5}, 4, "[0.0001220703125, 0.0625, 0.125, 0.0625]"},
    {"loss", 0, {0}, 2, "[0, 0.001, 0.01, 0.001]"},
    {"grad/weight", 2, {4, 8}, 1, "[1e-8, 1e-3, 1e-2, 1e-3]"},
    {"grad/bias", 1, {8}, 1, "[8, 8, 8, 8]"},
    {"trace/embed", 3, {2, 4, 8}, 1, "[0.0009765625, 0.01, 0.1, 0.01]"},
    {"trace/block.0", 3, {2, 4, 8}, 1, "[0.0009765625, 0.01, 0.1, 0.01]"},
    {"trace/block.1", 3, {2, 4, 8}, 1, "[0.0009765625, 0.01, 0.1, 0.01]"},
};
static const size_t kit_route[2] = {2, 4};

static size_t kit_elements(const struct kit_tensor *t)
{
    size_t elements = 1;
    for (size_t i = 0; i < t->rank; i++)
        elements *= t->dim[i];
    return elements;
}

/* Between -2 and 2, multiples of 1/32: exact in every precision; the largest is 2. */
static void kit_truth(const struct kit_tensor *t, double truth[KIT_ROOM])
{
    for (size_t i = 0; i < kit_elements(t); i++)
        truth[i] = i == 0 ? 2 : ((int)(i * 37 % 101) - 50) / 32.0;
}

static void kit_budgets_text(char *text, size_t room, int which)
{
    size_t used = (size_t)snprintf(text, room, "{");
    for (int i = 0; i < KIT_TENSORS; i++) {
        const struct kit_tensor *t = &kit_tensors[i];
        used += (size_t)snprintf(text + used, room - used, "%s\"%s\": ", i ? ", " : "", t->name);
        used += which ? (size_t)snprintf(text + used, room - used, "%s", t->budgets)
                      : (size_t)snprintf(text + used, room - used, "%.17g", t->scale);
    }
    snprintf(text + used, room - used, "}");
}

/* The golden; `key` of its metadata has `value` instead, and is absent where that is NULL. */
__attribute__((unused)) static void kit_golden(const char *key, const char *value, void **bytes,
                                               size_t *size)
{
    char scales[2048], budgets[2048], error[512];
    kit_budgets_text(scales, sizeof scales, 0);
    kit_budgets_text(budgets, sizeof budgets, 1);
    const char *pairs[][2] = {
        {"assay.format", "2"},
        {"arithmetic", "1.0"},
        {"id", "kit"},
        {"setting", "default"},
        {"configuration", "preset=pre_ln width=8"},
        {"seed", "1"},
        {"calibration", "{\"runs\": 32, \"precisions\": [\"f32\", \"tf32\", \"bf16\", \"fp16\"], "
                        "\"loss_scale\": 1024}"},
        {"scales", scales},
        {"budgets", budgets},
        {"pools", "{\"grad/bias\": \"grad head\"}"},
    };
    struct assay_archive_writer *w = assay_archive_writer_open();
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        const char *said = key && strcmp(key, pairs[i][0]) == 0 ? value : pairs[i][1];
        if (said)
            assay_archive_writer_metadata(w, pairs[i][0], said);
    }
    double truth[KIT_ROOM];
    float single[KIT_ROOM];
    int32_t ids[8] = {3, 1, 4, 1, 5, 9, 2, 6};
    assay_archive_writer_tensor(w, "input/ids", ASSAY_DT_I32, 2, kit_route, ids);
    for (int profile = 0; profile < 2; profile++)
        for (int i = 0; i < KIT_TENSORS; i++) {
            const struct kit_tensor *t = &kit_tensors[i];
            char name[64];
            kit_truth(t, truth);
            for (size_t j = 0; j < KIT_ROOM; j++)
                single[j] = (float)truth[j % kit_elements(t)];
            snprintf(name, sizeof name, "%s/%s", profile ? "f64" : "f32", t->name);
            assay_archive_writer_tensor(w, name, profile ? ASSAY_DT_F64 : ASSAY_DT_F32, t->rank,
                                        t->dim, profile ? (const void *)truth : single);
        }
    assay_archive_writer_tensor(w, "decision/route", ASSAY_DT_I32, 2, kit_route, ids);
    if (assay_archive_writer_bytes(w, "kit", bytes, size, error, sizeof error) != 0) {
        fprintf(stderr, "%s\n", error);
        *bytes = NULL;
        *size = 0;
    }
    assay_archive_writer_close(w);
}

#endif

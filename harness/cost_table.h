/* SPDX-License-Identifier: Apache-2.0 */
/* The tables of `assay cost`: rows are models, columns numbers of tokens. */
#ifndef ASSAY_COST_TABLE_H
#define ASSAY_COST_TABLE_H

#include <stdio.h>

#include "harness/cost.h"

enum { ASSAY_DECODE_LENGTHS = 3 };
extern const size_t assay_decode_length[ASSAY_DECODE_LENGTHS]; /* 256, 1024, 4096 */

struct assay_cost_row {
    struct assay_cost_model model;
    char name[ASSAY_COST_NAME];
    int preset, frame, head; /* a row is compared with the reference's of the same */
    struct variant_growth growth;
    struct assay_cost cost[ASSAY_COST_LENGTHS];
    struct assay_decode_cost decode[ASSAY_DECODE_LENGTHS];
    bool decoded;
};

struct assay_cost_table {
    struct assay_cost_row *row;
    size_t rows;
    const char *sizes, *level; /* level of the kernels that were timed */
    bool timed, decoded;
    double limit; /* seconds of a timed pass */
};

void assay_cost_markdown(const struct assay_cost_table *t, FILE *out);
void assay_cost_csv(const struct assay_cost_table *t, FILE *out);
void assay_decode_csv(const struct assay_cost_table *t, FILE *out);
void assay_cost_json(const struct assay_cost_table *t, FILE *out);

#endif

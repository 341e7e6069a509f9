/* SPDX-License-Identifier: Apache-2.0 */
/* A golden file opened for reading: what it is of, and by which numbers a backend is judged
 * (golden/FORMAT.md, format 2). Nothing in the file is trusted: one that was opened is whole.
 * It never changes afterwards: any number of threads may read it. */
#ifndef ASSAY_GOLDEN_FILE_H
#define ASSAY_GOLDEN_FILE_H

#include <stdbool.h>
#include <stddef.h>

#include "harness/safetensors.h"

/* The precisions' columns in budgets, in the order of `enum assay_precision`. */
enum { ASSAY_GOLDEN_COLUMNS = 4 };
const char *assay_golden_column_name(int column); /* "f32", "tf32", "bf16", "fp16" */
double assay_golden_column_roundoff(int column);  /* 2^-24, 2^-11, 2^-8, 2^-11 */

/* What a backend can be judged by: output, loss, a gradient, a trace or a decision. */
struct assay_golden_result {
    const char *name; /* without a profile: "output", "grad/embed.token", "decision/route" */
    bool decision;
    const struct assay_archive_tensor *bits;  /* f32/ (F32), of a decision itself (I32) */
    const struct assay_archive_tensor *truth; /* f64/ (F64), NULL for a decision */
    const char *pool;                         /* whose honest errors it shares, or NULL */
    double scale;                             /* S */
    double honest[ASSAY_GOLDEN_COLUMNS];      /* B */
    double rms, largest;                      /* of the truth */
};

struct assay_golden {
    struct assay_archive *archive;
    const char *id, *setting, *configuration, *arithmetic; /* not empty */
    size_t runs;                                           /* honest runs that the budgets are of */
    double loss_scale;                                     /* of fp16's gradients while calibrating */
    size_t count;
    struct assay_golden_result *result; /* in the order of the file */
    const struct assay_golden_result **by_name;
    struct cJSON *pools; /* owns the pools' names */
};

/* 0, or -1 with one line in `error`. Caller: assay_golden_close. */
int assay_golden_open(const char *path, struct assay_golden **golden, char *error, size_t room);
/* The same from memory; `name` stands for the path in messages. `bytes` may go afterwards. */
int assay_golden_parse(const void *bytes, size_t size, const char *name,
                       struct assay_golden **golden, char *error, size_t room);
void assay_golden_close(struct assay_golden *golden);

/* The result of that name, also in the golden's own forms "f32/..." and "f64/...". NULL with a
 * message that offers the nearest names. */
const struct assay_golden_result *assay_golden_result(const struct assay_golden *golden,
                                                      const char *name, char *error, size_t room);

#endif

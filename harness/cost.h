/* SPDX-License-Identifier: Apache-2.0 */
/* What papers cost against the number of tokens n: counts of a dry pass (multiply-adds, bytes,
 * memory), the time of a real one, the fitted exponents, and the speed of streaming decode. */
#ifndef ASSAY_COST_H
#define ASSAY_COST_H

#include <stddef.h>

#include "ref/variant.h"

enum { ASSAY_COST_LENGTHS = 8, ASSAY_COST_FROM = 1024, ASSAY_COST_NAME = 96 };
extern const size_t assay_cost_length[ASSAY_COST_LENGTHS]; /* 256 .. 16384 */

/* The model that is counted, as overrides of a setting: so narrow that from n = ASSAY_COST_FROM on
 * the terms in n^2 of a mixer that holds its scores are most of what it holds. */
extern const char assay_cost_sizes[];

/* A pass of n tokens that is left out. Index tensors exist on a dry tape too; tensors and seconds
 * are those of a real one. */
#define ASSAY_COST_RESIDENT (UINT64_C(1) << 30)
#define ASSAY_COST_TENSORS (UINT64_C(1) << 30)

/* A paper in a setting, computed in a form (NULL: the first). */
struct assay_cost_model {
    const struct assay_variant *variant;
    const struct variant_setting *setting;
    const struct variant_form *form;
    const char *sizes; /* overrides that come last */
};
/* "id", "id (setting)", "id (setting, form)" */
void assay_cost_name(const struct assay_cost_model *m, char name[ASSAY_COST_NAME]);
/* n, or where the paper is about images the pixels nearest to it of one that it takes. */
size_t assay_cost_tokens(const struct assay_cost_model *m, size_t n);
/* Its configuration for n tokens without padding. 0, or -1 with a message. */
int assay_cost_config(const struct assay_cost_model *m, size_t n, struct assay_config *config,
                      char *error, size_t room);

struct assay_cost {
    bool counted, timed;
    struct assay_counts counts; /* forward and backward of one sample */
    size_t resident;            /* bytes that the dry tape needed itself */
    double seconds;
};

/* Counts a forward and a backward pass of one sample. 0, or -1 with a message. */
int assay_cost_count(const struct assay_cost_model *m, size_t n, struct assay_cost *cost,
                     char *error, size_t room);
/* Times it: the shortest of up to `repeats` passes, fewer when they take more than a second. */
int assay_cost_time(const struct assay_cost_model *m, size_t n, const struct assay_kernels *kernels,
                    size_t repeats, struct assay_cost *cost, char *error, size_t room);

/* y = a n^exponent through the points: least squares of the logarithms, with the margin of the
 * exponent's 95 % confidence interval by Student's t (NaN with two points). NaNs without two
 * positive points. */
struct assay_fit {
    double exponent, margin;
    size_t points;
};
struct assay_fit assay_fit_exponent(size_t count, const double *n, const double *y);

/* Decoding token by token: at position n, after the n-th token. */
struct assay_decode_cost {
    double seconds;   /* per token: of the shortest of the last stretches */
    size_t bytes;     /* of state */
};
/* Decodes `last` tokens and looks at the `count` ascending positions `at`. 0, or -1 with a
 * message. */
int assay_cost_decode(const struct assay_cost_model *m, const struct assay_kernels *kernels,
                      size_t count, const size_t *at, struct assay_decode_cost *cost, char *error,
                      size_t room);

#endif

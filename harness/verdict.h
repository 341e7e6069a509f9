/* SPDX-License-Identifier: Apache-2.0 */
/* The rule of a comparison, on numbers alone.
 *
 *     passes:      max |theirs - truth| <= budget,  budget = max(2 B, 8 u S)
 *     not judged:  budget > rms(truth) / 2, so B > rms(truth) / 4 in any case: a tensor of zeros would
 *                  come too near to passing
 *
 * B is the largest error of honest runs in the precision, u the precision's unit roundoff, S the
 * tensor's scale. A NaN or an infinity in theirs fails, judged or not. All is evaluated in
 * binary64, so that every implementation of the rule finds the same numbers. */
#ifndef ASSAY_VERDICT_H
#define ASSAY_VERDICT_H

#include <stdbool.h>
#include <stddef.h>

#include "harness/safetensors.h"

/* How far numbers are from the truth. */
struct assay_deviation {
    bool finite;         /* no NaN, no infinity; otherwise `worst` is the first one's index */
    size_t worst;        /* index of the largest error, the first of equal ones */
    double largest, rms; /* |theirs - truth|: the largest, and the root of the mean square;
                            infinite where theirs is not finite or the difference overflows */
    double expected, found; /* at the worst element */
};

/* theirs: [n] of F16, BF16, F32 or F64, at any address; truth: [n], finite. */
struct assay_deviation assay_deviate(size_t n, enum assay_dtype dtype, const void *theirs,
                                     const double *truth);

/* max(2 B, 8 u S) of B, S >= 0. */
double assay_budget(double honest, double scale, double roundoff);

/* Is the budget at most half of the truth's root mean square? */
bool assay_judges(double budget, double truth_rms);

/* Root of the mean square of x: [n]; 0 for n = 0. No square overflows or vanishes. */
double assay_rms(size_t n, const double *x);

/* Distance of the numbers of a precision at `magnitude` > 0, without a limit of the exponent:
 * 2 u 2^floor(log2 magnitude). 0 at 0. */
double assay_ulp(double magnitude, double roundoff);

/* The element as a number; exact. F16, BF16, F32, F64. */
double assay_number_at(enum assay_dtype dtype, const void *data, size_t i);

#endif

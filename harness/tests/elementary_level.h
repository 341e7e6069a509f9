/* SPDX-License-Identifier: Apache-2.0 */
/* The binary32 array functions as one level of the instruction set computes them, for tests that
 * compare levels. */
#ifndef ASSAY_ELEMENTARY_LEVEL_H
#define ASSAY_ELEMENTARY_LEVEL_H

#include <stddef.h>

enum { ELEMENTARY_FUNCTIONS = 8 };

struct elementary_level {
    const char *name;
    /* In the order exp, expm1, log, log1p, tanh, erf, sin, cos. */
    void (*array[ELEMENTARY_FUNCTIONS])(size_t n, const float *x, float *y);
    /* The evaluator's binary64 value before it is rounded. */
    void (*wide[ELEMENTARY_FUNCTIONS])(size_t n, const float *x, double *y);
    /* NULL, or the results of the evaluator that arrays try first, wherever it settles the element
     * without regard to its neighbours; the array's elsewhere. */
    void (*quick[ELEMENTARY_FUNCTIONS])(size_t n, const float *x, float *y);
};

extern const struct elementary_level elementary_level_baseline, elementary_level_v3,
    elementary_level_v4;

#endif

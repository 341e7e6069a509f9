/* SPDX-License-Identifier: Apache-2.0 */
/* What an honest backend of some precision computes, so that tolerances can be calibrated; and how
 * large the sums were that a tensor came from.
 *
 * Both tables have state of their thread, because kernels have no argument for it. The rules, with their
 * reasons and weak spots, stand in golden/FORMAT.md. */
#ifndef ASSAY_HONEST_H
#define ASSAY_HONEST_H

#include <stdint.h>

#include "ref/kernels.h"

enum assay_precision {
    ASSAY_PRECISION_F32,
    ASSAY_PRECISION_TF32,   /* binary32, whose products see operands of 11 bits */
    ASSAY_PRECISION_BF16,
    ASSAY_PRECISION_FP16,
    ASSAY_PRECISIONS
};

/* "f32", "tf32", "bf16", "fp16" */
const char *assay_precision_name(enum assay_precision p);
/* Half the distance from 1 to the next number: 2^-24, 2^-11, 2^-8, 2^-11. */
double assay_precision_roundoff(enum assay_precision p);
/* x to nearest even among the numbers of p (tf32: of 11 bits, with the exponents of binary32); an
 * infinity beyond them. */
float assay_precision_round(enum assay_precision p, float x);

/* The table of an honest backend: results are rounded to the precision, sums inside are of binary32;
 * orders, and what a backend may keep in binary32 or store on the way, are drawn from `seed` and the
 * number of the call; elementary functions and quotients are within 1.5 ulp. `base`: the binary32 table it works through (def, or one with a
 * kernel replaced, which then shows). Of the calling thread, until its next begin. Optimizers are
 * those of `base`. */
const struct assay_kernels *assay_honest_begin(const struct assay_kernels *base,
                                               enum assay_precision p, uint64_t seed);

/* The truth's table (`base`: binary64) that also notes, for every element that a sum makes, the sum
 * of the absolute terms. Of the calling thread, until assay_scales_end. */
const struct assay_kernels *assay_scales_begin(const struct assay_kernels *base);
/* max |x| and the largest sum noted for an element of x: [n], binary64; NaN if memory ran out. */
double assay_scales_of(size_t n, const void *x);
void assay_scales_end(void);

#endif

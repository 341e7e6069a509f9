/* SPDX-License-Identifier: Apache-2.0 */
/* Gradients of the tape against GSL's numerical derivative, in binary64.
 *
 * A function is given as a builder that makes tensors of leaves. Its value, contracted with fixed
 * random coefficients, is moved along 8 random directions of all leaves together and along 4 single
 * entries of each leaf. Stop-gradients, draws and decisions are held at their base values. */
#ifndef ASSAY_GRADIENT_H
#define ASSAY_GRADIENT_H

#include "harness/tests/tap.h"
#include "ref/tape.h"

/* A leaf: with `storage`, a parameter that lives outside (a model's; elements of the binary64
 * profile, so doubles): the builder makes it itself with tape_parameter on storage and gradient,
 * and is given TENSOR_NONE. Otherwise a variable of the check, with `value`, or with uniform values
 * of [low, high) (both 0: [-1, 1)). */
struct gradient_leaf {
    const char *name; /* in messages; may be NULL */
    struct assay_shape shape;
    const double *value;
    double low, high;
    double *storage, *gradient;
};

typedef tensor gradient_builder(tape *t, const tensor *leaf, int leaves, void *context);

struct gradient_report {
    double worst;      /* largest |analytic - numerical| / tolerance; holds if all are <= 1 */
    double resolution; /* largest tolerance / scale of the derivative: what error would be seen */
    int compared;
    char place[200]; /* of the worst: "direction 3", "weight [1, 2]" with both numbers */
    char error[600]; /* the tape's error, or why the derivative couldn't be resolved; else "" */
};

/* Whether all derivatives agree. kernels: a table of the binary64 profile. */
bool gradient_check(const struct assay_kernels *kernels, gradient_builder *build, void *context,
                    int leaves, const struct gradient_leaf *leaf, uint64_t seed,
                    struct gradient_report *report);

/* One TAP line for it, with a diagnosis where it fails. */
__attribute__((unused)) static bool gradient_ok(const struct assay_kernels *kernels,
                                                gradient_builder *build, void *context, int leaves,
                                                const struct gradient_leaf *leaf, uint64_t seed,
                                                const char *statement)
{
    struct gradient_report r;
    bool holds = gradient_check(kernels, build, context, leaves, leaf, seed, &r);
    ok(holds,
       "%s: %d derivatives agree with GSL's (worst %.2g of tolerance, which is at most %.0e of "
       "scale)",
       statement, r.compared, r.worst, r.resolution);
    if (!holds)
        diag("%s", r.error[0] ? r.error : r.place);
    return holds;
}

#endif

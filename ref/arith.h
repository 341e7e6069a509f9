/* SPDX-License-Identifier: Apache-2.0 */
/* Arithmetic for code that knows no element type: profiles, scalars, the environment's check. */
#ifndef ASSAY_ARITH_H
#define ASSAY_ARITH_H

/* binary32 makes the bits, binary64 the truth they are compared with. */
enum assay_profile { ASSAY_F32 = 32, ASSAY_F64 = 64 };

/* A scalar is carried in a double that holds a value of the profile. assay_scalar makes one of any
 * double; the others take and give scalars, and round once in the profile. Built with
 * ASSAY_CORE_ONLY, the elementary functions of binary64 are missing and give NaN. */
double assay_scalar(enum assay_profile profile, double x);
double assay_scalar_add(enum assay_profile profile, double a, double b);
double assay_scalar_sub(enum assay_profile profile, double a, double b);
double assay_scalar_mul(enum assay_profile profile, double a, double b);
double assay_scalar_div(enum assay_profile profile, double a, double b);
double assay_scalar_sqrt(enum assay_profile profile, double a);
double assay_scalar_exp(enum assay_profile profile, double a);
double assay_scalar_log(enum assay_profile profile, double a);
double assay_scalar_sin(enum assay_profile profile, double a);
double assay_scalar_cos(enum assay_profile profile, double a);

/* What keeps the calling thread, or this build, from computing Assay's bits: a sentence, or NULL
 * if nothing does. Found by computing, so that it needs no access to control registers. */
const char *assay_environment_fault(void);

/* Gives the calling thread the environment that the bits are defined in: rounding to nearest even,
 * subnormals kept, no traps. Every worker thread starts with this call. */
void assay_environment_restore(void);

/* Gives back what the calling thread's binary64 functions have cached;
 * every worker thread ends with this call. */
void assay_environment_release(void);

#endif

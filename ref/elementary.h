/* SPDX-License-Identifier: Apache-2.0 */
/* Elementary functions, correctly rounded to nearest even, in both profiles.
 *
 * Special values are those of C (Annex F): exp(-inf) = +0, log(+-0) = -inf, log of a negative
 * number, log1p below -1 and sin and cos of an infinity are NaN, the sign of a zero is kept by
 * expm1, log1p, tanh, erf and sin. A NaN that comes out is always the positive quiet NaN without
 * payload. How each is computed and proven: ARITHMETIC.md. */
#ifndef ASSAY_ELEMENTARY_H
#define ASSAY_ELEMENTARY_H

float assay_exp_f32(float x);
float assay_expm1_f32(float x);
float assay_log_f32(float x);
float assay_log1p_f32(float x);
float assay_tanh_f32(float x);
float assay_erf_f32(float x);
float assay_sin_f32(float x);
float assay_cos_f32(float x);

/* These need MPFR. They leave MPFR's exponent range as they found it and may be called from any
 * thread. */
double assay_exp_f64(double x);
double assay_expm1_f64(double x);
double assay_log_f64(double x);
double assay_log1p_f64(double x);
double assay_tanh_f64(double x);
double assay_erf_f64(double x);
double assay_sin_f64(double x);
double assay_cos_f64(double x);

/* For tables made in binary64 by code that must not need MPFR. A fixed sequence of + - * / and
 * integer operations: the bits are the same on every machine. The error is at most 4 ulp; they are
 * not correctly rounded. */
double assay_wide_exp(double x);
double assay_wide_log(double x);
double assay_wide_sin(double x);
double assay_wide_cos(double x);

#endif

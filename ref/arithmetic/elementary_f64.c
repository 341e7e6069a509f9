/* SPDX-License-Identifier: Apache-2.0 */
/* Binary64 elementary functions by MPFR, rounded once: also where the result is subnormal. */
#include "ref/arith.h"
#include "ref/elementary.h"

#include <float.h>
#include <mpfr.h>

/* The exponents of binary64 in MPFR's convention (mantissa in [1/2, 1)), smallest subnormal
 * included. */
enum { EXPONENT_MIN = DBL_MIN_EXP - DBL_MANT_DIG + 1, EXPONENT_MAX = DBL_MAX_EXP, LIMBS = 2 };

/* f(x) with the numbers' digits on the stack. The exponent range is MPFR's only state that this
 * changes; it belongs to the thread, and is put back. */
static double rounded(int (*f)(mpfr_t, const mpfr_t, mpfr_rnd_t), double x)
{
    mp_limb_t digits_of_x[LIMBS], digits_of_y[LIMBS];
    mpfr_t argument, value;
    mpfr_exp_t exponent_min = mpfr_get_emin(), exponent_max = mpfr_get_emax();
    mpfr_set_emin(EXPONENT_MIN);
    mpfr_set_emax(EXPONENT_MAX);
    mpfr_custom_init(digits_of_x, DBL_MANT_DIG);
    mpfr_custom_init_set(argument, MPFR_ZERO_KIND, 0, DBL_MANT_DIG, digits_of_x);
    mpfr_custom_init(digits_of_y, DBL_MANT_DIG);
    mpfr_custom_init_set(value, MPFR_ZERO_KIND, 0, DBL_MANT_DIG, digits_of_y);
    mpfr_set_d(argument, x, MPFR_RNDN);
    int direction = f(value, argument, MPFR_RNDN);
    mpfr_subnormalize(value, direction, MPFR_RNDN);
    double y = mpfr_get_d(value, MPFR_RNDN);
    mpfr_set_emin(exponent_min);
    mpfr_set_emax(exponent_max);
    return y == y ? y : __builtin_nan("");
}

double assay_exp_f64(double x)
{
    return rounded(mpfr_exp, x);
}

double assay_expm1_f64(double x)
{
    return rounded(mpfr_expm1, x);
}

double assay_log_f64(double x)
{
    return rounded(mpfr_log, x);
}

double assay_log1p_f64(double x)
{
    return rounded(mpfr_log1p, x);
}

double assay_tanh_f64(double x)
{
    return rounded(mpfr_tanh, x);
}

double assay_erf_f64(double x)
{
    return rounded(mpfr_erf, x);
}

double assay_sin_f64(double x)
{
    return rounded(mpfr_sin, x);
}

double assay_cos_f64(double x)
{
    return rounded(mpfr_cos, x);
}

void assay_environment_release(void)
{
    mpfr_free_cache2(MPFR_FREE_LOCAL_CACHE);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Functions of one element against GSL's, which were written by others: the largest distance, and
 * that it is no larger than both errors allow. Ours is half a unit in the last place where the
 * result is correctly rounded, else derived below; GSL's is the estimate that it returns, with an
 * addition where the estimate leaves something out. */
#include "ref/elementary.h"

#include <float.h>
#include <gsl/gsl_complex_math.h>
#include <gsl/gsl_errno.h>
#include <gsl/gsl_sf.h>
#include <math.h>

#include "harness/tests/tap.h"
#include "ref/kernels.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))
enum { ARGUMENTS = 100000 };

/* Of a profile: half the distance from 1 to the next number, the smallest number, digits. */
struct format {
    const char *name;
    enum assay_profile profile;
    double u, smallest;
    int digits;
};

static const struct format formats[] = {
    {"binary32", ASSAY_F32, 0x1p-24, 0x1p-149, 24},
    {"binary64", ASSAY_F64, 0x1p-53, 0x1p-1074, 53},
};

static double ulp(const struct format *f, double y)
{
    return y == 0 ? f->smallest : fmax(ldexp(1, ilogb(y) + 1 - f->digits), f->smallest);
}

/* GSL's libm: exp and its kin err by one unit in the last place at most, so that exp(x) - 1 errs by
 * DBL_EPSILON exp(x), which GSL's estimate, a multiple of the difference, leaves out. */
static int gsl_expm1_here(double x, gsl_sf_result *r)
{
    int status = gsl_sf_expm1_e(x, r);
    r->err += DBL_EPSILON * exp(x);
    return status;
}

/* 1 / (1 + exp(-x)). Above 0 the estimate covers exp, but not the rounding of sum and quotient. */
static int gsl_sigmoid(double x, gsl_sf_result *r)
{
    int status = gsl_sf_fermi_dirac_m1_e(x, r);
    r->err += DBL_EPSILON * r->val;
    return status;
}

/* Below 1 sinh cosh / (1 + sinh^2), else 1 / (tanh (1 + 1 / sinh^2)), of libm's functions, which
 * err by 2 units in the last place: with the roundings 8.1 and 6.1 times DBL_EPSILON. */
static int gsl_tanh(double x, gsl_sf_result *r)
{
    r->val = GSL_REAL(gsl_complex_tanh(gsl_complex_rect(x, 0)));
    r->err = 9 * DBL_EPSILON * fabs(r->val);
    return GSL_SUCCESS;
}

/* Below 1 a series whose estimate is one rounding. The terms x^(2k+1) / (k! (2k+1)) have 3 k + 1
 * roundings of DBL_EPSILON / 2, together below 1.7 DBL_EPSILON |x|; 17 additions, to sums below
 * |x|, add 17 / 4; times 2 / sqrt(pi), which makes 6.8. */
static int gsl_erf(double x, gsl_sf_result *r)
{
    int status = gsl_sf_erf_e(x, r);
    if (fabs(x) < 1)
        r->err += 7 * DBL_EPSILON * fabs(x);
    return status;
}

/* r = x - k pi / 4 in three parts, then r (1 + r^2 S) or 1 - r^2 / 2 (1 - r^2 C). The estimate is
 * one DBL_EPSILON of the value. The two subtractions that round make one of r, the sum and the
 * product the second, S and C less than half a one: 2.3 of a sine, 2.5 of a cosine. Between them
 * stands k 3.8e-8 < 2^-11 for |x| <= 10^4, which r is rounded beside. */
static int gsl_sin(double x, gsl_sf_result *r)
{
    int status = gsl_sf_sin_e(x, r);
    r->err += DBL_EPSILON * (2 * fabs(r->val) + 0x1p-12);
    return status;
}

static int gsl_cos(double x, gsl_sf_result *r)
{
    int status = gsl_sf_cos_e(x, r);
    r->err += DBL_EPSILON * (2 * fabs(r->val) + 0x1p-12);
    return status;
}

/* log(1 + exp(x)). Between -5 and 10 it is taken literally: exp errs by its unit in the last place,
 * the sum and log by half and one of theirs, the estimate being DBL_EPSILON |x| instead. */
static int gsl_softplus(double x, gsl_sf_result *r)
{
    int status = gsl_sf_fermi_dirac_0_e(x, r);
    r->err += DBL_EPSILON * (2 + r->val);
    return status;
}

static int gsl_silu(double x, gsl_sf_result *r)
{
    int status = gsl_sigmoid(x, r);
    r->val *= x;
    r->err = r->err * fabs(x) + DBL_EPSILON * fabs(r->val);
    return status;
}

/* x/2 erfc(-x / sqrt 2). The argument errs by DBL_EPSILON |t|, t = x / sqrt 2, which the derivative
 * 2 / sqrt(pi) exp(-t^2) carries on. */
static int gsl_gelu(double x, gsl_sf_result *r)
{
    double t = x / M_SQRT2;
    int status = gsl_sf_erfc_e(-t, r);
    r->err += M_2_SQRTPI * exp(-t * t) * DBL_EPSILON * fabs(t);
    r->val *= x / 2;
    r->err = r->err * fabs(x) / 2 + DBL_EPSILON * fabs(r->val);
    return status;
}

/* Our error where several operations are rounded, to first order in u; 1.01 for the rest, which is
 * below 10 u^2 of what is counted. Elementary functions err by u relatively. */
static double three_roundings(double x, double y, double u)
{
    (void)x;
    return 1.01 * 3 * u * fabs(y); /* sigmoid: exp, sum, quotient; softplus: exp, log1p, sum */
}

static double four_roundings(double x, double y, double u)
{
    (void)x;
    return 1.01 * 4 * u * fabs(y); /* silu: sigmoid, product */
}

/* f = erf(t), t = x c: t errs by 2 u |t|, f by u more; then 1 + f and the product. */
static double gelu_error(double x, double y, double u)
{
    double t = x / M_SQRT2, slope = M_2_SQRTPI * exp(-t * t);
    double f = 2 * u * fabs(t) * slope + u * fabs(erf(t));
    return 1.01 * (fabs(x) / 2 * (f + u * erfc(-t)) + u * fabs(y));
}

struct subject {
    const char *name, *witness;
    enum assay_map map;
    int (*gsl)(double x, gsl_sf_result *r);
    double (*own)(double x, double y, double u); /* NULL: correctly rounded */
    bool cancels; /* distances are counted in roundoffs of x, not of the result */
    /* Arguments: the smallest magnitude, and by profile the largest above and below zero. */
    double low, high[2], negative[2];
};

static const struct subject subjects[] = {
    {"exp", "gsl_sf_exp", MAP_EXP, gsl_sf_exp_e, NULL, false, 0x1p-30, {88, 709}, {87, 708}},
    {"expm1", "gsl_sf_expm1", MAP_EXPM1, gsl_expm1_here, NULL, false, 0x1p-30, {88, 709}, {80, 80}},
    {"log",
     "gsl_sf_log",
     MAP_LOG,
     gsl_sf_log_e,
     NULL,
     false,
     0x1p-126,
     {0x1p127, 0x1p1023},
     {0, 0}},
    {"log1p",
     "gsl_sf_log_1plusx",
     MAP_LOG1P,
     gsl_sf_log_1plusx_e,
     NULL,
     false,
     0x1p-30,
     {0x1p127, 0x1p1023},
     {0.9999, 0.9999}},
    {"tanh", "gsl_complex_tanh", MAP_TANH, gsl_tanh, NULL, false, 0x1p-30, {20, 20}, {20, 20}},
    {"erf", "gsl_sf_erf", MAP_ERF, gsl_erf, NULL, false, 0x1p-30, {6, 6}, {6, 6}},
    {"sin", "gsl_sf_sin", MAP_SIN, gsl_sin, NULL, false, 0x1p-30, {1e4, 1e4}, {1e4, 1e4}},
    {"cos", "gsl_sf_cos", MAP_COS, gsl_cos, NULL, false, 0x1p-30, {1e4, 1e4}, {1e4, 1e4}},
    {"sigmoid",
     "gsl_sf_fermi_dirac_m1",
     MAP_SIGMOID,
     gsl_sigmoid,
     three_roundings,
     false,
     0x1p-30,
     {80, 600},
     {80, 600}},
    {"softplus",
     "gsl_sf_fermi_dirac_0",
     MAP_SOFTPLUS,
     gsl_softplus,
     three_roundings,
     false,
     0x1p-30,
     {80, 600},
     {80, 600}},
    {"silu",
     "gsl_sf_fermi_dirac_m1",
     MAP_SILU,
     gsl_silu,
     four_roundings,
     false,
     0x1p-30,
     {80, 600},
     {80, 600}},
    {"gelu", "gsl_sf_erfc", MAP_GELU, gsl_gelu, gelu_error, true, 0x1p-30, {20, 20}, {8, 8}},
};

/* Half of the arguments spread evenly by magnitude, half by logarithm; both signs. */
static double argument(const struct subject *s, int format, struct assay_rng *rng)
{
    bool negative = s->negative[format] > 0 && assay_rng_below(rng, 2);
    double high = negative ? s->negative[format] : s->high[format];
    double part = ((double)assay_rng_next(rng) + 0.5) * 0x1p-32, x;
    if (assay_rng_below(rng, 2))
        x = fmax(s->low, high * part);
    else
        x = exp2(log2(s->low) + part * (log2(high) - log2(s->low)));
    x = fmin(x, high);
    return assay_scalar(formats[format].profile, negative ? -x : x);
}

static void compare(const struct subject *s, int format)
{
    const struct format *f = &formats[format];
    const struct assay_kernels *table = assay_kernels_def(f->profile);
    static double x[ARGUMENTS], y[ARGUMENTS], given[ARGUMENTS], made[ARGUMENTS];
    double worst = 0, where = 0, share = 0;
    int failures = 0;
    struct assay_rng rng;
    assay_rng_named(&rng, (uint64_t)format, s->name);
    for (int i = 0; i < ARGUMENTS; i++)
        x[i] = argument(s, format, &rng);
    table->from_f64(ARGUMENTS, x, given);
    table->map(s->map, ARGUMENTS, 0, given, made, ASSAY_STORE);
    table->to_f64(ARGUMENTS, made, y);
    for (int i = 0; i < ARGUMENTS; i++) {
        gsl_sf_result r;
        failures += s->gsl(x[i], &r) != GSL_SUCCESS;
        double own = s->own ? s->own(x[i], r.val, f->u) : ulp(f, y[i]) / 2;
        double distance = fabs(y[i] - r.val);
        double unit = s->cancels ? f->u * fabs(x[i]) : ulp(f, r.val);
        if (!(distance / unit <= worst))
            worst = distance / unit, where = x[i];
        share = fmax(share, distance / (own + r.err));
    }
    ok(failures == 0 && share <= 1,
       "%s: %s: at most %.2f %s from %s (at %.9g), %.3f of both errors", f->name, s->name, worst,
       s->cancels ? "roundoffs of x" : "ulp", s->witness, where, share);
}

int main(void)
{
    gsl_set_error_handler_off();
    for (int format = 0; format < 2; format++)
        for (size_t i = 0; i < COUNT(subjects); i++)
            compare(&subjects[i], format);
    return done_testing();
}

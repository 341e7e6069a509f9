/* SPDX-License-Identifier: Apache-2.0 */
/* Elementary functions of a binary32 argument, evaluated in binary64: straight lines that compilers
 * vectorise.
 *
 * Each evaluator's relative error is below 2^-50 on its range, however it is compiled. Where that
 * does not settle the binary32 result, because `wide_low` and `wide_high` differ, a table of hard
 * cases does (elementary_f32.c). Coefficients come from elementary.sollya; ARITHMETIC.md has the
 * bounds and the proof. */
#ifndef ASSAY_ELEMENTARY_F32_H
#define ASSAY_ELEMENTARY_F32_H

#include <float.h>
#include <stdint.h>
#include <string.h>

/* a b + c with one rounding or two, whichever the machine does in one go: the result is rounded to
 * binary32 later. */
#ifndef ASSAY_MULADD
#if defined(__FMA__) || defined(__FP_FAST_FMA) || defined(__ARM_FEATURE_FMA)
#define ASSAY_MULADD(a, b, c) __builtin_fma(a, b, c)
#else
#define ASSAY_MULADD(a, b, c) ((a) * (b) + (c))
#endif
#endif

/* Twice the bound on the evaluators' error: values further than this from a rounding boundary are
 * settled. */
#define WIDE_SLACK 0x1p-49
/* Adding it rounds to an integer, to nearest even, and leaves that integer in the low bits. */
#define WIDE_ROUNDER 0x1.8p52
/* Arguments of sin and cos up to here are reduced in binary64. */
#define WIDE_CIRCLE_MAX 0x1p20f

static inline uint64_t wide_bits(double x)
{
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

static inline double wide_from(uint64_t bits)
{
    double x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* The two ends of the interval that holds the true value, rounded. NaN is not alike. */
static inline float wide_low(double y)
{
    return (float)(y * (1 - WIDE_SLACK));
}

static inline float wide_high(double y)
{
    return (float)(y * (1 + WIDE_SLACK));
}

/* x = k ln 2 + r with |r| <= ln 2 / 2: gives expm1(r), and 2^k in *scale.  |x| <= 700. */
static inline double wide_expm1_reduced(double x, double *scale)
{
    double t = ASSAY_MULADD(x, 0x1.71547652b82fep+0, WIDE_ROUNDER);
    double k = t - WIDE_ROUNDER;
    double r = ASSAY_MULADD(k, -0x1.ef35793c76730p-45, ASSAY_MULADD(k, -0x1.62e42fefa3800p-1, x));
    double r2 = r * r, r4 = r2 * r2;
    double a = ASSAY_MULADD(r, 0x1.555555555554dp-3, 0x1.0000000000001p-1);
    double b = ASSAY_MULADD(r, 0x1.11111111144dp-7, 0x1.5555555553ce1p-5);
    double c = ASSAY_MULADD(r, 0x1.a01a018c37b6cp-13, 0x1.6c16c178a8d44p-10);
    double d = ASSAY_MULADD(r, 0x1.71de59eacff2dp-19, 0x1.a019b8bed4d7ap-16);
    double e = ASSAY_MULADD(r, 0x1.aeabe39875632p-26, 0x1.2891ccfb06da3p-22);
    double low = ASSAY_MULADD(r2, b, a);
    double high = ASSAY_MULADD(r4, e, ASSAY_MULADD(r2, d, c));
    *scale = wide_from((wide_bits(t) << 52) + (UINT64_C(1023) << 52));
    return ASSAY_MULADD(r2, ASSAY_MULADD(r4, high, low), r);
}

/* x between two limits beyond which the result is the one at the limit. A NaN passes. */
static inline float wide_inside(float x, float low, float high)
{
    float y = x > high ? high : x;
    return y < low ? low : y;
}

/* The limits of each function: where its result falls below half the smallest subnormal, passes the
 * largest number, or stays at 1 or -1. */
#define WIDE_EXP_LIMITS -104.0f, 90.0f
#define WIDE_EXPM1_LIMITS -30.0f, 90.0f
#define WIDE_TANH_LIMITS -10.0f, 10.0f
#define WIDE_ERF_LIMITS -3.95f, 3.95f

static inline double wide_exp(float inside)
{
    double scale, p = wide_expm1_reduced((double)inside, &scale);
    return ASSAY_MULADD(scale, p, scale);
}

/* The same for |x| <= QUICK_EXP_MAX, where results are normal numbers, from a shorter polynomial
 * with a relative error below 2^-40: arrays try it first. */
#define QUICK_EXP_MAX 87.0f

static inline double quick_exp(float x)
{
    const double rounder = WIDE_ROUNDER + 1023; /* leaves the biased exponent in the low bits */
    double t = ASSAY_MULADD((double)x, 0x1.71547652b82fep+0, rounder);
    double r = ASSAY_MULADD(t - rounder, -0x1.62e42fefa39efp-1, (double)x), r2 = r * r;
    double even = ASSAY_MULADD(r2, 0x1.9eda7642a9622p-16, 0x1.6c18b3a32dfafp-10);
    double odd = ASSAY_MULADD(r2, 0x1.a1a8486c8c454p-13, 0x1.1110828f76e37p-7);
    even = ASSAY_MULADD(r2, even, 0x1.55555404a4a3p-5);
    odd = ASSAY_MULADD(r2, odd, 0x1.555555a09ad13p-3);
    even = ASSAY_MULADD(r2, even, 0x1.00000000882e6p-1);
    odd = ASSAY_MULADD(r2, odd, 0x1.ffffffffd550ap-1);
    even = ASSAY_MULADD(r2, even, 0x1.ffffffffff79fp-1);
    return ASSAY_MULADD(r, odd, even) * wide_from(wide_bits(t) << 52);
}

/* Whether a normal y is within 2^14 units in its last place, at least 2^-39 of it, of a boundary
 * between two binary32 results: the top bit. The 29 bits below a binary32 significand are then
 * 2^28, give or take. */
static inline uint64_t quick_doubt(double y)
{
    const uint64_t slack = 1 << 14, half = 1 << 28;
    return ((wide_bits(y) + half + slack) & (2 * half - 2 * slack)) - 1;
}

static inline double wide_expm1(float inside)
{
    double scale, p = wide_expm1_reduced((double)inside, &scale);
    return ASSAY_MULADD(scale, p, scale - 1);
}

static inline double wide_tanh(float inside)
{
    double scale, p = wide_expm1_reduced(2 * (double)inside, &scale);
    double e = ASSAY_MULADD(scale, p, scale - 1);
    return e / (e + 2);
}

/* x E(u), u = (x^2 - 7.8125) / 8 in [-0.977, 0.974]: erf is entire, and the centred argument keeps
 * the sum well conditioned. */
static inline double wide_erf(float inside)
{
    double wide = (double)inside;
    double u = ASSAY_MULADD(wide * wide, 0.125, -0.9765625);
    double u2 = u * u, u4 = u2 * u2;
    double a = ASSAY_MULADD(u2, ASSAY_MULADD(u, -0x1.dd919cdfda8b5p-4, 0x1.1dcf64791780ep-3),
                            ASSAY_MULADD(u, -0x1.76a467e379368p-3, 0x1.6e543ee73ad94p-2));
    double b = ASSAY_MULADD(u2, ASSAY_MULADD(u, -0x1.ad84bc2441c6ap-5, 0x1.163cb4965e8e1p-4),
                            ASSAY_MULADD(u, -0x1.56d805a8cce98p-4, 0x1.977958d522b65p-4));
    double c = ASSAY_MULADD(u2, ASSAY_MULADD(u, -0x1.4a90d9b30fe15p-7, 0x1.12806e3c3f388p-6),
                            ASSAY_MULADD(u, -0x1.abcddc58e4b69p-6, 0x1.38ba8ddb3064bp-5));
    double d = ASSAY_MULADD(u2, ASSAY_MULADD(u, -0x1.7c6982cff861ap-11, 0x1.9062987d5227fp-10),
                            ASSAY_MULADD(u, -0x1.8e6e9606b2966p-9, 0x1.760b56b4c177cp-8));
    double e = ASSAY_MULADD(u2, ASSAY_MULADD(u, -0x1.70332a4b9daa8p-16, 0x1.dcfb9ff2e948p-15),
                            ASSAY_MULADD(u, -0x1.2526e9329b841p-13, 0x1.56905d6cd0aafp-12));
    double f = ASSAY_MULADD(u2, ASSAY_MULADD(u, -0x1.166263ffb39aep-22, 0x1.0e667b50c48f5p-20),
                            ASSAY_MULADD(u, -0x1.949766ce85ea4p-19, 0x1.121213041c8c9p-17));
    double g = ASSAY_MULADD(u2, 0x1.dee701842a002p-27,
                            ASSAY_MULADD(u, -0x1.bb7e0a1e9da84p-25, 0x1.7ba4c10cbb222p-24));
    double series = ASSAY_MULADD(u4, g, f);
    series = ASSAY_MULADD(u4, series, e);
    series = ASSAY_MULADD(u4, series, d);
    series = ASSAY_MULADD(u4, series, c);
    series = ASSAY_MULADD(u4, series, b);
    series = ASSAY_MULADD(u4, series, a);
    return wide * series;
}

/* k ln 2 + log(1 + f), 1 + f in [sqrt 1/2, sqrt 2]: 2 atanh(s) with s = f / (2 + f). */
static inline double wide_log_reduced(double k, double f)
{
    double s = f / (2 + f);
    double z = s * s, z2 = z * z;
    double a = ASSAY_MULADD(z, 0x1.99999999952eap-2, 0x1.5555555555558p-1);
    double b = ASSAY_MULADD(z, 0x1.c71c62dc2c5ccp-3, 0x1.2492492df6566p-2);
    double c = ASSAY_MULADD(z, 0x1.39fdf3a20d2e1p-3, 0x1.7462b7b8b89c7p-3);
    double d = ASSAY_MULADD(z2, 0x1.2b5dc05bcbf47p-3, c);
    double series = ASSAY_MULADD(z2, ASSAY_MULADD(z2, d, b), a);
    double y = ASSAY_MULADD(s * z, series, 2 * s);
    return ASSAY_MULADD(k, 0x1.62e42fefa39efp-1, y);
}

/* The exponent field of u / sqrt(1/2): 1023 + k where u = 2^k m, m in [sqrt 1/2, sqrt 2). */
static inline uint64_t wide_exponent(double u)
{
    return wide_bits(u) - wide_bits(0x1.6a09e667f3bcdp-1) + (UINT64_C(1023) << 52);
}

static inline double wide_exponent_value(uint64_t exponent)
{
    return wide_from((exponent >> 52) | wide_bits(0x1p52)) - (0x1p52 + 1023);
}

/* 0 < x < inf, normal in binary64. */
static inline double wide_log(float x)
{
    double wide = (double)x;
    uint64_t exponent = wide_exponent(wide), field = exponent & (UINT64_C(0xfff) << 52);
    double m = wide_from(wide_bits(wide) - field + (UINT64_C(1023) << 52));
    return wide_log_reduced(wide_exponent_value(exponent), m - 1);
}

/* -1 < x < 2^128. f = 2^-k (1 + x) - 1 as 2^-k x + (2^-k - 1): exact where it is small, x itself
 * where k = 0. */
static inline double wide_log1p(float x)
{
    double wide = (double)x;
    uint64_t exponent = wide_exponent(1 + wide), field = exponent & (UINT64_C(0xfff) << 52);
    double shrink = wide_from((UINT64_C(2046) << 52) - field);
    return wide_log_reduced(wide_exponent_value(exponent), ASSAY_MULADD(shrink, wide, shrink - 1));
}

/* sin(r), |r| <= pi / 2, as a product, which keeps the sign of a zero. */
static inline double wide_sin_reduced(double r)
{
    double z = r * r, z2 = z * z, z4 = z2 * z2;
    double a = ASSAY_MULADD(z, 0x1.11111111110bap-7, -0x1.5555555555555p-3);
    double b = ASSAY_MULADD(z, 0x1.71de3a51d52fbp-19, -0x1.a01a01a013714p-13);
    double c = ASSAY_MULADD(z, 0x1.6123ade5cd3f6p-33, -0x1.ae645465d9c22p-26);
    double d = ASSAY_MULADD(z, 0x1.8738eab662a68p-49, -0x1.ae3ac15d9c1fp-41);
    double series = ASSAY_MULADD(z4, ASSAY_MULADD(z2, d, c), ASSAY_MULADD(z2, b, a));
    return ASSAY_MULADD(z, series, 1) * r;
}

/* r = x - k pi in three parts of pi: k has 20 bits, the first two parts 33, so those products are
 * exact. */
static inline double wide_circle_rest(double x, double k)
{
    double r = ASSAY_MULADD(k, -0x1.921fb544p+1, x);
    r = ASSAY_MULADD(k, -0x1.0b4611a6p-33, r);
    return ASSAY_MULADD(k, -0x1.3198a2e037073p-68, r);
}

/* (-1)^k y, k in the low bit of `rounded`. */
static inline double wide_alternate(double y, double rounded)
{
    return wide_from(wide_bits(y) ^ (wide_bits(rounded) << 63));
}

/* |x| <= WIDE_CIRCLE_MAX. */
static inline double wide_sin_near(double x)
{
    double t = ASSAY_MULADD(x, 0x1.45f306dc9c883p-2, WIDE_ROUNDER);
    double r = wide_circle_rest(x, t - WIDE_ROUNDER);
    return wide_alternate(wide_sin_reduced(r), t);
}

/* cos(x) = sin(x + pi / 2) = (-1)^k sin(x - (k - 1/2) pi). */
static inline double wide_cos_near(double x)
{
    double t = ASSAY_MULADD(x, 0x1.45f306dc9c883p-2, 0.5) + WIDE_ROUNDER;
    double r = wide_circle_rest(x, t - WIDE_ROUNDER - 0.5);
    return wide_alternate(wide_sin_reduced(r), t);
}

static inline double wide_sin(float x)
{
    return wide_sin_near((double)x);
}

static inline double wide_cos(float x)
{
    return wide_cos_near((double)x);
}

#endif

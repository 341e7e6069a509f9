/* SPDX-License-Identifier: Apache-2.0 */
/* Binary32 elementary functions, one argument at a time: every argument, every special value, the
 * hard cases. Needs only a C compiler. */
#include "ref/elementary.h"

#include <stdbool.h>
#include <stddef.h>

/* Here always two roundings, so that the binary64 functions below have the same bits everywhere. */
#define ASSAY_MULADD(a, b, c) ((a) * (b) + (c))
#include "ref/arithmetic/elementary_f32.h"
#include "ref/arithmetic/elementary_f32_hard.h"

static uint32_t bits_of(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

static float from_bits(uint32_t bits)
{
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

static float not_a_number(void)
{
    return from_bits(0x7fc00000);
}

/* The result for `argument` from an ascending table, or `otherwise`. */
static float hard_case(uint32_t argument, const struct hard_case *table, size_t n, float otherwise)
{
    size_t low = 0, high = n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (table[middle].argument < argument)
            low = middle + 1;
        else
            high = middle;
    }
    return low < n && table[low].argument == argument ? from_bits(table[low].result) : otherwise;
}

/* y, within 2^-50 of the true value, rounded: the table holds every argument whose value is within
 * 2^-48 of a boundary between two binary32 results, so that what it does not hold rounds as y does.
 */
#define DECIDE(table, argument, y) \
    (wide_low(y) == wide_high(y) \
         ? wide_low(y) \
         : hard_case(argument, table, sizeof table / sizeof *table, (float)(y)))

/* The same for an odd function, whose table holds positive arguments. Keeps the sign of zero. */
static float decide_odd(float x, double y, const struct hard_case *table, size_t n)
{
    float magnitude = (float)__builtin_fabs(y);
    if (wide_low(y) != wide_high(y))
        magnitude = hard_case(bits_of(x) & 0x7fffffff, table, n, magnitude);
    return __builtin_copysignf(magnitude, x);
}

#define DECIDE_ODD(table, x, y) decide_odd(x, y, table, sizeof table / sizeof *table)

float assay_exp_f32(float x)
{
    if (x != x)
        return not_a_number();
    double y = wide_exp(wide_inside(x, WIDE_EXP_LIMITS));
    return DECIDE(hard_exp, bits_of(x), y);
}

float assay_expm1_f32(float x)
{
    if (x != x)
        return not_a_number();
    double y = wide_expm1(wide_inside(x, WIDE_EXPM1_LIMITS));
    return x == 0 ? x : DECIDE(hard_expm1, bits_of(x), y);
}

float assay_log_f32(float x)
{
    if (x == 0)
        return -__builtin_inff();
    if (!(x > 0))
        return not_a_number();
    if (x > FLT_MAX)
        return x;
    double y = wide_log(x);
    return DECIDE(hard_log, bits_of(x), y);
}

float assay_log1p_f32(float x)
{
    if (x == -1)
        return -__builtin_inff();
    if (!(x > -1))
        return not_a_number();
    if (x == 0 || x > FLT_MAX)
        return x;
    double y = wide_log1p(x);
    return DECIDE(hard_log1p, bits_of(x), y);
}

float assay_tanh_f32(float x)
{
    if (x != x)
        return not_a_number();
    double y = wide_tanh(wide_inside(x, WIDE_TANH_LIMITS));
    return DECIDE_ODD(hard_tanh, x, y);
}

float assay_erf_f32(float x)
{
    if (x != x)
        return not_a_number();
    double y = wide_erf(wide_inside(x, WIDE_ERF_LIMITS));
    return DECIDE_ODD(hard_erf, x, y);
}

/* Binary digits of 1 / pi after the point, 32 a word, after two words of zeros. */
static const uint32_t inverse_pi[] = {
    0x00000000, 0x00000000, 0x517cc1b7, 0x27220a94, 0xfe13abe8, 0xfa9a6ee0, 0x6db14acc,
    0x9e21c820, 0xff28b1d5, 0xef5de2b0, 0xdb92371d, 0x2126e970, 0x03249775, 0x04e8c90e,
    0x7f0ef58e, 0x5894d39f, 0x74411afa, 0x975da242, 0x74ce3813, 0x5a2fbf20, 0x9cc8eb1c,
    0xc1a99cfa, 0x4e422fc5, 0xdefc941d, 0x8ffc4bff, 0xef02cc07, 0xf79788c5, 0xad05368f,
    0xb69b3f67, 0x93e584db, 0xa7a31fb3, 0x4f2ff516, 0xba93dd63, 0xf5f2f8bd, 0x9e839cfb,
    0xc5294975, 0x35fdafd8, 0x8fc6ae84, 0x2b019823, 0x7e3db5d5, 0xf867de10, 0x4d7a1b0e,
};

/* `count` words of the digits of 1 / pi, most significant first, from digit `from` (at least -64)
 * on. */
static void digits_of_inverse_pi(int from, uint32_t *words, int count)
{
    int word = (from + 64) / 32, shift = (from + 64) % 32;
    for (int i = 0; i < count; i++) {
        uint64_t pair = (uint64_t)inverse_pi[word + i] << 32 | inverse_pi[word + i + 1];
        words[i] = (uint32_t)(pair << shift >> 32);
    }
}

enum { FRACTION_WORDS = 6 };

/* x / pi modulo 2, x = mantissa 2^exponent, exponent >= -53: one integer digit and 191 of the
 * fraction, most significant word first. Digits of 1 / pi whose product with the mantissa is a
 * multiple of 2 are left out; the ones cut off at the end are worth less than 2^(53 - 191). */
static void turns(uint64_t mantissa, int exponent, uint32_t *fraction)
{
    uint32_t digits[FRACTION_WORDS], factor[2] = {(uint32_t)mantissa, (uint32_t)(mantissa >> 32)};
    digits_of_inverse_pi(exponent - 1, digits, FRACTION_WORDS);
    memset(fraction, 0, FRACTION_WORDS * sizeof *fraction);
    for (int part = 0; part < 2; part++) {
        uint64_t carry = 0;
        for (int i = FRACTION_WORDS - 1; i - part >= 0; i--) {
            carry += (uint64_t)digits[i] * factor[part] + fraction[i - part];
            fraction[i - part] = (uint32_t)carry;
            carry >>= 32;
        }
    }
}

/* x modulo pi for |x| >= 2^-1 by integers (Payne and Hanek 1983): x, or |x| + pi / 2 where `half`,
 * is k pi + r with |r| <= pi / 2. Gives r to 2 ulp; *odd says whether k is. */
static double circle_rest_exact(double x, bool half, bool *odd)
{
    uint64_t bits = wide_bits(x) & (UINT64_MAX >> 1);
    uint32_t fraction[FRACTION_WORDS + 1] = {0};
    turns((bits & (UINT64_MAX >> 12)) | UINT64_C(1) << 52, (int)(bits >> 52) - 1075, fraction);
    /* cos is even, so that the half turn is added to |x|. */
    if (half)
        fraction[0] += UINT32_C(0x40000000);
    bool negative = fraction[0] & UINT32_C(0x40000000);
    *odd = (fraction[0] >> 31) ^ negative;
    fraction[0] = fraction[0] << 1 >> 1 | (negative ? UINT32_C(0x80000000) : 0);
    if (negative) {
        uint64_t carry = 1;
        for (int i = FRACTION_WORDS - 1; i >= 0; i--) {
            carry += ~fraction[i];
            fraction[i] = (uint32_t)carry;
            carry >>= 32;
        }
    }
    int skipped = 0;
    while (skipped < FRACTION_WORDS - 2 && fraction[skipped] == 0)
        skipped++;
    /* 64 digits that begin with the first word that is not zero, and 32 more: the leading 53 are
     * all there. */
    double high = (double)((uint64_t)fraction[skipped] << 32 | fraction[skipped + 1]);
    double value = high * 0x1p32 + (double)fraction[skipped + 2];
    for (int i = 0; i <= skipped; i++)
        value *= 0x1p-32;
    value *= 0x1p-63;
    value *= 0x1.921fb54442d18p+1;
    return negative != (!half && x < 0) ? -value : value;
}

/* Where binary64 has digits enough: in three parts of pi. A rest that small has lost too many of
 * them to cancellation. */
static bool reduces_in_binary64(double x, double rest)
{
    return __builtin_fabs(x) < 0.5
           || (__builtin_fabs(x) <= (double)WIDE_CIRCLE_MAX && __builtin_fabs(rest) > 0x1p-30);
}

double assay_wide_sin(double x)
{
    if (!(__builtin_fabs(x) <= DBL_MAX))
        return __builtin_nan("");
    double t = x * 0x1.45f306dc9c883p-2 + WIDE_ROUNDER;
    if (reduces_in_binary64(x, wide_circle_rest(x, t - WIDE_ROUNDER)))
        return wide_sin_near(x);
    bool odd;
    double y = wide_sin_reduced(circle_rest_exact(x, false, &odd));
    return odd ? -y : y;
}

double assay_wide_cos(double x)
{
    if (!(__builtin_fabs(x) <= DBL_MAX))
        return __builtin_nan("");
    double t = (x * 0x1.45f306dc9c883p-2 + 0.5) + WIDE_ROUNDER;
    if (reduces_in_binary64(x, wide_circle_rest(x, t - WIDE_ROUNDER - 0.5)))
        return wide_cos_near(x);
    bool odd;
    double y = wide_sin_reduced(circle_rest_exact(x, true, &odd));
    return odd ? -y : y;
}

float assay_sin_f32(float x)
{
    if (!(__builtin_fabsf(x) <= FLT_MAX))
        return not_a_number();
    double y = assay_wide_sin((double)x);
    if (wide_low(y) == wide_high(y))
        return wide_low(y);
    float magnitude =
        hard_case(bits_of(x) & 0x7fffffff, hard_sin, sizeof hard_sin / sizeof *hard_sin,
                  bits_of(x) >> 31 ? (float)-y : (float)y);
    return bits_of(x) >> 31 ? -magnitude : magnitude;
}

float assay_cos_f32(float x)
{
    if (!(__builtin_fabsf(x) <= FLT_MAX))
        return not_a_number();
    double y = assay_wide_cos((double)x);
    return DECIDE(hard_cos, bits_of(x) & 0x7fffffff, y);
}

/* 2^k for -1076 <= k <= 1024 as two factors, since one alone would overflow. */
double assay_wide_exp(double x)
{
    if (x != x)
        return __builtin_nan("");
    if (x > 710)
        return __builtin_inf();
    if (x < -746)
        return 0;
    double t = x * 0x1.71547652b82fep+0 + WIDE_ROUNDER;
    int k = (int)(t - WIDE_ROUNDER), half = k / 2;
    double scale, p = wide_expm1_reduced(x, &scale);
    return (1 + p) * wide_from((uint64_t)(half + 1023) << 52)
           * wide_from((uint64_t)(k - half + 1023) << 52);
}

double assay_wide_log(double x)
{
    if (x == 0)
        return -__builtin_inf();
    if (!(x > 0))
        return __builtin_nan("");
    if (x > DBL_MAX)
        return x;
    double lift = x < DBL_MIN ? 54 : 0;
    uint64_t exponent = wide_exponent(lift > 0 ? x * 0x1p54 : x),
             field = exponent & (UINT64_C(0xfff) << 52);
    double m = wide_from(wide_bits(lift > 0 ? x * 0x1p54 : x) - field + (UINT64_C(1023) << 52));
    return wide_log_reduced(wide_exponent_value(exponent) - lift, m - 1);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The self-test of the floating-point environment: small sums whose bits are known. */
#include "ref/arith.h"

#include <fenv.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "ref/arithmetic/fma.h"

/* Operands pass through these, so that no compiler computes the answer before the program runs. */
static float opaque_f32(float x)
{
    volatile float kept = x;
    return kept;
}

static double opaque_f64(double x)
{
    volatile double kept = x;
    return kept;
}

/* Results are compared as integers: a comparison of numbers is part of what is tested. */
static uint32_t bits_f32(float x)
{
    volatile float kept = x;
    uint32_t bits;
    x = kept;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

static uint64_t bits_f64(double x)
{
    volatile double kept = x;
    uint64_t bits;
    x = kept;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

static float float_of_bits(uint32_t bits)
{
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

static double double_of_bits(uint64_t bits)
{
    double x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* Half the smallest normal number must come out as a subnormal. */
static bool flushes_to_zero(void)
{
    return bits_f32(opaque_f32(0x1p-126f) * opaque_f32(0.5f)) != UINT32_C(0x00400000)
           || bits_f64(opaque_f64(0x1p-1022) * opaque_f64(0.5)) != UINT64_C(0x0008000000000000);
}

/* Twice the largest subnormal power of two must be the smallest normal number. The operands are
 * made from their bits and travel as integers. */
static bool takes_subnormals_for_zero(void)
{
    volatile uint32_t single = UINT32_C(0x00400000);
    volatile uint64_t twice = UINT64_C(0x0008000000000000);
    return bits_f32(float_of_bits(single) * opaque_f32(2)) != UINT32_C(0x00800000)
           || bits_f64(double_of_bits(twice) * opaque_f64(2)) != UINT64_C(0x0010000000000000);
}

/* In units u of 1's last place: 1 + u/2 = 1 is false upwards and for ties away from zero,
 * -1 - u/2 = -1 downwards, 1 + 3/4 u = 1 + u downwards and towards zero; and two ties whose even
 * neighbour is the larger in magnitude. */
static bool rounds_otherwise(void)
{
    float one = opaque_f32(1), odd = opaque_f32(1 + 0x1p-23f), half = opaque_f32(0x1p-24f);
    double One = opaque_f64(1), Odd = opaque_f64(1 + 0x1p-52), Half = opaque_f64(0x1p-53);
    return bits_f32(one + half) != UINT32_C(0x3f800000)
           || bits_f32(-one - half) != UINT32_C(0xbf800000)
           || bits_f32(one + opaque_f32(0x1.8p-24f)) != UINT32_C(0x3f800001)
           || bits_f32(odd + half) != UINT32_C(0x3f800002)
           || bits_f32(-odd - half) != UINT32_C(0xbf800002)
           || bits_f64(One + Half) != UINT64_C(0x3ff0000000000000)
           || bits_f64(-One - Half) != UINT64_C(0xbff0000000000000)
           || bits_f64(One + opaque_f64(0x1.8p-53)) != UINT64_C(0x3ff0000000000001)
           || bits_f64(Odd + Half) != UINT64_C(0x3ff0000000000002)
           || bits_f64(-Odd - Half) != UINT64_C(0xbff0000000000002);
}

/* 1 is lost beside 10^8 in binary32 and beside 2^53 in binary64, unless intermediate results are
 * wider than their type or the sum is rearranged. */
static bool keeps_lost_digits(void)
{
    float a = opaque_f32(1e8f), b = opaque_f32(1);
    double A = opaque_f64(0x1p53), B = opaque_f64(1);
    return bits_f32((a + b) - a) != 0 || bits_f64((A + B) - A) != 0;
}

static bool ignores_nan_or_signed_zero(void)
{
    float zero = opaque_f32(0), infinity = opaque_f32(float_of_bits(UINT32_C(0x7f800000)));
    float undefined = zero * infinity, minus = opaque_f32(float_of_bits(UINT32_C(0x80000000)));
    return (bits_f32(undefined) & UINT32_C(0x7fffffff)) <= UINT32_C(0x7f800000)
           || undefined == undefined || !(undefined != undefined)
           || bits_f32(minus + 0.0f) != 0 || bits_f32(0.0f - zero) != 0
           || bits_f32(minus * opaque_f32(2)) != UINT32_C(0x80000000)
           || bits_f32(opaque_f32(1) / minus) != UINT32_C(0xff800000);
}

/* 5 / 3 and 5 / 49 differ from 5 times the rounded reciprocal, in both formats. */
static bool approximates_division(void)
{
    float five = opaque_f32(5), two = opaque_f32(2);
    double Five = opaque_f64(5), Two = opaque_f64(2);
    return bits_f32(five / 3) != UINT32_C(0x3fd55555)
           || bits_f32(five / opaque_f32(49)) != UINT32_C(0x3dd0fac7)
           || bits_f32(__builtin_sqrtf(two)) != UINT32_C(0x3fb504f3)
           || bits_f64(Five / 3) != UINT64_C(0x3ffaaaaaaaaaaaab)
           || bits_f64(Five / opaque_f64(49)) != UINT64_C(0x3fba1f58d0fac688)
           || bits_f64(__builtin_sqrt(Two)) != UINT64_C(0x3ff6a09e667f3bcd);
}

/* (1 + d)^2 - (1 + 2 d) is d^2, which the rounded square has lost. */
static bool fma_rounds_twice(void)
{
    float a = opaque_f32(1 + 0x1p-12f), c = opaque_f32(-(1 + 0x1p-11f));
    double A = opaque_f64(1 + 0x1p-27), C = opaque_f64(-(1 + 0x1p-26));
    return bits_f32(assay_fma_f32(a, a, c)) != bits_f32(0x1p-24f)
           || bits_f64(assay_fma_f64(A, A, C)) != bits_f64(0x1p-54);
}

static bool contracts_products_and_sums(void)
{
    float a = opaque_f32(1 + 0x1p-12f), c = opaque_f32(-(1 + 0x1p-11f));
    double A = opaque_f64(1 + 0x1p-27), C = opaque_f64(-(1 + 0x1p-26));
    return bits_f32(a * a + c) != 0 || bits_f64(A * A + C) != 0;
}

const char *assay_environment_fault(void)
{
    if (flushes_to_zero())
        return "results below the normal range are flushed to zero (FTZ)";
    if (takes_subnormals_for_zero())
        return "subnormal operands are taken for zero (DAZ)";
    if (rounds_otherwise())
        return "the rounding mode is not to nearest even";
    if (keeps_lost_digits())
        return "sums are evaluated in excess precision or rearranged (x87 or -ffast-math)";
    if (ignores_nan_or_signed_zero())
        return "NaN, infinity or the sign of zero is not kept (-ffast-math)";
    if (approximates_division())
        return "division or square root is approximated (-ffast-math)";
    if (fma_rounds_twice())
        return "fma rounds twice";
    if (contracts_products_and_sums())
        return "a product and a sum are contracted to an fma (build with -ffp-contract=off)";
    return NULL;
}

void assay_environment_restore(void)
{
    fesetenv(FE_DFL_ENV);
}

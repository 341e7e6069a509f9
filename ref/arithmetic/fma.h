/* SPDX-License-Identifier: Apache-2.0 */
/* Fused multiply-add: a b + c with one rounding, by the machine's instruction or by ours, never
 * by libm's. */
#ifndef ASSAY_ARITHMETIC_FMA_H
#define ASSAY_ARITHMETIC_FMA_H

#include <stdint.h>
#include <string.h>

/* x86 compilers define __FMA__ only where the instruction may be used; the other names are what
 * gcc and clang define on machines whose base instruction set has it. */
#if defined(__FMA__) || defined(__FP_FAST_FMAF) || defined(__aarch64__) \
    || (defined(__riscv_flen) && __riscv_flen >= 32)
#define ASSAY_HARDWARE_FMA_F32 1
#else
#define ASSAY_HARDWARE_FMA_F32 0
#endif
#if defined(__FMA__) || defined(__FP_FAST_FMA) || defined(__aarch64__) \
    || (defined(__riscv_flen) && __riscv_flen >= 64)
#define ASSAY_HARDWARE_FMA_F64 1
#else
#define ASSAY_HARDWARE_FMA_F64 0
#endif

/* RN(a b + c) in binary32, correctly rounded, without a branch.
 *
 * p = a b is exact in binary64: 48 bits, exponents from -298 to 255. s + e = p + c exactly (TwoSum,
 * Knuth, TAOCP 4.2.2, theorem B). Rounding p + c to odd - towards zero, then the last bit set where
 * something was cut off - keeps s on the exact sum's side of every binary32 number and of every
 * midpoint between two, as 53 >= 24 + 2 (Boldo and Melquiond 2008, theorem 1), so that the
 * conversion is the only rounding. Both decisions are read off `side` = e s: zero where the sum was
 * exact, negative where s lies above it in magnitude, NaN where s is infinite or NaN; it neither
 * underflows nor overflows (|e|, |s| in 2^-298 .. 2^257). They are made in integers, as SSE2 has
 * no comparison with 64-bit results, and loops over this function must vectorise there. */
static inline float assay_soft_fma_f32(float a, float b, float c)
{
    double p = (double)a * (double)b, addend = (double)c;
    double s = p + addend;
    double part = s - p;
    double e = (p - (s - part)) + (addend - part);
    double side = e * s;
    const uint64_t largest_finite = UINT64_C(0x7fefffffffffffff);
    uint64_t bits, side_bits;
    memcpy(&bits, &s, sizeof bits);
    memcpy(&side_bits, &side, sizeof side_bits);
    uint64_t magnitude = side_bits & (UINT64_MAX >> 1);
    uint64_t inexact = ((0 - magnitude) & ~(largest_finite - magnitude)) >> 63;
    uint64_t above = inexact & side_bits >> 63;
    bits = (bits - above) | inexact;
    memcpy(&s, &bits, sizeof s);
    return (float)s;
}

/* RN(a b + c) in binary64, correctly rounded, in integers: right everywhere, and slow. */
double assay_soft_fma_f64(double a, double b, double c);

static inline float assay_fma_f32(float a, float b, float c)
{
#if ASSAY_HARDWARE_FMA_F32
    return __builtin_fmaf(a, b, c);
#else
    return assay_soft_fma_f32(a, b, c);
#endif
}

static inline double assay_fma_f64(double a, double b, double c)
{
#if ASSAY_HARDWARE_FMA_F64
    return __builtin_fma(a, b, c);
#else
    return assay_soft_fma_f64(a, b, c);
#endif
}

#endif

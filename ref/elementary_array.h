/* SPDX-License-Identifier: Apache-2.0 */
/* Elementary functions of arrays and of single elements, for kernel files, in the profile that the
 * file is compiled for.
 *
 * array_exp(n, x, y): y[i] = exp(x[i]) for i < n; x may be y, otherwise they don't overlap. The
 * same for the other seven. real_exp(x) is the scalar. Both are correctly rounded, so neither form,
 * length nor level shows in the bits. Include after ref/real.h. */
#ifndef ASSAY_ELEMENTARY_ARRAY_H
#define ASSAY_ELEMENTARY_ARRAY_H

#include <string.h>

#include "ref/elementary.h"

#if ASSAY_PROFILE == 32

#include "ref/arithmetic/elementary_f32.h"

enum { ELEMENTARY_LANES = 32 };

/* The arguments of a block: x, or x within a function's limits, in `room`. In a loop of its own this is
 * a binary32 minimum and maximum. */
#define ELEMENTARY_ALL(name) \
    static inline const float *inside_##name(const float *x, float *room) \
    { \
        return (void)room, x; \
    }
#define ELEMENTARY_LIMITED(name, limits) \
    static inline const float *inside_##name(const float *restrict x, float *restrict room) \
    { \
        _Pragma("omp simd") for (int i = 0; i < ELEMENTARY_LANES; i++) \
            room[i] = wide_inside(x[i], limits); \
        return room; \
    }

/* ELEMENTARY_LANES results, and whether any needs the scalar function: where the interval around
 * the binary64 value rounds to two results or to NaN, or where x is outside the evaluator's range.
 * Not inlined, so that `restrict` is not lost: gcc 12 leaves some of these loops scalar otherwise.
 * Without simdlen clang 14 has too few vectors under way. */
#define ELEMENTARY_BLOCK(name, in_range, finish) \
    __attribute__((noinline)) static unsigned block_##name(const float *restrict x, \
                                                           float *restrict y) \
    { \
        unsigned unsure = 0; \
        float room[ELEMENTARY_LANES]; \
        const float *inside = inside_##name(x, room); \
        _Pragma("omp simd simdlen(16) reduction(| : unsure)") \
        for (int i = 0; i < ELEMENTARY_LANES; i++) \
        { \
            double value = wide_##name(inside[i]); \
            float low = wide_low(value), high = wide_high(value); \
            unsure |= !((low == high) & (in_range(x[i]))); \
            y[i] = finish(low, x[i]); \
        } \
        return unsure; \
    }

/* The same for exp by its quick evaluator. */
__attribute__((noinline)) static unsigned block_quick_exp(const float *restrict x,
                                                          float *restrict y)
{
    const float largest = QUICK_EXP_MAX;
    int32_t largest_bits, within = 0;
    uint64_t doubt = 0;
    memcpy(&largest_bits, &largest, sizeof largest_bits);
#pragma omp simd reduction(| : within)
    for (int i = 0; i < ELEMENTARY_LANES; i++) {
        int32_t bits;
        memcpy(&bits, &x[i], sizeof bits);
        within |= largest_bits - (bits & INT32_MAX); /* negative: beyond */
    }
#pragma omp simd reduction(| : doubt)
    for (int i = 0; i < ELEMENTARY_LANES; i++) {
        double value = quick_exp(x[i]);
        doubt |= quick_doubt(value);
        y[i] = (float)value;
    }
    return (within < 0) | (unsigned)(doubt >> 63);
}

/* Whole blocks, then one padded with ones, where every function is sure; single elements where few
 * are left. */
#define ELEMENTARY_ARRAY(name) \
    static inline void sure_##name(const float *restrict x, float *restrict y) \
    { \
        if (ELEMENTARY_TRY_##name(x, y) block_##name(x, y)) \
            for (int i = 0; i < ELEMENTARY_LANES; i++) \
                y[i] = assay_##name##_f32(x[i]); \
    } \
    __attribute__((unused)) static void array_##name(size_t n, const real *x, real *y) \
    { \
        float in[ELEMENTARY_LANES], out[ELEMENTARY_LANES]; \
        size_t start = 0; \
        for (; n - start >= ELEMENTARY_LANES; start += ELEMENTARY_LANES) { \
            sure_##name(x + start, out); \
            memcpy(y + start, out, sizeof out); \
        } \
        if (n - start > 4) { \
            for (int i = 0; i < ELEMENTARY_LANES; i++) \
                in[i] = 1; \
            memcpy(in, x + start, (n - start) * sizeof *in); \
            sure_##name(in, out); \
            memcpy(y + start, out, (n - start) * sizeof *out); \
            start = n; \
        } \
        for (; start < n; start++) \
            y[start] = assay_##name##_f32(x[start]); \
    } \
    __attribute__((unused)) static inline real real_##name(real x) \
    { \
        return assay_##name##_f32(x); \
    }

/* What is tried before a block. */
#define ELEMENTARY_TRY_exp(x, y) block_quick_exp(x, y) &&
#define ELEMENTARY_TRY_expm1(x, y)
#define ELEMENTARY_TRY_log(x, y)
#define ELEMENTARY_TRY_log1p(x, y)
#define ELEMENTARY_TRY_tanh(x, y)
#define ELEMENTARY_TRY_erf(x, y)
#define ELEMENTARY_TRY_sin(x, y)
#define ELEMENTARY_TRY_cos(x, y)

#define ELEMENTARY_ANY(x) 1
#define ELEMENTARY_POSITIVE(x) (((x) > 0) & ((x) <= FLT_MAX))
#define ELEMENTARY_ABOVE_MINUS_ONE(x) (((x) > -1) & ((x) <= FLT_MAX))
#define ELEMENTARY_NEAR_TURNS(x) (FABS(x) <= WIDE_CIRCLE_MAX)
#define ELEMENTARY_AS_IS(y, x) (y)
#define ELEMENTARY_SIGN_OF_X(y, x) __builtin_copysignf(y, x)

ELEMENTARY_LIMITED(exp, WIDE_EXP_LIMITS)
ELEMENTARY_LIMITED(expm1, WIDE_EXPM1_LIMITS)
ELEMENTARY_ALL(log)
ELEMENTARY_ALL(log1p)
ELEMENTARY_LIMITED(tanh, WIDE_TANH_LIMITS)
ELEMENTARY_LIMITED(erf, WIDE_ERF_LIMITS)
ELEMENTARY_ALL(sin)
ELEMENTARY_ALL(cos)

ELEMENTARY_BLOCK(exp, ELEMENTARY_ANY, ELEMENTARY_AS_IS)
ELEMENTARY_BLOCK(expm1, ELEMENTARY_ANY, ELEMENTARY_SIGN_OF_X)
ELEMENTARY_BLOCK(log, ELEMENTARY_POSITIVE, ELEMENTARY_AS_IS)
ELEMENTARY_BLOCK(log1p, ELEMENTARY_ABOVE_MINUS_ONE, ELEMENTARY_SIGN_OF_X)
ELEMENTARY_BLOCK(tanh, ELEMENTARY_ANY, ELEMENTARY_SIGN_OF_X)
ELEMENTARY_BLOCK(erf, ELEMENTARY_ANY, ELEMENTARY_SIGN_OF_X)
ELEMENTARY_BLOCK(sin, ELEMENTARY_NEAR_TURNS, ELEMENTARY_AS_IS)
ELEMENTARY_BLOCK(cos, ELEMENTARY_NEAR_TURNS, ELEMENTARY_AS_IS)

#else

#define ELEMENTARY_ARRAY(name) \
    __attribute__((unused)) static void array_##name(size_t n, const real *x, real *y) \
    { \
        for (size_t i = 0; i < n; i++) \
            y[i] = assay_##name##_f64(x[i]); \
    } \
    __attribute__((unused)) static inline real real_##name(real x) \
    { \
        return assay_##name##_f64(x); \
    }

#endif

ELEMENTARY_ARRAY(exp)
ELEMENTARY_ARRAY(expm1)
ELEMENTARY_ARRAY(log)
ELEMENTARY_ARRAY(log1p)
ELEMENTARY_ARRAY(tanh)
ELEMENTARY_ARRAY(erf)
ELEMENTARY_ARRAY(sin)
ELEMENTARY_ARRAY(cos)

#undef ELEMENTARY_ARRAY

#endif

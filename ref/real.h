/* SPDX-License-Identifier: Apache-2.0 */
/* The element type of the profile that a file is compiled for: binary32 (the bits) or binary64
 * (the truth). Only arithmetic and kernel files include this header, compiled once with
 * -DASSAY_PROFILE=32 and once with =64. */
#ifndef ASSAY_REAL_H
#define ASSAY_REAL_H

#include <float.h>
#include <stddef.h>
#include <stdint.h>

#include "ref/arithmetic/fma.h"

#if FLT_EVAL_METHOD != 0
#error "expressions must be evaluated in the type of their operands: " \
    "compile with -std=gnu11 and SSE2 arithmetic"
#endif
#ifdef __FAST_MATH__
#error "-ffast-math changes results: Assay's bits are defined by IEEE-754 arithmetic"
#endif

#if ASSAY_PROFILE == 32
typedef float real;
#define R(literal) literal##f
#define FMA(a, b, c) assay_fma_f32(a, b, c)
#define SQRT(x) __builtin_sqrtf(x)
#define FABS(x) __builtin_fabsf(x)
#define PROFILED(name) name##_f32
#elif ASSAY_PROFILE == 64
typedef double real;
#define R(literal) literal
#define FMA(a, b, c) assay_fma_f64(a, b, c)
#define SQRT(x) __builtin_sqrt(x)
#define FABS(x) __builtin_fabs(x)
#define PROFILED(name) name##_f64
#else
#error "ASSAY_PROFILE must be 32 or 64"
#endif

#endif

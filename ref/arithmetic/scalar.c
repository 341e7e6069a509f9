/* SPDX-License-Identifier: Apache-2.0 */
/* Scalars of either profile, for the code above the kernels. */
#include "ref/arith.h"

#include <float.h>

#include "ref/elementary.h"

#if FLT_EVAL_METHOD != 0
#error "expressions must be evaluated in their operands' type: compile with -std=gnu11 and SSE2"
#endif

double assay_scalar(enum assay_profile profile, double x)
{
    return profile == ASSAY_F32 ? (double)(float)x : x;
}

double assay_scalar_add(enum assay_profile profile, double a, double b)
{
    return profile == ASSAY_F32 ? (double)((float)a + (float)b) : a + b;
}

double assay_scalar_sub(enum assay_profile profile, double a, double b)
{
    return profile == ASSAY_F32 ? (double)((float)a - (float)b) : a - b;
}

double assay_scalar_mul(enum assay_profile profile, double a, double b)
{
    return profile == ASSAY_F32 ? (double)((float)a * (float)b) : a * b;
}

double assay_scalar_div(enum assay_profile profile, double a, double b)
{
    return profile == ASSAY_F32 ? (double)((float)a / (float)b) : a / b;
}

double assay_scalar_sqrt(enum assay_profile profile, double a)
{
    return profile == ASSAY_F32 ? (double)__builtin_sqrtf((float)a) : __builtin_sqrt(a);
}

#ifdef ASSAY_CORE_ONLY
#define TRUTH(function, x) ((void)(x), __builtin_nan(""))
void assay_environment_release(void)
{
}
#else
#define TRUTH(function, x) assay_##function##_f64(x)
#endif

double assay_scalar_exp(enum assay_profile profile, double a)
{
    return profile == ASSAY_F32 ? (double)assay_exp_f32((float)a) : TRUTH(exp, a);
}

double assay_scalar_log(enum assay_profile profile, double a)
{
    return profile == ASSAY_F32 ? (double)assay_log_f32((float)a) : TRUTH(log, a);
}

double assay_scalar_sin(enum assay_profile profile, double a)
{
    return profile == ASSAY_F32 ? (double)assay_sin_f32((float)a) : TRUTH(sin, a);
}

double assay_scalar_cos(enum assay_profile profile, double a)
{
    return profile == ASSAY_F32 ? (double)assay_cos_f32((float)a) : TRUTH(cos, a);
}

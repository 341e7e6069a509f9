/* SPDX-License-Identifier: Apache-2.0 */
/* One level's array functions behind pointers: compiled with -DASSAY_PROFILE=32 and
 * -DASSAY_LEVEL=baseline, v3 or v4. */
#include "harness/tests/elementary_level.h"

#include "ref/real.h"

#include "ref/elementary_array.h"

#define WIDE_ARRAY(name) \
    static void many_##name(size_t n, const float *x, double *y) \
    { \
        _Pragma("omp simd") for (size_t i = 0; i < n; i++) y[i] = wide_##name(x[i]); \
    }

WIDE_ARRAY(exp)
WIDE_ARRAY(expm1)
WIDE_ARRAY(log)
WIDE_ARRAY(log1p)
WIDE_ARRAY(tanh)
WIDE_ARRAY(erf)
WIDE_ARRAY(sin)
WIDE_ARRAY(cos)

static void alone_exp(size_t n, const float *x, float *y)
{
    array_exp(n, x, y);
    for (size_t i = 0; i < n; i++) {
        double value = quick_exp(x[i]);
        if (FABS(x[i]) <= QUICK_EXP_MAX && !(quick_doubt(value) >> 63))
            y[i] = (float)value;
    }
}

#define JOIN(a, b) a##b
#define LEVEL_TABLE(level) JOIN(elementary_level_, level)
#define TEXT(word) #word
#define LEVEL_NAME(level) TEXT(level)

const struct elementary_level LEVEL_TABLE(ASSAY_LEVEL) = {
    LEVEL_NAME(ASSAY_LEVEL),
    {array_exp, array_expm1, array_log, array_log1p, array_tanh, array_erf, array_sin, array_cos},
    {many_exp, many_expm1, many_log, many_log1p, many_tanh, many_erf, many_sin, many_cos},
    {alone_exp},
};

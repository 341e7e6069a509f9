/* SPDX-License-Identifier: Apache-2.0 */
/* SLEEF's vector functions of at most 1.0 ulp over arrays, at the level that this file is
 * compiled for (ASSAY_LEVEL: base, v3, v4). Sigmoid and GELU are composed of them. */
#include <sleef.h>
#include <string.h>

#include "harness/bench/elementary.h"

#if defined __AVX512F__
#define VECTOR __m512
#define NAME "u10avx512f"
#define SLEEF(name) Sleef_##name##f16_u10avx512f
#elif defined __AVX2__
#define VECTOR __m256
#define NAME "u10avx2"
#define SLEEF(name) Sleef_##name##f8_u10avx2
#elif defined __SSE2__
#define VECTOR __m128
#define NAME "u10sse2"
#define SLEEF(name) Sleef_##name##f4_u10sse2
#elif defined __aarch64__
#define VECTOR float32x4_t
#define NAME "u10advsimd"
#define SLEEF(name) Sleef_##name##f4_u10advsimd
#else
#error "which of SLEEF's vector functions does this processor run?"
#endif

#define ARRAY(name, value) \
    static void array_##name(size_t n, const float *x, float *y) \
    { \
        for (size_t i = 0; i < n; i += sizeof(VECTOR) / sizeof(float)) { \
            VECTOR v, w; \
            memcpy(&v, x + i, sizeof v); \
            w = value; \
            memcpy(y + i, &w, sizeof w); \
        } \
    }

ARRAY(exp, SLEEF(exp)(v))
ARRAY(tanh, SLEEF(tanh)(v))
ARRAY(erf, SLEEF(erf)(v))
ARRAY(log, SLEEF(log)(v))
ARRAY(sin, SLEEF(sin)(v))
ARRAY(cos, SLEEF(cos)(v))
ARRAY(sigmoid, 1.0f / (1.0f + SLEEF(exp)(-v)))
ARRAY(gelu, 0.5f * v * (1.0f + SLEEF(erf)(v * 0.707106781f)))

#define JOIN_(a, b) a##b
#define JOIN(a, b) JOIN_(a, b)

const struct bench_sleef *JOIN(bench_sleef_, ASSAY_LEVEL)(void)
{
    static const struct bench_sleef table = {NAME,
                                             {array_exp, array_tanh, array_erf, array_log,
                                              array_sin, array_cos, array_sigmoid, array_gelu}};
    return &table;
}

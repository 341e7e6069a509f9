/* SPDX-License-Identifier: Apache-2.0 */
/* The functions that `elementary` measures, and SLEEF's versions of them, compiled per level. */
#ifndef ASSAY_BENCH_ELEMENTARY_H
#define ASSAY_BENCH_ELEMENTARY_H

#include <stddef.h>

enum bench_function {
    BENCH_EXP, BENCH_TANH, BENCH_ERF, BENCH_LOG, BENCH_SIN, BENCH_COS, BENCH_SIGMOID, BENCH_GELU,
    BENCH_FUNCTIONS
};

/* y[i] = f(x[i]); n is a multiple of 16. */
typedef void bench_array(size_t n, const float *x, float *y);

/* The table of one level: its name in SLEEF, and its functions of at most 1.0 ulp. */
struct bench_sleef {
    const char *name;
    bench_array *array[BENCH_FUNCTIONS];
};
const struct bench_sleef *bench_sleef_base(void);
const struct bench_sleef *bench_sleef_v3(void);
const struct bench_sleef *bench_sleef_v4(void);

#endif

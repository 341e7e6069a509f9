/* SPDX-License-Identifier: Apache-2.0 */
/* Elementary functions of arrays that fit the first cache, in ns per element, beside libm in a
 * loop and SLEEF's vector functions; and how many results each gets wrong in the last bit.
 *
 * A result is wrong when it is not the true value rounded to nearest. The judge is the function
 * in binary64 (by MPFR for the six elementary ones, composed of libm's for sigmoid and GELU,
 * whose error is a few binary64 ulps), rounded to binary32. It can itself be wrong where the
 * binary64 value lies within its error of the middle between two binary32 numbers: for one
 * argument in 2^29 times that error in ulps, so less than 0.02 of 10^6 arguments. */
#include <gnu/libc-version.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness/bench/elementary.h"
#include "harness/bench/kit.h"
#include "ref/elementary.h"

#ifdef HAVE_SLEEF
#include <sleef.h>
#endif

enum { ELEMENTS = 4096 };

#define LIBM(name, value) \
    static void libm_##name(size_t n, const float *x, float *y) \
    { \
        for (size_t i = 0; i < n; i++) \
            y[i] = value; \
    }
LIBM(exp, expf(x[i]))
LIBM(tanh, tanhf(x[i]))
LIBM(erf, erff(x[i]))
LIBM(log, logf(x[i]))
LIBM(sin, sinf(x[i]))
LIBM(cos, cosf(x[i]))
LIBM(sigmoid, 1.0f / (1.0f + expf(-x[i])))
LIBM(gelu, 0.5f * x[i] * (1.0f + erff(x[i] * 0.707106781f)))

static double wide_sigmoid(double x)
{
    return 1 / (1 + exp(-x));
}

/* erfc keeps the relative error small where x is negative and 1 + erf cancels. */
static double wide_gelu(double x)
{
    return 0.5 * x * erfc(-x * 0.70710678118654752);
}

/* Arguments are uniform in [low, high): where a transformer meets the function. */
static const struct function {
    const char *name;
    double low, high;
    enum assay_map map;
    bench_array *libm;
    double (*judge)(double x);
} functions[BENCH_FUNCTIONS] = {
    [BENCH_EXP] = {"exp", -20, 5, MAP_EXP, libm_exp, assay_exp_f64},
    [BENCH_TANH] = {"tanh", -5, 5, MAP_TANH, libm_tanh, assay_tanh_f64},
    [BENCH_ERF] = {"erf", -4, 4, MAP_ERF, libm_erf, assay_erf_f64},
    [BENCH_LOG] = {"log", 1e-3, 1e3, MAP_LOG, libm_log, assay_log_f64},
    [BENCH_SIN] = {"sin", -100, 100, MAP_SIN, libm_sin, assay_sin_f64},
    [BENCH_COS] = {"cos", -100, 100, MAP_COS, libm_cos, assay_cos_f64},
    [BENCH_SIGMOID] = {"sigmoid", -10, 10, MAP_SIGMOID, libm_sigmoid, wide_sigmoid},
    [BENCH_GELU] = {"gelu", -5, 5, MAP_GELU, libm_gelu, wide_gelu},
};

/* Somebody's version of a function: ours if array is NULL. */
struct contender {
    const struct assay_kernels *kernels;
    enum assay_map map;
    bench_array *array;
    const float *x;
    float *y;
};

static void run(void *what, size_t repeats)
{
    const struct contender *c = what;
    for (size_t i = 0; i < repeats; i++) {
        if (c->array)
            c->array(ELEMENTS, c->x, c->y);
        else
            c->kernels->map(c->map, ELEMENTS, 0, c->x, c->y, ASSAY_STORE);
    }
}

static void draw(struct assay_rng *rng, const struct function *f, float *x)
{
    for (size_t i = 0; i < ELEMENTS; i++)
        x[i] = (float)(f->low + (f->high - f->low) * (double)assay_rng_uniform(rng));
}

static size_t wrong(const float *y, const float *right)
{
    size_t count = 0;
    for (size_t i = 0; i < ELEMENTS; i++)
        count += y[i] != right[i];
    return count;
}

/* SLEEF's functions at the tables' level, or NULL. */
static const struct bench_sleef *sleef_of(const struct bench *b)
{
#ifdef HAVE_SLEEF
#ifdef ASSAY_HAVE_LEVELS
    if (strcmp(b->kernels->level, "x86-64-v4") == 0)
        return bench_sleef_v4();
    if (strcmp(b->kernels->level, "x86-64-v3") == 0)
        return bench_sleef_v3();
#endif
    (void)b;
    return bench_sleef_base();
#else
    (void)b;
    return NULL;
#endif
}

enum { OURS, LIBM, SLEEF, CONTENDERS };
static const char *const contenders[] = {"ours", "libm", "SLEEF"};

static void measure(const struct bench *bench, enum bench_function which)
{
    const struct function *f = &functions[which];
    const struct bench_sleef *sleef = sleef_of(bench);
    float x[ELEMENTS], right[ELEMENTS], y[CONTENDERS][ELEMENTS];
    struct contender c[CONTENDERS] = {
        {bench->kernels, f->map, NULL, x, y[OURS]},
        {bench->kernels, f->map, f->libm, x, y[LIBM]},
        {bench->kernels, f->map, sleef ? sleef->array[which] : NULL, x, y[SLEEF]}};
    struct bench_entry entry[CONTENDERS];
    for (int i = 0; i < CONTENDERS; i++)
        entry[i] = (struct bench_entry){i == SLEEF && !sleef ? NULL : run, &c[i], 0, 0};
    struct assay_rng rng;
    assay_rng_named(&rng, 1, f->name);
    draw(&rng, f, x);
    bench_contest(bench, 1, entry, CONTENDERS);

    size_t blocks = (bench->quick ? 100000 : 1000000) / ELEMENTS + 1, count[CONTENDERS] = {0};
    for (size_t block = 0; block < blocks; block++, draw(&rng, f, x)) {
        for (size_t i = 0; i < ELEMENTS; i++)
            right[i] = (float)f->judge((double)x[i]);
        for (int i = 0; i < CONTENDERS; i++)
            if (entry[i].work) {
                run(&c[i], 1);
                count[i] += wrong(y[i], right);
            }
    }
    cJSON *record = bench_record("elementary");
    cJSON_AddStringToObject(record, "function", f->name);
    cJSON_AddNumberToObject(record, "low", f->low);
    cJSON_AddNumberToObject(record, "high", f->high);
    cJSON_AddNumberToObject(record, "arguments", (double)(blocks * ELEMENTS));
    for (int i = 0; i < CONTENDERS; i++)
        if (entry[i].work) {
            cJSON *one = cJSON_AddObjectToObject(record, contenders[i]);
            cJSON_AddNumberToObject(one, "ns", 1e9 * entry[i].seconds / ELEMENTS);
            cJSON_AddNumberToObject(one, "wrong", (double)count[i]);
        }
    bench_print(record);
}

int main(int argc, char **argv)
{
    struct bench bench;
    int status = bench_open(&bench, "elementary", &argc, argv);
    if (status != 0)
        return status;
    cJSON *library = bench_record("library");
    cJSON_AddStringToObject(library, "libm", gnu_get_libc_version());
#ifdef HAVE_SLEEF
    char version[64];
    snprintf(version, sizeof version, "%d.%d.%d, %s", SLEEF_VERSION_MAJOR, SLEEF_VERSION_MINOR,
             SLEEF_VERSION_PATCHLEVEL, sleef_of(&bench)->name);
    cJSON_AddStringToObject(library, "SLEEF", version);
#else
    bench_skipped("SLEEF", "libsleef-dev");
#endif
    bench_print(library);
    for (int i = 0; i < BENCH_FUNCTIONS; i++)
        measure(&bench, i);
    assay_environment_release();
    return 0;
}

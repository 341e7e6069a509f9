/* SPDX-License-Identifier: Apache-2.0 */
/* Elementary functions against MPFR at 128 or more bits, rounded once: 10^6 and more arguments per
 * function and profile. exhaustive.c proves binary32 completely; this is the part of it that is
 * quick enough for every build. */
#include <float.h>
#include <math.h>
#include <mpfr.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "harness/tests/elementary_level.h"
#include "harness/tests/tap.h"
#include "ref/arithmetic/elementary_f32_hard.h"
#include "ref/elementary.h"

enum { ARGUMENTS = 1000000, EDGES = 4096 };

struct function {
    const char *name;
    float (*f32)(float);
    double (*f64)(double);
    double (*libm)(double);
    int (*exact)(mpfr_t, const mpfr_t, mpfr_rnd_t);
    const struct hard_case *table;
    size_t table_size;
    /* Arguments between which the result is neither saturated nor an error. */
    double low, high;
};

#define FUNCTION(name, low, high) \
    { \
#name, assay_##name##_f32, assay_##name##_f64, name, mpfr_##name, hard_##name, \
            sizeof hard_##name / sizeof *hard_##name, low, high \
    }

static const struct function functions[ELEMENTARY_FUNCTIONS] = {
    FUNCTION(exp, -746, 710),         FUNCTION(expm1, -40, 710),        FUNCTION(log, 0, DBL_MAX),
    FUNCTION(log1p, -1, DBL_MAX),     FUNCTION(tanh, -20, 20),          FUNCTION(erf, -6, 6),
    FUNCTION(sin, -DBL_MAX, DBL_MAX), FUNCTION(cos, -DBL_MAX, DBL_MAX),
};

/* Marsaglia's xorshift64*: any even spread of bits will do here. */
static uint64_t draw(uint64_t *state)
{
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return *state * UINT64_C(2685821657736338717);
}

static float float_of(uint32_t bits)
{
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

static double double_of(uint64_t bits)
{
    double x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

static bool same_f32(float a, float b)
{
    return memcmp(&a, &b, sizeof a) == 0;
}

static bool same_f64(double a, double b)
{
    return memcmp(&a, &b, sizeof a) == 0;
}

/* f(x) to `scratch[1]`'s precision. */
static void evaluate(const struct function *f, double x, mpfr_t *scratch)
{
    mpfr_set_d(scratch[0], x, MPFR_RNDN);
    f->exact(scratch[1], scratch[0], MPFR_RNDN);
}

static float true_f32(const struct function *f, float x, mpfr_t *scratch)
{
    /* All numbers within 2^-47 of libm's binary64 round alike, and its error is a few 2^-53: that
     * is the value. */
    double near = f->libm((double)x);
    float low = (float)(near * (1 - 0x1p-47)), high = (float)(near * (1 + 0x1p-47));
    if (low == high)
        return low;
    evaluate(f, (double)x, scratch);
    float y = mpfr_get_flt(scratch[1], MPFR_RNDN);
    return y == y ? y : float_of(0x7fc00000);
}

static double true_f64(const struct function *f, double x, mpfr_t *scratch)
{
    evaluate(f, x, scratch);
    double y = mpfr_get_d(scratch[1], MPFR_RNDN);
    return y == y ? y : double_of(UINT64_C(0x7ff8) << 48);
}

/* Every pattern's leading bits in turn, so that each binade of each sign has its share, subnormals,
 * infinities and NaN included; random below. Then the neighbourhoods of zero, infinity, one, both
 * limits, and the hard cases with neighbours. */
static size_t arguments_f32(const struct function *f, float *x)
{
    const float edges[] = {0,         FLT_MIN,    1,         FLT_MAX,    0x1p20f,
                           88.72284f, 103.97208f, 9.010913f, 3.8325067f, 17.32868f};
    uint64_t state = 0x9e3779b97f4a7c15;
    size_t n = 0;
    for (; n < ARGUMENTS; n++)
        x[n] = float_of((uint32_t)n << 18 ^ (uint32_t)(draw(&state) >> 46));
    for (size_t e = 0; e < sizeof edges / sizeof *edges; e++)
        for (uint32_t step = 0; step < EDGES; step++) {
            uint32_t bits;
            memcpy(&bits, &edges[e], sizeof bits);
            bits += (step >> 1) - (bits >= EDGES ? EDGES / 4 : 0);
            x[n++] = float_of(bits | step << 31);
        }
    for (size_t i = 0; i < f->table_size; i++)
        for (uint32_t side = 0; side < 3; side++) {
            x[n++] = float_of(f->table[i].argument + side - 1);
            x[n++] = -float_of(f->table[i].argument + side - 1);
        }
    return n;
}

/* Most over all patterns, one in `every` evenly between the limits of what is not saturated (within
 * [-746, 746]). MPFR's erf takes 11 us there, seven times the others. */
static size_t arguments_f64(const struct function *f, double *x)
{
    const double edges[] = {0,
                            DBL_MIN,
                            1,
                            DBL_MAX,
                            709.782712893384,
                            745.1332191019411,
                            708.3964185322641,
                            36.7368005696771};
    uint64_t state = 0x2545f4914f6cdd1d;
    size_t n = 0;
    double low = fmax(f->low, -746), high = fmin(f->high, 746);
    size_t every = f->exact == mpfr_erf ? 16 : 2;
    for (; n < ARGUMENTS; n++) {
        uint64_t bits = draw(&state);
        double unit = (double)(bits >> 11) * 0x1p-53;
        x[n] = n % every == 1 ? low + (high - low) * unit
                              : double_of((uint64_t)n << 51 ^ bits >> 12 ^ bits << 63);
    }
    for (size_t e = 0; e < sizeof edges / sizeof *edges; e++)
        for (uint64_t step = 0; step < EDGES; step++) {
            uint64_t bits;
            memcpy(&bits, &edges[e], sizeof bits);
            bits += (step >> 1) - (bits >= EDGES ? EDGES / 4 : 0);
            x[n++] = double_of(bits | step << 63);
        }
    return n;
}

static int levels_here(const struct elementary_level **levels)
{
    int count = 0;
    levels[count++] = &elementary_level_baseline;
#ifdef __x86_64__
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
        levels[count++] = &elementary_level_v3;
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq")
        && __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512bw"))
        levels[count++] = &elementary_level_v4;
#endif
    return count;
}

static void test_f32(const struct function *f, int index, float *x, float *y, float *truth,
                     mpfr_t *scratch)
{
    const struct elementary_level *levels[3];
    size_t n = arguments_f32(f, x), wrong = 0;
    for (size_t i = 0; i < n; i++) {
        truth[i] = true_f32(f, x[i], scratch);
        if (!same_f32(f->f32(x[i]), truth[i]) && wrong++ == 0)
            diag("%s(%a) = %a, should be %a", f->name, (double)x[i], (double)f->f32(x[i]),
                 (double)truth[i]);
    }
    ok(wrong == 0, "%s in binary32 is correctly rounded for %zu arguments", f->name, n);
    for (int level = 0, count = levels_here(levels); level < count; level++) {
        levels[level]->array[index](n, x, y);
        ok(memcmp(y, truth, n * sizeof *y) == 0,
           "the array form of %s at level %s has the same bits", f->name, levels[level]->name);
    }
    /* Every length up to a few blocks, in place, with guards on both sides. */
    bool alike = true, kept = true;
    for (size_t length = 0; length <= 100; length++) {
        size_t start = 1000 + 3999 * length;
        memcpy(y, x + start - 1, (length + 2) * sizeof *y);
        levels[0]->array[index](length, y + 1, y + 1);
        alike = alike && memcmp(y + 1, truth + start, length * sizeof *y) == 0;
        kept = kept && same_f32(y[0], x[start - 1]) && same_f32(y[length + 1], x[start + length]);
    }
    ok(alike && kept, "%s in place, for every length up to 100, and nothing beside it", f->name);
}

static void test_f64(const struct function *f, double *x, mpfr_t *scratch)
{
    size_t n = arguments_f64(f, x), wrong = 0;
    for (size_t i = 0; i < n; i++) {
        double y = f->f64(x[i]), truth = true_f64(f, x[i], scratch);
        if (!same_f64(y, truth) && wrong++ == 0)
            diag("%s(%a) = %a, should be %a", f->name, x[i], y, truth);
    }
    ok(wrong == 0, "%s in binary64 is correctly rounded for %zu arguments", f->name, n);
}

/* Arguments known from the literature on hard-to-round cases (Lefevre and Muller): their values
 * come within a relative 2^-100 of a boundary between two binary64 results, which is checked too.
 */
static void test_hardest_f64(void)
{
    mpfr_t scratch[2], nearest;
    mpfr_inits2(400, scratch[0], scratch[1], (mpfr_ptr)0);
    mpfr_init2(nearest, 54);
    const struct {
        int function;
        double x;
    } cases[] = {{0, 0x1.9e9cbbfd6080bp-31}, {0, 0x1.83d4bcdebb3f4p2},   {0, 0x1.d77fd13d27fffp-11},
                 {0, 0x1.6a4d1af9cc989p-8},  {2, 0x1.62a88613629b6p678}, {6, 0x1.e0000000001c2p-20},
                 {6, 0x1.598bae9e632f6p-7},  {6, 0x1.fe767739d0f6dp-2},  {7, 0x1.8000000000009p-23},
                 {7, 0x1.06b505550e6b2p-9}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct function *f = &functions[cases[i].function];
        double truth = true_f64(f, cases[i].x, scratch);
        mpfr_set(nearest, scratch[1], MPFR_RNDN);
        mpfr_sub(nearest, scratch[1], nearest, MPFR_RNDN);
        ok(mpfr_get_exp(nearest) < mpfr_get_exp(scratch[1]) - 100
               && same_f64(f->f64(cases[i].x), truth),
           "%s(%a) is hard and right in binary64", f->name, cases[i].x);
    }
    mpfr_clears(scratch[0], scratch[1], nearest, (mpfr_ptr)0);
}

static void test_special_f32(void)
{
    const float inf = HUGE_VALF, zero = -0.0f;
    ok(same_f32(assay_exp_f32(-inf), 0) && same_f32(assay_exp_f32(inf), inf)
           && same_f32(assay_exp_f32(zero), 1),
       "exp of infinities and zero");
    ok(same_f32(assay_log_f32(zero), -inf) && same_f32(assay_log_f32(0), -inf)
           && same_f32(assay_log_f32(inf), inf) && isnan(assay_log_f32(-1))
           && same_f32(assay_log_f32(1), 0),
       "log of zeros, infinity, a negative number and one");
    ok(same_f32(assay_log1p_f32(-1), -inf) && isnan(assay_log1p_f32(-1.5f))
           && same_f32(assay_log1p_f32(zero), zero),
       "log1p of -1, below, and minus zero");
    ok(same_f32(assay_tanh_f32(-inf), -1) && same_f32(assay_erf_f32(-inf), -1)
           && same_f32(assay_expm1_f32(-inf), -1),
       "tanh, erf and expm1 of minus infinity are -1");
    ok(isnan(assay_sin_f32(inf)) && isnan(assay_cos_f32(-inf))
           && same_f32(assay_sin_f32(zero), zero),
       "sin and cos of infinities, sin of minus zero");
    bool quiet = true;
    for (int i = 0; i < ELEMENTARY_FUNCTIONS; i++)
        quiet = quiet && same_f32(functions[i].f32(float_of(0xffc12345)), float_of(0x7fc00000))
                && same_f64(functions[i].f64(double_of(UINT64_C(0xfff8) << 48)),
                            double_of(UINT64_C(0x7ff8) << 48));
    ok(quiet, "a NaN gives the one NaN without sign and payload");
}

static double ulps(double y, mpfr_t *scratch)
{
    double truth = mpfr_get_d(scratch[1], MPFR_RNDN);
    if (same_f64(y, truth) || (y != y && truth != truth))
        return 0;
    double quantum = ldexp(1, (int)fmax(ilogb(truth) - 52, -1074));
    mpfr_sub_d(scratch[1], scratch[1], y, MPFR_RNDN);
    return fabs(mpfr_get_d(scratch[1], MPFR_RNDN)) / quantum;
}

/* The bound is the one that elementary.h promises. */
static void test_wide(int index, double (*wide)(double), double *x, mpfr_t *scratch)
{
    const struct function *f = &functions[index];
    size_t n = arguments_f64(f, x);
    double worst = 0, where = 0;
    for (size_t i = 0; i < n; i += 5) {
        evaluate(f, x[i], scratch);
        double error = ulps(wide(x[i]), scratch);
        if (!(error <= worst))
            worst = error, where = x[i];
    }
    diag("wide %s: at most %.2f ulp, at %a", f->name, worst, where);
    ok(worst <= 4, "the binary64 %s for tables errs by at most 4 ulp", f->name);
}

/* One hash of fixed inputs: on every machine and level the same. */
static void test_wide_bits(void)
{
    uint64_t hash = UINT64_C(14695981039346656037), state = 1;
    for (int i = 0; i < 100000; i++) {
        int exponent = (int)(draw(&state) % 64) - 80;
        double x = ldexp((double)(draw(&state) >> 11), exponent);
        double y[4] = {assay_wide_exp(-x), assay_wide_log(x), assay_wide_sin(x), assay_wide_cos(x)};
        for (int j = 0; j < 4; j++) {
            uint64_t bits;
            memcpy(&bits, &y[j], sizeof bits);
            hash = (hash ^ bits) * UINT64_C(1099511628211);
        }
    }
    ok(hash == UINT64_C(0x6f90669f712d1d8b),
       "the binary64 functions for tables have their recorded bits (hash %016llx)",
       (unsigned long long)hash);
}

int main(void)
{
    size_t room = ARGUMENTS + 10 * EDGES + 6 * 4096;
    float *x = malloc(room * sizeof *x), *y = malloc(room * sizeof *y),
          *truth = malloc(room * sizeof *truth);
    double *wide = malloc(room * sizeof *wide);
    mpfr_t scratch[2];
    if (x == NULL || y == NULL || truth == NULL || wide == NULL)
        return 2;
    mpfr_inits2(128, scratch[0], scratch[1], (mpfr_ptr)0);
    test_special_f32();
    ok(mpfr_buildopt_tls_p(), "this MPFR keeps its state per thread");
    for (int i = 0; i < ELEMENTARY_FUNCTIONS; i++) {
        test_f32(&functions[i], i, x, y, truth, scratch);
        test_f64(&functions[i], wide, scratch);
    }
    test_hardest_f64();
    test_wide(0, assay_wide_exp, wide, scratch);
    test_wide(2, assay_wide_log, wide, scratch);
    test_wide(6, assay_wide_sin, wide, scratch);
    test_wide(7, assay_wide_cos, wide, scratch);
    test_wide_bits();
    mpfr_clears(scratch[0], scratch[1], (mpfr_ptr)0);
    free(x);
    free(y);
    free(truth);
    free(wide);
    return done_testing();
}

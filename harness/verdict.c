/* SPDX-License-Identifier: Apache-2.0 */
/* The rule of a comparison: errors, budgets, what is judged. */
#include "harness/verdict.h"

#include <math.h>
#include <stdint.h>
#include <string.h>

static const double honest_factor = 2, floor_units = 8, judged_share = 0.5;

/* Sign, 5 bits of exponent with bias 15, 10 of fraction. */
static double half_number(uint16_t bits)
{
    int exponent = bits >> 10 & 31, fraction = bits & 1023;
    double size = exponent == 31 ? (fraction ? (double)NAN : (double)INFINITY)
                  : exponent     ? ldexp(1024 + fraction, exponent - 25)
                                 : ldexp(fraction, -24);
    return bits >> 15 ? -size : size;
}

/* The upper half of a binary32 number. */
static double brain_number(uint16_t bits)
{
    uint32_t wide = (uint32_t)bits << 16;
    float number;
    memcpy(&number, &wide, sizeof number);
    return (double)number;
}

double assay_number_at(enum assay_dtype dtype, const void *data, size_t i)
{
    const char *at = (const char *)data + i * assay_dtype_size(dtype);
    uint16_t half;
    float single;
    double number;
    switch (dtype) {
    case ASSAY_DT_F16:
        memcpy(&half, at, sizeof half);
        return half_number(half);
    case ASSAY_DT_BF16:
        memcpy(&half, at, sizeof half);
        return brain_number(half);
    case ASSAY_DT_F32:
        memcpy(&single, at, sizeof single);
        return (double)single;
    case ASSAY_DT_F64:
        memcpy(&number, at, sizeof number);
        return number;
    default:
        return (double)NAN;
    }
}

/* The largest of |x - y|, its index in *at; y may be NULL, for 0. */
static double largest(size_t n, enum assay_dtype dtype, const void *x, const double *y, size_t *at)
{
    double most = 0;
    *at = 0;
    for (size_t i = 0; i < n; i++) {
        double size = fabs(assay_number_at(dtype, x, i) - (y ? y[i] : 0));
        if (size > most) {
            most = size;
            *at = i;
        }
    }
    return most;
}

/* Squares of what is divided by the largest are between 0 and 1; their sum runs upwards. */
static double root_mean_square(size_t n, enum assay_dtype dtype, const void *x, const double *y,
                               double most)
{
    double sum = 0;
    if (most == 0 || !isfinite(most))
        return most;
    for (size_t i = 0; i < n; i++) {
        double part = (assay_number_at(dtype, x, i) - (y ? y[i] : 0)) / most;
        sum += part * part;
    }
    return most * sqrt(sum / (double)n);
}

double assay_rms(size_t n, const double *x)
{
    size_t at;
    double most = largest(n, ASSAY_DT_F64, x, NULL, &at);
    return root_mean_square(n, ASSAY_DT_F64, x, NULL, most);
}

static size_t first_not_finite(size_t n, enum assay_dtype dtype, const void *x)
{
    size_t i = 0;
    while (i < n && isfinite(assay_number_at(dtype, x, i)))
        i++;
    return i;
}

struct assay_deviation assay_deviate(size_t n, enum assay_dtype dtype, const void *theirs,
                                     const double *truth)
{
    struct assay_deviation d = {.finite = true};
    if (n == 0)
        return d;
    d.worst = first_not_finite(n, dtype, theirs);
    d.finite = d.worst == n;
    d.largest = d.rms = (double)INFINITY;
    if (d.finite) {
        d.largest = largest(n, dtype, theirs, truth, &d.worst);
        d.rms = root_mean_square(n, dtype, theirs, truth, d.largest);
    }
    d.expected = truth[d.worst];
    d.found = assay_number_at(dtype, theirs, d.worst);
    return d;
}

double assay_budget(double honest, double scale, double roundoff)
{
    return fmax(honest_factor * honest, floor_units * roundoff * scale);
}

bool assay_judges(double budget, double truth_rms)
{
    return budget <= judged_share * truth_rms;
}

double assay_ulp(double magnitude, double roundoff)
{
    int exponent;
    if (magnitude == 0)
        return 0;
    frexp(magnitude, &exponent); /* magnitude = [0.5, 1) 2^exponent */
    return 2 * roundoff * ldexp(1, exponent - 1);
}

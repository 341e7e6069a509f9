/* SPDX-License-Identifier: Apache-2.0 */
/* Draws against GSL's distribution functions (Kolmogorov and Smirnov) and its statistics of
 * permutations. The draws are fixed, so that each test passes always or never; a threshold is
 * exceeded with probability 10^-6 at most by draws that are what they should be. */
#include "ref/rng.h"

#include <gsl/gsl_cdf.h>
#include <gsl/gsl_math.h>
#include <gsl/gsl_permutation.h>
#include <gsl/gsl_sf_psi.h>
#include <gsl/gsl_sort.h>
#include <gsl/gsl_statistics.h>
#include <math.h>
#include <stdlib.h>

#include "harness/tests/tap.h"

enum { SEEDS = 3, DRAWS = 1000000, PERMUTATIONS = 20000, LENGTH = 100 };
static const double improbable = 1e-6;

/* The largest distance between the distribution of x: [n], sorted here, and `cumulative`. */
static double kolmogorov(size_t n, double *x, double (*cumulative)(double))
{
    double worst = 0, count = (double)n;
    gsl_sort(x, 1, n);
    for (size_t i = 0; i < n; i++) {
        double p = cumulative(x[i]);
        worst = fmax(worst, fmax(p - (double)i / count, (double)(i + 1) / count - p));
    }
    return worst;
}

static double uniform_p(double x)
{
    return gsl_cdf_flat_P(x, 0, 1);
}
static double truncated_p(double x)
{
    double tail = gsl_cdf_ugaussian_Q(2);
    return (gsl_cdf_ugaussian_P(x) - tail) / (1 - 2 * tail);
}

static double draw_truncated(struct assay_rng *rng)
{
    return (double)assay_rng_truncated_normal(rng, 2);
}

static double draw_uniform(struct assay_rng *rng)
{
    return (double)assay_rng_uniform(rng);
}
static double draw_normal(struct assay_rng *rng)
{
    return (double)assay_rng_normal(rng);
}

/* P(distance > t) <= 2 exp(-2 n t^2) for every n and continuous distribution (Massart 1990). The
 * uniform numbers are multiples of 2^-24, which moves their distribution by 2^-24, that of normal
 * numbers by 2^-24 (u) and twice that (v, on both sides of the cosine), and rounding to binary32 by
 * less than as much again: below 2^-21 in all. */
static void distribution(const char *name, double (*draw)(struct assay_rng *),
                         double (*cumulative)(double), double *x)
{
    double largest = 0, bound = sqrt(log(2 * SEEDS / improbable) / (2.0 * DRAWS)) + 0x1p-21;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct assay_rng rng;
        assay_rng_named(&rng, seed, name);
        for (int i = 0; i < DRAWS; i++)
            x[i] = draw(&rng);
        largest = fmax(largest, kolmogorov(DRAWS, x, cumulative));
    }
    ok(largest < bound,
       "%s numbers: distribution within %.6f of GSL's, at most %.6f (%d times %d draws)", name,
       largest, bound, SEEDS, DRAWS);
}

/* Of a random permutation of n the inversions have the mean n (n - 1) / 4 and the variance
 * n (n - 1) (2 n + 5) / 72, the cycles the sums of 1 / k and of 1 / k - 1 / k^2 for k to n
 * (Knuth, TAOCP 5.1.1 and 1.2.10). Means of many are normal. */
static void permutations(void)
{
    static double inversions[PERMUTATIONS], cycles[PERMUTATIONS];
    gsl_permutation *p = gsl_permutation_alloc(LENGTH);
    int32_t drawn[LENGTH];
    struct assay_rng rng;
    bool valid = true;
    assay_rng_named(&rng, 5, "permutations");
    for (int i = 0; i < PERMUTATIONS; i++) {
        assay_rng_permutation(&rng, LENGTH, drawn);
        for (int j = 0; j < LENGTH; j++)
            p->data[j] = (size_t)drawn[j];
        if (gsl_permutation_valid(p) != 0) {
            valid = false;
            continue;
        }
        inversions[i] = (double)gsl_permutation_inversions(p);
        cycles[i] = (double)gsl_permutation_linear_cycles(p);
    }
    gsl_permutation_free(p);
    ok(valid, "%d permutations of %d pass gsl_permutation_valid", PERMUTATIONS, LENGTH);
    double n = LENGTH, root = sqrt(PERMUTATIONS), harmonic = gsl_sf_psi_int(LENGTH + 1) + M_EULER;
    double squares = gsl_sf_psi_1_int(1) - gsl_sf_psi_1_int(LENGTH + 1);
    double z[] = {(gsl_stats_mean(inversions, 1, PERMUTATIONS) - n * (n - 1) / 4) * root
                      / sqrt(n * (n - 1) * (2 * n + 5) / 72),
                  (gsl_stats_mean(cycles, 1, PERMUTATIONS) - harmonic) * root
                      / sqrt(harmonic - squares)};
    double bound = gsl_cdf_ugaussian_Qinv(improbable / 2);
    ok(fabs(z[0]) < bound, "inversions counted by GSL: mean off by %.2f deviations, at most %.2f",
       z[0], bound);
    ok(fabs(z[1]) < bound, "cycles counted by GSL: mean off by %.2f deviations, at most %.2f", z[1],
       bound);
}

int main(void)
{
    double *x = malloc(DRAWS * sizeof *x);
    if (x == NULL)
        return 2;
    distribution("uniform", draw_uniform, uniform_p, x);
    distribution("normal", draw_normal, gsl_cdf_ugaussian_P, x);
    distribution("truncated normal", draw_truncated, truncated_p, x);
    permutations();
    free(x);
    return done_testing();
}

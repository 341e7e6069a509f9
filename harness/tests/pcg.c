/* SPDX-License-Identifier: Apache-2.0 */
/* Our PCG32 against its authors' library, and streams of neighbouring keys against each other.
 * The draws are fixed, so that each test passes always or never. A threshold is exceeded with
 * probability 10^-6 at most by generators that are random and independent. */
#include "ref/rng.h"

#include <gsl/gsl_cblas.h>
#include <gsl/gsl_cdf.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "harness/tests/pcg_witness.h"
#include "harness/tests/tap.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))
enum { OUTPUTS = 1000000 };
static const double improbable = 1e-6;

#ifdef HAVE_PCG_CPP
/* The extremes, the demonstration's, and neighbours; streams that differ in the highest bit alone
 * are one (the increment is 2 stream + 1). */
static const uint64_t seeds[] = {0, 1, 42, 43, UINT64_C(0x8000000000000000), UINT64_MAX};
static const uint64_t streams[] = {0, 1, 54, UINT64_C(0x7fffffffffffffff), UINT64_MAX};

static void outputs(uint32_t *theirs)
{
    for (size_t j = 0; j < COUNT(streams); j++) {
        long differ = 0;
        for (size_t i = 0; i < COUNT(seeds); i++) {
            struct assay_rng rng;
            assay_rng_seed(&rng, seeds[i], streams[j]);
            pcg_witness_outputs(seeds[i], streams[j], OUTPUTS, theirs);
            for (size_t l = 0; l < OUTPUTS; l++)
                differ += assay_rng_next(&rng) != theirs[l];
        }
        ok(differ == 0, "stream %#llx: the first %d outputs of %zu seeds are pcg-cpp's",
           (unsigned long long)streams[j], OUTPUTS, COUNT(seeds));
    }
}

/* From where a name or key puts the generator. */
static void outputs_of_names(uint32_t *theirs)
{
    long differ = 0;
    for (uint64_t i = 0; i < 10; i++) {
        struct assay_rng rng;
        if (i < 5)
            assay_rng_named(&rng, i, "embedding");
        else
            assay_rng_keyed(&rng, 1, i, 3, "dropout");
        pcg_witness_outputs_from(rng.state, rng.inc, OUTPUTS, theirs);
        for (size_t l = 0; l < OUTPUTS; l++)
            differ += assay_rng_next(&rng) != theirs[l];
    }
    ok(differ == 0, "%d outputs of each of 10 named and keyed streams are pcg-cpp's", OUTPUTS);
}

/* Bounds of every size, near 2^32 as well, where up to half of the draws are rejected. */
static void bounded_integers(uint32_t *theirs)
{
    uint32_t *bound = malloc(OUTPUTS * sizeof *bound);
    long differ = 0;
    if (bound == NULL)
        return (void)ok(false, "out of memory");
    for (size_t i = 0; i < OUTPUTS; i++) {
        uint32_t bits = (uint32_t)(i % 32) + 1, top = UINT32_C(1) << (bits - 1);
        bound[i] = i % 3 == 0 ? top : i % 3 == 1 ? top + 1 : top + (uint32_t)i % top;
    }
    for (size_t i = 0; i < COUNT(seeds); i++) {
        struct assay_rng rng;
        assay_rng_seed(&rng, seeds[i], 54);
        pcg_witness_below(seeds[i], 54, OUTPUTS, bound, theirs);
        for (size_t l = 0; l < OUTPUTS; l++)
            differ += assay_rng_below(&rng, bound[l]) != theirs[l];
    }
    free(bound);
    ok(differ == 0, "%d bounded integers of %zu seeds, bounds from 1 to 2^32 - 1, are pcg-cpp's",
       OUTPUTS, COUNT(seeds));
}

static void permutations(void)
{
    static const int32_t sizes[] = {0, 1, 2, 3, 10, 1000, 4096};
    static int32_t ours[4096], theirs[4096];
    bool same = true;
    for (size_t i = 0; i < COUNT(sizes); i++) {
        struct assay_rng rng;
        for (int32_t l = 0; l < sizes[i]; l++)
            theirs[l] = l;
        assay_rng_seed(&rng, i, 7);
        assay_rng_permutation(&rng, sizes[i], ours);
        pcg_witness_shuffle(i, 7, (size_t)sizes[i], theirs);
        same &= memcmp(ours, theirs, (size_t)sizes[i] * sizeof *ours) == 0;
    }
    ok(same, "permutations of 0 to 4096 elements are pcg-cpp's shuffles of 0, 1, 2, ...");
}

/* Their jump ahead is a closed form of the recurrence, so that it checks it in another way. */
static void far_away(void)
{
    struct assay_rng rng;
    uint64_t distance = UINT64_C(1) << 26;
    assay_rng_seed(&rng, 42, 54);
    for (uint64_t i = 0; i < distance; i++)
        assay_rng_next(&rng);
    ok(assay_rng_next(&rng) == pcg_witness_after(42, 54, distance),
       "output 2^26 is where pcg-cpp's jump ahead finds it");
}

static void against_the_library(void)
{
    uint32_t *theirs = malloc(OUTPUTS * sizeof *theirs);
    if (theirs == NULL)
        return (void)ok(false, "out of memory");
    outputs(theirs);
    outputs_of_names(theirs);
    bounded_integers(theirs);
    permutations();
    far_away();
    free(theirs);
}
#else
static void against_the_library(void)
{
    skip(9, WITHOUT_PCG_CPP);
}
#endif

enum { STREAMS = 64, LENGTH = 4096, LAGS = 8 };

static void by_name(struct assay_rng *rng, int i)
{
    char name[32];
    snprintf(name, sizeof name, "name%d", i);
    assay_rng_named(rng, 1, name);
}

static void by_seed(struct assay_rng *rng, int i)
{
    assay_rng_named(rng, (uint64_t)i, "name");
}

static void by_step(struct assay_rng *rng, int i)
{
    assay_rng_keyed(rng, 1, (uint64_t)i, 0, "name");
}

static void by_sample(struct assay_rng *rng, int i)
{
    assay_rng_keyed(rng, 1, 0, (uint64_t)i, "name");
}

static const struct {
    const char *name;
    void (*stream)(struct assay_rng *rng, int i);
} kinds[] = {{"names", by_name}, {"seeds", by_seed}, {"steps", by_step}, {"samples", by_sample}};

/* z such that P(|sum| >= z sqrt(n)) <= p for n independent products x y of two independent uniform
 * numbers of mean 0 and variance 1. They have variance 1 and are at most 3, so that Bernstein's
 * inequality gives 2 exp(-t^2 / (2 (n + t))) at t = z sqrt(n). With c = log(2 / p), t solves
 * t^2 = 2 c (n + t). */
static double bernstein(double p, double n)
{
    double c = log(2 / p);
    return (c + sqrt(c * c + 2 * c * n)) / sqrt(n);
}

/* Every pair of 64 streams, shifted against each other by up to 8 draws. Any comparison may fail
 * with the probability 10^-6 / comparisons, which needs no independence between them. */
static void correlations(const char *name, void (*stream)(struct assay_rng *rng, int i))
{
    static double x[STREAMS][LENGTH + 2 * LAGS];
    double worst = 0, comparisons = STREAMS * (STREAMS - 1) / 2 * (2 * LAGS + 1);
    for (int i = 0; i < STREAMS; i++) {
        struct assay_rng rng;
        stream(&rng, i);
        for (int l = 0; l < LENGTH + 2 * LAGS; l++)
            x[i][l] = sqrt(12) * ((double)assay_rng_next(&rng) * 0x1p-32 + 0x1p-33 - 0.5);
    }
    for (int i = 0; i < STREAMS; i++)
        for (int j = 0; j < i; j++)
            for (int lag = 0; lag <= 2 * LAGS; lag++) {
                double sum = cblas_ddot(LENGTH, x[i] + LAGS, 1, x[j] + lag, 1);
                worst = fmax(worst, fabs(sum) / sqrt(LENGTH));
            }
    double bound = bernstein(improbable / comparisons, LENGTH);
    ok(worst < bound,
       "%d streams of neighbouring %s, all pairs, lags -%d to %d: correlation %.2f / sqrt(n), at "
       "most %.2f",
       STREAMS, name, LAGS, LAGS, worst, bound);
}

/* Draws of streams i and i + 1 together: each bit of one agrees with that bit of the other in half
 * of the cases, and each pair of upper, or lower, bytes is as frequent. The agreements of a bit are
 * binomial; Hoeffding: P(|count - n / 2| >= z sqrt(n)) <= 2 exp(-2 z^2). The chi-square of 2^16
 * cells with 62 draws expected in each has a chi-square's tail. */
static void joint_distribution(const char *name, void (*stream)(struct assay_rng *rng, int i))
{
    static unsigned upper[1 << 16], lower[1 << 16];
    static uint32_t draws[2][LENGTH];
    enum { PAIRS = 1000 };
    double agree[32] = {0}, n = (double)PAIRS * LENGTH, worst = 0, chi2[2] = {0};
    memset(upper, 0, sizeof upper);
    memset(lower, 0, sizeof lower);
    for (int i = 0; i <= PAIRS; i++) {
        struct assay_rng rng;
        uint32_t *now = draws[i & 1], *before = draws[~i & 1];
        stream(&rng, i);
        for (int l = 0; l < LENGTH; l++)
            now[l] = assay_rng_next(&rng);
        for (int l = 0; i > 0 && l < LENGTH; l++) {
            upper[now[l] >> 24 << 8 | before[l] >> 24]++;
            lower[(now[l] & 255) << 8 | (before[l] & 255)]++;
            for (int bit = 0; bit < 32; bit++)
                agree[bit] += (double)(~(now[l] ^ before[l]) >> bit & 1);
        }
    }
    for (int bit = 0; bit < 32; bit++)
        worst = fmax(worst, fabs(agree[bit] - n / 2) / sqrt(n));
    double bound = sqrt(log(2 / (improbable / 32)) / 2);
    ok(worst < bound,
       "neighbouring %s: bits agree in n / 2 draws, but for %.2f sqrt(n), at most %.2f", name,
       worst, bound);
    for (size_t cell = 0; cell < COUNT(upper); cell++) {
        double expected = n / COUNT(upper);
        chi2[0] += pow(upper[cell] - expected, 2) / expected;
        chi2[1] += pow(lower[cell] - expected, 2) / expected;
    }
    double freedom = COUNT(upper) - 1,
           chance[] = {gsl_cdf_chisq_Q(chi2[0], freedom), gsl_cdf_chisq_Q(chi2[1], freedom)};
    ok(chance[0] > improbable && chance[1] > improbable,
       "neighbouring %s: pairs of upper and of lower bytes are uniform (chi-square / freedom %.4f "
       "and %.4f, chance %.2g and %.2g)",
       name, chi2[0] / freedom, chi2[1] / freedom, chance[0], chance[1]);
}

/* The correlation must be able to fail: a stream that is another one three draws later. */
static void overlap_is_found(void)
{
    static double x[2][LENGTH];
    struct assay_rng rng;
    assay_rng_named(&rng, 1, "name");
    for (int l = 0; l < LENGTH + 3; l++) {
        double u = sqrt(12) * ((double)assay_rng_next(&rng) * 0x1p-32 + 0x1p-33 - 0.5);
        if (l < LENGTH)
            x[0][l] = u;
        if (l >= 3)
            x[1][l - 3] = u;
    }
    double sum = fabs(cblas_ddot(LENGTH - 3, x[0] + 3, 1, x[1], 1)) / sqrt(LENGTH - 3);
    ok(sum > bernstein(improbable / 1e6, LENGTH - 3),
       "a stream that is another one three draws later would be found (%.2f / sqrt(n))", sum);
}

int main(void)
{
    against_the_library();
    for (size_t i = 0; i < COUNT(kinds); i++) {
        correlations(kinds[i].name, kinds[i].stream);
        joint_distribution(kinds[i].name, kinds[i].stream);
    }
    overlap_is_found();
    return done_testing();
}

/* SPDX-License-Identifier: Apache-2.0 */
/* PCG32 against its published demonstration; streams and distributions against their statistics.
 * The draws are fixed, so that each test passes always or never. A threshold is the value that a
 * right generator would exceed with probability 10^-6 under another seed. */
#include "ref/rng.h"

#include <gsl/gsl_cdf.h>
#include <gsl/gsl_randist.h>
#include <math.h>
#include <string.h>

#include "harness/tests/tap.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))
static const double improbable = 1e-6;

/* The first round of the demonstration program of the reference (pcg32-demo, fixed seed). */
static void published_demonstration(void)
{
    static const uint32_t numbers[] = {0xa15c02b7, 0x7b47f409, 0xba1d3330,
                                       0x83d2f293, 0xbfa4784b, 0xcbed606e};
    static const char coins[] = "HHTTTHTHHHTHTTTHHHHHTTTHHHTHTHTHTTHTTTHHHHHHTTTTHHTTTTTHTTTTTTTHT";
    static const char rolls[] = "341122324324335231315141564662633";
    static const char cards[] = "QdKs6d3s3d4c3hTdKc5cJhKdJdAs4s4hAdThAcJc7sQs2s7hKh2d6cAh4dQh"
                                "9h6s5s2c9cTs8d9s3c8cJs5d2h6h7d8s9d5h8hQc7cTc";
    struct assay_rng rng;
    assay_rng_seed(&rng, 42, 54);
    bool same = true;
    for (size_t i = 0; i < COUNT(numbers); i++)
        same &= assay_rng_next(&rng) == numbers[i];
    ok(same, "PCG32 seeded with 42 and 54 starts as published");
    same = true;
    for (const char *c = coins; *c; c++)
        same &= "TH"[assay_rng_below(&rng, 2)] == *c;
    for (const char *c = rolls; *c; c++)
        same &= (char)('1' + assay_rng_below(&rng, 6)) == *c;
    ok(same, "the published coins and dice follow (bounded integers by rejection)");
    uint32_t deck[52];
    for (uint32_t i = 0; i < 52; i++)
        deck[i] = i;
    for (uint32_t i = 52; i > 1; i--) {
        uint32_t chosen = assay_rng_below(&rng, i), kept = deck[chosen];
        deck[chosen] = deck[i - 1];
        deck[i - 1] = kept;
    }
    same = true;
    for (size_t i = 0; i < 52; i++)
        same &= "A23456789TJQK"[deck[i] / 4] == cards[2 * i]
                && "hcds"[deck[i] % 4] == cards[2 * i + 1];
    ok(same, "the published shuffled cards follow (Fisher-Yates, descending)");
}

/* Whether `counts`: [bins] of equal probability are as even as chance lets them be, and with many
 * bins not more so (with few, whole counts make exact evenness too likely for a limit). */
static bool even(size_t bins, const unsigned *counts, double *excess)
{
    double total = 0, chi2 = 0;
    for (size_t i = 0; i < bins; i++)
        total += counts[i];
    for (size_t i = 0; i < bins; i++) {
        double expected = total / (double)bins, difference = counts[i] - expected;
        chi2 += difference * difference / expected;
    }
    double freedom = (double)bins - 1;
    *excess = chi2 / freedom;
    return chi2 < gsl_cdf_chisq_Qinv(improbable, freedom)
           && (bins < 20 || chi2 > gsl_cdf_chisq_Pinv(improbable, freedom));
}

static void bounded_integers(void)
{
    static const uint32_t bounds[] = {2, 3, 6, 10, 97, 1000};
    for (size_t b = 0; b < COUNT(bounds); b++) {
        struct assay_rng rng;
        unsigned counts[1000] = {0};
        double excess;
        assay_rng_named(&rng, b, "bounded");
        for (int i = 0; i < 1000000; i++)
            counts[assay_rng_below(&rng, bounds[b])]++;
        bool fair = even(bounds[b], counts, &excess);
        ok(fair, "integers below %u are uniform (chi-square / freedom %.3f)", bounds[b], excess);
    }
    /* Without rejection, v % n would give the first third of 3 2^30 values twice as often. */
    struct assay_rng rng;
    unsigned thirds[3] = {0};
    double excess;
    assay_rng_named(&rng, 0, "large bound");
    for (int i = 0; i < 300000; i++)
        thirds[assay_rng_below(&rng, UINT32_C(3) << 30) >> 30]++;
    bool fair = even(3, thirds, &excess);
    ok(fair, "integers below 3 2^30 are uniform (chi-square / freedom %.3f)", excess);
    struct assay_rng before = rng;
    ok(assay_rng_below(&rng, 0) == 0 && memcmp(&before, &rng, sizeof rng) == 0
           && assay_rng_below(&rng, 1) == 0,
       "integers below 0 and 1 are 0, the former without a draw");
}

static void uniform(void)
{
    struct assay_rng rng, twin;
    unsigned counts[1024] = {0};
    double excess, worst = 0;
    bool exact = true;
    assay_rng_named(&rng, 1, "uniform");
    twin = rng;
    for (int i = 0; i < 1000000; i++) {
        float u = assay_rng_uniform(&rng);
        exact &= (uint32_t)(u * 0x1p24f) == assay_rng_next(&twin) >> 8 && u >= 0 && u < 1;
        counts[(int)(u * 1024)]++;
        worst = fmax(worst, (double)u);
    }
    ok(exact, "uniform numbers are the draws' upper 24 bits, in [0, 1) (largest %.7f)", worst);
    bool fair = even(1024, counts, &excess);
    ok(fair, "uniform numbers are uniform (chi-square / freedom %.3f)", excess);
}

/* m[k] = E z^k for k = 0, 2, 4, 6, 8 of a normal z given |z| <= a. By parts:
 * m[k] = (k - 1) m[k - 2] - 2 a^(k-1) phi(a) / P(|z| <= a). */
static void moments(double a, double *m)
{
    double inside = 1 - 2 * gsl_cdf_ugaussian_Q(a);
    m[0] = 1;
    for (int k = 2; k <= 8; k += 2) {
        double edge = isinf(a) ? 0 : 2 * pow(a, k - 1) * gsl_ran_ugaussian_pdf(a) / inside;
        m[k] = (k - 1) * m[k - 2] - edge;
    }
}

/* Mean, variance about 0 and fourth moment, and the distribution in 64 bins of equal probability.
 * Bound of a mean of n terms: the normal quantile times sqrt(variance / n). The uniforms' lattice
 * moves a moment by less than 2e-5 (the error of the right Riemann sum of (-2 log u)^2, 3/8 of
 * (4 log^2 2^-24) / 2 / 2^24), a thousandth of these bounds. */
static void normal_numbers(double a, const char *name)
{
    enum { DRAWS = 1000000, BINS = 64 };
    struct assay_rng rng;
    double m[9], sum[3] = {0}, excess, largest = 0, inside = 1 - 2 * gsl_cdf_ugaussian_Q(a);
    unsigned counts[BINS] = {0};
    moments(a, m);
    assay_rng_named(&rng, 2, name);
    for (int i = 0; i < DRAWS; i++) {
        double z = (double)(isinf(a) ? assay_rng_normal(&rng)
                                     : assay_rng_truncated_normal(&rng, (float)a));
        double rank = (gsl_cdf_ugaussian_P(z) - gsl_cdf_ugaussian_Q(a)) / inside;
        sum[0] += z;
        sum[1] += z * z;
        sum[2] += z * z * z * z;
        counts[rank >= 1 ? BINS - 1 : rank <= 0 ? 0 : (int)(rank * BINS)]++;
        largest = fmax(largest, fabs(z));
    }
    double variances[] = {m[2], m[4] - m[2] * m[2], m[8] - m[4] * m[4]};
    double expected[] = {0, m[2], m[4]};
    static const char *const names[] = {"mean", "variance", "fourth moment"};
    for (int k = 0; k < 3; k++) {
        double mean = sum[k] / DRAWS;
        double bound = gsl_cdf_ugaussian_Qinv(improbable / 2) * sqrt(variances[k] / DRAWS);
        ok(fabs(mean - expected[k]) < bound, "%s: %s %.5f, expected %.5f within %.5f", name,
           names[k], mean, expected[k], bound);
    }
    bool fair = even(BINS, counts, &excess);
    ok(fair, "%s: distribution (chi-square / freedom %.3f)", name, excess);
    /* sqrt(48 log 2) = 5.768 */
    ok(largest <= fmin(a, 5.7682), "%s: magnitudes at most %g", name, fmin(a, 5.7682));
}

enum { LENGTH = 4096 };

static void draw(struct assay_rng rng, double *x)
{
    for (int i = 0; i < LENGTH; i++)
        x[i] = sqrt(12) * ((double)assay_rng_uniform(&rng) - 0.5);
}

/* The largest sqrt(n) |correlation| of streams i and i + 1, which is normal for independent ones;
 * there are `pairs` of these, hence the quantile at 10^-6 / pairs. Equal draws count as well. */
static void neighbours(const char *what, int pairs, void (*stream)(struct assay_rng *, int))
{
    static double x[2][LENGTH];
    struct assay_rng rng;
    double worst = 0;
    int equal = 0;
    stream(&rng, 0);
    draw(rng, x[0]);
    for (int i = 1; i <= pairs; i++) {
        double *now = x[i & 1], *before = x[~i & 1], product = 0;
        stream(&rng, i);
        draw(rng, now);
        for (int j = 0; j < LENGTH; j++)
            product += now[j] * before[j];
        equal += now[0] == before[0] && now[1] == before[1];
        worst = fmax(worst, fabs(product) / sqrt(LENGTH));
    }
    double bound = gsl_cdf_ugaussian_Qinv(improbable / pairs / 2);
    ok(worst < bound && equal == 0, "streams of neighbouring %s are uncorrelated (%.2f < %.2f)",
       what, worst, bound);
}

static void by_name(struct assay_rng *rng, int i)
{
    char name[40];
    snprintf(name, sizeof name, "block.%d.weight", i);
    assay_rng_named(rng, 7, name);
}

static void by_seed(struct assay_rng *rng, int i) { assay_rng_named(rng, (uint64_t)i, "weight"); }
static void by_step(struct assay_rng *rng, int i)
{
    assay_rng_keyed(rng, 7, (uint64_t)i, 3, "drop");
}

static void by_sample(struct assay_rng *rng, int i)
{
    assay_rng_keyed(rng, 7, 3, (uint64_t)i, "drop");
}

static void by_layer(struct assay_rng *rng, int i)
{
    char name[40];
    snprintf(name, sizeof name, "block.%d.dropout", i);
    assay_rng_keyed(rng, 7, 3, 5, name);
}

static bool is_permutation(int32_t n, const int32_t *p)
{
    bool seen[256] = {false};
    for (int32_t i = 0; i < n; i++) {
        if (p[i] < 0 || p[i] >= n || seen[p[i]])
            return false;
        seen[p[i]] = true;
    }
    return true;
}

static void permutations(void)
{
    struct assay_rng rng;
    int32_t p[256];
    unsigned counts[256] = {0}, choices[5 * 5 * 5] = {0}, distinct[60], found = 0;
    bool all = true;
    double excess;
    assay_rng_named(&rng, 3, "permutations");
    for (int32_t n = 0; n <= 256; n++) {
        assay_rng_permutation(&rng, n, p);
        all &= is_permutation(n, p);
        assay_rng_choose(&rng, n, n / 3, p);
        all &= is_permutation(n, p);
    }
    ok(all, "permutations and choices of n hold 0 .. n - 1 once each, for n from 0 to 256");
    for (int i = 0; i < 240000; i++) {
        assay_rng_permutation(&rng, 4, p);
        counts[p[0] * 64 + p[1] * 16 + p[2] * 4 + p[3]]++;
    }
    for (int i = 0; i < 256; i++)
        if (counts[i])
            distinct[found++] = counts[i];
    ok(found == 24 && even(24, distinct, &excess), "the 24 permutations of 4 are equally likely");
    found = 0;
    for (int i = 0; i < 300000; i++) {
        assay_rng_choose(&rng, 5, 3, p);
        choices[p[0] * 25 + p[1] * 5 + p[2]]++;
    }
    for (int i = 0; i < 125; i++)
        if (choices[i])
            distinct[found++] = choices[i];
    ok(found == 60 && even(60, distinct, &excess), "the 60 choices of 3 of 5 are equally likely");
}

/* The first values of every stream and distribution: a change of one is a change of every golden.
 * The integers were computed by a second program, the others with MPFR's functions. */
static void golden_streams(void)
{
    static const uint32_t named[] = {0xedc1cc3d, 0x72cb8e4f, 0x12efddc3, 0x6590418a};
    static const uint32_t keyed[] = {0x543c3365, 0xa6f9209d, 0xa5f50ea0, 0x29cf15ca};
    struct assay_rng rng;
    bool same = true;
    assay_rng_named(&rng, 1, "golden");
    for (size_t i = 0; i < COUNT(named); i++)
        same &= assay_rng_next(&rng) == named[i];
    ok(same, "the stream named \"golden\" of seed 1 is unchanged");
    same = true;
    assay_rng_keyed(&rng, 1, 2, 3, "golden");
    for (size_t i = 0; i < COUNT(keyed); i++)
        same &= assay_rng_next(&rng) == keyed[i];
    ok(same, "the stream of seed 1, step 2, sample 3, \"golden\" is unchanged");
}

static void golden_distributions(void)
{
    static const uint32_t below[] = {925, 863, 763, 778};
    static const float uniforms[] = {0x1.db8398p-1f, 0x1.cb2e38p-2f, 0x1.2efddp-4f, 0x1.964104p-2f};
    static const float normals[] = {-0x1.75401ap-2f, -0x1.d17fbcp+0f, -0x1.ab76cp+0f,
                                    -0x1.19618ap+0f};
    static const float truncated[] = {-0x1.75401ap-2f, -0x1.327ad6p-2f, 0x1.eb985ep-5f,
                                      0x1.c0069ep-3f};
    static const int32_t permutation[] = {2, 6, 4, 0, 3, 1, 7, 5};
    static const int32_t choice[] = {5, 6, 3, 1, 4, 0, 2, 7};
    struct assay_rng start, b, u, z, t, p, c;
    int32_t permuted[8], chosen[8];
    bool same[4] = {true, true, true, true};
    assay_rng_named(&start, 1, "golden");
    b = u = z = t = p = c = start;
    for (size_t i = 0; i < 4; i++) {
        same[0] &= assay_rng_below(&b, 1000) == below[i];
        same[1] &= assay_rng_uniform(&u) == uniforms[i];
        same[2] &= assay_rng_normal(&z) == normals[i];
        same[3] &= assay_rng_truncated_normal(&t, 0.5f) == truncated[i];
    }
    ok(same[0], "the first integers below 1000 are unchanged");
    ok(same[1], "the first uniform numbers are unchanged");
    ok(same[2], "the first normal numbers are unchanged");
    ok(same[3], "the first truncated normal numbers are unchanged");
    assay_rng_permutation(&p, 8, permuted);
    assay_rng_choose(&c, 8, 4, chosen);
    ok(memcmp(permuted, permutation, sizeof permuted) == 0, "the first permutation is unchanged");
    ok(memcmp(chosen, choice, sizeof chosen) == 0, "the first choice is unchanged");
}

int main(void)
{
    published_demonstration();
    bounded_integers();
    uniform();
    normal_numbers(HUGE_VAL, "normal");
    normal_numbers(2, "truncated normal at 2");
    normal_numbers(0.5, "truncated normal at 0.5");
    neighbours("names", 1000, by_name);
    neighbours("seeds", 1000, by_seed);
    neighbours("steps", 1000, by_step);
    neighbours("samples", 1000, by_sample);
    neighbours("layers", 1000, by_layer);
    permutations();
    golden_streams();
    golden_distributions();
    return done_testing();
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Sums, norms, softmax, matrix products and sorting against GSL's, which were written by others:
 * the largest distance, in roundoffs of the scale named, and that it is within the derived errors.
 *
 * Bounds are to first order, times 1.01 for the rest: all sizes are below 10^4, and 10^4 u < 10^-3.
 * A sum of 16 lanes rounds every element at most steps(n) = ceil(n / 16) + 3 times. GSL is given
 * the same numbers in binary64. Its means are recurrences in long double, m + (x - m) / (i + 1):
 * step i errs by 2^-64 (|m| + 2 |x - m| / i), of which i / n is left, so that the mean errs by
 * n 2^-64 of the largest |x|, and by the rounding of the result. */
#include <float.h>
#include <gsl/gsl_blas.h>
#include <gsl/gsl_errno.h>
#include <gsl/gsl_sf.h>
#include <gsl/gsl_sort.h>
#include <gsl/gsl_statistics.h>
#include <math.h>
#include <stdlib.h>

#include "harness/tests/tap.h"
#include "ref/kernels.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))
enum { N_MAX = 4099, REPEATS = 20 };
static const size_t sizes[] = {1, 2, 5, 16, 17, 64, 100, 257, 1000, N_MAX};
static const double w = 0x1p-53, beyond = LDBL_EPSILON / 2;

/* What one comparison allocates, freed together. */
struct trial {
    struct assay_rng rng;
    const struct assay_kernels *table;
    void *block[16];
    int blocks;
};

static void *room(struct trial *t, size_t bytes)
{
    return t->block[t->blocks++] = calloc(bytes, 1);
}

static void trial_free(struct trial *t)
{
    while (t->blocks)
        free(t->block[--t->blocks]);
}

/* The largest distance in units, and in parts of the bound. */
struct record {
    double units, share;
};

static void note(struct record *r, double distance, double unit, double bound)
{
    if (distance == 0)
        return;
    r->units = distance / unit <= r->units ? r->units : distance / unit;
    r->share = distance / bound <= r->share ? r->share : distance / bound;
}

static void report(const struct trial *t, const struct record *r, const char *what,
                   const char *unit, const char *witness)
{
    ok(r->share <= 1, "binary%d: %s: at most %.2f roundoffs of %s from %s, %.2f of the bound",
       (int)t->table->profile, what, r->units, unit, witness, r->share);
}

static double roundoff(const struct trial *t)
{
    return t->table->profile == ASSAY_F32 ? 0x1p-24 : 0x1p-53;
}

static double steps(size_t n)
{
    return (double)((n + 15) / 16 + 3);
}

/* Numbers of the profile about a centre, in x and as binary64 in same. The factor gives them all
 * the digits of binary64. */
static void *normals(struct trial *t, size_t n, double centre, double *same)
{
    void *x = room(t, n * t->table->element);
    for (size_t i = 0; i < n; i++)
        same[i] =
            centre
            + (double)assay_rng_normal(&t->rng) * (1 + (double)assay_rng_next(&t->rng) * 0x1p-52);
    t->table->from_f64(n, same, x);
    t->table->to_f64(n, x, same);
    return x;
}

static double largest(size_t n, const double *x)
{
    double low, high;
    gsl_stats_minmax(&low, &high, x, 1, n);
    return fmax(fabs(low), fabs(high));
}

static double number(const struct trial *t, const void *x)
{
    double y;
    t->table->to_f64(1, x, &y);
    return y;
}

static double centre_of(int repeat)
{
    return repeat % 3 == 0 ? 0 : repeat % 3 == 1 ? 1 : -30;
}

static void sums(struct trial *t)
{
    static double x[N_MAX];
    struct record sum = {0}, square = {0};
    double u = roundoff(t);
    for (size_t s = 0; s < COUNT(sizes); s++)
        for (int repeat = 0; repeat < REPEATS; repeat++) {
            size_t n = sizes[s];
            void *given = normals(t, n, centre_of(repeat), x), *y = room(t, t->table->element);
            double size = gsl_blas_dasum(&(gsl_vector){n, 1, x, NULL, 0}), count = (double)n;
            double theirs = count * gsl_stats_mean(x, 1, n);
            double error = count * count * beyond * largest(n, x) + 2 * w * fabs(theirs);
            t->table->sum(1, n, 1, given, y, ASSAY_STORE);
            note(&sum, fabs(number(t, y) - theirs), u * size, 1.01 * (steps(n) * u * size + error));
            /* GSL: the sum of (x - 0)^2, in long double. Ours: one rounding more, of the square. */
            theirs = gsl_stats_tss_m(x, 1, n, 0);
            note(&square, fabs(t->table->sum_squares(n, given) - theirs), u * theirs,
                 1.01 * ((steps(n) + 1) * u + count * beyond + w) * theirs);
            trial_free(t);
        }
    report(t, &sum, "sum of 1 to 4099 numbers", "the sum of magnitudes", "gsl_stats_mean");
    report(t, &square, "sum of squares", "itself", "gsl_stats_tss_m");
}

/* An evaluation of mean and deviation, each with a bound of its error. */
struct moments {
    double mean, mean_error, deviation, deviation_error;
};

/* Squares about a mean that errs by e have the mean variance + e^2. `relative` bounds what rounding
 * does to it, `rounding` to the sum with eps, to eps and to the root. |sqrt a - sqrt b| is at most
 * |a - b| / sqrt b. */
static double deviation_error(const struct moments *m, double eps, double relative, double rounding)
{
    double total = m->deviation * m->deviation, e2 = m->mean_error * m->mean_error;
    double variance = total - eps + e2;
    return (relative * variance + e2 + 2 * rounding * total) / m->deviation
           + rounding * m->deviation;
}

static struct moments gsl_moments(size_t n, const double *x, double eps)
{
    double peak = largest(n, x), mean = gsl_stats_mean(x, 1, n), count = (double)n;
    double variance = gsl_stats_variance_with_fixed_mean(x, 1, n, mean);
    struct moments m = {mean, count * beyond * peak + w * fabs(mean), sqrt(variance + eps), 0};
    /* Differences are rounded to binary64 before they are squared; the recurrence as in a mean. */
    double relative = 3 * w + count * beyond * pow(2 * peak, 2) / (variance + eps);
    m.deviation_error = deviation_error(&m, eps, relative, w);
    return m;
}

static void layer_norm(struct trial *t)
{
    static double x[N_MAX], y[N_MAX];
    static const double eps = 1e-5;
    struct record of_mean = {0}, of_deviation = {0}, of_result = {0};
    double u = roundoff(t);
    for (size_t s = 0; s < COUNT(sizes); s++)
        for (int repeat = 0; repeat < REPEATS; repeat++) {
            size_t n = sizes[s], e = t->table->element;
            void *given = normals(t, n, centre_of(repeat), x), *made = room(t, n * e);
            void *mean = room(t, e), *deviation = room(t, e);
            t->table->layer_norm(1, n, eps, given, NULL, NULL, made, mean, deviation);
            t->table->to_f64(n, made, y);
            double size = gsl_blas_dasum(&(gsl_vector){n, 1, x, NULL, 0}) / (double)n;
            struct moments gsl = gsl_moments(n, x, eps), own = gsl;
            own.mean_error = (steps(n) + 1) * u * size;
            /* A difference, squared, and the square: 3; the sum; the quotient. */
            own.deviation_error = deviation_error(&own, eps, (steps(n) + 4) * u, u);
            double mean_error = own.mean_error + gsl.mean_error;
            double error = own.deviation_error + gsl.deviation_error, dev = gsl.deviation;
            note(&of_mean, fabs(number(t, mean) - gsl.mean), u * size, 1.01 * mean_error);
            note(&of_deviation, fabs(number(t, deviation) - dev), u * dev, 1.01 * error);
            for (size_t j = 0; j < n; j++) {
                double h = (x[j] - gsl.mean) / dev;
                double bound = (mean_error + (u + w) * (fabs(x[j] - gsl.mean) + mean_error)) / dev
                               + fabs(h) * (error / dev + u + w);
                /* The deviation is in the denominator, itself in error. */
                note(&of_result, fabs(y[j] - h), u * (largest(n, x) / dev),
                     1.01 * bound / (1 - fmin(error / dev, 0.5)));
            }
            trial_free(t);
        }
    report(t, &of_mean, "layer norm's mean", "the mean magnitude", "gsl_stats_mean");
    report(t, &of_deviation, "layer norm's deviation", "itself",
           "gsl_stats_variance_with_fixed_mean");
    report(t, &of_result, "layer norm", "the largest magnitude", "GSL's statistics");
}

/* m = max x, s = the sum of exp(x - m), between 1 and n. A term has the relative error
 * (|x - m| + 1) u of ours, (|x - m| + 4) w of GSL's (its estimate); the sum steps(n) u and, by its
 * mean of numbers up to 1, n^2 2^-64 and 2 w. */
static void softmax(struct trial *t)
{
    static double x[N_MAX], y[N_MAX], e[N_MAX];
    struct record of_softmax = {0}, of_log = {0};
    double u = roundoff(t);
    for (size_t s = 0; s < COUNT(sizes) && sizes[s] <= 257; s++)
        for (int repeat = 0; repeat < REPEATS; repeat++) {
            size_t n = sizes[s];
            void *given = normals(t, n, centre_of(repeat), x);
            void *made = room(t, n * t->table->element), *log_sum = room(t, t->table->element);
            t->table->softmax(1, n, NULL, given, made);
            t->table->log_sum_exp(1, n, NULL, given, log_sum);
            t->table->to_f64(n, made, y);
            double peak = gsl_stats_max(x, 1, n), range = peak - gsl_stats_min(x, 1, n);
            for (size_t j = 0; j < n; j++)
                e[j] = gsl_sf_exp(x[j] - peak);
            double count = (double)n, sum = count * gsl_stats_mean(e, 1, n);
            double error = (range + 1 + steps(n)) * u + (range + 6) * w + count * count * beyond;
            for (size_t j = 0; j < n; j++) {
                double p = e[j] / sum;
                double own = error + (range + 2) * u + (range + 5) * w;
                note(&of_softmax, fabs(y[j] - p), u * p, 1.01 * own * p);
            }
            double theirs = peak + gsl_sf_log(sum), part = gsl_sf_log(sum);
            note(&of_log, fabs(number(t, log_sum) - theirs), u * (fabs(peak) + part + 1),
                 1.01 * (error + (u + 4 * w) * part + (u + w) * fabs(theirs)));
            trial_free(t);
        }
    report(t, &of_softmax, "softmax", "itself", "GSL's exp and mean");
    report(t, &of_log, "log-sum-exp", "|max| + log n + 1", "GSL's exp, mean and log");
}

/* A chain over k rounds k times, gsl_blas_dgemm's products and sums k + 1 times. */
static void products(struct trial *t)
{
    static const size_t shapes[][3] = {{1, 1, 1},     {3, 5, 7},    {17, 33, 65},
                                       {64, 64, 256}, {5, 1, 2000}, {1, 40, 500}};
    struct record r = {0};
    double u = roundoff(t);
    for (size_t s = 0; s < COUNT(shapes); s++) {
        size_t m = shapes[s][0], n = shapes[s][1], k = shapes[s][2];
        double *a = room(t, m * k * sizeof *a), *b = room(t, k * n * sizeof *b);
        double *c = room(t, m * n * sizeof *c), *size = room(t, m * n * sizeof *size);
        double *y = room(t, m * n * sizeof *y);
        struct assay_product p = {.batch = {1, 1},
                                  .m = m,
                                  .n = n,
                                  .k = k,
                                  .a_row = k,
                                  .a_column = 1,
                                  .b_row = n,
                                  .b_column = 1,
                                  .c_row = n};
        p.a = normals(t, m * k, 0.5, a);
        p.b = normals(t, k * n, 0.5, b);
        p.c = room(t, m * n * t->table->element);
        t->table->product(&p);
        t->table->to_f64(m * n, p.c, y);
        gsl_matrix_view A = gsl_matrix_view_array(a, m, k), B = gsl_matrix_view_array(b, k, n);
        gsl_matrix_view C = gsl_matrix_view_array(c, m, n), S = gsl_matrix_view_array(size, m, n);
        gsl_blas_dgemm(CblasNoTrans, CblasNoTrans, 1, &A.matrix, &B.matrix, 0, &C.matrix);
        for (size_t i = 0; i < m * k; i++)
            a[i] = fabs(a[i]);
        for (size_t i = 0; i < k * n; i++)
            b[i] = fabs(b[i]);
        gsl_blas_dgemm(CblasNoTrans, CblasNoTrans, 1, &A.matrix, &B.matrix, 0, &S.matrix);
        double length = (double)k;
        for (size_t i = 0; i < m * n; i++)
            note(&r, fabs(y[i] - c[i]), u * size[i],
                 1.01 * (length * u + (length + 1) * w) * size[i]);
        trial_free(t);
    }
    report(t, &r, "matrix product", "|a| |b|", "gsl_blas_dgemm");
}

/* GSL's order is that of the values alone; ours has equal ones by index. */
static void sorting(struct trial *t)
{
    static double x[N_MAX];
    static size_t theirs[N_MAX];
    static int32_t ours[N_MAX], top[N_MAX];
    bool values = true, ties = true, tops = true, extremes = true;
    for (size_t s = 0; s < COUNT(sizes); s++)
        for (int repeat = 0; repeat < REPEATS; repeat++) {
            size_t n = sizes[s], k = n / 3 + 1;
            void *given = normals(t, n, 0, x), *peak = room(t, t->table->element);
            if (repeat & 1) { /* many equal ones */
                for (size_t j = 0; j < n; j++)
                    x[j] = rint(2 * x[j]) + 0.0;
                t->table->from_f64(n, x, given);
            }
            gsl_sort_index(theirs, x, 1, n);
            t->table->argsort(1, n, true, given, ours);
            for (size_t j = 0; j < n; j++) {
                values &= x[ours[j]] == x[theirs[j]];
                ties &= j == 0 || x[ours[j]] != x[ours[j - 1]] || ours[j] > ours[j - 1];
            }
            gsl_sort_largest_index(theirs, k, x, 1, n);
            t->table->top_k(1, n, k, given, top);
            for (size_t j = 0; j < k; j++)
                tops &= x[top[j]] == x[theirs[j]];
            t->table->max(1, n, 1, given, peak, top);
            extremes &= (size_t)top[0] == gsl_stats_max_index(x, 1, n)
                        && number(t, peak) == gsl_stats_max(x, 1, n);
            trial_free(t);
        }
    int bits = (int)t->table->profile;
    ok(values && ties, "binary%d: argsort gives gsl_sort_index's values, equal ones by index",
       bits);
    ok(tops, "binary%d: top_k gives gsl_sort_largest_index's values", bits);
    ok(extremes, "binary%d: max is gsl_stats_max at gsl_stats_max_index", bits);
}

int main(void)
{
    static const enum assay_profile profiles[] = {ASSAY_F32, ASSAY_F64};
    gsl_set_error_handler_off();
    for (size_t i = 0; i < COUNT(profiles); i++) {
        struct trial t = {.table = assay_kernels_cpu(profiles[i], NULL)};
        assay_rng_named(&t.rng, i, "witness");
        sums(&t);
        layer_norm(&t);
        softmax(&t);
        products(&t);
        sorting(&t);
    }
    return done_testing();
}

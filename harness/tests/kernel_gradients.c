/* SPDX-License-Identifier: Apache-2.0 */
/* Kernels: every backward is the derivative of its forward, in binary64, against central
 * differences.
 *
 * L(x) = sum of w F(x) with random w. D(h) = (L(x + h) - L(x - h)) / (2 h) errs by h^2 L'''/6 +
 * O(h^4), and so D(2h) - D(h) = 3 h^2 L'''/6 + O(h^4): the bound allows this difference, three
 * times the error of D(h). Rounding: each of the two sums errs by at most ROUNDINGS 2^-53 S, S
 * the sum of |w F|, so D(h) and D(2h) together by 1.5 ROUNDINGS 2^-53 S / h. */
#include "harness/tests/tap.h"
#include "ref/kernels.h"

#include <math.h>
#include <string.h>

/* More than any forward here has on the way to one result, plus the products and additions of L. */
enum { SIZE_MAX_IN = 64, SIZE_MAX_OUT = 64, ROUNDINGS = 100 };
static const double step = 0x1p-12;

/* A function under test, of `in` numbers to `out`: what it is made of stands in the other
 * fields. */
struct function {
    const char *name;
    size_t in, out;
    void (*forward)(const struct function *f, const double *x, double *y);
    void (*backward)(const struct function *f, const double *x, const double *y, const double *dy,
                     double *dx);
    int which;
    double low, high; /* where x is drawn */
};

static const struct assay_kernels *k;

/* S and L of the comment above. */
static double weighted(const struct function *f, const double *x, const double *w, double *size)
{
    double y[SIZE_MAX_OUT] = {0}, total = 0;
    f->forward(f, x, y);
    *size = 0;
    for (size_t i = 0; i < f->out; i++) {
        total += w[i] * y[i];
        *size += fabs(w[i] * y[i]);
    }
    return total;
}

static double difference(const struct function *f, const double *x, size_t i, double h,
                         const double *w, double *size)
{
    double moved[SIZE_MAX_IN], below, above;
    memcpy(moved, x, f->in * sizeof *x);
    moved[i] = x[i] + h;
    double plus = weighted(f, moved, w, &above);
    moved[i] = x[i] - h;
    double minus = weighted(f, moved, w, &below);
    *size = fmax(above, below);
    return (plus - minus) / (2 * h);
}

static void check(const struct function *f)
{
    double x[SIZE_MAX_IN], y[SIZE_MAX_OUT] = {0}, w[SIZE_MAX_OUT], dx[SIZE_MAX_IN] = {0};
    struct assay_rng rng;
    bool right = true;
    assay_rng_named(&rng, 1, f->name);
    /* On a grid, off its even points: x and x +- 2h are exact, and the kinks at 0 lie between
     * none of them. */
    for (size_t i = 0; i < f->in; i++)
        x[i] = f->low + (f->high - f->low) * ((double)assay_rng_below(&rng, 1024) + 0.5) / 1024;
    for (size_t i = 0; i < f->out; i++)
        w[i] = (double)assay_rng_normal(&rng);
    f->forward(f, x, y);
    f->backward(f, x, y, w, dx);
    for (size_t i = 0; i < f->in; i++) {
        double size, larger;
        double d = difference(f, x, i, step, w, &size),
               d2 = difference(f, x, i, 2 * step, w, &larger);
        double bound = fabs(d2 - d) + 1.5 * ROUNDINGS * 0x1p-53 * fmax(size, larger) / step;
        if (!(fabs(dx[i] - d) <= bound)) {
            diag("%s: x[%zu] = %g: gradient %.12g, difference %.12g, bound %.2g", f->name, i, x[i],
                 dx[i], d, bound);
            right = false;
        }
    }
    ok(right, "%s: the backward is the derivative of the forward", f->name);
}

static void map_forward(const struct function *f, const double *x, double *y)
{
    k->map((enum assay_map)f->which, f->in, 0.375, x, y, ASSAY_STORE);
}
static void map_backward(const struct function *f, const double *x, const double *y,
                         const double *dy, double *dx)
{
    k->map_backward((enum assay_map)f->which, f->in, 0.375, x, y, dy, dx);
}

#define MAP(f, low, high) \
    { \
#f, 16, 16, map_forward, map_backward, f, low, high \
    }
static const struct function maps[] = {
    MAP(MAP_NEGATE, -2, 2),     MAP(MAP_ABS, -2, 2),         MAP(MAP_SQUARE, -2, 2),
    MAP(MAP_SQRT, 0.5, 4),      MAP(MAP_RECIPROCAL, 0.5, 4), MAP(MAP_EXP, -3, 3),
    MAP(MAP_EXPM1, -3, 3),      MAP(MAP_LOG, 0.5, 4),        MAP(MAP_LOG1P, -0.5, 4),
    MAP(MAP_TANH, -3, 3),       MAP(MAP_ERF, -3, 3),         MAP(MAP_SIN, -4, 4),
    MAP(MAP_COS, -4, 4),        MAP(MAP_SIGMOID, -4, 4),     MAP(MAP_LOG_SIGMOID, -4, 4),
    MAP(MAP_SOFTPLUS, -4, 4),   MAP(MAP_RELU, -2, 2),        MAP(MAP_RELU_SQUARED, -2, 2),
    MAP(MAP_LEAKY_RELU, -2, 2), MAP(MAP_ELU, -3, 3),         MAP(MAP_ELU_PLUS_ONE, -3, 3),
    MAP(MAP_SILU, -4, 4),       MAP(MAP_GELU, -4, 4),        MAP(MAP_GELU_TANH, -4, 4),
    MAP(MAP_SCALE, -2, 2),      MAP(MAP_OFFSET, -2, 2),      MAP(MAP_DIVIDE, -2, 2),
};

/* MAX and MIN of x[0 .. 8) and x[8 .. 16). */
static const struct assay_walk eight = {.rank = 1, .dim = {8}, .x = {1}, .y = {1}, .z = {1}};
static void choice_forward(const struct function *f, const double *x, double *y)
{
    k->zip((enum assay_zip)f->which, &eight, x, x + 8, y, ASSAY_STORE);
}
static void choice_backward(const struct function *f, const double *x, const double *y,
                            const double *dy, double *dx)
{
    (void)y;
    k->zip_choice((enum assay_zip)f->which, 0, &eight, x, x + 8, dy, dx, ASSAY_ADD);
    k->zip_choice((enum assay_zip)f->which, 1, &eight, x, x + 8, dy, dx + 8, ASSAY_ADD);
}

/* The gradient of a cumulative sum is the cumulative sum from the other end. */
static void cumulative_forward(const struct function *f, const double *x, double *y)
{
    k->cumulative_sum(2, 4, 3, f->which, x, y, ASSAY_STORE);
}
static void cumulative_backward(const struct function *f, const double *x, const double *y,
                                const double *dy, double *dx)
{
    (void)x, (void)y;
    k->cumulative_sum(2, 4, 3, !f->which, dy, dx, ASSAY_ADD);
}

enum { ROWS = 3, WIDTH = 7 }; /* x: [ROWS, WIDTH]; for norms followed by gain and bias */
static const int32_t allowed[2 * WIDTH] = {1, 0, 1, 1, 0, 1, 1, 0, 1, 1, 0, 0, 0, 1};
static const struct assay_row_mask masks[2] = {
    {.allowed = NULL, .rows = 1, .repeat = 1},
    {.allowed = allowed, .rows = 2, .repeat = 1},
};
static const int32_t target[ROWS] = {2, -1, 6};

static void layer_norm_forward(const struct function *f, const double *x, double *y)
{
    double mean[ROWS], deviation[ROWS];
    const double *gain = x + ROWS * WIDTH;
    k->layer_norm(ROWS, WIDTH, 1e-3, x, f->which ? gain : NULL, f->which ? gain + WIDTH : NULL, y,
                  mean, deviation);
}
static void layer_norm_backward(const struct function *f, const double *x, const double *y,
                                const double *dy, double *dx)
{
    double mean[ROWS], deviation[ROWS], scratch[2 * WIDTH], again[ROWS * WIDTH];
    const double *gain = x + ROWS * WIDTH;
    double *d_gain = dx + ROWS * WIDTH;
    (void)y;
    k->layer_norm(ROWS, WIDTH, 1e-3, x, NULL, NULL, again, mean, deviation);
    k->layer_norm_backward(ROWS, WIDTH, x, f->which ? gain : NULL, mean, deviation, dy, dx,
                           f->which ? d_gain : NULL, f->which ? d_gain + WIDTH : NULL, scratch);
}

static void rms_norm_forward(const struct function *f, const double *x, double *y)
{
    double deviation[ROWS];
    k->rms_norm(ROWS, WIDTH, 1e-3, x, f->which ? x + ROWS * WIDTH : NULL, y, deviation);
}
static void rms_norm_backward(const struct function *f, const double *x, const double *y,
                              const double *dy, double *dx)
{
    double deviation[ROWS], scratch[2 * WIDTH], again[ROWS * WIDTH];
    (void)y;
    k->rms_norm(ROWS, WIDTH, 1e-3, x, NULL, again, deviation);
    k->rms_norm_backward(ROWS, WIDTH, x, f->which ? x + ROWS * WIDTH : NULL, deviation, dy, dx,
                         f->which ? dx + ROWS * WIDTH : NULL, scratch);
}

static void softmax_forward(const struct function *f, const double *x, double *y)
{
    k->softmax(ROWS, WIDTH, &masks[f->which], x, y);
}
static void softmax_backward(const struct function *f, const double *x, const double *y,
                             const double *dy, double *dx)
{
    (void)x;
    k->softmax_backward(ROWS, WIDTH, &masks[f->which], y, dy, dx);
}

static void log_sum_exp_forward(const struct function *f, const double *x, double *y)
{
    k->log_sum_exp(ROWS, WIDTH, &masks[f->which], x, y);
}
static void log_sum_exp_backward(const struct function *f, const double *x, const double *y,
                                 const double *dy, double *dx)
{
    k->log_sum_exp_backward(ROWS, WIDTH, &masks[f->which], x, y, dy, dx);
}

static void cross_entropy_forward(const struct function *f, const double *x, double *y)
{
    double largest[ROWS], sum[ROWS];
    (void)f;
    k->cross_entropy(ROWS, WIDTH, x, target, -1, y, largest, sum);
}
static void cross_entropy_backward(const struct function *f, const double *x, const double *y,
                                   const double *dy, double *dx)
{
    double largest[ROWS], sum[ROWS], loss[ROWS];
    (void)f, (void)y;
    k->cross_entropy(ROWS, WIDTH, x, target, -1, loss, largest, sum);
    k->cross_entropy_backward(ROWS, WIDTH, x, target, -1, largest, sum, dy, dx);
}

/* Positions 0 and 1, one head of 5 channels, 2 pairs. A rotation's gradient is the inverse
 * rotation. */
static const double cosine[4] = {1, 1, 0.6, 0.8}, sine[4] = {0, 0, 0.8, 0.6};
static void rotate_forward(const struct function *f, const double *x, double *y)
{
    k->rotate(1, 2, 1, 5, 2, f->which, false, cosine, sine, x, y, ASSAY_STORE);
}
static void rotate_backward(const struct function *f, const double *x, const double *y,
                            const double *dy, double *dx)
{
    (void)x, (void)y;
    k->rotate(1, 2, 1, 5, 2, f->which, true, cosine, sine, dy, dx, ASSAY_ADD);
}

static const struct function others[] = {
    {"MAX of two", 16, 8, choice_forward, choice_backward, ZIP_MAX, -2, 2},
    {"MIN of two", 16, 8, choice_forward, choice_backward, ZIP_MIN, -2, 2},
    {"cumulative sum", 24, 24, cumulative_forward, cumulative_backward, 0, -2, 2},
    {"cumulative sum, reversed", 24, 24, cumulative_forward, cumulative_backward, 1, -2, 2},
    {"layer norm", ROWS *WIDTH, ROWS *WIDTH, layer_norm_forward, layer_norm_backward, 0, -2, 2},
    {"layer norm with gain and bias", (ROWS + 2) * WIDTH, ROWS *WIDTH, layer_norm_forward,
     layer_norm_backward, 1, -2, 2},
    {"RMS norm", ROWS *WIDTH, ROWS *WIDTH, rms_norm_forward, rms_norm_backward, 0, -2, 2},
    {"RMS norm with gain", (ROWS + 1) * WIDTH, ROWS *WIDTH, rms_norm_forward, rms_norm_backward, 1,
     -2, 2},
    {"softmax", ROWS *WIDTH, ROWS *WIDTH, softmax_forward, softmax_backward, 0, -2, 2},
    {"softmax over sets", ROWS *WIDTH, ROWS *WIDTH, softmax_forward, softmax_backward, 1, -2, 2},
    {"log-sum-exp", ROWS *WIDTH, ROWS, log_sum_exp_forward, log_sum_exp_backward, 0, -2, 2},
    {"log-sum-exp over sets", ROWS *WIDTH, ROWS, log_sum_exp_forward, log_sum_exp_backward, 1, -2,
     2},
    {"cross entropy", ROWS *WIDTH, ROWS, cross_entropy_forward, cross_entropy_backward, 0, -2, 2},
    {"rotation", 10, 10, rotate_forward, rotate_backward, 0, -2, 2},
    {"rotation, interleaved", 10, 10, rotate_forward, rotate_backward, 1, -2, 2},
};

int main(void)
{
    k = assay_kernels_def(ASSAY_F64);
    for (size_t i = 0; i < sizeof maps / sizeof *maps; i++)
        check(&maps[i]);
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        check(&others[i]);
    return done_testing();
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The depthwise causal convolution against its sums written out, gradients included, in pieces and
 * with one weight; the triangle; long ones by
 * transforms. Numbers are small multiples of 1/16, so that every sum is exact. */
#include <string.h>

#include "harness/tests/tap.h"
#include "ref/model.h"

enum { SAMPLES = 2, N = 7, WIDTH = 3, TAPS = 4, ALL = SAMPLES * N * WIDTH };

static void values(unsigned seed, size_t count, double *x)
{
    for (size_t i = 0; i < count; i++) {
        seed = seed * 1103515245u + 12345u;
        x[i] = ((double)(seed >> 16 & 63) - 31) / 16;
    }
}

static bool equals(const tape *t, const void *data, size_t count, const double *expected)
{
    double found[ALL];
    if (!data || count > ALL)
        return false;
    t->kernels->to_f64(count, data, found);
    for (size_t i = 0; i < count; i++)
        if (found[i] < expected[i] || found[i] > expected[i])
            return false;
    return true;
}

/* y, and the gradients of sum(y c), by their definitions. */
struct sums {
    double y[ALL], dx[ALL], d_weight[TAPS * WIDTH], d_bias[WIDTH];
};

static struct sums written_out(const double *x, const double *weight, const double *bias,
                               const double *c)
{
    struct sums s = {.y = {0}};
    for (size_t i = 0; i < ALL; i++) {
        size_t token = i / WIDTH % N, channel = i % WIDTH;
        s.y[i] = bias[channel];
        s.d_bias[channel] += c[i];
        for (size_t back = 0; back < TAPS && back <= token; back++) {
            size_t w = (TAPS - 1 - back) * WIDTH + channel, from = i - back * WIDTH;
            s.y[i] += weight[w] * x[from];
            s.dx[from] += weight[w] * c[i];
            s.d_weight[w] += x[from] * c[i];
        }
    }
    return s;
}

static void whole_and_pieces(tape *t)
{
    double x[ALL], w[TAPS * WIDTH], b[WIDTH], c[ALL];
    values(1, ALL, x);
    values(2, TAPS * WIDTH, w);
    values(3, WIDTH, b);
    values(4, ALL, c);
    struct sums s = written_out(x, w, b, c);
    struct assay_shape shape = SHAPE(SAMPLES, N, WIDTH);
    tensor in = tape_variable_f64(t, shape, x), cotangent = tape_input_f64(t, shape, c);
    tensor weight = tape_variable_f64(t, SHAPE(TAPS, WIDTH), w);
    tensor bias = tape_variable_f64(t, SHAPE(WIDTH), b);
    tensor y = causal_convolution(t, in, weight, bias, TENSOR_NONE), piece[2];
    ok(y && equals(t, y->data, ALL, s.y), "every token is its sum");
    piece[0] = causal_convolution(t, slice(t, in, 1, 0, 4), weight, bias, TENSOR_NONE);
    tensor rest = slice(t, in, 1, 4, N - 4), before = slice(t, in, 1, 0, 4);
    piece[1] = causal_convolution(t, rest, weight, bias, before);
    tensor both = concat(t, 1, 2, piece);
    ok(both && equals(t, both->data, ALL, s.y), "and so it is in two pieces");
    tape_backward_from(t, 1, &y, &cotangent);
    ok(!tape_error(t) && equals(t, in->gradient, ALL, s.dx)
           && equals(t, weight->gradient, TAPS * WIDTH, s.d_weight)
           && equals(t, bias->gradient, WIDTH, s.d_bias),
       "gradients of input, weight and bias");
}

static void one_weight(tape *t)
{
    double x[ALL], w[WIDTH], expected[ALL];
    values(5, ALL, x);
    values(6, WIDTH, w);
    for (size_t i = 0; i < ALL; i++)
        expected[i] = x[i] * w[i % WIDTH];
    tensor in = tape_input_f64(t, SHAPE(SAMPLES, N, WIDTH), x);
    tensor weight = tape_input_f64(t, SHAPE(1, WIDTH), w);
    tensor y = causal_convolution(t, in, weight, TENSOR_NONE, TENSOR_NONE);
    ok(y && equals(t, y->data, ALL, expected), "one weight meets the token itself");
}

static void triangle(tape *t)
{
    const double expected[9] = {1, 0, 0, 1, 1, 0, 1, 1, 1};
    tensor one = causal_ones(t, 3);
    ok(one && equals(t, one->data, 9, expected), "the triangle has ones up to the diagonal");
}

/* Largest difference of two arrays. */
static double between(const tape *t, size_t count, const void *a, const void *b)
{
    double x[ALL], y[ALL], most = 0;
    if (!a || !b || count > ALL)
        return 1e300;
    t->kernels->to_f64(count, a, x);
    t->kernels->to_f64(count, b, y);
    for (size_t i = 0; i < count; i++) {
        double d = x[i] < y[i] ? y[i] - x[i] : x[i] - y[i];
        most = d > most ? d : most;
    }
    return most;
}

/* y and the gradients of sum(y c), of either convolution. */
static void by_transform(tape *t, size_t n, size_t channels)
{
    double x[ALL], w[N * WIDTH], c[ALL];
    values(7, ALL, x);
    values(8, N * WIDTH, w);
    values(9, ALL, c);
    struct assay_shape shape = SHAPE(SAMPLES, n, channels), all = SHAPE(SAMPLES, n, WIDTH);
    tensor in[2], weight[2], y[2], cotangent = tape_input_f64(t, all, c);
    for (int i = 0; i < 2; i++) {
        in[i] = tape_variable_f64(t, shape, x);
        weight[i] = tape_variable_f64(t, SHAPE(n, WIDTH), w);
    }
    y[0] = long_convolution(t, in[0], weight[0]);
    tensor turned = flip(t, weight[1], 0);
    y[1] = causal_convolution(t, expand(t, in[1], all), turned, TENSOR_NONE, TENSOR_NONE);
    tape_backward_from(t, 2, y, (tensor[]){cotangent, cotangent});
    /* |w|_1 <= 2 n and |x|_2 < 2 n; numbers are multiples of 1/256 below 28, so the sums are exact.
     * A gradient adds up at most `SAMPLES * WIDTH` of such sums. */
    double size = (double)n, bound = 16 * (3 * 5 + 1) * 0x1p-53 * 2 * size * 2 * size;
    ok(y[0] && y[1] && between(t, elements_of(y[0]), y[0]->data, y[1]->data) <= bound,
       "%zu tokens, %zu channels: transforms and sums agree", n, channels);
    ok(!tape_error(t)
           && between(t, elements_of(in[0]), in[0]->gradient, in[1]->gradient)
                  <= SAMPLES * WIDTH * bound
           && between(t, n * WIDTH, weight[0]->gradient, weight[1]->gradient)
                  <= SAMPLES * WIDTH * bound,
       "and so do gradients");
}

int main(void)
{
    tape t;
    if (tape_open(&t, assay_kernels_def(ASSAY_F64)) != 0)
        return 1;
    t.recording = true;
    whole_and_pieces(&t);
    one_weight(&t);
    triangle(&t);
    by_transform(&t, 1, WIDTH);
    by_transform(&t, 5, 1);
    by_transform(&t, N, WIDTH);
    tape_close(&t);
    return done_testing();
}

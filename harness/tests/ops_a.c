/* SPDX-License-Identifier: Apache-2.0 */
/* The ops of products, arithmetic, maps, reductions and norms: values against plain loops,
 * gradients against GSL. */
#include <math.h>
#include <string.h>

#include "harness/tests/gradient.h"
#include "harness/tests/tap.h"
#include "ref/ops.h"

#define COUNT(array) ((int)(sizeof(array) / sizeof *(array)))

enum { ROOM = 4096 };

/* Multiples of 1/8 in [-2, 2]: products and short sums of them are exact in both profiles. */
static void eighths(size_t n, unsigned seed, double *x)
{
    for (size_t i = 0; i < n; i++) {
        seed = seed * 1103515245u + 12345u;
        x[i] = ((double)(seed >> 16 & 31) - 15.5 + 0.5) / 8;
    }
}

static bool holds_values(tape *t, tensor y, struct assay_shape shape, const double *expected,
                         double tolerance)
{
    if (!y || !shape_equal(y->shape, shape)) {
        diag("%s", tape_error(t) ? tape_error(t) : "another shape");
        return false;
    }
    double got[ROOM];
    tensor_read(t, y, got);
    for (size_t i = 0; i < elements_of(y); i++)
        if (!(fabs(got[i] - expected[i]) <= tolerance)) {
            diag("element %zu: expected %.17g, got %.17g, tolerance %.2g", i, expected[i], got[i],
                 tolerance);
            return false;
        }
    return true;
}

/* Gradients */

static tensor one_map(tape *t, const tensor *x, int n, void *c)
{
    (void)n;
    return map_of(t, *(enum assay_map *)c, x[0], 0.75);
}

#define BUILDER(name, made) \
    static tensor name(tape *t, const tensor *x, int n, void *context) \
    { \
        (void)n, (void)context; \
        return made; \
    }

BUILDER(nn, matmul(t, x[0], x[1]))
BUILDER(nt, matmul_nt(t, x[0], x[1]))
BUILDER(tn, matmul_tn(t, x[0], x[1]))
BUILDER(affine, linear(t, x[0], x[1], x[2]))
BUILDER(without_bias, linear(t, x[0], x[1], TENSOR_NONE))
BUILDER(sums, add(t, x[0], x[1]))
BUILDER(differences, subtract(t, x[0], x[1]))
BUILDER(multiples, multiply(t, x[0], x[1]))
BUILDER(quotients, divide(t, x[0], x[1]))
BUILDER(maxima, maximum(t, x[0], x[1]))
BUILDER(minima, minimum(t, x[0], x[1]))
BUILDER(cube, multiply(t, multiply(t, x[0], x[0]), x[0]))
BUILDER(chosen,
        choose(t, tape_input_i32(t, SHAPE(2, 3), (int32_t[]){1, 0, 2, 0, -1, 0}), x[0], x[1]))
BUILDER(sum_0, sum_over(t, x[0], 0))
BUILDER(sum_1, sum_over(t, x[0], 1))
BUILDER(sum_last, sum_over(t, x[0], -1))
BUILDER(mean_1, mean_over(t, x[0], 1))
BUILDER(mean_last, mean_over(t, x[0], -1))
BUILDER(max_1, max_over(t, x[0], 1))
BUILDER(max_last, max_over(t, x[0], -1))
BUILDER(whole_sum, sum_all(t, square(t, x[0])))
BUILDER(running_1, cumulative_sum(t, x[0], 1))
BUILDER(running_last, cumulative_sum(t, x[0], -1))
BUILDER(layer, layer_norm(t, x[0], x[1], x[2], 1e-3))
BUILDER(layer_plain, layer_norm(t, x[0], TENSOR_NONE, TENSOR_NONE, 1e-3))
BUILDER(rms, rms_norm(t, x[0], x[1], 1e-3))
BUILDER(rms_plain, rms_norm(t, x[0], TENSOR_NONE, 0))
BUILDER(soft_last, softmax(t, x[0], -1, TENSOR_NONE, false))
BUILDER(soft_1, softmax(t, x[0], 1, TENSOR_NONE, false))
BUILDER(lse_last, log_sum_exp(t, x[0], -1, TENSOR_NONE))
BUILDER(lse_1, log_sum_exp(t, x[0], 1, TENSOR_NONE))

/* Sets over the last axis of [2, 3, 4]; the second row's is empty. */
static tensor sets(tape *t)
{
    return tape_input_i32(t, SHAPE(3, 4), (int32_t[]){1, 1, 0, 1, 0, 0, 0, 0, 0, 0, 1, 1});
}

BUILDER(soft_sets, softmax(t, x[0], -1, sets(t), false))
BUILDER(soft_sets_uniform, softmax(t, x[0], -1, sets(t), true))
BUILDER(soft_sets_1,
        softmax(t, x[0], 1, tape_input_i32(t, SHAPE(3, 1), (int32_t[]){1, 0, 1}), false))
BUILDER(lse_sets, log_sum_exp(t, x[0], -1, tape_input_i32(t, SHAPE(4), (int32_t[]){0, 1, 1, 1})))

static const struct gradient_case {
    const char *statement;
    gradient_builder *build;
    int leaves;
    struct gradient_leaf leaf[3];
} gradient_cases[] = {
    {"matmul", nn, 2, {{.shape = SHAPE(3, 4)}, {.shape = SHAPE(4, 5)}}},
    {"matmul of batches", nn, 2, {{.shape = SHAPE(2, 2, 3, 4)}, {.shape = SHAPE(2, 2, 4, 5)}}},
    {"matmul, b shared", nn, 2, {{.shape = SHAPE(2, 2, 3, 4)}, {.shape = SHAPE(4, 5)}}},
    {"matmul_nt of batches", nt, 2, {{.shape = SHAPE(2, 3, 4)}, {.shape = SHAPE(2, 5, 4)}}},
    {"matmul_nt, b shared", nt, 2, {{.shape = SHAPE(2, 3, 4)}, {.shape = SHAPE(5, 4)}}},
    {"matmul_tn of batches", tn, 2, {{.shape = SHAPE(2, 4, 3)}, {.shape = SHAPE(2, 4, 5)}}},
    {"matmul_tn, b shared", tn, 2, {{.shape = SHAPE(2, 4, 3)}, {.shape = SHAPE(4, 5)}}},
    {"linear", affine, 3, {{.shape = SHAPE(2, 3, 4)}, {.shape = SHAPE(4, 5)}, {.shape = SHAPE(5)}}},
    {"linear without bias", without_bias, 2, {{.shape = SHAPE(4)}, {.shape = SHAPE(4, 5)}}},
    {"add", sums, 2, {{.shape = SHAPE(2, 3)}, {.shape = SHAPE(2, 3)}}},
    {"add, rows repeated", sums, 2, {{.shape = SHAPE(2, 3, 4)}, {.shape = SHAPE(4)}}},
    {"subtract, both repeated",
     differences,
     2,
     {{.shape = SHAPE(2, 1, 4)}, {.shape = SHAPE(3, 1)}}},
    {"subtract", differences, 2, {{.shape = SHAPE(5)}, {.shape = SHAPE(5)}}},
    {"multiply", multiples, 2, {{.shape = SHAPE(2, 3)}, {.shape = SHAPE(2, 3)}}},
    {"multiply by a scalar", multiples, 2, {{.shape = SHAPE(2, 3)}, {.shape = {.rank = 0}}}},
    {"multiply, columns repeated",
     multiples,
     2,
     {{.shape = SHAPE(2, 3, 1)}, {.shape = SHAPE(2, 3, 4)}}},
    {"divide",
     quotients,
     2,
     {{.shape = SHAPE(2, 3)}, {.shape = SHAPE(2, 3), .low = 0.5, .high = 2}}},
    {"divide, both repeated",
     quotients,
     2,
     {{.shape = SHAPE(3)}, {.shape = SHAPE(4, 2, 1), .low = 0.5, .high = 2}}},
    {"maximum", maxima, 2, {{.shape = SHAPE(4, 3)}, {.shape = SHAPE(3)}}},
    {"minimum", minima, 2, {{.shape = SHAPE(1, 3)}, {.shape = SHAPE(4, 3)}}},
    {"one tensor as both operands", cube, 1, {{.shape = SHAPE(5)}}},
    {"choose", chosen, 2, {{.shape = SHAPE(2, 3)}, {.shape = SHAPE(2, 3)}}},
    {"sum_over the first axis", sum_0, 1, {{.shape = SHAPE(3, 2, 4)}}},
    {"sum_over an inner axis", sum_1, 1, {{.shape = SHAPE(2, 3, 4)}}},
    {"sum_over the last axis", sum_last, 1, {{.shape = SHAPE(2, 19)}}},
    {"mean_over an inner axis", mean_1, 1, {{.shape = SHAPE(2, 3, 4)}}},
    {"mean_over the last axis", mean_last, 1, {{.shape = SHAPE(2, 19)}}},
    {"sum_over an axis of one element", sum_last, 1, {{.shape = SHAPE(2, 3, 1)}}},
    {"mean_over an axis of one element", mean_1, 1, {{.shape = SHAPE(2, 1, 4)}}},
    {"max_over an inner axis", max_1, 1, {{.shape = SHAPE(2, 3, 4)}}},
    {"max_over the last axis", max_last, 1, {{.shape = SHAPE(2, 3, 4)}}},
    {"sum_all", whole_sum, 1, {{.shape = SHAPE(2, 3, 4)}}},
    {"cumulative_sum along an inner axis", running_1, 1, {{.shape = SHAPE(2, 3, 4)}}},
    {"cumulative_sum along the last axis", running_last, 1, {{.shape = SHAPE(2, 5)}}},
    {"layer_norm", layer, 3, {{.shape = SHAPE(2, 3, 5)}, {.shape = SHAPE(5)}, {.shape = SHAPE(5)}}},
    {"layer_norm without gain and bias", layer_plain, 1, {{.shape = SHAPE(3, 5)}}},
    {"rms_norm", rms, 2, {{.shape = SHAPE(2, 3, 5)}, {.shape = SHAPE(5)}}},
    {"rms_norm without gain, eps 0", rms_plain, 1, {{.shape = SHAPE(3, 5)}}},
    {"softmax", soft_last, 1, {{.shape = SHAPE(2, 3, 4)}}},
    {"softmax along an inner axis", soft_1, 1, {{.shape = SHAPE(2, 3, 4)}}},
    {"softmax over sets", soft_sets, 1, {{.shape = SHAPE(2, 3, 4)}}},
    {"softmax over sets, uniform if empty", soft_sets_uniform, 1, {{.shape = SHAPE(2, 3, 4)}}},
    {"softmax over sets along an inner axis", soft_sets_1, 1, {{.shape = SHAPE(2, 3, 4)}}},
    {"log_sum_exp", lse_last, 1, {{.shape = SHAPE(2, 3, 4)}}},
    {"log_sum_exp along an inner axis", lse_1, 1, {{.shape = SHAPE(2, 3, 4)}}},
    {"log_sum_exp over sets", lse_sets, 1, {{.shape = SHAPE(2, 3, 4)}}},
};

/* x e^x with a gradient that is wrong by one part in a million. */
static void slightly_wrong(tape *t, tensor y)
{
    void *dx = tape_gradient(t, y->input[0]);
    struct assay_walk w = {.rank = 1, .dim = {elements_of(y)}, .x = {1}, .y = {0}, .z = {1}};
    tensor wrong = tape_filled(t, SCALAR_SHAPE, 2 + 2e-6);
    if (dx && wrong)
        t->kernels->zip(ZIP_MULTIPLY, &w, y->gradient, wrong->data, dx, ASSAY_ADD);
}

static tensor doubled_wrongly(tape *t, const tensor *x, int n, void *c)
{
    static const struct assay_op op = {"doubled_wrongly", slightly_wrong};
    (void)c;
    tensor y = tape_new(t, ASSAY_REAL, x[0]->shape);
    t->kernels->map(MAP_SCALE, elements_of(y), 2, x[0]->data, y->data, ASSAY_STORE);
    return exponential(t, tape_record(t, &op, y, n, x, NULL));
}

/* A parameter that lives outside, as a model's do. */
struct outside {
    double weight[6], gradient[6];
};

static tensor from_outside(tape *t, const tensor *x, int n, void *context)
{
    struct outside *o = context;
    (void)n;
    return hyperbolic_tangent(
        t, matmul(t, x[0], tape_parameter(t, SHAPE(3, 2), o->weight, o->gradient)));
}

static void gradients(const struct assay_kernels *f64)
{
    for (int i = 0; i < COUNT(gradient_cases); i++) {
        const struct gradient_case *c = &gradient_cases[i];
        gradient_ok(f64, c->build, NULL, c->leaves, c->leaf, 100 + (uint64_t)i, c->statement);
    }
    for (enum assay_map f = 0; f < MAP_COUNT; f++) {
        bool positive = f == MAP_SQRT || f == MAP_RECIPROCAL || f == MAP_LOG || f == MAP_LOG1P;
        struct gradient_leaf leaf = {
            .shape = SHAPE(3, 7), .low = positive ? 0.5 : -3, .high = positive ? 2 : 3};
        char statement[32];
        snprintf(statement, sizeof statement, "map %d", (int)f);
        gradient_ok(f64, one_map, &f, 1, &leaf, 200 + f, statement);
    }
    struct gradient_report r;
    bool holds = gradient_check(f64, doubled_wrongly, NULL, 1,
                                &(struct gradient_leaf){.shape = SHAPE(4)}, 1, &r);
    ok(!holds && !r.error[0] && r.worst > 1,
       "a gradient wrong by 1e-6 is refused (%.3g of tolerance)", r.worst);
    struct outside o;
    eighths(6, 3, o.weight);
    double before[6];
    memcpy(before, o.weight, sizeof before);
    gradient_ok(
        f64, from_outside, &o, 2,
        (struct gradient_leaf[]){
            {.shape = SHAPE(4, 3)},
            {.name = "weight", .shape = SHAPE(3, 2), .storage = o.weight, .gradient = o.gradient}},
        5, "parameters that live outside");
    ok(!memcmp(before, o.weight, sizeof before), "parameters are left as they were");
}

/* Values */

static void product_values(tape *t)
{
    double a[24], b[40], y[60];
    eighths(24, 1, a);
    eighths(40, 2, b);
    struct assay_shape shape = SHAPE(2, 3, 5);
    for (int shared = 0; shared < 2; shared++) {
        for (int s = 0; s < 2; s++)
            for (int i = 0; i < 3; i++)
                for (int j = 0; j < 5; j++) {
                    double sum = 0;
                    for (int p = 0; p < 4; p++)
                        sum += a[s * 12 + i * 4 + p] * b[(shared ? 0 : s * 20) + p * 5 + j];
                    y[s * 15 + i * 5 + j] = sum;
                }
        tape_reset(t);
        tensor x = tape_input_f64(t, SHAPE(2, 3, 4), a);
        tensor w = tape_input_f64(t, shared ? SHAPE(4, 5) : SHAPE(2, 4, 5), b);
        ok(holds_values(t, matmul(t, x, w), shape, y, 0), "matmul: values%s",
           shared ? ", b shared" : "");
        ok(holds_values(t, matmul_nt(t, x, transpose(t, w, -1, -2)), shape, y, 0),
           "matmul_nt: the same of b^T");
        ok(holds_values(t, matmul_tn(t, transpose(t, x, -1, -2), w), shape, y, 0),
           "matmul_tn: the same of a^T");
    }
    for (int i = 0; i < 30; i++)
        y[i] += b[i % 5];
    ok(holds_values(t,
                    linear(t, tape_input_f64(t, SHAPE(2, 3, 4), a),
                           tape_input_f64(t, SHAPE(4, 5), b), tape_input_f64(t, SHAPE(5), b)),
                    shape, y, 0),
       "linear: values");
}

static void arithmetic_values(tape *t)
{
    double x[8], y[3], expected[6][24];
    eighths(8, 4, x);
    eighths(3, 5, y);
    for (int i = 0; i < 3; i++)
        y[i] = y[i] == 0 ? 1 : y[i];
    for (int b = 0; b < 2; b++)
        for (int i = 0; i < 3; i++)
            for (int j = 0; j < 4; j++) {
                double p = x[b * 4 + j], q = y[i];
                double all[6] = {p + q, p - q, p * q, p / q, p > q ? p : q, p < q ? p : q};
                for (int f = 0; f < 6; f++)
                    expected[f][b * 12 + i * 4 + j] = all[f];
            }
    tensor (*const op[6])(tape *, tensor, tensor) = {add,    subtract, multiply,
                                                     divide, maximum,  minimum};
    tape_reset(t);
    tensor p = tape_input_f64(t, SHAPE(2, 1, 4), x), q = tape_input_f64(t, SHAPE(3, 1), y);
    for (int f = 0; f < 6; f++)
        ok(holds_values(t, op[f](t, p, q), SHAPE(2, 3, 4), expected[f], 0),
           "arithmetic %d, both repeated: values", f);
    tensor c = tape_input_i32(t, SHAPE(2, 1, 4), (int32_t[]){1, 0, 1, 0, 0, 1, 7, -1});
    for (int i = 0; i < 8; i++)
        expected[0][i] = ids_of(c)[i] ? x[i] : 2 * x[i];
    ok(holds_values(t, choose(t, c, p, scale(t, p, 2)), SHAPE(2, 1, 4), expected[0], 0),
       "choose: values");
}

static void reduction_values(tape *t)
{
    double x[24], sum[8] = {0}, mean[8], max[8], running[24], last[6] = {0}, all = 0;
    eighths(24, 6, x);
    for (int o = 0; o < 2; o++)
        for (int i = 0; i < 4; i++) {
            max[o * 4 + i] = x[o * 12 + i];
            for (int l = 0; l < 3; l++) {
                double e = x[o * 12 + l * 4 + i];
                running[o * 12 + l * 4 + i] = sum[o * 4 + i] += e;
                max[o * 4 + i] = e > max[o * 4 + i] ? e : max[o * 4 + i];
                last[o * 3 + l] += e;
                all += e;
            }
            mean[o * 4 + i] = sum[o * 4 + i] / 3;
        }
    tape_reset(t);
    tensor a = tape_input_f64(t, SHAPE(2, 3, 4), x);
    ok(holds_values(t, sum_over(t, a, 1), SHAPE(2, 1, 4), sum, 0), "sum_over: values");
    ok(holds_values(t, sum_over(t, a, -1), SHAPE(2, 3, 1), last, 0),
       "sum_over the last axis: values");
    ok(holds_values(t, mean_over(t, a, 1), SHAPE(2, 1, 4), mean, 0), "mean_over: values");
    ok(holds_values(t, max_over(t, a, 1), SHAPE(2, 1, 4), max, 0), "max_over: values");
    ok(holds_values(t, cumulative_sum(t, a, 1), SHAPE(2, 3, 4), running, 0),
       "cumulative_sum: values");
    ok(holds_values(t, sum_all(t, a), SCALAR_SHAPE, &all, 0), "sum_all: value");
    tensor tied = tape_variable_f64(t, SHAPE(4), (double[]){1, 3, 3, 0});
    tape_backward(t, max_over(t, tied, 0));
    double d[4];
    gradient_read(t, tied, d);
    ok(d[0] == 0 && d[1] == 1 && d[2] == 0 && d[3] == 0,
       "max_over: the gradient goes to the lowest index among equals");
}

/* Each value is made of sums of up to n terms and at most 16 other roundings, here and there. */
static double rounding(double n, double magnitude)
{
    return 2 * (n + 16) * 0x1p-53 * magnitude;
}

static void norm_values(tape *t)
{
    double x[15], g[5], b[5], layered[15], rmsed[15];
    eighths(15, 7, x);
    eighths(5, 8, g);
    eighths(5, 9, b);
    for (int r = 0; r < 3; r++) {
        double mean = 0, variance = 0, squares = 0;
        for (int j = 0; j < 5; j++)
            mean += x[r * 5 + j] / 5;
        for (int j = 0; j < 5; j++) {
            variance += (x[r * 5 + j] - mean) * (x[r * 5 + j] - mean) / 5;
            squares += x[r * 5 + j] * x[r * 5 + j] / 5;
        }
        for (int j = 0; j < 5; j++) {
            layered[r * 5 + j] = (x[r * 5 + j] - mean) / sqrt(variance + 0.01) * g[j] + b[j];
            rmsed[r * 5 + j] = x[r * 5 + j] / sqrt(squares + 0.01) * g[j];
        }
    }
    tape_reset(t);
    tensor a = tape_input_f64(t, SHAPE(3, 5), x), gain = tape_input_f64(t, SHAPE(5), g),
           bias = tape_input_f64(t, SHAPE(5), b);
    /* sqrt(5) bounds a normalised element, 2 the gain and the bias; 0.1 the deviation, |x| <= 2
     * what was centred. */
    ok(holds_values(t, layer_norm(t, a, gain, bias, 0.01), SHAPE(3, 5), layered,
                    rounding(5, 2 * 2 / 0.1 + 2)),
       "layer_norm: values");
    ok(holds_values(t, rms_norm(t, a, gain, 0.01), SHAPE(3, 5), rmsed, rounding(5, 2 * sqrt(5))),
       "rms_norm: values");
}

/* softmax and log-sum-exp of x [2, 3, 4, 5] along `axis`, over the set allowed(index) != 0 of every
 * element. */
static void softmax_loop(const double *x, const int32_t *allowed, int axis, double *y, double *lse)
{
    static const size_t dim[4] = {2, 3, 4, 5};
    size_t inner = 1, length = dim[axis];
    for (int i = axis + 1; i < 4; i++)
        inner *= dim[i];
    for (size_t o = 0; o < 120 / (length * inner); o++)
        for (size_t i = 0; i < inner; i++) {
            double sum = 0;
            for (size_t l = 0; l < length; l++) {
                size_t e = (o * length + l) * inner + i;
                sum += allowed[e] ? exp(x[e]) : 0;
            }
            for (size_t l = 0; l < length; l++) {
                size_t e = (o * length + l) * inner + i;
                y[e] = allowed[e] ? exp(x[e]) / sum : 0;
            }
            lse[o * inner + i] = log(sum);
        }
}

static void softmax_values(tape *t)
{
    static const struct assay_shape patterns[] = {
        SHAPE(2, 3, 4, 5), SHAPE(5),          SHAPE(4, 5), SHAPE(2, 1, 1, 5), SHAPE(1, 3, 1, 5),
        SHAPE(2, 1, 4, 5), SHAPE(2, 3, 4, 1), SHAPE(4, 1), SHAPE(3, 4, 5),    SHAPE(2, 3, 1, 5)};
    double x[120], y[120], lse[120];
    int32_t set[120], full[120];
    eighths(120, 10, x);
    for (int p = 0; p < COUNT(patterns); p++)
        for (int axis = 0; axis < 4; axis++) {
            struct assay_shape a = {.rank = 4, .dim = {1, 1, 1, 1}}, along = SHAPE(2, 3, 4, 5);
            for (int i = 1; i <= patterns[p].rank; i++)
                a.dim[4 - i] = patterns[p].dim[patterns[p].rank - i];
            /* Never empty: the element of index 0 along any axis is allowed. */
            for (size_t e = 0; e < 120; e++) {
                size_t at[4] = {e / 60 % a.dim[0], e / 20 % 3 % a.dim[1], e / 5 % 4 % a.dim[2],
                                e % 5 % a.dim[3]};
                size_t own = ((at[0] * a.dim[1] + at[1]) * a.dim[2] + at[2]) * a.dim[3] + at[3];
                full[e] = set[own] = at[axis] == 0 || (own * 7 + own / 5) % 3 != 1;
            }
            softmax_loop(x, full, axis, y, lse);
            tape_reset(t);
            tensor v = tape_input_f64(t, SHAPE(2, 3, 4, 5), x),
                   allowed = tape_input_i32(t, patterns[p], set);
            char text[96];
            /* Exponentials of |x| <= 2, by another libm: two more roundings. */
            ok(holds_values(t, softmax(t, v, axis, allowed, false), along, y, rounding(7, 1)),
               "softmax along axis %d over sets %s: values", axis, shape_text(patterns[p], text));
            along.dim[axis] = 1;
            ok(holds_values(t, log_sum_exp(t, v, axis - 4, allowed), along, lse, rounding(7, 4)),
               "log_sum_exp along axis %d over sets %s: values", axis,
               shape_text(patterns[p], text));
        }
    tape_reset(t);
    tensor v = tape_variable_f64(t, SHAPE(2, 2), (double[]){1, 2, 3, 4});
    tensor none = tape_input_i32(t, SHAPE(2, 1), (int32_t[]){0, 0});
    ok(holds_values(t, softmax(t, v, -1, none, false), SHAPE(2, 2), (double[4]){0}, 0),
       "softmax over empty sets: 0");
    ok(holds_values(t, softmax(t, v, -1, none, true), SHAPE(2, 2), (double[4]){.5, .5, .5, .5}, 0),
       "softmax over empty sets, uniform if empty: 1 / width");
}

int main(void)
{
    const struct assay_kernels *f64 = assay_kernels_def(ASSAY_F64);
    tape t;
    if (!ok(tape_open(&t, f64) == 0, "a tape of binary64 opens"))
        return done_testing();
    product_values(&t);
    arithmetic_values(&t);
    reduction_values(&t);
    norm_values(&t);
    softmax_values(&t);
    tape_close(&t);
    gradients(f64);
    return done_testing();
}

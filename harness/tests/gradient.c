/* SPDX-License-Identifier: Apache-2.0 */
/* Gradients of the tape against GSL's numerical derivative; see gradient.h.
 *
 * What two honest derivatives may differ by (u = 2^-53, L the contracted value along the line):
 *   truncation: gsl_deriv_central's own estimate of its error, twice;
 *   noise of L: one evaluation is wrong by delta, measured from fourth differences of L at close
 *     points, where a smooth function has none (the table of Hamming; noise = sqrt(mean (fourth
 *     difference)^2 / 70), three of them taken), and at least one rounding of sum |terms|. GSL's
 *     rule r5 / h, r5 = 4/3 (f(h/2) - f(-h/2)) - r3 / 3, r3 = (f(h) - f(-h)) / 2, passes on at most
 *     (8/3 + 1/3) delta / h = 3 delta / h; its smallest argument is h / 2;
 *   rounding of the analytic side: chains of up to 2^10 roundings of sum |gradient * direction|.
 * A kink within reach, or noise, makes the tolerance large, or GSL's estimate too small: then the
 * step is made smaller, which leaves a kink behind, but never a wrong gradient. A derivative that
 * can't be resolved to RESOLUTION of its scale is a failure, so that a tolerance can't hide an
 * error. */
#include "harness/tests/gradient.h"

#include <gsl/gsl_deriv.h>
#include <gsl/gsl_errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DIRECTIONS = 8, ENTRIES = 4, NOISE_POINTS = 9 };
static const double U = 0x1p-53, RESOLUTION = 1e-5;

struct check {
    tape t;
    gradient_builder *build;
    void *context;
    int leaves;
    const struct gradient_leaf *leaf;
    size_t total, *start; /* entries of all leaves, one after the other */
    double *base, *point, *gradient, *direction;
    tensor *made;
    size_t outputs;
    double *coefficient, *value;
    double terms;   /* sum |coefficient * value| at the base point */
    double noise;   /* of one evaluation */
    double nearest; /* smallest |argument| but 0 since it was set */
    uint64_t random;
    struct gradient_report *report;
};

/* SplitMix64: the harness needs no stream that anybody else can name. */
static uint64_t next(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static double uniform(uint64_t *state, double low, double high)
{
    return low + (high - low) * ((double)(next(state) >> 11) * 0x1p-53);
}

static void complain(struct check *c, const char *message)
{
    if (!c->report->error[0])
        snprintf(c->report->error, sizeof c->report->error, "%s", message);
}

/* Builds at `point`. NULL: see the report. */
static tensor build_at(struct check *c, const double *point)
{
    tape_reset(&c->t);
    for (int i = 0; i < c->leaves; i++) {
        const struct gradient_leaf *leaf = &c->leaf[i];
        c->made[i] = TENSOR_NONE;
        if (leaf->storage)
            memcpy(leaf->storage, point + c->start[i],
                   (c->start[i + 1] - c->start[i]) * sizeof *point);
        else
            c->made[i] = tape_variable_f64(&c->t, leaf->shape, point + c->start[i]);
    }
    tensor y = c->build(&c->t, c->made, c->leaves, c->context);
    if (tape_error(&c->t))
        complain(c, tape_error(&c->t));
    else if (!y || y->type != ASSAY_REAL)
        complain(c, "expected the builder to return a real tensor");
    return c->report->error[0] ? TENSOR_NONE : y;
}

/* The contracted value at base + s * direction; NAN after an error. */
static double along(double s, void *check)
{
    struct check *c = check;
    if (s != 0 && fabs(s) < c->nearest)
        c->nearest = fabs(s);
    for (size_t i = 0; i < c->total; i++)
        c->point[i] = c->base[i] + s * c->direction[i];
    tensor y = build_at(c, c->point);
    if (!y || elements_of(y) != c->outputs) {
        complain(c, "expected an output of the same size away from the base point");
        return NAN;
    }
    tensor_read(&c->t, y, c->value);
    double sum = 0;
    for (size_t i = 0; i < c->outputs; i++)
        sum += c->coefficient[i] * c->value[i];
    return sum;
}

/* Value, coefficients and gradients at the base point; holds what the numerical runs replay. */
static bool analytic(struct check *c)
{
    tape_forget_held(&c->t);
    c->t.freeze = ASSAY_HOLD_RECORD;
    for (int i = 0; i < c->leaves; i++)
        if (c->leaf[i].gradient)
            memset(c->leaf[i].gradient, 0, (c->start[i + 1] - c->start[i]) * sizeof(double));
    tensor y = build_at(c, c->base);
    if (!y)
        return false;
    c->outputs = elements_of(y);
    c->coefficient = calloc(c->outputs + 1, sizeof *c->coefficient);
    c->value = calloc(c->outputs + 1, sizeof *c->value);
    if (!c->coefficient || !c->value) {
        complain(c, "out of memory");
        return false;
    }
    tensor_read(&c->t, y, c->value);
    for (size_t i = 0; i < c->outputs; i++) {
        c->coefficient[i] = c->outputs == 1 ? 1 : uniform(&c->random, -1, 1);
        c->terms += fabs(c->coefficient[i] * c->value[i]);
    }
    tensor cotangent = tape_input_f64(&c->t, y->shape, c->coefficient);
    tape_backward_from(&c->t, 1, &y, &cotangent);
    if (tape_error(&c->t)) {
        complain(c, tape_error(&c->t));
        return false;
    }
    for (int i = 0; i < c->leaves; i++) {
        double *to = c->gradient + c->start[i];
        if (c->leaf[i].storage)
            memcpy(to, c->leaf[i].gradient, (c->start[i + 1] - c->start[i]) * sizeof *to);
        else
            gradient_read(&c->t, c->made[i], to);
    }
    c->t.freeze = ASSAY_HOLD_REPLAY;
    c->t.recording = false;
    return true;
}

static void measure_noise(struct check *c)
{
    double f[NOISE_POINTS], sum = 0;
    for (int i = 0; i < NOISE_POINTS; i++)
        f[i] = along(0x1p-40 * (i - NOISE_POINTS / 2), c);
    int differences = NOISE_POINTS - 4;
    for (int i = 0; i < differences; i++) {
        double d = f[i] - 4 * f[i + 1] + 6 * f[i + 2] - 4 * f[i + 3] + f[i + 4];
        sum += d * d;
    }
    c->noise = 3 * sqrt(sum / differences / 70) + U * c->terms;
}

/* Compares along c->direction. */
static void compare(struct check *c, const char *what)
{
    double expected = 0, scale = c->terms, own = 0;
    for (size_t i = 0; i < c->total; i++) {
        expected += c->gradient[i] * c->direction[i];
        own += fabs(c->gradient[i] * c->direction[i]);
    }
    scale += own;
    double found = NAN, tolerance = INFINITY;
    for (double h = 0x1p-10; h >= 0x1p-22; h /= 16) {
        if (tolerance <= RESOLUTION * scale && fabs(expected - found) <= tolerance)
            break;
        double estimate = NAN;
        gsl_function f = {along, c};
        c->nearest = h / 2;
        if (gsl_deriv_central(&f, 0, h, &found, &estimate) != GSL_SUCCESS || c->report->error[0])
            break;
        tolerance = 2 * estimate + 3 * c->noise / (2 * c->nearest) + 0x1p10 * U * own;
    }
    char message[300];
    if (!(tolerance <= RESOLUTION * scale)) {
        snprintf(message, sizeof message,
                 "%s: expected a derivative that can be resolved, got %g +- %g", what, found,
                 tolerance);
        complain(c, message);
        return;
    }
    double error = fabs(expected - found), ratio = error > 0 ? error / tolerance : 0;
    c->report->compared++;
    if (scale > 0 && tolerance / scale > c->report->resolution)
        c->report->resolution = tolerance / scale;
    if (!(ratio <= c->report->worst)) {
        c->report->worst = ratio;
        snprintf(c->report->place, sizeof c->report->place,
                 "%s: analytic %.12g, numerical %.12g +- %.2g", what, expected, found, tolerance);
    }
}

static void compare_entry(struct check *c, int leaf, size_t entry)
{
    struct assay_shape shape = c->leaf[leaf].shape, index = shape;
    size_t rest = entry;
    for (int i = shape.rank; i-- > 0; rest /= shape.dim[i])
        index.dim[i] = rest % shape.dim[i];
    char at[96], what[160], own_name[24];
    snprintf(own_name, sizeof own_name, "leaf %d", leaf);
    snprintf(what, sizeof what, "%s %s", c->leaf[leaf].name ? c->leaf[leaf].name : own_name,
             shape_text(index, at));
    memset(c->direction, 0, c->total * sizeof *c->direction);
    c->direction[c->start[leaf] + entry] = 1;
    compare(c, what);
}

static bool check_open(struct check *c, const struct assay_kernels *kernels)
{
    size_t leaves = (size_t)c->leaves;
    c->start = calloc(leaves + 1, sizeof *c->start);
    c->made = calloc(leaves + 1, sizeof *c->made);
    if (!c->start || !c->made || tape_open(&c->t, kernels) != 0)
        return false;
    for (int i = 0; i < c->leaves; i++)
        c->start[i + 1] = c->start[i] + shape_elements(c->leaf[i].shape);
    c->total = c->start[leaves];
    double *room = calloc(4 * c->total + 4, sizeof *room);
    if (!room)
        return false;
    c->base = room;
    c->point = room + c->total;
    c->gradient = room + 2 * c->total;
    c->direction = room + 3 * c->total;
    for (int i = 0; i < c->leaves; i++) {
        const struct gradient_leaf *leaf = &c->leaf[i];
        const double *given = leaf->storage ? leaf->storage : leaf->value;
        bool standard = leaf->low == 0 && leaf->high == 0;
        for (size_t e = c->start[i]; e < c->start[i + 1]; e++)
            c->base[e] = given      ? given[e - c->start[i]]
                         : standard ? uniform(&c->random, -1, 1)
                                    : uniform(&c->random, leaf->low, leaf->high);
    }
    return true;
}

static void check_close(struct check *c)
{
    for (int i = 0; c->base && i < c->leaves; i++)
        if (c->leaf[i].storage)
            memcpy(c->leaf[i].storage, c->base + c->start[i],
                   (c->start[i + 1] - c->start[i]) * sizeof *c->base);
    tape_close(&c->t);
    free(c->start);
    free(c->made);
    free(c->base);
    free(c->coefficient);
    free(c->value);
}

bool gradient_check(const struct assay_kernels *kernels, gradient_builder *build, void *context,
                    int leaves, const struct gradient_leaf *leaf, uint64_t seed,
                    struct gradient_report *report)
{
    *report = (struct gradient_report){0};
    struct check c = {.build = build,
                      .context = context,
                      .leaves = leaves,
                      .leaf = leaf,
                      .random = seed,
                      .report = report};
    if (!kernels || kernels->profile != ASSAY_F64)
        complain(&c, "expected a table of the binary64 profile");
    else if (!check_open(&c, kernels))
        complain(&c, "out of memory");
    else if (analytic(&c)) {
        for (int d = 0; d < DIRECTIONS && !report->error[0]; d++) {
            for (size_t i = 0; i < c.total; i++)
                c.direction[i] = uniform(&c.random, -1, 1);
            if (!d)
                measure_noise(&c);
            char what[32];
            snprintf(what, sizeof what, "direction %d", d);
            compare(&c, what);
        }
        for (int i = 0; i < leaves; i++)
            for (int e = 0; e < ENTRIES && !report->error[0] && c.start[i + 1] > c.start[i]; e++)
                compare_entry(&c, i, next(&c.random) % (c.start[i + 1] - c.start[i]));
    }
    check_close(&c);
    return !report->error[0] && report->compared > 0 && report->worst <= 1;
}

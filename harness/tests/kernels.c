/* SPDX-License-Identifier: Apache-2.0 */
/* Kernels: every level that this machine runs gives the definition's bits, and an honest backend of
 * binary32 its numbers. (Products, attention and scans have a test of their own.) */
#include "ref/kernels.h"
#include "harness/tests/tap.h"
#include "ref/honest.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* One subject run with one table: inputs are drawn from `rng`, started alike for every table,
 * and every output is appended to `log`. */
struct trial {
    const struct assay_kernels *k;
    struct assay_rng rng;
    unsigned char *log;
    size_t used, capacity;
    double *number, *largest; /* [numbers] real outputs, each with the largest of its array */
    size_t numbers, number_room;
    void *blocks[64];
    int block_count;
};

static void *memory(struct trial *t, size_t bytes)
{
    return t->blocks[t->block_count++] = calloc(bytes + 64, 1);
}

static void release(struct trial *t)
{
    while (t->block_count)
        free(t->blocks[--t->block_count]);
}

static size_t draw(struct trial *t, size_t n)
{
    return assay_rng_below(&t->rng, (uint32_t)n);
}

/* 0, 1, primes, multiples of the 16 lanes and of the 256-element blocks, and their neighbours. */
static size_t size_drawn(struct trial *t)
{
    static const size_t sizes[] = {0,  1,  2,  3,  5,   7,   15,  16,  17,  31, 32,
                                   33, 37, 64, 97, 255, 256, 257, 263, 512, 521};
    return sizes[draw(t, sizeof sizes / sizeof *sizes)];
}

static size_t small_drawn(struct trial *t)
{
    static const size_t sizes[] = {0, 1, 1, 2, 3, 3, 4, 7};
    return sizes[draw(t, sizeof sizes / sizeof *sizes)];
}

/* Mostly normal numbers; also zeros of both signs, subnormals, repeated values (ties), and, if
 * wild, large ones. */
static double value_drawn(struct trial *t, bool wild)
{
    double tiny = t->k->profile == ASSAY_F32 ? 1e-41 : 1e-312,
           huge = t->k->profile == ASSAY_F32 ? 1e37 : 1e300;
    double x = (double)assay_rng_normal(&t->rng);
    x += x * (double)assay_rng_next(&t->rng) * 0x1p-57; /* lest products be exact in binary64 */
    switch (draw(t, 16)) {
    case 0:
        return 0.0;
    case 1:
        return -0.0;
    case 2:
        return x * tiny;
    case 3:
        return (double)draw(t, 5) - 2;
    case 4:
        return wild ? x * huge : x;
    case 5:
        return 30 * x;
    default:
        return x;
    }
}

static void *values(struct trial *t, size_t n, bool wild)
{
    double *x = malloc(n * sizeof *x + 1);
    void *y = memory(t, n * t->k->element);
    for (size_t i = 0; i < n; i++)
        x[i] = value_drawn(t, wild);
    t->k->from_f64(n, x, y);
    free(x);
    return y;
}

static int32_t *integers(struct trial *t, size_t n, size_t below)
{
    int32_t *x = memory(t, n * sizeof *x);
    for (size_t i = 0; i < n; i++)
        x[i] = (int32_t)draw(t, below);
    return x;
}

static void append(struct trial *t, size_t bytes, const void *from)
{
    if (t->used + bytes > t->capacity) {
        t->capacity = 2 * (t->used + bytes);
        t->log = realloc(t->log, t->capacity);
    }
    memcpy(t->log + t->used, from, bytes);
    t->used += bytes;
}

static void keep_numbers(struct trial *t, size_t n, const void *y)
{
    double largest = 0;
    if (t->numbers + n > t->number_room) {
        t->number_room = 2 * (t->numbers + n);
        t->number = realloc(t->number, t->number_room * sizeof *t->number);
        t->largest = realloc(t->largest, t->number_room * sizeof *t->largest);
    }
    t->k->to_f64(n, y, t->number + t->numbers);
    for (size_t i = 0; i < n; i++)
        largest = fmax(largest, fabs(t->number[t->numbers + i]));
    for (size_t i = 0; i < n; i++)
        t->largest[t->numbers++] = largest;
}

/* Real outputs; a NaN is an error whatever its payload, and so are all NaNs alike. */
static void record(struct trial *t, size_t n, const void *y)
{
    static const unsigned char nan[8] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
    for (size_t i = 0; i < n; i++) {
        const char *element = (const char *)y + i * t->k->element;
        double x;
        t->k->to_f64(1, element, &x);
        append(t, t->k->element, isnan(x) ? (const void *)nan : element);
    }
    if (t->k->profile == ASSAY_F32 && n)
        keep_numbers(t, n, y);
}

static void map_trial(struct trial *t)
{
    for (enum assay_map f = 0; f < MAP_COUNT; f++) {
        size_t n = size_drawn(t);
        double s = (double)assay_rng_uniform(&t->rng);
        enum assay_mode mode = (enum assay_mode)draw(t, 3);
        void *x = values(t, n, true), *y = values(t, n, false), *dy = values(t, n, false),
             *dx = values(t, n, false);
        t->k->map(f, n, s, x, y, mode);
        record(t, n, y);
        t->k->map(f, n, s, x, y, ASSAY_STORE);
        t->k->map_backward(f, n, s, x, y, dy, dx);
        record(t, n, dx);
        release(t);
    }
}

/* A walk of rank 0 to 4 over z contiguous or permuted, x and y with axes repeated, flipped or
 * plain. Fills in where the first element lies. */
struct operands {
    struct assay_walk w;
    size_t n, x0, y0;
};

static void strides_drawn(struct trial *t, const struct assay_walk *w, ptrdiff_t *stride,
                          size_t *first)
{
    ptrdiff_t step = 1;
    for (int axis = w->rank; axis-- > 0;) {
        size_t kind = draw(t, 8);
        stride[axis] = kind < 3 ? 0 : kind < 4 ? -step : step;
        if (stride[axis] < 0 && w->dim[axis])
            *first += (w->dim[axis] - 1) * (size_t)step;
        step *= stride[axis] || kind == 0 ? (ptrdiff_t)w->dim[axis] : 1;
    }
}

static struct operands operands_drawn(struct trial *t)
{
    struct operands o = {.w = {.rank = (int)draw(t, 5)}, .n = 1};
    ptrdiff_t step = 1;
    for (int axis = 0; axis < o.w.rank; axis++) {
        o.w.dim[axis] = axis == o.w.rank - 1 && draw(t, 2) ? size_drawn(t) : small_drawn(t);
        o.n *= o.w.dim[axis];
    }
    bool swapped = o.w.rank > 1 && draw(t, 3) == 0;
    for (int i = o.w.rank; i-- > 0;) {
        int axis = !swapped ? i : i == o.w.rank - 1 ? i - 1 : i == o.w.rank - 2 ? i + 1 : i;
        o.w.z[axis] = step;
        step *= (ptrdiff_t)o.w.dim[axis];
    }
    strides_drawn(t, &o.w, o.w.x, &o.x0);
    strides_drawn(t, &o.w, o.w.y, &o.y0);
    return o;
}

static char *element(const struct trial *t, void *base, size_t i)
{
    return (char *)base + i * t->k->element;
}

static void zip_trial(struct trial *t)
{
    struct operands o = operands_drawn(t);
    enum assay_zip f = (enum assay_zip)draw(t, ZIP_COUNT);
    enum assay_mode mode = (enum assay_mode)draw(t, 3);
    void *x = values(t, o.n + 1, true), *y = values(t, o.n + 1, true),
         *z = values(t, o.n + 1, false);
    t->k->zip(f, &o.w, element(t, x, o.x0), element(t, y, o.y0), z, mode);
    record(t, o.n + 1, z);
    for (int which = 0; which < 2; which++) {
        void *dz = values(t, o.n + 1, false), *d = values(t, o.n + 1, false);
        t->k->zip_choice(draw(t, 2) ? ZIP_MAX : ZIP_MIN, which, &o.w, element(t, x, o.x0),
                         element(t, y, o.y0), dz, d, mode);
        record(t, o.n + 1, d);
    }
}

static void choice_trial(struct trial *t)
{
    size_t n = size_drawn(t);
    void *x = values(t, n, true), *y = values(t, n, true), *z = values(t, n, false);
    int32_t *condition = integers(t, n, 3);
    t->k->masked_add(n, condition, draw(t, 2), x, z);
    record(t, n, z);
    t->k->select(n, condition, x, y, z);
    record(t, n, z);
}

static void reduction_trial(struct trial *t)
{
    size_t outer = small_drawn(t), length = size_drawn(t),
           inner = draw(t, 2)   ? 1
                   : draw(t, 2) ? small_drawn(t)
                                : size_drawn(t);
    length = inner > 64 ? length % 8 : length;
    size_t n = outer * length * inner, results = outer * inner;
    enum assay_mode mode = (enum assay_mode)draw(t, 3);
    void *x = values(t, n, false), *y = values(t, results, false), *c = values(t, n, false);
    int32_t *index = integers(t, results, 1);
    double squares = t->k->sum_squares(n, x);
    append(t, sizeof squares, &squares);
    t->k->sum(outer, length, inner, x, y, mode);
    record(t, results, y);
    t->k->max(outer, length, inner, x, y, index);
    record(t, results, y);
    append(t, results * sizeof *index, index);
    t->k->cumulative_sum(outer, length, inner, draw(t, 2), x, c, mode);
    record(t, n, c);
}

static void *unless(bool absent, void *x)
{
    return absent ? NULL : x;
}

static void norm_trial(struct trial *t)
{
    size_t rows = small_drawn(t), width = size_drawn(t), n = rows * width;
    size_t absent = draw(t, 4), no_gradient = draw(t, 6);
    void *x = values(t, n, false), *y = values(t, n, false), *dy = values(t, n, false),
         *dx = values(t, n, false);
    void *gain = unless(absent & 1, values(t, width, false)),
         *bias = unless(absent & 2, values(t, width, false));
    void *d_gain = unless(no_gradient == 0, values(t, width, false));
    void *d_bias = unless(no_gradient == 1, values(t, width, false));
    void *mean = memory(t, rows * t->k->element), *deviation = memory(t, rows * t->k->element);
    void *scratch = memory(t, 2 * width * t->k->element);
    dx = unless(no_gradient == 2, dx);
    for (int rms = 0; rms < 2; rms++) {
        if (rms) {
            t->k->rms_norm(rows, width, 1e-5, x, gain, y, deviation);
            t->k->rms_norm_backward(rows, width, x, gain, deviation, dy, dx, d_gain, scratch);
        } else {
            t->k->layer_norm(rows, width, 1e-5, x, gain, bias, y, mean, deviation);
            t->k->layer_norm_backward(rows, width, x, gain, mean, deviation, dy, dx, d_gain, d_bias,
                                      scratch);
        }
        record(t, n, y);
        record(t, rows, mean);
        record(t, rows, deviation);
        record(t, dx ? n : 0, dx);
        record(t, d_gain ? width : 0, d_gain);
        record(t, d_bias ? width : 0, d_bias);
    }
}

static void softmax_trial(struct trial *t)
{
    size_t rows = 6, width = size_drawn(t), n = rows * width;
    struct assay_row_mask mask = {
        .rows = 1 + draw(t, 3), .repeat = 1 + draw(t, 2), .uniform_if_empty = draw(t, 2)};
    int32_t *allowed = integers(t, mask.rows * width, 3);
    if (width && draw(t, 2))
        memset(allowed, 0, width * sizeof *allowed);
    mask.allowed = unless(draw(t, 3) == 0, allowed);
    const struct assay_row_mask *given = draw(t, 4) ? &mask : NULL;
    void *x = values(t, n, draw(t, 4) == 0), *y = values(t, n, false), *dy = values(t, n, false);
    void *dx = values(t, n, false), *row = values(t, rows, false);
    t->k->softmax(rows, width, given, x, y);
    record(t, n, y);
    t->k->softmax_backward(rows, width, given, y, dy, dx);
    record(t, n, dx);
    t->k->log_sum_exp(rows, width, given, x, row);
    record(t, rows, row);
    t->k->log_sum_exp_backward(rows, width, given, x, row, dy, dx);
    record(t, width ? n : 0, dx);
    if (!width)
        return;
    int32_t *target = integers(t, rows, width), ignore = (int32_t)draw(t, 2) - 1;
    void *largest = values(t, rows, false), *sum = values(t, rows, false);
    t->k->cross_entropy(rows, width, x, target, ignore, row, largest, sum);
    t->k->cross_entropy_backward(rows, width, x, target, ignore, largest, sum, dy, dx);
    record(t, rows, row);
    record(t, rows, largest);
    record(t, rows, sum);
    record(t, n, dx);
}

static void move_trial(struct trial *t)
{
    enum assay_mode mode = (enum assay_mode)draw(t, 3);
    struct operands o = operands_drawn(t);
    void *x = values(t, o.n + 1, true), *y = values(t, o.n + 1, false);
    memcpy(o.w.y, o.w.z, sizeof o.w.y);
    for (int axis = 0; axis < ASSAY_RANK_MAX; axis++)
        o.w.z[axis] = 12345; /* not to be used */
    t->k->copy(&o.w, element(t, x, o.x0), y, mode);
    record(t, o.n + 1, y);

    size_t count = size_drawn(t) % 40, width = size_drawn(t), n = count * width;
    int32_t *index = integers(t, count, 7);
    void *table = values(t, 7 * width, false), *rows = values(t, n, false);
    t->k->scatter_add_rows(count, width, index, rows, table);
    t->k->gather_rows(count, width, index, table, rows);
    record(t, 7 * width, table);
    record(t, n, rows);
    t->k->dropout(0, width, NULL, 0.5, rows, table, mode);
    struct assay_rng streams[7];
    for (size_t r = 0; r < 7; r++)
        assay_rng_keyed(&streams[r], 1, 2, r, "dropout");
    void *dropped = values(t, 7 * width, false);
    t->k->dropout(7, width, streams, draw(t, 2) ? 0.75 : 1, table, dropped, mode);
    record(t, 7 * width, dropped);

    if (width)
        t->k->from_i32(1, &index[0], table);
    size_t bad = width ? draw(t, 7 * width) : 0;
    for (size_t i = 0; width && i < 3; i++) {
        size_t found = t->k->first_nonfinite(7 * width, table);
        append(t, sizeof found, &found);
        double infinite = i ? NAN : -INFINITY;
        t->k->from_f64(1, &infinite, element(t, table, i ? bad / 2 : bad));
    }
}

static void rotation_trial(struct trial *t)
{
    size_t batch = small_drawn(t), n = small_drawn(t), heads = small_drawn(t), pairs = draw(t, 40);
    size_t width = 2 * pairs + draw(t, 3), count = batch * n * heads * width;
    void *cosine = values(t, n * pairs, false), *sine = values(t, n * pairs, false);
    void *x = values(t, count, false), *y = values(t, count, false);
    bool interleaved = draw(t, 2), inverse = draw(t, 2);
    t->k->rotate(batch, n, heads, width, pairs, interleaved, inverse, cosine, sine, x, y,
                 (enum assay_mode)draw(t, 3));
    record(t, count, y);
}

static void sorting_trial(struct trial *t)
{
    size_t rows = small_drawn(t), width = size_drawn(t), k = width ? draw(t, width + 1) : 0;
    void *x = values(t, rows * width, true);
    int32_t *index = integers(t, rows * width, 1);
    for (int ascending = 0; ascending < 2; ascending++) {
        t->k->argsort(rows, width, ascending, x, index);
        append(t, rows * width * sizeof *index, index);
    }
    t->k->top_k(rows, width, k, x, index);
    append(t, rows * k * sizeof *index, index);
}

static void optimizer_trial(struct trial *t)
{
    size_t n = size_drawn(t);
    struct assay_adamw s = {1e-3, 0.9, 0.999, 1e-8, 0.1, 0.19, 0.002};
    void *g = values(t, n, false), *m = values(t, n, false), *v = memory(t, n * t->k->element),
         *x = values(t, n, false);
    for (int step = 0; step < 2; step++)
        t->k->adamw(n, &s, g, m, v, x);
    t->k->sgd(n, 0.1, 0.9, 0.01, g, m, x);
    t->k->average(n, 0.99, x, g);
    record(t, n, g);
    record(t, n, m);
    record(t, n, v);
    record(t, n, x);
}

static const struct subject {
    const char *name;
    void (*run)(struct trial *t);
    int repeats;
} subjects[] = {
    {"maps and their gradients", map_trial, 8},
    {"zips and choices over walks", zip_trial, 400},
    {"select and masked add", choice_trial, 60},
    {"sums, maxima and cumulative sums", reduction_trial, 200},
    {"layer norm and RMS norm", norm_trial, 120},
    {"softmax, log-sum-exp and cross entropy", softmax_trial, 60},
    {"copies, rows by index, dropout, nonfinite", move_trial, 150},
    {"rotations", rotation_trial, 100},
    {"top-k and argsort", sorting_trial, 100},
    {"optimizer steps", optimizer_trial, 60},
};

static void forget(struct trial *t)
{
    free(t->log);
    free(t->number);
    free(t->largest);
}

static struct trial run(const struct subject *subject, const struct assay_kernels *k)
{
    struct trial t = {.k = k};
    assay_rng_named(&t.rng, 1, subject->name);
    for (int i = 0; i < subject->repeats; i++) {
        subject->run(&t);
        release(&t);
    }
    return t;
}

static void test_levels(enum assay_profile profile)
{
    static const char *const levels[] = {"base", "x86-64-v3", "x86-64-v4"};
    enum { COUNT = sizeof subjects / sizeof *subjects };
    struct trial truth[COUNT];
    for (int i = 0; i < COUNT; i++)
        truth[i] = run(&subjects[i], assay_kernels_def(profile));
    for (int level = 0; level < 3; level++) {
        const struct assay_kernels *cpu = assay_kernels_cpu(profile, levels[level]);
        if (!cpu) {
            skip(COUNT, "this machine or build lacks the level");
            continue;
        }
        for (int i = 0; i < COUNT; i++) {
            struct trial t = run(&subjects[i], cpu);
            ok(t.used && t.used == truth[i].used && !memcmp(t.log, truth[i].log, t.used),
               "%s, binary%d: %s has the definition's bits", subjects[i].name, profile,
               levels[level]);
            forget(&t);
        }
    }
    for (int i = 0; i < COUNT; i++)
        forget(&truth[i]);
}

/* A misplaced element is wrong by its own size, some 1 or 30; sums of 521 terms in another order, and
 * functions a unit off, by less than 521 * 30 * 2^-24 = 1e-3 and 1e-4 of the largest. Where a record's
 * largest is beyond 1e6 (norms of equal numbers divide by sqrt(eps), wild arguments) 1e-4 of it
 * decides alone; infinities agree if both tables have one. */
static void test_honest(void)
{
    for (size_t i = 0; i < sizeof subjects / sizeof *subjects; i++) {
        struct trial def = run(&subjects[i], assay_kernels_def(ASSAY_F32));
        struct trial honest = run(&subjects[i], assay_honest_begin(assay_kernels_def(ASSAY_F32),
                                                                   ASSAY_PRECISION_F32, i + 1));
        size_t wrong = def.numbers != honest.numbers;
        for (size_t j = 0; !wrong && j < def.numbers; j++) {
            double a = def.number[j], b = honest.number[j];
            bool near = fabs(a - b) <= 1e-3 + 1e-4 * def.largest[j];
            wrong += !near && !(isfinite(a) == 0 && isfinite(b) == 0);
            if (!near && wrong == 1)
                diag("number %zu: %g and %g, of at most %g", j, a, b, def.largest[j]);
        }
        ok(wrong == 0, "%s: an honest backend has the definition's numbers", subjects[i].name);
        forget(&def);
        forget(&honest);
    }
}

/* A table that lacks a kernel would fail only in the model that needs it. */
static void test_complete(const struct assay_kernels *k)
{
    bool complete = true;
    for (const char *p = (const char *)&k->product; p < (const char *)(k + 1);
         p += sizeof(void (*)(void))) {
        void (*f)(void);
        memcpy(&f, p, sizeof f);
        complete = complete && f;
    }
    ok(complete, "%s %s binary%d has every kernel", k->name, k->level, k->profile);
}

int main(void)
{
    test_complete(assay_kernels_def(ASSAY_F32));
    test_complete(assay_kernels_def(ASSAY_F64));
    test_complete(assay_kernels_cpu(ASSAY_F32, NULL));
    test_complete(assay_kernels_cpu(ASSAY_F64, NULL));
    ok(!assay_kernels_cpu(ASSAY_F32, "x86-64-v9"), "an unknown level is no table");
    test_levels(ASSAY_F32);
    test_levels(ASSAY_F64);
    test_honest();
    return done_testing();
}

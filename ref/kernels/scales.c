/* SPDX-License-Identifier: Apache-2.0 */
/* The truth's table with notes: for every element that a kernel sums, the sum of the absolute terms.
 *
 * A note belongs to an address and holds the value that was written there: when another value is
 * found there, the memory has a new use and the note is void. Contributions that are added to an
 * element add to its note. Moves carry notes along, and so do linear maps; what is not listed below
 * has its own magnitude for a scale. */
#include <stdlib.h>
#include <string.h>

#include "ref/honest.h"
#include "ref/kernels/walk.h"

struct note {
    const double *at; /* NULL: free */
    double value, sum;
    bool of_sum; /* by sum: axes are summed one at a time, which is one sum of all terms */
};

/* Kernels have no argument that could carry it. */
static _Thread_local struct {
    const struct assay_kernels *base;
    struct assay_kernels table;
    struct note *note; /* [room], a power of two */
    size_t notes, room;
    bool failed;
} state;

static double magnitude(double x)
{
    return __builtin_fabs(x);
}

/* The note of an address, or the place for it. */
static struct note *place(struct note *note, size_t room, const double *at)
{
    uint64_t hash = (uint64_t)(uintptr_t)at / sizeof *at * UINT64_C(0x9e3779b97f4a7c15);
    size_t i = (size_t)(hash >> 20) & (room - 1);
    while (note[i].at && note[i].at != at)
        i = (i + 1) & (room - 1);
    return &note[i];
}

static bool grown(void)
{
    size_t room = state.room ? 2 * state.room : 1024;
    struct note *more = calloc(room, sizeof *more);
    if (!more) {
        state.failed = true;
        return false;
    }
    for (size_t i = 0; i < state.room; i++)
        if (state.note[i].at)
            *place(more, room, state.note[i].at) = state.note[i];
    free(state.note);
    state.note = more;
    state.room = room;
    return true;
}

static void put(const double *at, double sum, bool of_sum)
{
    if (2 * state.notes >= state.room && !grown())
        return;
    struct note *n = place(state.note, state.room, at);
    state.notes += !n->at;
    *n = (struct note){at, *at, sum, of_sum};
}

static struct note get(const double *at)
{
    struct note own = {at, *at, magnitude(*at), false};
    if (!state.room || *at == 0)
        return own;
    struct note *n = place(state.note, state.room, at);
    if (!n->at || n->value != *at)
        return own;
    own.of_sum = n->of_sum;
    own.sum = n->sum > own.sum ? n->sum : own.sum;
    return own;
}

static void *room_for(size_t n)
{
    void *room = calloc(n + 1, sizeof(double));
    state.failed |= !room;
    return room;
}

/* What stood in a destination: the sums and, behind them, the values. */
static double *before(size_t n, const double *y)
{
    double *was = room_for(2 * n);
    for (size_t i = 0; was && i < n; i++) {
        was[i] = get(&y[i]).sum;
        was[n + i] = y[i];
    }
    return was;
}

/* y [n] has received contributions: their own magnitudes are added to the sums. */
static void added(size_t n, double *was, const double *y)
{
    for (size_t i = 0; was && i < n; i++)
        if (y[i] != was[n + i])
            put(&y[i], was[i] + magnitude(y[i] - was[n + i]), false);
    free(was);
}

/* How many elements from the first an operand reaches. */
static size_t reach(const struct assay_product *p, size_t rows, size_t columns, size_t row,
                    size_t column, const size_t batch[2])
{
    if (!rows || !columns || !p->batch[0] || !p->batch[1])
        return 0;
    return (rows - 1) * row + (columns - 1) * column + (p->batch[0] - 1) * batch[0]
           + (p->batch[1] - 1) * batch[1] + 1;
}

static double *magnitudes(size_t n, const double *x)
{
    double *y = room_for(n);
    for (size_t i = 0; y && i < n; i++)
        y[i] = magnitude(x[i]);
    return y;
}

static void product(const struct assay_product *p)
{
    size_t reach_a = reach(p, p->m, p->k, p->a_row, p->a_column, p->a_batch),
           reach_b = reach(p, p->k, p->n, p->b_row, p->b_column, p->b_batch),
           reach_c = reach(p, p->m, p->n, p->c_row, 1, p->c_batch);
    double *c = p->c, *a = magnitudes(reach_a, p->a), *b = magnitudes(reach_b, p->b),
           *terms = room_for(reach_c), *was = p->mode == ASSAY_STORE ? NULL : before(reach_c, c);
    struct assay_product absolute = *p;
    absolute.a = a;
    absolute.b = b;
    absolute.c = terms;
    absolute.mode = ASSAY_CONTINUE;
    state.base->product(p);
    if (a && b && terms)
        state.base->product(&absolute);
    for (size_t i = 0; terms && i < reach_c; i++)
        if (terms[i] > 0)
            put(&c[i], terms[i] + (was ? was[i] : 0), false);
    free(a);
    free(b);
    free(terms);
    free(was);
}

static void sum(size_t outer, size_t length, size_t inner, const void *x_, void *y_,
                enum assay_mode mode)
{
    size_t n = outer * inner, count = n * length;
    const double *x = x_;
    double *y = y_, *terms = room_for(count), *total = room_for(n),
           *was = mode == ASSAY_STORE ? NULL : before(n, y);
    for (size_t i = 0; terms && i < count; i++) {
        struct note term = get(&x[i]);
        terms[i] = term.of_sum || length == 1 ? term.sum : magnitude(x[i]);
    }
    state.base->sum(outer, length, inner, x, y, mode);
    if (terms && total) {
        state.base->sum(outer, length, inner, terms, total, ASSAY_STORE);
        for (size_t i = 0; i < n; i++)
            put(&y[i], total[i] + (was ? was[i] : 0), true);
    }
    free(terms);
    free(total);
    free(was);
}

static void cumulative_sum(size_t outer, size_t length, size_t inner, bool reverse, const void *x,
                           void *y_, enum assay_mode mode)
{
    size_t n = outer * length * inner;
    double *y = y_, *terms = magnitudes(n, x), *total = room_for(n),
           *was = mode == ASSAY_STORE ? NULL : before(n, y);
    state.base->cumulative_sum(outer, length, inner, reverse, x, y, mode);
    if (terms && total) {
        state.base->cumulative_sum(outer, length, inner, reverse, terms, total, ASSAY_STORE);
        for (size_t i = 0; i < n; i++)
            put(&y[i], total[i] + (was ? was[i] : 0), false);
    }
    free(terms);
    free(total);
    free(was);
}

/* Linear in x: the note is multiplied as the element is. */
static void map(enum assay_map f, size_t n, double s, const void *x_, void *y_,
                enum assay_mode mode)
{
    const double *x = x_;
    double *y = y_, *was = mode == ASSAY_STORE ? NULL : before(n, y);
    state.base->map(f, n, s, x, y, mode);
    if (mode == ASSAY_STORE && (f == MAP_NEGATE || f == MAP_SCALE || f == MAP_DIVIDE))
        for (size_t i = 0; i < n; i++) {
            struct note from = get(&x[i]);
            if (x[i] != 0)
                put(&y[i], from.sum * magnitude(y[i] / x[i]), from.of_sum);
        }
    added(n, was, y);
}

static void map_backward(enum assay_map f, size_t n, double s, const void *x, const void *y,
                         const void *dy, void *dx)
{
    double *was = before(n, dx);
    state.base->map_backward(f, n, s, x, y, dy, dx);
    added(n, was, dx);
}

/* Element i of a walk meets its destination with terms whose magnitudes sum to `terms`. */
static void meets(double *to, double terms, double was, enum assay_mode mode)
{
    put(to, mode == ASSAY_STORE ? terms : was + terms, false);
}

static void zip(enum assay_zip f, const struct assay_walk *w, const void *x_, const void *y_,
                void *z_, enum assay_mode mode)
{
    const double *x = x_, *y = y_;
    size_t n = walk_count(w);
    double *z = z_, *was = room_for(2 * n);
    for (size_t i = 0; was && i < n; i++) {
        was[i] = get(&z[walk_at(w, i).z]).sum;
        was[n + i] = z[walk_at(w, i).z];
    }
    state.base->zip(f, w, x, y, z, mode);
    for (size_t i = 0; was && i < n; i++) {
        struct walk_place at = walk_at(w, i);
        if (f == ZIP_ADD || f == ZIP_SUBTRACT)
            meets(&z[at.z], magnitude(x[at.x]) + magnitude(y[at.y]), was[i], mode);
        else if (mode != ASSAY_STORE)
            meets(&z[at.z], magnitude(z[at.z] - was[n + i]), was[i], mode);
    }
    free(was);
}

static void masked_add(size_t n, const int32_t *condition, bool when, const void *x, void *z)
{
    double *was = before(n, z);
    state.base->masked_add(n, condition, when, x, z);
    added(n, was, z);
}

/* A copy is the same sum, whether it is stored or added. */
static void copy(const struct assay_walk *w, const void *x_, void *y_, enum assay_mode mode)
{
    const double *x = x_;
    size_t n = walk_count(w);
    double *y = y_, *was = room_for(n);
    for (size_t i = 0; was && i < n; i++)
        was[i] = get(&y[walk_at(w, i).y]).sum;
    state.base->copy(w, x, y, mode);
    for (size_t i = 0; was && i < n; i++) {
        struct walk_place at = walk_at(w, i);
        struct note from = get(&x[at.x]);
        put(&y[at.y], mode == ASSAY_STORE ? from.sum : was[i] + from.sum, from.of_sum);
    }
    free(was);
}

static void gather_rows(size_t count, size_t width, const int32_t *index, const void *table,
                        void *y_)
{
    const double *x = table;
    double *y = y_;
    state.base->gather_rows(count, width, index, table, y);
    for (size_t i = 0; i < count * width; i++) {
        struct note from = get(&x[(size_t)index[i / width] * width + i % width]);
        put(&y[i], from.sum, from.of_sum);
    }
}

static void scatter_add_rows(size_t count, size_t width, const int32_t *index, const void *x_,
                             void *table_)
{
    const double *x = x_;
    double *table = table_;
    size_t rows = 0;
    for (size_t i = 0; i < count; i++)
        rows = (size_t)index[i] >= rows ? (size_t)index[i] + 1 : rows;
    double *was = before(rows * width, table);
    state.base->scatter_add_rows(count, width, index, x, table);
    for (size_t i = 0; was && i < count * width; i++)
        was[(size_t)index[i / width] * width + i % width] += magnitude(x[i]);
    for (size_t i = 0; was && i < rows * width; i++)
        if (was[i] > 0)
            put(&table[i], was[i], false);
    free(was);
}

static void layer_norm(size_t rows, size_t width, double eps, const void *x, const void *gain,
                       const void *bias_, void *y_, void *mean, void *deviation)
{
    const double *bias = bias_;
    double *y = y_;
    state.base->layer_norm(rows, width, eps, x, gain, bias, y, mean, deviation);
    for (size_t i = 0; bias && i < rows * width; i++)
        put(&y[i], magnitude(y[i] - bias[i % width]) + magnitude(bias[i % width]), false);
}

/* d_gain and d_bias sum over the rows. */
static void norm_sums(size_t rows, size_t width, const double *x, const double *mean,
                      const double *deviation, const double *dy, double *was_gain, double *d_gain,
                      double *was_bias, double *d_bias)
{
    for (size_t j = 0; j < width; j++) {
        double gain = 0, bias = 0;
        for (size_t r = 0; r < rows; r++) {
            double centred = x[r * width + j] - (mean ? mean[r] : 0);
            gain += magnitude(dy[r * width + j] * (centred / deviation[r]));
            bias += magnitude(dy[r * width + j]);
        }
        if (was_gain)
            put(&d_gain[j], was_gain[j] + gain, false);
        if (was_bias)
            put(&d_bias[j], was_bias[j] + bias, false);
    }
    free(was_gain);
    free(was_bias);
}

static void layer_norm_backward(size_t rows, size_t width, const void *x, const void *gain,
                                const void *mean, const void *deviation, const void *dy, void *dx,
                                void *d_gain, void *d_bias, void *scratch)
{
    double *was = dx ? before(rows * width, dx) : NULL,
           *was_gain = d_gain ? before(width, d_gain) : NULL,
           *was_bias = d_bias ? before(width, d_bias) : NULL;
    state.base->layer_norm_backward(rows, width, x, gain, mean, deviation, dy, dx, d_gain, d_bias,
                                    scratch);
    added(rows * width, was, dx);
    norm_sums(rows, width, x, mean, deviation, dy, was_gain, d_gain, was_bias, d_bias);
}

static void rms_norm_backward(size_t rows, size_t width, const void *x, const void *gain,
                              const void *deviation, const void *dy, void *dx, void *d_gain,
                              void *scratch)
{
    double *was = dx ? before(rows * width, dx) : NULL,
           *was_gain = d_gain ? before(width, d_gain) : NULL;
    state.base->rms_norm_backward(rows, width, x, gain, deviation, dy, dx, d_gain, scratch);
    added(rows * width, was, dx);
    norm_sums(rows, width, x, NULL, deviation, dy, was_gain, d_gain, NULL, NULL);
}

const struct assay_kernels *assay_scales_begin(const struct assay_kernels *base)
{
    assay_scales_end();
    state.base = base;
    state.table = *base;
    state.table.name = "scales";
    state.table.product = product;
    state.table.sum = sum;
    state.table.cumulative_sum = cumulative_sum;
    state.table.map = map;
    state.table.map_backward = map_backward;
    state.table.zip = zip;
    state.table.masked_add = masked_add;
    state.table.copy = copy;
    state.table.gather_rows = gather_rows;
    state.table.scatter_add_rows = scatter_add_rows;
    state.table.layer_norm = layer_norm;
    state.table.layer_norm_backward = layer_norm_backward;
    state.table.rms_norm_backward = rms_norm_backward;
    return &state.table;
}

double assay_scales_of(size_t n, const void *x_)
{
    const double *x = x_;
    double largest = 0;
    for (size_t i = 0; i < n; i++) {
        double sum = get(&x[i]).sum;
        largest = sum > largest ? sum : largest;
    }
    return state.failed ? (double)__builtin_nanf("") : largest;
}

void assay_scales_end(void)
{
    free(state.note);
    memset(&state, 0, sizeof state);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Mistakes in rows by index, masks, rotations and scans. */
#include <string.h>

#include "harness/power/mutant.h"

/* ---- rows by index ---- */

static void gather_shifted(size_t count, size_t width, const int32_t *index, const void *table,
                           void *y)
{
    int32_t *wrong = borrow_i32(count);
    for (size_t i = 0; wrong && i < count; i++)
        wrong[i] = index[i] > 0 ? index[i] - 1 : 0;
    if (wrong)
        below()->gather_rows(count, width, wrong, table, y);
    release();
}

/* The last of several rows with one index wins. */
static void scatter_overwrites(size_t count, size_t width, const int32_t *index, const void *x,
                               void *table)
{
    for (size_t i = 0; i < count; i++)
        deliver(width, element_at(x, i * width), element_at(table, (size_t)index[i] * width),
                ASSAY_STORE);
}

static void scatter_padding_dropped(size_t count, size_t width, const int32_t *index, const void *x,
                                    void *table)
{
    for (size_t i = 0; i < count; i++)
        if (index[i])
            below()->scatter_add_rows(1, width, index + i, element_at(x, i * width), table);
}

static void scatter_last_dropped(size_t count, size_t width, const int32_t *index, const void *x,
                                 void *table)
{
    below()->scatter_add_rows(count - (count > 0), width, index, x, table);
}

REPLACES(gather_shifted, gather_rows, gather_shifted)
REPLACES(scatter_overwrites, scatter_add_rows, scatter_overwrites)
REPLACES(scatter_padding_dropped, scatter_add_rows, scatter_padding_dropped)
REPLACES(scatter_last_dropped, scatter_add_rows, scatter_last_dropped)

/* ---- masks ---- */

static void select_ignored(size_t n, const int32_t *condition, const void *x, const void *y,
                           void *z)
{
    (void)condition;
    (void)y;
    deliver(n, x, z, ASSAY_STORE);
}

/* The chosen operand gets the gradient of the other one's elements, too. */
static void masked_add_ignored(size_t n, const int32_t *condition, bool when, const void *x,
                               void *z)
{
    if (when)
        deliver(n, x, z, ASSAY_ADD);
    else
        below()->masked_add(n, condition, when, x, z);
}

REPLACES(select_ignored, select, select_ignored)
REPLACES(masked_add_ignored, masked_add, masked_add_ignored)

/* ---- rotations ---- */

static void rotate_interleaved(size_t batch, size_t n, size_t heads, size_t width, size_t pairs,
                               bool interleaved, bool inverse, const void *cosine, const void *sine,
                               const void *x, void *y, enum assay_mode mode)
{
    below()->rotate(batch, n, heads, width, pairs, !interleaved, inverse, cosine, sine, x, y, mode);
}

static void rotate_backwards(size_t batch, size_t n, size_t heads, size_t width, size_t pairs,
                             bool interleaved, bool inverse, const void *cosine, const void *sine,
                             const void *x, void *y, enum assay_mode mode)
{
    below()->rotate(batch, n, heads, width, pairs, interleaved, !inverse, cosine, sine, x, y, mode);
}

static void rotate_gradient_forward(size_t batch, size_t n, size_t heads, size_t width,
                                    size_t pairs, bool interleaved, bool inverse,
                                    const void *cosine, const void *sine, const void *x, void *y,
                                    enum assay_mode mode)
{
    (void)inverse;
    below()->rotate(batch, n, heads, width, pairs, interleaved, false, cosine, sine, x, y, mode);
}

/* Tables [n, pairs] with the row of position i + by, past the end that of the last position. */
static void *shifted(const void *table, size_t n, size_t pairs, size_t by)
{
    void *wrong = borrow(n * pairs);
    for (size_t i = 0; wrong && i < n; i++)
        for (size_t p = 0; p < pairs; p++)
            element_set(wrong, i * pairs + p,
                        element(table, (i + by < n ? i + by : n - 1) * pairs + p));
    return wrong;
}

static void rotate_shifted(size_t batch, size_t n, size_t heads, size_t width, size_t pairs,
                           bool interleaved, bool inverse, const void *cosine, const void *sine,
                           const void *x, void *y, enum assay_mode mode)
{
    void *c = shifted(cosine, n, pairs, 1), *s = shifted(sine, n, pairs, 1);
    if (c && s)
        below()->rotate(batch, n, heads, width, pairs, interleaved, inverse, c, s, x, y, mode);
    release();
}

/* The pair of the lowest frequency stays as it is. */
static void rotate_last_pair(size_t batch, size_t n, size_t heads, size_t width, size_t pairs,
                             bool interleaved, bool inverse, const void *cosine, const void *sine,
                             const void *x, void *y, enum assay_mode mode)
{
    void *c = borrow_copy(n * pairs, cosine), *s = borrow_copy(n * pairs, sine);
    for (size_t i = 0; c && s && i < n; i++) {
        element_set(c, i * pairs + pairs - 1, 1);
        element_set(s, i * pairs + pairs - 1, 0);
    }
    if (c && s)
        below()->rotate(batch, n, heads, width, pairs, interleaved, inverse, c, s, x, y, mode);
    release();
}

static void rotate_sine_cosine(size_t batch, size_t n, size_t heads, size_t width, size_t pairs,
                               bool interleaved, bool inverse, const void *cosine, const void *sine,
                               const void *x, void *y, enum assay_mode mode)
{
    below()->rotate(batch, n, heads, width, pairs, interleaved, inverse, sine, cosine, x, y, mode);
}

/* The halves of each vector change places before they are turned. */
static void rotate_halves(size_t batch, size_t n, size_t heads, size_t width, size_t pairs,
                          bool interleaved, bool inverse, const void *cosine, const void *sine,
                          const void *x, void *y, enum assay_mode mode)
{
    size_t rows = batch * n * heads;
    void *wrong = borrow_copy(rows * width, x);
    for (size_t r = 0; wrong && r < rows; r++)
        for (size_t p = 0; p < 2 * pairs; p++)
            element_set(wrong, r * width + p, element(x, r * width + (p + pairs) % (2 * pairs)));
    if (wrong)
        below()->rotate(batch, n, heads, width, pairs, interleaved, inverse, cosine, sine, wrong, y,
                        mode);
    release();
}

REPLACES(rotate_interleaved, rotate, rotate_interleaved)
REPLACES(rotate_backwards, rotate, rotate_backwards)
REPLACES(rotate_gradient_forward, rotate, rotate_gradient_forward)
REPLACES(rotate_shifted, rotate, rotate_shifted)
REPLACES(rotate_last_pair, rotate, rotate_last_pair)
REPLACES(rotate_sine_cosine, rotate, rotate_sine_cosine)
REPLACES(rotate_halves, rotate, rotate_halves)

/* ---- scans of matrix states ---- */

/* Rows of n of each sample moved one step on; the first is zero. */
static void *delayed(const void *x, size_t batch, size_t n, size_t width)
{
    void *late = borrow(batch * n * width);
    for (size_t b = 0; late && n > 1 && b < batch; b++)
        memcpy(element_at(late, (b * n + 1) * width), element_at(x, b * n * width),
               (n - 1) * width * below()->element);
    return late;
}

/* o_t reads the state before step t. */
static void scan_exclusive(const struct assay_matrix_scan *s)
{
    struct assay_matrix_scan wrong = *s;
    wrong.k = delayed(s->k, s->batch, s->n, s->d_k);
    wrong.v = delayed(s->v, s->batch, s->n, s->d_v);
    if (wrong.k && wrong.v)
        below()->matrix_scan(&wrong);
    release();
}

/* The next sample starts from the state that the one before left. */
static void scan_state_carried(const struct assay_matrix_scan *s)
{
    size_t state = s->d_k * s->d_v;
    void *end = borrow(state), *start = borrow(state);
    for (size_t b = 0; end && start && b < s->batch; b++) {
        struct assay_matrix_scan one = *s;
        one.batch = 1;
        one.q = element_at(s->q, b * s->n * s->d_k);
        one.k = element_at(s->k, b * s->n * s->d_k);
        one.v = element_at(s->v, b * s->n * s->d_v);
        one.o = element_at(s->o, b * s->n * s->d_v);
        one.decay = element_at(s->decay, b * s->n * s->decay_width);
        one.start = b ? start : s->start;
        one.end = end;
        below()->matrix_scan(&one);
        memcpy(start, end, state * below()->element);
        if (s->end)
            memcpy(element_at(s->end, b * state), end, state * below()->element);
    }
    release();
}

static void scan_key_gradient(const struct assay_matrix_scan *s)
{
    struct assay_matrix_scan wrong = *s;
    wrong.d_k_out = NULL;
    below()->matrix_scan_backward(&wrong);
}

static void scan_value_gradient(const struct assay_matrix_scan *s)
{
    struct assay_matrix_scan wrong = *s;
    wrong.d_v_out = NULL;
    below()->matrix_scan_backward(&wrong);
}

static void scan_query_gradient(const struct assay_matrix_scan *s)
{
    struct assay_matrix_scan wrong = *s;
    wrong.d_q = NULL;
    below()->matrix_scan_backward(&wrong);
}

REPLACES(scan_exclusive, matrix_scan, scan_exclusive)
REPLACES(scan_state_carried, matrix_scan, scan_state_carried)
REPLACES(scan_key_gradient, matrix_scan_backward, scan_key_gradient)
REPLACES(scan_value_gradient, matrix_scan_backward, scan_value_gradient)
REPLACES(scan_query_gradient, matrix_scan_backward, scan_query_gradient)

/* SPDX-License-Identifier: Apache-2.0 */
/* Mistakes in products, sums, copies and functions of two operands. */
#include <string.h>

#include "harness/power/mutant.h"

/* ---- products ---- */

static void operand_transposed(const struct assay_product *p)
{
    struct assay_product wrong = *p;
    if (p->n == p->k) {
        wrong.b_row = p->b_column;
        wrong.b_column = p->b_row;
    }
    below()->product(&wrong);
}

/* Where only the gradient with respect to the input is wrong: dy W in place of dy W^T. */
static void input_gradient_transposed(const struct assay_product *p)
{
    bool gradient = p->mode == ASSAY_ADD && p->b_column > 1;
    if (gradient)
        operand_transposed(p);
    else
        below()->product(p);
}

/* (x^T dy)^T = dy^T x in place of x^T dy, for square weights. */
static void gradient_transposed(const struct assay_product *p)
{
    struct assay_product wrong = *p;
    if (p->mode == ASSAY_ADD && p->a_column > 1 && p->m == p->n) {
        wrong.a = p->b, wrong.a_row = p->b_column, wrong.a_column = p->b_row;
        wrong.b = p->a, wrong.b_row = p->a_column, wrong.b_column = p->a_row;
        for (int i = 0; i < 2; i++) {
            wrong.a_batch[i] = p->b_batch[i];
            wrong.b_batch[i] = p->a_batch[i];
        }
    }
    below()->product(&wrong);
}

static void last_term(const struct assay_product *p)
{
    struct assay_product wrong = *p;
    wrong.k -= p->k > 1;
    below()->product(&wrong);
}

static void last_row_stale(const struct assay_product *p)
{
    struct assay_product wrong = *p;
    bool stale = p->mode == ASSAY_STORE && p->m > 1;
    if (!stale) {
        below()->product(p);
        return;
    }
    wrong.m--;
    below()->product(&wrong);
    for (size_t i = 0; i < p->batch[0]; i++)
        for (size_t j = 0; j < p->batch[1]; j++) {
            size_t last = i * p->c_batch[0] + j * p->c_batch[1] + (p->m - 1) * p->c_row;
            memcpy(element_at(p->c, last), element_at(p->c, last - p->c_row),
                   p->n * below()->element);
        }
}

static void gradient_stored(const struct assay_product *p)
{
    struct assay_product wrong = *p;
    if (p->mode == ASSAY_ADD)
        wrong.mode = ASSAY_STORE;
    below()->product(&wrong);
}

static size_t extent(const size_t batch[2], const size_t stride[2], size_t rows, size_t row,
                     size_t columns, size_t column)
{
    return (batch[0] - 1) * stride[0] + (batch[1] - 1) * stride[1] + (rows - 1) * row
           + (columns - 1) * column + 1;
}

static void product_tf32(const struct assay_product *p)
{
    struct assay_product wrong = *p;
    if (p->m && p->n && p->k && p->batch[0] && p->batch[1]) {
        size_t n = extent(p->batch, p->a_batch, p->m, p->a_row, p->k, p->a_column);
        void *a = borrow_copy(n, p->a);
        shorten(n, a);
        n = extent(p->batch, p->b_batch, p->k, p->b_row, p->n, p->b_column);
        void *b = borrow_copy(n, p->b);
        shorten(n, b);
        if (a && b)
            wrong.a = a, wrong.b = b;
    }
    below()->product(&wrong);
    release();
}

REPLACES(product_operand_transposed, product, operand_transposed)
REPLACES(product_gradient_transposed, product, gradient_transposed)
REPLACES(product_input_gradient_transposed, product, input_gradient_transposed)
REPLACES(product_last_term, product, last_term)
REPLACES(product_last_row_stale, product, last_row_stale)
REPLACES(product_gradient_stored, product, gradient_stored)
REPLACES(product_tf32, product, product_tf32)

/* ---- sums ---- */

/* Of every sum but those of one term. The last term of an outer index is at its end. */
static void sum_last_term(size_t outer, size_t length, size_t inner, const void *x, void *y,
                          enum assay_mode mode)
{
    for (size_t o = 0; o < outer; o++)
        below()->sum(1, length - (length > 1), inner, element_at(x, o * length * inner),
                     element_at(y, o * inner), mode);
}

static void bias_gradient_averaged(size_t outer, size_t length, size_t inner, const void *x,
                                   void *y, enum assay_mode mode)
{
    bool averaged = mode == ASSAY_ADD && outer == 1 && length > 1 && inner > 1;
    void *sum = averaged ? borrow(inner) : NULL;
    if (sum) {
        below()->sum(outer, length, inner, x, sum, ASSAY_STORE);
        below()->map(MAP_DIVIDE, inner, (double)length, sum, y, mode);
    } else
        below()->sum(outer, length, inner, x, y, mode);
    release();
}

/* Gradients of sums and residuals. */
static void sum_gradient_stored(size_t outer, size_t length, size_t inner, const void *x, void *y,
                                enum assay_mode mode)
{
    below()->sum(outer, length, inner, x, y, mode == ASSAY_ADD && length == 1 ? ASSAY_STORE : mode);
}

/* Gradients of what was subtracted, or divided by. */
static void sum_subtracted_dropped(size_t outer, size_t length, size_t inner, const void *x,
                                   void *y, enum assay_mode mode)
{
    if (mode != ASSAY_SUBTRACT)
        below()->sum(outer, length, inner, x, y, mode);
}

static void sum_subtracted_added(size_t outer, size_t length, size_t inner, const void *x, void *y,
                                 enum assay_mode mode)
{
    below()->sum(outer, length, inner, x, y, mode == ASSAY_SUBTRACT ? ASSAY_ADD : mode);
}

REPLACES(sum_last_term, sum, sum_last_term)
REPLACES(sum_gradient_stored, sum, sum_gradient_stored)
REPLACES(sum_subtracted_dropped, sum, sum_subtracted_dropped)
REPLACES(sum_subtracted_added, sum, sum_subtracted_added)
REPLACES(sum_bias_gradient_averaged, sum, bias_gradient_averaged)

/* ---- copies ---- */

/* A row that is added to all rows: how linear layers add their bias. */
static bool adds_row(const struct assay_walk *w, enum assay_mode mode)
{
    return mode == ASSAY_ADD && w->rank == 2 && w->x[0] == 0 && w->x[1] == 1;
}

static void bias_missing(const struct assay_walk *w, const void *x, void *y, enum assay_mode mode)
{
    if (!adds_row(w, mode))
        below()->copy(w, x, y, mode);
}

static void bias_twice(const struct assay_walk *w, const void *x, void *y, enum assay_mode mode)
{
    below()->copy(w, x, y, mode);
    if (adds_row(w, mode))
        below()->copy(w, x, y, mode);
}

static void copy_gradient_stored(const struct assay_walk *w, const void *x, void *y,
                                 enum assay_mode mode)
{
    below()->copy(w, x, y, mode == ASSAY_ADD && !adds_row(w, mode) ? ASSAY_STORE : mode);
}

REPLACES(bias_missing, copy, bias_missing)
REPLACES(bias_twice, copy, bias_twice)
REPLACES(copy_gradient_stored, copy, copy_gradient_stored)

/* ---- two operands ---- */

static size_t walk_elements(const struct assay_walk *w)
{
    size_t n = 1;
    for (int i = 0; i < w->rank; i++)
        n *= w->dim[i];
    return n;
}

/* Operands of one shape, of three axes as streams are: x + f(x). */
static bool adds_streams(enum assay_zip f, const struct assay_walk *w, enum assay_mode mode)
{
    bool equal = true;
    for (int i = 0; i < w->rank; i++)
        equal = equal && w->x[i] == w->z[i] && w->y[i] == w->z[i];
    return f == ZIP_ADD && mode == ASSAY_STORE && w->rank == 3 && equal;
}

static void residual_missing(enum assay_zip f, const struct assay_walk *w, const void *x,
                             const void *y, void *z, enum assay_mode mode)
{
    if (adds_streams(f, w, mode))
        deliver(walk_elements(w), y, z, mode);
    else
        below()->zip(f, w, x, y, z, mode);
}

static void residual_halved(enum assay_zip f, const struct assay_walk *w, const void *x,
                            const void *y, void *z, enum assay_mode mode)
{
    void *sum = adds_streams(f, w, mode) ? borrow(walk_elements(w)) : NULL;
    if (sum) {
        below()->zip(f, w, x, y, sum, ASSAY_STORE);
        below()->map(MAP_SCALE, walk_elements(w), 0.5, sum, z, mode);
    } else
        below()->zip(f, w, x, y, z, mode);
    release();
}

/* [b, n, d] + [n, d]: a table of positions. */
static bool adds_table(enum assay_zip f, const struct assay_walk *w, enum assay_mode mode)
{
    return f == ZIP_ADD && mode == ASSAY_STORE && w->rank == 3 && w->y[0] == 0 && w->y[1] > 0
           && w->dim[1] > 1;
}

/* Position i gets row i + 1, the last one row 0. */
static void position_shifted(enum assay_zip f, const struct assay_walk *w, const void *x,
                             const void *y, void *z, enum assay_mode mode)
{
    if (!adds_table(f, w, mode)) {
        below()->zip(f, w, x, y, z, mode);
        return;
    }
    struct assay_walk part = *w;
    part.dim[1] = w->dim[1] - 1;
    below()->zip(f, &part, x, element_at(y, (size_t)w->y[1]), z, mode);
    size_t last = w->dim[1] - 1;
    part.dim[1] = 1;
    below()->zip(f, &part, element_at(x, last * (size_t)w->x[1]), y,
                 element_at(z, last * (size_t)w->z[1]), mode);
}

/* The last position gets the row of the one before: a table that is one too short, clipped. */
static void position_of_last(enum assay_zip f, const struct assay_walk *w, const void *x,
                             const void *y, void *z, enum assay_mode mode)
{
    below()->zip(f, w, x, y, z, mode);
    if (!adds_table(f, w, mode))
        return;
    struct assay_walk part = *w;
    size_t last = w->dim[1] - 1;
    part.dim[1] = 1;
    below()->zip(f, &part, element_at(x, last * (size_t)w->x[1]),
                 element_at(y, (last - 1) * (size_t)w->y[1]), element_at(z, last * (size_t)w->z[1]),
                 mode);
}

/* The gradient of x y with respect to x is dz in place of dz y. */
static void multiply_gradient(enum assay_zip f, const struct assay_walk *w, const void *x,
                              const void *y, void *z, enum assay_mode mode)
{
    struct assay_walk same = *w;
    memcpy(same.y, same.x, sizeof same.y);
    if (f == ZIP_MULTIPLY && mode == ASSAY_ADD)
        below()->zip(ZIP_MAX, &same, x, x, z, mode);
    else
        below()->zip(f, w, x, y, z, mode);
}

static void subtract_reversed(enum assay_zip f, const struct assay_walk *w, const void *x,
                              const void *y, void *z, enum assay_mode mode)
{
    struct assay_walk wrong = *w;
    if (f != ZIP_SUBTRACT) {
        below()->zip(f, w, x, y, z, mode);
        return;
    }
    memcpy(wrong.x, w->y, sizeof wrong.x);
    memcpy(wrong.y, w->x, sizeof wrong.y);
    below()->zip(f, &wrong, y, x, z, mode);
}

REPLACES(residual_missing, zip, residual_missing)
REPLACES(residual_halved, zip, residual_halved)
REPLACES(position_shifted, zip, position_shifted)
REPLACES(position_of_last, zip, position_of_last)
REPLACES(multiply_gradient, zip, multiply_gradient)
REPLACES(subtract_reversed, zip, subtract_reversed)

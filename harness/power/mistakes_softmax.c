/* SPDX-License-Identifier: Apache-2.0 */
/* Mistakes in softmax over the rows of a matrix. */
#include "harness/power/mutant.h"

static void unmasked(size_t rows, size_t width, const struct assay_row_mask *mask, const void *x,
                     void *y)
{
    struct assay_row_mask all = *mask;
    all.allowed = NULL;
    below()->softmax(rows, width, &all, x, y);
}

static void unmasked_backward(size_t rows, size_t width, const struct assay_row_mask *mask,
                              const void *y, const void *dy, void *dx)
{
    struct assay_row_mask all = *mask;
    all.allowed = NULL;
    below()->softmax_backward(rows, width, &all, y, dy, dx);
}

void mistake_softmax_unmasked(struct assay_kernels *table)
{
    table->softmax = unmasked;
    table->softmax_backward = unmasked_backward;
}

/* exp2: the argument times log 2. */
static void base_two(size_t rows, size_t width, const struct assay_row_mask *mask, const void *x,
                     void *y)
{
    void *scaled = borrow(rows * width);
    if (scaled) {
        below()->map(MAP_SCALE, rows * width, 0.69314718055994530942, x, scaled, ASSAY_STORE);
        below()->softmax(rows, width, mask, scaled, y);
    }
    release();
}

REPLACES(softmax_base_two, softmax, base_two)

/* dx = y dy: the sum that every element shares is left out. */
static void no_subtraction(size_t rows, size_t width, const struct assay_row_mask *mask,
                           const void *y, const void *dy, void *dx)
{
    struct assay_walk w = {.rank = 1, .dim = {rows * width}, .x = {1}, .y = {1}, .z = {1}};
    (void)mask;
    below()->zip(ZIP_MULTIPLY, &w, y, dy, dx, ASSAY_ADD);
}

REPLACES(softmax_no_subtraction, softmax_backward, no_subtraction)

/* The last row is that of the row before. */
static void last_row_stale(size_t rows, size_t width, const struct assay_row_mask *mask,
                           const void *x, void *y)
{
    below()->softmax(rows, width, mask, x, y);
    for (size_t j = 0; rows > 1 && j < width; j++)
        element_set(y, (rows - 1) * width + j, element(y, (rows - 2) * width + j));
}

REPLACES(softmax_last_row_stale, softmax, last_row_stale)

/* SPDX-License-Identifier: Apache-2.0 */
/* Images as tokens: what vision papers have in common. A batch holds an image of rows x columns
 * pixels in raster order: "values" [b, rows columns, channels], or ids, which are grey levels. */
#ifndef ASSAY_IMAGES_H
#define ASSAY_IMAGES_H

#include "ref/variant.h"

struct grid { size_t rows, columns; };

/* The hyper-parameter that gives an image its form. */
#define IMAGE_ROWS "rows", "rows of the image; 0: it is a square", 0, 0, NOT_NEGATIVE

/* n tokens in `rows` rows, 0: in a square; no columns where that can't be. */
struct grid grid_of(size_t n, size_t rows);
/* What keeps a configuration's `length` from being an image of such rows, cut into patches of
 * patch x patch pixels, and its frame from being an image classifier's; or NULL. */
const char *image_fault(const struct assay_config *c, size_t rows, size_t patch);
/* The pixels of the image nearest to n that has no such fault. */
size_t image_near(size_t n, size_t rows, size_t patch);

/* The pixels of the batch [b, H W, C]. Grey level i of V is 2 i / (V - 1) - 1, one channel; id 0
 * is black, and no padding. Error: another number of pixels than the length. */
tensor image_pixels(layer *l);
/* x [b, H W, C] -> [b, (H/p) (W/p), p p C]: patches in raster order, each a raster of pixels. */
tensor image_patches(tape *t, tensor x, struct grid g, size_t p);
/* The way back: g is the grid of pixels. */
tensor image_from_patches(tape *t, tensor x, struct grid g, size_t p);

/* A grid cut into windows of size x size tokens, after it was rolled by -shift along both axes, and
 * filled up with zeros to `padded`, whole windows of it. */
struct windows { struct grid grid, padded; size_t size, shift; };
struct windows windows_on(struct grid g, size_t size, size_t shift);
/* x [b, H W, d] -> [b windows, size size, d]: windows in raster order, each a raster of tokens. */
tensor image_windows(tape *t, tensor x, const struct windows *w);
/* The way back; the zeros' places are left out. */
tensor image_from_windows(tape *t, tensor x, const struct windows *w);

/* x [b, H W, d] -> [b, (H/2) (W/2), 4 d], sides rounded up: of each 2 x 2 tokens those at (row,
 * column) (0, 0), (1, 0), (0, 1), (1, 1), zeros beyond an odd side. */
tensor image_merged(tape *t, tensor x, struct grid g);

/* Slot `position`: the configured table, with a row for each token that there is. */
tensor image_positions(layer *l, tensor x);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* Images as tokens: grids, grey levels, patches, windows. */
#include "ref/parts/images.h"

#include "ref/model/internal.h"

static size_t root(size_t n)
{
    size_t s = 0;
    while ((s + 1) * (s + 1) <= n)
        s++;
    return s;
}

struct grid grid_of(size_t n, size_t rows)
{
    if (!rows)
        rows = root(n);
    return (struct grid){rows, rows && n % rows == 0 ? n / rows : 0};
}

const char *image_fault(const struct assay_config *c, size_t rows, size_t patch)
{
    struct grid g = grid_of(c->length, rows);
    if (c->frame != FRAME_ENCODER || c->head != HEAD_CLASSIFY)
        return "frame and head: expected an encoder that classifies images";
    if (!rows && g.columns != g.rows)
        return "length: expected the pixels of a square image, unless rows is given";
    if (!g.columns)
        return "rows: expected a divisor of the length, the number of pixels";
    if (g.rows % patch || g.columns % patch)
        return "patch: expected a divisor of both sides of the image";
    return NULL;
}

size_t image_near(size_t n, size_t rows, size_t patch)
{
    size_t side = rows ? n / rows : root(n), low = side / patch * patch, high = low + patch;
    size_t less = low * (rows ? rows : low), more = high * (rows ? rows : high);
    return less && n - less <= more - n ? less : more;
}

/* [V, 1]: -1 .. 1 in equal steps */
static void levels(struct assay_shape shape, double unused, double *value)
{
    double last = (double)shape.dim[0] - 1;
    (void)unused;
    for (size_t i = 0; i < shape.dim[0]; i++)
        value[i] = last > 0 ? (2 * (double)i - last) / last : 0;
}

tensor image_pixels(layer *l)
{
    const struct assay_config *c = config_of(l);
    tensor ids = l->context->ids, x;
    if (c->inputs == INPUTS_VALUES)
        x = input(l, "values");
    else
        x = gather_rows(l->t, buffer(l, "level", SHAPE(c->vocab, 1), init_table(levels, 0)), ids);
    if (!x || dim_of(x, 1) == c->length)
        return x;
    layer_fail(l, "image", "expected an image of %zu pixels, found %zu", c->length, dim_of(x, 1));
    return TENSOR_NONE;
}

tensor image_patches(tape *t, tensor x, struct grid g, size_t p)
{
    if (!x)
        return TENSOR_NONE;
    size_t b = dim_of(x, 0), rows = g.rows / p, columns = g.columns / p, c = width_of(x);
    tensor y = reshape(t, x, SHAPE(b, rows, p, columns, p, c));
    y = permute(t, y, (const int[]){0, 1, 3, 2, 4, 5});
    return reshape(t, y, SHAPE(b, rows * columns, p * p * c));
}

tensor image_from_patches(tape *t, tensor x, struct grid g, size_t p)
{
    if (!x)
        return TENSOR_NONE;
    size_t b = dim_of(x, 0), rows = g.rows / p, columns = g.columns / p, c = width_of(x) / (p * p);
    tensor y = reshape(t, x, SHAPE(b, rows, columns, p, p, c));
    y = permute(t, y, (const int[]){0, 1, 3, 2, 4, 5});
    return reshape(t, y, SHAPE(b, g.rows * g.columns, c));
}

static size_t up_to(size_t n, size_t multiple)
{
    return multiple ? (n + multiple - 1) / multiple * multiple : n;
}

struct windows windows_on(struct grid g, size_t size, size_t shift)
{
    return (struct windows){g, {up_to(g.rows, size), up_to(g.columns, size)}, size, shift};
}

/* x [b, H W, d] -> [b, rows, columns, d] with zeros after the last row and column */
static tensor filled_up(tape *t, tensor x, struct grid g, struct grid to)
{
    x = reshape(t, x, SHAPE(dim_of(x, 0), g.rows, g.columns, width_of(x)));
    x = to.rows > g.rows ? pad(t, x, 1, 0, to.rows - g.rows) : x;
    return to.columns > g.columns ? pad(t, x, 2, 0, to.columns - g.columns) : x;
}

tensor image_windows(tape *t, tensor x, const struct windows *w)
{
    if (!x)
        return TENSOR_NONE;
    struct grid all = w->padded;
    size_t b = dim_of(x, 0), d = width_of(x), n = w->size * w->size;
    long by = -(long)w->shift;
    x = filled_up(t, x, w->grid, all);
    x = by ? roll(t, roll(t, x, 1, by), 2, by) : x;
    x = image_patches(t, reshape(t, x, SHAPE(b, all.rows * all.columns, d)), all, w->size);
    return reshape(t, x, SHAPE(b * all.rows * all.columns / n, n, d));
}

tensor image_from_windows(tape *t, tensor x, const struct windows *w)
{
    if (!x)
        return TENSOR_NONE;
    struct grid g = w->grid, all = w->padded;
    size_t d = width_of(x), n = w->size * w->size, windows = all.rows * all.columns / n;
    size_t b = dim_of(x, 0) / windows;
    long by = (long)w->shift;
    x = image_from_patches(t, reshape(t, x, SHAPE(b, windows, n * d)), all, w->size);
    x = reshape(t, x, SHAPE(b, all.rows, all.columns, d));
    x = by ? roll(t, roll(t, x, 2, by), 1, by) : x;
    x = all.rows > g.rows ? slice(t, x, 1, 0, g.rows) : x;
    x = all.columns > g.columns ? slice(t, x, 2, 0, g.columns) : x;
    return reshape(t, x, SHAPE(b, g.rows * g.columns, d));
}

tensor image_merged(tape *t, tensor x, struct grid g)
{
    if (!x)
        return TENSOR_NONE;
    size_t b = dim_of(x, 0), d = width_of(x);
    size_t rows = (g.rows + 1) / 2, columns = (g.columns + 1) / 2;
    x = filled_up(t, x, g, (struct grid){2 * rows, 2 * columns});
    x = reshape(t, x, SHAPE(b, rows, 2, columns, 2, d));
    x = permute(t, x, (const int[]){0, 1, 3, 4, 2, 5});
    return reshape(t, x, SHAPE(b, rows * columns, 4 * d));
}

tensor image_positions(layer *l, tensor x)
{
    return x ? add_positions(l, x, dim_of(x, 1)) : TENSOR_NONE;
}

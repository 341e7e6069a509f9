/* SPDX-License-Identifier: Apache-2.0 */
/* Images as tokens: grids and what is no image; patches, windows and merging on grids whose tokens
 * are numbered; grey levels; a stage's configuration. */
#include <stdlib.h>
#include <string.h>

#include "harness/tests/tap.h"
#include "ref/parts/images.h"

static bool reads(tape *t, tensor x, struct assay_shape shape, const double *expected)
{
    double value[64];
    if (!x || !shape_equal(x->shape, shape) || elements_of(x) > 64)
        return false;
    tensor_read(t, x, value);
    return memcmp(value, expected, elements_of(x) * sizeof *value) == 0;
}

/* Token i is i + 1. */
static tensor numbered(tape *t, size_t samples, size_t tokens)
{
    double value[64];
    for (size_t i = 0; i < samples * tokens; i++)
        value[i] = (double)(i + 1);
    return tape_input_f64(t, SHAPE(samples, tokens, 1), value);
}

static void grids(void)
{
    struct grid square = grid_of(49, 0), wide = grid_of(48, 6), none = grid_of(48, 0),
                uneven = grid_of(49, 6);
    ok(square.rows == 7 && square.columns == 7, "49 pixels are a square of 7");
    ok(wide.rows == 6 && wide.columns == 8, "48 pixels in 6 rows have 8 columns");
    ok(none.rows != none.columns && uneven.columns == 0, "48 are no square, 49 no 6 rows");
    ok(image_near(1536, 0, 4) == 1600 && image_near(2048, 0, 8) == 2304
           && image_near(100, 6, 4) == 96 && image_near(3, 0, 4) == 16,
       "the nearest images of whole patches");
}

static bool fault_is(const char *overrides, size_t rows, size_t patch, const char *about)
{
    char error[300];
    struct assay_config c;
    if (config_make(&c, NULL, overrides, error, sizeof error) != 0)
        return false;
    const char *fault = image_fault(&c, rows, patch);
    return about ? fault && strncmp(fault, about, strlen(about)) == 0 : !fault;
}

static void refusals(void)
{
    ok(fault_is("length=64", 0, 4, NULL) && fault_is("length=96", 8, 4, NULL), "what are images");
    ok(fault_is("length=96", 0, 4, "length: "), "96 pixels without rows are none");
    ok(fault_is("length=96", 7, 1, "rows: "), "nor in 7 rows");
    ok(fault_is("length=36", 0, 4, "patch: "), "6 x 6 pixels have no patches of 4");
    ok(fault_is("length=64 frame=decoder head=language", 0, 4, "frame and head: "),
       "a language model reads none");
}

static void patches(tape *t)
{
    const double cut[12] = {1, 2, 5, 6, 3, 4, 7, 8, 9, 10, 13, 14};
    tensor x = numbered(t, 1, 16), y = image_patches(t, x, (struct grid){4, 4}, 2);
    ok(reads(t, slice(t, y, 1, 0, 3), SHAPE(1, 3, 4), cut), "patches in raster order");
    x = numbered(t, 2, 24);
    y = image_from_patches(t, image_patches(t, x, (struct grid){4, 6}, 2), (struct grid){4, 6}, 2);
    double back[48];
    tensor_read(t, x, back);
    ok(reads(t, y, SHAPE(2, 24, 1), back), "and back");
}

static void windows(tape *t)
{
    /* 3 x 5 tokens, filled up to 4 x 6, rolled by -1: windows at (1, 1), (1, 3), (1, 5), ... */
    const double cut[24] = {7, 8, 12, 13, 9, 10, 14, 15, 0, 6, 0, 11,
                            0, 0, 2,  3,  0, 0,  4,  5,  0, 0, 0, 1};
    struct windows w = windows_on((struct grid){3, 5}, 2, 1);
    tensor x = numbered(t, 1, 15), y = image_windows(t, x, &w);
    ok(reads(t, y, SHAPE(6, 4, 1), cut), "windows of a rolled grid that they do not divide");
    tensor two = numbered(t, 2, 15);
    double back[30];
    tensor_read(t, two, back);
    y = image_from_windows(t, image_windows(t, two, &w), &w);
    ok(reads(t, y, SHAPE(2, 15, 1), back), "and back");
    const double merged[24] = {1,  6, 2,  7, 3,  8, 4,  9, 5,  10, 0, 0,
                               11, 0, 12, 0, 13, 0, 14, 0, 15, 0,  0, 0};
    ok(reads(t, image_merged(t, x, (struct grid){3, 5}), SHAPE(1, 6, 4), merged),
       "2 x 2 tokens merged by columns, zeros beyond odd sides");
}

/* In a paper's model of grey images. */
static void stages_and_levels(tape *t)
{
    static const double grey[5] = {-1, -0.5, 0, 0.5, 1};
    const struct assay_variant *v = variant_find("vit");
    char error[300] = "";
    double value[5] = {9};
    struct assay_config c, wide;
    struct assay_model m = {0};
    struct assay_batch *b = NULL;
    bool made =
        config_make(&c, v, "vocab=5 length=64", error, sizeof error) == 0
        && (b = batch_random(v, &c, 1, c.length, 1))
        && model_open(&m, assay_kernels_def(ASSAY_F64), v, &c, b, 1, error, sizeof error) == 0;
    const struct assay_entry *e = made ? model_find(&m, "embed.level") : NULL;
    if (e && e->elements == 5)
        model_read(&m, e, value);
    ok(memcmp(value, grey, sizeof grey) == 0, "five grey levels from -1 to 1%s", error);
    struct assay_context context = {.batch = b};
    layer l = {.model = &m, .t = t, .context = &context};
    wide = m.config;
    wide.hidden *= 2;
    ok(config_of(&l) == &m.config, "a layer sees the model's configuration");
    context.stage = &wide;
    ok(config_of(&l) == &wide, "in a stage, the stage's");
    batch_free(b);
    model_close(&m);
}

int main(void)
{
    tape t;
    if (tape_open(&t, assay_kernels_def(ASSAY_F64)) != 0) {
        ok(false, "memory");
        return done_testing();
    }
    grids();
    refusals();
    patches(&t);
    windows(&t);
    stages_and_levels(&t);
    ok(!tape_error(&t), "no op was used wrongly%s%s", tape_error(&t) ? ": " : "",
       tape_error(&t) ? tape_error(&t) : "");
    tape_close(&t);
    return done_testing();
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Image: which of ten figures is it? Grey pixels row by row, id = grey level, 10 classes.
 *
 * Long Range Arena (Tay et al. 2021, arXiv:2011.04006) classifies CIFAR-10 in grey. The generator
 * draws images of the same form, 10 classes of figures and textures of random place and size, so
 * that grey levels alone say nothing of the class: every class gives each pixel a rank (how far
 * from the figure it is), and the A pixels of least rank are bright, with A, the levels and the
 * noise drawn alike for all classes. So a bag of pixels is right one time in ten.
 *
 * Draws of an image of side s, from the stream "image" of the seed: class; A in s^2/6 .. s^2/3; the
 * centre, at most s/8 from the middle; a period, s/5 .. s/3; dark level 32 .. 79, bright level
 * 128 .. 223; then for each pixel 16 bits that decide between equal ranks, and noise in -16 .. 16.
 * Levels are rounded down to multiples of a step and raised by half of it (the smaller a preset, the
 * coarser: a level is a token of its own, of which a short training can learn few). They are
 * 16 .. 255: no pixel is 0, which would be masked as padding. Noise makes it as good as impossible
 * that an image is met twice. */
#include <stdlib.h>
#include <string.h>

#include "ref/rng.h"
#include "suites/real.h"

enum { CLASSES = 10, LEVELS = 256, SIDE_MIN = 8, SIDE_MAX = 256, NOISE = 16 };

/* What a preset's detail points to. */
struct levels {
    int step;
};

/* bright: A; centre: x and y, in half pixels as the period of textures. */
struct figure {
    int class, side, bright, centre[2], period;
};

static int least(int a, int b)
{
    return a < b ? a : b;
}

static int most(int a, int b)
{
    return a > b ? a : b;
}

/* How far a pixel is from the nearest line of a lattice through the centre; all in half pixels. */
static int from_line(int at, int period)
{
    int behind = abs(at) % period;
    return least(behind, period - behind);
}

/* The rank of a pixel; u, v: its place relative to the centre, in half pixels. The ring's radius
 * makes it s/8 thick: 2 pi r s/8 = A. */
static int rank(const struct figure *f, int x, int y)
{
    int u = 2 * x - f->centre[0], v = 2 * y - f->centre[1], radius = 5 * f->bright / (2 * f->side);
    int across = abs(u + v), along = abs(u - v);
    switch (f->class) {
    case 0:
        return u * u + v * v; /* disc */
    case 1:
        return abs(u * u + v * v - radius * radius); /* ring */
    case 2:
        return 4 * least(abs(u), abs(v)) + most(abs(u), abs(v)); /* cross */
    case 3:
        return 4 * least(across, along) + most(across, along); /* saltire */
    case 4:
        return most(abs(u), 4 * abs(v)); /* lying bar */
    case 5:
        return most(4 * abs(u), abs(v)); /* standing bar */
    case 6:
        return from_line(v, f->period); /* stripes */
    case 7:
        return from_line(u, f->period); /* bars */
    case 8:
        return from_line(u + v, f->period); /* diagonals */
    default:
        return most(from_line(u, f->period), from_line(v, f->period)); /* dots */
    }
}

static int draw_from(struct assay_rng *rng, int low, int high)
{
    return low + (int)assay_rng_below(rng, (uint32_t)(high - low + 1));
}

static int by_value(const void *left, const void *right)
{
    const uint64_t *a = left, *b = right;
    return (*a > *b) - (*a < *b);
}

/* ids: [side * side]; key: room for as many -> the class. */
static int32_t draw(struct assay_rng *rng, int side, int step, uint64_t *key, int32_t *ids)
{
    struct figure f = {.class = draw_from(rng, 0, CLASSES - 1), .side = side};
    int pixels = side * side;
    f.bright = draw_from(rng, pixels / 6, pixels / 3);
    for (int i = 0; i < 2; i++)
        f.centre[i] = draw_from(rng, side - side / 4, side + side / 4);
    f.period = draw_from(rng, 2 * side / 5, 2 * side / 3);
    int dark = draw_from(rng, 32, 79), bright = draw_from(rng, 128, 223);
    for (int i = 0; i < pixels; i++) {
        uint64_t order =
            (uint64_t)rank(&f, i % side, i / side) << 16 | assay_rng_below(rng, 1 << 16);
        key[i] = order << 16 | (uint64_t)i;
        ids[i] = dark + draw_from(rng, -NOISE, NOISE);
    }
    qsort(key, (size_t)pixels, sizeof *key, by_value);
    for (int i = 0; i < f.bright; i++)
        ids[key[i] & 0xffff] += bright - dark;
    for (int i = 0; i < pixels; i++)
        ids[i] = ids[i] / step * step + step / 2;
    return f.class;
}

static int side_of(const struct assay_task_preset *preset)
{
    for (int side = SIDE_MIN; side <= SIDE_MAX; side++)
        if ((size_t)(side * side) == preset->length)
            return side;
    return 0;
}

static const char *generate(const struct assay_task_preset *preset, uint64_t seed,
                            struct assay_dataset split[ASSAY_SPLITS])
{
    struct assay_rng rng;
    const struct levels *levels = preset->detail;
    int side = side_of(preset), step = levels->step;
    memset(split, 0, ASSAY_SPLITS * sizeof *split);
    if (!side)
        return "image: expected a preset length that is a square of 8 to 256";
    if (step < 1 || step > 2 * NOISE)
        return "image: expected a step between grey levels in 1..32";
    uint64_t *key = malloc(preset->length * sizeof *key);
    if (!key || !assay_splits_make(split, preset, false, false)) {
        free(key);
        return "image: not enough memory for the samples of this preset";
    }
    assay_rng_named(&rng, seed, "image");
    for (int s = 0; s < ASSAY_SPLITS; s++)
        for (size_t i = 0; i < split[s].count; i++)
            split[s].label[i] = draw(&rng, side, step, key, &split[s].ids[i * preset->length]);
    free(key);
    return NULL;
}

static const struct levels coarse = {32}, middling = {16}, fine = {1};

static const struct assay_task_preset presets[] = {
    {"tiny", {16384, 1024, 2048}, 144, &coarse, 0},
    {"small", {25000, 2500, 5000}, 256, &middling, 0},
    {"paper", {45000, 5000, 10000}, 1024, &fine, 0},
};

const struct assay_task assay_task_image = {
    .id = "image",
    .title = "Image: ten classes of grey images, pixel by pixel",
    .source = "Long Range Arena, arXiv:2011.04006; CIFAR-10: Krizhevsky 2009",
    .vocab = LEVELS,
    .classes = CLASSES,
    .image = true,
    .presets = presets,
    .preset_count = sizeof presets / sizeof presets[0],
    .generate = generate,
    .real = &assay_real_cifar,
};

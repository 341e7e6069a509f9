/* SPDX-License-Identifier: Apache-2.0 */
/* Pathfinder (Linsley et al. 2018, arXiv:1805.08315) as Long Range Arena poses it (Tay et al. 2021,
 * arXiv:2011.04006): a grey picture, pixel after pixel, in which two discs lie either on both ends
 * of one snake of dashes (class 1) or on ends of two (class 0). An id is a grey level, and as in
 * the benchmark id 0 is padding as well, so that the black ground is masked.
 *
 * Pictures fill the training, the validation and the test split in turn from the stream
 * "pathfinder" of the seed; how one is drawn: suites/snakes.c. The class is a fair coin per
 * picture: classes are balanced in expectation. */
#include "suites/pathfinder.h"

#include <stdlib.h>

static const char *fill(struct assay_snakes_painter *painter, struct assay_rng *rng,
                        struct assay_dataset *data)
{
    struct assay_snakes_record record;
    const char *error = NULL;
    uint8_t *grey = malloc(data->length);
    if (grey == NULL)
        return "pathfinder: not enough memory for a picture of this preset";
    for (size_t i = 0; i < data->count && error == NULL; i++) {
        error = assay_snakes_paint(painter, rng, grey, &record);
        for (size_t j = 0; j < data->length && error == NULL; j++)
            data->ids[i * data->length + j] = grey[j];
        data->label[i] = record.label;
    }
    free(grey);
    return error;
}

const char *assay_pathfinder_generate(const struct assay_task_preset *preset, uint64_t seed,
                                      struct assay_dataset split[ASSAY_SPLITS])
{
    const struct assay_snakes *shape = preset->detail;
    struct assay_snakes_painter painter;
    struct assay_rng rng;
    for (int s = 0; s < ASSAY_SPLITS; s++)
        split[s] = (struct assay_dataset){0};
    const char *error = assay_snakes_open(&painter, shape);
    if (error != NULL)
        return error;
    assay_rng_named(&rng, seed, "pathfinder");
    if (preset->test_length || preset->length != (size_t)(shape->window * shape->window))
        error = "pathfinder: expected as many ids as a picture has pixels";
    for (int s = 0; s < ASSAY_SPLITS && error == NULL; s++)
        error = assay_dataset_make(&split[s], preset, (enum assay_split)s, false, false)
                    ? fill(&painter, &rng, &split[s])
                    : "pathfinder: not enough memory for the pictures of this preset";
    assay_snakes_close(&painter);
    for (int s = 0; s < ASSAY_SPLITS && error != NULL; s++)
        assay_dataset_free(&split[s]);
    return error;
}

/* A rule sorts a picture into one of RULE_CELLS cells; the answer is the cell's commoner class in
 * training. */
enum { RULE_CELLS = 4096 };
typedef size_t rule(const int32_t *ids, int window);

/* In steps of 1/1024 of the picture. */
static size_t pixels_not_black(const int32_t *ids, int window)
{
    int pixels = window * window, count = 0, step = pixels < 1024 ? 1 : pixels / 1024;
    for (int i = 0; i < pixels; i++)
        count += ids[i] > 0;
    return (size_t)(count / step);
}

struct spot {
    int y, x;
};

static int brightness(const int32_t *ids, int window, struct spot spot, int side)
{
    int sum = 0;
    for (int y = 0; y < side; y++)
        for (int x = 0; x < side; x++)
            sum += ids[(spot.y + y) * window + spot.x + x];
    return sum;
}

/* The brightest square, the first of equals, that doesn't meet the one at `other`. */
static struct spot brightest(const int32_t *ids, int window, int side, const struct spot *other)
{
    struct spot best = {0, 0};
    int most = -1;
    for (int y = 0; y + side <= window; y++)
        for (int x = 0; x + side <= window; x++) {
            struct spot here = {y, x};
            if (other != NULL && abs(y - other->y) < side && abs(x - other->x) < side)
                continue;
            int sum = brightness(ids, window, here, side);
            best = sum > most ? here : best;
            most = sum > most ? sum : most;
        }
    return best;
}

/* The squares are about as large as a disc. In pixels, squared, and a sixteenth of it for the
 * larger pictures. */
static size_t distance_of_spots(const int32_t *ids, int window)
{
    int side = window <= 32 ? 3 : window / 16 | 1;
    struct spot a = brightest(ids, window, side, NULL), b = brightest(ids, window, side, &a);
    int squared = (a.y - b.y) * (a.y - b.y) + (a.x - b.x) * (a.x - b.x);
    return (size_t)(window <= 32 ? squared : squared / 16);
}

/* Classes that are equally common: 0. A cell that training never met answers 0. */
static struct assay_baseline score(const char *name, rule *cell, const struct assay_dataset *train,
                                   const struct assay_dataset *test)
{
    int window = (int)(__builtin_sqrt((double)train->length) + 0.5);
    int32_t more_ones[RULE_CELLS] = {0};
    for (size_t i = 0; i < train->count; i++)
        more_ones[cell(&train->ids[i * train->length], window) % RULE_CELLS] +=
            train->label[i] ? 1 : -1;
    struct assay_baseline row = {.name = name, .count = test->count};
    for (size_t i = 0; i < test->count; i++) {
        size_t at = cell(&test->ids[i * test->length], window) % RULE_CELLS;
        row.correct += (more_ones[at] > 0) == test->label[i];
    }
    return row;
}

size_t assay_pathfinder_baselines(const struct assay_dataset *train,
                                  const struct assay_dataset *test, struct assay_baseline *row)
{
    row[0] = score("number of pixels that are not black", pixels_not_black, train, test);
    row[1] = score("distance of the two brightest spots", distance_of_spots, train, test);
    return 2;
}

/* The published constants for 32 pixels; of the number of paddles only the length of the
 * distractors depends, a third of it. */
#define PIXELS_32(paddles) \
    { \
        .window = 32, .padding = 1, .antialias = 2, .paddle_length = 2, .paddle_thickness = 0.5, \
        .margins = 1, .margin = {1}, .seed_distance = 7, .marker_radius = 1.5, \
        .contour_length = (paddles), .continuity = 1, .distractor_length = (paddles) / 3, \
        .distractors = 5, .snake_contrast = 2, .paddle_contrast = 0.75 \
    }

const struct assay_snakes assay_pathfinder_6 = PIXELS_32(6), assay_pathfinder_9 = PIXELS_32(9),
                          assay_pathfinder_14 = PIXELS_32(14);

/* No published set is so small: the paddles of 32 pixels, and so few of them that an image takes
 * some ninety attempts. Were the snakes to begin 3 pixels apart, the distance between the discs
 * would tell the class of three pictures in five; with 2 it tells next to nothing. */
static const struct assay_snakes pixels_16 = {
    .window = 16,
    .padding = 1,
    .antialias = 2,
    .paddle_length = 2,
    .paddle_thickness = 0.5,
    .margins = 1,
    .margin = {1},
    .seed_distance = 2,
    .marker_radius = 1,
    .contour_length = 4,
    .continuity = 1,
    .distractor_length = 2,
    .distractors = 3,
    .snake_contrast = 2,
    .paddle_contrast = 0.75,
};

static const struct assay_task_preset presets[] = {
    {"tiny", {8192, 512, 2048}, 256, &pixels_16, 0},
    {"small", {16384, 1024, 2048}, 1024, &assay_pathfinder_9, 0},
    {"golden", {4, 0, 0}, 1024, &assay_pathfinder_6, 0},
    {"paper", {160000, 20000, 20000}, 1024, &assay_pathfinder_14, 0},
};

const struct assay_task assay_task_pathfinder = {
    .id = "pathfinder",
    .title = "Pathfinder: whether two discs lie on the same snake of dashes",
    .source = "Long Range Arena, arXiv:2011.04006; Linsley et al. 2018, arXiv:1805.08315",
    .vocab = ASSAY_PATHFINDER_GREYS,
    .classes = ASSAY_PATHFINDER_CLASSES,
    .image = true,
    .presets = presets,
    .preset_count = sizeof presets / sizeof presets[0],
    .generate = assay_pathfinder_generate,
    .baselines = assay_pathfinder_baselines,
};

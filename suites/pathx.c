/* SPDX-License-Identifier: Apache-2.0 */
/* Path-X: Pathfinder on pictures of 128 by 128, 16,384 ids (Tay et al. 2021, arXiv:2011.04006).
 *
 * The smaller presets have the published constants of fewer pixels. Where Pathfinder's `small` has
 * snakes of 9 paddles at 32 pixels, `tiny` here has the hard form's 14; at 64 pixels a picture with
 * 14 takes 4,500 attempts, so that `small` has 9. */
#include "suites/pathfinder.h"

static const struct assay_snakes pixels_64 = {
    .window = 64,
    .padding = 1,
    .antialias = 2,
    .paddle_length = 5,
    .paddle_thickness = 1,
    .margins = 1,
    .margin = {1},
    .seed_distance = 12,
    .marker_radius = 2.5,
    .contour_length = 9,
    .continuity = 1.8,
    .distractor_length = 3,
    .distractors = 5,
    .snake_contrast = 0.8,
    .paddle_contrast = 1,
};

static const struct assay_snakes pixels_128 = {
    .window = 128,
    .padding = 1,
    .antialias = 2,
    .paddle_length = 5,
    .paddle_thickness = 1.5,
    .margins = 2,
    .margin = {2, 3},
    .seed_distance = 20,
    .marker_radius = 3,
    .contour_length = 14,
    .continuity = 1.8,
    .distractor_length = 4,
    .distractors = 8,
    .snake_contrast = 0.9,
    .paddle_contrast = 1,
};

static const struct assay_task_preset presets[] = {
    {"tiny", {2048, 256, 512}, 1024, &assay_pathfinder_14, 0},
    {"small", {8192, 512, 1024}, 4096, &pixels_64, 0},
    {"golden", {2, 0, 0}, 16384, &pixels_128, 0},
    {"paper", {160000, 20000, 20000}, 16384, &pixels_128, 0},
};

const struct assay_task assay_task_pathx = {
    .id = "pathx",
    .title = "Path-X: Pathfinder on 16,384 pixels",
    .source = "Long Range Arena, arXiv:2011.04006; Linsley et al. 2018, arXiv:1805.08315",
    .vocab = ASSAY_PATHFINDER_GREYS,
    .classes = ASSAY_PATHFINDER_CLASSES,
    .image = true,
    .presets = presets,
    .preset_count = sizeof presets / sizeof presets[0],
    .generate = assay_pathfinder_generate,
    .baselines = assay_pathfinder_baselines,
};

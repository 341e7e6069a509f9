/* SPDX-License-Identifier: Apache-2.0 */
/* Digits: real hand-writing, 8 x 8 pixels row by row, 10 classes, for images of Long Range Arena's
 * form that need no download.
 *
 * The split is by place in the file: 1000 images for training, the next 197 for validation, the last
 * 600 for test. No image occurs twice. The seed of the data changes nothing. id = ink + 1, 1..17: id
 * 0 would be masked as padding, and with it the background; the benchmark does that to the black
 * pixels of its images, here every pixel is seen. */
#include "suites/digits.h"

#include <string.h>

#include "suites/task.h"

enum { CLASSES = 10, PIXELS = 64, INKS = 17 };

static int32_t ink(char digit)
{
    return digit <= '9' ? digit - '0' : 10 + digit - 'a';
}

static const char *generate(const struct assay_task_preset *preset, uint64_t seed,
                            struct assay_dataset split[ASSAY_SPLITS])
{
    const char *const *next = assay_digits, *const *end = next + ASSAY_DIGITS;
    (void)seed;
    memset(split, 0, ASSAY_SPLITS * sizeof *split);
    if (preset->length != PIXELS)
        return "digits: expected a preset length of 64";
    for (int s = 0; s < ASSAY_SPLITS; next += preset->count[s++])
        if (preset->count[s] > (size_t)(end - next))
            return "digits: expected a preset with at most 1797 samples in all";
    if (!assay_splits_make(split, preset, false, false))
        return "digits: not enough memory for the samples of this preset";
    next = assay_digits;
    for (int s = 0; s < ASSAY_SPLITS; s++)
        for (size_t i = 0; i < split[s].count; i++, next++) {
            split[s].label[i] = (*next)[0] - '0';
            for (size_t j = 0; j < PIXELS; j++)
                split[s].ids[i * PIXELS + j] = ink((*next)[2 + j]) + 1;
        }
    return NULL;
}

static const struct assay_task_preset presets[] = {
    {"tiny", {1000, 197, 600}, PIXELS, NULL, 0},
};

const struct assay_task assay_task_digits = {
    .id = "digits",
    .title = "Digits: real hand-writing of 8 x 8 pixels",
    .source = "E. Alpaydin, C. Kaynak 1998, UCI Machine Learning Repository, CC BY 4.0",
    .vocab = INKS + 1,
    .classes = CLASSES,
    .image = true,
    .presets = presets,
    .preset_count = sizeof presets / sizeof presets[0],
    .embedded = "UCI digits",
    .generate = generate,
};

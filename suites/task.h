/* SPDX-License-Identifier: Apache-2.0 */
/* A task: a data set with three splits, made by a seeded generator or read from the user's folder,
 * and the task's own trivial baselines. (The commonest class and a bag of tokens are everybody's.) */
#ifndef ASSAY_TASK_H
#define ASSAY_TASK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum assay_split { ASSAY_TRAIN, ASSAY_VALIDATION, ASSAY_TEST, ASSAY_SPLITS };

enum { ASSAY_UNASKED = -100 };

/* ids: [count, length], 0 = padding; ids2: the second documents of pairs, or NULL. The answers are
 * label: [count], or where a task asks at tokens target: [count, length] with ASSAY_UNASKED where it
 * asks nothing; the other one is NULL. Owned by whoever generated it: assay_dataset_free. */
struct assay_dataset {
    size_t count, length;
    int32_t *ids, *label, *ids2, *target;
};

/* `detail` points to the numbers that only the task itself reads
 * (depths, lengths, raster sizes). */
struct assay_task_preset {
    const char *name;                 /* "tiny", "small", "paper" */
    size_t count[ASSAY_SPLITS];       /* samples per split */
    size_t length;                    /* ids per sample after truncation and padding */
    const void *detail;
    size_t test_length;               /* of the test split; 0: the same */
};

/* What a rule that reads almost nothing reaches on the test split
 * (fitted on the training split). */
struct assay_baseline {
    const char *name;
    size_t correct, count;
};

enum { ASSAY_BASELINES_MAX = 8 };

struct assay_real;

struct assay_task {
    const char *id, *title, *source;
    size_t vocab, classes;
    const char *const *tokens;        /* names of the ids, or NULL */
    bool image;                       /* ids are the grey pixels of a square image, row by row */
    const struct assay_task_preset *presets;
    size_t preset_count;
    /* The ids of a preset where it has fewer than `vocab`, and where answers are ids as many
     * classes; NULL: all have the same. */
    size_t (*preset_vocab)(const struct assay_task_preset *preset);
    const char *embedded;             /* name of the data that the tree itself has; NULL: generated */
    const struct assay_real *real;    /* public data that it can read instead, or NULL: suites/real.h */
    /* Fills the three splits; NULL, or a message that says what went wrong
     * (then nothing is left allocated). */
    const char *(*generate)(const struct assay_task_preset *preset, uint64_t seed,
                            struct assay_dataset split[ASSAY_SPLITS]);
    /* Writes at most ASSAY_BASELINES_MAX rows, returns their number. NULL: none of its own. */
    size_t (*baselines)(const struct assay_dataset *train, const struct assay_dataset *test,
                        struct assay_baseline *row);
};

/* An empty split of the preset with zeroed ids, and label or (`at_tokens`) target, ids2 for pairs.
 * False without memory; then it is empty. */
bool assay_dataset_make(struct assay_dataset *data, const struct assay_task_preset *preset,
                        enum assay_split split, bool at_tokens, bool pairs);
void assay_dataset_free(struct assay_dataset *data);
/* All three; false without memory, and then all are empty. */
bool assay_splits_make(struct assay_dataset split[ASSAY_SPLITS],
                       const struct assay_task_preset *preset, bool at_tokens, bool pairs);
void assay_splits_free(struct assay_dataset split[ASSAY_SPLITS]);
/* Of the longest split. */
size_t assay_task_length(const struct assay_task_preset *preset);
const struct assay_task_preset *assay_task_preset(const struct assay_task *task, const char *name);
size_t assay_task_vocab(const struct assay_task *task, const struct assay_task_preset *preset);
size_t assay_task_classes(const struct assay_task *task, const struct assay_task_preset *preset);

extern const struct assay_task *const assay_tasks[];   /* ends with NULL */
const struct assay_task *assay_task_find(const char *id);

#endif

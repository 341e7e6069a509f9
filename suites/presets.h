/* SPDX-License-Identifier: Apache-2.0 */
/* How a task is trained: model, sizes, optimizer and schedule, for each preset of its data. */
#ifndef ASSAY_PRESETS_H
#define ASSAY_PRESETS_H

#include "ref/train.h"

struct assay_preset {
    const char *task, *name; /* the task's data preset of the same name */
    const char *suite;       /* the benchmark it is part of */
    /* "name=value ..."; vocab, classes and length are the task's */
    const char *model;
    bool paper_hypers; /* variants take their papers' numbers, not the tiny ones */
    size_t steps, batch;
    size_t shard; /* 0: the trainer's rule */
    size_t curve; /* steps per point of the loss curve */
    struct assay_optimizer optimizer;
    struct assay_schedule schedule; /* its `steps` are those above */
};

extern const struct assay_preset assay_presets[]; /* ends with a NULL task */
const struct assay_preset *assay_preset_find(const char *task, const char *name);

#endif

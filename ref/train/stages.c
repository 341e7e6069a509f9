/* SPDX-License-Identifier: Apache-2.0 */
/* The stages of a paper's training: which one a step is in, what happens between them, their
 * schedules; and the teacher's weights. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ref/train/internal.h"

static const enum assay_kind learnt[] = {ASSAY_PARAMETER, ASSAY_BUFFER};
enum { LEARNT = 2 };

static size_t bytes_of(const struct assay_model *m, enum assay_kind kind)
{
    return m->elements[kind] * m->kernels->element;
}

static void copy_weights(const struct assay_model *m, void *const *from, void *const *to)
{
    for (int i = 0; i < LEARNT; i++)
        memcpy(to[learnt[i]], from[learnt[i]], bytes_of(m, learnt[i]));
}

/* A copy of the model's weights, of its parameters and buffers; false without memory. */
static bool copied(const struct assay_model *m, void **to)
{
    for (int i = 0; i < LEARNT; i++)
        if (!(to[learnt[i]] = aligned_alloc(64, (bytes_of(m, learnt[i]) + 64) & ~(size_t)63)))
            return false;
    copy_weights(m, m->data, to);
    return true;
}

/* Starts are shares of the steps, rounded down. */
static int place_stages(struct assay_trainer *t)
{
    double total = 0, before = 0;
    for (size_t i = 0; i < t->stages; i++)
        total += t->stage[i].share;
    for (size_t i = 0; i < t->stages; i++) {
        if (!(t->stage[i].share >= 0) || !(total > 0)) {
            snprintf(t->error, sizeof t->error, "stage %s: expected a share of at least 0",
                     t->stage[i].name);
            return -1;
        }
        t->stage_start[i] = (size_t)((double)t->phase->steps * (before / total));
        before += t->stage[i].share;
    }
    t->stage_start[t->stages] = t->phase->steps;
    return 0;
}

int stages_open(struct assay_trainer *t)
{
    const struct assay_variant *v = t->model->variant;
    bool restarts = false, teaches = false;
    t->begun = SIZE_MAX;
    if (!v || !v->stages || t->phase->objective)
        return 0;
    t->stages = v->stages(&t->model->config, t->stage);
    for (size_t i = 0; i < t->stages; i++) {
        restarts |= t->stage[i].restarts;
        teaches |= t->stage[i].teacher != TEACHER_NONE;
    }
    if (place_stages(t) != 0)
        return -1;
    if (teaches)
        t->teacher = *t->model;
    if (teaches)
        memset(t->teacher.data, 0, sizeof t->teacher.data);
    if ((restarts && !copied(t->model, t->initial))
        || (teaches && !copied(t->model, t->teacher.data))) {
        snprintf(t->error, sizeof t->error, "out of memory for a second model");
        return -1;
    }
    if (teaches) /* fixed at initialisation, and shared */
        t->teacher.data[ASSAY_DRAW] = t->model->data[ASSAY_DRAW];
    return 0;
}

void stages_close(struct assay_trainer *t)
{
    for (int i = 0; i < LEARNT; i++) {
        free(t->initial[learnt[i]]);
        free(t->teacher.data[learnt[i]]);
    }
    memset(t->initial, 0, sizeof t->initial);
    t->teacher = (struct assay_model){0};
}

const struct variant_stage *stage_of(const struct assay_trainer *t)
{
    return t->stages && t->begun && t->begun != SIZE_MAX ? &t->stage[t->begun - 1] : NULL;
}

/* What happens once, before the first step of a stage. */
static void change_stage(struct assay_trainer *t, const struct variant_stage *stage)
{
    if (stage->teacher == TEACHER_COPY)
        copy_weights(t->model, t->model->data, t->teacher.data);
    if (stage->restarts)
        copy_weights(t->model, t->initial, t->model->data);
    optimizer_reset(t);
}

int stages_advance(struct assay_trainer *t)
{
    size_t before = t->begun;
    if (!t->stages)
        return 0;
    if (before == SIZE_MAX) /* a run that goes on: those that began at an earlier step */
        for (t->begun = 0; t->begun < t->stages && t->stage_start[t->begun] < t->step;)
            t->begun++;
    while (t->begun < t->stages && t->stage_start[t->begun] <= t->step)
        change_stage(t, &t->stage[t->begun++]);
    const struct variant_stage *stage = stage_of(t);
    return t->begun != before && stage ? optimizer_choose(t, stage->trainable) : 0;
}

struct assay_schedule stages_schedule(const struct assay_trainer *t, size_t *first)
{
    struct assay_schedule s = t->phase->schedule;
    *first = 0;
    if (!stage_of(t))
        return s;
    size_t steps = t->stage_start[t->begun] - t->stage_start[t->begun - 1];
    *first = t->stage_start[t->begun - 1];
    s.warmup = (size_t)((double)s.warmup * ((double)steps / (double)t->phase->steps));
    s.steps = steps;
    return s;
}

void stages_follow(struct assay_trainer *t)
{
    const struct variant_stage *stage = stage_of(t);
    const struct assay_kernels *k = t->model->kernels;
    if (stage && stage->teacher_keep > 0)
        for (int i = 0; i < LEARNT; i++)
            k->average(t->model->elements[learnt[i]], assay_scalar(k->profile, stage->teacher_keep),
                       t->model->data[learnt[i]], t->teacher.data[learnt[i]]);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of training share: a task that can be learnt, a small model, a phase,
 * and what a run leaves behind. */
#ifndef ASSAY_TRAIN_KIT_H
#define ASSAY_TRAIN_KIT_H

#include <stdlib.h>
#include <string.h>

#include "harness/tests/tap.h"
#include "ref/rng.h"
#include "ref/train.h"
#include "ref/variant.h"

enum { SAMPLES = 40, LENGTH = 8, CLASSES = 3 };
static const char tiny[] =
    "preset=pre_ln vocab=11 length=8 width=8 heads=2 hidden=12 layers=2 classes=3 dropout=0.1 "
    "weight_deviation=0.3 embed_deviation=1";

/* A task that can be learnt: the class is the first token's remainder. */
static int32_t ids[SAMPLES * LENGTH], label[SAMPLES], target[SAMPLES * LENGTH];

static void make_samples(void)
{
    struct assay_rng rng;
    assay_rng_named(&rng, 1, "samples");
    for (int s = 0; s < SAMPLES; s++) {
        for (int i = 0; i < LENGTH; i++) {
            ids[s * LENGTH + i] = i >= 6 && s % 5 == 0 ? 0 : 1 + (int32_t)assay_rng_below(&rng, 10);
            target[s * LENGTH + i] = s % 4 == 0 || i % 3 == 0 ? -100 : ids[s * LENGTH + i];
        }
        label[s] = ids[s * LENGTH] % CLASSES;
    }
}

static struct assay_data samples_data(size_t count)
{
    return (struct assay_data){
        count,
        2,
        {{"ids", ASSAY_I32, SHAPE(count, LENGTH), ids}, {"label", ASSAY_I32, SHAPE(count), label}}};
}

static struct assay_model make_model(const struct assay_kernels *kernels,
                                     const struct assay_variant *variant, const char *settings,
                                     uint64_t seed)
{
    struct assay_model m = {0};
    struct assay_config c;
    char error[512] = "";
    struct assay_batch batch = {
        2, {{"ids", ASSAY_I32, SHAPE(2, LENGTH), NULL}, {"label", ASSAY_I32, SHAPE(2), NULL}}};
    if (config_make(&c, variant, settings, error, sizeof error) != 0
        || model_open(&m, kernels, variant, &c, &batch, seed, error, sizeof error) != 0)
        diag("model: %s", error);
    return m;
}

static const struct assay_optimizer adamw = {
    .rule = OPTIMIZER_ADAMW, .beta1 = 0.9, .beta2 = 0.98, .eps = 1e-9, .decay = 0.1, .clip = 1};

static struct assay_phase make_phase(const struct assay_data *data)
{
    return (struct assay_phase){
        .name = "main",
        .data = data,
        .optimizer = adamw,
        .schedule = {SCHEDULE_COSINE, 0.02, 3, 20},
        .steps = 20,
        .batch = 12,
        .shard = 1,
    };
}

static size_t state_bytes(const struct assay_model *m)
{
    return m->elements[ASSAY_PARAMETER] * m->kernels->element;
}

static bool run_steps(struct assay_trainer *t, size_t steps)
{
    for (size_t i = 0; i < steps; i++)
        if (trainer_step(t) != 0) {
            diag("%s", t->error);
            return false;
        }
    return true;
}

static bool open_or_say(struct assay_trainer *t, struct assay_model *m,
                        const struct assay_phase *phase, uint64_t seed, size_t threads)
{
    if (trainer_open(t, m, phase, seed, threads) == 0)
        return true;
    diag("%s", t->error);
    return false;
}

/* Everything that a run leaves behind, as bytes. */
struct outcome {
    unsigned char *bytes;
    size_t size;
    double loss;
};

static void keep_bytes(struct outcome *o, const void *from, size_t size)
{
    if (!from)
        return;
    o->bytes = realloc(o->bytes, o->size + size + 1);
    memcpy(o->bytes + o->size, from, size);
    o->size += size;
}

__attribute__((unused)) static struct outcome outcome_of(const struct assay_trainer *t)
{
    const struct assay_model *m = t->model;
    struct outcome o = {.loss = t->loss};
    keep_bytes(&o, m->data[ASSAY_PARAMETER], state_bytes(m));
    keep_bytes(&o, m->data[ASSAY_BUFFER], m->elements[ASSAY_BUFFER] * m->kernels->element);
    keep_bytes(&o, t->first, state_bytes(m));
    keep_bytes(&o, t->second, state_bytes(m));
    keep_bytes(&o, t->average, state_bytes(m));
    for (size_t i = 0; i < t->states.count; i++)
        keep_bytes(&o, t->states.state[i]->data,
                   t->states.state[i]->elements * m->kernels->element);
    keep_bytes(&o, t->teacher.data[ASSAY_PARAMETER], state_bytes(m));
    keep_bytes(&o, &t->loss, sizeof t->loss);
    return o;
}

__attribute__((unused)) static bool same_outcome(const struct outcome *a,
                                                 const struct outcome *b)
{
    return a->size > sizeof(double) && a->size == b->size
           && memcmp(a->bytes, b->bytes, a->size) == 0;
}

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* Golden files' tensors and a training run, as records. */
#include "harness/cross/work.h"

#include <string.h>

#include "harness/configuration.h"
#include "harness/files.h"
#include "harness/golden.h"
#include "harness/lookup.h"
#include "ref/arithmetic/fma.h"
#include "ref/train.h"

void assay_work_machine(FILE *out)
{
    const uint16_t one = 1;
    unsigned char first;
    memcpy(&first, &one, 1);
    const int32_t machine[ASSAY_MACHINE] = {
        [ASSAY_MACHINE_BIG_ENDIAN] = first == 0,
        [ASSAY_MACHINE_FMA_F32] = ASSAY_HARDWARE_FMA_F32,
        [ASSAY_MACHINE_FMA_F64] = ASSAY_HARDWARE_FMA_F64,
    };
    assay_stream_put(out, "machine", ASSAY_STREAM_I32, 1, (size_t[]){ASSAY_MACHINE}, machine);
}

void assay_work_name(char name[ASSAY_STREAM_NAME], const char *file, const char *table,
                     const char *what)
{
    snprintf(name, ASSAY_STREAM_NAME, "%s %s %s", file, table, what);
}

static void put_set(FILE *out, const char *file, const char *table,
                    const struct assay_golden_set *set)
{
    char name[ASSAY_STREAM_NAME];
    for (size_t i = 0; i < set->count; i++) {
        const struct assay_golden_tensor *t = &set->tensor[i];
        assay_work_name(name, file, table, t->name);
        assay_stream_put(out, name,
                         t->type == ASSAY_GOLDEN_I32 ? ASSAY_STREAM_I32 : ASSAY_STREAM_F32,
                         (size_t)t->shape.rank, t->shape.dim, t->data);
    }
}

int assay_work_golden(FILE *out, const char *id, const char *setting, uint64_t seed, char *error,
                      size_t room)
{
    const struct assay_kernels *const tables[] = {assay_kernels_def(ASSAY_F32),
                                                  assay_kernels_cpu(ASSAY_F32, NULL)};
    const struct assay_variant *variant = assay_lookup_variant(id, error, room);
    const struct variant_setting *s =
        variant ? assay_lookup_setting(variant, setting, error, room) : NULL;
    struct assay_config config;
    char file[ASSAY_GOLDEN_PATH];
    if (!s || assay_configuration_make(&config, variant, s->overrides, error, room) != 0)
        return -1;
    if (!assay_golden_path("", variant, s, file))
        return assay_complain(error, room, "%s: the name of %s is too long", id, setting);
    int status = 0;
    for (size_t i = 0; status == 0 && i < sizeof tables / sizeof *tables; i++) {
        struct assay_golden_set set;
        status = assay_golden_compute(tables[i], variant, &config, seed, &set, error, room);
        if (status == 0)
            put_set(out, file, tables[i]->name, &set);
        assay_golden_free(&set);
    }
    return status;
}

/* ListOps' training as `assay run` does it, but small; with dropout and clipping, so that draws and
 * the norm over all gradients are in it. */
enum { STEPS = 20, BATCH = 16, DATA_SEED = 1, MODEL_SEED = 1, THREADS = 2 };
static const char smaller[] = "width=32 heads=4 hidden=64 head_hidden=32 dropout=0.1";

struct training {
    struct assay_dataset split[ASSAY_SPLITS];
    struct assay_data data;
    struct assay_model model;
    struct assay_phase phase;
    struct assay_trainer trainer;
};

static int run_steps(struct training *run, FILE *out, char *error, size_t room)
{
    struct assay_trainer *t = &run->trainer;
    const struct assay_model *m = &run->model;
    const size_t parameters = m->elements[ASSAY_PARAMETER];
    char name[ASSAY_STREAM_NAME];
    float loss[STEPS];
    for (int i = 0; i < STEPS; i++) {
        if (trainer_step(t) != 0)
            return assay_complain(error, room, "%s", t->error);
        loss[i] = (float)t->loss;
    }
    assay_stream_put(out, "training loss", ASSAY_STREAM_F32, 1, (size_t[]){STEPS}, loss);
    for (size_t i = 0; i < m->entries; i++) {
        const struct assay_entry *e = &m->entry[i];
        snprintf(name, sizeof name, "training %s", e->name);
        assay_stream_put(out, name, ASSAY_STREAM_F32, (size_t)e->shape.rank, e->shape.dim,
                         entry_data(m, e));
    }
    assay_stream_put(out, "training moments", ASSAY_STREAM_F32, 1, &parameters, t->first);
    assay_stream_put(out, "training moments", ASSAY_STREAM_F32, 1, &parameters, t->second);
    return 0;
}

/* The trainer and what it needs of the model, which the caller closes. */
static int train(struct training *run, const struct assay_preset *preset, FILE *out, char *error,
                 size_t room)
{
    run->phase = (struct assay_phase){.name = "train",
                                      .data = &run->data,
                                      .optimizer = preset->optimizer,
                                      .schedule = preset->schedule,
                                      .steps = STEPS,
                                      .batch = BATCH};
    run->phase.optimizer.clip = 1;
    run->phase.schedule.steps = STEPS;
    run->phase.schedule.warmup = STEPS / 4;
    if (trainer_open(&run->trainer, &run->model, &run->phase, MODEL_SEED, THREADS) != 0)
        return assay_complain(error, room, "%s", run->trainer.error);
    int status = run_steps(run, out, error, room);
    trainer_close(&run->trainer);
    return status;
}

static int train_on(struct training *run, const struct assay_task *task, FILE *out, char *error,
                    size_t room)
{
    const struct assay_dataset *split = &run->split[ASSAY_TRAIN];
    const struct assay_preset *preset = assay_lookup_preset(task, "tiny", error, room);
    const struct assay_variant *variant = &assay_variant_reference;
    struct assay_config config;
    char text[1024];
    if (!preset)
        return -1;
    snprintf(text, sizeof text, "%s vocab=%zu classes=%zu length=%zu %s", preset->model,
             task->vocab, task->classes, split->length, smaller);
    if (assay_configuration_make(&config, variant, text, error, room) != 0)
        return -1;
    struct assay_batch batch = {
        2,
        {{"ids", ASSAY_I32, SHAPE(1, split->length), NULL}, {"label", ASSAY_I32, SHAPE(1), NULL}}};
    run->data = (struct assay_data){
        .count = split->count,
        .inputs = 2,
        .input = {{"ids", ASSAY_I32, SHAPE(split->count, split->length), split->ids},
                  {"label", ASSAY_I32, SHAPE(split->count), split->label}}};
    if (model_open(&run->model, assay_kernels_cpu(ASSAY_F32, NULL), variant, &config, &batch,
                   MODEL_SEED, error, room)
        != 0)
        return -1;
    int status = train(run, preset, out, error, room);
    model_close(&run->model);
    return status;
}

int assay_work_training(FILE *out, char *error, size_t room)
{
    const struct assay_task *task = assay_lookup_task("listops", error, room);
    if (!task)
        return -1;
    struct training run = {.phase = {.name = NULL}};
    const char *fault = task->generate(assay_task_preset(task, "golden"), DATA_SEED, run.split);
    if (fault)
        return assay_complain(error, room, "%s", fault);
    int status = train_on(&run, task, out, error, room);
    for (int s = 0; s < ASSAY_SPLITS; s++)
        assay_dataset_free(&run.split[s]);
    return status;
}

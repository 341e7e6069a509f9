/* SPDX-License-Identifier: Apache-2.0 */
/* Training steps of one paper on one thread, for profilers to look at:
 *
 *     profiled ID SETTING STEPS LEVEL
 *
 * Four samples of 64 random tokens a step, the model of `assay cost`; LEVEL is one of cpu's. Exit
 * status: 0; 1 where the paper has no such step, with the reason; 2 for bad usage, or if the step
 * fails. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness/cost.h"
#include "harness/files.h"
#include "harness/lookup.h"
#include "ref/arith.h"
#include "ref/train.h"

enum { TOKENS = 64, BATCH = 4, THREADS = 1 };

static int train(struct assay_model *m, const struct assay_batch *batch, size_t steps, char *error,
                 size_t room)
{
    struct assay_data data = {.count = BATCH, .inputs = batch->inputs};
    memcpy(data.input, batch->input, sizeof data.input);
    struct assay_phase phase = {
        .name = "profile",
        .data = &data,
        .steps = steps,
        .batch = BATCH,
        .shard = 1,
        .optimizer =
            {.rule = OPTIMIZER_ADAMW, .beta1 = 0.9, .beta2 = 0.98, .eps = 1e-9, .decay = 0.1},
        .schedule = {.rule = SCHEDULE_CONSTANT, .base = 1e-3, .warmup = 1, .steps = steps}};
    struct assay_trainer t;
    int status = trainer_open(&t, m, &phase, 3, THREADS);
    for (size_t i = 0; status == 0 && i < steps; i++)
        status = trainer_step(&t);
    if (status != 0)
        assay_complain(error, room, "%s", t.error);
    trainer_close(&t);
    return status;
}

/* The exit status. */
static int run(const char *id, const char *setting, size_t steps, const char *level, char *error,
               size_t room)
{
    struct assay_cost_model m = {.sizes = assay_cost_sizes};
    struct assay_config config;
    struct assay_model model;
    const struct assay_kernels *kernels = assay_lookup_kernels(ASSAY_F32, level, error, room);
    if (!kernels || !(m.variant = assay_lookup_variant(id, error, room))
        || !(m.setting = assay_lookup_setting(m.variant, setting, error, room)))
        return 2;
    if (!variant_trains(m.variant, m.setting)) {
        assay_complain(error, room, "not trained");
        return 1;
    }
    if (assay_cost_config(&m, TOKENS, &config, error, room) != 0)
        return 1;
    struct assay_batch *batch = batch_random(m.variant, &config, BATCH, TOKENS, 1);
    const struct assay_variant *v = m.variant == &assay_variant_reference ? NULL : m.variant;
    int status = batch ? model_open(&model, kernels, v, &config, batch, 1, error, room)
                       : assay_complain(error, room, "out of memory");
    if (status == 0) {
        status = train(&model, batch, steps, error, room);
        model_close(&model);
    }
    batch_free(batch);
    return status == 0 ? 0 : 2;
}

int main(int argc, char **argv)
{
    char error[ASSAY_ERROR_ROOM];
    const char *fault = assay_environment_fault();
    long steps = argc == 5 ? strtol(argv[3], NULL, 10) : 0;
    if (fault || steps < 1) {
        fprintf(stderr, "profiled: %s\n", fault ? fault : "usage: profiled ID SETTING STEPS LEVEL");
        return 2;
    }
    int status = run(argv[1], argv[2], (size_t)steps, argv[4], error, sizeof error);
    if (status != 0)
        fprintf(stderr, "profiled: %s\n", error);
    return status;
}

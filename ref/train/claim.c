/* SPDX-License-Identifier: Apache-2.0 */
/* Claims about training: an optimizer's rule alone, and short runs. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ref/claim.h"

static void release_rule(void *r)
{
    states_free(&((struct claim_rule *)r)->states);
    free(r);
}

struct claim_rule *claim_rule(struct claim *c, const char *overrides, const char *name,
                              struct assay_shape shape)
{
    struct assay_model *m = claim_model(c, overrides);
    tape *t = m ? claim_tape(c) : NULL;
    struct claim_rule *r = t ? calloc(1, sizeof *r) : NULL;
    if (!r)
        return NULL;
    r->t = t;
    r->entry = (struct assay_entry){
        .kind = ASSAY_PARAMETER, .shape = shape, .elements = shape_elements(shape)};
    snprintf(r->entry.name, sizeof r->entry.name, "%s", name);
    r->u = (struct assay_update){.t = t,
                                 .model = m,
                                 .entry = &r->entry,
                                 .states = &r->states,
                                 .first = true,
                                 .rate = 1,
                                 .decay = 1};
    return claim_own(c, release_rule, r) ? r : NULL;
}

tensor claim_update(struct claim_rule *r, tensor p, tensor g)
{
    const struct assay_kernels *k = r->t->kernels;
    r->u.step++;
    r->u.norm = g ? assay_scalar_sqrt(k->profile, k->sum_squares(elements_of(g), g->data)) : 0;
    tensor x = update_of(&r->u, p, g);
    states_commit(&r->states);
    r->u.first = false;
    return x;
}

tensor claim_state(struct claim_rule *r, const char *name)
{
    return update_state(&r->u, name, r->entry.shape);
}

enum { SAMPLES = 16 };

double claim_trained(struct claim *c, struct assay_model *m, const struct assay_phase *how,
                     uint64_t seed)
{
    const struct assay_batch *batch = claim_batch(c, m, SAMPLES, m ? m->config.length : 0, seed);
    struct assay_data data = {.count = SAMPLES};
    struct assay_phase phase = *how;
    struct assay_trainer t;
    double sum = 0;
    if (!batch)
        return (double)NAN;
    data.inputs = batch->inputs;
    memcpy(data.input, batch->input, sizeof data.input);
    phase.data = &data;
    bool ran = trainer_open(&t, m, &phase, seed, 1) == 0;
    for (size_t i = 0; ran && i < phase.steps; i++) {
        ran = trainer_step(&t) == 0;
        sum += i >= phase.steps - phase.steps / 4 ? t.loss : 0;
    }
    if (!ran)
        claim_true(c, false, "a training run: %s", t.error);
    trainer_close(&t);
    return ran ? sum / (double)(phase.steps / 4) : (double)NAN;
}

double claim_texts(struct claim *c, enum assay_optimizer_rule rule, const char *overrides,
                   double rate)
{
    enum { STEPS = 60, WARMUP = 6, BATCH = 8 };
    char text[256];
    snprintf(text, sizeof text, "vocab=9 length=8 frame=decoder head=language pad_is_zero=0 %s",
             overrides);
    struct assay_phase phase = {
        .name = "texts",
        .steps = STEPS,
        .batch = BATCH,
        .optimizer = {.rule = rule, .beta1 = 0.9, .beta2 = 0.98, .eps = 1e-9, .clip = 1},
        .schedule = {SCHEDULE_CONSTANT, rate, WARMUP, STEPS}};
    return claim_trained(c, claim_model(c, text), &phase, 1);
}

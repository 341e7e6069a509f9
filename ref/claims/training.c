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

static void release_training(void *r)
{
    trainer_close(&((struct claim_training *)r)->t);
    free(r);
}

struct claim_training *claim_training(struct claim *c, struct assay_model *m,
                                      const struct assay_phase *how, uint64_t seed)
{
    const struct assay_batch *b = claim_batch(c, m, CLAIM_TEXTS, m ? m->config.length : 0, seed);
    struct claim_training *r = b ? calloc(1, sizeof *r) : NULL;
    if (!r || !claim_own(c, release_training, r))
        return NULL;
    r->data = (struct assay_data){.count = CLAIM_TEXTS, .inputs = b->inputs};
    memcpy(r->data.input, b->input, sizeof r->data.input);
    r->phase = *how;
    r->phase.data = &r->data;
    if (trainer_open(&r->t, m, &r->phase, seed, 1) == 0)
        return r;
    claim_true(c, false, "a training run: %s", r->t.error);
    return NULL;
}

bool claim_train(struct claim *c, struct claim_training *r, size_t until)
{
    bool ran = true;
    while (ran && r->t.step < until)
        ran = trainer_step(&r->t) == 0;
    return ran || claim_true(c, false, "a training run: %s", r->t.error);
}

double claim_trained(struct claim *c, struct assay_model *m, const struct assay_phase *how,
                     uint64_t seed)
{
    struct claim_training *r = claim_training(c, m, how, seed);
    size_t last = how->steps / 4, first = how->steps - last;
    double sum = 0;
    if (!r || !claim_train(c, r, first))
        return (double)NAN;
    for (size_t i = 1; i <= last; i++) {
        if (!claim_train(c, r, first + i))
            return (double)NAN;
        sum += r->t.loss;
    }
    return sum / (double)last;
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

struct claim_pass *claim_objective(struct claim *c, struct assay_model *m,
                                   struct assay_model *teacher,
                                   tensor (*objective)(struct assay_pass *p))
{
    const struct assay_batch *b = claim_batch(c, m, 2, m->config.length, 7);
    struct claim_pass *p = claim_blank(c, m, b, 2, m->config.length);
    if (!p)
        return NULL;
    p->pass.teacher = teacher;
    p->pass.denominator = 2;
    p->output = objective(&p->pass);
    tape_backward(p->pass.t, p->output);
    if (tape_error(p->pass.t))
        claim_true(c, false, "an objective: %s", tape_error(p->pass.t));
    return tape_error(p->pass.t) ? NULL : p;
}

double claim_gradients_apart(struct claim *c, struct claim_pass *a, struct claim_pass *b)
{
    double most = 0, size;
    for (size_t i = 0; i < a->pass.model->entries; i++) {
        const struct assay_entry *e = &a->pass.model->entry[i];
        if (e->kind != ASSAY_PARAMETER)
            continue;
        tensor one = claim_gradient(c, a, e->name);
        double d = claim_distance(c, one, claim_gradient(c, b, e->name), &size);
        most = d > most ? d : most;
    }
    return most;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Outside vectors of adan.c: five steps of sail-sg/Adan on three parameters, one of which has its first
 * gradient at step 3, in four settings. */
#include <stdio.h>

#include "variants/outside.h"

enum { PARAMETERS = 3, STEPS = 5, LATE = 3, NAME = 96 };

static const struct {
    const char *name;
    size_t from; /* its first step with a gradient */
} parameters[PARAMETERS] = {{"w", 1}, {"b", 1}, {"late", LATE}};

static const struct {
    const char *theirs, *ours;
} states[] = {{"exp_avg", "m"}, {"exp_avg_diff", "v"}, {"exp_avg_sq", "n"}};

/* "SECTION/output.../stepT/KIND/PARAMETER" in binary64 and 32. */
static void meets(struct claim *c, tensor ours, const char *section, size_t step, const char *kind,
                  const char *parameter)
{
    char name[NAME], name32[NAME];
    snprintf(name, sizeof name, "%s/output/step%zu/%s/%s", section, step, kind, parameter);
    snprintf(name32, sizeof name32, "%s/output32/step%zu/%s/%s", section, step, kind, parameter);
    outside_meets(c, ours, name, name32, AS_IT_IS);
}

static void meets_states(struct claim *c, struct claim_rule *r, const char *section,
                         const char *parameter)
{
    for (size_t i = 0; i < sizeof states / sizeof *states; i++)
        meets(c, claim_state(r, states[i].ours), section, STEPS, states[i].theirs, parameter);
    tensor before = claim_state(r, "before");
    meets(c, negate(r->t, before), section, STEPS, "neg_pre_grad", parameter);
}

static tensor gradient(struct claim *c, struct claim_rule *r, size_t step, const char *parameter)
{
    char name[NAME];
    snprintf(name, sizeof name, "input/grad%zu/%s", step, parameter);
    return outside_tensor(c, r->t, name, AS_IT_IS, r->entry.shape);
}

/* All parameters share a tape, a step and a norm. */
static void section_meets(struct claim *c, const char *section, const char *overrides,
                          size_t restart)
{
    static const struct assay_shape shape[PARAMETERS] = {{2, {5, 4}}, {1, {7}}, {2, {3, 2}}};
    struct claim_rule *r[PARAMETERS];
    tensor p[PARAMETERS], g[PARAMETERS];
    const struct assay_kernels *k = c->kernels;
    for (int i = 0; i < PARAMETERS; i++) {
        char name[NAME];
        snprintf(name, sizeof name, "param/%s", parameters[i].name);
        r[i] = claim_rule(c, overrides, parameters[i].name, shape[i]);
        p[i] = r[i] ? outside_tensor(c, r[i]->t, name, AS_IT_IS, shape[i]) : TENSOR_NONE;
        if (!p[i])
            return;
    }
    for (size_t step = 1; step <= STEPS; step++) {
        double sum = 0;
        for (int i = 0; i < PARAMETERS; i++) {
            g[i] = step >= parameters[i].from ? gradient(c, r[i], step, parameters[i].name)
                                              : TENSOR_NONE;
            if (g[i])
                sum = assay_scalar_add(k->profile, sum,
                                       k->sum_squares(elements_of(g[i]), g[i]->data));
        }
        for (int i = 0; i < PARAMETERS; i++) {
            r[i]->u.step = restart && step >= restart ? step - restart + 1 : step;
            r[i]->u.norm = assay_scalar_sqrt(k->profile, sum);
            if (step == restart)
                states_reset(&r[i]->states, k);
            if (g[i]) {
                p[i] = update_of(&r[i]->u, p[i], g[i]);
                states_commit(&r[i]->states);
                r[i]->u.first = false;
            }
            meets(c, p[i], section, step, "param", parameters[i].name);
            if (step == STEPS)
                meets_states(c, r[i], section, parameters[i].name);
        }
    }
}

void adan_meets_the_authors_optimizer(struct claim *c)
{
    section_meets(c, "prox", "rate=0.05 decay=0.02", 0);
    section_meets(c, "noprox", "rate=0.05 decay=0.02 no_prox=1", 0);
    section_meets(c, "clip", "rate=0.05 b1=0.9 b2=0.8 b3=0.95 eps=0.001 decay=0.1 max_norm=1", 0);
    section_meets(c, "restart", "rate=0.05 decay=0.02", 4);
}

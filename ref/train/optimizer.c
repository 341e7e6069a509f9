/* SPDX-License-Identifier: Apache-2.0 */
/* What is trained, at which rate, and the optimizer's step over it; formulas in ARITHMETIC.md. */
#include <fnmatch.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ref/train/internal.h"
#include "ref/variant.h"

static size_t parameter_bytes(const struct assay_model *m)
{
    return m->elements[ASSAY_PARAMETER] * m->kernels->element;
}

static void *at(const struct assay_model *m, const void *flat, const struct assay_entry *e)
{
    return (char *)(uintptr_t)flat + e->offset * m->kernels->element;
}

/* Marks what one pattern matches; how many. */
static size_t mark_trainable(struct assay_trainer *t, const char *pattern)
{
    size_t count = 0;
    for (size_t i = 0; i < t->model->entries; i++)
        if (t->model->entry[i].kind == ASSAY_PARAMETER
            && fnmatch(pattern, t->model->entry[i].name, 0) == 0) {
            t->trainable[i] = true;
            count++;
        }
    return count;
}

int optimizer_choose(struct assay_trainer *t, const char *patterns)
{
    const char *own = patterns ? patterns : t->phase->trainable, *from = own ? own : "*";
    memset(t->trainable, 0, t->model->entries * sizeof *t->trainable);
    for (size_t length; *(from += strspn(from, " \t\n")); from += length) {
        char pattern[ASSAY_NAME_MAX];
        length = strcspn(from, " \t\n");
        if (length >= sizeof pattern) {
            snprintf(t->error, sizeof t->error,
                     "trainable: expected patterns of at most %d characters; found '%.40s...'",
                     ASSAY_NAME_MAX - 1, from);
            return -1;
        }
        memcpy(pattern, from, length);
        pattern[length] = '\0';
        if (mark_trainable(t, pattern) == 0 && own) {
            snprintf(t->error, sizeof t->error, "trainable: the pattern '%s' matches no parameter",
                     pattern);
            return -1;
        }
    }
    return 0;
}

static const struct assay_group *group_of(const struct assay_phase *phase, const char *name)
{
    for (const struct assay_group *g = phase->groups; g && g->pattern; g++)
        if (fnmatch(g->pattern, name, 0) == 0)
            return g;
    return NULL;
}

static int check(struct assay_trainer *t)
{
    const struct assay_optimizer *o = &t->phase->optimizer;
    const struct {
        const char *name, *expected;
        double value;
        bool holds;
    } condition[] = {
        {"beta1", "0 <= beta1 < 1", o->beta1, o->beta1 >= 0 && o->beta1 < 1},
        {"beta2", "0 <= beta2 < 1", o->beta2, o->beta2 >= 0 && o->beta2 < 1},
        {"momentum", "0 <= momentum < 1", o->momentum, o->momentum >= 0 && o->momentum < 1},
        {"eps", "a positive number with AdamW", o->eps,
         o->rule != OPTIMIZER_ADAMW || (o->eps > 0 && isfinite(o->eps))},
        {"decay", "a finite number of at least 0", o->decay, o->decay >= 0 && isfinite(o->decay)},
        {"clip", "a finite number of at least 0", o->clip, o->clip >= 0 && isfinite(o->clip)},
        {"ema", "0 <= ema < 1", t->phase->ema, t->phase->ema >= 0 && t->phase->ema < 1},
        {"schedule.base", "a finite number", t->phase->schedule.base,
         isfinite(t->phase->schedule.base)},
    };
    for (size_t i = 0; i < sizeof condition / sizeof *condition; i++)
        if (!condition[i].holds) {
            snprintf(t->error, sizeof t->error, "%s: expected %s; found %g", condition[i].name,
                     condition[i].expected, condition[i].value);
            return -1;
        }
    return 0;
}

static void *state_like_parameters(const struct assay_model *m, const void *values)
{
    size_t bytes = parameter_bytes(m);
    void *state = aligned_alloc(64, (bytes + 64) & ~(size_t)63);
    if (state && values)
        memcpy(state, values, bytes);
    else if (state)
        memset(state, 0, bytes);
    return state;
}

/* The update of one parameter on the scratch tape, whose rule's factors are those of the step. */
static struct assay_update update_for(struct assay_trainer *t, const struct assay_entry *e,
                                      size_t step)
{
    enum assay_profile p = t->model->kernels->profile;
    const struct assay_group *g = t->workers->group[e - t->model->entry];
    double clip = assay_scalar(p, t->phase->optimizer.clip);
    return (struct assay_update){
        .t = &t->workers->scratch,
        .model = t->model,
        .entry = e,
        .states = &t->states,
        .step = step,
        .first = step == 1,
        .rate = assay_scalar_mul(p, assay_scalar(p, t->rate), assay_scalar(p, g ? g->rate : 1)),
        .decay = assay_scalar(p, g ? g->decay : 1),
        .norm = clip > 0 && t->gradient_norm > clip ? clip : t->gradient_norm,
    };
}

/* A dry step of every parameter asks for the states. */
static int declare_states(struct assay_trainer *t)
{
    const struct assay_model *m = t->model;
    tape *scratch = &t->workers->scratch;
    scratch->dry = true;
    for (size_t i = 0; i < m->entries && !tape_error(scratch); i++) {
        if (!t->trainable[i])
            continue;
        struct assay_update u = update_for(t, &m->entry[i], 1);
        tensor p = tape_parameter(scratch, m->entry[i].shape, NULL, NULL);
        update_of(&u, p, tape_parameter(scratch, m->entry[i].shape, NULL, NULL));
        states_forget(&t->states);
    }
    if (tape_error(scratch))
        snprintf(t->error, sizeof t->error, "%s", tape_error(scratch));
    return tape_error(scratch) ? -1 : 0;
}

static int open_paper(struct assay_trainer *t)
{
    const struct assay_model *m = t->model;
    struct assay_workers *w = t->workers;
    bool has_rule = m->variant && m->variant->update;
    if (!has_rule) {
        snprintf(t->error, sizeof t->error,
                 "optimizer: expected adamw or sgd, as %s brings no optimizer; found paper",
                 m->variant ? m->variant->id : "the reference");
        return -1;
    }
    w->updated = state_like_parameters(m, NULL);
    if (!w->updated || tape_open(&w->scratch, assay_kernels_dry(m->kernels->profile)) != 0) {
        snprintf(t->error, sizeof t->error, "out of memory for the optimizer");
        free(w->updated);
        w->updated = NULL;
        return -1;
    }
    if (declare_states(t) != 0)
        return -1;
    w->scratch.dry = false;
    w->scratch.kernels = m->kernels;
    w->scratch.counts = (struct assay_counts){0};
    return 0;
}

int optimizer_open(struct assay_trainer *t)
{
    const struct assay_model *m = t->model;
    bool adamw = t->phase->optimizer.rule == OPTIMIZER_ADAMW,
         paper = t->phase->optimizer.rule == OPTIMIZER_PAPER;
    if (check(t) != 0)
        return -1;
    t->trainable = calloc(m->entries + 1, sizeof *t->trainable);
    t->workers->group = calloc(m->entries + 1, sizeof *t->workers->group);
    if (!paper)
        t->first = state_like_parameters(m, NULL);
    t->second = adamw ? state_like_parameters(m, NULL) : NULL;
    t->average = t->phase->ema > 0 ? state_like_parameters(m, m->data[ASSAY_PARAMETER]) : NULL;
    if (!t->trainable || !t->workers->group || (!paper && !t->first) || (adamw && !t->second)
        || (t->phase->ema > 0 && !t->average)) {
        snprintf(t->error, sizeof t->error,
                 "out of memory for the optimizer's state of %zu parameters",
                 m->elements[ASSAY_PARAMETER]);
        return -1;
    }
    for (size_t i = 0; i < m->entries; i++)
        t->workers->group[i] = group_of(t->phase, m->entry[i].name);
    if (optimizer_choose(t, NULL) != 0)
        return -1;
    return paper ? open_paper(t) : 0;
}

void optimizer_close(struct assay_trainer *t)
{
    free(t->trainable);
    free(t->first);
    free(t->second);
    free(t->average);
    states_free(&t->states);
    if (t->workers && t->workers->updated) {
        tape_close(&t->workers->scratch);
        free(t->workers->updated);
        t->workers->updated = NULL;
    }
    t->trainable = NULL;
    t->first = t->second = t->average = NULL;
}

void optimizer_reset(struct assay_trainer *t)
{
    size_t bytes = parameter_bytes(t->model);
    if (t->first)
        memset(t->first, 0, bytes);
    if (t->second)
        memset(t->second, 0, bytes);
    if (t->average)
        memcpy(t->average, t->model->data[ASSAY_PARAMETER], bytes);
    states_reset(&t->states, t->model->kernels);
}

size_t optimizer_bytes(const struct assay_trainer *t)
{
    size_t bytes =
        parameter_bytes(t->model)
        * (size_t)(1 + (t->first != NULL) + (t->second != NULL) + (t->average != NULL)
                   + (t->workers->updated != NULL) + (t->initial[ASSAY_PARAMETER] != NULL)
                   + (t->teacher.data[ASSAY_PARAMETER] != NULL));
    for (size_t i = 0; i < t->states.count; i++)
        bytes += 2 * t->states.state[i]->elements * t->model->kernels->element;
    return bytes + (t->workers->updated ? t->workers->scratch.counts.bytes : 0);
}

double optimizer_norm(const struct assay_trainer *t, const void *gradient)
{
    const struct assay_model *m = t->model;
    double sum = 0;
    for (size_t i = 0; i < m->entries; i++)
        if (t->trainable[i])
            sum = assay_scalar_add(
                m->kernels->profile, sum,
                m->kernels->sum_squares(m->entry[i].elements, at(m, gradient, &m->entry[i])));
    return assay_scalar_sqrt(m->kernels->profile, sum);
}

/* base^n by the binary digits of n, lowest first: a function of n alone, so that a resumed run
 * has it too. */
static double power(enum assay_profile p, double base, size_t n)
{
    double result = 1;
    for (double square = assay_scalar(p, base); n; n >>= 1) {
        if (n & 1)
            result = assay_scalar_mul(p, result, square);
        square = assay_scalar_mul(p, square, square);
    }
    return result;
}

static void average(struct assay_trainer *t, const struct assay_entry *e)
{
    const struct assay_model *m = t->model;
    if (t->average)
        m->kernels->average(e->elements, assay_scalar(m->kernels->profile, t->phase->ema),
                            entry_data(m, e), at(m, t->average, e));
}

/* All parameters first, so that a step that fails changes nothing. */
static int apply_paper(struct assay_trainer *t, const void *gradient, size_t step)
{
    const struct assay_model *m = t->model;
    tape *scratch = &t->workers->scratch;
    uint64_t multiply_adds = scratch->counts.multiply_adds;
    for (size_t i = 0; i < m->entries; i++) {
        const struct assay_entry *e = &m->entry[i];
        if (!t->trainable[i])
            continue;
        tape_reset(scratch);
        struct assay_update u = update_for(t, e, step);
        tensor p = tape_parameter(scratch, e->shape, entry_data(m, e), NULL);
        tensor g = tape_parameter(scratch, e->shape, at(m, gradient, e), NULL);
        tensor x = update_of(&u, p, g);
        if (x && m->kernels->first_nonfinite(e->elements, x->data) < e->elements)
            tape_fail(scratch, "update", "expected finite numbers");
        if (tape_error(scratch)) {
            states_forget(&t->states);
            return -1;
        }
        memcpy(at(m, t->workers->updated, e), x->data, e->elements * m->kernels->element);
    }
    t->multiply_adds += scratch->counts.multiply_adds - multiply_adds;
    states_commit(&t->states);
    for (size_t i = 0; i < m->entries; i++)
        if (t->trainable[i]) {
            const struct assay_entry *e = &m->entry[i];
            memcpy(entry_data(m, e), at(m, t->workers->updated, e),
                   e->elements * m->kernels->element);
            average(t, e);
        }
    return 0;
}

static void apply_rule(struct assay_trainer *t, const void *gradient, size_t step)
{
    const struct assay_model *m = t->model;
    const struct assay_kernels *k = m->kernels;
    const struct assay_optimizer *o = &t->phase->optimizer;
    enum assay_profile p = k->profile;
    struct assay_adamw s = {
        .beta1 = assay_scalar(p, o->beta1),
        .beta2 = assay_scalar(p, o->beta2),
        .eps = assay_scalar(p, o->eps),
        .correction1 = assay_scalar_sub(p, 1, power(p, o->beta1, step)),
        .correction2 = assay_scalar_sub(p, 1, power(p, o->beta2, step)),
    };
    for (size_t i = 0; i < m->entries; i++) {
        const struct assay_entry *e = &m->entry[i];
        const struct assay_group *g = t->workers->group[i];
        if (!t->trainable[i])
            continue;
        s.rate = assay_scalar_mul(p, assay_scalar(p, t->rate), assay_scalar(p, g ? g->rate : 1));
        s.decay = assay_scalar_mul(p, assay_scalar(p, o->decay), assay_scalar(p, g ? g->decay : 1));
        if (o->rule == OPTIMIZER_ADAMW)
            k->adamw(e->elements, &s, at(m, gradient, e), at(m, t->first, e), at(m, t->second, e),
                     entry_data(m, e));
        else
            k->sgd(e->elements, s.rate, assay_scalar(p, o->momentum), s.decay, at(m, gradient, e),
                   at(m, t->first, e), entry_data(m, e));
        average(t, e);
    }
}

int optimizer_apply(struct assay_trainer *t, const void *gradient, size_t step)
{
    if (t->phase->optimizer.rule == OPTIMIZER_PAPER)
        return apply_paper(t, gradient, step);
    apply_rule(t, gradient, step);
    return 0;
}

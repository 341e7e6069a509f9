/* SPDX-License-Identifier: Apache-2.0 */
/* What is trained, at which rate, and the optimizer's step over it; formulas in ARITHMETIC.md. */
#include <fnmatch.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ref/train/internal.h"

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

static int choose_trainable(struct assay_trainer *t)
{
    const char *from = t->phase->trainable ? t->phase->trainable : "*";
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
        if (mark_trainable(t, pattern) == 0 && t->phase->trainable) {
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

int optimizer_open(struct assay_trainer *t)
{
    const struct assay_model *m = t->model;
    bool adamw = t->phase->optimizer.rule == OPTIMIZER_ADAMW;
    if (check(t) != 0)
        return -1;
    t->trainable = calloc(m->entries + 1, sizeof *t->trainable);
    t->workers->group = calloc(m->entries + 1, sizeof *t->workers->group);
    t->first = state_like_parameters(m, NULL);
    t->second = adamw ? state_like_parameters(m, NULL) : NULL;
    t->average = t->phase->ema > 0 ? state_like_parameters(m, m->data[ASSAY_PARAMETER]) : NULL;
    if (!t->trainable || !t->workers->group || !t->first || (adamw && !t->second)
        || (t->phase->ema > 0 && !t->average)) {
        snprintf(t->error, sizeof t->error,
                 "out of memory for the optimizer's state of %zu parameters",
                 m->elements[ASSAY_PARAMETER]);
        return -1;
    }
    for (size_t i = 0; i < m->entries; i++)
        t->workers->group[i] = group_of(t->phase, m->entry[i].name);
    return choose_trainable(t);
}

void optimizer_close(struct assay_trainer *t)
{
    free(t->trainable);
    free(t->first);
    free(t->second);
    free(t->average);
    t->trainable = NULL;
    t->first = t->second = t->average = NULL;
}

size_t optimizer_bytes(const struct assay_trainer *t)
{
    return parameter_bytes(t->model)
           * (size_t)(1 + (t->first != NULL) + (t->second != NULL) + (t->average != NULL));
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

void optimizer_apply(struct assay_trainer *t, const void *gradient, size_t step)
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
        if (t->average)
            k->average(e->elements, assay_scalar(p, t->phase->ema), entry_data(m, e),
                       at(m, t->average, e));
    }
}

/* SPDX-License-Identifier: Apache-2.0 */
/* An optimizer as ops: a paper's rule for one parameter and its gradient, `update` of the descriptor,
 * and the named tensors that it keeps from step to step. */
#ifndef ASSAY_UPDATE_H
#define ASSAY_UPDATE_H

#include "ref/model.h"

enum { STATE_NAME_MAX = 32 };

/* Kept for one parameter under a name; zeros at first. */
struct assay_state {
    const struct assay_entry *entry;
    char name[STATE_NAME_MAX];
    struct assay_shape shape;
    size_t elements;
    void *data, *next;                /* next: waits for states_commit, where `kept` */
    bool kept;
};
struct assay_states {
    struct assay_state **state;
    size_t count, room;
};
void states_free(struct assay_states *s);
/* What was kept since the last call becomes the state. */
void states_commit(struct assay_states *s);
void states_forget(struct assay_states *s);   /* what was kept since */
/* All zeros, as at first. */
void states_reset(struct assay_states *s, const struct assay_kernels *kernels);

/* One step of one parameter. */
struct assay_update {
    tape *t;
    const struct assay_model *model;  /* whose hyper-parameters they are */
    const struct assay_entry *entry;  /* name and shape; a weight is [in, out] */
    struct assay_states *states;
    size_t step;                      /* t = 1, 2, ... of all parameters */
    bool first;                       /* this parameter had no gradient before */
    double rate, decay;               /* factors: the schedule's and the group's; the group's */
    double norm;                      /* of the gradient of all parameters together */
};
/* The model's variant's rule: p, g like the entry -> the new p, or NONE and the tape's error. */
tensor update_of(struct assay_update *u, tensor p, tensor g);

/* ---- what rules use ---- */

/* As the last step left it; NONE without memory. Not to be read after the step. */
tensor update_state(struct assay_update *u, const char *name, struct assay_shape shape);
void update_keep(struct assay_update *u, const char *name, tensor x);
double update_hyper(const struct assay_update *u, const char *name);
/* base^t in binary64, by the binary digits of t, lowest first */
double update_power(const struct assay_update *u, double base);
/* keep x + (1 - keep) y, 1 - keep in binary64 */
tensor update_average(struct assay_update *u, double keep, tensor x, tensor y);

/* ---- golden files of optimizers: UPDATE_STEPS steps of all parameters ---- */

enum { UPDATE_STEPS = 3 };
/* "gradient/NAME" [UPDATE_STEPS, ..] for every parameter: magnitudes from 1/4 to 1, so that second
 * moments stay in range of fp16, of either sign. NULL without memory. */
struct assay_batch *update_batch(const struct assay_model *m, uint64_t seed);
/* -> all parameters after the last step, one after the other. Traces: step.T.NAME, parameters after
 * step T; state.STATE.NAME after the last. */
tensor update_steps(struct assay_pass *p);

#endif

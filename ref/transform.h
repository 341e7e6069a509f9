/* SPDX-License-Identifier: Apache-2.0 */
/* Transforms: a trained model and data in, another model out, with what was decided on the way:
 * folding, pruning, quantising, factorising.
 *
 * A paper fills in `transform` of its descriptor. What comes out is an ordinary model of the paper, with
 * settings and golden files as any other. What goes in is the paper's, too: a configuration for which
 * `computes` is true stands for the model before, and `transform_compute`, as the descriptor's
 * `compute`, makes its golden file: weights and data in, the new weights, the decisions and the new
 * model's output out. */
#ifndef ASSAY_TRANSFORM_H
#define ASSAY_TRANSFORM_H

#include "ref/variant.h"

struct assay_transform {
    const struct assay_model *from;   /* trained */
    const struct assay_batch *data;   /* for calibration; also gives the inputs' shapes */
    tape *t;                          /* for ops; decisions are marked on it */
    struct assay_config config;       /* of the result: at first that of `from` */
    struct assay_model to;            /* the result: open after transform_open, the caller closes it */
};

/* By the paper of `from`. False, and an error of the tape, if it fails; x->to is closed then. */
bool model_transform(struct assay_transform *x, const struct assay_model *from,
                     const struct assay_batch *data, tape *t);
/* What model_transform does, on the pass's model and batch; then the new model's forward. -> its output;
 * weights that aren't those of the old model are traced as new.NAME. */
tensor transform_compute(struct assay_pass *p);

/* ---- for papers ---- */

/* Weights as tensors: read into a tape, compute with ops, write back. */
tensor model_tensor(const struct assay_model *m, tape *t, const char *entry);
bool model_store(struct assay_model *m, const char *entry, tensor x);

/* Opens x->to by x->config; weights whose name and shape the old model has are its. False, and an
 * error of the tape, if it can't be made. */
bool transform_open(struct assay_transform *x);
/* Marks a decision [count] that can't flip within `margin`; -> what is to be done, which is another's
 * choice where the tape has been given decisions; NULL after an error. */
const int32_t *transform_decide(struct assay_transform *x, const char *name, size_t count,
                                const int32_t *chosen, double margin);

#endif

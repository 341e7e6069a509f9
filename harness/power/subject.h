/* SPDX-License-Identifier: Apache-2.0 */
/* A golden as a backend meets it: inputs and weights from the file, an implementation that computes
 * with them, and the verdict on what it computed. */
#ifndef ASSAY_POWER_SUBJECT_H
#define ASSAY_POWER_SUBJECT_H

#include "harness/golden_file.h"
#include "harness/power/mutant.h"
#include "ref/variant.h"

struct subject {
    struct assay_golden *golden;
    const struct assay_variant *variant;
    struct assay_config config;
    struct assay_batch batch; /* its data belong to the golden */
    char name[ASSAY_NAME_MAX]; /* "reference.llama" */
};

/* Opens FOLDER/NAME.safetensors. 0, or -1 with a message; caller: subject_close. */
int subject_open(struct subject *s, const char *path, char *error, size_t room);
void subject_close(struct subject *s);

/* How an implementation did. */
enum outcome {
    OUTCOME_PASSES, /* every tensor that is judged */
    OUTCOME_FAILS,
    OUTCOME_STOPS,  /* it stopped at a number that is not finite */
    OUTCOME_MISFIT, /* the golden's weights don't fit the mutant */
    OUTCOME_BROKEN  /* no memory */
};

/* An implementation's results. values[i] belongs to golden->result[i]; NULL: not computed (a
 * decision, a trace of a block that it has not). */
struct results {
    size_t count;
    double **values;
};

/* Forward and backward by `kernels`, as `mutant` (NULL: none) has it. PASSES (not judged), STOPS,
 * MISFIT or BROKEN. loss_scale: the loss's gradient, by which gradients are divided at the end.
 * Caller: results_free. */
enum outcome subject_compute(const struct subject *s, const struct mutant *mutant,
                             const struct assay_kernels *kernels, double loss_scale,
                             struct results *r);
void results_free(struct results *r);

/* The tensor whose error is the largest part of its budget. */
struct judged {
    enum outcome outcome;
    double largest; /* error / budget; INFINITY where it is not finite */
    size_t tensor;  /* of golden->result */
    size_t failing; /* tensors */
    bool forward;   /* output, loss or a trace is among them */
};

/* Is the tensor judged in precision `column`? */
bool subject_judges(const struct assay_golden_result *g, int column);

/* Are decisions, which a trial takes from the golden, most of what it computes: more than half as many
 * elements as weights? Codes of activations, signs of weights, spikes. */
bool subject_decides(const struct subject *s);

/* Is any? Not where no honest run in it was finite: then the golden has no budgets for it. */
bool subject_judges_any(const struct subject *s, int column);

/* By the verdict's rule under the budgets of precision `column`. */
struct judged subject_judge(const struct subject *s, const struct results *r, int column);

/* A mutant's computation in binary64 against the truth, at its largest over tensors. A tensor whose
 * truth is itself only roundoff (the gradient of a key's bias, which softmax cancels) has no share
 * in `relative`. */
struct distance {
    double units;    /* of roundoff of binary64 times the tensor's scale */
    double relative; /* to max |truth| */
};
struct distance subject_distance(const struct subject *s, const struct results *r);

/* As near to the truth, in units: the same function. Sums of a golden have at most about a thousand
 * terms and follow each other through at most four blocks, and a sum's roundoff is at most a unit
 * per term; of what is taken for the same or for another function the report gives the nearest. */
static const double assay_same_function = 4 * 4096;

#endif

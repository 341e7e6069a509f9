/* SPDX-License-Identifier: Apache-2.0 */
/* ListOps: nested operations on digits; the ids, the shape of a tree, and the random tree that the
 * task draws. */
#ifndef ASSAY_LISTOPS_H
#define ASSAY_LISTOPS_H

#include "ref/rng.h"
#include "suites/task.h"

/* The ids. `X` closes an operator; a digit v is ASSAY_LISTOPS_DIGIT + v. */
enum {
    ASSAY_LISTOPS_PAD, ASSAY_LISTOPS_MIN, ASSAY_LISTOPS_MAX, ASSAY_LISTOPS_MED, ASSAY_LISTOPS_SM,
    ASSAY_LISTOPS_X, ASSAY_LISTOPS_DIGIT, ASSAY_LISTOPS_UNKNOWN = ASSAY_LISTOPS_DIGIT + 10,
    ASSAY_LISTOPS_VOCAB
};
enum {
    ASSAY_LISTOPS_OPERATORS = 4, ASSAY_LISTOPS_ARGUMENTS_MAX = 16, ASSAY_LISTOPS_DEPTH_MAX = 16
};

/* What `detail` of a preset points to. The root has depth 1, and a node at max_depth is a digit, so
 * that at most max_depth - 1 operators are nested. A tree is accepted iff
 * min_length < tokens < max_length. */
struct assay_listops {
    uint32_t max_depth, max_args;
    size_t min_length, max_length;
    float leaf_probability;           /* of a node above max_depth */
};

/* token: [capacity] ids of the caller; `length` tokens were drawn, of which the first `capacity`
 * are kept. */
struct assay_listops_tree {
    size_t length, capacity;
    uint8_t *token;
};

/* The value of an operator for 1 to ASSAY_LISTOPS_ARGUMENTS_MAX digits: the minimum, the maximum,
 * the median (of an even count the mean of the two middle digits, truncated) or the sum modulo
 * 10. */
int32_t assay_listops_apply(int32_t operator, const int32_t *digit, size_t count);

/* Draws one tree of any length, whole, and returns its value. */
int32_t assay_listops_draw(struct assay_rng *rng, const struct assay_listops *shape,
                           struct assay_listops_tree *tree);

extern const struct assay_task assay_task_listops;

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* Progress of a training run on the standard error: one live line on a terminal, otherwise a plain
 * line every few seconds. */
#ifndef ASSAY_PROGRESS_H
#define ASSAY_PROGRESS_H

#include <stdbool.h>
#include <stddef.h>

struct assay_progress {
    bool live, quiet;
    size_t first, steps;           /* first: steps done when this session began */
    double began, shown, interval; /* seconds of assay_clock */
};

/* What the line shows. */
struct assay_progress_step {
    size_t step;
    double loss, rate;
    double accuracy; /* NaN: none */
};

double assay_clock(void); /* seconds, monotonic */

void assay_progress_begin(struct assay_progress *p, bool quiet, size_t first, size_t steps);
void assay_progress_step(struct assay_progress *p, const struct assay_progress_step *at);
void assay_progress_end(struct assay_progress *p); /* leaves the line */

#endif

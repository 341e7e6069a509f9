/* SPDX-License-Identifier: Apache-2.0 */
/* A report of `assay compare` for people and for programs. */
#ifndef ASSAY_COMPARE_PRINT_H
#define ASSAY_COMPARE_PRINT_H

#include <stdio.h>

#include "harness/assay.h"

struct assay_comparison {
    const struct assay_golden *golden;
    const struct assay_report *report;
    const char *golden_path, *theirs, *precision;
};

/* How many of each outcome, and which have the golden's bits. */
struct assay_tally {
    size_t outcome[3], same_bits, coarse; /* coarse: stored in less than the precision */
};
struct assay_tally assay_comparison_tally(const struct assay_comparison *c);

/* A table, in colours on a terminal. */
void assay_comparison_text(FILE *out, const struct assay_comparison *c);
/* One JSON document; what is not finite is null. */
void assay_comparison_json(FILE *out, const struct assay_comparison *c);
/* One JUnit test suite with a test case per tensor; not judged is skipped. */
void assay_comparison_junit(FILE *out, const struct assay_comparison *c);

#endif

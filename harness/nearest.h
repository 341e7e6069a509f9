/* SPDX-License-Identifier: Apache-2.0 */
/* The nearest of the names that are known to one that is not. */
#ifndef ASSAY_NEAREST_H
#define ASSAY_NEAREST_H

#include <stddef.h>

/* Insertions, deletions, substitutions and swaps of neighbours that make b of a. */
size_t assay_distance(const char *a, const char *b);

/* The names asked for and the nearest of those offered: "unknown KIND 'NAME'; did you mean ...?" */
struct assay_nearest {
    const char *asked;
    struct {
        const char *name;
        size_t distance;
    } best[3];
    size_t count;
};
void assay_nearest_offer(struct assay_nearest *nearest, const char *name);
/* Writes the message and returns -1. `otherwise`: what is said when nothing is near, or NULL. */
int assay_nearest_complain(const struct assay_nearest *nearest, const char *kind,
                           const char *otherwise, char *error, size_t room);
/* Which of `names` (ends with NULL) is asked for; -1 with the message. */
int assay_nearest_index(const char *const *names, const char *asked, const char *kind,
                        const char *otherwise, char *error, size_t room);

#endif

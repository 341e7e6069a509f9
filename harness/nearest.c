/* SPDX-License-Identifier: Apache-2.0 */
/* Saying what a name may have been that is not known. */
#include "harness/nearest.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

enum { NAME_MAX_COMPARED = 63 };

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

size_t assay_distance(const char *a, const char *b)
{
    size_t m = strlen(a), n = strlen(b);
    if (m > NAME_MAX_COMPARED || n > NAME_MAX_COMPARED)
        return m + n;
    size_t row[3][NAME_MAX_COMPARED + 1];
    for (size_t j = 0; j <= n; j++)
        row[0][j] = j;
    for (size_t i = 1; i <= m; i++) {
        size_t *now = row[i % 3], *last = row[(i + 2) % 3], *before = row[(i + 1) % 3];
        now[0] = i;
        for (size_t j = 1; j <= n; j++) {
            size_t changed = last[j - 1] + (a[i - 1] != b[j - 1]);
            now[j] = least(changed, 1 + least(now[j - 1], last[j]));
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                now[j] = least(now[j], before[j - 2] + 1);
        }
    }
    return row[m % 3][n];
}

/* A name that contains what was asked, or is contained, is as near as one typing error. */
static size_t how_far(const char *asked, const char *name)
{
    size_t distance = assay_distance(asked, name);
    bool inside = strlen(asked) >= 3 && (strstr(name, asked) || strstr(asked, name));
    return inside ? least(distance, 1) : distance;
}

void assay_nearest_offer(struct assay_nearest *nearest, const char *name)
{
    enum { BEST = sizeof nearest->best / sizeof *nearest->best };
    size_t distance = how_far(nearest->asked, name), length = strlen(nearest->asked);
    if (distance > (length < 6 ? 2 : length / 3))
        return;
    size_t at = nearest->count;
    while (at > 0 && nearest->best[at - 1].distance > distance)
        at--;
    if (at == BEST)
        return;
    nearest->count += nearest->count < BEST;
    for (size_t i = nearest->count - 1; i > at; i--)
        nearest->best[i] = nearest->best[i - 1];
    nearest->best[at].name = name;
    nearest->best[at].distance = distance;
}

int assay_nearest_complain(const struct assay_nearest *nearest, const char *kind,
                           const char *otherwise, char *error, size_t room)
{
    int used = snprintf(error, room, "unknown %s '%.60s'", kind, nearest->asked);
    size_t at = used > 0 ? least((size_t)used, room) : 0;
    if (nearest->count == 0 && otherwise)
        snprintf(error + at, room - at, "; %s", otherwise);
    for (size_t i = 0; i < nearest->count; i++) {
        const char *before = i == 0 ? "; did you mean " : i + 1 == nearest->count ? " or " : ", ";
        const char *after = i + 1 == nearest->count ? "?" : "";
        used = snprintf(error + at, room - at, "%s%s%s", before, nearest->best[i].name, after);
        at += used > 0 ? least((size_t)used, room - at) : 0;
    }
    return -1;
}

int assay_nearest_index(const char *const *names, const char *asked, const char *kind,
                        const char *otherwise, char *error, size_t room)
{
    struct assay_nearest nearest = {.asked = asked};
    for (int i = 0; names[i]; i++) {
        if (strcmp(names[i], asked) == 0)
            return i;
        assay_nearest_offer(&nearest, names[i]);
    }
    return assay_nearest_complain(&nearest, kind, otherwise, error, room);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Walking an index space with strides: the definition's odometer and the rows that tuned loops
 * run over. */
#ifndef ASSAY_KERNELS_WALK_H
#define ASSAY_KERNELS_WALK_H

#include "ref/kernels.h"

/* Where element n of a walk, in row-major order, lies in each operand. */
struct walk_place {
    ptrdiff_t x, y, z;
};

static inline size_t walk_count(const struct assay_walk *w)
{
    size_t count = 1;
    for (int axis = 0; axis < w->rank; axis++)
        count *= w->dim[axis];
    return count;
}

static inline struct walk_place walk_at(const struct assay_walk *w, size_t n)
{
    struct walk_place at = {0, 0, 0};
    for (int axis = w->rank; axis-- > 0; n /= w->dim[axis]) {
        ptrdiff_t i = (ptrdiff_t)(n % w->dim[axis]);
        at.x += i * w->x[axis];
        at.y += i * w->y[axis];
        at.z += i * w->z[axis];
    }
    return at;
}

/* Whether axes `outer` and `inner`, neighbours, are one longer axis for an operand with these
 * strides. */
static inline bool walk_joins(ptrdiff_t outer, ptrdiff_t inner, size_t dim)
{
    return outer == inner * (ptrdiff_t)dim;
}

/* The same elements in the same order with as few axes as possible, and at least one. No
 * operand's strides may be left unset. */
static inline struct assay_walk walk_collapsed(const struct assay_walk *w)
{
    struct assay_walk c = {.rank = 1, .dim = {1}};
    for (int axis = 0; axis < w->rank; axis++) {
        size_t dim = w->dim[axis];
        int last = c.rank - 1;
        if (dim == 1)
            continue;
        if (c.dim[last] == 1) {
            c.dim[last] = dim;
        } else if (walk_joins(c.x[last], w->x[axis], dim) && walk_joins(c.y[last], w->y[axis], dim)
                   && walk_joins(c.z[last], w->z[axis], dim)) {
            c.dim[last] *= dim;
        } else {
            last = c.rank++;
            c.dim[last] = dim;
        }
        c.x[last] = w->x[axis];
        c.y[last] = w->y[axis];
        c.z[last] = w->z[axis];
    }
    return c;
}

/* The rows of a walk: everything but its last axis. Use:
 *     struct walk_rows r = walk_rows_start(w);  while (walk_rows_next(&r)) { ... r.at ... } */
struct walk_rows {
    const struct assay_walk *w;
    size_t left, index[ASSAY_RANK_MAX];
    struct walk_place at;
    bool started;
};

static inline struct walk_rows walk_rows_start(const struct assay_walk *w)
{
    size_t row = w->dim[w->rank - 1];
    return (struct walk_rows){.w = w, .left = row ? walk_count(w) / row : 0};
}

static inline bool walk_rows_next(struct walk_rows *r)
{
    const struct assay_walk *w = r->w;
    if (!r->left)
        return false;
    r->left--;
    if (!r->started) {
        r->started = true;
        return true;
    }
    for (int axis = w->rank - 1; axis-- > 0;) {
        r->at.x += w->x[axis];
        r->at.y += w->y[axis];
        r->at.z += w->z[axis];
        if (++r->index[axis] < w->dim[axis])
            break;
        ptrdiff_t back = (ptrdiff_t)w->dim[axis];
        r->at.x -= back * w->x[axis];
        r->at.y -= back * w->y[axis];
        r->at.z -= back * w->z[axis];
        r->index[axis] = 0;
    }
    return true;
}

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* The honest table: linear recurrences. States stay in binary32 within a kernel. */
#include <string.h>

#include "ref/kernels/honest.h"

/* A stretch of one row, [count, inner]: the recurrence from nothing, to which the state before it
 * is added times the product of the factors, as parallel scans do. */
static void stretch(const struct honest *h, size_t count, size_t inner, const float *a,
                    const float *b, const float *before, float *factor, float *y)
{
    h->base->scan(1, count, inner, a, b, NULL, y);
    for (size_t i = 0; i < inner; i++)
        factor[i] = before[i];
    for (size_t i = 0; i < count * inner; i++) {
        factor[i % inner] *= a[i];
        y[i] += factor[i % inner];
    }
}

static void scan(size_t outer, size_t length, size_t inner, const void *a_, const void *b_,
                 const void *start_, void *y_)
{
    struct assay_rng rng;
    struct honest *h = honest_enter(&rng);
    const float *a = a_, *b = b_, *start = start_;
    float *y = y_, *factor = honest_take(h, inner);
    size_t n = outer * length * inner;
    struct honest_cut cut = honest_cut(&rng, length);
    for (size_t o = 0; !h->failed && n && o < outer; o++)
        for (size_t from = 0; from < length; from += cut.step) {
            size_t at = (o * length + from) * inner,
                   count = length - from < cut.step ? length - from : cut.step;
            if (from)
                stretch(h, count, inner, a + at, b + at, y + at - inner, factor, y + at);
            else
                h->base->scan(1, count, inner, a + at, b + at, start ? start + o * inner : NULL,
                              y + at);
        }
    if (!h->failed)
        honest_settle(h, &rng, n, NULL, true, y);
    honest_leave(h, n ? y : NULL);
}

static void scan_backward(size_t outer, size_t length, size_t inner, const void *a, const void *y,
                          const void *start, const void *dy, void *da, void *db, void *d_start,
                          void *scratch)
{
    struct assay_rng rng;
    struct honest *h = honest_enter(&rng);
    void *const to[3] = {da, db, d_start};
    const size_t size[3] = {outer * length * inner, outer * length * inner, outer * inner};
    float *old[3] = {NULL};
    void *first = NULL;
    for (int i = 0; i < 3; i++)
        if (to[i]) {
            old[i] = honest_copied(h, size[i], to[i]);
            first = first || !size[i] ? first : to[i];
        }
    h->base->scan_backward(outer, length, inner, a, y, start, dy, da, db, d_start, scratch);
    for (int i = 0; i < 3 && !h->failed; i++)
        if (to[i])
            honest_settle(h, &rng, size[i], old[i], true, to[i]);
    honest_leave(h, first);
}

/* An array [rows, d_k], [rows, d_v] or [rows, d_k, d_v] with its channels in order. */
struct channels {
    const int32_t *keys, *values; /* NULL: the array has no such axis */
    size_t rows, d_k, d_v;
};

static void move(const struct channels *c, bool back, const void *x, float *room, void *y)
{
    size_t d_k = c->keys ? c->d_k : 1, d_v = c->values ? c->d_v : 1;
    honest_permute(c->rows * d_k, d_v, 1, c->values, back, x, room);
    honest_permute(c->rows, d_k, d_v, c->keys, back, room, y);
}

/* One array of a call: where the caller has it, and its copy in order. */
struct carried {
    struct channels shape;
    void *caller;
    float *mine, *old;
};

static size_t size_of(const struct channels *c)
{
    return c->rows * (c->keys ? c->d_k : 1) * (c->values ? c->d_v : 1);
}

/* Takes an array along; an `added` one is a destination, whose old contents are kept. The room that
 * the moves need is `room`. */
static float *carry(struct honest *h, const void *x, const struct channels *c, bool operand,
                    struct carried *added)
{
    if (!x)
        return NULL;
    size_t size = size_of(c);
    float *mine = honest_take(h, size), *room = honest_take(h, size),
          *old = added ? honest_take(h, size) : NULL;
    if (h->failed)
        return NULL;
    move(c, false, x, room, mine);
    if (operand)
        honest_operands(h, size, mine);
    if (added) {
        memcpy(old, mine, size * sizeof *old);
        *added = (struct carried){*c, (void *)(uintptr_t)x, mine, old};
    }
    return mine;
}

/* Settles and puts back; `stored`: the result replaced what was there. */
static void bring(struct honest *h, struct assay_rng *rng, const struct carried *c, bool stored)
{
    if (!c->caller || h->failed)
        return;
    size_t size = size_of(&c->shape);
    float *room = honest_take(h, size);
    if (!room)
        return;
    honest_settle(h, rng, size, stored ? NULL : c->old, false, c->mine);
    move(&c->shape, true, c->mine, room, c->caller);
}

/* A call with all channels in a drawn order; results in to[]. Scans are products on the units that
 * have them, so operands are rounded. */
struct ordered {
    struct assay_matrix_scan s;
    struct carried o, end, d_q, d_k, d_v, d_decay, d_start;
};

static void order_all(struct honest *h, struct assay_rng *rng, const struct assay_matrix_scan *s,
                      struct ordered *x)
{
    const int32_t *keys = honest_order(h, rng, s->d_k), *values = honest_order(h, rng, s->d_v);
    size_t rows = s->batch * s->n;
    struct channels k = {keys, NULL, rows, s->d_k, s->d_v},
                    v = {NULL, values, rows, s->d_k, s->d_v},
                    state = {keys, values, s->batch, s->d_k, s->d_v},
                    decay = {s->decay_width == 1 ? NULL : keys, NULL, rows, s->d_k, s->d_v};
    *x = (struct ordered){.s = *s};
    x->s.q = carry(h, s->q, &k, true, NULL);
    x->s.k = carry(h, s->k, &k, true, NULL);
    x->s.v = carry(h, s->v, &v, true, NULL);
    x->s.decay = carry(h, s->decay, &decay, false, NULL);
    x->s.start = carry(h, s->start, &state, false, NULL);
    x->s.o = carry(h, s->o, &v, false, &x->o);
    x->s.end = carry(h, s->end, &state, false, &x->end);
    x->s.d_o = carry(h, s->d_o, &v, true, NULL);
    x->s.d_end = carry(h, s->d_end, &state, false, NULL);
    x->s.d_q = carry(h, s->d_q, &k, false, &x->d_q);
    x->s.d_k_out = carry(h, s->d_k_out, &k, false, &x->d_k);
    x->s.d_v_out = carry(h, s->d_v_out, &v, false, &x->d_v);
    x->s.d_decay = carry(h, s->d_decay, &decay, false, &x->d_decay);
    x->s.d_start = carry(h, s->d_start, &state, false, &x->d_start);
}

static void matrix_scan(const struct assay_matrix_scan *s)
{
    struct assay_rng rng;
    struct honest *h = honest_enter(&rng);
    struct ordered x;
    order_all(h, &rng, s, &x);
    if (!h->failed)
        h->base->matrix_scan(&x.s);
    bring(h, &rng, &x.o, true);
    bring(h, &rng, &x.end, true);
    honest_leave(h, s->batch && s->n && s->d_v ? s->o : NULL);
}

static void matrix_scan_backward(const struct assay_matrix_scan *s)
{
    struct assay_rng rng;
    struct honest *h = honest_enter(&rng);
    struct ordered x;
    order_all(h, &rng, s, &x);
    if (!h->failed)
        h->base->matrix_scan_backward(&x.s);
    const struct carried *const to[] = {&x.d_q, &x.d_k, &x.d_v, &x.d_decay, &x.d_start};
    for (size_t i = 0; i < sizeof to / sizeof *to; i++)
        bring(h, &rng, to[i], false);
    void *first = s->d_q ? s->d_q : s->d_k_out ? s->d_k_out : s->d_v_out;
    honest_leave(h, s->batch && s->n && s->d_k && s->d_v ? first : NULL);
}

void honest_scans(struct assay_kernels *table)
{
    table->scan = scan;
    table->scan_backward = scan_backward;
    table->matrix_scan = matrix_scan;
    table->matrix_scan_backward = matrix_scan_backward;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The honest table: sums along an axis, and running sums. */
#include <string.h>

#include "ref/kernels/honest.h"

/* Terms are permuted and cut; the first part meets y as the base table does it. */
static void sum(size_t outer, size_t length, size_t inner, const void *x, void *y_,
                enum assay_mode mode)
{
    struct assay_rng rng;
    struct honest *h = honest_enter(&rng);
    float *y = y_;
    size_t n = outer * inner;
    struct honest_cut cut = honest_cut(&rng, length);
    int32_t *order = honest_order(h, &rng, length);
    float *permuted = honest_take(h, outer * length * inner), *part = honest_take(h, cut.parts * n),
          *old = mode == ASSAY_STORE ? NULL : honest_copied(h, n, y),
          *terms = honest_take(h, outer * cut.step * inner);
    for (size_t p = 0; !h->failed && p < cut.parts; p++) {
        size_t from = p * cut.step, count = length - from < cut.step ? length - from : cut.step;
        if (p == 0)
            honest_permute(outer, length, inner, order, false, x, permuted);
        for (size_t o = 0; o < outer && count > 0; o++)
            memcpy(terms + o * count * inner, permuted + (o * length + from) * inner,
                   count * inner * sizeof *terms);
        h->base->sum(outer, count, inner, terms, p ? part + (p - 1) * n : y,
                     p ? ASSAY_STORE : mode);
    }
    if (!h->failed) {
        honest_combine(&rng, cut.parts - 1, n, part);
        for (size_t i = 0; cut.parts > 1 && i < n; i++)
            y[i] = mode == ASSAY_SUBTRACT ? y[i] - part[i] : y[i] + part[i];
        honest_settle(h, &rng, n, old, false, y);
    }
    honest_leave(h, n ? y : NULL);
}

/* The sums before a stretch of one row, [inner], are added to the running sums within it: the two
 * levels of a parallel prefix sum. `carry`: the total so far. */
static void stretch(const struct honest *h, size_t count, size_t inner, bool reverse,
                    const float *x, float *y, float *running, float *carry, enum assay_mode mode)
{
    h->base->cumulative_sum(1, count, inner, reverse, x, running, ASSAY_STORE);
    h->base->cumulative_sum(1, count, inner, reverse, x, y, mode);
    for (size_t i = 0; i < count * inner; i++)
        y[i] = mode == ASSAY_SUBTRACT ? y[i] - carry[i % inner] : y[i] + carry[i % inner];
    const float *last = running + (reverse ? 0 : (count - 1) * inner);
    for (size_t i = 0; i < inner; i++)
        carry[i] += last[i];
}

static void cumulative_sum(size_t outer, size_t length, size_t inner, bool reverse, const void *x_,
                           void *y_, enum assay_mode mode)
{
    struct assay_rng rng;
    struct honest *h = honest_enter(&rng);
    const float *x = x_;
    float *y = y_;
    size_t n = outer * length * inner;
    struct honest_cut cut = honest_cut(&rng, length);
    float *old = mode == ASSAY_STORE ? NULL : honest_copied(h, n, y),
          *running = honest_take(h, cut.step * inner), *carry = honest_take(h, inner);
    for (size_t o = 0; !h->failed && o < outer; o++) {
        memset(carry, 0, inner * sizeof *carry);
        for (size_t p = 0; length && p < cut.parts; p++) {
            size_t stretches = reverse ? cut.parts - 1 - p : p, from = stretches * cut.step,
                   count = length - from < cut.step ? length - from : cut.step,
                   at = (o * length + from) * inner;
            stretch(h, count, inner, reverse, x + at, y + at, running, carry, mode);
        }
    }
    if (!h->failed)
        honest_settle(h, &rng, n, old, false, y);
    honest_leave(h, n ? y : NULL);
}

void honest_sums(struct assay_kernels *table)
{
    table->sum = sum;
    table->cumulative_sum = cumulative_sum;
}

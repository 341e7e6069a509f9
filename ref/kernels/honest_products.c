/* SPDX-License-Identifier: Apache-2.0 */
/* The honest table: matrix products. The terms of a chain are permuted and cut into parts, which
 * the base table computes; so backends that block, split or vectorise along k are among the orders. */
#include <string.h>

#include "ref/kernels/honest.h"

/* A matrix c: [m, n] with all of its terms: `joined` batch entries of k. a: [m, terms], b: [terms,
 * n], c: [m, n], old: what c was; all contiguous. */
struct matrix {
    size_t m, n, terms;
    float *a, *b, *c, *old, *part;
    struct honest_cut cut;
};

static void base_product(const struct honest *h, const struct matrix *x, size_t from, size_t step,
                         enum assay_mode mode, float *c)
{
    h->base->product(&(struct assay_product){.batch = {1, 1},
                                             .m = x->m,
                                             .n = x->n,
                                             .k = step,
                                             .a = x->a + from,
                                             .b = x->b + from * x->n,
                                             .c = c,
                                             .a_row = x->terms,
                                             .a_column = 1,
                                             .b_row = x->n,
                                             .b_column = 1,
                                             .c_row = x->n,
                                             .mode = mode});
}

/* The first part meets c as the base table does it, the sum of the others follows. */
static void compute(const struct honest *h, struct assay_rng *rng, const struct matrix *x,
                    enum assay_mode mode)
{
    size_t step = x->cut.step, elements = x->m * x->n, rest = x->cut.parts - 1;
    base_product(h, x, 0, step < x->terms ? step : x->terms, mode, x->c);
    for (size_t p = 0; p < rest; p++) {
        size_t from = (p + 1) * step, left = x->terms - from;
        base_product(h, x, from, step < left ? step : left, ASSAY_STORE, x->part + p * elements);
    }
    honest_combine(rng, rest, elements, x->part);
    for (size_t i = 0; rest && i < elements; i++)
        x->c[i] = mode == ASSAY_SUBTRACT ? x->c[i] - x->part[i] : x->c[i] + x->part[i];
    honest_settle(h, rng, elements, mode == ASSAY_STORE ? NULL : x->old, false, x->c);
}

/* Term l is entry l / k of the joined ones. */
static void gather(const struct assay_product *p, const size_t start[2], const size_t joined[2],
                   const int32_t *order, struct matrix *x)
{
    for (size_t l = 0; l < x->terms; l++) {
        size_t term = (size_t)order[l] % p->k, entry = (size_t)order[l] / p->k;
        size_t s = start[0] + entry / joined[1], t = start[1] + entry % joined[1];
        const float *a =
            (const float *)p->a + s * p->a_batch[0] + t * p->a_batch[1] + term * p->a_column;
        const float *b =
            (const float *)p->b + s * p->b_batch[0] + t * p->b_batch[1] + term * p->b_row;
        for (size_t i = 0; i < x->m; i++)
            x->a[i * x->terms + l] = a[i * p->a_row];
        for (size_t j = 0; j < x->n; j++)
            x->b[l * x->n + j] = b[j * p->b_column];
    }
}

static void one_matrix(struct honest *h, struct assay_rng *rng, const struct assay_product *p,
                       const size_t start[2], const size_t joined[2], struct matrix *x)
{
    float *c = (float *)p->c + start[0] * p->c_batch[0] + start[1] * p->c_batch[1];
    int32_t *order = honest_order(h, rng, x->terms);
    if (!order)
        return;
    gather(p, start, joined, order, x);
    honest_operands(h, x->m * x->terms, x->a);
    honest_operands(h, x->terms * x->n, x->b);
    for (size_t i = 0; i < x->m; i++)
        memcpy(x->c + i * x->n, c + i * p->c_row, x->n * sizeof *c);
    memcpy(x->old, x->c, x->m * x->n * sizeof *c);
    compute(h, rng, x, p->mode);
    for (size_t i = 0; i < x->m; i++)
        memcpy(c + i * p->c_row, x->c + i * x->n, x->n * sizeof *c);
}

static void product(const struct assay_product *p)
{
    struct assay_rng rng;
    struct honest *h = honest_enter(&rng);
    size_t joined[2];
    for (int axis = 0; axis < 2; axis++)
        joined[axis] = p->mode == ASSAY_CONTINUE && !p->c_batch[axis] ? p->batch[axis] : 1;
    struct matrix x = {.m = p->m, .n = p->n, .terms = p->k * joined[0] * joined[1]};
    if (!p->m || !p->n || !joined[0] || !joined[1])
        return;
    x.cut = honest_cut(&rng, x.terms);
    x.a = honest_take(h, x.m * x.terms);
    x.b = honest_take(h, x.terms * x.n);
    x.c = honest_take(h, x.m * x.n);
    x.old = honest_take(h, x.m * x.n);
    x.part = honest_take(h, x.cut.parts * x.m * x.n);
    for (size_t s = 0; !h->failed && s < p->batch[0]; s += joined[0])
        for (size_t t = 0; t < p->batch[1]; t += joined[1])
            one_matrix(h, &rng, p, (size_t[]){s, t}, joined, &x);
    honest_leave(h, p->c);
}

void honest_products(struct assay_kernels *table)
{
    table->product = product;
}

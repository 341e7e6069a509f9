/* SPDX-License-Identifier: Apache-2.0 */
/* Layer state: what the shards emit is kept beside them and applied after the step, in shard
 * order. */
#include <stdlib.h>
#include <string.h>

#include "ref/train/internal.h"

/* Values move out of the shard's arena; rooms are kept from step to step. */
int emitted_copy(struct emitted *e, const struct assay_kernels *kernels,
                 const struct assay_emission *emission, int count, int room)
{
    size_t bytes = 0;
    e->count = 0;
    if (!count)
        return 0;
    for (int i = 0; i < count; i++)
        bytes += elements_of(emission[i].value) * kernels->element;
    if (!e->item && !(e->item = calloc((size_t)room, sizeof *e->item)))
        return -1;
    if (bytes > e->room || !e->values) {
        free(e->values);
        e->room = 0;
        if (!(e->values = malloc(bytes + 1)))
            return -1;
        e->room = bytes;
    }
    char *to = e->values;
    for (int i = 0; i < count; i++) {
        size_t size = elements_of(emission[i].value) * kernels->element;
        e->item[i] = emission[i];
        memcpy(to, emission[i].value->data, size);
        to += size;
    }
    e->count = count;
    return 0;
}

/* Adds what shard s emitted for the entry to the sum; the first value is copied. */
static void add_emitted(const struct assay_trainer *t, const struct emitted *e, size_t entry,
                        size_t *count, double *keep)
{
    const struct assay_model *m = t->model;
    const char *from = e->values;
    for (int i = 0; i < e->count; i++) {
        size_t elements = m->entry[e->item[i].entry].elements;
        if (e->item[i].entry == entry) {
            struct assay_walk w = {.rank = 1, .dim = {elements}, .x = {1}, .y = {1}, .z = {1}};
            m->kernels->copy(&w, from, t->workers->sum, *count ? ASSAY_ADD : ASSAY_STORE);
            if (!(*count)++)
                *keep = assay_scalar(m->kernels->profile, e->item[i].keep);
        }
        from += elements * m->kernels->element;
    }
}

int buffers_ready(struct assay_trainer *t)
{
    struct assay_workers *p = t->workers;
    size_t largest = 0;
    bool any = false;
    for (size_t s = 0; s < p->shards; s++)
        any |= p->emitted[s].count > 0;
    if (!any || (p->sum && p->mean))
        return 0;
    for (size_t i = 0; i < t->model->entries; i++)
        if (t->model->entry[i].kind == ASSAY_BUFFER && t->model->entry[i].elements > largest)
            largest = t->model->entry[i].elements;
    if (!p->sum)
        p->sum = malloc((largest + 1) * t->model->kernels->element);
    if (!p->mean)
        p->mean = malloc((largest + 1) * t->model->kernels->element);
    return p->sum && p->mean ? 0 : -1;
}

void buffers_apply(struct assay_trainer *t)
{
    const struct assay_kernels *k = t->model->kernels;
    struct assay_workers *p = t->workers;
    for (size_t i = 0; i < t->model->entries; i++) {
        const struct assay_entry *e = &t->model->entry[i];
        size_t count = 0;
        double keep = 0;
        for (size_t s = 0; e->kind == ASSAY_BUFFER && s < p->shards; s++)
            add_emitted(t, &p->emitted[s], i, &count, &keep);
        if (!count)
            continue;
        k->map(MAP_DIVIDE, e->elements, assay_scalar(k->profile, (double)count), p->sum, p->mean,
               ASSAY_STORE);
        if (keep != 0)
            k->average(e->elements, keep, p->mean, entry_data(t->model, e));
        else
            memcpy(entry_data(t->model, e), p->mean, e->elements * k->element);
    }
}

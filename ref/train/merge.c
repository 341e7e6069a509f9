/* SPDX-License-Identifier: Apache-2.0 */
/* Merging gradients in binary-counter order: node (0, i) is that of shard i, node (l + 1, j)
 * the sum of nodes (l, 2j) and (l, 2j + 1) once both exist; what is left is folded from the highest
 * index down.
 *
 * Buffers. A worker takes one before it takes a shard, and shards are taken in ascending order but
 * for each worker's first, which has its buffer from the start. So when nobody is at work, the
 * shards taken are a prefix, which holds at most log2(shards) + 1 nodes, and with `threads` more
 * buffers there is one for whoever waits. */
#include <stdlib.h>

#include "ref/train/internal.h"

static size_t log2_of(size_t n)
{
    size_t l = 0;
    while (n >>= 1)
        l++;
    return l;
}

int merge_open(struct merge *m, const struct assay_kernels *kernels, size_t elements, size_t shards,
               size_t threads)
{
    size_t nodes = 0, bytes = (elements * kernels->element + 64) & ~(size_t)63;
    *m = (struct merge){.kernels = kernels, .elements = elements, .shards = shards};
    for (size_t level = 0; level < 64 && shards >> level; level++) {
        m->start[level] = nodes;
        nodes += shards >> level;
    }
    size_t buffers = (threads < shards ? threads : shards) + log2_of(shards) + 1;
    m->buffer = calloc(buffers, sizeof *m->buffer);
    m->free = calloc(buffers, sizeof *m->free);
    m->node = calloc(nodes + 1, sizeof *m->node);
    if (!m->buffer || !m->free || !m->node)
        return -1;
    for (; m->buffers < buffers; m->buffers++)
        if (!(m->buffer[m->buffers] = aligned_alloc(64, bytes)))
            return -1;
    return 0;
}

void merge_close(struct merge *m)
{
    for (size_t i = 0; i < m->buffers; i++)
        free(m->buffer[i]);
    free(m->buffer);
    free(m->free);
    free(m->node);
    *m = (struct merge){0};
}

void merge_reset(struct merge *m)
{
    for (size_t i = 0; i < m->buffers; i++)
        m->free[i] = m->buffer[i];
    m->frees = m->buffers;
    for (size_t level = 0; level < 64 && m->shards >> level; level++)
        for (size_t i = 0; i < m->shards >> level; i++)
            m->node[m->start[level] + i] = NULL;
}

void *merge_take(struct merge *m)
{
    return m->frees ? m->free[--m->frees] : NULL;
}

void merge_release(struct merge *m, void *buffer)
{
    m->free[m->frees++] = buffer;
}

void *merge_meet(struct merge *m, size_t level, size_t index, void *buffer)
{
    void **own = &m->node[m->start[level] + index], *sibling = NULL;
    if ((index ^ 1) < m->shards >> level) {
        sibling = m->node[m->start[level] + (index ^ 1)];
        m->node[m->start[level] + (index ^ 1)] = NULL;
    }
    if (!sibling)
        *own = buffer;
    return sibling;
}

void merge_add(const struct merge *m, void *lower, const void *higher)
{
    struct assay_walk w = {.rank = 1, .dim = {m->elements}, .x = {1}, .y = {1}, .z = {1}};
    m->kernels->copy(&w, higher, lower, ASSAY_ADD);
}

void *merge_finish(struct merge *m)
{
    void *total = NULL;
    for (size_t level = 0; level < 64 && m->shards >> level; level++) {
        if (!(m->shards >> level & 1))
            continue;
        /* An odd number of nodes on a level: the last one has no sibling. Low levels have the
         * high indices. */
        void *rest = m->node[m->start[level] + (m->shards >> level) - 1];
        if (total && rest) {
            merge_add(m, rest, total);
            merge_release(m, total);
        }
        total = rest;
    }
    return total;
}

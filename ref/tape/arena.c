/* SPDX-License-Identifier: Apache-2.0 */
/* The tape's arena: chunks of doubling size, kept by tape_reset and filled again in the same order,
 * so that a step like the one before allocates nothing. */
#include <stdalign.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ref/tape/op.h"

enum { ALIGNMENT = 64, FIRST_CHUNK = 1 << 16 };

struct assay_chunk {
    struct assay_chunk *next;
    size_t size, used;
    alignas(ALIGNMENT) char bytes[];
};

static struct assay_chunk *chunk_open(size_t size)
{
    struct assay_chunk *chunk = aligned_alloc(ALIGNMENT, sizeof *chunk + size);
    if (chunk) {
        chunk->next = NULL;
        chunk->size = size;
        chunk->used = 0;
    }
    return chunk;
}

int tape_open(tape *t, const struct assay_kernels *kernels)
{
    *t = (tape){.kernels = kernels, .recording = true};
    if (!kernels)
        return -1;
    t->dry = strcmp(kernels->name, "dry") == 0;
    t->chunk = t->first_chunk = chunk_open(FIRST_CHUNK);
    return t->chunk ? 0 : -1;
}

void tape_close(tape *t)
{
    tape_forget_held(t);
    for (struct assay_chunk *chunk = t->first_chunk, *next; chunk; chunk = next) {
        next = chunk->next;
        free(chunk);
    }
    free(t->node);
    free(t->marked);
    free(t->held);
    *t = (tape){0};
}

/* Counts run on, so that several shards or steps can be added up; whoever wants one step's zeroes
 * them. */
void tape_reset(tape *t)
{
    t->chunk = t->first_chunk;
    if (t->chunk)
        t->chunk->used = 0;
    t->live = t->live_mixing = t->nodes = t->marks = t->hold_next = t->decisions_taken = 0;
    t->mixing = false;
    t->error[0] = t->where[0] = '\0';
}

static void account(tape *t, size_t bytes)
{
    t->live += bytes;
    if (t->live > t->counts.bytes)
        t->counts.bytes = t->live;
    if (!t->mixing)
        return;
    t->live_mixing += bytes;
    if (t->live_mixing > t->counts.mixing_bytes)
        t->counts.mixing_bytes = t->live_mixing;
}

size_t tape_resident(const tape *t)
{
    size_t bytes = 0;
    for (const struct assay_chunk *chunk = t->first_chunk; chunk; chunk = chunk->next)
        bytes += chunk->used;
    return bytes;
}

/* Bytes that a request takes: whole cache lines, at least one. SIZE_MAX: too many. */
static size_t lines(size_t bytes)
{
    if (bytes > SIZE_MAX / 4)
        return SIZE_MAX;
    return bytes ? (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT : ALIGNMENT;
}

void *tape_allocate(tape *t, size_t bytes)
{
    if (t->error[0])
        return NULL;
    size_t size = lines(bytes);
    while (size != SIZE_MAX && t->chunk && t->chunk->size - t->chunk->used < size) {
        struct assay_chunk *chunk = t->chunk;
        if (!chunk->next)
            chunk->next = chunk_open(size > 2 * chunk->size ? size : 2 * chunk->size);
        if (chunk->next)
            chunk->next->used = 0;
        else if (!(chunk->next = chunk_open(size)))
            size = SIZE_MAX;
        if (chunk->next)
            t->chunk = chunk->next;
    }
    if (size == SIZE_MAX || !t->chunk) {
        tape_fail(t, "tape", "out of memory: %zu bytes", bytes);
        return NULL;
    }
    void *memory = t->chunk->bytes + t->chunk->used;
    t->chunk->used += size;
    account(t, size);
    return memory;
}

char *tape_string(tape *t, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    char *text = length < 0 ? NULL : tape_allocate(t, (size_t)length + 1);
    if (!text)
        return NULL;
    va_start(arguments, format);
    vsnprintf(text, (size_t)length + 1, format, arguments);
    va_end(arguments);
    return text;
}

void *op_memory(tape *t, size_t reals)
{
    if (t->error[0])
        return NULL;
    size_t bytes;
    if (__builtin_mul_overflow(reals, t->kernels->element, &bytes))
        bytes = SIZE_MAX;
    if (!t->dry)
        return tape_allocate(t, bytes);
    if (lines(bytes) == SIZE_MAX) {
        tape_fail(t, "tape", "out of memory: %zu elements", reals);
        return NULL;
    }
    account(t, lines(bytes));
    return t->first_chunk->bytes;
}

struct op_loan op_borrow(const tape *t)
{
    return (struct op_loan){t->chunk, t->chunk ? t->chunk->used : 0, t->live, t->live_mixing};
}

void op_give_back(tape *t, struct op_loan loan)
{
    t->chunk = loan.chunk;
    if (t->chunk)
        t->chunk->used = loan.used;
    t->live = loan.live;
    t->live_mixing = loan.live_mixing;
}

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

/* Taken from the front; what is to be kept, from the end. */
struct assay_chunk {
    struct assay_chunk *next;
    size_t size, used, kept;
    alignas(ALIGNMENT) char bytes[];
};

static struct assay_chunk *chunk_open(size_t size)
{
    struct assay_chunk *chunk = aligned_alloc(ALIGNMENT, sizeof *chunk + size);
    if (chunk) {
        chunk->next = NULL;
        chunk->size = size;
        chunk->used = chunk->kept = 0;
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

/* The part of a tape that is exchanged when it steps aside: memory, nodes, marks, and the next such
 * part, for who steps aside again. */
struct assay_aside {
    struct assay_chunk *chunk, *first_chunk;
    tensor *node;
    size_t nodes, node_room;
    struct assay_marked *marked;
    size_t marks, mark_room;
    struct assay_aside *aside;
};

static struct assay_aside part_of(const tape *t)
{
    return (struct assay_aside){.chunk = t->chunk,
                                .first_chunk = t->first_chunk,
                                .node = t->node,
                                .nodes = t->nodes,
                                .node_room = t->node_room,
                                .marked = t->marked,
                                .marks = t->marks,
                                .mark_room = t->mark_room,
                                .aside = t->aside};
}

static void close_part(struct assay_aside part)
{
    for (struct assay_chunk *chunk = part.first_chunk, *next; chunk; chunk = next) {
        next = chunk->next;
        free(chunk);
    }
    free(part.node);
    free(part.marked);
}

void tape_close(tape *t)
{
    tape_forget_held(t);
    close_part(part_of(t));
    for (struct assay_aside *aside = t->aside, *next; aside; aside = next) {
        next = aside->aside;
        close_part(*aside);
        free(aside);
    }
    free(t->held);
    *t = (tape){0};
}

static void forget_kept(struct assay_chunk *chunk)
{
    for (; chunk; chunk = chunk->next)
        chunk->kept = 0;
}

/* Counts run on, so that several shards or steps can be added up; whoever wants one step's zeroes
 * them. */
void tape_reset(tape *t)
{
    t->chunk = t->first_chunk;
    if (t->chunk)
        t->chunk->used = 0;
    forget_kept(t->first_chunk);
    for (struct assay_aside *aside = t->aside; aside; aside = aside->aside)
        forget_kept(aside->first_chunk);
    t->live = t->live_mixing = t->kept = 0;
    t->nodes = t->marks = t->hold_next = t->decisions_taken = 0;
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

static size_t resident(const struct assay_chunk *chunk)
{
    size_t bytes = 0;
    for (; chunk; chunk = chunk->next)
        bytes += chunk->used + chunk->kept;
    return bytes;
}

size_t tape_resident(const tape *t)
{
    size_t bytes = resident(t->first_chunk);
    for (const struct assay_aside *aside = t->aside; aside; aside = aside->aside)
        bytes += resident(aside->first_chunk);
    return bytes;
}

/* Bytes that a request takes: whole cache lines, at least one. SIZE_MAX: too many. */
static size_t lines(size_t bytes)
{
    if (bytes > SIZE_MAX / 4)
        return SIZE_MAX;
    return bytes ? (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT : ALIGNMENT;
}

static size_t room_in(const struct assay_chunk *chunk)
{
    return chunk->size - chunk->used - chunk->kept;
}

/* The chunk that has room for so many bytes, whole lines; NULL after an error. */
static struct assay_chunk *chunk_with(tape *t, size_t size)
{
    while (size != SIZE_MAX && t->chunk && room_in(t->chunk) < size) {
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
    return size == SIZE_MAX ? NULL : t->chunk;
}

void *tape_allocate(tape *t, size_t bytes)
{
    if (t->error[0])
        return NULL;
    size_t size = lines(bytes);
    struct assay_chunk *chunk = chunk_with(t, size);
    if (!chunk) {
        tape_fail(t, "tape", "out of memory: %zu bytes", bytes);
        return NULL;
    }
    void *memory = chunk->bytes + chunk->used;
    chunk->used += size;
    account(t, size);
    return memory;
}

tensor tape_keep(tape *t, tensor x)
{
    size_t width = x && x->type == ASSAY_REAL ? t->kernels->element : sizeof(int32_t);
    size_t bytes = x && !t->dry ? elements_of(x) * width : 0;
    size_t head = lines(sizeof(struct assay_node)), size = head + lines(bytes);
    struct assay_chunk *chunk = x && !t->error[0] ? chunk_with(t, size) : NULL;
    if (!chunk) {
        if (x)
            tape_fail(t, "tape", "out of memory: %zu bytes", bytes);
        return TENSOR_NONE;
    }
    chunk->kept += size;
    t->kept += size;
    account(t, size);
    char *memory = chunk->bytes + chunk->size - chunk->kept;
    tensor y = (tensor)(void *)memory;
    *y = (struct assay_node){.type = x->type, .shape = x->shape, .data = memory + head};
    if (bytes)
        memcpy(y->data, x->data, bytes);
    return y;
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
    return (struct op_loan){t->chunk, t->chunk ? t->chunk->used : 0, t->live, t->live_mixing,
                            t->kept};
}

void op_give_back(tape *t, struct op_loan loan)
{
    t->chunk = loan.chunk;
    if (t->chunk)
        t->chunk->used = loan.used;
    t->live = loan.live + (t->kept - loan.kept);
    t->live_mixing = loan.live_mixing;
}

/* The tape and what is aside change places; the tape's `aside` is then the next part, and what it left
 * leads back to itself. */
static void exchange(tape *t, struct assay_aside *with)
{
    struct assay_aside part = part_of(t);
    t->chunk = with->chunk;
    t->first_chunk = with->first_chunk;
    t->node = with->node;
    t->nodes = with->nodes;
    t->node_room = with->node_room;
    t->marked = with->marked;
    t->marks = with->marks;
    t->mark_room = with->mark_room;
    t->aside = with->aside;
    *with = part;
}

bool op_step_aside(tape *t, struct op_aside *aside)
{
    if (t->error[0])
        return false;
    if (!t->aside)
        t->aside = calloc(1, sizeof *t->aside);
    if (t->aside && !t->aside->first_chunk)
        t->aside->first_chunk = chunk_open(FIRST_CHUNK);
    if (!t->aside || !t->aside->first_chunk) {
        tape_fail(t, "tape", "out of memory");
        return false;
    }
    *aside = (struct op_aside){t->aside, t->live, t->live_mixing};
    exchange(t, aside->left);
    t->chunk = t->first_chunk;
    t->chunk->used = t->nodes = t->marks = 0;
    return true;
}

void op_step_back(tape *t, const struct op_aside *aside)
{
    exchange(t, aside->left);
    t->live = aside->live;
    t->live_mixing = aside->live_mixing;
}

const struct assay_marked *op_marked_aside(const tape *t, size_t *count)
{
    *count = t->aside ? t->aside->marks : 0;
    return t->aside ? t->aside->marked : NULL;
}

static bool lies_here(const tape *t, const void *memory)
{
    const char *at = memory;
    bool here = false;
    for (const struct assay_chunk *chunk = t->first_chunk; chunk && !here; chunk = chunk->next)
        here = at >= chunk->bytes && at < chunk->bytes + chunk->size;
    return here;
}

void op_gradients_left(tape *t, struct op_aside *aside)
{
    for (size_t i = 0; i < t->nodes && !t->error[0]; i++)
        for (int j = 0; j < t->node[i]->inputs; j++) {
            tensor x = t->node[i]->input[j];
            if (!x || !x->needs_gradient || x->gradient || lies_here(t, x))
                continue;
            size_t live = t->live, mixing = t->live_mixing;
            exchange(t, aside->left);
            tape_gradient(t, x);
            exchange(t, aside->left);
            aside->live += t->live - live;
            aside->live_mixing += t->live_mixing - mixing;
        }
}

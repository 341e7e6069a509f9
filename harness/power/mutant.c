/* SPDX-License-Identifier: Apache-2.0 */
/* A mistake laid over a table of kernels, and what mistakes are made with. */
#include "harness/power/mutant.h"

#include <stdlib.h>
#include <string.h>

enum { BORROWED_MAX = 16 };

/* Kernels have no argument for whom they work for, so that this stands per thread. */
static _Thread_local struct {
    const struct mutant *mutant;
    const struct assay_kernels *below;
    struct assay_kernels table;
    void *borrowed[BORROWED_MAX];
    size_t count;
    bool failed;
} now;

const struct assay_kernels *below(void)
{
    return now.below;
}

static bool single(void)
{
    return now.below->profile == ASSAY_F32;
}

double element(const void *x, size_t i)
{
    return single() ? (double)((const float *)x)[i] : ((const double *)x)[i];
}

void element_set(void *x, size_t i, double value)
{
    if (single())
        ((float *)x)[i] = (float)value;
    else
        ((double *)x)[i] = value;
}

void *element_at(const void *x, size_t i)
{
    return x ? (char *)(uintptr_t)x + i * now.below->element : NULL;
}

static void *borrow_bytes(size_t bytes)
{
    void *memory = now.count < BORROWED_MAX ? calloc(bytes + 1, 1) : NULL;
    if (memory)
        now.borrowed[now.count++] = memory;
    else
        now.failed = true;
    return memory;
}

void *borrow(size_t n)
{
    return borrow_bytes(n * now.below->element);
}

int32_t *borrow_i32(size_t n)
{
    return borrow_bytes(n * sizeof(int32_t));
}

void release(void)
{
    while (now.count)
        free(now.borrowed[--now.count]);
}

void *borrow_copy(size_t n, const void *x)
{
    void *copy = borrow(n);
    if (copy && n)
        memcpy(copy, x, n * now.below->element);
    return copy;
}

void deliver(size_t n, const void *x, void *y, enum assay_mode mode)
{
    now.below->map(MAP_SCALE, n, 1, x, y, mode);
}

void shorten(size_t n, void *x)
{
    for (size_t i = 0; x && i < n; i++) {
        float value = (float)element(x, i), spread = value * 8193; /* Veltkamp: 24 - 13 bits */
        element_set(x, i, (double)(spread - (spread - value)));
    }
}

static void attention(const struct assay_attention *a)
{
    struct assay_attention wrong = *a;
    now.mutant->attention(&wrong);
    now.below->attention(&wrong);
    release();
}

static void attention_backward(const struct assay_attention *a)
{
    struct assay_attention wrong = *a;
    now.mutant->attention(&wrong);
    now.below->attention_backward(&wrong);
    release();
}

static enum assay_map replaced(enum assay_map f, int where)
{
    const struct mutant *m = now.mutant;
    return m->map.where & where && f == m->map.from ? m->map.to : f;
}

static void map(enum assay_map f, size_t n, double s, const void *x, void *y, enum assay_mode mode)
{
    now.below->map(replaced(f, FORWARD), n, s, x, y, mode);
}

/* A backward may read y: with another function it gets that function's. */
static void map_backward(enum assay_map f, size_t n, double s, const void *x, const void *y,
                         const void *dy, void *dx)
{
    enum assay_map g = replaced(f, BACKWARD);
    void *value = g != f ? borrow(n) : NULL;
    if (value)
        now.below->map(g, n, s, x, value, ASSAY_STORE);
    now.below->map_backward(g, n, s, x, value ? value : y, dy, dx);
    release();
}

const struct assay_kernels *assay_mutant_begin(const struct assay_kernels *right,
                                               const struct mutant *mutant)
{
    now.mutant = mutant;
    now.below = right;
    now.failed = false;
    now.table = *right;
    if (mutant->kernels)
        mutant->kernels(&now.table);
    if (mutant->attention) {
        now.table.attention = attention;
        now.table.attention_backward = attention_backward;
    }
    if (mutant->map.where) {
        now.table.map = map;
        now.table.map_backward = map_backward;
    }
    return &now.table;
}

bool assay_mutant_failed(void)
{
    return now.failed;
}

size_t assay_mutant_count(void)
{
    size_t count = 0;
    while (assay_mutants[count].name)
        count++;
    return count;
}

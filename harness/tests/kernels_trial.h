/* SPDX-License-Identifier: Apache-2.0 */
/* Random problems for products, attention and scans: numbers that tie, vanish and underflow,
 * in blocks with guards behind them. */
#ifndef ASSAY_KERNELS_TRIAL_H
#define ASSAY_KERNELS_TRIAL_H

#include <stdlib.h>
#include <string.h>

#include "harness/tests/tap.h"
#include "ref/kernels.h"

enum { BLOCKS = 64, GUARD = 64 };

/* What one trial allocates, freed together. Every block is followed by a guard that comparisons
 * include. */
struct trial {
    struct assay_rng rng;
    const struct assay_kernels *table;
    double tolerance; /* of binary32 numbers, relative to 1 + |x|; 0: the same bits */
    void *block[BLOCKS];
    size_t bytes[BLOCKS];
    int blocks;
};

static void *room(struct trial *t, size_t bytes)
{
    void *p = malloc(bytes + GUARD);
    if (!p || t->blocks == BLOCKS)
        abort();
    memset(p, 0x5a, bytes + GUARD);
    t->bytes[t->blocks] = bytes + GUARD;
    t->block[t->blocks++] = p;
    return p;
}

static void trial_free(struct trial *t)
{
    while (t->blocks)
        free(t->block[--t->blocks]);
}

static void put(const struct assay_kernels *table, void *x, size_t i, double value)
{
    if (table->element == sizeof(float))
        ((float *)x)[i] = (float)value;
    else
        ((double *)x)[i] = value;
}

/* n numbers of magnitude below 2, with digits down to the last place of binary64, lest products be
 * exact there. One in eight is a zero of either sign, one in sixteen the smallest subnormal, of
 * which products underflow, and many are equal, so that maxima tie. */
static void *numbers(struct trial *t, size_t n)
{
    void *x = room(t, n * t->table->element);
    double smallest = t->table->element == sizeof(float) ? 0x1p-149 : 0x1p-1074;
    for (size_t i = 0; i < n; i++) {
        uint32_t bits = assay_rng_next(&t->rng);
        double low = (double)assay_rng_next(&t->rng) * 0x1p-55;
        double value = bits & 8 ? (bits >> 29) % 4 * 0.5 : (double)(bits >> 8) * 0x1p-23 + low;
        if (bits % 8 == 0)
            value = 0;
        else if (bits % 16 == 1)
            value = smallest;
        put(t->table, x, i, bits & 16 ? -value : value);
    }
    return x;
}

/* Runs both directions; whether scratch was kept to. */
static bool attention_run(struct trial *t, const struct assay_kernels *table,
                          struct assay_attention *a)
{
    size_t bytes = table->attention_scratch(a);
    a->scratch = room(t, bytes);
    table->attention(a);
    memset(a->scratch, 0xff, bytes); /* backward finds nothing of forward's, only NaN */
    table->attention_backward(a);
    for (size_t l = 0; l < GUARD; l++)
        if (((unsigned char *)a->scratch)[bytes + l] != 0x5a)
            return false;
    return true;
}

/* The same of a matrix scan. */
static bool matrix_scan_run(struct trial *t, const struct assay_kernels *table,
                            struct assay_matrix_scan *s)
{
    size_t bytes = table->matrix_scan_scratch(s);
    s->scratch = room(t, bytes);
    memset(s->scratch, 0xff, bytes);
    table->matrix_scan(s);
    memset(s->scratch, 0xff, bytes);
    table->matrix_scan_backward(s);
    for (size_t l = 0; l < GUARD; l++)
        if (((unsigned char *)s->scratch)[bytes + l] != 0x5a)
            return false;
    return true;
}

#endif

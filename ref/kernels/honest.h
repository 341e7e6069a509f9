/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the honest table share. Each of its kernels puts the arguments into an order
 * that it draws, calls the base table's kernel, puts the result back, and adds what a backend of
 * the precision would have rounded: the base kernel's own result always shows. */
#ifndef ASSAY_KERNELS_HONEST_H
#define ASSAY_KERNELS_HONEST_H

#include "ref/honest.h"

struct honest {
    const struct assay_kernels *base;
    struct assay_kernels table;
    enum assay_precision precision;
    bool low;              /* results are stored in 16 bits */
    bool eager;            /* what others fuse into one kernel is stored on the way */
    bool spared;           /* this call's result is fused into its reader, its product not tf32 */
    bool stepped;          /* this call is made of steps, one of which is stored on the way */
    uint64_t seed, calls;
    struct honest_block *block; /* memory of the call in progress */
    bool failed;                /* there was not enough */
};

/* The thread's state, for a new call, and the generator of that call. */
struct honest *honest_enter(struct assay_rng *rng);
/* Gives the call's memory back. If there was too little, *result, a number, is NaN instead. */
void honest_leave(struct honest *h, void *result);
/* n elements of 4 bytes, zero bits; NULL if memory ran out, and then the call is given up. */
void *honest_take(struct honest *h, size_t n);
float *honest_copied(struct honest *h, size_t n, const float *x);
/* A permutation of 0 .. n - 1. */
int32_t *honest_order(struct honest *h, struct assay_rng *rng, size_t n);

/* Rounds what a product reads (nothing in binary32), and what is stored (nothing in f32, tf32). */
float honest_operand(const struct honest *h, float x);
float honest_stored(const struct honest *h, float x);
void honest_operands(const struct honest *h, size_t n, float *x);

/* x or a neighbour: elementary functions and quotients of libraries are within 1 to 2 ulp where
 * ours are correctly rounded. Two bits of `bits` choose. */
float honest_nudged(float x, uint32_t bits);
/* -1, 0 or 1; 0 half of the time. */
float honest_step(struct assay_rng *rng);

/* y: [n], as a kernel left it; old: what was there before, to which it added, or NULL if it stored.
 * What came is nudged if the kernel is of several steps (a function, a quotient, a norm), then
 * rounded, then the sum is rounded. */
void honest_settle(const struct honest *h, struct assay_rng *rng, size_t n, const float *old,
                   bool steps, float *y);

/* y[r][j] = x[r][order[j]] for rows of `width` items of `inner` elements of 4 bytes; `back`:
 * y[r][order[j]] = x[r][j]. order NULL: a copy. */
void honest_permute(size_t rows, size_t width, size_t inner, const int32_t *order, bool back,
                    const void *x, void *y);

/* How a sum of `length` terms is cut: parts of at most `step`, at most HONEST_PARTS of them, from
 * single terms (products are then rounded before they are added) to one chain. */
enum { HONEST_PARTS = 64 };
struct honest_cut {
    size_t step, parts;
};
struct honest_cut honest_cut(struct assay_rng *rng, size_t length);
/* part: [parts, n]; its sum, one after the other or as a tree, is left in the first n. */
void honest_combine(struct assay_rng *rng, size_t parts, size_t n, float *part);

/* The members that each file sets. */
void honest_products(struct assay_kernels *table);
void honest_maps(struct assay_kernels *table);
void honest_rows(struct assay_kernels *table);
void honest_sums(struct assay_kernels *table);
void honest_attention(struct assay_kernels *table);
void honest_scans(struct assay_kernels *table);

#endif

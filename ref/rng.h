/* SPDX-License-Identifier: Apache-2.0 */
/* Random numbers: PCG32, streams keyed by name, and distributions. Integers and binary32 only, so
 * that both profiles draw the same numbers. Formulas: ref/ARITHMETIC.md, Randomness. */
#ifndef ASSAY_RNG_H
#define ASSAY_RNG_H

#include <stddef.h>
#include <stdint.h>

struct assay_rng {
    uint64_t state, inc;
};

/* The generator of the published reference (O'Neill 2014, XSH-RR 64/32): one of 2^63 sequences. */
void assay_rng_seed(struct assay_rng *rng, uint64_t initstate, uint64_t initseq);
uint32_t assay_rng_next(struct assay_rng *rng);

/* The stream that `name` has in a run with this seed. */
void assay_rng_named(struct assay_rng *rng, uint64_t seed, const char *name);

/* The stream of one sample in one step, for the layer (or other use) called `name`. */
void assay_rng_keyed(struct assay_rng *rng, uint64_t seed, uint64_t step, uint64_t sample,
                     const char *name);

/* An integer in 0 .. n - 1, each as likely; 0 without a draw if n = 0. */
uint32_t assay_rng_below(struct assay_rng *rng, uint32_t n);

/* A multiple of 2^-24 in [0, 1), each as likely. */
float assay_rng_uniform(struct assay_rng *rng);

/* Mean 0, variance 1, magnitude at most 5.77. */
float assay_rng_normal(struct assay_rng *rng);

/* x: [n] binary32 numbers, each low + (high - low) * assay_rng_uniform, or as by assay_rng_normal. */
void assay_rng_uniforms(struct assay_rng *rng, size_t n, float low, float high, void *x);
void assay_rng_normals(struct assay_rng *rng, size_t n, void *x);

/* A normal number given that its magnitude is at most a. Takes sqrt(pi/2) / a trials or so for
 * small a; 0 without a draw unless a > 0. */
float assay_rng_truncated_normal(struct assay_rng *rng, float a);

/* p: [n] becomes a permutation of 0 .. n - 1, each as likely. */
void assay_rng_permutation(struct assay_rng *rng, int32_t n, int32_t *p);

/* items: [n]. Its first k elements (k <= n) become a choice of k of 0 .. n - 1 without replacement,
 * in the order drawn; the others are those not chosen. */
void assay_rng_choose(struct assay_rng *rng, int32_t n, int32_t k, int32_t *items);

#endif

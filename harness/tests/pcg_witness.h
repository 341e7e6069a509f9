/* SPDX-License-Identifier: Apache-2.0 */
/* The generator's authors' own library (pcg-cpp), as C functions. */
#ifndef ASSAY_PCG_WITNESS_H
#define ASSAY_PCG_WITNESS_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The first n outputs of the sequence `stream` seeded with `seed`. */
void pcg_witness_outputs(uint64_t seed, uint64_t stream, size_t n, uint32_t *y);

/* The outputs of a generator that stands at `state` with the odd increment `increment`. */
void pcg_witness_outputs_from(uint64_t state, uint64_t increment, size_t n, uint32_t *y);

/* y: [n] integers below bound[i], drawn one after the other; bound: [n], none 0. */
void pcg_witness_below(uint64_t seed, uint64_t stream, size_t n, const uint32_t *bound,
                       uint32_t *y);

/* Shuffles p: [n]. */
void pcg_witness_shuffle(uint64_t seed, uint64_t stream, size_t n, int32_t *p);

/* The output after `distance` others, reached by a jump (a power of the recurrence, in about
 * log2(distance) products). */
uint32_t pcg_witness_after(uint64_t seed, uint64_t stream, uint64_t distance);

#ifdef __cplusplus
}
#endif

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* Causal linear attention whose matrix state decays (Yang et al. 2023, arXiv:2312.06635), in ways
 * that differ by rounding:
 *
 *     S_t[i, j] = exp(decay_t[i]) S_(t-1)[i, j] + k_t[i] v_t[j];  o_t[j] = sum_i q_t[i] S_t[i, j]
 */
#ifndef ASSAY_DECAYED_H
#define ASSAY_DECAYED_H

#include "ref/ops.h"

/* q, k, decay [b, n, w], v [b, n, v]; decay: logarithms, none above 0 */
struct decayed { tensor q, k, v, decay; };

/* o [b, n, v]; start [b, w, v] or NONE: zeros; *end likewise, if asked */
tensor decayed_scan(tape *t, struct decayed r, tensor start, tensor *end);
/* From zeros, with n x n weights. */
tensor decayed_pairs(tape *t, struct decayed r);
/* From zeros, chunk by chunk, the last may be short; within a chunk pair by pair, or by blocks of `sub`
 * tokens, of which only a block's own pairs are taken one by one (sub 0: one block). */
tensor decayed_chunks(tape *t, struct decayed r, size_t chunk, size_t sub);

/* Tokens from .. from + n - 1. */
struct decayed decayed_tokens(tape *t, struct decayed r, size_t from, size_t n);

#endif

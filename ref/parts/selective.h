/* SPDX-License-Identifier: Apache-2.0 */
/* The diagonal state-space recurrence whose step and maps follow the tokens (Gu and Dao 2023,
 * arXiv:2312.00752), in three ways:
 *
 *     h_t[c, i] = exp(Delta_t[c] A[c, i]) h_(t-1)[c, i] + Delta_t[c] u_t[c] B_t[i]
 *     y_t[c] = sum_i C_t[i] h_t[c, i]
 */
#ifndef ASSAY_SELECTIVE_H
#define ASSAY_SELECTIVE_H

#include "ref/ops.h"

/* u, delta [b, n, E], A [E, N], B, C [b, n, N] */
struct selective { tensor u, delta, A, B, C; };

/* y [b, n, E]; start [b, E, N], NONE: zeros; *end likewise, if asked */
tensor selective_scan(tape *t, struct selective s, tensor start, tensor *end);
/* The same from zeros, within chunks of so many tokens over spans that double. */
tensor selective_trees(tape *t, struct selective s, size_t chunk);
/* The same from zeros, by the n x n matrix of every channel. */
tensor selective_matrix(tape *t, struct selective s);

/* Its parts, [b, n, E, N]: exp(Delta A), and Delta u B */
tensor selective_decays(tape *t, struct selective s);
tensor selective_writes(tape *t, struct selective s);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* What the kernel files share: names by profile and level, the sum of 16 lanes, the maximum,
 * modes.
 *
 * A kernel file is compiled once per ASSAY_PROFILE (32, 64) and ASSAY_LEVEL (base, v3, v4). It
 * exports one function, `void KERNEL_FILE(subject)(struct assay_kernels *table, bool tuned)`,
 * which sets the members of its subject: to the definition, or to the tiled version of the level
 * it is compiled for. */
#ifndef ASSAY_KERNELS_KERNEL_H
#define ASSAY_KERNELS_KERNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "ref/kernels.h"
#include "ref/real.h"

#include "ref/elementary_array.h" /* after real.h */

#ifndef ASSAY_LEVEL
#error "kernel files are compiled with ASSAY_LEVEL: base, v3 or v4"
#endif

#define KERNEL_JOIN(name, level) name##_##level
#define KERNEL_AT(name, level) KERNEL_JOIN(name, level)
#define KERNEL_FILE(subject) KERNEL_AT(PROFILED(assay_kernels_##subject), ASSAY_LEVEL)

void KERNEL_FILE(products)(struct assay_kernels *table, bool tuned);
void KERNEL_FILE(attention)(struct assay_kernels *table, bool tuned);
void KERNEL_FILE(attention_backward)(struct assay_kernels *table, bool tuned);
void KERNEL_FILE(scans)(struct assay_kernels *table, bool tuned);
void KERNEL_FILE(maps)(struct assay_kernels *table, bool tuned);
void KERNEL_FILE(zips)(struct assay_kernels *table, bool tuned);
void KERNEL_FILE(reductions)(struct assay_kernels *table, bool tuned);
void KERNEL_FILE(norms)(struct assay_kernels *table, bool tuned);
void KERNEL_FILE(softmax)(struct assay_kernels *table, bool tuned);
void KERNEL_FILE(moves)(struct assay_kernels *table, bool tuned);
void KERNEL_FILE(sorting)(struct assay_kernels *table, bool tuned);
void KERNEL_FILE(optimizers)(struct assay_kernels *table, bool tuned);

/* Bytes of the level's vector registers, and how many there are: they size tiles, never results. */
#if defined(__AVX512F__)
enum { VECTOR_BYTES = 64, VECTOR_REGISTERS = 32 };
#elif defined(__AVX2__)
enum { VECTOR_BYTES = 32, VECTOR_REGISTERS = 16 };
#else
enum { VECTOR_BYTES = 16, VECTOR_REGISTERS = 16 };
#endif
enum { VECTOR = VECTOR_BYTES / sizeof(real) };

/* A loop over the registers of a tile, its n steps written out, so that none is an index into
 * memory. */
#ifdef __clang__
#define UNROLLED_FOR(i, n) _Pragma("clang loop unroll(full)") for (int i = 0; i < (n); i++)
#else
#define UNROLLED_FOR(i, n) _Pragma("GCC unroll 16") for (int i = 0; i < (n); i++)
#endif

/* x if `first`, else y; both are loaded before the choice. gcc 12 makes wrong code of some loops
 * whose loads are conditional (vmaskmov with another vector's mask at x86-64-v3). */
static inline __attribute__((always_inline)) real chosen(bool first, real x, real y)
{
    return first ? x : y;
}

/* A result meets its destination. */
static inline void meet(real *y, real value, enum assay_mode mode)
{
    *y = mode == ASSAY_ADD ? *y + value : mode == ASSAY_SUBTRACT ? *y - value : value;
}

/* A sum over the last axis: element j is added to lane j mod 16, ascending, then the tree 8, 4,
 * 2, 1. Lanes start at +0, so none is ever -0 and adding a zero of either sign leaves it as it
 * is: an element outside a set may be skipped or added as zero. Use: real lane[LANES] = {0};
 * lane[j % LANES] += x[j]; ... lanes_total(lane). */
enum { LANES = 16 };

static inline real lanes_total(const real lane[LANES])
{
    real t8[8], t4[4], t2[2];
    for (size_t l = 0; l < 8; l++)
        t8[l] = lane[l] + lane[l + 8];
    for (size_t l = 0; l < 4; l++)
        t4[l] = t8[l] + t8[l + 4];
    for (size_t l = 0; l < 2; l++)
        t2[l] = t4[l] + t4[l + 2];
    return t2[0] + t2[1];
}

/* Vectors of the level. Arrays of them become registers only where loops over them are unrolled
 * early. */
typedef real vec __attribute__((vector_size(VECTOR_BYTES)));
typedef real vec_unaligned __attribute__((vector_size(VECTOR_BYTES), aligned(sizeof(real))));
enum { LANE_VECTORS = LANES / VECTOR };

static inline vec vec_load(const real *x)
{
    return *(const vec_unaligned *)x;
}

static inline void vec_store(real *x, vec v)
{
    *(vec_unaligned *)x = v;
}

/* Sum of x[0 .. n). */
static inline real sum16(size_t n, const real *x)
{
    vec sum[LANE_VECTORS] = {{0}};
    real lane[LANES];
    size_t j = 0;
    for (; j + LANES <= n; j += LANES)
        UNROLLED_FOR (v, LANE_VECTORS)
            sum[v] += vec_load(x + j + v * VECTOR);
    UNROLLED_FOR (v, LANE_VECTORS)
        vec_store(lane + v * VECTOR, sum[v]);
    for (; j < n; j++)
        lane[j % LANES] += x[j];
    return lanes_total(lane);
}

/* Sum of the rounded products x[j] y[j]. */
static inline real sum16_products(size_t n, const real *x, const real *y)
{
    vec sum[LANE_VECTORS] = {{0}};
    real lane[LANES];
    size_t j = 0;
    for (; j + LANES <= n; j += LANES)
        UNROLLED_FOR (v, LANE_VECTORS)
            sum[v] += vec_load(x + j + v * VECTOR) * vec_load(y + j + v * VECTOR);
    UNROLLED_FOR (v, LANE_VECTORS)
        vec_store(lane + v * VECTOR, sum[v]);
    for (; j < n; j++)
        lane[j % LANES] += x[j] * y[j];
    return lanes_total(lane);
}

/* The largest of n > 0 elements, none NaN; which of two zeros is not said. */
static inline real largest16(size_t n, const real *x)
{
    real lane[LANES];
    size_t j = 0;
    for (size_t l = 0; l < LANES; l++)
        lane[l] = x[0];
    if (n >= LANES) {
        vec best[LANE_VECTORS];
        UNROLLED_FOR (v, LANE_VECTORS)
            best[v] = vec_load(x + v * VECTOR);
        for (j = LANES; j + LANES <= n; j += LANES)
            UNROLLED_FOR (v, LANE_VECTORS) {
                vec y = vec_load(x + j + v * VECTOR);
                __typeof__(y > best[v]) larger = y > best[v];
                best[v] = (vec)((larger & (__typeof__(larger))y)
                                | (~larger & (__typeof__(larger))best[v]));
            }
        UNROLLED_FOR (v, LANE_VECTORS)
            vec_store(lane + v * VECTOR, best[v]);
    }
    for (; j < n; j++)
        lane[0] = x[j] > lane[0] ? x[j] : lane[0];
    for (size_t l = 1; l < LANES; l++)
        lane[0] = lane[l] > lane[0] ? lane[l] : lane[0];
    return lane[0];
}

/* Index of the maximum over the set, the lowest among equals (-0 = +0); n if the set is empty. */
static inline size_t max_index_def(size_t n, const real *x, const int32_t *allowed)
{
    size_t best = n;
    for (size_t j = 0; j < n; j++)
        if ((!allowed || allowed[j]) && (best == n || x[j] > x[best]))
            best = j;
    return best;
}

/* The same by vectors: the largest value, then the first element equal to it. */
static inline size_t max_index(size_t n, const real *x, const int32_t *allowed)
{
    if (allowed || n == 0)
        return max_index_def(n, x, allowed);
    real largest = largest16(n, x);
    for (size_t j = 0; j < n; j++)
        if (x[j] == largest)
            return j;
    return max_index_def(n, x, allowed);
}

#endif

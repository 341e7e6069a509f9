/* SPDX-License-Identifier: Apache-2.0 */
/* Top-k and argsort: ties to the lower index, -0 = +0. Both work in the index array and need no
 * other memory. */
#include "ref/kernels/kernel.h"

/* Whether element i comes before element j in the order asked for. */
static inline bool before(const real *x, bool ascending, int32_t i, int32_t j)
{
    if (x[i] == x[j])
        return i < j;
    return ascending ? x[i] < x[j] : x[i] > x[j];
}

/* The first k of the order, by insertion: element i goes behind every kept element that isn't
 * after it. */
static void first_k_def(size_t width, size_t k, bool ascending, const real *x, int32_t *index)
{
    for (size_t i = 0, kept = 0; i < width && k; i++) {
        if (kept == k && !before(x, ascending, (int32_t)i, index[k - 1]))
            continue;
        size_t at = kept < k ? kept++ : k - 1;
        for (; at > 0 && before(x, ascending, (int32_t)i, index[at - 1]); at--)
            index[at] = index[at - 1];
        index[at] = (int32_t)i;
    }
}

/* Lets index[at] sink in a heap of n whose root comes last in the order. */
static void sink(size_t n, size_t at, bool ascending, const real *x, int32_t *index)
{
    int32_t moving = index[at];
    for (size_t child; (child = 2 * at + 1) < n; at = child) {
        if (child + 1 < n && before(x, ascending, index[child], index[child + 1]))
            child++;
        if (!before(x, ascending, moving, index[child]))
            break;
        index[at] = index[child];
    }
    index[at] = moving;
}

/* The same by a heap of the k best so far. An element that ties with the root has a higher index
 * and stays out. */
static void first_k_tuned(size_t width, size_t k, bool ascending, const real *x, int32_t *index)
{
    for (size_t i = 0; i < k; i++)
        index[i] = (int32_t)i;
    for (size_t at = k / 2; at-- > 0;)
        sink(k, at, ascending, x, index);
    for (size_t i = k; k && i < width; i++)
        if (ascending ? x[i] < x[index[0]] : x[i] > x[index[0]]) {
            index[0] = (int32_t)i;
            sink(k, 0, ascending, x, index);
        }
    for (size_t n = k; n > 1; n--) {
        int32_t last = index[0];
        index[0] = index[n - 1];
        index[n - 1] = last;
        sink(n - 1, 0, ascending, x, index);
    }
}

static void top_k_def(size_t rows, size_t width, size_t k, const void *x, int32_t *index)
{
    for (size_t r = 0; r < rows; r++)
        first_k_def(width, k, false, (const real *)x + r * width, index + r * k);
}

static void argsort_def(size_t rows, size_t width, bool ascending, const void *x, int32_t *index)
{
    for (size_t r = 0; r < rows; r++)
        first_k_def(width, width, ascending, (const real *)x + r * width, index + r * width);
}

static void top_k_tuned(size_t rows, size_t width, size_t k, const void *x, int32_t *index)
{
    for (size_t r = 0; r < rows; r++)
        first_k_tuned(width, k, false, (const real *)x + r * width, index + r * k);
}

static void argsort_tuned(size_t rows, size_t width, bool ascending, const void *x, int32_t *index)
{
    for (size_t r = 0; r < rows; r++)
        first_k_tuned(width, width, ascending, (const real *)x + r * width, index + r * width);
}

void KERNEL_FILE(sorting)(struct assay_kernels *table, bool tuned)
{
    table->top_k = tuned ? top_k_tuned : top_k_def;
    table->argsort = tuned ? argsort_tuned : argsort_def;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Random orthogonal rows: Q of the QR factorisation of a normal matrix, by Householder's
 * reflections (Golub and Van Loan, Matrix Computations, 5.2), in binary64. */
#include <stdlib.h>

#include "ref/arith.h"
#include "ref/model/internal.h"

static double root(double x)
{
    return assay_scalar_sqrt(ASSAY_F64, x);
}

static double length_of(size_t n, const double *x, size_t step)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += x[i * step] * x[i * step];
    return root(sum);
}

/* a [n, columns] -> (I - 2 v v^T / v^T v) a on rows from `first` on; v: [n] from first on. */
static void reflect(size_t n, size_t first, const double *v, size_t columns, double *a)
{
    double square = 0;
    for (size_t i = first; i < n; i++)
        square += v[i] * v[i];
    for (size_t j = 0; j < columns && square > 0; j++) {
        double dot = 0;
        for (size_t i = first; i < n; i++)
            dot += v[i] * a[i * columns + j];
        for (size_t i = first; i < n; i++)
            a[i * columns + j] -= 2 * dot / square * v[i];
    }
}

/* g [n, n] -> its Q; v: room for n n numbers, sign: for n. Columns have the sign that makes R's
 * diagonal positive: then Q is uniform over all rotations and reflections (Mezzadri 2007). As the
 * reflections leave it (LAPACK's convention) its first number would never be positive. */
static void q_of(size_t n, double *g, double *v, double *sign)
{
    for (size_t k = 0; k < n; k++) {
        double size = length_of(n - k, g + k * n + k, n), pivot = g[k * n + k];
        bool last = k + 1 == n; /* a single number needs no reflection */
        for (size_t i = k; i < n; i++)
            v[k * n + i] = g[i * n + k];
        v[k * n + k] = last ? 0 : pivot + (pivot < 0 ? -size : size);
        sign[k] = (pivot < 0) == last ? -1 : 1;
        reflect(n, k, v + k * n, n, g);
    }
    for (size_t e = 0; e < n * n; e++)
        g[e] = e / n == e % n ? sign[e % n] : 0;
    for (size_t k = n; k-- > 0;)
        reflect(n, k, v + k * n, n, g);
}

bool orthogonal_rows(struct assay_rng *rng, size_t rows, size_t columns, bool equal_lengths,
                     double *values)
{
    size_t n = columns;
    double *g = malloc((2 * n * n + n + 1) * sizeof *g);
    if (!g)
        return false;
    double *row = g + 2 * n * n;
    for (size_t from = 0; from < rows; from += n) {
        for (size_t e = 0; e < n * n; e++)
            g[e] = (double)assay_rng_normal(rng);
        q_of(n, g, g + n * n, row);
        for (size_t r = from; r < from + n && r < rows; r++)
            for (size_t j = 0; j < n; j++)
                values[r * n + j] = g[j * n + (r - from)];
    }
    for (size_t r = 0; r < rows; r++) {
        double size = root((double)n);
        for (size_t j = 0; j < n && !equal_lengths; j++)
            row[j] = (double)assay_rng_normal(rng);
        size = equal_lengths ? size : length_of(n, row, 1);
        for (size_t j = 0; j < n; j++)
            values[r * n + j] *= size;
    }
    free(g);
    return true;
}

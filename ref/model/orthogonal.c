/* SPDX-License-Identifier: Apache-2.0 */
/* Random orthogonal rows: Q of the QR factorisation of a normal matrix, in binary64. R's diagonal is
 * positive: then Q is uniform over all rotations and reflections (Mezzadri 2007); as Householder's
 * reflections leave it, its first number would never be positive. */
#include <stdlib.h>

#include "ref/arith.h"
#include "ref/linear_algebra.h"
#include "ref/model/internal.h"

bool orthogonal_rows(struct assay_rng *rng, size_t rows, size_t columns, bool equal_lengths,
                     double *values)
{
    size_t n = columns;
    double *g = malloc((2 * n * n + n + 1) * sizeof *g);
    bool made = g != NULL;
    double *q = g + n * n, *row = g + 2 * n * n;
    for (size_t from = 0; made && from < rows; from += n) {
        for (size_t e = 0; e < n * n; e++)
            g[e] = (double)assay_rng_normal(rng);
        made = assay_qr(n, n, g, q, NULL);
        for (size_t r = from; made && r < from + n && r < rows; r++)
            for (size_t j = 0; j < n; j++)
                values[r * n + j] = q[j * n + (r - from)];
    }
    for (size_t r = 0; made && r < rows; r++) {
        double size = assay_scalar_sqrt(ASSAY_F64, (double)n);
        for (size_t j = 0; j < n && !equal_lengths; j++)
            row[j] = (double)assay_rng_normal(rng);
        size = equal_lengths ? size : assay_norm(n, row);
        for (size_t j = 0; j < n; j++)
            values[r * n + j] *= size;
    }
    free(g);
    return made;
}

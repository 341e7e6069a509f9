/* SPDX-License-Identifier: Apache-2.0 */
/* The exponential of a matrix by scaling and squaring with the diagonal Pade approximant of degree
 * 13 (Higham 2005, The scaling and squaring method for the matrix exponential revisited). */
#include <stdlib.h>

#include "ref/linear_algebra.h"

enum { DEGREE = 13, DOUBLINGS_MAX = 1100 };

/* b_j = (26 - j)! 13! / (13! (13 - j)! j!), all exact */
static const double pade[DEGREE + 1] = {64764752532480000,
                                        32382376266240000,
                                        7771770303897600,
                                        1187353796428800,
                                        129060195264000,
                                        10559470521600,
                                        670442572800,
                                        33522128640,
                                        1323241920,
                                        40840800,
                                        960960,
                                        16380,
                                        182,
                                        1};
/* Up to this 1-norm the approximant's own error is below the roundoff of binary64 (table 2.3). */
static const double theta = 5.371920351148152;

/* The largest sum of magnitudes over a column; not finite if an entry isn't. */
static double one_norm(size_t n, const double *a)
{
    double largest = 0;
    for (size_t j = 0; j < n; j++) {
        double sum = 0;
        for (size_t i = 0; i < n; i++)
            sum += a[i * n + j] < 0 ? -a[i * n + j] : a[i * n + j];
        largest = sum > largest || sum != sum ? sum : largest;
    }
    return largest;
}

/* y = ((w6 a6 + w4 a4) + w2 a2) + w0 I */
static void weighted(size_t n, double w6, double w4, double w2, double w0, const double *const *a,
                     double *y)
{
    for (size_t e = 0; e < n * n; e++)
        y[e] = ((w6 * a[2][e] + w4 * a[1][e]) + w2 * a[0][e]) + (e / n == e % n ? w0 : 0);
}

/* p [n, n] of even or odd degree: a6 (b_12 a6 + b_10 a4 + b_8 a2) + b_6 a6 + b_4 a4 + b_2 a2 + b_0 I,
 * or the same with the next higher coefficients. */
static void half(size_t n, int odd, const double *const *a, double *scratch, double *p)
{
    const double *b = pade + odd;
    weighted(n, b[12], b[10], b[8], 0, a, scratch);
    assay_matrix_product(n, n, n, a[2], scratch, p);
    weighted(n, b[6], b[4], b[2], b[0], a, scratch);
    for (size_t e = 0; e < n * n; e++)
        p[e] += scratch[e];
}

/* x [n, n] of 1-norm at most theta -> e = q^-1 p, p and q = v +- u. Room: [6, n, n]. */
static bool approximant(size_t n, const double *x, double *room, double *e)
{
    size_t size = n * n;
    double *x2 = room, *x4 = room + size, *x6 = room + 2 * size, *u = room + 3 * size,
           *v = room + 4 * size, *scratch = room + 5 * size;
    assay_matrix_product(n, n, n, x, x, x2);
    assay_matrix_product(n, n, n, x2, x2, x4);
    assay_matrix_product(n, n, n, x2, x4, x6);
    const double *const even[] = {x2, x4, x6};
    half(n, 1, even, scratch, v);
    assay_matrix_product(n, n, n, x, v, u);
    half(n, 0, even, scratch, v);
    for (size_t i = 0; i < size; i++) {
        e[i] = v[i] + u[i];
        v[i] -= u[i];
    }
    return assay_solve(n, n, v, e);
}

bool assay_matrix_exponential(size_t n, const double *a, double *e)
{
    double norm = one_norm(n, a), scale = 1;
    int doublings = 0;
    if (!(norm - norm == 0))
        return false;
    for (; norm * scale > theta && doublings < DOUBLINGS_MAX; doublings++)
        scale /= 2;
    double *room = malloc((8 * n * n + 1) * sizeof *room);
    if (!room)
        return false;
    double *x = room + 6 * n * n, *square = room + 7 * n * n;
    for (size_t i = 0; i < n * n; i++)
        x[i] = a[i] * scale;
    bool made = approximant(n, x, room, e);
    for (int d = 0; made && d < doublings; d++) {
        assay_matrix_product(n, n, n, e, e, square);
        for (size_t i = 0; i < n * n; i++)
            e[i] = square[i];
    }
    norm = made ? one_norm(n, e) : 0;
    free(room);
    return made && norm - norm == 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Singular values by one-sided Jacobi rotations (Hestenes 1958; Demmel and Veselic 1992: tiny values
 * come out with as many digits as the columns allow), and the pseudo-inverse. */
#include <stdlib.h>
#include <string.h>

#include "ref/arith.h"
#include "ref/linear_algebra.h"

/* As many as are done. Rotations double the right digits from some sweep on, so that matrices of a
 * hundred columns need about ten; a sweep without a rotation ends them, as further ones change
 * nothing. */
enum { SWEEPS = 60 };
static const double roundoff = 0x1p-53;

static double root(double x)
{
    return assay_scalar_sqrt(ASSAY_F64, x);
}

static double magnitude(double x)
{
    return x < 0 ? -x : x;
}

/* The columns of a matrix, each [m]: contiguous, so that a rotation is two rows. */
struct columns {
    size_t m, n;
    double *u; /* [n, m] */
    double *v; /* [n, n]: the product of the rotations, by columns */
};

static double dot(size_t n, const double *x, const double *y)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += x[i] * y[i];
    return sum;
}

/* (x, y) -> (c x - s y, s x + c y) */
static void rotate_rows(size_t n, double *x, double *y, double c, double s)
{
    for (size_t i = 0; i < n; i++) {
        double a = x[i], b = y[i];
        x[i] = c * a - s * b;
        y[i] = s * a + c * b;
    }
}

/* Makes columns p and q orthogonal; false if they are. Their cosine is a sum of m products: below
 * m roundoffs it is rounding alone. */
static bool rotate_pair(struct columns *w, size_t p, size_t q)
{
    double *x = w->u + p * w->m, *y = w->u + q * w->m;
    double alpha = dot(w->m, x, x), beta = dot(w->m, y, y), gamma = dot(w->m, x, y);
    if (magnitude(gamma) <= (double)w->m * roundoff * (root(alpha) * root(beta)))
        return false;
    double zeta = (beta - alpha) / (2 * gamma), size = magnitude(zeta);
    /* the smaller root of t^2 + 2 zeta t - 1; the square of a large zeta would overflow */
    double t = size > 0x1p+500 ? 1 / (2 * size) : 1 / (size + root(1 + zeta * zeta));
    double c = 1 / root(1 + t * t), s = c * (zeta < 0 ? -t : t);
    rotate_rows(w->m, x, y, c, s);
    rotate_rows(w->n, w->v + p * w->n, w->v + q * w->n, c, s);
    return true;
}

static void orthogonalise(struct columns *w)
{
    bool moved = true;
    for (int sweep = 0; sweep < SWEEPS && moved; sweep++) {
        moved = false;
        for (size_t p = 0; p + 1 < w->n; p++)
            for (size_t q = p + 1; q < w->n; q++)
                moved |= rotate_pair(w, p, q);
    }
}

/* x [m] becomes a unit vector orthogonal to `count` rows of u [count, m]: the first axis that has
 * enough left beside them (one of them has a part of at least 1 / sqrt(m)), taken twice, for the
 * first time may leave rounding. */
static void complete(size_t m, size_t count, const double *u, double *x)
{
    double least = 1 / (2 * root((double)m)), size = 0;
    for (size_t axis = 0; axis < m && size < least; axis++) {
        for (size_t i = 0; i < m; i++)
            x[i] = i == axis;
        for (int twice = 0; twice < 2; twice++)
            for (size_t j = 0; j < count; j++) {
                double part = dot(m, u + j * m, x);
                for (size_t i = 0; i < m; i++)
                    x[i] -= part * u[j * m + i];
            }
        size = assay_norm(m, x);
    }
    for (size_t i = 0; i < m; i++)
        x[i] /= size;
}

/* order [n]: columns by descending length s [n], equal ones as they stand. */
static void sort(size_t n, const double *s, size_t *order)
{
    for (size_t i = 0; i < n; i++) {
        size_t at = i;
        for (; at > 0 && s[order[at - 1]] < s[i]; at--)
            order[at] = order[at - 1];
        order[at] = i;
    }
}

/* The columns' lengths are the values, their directions the vectors: u [n, m], s [n], v [n, n], sorted,
 * in `to`. */
static void read_off(const struct columns *w, size_t *order, double *length, struct columns *to,
                     double *s)
{
    for (size_t j = 0; j < w->n; j++)
        length[j] = assay_norm(w->m, w->u + j * w->m);
    sort(w->n, length, order);
    for (size_t j = 0; j < w->n; j++) {
        const double *from = w->u + order[j] * w->m;
        s[j] = length[order[j]];
        memcpy(to->v + j * w->n, w->v + order[j] * w->n, w->n * sizeof *to->v);
        for (size_t i = 0; i < w->m && s[j] > 0; i++)
            to->u[j * w->m + i] = from[i] / s[j];
        if (!(s[j] > 0))
            complete(w->m, j, to->u, to->u + j * w->m);
    }
}

/* By rows of u and v, each a vector. */
static void fix_signs(size_t m, size_t n, size_t r, double *u, double *v)
{
    for (size_t j = 0; j < r; j++) {
        size_t largest = 0;
        for (size_t i = 1; i < m; i++)
            if (magnitude(u[j * m + i]) > magnitude(u[j * m + largest]))
                largest = i;
        bool turn = u[j * m + largest] < 0;
        for (size_t i = 0; turn && i < m; i++)
            u[j * m + i] = -u[j * m + i];
        for (size_t i = 0; turn && i < n; i++)
            v[j * n + i] = -v[j * n + i];
    }
}

/* A power of two that brings the largest magnitude into [1, 2), where squares neither overflow nor
 * vanish; 1 for zero; 0 unless all are finite. */
static double scale_of(size_t elements, const double *a)
{
    double largest = 0, scale = 1;
    for (size_t e = 0; e < elements; e++) {
        if (!(magnitude(a[e]) <= 0x1.fffffffffffffp+1023))
            return 0;
        largest = magnitude(a[e]) > largest ? magnitude(a[e]) : largest;
    }
    while (largest * scale >= 2)
        scale /= 2;
    while (largest > 0 && largest * scale < 1 && scale < 0x1p+1000)
        scale *= 2;
    return scale;
}

/* a [m, n], m >= n; u [n, m] and v [n, n] by rows of vectors. Room: work [n m + n n + n],
 * order [n]. */
static void decompose(size_t m, size_t n, const double *a, double scale, double *work,
                      size_t *order, struct columns *to, double *s)
{
    struct columns w = {m, n, work, work + n * m};
    for (size_t e = 0; e < m * n; e++)
        w.u[e % n * m + e / n] = a[e] * scale;
    for (size_t e = 0; e < n * n; e++)
        w.v[e] = e / n == e % n;
    orthogonalise(&w);
    read_off(&w, order, work + n * m + n * n, to, s);
    for (size_t j = 0; j < n; j++)
        s[j] /= scale;
}

bool assay_svd(size_t m, size_t n, const double *a, double *u, double *s, double *v)
{
    bool tall = m >= n;
    size_t rows = tall ? m : n, r = tall ? n : m;
    double scale = scale_of(m * n, a);
    double *work = scale > 0 ? malloc((3 * r * rows + 2 * r * r + r + 1) * sizeof *work) : NULL;
    size_t *order = malloc((r + 1) * sizeof *order);
    if (work && order) {
        double *turned = work + r * rows + r * r + r, *vector = turned + rows * r;
        struct columns to = {rows, r, vector, vector + r * rows};
        if (!tall)
            assay_matrix_transpose(m, n, a, turned);
        decompose(rows, r, tall ? a : turned, scale, work, order, &to, s);
        double *left = tall ? to.u : to.v, *right = tall ? to.v : to.u;
        fix_signs(m, n, r, left, right);
        assay_matrix_transpose(r, m, left, u);
        assay_matrix_transpose(r, n, right, v);
    }
    bool made = work && order;
    free(work);
    free(order);
    return made;
}

bool assay_pseudo_inverse(size_t m, size_t n, const double *a, double *b)
{
    size_t r = m < n ? m : n;
    double *u = malloc((m * r + r + n * r + 1) * sizeof *u);
    if (!u)
        return false;
    double *s = u + m * r, *v = s + r;
    bool made = assay_svd(m, n, a, u, s, v);
    double least = r ? (double)(m > n ? m : n) * 2 * roundoff * s[0] : 0;
    for (size_t e = 0; made && e < n * m; e++) {
        double sum = 0;
        for (size_t k = 0; k < r && s[k] > least; k++)
            sum += v[e / m * r + k] / s[k] * u[e % m * r + k];
        b[e] = sum;
    }
    free(u);
    return made;
}

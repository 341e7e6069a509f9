/* SPDX-License-Identifier: Apache-2.0 */
/* Products, and the factorisations that end after a known number of steps: QR, Cholesky, elimination
 * (Golub and Van Loan, Matrix Computations, 3.1, 3.4, 4.2, 5.2). */
#include <stdlib.h>
#include <string.h>

#include "ref/arith.h"
#include "ref/linear_algebra.h"

static double root(double x)
{
    return assay_scalar_sqrt(ASSAY_F64, x);
}

void assay_matrix_product(size_t m, size_t k, size_t n, const double *a, const double *b, double *c)
{
    for (size_t i = 0; i < m; i++)
        for (size_t j = 0; j < n; j++) {
            double sum = 0;
            for (size_t e = 0; e < k; e++)
                sum += a[i * k + e] * b[e * n + j];
            c[i * n + j] = sum;
        }
}

void assay_matrix_transpose(size_t m, size_t n, const double *a, double *b)
{
    for (size_t i = 0; i < m; i++)
        for (size_t j = 0; j < n; j++)
            b[j * m + i] = a[i * n + j];
}

double assay_norm(size_t n, const double *x)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += x[i] * x[i];
    return root(sum);
}

/* a [m, n] -> (I - 2 v v^T / v^T v) a on the rows from `first` on and the columns from `from` on. */
static void reflect(size_t m, size_t first, const double *v, size_t n, size_t from, double *a)
{
    double square = 0;
    for (size_t i = first; i < m; i++)
        square += v[i] * v[i];
    for (size_t j = from; j < n && square > 0; j++) {
        double dot = 0;
        for (size_t i = first; i < m; i++)
            dot += v[i] * a[i * n + j];
        for (size_t i = first; i < m; i++)
            a[i * n + j] -= 2 * dot / square * v[i];
    }
}

/* Column k of a [m, n] onto the axis k: v [m], where v's first k numbers aren't used. -> the sign
 * that makes r's diagonal positive. A single number needs no reflection. */
static double reflector(size_t m, size_t n, size_t k, const double *a, double *v)
{
    bool last = k + 1 == m;
    double pivot = a[k * n + k];
    for (size_t i = k; i < m; i++)
        v[i] = a[i * n + k];
    double size = assay_norm(m - k, v + k);
    v[k] = last ? 0 : pivot + (pivot < 0 ? -size : size);
    return (pivot < 0) == last ? -1 : 1;
}

bool assay_qr(size_t m, size_t n, const double *a, double *q, double *r)
{
    double *work = malloc((m * n + n * m + n + 1) * sizeof *work);
    if (!work)
        return false;
    double *reduced = work, *v = work + m * n, *sign = v + n * m;
    memcpy(reduced, a, m * n * sizeof *reduced);
    for (size_t k = 0; k < n; k++) {
        sign[k] = reflector(m, n, k, reduced, v + k * m);
        reflect(m, k, v + k * m, n, k, reduced);
    }
    for (size_t e = 0; r && e < n * n; e++) {
        size_t i = e / n, j = e % n;
        r[e] = i > j ? 0 : sign[i] > 0 ? reduced[e] : 0 - reduced[e];
    }
    for (size_t e = 0; e < m * n; e++)
        q[e] = e / n == e % n ? sign[e % n] : 0;
    for (size_t k = n; k-- > 0;)
        reflect(m, k, v + k * m, n, 0, q);
    free(work);
    return true;
}

bool assay_cholesky(size_t n, const double *a, double *l)
{
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < n; j++) {
            double sum = j > i ? 0 : a[i * n + j];
            for (size_t k = 0; j <= i && k < j; k++)
                sum -= l[i * n + k] * l[j * n + k];
            if (i == j && !(sum > 0))
                return false;
            l[i * n + j] = j > i ? 0 : i == j ? root(sum) : sum / l[j * n + j];
        }
    return true;
}

bool assay_triangular_solve(enum assay_half half, size_t n, size_t k, const double *t, double *x)
{
    for (size_t step = 0; step < n; step++) {
        size_t i = half == ASSAY_LOWER ? step : n - 1 - step;
        size_t from = half == ASSAY_LOWER ? 0 : i + 1, to = half == ASSAY_LOWER ? i : n;
        if (!(t[i * n + i] < 0 || t[i * n + i] > 0))
            return false;
        for (size_t c = 0; c < k; c++) {
            double sum = x[i * k + c];
            for (size_t j = from; j < to; j++)
                sum -= t[i * n + j] * x[j * k + c];
            x[i * k + c] = sum / t[i * n + i];
        }
    }
    return true;
}

static double magnitude(double x)
{
    return x < 0 ? -x : x;
}

static void exchange_rows(size_t n, double *a, size_t i, size_t j)
{
    for (size_t e = 0; i != j && e < n; e++) {
        double kept = a[i * n + e];
        a[i * n + e] = a[j * n + e];
        a[j * n + e] = kept;
    }
}

/* u [n, n] becomes upper triangular; x [n, k] follows. */
static void eliminate(size_t n, size_t k, double *u, double *x)
{
    for (size_t c = 0; c < n; c++) {
        size_t pivot = c;
        for (size_t i = c + 1; i < n; i++)
            if (magnitude(u[i * n + c]) > magnitude(u[pivot * n + c]))
                pivot = i;
        exchange_rows(n, u, c, pivot);
        exchange_rows(k, x, c, pivot);
        for (size_t i = c + 1; i < n && magnitude(u[c * n + c]) > 0; i++) {
            double factor = u[i * n + c] / u[c * n + c];
            u[i * n + c] = 0;
            for (size_t j = c + 1; j < n; j++)
                u[i * n + j] -= factor * u[c * n + j];
            for (size_t j = 0; j < k; j++)
                x[i * k + j] -= factor * x[c * k + j];
        }
    }
}

bool assay_solve(size_t n, size_t k, const double *a, double *x)
{
    double *u = malloc((n * n + 1) * sizeof *u);
    if (!u)
        return false;
    memcpy(u, a, n * n * sizeof *u);
    eliminate(n, k, u, x);
    bool solved = assay_triangular_solve(ASSAY_UPPER, n, k, u, x);
    free(u);
    return solved;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The element-wise steps of the optimizers. One definition serves every level: the compiler
 * vectorises it as it is. */
#include "ref/kernels/kernel.h"

/* Loshchilov and Hutter 2019, algorithm 2, with the bias corrections 1 - beta^t given as
 * corrections. */
static void adamw(size_t n, const struct assay_adamw *s, const void *gradient, void *first,
                  void *second, void *x_)
{
    const real rate = (real)s->rate, eps = (real)s->eps, beta1 = (real)s->beta1,
               beta2 = (real)s->beta2;
    const real other1 = 1 - beta1, other2 = 1 - beta2, shrink = rate * (real)s->decay;
    const real correction1 = (real)s->correction1, correction2 = (real)s->correction2;
    const real *restrict g = gradient;
    real *restrict m = first, *restrict v = second, *restrict x = x_;
#pragma omp simd
    for (size_t i = 0; i < n; i++) {
        m[i] = (beta1 * m[i]) + (other1 * g[i]);
        v[i] = (beta2 * v[i]) + (other2 * (g[i] * g[i]));
        real step = (m[i] / correction1) / (SQRT(v[i] / correction2) + eps);
        x[i] = (x[i] - (shrink * x[i])) - (rate * step);
    }
}

static void sgd(size_t n, double rate_, double momentum_, double decay_, const void *gradient,
                void *velocity_, void *x_)
{
    const real rate = (real)rate_, momentum = (real)momentum_, decay = (real)decay_;
    const real *restrict g = gradient;
    real *restrict velocity = velocity_, *restrict x = x_;
#pragma omp simd
    for (size_t i = 0; i < n; i++) {
        real total = g[i] + (decay * x[i]);
        velocity[i] = (momentum * velocity[i]) + total;
        x[i] = x[i] - (rate * velocity[i]);
    }
}

static void average(size_t n, double rate_, const void *x_, void *mean_)
{
    const real rate = (real)rate_, other = 1 - rate;
    const real *restrict x = x_;
    real *restrict mean = mean_;
#pragma omp simd
    for (size_t i = 0; i < n; i++)
        mean[i] = (rate * mean[i]) + (other * x[i]);
}

void KERNEL_FILE(optimizers)(struct assay_kernels *table, bool tuned)
{
    (void)tuned;
    table->adamw = adamw;
    table->sgd = sgd;
    table->average = average;
}

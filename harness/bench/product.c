/* SPDX-License-Identifier: Apache-2.0 */
/* The rate of the matrix product on one core, in GFLOP/s: the definition, every level's tiles,
 * and OpenBLAS where the build has it (HAVE_CBLAS), measured side by side. Then attention,
 * against the product's rate. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "ref/kernels.h"

#ifdef HAVE_CBLAS
#include <cblas.h>
void openblas_set_num_threads(int count);
#endif

enum { RATES = 5 };

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

struct problem {
    size_t m, n, k;
    bool transposed; /* b is given as [n, k] */
    enum assay_mode mode;
    float *a, *b, *c;
};

static void run_table(const struct assay_kernels *table, const struct problem *x)
{
    struct assay_product p = {
        .batch = {1, 1},
        .m = x->m,
        .n = x->n,
        .k = x->k,
        .a = x->a,
        .b = x->b,
        .c = x->c,
        .a_row = x->k,
        .a_column = 1,
        .b_row = x->transposed ? 1 : x->n,
        .b_column = x->transposed ? x->k : 1,
        .c_row = x->n,
        .mode = x->mode,
    };
    table->product(&p);
}

#ifdef HAVE_CBLAS
static void run_blas(const struct problem *x)
{
    int m = (int)x->m, n = (int)x->n, k = (int)x->k;
    cblas_sgemm(CblasRowMajor, CblasNoTrans, x->transposed ? CblasTrans : CblasNoTrans, m, n, k, 1,
                x->a, k, x->b, x->transposed ? k : n, x->mode == ASSAY_ADD ? 1 : 0, x->c, n);
}
#endif

/* The best of several timings of about `budget` seconds in all; table NULL: OpenBLAS. */
static double rate(const struct assay_kernels *table, const struct problem *x, double budget)
{
    double best = 0, start = now(), flops = 2.0 * (double)x->m * (double)x->n * (double)x->k;
    size_t repeats = (size_t)(2e6 / flops) + 1;
    do {
        double begin = now();
        for (size_t r = 0; r < repeats; r++) {
#ifdef HAVE_CBLAS
            if (!table)
                run_blas(x);
#endif
            if (table)
                run_table(table, x);
        }
        double reached = flops * (double)repeats / (now() - begin);
        best = reached > best ? reached : best;
    } while (now() - start < budget);
    return best * 1e-9;
}

static float *numbers(size_t n)
{
    float *x = malloc((n + 1) * sizeof *x);
    for (size_t i = 0; x && i < n; i++)
        x[i] = (float)((i * 2654435761u) % 1024) / 1024.0f - 0.5f;
    return x;
}

static void print_rate(double r)
{
    if (r > 0)
        printf(" %9.2f", r);
    else
        printf(" %9s", "-");
}

static int product_line(size_t m, size_t n, size_t k, bool transposed, enum assay_mode mode)
{
    struct problem x = {m, n, k, transposed, mode, numbers(m * k), numbers(k * n), numbers(m * n)};
    if (!x.a || !x.b || !x.c)
        return 1;
    const char *levels[] = {"base", "x86-64-v3", "x86-64-v4"};
    char shape[64];
    snprintf(shape, sizeof shape, "%zu x %zu x %zu%s%s", m, n, k, transposed ? " b^T" : "",
             mode == ASSAY_ADD ? " +=" : "");
    printf("%-24s", shape);
    print_rate(rate(assay_kernels_def(ASSAY_F32), &x, 0.05));
    double ours = 0, blas = 0;
    for (size_t l = 0; l < 3; l++) {
        const struct assay_kernels *table = assay_kernels_cpu(ASSAY_F32, levels[l]);
        double r = table ? rate(table, &x, 0.4) : 0;
        ours = r > ours ? r : ours;
        print_rate(r);
    }
#ifdef HAVE_CBLAS
    blas = rate(NULL, &x, 0.4);
#endif
    print_rate(blas);
    if (blas > 0)
        printf(" %7.2f", ours / blas);
    printf("\n");
    free(x.a);
    free(x.b);
    free(x.c);
    return 0;
}

/* Forward and backward of self-attention, 4 products of [n, n, width] each way more than
 * forward's 2. */
static int attention_line(size_t n, size_t heads, size_t width, bool causal, double peak)
{
    const struct assay_kernels *table = assay_kernels_cpu(ASSAY_F32, NULL);
    size_t size = n * heads * width, rows = n * heads;
    float *in = numbers(size * 4), *out = numbers(size * 4), *row = numbers(rows * 2);
    struct assay_attention a = {
        .batch = 1,
        .queries = n,
        .keys = n,
        .key_capacity = n,
        .heads = heads,
        .key_heads = heads,
        .width = width,
        .value_width = width,
        .left = SIZE_MAX,
        .right = SIZE_MAX,
        .causal = causal,
        .scale = 0.25,
        .query = in,
        .key = in + size,
        .value = in + 2 * size,
        .output = out,
        .row_max = row,
        .row_sum = row + rows,
        .d_output = in + 3 * size,
        .d_query = out + size,
        .d_key = out + 2 * size,
        .d_value = out + 3 * size,
    };
    a.scratch = malloc(table->attention_scratch(&a) + 64);
    if (!in || !out || !row || !a.scratch)
        return 1;
    double flops = 2.0 * (double)(n * n) * (double)(heads * width) * (causal ? 0.5 : 1),
           best[2] = {1e9, 1e9};
    for (int r = 0; r < 10; r++) {
        double t0 = now();
        table->attention(&a);
        double t1 = now();
        table->attention_backward(&a);
        double t2 = now();
        best[0] = t1 - t0 < best[0] ? t1 - t0 : best[0];
        best[1] = t2 - t1 < best[1] ? t2 - t1 : best[1];
    }
    double forward = 2e-9 * flops / best[0], backward = 5e-9 * flops / best[1];
    printf("n %5zu, %zu heads of %3zu%-9s %9.2f %9.2f %9.2f %9.2f\n", n, heads, width,
           causal ? ", causal" : "", forward, backward, forward / peak, backward / peak);
    free(in);
    free(out);
    free(row);
    free(a.scratch);
    return 0;
}

int main(void)
{
#ifdef HAVE_CBLAS
    openblas_set_num_threads(1);
#endif
    printf("%-24s %9s %9s %9s %9s %9s %7s\n", "product, GFLOP/s", "def", "base", "v3", "v4",
           "OpenBLAS", "ours/it");
    static const size_t shapes[][3] = {
        {768, 768, 768},  {256, 256, 256},  {64, 64, 64},     {16, 16, 16},  {1024, 64, 64},
        {1024, 16, 1024}, {1024, 1024, 16}, {1024, 128, 512}, {8, 512, 512}, {1, 512, 512}};
    int failed = 0;
    for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++)
        failed |= product_line(shapes[s][0], shapes[s][1], shapes[s][2], false, ASSAY_STORE);
    failed |= product_line(768, 768, 768, true, ASSAY_STORE);
    failed |= product_line(1024, 1024, 32, true, ASSAY_STORE);
    failed |= product_line(128, 128, 4096, false, ASSAY_ADD);

    struct problem x = {768,
                        768,
                        768,
                        false,
                        ASSAY_STORE,
                        numbers(768 * 768),
                        numbers(768 * 768),
                        numbers(768 * 768)};
    double peak = x.a && x.b && x.c ? rate(assay_kernels_cpu(ASSAY_F32, NULL), &x, 0.4) : 0;
    printf("\n%-31s %9s %9s %9s %9s\n", "attention, GFLOP/s", "forward", "backward", "f/product",
           "b/product");
    for (size_t width = 16; width <= 64; width *= 2)
        for (int causal = 0; causal < 2; causal++)
            failed |= attention_line(1024, 4, width, causal, peak);
    free(x.a);
    free(x.b);
    free(x.c);
    return failed;
}

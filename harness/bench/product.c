/* SPDX-License-Identifier: Apache-2.0 */
/* The matrix product beside OpenBLAS's sgemm, in GFLOP/s: square products in four kinds, and the
 * products of attention, whose heads lie side by side in one matrix. Each is measured on one
 * thread and on two. With two, each thread of ours has a problem of its own, as shards do.
 * OpenBLAS is given the same twice the work in two ways: one instance on each thread, and its
 * own two threads on one problem of twice the rows; the faster counts, because a user would take
 * that one. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness/bench/kit.h"
#include "ref/arithmetic/fma.h"

#ifdef HAVE_CBLAS
#include <cblas.h>
void openblas_set_num_threads(int count);
char *openblas_get_config(void);
#endif

/* One product and its operands. */
struct problem {
    struct bench_product call;
    float *numbers;
    double operations;
};

static size_t span(size_t rows, size_t row, size_t columns, size_t column)
{
    return (rows - 1) * row + (columns - 1) * column + 1;
}

/* Fills in the operands: as many numbers as the strides reach. */
static bool problem_open(struct problem *x, const struct bench *bench, struct assay_product p)
{
    size_t last = p.batch[1] - 1;
    size_t a = span(p.m, p.a_row, p.k, p.a_column) + last * p.a_batch[1],
           b = span(p.k, p.b_row, p.n, p.b_column) + last * p.b_batch[1],
           c = span(p.m, p.c_row, p.n, 1) + last * p.c_batch[1];
    x->numbers = bench_numbers(a + b + c);
    x->operations = 2.0 * (double)(p.batch[1] * p.m) * (double)(p.n * p.k);
    if (!x->numbers)
        return false;
    p.a = x->numbers;
    p.b = x->numbers + a;
    p.c = x->numbers + a + b;
    x->call = (struct bench_product){bench->kernels, p};
    return true;
}

#ifdef HAVE_CBLAS
static void run_blas(void *what, size_t repeats)
{
    const struct assay_product *p = &((const struct problem *)what)->call.p;
    bool a_given = p->a_column == 1, b_given = p->b_column == 1;
    for (size_t r = 0; r < repeats; r++)
        for (size_t i = 0; i < p->batch[1]; i++)
            cblas_sgemm(
                CblasRowMajor, a_given ? CblasNoTrans : CblasTrans,
                b_given ? CblasNoTrans : CblasTrans, (int)p->m, (int)p->n, (int)p->k, 1,
                (const float *)p->a + i * p->a_batch[1], (int)(a_given ? p->a_row : p->a_column),
                (const float *)p->b + i * p->b_batch[1], (int)(b_given ? p->b_row : p->b_column), 0,
                (float *)p->c + i * p->c_batch[1], (int)p->c_row);
}

static void run_blas_alone(void *what, size_t repeats)
{
    openblas_set_num_threads(1);
    run_blas(what, repeats);
}

static void run_blas_twice(void *what, size_t repeats)
{
    openblas_set_num_threads(1);
    bench_both(what, repeats);
}

static void run_blas_threads(void *what, size_t repeats)
{
    openblas_set_num_threads(2);
    run_blas(what, repeats);
}
#else
static bench_work *const run_blas = NULL, *const run_blas_alone = NULL,
                         *const run_blas_twice = NULL, *const run_blas_threads = NULL;
#endif

/* The loop that anyone writes first. Where the processor has no fused multiply-add, every
 * product of ours computes it by other instructions, and the loop is the definition's, which
 * does too. */
static void run_naive(void *what, size_t repeats)
{
    const struct assay_product *p = &((const struct problem *)what)->call.p;
    const float *a = p->a, *b = p->b;
    float *c = p->c;
    for (size_t r = 0; r < repeats; r++)
        for (size_t i = 0; i < p->m; i++)
            for (size_t j = 0; j < p->n; j++) {
                float sum = 0;
                for (size_t k = 0; k < p->k; k++)
                    sum += a[i * p->a_row + k] * b[k * p->b_row + j];
                c[i * p->c_row + j] = sum;
            }
}

static void add_rate(cJSON *record, const char *name, double operations, double seconds)
{
    if (seconds > 0)
        cJSON_AddNumberToObject(record, name, 1e-9 * operations / seconds);
}

/* Measures a product on one thread and on two and prints a record of each; `record` is used up. */
static int measure(const struct bench *bench, struct assay_product p, cJSON *record)
{
    struct problem one = {0}, other = {0}, wide = {0};
    struct assay_product twice = p;
    twice.m *= 2;
    twice.a_column = p.a_column == 1 ? 1 : 2 * p.a_column; /* A^T is stored [k, m] */
    /* Matrices one after the other move apart, those side by side don't. */
    twice.a_batch[1] *= p.a_batch[1] > p.a_row * p.a_column ? 2 : 1;
    twice.c_batch[1] *= p.c_batch[1] > p.c_row ? 2 : 1;
    bool opened = problem_open(&one, bench, p) && problem_open(&other, bench, p)
                  && problem_open(&wide, bench, twice);
    struct bench_pair ours = {bench_product, {&one.call, &other.call}};
    struct bench_pair blas = {run_blas, {&one, &other}};
    struct bench_entry alone[] = {{bench_product, &one.call, 0, 0}, {run_blas_alone, &one, 0, 0}};
    struct bench_entry both[] = {
        {bench_both, &ours, 0, 0}, {run_blas_twice, &blas, 0, 0}, {run_blas_threads, &wide, 0, 0}};
    if (opened) {
        cJSON *second = cJSON_Duplicate(record, true);
        bench_contest(bench, 1, alone, 2);
        cJSON_AddNumberToObject(record, "threads", 1);
        add_rate(record, "ours", one.operations, alone[0].seconds);
        add_rate(record, "OpenBLAS", one.operations, alone[1].seconds);
        bench_print(record);
        bench_contest(bench, 2, both, 3);
        cJSON_AddNumberToObject(second, "threads", 2);
        add_rate(second, "ours", 2 * one.operations, both[0].seconds);
        add_rate(second, "OpenBLAS, two instances", 2 * one.operations, both[1].seconds);
        add_rate(second, "OpenBLAS, its own threads", wide.operations, both[2].seconds);
        bench_print(second);
    }
    free(one.numbers);
    free(other.numbers);
    free(wide.numbers);
    return opened ? 0 : -1;
}

/* [n, n] by [n, n]; "batched" is four of them, one after the other in memory. */
static int square(const struct bench *bench, const char *kind, size_t n)
{
    bool a_turned = kind[0] == 'A', b_turned = kind[0] == 'B';
    size_t batch = kind[0] == 'b' ? 4 : 1;
    struct assay_product p = {.batch = {1, batch},
                              .m = n,
                              .n = n,
                              .k = n,
                              .a_row = a_turned ? 1 : n,
                              .a_column = a_turned ? n : 1,
                              .b_row = b_turned ? 1 : n,
                              .b_column = b_turned ? n : 1,
                              .c_row = n,
                              .a_batch = {0, n * n},
                              .b_batch = {0, n * n},
                              .c_batch = {0, n * n}};
    cJSON *record = bench_record("product");
    cJSON_AddStringToObject(record, "kind", kind);
    cJSON_AddNumberToObject(record, "n", (double)n);
    return measure(bench, p, record);
}

/* The products of attention with 4 heads of `width` in matrices [n, 4 width]: the scores Q K^T,
 * [n, width] by [width, n]; the output P V, [n, n] by [n, width]; the keys' gradient dS^T Q. */
static int attention(const struct bench *bench, const char *kind, size_t n, size_t width)
{
    const size_t heads = 4, row = heads * width;
    bool scores = kind[0] == 's', turned = kind[0] == 'k';
    struct assay_product p = {
        .batch = {1, heads},
        .m = n,
        .n = scores ? n : width,
        .k = scores ? width : n,
        .a_row = scores   ? row
                 : turned ? 1
                          : n,
        .a_column = turned ? n : 1,
        .b_row = scores ? 1 : row,
        .b_column = scores ? row : 1,
        .c_row = scores ? n : row,
        .a_batch = {0, scores ? width : n * n},
        .b_batch = {0, width},
        .c_batch = {0, scores ? n * n : width},
    };
    cJSON *record = bench_record("attention product");
    cJSON_AddStringToObject(record, "kind", kind);
    cJSON_AddNumberToObject(record, "n", (double)n);
    cJSON_AddNumberToObject(record, "width", (double)width);
    return measure(bench, p, record);
}

/* The floor under every build. */
static int naive(const struct bench *bench)
{
    const size_t n = 256;
    struct problem x;
    struct assay_product p = {.batch = {1, 1},
                              .m = n,
                              .n = n,
                              .k = n,
                              .a_row = n,
                              .a_column = 1,
                              .b_row = n,
                              .b_column = 1,
                              .c_row = n};
    if (!problem_open(&x, bench, p))
        return -1;
    bool fused = ASSAY_HARDWARE_FMA_F32 || strcmp(bench->kernels->level, "base") != 0;
    struct bench_product definition = {assay_kernels_def(ASSAY_F32), x.call.p};
    struct bench_entry entry[] = {
        {bench_product, &x.call, 0, 0},
        {fused ? run_naive : bench_product, fused ? (void *)&x : &definition, 0, 0}};
    bench_contest(bench, 1, entry, 2);
    cJSON *record = bench_record("naive loop");
    cJSON_AddNumberToObject(record, "n", (double)n);
    add_rate(record, "ours", x.operations, entry[0].seconds);
    add_rate(record, "naive", x.operations, entry[1].seconds);
    bench_print(record);
    free(x.numbers);
    return 0;
}

int main(int argc, char **argv)
{
    struct bench bench;
    int status = bench_open(&bench, "product", &argc, argv);
    if (status != 0)
        return status;
#ifdef HAVE_CBLAS
    cJSON *library = bench_record("library");
    cJSON_AddStringToObject(library, "OpenBLAS", openblas_get_config());
    bench_print(library);
#else
    bench_skipped("OpenBLAS", "libopenblas-dev");
#endif
    int failed = naive(&bench);
    static const char *const kinds[] = {"plain", "A^T", "B^T", "batched"};
    for (int i = 0; i < 4; i++)
        for (size_t n = 32; n <= (bench.quick ? 256 : 1024); n *= 2)
            failed |= square(&bench, kinds[i], n);
    static const char *const parts[] = {"scores", "output", "keys' gradient"};
    for (int i = 0; i < 3; i++)
        for (size_t n = 256; n <= (bench.quick ? 256 : 1024); n *= 4)
            for (size_t width = 16; width <= 64; width *= 4)
                failed |= attention(&bench, parts[i], n, width);
    if (failed)
        fprintf(stderr, "product: out of memory\n");
    return failed ? 2 : 0;
}

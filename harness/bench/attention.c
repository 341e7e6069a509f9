/* SPDX-License-Identifier: Apache-2.0 */
/* Self-attention, forward and backward, on one thread: its rate as a share of our own matrix
 * product's, which takes turns with it, and the memory it takes besides its operands and results.
 * Counted are the multiply-adds of 2 products forward and of 5 backward (one of them computes the
 * scores again), over the pairs that are allowed. */
#include <stdio.h>
#include <stdlib.h>

#include "harness/bench/kit.h"

struct call {
    const struct assay_kernels *kernels;
    struct assay_attention a;
};

static void forward(void *what, size_t repeats)
{
    const struct call *c = what;
    for (size_t i = 0; i < repeats; i++)
        c->kernels->attention(&c->a);
}

static void backward(void *what, size_t repeats)
{
    const struct call *c = what;
    for (size_t i = 0; i < repeats; i++)
        c->kernels->attention_backward(&c->a);
}

/* Operands [1, n, heads, width] in `in`, results in `out`, a number per query and head in `row`. */
static struct assay_attention described(size_t n, size_t heads, size_t width, bool causal,
                                        float *in, float *out, float *row)
{
    size_t size = n * heads * width;
    return (struct assay_attention){
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
        .row_sum = row + n * heads,
        .d_output = in + 3 * size,
        .d_query = out + size,
        .d_key = out + 2 * size,
        .d_value = out + 3 * size,
    };
}

static void print(const struct call *c, double product, double forward_seconds,
                  double backward_seconds, size_t scratch)
{
    const struct assay_attention *a = &c->a;
    double n = (double)a->queries, pairs = a->causal ? n * (n + 1) / 2 : n * n;
    double operations = 2 * pairs * (double)(a->heads * a->width);
    cJSON *record = bench_record("attention");
    cJSON_AddNumberToObject(record, "n", n);
    cJSON_AddNumberToObject(record, "heads", (double)a->heads);
    cJSON_AddNumberToObject(record, "width", (double)a->width);
    cJSON_AddBoolToObject(record, "causal", a->causal);
    cJSON_AddNumberToObject(record, "product", product);
    cJSON_AddNumberToObject(record, "forward", 2e-9 * operations / forward_seconds);
    cJSON_AddNumberToObject(record, "backward", 5e-9 * operations / backward_seconds);
    /* The scratch, and the two numbers per row that the backward pass needs. */
    cJSON_AddNumberToObject(record, "extra_bytes",
                            (double)(scratch + 2 * a->queries * a->heads * sizeof(float)));
    bench_print(record);
}

static int measure(const struct bench *bench, size_t n, size_t width, bool causal)
{
    const size_t heads = 4, size = n * heads * width;
    float *in = bench_numbers(4 * size), *out = bench_numbers(4 * size),
          *row = bench_numbers(2 * n * heads);
    struct call c = {bench->kernels, described(n, heads, width, causal, in, out, row)};
    size_t scratch = bench->kernels->attention_scratch(&c.a);
    struct bench_entry entry[3] = {{forward, &c, 0, 0}, {backward, &c, 0, 0}};
    struct bench_rate rate;
    bool rated = bench_rate_open(&rate, bench->kernels, 1, &entry[2]) == 0;
    c.a.scratch = malloc(scratch + 64);
    bool opened = rated && in && out && row && c.a.scratch;
    if (opened) {
        bench_contest(bench, 1, entry, 3);
        print(&c, 1e-9 * rate.operations / entry[2].seconds, entry[0].seconds, entry[1].seconds,
              scratch);
    }
    bench_rate_close(&rate);
    free(in);
    free(out);
    free(row);
    free(c.a.scratch);
    return opened ? 0 : -1;
}

int main(int argc, char **argv)
{
    struct bench bench;
    int status = bench_open(&bench, "attention", &argc, argv), failed = 0;
    if (status != 0)
        return status;
    for (size_t n = 1024; n <= (bench.quick ? 1024 : 4096); n *= 4)
        for (size_t width = 16; width <= 64; width *= 2)
            for (int causal = 0; causal < 2; causal++)
                failed |= measure(&bench, n, width, causal);
    if (failed)
        fprintf(stderr, "attention: out of memory\n");
    return failed ? 2 : 0;
}

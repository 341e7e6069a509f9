/* SPDX-License-Identifier: Apache-2.0 */
/* Kernels: the definition decides ties, signs of zero, empty sets, draws and orders of addition
 * as ARITHMETIC.md says. */
#include "harness/tests/tap.h"
#include "ref/kernels.h"

#include <string.h>

static bool same_bits(float a, float b)
{
    return !memcmp(&a, &b, sizeof a);
}

static void test_orders(void)
{
    const struct assay_kernels *k = assay_kernels_def(ASSAY_F32);
    /* 2^24 absorbs a single 1 and not a 2: lanes 0 and 8 meet first, then 0 and 4. */
    float x[17] = {[0] = 0x1p24f, [4] = 1, [8] = 1, [12] = 1}, y;
    k->sum(1, 17, 1, x, &y, ASSAY_STORE);
    ok(same_bits(y, 0x1p24f + 2), "a sum meets lanes in the tree 8, 4, 2, 1");
    x[12] = 0;
    x[16] = 1;
    k->sum(1, 17, 1, x, &y, ASSAY_STORE);
    ok(same_bits(y, 0x1p24f), "element 16 of a sum goes to lane 0");
    float columns[6] = {0x1p24f, 0, 1, 0, 1, 0}, sums[2];
    k->sum(1, 3, 2, columns, sums, ASSAY_STORE);
    ok(same_bits(sums[0], 0x1p24f), "a sum over a leading axis ascends");
    float zeros[2] = {-0.0f, -0.0f};
    k->sum(1, 2, 1, zeros, &y, ASSAY_STORE);
    ok(same_bits(y, 0.0f), "a sum of negative zeros is +0");
}

static void test_ties(void)
{
    const struct assay_kernels *k = assay_kernels_def(ASSAY_F32);
    float x[6] = {1, -0.0f, 3, 0.0f, 3, 1}, y;
    int32_t index[6];
    k->max(1, 6, 1, x, &y, index);
    ok(y == 3 && index[0] == 2, "a maximum is the element of lowest index");
    float zeros[2] = {-0.0f, 0.0f};
    k->max(1, 2, 1, zeros, &y, index);
    ok(same_bits(y, -0.0f) && index[0] == 0, "a maximum takes -0 and +0 as equal");
    static const int32_t falling[6] = {2, 4, 0, 5, 1, 3}, rising[6] = {1, 3, 0, 5, 2, 4};
    k->argsort(1, 6, false, x, index);
    ok(!memcmp(index, falling, sizeof index), "argsort descends, ties to the lower index");
    k->argsort(1, 6, true, x, index);
    ok(!memcmp(index, rising, sizeof index), "argsort ascends, ties to the lower index");
    k->top_k(1, 6, 3, x, index);
    ok(!memcmp(index, falling, 3 * sizeof *index), "top-k is a prefix of the descending order");
    struct assay_walk one = {.rank = 1, .dim = {1}, .x = {1}, .y = {1}, .z = {1}};
    k->zip(ZIP_MAX, &one, &zeros[0], &zeros[1], &y, ASSAY_STORE);
    ok(same_bits(y, -0.0f), "an element-wise maximum takes the first of equals");
    k->map(MAP_RELU, 1, 0, &zeros[0], &y, ASSAY_STORE);
    ok(same_bits(y, 0.0f), "relu of -0 is +0");
}

/* A quadratic check that knows nothing of sorts: every element stands behind exactly those that
 * precede it. */
static void test_top_k_order(void)
{
    enum { WIDTH = 200, K = 60 };
    struct assay_rng rng;
    float x[WIDTH];
    int32_t index[K];
    bool right = true;
    assay_rng_named(&rng, 1, "order");
    for (int i = 0; i < WIDTH; i++)
        x[i] = (float)assay_rng_below(&rng, 20);
    assay_kernels_cpu(ASSAY_F32, NULL)->top_k(1, WIDTH, K, x, index);
    for (int r = 0; r < K; r++) {
        int ahead = 0;
        for (int j = 0; j < WIDTH; j++)
            ahead += x[j] > x[index[r]] || (x[j] == x[index[r]] && j < index[r]);
        right = right && ahead == r;
    }
    ok(right, "each of the top %d of %d has as many elements before it as its rank", K, WIDTH);
}

static void test_sets(void)
{
    const struct assay_kernels *k = assay_kernels_def(ASSAY_F32);
    const float x[4] = {1, 2, 900, 4};
    const int32_t allowed[4] = {1, 1, 0, 0}, none[4] = {0};
    struct assay_row_mask mask = {.allowed = allowed, .rows = 1, .repeat = 1};
    float y[4], pair[2], row, dx[4] = {0}, dy[4] = {1, 2, 3, 4};
    k->softmax(1, 4, &mask, x, y);
    k->softmax(1, 2, NULL, x, pair);
    ok(!memcmp(y, pair, sizeof pair) && same_bits(y[2], 0) && same_bits(y[3], 0),
       "softmax over a set is softmax of its elements, +0 elsewhere");
    k->softmax_backward(1, 4, &mask, y, dy, dx);
    ok(dx[0] != 0 && same_bits(dx[2], 0) && same_bits(dx[3], 0),
       "an element outside the set has no gradient");
    mask.allowed = none;
    k->softmax(1, 4, &mask, x, y);
    k->log_sum_exp(1, 4, &mask, x, &row);
    ok(same_bits(y[0], 0) && same_bits(y[3], 0) && same_bits(row, 0),
       "softmax and log-sum-exp of an empty set are +0");
    mask.uniform_if_empty = true;
    k->softmax(1, 4, &mask, x, y);
    ok(y[0] == 0.25f && y[3] == 0.25f, "softmax of an empty set is uniform where so declared");
}

static void test_dropout(void)
{
    enum { N = 1000 };
    static float x[N], y[N];
    static double x64[N], y64[N];
    struct assay_rng stream, start;
    assay_rng_named(&stream, 1, "dropout");
    start = stream;
    int kept = 0;
    bool alike = true;
    for (int i = 0; i < N; i++)
        x64[i] = x[i] = 3;
    assay_kernels_def(ASSAY_F32)->dropout(1, N, &stream, (double)0.9f, x, y, ASSAY_STORE);
    assay_kernels_def(ASSAY_F64)->dropout(1, N, &stream, 0.9, x64, y64, ASSAY_STORE);
    for (int i = 0; i < N; i++) {
        bool keeps = assay_rng_uniform(&start) < 0.9f;
        kept += keeps;
        alike = alike && same_bits(y[i], keeps ? 3 / 0.9f : 0) && y64[i] == (keeps ? 3 / 0.9 : 0);
    }
    ok(alike && kept < N,
       "dropout keeps by the stream's draws, the same elements in both profiles");
}

static void test_dry(void)
{
    bool untouched = true;
    for (int i = 0; i < 2; i++) {
        const struct assay_kernels *k = assay_kernels_dry(i ? ASSAY_F64 : ASSAY_F32);
        double x[4] = {1, 2, 3, 4}, y[4] = {5, 6, 7, 8};
        k->map(MAP_EXP, 4, 0, x, y, ASSAY_STORE);
        k->softmax(1, 4, NULL, x, y);
        k->fill(4, 1, y);
        k->sum(1, 1u << 30, 1u << 30, NULL, NULL, ASSAY_ADD);
        untouched = untouched && y[0] == 5 && y[3] == 8 && k->first_nonfinite(7, NULL) == 7
                    && !strcmp(k->name, "dry");
        /* Every member of the table after its description is a function. */
        for (const char *p = (const char *)&k->product; p < (const char *)(k + 1);
             p += sizeof(void (*)(void))) {
            void (*f)(void);
            memcpy(&f, p, sizeof f);
            untouched = untouched && f;
        }
    }
    ok(untouched, "the dry table is complete and touches nothing");
}

int main(void)
{
    test_orders();
    test_ties();
    test_top_k_order();
    test_sets();
    test_dropout();
    test_dry();
    return done_testing();
}

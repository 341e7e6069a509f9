/* SPDX-License-Identifier: Apache-2.0 */
/* A backend that tests itself: it takes its numbers to libassay and prints the verdicts. In place of
 * a real backend it "computes" the golden's own binary32 results, with one error if asked for.
 *
 *     cc backend.c -o backend $(pkg-config --cflags --libs assay)
 *     ./backend denseformer.safetensors [NAME ERROR]
 *
 * Both as C and as C++. Exit status: 0 passes, 1 fails, 2 wrong usage or input. */
#include <assay.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The backend: results[i] of the golden in binary32. The caller frees. */
static float *run_backend(const struct assay_tensor *bits)
{
    float *result = (float *)malloc(bits->elements * sizeof *result);
    if (result)
        memcpy(result, bits->data, bits->elements * sizeof *result);
    return result;
}

static int judge(const struct assay_golden *golden, const struct assay_tensor *bits,
                 const float *result)
{
    struct assay_verdict verdict;
    char error[ASSAY_MESSAGE];
    if (assay_compare(golden, bits->name, ASSAY_ELEMENT_F32, bits->rank, bits->dim, result,
                      ASSAY_PRECISION_F32, &verdict, error, sizeof error)
        != 0) {
        fprintf(stderr, "%s\n", error);
        return 2;
    }
    static const char *const words[] = {"pass", "FAIL", "not judged"};
    printf("%-40s %.3g of %.3g  %s\n", bits->name, verdict.error, verdict.budget,
           words[verdict.outcome]);
    return verdict.outcome == ASSAY_FAIL;
}

int main(int argc, char **argv)
{
    struct assay_golden *golden;
    struct assay_tensor tensor;
    char error[ASSAY_MESSAGE];
    int status = 0;
    if (argc != 2 && argc != 4) {
        fprintf(stderr, "usage: backend GOLDEN [NAME ERROR]\n");
        return 2;
    }
    if (assay_golden_open(argv[1], &golden, error, sizeof error) != 0) {
        fprintf(stderr, "%s\n", error);
        return 2;
    }
    for (size_t i = 0; assay_golden_at(golden, i, &tensor) == 0 && status < 2; i++) {
        if (strncmp(tensor.name, "f32/", 4) != 0)
            continue;
        float *result = run_backend(&tensor);
        if (result && argc == 4 && strcmp(tensor.name + 4, argv[2]) == 0)
            result[0] += (float)atof(argv[3]);
        int one = result ? judge(golden, &tensor, result) : 2;
        status = one > status ? one : status;
        free(result);
    }
    assay_golden_close(golden);
    return status;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Runs the fuzzing target on files, without a fuzzer: `replay FILE...` prints a line for each. */
#include <stdio.h>
#include <stdlib.h>

#include "harness/files.h"
#include "harness/fuzz/target.h"

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        char *bytes, error[ASSAY_ERROR_ROOM];
        size_t size;
        if (assay_file_read(argv[i], (size_t)1 << 30, &bytes, &size, error, sizeof error) != 0) {
            fprintf(stderr, "replay: %s\n", error);
            return 2;
        }
        /* A copy of the very size, so that the address sanitizer sees a read behind it. */
        uint8_t *exact = malloc(size ? size : 1);
        for (size_t j = 0; exact && j < size; j++)
            exact[j] = (uint8_t)bytes[j];
        free(bytes);
        if (!exact) {
            fprintf(stderr, "replay: %s: no memory\n", argv[i]);
            return 2;
        }
        printf("%s  %s\n", assay_fuzz_one(exact, size) == 0 ? "accepted" : "refused ", argv[i]);
        fflush(stdout);
        free(exact);
    }
    return 0;
}

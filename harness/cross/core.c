/* SPDX-License-Identifier: Apache-2.0 */
/* The binary32 core as a program for any processor: reads "ID SETTING SEED" lines, prints what
 * those golden files hold, a training run and hashes as a stream on standard output.
 * Exit status: 0, or 2 with a message. */
#include <inttypes.h>
#include <stdio.h>

#include "harness/cross/work.h"
#include "harness/files.h"

static int complain(const char *message)
{
    fprintf(stderr, "core: %s\n", message);
    return 2;
}

int main(void)
{
    char id[128], setting[128], error[ASSAY_ERROR_ROOM];
    uint64_t seed;
    int fields;
    const char *fault = assay_environment_fault();
    if (fault)
        return complain(fault);
    assay_work_machine(stdout);
    while ((fields = scanf("%127s %127s %" SCNu64, id, setting, &seed)) == 3)
        if (assay_work_golden(stdout, id, setting, seed, error, sizeof error) != 0)
            return complain(error);
    if (fields != EOF)
        return complain("expected lines of id, setting and seed");
    if (assay_work_training(stdout, error, sizeof error) != 0)
        return complain(error);
    assay_work_scalars(stdout);
    assay_stream_end(stdout);
    return fflush(stdout) == 0 && !ferror(stdout) ? 0 : complain("the stream can't be written");
}

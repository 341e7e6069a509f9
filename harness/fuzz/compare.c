/* SPDX-License-Identifier: Apache-2.0 */
/* Hostile bytes, as a backend's file and as a golden: libFuzzer's target (`make fuzz`).
 *
 * An input is tried as it is, and with the header's length put right, so that changes in the header
 * get past the first check. What is read must be consistent; what is refused must have a reason. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "harness/assay.h"
#include "harness/fuzz/target.h"
#include "harness/tests/golden_kit.h"

/* Stops where a fuzzer sees it. */
#define MUST(holds) ((holds) ? (void)0 : __builtin_trap())

static void use_report(const struct assay_report *report)
{
    const char *name;
    enum assay_element element;
    struct assay_verdict v;
    size_t failed = 0, passed = 0;
    for (size_t i = 0; assay_report_at(report, i, &name, &element, &v) == 0; i++) {
        MUST(name[0] && element < ASSAY_ELEMENTS && v.worst < v.elements);
        MUST(v.outcome != ASSAY_PASS || v.decision || v.error <= v.budget);
        failed += v.outcome == ASSAY_FAIL;
        passed += v.outcome == ASSAY_PASS;
    }
    MUST(assay_report_outcome(report)
         == (failed   ? ASSAY_FAIL
             : passed ? ASSAY_PASS
                      : ASSAY_NOT_JUDGED));
    MUST(!assay_report_first_trace(report) || failed);
}

/* As THEIRS. */
static int compare(const struct assay_golden *golden, const void *bytes, size_t size)
{
    char error[ASSAY_MESSAGE] = "";
    int status = 0;
    for (int p = 0; p < ASSAY_PRECISIONS; p++) {
        struct assay_report *report;
        status = assay_compare_bytes(golden, bytes, size, "theirs", (enum assay_precision)p,
                                     &report, error, sizeof error);
        MUST(status == 0 || (status == -1 && !report && strncmp(error, "theirs: ", 8) == 0));
        if (status == 0)
            use_report(report);
        assay_report_free(report);
    }
    return status;
}

/* As GOLDEN: its own binary32 results must be accepted by name, type and shape. */
static void open_golden(const void *bytes, size_t size)
{
    char error[ASSAY_MESSAGE] = "";
    struct assay_golden *golden;
    struct assay_tensor t;
    struct assay_verdict v;
    int status = assay_golden_parse(bytes, size, "golden", &golden, error, sizeof error);
    MUST(status == 0 || (status == -1 && !golden && strncmp(error, "golden: ", 8) == 0));
    for (size_t i = 0; status == 0 && assay_golden_at(golden, i, &t) == 0; i++)
        if (strncmp(t.name, "f32/", 4) == 0)
            MUST(assay_compare(golden, t.name, t.element, t.rank, t.dim, t.data,
                               ASSAY_PRECISION_BF16, &v, error, sizeof error)
                     == 0
                 && v.same_bits);
    assay_golden_close(golden);
}

/* Made once: an input takes a fraction of the time. */
static const struct assay_golden *kit(void)
{
    static struct assay_golden *golden;
    if (!golden) {
        void *bytes;
        size_t size;
        kit_golden(NULL, NULL, &bytes, &size);
        MUST(assay_golden_parse(bytes, size, "kit", &golden, NULL, 0) == 0);
        free(bytes);
    }
    return golden;
}

int assay_fuzz_one(const uint8_t *data, size_t size)
{
    const struct assay_golden *golden = kit();
    int status = compare(golden, data, size);
    open_golden(data, size);
    if (size > 8) {
        /* The header ends at the last "}}" of the first 4 KiB. */
        size_t end = size < 4096 ? size : 4096;
        while (end > 10 && !(data[end - 1] == '}' && data[end - 2] == '}'))
            end--;
        uint8_t *repaired = malloc(size);
        MUST(repaired);
        memcpy(repaired, data, size);
        for (int i = 0; i < 8; i++)
            repaired[i] = (uint8_t)((uint64_t)(end - 8) >> 8 * i);
        compare(golden, repaired, size);
        open_golden(repaired, size);
        free(repaired);
    }
    return status;
}

#ifdef ASSAY_LIBFUZZER
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    assay_fuzz_one(data, size);
    return 0;
}
#endif

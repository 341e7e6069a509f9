/* SPDX-License-Identifier: Apache-2.0 */
/* Verdicts: the rule at its edges, in every type and precision; goldens that are refused; files of a
 * backend as a whole. `compare --write DIR` writes the files that the other tests compare. */
#include <math.h>
#include <pthread.h>

#include "harness/assay.h"
#include "harness/files.h"
#include "harness/golden_file.h"
#include "harness/tests/golden_kit.h"
#include "harness/tests/tap.h"
#include "harness/verdict.h"

static char error[ASSAY_MESSAGE];
static struct assay_golden *golden;

static const struct kit_tensor *tensor_of(const char *name)
{
    for (int i = 0; i < KIT_TENSORS; i++)
        if (strcmp(kit_tensors[i].name, name) == 0)
            return &kit_tensors[i];
    return NULL;
}

/* The truth of a tensor with `change` added to element `at`, judged as binary64. */
static struct assay_verdict judged(const char *name, size_t at, double change,
                                   enum assay_precision precision)
{
    const struct kit_tensor *t = tensor_of(name);
    struct assay_verdict v = {0};
    double x[KIT_ROOM];
    kit_truth(t, x);
    x[at] += change;
    error[0] = '\0';
    if (assay_compare(golden, name, ASSAY_ELEMENT_F64, t->rank, t->dim, x, precision, &v, error,
                      sizeof error)
        != 0)
        diag("%s", error);
    return v;
}

static void the_rule(void)
{
    const double twice = 2 * 0.0001220703125, unit = 0x1p-21;
    struct assay_verdict v = judged("output", 3, twice, ASSAY_PRECISION_F32);
    ok(v.outcome == ASSAY_PASS && v.error == v.budget, "2 B is the budget, and is within it");
    v = judged("output", 3, nextafter(twice, 1) + 0x1p-52, ASSAY_PRECISION_F32);
    ok(v.outcome == ASSAY_FAIL, "the next number above it fails");
    ok(v.worst == 3 && v.expected == -40 / 32.0 && v.found > v.expected && v.finite && !v.decision,
       "it names the element and both values");
    v = judged("loss", 0, 2 * unit, ASSAY_PRECISION_F32);
    ok(v.outcome == ASSAY_PASS && v.budget == 2 * unit, "without honest errors: 8 u S");
    v = judged("loss", 0, 3 * unit, ASSAY_PRECISION_F32);
    ok(v.outcome == ASSAY_FAIL, "and above it fails");
    v = judged("grad/bias", 2, 0, ASSAY_PRECISION_F32);
    ok(v.outcome == ASSAY_NOT_JUDGED, "B over a quarter of the rms: not judged, though exact");
    v = judged("grad/bias", 2, (double)NAN, ASSAY_PRECISION_F32);
    ok(v.outcome == ASSAY_FAIL && v.worst == 2 && isnan(v.found), "but a NaN fails there, too");
    v = judged("output", 7, -(double)INFINITY, ASSAY_PRECISION_BF16);
    ok(v.outcome == ASSAY_FAIL && v.worst == 7 && !v.finite, "an infinity fails, with its element");
    v = judged("output", 0, 0x1.fffffffffffffp1023, ASSAY_PRECISION_F32);
    ok(v.outcome == ASSAY_FAIL && v.worst == 0 && v.finite && isfinite(v.rms),
       "squares of huge errors don't overflow");
    v = judged("output", 3, 0x1p-10, ASSAY_PRECISION_BF16);
    ok(v.outcome == ASSAY_PASS && v.budget == 0.25, "every precision has its budget");
    /* Quotient, two roots and a product round once each, by 2^-53 at most. */
    ok(fabs(v.rms - 0x1p-10 / sqrt(10)) <= 4 * 0x1p-53 * v.rms,
       "rms of one error of ten: e / sqrt(10)");
    ok(v.ulp == 0x1p-6, "a bf16 ulp at 2 is 2^-6");
    ok(assay_judges(0.5, 1) && !assay_judges(nextafter(0.5, 1), 1) && assay_judges(0, 0),
       "a budget of half of the rms is still judged");
    ok(assay_ulp(1, 0x1p-24) == 0x1p-23 && assay_ulp(nextafter(1, 0), 0x1p-24) == 0x1p-24
           && assay_ulp(0, 0x1p-24) == 0,
       "ulps change at powers of two");
}

/* The same numbers in each type, at an odd address. */
static void types(void)
{
    static const uint16_t half[10] = {0x4000}, brain[10] = {0x4000};
    const struct kit_tensor *t = tensor_of("output");
    unsigned char bytes[8 * KIT_ROOM + 1];
    double truth[KIT_ROOM], worst = 0;
    float single[KIT_ROOM];
    struct assay_verdict v;
    kit_truth(t, truth);
    for (size_t i = 0; i < 10; i++) {
        single[i] = (float)truth[i];
        worst = i == 0 ? 0 : fmax(worst, fabs(truth[i]));
    }
    memcpy(bytes + 1, single, sizeof single);
    int status = assay_compare(golden, "f32/output", ASSAY_ELEMENT_F32, 2, t->dim, bytes + 1, 0, &v,
                               error, sizeof error);
    ok(status == 0 && v.outcome == ASSAY_PASS && v.same_bits && v.error == 0,
       "F32 with the golden's bits, from an odd address");
    single[1] = -single[1];
    assay_compare(golden, "output", ASSAY_ELEMENT_F32, 2, t->dim, single, 0, &v, error,
                  sizeof error);
    ok(v.outcome == ASSAY_FAIL && !v.same_bits && v.error == 2 * fabs(truth[1]), "a wrong sign");
    assay_compare(golden, "output", ASSAY_ELEMENT_F16, 2, t->dim, half, 0, &v, error, sizeof error);
    ok(v.error == worst && v.finite, "F16: 0x4000 is 2");
    assay_compare(golden, "output", ASSAY_ELEMENT_BF16, 2, t->dim, brain, 0, &v, error,
                  sizeof error);
    ok(v.error == worst && v.finite, "BF16: 0x4000 is 2");
}

static void half_numbers(void)
{
    size_t wrong = 0;
    for (unsigned bits = 0; bits < 0x8000; bits++) {
        uint16_t positive = (uint16_t)bits, negative = (uint16_t)(bits | 0x8000);
        double x = assay_number_at(ASSAY_DT_F16, &positive, 0);
        double y = assay_number_at(ASSAY_DT_F16, &negative, 0);
        double expected = bits < 0x400
                              ? bits * 0x1p-24
                              : (1 + (bits & 1023) / 1024.0) * exp2((double)(bits >> 10) - 15);
        bool special = bits >= 0x7c00, infinite = bits == 0x7c00;
        wrong += special ? (infinite ? !isinf(x) || y != -x : !isnan(x) || !isnan(y))
                         : x != expected || y != -expected;
    }
    ok(wrong == 0, "all 65536 numbers of F16");
}

static void decisions(void)
{
    const int32_t same[8] = {3, 1, 4, 1, 5, 9, 2, 6};
    int64_t other[8] = {3, 1, 4, 1, 5, 9, 2, INT64_C(6) + (INT64_C(1) << 32)};
    struct assay_verdict v;
    assay_compare(golden, "decision/route", ASSAY_ELEMENT_I32, 2, kit_route, same, 0, &v, error,
                  sizeof error);
    ok(v.outcome == ASSAY_PASS && v.decision && v.different == 0, "decisions that agree");
    assay_compare(golden, "decision/route", ASSAY_ELEMENT_I64, 2, kit_route, other,
                  ASSAY_PRECISION_F32, &v, error, sizeof error);
    ok(v.outcome == ASSAY_FAIL && v.different == 1 && v.worst == 7 && v.expected == 6
           && v.found == 4294967302,
       "one of I64 that differs above 2^32 fails in f32");
    assay_compare(golden, "decision/route", ASSAY_ELEMENT_I64, 2, kit_route, other,
                  ASSAY_PRECISION_FP16, &v, error, sizeof error);
    ok(v.outcome == ASSAY_NOT_JUDGED && v.different == 1, "and is not judged in fp16");
}

static void refuses(const char *statement, const char *name, enum assay_element element,
                    size_t rank, const size_t *dim, int precision, const char *reason)
{
    static const double zeros[KIT_ROOM];
    struct assay_verdict v = {.elements = 77};
    error[0] = '\0';
    int status = assay_compare(golden, name, element, rank, dim, zeros,
                               (enum assay_precision)precision, &v, error, sizeof error);
    bool right = status == -1 && strstr(error, reason) && v.elements == 77;
    if (!ok(right, "refused: %s", statement))
        diag("status %d, message \"%s\", expected in it \"%s\"", status, error, reason);
}

static void refusals(void)
{
    const size_t shape[2] = {2, 5}, turned[2] = {5, 2};
    refuses("a misspelt name", "outptu", ASSAY_ELEMENT_F32, 2, shape, 0, "did you mean output?");
    refuses("a name of nothing near", "xyzzy", ASSAY_ELEMENT_F32, 2, shape, 0, "expected output");
    refuses("an input", "input/ids", ASSAY_ELEMENT_F32, 2, shape, 0, "given to a backend");
    refuses("a profile of a decision", "f32/decision/route", ASSAY_ELEMENT_I32, 2, kit_route, 0,
            "unknown tensor");
    refuses("an empty name", "", ASSAY_ELEMENT_F32, 2, shape, 0, "unknown tensor");
    refuses("another shape", "output", ASSAY_ELEMENT_F32, 2, turned, 0,
            "expected the shape [2, 5], found [5, 2]");
    refuses("another rank", "output", ASSAY_ELEMENT_F32, 1, shape, 0, "found [2]");
    refuses("no axes", "output", ASSAY_ELEMENT_F32, 0, NULL, 0, "found []");
    refuses("a million axes", "output", ASSAY_ELEMENT_F32, 1000000, shape, 0, "more axes");
    refuses("integers as numbers", "output", ASSAY_ELEMENT_I32, 2, shape, 0, "expected F32, F64");
    refuses("numbers as decisions", "decision/route", ASSAY_ELEMENT_F32, 2, kit_route, 0,
            "expected I32 or I64");
    refuses("an unknown type", "output", ASSAY_ELEMENTS, 2, shape, 0, "element: expected");
    refuses("an unknown precision", "output", ASSAY_ELEMENT_F32, 2, shape, 4,
            "precision: expected");
    refuses("a negative precision", "output", ASSAY_ELEMENT_F32, 2, shape, -1, "precision");
}

static void golden_refused(const char *statement, const char *key, const char *value,
                           const char *reason)
{
    void *bytes;
    size_t size;
    struct assay_golden *g = golden;
    kit_golden(key, value, &bytes, &size);
    error[0] = '\0';
    int status = assay_golden_parse(bytes, size, "kit", &g, error, sizeof error);
    if (!ok(status == -1 && !g && strstr(error, reason), "golden refused: %s", statement))
        diag("status %d, message \"%s\", expected in it \"%s\"", status, error, reason);
    assay_golden_close(g);
    free(bytes);
}

static void goldens(void)
{
    golden_refused("format 1", "assay.format", "1", "no budgets");
    golden_refused("no format", "assay.format", NULL, "is it a golden file?");
    golden_refused("no id", "id", NULL, "expected the key \"id\"");
    golden_refused("an empty configuration", "configuration", "", "an empty value");
    golden_refused("no budgets", "budgets", NULL, "expected the key \"budgets\"");
    golden_refused("budgets for nothing", "budgets", "{}", "expected them for 7 tensors, found 0");
    golden_refused("budgets of another tensor", "budgets", "{\"input/ids\": [1,1,1,1]}",
                   "expected the name of a tensor in f64/");
    golden_refused("budgets of a decision", "budgets", "{\"decision/route\": [1,1,1,1]}",
                   "expected the name of a tensor in f64/");
    golden_refused("three budgets", "budgets", "{\"output\": [1,1,1]}", "expected 4 numbers");
    golden_refused("a budget below 0", "budgets", "{\"output\": [1,1,-1,1]}", "expected 4 numbers");
    golden_refused("an infinite budget", "budgets", "{\"output\": [1,1,1e999,1]}", "expected 4");
    golden_refused("a budget twice", "budgets", "{\"output\":[1,1,1,1],\"output\":[1,1,1,1]}",
                   "twice");
    golden_refused("budgets nested too deep", "budgets", "{\"output\": [[1]]}",
                   "levels of nesting");
    golden_refused("budgets that are a list", "budgets", "[]", "expected an object");
    golden_refused("no scale of a tensor", "scales", "{\"output\": 1}",
                   "expected one for \"loss\"");
    golden_refused("a scale that is a text", "scales", "{\"output\": \"1\"}", "expected a number");
    golden_refused("a pool that is a number", "pools", "{\"output\": 1}", "expected a name");
    golden_refused("calibration without runs", "calibration", "{\"loss_scale\": 1}", "runs");
    golden_refused("a loss scale of 0", "calibration", "{\"runs\": 32, \"loss_scale\": 0}",
                   "loss_scale");
    golden_refused("other precisions", "calibration",
                   "{\"runs\": 32, \"loss_scale\": 1, \"precisions\": [\"f32\"]}", "precisions");
}

static void tensors(void)
{
    struct assay_tensor t, same;
    size_t i = 0;
    bool found = true;
    for (; assay_golden_at(golden, i, &t) == 0; i++)
        found = found && assay_golden_find(golden, t.name, &same) == 0 && same.data == t.data;
    ok(i == assay_golden_count(golden) && i == 2 + 2 * KIT_TENSORS && found,
       "every tensor is handed out, and found by its name");
    ok(assay_golden_find(golden, "input/ids", &t) == 0 && t.element == ASSAY_ELEMENT_I32
           && t.rank == 2 && t.dim[1] == 4 && t.elements == 8 && ((const int32_t *)t.data)[5] == 9,
       "with type, shape and data");
    ok(assay_golden_find(golden, "output", &t) == -1, "a whole name is asked for");
    ok(strcmp(assay_golden_metadata(golden, "id"), "kit") == 0
           && !assay_golden_metadata(golden, "x"),
       "metadata by key");
    const struct assay_golden_result *bias = assay_golden_result(golden, "grad/bias", NULL, 0);
    ok(golden->runs == 32 && golden->loss_scale == 1024 && bias->honest[1] == 8
           && strcmp(bias->pool, "grad head") == 0,
       "calibration, budgets and pools are read");
}

/* A file of what is asked for: "*" is all results; ones named in `wrong` are off by 1. */
static void make_theirs(enum assay_dtype dtype, const char *wrong, double at0, void **bytes,
                        size_t *size)
{
    struct assay_archive_writer *w = assay_archive_writer_open();
    for (int i = KIT_TENSORS; i-- > 0;) {
        const struct kit_tensor *t = &kit_tensors[i];
        double truth[KIT_ROOM];
        float single[KIT_ROOM];
        uint16_t brain[KIT_ROOM];
        kit_truth(t, truth);
        if (strstr(wrong, t->name))
            truth[kit_elements(t) - 1] += at0;
        for (size_t j = 0; j < kit_elements(t); j++) {
            uint32_t bits;
            single[j] = (float)truth[j];
            memcpy(&bits, &single[j], sizeof bits);
            brain[j] = (uint16_t)(bits >> 16);
        }
        assay_archive_writer_tensor(w, t->name, dtype, t->rank, t->dim,
                                    dtype == ASSAY_DT_F64   ? (const void *)truth
                                    : dtype == ASSAY_DT_F32 ? (const void *)single
                                                            : brain);
    }
    const int64_t ids[8] = {3, 1, 4, 1, 5, 9, 2, strstr(wrong, "route") ? 7 : 6};
    assay_archive_writer_tensor(w, "decision/route", ASSAY_DT_I64, 2, kit_route, ids);
    assay_archive_writer_bytes(w, "theirs", bytes, size, error, sizeof error);
    assay_archive_writer_close(w);
}

static void reports(void)
{
    void *bytes;
    size_t size;
    struct assay_report *report;
    const char *name, *second;
    enum assay_element element;
    struct assay_verdict v;
    make_theirs(ASSAY_DT_F32, "", 1, &bytes, &size);
    int status =
        assay_compare_bytes(golden, bytes, size, "theirs", 0, &report, error, sizeof error);
    ok(status == 0 && assay_report_count(report) == KIT_TENSORS + 1
           && assay_report_outcome(report) == ASSAY_PASS && !assay_report_first_trace(report),
       "a file of all results passes");
    assay_report_at(report, 0, &name, &element, &v);
    assay_report_at(report, 1, &second, &element, &v);
    ok(strcmp(name, "decision/route") == 0 && strcmp(second, "output") == 0,
       "decisions come first, then the order of the golden");
    ok(assay_report_at(report, KIT_TENSORS + 1, &name, &element, &v) == -1, "and no more");
    assay_report_free(report);
    free(bytes);
    make_theirs(ASSAY_DT_F64, "output trace/block.0 trace/block.1", 1, &bytes, &size);
    assay_compare_bytes(golden, bytes, size, "theirs", 0, &report, error, sizeof error);
    ok(assay_report_outcome(report) == ASSAY_FAIL
           && strcmp(assay_report_first_trace(report), "trace/block.0") == 0,
       "the first block that leaves its budget");
    assay_report_free(report);
    free(bytes);
    const struct kit_tensor *bias = tensor_of("grad/bias");
    double zeros[KIT_ROOM] = {0};
    struct assay_archive_writer *w = assay_archive_writer_open();
    assay_archive_writer_tensor(w, "grad/bias", ASSAY_DT_F64, 1, bias->dim, zeros);
    assay_archive_writer_bytes(w, "theirs", &bytes, &size, error, sizeof error);
    assay_compare_bytes(golden, bytes, size, "theirs", 0, &report, error, sizeof error);
    ok(assay_report_outcome(report) == ASSAY_NOT_JUDGED, "nothing that can be judged is no pass");
    assay_report_free(report);
    free(bytes);
    assay_archive_writer_tensor(w, "f64/grad/bias", ASSAY_DT_F64, 1, bias->dim, zeros);
    assay_archive_writer_bytes(w, "theirs", &bytes, &size, error, sizeof error);
    assay_archive_writer_close(w);
    status = assay_compare_bytes(golden, bytes, size, "theirs", 0, &report, error, sizeof error);
    ok(status == -1 && !report && strstr(error, "theirs: grad/bias: expected it once"),
       "refused: one tensor under two names");
    free(bytes);
    status = assay_compare_bytes(golden, "\2\0\0\0\0\0\0\0{}", 10, "theirs", 0, &report, NULL, 0);
    ok(status == -1 && !report, "refused without room for a message: a file of nothing");
}

static void *judge_often(void *made)
{
    size_t *passed = made;
    const struct kit_tensor *t = tensor_of("trace/block.1");
    double truth[KIT_ROOM];
    kit_truth(t, truth);
    for (int i = 0; i < 200; i++) {
        struct assay_verdict v;
        char own[ASSAY_MESSAGE];
        *passed += assay_compare(golden, t->name, ASSAY_ELEMENT_F64, t->rank, t->dim, truth,
                                 ASSAY_PRECISION_F32, &v, own, sizeof own)
                       == 0
                   && v.outcome == ASSAY_PASS;
    }
    return NULL;
}

static void threads(void)
{
    pthread_t thread[4];
    size_t passed[4] = {0};
    for (int i = 0; i < 4; i++)
        pthread_create(&thread[i], NULL, judge_often, &passed[i]);
    for (int i = 0; i < 4; i++)
        pthread_join(thread[i], NULL);
    ok(passed[0] + passed[1] + passed[2] + passed[3] == 800, "four threads share a golden");
}

static int write_file(const char *folder, const char *name, void *bytes, size_t size)
{
    char *path = assay_path_join(folder, name);
    int status = path ? assay_file_write(path, bytes, size, error, sizeof error) : -1;
    if (status != 0)
        fprintf(stderr, "%s\n", error);
    free(path);
    free(bytes);
    return status;
}

static int write_files(const char *folder)
{
    static const struct {
        const char *name;
        enum assay_dtype dtype;
        const char *wrong;
        double by;
    } files[] = {
        {"same.safetensors", ASSAY_DT_F32, "", 0},
        {"same64.safetensors", ASSAY_DT_F64, "", 0},
        {"brain.safetensors", ASSAY_DT_BF16, "", 0},
        {"near.safetensors", ASSAY_DT_F32, "output trace/block.1 grad/weight loss", 1e-7},
        {"middling.safetensors", ASSAY_DT_F64, "output trace/block.1 grad/weight loss", 0.003},
        {"wrong.safetensors", ASSAY_DT_F32, "output trace/block.0 trace/block.1 route", 1},
        {"huge.safetensors", ASSAY_DT_F64, "output", 1e300},
        {"nan.safetensors", ASSAY_DT_F32, "grad/weight", (double)NAN},
        {"infinite.safetensors", ASSAY_DT_BF16, "trace/embed", (double)INFINITY},
    };
    void *bytes;
    size_t size;
    kit_golden(NULL, NULL, &bytes, &size);
    int status = write_file(folder, "kit.safetensors", bytes, size);
    for (size_t i = 0; status == 0 && i < sizeof files / sizeof *files; i++) {
        make_theirs(files[i].dtype, files[i].wrong, files[i].by, &bytes, &size);
        status = write_file(folder, files[i].name, bytes, size);
    }
    return status ? 2 : 0;
}

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "--write") == 0)
        return write_files(argv[2]);
    void *bytes;
    size_t size;
    kit_golden(NULL, NULL, &bytes, &size);
    int status = assay_golden_parse(bytes, size, "kit", &golden, error, sizeof error);
    free(bytes);
    if (!ok(status == 0, "a golden is opened, whose bytes may go")) {
        diag("%s", error);
        return done_testing();
    }
    the_rule();
    types();
    half_numbers();
    decisions();
    refusals();
    goldens();
    tensors();
    reports();
    threads();
    assay_golden_close(golden);
    assay_golden_close(NULL);
    assay_report_free(NULL);
    return done_testing();
}

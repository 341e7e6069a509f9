/* SPDX-License-Identifier: Apache-2.0 */
/* libassay: a golden's tensors handed out, a backend's tensors judged. */
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness/assay.h"
#include "harness/files.h"
#include "harness/golden_file.h"
#include "harness/verdict.h"

_Static_assert((int)ASSAY_PRECISIONS == ASSAY_GOLDEN_COLUMNS, "a column per precision");
_Static_assert((int)ASSAY_MESSAGE == ASSAY_ERROR_ROOM && (int)ASSAY_AXES == ASSAY_ARCHIVE_RANK,
               "the sizes that users see are those inside");

static const enum assay_dtype dtypes[ASSAY_ELEMENTS] = {
    [ASSAY_ELEMENT_F32] = ASSAY_DT_F32, [ASSAY_ELEMENT_F64] = ASSAY_DT_F64,
    [ASSAY_ELEMENT_F16] = ASSAY_DT_F16, [ASSAY_ELEMENT_BF16] = ASSAY_DT_BF16,
    [ASSAY_ELEMENT_I32] = ASSAY_DT_I32, [ASSAY_ELEMENT_I64] = ASSAY_DT_I64,
};

const char *assay_golden_metadata(const struct assay_golden *golden, const char *key)
{
    return assay_archive_metadata(golden->archive, key);
}

size_t assay_golden_count(const struct assay_golden *golden)
{
    return assay_archive_count(golden->archive);
}

/* ASSAY_ELEMENTS for what is not among them. */
static enum assay_element element_of(enum assay_dtype dtype)
{
    int element = 0;
    while (element < ASSAY_ELEMENTS && dtypes[element] != dtype)
        element++;
    return (enum assay_element)element;
}

static int hand_out(const struct assay_archive_tensor *e, struct assay_tensor *tensor)
{
    if (!e)
        return -1;
    *tensor = (struct assay_tensor){.name = e->name,
                                    .element = element_of(e->dtype),
                                    .rank = e->rank,
                                    .elements = e->elements,
                                    .data = e->data};
    memcpy(tensor->dim, e->dim, e->rank * sizeof *e->dim);
    return 0;
}

int assay_golden_at(const struct assay_golden *golden, size_t i, struct assay_tensor *tensor)
{
    bool there = i < assay_archive_count(golden->archive);
    return hand_out(there ? assay_archive_entry(golden->archive, i) : NULL, tensor);
}

int assay_golden_find(const struct assay_golden *golden, const char *name,
                      struct assay_tensor *tensor)
{
    return hand_out(assay_archive_find(golden->archive, name), tensor);
}

enum { SHAPE_TEXT = 200 };

static const char *shape_text(size_t rank, const size_t *dim, char text[SHAPE_TEXT])
{
    size_t used = (size_t)snprintf(text, SHAPE_TEXT, "[");
    for (size_t i = 0; i < rank && used < SHAPE_TEXT - 30; i++)
        used += (size_t)snprintf(text + used, SHAPE_TEXT - used, "%s%zu", i ? ", " : "", dim[i]);
    snprintf(text + used, SHAPE_TEXT - used, "]");
    return text;
}

static int check_tensor(const struct assay_golden_result *result, enum assay_dtype dtype,
                        size_t rank, const size_t *dim, char *error, size_t room)
{
    bool whole = dtype == ASSAY_DT_I32 || dtype == ASSAY_DT_I64,
         real = dtype == ASSAY_DT_F32 || dtype == ASSAY_DT_F64 || dtype == ASSAY_DT_F16
                || dtype == ASSAY_DT_BF16;
    if (result->decision ? !whole : !real)
        return assay_complain(error, room, "%.200s: expected %s, found %s", result->name,
                              result->decision ? "I32 or I64" : "F32, F64, F16 or BF16",
                              assay_dtype_name(dtype));
    const struct assay_archive_tensor *expected = result->bits;
    bool fits = rank == expected->rank;
    for (size_t i = 0; fits && i < rank; i++)
        fits = dim[i] == expected->dim[i];
    if (!fits) {
        char a[SHAPE_TEXT], b[SHAPE_TEXT];
        return assay_complain(error, room, "%.120s: expected the shape %s, found %s", result->name,
                              shape_text(expected->rank, expected->dim, a),
                              rank > ASSAY_AXES ? "more axes" : shape_text(rank, dim, b));
    }
    return 0;
}

static int64_t integer_at(enum assay_dtype dtype, const void *data, size_t i)
{
    int32_t narrow;
    int64_t wide;
    if (dtype == ASSAY_DT_I64) {
        memcpy(&wide, (const char *)data + i * sizeof wide, sizeof wide);
        return wide;
    }
    memcpy(&narrow, (const char *)data + i * sizeof narrow, sizeof narrow);
    return narrow;
}

/* A golden's decisions are further from flipping than an honest f32 run errs; a lower precision
 * may flip one. */
static void judge_decision(const struct assay_golden_result *result, enum assay_dtype dtype,
                           const void *data, enum assay_precision precision,
                           struct assay_verdict *v)
{
    const struct assay_archive_tensor *expected = result->bits;
    v->decision = v->finite = 1;
    v->elements = expected->elements;
    for (size_t i = 0; i < expected->elements; i++) {
        int64_t a = integer_at(ASSAY_DT_I32, expected->data, i), b = integer_at(dtype, data, i);
        bool first = a != b && v->different++ == 0;
        if (first || i == 0) {
            v->worst = i;
            v->expected = (double)a;
            v->found = (double)b;
        }
    }
    v->same_bits = v->different == 0;
    v->outcome = v->same_bits                       ? ASSAY_PASS
                 : precision == ASSAY_PRECISION_F32 ? ASSAY_FAIL
                                                    : ASSAY_NOT_JUDGED;
}

static void judge_numbers(const struct assay_golden_result *result, enum assay_dtype dtype,
                          const void *data, enum assay_precision precision, struct assay_verdict *v)
{
    const struct assay_archive_tensor *truth = result->truth, *bits = result->bits;
    double roundoff = assay_golden_column_roundoff((int)precision);
    struct assay_deviation d = assay_deviate(truth->elements, dtype, data, truth->data);
    v->elements = truth->elements;
    v->finite = d.finite;
    v->worst = d.worst;
    v->expected = d.expected;
    v->found = d.found;
    v->error = d.largest;
    v->rms = d.rms;
    v->honest = result->honest[precision];
    v->scale = result->scale;
    v->budget = assay_budget(v->honest, v->scale, roundoff);
    v->ulp = assay_ulp(result->largest, roundoff);
    v->same_bits = dtype == ASSAY_DT_F32 && memcmp(data, bits->data, bits->bytes) == 0;
    bool judged = assay_judges(v->budget, result->rms);
    v->outcome = !v->finite              ? ASSAY_FAIL
                 : !judged               ? ASSAY_NOT_JUDGED
                 : v->error <= v->budget ? ASSAY_PASS
                                         : ASSAY_FAIL;
}

static int judge(const struct assay_golden_result *result, enum assay_dtype dtype, size_t rank,
                 const size_t *dim, const void *data, enum assay_precision precision,
                 struct assay_verdict *verdict, char *error, size_t room)
{
    if (check_tensor(result, dtype, rank, dim, error, room) != 0)
        return -1;
    *verdict = (struct assay_verdict){0};
    if (result->decision)
        judge_decision(result, dtype, data, precision, verdict);
    else
        judge_numbers(result, dtype, data, precision, verdict);
    return 0;
}

static int check_precision(enum assay_precision precision, char *error, size_t room)
{
    return (unsigned)precision < ASSAY_PRECISIONS
               ? 0
               : assay_complain(error, room, "precision: expected 0 to %d, found %d",
                                ASSAY_PRECISIONS - 1, (int)precision);
}

int assay_compare(const struct assay_golden *golden, const char *name, enum assay_element element,
                  size_t rank, const size_t *dim, const void *data, enum assay_precision precision,
                  struct assay_verdict *verdict, char *error, size_t room)
{
    if (check_precision(precision, error, room) != 0)
        return -1;
    if ((unsigned)element >= ASSAY_ELEMENTS)
        return assay_complain(error, room, "element: expected 0 to %d, found %d",
                              ASSAY_ELEMENTS - 1, (int)element);
    if (!data)
        return assay_complain(error, room, "%.200s: expected its elements, found NULL", name);
    const struct assay_golden_result *result = assay_golden_result(golden, name, error, room);
    return result ? judge(result, dtypes[element], rank, dim, data, precision, verdict, error, room)
                  : -1;
}

/* A line of a report: a result of the golden with what was found for it. */
struct line {
    const char *name; /* the golden's */
    enum assay_element element;
    bool found;
    struct assay_verdict verdict;
};

struct assay_report {
    size_t count;
    struct line *line;
};

static int judge_entry(const struct assay_golden *golden, const struct assay_archive_tensor *e,
                       enum assay_precision precision, struct line *lines, char *error, size_t room)
{
    const struct assay_golden_result *result = assay_golden_result(golden, e->name, error, room);
    if (!result)
        return -1;
    struct line *line = &lines[result - golden->result];
    if (line->found)
        return assay_complain(error, room, "%.200s: expected it once, found it under two names",
                              result->name);
    line->found = true;
    line->name = result->name;
    line->element = element_of(e->dtype);
    return judge(result, e->dtype, e->rank, e->dim, e->data, precision, &line->verdict, error,
                 room);
}

/* Those that were found, decisions first. */
static void arrange(struct assay_report *report, const struct line *lines, size_t count)
{
    for (int decision = 1; decision >= 0; decision--)
        for (size_t i = 0; i < count; i++)
            if (lines[i].found && lines[i].verdict.decision == decision)
                report->line[report->count++] = lines[i];
}

static int judge_archive(const struct assay_golden *golden, const struct assay_archive *theirs,
                         const char *name, enum assay_precision precision,
                         struct assay_report *report, char *error, size_t room)
{
    char reason[ASSAY_ERROR_ROOM];
    size_t count = assay_archive_count(theirs);
    struct line *lines = calloc(golden->count, sizeof *lines);
    report->line = calloc(golden->count, sizeof *report->line);
    int status = lines && report->line ? 0 : assay_complain(error, room, "%s: out of memory", name);
    if (status == 0 && count == 0)
        status = assay_complain(error, room, "%s: expected tensors, found none", name);
    for (size_t i = 0; status == 0 && i < count; i++)
        if (judge_entry(golden, assay_archive_entry(theirs, i), precision, lines, reason,
                        sizeof reason)
            != 0)
            status = assay_complain(error, room, "%s: %s", name, reason);
    if (status == 0)
        arrange(report, lines, golden->count);
    free(lines);
    return status;
}

/* Takes over the archive. */
static int make_report(const struct assay_golden *golden, struct assay_archive *theirs,
                       const char *name, enum assay_precision precision,
                       struct assay_report **report, char *error, size_t room)
{
    struct assay_report *made = calloc(1, sizeof *made);
    int status = !made ? assay_complain(error, room, "%s: out of memory", name)
                       : judge_archive(golden, theirs, name, precision, made, error, room);
    assay_archive_free(theirs);
    if (status == 0)
        *report = made;
    else
        assay_report_free(made);
    return status;
}

int assay_compare_file(const struct assay_golden *golden, const char *path,
                       enum assay_precision precision, struct assay_report **report, char *error,
                       size_t room)
{
    struct assay_archive *theirs;
    *report = NULL;
    if (check_precision(precision, error, room) != 0
        || assay_archive_read(path, &theirs, error, room) != 0)
        return -1;
    return make_report(golden, theirs, path, precision, report, error, room);
}

int assay_compare_bytes(const struct assay_golden *golden, const void *bytes, size_t size,
                        const char *name, enum assay_precision precision,
                        struct assay_report **report, char *error, size_t room)
{
    struct assay_archive *theirs;
    *report = NULL;
    if (check_precision(precision, error, room) != 0
        || assay_archive_parse(bytes, size, name, &theirs, error, room) != 0)
        return -1;
    return make_report(golden, theirs, name, precision, report, error, room);
}

void assay_report_free(struct assay_report *report)
{
    if (report)
        free(report->line);
    free(report);
}

size_t assay_report_count(const struct assay_report *report)
{
    return report->count;
}

int assay_report_at(const struct assay_report *report, size_t i, const char **name,
                    enum assay_element *element, struct assay_verdict *verdict)
{
    if (i >= report->count)
        return -1;
    *name = report->line[i].name;
    *element = report->line[i].element;
    *verdict = report->line[i].verdict;
    return 0;
}

enum assay_outcome assay_report_outcome(const struct assay_report *report)
{
    size_t count[] = {[ASSAY_PASS] = 0, [ASSAY_FAIL] = 0, [ASSAY_NOT_JUDGED] = 0};
    for (size_t i = 0; i < report->count; i++)
        count[report->line[i].verdict.outcome]++;
    return count[ASSAY_FAIL] ? ASSAY_FAIL : count[ASSAY_PASS] ? ASSAY_PASS : ASSAY_NOT_JUDGED;
}

const char *assay_report_first_trace(const struct assay_report *report)
{
    for (size_t i = 0; i < report->count; i++)
        if (report->line[i].verdict.outcome == ASSAY_FAIL
            && strncmp(report->line[i].name, "trace/", 6) == 0)
            return report->line[i].name;
    return NULL;
}

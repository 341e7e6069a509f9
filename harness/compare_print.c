/* SPDX-License-Identifier: Apache-2.0 */
/* A comparison as a table, as JSON and as JUnit XML. */
#include "harness/compare_print.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "harness/command.h"
#include "harness/golden_file.h"
#include "harness/json.h"

enum { PLACE_TEXT = 200, REASON_TEXT = 512 };

static const char *const outcomes[] = {
    [ASSAY_PASS] = "pass", [ASSAY_FAIL] = "fail", [ASSAY_NOT_JUDGED] = "not judged"};
static const char *const elements[ASSAY_ELEMENTS] = {
    [ASSAY_ELEMENT_F32] = "F32",   [ASSAY_ELEMENT_F64] = "F64", [ASSAY_ELEMENT_F16] = "F16",
    [ASSAY_ELEMENT_BF16] = "BF16", [ASSAY_ELEMENT_I32] = "I32", [ASSAY_ELEMENT_I64] = "I64"};

struct line {
    const char *name;
    enum assay_element element;
    struct assay_verdict verdict;
};

static bool line_at(const struct assay_comparison *c, size_t i, struct line *l)
{
    return assay_report_at(c->report, i, &l->name, &l->element, &l->verdict) == 0;
}

/* Does an element hold fewer digits than the precision computes with? */
static bool is_coarse(const char *precision, enum assay_element element)
{
    if (element == ASSAY_ELEMENT_BF16)
        return strcmp(precision, "bf16") != 0;
    return element == ASSAY_ELEMENT_F16 && strcmp(precision, "f32") == 0;
}

struct assay_tally assay_comparison_tally(const struct assay_comparison *c)
{
    struct assay_tally tally = {0};
    struct line l;
    for (size_t i = 0; line_at(c, i, &l); i++) {
        tally.outcome[l.verdict.outcome]++;
        tally.same_bits += l.verdict.same_bits != 0;
        tally.coarse += is_coarse(c->precision, l.element);
    }
    return tally;
}

/* The worst element's position; its axes' number. */
static size_t worst_index(const struct assay_comparison *c, const struct line *l,
                          size_t index[ASSAY_AXES])
{
    const struct assay_archive_tensor *t = assay_golden_result(c->golden, l->name, NULL, 0)->bits;
    size_t at = l->verdict.worst;
    for (size_t i = t->rank; i-- > 0; at /= t->dim[i])
        index[i] = at % t->dim[i];
    return t->rank;
}

/* "WORD at [1, 3]", or nothing for a tensor without axes, which has one element. */
static void place_text(const struct assay_comparison *c, const struct line *l, const char *word,
                       char text[PLACE_TEXT])
{
    size_t index[ASSAY_AXES], rank = worst_index(c, l, index), used = 0;
    text[0] = '\0';
    for (size_t i = 0; i < rank; i++)
        used += (size_t)snprintf(text + used, PLACE_TEXT - used, "%s%s%zu", i ? ", " : word,
                                 i ? "" : " at [", index[i]);
    snprintf(text + used, PLACE_TEXT - used, rank ? "]" : "");
}

/* a / b, where 0 / 0 is 0: no error of no budget. */
static double share(double a, double b)
{
    return a == 0 ? 0 : a / b;
}

/* Why the verdict is what it is, in words. */
static void reason_text(const struct assay_comparison *c, const struct line *l,
                        char text[REASON_TEXT])
{
    const struct assay_verdict *v = &l->verdict;
    char place[PLACE_TEXT];
    place_text(c, l, v->decision || !v->finite ? "first" : "worst", place);
    const char *colon = *place ? ": " : "";
    if (v->decision && v->different)
        snprintf(text, REASON_TEXT, "%zu of %zu differ; %s%sexpected %.0f, found %.0f",
                 v->different, v->elements, place, colon, v->expected, v->found);
    else if (v->decision)
        snprintf(text, REASON_TEXT, "%zu of %zu agree", v->elements, v->elements);
    else if (v->outcome == ASSAY_NOT_JUDGED)
        snprintf(text, REASON_TEXT, "honest %s arithmetic may err by %.2g, over half of its rms",
                 c->precision, v->budget);
    else if (v->outcome == ASSAY_FAIL || (v->error > 0 && !*place))
        snprintf(text, REASON_TEXT, "%s%sexpected %.9g, found %.9g", place, colon, v->expected,
                 v->found);
    else if (v->error > 0)
        snprintf(text, REASON_TEXT, "%s", place);
    else
        snprintf(text, REASON_TEXT, "exact");
}

static int name_width(const struct assay_comparison *c)
{
    enum { LEAST = 6, MOST = 60 };
    size_t width = LEAST;
    struct line l;
    for (size_t i = 0; line_at(c, i, &l); i++)
        if (strlen(l.name) > width && !l.verdict.decision)
            width = strlen(l.name) < MOST ? strlen(l.name) : MOST;
    return (int)width;
}

static void put_outcome(FILE *out, enum assay_outcome outcome)
{
    static const enum assay_colour colours[] = {ASSAY_GREEN, ASSAY_RED, ASSAY_PLAIN};
    char text[16];
    snprintf(text, sizeof text, "%-10s", outcome == ASSAY_FAIL ? "FAIL" : outcomes[outcome]);
    assay_put(out, colours[outcome], text);
}

static size_t put_decisions(FILE *out, const struct assay_comparison *c)
{
    struct line l;
    char reason[REASON_TEXT];
    size_t i = 0;
    for (; line_at(c, i, &l) && l.verdict.decision; i++) {
        reason_text(c, &l, reason);
        fprintf(out, "decisions  ");
        put_outcome(out, l.verdict.outcome);
        fprintf(out, "  %s: %s\n", l.name + strlen("decision/"), reason);
    }
    if (i == 0)
        fputs("decisions  none\n", out);
    return i;
}

static void put_numbers(FILE *out, const struct assay_comparison *c, size_t from)
{
    struct line l;
    char reason[REASON_TEXT];
    const char *first = assay_report_first_trace(c->report);
    int width = name_width(c);
    if (from < assay_report_count(c->report))
        fprintf(out, "%-*s  max error / budget  rms / budget  ulp       verdict\n", width,
                "tensor");
    for (size_t i = from; line_at(c, i, &l); i++) {
        const struct assay_verdict *v = &l.verdict;
        reason_text(c, &l, reason);
        fprintf(out, "%-*s  %-18.3g  %-12.3g  %-8.3g  ", width, l.name, share(v->error, v->budget),
                share(v->rms, v->budget), share(v->error, v->ulp));
        put_outcome(out, v->outcome);
        fprintf(out, "  %s%s\n", first && strcmp(first, l.name) == 0 ? "first divergence: " : "",
                reason);
    }
}

static bool has_trace(const struct assay_comparison *c)
{
    struct line l;
    for (size_t i = 0; line_at(c, i, &l); i++)
        if (strncmp(l.name, "trace/", strlen("trace/")) == 0)
            return true;
    return false;
}

static void put_summary(FILE *out, const struct assay_comparison *c, const struct assay_tally *t)
{
    size_t failed = t->outcome[ASSAY_FAIL], judged = failed + t->outcome[ASSAY_PASS];
    const char *first = assay_report_first_trace(c->report);
    fprintf(out, "%s: ", c->theirs);
    if (judged == 0)
        fprintf(out, "nothing could be judged as %s", c->precision);
    else if (failed == 0)
        fprintf(out, "all %zu judged tensors pass as %s", judged, c->precision);
    else
        fprintf(out, "%zu of %zu tensors exceed what honest %s arithmetic excuses", failed, judged,
                c->precision);
    if (first)
        fprintf(out, "; look at %s", first + strlen("trace/"));
    else if (failed && !has_trace(c))
        fputs("; with the golden's trace/ tensors in the file the first block would be named", out);
    if (t->outcome[ASSAY_NOT_JUDGED] && judged)
        fprintf(out, "; %zu not judged", t->outcome[ASSAY_NOT_JUDGED]);
    if (t->same_bits)
        fprintf(out, "; %zu bit for bit the golden's", t->same_bits);
    fputc('\n', out);
    if (t->coarse)
        fprintf(out,
                "note: %zu tensors are stored in a type coarser than %s. A type is no proof of the "
                "arithmetic: if they were computed in it, say so with --precision\n",
                t->coarse, c->precision);
}

void assay_comparison_text(FILE *out, const struct assay_comparison *c)
{
    struct assay_tally tally = assay_comparison_tally(c);
    put_numbers(out, c, put_decisions(out, c));
    put_summary(out, c, &tally);
}

/* ", "key": "; what is first in an object has no comma. */
static void put_key(FILE *out, const char *key)
{
    fputs(", ", out);
    assay_json_put_string(out, key);
    fputs(": ", out);
}

static void put_text(FILE *out, const char *key, const char *value)
{
    put_key(out, key);
    if (value)
        assay_json_put_string(out, value);
    else
        fputs("null", out);
}

static void put_number(FILE *out, const char *key, double value)
{
    put_key(out, key);
    if (isfinite(value))
        assay_json_put_number(out, value);
    else
        fputs("null", out);
}

static void put_tensor(FILE *out, const struct assay_comparison *c, const struct line *l)
{
    const struct assay_verdict *v = &l->verdict;
    size_t index[ASSAY_AXES], rank = worst_index(c, l, index);
    fputs("{\"name\": ", out);
    assay_json_put_string(out, l->name);
    put_text(out, "type", elements[l->element]);
    put_text(out, "verdict", outcomes[v->outcome]);
    if (v->decision) {
        put_number(out, "elements", (double)v->elements);
        put_number(out, "different", (double)v->different);
    } else {
        put_number(out, "max_error", v->error);
        put_number(out, "rms_error", v->rms);
        put_number(out, "budget", v->budget);
        put_number(out, "honest", v->honest);
        put_number(out, "scale", v->scale);
        put_number(out, "max_in_budgets", share(v->error, v->budget));
        put_number(out, "rms_in_budgets", share(v->rms, v->budget));
        put_number(out, "max_in_ulps", share(v->error, v->ulp));
        put_key(out, "finite");
        fputs(v->finite ? "true" : "false", out);
    }
    put_key(out, "same_bits");
    fputs(v->same_bits ? "true" : "false", out);
    put_key(out, "worst");
    for (size_t i = 0; i < rank; i++)
        fprintf(out, "%s%zu", i ? ", " : "[", index[i]);
    fputs(rank ? "]" : "[]", out);
    put_number(out, "expected", v->expected);
    put_number(out, "found", v->found);
    fputc('}', out);
}

void assay_comparison_json(FILE *out, const struct assay_comparison *c)
{
    struct assay_tally tally = assay_comparison_tally(c);
    struct line l;
    fputs("{\"golden\": ", out);
    assay_json_put_string(out, c->golden_path);
    put_text(out, "id", assay_golden_metadata(c->golden, "id"));
    put_text(out, "setting", assay_golden_metadata(c->golden, "setting"));
    put_text(out, "theirs", c->theirs);
    put_text(out, "precision", c->precision);
    put_text(out, "verdict", outcomes[assay_report_outcome(c->report)]);
    put_number(out, "passed", (double)tally.outcome[ASSAY_PASS]);
    put_number(out, "failed", (double)tally.outcome[ASSAY_FAIL]);
    put_number(out, "not_judged", (double)tally.outcome[ASSAY_NOT_JUDGED]);
    put_number(out, "same_bits", (double)tally.same_bits);
    put_number(out, "stored_coarser", (double)tally.coarse);
    put_text(out, "first_divergence", assay_report_first_trace(c->report));
    put_key(out, "tensors");
    for (size_t i = 0; line_at(c, i, &l); i++) {
        fputs(i ? ",\n  " : "[\n  ", out);
        put_tensor(out, c, &l);
    }
    fputs("]}\n", out);
}

/* XML knows no control characters, and a path may be in any encoding: both become '?'. */
static void put_xml(FILE *out, const char *text)
{
    for (; *text; text++) {
        unsigned char byte = (unsigned char)*text;
        if (byte == '<' || byte == '>' || byte == '&' || byte == '"')
            fprintf(out, "&#%d;", byte);
        else
            fputc(byte < 0x20 || byte >= 0x7f ? '?' : byte, out);
    }
}

static void put_suite_name(FILE *out, const struct assay_comparison *c)
{
    put_xml(out, assay_golden_metadata(c->golden, "id"));
    fputc('.', out);
    put_xml(out, assay_golden_metadata(c->golden, "setting"));
    fprintf(out, ".%s", c->precision);
}

void assay_comparison_junit(FILE *out, const struct assay_comparison *c)
{
    struct assay_tally tally = assay_comparison_tally(c);
    struct line l;
    fputs("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuite name=\"", out);
    put_suite_name(out, c);
    fprintf(out, "\" tests=\"%zu\" failures=\"%zu\" errors=\"0\" skipped=\"%zu\">\n",
            assay_report_count(c->report), tally.outcome[ASSAY_FAIL],
            tally.outcome[ASSAY_NOT_JUDGED]);
    for (size_t i = 0; line_at(c, i, &l); i++) {
        char reason[REASON_TEXT];
        reason_text(c, &l, reason);
        fputs("  <testcase classname=\"", out);
        put_suite_name(out, c);
        fputs("\" name=\"", out);
        put_xml(out, l.name);
        fputs("\" time=\"0\"", out);
        if (l.verdict.outcome == ASSAY_PASS) {
            fputs("/>\n", out);
            continue;
        }
        const char *element = l.verdict.outcome == ASSAY_FAIL ? "failure" : "skipped";
        fprintf(out, "><%s message=\"", element);
        put_xml(out, reason);
        fputs("\"/></testcase>\n", out);
    }
    fputs("</testsuite>\n", out);
}

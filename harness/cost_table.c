/* SPDX-License-Identifier: Apache-2.0 */
/* The tables of `assay cost`, as Markdown, CSV and JSON. */
#include "harness/cost_table.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "harness/json.h"
#include "harness/markup.h"

const size_t assay_decode_length[ASSAY_DECODE_LENGTHS] = {256, 1024, 4096};

typedef const struct assay_cost_table *table;
typedef const struct assay_cost_row *row;

/* What is tabulated: of a cell, NaN where it was left out; and what the paper claims of it. */
struct quantity {
    const char *key, *title;
    double (*value)(const struct assay_cost *c);
    double (*claimed)(const struct variant_growth *g);
    bool timed;
};

#define COUNT_OF(field) \
    static double field##_of(const struct assay_cost *c) \
    { \
        return c->counted ? (double)c->counts.field : (double)NAN; \
    }
COUNT_OF(multiply_adds)
COUNT_OF(mixing_multiply_adds)
COUNT_OF(moved)
COUNT_OF(bytes)
COUNT_OF(mixing_bytes)

static double seconds_of(const struct assay_cost *c)
{
    return c->timed ? c->seconds : (double)NAN;
}

static double claimed_operations(const struct variant_growth *g)
{
    return g->multiply_adds;
}

static double claimed_memory(const struct variant_growth *g)
{
    return g->memory;
}

static const struct quantity quantities[] = {
    {"mixing_multiply_adds", "Multiply-adds of mixing tokens", mixing_multiply_adds_of,
     claimed_operations, false},
    {"mixing_bytes", "Memory held for mixing tokens, bytes", mixing_bytes_of, claimed_memory,
     false},
    {"multiply_adds", "Multiply-adds of the whole model", multiply_adds_of, NULL, false},
    {"bytes_moved", "Bytes read and written by its ops", moved_of, NULL, false},
    {"peak_bytes", "Peak memory of the whole model, bytes", bytes_of, NULL, false},
    {"seconds", "Time of the pass, seconds", seconds_of, NULL, true},
};
enum { QUANTITIES = sizeof quantities / sizeof *quantities };

static struct assay_fit fit_of(row r, const struct quantity *q)
{
    double n[ASSAY_COST_LENGTHS], y[ASSAY_COST_LENGTHS];
    size_t points = 0;
    for (size_t i = 0; i < ASSAY_COST_LENGTHS; i++)
        if (assay_cost_length[i] >= ASSAY_COST_FROM && !isnan(q->value(&r->cost[i]))) {
            n[points] = (double)assay_cost_length[i];
            y[points++] = q->value(&r->cost[i]);
        }
    return assay_fit_exponent(points, n, y);
}

/* ---- Markdown ---- */

static void put_head(FILE *out, size_t columns, const size_t *n, const char *more, size_t extra)
{
    fputs("| model |", out);
    for (size_t i = 0; i < columns; i++)
        fprintf(out, " %zu |", n[i]);
    fprintf(out, "%s\n|:--|", more);
    for (size_t i = 0; i < columns + extra; i++)
        fputs("--:|", out);
    putc('\n', out);
}

/* Underscores are escaped, as Markdown wants it. */
static void put_name(FILE *out, const char *name)
{
    fputs("| ", out);
    for (; *name; name++)
        fprintf(out, *name == '_' ? "\\%c" : "%c", *name);
    fputs(" |", out);
}

static void put_cell(FILE *out, double value, bool seconds)
{
    putc(' ', out);
    if (isnan(value))
        fputs("\u2013", out);
    else if (seconds)
        fprintf(out, "%.3g", value);
    else
        assay_put_scaled(out, value);
    fputs(" |", out);
}

static void put_exponent(FILE *out, struct assay_fit fit)
{
    if (isnan(fit.exponent))
        fputs(" \u2013 |", out);
    else if (isnan(fit.margin))
        fprintf(out, " %.3f |", fit.exponent);
    else
        fprintf(out, " %.3f \u00b1 %.3f |", fit.exponent, fit.margin);
}

static void put_quantity(table t, const struct quantity *q, FILE *out)
{
    fprintf(out, "\n### %s\n", q->title);
    put_head(out, ASSAY_COST_LENGTHS, assay_cost_length,
             q->claimed ? " exponent | claimed |" : " exponent |", q->claimed ? 2 : 1);
    for (size_t i = 0; i < t->rows; i++) {
        row r = &t->row[i];
        put_name(out, r->name);
        for (size_t j = 0; j < ASSAY_COST_LENGTHS; j++)
            put_cell(out, q->value(&r->cost[j]), q->timed);
        put_exponent(out, fit_of(r, q));
        if (q->claimed)
            fprintf(out, " %g |", q->claimed(&r->growth));
        putc('\n', out);
    }
}

/* The reference's row of the same preset, frame and head, in its first form. */
static row plain_row(table t, row r)
{
    for (size_t i = 0; i < t->rows; i++) {
        row other = &t->row[i];
        if (other->model.variant == &assay_variant_reference && !other->model.form
            && other->preset == r->preset && other->frame == r->frame && other->head == r->head)
            return other;
    }
    return NULL;
}

static void put_ratio(FILE *out, double value)
{
    isnan(value) ? fputs(" \u2013 |", out) : fprintf(out, " %.2f |", value);
}

/* The form of the Long Range Arena's speed table. */
static void put_relative(table t, FILE *out)
{
    static const size_t column[] = {2, 3, 4, 5}; /* 1K to 4K of assay_cost_length */
    fputs("\n### Relative to the plain transformer\n", out);
    fputs("The reference's row of the same preset, frame and head is 1; steps per second left, "
          "memory right.\n\n",
          out);
    fputs("| model | speed, 1K | 2K | 3K | 4K | memory, 1K | 2K | 3K | 4K |\n"
          "|:--|--:|--:|--:|--:|--:|--:|--:|--:|\n",
          out);
    for (size_t i = 0; i < t->rows; i++) {
        row r = &t->row[i], plain = plain_row(t, r);
        if (!plain)
            continue;
        put_name(out, r->name);
        for (size_t j = 0; j < 4; j++)
            put_ratio(out, seconds_of(&plain->cost[column[j]]) / seconds_of(&r->cost[column[j]]));
        for (size_t j = 0; j < 4; j++)
            put_ratio(out, bytes_of(&r->cost[column[j]]) / bytes_of(&plain->cost[column[j]]));
        putc('\n', out);
    }
}

static void put_decode(table t, FILE *out)
{
    fputs("\n### Streaming decode\nOne sample, token by token, at position n.\n\n", out);
    fputs("| model |", out);
    for (size_t j = 0; j < ASSAY_DECODE_LENGTHS; j++)
        fprintf(out, " tokens/s, n = %zu | state, bytes | bytes per token |",
                assay_decode_length[j]);
    fputs("\n|:--|", out);
    for (size_t j = 0; j < 3 * ASSAY_DECODE_LENGTHS; j++)
        fputs("--:|", out);
    putc('\n', out);
    for (size_t i = 0; i < t->rows; i++) {
        row r = &t->row[i];
        if (!r->decoded)
            continue;
        put_name(out, r->name);
        for (size_t j = 0; j < ASSAY_DECODE_LENGTHS; j++) {
            put_cell(out, 1 / r->decode[j].seconds, false);
            put_cell(out, (double)r->decode[j].bytes, false);
            fprintf(out, " %.4g |", (double)r->decode[j].bytes / (double)assay_decode_length[j]);
        }
        putc('\n', out);
    }
}

static void put_left_out(table t, FILE *out)
{
    bool any = false;
    for (size_t i = 0; i < t->rows; i++)
        for (size_t j = 0; j < ASSAY_COST_LENGTHS; j++)
            any |= !t->row[i].cost[j].counted || (t->timed && !t->row[i].cost[j].timed);
    if (!any)
        return;
    fputs(
        "\nLeft out (\u2013): counts where n x n index tensors, which a dry pass needs too, would "
        "take more than 1 GiB, and numbers of pixels that make no image for a paper on images",
        out);
    if (t->timed)
        fprintf(out,
                "; times where the pass would hold more than 1 GiB or, by the one before it, take "
                "longer than %g s",
                t->limit);
    fputs(".\n", out);
}

void assay_cost_markdown(table t, FILE *out)
{
    fprintf(out,
            "Cost of one sample's forward and backward pass of n tokens; models of `%s`, "
            "binary32.\nCounts come from a pass without data. Mixing tokens: the mixers without "
            "their linear layers.\nExponents: least squares of the logarithms from n = %d on, with "
            "95 %% confidence intervals.\n",
            t->sizes, ASSAY_COST_FROM);
    for (size_t i = 0; i < QUANTITIES; i++)
        if (!quantities[i].timed || t->timed)
            put_quantity(t, &quantities[i], out);
    if (t->timed)
        put_relative(t, out);
    if (t->decoded)
        put_decode(t, out);
    put_left_out(t, out);
    if (t->level)
        fprintf(out,
                "\nTimes are this machine's, on one thread, kernels of level %s: processor time, "
                "which is the wall time where nothing else runs.\n",
                t->level);
}

/* ---- CSV ---- */

static const char *form_name(row r)
{
    const struct variant_form *first = r->model.variant->forms;
    return r->model.form ? r->model.form->name : first && first->name ? first->name : "";
}

static void put_key(row r, FILE *out)
{
    fprintf(out, "\"%s\",%s,%s,%s", r->name, r->model.variant->id, r->model.setting->name,
            form_name(r));
}

static void put_csv_number(FILE *out, double value)
{
    putc(',', out);
    if (!isnan(value))
        assay_json_put_number(out, value);
}

void assay_cost_csv(table t, FILE *out)
{
    fputs("model,id,setting,form,n", out);
    for (size_t i = 0; i < QUANTITIES; i++)
        fprintf(out, ",%s", quantities[i].key);
    putc('\n', out);
    for (size_t i = 0; i < t->rows; i++)
        for (size_t j = 0; j < ASSAY_COST_LENGTHS; j++) {
            put_key(&t->row[i], out);
            fprintf(out, ",%zu", assay_cost_length[j]);
            for (size_t k = 0; k < QUANTITIES; k++)
                put_csv_number(out, quantities[k].value(&t->row[i].cost[j]));
            putc('\n', out);
        }
}

void assay_decode_csv(table t, FILE *out)
{
    fputs("model,id,setting,form,n,tokens_per_second,state_bytes\n", out);
    for (size_t i = 0; i < t->rows; i++)
        for (size_t j = 0; t->row[i].decoded && j < ASSAY_DECODE_LENGTHS; j++) {
            put_key(&t->row[i], out);
            fprintf(out, ",%zu", assay_decode_length[j]);
            put_csv_number(out, 1 / t->row[i].decode[j].seconds);
            put_csv_number(out, (double)t->row[i].decode[j].bytes);
            putc('\n', out);
        }
}

/* ---- JSON ---- */

static void put_json_member(FILE *out, const char *key, double value)
{
    if (!isfinite(value))
        return;
    fprintf(out, ", \"%s\": ", key);
    assay_json_put_number(out, value);
}

static void put_json_fits(row r, FILE *out)
{
    fputs(", \"exponents\": {", out);
    for (size_t k = 0, shown = 0; k < QUANTITIES; k++) {
        struct assay_fit fit = fit_of(r, &quantities[k]);
        if (isnan(fit.exponent))
            continue;
        fprintf(out, "%s\"%s\": {\"points\": %zu", shown++ ? ", " : "", quantities[k].key,
                fit.points);
        put_json_member(out, "exponent", fit.exponent);
        put_json_member(out, "margin", fit.margin);
        if (quantities[k].claimed)
            put_json_member(out, "claimed", quantities[k].claimed(&r->growth));
        putc('}', out);
    }
    fputs("}", out);
}

static void put_json_row(row r, FILE *out)
{
    fputs("  {\"model\": ", out);
    assay_json_put_string(out, r->name);
    fprintf(out, ", \"id\": \"%s\", \"setting\": \"%s\", \"form\": \"%s\", \"reason\": ",
            r->model.variant->id, r->model.setting->name, form_name(r));
    assay_json_put_string(out, r->growth.reason);
    put_json_fits(r, out);
    fputs(", \"costs\": [", out);
    for (size_t j = 0; j < ASSAY_COST_LENGTHS; j++) {
        fprintf(out, "%s{\"n\": %zu", j ? ", " : "", assay_cost_length[j]);
        for (size_t k = 0; k < QUANTITIES; k++)
            put_json_member(out, quantities[k].key, quantities[k].value(&r->cost[j]));
        putc('}', out);
    }
    fputs("], \"decode\": [", out);
    for (size_t j = 0; r->decoded && j < ASSAY_DECODE_LENGTHS; j++) {
        fprintf(out, "%s{\"n\": %zu", j ? ", " : "", assay_decode_length[j]);
        put_json_member(out, "tokens_per_second", 1 / r->decode[j].seconds);
        put_json_member(out, "state_bytes", (double)r->decode[j].bytes);
        putc('}', out);
    }
    fputs("]}", out);
}

void assay_cost_json(table t, FILE *out)
{
    fputs("{\"format\": \"assay cost 1\", \"sizes\": ", out);
    assay_json_put_string(out, t->sizes);
    fputs(", \"rows\": [\n", out);
    for (size_t i = 0; i < t->rows; i++) {
        put_json_row(&t->row[i], out);
        fputs(i + 1 < t->rows ? ",\n" : "\n", out);
    }
    fputs("]}\n", out);
}

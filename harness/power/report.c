/* SPDX-License-Identifier: Apache-2.0 */
/* The report on all trials: Markdown for people, JSON for programs. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness/files.h"
#include "harness/json.h"
#include "harness/power/trials.h"
#include "harness/table.h"

/* Of one mutant, or of all, in one precision. */
struct count {
    size_t tried, caught;          /* another function in binary64 */
    size_t visible, seen, forward; /* ... by more than the precision's roundoff */
};

static struct count count_of(const struct trials *t, size_t mutant, int p)
{
    struct count n = {0};
    for (size_t s = 0; s < t->subjects; s++) {
        const struct cell *c = trials_cell(t, mutant, s);
        if (!c->at[p].tried)
            continue;
        n.tried++;
        n.caught += cell_caught(c, p);
        if (!c->at[p].visible)
            continue;
        n.visible++;
        n.seen += cell_caught(c, p);
        n.forward += c->at[p].found.outcome == OUTCOME_STOPS || c->at[p].found.forward;
    }
    return n;
}

static struct count count_all(const struct trials *t, int p)
{
    struct count all = {0};
    for (size_t m = 0; m < t->mutants; m++) {
        struct count n = count_of(t, m, p);
        all.tried += n.tried;
        all.caught += n.caught;
        all.visible += n.visible;
        all.seen += n.seen;
        all.forward += n.forward;
    }
    return all;
}

static size_t kinds_of(const struct trials *t, size_t mutant, enum kind kind)
{
    size_t count = 0;
    for (size_t s = 0; s < t->subjects; s++)
        count += trials_cell(t, mutant, s)->kind == kind;
    return count;
}

static double percent(size_t k, size_t n)
{
    return n ? 100 * (double)k / (double)n : 0;
}

/* ---- Markdown ---- */

static void put_head(const struct trials *t, FILE *out)
{
    fprintf(out,
            "# Power and false alarms of the verdict\n\n"
            "Made by `make power`. A *mutant* is a right implementation with one mistake "
            "(`harness/power/mutants.c`). It gets a golden's weights and inputs, computes forward "
            "and backward as an honest backend of a precision does (`ref/honest.h`, one seed), and "
            "`assay compare`'s rule judges every tensor. It is *caught* when a tensor fails, or "
            "when it stops at a number that is not finite.\n\n"
            "What counts is decided by a computation in binary64, not by the verdict. A mutant is "
            "*another function* on a golden when it is further from the truth than %g units of "
            "roundoff of binary64 times a tensor's scale. It is *visible* in a precision when it "
            "moves some tensor by more than the precision's roundoff times the tensor's largest "
            "number: what moves less is as near to the truth as the truth itself, rounded once. A "
            "golden "
            "counts in the precisions that it judges: in some, no honest run in fp16 is finite.\n\n"
            "%zu mutants, %zu goldens.\n\n",
            assay_same_function, t->mutants, t->subjects);
}

/* Parts of the visible mutants that are to be caught, and of honest runs that may fail. */
static const double asked_single = 98, asked_bf16 = 90, asked_alarms = 0.001;

static bool survives(const struct cell *c, int p)
{
    return c->at[p].visible && !cell_caught(c, p);
}

/* Why a mutant may go unseen: what the golden leaves to be seen, or its own reason. NULL: none. */
static const char *reason(const struct trials *t, size_t mutant, size_t s, int p)
{
    if (subject_decides(&t->subject[s]))
        return "codes, signs and spikes are decisions, taken from the golden";
    if (trials_cell(t, mutant, s)->at[p].effect <= 0)
        return "what it moves is not judged there";
    return t->mutant[mutant].survives;
}

static bool unexplained(const struct trials *t, size_t mutant)
{
    bool any = kinds_of(t, mutant, KIND_WRONG) == 0 && !t->mutant[mutant].survives;
    for (size_t s = 0; s < t->subjects; s++)
        for (int p = 0; p < ASSAY_PRECISIONS; p++)
            any = any || (survives(trials_cell(t, mutant, s), p) && !reason(t, mutant, s, p));
    return any;
}

bool report_summary(const struct trials *t, FILE *out)
{
    struct count single = count_all(t, ASSAY_PRECISION_F32),
                 bf16 = count_all(t, ASSAY_PRECISION_BF16);
    double caught = percent(single.seen, single.visible),
           caught16 = percent(bf16.seen, bf16.visible);
    size_t alarms = t->raised, runs = 0, silent = 0;
    for (int p = 0; p < ASSAY_PRECISIONS; p++)
        runs += t->honest[p];
    for (size_t m = 0; m < t->mutants; m++)
        silent += unexplained(t, m);
    fprintf(out,
            "caught in f32: %zu of %zu, %.2f %% (asked: %g %%)\n"
            "caught in bf16: %zu of %zu, %.2f %% (asked: %g %%)\n"
            "false alarms: %zu of %zu (asked: at most 1 in %g)\n"
            "mutants that survive, or change nothing, without a reason: %zu\n",
            single.seen, single.visible, caught, asked_single, bf16.seen, bf16.visible, caught16,
            asked_bf16, alarms, runs, 1 / asked_alarms, silent);
    return caught >= asked_single && caught16 >= asked_bf16 && silent == 0
           && (double)alarms <= asked_alarms * (double)runs;
}

static void put_totals(const struct trials *t, FILE *out)
{
    fputs("## Mutants caught\n\n"
          "| precision | visible mutants on goldens | caught | | by outputs, loss or traces | all "
          "mutants on goldens | caught | |\n"
          "|:--|--:|--:|--:|--:|--:|--:|--:|\n",
          out);
    for (int p = 0; p < ASSAY_PRECISIONS; p++) {
        struct count n = count_all(t, p);
        fprintf(out, "| %s | %zu | %zu | **%.2f %%** | %zu | %zu | %zu | %.2f %% |\n",
                assay_precision_name((enum assay_precision)p), n.visible, n.seen,
                percent(n.seen, n.visible), n.forward, n.tried, n.caught,
                percent(n.caught, n.tried));
    }
    fprintf(out, "\nAsked: at least %g %% of the visible in f32, %g %% in bf16.\n\n", asked_single,
            asked_bf16);
}

static void put_alarms(const struct trials *t, FILE *out)
{
    size_t alarms = 0, runs = 0;
    double low, high;
    fputs(
        "## False alarms\n\n"
        "Honest implementations, with orders of summation that calibration has not seen; one "
        "that fails in any tensor is a false alarm. They come from the table that the budgets come "
        "from; `make check-backends` tries NumPy and PyTorch. Intervals are exact (Clopper and "
        "Pearson), 95 %.\n\n"
        "| precision | false alarms | rate is within |\n|:--|--:|:--|\n",
        out);
    for (int p = 0; p <= ASSAY_PRECISIONS; p++) {
        bool all = p == ASSAY_PRECISIONS;
        size_t k = all ? alarms : t->alarms[p], n = all ? runs : t->honest[p];
        alarms += all ? 0 : k;
        runs += all ? 0 : n;
        assay_binomial_interval(k, n, 0.95, &low, &high);
        fprintf(out, "| %s | %zu of %zu | %.2g to %.2g |\n",
                all ? "all" : assay_precision_name((enum assay_precision)p), k, n, low, high);
    }
    fprintf(out, "\nAsked: at most 1 in %g.\n\n", 1 / asked_alarms);
    if (t->raised)
        fputs("| golden | precision | seed | tensor | error / budget |\n|:--|:--|--:|:--|--:|\n",
              out);
    for (size_t i = 0; i < t->raised; i++) {
        const struct alarm *a = &t->alarm[i];
        const struct subject *s = &t->subject[a->subject];
        fprintf(out, "| %s | %s | %llu | %s | %.3g |\n", s->name,
                assay_precision_name(a->precision), (unsigned long long)a->seed,
                s->golden->result[a->found.tensor].name, a->found.largest);
    }
    if (t->raised)
        fputc('\n', out);
}

static void put_subjects(const struct trials *t, FILE *out)
{
    fputs("## Goldens\n\nTensors that are judged (the others' budgets exceed half of their root "
          "mean square).\n\n| golden | tensors | f32 | tf32 | bf16 | fp16 |\n"
          "|:--|--:|--:|--:|--:|--:|\n",
          out);
    for (size_t i = 0; i < t->subjects; i++) {
        const struct assay_golden *g = t->subject[i].golden;
        size_t tensors = 0, judged[ASSAY_PRECISIONS] = {0};
        for (size_t k = 0; k < g->count; k++) {
            tensors += !g->result[k].decision;
            for (int p = 0; p < ASSAY_PRECISIONS && !g->result[k].decision; p++)
                judged[p] += subject_judges(&g->result[k], p);
        }
        fprintf(out, "| %s | %zu | %zu | %zu | %zu | %zu |\n", t->subject[i].name, tensors,
                judged[0], judged[1], judged[2], judged[3]);
    }
    fputc('\n', out);
}

/* The goldens where the mutant goes unseen: "all 5", or their names. */
static void put_unseen(const struct trials *t, size_t mutant, int p, FILE *out)
{
    struct count n = count_of(t, mutant, p);
    const char *between = "";
    if (n.seen == 0 && n.visible > 3) {
        fprintf(out, "all %zu", n.visible);
        return;
    }
    for (size_t s = 0; s < t->subjects; s++)
        if (survives(trials_cell(t, mutant, s), p)) {
            fprintf(out, "%s%s", between, t->subject[s].name);
            between = ", ";
        }
}

/* The mistake's own error at its largest, as a part of the budget, over the goldens where it goes
 * unseen. */
static double largest_effect(const struct trials *t, size_t mutant, int p)
{
    double largest = 0;
    for (size_t s = 0; s < t->subjects; s++)
        if (survives(trials_cell(t, mutant, s), p))
            largest = fmax(largest, trials_cell(t, mutant, s)->at[p].effect);
    return largest;
}

/* The reasons of its goldens, each once. */
static void put_reasons(const struct trials *t, size_t mutant, int p, FILE *out)
{
    enum { MOST = 4 };
    const char *put[MOST], *none = "**unexplained**";
    size_t count = 0;
    for (size_t s = 0; s < t->subjects; s++) {
        const char *why = survives(trials_cell(t, mutant, s), p) ? reason(t, mutant, s, p) : "";
        bool known = why && !*why;
        why = why ? why : none;
        for (size_t i = 0; i < count; i++)
            known = known || put[i] == why;
        if (known || count == MOST)
            continue;
        fprintf(out, "%s%s", count ? "; " : "", why);
        put[count++] = why;
    }
}

static void put_survivors(const struct trials *t, FILE *out)
{
    fputs(
        "## Survivors\n\n"
        "Visible mutants that pass. *Effect*: the mistake's own error, in binary64, as a part of "
        "the budget, at its largest over the tensors that are judged and the goldens where it "
        "goes unseen. Below 1 the budget excuses as much of an honest backend; 0: nothing that is "
        "judged moves. Where more than half as many decisions are taken as there are weights, "
        "the golden gives most of what a mutant could move.\n\n"
        "| mutant | precision | unseen on | effect | why |\n|:--|:--|:--|--:|:--|\n",
        out);
    for (size_t m = 0; m < t->mutants; m++)
        for (int p = 0; p < ASSAY_PRECISIONS; p++) {
            struct count n = count_of(t, m, p);
            if (n.seen == n.visible)
                continue;
            fprintf(out, "| %s | %s | ", t->mutant[m].name,
                    assay_precision_name((enum assay_precision)p));
            put_unseen(t, m, p, out);
            fprintf(out, " | %.2g | ", largest_effect(t, m, p));
            put_reasons(t, m, p, out);
            fputs(" |\n", out);
        }
    fputc('\n', out);
}

/* Not visible: how many, and how many of them are caught all the same. */
static void put_invisible(const struct trials *t, FILE *out)
{
    fputs("## Below roundoff\n\n"
          "Caught of the goldens where the mutant is another function, but moves no tensor by more "
          "than the precision's roundoff.\n\n"
          "| mutant | mistake | f32 | tf32 | bf16 | fp16 |\n|:--|:--|--:|--:|--:|--:|\n",
          out);
    for (size_t m = 0; m < t->mutants; m++) {
        size_t invisible = 0;
        for (int p = 0; p < ASSAY_PRECISIONS; p++)
            invisible += count_of(t, m, p).tried - count_of(t, m, p).visible;
        if (!invisible)
            continue;
        fprintf(out, "| %s | %s |", t->mutant[m].name, t->mutant[m].what);
        for (int p = 0; p < ASSAY_PRECISIONS; p++) {
            struct count n = count_of(t, m, p);
            if (n.tried > n.visible)
                fprintf(out, " %zu of %zu |", n.caught - n.seen, n.tried - n.visible);
            else
                fputs(" |", out);
        }
        fputc('\n', out);
    }
    fputc('\n', out);
}

static void put_harmless(const struct trials *t, FILE *out)
{
    fputs("## Not counted\n\n"
          "Mutants that are the same function on every golden, and how often the others are.\n\n"
          "| mutant | mistake | no bit of binary64 differs | same up to roundoff | why |\n"
          "|:--|:--|--:|--:|:--|\n",
          out);
    for (size_t m = 0; m < t->mutants; m++)
        if (kinds_of(t, m, KIND_WRONG) == 0)
            fprintf(out, "| %s | %s | %zu | %zu | %s |\n", t->mutant[m].name, t->mutant[m].what,
                    kinds_of(t, m, KIND_UNCHANGED), kinds_of(t, m, KIND_SAME),
                    t->mutant[m].survives ? t->mutant[m].survives : "**unexplained**");
    double same = 0, wrong = (double)INFINITY;
    for (size_t i = 0; i < t->mutants * t->subjects; i++) {
        if (t->cell[i].kind == KIND_SAME)
            same = fmax(same, t->cell[i].distance.units);
        if (t->cell[i].kind == KIND_WRONG)
            wrong = fmin(wrong, t->cell[i].distance.units);
    }
    fprintf(out,
            "\nIn units of roundoff of binary64, the furthest that is taken for the same function "
            "is at %.3g, the nearest that is counted at %.3g.\n\n",
            same, wrong);
}

static void put_mutants(const struct trials *t, FILE *out)
{
    fputs("## Every mutant\n\nCaught of the goldens on which it is visible.\n\n"
          "| mutant | mistake | f32 | tf32 | bf16 | fp16 |\n|:--|:--|--:|--:|--:|--:|\n",
          out);
    for (size_t m = 0; m < t->mutants; m++) {
        if (kinds_of(t, m, KIND_WRONG) == 0)
            continue;
        fprintf(out, "| %s | %s |", t->mutant[m].name, t->mutant[m].what);
        for (int p = 0; p < ASSAY_PRECISIONS; p++) {
            struct count n = count_of(t, m, p);
            if (n.visible)
                fprintf(out, " %zu of %zu |", n.seen, n.visible);
            else
                fputs(" |", out);
        }
        fputc('\n', out);
    }
}

/* ---- JSON ---- */

static void put_counts(const struct trials *t, size_t mutant, FILE *out)
{
    for (int p = 0; p < ASSAY_PRECISIONS; p++) {
        struct count n = mutant < t->mutants ? count_of(t, mutant, p) : count_all(t, p);
        fprintf(out, "%s\"%s\": [%zu, %zu, %zu, %zu]", p ? ", " : "",
                assay_precision_name((enum assay_precision)p), n.seen, n.visible, n.caught,
                n.tried);
    }
}

static void put_json_mutants(const struct trials *t, FILE *out)
{
    for (size_t m = 0; m < t->mutants; m++) {
        fputs(m ? ",\n  {\"name\": " : "\n  {\"name\": ", out);
        assay_json_put_string(out, t->mutant[m].name);
        fputs(", \"mistake\": ", out);
        assay_json_put_string(out, t->mutant[m].what);
        fputs(", ", out);
        put_counts(t, m, out);
        fputc('}', out);
    }
}

static void put_survivor(const struct trials *t, size_t m, size_t s, int p, FILE *out)
{
    const struct cell *c = trials_cell(t, m, s);
    fputs("{\"mutant\": ", out);
    assay_json_put_string(out, t->mutant[m].name);
    fputs(", \"golden\": ", out);
    assay_json_put_string(out, t->subject[s].name);
    fprintf(out,
            ", \"precision\": \"%s\", \"tensor\": ", assay_precision_name((enum assay_precision)p));
    assay_json_put_string(out, t->subject[s].golden->result[c->at[p].found.tensor].name);
    fprintf(out, ", \"error\": %.3g, \"effect\": %.3g}", c->at[p].found.largest, c->at[p].effect);
}

static void put_json_survivors(const struct trials *t, FILE *out)
{
    bool first = true;
    for (size_t m = 0; m < t->mutants; m++)
        for (size_t s = 0; s < t->subjects; s++)
            for (int p = 0; p < ASSAY_PRECISIONS; p++) {
                const struct cell *c = trials_cell(t, m, s);
                if (!survives(c, p))
                    continue;
                fputs(first ? "\n  " : ",\n  ", out);
                put_survivor(t, m, s, p, out);
                first = false;
            }
}

/* Counts are [caught, of those visible, caught, of all] and [false alarms, runs]; error and effect
 * are parts of the budget. */
static void put_json(const struct trials *t, FILE *out)
{
    fprintf(out, "{\"goldens\": %zu,\n \"caught\": {", t->subjects);
    put_counts(t, t->mutants, out);
    fputs("},\n \"false_alarms\": {", out);
    for (int p = 0; p < ASSAY_PRECISIONS; p++)
        fprintf(out, "%s\"%s\": [%zu, %zu]", p ? ", " : "",
                assay_precision_name((enum assay_precision)p), t->alarms[p], t->honest[p]);
    fputs("},\n \"mutants\": [", out);
    put_json_mutants(t, out);
    fputs("],\n \"survivors\": [", out);
    put_json_survivors(t, out);
    fputs("]}\n", out);
}

static void put_markdown(const struct trials *t, FILE *out)
{
    put_head(t, out);
    put_totals(t, out);
    put_alarms(t, out);
    put_survivors(t, out);
    put_invisible(t, out);
    put_harmless(t, out);
    put_subjects(t, out);
    put_mutants(t, out);
}

static int write_one(const struct trials *t, const char *folder, const char *name,
                     void (*put)(const struct trials *, FILE *), char *error, size_t room)
{
    char *text = NULL, *path = assay_path_join(folder, name);
    size_t size;
    FILE *out = open_memstream(&text, &size);
    if (out)
        put(t, out);
    int status = out && fclose(out) == 0 && path ? assay_file_write(path, text, size, error, room)
                                                 : assay_complain(error, room, "out of memory");
    free(text);
    free(path);
    return status;
}

int report_write(const struct trials *t, const char *folder, char *error, size_t room)
{
    if (assay_folder_make(folder, error, room) != 0
        || write_one(t, folder, "power.md", put_markdown, error, room) != 0)
        return -1;
    return write_one(t, folder, "power.json", put_json, error, room);
}

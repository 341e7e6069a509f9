/* SPDX-License-Identifier: Apache-2.0 */
/* `assay measure`: the tables of numbers that papers reason about or find. */
#include <argp.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "harness/command.h"
#include "harness/files.h"
#include "harness/json.h"
#include "harness/lookup.h"
#include "harness/markup.h"
#include "ref/claim.h"
#include "ref/version.h"

#define MEASURED_FORMAT "assay measurement 1"

enum { COLUMNS_MAX = 16, NAME_ROOM = 96 };

/* ---- options ---- */

struct choice {
    const char *id, *name, *folder, *kernels;
    enum { AS_TEXT, AS_MARKDOWN, AS_CSV, AS_JSON } format;
    bool quiet;
};

static const char *const format_names[] = {"text", "markdown", "csv", "json", NULL};

enum { KEY_KERNELS = 0x100 };
static const struct argp_option options[] = {
    {"format", 'f', "FORMAT", 0, "text (default), markdown, csv or json", 0},
    {"output", 'o', "DIR", 0, "write DIR/ID.NAME.md, .csv and .json instead of printing", 0},
    {"kernels", KEY_KERNELS, "TABLE", 0, "def, cpu (default) or a level of cpu", 0},
    {"quiet", 'q', NULL, 0, "no progress", 0},
    {0}};

static void set_format(struct choice *choice, const char *name, struct argp_state *state)
{
    char error[ASSAY_ERROR_ROOM];
    int found = assay_nearest_index(format_names, name, "format",
                                    "expected text, markdown, csv or json", error, sizeof error);
    if (found < 0)
        argp_error(state, "%s", error);
    else
        choice->format = (__typeof__(choice->format))found;
}

static error_t parse(int key, char *argument, struct argp_state *state)
{
    struct choice *choice = state->input;
    switch (key) {
    case 'f':
        set_format(choice, argument, state);
        return 0;
    case 'o':
        choice->folder = argument;
        return 0;
    case 'q':
        choice->quiet = true;
        return 0;
    case KEY_KERNELS:
        choice->kernels = argument;
        return 0;
    case ARGP_KEY_ARG:
        if (choice->id && choice->name)
            argp_error(state, "'%s' is one argument too many", argument);
        *(choice->id ? &choice->name : &choice->id) = argument;
        return 0;
    case ARGP_KEY_END:
        if (!choice->id)
            argp_error(state, "expected the id of a paper");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

/* ---- the table ---- */

struct line {
    char name[NAME_ROOM];
    double value[COLUMNS_MAX];
};

struct filled {
    const struct assay_variant *variant;
    const struct variant_measurement *what;
    size_t columns; /* of numbers */
    struct line *line;
    size_t lines, room;
    bool quiet, no_memory, failed;
};

static void add_row(void *sink, const char *name, const double *values)
{
    struct filled *t = sink;
    if (t->lines == t->room) {
        size_t room = t->room ? 2 * t->room : 32;
        struct line *more = realloc(t->line, room * sizeof *more);
        if (!more) {
            t->no_memory = true;
            return;
        }
        t->line = more;
        t->room = room;
    }
    struct line *made = &t->line[t->lines++];
    snprintf(made->name, sizeof made->name, "%s", name);
    memcpy(made->value, values, t->columns * sizeof *values);
    if (!t->quiet && assay_is_terminal(stderr))
        fprintf(stderr, "\r\033[K%s %s: %zu rows", t->variant->id, t->what->name, t->lines);
}

/* A statement on the way; what fails is said. */
static void report(void *sink, bool holds, const char *text)
{
    struct filled *t = sink;
    if (holds)
        return;
    t->failed = true;
    assay_refuse("%s %s: %s", t->variant->id, t->what->name, text);
}

static int fill(struct filled *t, const struct assay_kernels *kernels)
{
    while (t->what->columns[t->columns + 1])
        t->columns++;
    if (t->columns > COLUMNS_MAX)
        return assay_refuse("%s %s: expected at most %d columns, found %zu", t->variant->id,
                            t->what->name, COLUMNS_MAX, t->columns);
    struct claim claim = {
        .kernels = kernels, .profile = kernels->profile, .report = report, .sink = t};
    struct measured m = {add_row, t};
    bool measured = claim_measure(t->variant, t->what, &m, &claim);
    if (!t->quiet && assay_is_terminal(stderr))
        fputs("\r\033[K", stderr);
    if (t->no_memory)
        return assay_refuse("out of memory");
    return measured && !t->failed ? ASSAY_EXIT_SAME : ASSAY_EXIT_DIFFERENT;
}

/* ---- printing ---- */

static void number_text(double value, char text[32])
{
    if (isnan(value))
        snprintf(text, 32, "-");
    else if (fabs(value) < 1e15 && fabs(value - nearbyint(value)) <= 0)
        snprintf(text, 32, "%.0f", value);
    else
        snprintf(text, 32, "%.4g", value);
}

static void print_text(const struct filled *t, FILE *out)
{
    int width[COLUMNS_MAX + 1] = {(int)strlen(t->what->columns[0])};
    char text[32];
    for (size_t j = 0; j < t->columns; j++)
        width[j + 1] = (int)strlen(t->what->columns[j + 1]);
    for (size_t i = 0; i < t->lines; i++) {
        width[0] = (int)fmax(width[0], (double)strlen(t->line[i].name));
        for (size_t j = 0; j < t->columns; j++) {
            number_text(t->line[i].value[j], text);
            width[j + 1] = (int)fmax(width[j + 1], (double)strlen(text));
        }
    }
    fprintf(out, "%s: %s\n%-*s", t->what->name, t->what->caption, width[0], t->what->columns[0]);
    for (size_t j = 0; j < t->columns; j++)
        fprintf(out, "  %*s", width[j + 1], t->what->columns[j + 1]);
    for (size_t i = 0; i < t->lines; i++) {
        fprintf(out, "\n%-*s", width[0], t->line[i].name);
        for (size_t j = 0; j < t->columns; j++) {
            number_text(t->line[i].value[j], text);
            fprintf(out, "  %*s", width[j + 1], text);
        }
    }
    putc('\n', out);
}

static void print_markdown(const struct filled *t, FILE *out)
{
    const struct assay_markup *m = &assay_markdown;
    char text[32];
    fputs("# ", out);
    m->text(out, t->variant->title);
    fputs("\n\n", out);
    m->text(out, t->what->caption);
    fprintf(out, "\n\nMade by `assay measure %s %s`, arithmetic %s.\n\n", t->variant->id,
            t->what->name, ASSAY_ARITHMETIC);
    for (size_t j = 0; j <= t->columns; j++) {
        fputs(j ? " | " : "| ", out);
        m->text(out, t->what->columns[j]);
    }
    fputs(" |\n", out);
    for (size_t j = 0; j <= t->columns; j++)
        fputs(j ? "|--:" : "|:--", out);
    fputs("|\n", out);
    for (size_t i = 0; i < t->lines; i++) {
        fputs("| ", out);
        m->text(out, t->line[i].name);
        for (size_t j = 0; j < t->columns; j++) {
            number_text(t->line[i].value[j], text);
            fprintf(out, " | %s", text);
        }
        fputs(" |\n", out);
    }
}

static void print_csv(const struct filled *t, FILE *out)
{
    for (size_t j = 0; j <= t->columns; j++) {
        fputs(j ? "," : "", out);
        assay_csv_text(out, t->what->columns[j]);
    }
    for (size_t i = 0; i < t->lines; i++) {
        putc('\n', out);
        assay_csv_text(out, t->line[i].name);
        for (size_t j = 0; j < t->columns; j++)
            assay_csv_number(out, t->line[i].value[j]);
    }
    putc('\n', out);
}

static void print_json(const struct filled *t, FILE *out)
{
    assay_json_text(out, "{", "format", MEASURED_FORMAT);
    assay_json_text(out, ",\n ", "arithmetic", ASSAY_ARITHMETIC);
    assay_json_text(out, ",\n ", "id", t->variant->id);
    assay_json_text(out, ",\n ", "name", t->what->name);
    assay_json_text(out, ",\n ", "title", t->variant->title);
    assay_json_text(out, ",\n ", "caption", t->what->caption);
    fprintf(out, ",\n \"against\": %d, \"logarithmic\": %d,\n \"columns\": [", t->what->against,
            (int)t->what->logarithmic);
    for (size_t j = 0; j <= t->columns; j++) {
        fputs(j ? ", " : "", out);
        assay_json_put_string(out, t->what->columns[j]);
    }
    fputs("],\n \"rows\": [", out);
    for (size_t i = 0; i < t->lines; i++) {
        fputs(i ? ",\n  [" : "\n  [", out);
        assay_json_put_string(out, t->line[i].name);
        for (size_t j = 0; j < t->columns; j++) {
            fputs(", ", out);
            if (isfinite(t->line[i].value[j]))
                assay_json_put_number(out, t->line[i].value[j]);
            else
                fputs("null", out);
        }
        putc(']', out);
    }
    fputs("]}\n", out);
}

static void (*const printers[])(const struct filled *, FILE *) = {print_text, print_markdown,
                                                                  print_csv, print_json};

/* DIR/ID.NAME.SUFFIX */
static int write_one(const struct filled *t, const char *folder, int format, char *error,
                     size_t room)
{
    static const char *const suffix[] = {"txt", "md", "csv", "json"};
    char name[2 * NAME_ROOM], *text = NULL;
    size_t size;
    snprintf(name, sizeof name, "%s.%s.%s", t->variant->id, t->what->name, suffix[format]);
    char *path = assay_path_join(folder, name);
    FILE *out = path ? open_memstream(&text, &size) : NULL;
    if (out)
        printers[format](t, out);
    bool made = out && fclose(out) == 0;
    int status = made ? assay_file_write(path, text, size, error, room)
                      : assay_complain(error, room, "out of memory");
    if (status == 0)
        puts(path);
    free(path);
    free(text);
    return status;
}

static int give(const struct filled *t, const struct choice *choice)
{
    char error[ASSAY_ERROR_ROOM];
    if (!choice->folder) {
        printers[choice->format](t, stdout);
        return ASSAY_EXIT_SAME;
    }
    for (int format = AS_MARKDOWN; format <= AS_JSON; format++)
        if (write_one(t, choice->folder, format, error, sizeof error) != 0)
            return assay_refuse("%s", error);
    return ASSAY_EXIT_SAME;
}

/* ---- the command ---- */

static int measure(const struct assay_variant *v, const struct choice *choice,
                   const struct assay_kernels *kernels)
{
    struct assay_nearest nearest = {.asked = choice->name ? choice->name : ""};
    char error[ASSAY_ERROR_ROOM], what[NAME_ROOM], otherwise[NAME_ROOM];
    size_t found = 0;
    /* Before the work, so that none is lost. */
    if (choice->folder && assay_folder_make(choice->folder, error, sizeof error) != 0)
        return assay_refuse("%s", error);
    for (const struct variant_measurement *w = v->measurements; w && w->name; w++) {
        assay_nearest_offer(&nearest, w->name);
        if (choice->name && strcmp(choice->name, w->name) != 0)
            continue;
        struct filled t = {.variant = v, .what = w, .quiet = choice->quiet};
        if (found++ && !choice->folder && choice->format == AS_TEXT)
            putchar('\n');
        int status = fill(&t, kernels);
        if (status == ASSAY_EXIT_SAME)
            status = give(&t, choice);
        free(t.line);
        if (status != ASSAY_EXIT_SAME)
            return status;
    }
    if (found)
        return ASSAY_EXIT_SAME;
    if (!v->measurements)
        return assay_refuse("%s: expected a paper with measurements; it has none "
                            "(`assay list --measured` shows those that do)",
                            v->id);
    snprintf(what, sizeof what, "measurement of %.60s", v->id);
    snprintf(otherwise, sizeof otherwise, "`assay show %.50s` lists them", v->id);
    assay_nearest_complain(&nearest, what, otherwise, error, sizeof error);
    return assay_refuse("%s", error);
}

int assay_command_measure(int argc, char **argv)
{
    static const struct argp argp = {
        options,
        parse,
        "ID [NAME]",
        "Numbers that a paper reasons about or finds, as a table: what `assay show ID` lists as "
        "measured. It may train models, and take minutes.\v"
        "Examples:\n  assay measure mla_moe_bottleneck\n"
        "  assay measure mla_moe_bottleneck roofline --format csv\n"
        "  assay measure icl_newton --output results/measured",
        NULL,
        NULL,
        NULL};
    struct choice choice = {.kernels = "cpu"};
    char error[ASSAY_ERROR_ROOM];
    argp_parse(&argp, argc, argv, 0, NULL, &choice);
    const struct assay_variant *v = assay_lookup_variant(choice.id, error, sizeof error);
    const struct assay_kernels *kernels =
        v ? assay_lookup_kernels(ASSAY_F64, choice.kernels, error, sizeof error) : NULL;
    return kernels ? measure(v, &choice, kernels) : assay_refuse("%s", error);
}

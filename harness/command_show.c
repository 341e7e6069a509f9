/* SPDX-License-Identifier: Apache-2.0 */
/* `assay show`: a paper, or a task, on one page. */
#include <argp.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "harness/command.h"
#include "harness/cost.h"
#include "harness/files.h"
#include "harness/golden.h"
#include "harness/lookup.h"
#include "harness/outside.h"
#include "harness/show_json.h"

enum { KEY_DIR = 0x100, INDENT = 2 };

struct choice {
    const char *id, *folder;
    bool json;
};

static const struct argp_option options[] = {
    {"json", 'j', NULL, 0, "as JSON", 0},
    {"dir", KEY_DIR, "DIR", 0, "golden folder (default: ./golden, else the installed)", 0},
    {0}};

static error_t parse(int key, char *argument, struct argp_state *state)
{
    struct choice *choice = state->input;
    switch (key) {
    case 'j':
        choice->json = true;
        return 0;
    case KEY_DIR:
        choice->folder = argument;
        return 0;
    case ARGP_KEY_ARG:
        if (choice->id)
            argp_error(state, "'%s' is one argument too many", argument);
        choice->id = argument;
        return 0;
    case ARGP_KEY_END:
        if (!choice->id)
            argp_error(state, "expected the id of a paper or a task");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

/* A paragraph, indented; lines that are in the text stay. */
static void put_paragraph(const char *text)
{
    for (const char *line = text; line && *line;) {
        size_t length = strcspn(line, "\n");
        printf("%*s%.*s\n", INDENT, "", (int)length, line);
        line += length + (line[length] == '\n');
    }
}

static void print_hypers(const struct assay_variant *v)
{
    int name = 0, meaning = 0;
    for (const struct variant_hyper *h = v->hypers; h && h->name; h++) {
        name = (int)strlen(h->name) > name ? (int)strlen(h->name) : name;
        meaning = (int)strlen(h->meaning) > meaning ? (int)strlen(h->meaning) : meaning;
    }
    for (const struct variant_hyper *h = v->hypers; h && h->name; h++) {
        printf("%*s%-*s  %-*s  ", INDENT, "", name, h->name, meaning, h->meaning);
        if (h->choices)
            printf("paper %-9s tiny %-9s ", h->choices[(int)h->paper], h->choices[(int)h->tiny]);
        else
            printf("paper %-9g tiny %-9g ", h->paper, h->tiny);
        printf("%s\n", h->legal_text ? h->legal_text : "");
    }
}

static void print_settings(const struct assay_variant *v, const char *folder)
{
    for (const struct variant_setting *s = v->settings; s && s->name; s++) {
        char path[ASSAY_GOLDEN_PATH];
        bool there = assay_golden_path(folder, v, s, path) && access(path, R_OK) == 0;
        printf("%s  %-12s %-40s %s%s\n", s == v->settings ? "settings" : "        ", s->name,
               s->overrides, there ? "golden " : "no golden at ", path);
    }
}

static void print_forms(const struct assay_variant *v)
{
    for (const struct variant_form *f = v->forms; f && f->name; f++) {
        printf("%s  %-12s ", f == v->forms ? "forms   " : "        ", f->name);
        if (f == v->forms)
            printf("the first");
        else if (f->equals == FORM_BITS)
            printf("equal to the bit");
        else
            f->bound > 0 ? printf("equal within %g units of roundoff", f->bound)
                         : printf("equal to the frame's own rounding");
        printf("%s%s\n", f->reason ? ": " : "", f->reason ? f->reason : "");
    }
}

static void print_properties(const struct assay_variant *v)
{
    for (const struct variant_property *p = v->properties; p && p->holds; p++) {
        printf("%s  %-24s %s", p == v->properties ? "is      " : "        ",
               assay_property_name(p->which), assay_holds_name(p->holds));
        if (p->mode)
            printf(" (%s)", p->mode);
        printf("%s%s\n", p->reason ? ": " : "", p->reason ? p->reason : "");
    }
}

/* Of the first setting in its first form. */
static void print_growth(const struct assay_variant *v)
{
    char error[ASSAY_ERROR_ROOM];
    struct assay_config config;
    struct assay_cost_model first = {v, v->settings, NULL, ""};
    if (!v->settings || assay_cost_config(&first, 16, &config, error, sizeof error) != 0)
        return;
    struct variant_growth growth = variant_growth(v, &config);
    printf("grows     mixing n tokens takes n^%g multiply-adds, n^%g memory: %s\n",
           growth.multiply_adds, growth.memory, growth.reason);
}

static void print_claims(const struct assay_variant *v)
{
    enum { CLASSES = CLAIM_OUTSIDE + 1 };
    size_t count[CLASSES] = {0}, all = 0;
    for (const struct variant_claim *c = v->claims; c && c->check; c++, all++)
        count[c->class]++;
    if (!all)
        return;
    printf("claims    %zu:", all);
    for (int i = 0, shown = 0; i < CLASSES; i++)
        if (count[i])
            printf("%s %zu %s", shown++ ? "," : "", count[i],
                   assay_class_name((enum claim_class)i));
    printf("    (`assay check %s` computes them)\n", v->id);
    for (const struct variant_claim *c = v->claims; c->check; c++)
        printf("          %-12s %s\n", assay_class_name(c->class), c->statement);
}

static void print_measurements(const struct assay_variant *v)
{
    for (const struct variant_measurement *m = v->measurements; m && m->name; m++)
        printf("%s  %-12s %s    (`assay measure %s %s`)\n",
               m == v->measurements ? "measured" : "        ", m->name, m->caption, v->id, m->name);
}

static void print_outside(const struct assay_variant *v, const struct assay_outside *outside)
{
    const char *commit = assay_outside_says(outside, "commit");
    const char *repository = assay_outside_says(outside, "repository");
    if (outside)
        printf("outside   %s\n          commit %s\n",
               repository ? repository : "unknown repository", commit ? commit : "unknown");
    else if (v->source.code)
        printf("outside   no vectors of %s here\n", v->source.code);
}

static void print_fields(void)
{
    puts("fields of the model, for --set and settings (name=value)");
    for (size_t i = 0; i < config_field_count; i++) {
        printf("%*s%-20s %s", INDENT, "", config_fields[i].name, config_fields[i].meaning);
        for (int j = 0; config_fields[i].choices && config_fields[i].choices[j]; j++)
            printf("%s%s", j ? ", " : ": ", config_fields[i].choices[j]);
        putchar('\n');
    }
}

static void print_paper(const struct assay_variant *v, const char *folder,
                        const struct assay_outside *outside)
{
    assay_put(stdout, ASSAY_BOLD, v->title);
    printf("   (%s, %s)\n", v->authors, v->source.paper);
    printf("%s, %s; replaces %s; settled by %s; confidence %s\n", assay_kind_name(v->kind),
           v->family, v->replaces, v->source.settled_by,
           assay_confidence_name(v->source.confidence));
    put_paragraph(v->idea);
    put_paragraph(v->equations);
    print_hypers(v);
    print_settings(v, folder);
    print_forms(v);
    print_properties(v);
    print_growth(v);
    print_claims(v);
    print_measurements(v);
    print_outside(v, outside);
    if (v->untested)
        printf("untested  %s\n", v->untested);
    if (v == &assay_variant_reference)
        print_fields();
}

static void print_preset(const struct assay_task *task, const struct assay_task_preset *data)
{
    const struct assay_suite *suite;
    const struct assay_preset *p = assay_preset_find(task->id, data->name, &suite);
    printf("%*s%-8s %zu training, %zu validation, %zu test samples of length %zu\n", INDENT, "",
           data->name, data->count[ASSAY_TRAIN], data->count[ASSAY_VALIDATION],
           data->count[ASSAY_TEST], data->length);
    if (data->test_length && data->test_length != data->length)
        printf("%*s         test samples have length %zu\n", INDENT, "", data->test_length);
    if (assay_task_vocab(task, data) != task->vocab)
        printf("%*s         %zu ids\n", INDENT, "", assay_task_vocab(task, data));
    if (!p)
        return;
    printf("%*s         %zu steps of %zu samples, rate %g, warm-up %zu; suite %s\n", INDENT, "",
           p->steps, p->batch, p->schedule.base, p->schedule.warmup, suite->id);
    printf("%*s         %s\n", INDENT, "", p->model);
}

static void print_task(const struct assay_task *task)
{
    assay_put(stdout, ASSAY_BOLD, task->title);
    printf("\n%s\n%zu ids, %zu classes\n", task->source, task->vocab, task->classes);
    for (size_t i = 0; i < task->preset_count; i++)
        print_preset(task, &task->presets[i]);
    printf("Train it: assay run --task %s --preset %s\n", task->id,
           task->preset_count ? task->presets[0].name : "tiny");
}

static int complain(const char *id)
{
    char error[ASSAY_ERROR_ROOM];
    struct assay_nearest nearest = {.asked = id};
    assay_nearest_offer(&nearest, assay_variant_reference.id);
    for (size_t i = 0; assay_variants[i]; i++)
        assay_nearest_offer(&nearest, assay_variants[i]->id);
    for (size_t i = 0; assay_tasks[i]; i++)
        assay_nearest_offer(&nearest, assay_tasks[i]->id);
    assay_nearest_complain(&nearest, "paper or task", "`assay list` shows all", error,
                           sizeof error);
    return assay_refuse("%s", error);
}

static int show(const struct choice *choice)
{
    const struct assay_variant *v = variant_find(choice->id);
    const struct assay_task *task = v ? NULL : assay_task_find(choice->id);
    const char *folder = assay_golden_folder(choice->folder);
    struct assay_outside *outside = NULL;
    char error[ASSAY_ERROR_ROOM];
    if (!v && !task)
        return complain(choice->id);
    if (v && assay_outside_open(folder, v->id, &outside, error, sizeof error) != 0)
        return assay_refuse("%s", error);
    if (choice->json && v)
        assay_show_paper_json(stdout, v, outside);
    else if (choice->json)
        assay_show_task_json(stdout, task);
    else if (v)
        print_paper(v, folder, outside);
    else
        print_task(task);
    assay_outside_close(outside);
    return ASSAY_EXIT_SAME;
}

int assay_command_show(int argc, char **argv)
{
    static const struct argp argp = {
        options,
        parse,
        "ID",
        "A paper on one page: idea, equations, numbers, settings, forms, properties, claims; or a "
        "task with its presets. `assay show reference` also lists the fields of the model.\v"
        "Examples:\n  assay show denseformer\n  assay show listops\n  assay show crmsnorm --json",
        NULL,
        NULL,
        NULL};
    struct choice choice = {0};
    argp_parse(&argp, argc, argv, 0, NULL, &choice);
    return show(&choice);
}

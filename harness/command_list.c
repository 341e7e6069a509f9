/* SPDX-License-Identifier: Apache-2.0 */
/* `assay list`: the papers, or the tasks, a line each. */
#include <argp.h>
#include <string.h>

#include "harness/command.h"
#include "harness/files.h"
#include "harness/json.h"
#include "harness/lookup.h"

struct choice {
    const char *family;
    enum variant_kind kind;
    bool one_kind, tasks, measured, json;
};

static const struct argp_option options[] = {
    {"kind", 'k', "KIND", 0,
     "only variant, transform, execution, training, experiment, cost, "
     "benchmark or survey",
     0},
    {"family", 'f', "FAMILY", 0, "only this family", 0},
    {"measured", 'm', NULL, 0, "only papers with tables for `assay measure`", 0},
    {"tasks", 't', NULL, 0, "the tasks, not the papers", 0},
    {"json", 'j', NULL, 0, "as JSON", 0},
    {0}};

static error_t parse(int key, char *argument, struct argp_state *state)
{
    struct choice *choice = state->input;
    char error[ASSAY_ERROR_ROOM];
    switch (key) {
    case 'k':
        choice->one_kind = true;
        if (!assay_lookup_kind(argument, &choice->kind, error, sizeof error))
            argp_error(state, "%s", error);
        return 0;
    case 'f':
        choice->family = argument;
        return 0;
    case 't':
        choice->tasks = true;
        return 0;
    case 'm':
        choice->measured = true;
        return 0;
    case 'j':
        choice->json = true;
        return 0;
    case ARGP_KEY_ARG:
        argp_error(state, "'%s' is one argument too many", argument);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static bool wanted(const struct choice *choice, const struct assay_variant *v)
{
    return (!choice->one_kind || v->kind == choice->kind) && (!choice->measured || v->measurements)
           && (!choice->family || strcmp(v->family, choice->family) == 0);
}

static void put_member(const char *key, const char *value, bool last)
{
    printf("\"%s\": ", key);
    assay_json_put_string(stdout, value);
    fputs(last ? "}" : ", ", stdout);
}

static void print_paper(const struct assay_variant *v, bool json, bool first)
{
    if (!json) {
        printf("%-24s %-10s %-20s %-20s %s\n", v->id, assay_kind_name(v->kind), v->family,
               v->replaces, v->title);
        return;
    }
    fputs(first ? "\n  {" : ",\n  {", stdout);
    put_member("id", v->id, false);
    put_member("kind", assay_kind_name(v->kind), false);
    put_member("family", v->family, false);
    put_member("replaces", v->replaces, false);
    put_member("paper", v->source.paper, false);
    put_member("title", v->title, true);
}

static int complain_family(const struct choice *choice)
{
    char error[ASSAY_ERROR_ROOM];
    struct assay_nearest nearest = {.asked = choice->family};
    for (size_t i = 0; assay_variants[i]; i++) {
        bool offered = false;
        for (size_t j = 0; j < nearest.count; j++)
            offered |= strcmp(nearest.best[j].name, assay_variants[i]->family) == 0;
        if (!offered)
            assay_nearest_offer(&nearest, assay_variants[i]->family);
    }
    assay_nearest_complain(&nearest, "family", "`assay list` shows them", error, sizeof error);
    return assay_refuse("%s", error);
}

static int list_papers(const struct choice *choice)
{
    bool known = choice->family == NULL, first = true;
    for (size_t i = 0; choice->family && assay_variants[i]; i++)
        known |= strcmp(assay_variants[i]->family, choice->family) == 0;
    if (choice->family && strcmp(choice->family, assay_variant_reference.family) == 0)
        known = true;
    if (!known)
        return complain_family(choice);
    if (choice->json)
        putchar('[');
    else
        printf("%-24s %-10s %-20s %-20s %s\n", "id", "kind", "family", "replaces", "title");
    if (wanted(choice, &assay_variant_reference)) {
        print_paper(&assay_variant_reference, choice->json, first);
        first = false;
    }
    for (size_t i = 0; assay_variants[i]; i++)
        if (wanted(choice, assay_variants[i])) {
            print_paper(assay_variants[i], choice->json, first);
            first = false;
        }
    if (choice->json)
        puts("\n]");
    return ASSAY_EXIT_SAME;
}

static void list_tasks(bool json)
{
    if (json)
        putchar('[');
    for (size_t i = 0; assay_tasks[i]; i++) {
        const struct assay_task *task = assay_tasks[i];
        if (!json) {
            printf("%-24s %s\n", task->id, task->title);
            continue;
        }
        fputs(i ? ",\n  {" : "\n  {", stdout);
        put_member("id", task->id, false);
        put_member("title", task->title, false);
        put_member("source", task->source, true);
    }
    if (json)
        puts("\n]");
}

int assay_command_list(int argc, char **argv)
{
    static const struct argp argp = {
        options,
        parse,
        NULL,
        "The papers that this program knows: id, kind, family, what they replace, title.\v"
        "Examples:\n  assay list\n  assay list --kind variant --family linear-attention\n"
        "  assay list --tasks --json",
        NULL,
        NULL,
        NULL};
    struct choice choice = {0};
    argp_parse(&argp, argc, argv, 0, NULL, &choice);
    if (!choice.tasks)
        return list_papers(&choice);
    list_tasks(choice.json);
    return ASSAY_EXIT_SAME;
}

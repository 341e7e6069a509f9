/* SPDX-License-Identifier: Apache-2.0 */
/* `assay table`: tables from records. */
#include <argp.h>
#include <stdlib.h>
#include <string.h>

#include "harness/command.h"
#include "harness/files.h"
#include "harness/lookup.h"
#include "harness/table.h"

struct choice {
    enum assay_table_format format;
    const char *output;
    const char **path;
    size_t paths;
};

static const struct argp_option options[] = {
    {"format", 'f', "FORMAT", 0, "markdown (default), csv, latex or json", 0},
    {"output", 'o', "FILE", 0, "write to FILE, replaced in one step", 0},
    {0}};

static void set_format(struct choice *choice, const char *name, struct argp_state *state)
{
    const char *names[ASSAY_TABLE_FORMATS + 1] = {NULL};
    char error[ASSAY_ERROR_ROOM];
    for (int i = 0; i < ASSAY_TABLE_FORMATS; i++)
        names[i] = assay_table_format_name((enum assay_table_format)i);
    int found = assay_nearest_index(names, name, "format", "expected markdown, csv, latex or json",
                                    error, sizeof error);
    if (found < 0)
        argp_error(state, "%s", error);
    else
        choice->format = (enum assay_table_format)found;
}

static error_t parse(int key, char *argument, struct argp_state *state)
{
    struct choice *choice = state->input;
    switch (key) {
    case 'f':
        set_format(choice, argument, state);
        return 0;
    case 'o':
        choice->output = argument;
        return 0;
    case ARGP_KEY_ARG:
        choice->path[choice->paths++] = argument;
        return 0;
    case ARGP_KEY_END:
        if (choice->paths == 0)
            argp_error(state, "expected a folder of records, or a record");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static int make_table(const struct choice *choice)
{
    struct assay_table table;
    char error[ASSAY_ERROR_ROOM];
    if (assay_table_read(choice->path, choice->paths, &table, error, sizeof error) != 0)
        return assay_refuse("%s", error);
    int status = 0;
    if (choice->output)
        status = assay_table_write(&table, choice->format, choice->output, error, sizeof error);
    else
        assay_table_print(&table, choice->format, stdout);
    assay_table_free(&table);
    return status == 0 ? ASSAY_EXIT_SAME : assay_refuse("%s", error);
}

int assay_command_table(int argc, char **argv)
{
    static const struct argp argp = {options,
                                     parse,
                                     "DIR...",
                                     "Tables from the run records in and below the folders DIR: "
                                     "an overview of each suite with averages, ranks and what was "
                                     "published; per task accuracy with its 95 % confidence "
                                     "interval, cost, and the task's trivial baselines.\v"
                                     "Examples:\n  assay table results\n"
                                     "  assay table results/demo --format latex --output table.tex",
                                     NULL,
                                     NULL,
                                     NULL};
    struct choice choice = {.path = calloc((size_t)argc + 1, sizeof *choice.path)};
    if (!choice.path)
        return assay_refuse("out of memory");
    argp_parse(&argp, argc, argv, 0, NULL, &choice);
    int status = make_table(&choice);
    free(choice.path);
    return status;
}

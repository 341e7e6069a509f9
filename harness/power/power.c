/* SPDX-License-Identifier: Apache-2.0 */
/* How many wrong implementations the verdict catches, and how many honest ones it blames:
 * power [--output FOLDER] GOLDEN-FOLDER. The report's numbers depend on the goldens
 * alone. */
#include <argp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness/command.h"
#include "harness/command_run.h"
#include "harness/files.h"
#include "harness/power/trials.h"

struct choice {
    const char *goldens, *output;
    struct manner manner;
};

static error_t parse_option(int key, char *argument, struct argp_state *state)
{
    struct choice *c = state->input;
    uint64_t number;
    switch (key) {
    case 'o':
        c->output = argument;
        return 0;
    case 'q':
        c->manner.quiet = true;
        return 0;
    case 'j':
        if (!assay_read_whole(argument, 1, 256, &number))
            argp_error(state, "threads: expected 1 to 256, found '%s'", argument);
        c->manner.threads = (size_t)number;
        return 0;
    case 'n':
        if (!assay_read_whole(argument, 0, 10000000, &number))
            argp_error(state, "honest: expected 0 to 10000000, found '%s'", argument);
        c->manner.honest_runs = (size_t)number;
        return 0;
    case ARGP_KEY_ARG:
        if (state->arg_num > 0)
            argp_error(state, "expected one folder of golden files, found '%s' too", argument);
        c->goldens = argument;
        return 0;
    case ARGP_KEY_NO_ARGS:
        argp_error(state, "expected a folder of golden files");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

/* Opens every golden of the folder; 0 or -1. */
static int open_all(const char *folder, struct subject **subject, size_t *count, char *error,
                    size_t room)
{
    struct assay_names names;
    if (assay_folder_list(folder, ".safetensors", &names, error, room) != 0)
        return -1;
    int status = 0;
    *subject = calloc(names.count + 1, sizeof **subject);
    for (size_t i = 0; *subject && status == 0 && i < names.count; i++) {
        if (strchr(names.name[i], '/')) /* golden/outside is other people's numbers */
            continue;
        char *path = assay_path_join(folder, names.name[i]);
        status = path ? subject_open(&(*subject)[*count], path, error, room)
                      : assay_complain(error, room, "out of memory");
        const struct assay_variant *v = status == 0 ? (*subject)[*count].variant : NULL;
        if (v && (v->compute || v->update || v->objective)) {
            fprintf(stderr, "%s: isn't a pass of a model, and the mistakes are those of passes\n",
                    path);
            subject_close(&(*subject)[*count]);
        } else
            *count += status == 0;
        free(path);
    }
    assay_names_free(&names);
    if (!*subject)
        return assay_complain(error, room, "out of memory");
    return status == 0 && *count == 0
               ? assay_complain(error, room, "%s: expected golden files, found none", folder)
               : status;
}

/* The exit status, or -1 with a message. */
static int run(const struct choice *c, char *error, size_t room)
{
    struct subject *subject = NULL;
    struct trials t = {0};
    size_t count = 0;
    int status = open_all(c->goldens, &subject, &count, error, room);
    if (status == 0)
        status = trials_run(&t, subject, count, assay_mutants, assay_mutant_count(), &c->manner,
                            error, room);
    if (status == 0)
        status = report_write(&t, c->output, error, room);
    if (status == 0)
        status = report_summary(&t, stdout) ? ASSAY_EXIT_SAME : ASSAY_EXIT_DIFFERENT;
    trials_free(&t);
    for (size_t i = 0; i < count; i++)
        subject_close(&subject[i]);
    free(subject);
    return status;
}

int main(int argc, char **argv)
{
    static const struct argp_option options[] = {
        {"output", 'o', "FOLDER", 0, "where power.md and power.json go (default: results/power)",
         0},
        {"honest", 'n', "N", 0, "honest implementations (default: 10000)", 0},
        {"threads", 'j', "N", 0, "workers (default: the processors); no number depends on it", 0},
        {"quiet", 'q', NULL, 0, "no progress", 0},
        {0}};
    static const struct argp argp = {options,
                                     parse_option,
                                     "GOLDEN-FOLDER",
                                     "Tries wrong and honest implementations on golden files.\v"
                                     "Examples:\n  power golden\n  power --honest 1000 "
                                     "--output /tmp/power golden\n\nExit status: 0; 1 when fewer "
                                     "mistakes are caught, or more honest implementations blamed, "
                                     "than is asked; 2 for bad usage or input.",
                                     NULL,
                                     NULL,
                                     NULL};
    struct choice c = {.output = "results/power",
                       .manner = {.threads = assay_processors(), .honest_runs = 10000}};
    char error[ASSAY_ERROR_ROOM];
    argp_err_exit_status = ASSAY_EXIT_WRONG;
    if (argp_parse(&argp, argc, argv, 0, NULL, &c) != 0)
        return ASSAY_EXIT_WRONG;
    int status = run(&c, error, sizeof error);
    if (status >= 0)
        return status;
    fprintf(stderr, "power: %s\n", error);
    return ASSAY_EXIT_WRONG;
}

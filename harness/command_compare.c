/* SPDX-License-Identifier: Apache-2.0 */
/* `assay compare`: judges what a backend computed by a golden file. */
#include <argp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "harness/command.h"
#include "harness/compare_print.h"
#include "harness/files.h"
#include "harness/golden_file.h"
#include "harness/nearest.h"

enum { KEY_DIR = 0x100, KEY_JSON, KEY_JUNIT };

struct choice {
    const char *path[2], *folder, *junit;
    size_t paths;
    int precision; /* of `enum assay_precision` */
    bool json;
};

static const struct argp_option options[] = {
    {"precision", 'p', "PRECISION", 0,
     "the arithmetic of THEIRS: f32 (default), tf32, bf16 or fp16", 0},
    {"dir", KEY_DIR, "DIR", 0, "where goldens are (default: ./golden, else the installed ones)", 0},
    {"json", KEY_JSON, NULL, 0, "one JSON document instead of the table", 0},
    {"junit", KEY_JUNIT, "FILE", 0, "write the verdicts as JUnit XML, too", 0},
    {0}};

static void choose_precision(struct choice *choice, const char *name, struct argp_state *state)
{
    struct assay_nearest nearest = {.asked = name};
    char error[ASSAY_ERROR_ROOM];
    for (int i = 0; i < ASSAY_GOLDEN_COLUMNS; i++) {
        if (strcmp(name, assay_golden_column_name(i)) == 0) {
            choice->precision = i;
            return;
        }
        assay_nearest_offer(&nearest, assay_golden_column_name(i));
    }
    assay_nearest_complain(&nearest, "precision", "expected f32, tf32, bf16 or fp16", error,
                           sizeof error);
    argp_error(state, "%s", error);
}

static error_t parse(int key, char *argument, struct argp_state *state)
{
    struct choice *choice = state->input;
    switch (key) {
    case 'p':
        choose_precision(choice, argument, state);
        return 0;
    case KEY_DIR:
        choice->folder = argument;
        return 0;
    case KEY_JSON:
        choice->json = true;
        return 0;
    case KEY_JUNIT:
        choice->junit = argument;
        return 0;
    case ARGP_KEY_ARG:
        if (choice->paths == 2)
            argp_error(state, "expected GOLDEN and THEIRS, found '%s', too", argument);
        choice->path[choice->paths++] = argument;
        return 0;
    case ARGP_KEY_END:
        if (choice->paths != 2)
            argp_error(state, "expected GOLDEN and THEIRS");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

/* "golden 'densformer'; did you mean denseformer?": of the files in the folder. */
static void offer_goldens(const char *asked, const char *folder, char *error, size_t room)
{
    struct assay_nearest nearest = {.asked = asked};
    struct assay_names names;
    char otherwise[ASSAY_ERROR_ROOM];
    if (assay_folder_list(folder, ".safetensors", &names, error, room) != 0)
        return;
    for (size_t i = 0; i < names.count; i++) {
        names.name[i][strlen(names.name[i]) - strlen(".safetensors")] = '\0';
        if (!strchr(names.name[i], '/'))
            assay_nearest_offer(&nearest, names.name[i]);
    }
    snprintf(otherwise, sizeof otherwise, "expected a file, or the name of one in %.300s", folder);
    assay_nearest_complain(&nearest, "golden", otherwise, error, room);
    assay_names_free(&names);
}

/* A file, or "ID" or "ID.SETTING" of a golden in the folder. Caller frees; NULL with a message. */
static char *find_golden(const struct choice *choice, char *error, size_t room)
{
    const char *asked = choice->path[0], *folder = assay_golden_folder(choice->folder);
    struct stat state;
    if (strchr(asked, '/') || (stat(asked, &state) == 0 && S_ISREG(state.st_mode)))
        return strdup(asked);
    size_t length = strlen(folder) + strlen(asked) + sizeof "/.safetensors";
    char *path = malloc(length);
    if (!path) {
        assay_complain(error, room, "out of memory");
        return NULL;
    }
    snprintf(path, length, "%s/%s.safetensors", folder, asked);
    if (stat(path, &state) == 0)
        return path;
    free(path);
    offer_goldens(asked, folder, error, room);
    return NULL;
}

static int write_junit(const struct assay_comparison *c, const char *path)
{
    char *text = NULL, error[ASSAY_ERROR_ROOM];
    size_t size;
    FILE *out = open_memstream(&text, &size);
    if (out)
        assay_comparison_junit(out, c);
    int status = !out || fclose(out) != 0 ? assay_refuse("%s: out of memory", path)
                 : assay_file_write(path, text, size, error, sizeof error) != 0
                     ? assay_refuse("%s", error)
                     : ASSAY_EXIT_SAME;
    free(text);
    return status;
}

static int print(const struct choice *choice, const struct assay_comparison *c)
{
    static const int exits[] = {[ASSAY_PASS] = ASSAY_EXIT_SAME,
                                [ASSAY_FAIL] = ASSAY_EXIT_DIFFERENT,
                                [ASSAY_NOT_JUDGED] = ASSAY_EXIT_WRONG};
    if (choice->junit && write_junit(c, choice->junit) != ASSAY_EXIT_SAME)
        return ASSAY_EXIT_WRONG;
    if (choice->json)
        assay_comparison_json(stdout, c);
    else
        assay_comparison_text(stdout, c);
    return exits[assay_report_outcome(c->report)];
}

static int compare(const struct choice *choice, const char *path)
{
    struct assay_comparison c = {.golden_path = path,
                                 .theirs = choice->path[1],
                                 .precision = assay_golden_column_name(choice->precision)};
    struct assay_golden *golden;
    struct assay_report *report;
    char error[ASSAY_ERROR_ROOM];
    if (assay_golden_open(path, &golden, error, sizeof error) != 0)
        return assay_refuse("%s", error);
    int status;
    if (assay_compare_file(golden, choice->path[1], (enum assay_precision)choice->precision,
                           &report, error, sizeof error)
        == 0) {
        c.golden = golden;
        c.report = report;
        status = print(choice, &c);
        assay_report_free(report);
    } else
        status = assay_refuse("%s", error);
    assay_golden_close(golden);
    return status;
}

int assay_command_compare(int argc, char **argv)
{
    static const struct argp argp = {
        options,
        parse,
        "GOLDEN THEIRS",
        "Judges what a backend computed. GOLDEN is a golden file, or the name of an installed one "
        "(ID or ID.SETTING). THEIRS is a safetensors file with any of the golden's results: "
        "output, "
        "loss, grad/PARAMETER (unscaled), trace/NAME, decision/NAME, as F32, F64, F16 or BF16 "
        "(decisions I32 or I64). A tensor passes when its largest error against the binary64 truth "
        "is at most twice that of honest arithmetic in the precision. "
        "Exit status: 0 all pass, 1 some fail, 2 bad input or nothing could be judged.\v"
        "Examples:\n  assay compare denseformer mine.safetensors\n"
        "  assay compare denseformer.dilated mine.safetensors --precision bf16\n"
        "  assay compare reference.llama mine.safetensors --json --junit verdicts.xml",
        NULL,
        NULL,
        NULL};
    struct choice choice = {0};
    char error[ASSAY_ERROR_ROOM];
    argp_parse(&argp, argc, argv, 0, NULL, &choice);
    char *path = find_golden(&choice, error, sizeof error);
    if (!path)
        return assay_refuse("%s", error);
    int status = compare(&choice, path);
    free(path);
    return status;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* `assay check`: a paper's claims, each statement with what was found. */
#include <argp.h>
#include <stdlib.h>
#include <string.h>

#include "harness/command.h"
#include "harness/files.h"
#include "harness/lookup.h"
#include "harness/markup.h"
#include "harness/outside.h"

enum { KEY_DIR = 0x100, KEY_KERNELS };

struct choice {
    enum assay_profile profile; /* 0: each claim's own */
    const char *folder, *kernels;
    const char **id;
    size_t ids;
    bool quiet, json;
};

static const struct argp_option options[] = {
    {"profile", 'p', "PROFILE", 0, "f32 or f64; by default each claim's own", 0},
    {"kernels", KEY_KERNELS, "TABLE", 0, "def, cpu (default) or a level of cpu", 0},
    {"dir", KEY_DIR, "DIR", 0,
     "golden folder with outside/ (default: ./golden, else the installed)", 0},
    {"quiet", 'q', NULL, 0, "only the claims, and statements that fail", 0},
    {"json", 'j', NULL, 0, "as JSON: every claim with its statements", 0},
    {0}};

static error_t parse(int key, char *argument, struct argp_state *state)
{
    struct choice *choice = state->input;
    char error[ASSAY_ERROR_ROOM];
    switch (key) {
    case 'p':
        choice->profile = assay_lookup_profile(argument, error, sizeof error);
        if (!choice->profile)
            argp_error(state, "%s", error);
        return 0;
    case 'q':
        choice->quiet = true;
        return 0;
    case 'j':
        choice->json = true;
        return 0;
    case KEY_DIR:
        choice->folder = argument;
        return 0;
    case KEY_KERNELS:
        choice->kernels = argument;
        return 0;
    case ARGP_KEY_ARG:
        choice->id[choice->ids++] = argument;
        return 0;
    case ARGP_KEY_END:
        if (choice->ids == 0)
            argp_error(state, "expected the id of a paper");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

struct sink {
    const struct choice *choice;
    int statements;
};

static void report(void *sink, bool holds, const char *text)
{
    struct sink *s = sink;
    if (s->choice->quiet && holds)
        return;
    if (s->choice->json) {
        printf("%s{\"holds\": %s", s->statements++ ? ",\n     " : "", holds ? "true" : "false");
        assay_json_text(stdout, ", ", "text", text);
        putchar('}');
        return;
    }
    assay_put(stdout, holds ? ASSAY_PLAIN : ASSAY_RED, holds ? "    holds  " : "    FAILS  ");
    printf("%s\n", text);
}

static bool check_claim(const struct assay_variant *v, const struct variant_claim *what,
                        const struct choice *choice, struct assay_outside *outside,
                        const struct assay_kernels *kernels)
{
    struct sink sink = {choice, 0};
    struct claim claim = {.kernels = kernels,
                          .profile = kernels->profile,
                          .report = report,
                          .sink = &sink,
                          .outside = outside ? assay_outside_numbers : NULL,
                          .archive = outside};
    if (choice->json) {
        assay_json_text(stdout, "{", "class", assay_class_name(what->class));
        assay_json_text(stdout, ", ", "profile", assay_profile_name(kernels->profile));
        assay_json_text(stdout, ", ", "claim", what->statement);
        fputs(",\n    \"statements\": [", stdout);
    } else {
        printf("  %s, %s: %s\n", assay_class_name(what->class),
               assay_profile_name(kernels->profile), what->statement);
    }
    bool holds = claim_run(v, what, &claim);
    if (claim.checks == 0)
        report(&sink, false, "nothing was checked");
    if (choice->json)
        printf("], \"holds\": %s}", holds ? "true" : "false");
    return holds;
}

/* The number of claims that fail, or -1 after a message. */
static int check_paper(const struct assay_variant *v, const struct choice *choice,
                       struct assay_outside *outside)
{
    int claims = 0, failures = 0;
    char error[ASSAY_ERROR_ROOM];
    if (choice->json) {
        assay_json_text(stdout, "{", "id", v->id);
        fputs(", \"claims\": [", stdout);
    } else {
        assay_put(stdout, ASSAY_BOLD, v->id);
        putchar('\n');
    }
    for (const struct variant_claim *what = v->claims; what && what->check; what++) {
        enum assay_profile profile = choice->profile ? choice->profile
                                     : what->profile ? what->profile
                                                     : ASSAY_F64;
        const struct assay_kernels *kernels =
            assay_lookup_kernels(profile, choice->kernels, error, sizeof error);
        if (!kernels) {
            assay_refuse("%s", error);
            return -1;
        }
        if (choice->json)
            fputs(claims ? ",\n   " : "\n   ", stdout);
        claims++;
        failures += !check_claim(v, what, choice, outside, kernels);
    }
    if (choice->json)
        printf("], \"hold\": %d, \"of\": %d}", claims - failures, claims);
    else
        printf("%s: %d of %d claims hold\n", v->id, claims - failures, claims);
    return failures;
}

static int check_all(const struct choice *choice)
{
    int failures = 0;
    char error[ASSAY_ERROR_ROOM];
    for (size_t i = 0; i < choice->ids; i++)
        if (!assay_lookup_variant(choice->id[i], error, sizeof error))
            return assay_refuse("%s", error);
    for (size_t i = 0; i < choice->ids; i++) {
        if (choice->json)
            fputs(i ? ",\n " : "[", stdout);
        const struct assay_variant *v = assay_lookup_variant(choice->id[i], error, sizeof error);
        struct assay_outside *outside;
        if (assay_outside_open(assay_golden_folder(choice->folder), v->id, &outside, error,
                               sizeof error)
            != 0)
            return assay_refuse("%s", error);
        int failed = check_paper(v, choice, outside);
        assay_outside_close(outside);
        if (failed < 0)
            return ASSAY_EXIT_WRONG;
        failures += failed;
    }
    if (choice->json)
        puts("]");
    return failures ? ASSAY_EXIT_DIFFERENT : ASSAY_EXIT_SAME;
}

int assay_command_check(int argc, char **argv)
{
    static const struct argp argp = {
        options,
        parse,
        "ID...",
        "Computes the claims of papers, their outside vectors included, and says what was found.\v"
        "Examples:\n  assay check denseformer\n  assay check crmsnorm --profile=f32 --quiet",
        NULL,
        NULL,
        NULL};
    struct choice choice = {.kernels = "cpu", .id = calloc((size_t)argc + 1, sizeof *choice.id)};
    if (!choice.id)
        return assay_refuse("out of memory");
    argp_parse(&argp, argc, argv, 0, NULL, &choice);
    int status = check_all(&choice);
    free(choice.id);
    return status;
}

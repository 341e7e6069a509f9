/* SPDX-License-Identifier: Apache-2.0 */
/* The command `assay`: finds the subcommand; refuses to start where the bits can't be computed. */
#include <argp.h>
#include <fenv.h>
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness/command.h"
#include "harness/files.h"
#include "harness/lookup.h"
#include "ref/arith.h"
#include "ref/version.h"

static const struct command {
    const char *name, *invocation, *summary;
    int (*run)(int argc, char **argv);
} commands[] = {
    {"list", "assay list", "the papers and tasks", assay_command_list},
    {"show", "assay show", "a paper, or a task, on one page", assay_command_show},
    {"check", "assay check", "a paper's claims, computed now", assay_command_check},
    {"run", "assay run", "train a cell and write its record", assay_command_run},
    {"cells", "assay cells", "the cells of a suite, and what is done of them", assay_command_cells},
    {"verify", "assay verify", "recompute a record's cell and compare", assay_command_verify},
    {"compare", "assay compare", "judge what a backend computed", assay_command_compare},
    {"table", "assay table", "tables from records", assay_command_table},
    {"plot", "assay plot", "figures: attention maps, curves, speed, costs", assay_command_plot},
    {"cost", "assay cost", "what papers cost against the number of tokens", assay_command_cost},
    {"measure", "assay measure", "numbers that a paper reasons about or finds",
     assay_command_measure},
    {"golden", "assay golden", "write or verify golden files", assay_command_golden},
    {"export", "assay export", "a model as ONNX", assay_command_export},
    {NULL, NULL, NULL, NULL},
};

static void print_version(void)
{
    const struct assay_kernels *kernels = assay_kernels_cpu(ASSAY_F32, NULL);
    printf("assay %s\narithmetic %s\nkernels %s, here at level %s\n", PACKAGE_VERSION,
           ASSAY_ARITHMETIC, kernels ? kernels->name : "none", kernels ? kernels->level : "none");
}

static void print_help(FILE *out)
{
    fputs("Usage: assay [--profile=f32|f64] COMMAND [ARGUMENT...]\n"
          "The transformer and its published variants, defined to the last bit.\n\n",
          out);
    for (const struct command *c = commands; c->name; c++)
        fprintf(out, "  %-8s %s\n", c->name, c->summary);
    fputs(
        "\n"
        "Examples:\n"
        "  assay show denseformer\n"
        "  assay golden verify\n"
        "  assay compare denseformer mine.safetensors --precision bf16\n"
        "  assay run --task listops --variant linear_transformer --seed 2\n"
        "  assay table results\n"
        "  assay cost linear_transformer\n"
        "  assay plot attention linformer\n"
        "\n"
        "  --help, --version    this text, or the versions of program and arithmetic\n"
        "  COMMAND --help       the options of a command, with examples\n"
        "\n"
        "Exit status: 0; 1 when a comparison or a verification failed; 2 for bad usage or input;\n"
        "128 and the signal's number when a run was interrupted (it can be resumed).\n",
        out);
}

static const struct command *find(const char *name)
{
    for (const struct command *c = commands; c->name; c++)
        if (strcmp(c->name, name) == 0)
            return c;
    return NULL;
}

static int unknown(const char *name)
{
    char error[ASSAY_ERROR_ROOM];
    struct assay_nearest nearest = {.asked = name};
    for (const struct command *c = commands; c->name; c++)
        assay_nearest_offer(&nearest, c->name);
    assay_nearest_complain(&nearest, "command", "`assay --help` lists them", error, sizeof error);
    return assay_refuse("%s", error);
}

/* `assay --profile=f64 run ...` is `assay run --profile=f64 ...`. */
static int dispatch(int argc, char **argv)
{
    static const char profile[] = "--profile=";
    bool before = argc > 2 && strncmp(argv[1], profile, sizeof profile - 1) == 0;
    const struct command *command = find(argv[before ? 2 : 1]);
    if (!command)
        return unknown(argv[before ? 2 : 1]);
    char invocation[32];
    snprintf(invocation, sizeof invocation, "%s", command->invocation);
    argv[before ? 2 : 1] = invocation;
    if (before) {
        char *moved = argv[1];
        argv[1] = argv[2];
        argv[2] = moved;
    }
    return command->run(argc - 1, argv + 1);
}

/* A write beyond the limit on a file's size is an error with a message, not the end.
 * A library may have set a locale, whose numbers are written with a comma, or unmasked traps before
 * main. What changes bits is left for the test to find. */
static void leave_inheritance(void)
{
    fenv_t traps;
    signal(SIGXFSZ, SIG_IGN);
    feholdexcept(&traps);
    setlocale(LC_ALL, "C");
}

int main(int argc, char **argv)
{
    leave_inheritance();
    argp_err_exit_status = ASSAY_EXIT_WRONG;
    if (argc > 1 && strcmp(argv[1], "--version") == 0) {
        print_version();
        return ASSAY_EXIT_SAME;
    }
    if (argc > 1 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-?") == 0)) {
        print_help(stdout);
        return ASSAY_EXIT_SAME;
    }
    if (argc < 2) {
        print_help(stderr);
        return ASSAY_EXIT_WRONG;
    }
    const char *fault = assay_environment_fault();
    if (fault)
        return assay_refuse("%s", fault);
    int status = dispatch(argc, argv);
    if (fflush(stdout) != 0 || ferror(stdout))
        return assay_refuse("the standard output can't be written");
    return status;
}

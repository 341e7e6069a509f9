/* SPDX-License-Identifier: Apache-2.0 */
/* `assay plot`: figures. Attention maps are computed here; harness/plot.py draws everything. */
#include <argp.h>
#include <errno.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "harness/attention_map.h"
#include "harness/command.h"
#include "harness/command_run.h"
#include "harness/files.h"
#include "harness/json.h"
#include "harness/lookup.h"
#include "harness/progress.h"

#define MAPS_FORMAT "assay attention 1"

enum { KEY_SETTING = 0x100, KEY_PRESET, KEY_SAMPLE, KEY_STEPS, KEY_SEED, KEY_SET, KEY_KERNELS };
enum { OVERRIDES_ROOM = 2048, ARGUMENTS_MAX = 1024 };

struct choice {
    struct assay_cell_choice cell;
    uint64_t sample, steps;
    const char *kernels, *output;
    bool json, quiet;
    char overrides[OVERRIDES_ROOM];
};

static const struct argp_option options[] = {
    {"task", 't', "TASK", 0, "whose samples (default: listops)", 1},
    {"preset", KEY_PRESET, "PRESET", 0, "its size (default: tiny)", 1},
    {"setting", KEY_SETTING, "NAME", 0, "of the paper (default: its first)", 1},
    {"set", KEY_SET, "NAME=VALUE", 0, "another value, as of `assay run`; can be repeated", 1},
    {"seed", KEY_SEED, "N", 0, "of the initial weights (default: 1)", 1},
    {"steps", KEY_STEPS, "N", 0, "train that many steps of the preset first (default: 0)", 1},
    {"sample", KEY_SAMPLE, "K", 0, "of the test split, from 0 (default: 0)", 1},
    {"kernels", KEY_KERNELS, "TABLE", 0, "def, cpu (default) or a level of cpu", 2},
    {"output", 'o', "FILE", 0, "the figure, SVG (default: attention-CELL.svg)", 2},
    {"json", 'j', NULL, 0, "print the maps as JSON, and draw nothing", 2},
    {"quiet", 'q', NULL, 0, "no progress", 2},
    {0}};

/* ---- options ---- */

static void set_whole(uint64_t *value, uint64_t most, const char *text, struct argp_state *state)
{
    if (!assay_read_whole(text, 0, most, value))
        argp_error(state, "expected a whole number, found '%s'", text);
}

static void add_override(struct choice *choice, const char *word, struct argp_state *state)
{
    size_t used = strlen(choice->overrides);
    if (used + strlen(word) + 2 > sizeof choice->overrides)
        argp_error(state, "more is set than fits");
    else
        snprintf(choice->overrides + used, sizeof choice->overrides - used, " %s", word);
}

static error_t parse(int key, char *argument, struct argp_state *state)
{
    struct choice *choice = state->input;
    switch (key) {
    case 't':
        choice->cell.task = argument;
        return 0;
    case KEY_PRESET:
        choice->cell.preset = argument;
        return 0;
    case KEY_SETTING:
        choice->cell.setting = argument;
        return 0;
    case KEY_SET:
        add_override(choice, argument, state);
        return 0;
    case KEY_SEED:
        set_whole(&choice->cell.seed, (UINT64_C(1) << 53) - 1, argument, state);
        return 0;
    case KEY_STEPS:
        set_whole(&choice->steps, 1000000000, argument, state);
        return 0;
    case KEY_SAMPLE:
        set_whole(&choice->sample, 1000000000, argument, state);
        return 0;
    case KEY_KERNELS:
        choice->kernels = argument;
        return 0;
    case 'o':
        choice->output = argument;
        return 0;
    case 'j':
        choice->json = true;
        return 0;
    case 'q':
        choice->quiet = true;
        return 0;
    case ARGP_KEY_ARG:
        if (choice->cell.variant)
            argp_error(state, "'%s' is one argument too many", argument);
        choice->cell.variant = argument;
        return 0;
    case ARGP_KEY_END:
        if (!choice->cell.variant)
            argp_error(state, "expected a paper's id (`assay list`)");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

/* ---- drawing ---- */

/* In the current folder where there is one, else the installed one; NULL: neither. */
static const char *script(void)
{
    static const char *const places[] = {"harness/plot.py", ASSAY_PKGDATADIR "/plot.py"};
    for (size_t i = 0; i < sizeof places / sizeof *places; i++)
        if (access(places[i], R_OK) == 0)
            return places[i];
    return NULL;
}

/* Runs harness/plot.py with `input`, NULL for ours, as its standard input; its exit status. */
static int run_script(int count, char *const *argument, FILE *input)
{
    const char *python = getenv("PYTHON");
    char *all[ARGUMENTS_MAX + 3];
    int status;
    if (!python)
        python = ASSAY_PYTHON;
    if (!*python)
        return assay_refuse("plot: this build draws nothing: it was configured without matplotlib");
    if (!script())
        return assay_refuse("plot: expected harness/plot.py here or in %s, found neither",
                            ASSAY_PKGDATADIR);
    if (count > ARGUMENTS_MAX)
        return assay_refuse("plot: expected at most %d arguments, found %d", ARGUMENTS_MAX, count);
    all[0] = (char *)(uintptr_t)python;
    all[1] = (char *)(uintptr_t)script();
    memcpy(all + 2, argument, (size_t)count * sizeof *all);
    all[count + 2] = NULL;
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        if (input && dup2(fileno(input), STDIN_FILENO) < 0)
            _exit(127);
        execvp(python, all);
        _exit(127);
    }
    while (child > 0 && waitpid(child, &status, 0) < 0 && errno == EINTR)
        ;
    if (child < 0 || (WIFEXITED(status) && WEXITSTATUS(status) == 127))
        return assay_refuse("plot: %s could not be run", python);
    return WIFEXITED(status) ? WEXITSTATUS(status) : ASSAY_EXIT_SIGNAL + WTERMSIG(status);
}

/* ---- attention maps ---- */

/* The sample's inputs as a batch of one. */
static struct assay_batch batch_of(const struct assay_data *data, size_t sample)
{
    struct assay_batch batch = {.inputs = data->inputs};
    for (int i = 0; i < data->inputs; i++) {
        struct assay_input *in = &batch.input[i];
        *in = data->input[i];
        in->shape.dim[0] = 1;
        in->data = (const int32_t *)data->input[i].data + sample * shape_elements(in->shape);
    }
    return batch;
}

static void show_share(double share)
{
    if (assay_is_terminal(stderr))
        fprintf(stderr, share < 1 ? "\r\033[K%3.0f %% of the maps" : "\r\033[K", 100 * share);
}

static int train(struct assay_run *run, uint64_t steps, bool quiet, char *error, size_t room)
{
    struct assay_progress progress;
    size_t most = run->cell->training.steps;
    if (steps > most)
        return assay_complain(error, room, "--steps: expected at most %zu, the preset's, found %ju",
                              most, (uintmax_t)steps);
    if (steps == 0)
        return 0;
    if (assay_run_start(run, assay_processors(), error, room) != 0)
        return -1;
    assay_progress_begin(&progress, quiet, 0, (size_t)steps);
    for (uint64_t i = 1; i <= steps; i++) {
        if (assay_run_step(run, error, room) != 0)
            return -1;
        assay_progress_step(&progress,
                            &(struct assay_progress_step){(size_t)i, run->trainer.loss,
                                                          run->trainer.rate, (double)NAN});
    }
    assay_progress_end(&progress);
    return 0;
}

static void put_tokens(FILE *out, const struct assay_run *run, size_t sample)
{
    const struct assay_dataset *test = &run->split[ASSAY_TEST];
    const char *const *names = run->cell->task->tokens;
    fputs(",\n \"tokens\": [", out);
    for (size_t i = 0; i < test->length; i++) {
        int32_t id = test->ids[sample * test->length + i];
        char number[16];
        snprintf(number, sizeof number, "%d", (int)id);
        fputs(i > 0 ? ", " : "", out);
        assay_json_put_string(out, names ? names[id] : number);
    }
    putc(']', out);
}

static void put_padding(FILE *out, const struct assay_run *run, size_t sample)
{
    const struct assay_dataset *test = &run->split[ASSAY_TEST];
    size_t length = test->length;
    while (run->cell->config.pad_is_zero && length > 0
           && test->ids[sample * test->length + length - 1] == 0)
        length--;
    fprintf(out, ",\n \"padding\": %zu", test->length - length);
}

static void put_layer(FILE *out, const struct assay_attention_layer *l)
{
    fputs("\n  {\"name\": ", out);
    assay_json_put_string(out, l->name);
    fputs(", \"heads\": [", out);
    for (size_t h = 0; h < l->heads; h++)
        for (size_t i = 0; i < l->queries; i++) {
            fputs(i > 0 ? ",\n    [" : h > 0 ? ",\n   [[" : "\n   [[", out);
            for (size_t j = 0; j < l->keys; j++) {
                fputs(j > 0 ? "," : "", out);
                assay_json_put_number(out, l->weight[(h * l->queries + i) * l->keys + j]);
            }
            fputs(i + 1 < l->queries ? "]" : "]]", out);
        }
    fputs("]}", out);
}

static void put_maps(FILE *out, const struct choice *choice, const struct assay_run *run,
                     const struct assay_attention_maps *maps)
{
    const struct assay_cell *cell = run->cell;
    const char *const text[][2] = {{"format", MAPS_FORMAT},
                                   {"variant", cell->variant->id},
                                   {"setting", cell->setting},
                                   {"task", cell->task->id},
                                   {"preset", cell->data->name}};
    for (size_t i = 0; i < sizeof text / sizeof *text; i++) {
        fprintf(out, "%s\"%s\": ", i > 0 ? ", " : "{", text[i][0]);
        assay_json_put_string(out, text[i][1]);
    }
    fprintf(out, ",\n \"seed\": %ju, \"steps\": %ju, \"sample\": %ju", (uintmax_t)cell->seed,
            (uintmax_t)choice->steps, (uintmax_t)choice->sample);
    put_tokens(out, run, (size_t)choice->sample);
    put_padding(out, run, (size_t)choice->sample);
    fputs(",\n \"layers\": [", out);
    for (size_t i = 0; i < maps->layers; i++) {
        fputs(i > 0 ? "," : "", out);
        put_layer(out, &maps->layer[i]);
    }
    fputs("]}\n", out);
}

static int compute(const struct choice *choice, struct assay_run *run,
                   struct assay_attention_maps *maps, char *error, size_t room)
{
    size_t samples = run->split[ASSAY_TEST].count;
    if (choice->sample >= samples)
        return assay_complain(error, room, "--sample: expected 0 to %zu, found %ju", samples - 1,
                              (uintmax_t)choice->sample);
    if (train(run, choice->steps, choice->quiet, error, room) != 0)
        return -1;
    struct assay_batch sample = batch_of(&run->test, (size_t)choice->sample);
    return assay_attention_maps(&run->model, &sample, maps, choice->quiet ? NULL : show_share,
                                error, room);
}

/* Through a file that has no name, so that nothing is left of it. */
static int draw_maps(const struct choice *choice, const struct assay_run *run,
                     const struct assay_attention_maps *maps)
{
    char name[ASSAY_CELL_NAME], output[ASSAY_CELL_NAME + 32];
    FILE *file = tmpfile();
    if (!file)
        return assay_refuse("plot: a temporary file: %s", strerror(errno));
    put_maps(file, choice, run, maps);
    assay_cell_name(run->cell, name);
    snprintf(output, sizeof output, "attention-%s.svg", name);
    char *const arguments[] = {(char *)(uintptr_t) "attention", (char *)(uintptr_t) "-",
                               (char *)(uintptr_t) "-o",
                               choice->output ? (char *)(uintptr_t)choice->output : output};
    bool written = !ferror(file) && fflush(file) == 0;
    rewind(file);
    int status = written ? run_script(4, arguments, file)
                         : assay_refuse("plot: a temporary file was not written");
    fclose(file);
    return status;
}

static int attention_of(const struct choice *choice)
{
    char error[ASSAY_ERROR_ROOM];
    struct assay_cell cell;
    struct assay_run run;
    struct assay_attention_maps maps = {0};
    const struct assay_kernels *kernels =
        assay_lookup_kernels(ASSAY_F32, choice->kernels, error, sizeof error);
    if (!kernels || assay_cell_make(&cell, &choice->cell, error, sizeof error) != 0)
        return assay_refuse("%s", error);
    int status = assay_run_open(&run, &cell, kernels, error, sizeof error);
    if (status == 0)
        status = compute(choice, &run, &maps, error, sizeof error);
    if (status != 0)
        status = assay_refuse("%s", error);
    else if (choice->json)
        put_maps(stdout, choice, &run, &maps);
    else
        status = draw_maps(choice, &run, &maps);
    assay_attention_maps_free(&maps);
    assay_run_close(&run);
    return status;
}

static int command_attention(int argc, char **argv)
{
    static const struct argp argp = {
        options,
        parse,
        "ID",
        "Draws, for every block and head of a model, the weight that each token's value has in "
        "each "
        "token's output: of attention its probabilities, of other mixers the weights that they "
        "imply.\v"
        "Examples:\n  assay plot attention reference -o maps.svg\n"
        "  assay plot attention linformer --setting lra --steps 200 --sample 7\n"
        "  assay plot attention bigbird --json",
        NULL,
        NULL,
        NULL};
    struct choice choice = {
        .cell = {.task = "listops", .preset = "tiny", .seed = 1, .profile = ASSAY_F32},
        .kernels = "cpu"};
    argp_parse(&argp, argc, argv, 0, NULL, &choice);
    choice.cell.overrides = choice.overrides;
    return attention_of(&choice);
}

/* ---- the command ---- */

static const struct figure {
    const char *name, *option, *summary; /* option: of harness/plot.py, or NULL: none */
} figures[] = {
    {"curves", NULL, "loss and accuracy of records against the step, a figure per task"},
    {"tradeoff", "tradeoff", "accuracy of records against speed, memory as area"},
    {"costs", "--costs", "what papers cost against the number of tokens (`assay cost --csv`)"},
    {"measured", "measured", "a table of `assay measure` (its JSON)"},
    {"bench", "bench", "measurements of `make bench`"},
};
enum { FIGURES = sizeof figures / sizeof *figures };

static void print_help(void)
{
    fputs("Usage: assay plot FIGURE [ARGUMENT...]\n"
          "Draws figures as SVG.\n\n"
          "  attention ID      which tokens a paper's mixers read, block by block\n",
          stdout);
    for (size_t i = 0; i < FIGURES; i++)
        printf("  %-17s %s\n", figures[i].name, figures[i].summary);
    fputs("\nExamples:\n"
          "  assay plot attention reference --steps 100 -o maps.svg\n"
          "  assay plot curves results/demo --smooth 5 --output figures\n"
          "  assay plot tradeoff results/demo --output figures\n"
          "  assay plot costs results/cost/costs.csv\n"
          "\n  FIGURE --help      the options of a figure\n"
          "\nDrawing needs Python with matplotlib (PYTHON names another one).\n",
          stdout);
}

int assay_command_plot(int argc, char **argv)
{
    char error[ASSAY_ERROR_ROOM], *arguments[ARGUMENTS_MAX];
    struct assay_nearest nearest = {.asked = argc > 1 ? argv[1] : ""};
    if (argc > 1 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-?") == 0)) {
        print_help();
        return ASSAY_EXIT_SAME;
    }
    if (argc > 1 && strcmp(argv[1], "attention") == 0) {
        char invocation[] = "assay plot attention";
        argv[1] = invocation;
        return command_attention(argc - 1, argv + 1);
    }
    assay_nearest_offer(&nearest, "attention");
    for (size_t i = 0; argc > 1 && i < FIGURES; i++) {
        assay_nearest_offer(&nearest, figures[i].name);
        if (strcmp(argv[1], figures[i].name) != 0)
            continue;
        int count = 0;
        if (figures[i].option)
            arguments[count++] = (char *)(uintptr_t)figures[i].option;
        if (argc > ARGUMENTS_MAX)
            return assay_refuse("plot: expected at most %d arguments", ARGUMENTS_MAX);
        for (int j = 2; j < argc; j++)
            arguments[count++] = argv[j];
        return run_script(count, arguments, NULL);
    }
    assay_nearest_complain(&nearest, "figure", "`assay plot --help` lists them", error,
                           sizeof error);
    return assay_refuse("%s", error);
}

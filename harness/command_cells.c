/* SPDX-License-Identifier: Apache-2.0 */
/* `assay cells`: the cells of a suite, and which of them have their record. */
#include <argp.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "harness/cell.h"
#include "harness/command.h"
#include "harness/command_run.h"
#include "harness/files.h"
#include "harness/json.h"
#include "harness/lookup.h"

enum { KEY_PRESET = 0x100, KEY_VARIANTS, KEY_SEEDS, KEY_SET, KEY_RESULTS, KEY_JSON, KEY_DATA };
enum { PATH_ROOM = 1024, SEEDS_MAX = 1000 };

struct choice {
    const char *suite, *preset, *tasks, *variants, *overrides, *results, *folder;
    uint64_t seeds;
    bool json;
    size_t shown;
};

/* What is known of a cell before it is run. */
struct state {
    const char *name;               /* "done", "begun", "todo", "refused" */
    double seconds;                 /* of training, where it is done */
    char message[ASSAY_ERROR_ROOM]; /* where it is refused */
};

static const struct argp_option options[] = {
    {"suite", 's', "SUITE", 0, "only this one (default: all)", 0},
    {"preset", KEY_PRESET, "PRESET", 0, "the size of its tasks: tiny (default), paper, ...", 0},
    {"tasks", 't', "LIST", 0, "only these tasks, between blanks or commas", 0},
    {"variants", KEY_VARIANTS, "LIST", 0, "only these papers", 0},
    {"data", KEY_DATA, "DIR", 0, "only tasks with public data, on those: as of `assay run`", 0},
    {"seeds", KEY_SEEDS, "N", 0, "seeds 1 to N (default: 3)", 0},
    {"set", KEY_SET, "NAME=VALUE", 0, "as of `assay run`, for every cell; holds several", 0},
    {"results", KEY_RESULTS, "DIR", 0,
     "where the folders of suites are (default: results); the records are in "
     "DIR/SUITE-PRESET/records",
     0},
    {"json", KEY_JSON, NULL, 0, "as JSON, with the arguments of `assay run`", 0},
    {0}};

static error_t parse(int key, char *argument, struct argp_state *state)
{
    struct choice *choice = state->input;
    switch (key) {
    case 's':
        choice->suite = strcmp(argument, "all") == 0 ? NULL : argument;
        return 0;
    case KEY_PRESET:
        choice->preset = argument;
        return 0;
    case 't':
        choice->tasks = argument;
        return 0;
    case KEY_VARIANTS:
        choice->variants = argument;
        return 0;
    case KEY_DATA:
        choice->folder = argument;
        return 0;
    case KEY_SEEDS:
        if (!assay_read_whole(argument, 1, SEEDS_MAX, &choice->seeds))
            argp_error(state, "seeds: expected 1 to %d, found '%s'", SEEDS_MAX, argument);
        return 0;
    case KEY_SET:
        choice->overrides = argument;
        return 0;
    case KEY_RESULTS:
        choice->results = argument;
        return 0;
    case KEY_JSON:
        choice->json = true;
        return 0;
    case ARGP_KEY_ARG:
        argp_error(state, "'%s' is one argument too many", argument);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

/* The next word of a list with blanks or commas between; false past the last. */
static bool next_name(const char **list, char name[ASSAY_RECORD_NAME])
{
    static const char between[] = " ,\t\n";
    *list += strspn(*list, between);
    size_t length = strcspn(*list, between);
    snprintf(name, ASSAY_RECORD_NAME, "%.*s", (int)(length < 1000 ? length : 1000), *list);
    *list += length;
    return length > 0;
}

static bool is_named(const char *list, const char *id)
{
    char name[ASSAY_RECORD_NAME];
    while (next_name(&list, name))
        if (strcmp(name, id) == 0)
            return true;
    return false;
}

/* Every name of the lists is known. */
static int check_names(const struct choice *choice, char *error, size_t room)
{
    char name[ASSAY_RECORD_NAME];
    struct assay_nearest nearest = {.asked = choice->suite};
    bool known = choice->suite == NULL;
    for (const char *list = choice->variants; list && next_name(&list, name);)
        if (!assay_lookup_variant(name, error, room))
            return -1;
    for (const char *list = choice->tasks; list && next_name(&list, name);)
        if (!assay_lookup_task(name, error, room))
            return -1;
    for (size_t i = 0; !known && assay_suites[i]; i++) {
        known = strcmp(assay_suites[i]->id, choice->suite) == 0;
        assay_nearest_offer(&nearest, assay_suites[i]->id);
    }
    return known ? 0 : assay_nearest_complain(&nearest, "suite", NULL, error, room);
}

static void find_state(const struct assay_cell *cell, const char *folder, const char *name,
                       struct state *state)
{
    char path[PATH_ROOM + ASSAY_CELL_NAME + 16];
    struct assay_record record;
    snprintf(path, sizeof path, "%s/%s.json", folder, name);
    if (assay_cell_has_record(cell, path, &record)) {
        state->name = "done";
        state->seconds = record.cost.seconds;
        assay_record_free(&record);
        return;
    }
    snprintf(path, sizeof path, "%s/%s.checkpoint", folder, name);
    state->name = access(path, F_OK) == 0 ? "begun" : "todo";
}

static void put_member(const char *key, const char *value)
{
    printf("\"%s\": ", key);
    assay_json_put_string(stdout, value);
    fputs(", ", stdout);
}

static void put_arguments(const struct choice *choice, const struct assay_cell_choice *cell,
                          const char *folder)
{
    char seed[24];
    snprintf(seed, sizeof seed, "%" PRIu64, cell->seed);
    const char *const text[] = {
        "--task",    cell->task,        "--preset", cell->preset,  "--variant", cell->variant,
        "--setting", cell->setting,     "--seed",   seed,          "--results", folder,
        "--set",     choice->overrides, "--data",   choice->folder};
    fputs("\"arguments\": [", stdout);
    for (size_t i = 0; i < sizeof text / sizeof *text; i += 2) {
        if (!text[i + 1])
            continue;
        fputs(i > 0 ? ", " : "", stdout);
        assay_json_put_string(stdout, text[i]);
        fputs(", ", stdout);
        assay_json_put_string(stdout, text[i + 1]);
    }
    fputs("]}", stdout);
}

static void print_json(const struct choice *choice, const struct assay_cell_choice *asked,
                       const struct assay_cell *cell, const char *folder, const char *name,
                       const struct state *state)
{
    fputs(choice->shown > 0 ? ",\n  {" : "[\n  {", stdout);
    put_member("name", name);
    put_member("folder", folder);
    put_member("suite", cell->suite->id);
    put_member("task", asked->task);
    put_member("preset", asked->preset);
    put_member("variant", asked->variant);
    put_member("setting", cell->setting);
    printf("\"seed\": %" PRIu64 ", \"steps\": %zu, ", asked->seed, cell->training.steps);
    put_member("state", state->name);
    if (*state->message)
        put_member("message", state->message);
    if (strcmp(state->name, "done") == 0) {
        fputs("\"seconds\": ", stdout);
        assay_json_put_number(stdout, state->seconds);
        fputs(", ", stdout);
    }
    put_arguments(choice, asked, folder);
}

/* A cell whose configuration the paper refuses is shown with the reason. */
static int show(struct choice *choice, const struct assay_suite *suite,
                const struct assay_cell_choice *asked, char *error, size_t room)
{
    struct assay_cell cell;
    struct state state = {.name = "refused"};
    char name[ASSAY_CELL_NAME], folder[PATH_ROOM];
    int length = snprintf(folder, sizeof folder, "%s/%s-%s/records", choice->results, suite->id,
                          asked->preset);
    if (length >= PATH_ROOM)
        return assay_complain(error, room, "%.100s...: the folder's name is too long",
                              choice->results);
    bool defined = assay_cell_make(&cell, asked, state.message, sizeof state.message) == 0;
    assay_cell_name(&cell, name);
    if (defined) {
        state.message[0] = '\0';
        find_state(&cell, folder, name, &state);
    }
    if (choice->json)
        print_json(choice, asked, &cell, folder, name, &state);
    else if (strcmp(state.name, "done") == 0)
        printf("%-48s %s, %.1f s\n", name, state.name, state.seconds);
    else
        printf("%-48s %s%s%s\n", name, state.name, *state.message ? ": " : "", state.message);
    choice->shown++;
    return 0;
}

/* The first setting, and those that the suite names. */
static int show_settings(struct choice *choice, const struct assay_suite *suite,
                         struct assay_cell_choice *asked, const struct assay_variant *variant,
                         char *error, size_t room)
{
    asked->variant = variant->id;
    for (const struct variant_setting *s = variant->settings; s->name; s++) {
        bool wanted = s == variant->settings;
        for (const char *const *other = suite->settings; other && *other; other++)
            wanted |= strcmp(*other, s->name) == 0;
        asked->setting = s->name;
        if (wanted && show(choice, suite, asked, error, room) != 0)
            return -1;
    }
    return 0;
}

/* All models of a task: the reference, then every paper that changes the model or its training. */
static int show_variants(struct choice *choice, const struct assay_suite *suite,
                         struct assay_cell_choice *asked, char *error, size_t room)
{
    for (size_t i = 0; i == 0 || assay_variants[i - 1]; i++) {
        const struct assay_variant *v = i == 0 ? &assay_variant_reference : assay_variants[i - 1];
        bool wanted = choice->variants ? is_named(choice->variants, v->id)
                                       : v->kind == KIND_VARIANT || v->kind == KIND_TRAINING;
        if (wanted && variant_trains(v, NULL) && show_settings(choice, suite, asked, v, error, room) != 0)
            return -1;
    }
    return 0;
}

static int show_suite(struct choice *choice, const struct assay_suite *suite, uint64_t seed,
                      char *error, size_t room)
{
    for (const struct assay_preset *p = suite->presets; p->task; p++) {
        if (strcmp(p->name, choice->preset) != 0
            || (choice->tasks && !is_named(choice->tasks, p->task))
            || (choice->folder && !assay_task_find(p->task)->real))
            continue;
        struct assay_cell_choice asked = {.task = p->task,
                                          .folder = choice->folder,
                                          .preset = p->name,
                                          .overrides = choice->overrides,
                                          .seed = seed,
                                          .profile = ASSAY_F32};
        if (show_variants(choice, suite, &asked, error, room) != 0)
            return -1;
    }
    return 0;
}

static bool is_offered(const struct assay_nearest *nearest, const char *name)
{
    for (size_t i = 0; i < nearest->count; i++)
        if (strcmp(nearest->best[i].name, name) == 0)
            return true;
    return false;
}

static int complain_preset(const struct choice *choice, char *error, size_t room)
{
    struct assay_nearest nearest = {.asked = choice->preset};
    for (size_t i = 0; assay_suites[i]; i++)
        for (const struct assay_preset *p = assay_suites[i]->presets; p->task; p++)
            if ((!choice->tasks || is_named(choice->tasks, p->task))
                && !is_offered(&nearest, p->name))
                assay_nearest_offer(&nearest, p->name);
    return assay_nearest_complain(&nearest, "preset of these tasks", "no cell has it", error, room);
}

/* All of one seed come before the next, so that a table of what is there compares early on. */
static int show_all(struct choice *choice, char *error, size_t room)
{
    for (uint64_t seed = 1; seed <= choice->seeds; seed++)
        for (size_t i = 0; assay_suites[i]; i++)
            if (!choice->suite || strcmp(choice->suite, assay_suites[i]->id) == 0)
                if (show_suite(choice, assay_suites[i], seed, error, room) != 0)
                    return -1;
    return choice->shown > 0 ? 0 : complain_preset(choice, error, room);
}

int assay_command_cells(int argc, char **argv)
{
    static const struct argp argp = {
        options,
        parse,
        NULL,
        "The cells of a suite, all papers on all its tasks, with what is known of each: done, "
        "begun, "
        "to do, or refused by the paper with the reason. `make results` runs them.\v"
        "Examples:\n  assay cells --suite lra\n"
        "  assay cells --suite lra --preset paper --variants \"reference linformer\" --json",
        NULL,
        NULL,
        NULL};
    struct choice choice = {.preset = "tiny", .results = "results", .seeds = 3};
    char error[ASSAY_ERROR_ROOM];
    argp_parse(&argp, argc, argv, 0, NULL, &choice);
    if (check_names(&choice, error, sizeof error) != 0)
        return assay_refuse("%s", error);
    if (show_all(&choice, error, sizeof error) != 0)
        return assay_refuse("%s", error);
    if (choice.json)
        puts("\n]");
    return ASSAY_EXIT_SAME;
}

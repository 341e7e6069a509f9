/* SPDX-License-Identifier: Apache-2.0 */
/* `assay cost`: what papers cost against the number of tokens. */
#include <argp.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "harness/command.h"
#include "harness/cost_table.h"
#include "harness/files.h"
#include "harness/lookup.h"
#include "harness/progress.h"

enum { KEY_TIME = 0x100, KEY_DECODE, KEY_SET, KEY_KERNELS, REPEATS = 5, SIZES_ROOM = 512 };
enum format { MARKDOWN, CSV, JSON };

struct choice {
    enum format format;
    bool timed, decoded;
    double limit;
    const char *kernels, *output;
    char sizes[SIZES_ROOM];
    const char **id;
    size_t ids;
};

static const struct argp_option options[] = {
    {"json", 'j', NULL, 0, "as JSON", 0},
    {"csv", 'c', NULL, 0, "as CSV", 0},
    {"time", KEY_TIME, "SECONDS", OPTION_ARG_OPTIONAL,
     "wall times too, of passes that take no longer than SECONDS (default: 5)", 0},
    {"decode", KEY_DECODE, NULL, 0, "streaming decode too: tokens per second, bytes of state", 0},
    {"set", KEY_SET, "NAME=VALUE", 0, "another size of the model", 0},
    {"kernels", KEY_KERNELS, "TABLE", 0, "what is timed: def, cpu (default) or a level of cpu", 0},
    {"output", 'o', "DIR", 0,
     "write table.md, costs.csv and, with --decode, decode.csv into DIR instead", 0},
    {0}};

static void add_size(struct choice *choice, const char *word, struct argp_state *state)
{
    size_t used = strlen(choice->sizes);
    if (used + strlen(word) + 2 > sizeof choice->sizes)
        argp_error(state, "--set: expected sizes of at most %d characters together", SIZES_ROOM);
    else
        snprintf(choice->sizes + used, sizeof choice->sizes - used, " %s", word);
}

static error_t parse(int key, char *argument, struct argp_state *state)
{
    struct choice *choice = state->input;
    char *end;
    switch (key) {
    case 'j':
        choice->format = JSON;
        return 0;
    case 'c':
        choice->format = CSV;
        return 0;
    case KEY_TIME:
        choice->timed = true;
        choice->limit = argument ? strtod(argument, &end) : choice->limit;
        if (argument && (end == argument || *end || !(choice->limit > 0)))
            argp_error(state, "--time: expected a positive number of seconds, found '%s'",
                       argument);
        return 0;
    case KEY_DECODE:
        choice->decoded = true;
        return 0;
    case KEY_SET:
        add_size(choice, argument, state);
        return 0;
    case KEY_KERNELS:
        choice->kernels = argument;
        return 0;
    case 'o':
        choice->output = argument;
        return 0;
    case ARGP_KEY_ARG:
        choice->id[choice->ids++] = argument;
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

/* What is being computed, on a terminal; the share of the cells that is done tells the time that is
 * left. */
struct progress {
    size_t done, all;
    double began;
};

static void show(struct progress *p, const char *what, const char *name, size_t n)
{
    double spent = assay_clock() - p->began, share = (double)p->done++ / (double)p->all;
    if (!assay_is_terminal(stderr))
        return;
    fprintf(stderr, "\r\033[K%3.0f %%  %s %s, n = %zu", 100 * share, what, name, n);
    if (share > 0.02)
        fprintf(stderr, "  (%.0f s left)", spent / share - spent);
    fflush(stderr);
}

static void clear_line(void)
{
    if (assay_is_terminal(stderr))
        fputs("\r\033[K", stderr);
}

static double squared(double x)
{
    return x * x;
}

/* The longer passes are left out where the one before says that they would need too much, and
 * numbers of tokens that make no image of the paper's. */
static int count_row(struct assay_cost_row *r, struct progress *p, char *error, size_t room)
{
    double resident = 0, before = 1;
    for (size_t i = 0; i < ASSAY_COST_LENGTHS; i++) {
        size_t n = assay_cost_length[i];
        show(p, "counting", r->name, n);
        if (resident * squared((double)n / before) > (double)ASSAY_COST_RESIDENT
            || assay_cost_tokens(&r->model, n) != n)
            continue;
        if (assay_cost_count(&r->model, n, &r->cost[i], error, room) != 0)
            return -1;
        resident = (double)r->cost[i].resident;
        before = (double)n;
    }
    return 0;
}

static int time_row(struct assay_cost_row *r, const struct assay_kernels *kernels, double limit,
                    struct progress *p, char *error, size_t room)
{
    double expected = 0;
    for (size_t i = 0; i < ASSAY_COST_LENGTHS; i++) {
        struct assay_cost *c = &r->cost[i];
        size_t n = assay_cost_length[i];
        show(p, "timing", r->name, n);
        if (!c->counted || c->counts.bytes > ASSAY_COST_TENSORS || expected > limit)
            continue;
        if (assay_cost_time(&r->model, n, kernels, REPEATS, c, error, room) != 0)
            return -1;
        if (i + 1 < ASSAY_COST_LENGTHS)
            expected = c->seconds
                       * pow((double)assay_cost_length[i + 1] / (double)n, r->growth.multiply_adds);
    }
    return 0;
}

static bool decodes(const struct assay_cost_row *r)
{
    for (const struct variant_form *f = r->model.variant->forms; f && f->name; f++)
        if (f->decode && !r->model.form && r->frame == FRAME_DECODER && r->head == HEAD_LANGUAGE)
            return true;
    return false;
}

static int fill_row(struct assay_cost_table *t, struct assay_cost_row *r,
                    const struct assay_kernels *kernels, struct progress *p, char *error,
                    size_t room)
{
    if (count_row(r, p, error, room) != 0
        || (t->timed && time_row(r, kernels, t->limit, p, error, room) != 0))
        return -1;
    if (!t->decoded || !decodes(r))
        return 0;
    show(p, "decoding", r->name, assay_decode_length[ASSAY_DECODE_LENGTHS - 1]);
    r->decoded = true;
    return assay_cost_decode(&r->model, kernels, ASSAY_DECODE_LENGTHS, assay_decode_length,
                             r->decode, error, room);
}

/* A form that costs what the first does has no row. */
static bool differs(const struct assay_cost_model *m, char *error, size_t room)
{
    struct assay_cost_model first = *m;
    struct assay_cost one = {0}, other = {0};
    size_t n = assay_cost_tokens(m, assay_cost_length[0]);
    first.form = NULL;
    if (assay_cost_count(&first, n, &one, error, room) != 0
        || assay_cost_count(m, n, &other, error, room) != 0)
        return true; /* the row will say why */
    return one.counts.multiply_adds != other.counts.multiply_adds
           || one.counts.bytes != other.counts.bytes || one.counts.moved != other.counts.moved;
}

static int add_row(struct assay_cost_table *t, struct assay_cost_model m, char *error, size_t room)
{
    struct assay_config config;
    struct assay_cost_row *grown = realloc(t->row, (t->rows + 1) * sizeof *grown);
    if (!grown)
        return assay_complain(error, room, "out of memory");
    t->row = grown;
    size_t n = assay_cost_tokens(&m, assay_cost_length[0]);
    if (assay_cost_config(&m, n, &config, error, room) != 0)
        return -1;
    struct assay_cost_row *r = &t->row[t->rows++];
    *r = (struct assay_cost_row){.model = m,
                                 .preset = config.preset,
                                 .frame = config.frame,
                                 .head = config.head,
                                 .growth = variant_growth(m.variant, &config)};
    assay_cost_name(&m, r->name);
    return 0;
}

/* Whether a form is a setting, too: it has that row. */
static bool has_setting(const struct assay_variant *v, const char *form)
{
    for (const struct variant_setting *s = v->settings; s && s->name; s++)
        if (strcmp(s->name, form) == 0)
            return true;
    return false;
}

static int add_paper(struct assay_cost_table *t, const struct assay_variant *v, char *error,
                     size_t room)
{
    for (const struct variant_setting *s = v->settings; s && s->name; s++) {
        if (!variant_trains(v, s))
            continue;
        struct assay_cost_model m = {v, s, NULL, t->sizes};
        if (add_row(t, m, error, room) != 0)
            return -1;
        for (const struct variant_form *f = v->forms; f && f->name; f++) {
            m.form = f;
            if (f != v->forms && !f->decode && !(s == v->settings && has_setting(v, f->name))
                && differs(&m, error, room) && add_row(t, m, error, room) != 0)
                return -1;
        }
    }
    return 0;
}

static int add_papers(struct assay_cost_table *t, const struct choice *choice, char *error,
                      size_t room)
{
    int status = 0;
    for (size_t i = 0; status == 0 && i < choice->ids; i++) {
        const struct assay_variant *v = assay_lookup_variant(choice->id[i], error, room);
        status = v ? add_paper(t, v, error, room) : -1;
    }
    if (choice->ids)
        return status;
    status = add_paper(t, &assay_variant_reference, error, room);
    for (size_t i = 0; status == 0 && assay_variants[i]; i++)
        status = add_paper(t, assay_variants[i], error, room);
    return status;
}

static int write_one(const struct assay_cost_table *t, const char *folder, const char *name,
                     void (*print)(const struct assay_cost_table *, FILE *), char *error,
                     size_t room)
{
    char *text = NULL, *path = assay_path_join(folder, name);
    size_t size;
    FILE *out = path ? open_memstream(&text, &size) : NULL;
    int status = -1;
    if (out) {
        print(t, out);
        status = fclose(out) == 0 ? assay_file_write(path, text, size, error, room) : -1;
    } else {
        assay_complain(error, room, "out of memory");
    }
    free(text);
    free(path);
    return status;
}

static int write_all(const struct assay_cost_table *t, const char *folder, char *error, size_t room)
{
    if (assay_folder_make(folder, error, room) != 0
        || write_one(t, folder, "table.md", assay_cost_markdown, error, room) != 0
        || write_one(t, folder, "costs.csv", assay_cost_csv, error, room) != 0)
        return -1;
    return t->decoded ? write_one(t, folder, "decode.csv", assay_decode_csv, error, room) : 0;
}

static int print_or_write(const struct assay_cost_table *t, const struct choice *choice,
                          char *error, size_t room)
{
    if (choice->output)
        return write_all(t, choice->output, error, room);
    if (choice->format == JSON)
        assay_cost_json(t, stdout);
    else if (choice->format == CSV)
        assay_cost_csv(t, stdout);
    else
        assay_cost_markdown(t, stdout);
    return 0;
}

static int cost(const struct choice *choice)
{
    char error[ASSAY_ERROR_ROOM];
    const struct assay_kernels *kernels =
        assay_lookup_kernels(ASSAY_F32, choice->kernels, error, sizeof error);
    struct assay_cost_table t = {.sizes = choice->sizes,
                                 .timed = choice->timed,
                                 .decoded = choice->decoded,
                                 .limit = choice->limit};
    int status = kernels ? add_papers(&t, choice, error, sizeof error) : -1;
    if (kernels && (t.timed || t.decoded))
        t.level = kernels->level;
    struct progress p = {.all = t.rows * ASSAY_COST_LENGTHS * (t.timed ? 2 : 1) + t.rows,
                         .began = assay_clock()};
    for (size_t i = 0; status == 0 && i < t.rows; i++)
        status = fill_row(&t, &t.row[i], kernels, &p, error, sizeof error);
    clear_line();
    if (status == 0)
        status = print_or_write(&t, choice, error, sizeof error);
    free(t.row);
    return status == 0 ? ASSAY_EXIT_SAME : assay_refuse("%s", error);
}

int assay_command_cost(int argc, char **argv)
{
    static const struct argp argp = {
        options,
        parse,
        "[ID...]",
        "What papers (all, by default) cost against the number of tokens n: multiply-adds, bytes "
        "and memory, counted without data for n = 256 to 16384, and the fitted exponents beside "
        "those that the papers claim.\v"
        "Examples:\n  assay cost linear_transformer\n"
        "  assay cost --time --decode reference linear_transformer\n"
        "  assay cost --csv --set width=512 --set hidden=2048",
        NULL,
        NULL,
        NULL};
    struct choice choice = {
        .kernels = "cpu", .limit = 5, .id = calloc((size_t)argc + 1, sizeof *choice.id)};
    if (!choice.id)
        return assay_refuse("out of memory");
    snprintf(choice.sizes, sizeof choice.sizes, "%s", assay_cost_sizes);
    argp_parse(&argp, argc, argv, 0, NULL, &choice);
    int status = cost(&choice);
    free(choice.id);
    return status;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Checkpoints of a run.
 *
 *     metadata:  assay.format, cell (everything that the final bits depend on)
 *     param/ buffer/ draw/ NAME, optimizer/first, /second, /average, /STATE/NAME of a paper's
 *     optimizer, teacher/param/ teacher/buffer/ NAME of a paper's stages: in the profile
 *     run/counts U64 [step, correct, counted and steps of the window]
 *     run/numbers F64 [loss of the window, seconds]
 *     curve/step U64, curve/loss and curve/accuracy F64 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness/files.h"
#include "harness/lookup.h"
#include "harness/run.h"
#include "harness/safetensors.h"
#include "ref/version.h"

#define FORMAT "assay checkpoint 1"
enum { COUNTS = 4, NUMBERS = 2, STATES = 3, NAME_ROOM = ASSAY_NAME_MAX + STATE_NAME_MAX + 16 };

static const char *const state_names[STATES] = {"optimizer/first", "optimizer/second",
                                                "optimizer/average"};

static void print_identity(const struct assay_run *run, FILE *out)
{
    const struct assay_cell *cell = run->cell;
    struct assay_cell_field field;
    fprintf(out, "arithmetic %s, %s, %s %s %s %s, seed %" PRIu64 ", data %s:", ASSAY_ARITHMETIC,
            assay_profile_name(cell->profile), cell->task->id, cell->data->name, cell->variant->id,
            cell->setting, cell->seed, run->data_sha256);
    for (size_t i = 0; assay_cell_field_at(cell, i, &field); i++)
        fprintf(out, " %s=%s", field.name, field.text);
}

static char *identity(const struct assay_run *run)
{
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    if (!out)
        return NULL;
    print_identity(run, out);
    if (fclose(out) == 0)
        return text;
    free(text);
    return NULL;
}

static enum assay_dtype dtype_of(const struct assay_run *run)
{
    return run->cell->profile == ASSAY_F64 ? ASSAY_DT_F64 : ASSAY_DT_F32;
}

static void entry_name(const char *whose, const struct assay_entry *e, char name[NAME_ROOM])
{
    static const char *const prefix[ASSAY_KINDS] = {"param/", "buffer/", "draw/"};
    snprintf(name, NAME_ROOM, "%s%s%s", whose, prefix[e->kind], e->name);
}

/* What a run holds of a model: all of the student's, what a teacher doesn't share with it. */
static const char teachers[] = "teacher/";
static bool is_held(const char *whose, const struct assay_entry *e)
{
    return !*whose || e->kind != ASSAY_DRAW;
}

static void write_entries(const struct assay_run *run, const struct assay_model *m,
                          const char *whose, struct assay_archive_writer *w)
{
    char name[NAME_ROOM];
    for (size_t i = 0; i < m->entries; i++) {
        const struct assay_entry *e = &m->entry[i];
        entry_name(whose, e, name);
        if (is_held(whose, e))
            assay_archive_writer_tensor(w, name, dtype_of(run), (size_t)e->shape.rank, e->shape.dim,
                                        entry_data(m, e));
    }
}

static void paper_state_name(const struct assay_state *s, char name[NAME_ROOM])
{
    snprintf(name, NAME_ROOM, "optimizer/%s/%s", s->name, s->entry->name);
}

static void write_states(const struct assay_run *run, struct assay_archive_writer *w)
{
    const struct assay_model *m = &run->model;
    const void *const state[STATES] = {run->trainer.first, run->trainer.second,
                                       run->trainer.average};
    char name[NAME_ROOM];
    write_entries(run, m, "", w);
    write_entries(run, &run->trainer.teacher, teachers, w);
    for (int i = 0; i < STATES; i++)
        if (state[i])
            assay_archive_writer_tensor(w, state_names[i], dtype_of(run), 1,
                                        &m->elements[ASSAY_PARAMETER], state[i]);
    for (size_t i = 0; i < run->trainer.states.count; i++) {
        const struct assay_state *s = run->trainer.states.state[i];
        paper_state_name(s, name);
        assay_archive_writer_tensor(w, name, dtype_of(run), (size_t)s->shape.rank, s->shape.dim,
                                    s->data);
    }
}

static bool write_curve(const struct assay_run *run, struct assay_archive_writer *w)
{
    size_t n = run->points;
    uint64_t *step = calloc(n + 1, sizeof *step);
    double *loss = calloc(n + 1, sizeof *loss), *accuracy = calloc(n + 1, sizeof *accuracy);
    bool made = step && loss && accuracy;
    for (size_t i = 0; made && i < n; i++) {
        step[i] = run->curve[i].step;
        loss[i] = run->curve[i].loss;
        accuracy[i] = run->curve[i].accuracy;
    }
    if (made) {
        assay_archive_writer_tensor(w, "curve/step", ASSAY_DT_U64, 1, &n, step);
        assay_archive_writer_tensor(w, "curve/loss", ASSAY_DT_F64, 1, &n, loss);
        assay_archive_writer_tensor(w, "curve/accuracy", ASSAY_DT_F64, 1, &n, accuracy);
    }
    free(step);
    free(loss);
    free(accuracy);
    return made;
}

int assay_checkpoint_save(const struct assay_run *run, double seconds, const char *path,
                          char *error, size_t room)
{
    const struct assay_window *window = &run->window;
    uint64_t counts[COUNTS] = {run->trainer.step, window->correct, window->counted, window->steps};
    double numbers[NUMBERS] = {window->loss, seconds};
    static const size_t count_dim[] = {COUNTS}, number_dim[] = {NUMBERS};
    struct assay_archive_writer *w = assay_archive_writer_open();
    char *cell = identity(run);
    int status = -1;
    if (w && cell) {
        assay_archive_writer_metadata(w, "assay.format", FORMAT);
        assay_archive_writer_metadata(w, "cell", cell);
        write_states(run, w);
        assay_archive_writer_tensor(w, "run/counts", ASSAY_DT_U64, 1, count_dim, counts);
        assay_archive_writer_tensor(w, "run/numbers", ASSAY_DT_F64, 1, number_dim, numbers);
        status = write_curve(run, w) ? assay_archive_writer_save(w, path, error, room)
                                     : assay_complain(error, room, "%s: out of memory", path);
    } else
        assay_complain(error, room, "%s: out of memory", path);
    if (w)
        assay_archive_writer_close(w);
    free(cell);
    return status;
}

/* The numbers of a tensor that must be there, in this type and this many. */
static const void *numbers_of(const struct assay_archive *archive, const char *path,
                              const char *name, enum assay_dtype dtype, size_t elements,
                              char *error, size_t room)
{
    const struct assay_archive_tensor *t = assay_archive_find(archive, name);
    if (t && t->dtype == dtype && t->elements == elements)
        return t->data;
    assay_complain(error, room, "%s: expected %s with %zu numbers of %s", path, name, elements,
                   assay_dtype_name(dtype));
    return NULL;
}

static int read_entries(const struct assay_run *run, const struct assay_model *m, const char *whose,
                        const struct assay_archive *archive, const char *path, char *error,
                        size_t room)
{
    char name[NAME_ROOM];
    for (size_t i = 0; i < m->entries; i++) {
        const struct assay_entry *e = &m->entry[i];
        if (!is_held(whose, e))
            continue;
        entry_name(whose, e, name);
        const void *from = numbers_of(archive, path, name, dtype_of(run), e->elements, error, room);
        if (!from)
            return -1;
        memcpy(entry_data(m, e), from, e->elements * m->kernels->element);
    }
    return 0;
}

static int read_states(struct assay_run *run, const struct assay_archive *archive, const char *path,
                       char *error, size_t room)
{
    const struct assay_model *m = &run->model;
    void *const state[STATES] = {run->trainer.first, run->trainer.second, run->trainer.average};
    char name[NAME_ROOM];
    if (read_entries(run, m, "", archive, path, error, room) != 0
        || read_entries(run, &run->trainer.teacher, teachers, archive, path, error, room) != 0)
        return -1;
    for (int i = 0; i < STATES; i++) {
        size_t count = m->elements[ASSAY_PARAMETER];
        const void *from =
            state[i] ? numbers_of(archive, path, state_names[i], dtype_of(run), count, error, room)
                     : NULL;
        if (state[i] && !from)
            return -1;
        if (from)
            memcpy(state[i], from, count * m->kernels->element);
    }
    for (size_t i = 0; i < run->trainer.states.count; i++) {
        struct assay_state *s = run->trainer.states.state[i];
        paper_state_name(s, name);
        const void *from = numbers_of(archive, path, name, dtype_of(run), s->elements, error, room);
        if (!from)
            return -1;
        memcpy(s->data, from, s->elements * m->kernels->element);
    }
    return 0;
}

static int read_curve(struct assay_run *run, const struct assay_archive *archive, const char *path,
                      char *error, size_t room)
{
    const struct assay_archive_tensor *t = assay_archive_find(archive, "curve/step");
    size_t n = t ? t->elements : 0;
    const uint64_t *step = numbers_of(archive, path, "curve/step", ASSAY_DT_U64, n, error, room);
    const double *loss = numbers_of(archive, path, "curve/loss", ASSAY_DT_F64, n, error, room);
    const double *accuracy =
        numbers_of(archive, path, "curve/accuracy", ASSAY_DT_F64, n, error, room);
    if (!step || !loss || !accuracy)
        return -1;
    struct assay_record_point *curve = calloc(n + 1, sizeof *curve);
    if (!curve)
        return assay_complain(error, room, "%s: out of memory", path);
    for (size_t i = 0; i < n; i++)
        curve[i] = (struct assay_record_point){step[i], loss[i], accuracy[i]};
    free(run->curve);
    run->curve = curve;
    run->points = n;
    run->point_room = n + 1;
    return 0;
}

static int read_all(struct assay_run *run, const struct assay_archive *archive, const char *path,
                    char *error, size_t room)
{
    const uint64_t *counts =
        numbers_of(archive, path, "run/counts", ASSAY_DT_U64, COUNTS, error, room);
    const double *numbers =
        numbers_of(archive, path, "run/numbers", ASSAY_DT_F64, NUMBERS, error, room);
    if (!counts || !numbers)
        return -1;
    if (counts[0] > run->cell->training.steps)
        return assay_complain(error, room, "%s: expected a step up to %zu, found %" PRIu64, path,
                              run->cell->training.steps, counts[0]);
    if (read_states(run, archive, path, error, room) != 0
        || read_curve(run, archive, path, error, room) != 0)
        return -1;
    run->trainer.step = (size_t)counts[0];
    run->window = (struct assay_window){numbers[0], counts[1], counts[2], counts[3]};
    run->seconds = numbers[1] > 0 ? numbers[1] : 0;
    return 0;
}

int assay_checkpoint_load(struct assay_run *run, const char *path, char *error, size_t room)
{
    struct assay_archive *archive;
    if (assay_archive_read(path, &archive, error, room) != 0)
        return -1;
    char *cell = identity(run);
    const char *format = assay_archive_metadata(archive, "assay.format");
    const char *found = assay_archive_metadata(archive, "cell");
    int status;
    if (!cell)
        status = assay_complain(error, room, "%s: out of memory", path);
    else if (!format || strcmp(format, FORMAT) != 0)
        status = assay_complain(error, room, "%s: this is not a checkpoint", path);
    else if (!found || strcmp(cell, found) != 0)
        status = assay_complain(error, room,
                                "%s: this is the checkpoint of another configuration; "
                                "--restart throws it away",
                                path);
    else
        status = read_all(run, archive, path, error, room);
    free(cell);
    assay_archive_free(archive);
    return status;
}

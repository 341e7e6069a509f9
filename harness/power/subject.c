/* SPDX-License-Identifier: Apache-2.0 */
/* Computing what a golden holds with other kernels, another configuration or exchanged weights. */
#include "harness/power/subject.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness/configuration.h"
#include "harness/files.h"
#include "harness/lookup.h"
#include "harness/verdict.h"

static const char input_prefix[] = "input/", gradient_prefix[] = "grad/", trace_prefix[] = "trace/";

static struct assay_shape shape_of(const struct assay_archive_tensor *t)
{
    struct assay_shape shape = {.rank = (int)t->rank};
    for (size_t i = 0; i < t->rank && i < ASSAY_RANK_MAX; i++)
        shape.dim[i] = t->dim[i];
    return shape;
}

static int take_inputs(struct subject *s, const char *path, char *error, size_t room)
{
    for (size_t i = 0; i < assay_archive_count(s->golden->archive); i++) {
        const struct assay_archive_tensor *t = assay_archive_entry(s->golden->archive, i);
        if (strncmp(t->name, input_prefix, strlen(input_prefix)) != 0)
            continue;
        if (s->batch.inputs == ASSAY_INPUTS_MAX || t->rank > ASSAY_RANK_MAX
            || (t->dtype != ASSAY_DT_I32 && t->dtype != ASSAY_DT_F32))
            return assay_complain(error, room,
                                  "%s: %s: expected one of at most %d inputs, I32 or F32", path,
                                  t->name, ASSAY_INPUTS_MAX);
        s->batch.input[s->batch.inputs++] =
            (struct assay_input){.name = t->name + strlen(input_prefix),
                                 .type = t->dtype == ASSAY_DT_I32 ? ASSAY_I32 : ASSAY_REAL,
                                 .shape = shape_of(t),
                                 .data = t->data};
    }
    return 0;
}

int subject_open(struct subject *s, const char *path, char *error, size_t room)
{
    *s = (struct subject){0};
    if (assay_golden_open(path, &s->golden, error, room) != 0)
        return -1;
    const char *base = strrchr(path, '/');
    snprintf(s->name, sizeof s->name, "%s", base ? base + 1 : path);
    s->name[strcspn(s->name, ".")] = '\0';
    if (strcmp(s->golden->setting, "default") != 0)
        snprintf(s->name + strlen(s->name), sizeof s->name - strlen(s->name), ".%s",
                 s->golden->setting);
    s->variant = assay_lookup_variant(s->golden->id, error, room);
    if (!s->variant
        || assay_configuration_make(&s->config, s->variant, s->golden->configuration, error, room)
               != 0
        || take_inputs(s, path, error, room) != 0) {
        subject_close(s);
        return -1;
    }
    return 0;
}

void subject_close(struct subject *s)
{
    if (s->golden)
        assay_golden_close(s->golden);
    *s = (struct subject){0};
}

/* ---- one computation ---- */

struct computing {
    const struct subject *s;
    const struct mutant *mutant;
    struct assay_model model;
    tape t;
    void *gradients;
    double loss_scale;
    struct results *r;
};

/* The name with the mutant's two parts exchanged. */
static const char *exchanged(const struct mutant *m, const char *name, char buffer[ASSAY_NAME_MAX])
{
    for (int i = 0; m && m->exchanged[0] && i < 2; i++) {
        const char *at = strstr(name, m->exchanged[i]);
        if (!at)
            continue;
        snprintf(buffer, ASSAY_NAME_MAX, "%.*s%s%s", (int)(at - name), name, m->exchanged[1 - i],
                 at + strlen(m->exchanged[i]));
        return buffer;
    }
    return name;
}

static bool same_shape(const struct assay_archive_tensor *t, struct assay_shape shape)
{
    bool same = t && t->rank == (size_t)shape.rank && t->dtype == ASSAY_DT_F32;
    for (size_t i = 0; same && i < t->rank; i++)
        same = t->dim[i] == shape.dim[i];
    return same;
}

/* Every parameter comes from the file; buffers and draws where the file has them. */
static bool load_weights(struct computing *c)
{
    static const char *const prefix[ASSAY_KINDS] = {"param/", "buffer/", "draw/"};
    for (size_t i = 0; i < c->model.entries; i++) {
        const struct assay_entry *e = &c->model.entry[i];
        char buffer[ASSAY_NAME_MAX], name[2 * ASSAY_NAME_MAX];
        snprintf(name, sizeof name, "%s%s", prefix[e->kind], exchanged(c->mutant, e->name, buffer));
        const struct assay_archive_tensor *t = assay_archive_find(c->s->golden->archive, name);
        if (same_shape(t, e->shape))
            model_write_f32(&c->model, e, t->data);
        else if (t || e->kind == ASSAY_PARAMETER)
            return false;
    }
    return true;
}

/* Answers that count; the loss is their mean. */
static double answers(const struct assay_batch *batch)
{
    for (int i = 0; i < batch->inputs; i++)
        if (strcmp(batch->input[i].name, "label") == 0
            || strcmp(batch->input[i].name, "target") == 0)
            return (double)shape_elements(batch->input[i].shape);
    return 1;
}

static double *copy_of(const struct computing *c, size_t n, const void *data)
{
    double *values = malloc((n + 1) * sizeof *values);
    if (values)
        c->model.kernels->to_f64(n, data, values);
    return values;
}

/* The gradient of the parameter of that name in the file; zeros for one that the mutant doesn't
 * use, as a framework gives them. */
static double *gradient_of(const struct computing *c, const char *name, size_t n)
{
    char buffer[ASSAY_NAME_MAX];
    const struct assay_entry *e = model_find(&c->model, exchanged(c->mutant, name, buffer));
    if (!e || e->kind != ASSAY_PARAMETER)
        return calloc(n + 1, sizeof(double));
    double *values =
        e->elements == n
            ? copy_of(c, n, (const char *)c->gradients + e->offset * c->model.kernels->element)
            : NULL;
    for (size_t i = 0; values && i < n; i++)
        values[i] /= c->loss_scale;
    return values;
}

/* The trace of that name: "block.0", or "block.0@2" for the second of that name. */
static double *trace_of(const struct computing *c, const char *name, size_t n)
{
    size_t length = strcspn(name, "@"),
           wanted = name[length] ? strtoul(name + length + 1, NULL, 10) : 1;
    for (size_t i = 0; i < c->t.marks; i++) {
        const struct assay_marked *m = &c->t.marked[i];
        if (m->kind == ASSAY_TRACE && strlen(m->name) == length
            && strncmp(m->name, name, length) == 0 && --wanted == 0)
            return elements_of(m->value) == n ? copy_of(c, n, m->value->data) : NULL;
    }
    return NULL;
}

static double *value_of(const struct computing *c, const struct assay_golden_result *g,
                        tensor logits, tensor loss)
{
    const char *name = g->name;
    size_t n = g->bits->elements;
    if (g->decision)
        return NULL;
    if (strcmp(name, "output") == 0)
        return elements_of(logits) == n ? copy_of(c, n, logits->data) : NULL;
    if (strcmp(name, "loss") == 0)
        return copy_of(c, 1, loss->data);
    if (strncmp(name, gradient_prefix, strlen(gradient_prefix)) == 0)
        return gradient_of(c, name + strlen(gradient_prefix), n);
    return trace_of(c, name + strlen(trace_prefix), n);
}

static enum outcome pass_through(struct computing *c)
{
    const struct subject *s = c->s;
    tensor logits = TENSOR_NONE;
    c->t.recording = true;
    struct assay_pass pass = {.model = &c->model,
                              .t = &c->t,
                              .batch = &s->batch,
                              .gradients = c->gradients,
                              .train = c->mutant && c->mutant->train,
                              .denominator = answers(&s->batch)};
    tensor loss = model_loss(&pass, &logits);
    if (tape_error(&c->t))
        return OUTCOME_STOPS;
    tensor cotangent = tape_filled(&c->t, loss->shape, c->loss_scale);
    if (cotangent)
        tape_backward_from(&c->t, 1, &loss, &cotangent);
    if (tape_error(&c->t))
        return OUTCOME_STOPS;
    for (size_t i = 0; i < s->golden->count; i++)
        c->r->values[i] = value_of(c, &s->golden->result[i], logits, loss);
    return OUTCOME_PASSES;
}

static size_t decisions_of(const struct subject *s)
{
    size_t count = 0;
    for (size_t i = 0; i < s->golden->count; i++)
        count += s->golden->result[i].decision;
    return count;
}

bool subject_decides(const struct subject *s)
{
    size_t decided = 0, weights = 0;
    for (size_t i = 0; i < s->golden->count; i++) {
        const struct assay_golden_result *r = &s->golden->result[i];
        decided += r->decision ? r->bits->elements : 0;
        weights += strncmp(r->name, "grad/", 5) == 0 ? r->bits->elements : 0;
    }
    return 2 * decided > weights;
}

/* Values are judged under the golden's decisions. Caller: free; NULL without memory. */
static struct assay_decided *take_decisions(const struct computing *c)
{
    const struct assay_golden *g = c->s->golden;
    struct assay_decided *decided = calloc(decisions_of(c->s) + 1, sizeof *decided);
    for (size_t i = 0, n = 0; decided && i < g->count; i++)
        if (g->result[i].decision)
            decided[n++] =
                (struct assay_decided){g->result[i].bits->data, g->result[i].bits->elements};
    return decided;
}

static enum outcome run_model(struct computing *c)
{
    struct assay_decided *decided = take_decisions(c);
    c->gradients = calloc(c->model.elements[ASSAY_PARAMETER] + 1, c->model.kernels->element);
    c->r->values = calloc(c->s->golden->count + 1, sizeof *c->r->values);
    c->r->count = c->s->golden->count;
    enum outcome outcome = OUTCOME_BROKEN;
    if (!load_weights(c))
        outcome = OUTCOME_MISFIT;
    else if (decided && c->gradients && c->r->values && tape_open(&c->t, c->model.kernels) == 0) {
        c->t.decisions = decisions_of(c->s);
        c->t.decided = c->t.decisions ? decided : NULL;
        outcome = pass_through(c);
        tape_close(&c->t);
    }
    free(c->gradients);
    free(decided);
    return outcome;
}

/* The golden's configuration with the mutant's fields; false: it has no such fields or values. */
static bool configure(const struct subject *s, const struct mutant *mutant,
                      struct assay_config *config)
{
    char text[4096], error[ASSAY_ERROR_ROOM];
    if (!mutant || !mutant->configuration) {
        *config = s->config;
        return true;
    }
    int length =
        snprintf(text, sizeof text, "%s %s", s->golden->configuration, mutant->configuration);
    return length > 0 && (size_t)length < sizeof text
           && assay_configuration_make(config, s->variant, text, error, sizeof error) == 0;
}

enum outcome subject_compute(const struct subject *s, const struct mutant *mutant,
                             const struct assay_kernels *kernels, double loss_scale,
                             struct results *r)
{
    struct computing c = {.s = s, .mutant = mutant, .loss_scale = loss_scale, .r = r};
    struct assay_config config;
    char error[ASSAY_ERROR_ROOM];
    *r = (struct results){0};
    if (!configure(s, mutant, &config))
        return OUTCOME_MISFIT;
    if (mutant)
        kernels = assay_mutant_begin(kernels, mutant);
    if (model_open(&c.model, kernels, s->variant, &config, &s->batch, 1, error, sizeof error) != 0)
        return OUTCOME_MISFIT;
    enum outcome outcome = run_model(&c);
    model_close(&c.model);
    return mutant && assay_mutant_failed() ? OUTCOME_BROKEN : outcome;
}

void results_free(struct results *r)
{
    for (size_t i = 0; r->values && i < r->count; i++)
        free(r->values[i]);
    free(r->values);
    *r = (struct results){0};
}

/* ---- the verdict ---- */

static double budget_of(const struct assay_golden_result *g, int column)
{
    return assay_budget(g->honest[column], g->scale, assay_golden_column_roundoff(column));
}

bool subject_judges(const struct assay_golden_result *g, int column)
{
    return assay_judges(budget_of(g, column), g->rms);
}

bool subject_judges_any(const struct subject *s, int column)
{
    size_t i = 0;
    while (i < s->golden->count
           && (s->golden->result[i].decision || !subject_judges(&s->golden->result[i], column)))
        i++;
    return i < s->golden->count;
}

struct judged subject_judge(const struct subject *s, const struct results *r, int column)
{
    struct judged j = {.outcome = OUTCOME_PASSES};
    for (size_t i = 0; i < r->count; i++) {
        const struct assay_golden_result *g = &s->golden->result[i];
        if (!r->values[i])
            continue;
        struct assay_deviation d =
            assay_deviate(g->truth->elements, ASSAY_DT_F64, r->values[i], g->truth->data);
        double budget = budget_of(g, column);
        if (d.finite && !subject_judges(g, column))
            continue;
        double part = !d.finite ? INFINITY : d.largest > 0 ? d.largest / budget : 0;
        if (part > j.largest) {
            j.largest = part;
            j.tensor = i;
        }
        if (d.finite && d.largest <= budget)
            continue;
        j.outcome = OUTCOME_FAILS;
        j.failing++;
        j.forward = j.forward || strncmp(g->name, gradient_prefix, strlen(gradient_prefix)) != 0;
    }
    return j;
}

struct distance subject_distance(const struct subject *s, const struct results *r)
{
    struct distance distance = {0};
    for (size_t i = 0; i < r->count; i++) {
        const struct assay_golden_result *g = &s->golden->result[i];
        if (!r->values[i])
            continue;
        double unit = g->scale * (DBL_EPSILON / 2);
        struct assay_deviation d =
            assay_deviate(g->truth->elements, ASSAY_DT_F64, r->values[i], g->truth->data);
        if (d.largest <= 0)
            continue;
        distance.units = fmax(distance.units, d.largest / unit);
        if (g->largest > assay_same_function * unit || d.largest > assay_same_function * unit)
            distance.relative =
                fmax(distance.relative, d.largest / fmax(g->largest, assay_same_function * unit));
    }
    return distance;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* A paper or a task as JSON. Keys of absent things are absent. */
#include "harness/show_json.h"

#include <math.h>

#include "harness/golden.h"
#include "harness/json.h"
#include "harness/lookup.h"

/* One object or list that is being written. */
struct level {
    FILE *out;
    int members;
};

static void begin(struct level *l)
{
    fputs(l->members++ ? ", " : "", l->out);
}

static void key(struct level *l, const char *name)
{
    begin(l);
    assay_json_put_string(l->out, name);
    fputs(": ", l->out);
}

static void text(struct level *l, const char *name, const char *value)
{
    if (!value)
        return;
    key(l, name);
    assay_json_put_string(l->out, value);
}

static void number(struct level *l, const char *name, double value)
{
    if (!isfinite(value))
        return;
    key(l, name);
    assay_json_put_number(l->out, value);
}

static struct level open_object(struct level *parent, const char *name)
{
    if (name)
        key(parent, name);
    else
        begin(parent);
    fputc('{', parent->out);
    return (struct level){parent->out, 0};
}

static struct level open_list(struct level *parent, const char *name)
{
    key(parent, name);
    fputc('[', parent->out);
    return (struct level){parent->out, 0};
}

static void close_with(struct level *l, char bracket)
{
    fputc(bracket, l->out);
}

static void put_hypers(struct level *paper, const struct assay_variant *v)
{
    struct level list = open_list(paper, "hyperparameters");
    for (const struct variant_hyper *h = v->hypers; h && h->name; h++) {
        struct level one = open_object(&list, NULL);
        text(&one, "name", h->name);
        text(&one, "meaning", h->meaning);
        if (h->choices) {
            text(&one, "paper", h->choices[(int)h->paper]);
            text(&one, "tiny", h->choices[(int)h->tiny]);
        } else {
            number(&one, "paper", h->paper);
            number(&one, "tiny", h->tiny);
        }
        text(&one, "legal", h->legal_text);
        close_with(&one, '}');
    }
    close_with(&list, ']');
}

static void put_settings(struct level *paper, const struct assay_variant *v)
{
    struct level list = open_list(paper, "settings");
    for (const struct variant_setting *s = v->settings; s && s->name; s++) {
        char path[ASSAY_GOLDEN_PATH];
        struct level one = open_object(&list, NULL);
        text(&one, "name", s->name);
        text(&one, "overrides", s->overrides);
        if (assay_golden_path("", v, s, path))
            text(&one, "golden", path);
        close_with(&one, '}');
    }
    close_with(&list, ']');
}

static void put_forms(struct level *paper, const struct assay_variant *v)
{
    struct level list = open_list(paper, "forms");
    for (const struct variant_form *f = v->forms; f && f->name; f++) {
        struct level one = open_object(&list, NULL);
        text(&one, "name", f->name);
        text(&one, "overrides", f->overrides);
        text(&one, "equals", f->equals == FORM_BITS ? "bits" : "rounding");
        if (f->equals == FORM_ROUNDING)
            number(&one, "bound", f->bound);
        text(&one, "reason", f->reason);
        close_with(&one, '}');
    }
    close_with(&list, ']');
}

static void put_properties(struct level *paper, const struct assay_variant *v)
{
    struct level list = open_list(paper, "properties");
    for (const struct variant_property *p = v->properties; p && p->holds; p++) {
        struct level one = open_object(&list, NULL);
        text(&one, "property", assay_property_name(p->which));
        text(&one, "holds", assay_holds_name(p->holds));
        text(&one, "mode", p->mode);
        text(&one, "reason", p->reason);
        close_with(&one, '}');
    }
    close_with(&list, ']');
}

static void put_claims(struct level *paper, const struct assay_variant *v)
{
    struct level list = open_list(paper, "claims");
    for (const struct variant_claim *c = v->claims; c && c->check; c++) {
        struct level one = open_object(&list, NULL);
        text(&one, "class", assay_class_name(c->class));
        text(&one, "statement", c->statement);
        close_with(&one, '}');
    }
    close_with(&list, ']');
}

static void put_measurements(struct level *paper, const struct assay_variant *v)
{
    struct level list = open_list(paper, "measurements");
    for (const struct variant_measurement *m = v->measurements; m && m->name; m++) {
        struct level one = open_object(&list, NULL);
        text(&one, "name", m->name);
        text(&one, "caption", m->caption);
        close_with(&one, '}');
    }
    close_with(&list, ']');
}

void assay_show_paper_json(FILE *out, const struct assay_variant *v,
                           const struct assay_outside *outside)
{
    struct level top = {out, 0}, paper = open_object(&top, NULL);
    text(&paper, "id", v->id);
    text(&paper, "title", v->title);
    text(&paper, "authors", v->authors);
    text(&paper, "paper", v->source.paper);
    text(&paper, "code", v->source.code);
    text(&paper, "settled_by", v->source.settled_by);
    text(&paper, "confidence", assay_confidence_name(v->source.confidence));
    text(&paper, "kind", assay_kind_name(v->kind));
    text(&paper, "family", v->family);
    text(&paper, "replaces", v->replaces);
    text(&paper, "idea", v->idea);
    text(&paper, "equations", v->equations);
    put_hypers(&paper, v);
    put_settings(&paper, v);
    put_forms(&paper, v);
    put_properties(&paper, v);
    put_claims(&paper, v);
    put_measurements(&paper, v);
    if (outside) {
        struct level one = open_object(&paper, "outside");
        text(&one, "repository", assay_outside_says(outside, "repository"));
        text(&one, "commit", assay_outside_says(outside, "commit"));
        close_with(&one, '}');
    }
    text(&paper, "untested", v->untested);
    close_with(&paper, '}');
    fputc('\n', out);
}

void assay_show_task_json(FILE *out, const struct assay_task *task)
{
    struct level top = {out, 0}, object = open_object(&top, NULL);
    text(&object, "id", task->id);
    text(&object, "title", task->title);
    text(&object, "source", task->source);
    number(&object, "vocab", (double)task->vocab);
    number(&object, "classes", (double)task->classes);
    struct level list = open_list(&object, "presets");
    for (size_t i = 0; i < task->preset_count; i++) {
        const struct assay_task_preset *data = &task->presets[i];
        const struct assay_suite *suite = NULL;
        const struct assay_preset *p = assay_preset_find(task->id, data->name, &suite);
        struct level one = open_object(&list, NULL);
        text(&one, "name", data->name);
        number(&one, "train", (double)data->count[ASSAY_TRAIN]);
        number(&one, "validation", (double)data->count[ASSAY_VALIDATION]);
        number(&one, "test", (double)data->count[ASSAY_TEST]);
        number(&one, "length", (double)data->length);
        number(&one, "test_length", (double)(data->test_length ? data->test_length : data->length));
        number(&one, "vocab", (double)assay_task_vocab(task, data));
        number(&one, "classes", (double)assay_task_classes(task, data));
        text(&one, "suite", suite ? suite->id : NULL);
        text(&one, "model", p ? p->model : NULL);
        number(&one, "steps", p ? (double)p->steps : (double)NAN);
        number(&one, "batch", p ? (double)p->batch : (double)NAN);
        close_with(&one, '}');
    }
    close_with(&list, ']');
    close_with(&object, '}');
    fputc('\n', out);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* What a layer sees: its path, its tensors in the registry, the inputs
 * and the streams of the pass. */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "ref/model/internal.h"

void say_where(layer *l)
{
    snprintf(l->t->where, sizeof l->t->where, "%s%s%s",
             l->model->variant ? l->model->variant->id : "reference", l->path[0] ? ": " : "",
             l->path);
}

size_t layer_enter(layer *l, const char *format, ...)
{
    size_t mark = strlen(l->path);
    char *end = l->path + mark;
    size_t room = sizeof l->path - mark;
    if (mark && room > 1) {
        *end++ = '.';
        room--;
    }
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(end, room, format, arguments);
    va_end(arguments);
    say_where(l);
    return mark;
}

void layer_leave(layer *l, size_t mark)
{
    l->path[mark] = '\0';
    say_where(l);
}

void layer_fail(layer *l, const char *what, const char *format, ...)
{
    char message[256];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    tape_fail(l->t, what, "%s", message);
}

const struct assay_config *config_of(const layer *l)
{
    return l->context && l->context->stage ? l->context->stage : &l->model->config;
}
enum assay_profile profile_of(const layer *l)
{
    return l->model->kernels->profile;
}

double hyper(const layer *l, const char *name)
{
    int index;
    return l->model->variant && variant_by_hyper(l->model->variant, name, &index)
               ? config_of(l)->hyper[index]
               : (double)NAN;
}

size_t hyper_n(const layer *l, const char *name)
{
    double value = hyper(l, name);
    return value > 0 ? (size_t)value : 0;
}

bool hyper_is(const layer *l, const char *name, const char *choice)
{
    int index;
    const struct assay_variant *v = l->model->variant;
    if (!v || !variant_by_hyper(v, name, &index) || !v->hypers[index].choices)
        return false;
    return strcmp(v->hypers[index].choices[(int)config_of(l)->hyper[index]], choice) == 0;
}

static bool full_name(const layer *l, const char *name, char full[ASSAY_NAME_MAX])
{
    int length = snprintf(full, ASSAY_NAME_MAX, "%s%s%s", l->path, l->path[0] ? "." : "", name);
    return length > 0 && length < ASSAY_NAME_MAX;
}

static bool same_init(const struct assay_init *a, const struct assay_init *b)
{
    return a->rule == b->rule && a->a == b->a && a->b == b->b && a->fan_in == b->fan_in
           && a->table == b->table;
}

static const struct assay_entry *entry_for(layer *l, enum assay_kind kind, const char *name,
                                           struct assay_shape shape, struct assay_init init)
{
    char full[ASSAY_NAME_MAX], expected[96], found[96];
    if (tape_error(l->t))
        return NULL;
    if (!full_name(l, name, full)) {
        layer_fail(l, "param", "the name '%s' is longer than %d characters", name,
                   ASSAY_NAME_MAX - 1);
        return NULL;
    }
    const struct assay_entry *e = model_find(l->model, full);
    if (!e && l->model->declaring && !(e = registry_add(l->model, kind, full, shape, init)))
        layer_fail(l, "param", "out of memory");
    else if (!e)
        layer_fail(l, "param", "'%s' is used but was not declared by the first walk", full);
    else if (e->kind != kind || !shape_equal(e->shape, shape))
        layer_fail(l, "param", "'%s' is declared as %s and used as %s", full,
                   shape_text(e->shape, expected), shape_text(shape, found));
    else if (!same_init(&e->init, &init))
        layer_fail(l, "param", "'%s' is used with two different initialisers", full);
    else
        return e;
    return tape_error(l->t) ? NULL : e;
}

tensor param(layer *l, const char *name, struct assay_shape shape, struct assay_init init)
{
    const struct assay_entry *e = entry_for(l, ASSAY_PARAMETER, name, shape, init);
    if (!e)
        return TENSOR_NONE;
    const struct assay_pass *pass = l->context->pass;
    bool trained = pass->gradients && (!pass->trainable || pass->trainable[e - l->model->entry]);
    void *gradient =
        trained ? (char *)pass->gradients + e->offset * l->model->kernels->element : NULL;
    tensor x = tape_parameter(l->t, shape, entry_data(l->model, e), gradient);
    tape_name(l->t, x, "param", e->name);
    return x;
}

/* What is not trained. */
static tensor given(layer *l, enum assay_kind kind, const char *name, struct assay_shape shape,
                    struct assay_init init)
{
    const struct assay_entry *e = entry_for(l, kind, name, shape, init);
    if (!e)
        return TENSOR_NONE;
    tensor x = tape_parameter(l->t, shape, entry_data(l->model, e), NULL);
    tape_name(l->t, x, kind == ASSAY_BUFFER ? "buffer" : "draw", e->name);
    return x;
}

tensor buffer(layer *l, const char *name, struct assay_shape shape, struct assay_init init)
{
    return given(l, ASSAY_BUFFER, name, shape, init);
}

tensor draw(layer *l, const char *name, struct assay_shape shape, struct assay_init init)
{
    return given(l, ASSAY_DRAW, name, shape, init);
}

void buffer_emit(layer *l, const char *name, tensor value, double keep)
{
    char full[ASSAY_NAME_MAX];
    struct assay_pass *pass = l->context->pass;
    if (!value || !pass->emission || !full_name(l, name, full))
        return;
    const struct assay_entry *e = model_find(l->model, full);
    if (!e || e->kind != ASSAY_BUFFER || e->elements != elements_of(value))
        layer_fail(l, "buffer_emit", "'%s' is no buffer of %zu elements", full, elements_of(value));
    else if (pass->emissions == pass->emission_room)
        layer_fail(l, "buffer_emit", "more than %d updates in one pass", pass->emission_room);
    else
        pass->emission[pass->emissions++] = (struct assay_emission){
            (size_t)(e - l->model->entry), keep, l->t->recording ? value : tape_keep(l->t, value)};
}

static const struct assay_input *find_input(const layer *l, const char *name)
{
    const struct assay_batch *b = l->context->batch;
    for (int i = 0; i < b->inputs; i++)
        if (strcmp(b->input[i].name, name) == 0)
            return &b->input[i];
    return NULL;
}

bool has_input(const layer *l, const char *name)
{
    const struct assay_pass *p = l->context->pass;
    for (int i = 0; i < p->givens; i++)
        if (strcmp(p->given[i].name, name) == 0)
            return p->given[i].value != TENSOR_NONE;
    return find_input(l, name) != NULL;
}

bool pass_give(struct assay_pass *p, const char *name, tensor x)
{
    int i = 0;
    while (i < p->givens && strcmp(p->given[i].name, name) != 0)
        i++;
    if (i == ASSAY_GIVENS_MAX)
        return false;
    p->given[i].name = name;
    p->given[i].value = x;
    p->givens += i == p->givens;
    return true;
}

tensor input(layer *l, const char *name)
{
    const struct assay_pass *p = l->context->pass;
    for (int i = 0; i < p->givens; i++)
        if (strcmp(p->given[i].name, name) == 0)
            return p->given[i].value;
    const struct assay_input *in = find_input(l, name);
    if (!in) {
        layer_fail(l, "input", "the batch has no input '%s'", name);
        return TENSOR_NONE;
    }
    tensor x = in->type == ASSAY_I32 ? tape_input_i32(l->t, in->shape, in->data)
                                     : tape_input_f32(l->t, in->shape, in->data);
    tape_name(l->t, x, "input", name);
    return x;
}

void trace(layer *l, const char *name, tensor x)
{
    if (x)
        tape_mark(l->t, ASSAY_TRACE,
                  tape_string(l->t, "%s%s%s", l->path, l->path[0] ? "." : "", name), x,
                  (double)INFINITY);
}

void stream_put(layer *l, const char *name, tensor x)
{
    struct assay_context *c = l->context;
    int i = 0;
    while (i < c->streams && strcmp(c->stream[i].name, name) != 0)
        i++;
    if (i == ASSAY_STREAMS_MAX) {
        layer_fail(l, "stream_put", "more than %d streams at '%s'", ASSAY_STREAMS_MAX, name);
        return;
    }
    c->stream[i].name = name;
    c->stream[i].value = x;
    if (i == c->streams)
        c->streams++;
}

tensor stream_get(const layer *l, const char *name)
{
    const struct assay_context *c = l->context;
    for (int i = 0; i < c->streams; i++)
        if (strcmp(c->stream[i].name, name) == 0)
            return c->stream[i].value;
    return TENSOR_NONE;
}

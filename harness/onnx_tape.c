/* SPDX-License-Identifier: Apache-2.0 */
/* From a recorded tape to ONNX files: only what the results need is written. */
#include "harness/onnx_tape.h"

#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness/files.h"
#include "harness/onnx_ops.h"

/* The name of a tensor's value; NULL while it is only known to be needed. */
struct named {
    tensor x;
    const char *name;
};

struct exporting {
    tape *t;
    struct assay_onnx graph;
    size_t values;
    void *names, *leaves; /* trees: struct named by tensor; names of inputs and initializers */
    struct assay_onnx_files *files;
    size_t inputs, outputs;
};

static int by_tensor(const void *a, const void *b)
{
    uintptr_t one = (uintptr_t)((const struct named *)a)->x,
              other = (uintptr_t)((const struct named *)b)->x;
    return (one > other) - (one < other);
}

static int by_text(const void *a, const void *b)
{
    return strcmp(a, b);
}

/* The tree; what it holds is the tape's. */
static void tree_free(void **tree, int (*compare)(const void *, const void *))
{
    while (*tree)
        tdelete(*(void **)*tree, tree, compare);
}

static struct named *find(const struct exporting *e, tensor x)
{
    struct named **found = tfind(&(struct named){.x = x}, &e->names, by_tensor);
    return found ? *found : NULL;
}

/* The entry of a tensor, made where there is none; NULL after an error. */
static struct named *need(struct exporting *e, tensor x)
{
    struct named *n = find(e, x);
    if (n || !(n = tape_allocate(e->t, sizeof *n)))
        return n;
    *n = (struct named){.x = x};
    if (!tsearch(n, &e->names, by_tensor))
        tape_fail(e->t, "export", "out of memory");
    return n;
}

static struct assay_protobuf *new_file(struct exporting *e, const char *format, size_t number)
{
    struct assay_onnx_files *files = e->files;
    struct assay_onnx_file *grown = realloc(files->file, (files->count + 1) * sizeof *grown);
    if (!grown) {
        tape_fail(e->t, "export", "out of memory");
        return NULL;
    }
    files->file = grown;
    struct assay_onnx_file *file = &grown[files->count++];
    *file = (struct assay_onnx_file){0};
    snprintf(file->name, sizeof file->name, format, number);
    return &file->content;
}

static enum assay_onnx_type type_of(tensor x)
{
    return x->type == ASSAY_REAL ? ASSAY_ONNX_FLOAT : ASSAY_ONNX_INT32;
}

static void write_input(struct exporting *e, tensor x, const char *name)
{
    assay_onnx_input(&e->graph, name, type_of(x), x->shape);
    struct assay_protobuf *file = new_file(e, ASSAY_ONNX_DATA "/input_%zu.pb", e->inputs++);
    if (file)
        assay_onnx_tensor(file, name, type_of(x), x->shape, x->data);
}

/* Several leaves stand for one weight or input where it is used several times. */
static const char *leaf_name(struct exporting *e, tensor x)
{
    const struct assay_description *d = x->description;
    if (!d)
        return assay_onnx_constant(&e->graph, NULL, type_of(x), x->shape, x->data);
    char *name = tape_string(e->t, "%s/%s", d->op, d->name);
    char **known = name ? tsearch(name, &e->leaves, by_text) : NULL;
    if (!known) {
        tape_fail(e->t, "export", "out of memory");
    } else if (*known == name) {
        if (strcmp(d->op, "input") == 0)
            write_input(e, x, name);
        else
            assay_onnx_constant(&e->graph, name, type_of(x), x->shape, x->data);
    }
    return name;
}

static const char *value_name(struct exporting *e, tensor x)
{
    struct named *n = x ? need(e, x) : NULL;
    if (n && !n->name)
        n->name = leaf_name(e, x);
    return n ? n->name : NULL;
}

static void write_op(struct exporting *e, struct named *n)
{
    const struct assay_description *d = n->x->description;
    const char **operand = tape_allocate(e->t, (size_t)d->operands * sizeof *operand);
    if (!operand)
        return;
    e->graph.where = d->where;
    for (int i = 0; i < d->operands; i++)
        operand[i] = value_name(e, d->operand[i]);
    if (!tape_error(e->t))
        n->name = assay_onnx_op(&e->graph, n->x, operand);
    e->files->ops++;
}

/* The tape's order is topological: what is needed is found backwards and written forwards. */
static void write_ops(struct exporting *e)
{
    for (size_t i = e->t->nodes; i-- > 0 && !tape_error(e->t);) {
        const struct assay_description *d = e->t->node[i]->description;
        for (int j = 0; find(e, e->t->node[i]) && d && j < d->operands; j++)
            if (d->operand[j])
                need(e, d->operand[j]);
    }
    for (size_t i = 0; i < e->t->nodes && !tape_error(e->t); i++) {
        struct named *n = find(e, e->t->node[i]);
        if (n && n->x->description)
            write_op(e, n);
    }
}

static void write_output(struct exporting *e, tensor x, const char *wanted)
{
    const char *name = tape_string(e->t, "%s", wanted), *value = value_name(e, x);
    char **known = name ? tsearch(name, &e->leaves, by_text) : NULL;
    for (int again = 2; known && *known != name; again++) {
        name = tape_string(e->t, "%s@%d", wanted, again);
        known = name ? tsearch(name, &e->leaves, by_text) : NULL;
    }
    struct assay_protobuf *file =
        known ? new_file(e, ASSAY_ONNX_DATA "/output_%zu.pb", e->outputs++) : NULL;
    if (!file || tape_error(e->t))
        return;
    assay_onnx_copy(&e->graph, value, name);
    assay_onnx_output(&e->graph, name, type_of(x), x->shape);
    assay_onnx_tensor(file, name, type_of(x), x->shape, x->data);
}

static void write_model(struct exporting *e, const struct assay_onnx_about *about)
{
    struct assay_protobuf *model = new_file(e, "model.onnx", 0);
    if (model)
        assay_onnx_model(&e->graph, about->name, about->text, about->property, model);
}

static void write_all(struct exporting *e, size_t count, const tensor *result,
                      const char *const *name, const struct assay_onnx_about *about)
{
    for (size_t i = 0; i < count; i++)
        if (result[i])
            need(e, result[i]);
    write_ops(e);
    for (size_t i = 0; i < count; i++)
        if (result[i])
            write_output(e, result[i], name[i]);
    if (!tape_error(e->t))
        write_model(e, about);
    for (size_t i = 0; i < e->files->count; i++)
        if (e->files->file[i].content.failed)
            tape_fail(e->t, "export", "out of memory");
}

int assay_onnx_tape(tape *t, size_t count, const tensor *result, const char *const *name,
                    const struct assay_onnx_about *about, struct assay_onnx_files *files,
                    char *error, size_t room)
{
    struct exporting e = {.t = t, .files = files};
    *files = (struct assay_onnx_files){0};
    e.graph = (struct assay_onnx){.t = t, .named = &e.values};
    if (!tape_error(t))
        write_all(&e, count, result, name, about);
    tree_free(&e.names, by_tensor);
    tree_free(&e.leaves, by_text);
    assay_onnx_free(&e.graph);
    return tape_error(t) ? assay_complain(error, room, "%s", tape_error(t)) : 0;
}

void assay_onnx_files_free(struct assay_onnx_files *files)
{
    for (size_t i = 0; i < files->count; i++)
        assay_protobuf_free(&files->file[i].content);
    free(files->file);
    *files = (struct assay_onnx_files){0};
}

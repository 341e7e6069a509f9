/* SPDX-License-Identifier: Apache-2.0 */
/* The state of step-by-step decoding: caches that grow and states that are
 * replaced, by the name of their layer. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ref/model/internal.h"

enum { HELD_MAX = 256 };

struct held {
    char name[ASSAY_NAME_MAX];
    struct assay_shape shape;
    bool grows; /* a cache: axis 1 is the capacity, of which `filled` is filled */
    size_t filled;
    void *data;
};

struct assay_decode {
    const struct assay_kernels *kernels;
    size_t capacity, position;
    size_t count;
    struct held held[HELD_MAX];
};

struct assay_decode *decode_open(const struct assay_kernels *kernels, size_t capacity)
{
    struct assay_decode *d = calloc(1, sizeof *d);
    if (d) {
        d->kernels = kernels;
        d->capacity = capacity;
    }
    return d;
}

void decode_close(struct assay_decode *d)
{
    for (size_t i = 0; d && i < d->count; i++)
        free(d->held[i].data);
    free(d);
}

size_t decode_position(const struct assay_decode *d)
{
    return d->position;
}
size_t decode_capacity(const struct assay_decode *d)
{
    return d->capacity;
}
void decode_advance(struct assay_decode *d, size_t tokens)
{
    d->position += tokens;
}

/* Of a cache only what is filled counts. */
size_t decode_bytes(const struct assay_decode *d)
{
    size_t bytes = 0;
    for (size_t i = 0; i < d->count; i++) {
        const struct held *h = &d->held[i];
        size_t elements = shape_elements(h->shape);
        if (h->grows)
            elements = elements / h->shape.dim[1] * h->filled;
        bytes += elements * d->kernels->element;
    }
    return bytes;
}

static struct held *held_for(layer *l, const char *name, struct assay_shape shape, bool grows)
{
    struct assay_decode *d = l->context->decode;
    char full[ASSAY_NAME_MAX];
    if (snprintf(full, sizeof full, "%s.%s", l->path, name) >= ASSAY_NAME_MAX)
        return NULL;
    for (size_t i = 0; i < d->count; i++)
        if (strcmp(d->held[i].name, full) == 0)
            return shape_equal(d->held[i].shape, shape) ? &d->held[i] : NULL;
    if (d->count == HELD_MAX)
        return NULL;
    struct held *h = &d->held[d->count];
    size_t bytes = shape_elements(shape) * d->kernels->element;
    h->data = calloc(bytes + 1, 1);
    if (!h->data)
        return NULL;
    memcpy(h->name, full, sizeof full);
    h->shape = shape;
    h->grows = grows;
    d->count++;
    return h;
}

/* Row by row into place: x [b, m, ..] goes to positions
 * first .. first + m - 1 of [b, capacity, ..], and what was behind them is forgotten. */
static void append(struct held *h, tensor x, size_t first, size_t element)
{
    size_t row = elements_of(x) / (dim_of(x, 0) * dim_of(x, 1)) * element;
    size_t tokens = dim_of(x, 1);
    for (size_t b = 0; b < dim_of(x, 0); b++)
        memcpy((char *)h->data + (b * h->shape.dim[1] + first) * row,
               (char *)x->data + b * tokens * row, tokens * row);
    h->filled = first + tokens;
}

tensor cached(layer *l, const char *name, tensor x)
{
    const struct assay_context *c = l->context;
    if (!x || !c->decode)
        return x;
    struct assay_shape shape = x->shape;
    if (c->first + dim_of(x, 1) > c->capacity) {
        layer_fail(l, "cached", "expected at most %zu tokens, got token %zu", c->capacity,
                   c->first + dim_of(x, 1));
        return TENSOR_NONE;
    }
    shape.dim[1] = c->capacity;
    struct held *h = held_for(l, name, shape, true);
    if (!h) {
        layer_fail(l, "cached", "no room for the cache '%s', or its shape has changed", name);
        return TENSOR_NONE;
    }
    append(h, x, c->first, c->decode->kernels->element);
    return tape_parameter(l->t, shape, h->data, NULL);
}

tensor carried(layer *l, const char *name, struct assay_shape shape)
{
    if (!l->context->decode)
        return tape_filled(l->t, shape, 0);
    struct held *h = held_for(l, name, shape, false);
    if (!h) {
        layer_fail(l, "carried", "no room for the state '%s', or its shape has changed", name);
        return TENSOR_NONE;
    }
    return tape_parameter(l->t, shape, h->data, NULL);
}

tensor carried_on(layer *l, const char *name)
{
    struct assay_decode *d = l->context->decode;
    char full[ASSAY_NAME_MAX];
    bool fits = snprintf(full, sizeof full, "%s.%s", l->path, name) < ASSAY_NAME_MAX;
    for (size_t i = 0; fits && i < d->count; i++)
        if (strcmp(d->held[i].name, full) == 0)
            return tape_parameter(l->t, d->held[i].shape, d->held[i].data, NULL);
    layer_fail(l, "carried_on", "there is no state '%s'", name);
    return TENSOR_NONE;
}

void carry(layer *l, const char *name, tensor x)
{
    if (!x || !l->context->decode)
        return;
    struct held *h = held_for(l, name, x->shape, false);
    if (h)
        memcpy(h->data, x->data, elements_of(x) * l->context->decode->kernels->element);
    else
        layer_fail(l, "carry", "no room for the state '%s', or its shape has changed", name);
}

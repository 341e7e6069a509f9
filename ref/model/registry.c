/* SPDX-License-Identifier: Apache-2.0 */
/* The registry of named tensors: parameters, buffers and draws, each kind in one
 * flat array of the profile. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ref/model/internal.h"

static size_t name_hash(const char *name)
{
    uint64_t h = 0xcbf29ce484222325u;
    for (; *name; name++)
        h = (h ^ (unsigned char)*name) * 0x100000001b3u;
    return (size_t)h;
}

static size_t *slot_of(const struct assay_model *m, const char *name)
{
    size_t i = name_hash(name) & (m->buckets - 1);
    while (m->bucket[i] && strcmp(m->entry[m->bucket[i] - 1].name, name) != 0)
        i = (i + 1) & (m->buckets - 1);
    return &m->bucket[i];
}

const struct assay_entry *model_find(const struct assay_model *m, const char *name)
{
    if (!m->buckets)
        return NULL;
    size_t index = *slot_of(m, name);
    return index ? &m->entry[index - 1] : NULL;
}

static bool grow_buckets(struct assay_model *m)
{
    size_t buckets = m->buckets ? 2 * m->buckets : 256;
    size_t *bucket = calloc(buckets, sizeof *bucket);
    if (!bucket)
        return false;
    free(m->bucket);
    m->bucket = bucket;
    m->buckets = buckets;
    for (size_t i = 0; i < m->entries; i++)
        *slot_of(m, m->entry[i].name) = i + 1;
    return true;
}

const struct assay_entry *registry_add(struct assay_model *m, enum assay_kind kind,
                                       const char *name, struct assay_shape shape,
                                       struct assay_init init)
{
    /* A tensor has less elements than SIZE_MAX / 16: no sum overflows. */
    if (m->elements[kind] > SIZE_MAX / 16)
        return NULL;
    if (m->entries == m->entry_room) {
        size_t room = m->entry_room ? 2 * m->entry_room : 64;
        struct assay_entry *entry = realloc(m->entry, room * sizeof *entry);
        if (!entry)
            return NULL;
        m->entry = entry;
        m->entry_room = room;
    }
    if (2 * (m->entries + 1) > m->buckets && !grow_buckets(m))
        return NULL;
    struct assay_entry *e = &m->entry[m->entries];
    *e = (struct assay_entry){
        .kind = kind, .shape = shape, .init = init, .elements = shape_elements(shape)};
    snprintf(e->name, sizeof e->name, "%s", name);
    e->offset = m->elements[kind];
    m->elements[kind] += e->elements;
    *slot_of(m, e->name) = ++m->entries;
    return e;
}

void *entry_data(const struct assay_model *m, const struct assay_entry *e)
{
    return m->data[e->kind] ? (char *)m->data[e->kind] + e->offset * m->kernels->element : NULL;
}

void model_read(const struct assay_model *m, const struct assay_entry *e, double *values)
{
    m->kernels->to_f64(e->elements, entry_data(m, e), values);
}

void model_write_f32(struct assay_model *m, const struct assay_entry *e, const void *values)
{
    m->kernels->from_f32(e->elements, values, entry_data(m, e));
}

void model_write_f64(struct assay_model *m, const struct assay_entry *e, const double *values)
{
    m->kernels->from_f64(e->elements, values, entry_data(m, e));
}

static bool allocate_data(struct assay_model *m)
{
    for (int kind = 0; kind < ASSAY_KINDS; kind++) {
        size_t bytes = m->elements[kind] * m->kernels->element;
        m->data[kind] = aligned_alloc(64, (bytes + 64) & ~(size_t)63);
        if (!m->data[kind])
            return false;
        memset(m->data[kind], 0, bytes);
    }
    return true;
}

/* The walk that registers: a dry tape, so that only shapes matter. */
static int declare(struct assay_model *m, const struct assay_batch *batch, char *error, size_t room)
{
    tape t;
    if (tape_open(&t, assay_kernels_dry(m->kernels->profile)) != 0) {
        snprintf(error, room, "out of memory");
        return -1;
    }
    t.dry = true;
    struct assay_pass pass = {.model = m, .t = &t, .batch = batch, .denominator = 1};
    m->declaring = true;
    model_forward(&pass);
    m->declaring = false;
    const char *fault = tape_error(&t);
    if (fault)
        snprintf(error, room, "%s", fault);
    tape_close(&t);
    return fault ? -1 : 0;
}

int model_declare(struct assay_model *m, const struct assay_kernels *kernels,
                  const struct assay_variant *variant, const struct assay_config *config,
                  const struct assay_batch *batch, char *error, size_t room)
{
    *m = (struct assay_model){
        .kernels = kernels, .variant = variant, .config = *config, .slot = assay_reference_slots};
    slots_override(&m->slot, variant);
    if (config_check(config, variant, error, room) == 0 && declare(m, batch, error, room) == 0)
        return 0;
    model_close(m);
    return -1;
}

int model_open(struct assay_model *m, const struct assay_kernels *kernels,
               const struct assay_variant *variant, const struct assay_config *config,
               const struct assay_batch *batch, uint64_t seed, char *error, size_t room)
{
    if (model_declare(m, kernels, variant, config, batch, error, room) != 0)
        return -1;
    if (!allocate_data(m)) {
        snprintf(error, room, "out of memory for %zu parameters", m->elements[ASSAY_PARAMETER]);
        model_close(m);
        return -1;
    }
    const char *fault = model_initialise(m, seed);
    if (fault) {
        snprintf(error, room, "%s", fault);
        model_close(m);
        return -1;
    }
    return 0;
}

void model_close(struct assay_model *m)
{
    for (int kind = 0; kind < ASSAY_KINDS; kind++)
        free(m->data[kind]);
    free(m->entry);
    free(m->bucket);
    *m = (struct assay_model){0};
}

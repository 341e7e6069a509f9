/* SPDX-License-Identifier: Apache-2.0 */
/* Hashes of states and of data, over canonical bytes. */
#include <string.h>

#include "harness/run.h"
#include "harness/safetensors.h"

enum { PIECE = 4096 };

static void put_integer(struct assay_sha256 *hash, uint64_t value, size_t bytes)
{
    unsigned char little[8];
    for (size_t i = 0; i < bytes; i++)
        little[i] = (unsigned char)(value >> (8 * i));
    assay_sha256_update(hash, little, bytes);
}

/* `count` numbers of `size` bytes in the host's order. */
static void put_numbers(struct assay_sha256 *hash, const void *numbers, size_t size, size_t count)
{
    unsigned char little[PIECE];
    const unsigned char *from = numbers;
    while (count > 0) {
        size_t part = count < PIECE / size ? count : PIECE / size;
        assay_copy_little_endian(little, from, size, part);
        assay_sha256_update(hash, little, part * size);
        from += part * size;
        count -= part;
    }
}

static void put_name(struct assay_sha256 *hash, const char *name)
{
    size_t length = strlen(name);
    put_integer(hash, length, 4);
    assay_sha256_update(hash, name, length);
}

static void put_shape(struct assay_sha256 *hash, struct assay_shape shape)
{
    put_integer(hash, (uint64_t)shape.rank, 4);
    for (int i = 0; i < shape.rank; i++)
        put_integer(hash, shape.dim[i], 8);
}

static void put_entry(struct assay_sha256 *hash, const struct assay_model *m,
                      const struct assay_entry *e)
{
    put_integer(hash, (uint64_t)e->kind, 4);
    put_name(hash, e->name);
    put_shape(hash, e->shape);
    put_numbers(hash, entry_data(m, e), m->kernels->element, e->elements);
}

void assay_run_hash(const struct assay_run *run, char hex[ASSAY_SHA256_HEX])
{
    const struct assay_model *m = &run->model;
    const struct assay_trainer *t = &run->trainer;
    const void *const states[] = {t->first, t->second, t->average};
    struct assay_sha256 hash;
    assay_sha256_init(&hash);
    for (size_t i = 0; i < m->entries; i++)
        put_entry(&hash, m, &m->entry[i]);
    for (int i = 0; i < 3; i++) {
        size_t count = states[i] ? m->elements[ASSAY_PARAMETER] : 0;
        put_integer(&hash, count, 8);
        put_numbers(&hash, states[i], m->kernels->element, count);
    }
    for (size_t i = 0; i < t->states.count; i++) {
        const struct assay_state *s = t->states.state[i];
        put_name(&hash, s->name);
        put_name(&hash, s->entry->name);
        put_shape(&hash, s->shape);
        put_numbers(&hash, s->data, m->kernels->element, s->elements);
    }
    for (size_t i = 0; i < t->teacher.entries; i++)
        if (t->teacher.entry[i].kind != ASSAY_DRAW)
            put_entry(&hash, &t->teacher, &t->teacher.entry[i]);
    put_integer(&hash, t->step, 8);
    assay_sha256_hex(&hash, hex);
}

void assay_data_hash(const struct assay_dataset split[ASSAY_SPLITS], char hex[ASSAY_SHA256_HEX])
{
    struct assay_sha256 hash;
    assay_sha256_init(&hash);
    for (int s = 0; s < ASSAY_SPLITS; s++) {
        const struct assay_dataset *data = &split[s];
        size_t tokens = data->count * data->length;
        put_integer(&hash, data->count, 8);
        put_integer(&hash, data->length, 8);
        put_numbers(&hash, data->ids, sizeof *data->ids, tokens);
        put_numbers(&hash, data->ids2, sizeof *data->ids2, data->ids2 ? tokens : 0);
        put_numbers(&hash, data->label, sizeof *data->label, data->label ? data->count : 0);
        put_numbers(&hash, data->target, sizeof *data->target, data->target ? tokens : 0);
    }
    assay_sha256_hex(&hash, hex);
}

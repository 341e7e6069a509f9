/* SPDX-License-Identifier: Apache-2.0 */
/* Streams of named tensors. Bytes are made and read by shifts, so that the host's order is not
 * seen. */
#include "harness/cross/stream.h"

#include <string.h>

size_t assay_stream_size(enum assay_stream_type type)
{
    return type == ASSAY_STREAM_U64 ? sizeof(uint64_t) : sizeof(uint32_t);
}

static void put(FILE *out, uint64_t value, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++)
        putc((int)(value >> (8 * i) & 0xff), out);
}

static uint64_t get(const unsigned char *from, size_t bytes)
{
    uint64_t value = 0;
    for (size_t i = 0; i < bytes; i++)
        value |= (uint64_t)from[i] << (8 * i);
    return value;
}

void assay_stream_put(FILE *out, const char *name, enum assay_stream_type type, size_t rank,
                      const size_t *dim, const void *data)
{
    size_t length = strlen(name), elements = 1;
    put(out, length, 4);
    fwrite(name, 1, length, out);
    put(out, (uint64_t)type, 4);
    put(out, rank, 4);
    for (size_t i = 0; i < rank; i++) {
        put(out, dim[i], 8);
        elements *= dim[i];
    }
    for (size_t i = 0; i < elements; i++) {
        uint32_t narrow;
        uint64_t wide;
        if (type == ASSAY_STREAM_U64) {
            memcpy(&wide, (const char *)data + i * sizeof wide, sizeof wide);
            put(out, wide, sizeof wide);
        } else {
            memcpy(&narrow, (const char *)data + i * sizeof narrow, sizeof narrow);
            put(out, narrow, sizeof narrow);
        }
    }
}

void assay_stream_end(FILE *out)
{
    put(out, 0, 4);
}

/* False when fewer than `bytes` are left. */
static bool take(struct assay_stream *stream, size_t bytes, const unsigned char **taken)
{
    if (stream->left < bytes)
        return false;
    *taken = stream->at;
    stream->at += bytes;
    stream->left -= bytes;
    return true;
}

static bool take_number(struct assay_stream *stream, size_t bytes, uint64_t *value)
{
    const unsigned char *from;
    if (!take(stream, bytes, &from))
        return false;
    *value = get(from, bytes);
    return true;
}

static bool take_shape(struct assay_stream *stream, struct assay_stream_record *record)
{
    uint64_t type, rank, dim;
    if (!take_number(stream, 4, &type) || !take_number(stream, 4, &rank) || type > ASSAY_STREAM_U64
        || rank > ASSAY_RANK_MAX)
        return false;
    record->type = (enum assay_stream_type)type;
    record->rank = (size_t)rank;
    record->elements = 1;
    for (size_t i = 0; i < record->rank; i++) {
        if (!take_number(stream, 8, &dim) || (dim && record->elements > stream->left / dim))
            return false;
        record->dim[i] = (size_t)dim;
        record->elements *= record->dim[i];
    }
    return true;
}

enum assay_stream_next assay_stream_next(struct assay_stream *stream,
                                         struct assay_stream_record *record)
{
    const unsigned char *name;
    uint64_t length;
    *record = (struct assay_stream_record){.bytes = stream->at};
    if (!take_number(stream, 4, &length))
        return ASSAY_STREAM_BROKEN;
    if (length == 0)
        return stream->left == 0 ? ASSAY_STREAM_ENDS : ASSAY_STREAM_BROKEN;
    if (length >= sizeof record->name || !take(stream, (size_t)length, &name))
        return ASSAY_STREAM_BROKEN;
    memcpy(record->name, name, (size_t)length);
    if (!take_shape(stream, record)
        || !take(stream, record->elements * assay_stream_size(record->type), &record->data))
        return ASSAY_STREAM_BROKEN;
    record->size = (size_t)(stream->at - record->bytes);
    return ASSAY_STREAM_RECORD;
}

uint64_t assay_stream_element(const struct assay_stream_record *record, size_t i)
{
    size_t size = assay_stream_size(record->type);
    return get(record->data + i * size, size);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Protocol Buffers' wire format: tags and integers as base-128 numbers, the rest little endian or
 * by length. */
#include "harness/protobuf.h"

#include <stdlib.h>
#include <string.h>

#include "harness/safetensors.h"

enum wire_type { VARINT = 0, LENGTH = 2, FIXED_32 = 5, WIRE_TYPE_BITS = 3 };

void assay_protobuf_free(struct assay_protobuf *message)
{
    free(message->bytes);
    *message = (struct assay_protobuf){0};
}

static void append(struct assay_protobuf *message, const void *bytes, size_t size)
{
    if (message->failed || size == 0)
        return;
    size_t needed;
    if (__builtin_add_overflow(message->size, size, &needed) || needed > SIZE_MAX / 2) {
        message->failed = true;
        return;
    }
    if (needed > message->room) {
        size_t room = needed < 256 ? 256 : 2 * needed;
        char *grown = realloc(message->bytes, room);
        if (!grown) {
            message->failed = true;
            return;
        }
        message->bytes = grown;
        message->room = room;
    }
    memcpy(message->bytes + message->size, bytes, size);
    message->size = needed;
}

/* Seven bits a byte, the lowest first; the eighth says that more follow. */
static void append_varint(struct assay_protobuf *message, uint64_t value)
{
    unsigned char digits[10];
    size_t count = 0;
    do {
        digits[count] = (unsigned char)(value & 0x7f);
        value >>= 7;
        if (value)
            digits[count] |= 0x80;
        count++;
    } while (value);
    append(message, digits, count);
}

static void append_tag(struct assay_protobuf *message, int field, enum wire_type type)
{
    append_varint(message, (uint64_t)field << WIRE_TYPE_BITS | (uint64_t)type);
}

void assay_protobuf_integer(struct assay_protobuf *message, int field, int64_t value)
{
    append_tag(message, field, VARINT);
    append_varint(message, (uint64_t)value);
}

void assay_protobuf_float(struct assay_protobuf *message, int field, float value)
{
    char bytes[sizeof value];
    assay_copy_little_endian(bytes, &value, sizeof value, 1);
    append_tag(message, field, FIXED_32);
    append(message, bytes, sizeof bytes);
}

void assay_protobuf_bytes(struct assay_protobuf *message, int field, const void *bytes, size_t size)
{
    append_tag(message, field, LENGTH);
    append_varint(message, size);
    append(message, bytes, size);
}

void assay_protobuf_string(struct assay_protobuf *message, int field, const char *text)
{
    assay_protobuf_bytes(message, field, text, strlen(text));
}

void assay_protobuf_message(struct assay_protobuf *message, int field, struct assay_protobuf *inner)
{
    message->failed |= inner->failed;
    assay_protobuf_bytes(message, field, inner->bytes, inner->size);
    inner->size = 0;
}

void assay_protobuf_fields(struct assay_protobuf *message, const struct assay_protobuf *fields)
{
    message->failed |= fields->failed;
    append(message, fields->bytes, fields->size);
}

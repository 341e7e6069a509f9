/* SPDX-License-Identifier: Apache-2.0 */
/* A writer of Protocol Buffers' wire format: a message is a run of fields, each a number, a wire
 * type and a value. Zeroed is empty; assay_protobuf_free at the end. Memory that runs out is
 * remembered in `failed`. */
#ifndef ASSAY_PROTOBUF_H
#define ASSAY_PROTOBUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct assay_protobuf {
    char *bytes;
    size_t size, room;
    bool failed;
};

void assay_protobuf_free(struct assay_protobuf *message);

/* int32, int64, enum and bool; a negative number takes ten bytes. */
void assay_protobuf_integer(struct assay_protobuf *message, int field, int64_t value);
void assay_protobuf_float(struct assay_protobuf *message, int field, float value);
/* bytes, string, and a message inside another. */
void assay_protobuf_bytes(struct assay_protobuf *message, int field, const void *bytes,
                          size_t size);
void assay_protobuf_string(struct assay_protobuf *message, int field, const char *text);
/* The inner message is emptied for the next one. */
void assay_protobuf_message(struct assay_protobuf *message, int field,
                            struct assay_protobuf *inner);
/* Fields that were written elsewhere, in the place of fields of this message. */
void assay_protobuf_fields(struct assay_protobuf *message, const struct assay_protobuf *fields);

#endif

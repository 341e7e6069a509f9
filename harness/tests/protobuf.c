/* SPDX-License-Identifier: Apache-2.0 */
/* The writer of Protocol Buffers: bytes worked out by hand from the format's description. */
#include "harness/protobuf.h"

#include <stdlib.h>
#include <string.h>

#include "harness/tests/tap.h"

static void holds(const struct assay_protobuf *message, const char *hex, const char *statement)
{
    char found[256] = "";
    for (size_t i = 0; i < message->size && i < 100; i++)
        sprintf(found + 2 * i, "%02x", (unsigned char)message->bytes[i]);
    if (!ok(!message->failed && strcmp(found, hex) == 0, "%s", statement))
        diag("expected %s, found %s", hex, found);
}

static void integer(int field, int64_t value, const char *hex, const char *statement)
{
    struct assay_protobuf message = {0};
    assay_protobuf_integer(&message, field, value);
    holds(&message, hex, statement);
    assay_protobuf_free(&message);
}

/* A tag is field * 8 + wire type; 150 = 1 * 128 + 22, the lower digit first, marked. */
static void integers(void)
{
    integer(1, 0, "0800", "zero is one byte");
    integer(1, 127, "087f", "127 is one byte");
    integer(1, 128, "088001", "128 is two bytes");
    integer(1, 150, "089601", "150 in field 1");
    integer(15, 1, "7801", "field 15 has a tag of one byte");
    integer(16, 1, "800101", "field 16 has a tag of two bytes");
    integer(1, -1, "08ffffffffffffffffff01", "-1 is 2^64 - 1: ten bytes");
    integer(1, INT64_MIN, "0880808080808080808001", "the smallest integer");
}

static void others(void)
{
    struct assay_protobuf message = {0}, inner = {0};
    assay_protobuf_string(&message, 2, "testing");
    holds(&message, "120774657374696e67", "a string by its length");
    assay_protobuf_free(&message);

    assay_protobuf_string(&message, 2, "");
    holds(&message, "1200", "an empty string");
    assay_protobuf_free(&message);

    assay_protobuf_float(&message, 2, -2.5f);
    holds(&message, "15000020c0", "-2.5 is c0200000, little endian");
    assay_protobuf_free(&message);

    assay_protobuf_integer(&inner, 1, 150);
    assay_protobuf_message(&message, 3, &inner);
    holds(&message, "1a03089601", "a message inside another");
    assay_protobuf_message(&message, 3, &inner);
    holds(&message, "1a030896011a00", "the inner one was emptied");
    assay_protobuf_integer(&inner, 4, 1);
    assay_protobuf_fields(&message, &inner);
    holds(&message, "1a030896011a002001", "fields that were written elsewhere");
    assay_protobuf_free(&message);
    assay_protobuf_free(&inner);
}

static void long_ones(void)
{
    enum { SIZE = 100000 };
    struct assay_protobuf message = {0};
    char *bytes = calloc(SIZE, 1);
    if (bytes) {
        memset(bytes, 'x', SIZE);
        assay_protobuf_bytes(&message, 1, bytes, SIZE);
    }
    /* 100000 = 6 * 128^2 + 13 * 128 + 32 */
    ok(message.size == SIZE + 4 && memcmp(message.bytes, "\x0a\xa0\x8d\x06", 4) == 0
           && memcmp(message.bytes + 4, bytes, SIZE) == 0,
       "100000 bytes have a length of three bytes");
    free(bytes);
    assay_protobuf_free(&message);

    struct assay_protobuf failed = {.failed = true};
    assay_protobuf_message(&message, 1, &failed);
    ok(message.failed, "a message with an inner one that failed has failed");
    assay_protobuf_free(&message);
}

int main(void)
{
    integers();
    others();
    long_ones();
    return done_testing();
}

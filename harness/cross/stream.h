/* SPDX-License-Identifier: Apache-2.0 */
/* Streams of named tensors, which a program on another processor prints and the host reads.
 *
 * A stream is records, one behind the other; all numbers are little endian:
 *     length of the name (u32), name, type (u32), rank (u32), axes (u64 each), elements, row-major
 * and ends with a name of length 0. */
#ifndef ASSAY_CROSS_STREAM_H
#define ASSAY_CROSS_STREAM_H

#include <stdbool.h>
#include <stdio.h>

#include "ref/kernels.h"

enum assay_stream_type { ASSAY_STREAM_I32, ASSAY_STREAM_F32, ASSAY_STREAM_U64 };
enum { ASSAY_STREAM_NAME = 2048 };

size_t assay_stream_size(enum assay_stream_type type); /* bytes per element */

/* data: in the host's byte order. Errors stay with `out` (ferror). */
void assay_stream_put(FILE *out, const char *name, enum assay_stream_type type, size_t rank,
                      const size_t *dim, const void *data);
void assay_stream_end(FILE *out);

struct assay_stream_record {
    char name[ASSAY_STREAM_NAME];
    enum assay_stream_type type;
    size_t rank, dim[ASSAY_RANK_MAX], elements;
    const unsigned char *bytes, *data; /* the whole record, and its elements, little endian */
    size_t size;                       /* of the whole record */
};

/* What is left of a stream in memory. */
struct assay_stream {
    const unsigned char *at;
    size_t left;
};

enum assay_stream_next { ASSAY_STREAM_RECORD, ASSAY_STREAM_ENDS, ASSAY_STREAM_BROKEN };
/* ENDS: the end's record, with nothing behind it. BROKEN: cut off, or no stream. */
enum assay_stream_next assay_stream_next(struct assay_stream *stream,
                                         struct assay_stream_record *record);

/* Element i as bits; 4-byte types leave the upper half 0. */
uint64_t assay_stream_element(const struct assay_stream_record *record, size_t i);

#endif

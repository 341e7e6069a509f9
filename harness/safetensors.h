/* SPDX-License-Identifier: Apache-2.0 */
/* Archives of named tensors in the safetensors format, read and written.
 *
 * A file is: the header's length (8 bytes, little endian), the header (JSON, padded with
 * spaces), the data (little endian). Reading trusts nothing: an archive that was opened is right
 * in every respect that this file states. Functions that return int return 0, or -1 with one
 * line in `error` that says what was expected, what was found and where. */
#ifndef ASSAY_SAFETENSORS_H
#define ASSAY_SAFETENSORS_H

#include <stdbool.h>
#include <stddef.h>

enum assay_dtype {
    ASSAY_DT_BOOL,
    ASSAY_DT_U8,
    ASSAY_DT_I8,
    ASSAY_DT_F8_E5M2,
    ASSAY_DT_F8_E4M3,
    ASSAY_DT_U16,
    ASSAY_DT_I16,
    ASSAY_DT_F16,
    ASSAY_DT_BF16,
    ASSAY_DT_U32,
    ASSAY_DT_I32,
    ASSAY_DT_F32,
    ASSAY_DT_U64,
    ASSAY_DT_I64,
    ASSAY_DT_F64,
    ASSAY_DTYPES
};

enum { ASSAY_ARCHIVE_RANK = 8 };
#define ASSAY_HEADER_MAX ((size_t)16 << 20) /* bytes of JSON */

size_t assay_dtype_size(enum assay_dtype dtype);      /* bytes per element */
const char *assay_dtype_name(enum assay_dtype dtype); /* as in the file: "F32" */

/* A tensor of an open archive; everything belongs to the archive. */
struct assay_archive_tensor {
    const char *name; /* not empty, no control characters */
    enum assay_dtype dtype;
    size_t rank, dim[ASSAY_ARCHIVE_RANK];
    size_t elements, bytes; /* elements is 1 at rank 0 and can be 0 */
    const void
        *data; /* row-major, the host's byte order, aligned to 64 bytes; BOOL holds 0 and 1 only */
};

struct assay_archive;

/* Reads a whole file. Caller: assay_archive_free. */
int assay_archive_read(const char *path, struct assay_archive **archive, char *error, size_t room);
/* The same from memory; `name` stands for the path in messages. `bytes` may go afterwards. */
int assay_archive_parse(const void *bytes, size_t size, const char *name,
                        struct assay_archive **archive, char *error, size_t room);
void assay_archive_free(struct assay_archive *archive);

/* Tensors in the order of the file. */
size_t assay_archive_count(const struct assay_archive *archive);
const struct assay_archive_tensor *assay_archive_entry(const struct assay_archive *archive, size_t i);
const struct assay_archive_tensor *assay_archive_find(const struct assay_archive *archive,
                                             const char *name); /* or NULL */

/* Metadata in the order of the file. */
size_t assay_archive_metadata_count(const struct assay_archive *archive);
void assay_archive_metadata_at(const struct assay_archive *archive, size_t i, const char **key,
                               const char **value);
const char *assay_archive_metadata(const struct assay_archive *archive,
                                   const char *key); /* or NULL */

/* Index of the first NaN or infinity of an F16, BF16, F32 or F64 tensor; `elements` when there
 * is none. */
size_t assay_entry_not_finite(const struct assay_archive_tensor *entry);

/* A writer. Its first error is remembered and told by _save or _bytes. The bytes depend on
 * nothing but what was added and in which order: metadata, then tensors, each in the order
 * added, without gaps. */
struct assay_archive_writer;

struct assay_archive_writer *
assay_archive_writer_open(void); /* NULL without memory; the others take NULL */
void assay_archive_writer_metadata(struct assay_archive_writer *writer, const char *key,
                                   const char *value);
/* `data`: product of `dim` elements in the host's byte order; copied. */
void assay_archive_writer_tensor(struct assay_archive_writer *writer, const char *name,
                                 enum assay_dtype dtype, size_t rank, const size_t *dim,
                                 const void *data);
/* Replaces `path` in one step; when that fails the old file stays. */
int assay_archive_writer_save(const struct assay_archive_writer *writer, const char *path,
                              char *error, size_t room);
/* The same bytes in memory, for the caller to free; `name` stands for the path in messages. */
int assay_archive_writer_bytes(const struct assay_archive_writer *writer, const char *name,
                               void **bytes, size_t *size, char *error, size_t room);
void assay_archive_writer_close(struct assay_archive_writer *writer);

/* Copies `count` elements of `size` bytes between the host's byte order and little endian
 * (either direction). */
void assay_copy_little_endian(void *to, const void *from, size_t size, size_t count);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* Writes safetensors: the same tensors in the same order are the same bytes on every machine. */
#include "harness/safetensors.h"

#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness/files.h"
#include "harness/json.h"

struct assay_archive_writer {
    cJSON *metadata, *tensors; /* two parts of the header */
    unsigned char *data;       /* little endian */
    size_t size, room;
    char error[ASSAY_ERROR_ROOM];
};

struct assay_archive_writer *assay_archive_writer_open(void)
{
    struct assay_archive_writer *w = calloc(1, sizeof *w);
    if (!w)
        return NULL;
    w->metadata = cJSON_CreateObject();
    w->tensors = cJSON_CreateObject();
    if (!w->metadata || !w->tensors) {
        assay_archive_writer_close(w);
        return NULL;
    }
    return w;
}

void assay_archive_writer_close(struct assay_archive_writer *writer)
{
    if (!writer)
        return;
    cJSON_Delete(writer->metadata);
    cJSON_Delete(writer->tensors);
    free(writer->data);
    free(writer);
}

void assay_archive_writer_metadata(struct assay_archive_writer *writer, const char *key,
                                   const char *value)
{
    if (writer && !writer->error[0] && !cJSON_AddStringToObject(writer->metadata, key, value))
        assay_complain(writer->error, sizeof writer->error, "no memory for metadata \"%.100s\"",
                       key);
}

/* Adds a list of integers under `key`. Raw text: cJSON prints its numbers with 15 digits. */
static bool add_list(cJSON *object, const char *key, size_t count, const uint64_t *value)
{
    cJSON *list = cJSON_AddArrayToObject(object, key);
    for (size_t i = 0; list && i < count; i++) {
        char text[24];
        snprintf(text, sizeof text, "%" PRIu64, value[i]);
        if (!cJSON_AddItemToArray(list, cJSON_CreateRaw(text)))
            return false;
    }
    return list != NULL;
}

static bool reserve(struct assay_archive_writer *w, size_t more)
{
    if (more > SIZE_MAX / 2 - w->size)
        return false;
    size_t needed = w->size + more, room = w->room ? w->room : 4096;
    while (room < needed)
        room += room / 2;
    if (room == w->room)
        return true;
    unsigned char *grown = realloc(w->data, room);
    if (!grown)
        return false;
    w->data = grown;
    w->room = room;
    return true;
}

void assay_archive_writer_tensor(struct assay_archive_writer *writer, const char *name,
                                 enum assay_dtype dtype, size_t rank, const size_t *dim,
                                 const void *data)
{
    if (!writer || writer->error[0])
        return;
    char *error = writer->error;
    const size_t room = sizeof writer->error;
    uint64_t shape[ASSAY_ARCHIVE_RANK];
    size_t elements = 1, bytes = 0;
    if (!*name || strcmp(name, "__metadata__") == 0 || (unsigned)dtype >= ASSAY_DTYPES
        || rank > ASSAY_ARCHIVE_RANK) {
        assay_complain(
            error, room,
            "tensor \"%.100s\": expected a name, a dtype and at most %d axes, found %zu axes", name,
            ASSAY_ARCHIVE_RANK, rank);
        return;
    }
    bool fits = true;
    for (size_t i = 0; i < rank; i++) {
        shape[i] = dim[i];
        fits = fits && shape[i] < ASSAY_JSON_INTEGERS
               && !__builtin_mul_overflow(elements, dim[i], &elements);
    }
    fits = fits && !__builtin_mul_overflow(elements, assay_dtype_size(dtype), &bytes)
           && reserve(writer, bytes);
    cJSON *tensor = fits ? cJSON_AddObjectToObject(writer->tensors, name) : NULL;
    if (!tensor || !cJSON_AddStringToObject(tensor, "dtype", assay_dtype_name(dtype))
        || !add_list(tensor, "shape", rank, shape)
        || !add_list(tensor, "data_offsets", 2, (uint64_t[]){writer->size, writer->size + bytes})) {
        assay_complain(error, room, "tensor \"%.100s\": no memory for it", name);
        return;
    }
    assay_copy_little_endian(writer->data + writer->size, data, assay_dtype_size(dtype), elements);
    writer->size += bytes;
}

/* {"__metadata__":{...},"name":{...},...}, printed from the two parts. Caller: cJSON_free. */
static char *print_header(const struct assay_archive_writer *w)
{
    cJSON *header = cJSON_CreateObject();
    bool whole = header != NULL;
    if (whole && w->metadata->child)
        whole = cJSON_AddItemReferenceToObject(header, "__metadata__", w->metadata);
    for (cJSON *item = w->tensors->child; whole && item; item = item->next)
        whole = cJSON_AddItemReferenceToObject(header, item->string, item);
    char *text = whole ? cJSON_PrintUnformatted(header) : NULL;
    cJSON_Delete(header);
    return text;
}

/* Duplicate names and bytes that are not UTF-8 are found by the reader's own rules. */
static int check_header(const char *text, size_t length, const char *name, char *error, size_t room)
{
    if (length > ASSAY_HEADER_MAX)
        return assay_complain(error, room,
                              "%s: not written: expected a header of at most %zu bytes, found %zu",
                              name, ASSAY_HEADER_MAX, length);
    cJSON *tree =
        assay_json_parse(text, length, (struct assay_json_rule){3, true}, name, error, room);
    cJSON_Delete(tree);
    return tree ? 0 : -1;
}

int assay_archive_writer_bytes(const struct assay_archive_writer *writer, const char *name,
                               void **bytes, size_t *size, char *error, size_t room)
{
    if (!writer || writer->error[0])
        return assay_complain(error, room, "%s: not written: %s", name,
                              writer ? writer->error : "no memory for a writer");
    char *header = print_header(writer);
    if (!header)
        return assay_complain(error, room, "%s: not written: no memory for its header", name);
    size_t length = strlen(header), padded = (length + 7) / 8 * 8;
    unsigned char *all = NULL;
    int status = check_header(header, length, name, error, room);
    if (status == 0 && !(all = malloc(8 + padded + writer->size)))
        status = assay_complain(error, room, "%s: not written: no memory for its %zu bytes of data",
                                name, writer->size);
    if (status == 0) {
        for (int i = 0; i < 8; i++)
            all[i] = (unsigned char)((uint64_t)padded >> 8 * i);
        memcpy(all + 8, header, length);
        memset(all + 8 + length, ' ', padded - length);
        if (writer->size > 0)
            memcpy(all + 8 + padded, writer->data, writer->size);
        *bytes = all;
        *size = 8 + padded + writer->size;
    }
    cJSON_free(header);
    return status;
}

int assay_archive_writer_save(const struct assay_archive_writer *writer, const char *path,
                              char *error, size_t room)
{
    void *bytes;
    size_t size;
    if (assay_archive_writer_bytes(writer, path, &bytes, &size, error, room) != 0)
        return -1;
    int status = assay_file_write(path, bytes, size, error, room);
    free(bytes);
    return status;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Reads safetensors: every statement of the header is checked before one byte of data is looked
 * at. */
#include "harness/safetensors.h"

#include <inttypes.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "harness/files.h"
#include "harness/json.h"

enum { LENGTH_BYTES = 8, ALIGNMENT = 64, HEADER_DEPTH = 3 };
static const size_t file_limit =
    SIZE_MAX / 4 < (UINT64_C(1) << 34) ? SIZE_MAX / 4 : (size_t)(UINT64_C(1) << 34);

static const struct {
    const char *name;
    size_t size;
} dtypes[ASSAY_DTYPES] = {
    [ASSAY_DT_BOOL] = {"BOOL", 1},       [ASSAY_DT_U8] = {"U8", 1},
    [ASSAY_DT_I8] = {"I8", 1},           [ASSAY_DT_F8_E5M2] = {"F8_E5M2", 1},
    [ASSAY_DT_F8_E4M3] = {"F8_E4M3", 1}, [ASSAY_DT_U16] = {"U16", 2},
    [ASSAY_DT_I16] = {"I16", 2},         [ASSAY_DT_F16] = {"F16", 2},
    [ASSAY_DT_BF16] = {"BF16", 2},       [ASSAY_DT_U32] = {"U32", 4},
    [ASSAY_DT_I32] = {"I32", 4},         [ASSAY_DT_F32] = {"F32", 4},
    [ASSAY_DT_U64] = {"U64", 8},         [ASSAY_DT_I64] = {"I64", 8},
    [ASSAY_DT_F64] = {"F64", 8},
};

struct pair {
    const char *key, *value;
};

struct assay_archive {
    cJSON *header; /* owns the names and the metadata */
    size_t count, pairs;
    struct assay_archive_tensor *entry;
    const struct assay_archive_tensor **by_name; /* sorted, for finding */
    struct pair *pair;
    unsigned char *data;
};

/* What the checks need: the file as found and where to complain. */
struct reading {
    const char *name;
    const unsigned char *data; /* behind the header */
    size_t size;               /* of the data */
    char *error;
    size_t room;
};

#define REFUSE(r, ...) assay_complain((r)->error, (r)->room, __VA_ARGS__)

size_t assay_dtype_size(enum assay_dtype dtype)
{
    return dtypes[dtype].size;
}

const char *assay_dtype_name(enum assay_dtype dtype)
{
    return dtypes[dtype].name;
}

void assay_copy_little_endian(void *to, const void *from, size_t size, size_t count)
{
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    if (count > 0)
        memcpy(to, from, size * count);
#else
    unsigned char *out = to;
    const unsigned char *in = from;
    for (size_t i = 0; i < count; i++)
        for (size_t b = 0; b < size; b++)
            out[i * size + b] = in[i * size + size - 1 - b];
#endif
}

static int check_keys(const struct reading *r, const cJSON *tensor)
{
    if (!cJSON_IsObject(tensor))
        return REFUSE(r,
                      "%s: tensor \"%.200s\": expected an object with dtype, shape and "
                      "data_offsets, found another value",
                      r->name, tensor->string);
    static const char *const keys[] = {"dtype", "shape", "data_offsets"};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        if (!cJSON_GetObjectItemCaseSensitive(tensor, keys[i]))
            return REFUSE(r, "%s: tensor \"%.200s\": expected the key %s, found none", r->name,
                          tensor->string, keys[i]);
    for (const cJSON *item = tensor->child; item; item = item->next)
        if (strcmp(item->string, keys[0]) != 0 && strcmp(item->string, keys[1]) != 0
            && strcmp(item->string, keys[2]) != 0)
            return REFUSE(r,
                          "%s: tensor \"%.200s\": expected dtype, shape and data_offsets only, "
                          "found \"%.60s\"",
                          r->name, tensor->string, item->string);
    return 0;
}

static int check_name(const struct reading *r, const char *name)
{
    if (*name == '\0')
        return REFUSE(r, "%s: expected a name for every tensor, found an empty one", r->name);
    for (const char *p = name; *p; p++)
        if ((unsigned char)*p < 0x20 || *p == 0x7f)
            return REFUSE(r,
                          "%s: expected tensor names without control characters, found byte 0x%02x "
                          "after \"%.*s\"",
                          r->name, (unsigned)*p, p - name > 200 ? 200 : (int)(p - name), name);
    return 0;
}

static int read_dtype(const struct reading *r, const cJSON *item, struct assay_archive_tensor *e)
{
    for (int i = 0; i < ASSAY_DTYPES && cJSON_IsString(item); i++)
        if (strcmp(item->valuestring, dtypes[i].name) == 0) {
            e->dtype = (enum assay_dtype)i;
            return 0;
        }
    return REFUSE(r, "%s: tensor \"%.200s\": expected a dtype such as F32, found %s%.40s", r->name,
                  e->name, cJSON_IsString(item) ? "" : "another value",
                  cJSON_IsString(item) ? item->valuestring : "");
}

static int read_shape(const struct reading *r, const cJSON *shape, struct assay_archive_tensor *e)
{
    if (!cJSON_IsArray(shape))
        return REFUSE(r, "%s: tensor \"%.200s\": expected a list as shape, found another value",
                      r->name, e->name);
    e->elements = 1;
    for (const cJSON *item = shape->child; item; item = item->next) {
        uint64_t size;
        if (e->rank == ASSAY_ARCHIVE_RANK)
            return REFUSE(r, "%s: tensor \"%.200s\": expected at most %d axes, found %d", r->name,
                          e->name, ASSAY_ARCHIVE_RANK, cJSON_GetArraySize(shape));
        if (!assay_json_natural(item, &size) || size > SIZE_MAX)
            return REFUSE(r,
                          "%s: tensor \"%.200s\": shape, axis %zu: expected an integer from 0 to "
                          "2^53 - 1, found %s",
                          r->name, e->name, e->rank,
                          cJSON_IsNumber(item) ? "a larger one" : "another value");
        e->dim[e->rank++] = (size_t)size;
        /* Refused even where another axis is 0: a reader that multiplies in another order would
         * overflow. */
        if (__builtin_mul_overflow(e->elements, size > 0 ? (size_t)size : 1, &e->elements))
            return REFUSE(
                r, "%s: tensor \"%.200s\": expected a number of elements below 2^%zu, found more",
                r->name, e->name, 8 * sizeof(size_t));
    }
    for (size_t i = 0; i < e->rank; i++)
        if (e->dim[i] == 0)
            e->elements = 0;
    if (__builtin_mul_overflow(e->elements, dtypes[e->dtype].size, &e->bytes))
        return REFUSE(r, "%s: tensor \"%.200s\": expected fewer than 2^%zu bytes, found more",
                      r->name, e->name, 8 * sizeof(size_t));
    return 0;
}

/* `end`: where the tensors so far end, moved on. */
static int read_offsets(const struct reading *r, const cJSON *offsets, const struct assay_archive_tensor *e,
                        uint64_t *end)
{
    uint64_t from, to;
    if (!cJSON_IsArray(offsets) || cJSON_GetArraySize(offsets) != 2
        || !assay_json_natural(offsets->child, &from)
        || !assay_json_natural(offsets->child->next, &to))
        return REFUSE(
            r, "%s: tensor \"%.200s\": expected two integers from 0 to 2^53 - 1 as data_offsets",
            r->name, e->name);
    if (from != *end)
        return REFUSE(r,
                      "%s: tensor \"%.200s\": expected its data at offset %" PRIu64
                      ", behind the tensor before, found %" PRIu64 " (%s)",
                      r->name, e->name, *end, from,
                      from > *end ? "a gap" : "an overlap or another order");
    if (to < from || to - from != e->bytes)
        return REFUSE(
            r,
            "%s: tensor \"%.200s\": expected %zu bytes for its shape, found offsets %" PRIu64
            " to %" PRIu64,
            r->name, e->name, e->bytes, from, to);
    if (to > r->size)
        return REFUSE(r,
                      "%s: tensor \"%.200s\": expected data up to offset %" PRIu64
                      ", found only %zu bytes",
                      r->name, e->name, to, r->size);
    *end = to;
    return 0;
}

static int read_tensor(const struct reading *r, const cJSON *tensor, struct assay_archive_tensor *e,
                       uint64_t *end)
{
    e->name = tensor->string;
    if (check_name(r, e->name) != 0 || check_keys(r, tensor) != 0
        || read_dtype(r, cJSON_GetObjectItemCaseSensitive(tensor, "dtype"), e) != 0
        || read_shape(r, cJSON_GetObjectItemCaseSensitive(tensor, "shape"), e) != 0)
        return -1;
    return read_offsets(r, cJSON_GetObjectItemCaseSensitive(tensor, "data_offsets"), e, end);
}

static int read_metadata(const struct reading *r, const cJSON *metadata, struct assay_archive *a)
{
    if (!cJSON_IsObject(metadata))
        return REFUSE(r, "%s: __metadata__: expected an object, found another value", r->name);
    a->pair = calloc((size_t)cJSON_GetArraySize(metadata) + 1, sizeof *a->pair);
    if (!a->pair)
        return REFUSE(r, "%s: no memory for its metadata", r->name);
    for (const cJSON *item = metadata->child; item; item = item->next) {
        if (!cJSON_IsString(item))
            return REFUSE(r,
                          "%s: __metadata__: expected a string for \"%.100s\", found another value",
                          r->name, item->string);
        a->pair[a->pairs++] = (struct pair){item->string, item->valuestring};
    }
    return 0;
}

static int read_header(const struct reading *r, struct assay_archive *a)
{
    uint64_t end = 0;
    a->entry = calloc((size_t)cJSON_GetArraySize(a->header) + 1, sizeof *a->entry);
    if (!a->entry)
        return REFUSE(r, "%s: no memory for its header", r->name);
    for (const cJSON *item = a->header->child; item; item = item->next) {
        if (strcmp(item->string, "__metadata__") == 0) {
            if (read_metadata(r, item, a) != 0)
                return -1;
        } else if (read_tensor(r, item, &a->entry[a->count++], &end) != 0) {
            return -1;
        }
    }
    if (end != r->size)
        return REFUSE(r,
                      "%s: expected %" PRIu64 " bytes of data, found %" PRIu64 " more behind them",
                      r->name, end, r->size - end);
    return 0;
}

/* Each tensor where its type may be read from: in the file they lie at any offset. */
static int copy_data(const struct reading *r, struct assay_archive *a)
{
    size_t total = ALIGNMENT, at = 0, offset = 0;
    for (size_t i = 0; i < a->count; i++)
        total += (a->entry[i].bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    a->data = aligned_alloc(ALIGNMENT, total);
    if (!a->data)
        return REFUSE(r, "%s: no memory for its %zu bytes of data", r->name, total);
    for (size_t i = 0; i < a->count; i++) {
        struct assay_archive_tensor *e = &a->entry[i];
        assay_copy_little_endian(a->data + at, r->data + offset, dtypes[e->dtype].size,
                                 e->elements);
        e->data = a->data + at;
        for (size_t b = 0; e->dtype == ASSAY_DT_BOOL && b < e->bytes; b++)
            if (a->data[at + b] > 1)
                return REFUSE(
                    r, "%s: tensor \"%.200s\": element %zu: expected a BOOL of 0 or 1, found %d",
                    r->name, e->name, b, a->data[at + b]);
        at += (e->bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
        offset += e->bytes;
    }
    return 0;
}

static int by_name(const void *a, const void *b)
{
    return strcmp((*(const struct assay_archive_tensor *const *)a)->name,
                  (*(const struct assay_archive_tensor *const *)b)->name);
}

static int sort_names(const struct reading *r, struct assay_archive *a)
{
    a->by_name = malloc((a->count + 1) * sizeof *a->by_name);
    if (!a->by_name)
        return REFUSE(r, "%s: no memory for its names", r->name);
    for (size_t i = 0; i < a->count; i++)
        a->by_name[i] = &a->entry[i];
    qsort(a->by_name, a->count, sizeof *a->by_name, by_name);
    return 0;
}

static uint64_t little_endian_64(const unsigned char *bytes)
{
    uint64_t value = 0;
    for (int i = 7; i >= 0; i--)
        value = value << 8 | bytes[i];
    return value;
}

int assay_archive_parse(const void *bytes, size_t size, const char *name,
                        struct assay_archive **archive, char *error, size_t room)
{
    if (size < LENGTH_BYTES)
        return assay_complain(error, room,
                              "%s: expected a safetensors file of 8 bytes or more, found %zu", name,
                              size);
    uint64_t length = little_endian_64(bytes);
    if (length > ASSAY_HEADER_MAX)
        return assay_complain(
            error, room,
            "%s: expected a header of at most %zu bytes, found a length of %" PRIu64
            " (is it a safetensors file?)",
            name, ASSAY_HEADER_MAX, length);
    if (length > size - LENGTH_BYTES)
        return assay_complain(error, room,
                              "%s: expected a header of %" PRIu64
                              " bytes, found only %zu behind the length",
                              name, length, size - LENGTH_BYTES);
    const char *header = (const char *)bytes + LENGTH_BYTES;
    if (length == 0 || *header != '{')
        return assay_complain(error, room, "%s: expected a header that begins with '{', found %s",
                              name, length == 0 ? "an empty one" : "another byte");
    struct assay_archive *a = calloc(1, sizeof *a);
    if (!a)
        return assay_complain(error, room, "%s: no memory for it", name);
    struct reading r = {name, (const unsigned char *)header + length,
                        size - LENGTH_BYTES - (size_t)length, error, room};
    a->header = assay_json_parse(header, (size_t)length,
                                 (struct assay_json_rule){HEADER_DEPTH, true}, name, error, room);
    if (!a->header || read_header(&r, a) != 0 || sort_names(&r, a) != 0 || copy_data(&r, a) != 0) {
        assay_archive_free(a);
        return -1;
    }
    *archive = a;
    return 0;
}

int assay_archive_read(const char *path, struct assay_archive **archive, char *error, size_t room)
{
    char *bytes;
    size_t size;
    if (assay_file_read(path, file_limit, &bytes, &size, error, room) != 0)
        return -1;
    int status = assay_archive_parse(bytes, size, path, archive, error, room);
    free(bytes);
    return status;
}

void assay_archive_free(struct assay_archive *archive)
{
    if (!archive)
        return;
    cJSON_Delete(archive->header);
    free(archive->entry);
    free(archive->by_name);
    free(archive->pair);
    free(archive->data);
    free(archive);
}

size_t assay_archive_count(const struct assay_archive *archive)
{
    return archive->count;
}

const struct assay_archive_tensor *assay_archive_entry(const struct assay_archive *archive, size_t i)
{
    return &archive->entry[i];
}

const struct assay_archive_tensor *assay_archive_find(const struct assay_archive *archive, const char *name)
{
    const struct assay_archive_tensor wanted = {.name = name}, *key = &wanted;
    const struct assay_archive_tensor **found =
        bsearch(&key, archive->by_name, archive->count, sizeof *archive->by_name, by_name);
    return found ? *found : NULL;
}

size_t assay_archive_metadata_count(const struct assay_archive *archive)
{
    return archive->pairs;
}

void assay_archive_metadata_at(const struct assay_archive *archive, size_t i, const char **key,
                               const char **value)
{
    *key = archive->pair[i].key;
    *value = archive->pair[i].value;
}

const char *assay_archive_metadata(const struct assay_archive *archive, const char *key)
{
    for (size_t i = 0; i < archive->pairs; i++)
        if (strcmp(archive->pair[i].key, key) == 0)
            return archive->pair[i].value;
    return NULL;
}

size_t assay_entry_not_finite(const struct assay_archive_tensor *entry)
{
    uint64_t exponent; /* all ones in a NaN and in an infinity */
    switch (entry->dtype) {
    case ASSAY_DT_F16:
        exponent = 0x7c00;
        break;
    case ASSAY_DT_BF16:
        exponent = 0x7f80;
        break;
    case ASSAY_DT_F32:
        exponent = 0x7f800000;
        break;
    case ASSAY_DT_F64:
        exponent = UINT64_C(0x7ff0000000000000);
        break;
    default:
        return entry->elements;
    }
    const size_t size = dtypes[entry->dtype].size;
    size_t i = 0;
    for (; i < entry->elements; i++) {
        uint64_t bits = size == 2   ? ((const uint16_t *)entry->data)[i]
                        : size == 4 ? ((const uint32_t *)entry->data)[i]
                                    : ((const uint64_t *)entry->data)[i];
        if ((bits & exponent) == exponent)
            break;
    }
    return i;
}

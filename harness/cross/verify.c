/* SPDX-License-Identifier: Apache-2.0 */
/* The host's side of check-cross: compares what the core printed on another processor, bit for bit,
 * with the golden files, and with what the host computes itself.
 *
 *     verify list FOLDER              the goldens to compute: "ID SETTING SEED" lines for the core
 *     verify stream FOLDER FILE       byte order, fma, tensors compared, mismatches, SHA-256 of the
 *                                     training run, separated by tabs
 *
 * The stream must hold all that is expected, in this order, and nothing else. Exit status: 0, 1 for
 * mismatches (the first are told on standard error), 2 for an error. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "harness/cross/work.h"
#include "harness/files.h"
#include "harness/golden.h"
#include "harness/hash.h"
#include "harness/safetensors.h"

enum { STREAM_BYTES = 1 << 30, TOLD = 5 };

struct verifying {
    const char *folder;
    struct assay_stream stream;
    struct assay_stream_record record; /* the last one read */
    size_t tensors, mismatches;
    char error[ASSAY_ERROR_ROOM];
};

#define COMPLAIN(v, ...) assay_complain((v)->error, sizeof(v)->error, __VA_ARGS__)

/* ---- goldens ---- */

struct golden {
    const struct assay_variant *variant;
    const struct variant_setting *setting;
    const char *file; /* without the folder */
    const char *seed;
    const struct assay_archive *archive;
};

typedef int with_golden(struct verifying *v, const struct golden *golden);

static int open_golden(struct verifying *v, struct golden *golden, with_golden *use)
{
    char file[ASSAY_GOLDEN_PATH], path[ASSAY_GOLDEN_PATH];
    struct assay_archive *archive;
    if (!assay_golden_path("", golden->variant, golden->setting, file)
        || !assay_golden_path(v->folder, golden->variant, golden->setting, path))
        return COMPLAIN(v, "%s: the path is too long", v->folder);
    if (assay_archive_read(path, &archive, v->error, sizeof v->error) != 0)
        return -1;
    golden->file = file;
    golden->archive = archive;
    golden->seed = assay_archive_metadata(archive, "seed");
    int status = golden->seed ? use(v, golden) : COMPLAIN(v, "%s: it has no seed", path);
    assay_archive_free(archive);
    return status;
}

/* Every paper in every setting, the reference first. */
static int each_golden(struct verifying *v, with_golden *use)
{
    const struct assay_variant *variant = &assay_variant_reference;
    for (size_t i = 0; variant; variant = assay_variants[i++])
        for (const struct variant_setting *s = variant->settings; s && s->name; s++) {
            struct golden golden = {.variant = variant, .setting = s};
            if (open_golden(v, &golden, use) != 0)
                return -1;
        }
    return 0;
}

static int print_golden(struct verifying *v, const struct golden *golden)
{
    (void)v;
    printf("%s %s %s\n", golden->variant->id, golden->setting->name, golden->seed);
    return 0;
}

/* ---- records ---- */

__attribute__((format(printf, 2, 3))) static void tell(struct verifying *v, const char *format, ...)
{
    va_list arguments;
    if (v->mismatches++ >= TOLD)
        return;
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
}

/* The next record must have this name. */
static int next(struct verifying *v, const char *expected)
{
    switch (assay_stream_next(&v->stream, &v->record)) {
    case ASSAY_STREAM_BROKEN:
        return COMPLAIN(v, "the stream is broken where %s should be", expected);
    case ASSAY_STREAM_ENDS:
        return COMPLAIN(v, "expected %s, found the end", expected);
    case ASSAY_STREAM_RECORD:
        break;
    }
    if (strcmp(v->record.name, expected) == 0)
        return 0;
    return COMPLAIN(v, "expected %s, found %s", expected, v->record.name);
}

static bool same_shape(const struct assay_stream_record *record, size_t rank, const size_t *dim)
{
    bool same = record->rank == rank;
    for (size_t i = 0; same && i < rank; i++)
        same = record->dim[i] == dim[i];
    return same;
}

static uint64_t bits_at(const void *data, size_t i)
{
    uint32_t bits;
    memcpy(&bits, (const char *)data + i * sizeof bits, sizeof bits);
    return bits;
}

static void compare_entry(struct verifying *v, const struct assay_archive_tensor *expected)
{
    const struct assay_stream_record *r = &v->record;
    enum assay_stream_type type =
        expected->dtype == ASSAY_DT_I32 ? ASSAY_STREAM_I32 : ASSAY_STREAM_F32;
    v->tensors++;
    if (r->type != type || !same_shape(r, expected->rank, expected->dim)) {
        tell(v, "%s: another type or shape\n", r->name);
        return;
    }
    for (size_t i = 0; i < r->elements; i++) {
        uint64_t bits = bits_at(expected->data, i), found = assay_stream_element(r, i);
        if (bits == found)
            continue;
        tell(v, "%s: element %zu: expected 0x%08" PRIx64 ", found 0x%08" PRIx64 "\n", r->name, i,
             bits, found);
        return;
    }
}

/* All of the file but the truth, which is binary64, once for each table. */
static int compare_golden(struct verifying *v, const struct golden *golden)
{
    static const char *const tables[] = {"def", "cpu"};
    char name[ASSAY_STREAM_NAME];
    for (size_t t = 0; t < sizeof tables / sizeof *tables; t++)
        for (size_t i = 0; i < assay_archive_count(golden->archive); i++) {
            const struct assay_archive_tensor *entry = assay_archive_entry(golden->archive, i);
            if (strncmp(entry->name, "f64/", 4) == 0)
                continue;
            assay_work_name(name, golden->file, tables[t], entry->name);
            if (next(v, name) != 0)
                return -1;
            compare_entry(v, entry);
        }
    return 0;
}

/* ---- what the host computes itself ---- */

static int compute(struct verifying *v, char **bytes, size_t *size)
{
    FILE *out = open_memstream(bytes, size);
    if (!out)
        return COMPLAIN(v, "out of memory");
    int status = assay_work_training(out, v->error, sizeof v->error);
    if (status == 0) {
        assay_work_scalars(out);
        assay_stream_end(out);
    }
    if (fclose(out) != 0)
        return COMPLAIN(v, "out of memory");
    return status;
}

static bool is_training(const struct assay_stream_record *record)
{
    return strncmp(record->name, "training ", strlen("training ")) == 0;
}

/* The rest of both streams; `hash` takes the training run as it was found. */
static int compare_rest(struct verifying *v, struct assay_stream own, struct assay_sha256 *hash)
{
    struct assay_stream_record expected;
    while (assay_stream_next(&own, &expected) == ASSAY_STREAM_RECORD) {
        const struct assay_stream_record *found = &v->record;
        if (next(v, expected.name) != 0)
            return -1;
        v->tensors++;
        if (found->size != expected.size || memcmp(found->bytes, expected.bytes, found->size) != 0)
            tell(v, "%s: not as on the host\n", found->name);
        if (is_training(found))
            assay_sha256_update(hash, found->bytes, found->size);
    }
    if (assay_stream_next(&v->stream, &v->record) != ASSAY_STREAM_ENDS)
        return COMPLAIN(v, "expected the end, found more");
    return 0;
}

static int verify(struct verifying *v)
{
    struct assay_sha256 hash;
    char *own = NULL, training[ASSAY_SHA256_HEX];
    size_t size = 0;
    if (next(v, "machine") != 0)
        return -1;
    if (v->record.type != ASSAY_STREAM_I32 || v->record.elements != ASSAY_MACHINE)
        return COMPLAIN(v, "machine: another type or shape");
    struct assay_stream_record machine = v->record;
    int status = each_golden(v, compare_golden);
    if (status == 0)
        status = compute(v, &own, &size);
    assay_sha256_init(&hash);
    if (status == 0)
        status = compare_rest(v, (struct assay_stream){(unsigned char *)own, size}, &hash);
    free(own);
    if (status != 0)
        return -1;
    assay_sha256_hex(&hash, training);
    bool big = assay_stream_element(&machine, ASSAY_MACHINE_BIG_ENDIAN),
         fma = assay_stream_element(&machine, ASSAY_MACHINE_FMA_F32)
               && assay_stream_element(&machine, ASSAY_MACHINE_FMA_F64);
    printf("%s\t%s\t%zu\t%zu\t%s\n", big ? "big" : "little", fma ? "instruction" : "software",
           v->tensors, v->mismatches, training);
    return 0;
}

static int verify_file(struct verifying *v, const char *path)
{
    char *bytes;
    size_t size;
    if (assay_file_read(path, STREAM_BYTES, &bytes, &size, v->error, sizeof v->error) != 0)
        return -1;
    v->stream = (struct assay_stream){(unsigned char *)bytes, size};
    int status = verify(v);
    free(bytes);
    return status;
}

int main(int argc, char **argv)
{
    struct verifying v = {.folder = argc > 2 ? argv[2] : NULL};
    int status;
    if (argc == 3 && strcmp(argv[1], "list") == 0)
        status = each_golden(&v, print_golden);
    else if (argc == 4 && strcmp(argv[1], "stream") == 0)
        status = verify_file(&v, argv[3]);
    else {
        fputs("usage: verify list FOLDER, or verify stream FOLDER FILE\n", stderr);
        return 2;
    }
    if (status == 0)
        return v.mismatches != 0;
    fprintf(stderr, "verify: %s\n", v.error);
    return 2;
}

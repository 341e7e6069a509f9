/* SPDX-License-Identifier: Apache-2.0 */
/* Archives: what was written is read back, what is wrong is refused with the reason, and the old
 * file outlives a failure. */
#include "harness/safetensors.h"

#include <dirent.h>
#include <limits.h>
#include <math.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "harness/files.h"
#include "harness/hash.h"
#include "harness/tests/tap.h"

static char error[ASSAY_ERROR_ROOM];

/* A file with this header and `size` bytes of data. Exactly as large as needed, so that the address
 * sanitizer sees a read behind it. Caller frees. */
static unsigned char *make(uint64_t length, const char *header, size_t written, const void *data,
                           size_t size, size_t *total)
{
    *total = 8 + written + size;
    unsigned char *bytes = malloc(*total);
    for (int i = 0; i < 8; i++)
        bytes[i] = (unsigned char)(length >> 8 * i);
    memcpy(bytes + 8, header, written);
    if (size > 0)
        memcpy(bytes + 8 + written, data, size);
    return bytes;
}

/* Parses a copy; true if it was refused with a message that holds `reason`. */
static bool refused(const void *bytes, size_t size, const char *reason)
{
    struct assay_archive *archive = NULL;
    char *copy = malloc(size + (size == 0));
    memcpy(copy, bytes, size);
    error[0] = '\0';
    int status = assay_archive_parse(copy, size, "hostile", &archive, error, sizeof error);
    free(copy);
    if (status == 0)
        assay_archive_free(archive);
    bool right = status == -1 && strncmp(error, "hostile: ", 9) == 0 && strstr(error, reason);
    if (!right)
        diag("status %d, message \"%s\", expected in it \"%s\"", status, error, reason);
    return right;
}

static const char eight[16] = {0};

struct hostile {
    const char *statement, *header;
    size_t data;
    const char *reason;
};

/* clang-format off */
static const struct hostile headers[] = {
    {"an empty header", "", 0, "an empty one"},
    {"a header that is a list", "[]", 0, "begins with '{'"},
    {"a header that begins with a space", " {}", 0, "begins with '{'"},
    {"JSON that ends early", "{\"a\":", 0, "found the end"},
    {"a second value", "{}{}", 0, "the end after the value"},
    {"a comma at the end",
     "{\"a\":{\"dtype\":\"U8\",\"shape\":[],\"data_offsets\":[0,1]},}", 1, "expected a string"},
    {"a key that is not UTF-8",
     "{\"a\xff\":{\"dtype\":\"U8\",\"shape\":[],\"data_offsets\":[0,1]}}", 1, "UTF-8"},
    {"UTF-8 in a form that is too long",
     "{\"\xc0\xaf\":{\"dtype\":\"U8\",\"shape\":[],\"data_offsets\":[0,1]}}", 1, "UTF-8"},
    {"UTF-8 of a surrogate",
     "{\"\xed\xa0\x80\":{\"dtype\":\"U8\",\"shape\":[],\"data_offsets\":[0,1]}}", 1, "UTF-8"},
    {"half a surrogate pair",
     "{\"\\ud800x\":{\"dtype\":\"U8\",\"shape\":[],\"data_offsets\":[0,1]}}", 1, "surrogate pair"},
    {"a NUL in a key",
     "{\"a\\u0000b\":{\"dtype\":\"U8\",\"shape\":[],\"data_offsets\":[0,1]}}", 1, "NUL"},
    {"a control character in a string",
     "{\"a\nb\":{\"dtype\":\"U8\",\"shape\":[],\"data_offsets\":[0,1]}}", 1, "control"},
    {"an escaped control character in a name",
     "{\"a\\u001b\":{\"dtype\":\"U8\",\"shape\":[],\"data_offsets\":[0,1]}}", 1,
     "without control characters"},
    {"an empty name",
     "{\"\":{\"dtype\":\"U8\",\"shape\":[],\"data_offsets\":[0,1]}}", 1, "an empty one"},
    {"a tensor twice", "{\"a\":{\"dtype\":\"U8\",\"shape\":[],\"data_offsets\":[0,1]},"
     "\"a\":{\"dtype\":\"U8\",\"shape\":[],\"data_offsets\":[1,2]}}", 2, "found \"a\" twice"},
    {"a tensor twice, once escaped",
     "{\"a\":{\"dtype\":\"U8\",\"shape\":[],\"data_offsets\":[0,1]},"
     "\"\\u0061\":{\"dtype\":\"U8\",\"shape\":[],\"data_offsets\":[1,2]}}", 2, "found \"a\" twice"},
    {"a dtype twice",
     "{\"a\":{\"dtype\":\"U8\",\"dtype\":\"I8\",\"shape\":[],\"data_offsets\":[0,1]}}",
     1, "found \"dtype\" twice"},
    {"metadata twice",
     "{\"__metadata__\":{},\"__metadata__\":{}}", 0, "found \"__metadata__\" twice"},
    {"a number as metadata", "{\"__metadata__\":{\"k\":1}}", 0, "expected a string for \"k\""},
    {"a list as metadata", "{\"__metadata__\":[]}", 0, "__metadata__: expected an object"},
    {"nested metadata", "{\"__metadata__\":{\"k\":{\"l\":{}}}}", 0, "at most 3 levels"},
    {"nesting 20000 deep", NULL, 0, "at most 3 levels"},
    {"a tensor that is a number", "{\"a\":7}", 0, "expected an object with dtype"},
    {"a tensor without dtype",
     "{\"a\":{\"shape\":[],\"data_offsets\":[0,1]}}", 1, "expected the key dtype"},
    {"a tensor without shape",
     "{\"a\":{\"dtype\":\"U8\",\"data_offsets\":[0,1]}}", 1, "expected the key shape"},
    {"a tensor without offsets",
     "{\"a\":{\"dtype\":\"U8\",\"shape\":[]}}", 1, "expected the key data_offsets"},
    {"a key too many",
     "{\"a\":{\"dtype\":\"U8\",\"shape\":[],\"data_offsets\":[0,1],\"x\":1}}",
     1, "only, found \"x\""},
    {"an unknown dtype",
     "{\"a\":{\"dtype\":\"F99\",\"shape\":[],\"data_offsets\":[0,1]}}", 1, "found F99"},
    {"a dtype in small letters",
     "{\"a\":{\"dtype\":\"f32\",\"shape\":[],\"data_offsets\":[0,4]}}", 4, "found f32"},
    {"a dtype that is a number",
     "{\"a\":{\"dtype\":32,\"shape\":[],\"data_offsets\":[0,4]}}", 4, "found another value"},
    {"a shape that is a number",
     "{\"a\":{\"dtype\":\"U8\",\"shape\":1,\"data_offsets\":[0,1]}}", 1, "a list as shape"},
    {"an axis that is a string",
     "{\"a\":{\"dtype\":\"U8\",\"shape\":[\"1\"],\"data_offsets\":[0,1]}}", 1, "axis 0"},
    {"an axis below 0",
     "{\"a\":{\"dtype\":\"U8\",\"shape\":[-1],\"data_offsets\":[0,1]}}", 1, "not negative"},
    {"an axis with a fraction",
     "{\"a\":{\"dtype\":\"U8\",\"shape\":[1.5],\"data_offsets\":[0,1]}}", 1, "written in digits"},
    {"an axis with an exponent",
     "{\"a\":{\"dtype\":\"U8\",\"shape\":[1e0],\"data_offsets\":[0,1]}}", 1, "written in digits"},
    {"an axis with a leading 0",
     "{\"a\":{\"dtype\":\"U8\",\"shape\":[01],\"data_offsets\":[0,1]}}", 1, "leading 0"},
    {"an axis of 2^53",
     "{\"a\":{\"dtype\":\"U8\",\"shape\":[9007199254740992],\"data_offsets\":[0,1]}}",
     1, "2^53 - 1"},
    {"an axis of 2^53 + 1, which a double rounds",
     "{\"a\":{\"dtype\":\"U8\",\"shape\":[9007199254740993],"
     "\"data_offsets\":[0,1]}}", 1, "2^53 - 1"},
    {"an axis of 400 digits", NULL, 1, "at most 60 characters"},
    {"9 axes",
     "{\"a\":{\"dtype\":\"U8\",\"shape\":[1,1,1,1,1,1,1,1,1],\"data_offsets\":[0,1]}}",
     1, "at most 8 axes, found 9"},
    {"elements beyond 2^64",
     "{\"a\":{\"dtype\":\"U8\",\"shape\":[4294967296,4294967296,16],\"data_offsets\":[0,0]}}", 0,
     "elements"},
    {"elements beyond 2^64 beside an axis of 0",
     "{\"a\":{\"dtype\":\"U8\",\"shape\":[4294967296,0,4294967296,16],"
     "\"data_offsets\":[0,0]}}", 0, "elements"},
    {"bytes beyond 2^64",
     "{\"a\":{\"dtype\":\"F64\",\"shape\":[4294967296,1073741824],\"data_offsets\":[0,0]}}",
     0, "bytes"},
    {"one offset",
     "{\"a\":{\"dtype\":\"U8\",\"shape\":[],\"data_offsets\":[0]}}", 1, "two integers"},
    {"three offsets",
     "{\"a\":{\"dtype\":\"U8\",\"shape\":[],\"data_offsets\":[0,1,1]}}", 1, "two integers"},
    {"offsets that are strings",
     "{\"a\":{\"dtype\":\"U8\",\"shape\":[],\"data_offsets\":[\"0\",\"1\"]}}", 1, "two integers"},
    {"an offset of 2^63",
     "{\"a\":{\"dtype\":\"U8\",\"shape\":[],\"data_offsets\":[0,9223372036854775808]}}",
     1, "two integers"},
    {"offsets that run backwards", "{\"a\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0]},"
     "\"b\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]},\"c\":{\"dtype\":\"U8\","
     "\"shape\":[1],"
     "\"data_offsets\":[1,0]}}", 2, "found offsets 1 to 0"},
    {"a gap", "{\"a\":{\"dtype\":\"U8\",\"shape\":[],\"data_offsets\":[1,2]}}", 2, "a gap"},
    {"an overlap", "{\"a\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[0,2]},"
     "\"b\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[1,3]}}", 3, "an overlap"},
    {"tensors out of order", "{\"a\":{\"dtype\":\"U8\",\"shape\":[],\"data_offsets\":[1,2]},"
     "\"b\":{\"dtype\":\"U8\",\"shape\":[],\"data_offsets\":[0,1]}}", 2, "found 1"},
    {"fewer bytes than the shape",
     "{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,4]}}", 4, "expected 8 bytes"},
    {"more bytes than the shape",
     "{\"a\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[0,8]}}", 8, "expected 4 bytes"},
    {"data cut off",
     "{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}", 7, "found only 7 bytes"},
    {"a byte behind the data",
     "{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}", 9, "found 1 more"},
    {"data without tensors", "{}", 1, "found 1 more"},
};
/* clang-format on */

static void hostile_headers(void)
{
    char deep[20001], digits[600];
    memset(deep, '[', sizeof deep - 1);
    deep[sizeof deep - 1] = '\0';
    memcpy(deep, "{\"a\":", 5);
    snprintf(digits, sizeof digits,
             "{\"a\":{\"dtype\":\"U8\",\"shape\":[1%0400d],\"data_offsets\":[0,1]}}", 0);
    for (size_t i = 0; i < sizeof headers / sizeof *headers; i++) {
        const struct hostile *h = &headers[i];
        const char *header = h->header ? h->header : strstr(h->statement, "digits") ? digits : deep;
        size_t total;
        unsigned char *bytes = make(strlen(header), header, strlen(header), eight, h->data, &total);
        ok(refused(bytes, total, h->reason), "refused: %s", h->statement);
        free(bytes);
    }
}

static void hostile_lengths(void)
{
    static const struct {
        const char *statement;
        uint64_t length;
        const char *reason;
    } lengths[] = {
        {"a header length of 2^63", UINT64_C(1) << 63, "at most 16777216 bytes"},
        {"a header length of 2^64 - 1", UINT64_MAX, "at most 16777216 bytes"},
        {"a header length of 16 MiB and one byte", (UINT64_C(16) << 20) + 1,
         "at most 16777216 bytes"},
        {"a header longer than the file", 3, "found only 2"},
        {"a header length one too small", 1, "found the end"},
    };
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        size_t total;
        unsigned char *bytes = make(lengths[i].length, "{}", 2, NULL, 0, &total);
        ok(refused(bytes, total, lengths[i].reason), "refused: %s", lengths[i].statement);
        free(bytes);
    }
    static const char text[] = "{\"a\":{\"dtype\":\"BOOL\",\"shape\":[2],\"data_offsets\":[0,2]}}";
    size_t total;
    unsigned char *bytes = make(strlen(text), text, strlen(text), "\1\2", 2, &total);
    ok(refused(bytes, total, "element 1: expected a BOOL of 0 or 1, found 2"),
       "refused: a BOOL of 2");
    free(bytes);
    ok(refused("", 0, "8 bytes or more, found 0"), "refused: an empty file");
}

/* 800000 distinct keys, then one of them again: found in seconds, which comparing all pairs
 * would not be. */
static void many_keys(void)
{
    const size_t room = (size_t)12 << 20, keys = 800000;
    char *header = malloc(room);
    size_t at = (size_t)snprintf(header, room, "{\"__metadata__\":{");
    for (size_t i = 0; i < keys; i++)
        at += (size_t)snprintf(header + at, room - at, "\"%zu\":\"\",", i);
    at += (size_t)snprintf(header + at, room - at, "\"77\":\"\"}}");
    size_t total;
    unsigned char *bytes = make(at, header, at, NULL, 0, &total);
    ok(refused(bytes, total, "found \"77\" twice"), "refused: one key twice among %zu", keys);
    free(bytes);
    free(header);
}

static const float singles[6] = {1, -2.5F, 0.1F, 3e-45F, -0.0F, INFINITY};
static const double doubles[2] = {0.1, -1e308};

/* A small archive of every kind: odd sizes first, so that what follows lies unaligned in the
 * file. */
static struct assay_archive_writer *example(void)
{
    struct assay_archive_writer *w = assay_archive_writer_open();
    assay_archive_writer_metadata(w, "zebra", "first");
    assay_archive_writer_tensor(w, "flag", ASSAY_DT_BOOL, 1, (size_t[]){3},
                                (bool[]){true, false, true});
    assay_archive_writer_metadata(w, "ant", "\"quoted\" \\ \n \xc3\xa9");
    assay_archive_writer_tensor(w, "f32/x", ASSAY_DT_F32, 2, (size_t[]){2, 3}, singles);
    assay_archive_writer_tensor(w, "f64/y", ASSAY_DT_F64, 1, (size_t[]){2}, doubles);
    assay_archive_writer_tensor(w, "scalar", ASSAY_DT_I32, 0, NULL, &(int32_t){-7});
    assay_archive_writer_tensor(w, "none", ASSAY_DT_U16, 2, (size_t[]){4, 0}, NULL);
    assay_archive_writer_tensor(w, "wide", ASSAY_DT_I64, 8, (size_t[]){1, 1, 1, 1, 1, 1, 1, 1},
                                &(int64_t){INT64_MIN});
    return w;
}

static bool holds(const struct assay_archive *a, const char *name, enum assay_dtype dtype,
                  size_t rank, const void *data, size_t bytes)
{
    const struct assay_archive_tensor *e = assay_archive_find(a, name);
    return e && e->dtype == dtype && e->rank == rank && e->bytes == bytes
           && (uintptr_t)e->data % 64 == 0 && (bytes == 0 || memcmp(e->data, data, bytes) == 0);
}

static void round_trip(void)
{
    struct assay_archive_writer *w = example();
    struct assay_archive *a = NULL;
    void *bytes = NULL, *again = NULL;
    size_t size = 0, size_again = 0;
    int status = assay_archive_writer_bytes(w, "memory", &bytes, &size, error, sizeof error);
    status |= assay_archive_writer_bytes(w, "memory", &again, &size_again, error, sizeof error);
    ok(status == 0 && size == size_again && memcmp(bytes, again, size) == 0,
       "an archive is written, twice the same bytes");
    char hex[ASSAY_SHA256_HEX];
    assay_sha256_memory(bytes, size, hex);
    ok(strcmp(hex, "ced699543e3f27353a357762013709855b29790734a678605eaf45d22e1e0fec") == 0,
       "its bytes have the SHA-256 that every machine gives");
    ok((((const unsigned char *)bytes)[0] & 7) == 0, "its header is a multiple of 8 bytes");
    if (!ok(assay_archive_parse(bytes, size, "memory", &a, error, sizeof error) == 0,
            "it is read back")) {
        diag("%s", error);
        return;
    }
    ok(assay_archive_count(a) == 6 && strcmp(assay_archive_entry(a, 0)->name, "flag") == 0
           && strcmp(assay_archive_entry(a, 5)->name, "wide") == 0,
       "with the tensors in the order added");
    ok(holds(a, "f32/x", ASSAY_DT_F32, 2, singles, sizeof singles)
           && assay_archive_find(a, "f32/x")->dim[1] == 3,
       "binary32 keeps shape, bits and alignment");
    ok(holds(a, "f64/y", ASSAY_DT_F64, 1, doubles, sizeof doubles),
       "binary64 keeps shape, bits and alignment");
    ok(holds(a, "scalar", ASSAY_DT_I32, 0, &(int32_t){-7}, 4)
           && assay_archive_find(a, "scalar")->elements == 1,
       "a tensor without axes has one element");
    ok(holds(a, "none", ASSAY_DT_U16, 2, NULL, 0) && assay_archive_find(a, "none")->data,
       "a tensor can be empty");
    ok(holds(a, "wide", ASSAY_DT_I64, 8, &(int64_t){INT64_MIN}, 8), "a tensor can have 8 axes");
    ok(!assay_archive_find(a, "f32") && !assay_archive_find(a, "__metadata__"),
       "other names are not found");
    const char *key, *value;
    assay_archive_metadata_at(a, 0, &key, &value);
    ok(assay_archive_metadata_count(a) == 2 && strcmp(key, "zebra") == 0
           && strcmp(value, "first") == 0,
       "metadata comes in the order added");
    ok(strcmp(assay_archive_metadata(a, "ant"), "\"quoted\" \\ \n \xc3\xa9") == 0
           && !assay_archive_metadata(a, "bee"),
       "metadata keeps quotes, new lines and UTF-8");
    ok(assay_entry_not_finite(assay_archive_find(a, "f32/x")) == 5
           && assay_entry_not_finite(assay_archive_find(a, "f64/y")) == 2,
       "the first infinity of a tensor is found");
    assay_archive_free(a);
    free(bytes);
    free(again);
    assay_archive_writer_close(w);
}

static void damaged_bytes(void)
{
    struct assay_archive_writer *w = example();
    unsigned char *bytes;
    size_t size = 0, taken = 0, accepted = 0;
    if (assay_archive_writer_bytes(w, "memory", (void **)&bytes, &size, error, sizeof error) != 0)
        size = 0;
    for (size_t n = 0; n < size; n++)
        taken += refused(bytes, n, "expected");
    ok(size > 0 && taken == size, "refused: a file cut at any of its %zu bytes", size);
    const size_t header = 8 + bytes[0] + ((size_t)bytes[1] << 8);
    for (size_t bit = 0; bit < 8 * header; bit++) {
        bytes[bit / 8] ^= (unsigned char)(1 << bit % 8);
        unsigned char *copy = malloc(size);
        memcpy(copy, bytes, size);
        struct assay_archive *a = NULL;
        if (assay_archive_parse(copy, size, "flipped", &a, error, sizeof error) == 0) {
            /* Such a file is another right one: a letter of a name, a dtype of the same size. */
            accepted++;
            for (size_t i = 0; i < assay_archive_count(a); i++)
                accepted += assay_archive_find(a, assay_archive_entry(a, i)->name)
                            != assay_archive_entry(a, i);
        }
        assay_archive_free(a);
        free(copy);
        bytes[bit / 8] ^= (unsigned char)(1 << bit % 8);
    }
    ok(accepted > 0 && accepted < 2 * header,
       "a flipped bit in the header, any of %zu, is refused or harmless (%zu)", 8 * header,
       accepted);
    free(bytes);
    assay_archive_writer_close(w);
}

static void writer_refuses(void)
{
    struct assay_archive_writer *w = example();
    void *bytes;
    size_t size;
    assay_archive_writer_tensor(w, "flag", ASSAY_DT_U8, 1, (size_t[]){1}, "x");
    ok(assay_archive_writer_bytes(w, "m", &bytes, &size, error, sizeof error) == -1
           && strstr(error, "\"flag\" twice"),
       "the writer refuses a name twice");
    assay_archive_writer_close(w);
    w = example();
    assay_archive_writer_metadata(w, "bytes", "\xfe");
    ok(assay_archive_writer_bytes(w, "m", &bytes, &size, error, sizeof error) == -1
           && strstr(error, "UTF-8"),
       "the writer refuses metadata that is not UTF-8");
    assay_archive_writer_close(w);
    w = example();
    assay_archive_writer_tensor(w, "high", ASSAY_DT_U8, 9, (size_t[]){1, 1, 1, 1, 1, 1, 1, 1, 1},
                                "x");
    ok(assay_archive_writer_bytes(w, "m", &bytes, &size, error, sizeof error) == -1
           && strstr(error, "found 9 axes"),
       "the writer refuses 9 axes and remembers it");
    assay_archive_writer_close(w);
}

static size_t files_in(const char *path)
{
    size_t count = 0;
    DIR *folder = opendir(path);
    for (const struct dirent *item; folder && (item = readdir(folder)) != NULL;)
        count += strcmp(item->d_name, ".") != 0 && strcmp(item->d_name, "..") != 0;
    if (folder)
        closedir(folder);
    return count;
}

/* A full disk is played by a limit on the size of files. */
static void atomic_files(void)
{
    char folder[] = "/tmp/assay-safetensors-XXXXXX", path[PATH_MAX], before[ASSAY_SHA256_HEX],
         after[ASSAY_SHA256_HEX];
    if (!mkdtemp(folder)) {
        skip(6, "no temporary folder");
        return;
    }
    struct assay_archive_writer *w = example();
    struct assay_archive *a = NULL;
    snprintf(path, sizeof path, "%s/x.safetensors", folder);
    ok(assay_archive_writer_save(w, path, error, sizeof error) == 0 && files_in(folder) == 1,
       "an archive is saved alone");
    ok(assay_archive_read(path, &a, error, sizeof error) == 0 && assay_archive_count(a) == 6,
       "and read from its file");
    assay_archive_free(a);
    assay_sha256_file(path, before, error, sizeof error);
    assay_archive_writer_tensor(w, "more", ASSAY_DT_F64, 1, (size_t[]){2}, doubles);
    struct rlimit old, small;
    getrlimit(RLIMIT_FSIZE, &old);
    small = (struct rlimit){100, old.rlim_max};
    signal(SIGXFSZ, SIG_IGN);
    setrlimit(RLIMIT_FSIZE, &small);
    int status = assay_archive_writer_save(w, path, error, sizeof error);
    setrlimit(RLIMIT_FSIZE, &old);
    assay_sha256_file(path, after, error + 256, sizeof error - 256);
    ok(status == -1 && strncmp(error, path, strlen(path)) == 0 && strstr(error, "not written"),
       "a full disk is told with the name of the file");
    ok(strcmp(before, after) == 0 && files_in(folder) == 1,
       "and the old file stays, without rests beside it");
    ok(assay_archive_writer_save(w, "/nowhere/at/all/x", error, sizeof error) == -1
           && strstr(error, "No such file"),
       "a folder that is missing is told");
    ok(assay_archive_read(folder, &a, error, sizeof error) == -1
           && strstr(error, "expected a regular file, found a folder"),
       "a folder is not read as an archive");
    assay_archive_writer_close(w);
    unlink(path);
    rmdir(folder);
}

/* Written by other code: every file of the papers' own numbers is read. */
static void outside_files(void)
{
    char folder[PATH_MAX];
    struct assay_names names;
    snprintf(folder, sizeof folder, "%s/golden/outside", getenv("srcdir") ? getenv("srcdir") : ".");
    if (assay_folder_list(folder, ".safetensors", &names, error, sizeof error) != 0
        || names.count == 0) {
        skip(1, "golden/outside is not here");
        return;
    }
    size_t right = 0;
    for (size_t i = 0; i < names.count; i++) {
        char *path = assay_path_join(folder, names.name[i]);
        struct assay_archive *a = NULL;
        if (assay_archive_read(path, &a, error, sizeof error) == 0)
            right += assay_archive_count(a) > 0 && assay_archive_metadata(a, "commit") != NULL;
        else
            diag("%s", error);
        assay_archive_free(a);
        free(path);
    }
    ok(right == names.count, "%zu files written by Python are read, with their commits",
       names.count);
    assay_names_free(&names);
}

int main(void)
{
    round_trip();
    hostile_headers();
    hostile_lengths();
    many_keys();
    damaged_bytes();
    writer_refuses();
    atomic_files();
    outside_files();
    return done_testing();
}

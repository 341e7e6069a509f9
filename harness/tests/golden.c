/* SPDX-License-Identifier: Apache-2.0 */
/* Golden files: they verify with every table and profile, and whatever is changed in one is noticed
 * and told. */
#define _GNU_SOURCE
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "harness/configuration.h"
#include "harness/files.h"
#include "harness/golden.h"
#include "harness/lookup.h"
#include "harness/safetensors.h"
#include "harness/tests/tap.h"
#include "ref/rng.h"

static char folder[] = "/tmp/assay-golden-XXXXXX";
static char good_path[64], bad_path[64], error[2 * ASSAY_ERROR_ROOM];
static char *good;
static size_t size;

static void because(bool holds)
{
    if (!holds)
        diag("%s", error);
}

static struct assay_golden_tables tables_of(const char *kernels, enum assay_profile profile)
{
    struct assay_golden_tables tables = {.count = 1};
    tables.kernels[0] = assay_lookup_kernels(profile, kernels, error, sizeof error);
    return tables;
}

static enum assay_golden_verdict verify_bytes(const void *bytes, size_t count)
{
    struct assay_golden_tables tables = tables_of("def", ASSAY_F32);
    if (assay_file_write(bad_path, bytes, count, error, sizeof error) != 0)
        return ASSAY_GOLDEN_SAME;
    return assay_golden_verify(bad_path, &tables, error, sizeof error);
}

static void every_table_agrees(const struct assay_variant *v)
{
    static const char *const names[] = {"def", "cpu", "base", "x86-64-v3", "x86-64-v4"};
    for (const struct variant_setting *s = v->settings; s->name; s++) {
        uint64_t seed;
        size_t bytes;
        bool written = assay_golden_write(v, s, good_path, &seed, &bytes, error, sizeof error) == 0;
        because(ok(written && bytes <= ASSAY_GOLDEN_BYTES, "%s, %s: a golden of at most %d bytes",
                   v->id, s->name, ASSAY_GOLDEN_BYTES));
        struct assay_golden_tables tables = {.count = 0};
        for (size_t i = 0; i < sizeof names / sizeof *names; i++)
            for (int p = 0; p < 2; p++) {
                tables.kernels[tables.count] =
                    tables_of(names[i], p ? ASSAY_F64 : ASSAY_F32).kernels[0];
                tables.count += tables.kernels[tables.count] != NULL;
            }
        bool same =
            assay_golden_verify(good_path, &tables, error, sizeof error) == ASSAY_GOLDEN_SAME;
        because(ok(same, "%s, %s: %zu tables have its bits", v->id, s->name, tables.count));
    }
}

/* What is in the file: names with their types, and metadata. */
static void has_what_the_format_says(void)
{
    static const char *const keys[] = {"assay.format",  "arithmetic", "id",     "setting",
                                       "paper",         "title",      "code",   "settled_by",
                                       "configuration", "seed",       "margin", "calibration",
                                       "scales",        "budgets",    "pools"};
    static const struct {
        const char *name;
        enum assay_dtype dtype;
    } tensors[] = {{"input/ids", ASSAY_DT_I32},
                   {"input/label", ASSAY_DT_I32},
                   {"param/embed.token", ASSAY_DT_F32},
                   {"f32/output", ASSAY_DT_F32},
                   {"f32/loss", ASSAY_DT_F32},
                   {"f32/grad/embed.token", ASSAY_DT_F32},
                   {"f32/trace/block.0", ASSAY_DT_F32},
                   {"f64/output", ASSAY_DT_F64},
                   {"f64/grad/embed.token", ASSAY_DT_F64},
                   {"f64/trace/block.0", ASSAY_DT_F64}};
    struct assay_archive *archive;
    ok(assay_archive_read(good_path, &archive, error, sizeof error) == 0, "a golden is an archive");
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        ok(assay_archive_metadata(archive, keys[i]) != NULL, "it says its %s", keys[i]);
    for (size_t i = 0; i < sizeof tensors / sizeof *tensors; i++) {
        const struct assay_archive_tensor *t = assay_archive_find(archive, tensors[i].name);
        ok(t && t->dtype == tensors[i].dtype, "it holds %s as %s", tensors[i].name,
           assay_dtype_name(tensors[i].dtype));
    }
    struct assay_config config, again;
    const char *text = assay_archive_metadata(archive, "configuration");
    const struct assay_variant *v = variant_find(assay_archive_metadata(archive, "id"));
    bool made = assay_configuration_make(&config, v, text, error, sizeof error) == 0;
    char *back = made ? assay_configuration_text(&config, v) : NULL;
    ok(back && strcmp(back, text) == 0
           && assay_configuration_make(&again, v, back, error, sizeof error) == 0,
       "its configuration reads back to itself");
    free(back);
    assay_archive_free(archive);
}

static size_t header_size(void)
{
    size_t header = 0;
    for (int i = 8; i-- > 0;)
        header = header << 8 | (unsigned char)good[i];
    return header + 8;
}

/* A bit anywhere: in the length, the header, or the data. */
static void one_bit_is_noticed(void)
{
    enum { TRIALS = 120 };
    struct assay_rng rng;
    size_t header = header_size(), unnoticed = 0, silent = 0;
    assay_rng_named(&rng, 7, "golden");
    for (int i = 0; i < TRIALS; i++) {
        size_t from = i < TRIALS / 2 ? 0 : header, to = i < TRIALS / 2 ? header : size;
        size_t at = from + assay_rng_below(&rng, (uint32_t)(to - from));
        char bit = (char)(1 << assay_rng_below(&rng, 8));
        good[at] ^= bit;
        error[0] = '\0';
        bool noticed = verify_bytes(good, size) != ASSAY_GOLDEN_SAME;
        if (!noticed)
            diag("bit %d of byte %zu", bit, at);
        unnoticed += !noticed;
        silent += noticed && strstr(error, bad_path) == NULL;
        good[at] ^= bit;
    }
    ok(unnoticed == 0, "%d files with one bit changed: none verifies", TRIALS);
    ok(silent == 0, "each with a reason that names the file");
    ok(verify_bytes(good, size) == ASSAY_GOLDEN_SAME, "the file without the change does");
}

/* The first byte of a tensor's data in the file. */
static size_t place_of(const char *name)
{
    char key[160], *at, *end;
    snprintf(key, sizeof key, "\"%s\"", name);
    at = memmem(good, header_size(), key, strlen(key));
    at = at ? strstr(at, "data_offsets") : NULL;
    return at ? header_size() + strtoull(strchr(at, '[') + 1, &end, 10) : 0;
}

static void tells_where(const char *name, const char *expected)
{
    size_t at = place_of(name);
    good[at] ^= 1;
    enum assay_golden_verdict verdict = verify_bytes(good, size);
    good[at] ^= 1;
    because(
        ok(at && verdict == ASSAY_GOLDEN_DIFFERS && strstr(error, name) && strstr(error, expected),
           "the lowest bit of %s[0..]: the tensor, the element and both values are told", name));
}

static void cut_files_are_refused(void)
{
    const size_t lengths[] = {0, 7, 8, 100, header_size() - 1, header_size(), size / 2, size - 1};
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++)
        ok(verify_bytes(good, lengths[i]) == ASSAY_GOLDEN_REFUSED, "cut to %zu bytes: refused: %s",
           lengths[i], error);
}

/* The header replaced, the data left. */
static void refuses_header(const char *header, const char *what)
{
    size_t length = strlen(header), data = size - header_size();
    char *bytes = calloc(1, 8 + length + data);
    for (size_t i = 0; i < 8; i++)
        bytes[i] = (char)(length >> (8 * i));
    memcpy(bytes + 8, header, length);
    memcpy(bytes + 8 + length, good + header_size(), data);
    because(ok(verify_bytes(bytes, 8 + length + data) == ASSAY_GOLDEN_REFUSED,
               "a header with %s: refused", what));
    free(bytes);
}

static void hostile_headers_are_refused(void)
{
    static const char empty[] = "\"x\":{\"dtype\":\"F32\",\"shape\":[0],\"data_offsets\":[0,0]}";
    char header[512];
    refuses_header("{}", "nothing in it");
    refuses_header("{\"x\":{\"dtype\":\"F32\",\"shape\":[4611686018427387904,4],"
                   "\"data_offsets\":[0,0]}}",
                   "a shape that overflows");
    refuses_header("[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[", "nesting without an end");
    snprintf(header, sizeof header, "{\"__metadata__\":{\"assay.format\":\"9\"},%s}", empty);
    refuses_header(header, "another format");
    char huge[] = "\xff\xff\xff\xff\xff\xff\xff\xff{}";
    ok(verify_bytes(huge, sizeof huge - 1) == ASSAY_GOLDEN_REFUSED,
       "a header said to be longer than the file: refused");
}

/* A file of other metadata, with all tensors as they were. */
static void other_metadata(const char *key, const char *value, const char *told,
                           enum assay_golden_verdict expected)
{
    struct assay_archive *archive;
    void *bytes;
    size_t count;
    assay_archive_read(good_path, &archive, error, sizeof error);
    struct assay_archive_writer *w = assay_archive_writer_open();
    for (size_t i = 0; i < assay_archive_metadata_count(archive); i++) {
        const char *name, *text;
        assay_archive_metadata_at(archive, i, &name, &text);
        assay_archive_writer_metadata(w, name, strcmp(name, key) == 0 ? value : text);
    }
    for (size_t i = 0; i < assay_archive_count(archive); i++) {
        const struct assay_archive_tensor *t = assay_archive_entry(archive, i);
        assay_archive_writer_tensor(w, t->name, t->dtype, t->rank, t->dim, t->data);
    }
    assay_archive_writer_bytes(w, "test", &bytes, &count, error, sizeof error);
    because(ok(verify_bytes(bytes, count) == expected && strstr(error, told) != NULL,
               "%s '%.30s': %s", key, value,
               expected == ASSAY_GOLDEN_REFUSED   ? "refused"
               : expected == ASSAY_GOLDEN_DIFFERS ? "differs"
                                                  : "as computed: later fields have defaults"));
    free(bytes);
    assay_archive_writer_close(w);
    assay_archive_free(archive);
}

/* A paper with decisions: the two largest channels of every token, of x or of zeros. */
static tensor choosing_ffn(layer *l, tensor x)
{
    top_k(l->t, scale(l->t, x, hyper(l, "factor")), 2, tape_string(l->t, "%s.chosen", l->path));
    return assay_reference_slots.ffn(l, x);
}

static const struct assay_variant choosing = {
    .id = "choosing",
    .title = "Choosing",
    .source = {"none", NULL, "this test", CONFIDENCE_HIGH},
    .slot = {.ffn = choosing_ffn},
    .hypers =
        (const struct variant_hyper[]){{"factor", "of x", 1, 1, not_negative, "at least 0", NULL},
                                       {0}},
    .settings = (const struct variant_setting[]){
        {"default", "preset=pre_ln"}, {"tied", "preset=pre_ln factor=0"}, {0}}};

static void decisions_are_kept_and_must_be_clear(void)
{
    struct assay_archive *archive;
    uint64_t seed;
    size_t bytes;
    const char *margin = NULL;
    const struct assay_archive_tensor *t = NULL;
    if (assay_golden_write(&choosing, &choosing.settings[0], good_path, &seed, &bytes, error,
                           sizeof error)
            == 0
        && assay_archive_read(good_path, &archive, error, sizeof error) == 0) {
        t = assay_archive_find(archive, "decision/block.1.ffn.chosen");
        margin = assay_archive_metadata(archive, "margin");
        because(ok(t && t->dtype == ASSAY_DT_I32 && t->rank == 3 && t->dim[2] == 2,
                   "decisions are kept as integers"));
        ok(margin && strtod(margin, NULL) > 0, "with the margin of the closest, %s", margin);
        const char *flips = assay_archive_metadata(archive, "flips");
        because(ok(flips && strstr(flips, "{\"elements\": "),
                   "and how often honest runs would have chosen otherwise: %s", flips));
        assay_archive_free(archive);
    } else
        because(ok(false, "a golden with decisions is written"));
    unlink(good_path);
    bool written = assay_golden_write(&choosing, &choosing.settings[1], good_path, &seed, &bytes,
                                      error, sizeof error)
                   == 0;
    ok(!written && seed == ASSAY_GOLDEN_SEEDS && strstr(error, "margin")
           && access(good_path, F_OK) != 0,
       "decisions that could flip: after %d seeds nothing is written: %s", ASSAY_GOLDEN_SEEDS,
       error);
}

int main(void)
{
    if (!mkdtemp(folder))
        return 2;
    snprintf(good_path, sizeof good_path, "%s/good.safetensors", folder);
    snprintf(bad_path, sizeof bad_path, "%s/bad.safetensors", folder);
    every_table_agrees(&assay_variant_reference);

    const struct assay_variant *v = &assay_variant_reference;
    uint64_t seed;
    assay_golden_write(v, v->settings, good_path, &seed, &size, error, sizeof error);
    if (assay_file_read(good_path, ASSAY_GOLDEN_BYTES, &good, &size, error, sizeof error) != 0)
        return 2;
    has_what_the_format_says();
    one_bit_is_noticed();
    tells_where("input/ids", "expected");
    tells_where("param/embed.token", "[0, 0]: expected 0x");
    tells_where("f32/output", "[0, 0]: expected 0x");
    tells_where("f32/grad/embed.token", "1 of ");
    cut_files_are_refused();
    hostile_headers_are_refused();
    other_metadata("arithmetic", "0.9", "arithmetic", ASSAY_GOLDEN_REFUSED);
    other_metadata("id", "../../etc/passwd", "id", ASSAY_GOLDEN_REFUSED);
    other_metadata("setting", "nowhere", "setting", ASSAY_GOLDEN_REFUSED);
    other_metadata("seed", "99", "seed", ASSAY_GOLDEN_REFUSED);
    other_metadata("seed", "2", "input/ids", ASSAY_GOLDEN_DIFFERS);
    other_metadata("configuration", "preset=pre_ln width=1000000000 layers=1000000000",
                   "configuration", ASSAY_GOLDEN_DIFFERS);
    other_metadata("configuration", "width=8", "configuration: width: expected 16, found 8",
                   ASSAY_GOLDEN_DIFFERS);
    other_metadata("configuration", "norm_eps=1.0e-5", "not as it is written",
                   ASSAY_GOLDEN_DIFFERS);
    other_metadata("configuration", " width=16", "not as it is written", ASSAY_GOLDEN_DIFFERS);
    other_metadata("configuration", "preset=pre_ln width=16", "", ASSAY_GOLDEN_SAME);
    other_metadata("title", "Another paper", "title", ASSAY_GOLDEN_DIFFERS);
    other_metadata("budgets", "{}", "budgets", ASSAY_GOLDEN_DIFFERS);
    other_metadata("scales", "{}", "scales", ASSAY_GOLDEN_DIFFERS);

    decisions_are_kept_and_must_be_clear();

    unlink(good_path);
    unlink(bad_path);
    rmdir(folder);
    free(good);
    return done_testing();
}

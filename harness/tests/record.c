/* SPDX-License-Identifier: Apache-2.0 */
/* Run records and manifests: what was written is read back exactly, and what is wrong is told. */
#include "harness/record.h"

#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "harness/files.h"
#include "harness/manifest.h"
#include "harness/tests/tap.h"

static char error[ASSAY_ERROR_ROOM];
static const char zeros[] = "0000000000000000000000000000000000000000000000000000000000000000";

static void example(struct assay_record *r)
{
    assay_record_init(r);
    assay_record_name(r->cell.suite, "lra");
    assay_record_name(r->cell.task, "listops");
    assay_record_name(r->cell.preset, "tiny");
    assay_record_name(r->cell.variant, "crmsnorm");
    assay_record_name(r->cell.setting, "default");
    r->cell.seed = 9007199254740991;
    assay_record_name(r->arithmetic, "1.0");
    assay_record_name(r->profile, "f32");
    assay_record_name(r->version, "0.1.0");
    assay_record_number(r, "rate", 0.1);
    assay_record_number(r, "epsilon", 1e-8);
    assay_record_number(r, "third", 1.0 / 3.0);
    assay_record_text(r, "schedule", "cosine \"warm\" \\ \n");
    r->parameters = 12345;
    assay_record_name(r->data.source, "generator");
    memcpy(r->data.sha256, zeros, sizeof zeros);
    r->data.train = 1000;
    r->data.validation = 100;
    r->data.test = 200;
    assay_record_point(r, 1, (double)2.3025851F, (double)NAN);
    assay_record_point(r, 10, (double)0.1F, 0.25);
    assay_record_point(r, 20, (double)1e-45F, 1);
    r->metrics.test_correct = 57;
    r->metrics.test_count = 200;
    r->metrics.test_loss = 1.9;
    assay_record_baseline(r, "majority class", 34, 200);
    assay_record_baseline(r, "first digit", 40, 200);
    r->cost.multiply_adds_per_step = 123456789012;
    r->cost.peak_bytes = 1 << 20;
    r->cost.threads = 2;
    r->cost.seconds = 30.25;
    r->cost.steps_per_second = 6.6;
    memcpy(r->initial_sha256, zeros, sizeof zeros);
    memcpy(r->final_sha256, zeros, sizeof zeros);
    r->final_sha256[63] = 'f';
}

static bool same_lists(const struct assay_record *a, const struct assay_record *b)
{
    bool same = a->config_count == b->config_count && a->curve_count == b->curve_count
                && a->baseline_count == b->baseline_count;
    for (size_t i = 0; same && i < a->config_count; i++) {
        const struct assay_record_setting *x = &a->config[i], *y = &b->config[i];
        same = strcmp(x->name, y->name) == 0 && !x->text == !y->text
               && (!x->text || strcmp(x->text, y->text) == 0) && x->number == y->number;
    }
    for (size_t i = 0; same && i < a->curve_count; i++) {
        const struct assay_record_point *x = &a->curve[i], *y = &b->curve[i];
        same = x->step == y->step && x->loss == y->loss
               && (isnan(x->accuracy) ? isnan(y->accuracy) : x->accuracy == y->accuracy);
    }
    for (size_t i = 0; same && i < a->baseline_count; i++)
        same = strcmp(a->baselines[i].name, b->baselines[i].name) == 0
               && a->baselines[i].correct == b->baselines[i].correct
               && a->baselines[i].count == b->baselines[i].count;
    return same;
}

/* The text of the example; caller frees. */
static char *written(const char *path)
{
    struct assay_record r;
    char *text = NULL;
    size_t size;
    example(&r);
    if (assay_record_write(&r, path, error, sizeof error) != 0
        || assay_file_read(path, 1 << 20, &text, &size, error, sizeof error) != 0)
        diag("%s", error);
    assay_record_free(&r);
    return text;
}

static void round_trip(const char *path)
{
    struct assay_record a, b;
    char *first = written(path), *second = NULL;
    size_t size;
    example(&a);
    if (!ok(first && assay_record_read(path, &b, error, sizeof error) == 0,
            "a record is written and read")) {
        diag("%s", error);
        return;
    }
    ok(memcmp(&a.cell, &b.cell, sizeof a.cell) == 0 && memcmp(&a.data, &b.data, sizeof a.data) == 0
           && strcmp(a.arithmetic, b.arithmetic) == 0 && strcmp(a.profile, b.profile) == 0
           && a.parameters == b.parameters && memcmp(&a.metrics, &b.metrics, sizeof a.metrics) == 0
           && memcmp(&a.cost, &b.cost, sizeof a.cost) == 0 && strcmp(a.version, b.version) == 0
           && strcmp(a.initial_sha256, b.initial_sha256) == 0
           && strcmp(a.final_sha256, b.final_sha256) == 0,
       "every field comes back, the largest seed and the hashes too");
    ok(same_lists(&a, &b), "configuration, curve and baselines come back to the last bit");
    ok(strstr(first, "\"rate\": 0.1,") && strstr(first, "\"third\": 0.3333333333333333,"),
       "numbers are written in the fewest digits that read back the same");
    ok(assay_record_write(&b, path, error, sizeof error) == 0
           && assay_file_read(path, 1 << 20, &second, &size, error, sizeof error) == 0
           && strcmp(first, second) == 0,
       "a record that was read is written with the same bytes");
    assay_record_free(&a);
    assay_record_free(&b);
    free(first);
    free(second);
}

/* `text` with the first `from` replaced; true if it is then refused for `reason`. */
static bool refused(const char *text, const char *from, const char *to, const char *reason)
{
    const char *at = strstr(text, from);
    size_t room = strlen(text) + strlen(to) + 1;
    char *changed = malloc(room);
    struct assay_record r;
    if (!at || !changed) {
        free(changed);
        diag("the example has no %s", from);
        return false;
    }
    snprintf(changed, room, "%.*s%s%s", (int)(at - text), text, to, at + strlen(from));
    error[0] = '\0';
    int status = assay_record_parse(changed, strlen(changed), "r.json", &r, error, sizeof error);
    if (status == 0)
        assay_record_free(&r);
    free(changed);
    bool right = status == -1 && strncmp(error, "r.json: ", 8) == 0 && strstr(error, reason);
    if (!right)
        diag("status %d, message \"%s\", expected in it \"%s\"", status, error, reason);
    return right;
}

static void wrong_records(const char *path)
{
    static const struct {
        const char *statement, *from, *to, *reason;
    } wrong[] = {
        {"another format", "assay record 1", "assay record 2",
         "format: expected \"assay record 1\", found \"assay record 2\""},
        {"a missing format", "\"format\": \"assay record 1\",", "", "format: expected"},
        {"a missing field", "\"parameters\": 12345,", "",
         "parameters: expected an integer from 0 to 2^53 - 1, found nothing"},
        {"a key twice", "\"parameters\": 12345,", "\"parameters\": 12345, \"parameters\": 1,",
         "\"parameters\" twice"},
        {"an unknown key", "\"parameters\"", "\"extra\": 1, \"parameters\"",
         "extra: expected no such key"},
        {"an unknown key below", "\"threads\"", "\"extra\": 1, \"threads\"",
         "cost.extra: expected no such key"},
        {"a number as a name", "\"variant\": \"crmsnorm\"", "\"variant\": 7",
         "cell.variant: expected a name"},
        {"an empty name", "\"crmsnorm\"", "\"\"", "cell.variant: expected a name"},
        {"a name of 64 bytes", "\"crmsnorm\"",
         "\"0123456789012345678901234567890123456789012345678901234567890123\"",
         "cell.variant: expected a name"},
        {"a name with an escape character", "\"crmsnorm\"", "\"a\\u001b[2J\"", "found \"a?[2J\""},
        {"an unknown profile", "\"f32\"", "\"f16\"", "profile: expected f32 or f64"},
        {"a seed below 0", "9007199254740991", "-1", "cell.seed: expected an integer"},
        {"a seed of 2^53", "9007199254740991", "9007199254740992",
         "cell.seed: expected an integer"},
        {"a count with a fraction", "12345", "12345.5", "parameters: expected an integer"},
        {"a hash with a digit too few", "0000\", \"train\"", "000\", \"train\"",
         "data.sha256: expected 64 lower-case"},
        {"a hash in capitals", "000f\"", "000F\"", "final_sha256: expected 64 lower-case"},
        {"more right answers than questions", "\"test_correct\": 57", "\"test_correct\": 201",
         "test_correct <= test_count"},
        {"a test of nothing", "\"test_correct\": 57, \"test_count\": 200",
         "\"test_correct\": 0, \"test_count\": 0", "test_count > 0"},
        {"a loss that is infinite", "\"test_loss\": 1.9", "\"test_loss\": 1e999",
         "metrics.test_loss: expected a finite number"},
        {"a loss that is null", "\"test_loss\": 1.9", "\"test_loss\": null",
         "metrics.test_loss: expected a finite number"},
        {"a loss that is not binary32", "0.100000001490116", "0.1",
         "curve.loss: expected a value of binary32"},
        {"an accuracy above 1", "\"accuracy\": 0.25", "\"accuracy\": 25",
         "curve.accuracy: expected a number from 0 to 1"},
        {"steps out of order", "\"step\": 20", "\"step\": 10",
         "curve.step: expected ascending steps"},
        {"a curve of numbers", "\"curve\": [", "\"curve\": [7,",
         "curve: expected objects in the list"},
        {"a curve that is an object", "\"curve\": [", "\"curve\": {}, \"x\": [",
         "x: expected no such key"},
        {"a configuration with a list", "\"rate\": 0.1", "\"rate\": [0.1]",
         "config.rate: expected a number or a text"},
        {"a baseline twice", "first digit", "majority class",
         "baselines.name: expected every baseline once"},
        {"negative time", "\"seconds\": 30.25", "\"seconds\": -1",
         "cost.seconds: expected a finite number, 0 or more"},
        {"bytes behind the record", "\n}\n", "\n}\n{}", "the end after the value"},
        {"bytes that are not UTF-8", "crmsnorm", "crms\xe9norm", "UTF-8"},
        {"deep nesting", "\"rate\": 0.1", "\"rate\": [[[[0.1]]]]", "at most 4 levels"},
    };
    char *text = written(path);
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        ok(text && refused(text, wrong[i].from, wrong[i].to, wrong[i].reason), "refused: %s",
           wrong[i].statement);
    size_t cut = 0, length = text ? strlen(text) - 1 : 0; /* the last byte is a new line */
    struct assay_record r;
    for (size_t n = 0; n < length; n++)
        if (assay_record_parse(text, n, "r.json", &r, error, sizeof error) == 0)
            assay_record_free(&r);
        else
            cut++;
    ok(length > 0 && cut == length, "refused: a record cut at any of its %zu bytes", length);
    free(text);
}

static void writer_refuses(const char *path)
{
    struct assay_record r;
    char *before = written(path), *after = NULL;
    size_t size;
    example(&r);
    r.metrics.test_loss = (double)NAN;
    ok(assay_record_write(&r, path, error, sizeof error) == -1
           && strncmp(error, path, strlen(path)) == 0,
       "a record with a NaN is not written");
    ok(before && assay_file_read(path, 1 << 20, &after, &size, error, sizeof error) == 0
           && strcmp(before, after) == 0,
       "and the old record stays");
    ok(!assay_record_name(r.cell.task,
                          "0123456789012345678901234567890123456789012345678901234567890123")
           && strcmp(r.cell.task, "listops") == 0,
       "a name that is too long is not taken");
    assay_record_free(&r);
    free(before);
    free(after);
}

struct messages {
    size_t count;
    char text[2048];
};

static void collect(void *context, const char *message)
{
    struct messages *m = context;
    size_t at = strlen(m->text);
    snprintf(m->text + at, sizeof m->text - at, "%s\n", message);
    m->count++;
}

static bool put(const char *folder, const char *name, const char *text)
{
    char *path = assay_path_join(folder, name);
    bool done = path && assay_file_write(path, text, strlen(text), error, sizeof error) == 0;
    free(path);
    return done;
}

static void manifests(const char *folder)
{
    char below[PATH_MAX], path[PATH_MAX + 32];
    struct messages m = {0};
    size_t checked;
    snprintf(below, sizeof below, "%s/golden/outside//deep", folder);
    ok(assay_folder_make(below, error, sizeof error) == 0
           && assay_folder_make(below, error, sizeof error) == 0,
       "folders are made, twice is harmless");
    snprintf(below, sizeof below, "%s/golden", folder);
    put(below, "b.safetensors", "abc");
    put(below, "B.safetensors", "");
    put(below, "note.txt", "not listed");
    put(below, ".hidden.safetensors", "not listed");
    put(below, "outside/a.safetensors", "abc");
    ok(assay_manifest_write(below, error, sizeof error) == 0, "a manifest is written");
    char *text = NULL;
    size_t size;
    snprintf(path, sizeof path, "%s/MANIFEST", below);
    assay_file_read(path, 1 << 20, &text, &size, error, sizeof error);
    /* The digests of no bytes and of "abc": FIPS 180-2, appendix B. */
    ok(text
           && strcmp(text, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855  "
                           "B.safetensors\n"
                           "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad  "
                           "b.safetensors\n"
                           "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad  "
                           "outside/a.safetensors\n")
                  == 0,
       "it lists the golden files in the order of their bytes, as sha256sum does");
    ok(assay_manifest_verify(below, collect, &m, &checked, error, sizeof error) == 0 && checked == 3
           && m.count == 0,
       "the folder agrees with it");
    put(below, "b.safetensors", "abd");
    put(below, "new.safetensors", "x");
    snprintf(path, sizeof path, "%s/B.safetensors", below);
    unlink(path);
    ok(assay_manifest_verify(below, collect, &m, &checked, error, sizeof error) == 3
           && m.count == 3,
       "three changes are found");
    ok(strstr(m.text, "/b.safetensors: differs") && strstr(m.text, "/B.safetensors: is listed")
           && strstr(m.text, "/new.safetensors: is in the folder"),
       "one message for each: differing, missing, extra");
    put(below, "MANIFEST", "abc  b.safetensors\n");
    ok(assay_manifest_verify(below, collect, &m, &checked, error, sizeof error) == -1
           && strstr(error, "MANIFEST: line 1"),
       "a damaged manifest is refused with its line");
    put(below, "MANIFEST", "ba7816bf");
    ok(assay_manifest_verify(below, collect, &m, &checked, error, sizeof error) == -1
           && strstr(error, "unfinished line"),
       "a manifest that was cut is refused");
    free(text);
}

static void remove_all(const char *folder)
{
    char command[PATH_MAX + 16];
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    if (system(command) != 0)
        diag("%s is left", folder);
}

int main(void)
{
    char folder[] = "/tmp/assay-record-XXXXXX", path[PATH_MAX];
    if (!mkdtemp(folder)) {
        skip(1, "no temporary folder");
        return done_testing();
    }
    snprintf(path, sizeof path, "%s/record.json", folder);
    round_trip(path);
    wrong_records(path);
    writer_refuses(path);
    manifests(folder);
    remove_all(folder);
    return done_testing();
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Run records: reading. A record that was read has every field, in range, and no other. */
#include "harness/record.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "harness/files.h"
#include "harness/json.h"

enum { RECORD_DEPTH = 4 };
#define RECORD_BYTES_MAX ((size_t)256 << 20)

/* The first error is kept; after it every getter returns at once. */
struct reading {
    const char *name;
    char *error;
    size_t room;
    bool failed;
};

static void refuse(struct reading *r, const char *where, const char *key, const char *expected,
                   const cJSON *found)
{
    if (r->failed)
        return;
    const char *kind = !found                  ? "nothing"
                       : cJSON_IsString(found) ? found->valuestring
                       : cJSON_IsObject(found) ? "an object"
                       : cJSON_IsArray(found)  ? "a list"
                       : cJSON_IsNumber(found) ? NULL
                                               : "true, false or null";
    if (kind)
        assay_complain(r->error, r->room, "%s: %s%s%s: expected %s, found %s%.80s%s", r->name,
                       where, *where ? "." : "", key, expected, cJSON_IsString(found) ? "\"" : "",
                       kind, cJSON_IsString(found) ? "\"" : "");
    else
        assay_complain(r->error, r->room, "%s: %s%s%s: expected %s, found %.17g", r->name, where,
                       *where ? "." : "", key, expected, found->valuedouble);
    r->failed = true;
}

static const cJSON *get(struct reading *r, const cJSON *object, const char *where, const char *key,
                        const char *expected)
{
    const cJSON *item = r->failed ? NULL : cJSON_GetObjectItemCaseSensitive(object, key);
    if (!item)
        refuse(r, where, key, expected, NULL);
    return item;
}

static void natural(struct reading *r, const cJSON *object, const char *where, const char *key,
                    uint64_t *value)
{
    static const char expected[] = "an integer from 0 to 2^53 - 1";
    const cJSON *item = get(r, object, where, key, expected);
    if (item && !assay_json_natural(item, value))
        refuse(r, where, key, expected, item);
}

static void number(struct reading *r, const cJSON *object, const char *where, const char *key,
                   double low, double high, const char *expected, double *value)
{
    const cJSON *item = get(r, object, where, key, expected);
    if (!item)
        return;
    if (!cJSON_IsNumber(item) || !(item->valuedouble >= low && item->valuedouble <= high)
        || isinf(item->valuedouble))
        refuse(r, where, key, expected, item);
    *value = item->valuedouble;
}

static bool is_identifier(const char *text)
{
    if (!*text || strlen(text) >= ASSAY_RECORD_NAME)
        return false;
    for (; *text; text++)
        if ((unsigned char)*text < 0x20 || *text == 0x7f)
            return false;
    return true;
}

static void identifier(struct reading *r, const cJSON *object, const char *where, const char *key,
                       char field[ASSAY_RECORD_NAME])
{
    static const char expected[] = "a name of 1 to 63 bytes without control characters";
    const cJSON *item = get(r, object, where, key, expected);
    if (!item)
        return;
    if (cJSON_IsString(item) && is_identifier(item->valuestring))
        assay_record_name(field, item->valuestring);
    else
        refuse(r, where, key, expected, item);
}

static void digest(struct reading *r, const cJSON *object, const char *where, const char *key,
                   char field[ASSAY_SHA256_HEX])
{
    static const char expected[] = "64 lower-case hexadecimal digits";
    const cJSON *item = get(r, object, where, key, expected);
    if (!item)
        return;
    if (cJSON_IsString(item) && assay_sha256_is_hex(item->valuestring))
        memcpy(field, item->valuestring, ASSAY_SHA256_HEX);
    else
        refuse(r, where, key, expected, item);
}

/* The object under `key` (the whole when `key` is empty), which has these keys and no others. */
static const cJSON *object_of(struct reading *r, const cJSON *parent, const char *key,
                              const char *const *keys)
{
    const cJSON *object = *key ? get(r, parent, "", key, "an object") : parent;
    if (object && !cJSON_IsObject(object))
        refuse(r, "", *key ? key : "the whole", "an object", object);
    for (const cJSON *item = r->failed || !object ? NULL : object->child; item; item = item->next) {
        size_t i = 0;
        while (keys[i] && strcmp(keys[i], item->string) != 0)
            i++;
        if (!keys[i])
            refuse(r, key, item->string, "no such key", item);
    }
    return r->failed ? NULL : object;
}

static const cJSON *list_of(struct reading *r, const cJSON *whole, const char *key)
{
    const cJSON *list = get(r, whole, "", key, "a list");
    if (list && !cJSON_IsArray(list))
        refuse(r, "", key, "a list", list);
    return r->failed ? NULL : list->child;
}

static void no_memory(struct reading *r)
{
    if (!r->failed)
        assay_complain(r->error, r->room, "%s: no memory for it", r->name);
    r->failed = true;
}

static void read_cell(struct reading *r, const cJSON *whole, struct assay_record *record)
{
    static const char *const keys[] = {"suite",   "task", "preset", "variant",
                                       "setting", "seed", NULL};
    const cJSON *cell = object_of(r, whole, "cell", keys);
    identifier(r, cell, "cell", "suite", record->cell.suite);
    identifier(r, cell, "cell", "task", record->cell.task);
    identifier(r, cell, "cell", "preset", record->cell.preset);
    identifier(r, cell, "cell", "variant", record->cell.variant);
    identifier(r, cell, "cell", "setting", record->cell.setting);
    natural(r, cell, "cell", "seed", &record->cell.seed);
}

static void read_config(struct reading *r, const cJSON *whole, struct assay_record *record)
{
    const cJSON *config = get(r, whole, "", "config", "an object");
    if (config && !cJSON_IsObject(config))
        refuse(r, "", "config", "an object", config);
    for (const cJSON *item = r->failed ? NULL : config->child; item && !r->failed;
         item = item->next) {
        bool finite = cJSON_IsNumber(item) && !isinf(item->valuedouble);
        if (!finite && !cJSON_IsString(item))
            refuse(r, "config", item->string, "a number or a text", item);
        else if (!(finite ? assay_record_number(record, item->string, item->valuedouble)
                          : assay_record_text(record, item->string, item->valuestring)))
            no_memory(r);
    }
}

static void read_data(struct reading *r, const cJSON *whole, struct assay_record *record)
{
    static const char *const keys[] = {"source", "sha256", "train", "validation", "test", NULL};
    const cJSON *data = object_of(r, whole, "data", keys);
    identifier(r, data, "data", "source", record->data.source);
    digest(r, data, "data", "sha256", record->data.sha256);
    natural(r, data, "data", "train", &record->data.train);
    natural(r, data, "data", "validation", &record->data.validation);
    natural(r, data, "data", "test", &record->data.test);
}

static void read_curve(struct reading *r, const cJSON *whole, struct assay_record *record)
{
    static const char *const keys[] = {"step", "loss", "accuracy", NULL};
    for (const cJSON *item = list_of(r, whole, "curve"); item && !r->failed; item = item->next) {
        struct assay_record_point point = {0, 0, (double)NAN};
        if (!cJSON_IsObject(item))
            refuse(r, "", "curve", "objects in the list", item);
        object_of(r, item, "", keys);
        natural(r, item, "curve", "step", &point.step);
        number(r, item, "curve", "loss", -(double)INFINITY, (double)INFINITY, "a finite number",
               &point.loss);
        if (!r->failed && strcmp(record->profile, "f32") == 0
            && (double)(float)point.loss != point.loss)
            refuse(r, "curve", "loss", "a value of binary32",
                   cJSON_GetObjectItemCaseSensitive(item, "loss"));
        if (cJSON_GetObjectItemCaseSensitive(item, "accuracy"))
            number(r, item, "curve", "accuracy", 0, 1, "a number from 0 to 1", &point.accuracy);
        if (record->curve_count > 0 && point.step <= record->curve[record->curve_count - 1].step)
            refuse(r, "curve", "step", "ascending steps",
                   cJSON_GetObjectItemCaseSensitive(item, "step"));
        if (!r->failed && !assay_record_point(record, point.step, point.loss, point.accuracy))
            no_memory(r);
    }
}

static void read_baselines(struct reading *r, const cJSON *whole, struct assay_record *record)
{
    static const char *const keys[] = {"name", "correct", "count", NULL};
    for (const cJSON *item = list_of(r, whole, "baselines"); item && !r->failed;
         item = item->next) {
        struct assay_record_baseline b = {.correct = 0};
        if (!cJSON_IsObject(item))
            refuse(r, "", "baselines", "objects in the list", item);
        object_of(r, item, "", keys);
        identifier(r, item, "baselines", "name", b.name);
        natural(r, item, "baselines", "correct", &b.correct);
        natural(r, item, "baselines", "count", &b.count);
        if (b.count == 0 || b.correct > b.count)
            refuse(r, "baselines", "correct", "0 <= correct <= count, count > 0",
                   cJSON_GetObjectItemCaseSensitive(item, "correct"));
        for (size_t i = 0; i < record->baseline_count; i++)
            if (strcmp(record->baselines[i].name, b.name) == 0)
                refuse(r, "baselines", "name", "every baseline once",
                       cJSON_GetObjectItemCaseSensitive(item, "name"));
        if (!r->failed && !assay_record_baseline(record, b.name, b.correct, b.count))
            no_memory(r);
    }
}

static void read_metrics(struct reading *r, const cJSON *whole, struct assay_record *record)
{
    static const char *const keys[] = {"test_correct", "test_count", "test_loss", NULL};
    const cJSON *metrics = object_of(r, whole, "metrics", keys);
    natural(r, metrics, "metrics", "test_correct", &record->metrics.test_correct);
    natural(r, metrics, "metrics", "test_count", &record->metrics.test_count);
    number(r, metrics, "metrics", "test_loss", -(double)INFINITY, (double)INFINITY,
           "a finite number", &record->metrics.test_loss);
    if (!r->failed
        && (record->metrics.test_count == 0
            || record->metrics.test_correct > record->metrics.test_count))
        refuse(r, "metrics", "test_correct", "0 <= test_correct <= test_count, test_count > 0",
               cJSON_GetObjectItemCaseSensitive(metrics, "test_correct"));
}

static void read_cost(struct reading *r, const cJSON *whole, struct assay_record *record)
{
    static const char *const keys[] = {"multiply_adds_per_step", "peak_bytes", "seconds",
                                       "steps_per_second",       "threads",    NULL};
    static const char positive[] = "a finite number, 0 or more";
    const cJSON *cost = object_of(r, whole, "cost", keys);
    natural(r, cost, "cost", "multiply_adds_per_step", &record->cost.multiply_adds_per_step);
    natural(r, cost, "cost", "peak_bytes", &record->cost.peak_bytes);
    number(r, cost, "cost", "seconds", 0, (double)INFINITY, positive, &record->cost.seconds);
    number(r, cost, "cost", "steps_per_second", 0, (double)INFINITY, positive,
           &record->cost.steps_per_second);
    natural(r, cost, "cost", "threads", &record->cost.threads);
}

static void read_whole(struct reading *r, const cJSON *whole, struct assay_record *record)
{
    static const char *const keys[] = {"format",         "cell",         "arithmetic", "profile",
                                       "version",        "config",       "parameters", "data",
                                       "curve",          "metrics",      "baselines",  "cost",
                                       "initial_sha256", "final_sha256", NULL};
    static const char expected[] = "\"" ASSAY_RECORD_FORMAT "\"";
    const cJSON *format = cJSON_IsObject(whole) ? get(r, whole, "", "format", expected) : NULL;
    if (format
        && (!cJSON_IsString(format) || strcmp(format->valuestring, ASSAY_RECORD_FORMAT) != 0))
        refuse(r, "", "format", expected, format);
    object_of(r, whole, "", keys);
    read_cell(r, whole, record);
    identifier(r, whole, "", "arithmetic", record->arithmetic);
    identifier(r, whole, "", "profile", record->profile);
    if (!r->failed && strcmp(record->profile, "f32") != 0 && strcmp(record->profile, "f64") != 0)
        refuse(r, "", "profile", "f32 or f64", cJSON_GetObjectItemCaseSensitive(whole, "profile"));
    identifier(r, whole, "", "version", record->version);
    read_config(r, whole, record);
    natural(r, whole, "", "parameters", &record->parameters);
    read_data(r, whole, record);
    read_curve(r, whole, record);
    read_metrics(r, whole, record);
    read_baselines(r, whole, record);
    read_cost(r, whole, record);
    digest(r, whole, "", "initial_sha256", record->initial_sha256);
    digest(r, whole, "", "final_sha256", record->final_sha256);
}

int assay_record_parse(const char *text, size_t size, const char *name, struct assay_record *record,
                       char *error, size_t room)
{
    struct reading r = {name, error, room, false};
    cJSON *whole = assay_json_parse(text, size, (struct assay_json_rule){RECORD_DEPTH, false}, name,
                                    error, room);
    if (!whole)
        return -1;
    assay_record_init(record);
    read_whole(&r, whole, record);
    cJSON_Delete(whole);
    if (r.failed)
        assay_record_free(record);
    return r.failed ? -1 : 0;
}

int assay_record_read(const char *path, struct assay_record *record, char *error, size_t room)
{
    char *text;
    size_t size;
    if (assay_file_read(path, RECORD_BYTES_MAX, &text, &size, error, room) != 0)
        return -1;
    int status = assay_record_parse(text, size, path, record, error, room);
    free(text);
    return status;
}

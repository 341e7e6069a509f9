/* SPDX-License-Identifier: Apache-2.0 */
/* Golden files for reading: tensors in pairs of profiles, metadata, budgets. */
#include "harness/golden_file.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "harness/assay.h"
#include "harness/files.h"
#include "harness/json.h"
#include "harness/nearest.h"
#include "harness/verdict.h"

enum { JSON_DEPTH = 2 };
static const char format[] = "2", single_prefix[] = "f32/", truth_prefix[] = "f64/";

static const struct {
    const char *name;
    double roundoff;
} columns[ASSAY_GOLDEN_COLUMNS] = {
    {"f32", 0x1p-24}, {"tf32", 0x1p-11}, {"bf16", 0x1p-8}, {"fp16", 0x1p-11}};

struct reading {
    const char *name;
    struct assay_golden *golden;
    char *error;
    size_t room;
};

#define REFUSE(r, ...) assay_complain((r)->error, (r)->room, __VA_ARGS__)

const char *assay_golden_column_name(int column)
{
    return columns[column].name;
}

double assay_golden_column_roundoff(int column)
{
    return columns[column].roundoff;
}

static bool begins(const char *name, const char *prefix)
{
    return strncmp(name, prefix, strlen(prefix)) == 0;
}

static int by_name(const void *a, const void *b)
{
    return strcmp((*(const struct assay_golden_result *const *)a)->name,
                  (*(const struct assay_golden_result *const *)b)->name);
}

static struct assay_golden_result *named(const struct assay_golden *g, const char *name)
{
    const struct assay_golden_result wanted = {.name = name}, *key = &wanted;
    const struct assay_golden_result **found =
        bsearch(&key, g->by_name, g->count, sizeof *g->by_name, by_name);
    return found ? &g->result[*found - g->result] : NULL;
}

static bool same_shape(const struct assay_archive_tensor *a, const struct assay_archive_tensor *b)
{
    return a->rank == b->rank && memcmp(a->dim, b->dim, a->rank * sizeof *a->dim) == 0;
}

/* f64/NAME, whose f32/NAME comes later in finding, or decision/NAME. */
static int add_result(const struct reading *r, const struct assay_archive_tensor *e)
{
    struct assay_golden *g = r->golden;
    bool decision = begins(e->name, "decision/");
    const char *name = decision ? e->name : e->name + strlen(truth_prefix);
    if (!decision && strcmp(name, "output") != 0 && strcmp(name, "loss") != 0
        && !begins(name, "grad/") && !begins(name, "trace/"))
        return REFUSE(r, "%s: expected output, loss, grad/ or trace/ in f64/, found \"%.200s\"",
                      r->name, e->name);
    if (e->dtype != (decision ? ASSAY_DT_I32 : ASSAY_DT_F64) || e->elements == 0)
        return REFUSE(r, "%s: tensor \"%.200s\": expected %s and elements, found %s and %zu",
                      r->name, e->name, decision ? "I32" : "F64", assay_dtype_name(e->dtype),
                      e->elements);
    struct assay_golden_result *made = &g->result[g->count];
    *made = (struct assay_golden_result){.name = name, .decision = decision, .scale = -1};
    *(decision ? &made->bits : &made->truth) = e;
    g->by_name[g->count++] = made;
    return 0;
}

/* The other profile of a result. */
static int add_bits(const struct reading *r, const struct assay_archive_tensor *e)
{
    struct assay_golden_result *result = named(r->golden, e->name + strlen(single_prefix));
    if (!result || result->decision)
        return REFUSE(r, "%s: tensor \"%.200s\": expected it in f64/, too", r->name, e->name);
    if (e->dtype != ASSAY_DT_F32 || !same_shape(e, result->truth))
        return REFUSE(r, "%s: tensor \"%.200s\": expected F32 in the shape of f64/, found another",
                      r->name, e->name);
    result->bits = e;
    return 0;
}

static int add_other(const struct reading *r, const struct assay_archive_tensor *e)
{
    if (!begins(e->name, "input/") && !begins(e->name, "param/") && !begins(e->name, "buffer/")
        && !begins(e->name, "draw/"))
        return REFUSE(r,
                      "%s: expected tensors in input/, param/, buffer/, draw/, f32/, f64/ and "
                      "decision/, found \"%.200s\" (is it a golden file?)",
                      r->name, e->name);
    if (e->dtype != ASSAY_DT_F32 && e->dtype != ASSAY_DT_I32)
        return REFUSE(r, "%s: tensor \"%.200s\": expected F32 or I32, found %s", r->name, e->name,
                      assay_dtype_name(e->dtype));
    return 0;
}

static int check_finite(const struct reading *r, const struct assay_archive_tensor *e)
{
    size_t bad = assay_entry_not_finite(e);
    if (bad < e->elements)
        return REFUSE(r,
                      "%s: tensor \"%.200s\": element %zu: expected a number, found a NaN or an "
                      "infinity",
                      r->name, e->name, bad);
    return 0;
}

static int read_tensors(const struct reading *r)
{
    struct assay_golden *g = r->golden;
    size_t count = assay_archive_count(g->archive), singles = 0, truths = 0;
    g->result = calloc(count + 1, sizeof *g->result);
    g->by_name = calloc(count + 1, sizeof *g->by_name);
    if (!g->result || !g->by_name)
        return REFUSE(r, "%s: no memory for its tensors", r->name);
    for (size_t i = 0; i < count; i++) {
        const struct assay_archive_tensor *e = assay_archive_entry(g->archive, i);
        bool truth = begins(e->name, truth_prefix), single = begins(e->name, single_prefix);
        bool result = truth || begins(e->name, "decision/");
        if (check_finite(r, e) != 0 || (result && add_result(r, e) != 0)
            || (!result && !single && add_other(r, e) != 0))
            return -1;
        truths += truth;
        singles += single;
    }
    qsort(g->by_name, g->count, sizeof *g->by_name, by_name);
    for (size_t i = 0; i < count; i++) {
        const struct assay_archive_tensor *e = assay_archive_entry(g->archive, i);
        if (begins(e->name, single_prefix) && add_bits(r, e) != 0)
            return -1;
    }
    if (singles != truths || truths == 0)
        return REFUSE(r, "%s: expected as many tensors in f32/ as in f64/, found %zu and %zu",
                      r->name, singles, truths);
    return 0;
}

static int read_text(const struct reading *r, const char *key, const char **value)
{
    *value = assay_archive_metadata(r->golden->archive, key);
    if (!*value || !**value)
        return REFUSE(r, "%s: metadata: expected the key \"%s\", found %s", r->name, key,
                      *value ? "an empty value" : "none (is it a golden file?)");
    return 0;
}

static int check_format(const struct reading *r)
{
    const char *found;
    if (read_text(r, "assay.format", &found) != 0)
        return -1;
    if (strcmp(found, format) != 0)
        return REFUSE(r, "%s: assay.format: expected '%s', found '%.40s'%s", r->name, format, found,
                      strcmp(found, "1") == 0 ? ", which has no budgets" : "");
    return 0;
}

/* The object under a key of the metadata; NULL with a message. Caller: cJSON_Delete. */
static cJSON *read_object(const struct reading *r, const char *key)
{
    char where[ASSAY_ERROR_ROOM];
    const char *text;
    if (read_text(r, key, &text) != 0)
        return NULL;
    snprintf(where, sizeof where, "%s: metadata \"%s\"", r->name, key);
    cJSON *tree = assay_json_parse(text, strlen(text), (struct assay_json_rule){JSON_DEPTH, false},
                                   where, r->error, r->room);
    if (tree && !cJSON_IsObject(tree)) {
        REFUSE(r, "%s: expected an object", where);
        cJSON_Delete(tree);
        return NULL;
    }
    return tree;
}

static bool is_size(const cJSON *item)
{
    return cJSON_IsNumber(item) && item->valuedouble >= 0 && isfinite(item->valuedouble);
}

static int check_calibration(const struct reading *r, const cJSON *calibration)
{
    uint64_t runs;
    const cJSON *precisions = cJSON_GetObjectItemCaseSensitive(calibration, "precisions"),
                *loss_scale = cJSON_GetObjectItemCaseSensitive(calibration, "loss_scale");
    if (!assay_json_natural(cJSON_GetObjectItemCaseSensitive(calibration, "runs"), &runs)
        || runs == 0)
        return REFUSE(r, "%s: calibration: runs: expected an integer from 1", r->name);
    if (!is_size(loss_scale) || loss_scale->valuedouble == 0)
        return REFUSE(r, "%s: calibration: loss_scale: expected a number above 0", r->name);
    bool known =
        cJSON_IsArray(precisions) && cJSON_GetArraySize(precisions) == ASSAY_GOLDEN_COLUMNS;
    for (int i = 0; known && i < ASSAY_GOLDEN_COLUMNS; i++) {
        const cJSON *item = cJSON_GetArrayItem(precisions, i);
        known = cJSON_IsString(item) && strcmp(item->valuestring, columns[i].name) == 0;
    }
    if (!known)
        return REFUSE(r, "%s: calibration: precisions: expected f32, tf32, bf16, fp16", r->name);
    r->golden->runs = (size_t)runs;
    r->golden->loss_scale = loss_scale->valuedouble;
    return 0;
}

/* The result that a key of the metadata names, which must be numbers. */
static struct assay_golden_result *owner(const struct reading *r, const char *key,
                                         const cJSON *item)
{
    struct assay_golden_result *result = named(r->golden, item->string);
    if (result && !result->decision)
        return result;
    REFUSE(r, "%s: %s: expected the name of a tensor in f64/, found \"%.200s\"", r->name, key,
           item->string);
    return NULL;
}

static int check_scales(const struct reading *r, const cJSON *scales)
{
    for (const cJSON *item = scales->child; item; item = item->next) {
        struct assay_golden_result *result = owner(r, "scales", item);
        if (!result)
            return -1;
        if (!is_size(item))
            return REFUSE(r, "%s: scales: \"%.200s\": expected a number from 0", r->name,
                          item->string);
        result->scale = item->valuedouble;
    }
    return 0;
}

static int check_budgets(const struct reading *r, const cJSON *budgets)
{
    for (const cJSON *item = budgets->child; item; item = item->next) {
        struct assay_golden_result *result = owner(r, "budgets", item);
        if (!result)
            return -1;
        bool right = cJSON_IsArray(item) && cJSON_GetArraySize(item) == ASSAY_GOLDEN_COLUMNS;
        for (int i = 0; right && i < ASSAY_GOLDEN_COLUMNS; i++) {
            const cJSON *number = cJSON_GetArrayItem(item, i);
            right = is_size(number);
            result->honest[i] = right ? number->valuedouble : 0;
        }
        if (!right)
            return REFUSE(r, "%s: budgets: \"%.200s\": expected %d numbers from 0", r->name,
                          item->string, ASSAY_GOLDEN_COLUMNS);
    }
    return 0;
}

static int check_pools(const struct reading *r, const cJSON *pools)
{
    for (const cJSON *item = pools->child; item; item = item->next) {
        struct assay_golden_result *result = owner(r, "pools", item);
        if (!result)
            return -1;
        if (!cJSON_IsString(item) || !*item->valuestring)
            return REFUSE(r, "%s: pools: \"%.200s\": expected a name", r->name, item->string);
        result->pool = item->valuestring;
    }
    return 0;
}

/* Every tensor of numbers has a scale and budgets. */
static int check_complete(const struct reading *r, const cJSON *scales, const cJSON *budgets)
{
    struct assay_golden *g = r->golden;
    size_t numbers = 0;
    for (size_t i = 0; i < g->count; i++) {
        struct assay_golden_result *result = &g->result[i];
        if (result->decision)
            continue;
        numbers++;
        if (result->scale < 0)
            return REFUSE(r, "%s: scales: expected one for \"%.200s\", found none", r->name,
                          result->name);
        result->rms = assay_rms(result->truth->elements, result->truth->data);
        for (size_t j = 0; j < result->truth->elements; j++)
            result->largest = fmax(result->largest, fabs(((const double *)result->truth->data)[j]));
    }
    /* Keys are different names of tensors: as many of them are all of them. */
    if ((size_t)cJSON_GetArraySize(budgets) != numbers
        || (size_t)cJSON_GetArraySize(scales) != numbers)
        return REFUSE(r, "%s: budgets: expected them for %zu tensors, found %d", r->name, numbers,
                      cJSON_GetArraySize(budgets));
    return 0;
}

static int read_budgets(const struct reading *r)
{
    struct assay_golden *g = r->golden;
    cJSON *calibration = read_object(r, "calibration");
    cJSON *scales = calibration ? read_object(r, "scales") : NULL;
    cJSON *budgets = scales ? read_object(r, "budgets") : NULL;
    g->pools = budgets ? read_object(r, "pools") : NULL;
    bool whole = g->pools && check_calibration(r, calibration) == 0 && check_scales(r, scales) == 0
                 && check_budgets(r, budgets) == 0 && check_pools(r, g->pools) == 0
                 && check_complete(r, scales, budgets) == 0;
    cJSON_Delete(calibration);
    cJSON_Delete(scales);
    cJSON_Delete(budgets);
    return whole ? 0 : -1;
}

/* Takes over the archive. */
static int read_golden(struct assay_archive *archive, const char *name,
                       struct assay_golden **golden, char *error, size_t room)
{
    struct assay_golden *g = calloc(1, sizeof *g);
    if (!g) {
        assay_archive_free(archive);
        return assay_complain(error, room, "%s: no memory for it", name);
    }
    g->archive = archive;
    struct reading r = {name, g, error, room};
    if (check_format(&r) != 0 || read_text(&r, "id", &g->id) != 0
        || read_text(&r, "setting", &g->setting) != 0
        || read_text(&r, "configuration", &g->configuration) != 0
        || read_text(&r, "arithmetic", &g->arithmetic) != 0 || read_tensors(&r) != 0
        || read_budgets(&r) != 0) {
        assay_golden_close(g);
        return -1;
    }
    *golden = g;
    return 0;
}

int assay_golden_open(const char *path, struct assay_golden **golden, char *error, size_t room)
{
    struct assay_archive *archive;
    *golden = NULL;
    if (assay_archive_read(path, &archive, error, room) != 0)
        return -1;
    return read_golden(archive, path, golden, error, room);
}

int assay_golden_parse(const void *bytes, size_t size, const char *name,
                       struct assay_golden **golden, char *error, size_t room)
{
    struct assay_archive *archive;
    *golden = NULL;
    if (assay_archive_parse(bytes, size, name, &archive, error, room) != 0)
        return -1;
    return read_golden(archive, name, golden, error, room);
}

void assay_golden_close(struct assay_golden *golden)
{
    if (!golden)
        return;
    assay_archive_free(golden->archive);
    free(golden->result);
    free(golden->by_name);
    cJSON_Delete(golden->pools);
    free(golden);
}

const struct assay_golden_result *assay_golden_result(const struct assay_golden *golden,
                                                      const char *name, char *error, size_t room)
{
    bool profile = begins(name, single_prefix) || begins(name, truth_prefix);
    const struct assay_golden_result *found =
        named(golden, profile ? name + strlen(truth_prefix) : name);
    if (found && !(profile && found->decision))
        return found;
    if (assay_archive_find(golden->archive, name)) {
        assay_complain(error, room,
                       "'%.200s' is given to a backend: expected what it computes (output, loss, "
                       "grad/, trace/, decision/)",
                       name);
        return NULL;
    }
    struct assay_nearest nearest = {.asked = name};
    char message[ASSAY_ERROR_ROOM];
    for (size_t i = 0; i < golden->count; i++)
        assay_nearest_offer(&nearest, golden->result[i].name);
    assay_nearest_complain(&nearest, "tensor", "expected output, loss, grad/, trace/ or decision/",
                           message, sizeof message);
    assay_complain(error, room, "%s", message);
    return NULL;
}

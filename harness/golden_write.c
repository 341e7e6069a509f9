/* SPDX-License-Identifier: Apache-2.0 */
/* Golden files: the bytes of one, from the definition's tables, and writing it. */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "harness/calibrate.h"
#include "harness/configuration.h"
#include "harness/files.h"
#include "harness/golden.h"
#include "harness/safetensors.h"
#include "ref/honest.h"
#include "ref/version.h"

/* Both profiles of one golden, how far apart they are, and what errors are excused. */
struct golden {
    const struct assay_variant *variant;
    const struct variant_setting *setting;
    struct assay_config config;
    uint64_t seed;
    struct assay_golden_set single, truth;
    struct assay_calibration calibration;
    double largest_error; /* of outputs and traces: what a decision may see */
    char *error;
    size_t room;
};

static const char single_prefix[] = "f32/", truth_prefix[] = "f64/";

static const struct assay_golden_tensor *truth_of(const struct golden *g,
                                                  const struct assay_golden_tensor *single)
{
    for (size_t i = 0; i < g->truth.count; i++) {
        const struct assay_golden_tensor *t = &g->truth.tensor[i];
        if (strncmp(t->name, truth_prefix, 4) == 0 && strcmp(t->name + 4, single->name + 4) == 0)
            return t;
    }
    return NULL;
}

/* max |single - truth| */
static double error_of(const struct assay_golden_tensor *single,
                       const struct assay_golden_tensor *truth)
{
    const float *a = single->data;
    const double *b = truth->data;
    double error = 0;
    for (size_t i = 0; i < truth->elements; i++)
        error = fmax(error, fabs((double)a[i] - b[i]));
    return error;
}

static int find_largest_error(struct golden *g)
{
    for (size_t i = 0; i < g->single.count; i++) {
        const struct assay_golden_tensor *single = &g->single.tensor[i];
        if (strncmp(single->name, single_prefix, 4) != 0)
            continue;
        const struct assay_golden_tensor *truth = truth_of(g, single);
        if (!truth || truth->elements != single->elements)
            return assay_complain(g->error, g->room, "%s: not in both profiles", single->name);
        if (strncmp(single->name, "f32/grad/", 9) != 0)
            g->largest_error = fmax(g->largest_error, error_of(single, truth));
    }
    return 0;
}

/* The files' texts. */
struct texts {
    char *configuration, *calibration, *scales, *budgets, *pools, *flips;
};

static bool is_decision(const struct assay_golden_tensor *t)
{
    return strncmp(t->name, "decision/", 9) == 0;
}

/* Decisions must be the same in both profiles and far from flipping; else another seed is tried. */
static int check_decisions(struct golden *g)
{
    double margin = fmin(g->single.margin, g->truth.margin);
    for (size_t i = 0, j = 0; i < g->single.count; i++) {
        const struct assay_golden_tensor *a = &g->single.tensor[i], *b;
        if (!is_decision(a))
            continue;
        while (j < g->truth.count && !is_decision(&g->truth.tensor[j]))
            j++;
        b = j < g->truth.count ? &g->truth.tensor[j++] : NULL;
        if (!b || strcmp(a->name, b->name) != 0 || a->elements != b->elements
            || memcmp(a->data, b->data, a->elements * sizeof(int32_t)) != 0)
            return assay_complain(g->error, g->room,
                                  "seed %" PRIu64 ": %s differs between the profiles", g->seed,
                                  a->name);
    }
    if (margin < ASSAY_GOLDEN_MARGIN * g->largest_error)
        return assay_complain(g->error, g->room,
                              "seed %" PRIu64 ": a decision's margin is %g: expected at least %d "
                              "times the largest error, %g",
                              g->seed, margin, ASSAY_GOLDEN_MARGIN, g->largest_error);
    return 0;
}

static void add_metadata(const struct golden *g, struct assay_archive_writer *writer,
                         const struct texts *texts)
{
    char seed[24], margin[32];
    double least = fmin(g->single.margin, g->truth.margin);
    snprintf(seed, sizeof seed, "%" PRIu64, g->seed);
    snprintf(margin, sizeof margin, isfinite(least) ? "%.17g" : "none", least);
    const struct variant_source *source = &g->variant->source;
    const char *const pairs[][2] = {
        {"assay.format", ASSAY_GOLDEN_FORMAT},
        {"arithmetic", ASSAY_ARITHMETIC},
        {"id", g->variant->id},
        {"setting", g->setting->name},
        {"paper", source->paper},
        {"title", g->variant->title},
        {"code", source->code ? source->code : "none"},
        {"settled_by", source->settled_by},
        {"configuration", texts->configuration},
        {"seed", seed},
        {"margin", margin},
        {"calibration", texts->calibration},
        {"scales", texts->scales},
        {"budgets", texts->budgets},
        {"pools", texts->pools},
    };
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++)
        assay_archive_writer_metadata(writer, pairs[i][0], pairs[i][1]);
    if (g->calibration.decided)
        assay_archive_writer_metadata(writer, "flips", texts->flips);
}

static void add_tensors(const struct assay_golden_set *set, bool decisions,
                        struct assay_archive_writer *writer)
{
    static const enum assay_dtype dtypes[] = {ASSAY_DT_I32, ASSAY_DT_F32, ASSAY_DT_F64};
    for (size_t i = 0; i < set->count; i++) {
        const struct assay_golden_tensor *t = &set->tensor[i];
        if (is_decision(t) == decisions)
            assay_archive_writer_tensor(writer, t->name, dtypes[t->type], (size_t)t->shape.rank,
                                        t->shape.dim, t->data);
    }
}

/* inputs and weights, f32/, f64/, decision/. */
static int serialise(struct golden *g, const char *configuration, void **bytes, size_t *size)
{
    char *full = assay_configuration_text(&g->config, g->variant);
    const struct assay_calibration *c = &g->calibration;
    struct texts texts = {(char *)(uintptr_t)(configuration ? configuration : full),
                          assay_calibration_text(c, ASSAY_CALIBRATION_RUN),
                          assay_calibration_text(c, ASSAY_CALIBRATION_SCALES),
                          assay_calibration_text(c, ASSAY_CALIBRATION_BUDGETS),
                          assay_calibration_text(c, ASSAY_CALIBRATION_POOLS),
                          assay_calibration_text(c, ASSAY_CALIBRATION_FLIPS)};
    bool made =
        full && texts.calibration && texts.scales && texts.budgets && texts.pools && texts.flips;
    struct assay_archive_writer *writer = made ? assay_archive_writer_open() : NULL;
    int status = -1;
    if (writer) {
        add_metadata(g, writer, &texts);
        add_tensors(&g->single, false, writer);
        add_tensors(&g->truth, false, writer);
        add_tensors(&g->single, true, writer);
        status = assay_archive_writer_bytes(writer, g->variant->id, bytes, size, g->error, g->room);
        assay_archive_writer_close(writer);
    } else
        assay_complain(g->error, g->room, "out of memory");
    free(full);
    free(texts.calibration);
    free(texts.scales);
    free(texts.budgets);
    free(texts.pools);
    free(texts.flips);
    return status;
}

/* The truth also says how large its sums were. */
static int compute_both(struct golden *g)
{
    const struct assay_kernels *single = assay_kernels_def(ASSAY_F32);
    struct assay_golden_way way = {.scales = true};
    if (assay_golden_compute(single, g->variant, &g->config, g->seed, &g->single, g->error, g->room)
        != 0)
        return -1;
    int status =
        assay_golden_compute_as(assay_scales_begin(assay_kernels_def(ASSAY_F64)), g->variant,
                                &g->config, g->seed, &way, &g->truth, g->error, g->room);
    assay_scales_end();
    return status == 0 ? find_largest_error(g) : -1;
}

/* What honest runs need is found only for a seed that may do without them, and then counts too. */
static int calibrate(struct golden *g, bool *redraw)
{
    *redraw = true;
    if (check_decisions(g) != 0)
        return -1;
    *redraw = false;
    if (assay_calibrate(g->variant, &g->config, g->seed, &g->single, &g->truth, &g->calibration,
                        g->error, g->room)
        != 0)
        return -1;
    g->largest_error = fmax(g->largest_error, g->calibration.largest_error);
    *redraw = check_decisions(g) != 0;
    return *redraw ? -1 : 0;
}

/* A backend that is as honest as those that calibrated must not be blamed for where a kink or a
 * small denominator happens to lie. */
static int try_calibration(struct golden *g, bool *redraw)
{
    int holds = assay_calibration_holds(g->variant, &g->config, g->seed, &g->single, &g->truth,
                                        &g->calibration, g->error, g->room);
    *redraw = holds == 0;
    return holds == 1 ? 0 : -1;
}

static int check_elements(const struct golden *g, size_t elements)
{
    if (elements <= ASSAY_GOLDEN_BYTES / sizeof(float))
        return 0;
    return assay_complain(g->error, g->room,
                          "expected at most %d bytes, found over %zu: make the setting smaller",
                          ASSAY_GOLDEN_BYTES, elements * sizeof(float));
}

/* Before anything is computed: inputs and tensors of the model alone may be too many. */
static int check_size(const struct golden *g)
{
    struct assay_model m;
    struct assay_batch *batch =
        batch_random(g->variant, &g->config, ASSAY_GOLDEN_SAMPLES, g->config.length, g->seed);
    size_t elements = 0;
    if (!batch)
        return assay_complain(g->error, g->room, "out of memory");
    for (int i = 0; i < batch->inputs; i++)
        elements += shape_elements(batch->input[i].shape);
    int status = check_elements(g, elements);
    if (status == 0) {
        status = model_declare(&m, assay_kernels_def(ASSAY_F32), g->variant, &g->config, batch,
                               g->error, g->room);
        for (int kind = 0; status == 0 && kind < ASSAY_KINDS; kind++)
            elements += m.elements[kind];
        if (status == 0) {
            status = check_elements(g, elements);
            model_close(&m);
        }
    }
    batch_free(batch);
    return status;
}

int assay_golden_bytes(const struct assay_variant *variant, const struct variant_setting *setting,
                       const char *configuration, uint64_t seed, void **bytes, size_t *size,
                       bool *redraw, char *error, size_t room)
{
    struct golden g = {
        .variant = variant, .setting = setting, .seed = seed, .error = error, .room = room};
    bool other = false;
    *bytes = NULL;
    int status = assay_configuration_make(&g.config, variant, setting->overrides, error, room);
    if (status == 0)
        status = check_size(&g);
    if (status == 0)
        status = compute_both(&g);
    if (status == 0)
        status = calibrate(&g, &other);
    if (status == 0 && redraw)
        status = try_calibration(&g, &other);
    if (redraw)
        *redraw = other;
    if (status == 0)
        status = serialise(&g, configuration, bytes, size);
    assay_calibration_free(&g.calibration);
    assay_golden_free(&g.single);
    assay_golden_free(&g.truth);
    if (status == 0)
        return 0;
    free(*bytes);
    *bytes = NULL;
    return -1;
}

int assay_golden_write(const struct assay_variant *variant, const struct variant_setting *setting,
                       const char *path, uint64_t *seed, size_t *size, char *error, size_t room)
{
    void *bytes = NULL;
    bool redraw = true;
    int status = -1;
    for (*seed = 1; status != 0 && redraw && *seed <= ASSAY_GOLDEN_SEEDS; ++*seed)
        status =
            assay_golden_bytes(variant, setting, NULL, *seed, &bytes, size, &redraw, error, room);
    --*seed;
    if (status == 0 && *size > ASSAY_GOLDEN_BYTES)
        status = assay_complain(error, room,
                                "%s: expected at most %d bytes, found %zu: make the "
                                "setting smaller",
                                path, ASSAY_GOLDEN_BYTES, *size);
    if (status == 0)
        status = assay_file_write(path, bytes, *size, error, room);
    free(bytes);
    return status;
}

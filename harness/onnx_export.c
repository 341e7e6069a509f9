/* SPDX-License-Identifier: Apache-2.0 */
/* Models as ONNX files: recording the pass, saying what it is of, looking for constants that hold
 * for one batch only. */
#include "harness/onnx_export.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "harness/configuration.h"
#include "harness/files.h"
#include "harness/golden.h"
#include "ref/version.h"

struct exporting {
    const struct assay_variant *variant;
    const struct variant_setting *setting;
    struct assay_config config;
    struct assay_model model;
    uint64_t seed;
    bool trace;
    struct assay_onnx_files *files;
    size_t *bound;
    char *error;
    size_t room;
};

static int no_memory(const struct exporting *e)
{
    return assay_complain(e->error, e->room, "out of memory");
}

static tensor forward(struct exporting *e, tape *t, const struct assay_batch *batch)
{
    t->recording = false;
    t->describing = true;
    t->seed = e->model.seed;
    struct assay_pass pass = {.model = &e->model, .t = t, .batch = batch, .denominator = 1};
    return model_forward(&pass);
}

static int write_tape(struct exporting *e, tape *t, tensor output, const char *configuration)
{
    char seed[24], text[ASSAY_ERROR_ROOM];
    const struct variant_source *source = &e->variant->source;
    snprintf(seed, sizeof seed, "%" PRIu64, e->seed);
    snprintf(text, sizeof text, "%s (%s), for inputs of the shapes of its test data.",
             e->variant->title, source->paper);
    const char *const properties[][2] = {{"id", e->variant->id},
                                         {"setting", e->setting->name},
                                         {"paper", source->paper},
                                         {"arithmetic", ASSAY_ARITHMETIC},
                                         {"configuration", configuration},
                                         {"seed", seed},
                                         {NULL, NULL}};
    struct assay_onnx_about about = {e->variant->id, text, properties};
    size_t room = 1 + t->marks, count = 1;
    tensor *result = tape_allocate(t, room * sizeof *result);
    const char **name = tape_allocate(t, room * sizeof *name);
    if (name) {
        result[0] = output;
        name[0] = "output";
        for (size_t i = 0; e->trace && i < t->marks; i++)
            if (t->marked[i].kind == ASSAY_TRACE) {
                result[count] = t->marked[i].value;
                name[count++] = tape_string(t, "trace/%s", t->marked[i].name);
            }
    }
    return assay_onnx_tape(t, count, result, name, &about, e->files, e->error, e->room);
}

static bool same_constant(tensor x, tensor y)
{
    return x->type == y->type && shape_equal(x->shape, y->shape)
           && memcmp(x->data, y->data, shape_elements(x->shape) * sizeof(int32_t)) == 0;
}

/* Constants that differ in a pass over another batch: the host made them from the inputs. */
static size_t differing(const tape *one, const tape *other)
{
    size_t count = 0;
    for (size_t i = 0; i < one->nodes; i++) {
        const struct assay_description *a = one->node[i]->description,
                                       *b = i < other->nodes ? other->node[i]->description : NULL;
        for (int j = 0; j < a->operands; j++) {
            tensor x = a->operand[j];
            bool constant = x && !x->op && !x->description;
            count += constant
                     && !(b && j < b->operands && b->operand[j] && same_constant(x, b->operand[j]));
        }
    }
    return count;
}

/* Another batch, its samples in reverse, so that the padded one is another, too. NULL without
 * memory. */
static struct assay_batch *different_batch(const struct exporting *e)
{
    struct assay_batch *b =
        batch_random(e->variant, &e->config, ASSAY_GOLDEN_SAMPLES, e->config.length, e->seed + 1);
    for (int i = 0; b && i < b->inputs; i++) {
        size_t samples = b->input[i].shape.dim[0],
               each = shape_elements(b->input[i].shape) / samples;
        int32_t *data = (void *)(uintptr_t)b->input[i].data;
        for (size_t from = 0, to = samples - 1; from < to; from++, to--)
            for (size_t j = 0; j < each; j++) {
                int32_t kept = data[from * each + j];
                data[from * each + j] = data[to * each + j];
                data[to * each + j] = kept;
            }
    }
    return b;
}

static int export(struct exporting *e, tape *t, tape *other, const struct assay_batch *batch)
{
    tensor output = forward(e, t, batch);
    char *configuration = assay_configuration_text(&e->config, e->variant);
    struct assay_batch *different = different_batch(e);
    int status = -1;
    if (!configuration || !different) {
        no_memory(e);
    } else {
        status = write_tape(e, t, output, configuration);
        if (status == 0) {
            forward(e, other, different);
            *e->bound = differing(t, other);
        }
    }
    batch_free(different);
    free(configuration);
    return status;
}

static int export_model(struct exporting *e, const struct assay_batch *batch)
{
    tape t = {0}, other = {0};
    if (model_open(&e->model, assay_kernels_cpu(ASSAY_F32, NULL), e->variant, &e->config, batch,
                   e->seed, e->error, e->room)
        != 0)
        return -1;
    bool ready = assay_golden_stir(&e->model, batch, e->seed) == 0
                 && tape_open(&t, e->model.kernels) == 0
                 && tape_open(&other, e->model.kernels) == 0;
    int status = ready ? export(e, &t, &other, batch) : no_memory(e);
    tape_close(&other);
    tape_close(&t);
    model_close(&e->model);
    return status;
}

int assay_onnx_export(const struct assay_variant *variant, const struct variant_setting *setting,
                      uint64_t seed, bool trace, struct assay_onnx_files *files, size_t *bound,
                      char *error, size_t room)
{
    struct exporting e = {.variant = variant,
                          .setting = setting,
                          .seed = seed,
                          .trace = trace,
                          .files = files,
                          .bound = bound,
                          .error = error,
                          .room = room};
    *files = (struct assay_onnx_files){0};
    if (assay_configuration_make(&e.config, variant, setting->overrides, error, room) != 0)
        return -1;
    if (variant->update || variant->objective || variant_computes(variant, &e.config))
        return assay_complain(error, room,
                              "%s: expected a model: the golden file of '%s' is not "
                              "that of one pass",
                              variant->id, setting->name);
    struct assay_batch *batch =
        batch_random(e.variant, &e.config, ASSAY_GOLDEN_SAMPLES, e.config.length, seed);
    int status = batch ? export_model(&e, batch) : no_memory(&e);
    batch_free(batch);
    return status;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* What the automatic checks of all papers share: a paper in one setting as a model with a
 * batch, and its forward pass. */
#ifndef ASSAY_VARIANT_KIT_H
#define ASSAY_VARIANT_KIT_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "harness/tests/tap.h"
#include "ref/claim.h"

/* A paper with a setting: `text` is the whole configuration, `label` "id.setting". */
struct subject {
    const struct assay_variant *variant;
    const struct variant_setting *setting;
    char label[96];
};

struct kit {
    struct assay_model model;
    struct assay_batch *batch;
    tape t;
    struct assay_pass pass;
    void *gradients;
    size_t length; /* tokens of a sample */
    tensor output, loss;
};

__attribute__((unused)) static void kit_close(struct kit *k)
{
    tape_close(&k->t);
    model_close(&k->model);
    batch_free(k->batch);
    free(k->gradients);
    *k = (struct kit){0};
}

/* The subject's model with `more` overrides; batches of `samples` x `length`, of whole images for
 * papers on images. False, with a diagnosis, if it can't be built. */
__attribute__((unused)) static bool kit_open_config(struct kit *k,
                                                    const struct assay_kernels *kernels,
                                                    const struct assay_variant *v,
                                                    const struct assay_config *config,
                                                    size_t samples, size_t length)
{
    char error[400] = "out of memory";
    *k = (struct kit){.length = v && v->pixels ? config->length : length};
    k->batch = batch_random(v, config, samples, k->length, 11);
    bool made = k->batch
                && model_open(&k->model, kernels, v, config, k->batch, 5, error, sizeof error) == 0;
    made = made && tape_open(&k->t, kernels) == 0;
    if (made)
        k->gradients = calloc(k->model.elements[ASSAY_PARAMETER] + 1, kernels->element);
    if (made && k->gradients) {
        k->t.recording = true;
        k->pass = (struct assay_pass){.model = &k->model,
                                      .t = &k->t,
                                      .batch = k->batch,
                                      .gradients = k->gradients,
                                      .denominator = (double)samples};
        return true;
    }
    diag("%s: %s", v ? v->id : "reference", error);
    kit_close(k);
    return false;
}

__attribute__((unused)) static bool kit_open(struct kit *k, const struct assay_kernels *kernels,
                                             const struct subject *s, const char *more,
                                             size_t samples, size_t length)
{
    char text[1024], error[400];
    struct assay_config config;
    *k = (struct kit){0};
    snprintf(text, sizeof text, "%s %s", s->setting->overrides, more);
    const struct assay_variant *v = s->variant == &assay_variant_reference ? NULL : s->variant;
    if (config_make(&config, v, text, error, sizeof error) == 0
        && kit_open_config(k, kernels, v, &config, samples, length))
        return true;
    diag("%s with '%s': no model", s->label, more);
    return false;
}

/* Weights away from their initial values, so that zeros and ones hide nothing:
 * each moved by up to a tenth. */
__attribute__((unused)) static void kit_shake(struct kit *k)
{
    uint64_t state = 88172645463325252u;
    for (size_t i = 0; i < k->model.entries; i++) {
        const struct assay_entry *e = &k->model.entry[i];
        if (e->kind != ASSAY_PARAMETER)
            continue;
        double *value = malloc((e->elements + 1) * sizeof *value);
        if (!value)
            return;
        model_read(&k->model, e, value);
        for (size_t j = 0; j < e->elements; j++) {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            value[j] += 0.2 * ((double)(state >> 44) * 0x1p-20 - 0.5);
        }
        model_write_f64(&k->model, e, value);
        free(value);
    }
}

/* Runs forward and loss on a fresh tape; false with a diagnosis on an error. */
__attribute__((unused)) static bool kit_run(struct kit *k)
{
    tape_reset(&k->t);
    k->loss = model_loss(&k->pass, &k->output);
    if (!k->loss)
        diag("%s", tape_error(&k->t));
    return k->loss != TENSOR_NONE;
}

__attribute__((unused)) static tensor kit_trace(struct kit *k, const char *name)
{
    for (size_t i = 0; i < k->t.marks; i++)
        if (k->t.marked[i].kind == ASSAY_TRACE && strcmp(k->t.marked[i].name, name) == 0)
            return k->t.marked[i].value;
    return TENSOR_NONE;
}

/* The last trace of a block: [b, n, d]. */
__attribute__((unused)) static tensor kit_stream(struct kit *k)
{
    tensor last = TENSOR_NONE;
    for (size_t i = 0; i < k->t.marks; i++)
        if (k->t.marked[i].kind == ASSAY_TRACE)
            last = k->t.marked[i].value;
    return last;
}

__attribute__((unused)) static double *kit_values(struct kit *k, tensor x)
{
    double *value = x ? malloc((elements_of(x) + 1) * sizeof *value) : NULL;
    if (value)
        tensor_read(&k->t, x, value);
    return value;
}

/* Rounding of the frame to first order, in units of roundoff of a tensor's scale: on its way
 * through a block a number passes products of d, d, n, d, m and d terms and two norms of d;
 * two orders of evaluation may differ by twice that for each block. */
__attribute__((unused)) static double frame_units(const struct assay_config *c, size_t n)
{
    size_t blocks = c->layers + (c->frame == FRAME_ENCODER_DECODER ? c->decoder_layers : 0);
    return 2.0 * (double)(blocks + 1)
           * (double)(6 * c->width + n + c->hidden + 2 * (c->width + 16));
}

/* Calls `check` for every setting of every paper that trains, or of the one named by the first
 * argument; reports each paper's CPU time. */
__attribute__((unused)) static void each_subject(int argc, char **argv,
                                                 void (*check)(const struct subject *))
{
    for (size_t i = 0;; i++) {
        const struct assay_variant *v = i ? assay_variants[i - 1] : &assay_variant_reference;
        if (!v)
            return;
        if (argc > 1 && strcmp(argv[1], v->id) != 0)
            continue;
        clock_t start = clock();
        for (const struct variant_setting *s = v->settings; s && s->name; s++) {
            if (!variant_trains(v, s))
                continue;
            struct subject subject = {v, s, ""};
            snprintf(subject.label, sizeof subject.label, "%s%s%s", v->id,
                     s == v->settings ? "" : ".", s == v->settings ? "" : s->name);
            check(&subject);
        }
        diag("%s: %.1f CPU seconds", v->id, (double)(clock() - start) / CLOCKS_PER_SEC);
    }
}

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* What papers cost against the number of tokens. */
#include "harness/cost.h"

#include <gsl/gsl_cdf.h>
#include <gsl/gsl_fit.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "harness/configuration.h"
#include "harness/files.h"

const size_t assay_cost_length[ASSAY_COST_LENGTHS] = {256,  512,  1024, 2048,
                                                      3072, 4096, 8192, 16384};
const char assay_cost_sizes[] = "width=32 heads=4 hidden=64 layers=2 decoder_layers=2";

void assay_cost_name(const struct assay_cost_model *m, char name[ASSAY_COST_NAME])
{
    const char *setting = m->setting == m->variant->settings ? NULL : m->setting->name;
    const char *form = m->form ? m->form->name : NULL;
    if (!setting && !form)
        snprintf(name, ASSAY_COST_NAME, "%s", m->variant->id);
    else
        snprintf(name, ASSAY_COST_NAME, "%s (%s%s%s)", m->variant->id, setting ? setting : "",
                 setting && form ? ", " : "", form ? form : "");
}

static const struct assay_variant *slots_of(const struct assay_cost_model *m)
{
    return m->variant == &assay_variant_reference ? NULL : m->variant;
}

enum { TEXT = 1024 };

static void write_overrides(const struct assay_cost_model *m, size_t n, char text[TEXT])
{
    const struct variant_form *form = m->form ? m->form : m->variant->forms;
    snprintf(text, TEXT, "%s %s %s length=%zu pad_is_zero=0", m->setting->overrides,
             form && form->name ? form->overrides : "", m->sizes, n);
}

size_t assay_cost_tokens(const struct assay_cost_model *m, size_t n)
{
    char text[TEXT], error[ASSAY_ERROR_ROOM];
    struct assay_config config;
    write_overrides(m, n, text);
    bool images = m->variant->pixels
                  && config_make(&config, slots_of(m), text, error, sizeof error) == 0;
    return images ? m->variant->pixels(&config, n) : n;
}

int assay_cost_config(const struct assay_cost_model *m, size_t n, struct assay_config *config,
                      char *error, size_t room)
{
    char text[TEXT];
    write_overrides(m, n, text);
    return assay_configuration_make(config, slots_of(m), text, error, room);
}

/* Of this thread: what else the machine does meanwhile is not in it. A pass never waits, so where
 * nothing else runs this is the wall time. */
static double processor_time(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/* A model, a batch of one sample and a tape. */
struct pass {
    struct assay_model model;
    struct assay_batch *batch;
    tape t;
    void *gradients;
};

static void pass_close(struct pass *p)
{
    tape_close(&p->t);
    model_close(&p->model);
    batch_free(p->batch);
    free(p->gradients);
}

static int pass_open(struct pass *p, const struct assay_cost_model *m, size_t n,
                     const struct assay_kernels *kernels, char *error, size_t room)
{
    struct assay_config config;
    *p = (struct pass){.batch = NULL};
    if (assay_cost_config(m, n, &config, error, room) != 0)
        return -1;
    p->batch = batch_random(m->variant, &config, 1, n, 1);
    if (!p->batch || tape_open(&p->t, kernels) != 0) {
        pass_close(p);
        return assay_complain(error, room, "out of memory");
    }
    if (model_open(&p->model, kernels, slots_of(m), &config, p->batch, 1, error, room) != 0) {
        pass_close(p);
        return -1;
    }
    p->gradients = calloc(p->model.elements[ASSAY_PARAMETER] + 1, kernels->element);
    if (p->gradients)
        return 0;
    pass_close(p);
    return assay_complain(error, room, "out of memory");
}

/* Forward and backward. */
static int pass_run(struct pass *p, char *error, size_t room)
{
    tape_reset(&p->t);
    p->t.counts = (struct assay_counts){0};
    struct assay_pass pass = {.model = &p->model,
                              .t = &p->t,
                              .batch = p->batch,
                              .gradients = p->gradients,
                              .train = true,
                              .denominator = 1};
    tensor loss = model_loss(&pass, NULL);
    if (loss)
        tape_backward(&p->t, loss);
    return tape_error(&p->t) ? assay_complain(error, room, "%s", tape_error(&p->t)) : 0;
}

int assay_cost_count(const struct assay_cost_model *m, size_t n, struct assay_cost *cost,
                     char *error, size_t room)
{
    struct pass p;
    if (pass_open(&p, m, n, assay_kernels_dry(ASSAY_F32), error, room) != 0)
        return -1;
    int status = pass_run(&p, error, room);
    cost->counted = status == 0;
    cost->counts = p.t.counts;
    cost->resident = tape_resident(&p.t);
    pass_close(&p);
    return status;
}

int assay_cost_time(const struct assay_cost_model *m, size_t n, const struct assay_kernels *kernels,
                    size_t repeats, struct assay_cost *cost, char *error, size_t room)
{
    struct pass p;
    if (pass_open(&p, m, n, kernels, error, room) != 0)
        return -1;
    double spent = 0, best = (double)INFINITY;
    int status = 0;
    for (size_t i = 0; status == 0 && i < repeats && spent < 1; i++) {
        double before = processor_time();
        status = pass_run(&p, error, room);
        double seconds = processor_time() - before;
        spent += seconds;
        best = seconds < best ? seconds : best;
    }
    cost->timed = status == 0 && repeats > 0;
    cost->seconds = best;
    pass_close(&p);
    return status;
}

struct assay_fit assay_fit_exponent(size_t count, const double *n, const double *y)
{
    struct assay_fit fit = {(double)NAN, (double)NAN, 0};
    double *log_n = malloc(2 * (count + 1) * sizeof *log_n), *log_y = log_n ? log_n + count : NULL;
    for (size_t i = 0; log_n && i < count; i++)
        if (n[i] > 0 && y[i] > 0) {
            log_n[fit.points] = log(n[i]);
            log_y[fit.points++] = log(y[i]);
        }
    if (fit.points >= 2) {
        double constant, c00, c01, c11, squares, degrees = (double)fit.points - 2;
        gsl_fit_linear(log_n, 1, log_y, 1, fit.points, &constant, &fit.exponent, &c00, &c01, &c11,
                       &squares);
        if (fit.points > 2)
            fit.margin = gsl_cdf_tdist_Pinv(0.975, degrees) * sqrt(c11);
    }
    free(log_n);
    return fit;
}

/* The shortest of several stretches leaves out what else the machine did meanwhile. */
enum { STRETCH = 8, STRETCHES = 8 };

/* One more token, which is always 1. */
static int decode_token(struct pass *p, struct assay_decode *d, char *error, size_t room)
{
    struct assay_batch step = *p->batch;
    const int32_t token = 1;
    for (int i = 0; i < step.inputs; i++)
        if (strcmp(step.input[i].name, "ids") == 0) {
            step.input[i].shape.dim[1] = 1;
            step.input[i].data = &token;
        }
    tape_reset(&p->t);
    struct assay_pass pass = {
        .model = &p->model, .t = &p->t, .batch = &step, .denominator = 1, .decode = d};
    return model_forward(&pass) ? 0 : assay_complain(error, room, "%s", tape_error(&p->t));
}

static int decode_all(struct pass *p, struct assay_decode *d, size_t count, const size_t *at,
                      struct assay_decode_cost *cost, char *error, size_t room)
{
    double began = 0, best = (double)INFINITY;
    for (size_t i = 0, next = 0; next < count; i++) {
        size_t left = at[next] - i; /* tokens up to the position, this one included */
        if (left <= STRETCH * STRETCHES && left % STRETCH == 0)
            began = processor_time();
        if (decode_token(p, d, error, room) != 0)
            return -1;
        if (left <= STRETCH * STRETCHES && left % STRETCH == 1) {
            double seconds = (processor_time() - began) / STRETCH;
            best = seconds < best ? seconds : best;
        }
        if (left == 1) {
            cost[next++] = (struct assay_decode_cost){best, decode_bytes(d)};
            best = (double)INFINITY;
        }
    }
    return 0;
}

int assay_cost_decode(const struct assay_cost_model *m, const struct assay_kernels *kernels,
                      size_t count, const size_t *at, struct assay_decode_cost *cost, char *error,
                      size_t room)
{
    struct pass p;
    size_t capacity = count ? at[count - 1] : 1;
    if (pass_open(&p, m, capacity, kernels, error, room) != 0)
        return -1;
    p.t.recording = false;
    struct assay_decode *d = decode_open(kernels, capacity);
    int status = d ? decode_all(&p, d, count, at, cost, error, room)
                   : assay_complain(error, room, "out of memory");
    decode_close(d);
    pass_close(&p);
    return status;
}

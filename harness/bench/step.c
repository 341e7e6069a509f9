/* SPDX-License-Identifier: Apache-2.0 */
/* Training steps of the reference (pre-LN, classification, AdamW) on two threads, one at a time,
 * so that another program's steps can take turns with them.
 *
 *     step --shape I [--export FILE]
 *
 * With --export the initial weights, the samples and the sizes are written as safetensors, for
 * the other program to start from, and that is all. Otherwise the standard input commands: each
 * line "step" makes a step and prints {"seconds", "loss"}; "memory" prints the peak of resident
 * memory so far; "rate" measures our matrix product on two threads. Every batch is the whole of
 * the data, so the steps' losses don't depend on who draws the order of samples. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "harness/bench/kit.h"
#include "harness/files.h"
#include "harness/progress.h"
#include "harness/safetensors.h"
#include "ref/train.h"

enum { THREADS = 2, VOCAB = 256, CLASSES = 10, SHARDS = 4 };

static const struct sizes {
    size_t width, heads, hidden, layers, length, batch;
} shapes[] = {
    {64, 4, 128, 2, 512, 16},
    {128, 4, 512, 4, 1024, 8},
    {64, 4, 128, 2, 2048, 4},
};
enum { SHAPES = sizeof shapes / sizeof *shapes };

struct work {
    struct sizes s;
    int32_t *ids, *label;
    struct assay_data data;
    struct assay_phase phase;
    struct assay_model model;
    struct assay_trainer trainer;
    char error[512];
};

/* Ids from 1 up: no padding in either program. */
static int make_samples(struct work *w)
{
    size_t n = w->s.batch * w->s.length;
    struct assay_rng rng;
    w->ids = malloc((n + 1) * sizeof *w->ids);
    w->label = malloc((w->s.batch + 1) * sizeof *w->label);
    if (!w->ids || !w->label)
        return assay_complain(w->error, sizeof w->error, "out of memory");
    assay_rng_named(&rng, 1, "samples");
    for (size_t i = 0; i < n; i++)
        w->ids[i] = 1 + (int32_t)assay_rng_below(&rng, VOCAB - 1);
    for (size_t i = 0; i < w->s.batch; i++)
        w->label[i] = (int32_t)assay_rng_below(&rng, CLASSES);
    w->data = (struct assay_data){
        .count = w->s.batch,
        .inputs = 2,
        .input = {{"ids", ASSAY_I32, SHAPE(w->s.batch, w->s.length), w->ids},
                  {"label", ASSAY_I32, SHAPE(w->s.batch), w->label}},
    };
    return 0;
}

static int make_model(struct work *w, const struct assay_kernels *kernels)
{
    char text[256];
    struct assay_config c;
    struct assay_batch batch = {2, {w->data.input[0], w->data.input[1]}};
    snprintf(text, sizeof text,
             "preset=pre_ln width=%zu heads=%zu hidden=%zu layers=%zu length=%zu vocab=%d "
             "classes=%d pad_is_zero=0",
             w->s.width, w->s.heads, w->s.hidden, w->s.layers, w->s.length, VOCAB, CLASSES);
    if (config_make(&c, NULL, text, w->error, sizeof w->error) != 0)
        return -1;
    return model_open(&w->model, kernels, NULL, &c, &batch, 1, w->error, sizeof w->error);
}

static int make_work(struct work *w, const struct assay_kernels *kernels, const struct sizes *s)
{
    *w = (struct work){.s = *s};
    if (make_samples(w) != 0 || make_model(w, kernels) != 0)
        return -1;
    w->phase = (struct assay_phase){
        .name = "step",
        .data = &w->data,
        .optimizer = {OPTIMIZER_ADAMW, .beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8, .decay = 0.01},
        .schedule = {SCHEDULE_CONSTANT, .base = 1e-3},
        .steps = SIZE_MAX,
        .batch = s->batch,
        .shard = s->batch / SHARDS,
    };
    return 0;
}

static void export_number(struct assay_archive_writer *writer, const char *name, double value)
{
    char text[32];
    snprintf(text, sizeof text, "%.17g", value);
    assay_archive_writer_metadata(writer, name, text);
}

static int export(struct work *w, const char *path)
{
    struct assay_archive_writer *writer = assay_archive_writer_open();
    const struct assay_config *c = &w->model.config;
    const struct {
        const char *name;
        double value;
    } number[] = {
        {"width", (double)c->width},
        {"heads", (double)c->heads},
        {"hidden", (double)c->hidden},
        {"layers", (double)c->layers},
        {"length", (double)c->length},
        {"vocab", VOCAB},
        {"classes", CLASSES},
        {"norm_eps", c->norm_eps},
        {"rate", w->phase.schedule.base},
        {"beta1", w->phase.optimizer.beta1},
        {"beta2", w->phase.optimizer.beta2},
        {"eps", w->phase.optimizer.eps},
        {"decay", w->phase.optimizer.decay},
        {"threads", THREADS},
    };
    for (size_t i = 0; i < sizeof number / sizeof *number; i++)
        export_number(writer, number[i].name, number[i].value);
    for (size_t i = 0; i < w->model.entries; i++) {
        const struct assay_entry *e = &w->model.entry[i];
        assay_archive_writer_tensor(writer, e->name, ASSAY_DT_F32, (size_t)e->shape.rank,
                                    e->shape.dim, entry_data(&w->model, e));
    }
    assay_archive_writer_tensor(writer, "ids", ASSAY_DT_I32, 2, (size_t[]){w->s.batch, w->s.length},
                                w->ids);
    assay_archive_writer_tensor(writer, "label", ASSAY_DT_I32, 1, &w->s.batch, w->label);
    int status = assay_archive_writer_save(writer, path, w->error, sizeof w->error);
    assay_archive_writer_close(writer);
    return status;
}

/* Of this process, in bytes. Linux's ru_maxrss starts at what the process that started this one
 * held; VmHWM is this program's own. */
static double peak_resident(void)
{
    unsigned long kilobytes = 0;
    char line[128];
    FILE *file = fopen("/proc/self/status", "r");
    while (file && fgets(line, sizeof line, file))
        if (sscanf(line, "VmHWM: %lu", &kilobytes) == 1)
            break;
    if (file)
        fclose(file);
    struct rusage usage = {0};
    if (kilobytes == 0 && getrusage(RUSAGE_SELF, &usage) == 0)
        kilobytes = (unsigned long)usage.ru_maxrss;
    return 1024.0 * (double)kilobytes;
}

static int step(struct work *w)
{
    double began = assay_clock();
    if (trainer_step(&w->trainer) != 0)
        return assay_complain(w->error, sizeof w->error, "%s", w->trainer.error);
    double seconds = assay_clock() - began;
    cJSON *record = bench_record("step");
    cJSON_AddNumberToObject(record, "seconds", seconds);
    cJSON_AddNumberToObject(record, "loss", w->trainer.loss);
    bench_print(record);
    return 0;
}

static int rate(const struct bench *bench, struct work *w)
{
    struct bench_rate r;
    struct bench_entry entry;
    if (bench_rate_open(&r, bench->kernels, THREADS, &entry) != 0)
        return assay_complain(w->error, sizeof w->error, "out of memory");
    bench_contest(bench, THREADS, &entry, 1);
    cJSON *record = bench_record("rate");
    cJSON_AddNumberToObject(record, "product", 1e-9 * r.operations / entry.seconds);
    bench_print(record);
    bench_rate_close(&r);
    return 0;
}

static void memory(double start, const struct work *w)
{
    cJSON *record = bench_record("memory");
    cJSON_AddNumberToObject(record, "start_bytes", start);
    cJSON_AddNumberToObject(record, "peak_bytes", peak_resident());
    cJSON_AddNumberToObject(record, "arena_bytes", (double)w->trainer.peak_bytes);
    cJSON_AddNumberToObject(record, "multiply_adds", (double)w->trainer.multiply_adds);
    cJSON_AddNumberToObject(record, "parameters", (double)w->model.elements[ASSAY_PARAMETER]);
    bench_print(record);
}

static int obey(const struct bench *bench, struct work *w, double start)
{
    char line[32];
    if (trainer_open(&w->trainer, &w->model, &w->phase, 1, THREADS) != 0)
        return assay_complain(w->error, sizeof w->error, "%s", w->trainer.error);
    while (fgets(line, sizeof line, stdin)) {
        line[strcspn(line, "\n")] = '\0';
        if (strcmp(line, "step") == 0) {
            if (step(w) != 0)
                return -1;
        } else if (strcmp(line, "memory") == 0) {
            memory(start, w);
        } else if (strcmp(line, "rate") != 0) {
            return assay_complain(w->error, sizeof w->error,
                                  "expected step, memory or rate; found '%s'", line);
        } else if (rate(bench, w) != 0) {
            return -1;
        }
    }
    return 0;
}

int main(int argc, char **argv)
{
    double start = peak_resident();
    struct bench bench;
    int status = bench_open(&bench, "step", &argc, argv);
    if (status != 0)
        return status;
    bool exports = argc == 5 && strcmp(argv[3], "--export") == 0;
    size_t shape = argc >= 3 && strcmp(argv[1], "--shape") == 0 ? strtoul(argv[2], NULL, 10) : 0;
    if (shape < 1 || shape > SHAPES || (argc != 3 && !exports)) {
        fprintf(stderr, "usage: step --shape 1..%d [--export FILE]\n", SHAPES);
        return 2;
    }
    struct work w;
    status = make_work(&w, bench.kernels, &shapes[shape - 1]);
    if (status == 0)
        status = exports ? export(&w, argv[4]) : obey(&bench, &w, start);
    if (status != 0)
        fprintf(stderr, "step: %s\n", w.error);
    trainer_close(&w.trainer);
    model_close(&w.model);
    free(w.ids);
    free(w.label);
    return status == 0 ? 0 : 2;
}

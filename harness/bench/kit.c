/* SPDX-License-Identifier: Apache-2.0 */
/* What the benchmarks share. */
#include "harness/bench/kit.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "harness/progress.h"

#ifdef __clang__
#define COMPILER "clang " __clang_version__
#else
#define COMPILER "gcc " __VERSION__
#endif

static int refuse(const char *program, const char *what, const char *expected, const char *found)
{
    fprintf(stderr, "%s: %s: expected %s, found %s\n", program, what, expected, found);
    return 2;
}

int bench_open(struct bench *b, const char *program, int *argc, char **argv)
{
    const char *level = NULL;
    int kept = 1;
    *b = (struct bench){NULL, false};
    for (int i = 1; i < *argc; i++) {
        if (strcmp(argv[i], "--quick") == 0)
            b->quick = true;
        else if (strcmp(argv[i], "--level") == 0 && i + 1 < *argc)
            level = argv[++i];
        else
            argv[kept++] = argv[i];
    }
    *argc = kept;
    const char *fault = assay_environment_fault();
    if (fault)
        return refuse(program, "environment", "IEEE-754 arithmetic", fault);
    b->kernels = assay_kernels_cpu(ASSAY_F32, level);
    if (!b->kernels)
        return refuse(program, "--level", "a level of this build that the processor runs", level);
    cJSON *record = bench_record("build");
    cJSON_AddStringToObject(record, "compiler", COMPILER);
    cJSON_AddStringToObject(record, "level", b->kernels->level);
    bench_print(record);
    return 0;
}

static double seconds_of(int threads)
{
    struct timespec now;
    clock_gettime(threads == 1 ? CLOCK_THREAD_CPUTIME_ID : CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static void turn(struct bench_entry *e, int threads)
{
    double began = seconds_of(threads);
    e->work(e->what, e->repeats);
    double seconds = (seconds_of(threads) - began) / (double)e->repeats;
    e->seconds = e->seconds == 0 || seconds < e->seconds ? seconds : e->seconds;
}

/* How often the work fits a slice; the best of three turns decides, so that one disturbed turn
 * doesn't. */
static void fill_slice(struct bench_entry *e, int threads, double slice)
{
    e->repeats = 1;
    do {
        e->seconds = 0;
        for (int i = 0; i < 3; i++)
            turn(e, threads);
        e->repeats *= 2;
    } while (e->seconds * (double)e->repeats <= slice);
    e->repeats /= 2;
    e->seconds = 0;
}

void bench_contest(const struct bench *b, int threads, struct bench_entry *entry, int entries)
{
    const double slice = 4e-3, limit = b->quick ? 0.2 : 2;
    const int most = b->quick ? 10 : 50, least = b->quick ? 2 : 5;
    for (int i = 0; i < entries; i++)
        if (entry[i].work)
            fill_slice(&entry[i], threads, slice);
    double began = assay_clock();
    for (int round = 0; round < most && (round < least || assay_clock() - began < limit); round++)
        for (int i = 0; i < entries; i++)
            if (entry[i].work)
                turn(&entry[i], threads);
}

struct half {
    struct bench_pair *pair;
    int which;
    size_t repeats;
};

static void *run_half(void *half_)
{
    struct half *half = half_;
    assay_environment_restore();
    half->pair->work(half->pair->what[half->which], half->repeats);
    return NULL;
}

void bench_both(void *pair, size_t repeats)
{
    struct half first = {pair, 0, repeats}, second = {pair, 1, repeats};
    pthread_t thread;
    bool started = pthread_create(&thread, NULL, run_half, &second) == 0;
    run_half(&first);
    if (started)
        pthread_join(thread, NULL);
    else
        run_half(&second); /* in turn: slower, never wrong */
}

float *bench_numbers(size_t count)
{
    float *x = malloc((count + 1) * sizeof *x);
    for (size_t i = 0; x && i < count; i++)
        x[i] = (float)((i * 2654435761u) % 1024) / 1024.0f - 0.5f;
    return x;
}

void bench_product(void *product, size_t repeats)
{
    const struct bench_product *x = product;
    for (size_t i = 0; i < repeats; i++)
        x->kernels->product(&x->p);
}

int bench_rate_open(struct bench_rate *r, const struct assay_kernels *kernels, int threads,
                    struct bench_entry *entry)
{
    enum { SIZE = 768, ELEMENTS = SIZE * SIZE };
    *r = (struct bench_rate){.numbers = bench_numbers((size_t)6 * ELEMENTS)};
    if (!r->numbers)
        return -1;
    for (int i = 0; i < 2; i++)
        r->product[i] = (struct bench_product){kernels,
                                               {.batch = {1, 1},
                                                .m = SIZE,
                                                .n = SIZE,
                                                .k = SIZE,
                                                .a = r->numbers + 3 * i * ELEMENTS,
                                                .b = r->numbers + (3 * i + 1) * ELEMENTS,
                                                .c = r->numbers + (3 * i + 2) * ELEMENTS,
                                                .a_row = SIZE,
                                                .a_column = 1,
                                                .b_row = SIZE,
                                                .b_column = 1,
                                                .c_row = SIZE}};
    r->pair = (struct bench_pair){bench_product, {&r->product[0], &r->product[1]}};
    r->operations = 2.0 * threads * SIZE * SIZE * SIZE;
    *entry = threads == 2 ? (struct bench_entry){.work = bench_both, .what = &r->pair}
                          : (struct bench_entry){.work = bench_product, .what = &r->product[0]};
    return 0;
}

void bench_rate_close(struct bench_rate *r)
{
    free(r->numbers);
}

cJSON *bench_record(const char *subject)
{
    cJSON *record = cJSON_CreateObject();
    cJSON_AddStringToObject(record, "subject", subject);
    return record;
}

void bench_print(cJSON *record)
{
    char *text = cJSON_PrintUnformatted(record);
    puts(text ? text : "{}");
    fflush(stdout);
    cJSON_free(text);
    cJSON_Delete(record);
}

void bench_skipped(const char *peer, const char *package)
{
    cJSON *record = bench_record("skipped");
    cJSON_AddStringToObject(record, "peer", peer);
    cJSON_AddStringToObject(record, "package", package);
    bench_print(record);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* What the benchmarks share: the command line, contests whose entries take turns, and records, one
 * JSON object per line on the standard output. */
#ifndef ASSAY_BENCH_KIT_H
#define ASSAY_BENCH_KIT_H

#include <cjson/cJSON.h>

#include "ref/kernels.h"

/* What was asked for: the tables of a level (the best that this machine runs), fewer and smaller
 * measurements. */
struct bench {
    const struct assay_kernels *kernels;
    bool quick;
};

/* Takes --level NAME and --quick off the command line and prints the record "build". What is left
 * of argv stays, in order; *argc counts it. 0, or the exit status 2 with a message. */
int bench_open(struct bench *b, const char *program, int *argc, char **argv);

/* Does the work `repeats` times. */
typedef void bench_work(void *what, size_t repeats);

/* work NULL: not there, seconds stays 0. seconds: of one repeat, the least over all rounds. */
struct bench_entry {
    bench_work *work;
    void *what;
    double seconds;
    size_t repeats;
};

/* Rounds in which every entry has a turn of at most 4 ms, or of one repeat: 50 rounds, or as
 * many as 2 s hold, but at least 5. The least time is kept, because what disturbs a measurement
 * only adds to it; turns are short, so that some are undisturbed; and they alternate, so that
 * what disturbs for long meets all entries. Work on one thread is timed by the processor time of
 * that thread, so that it doesn't matter who else wants the core; on two, by the wall clock. */
void bench_contest(const struct bench *b, int threads, struct bench_entry *entry, int entries);

/* Both halves of `work` at once, each on a thread of its own, `repeats` times. A bench_work:
 * `what` is a struct bench_pair. */
struct bench_pair {
    bench_work *work;
    void *what[2];
};
void bench_both(void *pair, size_t repeats);

/* `count` numbers in [-0.5, 0.5), the same every time. NULL without memory; caller frees. */
float *bench_numbers(size_t count);

/* A product by a table; a bench_work, whose `what` is a struct bench_product. */
struct bench_product {
    const struct assay_kernels *kernels;
    struct assay_product p;
};
void bench_product(void *product, size_t repeats);

/* What other rates are shares of: the table's product of two [768, 768] matrices on one thread, or
 * of such a pair on each of two threads, as an entry to contests. The struct stays where it is. */
struct bench_rate {
    float *numbers;
    struct bench_product product[2];
    struct bench_pair pair;
    double operations; /* of one repeat, 2 per multiply-add */
};
int bench_rate_open(struct bench_rate *r, const struct assay_kernels *kernels, int threads,
                    struct bench_entry *entry);
void bench_rate_close(struct bench_rate *r);

/* A record: bench_record, cJSON_AddNumberToObject and the like, bench_print, which frees it. */
cJSON *bench_record(const char *subject);
void bench_print(cJSON *record);
/* Names a peer that is not installed, and the Debian package that has it. */
void bench_skipped(const char *peer, const char *package);

#endif

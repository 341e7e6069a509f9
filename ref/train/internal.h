/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by the files of ref/train/: the pool of threads, the merge of gradients, what the shards
 * of a job report. */
#ifndef ASSAY_TRAIN_INTERNAL_H
#define ASSAY_TRAIN_INTERNAL_H

#include <pthread.h>

#include "ref/train.h"

/* ---- merge.c: callers hold the lock, but not for merge_add ---- */

struct merge {
    const struct assay_kernels *kernels;
    size_t elements, shards, buffers, frees;
    void **buffer;    /* all */
    void **free;      /* those not in use */
    void **node;      /* sums of complete subtrees, by level and index; NULL: not there */
    size_t start[64]; /* of a level in `node` */
};

/* As many buffers as keep `threads` workers busy; with them a worker never waits forever. -1: out
 * of memory. */
int merge_open(struct merge *m, const struct assay_kernels *kernels, size_t elements, size_t shards,
               size_t threads);
void merge_close(struct merge *m);
void merge_reset(struct merge *m);
void *merge_take(struct merge *m); /* NULL: none is free */
void merge_release(struct merge *m, void *buffer);
/* Node (level, index) has come: its sibling's buffer, taken out, or NULL, and then the node is
 * kept. */
void *merge_meet(struct merge *m, size_t level, size_t index, void *buffer);
void merge_add(const struct merge *m, void *lower, const void *higher); /* lower = lower + higher */
void *merge_finish(struct merge *m); /* the rest, folded from the highest index down */

/* ---- shard.c: one shard's forward and backward on one thread ---- */

struct emitted {
    int count;
    struct assay_emission *item; /* value unused */
    char *values;                /* one after the other, in the profile */
    size_t room;
};

/* What the workers are to do: `samples` samples of data, cut into shards. */
struct job {
    const struct assay_data *data;
    const int32_t *order; /* [samples] rows of the data; NULL: 0, 1, ... */
    size_t samples, shard, shards;
    double denominator;
    bool train;
};

struct worker {
    struct assay_workers *pool;
    pthread_t thread;
    size_t index;
    tape t;
    uint32_t *sample;
    size_t sample_room;
    void *rows[ASSAY_INPUTS_MAX];
    size_t row_room[ASSAY_INPUTS_MAX];
    struct assay_emission *emission;
    int emission_room;
    void *gradient;
    size_t correct, counted;
    char error[512];
};

/* Runs shard i of the job; -1 and a message in w->error. */
int shard_run(struct worker *w, const struct assay_trainer *t, const struct job *job, size_t i);
size_t shard_count(size_t samples, size_t shard);
/* Targets (or labels) that count in these samples: what the loss of all shards is divided by. */
size_t counted_targets(const struct assay_model *m, const struct assay_data *data,
                       const int32_t *order, size_t samples);
const struct assay_input *data_input(const struct assay_data *data, const char *name);

/* ---- workers.c ---- */

struct assay_workers {
    pthread_mutex_t lock;
    pthread_cond_t wake, idle, room; /* a job has come; all are done; a gradient buffer is free */
    size_t threads, started, running, jobs;
    bool closing;
    struct worker *worker;
    const struct assay_trainer *trainer;
    struct job job;
    size_t next;   /* the next shard to be taken */
    size_t failed; /* lowest shard that failed; SIZE_MAX: none */
    char error[512];
    double *loss; /* per shard */
    size_t loss_room;
    struct emitted *emitted; /* per shard of a step */
    struct merge merge;
    /* trainer.c and optimizer.c */
    size_t shard, shards;             /* of a step */
    int32_t *order;                   /* the epoch's permutation */
    size_t epoch;                     /* that `order` is of; SIZE_MAX: none */
    const struct assay_group **group; /* per entry, or NULL */
    void *sum, *mean;                 /* of the emissions of one buffer */
    tape scratch;                     /* of a paper's optimizer, and its new parameters */
    void *updated;
};

int workers_open(struct assay_workers *p, size_t threads);
void workers_close(struct assay_workers *p);
/* Runs all shards; -1 with p->error, the message of the lowest shard that failed. */
int workers_run(struct assay_workers *p, const struct assay_trainer *t, const struct job *job);
double workers_loss(const struct assay_workers *p,
                    enum assay_profile profile); /* sum in shard order */

/* ---- optimizer.c ---- */

int optimizer_open(struct assay_trainer *t); /* -1 and a message in t->error */
void optimizer_close(struct assay_trainer *t);
double optimizer_norm(const struct assay_trainer *t, const void *gradient);
/* step: 1, 2, ...; -1 and an error of the scratch tape: nothing has changed */
int optimizer_apply(struct assay_trainer *t, const void *gradient, size_t step);
size_t optimizer_bytes(const struct assay_trainer *t);

void optimizer_reset(struct assay_trainer *t); /* states as at opening */
/* Patterns of what is trained; NULL: the phase's. -1 and a message */
int optimizer_choose(struct assay_trainer *t, const char *patterns);

/* ---- stages.c ---- */

int stages_open(struct assay_trainer *t); /* -1 and a message */
void stages_close(struct assay_trainer *t);
/* Before a step: the stage that it is in begins if it hasn't. -1 and a message */
int stages_advance(struct assay_trainer *t);
const struct variant_stage *stage_of(const struct assay_trainer *t); /* NULL: there are none */
/* The schedule now; *first: steps before its first */
struct assay_schedule stages_schedule(const struct assay_trainer *t, size_t *first);
void stages_follow(struct assay_trainer *t); /* the teacher, after a step */

/* ---- buffers.c ---- */

int buffers_ready(struct assay_trainer *t); /* -1: out of memory for buffers_apply */
/* buffer = (keep * buffer) + ((1 - keep) * mean of what the shards emitted). */
void buffers_apply(struct assay_trainer *t);
int emitted_copy(struct emitted *e, const struct assay_kernels *kernels,
                 const struct assay_emission *emission, int count, int room);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* The pool of threads: shards of a job are taken as workers become free, results don't depend on
 * who took what. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ref/train/internal.h"

/* Adds this shard's gradient to what it meets on the way up. */
static void merge_up(struct assay_workers *p, size_t index, void *buffer)
{
    for (size_t level = 0;; level++, index /= 2) {
        pthread_mutex_lock(&p->lock);
        void *sibling = merge_meet(&p->merge, level, index, buffer);
        pthread_mutex_unlock(&p->lock);
        if (!sibling)
            return;
        void *lower = index % 2 ? sibling : buffer, *higher = index % 2 ? buffer : sibling;
        merge_add(&p->merge, lower, higher);
        pthread_mutex_lock(&p->lock);
        merge_release(&p->merge, higher);
        pthread_cond_broadcast(&p->room);
        pthread_mutex_unlock(&p->lock);
        buffer = lower;
    }
}

static void note_failure(struct assay_workers *p, const struct worker *w, size_t shard)
{
    pthread_mutex_lock(&p->lock);
    if (shard < p->failed) {
        p->failed = shard;
        memcpy(p->error, w->error, sizeof p->error);
    }
    pthread_cond_broadcast(&p->room);
    pthread_mutex_unlock(&p->lock);
}

/* The next shard, with a buffer for its gradient; job.shards: no more. */
static size_t take_shard(struct assay_workers *p, struct worker *w)
{
    size_t shard = p->job.shards;
    w->gradient = NULL;
    pthread_mutex_lock(&p->lock);
    while (p->failed == SIZE_MAX && p->next < p->job.shards) {
        if (!p->job.train || (w->gradient = merge_take(&p->merge))) {
            shard = p->next++;
            if (p->next == p->job.shards)
                pthread_cond_broadcast(&p->room);
            break;
        }
        pthread_cond_wait(&p->room, &p->lock);
    }
    pthread_mutex_unlock(&p->lock);
    return shard;
}

/* A worker's first shard is its own number, so that in the first step every tape that will be
 * used is filled. */
static void run_shards(struct assay_workers *p, struct worker *w)
{
    for (size_t shard = w->index; shard < p->job.shards; shard = take_shard(p, w)) {
        if (shard_run(w, p->trainer, &p->job, shard) != 0)
            note_failure(p, w, shard);
        else if (p->job.train)
            merge_up(p, shard, w->gradient);
    }
}

static void *work(void *argument)
{
    struct worker *w = argument;
    struct assay_workers *p = w->pool;
    size_t done = 0;
    assay_environment_restore();
    pthread_mutex_lock(&p->lock);
    for (;;) {
        while (p->jobs == done && !p->closing)
            pthread_cond_wait(&p->wake, &p->lock);
        if (p->closing)
            break;
        done = p->jobs;
        pthread_mutex_unlock(&p->lock);
        run_shards(p, w);
        pthread_mutex_lock(&p->lock);
        if (--p->running == 0)
            pthread_cond_signal(&p->idle);
    }
    pthread_mutex_unlock(&p->lock);
    assay_environment_release();
    return NULL;
}

/* p->trainer is set: the model's kernels and buffers are needed. */
static int worker_open(struct assay_workers *p, struct worker *w, size_t index)
{
    const struct assay_model *m = p->trainer->model;
    w->pool = p;
    w->index = index;
    for (size_t e = 0; e < m->entries; e++)
        w->emission_room += 4 * (m->entry[e].kind == ASSAY_BUFFER);
    if (w->emission_room && !(w->emission = calloc((size_t)w->emission_room, sizeof *w->emission)))
        return -1;
    return tape_open(&w->t, m->kernels);
}

int workers_open(struct assay_workers *p, size_t threads)
{
    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->wake, NULL);
    pthread_cond_init(&p->idle, NULL);
    pthread_cond_init(&p->room, NULL);
    p->worker = calloc(threads, sizeof *p->worker);
    if (!p->worker)
        return -1;
    for (p->threads = 0; p->threads < threads; p->threads++)
        if (worker_open(p, &p->worker[p->threads], p->threads) != 0) {
            p->threads++;
            return -1;
        }
    for (; p->started < threads; p->started++)
        if (pthread_create(&p->worker[p->started].thread, NULL, work, &p->worker[p->started]) != 0)
            return -1;
    return 0;
}

void workers_close(struct assay_workers *p)
{
    pthread_mutex_lock(&p->lock);
    p->closing = true;
    pthread_cond_broadcast(&p->wake);
    pthread_mutex_unlock(&p->lock);
    for (size_t i = 0; i < p->started; i++)
        pthread_join(p->worker[i].thread, NULL);
    for (size_t i = 0; i < p->threads; i++) {
        struct worker *w = &p->worker[i];
        tape_close(&w->t);
        free(w->sample);
        free(w->emission);
        for (int n = 0; n < ASSAY_INPUTS_MAX; n++)
            free(w->rows[n]);
    }
    free(p->worker);
    free(p->loss);
    pthread_mutex_destroy(&p->lock);
    pthread_cond_destroy(&p->wake);
    pthread_cond_destroy(&p->idle);
    pthread_cond_destroy(&p->room);
}

int workers_run(struct assay_workers *p, const struct assay_trainer *t, const struct job *job)
{
    if (job->shards > p->loss_room) {
        free(p->loss);
        p->loss = malloc(job->shards * sizeof *p->loss);
        p->loss_room = p->loss ? job->shards : 0;
        if (!p->loss) {
            snprintf(p->error, sizeof p->error, "out of memory for the losses of %zu shards",
                     job->shards);
            return -1;
        }
    }
    pthread_mutex_lock(&p->lock);
    p->trainer = t;
    p->job = *job;
    p->next = p->threads;
    p->failed = SIZE_MAX;
    merge_reset(&p->merge);
    for (size_t i = 0; i < p->threads; i++) {
        struct worker *w = &p->worker[i];
        w->correct = w->counted = 0;
        w->t.counts.multiply_adds = 0;
        w->gradient = job->train && i < job->shards ? merge_take(&p->merge) : NULL;
    }
    p->running = p->threads;
    p->jobs++;
    pthread_cond_broadcast(&p->wake);
    while (p->running)
        pthread_cond_wait(&p->idle, &p->lock);
    pthread_mutex_unlock(&p->lock);
    return p->failed == SIZE_MAX ? 0 : -1;
}

double workers_loss(const struct assay_workers *p, enum assay_profile profile)
{
    double sum = 0;
    for (size_t i = 0; i < p->job.shards; i++)
        sum = assay_scalar_add(profile, sum, p->loss[i]);
    return sum;
}

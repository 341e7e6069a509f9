/* SPDX-License-Identifier: Apache-2.0 */
/* Loss and accuracy over a data set: the trainer's shards and threads, nothing recorded for a
 * backward pass. */
#include <stdio.h>

#include "ref/train/internal.h"

int trainer_evaluate(struct assay_trainer *t, const struct assay_data *data,
                     struct assay_score *score)
{
    struct assay_workers *p = t->workers;
    *score = (struct assay_score){0};
    t->error[0] = '\0';
    for (int i = 0; i < data->inputs; i++)
        if (data->input[i].shape.rank < 1 || data->input[i].shape.dim[0] != data->count
            || !data->count) {
            snprintf(t->error, sizeof t->error,
                     "evaluation: %s: expected a first axis of %zu samples, at least one",
                     data->input[i].name, data->count);
            return -1;
        }
    size_t counted = counted_targets(t->model, data, NULL, data->count);
    struct job job = {
        .data = data,
        .samples = data->count,
        .shard = p->shard,
        .shards = shard_count(data->count, p->shard),
        .denominator = (double)(counted ? counted : 1),
    };
    if (workers_run(p, t, &job) != 0) {
        snprintf(t->error, sizeof t->error, "evaluation: %.480s", p->error);
        return -1;
    }
    score->loss = workers_loss(p, t->model->kernels->profile);
    for (size_t i = 0; i < p->threads; i++) {
        score->correct += p->worker[i].correct;
        score->count += p->worker[i].counted;
    }
    return 0;
}

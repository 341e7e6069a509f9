/* SPDX-License-Identifier: Apache-2.0 */
/* One shard: its rows of the data, forward, backward, and the checks that no NaN or infinity
 * leaves it. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ref/train/internal.h"

enum { IGNORED = -100 };

size_t shard_count(size_t samples, size_t shard)
{
    return (samples + shard - 1) / shard;
}

const struct assay_input *data_input(const struct assay_data *data, const char *name)
{
    for (int i = 0; i < data->inputs; i++)
        if (strcmp(data->input[i].name, name) == 0)
            return &data->input[i];
    return NULL;
}

static const struct assay_input *target_input(const struct assay_model *m,
                                              const struct assay_data *data)
{
    return data_input(data, m->config.head == HEAD_LANGUAGE ? "target" : "label");
}

/* Elements per sample; real inputs are binary32, so both types have 4 bytes. */
static size_t row_elements(const struct assay_input *in)
{
    return in->shape.dim[0] ? shape_elements(in->shape) / in->shape.dim[0] : 0;
}

size_t counted_targets(const struct assay_model *m, const struct assay_data *data,
                       const int32_t *order, size_t samples)
{
    const struct assay_input *in = target_input(m, data);
    if (m->config.head != HEAD_LANGUAGE || !in || in->type != ASSAY_I32 || !in->data)
        return samples;
    const int32_t *target = in->data;
    size_t row = row_elements(in), counted = 0;
    for (size_t s = 0; s < samples; s++)
        for (size_t j = 0; j < row; j++)
            counted += target[(order ? (size_t)order[s] : s) * row + j] != IGNORED;
    return counted;
}

static bool grow(void **memory, size_t *room, size_t bytes)
{
    if (bytes <= *room)
        return true;
    free(*memory);
    *memory = malloc(bytes);
    *room = *memory ? bytes : 0;
    return *memory != NULL;
}

/* Copies the shard's rows together. */
static bool gather(struct worker *w, const struct job *job, size_t first, size_t samples,
                   struct assay_batch *batch)
{
    if (!grow((void **)&w->sample, &w->sample_room, samples * sizeof *w->sample))
        return false;
    for (size_t s = 0; s < samples; s++)
        w->sample[s] = (uint32_t)(first + s);
    batch->inputs = job->data->inputs;
    for (int i = 0; i < batch->inputs; i++) {
        const struct assay_input *from = &job->data->input[i];
        struct assay_input *to = &batch->input[i];
        *to = *from;
        to->shape.dim[0] = samples;
        if (!from->data)
            continue;
        size_t row = row_elements(from) * sizeof(int32_t);
        if (!grow(&w->rows[i], &w->row_room[i], samples * row + 1))
            return false;
        for (size_t s = 0; s < samples; s++) {
            size_t at = job->order ? (size_t)job->order[first + s] : first + s;
            memcpy((char *)w->rows[i] + s * row, (const char *)from->data + at * row, row);
        }
        to->data = w->rows[i];
    }
    return true;
}

/* Rows whose largest logit (lowest index among equals) is at the target. */
static void score(struct worker *w, tensor logits, const int32_t *target)
{
    const struct assay_kernels *k = w->t.kernels;
    size_t rows = rows_of(logits), classes = width_of(logits);
    int32_t *best = tape_allocate(&w->t, rows * sizeof *best);
    void *largest = tape_allocate(&w->t, rows * k->element);
    if (!best || !largest || !classes || !target)
        return;
    k->max(rows, classes, 1, logits->data, largest, best);
    for (size_t r = 0; r < rows; r++) {
        w->counted += target[r] != IGNORED;
        w->correct += target[r] == best[r];
    }
}

static const struct assay_entry *entry_at(const struct assay_model *m, size_t offset)
{
    for (size_t i = 0; i < m->entries; i++)
        if (m->entry[i].kind == ASSAY_PARAMETER
            && offset - m->entry[i].offset < m->entry[i].elements)
            return &m->entry[i];
    return NULL;
}

static const char *element_text(struct assay_shape shape, size_t at, char text[96])
{
    struct assay_shape index = shape;
    for (int i = shape.rank; i-- > 0; at /= shape.dim[i])
        index.dim[i] = at % shape.dim[i];
    return shape_text(index, text);
}

/* The first op, walking backward, the gradient of whose output is not finite; `used_by`: an op
 * that reads that output. */
static const char *first_bad_op(const tape *t, const char **used_by)
{
    for (size_t i = t->nodes; i-- > 0;) {
        tensor x = t->node[i];
        size_t n = elements_of(x);
        if (x->type != ASSAY_REAL || !x->gradient
            || t->kernels->first_nonfinite(n, x->gradient) == n)
            continue;
        for (size_t j = i + 1; j < t->nodes; j++)
            for (int k = 0; k < t->node[j]->inputs; k++)
                if (t->node[j]->input[k] == x)
                    *used_by = t->node[j]->op->name;
        return x->op->name;
    }
    return NULL;
}

static bool finite_gradient(struct worker *w, const struct assay_model *m)
{
    size_t n = m->elements[ASSAY_PARAMETER], at = m->kernels->first_nonfinite(n, w->gradient);
    if (at >= n)
        return true;
    const struct assay_entry *e = entry_at(m, at);
    char index[96], shape[96];
    double value;
    m->kernels->to_f64(1, (const char *)w->gradient + at * m->kernels->element, &value);
    int used = snprintf(w->error, sizeof w->error,
                        "gradient of %s: expected finite values, got %g at %s of %s",
                        e ? e->name : "?", isnan(value) ? (double)NAN : value,
                        e ? element_text(e->shape, at - e->offset, index) : "?",
                        e ? shape_text(e->shape, shape) : "?");
    const char *used_by = "the loss", *op = first_bad_op(&w->t, &used_by);
    if (op && used > 0 && (size_t)used < sizeof w->error)
        snprintf(w->error + used, sizeof w->error - (size_t)used,
                 "; seen first where %s uses the output of %s", used_by, op);
    return false;
}

static int failed(struct worker *w, const char *message)
{
    snprintf(w->error, sizeof w->error, "%s", message);
    return -1;
}

/* The pass of this shard: its keys of draws, where its gradients and emissions go. */
static struct assay_pass pass_of(struct worker *w, const struct assay_trainer *t,
                                 const struct job *job, const struct assay_batch *batch)
{
    tape_reset(&w->t);
    w->t.recording = job->train;
    w->t.seed = t->seed;
    w->t.step = t->step;
    w->t.sample = w->sample;
    w->t.samples = batch->inputs ? batch->input[0].shape.dim[0] : 0;
    if (job->train) /* zero bits are +0 in both profiles */
        memset(w->gradient, 0, t->model->elements[ASSAY_PARAMETER] * t->model->kernels->element);
    const struct variant_stage *stage = stage_of(t);
    return (struct assay_pass){
        .model = t->model,
        .t = &w->t,
        .batch = batch,
        .teacher = stage && stage->teacher != TEACHER_NONE
                       ? (struct assay_model *)(uintptr_t)&t->teacher
                       : NULL,
        .trainable = t->trainable,
        .train = job->train,
        .progress = t->phase->steps ? (double)t->step / (double)t->phase->steps : 0,
        .denominator = job->denominator,
        .gradients = job->train ? w->gradient : NULL,
        .emission = job->train ? w->emission : NULL,
        .emission_room = w->emission_room,
    };
}

/* Without logits where it is not the model's own. */
static tensor loss_of(const struct assay_trainer *t, struct assay_pass *pass, tensor *logits)
{
    const struct variant_stage *stage = stage_of(t);
    if (pass->train && t->phase->objective)
        return t->phase->objective(pass, t->phase->context);
    if (pass->train && stage && stage->objective)
        return stage->objective(pass);
    return model_loss(pass, logits);
}

int shard_run(struct worker *w, const struct assay_trainer *t, const struct job *job, size_t i)
{
    size_t first = i * job->shard,
           samples = job->samples - first < job->shard ? job->samples - first : job->shard;
    struct assay_batch batch = {0};
    if (!gather(w, job, first, samples, &batch))
        return failed(w, "out of memory for a shard's rows");
    struct assay_pass pass = pass_of(w, t, job, &batch);
    tensor logits = TENSOR_NONE;
    tensor loss = loss_of(t, &pass, &logits);
    if (!tape_error(&w->t) && elements_of(loss) != 1)
        return failed(w, "objective: expected a loss of one element");
    if (job->train)
        tape_backward(&w->t, loss);
    for (int n = 0; n < batch.inputs; n++)
        if (logits && &job->data->input[n] == target_input(t->model, job->data))
            score(w, logits, batch.input[n].data);
    if (tape_error(&w->t))
        return failed(w, tape_error(&w->t));
    if (job->train && !finite_gradient(w, t->model))
        return -1;
    tensor_read(&w->t, loss, &w->pool->loss[i]);
    if (job->train
        && emitted_copy(&w->pool->emitted[i], w->t.kernels, pass.emission, pass.emissions,
                        w->emission_room)
               != 0)
        return failed(w, "out of memory for buffer updates");
    return 0;
}

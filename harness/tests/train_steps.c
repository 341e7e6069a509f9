/* SPDX-License-Identifier: Apache-2.0 */
/* Training: a step against an independent one, with one tape per shard and plain loops in binary32:
 * the order of the merge, and both optimizers bit by bit. */
#include "harness/tests/train_kit.h"

#include <math.h>

static const struct assay_optimizer plain_sgd = {.rule = OPTIMIZER_SGD, .eps = 1};

/* The rows of step `step` by the definition of the order. */
static void rows_of_step(size_t count, size_t batch, uint64_t seed, size_t step, int32_t *rows)
{
    int32_t order[SAMPLES];
    char name[32];
    struct assay_rng rng;
    size_t batches = count / batch;
    snprintf(name, sizeof name, "order.%zu", step / batches);
    assay_rng_named(&rng, seed, name);
    assay_rng_permutation(&rng, (int32_t)count, order);
    memcpy(rows, order + (step % batches) * batch, batch * sizeof *rows);
}

/* gradient: [elements], of `samples` rows from `from` on within the step's batch of `batch`. */
static double shard_gradient(struct assay_model *m, uint64_t seed, size_t step, const int32_t *rows,
                             size_t from, size_t samples, size_t batch, float *gradient)
{
    int32_t own_ids[SAMPLES * LENGTH], own_label[SAMPLES];
    uint32_t index[SAMPLES];
    for (size_t s = 0; s < samples; s++) {
        memcpy(own_ids + s * LENGTH, ids + rows[from + s] * LENGTH, LENGTH * sizeof *ids);
        own_label[s] = label[rows[from + s]];
        index[s] = (uint32_t)(from + s);
    }
    struct assay_batch b = {2,
                            {{"ids", ASSAY_I32, SHAPE(samples, LENGTH), own_ids},
                             {"label", ASSAY_I32, SHAPE(samples), own_label}}};
    tape t;
    tape_open(&t, m->kernels);
    t.seed = seed;
    t.step = step;
    t.sample = index;
    t.samples = samples;
    memset(gradient, 0, m->elements[ASSAY_PARAMETER] * sizeof *gradient);
    struct assay_pass pass = {.model = m,
                              .t = &t,
                              .batch = &b,
                              .gradients = gradient,
                              .train = true,
                              .denominator = (double)batch};
    tensor loss = model_loss(&pass, NULL);
    tape_backward(&t, loss);
    double value = NAN;
    if (tape_error(&t))
        diag("%s", tape_error(&t));
    else
        tensor_read(&t, loss, &value);
    tape_close(&t);
    return value;
}

/* A binary counter written as one: a stack of (size, sum), equal sizes are added as they meet. */
static float *merged_serially(struct assay_model *m, uint64_t seed, const int32_t *rows,
                              size_t shards, size_t shard, size_t batch, float *loss)
{
    size_t n = m->elements[ASSAY_PARAMETER], weight[16] = {0};
    float *stack[16];
    int depth = 0;
    *loss = 0;
    for (size_t i = 0; i < shards; i++) {
        size_t left = batch - i * shard;
        float *top = malloc((n + 1) * sizeof *top);
        *loss += (float)shard_gradient(m, seed, 0, rows, i * shard, left < shard ? left : shard,
                                       batch, top);
        stack[depth] = top;
        for (weight[depth++] = 1; depth > 1 && weight[depth - 1] == weight[depth - 2]; depth--) {
            for (size_t j = 0; j < n; j++)
                stack[depth - 2][j] = stack[depth - 2][j] + stack[depth - 1][j];
            weight[depth - 2] *= 2;
            free(stack[depth - 1]);
        }
    }
    for (; depth > 1; depth--) {
        for (size_t j = 0; j < n; j++)
            stack[depth - 2][j] = stack[depth - 2][j] + stack[depth - 1][j];
        free(stack[depth - 1]);
    }
    return stack[0];
}

/* Without momentum and decay SGD's velocity after one step is the merged gradient (plus +0). */
static void merge_order(void)
{
    bool holds = true, losses = true;
    for (size_t shards = 1; shards <= 13; shards++) {
        size_t shard = shards % 2 ? 2 : 3, batch = shards * shard - (shards > 1);
        struct assay_data data = samples_data(SAMPLES);
        struct assay_model m = make_model(assay_kernels_def(ASSAY_F32), NULL, tiny, 7);
        struct assay_phase phase = make_phase(&data);
        phase.batch = batch;
        phase.shard = shard;
        phase.optimizer = plain_sgd;
        int32_t rows[SAMPLES];
        float loss;
        rows_of_step(SAMPLES, batch, 5, 0, rows);
        float *expected = merged_serially(&m, 5, rows, shards, shard, batch, &loss);
        struct assay_trainer t;
        holds &= open_or_say(&t, &m, &phase, 5, 1 + shards % 4) && run_steps(&t, 1);
        for (size_t j = 0; holds && j < m.elements[ASSAY_PARAMETER]; j++)
            holds = ((float *)t.first)[j] == expected[j];
        losses &= (float)t.loss == loss;
        free(expected);
        trainer_close(&t);
        model_close(&m);
    }
    ok(holds, "merge: 1 to 13 shards give the bits of a serial binary counter");
    ok(losses, "loss: the shards' losses are added in shard order");
}

static float lanes_of_squares(size_t n, const float *x)
{
    float lane[16] = {0};
    for (size_t i = 0; i < n; i++)
        lane[i % 16] += x[i] * x[i];
    for (int half = 8; half; half /= 2)
        for (int i = 0; i < half; i++)
            lane[i] += lane[i + half];
    return lane[0];
}

static float integer_power(float base, size_t n)
{
    float result = 1;
    for (; n; n /= 2, base *= base)
        result = n % 2 ? result * base : result;
    return result;
}

/* One optimizer's step in plain binary32, elements of "head.*" in a group of rate 0.5 and decay
 * 0, the rest rate 2, decay 3. */
static void step_by_hand(const struct assay_model *m, const struct assay_phase *phase, size_t step,
                         float *g, float *first, float *second, float *average, float *x,
                         float *norm_out)
{
    const struct assay_optimizer *o = &phase->optimizer;
    float sum = 0, clip = (float)o->clip, beta1 = (float)o->beta1, beta2 = (float)o->beta2,
          ema = (float)phase->ema;
    for (size_t i = 0; i < m->entries; i++)
        if (m->entry[i].kind == ASSAY_PARAMETER)
            sum += lanes_of_squares(m->entry[i].elements, g + m->entry[i].offset);
    float norm = *norm_out = sqrtf(sum), factor = clip > 0 && norm > clip ? clip / norm : 1;
    float correction1 = 1 - integer_power(beta1, step),
          correction2 = 1 - integer_power(beta2, step);
    for (size_t i = 0; i < m->entries; i++) {
        const struct assay_entry *e = &m->entry[i];
        bool head = strncmp(e->name, "head.", 5) == 0;
        float rate = (float)schedule_rate(&phase->schedule, step) * (head ? 0.5f : 2.0f),
              decay = (float)o->decay * (head ? 0.0f : 3.0f);
        for (size_t j = e->offset; e->kind == ASSAY_PARAMETER && j < e->offset + e->elements; j++) {
            float d = factor == 1 ? g[j] : g[j] * factor;
            if (o->rule == OPTIMIZER_ADAMW) {
                first[j] = beta1 * first[j] + (1 - beta1) * d;
                second[j] = beta2 * second[j] + (1 - beta2) * (d * d);
                float move =
                    first[j] / correction1 / (sqrtf(second[j] / correction2) + (float)o->eps);
                x[j] = x[j] - rate * decay * x[j] - rate * move;
            } else {
                first[j] = (float)o->momentum * first[j] + (d + decay * x[j]);
                x[j] = x[j] - rate * first[j];
            }
            average[j] = ema * average[j] + (1 - ema) * x[j];
        }
    }
}

static void against_plain_loops(const struct assay_optimizer *optimizer, const char *name)
{
    enum { STEPS = 6, BATCH = 12 };
    static const struct assay_group groups[] = {
        {"head.*", 0.5, 0}, {"*", 2, 3}, {"head.*", 9, 9}, {NULL, 0, 0}};
    struct assay_data data = samples_data(SAMPLES);
    struct assay_model m = make_model(assay_kernels_def(ASSAY_F32), NULL, tiny, 7),
                       own = make_model(assay_kernels_def(ASSAY_F32), NULL, tiny, 7);
    struct assay_phase phase = make_phase(&data);
    phase.optimizer = *optimizer;
    phase.groups = groups;
    phase.shard = BATCH;
    phase.ema = 0.75;
    size_t n = m.elements[ASSAY_PARAMETER];
    float *room = calloc(4 * n + 4, sizeof *room), *g = room, *first = room + n,
          *second = room + 2 * n, *average = room + 3 * n;
    memcpy(average, own.data[ASSAY_PARAMETER], n * sizeof *average);
    struct assay_trainer t;
    bool holds = open_or_say(&t, &m, &phase, 5, 2), clipped = false, norms = true;
    for (size_t step = 0; holds && step < STEPS; step++) {
        int32_t rows[SAMPLES];
        float norm;
        rows_of_step(SAMPLES, BATCH, 5, step, rows);
        shard_gradient(&own, 5, step, rows, 0, BATCH, BATCH, g);
        step_by_hand(&own, &phase, step + 1, g, first, second, average, own.data[ASSAY_PARAMETER],
                     &norm);
        holds =
            run_steps(&t, 1)
            && memcmp(m.data[ASSAY_PARAMETER], own.data[ASSAY_PARAMETER], n * sizeof(float)) == 0
            && memcmp(t.average, average, n * sizeof(float)) == 0;
        norms &= (float)t.gradient_norm == norm;
        clipped |= optimizer->clip > 0 && t.gradient_norm > optimizer->clip;
    }
    ok(holds,
       "%s: parameters and their average are those of plain loops, bit by bit, over two epochs, "
       "with groups",
       name);
    ok(norms && clipped == (optimizer->clip > 0), "%s: the gradient's norm too; %s", name,
       clipped ? "clipping took place" : "nothing is clipped");
    trainer_close(&t);
    model_close(&m);
    model_close(&own);
    free(room);
}

int main(void)
{
    struct assay_optimizer momentum = {.rule = OPTIMIZER_SGD,
                                       .momentum = 0.9,
                                       .decay = 0.01,
                                       .clip = 0.5},
                           unclipped = adamw;
    unclipped.clip = 0;
    make_samples();
    merge_order();
    against_plain_loops(&adamw, "AdamW");
    against_plain_loops(&unclipped, "AdamW without clipping");
    against_plain_loops(&momentum, "SGD with momentum");
    return done_testing();
}

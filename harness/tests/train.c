/* SPDX-License-Identifier: Apache-2.0 */
/* Training: schedules, optimizers, the order of the merge, and that workers, tables and
 * interruptions don't show in the bits. */
#include "ref/train.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "harness/tests/tap.h"
#include "ref/rng.h"
#include "ref/variant.h"

#if defined(__GLIBC__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define COUNTS_ALLOCATIONS 1
void *__libc_malloc(size_t);
void *__libc_calloc(size_t, size_t);
void *__libc_realloc(void *, size_t);
void *__libc_memalign(size_t, size_t);
static size_t allocations;
static void *counted(void *p)
{
    __atomic_add_fetch(&allocations, 1, __ATOMIC_RELAXED);
    return p;
}
void *malloc(size_t n)
{
    return counted(__libc_malloc(n));
}
void *calloc(size_t n, size_t size)
{
    return counted(__libc_calloc(n, size));
}
void *realloc(void *p, size_t n)
{
    return counted(__libc_realloc(p, n));
}
void *aligned_alloc(size_t alignment, size_t n)
{
    return counted(__libc_memalign(alignment, n));
}
#endif

enum { SAMPLES = 40, LENGTH = 8, CLASSES = 3 };
static const char tiny[] =
    "preset=pre_ln vocab=11 length=8 width=8 heads=2 hidden=12 layers=2 classes=3 dropout=0.1 "
    "weight_deviation=0.3 embed_deviation=1";

/* A task that can be learnt: the class is the first token's remainder. */
static int32_t ids[SAMPLES * LENGTH], label[SAMPLES], target[SAMPLES * LENGTH];

static void make_samples(void)
{
    struct assay_rng rng;
    assay_rng_named(&rng, 1, "samples");
    for (int s = 0; s < SAMPLES; s++) {
        for (int i = 0; i < LENGTH; i++) {
            ids[s * LENGTH + i] = i >= 6 && s % 5 == 0 ? 0 : 1 + (int32_t)assay_rng_below(&rng, 10);
            target[s * LENGTH + i] = s % 4 == 0 || i % 3 == 0 ? -100 : ids[s * LENGTH + i];
        }
        label[s] = ids[s * LENGTH] % CLASSES;
    }
}

static struct assay_data samples_data(size_t count)
{
    return (struct assay_data){
        count,
        2,
        {{"ids", ASSAY_I32, SHAPE(count, LENGTH), ids}, {"label", ASSAY_I32, SHAPE(count), label}}};
}

static struct assay_model make_model(const struct assay_kernels *kernels,
                                     const struct assay_variant *variant, const char *settings,
                                     uint64_t seed)
{
    struct assay_model m = {0};
    struct assay_config c;
    char error[512] = "";
    struct assay_batch batch = {
        2, {{"ids", ASSAY_I32, SHAPE(2, LENGTH), NULL}, {"label", ASSAY_I32, SHAPE(2), NULL}}};
    if (config_make(&c, variant, settings, error, sizeof error) != 0
        || model_open(&m, kernels, variant, &c, &batch, seed, error, sizeof error) != 0)
        diag("model: %s", error);
    return m;
}

static const struct assay_optimizer adamw = {
    .rule = OPTIMIZER_ADAMW, .beta1 = 0.9, .beta2 = 0.98, .eps = 1e-9, .decay = 0.1, .clip = 1};
static const struct assay_optimizer plain_sgd = {.rule = OPTIMIZER_SGD, .eps = 1};

static struct assay_phase make_phase(const struct assay_data *data)
{
    return (struct assay_phase){
        .name = "main",
        .data = data,
        .optimizer = adamw,
        .schedule = {SCHEDULE_COSINE, 0.02, 3, 20},
        .steps = 20,
        .batch = 12,
        .shard = 1,
    };
}

static size_t state_bytes(const struct assay_model *m)
{
    return m->elements[ASSAY_PARAMETER] * m->kernels->element;
}

static bool run_steps(struct assay_trainer *t, size_t steps)
{
    for (size_t i = 0; i < steps; i++)
        if (trainer_step(t) != 0) {
            diag("%s", t->error);
            return false;
        }
    return true;
}

static bool open_or_say(struct assay_trainer *t, struct assay_model *m,
                        const struct assay_phase *phase, uint64_t seed, size_t threads)
{
    if (trainer_open(t, m, phase, seed, threads) == 0)
        return true;
    diag("%s", t->error);
    return false;
}

/* Everything that a run leaves behind, as bytes. */
struct outcome {
    unsigned char *bytes;
    size_t size;
    double loss;
};

static void keep_bytes(struct outcome *o, const void *from, size_t size)
{
    if (!from)
        return;
    o->bytes = realloc(o->bytes, o->size + size + 1);
    memcpy(o->bytes + o->size, from, size);
    o->size += size;
}

static struct outcome outcome_of(const struct assay_trainer *t)
{
    const struct assay_model *m = t->model;
    struct outcome o = {.loss = t->loss};
    keep_bytes(&o, m->data[ASSAY_PARAMETER], state_bytes(m));
    keep_bytes(&o, m->data[ASSAY_BUFFER], m->elements[ASSAY_BUFFER] * m->kernels->element);
    keep_bytes(&o, t->first, state_bytes(m));
    keep_bytes(&o, t->second, state_bytes(m));
    keep_bytes(&o, t->average, state_bytes(m));
    keep_bytes(&o, &t->loss, sizeof t->loss);
    return o;
}

static bool same_outcome(const struct outcome *a, const struct outcome *b)
{
    return a->size > sizeof(double) && a->size == b->size
           && memcmp(a->bytes, b->bytes, a->size) == 0;
}

/* ---- schedules ---- */

static void schedules(void)
{
    struct assay_schedule listops = {SCHEDULE_INVERSE_SQRT, 0.05, 1000, 5000},
                          text = {SCHEDULE_INVERSE_SQRT, 0.05, 8000, 20000};
    double top = schedule_rate(&listops, 1000);
    /* The claim gives five and four digits: half a unit of the last one. */
    ok(fabs(top - 1.5811e-3) <= 5e-8,
       "inverse square root: the rate at the end of the warm-up of 1000 is 1.5811e-3 (%.9g)", top);
    ok(schedule_rate(&listops, 500) == top / 2,
       "... at half of the warm-up it is half of that, exactly");
    ok(schedule_rate(&listops, 4000) == top / 2,
       "... at four times the warm-up it is half of that, exactly");
    ok(fabs(schedule_rate(&text, 8000) - 5.590e-4) <= 5e-8,
       "... with warm-up 8000 it peaks at 5.590e-4 (%.9g)", schedule_rate(&text, 8000));
    struct assay_schedule cosine = {SCHEDULE_COSINE, 0.001, 312, 1000};
    double base = (double)0.001f;
    ok(schedule_rate(&cosine, 312) == base,
       "cosine: the rate at the end of the warm-up is the base");
    /* pi is rounded by 2^-25 of itself, the sum and the product by 2^-24: 2^-22 covers them. */
    ok(fabs(schedule_rate(&cosine, 812) - base / 2) <= base * 0x1p-22,
       "... half a period later it is half of the base");
    ok(schedule_rate(&cosine, 1311) < base * 1e-4 && schedule_rate(&cosine, 1312) == base,
       "... it falls to nearly 0 and starts again after a period");
    struct assay_schedule linear = {SCHEDULE_LINEAR, 0.5, 4, 12},
                          constant = {SCHEDULE_CONSTANT, 0.5, 4, 12};
    ok(schedule_rate(&linear, 1) == 0.125 && schedule_rate(&linear, 4) == 0.5
           && schedule_rate(&linear, 8) == 0.25 && schedule_rate(&linear, 12) == 0
           && schedule_rate(&linear, 13) == 0,
       "linear: up over the warm-up, down to 0 at the last step");
    ok(schedule_rate(&constant, 2) == 0.25 && schedule_rate(&constant, 400) == 0.5,
       "constant: up over the warm-up, then the base");
    constant.warmup = 0;
    ok(schedule_rate(&constant, 1) == 0.5, "a warm-up of 0 is none");
}

static void default_shards(void)
{
    static const struct {
        size_t batch, length, shard;
    } expected[] = {
        {32, 512, 1}, {32, 511, 4}, {64, 16, 8}, {63, 16, 8}, {57, 16, 8},
        {56, 16, 4},  {16, 16, 2},  {8, 16, 1},  {3, 16, 1},
    };
    bool holds = true;
    for (size_t i = 0; i < sizeof expected / sizeof *expected; i++) {
        struct assay_phase phase = {.batch = expected[i].batch};
        holds &= phase_shard(&phase, expected[i].length) == expected[i].shard;
    }
    struct assay_phase fixed = {.batch = 32, .shard = 3};
    ok(holds && phase_shard(&fixed, 4000) == 3, "default shards: 1 sample from length 512 on, else "
                                                "the largest of 1, 2, 4, 8 that leaves 8 shards");
}

/* ---- an independent step: one tape per shard, plain loops in binary32 ---- */

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

/* ---- what must not show in the bits ---- */

/* Every residual keeps a running mean of its update in a buffer, and counts passes in another
 * (keep 0). */
static tensor counting_residual(layer *l, tensor x, tensor y)
{
    size_t width = width_of(x);
    tensor mean = buffer(l, "mean", SHAPE(width), init_zeros());
    tensor ticks = buffer(l, "ticks", SHAPE(1), init_constant(2));
    tensor flat = reshape(l->t, y, SHAPE(rows_of(y), width));
    buffer_emit(l, "mean", reshape(l->t, mean_over(l->t, flat, 0), SHAPE(width)), 0.9);
    buffer_emit(l, "ticks", offset(l->t, ticks, 1), 0);
    return add(l->t, add(l->t, x, y), scale(l->t, mean, 0.5));
}
static const struct assay_variant counting = {.id = "counting",
                                              .slot = {.residual = counting_residual}};

static struct outcome trained(const struct assay_kernels *kernels, size_t threads, size_t shard,
                              size_t stop)
{
    struct assay_data data = samples_data(SAMPLES);
    struct assay_model m = make_model(kernels, &counting, tiny, 3);
    struct assay_phase phase = make_phase(&data);
    phase.ema = 0.9;
    phase.shard = shard;
    struct assay_trainer t;
    struct outcome o = {0};
    size_t steps = 10;
    bool holds = open_or_say(&t, &m, &phase, 11, threads) && run_steps(&t, stop ? stop : steps);
    if (holds && stop) {
        struct assay_model other = make_model(kernels, &counting, tiny, 99);
        struct assay_trainer later;
        holds = open_or_say(&later, &other, &phase, 11, threads);
        for (int kind = 0; kind < ASSAY_KINDS; kind++)
            memcpy(other.data[kind], m.data[kind], m.elements[kind] * kernels->element);
        memcpy(later.first, t.first, state_bytes(&m));
        memcpy(later.second, t.second, state_bytes(&m));
        memcpy(later.average, t.average, state_bytes(&m));
        later.step = t.step;
        holds = holds && run_steps(&later, steps - stop);
        o = outcome_of(&later);
        trainer_close(&later);
        model_close(&other);
    } else if (holds) {
        o = outcome_of(&t);
    }
    trainer_close(&t);
    model_close(&m);
    return o;
}

static void hidden_in_the_bits(enum assay_profile profile)
{
    const struct assay_kernels *def = assay_kernels_def(profile),
                               *cpu = assay_kernels_cpu(profile, NULL);
    struct outcome one = trained(def, 1, 1, 0);
    static const size_t threads[] = {2, 3, 8, 20};
    bool holds = true;
    for (size_t i = 0; i < sizeof threads / sizeof *threads; i++) {
        struct outcome other = trained(def, threads[i], 1, 0);
        holds &= same_outcome(&one, &other);
        free(other.bytes);
    }
    ok(holds,
       "binary%d: 1, 2, 3, 8 and 20 threads end in the same bits: parameters, buffers, optimizer, "
       "average, loss",
       (int)profile);
    struct outcome fast = trained(cpu, 3, 1, 0);
    ok(same_outcome(&one, &fast), "binary%d: so do the tables def and cpu", (int)profile);
    holds = true;
    for (size_t stop = 1; stop < 10; stop += 2) {
        struct outcome resumed = trained(def, 2, 1, stop);
        holds &= same_outcome(&one, &resumed);
        free(resumed.bytes);
    }
    ok(holds, "binary%d: so does a run that is stopped and continued by a fresh trainer",
       (int)profile);
    struct outcome cut = trained(def, 2, 5, 0);
    ok(cut.size == one.size && !same_outcome(&one, &cut),
       "binary%d: another cut into shards is another definition, and differs", (int)profile);
    free(one.bytes);
    free(fast.bytes);
    free(cut.bytes);
}

static void draws_ignore_shards(void)
{
    double loss[2];
    static const size_t shard[2] = {1, 4};
    for (int i = 0; i < 2; i++) {
        struct assay_data data = samples_data(SAMPLES);
        struct assay_model m = make_model(assay_kernels_def(ASSAY_F32), NULL, tiny, 3);
        struct assay_phase phase = make_phase(&data);
        phase.shard = shard[i];
        struct assay_trainer t;
        loss[i] = open_or_say(&t, &m, &phase, 11, 2) && run_steps(&t, 1) ? t.loss : NAN;
        trainer_close(&t);
        model_close(&m);
    }
    /* The mean of 12 positive losses: one division and fewer than 12 additions each way, 2^-24 of
     * the sum apiece. */
    ok(fabs(loss[0] - loss[1]) <= 2 * 13 * 0x1p-24 * loss[0],
       "draws: a sample's dropout does not depend on how the batch is cut");
}

static void buffers_move(void)
{
    struct assay_data data = samples_data(SAMPLES);
    struct assay_model m = make_model(assay_kernels_def(ASSAY_F32), &counting, tiny, 3);
    struct assay_phase phase = make_phase(&data);
    struct assay_trainer t;
    bool holds = open_or_say(&t, &m, &phase, 11, 3) && run_steps(&t, 4);
    const struct assay_entry *ticks = model_find(&m, "block.1.ticks"),
                             *mean = model_find(&m, "block.0.mean");
    double count = 0, values[8] = {0};
    if (holds && ticks && mean) {
        model_read(&m, ticks, &count);
        model_read(&m, mean, values);
    }
    ok(count == 6,
       "buffers: a counter ticks once per step, however many shards and passes there are (%g)",
       count);
    ok(values[0] != 0 && isfinite(values[0]), "buffers: a running mean moves");
    trainer_close(&t);
    model_close(&m);
}

/* ---- phases ---- */

static bool entries_differ(const struct assay_model *m, const unsigned char *before,
                           const char *prefix, bool differ)
{
    bool holds = true;
    for (size_t i = 0; i < m->entries; i++) {
        const struct assay_entry *e = &m->entry[i];
        if (e->kind != ASSAY_PARAMETER || (strncmp(e->name, prefix, strlen(prefix)) == 0) != differ)
            continue;
        bool moved = memcmp(entry_data(m, e), before + e->offset * m->kernels->element,
                            e->elements * m->kernels->element)
                     != 0;
        holds &= moved == differ;
    }
    return holds;
}

static void two_phases(void)
{
    struct assay_data data = samples_data(SAMPLES);
    struct assay_model m = make_model(assay_kernels_def(ASSAY_F32), NULL, tiny, 3);
    struct assay_phase first = make_phase(&data), second = make_phase(&data);
    first.trainable = "head.*";
    first.ema = 0.9;
    second.trainable = "embed.* block.* final.*";
    size_t bytes = state_bytes(&m);
    unsigned char *before = malloc(bytes + 1);
    struct assay_trainer t;
    memcpy(before, m.data[ASSAY_PARAMETER], bytes);
    bool holds = open_or_say(&t, &m, &first, 1, 2) && run_steps(&t, 3);
    ok(holds && entries_differ(&m, before, "head.", true)
           && entries_differ(&m, before, "head.", false),
       "phases: training the head alone moves all of it and leaves the rest as it was, bit by bit, "
       "decay included");
    double zero = 1;
    const struct assay_entry *frozen = model_find(&m, "block.0.ffn.in.weight");
    bool quiet = frozen
                 && memcmp((char *)t.average + frozen->offset * 4, before + frozen->offset * 4,
                           frozen->elements * 4)
                        == 0;
    for (size_t j = 0; frozen && j < frozen->elements; j++) {
        m.kernels->to_f64(1, (char *)t.first + (frozen->offset + j) * 4, &zero);
        quiet &= zero == 0;
    }
    ok(quiet, "phases: nor do optimizer state and average of what is frozen move");
    trainer_close(&t);
    memcpy(before, m.data[ASSAY_PARAMETER], bytes);
    holds = open_or_say(&t, &m, &second, 1, 2) && run_steps(&t, 3);
    size_t head = 0;
    for (size_t i = 0; i < m.entries; i++)
        head += strncmp(m.entry[i].name, "head.", 5) == 0
                && memcmp(entry_data(&m, &m.entry[i]), before + m.entry[i].offset * 4,
                          m.entry[i].elements * 4)
                       != 0;
    ok(holds && head == 0 && memcmp(before, m.data[ASSAY_PARAMETER], bytes) != 0,
       "phases: the second one trains the rest and leaves the head");
    trainer_close(&t);
    model_close(&m);
    free(before);
}

static void learning(void)
{
    struct assay_data data = samples_data(SAMPLES);
    struct assay_model m = make_model(assay_kernels_cpu(ASSAY_F32, NULL), NULL, tiny, 3);
    struct assay_phase phase = make_phase(&data);
    phase.steps = 120;
    phase.schedule = (struct assay_schedule){SCHEDULE_LINEAR, 0.02, 5, 120};
    struct assay_trainer t;
    struct assay_score before = {0}, after = {0}, alone = {0};
    bool holds = open_or_say(&t, &m, &phase, 1, 2) && trainer_evaluate(&t, &data, &before) == 0
                 && run_steps(&t, 120) && trainer_evaluate(&t, &data, &after) == 0;
    ok(holds && after.loss < before.loss / 4 && after.correct >= 38 && after.count == SAMPLES,
       "a task that can be learnt is learnt: loss %.3f to %.3f, %zu of %zu", before.loss,
       after.loss, after.correct, after.count);
    ok(t.counted == 12 && t.correct <= 12 && t.multiply_adds > 0
           && t.peak_bytes > 4 * state_bytes(&m),
       "a step reports hits, operations and memory");
    trainer_close(&t);
    phase.shard = 7;
    holds = open_or_say(&t, &m, &phase, 1, 1) && trainer_evaluate(&t, &data, &alone) == 0;
    trainer_close(&t);
    struct assay_score many = {0};
    holds = holds && open_or_say(&t, &m, &phase, 1, 5) && trainer_evaluate(&t, &data, &many) == 0;
    ok(holds && alone.loss == many.loss && alone.correct == many.correct
           && alone.correct == after.correct,
       "evaluation: the number of threads does not show");
    /* No dropout: the mean of 40 losses, cut differently. */
    ok(fabs(alone.loss - after.loss) <= 2 * 41 * 0x1p-24 * after.loss,
       "evaluation: the last shard may be short, and nothing is dropped");
    trainer_close(&t);
    model_close(&m);
}

/* Language: -100 doesn't count, neither in the loss nor in its denominator. */
static void language_denominator(void)
{
    struct assay_data data = {SAMPLES,
                              2,
                              {{"ids", ASSAY_I32, SHAPE(SAMPLES, LENGTH), ids},
                               {"target", ASSAY_I32, SHAPE(SAMPLES, LENGTH), target}}};
    struct assay_config c;
    struct assay_model m;
    char error[512] = "";
    struct assay_batch shapes = {2,
                                 {{"ids", ASSAY_I32, SHAPE(2, LENGTH), NULL},
                                  {"target", ASSAY_I32, SHAPE(2, LENGTH), NULL}}};
    bool opened =
        config_make(&c, NULL, "preset=llama vocab=11 length=8 width=8 heads=2 hidden=12 layers=1",
                    error, sizeof error)
            == 0
        && model_open(&m, assay_kernels_def(ASSAY_F32), NULL, &c, &shapes, 1, error, sizeof error)
               == 0;
    struct assay_phase phase = make_phase(&data);
    phase.batch = SAMPLES;
    phase.shard = SAMPLES;
    struct assay_trainer t;
    struct assay_score score = {0};
    size_t counted = 0;
    for (size_t i = 0; i < SAMPLES * LENGTH; i++)
        counted += target[i] != -100;
    if (!opened) {
        diag("%s", error);
        return;
    }
    bool holds = open_or_say(&t, &m, &phase, 1, 1) && trainer_evaluate(&t, &data, &score) == 0;
    tape one;
    tape_open(&one, m.kernels);
    struct assay_batch all = {2, {data.input[0], data.input[1]}};
    struct assay_pass pass = {
        .model = &m, .t = &one, .batch = &all, .denominator = (double)counted};
    double loss = NAN;
    tensor_read(&one, model_loss(&pass, NULL), &loss);
    ok(holds && score.count == counted && counted < SAMPLES * LENGTH && score.loss == loss,
       "language: the denominator is the number of targets that count");
    ok(run_steps(&t, 1) && t.counted == counted && fabs(t.loss - loss) <= 0x1p-22 * loss,
       "... in a step as well");
    tape_close(&one);
    trainer_close(&t);
    model_close(&m);
}

/* ---- failures ---- */

/* Finite forward, infinite backward: sqrt at 0. */
static tensor infinite_slope(struct assay_pass *p, void *context)
{
    tensor logits, loss = model_loss(p, &logits);
    (void)context;
    return add(
        p->t, loss,
        reshape(p->t, sum_all(p->t, square_root(p->t, scale(p->t, logits, 0))), SCALAR_SHAPE));
}

static tensor sum_of_rows(struct assay_pass *p, void *context)
{
    tensor logits = model_forward(p);
    (void)context;
    return logits;
}

/* The step fails with all of `parts` in its message, and nothing has changed. */
static void refuses(struct assay_model *m, const struct assay_phase *phase,
                    const char *const *parts, const char *statement)
{
    struct assay_trainer t;
    bool holds = open_or_say(&t, m, phase, 1, 3);
    struct outcome before = outcome_of(&t);
    holds = holds && trainer_step(&t) == -1 && t.step == 0;
    t.loss = before.loss;
    struct outcome after = outcome_of(&t);
    for (; *parts; parts++)
        holds &= strstr(t.error, *parts) != NULL;
    ok(holds && same_outcome(&before, &after), "%s: '%s'", statement, t.error);
    free(before.bytes);
    free(after.bytes);
    trainer_close(&t);
}

static void failures(void)
{
    struct assay_data data = samples_data(SAMPLES);
    struct assay_model m = make_model(assay_kernels_def(ASSAY_F32), NULL, tiny, 3);
    struct assay_phase phase = make_phase(&data), bad = phase;
    bad.objective = infinite_slope;
    refuses(&m, &bad,
            (const char *[]){"main: step 1: ", "gradient of ",
                             "square_root uses the output of scale", " of [", NULL},
            "an infinite gradient names parameter, element and op");
    bad.objective = sum_of_rows;
    refuses(&m, &bad, (const char *[]){"loss", NULL}, "a loss that is no number is refused");
    const struct assay_entry *e = model_find(&m, "block.1.ffn.in.weight");
    float *weight = entry_data(&m, e), kept = weight[5];
    weight[5] = INFINITY;
    refuses(&m, &phase, (const char *[]){"main: step 1: ", "block.1.ffn.in", "linear", "[", NULL},
            "an infinity names layer, op and element");
    weight[5] = kept;
    model_close(&m);
}

static void cannot_open(const struct assay_phase *phase, size_t threads, const char *part)
{
    struct assay_model m = make_model(assay_kernels_def(ASSAY_F32), NULL, tiny, 3);
    struct assay_trainer t;
    int status = trainer_open(&t, &m, phase, 1, threads);
    ok(status == -1 && strstr(t.error, part), "refused: %s", t.error);
    if (status == 0)
        trainer_close(&t);
    model_close(&m);
}

static void refusals(void)
{
    struct assay_data data = samples_data(SAMPLES);
    struct assay_phase good = make_phase(&data), phase = good;
    cannot_open(&good, 0, "threads: expected 1 to 256; found 0");
    cannot_open(&good, 257, "found 257");
    phase.batch = SAMPLES + 1;
    cannot_open(&phase, 1, "batch: expected 1 to 40");
    phase = good;
    phase.trainable = "head.* nothing.*";
    cannot_open(&phase, 1, "'nothing.*' matches no parameter");
    phase = good;
    phase.optimizer.beta2 = 1;
    cannot_open(&phase, 1, "beta2: expected 0 <= beta2 < 1; found 1");
    data.input[1].shape.dim[0] = 39;
    cannot_open(&good, 1, "label: expected a first axis of 40 samples; found 39");
}

static void no_allocation(void)
{
#ifdef COUNTS_ALLOCATIONS
    static const size_t threads[] = {1, 3, 12};
    bool holds = true;
    for (size_t i = 0; i < sizeof threads / sizeof *threads; i++) {
        struct assay_data data = samples_data(SAMPLES);
        struct assay_model m = make_model(assay_kernels_cpu(ASSAY_F32, NULL), &counting, tiny, 3);
        struct assay_phase phase = make_phase(&data);
        struct assay_trainer t;
        phase.shard = 5;
        phase.batch = 37;
        holds &= open_or_say(&t, &m, &phase, 1, threads[i]) && run_steps(&t, 1);
        size_t before = allocations;
        holds &= run_steps(&t, 8) && before > 0 && allocations == before;
        if (allocations != before)
            diag("%zu allocations with %zu threads", allocations - before, threads[i]);
        trainer_close(&t);
        model_close(&m);
    }
    ok(holds, "memory: after the first step nothing is allocated, whatever the number of threads");
#else
    skip(1, "allocations can't be counted in this build");
#endif
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
    schedules();
    default_shards();
    merge_order();
    against_plain_loops(&adamw, "AdamW");
    against_plain_loops(&unclipped, "AdamW without clipping");
    against_plain_loops(&momentum, "SGD with momentum");
    hidden_in_the_bits(ASSAY_F32);
    hidden_in_the_bits(ASSAY_F64);
    draws_ignore_shards();
    buffers_move();
    two_phases();
    learning();
    language_denominator();
    failures();
    refusals();
    no_allocation();
    return done_testing();
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Training: workers, tables and interruptions don't show in the bits, draws don't depend on the
 * cut, and after the first step nothing is allocated. */
#include "harness/tests/train_kit.h"

#include <math.h>

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

/* Keeps the running mean of the gradient, and a constant, from the backward pass. */
static void counting_backward(tape *t, void *closure, tensor dy, tensor *dx)
{
    tensor flat = reshape(t, dy, SHAPE(rows_of(dy), width_of(dy)));
    buffer_emit(closure, "slope", reshape(t, mean_over(t, flat, 0), SHAPE(width_of(dy))), 0.5);
    buffer_emit(closure, "three", tape_filled(t, SHAPE(1), 3), 0);
    dx[0] = dy;
}

/* Every residual keeps a running mean of its update in a buffer, and counts passes in another
 * (keep 0). */
static tensor counting_residual(layer *l, tensor x, tensor y)
{
    layer *closure = tape_allocate(l->t, sizeof *closure);
    buffer(l, "slope", SHAPE(width_of(x)), init_zeros());
    buffer(l, "three", SHAPE(1), init_zeros());
    if (!closure)
        return TENSOR_NONE;
    *closure = *l;
    y = custom(l->t, "counting", y, 1, &y, counting_backward, closure);
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
                             *mean = model_find(&m, "block.0.mean"),
                             *three = model_find(&m, "block.0.three"),
                             *slope = model_find(&m, "block.1.slope");
    double count = 0, values[8] = {0}, constant = 0, slopes[8] = {0};
    if (holds && ticks && mean && three && slope) {
        model_read(&m, ticks, &count);
        model_read(&m, mean, values);
        model_read(&m, three, &constant);
        model_read(&m, slope, slopes);
    }
    ok(count == 6,
       "buffers: a counter ticks once per step, however many shards and passes there are (%g)",
       count);
    ok(values[0] != 0 && isfinite(values[0]), "buffers: a running mean moves");
    ok(constant == 3 && slopes[0] != 0 && isfinite(slopes[0]),
       "buffers: what a custom backward emits arrives");
    trainer_close(&t);
    model_close(&m);
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
    make_samples();
    hidden_in_the_bits(ASSAY_F32);
    hidden_in_the_bits(ASSAY_F64);
    draws_ignore_shards();
    buffers_move();
    no_allocation();
    return done_testing();
}

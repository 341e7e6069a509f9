/* SPDX-License-Identifier: Apache-2.0 */
/* Memory of training: a step like the one before allocates nothing. The linker puts the counting
 * functions in place of the allocator's (--wrap, Makefile.am), for every object of the library. */
#include "harness/tests/train_kit.h"

#include <stdatomic.h>

static atomic_size_t calls; /* several threads allocate */

#define COUNTED(type, name, parameters, arguments) \
    type __real_##name parameters; \
    type __wrap_##name parameters; \
    type __wrap_##name parameters \
    { \
        atomic_fetch_add(&calls, 1); \
        return __real_##name arguments; \
    }

COUNTED(void *, malloc, (size_t size), (size))
COUNTED(void *, calloc, (size_t count, size_t size), (count, size))
COUNTED(void *, realloc, (void *memory, size_t size), (memory, size))
COUNTED(void *, aligned_alloc, (size_t alignment, size_t size), (alignment, size))

static void test_steps(const char *what, const struct assay_variant *variant, const char *settings,
                       size_t threads)
{
    struct assay_data data = samples_data(SAMPLES);
    struct assay_phase phase = make_phase(&data);
    struct assay_model m = make_model(assay_kernels_cpu(ASSAY_F32, NULL), variant, settings, 5);
    struct assay_trainer t;
    if (variant && variant->update)
        phase.optimizer.rule = OPTIMIZER_PAPER;
    calls = 0;
    if (!open_or_say(&t, &m, &phase, 7, threads) || !run_steps(&t, 1)) {
        ok(false, "memory: %s: the first step runs", what);
        return;
    }
    size_t first = calls;
    ok(first > 0, "memory: %s, %zu threads: opening and the first step allocate", what, threads);
    /* Past an epoch's end, where the order is drawn again. */
    bool ran = run_steps(&t, 5);
    ok(ran && calls == first, "memory: %s, %zu threads: the next five steps allocate nothing", what,
       threads);
    trainer_close(&t);
    model_close(&m);
}

int main(void)
{
    make_samples();
    for (size_t threads = 1; threads <= 3; threads++) {
        char settings[512];
        test_steps("with dropout", NULL, tiny, threads);
        snprintf(settings, sizeof settings, "%s attention_dropout=0.1 explicit_attention=1", tiny);
        test_steps("with explicit attention and its dropout", NULL, settings, threads);
        snprintf(settings, sizeof settings, "preset=llama%s frame=encoder head=classify",
                 strchr(tiny, ' '));
        test_steps("of the Llama type", NULL, settings, threads);
        snprintf(settings, sizeof settings, "%s recomputed=1", tiny);
        test_steps("with recomputed activations", variant_find("reformer"), settings, threads);
        test_steps("with a paper's optimizer", variant_find("adan"), tiny, threads);
    }
    return done_testing();
}

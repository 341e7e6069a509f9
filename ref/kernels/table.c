/* SPDX-License-Identifier: Apache-2.0 */
/* The def and cpu tables: filled once from the kernel files, chosen at run time by what the
 * machine can execute. ASSAY_HAVE_LEVELS: the build has the levels x86-64-v3 and x86-64-v4
 * besides the compiler's baseline. ASSAY_CORE_ONLY: it has binary32 alone. */
#include "ref/kernels.h"

#ifdef ASSAY_HAVE_LEVELS
#include <cpuid.h>
#endif
#include <pthread.h>
#include <string.h>

#define SUBJECTS(each, at) \
    each(products, at) each(maps, at) each(zips, at) each(reductions, at) each(norms, at) \
        each(softmax, at) each(attention, at) each(attention_backward, at) each(scans, at) \
            each(moves, at) each(sorting, at) each(optimizers, at)

#define DECLARE(subject, at) \
    void assay_kernels_##subject##_##at(struct assay_kernels *, bool tuned);
#define FILL(subject, at) assay_kernels_##subject##_##at(table, tuned);
#define LEVEL(at) \
    SUBJECTS(DECLARE, at) \
    static void fill_##at(struct assay_kernels *table, bool tuned) \
    { \
        SUBJECTS(FILL, at) \
    }

/* The level's tables, in the order of `profiles`. */
#ifdef ASSAY_CORE_ONLY
#define PROFILES(at) LEVEL(f32_##at)
#define FILLS(at) \
    { \
        fill_f32_##at \
    }
static const enum assay_profile profiles[] = {ASSAY_F32};
#else
#define PROFILES(at) LEVEL(f32_##at) LEVEL(f64_##at)
#define FILLS(at) \
    { \
        fill_f32_##at, fill_f64_##at \
    }
static const enum assay_profile profiles[] = {ASSAY_F32, ASSAY_F64};
#endif
enum { PROFILE_COUNT = sizeof profiles / sizeof *profiles };

PROFILES(base)
#ifdef ASSAY_HAVE_LEVELS
PROFILES(v3)
PROFILES(v4)
#endif

static bool runs_base(void)
{
    return true;
}

#ifdef ASSAY_HAVE_LEVELS
/* The three features of x86-64-v3 that not every compiler's __builtin_cpu_supports knows. */
static bool has_f16c_movbe_lzcnt(void)
{
    enum { F16C = 1 << 29, MOVBE = 1 << 22, LZCNT = 1 << 5 };
    unsigned a, b, basic = 0, extended = 0, d;
    return __get_cpuid(1, &a, &b, &basic, &d) && __get_cpuid(0x80000001, &a, &b, &extended, &d)
           && basic & F16C && basic & MOVBE && extended & LZCNT;
}

/* The compiler's check includes that the operating system saves the vector registers. */
static bool runs_v3(void)
{
    __builtin_cpu_init();
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")
           && __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2")
           && has_f16c_movbe_lzcnt();
}

static bool runs_v4(void)
{
    return runs_v3() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw")
           && __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq")
           && __builtin_cpu_supports("avx512vl");
}
#endif

/* From the best to the one that runs everywhere. */
static const struct level {
    const char *name;
    bool (*runs)(void);
    void (*fill[PROFILE_COUNT])(struct assay_kernels *, bool);
} levels[] = {
#ifdef ASSAY_HAVE_LEVELS
    {"x86-64-v4", runs_v4, FILLS(v4)},
    {"x86-64-v3", runs_v3, FILLS(v3)},
#endif
    {"base", runs_base, FILLS(base)},
};

enum { LEVELS = sizeof levels / sizeof *levels };

/* Written once, under `once`, and constant from then on. */
static struct assay_kernels def[PROFILE_COUNT], cpu[LEVELS][PROFILE_COUNT];
static bool runs[LEVELS];
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void fill_profiles(struct assay_kernels table[PROFILE_COUNT], const struct level *level,
                          const char *name, bool tuned)
{
    for (int i = 0; i < PROFILE_COUNT; i++) {
        bool single = profiles[i] == ASSAY_F32;
        table[i] = (struct assay_kernels){.name = name,
                                          .level = level->name,
                                          .profile = profiles[i],
                                          .element = single ? sizeof(float) : sizeof(double)};
        level->fill[i](&table[i], tuned);
    }
}

static void fill_all(void)
{
    fill_profiles(def, &levels[LEVELS - 1], "def", false);
    for (int i = 0; i < LEVELS; i++) {
        runs[i] = levels[i].runs();
        fill_profiles(cpu[i], &levels[i], "cpu", true);
    }
}

static const struct assay_kernels *of_profile(const struct assay_kernels table[PROFILE_COUNT],
                                              enum assay_profile profile)
{
    for (int i = 0; i < PROFILE_COUNT; i++)
        if (profiles[i] == profile)
            return &table[i];
    return NULL;
}

const struct assay_kernels *assay_kernels_def(enum assay_profile profile)
{
    pthread_once(&once, fill_all);
    return of_profile(def, profile);
}

const struct assay_kernels *assay_kernels_cpu(enum assay_profile profile, const char *level)
{
    pthread_once(&once, fill_all);
    for (int i = 0; i < LEVELS; i++)
        if (runs[i] && (!level || !strcmp(level, levels[i].name)))
            return of_profile(cpu[i], profile);
    return NULL;
}

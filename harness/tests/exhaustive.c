/* SPDX-License-Identifier: Apache-2.0 */
/* Proves the binary32 elementary functions: all 2^32 arguments, the scalar form and the array form
 * of every level that this processor runs, against the correctly rounded value.
 *
 *     exhaustive [--function NAME] [--threads N] [--stride S] [--filter extended|binary64|none]
 * [--list]
 *
 * The true value comes from libm in a wider format wherever all numbers within a relative 2^-47 of
 * it round alike, which leaves libm's error a factor of over 30 in binary64 and 65536 in extended;
 * otherwise from MPFR. --filter none asks MPFR always. The evaluators' largest error and the hard
 * cases missing from the library's table are reported too: both must be as the library assumes.
 * --list prints the table of hard cases. Exit status: 0 proven, 1 not, 2 usage. */
#include <float.h>
#include <math.h>
#include <mpfr.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "harness/tests/elementary_level.h"
#include "ref/arithmetic/elementary_f32_hard.h"
#include "ref/elementary.h"

enum { CHUNK = 1 << 14, LEVELS_MAX = 3, HARD_MAX = 1 << 16 };

/* What the library assumes: error of every evaluator, and how close to a boundary an argument is
 * listed as hard. */
#define EVALUATOR_BOUND 0x1p-50
#define HARD_DISTANCE 0x1p-48
#define FILTER_DISTANCE 0x1p-47

enum symmetry { SYMMETRY_NONE, SYMMETRY_ODD, SYMMETRY_EVEN };
enum filter { FILTER_EXTENDED, FILTER_BINARY64, FILTER_NONE };

struct function {
    const char *name;
    float (*scalar)(float);
    long double (*extended)(long double);
    double (*binary64)(double);
    int (*exact)(mpfr_t, const mpfr_t, mpfr_rnd_t);
    enum symmetry symmetry;
    /* Where the evaluator is not saturated. */
    double low, high;
    const struct hard_case *table;
    size_t table_size;
};

#define FUNCTION(name, symmetry, low, high) \
    { \
#name, assay_##name##_f32, name##l, name, mpfr_##name, symmetry, low, high, hard_##name, \
            sizeof hard_##name / sizeof *hard_##name \
    }

static const struct function functions[ELEMENTARY_FUNCTIONS] = {
    FUNCTION(exp, SYMMETRY_NONE, -104, 90),       FUNCTION(expm1, SYMMETRY_NONE, -30, 90),
    FUNCTION(log, SYMMETRY_NONE, 0, 0x1p128),     FUNCTION(log1p, SYMMETRY_NONE, -1, 0x1p128),
    FUNCTION(tanh, SYMMETRY_ODD, -10, 10),        FUNCTION(erf, SYMMETRY_ODD, -3.95, 3.95),
    FUNCTION(sin, SYMMETRY_ODD, -0x1p20, 0x1p20), FUNCTION(cos, SYMMETRY_EVEN, -0x1p20, 0x1p20),
};

struct run {
    const struct function *function;
    int index;
    const struct elementary_level *levels[LEVELS_MAX];
    int level_count;
    enum filter filter;
    bool list;
    uint64_t count, stride;

    pthread_mutex_t lock;
    uint64_t next, mismatches, unlisted, asked;
    double worst[LEVELS_MAX];
    struct hard_case *hard;
    size_t hard_count;
};

static uint32_t bits_of(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

static float from_bits(uint32_t bits)
{
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* The value rounded to binary32, subnormals included: mpfr_get_flt rounds once from any precision.
 */
static float exact_result(const struct function *f, float x, mpfr_t argument, mpfr_t value)
{
    mpfr_set_flt(argument, x, MPFR_RNDN);
    f->exact(value, argument, MPFR_RNDN);
    return mpfr_get_flt(value, MPFR_RNDN);
}

/* Whether binary32 has a rounding boundary within the relative distance 2^-48 of `value`. */
static bool is_hard(mpfr_t value, mpfr_t shifted)
{
    if (!mpfr_number_p(value) || mpfr_zero_p(value))
        return false;
    mpfr_mul_d(shifted, value, 1 - HARD_DISTANCE, MPFR_RNDN);
    float low = mpfr_get_flt(shifted, MPFR_RNDN);
    mpfr_mul_d(shifted, value, 1 + HARD_DISTANCE, MPFR_RNDN);
    return low != mpfr_get_flt(shifted, MPFR_RNDN);
}

static bool is_listed(const struct function *f, uint32_t argument, uint32_t result)
{
    for (size_t i = 0; i < f->table_size; i++)
        if (f->table[i].argument == argument)
            return f->table[i].result == result;
    return false;
}

static void note_hard(struct run *run, float x, float y)
{
    uint32_t argument = bits_of(x), result = bits_of(y);
    if (argument >> 31 && run->function->symmetry != SYMMETRY_NONE)
        return;
    pthread_mutex_lock(&run->lock);
    if (run->hard_count < HARD_MAX)
        run->hard[run->hard_count++] = (struct hard_case){argument, result};
    run->unlisted += !is_listed(run->function, argument, result);
    pthread_mutex_unlock(&run->lock);
}

/* The correctly rounded result; *near is the true value to the filter's precision, in binary64. */
static float expected(struct run *run, float x, mpfr_t *scratch, double *near)
{
    const struct function *f = run->function;
    if (run->filter != FILTER_NONE) {
        *near = run->filter == FILTER_EXTENDED ? (double)f->extended((long double)x)
                                               : f->binary64((double)x);
        if (*near != *near)
            return from_bits(0x7fc00000);
        float low = (float)(*near * (1 - FILTER_DISTANCE)),
              high = (float)(*near * (1 + FILTER_DISTANCE));
        if (bits_of(low) == bits_of(high))
            return low;
    }
    float y = exact_result(f, x, scratch[0], scratch[1]);
    *near = mpfr_get_d(scratch[1], MPFR_RNDN);
    if (y != y)
        return from_bits(0x7fc00000);
    if (is_hard(scratch[1], scratch[2]))
        note_hard(run, x, y);
    return y;
}

struct work {
    float x[CHUNK], expected[CHUNK], scalar[CHUNK], array[LEVELS_MAX][CHUNK];
    double wide[LEVELS_MAX][CHUNK], near[CHUNK];
    mpfr_t scratch[3];
};

/* Largest relative error of the evaluator on this chunk, where it applies and the result is a
 * normal number. A NaN where a number is due counts as infinite. */
static double largest_error(const struct function *f, const struct work *w, int level)
{
    double worst = 0;
    const double *wide = w->wide[level];
    for (int i = 0; i < CHUNK; i++) {
        double size = __builtin_fabs(w->near[i]), x = (double)w->x[i];
        double error = __builtin_fabs(wide[i] - w->near[i]) / size;
        error = error <= 1 ? error : HUGE_VAL;
        int applies =
            (x > f->low) & (x < f->high) & (size >= (double)FLT_MIN) & (size <= (double)FLT_MAX);
        error = applies ? error : 0;
        worst = error > worst ? error : worst;
    }
    return worst;
}

static uint64_t count_mismatches(struct run *run, const struct work *w, const float *results,
                                 const char *form)
{
    uint64_t count = 0;
    if (memcmp(results, w->expected, sizeof w->expected) == 0)
        return 0;
    for (int i = 0; i < CHUNK; i++)
        if (bits_of(results[i]) != bits_of(w->expected[i]) && count++ == 0 && run->mismatches < 10)
            printf("# %s %s(%a): expected %a, found %a\n", form, run->function->name,
                   (double)w->x[i], (double)w->expected[i], (double)results[i]);
    return count;
}

static void check_chunk(struct run *run, struct work *w, uint64_t first)
{
    uint64_t wrong = 0;
    double worst[LEVELS_MAX];
    for (uint64_t i = 0; i < CHUNK; i++)
        w->x[i] = from_bits((uint32_t)((first + i) * run->stride));
    for (int i = 0; i < CHUNK; i++) {
        w->expected[i] = expected(run, w->x[i], w->scratch, &w->near[i]);
        w->scalar[i] = run->function->scalar(w->x[i]);
    }
    wrong += count_mismatches(run, w, w->scalar, "scalar");
    for (int level = 0; level < run->level_count; level++) {
        run->levels[level]->array[run->index](CHUNK, w->x, w->array[level]);
        run->levels[level]->wide[run->index](CHUNK, w->x, w->wide[level]);
        wrong += count_mismatches(run, w, w->array[level], run->levels[level]->name);
        worst[level] = largest_error(run->function, w, level);
        if (run->levels[level]->quick[run->index]) {
            run->levels[level]->quick[run->index](CHUNK, w->x, w->array[level]);
            wrong += count_mismatches(run, w, w->array[level], "quick evaluator");
        }
    }
    pthread_mutex_lock(&run->lock);
    run->mismatches += wrong;
    for (int level = 0; level < run->level_count; level++)
        if (!(worst[level] <= run->worst[level]))
            run->worst[level] = worst[level];
    pthread_mutex_unlock(&run->lock);
}

/* For a table quickly: the evaluator itself is the filter, libm where it does not apply. The proof
 * does not rest on this, since it finds the hard cases again. */
static void list_chunk(struct run *run, struct work *w, uint64_t first)
{
    const struct function *f = run->function;
    if (f->symmetry != SYMMETRY_NONE && from_bits((uint32_t)(first * run->stride)) < 0)
        return;
    for (uint64_t i = 0; i < CHUNK; i++)
        w->x[i] = from_bits((uint32_t)((first + i) * run->stride));
    run->levels[run->level_count - 1]->wide[run->index](CHUNK, w->x, w->near);
    for (int i = 0; i < CHUNK; i++) {
        double near = w->near[i];
        if (!((double)w->x[i] > f->low && (double)w->x[i] < f->high))
            near = f->binary64((double)w->x[i]);
        if (near == near
            && (float)(near * (1 - FILTER_DISTANCE)) != (float)(near * (1 + FILTER_DISTANCE))) {
            float y = exact_result(f, w->x[i], w->scratch[0], w->scratch[1]);
            if (is_hard(w->scratch[1], w->scratch[2]))
                note_hard(run, w->x[i], y);
        }
    }
}

static void *worker(void *argument)
{
    struct run *run = argument;
    struct work *w = malloc(sizeof *w);
    if (w == NULL) {
        pthread_mutex_lock(&run->lock);
        run->mismatches++;
        pthread_mutex_unlock(&run->lock);
        return NULL;
    }
    mpfr_inits2(160, w->scratch[0], w->scratch[1], w->scratch[2], (mpfr_ptr)0);
    for (;;) {
        pthread_mutex_lock(&run->lock);
        uint64_t first = run->next;
        run->next += CHUNK;
        pthread_mutex_unlock(&run->lock);
        if (first >= run->count)
            break;
        if (run->list)
            list_chunk(run, w, first);
        else
            check_chunk(run, w, first);
    }
    mpfr_clears(w->scratch[0], w->scratch[1], w->scratch[2], (mpfr_ptr)0);
    mpfr_free_cache();
    free(w);
    return NULL;
}

static int by_argument(const void *a, const void *b)
{
    uint32_t x = ((const struct hard_case *)a)->argument,
             y = ((const struct hard_case *)b)->argument;
    return (x > y) - (x < y);
}

static void print_table(const struct run *run)
{
    printf("static const struct hard_case hard_%s[] = {", run->function->name);
    for (size_t i = 0; i < run->hard_count; i++)
        printf("%s{0x%08x, 0x%08x},", i % 3 ? " " : "\n    ", run->hard[i].argument,
               run->hard[i].result);
    puts("\n};\n");
}

static bool report(const struct run *run, double seconds)
{
    bool proven = run->mismatches == 0 && run->unlisted == 0;
    printf("%-6s %10llu arguments  %llu mismatches  %zu hard cases  %llu unlisted  error",
           run->function->name, (unsigned long long)run->count, (unsigned long long)run->mismatches,
           run->hard_count, (unsigned long long)run->unlisted);
    for (int level = 0; level < run->level_count; level++) {
        printf(" %s 2^%.2f", run->levels[level]->name, log2(run->worst[level]));
        proven = proven && run->worst[level] < EVALUATOR_BOUND;
    }
    printf("  %.1f s%s\n", seconds, proven ? "" : "  NOT PROVEN");
    fflush(stdout);
    return proven;
}

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static bool prove(struct run *run, int threads)
{
    pthread_t ids[64];
    double start = now();
    int started = 0;
    while (started < threads && pthread_create(&ids[started], NULL, worker, run) == 0)
        started++;
    if (started == 0)
        worker(run);
    for (int i = 0; i < started; i++)
        pthread_join(ids[i], NULL);
    qsort(run->hard, run->hard_count, sizeof *run->hard, by_argument);
    if (run->list) {
        print_table(run);
        return true;
    }
    return report(run, now() - start);
}

static int levels_here(const struct elementary_level **levels)
{
    int count = 0;
    levels[count++] = &elementary_level_baseline;
#ifdef __x86_64__
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
        levels[count++] = &elementary_level_v3;
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq")
        && __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512bw"))
        levels[count++] = &elementary_level_v4;
#endif
    return count;
}

/* When, by what and where: a report without these proves little. */
static void print_circumstances(void)
{
    char date[32], line[256], name[200] = "unknown processor";
    time_t now = time(NULL);
    struct tm utc;
    FILE *info = fopen("/proc/cpuinfo", "r");
    while (info && fgets(line, sizeof line, info))
        if (sscanf(line, "model name : %199[^\n]", name) == 1)
            break;
    if (info)
        fclose(info);
    strftime(date, sizeof date, "%Y-%m-%d", gmtime_r(&now, &utc));
#ifdef __clang__
    const char *compiler = "clang";
#else
    const char *compiler = "gcc";
#endif
    printf("# %s, %s %s, MPFR %s, %s\n", date, compiler, __VERSION__, mpfr_get_version(), name);
}

static int usage(void)
{
    fputs("usage: exhaustive [--function NAME] [--threads N] [--stride S] [--filter "
          "extended|binary64|none] [--list]\n",
          stderr);
    return 2;
}

int main(int argc, char **argv)
{
    const char *only = NULL;
    long threads = 2, stride = 1;
    enum filter filter = LDBL_MANT_DIG >= 64 ? FILTER_EXTENDED : FILTER_BINARY64;
    bool list = false, proven = true;
    for (int i = 1; i < argc; i++) {
        const char *value = i + 1 < argc ? argv[i + 1] : "";
        if (strcmp(argv[i], "--list") == 0) {
            list = true;
            continue;
        }
        if (strcmp(argv[i], "--function") == 0)
            only = value;
        else if (strcmp(argv[i], "--threads") == 0)
            threads = strtol(value, NULL, 10);
        else if (strcmp(argv[i], "--stride") == 0)
            stride = strtol(value, NULL, 10);
        else if (strcmp(argv[i], "--filter") == 0)
            filter = value[0] == 'e'   ? FILTER_EXTENDED
                     : value[0] == 'b' ? FILTER_BINARY64
                                       : FILTER_NONE;
        else
            return usage();
        i++;
    }
    if (threads < 1 || threads > 64 || stride < 1)
        return usage();
    int found = 0;
    if (!list)
        print_circumstances();
    for (int i = 0; i < ELEMENTARY_FUNCTIONS; i++) {
        if (only != NULL && strcmp(only, functions[i].name) != 0)
            continue;
        struct run run = {.function = &functions[i],
                          .index = i,
                          .filter = filter,
                          .list = list,
                          .stride = (uint64_t)stride};
        run.level_count = levels_here(run.levels);
        run.count = (UINT64_C(1) << 32) / (uint64_t)stride;
        run.hard = malloc(HARD_MAX * sizeof *run.hard);
        if (run.hard == NULL)
            return 2;
        pthread_mutex_init(&run.lock, NULL);
        proven = prove(&run, (int)threads) && proven;
        pthread_mutex_destroy(&run.lock);
        free(run.hard);
        found++;
    }
    return found == 0 ? usage() : proven ? 0 : 1;
}

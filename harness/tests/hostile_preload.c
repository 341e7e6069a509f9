/* SPDX-License-Identifier: Apache-2.0 */
/* A library for LD_PRELOAD that spoils the floating-point environment or the locale before main, or
 * in every new thread. HOSTILE names what: main-MODE or thread-MODE, where MODE is upward, downward,
 * truncate, flush (FTZ), denormals (DAZ), x87 (its precision 24 bits), traps or locale. Built by
 * hostile.t alone. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fenv.h>
#include <locale.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#if defined __x86_64__
static void set_mxcsr(unsigned bits)
{
    __builtin_ia32_ldmxcsr(__builtin_ia32_stmxcsr() | bits);
}

static void narrow_x87(void)
{
    unsigned short control;
    __asm__ volatile("fnstcw %0" : "=m"(control));
    control &= (unsigned short)~0x300;
    __asm__ volatile("fldcw %0" : : "m"(control));
}
#else
#define set_mxcsr(bits) ((void)(bits))
#define narrow_x87() ((void)0)
#endif

static void spoil(const char *mode)
{
    if (!strcmp(mode, "upward"))
        fesetround(FE_UPWARD);
    else if (!strcmp(mode, "downward"))
        fesetround(FE_DOWNWARD);
    else if (!strcmp(mode, "truncate"))
        fesetround(FE_TOWARDZERO);
    else if (!strcmp(mode, "flush"))
        set_mxcsr(0x8000);
    else if (!strcmp(mode, "denormals"))
        set_mxcsr(0x0040);
    else if (!strcmp(mode, "x87"))
        narrow_x87();
    else if (!strcmp(mode, "traps"))
        feenableexcept(FE_ALL_EXCEPT);
    else if (!strcmp(mode, "locale"))
        setlocale(LC_ALL, "");
}

/* The mode after `prefix` in HOSTILE, or "". */
static const char *mode_for(const char *prefix)
{
    const char *asked = getenv("HOSTILE");
    return asked && !strncmp(asked, prefix, strlen(prefix)) ? asked + strlen(prefix) : "";
}

__attribute__((constructor)) static void before_main(void)
{
    spoil(mode_for("main-"));
}

struct start {
    void *(*run)(void *);
    void *argument;
};

static void *spoilt(void *argument)
{
    struct start start = *(struct start *)argument;
    free(argument);
    spoil(mode_for("thread-"));
    return start.run(start.argument);
}

/* Stands before the C library's. */
int pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *),
                   void *argument)
{
    int (*create)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);
    *(void **)&create = dlsym(RTLD_NEXT, "pthread_create");
    struct start *start = malloc(sizeof *start);
    if (!create || !start)
        abort();
    *start = (struct start){run, argument};
    return create(thread, attributes, spoilt, start);
}

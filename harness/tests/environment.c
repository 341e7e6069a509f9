/* SPDX-License-Identifier: Apache-2.0 */
/* A hostile floating-point environment is found, named and restored; scalars round in their
 * profile. */
#include <fenv.h>
#include <math.h>
#include <pthread.h>
#include <string.h>

#include "harness/tests/tap.h"
#include "ref/arith.h"

#ifdef __SSE2__
#include <xmmintrin.h>
#endif

/* A way to spoil the environment, and a word of the sentence that must say so. */
struct hostility {
    const char *name, *word;
    int rounding;         /* for fesetround, or -1 */
    unsigned control_set; /* bits set in MXCSR, on x86 */
    const char *fault, *fault_after;
    float half, sum, subnormal; /* after the restoration */
};

static void *suffer(void *argument)
{
    struct hostility *h = argument;
    if (h->rounding >= 0)
        fesetround(h->rounding);
#ifdef __SSE2__
    _mm_setcsr(_mm_getcsr() | h->control_set);
#endif
    h->fault = assay_environment_fault();
    assay_environment_restore();
    h->fault_after = assay_environment_fault();
    volatile float smallest = 0x1p-126f, one = 1, bit = 0x1p-24f, subnormal = 0x1p-149f;
    h->half = smallest * 0.5f;
    h->sum = one + bit;
    h->subnormal = subnormal * 0x1p30f;
    return NULL;
}

static void hostile(struct hostility h)
{
    pthread_t thread;
    if (pthread_create(&thread, NULL, suffer, &h) != 0 || pthread_join(thread, NULL) != 0) {
        ok(false, "%s: a thread to try it in", h.name);
        return;
    }
    diag("%s: %s", h.name, h.fault ? h.fault : "no fault");
    ok(h.fault && strstr(h.fault, h.word), "%s is found and named", h.name);
    ok(!h.fault_after && h.half == 0x1p-127f && h.sum == 1 && h.subnormal == 0x1p-119f,
       "%s is undone by assay_environment_restore", h.name);
}

/* The main thread's mode is inherited by a thread, which must not trust it. */
static void inherited(void)
{
    fesetround(FE_UPWARD);
    struct hostility h = {.name = "a rounding mode inherited from the creating thread",
                          .word = "rounding", .rounding = -1};
    hostile(h);
    assay_environment_restore();
    ok(fegetround() == FE_TONEAREST && !assay_environment_fault(),
       "the creating thread is restored");
}

static void hostilities(void)
{
    hostile((struct hostility){.name = "rounding upward", .word = "rounding",
                               .rounding = FE_UPWARD});
    hostile((struct hostility){.name = "rounding downward", .word = "rounding",
                               .rounding = FE_DOWNWARD});
    hostile((struct hostility){.name = "rounding towards zero", .word = "rounding",
                               .rounding = FE_TOWARDZERO});
#ifdef __SSE2__
    hostile((struct hostility){.name = "flush-to-zero", .word = "FTZ", .rounding = -1,
                               .control_set = 0x8000});
    hostile((struct hostility){.name = "denormals-are-zero", .word = "DAZ", .rounding = -1,
                               .control_set = 0x0040});
    hostile((struct hostility){.name = "flush-to-zero with denormals-are-zero", .word = "FTZ",
                               .rounding = -1, .control_set = 0x8040});
    hostile((struct hostility){.name = "flush-to-zero while rounding upward", .word = "FTZ",
                               .rounding = FE_UPWARD, .control_set = 0x8000});
#else
    skip(8, "flush-to-zero and denormals-are-zero are set through MXCSR, on x86");
#endif
}

static void unmasked_traps(void)
{
#ifdef __SSE2__
    _mm_setcsr(_mm_getcsr() & ~0x1f80u);
    assay_environment_restore();
    ok((_mm_getcsr() & 0xffc0u) == 0x1f80u, "restoring masks the exceptions' traps again");
#else
    skip(1, "traps are unmasked through MXCSR, on x86");
#endif
}

static void scalars(void)
{
    const double third = assay_scalar_div(ASSAY_F32, 1, 3);
    ok(third == (double)(1.0f / 3.0f) && assay_scalar_div(ASSAY_F64, 1, 3) == 1.0 / 3.0,
       "a scalar division rounds in its profile");
    ok(assay_scalar(ASSAY_F32, 0.1) == (double)0.1f && assay_scalar(ASSAY_F64, 0.1) == 0.1,
       "assay_scalar rounds to its profile");
    ok(assay_scalar_add(ASSAY_F32, 1e8, 1) == 1e8 && assay_scalar_add(ASSAY_F64, 1e8, 1) == 1e8 + 1
           && assay_scalar_sub(ASSAY_F32, 1e8, 1) == 1e8
           && assay_scalar_sub(ASSAY_F64, 1e8, 1) == 1e8 - 1,
       "a scalar sum rounds in its profile");
    ok(assay_scalar_mul(ASSAY_F32, third, third) == (double)((1.0f / 3.0f) * (1.0f / 3.0f))
           && assay_scalar_mul(ASSAY_F64, third, third) == third * third,
       "a scalar product rounds in its profile");
    ok(assay_scalar_sqrt(ASSAY_F32, 2) == (double)0x1.6a09e6p0f
           && assay_scalar_sqrt(ASSAY_F64, 2) == 0x1.6a09e667f3bcdp0,
       "a scalar square root rounds in its profile");
    /* e, log 10, sin 1 and cos 1, rounded to either format. */
    ok(assay_scalar_exp(ASSAY_F32, 1) == 0x1.5bf0a8p1
           && assay_scalar_log(ASSAY_F32, 10) == 0x1.26bb1cp1
           && assay_scalar_sin(ASSAY_F32, 1) == 0x1.aed548p-1
           && assay_scalar_cos(ASSAY_F32, 1) == 0x1.14a28p-1,
       "exp, log, sin, cos of a binary32 scalar are rounded in binary32");
#ifndef ASSAY_CORE_ONLY
    ok(assay_scalar_exp(ASSAY_F64, 1) == 0x1.5bf0a8b145769p1
           && assay_scalar_log(ASSAY_F64, 10) == 0x1.26bb1bbb55516p1
           && assay_scalar_sin(ASSAY_F64, 1) == 0x1.aed548f090ceep-1
           && assay_scalar_cos(ASSAY_F64, 1) == 0x1.14a280fb5068cp-1,
       "exp, log, sin, cos of a binary64 scalar are rounded in binary64");
#else
    ok(isnan(assay_scalar_exp(ASSAY_F64, 1)), "without MPFR, exp in binary64 is NaN");
#endif
}

int main(void)
{
    const char *fault = assay_environment_fault();
    ok(!fault, "no fault in the environment that a program starts with%s%s", fault ? ": " : "",
       fault ? fault : "");
    hostilities();
    inherited();
    unmasked_traps();
    scalars();
    return done_testing();
}

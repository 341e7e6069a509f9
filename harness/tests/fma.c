/* SPDX-License-Identifier: Apache-2.0 */
/* The software fused multiply-adds against the machine's instruction and against MPFR.
 * Usage: fma [TRIPLES], the number per profile (10^7 unless given; a thousandth go to MPFR too). */
#include "ref/arithmetic/fma.h"

#include <inttypes.h>
#include <mpfr.h>
#include <stdlib.h>

#include "harness/tests/tap.h"

/* A binary format, its numbers held as bit patterns so that one test serves both. */
struct format {
    const char *name;
    int fraction, exponents; /* bits of the fraction; the exponent field of infinity */
    uint64_t (*product)(uint64_t a, uint64_t b);
    uint64_t (*software)(uint64_t a, uint64_t b, uint64_t c);
    uint64_t (*hardware)(uint64_t a, uint64_t b, uint64_t c);
    void (*to_mpfr)(mpfr_t to, uint64_t from);
    uint64_t (*from_mpfr)(mpfr_t from);
};

static float as_float(uint64_t pattern)
{
    uint32_t bits = (uint32_t)pattern;
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

static double as_double(uint64_t bits)
{
    double x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

static uint64_t of_float(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

static uint64_t of_double(double x)
{
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

/* On x86 the test asks for the instruction itself, so that a baseline build compares too. */
#if defined(__x86_64__) || defined(__i386__)
#define WITH_FMA __attribute__((target("fma")))
static bool machine_has_fma(void) { return __builtin_cpu_supports("fma"); }
#else
#define WITH_FMA
static bool machine_has_fma(void) { return ASSAY_HARDWARE_FMA_F32 && ASSAY_HARDWARE_FMA_F64; }
#endif

WITH_FMA static uint64_t hardware_f32(uint64_t a, uint64_t b, uint64_t c)
{
    return of_float(__builtin_fmaf(as_float(a), as_float(b), as_float(c)));
}

WITH_FMA static uint64_t hardware_f64(uint64_t a, uint64_t b, uint64_t c)
{
    return of_double(__builtin_fma(as_double(a), as_double(b), as_double(c)));
}

static uint64_t software_f32(uint64_t a, uint64_t b, uint64_t c)
{
    return of_float(assay_soft_fma_f32(as_float(a), as_float(b), as_float(c)));
}

static uint64_t software_f64(uint64_t a, uint64_t b, uint64_t c)
{
    return of_double(assay_soft_fma_f64(as_double(a), as_double(b), as_double(c)));
}

static uint64_t product_f32(uint64_t a, uint64_t b)
{
    return of_float(as_float(a) * as_float(b));
}

static uint64_t product_f64(uint64_t a, uint64_t b)
{
    return of_double(as_double(a) * as_double(b));
}

static void mpfr_of_f32(mpfr_t to, uint64_t from) { mpfr_set_flt(to, as_float(from), MPFR_RNDN); }
static void mpfr_of_f64(mpfr_t to, uint64_t from) { mpfr_set_d(to, as_double(from), MPFR_RNDN); }
static uint64_t f32_of_mpfr(mpfr_t from) { return of_float(mpfr_get_flt(from, MPFR_RNDN)); }
static uint64_t f64_of_mpfr(mpfr_t from) { return of_double(mpfr_get_d(from, MPFR_RNDN)); }

static const struct format formats[] = {
    {"binary32", 23, 255, product_f32, software_f32, hardware_f32, mpfr_of_f32, f32_of_mpfr},
    {"binary64", 52, 2047, product_f64, software_f64, hardware_f64, mpfr_of_f64, f64_of_mpfr},
};

static uint64_t next(uint64_t *state) /* SplitMix64 */
{
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

static int within(uint64_t *state, int low, int high)
{
    return low + (int)(next(state) % (uint64_t)(high - low + 1));
}

/* A number with a random sign and fraction (every other time only a few bits of it set, which makes
 * ties and exact results frequent) and an exponent field clipped to the finite ones. */
static uint64_t number(const struct format *f, uint64_t *state, int field)
{
    uint64_t mask = (UINT64_C(1) << f->fraction) - 1, fraction = next(state) & mask;
    if (next(state) & 1) {
        fraction = 0;
        for (int bits = within(state, 0, 3); bits > 0; bits--)
            fraction |= UINT64_C(1) << within(state, 0, f->fraction - 1);
    } else if (next(state) % 8 == 0)
        fraction = (0 - fraction % 4) & mask;
    field = field < 0 ? 0 : field > f->exponents - 1 ? f->exponents - 1 : field;
    uint64_t sign = next(state) & 1;
    return ((sign << (f->fraction == 23 ? 8 : 11) | (uint64_t)field) << f->fraction) | fraction;
}

/* Zeros, subnormals, the edges of the ranges, one, infinity, NaN: and their neighbours. */
static uint64_t special(const struct format *f, uint64_t *state)
{
    uint64_t hidden = UINT64_C(1) << f->fraction, infinity = (uint64_t)f->exponents << f->fraction;
    uint64_t one = (uint64_t)(f->exponents / 2) << f->fraction;
    uint64_t bases[] = {0, 1, 2, 3, hidden - 1, hidden, hidden + 1, one - 1, one, one + 1,
                        one + hidden, one - hidden, infinity - 1, infinity, infinity + 1,
                        infinity - hidden, infinity | hidden >> 1, 2 * hidden, hidden >> 1};
    uint64_t sign = (next(state) & 1) << (f->fraction == 23 ? 31 : 63);
    return sign | bases[next(state) % (sizeof bases / sizeof *bases)];
}

/* a = (1 + i u) 2^s, b = 3/2 + j u with u the last place of 1 and i odd: a b is a tie and a tail of
 * i j u^2 2^s, which c cancels exactly or up to c's own last place. */
static void sliver(const struct format *f, uint64_t *state, uint64_t *abc)
{
    int bias = f->exponents / 2, s = within(state, -9, 9);
    uint64_t i = next(state) % 64 * 2 + 1, j = next(state) % 64 + 1;
    int top = 63 - __builtin_clzll(i * j), field = bias + s + top - 2 * f->fraction;
    uint64_t flip = (next(state) & 1) << (f->fraction == 23 ? 31 : 63);
    uint64_t minus = UINT64_C(1) << (f->fraction == 23 ? 31 : 63);
    abc[0] = ((uint64_t)(bias + s) << f->fraction | i) ^ flip;
    abc[1] = (uint64_t)bias << f->fraction | UINT64_C(1) << (f->fraction - 1) | j;
    abc[2] = ((uint64_t)(field - 1) << f->fraction) + (i * j << (f->fraction - top));
    abc[2] = (abc[2] + (uint64_t)within(state, -1, 1)) ^ flip ^ minus;
}

static void triple(const struct format *f, uint64_t *state, uint64_t *abc)
{
    int bias = f->exponents / 2, p = f->fraction + 1;
    uint64_t mask = f->fraction == 23 ? UINT32_MAX : UINT64_MAX;
    int a = within(state, 1, f->exponents - 1), b = within(state, 1, f->exponents - 1), c;
    switch (next(state) % 9) {
    case 0: /* any patterns */
        for (int i = 0; i < 3; i++)
            abc[i] = next(state) & mask;
        return;
    case 1: /* edges */
        for (int i = 0; i < 3; i++)
            abc[i] = special(f, state);
        return;
    case 2: /* the addend cancels the rounded product, or misses it by a few units */
        abc[0] = number(f, state, within(state, bias / 2, bias * 3 / 2));
        abc[1] = number(f, state, within(state, 1, f->exponents - 1));
        abc[2] = (f->product(abc[0], abc[1]) ^ ((mask >> 1) + 1)) + (uint64_t)within(state, -2, 2);
        abc[2] &= mask;
        return;
    case 3: /* about the smallest numbers */
        b = bias + within(state, -p, p) - a + within(state, -2 * p, 2 * p) / 2;
        c = within(state, 0, p);
        break;
    case 4: /* about overflow */
        b = f->exponents + bias - a + within(state, -3, 3);
        c = f->exponents - 1 - within(state, 0, 2) * within(state, 0, p);
        break;
    case 5: /* the product about half a unit of the addend */
        c = a + b - bias + p + within(state, -1, 1);
        break;
    case 6: /* the addend far below: decides ties of the product only */
        c = a + b - bias - within(state, p, 4 * p);
        break;
    case 7:
        sliver(f, state, abc);
        return;
    default: /* of similar size */
        c = a + b - bias + within(state, -p - 3, p + 3);
    }
    abc[0] = number(f, state, a);
    abc[1] = number(f, state, b);
    abc[2] = number(f, state, c);
}

static bool is_nan(const struct format *f, uint64_t x)
{
    uint64_t sign = UINT64_C(1) << (f->fraction == 23 ? 31 : 63);
    return (x & ~sign) > (uint64_t)f->exponents << f->fraction;
}

static uint64_t correct(const struct format *f, const uint64_t *abc)
{
    mpfr_exp_t emin = mpfr_get_emin(), emax = mpfr_get_emax();
    mpfr_t a, b, c, sum;
    mpfr_inits2(f->fraction + 1, a, b, c, sum, (mpfr_ptr)0);
    f->to_mpfr(a, abc[0]);
    f->to_mpfr(b, abc[1]);
    f->to_mpfr(c, abc[2]);
    mpfr_set_emin(3 - f->exponents / 2 - f->fraction - 1);
    mpfr_set_emax(f->exponents / 2 + 1);
    int direction = mpfr_fma(sum, a, b, c, MPFR_RNDN);
    mpfr_subnormalize(sum, direction, MPFR_RNDN);
    mpfr_set_emin(emin);
    mpfr_set_emax(emax);
    uint64_t result = f->from_mpfr(sum);
    mpfr_clears(a, b, c, sum, (mpfr_ptr)0);
    return result;
}

/* How many triples make `software` differ from `reference` (MPFR if NULL); all NaNs are equal. */
static long differences(const struct format *f, long triples, uint64_t state,
                        uint64_t (*reference)(uint64_t, uint64_t, uint64_t))
{
    long differ = 0;
    for (long i = 0; i < triples; i++) {
        uint64_t abc[3];
        triple(f, &state, abc);
        uint64_t got = f->software(abc[0], abc[1], abc[2]);
        uint64_t want = reference ? reference(abc[0], abc[1], abc[2]) : correct(f, abc);
        if (got == want || (is_nan(f, got) && is_nan(f, want)))
            continue;
        if (differ++ < 5)
            diag("%s: a %" PRIx64 " b %" PRIx64 " c %" PRIx64 ": %" PRIx64 ", expected %" PRIx64,
                 f->name, abc[0], abc[1], abc[2], got, want);
    }
    return differ;
}

static void signed_zeros(void)
{
    volatile float tiny = 0x1p-149f, zero = 0;
    volatile double small = 0x1p-1074, nothing = 0;
    ok(of_float(assay_soft_fma_f32(-tiny, tiny, zero)) == 0x80000000
           && of_double(assay_soft_fma_f64(-small, small, nothing)) == UINT64_C(1) << 63,
       "a product that underflows keeps its sign although +0 is added");
    ok(of_float(assay_soft_fma_f32(-zero, 1, -zero)) == 0x80000000
           && of_double(assay_soft_fma_f64(-nothing, 1, -nothing)) == UINT64_C(1) << 63,
       "-0 + -0 is -0");
    ok(of_float(assay_soft_fma_f32(-zero, 1, zero)) == 0
           && of_float(assay_soft_fma_f32(3, 5, -15)) == 0
           && of_double(assay_soft_fma_f64(-nothing, 1, nothing)) == 0
           && of_double(assay_soft_fma_f64(3, 5, -15)) == 0,
       "-0 + 0 and an exact cancellation are +0");
}

int main(int argc, char **argv)
{
    long triples = argc > 1 ? atol(argv[1]) : 10000000;
    diag("fma is %s in binary32 and %s in binary64 here",
         ASSAY_HARDWARE_FMA_F32 ? "an instruction" : "software",
         ASSAY_HARDWARE_FMA_F64 ? "an instruction" : "software");
    signed_zeros();
    for (size_t i = 0; i < sizeof formats / sizeof *formats; i++) {
        const struct format *f = &formats[i];
        if (machine_has_fma()) {
            long differ = differences(f, triples, 1 + i, f->hardware);
            ok(triples > 0 && differ == 0, "%s: software and instruction agree on %ld triples",
               f->name, triples);
        } else
            skip(1, "this machine has no fused multiply-add");
        long checked = triples / 1000 + 1000;
        long differ = differences(f, checked, 101 + i, NULL);
        ok(differ == 0, "%s: software and MPFR agree on %ld triples", f->name, checked);
    }
    mpfr_free_cache();
    return done_testing();
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The honest table: precisions, the thread's state, orders of summation. */
#include "ref/kernels/honest.h"

#include <stdlib.h>
#include <string.h>

/* Kernels have no argument that could carry it. Nothing is owned between two calls. */
static _Thread_local struct honest state;

struct honest_block {
    struct honest_block *next;
    uint32_t data[];
};

const char *assay_precision_name(enum assay_precision p)
{
    static const char *const names[ASSAY_PRECISIONS] = {"f32", "tf32", "bf16", "fp16"};
    return names[p];
}

double assay_precision_roundoff(enum assay_precision p)
{
    static const double roundoffs[ASSAY_PRECISIONS] = {0x1p-24, 0x1p-11, 0x1p-8, 0x1p-11};
    return roundoffs[p];
}

static uint32_t bits_of(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

static float float_of(uint32_t bits)
{
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

enum { FRACTION = 23, SIGN = 31 };
static const uint32_t infinity = UINT32_C(0xff) << FRACTION;

/* The magnitude without its last `dropped` bits (1 to 23), to nearest even. A carry out of the
 * fraction makes the exponent one larger and the fraction zero, as it should. */
static uint32_t without_last(uint32_t magnitude, int dropped)
{
    uint32_t even = magnitude >> dropped & 1;
    return (magnitude + (UINT32_C(1) << (dropped - 1)) - 1 + even) >> dropped << dropped;
}

/* binary16: 11 bits, fewer below 2^-14, where the numbers are multiples of 2^-24; 2^16 and more, and
 * what rounds to it, is an infinity. */
static uint32_t half_magnitude(uint32_t magnitude)
{
    enum { SUBNORMAL = 127 - 14, LEAST = 127 - 24, BEYOND = 127 + 16 };
    int exponent = (int)(magnitude >> FRACTION);
    if (exponent < LEAST) /* below 2^-24: more than 2^-25 goes up */
        return magnitude > (uint32_t)(LEAST - 1) << FRACTION ? (uint32_t)LEAST << FRACTION : 0;
    int dropped = 13 + (exponent < SUBNORMAL ? SUBNORMAL - exponent : 0);
    /* With all 23 dropped the bit that decides a tie is the leading one, which is not stored; the
     * exponent 103 is odd as that bit is. */
    magnitude = without_last(magnitude, dropped);
    return magnitude >> FRACTION >= BEYOND ? infinity : magnitude;
}

float assay_precision_round(enum assay_precision p, float x)
{
    uint32_t bits = bits_of(x), sign = bits >> SIGN << SIGN, magnitude = bits ^ sign;
    if (magnitude >= infinity || p == ASSAY_PRECISION_F32)
        return x;
    if (p == ASSAY_PRECISION_FP16)
        magnitude = half_magnitude(magnitude);
    else
        magnitude = without_last(magnitude, p == ASSAY_PRECISION_BF16 ? 16 : 13);
    return float_of(sign | magnitude);
}

float honest_operand(const struct honest *h, float x)
{
    return h->spared && !h->low ? x : assay_precision_round(h->precision, x);
}

float honest_stored(const struct honest *h, float x)
{
    return h->low ? assay_precision_round(h->precision, x) : x;
}

void honest_operands(const struct honest *h, size_t n, float *x)
{
    for (size_t i = 0; x && i < n; i++)
        x[i] = honest_operand(h, x[i]);
}

/* Steps of one unit in the last place are steps of one in the bits. */
float honest_nudged(float x, uint32_t bits)
{
    uint32_t magnitude = bits_of(x) & ~(UINT32_C(1) << SIGN);
    bits &= 3;
    if (magnitude == 0 || magnitude >= infinity - 1 || bits == 1 || bits == 2)
        return x;
    return float_of(bits ? bits_of(x) + 1 : bits_of(x) - 1);
}

float honest_step(struct assay_rng *rng)
{
    uint32_t bits = assay_rng_next(rng) >> 30;
    return bits == 0 ? -1.0f : bits == 3 ? 1.0f : 0.0f;
}

void honest_settle(const struct honest *h, struct assay_rng *rng, size_t n, const float *old,
                   bool steps, float *y)
{
    uint32_t bits = 0;
    float unit = (float)assay_precision_roundoff(h->precision);
    if (!steps && (!h->low || h->spared))
        return;
    for (size_t i = 0; i < n; i++) {
        float came = old ? y[i] - old[i] : y[i];
        bits = i % 16 ? bits >> 2 : assay_rng_next(rng);
        if (steps)
            came = honest_nudged(came, bits);
        if (steps && h->stepped)
            came += came * (unit * (2 * assay_rng_uniform(rng) - 1));
        came = h->spared ? came : honest_stored(h, came);
        y[i] = !old ? came : h->spared ? old[i] + came : honest_stored(h, old[i] + came);
    }
}

/* Orders of binary32 sums hardly show in 16 bits, nor in operands of 11: honest backends differ in
 * what they round. So each call of a run draws it anew. */
struct honest *honest_enter(struct assay_rng *rng)
{
    assay_rng_keyed(rng, state.seed, state.calls++, 0, "honest");
    uint32_t drawn = assay_rng_next(rng) >> 30;
    state.spared = state.low ? !state.eager && drawn < 2
                             : state.precision == ASSAY_PRECISION_TF32 && drawn == 0;
    state.stepped = state.low && state.eager && drawn < 2;
    return &state;
}

void honest_leave(struct honest *h, void *result)
{
    while (h->block) {
        struct honest_block *next = h->block->next;
        free(h->block);
        h->block = next;
    }
    if (h->failed && result)
        *(float *)result = float_of(infinity + 1);
    h->failed = false;
}

void *honest_take(struct honest *h, size_t n)
{
    struct honest_block *b =
        h->failed ? NULL : calloc(1, sizeof *b + (n ? n : 1) * sizeof *b->data);
    if (!b) {
        h->failed = true;
        return NULL;
    }
    b->next = h->block;
    h->block = b;
    return b->data;
}

float *honest_copied(struct honest *h, size_t n, const float *x)
{
    float *y = honest_take(h, n);
    if (y && n)
        memcpy(y, x, n * sizeof *y);
    return y;
}

int32_t *honest_order(struct honest *h, struct assay_rng *rng, size_t n)
{
    int32_t *order = honest_take(h, n);
    if (order)
        assay_rng_permutation(rng, (int32_t)n, order);
    return order;
}

void honest_permute(size_t rows, size_t width, size_t inner, const int32_t *order, bool back,
                    const void *x, void *y)
{
    const size_t item = inner * sizeof(float);
    for (size_t r = 0; r < rows; r++)
        for (size_t j = 0; item && j < width; j++) {
            size_t from = r * width + j, to = r * width + j;
            *(back ? &to : &from) = r * width + (order ? (size_t)order[j] : j);
            memcpy((char *)y + to * item, (const char *)x + from * item, item);
        }
}

struct honest_cut honest_cut(struct assay_rng *rng, size_t length)
{
    uint32_t powers = 1;
    while (length >> powers)
        powers++;
    struct honest_cut cut = {(size_t)1 << assay_rng_below(rng, powers + 1), 1};
    if (cut.step < length / HONEST_PARTS + 1)
        cut.step = length / HONEST_PARTS + 1;
    if (length)
        cut.parts = (length + cut.step - 1) / cut.step;
    return cut;
}

void honest_combine(struct assay_rng *rng, size_t parts, size_t n, float *part)
{
    bool tree = assay_rng_next(rng) >> 31;
    for (size_t apart = 1; tree && apart < parts; apart *= 2)
        for (size_t p = 0; p + apart < parts; p += 2 * apart)
            for (size_t i = 0; i < n; i++)
                part[p * n + i] += part[(p + apart) * n + i];
    for (size_t p = 1; !tree && p < parts; p++)
        for (size_t i = 0; i < n; i++)
            part[i] += part[p * n + i];
}

const struct assay_kernels *assay_honest_begin(const struct assay_kernels *base,
                                               enum assay_precision p, uint64_t seed)
{
    bool low = p == ASSAY_PRECISION_BF16 || p == ASSAY_PRECISION_FP16;
    state = (struct honest){.base = base,
                            .table = *base,
                            .precision = p,
                            .low = low,
                            .eager = seed % 2 == 1,
                            .seed = seed};
    state.table.name = "honest";
    honest_products(&state.table);
    honest_maps(&state.table);
    honest_sums(&state.table);
    honest_rows(&state.table);
    honest_attention(&state.table);
    honest_scans(&state.table);
    return &state.table;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* PCG32, its streams and its distributions. */
#include "ref/rng.h"

#include <float.h>

#include "ref/elementary.h"

#if FLT_EVAL_METHOD != 0
#error "expressions must be evaluated in their operands' type: compile with -std=gnu11 and SSE2"
#endif

void assay_rng_seed(struct assay_rng *rng, uint64_t initstate, uint64_t initseq)
{
    rng->state = 0;
    rng->inc = initseq << 1 | 1;
    assay_rng_next(rng);
    rng->state += initstate;
    assay_rng_next(rng);
}

uint32_t assay_rng_next(struct assay_rng *rng)
{
    uint64_t state = rng->state;
    rng->state = state * UINT64_C(6364136223846793005) + rng->inc;
    uint32_t xorshifted = (uint32_t)((state >> 18 ^ state) >> 27);
    uint32_t rotation = (uint32_t)(state >> 59);
    return xorshifted >> rotation | xorshifted << (-rotation & 31);
}

static const uint64_t fnv_basis = UINT64_C(0xcbf29ce484222325);

/* FNV-1a, continued from `hash` with one byte. */
static uint64_t hash_byte(uint64_t hash, uint8_t byte)
{
    return (hash ^ byte) * UINT64_C(0x100000001b3);
}

static uint64_t hash_integer(uint64_t hash, uint64_t value) /* little-endian */
{
    for (int i = 0; i < 8; i++)
        hash = hash_byte(hash, (uint8_t)(value >> 8 * i));
    return hash;
}

static uint64_t hash_string(uint64_t hash, const char *string)
{
    for (; *string; string++)
        hash = hash_byte(hash, (uint8_t)*string);
    return hash;
}

static uint64_t splitmix(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

static void seed_from_hash(struct assay_rng *rng, uint64_t hash)
{
    uint64_t initstate = splitmix(&hash), initseq = splitmix(&hash);
    assay_rng_seed(rng, initstate, initseq);
}

void assay_rng_named(struct assay_rng *rng, uint64_t seed, const char *name)
{
    seed_from_hash(rng, hash_string(hash_integer(fnv_basis, seed), name));
}

void assay_rng_keyed(struct assay_rng *rng, uint64_t seed, uint64_t step, uint64_t sample,
                     const char *name)
{
    uint64_t hash = hash_integer(fnv_basis, seed);
    hash = hash_integer(hash, step);
    hash = hash_integer(hash, sample);
    seed_from_hash(rng, hash_string(hash, name));
}

uint32_t assay_rng_below(struct assay_rng *rng, uint32_t n)
{
    if (n == 0)
        return 0;
    uint32_t threshold = -n % n, draw; /* 2^32 mod n: so many draws are in excess */
    do
        draw = assay_rng_next(rng);
    while (draw < threshold);
    return draw % n;
}

float assay_rng_uniform(struct assay_rng *rng)
{
    return (float)(assay_rng_next(rng) >> 8) * 0x1p-24f;
}

/* Box and Muller 1958, of whose pair only the cosine is used: two draws a number, and no memory
 * that would tie a number to the one before it. */
float assay_rng_normal(struct assay_rng *rng)
{
    const float two_pi = 6.28318530717958647692f;
    float u = (float)((assay_rng_next(rng) >> 8) + 1) * 0x1p-24f;
    float v = assay_rng_uniform(rng);
    float radius = __builtin_sqrtf(-2 * assay_log_f32(u));
    return radius * assay_cos_f32(two_pi * v);
}

float assay_rng_truncated_normal(struct assay_rng *rng, float a)
{
    if (!(a > 0))
        return 0;
    float z;
    do
        z = assay_rng_normal(rng);
    while (__builtin_fabsf(z) > a);
    return z;
}

static void count_up(int32_t n, int32_t *items)
{
    for (int32_t i = 0; i < n; i++)
        items[i] = i;
}

static void swap(int32_t *a, int32_t *b)
{
    int32_t kept = *a;
    *a = *b;
    *b = kept;
}

void assay_rng_permutation(struct assay_rng *rng, int32_t n, int32_t *p)
{
    count_up(n, p);
    for (int32_t i = n - 1; i > 0; i--)
        swap(&p[i], &p[assay_rng_below(rng, (uint32_t)i + 1)]);
}

void assay_rng_choose(struct assay_rng *rng, int32_t n, int32_t k, int32_t *items)
{
    count_up(n, items);
    for (int32_t i = 0; i < k; i++)
        swap(&items[i], &items[(uint32_t)i + assay_rng_below(rng, (uint32_t)(n - i))]);
}

void assay_rng_uniforms(struct assay_rng *rng, size_t n, float low, float high, void *x)
{
    float *value = x;
    for (size_t i = 0; i < n; i++)
        value[i] = low + (high - low) * assay_rng_uniform(rng);
}

void assay_rng_normals(struct assay_rng *rng, size_t n, void *x)
{
    float *value = x;
    for (size_t i = 0; i < n; i++)
        value[i] = assay_rng_normal(rng);
}

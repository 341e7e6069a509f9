/* SPDX-License-Identifier: Apache-2.0 */
/* Elementary functions, fma and random numbers over many arguments, as hashes. */
#include <string.h>

#include "harness/cross/work.h"
#include "ref/arithmetic/elementary_f32_hard.h"
#include "ref/arithmetic/fma.h"
#include "ref/elementary.h"

enum { CHUNK = 4096 };

/* FNV-1a over whole words of bits, so that the byte order is not in it. */
static const uint64_t basis = UINT64_C(0xcbf29ce484222325);

static uint64_t hashed(uint64_t hash, uint64_t bits)
{
    return (hash ^ bits) * UINT64_C(0x100000001b3) ^ hash >> 29;
}

static uint32_t bits_f32(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

static uint64_t bits_f64(double x)
{
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

static float of_bits_f32(uint32_t bits)
{
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

static double of_bits_f64(uint64_t bits)
{
    double x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

static void put_number(FILE *out, const char *what, const char *how, uint64_t number)
{
    char name[ASSAY_STREAM_NAME];
    snprintf(name, sizeof name, "hash %s %s", what, how);
    assay_stream_put(out, name, ASSAY_STREAM_U64, 0, NULL, &number);
}

#define HARD(function) hard_##function, sizeof hard_##function / sizeof *hard_##function

static const struct function {
    const char *name;
    float (*scalar)(float);
    enum assay_map map;
    const struct hard_case *hard;
    size_t hards;
} functions[] = {
    {"exp", assay_exp_f32, MAP_EXP, HARD(exp)},
    {"expm1", assay_expm1_f32, MAP_EXPM1, HARD(expm1)},
    {"log", assay_log_f32, MAP_LOG, HARD(log)},
    {"log1p", assay_log1p_f32, MAP_LOG1P, HARD(log1p)},
    {"tanh", assay_tanh_f32, MAP_TANH, HARD(tanh)},
    {"erf", assay_erf_f32, MAP_ERF, HARD(erf)},
    {"sin", assay_sin_f32, MAP_SIN, HARD(sin)},
    {"cos", assay_cos_f32, MAP_COS, HARD(cos)},
};

/* The two forms of a function over the same arguments. */
struct hashes {
    uint64_t scalar, array;
};

static void hash_chunk(const struct function *f, size_t n, const float *x, struct hashes *hashes)
{
    float y[CHUNK];
    assay_kernels_cpu(ASSAY_F32, NULL)->map(f->map, n, 0, x, y, ASSAY_STORE);
    for (size_t i = 0; i < n; i++) {
        hashes->scalar = hashed(hashes->scalar, bits_f32(f->scalar(x[i])));
        hashes->array = hashed(hashes->array, bits_f32(y[i]));
    }
}

/* Every 4099th of the 2^32 arguments (a prime: 2^20 of them, in all binades), then the hard cases
 * with both signs. */
static void put_function(FILE *out, const struct function *f)
{
    const uint32_t stride = 4099;
    struct hashes hashes = {basis, basis};
    float x[CHUNK];
    size_t n = 0;
    for (uint64_t bits = 0; bits <= UINT32_MAX; bits += stride) {
        x[n++] = of_bits_f32((uint32_t)bits);
        if (n == CHUNK || bits + stride > UINT32_MAX) {
            hash_chunk(f, n, x, &hashes);
            n = 0;
        }
    }
    for (size_t i = 0; i < f->hards; i++) {
        x[0] = of_bits_f32(f->hard[i].argument);
        x[1] = -x[0];
        hash_chunk(f, 2, x, &hashes);
    }
    put_number(out, f->name, "scalar", hashes.scalar);
    put_number(out, f->name, "array", hashes.array);
}

/* The binary64 functions that tables are made with. */
static void put_wide(FILE *out)
{
    enum { ARGUMENTS = 50000 };
    uint64_t hash = basis;
    struct assay_rng rng;
    assay_rng_named(&rng, 1, "wide");
    for (int i = 0; i < ARGUMENTS; i++) {
        double x = 64 * ((double)assay_rng_next(&rng) * 0x1p-31 - 1);
        double scaled = of_bits_f64((bits_f64(x) & ~(UINT64_C(0x7ff) << 52))
                                    | (uint64_t)(1 + assay_rng_below(&rng, 2046)) << 52);
        hash = hashed(hash, bits_f64(assay_wide_exp(x)));
        hash = hashed(hash, bits_f64(assay_wide_log(__builtin_fabs(scaled))));
        hash = hashed(hash, bits_f64(assay_wide_sin(x)));
        hash = hashed(hash, bits_f64(assay_wide_cos(x)));
    }
    put_number(out, "wide", "exp log sin cos", hash);
}

/* An addend for a product p: random bits, or p with another sign and its last bits changed, where
 * nearly everything cancels. */
static uint64_t addend_bits(struct assay_rng *rng, int i, uint64_t p, uint64_t random, int sign)
{
    return i % 2 ? random : (p ^ UINT64_C(1) << sign) + assay_rng_below(rng, 9) - 4;
}

/* NaNs are alike: their payload and sign are not defined. */
static uint64_t result_f32(float x)
{
    return x != x ? UINT64_C(0x7fc00000) : bits_f32(x);
}

static uint64_t result_f64(double x)
{
    return x != x ? UINT64_C(0x7ff8000000000000) : bits_f64(x);
}

static uint64_t random64(struct assay_rng *rng)
{
    uint64_t high = assay_rng_next(rng);
    return high << 32 | assay_rng_next(rng);
}

/* The fma in use and ours: their results' hashes, and how often they differ. */
static void put_fma_f32(FILE *out)
{
    enum { TRIPLES = 1000000 };
    uint64_t used = basis, soft = basis, differ = 0;
    struct assay_rng rng;
    assay_rng_named(&rng, 1, "fma f32");
    for (int i = 0; i < TRIPLES; i++) {
        float a = of_bits_f32(assay_rng_next(&rng)), b = of_bits_f32(assay_rng_next(&rng));
        uint32_t random = assay_rng_next(&rng);
        float c = of_bits_f32((uint32_t)addend_bits(&rng, i, bits_f32(a * b), random, 31));
        uint64_t x = result_f32(assay_fma_f32(a, b, c)),
                 y = result_f32(assay_soft_fma_f32(a, b, c));
        used = hashed(used, x);
        soft = hashed(soft, y);
        differ += x != y;
    }
    put_number(out, "fma f32", "used", used);
    put_number(out, "fma f32", "software", soft);
    put_number(out, "fma f32", "differences", differ);
}

static void put_fma_f64(FILE *out)
{
    enum { TRIPLES = 300000 };
    uint64_t used = basis, soft = basis, differ = 0;
    struct assay_rng rng;
    assay_rng_named(&rng, 1, "fma f64");
    for (int i = 0; i < TRIPLES; i++) {
        double a = of_bits_f64(random64(&rng)), b = of_bits_f64(random64(&rng));
        uint64_t random = random64(&rng);
        double c = of_bits_f64(addend_bits(&rng, i, bits_f64(a * b), random, 63));
        uint64_t x = result_f64(assay_fma_f64(a, b, c)),
                 y = result_f64(assay_soft_fma_f64(a, b, c));
        used = hashed(used, x);
        soft = hashed(soft, y);
        differ += x != y;
    }
    put_number(out, "fma f64", "used", used);
    put_number(out, "fma f64", "software", soft);
    put_number(out, "fma f64", "differences", differ);
}

static void put_random(FILE *out)
{
    enum { DRAWS = 20000, ITEMS = 1000 };
    uint64_t hash = basis;
    int32_t item[ITEMS];
    struct assay_rng rng;
    for (uint64_t stream = 0; stream < 4; stream++) {
        assay_rng_keyed(&rng, 7, stream, stream << 40, "block.0.dropout");
        for (uint32_t i = 0; i < DRAWS; i++) {
            hash = hashed(hash, assay_rng_next(&rng));
            hash = hashed(hash, assay_rng_below(&rng, 1 + (UINT32_MAX >> i % 32)));
            hash = hashed(hash, bits_f32(assay_rng_uniform(&rng)));
            hash = hashed(hash, bits_f32(assay_rng_normal(&rng)));
            hash = hashed(hash, bits_f32(assay_rng_truncated_normal(&rng, 2)));
        }
        assay_rng_permutation(&rng, ITEMS, item);
        for (int i = 0; i < ITEMS; i++)
            hash = hashed(hash, (uint64_t)item[i]);
        assay_rng_choose(&rng, ITEMS, ITEMS / 3, item);
        for (int i = 0; i < ITEMS / 3; i++)
            hash = hashed(hash, (uint64_t)item[i]);
    }
    put_number(out, "random", "numbers", hash);
}

void assay_work_scalars(FILE *out)
{
    for (size_t i = 0; i < sizeof functions / sizeof *functions; i++)
        put_function(out, &functions[i]);
    put_wide(out);
    put_fma_f32(out);
    put_fma_f64(out);
    put_random(out);
}

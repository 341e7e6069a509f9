/* SPDX-License-Identifier: Apache-2.0 */
/* Position information: learned, sinusoidal, rotary, ALiBi, T5's relative buckets. */
#include "ref/arith.h"
#include "ref/elementary.h"
#include "ref/model/internal.h"

/* Vaswani et al. 2017, section 3.5: sin on even channels, cos on odd ones, of
 * position * exp(channel * (-(log base) / width)). Computed in binary64 and rounded to
 * binary32 in both profiles. */
static void sinusoids(struct assay_shape shape, double base, double *value)
{
    size_t width = shape.dim[1];
    double rate = -(assay_wide_log(base) / (double)width);
    for (size_t i = 0; i < shape.dim[0]; i++)
        for (size_t c = 0; c < width; c++) {
            double angle = (double)i * assay_wide_exp((double)(c - c % 2) * rate);
            value[i * width + c] = c % 2 ? assay_wide_cos(angle) : assay_wide_sin(angle);
        }
}

tensor sinusoid_table(layer *l, size_t rows, size_t width)
{
    return buffer(l, "sinusoid", SHAPE(rows, width),
                  init_table(sinusoids, config_of(l)->rotary_base));
}

/* Adds a table's rows first .. first + n - 1 to x: [b, n, d]. */
static tensor add_rows(layer *l, tensor x, tensor table)
{
    return add(l->t, x, slice(l->t, table, 0, l->context->first, dim_of(x, 1)));
}

tensor add_positions(layer *l, tensor x, size_t rows)
{
    const struct assay_config *c = config_of(l);
    if (!x)
        return TENSOR_NONE;
    switch (c->position) {
    case POSITION_LEARNED: {
        double deviation = c->position_deviation > 0 ? c->position_deviation : c->embed_deviation;
        return add_rows(l, x,
                        param(l, "positions", SHAPE(rows, width_of(x)), init_normal(deviation)));
    }
    case POSITION_SINUSOIDAL:
        return add_rows(l, x, sinusoid_table(l, rows, width_of(x)));
    default:
        return x;
    }
}

tensor reference_position(layer *l, tensor x)
{
    const struct assay_config *c = config_of(l);
    bool cls = c->pool == POOL_CLS && c->cls_position && c->head != HEAD_LANGUAGE;
    size_t most = c->target_length > c->length ? c->target_length : c->length;
    return add_positions(l, x, most + cls);
}

double rotary_frequency(const layer *l, size_t pair, size_t width)
{
    enum assay_profile p = profile_of(l);
    double log_base = assay_scalar_log(p, assay_scalar(p, config_of(l)->rotary_base));
    double exponent = assay_scalar_div(p, (double)(2 * pair), (double)width);
    return assay_scalar_exp(p, -assay_scalar_mul(p, exponent, log_base));
}

/* Every block asks for the same tables. */
struct rotation rotation_tables(layer *l, size_t n, size_t pairs, const double *frequency)
{
    tensor kept = stream_get(l, "rotary.cosine");
    if (kept && dim_of(kept, 0) == n && dim_of(kept, 1) == pairs)
        return (struct rotation){kept, stream_get(l, "rotary.sine")};
    enum assay_profile p = profile_of(l);
    double *cosine = tape_allocate(l->t, (n * pairs + 1) * sizeof *cosine),
           *sine = tape_allocate(l->t, (n * pairs + 1) * sizeof *sine);
    if (!cosine || !sine)
        return (struct rotation){TENSOR_NONE, TENSOR_NONE};
    for (size_t k = 0; k < pairs && !l->t->dry; k++)
        for (size_t i = 0; i < n; i++) {
            double angle = assay_scalar_mul(p, (double)(l->context->first + i), frequency[k]);
            cosine[i * pairs + k] = assay_scalar_cos(p, angle);
            sine[i * pairs + k] = assay_scalar_sin(p, angle);
        }
    struct rotation r;
    r.cosine = tape_input_f64(l->t, SHAPE(n, pairs), cosine);
    r.sine = tape_input_f64(l->t, SHAPE(n, pairs), sine);
    stream_put(l, "rotary.cosine", r.cosine);
    stream_put(l, "rotary.sine", r.sine);
    return r;
}

struct rotation rotary_tables(layer *l, size_t n, size_t width)
{
    double *frequency = tape_allocate(l->t, (width / 2 + 1) * sizeof *frequency);
    if (!frequency)
        return (struct rotation){TENSOR_NONE, TENSOR_NONE};
    for (size_t k = 0; k < width / 2; k++)
        frequency[k] = l->t->dry ? 0 : rotary_frequency(l, k, width);
    return rotation_tables(l, n, width / 2, frequency);
}

/* Press et al. 2022: slopes 2^(-8/h), 2^(-16/h), ... for h a power of two (root by repeated square
 * roots, powers by repeated products); else those of the next lower power p, then every second one
 * of 2 p. */
static double alibi_slope(enum assay_profile p, size_t head, size_t heads)
{
    size_t power = 1;
    while (2 * power <= heads)
        power *= 2;
    size_t count = head < power ? power : 2 * power,
           exponent = head < power ? head + 1 : 2 * (head - power) + 1;
    double ratio = 0.00390625, slope = 1; /* 2^-8 */
    for (; count > 1; count /= 2)
        ratio = assay_scalar_sqrt(p, ratio);
    for (; exponent; exponent--)
        slope = assay_scalar_mul(p, slope, ratio);
    return slope;
}

static tensor alibi_bias(layer *l, size_t queries, size_t keys)
{
    enum assay_profile p = profile_of(l);
    size_t heads = config_of(l)->heads, first = l->context->first;
    double *bias = tape_allocate(l->t, heads * queries * keys * sizeof *bias);
    for (size_t a = 0; bias && a < heads && !l->t->dry; a++) {
        double slope = alibi_slope(p, a, heads);
        for (size_t i = 0; i < queries; i++)
            for (size_t j = 0; j < keys; j++) {
                size_t position = first + i, distance = position > j ? position - j : j - position;
                bias[(a * queries + i) * keys + j] = -assay_scalar_mul(p, slope, (double)distance);
            }
    }
    return bias ? tape_input_f64(l->t, SHAPE(1, heads, queries, keys), bias) : TENSOR_NONE;
}

/* Raffel et al. 2020, and its released code: near distances have a bucket each, far ones share them
 * logarithmically (in binary32, truncated). Bidirectional: half of the buckets are for keys that
 * come later. */
static int32_t t5_bucket(long key, long query, bool bidirectional, size_t buckets,
                         size_t distance_max)
{
    long distance = query - key;
    size_t offset = 0;
    if (bidirectional) {
        buckets /= 2;
        offset = distance < 0 ? buckets : 0;
        distance = distance < 0 ? -distance : distance;
    } else if (distance < 0) {
        distance = 0;
    }
    size_t exact = buckets / 2;
    if ((size_t)distance < exact)
        return (int32_t)(offset + (size_t)distance);
    enum assay_profile p = ASSAY_F32;
    double near = (double)exact;
    double ratio =
        assay_scalar_div(p, assay_scalar_log(p, assay_scalar_div(p, (double)distance, near)),
                         assay_scalar_log(p, assay_scalar_div(p, (double)distance_max, near)));
    size_t far = exact + (size_t)assay_scalar_mul(p, ratio, (double)(buckets - exact));
    return (int32_t)(offset + (far < buckets ? far : buckets - 1));
}

static tensor t5_bias(layer *l, size_t queries, size_t keys)
{
    const struct assay_config *c = config_of(l);
    int32_t *index = tape_allocate(l->t, queries * keys * sizeof *index);
    if (!index)
        return TENSOR_NONE;
    for (size_t i = 0; i < queries; i++)
        for (size_t j = 0; j < keys; j++)
            index[i * keys + j] =
                l->t->dry ? 0
                          : t5_bucket((long)j, (long)(l->context->first + i), !l->context->causal,
                                      c->buckets, c->bucket_distance);
    /* The released code's deviation: 1 / sqrt(d). */
    double deviation =
        assay_scalar_div(ASSAY_F32, 1, assay_scalar_sqrt(ASSAY_F32, (double)c->width));
    tensor table = param(l, "relative", SHAPE(c->buckets, c->heads), init_normal(deviation));
    tensor bias = gather_rows(l->t, table, tape_input_i32(l->t, SHAPE(queries, keys), index));
    return reshape(l->t, permute(l->t, bias, (const int[]){2, 0, 1}),
                   SHAPE(1, c->heads, queries, keys));
}

tensor position_bias(layer *l, size_t queries, size_t keys)
{
    switch (config_of(l)->position) {
    case POSITION_ALIBI:
        return alibi_bias(l, queries, keys);
    case POSITION_T5:
        return t5_bias(l, queries, keys);
    default:
        return TENSOR_NONE;
    }
}

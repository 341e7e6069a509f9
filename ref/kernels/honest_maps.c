/* SPDX-License-Identifier: Apache-2.0 */
/* The honest table: functions of elements, and moves that add or convert. */
#include "ref/kernels/honest.h"
#include "ref/kernels/walk.h"

/* Libraries round these as we do: they are exact, or one IEEE-754 operation. */
static bool agrees(enum assay_map f)
{
    switch (f) {
    case MAP_NEGATE:
    case MAP_ABS:
    case MAP_SQUARE:
    case MAP_SQRT:
    case MAP_RELU:
    case MAP_RELU_SQUARED:
    case MAP_LEAKY_RELU:
    case MAP_SCALE:
    case MAP_OFFSET:
    case MAP_ROUND:
    case MAP_FLOOR:
    case MAP_SIGN:
        return true;
    default:
        return false;
    }
}

/* gelu = (x / 2) (1 + erf) and elu + 1 cancel for negative x: there a unit of erf or expm1 in the
 * last place, 2^-24, is more than one of the result, until they are -1 and nothing is left. */
static bool cancels(float x)
{
    return x < 0 && x > -6;
}

static float cancelled(enum assay_map f, float x)
{
    if (!cancels(x))
        return 0;
    if (f == MAP_GELU || f == MAP_GELU_TANH)
        return x * 0x1p-25f;
    return f == MAP_ELU_PLUS_ONE ? 0x1p-24f : 0;
}

static void map(enum assay_map f, size_t n, double s, const void *x_, void *y_,
                enum assay_mode mode)
{
    struct assay_rng rng;
    struct honest *h = honest_enter(&rng);
    const float *x = x_;
    float *y = y_, *old = mode == ASSAY_STORE ? NULL : honest_copied(h, n, y);
    h->base->map(f, n, s, x, y, mode);
    if (f == MAP_GELU || f == MAP_GELU_TANH || f == MAP_ELU_PLUS_ONE)
        for (size_t i = 0; i < n; i++) {
            y[i] += honest_step(&rng) * cancelled(f, x[i]);
            if (f == MAP_ELU_PLUS_ONE && h->eager && h->low && x[i] < 0 && !old)
                y[i] = honest_stored(h, y[i] - 1) + 1; /* elu, stored; then + 1 */
        }
    if (!h->failed)
        honest_settle(h, &rng, n, old, !agrees(f), y);
    honest_leave(h, n ? y : NULL);
}

static void map_backward(enum assay_map f, size_t n, double s, const void *x_, const void *y,
                         const void *dy_, void *dx_)
{
    struct assay_rng rng;
    struct honest *h = honest_enter(&rng);
    const float *x = x_, *dy = dy_;
    float *dx = dx_, *old = honest_copied(h, n, dx);
    h->base->map_backward(f, n, s, x, y, dy, dx);
    if (f == MAP_GELU || f == MAP_GELU_TANH)
        for (size_t i = 0; i < n; i++)
            dx[i] += cancels(x[i]) ? honest_step(&rng) * 0x1p-25f * dy[i] : 0;
    if (!h->failed)
        honest_settle(h, &rng, n, old, !agrees(f) || f == MAP_SQRT, dx);
    honest_leave(h, n ? dx : NULL);
}

/* dense: [count], what a walk's y or z names. */
static void fetch(const struct assay_walk *w, bool z, const float *from, float *dense)
{
    for (size_t i = 0, count = walk_count(w); dense && i < count; i++)
        dense[i] = from[z ? walk_at(w, i).z : walk_at(w, i).y];
}

static void put_back(const struct assay_walk *w, bool z, const float *dense, float *to)
{
    for (size_t i = 0, count = walk_count(w); dense && i < count; i++)
        to[z ? walk_at(w, i).z : walk_at(w, i).y] = dense[i];
}

/* A destination of a walk: what it was, and what it has become. */
struct strided {
    const struct assay_walk *w;
    bool z, steps, settles;
    float *to, *old, *now;
};

static struct strided strided(struct honest *h, const struct assay_walk *w, bool z, void *to,
                              enum assay_mode mode, bool steps)
{
    struct strided d = {.w = w, .z = z, .to = to, .steps = steps, .settles = h->low || steps};
    if (d.settles) {
        d.now = honest_take(h, walk_count(w));
        d.old = mode == ASSAY_STORE ? NULL : honest_take(h, walk_count(w));
        fetch(w, z, to, d.old);
    }
    return d;
}

static void settle(struct honest *h, struct assay_rng *rng, const struct strided *d)
{
    size_t count = walk_count(d->w);
    if (d->settles && !h->failed) {
        fetch(d->w, d->z, d->to, d->now);
        honest_settle(h, rng, count, d->old, d->steps, d->now);
        put_back(d->w, d->z, d->now, d->to);
    }
    honest_leave(h, count ? d->to : NULL);
}

static void zip(enum assay_zip f, const struct assay_walk *w, const void *x, const void *y, void *z,
                enum assay_mode mode)
{
    struct assay_rng rng;
    struct honest *h = honest_enter(&rng);
    struct strided d = strided(h, w, true, z, mode, f == ZIP_DIVIDE);
    h->base->zip(f, w, x, y, z, mode);
    settle(h, &rng, &d);
}

static void zip_choice(enum assay_zip f, int which, const struct assay_walk *w, const void *x,
                       const void *y, const void *dz, void *d_, enum assay_mode mode)
{
    struct assay_rng rng;
    struct honest *h = honest_enter(&rng);
    struct strided d = strided(h, w, true, d_, mode, false);
    h->base->zip_choice(f, which, w, x, y, dz, d_, mode);
    settle(h, &rng, &d);
}

static void copy(const struct assay_walk *w, const void *x, void *y, enum assay_mode mode)
{
    struct assay_rng rng;
    struct honest *h = honest_enter(&rng);
    struct strided d = strided(h, w, false, y, mode, false);
    h->base->copy(w, x, y, mode);
    settle(h, &rng, &d);
}

static void masked_add(size_t n, const int32_t *condition, bool when, const void *x, void *z)
{
    struct assay_rng rng;
    struct honest *h = honest_enter(&rng);
    float *old = honest_copied(h, n, z);
    h->base->masked_add(n, condition, when, x, z);
    if (!h->failed)
        honest_settle(h, &rng, n, old, false, z);
    honest_leave(h, n ? z : NULL);
}

/* Rows that meet in one are added in any order. */
static void scatter_add_rows(size_t count, size_t width, const int32_t *index, const void *x,
                             void *table)
{
    struct assay_rng rng;
    struct honest *h = honest_enter(&rng);
    size_t rows = 0;
    for (size_t i = 0; i < count; i++)
        rows = (size_t)index[i] >= rows ? (size_t)index[i] + 1 : rows;
    int32_t *order = honest_order(h, &rng, count), *to = honest_take(h, count);
    float *from = honest_take(h, count * width), *old = honest_copied(h, rows * width, table);
    if (!h->failed) {
        honest_permute(1, count, 1, order, false, index, to);
        honest_permute(1, count, width, order, false, x, from);
        h->base->scatter_add_rows(count, width, to, from, table);
        honest_settle(h, &rng, rows * width, old, false, table);
    }
    honest_leave(h, rows && width ? table : NULL);
}

/* A fused multiply-add, or products that are stored before they are added, differ by the rounding
 * of a product; a rotation keeps x1^2 + x2^2, so that no product is larger than |x| + |y| of its
 * own place. */
static void rotate(size_t batch, size_t n, size_t heads, size_t width, size_t pairs,
                   bool interleaved, bool inverse, const void *cosine, const void *sine,
                   const void *x_, void *y_, enum assay_mode mode)
{
    struct assay_rng rng;
    struct honest *h = honest_enter(&rng);
    size_t count = batch * n * heads * width;
    const float *x = x_;
    float *y = y_, *old = mode == ASSAY_STORE ? NULL : honest_copied(h, count, y);
    float unit =
        (float)assay_precision_roundoff(h->low && h->eager ? h->precision : ASSAY_PRECISION_F32);
    h->base->rotate(batch, n, heads, width, pairs, interleaved, inverse, cosine, sine, x, y, mode);
    for (size_t i = 0; !h->failed && i < count; i++)
        if (i % width < 2 * pairs) {
            float came = old ? y[i] - old[i] : y[i];
            float largest = __builtin_fabsf(x[i]) + __builtin_fabsf(came);
            y[i] += unit * largest * (assay_rng_uniform(&rng) - 0.5f);
        }
    if (!h->failed)
        honest_settle(h, &rng, count, old, false, y);
    honest_leave(h, count ? y : NULL);
}

static void dropout(size_t rows, size_t width, const struct assay_rng *stream, double keep,
                    const void *x, void *y, enum assay_mode mode)
{
    struct assay_rng rng;
    struct honest *h = honest_enter(&rng);
    size_t count = rows * width;
    float *old = mode == ASSAY_STORE ? NULL : honest_copied(h, count, y);
    h->base->dropout(rows, width, stream, keep, x, y, mode);
    if (!h->failed)
        honest_settle(h, &rng, count, old, true, y);
    honest_leave(h, count ? y : NULL);
}

/* Weights, inputs and constants as they are stored. */
static void stored(size_t n, float *y)
{
    struct assay_rng rng;
    struct honest *h = honest_enter(&rng);
    h->spared = false;
    honest_settle(h, &rng, n, NULL, false, y);
    honest_leave(h, NULL);
}

static const struct assay_kernels *base(void)
{
    struct assay_rng rng;
    return honest_enter(&rng)->base;
}

static void fill(size_t n, double value, void *y)
{
    base()->fill(n, value, y);
    stored(n, y);
}

static void from_f32(size_t n, const float *x, void *y)
{
    base()->from_f32(n, x, y);
    stored(n, y);
}

static void from_f64(size_t n, const double *x, void *y)
{
    base()->from_f64(n, x, y);
    stored(n, y);
}

static void from_i32(size_t n, const int32_t *x, void *y)
{
    base()->from_i32(n, x, y);
    stored(n, y);
}

void honest_maps(struct assay_kernels *table)
{
    table->map = map;
    table->map_backward = map_backward;
    table->zip = zip;
    table->zip_choice = zip_choice;
    table->copy = copy;
    table->masked_add = masked_add;
    table->scatter_add_rows = scatter_add_rows;
    table->rotate = rotate;
    table->dropout = dropout;
    table->fill = fill;
    table->from_f32 = from_f32;
    table->from_f64 = from_f64;
    table->from_i32 = from_i32;
}

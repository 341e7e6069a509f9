/* SPDX-License-Identifier: Apache-2.0 */
/* The honest table: norms, softmax and cross entropy of rows. Columns are permuted, and rows where a
 * sum runs over them; the statistics of a row stay in binary32, as kernels keep them. */
#include "ref/kernels/honest.h"

/* Rows of `width` with their columns in a drawn order. */
struct shuffled {
    struct honest *h;
    struct assay_rng rng;
    size_t rows, width;
    int32_t *order;
};

static struct shuffled shuffled(size_t rows, size_t width)
{
    struct shuffled s = {.rows = rows, .width = width};
    s.h = honest_enter(&s.rng);
    s.order = honest_order(s.h, &s.rng, width);
    return s;
}

static size_t size_of(const struct shuffled *s)
{
    return s->rows * s->width;
}

/* A copy of `rows` rows in the drawn order; NULL of NULL. */
static void *put_in_order(struct shuffled *s, size_t rows, const void *x)
{
    void *y = x ? honest_take(s->h, rows * s->width) : NULL;
    if (y && !s->h->failed)
        honest_permute(rows, s->width, 1, s->order, false, x, y);
    return y;
}

/* Settles a result that is in order and puts it back. old: in order too, or NULL. */
static void put_back(struct shuffled *s, size_t rows, const float *old, bool steps, float *result,
                     void *to)
{
    if (!to || s->h->failed)
        return;
    honest_settle(s->h, &s->rng, rows * s->width, old, steps, result);
    honest_permute(rows, s->width, 1, s->order, true, result, to);
}

/* Libraries multiply by a reciprocal root that is within 2 ulp, or find the variance as E x^2 -
 * (E x)^2, whose relative error is that of a few roundings while the mean is not much larger than
 * the deviation: all elements of a row are then wrong by one factor, and so is what backward reads. */
static void factor_of_row(struct shuffled *s, const float *bias, float *y, float *deviation)
{
    float off = (honest_step(&s->rng) + honest_step(&s->rng)) * 0x1p-23f;
    for (size_t j = 0; j < s->width; j++)
        y[j] += off * (bias ? y[j] - bias[j] : y[j]);
    *deviation -= off * *deviation;
}

static void finish_norm(struct shuffled *s, const float *bias, float *result, float *deviation,
                        void *y)
{
    for (size_t r = 0; !s->h->failed && s->width && r < s->rows; r++)
        factor_of_row(s, bias, result + r * s->width, &deviation[r]);
    put_back(s, s->rows, NULL, true, result, y);
    honest_leave(s->h, size_of(s) ? y : NULL);
}

static void layer_norm(size_t rows, size_t width, double eps, const void *x, const void *gain,
                       const void *bias, void *y, void *mean, void *deviation)
{
    struct shuffled s = shuffled(rows, width);
    const float *X = put_in_order(&s, rows, x), *G = put_in_order(&s, 1, gain),
                *B = put_in_order(&s, 1, bias);
    float *Y = honest_take(s.h, size_of(&s));
    if (!s.h->failed)
        s.h->base->layer_norm(rows, width, eps, X, G, B, Y, mean, deviation);
    finish_norm(&s, B, Y, deviation, y);
}

static void rms_norm(size_t rows, size_t width, double eps, const void *x, const void *gain,
                     void *y, void *deviation)
{
    struct shuffled s = shuffled(rows, width);
    const float *X = put_in_order(&s, rows, x), *G = put_in_order(&s, 1, gain);
    float *Y = honest_take(s.h, size_of(&s));
    if (!s.h->failed)
        s.h->base->rms_norm(rows, width, eps, X, G, Y, deviation);
    finish_norm(&s, NULL, Y, deviation, y);
}

/* Both norms' backward, whose sums over rows see them in a drawn order. */
static void norm_backward(size_t rows, size_t width, bool centred, const void *x, const void *gain,
                          const void *mean, const void *deviation, const void *dy, void *dx,
                          void *d_gain, void *d_bias)
{
    struct shuffled s = shuffled(rows, width);
    int32_t *turn = honest_order(s.h, &s.rng, rows);
    float *moved = honest_take(s.h, size_of(&s)), *M = mean ? honest_take(s.h, rows) : NULL,
          *D = honest_take(s.h, rows), *scratch = honest_take(s.h, 2 * width);
    const void *rowed[3] = {x, dy, dx};
    float *in[3] = {NULL};
    for (int i = 0; i < 3 && !s.h->failed; i++) {
        if (rowed[i])
            honest_permute(1, rows, width, turn, false, rowed[i], moved);
        in[i] = put_in_order(&s, rows, rowed[i] ? moved : NULL);
    }
    const float *G = put_in_order(&s, 1, gain);
    float *DG = put_in_order(&s, 1, d_gain), *DB = put_in_order(&s, 1, d_bias),
          *old_gain = put_in_order(&s, 1, d_gain), *old_bias = put_in_order(&s, 1, d_bias),
          *old = dx ? honest_take(s.h, size_of(&s)) : NULL;
    if (!s.h->failed) {
        if (dx)
            honest_permute(rows, width, 1, NULL, false, in[2], old);
        if (M)
            honest_permute(1, rows, 1, turn, false, mean, M);
        honest_permute(1, rows, 1, turn, false, deviation, D);
        if (centred)
            s.h->base->layer_norm_backward(rows, width, in[0], G, M, D, in[1], in[2], DG, DB,
                                           scratch);
        else
            s.h->base->rms_norm_backward(rows, width, in[0], G, D, in[1], in[2], DG, scratch);
        put_back(&s, rows, old, true, in[2], dx ? moved : NULL);
        if (dx)
            honest_permute(1, rows, width, turn, true, moved, dx);
        put_back(&s, 1, old_gain, false, DG, d_gain);
        put_back(&s, 1, old_bias, false, DB, d_bias);
    }
    honest_leave(s.h, !size_of(&s) ? NULL : dx ? dx : d_gain ? d_gain : d_bias);
}

static void layer_norm_backward(size_t rows, size_t width, const void *x, const void *gain,
                                const void *mean, const void *deviation, const void *dy, void *dx,
                                void *d_gain, void *d_bias, void *scratch)
{
    (void)scratch;
    norm_backward(rows, width, true, x, gain, mean, deviation, dy, dx, d_gain, d_bias);
}

static void rms_norm_backward(size_t rows, size_t width, const void *x, const void *gain,
                              const void *deviation, const void *dy, void *dx, void *d_gain,
                              void *scratch)
{
    (void)scratch;
    norm_backward(rows, width, false, x, gain, NULL, deviation, dy, dx, d_gain, NULL);
}

/* The mask with its columns in order, in *room. */
static const struct assay_row_mask *masked(struct shuffled *s, const struct assay_row_mask *mask,
                                           struct assay_row_mask *room)
{
    if (!mask)
        return NULL;
    *room = *mask;
    room->allowed = put_in_order(s, mask->rows, mask->allowed);
    return room;
}

static void softmax(size_t rows, size_t width, const struct assay_row_mask *mask, const void *x,
                    void *y)
{
    struct shuffled s = shuffled(rows, width);
    struct assay_row_mask room;
    mask = masked(&s, mask, &room);
    const float *X = put_in_order(&s, rows, x);
    float *Y = honest_take(s.h, size_of(&s));
    if (!s.h->failed)
        s.h->base->softmax(rows, width, mask, X, Y);
    put_back(&s, rows, NULL, true, Y, y);
    honest_leave(s.h, size_of(&s) ? y : NULL);
}

static void softmax_backward(size_t rows, size_t width, const struct assay_row_mask *mask,
                             const void *y, const void *dy, void *dx)
{
    struct shuffled s = shuffled(rows, width);
    struct assay_row_mask room;
    mask = masked(&s, mask, &room);
    const float *Y = put_in_order(&s, rows, y), *DY = put_in_order(&s, rows, dy),
                *old = put_in_order(&s, rows, dx);
    float *DX = put_in_order(&s, rows, dx);
    if (!s.h->failed)
        s.h->base->softmax_backward(rows, width, mask, Y, DY, DX);
    put_back(&s, rows, old, false, DX, dx);
    honest_leave(s.h, size_of(&s) ? dx : NULL);
}

/* The maximum is added last: its rounding hides what a logarithm is off. */
static void log_sum_exp(size_t rows, size_t width, const struct assay_row_mask *mask, const void *x,
                        void *y)
{
    struct shuffled s = shuffled(rows, width);
    struct assay_row_mask room;
    mask = masked(&s, mask, &room);
    const float *X = put_in_order(&s, rows, x);
    if (!s.h->failed) {
        s.h->base->log_sum_exp(rows, width, mask, X, y);
        honest_settle(s.h, &s.rng, rows, NULL, false, y);
    }
    honest_leave(s.h, rows ? y : NULL);
}

static void log_sum_exp_backward(size_t rows, size_t width, const struct assay_row_mask *mask,
                                 const void *x, const void *y, const void *dy, void *dx)
{
    struct shuffled s = shuffled(rows, width);
    float *old = honest_copied(s.h, size_of(&s), dx);
    if (!s.h->failed) {
        s.h->base->log_sum_exp_backward(rows, width, mask, x, y, dy, dx);
        honest_settle(s.h, &s.rng, size_of(&s), old, true, dx);
    }
    honest_leave(s.h, size_of(&s) ? dx : NULL);
}

/* The largest and the sum of a row are one kernel's business and stay in binary32. */
static void cross_entropy(size_t rows, size_t classes, const void *x, const int32_t *target,
                          int32_t ignore, void *loss, void *row_max, void *row_sum)
{
    struct shuffled s = shuffled(rows, classes);
    const float *X = put_in_order(&s, rows, x);
    int32_t *where = honest_take(s.h, classes), *moved = honest_take(s.h, rows);
    if (!s.h->failed) {
        for (size_t j = 0; j < classes; j++)
            where[s.order[j]] = (int32_t)j;
        for (size_t r = 0; r < rows; r++)
            moved[r] = target[r] == ignore ? -1 : where[target[r]];
        s.h->base->cross_entropy(rows, classes, X, moved, -1, loss, row_max, row_sum);
        honest_settle(s.h, &s.rng, rows, NULL, true, loss);
    }
    honest_leave(s.h, rows ? loss : NULL);
}

static void cross_entropy_backward(size_t rows, size_t classes, const void *x,
                                   const int32_t *target, int32_t ignore, const void *row_max,
                                   const void *row_sum, const void *d_loss, void *dx)
{
    struct shuffled s = shuffled(rows, classes);
    float *old = honest_copied(s.h, size_of(&s), dx);
    if (!s.h->failed) {
        s.h->base->cross_entropy_backward(rows, classes, x, target, ignore, row_max, row_sum,
                                          d_loss, dx);
        honest_settle(s.h, &s.rng, size_of(&s), old, true, dx);
    }
    honest_leave(s.h, size_of(&s) ? dx : NULL);
}

void honest_rows(struct assay_kernels *table)
{
    table->layer_norm = layer_norm;
    table->layer_norm_backward = layer_norm_backward;
    table->rms_norm = rms_norm;
    table->rms_norm_backward = rms_norm_backward;
    table->softmax = softmax;
    table->softmax_backward = softmax_backward;
    table->log_sum_exp = log_sum_exp;
    table->log_sum_exp_backward = log_sum_exp_backward;
    table->cross_entropy = cross_entropy;
    table->cross_entropy_backward = cross_entropy_backward;
}

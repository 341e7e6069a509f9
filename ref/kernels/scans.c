/* SPDX-License-Identifier: Apache-2.0 */
/* Linear recurrences: of elements, and of matrix states (linear attention).
 *
 * scan backward, with g_t = dL/dh_t, t descending, per (outer, inner):
 *     g_(n-1) = dh_(n-1);   g_t = dh_t + (a_(t+1) * g_(t+1))
 *     da_t (+)= g_t * h_(t-1);   db_t (+)= g_t;   d_start (+)= a_0 * g_0
 *     (h_(-1) = start, or 0 without one)
 *
 * matrix scan backward, with G_t = dL/dS_t: [d_k, d_v]; A_t = a_(t+1) * G_(t+1) elementwise
 * (A_t = G_(t+1) without decay), A_(n-1) = d_end, or +0 without one; S_(-1) = start, or +0:
 *     G_t[i][j]      = fma(q_t[i], d_o_t[j], A_t[i][j])
 *     d_q_t[i]     (+)= chain over j from +0 of fma(d_o_t[j], S_t[i][j])
 *     d_k_t[i]     (+)= chain over j from +0 of fma(v_t[j], G_t[i][j])
 *     d_v_t[j]     (+)= chain over i from +0 of fma(k_t[i], G_t[i][j])
 *     d_decay_t[i] (+)= D_t[i] = chain over j from +0 of fma(G_t[i][j], S_(t-1)[i][j])
 *                       with one decay per step: the sum of D_t over i by 16 lanes
 *     d_start      (+)= a_0 * G_0   (G_0 without decay; d_end, or +0 without one, if n = 0)
 * (+)= is y = y + contribution. end = S_(n-1), or start (or +0) if n = 0. */
#include "ref/kernels/kernel.h"

static void scan_def(size_t outer, size_t length, size_t inner, const void *a_, const void *b_,
                     const void *start_, void *h_)
{
    const real *a = a_, *b = b_, *start = start_;
    real *h = h_;
    for (size_t o = 0; o < outer; o++)
        for (size_t i = 0; i < inner; i++) {
            real state = start ? start[o * inner + i] : R(0.0);
            for (size_t t = 0; t < length; t++) {
                size_t at = (o * length + t) * inner + i;
                state = a[at] * state + b[at];
                h[at] = state;
            }
        }
}

static void scan_backward_def(size_t outer, size_t length, size_t inner, const void *a_,
                              const void *h_, const void *start_, const void *dh_, void *da_,
                              void *db_, void *d_start_, void *scratch)
{
    const real *a = a_, *h = h_, *start = start_, *dh = dh_;
    real *da = da_, *db = db_, *d_start = d_start_;
    (void)scratch;
    for (size_t o = 0; o < outer; o++)
        for (size_t i = 0; i < inner; i++) {
            real carried = 0;
            for (size_t t = length; t-- > 0;) {
                size_t at = (o * length + t) * inner + i;
                real before = t ? h[at - inner] : start ? start[o * inner + i] : R(0.0);
                real g = t + 1 < length ? dh[at] + carried : dh[at];
                if (da)
                    da[at] += g * before;
                if (db)
                    db[at] += g;
                carried = a[at] * g;
            }
            if (d_start && length)
                d_start[o * inner + i] += carried;
        }
}

/* The arrays of one batch row. */
struct scan_row {
    const real *q, *k, *v, *decay, *start, *d_o, *d_end;
    real *o, *end, *d_q, *d_k, *d_v, *d_decay, *d_start;
};

#define ROW(array, size) ((array) ? (array) + b * (size) : NULL)

static struct scan_row scan_row(const struct assay_matrix_scan *s, size_t b)
{
    size_t keys = s->n * s->d_k, values = s->n * s->d_v, decays = s->n * s->decay_width,
           state = s->d_k * s->d_v;
    return (struct scan_row){
        .q = ROW((const real *)s->q, keys),
        .k = ROW((const real *)s->k, keys),
        .v = ROW((const real *)s->v, values),
        .decay = ROW((const real *)s->decay, decays),
        .start = ROW((const real *)s->start, state),
        .d_o = ROW((const real *)s->d_o, values),
        .d_end = ROW((const real *)s->d_end, state),
        .o = ROW((real *)s->o, values),
        .end = ROW((real *)s->end, state),
        .d_q = ROW((real *)s->d_q, keys),
        .d_k = ROW((real *)s->d_k_out, keys),
        .d_v = ROW((real *)s->d_v_out, values),
        .d_decay = ROW((real *)s->d_decay, decays),
        .d_start = ROW((real *)s->d_start, state),
    };
}

static void state_from(size_t n, const real *source, real *state)
{
    for (size_t i = 0; i < n; i++)
        state[i] = source ? source[i] : R(0.0);
}

/* S = a_t S; nothing without decay. */
static void state_decay(const struct assay_matrix_scan *s, const struct scan_row *r, size_t t,
                        real *state)
{
    if (!r->decay)
        return;
    for (size_t i = 0; i < s->d_k; i++) {
        real a = s->decay_width == 1 ? r->decay[t] : r->decay[t * s->d_k + i];
        for (size_t j = 0; j < s->d_v; j++)
            state[i * s->d_v + j] = a * state[i * s->d_v + j];
    }
}

/* S[i][j] = fma(x[i], y[j], S[i][j]). */
static void state_outer(const struct assay_matrix_scan *s, const real *x, const real *y,
                        real *state)
{
    for (size_t i = 0; i < s->d_k; i++)
        for (size_t j = 0; j < s->d_v; j++)
            state[i * s->d_v + j] = FMA(x[i], y[j], state[i * s->d_v + j]);
}

static void state_step(const struct assay_matrix_scan *s, const struct scan_row *r, size_t t,
                       real *state)
{
    state_decay(s, r, t, state);
    state_outer(s, r->k + t * s->d_k, r->v + t * s->d_v, state);
}

/* Chain over i of fma(x[i], S[i][j]). */
static real chain_column(const struct assay_matrix_scan *s, const real *x, const real *state,
                         size_t j)
{
    real chain = 0;
    for (size_t i = 0; i < s->d_k; i++)
        chain = FMA(x[i], state[i * s->d_v + j], chain);
    return chain;
}

/* Chain over j of fma(y[j], S[j]) for one row S of a state. */
static real chain_row(const struct assay_matrix_scan *s, const real *y, const real *row)
{
    real chain = 0;
    for (size_t j = 0; j < s->d_v; j++)
        chain = FMA(y[j], row[j], chain);
    return chain;
}

/* Steps between stored states: the least c with c^2 >= n. */
static size_t checkpoint_steps(size_t n)
{
    size_t c = 1;
    while (c * c < n)
        c++;
    return c;
}

/* In reals: a state before every checkpoint, the states within one stretch, G, its transpose,
 * and rows. Forward needs one state and a row. */
static size_t matrix_scan_scratch(const struct assay_matrix_scan *s)
{
    size_t c = checkpoint_steps(s->n);
    return ((2 * c + 4) * s->d_k * s->d_v + 2 * s->d_k + s->d_v) * sizeof(real);
}

static void matrix_scan_def(const struct assay_matrix_scan *s)
{
    real *state = s->scratch;
    for (size_t b = 0; b < s->batch; b++) {
        struct scan_row r = scan_row(s, b);
        state_from(s->d_k * s->d_v, r.start, state);
        for (size_t t = 0; t < s->n; t++) {
            state_step(s, &r, t, state);
            for (size_t j = 0; j < s->d_v; j++)
                r.o[t * s->d_v + j] = chain_column(s, r.q + t * s->d_k, state, j);
        }
        if (r.end)
            memcpy(r.end, state, s->d_k * s->d_v * sizeof(real));
    }
}

/* The contributions of step t, given S_t, S_(t-1) and G_t; D: [d_k]. */
static void step_gradients_def(const struct assay_matrix_scan *s, const struct scan_row *r,
                               size_t t, const real *state, const real *before, const real *g,
                               real *D)
{
    size_t d_k = s->d_k, d_v = s->d_v;
    for (size_t i = 0; i < d_k; i++) {
        if (r->d_q)
            r->d_q[t * d_k + i] += chain_row(s, r->d_o + t * d_v, state + i * d_v);
        if (r->d_k)
            r->d_k[t * d_k + i] += chain_row(s, r->v + t * d_v, g + i * d_v);
        if (r->d_decay)
            D[i] = chain_row(s, g + i * d_v, before + i * d_v);
    }
    for (size_t j = 0; r->d_v && j < d_v; j++)
        r->d_v[t * d_v + j] += chain_column(s, r->k + t * d_k, g, j);
    if (r->d_decay && s->decay_width == 1)
        r->d_decay[t] += sum16(d_k, D);
    else if (r->d_decay)
        for (size_t i = 0; i < d_k; i++)
            r->d_decay[t * d_k + i] += D[i];
}

static void matrix_scan_backward_def(const struct assay_matrix_scan *s)
{
    size_t n = s->n, size = s->d_k * s->d_v, steps = checkpoint_steps(n);
    real *stored = s->scratch, *states = stored + (steps + 1) * size,
         *g = states + (steps + 1) * size, *D = g + size;
    for (size_t b = 0; b < s->batch; b++) {
        struct scan_row r = scan_row(s, b);
        state_from(size, r.start, states);
        for (size_t t = 0; t < n; t++) {
            if (t % steps == 0)
                memcpy(stored + t / steps * size, states, size * sizeof(real));
            state_step(s, &r, t, states);
        }
        state_from(size, r.d_end, g);
        for (size_t stretch = (n + steps - 1) / steps; stretch-- > 0;) {
            size_t first = stretch * steps, last = first + steps < n ? first + steps : n;
            memcpy(states, stored + stretch * size, size * sizeof(real));
            for (size_t t = first; t < last; t++) {
                memcpy(states + (t - first + 1) * size, states + (t - first) * size,
                       size * sizeof(real));
                state_step(s, &r, t, states + (t - first + 1) * size);
            }
            for (size_t t = last; t-- > first;) {
                state_outer(s, r.q + t * s->d_k, r.d_o + t * s->d_v, g);
                step_gradients_def(s, &r, t, states + (t - first + 1) * size,
                                   states + (t - first) * size, g, D);
                state_decay(s, &r, t, g);
            }
        }
        for (size_t i = 0; r.d_start && i < size; i++)
            r.d_start[i] += g[i];
    }
}

static void scan_tiled(size_t outer, size_t length, size_t inner, const void *a_, const void *b_,
                       const void *start_, void *h_)
{
    for (size_t o = 0; o < outer; o++) {
        const real *restrict a = (const real *)a_ + o * length * inner, *restrict b =
                                                                            (const real *)b_
                                                                            + o * length * inner;
        real *restrict h = (real *)h_ + o * length * inner;
        for (size_t i = 0; length && i < inner; i++)
            h[i] = a[i] * (start_ ? ((const real *)start_)[o * inner + i] : R(0.0)) + b[i];
        for (size_t t = 1; t < length; t++, h += inner) {
            a += inner;
            b += inner;
#pragma omp simd
            for (size_t i = 0; i < inner; i++)
                h[inner + i] = a[i] * h[i] + b[i];
        }
    }
}

/* One step back: g = dh (+ carried), its contributions, then carried = a g. before: h_(t-1), or
 * NULL. */
static void scan_step_backward(size_t inner, bool last, const real *a, const real *before,
                               const real *dh, real *da, real *db, real *restrict carried)
{
    if (!last)
        for (size_t i = 0; i < inner; i++)
            carried[i] = dh[i] + carried[i];
    else
        memcpy(carried, dh, inner * sizeof(real));
    for (size_t i = 0; da && i < inner; i++)
        da[i] += carried[i] * (before ? before[i] : R(0.0));
    for (size_t i = 0; db && i < inner; i++)
        db[i] += carried[i];
    for (size_t i = 0; i < inner; i++)
        carried[i] = a[i] * carried[i];
}

static void scan_backward_tiled(size_t outer, size_t length, size_t inner, const void *a_,
                                const void *h_, const void *start_, const void *dh_, void *da_,
                                void *db_, void *d_start_, void *scratch)
{
    const real *a = a_, *h = h_, *start = start_, *dh = dh_;
    real *da = da_, *db = db_, *d_start = d_start_, *carried = scratch;
    for (size_t o = 0; o < outer; o++) {
        for (size_t t = length; t-- > 0;) {
            size_t at = (o * length + t) * inner;
            const real *before = t ? h + at - inner : start ? start + o * inner : NULL;
            scan_step_backward(inner, t + 1 == length, a + at, before, dh + at, da ? da + at : NULL,
                               db ? db + at : NULL, carried);
        }
        for (size_t i = 0; d_start && length && i < inner; i++)
            d_start[o * inner + i] += carried[i];
    }
}

/* a_t for every i; ones where there is no decay, which leave every number as it is. */
static void decay_row(const struct assay_matrix_scan *s, const struct scan_row *r, size_t t,
                      real *a)
{
    for (size_t i = 0; i < s->d_k; i++)
        a[i] = !r->decay ? R(1.0) : s->decay_width == 1 ? r->decay[t] : r->decay[t * s->d_k + i];
}

/* S[i][j] = fma(x[i], y[j], a[i] * S[i][j]); a NULL: no decay. */
static void step_rows(const struct assay_matrix_scan *s, const real *a, const real *x,
                      const real *restrict y, real *restrict state)
{
    for (size_t i = 0; i < s->d_k; i++, state += s->d_v) {
        real xi = x[i], ai = a ? a[i] : R(1.0);
        for (size_t j = 0; j < s->d_v; j++)
            state[j] = FMA(xi, y[j], ai * state[j]);
    }
}

/* The same for the transpose, [d_v, d_k]. */
static void step_transposed(const struct assay_matrix_scan *s, const real *restrict a,
                            const real *restrict x, const real *y, real *restrict state)
{
    for (size_t j = 0; j < s->d_v; j++, state += s->d_k) {
        real yj = y[j];
        for (size_t i = 0; i < s->d_k; i++)
            state[i] = FMA(yj, x[i], a[i] * state[i]);
    }
}

/* chain[c] over the rows of x [rows, columns] of fma(y[row], x[row][c], .), from +0. */
static void chains(size_t rows, size_t columns, const real *y, const real *restrict x,
                   real *restrict chain)
{
    for (size_t c = 0; c < columns; c++)
        chain[c] = 0;
    for (size_t l = 0; l < rows; l++, x += columns) {
        real yl = y[l];
        for (size_t c = 0; c < columns; c++)
            chain[c] = FMA(yl, x[c], chain[c]);
    }
}

static void matrix_scan_tiled(const struct assay_matrix_scan *s)
{
    real *state = s->scratch, *a = state + s->d_k * s->d_v;
    for (size_t b = 0; b < s->batch; b++) {
        struct scan_row r = scan_row(s, b);
        state_from(s->d_k * s->d_v, r.start, state);
        for (size_t t = 0; t < s->n; t++) {
            decay_row(s, &r, t, a);
            step_rows(s, r.decay ? a : NULL, r.k + t * s->d_k, r.v + t * s->d_v, state);
            chains(s->d_k, s->d_v, r.q + t * s->d_k, state, r.o + t * s->d_v);
        }
        if (r.end)
            memcpy(r.end, state, s->d_k * s->d_v * sizeof(real));
    }
}

/* dst[row][column] = src[column][row], src: [columns, rows]; src NULL: +0. */
static void transpose(size_t rows, size_t columns, const real *src, real *dst)
{
    for (size_t l = 0; l < rows; l++)
        for (size_t c = 0; c < columns; c++)
            dst[l * columns + c] = src ? src[c * rows + l] : R(0.0);
}

static void add_row(size_t n, const real *x, real *y)
{
    for (size_t i = 0; i < n; i++)
        y[i] += x[i];
}

/* The contributions of step t; states and g_transposed: [d_v, d_k], so that chains over j run
 * along i; chain: a row. */
static void step_gradients(const struct assay_matrix_scan *s, const struct scan_row *r, size_t t,
                           const real *state, const real *before, const real *g,
                           const real *g_transposed, real *restrict chain)
{
    size_t d_k = s->d_k, d_v = s->d_v;
    if (r->d_q) {
        chains(d_v, d_k, r->d_o + t * d_v, state, chain);
        add_row(d_k, chain, r->d_q + t * d_k);
    }
    if (r->d_k) {
        chains(d_v, d_k, r->v + t * d_v, g_transposed, chain);
        add_row(d_k, chain, r->d_k + t * d_k);
    }
    if (r->d_v) {
        chains(d_k, d_v, r->k + t * d_k, g, chain);
        add_row(d_v, chain, r->d_v + t * d_v);
    }
    if (!r->d_decay)
        return;
    for (size_t i = 0; i < d_k; i++)
        chain[i] = 0;
    for (size_t j = 0; j < d_v; j++)
        for (size_t i = 0; i < d_k; i++)
            chain[i] = FMA(g_transposed[j * d_k + i], before[j * d_k + i], chain[i]);
    if (s->decay_width == 1)
        r->d_decay[t] += sum16(d_k, chain);
    else
        add_row(d_k, chain, r->d_decay + t * d_k);
}

/* The scratch of backward. */
struct scan_scratch {
    size_t steps;
    real *stored, *states, *g, *g_transposed, *a, *chain;
};

/* Steps [first, last), whose first state before is stored; g is G_last, or d_end. */
static void stretch_backward(const struct assay_matrix_scan *s, const struct scan_row *r,
                             size_t first, size_t last, const struct scan_scratch *x)
{
    size_t size = s->d_k * s->d_v;
    memcpy(x->states, x->stored + first / x->steps * size, size * sizeof(real));
    for (size_t t = first; t < last; t++) {
        real *after = x->states + (t - first + 1) * size;
        memcpy(after, after - size, size * sizeof(real));
        decay_row(s, r, t, x->a);
        step_transposed(s, x->a, r->k + t * s->d_k, r->v + t * s->d_v, after);
    }
    for (size_t t = last; t-- > first;) {
        const real *after = x->states + (t - first + 1) * size, *q = r->q + t * s->d_k,
                   *d_o = r->d_o + t * s->d_v;
        for (size_t i = 0; t + 1 == s->n && i < s->d_k; i++)
            x->a[i] = 1;
        if (t + 1 < s->n)
            decay_row(s, r, t + 1, x->a);
        step_rows(s, x->a, q, d_o, x->g);
        step_transposed(s, x->a, q, d_o, x->g_transposed);
        step_gradients(s, r, t, after, after - size, x->g, x->g_transposed, x->chain);
    }
}

static void matrix_scan_backward_tiled(const struct assay_matrix_scan *s)
{
    size_t n = s->n, size = s->d_k * s->d_v, steps = checkpoint_steps(n);
    struct scan_scratch x = {.steps = steps, .stored = s->scratch};
    x.states = x.stored + (steps + 1) * size;
    x.g = x.states + (steps + 1) * size;
    x.g_transposed = x.g + size;
    x.a = x.g_transposed + size;
    x.chain = x.a + s->d_k;
    for (size_t b = 0; b < s->batch; b++) {
        struct scan_row r = scan_row(s, b);
        transpose(s->d_v, s->d_k, r.start, x.states);
        for (size_t t = 0; t < n; t++) {
            if (t % steps == 0)
                memcpy(x.stored + t / steps * size, x.states, size * sizeof(real));
            decay_row(s, &r, t, x.a);
            step_transposed(s, x.a, r.k + t * s->d_k, r.v + t * s->d_v, x.states);
        }
        state_from(size, r.d_end, x.g);
        transpose(s->d_v, s->d_k, r.d_end, x.g_transposed);
        for (size_t stretch = (n + steps - 1) / steps; stretch-- > 0;)
            stretch_backward(s, &r, stretch * steps,
                             stretch * steps + steps < n ? stretch * steps + steps : n, &x);
        if (n)
            state_decay(s, &r, 0, x.g);
        if (r.d_start)
            add_row(size, x.g, r.d_start);
    }
}

void KERNEL_FILE(scans)(struct assay_kernels *table, bool tuned)
{
    table->scan = tuned ? scan_tiled : scan_def;
    table->scan_backward = tuned ? scan_backward_tiled : scan_backward_def;
    table->matrix_scan_scratch = matrix_scan_scratch;
    table->matrix_scan = tuned ? matrix_scan_tiled : matrix_scan_def;
    table->matrix_scan_backward = tuned ? matrix_scan_backward_tiled : matrix_scan_backward_def;
}

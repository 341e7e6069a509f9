/* SPDX-License-Identifier: Apache-2.0 */
/* The kernel table: the only place with arithmetic on tensor elements. Tape, layers and variants
 * are compiled once, hold `void *`, and reach elements through this table alone.
 *
 * Tables: `def` is the definition, naive scalar loops; `cpu` is the same functions, tiled,
 * one per instruction set level; `dry` does nothing, so that a model can be walked for its
 * parameters and counts without data. def and cpu give the same bits for every argument.
 * The formulas stand in ARITHMETIC.md; `real` is the table's element type.
 *
 * Sizes may be zero everywhere. Unless said otherwise, arrays are contiguous, row-major, aligned to
 * their element, and outputs don't overlap inputs. Indices have been checked by the caller. */
#ifndef ASSAY_KERNELS_H
#define ASSAY_KERNELS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ref/arith.h"
#include "ref/rng.h"

/* How a result meets its destination. ADD is a gradient's contribution:
 * completed first, then added. */
enum assay_mode {
    ASSAY_STORE,      /* y = value */
    ASSAY_ADD,        /* y = y + value */
    ASSAY_SUBTRACT,   /* y = y - value */
    ASSAY_CONTINUE,   /* products only: the chain starts from y instead of +0 */
};

enum assay_map {
    MAP_NEGATE, MAP_ABS, MAP_SQUARE, MAP_SQRT, MAP_RECIPROCAL,
    MAP_EXP, MAP_EXPM1, MAP_LOG, MAP_LOG1P, MAP_TANH, MAP_ERF, MAP_SIN, MAP_COS,
    MAP_SIGMOID, MAP_LOG_SIGMOID, MAP_SOFTPLUS, MAP_RELU, MAP_RELU_SQUARED, MAP_LEAKY_RELU,
    MAP_ELU, MAP_ELU_PLUS_ONE, MAP_SILU, MAP_GELU, MAP_GELU_TANH,
    MAP_SCALE, MAP_OFFSET, MAP_DIVIDE,   /* x * s, x + s, x / s */
    MAP_ROUND, MAP_FLOOR, MAP_SIGN,      /* gradient zero */
    MAP_COUNT
};

enum assay_zip { ZIP_ADD, ZIP_SUBTRACT, ZIP_MULTIPLY, ZIP_DIVIDE, ZIP_MAX, ZIP_MIN, ZIP_COUNT };

enum { ASSAY_RANK_MAX = 6 };

/* An index space with a stride per operand, in elements; stride 0 repeats.
 * Negative strides flip. */
struct assay_walk {
    int rank;
    size_t dim[ASSAY_RANK_MAX];
    ptrdiff_t x[ASSAY_RANK_MAX], y[ASSAY_RANK_MAX], z[ASSAY_RANK_MAX];
};

/* c[i, j] = chain over p ascending of fma(a[i, p], b[p, j], .), for every batch index pair.
 * Element (i, p) of `a` is a[i * a_row + p * a_column]; any strides, so transposes and heads need
 * no copy. Columns of c are contiguous.
 * With mode CONTINUE and c_batch 0 one chain runs on through the batch, first axis slowest.
 * Mode ADD completes the chain, then adds it to c; it is not used with c_batch 0. */
struct assay_product {
    size_t batch[2], m, n, k;
    const void *a, *b;
    void *c;
    size_t a_row, a_column, a_batch[2];
    size_t b_row, b_column, b_batch[2];
    size_t c_row, c_batch[2];
    enum assay_mode mode;
};

/* Row r of x has the allowed set { j : allowed[((r / repeat) % rows) * width + j] != 0 };
 * allowed == NULL: all j. */
struct assay_row_mask {
    const int32_t *allowed;
    size_t rows, repeat;
    bool uniform_if_empty;
};

/* Attention with general heads. query [batch, queries, heads, width],
 * key [batch, keys, key_heads, width], value [batch, keys, key_heads, value_width],
 * output [batch, queries, heads, value_width]; head a reads key head a / (heads / key_heads).
 * key_capacity: allocated keys per sample (>= keys; a cache is longer than what it holds).
 *
 * Key j is allowed for query i of sample b iff
 *     !causal || j <= first + i;
 *     j >= first + i - left (left != SIZE_MAX);   j <= first + i + right (right != SIZE_MAX);
 *     key_valid == NULL || key_valid[b * keys + j];
 *     query_valid == NULL || query_valid[b * queries + i];
 *     allowed == NULL
 *         || allowed[(b * allowed_batch + a * allowed_head) * queries * keys + i * keys + j]
 * where first is the position of query 0 among the keys (the key's own index is its position, also
 * for the lanes of sums).
 *
 *     s[i,j] = (chain over width of fma(query, key)) * scale (+ bias[i,j], rounded after the scale)
 *     m = max over the set;  e = exp(s - m);  z = sum over the set, 16 lanes by j;  p = e / z
 *     output = chain over j of the set, ascending, of fma(p[i,j], value[j]), then + 0
 *              (so that -0 cannot appear)
 * An empty set gives p = +0 and output +0, or with uniform_if_empty p = 1 / keys on all keys.
 * bias: [bias_batch ? batch : 1, bias_head ? heads : 1, queries, keys] or NULL.
 * probability: [batch, heads, queries, keys] or NULL; given, it is filled with p (the explicit
 * form). log_sum (m + log z): [batch, heads, queries] or NULL. row_max and row_sum:
 * [batch, heads, queries], always filled (m and z; 0 for empty sets).
 * keep: [batch, heads, queries, keys] or NULL multiplies p before the product with value (attention
 * dropout: 0 or 1/keep).
 *
 * Backward adds into d_query, d_key, d_value, d_bias (each may be NULL), given d_output and
 * d_probability (may be NULL):
 *     dp = (chain over value_width of fma(d_output, value)) [* keep] [+ d_probability]
 *     D = sum over the set, 16 lanes, of p * dp;   ds = p * (dp - D);   dr = ds * scale
 *     d_query: chain over j of fma(dr, key)
 *     d_key: chain over the heads of the group ascending, then i ascending, of fma(dr, query)
 *     d_value: the same of fma(p [* keep], d_output)
 *     d_bias: ds summed over what it was broadcast over, batch slowest, ascending from +0
 * Rows with an empty set contribute nothing to d_query and d_key; with uniform_if_empty they
 * contribute to d_value. Each contribution is completed first (with + 0, like the output), then
 * added. scratch: attention_scratch bytes; O(keys), never queries * keys, unless probability, keep
 * or bias exist. */
struct assay_attention {
    size_t batch, queries, keys, key_capacity, heads, key_heads, width, value_width;
    size_t first, left, right;
    bool causal, uniform_if_empty;
    double scale;
    const int32_t *key_valid, *query_valid, *allowed;
    size_t allowed_batch, allowed_head;
    const void *query, *key, *value, *bias, *keep;
    bool bias_batch, bias_head;
    void *output, *probability, *log_sum, *row_max, *row_sum;
    const void *d_output, *d_probability;
    void *d_query, *d_key, *d_value, *d_bias;
    void *scratch;
};

/* S_t = a_t S_(t-1) + k_t v_t^T,  o_t = S_t^T q_t  per batch row (sample and head);
 * q, k: [batch, n, d_k], v, o: [batch, n, d_v], S: [batch, d_k, d_v]; element
 * S[i][j] = fma(k[i], v[j], (a * S[i][j])), o[j] = chain over i of fma(q[i], S[i][j]).
 * decay: NULL (a = 1, no product), [batch, n] (decay_width 1) or [batch, n, d_k] (decay_width d_k).
 * start: NULL is zero. Backward adds into d_q, d_k, d_v, d_decay, d_start (each may be NULL) from
 * d_o and d_end (may be NULL); formulas in ARITHMETIC.md. scratch: matrix_scan_scratch bytes. */
struct assay_matrix_scan {
    size_t batch, n, d_k, d_v, decay_width;
    const void *q, *k, *v, *decay, *start;
    void *o, *end;
    const void *d_o, *d_end;
    void *d_q, *d_k_out, *d_v_out, *d_decay, *d_start;
    void *scratch;
};

/* scalars of the profile */
struct assay_adamw { double rate, beta1, beta2, eps, decay, correction1, correction2; };

struct assay_kernels {
    const char *name;                 /* "def", "cpu", "dry" */
    const char *level;                /* "base", "x86-64-v3", "x86-64-v4", "-" */
    enum assay_profile profile;
    size_t element;                   /* bytes of a real */

    /* products.c */
    void (*product)(const struct assay_product *p);

    /* maps.c: y (mode) f(x); s is the parameter of SCALE, OFFSET, DIVIDE, LEAKY_RELU.
     * dx = dx + f'(x) dy. */
    void (*map)(enum assay_map f, size_t n, double s, const void *x, void *y, enum assay_mode mode);
    void (*map_backward)(enum assay_map f, size_t n, double s, const void *x, const void *y,
                         const void *dy, void *dx);
    /* z (mode) f(x, y) over the walk (z is never repeated). MAX, MIN: x among equals. */
    void (*zip)(enum assay_zip f, const struct assay_walk *w, const void *x, const void *y, void *z,
                enum assay_mode mode);
    /* d (mode) dy where x is chosen by MAX/MIN (which = 0) or where y is (which = 1);
     * d has z's strides. */
    void (*zip_choice)(enum assay_zip f, int which, const struct assay_walk *w, const void *x,
                       const void *y, const void *dz, void *d, enum assay_mode mode);
    /* c ? x : y */
    void (*select)(size_t n, const int32_t *condition, const void *x, const void *y, void *z);
    /* z += x where !!c == when */
    void (*masked_add)(size_t n, const int32_t *condition, bool when, const void *x, void *z);

    /* reductions.c: x seen as [outer, length, inner] -> y [outer, inner].
     * inner == 1: 16 lanes and tree; else ascending. */
    void (*sum)(size_t outer, size_t length, size_t inner, const void *x, void *y,
                enum assay_mode mode);
    void (*max)(size_t outer, size_t length, size_t inner, const void *x, void *y, int32_t *index);
    void (*cumulative_sum)(size_t outer, size_t length, size_t inner, bool reverse, const void *x,
                           void *y, enum assay_mode mode);
    double (*sum_squares)(size_t n, const void *x);               /* as a sum over the last axis */

    /* norms.c: rows of `width`; gain, bias: [width] or NULL; mean, deviation: [rows], kept for
     * backward.
     *     layer: y = ((x - mean) / deviation) * gain + bias,
     *            deviation = sqrt((sum (x - mean)^2 / width) + eps)
     *     rms:   y = (x / deviation) * gain, deviation = sqrt((sum x^2 / width) + eps)
     * d_* may be NULL; scratch: 2 * width. */
    void (*layer_norm)(size_t rows, size_t width, double eps, const void *x, const void *gain,
                       const void *bias, void *y, void *mean, void *deviation);
    void (*layer_norm_backward)(size_t rows, size_t width, const void *x, const void *gain,
                                const void *mean, const void *deviation, const void *dy, void *dx,
                                void *d_gain, void *d_bias, void *scratch);
    void (*rms_norm)(size_t rows, size_t width, double eps, const void *x, const void *gain,
                     void *y, void *deviation);
    void (*rms_norm_backward)(size_t rows, size_t width, const void *x, const void *gain,
                              const void *deviation, const void *dy, void *dx, void *d_gain,
                              void *scratch);

    /* softmax.c */
    void (*softmax)(size_t rows, size_t width, const struct assay_row_mask *mask, const void *x,
                    void *y);
    void (*softmax_backward)(size_t rows, size_t width, const struct assay_row_mask *mask,
                             const void *y, const void *dy, void *dx);
    /* y: [rows] */
    void (*log_sum_exp)(size_t rows, size_t width, const struct assay_row_mask *mask, const void *x,
                        void *y);
    void (*log_sum_exp_backward)(size_t rows, size_t width, const struct assay_row_mask *mask,
                                 const void *x, const void *y, const void *dy, void *dx);
    /* loss[r] = log(sum exp(x - m)) - (x[target] - m); +0 where target[r] == ignore.
     * row_max, row_sum: [rows]. */
    void (*cross_entropy)(size_t rows, size_t classes, const void *x, const int32_t *target,
                          int32_t ignore, void *loss, void *row_max, void *row_sum);
    void (*cross_entropy_backward)(size_t rows, size_t classes, const void *x,
                                   const int32_t *target, int32_t ignore, const void *row_max,
                                   const void *row_sum, const void *d_loss, void *dx);

    /* attention.c. attention_scratch: bytes, the larger of forward and backward */
    size_t (*attention_scratch)(const struct assay_attention *a);
    void (*attention)(const struct assay_attention *a);
    void (*attention_backward)(const struct assay_attention *a);

    /* scans.c: h_t = (a_t * h_(t-1)) + b_t along `length`, h_(-1) = start ([outer, inner]) or 0. */
    void (*scan)(size_t outer, size_t length, size_t inner, const void *a, const void *b,
                 const void *start, void *h);
    /* scratch: inner */
    void (*scan_backward)(size_t outer, size_t length, size_t inner, const void *a, const void *h,
                          const void *start, const void *dh, void *da, void *db, void *d_start,
                          void *scratch);
    size_t (*matrix_scan_scratch)(const struct assay_matrix_scan *s);
    void (*matrix_scan)(const struct assay_matrix_scan *s);
    void (*matrix_scan_backward)(const struct assay_matrix_scan *s);

    /* moves.c: no arithmetic but addition. copy: y (STORE or ADD) x over the walk;
     * z is not used. */
    void (*copy)(const struct assay_walk *w, const void *x, void *y, enum assay_mode mode);
    void (*gather_rows)(size_t count, size_t width, const int32_t *index, const void *table,
                        void *y);
    /* ascending */
    void (*scatter_add_rows)(size_t count, size_t width, const int32_t *index, const void *x,
                             void *table);
    /* Rotates pairs by the angle of their position:
     *     y1 = (x1 * c) - (x2 * s), y2 = (x2 * c) + (x1 * s); inverse negates s.
     * x: [batch, n, heads, width]; cosine, sine: [n, pairs]; pair p is (2p, 2p+1) if interleaved,
     * else (p, p + pairs); channels from 2 * pairs on are copied. */
    void (*rotate)(size_t batch, size_t n, size_t heads, size_t width, size_t pairs,
                   bool interleaved, bool inverse, const void *cosine, const void *sine,
                   const void *x, void *y, enum assay_mode mode);
    /* y = uniform < keep ? x / keep : +0, draws of stream[row] ascending; rows of `width`. */
    void (*dropout)(size_t rows, size_t width, const struct assay_rng *stream, double keep,
                    const void *x, void *y, enum assay_mode mode);
    void (*fill)(size_t n, double value, void *y);
    void (*from_f32)(size_t n, const float *x, void *y);
    void (*from_f64)(size_t n, const double *x, void *y);         /* rounds to the profile */
    void (*from_i32)(size_t n, const int32_t *x, void *y);
    void (*to_f64)(size_t n, const void *x, double *y);           /* exact */
    size_t (*first_nonfinite)(size_t n, const void *x);           /* n if there is none */

    /* sorting.c: ties to the lower index; results in descending order of x (ascending if said). */
    void (*top_k)(size_t rows, size_t width, size_t k, const void *x, int32_t *index);
    void (*argsort)(size_t rows, size_t width, bool ascending, const void *x, int32_t *index);

    /* optimizers.c, formulas in ARITHMETIC.md. momentum, second: state like x. */
    void (*adamw)(size_t n, const struct assay_adamw *s, const void *gradient, void *first,
                  void *second, void *x);
    void (*sgd)(size_t n, double rate, double momentum, double decay, const void *gradient,
                void *velocity, void *x);
    /* mean = (rate * mean) + ((1 - rate) * x) */
    void (*average)(size_t n, double rate, const void *x, void *mean);
};

/* NULL if this machine or build has no such table: with ASSAY_CORE_ONLY there is no binary64.
 * level NULL: the best that this machine runs. */
const struct assay_kernels *assay_kernels_def(enum assay_profile profile);
const struct assay_kernels *assay_kernels_cpu(enum assay_profile profile, const char *level);
const struct assay_kernels *assay_kernels_dry(enum assay_profile profile);

#endif

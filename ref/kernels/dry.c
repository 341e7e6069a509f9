/* SPDX-License-Identifier: Apache-2.0 */
/* The dry table: kernels that read and write nothing, so that a model can be walked for its
 * parameters and counts without data. Scratch is none, sums are 0, every array counts as finite. */
#include "ref/kernels.h"

/* The parameters are the table's; a function that does nothing uses none of them. */
#pragma GCC diagnostic ignored "-Wunused-parameter"

/* clang-format off */
static void product(const struct assay_product *p) { }

static void map(enum assay_map f, size_t n, double s, const void *x, void *y, enum assay_mode mode) { }
static void map_backward(enum assay_map f, size_t n, double s, const void *x, const void *y,
                         const void *dy, void *dx) { }

static void zip(enum assay_zip f, const struct assay_walk *w, const void *x, const void *y, void *z,
                enum assay_mode mode) { }
static void zip_choice(enum assay_zip f, int which, const struct assay_walk *w, const void *x,
                       const void *y, const void *dz, void *d, enum assay_mode mode) { }
static void select_nothing(size_t n, const int32_t *condition, const void *x, const void *y,
                           void *z) { }
static void masked_add(size_t n, const int32_t *condition, bool when, const void *x, void *z) { }

static void sum(size_t outer, size_t length, size_t inner, const void *x, void *y,
                enum assay_mode mode) { }
static void max(size_t outer, size_t length, size_t inner, const void *x, void *y, int32_t *index) { }
static void cumulative_sum(size_t outer, size_t length, size_t inner, bool reverse, const void *x,
                           void *y, enum assay_mode mode) { }
static double sum_squares(size_t n, const void *x) { return 0; }

static void layer_norm(size_t rows, size_t width, double eps, const void *x, const void *gain,
                       const void *bias, void *y, void *mean, void *deviation) { }
static void layer_norm_backward(size_t rows, size_t width, const void *x, const void *gain,
                                const void *mean, const void *deviation, const void *dy, void *dx,
                                void *d_gain, void *d_bias, void *scratch) { }
static void rms_norm(size_t rows, size_t width, double eps, const void *x, const void *gain,
                     void *y, void *deviation) { }
static void rms_norm_backward(size_t rows, size_t width, const void *x, const void *gain,
                              const void *deviation, const void *dy, void *dx, void *d_gain,
                              void *scratch) { }

static void softmax(size_t rows, size_t width, const struct assay_row_mask *mask, const void *x,
                    void *y) { }
static void softmax_backward(size_t rows, size_t width, const struct assay_row_mask *mask,
                             const void *y, const void *dy, void *dx) { }
static void log_sum_exp(size_t rows, size_t width, const struct assay_row_mask *mask, const void *x,
                        void *y) { }
static void log_sum_exp_backward(size_t rows, size_t width, const struct assay_row_mask *mask,
                                 const void *x, const void *y, const void *dy, void *dx) { }
static void cross_entropy(size_t rows, size_t classes, const void *x, const int32_t *target,
                          int32_t ignore, void *loss, void *row_max, void *row_sum) { }
static void cross_entropy_backward(size_t rows, size_t classes, const void *x,
                                   const int32_t *target, int32_t ignore, const void *row_max,
                                   const void *row_sum, const void *d_loss, void *dx) { }

static size_t attention_scratch(const struct assay_attention *a) { return 0; }
static void attention(const struct assay_attention *a) { }

static void scan(size_t outer, size_t length, size_t inner, const void *a, const void *b,
                 const void *start, void *h) { }
static void scan_backward(size_t outer, size_t length, size_t inner, const void *a, const void *h,
                          const void *start, const void *dh, void *da, void *db, void *d_start,
                          void *scratch) { }
static size_t matrix_scan_scratch(const struct assay_matrix_scan *s) { return 0; }
static void matrix_scan(const struct assay_matrix_scan *s) { }

static void copy(const struct assay_walk *w, const void *x, void *y, enum assay_mode mode) { }
static void gather_rows(size_t count, size_t width, const int32_t *index, const void *table,
                        void *y) { }
static void scatter_add_rows(size_t count, size_t width, const int32_t *index, const void *x,
                             void *table) { }
static void rotate(size_t batch, size_t n, size_t heads, size_t width, size_t pairs,
                   bool interleaved, bool inverse, const void *cosine, const void *sine,
                   const void *x, void *y, enum assay_mode mode) { }
static void dropout(size_t rows, size_t width, const struct assay_rng *stream, double keep,
                    const void *x, void *y, enum assay_mode mode) { }
static void fill(size_t n, double value, void *y) { }
static void from_f32(size_t n, const float *x, void *y) { }
static void from_f64(size_t n, const double *x, void *y) { }
static void from_i32(size_t n, const int32_t *x, void *y) { }
static void to_f64(size_t n, const void *x, double *y) { }
static size_t first_nonfinite(size_t n, const void *x) { return n; }

static void top_k(size_t rows, size_t width, size_t k, const void *x, int32_t *index) { }
static void argsort(size_t rows, size_t width, bool ascending, const void *x, int32_t *index) { }

static void adamw(size_t n, const struct assay_adamw *s, const void *gradient, void *first,
                  void *second, void *x) { }
static void sgd(size_t n, double rate, double momentum, double decay, const void *gradient,
                void *velocity, void *x) { }
static void average(size_t n, double rate, const void *x, void *mean) { }
/* clang-format on */

#define DRY(bits, type) \
    { \
        .name = "dry", .level = "-", .profile = bits, .element = sizeof(type), .product = product, \
        .map = map, .map_backward = map_backward, .zip = zip, .zip_choice = zip_choice, \
        .select = select_nothing, .masked_add = masked_add, .sum = sum, .max = max, \
        .cumulative_sum = cumulative_sum, .sum_squares = sum_squares, .layer_norm = layer_norm, \
        .layer_norm_backward = layer_norm_backward, .rms_norm = rms_norm, \
        .rms_norm_backward = rms_norm_backward, .softmax = softmax, \
        .softmax_backward = softmax_backward, .log_sum_exp = log_sum_exp, \
        .log_sum_exp_backward = log_sum_exp_backward, .cross_entropy = cross_entropy, \
        .cross_entropy_backward = cross_entropy_backward, .attention_scratch = attention_scratch, \
        .attention = attention, .attention_backward = attention, .scan = scan, \
        .scan_backward = scan_backward, .matrix_scan_scratch = matrix_scan_scratch, \
        .matrix_scan = matrix_scan, .matrix_scan_backward = matrix_scan, .copy = copy, \
        .gather_rows = gather_rows, .scatter_add_rows = scatter_add_rows, .rotate = rotate, \
        .dropout = dropout, .fill = fill, .from_f32 = from_f32, .from_f64 = from_f64, \
        .from_i32 = from_i32, .to_f64 = to_f64, .first_nonfinite = first_nonfinite, \
        .top_k = top_k, .argsort = argsort, .adamw = adamw, .sgd = sgd, .average = average, \
    }

static const struct assay_kernels dry_f32 = DRY(ASSAY_F32, float), dry_f64 = DRY(ASSAY_F64, double);

const struct assay_kernels *assay_kernels_dry(enum assay_profile profile)
{
    return profile == ASSAY_F32 ? &dry_f32 : profile == ASSAY_F64 ? &dry_f64 : NULL;
}

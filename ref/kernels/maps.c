/* SPDX-License-Identifier: Apache-2.0 */
/* Maps: functions of one element, and their gradients. Formulas with brackets: ARITHMETIC.md.
 *
 * Each formula stands once, as a function of the element and of what the elementary functions
 * made of it; the definition evaluates these one element at a time, the tuned version a block at
 * a time. */
#include "ref/kernels/kernel.h"

enum { BLOCK = 256 }; /* elements on the stack between two passes; no result depends on it */

#define INLINE static inline __attribute__((always_inline))

INLINE real positive(real x)
{
    return x > 0 ? x : R(0.0);
}
INLINE real negative(real x)
{
    return x > 0 ? R(0.0) : x;
}

#if ASSAY_PROFILE == 32
#define COPYSIGN(x, sign) __builtin_copysignf(x, sign)
#define INTEGRAL R(8388608.0) /* 2^23: from here on every number is an integer */
#else
#define COPYSIGN(x, sign) __builtin_copysign(x, sign)
#define INTEGRAL R(4503599627370496.0) /* 2^52 */
#endif

/* To nearest even, keeping the sign of zero: adding 2^p leaves no room for a fraction. */
INLINE real rounded(real x)
{
    real size = FABS(x), r = (size + INTEGRAL) - INTEGRAL;
    return COPYSIGN(size < INTEGRAL ? r : size, x);
}

INLINE real floored(real x)
{
    real r = rounded(x);
    return r > x ? r - 1 : r;
}

INLINE real sign(real x)
{
    return x > 0 ? R(1.0) : x < 0 ? R(-1.0) : R(0.0);
}

/* sigmoid from e = exp(-x). */
INLINE real sigmoid(real e)
{
    return 1 / (1 + e);
}

/* softplus from l = log1p(exp(-|x|)). */
INLINE real softplus(real x, real l)
{
    return positive(x) + l;
}

INLINE real silu_slope(real x, real s)
{
    return s * (1 + (x * (1 - s)));
}

/* gelu from f = erf(x / sqrt 2) and e = exp(-x^2 / 2). */
INLINE real gelu_inner(real x)
{
    return x * R(0.70710678118654752440);
}
INLINE real gelu(real x, real f)
{
    return (R(0.5) * x) * (1 + f);
}
INLINE real half_square(real x)
{
    return -(R(0.5) * (x * x));
}
INLINE real gelu_slope(real x, real f, real e)
{
    return (R(0.5) * (1 + f)) + (x * (R(0.39894228040143267794) * e));
}

/* The tanh form of gelu from t = tanh(u). */
INLINE real gelu_tanh_inner(real x)
{
    return R(0.79788456080286535588) * (x + (R(0.044715) * ((x * x) * x)));
}
INLINE real gelu_tanh_slope(real x, real t)
{
    real inner = R(0.79788456080286535588) * (1 + (R(0.134145) * (x * x)));
    return (R(0.5) * (1 + t)) + ((R(0.5) * x) * ((1 - (t * t)) * inner));
}

INLINE real relu_squared(real x)
{
    return positive(x) * positive(x);
}
INLINE real erf_slope(real e)
{
    return R(1.1283791670955125739) * e;
}

/* The maps without elementary functions. */
/* clang-format off */
INLINE real plain(enum assay_map f, real s, real x)
{
    switch (f) {
    case MAP_NEGATE: return -x;
    case MAP_ABS: return FABS(x);
    case MAP_SQUARE: return x * x;
    case MAP_SQRT: return SQRT(x);
    case MAP_RECIPROCAL: return 1 / x;
    case MAP_RELU: return positive(x);
    case MAP_RELU_SQUARED: return relu_squared(x);
    case MAP_LEAKY_RELU: return x > 0 ? x : s * x;
    case MAP_SCALE: return x * s;
    case MAP_OFFSET: return x + s;
    case MAP_DIVIDE: return x / s;
    case MAP_ROUND: return rounded(x);
    case MAP_FLOOR: return floored(x);
    default: return sign(x);
    }
}
/* clang-format on */

/* The gradients without elementary functions: of these maps, and of those whose result says
 * enough. */
/* clang-format off */
INLINE real plain_gradient(enum assay_map f, real s, real x, real y, real dy)
{
    switch (f) {
    case MAP_NEGATE: return -dy;
    case MAP_ABS: return dy * sign(x);
    case MAP_SQUARE: return dy * (2 * x);
    case MAP_SQRT: return dy / (2 * y);
    case MAP_RECIPROCAL: return -((dy * y) * y);
    case MAP_EXP: return dy * y;
    case MAP_EXPM1: return dy * (y + 1);
    case MAP_LOG: return dy / x;
    case MAP_LOG1P: return dy / (1 + x);
    case MAP_TANH: return dy * (1 - (y * y));
    case MAP_SIGMOID: return dy * (y * (1 - y));
    case MAP_RELU: return x > 0 ? dy : R(0.0);
    case MAP_RELU_SQUARED: return x > 0 ? dy * (2 * x) : R(0.0);
    case MAP_LEAKY_RELU: return x > 0 ? dy : s * dy;
    case MAP_SCALE: return dy * s;
    case MAP_DIVIDE: return dy / s;
    default: return dy; /* MAP_OFFSET */
    }
}
/* clang-format on */

static bool is_step(enum assay_map f)
{
    return f == MAP_ROUND || f == MAP_FLOOR || f == MAP_SIGN;
}

/* clang-format off */
static real value_def(enum assay_map f, real s, real x)
{
    switch (f) {
    case MAP_EXP: return real_exp(x);
    case MAP_EXPM1: return real_expm1(x);
    case MAP_LOG: return real_log(x);
    case MAP_LOG1P: return real_log1p(x);
    case MAP_TANH: return real_tanh(x);
    case MAP_ERF: return real_erf(x);
    case MAP_SIN: return real_sin(x);
    case MAP_COS: return real_cos(x);
    case MAP_SIGMOID: return sigmoid(real_exp(-x));
    case MAP_LOG_SIGMOID: return -softplus(-x, real_log1p(real_exp(-FABS(x))));
    case MAP_SOFTPLUS: return softplus(x, real_log1p(real_exp(-FABS(x))));
    case MAP_ELU: return x > 0 ? x : real_expm1(x);
    case MAP_ELU_PLUS_ONE: return x > 0 ? x + 1 : real_exp(x);
    case MAP_SILU: return x * sigmoid(real_exp(-x));
    case MAP_GELU: return gelu(x, real_erf(gelu_inner(x)));
    case MAP_GELU_TANH: return gelu(x, real_tanh(gelu_tanh_inner(x)));
    default: return plain(f, s, x);
    }
}

static real gradient_def(enum assay_map f, real s, real x, real y, real dy)
{
    switch (f) {
    case MAP_ERF: return dy * erf_slope(real_exp(-(x * x)));
    case MAP_SIN: return dy * real_cos(x);
    case MAP_COS: return -(dy * real_sin(x));
    case MAP_LOG_SIGMOID: return dy * sigmoid(real_exp(x));
    case MAP_SOFTPLUS: return dy * sigmoid(real_exp(-x));
    case MAP_ELU:
    case MAP_ELU_PLUS_ONE: return x > 0 ? dy : dy * real_exp(x);
    case MAP_SILU: return dy * silu_slope(x, sigmoid(real_exp(-x)));
    case MAP_GELU: return dy * gelu_slope(x, real_erf(gelu_inner(x)), real_exp(half_square(x)));
    case MAP_GELU_TANH: return dy * gelu_tanh_slope(x, real_tanh(gelu_tanh_inner(x)));
    default: return plain_gradient(f, s, x, y, dy);
    }
}
/* clang-format on */

static void map_def(enum assay_map f, size_t n, double s, const void *x_, void *y_,
                    enum assay_mode mode)
{
    const real *x = x_;
    real *y = y_;
    for (size_t i = 0; i < n; i++)
        meet(&y[i], value_def(f, (real)s, x[i]), mode);
}

static void map_backward_def(enum assay_map f, size_t n, double s, const void *x_, const void *y_,
                             const void *dy_, void *dx_)
{
    const real *x = x_, *y = y_, *dy = dy_;
    real *dx = dx_;
    if (is_step(f))
        return;
    for (size_t i = 0; i < n; i++)
        dx[i] += gradient_def(f, (real)s, x[i], y[i], dy[i]);
}

#define EACH(to, value) \
    do { \
        _Pragma("omp simd") for (size_t i = 0; i < n; i++)(to)[i] = (value); \
    } while (0)

/* One block, n <= BLOCK: y = f(x). */
static void value_block(enum assay_map f, size_t n, real s, const real *restrict x,
                        real *restrict y)
{
#define PLAIN(f) \
    case f: \
        EACH(y, plain(f, s, x[i])); \
        return
    switch (f) {
        PLAIN(MAP_NEGATE);
        PLAIN(MAP_ABS);
        PLAIN(MAP_SQUARE);
        PLAIN(MAP_SQRT);
        PLAIN(MAP_RECIPROCAL);
        PLAIN(MAP_RELU);
        PLAIN(MAP_RELU_SQUARED);
        PLAIN(MAP_LEAKY_RELU);
        PLAIN(MAP_SCALE);
        PLAIN(MAP_OFFSET);
        PLAIN(MAP_DIVIDE);
        PLAIN(MAP_ROUND);
        PLAIN(MAP_FLOOR);
        PLAIN(MAP_SIGN);
    case MAP_EXP:
        array_exp(n, x, y);
        return;
    case MAP_EXPM1:
        array_expm1(n, x, y);
        return;
    case MAP_LOG:
        array_log(n, x, y);
        return;
    case MAP_LOG1P:
        array_log1p(n, x, y);
        return;
    case MAP_TANH:
        array_tanh(n, x, y);
        return;
    case MAP_ERF:
        array_erf(n, x, y);
        return;
    case MAP_SIN:
        array_sin(n, x, y);
        return;
    case MAP_COS:
        array_cos(n, x, y);
        return;
    case MAP_SIGMOID:
    case MAP_SILU:
        EACH(y, -x[i]);
        array_exp(n, y, y);
        if (f == MAP_SIGMOID)
            EACH(y, sigmoid(y[i]));
        else
            EACH(y, x[i] * sigmoid(y[i]));
        return;
    case MAP_LOG_SIGMOID:
    case MAP_SOFTPLUS:
        EACH(y, -FABS(x[i]));
        array_exp(n, y, y);
        array_log1p(n, y, y);
        if (f == MAP_SOFTPLUS)
            EACH(y, softplus(x[i], y[i]));
        else
            EACH(y, -softplus(-x[i], y[i]));
        return;
    case MAP_ELU:
        EACH(y, negative(x[i]));
        array_expm1(n, y, y);
        EACH(y, chosen(x[i] > 0, x[i], y[i]));
        return;
    case MAP_ELU_PLUS_ONE:
        EACH(y, negative(x[i]));
        array_exp(n, y, y);
        EACH(y, chosen(x[i] > 0, x[i] + 1, y[i]));
        return;
    case MAP_GELU:
        EACH(y, gelu_inner(x[i]));
        array_erf(n, y, y);
        EACH(y, gelu(x[i], y[i]));
        return;
    case MAP_GELU_TANH:
        EACH(y, gelu_tanh_inner(x[i]));
        array_tanh(n, y, y);
        EACH(y, gelu(x[i], y[i]));
        return;
    case MAP_COUNT:
        return;
    }
#undef PLAIN
}

/* One block, n <= BLOCK: g = f'(x) dy. */
static void gradient_block(enum assay_map f, size_t n, real s, const real *restrict x,
                           const real *restrict y, const real *restrict dy, real *restrict g)
{
#define PLAIN(f) \
    case f: \
        EACH(g, plain_gradient(f, s, x[i], y[i], dy[i])); \
        return
    real other[BLOCK];
    switch (f) {
        PLAIN(MAP_NEGATE);
        PLAIN(MAP_ABS);
        PLAIN(MAP_SQUARE);
        PLAIN(MAP_SQRT);
        PLAIN(MAP_RECIPROCAL);
        PLAIN(MAP_EXP);
        PLAIN(MAP_EXPM1);
        PLAIN(MAP_LOG);
        PLAIN(MAP_LOG1P);
        PLAIN(MAP_TANH);
        PLAIN(MAP_SIGMOID);
        PLAIN(MAP_RELU);
        PLAIN(MAP_RELU_SQUARED);
        PLAIN(MAP_LEAKY_RELU);
        PLAIN(MAP_SCALE);
        PLAIN(MAP_OFFSET);
        PLAIN(MAP_DIVIDE);
    case MAP_ERF:
        EACH(g, -(x[i] * x[i]));
        array_exp(n, g, g);
        EACH(g, dy[i] * erf_slope(g[i]));
        return;
    case MAP_SIN:
        array_cos(n, x, g);
        EACH(g, dy[i] * g[i]);
        return;
    case MAP_COS:
        array_sin(n, x, g);
        EACH(g, -(dy[i] * g[i]));
        return;
    case MAP_LOG_SIGMOID:
        array_exp(n, x, g);
        EACH(g, dy[i] * sigmoid(g[i]));
        return;
    case MAP_SOFTPLUS:
    case MAP_SILU:
        EACH(g, -x[i]);
        array_exp(n, g, g);
        if (f == MAP_SOFTPLUS)
            EACH(g, dy[i] * sigmoid(g[i]));
        else
            EACH(g, dy[i] * silu_slope(x[i], sigmoid(g[i])));
        return;
    case MAP_ELU:
    case MAP_ELU_PLUS_ONE:
        EACH(g, negative(x[i]));
        array_exp(n, g, g);
        EACH(g, chosen(x[i] > 0, dy[i], dy[i] * g[i]));
        return;
    case MAP_GELU:
        EACH(other, gelu_inner(x[i]));
        array_erf(n, other, other);
        EACH(g, half_square(x[i]));
        array_exp(n, g, g);
        EACH(g, dy[i] * gelu_slope(x[i], other[i], g[i]));
        return;
    case MAP_GELU_TANH:
        EACH(g, gelu_tanh_inner(x[i]));
        array_tanh(n, g, g);
        EACH(g, dy[i] * gelu_tanh_slope(x[i], g[i]));
        return;
    case MAP_ROUND:
    case MAP_FLOOR:
    case MAP_SIGN:
    case MAP_COUNT:
        return;
    }
#undef PLAIN
}

static void map_tuned(enum assay_map f, size_t count, double s, const void *x_, void *y_,
                      enum assay_mode mode)
{
    const real *x = x_;
    real *y = y_, value[BLOCK];
    for (size_t start = 0; start < count; start += BLOCK) {
        size_t n = count - start < BLOCK ? count - start : BLOCK;
        value_block(f, n, (real)s, x + start, mode == ASSAY_STORE ? y + start : value);
        if (mode == ASSAY_ADD)
            EACH(y + start, y[start + i] + value[i]);
        else if (mode == ASSAY_SUBTRACT)
            EACH(y + start, y[start + i] - value[i]);
    }
}

static void map_backward_tuned(enum assay_map f, size_t count, double s, const void *x_,
                               const void *y_, const void *dy_, void *dx_)
{
    const real *x = x_, *y = y_, *dy = dy_;
    real *dx = dx_, gradient[BLOCK];
    if (is_step(f))
        return;
    for (size_t start = 0; start < count; start += BLOCK) {
        size_t n = count - start < BLOCK ? count - start : BLOCK;
        gradient_block(f, n, (real)s, x + start, y + start, dy + start, gradient);
        EACH(dx + start, dx[start + i] + gradient[i]);
    }
}

void KERNEL_FILE(maps)(struct assay_kernels *table, bool tuned)
{
    table->map = tuned ? map_tuned : map_def;
    table->map_backward = tuned ? map_backward_tuned : map_backward_def;
}

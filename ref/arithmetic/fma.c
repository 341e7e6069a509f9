/* SPDX-License-Identifier: Apache-2.0 */
/* The fused multiply-add of binary64 in 128-bit integers. */
#include "ref/arithmetic/fma.h"

#include <stdbool.h>

__extension__ typedef unsigned __int128 wide;

/* A number (-1)^negative significand 2^exponent. */
struct number {
    wide significand;
    int exponent;
    bool negative;
};

enum { SMALLEST_EXPONENT = -1074, FRACTION_BITS = 52, TOP_BIT = 125 };

static uint64_t bits_of(double x)
{
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

static bool is_finite(double x)
{
    return (bits_of(x) >> FRACTION_BITS & 0x7ff) != 0x7ff;
}

static struct number split(double x)
{
    uint64_t bits = bits_of(x);
    uint64_t fraction = bits & ((UINT64_C(1) << FRACTION_BITS) - 1);
    int field = (int)(bits >> FRACTION_BITS & 0x7ff);
    bool normal = field != 0;
    return (struct number){fraction | (uint64_t)normal << FRACTION_BITS,
                           SMALLEST_EXPONENT + (normal ? field - 1 : 0), (bits >> 63) != 0};
}

/* The index of the highest set bit; x > 0. */
static int top_bit(wide x)
{
    uint64_t high = (uint64_t)(x >> 64);
    return high ? 127 - __builtin_clzll(high) : 63 - __builtin_clzll((uint64_t)x);
}

static struct number normalised(struct number x)
{
    int shift = TOP_BIT - top_bit(x.significand);
    x.significand <<= shift;
    x.exponent -= shift;
    return x;
}

/* x 2^-shift, the last bit set where something was cut off. */
static wide shifted_sticky(wide x, int shift)
{
    if (shift == 0)
        return x;
    if (shift > TOP_BIT)
        return 1;
    return x >> shift | (wide)((x & (((wide)1 << shift) - 1)) != 0);
}

/* x + y for x, y > 0. A product has at most 106 bits, so that one normalised to bit 125 ends in 20
 * zeros. A shift that cuts something off therefore cancels one leading bit at most, and the sticky
 * bit stays far below the last bit of the result. */
static struct number added(struct number x, struct number y)
{
    x = normalised(x);
    y = normalised(y);
    if (x.exponent < y.exponent || (x.exponent == y.exponent && x.significand < y.significand)) {
        struct number swapped = x;
        x = y;
        y = swapped;
    }
    wide smaller = shifted_sticky(y.significand, x.exponent - y.exponent);
    x.significand = x.negative == y.negative ? x.significand + smaller : x.significand - smaller;
    return x;
}

/* Rounds to nearest even; x > 0. */
static double rounded(struct number x)
{
    int quantum = x.exponent + top_bit(x.significand) - FRACTION_BITS;
    if (quantum < SMALLEST_EXPONENT)
        quantum = SMALLEST_EXPONENT;
    int shift = quantum - x.exponent;
    uint64_t kept;
    if (shift <= 0)
        kept = (uint64_t)(x.significand << -shift);
    else if (shift > 127)
        kept = 0;
    else {
        wide rest = x.significand & (((wide)1 << shift) - 1), half = (wide)1 << (shift - 1);
        kept = (uint64_t)(x.significand >> shift);
        kept += (uint64_t)(rest > half || (rest == half && (kept & 1)));
    }
    /* The leading bit of `kept` adds one to the exponent field, and so does a carry out of it. */
    uint64_t infinity = UINT64_C(0x7ff) << FRACTION_BITS;
    uint64_t bits = infinity;
    if (quantum - SMALLEST_EXPONENT < 0x7fe)
        bits = ((uint64_t)(quantum - SMALLEST_EXPONENT) << FRACTION_BITS) + kept;
    bits |= (uint64_t)x.negative << 63;
    double result;
    memcpy(&result, &bits, sizeof result);
    return result;
}

double assay_soft_fma_f64(double a, double b, double c)
{
    if (!is_finite(a) || !is_finite(b) || a == 0 || b == 0)
        return a * b + c;
    if (!is_finite(c))
        return c + c;
    if (c == 0)
        return a * b;
    struct number x = split(a), y = split(b);
    struct number product = {x.significand * y.significand, x.exponent + y.exponent,
                             x.negative != y.negative};
    struct number sum = added(product, split(c));
    return sum.significand ? rounded(sum) : 0.0;
}

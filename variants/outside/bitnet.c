/* SPDX-License-Identifier: Apache-2.0 */
/* Outside vectors of bitnet.c: what other code computes, under its names. Independent ports, each
 * with ways of its own: kyegomez/BitNet, and Beomi/BitNet-Transformers. */
#include <stdio.h>

#include "variants/outside.h"

enum { IN = 16, OUT = 12 };

struct bare {
    tape *t;
    tensor x, w, bias; /* [2, 5, in], [in, out], [out] */
};

static bool load(struct claim *c, struct bare *b)
{
    b->t = claim_tape(c);
    if (!b->t)
        return false;
    b->x = outside_tensor(c, b->t, "input/x", AS_IT_IS, SHAPE(2, 5, IN));
    b->w = outside_tensor(c, b->t, "param/weight", TRANSPOSED, SHAPE(IN, OUT));
    b->bias = outside_tensor(c, b->t, "param/bias", AS_IT_IS, SHAPE(OUT));
    return b->x && b->w && b->bias;
}

static void meets(struct claim *c, tensor ours, const char *section, const char *what,
                  struct outside_view view)
{
    char name[96], name32[96];
    snprintf(name, sizeof name, "%s/output/%s", section, what);
    snprintf(name32, sizeof name32, "%s/output32/%s", section, what);
    outside_meets(c, ours, name, name32, view);
}

static void meet_gradient(struct claim *c, const struct bare *b, tensor x, const char *section,
                          const char *what, struct outside_view view)
{
    char name[96];
    snprintf(name, sizeof name, "%s/grad/%s", section, what);
    if (!x->gradient)
        claim_true(c, false, "%s: a gradient", name);
    else
        outside_meets(c, tape_parameter(b->t, x->shape, x->gradient, NULL), name, NULL, view);
}

/* Output y and, in binary64, its gradients. */
static void meet_all(struct claim *c, const struct bare *b, tensor y, const char *section,
                     bool weights, bool bias)
{
    char name[96];
    snprintf(name, sizeof name, "%s/cotangent/y", section);
    meets(c, y, section, "y", AS_IT_IS);
    tensor dy =
        c->profile == ASSAY_F64 ? outside_tensor(c, b->t, name, AS_IT_IS, y->shape) : TENSOR_NONE;
    if (!dy)
        return;
    tape_backward_from(b->t, 1, &y, &dy);
    meet_gradient(c, b, b->x, section, "x", AS_IT_IS);
    if (weights)
        meet_gradient(c, b, b->w, section, "weight", TRANSPOSED);
    if (bias)
        meet_gradient(c, b, b->bias, section, "bias", AS_IT_IS);
}

/* round(h 127 / m) m / 127, m = max |h| of a token, at least 1e-5; straight through. */
static tensor dequantised(tape *t, tensor h)
{
    tensor floor = tape_filled(t, SHAPE(1), 1e-5);
    tensor most = maximum(t, max_over(t, absolute(t, h), -1), floor);
    tensor factor = divide(t, tape_filled(t, most->shape, 127), most);
    tensor code = nearest_integer(t, multiply(t, h, factor), "codes");
    return st(t, divide(t, code, factor), h);
}

/* The gradient of W is not that of the signs: it lacks beta. */
static tensor scaled_signs(tape *t, tensor w)
{
    struct bitnet_signs s = bitnet_signs_of(t, w, "signs");
    return st(t, multiply(t, s.sign, s.beta), w);
}

/* Its norm: x / (|x| sqrt(in)), no mean, no eps. */
static void meet_kyegomez(struct claim *c)
{
    struct bare b;
    if (!load(c, &b))
        return;
    tensor length = square_root(b.t, sum_over(b.t, square(b.t, b.x), -1));
    tensor h = scale(b.t, divide(b.t, b.x, length), 0.25), w = scaled_signs(b.t, b.w);
    meets(c, dequantised(b.t, b.x), "kyegomez", "activation_quant", AS_IT_IS);
    meets(c, w, "kyegomez", "weight_quant", TRANSPOSED);
    meet_all(c, &b, matmul(b.t, dequantised(b.t, h), w), "kyegomez", true, false);
}

/* Clip(h 128 / (max |h| + e)) over groups of the first axis, not rounded; no part is held. */
static tensor grouped(tape *t, tensor h, size_t groups)
{
    size_t each = dim_of(h, 0) / groups;
    tensor part[2] = {0};
    for (size_t g = 0; g < groups; g++) {
        tensor own = slice(t, h, 0, g * each, each);
        tensor size = reshape(t, absolute(t, own), SHAPE(elements_of(own)));
        part[g] = bitnet_clipped(t, own, max_over(t, size, 0), 128, -128 + 1e-5, 128 - 1e-5);
    }
    return concat(t, 0, (int)groups, part);
}

/* Straight through to W - mean W, so that a gradient loses its mean. */
static tensor centred_signs(tape *t, tensor w)
{
    tensor mean = mean_over(t, reshape(t, w, SHAPE(elements_of(w))), 0);
    tensor sign = bitnet_signs_of(t, w, "signs").sign;
    return st(t, sign, subtract(t, w, mean));
}

/* Quantises the output, h = x sign(W - mean W) + bias, and has no beta; groups of outputs. */
static void meet_beomi(struct claim *c, const char *section, size_t groups)
{
    struct bare b;
    tensor part[2] = {0};
    if (!load(c, &b))
        return;
    for (size_t g = 0; g < groups; g++) {
        tensor own = slice(b.t, b.w, 1, g * OUT / groups, OUT / groups);
        part[g] = centred_signs(b.t, own);
    }
    tensor sign = concat(b.t, 1, (int)groups, part);
    meets(c, sign, section, "sign", TRANSPOSED);
    meets(c, grouped(b.t, b.x, groups), section, "quantize_activations", AS_IT_IS);
    meet_all(c, &b, grouped(b.t, linear(b.t, b.x, sign, b.bias), groups), section, true, true);
}

/* What enters a nonlinearity: from 0 on. */
static void meet_beomi_unsigned(struct claim *c)
{
    struct bare b;
    if (!load(c, &b))
        return;
    tensor flat = reshape(b.t, b.x, SHAPE(elements_of(b.x)));
    tensor gamma = max_over(b.t, absolute(b.t, flat), 0);
    tensor least = negate(b.t, max_over(b.t, negate(b.t, flat), 0));
    tensor raised = subtract(b.t, b.x, least);
    meet_all(c, &b, bitnet_clipped(b.t, raised, gamma, 128, 1e-5, 128 - 1e-5), "beomi_unsigned",
             false, false);
}

void bitnet_meets_the_ports(struct claim *c)
{
    meet_kyegomez(c);
    meet_beomi(c, "beomi_g1", 1);
    meet_beomi(c, "beomi_g2", 2);
    meet_beomi_unsigned(c);
}

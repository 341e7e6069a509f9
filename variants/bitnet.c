/* SPDX-License-Identifier: Apache-2.0 */
/* BitNet: linear layers multiply 8-bit integers by signs, so that a product is a sum of integers;
 * latent weights are trained straight through.
 * Wang et al. 2023, arXiv:2310.11453. There is no official code of it: the paper settles, and where
 * it is silent the authors' next one, arXiv:2402.17764.
 *
 *     y = (xq Wb) (beta gamma / Q),  Q = 2^(bits - 1)                       x [.., in], W [in, out]
 *     h = LN(x), no gain or bias;  gamma = max |h| of a token
 *     xq = Round(Clip(h Q / (gamma + e), -Q + e, Q - e)), at most Q - 1     e = 1e-5
 *     Wb = W > mean W ? 1 : -1;  beta = mean |W|
 *     backward: dWb goes to W, dxq through Round and Clip to h; mean W, beta and gamma are constants
 *
 * Replaces linear layers, but not the embedding's or the head's; they have no bias. It replaces the
 * norms of the blocks too, which stand inside of these layers; a last norm remains. groups: W is cut
 * as devices would cut it, by features where heads or hidden units are read (output, ffn.out:
 * partial sums are added) and by outputs elsewhere; mean, beta, and of features LN and gamma are a
 * group's. A token's largest |h| would become Q where it is positive, which is no integer of so many
 * bits: it is Q - 1. The clip acts for gamma > Q alone, at 8 bits more than LN of 2^14 features can
 * give. Sums below 2^24 are exact. training_scale=tensor is the paper's training: gamma is that of
 * all tokens of the shard; a token's otherwise, as at inference. Normal weights of value, output and
 * ffn start sqrt(ln 2L) times larger. Padding tokens are tokens like others.
 * Left out: the unsigned range of what enters a nonlinearity, which that paper drops; what
 * ports make of it stands in variants/outside/bitnet.c. */
#include <stdlib.h>
#include <string.h>

#include "ref/arith.h"
#include "ref/rng.h"
#include "ref/train.h"
#include "variants/outside.h"

enum { BITS, GROUPS, TRAINING_SCALE, MOST_GROUPS = 64 };

static const double guard = 1e-5;

/* Clip(h Q / (gamma + e), low, high).  h: [.., in], gamma: [.., 1] or [1] */
tensor bitnet_clipped(tape *t, tensor h, tensor gamma, double Q, double low, double high)
{
    tensor divisor = offset(t, gamma, guard), lowest = tape_filled(t, SHAPE(1), low),
           highest = tape_filled(t, SHAPE(1), high);
    tensor x = divide(t, scale(t, h, Q), divisor);
    return minimum(t, maximum(t, x, lowest), highest);
}

/* Signs [in, out] with the gradient of w, and beta [1]. */
struct bitnet_signs bitnet_signs_of(tape *t, tensor w, const char *name)
{
    struct bitnet_signs s = {TENSOR_NONE, TENSOR_NONE};
    if (!w)
        return s;
    tensor flat = reshape(t, w, SHAPE(elements_of(w))), mean = mean_over(t, flat, 0);
    tensor positive = above_zero(t, subtract(t, w, mean), name);
    tensor one = tape_filled(t, w->shape, 1), minus_one = tape_filled(t, w->shape, -1);
    s.sign = st(t, choose(t, positive, one, minus_one), w);
    s.beta = stop_gradient(t, mean_over(t, absolute(t, flat), 0));
    return s;
}

/* What is multiplied: integers [.., in], and what one of them is worth, gamma / Q. */
struct codes {
    tensor code, step;
};

static double levels(const layer *l)
{
    return (double)((size_t)1 << (hyper_n(l, "bits") - 1));
}

static tensor largest(layer *l, tensor h)
{
    tensor size = absolute(l->t, h);
    if (l->context->train && hyper_is(l, "training_scale", "tensor"))
        size = reshape(l->t, size, SHAPE(elements_of(h)));
    return stop_gradient(l->t, max_over(l->t, size, -1));
}

/* x: [.., in] */
static struct codes quantised(layer *l, tensor x)
{
    struct codes q = {TENSOR_NONE, TENSOR_NONE};
    tape *t = l->t;
    double Q = levels(l);
    tensor h = layer_norm(t, x, TENSOR_NONE, TENSOR_NONE, config_of(l)->norm_eps);
    tensor gamma = h ? largest(l, h) : TENSOR_NONE, most = tape_filled(t, SHAPE(1), Q - 1);
    tensor soft = bitnet_clipped(t, h, gamma, Q, -Q + guard, Q - guard);
    tensor hard = minimum(t, soft, most);
    q.code = st(t, nearest_integer(t, hard, tape_string(t, "%s.codes", l->path)), soft);
    q.step = divide_by(t, gamma, Q);
    return q;
}

/* The integers' product, scaled once. */
static tensor product(layer *l, struct codes q, tensor w)
{
    struct bitnet_signs s = bitnet_signs_of(l->t, w, tape_string(l->t, "%s.signs", l->path));
    tensor whole = matmul(l->t, q.code, s.sign);
    return multiply(l->t, whole, multiply(l->t, q.step, s.beta));
}

/* in x out latent numbers; normal ones of all but query and key grow with the depth. */
static tensor latent(layer *l, size_t in, size_t out)
{
    const struct assay_config *c = config_of(l);
    if (c->weights != WEIGHTS_NORMAL || path_ends(l, ".query") || path_ends(l, ".key"))
        return linear_weight(l, in, out);
    double depth = assay_scalar_log(ASSAY_F32, 2 * (double)c->layers);
    depth = assay_scalar_sqrt(ASSAY_F32, depth);
    double deviation = assay_scalar_mul(ASSAY_F32, c->weight_deviation, depth);
    return param(l, "weight", SHAPE(in, out), init_normal(deviation));
}

/* x: [.., in] -> [.., out] */
static tensor bit_linear(layer *l, tensor x, size_t out, bool bias)
{
    tape *t = l->t;
    size_t in = x ? width_of(x) : 0, groups = hyper_n(l, "groups"), each = out / groups;
    tensor part[MOST_GROUPS], sum = TENSOR_NONE;
    if (!x || strncmp(l->path, "embed", 5) == 0)
        return assay_reference_slots.linear(l, x, out, bias);
    tensor w = latent(l, in, out);
    if (path_ends(l, ".output") || path_ends(l, ".out")) {
        for (size_t g = 0; g < groups; g++) {
            size_t rows = in / groups;
            struct codes own = quantised(l, slice(t, x, -1, g * rows, rows));
            tensor y = product(l, own, slice(t, w, 0, g * rows, rows));
            sum = sum ? add(t, sum, y) : y;
        }
        return sum;
    }
    struct codes q = quantised(l, x);
    for (size_t g = 0; g < groups; g++)
        part[g] = product(l, q, slice(t, w, 1, g * each, each));
    return concat(t, -1, (int)groups, part);
}

static tensor last_norm_only(layer *l, tensor x)
{
    bool inside = !path_ends(l, "final") && strncmp(l->path, "embed", 5) != 0;
    return inside ? x : assay_reference_slots.norm(l, x);
}

/* ---- claims ---- */

/* A layer of block 0 and its input x [2, 6, 16]. */
struct alone {
    struct assay_model *m;
    struct claim_pass *p;
    layer l;
    tape *t;
    tensor x, w;
};

static bool alone(struct claim *c, struct alone *a, const char *overrides, const char *name)
{
    a->m = claim_model(c, overrides);
    a->p = a->m ? claim_blank(c, a->m, claim_batch(c, a->m, 2, 6, 1), 2, 6) : NULL;
    if (!a->p)
        return false;
    char entry[64] = "block.0.";
    strcat(entry, name);
    a->t = a->p->pass.t;
    a->l = claim_layer(c, a->p, entry);
    a->x = claim_random(c, a->t, SHAPE(2, 6, 16), 1);
    a->w = model_tensor(a->m, a->t, strcat(entry, ".weight"));
    return a->x && a->w;
}

static tensor output_of(struct alone *a, tensor x)
{
    return x ? bit_linear(&a->l, x, width_of(a->w), false) : TENSOR_NONE;
}

/* x [rows, in] of int8, signs [in, out]: additions and subtractions of int32 alone. -> how many */
static size_t add_integers(size_t rows, size_t in, size_t out, const double *x, const double *sign,
                           double *sum)
{
    size_t added = 0;
    for (size_t i = 0; i < rows * out; i++) {
        int32_t total = 0;
        for (size_t k = 0; k < in; k++, added++) {
            int32_t code = (int32_t)x[i / out * in + k];
            total = sign[k * out + i % out] > 0 ? total + code : total - code;
        }
        sum[i] = total;
    }
    return added;
}

static void products_are_sums_of_integers(struct claim *c)
{
    enum { ROWS = 12, IN = 16, OUT = 32 };
    struct alone a;
    double code[ROWS * IN], sign[IN * OUT], sum[ROWS * OUT];
    if (!alone(c, &a, "", "ffn.in"))
        return;
    struct codes q = quantised(&a.l, a.x);
    struct bitnet_signs s = bitnet_signs_of(a.t, a.w, "signs");
    tensor y = output_of(&a, a.x);
    if (!claim_true(c, y && elements_of(y) == ROWS * OUT, "a layer of %d outputs", OUT))
        return;
    tensor_read(a.t, q.code, code);
    tensor_read(a.t, s.sign, sign);
    int least = 0, most = 0, whole_codes = 0, units = 0;
    for (int i = 0; i < IN * OUT; i++)
        units += sign[i] == 1 || sign[i] == -1;
    for (int i = 0; i < ROWS * IN; i++) {
        whole_codes += code[i] == (int)code[i];
        least = code[i] < least ? (int)code[i] : least;
        most = code[i] > most ? (int)code[i] : most;
    }
    claim_true(c, least >= -128 && most == 127 && whole_codes == ROWS * IN && units == IN * OUT,
               "codes are int8, from %d to %d, weights +1 or -1", least, most);
    size_t added = add_integers(ROWS, IN, OUT, code, sign, sum);
    claim_true(c, added == a.t->counts.multiply_adds,
               "%zu additions, as many as the product of floats has multiply-adds", added);
    tensor whole = tape_input_f64(a.t, y->shape, sum), step = multiply(a.t, q.step, s.beta);
    claim_equal_bits(c, a.t, multiply(a.t, whole, step), y, "int32 sums, scaled once, and floats");
    tensor turned = flip(a.t, s.sign, 0);
    whole = matmul(a.t, flip(a.t, q.code, -1), turned);
    claim_equal_bits(c, a.t, multiply(a.t, whole, step), y, "the same in the other order");
}

/* An integer is off by at most 1 (at Q - 1), e takes at most e of an element: where all |W| are s a
 * number is off by 16 s (gamma / Q + e), and by 40 roundings of at most 16 s gamma; gamma < 4. */
static void many_bits_leave_normalised_inputs(struct claim *c)
{
    static const char *const bits[] = {"bits=24", "bits=2"};
    for (int i = 0; i < 2; i++) {
        struct alone a;
        if (!alone(c, &a, bits[i], "ffn.in"))
            return;
        double s = 0.125, scale_of, most = 4 / levels(&a.l) + guard + 160 * claim_roundoff(c);
        tensor half = sign_of(a.t, slice(a.t, a.w, 1, 0, 16)), other = negate(a.t, half);
        tensor w = scale(a.t, concat(a.t, 1, 2, (tensor[]){half, other}), s);
        model_store(a.m, "block.0.ffn.in.weight", w);
        tensor h = layer_norm(a.t, a.x, TENSOR_NONE, TENSOR_NONE, config_of(&a.l)->norm_eps);
        tensor y = output_of(&a, a.x);
        double off = claim_distance(c, y, matmul(a.t, h, w), &scale_of);
        claim_true(c, i ? off > 0.1 : off <= 16 * s * most, "%s: off LN(x) W by %.3g%s", bits[i],
                   off, i ? ", the control" : "");
    }
}

/* Powers of two pass all but eps, which is as good as 0 here. */
static void scales_pass_through(struct claim *c)
{
    struct alone a;
    if (!alone(c, &a, "norm_eps=1e-300", "ffn.in"))
        return;
    const char *weight = "block.0.ffn.in.weight";
    tensor y = output_of(&a, a.x), b = bitnet_signs_of(a.t, a.w, "signs").beta;
    claim_equal_bits(c, a.t, y, output_of(&a, scale(a.t, a.x, 4)), "x and 4 x");
    model_store(a.m, weight, scale(a.t, a.w, 4));
    tensor moved = offset(a.t, a.w, 0.25), z = output_of(&a, a.x);
    claim_equal_bits(c, a.t, scale(a.t, y, 4), z, "4 y, and y of 4 W");
    model_store(a.m, weight, moved);
    z = output_of(&a, a.x);
    claim_differs(c, y, z, 1e6, "y of W, and of W + 1/4");
    y = multiply(a.t, y, bitnet_signs_of(a.t, moved, "signs").beta);
    /* the same integers, three roundings each */
    claim_close(c, y, multiply(a.t, z, b), 6, 0, "over their betas");
}

/* Of the error E(b) = |W - b Wb|^2 for mean W = 0: dE/db = 2 (b N - sum W Wb), 2 N roundings of
 * sums of N numbers below 4. */
static void beta_is_the_best_scale(struct claim *c)
{
    enum { N = 2 * 16 * 24 };
    tape *t = claim_tape(c);
    tensor half = t ? claim_random(c, t, SHAPE(16, 24), 1) : TENSOR_NONE;
    if (!half)
        return;
    tensor w = concat(t, 0, 2, (tensor[]){half, negate(t, half)}), error[21];
    struct bitnet_signs s = bitnet_signs_of(t, w, "signs");
    double best = claim_value(c, s.beta, 0);
    bool least = true;
    for (int i = 0; i < 21; i++) {
        tensor e = subtract(t, w, scale(t, s.sign, best * (1 + (i - 10) / 50.0)));
        error[i] = sum_all(t, square(t, e));
    }
    for (int i = 0; i < 21; i++)
        least = least && (i == 10 || claim_value(c, error[i], 0) > claim_value(c, error[10], 0));
    claim_true(c, least, "of 21 scales mean |W| = %.4f has the least error", best);
    double slope = claim_value(c, sum_all(t, multiply(t, w, s.sign)), 0) - best * N;
    claim_true(c, (slope < 0 ? -slope : slope) <= 4.0 * N * 2 * N * claim_roundoff(c),
               "half the slope of the error is %.2g", slope);
}

/* Five deviations: 1 / sqrt N of the mean of N signs, sqrt(2 / 512) of the mean square of 512
 * outputs of deviation 1. */
static void outputs_keep_their_variance(struct claim *c)
{
    tape *t = claim_tape(c);
    tensor w = t ? scale(t, claim_random(c, t, SHAPE(64, 512), 1), 0.02) : TENSOR_NONE;
    if (!w)
        return;
    struct bitnet_signs s = bitnet_signs_of(t, offset(t, w, 0.01), "signs"), plain;
    plain = bitnet_signs_of(t, w, "signs");
    double mean = claim_value(c, sum_all(t, s.sign), 0) / (64 * 512), beta;
    claim_true(c, mean * mean * 64 * 512 < 25, "mean sign of N(0.01, 0.02) is %.4f", mean);
    tensor h = layer_norm(t, claim_random(c, t, SHAPE(1, 64), 2), TENSOR_NONE, TENSOR_NONE, 0);
    tensor y = multiply(t, matmul(t, h, plain.sign), plain.beta);
    beta = claim_value(c, plain.beta, 0);
    double ratio = claim_value(c, sum_all(t, square(t, y)), 0) / 512 / (beta * beta * 64);
    claim_true(c, ratio > 0.687 && ratio < 1.313, "Var y is %.3f of beta^2 in E h^2", ratio);
}

static void gradients_pass_straight_through(struct claim *c)
{
    struct alone a;
    if (!alone(c, &a, "", "ffn.in"))
        return;
    struct codes q = quantised(&a.l, a.x);
    struct bitnet_signs s = bitnet_signs_of(a.t, a.w, "signs");
    tensor y = output_of(&a, a.x), dy = claim_random(c, a.t, SHAPE(2, 6, 32), 3);
    claim_backward(c, a.p, 1, &y, &dy);
    tensor step = multiply(a.t, q.step, s.beta), moved = multiply(a.t, dy, step);
    tensor rows = reshape(a.t, q.code, SHAPE(12, 16));
    tensor dw = matmul_tn(a.t, rows, reshape(a.t, moved, SHAPE(12, 32)));
    tensor got = claim_gradient(c, a.p, "block.0.ffn.in.weight");
    claim_equal_bits(c, a.t, got, dw, "the gradient of latent weights, and that of their signs");
}

/* ---- a training run: to say the token before ---- */

enum { SAMPLES = 32, TOKENS = 8, SYMBOLS = 6, STEPS = 60 };

static struct assay_data sequences(struct claim *c)
{
    struct assay_shape shape = SHAPE(SAMPLES, TOKENS);
    int32_t *ids = calloc(2 * SAMPLES * TOKENS, sizeof *ids);
    struct assay_rng rng;
    if (!ids || !claim_own(c, free, ids))
        return (struct assay_data){0};
    int32_t *target = ids + SAMPLES * TOKENS;
    assay_rng_named(&rng, 1, "sequences");
    for (size_t i = 0; i < SAMPLES * TOKENS; i++) {
        ids[i] = (int32_t)assay_rng_below(&rng, SYMBOLS);
        target[i] = i % TOKENS ? ids[i - 1] : ids[i];
    }
    return (struct assay_data){
        SAMPLES, 2, {{"ids", ASSAY_I32, shape, ids}, {"target", ASSAY_I32, shape, target}}};
}

/* First and last loss; how many signs of a layer have turned. */
static bool trained(struct claim *c, double rate, double loss[2], size_t *turned)
{
    struct assay_model *m = claim_model(c, "vocab=6 length=8 embed_deviation=0.5");
    struct assay_data data = sequences(c);
    struct assay_optimizer adam = {OPTIMIZER_ADAMW, 0.9, 0.98, 1e-9, 0.01, 0, 0};
    struct assay_phase phase = {.name = "before",
                                .data = &data,
                                .steps = STEPS,
                                .batch = 8,
                                .optimizer = adam,
                                .schedule = {SCHEDULE_LINEAR, rate, 10, STEPS}};
    struct assay_trainer t;
    tape *kept = claim_tape(c);
    if (!m || !data.count || !kept)
        return false;
    const char *weight = "block.0.ffn.in.weight";
    tensor first = bitnet_signs_of(kept, model_tensor(m, kept, weight), "first").sign;
    bool runs = trainer_open(&t, m, &phase, 3, 1) == 0;
    for (size_t i = 0; runs && i < STEPS; i++) {
        runs = trainer_step(&t) == 0;
        loss[i > 0] = t.loss;
    }
    if (!runs)
        claim_true(c, false, "a training run: %s", t.error);
    trainer_close(&t);
    tensor last = bitnet_signs_of(kept, model_tensor(m, kept, weight), "last").sign;
    tensor both = sum_all(kept, multiply(kept, first, last));
    *turned = (size_t)(((double)elements_of(first) - claim_value(c, both, 0)) / 2);
    return runs;
}

static void large_steps_turn_signs(struct claim *c)
{
    double large[2] = {0}, small[2] = {0};
    size_t turned = 0, few = 0;
    if (!trained(c, 1e-2, large, &turned) || !trained(c, 1e-5, small, &few))
        return;
    claim_true(c, large[1] < 0.5 * large[0], "rate 1e-2: loss from %.3f to %.3f", large[0],
               large[1]);
    claim_true(c, turned > 10 * few && small[1] > 0.9 * small[0],
               "%zu of 512 signs have turned; at rate 1e-5 %zu, and the loss ends at %.3f", turned,
               few, small[1]);
}

/* ---- groups, and one scale for all tokens ---- */

/* A half of a weight [in, out] along an axis, into a smaller model's. */
static tensor half_of(struct alone *whole, struct alone *part, int axis, size_t g,
                      const char *entry)
{
    size_t each = dim_of(whole->w, axis) / 2;
    model_store(part->m, entry, slice(part->t, whole->w, axis, g * each, each));
    return output_of(part, axis ? whole->x : slice(part->t, whole->x, -1, g * each, each));
}

static void groups_are_layers_side_by_side(struct claim *c)
{
    static const char *const names[] = {"mixer.output", "mixer.query"};
    for (int axis = 0; axis < 2; axis++) {
        char entry[64] = "block.0.";
        struct alone whole, one, part;
        if (!alone(c, &whole, "groups=2", names[axis]) || !alone(c, &one, "", names[axis])
            || !alone(c, &part, "heads=1 head_width=8", names[axis]))
            return;
        strcat(strcat(entry, names[axis]), ".weight");
        tensor y = output_of(&whole, whole.x), half[2];
        for (size_t g = 0; g < 2; g++)
            half[g] = half_of(&whole, &part, axis, g, entry);
        tensor both = axis ? concat(part.t, -1, 2, half) : add(part.t, half[0], half[1]);
        claim_equal_bits(c, part.t, y, both,
                         axis ? "query: two layers side by side" : "output: the sum of two layers");
        claim_differs(c, y, output_of(&one, whole.x), 1e6, "two groups and one");
    }
}

static void one_scale_couples_samples(struct claim *c)
{
    struct alone a;
    if (!alone(c, &a, "training_scale=tensor", "ffn.in"))
        return;
    for (int train = 0; train < 2; train++) {
        tensor y[2], large = scale(a.t, slice(a.t, a.x, 2, 0, 1), 1e3);
        tensor spike = concat(a.t, 2, 2, (tensor[]){large, slice(a.t, a.x, 2, 1, 15)});
        tensor other[] = {slice(a.t, a.x, 0, 0, 1), TENSOR_NONE};
        other[1] = slice(a.t, spike, 0, 1, 1);
        a.l.context->train = train;
        y[0] = slice(a.t, output_of(&a, a.x), 0, 0, 1);
        y[1] = slice(a.t, output_of(&a, concat(a.t, 0, 2, other)), 0, 0, 1);
        if (train)
            claim_differs(c, y[0], y[1], 1e6, "in training, beside another sample");
        else
            claim_equal_bits(c, a.t, y[0], y[1], "at inference");
    }
}

/* ---- descriptor ---- */

static bool is_bits(double x)
{
    return x >= 2 && x <= 24 && x == (double)(long)x;
}

static bool is_groups(double x)
{
    return x >= 1 && x <= MOST_GROUPS && x == (double)(long)x;
}

static void resolve(struct assay_config *c)
{
    c->attention_bias = c->output_bias = c->ffn_bias = false;
}

static const char *legal(const struct assay_config *c)
{
    size_t groups = (size_t)c->hyper[GROUPS], keys = c->key_heads * c->head_width;
    return c->heads * c->head_width % groups || keys % groups || c->hidden % groups
                   || c->stream % groups
               ? "groups: expected a divisor of the sizes of all layers"
               : NULL;
}

static double extra_parameters(const struct assay_config *c)
{
    double norms = 2 * (double)c->layers
                   + (c->frame == FRAME_ENCODER_DECODER ? 3 * (double)c->decoder_layers : 0);
    return -norms * (double)c->stream * (c->norm_gain + c->norm_bias);
}

static const char *const scale_names[] = {"token", "tensor", NULL};

/* clang-format off */
#define BITNET "preset=pre_ln norm_eps=1e-5 activation=gelu weights=normal weight_deviation=0.02 "
const struct assay_variant assay_variant_bitnet = {
    .id = "bitnet",
    .title = "BitNet: Scaling 1-bit Transformers for Large Language Models",
    .authors = "Wang et al. 2023",
    .idea = "Linear layers multiply 8-bit integers by signs and scale once; latent weights are "
            "trained straight through.",
    .equations = "y = Round(Clip(LN(x) Q / gamma)) Sign(W - mean W) beta gamma / Q,  gamma = max |LN(x)|,  "
                 "beta = mean |W|,  Q = 2^(bits - 1)",
    .source = {"arXiv:2310.11453", NULL,
               "the paper, and the authors' next one", CONFIDENCE_HIGH},
    .kind = KIND_VARIANT, .family = "quantization", .replaces = "linear, norm",
    .slot = {.linear = bit_linear, .norm = last_norm_only},
    .hypers = (const struct variant_hyper[]){
        {"bits", "of an activation", 8, 8, is_bits, "a whole number from 2 to 24", NULL},
        {"groups", "parts of a weight with scales of their own", 1, 1, is_groups,
         "a whole number from 1 to 64", NULL},
        {"training_scale", "whose largest number scales the activations in training", 1, 0,
         is_choice, "token or tensor", scale_names},
        {0}},
    .settings = (const struct variant_setting[]){
        {"default", BITNET "frame=decoder head=language pad_is_zero=0"},
        {"groups", BITNET "frame=decoder head=language pad_is_zero=0 groups=2"},
        {"encoder", BITNET},
        {"tensor", BITNET "training_scale=tensor layers=1"},
        {0}},
    .forms = (const struct variant_form[]){
        {"parallel", "", false, FORM_BITS, 0, NULL},
        {"decode", "", true, FORM_BITS, 0, "tokens have their own scales"},
        {0}},
    .properties = (const struct variant_property[]){
        {PROPERTY_CAUSAL, HOLDS_BITS, 0, "frame=decoder head=language",
         "tokens have their own scales"},
        {PROPERTY_CAUSAL, HOLDS_NO, 0, "frame=encoder head=classify", "bidirectional"},
        {PROPERTY_SAMPLE_INDEPENDENT, HOLDS_BITS, 0, NULL, "in evaluation"},
        {PROPERTY_PERMUTATION_EQUIVARIANT, HOLDS_ROUNDING, 0,
         "position=none frame=encoder head=classify", "attention's sums change their order"},
        {PROPERTY_DIFFERENTIABLE, HOLDS_ROUNDING, 0, NULL,
         "of the function that follows what st's gradient goes to"},
        {0}},
    .claims = (const struct variant_claim[]){
        {CLAIM_IDENTITY, "a product is a sum of int8 numbers in int32, scaled once: binary64",
         products_are_sums_of_integers, 0},
        {CLAIM_IDENTITY, "a product is a sum of int8 numbers in int32, scaled once: binary32",
         products_are_sums_of_integers, ASSAY_F32},
        {CLAIM_BOUND, "with many bits and equal magnitudes it is LN(x) W",
         many_bits_leave_normalised_inputs, 0},
        {CLAIM_IDENTITY, "the scale of x does not matter, that of W passes, its mean moves beta",
         scales_pass_through, 0},
        {CLAIM_BOUND, "beta = mean |W| is the best scale of the signs", beta_is_the_best_scale, 0},
        {CLAIM_BOUND, "half of the signs are +1, and Var y = beta^2 in E h^2",
         outputs_keep_their_variance, 0},
        {CLAIM_IDENTITY, "latent weights get the gradient of their signs",
         gradients_pass_straight_through, 0},
        {CLAIM_TRAINED, "a small model learns, at rates that turn signs", large_steps_turn_signs, 0},
        {CLAIM_IDENTITY, "two groups are two layers", groups_are_layers_side_by_side, 0},
        {CLAIM_NEGATIVE, "one scale for all tokens couples samples, in training only",
         one_scale_couples_samples, 0},
        {CLAIM_OUTSIDE, "two independent ports, quantiser by quantiser", bitnet_meets_the_ports, 0},
        {0}},
    .untested = "That the loss follows the power law of binary16 models, with a gap that closes as "
                "models grow, needs models of 125M to 30B parameters. The energies are arithmetic on the "
                "paper's constants: an addition of int8 for each multiply-add of binary16.",
    .resolve = resolve, .legal = legal,
    .extra_parameters = extra_parameters,
};
/* clang-format on */

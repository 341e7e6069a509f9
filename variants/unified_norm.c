/* SPDX-License-Identifier: Apache-2.0 */
/* Unified Normalization: channels are divided by a smoothed root mean square of whole batches, which
 * at inference is a constant and folds into the next linear layer.
 * Yang et al. 2022, arXiv:2208.01313; settled by the official code
 * (hikvision-research/Unified-Normalization, unified_normalization.py, the same in both ports).
 *
 *     training, step t = 1, 2, ..; of a channel; G keeps the last M values of s, H the last K of q
 *     s = mean x^2 over the shard's tokens      v = exp(mean of ln G), or s    z = x / sqrt(v + eps)
 *     y = w z + b                               p = 0.9 p + 0.1 v
 *     r = sqrt(v + eps) / sqrt(p + eps) with the p before, within 1/5 .. 5, or 1
 *     backward: g = dy w r, q = mean of g z, m = mean of H, or q, e = 0.9 e + 0.1 m;
 *               dx = (g - z e) / sqrt(v + eps), dw = sum dy r z, db = sum dy
 *     evaluation: y = w x / sqrt(p + eps) + b
 *
 * Replaces the norm. v is s, and m is q, while the window fills (t <= M, t <= K) and in the warm-up
 * (t < warmup); r is 1 to t = max(floor, warmup). filtration, on for images in the paper and off for
 * text: from t = warmup on a batch is an outlier if in any channel the arithmetic mean of G is above
 * its geometric mean by more than M times the variance of all numbers sqrt G before the step. Then p
 * enters G and e enters H in its place; v = s, r = 1 and m = q for it, and dx takes m, not e. M = 1
 * makes all batches outliers, uncounted. The gradient is not the derivative of y: it is smoothed over
 * steps. Padding is left out of s, but not of q.
 * Deviation: several shards of a step see the same state, and their updates are averaged; by default
 * a step is one shard. floor is the constant 1000 in the code. */
#include <stdio.h>
#include <string.h>

#include "ref/arith.h"
#include "variants/outside.h"

enum { WINDOW, GRADIENT_WINDOW, WARMUP, FLOOR, MOMENTUM, FILTRATION };

/* ---- statistics: rings are [window, d], all else is [d] ---- */

static tensor with_row(tape *t, tensor ring, size_t at, tensor row)
{
    if (!ring || !row)
        return TENSOR_NONE;
    size_t after = dim_of(ring, 0) - at - 1, count = 0;
    tensor part[3];
    if (at)
        part[count++] = slice(t, ring, 0, 0, at);
    part[count++] = reshape(t, row, SHAPE(1, elements_of(row)));
    if (after)
        part[count++] = slice(t, ring, 0, at + 1, after);
    return concat(t, 0, (int)count, part);
}

/* Sum over tokens: [.., d] -> [d] */
static tensor over_tokens(tape *t, tensor x)
{
    if (!x)
        return TENSOR_NONE;
    size_t rows = rows_of(x), d = width_of(x);
    return reshape(t, sum_over(t, reshape(t, x, SHAPE(rows, d)), 0), SHAPE(d));
}

static tensor mean_square(layer *l, tensor x)
{
    tensor valid = l->context->valid;
    size_t rows = rows_of(x), tokens = valid ? 0 : rows;
    for (size_t i = 0; valid && i < rows; i++)
        tokens += ids_of(valid)[i] != 0;
    tensor squares = square(l->t, without_padding(l, x, 1));
    return divide_by(l->t, over_tokens(l->t, squares), tokens ? (double)tokens : 1);
}

static tensor arithmetic_mean(tape *t, tensor ring)
{
    return reshape(t, mean_over(t, ring, 0), SHAPE(width_of(ring)));
}

static tensor geometric_mean(tape *t, tensor ring)
{
    return exponential(t, arithmetic_mean(t, logarithm(t, ring)));
}

/* Unbiased variance of all numbers sqrt G: [1] */
static tensor spread(tape *t, tensor ring)
{
    size_t n = elements_of(ring);
    tensor roots = square_root(t, reshape(t, ring, SHAPE(n)));
    tensor deviation = subtract(t, roots, mean_over(t, roots, 0));
    return divide_by(t, sum_over(t, square(t, deviation), 0), n > 1 ? (double)(n - 1) : 1);
}

/* before, after: the ring before and after this step's row. */
static bool is_outlier(layer *l, tensor before, tensor after)
{
    tape *t = l->t;
    tensor geometric = geometric_mean(t, after);
    tensor gap = subtract(t, arithmetic_mean(t, after), geometric);
    tensor limit = scale(t, spread(t, before), (double)dim_of(before, 0));
    tensor most = max_over(t, subtract(t, gap, limit), 0);
    tensor is = above_zero(t, most, tape_string(t, "%s.outlier", l->path));
    return is && ids_of(is)[0];
}

/* ---- training ---- */

/* What the layer keeps between steps; before the step. */
struct state {
    tensor squares, slopes, mean_square, slope, steps, outliers;
};

/* What the backward of a pass needs. */
struct passed {
    layer l;
    struct state s;
    size_t step;
    bool outlier;
    tensor gain, z, ratio, deviation;
};

static double momentum(const layer *l)
{
    return assay_scalar(profile_of(l), config_of(l)->hyper[MOMENTUM]);
}

static bool plain(const layer *l, size_t step, size_t window, bool outlier)
{
    return step <= window || step < hyper_n(l, "warmup") || outlier;
}

static void smoothed_gradient(tape *t, void *closure, tensor dy, tensor *gradient)
{
    struct passed *p = closure;
    size_t window = hyper_n(&p->l, "gradient_window");
    double keep = momentum(&p->l), rest = assay_scalar_sub(profile_of(&p->l), 1, keep);
    tensor g = multiply(t, multiply(t, dy, p->gain), p->ratio);
    tensor own = over_tokens(t, multiply(t, g, p->z)), dy_r, e;
    own = divide_by(t, own, (double)rows_of(dy));
    tensor ring = with_row(t, p->s.slopes, p->step % window, p->outlier ? p->s.slope : own);
    tensor mean = plain(&p->l, p->step, window, p->outlier) ? own : arithmetic_mean(t, ring);
    e = scale(t, p->s.slope, keep);
    e = add(t, e, scale(t, mean, rest));
    tensor moved = subtract(t, g, multiply(t, p->z, p->outlier ? mean : e));
    gradient[0] = divide(t, moved, p->deviation);
    dy_r = multiply(t, dy, multiply(t, p->ratio, p->z));
    gradient[1] = over_tokens(t, dy_r);
    gradient[2] = over_tokens(t, dy);
    buffer_emit(&p->l, "slopes", ring, 0);
    buffer_emit(&p->l, "slope", mean, keep);
}

/* sqrt(v + eps) / sqrt(p + eps), clamped, or 1: [d] */
static tensor compensation(const struct passed *p)
{
    tape *t = p->l.t;
    const struct assay_config *c = config_of(&p->l);
    double first = c->hyper[FLOOR] > c->hyper[WARMUP] ? c->hyper[FLOOR] : c->hyper[WARMUP];
    if ((double)p->step <= first || p->outlier)
        return tape_filled(t, p->deviation->shape, 1);
    tensor least = tape_filled(t, SHAPE(1), 0.2), most = tape_filled(t, SHAPE(1), 5);
    tensor before = square_root(t, offset(t, p->s.mean_square, c->norm_eps));
    tensor ratio = divide(t, p->deviation, before);
    return minimum(t, maximum(t, ratio, least), most);
}

/* x: [.., d] */
static tensor trained(layer *l, tensor x, tensor gain, tensor bias, struct state s)
{
    tape *t = l->t;
    struct passed *p = tape_allocate(t, sizeof *p);
    size_t window = hyper_n(l, "window");
    double steps = 0;
    tensor own = p ? mean_square(l, x) : TENSOR_NONE;
    if (!own)
        return TENSOR_NONE;
    if (!t->dry)
        tensor_read(t, s.steps, &steps);
    *p = (struct passed){.l = *l, .s = s, .step = (size_t)steps + 1, .gain = gain};
    tensor ring = with_row(t, s.squares, p->step % window, own);
    bool filters = config_of(l)->hyper[FILTRATION] != 0 && p->step >= hyper_n(l, "warmup");
    bool counted = filters && is_outlier(l, s.squares, ring);
    p->outlier = counted || window == 1;
    if (counted)
        ring = with_row(t, s.squares, p->step % window, s.mean_square);
    bool direct = plain(l, p->step, window, p->outlier);
    tensor v = direct ? own : geometric_mean(t, ring);
    p->deviation = square_root(t, offset(t, v, config_of(l)->norm_eps));
    p->z = divide(t, x, p->deviation);
    if (!p->z)
        return TENSOR_NONE;
    p->ratio = compensation(p);
    buffer_emit(l, "squares", ring, 0);
    buffer_emit(l, "mean_square", v, momentum(l));
    buffer_emit(l, "steps", offset(t, s.steps, 1), 0);
    buffer_emit(l, "outliers", offset(t, s.outliers, counted), 0);
    tensor y = add(t, multiply(t, gain, p->z), bias);
    return custom(t, "unified_norm", y, 3, (tensor[]){x, gain, bias}, smoothed_gradient, p);
}

static tensor unified_norm(layer *l, tensor x)
{
    tape *t = l->t;
    struct state s;
    size_t d = x ? width_of(x) : 0, window = hyper_n(l, "window"),
           gradient_window = hyper_n(l, "gradient_window");
    if (!x)
        return TENSOR_NONE;
    tensor gain = param(l, "gain", SHAPE(d), init_ones()),
           bias = param(l, "bias", SHAPE(d), init_zeros());
    s.mean_square = buffer(l, "mean_square", SHAPE(d), init_ones());
    s.slope = buffer(l, "slope", SHAPE(d), init_zeros());
    s.squares = buffer(l, "squares", SHAPE(window, d), init_zeros());
    s.slopes = buffer(l, "slopes", SHAPE(gradient_window, d), init_zeros());
    s.steps = buffer(l, "steps", SHAPE(1), init_zeros());
    s.outliers = buffer(l, "outliers", SHAPE(1), init_zeros());
    if (l->context->train)
        return trained(l, x, gain, bias, s);
    x = divide(t, x, square_root(t, offset(t, s.mean_square, config_of(l)->norm_eps)));
    return add(t, multiply(t, gain, x), bias);
}

/* ---- folding ---- */

/* The norm at a path, then the linear layer at another: W' = diag(w / sqrt(p + eps)) W,
 * c' = b W + c. */
static bool fold(struct claim *c, const struct assay_model *from, struct assay_model *to,
                 const char *norm, const char *reader)
{
    static const char *const parts[] = {"gain", "bias", "mean_square"};
    tape *t = claim_tape(c);
    char name[96];
    tensor part[3] = {0};
    for (int i = 0; t && i < 3; i++) {
        snprintf(name, sizeof name, "%s.%s", norm, parts[i]);
        part[i] = model_tensor(from, t, name);
    }
    snprintf(name, sizeof name, "%s.weight", reader);
    tensor w = t ? model_tensor(from, t, name) : TENSOR_NONE;
    if (!w || !part[2])
        return false;
    tensor a = divide(t, part[0], square_root(t, offset(t, part[2], from->config.norm_eps)));
    tensor moved = matmul(t, reshape(t, part[1], SHAPE(1, elements_of(part[1]))), w);
    bool stored = model_store(to, name, multiply(t, w, reshape(t, a, SHAPE(elements_of(a), 1))));
    snprintf(name, sizeof name, "%s.bias", reader);
    tensor bias = model_tensor(from, t, name);
    moved = add(t, reshape(t, moved, SHAPE(width_of(w))), bias);
    return model_store(to, name, moved) && stored;
}

static bool fold_all(struct claim *c, const struct assay_model *from, struct assay_model *to)
{
    static const char *const pairs[][2] = {{"norm1", "mixer.query"},
                                           {"norm1", "mixer.key"},
                                           {"norm1", "mixer.value"},
                                           {"norm2", "ffn.in"}};
    bool done = fold(c, from, to, "final", "head.output");
    for (size_t i = 0; done && i < 4 * from->config.layers; i++) {
        char norm[64], reader[64];
        snprintf(norm, sizeof norm, "block.%zu.%s", i / 4, pairs[i % 4][0]);
        snprintf(reader, sizeof reader, "block.%zu.%s", i / 4, pairs[i % 4][1]);
        done = fold(c, from, to, norm, reader);
    }
    return done;
}

/* ---- claims ---- */

/* To first order a number on its way through a block passes sums of 16, 16, 16, 16, 32 and 16 terms,
 * each rounded once, and a norm takes 6 roundings, or one more chain of 16 when folded: in two
 * blocks and the head, five norms. Twice that lies between two orders. */
static void norms_fold(struct claim *c)
{
    struct assay_model *m = claim_model(c, "weight_deviation=0.2 embed_deviation=1"),
                       *folded = claim_model(c, "weight_deviation=0.2 norm=none");
    const struct assay_batch *b = claim_batch(c, m, 2, 16, 7);
    tape *t = claim_tape(c);
    if (!b || !folded || !t)
        return;
    for (size_t i = 0; i < m->entries; i++) {
        const char *name = m->entry[i].name, *part = strrchr(name, '.') + 1;
        tensor x = claim_random(c, t, m->entry[i].shape, i);
        if (strcmp(part, "mean_square") == 0)
            model_store(m, name, offset(t, square(t, x), 0.1));
        else if (strcmp(part, "gain") == 0 || strcmp(part, "bias") == 0)
            model_store(m, name, x);
    }
    claim_copy_weights(c, m, folded);
    struct claim_pass *p = claim_forward(c, m, b), *q = claim_forward(c, folded, b);
    if (!p || !q)
        return;
    claim_differs(c, p->output, q->output, 1e6, "norms left out, control");
    claim_true(c, fold_all(c, m, folded), "the fold runs");
    q = claim_forward(c, folded, b);
    if (q)
        claim_close(c, p->output, q->output, 2 * (3 * 112 + 5 * 22), 0, "with norms, and folded");
    claim_true(c, m->elements[ASSAY_PARAMETER] - folded->elements[ASSAY_PARAMETER] == 5 * 32,
               "the parameters of 5 norms are gone");
}

/* exp(L) with |L| < 3, a mean of 4: 8 roundings of L, 4 more: 3 * 8 + 4 of the mean. */
static void the_gap_tells_unequal_batches(struct claim *c)
{
    tape *t = claim_tape(c);
    if (!t)
        return;
    for (int equal = 0; equal < 2; equal++) {
        tensor row = offset(t, square(t, claim_random(c, t, SHAPE(equal ? 1 : 4, 16), 1)), 0.1);
        tensor ring = expand(t, row, SHAPE(4, 16)), mean = arithmetic_mean(t, ring);
        tensor gap = subtract(t, mean, geometric_mean(t, ring));
        tensor most = max_over(t, gap, 0), least = negate(t, max_over(t, negate(t, gap), 0));
        double unit = claim_roundoff(c) * claim_value(c, max_over(t, mean, 0), 0);
        double low = claim_value(c, least, 0), high = claim_value(c, most, 0);
        claim_true(c, equal ? low >= -28 * unit && high <= 28 * unit : low > 1e6 * unit,
                   "%s values: the means differ by %.2g to %.2g", equal ? "equal" : "unequal", low,
                   high);
    }
}

/* Five deviations of a variance of N normal numbers: sqrt(2 / N) each, for both. */
static void windows_divide_the_variance(struct claim *c)
{
    enum { N = 4096, M = 4 };
    tape *t = claim_tape(c);
    if (!t)
        return;
    tensor logs = scale(t, claim_random(c, t, SHAPE(M, N), 1), 0.5);
    tensor mean = logarithm(t, geometric_mean(t, exponential(t, logs)));
    double all = claim_value(c, sum_all(t, square(t, logs)), 0) / (M * N),
           own = claim_value(c, sum_all(t, square(t, mean)), 0) / N, ratio = own * M / all;
    claim_true(c, ratio > 1 - 5 * 0.0248 && ratio < 1 + 5 * 0.0248,
               "variance of ln v times M over that of ln s: %.3f", ratio);
}

struct claim_pass *unified_norm_pass(struct claim *c, struct assay_model *m, size_t samples,
                                     size_t length)
{
    const struct assay_batch *b = claim_batch(c, m, samples, m ? m->config.length : 0, 1);
    struct claim_pass *p = b ? claim_blank(c, m, b, samples, length) : NULL;
    return p && claim_updating(c, p) ? p : NULL;
}

/* A training step of block 0's first norm, and its state afterwards. */
struct stepped {
    struct assay_model *m;
    tape *t;
    tensor x, dy, y, dx, d_gain, z; /* z: of the batch's own mean square */
};

static bool take_step(struct claim *c, struct stepped *s, double size, uint64_t seed)
{
    struct claim_pass *p = s->m ? unified_norm_pass(c, s->m, 2, 6) : NULL;
    if (!p)
        return false;
    layer l = claim_layer(c, p, "block.0.norm1");
    s->t = p->pass.t;
    s->x = scale(s->t, claim_random(c, s->t, SHAPE(2, 6, 16), seed), size);
    s->dy = claim_random(c, s->t, SHAPE(2, 6, 16), 99);
    tensor flat = reshape(s->t, s->x, SHAPE(12, 16));
    tensor own = offset(s->t, mean_over(s->t, square(s->t, flat), 0), 1e-5);
    s->z = divide(s->t, s->x, square_root(s->t, own));
    s->y = unified_norm(&l, s->x);
    claim_backward(c, p, 1, &s->y, &s->dy);
    if (!s->y || !s->x->gradient)
        return false;
    s->dx = tape_keep(s->t, tape_parameter(s->t, s->x->shape, s->x->gradient, NULL));
    s->d_gain = claim_gradient(c, p, "block.0.norm1.gain");
    claim_settle(p);
    return true;
}

static tensor kept(const struct stepped *s, const char *what)
{
    return model_tensor(s->m, s->t, tape_string(s->t, "block.0.norm1.%s", what));
}

/* The first step: q smoothed from 0 is 0.1 q. */
static void warm_up_is_batch_rms_norm(struct claim *c)
{
    struct stepped s = {.m = claim_model(c, "warmup=9")};
    if (!s.m || !take_step(c, &s, 1, 1))
        return;
    claim_equal_bits(c, s.t, s.y, s.z, "x over the root of the batch's mean square");
    tensor q = multiply(s.t, s.dy, s.z), flat = reshape(s.t, q, SHAPE(12, 16));
    q = scale(s.t, mean_over(s.t, flat, 0), assay_scalar_sub(c->profile, 1, 0.9));
    claim_equal_bits(c, s.t, kept(&s, "slope"), q, "the smoothed slope");
    tensor moved = subtract(s.t, s.dy, multiply(s.t, s.z, q));
    tensor deviation = divide(s.t, s.x, s.z);
    claim_close(c, s.dx, divide(s.t, moved, deviation), 4, 0, "and the gradient takes it");
}

/* v is s within 28 roundings; p sums them up with weights of 1 in all, and 3 of its own a step,
 * which the weights 0.9^k make 30. */
static void constant_batches_settle(struct claim *c)
{
    struct stepped s = {.m = claim_model(c, "filtration=1")};
    double power = 1, steps = 40;
    for (int i = 0; i < (int)steps; i++) {
        if (!s.m || !take_step(c, &s, 2, 1))
            return;
        power *= i + 1 < (int)steps ? 0.9 : 1;
    }
    tensor flat = reshape(s.t, square(s.t, s.x), SHAPE(12, 16));
    tensor own = reshape(s.t, mean_over(s.t, flat, 0), SHAPE(16));
    tensor off = offset(s.t, negate(s.t, own), 1), before, after, ratio;
    before = add(s.t, own, scale(s.t, off, power));
    after = add(s.t, own, scale(s.t, off, power * 0.9));
    claim_close(c, kept(&s, "mean_square"), after, 28 + 30 + 50, 0, "p = s + 0.9^40 (1 - s)");
    claim_true(c, claim_value(c, kept(&s, "outliers"), 0) == 0, "no batch is an outlier");
    before = square_root(s.t, offset(s.t, before, 1e-5));
    ratio = divide(s.t, square_root(s.t, offset(s.t, own, 1e-5)), before);
    tensor products = reshape(s.t, multiply(s.t, s.dy, s.z), SHAPE(12, 16));
    tensor d_gain = multiply(s.t, reshape(s.t, sum_over(s.t, products, 0), SHAPE(16)), ratio);
    claim_close(c, s.d_gain, d_gain, 300, 12, "dw has r = sqrt(s + eps) / sqrt(p + eps)");
    claim_true(c, claim_distance(c, ratio, tape_filled(s.t, SHAPE(16), 1), &power) < 0.05,
               "which comes to 1");
}

static void outliers_are_filtered(struct claim *c)
{
    static const char *const ways[] = {"filtration=0 warmup=4", "filtration=1 warmup=4"};
    for (int filters = 0; filters < 2; filters++) {
        struct stepped s = {.m = claim_model(c, ways[filters])};
        bool ran = s.m != NULL;
        for (int i = 0; ran && i < 6; i++)
            ran = take_step(c, &s, 1, 1);
        double before[16];
        if (!ran)
            return;
        tensor_read(s.t, kept(&s, "mean_square"), before);
        if (!take_step(c, &s, 1000, 2))
            return;
        tensor row = slice(s.t, kept(&s, "squares"), 0, 7 % 2, 1);
        tensor p = tape_input_f64(s.t, SHAPE(16), before);
        claim_true(c, claim_value(c, kept(&s, "outliers"), 0) == filters, "%s: %d outliers",
                   ways[filters], filters);
        if (filters) {
            claim_equal_bits(c, s.t, row, p, "p takes its place in the window");
            claim_equal_bits(c, s.t, s.y, s.z, "it is divided by its own root mean square");
        } else {
            claim_differs(c, row, p, 1e6, "it enters the window");
            claim_differs(c, s.y, s.z, 1e6, "and is not divided by its own");
        }
    }
}

/* dx by the tape: sums of 12 terms and 10 roundings more each way. */
static void gradient_is_a_derivative_for_windows_of_one(struct claim *c)
{
    static const char *const ways[] = {"window=2", "window=1"};
    for (int one = 0; one < 2; one++) {
        struct stepped s = {.m = claim_model(c, ways[one])};
        bool ran = s.m != NULL;
        for (uint64_t i = 0; ran && i < 6; i++)
            ran = take_step(c, &s, 1, i);
        if (!ran)
            return;
        double dx[12 * 16];
        tensor x = tape_keep(s.t, s.x);
        x->needs_gradient = true;
        tensor own = mean_over(s.t, square(s.t, reshape(s.t, x, SHAPE(12, 16))), 0);
        tensor y = divide(s.t, x, square_root(s.t, offset(s.t, own, 1e-5)));
        tape_backward_from(s.t, 1, &y, &s.dy);
        gradient_read(s.t, x, dx);
        tensor derivative = tape_input_f64(s.t, x->shape, dx);
        if (one)
            claim_close(c, s.dx, derivative, 2 * 22, 0, "window=1: dx and the derivative");
        else
            claim_differs(c, s.dx, derivative, 1e6, "window=2, six batches: dx, the derivative");
    }
}

static void state_is_two_windows(struct claim *c)
{
    struct assay_model *m = claim_model(c, "window=3 gradient_window=5");
    size_t norms = m ? 2 * m->config.layers + 1 : 0, d = m ? m->config.stream : 0;
    if (m)
        claim_true(c, m->elements[ASSAY_BUFFER] == norms * ((3 + 5 + 2) * d + 2),
                   "%zu norms keep (M + K + 2) d numbers and two counters each", norms);
}

/* ---- descriptor ---- */

static bool is_window(double x)
{
    return at_least_one(x) && x <= 1024 && x == (double)(size_t)x;
}

static bool is_share(double x)
{
    return x >= 0 && x <= 1;
}

static const char *legal(const struct assay_config *c)
{
    return c->hyper[FILTRATION] != 0 && c->hyper[WARMUP] < c->hyper[WINDOW]
               ? "warmup: expected at least window with filtration=1"
               : NULL;
}

static double extra_parameters(const struct assay_config *c)
{
    double norms = 2 * (double)c->layers + c->final_norm + c->embed_norm
                   + (c->frame == FRAME_ENCODER_DECODER
                          ? 3 * (double)c->decoder_layers + c->final_norm + c->embed_norm
                          : 0);
    return norms * (double)c->stream * (2 - c->norm_gain - (c->norm == NORM_LAYER && c->norm_bias));
}

/* clang-format off */
const struct assay_variant assay_variant_unified_norm = {
    .id = "unified_norm",
    .title = "Unified Normalization for Accelerating and Stabilizing Transformers",
    .authors = "Yang et al. 2022",
    .idea = "Channels are divided by a smoothed root mean square of whole batches, a constant at "
            "inference; gradients are smoothed alike, and outlying batches left out.",
    .equations = "y = w x / sqrt(v + eps) + b,  v = exp(mean of ln s over the last M batches),  "
                 "dx = (g - z e) / sqrt(v + eps),  e: running mean of mean g z",
    .source = {"arXiv:2208.01313", "hikvision-research/Unified-Normalization", "the official code",
               CONFIDENCE_HIGH},
    .kind = KIND_VARIANT, .family = "norm", .replaces = "norm",
    .slot = {.norm = unified_norm},
    .hypers = (const struct variant_hyper[]){
        {"window", "batches of the geometric mean", 4, 2, is_window, "a whole number from 1 to 1024",
         NULL},
        {"gradient_window", "batches of the slope's mean", 4, 2, is_window,
         "a whole number from 1 to 1024", NULL},
        {"warmup", "steps with the batch's own statistics", 4000, 2, NOT_NEGATIVE},
        {"floor", "steps without compensation, at least", 1000, 3, NOT_NEGATIVE},
        {"momentum", "of the running mean square and slope", 0.9, 0.9, is_share, "0 to 1", NULL},
        {"filtration", "whether outlying batches are left out", 0, 0, FLAG},
        {0}},
    .settings = (const struct variant_setting[]){
        {"default", "preset=pre_ln norm_eps=1e-5"},
        {"image", "preset=pre_ln norm_eps=1e-5 inputs=values values=12 filtration=1"},
        {"causal", "preset=pre_ln norm_eps=1e-5 frame=decoder head=language pad_is_zero=0"},
        {0}},
    .forms = (const struct variant_form[]){
        {"parallel", "", false, FORM_BITS, 0, NULL},
        {"decode", "", true, FORM_BITS, 0, "norms are constants"},
        {0}},
    .properties = (const struct variant_property[]){
        {PROPERTY_CAUSAL, HOLDS_BITS, 0, "inputs=ids frame=decoder head=language",
         "in evaluation: norms are constants"},
        {PROPERTY_CAUSAL, HOLDS_NO, 0, "inputs=ids frame=encoder head=classify", "bidirectional"},
        {PROPERTY_SAMPLE_INDEPENDENT, HOLDS_BITS, 0, NULL, "in evaluation: norms are constants"},
        {PROPERTY_PERMUTATION_EQUIVARIANT, HOLDS_ROUNDING, 0,
         "inputs=ids position=none frame=encoder head=classify",
         "attention's sums change their order"},
        {PROPERTY_DIFFERENTIABLE, HOLDS_NO, 0, NULL,
         "the published gradient is smoothed over steps; a claim has the control"},
        {0}},
    .claims = (const struct variant_claim[]){
        {CLAIM_IDENTITY, "in evaluation norms fold into the next linear layers, a whole model",
         norms_fold, 0},
        {CLAIM_BOUND, "the gap of the means is 0 for equal batches, and positive for others",
         the_gap_tells_unequal_batches, 0},
        {CLAIM_IDENTITY, "the warm-up is RMS normalisation by channels, with smoothed gradients",
         warm_up_is_batch_rms_norm, 0},
        {CLAIM_BOUND, "constant batches: p comes to s, r to 1, nothing is filtered",
         constant_batches_settle, 0},
        {CLAIM_IDENTITY, "an outlier is counted, replaced, and normalised by itself",
         outliers_are_filtered, 0},
        {CLAIM_NEGATIVE, "the gradient is the derivative for a window of 1, and no other",
         gradient_is_a_derivative_for_windows_of_one, 0},
        {CLAIM_BOUND, "the variance of ln v is that of ln s over M", windows_divide_the_variance, 0},
        {CLAIM_COUNT, "two windows, two means and two counters are kept", state_is_two_windows, 0},
        {CLAIM_OUTSIDE, "the authors' module: nine steps in six ways, with all of its state",
         unified_norm_meets_the_module, 0},
        {0}},
    .untested = "About 31 % less time and 18 % less memory at inference need the GPU; that folded "
                "norms leave no operation is tested. Accuracy needs ImageNet and WMT.",
    .legal = legal,
    .extra_parameters = extra_parameters, .coupled = true,
};
/* clang-format on */

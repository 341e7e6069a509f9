/* SPDX-License-Identifier: Apache-2.0 */
/* SLAB: LayerNorm fades into a batch norm that folds into the next linear layer, and attention
 * becomes linear, with a convolution of the values.
 * Guo et al. 2024, arXiv:2405.11582; settled by the official code (xinghaochen/SLAB, prepbn.py,
 * slab_deit.py, swin_transformer.py, and the language model's copy of prepbn.py).
 *
 *     RepBN(x) = BN(x) + eta x,  BN(x) = g (x - mu) / sqrt(var + 1e-5) + b      eta: one number
 *     PRepBN(x) = lambda LN(x) + (1 - lambda) RepBN(x);  after training RepBN(x), for any lambda
 *     o_i = q_i (sum_j k_j^T v_j) / (q_i . sum_j k_j + 1e-6),  q = ReLU(x Wq), k = ReLU(x Wk + P)
 *     y = (o + convolution of v, depthwise, 5 x 5) Wo
 *     folded:  RepBN(x) W + c = x (diag(a) W) + (t W + c),  a = g / sqrt(var + 1e-5) + eta,
 *              t = b - g mu / sqrt(var + 1e-5)
 *
 * Replaces norms (the last too) and the mixer. In training mu and var are those of all tokens of
 * the shard (by default the batch), padding included, and running means (momentum 0.1, var
 * unbiased) are kept for evaluation. A share `warm` of the training sees LN only, then lambda
 * falls from 1 to 0 over a share `fade`; the code counts forward passes. The language model
 * (attention=softmax) fades from RMSNorm. Tokens fill a grid of ceil(sqrt n) columns row by row,
 * where the paper has squares; all heads share the kernel. Padding tokens are tokens like others:
 * the image models have none.
 * Left out: padding in a language model's statistics, which causal frames here do not have; the
 * code's fold of a patch embedding before its norm, which forgets eta times the bias, and its
 * backward fold of Swin's last norm: here a norm folds into what reads it. LN's eps is 1e-6, as in
 * the DeiT form (1e-5 in Swin's). */
#include <stdio.h>
#include <string.h>

#include "ref/arith.h"
#include "variants/outside.h"

enum { ATTENTION, KERNEL, WARM, FADE, GAIN, IDENTITY };

static const double batch_eps = 1e-5, attention_eps = 1e-6;

/* ---- the norm ---- */

bool slab_warming(const struct assay_config *c, double progress)
{
    return progress < c->hyper[WARM];
}

/* lambda, a scalar of binary32 */
double slab_fading(const struct assay_config *c, double progress)
{
    double end = assay_scalar_add(ASSAY_F32, c->hyper[WARM], c->hyper[FADE]);
    double left = assay_scalar_sub(ASSAY_F32, end, progress);
    if (slab_warming(c, progress))
        return 1;
    if (left <= 0)
        return 0;
    left = assay_scalar_div(ASSAY_F32, left, c->hyper[FADE]);
    return left < 1 ? left : 1;
}

tensor slab_rep_bn_of(tape *t, tensor x, struct slab_norm n)
{
    tensor deviation = square_root(t, offset(t, n.variance, batch_eps));
    tensor normal = divide(t, subtract(t, x, n.mean), deviation);
    tensor y = add(t, multiply(t, normal, n.gain), n.bias);
    return add(t, y, multiply(t, x, n.identity));
}

/* x: [b, n, d]; in training with the shard's statistics, which are emitted. */
static tensor rep_bn(layer *l, tensor x)
{
    size_t d = width_of(x);
    double gain = hyper(l, "batch_gain"), identity = hyper(l, "identity");
    struct slab_norm n;
    n.gain = param(l, "batch.gain", SHAPE(d), init_constant(gain));
    n.bias = param(l, "batch.bias", SHAPE(d), init_zeros());
    n.identity = param(l, "identity", SHAPE(1), init_constant(identity));
    size_t mark = layer_enter(l, "batch");
    struct moments batch = batch_moments(l, x);
    layer_leave(l, mark);
    n.mean = batch.mean;
    n.variance = batch.variance;
    return slab_rep_bn_of(l->t, x, n);
}

/* PRepBN. The first walk through the model declares both norms. */
static tensor faded_norm(layer *l, tensor x)
{
    const struct assay_context *c = l->context;
    bool all = l->model->declaring, train = c->train;
    if (!x)
        return TENSOR_NONE;
    double lambda = train ? slab_fading(config_of(l), c->progress) : 0;
    tensor old = all || lambda > 0 ? assay_reference_slots.norm(l, x) : TENSOR_NONE;
    if (train && !all && slab_warming(config_of(l), c->progress))
        return old;
    tensor new = rep_bn(l, x);
    if (!train || lambda <= 0)
        return new;
    old = scale(l->t, old, lambda);
    return add(l->t, old, scale(l->t, new, assay_scalar_sub(ASSAY_F32, 1, lambda)));
}

/* ---- the mixer ---- */

/* query, key, value: [b, h, n, w]; query, key >= 0 */
static tensor linear_attention(tape *t, tensor query, tensor key, tensor value)
{
    tensor state = matmul_tn(t, key, value), total = sum_over(t, key, 2);
    tensor weight = offset(t, matmul_nt(t, query, total), attention_eps);
    return divide(t, matmul(t, query, state), weight);
}

static size_t columns_of(size_t n)
{
    size_t columns = 1;
    while (columns * columns < n)
        columns++;
    return columns;
}

/* Depthwise, of tokens on a grid with zeros around it: of the k shifts of a row the sums for all k
 * columns of the kernel are one product for each channel, which are then shifted and added.
 * v: [b, n, h, w] -> [b, n, h, w] */
static tensor grid_convolution(layer *l, tensor v)
{
    tape *t = l->t;
    if (!v)
        return TENSOR_NONE;
    size_t b = dim_of(v, 0), n = dim_of(v, 1), h = dim_of(v, 2), w = dim_of(v, 3);
    size_t k = hyper_n(l, "kernel"), columns = columns_of(n), rows = (n + columns - 1) / columns,
           line = columns + k - 1, cells = rows * columns;
    tensor weight = param(l, "convolution.weight", SHAPE(w, k, k), init_torch_uniform(k * k));
    tensor bias = param(l, "convolution.bias", SHAPE(w), init_torch_uniform(k * k));
    tensor grid = pad(t, permute(t, v, (int[]){3, 0, 2, 1}), 3, 0, cells - n);
    grid = pad(t, reshape(t, grid, SHAPE(w, b * h, rows, columns)), 3, k / 2, k / 2);
    grid = pad(t, grid, 2, k / 2, k / 2);
    tensor *moved = tape_allocate(t, k * sizeof *moved), sum = TENSOR_NONE;
    for (size_t i = 0; moved && i < k; i++)
        moved[i] = reshape(t, slice(t, grid, 2, i, rows), SHAPE(w, 1, b * h * rows * line));
    tensor part = moved ? matmul_tn(t, weight, concat(t, 1, (int)k, moved)) : TENSOR_NONE;
    for (size_t j = 0; j < k; j++) {
        tensor of_j = reshape(t, slice(t, part, 1, j, 1), SHAPE(w, b * h * rows, line));
        of_j = slice(t, of_j, 2, j, columns);
        sum = sum ? add(t, sum, of_j) : of_j;
    }
    sum = slice(t, reshape(t, sum, SHAPE(w, b, h, cells)), 3, 0, n);
    return add(t, permute(t, sum, (int[]){1, 3, 2, 0}), bias);
}

/* x: [b, n, d] -> [b, n, d] */
static tensor simplified_attention(layer *l, tensor x, tensor memory)
{
    const struct assay_config *c = config_of(l);
    tape *t = l->t;
    size_t heads = c->heads, inner = heads * c->head_width;
    if (!x || hyper_is(l, "attention", "softmax"))
        return assay_reference_slots.mixer(l, x, memory);
    tensor q = relu(t, apply_linear(l, "query", x, inner, c->attention_bias));
    tensor k = apply_linear(l, "key", x, inner, c->attention_bias);
    tensor position = param(l, "position", SHAPE(config_tokens(c), inner), init_zeros());
    k = relu(t, add(t, k, slice(t, position, 0, 0, dim_of(x, 1))));
    tensor v = split_heads(l, apply_linear(l, "value", x, inner, c->attention_bias), heads);
    q = transpose(t, split_heads(l, q, heads), 1, 2);
    k = transpose(t, split_heads(l, k, heads), 1, 2);
    tensor y = transpose(t, linear_attention(t, q, k, transpose(t, v, 1, 2)), 1, 2);
    y = add(t, y, grid_convolution(l, v));
    return apply_linear(l, "output", merge_heads(l, y), c->stream, c->output_bias);
}

/* ---- folding ---- */

static const char *const norm_parts[] = {"batch.gain", "batch.bias", "identity", "batch.mean",
                                         "batch.variance"};

/* The norm at a path, from the model, or into it. */
struct slab_norm slab_norm_from(const struct assay_model *m, tape *t, const char *path)
{
    tensor part[5];
    char name[2 * ASSAY_NAME_MAX];
    for (size_t i = 0; i < 5; i++) {
        snprintf(name, sizeof name, "%s.%s", path, norm_parts[i]);
        part[i] = model_tensor(m, t, name);
    }
    return (struct slab_norm){part[0], part[1], part[2], part[3], part[4]};
}

bool slab_norm_into(struct assay_model *m, const char *path, struct slab_norm n)
{
    const tensor part[] = {n.gain, n.bias, n.identity, n.mean, n.variance};
    char name[2 * ASSAY_NAME_MAX];
    bool stored = true;
    for (size_t i = 0; i < 5; i++) {
        snprintf(name, sizeof name, "%s.%s", path, norm_parts[i]);
        stored = model_store(m, name, part[i]) && stored;
    }
    return stored;
}

/* RepBN, then weight [d, out] and bias [out] or NONE, become diag(a) W and t W + bias. */
void slab_folded(tape *t, struct slab_norm n, tensor *weight, tensor *bias)
{
    size_t d = elements_of(n.gain);
    tensor slope = divide(t, n.gain, square_root(t, offset(t, n.variance, batch_eps)));
    tensor shift = subtract(t, n.bias, multiply(t, slope, n.mean));
    tensor moved = matmul(t, reshape(t, shift, SHAPE(1, d)), *weight);
    moved = reshape(t, moved, SHAPE(width_of(*weight)));
    tensor a = reshape(t, add(t, slope, n.identity), SHAPE(d, 1));
    *bias = *bias ? add(t, moved, *bias) : moved;
    *weight = multiply(t, *weight, a);
}

static bool fold(const struct assay_model *from, struct assay_model *to, tape *t, const char *norm,
                 const char *reader)
{
    char weight[2 * ASSAY_NAME_MAX], bias[2 * ASSAY_NAME_MAX];
    snprintf(weight, sizeof weight, "%s.weight", reader);
    snprintf(bias, sizeof bias, "%s.bias", reader);
    tensor w = model_tensor(from, t, weight), b = model_tensor(from, t, bias);
    if (!w || !b)
        return false;
    slab_folded(t, slab_norm_from(from, t, norm), &w, &b);
    return model_store(to, weight, w) && model_store(to, bias, b);
}

/* Every block's norms into what reads them; the last norm into the head, since a mean over tokens
 * and a linear layer commute. */
bool slab_fold_all(const struct assay_model *from, struct assay_model *to, tape *t, bool last)
{
    static const char *const pairs[][2] = {{"norm1", "mixer.query"},
                                           {"norm1", "mixer.key"},
                                           {"norm1", "mixer.value"},
                                           {"norm2", "ffn.in"}};
    bool done = !last || fold(from, to, t, "final", "head.output");
    for (size_t i = 0; done && i < 4 * from->config.layers; i++) {
        char norm[ASSAY_NAME_MAX], reader[ASSAY_NAME_MAX];
        snprintf(norm, sizeof norm, "block.%zu.%s", i / 4, pairs[i % 4][0]);
        snprintf(reader, sizeof reader, "block.%zu.%s", i / 4, pairs[i % 4][1]);
        done = fold(from, to, t, norm, reader);
    }
    return done;
}

/* ---- claims ---- */

static double largest(struct claim *c, tensor x)
{
    double scale = 0;
    claim_distance(c, x, x, &scale);
    return scale;
}

/* As after some training. */
static struct slab_norm random_norm(struct claim *c, tape *t, uint64_t seed)
{
    struct slab_norm n;
    n.gain = claim_random(c, t, SHAPE(16), seed);
    n.bias = claim_random(c, t, SHAPE(16), seed + 1);
    n.identity = claim_random(c, t, SHAPE(1), seed + 2);
    n.mean = claim_random(c, t, SHAPE(16), seed + 3);
    n.variance = offset(t, square(t, claim_random(c, t, SHAPE(16), seed + 4)), 0.1);
    return n;
}

/* With A_c = |g| (|x| + |mu|) / s + |b| + |eta x| an element is at most
 * S = sum_c A_c |W_cj| + |bias|. Either way an entry takes at most 8 roundings relative to A_c
 * before it meets W, the chain 16 and the bias one: 2 * 25 roundoffs of S between the two. */
static void norms_fold_into_linear_layers(struct claim *c)
{
    tape *t = claim_tape(c);
    if (!t)
        return;
    struct slab_norm n = random_norm(c, t, 1), size;
    tensor x = claim_random(c, t, SHAPE(40, 16), 6), w = claim_random(c, t, SHAPE(16, 24), 7),
           b = claim_random(c, t, SHAPE(24), 8), weight = w, bias = b;
    tensor y = linear(t, slab_rep_bn_of(t, x, n), w, b);
    size.gain = absolute(t, n.gain);
    size.bias = absolute(t, n.bias);
    size.identity = absolute(t, n.identity);
    size.mean = negate(t, absolute(t, n.mean));
    size.variance = n.variance;
    tensor magnitude = slab_rep_bn_of(t, absolute(t, x), size), largest_b = absolute(t, b);
    magnitude = linear(t, magnitude, absolute(t, w), largest_b);
    slab_folded(t, n, &weight, &bias);
    claim_close(c, y, linear(t, x, weight, bias), 2 * 25, largest(c, magnitude),
                "RepBN and a linear layer, and the merged layer");
}

/* To first order a number on its way through a block passes sums of d, d, n, d, m and d terms and
 * two norms of d, each term rounded once: at most 208 roundoffs for d = n = 16, m = 32, in two
 * blocks and the head; the norms add the 50 above, five times. Twice that lies between two
 * orders. */
static const double model_units = 2 * (3 * 208 + 5 * 50);

static void the_whole_model_folds(struct claim *c)
{
    struct assay_model *m = claim_model(c, "weight_deviation=0.2 embed_deviation=1"),
                       *merged = claim_model(c, "weight_deviation=0.2 norm=none");
    const struct assay_batch *b = claim_batch(c, m, 2, 16, 7);
    tape *t = claim_tape(c);
    if (!b || !merged || !t)
        return;
    static const char *const norms[] = {"block.0.norm1", "block.0.norm2", "block.1.norm1",
                                        "block.1.norm2", "final"};
    for (uint64_t i = 0; i < 5; i++)
        slab_norm_into(m, norms[i], random_norm(c, t, 10 * i));
    claim_copy_weights(c, m, merged);
    struct claim_pass *p = claim_forward(c, m, b), *q = claim_forward(c, merged, b);
    if (!p || !q)
        return;
    claim_differs(c, p->output, q->output, 1e6, "norms left out, control");
    claim_true(c, slab_fold_all(m, merged, t, true), "the fold runs");
    q = claim_forward(c, merged, b);
    if (q)
        claim_close(c, p->output, q->output, model_units, 0, "with norms, and folded");
    size_t gone = 5 * (2 * 16 + 2 * 16 + 1);
    claim_true(c, m->elements[ASSAY_PARAMETER] - merged->elements[ASSAY_PARAMETER] == gone,
               "%zu parameters of 5 norms are gone", gone);
}

static void identity_and_batch_norm_are_limits(struct claim *c)
{
    tape *t = claim_tape(c);
    if (!t)
        return;
    struct slab_norm n = random_norm(c, t, 1);
    tensor x = claim_random(c, t, SHAPE(40, 16), 6), eta = n.identity;
    n.identity = tape_filled(t, SHAPE(1), 0);
    tensor y = subtract(t, x, n.mean);
    y = divide(t, y, square_root(t, offset(t, n.variance, 1e-5)));
    y = add(t, multiply(t, y, n.gain), n.bias);
    claim_equal_bits(c, t, slab_rep_bn_of(t, x, n), y, "eta = 0: batch norm");
    n.gain = n.bias = tape_filled(t, SHAPE(16), 0);
    n.identity = eta;
    y = multiply(t, x, eta);
    claim_equal_bits(c, t, slab_rep_bn_of(t, x, n), y, "g = b = 0: eta x");
}

/* ---- the schedule ---- */

/* A training pass at this progress. */
struct claim_pass *slab_training(struct claim *c, struct assay_model *m, double progress)
{
    size_t n = m ? m->config.length : 0;
    struct claim_pass *p = m ? claim_blank(c, m, claim_batch(c, m, 2, n, 7), 2, n) : NULL;
    if (!p || !claim_updating(c, p))
        return NULL;
    p->context->progress = p->pass.progress = progress;
    return p;
}

static tensor norm_at(struct claim *c, struct claim_pass *p, tensor x)
{
    layer l = claim_layer(c, p, "block.0.norm1");
    return p && x ? faded_norm(&l, x) : TENSOR_NONE;
}

static void the_schedule_ends_in_batch_norm(struct claim *c)
{
    static const double lambda[] = {1, 1, 0.75, 0.5, 0.25, 0, 0, 0};
    struct assay_model *m = claim_model(c, SLAB_FADED);
    tape *store = claim_tape(c);
    if (!m || !store || !slab_norm_into(m, "block.0.norm1", random_norm(c, store, 1)))
        return;
    for (int step = 0; step < 8; step++) {
        struct claim_pass *p = slab_training(c, m, step / 8.0);
        tape *t = p ? p->pass.t : NULL;
        tensor x = t ? claim_random(c, t, SHAPE(2, 16, 16), 6) : TENSOR_NONE;
        tensor y = norm_at(c, p, x);
        if (!y)
            return;
        double found = slab_fading(&m->config, step / 8.0);
        claim_true(c, found == lambda[step] && p->pass.emissions == (step ? 2 : 0),
                   "step %d of 8: lambda = %g, %s", step + 1, found,
                   step ? "statistics move" : "only LayerNorm is computed");
        layer l = claim_layer(c, p, "block.0.norm1");
        tensor ln = assay_reference_slots.norm(&l, x), bn = rep_bn(&l, x);
        if (step < 2)
            claim_equal_bits(c, t, y, ln, "LayerNorm");
        else if (step > 4)
            claim_equal_bits(c, t, y, bn, "RepBN with the batch's statistics");
        else
            claim_differs(c, y, bn, 1000, "on the way, and RepBN");
    }
}

/* What sample 0 becomes beside another sample. */
static tensor beside(struct claim *c, struct assay_model *m, double progress, bool train,
                     uint64_t other)
{
    struct claim_pass *p = m ? slab_training(c, m, progress) : NULL;
    if (!p)
        return TENSOR_NONE;
    tape *t = p->pass.t;
    tensor one = claim_random(c, t, SHAPE(1, 16, 16), 1);
    tensor two = claim_random(c, t, SHAPE(1, 16, 16), other);
    p->context->train = train;
    return slice(t, norm_at(c, p, concat(t, 0, 2, (tensor[]){one, two})), 0, 0, 1);
}

static void training_couples_samples(struct claim *c)
{
    struct assay_model *m = claim_model(c, SLAB_FADED);
    tape *t = claim_tape(c);
    tensor both = beside(c, m, 0.5, true, 2), old = beside(c, m, 0, true, 2),
           after = beside(c, m, 0.5, false, 2);
    claim_differs(c, both, beside(c, m, 0.5, true, 3), 1e6, "beside another sample, in training");
    claim_equal_bits(c, t, old, beside(c, m, 0, true, 3), "while only LayerNorm is computed");
    claim_equal_bits(c, t, after, beside(c, m, 0.5, false, 3), "in evaluation, half-way through");
}

/* ---- attention ---- */

/* A pass for the mixer of block 0 on n tokens. */
static struct claim_pass *mixer_pass(struct claim *c, size_t n)
{
    char text[64];
    snprintf(text, sizeof text, "layers=1 pad_is_zero=0 length=%zu", n);
    struct assay_model *m = claim_model(c, text);
    return m ? claim_blank(c, m, claim_batch(c, m, 1, n, 1), 1, n) : NULL;
}

/* Numbers of both orders are sums of n w products of numbers >= 0 with v: errors of at most
 * w + n + 4 roundoffs of the sum of magnitudes over the denominator, which is at most max |v|. */
static void orders_agree(struct claim *c)
{
    tape *t = claim_tape(c);
    if (!t)
        return;
    tensor q = relu(t, claim_random(c, t, SHAPE(1, 2, 24, 8), 1)),
           k = relu(t, claim_random(c, t, SHAPE(1, 2, 24, 8), 2)),
           v = claim_random(c, t, SHAPE(1, 2, 24, 8), 3), map = matmul_nt(t, q, k);
    map = divide(t, map, offset(t, sum_over(t, map, -1), 1e-6));
    tensor linear = linear_attention(t, q, k, v);
    claim_close(c, linear, matmul(t, map, v), 2 * (8 + 24 + 4), largest(c, v),
                "sums of keys first, and the n x n weights");
    size_t negative = 0, rows = 24 * 2;
    tensor least = negate(t, max_over(t, negate(t, map), -1));
    for (size_t i = 0; i < rows; i++)
        negative += claim_value(c, least, i) < 0;
    claim_true(c, negative == 0, "no weight is negative");
    tensor ones = tape_filled(t, v->shape, 1), s = sum_over(t, matmul_nt(t, q, k), -1);
    tensor share = expand(t, divide(t, s, offset(t, s, 1e-6)), v->shape);
    claim_close(c, linear_attention(t, q, k, ones), share, 2 * (8 + 24 + 4), 1,
                "rows of weights sum to s / (s + 1e-6)");
    tensor dead = linear_attention(t, scale(t, q, 0), k, v);
    claim_true(c, largest(c, dead) <= 0, "a query without a positive number gives 0");
}

/* Sums over 16 keys in another order, then a chain of 16: bounded as the frame's. */
static void only_the_convolution_knows_the_grid(struct claim *c)
{
    for (int grid = 0; grid < 2; grid++) {
        struct claim_pass *p = mixer_pass(c, 16);
        if (!p)
            return;
        tape *t = p->pass.t;
        layer l = claim_layer(c, p, "block.0.mixer");
        const char *weight = "block.0.mixer.convolution.weight";
        if (!grid)
            model_store(p->pass.model, weight, scale(t, model_tensor(p->pass.model, t, weight), 0));
        tensor x = claim_random(c, t, SHAPE(1, 16, 16), 1);
        tensor y = roll(t, simplified_attention(&l, x, TENSOR_NONE), 1, 5);
        tensor z = simplified_attention(&l, roll(t, x, 1, 5), TENSOR_NONE);
        if (grid)
            claim_differs(c, y, z, 1e6, "tokens turned by 5, with the convolution");
        else
            claim_close(c, y, z, 1000, 0, "tokens turned by 5, without it (P = 0)");
    }
}

/* The same convolution cell by cell, on 11 tokens: 3 rows of 4, the last cell empty. Sums of 26
 * numbers in either order. */
static void convolution_is_that_of_the_grid(struct claim *c)
{
    struct claim_pass *p = mixer_pass(c, 11);
    if (!p)
        return;
    tape *t = p->pass.t;
    layer l = claim_layer(c, p, "block.0.mixer");
    tensor v = claim_random(c, t, SHAPE(1, 11, 2, 8), 1), y = grid_convolution(&l, v), cell[11];
    tensor weight = model_tensor(p->pass.model, t, "block.0.mixer.convolution.weight");
    tensor tap = transpose(t, reshape(t, weight, SHAPE(8, 25)), 0, 1);
    tensor bias = model_tensor(p->pass.model, t, "block.0.mixer.convolution.bias");
    for (int i = 0; i < 11; i++) {
        cell[i] = tape_filled(t, SHAPE(1, 1, 2, 8), 0);
        for (int j = 0; j < 11; j++) {
            int down = j / 4 - i / 4 + 2, right = j % 4 - i % 4 + 2;
            if (down < 0 || down > 4 || right < 0 || right > 4)
                continue;
            tensor one = slice(t, tap, 0, (size_t)(5 * down + right), 1);
            cell[i] = add(t, cell[i], multiply(t, slice(t, v, 1, (size_t)j, 1), one));
        }
    }
    tensor cells = add(t, concat(t, 1, 11, cell), bias);
    claim_close(c, y, cells, 2 * 26, 26 * 0.2 * largest(c, v), "by shifts, and by neighbours");
}

/* ---- descriptor ---- */

static bool is_share(double x)
{
    return x >= 0 && x <= 1;
}

static bool is_odd(double x)
{
    return at_least_one(x) && (long)x % 2 == 1;
}

static bool softmax_attention(const struct assay_config *c)
{
    return c->hyper[ATTENTION] != 0;
}

static const char *legal(const struct assay_config *c)
{
    if (softmax_attention(c))
        return NULL;
    if (c->frame != FRAME_ENCODER)
        return "frame: expected encoder with attention=linear: all keys are summed";
    return c->key_heads == c->heads ? NULL : "key_heads: expected heads with attention=linear";
}

static double extra_parameters(const struct assay_config *c)
{
    double w = (double)c->head_width, k = c->hyper[KERNEL],
           norms = 2 * (double)c->layers + c->final_norm + c->embed_norm,
           mixer = (double)config_tokens(c) * (double)c->heads * w + (k * k + 1) * w;
    return norms * (2 * (double)c->width + 1)
           + (softmax_attention(c) ? 0 : (double)c->layers * mixer);
}

static double multiply_adds(const struct assay_config *c, size_t n)
{
    double d = (double)c->width, w = (double)c->head_width, inner = (double)c->heads * w,
           keys = (double)c->key_heads * w, m = (double)n,
           pairs = c->frame == FRAME_ENCODER ? m * m : m * (m + 1) / 2;
    double projections = m * (2 * d * inner + 2 * d * keys), k = c->hyper[KERNEL];
    size_t columns = columns_of(n), rows = (n + columns - 1) / columns;
    double convolution = k * k * inner * (double)rows * ((double)columns + k - 1);
    return projections
           + (softmax_attention(c) ? pairs * 2 * inner : m * (2 * inner * w + inner) + convolution);
}

static struct variant_growth growth(const struct assay_config *c)
{
    if (softmax_attention(c))
        return variant_growth(&assay_variant_reference, c);
    return (struct variant_growth){
        1, 1, "abstract: linear; sums over keys come first, and a convolution has 25 terms"};
}

static const char *const attentions[] = {"linear", "softmax", NULL};

/* clang-format off */
const struct assay_variant assay_variant_slab = {
    .id = "slab",
    .title = "SLAB: Efficient Transformers with Simplified Linear Attention and Progressive "
             "Re-parameterized Batch Normalization",
    .authors = "Guo et al. 2024",
    .idea = "LayerNorm fades into a batch norm plus a scaled identity, which folds into the next "
            "linear layer; attention is linear in ReLU features, with a convolution of the values.",
    .equations = "PRepBN(x) = lambda LN(x) + (1 - lambda) (BN(x) + eta x);  "
                 "o_i = q_i (sum_j k_j^T v_j) / (q_i . sum_j k_j + 1e-6) + DWConv(v)_i",
    .source = {"arXiv:2405.11582", "xinghaochen/SLAB", "the official code", CONFIDENCE_HIGH},
    .kind = KIND_VARIANT, .family = "norm", .replaces = "norm, mixer",
    .slot = {.norm = faded_norm, .mixer = simplified_attention},
    .hypers = (const struct variant_hyper[]){
        {"attention", "linear, or the reference's (the paper's language model)", 0, 0, is_choice,
         "linear or softmax", attentions},
        {"kernel", "side of the convolution", 5, 5, is_odd, "an odd number", NULL},
        {"warm", "share of the training with LayerNorm only", 0, 0, is_share, "0 to 1", NULL},
        {"fade", "share of the training over which it fades", 0.8, 0.8, is_share, "0 to 1", NULL},
        {"batch_gain", "g at the start", 1, 1, NOT_NEGATIVE},
        {"identity", "eta at the start", 1, 0.5, NOT_NEGATIVE},
        {0}},
    .settings = (const struct variant_setting[]){
        {"default", "preset=pre_ln norm_eps=1e-6"},
        {"image", "preset=pre_ln norm_eps=1e-6 inputs=values values=12"},
        {"language", "preset=llama attention=softmax batch_gain=0 identity=0 warm=0.4 "
                     "embed_deviation=1"},
        {0}},
    .forms = (const struct variant_form[]){
        {"parallel", "", false, FORM_BITS, 0, NULL},
        {"decode", "", true, FORM_BITS, 0, "norms use running statistics"},
        {0}},
    .properties = (const struct variant_property[]){
        {PROPERTY_CAUSAL, HOLDS_BITS, 0,
         "inputs=ids frame=decoder head=language attention=softmax",
         "norms use running statistics"},
        {PROPERTY_CAUSAL, HOLDS_NO, 0,
         "inputs=ids frame=encoder head=classify attention=linear", "all keys are summed"},
        {PROPERTY_SAMPLE_INDEPENDENT, HOLDS_BITS, 0, NULL, "in evaluation"},
        {PROPERTY_PERMUTATION_EQUIVARIANT, HOLDS_NO, 0,
         "position=none frame=encoder head=classify attention=linear",
         "P and the convolution know positions"},
        {PROPERTY_DIFFERENTIABLE, HOLDS_ROUNDING, 0, NULL, NULL},
        {0}},
    .claims = (const struct variant_claim[]){
        {CLAIM_IDENTITY, "RepBN folds into the next linear layer",
         norms_fold_into_linear_layers, 0},
        {CLAIM_IDENTITY, "a whole model folds to one without norms", the_whole_model_folds, 0},
        {CLAIM_IDENTITY, "RepBN has batch norm and eta x as its limits",
         identity_and_batch_norm_are_limits, 0},
        {CLAIM_IDENTITY, "training starts with LayerNorm and ends with pure RepBN",
         the_schedule_ends_in_batch_norm, 0},
        {CLAIM_NEGATIVE, "samples are coupled in training once lambda < 1, never in evaluation",
         training_couples_samples, 0},
        {CLAIM_IDENTITY, "linear attention is attention by rows of weights >= 0", orders_agree, 0},
        {CLAIM_NEGATIVE, "without the convolution and P tokens can be permuted",
         only_the_convolution_knows_the_grid, 0},
        {CLAIM_IDENTITY, "the convolution is that of the grid, cell by cell",
         convolution_is_that_of_the_grid, 0},
        {CLAIM_OUTSIDE, "the authors' model in training, at its end and in evaluation",
         slab_meets_training_and_evaluation, 0},
        {CLAIM_OUTSIDE, "the authors' schedule and running statistics, seven steps",
         slab_meets_the_schedule, 0},
        {CLAIM_OUTSIDE, "the authors' merged model", slab_meets_the_merged_model, 0},
        {CLAIM_OUTSIDE, "the authors' merging of patches, before and after the fold",
         slab_meets_the_merging_of_patches, 0},
        {0}},
    .untested = "Accuracy on ImageNet (81.8 % of SLAB-Swin-T) and 2.4 ms less latency need the "
                "data and the device. That attention and convolution cost O(n) is declared as "
                "growth, which is counted for every paper.",
    .legal = legal,
    .extra_parameters = extra_parameters, .mixer_multiply_adds = multiply_adds,
    .growth = growth, .coupled = true,
};
/* clang-format on */

/* SPDX-License-Identifier: Apache-2.0 */
/* TokenFormer: every projection is attention from its input to learned pairs of key and value
 * tokens, so that a model grows by appending pairs.
 * Wang et al. 2024, arXiv:2410.23168; settled by the official code (Haiyang-W/TokenFormer,
 * megatron/model/tokenformer.py).
 *
 *     Pattention(x) = gelu(tau A / |A|) V,  A = x K^T        K: [P, in], V: [P, out]
 *     tau = sqrt(P), |A| the root of a row's sum of squares; no bias, no scale, no epsilon
 *     normalisation=gelu_l2_norm: tau gelu(A) / |gelu(A)|;  softmax: P softmax(A)
 *
 * Replaces the linear layers of attention, the feed-forward layer (one Pattention) and the norms
 * (only the last has weights). Growing appends zero keys and any values: scores of 0 and gelu(0) = 0
 * add nothing, so that the function stays if tau does: `tau_share` is the share of the tokens that tau
 * counts (1: all, as in the code, where growing changes the function). Deviations: none. */
#include <stdio.h>
#include <string.h>

#include "ref/arith.h"
#include "variants/outside.h"

enum { QKV, PROJECTION, FFN, NORMALISATION, TAU_SHARE };

static double root(const layer *l, double x)
{
    return assay_scalar_sqrt(profile_of(l), assay_scalar(profile_of(l), x));
}

/* a tau / |a| over the last axis */
static tensor unit_rows(tape *t, tensor a, double tau)
{
    tensor length = square_root(t, sum_over(t, square(t, a), -1));
    return scale(t, divide(t, a, length), tau);
}

/* x: [.., in] -> [.., out]; field: of the configuration, the number of tokens */
tensor tokenformer_pattention(layer *l, tensor x, size_t out, int field)
{
    tape *t = l->t;
    const struct assay_config *c = config_of(l);
    if (!x)
        return TENSOR_NONE;
    double P = c->hyper[field];
    double tau = root(l, c->hyper[TAU_SHARE] * P);
    double d = assay_scalar_sqrt(ASSAY_F32, (double)c->width);
    double deviation = assay_scalar_div(ASSAY_F32, 2, (double)c->layers * d);
    tensor key = param(l, "key", SHAPE((size_t)P, width_of(x)), init_normal(0.02));
    tensor value = param(l, "value", SHAPE((size_t)P, out), init_normal(deviation));
    tensor a = matmul_nt(t, x, key);
    if (hyper_is(l, "normalisation", "l2_norm_gelu"))
        a = gelu(t, unit_rows(t, a, tau));
    else if (hyper_is(l, "normalisation", "gelu_l2_norm"))
        a = unit_rows(t, gelu(t, a), tau);
    else
        a = scale(t, softmax(t, a, -1, TENSOR_NONE, false), P);
    return matmul(t, a, value);
}

static tensor token_linear(layer *l, tensor x, size_t out, bool bias)
{
    (void)bias;
    return tokenformer_pattention(l, x, out, path_ends(l, "output") ? PROJECTION : QKV);
}

static tensor token_ffn(layer *l, tensor x)
{
    return tokenformer_pattention(l, x, x ? width_of(x) : 0, FFN);
}

static tensor bare_norm(layer *l, tensor x)
{
    if (path_ends(l, "final"))
        return assay_reference_slots.norm(l, x);
    return layer_norm(l->t, x, TENSOR_NONE, TENSOR_NONE, config_of(l)->norm_eps);
}

/* ---- claims ---- */

#define LANGUAGE "frame=decoder head=language pad_is_zero=0 layers=2 "

/* Copies weights; where `to` has more tokens, old ones come first and new keys are zero. */
static void grow(struct claim *c, const struct assay_model *from, struct assay_model *to)
{
    tape *t = claim_tape(c);
    for (size_t i = 0; t && i < to->entries; i++) {
        const struct assay_entry *e = &to->entry[i], *old = model_find(from, e->name);
        size_t rows = old ? old->shape.dim[0] : 0;
        if (!old)
            continue;
        tensor x = model_tensor(from, t, e->name);
        if (!shape_equal(e->shape, old->shape)) {
            tensor more = slice(t, model_tensor(to, t, e->name), 0, rows, e->shape.dim[0] - rows);
            bool key = strcmp(e->name + strlen(e->name) - 4, ".key") == 0;
            more = key ? scale(t, more, 0) : more;
            x = concat(t, 0, 2, (tensor[]){x, more});
        }
        claim_true(c, model_store(to, e->name, x), "grown: %s", e->name);
    }
}

/* Zero keys add +0 to every sum of squares and to every chain. */
static void growth_keeps_the_function(struct claim *c)
{
    struct assay_model *small = claim_model(c, LANGUAGE), *same, *code;
    same = claim_model(c, LANGUAGE TOKENFORMER_GROWN "tau_share=0.66666666666666663");
    code = claim_model(c, LANGUAGE TOKENFORMER_GROWN);
    if (!small || !same || !code)
        return;
    grow(c, small, same);
    grow(c, small, code);
    const struct assay_batch *b = claim_batch(c, small, 2, small->config.length, 7);
    struct claim_pass *p = claim_forward(c, small, b), *q = claim_forward(c, same, b),
                      *r = claim_forward(c, code, b);
    if (!p || !q || !r)
        return;
    claim_equal_bits(c, p->pass.t, p->output, q->output, "tau held: before and after growth");
    double scale, distance = claim_distance(c, p->output, r->output, &scale);
    claim_true(c, distance > 1e-3 * scale,
               "the code's tau = sqrt(P), half as many tokens again: outputs move by %.3g of scale",
               distance / scale);
}

/* One step of plain gradient descent; the loss before it. */
static double descend(struct claim *c, struct assay_model *m, const struct assay_batch *b)
{
    struct claim_pass *p = claim_forward(c, m, b);
    if (!p)
        return 0;
    tape *t = p->pass.t;
    tensor logits, loss = model_loss(&p->pass, &logits);
    tensor one = tape_filled(t, loss->shape, 1);
    claim_backward(c, p, 1, &loss, &one);
    for (size_t i = 0; i < m->entries; i++)
        if (m->entry[i].kind == ASSAY_PARAMETER) {
            tensor step = scale(t, claim_gradient(c, p, m->entry[i].name), 0.005);
            model_store(m, m->entry[i].name,
                        subtract(t, model_tensor(m, t, m->entry[i].name), step));
        }
    return claim_value(c, loss, 0);
}

static void a_grown_model_trains_on(struct claim *c)
{
    struct assay_model *small = claim_model(c, LANGUAGE),
                       *large = claim_model(c, LANGUAGE TOKENFORMER_GROWN
                                            "tau_share=0.66666666666666663");
    const struct assay_batch *b = claim_batch(c, small, 2, 12, 7);
    double loss[3] = {0};
    for (int i = 0; b && large && i < 6; i++)
        loss[1] = descend(c, small, b);
    if (!b || !large)
        return;
    loss[0] = descend(c, small, b);
    small = claim_model(c, LANGUAGE);
    for (int i = 0; small && i < 6; i++)
        descend(c, small, b);
    grow(c, small, large);
    double grown = descend(c, large, b);
    claim_true(c, grown == loss[0], "the loss does not jump: %.17g and %.17g", loss[0], grown);
    for (int i = 0; i < 6; i++)
        loss[2] = descend(c, large, b);
    claim_true(c, loss[2] < grown, "and falls on: from %.4f to %.4f", grown, loss[2]);
    tape *t = claim_tape(c);
    tensor keys = model_tensor(large, t, "block.0.ffn.key");
    tensor added = slice(t, keys, 0, 32, 16);
    claim_true(c, claim_value(c, sum_all(t, square(t, added)), 0) > 0, "new keys have moved");
}

/* A layer alone on x: [1, 6, 16]. */
static tensor alone(struct claim *c, layer *l, tape **t, const char *overrides)
{
    struct assay_model *m = claim_model(c, overrides);
    struct claim_pass *p = m ? claim_blank(c, m, claim_batch(c, m, 1, 6, 1), 1, 6) : NULL;
    if (!p)
        return TENSOR_NONE;
    *t = p->pass.t;
    *l = claim_layer(c, p, "block.0.ffn");
    return claim_random(c, *t, SHAPE(1, 6, 16), 1);
}

/* With V = 1 the outputs are the 16 scores, whose squares sum to P = 16 = tau^2; a row's length has
 * 16 + 8 roundings, its square twice as many. */
static tensor scores(struct claim *c, tape **t, const char *overrides, tensor *a)
{
    layer l;
    tensor x = alone(c, &l, t, overrides);
    double one[16 * 16] = {0};
    for (int i = 0; i < 16; i++)
        one[17 * i] = 1;
    if (!x || !model_store(l.model, "block.0.ffn.value", claim_values(c, *t, SHAPE(16, 16), one)))
        return TENSOR_NONE;
    *a = matmul_nt(*t, x, model_tensor(l.model, *t, "block.0.ffn.key"));
    return token_ffn(&l, x);
}

static void scores_are_normalised(struct claim *c)
{
    layer l;
    tape *t;
    tensor a, y = scores(c, &t, "ffn=16", &a);
    if (!y)
        return;
    tensor length = square_root(t, sum_over(t, square(t, a), -1));
    claim_close(c, y, gelu(t, scale(t, divide(t, a, length), 4)), 16 + 8, 4,
                "gelu of scores with the square P");
    y = scores(c, &t, "ffn=16 normalisation=gelu_l2_norm", &a);
    tensor squares = y ? sum_over(t, square(t, y), -1) : TENSOR_NONE;
    tensor P = y ? tape_filled(t, squares->shape, 16) : TENSOR_NONE;
    claim_close(c, squares, P, 2 * (16 + 8), 16, "gelu first: a row's scores have the square P");
    tensor x = alone(c, &l, &t, ""), once = x ? token_ffn(&l, x) : TENSOR_NONE;
    tensor four = x ? token_ffn(&l, scale(t, x, 4)) : TENSOR_NONE;
    claim_equal_bits(c, t, once, four, "x and 4 x");
    x = alone(c, &l, &t, "normalisation=softmax");
    once = x ? token_ffn(&l, x) : TENSOR_NONE;
    four = x ? token_ffn(&l, scale(t, x, 4)) : TENSOR_NONE;
    claim_differs(c, once, four, 1000, "normalisation=softmax: x and 4 x");
}

/* Rows of K and V turned alike: sums of 16 and of 32 terms in another order, twice. */
static void token_order_does_not_matter(struct claim *c)
{
    static const char *const names[] = {"block.0.ffn.key", "block.0.ffn.value"};
    layer l;
    tape *t;
    tensor x = alone(c, &l, &t, ""), before = x ? token_ffn(&l, x) : TENSOR_NONE;
    for (int i = 0; before && i < 2; i++)
        model_store(l.model, names[i], roll(t, model_tensor(l.model, t, names[i]), 0, 5));
    if (before)
        claim_close(c, before, token_ffn(&l, x), 4 * (16 + 32), 0, "pairs turned by 5");
}

static void softmax_is_cross_attention(struct claim *c)
{
    layer l;
    tape *t;
    tensor x = alone(c, &l, &t, "normalisation=softmax");
    if (!x)
        return;
    tensor q = reshape(t, x, SHAPE(1, 6, 1, 16)), k, v;
    k = reshape(t, model_tensor(l.model, t, "block.0.ffn.key"), SHAPE(1, 32, 1, 16));
    v = reshape(t, model_tensor(l.model, t, "block.0.ffn.value"), SHAPE(1, 32, 1, 16));
    tensor y = scale(t, attention(t, q, k, v, &(struct attention_options){.scale = 1}), 32);
    /* A factor of 2^5 is exact before and after the product. */
    claim_close(c, token_ffn(&l, x), y, 4, 0, "P softmax(A) V and attention to the tokens times P");
}

/* 8 tokens more for query, key and value: b n L 3 8 (d + inner) products, and none in attention. */
static void tokens_cost_linearly(struct claim *c)
{
    struct claim_pass *p = claim_output(c, c->variant, LANGUAGE "length=12"),
                      *q = claim_output(c, c->variant, LANGUAGE "length=12 qkv=24");
    if (!p || !q)
        return;
    const struct assay_counts *few = &p->pass.t->counts, *many = &q->pass.t->counts;
    claim_true(c, many->multiply_adds - few->multiply_adds == 2 * 12 * 2 * 3 * 8 * (16 + 16),
               "half as many tokens again: half of their multiply-adds again");
    claim_true(c, many->mixing_multiply_adds == few->mixing_multiply_adds,
               "attention between tokens costs what it did");
}

/* ---- descriptor ---- */

static double extra_parameters(const struct assay_config *c)
{
    double d = (double)c->width, m = (double)c->hidden, inner = (double)(c->heads * c->head_width);
    double own = 3 * c->hyper[QKV] * (d + inner) + c->hyper[PROJECTION] * (inner + d)
                 + c->hyper[FFN] * 2 * d;
    double theirs = 4 * d * inner + 2 * d * m + (c->attention_bias ? 3 * inner : 0)
                    + (c->output_bias ? d : 0) + (c->ffn_bias ? m + d : 0)
                    + (c->norm_gain ? 2 * d : 0) + (c->norm_bias ? 2 * d : 0);
    return (double)c->layers * (own - theirs);
}

static const char *legal(const struct assay_config *c)
{
    return c->gated ? "gated: expected 0" : NULL;
}

static const char *const normalisations[] = {"l2_norm_gelu", "gelu_l2_norm", "softmax", NULL};

/* clang-format off */
const struct assay_variant assay_variant_tokenformer = {
    .id = "tokenformer",
    .title = "TokenFormer: Rethinking Transformer Scaling with Tokenized Model Parameters",
    .authors = "Wang et al. 2024",
    .idea = "Projections are attention to learned key and value tokens, which can be appended: the "
            "model grows without starting anew.",
    .equations = "Pattention(x) = gelu(tau x K^T / |x K^T|) V,  tau = sqrt(P)",
    .source = {"arXiv:2410.23168", "Haiyang-W/TokenFormer", "the official code", CONFIDENCE_HIGH},
    .kind = KIND_VARIANT, .family = "tokenized-parameters", .replaces = "linear, ffn, norm",
    .slot = {.linear = token_linear, .ffn = token_ffn, .norm = bare_norm},
    .hypers = (const struct variant_hyper[]){
        {"qkv", "tokens of query, key and value each", 768, 16, AT_LEAST_1},
        {"projection", "tokens of attention's output", 768, 16, AT_LEAST_1},
        {"ffn", "tokens of the feed-forward layer", 3072, 32, AT_LEAST_1},
        {"normalisation", "of the scores", 0, 0, is_choice,
         "l2_norm_gelu, gelu_l2_norm or softmax", normalisations},
        {"tau_share", "share of the tokens under tau's root", 1, 1, positive, "a positive number",
         NULL},
        {0}},
    .settings = (const struct variant_setting[]){
        {"default", "preset=pre_ln frame=decoder head=language pad_is_zero=0 position=rotary "
                    "rotary_width=2 head_bias=0 tie_embedding=1"},
        {"encoder", "preset=pre_ln"},
        {"gelu_l2_norm", "preset=pre_ln normalisation=gelu_l2_norm"},
        {"softmax", "preset=pre_ln normalisation=softmax"},
        {0}},
    .forms = (const struct variant_form[]){
        {"parallel", "", false, FORM_BITS, 0, NULL},
        {"decode", "", true, FORM_BITS, 0, "keys and values are cached"},
        {0}},
    .properties = (const struct variant_property[]){
        {PROPERTY_CAUSAL, HOLDS_BITS, 0, "frame=decoder head=language", "tokens pass alone"},
        {PROPERTY_SAMPLE_INDEPENDENT, HOLDS_BITS, 0, NULL, "tokens pass alone"},
        {PROPERTY_PERMUTATION_EQUIVARIANT, HOLDS_ROUNDING, 0, "position=none frame=encoder",
         "attention's sums change their order"},
        {PROPERTY_DIFFERENTIABLE, HOLDS_ROUNDING, 0, NULL, NULL},
        {0}},
    .claims = (const struct variant_claim[]){
        {CLAIM_IDENTITY, "growing by zero keys leaves the function to the bit if tau is held",
         growth_keeps_the_function, 0},
        {CLAIM_TRAINED, "a grown model trains on from the same loss", a_grown_model_trains_on, 0},
        {CLAIM_IDENTITY, "scores have mean square 1, whatever the length of x",
         scores_are_normalised, 0},
        {CLAIM_IDENTITY, "the order of the tokens does not matter", token_order_does_not_matter, 0},
        {CLAIM_IDENTITY, "softmax is cross-attention to the tokens", softmax_is_cross_attention, 0},
        {CLAIM_COUNT, "the cost is linear in the tokens, and attention's has none of them in it",
         tokens_cost_linearly, 0},
        {CLAIM_OUTSIDE, "the authors' Pattention in three normalisations", outside_meets_sections,
         0},
        {CLAIM_OUTSIDE, "the authors' layer, plain and grown", tokenformer_meets_the_layer, 0},
        {0}},
    .outside = outside_tokenformer,
    .untested = "That a 124M model grown to 1.4B meets models trained from scratch at a fraction of "
                "the cost needs those runs. The formula of parameters is checked in every setting.",
    .needs = NEEDS_ONE_STACK, .legal = legal,
    .extra_parameters = extra_parameters,
};
/* clang-format on */

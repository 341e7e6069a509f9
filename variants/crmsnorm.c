/* SPDX-License-Identifier: Apache-2.0 */
/* Pre-RMSNorm and Pre-CRMSNorm: a pre-LN transformer never reads the mean of its stream, so once
 * every writer is recentred LayerNorm is RMSNorm, and a zero-mean vector of d numbers can be kept
 * as its first d - 1.
 * Jiang et al. 2023, arXiv:2305.14858; settled by the official code
 * (ZixuanJiang/pre-rmsnorm-transformer, example.py, torch/model.py).
 *
 *     LN(x) = (x - mean x) / sqrt(var x + eps)      RMS(x) = x / sqrt(sum x^2 / d + eps)
 *     CRMS(u) = u / sqrt((sum u^2 + (sum u)^2) / d + eps),  u of d - 1 numbers
 *     recentre a writer:  W - (mean over outputs), b - mean b
 *     compress:  writers lose their last output column, readers W[:d-1] - W[d-1]
 *
 * Replaces the norm, in three forms, and gives the conversion between them. In pre_rms_training the
 * raw weights are kept and recentred inside the forward pass (the embedding once, as the sum of
 * token, position and CLS: the same by linearity). In pre_crms the stream has d - 1 channels. Norms
 * have no gain or bias; those of a trained model are folded first. Dropout, which the code does not
 * have, ends the equivalence in training: a row that lost channels has another mean. A mean over
 * tokens is taken after the last norm, as in the JAX model; the torch ViT takes it before, with the
 * CLS token. JAX's norms have eps = 1e-6. The code's pre-crms-same-dim, a stream as wide as before,
 * is width=17 heads=2 head_width=8 hidden=64 in place of 16 channels. */
#include <stdio.h>
#include <string.h>

#include "variants/outside.h"

/* CRMS with divisor d = width + 1.  u: [.., d - 1] */
static tensor compressed_rms_norm(tape *t, tensor u, double eps)
{
    if (!u)
        return TENSOR_NONE;
    tensor squares = sum_over(t, square(t, u), -1), missing = square(t, sum_over(t, u, -1));
    tensor mean_square = divide_by(t, add(t, squares, missing), (double)(width_of(u) + 1));
    return divide(t, u, square_root(t, offset(t, mean_square, eps)));
}

static tensor norm(layer *l, tensor x)
{
    double eps = config_of(l)->norm_eps;
    if (hyper_is(l, "form", "pre_ln"))
        return layer_norm(l->t, x, TENSOR_NONE, TENSOR_NONE, eps);
    return hyper_is(l, "form", "pre_crms") ? compressed_rms_norm(l->t, x, eps)
                                           : rms_norm(l->t, x, TENSOR_NONE, eps);
}

/* Everything that is added to the stream, by the names of the frame. The head reads. */
static bool writes_stream(const char *name)
{
    return strncmp(name, "embed.", 6) == 0 || strstr(name, ".mixer.output.")
           || strstr(name, ".ffn.out.");
}

/* Of the head's linear layers the first one reads. */
static bool reads_stream(const struct assay_model *m, const char *name)
{
    const char *head = m->config.head_hidden ? "head.hidden.weight" : "head.output.weight";
    return strstr(name, ".mixer.query.weight") || strstr(name, ".mixer.key.weight")
           || strstr(name, ".mixer.value.weight") || strstr(name, ".ffn.in.weight")
           || strstr(name, ".ffn.gate.weight") || strcmp(name, head) == 0;
}

static tensor recentred(tape *t, tensor x)
{
    return x ? subtract(t, x, mean_over(t, x, -1)) : TENSOR_NONE;
}

/* The official LinearZeroMeanOutput: the weight in use has zero mean over its outputs. */
static tensor zero_mean_linear(layer *l, tensor x, size_t out, bool bias)
{
    if (!x || !hyper_is(l, "form", "pre_rms_training")
        || !(path_ends(l, ".mixer.output") || path_ends(l, ".ffn.out")))
        return assay_reference_slots.linear(l, x, out, bias);
    size_t in = width_of(x);
    tensor weight = recentred(l->t, linear_weight(l, in, out));
    tensor shift = bias ? recentred(l->t, linear_bias(l, in, out)) : TENSOR_NONE;
    return linear(l->t, x, weight, shift);
}

static tensor embed(layer *l)
{
    tensor x = assay_reference_slots.embed(l);
    return hyper_is(l, "form", "pre_rms_training") ? recentred(l->t, x) : x;
}

/* ---- the conversion: weights of one model into another of the same architecture ---- */

/* "block.3.mixer.query.weight" -> "block.3.norm1.gain", and so on. */
static void norm_before(const char *reader, const char *part, char name[ASSAY_NAME_MAX])
{
    const char *mixer = strstr(reader, ".mixer."), *stem = mixer ? mixer : strstr(reader, ".ffn.");
    if (stem)
        snprintf(name, ASSAY_NAME_MAX, "%.*s.norm%d.%s", (int)(stem - reader), reader,
                 mixer ? 1 : 2, part);
    else
        snprintf(name, ASSAY_NAME_MAX, "final.%s", part);
}

/* Step 0: a reader takes over its norm's gain and bias: W <- diag(gain) W, b <- bias W + b.
 * `from` is the reference. */
static void fold_affine(const struct assay_model *from, struct assay_model *to, tape *t)
{
    for (size_t i = 0; i < to->entries; i++)
        model_store(to, to->entry[i].name, model_tensor(from, t, to->entry[i].name));
    for (size_t i = 0; i < to->entries; i++) {
        const char *name = to->entry[i].name;
        char gain[ASSAY_NAME_MAX], bias[ASSAY_NAME_MAX], own_bias[ASSAY_NAME_MAX];
        if (!reads_stream(to, name))
            continue;
        norm_before(name, "gain", gain);
        norm_before(name, "bias", bias);
        snprintf(own_bias, sizeof own_bias, "%.*sbias", (int)(strlen(name) - strlen("weight")),
                 name);
        tensor weight = model_tensor(from, t, name), column = model_tensor(from, t, gain);
        tensor row = model_tensor(from, t, bias), start = model_tensor(from, t, own_bias);
        size_t width = width_of(row);
        tensor shift = matmul(t, reshape(t, row, SHAPE(1, width)), weight);
        model_store(to, name, multiply(t, weight, reshape(t, column, SHAPE(width, 1))));
        model_store(to, own_bias, add(t, reshape(t, shift, SHAPE(width_of(shift))), start));
    }
}

/* Step 1: every writer is recentred over its outputs. */
static void recentre_writers(const struct assay_model *from, struct assay_model *to, tape *t)
{
    for (size_t i = 0; i < to->entries; i++) {
        tensor x = model_tensor(from, t, to->entry[i].name);
        model_store(to, to->entry[i].name, writes_stream(to->entry[i].name) ? recentred(t, x) : x);
    }
}

/* Step 2: writers lose the last channel, readers subtract its row from the
 * others. `from` is recentred. */
static void compress(const struct assay_model *from, struct assay_model *to, tape *t)
{
    for (size_t i = 0; i < to->entries; i++) {
        const char *name = to->entry[i].name;
        tensor x = model_tensor(from, t, name);
        size_t kept = to->config.stream;
        if (x && writes_stream(name))
            x = slice(t, x, -1, 0, kept);
        else if (x && reads_stream(to, name)) {
            tensor last = slice(t, x, 0, kept, 1);
            x = subtract(t, slice(t, x, 0, 0, kept), last);
        }
        model_store(to, name, x);
    }
}

/* ---- claims ---- */

/* One architecture in three forms, each with random weights of its own. */
struct crmsnorm_forms crmsnorm_three_forms(struct claim *c, const char *overrides)
{
    static const char *const form[] = {"pre_ln", "pre_rms", "pre_crms"};
    struct assay_model *m[3];
    char text[400];
    for (int i = 0; i < 3; i++) {
        snprintf(text, sizeof text, CRMSNORM_PLAIN "%s form=%s", overrides, form[i]);
        m[i] = claim_model(c, text);
    }
    return m[0] && m[1] && m[2] ? (struct crmsnorm_forms){m[0], m[1], m[2]}
                                : (struct crmsnorm_forms){0};
}

/* The pre-LN model's function in the other two forms. */
bool crmsnorm_convert(struct claim *c, struct crmsnorm_forms f)
{
    tape *t = claim_tape(c);
    if (!t || !f.ln)
        return false;
    recentre_writers(f.ln, f.rms, t);
    compress(f.rms, f.crms, t);
    return claim_true(c, !tape_error(t), "the conversion runs");
}

static struct crmsnorm_forms converted(struct claim *c, const char *overrides)
{
    struct crmsnorm_forms f = crmsnorm_three_forms(c, overrides);
    return crmsnorm_convert(c, f) ? f : (struct crmsnorm_forms){0};
}

bool crmsnorm_run_forms(struct claim *c, struct crmsnorm_forms f, const struct assay_batch *b,
                        struct crmsnorm_passes *p)
{
    if (!f.ln || !b)
        return false;
    p->ln = claim_forward(c, f.ln, b);
    p->rms = claim_forward(c, f.rms, b);
    p->crms = claim_forward(c, f.crms, b);
    return p->ln && p->rms && p->crms;
}

/* In binary64 and generous: 1e-9 of the scale is 9e6 roundoffs, the claim's own figure. */
static const double model_units = 1e-9 * 9007199254740992.0;

static void meet(struct claim *c, tensor a, tensor b, const char *what)
{
    claim_close(c, a, b, model_units, 0, what);
}

static void norms_agree(struct claim *c)
{
    tape *t = claim_tape(c);
    tensor x = claim_random(c, t, SHAPE(5, 16), 1), z = recentred(t, x), u = slice(t, z, 1, 0, 15);
    /* Mean, difference, square, sum of 16, quotient, root: at most 16 + 8 roundings of a relative
     * size of one roundoff each. */
    tensor ln = layer_norm(t, x, TENSOR_NONE, TENSOR_NONE, 1e-5);
    tensor rms = rms_norm(t, z, TENSOR_NONE, 1e-5), crms = compressed_rms_norm(t, u, 1e-5);
    claim_close(c, ln, rms, 24, 0, "LN(x) and RMS(x - mean x)");
    /* The missing entry is a sum of 15 numbers: its rounding error of up to 15 roundoffs of their
     * absolute sum adds to the 24. */
    claim_close(c, slice(t, rms, 1, 0, 15), crms, 64, 0,
                "RMS(z) and CRMS(z without its last entry)");
}

static void forms_agree(struct claim *c)
{
    static const char *const settings[] = {"", "frame=decoder head=language pad_is_zero=0",
                                           "pool=cls"};
    for (size_t i = 0; i < 3; i++) {
        struct crmsnorm_forms f = converted(c, settings[i]);
        struct crmsnorm_passes p;
        if (!crmsnorm_run_forms(c, f, claim_batch(c, f.ln, 2, 16, 3), &p))
            return;
        meet(c, p.ln->output, p.rms->output, "logits of pre-LN and pre-RMSNorm");
        meet(c, p.ln->output, p.crms->output, "logits of pre-LN and pre-CRMSNorm");
    }
}

static void streams_agree(struct claim *c)
{
    struct crmsnorm_forms f = converted(c, "");
    struct crmsnorm_passes p;
    if (!crmsnorm_run_forms(c, f, claim_batch(c, f.ln, 2, 16, 3), &p))
        return;
    static const char *const at[] = {"embed", "block.0", "block.1"};
    for (int i = 0; i < 3; i++) {
        tape *t = p.rms->pass.t;
        tensor ln = claim_trace(c, p.ln, at[i]), rms = claim_trace(c, p.rms, at[i]),
               crms = claim_trace(c, p.crms, at[i]);
        meet(c, rms, recentred(p.ln->pass.t, ln), "the RMS stream is the recentred LN stream");
        meet(c, crms, slice(t, rms, 2, 0, 15),
             "the CRMS stream is the RMS stream without its last channel");
        tensor sums = sum_over(t, rms, -1);
        claim_close(c, sums, scale(t, sums, 0), model_units, 1,
                    "every row of the RMS stream sums to 0");
    }
}

/* The feed-forward bias of block 0 plus a constant: a shift of the
 * stream between blocks 0 and 1. */
static tensor shifted_output(struct claim *c, struct assay_model *m, const struct assay_batch *b,
                             double shift)
{
    tape *t = claim_tape(c);
    tensor bias = model_tensor(m, t, "block.0.ffn.out.bias");
    model_store(m, "block.0.ffn.out.bias", offset(t, bias, shift));
    struct claim_pass *p = claim_forward(c, m, b);
    model_store(m, "block.0.ffn.out.bias", bias);
    return p ? p->output : TENSOR_NONE;
}

static void shifts_are_not_seen(struct claim *c)
{
    struct crmsnorm_forms f = converted(c, "");
    const struct assay_batch *b = claim_batch(c, f.ln, 2, 16, 3);
    if (!b)
        return;
    tensor ln = shifted_output(c, f.ln, b, 0), ln_moved = shifted_output(c, f.ln, b, 3);
    tensor rms = shifted_output(c, f.rms, b, 0), rms_moved = shifted_output(c, f.rms, b, 3);
    meet(c, ln, ln_moved, "pre-LN, with the stream moved by 3");
    claim_differs(c, rms, rms_moved, model_units,
                  "control: pre-RMSNorm, with the stream moved by 3");
}

/* One SGD step of rate 0.1 on sum(c * logits), then the logits. */
static tensor after_one_step(struct claim *c, struct assay_model *m, const struct assay_batch *b)
{
    struct claim_pass *p = claim_forward(c, m, b);
    tensor cotangent = p ? claim_random(c, p->pass.t, p->output->shape, 5) : TENSOR_NONE;
    if (!cotangent)
        return TENSOR_NONE;
    claim_backward(c, p, 1, &p->output, &cotangent);
    tape *t = claim_tape(c);
    for (size_t i = 0; i < m->entries; i++)
        if (m->entry[i].kind == ASSAY_PARAMETER) {
            const char *name = m->entry[i].name;
            tensor step = scale(t, claim_gradient(c, p, name), 0.1);
            model_store(m, name, subtract(t, model_tensor(m, t, name), step));
        }
    p = claim_forward(c, m, b);
    return p ? p->output : TENSOR_NONE;
}

/* Whatever is not refused. */
static void training_is_equivalent(struct claim *c)
{
    static const char *const more[] = {"", "gated=1", "embed_norm=1",
                                       "frame=encoder_decoder head=language"};
    for (int i = 0; i < 4; i++) {
        char text[2][200], error[300];
        struct assay_config config;
        for (int k = 0; k < 2; k++)
            snprintf(text[k], sizeof text[k], CRMSNORM_PLAIN "form=pre_%s %s",
                     k ? "rms_training" : "ln", more[i]);
        if (config_make(&config, c->variant, text[1], error, sizeof error)
            || config_check(&config, c->variant, error, sizeof error)) {
            claim_true(c, i > 1, "%s is refused", more[i]);
            continue;
        }
        struct assay_model *ln = claim_model(c, text[0]), *rms = claim_model(c, text[1]);
        const struct assay_batch *b = claim_batch(c, ln, 2, 16, 3);
        if (!b || !rms)
            return;
        claim_copy_weights(c, ln, rms);
        struct claim_pass *p = claim_forward(c, ln, b), *q = claim_forward(c, rms, b);
        if (!p || !q)
            return;
        meet(c, p->output, q->output, "with the same raw weights");
        tensor after = after_one_step(c, ln, b);
        meet(c, after, after_one_step(c, rms, b), "after one SGD step of each");
    }
}

static void parameters_removed(struct claim *c)
{
    struct crmsnorm_forms f = converted(c, "");
    if (!f.ln)
        return;
    /* Writers: token 17 and position 16 rows, per block output 16 and ffn.out 32 rows,
     * each plus a bias entry where there is one.
     * Readers: 3 x 16 columns and 32 per block, 10 of the head. */
    size_t writers = 17 + 16 + 2 * (16 + 1 + 32 + 1), readers = 2 * (3 * 16 + 32) + 10;
    size_t ln = f.ln->elements[ASSAY_PARAMETER], fewer = writers + readers;
    claim_true(c, ln - f.crms->elements[ASSAY_PARAMETER] == fewer,
               "%zu parameters fewer: a column of each writer, a row of each reader", fewer);
    claim_true(c, ln == f.rms->elements[ASSAY_PARAMETER], "pre-RMSNorm has as many as pre-LN");
}

static void affine_norms_fold(struct claim *c)
{
    struct assay_model *affine =
        claim_model_of(c, NULL, "norm_eps=1e-5 weight_deviation=0.2 embed_deviation=0.5");
    struct assay_model *ln = claim_model(c, CRMSNORM_PLAIN "form=pre_ln");
    const struct assay_batch *b = claim_batch(c, affine, 2, 16, 3);
    tape *t = claim_tape(c);
    if (!b || !ln || !t)
        return;
    static const char *const norms[] = {"block.0.norm1", "block.0.norm2", "block.1.norm1",
                                        "block.1.norm2", "final"};
    for (uint64_t i = 0; i < 5; i++) {
        char name[64];
        snprintf(name, sizeof name, "%s.gain", norms[i]);
        model_store(affine, name, claim_random(c, t, SHAPE(16), 10 + i));
        snprintf(name, sizeof name, "%s.bias", norms[i]);
        model_store(affine, name, claim_random(c, t, SHAPE(16), 20 + i));
    }
    fold_affine(affine, ln, t);
    claim_true(c, !tape_error(t), "the fold runs");
    struct claim_pass *p = claim_forward(c, affine, b), *q = claim_forward(c, ln, b);
    if (p && q)
        meet(c, p->output, q->output, "with gains and biases, and folded");
}

/* ---- descriptor ---- */

enum form { PRE_LN, PRE_RMS_TRAINING, PRE_RMS, PRE_CRMS };

static void resolve(struct assay_config *c)
{
    c->norm_gain = c->norm_bias = false;
    if ((enum form)c->hyper[0] == PRE_CRMS)
        c->stream = c->width - 1;
}

static const char *legal(const struct assay_config *c)
{
    if (c->embed_norm)
        return "embed_norm: expected 0: its output is not recentred";
    return c->placement == PLACE_PRE
               ? NULL
               : "placement: expected pre: a post-norm stream is itself normalised";
}

static const char *const form_names[] = {"pre_ln", "pre_rms_training", "pre_rms", "pre_crms", NULL};

/* clang-format off */
const struct assay_variant assay_variant_crmsnorm = {
    .id = "crmsnorm",
    .title = "Pre-RMSNorm and Pre-CRMSNorm Transformers: "
             "Equivalent and Efficient Pre-LN Transformers",
    .authors = "Jiang et al. 2023",
    .idea = "A pre-LN transformer never reads the mean of its stream: recentre every writer and "
            "LayerNorm is RMSNorm; then one channel of d is redundant.",
    .equations = "CRMS(u) = u / sqrt((sum u^2 + (sum u)^2) / d + eps);  writers W - rowmean W;  "
                 "readers W[:d-1] - W[d-1]",
    .source = {"arXiv:2305.14858", "ZixuanJiang/pre-rmsnorm-transformer", "the official code",
               CONFIDENCE_HIGH},
    .kind = KIND_VARIANT, .family = "norm", .replaces = "norm",
    .slot = {.norm = norm, .linear = zero_mean_linear, .embed = embed},
    .hypers = (const struct variant_hyper[]){
        {"form", "which of the equivalent models", PRE_CRMS, PRE_CRMS, is_choice,
         "one of the forms", form_names},
        {0}},
    .settings = (const struct variant_setting[]){
        {"default", "preset=pre_ln form=pre_crms"},
        {"pre_rms", "preset=pre_ln form=pre_rms"},
        {"pre_rms_training", "preset=pre_ln form=pre_rms_training"},
        {"pre_ln", "preset=pre_ln form=pre_ln"},
        {"causal", "preset=pre_ln form=pre_crms frame=decoder head=language pad_is_zero=0"},
        {0}},
    .forms = (const struct variant_form[]){
        {"parallel", "", false, FORM_BITS, 0, NULL},
        {"decode", "", true, FORM_BITS, 0, "norms act on single tokens"},
        {0}},
    .properties = (const struct variant_property[]){
        {PROPERTY_CAUSAL, HOLDS_BITS, 0, "frame=decoder head=language pad_is_zero=0",
         "as the reference's: norms act on single tokens"},
        {PROPERTY_CAUSAL, HOLDS_NO, 0, "frame=encoder", "bidirectional"},
        {PROPERTY_SAMPLE_INDEPENDENT, HOLDS_BITS, 0, NULL, "norms act on single tokens"},
        {PROPERTY_PERMUTATION_EQUIVARIANT, HOLDS_ROUNDING, 0, "position=none frame=encoder",
         "attention's sums change their order"},
        {PROPERTY_DIFFERENTIABLE, HOLDS_ROUNDING, 0, NULL, NULL},
        {0}},
    .claims = (const struct variant_claim[]){
        {CLAIM_IDENTITY, "LN of x is RMS of the recentred x; CRMS of d - 1 entries is RMS of d",
         norms_agree, 0},
        {CLAIM_IDENTITY, "pre-LN, pre-RMSNorm and pre-CRMSNorm are one function", forms_agree, 0},
        {CLAIM_IDENTITY, "their streams differ by the mean and the last channel", streams_agree, 0},
        {CLAIM_NEGATIVE, "a shift of the stream is not seen by pre-LN, but by pre-RMSNorm",
         shifts_are_not_seen, 0},
        {CLAIM_IDENTITY, "training is equivalent: same function after a step on the raw weights",
         training_is_equivalent, 0},
        {CLAIM_COUNT, "parameters removed by compression", parameters_removed, 0},
        {CLAIM_IDENTITY, "gains and biases of a trained norm fold into its readers",
         affine_norms_fold, 0},
        {CLAIM_OUTSIDE, "the authors' ViT in three forms, with the converted weights",
         crmsnorm_meets_the_image_model, 0},
        {CLAIM_OUTSIDE, "the authors' GPT in three forms", crmsnorm_meets_the_language_model, 0},
        {0}},
    .untested = "1 to 10 % less time end to end: wall time is reported by the benchmarks, never "
                "tested. Reductions per norm (LN 2, RMS 1, CRMS 2 of d - 1) can be read in the "
                "formulas. Attention's probabilities are not kept: they are equal because its "
                "inputs and outputs are.",
    .resolve = resolve, .needs = NEEDS_ONE_STACK, .legal = legal,
};
/* clang-format on */

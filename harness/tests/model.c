/* SPDX-License-Identifier: Apache-2.0 */
/* The reference model: every setting runs, with right gradients; parameter counts; two towers;
 * refusals; initial values. */
#include "harness/tests/model_kit.h"

#include <math.h>

#include "harness/tests/gradient.h"
#include "ref/rng.h"
#include "ref/variant.h"

/* ---- every setting runs, with equal bits in its forms, and with right gradients ---- */

static bool runs_alike(const char *overrides, const char *other_overrides,
                       const struct assay_kernels *one, const struct assay_kernels *two)
{
    struct assay_model a, b;
    struct assay_batch *batch, *again;
    size_t n = 0, n2 = 0;
    if (!make(&a, one, NULL, overrides, &batch))
        return false;
    if (!make(&b, two, NULL, other_overrides, &again)) {
        model_close(&a);
        return false;
    }
    double *y = logits_of(&a, batch, NULL, &n), *y2 = logits_of(&b, again, NULL, &n2);
    size_t row = a.config.head == HEAD_LANGUAGE ? LENGTH * a.config.vocab : a.config.classes;
    bool holds = n == SAMPLES * row && n == n2 && equal(y, y2, n);
    for (size_t i = 1; holds && i < n; i++)
        holds = isfinite(y[i]);
    holds = holds && n > 1 && y[0] != y[1];
    free(y);
    free(y2);
    batch_free(batch);
    batch_free(again);
    model_close(&a);
    model_close(&b);
    return holds;
}

struct loss_run {
    struct assay_model *m;
    const struct assay_batch *batch;
    void *gradients;
};

static tensor loss_builder(tape *t, const tensor *leaf, int leaves, void *context)
{
    struct loss_run *run = context;
    (void)leaf;
    (void)leaves;
    struct assay_pass pass = {.model = run->m,
                              .t = t,
                              .batch = run->batch,
                              .gradients = run->gradients,
                              .denominator = SAMPLES};
    return model_loss(&pass, NULL);
}

/* Entries of every tensor, or (`together`) of all of them as one. */
static void gradients_hold(struct assay_model *m, const struct assay_batch *batch, bool together,
                           const char *name)
{
    double *gradients = calloc(m->elements[ASSAY_PARAMETER] + 1, sizeof *gradients);
    struct gradient_leaf *leaf = calloc(m->entries + 1, sizeof *leaf);
    int leaves = 0;
    if (together)
        leaf[leaves++] = (struct gradient_leaf){.name = "parameters",
                                                .shape = SHAPE(m->elements[ASSAY_PARAMETER]),
                                                .storage = m->data[ASSAY_PARAMETER],
                                                .gradient = gradients};
    for (size_t i = 0; i < m->entries && !together; i++) {
        const struct assay_entry *e = &m->entry[i];
        if (e->kind == ASSAY_PARAMETER)
            leaf[leaves++] = (struct gradient_leaf){.name = e->name,
                                                    .shape = e->shape,
                                                    .storage = entry_data(m, e),
                                                    .gradient = gradients + e->offset};
    }
    struct loss_run run = {m, batch, gradients};
    gradient_ok(m->kernels, loss_builder, &run, leaves, leaf, 17, name);
    free(gradients);
    free(leaf);
}

static void every_setting(void)
{
    const struct assay_kernels *def = assay_kernels_def(ASSAY_F32),
                               *cpu = assay_kernels_cpu(ASSAY_F32, NULL);
    for (int i = 0; i < SETTINGS; i++) {
        char explicit_form[512];
        snprintf(explicit_form, sizeof explicit_form, "%s explicit_attention=1",
                 settings[i].overrides);
        ok(runs_alike(settings[i].overrides, settings[i].overrides, def, cpu)
               && runs_alike(settings[i].overrides, explicit_form, def, def),
           "%s: runs, and tables and forms of attention have the same bits", settings[i].name);
        struct assay_model m;
        struct assay_batch *batch;
        if (!make(&m, assay_kernels_cpu(ASSAY_F64, NULL), NULL, settings[i].overrides, &batch))
            continue;
        gradients_hold(&m, batch, !settings[i].each, settings[i].name);
        batch_free(batch);
        model_close(&m);
    }
}

/* Real inputs, as patches of an image are, instead of ids. */
static void values_as_inputs(void)
{
    float values[SAMPLES * 5 * 3];
    int32_t label[SAMPLES] = {2, 0};
    struct assay_rng rng;
    assay_rng_named(&rng, 1, "values");
    for (size_t i = 0; i < sizeof values / sizeof *values; i++)
        values[i] = assay_rng_normal(&rng);
    struct assay_batch batch = {2,
                                {{"values", ASSAY_REAL, SHAPE(SAMPLES, 5, 3), values},
                                 {"label", ASSAY_I32, SHAPE(SAMPLES), label}}};
    struct assay_config c;
    struct assay_model m;
    char error[512] = "";
    if (config_make(&c, NULL, "preset=pre_ln " TINY " pool=cls inputs=values values=3", error,
                    sizeof error)
            == 0
        && model_open(&m, assay_kernels_def(ASSAY_F64), NULL, &c, &batch, 5, error, sizeof error)
               == 0) {
        gradients_hold(&m, &batch, false, "real inputs");
        model_close(&m);
    } else {
        ok(false, "real inputs: %s", error);
    }
}

/* ---- parameter counts of the Long Range Arena (its card's table F and claim 3) ---- */

static void parameter_counts(void)
{
#define BENCHMARK \
    "preset=pre_ln weights=xavier activation=gelu_tanh attention_bias=0 output_bias=0 " \
    "embed_deviation=1 norm_eps=1e-6 "
    static const struct {
        const char *task, *overrides;
        size_t count;
    } expected[] = {
        {"ListOps",
         BENCHMARK "vocab=17 classes=10 length=2000 width=512 heads=8 hidden=1024 layers=4 "
                   "pool=cls position=sinusoidal head_hidden=1024",
         8948746},
        {"Text",
         BENCHMARK "vocab=257 classes=2 length=1000 width=256 heads=4 hidden=1024 layers=4 "
                   "pool=cls position=sinusoidal head_hidden=1024",
         3486722},
        {"Retrieval",
         BENCHMARK "head=two_tower vocab=257 classes=2 length=4000 width=128 heads=4 hidden=512 "
                   "layers=4 pool=first position=sinusoidal head_hidden=512",
         1087618},
        {"Image",
         BENCHMARK "vocab=256 classes=10 length=1024 width=128 heads=8 head_width=8 hidden=128 "
                   "layers=1 pool=cls position=learned head_hidden=128",
         248458},
        {"Path-32",
         BENCHMARK "vocab=256 classes=2 length=1024 width=32 heads=4 head_width=4 hidden=32 "
                   "layers=4 pool=mean position=sinusoidal head_hidden=32",
         26530},
    };
    for (size_t i = 0; i < sizeof expected / sizeof *expected; i++) {
        struct assay_config c;
        struct assay_model m = {0};
        char error[512] = "";
        struct assay_batch *batch = NULL;
        if (config_make(&c, NULL, expected[i].overrides, error, sizeof error) == 0
            && (batch = batch_random(NULL, &c, 1, 8, 1)))
            model_open(&m, assay_kernels_def(ASSAY_F32), NULL, &c, batch, 1, error, sizeof error);
        ok(m.elements[ASSAY_PARAMETER] == expected[i].count,
           "%s of the benchmark has %zu parameters (%zu) %s", expected[i].task, expected[i].count,
           m.elements[ASSAY_PARAMETER], error);
        batch_free(batch);
        model_close(&m);
    }
}

/* ---- two towers ---- */

static tensor bare_head(layer *l, tensor x)
{
    (void)l;
    return x;
}
static const struct assay_variant bare = {.id = "bare", .slot = {.head = bare_head}};

static void towers(void)
{
    struct assay_model m;
    struct assay_batch *batch;
    if (!make(&m, assay_kernels_cpu(ASSAY_F32, NULL), &bare,
              "preset=pre_ln head=two_tower pool=first nli=1", &batch)) {
        ok(false, "two towers");
        return;
    }
    size_t n, d = m.config.width;
    double *y = logits_of(&m, batch, NULL, &n);
    const void *one = batch->input[0].data;
    batch->input[0].data = batch->input[1].data;
    batch->input[1].data = one;
    double *swapped = logits_of(&m, batch, NULL, &n);
    bool ends = y && swapped && n == SAMPLES * 4 * d, products = ends, differences = ends;
    for (size_t s = 0; ends && s < SAMPLES; s++) {
        double *a = y + s * 4 * d, *b = swapped + s * 4 * d;
        ends = equal(a, b + d, d) && equal(a + d, b, d) && !equal(a, a + d, d);
        products &= equal(a + 2 * d, b + 2 * d, d);
        for (size_t i = 0; i < d; i++)
            differences &= a[3 * d + i] == -b[3 * d + i];
    }
    ok(ends, "two towers: swapping the documents swaps e1 and e2 exactly");
    ok(products, "two towers: the product block is unchanged by it");
    ok(differences, "two towers: the difference block changes sign");
    free(y);
    free(swapped);
    batch_free(batch);
    model_close(&m);
}

/* ---- refusals ---- */

static void refused(const char *overrides, const char *part)
{
    struct assay_config c;
    char error[512] = "";
    int status = config_make(&c, NULL, overrides, error, sizeof error);
    if (status == 0)
        status = config_check(&c, NULL, error, sizeof error);
    ok(status == -1 && strstr(error, part), "'%s' is refused: %s", overrides, error);
}

static void refusals(void)
{
    refused("width=10 heads=3", "width: expected a multiple of heads");
    refused("heads=4 width=8 key_heads=3", "key_heads: expected a divisor of heads; found 3 and 4");
    refused("position=rotary heads=4 width=12", "head_width: expected an even number");
    refused("position=rotary rotary_width=3", "rotary_width: expected an even number");
    refused("tie_embedding=1", "tie_embedding: expected 0 unless head=language");
    refused("attention_dropout=0.1", "attention_dropout: expected explicit_attention=1");
    refused("dropout=1", "dropout: expected 0 <= rate < 1");
    refused("frame=encoder_decoder head=classify", "head: expected language");
    refused("buckets=5", "buckets: expected an even number");
    refused("norm_eps=0", "norm_eps: expected a positive number");
    refused("position_deviation=-1", "embed_deviation, position_deviation, weight_deviation");
    refused("length=0", "length: expected 1 to");
    refused("layers=4097", "layers and decoder_layers: expected at most 4096; found 4097");
    refused("heads=0", "heads and head_width: expected at least 1");
    refused("pool=max", "pool: expected one of cls, mean, first; found 'max'");
    refused("gated=yes", "gated: expected 0 or 1; found 'yes'");
    refused("layers=1.5", "layers: expected a whole number");
    refused("widht=8", "'widht' is neither");
    refused("width", "expected name=value; found 'width'");
}

/* Opens with the batch, or runs it: either must end in a message with `part`. */
static void bad_batch(const char *overrides, const struct assay_batch *bad, const char *part)
{
    struct assay_model m;
    struct assay_batch *batch;
    if (!make(&m, assay_kernels_def(ASSAY_F32), NULL, overrides, &batch)) {
        ok(false, "%s", part);
        return;
    }
    tape t;
    tape_open(&t, m.kernels);
    struct assay_pass pass = {.model = &m, .t = &t, .batch = bad, .denominator = 1};
    tensor y = model_loss(&pass, NULL);
    const char *error = tape_error(&t);
    ok(!y && error && strstr(error, part) && strstr(error, "reference"), "refused: %s",
       error ? error : "nothing");
    tape_close(&t);
    batch_free(batch);
    model_close(&m);
}

static void bad_batches(void)
{
    int32_t ids[24] = {1, 2, 3, 13, 5}, label[2] = {0, 3};
    struct assay_batch none = {1, {{"label", ASSAY_I32, SHAPE(2), label}}};
    struct assay_batch large = {
        2, {{"ids", ASSAY_I32, SHAPE(1, 5), ids}, {"label", ASSAY_I32, SHAPE(1), label}}};
    bad_batch("preset=pre_ln", &none, "the batch has no input 'ids'");
    bad_batch("preset=pre_ln", &large, "13");
    ids[3] = 1;
    struct assay_batch longer = {
        2, {{"ids", ASSAY_I32, SHAPE(2, 10), ids}, {"label", ASSAY_I32, SHAPE(2), label}}};
    bad_batch("preset=pre_ln", &longer, "embed");
    bad_batch("preset=pre_ln position=sinusoidal", &longer, "embed");
    struct assay_batch classes = {
        2, {{"ids", ASSAY_I32, SHAPE(2, 5), ids}, {"label", ASSAY_I32, SHAPE(2), label}}};
    bad_batch("preset=pre_ln", &classes, "cross_entropy");
    struct assay_batch flat = {
        2, {{"ids", ASSAY_I32, SHAPE(5), ids}, {"label", ASSAY_I32, SHAPE(2), label}}};
    bad_batch("preset=pre_ln", &flat, "embed");
}

/* The same seed gives the same start in both profiles. */
static void same_start(void)
{
    struct assay_model a, b, other;
    struct assay_batch *batch, *batch2, *batch3;
    bool holds = make(&a, assay_kernels_def(ASSAY_F32), NULL, "preset=t5", &batch)
                 && make(&b, assay_kernels_def(ASSAY_F64), NULL, "preset=t5", &batch2)
                 && make(&other, assay_kernels_def(ASSAY_F64), NULL, "preset=t5", &batch3)
                 && a.entries == b.entries && !model_initialise(&other, 6);
    size_t moved = 0;
    for (size_t i = 0; holds && i < a.entries; i++) {
        double x[512], y[512], z[512];
        holds = a.entry[i].elements <= 512 && strcmp(a.entry[i].name, b.entry[i].name) == 0;
        if (!holds)
            break;
        model_read(&a, &a.entry[i], x);
        model_read(&b, &b.entry[i], y);
        model_read(&other, &other.entry[i], z);
        holds = equal(x, y, a.entry[i].elements);
        moved += !equal(x, z, a.entry[i].elements);
    }
    ok(holds && moved > 10,
       "initial values are the same numbers in both profiles, and others with another seed");
    batch_free(batch);
    batch_free(batch2);
    batch_free(batch3);
    model_close(&a);
    model_close(&b);
    model_close(&other);
}

/* Positions have a deviation of their own where it is set; a power of two is exact. */
static void deviation_of_positions(void)
{
    static const char *const overrides[] = {"embed_deviation=1",
                                            "embed_deviation=1 position_deviation=0.015625"},
                             *const names[] = {"embed.token", "embed.positions"};
    struct assay_model m[2];
    struct assay_batch *batch[2];
    if (!make(&m[0], assay_kernels_def(ASSAY_F32), NULL, overrides[0], &batch[0])
        || !make(&m[1], assay_kernels_def(ASSAY_F32), NULL, overrides[1], &batch[1])) {
        ok(false, "two models");
        return;
    }
    for (int j = 0; j < 2; j++) {
        double x[1024] = {0}, y[1024] = {0};
        const struct assay_entry *e = model_find(&m[0], names[j]);
        bool holds = e && e->elements <= 1024;
        if (holds) {
            model_read(&m[0], e, x);
            model_read(&m[1], model_find(&m[1], names[j]), y);
        }
        for (size_t i = 0; holds && i < e->elements; i++)
            holds = x[i] != 0 && y[i] == (j ? 0.015625 : 1) * x[i];
        ok(holds, "position_deviation=2^-6: %s %s", names[j],
           j ? "are 2^-6 of those of 1" : "stay");
    }
    for (int i = 0; i < 2; i++) {
        batch_free(batch[i]);
        model_close(&m[i]);
    }
}

int main(void)
{
    every_setting();
    values_as_inputs();
    parameter_counts();
    towers();
    refusals();
    bad_batches();
    same_start();
    deviation_of_positions();
    return done_testing();
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Attention maps: of attention the probabilities to the bit, of other mixers the weights that they
 * imply; of a mixer without values a message. */
#include "harness/attention_map.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "harness/files.h"
#include "harness/tests/tap.h"

enum { LENGTH = 11, SEED = 5 };
static const char sizes[] =
    "preset=pre_ln vocab=13 length=11 width=16 heads=4 hidden=12 layers=2 classes=3 "
    "weight_deviation=0.5 embed_deviation=1 ";
static char error[ASSAY_ERROR_ROOM];

struct subject {
    struct assay_model model;
    struct assay_batch *batch;
    struct assay_attention_maps maps;
};

static void subject_close(struct subject *s)
{
    assay_attention_maps_free(&s->maps);
    model_close(&s->model);
    batch_free(s->batch);
}

/* The status of the maps, and 2 where there is no model. */
static int subject_open(struct subject *s, const struct assay_variant *variant, const char *more)
{
    struct assay_config c;
    char text[512];
    *s = (struct subject){.batch = NULL};
    snprintf(text, sizeof text, "%s%s", sizes, more);
    if (config_make(&c, variant, text, error, sizeof error) != 0
        || !(s->batch = batch_random(variant, &c, 1, LENGTH, SEED))
        || model_open(&s->model, assay_kernels_cpu(ASSAY_F32, NULL), variant, &c, s->batch, SEED,
                      error, sizeof error)
               != 0) {
        diag("%s: %s", text, error);
        return 2;
    }
    return assay_attention_maps(&s->model, s->batch, &s->maps, NULL, error, sizeof error);
}

/* ---- attention ---- */

/* The probabilities of the tape's next call of attention from node *at on: computed again from its
 * operands, in the explicit form. */
static tensor next_probability(tape *t, size_t *at)
{
    for (; *at < t->nodes; (*at)++) {
        const struct assay_description *d = t->node[*at]->description;
        if (!d || !d->op || strcmp(d->op, "attention") != 0)
            continue;
        tensor p;
        struct attention_options o = {.scale = d->number[ATTENTION_SCALE],
                                      .causal = d->number[ATTENTION_CAUSAL] != 0,
                                      .uniform_if_empty =
                                          d->number[ATTENTION_UNIFORM_IF_EMPTY] != 0,
                                      .explicit_form = true,
                                      .key_valid = d->operand[3],
                                      .query_valid = d->operand[4],
                                      .probability = &p};
        (*at)++;
        return attention(t, d->operand[0], d->operand[1], d->operand[2], &o) ? p : TENSOR_NONE;
    }
    return TENSOR_NONE;
}

static void equals_probabilities(const char *what, const char *more)
{
    struct subject s;
    tape t;
    if (!ok(subject_open(&s, NULL, more) == 0 && s.maps.layers == 2, "%s: two maps", what)) {
        diag("%s", error);
        return;
    }
    tape_open(&t, s.model.kernels);
    t.describing = true;
    struct assay_pass pass = {.model = &s.model, .t = &t, .batch = s.batch, .denominator = 1};
    model_forward(&pass);
    bool same = true;
    for (size_t i = 0, at = 0; i < s.maps.layers; i++) {
        const struct assay_attention_layer *l = &s.maps.layer[i];
        size_t count = l->heads * l->queries * l->keys;
        double *expected = malloc(count * sizeof *expected);
        tensor p = next_probability(&t, &at);
        same &= p && elements_of(p) == count && l->heads == 4;
        if (same)
            tensor_read(&t, p, expected);
        for (size_t j = 0; same && j < count; j++)
            same = l->weight[j] == expected[j];
        free(expected);
    }
    ok(same && !tape_error(&t), "%s: each is the probabilities, bit by bit", what);
    tape_close(&t);
    subject_close(&s);
}

/* ---- other mixers ---- */

static double largest_difference(const struct assay_attention_layer *a,
                                 const struct assay_attention_layer *b)
{
    double most = 0;
    for (size_t j = 0; j < a->heads * a->queries * a->keys; j++)
        most = fmax(most, fabs(a->weight[j] - b->weight[j]));
    return most;
}

/* Both forms have the same queries and keys in the first block. A weight phi(q) phi(k) / z, at most
 * 1, is a chain of the head's 4 positive products over a sum of LENGTH such chains: either form errs
 * by at most 4 + LENGTH + 5 units of roundoff of it (chains, sum, eps, division, and the gradient's
 * two products). */
static void implied_by_features(void)
{
    const struct assay_variant *v = variant_find("linear_transformer");
    struct subject by_scan, by_square;
    bool opened = subject_open(&by_scan, v, "evaluation=linear") == 0
                  && subject_open(&by_square, v, "evaluation=quadratic") == 0;
    if (!ok(opened, "linear_transformer: maps of two forms")) {
        diag("%s", error);
        return;
    }
    double found = largest_difference(&by_scan.maps.layer[0], &by_square.maps.layer[0]),
           bound = 2 * (4 + LENGTH + 5) * (double)FLT_EPSILON / 2;
    ok(found <= bound, "a scan implies the weights of the quadratic form: %.2g, at most %.2g",
       found, bound);
    subject_close(&by_scan);
    subject_close(&by_square);
}

/* Tokens see those of their block, whose weights sum to 1 up to the rounding of at most LENGTH. */
static void local_blocks(void)
{
    enum { BLOCK = 4 };
    struct subject s;
    if (!ok(subject_open(&s, variant_find("local_attention"), "block=4") == 0,
            "local_attention: maps")) {
        diag("%s", error);
        return;
    }
    bool blocks = true, sums = true;
    const int32_t *ids = s.batch->input[0].data;
    for (size_t h = 0; h < 4; h++)
        for (size_t i = 0; i < LENGTH; i++) {
            double sum = 0;
            for (size_t j = 0; j < LENGTH; j++) {
                double w = s.maps.layer[0].weight[(h * LENGTH + i) * LENGTH + j];
                sum += w;
                blocks &= i / BLOCK == j / BLOCK || w == 0;
            }
            sums &= ids[i] == 0 || fabs(sum - 1) <= LENGTH * (double)FLT_EPSILON;
        }
    ok(blocks, "no weight leaves its block");
    ok(sums, "the weights of a row sum to 1");
    subject_close(&s);
}

static tensor no_mixing(layer *l, tensor x, tensor memory)
{
    (void)l, (void)memory;
    return x;
}

static void refused(void)
{
    struct assay_variant v = assay_variant_reference;
    struct subject s;
    v.id = "identity";
    v.slot.mixer = no_mixing;
    ok(subject_open(&s, &v, "") == -1 && strstr(error, "identity has no attention map"),
       "refused: a mixer without values (%s)", error);
    subject_close(&s);
}

int main(void)
{
    equals_probabilities("attention", "");
    equals_probabilities("attention with a class token", "pool=cls");
    equals_probabilities("two query heads to a key head", "key_heads=2");
    equals_probabilities("causal attention", "frame=decoder head=language pad_is_zero=0");
    implied_by_features();
    local_blocks();
    refused();
    return done_testing();
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Outside vectors of mla.c: what other code computes, under its names.
 * The authors' deepseek-ai/DeepSeek-V3, inference/model.py. */
#include <stdio.h>

#include "variants/outside.h"

enum { SAMPLES = 2, TOKENS = 10, PREFILL = 4, WIDTH = 16 };

/* clang-format off */
#define REST \
    {"latent.weight", "wkv_a.weight", TRANSPOSED}, {"norm.gain", "kv_norm.weight", AS_IT_IS}, \
    {"up.weight", "wkv_b.weight", TRANSPOSED}, {"output.weight", "wo.weight", TRANSPOSED}, {0}
static const struct outside_name compressed[] = {
    {"query_down.weight", "wq_a.weight", TRANSPOSED}, {"query_norm.gain", "q_norm.weight", AS_IT_IS},
    {"query.weight", "wq_b.weight", TRANSPOSED}, REST};
static const struct outside_name direct[] = {{"query.weight", "wq.weight", TRANSPOSED}, REST};

static const char *const tables[] = {"x", "/buffer/rope_cos", "/buffer/rope_sin", NULL};

/* Their tables, which are numbers of binary32; rows first .. first + n - 1. */
static struct rotation rows(tape *t, tensor cosine, tensor sine, size_t first, size_t n)
{
    struct rotation r;
    r.cosine = stop_gradient(t, slice(t, cosine, 0, first, n));
    r.sine = stop_gradient(t, slice(t, sine, 0, first, n));
    return r;
}

static tensor attended(layer *l, const tensor *x)
{
    return mla_attended(l, x[0], rows(l->t, x[1], x[2], 0, TOKENS));
}

#define SECTION(name, weights_, options, names_) \
    {name, weights_, "frame=decoder head=language length=12 value=6 " options, .names = names_, \
     .inputs = tables, .apply = attended, .causal = true}
const struct outside_section outside_mla[] = {
    SECTION("q_compressed_naive", NULL, "", compressed),
    SECTION("q_compressed_absorb", "q_compressed_naive", "evaluation=absorbed", compressed),
    SECTION("q_direct_absorb", NULL, "evaluation=absorbed query_latent=0", direct),
    SECTION("yarn_naive", NULL, "stretch=4", compressed), {0}};
/* clang-format on */

static tensor named(struct claim *c, tape *t, const char *section, const char *what,
                    struct assay_shape shape)
{
    char name[96];
    snprintf(name, sizeof name, "%s/%s", section, what);
    return outside_tensor(c, t, name, AS_IT_IS, shape);
}

static void meet(struct claim *c, tensor ours, const char *section, const char *what)
{
    char name[96], name32[96];
    snprintf(name, sizeof name, "%s/output/%s", section, what);
    snprintf(name32, sizeof name32, "%s/output32/%s", section, what);
    outside_meets(c, ours, name, name32, AS_IT_IS);
}

/* Frequencies go through at most eight roundings of binary32 on either side, and angles are at most
 * TOKENS; cosines and sines are rounded once more. */
static void meet_tables(struct claim *c, tape *t, struct rotation ours, struct rotation theirs)
{
    double scale, bound = 0x1p-24 * (2 * 8 * TOKENS + 2);
    double cosine = claim_distance(c, ours.cosine, theirs.cosine, &scale),
           sine = claim_distance(c, ours.sine, theirs.sine, &scale);
    claim_true(c, t && cosine <= bound && sine <= bound,
               "tables of %d positions differ by %.2g and %.2g (bound %.2g)", TOKENS, cosine, sine,
               bound);
}

/* Four tokens at once, then six one by one. */
static void meet_steps(struct claim *c, const struct outside_section *s)
{
    char weights[96];
    struct assay_model *m = claim_model(c, s->overrides);
    struct claim_pass *p =
        m ? claim_blank(c, m, claim_batch(c, m, SAMPLES, TOKENS, 1), SAMPLES, TOKENS) : NULL;
    const char *own = s->weights ? s->weights : s->section;
    struct assay_context *at = p ? p->context : NULL;
    if (!at)
        return;
    tape *t = p->pass.t;
    snprintf(weights, sizeof weights, "%s/param/", own);
    outside_load_all(c, m, "block.0.mixer.", weights, s->names, -1);
    layer l = claim_layer(c, p, "block.0.mixer");
    struct assay_shape pairs = SHAPE(TOKENS, 2);
    struct rotation r;
    r.cosine = named(c, t, s->section, "buffer/rope_cos", pairs);
    r.sine = named(c, t, s->section, "buffer/rope_sin", pairs);
    meet_tables(c, t, mla_rotations(&l, TOKENS), r);
    tensor x = named(c, t, own, "input/x", SHAPE(SAMPLES, TOKENS, WIDTH)), y[TOKENS];
    at->decode = claim_decode(c, m, TOKENS);
    at->capacity = TOKENS;
    int parts = 0;
    for (size_t n = PREFILL; at->first < TOKENS; at->first += n, n = 1) {
        struct rotation now = rows(t, r.cosine, r.sine, at->first, n);
        y[parts++] = mla_attended(&l, slice(t, x, 1, at->first, n), now);
    }
    meet(c, concat(t, 1, parts, y), s->section, "y_decode");
    if (m->config.hyper[4] <= 0) /* they keep latents in the absorbed form only */
        return;
    tensor latent = TENSOR_NONE, key = TENSOR_NONE;
    for (size_t i = 0; i < t->marks; i++)
        if (t->marked[i].kind == ASSAY_TRACE)
            latent = key, key = t->marked[i].value;
    meet(c, latent, s->section, "cache_c");
    meet(c, key, s->section, "cache_kR");
}

void mla_meets_the_decoder(struct claim *c)
{
    for (const struct outside_section *s = outside_mla; s->section; s++)
        meet_steps(c, s);
}

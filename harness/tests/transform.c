/* SPDX-License-Identifier: Apache-2.0 */
/* Transforms of trained models: what is kept, what is new, decisions, refusals. */
#include "ref/transform.h"

#include <stdlib.h>
#include <string.h>

#include "harness/tests/tap.h"

struct trial {
    struct assay_config config;
    struct assay_batch *batch;
    struct assay_model from;
    tape t;
};

static bool begin(struct trial *r, const char *id, const char *overrides)
{
    const struct assay_variant *v = variant_find(id);
    const struct assay_kernels *kernels = assay_kernels_cpu(ASSAY_F32, NULL);
    char error[300] = "out of memory";
    memset(r, 0, sizeof *r);
    bool made = v && config_make(&r->config, v, overrides, error, sizeof error) == 0;
    r->batch = made ? batch_random(v, &r->config, 2, r->config.length, 3) : NULL;
    made = r->batch
           && model_open(&r->from, kernels, v, &r->config, r->batch, 3, error, sizeof error) == 0
           && tape_open(&r->t, kernels) == 0;
    r->t.recording = true;
    return ok(made, "a model of %s, %s: %s", id, overrides, made ? "made" : error);
}

static void end(struct trial *r)
{
    tape_close(&r->t);
    model_close(&r->from);
    batch_free(r->batch);
}

static bool same(const struct assay_model *a, const struct assay_model *b, const char *name)
{
    const struct assay_entry *x = model_find(a, name), *y = model_find(b, name);
    return x && y && x->elements == y->elements
           && memcmp(entry_data(a, x), entry_data(b, y), x->elements * a->kernels->element) == 0;
}

static void makes_a_model(void)
{
    struct trial r;
    struct assay_transform x;
    if (begin(&r, "greenformers", "solver=svd")) {
        bool made = model_transform(&x, &r.from, r.batch, &r.t);
        ok(made && same(&x.to, &r.from, "embed.token")
               && same(&x.to, &r.from, "block.1.ffn.in.bias"),
           "what keeps its name and shape is the old model's");
        ok(made && model_find(&x.to, "block.0.mixer.key.encode")
               && !model_find(&x.to, "block.0.mixer.key.weight")
               && !model_find(&r.from, "block.0.mixer.key.encode"),
           "the rest is the new model's alone");
        ok(!variant_computes(r.from.variant, &x.config)
               && variant_computes(r.from.variant, &r.config),
           "the result is an ordinary model, what went in was not");
        bool marked = r.t.marks == 1 && r.t.marked[0].kind == ASSAY_DECISION;
        ok(marked && strcmp(r.t.marked[0].name, "ranks") == 0, "what was decided is marked");
        model_close(&x.to);
        struct assay_pass pass = {.model = &r.from, .t = &r.t, .batch = r.batch, .denominator = 1};
        tape_reset(&r.t);
        tensor y = transform_compute(&pass);
        size_t fresh = 0;
        for (size_t i = 0; i < r.t.marks; i++)
            fresh += strncmp(r.t.marked[i].name, "new.", 4) == 0;
        ok(y && elements_of(y) == 2 * r.config.classes && fresh == 2 * 6 * 2,
           "a golden file's computation traces two factors of each layer, and gives the output");
    }
    end(&r);
}

static void takes_decisions(void)
{
    static const int32_t other[] = {7, 8, 9};
    struct assay_decided given = {other, 3};
    struct trial r;
    if (begin(&r, "greenformers", "solver=svd")) {
        struct assay_transform x = {
            .from = &r.from, .data = r.batch, .t = &r.t, .config = r.config};
        r.t.decided = &given;
        r.t.decisions = 1;
        const int32_t *done = transform_decide(&x, "order", 3, (const int32_t[]){7, 1, 9}, 0.5);
        ok(done && done[1] == 8 && r.t.flips == 1,
           "a decision that is given is the one that is done");
        const int32_t *more = transform_decide(&x, "more", 1, other, 0);
        ok(!more && tape_error(&r.t),
           "one decision too many is refused: %s", tape_error(&r.t));
    }
    end(&r);
}

static void refuses(void)
{
    static const char *const models[][2] = {{"greenformers", ""}, {"linformer", ""}};
    for (int i = 0; i < 2; i++) {
        struct trial r;
        struct assay_transform x;
        if (begin(&r, models[i][0], models[i][1])) {
            bool made = model_transform(&x, &r.from, r.batch, &r.t);
            ok(!made && tape_error(&r.t) && !x.to.entries, "%s has nothing to transform: %s",
               models[i][0], tape_error(&r.t));
        }
        end(&r);
    }
}

int main(void)
{
    makes_a_model();
    takes_decisions();
    refuses();
    return done_testing();
}

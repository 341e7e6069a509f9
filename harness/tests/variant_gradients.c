/* SPDX-License-Identifier: Apache-2.0 */
/* Every paper in every setting: gradients of all parameters against GSL's
 * numerical derivative, in binary64. */
#include "harness/tests/gradient.h"
#include "harness/tests/variant_kit.h"

enum { SAMPLES = 2, LENGTH = 5 };

static tensor build(tape *t, const tensor *leaf, int leaves, void *context)
{
    struct kit *k = context;
    (void)leaf;
    (void)leaves;
    k->pass.t = t;
    const struct assay_variant *v = k->model.variant;
    return v && v->objective ? v->objective(&k->pass) : model_loss(&k->pass, NULL);
}

static bool declared_differentiable(const struct assay_variant *v)
{
    for (const struct variant_property *p = v->properties; p && p->holds; p++)
        if (p->which == PROPERTY_DIFFERENTIABLE)
            return p->holds == HOLDS_ROUNDING || p->holds == HOLDS_BITS;
    return false;
}

static void check(const struct subject *s)
{
    struct kit k;
    const struct assay_kernels *kernels = assay_kernels_cpu(ASSAY_F64, NULL);
    if (!declared_differentiable(s->variant)) {
        skip(1, "not declared differentiable");
        return;
    }
    if (!kit_open(&k, kernels, s, "hidden=8", SAMPLES, LENGTH)) {
        ok(false, "%s: a model", s->label);
        return;
    }
    kit_shake(&k);
    struct gradient_leaf *leaf = calloc(k.model.entries + 1, sizeof *leaf);
    int leaves = 0;
    for (size_t i = 0; leaf && i < k.model.entries; i++) {
        const struct assay_entry *e = &k.model.entry[i];
        if (e->kind == ASSAY_PARAMETER)
            leaf[leaves++] = (struct gradient_leaf){.name = e->name,
                                                    .shape = e->shape,
                                                    .storage = entry_data(&k.model, e),
                                                    .gradient = (double *)k.gradients + e->offset};
    }
    gradient_ok(kernels, build, &k, leaves, leaf, 3, s->label);
    free(leaf);
    kit_close(&k);
}

int main(int argc, char **argv)
{
    each_subject(argc, argv, check);
    return done_testing();
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Transforms of trained models: opening the result, decisions, and what a golden file holds. */
#include "ref/transform.h"

#include <string.h>

tensor model_tensor(const struct assay_model *m, tape *t, const char *entry)
{
    const struct assay_entry *e = model_find(m, entry);
    if (!e)
        tape_fail(t, "model_tensor", "there is no '%s'", entry);
    tensor x = e ? tape_new(t, ASSAY_REAL, e->shape) : TENSOR_NONE;
    if (x)
        memcpy(x->data, entry_data(m, e), e->elements * m->kernels->element);
    return x;
}

bool model_store(struct assay_model *m, const char *entry, tensor x)
{
    const struct assay_entry *e = model_find(m, entry);
    if (!e || !x || elements_of(x) != e->elements)
        return false;
    memcpy(entry_data(m, e), x->data, e->elements * m->kernels->element);
    return true;
}

bool transform_open(struct assay_transform *x)
{
    const struct assay_model *from = x->from;
    char error[256];
    if (model_open(&x->to, from->kernels, from->variant, &x->config, x->data, from->seed, error,
                   sizeof error)
        != 0) {
        tape_fail(x->t, "transform", "%s", error);
        return false;
    }
    for (size_t i = 0; i < x->to.entries; i++) {
        const struct assay_entry *e = &x->to.entry[i], *old = model_find(from, e->name);
        if (old && shape_equal(old->shape, e->shape))
            memcpy(entry_data(&x->to, e), entry_data(from, old),
                   e->elements * from->kernels->element);
    }
    return true;
}

const int32_t *transform_decide(struct assay_transform *x, const char *name, size_t count,
                                const int32_t *chosen, double margin)
{
    tensor decision = tape_input_i32(x->t, SHAPE(count), chosen);
    tape_mark(x->t, ASSAY_DECISION, name, decision, margin);
    return decision && !tape_error(x->t) ? ids_of(decision) : NULL;
}

bool model_transform(struct assay_transform *x, const struct assay_model *from,
                     const struct assay_batch *data, tape *t)
{
    *x = (struct assay_transform){.from = from, .data = data, .t = t, .config = from->config};
    bool made = from->variant && from->variant->transform && from->variant->transform(x);
    if (!made || tape_error(t)) {
        if (!tape_error(t))
            tape_fail(t, "transform", "expected a model that the paper transforms");
        model_close(&x->to);
        return false;
    }
    return true;
}

/* Bits of another model, or none of its own there. */
static bool is_new(const struct assay_transform *x, const struct assay_entry *e)
{
    const struct assay_entry *old = model_find(x->from, e->name);
    return !old || !shape_equal(old->shape, e->shape)
           || memcmp(entry_data(x->from, old), entry_data(&x->to, e),
                     e->elements * x->to.kernels->element)
                  != 0;
}

tensor transform_compute(struct assay_pass *p)
{
    struct assay_transform x;
    if (!model_transform(&x, p->model, p->batch, p->t))
        return TENSOR_NONE;
    for (size_t i = 0; i < x.to.entries; i++)
        if (is_new(&x, &x.to.entry[i])) {
            const char *name = x.to.entry[i].name;
            tensor weight = model_tensor(&x.to, p->t, name);
            tape_mark(p->t, ASSAY_TRACE, tape_string(p->t, "new.%s", name), weight, 0);
        }
    struct assay_pass pass = {
        .model = &x.to, .t = p->t, .batch = p->batch, .denominator = p->denominator};
    tensor y = model_forward(&pass);
    model_close(&x.to);
    return y;
}

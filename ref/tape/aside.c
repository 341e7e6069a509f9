/* SPDX-License-Identifier: Apache-2.0 */
/* Values whose making is forgotten: what a published gradient (custom) computes again. */
#include "ref/tape/op.h"

static const char name[] = "made_aside";

static bool same_shapes(tape *t, int count, const tensor *one, const tensor *other)
{
    if (!op_reals(t, name, count, one))
        return false;
    for (int i = 0; i < count; i++)
        if (!op_expect(t, name, shape_equal(one[i]->shape, other[i]->shape),
                       "a result of the shape that was there", TENSORS(other[i], one[i])))
            return false;
    return true;
}

void made_aside(tape *t, int count, tensor *y, aside_function *f, void *closure)
{
    if (!op_reals(t, name, count, y))
        return;
    struct op_loan loan = op_borrow(t);
    tensor *made = tape_allocate(t, (size_t)count * sizeof *made);
    size_t nodes = t->nodes, marks = t->marks;
    bool recording = t->recording;
    for (int i = 0; made && i < count; i++)
        made[i] = y[i];
    t->recording = false;
    if (made)
        f(t, closure, made);
    t->recording = recording;
    bool fits = made && same_shapes(t, count, made, y);
    for (int i = 0; i < count && fits; i++)
        if (t->describing)
            y[i] = made[i];
        else
            op_copy(t, elements_of(y[i]), made[i]->data, y[i]->data, ASSAY_STORE);
    if (t->describing)
        return;
    t->nodes = nodes;
    t->marks = marks;
    op_give_back(t, loan);
}

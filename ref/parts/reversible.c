/* SPDX-License-Identifier: Apache-2.0 */
/* The blocks' sublayers as reversible residual layers (Gomez et al. 2017, arXiv:1707.04585; with a
 * transformer's sublayers, Kitaev et al. 2020, section 3). */
#include "ref/model/internal.h"

/* A context of their own, because the pass's may have changed when the backward calls again. */
struct sublayers {
    layer l;
    struct assay_context context;
};

/* Step 2 i is block i's mixer, 2 i + 1 its feed-forward layer, each behind its norm. x: [b, n, d] */
static tensor sublayer(tape *t, void *closure, size_t step, tensor x)
{
    struct sublayers *s = closure;
    layer l = s->l;
    l.t = t;
    l.context = &s->context;
    s->context.block = step / 2;
    bool feed = step % 2;
    size_t mark = layer_enter(&l, "block.%zu", step / 2);
    tensor y = apply_norm(&l, feed ? "norm2" : "norm1", x);
    y = feed ? apply_ffn(&l, "ffn", y) : apply_mixer(&l, "mixer", y, TENSOR_NONE);
    y = drop(&l, feed ? "ffn" : "mixer", y);
    layer_leave(&l, mark);
    return y;
}

/* The same steps as ordinary ops. */
static tensor stored(layer *l, struct sublayers *s, tensor x, size_t steps, bool traced)
{
    tape *t = l->t;
    struct assay_shape one = x->shape, all = one;
    one.rank--;
    for (int i = 0; i < one.rank; i++)
        one.dim[i] = all.dim[i + 1];
    tensor y[2];
    for (size_t i = 0; i < 2; i++)
        y[i] = reshape(t, slice(t, x, 0, i, 1), one);
    for (size_t i = 0; i < steps; i++) {
        y[i % 2] = add(t, y[i % 2], sublayer(t, s, i, y[1 - i % 2]));
        if (traced)
            trace(l, tape_string(t, "block.%zu.y%zu", i / 2, i % 2 + 1), y[i % 2]);
    }
    all.dim[0] = 1;
    for (size_t i = 0; i < 2; i++)
        y[i] = reshape(t, y[i], all);
    return concat(t, 0, 2, y);
}

tensor reversible_stack(layer *l, tensor x, bool recomputed)
{
    tape *t = l->t;
    struct sublayers *s = tape_allocate(t, sizeof *s);
    if (!x || !s)
        return TENSOR_NONE;
    *s = (struct sublayers){*l, *l->context};
    size_t steps = 2 * l->context->blocks;
    tensor both = expand(t, x, SHAPE(2, dim_of(x, 0), dim_of(x, 1), width_of(x)));
    if (!both)
        return TENSOR_NONE;
    /* Who walks the graph is to find ops. */
    return recomputed && !t->describing ? coupled(t, both, steps, sublayer, s)
                                        : stored(l, s, both, steps, !recomputed);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Claims about sparse patterns: what a mixer computes without all n x n pairs is attention under
 * the mask of the pairs that the paper names, outputs and gradients. */
#include "ref/arith.h"
#include "ref/claim.h"

/* One case: the mixer alone, twice the same heads, and the masks [h, n, n]. */
struct mask_case {
    struct claim_alone a;
    struct heads twin;
    int32_t *seen, *all; /* what the pattern sees, and all that order and padding allow */
    tensor valid;        /* i32 [1, n], or NONE */
    size_t most;         /* keys that a query sees */
};

static struct heads random_heads(struct claim *c, const struct claim_alone *a)
{
    struct heads h;
    h.query = claim_random(c, a->t, a->h.query->shape, 1);
    h.key = claim_random(c, a->t, a->h.key->shape, 2);
    h.value = claim_random(c, a->t, a->h.value->shape, 3);
    return h;
}

static bool open_case(struct claim *c, struct mask_case *m, const char *overrides, size_t n,
                      bool causal, bool padded)
{
    if (!claim_alone(c, &m->a, overrides, n))
        return false;
    tape *t = m->a.t;
    int32_t *valid = tape_allocate(t, n * sizeof *valid);
    for (size_t i = 0; valid && i < n; i++)
        valid[i] = i + 3 < n || !padded;
    m->twin = random_heads(c, &m->a);
    m->valid = padded && valid ? tape_input_i32(t, SHAPE(1, n), valid) : TENSOR_NONE;
    m->a.l.context->causal = causal;
    m->a.l.context->valid = m->valid;
    return valid != NULL;
}

/* Whether some pair is allowed but not seen. */
static bool fill_masks(struct mask_case *m, const struct claim_mask *how)
{
    const struct claim_alone *a = &m->a;
    size_t n = a->n, all = config_of(&a->l)->heads * n * n, row = 0;
    const int32_t *valid = ids_of(m->valid);
    const void *about = how->about ? how->about(&m->a) : NULL;
    bool sparse = false;
    m->most = 0;
    m->seen = tape_allocate(a->t, all * sizeof *m->seen);
    m->all = tape_allocate(a->t, all * sizeof *m->all);
    for (size_t e = 0; m->seen && m->all && e < all; e++) {
        size_t i = e / n % n, j = e % n;
        m->all[e] = (!a->l.context->causal || j <= i) && (!valid || (valid[i] && valid[j]));
        m->seen[e] = m->all[e] && how->sees(a, about, e / n / n, i, j);
        sparse |= m->all[e] != m->seen[e];
        row = (j ? row : 0) + (size_t)m->seen[e];
        m->most = row > m->most ? row : m->most;
    }
    return sparse;
}

/* Attention that holds all pairs. */
static tensor under_mask(const struct mask_case *m, const int32_t *mask)
{
    size_t n = m->a.n, heads = config_of(&m->a.l)->heads;
    struct attention_options o = {.explicit_form = true,
                                  .scale = config_of(&m->a.l)->scale_scores ? 0 : 1};
    o.allowed = mask ? tape_input_i32(m->a.t, SHAPE(1, heads, n, n), mask) : TENSOR_NONE;
    return o.allowed ? attention(m->a.t, m->twin.query, m->twin.key, m->twin.value, &o)
                     : TENSOR_NONE;
}

/* What papers do with rows of padding is theirs: they are left out. */
static tensor rows_of_tokens(const struct mask_case *m, tensor y)
{
    if (!y || !m->valid)
        return y;
    tensor column = reshape(m->a.t, m->valid, SHAPE(1, m->a.n, 1, 1));
    tensor keep = expand(m->a.t, column, y->shape), nothing = tape_filled(m->a.t, y->shape, 0);
    return choose(m->a.t, keep, y, nothing);
}

static tensor gradient_of(struct claim *c, tape *t, tensor x)
{
    double *d = tape_allocate(t, elements_of(x) * sizeof *d);
    return d && gradient_read(t, x, d) ? claim_values(c, t, x->shape, d) : TENSOR_NONE;
}

/* Of Q, K, V, G (the cotangent) the largest, w the width, k the most keys of a query, n tokens. Per
 * form p has k + 1 roundings of its sum and division; g.v and its mean, both at most w G V, have w
 * and w + 2 k + 2 more, so that the score's gradient has 8 k + 2 w + 8 in all; then come chains of
 * k scores times K, or, for keys and values, of at most n. Two forms. */
static void meet_gradients(struct claim *c, const struct mask_case *m, tensor cotangent,
                           const char *what)
{
    const tensor own[] = {m->a.h.query, m->a.h.key, m->a.h.value},
                 twin[] = {m->twin.query, m->twin.key, m->twin.value};
    double n = (double)m->a.n, w = (double)width_of(own[0]), g = claim_largest(c, cotangent),
           factor = config_of(&m->a.l)->scale_scores ? assay_scalar_sqrt(c->profile, w) : 1,
           score = w * g * claim_largest(c, own[2]) / factor,
           units = 2 * (8 * (double)m->most + 2 * w + n + 8), worst = 0, scale;
    double size[] = {score * claim_largest(c, own[1]), n * score * claim_largest(c, own[0]), n * g};
    for (int i = 0; i < 3; i++) {
        tensor one = gradient_of(c, m->a.t, own[i]), two = gradient_of(c, m->a.t, twin[i]);
        double off = claim_distance(c, one, two, &scale) / (claim_roundoff(c) * size[i]);
        worst = off > worst || off != off ? off : worst;
    }
    claim_true(c, worst <= units, "%s: gradients differ by %.3g units of roundoff (bound %g)", what,
               worst, units);
}

static void meet_case(struct claim *c, struct mask_case *m, const struct claim_mask *how,
                      const char *what)
{
    tape *t = m->a.t;
    bool sparse = fill_masks(m, how);
    tensor y[2], cotangent[2];
    y[0] = rows_of_tokens(m, how->mixed(&m->a.l, &m->a.h));
    y[1] = rows_of_tokens(m, under_mask(m, m->seen));
    if (!claim_true(c, y[0] && y[1], "%s: a forward pass", what))
        return;
    /* Scores are the same chains; sums of k weights and of k weighted values run in another order,
     * after a division. */
    if (how->bits)
        claim_equal_bits(c, t, y[0], y[1], what);
    else
        claim_close(c, y[0], y[1], 4 * (double)(m->most + 2), claim_largest(c, m->twin.value),
                    what);
    if (sparse)
        claim_differs(c, y[0], rows_of_tokens(m, under_mask(m, m->all)), 1000,
                      tape_string(t, "%s: all pairs", what));
    cotangent[0] = cotangent[1] = claim_random(c, t, y[0]->shape, 4);
    claim_backward(c, m->a.pass, 2, y, cotangent);
    meet_gradients(c, m, cotangent[0], what);
}

void claim_meets_mask(struct claim *c, const char *overrides, const struct claim_mask *how)
{
    struct assay_model *model = claim_model(c, overrides);
    for (size_t i = 0; model && i < 8; i++) {
        bool shorter = i & 1, padded = i & 2, causal = i & 4;
        if ((causal && how->order == ORDER_BOTH_WAYS) || (!causal && how->order == ORDER_CAUSAL))
            continue;
        struct mask_case m;
        size_t n = model->config.length - shorter;
        if (!open_case(c, &m, overrides, n, causal, padded))
            return;
        meet_case(c, &m, how,
                  tape_string(m.a.t, "%s of %zu tokens%s%s: the n x n mask", how->name, n,
                              padded ? ", padded" : "", causal ? ", causal" : ""));
    }
}

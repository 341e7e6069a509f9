/* SPDX-License-Identifier: Apache-2.0 */
/* Claims about orders of execution: attention in parts is attention as a whole, gradients included. */
#include "ref/claim.h"
#include "ref/parts/partials.h"

enum { HEADS = 4, KEY_HEADS = 2, WIDTH = 4 };

struct claim_attention claim_attention(struct claim *c, struct attention_case from)
{
    struct claim_attention a = {.t = claim_tape(c)};
    struct assay_shape keys = SHAPE(from.samples, from.keys, KEY_HEADS, WIDTH);
    a.query = claim_random(c, a.t, SHAPE(from.samples, from.queries, HEADS, WIDTH), 1);
    a.key = claim_random(c, a.t, keys, 2);
    a.value = claim_random(c, a.t, keys, 3);
    tensor valid =
        from.valid ? tape_input_i32(a.t, SHAPE(from.samples, from.keys), from.valid) : TENSOR_NONE;
    a.p = planes_of(a.t, a.query, a.key, a.value, valid, from.causal);
    return a;
}

tensor attention_whole(const struct claim_attention *a)
{
    size_t b = dim_of(a->query, 0), n = a->p.queries, keys = a->p.keys;
    int32_t *allowed = tape_allocate(a->t, b * n * keys * sizeof *allowed);
    for (size_t e = 0; allowed && e < b * n * keys; e++)
        allowed[e] = (!a->p.causal || e % keys + n <= e / keys % n + keys)
                     && (!a->p.valid || a->p.valid[e / (n * keys) * keys + e % keys]);
    struct attention_options o = {
        .allowed = allowed ? tape_input_i32(a->t, SHAPE(b, 1, n, keys), allowed) : TENSOR_NONE};
    return attention(a->t, a->query, a->key, a->value, &o);
}

tensor attention_scores(const struct claim_attention *a)
{
    struct tile all = {{0, a->p.queries}, {0, a->p.keys}};
    return tile_scores(a->t, &a->p, all);
}

double attention_units(size_t keys, size_t rescalings)
{
    return 4 * (1.5 * (double)keys + 2 * (double)rescalings + 4);
}

static tensor gradient(struct claim *c, const struct claim_attention *a, tensor x)
{
    claim_true(c, x->gradient != NULL, "a gradient arrives");
    return tape_parameter(a->t, x->shape, x->gradient, NULL);
}

/* In units of what a gradient can be: |dO| to a value from each row; twice w |dO| |v| (dP, and D, a mean
 * of it), scaled, times |k| to a query, times |q| from each row to a key. Both sides sum n_k and r n
 * terms with the errors of outputs; a weight that is computed again as exp(S - L) has besides those of
 * L and of S - L, at most 4 |S|. */
static void meet_gradients(struct claim *c, const struct claim_attention *a,
                           const struct claim_attention *b, double units, double d_output,
                           const char *what)
{
    struct claim_attention all = *a;
    all.p.causal = false;
    all.p.valid = NULL;
    tensor scores = attention_scores(&all), one, two;
    double rows = (double)(a->p.queries * HEADS / KEY_HEADS), v = claim_largest(c, a->value),
           d_score = 2 * WIDTH * d_output * v * a->p.scale;
    units += 4 * (rows + WIDTH + 4 + claim_largest(c, scores));
    one = gradient(c, a, a->query);
    two = gradient(c, b, b->query);
    claim_close(c, one, two, units, d_score * claim_largest(c, a->key),
                tape_string(a->t, "%s: gradients of queries", what));
    one = gradient(c, a, a->key);
    two = gradient(c, b, b->key);
    claim_close(c, one, two, units, rows * d_score * claim_largest(c, a->query),
                tape_string(a->t, "%s: gradients of keys", what));
    one = gradient(c, a, a->value);
    two = gradient(c, b, b->value);
    claim_close(c, one, two, units, rows * d_output,
                tape_string(a->t, "%s: gradients of values", what));
}

void claim_meets_attention(struct claim *c, struct attention_case from, size_t rescalings,
                           attention_order *order, const void *about, const char *what)
{
    struct claim_attention own = claim_attention(c, from), plain = claim_attention(c, from);
    tensor y = planes_joined(own.t, &own.p, order(own.t, &own.p, about));
    tensor whole = attention_whole(&plain);
    double units = attention_units(from.keys, rescalings);
    if (!claim_true(c, y && whole, "%s: a forward pass", what))
        return;
    claim_close(c, y, whole, units, claim_largest(c, own.value), what);
    tensor d_own = claim_random(c, own.t, y->shape, 4), d = claim_random(c, plain.t, y->shape, 4);
    tape_backward_from(own.t, 1, &y, &d_own);
    tape_backward_from(plain.t, 1, &whole, &d);
    if (claim_true(c, !tape_error(own.t) && !tape_error(plain.t), "%s: a backward pass", what))
        meet_gradients(c, &own, &plain, units, claim_largest(c, d), what);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Outside vectors of sinkhorn_transformer.c: the layer of google-research/long-range-arena, and the
 * layers of lucidrains/sinkhorn-transformer out of the paper's pieces. Where the latter are not the
 * paper's: scores are likenesses of mean queries and keys, or linear in sums of both, through a
 * ReLU and log(r + 1e-6); noise is added in evaluation too; without SortCut the bidirectional layer
 * takes the sorted values from the sorted keys (`b_v_r = b_k_r.reshape` in
 * SinkhornAttention.forward); the balance may give way to the largest of each row; SortCut balances
 * one row of scores, which makes all of them 1, and keeps the local keys. Causal: the largest of
 * the earlier blocks and of learned null blocks; the second half of the heads is moved by B - 1
 * tokens. */
#include "variants/outside.h"

/* Sizes of the vectors. */
enum { B = 4, HEADS = 2, WIDTH = 4 };

/* Bare queries, keys and values [b, h, n, w]. */
static struct heads port_heads(tape *t, const tensor *x)
{
    struct heads h;
    h.query = transpose(t, x[0], 1, 2);
    h.key = transpose(t, x[1], 1, 2);
    h.value = transpose(t, x[2], 1, 2);
    return h;
}

/* Sums over each block [b, N, h, w], heads in front: [b, h, N, w] */
static tensor block_sums(tape *t, tensor x, size_t block)
{
    tensor y = sum_over(t, sinkhorn_in_blocks(t, x, block), 2);
    if (!y)
        return TENSOR_NONE;
    return transpose(t, reshape(t, y, SHAPE(dim_of(y, 0), dim_of(y, 1), dim_of(y, 3), width_of(y))),
                     1, 2);
}

/* exp of the balance of (log(r + 1e-6) + g) / 0.75, g from uniform draws u. */
static tensor noisy(layer *l, tensor r, tensor u)
{
    tape *t = l->t;
    if (!r || !u)
        return TENSOR_NONE;
    tensor g = logarithm(t, offset(t, reshape(t, u, r->shape), 1e-6));
    g = negate(t, logarithm(t, offset(t, negate(t, g), 1e-6)));
    tensor s = add(t, logarithm(t, offset(t, r, 1e-6)), g);
    return exponential(t, sinkhorn_balanced(t, divide_by(t, s, 0.75), 5));
}

/* Mean queries of blocks of `of` tokens and mean keys of blocks: [b, h, n / of, N] */
static tensor likeness(tape *t, const struct heads *h, size_t of)
{
    tensor q = divide_by(t, block_sums(t, h->query, of), (double)of);
    tensor k = divide_by(t, block_sums(t, h->key, B), B);
    return scale(t, matmul_nt(t, q, k), 1 / 2.0); /* 1 / sqrt(w), w = 4 */
}

/* The sums of queries and keys side by side, times a matrix of each head. */
static tensor simple_scores(tape *t, const struct heads *h, tensor linear)
{
    tensor part[2];
    part[0] = block_sums(t, h->query, B);
    part[1] = block_sums(t, h->key, B);
    tensor both = concat(t, 3, 2, part);
    if (!both || !linear)
        return TENSOR_NONE;
    struct assay_shape all =
        SHAPE(dim_of(both, 0), dim_of(linear, 1), dim_of(linear, 2), dim_of(linear, 3));
    linear = expand(t, linear, all);
    return relu(t, matmul(t, both, linear));
}

/* The k largest of each row of s [b, h, N, C], one after the other: softmax over those that are
 * left, of which the largest stays. [b, h, N k, C] */
static tensor largest_alone(tape *t, tensor s, size_t k, tensor allowed)
{
    if (!s)
        return TENSOR_NONE;
    size_t all = elements_of(s), columns = width_of(s);
    tensor low = tape_filled(t, s->shape, -1e9), among = allowed ? choose(t, allowed, s, low) : s;
    const int32_t *order = ids_of(top_k(t, among, k, "blocks"));
    tensor part[4];
    int32_t *left = tape_allocate(t, all * sizeof *left);
    if (!order || !left || k > 4)
        return TENSOR_NONE;
    for (size_t e = 0; e < all; e++)
        left[e] = !allowed || ids_of(allowed)[e];
    struct assay_shape shape = s->shape,
                       wide = SHAPE(dim_of(s, 0), dim_of(s, 1), dim_of(s, 2), 1, columns);
    for (size_t i = 0; i < k; i++) {
        int32_t *hot = tape_allocate(t, all * sizeof *hot);
        for (size_t e = 0; hot && e < all; e++)
            hot[e] = order[e / columns * k + i] == (int32_t)(e % columns);
        if (!hot)
            return TENSOR_NONE;
        tensor p = softmax(t, s, -1, tape_input_i32(t, shape, left), false);
        tensor nothing = tape_filled(t, shape, 0), one = tape_input_i32(t, shape, hot);
        part[i] = reshape(t, choose(t, one, p, nothing), wide);
        for (size_t e = 0; e < all; e++)
            left[e] &= !hot[e];
    }
    return reshape(t, concat(t, 3, (int)k, part),
                   SHAPE(shape.dim[0], shape.dim[1], shape.dim[2] * k, columns));
}

/* Sorted blocks x [b, N k, B, h, w] as N blocks of k B keys; with one, it is everybody's. */
static tensor beside_blocks(tape *t, tensor x, size_t count)
{
    if (!x)
        return TENSOR_NONE;
    size_t b = dim_of(x, 0), h = dim_of(x, 3), w = width_of(x), k = dim_of(x, 1) / count;
    if (k == 0)
        return expand(t, x, SHAPE(b, count, B, h, w));
    return reshape(t, x, SHAPE(b, count, k * B, h, w));
}

/* Local and sorted keys in one softmax; `defect`: sorted values are the sorted keys. */
static tensor port_attention(tape *t, const struct heads *h, tensor weights, bool defect)
{
    tensor q = sinkhorn_in_blocks(t, h->query, B), k = sinkhorn_in_blocks(t, h->key, B),
           v = sinkhorn_in_blocks(t, h->value, B);
    if (!q || !weights)
        return TENSOR_NONE;
    size_t count = dim_of(q, 1);
    tensor key = beside_blocks(t, sinkhorn_mixed(t, weights, k), count), value = key;
    if (!defect)
        value = beside_blocks(t, sinkhorn_mixed(t, weights, v), count);
    key = sinkhorn_side_by_side(t, k, key);
    value = sinkhorn_side_by_side(t, v, value);
    struct attention_options o = {0};
    tensor y = sinkhorn_within_blocks(t, q, key, value, &o);
    return transpose(t, reshape(t, y, h->query->shape), 1, 2);
}

static tensor port_operator(layer *l, const tensor *x)
{
    return exponential(l->t, sinkhorn_balanced(l->t, x[0], 5));
}

static tensor port_gumbel(layer *l, const tensor *x)
{
    return noisy(l, x[0], x[1]);
}

static tensor port_sorted(layer *l, const tensor *x)
{
    struct heads h = port_heads(l->t, x);
    return port_attention(l->t, &h, noisy(l, relu(l->t, likeness(l->t, &h, B)), x[3]), true);
}

static tensor port_simple(layer *l, const tensor *x)
{
    struct heads h = port_heads(l->t, x);
    return port_attention(l->t, &h, noisy(l, simple_scores(l->t, &h, x[3]), x[4]), true);
}

static tensor port_sortcut(layer *l, const tensor *x)
{
    struct heads h = port_heads(l->t, x);
    tensor r = relu(l->t, likeness(l->t, &h, dim_of(h.query, 1)));
    return port_attention(l->t, &h, noisy(l, r, x[3]), false);
}

static tensor port_largest(layer *l, const tensor *x)
{
    struct heads h = port_heads(l->t, x);
    tensor w = largest_alone(l->t, likeness(l->t, &h, B), 2, TENSOR_NONE);
    return port_attention(l->t, &h, w, true);
}

/* ---- causal: no balance, but the largest of the earlier blocks ---- */

/* Heads of the second half are moved along the sequence.  x [b, n, h, w] */
static tensor shifted(tape *t, tensor x, long by)
{
    size_t half = dim_of(x, 2) / 2;
    tensor part[2];
    part[0] = slice(t, x, 2, 0, half);
    part[1] = roll(t, slice(t, x, 2, half, half), 1, by);
    return concat(t, 2, 2, part);
}

/* Means of all tokens up to each.  x [b, n, h, w] */
static tensor means_so_far(tape *t, tensor x)
{
    double count[16];
    for (size_t i = 0; i < 16; i++)
        count[i] = (double)(i + 1);
    tensor counts = tape_input_f64(t, SHAPE(1, 16, 1, 1), count);
    return divide(t, cumulative_sum(t, x, 1), counts);
}

/* The first token of each block: [b, h, N, w] */
static tensor firsts(tape *t, tensor x)
{
    x = slice(t, sinkhorn_in_blocks(t, x, B), 2, 0, 1);
    if (!x)
        return TENSOR_NONE;
    return transpose(t, reshape(t, x, SHAPE(dim_of(x, 0), dim_of(x, 1), HEADS, WIDTH)), 1, 2);
}

/* i32 [b N, h, B, (1 + k) B]. The last block of the moved heads holds the last token and then the
 * first B - 1, which see each other alone. */
static tensor port_seen(tape *t, size_t samples, size_t count, size_t k)
{
    size_t keys = (1 + k) * B, all = samples * count * HEADS * B * keys;
    int32_t *seen = tape_allocate(t, all * sizeof *seen);
    for (size_t e = 0; seen && e < all; e++) {
        size_t column = e % keys, p = e / keys % B, head = e / keys / B % HEADS,
               block = e / keys / B / HEADS % count;
        bool wrapped = head >= HEADS / 2 && block + 1 == count && p > 0;
        seen[e] = column < B ? column <= p && !(wrapped && column == 0) : !wrapped;
    }
    return seen ? tape_input_i32(t, SHAPE(samples * count, HEADS, B, keys), seen) : TENSOR_NONE;
}

/* scores [b, h, N, k + N]; null [h, 1, w] stands in front k times. */
static tensor port_earlier(tape *t, const struct heads *h, tensor scores, size_t k, tensor null_key,
                           tensor null_value)
{
    tensor null[] = {null_key, null_value}, q = sinkhorn_in_blocks(t, h->query, B), x[2];
    x[0] = sinkhorn_in_blocks(t, h->key, B);
    x[1] = sinkhorn_in_blocks(t, h->value, B);
    if (!q || !scores)
        return TENSOR_NONE;
    size_t b = dim_of(q, 0), count = dim_of(q, 1), w = width_of(q);
    tensor allowed = sinkhorn_earlier_blocks(t, scores->shape, k);
    tensor weights = largest_alone(t, scores, k, allowed);
    for (int i = 0; i < 2; i++) {
        tensor one = reshape(t, null[i], SHAPE(1, 1, 1, HEADS, w));
        tensor part[] = {expand(t, one, SHAPE(b, k, B, HEADS, w)), x[i]};
        tensor sorted = sinkhorn_mixed(t, weights, concat(t, 1, 2, part));
        x[i] = sinkhorn_side_by_side(t, x[i], beside_blocks(t, sorted, count));
    }
    struct attention_options o = {.allowed = port_seen(t, b, count, k)};
    tensor y = reshape(t, sinkhorn_within_blocks(t, q, x[0], x[1], &o), h->query->shape);
    return transpose(t, shifted(t, y, B - 1), 1, 2);
}

static struct heads shifted_heads(tape *t, const tensor *x)
{
    struct heads h = port_heads(t, x);
    h.query = shifted(t, h.query, 1 - B);
    h.key = shifted(t, h.key, 1 - B);
    h.value = shifted(t, h.value, 1 - B);
    return h;
}

static tensor port_causal(layer *l, const tensor *x)
{
    tape *t = l->t;
    struct heads h = shifted_heads(t, x);
    tensor q = firsts(t, means_so_far(t, h.query));
    tensor k = pad(t, block_sums(t, means_so_far(t, h.key), B), 2, 1, 0);
    return port_earlier(t, &h, scale(t, matmul_nt(t, q, k), 1 / 2.0), 1, x[3], x[4]);
}

static tensor port_causal_simple(layer *l, const tensor *x)
{
    tape *t = l->t;
    struct heads h = shifted_heads(t, x);
    tensor part[2];
    part[0] = firsts(t, means_so_far(t, h.key));
    part[1] = firsts(t, h.key);
    tensor both = concat(t, 3, 2, part);
    if (!both || !x[5])
        return TENSOR_NONE;
    tensor linear = expand(t, x[5], SHAPE(dim_of(both, 0), HEADS, 2 * WIDTH, width_of(x[5])));
    return port_earlier(t, &h, leaky_relu(t, matmul(t, both, linear), 0.01), 2, x[3], x[4]);
}

/* ---- the tables ---- */

static tensor lra_operator(layer *l, const tensor *x)
{
    return sinkhorn_clipped(l->t, sinkhorn_balanced(l->t, divide_by(l->t, x[0], 0.75), 3));
}

/* clang-format off */
#define PROJECTIONS \
    {"query.weight", "query/kernel", AS_IT_IS}, {"key.weight", "key/kernel", AS_IT_IS}, \
    {"value.weight", "value/kernel", AS_IT_IS}, {"output.weight", "out/kernel", AS_IT_IS}
static const struct outside_name lra_names[] = {
    PROJECTIONS, {"sort.weight", "DenseGeneral_3/kernel", AS_IT_IS}, {0}};

static const char *const logits[] = {"log_alpha", NULL};
static const char *const ratio[] = {"r", "/buffer/u", NULL};
static const char *const plain[] = {"q", "k", "v", NULL};
static const char *const drawn[] = {"q", "k", "v", "/buffer/u", NULL};
static const char *const simple[] = {"q", "k", "v", "/param/sort_net.linear", "/buffer/u", NULL};
static const char *const null[] = {"q", "k", "v", "/param/null_keys", "/param/null_values", NULL};
static const char *const simple_null[] = {"q", "k", "v", "/param/null_keys",
                                          "/param/null_values", "/param/sort_net.linear", NULL};

#define PORT(name, list, function) \
    {"port/" name, .overrides = "length=16 width=8 heads=2 layers=1 block=4", .inputs = list, \
     .apply = function}
#define LRA "form=lra block=4 width=16 heads=2 head_width=4 layers=1 length=16 blocks=5 " \
    "attention_bias=0 output_bias=0 "

const struct outside_section outside_sinkhorn_transformer[] = {
    PORT("operator", logits, port_operator),
    PORT("gumbel_sinkhorn", ratio, port_gumbel),
    PORT("attention", drawn, port_sorted),
    PORT("attention_simple_sort_net", simple, port_simple),
    PORT("attention_sortcut", drawn, port_sortcut),
    PORT("attention_topk", plain, port_largest),
    PORT("causal", null, port_causal),
    PORT("causal_simple_sort_net", simple_null, port_causal_simple),
    {"lra/operator", .overrides = LRA, .inputs = logits, .apply = lra_operator},
    {"lra/softmax", .overrides = LRA "rounds=0", .names = lra_names},
    {"lra/softmax_padded", "lra/softmax", LRA "rounds=0", .names = lra_names},
    {"lra/sinkhorn", "lra/softmax", LRA "rounds=1 temperature=1", .names = lra_names},
    {"lra/encoder", .names = lra_names,
     .overrides = "form=lra block=4 rounds=0 blocks=25 length=16 pool=mean head_hidden=0",
     .encoder = "SinkhornAttention_1"},
    {0}};
/* clang-format on */

/* SPDX-License-Identifier: Apache-2.0 */
/* Block-sparse attention: gathers of whole blocks around the general attention. */
#include "ref/blocks.h"

#include "ref/tape/op.h"

tensor padded_to(tape *t, tensor x, size_t size)
{
    size_t n = x ? dim_of(x, 1) : 0, rest = size ? n % size : 0;
    return rest ? pad(t, x, 1, 0, size - rest) : x;
}

int32_t *neighbour_blocks(tape *t, size_t blocks, size_t before, size_t after)
{
    size_t seen = before + 1 + after;
    int32_t *index = tape_allocate(t, blocks * seen * sizeof *index);
    for (size_t i = 0; index && i < blocks * seen; i++) {
        size_t at = i / seen + i % seen;
        index[i] = at >= before && at - before < blocks ? (int32_t)(at - before) : -1;
    }
    return index;
}

/* Sizes of one call; `alike`: heads share the index and stay an axis of attention, else they join
 * the batch. */
struct blocks {
    const struct block_pattern *p;
    size_t samples, n, heads, count;
    bool alike;
};

/* [b, n, h, w] -> [b count, size, h, w], or [b h count, size, 1, w] */
static tensor cut(tape *t, const struct blocks *s, tensor x)
{
    tensor y = padded_to(t, x, s->p->size);
    y = s->alike ? y : transpose(t, y, 1, 2);
    size_t outer = s->samples * s->count * (s->alike ? 1 : s->heads);
    return y ? reshape(t, y, SHAPE(outer, s->p->size, s->alike ? s->heads : 1, width_of(x)))
             : TENSOR_NONE;
}

static tensor joined(tape *t, const struct blocks *s, tensor y, size_t width)
{
    size_t all = s->count * s->p->size;
    tensor x = s->alike
                   ? reshape(t, y, SHAPE(s->samples, all, s->heads, width))
                   : transpose(t, reshape(t, y, SHAPE(s->samples, s->heads, all, width)), 1, 2);
    return all > s->n ? slice(t, x, 1, 0, s->n) : x;
}

/* Rows of the table of blocks that each block of queries meets: i32 [groups count seen]. */
static tensor rows_met(tape *t, const struct blocks *s)
{
    size_t each = s->count * s->p->seen, groups = s->samples * (s->alike ? 1 : s->heads);
    int32_t *row = tape_allocate(t, groups * each * sizeof *row);
    for (size_t g = 0; row && g < groups; g++)
        for (size_t i = 0; i < each; i++) {
            int32_t at = s->p->index[(s->alike ? 0 : g % s->heads) * each + i];
            row[g * each + i] = (int32_t)(g * s->count) + (at < 0 ? 0 : at);
        }
    return row ? tape_input_i32(t, SHAPE(groups * each), row) : TENSOR_NONE;
}

/* [groups count, size, h, w] -> [groups count, seen size, h, w] */
static tensor met(tape *t, const struct blocks *s, tensor x, tensor rows)
{
    if (!x || !rows)
        return TENSOR_NONE;
    size_t outer = dim_of(x, 0), block = elements_of(x) / (outer ? outer : 1);
    tensor y = gather_rows(t, reshape(t, x, SHAPE(outer, block)), rows);
    return reshape(t, y, SHAPE(outer, s->p->seen * s->p->size, dim_of(x, 2), width_of(x)));
}

static bool pair_seen(const struct blocks *s, const int32_t *valid, size_t sample, size_t head,
                      size_t query, size_t key)
{
    bool padding = key >= s->n;
    if (padding ? !s->p->padding_is_seen : valid && !valid[sample * s->n + key])
        return false;
    return !s->p->sees || s->p->sees(s->p->pattern, head, query, key);
}

/* i32 [groups count, 1, size, seen size] */
static tensor pairs_seen(tape *t, const struct blocks *s, const int32_t *valid)
{
    size_t size = s->p->size, seen = s->p->seen, groups = s->samples * (s->alike ? 1 : s->heads);
    size_t outer = groups * s->count, pairs = size * seen * size;
    int32_t *allowed = tape_allocate(t, outer * pairs * sizeof *allowed);
    for (size_t o = 0; allowed && o < outer; o++) {
        size_t g = o / s->count, i = o % s->count, head = s->alike ? 0 : g % s->heads,
               sample = s->alike ? g : g / s->heads;
        const int32_t *index = s->p->index + (head * s->count + i) * seen;
        for (size_t e = 0; e < pairs; e++) {
            size_t column = e % (seen * size), query = i * size + e / (seen * size);
            int32_t block = index[column / size];
            allowed[o * pairs + e] =
                block >= 0
                && pair_seen(s, valid, sample, head, query, (size_t)block * size + column % size);
        }
    }
    return allowed ? tape_input_i32(t, SHAPE(outer, 1, size, seen * size), allowed) : TENSOR_NONE;
}

tensor block_attention(tape *t, tensor query, tensor key, tensor value,
                       const struct block_pattern *p, tensor valid,
                       const struct attention_options *o)
{
    if (!query || !key || !value || !p->index)
        return TENSOR_NONE;
    struct blocks s = {p, dim_of(query, 0), dim_of(query, 1), dim_of(query, 2), 0, p->heads == 1};
    if (p->size == 0 || p->seen == 0 || (p->heads != 1 && p->heads != s.heads)
        || dim_of(key, 1) != s.n || dim_of(key, 2) != s.heads) {
        tape_fail(t, "block_attention",
                  "expected blocks of at least 1 token, and key and value of "
                  "%zu tokens and %zu heads",
                  s.n, s.heads);
        return TENSOR_NONE;
    }
    s.count = (s.n + p->size - 1) / p->size;
    tensor rows = rows_met(t, &s), allowed = pairs_seen(t, &s, valid ? ids_of(valid) : NULL);
    tensor q = cut(t, &s, query), k = met(t, &s, cut(t, &s, key), rows);
    tensor v = met(t, &s, cut(t, &s, value), rows);
    struct attention_options inner = {
        .scale = o->scale, .uniform_if_empty = o->uniform_if_empty, .allowed = allowed};
    return joined(t, &s, attention(t, q, k, v, &inner), width_of(value));
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Block-sparse attention: gathers of whole blocks around the general attention. */
#include "ref/parts/blocks.h"

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
    size_t samples, n, heads, count, front;
    bool alike;
    const int32_t *valid, *query_valid; /* [b, n] or NULL */
};

/* Keys that a block of queries meets. */
static size_t keys_met(const struct blocks *s)
{
    return s->front + s->p->seen * s->p->size;
}

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

/* What stands in front, x [b, k, h, w], once for each block: [groups count, k, h, w]. */
static tensor repeated(tape *t, const struct blocks *s, tensor x)
{
    size_t h = s->alike ? s->heads : 1, w = x ? width_of(x) : 0;
    size_t groups = s->samples * s->heads / h;
    tensor y = s->alike ? x : transpose(t, x, 1, 2);
    y = reshape(t, y, SHAPE(groups, 1, s->front, h, w));
    y = expand(t, y, SHAPE(groups, s->count, s->front, h, w));
    return reshape(t, y, SHAPE(groups * s->count, s->front, h, w));
}

/* [groups count, size, h, w] -> [groups count, k + seen size, h, w] */
static tensor met(tape *t, const struct blocks *s, tensor x, tensor front, tensor rows)
{
    if (!x || !rows)
        return TENSOR_NONE;
    size_t outer = dim_of(x, 0), block = elements_of(x) / (outer ? outer : 1);
    tensor y = gather_rows(t, reshape(t, x, SHAPE(outer, block)), rows);
    y = reshape(t, y, SHAPE(outer, s->p->seen * s->p->size, dim_of(x, 2), width_of(x)));
    if (!front)
        return y;
    tensor part[] = {repeated(t, s, front), y};
    return concat(t, 1, 2, part);
}

static bool pair_seen(const struct blocks *s, size_t sample, size_t head, size_t query, size_t key)
{
    bool padding = key >= s->n;
    if (padding ? !s->p->padding_is_seen : s->valid && !s->valid[sample * s->n + key])
        return false;
    return !s->p->sees || s->p->sees(s->p->pattern, head, query, key);
}

/* One query's row of the mask: [k + seen size]. */
static void row_seen(const struct blocks *s, size_t sample, size_t head, size_t query, int32_t *row)
{
    const struct block_pattern *p = s->p;
    const int32_t *front = ids_of(p->front_valid),
                  *index = p->index + (head * s->count + query / p->size) * p->seen;
    bool sees = query >= s->n || !s->query_valid || s->query_valid[sample * s->n + query];
    for (size_t c = 0; c < s->front; c++)
        row[c] = sees && (!front || front[sample * s->front + c]);
    for (size_t c = 0; c < p->seen * p->size; c++) {
        int32_t block = index[c / p->size];
        size_t key = block < 0 ? 0 : (size_t)block * p->size + c % p->size;
        row[s->front + c] = sees && block >= 0 && pair_seen(s, sample, head, query, key);
    }
}

/* i32 [groups count, 1, size, k + seen size] */
static tensor pairs_seen(tape *t, const struct blocks *s)
{
    size_t size = s->p->size, groups = s->samples * (s->alike ? 1 : s->heads), keys = keys_met(s);
    size_t outer = groups * s->count;
    int32_t *allowed = tape_allocate(t, outer * size * keys * sizeof *allowed);
    for (size_t r = 0; allowed && r < outer * size; r++) {
        size_t g = r / size / s->count, query = r % (s->count * size);
        size_t sample = s->alike ? g : g / s->heads, head = s->alike ? 0 : g % s->heads;
        row_seen(s, sample, head, query, allowed + r * keys);
    }
    return allowed ? tape_input_i32(t, SHAPE(outer, 1, size, keys), allowed) : TENSOR_NONE;
}

static bool is_part(const struct blocks *s, tensor x, size_t rows)
{
    return x->shape.rank == 4 && dim_of(x, 0) == s->samples && dim_of(x, 1) == rows
           && dim_of(x, 2) == s->heads;
}

/* The pattern fits the tensors, and names only blocks that there are. */
static bool fits(tape *t, const struct blocks *s, tensor key, tensor value)
{
    const struct block_pattern *p = s->p;
    bool shapes =
        p->size > 0 && p->seen > 0 && (p->heads == 1 || p->heads == s->heads)
        && is_part(s, key, s->n) && is_part(s, value, s->n) && !p->front_key == !p->front_value
        && (!p->front_key
            || (is_part(s, p->front_key, s->front) && is_part(s, p->front_value, s->front)))
        && (!p->front_valid || shape_equal(p->front_valid->shape, SHAPE(s->samples, s->front)));
    if (!shapes) {
        tape_fail(t, "block_attention",
                  "expected blocks of at least 1 token, and key and value of "
                  "%zu tokens and %zu heads",
                  s->n, s->heads);
        return false;
    }
    for (size_t i = 0; i < p->heads * s->count * p->seen; i++)
        if (p->index[i] < -1 || p->index[i] >= (int32_t)s->count) {
            tape_fail(t, "block_attention", "expected key blocks from -1 to %zu, found %d",
                      s->count - 1, p->index[i]);
            return false;
        }
    return true;
}

tensor block_attention(tape *t, tensor query, tensor key, tensor value,
                       const struct block_pattern *p, tensor valid,
                       const struct attention_options *o)
{
    if (!query || !key || !value || !p->index)
        return TENSOR_NONE;
    struct blocks s = {.p = p,
                       .samples = dim_of(query, 0),
                       .n = dim_of(query, 1),
                       .heads = dim_of(query, 2),
                       .front = p->front_key ? dim_of(p->front_key, 1) : 0,
                       .alike = p->heads == 1,
                       .valid = flags_of(t, valid),
                       .query_valid = flags_of(t, o->query_valid)};
    s.count = p->size ? (s.n + p->size - 1) / p->size : 0;
    if (!fits(t, &s, key, value))
        return TENSOR_NONE;
    tensor rows = rows_met(t, &s), allowed = pairs_seen(t, &s);
    tensor q = cut(t, &s, query), k = met(t, &s, cut(t, &s, key), p->front_key, rows);
    tensor v = met(t, &s, cut(t, &s, value), p->front_value, rows);
    struct attention_options inner = {.scale = o->scale,
                                      .uniform_if_empty = o->uniform_if_empty,
                                      .explicit_form = o->explicit_form,
                                      .allowed = allowed,
                                      .dropout = o->dropout,
                                      .name = o->name};
    return joined(t, &s, attention(t, q, k, v, &inner), width_of(value));
}

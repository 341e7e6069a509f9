/* SPDX-License-Identifier: Apache-2.0 */
/* Tokens sorted by bucket: a counting sort on the host, and gathers by what it finds. */
#include "ref/parts/buckets.h"

#include <string.h>

#include "ref/tape/op.h"

/* token[0 .. n) in ascending bucket, then in ascending number; next: room for buckets + 1. */
static void sort_one(size_t n, size_t buckets, const int32_t *bucket, size_t *next, int32_t *token)
{
    memset(next, 0, (buckets + 1) * sizeof *next);
    for (size_t i = 0; i < n; i++)
        next[bucket[i] + 1]++;
    for (size_t i = 1; i < buckets; i++)
        next[i] += next[i - 1];
    for (size_t i = 0; i < n; i++)
        token[next[bucket[i]]++] = (int32_t)i;
}

static bool fits(tape *t, const struct sorted *s, size_t buckets, const int32_t *bucket)
{
    bool whole =
        s->size > 0 && s->all % s->size == 0 && s->rounds > 0 && s->all <= INT32_MAX / s->rounds;
    for (size_t i = 0; whole && i < s->groups * s->rounds * s->all; i++)
        if (bucket[i] < 0 || (size_t)bucket[i] >= buckets) {
            tape_fail(t, "sort_by_bucket", "expected buckets from 0 to %zu, found %d", buckets - 1,
                      (int)bucket[i]);
            return false;
        }
    if (!whole)
        tape_fail(t, "sort_by_bucket",
                  "expected chunks of which %zu tokens are a multiple, got %zu", s->all, s->size);
    return whole;
}

bool sort_by_bucket(tape *t, struct sorted *s, size_t buckets, const int32_t *bucket)
{
    if (!fits(t, s, buckets, bucket))
        return false;
    size_t rows = s->groups * s->rounds, places = s->rounds * s->all, count = rows * s->all;
    s->bucket = bucket;
    s->chunks = places / s->size;
    s->seen = s->chunks > 1 ? 2 * s->size : s->size;
    s->token = tape_allocate(t, count * sizeof *s->token);
    s->place = tape_allocate(t, count * sizeof *s->place);
    s->at = tape_allocate(t, s->chunks * s->seen * sizeof *s->at);
    struct op_loan loan = op_borrow(t);
    size_t *next = tape_allocate(t, (buckets + 1) * sizeof *next);
    for (size_t r = 0; next && r < rows; r++)
        sort_one(s->all, buckets, bucket + r * s->all, next, s->token + r * s->all);
    op_give_back(t, loan);
    for (size_t e = 0; next && e < count; e++)
        s->place[e - e % s->all + (size_t)s->token[e]] = (int32_t)(e % s->all);
    for (size_t e = 0; next && e < s->chunks * s->seen; e++) {
        size_t chunk = e / s->seen, at = e % s->seen;
        chunk += at < s->size ? 0 : s->chunks - 1;
        s->at[e] = (int32_t)(chunk % s->chunks * s->size + at % s->size);
    }
    return next != NULL;
}

/* Rows of x [groups, all, w] by a list of `each` tokens per group. */
static tensor picked(tape *t, const struct sorted *s, tensor x, const int32_t *row, size_t each)
{
    tensor index = row ? tape_input_i32(t, SHAPE(s->groups, each), row) : TENSOR_NONE;
    return reshape(t, take(t, x, index),
                   SHAPE(s->groups * s->chunks, each / s->chunks, width_of(x)));
}

tensor in_chunks(tape *t, const struct sorted *s, tensor x)
{
    return picked(t, s, x, s->token, s->rounds * s->all);
}

tensor seen_by_chunks(tape *t, const struct sorted *s, tensor x)
{
    size_t each = s->chunks * s->seen;
    int32_t *row = tape_allocate(t, s->groups * each * sizeof *row);
    for (size_t e = 0; row && e < s->groups * each; e++)
        row[e] = s->token[e / each * s->rounds * s->all + (size_t)s->at[e % each]];
    return picked(t, s, x, row, each);
}

tensor of_tokens(tape *t, const struct sorted *s, tensor x, size_t n)
{
    size_t places = s->rounds * s->all, each = n * s->rounds, w = x ? width_of(x) : 0;
    int32_t *row = tape_allocate(t, s->groups * each * sizeof *row);
    for (size_t e = 0; row && e < s->groups * each; e++) {
        size_t first = e % s->rounds * s->all, token = e % each / s->rounds;
        row[e] = (int32_t)first + s->place[e / each * places + first + token];
    }
    tensor index = row ? tape_input_i32(t, SHAPE(s->groups, each), row) : TENSOR_NONE;
    tensor y = take(t, reshape(t, x, SHAPE(s->groups, places, w)), index);
    return reshape(t, y, SHAPE(s->groups, n, s->rounds, w));
}

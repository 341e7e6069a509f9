/* SPDX-License-Identifier: Apache-2.0 */
/* Tokens sorted by bucket: order and ties against a count of what comes before, what chunks see, moves
 * there and back with their gradients, what is refused. */
#include <stdlib.h>
#include <string.h>

#include "harness/tests/tap.h"
#include "ref/parts/buckets.h"

enum { GROUPS = 2, ROUNDS = 2, ALL = 12, SIZE = 3, CHUNKS = 8, SEEN = 6, BUCKETS = 4, WIDTH = 2 };
enum { PLACES = ROUNDS * ALL, COUNT = GROUPS * PLACES };

static void order(tape *t, const struct sorted *s, const int32_t *bucket)
{
    bool places = true, tokens = true, seen = s->chunks == CHUNKS && s->seen == SEEN;
    for (size_t e = 0; e < COUNT; e++) {
        const int32_t *row = bucket + e / ALL * ALL;
        int32_t before = 0;
        for (int32_t j = 0; j < ALL; j++)
            before += row[j] < bucket[e] || (row[j] == bucket[e] && j < (int32_t)(e % ALL));
        places &= s->place[e] == before;
        tokens &= s->token[e / ALL * ALL + (size_t)s->place[e]] == (int32_t)(e % ALL);
    }
    ok(places,
       "a token's place is how many come before it: in lower buckets, or earlier in its own");
    ok(tokens, "and it is at its place");
    for (size_t e = 0; seen && e < CHUNKS * SEEN; e++) {
        size_t chunk = e / SEEN + (e % SEEN < SIZE ? 0 : CHUNKS - 1);
        seen = s->at[e] == (int32_t)(chunk % CHUNKS * SIZE + e % SIZE);
    }
    ok(seen, "a chunk sees its own places, then those of the one before; the first one the last");
    struct sorted one = {.groups = 1, .rounds = 1, .all = ALL, .size = ALL};
    ok(sort_by_bucket(t, &one, BUCKETS, bucket) && one.chunks == 1 && one.seen == ALL
           && one.at[ALL - 1] == ALL - 1,
       "one chunk sees itself once");
}

static void moves(tape *t, const struct sorted *s)
{
    enum { N = 10 };
    double x[GROUPS * ALL * WIDTH], held[COUNT * WIDTH], seen[GROUPS * CHUNKS * SEEN * WIDTH],
        back[GROUPS * N * ROUNDS * WIDTH], d[GROUPS * ALL * WIDTH];
    for (size_t e = 0; e < GROUPS * ALL * WIDTH; e++)
        x[e] = (double)e;
    tensor tx = tape_variable_f64(t, SHAPE(GROUPS, ALL, WIDTH), x), y = in_chunks(t, s, tx);
    tensor z = seen_by_chunks(t, s, tx), b = of_tokens(t, s, y, N);
    ok(y && z && b && shape_equal(y->shape, SHAPE(GROUPS * CHUNKS, SIZE, WIDTH))
           && shape_equal(z->shape, SHAPE(GROUPS * CHUNKS, SEEN, WIDTH))
           && shape_equal(b->shape, SHAPE(GROUPS, N, ROUNDS, WIDTH)),
       "shapes of chunks, of what they see, and of tokens");
    tensor_read(t, y, held);
    tensor_read(t, z, seen);
    tensor_read(t, b, back);
    bool own = true, before = true, same = true;
    for (size_t e = 0; e < GROUPS * CHUNKS * SEEN * WIDTH; e++) {
        size_t g = e / (CHUNKS * SEEN * WIDTH), row = e / WIDTH % (CHUNKS * SEEN), w = e % WIDTH;
        double expected = held[(g * PLACES + (size_t)s->at[row]) * WIDTH + w];
        *(row % SEEN < SIZE ? &own : &before) &= seen[e] == expected;
    }
    for (size_t e = 0; e < GROUPS * N * ROUNDS * WIDTH; e++) {
        size_t g = e / (N * ROUNDS * WIDTH), i = e / (ROUNDS * WIDTH) % N;
        same &= back[e] == x[(g * ALL + i) * WIDTH + e % WIDTH];
    }
    ok(own && before, "what a chunk sees is what the chunks hold");
    ok(same, "back at the tokens, every round has what was there");
    tape_backward(t, sum_all(t, add(t, sum_all(t, b), sum_all(t, z))));
    gradient_read(t, tx, d);
    bool counts = true;
    for (size_t e = 0; e < GROUPS * ALL * WIDTH; e++)
        counts &= d[e] == 2 * ROUNDS + (e / WIDTH % ALL < N ? ROUNDS : 0);
    ok(counts, "a row's gradient is of every place that it went to");
}

static void refused(tape *t, int32_t *bucket)
{
    struct sorted s = {.groups = GROUPS, .rounds = ROUNDS, .all = ALL, .size = 5};
    bool sorted = sort_by_bucket(t, &s, BUCKETS, bucket);
    ok(!sorted && strstr(t->error, "chunks of which 12 tokens are a multiple, got 5"),
       "chunks that leave a rest: %s", t->error);
    tape_reset(t);
    s.size = SIZE;
    bucket[7] = BUCKETS;
    sorted = sort_by_bucket(t, &s, BUCKETS, bucket);
    ok(!sorted && strstr(t->error, "buckets from 0 to 3, found 4"),
       "a bucket that there is not: %s", t->error);
}

int main(void)
{
    int32_t bucket[COUNT];
    unsigned seed = 1;
    for (size_t e = 0; e < COUNT; e++) {
        seed = seed * 1103515245u + 12345u;
        bucket[e] = (int32_t)(seed >> 16) & (e < ALL ? 1 : BUCKETS - 1);
    }
    struct sorted s = {.groups = GROUPS, .rounds = ROUNDS, .all = ALL, .size = SIZE};
    tape t;
    if (tape_open(&t, assay_kernels_def(ASSAY_F64)))
        return 2;
    if (!sort_by_bucket(&t, &s, BUCKETS, bucket))
        return 2;
    order(&t, &s, bucket);
    moves(&t, &s);
    refused(&t, bucket);
    tape_close(&t);
    return done_testing();
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Tokens sorted by bucket and cut into chunks, each of which sees itself and the chunk before: what
 * attention by hashing or by clusters is made of. */
#ifndef ASSAY_BUCKETS_H
#define ASSAY_BUCKETS_H

#include "ref/ops.h"

/* A group's rounds, each of which sorts all of its tokens, stand one behind the other: its first chunk
 * follows the last, and where there is but one it sees itself once. */
struct sorted {
    /* given: sequences; how often each is sorted; its tokens; tokens of a chunk, a divisor of all */
    size_t groups, rounds, all, size;
    size_t chunks;                    /* of a group */
    size_t seen;                      /* places that a chunk sees */
    const int32_t *bucket;            /* [groups, rounds, all] of tokens */
    int32_t *token;                   /* [groups, rounds, all] at places */
    int32_t *place;                   /* [groups, rounds, all] of tokens, within the round */
    int32_t *at;                      /* [chunks, seen], places of a group, the chunk's own first */
};

/* Fills in the rest, for bucket[..] of 0 .. buckets - 1, which must last as long as s. Tokens of one
 * bucket keep their order. Counting: O(groups rounds (all + buckets)). False after an error. */
bool sort_by_bucket(tape *t, struct sorted *s, size_t buckets, const int32_t *bucket);

/* x [groups, all, w] of tokens, as each chunk holds and as it sees them: [groups chunks, size, w]
 * and [groups chunks, seen, w] */
tensor in_chunks(tape *t, const struct sorted *s, tensor x);
tensor seen_by_chunks(tape *t, const struct sorted *s, tensor x);
/* x [groups rounds all, w] in any shape, at places, for the first n tokens:
 * [groups, n, rounds, w] */
tensor of_tokens(tape *t, const struct sorted *s, tensor x, size_t n);

#endif

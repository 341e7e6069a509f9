/* SPDX-License-Identifier: Apache-2.0 */
/* For the tests of ListOps: an evaluator that shares nothing with the generator (a stack machine on
 * the ids, where the generator computes while it draws), and what holds for every sample. */
#ifndef ASSAY_LISTOPS_READER_H
#define ASSAY_LISTOPS_READER_H

#include <stdlib.h>

#include "harness/tests/tap.h"
#include "suites/listops.h"

enum { DIGITS = 10 };

/* What a stack machine finds in a token string. A node is free if its depth left it a choice
 * between digit and operator. */
struct reading {
    bool valid;
    int32_t value;
    size_t tokens, nesting, arguments[ASSAY_LISTOPS_ARGUMENTS_MAX + 1];
    size_t operators[ASSAY_LISTOPS_OPERATORS], digits[DIGITS], free_nodes, free_digits;
};

struct frame {
    int32_t operator;
    size_t count, digit[DIGITS];
};

static int32_t digit_of_rank(const struct frame *f, size_t rank)
{
    int32_t digit = 0;
    for (size_t below = f->digit[0]; below <= rank; below += f->digit[digit])
        digit++;
    return digit;
}

static int32_t closed(const struct frame *f)
{
    size_t sum = 0;
    for (size_t digit = 0; digit < DIGITS; digit++)
        sum += digit * f->digit[digit];
    switch (f->operator) {
    case ASSAY_LISTOPS_MIN: return digit_of_rank(f, 0);
    case ASSAY_LISTOPS_MAX: return digit_of_rank(f, f->count - 1);
    case ASSAY_LISTOPS_SM: return (int32_t)(sum % DIGITS);
    default:
        return f->count % 2 == 1
                   ? digit_of_rank(f, f->count / 2)
                   : (digit_of_rank(f, f->count / 2 - 1) + digit_of_rank(f, f->count / 2)) / 2;
    }
}

/* Reads ids up to the first pad; frame 0 takes the root's value as its only argument. */
static struct reading read_string(const int32_t *ids, size_t length, size_t max_depth)
{
    struct frame stack[ASSAY_LISTOPS_DEPTH_MAX + 1] = {{0}};
    struct reading r = {.valid = false};
    size_t depth = 0;
    for (; r.tokens < length && ids[r.tokens] != ASSAY_LISTOPS_PAD; r.tokens++) {
        int32_t id = ids[r.tokens], value;
        if (depth == 0 && stack[0].count == 1)
            return r;
        if (id != ASSAY_LISTOPS_X)
            r.free_nodes += depth + 1 < max_depth;
        if (id >= ASSAY_LISTOPS_MIN && id <= ASSAY_LISTOPS_SM) {
            if (++depth > ASSAY_LISTOPS_DEPTH_MAX)
                return r;
            stack[depth] = (struct frame){.operator = id};
            r.operators[id - ASSAY_LISTOPS_MIN]++;
            r.nesting = depth > r.nesting ? depth : r.nesting;
            continue;
        }
        if (id == ASSAY_LISTOPS_X) {
            if (depth == 0 || stack[depth].count == 0)
                return r;
            value = closed(&stack[depth]);
            r.arguments[stack[depth--].count]++;
        } else {
            value = id - ASSAY_LISTOPS_DIGIT;
            if (value < 0 || value >= DIGITS)
                return r;
            r.digits[value]++;
            r.free_digits += depth + 1 < max_depth;
        }
        stack[depth].digit[value]++;
        if (stack[depth].count++ == ASSAY_LISTOPS_ARGUMENTS_MAX)
            return r;
        r.value = value;
    }
    r.valid = depth == 0 && stack[0].count == 1;
    for (size_t i = r.tokens; i < length; i++)
        r.valid = r.valid && ids[i] == ASSAY_LISTOPS_PAD;
    return r;
}

static int by_content(const void *left, const void *right)
{
    const int32_t *const *a = left, *const *b = right;
    for (size_t i = 0;; i++)
        if ((*a)[i] != (*b)[i] || (*a)[i] == ASSAY_LISTOPS_PAD)
            return ((*a)[i] > (*b)[i]) - ((*a)[i] < (*b)[i]);
}

/* Whether no two samples of the splits are equal. Rows end with a pad: length >= max_length. */
static bool all_distinct(const struct assay_dataset split[ASSAY_SPLITS])
{
    size_t total = 0;
    for (int s = 0; s < ASSAY_SPLITS; s++)
        total += split[s].count;
    const int32_t **row = malloc(total * sizeof *row);
    size_t n = 0;
    for (int s = 0; s < ASSAY_SPLITS; s++)
        for (size_t i = 0; i < split[s].count; i++)
            row[n++] = &split[s].ids[i * split[s].length];
    qsort(row, n, sizeof *row, by_content);
    bool distinct = true;
    for (size_t i = 1; i < n; i++)
        distinct = distinct && by_content(&row[i - 1], &row[i]) != 0;
    free(row);
    return distinct;
}

/* Statements that hold for every sample of every split, whatever was drawn. */
static void every_sample_is_right(const char *name, const struct assay_listops *shape,
                                  const struct assay_dataset split[ASSAY_SPLITS])
{
    size_t wrong = 0, out_of_limits = 0, too_deep = 0, bad_arguments = 0;
    for (int s = 0; s < ASSAY_SPLITS; s++)
        for (size_t i = 0; i < split[s].count; i++) {
            const int32_t *ids = &split[s].ids[i * split[s].length];
            struct reading r = read_string(ids, split[s].length, shape->max_depth);
            wrong += !r.valid || r.value != split[s].label[i];
            out_of_limits += r.tokens <= shape->min_length || r.tokens >= shape->max_length;
            too_deep += r.nesting > shape->max_depth - 1;
            for (size_t k = 0; k <= ASSAY_LISTOPS_ARGUMENTS_MAX; k++)
                bad_arguments += (k < 2 || k > shape->max_args) && r.arguments[k] > 0;
        }
    ok(wrong == 0, "%s: an independent stack machine finds every label (%zu differ)", name, wrong);
    ok(out_of_limits == 0, "%s: %zu < tokens < %zu", name, shape->min_length, shape->max_length);
    ok(too_deep == 0, "%s: at most %u nested operators", name, (unsigned)shape->max_depth - 1);
    ok(bad_arguments == 0, "%s: 2 to %u arguments", name, (unsigned)shape->max_args);
    ok(all_distinct(split), "%s: no sample twice", name);
}

static void free_splits(struct assay_dataset split[ASSAY_SPLITS])
{
    for (int s = 0; s < ASSAY_SPLITS; s++)
        assay_dataset_free(&split[s]);
}

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* Linear attention with decays: token by token, pair by pair, by chunks and blocks. */
#include "ref/parts/decayed.h"

#include "ref/model.h"

struct decayed decayed_tokens(tape *t, struct decayed r, size_t from, size_t n)
{
    struct decayed s;
    s.q = slice(t, r.q, 1, from, n);
    s.k = slice(t, r.k, 1, from, n);
    s.v = slice(t, r.v, 1, from, n);
    s.decay = slice(t, r.decay, 1, from, n);
    return s;
}

/* o_t = sum over s <= t of (sum_i q_t[i] k_s[i] exp(b_t[i] - b_s[i])) v_s; b: running sums of the
 * decays' logarithms, from wherever. */
static tensor all_pairs(tape *t, struct decayed r, tensor b)
{
    size_t rows = dim_of(r.q, 0), n = dim_of(r.q, 1), w = width_of(r.q);
    tensor to = reshape(t, b, SHAPE(rows, n, 1, w)), from = reshape(t, b, SHAPE(rows, 1, n, w));
    tensor one = causal_ones(t, n), masked = reshape(t, one, SHAPE(n, n, 1));
    /* Above the diagonal, where it would grow, the exponent is 0 and the result is masked. */
    tensor p = exponential(t, multiply(t, subtract(t, to, from), masked));
    p = multiply(t, p, reshape(t, r.q, SHAPE(rows, n, 1, w)));
    p = multiply(t, p, reshape(t, r.k, SHAPE(rows, 1, n, w)));
    p = reshape(t, sum_over(t, p, -1), SHAPE(rows, n, n));
    return matmul(t, multiply(t, p, one), r.v);
}

/* The same by blocks of `sub` queries: pairs inside a block one by one; with what is before it by
 * products, both exponents taken from the block's start, so that neither is positive. */
static tensor by_blocks(tape *t, struct decayed r, tensor b, size_t sub)
{
    size_t n = dim_of(r.q, 1), blocks = (n + sub - 1) / sub;
    tensor *part = tape_allocate(t, blocks * sizeof *part);
    for (size_t i = 0; part && i < blocks; i++) {
        size_t from = i * sub, length = from + sub < n ? sub : n - from;
        struct decayed here = decayed_tokens(t, r, from, length);
        tensor sums = slice(t, b, 1, from, length);
        part[i] = all_pairs(t, here, sums);
        if (!from)
            continue;
        struct decayed past = decayed_tokens(t, r, 0, from);
        tensor start = slice(t, b, 1, from - 1, 1), before = slice(t, b, 1, 0, from);
        tensor q = multiply(t, here.q, exponential(t, subtract(t, sums, start)));
        tensor k = multiply(t, past.k, exponential(t, subtract(t, start, before)));
        part[i] = add(t, part[i], matmul(t, matmul_nt(t, q, k), past.v));
    }
    return part ? concat(t, 1, (int)blocks, part) : TENSOR_NONE;
}

tensor decayed_scan(tape *t, struct decayed r, tensor start, tensor *end)
{
    return matrix_scan(t, r.q, r.k, r.v, exponential(t, r.decay), start, end);
}

/* The state before a chunk, then its own pairs. */
tensor decayed_chunks(tape *t, struct decayed r, size_t chunk, size_t sub)
{
    size_t n = dim_of(r.q, 1), chunks = (n + chunk - 1) / chunk;
    tensor state = TENSOR_NONE, *part = tape_allocate(t, chunks * sizeof *part);
    for (size_t i = 0; part && i < chunks; i++) {
        size_t from = i * chunk, length = from + chunk < n ? chunk : n - from;
        struct decayed here = decayed_tokens(t, r, from, length);
        tensor b = cumulative_sum(t, here.decay, 1), last = slice(t, b, 1, length - 1, 1);
        part[i] = sub ? by_blocks(t, here, b, sub) : all_pairs(t, here, b);
        tensor k = multiply(t, here.k, exponential(t, subtract(t, last, b)));
        tensor written = matmul_tn(t, k, here.v);
        if (i) {
            tensor read = multiply(t, here.q, exponential(t, b));
            part[i] = add(t, part[i], matmul(t, read, state));
            state = multiply(t, state, transpose(t, exponential(t, last), 1, 2));
        }
        state = i ? add(t, state, written) : written;
    }
    return part ? concat(t, 1, (int)chunks, part) : TENSOR_NONE;
}

tensor decayed_pairs(tape *t, struct decayed r)
{
    return all_pairs(t, r, cumulative_sum(t, r.decay, 1));
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Selective state-space recurrences: token by token, by trees, as a matrix. */
#include "ref/parts/selective.h"

#include "ref/model.h"

tensor selective_decays(tape *t, struct selective s)
{
    tensor delta = reshape(t, s.delta, SHAPE(dim_of(s.u, 0), dim_of(s.u, 1), width_of(s.u), 1));
    return exponential(t, multiply(t, delta, s.A));
}

tensor selective_writes(tape *t, struct selective s)
{
    size_t b = dim_of(s.u, 0), n = dim_of(s.u, 1);
    tensor column = reshape(t, multiply(t, s.delta, s.u), SHAPE(b, n, width_of(s.u), 1));
    tensor row = reshape(t, s.B, SHAPE(b, n, 1, width_of(s.B)));
    return multiply(t, column, row);
}

/* x_(t - k), zeros in front */
static tensor earlier(tape *t, tensor x, size_t k)
{
    return pad(t, slice(t, x, 1, 0, dim_of(x, 1) - k), 1, k, 0);
}

/* The recurrence by (a1, b1) o (a2, b2) = (a1 a2, a2 b1 + b2), over spans that double, within chunks
 * from state to state. A span that has reached the front meets zeros: its a counts no more. */
static tensor doubling_scan(tape *t, tensor a, tensor b, size_t chunk)
{
    size_t n = dim_of(a, 1), chunks = (n + chunk - 1) / chunk;
    tensor *part = tape_allocate(t, chunks * sizeof *part), state = TENSOR_NONE;
    for (size_t i = 0; part && i < chunks; i++) {
        size_t from = i * chunk, length = from + chunk < n ? chunk : n - from;
        tensor x = slice(t, a, 1, from, length), y = slice(t, b, 1, from, length);
        if (i) {
            tensor first = multiply(t, slice(t, x, 1, 0, 1), state);
            y = add(t, y, pad(t, first, 1, 0, length - 1));
        }
        for (size_t k = 1; k < length; k *= 2) {
            y = add(t, y, multiply(t, x, earlier(t, y, k)));
            x = multiply(t, x, earlier(t, x, k));
        }
        part[i] = y;
        state = slice(t, y, 1, length - 1, 1);
    }
    return part ? concat(t, 1, (int)chunks, part) : TENSOR_NONE;
}

/* sum_i C[i] h[c, i]: [b, n, E] */
static tensor read_out(tape *t, tensor h, tensor C)
{
    size_t b = dim_of(h, 0), n = dim_of(h, 1), E = dim_of(h, 2);
    tensor column = reshape(t, C, SHAPE(b, n, width_of(C), 1));
    return reshape(t, matmul(t, h, column), SHAPE(b, n, E));
}

/* y = M (Delta u), M_c[t, s] = sum_i C_t[i] exp(A[c, i] sum over s < r <= t of Delta_r[c]) B_s[i] for
 * s <= t. */
tensor selective_matrix(tape *t, struct selective s)
{
    size_t b = dim_of(s.u, 0), n = dim_of(s.u, 1), E = width_of(s.u), N = width_of(s.B);
    tensor sums = cumulative_sum(t, s.delta, 1);
    tensor to = reshape(t, sums, SHAPE(b, n, 1, E, 1)),
           from = reshape(t, sums, SHAPE(b, 1, n, E, 1));
    tensor one = causal_ones(t, n), masked = reshape(t, one, SHAPE(n, n, 1, 1));
    /* Above the diagonal, where it would grow, the exponent is 0 and the result is masked. */
    tensor passed = multiply(t, subtract(t, to, from), masked);
    tensor decay = exponential(t, multiply(t, passed, s.A));
    tensor read = reshape(t, s.C, SHAPE(b, n, 1, 1, N)),
           write = reshape(t, s.B, SHAPE(b, 1, n, 1, N));
    tensor M = sum_over(t, multiply(t, multiply(t, decay, read), write), -1);
    M = permute(t, reshape(t, M, SHAPE(b, n, n, E)), (const int[]){0, 3, 1, 2});
    M = multiply(t, M, one);
    tensor x = permute(t, multiply(t, s.delta, s.u), (const int[]){0, 2, 1});
    x = matmul(t, M, reshape(t, x, SHAPE(b, E, n, 1)));
    return permute(t, reshape(t, x, SHAPE(b, E, n)), (const int[]){0, 2, 1});
}

tensor selective_scan(tape *t, struct selective s, tensor start, tensor *end)
{
    tensor a = selective_decays(t, s), b = selective_writes(t, s), h = scan(t, a, b, start, 1);
    size_t n = dim_of(s.u, 1);
    if (end)
        *end =
            reshape(t, slice(t, h, 1, n - 1, 1), SHAPE(dim_of(h, 0), dim_of(h, 2), dim_of(h, 3)));
    return read_out(t, h, s.C);
}

tensor selective_trees(tape *t, struct selective s, size_t chunk)
{
    tensor a = selective_decays(t, s), b = selective_writes(t, s);
    return read_out(t, doubling_scan(t, a, b, chunk), s.C);
}

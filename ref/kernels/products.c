/* SPDX-License-Identifier: Apache-2.0 */
/* Matrix products: the definition, and the same chains by tiles. */
#include "ref/kernels/tile.h"

static void product_def(const struct assay_product *p)
{
    for (size_t s = 0; s < p->batch[0]; s++)
        for (size_t t = 0; t < p->batch[1]; t++) {
            const real *a = (const real *)p->a + s * p->a_batch[0] + t * p->a_batch[1];
            const real *b = (const real *)p->b + s * p->b_batch[0] + t * p->b_batch[1];
            real *c = (real *)p->c + s * p->c_batch[0] + t * p->c_batch[1];
            for (size_t i = 0; i < p->m; i++)
                for (size_t j = 0; j < p->n; j++) {
                    real *y = &c[i * p->c_row + j], chain = p->mode == ASSAY_CONTINUE ? *y : R(0.0);
                    for (size_t l = 0; l < p->k; l++)
                        chain = FMA(a[i * p->a_row + l * p->a_column],
                                    b[l * p->b_row + j * p->b_column], chain);
                    meet(y, chain, p->mode);
                }
        }
}

/* Bounds of what is packed at a time: a block of b [BLOCK_K, BLOCK_N] stays in the second cache,
 * one of its panels in the first. A product that must be completed first and then added takes
 * BLOCK_M x STAGED_N of c at a time. Rows of a are gathered where at least GATHER_COLUMNS use
 * them. */
enum {
    BLOCK_K = 1024 / sizeof(real),
    BLOCK_N = 256,
    BLOCK_M = 192,
    STAGED_N = 128,
    FEW_ROWS = 3 * TILE_M,
    GATHER_COLUMNS = 4 * TILE_N
};

/* One matrix of a batch. */
struct matrices {
    size_t m, n, k;
    const real *a, *b;
    real *c;
    size_t a_row, a_column, b_row, b_column, c_row;
    enum assay_mode mode;
};

static size_t at_most(size_t x, size_t bound)
{
    return x < bound ? x : bound;
}

static void gather_rows(size_t k, const struct tile_rows *r, real *restrict gathered)
{
    for (size_t p = 0; p < k; p++, gathered += TILE_M)
        if (r->adjacent)
            memcpy(gathered, r->a + p * r->column, TILE_M * sizeof *gathered);
        else
            for (size_t l = 0; l < TILE_M; l++)
                gathered[l] = r->a[r->row[l] + p * r->column];
}

/* Rows of c over a packed block of b. Rows of a are gathered first if they are used often enough:
 * adjacent ones too, since a step along k is then another line of the cache. */
static void rows_over_block(const struct matrices *x, size_t k, const real *packed, bool resume)
{
    real gathered[BLOCK_K * TILE_M];
    for (size_t i = 0; i < x->m; i += TILE_M) {
        size_t rows = at_most(x->m - i, TILE_M);
        struct tile_rows r;
        tile_rows(&r, x->a + i * x->a_row, x->a_row, x->a_column, rows);
        if (x->n >= (r.adjacent ? 2 * GATHER_COLUMNS : GATHER_COLUMNS)) {
            gather_rows(k, &r, gathered);
            tile_rows(&r, gathered, 1, TILE_M, TILE_M);
        }
        for (size_t j = 0; j < x->n; j += TILE_N)
            tile(rows, at_most(x->n - j, TILE_N), k, &r, packed + j * k, TILE_N,
                 x->c + i * x->c_row + j, x->c_row, resume, x->mode);
    }
}

/* n <= BLOCK_N; k <= BLOCK_K where the mode adds. */
static void product_columns(const struct matrices *x)
{
    real packed[BLOCK_K * BLOCK_N];
    size_t from = 0;
    do {
        size_t k = at_most(x->k - from, BLOCK_K);
        struct matrices part = *x;
        part.a += from * x->a_column;
        pack_panels(k, x->n, x->b + from * x->b_row, x->b_row, x->b_column, k, packed);
        rows_over_block(&part, k, packed, from || x->mode == ASSAY_CONTINUE);
        from += k;
    } while (from < x->k);
}

/* Adds to c what must be completed first although k takes several blocks. */
static void product_staged(const struct matrices *x)
{
    real staged[BLOCK_M * STAGED_N];
    struct matrices part = *x;
    part.mode = ASSAY_STORE;
    part.c = staged;
    for (size_t j = 0; j < x->n; j += part.n)
        for (size_t i = 0; i < x->m; i += part.m) {
            part.n = at_most(x->n - j, STAGED_N);
            part.m = at_most(x->m - i, BLOCK_M);
            part.c_row = part.n;
            part.a = x->a + i * x->a_row;
            part.b = x->b + j * x->b_column;
            product_columns(&part);
            for (size_t l = 0; l < part.m; l++)
                for (size_t q = 0; q < part.n; q++)
                    meet(&x->c[(i + l) * x->c_row + j + q], staged[l * part.n + q], x->mode);
        }
}

static void product_packed(const struct matrices *x)
{
    if (x->k > BLOCK_K && (x->mode == ASSAY_ADD || x->mode == ASSAY_SUBTRACT))
        product_staged(x);
    else
        for (size_t j = 0; j < x->n; j += BLOCK_N) {
            struct matrices part = *x;
            part.n = at_most(x->n - j, BLOCK_N);
            part.b += j * x->b_column;
            part.c += j;
            product_columns(&part);
        }
}

/* Few rows don't pay for packing b: whole vectors of its columns, which must be adjacent, are
 * read where they lie. */
static void product_few_rows(const struct matrices *x)
{
    size_t whole = x->n / VECTOR * VECTOR;
    for (size_t i = 0; i < x->m; i += TILE_M) {
        size_t rows = at_most(x->m - i, TILE_M);
        struct tile_rows r;
        tile_rows(&r, x->a + i * x->a_row, x->a_row, x->a_column, rows);
        for (size_t j = 0; j < whole; j += TILE_N)
            tile(rows, at_most(whole - j, TILE_N), x->k, &r, x->b + j, x->b_row,
                 x->c + i * x->c_row + j, x->c_row, x->mode == ASSAY_CONTINUE, x->mode);
    }
    struct matrices rest = *x;
    rest.n -= whole;
    rest.b += whole;
    rest.c += whole;
    product_packed(&rest);
}

static void product_tiled(const struct assay_product *p)
{
    for (size_t s = 0; s < p->batch[0]; s++)
        for (size_t t = 0; t < p->batch[1]; t++) {
            struct matrices x = {
                p->m,
                p->n,
                p->k,
                (const real *)p->a + s * p->a_batch[0] + t * p->a_batch[1],
                (const real *)p->b + s * p->b_batch[0] + t * p->b_batch[1],
                (real *)p->c + s * p->c_batch[0] + t * p->c_batch[1],
                p->a_row,
                p->a_column,
                p->b_row,
                p->b_column,
                p->c_row,
                p->mode,
            };
            if (x.m <= FEW_ROWS && x.b_column == 1)
                product_few_rows(&x);
            else
                product_packed(&x);
        }
}

void KERNEL_FILE(products)(struct assay_kernels *table, bool tuned)
{
    table->product = tuned ? product_tiled : product_def;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Initial values. All rules draw from a stream named by the tensor and compute in binary32,
 * whatever the model's profile, so that both profiles start from the same numbers. */
#include <stdlib.h>
#include <string.h>

#include "ref/arith.h"
#include "ref/elementary.h"
#include "ref/model/internal.h"
#include "ref/rng.h"

/* The standard deviation of a unit normal truncated at 2, by which the truncated rules divide. */
static const double truncated_deviation = 0.87962566103423978;

static double rounded(double x)
{
    return assay_scalar(ASSAY_F32, x);
}
static double times(double a, double b)
{
    return assay_scalar_mul(ASSAY_F32, a, b);
}

struct fans {
    double in, out;
};

/* Of a weight [.., in, out]: every axis but the last feeds one output. */
static struct fans fans_of(const struct assay_entry *e)
{
    size_t out = e->shape.rank ? e->shape.dim[e->shape.rank - 1] : 1;
    size_t in = out ? e->elements / out : 1;
    return (struct fans){(double)(e->init.fan_in ? e->init.fan_in : in), (double)out};
}

/* sqrt(numerator / denominator), each operation rounded in binary32. */
static double root_of_ratio(double numerator, double denominator)
{
    return assay_scalar_sqrt(ASSAY_F32, assay_scalar_div(ASSAY_F32, numerator, denominator));
}

/* bound * ((2 u) - 1) */
static double symmetric(struct assay_rng *rng, double bound)
{
    return times(bound, assay_scalar_sub(ASSAY_F32, 2 * (double)assay_rng_uniform(rng), 1));
}

/* The inverse of softplus: log(exp(step) - 1) = step + log(1 - exp(-step)). In binary64, rounded
 * once. */
static double step_size(struct assay_rng *rng, double least, double most)
{
    double low = assay_wide_log(least), high = assay_wide_log(most);
    double step = assay_wide_exp(low + ((high - low) * (double)assay_rng_uniform(rng)));
    step = step < 1e-4 ? 1e-4 : step;
    return rounded(step + assay_wide_log(1 - assay_wide_exp(-step)));
}

static void draw_values(const struct assay_entry *e, struct assay_rng *rng, double *value)
{
    const struct assay_init *init = &e->init;
    struct fans fans = fans_of(e);
    double a = rounded(init->a), b = rounded(init->b);
    double xavier = times(a, root_of_ratio(6, fans.in + fans.out));
    double xavier_deviation = times(a, root_of_ratio(2, fans.in + fans.out));
    double lecun =
        assay_scalar_div(ASSAY_F32, root_of_ratio(1, fans.in), rounded(truncated_deviation));
    double kaiming = times(a, root_of_ratio(6, fans.in)), torch = root_of_ratio(1, fans.in);
    for (size_t i = 0; i < e->elements; i++)
        switch (init->rule) {
        case INIT_NORMAL:
            value[i] = times(a, (double)assay_rng_normal(rng));
            break;
        case INIT_TRUNCATED_NORMAL:
            value[i] = times(a, (double)assay_rng_truncated_normal(rng, (float)b));
            break;
        case INIT_UNIFORM:
            value[i] = assay_scalar_add(
                ASSAY_F32, a,
                times(assay_scalar_sub(ASSAY_F32, b, a), (double)assay_rng_uniform(rng)));
            break;
        case INIT_XAVIER_UNIFORM:
            value[i] = symmetric(rng, xavier);
            break;
        case INIT_XAVIER_NORMAL:
            value[i] = times(xavier_deviation, (double)assay_rng_normal(rng));
            break;
        case INIT_LECUN_NORMAL:
            value[i] = times(lecun, (double)assay_rng_truncated_normal(rng, 2.0f));
            break;
        case INIT_KAIMING_UNIFORM:
            value[i] = symmetric(rng, kaiming);
            break;
        case INIT_TORCH_UNIFORM:
            value[i] = symmetric(rng, torch);
            break;
        case INIT_STEP_SIZE:
            value[i] = step_size(rng, init->a, init->b);
            break;
        default:
            value[i] = a;
            break;
        }
}

/* Rounded once, at the end. */
static bool draw_orthogonal(const struct assay_entry *e, struct assay_rng *rng, double *value)
{
    size_t columns = e->shape.rank ? e->shape.dim[e->shape.rank - 1] : 1;
    size_t rows = columns ? e->elements / columns : 0;
    bool drawn = orthogonal_rows(rng, rows, columns, e->init.a > 0, value);
    for (size_t i = 0; drawn && i < e->elements; i++)
        value[i] = rounded(value[i]);
    return drawn;
}

const char *model_initialise(struct assay_model *m, uint64_t seed)
{
    m->seed = seed;
    if (m->kernels == assay_kernels_dry(m->kernels->profile))
        return NULL; /* it would write nothing */
    for (size_t i = 0; i < m->entries; i++) {
        struct assay_entry *e = &m->entry[i];
        double *value = malloc((e->elements + 1) * sizeof *value);
        if (!value)
            return "out of memory for initial values";
        if (e->init.rule == INIT_TABLE) {
            e->init.table(e->shape, e->init.a, value);
            for (size_t j = 0; j < e->elements; j++)
                value[j] = rounded(value[j]);
        } else {
            struct assay_rng rng;
            assay_rng_named(&rng, seed, e->name);
            if (e->init.rule == INIT_ORTHOGONAL) {
                if (!draw_orthogonal(e, &rng, value)) {
                    free(value);
                    return "out of memory for initial values";
                }
            } else
                draw_values(e, &rng, value);
        }
        model_write_f64(m, e, value);
        free(value);
    }
    return NULL;
}

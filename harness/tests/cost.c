/* SPDX-License-Identifier: Apache-2.0 */
/* The cost of every paper against the number of tokens: the counts of dry passes grow as the
 * papers claim, and are those of real passes; the fit; the state of streaming decode. */
#include <float.h>
#include <math.h>

#include "harness/cost.h"
#include "harness/tests/variant_kit.h"

/* The project's gate: a fitted exponent this far from the claimed one fails. */
static const double tolerance = 0.05;

/* Narrow, so that terms in n^2 lead from n = 1024 on: per token a mixer holds about ten tensors of
 * the width (their gradients included), 4 * 10 * 8 bytes, and 4 * heads * n bytes of scores, which
 * at n = 1024 is fifty times as much: the local exponent is 1 + 50 / 51. */
static const char sizes[] = "width=8 heads=4 hidden=8 layers=1 decoder_layers=1";

enum { LENGTHS = 4, RESIDENT = 1 << 28 };
static const size_t lengths[LENGTHS] = {1024, 1536, 2048, 3072};

struct series {
    size_t points;
    double n[LENGTHS], operations[LENGTHS], memory[LENGTHS];
};

/* Counts at `lengths`, or in their steps from `from` on, until a longer pass would need more than
 * RESIDENT bytes for its index tensors. */
static bool count(const struct assay_cost_model *m, size_t from, struct series *s)
{
    char error[400];
    *s = (struct series){0};
    for (size_t i = 0; i < LENGTHS; i++) {
        struct assay_cost cost = {0};
        size_t n = assay_cost_tokens(m, from ? lengths[i] * from / lengths[0] : lengths[i]);
        if (assay_cost_count(m, n, &cost, error, sizeof error) != 0) {
            diag("%s", error);
            return false;
        }
        s->n[i] = (double)n;
        s->operations[i] = (double)cost.counts.mixing_multiply_adds;
        s->memory[i] = (double)cost.counts.mixing_bytes;
        s->points++;
        double ratio = i + 1 < LENGTHS ? (double)lengths[i + 1] / (double)lengths[i] : 0;
        if ((double)cost.resident * ratio * ratio > RESIDENT)
            break;
    }
    return true;
}

static void check_exponent(const char *name, const char *what, const struct series *s,
                           const double *y, double claimed, const char *reason)
{
    struct assay_fit fit = assay_fit_exponent(s->points, s->n, y);
    ok(s->points > 2 && fabs(fit.exponent - claimed) <= tolerance,
       "%s: %s of mixing tokens grow as n^(%.3f +- %.3f), claimed n^%g: %s", name, what,
       fit.exponent, fit.margin, claimed, reason);
}

static void check_growth(const struct assay_cost_model *m)
{
    char name[ASSAY_COST_NAME], error[400];
    struct assay_config config;
    struct series s;
    assay_cost_name(m, name);
    size_t shortest = assay_cost_tokens(m, lengths[0]);
    if (assay_cost_config(m, shortest, &config, error, sizeof error) != 0) {
        ok(false, "%s: it can be counted: %s", name, error);
        return;
    }
    struct variant_growth growth = variant_growth(m->variant, &config);
    if (!count(m, m->variant->growth_from, &s)) {
        ok(false, "%s: it can be counted", name);
        return;
    }
    check_exponent(name, "multiply-adds", &s, s.operations, growth.multiply_adds, growth.reason);
    check_exponent(name, "bytes", &s, s.memory, growth.memory, growth.reason);
}

/* The same pass, dry and real: what is counted does not depend on data. Only kernels' scratch
 * makes the real one larger. */
static void check_counts(const struct subject *s, const struct assay_cost_model *m)
{
    enum { SHORT = 24 };
    char error[400];
    struct assay_cost cost = {0};
    struct kit k;
    char more[160];
    size_t n = assay_cost_tokens(m, SHORT);
    snprintf(more, sizeof more, "%s length=%zu pad_is_zero=0", sizes, n);
    if (assay_cost_count(m, n, &cost, error, sizeof error) != 0
        || !kit_open(&k, assay_kernels_cpu(ASSAY_F32, NULL), s, more, 1, n)) {
        ok(false, "%s: it runs", s->label);
        return;
    }
    k.pass.train = true;
    if (kit_run(&k))
        tape_backward(&k.t, k.loss);
    const struct assay_counts *dry = &cost.counts, *real = &k.t.counts;
    if (s->variant->adaptive && s->variant->adaptive(&k.model.config)) {
        ok(dry->multiply_adds >= real->multiply_adds && dry->moved >= real->moved
               && dry->mixing_multiply_adds >= real->mixing_multiply_adds,
           "%s: a dry pass counts at least what a real one does: %llu and %llu multiply-adds",
           s->label, (unsigned long long)dry->multiply_adds,
           (unsigned long long)real->multiply_adds);
        kit_close(&k);
        return;
    }
    ok(dry->multiply_adds == real->multiply_adds && dry->moved == real->moved
           && dry->mixing_multiply_adds == real->mixing_multiply_adds
           && dry->mixing_multiply_adds < dry->multiply_adds && dry->bytes <= real->bytes
           && dry->moved > 2 * dry->elements,
       "%s: a dry pass counts what a real one does: %llu of %llu multiply-adds mix, %llu bytes",
       s->label, (unsigned long long)dry->mixing_multiply_adds,
       (unsigned long long)dry->multiply_adds, (unsigned long long)dry->moved);
    if (dry->moved != real->moved || dry->bytes > real->bytes)
        diag("moved: %llu dry, %llu real; held: %llu dry, %llu real",
             (unsigned long long)dry->moved, (unsigned long long)real->moved,
             (unsigned long long)dry->bytes, (unsigned long long)real->bytes);
    kit_close(&k);
}

static void check(const struct subject *s)
{
    struct assay_cost_model m = {s->variant, s->setting, NULL, sizes};
    check_counts(s, &m);
    check_growth(&m);
    for (const struct variant_form *f = s->variant->forms; f && f->name; f++) {
        m.form = f;
        if (f != s->variant->forms && !f->decode)
            check_growth(&m);
    }
}

/* ---- the fit ---- */

static void fits(void)
{
    const double n[4] = {1, 2, 4, 8}, exact[4] = {3, 12, 48, 192};
    struct assay_fit fit = assay_fit_exponent(4, n, exact);
    /* Four logarithms, each within a few roundoffs of at most 6. */
    ok(fabs(fit.exponent - 2) < 100 * DBL_EPSILON && fit.margin < 1e-6,
       "3 n^2 has the exponent 2 and no margin");
    /* In steps of log 2 the logarithms are 0, 1, 1, 3: slope 0.9, squares of the residuals 0.7,
     * variance of the slope (0.7 / 2) / 5; t(0.975, 2) = 4.302653. */
    const double rough[4] = {1, 2, 2, 8};
    fit = assay_fit_exponent(4, n, rough);
    ok(fabs(fit.exponent - 0.9) < 1e-12, "of 1, 2, 2, 8 the exponent is 0.9: %.15g", fit.exponent);
    ok(fabs(fit.margin - 4.302652729911275 * sqrt(0.07)) < 1e-9,
       "and its margin is Student's: %.15g", fit.margin);
    const double gap[4] = {1, (double)NAN, 16, 0};
    fit = assay_fit_exponent(4, n, gap);
    ok(fit.points == 2 && fabs(fit.exponent - 2) < 1e-12 && isnan(fit.margin),
       "two points have an exponent without a margin; what is left out is not fitted");
    ok(isnan(assay_fit_exponent(1, n, exact).exponent), "one point has no exponent");
}

/* The gate can fail: the same paper with its sums in the other order. */
static void control(void)
{
    const struct assay_variant *v = variant_find("linear_transformer");
    struct series s;
    struct assay_cost_model m = {v, v->settings, NULL,
                                 "width=8 heads=4 hidden=8 layers=1 evaluation=quadratic"};
    bool counted = count(&m, 0, &s);
    struct assay_fit fit = assay_fit_exponent(s.points, s.n, s.operations);
    ok(counted && fabs(fit.exponent - 1) > tolerance,
       "the gate tells %s with n x n weights from linear: n^%.3f", v->id, fit.exponent);
}

/* ---- decode ---- */

static const struct variant_setting *causal_setting(const struct assay_variant *v)
{
    for (const struct variant_setting *s = v->settings; s && s->name; s++)
        if (strstr(s->overrides, "frame=decoder head=language"))
            return s;
    return NULL;
}

static bool streams(const struct assay_variant *v)
{
    for (const struct variant_form *f = v->forms; f && f->name; f++)
        if (f->decode)
            return true;
    return false;
}

static void check_decode(const struct assay_variant *v)
{
    static const size_t at[2] = {8, 80};
    char error[400] = "";
    struct assay_config config;
    struct assay_decode_cost cost[2];
    struct assay_cost_model m = {v, causal_setting(v), NULL, sizes};
    if (!streams(v) || !m.setting || assay_cost_config(&m, at[1], &config, error, sizeof error) != 0)
        return;
    int status =
        assay_cost_decode(&m, assay_kernels_cpu(ASSAY_F32, NULL), 2, at, cost, error, sizeof error);
    ok(status == 0, "%s: it decodes %zu tokens%s%s", v->id, at[1], error[0] ? ": " : "", error);
    for (size_t i = 0; status == 0 && i < 2; i++) {
        double cache = 2.0 * (double)(config.layers * config.key_heads * config.head_width * at[i]);
        double expected = v->decode_elements ? v->decode_elements(&config, at[i]) : cache;
        ok((double)cost[i].bytes == 4 * expected && cost[i].seconds > 0,
           "%s: after %zu tokens the state has %zu bytes, as its formula says", v->id, at[i],
           cost[i].bytes);
    }
}

int main(int argc, char **argv)
{
    fits();
    control();
    for (size_t i = 0;; i++) {
        const struct assay_variant *v = i ? assay_variants[i - 1] : &assay_variant_reference;
        if (!v)
            break;
        ok(v->growth || v->grows.reason || !v->slot.mixer, "%s: a paper with a mixer says how its cost grows", v->id);
        check_decode(v);
    }
    each_subject(argc, argv, check);
    return done_testing();
}

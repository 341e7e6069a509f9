/* SPDX-License-Identifier: Apache-2.0 */
/* A part of `make power`: plain mistakes are caught, honest implementations pass, and what is the
 * same function is told from what is not. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness/files.h"
#include "harness/power/trials.h"
#include "harness/tests/tap.h"

enum { SUBJECTS = 3, HONEST = 60 };
static const char *const goldens[SUBJECTS] = {"reference", "reference.llama",
                                              "linear_transformer.causal"};

static struct subject subject[SUBJECTS];
static char error[2 * ASSAY_ERROR_ROOM];

static bool open_subjects(void)
{
    const char *source = getenv("ASSAY_SRCDIR");
    for (int i = 0; i < SUBJECTS; i++) {
        char path[1024];
        snprintf(path, sizeof path, "%s/golden/%s.safetensors", source ? source : ".", goldens[i]);
        if (subject_open(&subject[i], path, error, sizeof error) != 0)
            return false;
    }
    return true;
}

static const struct mutant *mutant_named(const char *name)
{
    for (const struct mutant *m = assay_mutants; m->name; m++)
        if (strcmp(m->name, name) == 0)
            return m;
    return NULL;
}

/* One mistake each, and no name twice. */
static void the_list_is_whole(void)
{
    size_t wrong = 0, twice = 0;
    for (const struct mutant *m = assay_mutants; m->name; m++) {
        int mistakes = (m->configuration != NULL) + (m->kernels != NULL) + (m->attention != NULL)
                       + (m->map.where != 0) + (m->exchanged[0] != NULL);
        wrong += mistakes != 1 || !m->what;
        twice += mutant_named(m->name) != m;
    }
    ok(assay_mutant_count() >= 80, "there are at least 80 mutants: %zu", assay_mutant_count());
    ok(wrong == 0 && twice == 0, "each has one mistake and a name of its own");
}

/* Whose codes, signs and spikes a trial takes from the file, and who decides little or nothing. */
static void decisions_are_known(void)
{
    static const char *const name[] = {"bitnet", "lmuformer.spiking", "reformer", "reference"};
    const char *source = getenv("ASSAY_SRCDIR");
    for (int i = 0; i < 4; i++) {
        char path[1024];
        struct subject s = {0};
        snprintf(path, sizeof path, "%s/golden/%s.safetensors", source ? source : ".", name[i]);
        bool opens = subject_open(&s, path, error, sizeof error) == 0;
        ok(opens && subject_decides(&s) == (i < 2), "%s: decisions are %s of what is computed",
           name[i], i < 2 ? "most" : "little");
        if (opens)
            subject_close(&s);
    }
}

static enum kind kind_of(const struct trials *t, const char *name, size_t s)
{
    return trials_cell(t, (size_t)(mutant_named(name) - t->mutant), s)->kind;
}

static void caught_in(const struct trials *t, int p)
{
    size_t tried = 0, unseen = 0;
    for (size_t m = 0; m < t->mutants; m++)
        for (size_t s = 0; s < t->subjects; s++) {
            const struct cell *c = trials_cell(t, m, s);
            tried += c->at[p].tried;
            if (c->at[p].tried && !cell_caught(c, p)) {
                unseen++;
                diag("%s on %s: %.3g of the budget", t->mutant[m].name, t->subject[s].name,
                     c->at[p].found.largest);
            }
        }
    ok(tried > 0 && unseen == 0, "%s: all of %zu plain mistakes are caught",
       assay_precision_name((enum assay_precision)p), tried);
}

/* Plain ones: each changes a tensor by a fraction of itself. */
static void plain_mistakes_are_caught(void)
{
    static const char *const plain[] = {
        "product_operand_transposed",
        "residual_missing",
        "attention_unnormalised",
        "attention_no_key_gradient",
        "norm_gain_missing",
        "loss_target_shifted",
        "scan_exclusive",
        "blocks_exchanged",
        "frame=encoder",
    };
    enum { COUNT = sizeof plain / sizeof *plain };
    struct mutant few[COUNT];
    struct trials t;
    for (size_t i = 0; i < COUNT; i++)
        few[i] = *mutant_named(plain[i]);
    struct manner manner = {.threads = 2, .honest_runs = HONEST, .quiet = true};
    bool ran = trials_run(&t, subject, SUBJECTS, few, COUNT, &manner, error, sizeof error) == 0;
    if (ok(ran, "%d mutants and %d honest implementations are tried", COUNT, HONEST)) {
        caught_in(&t, ASSAY_PRECISION_F32);
        caught_in(&t, ASSAY_PRECISION_BF16);
        ok(t.raised == 0, "%d honest implementations pass: %zu false alarms", HONEST, t.raised);
    } else
        diag("%s", error);
    trials_free(&t);
}

static void the_same_function_is_known(void)
{
    struct manner manner = {.threads = 1, .quiet = true};
    const struct mutant *const few[] = {mutant_named("explicit_attention=1"),
                                        mutant_named("loss_maximum"),
                                        mutant_named("norm_eps_tenth")};
    static const enum kind expected[] = {KIND_UNCHANGED, KIND_SAME, KIND_WRONG};
    for (size_t i = 0; i < sizeof few / sizeof *few; i++) {
        struct trials t;
        bool ran = trials_run(&t, subject, 1, few[i], 1, &manner, error, sizeof error) == 0;
        ok(ran && kind_of(&t, few[i]->name, 0) == expected[i], "%s: %s", few[i]->name,
           expected[i] == KIND_WRONG ? "another function" : "the same function");
        trials_free(&t);
    }
}

int main(void)
{
    the_list_is_whole();
    decisions_are_known();
    if (ok(open_subjects(), "goldens open")) {
        plain_mistakes_are_caught();
        the_same_function_is_known();
    } else
        diag("%s", error);
    for (int i = 0; i < SUBJECTS; i++)
        subject_close(&subject[i]);
    return done_testing();
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The descriptor of a paper: what it replaces, its numbers, and its claims as executable checks. */
#ifndef ASSAY_VARIANT_H
#define ASSAY_VARIANT_H

#include "ref/model.h"
#include "ref/rng.h"

enum variant_kind {
    KIND_VARIANT, KIND_TRANSFORM, KIND_EXECUTION, KIND_TRAINING, KIND_EXPERIMENT, KIND_COST,
    KIND_BENCHMARK, KIND_SURVEY
};
enum confidence { CONFIDENCE_LOW, CONFIDENCE_MEDIUM, CONFIDENCE_HIGH };

struct variant_source {
    const char *paper;                /* "arXiv:2006.16236" */
    const char *code;                 /* "idiap/fast-transformers", or NULL */
    const char *settled_by;           /* which source decided where they differ */
    enum confidence confidence;
};

struct variant_hyper {
    const char *name, *meaning;
    double paper, tiny;
    bool (*legal)(double value);
    const char *legal_text;           /* "at least 1" */
    const char *const *choices;       /* NULL, or names of 0, 1, 2, ...; ends with NULL */
};

/* The end of a hyper-parameter's row: what is legal. */
#define AT_LEAST_1 at_least_one, "at least 1", NULL
#define NOT_NEGATIVE not_negative, "at least 0", NULL
#define WHOLE_NUMBER is_whole, "a whole number", NULL
#define FRACTION is_fraction, "at least 0 and below 1", NULL
#define FLAG is_flag, "0 or 1", NULL
/* The form that the Long Range Arena gives a paper, beside the paper's. */
#define PAPER_OR_LRA is_choice, "paper or lra", paper_or_lra
extern const char *const paper_or_lra[];

/* A setting is a configuration with a golden of its own. */
struct variant_setting { const char *name, *overrides; };

/* Ways of computing the same function. BITS: equal bits, gradients included;
 * ROUNDING: max |difference| <= bound units of roundoff times the tensor's scale, bound derived in
 * `reason`; 0: the frame's own rounding to first order (the checks compute it from the lengths of
 * its sums). overrides select the form; of one that decodes, its parallel pass too. */
enum form_class { FORM_BITS, FORM_ROUNDING };
struct variant_form {
    const char *name, *overrides;
    bool decode;                      /* run step by step through the decode state */
    enum form_class equals;           /* how it equals the first form */
    double bound;
    const char *reason;
};

/* Declared properties, checked automatically. NO needs a negative control:
 * the check must see the difference. */
enum property {
    /* changing token j leaves outputs i < j as they are (settings with causal=1) */
    PROPERTY_CAUSAL,
    /* a sample's output does not depend on the others in the batch */
    PROPERTY_SAMPLE_INDEPENDENT,
    /* permuting tokens permutes the mixer's output (no positions, bidirectional) */
    PROPERTY_PERMUTATION_EQUIVARIANT,
    PROPERTY_DIFFERENTIABLE,          /* gradients equal numerical derivatives */
    PROPERTY_COUNT
};
enum holds { HOLDS_UNDECLARED, HOLDS_BITS, HOLDS_ROUNDING, HOLDS_NO, HOLDS_NOT_APPLICABLE };
struct variant_property {
    enum property which;
    enum holds holds;
    double bound;                     /* as of forms */
    const char *mode;                 /* overrides under which it holds, or NULL: every setting */
    const char *reason;
};

/* Claims. IDENTITY: equal, in bits or within a derived bound; NEGATIVE: must differ; OUTSIDE:
 * meets what the paper's own code computes; the others as named. A claim that does not hold is
 * reported with what was found instead. */
enum claim_class {
    CLAIM_IDENTITY, CLAIM_BOUND, CLAIM_COUNT, CLAIM_NEGATIVE, CLAIM_EXHAUSTIVE, CLAIM_TWO_VARIANT,
    CLAIM_TRAINED, CLAIM_OUTSIDE
};
/* A stage of a paper's training; the trainer goes from one to the next. Each has its share of the
 * steps, the run's schedule over them (with that share of the warm-up), and an optimizer that begins
 * anew. The objective finds the teacher in the pass: a model of the same weights that are not trained. */
struct variant_stage {
    const char *name;
    double share;                     /* against the others' */
    tensor (*objective)(struct assay_pass *p);   /* NULL: model_loss */
    bool restarts;                    /* from the weights that training began with */
    /* COPY: the weights as the stage before left them. SAME: the stage before's */
    enum { TEACHER_NONE, TEACHER_SAME, TEACHER_COPY } teacher;
    /* After each step teacher = keep teacher + (1 - keep) model; 0: it stays */
    double teacher_keep;
    const char *trainable;            /* patterns as of assay_phase; NULL: the phase's */
};
enum { STAGES_MAX = 8 };

struct claim;
struct outside_section;
struct assay_update;
struct variant_claim {
    enum claim_class class;
    const char *statement;
    void (*check)(struct claim *c);
    enum assay_profile profile;       /* 0: binary64 */
};

/* Numbers that a paper reasons about or finds, row by row: `assay measure ID` fills the table. No check:
 * it may train, and take minutes. What a measurement can't do is reported by its claim's functions. */
struct measured {
    /* values: one for each column but the first; a NaN is no value */
    void (*row)(void *sink, const char *name, const double *values);
    void *sink;
};
struct variant_measurement {
    const char *name, *caption;       /* "roofline"; what is in the table, in a sentence */
    const char *const *columns;       /* what a row's name and its numbers are; ends with NULL */
    void (*measure)(struct claim *c, struct measured *m);
    /* The plot: a panel for each column of numbers but this one, which is the horizontal axis of a line
     * per row name. 0: bars, a row each. */
    int against;
    enum { LOG_NEITHER, LOG_X, LOG_Y, LOG_BOTH } logarithmic;
};

/* How the cost of mixing tokens grows with their number n: the exponents that the paper claims
 * for the multiply-adds of its mixers (without their linear layers, which are everybody's) and
 * for the memory that they hold, forward and backward. harness/tests/cost.c counts both from
 * n = 1024 on (or `growth_from`) and allows 0.05. */
struct variant_growth {
    double multiply_adds, memory;
    const char *reason;               /* where and how the paper says so, in our words */
};

/* What many mixers need of the configuration; checked before `legal`. */
enum {
    NEEDS_KEYS_PER_HEAD = 1,          /* key_heads = heads */
    NEEDS_NO_BIAS = 2,                /* no position that is a bias of the scores */
    NEEDS_ONE_STACK = 4               /* no encoder beside a decoder */
};

struct assay_transform;

struct assay_variant {
    const char *id, *title, *authors; /* "Katharopoulos et al. 2020" */
    const char *idea, *equations;     /* shown by `assay show` */
    struct variant_source source;
    enum variant_kind kind;
    const char *family, *replaces;    /* "linear-attention", "mixer" */
    struct assay_slots slot;          /* NULL members: the reference's */
    const struct variant_hyper *hypers;      /* each list ends with a zero entry */
    const struct variant_setting *settings;  /* the first is the default */
    const struct variant_form *forms;
    const struct variant_property *properties;
    const struct variant_claim *claims;
    const struct variant_measurement *measurements;   /* NULL: none */
    const struct outside_section *outside;   /* NULL, or what `outside_meets_sections` meets */
    /* claims of the paper that no test here can decide, and why; or NULL */
    const char *untested;
    /* Inputs beside those of the frame (a graph's edges, a diffusion's time), drawn at random and put
     * into the batch with batch_add; false without memory. NULL: none. */
    bool (*inputs)(struct assay_batch *b, const struct assay_config *c, struct assay_rng *rng,
                   size_t samples, size_t length);
    /* What a golden file holds of a paper that isn't one pass of a model and its gradients: an update
     * of weights, a loop of sampling steps, a program that runs. -> the output; what else is to be
     * seen is traced. p: weights, batch, tape. NULL: model_loss, with the gradients. */
    tensor (*compute)(struct assay_pass *p);
    /* An optimizer: p and its gradient g -> the new p (ref/update.h). It trains the model, and golden
     * files hold its steps. */
    tensor (*update)(struct assay_update *u, tensor p, tensor g);
    /* the configurations that `compute` is for; NULL: all */
    bool (*computes)(const struct assay_config *c);
    /* Makes another model of a trained one (ref/transform.h). */
    bool (*transform)(struct assay_transform *x);
    /* Training in stages; how many. NULL: one, with model_loss. */
    size_t (*stages)(const struct assay_config *c, struct variant_stage stage[STAGES_MAX]);
    /* The loss that golden files hold with its gradients, of the inputs that `inputs` adds; their output
     * is the pass's. NULL: model_loss. */
    tensor (*objective)(struct assay_pass *p);
    /* The weights are the paper's construction: golden files keep them as they are. With `compute`:
     * in the configurations that it is for. */
    bool constructed;
    /* What the variant makes of the configuration, applied last; applying it again changes
     * nothing. NULL: nothing. */
    void (*resolve)(struct assay_config *c);
    unsigned needs;                   /* NEEDS_... */
    /* Cross-field condition on the configuration: NULL or a message. */
    const char *(*legal)(const struct assay_config *c);
    /* For papers on images, whose batches have config->length pixels, never fewer: the number of
     * them nearest to n that is an image; NULL: tokens of any number. */
    size_t (*pixels)(const struct assay_config *c, size_t n);
    /* Formulas checked against the counters: differences to the reference
     * model of the same configuration. */
    double (*extra_parameters)(const struct assay_config *c);
    /* per sample and block; NULL: the reference's */
    double (*mixer_multiply_adds)(const struct assay_config *c, size_t n);
    /* state per sample after n tokens; NULL: keys and values */
    double (*decode_elements)(const struct assay_config *c, size_t n);
    struct variant_growth grows;      /* the same for all configurations; reason NULL: see growth */
    /* per configuration, so that settings and forms may differ; NULL: the reference's */
    struct variant_growth (*growth)(const struct assay_config *c);
    size_t growth_from;               /* tokens from which its leading terms lead; 0: 1024 */
    /* How much is computed follows from the data; dry passes count the most. NULL: never. */
    bool (*adaptive)(const struct assay_config *c);
    /* Training couples the samples of a shard: a step's default shard is its whole batch. */
    bool coupled;
};

extern const struct assay_variant *const assay_variants[];   /* the papers; ends with NULL */
extern const struct assay_variant assay_variant_reference;
/* "reference" gives the reference's descriptor */
const struct assay_variant *variant_find(const char *id);
/* Is its golden file `compute`'s? */
bool variant_computes(const struct assay_variant *v, const struct assay_config *c);
/* Is it a model, or a way of training one, in this setting (NULL: the first)? Not if it has no setting,
 * or computes something else. */
bool variant_trains(const struct assay_variant *v, const struct variant_setting *s);
struct variant_growth variant_growth(const struct assay_variant *v, const struct assay_config *c);
const struct assay_variant *variant_by_hyper(const struct assay_variant *v, const char *name,
                                             int *index);

/* ---- legal predicates ---- */
bool at_least_one(double x);
bool is_whole(double x);              /* 0, 1, 2, ... */
bool positive(double x);
bool not_negative(double x);
bool is_fraction(double x);           /* 0 <= x < 1 */
bool is_choice(double x);
bool is_flag(double x);               /* 0 or 1 */

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* A model is a frame with slots, a registry of named tensors, and one forward function.
 *
 * There is no separate declaration of weights: a layer asks for `param(l, "key", shape, init)`
 * where it uses it. The first walk through the model runs on a dry tape (shapes, no data) and
 * registers what is asked for; every later walk looks it up and checks the shape. So a variant
 * states each weight once, in the line that multiplies by it. */
#ifndef ASSAY_MODEL_H
#define ASSAY_MODEL_H

#include "ref/config.h"
#include "ref/ops.h"

enum { ASSAY_NAME_MAX = 96, ASSAY_STREAMS_MAX = 64, ASSAY_INPUTS_MAX = 32, ASSAY_GIVENS_MAX = 4 };

/* ---- registry: parameters are trained, buffers change once per step, draws are fixed
 * at initialisation ---- */

enum assay_kind { ASSAY_PARAMETER, ASSAY_BUFFER, ASSAY_DRAW, ASSAY_KINDS };

enum assay_init_rule {
    INIT_CONSTANT, INIT_NORMAL, INIT_TRUNCATED_NORMAL, INIT_UNIFORM, INIT_XAVIER_UNIFORM,
    INIT_XAVIER_NORMAL, INIT_LECUN_NORMAL, INIT_KAIMING_UNIFORM, INIT_TORCH_UNIFORM,
    INIT_ORTHOGONAL, INIT_TABLE, INIT_STEP_SIZE
};

/* Rules that use fans read them from the shape: in = product of all axes but the last,
 * out = last axis. `fan_in` overrides (a bias of PyTorch's default needs its layer's).
 * a, b: constant; standard deviation and cut; bounds; gain.
 * ORTHOGONAL: rows orthogonal in blocks of as many as there are columns, the last block cut; a = 0:
 * as long as rows of independent normal numbers, 1: of length sqrt(columns).
 * STEP_SIZE: softplus of it is a step size of a state-space model, whose logarithm is uniform
 * between those of a and b; the step is at least 1e-4.
 * TABLE: values filled by the function from the shape and `a` (numbers in binary64, rounded once to
 * binary32). */
struct assay_init {
    enum assay_init_rule rule;
    double a, b;
    size_t fan_in;
    void (*table)(struct assay_shape shape, double a, double *values);
};

static inline struct assay_init init_constant(double c)
{
    return (struct assay_init){INIT_CONSTANT, c, 0, 0, NULL};
}

static inline struct assay_init init_zeros(void)
{
    return init_constant(0);
}

static inline struct assay_init init_ones(void)
{
    return init_constant(1);
}

static inline struct assay_init init_normal(double deviation)
{
    return (struct assay_init){INIT_NORMAL, deviation, 0, 0, NULL};
}

static inline struct assay_init init_truncated_normal(double deviation, double cut)
{
    return (struct assay_init){INIT_TRUNCATED_NORMAL, deviation, cut, 0, NULL};
}

static inline struct assay_init init_uniform(double low, double high)
{
    return (struct assay_init){INIT_UNIFORM, low, high, 0, NULL};
}

static inline struct assay_init init_xavier(void)
{
    return (struct assay_init){INIT_XAVIER_UNIFORM, 1, 0, 0, NULL};
}

static inline struct assay_init init_lecun_normal(void)
{
    return (struct assay_init){INIT_LECUN_NORMAL, 1, 0, 0, NULL};
}

static inline struct assay_init init_torch_uniform(size_t fan_in)
{
    return (struct assay_init){INIT_TORCH_UNIFORM, 1, 0, fan_in, NULL};
}

static inline struct assay_init init_orthogonal(double equal_lengths)
{
    return (struct assay_init){INIT_ORTHOGONAL, equal_lengths, 0, 0, NULL};
}

static inline struct assay_init init_step_size(double least, double most)
{
    return (struct assay_init){INIT_STEP_SIZE, least, most, 0, NULL};
}

static inline struct assay_init init_table(void (*table)(struct assay_shape, double, double *),
                                           double a)
{
    return (struct assay_init){INIT_TABLE, a, 0, 0, table};
}

struct assay_entry {
    enum assay_kind kind;
    char name[ASSAY_NAME_MAX];        /* "block.0.mixer.query" */
    struct assay_shape shape;
    struct assay_init init;
    size_t offset, elements;          /* in the flat array of its kind */
};

/* ---- slots ---- */

typedef struct assay_layer layer;

struct assay_slots {
    /* inputs -> [b, n, d], positions included */
    tensor (*embed)(layer *l);
    tensor (*position)(layer *l, tensor x);                /* x + positions */
    tensor (*norm)(layer *l, tensor x);
    tensor (*linear)(layer *l, tensor x, size_t out, bool bias);
    tensor (*mixer)(layer *l, tensor x, tensor memory);    /* memory NONE: self */
    tensor (*ffn)(layer *l, tensor x);
    tensor (*residual)(layer *l, tensor x, tensor y);      /* x + y */
    tensor (*block)(layer *l, tensor x);
    tensor (*stack)(layer *l, tensor x);                   /* all blocks, before the final norm */
    tensor (*head)(layer *l, tensor x);
    /* the head's output -> scalar, a sum over the samples here; `denominator` is the step's */
    tensor (*loss)(layer *l, tensor y, double denominator);
};

/* ---- what a forward pass is about ---- */

struct assay_variant;

struct assay_input {
    const char *name;                 /* "ids", "label", "target", "image", ... */
    enum assay_type type;
    struct assay_shape shape;
    const void *data;                 /* const float * or const int32_t *; NULL: zeros (dry) */
};

struct assay_batch {
    int inputs;
    struct assay_input input[ASSAY_INPUTS_MAX];
};

/* State of step-by-step decoding: caches and recurrent states by name. */
struct assay_decode;
struct assay_pass;

/* Random inputs for a configuration, deterministic; the last sample has padding where id 0 is
 * padding. variant: may bring further inputs; NULL: none. NULL without memory. */
struct assay_batch *batch_random(const struct assay_variant *variant, const struct assay_config *c,
                                 size_t samples, size_t length, uint64_t seed);
void batch_free(struct assay_batch *b);
/* Takes all inputs out: for papers that have none of the frame's. */
void batch_clear(struct assay_batch *b);
/* Room for one more input, zeros, 4 bytes an element; NULL without memory. `name` is not copied. */
void *batch_add(struct assay_batch *b, const char *name, enum assay_type type,
                struct assay_shape shape);

/* What a slot may know besides x. Streams are named tensors that sublayers pass on
 * to later ones. */
struct assay_context {
    struct assay_pass *pass;
    const struct assay_batch *batch;
    bool train, causal;
    double progress;                  /* step / steps, for values that follow a schedule */
    size_t samples, length, first;    /* first: position of token 0 (decoding) */
    size_t capacity;                  /* tokens that caches have room for (decoding) */
    tensor ids;                       /* i32 [b, n] of the stack that runs, or NONE (real inputs) */
    tensor embedding;                 /* the token table, for tied heads */
    tensor valid;                     /* i32 [b, n] or NONE: tokens that are not padding */
    /* i32 [m] where a layer gets m of the samples' tokens in one row, [1, m, d]: the place of each
     * in its sample, for rotary positions. NONE: 0, 1, ... */
    tensor places;
    tensor memory, memory_valid;      /* encoder output for cross-attention */
    size_t block, blocks, loop;
    /* What layers see as the configuration, where it is not the model's: a pyramid's stage. */
    const struct assay_config *stage;
    struct assay_decode *decode;      /* NULL: the parallel form */
    int streams;
    struct { const char *name; tensor value; } stream[ASSAY_STREAMS_MAX];
};

/* Where we are: the model, its tape, the path of names, the context. */
struct assay_layer {
    struct assay_model *model;
    tape *t;
    struct assay_context *context;
    char path[ASSAY_NAME_MAX];
};

/* ---- the model ---- */

struct assay_emission { size_t entry; double keep; tensor value; };

struct assay_model {
    const struct assay_kernels *kernels;
    const struct assay_variant *variant;      /* NULL: the reference */
    struct assay_config config;
    struct assay_slots slot;
    struct assay_entry *entry;
    size_t entries, entry_room;
    size_t *bucket, buckets;                  /* name -> entry */
    size_t elements[ASSAY_KINDS];
    void *data[ASSAY_KINDS];                  /* flat, in the profile */
    bool declaring;
    uint64_t seed;
};

/* Builds: walks once on a dry tape with inputs of the given shapes, then initialises by
 * the seed (binary32 functions in both profiles). 0, or -1 with a message in error.
 * `batch` gives the inputs' names, types and shapes. */
int model_open(struct assay_model *m, const struct assay_kernels *kernels,
               const struct assay_variant *variant, const struct assay_config *config,
               const struct assay_batch *batch, uint64_t seed, char *error, size_t room);
/* The same without data: names, shapes, elements of each kind. */
int model_declare(struct assay_model *m, const struct assay_kernels *kernels,
                  const struct assay_variant *variant, const struct assay_config *config,
                  const struct assay_batch *batch, char *error, size_t room);
void model_close(struct assay_model *m);
const char *model_initialise(struct assay_model *m, uint64_t seed);   /* NULL or a message */

const struct assay_entry *model_find(const struct assay_model *m, const char *name);
void *entry_data(const struct assay_model *m, const struct assay_entry *e);
void model_read(const struct assay_model *m, const struct assay_entry *e, double *values);
/* binary32 numbers */
void model_write_f32(struct assay_model *m, const struct assay_entry *e, const void *values);
void model_write_f64(struct assay_model *m, const struct assay_entry *e, const double *values);

/* One pass. gradients: flat array like data[ASSAY_PARAMETER] or NULL. Results are tensors of t. */
struct assay_pass {
    struct assay_model *model;
    tape *t;
    const struct assay_batch *batch;
    void *gradients;
    const bool *trainable;                    /* per entry, or NULL: all */
    bool train;
    /* denominator of the loss, known before the forward */
    double progress, denominator;
    tensor auxiliary;                         /* out: what layers add to the loss, or NONE */
    tensor hidden, output;                    /* out: what the head read and what it made, last */
    struct assay_model *teacher;              /* of an objective with one; it is not trained */
    struct assay_decode *decode;
    /* Tensors that stand for inputs of the batch, for passes after passes on one tape. */
    int givens;
    struct { const char *name; tensor value; } given[ASSAY_GIVENS_MAX];
    /* out: buffer updates of this pass; NULL: not wanted */
    struct assay_emission *emission;
    int emissions, emission_room;
};
/* From now on `x` is the pass's input `name`; NONE: it has no such input. At most ASSAY_GIVENS_MAX names; false: no room. */
bool pass_give(struct assay_pass *p, const char *name, tensor x);
/* Where such a pass starts: a layer without a name, and a new context of its batch. False without memory. */
bool pass_begin(struct assay_pass *p, layer *l);
tensor model_forward(struct assay_pass *p);   /* logits: [b, classes] or [b, n, vocab] */
tensor model_loss(struct assay_pass *p, tensor *logits);   /* scalar; *logits if asked */
/* A layer's own term of the loss: scalar. It is the term of the samples on this tape, so a paper whose
 * term is of a whole batch declares itself `coupled`. The loss of an evaluation, which has no
 * gradients, is without such terms. */
void add_to_loss(layer *l, tensor term);

/* ---- what layers use ---- */

/* -> mark for layer_leave */
size_t layer_enter(layer *l, const char *format, ...) __attribute__((format(printf, 2, 3)));
void layer_leave(layer *l, size_t mark);
/* Is it the layer that is called so? ".mixer.output" */
bool path_ends(const layer *l, const char *end);
const struct assay_config *config_of(const layer *l);
double hyper(const layer *l, const char *name);
size_t hyper_n(const layer *l, const char *name);
bool hyper_is(const layer *l, const char *name, const char *choice);
enum assay_profile profile_of(const layer *l);

tensor param(layer *l, const char *name, struct assay_shape shape, struct assay_init init);
tensor buffer(layer *l, const char *name, struct assay_shape shape, struct assay_init init);
tensor draw(layer *l, const char *name, struct assay_shape shape, struct assay_init init);
/* The step's new value: buffer = keep * buffer + (1 - keep) * mean over shards;
 * applied once after the step. A custom backward may call it, too, with a copy of the layer as its
 * closure. */
void buffer_emit(layer *l, const char *name, tensor value, double keep);
/* NONE and an error if the batch has no such input */
tensor input(layer *l, const char *name);
bool has_input(const layer *l, const char *name);
void trace(layer *l, const char *name, tensor x);         /* under the layer's path */
void stream_put(layer *l, const char *name, tensor x);
tensor stream_get(const layer *l, const char *name);      /* NONE if nobody put it */

/* Decoding. cached: puts x [b, m, ..] into the cache from the context's `first` on and returns all
 * of it, [b, capacity, ..]; without decoding x itself.
 * carried: the state as the last call left it (zeros at first); carry sets it. */
tensor cached(layer *l, const char *name, tensor x);
tensor carried(layer *l, const char *name, struct assay_shape shape);
void carry(layer *l, const char *name, tensor x);

/* Slots by name (norm "none": x itself), each under a path of its own. */
tensor apply_norm(layer *l, const char *name, tensor x);
tensor apply_linear(layer *l, const char *name, tensor x, size_t out, bool bias);
tensor apply_mixer(layer *l, const char *name, tensor x, tensor memory);
tensor apply_ffn(layer *l, const char *name, tensor x);
tensor apply_block(layer *l, const char *name, tensor x);
/* A stack of its own within the pass, on x: [b', n', d], whose rows need not be the pass's tokens:
 * they have the positions first, first + 1, ... of at most `capacity`, which its caches have room
 * for (0: it has none and never steps). Positions are added, `blocks` of the model's blocks run
 * under `path`, `norm`: a final norm follows if the configuration has one. valid: i32 [b', n'], rows
 * that are no padding; NONE: all. */
struct inner_stack { size_t blocks, first, capacity; bool causal, norm; tensor valid; };
tensor apply_stack(layer *l, const char *path, tensor x, struct inner_stack s);

/* The reference's own slots, for variants that wrap them (ref/model/). */
extern const struct assay_slots assay_reference_slots;
tensor split_heads(layer *l, tensor x, size_t heads);     /* [b, n, h w] -> [b, n, h, w] */
/* x [b, n, d] as the embedding leaves it: with CLS, positions, norm, dropout, as configured */
tensor embed_rows(layer *l, tensor x);
/* x [b, n, d] plus rows first, first + 1, ... of the configured table of `rows` positions (learned
 * or sinusoidal; with others x itself); first: the context's */
tensor add_positions(layer *l, tensor x, size_t rows);
/* a linear layer, then its output by heads: [b, n, h, w] */
tensor project(layer *l, const char *name, tensor x);
/* x [b, n, h, w] turned by its positions where the configuration's are rotary */
tensor rotated(layer *l, tensor x);
/* which keys are not padding, of a memory or of the layer's own tokens: i32 [b, n_k], or NONE */
tensor valid_keys(const layer *l, tensor memory);
/* x with zeros where `valid` [b, n] has them, or x if that is NONE; samples along axis 0, tokens
 * along `axis`. without_padding: by the layer's own tokens */
tensor only_valid(tape *t, tensor x, tensor valid, int axis);
tensor without_padding(layer *l, tensor x, int axis);
/* v [b, h, n, w] with one more column, of ones: sums of weights beside those of weighted values */
tensor with_ones(tape *t, tensor v);
tensor merge_heads(layer *l, tensor x);                   /* [b, n, h, w] -> [b, n, h w] */
tensor activation(layer *l, tensor x);
/* "weight" [in, out] and "bias" [out] of a linear layer, initialised as configured. */
tensor linear_weight(layer *l, size_t in, size_t out);
tensor linear_bias(layer *l, size_t in, size_t out);
/* dropout at the configured rate while training */
tensor drop(layer *l, const char *name, tensor x);
struct attention_options attention_defaults(layer *l, tensor key, tensor memory);
/* The pairs that self-attention of n tokens allows, for scores that a mixer makes itself: i32
 * [b or 1, 1, n, n], or NONE where it allows all. */
tensor pairs_allowed(layer *l, size_t n);
/* Queries, keys, values of the configured heads, rotated and cached:
 * [b, n, h, w], [b, n_k, g, w], [b, n_k, g, w]. */
struct heads { tensor query, key, value; };
struct heads project_heads(layer *l, tensor x, tensor memory);

/* ref/parts/causal.c: depthwise over the last tokens, j ascending,
 *     y_i = bias + sum_j weight_j x_(i - taps + 1 + j)
 * so that the last weight meets the token itself. x [b, n, c], weight [taps, c], bias [c] or
 * NONE; before [b, at least taps - 1, c]: the tokens in front of x, or NONE: zeros. */
tensor causal_convolution(tape *t, tensor x, tensor weight, tensor bias, tensor before);
/* The same with weights of its own under `name`; while decoding the last `taps` tokens are carried
 * as its "state". Initial values are U(-1, 1) / sqrt(taps). */
tensor short_convolution(layer *l, const char *name, tensor x, size_t taps, bool bias);
/* [n, n]: 1 where column <= row, else 0 */
tensor causal_ones(tape *t, size_t n);
/* ref/parts/fourier.c: y_i = sum_(k <= i) kernel_k x_(i - k) for kernels as long as x, by Fourier transforms
 * of the first 2^p or 3 2^p from 2 n on. x [b, n, c or 1], kernel [n, c] -> [b, n, c]. An output is off by
 * at most 16 (3 log2 4n + 1) roundoffs of |kernel|_1 |x|_2. long_convolution_products: the
 * multiply-adds of a transform, of which there are c and one for each channel of x and of y. */
tensor long_convolution(tape *t, tensor x, tensor kernel);
size_t long_convolution_products(size_t n);
/* ref/parts/batch_norm.c. batch_moments: mean and variance of each channel of x [.., d], of all its rows
 * while training, [1, d], else the buffers "mean" and "variance" [d], which start as 0 and 1 and become
 * 0.9 old + 0.1 new; the variance that they take is unbiased. batch_norm: (x - mean) / sqrt(variance +
 * 1e-5) gain + bias, with weights and moments of its own under `name`. A paper that uses them declares
 * itself `coupled`. */
struct moments { tensor mean, variance; };
struct moments batch_moments(layer *l, tensor x);
tensor batch_norm(layer *l, const char *name, tensor x, double first_gain);
/* Tables [n, pairs] of `rotate`: position first + i turns pair p by (first + i) * frequency[p], in
 * the profile's scalars; kept for the stack that runs. The frequency of Su et al. 2021 is
 * base^(-2 pair / width). */
struct rotation { tensor cosine, sine; };
struct rotation rotation_tables(layer *l, size_t n, size_t pairs, const double *frequency);
double rotary_frequency(const layer *l, size_t pair, size_t width);

/* The blocks as reversible residual layers, for papers' stacks. x [b, n, d] -> [2, b, n, d]: both
 * streams start as x, and block i makes
 *     y1 = x1 + mixer(norm1 x2),  y2 = x2 + ffn(norm2 y1)
 * recomputed: what is between is not kept; see `coupled`. Else it is traced as block.i.y1, y2. */
tensor reversible_stack(layer *l, tensor x, bool recomputed);

/* ---- decoding ---- */

struct assay_decode *decode_open(const struct assay_kernels *kernels, size_t capacity);
void decode_close(struct assay_decode *d);
size_t decode_bytes(const struct assay_decode *d);        /* bytes of state held now */
size_t decode_position(const struct assay_decode *d);
size_t decode_capacity(const struct assay_decode *d);    /* tokens that it has room for */
void decode_advance(struct assay_decode *d, size_t tokens);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* Configurations by name: presets, texts of the form "name=value ...", and the
 * conditions they must meet. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ref/config.h"
#include "ref/variant.h"

static const char *const presets[] = {"pre_ln", "post_ln", "llama", "t5", NULL};
static const char *const frames[] = {"encoder", "decoder", "encoder_decoder", NULL};
static const char *const inputs[] = {"ids", "values", NULL};
static const char *const norms[] = {"layer", "rms", "none", NULL};
static const char *const placements[] = {"pre", "post", NULL};
static const char *const positions[] = {"none",  "learned", "sinusoidal", "rotary",
                                        "alibi", "t5",      NULL};
static const char *const activations[] = {"relu", "gelu", "gelu_tanh", "silu", NULL};
static const char *const pools[] = {"cls", "mean", "first", NULL};
static const char *const heads[] = {"classify", "language", "two_tower", NULL};
static const char *const weights[] = {"xavier", "normal", "torch", "t5", NULL};

#define CHOICE(field, meaning, choices) \
    { \
#field, meaning, FIELD_CHOICE, offsetof(struct assay_config, field), choices \
    }
#define SIZE(field, meaning) \
    { \
#field, meaning, FIELD_SIZE, offsetof(struct assay_config, field), NULL \
    }
#define BOOL(field, meaning) \
    { \
#field, meaning, FIELD_BOOL, offsetof(struct assay_config, field), NULL \
    }
#define NUMBER(field, meaning) \
    { \
#field, meaning, FIELD_NUMBER, offsetof(struct assay_config, field), NULL \
    }

const struct config_field config_fields[] = {
    CHOICE(preset, "reference model whose defaults are taken", presets),
    CHOICE(frame, "encoder, causal decoder, or both with cross-attention", frames),
    CHOICE(inputs, "token ids, or vectors of real numbers", inputs),
    SIZE(values, "numbers per token where inputs=values"),
    SIZE(vocab, "token ids, padding included"),
    SIZE(classes, "classes of the classification head"),
    SIZE(length, "longest sequence (positions, caches)"),
    SIZE(target_length, "longest sequence of the decoder beside an encoder; 0: as of the encoder"),
    SIZE(width, "width d of the model"),
    SIZE(stream, "channels of the residual stream that are kept; 0: width"),
    SIZE(heads, "query heads h"),
    SIZE(key_heads, "key and value heads; 0: as many as heads"),
    SIZE(head_width, "channels per head; 0: width / heads"),
    SIZE(hidden, "channels inside the feed-forward layer m"),
    SIZE(layers, "blocks L (of the encoder where there are both)"),
    SIZE(decoder_layers, "blocks of the decoder of an encoder-decoder"),
    CHOICE(norm, "normalisation", norms),
    CHOICE(placement, "norm before the sublayer or after the addition", placements),
    BOOL(norm_gain, "norms have a gain"),
    BOOL(norm_bias, "layer norms have a bias"),
    BOOL(final_norm, "a norm follows the last block"),
    BOOL(embed_norm, "a norm follows the embedding"),
    NUMBER(norm_eps, "epsilon inside the root"),
    BOOL(attention_bias, "query, key and value projections have biases"),
    BOOL(output_bias, "the attention's output projection has a bias"),
    BOOL(scale_scores, "scores are scaled by 1 / sqrt(head_width)"),
    BOOL(explicit_attention, "hold the n x n probabilities"),
    CHOICE(activation, "of the feed-forward layer", activations),
    BOOL(gated, "feed-forward layer is a gated linear unit"),
    BOOL(ffn_bias, "feed-forward layers have biases"),
    CHOICE(position, "position information", positions),
    BOOL(scale_embedding, "token embedding times sqrt(width)"),
    BOOL(tie_embedding, "the language head is the transposed embedding"),
    BOOL(pad_is_zero,
         "id 0 is padding, which encoders mask (in a decoder it comes last and nothing sees it)"),
    BOOL(cls_position,
         "the CLS token has a position: it is put in front before positions are added"),
    BOOL(rotary_interleaved, "rotary pairs are (2p, 2p+1), not (p, p + pairs)"),
    NUMBER(embed_deviation, "standard deviation of the embedding's initial values"),
    NUMBER(position_deviation, "that of learned positions; 0: the embedding's"),
    NUMBER(rotary_base, "base of the rotary and sinusoidal frequencies"),
    SIZE(rotary_width, "channels of a head that are rotated; 0: all"),
    SIZE(buckets, "buckets of T5's relative positions"),
    SIZE(bucket_distance, "distance from which T5's buckets are shared"),
    CHOICE(pool, "what the classification head reads", pools),
    CHOICE(head, "classes, next token, or two documents", heads),
    SIZE(head_hidden, "hidden layer of the head; 0: none"),
    BOOL(head_bias, "the last linear layer has a bias"),
    BOOL(nli, "two towers: concatenate [e1, e2, e1 e2, e1 - e2], not [e1, e2]"),
    CHOICE(weights, "initial values of linear layers", weights),
    NUMBER(weight_deviation, "standard deviation where weights=normal"),
    NUMBER(dropout, "rate after embedding, sublayers and activation"),
    NUMBER(attention_dropout, "rate on the attention probabilities"),
};
const size_t config_field_count = sizeof config_fields / sizeof *config_fields;

static void preset_defaults(struct assay_config *c, int preset)
{
    *c = (struct assay_config){
        .preset = preset,
        .frame = FRAME_ENCODER,
        .vocab = 17,
        .classes = 10,
        .length = 16,
        .width = 16,
        .heads = 2,
        .hidden = 32,
        .layers = 2,
        .decoder_layers = 2,
        .norm = NORM_LAYER,
        .placement = PLACE_PRE,
        .norm_gain = true,
        .norm_bias = true,
        .final_norm = true,
        .norm_eps = 1e-5,
        .attention_bias = true,
        .output_bias = true,
        .scale_scores = true,
        .activation = ACTIVATION_GELU,
        .ffn_bias = true,
        .position = POSITION_LEARNED,
        .embed_deviation = 0.02,
        .rotary_base = 10000,
        .buckets = 32,
        .bucket_distance = 128,
        .pool = POOL_MEAN,
        .head = HEAD_CLASSIFY,
        .head_bias = true,
        .pad_is_zero = true,
        .cls_position = true,
        .weights = WEIGHTS_NORMAL,
        .weight_deviation = 0.02,
    };
    switch (preset) {
    case PRESET_POST_LN:
        c->placement = PLACE_POST;
        c->final_norm = false;
        c->embed_norm = true;
        c->norm_eps = 1e-12;
        c->pool = POOL_CLS;
        break;
    case PRESET_LLAMA:
        c->frame = FRAME_DECODER;
        c->head = HEAD_LANGUAGE;
        c->norm = NORM_RMS;
        c->norm_eps = 1e-6;
        c->norm_bias = c->attention_bias = c->output_bias = c->ffn_bias = c->head_bias = false;
        c->activation = ACTIVATION_SILU;
        c->gated = true;
        c->position = POSITION_ROTARY;
        c->pad_is_zero = false;
        break;
    case PRESET_T5:
        c->frame = FRAME_ENCODER_DECODER;
        c->head = HEAD_LANGUAGE;
        c->norm = NORM_RMS;
        c->norm_eps = 1e-6;
        c->norm_bias = c->attention_bias = c->output_bias = c->ffn_bias = c->head_bias = false;
        c->activation = ACTIVATION_RELU;
        c->scale_scores = false;
        c->position = POSITION_T5;
        c->weights = WEIGHTS_T5;
        c->embed_deviation = 1;
        c->tie_embedding = true;
        break;
    default:
        break;
    }
}

static const struct config_field *field_find(const char *name)
{
    for (size_t i = 0; i < config_field_count; i++)
        if (strcmp(config_fields[i].name, name) == 0)
            return &config_fields[i];
    return NULL;
}

static int choice_index(const char *const *choices, const char *text)
{
    for (int i = 0; choices[i]; i++)
        if (strcmp(choices[i], text) == 0)
            return i;
    return -1;
}

static void list_choices(const char *const *choices, char *text, size_t room)
{
    size_t used = 0;
    text[0] = '\0';
    for (int i = 0; choices[i] && used < room; i++)
        used += (size_t)snprintf(text + used, room - used, "%s%s", i ? ", " : "", choices[i]);
}

static bool parse_number(const char *text, double *value)
{
    char *end;
    errno = 0;
    *value = strtod(text, &end);
    return *text && *end == '\0' && errno == 0 && isfinite(*value);
}

static int set_choice(const char *name, const char *const *choices, const char *text, double *value,
                      char *error, size_t room)
{
    int index = choice_index(choices, text);
    if (index < 0) {
        char list[160];
        list_choices(choices, list, sizeof list);
        snprintf(error, room, "%s: expected one of %s; found '%s'", name, list, text);
        return -1;
    }
    *value = index;
    return 0;
}

static int set_field(struct assay_config *c, const struct config_field *f, const char *text,
                     char *error, size_t room)
{
    char *at = (char *)c + f->offset;
    double value;
    switch (f->type) {
    case FIELD_CHOICE:
        if (set_choice(f->name, f->choices, text, &value, error, room) != 0)
            return -1;
        *(int *)(void *)at = (int)value;
        return 0;
    case FIELD_BOOL:
        if (strcmp(text, "0") != 0 && strcmp(text, "1") != 0) {
            snprintf(error, room, "%s: expected 0 or 1; found '%s'", f->name, text);
            return -1;
        }
        *(bool *)(void *)at = text[0] == '1';
        return 0;
    case FIELD_SIZE:
        if (!parse_number(text, &value) || value < 0 || value > 1e9
            || value != (double)(size_t)value) {
            snprintf(error, room, "%s: expected a whole number from 0 to 1000000000; found '%s'",
                     f->name, text);
            return -1;
        }
        *(size_t *)(void *)at = (size_t)value;
        return 0;
    default:
        if (!parse_number(text, &value)) {
            snprintf(error, room, "%s: expected a finite number; found '%s'", f->name, text);
            return -1;
        }
        *(double *)(void *)at = value;
        return 0;
    }
}

static int set_one(struct assay_config *c, const struct assay_variant *variant, const char *name,
                   const char *text, char *error, size_t room)
{
    int index;
    const struct variant_hyper *h = NULL;
    if (variant && variant_by_hyper(variant, name, &index))
        h = &variant->hypers[index];
    if (h && h->choices)
        return set_choice(name, h->choices, text, &c->hyper[index], error, room);
    if (h) {
        if (!parse_number(text, &c->hyper[index])) {
            snprintf(error, room, "%s: expected a finite number; found '%s'", name, text);
            return -1;
        }
        return 0;
    }
    const struct config_field *f = field_find(name);
    if (!f) {
        snprintf(error, room, "'%s' is neither a field of the model nor a hyper-parameter of %s",
                 name, variant ? variant->id : "the reference");
        return -1;
    }
    if (strcmp(name, "preset") == 0) {
        double preset;
        if (set_choice(name, presets, text, &preset, error, room) != 0)
            return -1;
        double kept[CONFIG_HYPERS_MAX];
        memcpy(kept, c->hyper, sizeof kept);
        preset_defaults(c, (int)preset);
        memcpy(c->hyper, kept, sizeof kept);
        return 0;
    }
    return set_field(c, f, text, error, room);
}

static int set_all(struct assay_config *c, const struct assay_variant *variant,
                   const char *overrides, char *error, size_t room)
{
    const char *at = overrides ? overrides : "";
    for (;;) {
        at += strspn(at, " ,\t\n");
        if (!*at)
            return 0;
        size_t length = strcspn(at, " ,\t\n");
        char word[128];
        if (length >= sizeof word) {
            snprintf(error, room, "expected name=value of at most 127 characters; found '%.40s...'",
                     at);
            return -1;
        }
        memcpy(word, at, length);
        word[length] = '\0';
        at += length;
        char *equals = strchr(word, '=');
        if (!equals || equals == word) {
            snprintf(error, room, "expected name=value; found '%s'", word);
            return -1;
        }
        *equals = '\0';
        if (set_one(c, variant, word, equals + 1, error, room) != 0)
            return -1;
    }
}

/* Sizes that follow from others, and what the variant makes of the configuration. */
static int derive(struct assay_config *c, const struct assay_variant *variant, char *error,
                  size_t room)
{
    if (!c->key_heads)
        c->key_heads = c->heads;
    if (!c->head_width && c->heads) {
        if (c->width % c->heads) {
            snprintf(error, room,
                     "width: expected a multiple of heads unless head_width is given; found %zu "
                     "and %zu",
                     c->width, c->heads);
            return -1;
        }
        c->head_width = c->width / c->heads;
    }
    if (!c->stream)
        c->stream = c->width;
    if (variant && variant->resolve)
        variant->resolve(c);
    return 0;
}

int config_make(struct assay_config *c, const struct assay_variant *variant, const char *overrides,
                char *error, size_t room)
{
    preset_defaults(c, PRESET_PRE_LN);
    for (int i = 0; variant && variant->hypers && variant->hypers[i].name; i++)
        c->hyper[i] = variant->hypers[i].tiny;
    if (set_all(c, variant, overrides, error, room) != 0)
        return -1;
    return derive(c, variant, error, room);
}

static bool one_value(const struct assay_config *c, char *error, size_t room)
{
#define EXPECT(condition, ...) \
    do { \
        if (!(condition)) { \
            snprintf(error, room, __VA_ARGS__); \
            return false; \
        } \
    } while (0)
    EXPECT(c->vocab >= 1 && c->vocab <= 1 << 24, "vocab: expected 1 to 16777216; found %zu",
           c->vocab);
    EXPECT(c->inputs == INPUTS_IDS
               || (c->values >= 1
                   && ((c->frame == FRAME_ENCODER && c->head == HEAD_CLASSIFY)
                       || c->frame == FRAME_ENCODER_DECODER)),
           "inputs: expected values of at least 1, and frame=encoder with head=classify or "
           "frame=encoder_decoder, with inputs=values");
    EXPECT(c->classes >= 1, "classes: expected at least 1; found 0");
    EXPECT(c->length >= 1 && c->length <= 1 << 20, "length: expected 1 to 1048576; found %zu",
           c->length);
    EXPECT(c->target_length <= 1 << 20, "target_length: expected 0 to 1048576; found %zu",
           c->target_length);
    EXPECT(c->stream >= 1 && c->stream <= c->width, "stream: expected 1 to width %zu; found %zu",
           c->width, c->stream);
    EXPECT(c->width >= 1 && c->width <= 1 << 16, "width: expected 1 to 65536; found %zu", c->width);
    EXPECT(c->layers <= 4096 && c->decoder_layers <= 4096,
           "layers and decoder_layers: expected at most 4096; found %zu and %zu", c->layers,
           c->decoder_layers);
    EXPECT(c->heads >= 1 && c->head_width >= 1,
           "heads and head_width: expected at least 1; found %zu and %zu", c->heads, c->head_width);
    EXPECT(c->key_heads >= 1 && c->heads % c->key_heads == 0,
           "key_heads: expected a divisor of heads; found %zu and %zu", c->key_heads, c->heads);
    EXPECT(c->hidden >= 1, "hidden: expected at least 1; found 0");
    EXPECT(c->norm_eps > 0, "norm_eps: expected a positive number; found %g", c->norm_eps);
    EXPECT(c->embed_deviation >= 0 && c->position_deviation >= 0 && c->weight_deviation >= 0,
           "embed_deviation, position_deviation, weight_deviation: expected at least 0; found %g, "
           "%g, %g",
           c->embed_deviation, c->position_deviation, c->weight_deviation);
    EXPECT(c->rotary_base > 1, "rotary_base: expected more than 1; found %g", c->rotary_base);
    EXPECT(c->dropout >= 0 && c->dropout < 1, "dropout: expected 0 <= rate < 1; found %g",
           c->dropout);
    EXPECT(c->attention_dropout >= 0 && c->attention_dropout < 1,
           "attention_dropout: expected 0 <= rate < 1; found %g", c->attention_dropout);
    EXPECT(c->rotary_width <= c->head_width && c->rotary_width % 2 == 0,
           "rotary_width: expected an even number up to head_width %zu; found %zu", c->head_width,
           c->rotary_width);
    EXPECT(c->position != POSITION_ROTARY || c->rotary_width || c->head_width % 2 == 0,
           "head_width: expected an even number with rotary positions; found %zu", c->head_width);
    EXPECT(c->buckets >= 4 && c->buckets % 2 == 0 && c->bucket_distance > c->buckets / 2,
           "buckets: expected an even number of at least 4 and bucket_distance above its half; "
           "found %zu and %zu",
           c->buckets, c->bucket_distance);
    EXPECT(c->frame == FRAME_ENCODER || c->head == HEAD_LANGUAGE || c->frame == FRAME_DECODER,
           "head: expected language with frame=encoder_decoder");
    EXPECT(!c->tie_embedding || c->head == HEAD_LANGUAGE,
           "tie_embedding: expected 0 unless head=language");
    EXPECT(c->attention_dropout <= 0 || c->explicit_attention,
           "attention_dropout: expected explicit_attention=1 beside it");
    return true;
#undef EXPECT
}

static const char *unmet_need(const struct assay_config *c, unsigned needs)
{
    if (needs & NEEDS_KEYS_PER_HEAD && c->key_heads != c->heads)
        return "key_heads: expected as many as heads";
    if (needs & NEEDS_NO_BIAS && (c->position == POSITION_ALIBI || c->position == POSITION_T5))
        return "position: expected no bias of the scores";
    if (needs & NEEDS_ONE_STACK && c->frame == FRAME_ENCODER_DECODER)
        return "frame: expected encoder or decoder: the paper has no cross-attention";
    return NULL;
}

int config_check(const struct assay_config *c, const struct assay_variant *variant, char *error,
                 size_t room)
{
    if (!one_value(c, error, room))
        return -1;
    for (int i = 0; variant && variant->hypers && variant->hypers[i].name; i++) {
        const struct variant_hyper *h = &variant->hypers[i];
        if (h->legal && !h->legal(c->hyper[i])) {
            snprintf(error, room, "%s: %s: expected %s; found %g", variant->id, h->name,
                     h->legal_text, c->hyper[i]);
            return -1;
        }
    }
    const char *fault = variant ? unmet_need(c, variant->needs) : NULL;
    fault = fault || !variant || !variant->legal ? fault : variant->legal(c);
    if (fault) {
        snprintf(error, room, "%s: %s", variant->id, fault);
        return -1;
    }
    return 0;
}

void config_text(const struct assay_config *c, const struct config_field *f, char *text,
                 size_t room)
{
    const void *at = (const char *)c + f->offset;
    switch (f->type) {
    case FIELD_CHOICE:
        snprintf(text, room, "%s", f->choices[*(const int *)at]);
        break;
    case FIELD_BOOL:
        snprintf(text, room, "%d", *(const bool *)at);
        break;
    case FIELD_SIZE:
        snprintf(text, room, "%zu", *(const size_t *)at);
        break;
    default:
        snprintf(text, room, "%.17g", *(const double *)at);
        break;
    }
}

bool at_least_one(double x)
{
    return x >= 1 && x <= 1e9 && x == (double)(long)x;
}
bool is_whole(double x)
{
    return x == 0 || at_least_one(x);
}
bool positive(double x)
{
    return x > 0;
}
bool not_negative(double x)
{
    return x >= 0;
}
bool is_fraction(double x)
{
    return x >= 0 && x < 1;
}
bool is_flag(double x)
{
    return x == 0 || x == 1;
}

bool is_choice(double x)
{
    return x >= 0;
}

size_t config_tokens(const struct assay_config *c)
{
    size_t most = c->target_length > c->length ? c->target_length : c->length;
    return most + (c->pool == POOL_CLS && c->head == HEAD_CLASSIFY);
}

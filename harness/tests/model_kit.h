/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of the reference model share: small models in every setting, and their logits. */
#ifndef ASSAY_MODEL_KIT_H
#define ASSAY_MODEL_KIT_H

#include <stdlib.h>
#include <string.h>

#include "harness/tests/tap.h"
#include "ref/model.h"

/* Weights large enough that every part is felt. */
#define TINY \
    "vocab=13 length=9 width=8 heads=2 hidden=12 layers=2 decoder_layers=2 classes=3 " \
    "weight_deviation=0.3 embed_deviation=0.5"
enum { SAMPLES = 2, LENGTH = 7 };

/* each: the gradient is tried tensor by tensor. */
struct setting {
    const char *name, *overrides;
    bool each;
};

static bool make(struct assay_model *m, const struct assay_kernels *kernels,
                 const struct assay_variant *variant, const char *overrides,
                 struct assay_batch **batch)
{
    struct assay_config c;
    char text[512], error[512] = "";
    /* preset= resets everything, so it has to come first. */
    size_t preset = strncmp(overrides, "preset=", 7) == 0 ? strcspn(overrides, " ") : 0;
    snprintf(text, sizeof text, "%.*s " TINY " %s", (int)preset, overrides, overrides + preset);
    if (config_make(&c, variant, text, error, sizeof error) != 0
        || !(*batch = batch_random(variant, &c, SAMPLES, LENGTH, 3))) {
        diag("%s: %s", text, error);
        return false;
    }
    if (model_open(m, kernels, variant, &c, *batch, 5, error, sizeof error) == 0)
        return true;
    diag("%s: %s", text, error);
    batch_free(*batch);
    return false;
}

/* The logits as binary64 numbers; NULL after an error. *count: how many. */
static double *logits_of(struct assay_model *m, const struct assay_batch *batch,
                         struct assay_decode *decode, size_t *count)
{
    tape t;
    tape_open(&t, m->kernels);
    t.recording = false;
    struct assay_pass pass = {
        .model = m, .t = &t, .batch = batch, .denominator = 1, .decode = decode};
    tensor y = model_forward(&pass);
    double *values = NULL;
    *count = elements_of(y);
    if (tape_error(&t)) {
        diag("%s", tape_error(&t));
    } else {
        values = malloc((*count + 1) * sizeof *values);
        tensor_read(&t, y, values);
    }
    tape_close(&t);
    return values;
}

static bool equal(const double *a, const double *b, size_t n)
{
    return a && b && memcmp(a, b, n * sizeof *a) == 0;
}

static const struct setting settings[] = {
    {"pre-LN encoder", "preset=pre_ln", true},
    {"pre-LN encoder, class token", "preset=pre_ln pool=cls", false},
    {"pre-LN encoder, class token without a position", "preset=pre_ln pool=cls cls_position=0",
     false},
    {"pre-LN encoder, first token", "preset=pre_ln pool=first head_hidden=6", false},
    {"pre-LN encoder, the benchmark's",
     "preset=pre_ln position=sinusoidal pool=cls weights=xavier activation=gelu_tanh "
     "attention_bias=0 "
     "output_bias=0 head_hidden=12 embed_deviation=1 norm_eps=1e-6",
     false},
    {"post-LN encoder", "preset=post_ln", true},
    {"post-LN decoder", "preset=post_ln frame=decoder head=language pad_is_zero=0", false},
    {"pre-LN decoder", "preset=pre_ln frame=decoder head=language pad_is_zero=0", false},
    {"Llama decoder", "preset=llama", true},
    {"Llama decoder, one key head, interleaved pairs, half rotated",
     "preset=llama key_heads=1 rotary_interleaved=1 rotary_width=2", false},
    {"Llama encoder", "preset=llama frame=encoder head=classify", false},
    {"T5 encoder-decoder", "preset=t5 buckets=6 bucket_distance=5", true},
    {"T5 encoder", "preset=t5 frame=encoder buckets=6 bucket_distance=5", false},
    {"pre-LN encoder-decoder", "preset=pre_ln frame=encoder_decoder head=language", false},
    {"post-LN encoder-decoder, tied, scaled embedding",
     "preset=post_ln frame=encoder_decoder head=language tie_embedding=1 scale_embedding=1 "
     "position=sinusoidal",
     false},
    {"Llama encoder-decoder", "preset=llama frame=encoder_decoder", false},
    {"values to tokens", "preset=post_ln frame=encoder_decoder head=language inputs=values values=3", false},
    {"no positions", "preset=pre_ln position=none", false},
    {"rotary encoder", "preset=pre_ln position=rotary", false},
    {"ALiBi encoder, 3 heads", "preset=pre_ln position=alibi heads=3 head_width=4", false},
    {"ALiBi decoder", "preset=pre_ln position=alibi frame=decoder head=language pad_is_zero=0",
     false},
    {"T5 positions, decoder",
     "preset=pre_ln position=t5 buckets=4 bucket_distance=4 frame=decoder head=language "
     "pad_is_zero=0",
     false},
    {"no norms, ReLU, gated", "preset=pre_ln norm=none final_norm=0 activation=relu gated=1",
     false},
    {"two towers", "preset=pre_ln head=two_tower pool=first head_hidden=6", false},
    {"two towers, interactions", "preset=pre_ln head=two_tower pool=mean head_hidden=6 nli=1",
     false},
    {"two towers, class token asked for", "preset=pre_ln head=two_tower pool=cls", false},
};
enum { SETTINGS = sizeof settings / sizeof *settings };

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* The reference model, token by token: decoding, causality, padding. */
#include "harness/tests/model_kit.h"

/* Tokens first .. first + n - 1 of the input that grows; the others as they are. */
static void step_batch(const struct assay_batch *all, const char *grows, size_t first, size_t n,
                       int32_t *ids, struct assay_batch *step)
{
    *step = *all;
    for (int i = 0; i < step->inputs; i++) {
        const int32_t *from = all->input[i].data;
        if (strcmp(all->input[i].name, grows) != 0)
            continue;
        for (size_t s = 0; s < SAMPLES; s++)
            memcpy(ids + s * n, from + s * LENGTH + first, n * sizeof *ids);
        step->input[i].data = ids;
        step->input[i].shape = SHAPE(SAMPLES, n);
    }
}

/* chunk: tokens of the first call; then one at a time. */
static bool decodes(const char *overrides, enum assay_profile profile, size_t chunk)
{
    struct assay_model m;
    struct assay_batch *batch;
    if (!make(&m, assay_kernels_cpu(profile, NULL), NULL, overrides, &batch))
        return false;
    for (int i = 0; i < batch->inputs; i++) /* no padding: what a decoder is given is there */
        for (size_t j = 0; j < shape_elements(batch->input[i].shape); j++) {
            int32_t *id = (int32_t *)(uintptr_t)batch->input[i].data + j;
            *id = *id ? *id : 1;
        }
    size_t n, row = m.config.vocab;
    double *parallel = logits_of(&m, batch, NULL, &n);
    struct assay_decode *decode = decode_open(m.kernels, LENGTH + 1);
    bool holds = parallel && n == SAMPLES * LENGTH * row;
    for (size_t at = 0, tokens = chunk; holds && at < LENGTH; at += tokens, tokens = 1) {
        struct assay_batch step;
        int32_t ids[SAMPLES * LENGTH];
        step_batch(batch, m.config.frame == FRAME_ENCODER_DECODER ? "target_ids" : "ids", at,
                   tokens, ids, &step);
        double *y = logits_of(&m, &step, decode, &n);
        holds = y && n == SAMPLES * tokens * row;
        for (size_t s = 0; holds && s < SAMPLES; s++)
            holds = equal(y + s * tokens * row, parallel + (s * LENGTH + at) * row, tokens * row);
        if (y && !holds)
            diag("%s: differs at token %zu", overrides, at);
        free(y);
    }
    holds = holds && decode_position(decode) == LENGTH && decode_bytes(decode) > 0;
    decode_close(decode);
    free(parallel);
    batch_free(batch);
    model_close(&m);
    return holds;
}

static void decoding(void)
{
    for (int i = 0; i < SETTINGS; i++) {
        const char *o = settings[i].overrides;
        bool llama = strcmp(o, "preset=llama") == 0 || strstr(o, "key_heads"),
             t5 = strncmp(o, "preset=t5 buckets", 17) == 0;
        if (!llama && !t5 && !strstr(o, "frame=decoder") && !strstr(o, "frame=encoder_decoder"))
            continue;
        ok(decodes(o, ASSAY_F32, 1) && decodes(o, ASSAY_F64, 1),
           "%s: token by token gives the bits of the parallel form", settings[i].name);
        ok(decodes(o, ASSAY_F32, 3), "%s: so does a prompt of three tokens, then one at a time",
           settings[i].name);
    }
}

/* ---- causality and padding ---- */

static void causal_or_not(const char *overrides, bool causal, const char *name)
{
    struct assay_model m;
    struct assay_batch *batch;
    if (!make(&m, assay_kernels_def(ASSAY_F32), NULL, overrides, &batch)) {
        ok(false, "%s", name);
        return;
    }
    size_t n, row = m.config.vocab, changed = 4;
    double *before = logits_of(&m, batch, NULL, &n);
    int32_t *ids =
        (int32_t *)(uintptr_t)batch->input[m.config.frame == FRAME_ENCODER_DECODER ? 1 : 0].data;
    ids[changed] = ids[changed] % 12 + 1;
    double *after = logits_of(&m, batch, NULL, &n);
    bool earlier = equal(before, after, changed * row),
         later = !equal(before + changed * row, after + changed * row, row);
    ok(later && earlier == causal, "%s: changing a token %s", name,
       causal ? "leaves all earlier outputs as they were" : "is seen by earlier outputs");
    free(before);
    free(after);
    batch_free(batch);
    model_close(&m);
}

/* More padding behind: the outputs of the tokens stay, bit by bit. */
static void padding(const char *position)
{
    enum { MORE = 9 };
    struct assay_model m;
    struct assay_batch *batch;
    char overrides[160];
    snprintf(overrides, sizeof overrides,
             "preset=pre_ln head=language buckets=6 bucket_distance=5 position=%s", position);
    if (!make(&m, assay_kernels_cpu(ASSAY_F32, NULL), NULL, overrides, &batch)) {
        ok(false, "padding, %s positions", position);
        return;
    }
    int32_t ids[SAMPLES * MORE] = {0}, target[SAMPLES * MORE] = {0};
    const int32_t *own = batch->input[0].data;
    for (size_t s = 0; s < SAMPLES; s++)
        memcpy(ids + s * MORE, own + s * LENGTH, LENGTH * sizeof *ids);
    struct assay_batch longer = {2,
                                 {{"ids", ASSAY_I32, SHAPE(SAMPLES, MORE), ids},
                                  {"target", ASSAY_I32, SHAPE(SAMPLES, MORE), target}}};
    size_t n, n2, row = m.config.vocab, padded = 0;
    double *y = logits_of(&m, batch, NULL, &n), *y2 = logits_of(&m, &longer, NULL, &n2);
    bool holds = y && y2 && n2 == SAMPLES * MORE * row;
    for (size_t s = 0; holds && s < SAMPLES; s++)
        for (size_t i = 0; holds && i < LENGTH; i++) {
            padded += own[s * LENGTH + i] == 0;
            if (own[s * LENGTH + i] != 0)
                holds = equal(y + (s * LENGTH + i) * row, y2 + (s * MORE + i) * row, row);
        }
    ok(holds && padded > 0,
       "padding, %s positions: more of it leaves the tokens' outputs as they are", position);
    free(y);
    free(y2);
    batch_free(batch);
    model_close(&m);
}

int main(void)
{
    static const char *const positions[] = {"none",   "learned", "sinusoidal",
                                            "rotary", "alibi",   "t5"};
    decoding();
    causal_or_not("preset=llama", true, "Llama decoder");
    causal_or_not("preset=pre_ln frame=decoder head=language pad_is_zero=0", true,
                  "pre-LN decoder");
    causal_or_not("preset=t5", true, "T5 decoder");
    causal_or_not("preset=pre_ln head=language", false, "pre-LN encoder");
    for (size_t i = 0; i < sizeof positions / sizeof *positions; i++)
        padding(positions[i]);
    return done_testing();
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Random inputs for a configuration: what goldens and claims are computed on. */
#include <stdlib.h>
#include <string.h>

#include "ref/variant.h"

/* Ids 1 .. vocab - 1; where id 0 is padding, the last sample ends in a quarter of it. */
static void draw_ids(const struct assay_config *c, struct assay_rng *rng, size_t samples,
                     size_t length, int32_t *ids)
{
    for (size_t s = 0; s < samples; s++)
        for (size_t i = 0; i < length; i++) {
            int32_t id =
                c->vocab > 1 ? 1 + (int32_t)assay_rng_below(rng, (uint32_t)(c->vocab - 1)) : 0;
            bool padded =
                c->pad_is_zero && s + 1 == samples && length >= 4 && i >= length - length / 4;
            ids[s * length + i] = padded ? 0 : id;
        }
}

void *batch_add(struct assay_batch *b, const char *name, enum assay_type type,
                struct assay_shape shape)
{
    size_t bytes = shape_elements(shape) * sizeof(int32_t), length = strlen(name) + 1;
    char *data = b->inputs < ASSAY_INPUTS_MAX ? calloc(bytes + length, 1) : NULL;
    if (!data)
        return NULL;
    char *own = memcpy(data + bytes, name, length);
    b->input[b->inputs++] = (struct assay_input){own, type, shape, data};
    return data;
}

static bool add_ids(struct assay_batch *b, const char *name, const struct assay_config *c,
                    struct assay_rng *rng, size_t samples, size_t length)
{
    int32_t *ids = batch_add(b, name, ASSAY_I32, SHAPE(samples, length));
    if (!ids)
        return false;
    draw_ids(c, rng, samples, length, ids);
    return true;
}

/* Normal numbers [samples, length, values], in binary32. */
static bool add_values(struct assay_batch *b, const struct assay_config *c, struct assay_rng *rng,
                       size_t samples, size_t length)
{
    struct assay_shape shape = SHAPE(samples, length, c->values);
    void *data = batch_add(b, "values", ASSAY_REAL, shape);
    assay_rng_normals(rng, data ? shape_elements(shape) : 0, data);
    return data != NULL;
}

/* Labels, or targets: the next id, and for the last position a random one. */
static bool add_answers(struct assay_batch *b, const struct assay_config *c, struct assay_rng *rng,
                        size_t samples, size_t length)
{
    int32_t *answer;
    if (c->head != HEAD_LANGUAGE) {
        answer = batch_add(b, "label", ASSAY_I32, SHAPE(samples));
        if (!answer)
            return false;
        for (size_t s = 0; s < samples; s++)
            answer[s] = (int32_t)assay_rng_below(rng, (uint32_t)c->classes);
        return true;
    }
    const int32_t *ids = b->input[b->inputs - 1].data;
    answer = batch_add(b, "target", ASSAY_I32, SHAPE(samples, length));
    if (!answer)
        return false;
    for (size_t s = 0; s < samples; s++)
        for (size_t i = 0; i < length; i++)
            answer[s * length + i] = i + 1 < length
                                         ? ids[s * length + i + 1]
                                         : (int32_t)assay_rng_below(rng, (uint32_t)c->vocab);
    return true;
}

struct assay_batch *batch_random(const struct assay_variant *variant, const struct assay_config *c,
                                 size_t samples, size_t length, uint64_t seed)
{
    struct assay_batch *b = calloc(1, sizeof *b);
    struct assay_rng rng;
    if (!b)
        return NULL;
    assay_rng_named(&rng, seed, "batch");
    bool made = c->inputs == INPUTS_VALUES ? add_values(b, c, &rng, samples, length)
                                           : add_ids(b, "ids", c, &rng, samples, length);
    if (made && c->head == HEAD_TWO_TOWER)
        made = add_ids(b, "ids2", c, &rng, samples, length);
    if (c->frame == FRAME_ENCODER_DECODER && c->target_length)
        length = c->target_length;
    if (made && c->frame == FRAME_ENCODER_DECODER)
        made = add_ids(b, "target_ids", c, &rng, samples, length);
    made = made && add_answers(b, c, &rng, samples, length);
    if (made && variant && variant->inputs)
        made = variant->inputs(b, c, &rng, samples, length);
    if (made)
        return b;
    batch_free(b);
    return NULL;
}

void batch_clear(struct assay_batch *b)
{
    for (int i = 0; i < b->inputs; i++)
        free((void *)(uintptr_t)b->input[i].data);
    b->inputs = 0;
}

void batch_free(struct assay_batch *b)
{
    if (b)
        batch_clear(b);
    free(b);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by the files of ref/model/: not for variants. */
#ifndef ASSAY_MODEL_INTERNAL_H
#define ASSAY_MODEL_INTERNAL_H

#include "ref/model.h"
#include "ref/variant.h"

/* NULL without memory. */
const struct assay_entry *registry_add(struct assay_model *m, enum assay_kind kind,
                                       const char *name, struct assay_shape shape,
                                       struct assay_init init);
void slots_override(struct assay_slots *slot, const struct assay_variant *variant);

/* Puts the variant and the layer's path in front of the tape's messages. */
void say_where(layer *l);
/* Reports under the layer's path, as the tape's error. */
void layer_fail(layer *l, const char *what, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* While decoding: the state that an earlier step carried, whatever its shape. */
tensor carried_on(layer *l, const char *name);

/* The frame's parts (ref/model/), each the reference's filling of a slot. */
tensor reference_embed(layer *l);
tensor reference_position(layer *l, tensor x);
tensor reference_norm(layer *l, tensor x);
tensor reference_linear(layer *l, tensor x, size_t out, bool bias);
tensor reference_mixer(layer *l, tensor x, tensor memory);
tensor reference_ffn(layer *l, tensor x);
tensor reference_residual(layer *l, tensor x, tensor y);
tensor reference_block(layer *l, tensor x);
tensor reference_stack(layer *l, tensor x);
tensor reference_head(layer *l, tensor x);
tensor reference_loss(layer *l, tensor y, double denominator);

/* Positions (ref/model/positions.c): the sinusoids' table;
 * bias of the scores, [1, h, n, n_k], or NONE. */
tensor sinusoid_table(layer *l, size_t rows, size_t width);
struct rotation rotary_tables(layer *l, size_t n, size_t width);
tensor position_bias(layer *l, size_t queries, size_t keys);

/* [b, n, d] -> [b, d] as the configuration pools. */
tensor pool_rows(layer *l, tensor x);

/* Encoder or decoder: blocks then final norm, under `path`. */
tensor run_stack(layer *l, const char *path, tensor x);
struct assay_init weight_init(const layer *l, size_t fan_in);

/* values [rows, columns] by INIT_ORTHOGONAL, in binary64; false without memory. */
bool orthogonal_rows(struct assay_rng *rng, size_t rows, size_t columns, bool equal_lengths,
                     double *values);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* Layers of the diffusion transformer (Peebles and Xie 2022, arXiv:2212.09748; facebookresearch/DiT): a
 * condition, made of time and class, shifts and scales what norms give and gates what is added
 * (adaLN-Zero):
 *
 *     c = MLP(features of t) + class row;   s_1 .. s_k = SiLU(c) W + b
 *     x = x + g1 Attention(LN(x) (1 + a1) + b1);   x = x + g2 MLP(LN(x) (1 + a2) + b2)
 */
#ifndef ASSAY_DIFFUSION_H
#define ASSAY_DIFFUSION_H

#include "ref/parts/images.h"

/* time [b] -> [b, channels]: cos(t w_i), then sin(t w_i), w_i = 10000^(-i / half), half = channels / 2. */
tensor time_features(tape *t, tensor time, size_t channels);
/* c [b, d]: time [b] real, label i32 [b] below classes; row `classes` of the table is no class. */
tensor diffusion_condition(layer *l, tensor time, tensor label, size_t classes, size_t channels);
/* c [b, d] -> `count` tensors [b, 1, d] of the layer "modulation"; its weights start at 0. */
void diffusion_modulation(layer *l, tensor condition, int count, tensor *part);
/* norm(x) (1 + scale) + shift.  x [b, n, d]; the norm has the layer's name. */
tensor diffusion_modulated(layer *l, const char *norm, tensor x, tensor shift, tensor scale);
/* pixels [b, H W, C] -> [b, n, d]: patches through a linear layer, plus the frozen table of rows and columns. */
tensor diffusion_tokens(layer *l, tensor pixels, struct grid g, size_t patch);
/* The last layer, modulated by c and starting at 0: x [b, n, d] -> pixels [b, H W, C]. */
tensor diffusion_pixels(layer *l, tensor x, tensor condition, struct grid g, size_t patch, size_t channels);

#endif

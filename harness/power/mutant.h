/* SPDX-License-Identifier: Apache-2.0 */
/* Mutants: wrong implementations, each a right one with one mistake that people make.
 *
 * A mutant is a mistake in a kernel, laid over any table (the definition's, or an honest one of a
 * lower precision), or in the configuration, or in which weights go where. It knows no element
 * type: mistakes are made by changing the arguments of the table below, or in binary64. */
#ifndef ASSAY_POWER_MUTANT_H
#define ASSAY_POWER_MUTANT_H

#include "ref/kernels.h"

/* Where a map is replaced by another one. */
enum { FORWARD = 1, BACKWARD = 2, BOTH = 3 };

struct mutant {
    const char *name; /* "norm.eps" */
    const char *what; /* the mistake, in one clause */
    /* One of these. */
    const char *configuration;                    /* fields that differ: "placement=post" */
    void (*kernels)(struct assay_kernels *table); /* replaces functions */
    void (*attention)(struct assay_attention *a); /* changes every call, forward and backward */
    struct {
        enum assay_map from, to;
        int where; /* 0: no map is replaced */
    } map;
    const char *exchanged[2]; /* parts of names of weights that change places */
    bool train;               /* runs as in training */
    bool single_only;         /* a fault in binary32 alone: lower precisions may compute so */
    const char *survives;     /* why it may go unseen; NULL: it may not */
};

extern const struct mutant assay_mutants[]; /* ends with a NULL name */
size_t assay_mutant_count(void);

/* The table with the mistake in it, of the calling thread until its next begin. `below` must stay.
 * Without a mistake in kernels: `below` itself. */
const struct assay_kernels *assay_mutant_begin(const struct assay_kernels *below,
                                               const struct mutant *mutant);
/* Whether a mistake had no memory since then: what was computed is worth nothing. */
bool assay_mutant_failed(void);

/* ---- what the files of mistakes use ---- */

const struct assay_kernels *below(void); /* the right table */
double element(const void *x, size_t i);
void element_set(void *x, size_t i, double value);
void *element_at(const void *x, size_t i);
/* n zeros until release(), at the end of the call that borrowed; NULL without memory. */
void *borrow(size_t n);
int32_t *borrow_i32(size_t n);
void release(void);
void *borrow_copy(size_t n, const void *x);
/* To the 11 significant bits with which tensor cores read binary32. */
void shorten(size_t n, void *x);
/* y (mode) x, rounded as the table rounds its results. */
void deliver(size_t n, const void *x, void *y, enum assay_mode mode);

/* Mistakes by subject. */
#define MISTAKE(name) void mistake_##name(struct assay_kernels *table)
MISTAKE(product_operand_transposed);
MISTAKE(product_gradient_transposed);
MISTAKE(product_input_gradient_transposed);
MISTAKE(product_last_term);
MISTAKE(product_last_row_stale);
MISTAKE(product_gradient_stored);
MISTAKE(product_tf32);
MISTAKE(sum_last_term);
MISTAKE(sum_gradient_stored);
MISTAKE(sum_subtracted_dropped);
MISTAKE(sum_subtracted_added);
MISTAKE(sum_bias_gradient_averaged);
MISTAKE(bias_missing);
MISTAKE(bias_twice);
MISTAKE(copy_gradient_stored);
MISTAKE(residual_missing);
MISTAKE(residual_halved);
MISTAKE(position_shifted);
MISTAKE(position_of_last);
MISTAKE(multiply_gradient);
MISTAKE(subtract_reversed);
MISTAKE(gather_shifted);
MISTAKE(scatter_overwrites);
MISTAKE(scatter_padding_dropped);
MISTAKE(scatter_last_dropped);
MISTAKE(select_ignored);
MISTAKE(masked_add_ignored);
MISTAKE(rotate_interleaved);
MISTAKE(rotate_backwards);
MISTAKE(rotate_gradient_forward);
MISTAKE(rotate_last_pair);
MISTAKE(rotate_shifted);
MISTAKE(rotate_sine_cosine);
MISTAKE(rotate_halves);
MISTAKE(scan_exclusive);
MISTAKE(scan_state_carried);
MISTAKE(scan_key_gradient);
MISTAKE(scan_value_gradient);
MISTAKE(scan_query_gradient);

MISTAKE(offset_missing);
MISTAKE(offset_larger);
MISTAKE(scale_gradient);
MISTAKE(divide_map_gradient);
MISTAKE(divide_mean_count);
MISTAKE(loss_count);
MISTAKE(gelu_quick);
MISTAKE(gelu_constants);
MISTAKE(gelu_density);
MISTAKE(silu_gradient);
MISTAKE(relu_gradient);
MISTAKE(relu_gradient_zero);
MISTAKE(relu_leaky);
MISTAKE(loss_base_two);
MISTAKE(loss_smoothed);
MISTAKE(loss_z);
MISTAKE(loss_target_shifted);
MISTAKE(loss_gradient_undivided);
MISTAKE(loss_gradient_last_row);
MISTAKE(loss_maximum);

MISTAKE(softmax_unmasked);
MISTAKE(softmax_base_two);
MISTAKE(softmax_no_subtraction);
MISTAKE(softmax_last_row_stale);

MISTAKE(norm_eps_tenth);
MISTAKE(norm_eps_missing);
MISTAKE(norm_eps_outside);
MISTAKE(norm_unbiased);
MISTAKE(norm_fast_root);
MISTAKE(norm_not_centred);
MISTAKE(norm_rms_centred);
MISTAKE(norm_gain_missing);
MISTAKE(norm_gain_missing_dx);
MISTAKE(norm_bias_missing);
MISTAKE(norm_gain_plus_one);
MISTAKE(norm_gain_gradient_plain);
MISTAKE(norm_gain_gradient_raw);
MISTAKE(norm_constant_statistics);
MISTAKE(norm_constant_mean);
MISTAKE(norm_wrong_axis);
MISTAKE(norm_stale_statistics);
MISTAKE(norm_gradient_last_row);

MISTAKE(attention_unnormalised);
MISTAKE(attention_wrong_axis);
MISTAKE(attention_heads_reversed);
MISTAKE(attention_no_subtraction);
MISTAKE(attention_gradient_unscaled);
#undef MISTAKE

/* Changes of every call of attention. */
#define CHANGE(name) void name(struct assay_attention *a)
CHANGE(attention_scaled_twice);
CHANGE(attention_unscaled);
CHANGE(attention_scaled_by_width);
CHANGE(attention_base_two);
CHANGE(attention_sees_next);
CHANGE(attention_not_causal);
CHANGE(attention_causal);
CHANGE(attention_not_itself);
CHANGE(attention_padding_seen);
CHANGE(attention_padding_asks);
CHANGE(attention_mask_shifted);
CHANGE(attention_mask_of_first);
CHANGE(attention_window);
CHANGE(attention_first_key_lost);
CHANGE(attention_stale_key);
CHANGE(attention_stale_value);
CHANGE(attention_key_heads_turned);
CHANGE(attention_bias_missing);
CHANGE(attention_bias_scaled);
CHANGE(attention_bias_transposed);
CHANGE(attention_bias_heads_reversed);
CHANGE(attention_no_query_gradient);
CHANGE(attention_no_key_gradient);
CHANGE(attention_no_value_gradient);
CHANGE(attention_no_bias_gradient);
CHANGE(attention_tf32);
#undef CHANGE

/* The definition of a mistake that replaces one function of the table. */
#define REPLACES(name, function, wrong) \
    void mistake_##name(struct assay_kernels *table) \
    { \
        table->function = wrong; \
    }

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* Outside vectors: mapping another code's tensors to ours, and meeting
 * its outputs and gradients. */
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ref/claim.h"

/* binary64: what is left of two correct computations of a small model in different orders. */
static const double meets_f64 = 1e-9;
/* binary32: F of the verdict's rule, in units of roundoff. */
static const double floor_units = 8;

struct matrix {
    size_t rows, columns, taps;
};

/* Their tensor as a matrix after taking `index` of the stack: the last axis against the rest, or
 * the others against the first where a convolution is transposed. */
static struct matrix matrix_of(struct assay_shape shape, bool stacked, bool transposed)
{
    size_t elements = shape_elements(shape);
    if (stacked)
        elements /= shape.dim[0] ? shape.dim[0] : 1;
    int first = stacked ? 1 : 0;
    size_t columns = shape.rank > first + 1 ? shape.dim[shape.rank - 1] : 1, taps = 1;
    if (transposed && shape.rank >= first + 3) {
        for (int axis = first + 2; axis < shape.rank; axis++)
            taps *= shape.dim[axis];
        columns = shape.dim[first + 1] * taps;
    }
    return (struct matrix){columns ? elements / columns : 0, columns, taps};
}

/* The viewed numbers, allocated; their count in *elements, the largest magnitude of the whole
 * tensor in *scale. NULL (reported) if the view does not fit. */
static double *viewed(struct claim *c, const char *name, struct outside_view view, size_t *elements,
                      double *scale)
{
    struct assay_shape shape;
    const double *theirs = c->outside ? c->outside(c->archive, name, &shape) : NULL;
    if (!theirs) {
        claim_true(c, false, "the outside vectors have '%s'", name);
        return NULL;
    }
    bool stacked = view.index >= 0;
    struct matrix m = matrix_of(shape, stacked, view.transpose);
    size_t groups = view.groups ? view.groups : 1, each = m.rows / groups,
           count = view.count ? view.count : each, rows = groups * count;
    if ((stacked && (size_t)view.index >= shape.dim[0]) || view.from + count > each) {
        claim_true(c, false, "'%s' has element %ld and rows %zu to %zu", name, view.index,
                   view.from, view.from + count);
        return NULL;
    }
    *scale = 0;
    for (size_t i = 0; i < shape_elements(shape); i++)
        *scale = fmax(*scale, fabs(theirs[i]));
    theirs += stacked ? (size_t)view.index * m.rows * m.columns : 0;
    *elements = rows * m.columns;
    double *value = malloc((*elements + 1) * sizeof *value);
    for (size_t i = 0; value && i < rows; i++) {
        const double *row = theirs + (i / count * each + view.from + i % count) * m.columns;
        for (size_t j = 0; j < m.columns; j++) {
            size_t turned = j % m.taps * (m.columns / m.taps) + j / m.taps;
            value[view.transpose ? turned * rows + i : i * m.columns + j] = row[j];
        }
    }
    return value;
}

tensor outside_tensor(struct claim *c, tape *t, const char *name, struct outside_view view,
                      struct assay_shape shape)
{
    size_t elements;
    double scale, *value = viewed(c, name, view, &elements, &scale);
    tensor x = TENSOR_NONE;
    if (value && elements == shape_elements(shape))
        x = tape_variable_f64(t, shape, value);
    else if (value)
        claim_true(c, false, "'%s' has %zu elements, found %zu", name, shape_elements(shape),
                   elements);
    free(value);
    return x;
}

void outside_load(struct claim *c, struct assay_model *m, const char *entry, const char *name,
                  struct outside_view view)
{
    const struct assay_entry *e = m ? model_find(m, entry) : NULL;
    size_t elements;
    double scale, *value = e ? viewed(c, name, view, &elements, &scale) : NULL;
    if (!e)
        claim_true(c, false, "the model has '%s'", entry);
    else if (value && elements != e->elements)
        claim_true(c, false, "'%s' has the %zu elements of '%s', found %zu", name, e->elements,
                   entry, elements);
    else if (value)
        model_write_f64(m, e, value);
    free(value);
}

/* One name of the list in full; false (reported) if it is too long. */
static bool joined(struct claim *c, const char *prefix, const char *name, char full[160])
{
    bool fits = snprintf(full, 160, "%s%s", prefix, name) < 160;
    return fits || claim_true(c, false, "a name of at most 159 characters: '%s%s'", prefix, name);
}

void outside_load_all(struct claim *c, struct assay_model *m, const char *ours, const char *theirs,
                      const struct outside_name *list, long index)
{
    for (; list->ours; list++) {
        char entry[160], name[160];
        struct outside_view view = list->view;
        view.index = index >= 0 ? index : view.index;
        if (joined(c, ours, list->ours, entry) && joined(c, theirs, list->theirs, name))
            outside_load(c, m, entry, name, view);
    }
}

void outside_meet_gradients(struct claim *c, struct claim_pass *p, const char *ours,
                            const char *theirs, const struct outside_name *list, long index)
{
    for (; list->ours; list++) {
        char entry[160], name[160];
        struct outside_view view = list->view;
        view.index = index >= 0 ? index : view.index;
        if (joined(c, ours, list->ours, entry) && joined(c, theirs, list->theirs, name))
            outside_meets(c, claim_gradient(c, p, entry), name, NULL, view);
    }
}

const int32_t *outside_ids(struct claim *c, const char *name, struct assay_shape *shape)
{
    const double *theirs = c->outside ? c->outside(c->archive, name, shape) : NULL;
    int32_t *ids = theirs ? malloc((shape_elements(*shape) + 1) * sizeof *ids) : NULL;
    for (size_t i = 0; ids && i < shape_elements(*shape); i++)
        ids[i] = (int32_t)theirs[i];
    if (!ids)
        claim_true(c, false, "the outside vectors have '%s'", name);
    else
        claim_own(c, free, ids);
    return ids;
}

void outside_meets(struct claim *c, tensor ours, const char *name, const char *name32,
                   struct outside_view view)
{
    size_t elements, elements32;
    double scale, scale32;
    double *truth = viewed(c, name, view, &elements, &scale),
           *theirs = name32 ? viewed(c, name32, view, &elements32, &scale32) : NULL;
    double *value = ours ? malloc((elements_of(ours) + 1) * sizeof *value) : NULL;
    if (!truth || !value || elements != elements_of(ours) || (theirs && elements32 != elements)) {
        if (truth)
            claim_true(c, false, "'%s' has %zu elements, ours %zu", name, elements,
                       ours ? elements_of(ours) : 0);
    } else {
        double error = 0, error32 = 0;
        c->kernels->to_f64(elements, ours->data, value);
        for (size_t i = 0; i < elements; i++) {
            double d = fabs(value[i] - truth[i]);
            error = d > error || d != d ? d : error;
            error32 = theirs ? fmax(error32, fabs(theirs[i] - truth[i])) : 0;
        }
        double unit = (double)FLT_EPSILON / 2;
        double bound = c->kernels->profile == ASSAY_F64
                           ? meets_f64 * scale
                           : fmax(2 * error32, floor_units * unit * scale);
        claim_true(c, error <= bound && isfinite(scale), "meets %s: %.2g of scale (bound %.2g)",
                   name, scale > 0 ? error / scale : error, scale > 0 ? bound / scale : bound);
    }
    free(truth);
    free(theirs);
    free(value);
}

struct assay_input claim_input(struct claim *c, const char *name, struct assay_shape shape,
                               const double *values)
{
    const struct assay_kernels *kernels = assay_kernels_def(ASSAY_F32);
    size_t elements = shape_elements(shape);
    void *data = calloc(elements + 1, kernels->element);
    if (data && claim_own(c, free, data))
        kernels->from_f64(elements, values, data);
    return (struct assay_input){name, ASSAY_REAL, shape, data};
}

struct assay_batch *claim_batch_of(struct claim *c, int inputs, const struct assay_input *input)
{
    struct assay_batch *b = calloc(1, sizeof *b);
    if (!b || inputs > ASSAY_INPUTS_MAX) {
        free(b);
        claim_true(c, false, "memory");
        return NULL;
    }
    b->inputs = inputs;
    memcpy(b->input, input, (size_t)inputs * sizeof *input);
    claim_own(c, free, b);
    return b;
}

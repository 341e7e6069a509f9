/* SPDX-License-Identifier: Apache-2.0 */
/* Outside vectors of unified_norm.c: what other code computes, under its names.
 * The authors' hikvision-research/Unified-Normalization, one norm over training steps. */
#include <stdio.h>

#include "variants/outside.h"

enum { STEPS = 9 };

static void meets(struct claim *c, tensor ours, const char *section, const char *what, long step)
{
    char name[96], name32[96];
    snprintf(name, sizeof name, "%s/output/%s", section, what);
    snprintf(name32, sizeof name32, "%s/output32/%s", section, what);
    outside_meets(c, ours, name, name32, (struct outside_view){.index = step});
}

static void meet_gradient(struct claim *c, tensor ours, const char *section, const char *what,
                          long step)
{
    char name[96];
    snprintf(name, sizeof name, "%s/grad/%s", section, what);
    if (c->profile == ASSAY_F64)
        outside_meets(c, ours, name, NULL, (struct outside_view){.index = step});
}

/* After the step; the counter is a shape of its own. */
static void meet_state(struct claim *c, struct claim_pass *p, const char *section, long step)
{
    static const char *const names[][2] = {{"mean_square", "running_var"},
                                           {"slope", "ema_gz"},
                                           {"squares", "buffer_x2"},
                                           {"slopes", "buffer_gz"},
                                           {"outliers", "skip_counter"}};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const char *ours = tape_string(p->pass.t, "block.0.norm1.%s", names[i][0]);
        meets(c, model_tensor(p->pass.model, p->pass.t, ours), section, names[i][1], step);
    }
}

static struct claim_pass *meet_step(struct claim *c, struct assay_model *m, const char *section,
                                    const char *input, bool padded, long step)
{
    struct claim_pass *p = unified_norm_pass(c, m, 2, 5);
    struct outside_view view = {.index = step};
    struct assay_shape shape;
    if (!p)
        return NULL;
    tape *t = p->pass.t;
    layer l = claim_layer(c, p, "block.0.norm1");
    const int32_t *valid = padded ? outside_ids(c, "input/valid", &shape) : NULL;
    p->context->valid = valid ? tape_input_i32(t, shape, valid) : TENSOR_NONE;
    tensor x = outside_tensor(c, t, input, view, SHAPE(2, 5, 6));
    tensor dy = outside_tensor(c, t, "cotangent/y", view, SHAPE(2, 5, 6));
    tensor y = m->slot.norm(&l, x);
    meets(c, y, section, "y", step);
    claim_backward(c, p, 1, &y, &dy);
    if (!y || !x->gradient)
        return NULL;
    meet_gradient(c, tape_parameter(t, x->shape, x->gradient, NULL), section, "x", step);
    meet_gradient(c, claim_gradient(c, p, "block.0.norm1.gain"), section, "weight", step);
    meet_gradient(c, claim_gradient(c, p, "block.0.norm1.bias"), section, "bias", step);
    claim_settle(p);
    meet_state(c, p, section, step);
    return p;
}

static void meet_evaluation(struct claim *c, struct claim_pass *p, const char *section,
                            const char *input)
{
    layer l = claim_layer(c, p, "block.0.norm1");
    p->context->train = false;
    struct outside_view first = {.index = 0};
    tensor x = outside_tensor(c, p->pass.t, input, first, SHAPE(2, 5, 6));
    meets(c, p->pass.model->slot.norm(&l, x), section, "eval", -1);
}

void unified_norm_meets_the_module(struct claim *c)
{
    static const struct {
        const char *section, *input, *options;
    } ways[] = {{"plain", "input/x", ""},
                {"windows", "input/x", "window=3"},
                {"padded", "input/x", ""},
                {"filtered", "input/spike", "warmup=4 floor=4 filtration=1"},
                {"unfiltered", "input/spike", "warmup=4 floor=4"},
                {"single", "input/x", "window=1 gradient_window=1"}};
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        char text[160];
        snprintf(text, sizeof text, "width=6 heads=1 head_width=6 length=5 layers=1 %s",
                 ways[i].options);
        struct assay_model *m = claim_model(c, text);
        struct claim_pass *p = NULL;
        outside_load(c, m, "block.0.norm1.gain", "param/weight", AS_IT_IS);
        outside_load(c, m, "block.0.norm1.bias", "param/bias", AS_IT_IS);
        for (long step = 0; m && step < STEPS; step++)
            if (!(p = meet_step(c, m, ways[i].section, ways[i].input, i == 2, step)))
                return;
        if (p)
            meet_evaluation(c, p, ways[i].section, ways[i].input);
    }
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Outside vectors of muon.c: KellerJordan/Muon, the function of Newton-Schulz, one update, and five steps
 * of the optimizer with AdamW for the rest; all in the profile, and as released, in bfloat16. Their
 * matrices are [out, in], their convolutions [out, in, h, w]. */
#include <stdio.h>
#include <string.h>

#include "variants/outside.h"

enum { STEPS = 5, NAME = 96 };

static const struct parameter {
    const char *theirs, *ours;
    struct assay_shape shape; /* theirs */
} parameters[] = {
    {"tall", "hidden.weight", {2, {9, 4}}},   {"wide", "hidden.weight", {2, {4, 9}}},
    {"square", "hidden.weight", {2, {6, 6}}}, {"conv", "hidden.weight", {4, {5, 2, 3, 2}}},
    {"embed", "embed.token", {2, {6, 3}}},    {"bias", "hidden.bias", {1, {5}}},
};

/* Between their axes and ours, which are last first, but for a convolution's [h, w, in, out]. */
static const int to_ours[5][4] = {{0}, {0}, {1, 0}, {0}, {2, 3, 1, 0}},
                 to_theirs[5][4] = {{0}, {0}, {1, 0}, {0}, {3, 2, 0, 1}};

static tensor turned(tape *t, const struct parameter *p, tensor x, const int axes[5][4])
{
    return p->ours[0] == 'h' && rank_of(x) > 1 ? permute(t, x, axes[rank_of(x)]) : x;
}

/* Names of theirs: in binary64, and the other run, in binary32 or in bfloat16. */
static void meets(struct claim *c, tensor ours, bool half, const char *rest)
{
    char name[NAME], other[NAME + 8];
    snprintf(name, sizeof name, "%soutput/%s", rest[0] == 'f' ? "fn/" : "",
             rest[0] == 'f' ? rest + 3 : rest);
    if (half)
        snprintf(other, sizeof other, "bf16/%s", name);
    else
        snprintf(other, sizeof other, "%soutput32/%s", rest[0] == 'f' ? "fn/" : "",
                 rest[0] == 'f' ? rest + 3 : rest);
    outside_meets(c, ours, name, other, AS_IT_IS);
}

static void newton_schulz(struct claim *c, bool half)
{
    static const char *const input[] = {"tall", "wide", "square", "lowrank"};
    static const struct assay_shape shape[] = {{2, {9, 4}}, {2, {4, 9}}, {2, {6, 6}}, {2, {5, 4}}};
    for (int steps = 1; steps <= 5; steps += 4) {
        char text[NAME];
        snprintf(text, sizeof text, "iterations=%d bfloat16=%d", steps, half);
        struct claim_rule *r = claim_rule(c, text, "hidden.weight", SHAPE(1, 1));
        if (!r)
            return;
        for (int i = 0; i < 4; i++) {
            snprintf(text, sizeof text, "fn/input/%s", input[i]);
            tensor x = outside_tensor(c, r->t, text, AS_IT_IS, shape[i]);
            snprintf(text, sizeof text, "fn/ns%d/%s", steps, input[i]);
            meets(c, muon_orthogonalised(&r->u, x), half, text);
        }
        tensor both = outside_tensor(c, r->t, "fn/input/batched", AS_IT_IS, SHAPE(2, 3, 5)), y[2];
        for (size_t i = 0; both && i < 2; i++) {
            tensor x = reshape(r->t, slice(r->t, both, 0, i, 1), SHAPE(3, 5));
            y[i] = muon_orthogonalised(&r->u, x);
        }
        snprintf(text, sizeof text, "fn/ns%d/batched", steps);
        if (both)
            meets(c, concat(r->t, 0, 2, y), half, text);
    }
}

/* One direction, whose momentum was the parameter. */
static void one_update(struct claim *c, bool nesterov)
{
    const struct parameter *p = &parameters[0];
    struct claim_rule *r = claim_rule(c, nesterov ? "" : "nesterov=0", p->ours, SHAPE(4, 9));
    char text[NAME];
    if (!r)
        return;
    tensor momentum = outside_tensor(c, r->t, "param/tall", AS_IT_IS, p->shape);
    update_keep(&r->u, "momentum", turned(r->t, p, momentum, to_ours));
    states_commit(&r->states);
    tensor g = outside_tensor(c, r->t, "input/grad1/tall", AS_IT_IS, p->shape);
    tensor y = muon_direction(&r->u, turned(r->t, p, g, to_ours));
    states_commit(&r->states);
    snprintf(text, sizeof text, "fn/update_%s/tall", nesterov ? "nesterov" : "plain");
    meets(c, turned(r->t, p, y, to_theirs), false, text);
    snprintf(text, sizeof text, "fn/update_%s/momentum", nesterov ? "nesterov" : "plain");
    meets(c, turned(r->t, p, claim_state(r, "momentum"), to_theirs), false, text);
}

static void meets_states(struct claim *c, struct claim_rule *r, const struct parameter *p)
{
    static const char *const names[][2] = {
        {"momentum", "momentum_buffer"}, {"m", "exp_avg"}, {"v", "exp_avg_sq"}};
    for (size_t i = 0; i < r->states.count; i++)
        for (size_t k = 0; k < 3; k++) {
            char text[NAME];
            if (strcmp(r->states.state[i]->name, names[k][0]) != 0)
                continue;
            snprintf(text, sizeof text, "step%d/%s/%s", STEPS, names[k][1], p->theirs);
            tensor state = claim_state(r, names[k][0]);
            meets(c, turned(r->t, p, state, to_theirs), false, text);
        }
}

static void five_steps(struct claim *c, const struct parameter *p, bool half)
{
    struct assay_shape shape = p->shape;
    for (int i = 0; p->ours[0] == 'h' && i < shape.rank && shape.rank > 1; i++)
        shape.dim[i] = p->shape.dim[to_ours[shape.rank][i]];
    struct claim_rule *r = claim_rule(
        c, half ? "rest_rate=0.003 rest_decay=0.1 bfloat16=1" : "rest_rate=0.003 rest_decay=0.1",
        p->ours, shape);
    char text[NAME];
    if (!r)
        return;
    snprintf(text, sizeof text, "param/%s", p->theirs);
    tensor x = outside_tensor(c, r->t, text, AS_IT_IS, p->shape);
    x = turned(r->t, p, x, to_ours);
    for (size_t step = 1; step <= STEPS; step++) {
        snprintf(text, sizeof text, "input/grad%zu/%s", step, p->theirs);
        tensor g = outside_tensor(c, r->t, text, AS_IT_IS, p->shape);
        x = claim_update(r, x, turned(r->t, p, g, to_ours));
        snprintf(text, sizeof text, "step%zu/param/%s", step, p->theirs);
        meets(c, turned(r->t, p, x, to_theirs), half, text);
    }
    if (!half)
        meets_states(c, r, p);
}

void muon_meets_the_authors_optimizer(struct claim *c)
{
    for (int half = 0; half < (c->profile == ASSAY_F32 ? 2 : 1); half++) {
        newton_schulz(c, half);
        for (size_t i = 0; i < sizeof parameters / sizeof *parameters; i++)
            five_steps(c, &parameters[i], half);
    }
    one_update(c, true);
    one_update(c, false);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Outside vectors of mpnn_virtual_node.c: what other code computes, under its names.
 * The authors' Chen-Cai-OSU/MPNN-GT-Connection, its network without encoder and head: four graphs of
 * 7, 5, 4 and 3 nodes in a batch. */
#include <math.h>
#include <stdio.h>

#include "variants/outside.h"

enum { NODES = 19, EDGES = 38, GRAPHS = 4, WIDTH = 8, LAYERS = 3, NAME = 128 };

#define LINEAR(ours, theirs) \
    {ours ".weight", theirs ".weight", TRANSPOSED}, \
    { \
        ours ".bias", theirs ".bias", AS_IT_IS \
    }
#define NORM(ours, theirs) \
    {ours ".gain", theirs ".weight", AS_IT_IS}, \
    { \
        ours ".bias", theirs ".bias", AS_IT_IS \
    }
#define STATISTICS(ours, theirs) \
    {ours ".mean", theirs ".running_mean", AS_IT_IS}, \
    { \
        ours ".variance", theirs ".running_var", AS_IT_IS \
    }

/* Of layer i: "layer.i.", theirs "gnn_layers.i." or "mlp_virtualnode_list.i.". */
static const struct outside_name of_gine[] = {
    LINEAR("in", "model.nn.0"), LINEAR("out", "model.nn.2"), {0}};
static const struct outside_name of_gated[] = {LINEAR("A", "A"),
                                               LINEAR("B", "B"),
                                               LINEAR("C", "C"),
                                               LINEAR("D", "D"),
                                               LINEAR("E", "E"),
                                               NORM("node_norm", "bn_node_x"),
                                               NORM("edge_norm", "bn_edge_e"),
                                               {0}};
static const struct outside_name of_virtual[] = {LINEAR("virtual.in", "0"),
                                                 LINEAR("virtual.out", "3"),
                                                 NORM("virtual.norm1", "1"),
                                                 NORM("virtual.norm2", "4"),
                                                 {0}};
static const struct outside_name gine_buffers[] = {{"eps", "model.eps", AS_IT_IS}, {0}};
static const struct outside_name gated_statistics[] = {
    STATISTICS("node_norm", "bn_node_x"), STATISTICS("edge_norm", "bn_edge_e"), {0}};
static const struct outside_name virtual_statistics[] = {
    STATISTICS("virtual.norm1", "1"), STATISTICS("virtual.norm2", "4"), {0}};

struct network {
    const char *section, *weights, *overrides;
    bool gated, train;
};

/* Calls `with` for every tensor of the network: ours, theirs without their prefix. */
typedef void visit(struct claim *c, void *about, const char *ours, const char *theirs,
                   struct outside_view view);

static void each_of(struct claim *c, const struct outside_name *list, const char *their_list,
                    int layer_index, visit *with, void *about)
{
    for (; list->ours; list++) {
        char ours[NAME], theirs[NAME];
        snprintf(ours, sizeof ours, "layer.%d.%s", layer_index, list->ours);
        snprintf(theirs, sizeof theirs, "%s.%d.%s", their_list, layer_index, list->theirs);
        with(c, about, ours, theirs, list->view);
    }
}

static void each_parameter(struct claim *c, bool gated, visit *with, void *about)
{
    with(c, about, "virtual", "virtualnode_embedding.weight", AS_IT_IS);
    for (int i = 0; i < LAYERS; i++)
        each_of(c, gated ? of_gated : of_gine, "gnn_layers", i, with, about);
    for (int i = 0; i + 1 < LAYERS; i++)
        each_of(c, of_virtual, "mlp_virtualnode_list", i, with, about);
}

static void each_statistic(struct claim *c, bool gated, visit *with, void *about)
{
    for (int i = 0; gated && i < LAYERS; i++)
        each_of(c, gated_statistics, "gnn_layers", i, with, about);
    for (int i = 0; i + 1 < LAYERS; i++)
        each_of(c, virtual_statistics, "mlp_virtualnode_list", i, with, about);
}

struct met {
    struct assay_model *m;
    struct claim_pass *p;
    const char *prefix;
    double most;
};

static void load(struct claim *c, void *about, const char *ours, const char *theirs,
                 struct outside_view view)
{
    const struct met *m = about;
    const char *name = tape_string(m->p->pass.t, "%s%s", m->prefix, theirs);
    outside_load(c, m->m, ours, name, view);
}

static bool given(struct claim *c, const char *name)
{
    struct assay_shape shape;
    return c->outside && c->outside(c->archive, name, &shape);
}

static void weigh(struct claim *c, void *about, const char *ours, const char *theirs,
                  struct outside_view view)
{
    struct met *m = about;
    (void)ours;
    (void)view;
    const char *name = tape_string(m->p->pass.t, "%s%s", m->prefix, theirs);
    m->most = fmax(m->most, outside_largest(c, name));
}

static void meet_gradient(struct claim *c, void *about, const char *ours, const char *theirs,
                          struct outside_view view)
{
    const struct met *m = about;
    const char *name = tape_string(m->p->pass.t, "%s%s", m->prefix, theirs);
    if (given(c, name))
        outside_meets_gradient(c, claim_gradient(c, m->p, ours), name, m->most, view);
}

static void meet_statistic(struct claim *c, void *about, const char *ours, const char *theirs,
                           struct outside_view view)
{
    const struct met *m = about;
    const char *name = tape_string(m->p->pass.t, "%s%s", m->prefix, theirs);
    outside_meets(c, model_tensor(m->m, m->p->pass.t, ours), name, NULL, view);
}

static void meet_gradients(struct claim *c, const struct network *n, struct met *m, tensor x,
                           tensor e)
{
    tape *t = m->p->pass.t;
    m->prefix = tape_string(t, "%s/grad/", n->section);
    each_parameter(c, n->gated, weigh, m);
    each_parameter(c, n->gated, meet_gradient, m);
    tensor dx = tape_parameter(t, x->shape, x->gradient, NULL);
    outside_meets(c, dx, tape_string(t, "%sx", m->prefix), NULL, AS_IT_IS);
    tensor de = tape_parameter(t, e->shape, e->gradient, NULL);
    outside_meets(c, de, tape_string(t, "%sedge_attr", m->prefix), NULL, AS_IT_IS);
}

static bool read_graphs(struct claim *c, tape *t, struct graphs *g)
{
    struct assay_shape shape;
    const int32_t *edge = outside_ids(c, "input/edge_index", &shape),
                  *member = outside_ids(c, "input/batch", &shape);
    if (!edge || !member)
        return false;
    *g = (struct graphs){.count = GRAPHS};
    g->source = tape_input_i32(t, SHAPE(EDGES), edge);
    g->target = tape_input_i32(t, SHAPE(EDGES), edge + EDGES);
    g->member = tape_input_i32(t, SHAPE(NODES), member);
    return true;
}

static void meets_network(struct claim *c, const struct network *n)
{
    struct met m = {.most = 0};
    struct graphs g;
    m.m = claim_model(c, n->overrides);
    m.p = m.m ? claim_blank(c, m.m, claim_batch(c, m.m, 1, NODES, 1), GRAPHS, NODES) : NULL;
    tape *t = m.p ? m.p->pass.t : NULL;
    if (!t || !claim_updating(c, m.p) || !read_graphs(c, t, &g))
        return;
    m.prefix = tape_string(t, "%s/param/", n->weights);
    each_parameter(c, n->gated, load, &m);
    m.prefix = tape_string(t, "%s/buffer/", n->weights);
    each_statistic(c, n->gated, load, &m);
    for (int i = 0; !n->gated && i < LAYERS; i++)
        each_of(c, gine_buffers, "gnn_layers", i, load, &m);
    m.p->context->train = n->train;
    tensor x = outside_tensor(c, t, "input/x", AS_IT_IS, SHAPE(NODES, WIDTH));
    tensor e = outside_tensor(c, t, "input/edge_attr", AS_IT_IS, SHAPE(EDGES, WIDTH));
    tensor y[2], cotangent[2];
    layer l = claim_layer(c, m.p, "");
    y[1] = e;
    y[0] = mpnn_virtual_node_layers(&l, &g, x, &y[1]);
    if (!y[0]) {
        claim_true(c, false, "%s: %s", n->section, tape_error(t));
        return;
    }
    static const char *const what[] = {"x", "edge_attr"};
    for (int i = 0; i < 1 + n->gated; i++) {
        const char *name32 = tape_string(t, "%s/output32/%s", n->section, what[i]);
        outside_meets(c, y[i], tape_string(t, "%s/output/%s", n->section, what[i]), name32,
                      AS_IT_IS);
        const char *name = tape_string(t, "%s/cotangent/%s", n->section, what[i]);
        cotangent[i] = outside_tensor(c, t, name, AS_IT_IS, y[i]->shape);
    }
    if (c->profile != ASSAY_F64)
        return;
    m.prefix = tape_string(t, "%s/after/", n->section);
    if (n->train) {
        claim_settle(m.p);
        each_statistic(c, n->gated, meet_statistic, &m);
    }
    claim_backward(c, m.p, 1 + n->gated, y, cotangent);
    meet_gradients(c, n, &m, x, e);
}

void mpnn_virtual_node_meets_the_networks(struct claim *c)
{
#define SIZES "values=8 width=8 heads=1 layers=3 length=19 "
    static const struct network networks[] = {
        {"gine/train", "gine", SIZES "residual=1", false, true},
        {"gine/eval", "gine", SIZES "residual=1", false, false},
        {"gine_vnres/train", "gine", SIZES "vn_residual=1", false, true},
        {"gine_vnres/eval", "gine", SIZES "vn_residual=1", false, false},
        {"gated/train", "gated", SIZES "conv=gated residual=1", true, true},
        {"gated/eval", "gated", SIZES "conv=gated residual=1", true, false}};
    for (size_t i = 0; i < sizeof networks / sizeof *networks; i++)
        meets_network(c, &networks[i]);
}

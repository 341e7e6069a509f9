/* SPDX-License-Identifier: Apache-2.0 */
/* Finding papers, and the reference as a descriptor of its own. */
#include <string.h>

#include "ref/variant.h"

static const struct variant_setting reference_settings[] = {
    {"default", "preset=pre_ln"},
    {"post_ln", "preset=post_ln"},
    {"llama", "preset=llama"},
    {"grouped", "preset=llama heads=4 key_heads=2"},
    {"t5", "preset=t5"},
    {"decoder", "preset=pre_ln frame=decoder head=language pad_is_zero=0"},
    {"alibi", "preset=pre_ln frame=decoder head=language position=alibi pad_is_zero=0"},
    {"sinusoidal", "preset=pre_ln position=sinusoidal pool=cls weights=xavier activation=gelu_tanh "
                   "attention_bias=0 "
                   "output_bias=0 head_hidden=32 embed_deviation=1 norm_eps=1e-6"},
    {"two_tower", "preset=pre_ln head=two_tower pool=first head_hidden=16 nli=1"},
    {0},
};

static const struct variant_form reference_forms[] = {
    {"parallel", "explicit_attention=0", false, FORM_BITS, 0, NULL},
    {"explicit", "explicit_attention=1", false, FORM_BITS, 0,
     "the same chains; the probabilities are held"},
    {"decode", "explicit_attention=0", true, FORM_BITS, 0,
     "every row's chains are the same with a cache; lanes go by absolute position"},
    {0},
};

static const struct variant_property reference_properties[] = {
    {PROPERTY_CAUSAL, HOLDS_BITS, 0, "frame=decoder head=language pad_is_zero=0",
     "later keys are outside of the set"},
    {PROPERTY_CAUSAL, HOLDS_NO, 0, "frame=encoder", "bidirectional"},
    {PROPERTY_SAMPLE_INDEPENDENT, HOLDS_BITS, 0, NULL, "no op mixes samples"},
    {PROPERTY_PERMUTATION_EQUIVARIANT, HOLDS_ROUNDING, 0, "position=none frame=encoder",
     "sums change their order"},
    {PROPERTY_DIFFERENTIABLE, HOLDS_ROUNDING, 0, NULL, NULL},
    {0},
};

static struct variant_growth reference_growth(const struct assay_config *c)
{
    if (c->explicit_attention)
        return (struct variant_growth){2, 2, "the probabilities are held, n^2 for every head"};
    if (c->position == POSITION_ALIBI || c->position == POSITION_T5)
        return (struct variant_growth){2, 2, "the bias of the scores is held, n^2 for every head"};
    return (struct variant_growth){
        2, 1, "Vaswani et al. 2017, table 1: n^2 d per layer; here nothing of n^2 is held"};
}

const struct assay_variant assay_variant_reference = {
    .id = "reference",
    .title = "The transformer in four presets: pre-LN (GPT, ViT), post-LN (BERT), Llama-type, T5",
    .authors = "Vaswani et al. 2017 and the presets' papers",
    .idea =
        "The frame that every variant fills in differently: x + mixer(norm x), x + ffn(norm x).",
    .equations = "softmax(q k^T / sqrt(w)) v;  act(x W1 + b1) W2 + b2",
    .source = {"arXiv:1706.03762", NULL, "the papers; presets as in DESIGN", CONFIDENCE_HIGH},
    .kind = KIND_VARIANT,
    .family = "reference",
    .replaces = "nothing",
    .settings = reference_settings,
    .forms = reference_forms,
    .properties = reference_properties,
    .growth = reference_growth,
};

const char *const paper_or_lra[] = {"paper", "lra", NULL};

const struct assay_variant *variant_find(const char *id)
{
    if (strcmp(id, assay_variant_reference.id) == 0)
        return &assay_variant_reference;
    for (size_t i = 0; assay_variants[i]; i++)
        if (strcmp(assay_variants[i]->id, id) == 0)
            return assay_variants[i];
    return NULL;
}

bool variant_computes(const struct assay_variant *v, const struct assay_config *c)
{
    return v && v->compute && (!v->computes || v->computes(c));
}

bool variant_trains(const struct assay_variant *v, const struct variant_setting *s)
{
    struct assay_config config;
    char ignored[256];
    s = s ? s : v->settings;
    return s
           && (!v->compute
               || (config_make(&config, v, s->overrides, ignored, sizeof ignored) == 0
                   && !variant_computes(v, &config)));
}

struct variant_growth variant_growth(const struct assay_variant *v, const struct assay_config *c)
{
    if (v->grows.reason)
        return v->grows;
    return v->growth ? v->growth(c) : reference_growth(c);
}

const struct assay_variant *variant_by_hyper(const struct assay_variant *v, const char *name,
                                             int *index)
{
    for (int i = 0; v->hypers && v->hypers[i].name; i++)
        if (strcmp(v->hypers[i].name, name) == 0) {
            *index = i;
            return v;
        }
    return NULL;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Long Range Arena (Tay et al. 2021, arXiv:2011.04006): how each task is trained.
 *
 *     tiny    reduced sizes, tuned on the reference model alone: a cell in half a minute of one core
 *     small   longer samples, a small model: up to an hour of two cores
 *     paper   the benchmark's own, as its code has them */
#include "suites/presets.h"

/* The encoder that Long Range Arena gives to every mixer; sizes are added per task. */
#define ARENA \
    "preset=pre_ln position=sinusoidal weights=xavier activation=gelu_tanh attention_bias=0 " \
    "output_bias=0 embed_deviation=1 norm_eps=1e-6 "

/* One small layer for tokens that say little one by one: bytes and pixels. */
#define TINY ARENA "pool=mean width=32 heads=4 hidden=64 layers=1 head_hidden=64 "

#define SMALL ARENA "pool=mean width=64 heads=4 hidden=128 layers=2 head_hidden=128 "

#define DROPOUT "dropout=0.1 attention_dropout=0.1 explicit_attention=1"

/* Adam with decoupled decay (Tay et al. 2021, the benchmark's train scripts). */
#define ARENA_OPTIMIZER \
    { \
        .rule = OPTIMIZER_ADAMW, .beta1 = 0.9, .beta2 = 0.98, .eps = 1e-9, .decay = 0.1 \
    }

/* The same without decay. */
#define PLAIN_OPTIMIZER \
    { \
        .rule = OPTIMIZER_ADAMW, .beta1 = 0.9, .beta2 = 0.98, .eps = 1e-9 \
    }

#define CLIPPED_OPTIMIZER \
    { \
        .rule = OPTIMIZER_ADAMW, .beta1 = 0.9, .beta2 = 0.98, .eps = 1e-9, .clip = 1 \
    }

/* clang-format off */
/* The papers' patches and windows are for images of 224 x 224 pixels, these have 32 x 32; and Swin
 * has no class token. */
#define PATCHES {"swin", "patch=2 window=4 pool=mean"}, {"vit", "patch=4"}
/* clang-format on */

/* Sizes that the benchmark gives to one mixer; the presets' own are its transformer's. Blocks of 64
 * where its configurations set them. */
static const struct assay_preset_exception image_exceptions[] = {
    {"bigbird", "heads=1 head_width=64 block=64"},
    {"local_attention", "heads=2 head_width=32 pool=mean block=64"},
    {"longformer", "heads=4 head_width=16 pool=mean layers=4"},
    {"reformer", "heads=8 head_width=4 width=64 hidden=64 layers=4 head_hidden=64"},
    {"sinkhorn_transformer",
     "heads=1 head_width=32 width=32 hidden=64 head_hidden=64 block=64 dropout=0.1 "
     "attention_dropout=0.1 train.decay=0.7"},
    PATCHES,
    {NULL, NULL},
};

static const struct assay_preset_exception path_exceptions[] = {
    {"bigbird", "layers=4 heads=2 head_width=16 width=64 hidden=64 head_hidden=64 block=64"},
    {"linear_transformer", "layers=1 heads=2 head_width=32 width=128 hidden=128 head_hidden=128"},
    {"linformer", "layers=1 heads=2 head_width=8"},
    {"local_attention",
     "layers=2 heads=4 head_width=8 width=64 hidden=64 head_hidden=64 block=64 dropout=0.1"},
    {"longformer", "layers=2 heads=2 head_width=8 dropout=0.1"},
    {"performer", "layers=4 heads=8 head_width=2"},
    {"reformer", "layers=2 heads=8 head_width=4 width=64 hidden=64 head_hidden=64"},
    {"sinkhorn_transformer", "layers=2 heads=4 head_width=4 hidden=64 head_hidden=64 block=64"},
    {"sparse_transformer", "layers=1 heads=8 head_width=2"},
    {"synthesizer", "layers=2 heads=4 head_width=8 width=64 hidden=64 head_hidden=64"},
    PATCHES,
    {NULL, NULL},
};

static const struct assay_preset presets[] = {
    {
        .task = "listops",
        .name = "tiny",
        .model = ARENA "pool=cls width=64 heads=4 hidden=128 layers=2 head_hidden=128",
        .steps = 1600,
        .batch = 32,
        .curve = 40,
        .optimizer = ARENA_OPTIMIZER,
        .schedule = {.rule = SCHEDULE_COSINE, .base = 3e-3, .warmup = 100},
    },
    {
        .task = "listops",
        .name = "small",
        .model = ARENA "pool=cls width=64 heads=4 hidden=128 layers=4 head_hidden=128",
        .steps = 5000,
        .batch = 32,
        .curve = 50,
        .optimizer = ARENA_OPTIMIZER,
        .schedule = {.rule = SCHEDULE_COSINE, .base = 1e-3, .warmup = 500},
    },
    {
        .task = "listops",
        .name = "paper",
        .model = ARENA "pool=cls width=512 heads=8 hidden=1024 layers=4 head_hidden=1024 "
                       "dropout=0.1 attention_dropout=0.1 explicit_attention=1",
        .paper_hypers = true,
        .steps = 5000,
        .batch = 32,
        .curve = 50,
        .optimizer = ARENA_OPTIMIZER,
        .schedule = {.rule = SCHEDULE_INVERSE_SQRT, .base = 0.05, .warmup = 1000},
    },
    {
        .task = "text",
        .name = "tiny",
        .model = TINY,
        .steps = 500,
        .batch = 32,
        .curve = 10,
        .optimizer = ARENA_OPTIMIZER,
        .schedule = {.rule = SCHEDULE_COSINE, .base = 5e-3, .warmup = 50},
    },
    {
        .task = "text",
        .name = "small",
        .model = SMALL,
        .steps = 3000,
        .batch = 32,
        .curve = 50,
        .optimizer = ARENA_OPTIMIZER,
        .schedule = {.rule = SCHEDULE_COSINE, .base = 1e-3, .warmup = 300},
    },
    {
        .task = "text",
        .name = "paper",
        .model = ARENA "pool=cls width=256 heads=4 hidden=1024 layers=4 head_hidden=1024 " DROPOUT,
        .paper_hypers = true,
        .steps = 20000,
        .batch = 32,
        .curve = 100,
        .optimizer = ARENA_OPTIMIZER,
        .schedule = {.rule = SCHEDULE_INVERSE_SQRT, .base = 0.05, .warmup = 8000},
    },
    {
        .task = "retrieval",
        .name = "tiny",
        .model = TINY "head=two_tower nli=1",
        .steps = 600,
        .batch = 32,
        .curve = 20,
        .optimizer = ARENA_OPTIMIZER,
        .schedule = {.rule = SCHEDULE_COSINE, .base = 5e-3, .warmup = 50},
    },
    {
        .task = "retrieval",
        .name = "small",
        .model = SMALL "head=two_tower nli=1",
        .steps = 3000,
        .batch = 32,
        .curve = 50,
        .optimizer = ARENA_OPTIMIZER,
        .schedule = {.rule = SCHEDULE_COSINE, .base = 1e-3, .warmup = 300},
    },
    {
        .task = "retrieval",
        .name = "paper",
        .model = ARENA
        "head=two_tower pool=first width=128 heads=4 hidden=512 layers=4 head_hidden=512 " DROPOUT,
        .paper_hypers = true,
        .steps = 5000,
        .batch = 32,
        .curve = 50,
        .optimizer = ARENA_OPTIMIZER,
        .schedule = {.rule = SCHEDULE_INVERSE_SQRT, .base = 0.05, .warmup = 8000},
    },
    {
        .task = "image",
        .name = "tiny",
        .model = TINY,
        .steps = 800,
        .batch = 16,
        .curve = 20,
        .optimizer = ARENA_OPTIMIZER,
        .schedule = {.rule = SCHEDULE_COSINE, .base = 5e-3, .warmup = 50},
    },
    {
        .task = "image",
        .name = "small",
        .model = SMALL "position=learned",
        .steps = 4000,
        .batch = 32,
        .curve = 50,
        .optimizer = ARENA_OPTIMIZER,
        .schedule = {.rule = SCHEDULE_COSINE, .base = 1e-3, .warmup = 300},
    },
    {
        .task = "image",
        .name = "paper",
        .model =
            ARENA "position=learned pool=cls width=128 heads=8 head_width=8 hidden=128 layers=1 "
                  "head_hidden=128 dropout=0.3 attention_dropout=0.2 explicit_attention=1",
        .paper_hypers = true,
        .steps = 35000,
        .batch = 256,
        .curve = 175,
        .optimizer = PLAIN_OPTIMIZER,
        .schedule = {.rule = SCHEDULE_COSINE, .base = 5e-4, .warmup = 175},
        .exceptions = image_exceptions,
    },
    {
        .task = "pathfinder",
        .name = "tiny",
        .model = TINY,
        .steps = 400,
        .batch = 16,
        .curve = 20,
        .optimizer = ARENA_OPTIMIZER,
        .schedule = {.rule = SCHEDULE_COSINE, .base = 5e-3, .warmup = 50},
    },
    {
        .task = "pathfinder",
        .name = "small",
        .model = SMALL,
        .steps = 4000,
        .batch = 32,
        .curve = 50,
        .optimizer = ARENA_OPTIMIZER,
        .schedule = {.rule = SCHEDULE_COSINE, .base = 1e-3, .warmup = 300},
    },
    {
        .task = "pathfinder",
        .name = "paper",
        .model = ARENA "pool=mean width=32 heads=4 head_width=4 hidden=32 layers=4 head_hidden=32 "
                       "dropout=0.2 attention_dropout=0.1 explicit_attention=1",
        .paper_hypers = true,
        .steps = 62400,
        .batch = 512,
        .curve = 312,
        .optimizer = PLAIN_OPTIMIZER,
        .schedule = {.rule = SCHEDULE_COSINE, .base = 1e-3, .warmup = 312},
        .exceptions = path_exceptions,
    },
    {
        .task = "pathx",
        .name = "tiny",
        .model = TINY,
        .steps = 80,
        .batch = 8,
        .curve = 4,
        .optimizer = ARENA_OPTIMIZER,
        .schedule = {.rule = SCHEDULE_COSINE, .base = 5e-3, .warmup = 10},
    },
    {
        .task = "pathx",
        .name = "small",
        .model = SMALL,
        .steps = 2000,
        .batch = 16,
        .curve = 50,
        .optimizer = ARENA_OPTIMIZER,
        .schedule = {.rule = SCHEDULE_COSINE, .base = 1e-3, .warmup = 200},
    },
    {
        .task = "pathx",
        .name = "paper",
        .model = ARENA "position=learned pool=mean width=32 heads=2 head_width=8 hidden=32 "
                       "layers=1 head_hidden=32 " DROPOUT,
        .paper_hypers = true,
        .steps = 500000,
        .batch = 64,
        .curve = 2500,
        .optimizer = CLIPPED_OPTIMIZER,
        .schedule = {.rule = SCHEDULE_COSINE, .base = 1e-3, .warmup = 2500},
    },
    {
        .task = "digits",
        .name = "tiny",
        .model = TINY "embed_deviation=0.3",
        .steps = 1000,
        .batch = 16,
        .curve = 20,
        .optimizer = ARENA_OPTIMIZER,
        .schedule = {.rule = SCHEDULE_COSINE, .base = 5e-3, .warmup = 50},
    },
    {.task = NULL},
};

/* What the benchmark's own code computes, where it is not the paper. */
static const char *const settings[] = {"lra", "lra_dense", NULL};

const struct assay_suite assay_suite_lra = {
    .id = "lra",
    .title = "Long Range Arena",
    .source = "Tay et al. 2021, arXiv:2011.04006",
    .presets = presets,
    .settings = settings,
};

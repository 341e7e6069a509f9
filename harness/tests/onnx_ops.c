/* SPDX-License-Identifier: Apache-2.0 */
/* The table of ops as ONNX: ops have a form, or are refused by name. With a folder as argument each
 * group of ops is written there as a model with its test data and the values of both profiles
 * (values.safetensors), for onnx.t to run elsewhere. */
#include "harness/onnx_tape.h"

#include <string.h>

#include "harness/files.h"
#include "harness/safetensors.h"
#include "harness/tests/tap.h"
#include "ref/ops.h"

enum { RESULTS = 40 };

/* A group of ops on one tape. */
struct group {
    tape t;
    size_t count;
    tensor result[RESULTS];
    const char *name[RESULTS];
};

/* Normal numbers, the same in both profiles, keyed by the name. */
static tensor reals(struct group *g, const char *name, struct assay_shape shape)
{
    float values[512];
    struct assay_rng rng;
    assay_rng_named(&rng, 1, name);
    assay_rng_normals(&rng, shape_elements(shape), values);
    tensor x = tape_input_f32(&g->t, shape, values);
    tape_name(&g->t, x, "input", name);
    return x;
}

static tensor positive(struct group *g, const char *name, struct assay_shape shape)
{
    return offset(&g->t, absolute(&g->t, reals(g, name, shape)), 0.5);
}

static tensor ids(struct group *g, const char *name, struct assay_shape shape, uint32_t limit)
{
    int32_t values[512];
    struct assay_rng rng;
    assay_rng_named(&rng, 1, name);
    for (size_t i = 0; i < shape_elements(shape); i++)
        values[i] = (int32_t)assay_rng_below(&rng, limit);
    tensor x = tape_input_i32(&g->t, shape, values);
    tape_name(&g->t, x, "input", name);
    return x;
}

/* 0 and 1, of which the first row has none that is 1. */
static tensor mask(struct group *g, const char *name, struct assay_shape shape)
{
    int32_t values[512];
    size_t width = shape.dim[shape.rank - 1];
    struct assay_rng rng;
    assay_rng_named(&rng, 1, name);
    for (size_t i = 0; i < shape_elements(shape); i++)
        values[i] = i >= width && assay_rng_below(&rng, 3) > 0;
    tensor x = tape_input_i32(&g->t, shape, values);
    tape_name(&g->t, x, "input", name);
    return x;
}

static void put(struct group *g, const char *name, tensor x)
{
    if (g->count < RESULTS) {
        g->result[g->count] = x;
        g->name[g->count++] = name;
    }
}

static void maps(struct group *g)
{
    static const char *const names[MAP_COUNT] = {
        "negate",     "abs",     "square",       "sqrt",     "reciprocal", "exp",
        "expm1",      "log",     "log1p",        "tanh",     "erf",        "sin",
        "cos",        "sigmoid", "log_sigmoid",  "softplus", "relu",       "relu_squared",
        "leaky_relu", "elu",     "elu_plus_one", "silu",     "gelu",       "gelu_tanh",
        "scale",      "offset",  "divide",       "round",    "floor",      "sign"};
    tensor x = reals(g, "x", SHAPE(4, 9)), above = positive(g, "above", SHAPE(4, 9));
    for (int f = 0; f < MAP_COUNT; f++) {
        bool limited = f == MAP_SQRT || f == MAP_RECIPROCAL || f == MAP_LOG || f == MAP_LOG1P;
        put(g, names[f], map_of(&g->t, (enum assay_map)f, limited ? above : x, 0.3));
    }
    /* Near 0 these must not lose their digits. */
    tensor small = scale(&g->t, x, 1e-6);
    put(g, "small_expm1", exponential_minus_one(&g->t, small));
    put(g, "small_log1p", logarithm_one_plus(&g->t, small));
    put(g, "small_elu", elu(&g->t, small));
}

static void arithmetic(struct group *g)
{
    tape *t = &g->t;
    tensor x = reals(g, "x", SHAPE(2, 3, 4)), y = reals(g, "y", SHAPE(3, 1)),
           z = reals(g, "z", SHAPE(2, 3, 4));
    put(g, "add", add(t, x, y));
    put(g, "subtract", subtract(t, y, x));
    put(g, "multiply", multiply(t, x, y));
    put(g, "divide", divide(t, x, positive(g, "above", SHAPE(4))));
    put(g, "maximum", maximum(t, x, y));
    put(g, "minimum", minimum(t, x, z));
    put(g, "choose", choose(t, nonzero(t, ids(g, "ids", SHAPE(2, 3, 4), 3)), x, z));
}

static void products(struct group *g)
{
    tape *t = &g->t;
    tensor a = reals(g, "a", SHAPE(2, 3, 4)), b = reals(g, "b", SHAPE(2, 4, 5)),
           one = reals(g, "one", SHAPE(4, 5)), turned = reals(g, "turned", SHAPE(2, 5, 4)),
           c = reals(g, "c", SHAPE(2, 3, 6)), bias = reals(g, "bias", SHAPE(5));
    put(g, "matmul", matmul(t, a, b));
    put(g, "matmul_shared", matmul(t, a, one));
    put(g, "matmul_nt", matmul_nt(t, a, turned));
    put(g, "matmul_tn", matmul_tn(t, a, c));
    put(g, "linear", linear(t, a, one, bias));
    put(g, "linear_without_bias", linear(t, a, one, TENSOR_NONE));
}

static void reductions(struct group *g)
{
    tape *t = &g->t;
    tensor x = reals(g, "x", SHAPE(2, 5, 4)), above = positive(g, "above", SHAPE(2, 5, 4));
    put(g, "sum_over", sum_over(t, above, 1));
    put(g, "mean_over", mean_over(t, above, -1));
    put(g, "max_over", max_over(t, x, 0));
    put(g, "sum_all", sum_all(t, above));
    put(g, "cumulative_sum", cumulative_sum(t, above, 1));
}

static void normalised(struct group *g)
{
    tape *t = &g->t;
    tensor x = reals(g, "x", SHAPE(2, 3, 6)), gain = reals(g, "gain", SHAPE(6)),
           bias = reals(g, "bias", SHAPE(6)), rows = mask(g, "rows", SHAPE(3, 6)),
           columns = mask(g, "columns", SHAPE(2, 3, 6));
    put(g, "softmax", softmax(t, x, -1, TENSOR_NONE, false));
    put(g, "softmax_allowed", softmax(t, x, -1, rows, false));
    put(g, "softmax_uniform", softmax(t, x, -1, columns, true));
    put(g, "softmax_of_columns", softmax(t, x, 1, columns, false));
    put(g, "log_sum_exp", log_sum_exp(t, x, -1, TENSOR_NONE));
    put(g, "log_sum_exp_allowed", log_sum_exp(t, x, -1, rows));
    put(g, "layer_norm", layer_norm(t, x, gain, bias, 1e-5));
    put(g, "layer_norm_alone", layer_norm(t, x, TENSOR_NONE, TENSOR_NONE, 1e-3));
    put(g, "layer_norm_bias", layer_norm(t, x, TENSOR_NONE, bias, 1e-3));
    put(g, "rms_norm", rms_norm(t, x, gain, 1e-5));
    put(g, "rms_norm_alone", rms_norm(t, x, TENSOR_NONE, 1e-2));
}

static void attentions(struct group *g)
{
    tape *t = &g->t;
    tensor q = reals(g, "q", SHAPE(2, 4, 4, 3)), k = reals(g, "k", SHAPE(2, 5, 2, 3)),
           v = reals(g, "v", SHAPE(2, 5, 2, 6)), bias = reals(g, "bias", SHAPE(1, 4, 4, 5)),
           allowed = mask(g, "allowed", SHAPE(2, 1, 4, 5)), keys = mask(g, "keys", SHAPE(2, 5)),
           queries = mask(g, "queries", SHAPE(2, 4));
    tensor p, log_sum;
    struct attention_options o = {.scale = 0};
    put(g, "grouped", attention(t, q, k, v, &o));
    o = (struct attention_options){.causal = true, .first = 1, .scale = 0.7};
    put(g, "causal", attention(t, q, k, v, &o));
    o = (struct attention_options){.windowed = true, .left = 1, .right = 2, .keys = 4};
    put(g, "window", attention(t, q, k, v, &o));
    o = (struct attention_options){.key_valid = keys, .query_valid = queries};
    put(g, "valid", attention(t, q, k, v, &o));
    o.uniform_if_empty = true;
    put(g, "uniform", attention(t, q, k, v, &o));
    o = (struct attention_options){.allowed = allowed,
                                   .bias = bias,
                                   .keys = 3,
                                   .explicit_form = true,
                                   .probability = &p,
                                   .log_sum = &log_sum};
    put(g, "explicit", attention(t, q, k, v, &o));
    put(g, "probability", p);
    put(g, "log_sum", log_sum);
}

static void scans(struct group *g)
{
    tape *t = &g->t;
    tensor a = reals(g, "a", SHAPE(2, 4, 3)), b = reals(g, "b", SHAPE(2, 4, 3)),
           start = reals(g, "start", SHAPE(2, 1, 3)), first = reals(g, "first", SHAPE(4, 3));
    put(g, "scan", scan(t, a, b, TENSOR_NONE, 1));
    put(g, "scan_start", scan(t, a, b, start, 1));
    put(g, "scan_rows", scan(t, a, b, first, 0));
    tensor q = reals(g, "q", SHAPE(2, 4, 3)), k = reals(g, "k", SHAPE(2, 4, 3)),
           v = reals(g, "v", SHAPE(2, 4, 5)), state = reals(g, "state", SHAPE(2, 3, 5)), end;
    put(g, "matrix", matrix_scan(t, q, k, v, TENSOR_NONE, TENSOR_NONE, NULL));
    put(g, "matrix_decay", matrix_scan(t, q, k, v, reals(g, "decay", SHAPE(2, 4)), state, &end));
    put(g, "matrix_end", end);
    put(g, "matrix_decays", matrix_scan(t, q, k, v, a, TENSOR_NONE, NULL));
}

static void moves(struct group *g)
{
    tape *t = &g->t;
    tensor x = reals(g, "x", SHAPE(2, 3, 2, 7)), y = reals(g, "y", SHAPE(2, 1, 2, 7)),
           cosine = reals(g, "cosine", SHAPE(3, 3)), sine = reals(g, "sine", SHAPE(3, 3));
    put(g, "reshape", reshape(t, x, SHAPE(6, 14)));
    put(g, "permute", permute(t, x, (int[]){3, 0, 2, 1}));
    put(g, "expand", expand(t, y, SHAPE(2, 3, 2, 7)));
    put(g, "concat", concat(t, 1, 3, (tensor[]){x, y, x}));
    put(g, "slice", slice(t, x, -1, 2, 4));
    put(g, "pad", pad(t, x, 2, 1, 3));
    put(g, "flip", flip(t, x, 1));
    put(g, "roll", roll(t, x, 3, 2));
    put(g, "roll_back", roll(t, x, 3, -3));
    put(g, "rotate", rotate(t, x, cosine, sine, false));
    put(g, "rotate_interleaved", rotate(t, x, cosine, sine, true));
}

static void rows(struct group *g)
{
    tape *t = &g->t;
    tensor table = reals(g, "table", SHAPE(5, 3)), x = reals(g, "x", SHAPE(2, 4, 3)),
           index = ids(g, "index", SHAPE(2, 6), 5), within = ids(g, "within", SHAPE(2, 3), 4);
    tensor row = reals(g, "row", SHAPE(2, 5)), soft = reals(g, "soft", SHAPE(2, 5));
    put(g, "gather_rows", gather_rows(t, table, index));
    put(g, "scatter_add_rows",
        scatter_add_rows(t, 7, within, positive(g, "above", SHAPE(2, 3, 4))));
    put(g, "take", take(t, x, within));
    put(g, "take_last", take_last(t, row, within));
    put(g, "nearest_integer", nearest_integer(t, row, "integers"));
    put(g, "above_zero", choose(t, above_zero(t, row, "above"), row, square(t, row)));
    put(g, "top_k", take_last(t, row, top_k(t, row, 3, "largest")));
    put(g, "stop_gradient", stop_gradient(t, row));
    put(g, "st", st(t, sign_of(t, row), soft));
    put(g, "custom", custom(t, "published", square(t, row), 1, &row, NULL, NULL));
}

/* Ops that a forward pass of evaluation mode has no use for. */
static void drops(struct group *g)
{
    put(g, "dropout", dropout(&g->t, reals(g, "x", SHAPE(2, 3)), 0.5, "some"));
}

static void drops_in_attention(struct group *g)
{
    tensor x = reals(g, "x", SHAPE(1, 2, 1, 3));
    struct attention_options o = {.dropout = 0.5, .name = "some", .explicit_form = true};
    put(g, "attention", attention(&g->t, x, x, x, &o));
}

static void loses(struct group *g)
{
    tensor x = reals(g, "x", SHAPE(2, 3)), target = ids(g, "target", SHAPE(2), 3);
    put(g, "cross_entropy", cross_entropy(&g->t, x, target, -100, 2));
}

static int fill(struct group *g, enum assay_profile profile, void (*ops)(struct group *))
{
    *g = (struct group){0};
    if (tape_open(&g->t, assay_kernels_cpu(profile, NULL)) != 0)
        return -1;
    snprintf(g->t.where, sizeof g->t.where, "paper: block.1");
    g->t.recording = false;
    g->t.describing = true;
    ops(g);
    return 0;
}

static void add_values(struct assay_archive_writer *writer, const struct group *g,
                       const char *prefix, enum assay_dtype dtype)
{
    for (size_t i = 0; i < g->count; i++) {
        char name[96];
        tensor x = g->result[i];
        snprintf(name, sizeof name, "%s%s", prefix, g->name[i]);
        if (x)
            assay_archive_writer_tensor(writer, name, dtype, (size_t)x->shape.rank, x->shape.dim,
                                        x->data);
    }
}

/* model, test data and values below folder/name. */
static int write_group(const char *folder, const char *name, const struct assay_onnx_files *files,
                       const struct group *single, const struct group *truth, char *error,
                       size_t room)
{
    char path[1024];
    snprintf(path, sizeof path, "%s/%s/" ASSAY_ONNX_DATA, folder, name);
    int status = assay_folder_make(path, error, room);
    for (size_t i = 0; status == 0 && i < files->count; i++) {
        snprintf(path, sizeof path, "%s/%s/%s", folder, name, files->file[i].name);
        status = assay_file_write(path, files->file[i].content.bytes, files->file[i].content.size,
                                  error, room);
    }
    struct assay_archive_writer *writer = assay_archive_writer_open();
    add_values(writer, single, "f32/", ASSAY_DT_F32);
    add_values(writer, truth, "f64/", ASSAY_DT_F64);
    snprintf(path, sizeof path, "%s/%s/values.safetensors", folder, name);
    if (status == 0)
        status = assay_archive_writer_save(writer, path, error, room);
    assay_archive_writer_close(writer);
    return status;
}

/* expected: NULL, or what the refusal says. */
static void try(const char *folder, const char *name, void (*ops)(struct group *),
                const char *expected)
{
    static const struct assay_onnx_about about = {"ops", "ops of a tape", NULL};
    struct group single, truth;
    struct assay_onnx_files files = {0};
    char error[ASSAY_ERROR_ROOM] = "";
    int status = fill(&single, ASSAY_F32, ops) | fill(&truth, ASSAY_F64, ops);
    if (status == 0)
        status = assay_onnx_tape(&single.t, single.count, single.result, single.name, &about,
                                 &files, error, sizeof error);
    if (expected)
        ok(status != 0 && strcmp(error, expected) == 0, "%s: refused, by name", name);
    else
        ok(status == 0 && files.ops >= single.count, "%s: %zu ops have an ONNX form", name,
           files.ops);
    if (status == 0 && folder)
        ok(write_group(folder, name, &files, &single, &truth, error, sizeof error) == 0,
           "%s: written", name);
    if (error[0])
        diag("%s", error);
    assay_onnx_files_free(&files);
    tape_close(&single.t);
    tape_close(&truth.t);
}

int main(int argc, char **argv)
{
    const char *folder = argc > 1 ? argv[1] : NULL;
    try(folder, "maps", maps, NULL);
    try(folder, "arithmetic", arithmetic, NULL);
    try(folder, "products", products, NULL);
    try(folder, "reductions", reductions, NULL);
    try(folder, "normalised", normalised, NULL);
    try(folder, "attentions", attentions, NULL);
    try(folder, "scans", scans, NULL);
    try(folder, "moves", moves, NULL);
    try(folder, "rows", rows, NULL);
    try(NULL, "dropout", drops, "paper: block.1: dropout: this op has no ONNX form");
    try(NULL, "attention's dropout", drops_in_attention,
        "paper: block.1: attention: this op has no ONNX form");
    try(NULL, "losses", loses, "paper: block.1: cross_entropy: this op has no ONNX form");
    return done_testing();
}

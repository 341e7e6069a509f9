/* SPDX-License-Identifier: Apache-2.0 */
/* The tape: define-by-run reverse-mode differentiation on contiguous tensors, in one arena.
 *
 * An op computes its value at once through the kernel table and records a node;
 * tape_backward walks the nodes in descending order. Gradients are +0 plus the contributions in
 * that order, each completed first, then added.
 * A bad shape is a sticky error: the op returns TENSOR_NONE, later ops pass it on,
 * the caller asks once (tape_error). After the first step a tape allocates nothing:
 * tape_reset keeps the arena. One tape per thread. */
#ifndef ASSAY_TAPE_H
#define ASSAY_TAPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ref/kernels.h"

enum assay_type { ASSAY_REAL, ASSAY_I32 };

struct assay_shape {
    int rank;
    size_t dim[ASSAY_RANK_MAX];
};
#define SHAPE(...) \
    ((struct assay_shape){ \
        .rank = (int)(sizeof((size_t[]){__VA_ARGS__}) / sizeof(size_t)), .dim = {__VA_ARGS__}})
#define SCALAR_SHAPE ((struct assay_shape){.rank = 0})

struct assay_tape;
struct assay_node;
typedef struct assay_tape tape;
typedef struct assay_node *tensor;
#define TENSOR_NONE ((tensor)0)

/* What an op is to the tape: its name in messages and its backward, which adds to
 * the gradients of the inputs. */
struct assay_op {
    const char *name;
    void (*backward)(tape *t, tensor y);
};

/* What a value is, for whoever walks the graph: kept where the tape is `describing`. An op's has
 * all its operands, also indices and masks (NONE: not given), and its numbers, in the order of the
 * op's arguments; axes count from the start. A leaf has a kind and a name instead ("input", "ids"),
 * or no description: then it is a constant of the pass. */
struct assay_description {
    const char *op;                 /* or a leaf's kind */
    const char *name;               /* NULL: not a leaf */
    const char *where;              /* "slab: block.1.mixer" */
    int operands;
    tensor *operand;
    int numbers;
    double *number;
};

/* A node: a value and where it came from. Only ref/tape/ looks inside;
 * everybody else uses the functions below. */
struct assay_node {
    const struct assay_op *op;      /* NULL: a leaf */
    enum assay_type type;
    struct assay_shape shape;
    bool needs_gradient, mixing;    /* mixing: see tape_mixing */
    /* of its inputs, for the count of bytes: all; as much as it writes, where it picks from them;
     * nothing, where its data is theirs */
    enum { READS_ALL, READS_PICKED, READS_NOTHING } reads;
    void *data, *gradient;          /* gradient: NULL until the first contribution */
    int inputs;
    tensor *input;
    void *saved;                    /* what the op's backward needs, in the arena */
    const struct assay_description *description;    /* NULL unless the tape was describing */
};

/* Named tensors of a run: what a golden file's trace and decisions are made of. */
enum assay_mark { ASSAY_TRACE, ASSAY_DECISION };
struct assay_marked {
    enum assay_mark kind;
    const char *name;
    tensor value;
    /* decisions: distance of the closest call; INFINITY if it cannot flip */
    double margin;
};

/* A decision to take instead of the op's own. */
struct assay_decided {
    const int32_t *data;
    size_t elements;
};

struct assay_counts {
    /* of products, attention, scans: forward only unless a backward ran */
    uint64_t multiply_adds;
    uint64_t elements;              /* elements written by all other ops */
    uint64_t bytes;                 /* live bytes of the arena at its fullest */
    /* Bytes that ops read and write, each passing over its tensors once: forward its inputs and
     * its output; backward the output's gradient, the inputs, and each of their gradients twice,
     * for it is added to. Scratch of kernels, and what stays in their registers, is not in it. */
    uint64_t moved;
    /* the shares of multiply_adds and of bytes (at its own fullest) while mixing */
    uint64_t mixing_multiply_adds, mixing_bytes;
};

/* Holding stop-gradients, draws and decisions at their base value while a numerical
 * derivative moves the parameters. */
enum assay_freeze { ASSAY_FREE, ASSAY_HOLD_RECORD, ASSAY_HOLD_REPLAY };

struct assay_tape {
    const struct assay_kernels *kernels;
    bool recording;                 /* false: nothing is kept for a backward pass */
    bool describing;                /* every node gets its description */
    bool dry;                       /* shapes and counts only */
    bool mixing;                    /* see tape_mixing */
    uint64_t mixing_from;
    struct assay_counts counts;
    uint64_t seed, step;            /* keys of the draws within a step */
    /* [samples] index of each sample of the shard within the step's batch, or NULL: 0, 1, ... */
    const uint32_t *sample;
    size_t samples;
    enum assay_freeze freeze;
    /* Where not NULL, the decisions of the forward pass, in the order in which they are marked.
     * flips: elements that the ops had chosen otherwise. */
    const struct assay_decided *decided;
    size_t decisions, decisions_taken, flips;
    char error[512];                /* "" or the first error */
    char where[128];                /* "slab: block.1.mixer", put in front of messages */

    struct assay_chunk *chunk, *first_chunk;
    size_t live, live_mixing;       /* bytes in use */
    size_t kept;                    /* bytes that tape_keep holds */
    tensor *node;
    size_t nodes, node_room;
    struct assay_marked *marked;
    size_t marks, mark_room;
    void **held;
    size_t holds, hold_room, hold_next;
    struct assay_aside *aside;      /* see op_step_aside; NULL until it is needed */
};

/* Returns 0, or -1 without memory. A tape is zeroed by tape_open and owns
 * its arena until tape_close. */
int tape_open(tape *t, const struct assay_kernels *kernels);
void tape_close(tape *t);
/* forgets all nodes, marks and errors; keeps memory */
void tape_reset(tape *t);
/* NULL or the first error's message */
const char *tape_error(const tape *t);
void tape_fail(tape *t, const char *op, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* 64-byte aligned, in the arena; NULL after an error */
void *tape_allocate(tape *t, size_t bytes);
/* A copy of x, without where it came from, that lasts until tape_reset: also what a custom backward
 * made, whose tensors are forgotten when it is done. */
tensor tape_keep(tape *t, tensor x);
char *tape_string(tape *t, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Says whether what follows is the mixing of tokens, whose cost papers speak of; returns what it
 * was before. Mixers are, outside of their linear layers. A node's backward counts as its
 * forward does. */
bool tape_mixing(tape *t, bool mixing);
/* Bytes of the arena that are there: on a dry tape no real tensor is. */
size_t tape_resident(const tape *t);

/* Leaves. Data is copied into the arena unless it is a parameter's. */
/* gradient NULL: frozen */
tensor tape_parameter(tape *t, struct assay_shape shape, void *data, void *gradient);
/* data NULL: zeros */
tensor tape_input_f32(tape *t, struct assay_shape shape, const float *data);
/* rounded to the profile */
tensor tape_input_f64(tape *t, struct assay_shape shape, const double *data);
/* the same with a gradient of its own */
tensor tape_variable_f64(tape *t, struct assay_shape shape, const double *data);
tensor tape_input_i32(tape *t, struct assay_shape shape, const int32_t *data);
tensor tape_filled(tape *t, struct assay_shape shape, double value);
/* describes a leaf */
void tape_name(tape *t, tensor x, const char *kind, const char *name);

/* What an op is made of. tape_new: a node without inputs yet; NULL after an error. */
tensor tape_new(tape *t, enum assay_type type, struct assay_shape shape);
tensor tape_record(tape *t, const struct assay_op *op, tensor y, int inputs, const tensor *input,
                   void *saved);
/* the buffer contributions are added to; NULL if x wants none */
void *tape_gradient(tape *t, tensor x);
/* d loss / d loss = 1; loss: scalar or one element */
void tape_backward(tape *t, tensor loss);
/* sum of <cotangent, y> */
void tape_backward_from(tape *t, int count, const tensor *y, const tensor *cotangent);

/* Marks for traces, decisions; holding for numerical derivatives (see enum assay_freeze). */
void tape_mark(tape *t, enum assay_mark kind, const char *name, tensor x, double margin);
/* RECORD: keeps a copy; REPLAY: overwrites data with the copy */
void tape_hold(tape *t, void *data, size_t bytes);
void tape_forget_held(tape *t);

/* Reading. Values as binary64 are exact in both profiles. */
size_t shape_elements(struct assay_shape shape);
bool shape_equal(struct assay_shape a, struct assay_shape b);
const char *shape_text(struct assay_shape shape, char text[96]);
int rank_of(tensor x);
size_t dim_of(tensor x, int axis);               /* negative axes count from the end */
size_t elements_of(tensor x);
size_t width_of(tensor x);                       /* last axis */
size_t rows_of(tensor x);                        /* elements / width */
const int32_t *ids_of(tensor x);                 /* an i32 tensor's data */
/* The same of a mask; NULL for none. On a dry tape a mask that is computed has no data, and is zero:
 * it is taken for one that allows everything. */
const int32_t *flags_of(const tape *t, tensor flags);
void tensor_read(const tape *t, tensor x, double *values);
/* false (and zeros) if none arrived */
bool gradient_read(const tape *t, tensor x, double *values);

#endif

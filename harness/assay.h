/* SPDX-License-Identifier: Apache-2.0 */
/* libassay: a backend compares itself with golden files, in process.
 *
 *     struct assay_golden *golden;
 *     struct assay_verdict verdict;
 *     char error[ASSAY_MESSAGE];
 *     if (assay_golden_open("denseformer.safetensors", &golden, error, sizeof error) != 0)
 *         ...
 *     // run the backend on the golden's "input/..." and "param/...", then, for each result:
 *     assay_compare(golden, "output", ASSAY_ELEMENT_F32, 2, shape, logits, ASSAY_PRECISION_F32,
 *                   &verdict, error, sizeof error);
 *
 * A golden holds what one model computes on one small batch: "input/", "param/", "buffer/" and
 * "draw/" are given to the backend; "f32/" (the defined bits) and "f64/" (the truth) are what it is
 * compared with. Gradients are those of the loss, never scaled.
 *
 * Results. Functions that return int return 0, or -1 with one line in `error` (`room` bytes,
 * always ended by a NUL; NULL and 0 are allowed) that says what was expected, what was found and
 * where; what they would have made is then left alone or NULL. Nothing is printed, nothing ends the
 * process.
 * Ownership. What a golden hands out belongs to it and lives as long as it does; so do the names in
 * a report. Arguments are not kept.
 * Threads. No global state. An open golden and a report never change: any number of threads may use
 * one at a time; opening, closing and freeing are for one thread.
 * Numbers are in the host's byte order, row-major, without gaps, at any address. */
#ifndef ASSAY_H
#define ASSAY_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined __GNUC__
#define ASSAY_PUBLIC __attribute__((visibility("default")))
#else
#define ASSAY_PUBLIC
#endif

enum { ASSAY_MESSAGE = 512, ASSAY_AXES = 8 };

/* What a tensor's elements are in memory. */
enum assay_element {
    ASSAY_ELEMENT_F32,
    ASSAY_ELEMENT_F64,
    ASSAY_ELEMENT_F16,  /* binary16, in two bytes */
    ASSAY_ELEMENT_BF16, /* the upper half of a binary32 number, in two bytes */
    ASSAY_ELEMENT_I32,
    ASSAY_ELEMENT_I64,
    ASSAY_ELEMENTS
};

/* In which arithmetic the backend computed: what it is excused. An element type is no proof of it.
 * Unit roundoffs: 2^-24, 2^-11, 2^-8, 2^-11; reductions inside are binary32 in all of them. */
enum assay_precision {
    ASSAY_PRECISION_F32,
    ASSAY_PRECISION_TF32,
    ASSAY_PRECISION_BF16,
    ASSAY_PRECISION_FP16,
    ASSAY_PRECISIONS
};

enum assay_outcome {
    ASSAY_PASS,
    ASSAY_FAIL,
    ASSAY_NOT_JUDGED /* honest arithmetic of that precision says too little to tell */
};

/* One tensor of a golden. */
struct assay_tensor {
    const char *name;
    enum assay_element element; /* F32, F64 or I32 */
    size_t rank, dim[ASSAY_AXES], elements;
    const void *data;
};

/* What is said about one tensor of a backend. Errors are absolute; a tensor passes when
 * error <= budget = max(2 honest, 8 u scale), and is not judged where the budget is over half of
 * the truth's root mean square. A NaN or an infinity fails. */
struct assay_verdict {
    enum assay_outcome outcome;
    int decision;  /* 1: integers, which agree or not; only `different`, `worst`, `expected` and
                      `found` speak. In f32 a difference fails; a lower precision may decide
                      otherwise with good reason: there it is not judged */
    int finite;    /* 0: the element at `worst` is a NaN or an infinity */
    int same_bits; /* 1: exactly the golden's "f32/" numbers, or decisions; 0 for other elements */
    size_t elements;
    size_t different;         /* decisions that differ */
    size_t worst;             /* index of the largest error, of the first different decision */
    double expected, found;   /* there */
    double error, rms;        /* largest error against the truth, root of the mean square */
    double budget;            /* what is allowed */
    double honest;            /* largest error of honest runs in the precision */
    double scale;             /* max(max|truth|, largest sum of absolute terms inside) */
    double ulp;               /* distance of the precision's numbers at max|truth| */
    double reserved[8];       /* 0 */
};

struct assay_golden;
struct assay_report;

/* Opens a golden file of format 2, from a file or from memory (`name` stands in messages; `bytes`
 * may go afterwards). Close: assay_golden_close, which takes NULL. */
ASSAY_PUBLIC int assay_golden_open(const char *path, struct assay_golden **golden, char *error,
                                   size_t room);
ASSAY_PUBLIC int assay_golden_parse(const void *bytes, size_t size, const char *name,
                                    struct assay_golden **golden, char *error, size_t room);
ASSAY_PUBLIC void assay_golden_close(struct assay_golden *golden);

/* A value of the metadata: "id", "setting", "paper", "configuration", ...; NULL when absent. */
ASSAY_PUBLIC const char *assay_golden_metadata(const struct assay_golden *golden, const char *key);

/* The tensors, in the order of the file: i < assay_golden_count. -1 beyond, without a message. */
ASSAY_PUBLIC size_t assay_golden_count(const struct assay_golden *golden);
ASSAY_PUBLIC int assay_golden_at(const struct assay_golden *golden, size_t i,
                                 struct assay_tensor *tensor);
/* The tensor of that whole name, "param/embed.token"; -1 when there is none. */
ASSAY_PUBLIC int assay_golden_find(const struct assay_golden *golden, const char *name,
                                   struct assay_tensor *tensor);

/* Judges one tensor. `name`: "output", "loss", "grad/<param>", "trace/<name>", "decision/<name>",
 * also with "f32/" or "f64/" before it. `data`: [dim[0], ..., dim[rank - 1]] of `element`: F32, F64,
 * F16, BF16; I32 or I64 for decisions. Errors: unknown names, with the nearest ones; another shape
 * or element type. A verdict, also a bad one, is no error. */
ASSAY_PUBLIC int assay_compare(const struct assay_golden *golden, const char *name,
                               enum assay_element element, size_t rank, const size_t *dim,
                               const void *data, enum assay_precision precision,
                               struct assay_verdict *verdict, char *error, size_t room);

/* Judges all tensors of a safetensors file, any subset of the golden's results. Errors: a file that
 * is damaged, empty, or holds anything else. Free: assay_report_free, which takes NULL. */
ASSAY_PUBLIC int assay_compare_file(const struct assay_golden *golden, const char *path,
                                    enum assay_precision precision, struct assay_report **report,
                                    char *error, size_t room);
ASSAY_PUBLIC int assay_compare_bytes(const struct assay_golden *golden, const void *bytes,
                                     size_t size, const char *name, enum assay_precision precision,
                                     struct assay_report **report, char *error, size_t room);
ASSAY_PUBLIC void assay_report_free(struct assay_report *report);

/* The verdicts: decisions first, then as in the golden. -1 for i >= assay_report_count. */
ASSAY_PUBLIC size_t assay_report_count(const struct assay_report *report);
ASSAY_PUBLIC int assay_report_at(const struct assay_report *report, size_t i, const char **name,
                                 enum assay_element *element, struct assay_verdict *verdict);
/* Fails if one tensor fails, passes if at least one passes and none fails; otherwise nothing was
 * judged. */
ASSAY_PUBLIC enum assay_outcome assay_report_outcome(const struct assay_report *report);
/* The first trace that leaves its budget, in the order of the forward pass; NULL when none does. */
ASSAY_PUBLIC const char *assay_report_first_trace(const struct assay_report *report);

#ifdef __cplusplus
}
#endif

#endif

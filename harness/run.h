/* SPDX-License-Identifier: Apache-2.0 */
/* Training a cell: data, model, steps, checkpoints, and the record of it. */
#ifndef ASSAY_RUN_H
#define ASSAY_RUN_H

#include "harness/cell.h"
#include "harness/hash.h"
#include "harness/record.h"
#include "ref/train.h"

/* Loss and accuracy since the last point of the curve. */
struct assay_window {
    double loss; /* sum over its steps */
    uint64_t correct, counted, steps;
};

struct assay_run {
    const struct assay_cell *cell;
    struct assay_dataset split[ASSAY_SPLITS];
    struct assay_data train, test;
    struct assay_model model;
    struct assay_phase phase;
    struct assay_trainer trainer;
    bool has_model, has_trainer;
    struct assay_record_point *curve;
    size_t points, point_room;
    struct assay_window window;
    double seconds; /* of training, in earlier sessions of this run */
    char data_sha256[ASSAY_SHA256_HEX], initial_sha256[ASSAY_SHA256_HEX];
};

/* Makes data and model. 0 or -1 with a message; assay_run_close in both cases. */
int assay_run_open(struct assay_run *run, const struct assay_cell *cell,
                   const struct assay_kernels *kernels, char *error, size_t room);
/* Starts the trainer with its threads. */
int assay_run_start(struct assay_run *run, size_t threads, char *error, size_t room);
/* One step, and its part in the curve. */
int assay_run_step(struct assay_run *run, char *error, size_t room);
void assay_run_close(struct assay_run *run);

/* After the last step: evaluates the test split and fills the record. `seconds`: of training. */
int assay_run_record(struct assay_run *run, double seconds, struct assay_record *record,
                     char *error, size_t room);

/* SHA-256 of the state. Its canonical bytes, integers and numbers little endian:
 *     for every entry of the registry in order: kind (u32: 0 parameter, 1 buffer, 2 draw), length of
 *         the name (u32), name, rank (u32), axes (u64 each), numbers in the profile
 *     for first moment (or velocity), second moment, averaged parameters: count (u64; 0 where the
 *         optimizer has none), numbers in the profile
 *     for every state of a paper's optimizer: its name and the parameter's (length u32 each), rank (u32), axes
 *         (u64 each), numbers in the profile
 *     for every parameter and buffer of a paper's teacher: as of the registry
 *     steps done (u64) */
void assay_run_hash(const struct assay_run *run, char hex[ASSAY_SHA256_HEX]);
/* Of data: for each split in order count (u64), length (u64), ids (i32), those of second documents
 * where there are such, labels or targets (i32). */
void assay_data_hash(const struct assay_dataset split[ASSAY_SPLITS], char hex[ASSAY_SHA256_HEX]);

/* Checkpoints: everything that the rest of the run depends on, in one safetensors file, replaced in
 * one step. Loading refuses a file of another cell. 0 or -1 with a message. */
int assay_checkpoint_save(const struct assay_run *run, double seconds, const char *path,
                          char *error, size_t room);
int assay_checkpoint_load(struct assay_run *run, const char *path, char *error, size_t room);

#endif

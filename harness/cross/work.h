/* SPDX-License-Identifier: Apache-2.0 */
/* What is computed on another processor and on the host, with the same code: records of
 * harness/cross/stream.h. Everything here is binary32 and needs a C compiler and libc only. */
#ifndef ASSAY_CROSS_WORK_H
#define ASSAY_CROSS_WORK_H

#include "harness/cross/stream.h"

/* "machine": whether it is big-endian, whether fma of binary32 and of binary64 is an instruction. */
enum { ASSAY_MACHINE_BIG_ENDIAN, ASSAY_MACHINE_FMA_F32, ASSAY_MACHINE_FMA_F64, ASSAY_MACHINE };
void assay_work_machine(FILE *out);

/* What a golden file holds of binary32, as "FILE TABLE TENSOR", by the tables def and cpu. 0 or -1
 * with a message. */
int assay_work_golden(FILE *out, const char *id, const char *setting, uint64_t seed, char *error,
                      size_t room);
/* The name of that record. */
void assay_work_name(char name[ASSAY_STREAM_NAME], const char *file, const char *table,
                     const char *what);

/* A training run: "training loss", "training <parameter>", "training moments". 0 or -1 with a
 * message. */
int assay_work_training(FILE *out, char *error, size_t room);

/* Elementary functions, both kinds of fma, random numbers: hashes, as "hash ...". */
void assay_work_scalars(FILE *out);

#endif

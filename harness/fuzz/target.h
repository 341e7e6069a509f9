/* SPDX-License-Identifier: Apache-2.0 */
/* The fuzzing target, for libFuzzer and for the driver that replays files. */
#ifndef ASSAY_FUZZ_TARGET_H
#define ASSAY_FUZZ_TARGET_H

#include <stddef.h>
#include <stdint.h>

/* Traps where something is inconsistent. 0: accepted as a backend's file; -1: refused. */
int assay_fuzz_one(const uint8_t *data, size_t size);

#endif

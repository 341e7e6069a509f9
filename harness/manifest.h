/* SPDX-License-Identifier: Apache-2.0 */
/* The manifest of a folder of golden files: FOLDER/MANIFEST lists the SHA-256 of every
 * *.safetensors in it and below it, sorted by name as LC_ALL=C sort does. `cd FOLDER &&
 * sha256sum -c MANIFEST` checks it too. */
#ifndef ASSAY_MANIFEST_H
#define ASSAY_MANIFEST_H

#include <stddef.h>

/* Writes FOLDER/MANIFEST in one step. 0, or -1 with a message. */
int assay_manifest_write(const char *folder, char *error, size_t room);

/* Compares the folder with its manifest: `report` gets one message for each file that is
 * missing, differs or is not listed. Returns how many there were, and in `checked` the number of
 * files listed; -1 with a message when the manifest can't be read. */
int assay_manifest_verify(const char *folder, void (*report)(void *context, const char *message),
                          void *context, size_t *checked, char *error, size_t room);

#endif

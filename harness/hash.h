/* SPDX-License-Identifier: Apache-2.0 */
/* SHA-256 of memory and files, in lower-case hexadecimal. */
#ifndef ASSAY_HASH_H
#define ASSAY_HASH_H

#include <nettle/sha2.h>
#include <stdbool.h>
#include <stddef.h>

enum { ASSAY_SHA256_HEX = 65 }; /* 64 digits and the NUL */

struct assay_sha256 {
    struct sha256_ctx state;
};

void assay_sha256_init(struct assay_sha256 *hash);
void assay_sha256_update(struct assay_sha256 *hash, const void *bytes, size_t size);
/* The digest of all bytes so far; the hash starts anew. */
void assay_sha256_hex(struct assay_sha256 *hash, char hex[ASSAY_SHA256_HEX]);

void assay_sha256_memory(const void *bytes, size_t size, char hex[ASSAY_SHA256_HEX]);
/* 0, or -1 with a message that names the file. */
int assay_sha256_file(const char *path, char hex[ASSAY_SHA256_HEX], char *error, size_t room);

/* 64 lower-case hexadecimal digits and nothing else? */
bool assay_sha256_is_hex(const char *text);

#endif

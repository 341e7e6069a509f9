/* SPDX-License-Identifier: Apache-2.0 */
/* SHA-256 of memory and files (the digest is nettle's). */
#include "harness/hash.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "harness/files.h"

void assay_sha256_init(struct assay_sha256 *hash)
{
    sha256_init(&hash->state);
}

void assay_sha256_update(struct assay_sha256 *hash, const void *bytes, size_t size)
{
    if (size > 0)
        sha256_update(&hash->state, size, bytes);
}

void assay_sha256_hex(struct assay_sha256 *hash, char hex[ASSAY_SHA256_HEX])
{
    uint8_t digest[SHA256_DIGEST_SIZE];
    sha256_digest(&hash->state, sizeof digest, digest);
    for (size_t i = 0; i < sizeof digest; i++)
        snprintf(hex + 2 * i, 3, "%02x", digest[i]);
}

void assay_sha256_memory(const void *bytes, size_t size, char hex[ASSAY_SHA256_HEX])
{
    struct assay_sha256 hash;
    assay_sha256_init(&hash);
    assay_sha256_update(&hash, bytes, size);
    assay_sha256_hex(&hash, hex);
}

int assay_sha256_file(const char *path, char hex[ASSAY_SHA256_HEX], char *error, size_t room)
{
    FILE *file = fopen(path, "rb");
    if (!file)
        return assay_complain(error, room, "%s: %s", path, strerror(errno));
    struct assay_sha256 hash;
    assay_sha256_init(&hash);
    char block[1 << 14];
    for (size_t n; (n = fread(block, 1, sizeof block, file)) > 0;)
        assay_sha256_update(&hash, block, n);
    int reason = ferror(file) ? errno : 0;
    fclose(file);
    if (reason != 0)
        return assay_complain(error, room, "%s: %s", path, strerror(reason));
    assay_sha256_hex(&hash, hex);
    return 0;
}

bool assay_sha256_is_hex(const char *text)
{
    return strlen(text) == ASSAY_SHA256_HEX - 1
           && strspn(text, "0123456789abcdef") == ASSAY_SHA256_HEX - 1;
}

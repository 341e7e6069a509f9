/* SPDX-License-Identifier: Apache-2.0 */
/* Writes and verifies the manifest of a folder of golden files. */
#include "harness/manifest.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness/files.h"
#include "harness/hash.h"

enum { MANIFEST_BYTES_MAX = 1 << 24 };

static int hash_below(const char *folder, const char *name, char hex[ASSAY_SHA256_HEX], char *error,
                      size_t room)
{
    char *path = assay_path_join(folder, name);
    int status = path ? assay_sha256_file(path, hex, error, room)
                      : assay_complain(error, room, "%s: no memory", folder);
    free(path);
    return status;
}

static int print_lines(FILE *out, const char *folder, const struct assay_names *names, char *error,
                       size_t room)
{
    for (size_t i = 0; i < names->count; i++) {
        char hex[ASSAY_SHA256_HEX];
        if (strpbrk(names->name[i], "\\\n\r"))
            return assay_complain(
                error, room, "%s/%s: a manifest can't hold a name with a backslash or a new line",
                folder, names->name[i]);
        if (hash_below(folder, names->name[i], hex, error, room) != 0)
            return -1;
        fprintf(out, "%s  %s\n", hex, names->name[i]);
    }
    return 0;
}

int assay_manifest_write(const char *folder, char *error, size_t room)
{
    struct assay_names names;
    if (assay_folder_list(folder, ".safetensors", &names, error, room) != 0)
        return -1;
    char *text = NULL, *path = assay_path_join(folder, "MANIFEST");
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    int status = out && path ? print_lines(out, folder, &names, error, room) : -1;
    if (!out || fclose(out) != 0 || !path)
        status = assay_complain(error, room, "%s: no memory for its manifest", folder);
    if (status == 0)
        status = assay_file_write(path, text, size, error, room);
    free(path);
    free(text);
    assay_names_free(&names);
    return status;
}

struct verification {
    const char *folder;
    void (*report)(void *context, const char *message);
    void *context;
    struct assay_names found;
    bool *listed;     /* of each file found */
    const char *last; /* name of the line before */
    size_t checked;
    int problems;
};

static void tell(struct verification *v, const char *name, const char *message)
{
    char line[2 * ASSAY_ERROR_ROOM];
    assay_complain(line, sizeof line, "%s/%s: %s", v->folder, name, message);
    v->problems++;
    v->report(v->context, line);
}

static int by_bytes(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void verify_file(struct verification *v, const char *expected, const char *name)
{
    char hex[ASSAY_SHA256_HEX], message[ASSAY_ERROR_ROOM];
    char **found = v->found.count > 0 ? bsearch(&name, v->found.name, v->found.count,
                                                sizeof *v->found.name, by_bytes)
                                      : NULL;
    v->checked++;
    if (!found) {
        tell(v, name, "is listed in the manifest and missing in the folder");
        return;
    }
    v->listed[found - v->found.name] = true;
    if (hash_below(v->folder, name, hex, message, sizeof message) != 0) {
        v->problems++;
        v->report(v->context, message);
    } else if (strcmp(hex, expected) != 0) {
        assay_complain(message, sizeof message,
                       "differs from the manifest: expected sha256 %s, found %s", expected, hex);
        tell(v, name, message);
    }
}

/* One line without its end: 64 digits, a space, a space or '*', the name. */
static int verify_line(struct verification *v, char *line, size_t number, char *error, size_t room)
{
    const size_t digits = ASSAY_SHA256_HEX - 1;
    bool whole = strlen(line) > digits + 2 && line[digits] == ' '
                 && (line[digits + 1] == ' ' || line[digits + 1] == '*');
    if (whole)
        line[digits] = '\0';
    if (!whole || !assay_sha256_is_hex(line))
        return assay_complain(
            error, room,
            "%s/MANIFEST: line %zu: expected 64 hexadecimal digits, two spaces and a name",
            v->folder, number);
    const char *name = line + digits + 2;
    if (v->last && strcmp(v->last, name) >= 0)
        return assay_complain(
            error, room,
            "%s/MANIFEST: line %zu: expected names in ascending order of their bytes, found "
            "%s behind %s",
            v->folder, number, name, v->last);
    v->last = name;
    verify_file(v, line, name);
    return 0;
}

static int verify_lines(struct verification *v, char *text, size_t size, char *error, size_t room)
{
    if (memchr(text, '\0', size) || (size > 0 && text[size - 1] != '\n'))
        return assay_complain(
            error, room, "%s/MANIFEST: expected lines of text, found a NUL or an unfinished line",
            v->folder);
    size_t number = 1;
    for (char *line = text, *end; (end = strchr(line, '\n')) != NULL; line = end + 1) {
        *end = '\0';
        if (verify_line(v, line, number++, error, room) != 0)
            return -1;
    }
    for (size_t i = 0; i < v->found.count; i++)
        if (!v->listed[i])
            tell(v, v->found.name[i], "is in the folder and not listed in the manifest");
    return v->problems;
}

int assay_manifest_verify(const char *folder, void (*report)(void *context, const char *message),
                          void *context, size_t *checked, char *error, size_t room)
{
    struct verification v = {.folder = folder, .report = report, .context = context};
    char *text = NULL, *path = assay_path_join(folder, "MANIFEST");
    size_t size;
    int status = -1;
    *checked = 0;
    if (!path)
        return assay_complain(error, room, "%s: no memory for its manifest", folder);
    if (assay_file_read(path, MANIFEST_BYTES_MAX, &text, &size, error, room) == 0
        && assay_folder_list(folder, ".safetensors", &v.found, error, room) == 0) {
        v.listed = calloc(v.found.count + 1, sizeof *v.listed);
        status = v.listed ? verify_lines(&v, text, size, error, room)
                          : assay_complain(error, room, "%s: no memory for its manifest", folder);
        *checked = v.checked;
    }
    free(v.listed);
    assay_names_free(&v.found);
    free(text);
    free(path);
    return status;
}

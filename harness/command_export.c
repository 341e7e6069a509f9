/* SPDX-License-Identifier: Apache-2.0 */
/* `assay export`: a model as ONNX, with the test data of ONNX's backend tests. */
#include <argp.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "harness/command.h"
#include "harness/files.h"
#include "harness/golden.h"
#include "harness/lookup.h"
#include "harness/onnx_export.h"
#include "harness/safetensors.h"

enum { KEY_DIR = 0x100, KEY_FORCE, KEY_TRACE };

struct choice {
    const char *id, *folder, *golden;
    uint64_t seed; /* 0: the golden file's */
    bool force, trace, quiet;
};

static const struct argp_option options[] = {
    {"dir", KEY_DIR, "DIR", 0, "golden folder (default: ./golden, else the installed)", 0},
    {"force", KEY_FORCE, NULL, 0, "write into a folder that holds something else, too", 0},
    {"quiet", 'q', NULL, 0, "no line for what was written", 0},
    {"seed", 's', "N", 0, "of weights and inputs (default: the golden file's, else 1)", 0},
    {"trace", KEY_TRACE, NULL, 0, "the golden's trace as further outputs", 0},
    {0}};

static error_t parse(int key, char *argument, struct argp_state *state)
{
    struct choice *choice = state->input;
    char *end;
    switch (key) {
    case KEY_DIR:
        choice->golden = argument;
        return 0;
    case KEY_FORCE:
        choice->force = true;
        return 0;
    case KEY_TRACE:
        choice->trace = true;
        return 0;
    case 'q':
        choice->quiet = true;
        return 0;
    case 's':
        errno = 0;
        choice->seed = strtoull(argument, &end, 10);
        if (*argument < '1' || *argument > '9' || *end || errno)
            argp_error(state, "expected a seed of 1 or more, found '%s'", argument);
        return 0;
    case ARGP_KEY_ARG:
        if (choice->folder)
            argp_error(state, "'%s' is one argument too many", argument);
        *(choice->id ? &choice->folder : &choice->id) = argument;
        return 0;
    case ARGP_KEY_END:
        if (!choice->folder || !*choice->folder)
            argp_error(state, "expected a paper's id, or ID.SETTING, and a folder to write");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

/* "ID" or "ID.SETTING". */
static int look_up(const char *text, const struct assay_variant **variant,
                   const struct variant_setting **setting, char *error, size_t room)
{
    size_t length = strcspn(text, ".");
    char *id = strndup(text, length);
    if (!id)
        return assay_complain(error, room, "out of memory");
    *variant = assay_lookup_variant(id, error, room);
    free(id);
    if (!*variant)
        return -1;
    *setting = text[length] ? assay_lookup_setting(*variant, text + length + 1, error, room)
                            : (*variant)->settings;
    return *setting && (*setting)->name ? 0 : -1;
}

/* Of the golden file, where there is one; else 1. */
static int seed_of(const struct choice *choice, const struct assay_variant *variant,
                   const struct variant_setting *setting, uint64_t *seed, char *error, size_t room)
{
    char path[ASSAY_GOLDEN_PATH];
    struct assay_archive *archive;
    *seed = choice->seed ? choice->seed : 1;
    if (choice->seed
        || !assay_golden_path(assay_golden_folder(choice->golden), variant, setting, path)
        || access(path, F_OK) != 0)
        return 0;
    if (assay_archive_read(path, &archive, error, room) != 0)
        return -1;
    const char *text = assay_archive_metadata(archive, "seed");
    char *end = NULL;
    *seed = text ? strtoull(text, &end, 10) : 0;
    int status = *seed && !*end
                     ? 0
                     : assay_complain(error, room, "%s: seed: expected 1 to %d, found '%.40s'",
                                      path, ASSAY_GOLDEN_SEEDS, text ? text : "none");
    assay_archive_free(archive);
    return status;
}

/* Is it a file that an export writes? */
static bool is_ours(const char *name)
{
    static const char data[] = ASSAY_ONNX_DATA "/";
    size_t length = strlen(name);
    if (strcmp(name, "model.onnx") == 0)
        return true;
    if (strncmp(name, data, sizeof data - 1) != 0 || length < 3
        || strcmp(name + length - 3, ".pb") != 0)
        return false;
    name += sizeof data - 1;
    return strncmp(name, "input_", 6) == 0 || strncmp(name, "output_", 7) == 0;
}

/* The files of an earlier export in the folder, or all that are there. 0, or -1 with a message. */
static int list_folder(const char *folder, bool all, struct assay_names *names, char *error,
                       size_t room)
{
    size_t kept = 0;
    if (assay_folder_list(folder, "", names, error, room) != 0)
        return -1;
    for (size_t i = 0; i < names->count; i++)
        if (all || is_ours(names->name[i]))
            names->name[kept++] = names->name[i];
        else
            free(names->name[i]);
    names->count = kept;
    return 0;
}

/* Removes an export's files, and the folders if nothing else is in them. */
static void remove_export(const char *folder)
{
    char error[ASSAY_ERROR_ROOM];
    struct assay_names names;
    if (list_folder(folder, false, &names, error, sizeof error) != 0)
        return;
    for (size_t i = 0; i < names.count; i++) {
        char *path = assay_path_join(folder, names.name[i]);
        if (path)
            unlink(path);
        free(path);
    }
    assay_names_free(&names);
    char *data = assay_path_join(folder, ASSAY_ONNX_DATA);
    if (data)
        rmdir(data);
    free(data);
    rmdir(folder);
}

static int write_files(const struct assay_onnx_files *files, const char *folder, char *error,
                       size_t room)
{
    char *data = assay_path_join(folder, ASSAY_ONNX_DATA);
    int status =
        data ? assay_folder_make(data, error, room) : assay_complain(error, room, "out of memory");
    free(data);
    for (size_t i = 0; status == 0 && i < files->count; i++) {
        const struct assay_onnx_file *file = &files->file[i];
        char *path = assay_path_join(folder, file->name);
        status = path ? assay_file_write(path, file->content.bytes, file->content.size, error, room)
                      : assay_complain(error, room, "out of memory");
        free(path);
    }
    return status;
}

/* A folder that isn't there, is empty, or holds an earlier export and nothing else; with force any
 * folder. */
static int check_folder(const struct choice *choice, char *error, size_t room)
{
    struct stat state;
    struct assay_names names;
    if (lstat(choice->folder, &state) != 0)
        return errno == ENOENT
                   ? 0
                   : assay_complain(error, room, "%s: %s", choice->folder, strerror(errno));
    if (stat(choice->folder, &state) != 0 || !S_ISDIR(state.st_mode))
        return assay_complain(error, room, "%s: expected a folder or nothing, found something else",
                              choice->folder);
    if (list_folder(choice->folder, true, &names, error, room) != 0)
        return -1;
    int status = 0;
    for (size_t i = 0; status == 0 && !choice->force && i < names.count; i++)
        if (!is_ours(names.name[i]))
            status = assay_complain(error, room,
                                    "%s: expected an empty folder or an earlier export, found %s; "
                                    "--force writes beside it",
                                    choice->folder, names.name[i]);
    assay_names_free(&names);
    return status;
}

/* The new files of `hidden` in place of the old ones of `folder`, whose other files stay. */
static int move_files(const struct assay_onnx_files *files, const char *hidden, const char *folder,
                      char *error, size_t room)
{
    char *data = assay_path_join(folder, ASSAY_ONNX_DATA);
    int status =
        data ? assay_folder_make(data, error, room) : assay_complain(error, room, "out of memory");
    free(data);
    for (size_t i = files->count; status == 0 && i-- > 0;) {
        char *from = assay_path_join(hidden, files->file[i].name),
             *to = assay_path_join(folder, files->file[i].name);
        if (!from || !to)
            status = assay_complain(error, room, "out of memory");
        else if (rename(from, to) != 0)
            status = assay_complain(error, room, "%s: not written: %s", to, strerror(errno));
        free(from);
        free(to);
    }
    return status;
}

/* All is written to a hidden folder beside the wanted one, which then takes its place in one step
 * where there was none, or an empty one. */
static int write_folder(const struct choice *choice, const struct assay_onnx_files *files,
                        char *error, size_t room)
{
    size_t length = strlen(choice->folder);
    while (length > 1 && choice->folder[length - 1] == '/')
        length--;
    size_t name = length;
    while (name > 0 && choice->folder[name - 1] != '/')
        name--;
    size_t hidden_room = length + 16;
    char *hidden = malloc(hidden_room), *folder = strndup(choice->folder, length);
    int status = hidden && folder ? 0 : assay_complain(error, room, "out of memory");
    if (status == 0)
        snprintf(hidden, hidden_room, "%.*s.%.*s.XXXXXX", (int)name, folder, (int)(length - name),
                 folder + name);
    if (status == 0 && !mkdtemp(hidden))
        status = assay_complain(error, room, "%s: can't make a folder beside it: %s", folder,
                                strerror(errno));
    else if (status == 0) {
        mode_t mask = umask(0);
        umask(mask);
        chmod(hidden, 0777 & ~mask);
        status = write_files(files, hidden, error, room);
        if (status == 0 && rename(hidden, folder) != 0) {
            if (errno == ENOTEMPTY || errno == EEXIST) {
                remove_export(folder);
                status = rename(hidden, folder) == 0
                             ? 0
                             : move_files(files, hidden, folder, error, room);
            } else {
                status =
                    assay_complain(error, room, "%s: not written: %s", folder, strerror(errno));
            }
        }
        remove_export(hidden);
    }
    free(hidden);
    free(folder);
    return status;
}

static void report(const struct choice *choice, const struct assay_onnx_files *files, uint64_t seed,
                   size_t bound)
{
    size_t bytes = 0;
    for (size_t i = 0; i < files->count; i++)
        bytes += files->file[i].content.size;
    if (!choice->quiet)
        printf("%s  %zu files, %zu bytes, %zu ops, seed %" PRIu64 "\n", choice->folder,
               files->count, bytes, files->ops, seed);
    fflush(stdout);
    if (bound)
        fprintf(stderr,
                "assay: %s: %zu constants follow from the inputs, so that the graph is right for "
                "those of its test data only\n",
                choice->id, bound);
}

static int export(const struct choice *choice)
{
    const struct assay_variant *variant = NULL;
    const struct variant_setting *setting = NULL;
    struct assay_onnx_files files = {0};
    char error[ASSAY_ERROR_ROOM];
    uint64_t seed = 0;
    size_t bound = 0;
    int status = look_up(choice->id, &variant, &setting, error, sizeof error);
    if (status == 0)
        status = check_folder(choice, error, sizeof error);
    if (status == 0)
        status = seed_of(choice, variant, setting, &seed, error, sizeof error);
    if (status == 0)
        status = assay_onnx_export(variant, setting, seed, choice->trace, &files, &bound, error,
                                   sizeof error);
    if (status == 0)
        status = write_folder(choice, &files, error, sizeof error);
    if (status == 0)
        report(choice, &files, seed, bound);
    assay_onnx_files_free(&files);
    return status == 0 ? ASSAY_EXIT_SAME : assay_refuse("%s", error);
}

int assay_command_export(int argc, char **argv)
{
    static const struct argp argp = {
        options,
        parse,
        "ID[.SETTING] DIR",
        "Writes a model as an ONNX graph (opset 17) in the layout of ONNX's backend tests: "
        "DIR/model.onnx, and below DIR/test_data_set_0 the golden file's inputs and output, bit "
        "for "
        "bit. Weights are initializers under the golden's names.\v"
        "Examples:\n  assay export denseformer /tmp/denseformer\n"
        "  assay export reference.llama /tmp/llama --trace\n"
        "  assay export crmsnorm /tmp/crmsnorm --seed 7 --force",
        NULL,
        NULL,
        NULL};
    struct choice choice = {0};
    argp_parse(&argp, argc, argv, 0, NULL, &choice);
    return export(&choice);
}

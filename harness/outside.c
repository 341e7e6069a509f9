/* SPDX-License-Identifier: Apache-2.0 */
/* Outside vectors: a tensor of an archive as binary64 numbers. */
#include "harness/outside.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "harness/files.h"
#include "harness/safetensors.h"

struct assay_outside {
    struct assay_archive *archive;
    double **numbers; /* per tensor: made when first asked for */
};

int assay_outside_open(const char *golden, const char *id, struct assay_outside **outside,
                       char *error, size_t room)
{
    char path[1024];
    *outside = NULL;
    int length = snprintf(path, sizeof path, "%s/outside/%s.safetensors", golden, id);
    if (length < 0 || (size_t)length >= sizeof path)
        return assay_complain(error, room, "%.100s...: the folder's name is too long", golden);
    if (access(path, F_OK) != 0)
        return 0;
    struct assay_outside *made = calloc(1, sizeof *made);
    if (!made)
        return assay_complain(error, room, "%s: out of memory", path);
    if (assay_archive_read(path, &made->archive, error, room) != 0) {
        free(made);
        return -1;
    }
    made->numbers = calloc(assay_archive_count(made->archive) + 1, sizeof *made->numbers);
    if (!made->numbers) {
        assay_outside_close(made);
        return assay_complain(error, room, "%s: out of memory", path);
    }
    *outside = made;
    return 0;
}

void assay_outside_close(struct assay_outside *outside)
{
    if (!outside)
        return;
    for (size_t i = 0; outside->numbers && i < assay_archive_count(outside->archive); i++)
        free(outside->numbers[i]);
    free(outside->numbers);
    assay_archive_free(outside->archive);
    free(outside);
}

static bool convert(const struct assay_archive_tensor *from, double *to)
{
    for (size_t i = 0; i < from->elements; i++)
        switch (from->dtype) {
        case ASSAY_DT_F64:
            to[i] = ((const double *)from->data)[i];
            break;
        case ASSAY_DT_F32:
            to[i] = (double)((const float *)from->data)[i];
            break;
        case ASSAY_DT_I32:
            to[i] = ((const int32_t *)from->data)[i];
            break;
        case ASSAY_DT_U8:
        case ASSAY_DT_BOOL:
            to[i] = ((const uint8_t *)from->data)[i];
            break;
        case ASSAY_DT_I64: {
            const int64_t exact = INT64_C(1) << 53;
            int64_t value = ((const int64_t *)from->data)[i];
            if (value > exact || value < -exact)
                return false;
            to[i] = (double)value;
            break;
        }
        default:
            return false;
        }
    return true;
}

const double *assay_outside_numbers(void *outside, const char *name, struct assay_shape *shape)
{
    struct assay_outside *o = outside;
    size_t i = 0, count = o ? assay_archive_count(o->archive) : 0;
    while (i < count && strcmp(assay_archive_entry(o->archive, i)->name, name) != 0)
        i++;
    if (i == count)
        return NULL;
    const struct assay_archive_tensor *found = assay_archive_entry(o->archive, i);
    if (found->rank > ASSAY_RANK_MAX)
        return NULL;
    if (!o->numbers[i]) {
        double *numbers = malloc((found->elements + 1) * sizeof *numbers);
        if (!numbers || !convert(found, numbers)) {
            free(numbers);
            return NULL;
        }
        o->numbers[i] = numbers;
    }
    *shape = (struct assay_shape){.rank = (int)found->rank};
    memcpy(shape->dim, found->dim, found->rank * sizeof *found->dim);
    return o->numbers[i];
}

const char *assay_outside_says(const struct assay_outside *outside, const char *key)
{
    return outside ? assay_archive_metadata(outside->archive, key) : NULL;
}

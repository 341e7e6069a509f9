/* SPDX-License-Identifier: Apache-2.0 */
/* The list of tasks, and what all of them share. */
#include "suites/task.h"

#include <stdlib.h>
#include <string.h>

const struct assay_task *assay_task_find(const char *id)
{
    for (const struct assay_task *const *task = assay_tasks; *task != NULL; task++)
        if (strcmp((*task)->id, id) == 0)
            return *task;
    return NULL;
}

const struct assay_task_preset *assay_task_preset(const struct assay_task *task, const char *name)
{
    for (size_t i = 0; i < task->preset_count; i++)
        if (strcmp(task->presets[i].name, name) == 0)
            return &task->presets[i];
    return NULL;
}

void assay_dataset_free(struct assay_dataset *data)
{
    free(data->ids);
    free(data->label);
    *data = (struct assay_dataset){0};
}

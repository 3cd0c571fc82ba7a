// SPDX-License-Identifier: GPL-2.0-or-later
/* virt-who's configuration files: whatever stands in one, and the sections that come out of it. */
#include <stdint.h>
#include <string.h>

#include "virt-who/conf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void free_problem(gpointer data)
{
    Problem *problem = data;

    g_free(problem->file);
    g_free(problem->text);
    g_free(problem);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    Paths paths = {.root = "", .general = "general", .key = "/dev/null"};
    g_autoptr(GError) error = NULL;
    g_autoptr(IniFile) file = ini_parse("F", (const char *)data, size, &error);
    ConfSet set = {0};

    if (file == NULL) {
        g_assert(error != NULL);
        return 0;
    }
    set.problems = g_ptr_array_new_with_free_func(free_problem);
    for (guint i = 0; i < file->sections->len && i < 50; i++) {
        const IniSection *section = file->sections->pdata[i];
        Conf *config = conf_section_read(file, section, file, ini_section(file, "defaults"), &paths, &set);

        if (config != NULL) {
            filter_passes(config->filter, section->name);
            conf_free(config);
        }
    }
    g_ptr_array_unref(set.problems);
    return 0;
}

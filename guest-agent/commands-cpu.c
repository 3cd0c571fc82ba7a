// SPDX-License-Identifier: GPL-2.0-or-later
/* guest-get-vcpus: the guest's processors, from sysfs (Documentation/admin-guide/cputopology.rst). */
#include "guest-agent/agent.h"

#include <errno.h>
#include <string.h>

#define CPU_FOLDER "/sys/devices/system/cpu"

static gint compare_ids(gconstpointer a, gconstpointer b)
{
    gint64 x = *(const gint64 *)a, y = *(const gint64 *)b;
    return (x > y) - (x < y);
}

/* The numbers of the folders cpuN, in order. NULL and error if there is no sysfs. */
static GArray *list_cpus(GError **error)
{
    g_autoptr(GDir) dir = g_dir_open(CPU_FOLDER, 0, error);
    if (!dir)
        return NULL;
    GArray *ids = g_array_new(FALSE, FALSE, sizeof(gint64));
    const char *name;
    while ((name = g_dir_read_name(dir))) {
        gint64 id;
        guint64 number;
        if (g_str_has_prefix(name, "cpu") &&
            g_ascii_string_to_unsigned(name + 3, 10, 0, G_MAXINT32, &number, NULL)) {
            id = (gint64)number;
            g_array_append_val(ids, id);
        }
    }
    g_array_sort(ids, compare_ids);
    return ids;
}

/* A processor without the file `online` cannot be switched off. */
static JsonObject *describe_cpu(gint64 id)
{
    g_autofree char *path = g_strdup_printf(CPU_FOLDER "/cpu%" G_GINT64_FORMAT "/online", id);
    g_autofree char *text = NULL;
    gboolean can_offline = g_file_get_contents(path, &text, NULL, NULL);
    JsonObject *cpu = json_object_new();
    json_object_set_int_member(cpu, "logical-id", id);
    json_object_set_boolean_member(cpu, "online", !can_offline || text[0] != '0');
    json_object_set_boolean_member(cpu, "can-offline", can_offline);
    return cpu;
}

static void guest_get_vcpus(CommandCall *call, JsonObject *arguments, gpointer data)
{
    GError *error = NULL;
    g_autoptr(GArray) ids = list_cpus(&error);
    if (!ids) {
        command_call_take_error(call, error);
        return;
    }
    JsonArray *cpus = json_array_new();
    for (guint i = 0; i < ids->len; i++)
        json_array_add_object_element(cpus, describe_cpu(g_array_index(ids, gint64, i)));
    command_call_return_array(call, cpus);
}

const Command COMMANDS_CPU[] = {
    {"guest-get-vcpus", NULL, guest_get_vcpus, COMMAND_FLAG_NONE},
    {0},
};

// SPDX-License-Identifier: GPL-2.0-or-later
/* guest-get-osinfo, guest-get-host-name: what runs here, its name. */
#include "guest-agent/agent.h"
#include "guest-agent/os-release.h"

#include <limits.h>
#include <sys/utsname.h>
#include <unistd.h>

static void guest_get_osinfo(CommandCall *call, JsonObject *arguments, gpointer data)
{
    static const char *const FIELDS[][2] = {
        {"ID", "id"},
        {"NAME", "name"},
        {"PRETTY_NAME", "pretty-name"},
        {"VERSION", "version"},
        {"VERSION_ID", "version-id"},
        {"VARIANT", "variant"},
        {"VARIANT_ID", "variant-id"},
    };
    JsonObject *info = json_object_new();
    struct utsname kernel;
    if (uname(&kernel) == 0) {
        json_object_set_string_member(info, "kernel-release", kernel.release);
        json_object_set_string_member(info, "kernel-version", kernel.version);
        json_object_set_string_member(info, "machine", kernel.machine);
    }
    g_autoptr(GHashTable) release = os_release_load();
    for (gsize i = 0; release && i < G_N_ELEMENTS(FIELDS); i++) {
        const char *value = g_hash_table_lookup(release, FIELDS[i][0]);
        if (value)
            json_object_set_string_member(info, FIELDS[i][1], value);
    }
    command_call_return_object(call, info);
}

/* Read afresh each time: g_get_host_name() keeps what it found first. */
static void guest_get_host_name(CommandCall *call, JsonObject *arguments, gpointer data)
{
    char name[HOST_NAME_MAX + 1] = "";
    if (gethostname(name, sizeof name - 1) < 0 || !*name)
        g_strlcpy(name, "localhost", sizeof name);
    g_autofree char *valid = g_utf8_make_valid(name, -1);
    JsonObject *info = json_object_new();
    json_object_set_string_member(info, "host-name", valid);
    command_call_return_object(call, info);
}

const Command COMMANDS_OS[] = {
    {"guest-get-osinfo", NULL, guest_get_osinfo, COMMAND_FLAG_NONE},
    {"guest-get-host-name", NULL, guest_get_host_name, COMMAND_FLAG_NONE},
    {0},
};

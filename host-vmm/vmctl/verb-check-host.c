// SPDX-License-Identifier: GPL-2.0-or-later
#include <json-glib/json-glib.h>
#include <stdio.h>

#include "host-vmm/vmctl/host-check.h"
#include "host-vmm/vmctl/launch.h"
#include "host-vmm/vmctl/options.h"
#include "host-vmm/vmctl/print.h"

static const char *const STATES[] = {
    [HOST_CHECK_OK] = "ok",
    [HOST_CHECK_NOTE] = "note",
    [HOST_CHECK_WARN] = "warn",
    [HOST_CHECK_FAIL] = "fail",
};

static guint count(const GPtrArray *checks, HostCheckState state)
{
    guint found = 0;

    for (guint i = 0; i < checks->len; i++)
        found += ((const HostCheck *)checks->pdata[i])->state == state;
    return found;
}

static void print_text(const GPtrArray *checks, gboolean is_fit)
{
    guint warnings = count(checks, HOST_CHECK_WARN);

    for (guint i = 0; i < checks->len; i++) {
        const HostCheck *check = checks->pdata[i];
        g_autofree char *detail = print_visible(check->detail);

        printf("%-5s %-23s %s\n", STATES[check->state], check->name, detail);
        if (check->hint != NULL)
            printf("%-29s (%s)\n", "", check->hint);
    }
    printf("\nThis host is %s (%u warning%s).\n", is_fit ? "fit for guests" : "not fit for guests", warnings,
           warnings == 1 ? "" : "s");
}

static void print_checks_json(const GPtrArray *checks, gboolean is_fit)
{
    g_autoptr(JsonNode) node = json_node_new(JSON_NODE_OBJECT);
    JsonObject *object = json_object_new();
    JsonArray *rows = json_array_new();

    json_object_set_boolean_member(object, "fit", is_fit);
    for (guint i = 0; i < checks->len; i++) {
        const HostCheck *check = checks->pdata[i];
        JsonObject *row = json_object_new();

        json_object_set_string_member(row, "name", check->name);
        json_object_set_string_member(row, "state", STATES[check->state]);
        json_object_set_string_member(row, "detail", check->detail);
        if (check->hint != NULL)
            json_object_set_string_member(row, "hint", check->hint);
        json_array_add_object_element(rows, row);
    }
    json_object_set_array_member(object, "checks", rows);
    json_node_take_object(node, object);
    print_json(node);
}

static int run(const Verb *verb, char **words)
{
    gboolean json = FALSE, no_guest = FALSE;
    const GOptionEntry entries[] = {
        {"json", 'j', 0, G_OPTION_ARG_NONE, &json, "print a JSON object", NULL},
        {"no-guest", 0, 0, G_OPTION_ARG_NONE, &no_guest, "do not run the probe guest", NULL},
        {NULL},
    };
    g_autoptr(GPtrArray) checks = g_ptr_array_new_with_free_func((GDestroyNotify)host_check_free);
    g_autofree char *monitor = NULL;
    g_autoptr(GError) error = NULL;
    const char *root = g_getenv("VIRT_SUITE_HOST_ROOT");
    Host host = {.root = root != NULL ? root : "", .checks = checks};
    int status = options_parse(verb, entries, words);
    gboolean is_fit;

    if (status >= 0)
        return status;
    if (words[0] != NULL)
        return options_usage_error(verb, "one word too many: '%s'", words[0]);
    if (!no_guest)
        monitor = launch_find_monitor(&error);
    host_check_cpu(&host);
    host_check_kvm(&host, monitor, error != NULL ? error->message : "--no-guest");
    host_check_memory(&host);
    host_check_devices(&host);
    host_check_system(&host);
    is_fit = count(checks, HOST_CHECK_FAIL) == 0;
    if (json)
        print_checks_json(checks, is_fit);
    else
        print_text(checks, is_fit);
    return is_fit ? VMCTL_OK : VMCTL_FAILED;
}

const Verb VERB_CHECK_HOST = {
    .name = "check-host",
    .usage = "[--json] [--no-guest]",
    .summary = "tell whether this host can run guests, and what would make it better",
    .help = "Looks at the CPU, KVM, memory, devices and limits of this host, and runs a tiny\n"
            "64-bit guest of host-vmm's, which takes some milliseconds. Changes nothing. Each\n"
            "line is ok, note (neither good nor bad, or not known), warn (guests run, but slower\n"
            "or without something) or fail (no guest runs). Exits with 0 if nothing fails.",
    .run = run,
};

// SPDX-License-Identifier: GPL-2.0-or-later
#include <stdio.h>

#include "lib/runtime-dir.h"
#include "host-vmm/vmctl/inspect.h"
#include "host-vmm/vmctl/options.h"
#include "host-vmm/vmctl/print.h"

enum { LIST_COLUMNS = 7, LIST_TIMEOUT_MS = 2000 };

static void print_reports(const GPtrArray *reports)
{
    static const char *const HEADINGS[LIST_COLUMNS] = {"NAME",   "STATE", "PID",   "VCPUS",
                                                       "MEMORY", "AGENT", "UPTIME"};
    g_autoptr(GPtrArray) cells = g_ptr_array_new_with_free_func(g_free);

    for (guint i = 0; i < LIST_COLUMNS; i++)
        g_ptr_array_add(cells, g_strdup(HEADINGS[i]));
    for (guint i = 0; i < reports->len; i++) {
        const GuestReport *report = g_ptr_array_index(reports, i);
        int vcpus = guest_report_vcpus(report);
        guint64 memory = guest_report_memory(report);

        g_ptr_array_add(cells, print_visible(report->guest->label));
        g_ptr_array_add(cells, report->life == GUEST_DEAD ? g_strdup("dead (left over)")
                                                          : print_visible(report->state));
        g_ptr_array_add(cells, report->pid > 0 ? g_strdup_printf("%d", (int)report->pid) : g_strdup("-"));
        g_ptr_array_add(cells, vcpus >= 0 ? g_strdup_printf("%d", vcpus) : g_strdup("-"));
        g_ptr_array_add(cells, memory > 0 ? print_size(memory) : g_strdup("-"));
        g_ptr_array_add(cells,
                        g_strdup(report->agent == AGENT_UNKNOWN ? "-" : guest_report_agent_word(report)));
        g_ptr_array_add(cells, report->uptime >= 0 ? print_duration((guint64)report->uptime) : g_strdup("-"));
    }
    print_table(cells, LIST_COLUMNS);
}

static JsonNode *reports_to_json(const GPtrArray *reports)
{
    JsonArray *array = json_array_new();
    JsonNode *node = json_node_new(JSON_NODE_ARRAY);

    for (guint i = 0; i < reports->len; i++)
        json_array_add_object_element(array, guest_report_summary(g_ptr_array_index(reports, i)));
    json_node_take_array(node, array);
    return node;
}

/* Removes what guests that do not run have left. */
static int clean(const GPtrArray *guests)
{
    int status = VMCTL_OK;

    for (guint i = 0; i < guests->len; i++) {
        const Guest *guest = g_ptr_array_index(guests, i);
        GuestLife life = guest_life(guest, NULL);
        GError *error = NULL;

        if (life != GUEST_ENDED && life != GUEST_DEAD)
            continue;
        if (guest_clean(guest, &error))
            printf("removed %s, which guest %s had left\n", guest->folder, guest->label);
        else
            status = complain_error(error);
    }
    return status;
}

static int run(const Verb *verb, char **words)
{
    gboolean json = FALSE, want_clean = FALSE;
    const GOptionEntry entries[] = {
        {"clean", 0, 0, G_OPTION_ARG_NONE, &want_clean,
         "remove the folders of guests that do not run any more", NULL},
        {"json", 0, 0, G_OPTION_ARG_NONE, &json, "print a JSON array", NULL},
        {NULL},
    };
    g_autoptr(GPtrArray) guests = g_ptr_array_new_with_free_func((GDestroyNotify)guest_free);
    g_auto(GStrv) names = NULL;
    GError *error = NULL;
    int status = options_parse(verb, entries, words);

    if (status >= 0)
        return status;
    if (words[0] != NULL)
        return options_usage_error(verb, "'%s' is one word too many", words[0]);
    if (json && want_clean)
        return options_usage_error(verb, "--clean and --json do not go together");
    names = runtime_dir_list_guests(&error);
    if (names == NULL)
        return complain_error(error);
    for (guint i = 0; names[i] != NULL; i++) {
        Guest *guest = guest_new(names[i], NULL); /* a folder that cannot be a guest's is not ours to judge */
        if (guest != NULL)
            g_ptr_array_add(guests, guest);
    }
    if (want_clean)
        return clean(guests);
    g_autoptr(GPtrArray) reports = inspect_guests(g_steal_pointer(&guests), LIST_TIMEOUT_MS);
    if (json) {
        g_autoptr(JsonNode) node = reports_to_json(reports);
        print_json(node);
    } else if (reports->len > 0) {
        print_reports(reports);
    } else {
        g_autofree char *folder = runtime_dir_path();
        complain("there are no guests in %s", folder);
    }
    return VMCTL_OK;
}

const Verb VERB_LIST = {
    .name = "list",
    .usage = "[--json]\n--clean",
    .summary = "list the guests",
    .help = "Lists the guests: whether they run, and whether their agent answers. All are asked\n"
            "at once; a guest that does not answer costs 2 seconds. STATE is QMP's word (running,\n"
            "paused, …) or\n"
            "  no-answer         its monitor runs but does not answer\n"
            "  starting          a vmctl run is at work on it\n"
            "  ended             it has ended; its log is left\n"
            "  dead (left over)  its monitor was killed; its files are left\n"
            "AGENT is yes, no (no program in the guest has opened the port), no-answer, in-use\n"
            "(another program is connected to it) or no-port.",
    .run = run,
};

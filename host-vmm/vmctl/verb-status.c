// SPDX-License-Identifier: GPL-2.0-or-later
#include <stdio.h>
#include <string.h>

#include "host-vmm/vmctl/inspect.h"
#include "host-vmm/vmctl/options.h"
#include "host-vmm/vmctl/print.h"
#include "host-vmm/vmctl/replies.h"

enum { STATUS_TIMEOUT_MS = 3000 };

static void print_line(const char *what, const char *format, ...) G_GNUC_PRINTF(2, 3);
static void print_line(const char *what, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    g_autofree char *text = g_strdup_vprintf(format, arguments);
    va_end(arguments);
    g_autofree char *visible = print_visible(text);
    printf("  %-10s%s\n", what, visible);
}

static void print_process(const GuestReport *report)
{
    if (report->pid > 0 && report->uptime >= 0) {
        g_autofree char *uptime = print_duration((guint64)report->uptime);
        print_line("process", "%d, up %s", (int)report->pid, uptime);
    } else if (report->pid > 0) {
        print_line("process", "%d", (int)report->pid);
    }
}

static void print_monitor(const GuestReport *report)
{
    JsonObject *qemu = object_object(report->version, "qemu");
    const char *package = object_string(report->version, "package", "");

    if (report->version != NULL)
        print_line("monitor",
                   "QMP of QEMU %" G_GINT64_FORMAT ".%" G_GINT64_FORMAT ".%" G_GINT64_FORMAT "%s%s",
                   object_int(qemu, "major", 0), object_int(qemu, "minor", 0), object_int(qemu, "micro", 0),
                   *package != '\0' ? ", " : "", package);
    if (report->error != NULL)
        print_line("monitor", "%s", report->error->message);
}

static void print_vcpus(const GuestReport *report)
{
    int count = guest_report_vcpus(report);
    g_autoptr(GString) threads = g_string_new(NULL);
    JsonObject *cpu;

    if (count < 0)
        return;
    for (guint i = 0; (cpu = reply_object(report->cpus, i)) != NULL; i++)
        g_string_append_printf(threads, " %" G_GINT64_FORMAT, object_int(cpu, "thread-id", 0));
    print_line("vCPUs", "%d, %s%s", count, count == 1 ? "thread" : "threads", threads->str);
}

static void print_agent(const GuestReport *report)
{
    switch (report->agent) {
    case AGENT_UNKNOWN:
        print_line("agent", "unknown");
        break;
    case AGENT_NO_PORT:
        print_line("agent", "the guest has no agent port");
        break;
    case AGENT_CLOSED:
        print_line("agent", "no program in the guest has opened the port");
        break;
    case AGENT_BUSY:
        print_line("agent", "another program is connected to it");
        break;
    case AGENT_SILENT:
        print_line("agent", "the port is open in the guest, but nobody answers");
        break;
    case AGENT_ANSWERS:
        print_line("agent", "answers, version %s",
                   object_string(reply_as_object(report->agent_info), "version", "unknown"));
        break;
    }
}

static void print_chardevs(const GuestReport *report)
{
    JsonObject *chardev;

    for (guint i = 0; (chardev = reply_object(report->chardevs, i)) != NULL; i++)
        print_line(i == 0 ? "chardevs" : "", "%s: %s, guest's side %s", object_string(chardev, "label", "?"),
                   object_string(chardev, "filename", "?"),
                   chardev_is_opened_by_guest(chardev) ? "open" : "closed");
}

static void print_report(const GuestReport *report)
{
    g_autofree char *name = print_visible(report->guest->label);
    g_autofree char *state = print_visible(report->state);

    printf("%s: %s\n", name, state);
    print_process(report);
    print_monitor(report);
    print_vcpus(report);
    if (guest_report_memory(report) > 0) {
        g_autofree char *memory = print_size(guest_report_memory(report));
        print_line("memory", "%s", memory);
    }
    if (report->life == GUEST_ALIVE)
        print_agent(report);
    print_chardevs(report);
    if (report->guest->folder != NULL)
        print_line("folder", "%s", report->guest->folder);
}

static void set_reply(JsonObject *object, const char *name, JsonNode *reply)
{
    if (reply != NULL)
        json_object_set_member(object, name, json_node_ref(reply));
    else
        json_object_set_null_member(object, name);
}

static void print_report_as_json(const GuestReport *report)
{
    g_autoptr(JsonNode) node = json_node_new(JSON_NODE_OBJECT);
    JsonObject *object = guest_report_summary(report);

    json_node_take_object(node, object);
    if (report->guest->folder != NULL)
        json_object_set_string_member(object, "folder", report->guest->folder);
    if (report->error != NULL)
        json_object_set_string_member(object, "error", report->error->message);
    if (report->version != NULL)
        json_object_set_object_member(object, "version", json_object_ref(report->version));
    set_reply(object, "status", report->status);
    set_reply(object, "cpus", report->cpus);
    set_reply(object, "chardevs", report->chardevs);
    set_reply(object, "agent-info", report->agent_info);
    print_json(node);
}

static int run(const Verb *verb, char **words)
{
    gboolean json = FALSE;
    const GOptionEntry entries[] = {
        {"json", 0, 0, G_OPTION_ARG_NONE, &json, "print a JSON object, with the monitor's own replies in it",
         NULL},
        {NULL},
    };
    GError *error = NULL;
    Guest *guest;
    int status = options_parse(verb, entries, words);

    if (status >= 0)
        return status;
    if (words[0] == NULL || words[1] != NULL)
        return options_usage_error(verb, words[0] == NULL ? "which guest?" : "one guest, please");
    guest = guest_new(words[0], &error);
    if (guest == NULL)
        return complain_error(error);
    if (guest_life(guest, NULL) == GUEST_ABSENT) {
        guest_require(guest, &error);
        guest_free(guest);
        return complain_error(error);
    }
    GPtrArray *guests = g_ptr_array_new();
    g_ptr_array_add(guests, guest);
    g_autoptr(GPtrArray) reports = inspect_guests(guests, STATUS_TIMEOUT_MS);
    const GuestReport *report = g_ptr_array_index(reports, 0);
    if (json)
        print_report_as_json(report);
    else
        print_report(report);
    if (report->life != GUEST_ALIVE)
        return VMCTL_NO_GUEST;
    return report->error != NULL ? VMCTL_TIMED_OUT : VMCTL_OK;
}

const Verb VERB_STATUS = {
    .name = "status",
    .usage = "GUEST [--json]",
    .summary = "show one guest in detail",
    .help = "Shows a guest: its state, its process, the threads of its vCPUs, its memory, whether\n"
            "its agent answers, and its character devices. GUEST is a name or the path of a QMP\n"
            "socket. Exits with 0 if its monitor has answered, 124 if it has not within 3 s, and\n"
            "3 if the guest does not run.",
    .run = run,
};

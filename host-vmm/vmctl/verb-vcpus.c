// SPDX-License-Identifier: GPL-2.0-or-later
#include <stdio.h>
#include <string.h>

#include "host-vmm/vmctl/guest.h"
#include "host-vmm/vmctl/options.h"
#include "host-vmm/vmctl/print.h"
#include "host-vmm/vmctl/replies.h"

enum {
    VCPUS_TIMEOUT_S = 30,
    MAX_VCPUS = 4096, /* of a reply that is looked at */
};

#define PERIPHERAL "/machine/peripheral/"

typedef struct Vcpu {
    gint64 socket, core, thread;
    gboolean present;
    char *id;   /* if it was plugged */
    char *type; /* what device_add calls it */
} Vcpu;

/* What an event has said of the one vCPU that is being changed. */
typedef enum { WAITING, DONE, REFUSED } Outcome;

typedef struct Change {
    QmpClient *qmp;
    const char *label;
    gint64 deadline;
    gboolean plugging;
    const char *id;
    Outcome outcome;
    gint64 status; /* of the last _OST */
    gboolean closed;
} Change;

static void vcpu_free(gpointer data)
{
    Vcpu *vcpu = data;

    g_free(vcpu->id);
    g_free(vcpu->type);
    g_free(vcpu);
}

static gint by_place(gconstpointer a, gconstpointer b)
{
    const Vcpu *x = *(Vcpu *const *)a, *y = *(Vcpu *const *)b;
    gint64 difference = x->socket != y->socket ? x->socket - y->socket
                        : x->core != y->core   ? x->core - y->core
                                               : x->thread - y->thread;

    return difference < 0 ? -1 : difference > 0;
}

/* All vCPUs that may be there, by place. */
static GPtrArray *query_vcpus(QmpClient *qmp, gint64 deadline, GError **error)
{
    g_autoptr(JsonNode) reply =
        qmp_client_call(qmp, "query-hotpluggable-cpus", NULL, MAX(1, deadline_left_ms(deadline)), error);
    GPtrArray *vcpus;
    JsonObject *row;

    if (reply == NULL)
        return NULL;
    vcpus = g_ptr_array_new_with_free_func(vcpu_free);
    for (guint i = 0; i < MAX_VCPUS && (row = reply_object(reply, i)) != NULL; i++) {
        JsonObject *props = object_object(row, "props");
        const char *path = object_string(row, "qom-path", NULL);
        Vcpu *vcpu = g_new0(Vcpu, 1);

        vcpu->socket = object_int(props, "socket-id", -1);
        vcpu->core = object_int(props, "core-id", -1);
        vcpu->thread = object_int(props, "thread-id", -1);
        vcpu->type = g_strdup(object_string(row, "type", ""));
        vcpu->present = path != NULL;
        if (path != NULL && g_str_has_prefix(path, PERIPHERAL))
            vcpu->id = g_strdup(path + strlen(PERIPHERAL));
        g_ptr_array_add(vcpus, vcpu);
    }
    g_ptr_array_sort(vcpus, by_place);
    return vcpus;
}

static guint count_present(const GPtrArray *vcpus)
{
    guint count = 0;

    for (guint i = 0; i < vcpus->len; i++)
        count += ((Vcpu *)vcpus->pdata[i])->present;
    return count;
}

/* ---- one vCPU ---- */

static void on_event(QmpClient *qmp, const char *name, JsonObject *data, gpointer user_data)
{
    Change *change = user_data;

    if (name == NULL) {
        change->closed = TRUE;
    } else if (strcmp(name, "ACPI_DEVICE_OST") == 0) {
        JsonObject *info = object_object(data, "info");

        if (strcmp(object_string(info, "device", ""), change->id) != 0)
            return;
        change->status = object_int(info, "status", -1);
        if (change->plugging)
            change->outcome = change->status == 0 ? DONE : REFUSED;
    } else if (strcmp(object_string(data, "device", ""), change->id) == 0) {
        if (strcmp(name, "DEVICE_DELETED") == 0 && !change->plugging)
            change->outcome = DONE;
        else if (strcmp(name, "DEVICE_UNPLUG_GUEST_ERROR") == 0)
            change->outcome = REFUSED;
    }
}

static gboolean on_deadline(gpointer user_data)
{
    *(gboolean *)user_data = TRUE;
    return G_SOURCE_CONTINUE;
}

static gboolean wait_for_guest(Change *change, GError **error)
{
    gboolean late = FALSE;
    guint timer = g_timeout_add(MAX(1, deadline_left_ms(change->deadline)), on_deadline, &late);

    while (change->outcome == WAITING && !late && !change->closed)
        g_main_context_iteration(NULL, TRUE);
    g_source_remove(timer);
    if (change->outcome == DONE)
        return TRUE;
    if (change->outcome == REFUSED)
        g_set_error(error, VMCTL_ERROR, VMCTL_FAILED,
                    "%s: the guest refuses to %s vCPU %s (_OST status 0x%" G_GINT64_MODIFIER "x)",
                    change->label, change->plugging ? "take up" : "give back", change->id, change->status);
    else if (change->closed)
        g_set_error(error, VMCTL_ERROR, VMCTL_FAILED, "%s: the monitor has ended", change->label);
    else
        g_set_error(error, VMCTL_ERROR, VMCTL_TIMED_OUT, "%s: the guest has not %s vCPU %s in time%s",
                    change->label, change->plugging ? "taken up" : "given back", change->id,
                    change->plugging ? "" : "; it may still do so");
    return FALSE;
}

static gboolean plug(Change *change, Vcpu *vcpu, GError **error)
{
    JsonObject *arguments = json_object_new();
    g_autoptr(JsonNode) reply = NULL;

    json_object_set_string_member(arguments, "driver", vcpu->type);
    json_object_set_string_member(arguments, "id", change->id);
    json_object_set_int_member(arguments, "socket-id", vcpu->socket);
    json_object_set_int_member(arguments, "core-id", vcpu->core);
    json_object_set_int_member(arguments, "thread-id", vcpu->thread);
    reply = qmp_client_call(change->qmp, "device_add", arguments, MAX(1, deadline_left_ms(change->deadline)),
                            error);
    return reply != NULL && wait_for_guest(change, error);
}

static gboolean unplug(Change *change, GError **error)
{
    JsonObject *arguments = json_object_new();
    g_autoptr(JsonNode) reply = NULL;

    json_object_set_string_member(arguments, "id", change->id);
    reply = qmp_client_call(change->qmp, "device_del", arguments, MAX(1, deadline_left_ms(change->deadline)),
                            error);
    return reply != NULL && wait_for_guest(change, error);
}

/* ---- the whole ---- */

/* Plugs the first that are absent, or asks back the last that were plugged, until `wanted` are there. */
static gboolean change_count(Change *change, GPtrArray *vcpus, guint wanted, GError **error)
{
    guint present = count_present(vcpus);

    qmp_client_set_event_func(change->qmp, on_event, change);
    for (guint i = 0; i < vcpus->len && present < wanted; i++) {
        Vcpu *vcpu = vcpus->pdata[i];
        g_autofree char *id = g_strdup_printf("vcpu%u", i);

        if (vcpu->present)
            continue;
        change->plugging = TRUE;
        change->id = id;
        change->outcome = WAITING;
        if (!plug(change, vcpu, error))
            return FALSE;
        printf("vCPU %s is plugged, the guest has taken it up\n", id);
        present++;
    }
    for (guint i = vcpus->len; i-- > 0 && present > wanted;) {
        Vcpu *vcpu = vcpus->pdata[i];

        if (vcpu->id == NULL)
            continue;
        change->plugging = FALSE;
        change->id = vcpu->id;
        change->outcome = WAITING;
        if (!unplug(change, error))
            return FALSE;
        g_autofree char *visible = print_visible(vcpu->id);
        printf("vCPU %s is given back by the guest and gone\n", visible);
        present--;
    }
    qmp_client_set_event_func(change->qmp, NULL, NULL);
    return TRUE;
}

/* The guest's processors that are offline and can be online; takes a guest-get-vcpus reply. */
static JsonArray *offline_processors(JsonNode *reply)
{
    JsonArray *changes = json_array_new();
    JsonObject *row;

    for (guint i = 0; i < MAX_VCPUS && (row = reply_object(reply, i)) != NULL; i++) {
        if (!object_bool(row, "online", TRUE)) {
            JsonObject *wanted = json_object_new();

            json_object_set_int_member(wanted, "logical-id", object_int(row, "logical-id", -1));
            json_object_set_boolean_member(wanted, "online", TRUE);
            json_array_add_object_element(changes, wanted);
        }
    }
    return changes;
}

/* Puts all of the guest's processors online by its agent; some guests do so by themselves. */
static gboolean bring_online(const Guest *guest, gint64 deadline, GError **error)
{
    g_autoptr(AgentClient) agent = guest_open_agent(guest, deadline, error);
    g_autoptr(JsonNode) reply = NULL, done = NULL;
    JsonObject *arguments;
    JsonArray *changes;
    guint count;

    if (agent == NULL)
        return FALSE;
    reply = agent_client_call(agent, "guest-get-vcpus", NULL, MAX(1, deadline_left_ms(deadline)), error);
    if (reply == NULL)
        return FALSE;
    changes = offline_processors(reply);
    count = json_array_get_length(changes);
    arguments = json_object_new();
    json_object_set_array_member(arguments, "vcpus", changes);
    if (count == 0) {
        json_object_unref(arguments);
        printf("all processors of %s are online\n", guest->label);
        return TRUE;
    }
    done = agent_client_call(agent, "guest-set-vcpus", arguments, MAX(1, deadline_left_ms(deadline)), error);
    if (done == NULL)
        return FALSE;
    printf("%u more processors of %s are online\n", count, guest->label);
    return TRUE;
}

static int set(const Guest *guest, const char *number, gint64 deadline)
{
    g_autoptr(QmpClient) qmp = NULL;
    g_autoptr(GPtrArray) vcpus = NULL;
    GError *error = NULL;
    guint wanted = 0, present, fixed = 0;

    if (!options_parse_count("the number of vCPUs", number, &wanted, &error) ||
        (qmp = guest_open_qmp(guest, deadline, &error)) == NULL ||
        (vcpus = query_vcpus(qmp, deadline, &error)) == NULL)
        return complain_error(error);
    for (guint i = 0; i < vcpus->len; i++) {
        const Vcpu *vcpu = vcpus->pdata[i];
        fixed += vcpu->present && vcpu->id == NULL;
    }
    present = count_present(vcpus);
    if (wanted > vcpus->len || wanted < fixed) {
        complain("%s can have %u to %u vCPUs (-smp %u,maxcpus=%u)", guest->label, fixed, vcpus->len, fixed,
                 vcpus->len);
        return VMCTL_FAILED;
    }
    Change change = {.qmp = qmp, .label = guest->label, .deadline = deadline};
    if (!change_count(&change, vcpus, wanted, &error))
        return complain_error(error);
    if (wanted >= present && !bring_online(guest, deadline, &error)) {
        complain("%s has %u vCPUs, but they could not be put online:", guest->label, wanted);
        return complain_error(error);
    }
    printf("%s has %u of %u possible vCPUs\n", guest->label, wanted, vcpus->len);
    return VMCTL_OK;
}

static int show(const Guest *guest, gint64 deadline)
{
    g_autoptr(QmpClient) qmp = NULL;
    g_autoptr(GPtrArray) vcpus = NULL;
    GError *error = NULL;

    if ((qmp = guest_open_qmp(guest, deadline, &error)) == NULL ||
        (vcpus = query_vcpus(qmp, deadline, &error)) == NULL)
        return complain_error(error);
    printf("%s has %u of %u possible vCPUs\n", guest->label, count_present(vcpus), vcpus->len);
    return VMCTL_OK;
}

static int run(const Verb *verb, char **words)
{
    g_autofree char *timeout = NULL;
    const GOptionEntry entries[] = {
        {"timeout", 't', 0, G_OPTION_ARG_FILENAME, &timeout, "give up after so many seconds in all (30)",
         "S"},
        {NULL},
    };
    g_autoptr(Guest) guest = NULL;
    GError *error = NULL;
    guint timeout_ms = VCPUS_TIMEOUT_S * 1000;
    gint64 deadline;
    int status = options_parse(verb, entries, words);

    if (status >= 0)
        return status;
    if (timeout != NULL && !options_parse_seconds("--timeout", timeout, &timeout_ms, &error))
        return complain_error(error);
    if (words[0] == NULL)
        return options_usage_error(verb, "which guest?");
    if (words[1] != NULL && words[2] != NULL)
        return options_usage_error(verb, "one word too many: '%s'", words[2]);
    deadline = deadline_after_ms(timeout_ms);
    guest = guest_new(words[0], &error);
    if (guest == NULL)
        return complain_error(error);
    return words[1] != NULL ? set(guest, words[1], deadline) : show(guest, deadline);
}

const Verb VERB_VCPUS = {
    .name = "vcpus",
    .usage = "GUEST [N] [--timeout S]",
    .summary = "change how many vCPUs a running guest has",
    .help = "Without a number tells how many vCPUs the guest has and may have. With one it plugs\n"
            "vCPUs and has the guest's agent put them online, or asks the guest for some back and\n"
            "waits until they are gone. How many there may be is said at the start:\n"
            "  vmctl run demo … --cpus 1 --max-cpus 8\n"
            "The vCPUs that were there at the start stay. Where it stops - the guest refuses, the\n"
            "agent does not answer, the deadline passes - is said; what was done until then stays.",
    .run = run,
};

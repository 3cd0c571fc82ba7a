// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/domain-monitor-guest.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lib/domain-proc.h"
#include "lib/domain-qmp.h"
#include "lib/qmp-client.h"

#define RETRY_US    (2 * G_USEC_PER_SEC)
#define TAPS_US     (10 * G_USEC_PER_SEC) /* how often the process's descriptors are looked through */
#define MAX_TAPS    64
#define MAX_CHANGES 256

typedef enum { PHASE_IDLE, PHASE_OPEN, PHASE_SETUP, PHASE_ASK } Phase;

struct MonitorGuest {
    gint references; /* the owner's and one of each call on its way */
    gboolean freed;
    char *name, *qmp_path, *agent_path;
    MonitorGuestFunc changed;
    gpointer changed_data;
    QmpClient *client;
    GCancellable *opening;
    gint64 retry_at; /* nobody listened */
    /* the refresh that is going on */
    Phase phase;
    guint outstanding;
    gint64 deadline;
    DomainWants wants;
    gboolean late, gone;
    Domain *building;
    MonitorGuestFunc done;
    gpointer done_data;
    /* what does not change while it runs */
    GHashTable *commands; /* names that query-commands told */
    char *display_name, *uuid, *balloon;
    guint64 memory; /* KiB */
    guint possible, fixed;
    /* */
    gboolean silent;
    Domain *last;
    GArray *threads;
    int pid;
    GPtrArray *taps;
    gint64 taps_at;
};

static void step(MonitorGuest *guest);

MonitorGuest *monitor_guest_ref(MonitorGuest *guest)
{
    guest->references++;
    return guest;
}

void monitor_guest_unref(MonitorGuest *guest)
{
    if (--guest->references > 0) {
        return;
    }
    g_free(guest->name);
    g_free(guest->qmp_path);
    g_free(guest->agent_path);
    g_free(guest->display_name);
    g_free(guest->uuid);
    g_free(guest->balloon);
    g_hash_table_unref(guest->commands);
    g_array_unref(guest->threads);
    g_ptr_array_unref(guest->taps);
    g_object_unref(guest->opening);
    g_clear_pointer(&guest->building, domain_unref);
    g_clear_pointer(&guest->last, domain_unref);
    g_free(guest);
}

static guint left_ms(gint64 deadline)
{
    return (guint)MAX((deadline - g_get_monotonic_time()) / 1000, 1);
}

/* ---- asking ---- */

typedef void (*Take)(MonitorGuest *guest, JsonNode *value);

typedef struct Call {
    MonitorGuest *guest;
    Take take;
} Call;

static void note_error(MonitorGuest *guest, const GError *error)
{
    if (g_error_matches(error, QMP_CLIENT_ERROR, QMP_CLIENT_ERROR_TIMEOUT)) {
        guest->late = TRUE;
    } else if (g_error_matches(error, QMP_CLIENT_ERROR, QMP_CLIENT_ERROR_CLOSED) ||
               g_error_matches(error, QMP_CLIENT_ERROR, QMP_CLIENT_ERROR_PROTOCOL)) {
        guest->gone = TRUE;
    }
    /* else it said no, as it may: then that part stays unknown */
}

static void on_answer(GObject *source, GAsyncResult *result, gpointer user_data)
{
    Call *call = user_data;
    MonitorGuest *guest = call->guest;
    g_autoptr(GError) error = NULL;
    JsonNode *value = qmp_client_call_finish(result, &error);

    if (!guest->freed) {
        if (value != NULL) {
            call->take(guest, value);
        } else {
            note_error(guest, error);
        }
        if (--guest->outstanding == 0) {
            step(guest);
        }
    }
    g_clear_pointer(&value, json_node_unref);
    monitor_guest_unref(guest);
    g_free(call);
}

/* arguments: taken. Nothing is sent if the server does not have the command. */
static void ask(MonitorGuest *guest, const char *command, JsonObject *arguments, Take take)
{
    Call *call;

    if (guest->phase == PHASE_ASK && g_hash_table_size(guest->commands) > 0 &&
        !g_hash_table_contains(guest->commands, command)) {
        g_clear_pointer(&arguments, json_object_unref);
        return;
    }
    call = g_new0(Call, 1);
    guest->references++;
    guest->outstanding++;
    call->guest = guest;
    call->take = take;
    qmp_client_call_async(guest->client, command, arguments, left_ms(guest->deadline), NULL, on_answer, call);
}

/* ---- what does not change ---- */

static void take_commands(MonitorGuest *guest, JsonNode *value)
{
    for (guint i = 0; i < domain_qmp_length(value); i++) {
        const char *name = domain_qmp_string(domain_qmp_element(value, i), "name");

        if (name != NULL) {
            g_hash_table_add(guest->commands, g_strdup(name));
        }
    }
}

static JsonObject *object_of(JsonNode *value)
{
    return JSON_NODE_HOLDS_OBJECT(value) ? json_node_get_object(value) : NULL;
}

static void take_name(MonitorGuest *guest, JsonNode *value)
{
    const char *name = domain_qmp_string(object_of(value), "name");

    if (name != NULL && name[0] != '\0') {
        g_free(guest->display_name);
        guest->display_name = g_strdup(name);
    }
}

static void take_uuid(MonitorGuest *guest, JsonNode *value)
{
    const char *uuid = domain_qmp_string(object_of(value), "UUID");

    /* All zeros is how QEMU says that it has none. */
    if (uuid != NULL && g_uuid_string_is_valid(uuid) &&
        strcmp(uuid, "00000000-0000-0000-0000-000000000000") != 0) {
        g_free(guest->uuid);
        guest->uuid = g_ascii_strdown(uuid, -1);
    }
}

static void take_memory(MonitorGuest *guest, JsonNode *value)
{
    guint64 base = domain_qmp_uint(object_of(value), "base-memory");
    guint64 plugged = domain_qmp_uint(object_of(value), "plugged-memory");

    if (base != DOMAIN_UNKNOWN) {
        guest->memory = (base + (plugged != DOMAIN_UNKNOWN ? plugged : 0)) / 1024;
    }
}

static void take_possible(MonitorGuest *guest, JsonNode *value)
{
    guest->possible = domain_qmp_count_possible(value);
    guest->fixed = domain_qmp_count_fixed(value);
}

static void take_peripherals(MonitorGuest *guest, JsonNode *value)
{
    g_free(guest->balloon);
    guest->balloon = domain_qmp_find_device(value, "virtio-balloon-pci");
}

static void forget(MonitorGuest *guest)
{
    g_clear_pointer(&guest->client, qmp_client_close);
    g_clear_pointer(&guest->display_name, g_free);
    g_clear_pointer(&guest->uuid, g_free);
    g_clear_pointer(&guest->balloon, g_free);
    g_hash_table_remove_all(guest->commands);
    g_ptr_array_set_size(guest->taps, 0);
    guest->taps_at = 0;
    guest->memory = guest->possible = guest->fixed = 0;
    guest->pid = 0;
}

static void set_up(MonitorGuest *guest)
{
    JsonObject *arguments = json_object_new();

    json_object_set_string_member(arguments, "path", "/machine/peripheral");
    ask(guest, "query-commands", NULL, take_commands);
    ask(guest, "query-name", NULL, take_name);
    ask(guest, "query-uuid", NULL, take_uuid);
    ask(guest, "query-memory-size-summary", NULL, take_memory);
    ask(guest, "query-hotpluggable-cpus", NULL, take_possible);
    ask(guest, "qom-list", arguments, take_peripherals);
}

/* ---- what does ---- */

static void take_status(MonitorGuest *guest, JsonNode *value)
{
    domain_qmp_take_status(guest->building, value);
}

static void take_cpus(MonitorGuest *guest, JsonNode *value)
{
    domain_qmp_take_cpus(guest->building, value, guest->threads);
}

static void take_balloon(MonitorGuest *guest, JsonNode *value)
{
    domain_qmp_take_balloon(guest->building, value);
}

static void take_guest_stats(MonitorGuest *guest, JsonNode *value)
{
    domain_qmp_take_guest_stats(guest->building, value);
}

static void take_blockstats(MonitorGuest *guest, JsonNode *value)
{
    domain_qmp_take_blockstats(guest->building, value);
}

static void take_vcpu_stats(MonitorGuest *guest, JsonNode *value)
{
    domain_qmp_take_vcpu_stats(guest->building, value);
}

static JsonObject *vcpu_stats_arguments(void)
{
    JsonObject *arguments = json_object_new();
    JsonObject *provider = json_object_new();
    JsonArray *providers = json_array_new();
    JsonArray *names = json_array_new();

    json_array_add_string_element(names, "exits");
    json_array_add_string_element(names, "io_exits");
    json_object_set_string_member(provider, "provider", "kvm");
    json_object_set_array_member(provider, "names", names);
    json_array_add_object_element(providers, provider);
    json_object_set_string_member(arguments, "target", "vcpu");
    json_object_set_array_member(arguments, "providers", providers);
    return arguments;
}

static void ask_all(MonitorGuest *guest)
{
    guest->building =
        domain_new(guest->display_name != NULL ? guest->display_name : guest->name, guest->uuid);
    ask(guest, "query-status", NULL, take_status);
    if (guest->silent) {
        return;
    }
    ask(guest, "query-cpus-fast", NULL, take_cpus);
    if (guest->balloon != NULL) {
        JsonObject *arguments = json_object_new();

        json_object_set_string_member(arguments, "path", guest->balloon);
        json_object_set_string_member(arguments, "property", "guest-stats");
        ask(guest, "query-balloon", NULL, take_balloon);
        ask(guest, "qom-get", arguments, take_guest_stats);
    }
    if (guest->wants & DOMAIN_WANT_BLOCKS) {
        ask(guest, "query-blockstats", NULL, take_blockstats);
    }
    if ((guest->wants & DOMAIN_WANT_VCPUS) && g_hash_table_contains(guest->commands, "query-stats")) {
        ask(guest, "query-stats", vcpu_stats_arguments(), take_vcpu_stats);
    }
}

/* ---- what the kernel says ---- */

/* The tap interfaces that the process has open: /proc/PID/fdinfo of /dev/net/tun says which. */
static void find_taps(MonitorGuest *guest)
{
    g_autofree char *folder = g_strdup_printf("/proc/%d/fd", guest->pid);
    g_autoptr(GDir) dir = g_dir_open(folder, 0, NULL);
    const char *entry;

    g_ptr_array_set_size(guest->taps, 0);
    while (dir != NULL && guest->taps->len < MAX_TAPS && (entry = g_dir_read_name(dir)) != NULL) {
        g_autofree char *link = g_build_filename(folder, entry, NULL);
        g_autofree char *info = NULL;
        g_autofree char *text = NULL;
        char target[32] = "";
        const char *at;

        if (readlink(link, target, sizeof target - 1) < 0 || strcmp(target, "/dev/net/tun") != 0) {
            continue;
        }
        info = g_strdup_printf("/proc/%d/fdinfo/%s", guest->pid, entry);
        if (g_file_get_contents(info, &text, NULL, NULL) && (at = strstr(text, "iff:\t")) != NULL) {
            at += strlen("iff:\t");
            char *name = g_strndup(at, strcspn(at, "\n"));

            /* A queue each is open, if it has several. */
            if (g_ptr_array_find_with_equal_func(guest->taps, name, g_str_equal, NULL)) {
                g_free(name);
            } else {
                g_ptr_array_add(guest->taps, name);
            }
        }
    }
    guest->taps_at = g_get_monotonic_time();
}

static void read_taps(MonitorGuest *guest, Domain *domain)
{
    if (guest->taps_at == 0 || g_get_monotonic_time() - guest->taps_at > TAPS_US) {
        find_taps(guest);
    }
    for (guint i = 0; i < guest->taps->len && domain_set_nics(domain, i + 1); i++) {
        const char *tap = guest->taps->pdata[i];
        DomainNic *nic = &domain->nic[i];

        domain_nic_set_name(nic, tap);
        /* What the host sends there, the guest receives. */
        nic->rx_bytes = domain_proc_interface(tap, "tx_bytes");
        nic->rx_packets = domain_proc_interface(tap, "tx_packets");
        nic->rx_errors = domain_proc_interface(tap, "tx_errors");
        nic->rx_drops = domain_proc_interface(tap, "tx_dropped");
        nic->tx_bytes = domain_proc_interface(tap, "rx_bytes");
        nic->tx_packets = domain_proc_interface(tap, "rx_packets");
        nic->tx_errors = domain_proc_interface(tap, "rx_errors");
        nic->tx_drops = domain_proc_interface(tap, "rx_dropped");
    }
    domain->parts |= DOMAIN_HAS_NICS;
}

static void read_process(MonitorGuest *guest, Domain *domain)
{
    for (guint i = 0; i < domain->n_vcpus; i++) {
        DomainVcpu *vcpu = &domain->vcpu[i];
        int thread = i < guest->threads->len ? g_array_index(guest->threads, int, i) : 0;

        if (thread == 0) {
            vcpu->state = DOMAIN_VCPU_OFFLINE; /* its place is empty */
            continue;
        }
        if (guest->pid == 0) {
            guest->pid = domain_proc_process_of(thread);
        }
        domain_proc_read_vcpu(guest->pid, thread, vcpu);
    }
    domain->pid = guest->pid;
    domain->id = guest->pid;
    domain->when = g_get_monotonic_time();
    if (domain_proc_cpu_time(guest->pid, &domain->cpu_time)) {
        domain->parts |= DOMAIN_HAS_CPU;
    }
    domain->memory.rss = domain_proc_rss(guest->pid);
    if (guest->wants & DOMAIN_WANT_NICS) {
        read_taps(guest, domain);
    }
}

/* ---- a refresh ---- */

static void finish(MonitorGuest *guest)
{
    MonitorGuestFunc done = guest->done;

    guest->phase = PHASE_IDLE;
    if (guest->gone || guest->client == NULL) {
        gboolean was_open = guest->client != NULL;

        forget(guest);
        g_clear_pointer(&guest->last, domain_unref);
        if (guest->late) { /* somebody listens, but does not speak */
            guest->last = domain_new(guest->name, NULL);
            guest->last->answers = FALSE;
            guest->last->id = 0;
        } else if (!was_open) {
            guest->retry_at = g_get_monotonic_time() + RETRY_US;
        }
        guest->silent = guest->late;
    } else if (guest->late || guest->building == NULL) {
        Domain *old =
            guest->last != NULL
                ? domain_copy(guest->last)
                : domain_new(guest->display_name != NULL ? guest->display_name : guest->name, guest->uuid);

        old->answers = FALSE;
        old->id = MAX(old->id, 0);
        g_clear_pointer(&guest->last, domain_unref);
        guest->last = old;
        guest->silent = TRUE;
    } else if (guest->silent) {
        /* It speaks again. What it said last is all there is for now. */
        guest->silent = FALSE;
    } else {
        Domain *domain = guest->building;

        domain->memory.maximum = guest->memory > 0 ? guest->memory : DOMAIN_UNKNOWN;
        if (domain->memory.current == DOMAIN_UNKNOWN) {
            domain->memory.current = domain->memory.maximum; /* no balloon takes any of it */
        }
        if (domain->memory.current != DOMAIN_UNKNOWN) {
            domain->parts |= DOMAIN_HAS_MEMORY;
        }
        domain->vcpus_max = MAX(guest->possible, domain->vcpus);
        domain->vcpus_min = guest->fixed;
        read_process(guest, domain);
        g_clear_pointer(&guest->last, domain_unref);
        guest->last = g_steal_pointer(&guest->building);
    }
    g_clear_pointer(&guest->building, domain_unref);
    guest->done = NULL;
    if (done != NULL) {
        done(guest->done_data);
    }
}

/* All that was asked has been answered, or not. */
static void step(MonitorGuest *guest)
{
    if (guest->gone || guest->late || guest->phase == PHASE_ASK) {
        finish(guest);
        return;
    }
    if (guest->phase == PHASE_OPEN) {
        guest->phase = PHASE_SETUP;
        set_up(guest);
    } else {
        guest->phase = PHASE_ASK;
        ask_all(guest);
        if (guest->outstanding == 0) { /* it has not even query-status */
            guest->gone = TRUE;
            finish(guest);
        }
    }
}

static void on_event(QmpClient *client, const char *name, JsonObject *data, gpointer user_data)
{
    MonitorGuest *guest = user_data;

    if (name == NULL) {
        guest->gone = TRUE;
        guest->silent = FALSE;
    }
    if (name == NULL || strcmp(name, "STOP") == 0 || strcmp(name, "RESUME") == 0 ||
        strcmp(name, "SHUTDOWN") == 0 || strcmp(name, "RESET") == 0 || strcmp(name, "GUEST_PANICKED") == 0 ||
        strcmp(name, "DEVICE_DELETED") == 0) {
        if (guest->changed != NULL) {
            guest->changed(guest->changed_data);
        }
    }
}

static void on_open(GObject *source, GAsyncResult *result, gpointer user_data)
{
    MonitorGuest *guest = user_data;
    g_autoptr(GError) error = NULL;
    QmpClient *client = qmp_client_open_finish(result, &error);

    if (guest->freed) {
        g_clear_pointer(&client, qmp_client_close);
    } else {
        guest->client = client;
        if (client != NULL) {
            qmp_client_set_event_func(client, on_event, guest);
        } else {
            guest->gone = TRUE;
            guest->late = g_error_matches(error, QMP_CLIENT_ERROR, QMP_CLIENT_ERROR_TIMEOUT);
            g_debug("guest %s: %s", guest->name, error->message);
        }
        step(guest);
    }
    monitor_guest_unref(guest);
}

gboolean monitor_guest_refresh(MonitorGuest *guest, DomainWants wants, guint timeout_ms,
                               MonitorGuestFunc done, gpointer user_data)
{
    if (guest->phase != PHASE_IDLE) {
        return FALSE;
    }
    if (guest->client != NULL && guest->gone) {
        forget(guest);
    }
    guest->deadline = g_get_monotonic_time() + (gint64)timeout_ms * 1000;
    guest->wants = wants;
    guest->late = guest->gone = FALSE;
    guest->done = done;
    guest->done_data = user_data;
    if (guest->client != NULL) {
        guest->phase = PHASE_ASK;
        ask_all(guest);
    } else if (g_get_monotonic_time() >= guest->retry_at) {
        guest->phase = PHASE_OPEN;
        guest->references++;
        qmp_client_open_async(guest->qmp_path, timeout_ms, guest->opening, on_open, guest);
    } else {
        g_clear_pointer(&guest->last, domain_unref);
        guest->done = NULL;
        done(user_data);
    }
    return TRUE;
}

gboolean monitor_guest_is_silent(const MonitorGuest *guest)
{
    return guest->silent;
}

Domain *monitor_guest_domain(const MonitorGuest *guest)
{
    return guest->last;
}

MonitorGuest *monitor_guest_new(const char *name, const char *qmp_path, const char *agent_path,
                                MonitorGuestFunc changed, gpointer user_data)
{
    MonitorGuest *guest = g_new0(MonitorGuest, 1);

    guest->references = 1;
    guest->name = g_strdup(name);
    guest->qmp_path = g_strdup(qmp_path);
    guest->agent_path = g_strdup(agent_path);
    guest->opening = g_cancellable_new();
    guest->changed = changed;
    guest->changed_data = user_data;
    guest->commands = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    guest->threads = g_array_new(FALSE, TRUE, sizeof(int));
    guest->taps = g_ptr_array_new_with_free_func(g_free);
    return guest;
}

void monitor_guest_free(MonitorGuest *guest)
{
    guest->freed = TRUE;
    g_cancellable_cancel(guest->opening);
    g_clear_pointer(&guest->client, qmp_client_close);
    monitor_guest_unref(guest);
}

QmpClient *monitor_guest_client(const MonitorGuest *guest)
{
    return guest->gone || guest->freed ? NULL : guest->client;
}

const char *monitor_guest_agent_path(const MonitorGuest *guest)
{
    return guest->agent_path;
}

const char *monitor_guest_balloon(const MonitorGuest *guest)
{
    return guest->balloon;
}

// SPDX-License-Identifier: GPL-2.0-or-later
/* The machine's vCPUs: how they begin, what they say, how they come and go while the guest runs. */
#include "host-vmm/machine-private.h"

/* _OST of an ejection request (ACPI 6.3.5): its source and what else than success means that it is still
 * going on. */
#define OST_EJECT_REQUEST     3
#define OST_EJECT_BY_GUEST    0x103
#define OST_SUCCESS           0
#define OST_EJECT_IN_PROGRESS 0x84

gboolean machine_has_cpu_hotplug(const Machine *machine)
{
    return cpu_set_possible(machine->cpus) > machine->config->vcpus;
}

CpuTopology machine_topology(const Machine *machine)
{
    const MachineConfig *config = machine->config;
    return (CpuTopology){config->sockets, config->cores, config->threads};
}

/* ---- what vCPUs and the guest's ACPI code say, on a vCPU's thread ---- */

static void on_vcpu_event(Vcpu *vcpu, VcpuEvent event, const char *text, gpointer user_data)
{
    Machine *machine = user_data;
    cpu_set_request_pause(machine->cpus);
    switch (event) {
    case VCPU_EVENT_RESET:
        machine_post_request(machine, (Request){.kind = REQUEST_GUEST_RESET});
        break;
    case VCPU_EVENT_SHUTDOWN:
        machine_post_request(machine, (Request){.kind = REQUEST_GUEST_POWER_OFF});
        break;
    case VCPU_EVENT_ERROR:
        machine_post_request(machine, (Request){.kind = REQUEST_STOP_ON_ERROR, .text = g_strdup(text)});
        break;
    }
}

static void on_vcpu_eject(guint index, gpointer user_data)
{
    machine_post_request(user_data, (Request){.kind = REQUEST_EJECT_VCPU, .vcpu = index});
}

static void on_vcpu_report(guint index, guint32 source, guint32 status, gpointer user_data)
{
    machine_post_request(
        user_data, (Request){.kind = REQUEST_VCPU_REPORT, .vcpu = index, .source = source, .status = status});
}

static const CpuHotplugFuncs HOTPLUG_FUNCS = {.eject = on_vcpu_eject, .report = on_vcpu_report};

/* ---- the main thread ---- */

gboolean machine_create_vcpus(Machine *machine, GError **error)
{
    const MachineConfig *config = machine->config;
    CpuTopology topology = machine_topology(machine);
    machine->cpuid = cpuid_table_new(machine->kvm, config->cpu, &topology, error);
    if (!machine->cpuid) {
        return FALSE;
    }
    VcpuConfig vcpu_config = {
        .topology = topology,
        .cpuid = machine->cpuid,
        .confine = machine->confine,
        .ports = machine->env.ports,
        .mmio = machine->env.mmio,
        .memory = machine->env.memory,
        .event = on_vcpu_event,
        .event_data = machine,
    };
    machine->cpus = cpu_set_new(machine->kvm, &vcpu_config, config->vcpus, error);
    if (!machine->cpus) {
        return FALSE;
    }
    if (!machine_has_cpu_hotplug(machine)) {
        return TRUE;
    }
    guint possible = cpu_set_possible(machine->cpus);
    g_autofree guint32 *apic_ids = g_new(guint32, possible);
    for (guint i = 0; i < possible; i++) {
        apic_ids[i] = topology_apic_id(&vcpu_config.topology, i);
    }
    return pc_add_cpu_hotplug(machine->pc, apic_ids, possible, config->vcpus, &HOTPLUG_FUNCS, machine, error);
}

static char *vcpu_path(const char *id)
{
    return g_strdup_printf("/machine/peripheral/%s", id);
}

/* {"device": id, "path": path}. */
static JsonObject *device_named(const char *id)
{
    g_autofree char *path = vcpu_path(id);
    JsonObject *data = json_object_new();
    json_object_set_string_member(data, "device", id);
    json_object_set_string_member(data, "path", path);
    return data;
}

static void eject_vcpu(Machine *machine, guint index)
{
    const char *id = cpu_set_id(machine->cpus, index);
    JsonObject *data = id ? device_named(id) : NULL;
    if (cpu_set_is_present(machine->cpus, index)) {
        cpu_set_unplug(machine->cpus, index);
    }
    if (data) {
        machine_emit(machine, "DEVICE_DELETED", data);
    }
}

/* _OST: told to the monitor's clients as it is, and a refusal in plain words besides. */
static void vcpu_report(Machine *machine, const Request *request)
{
    const char *id = cpu_set_id(machine->cpus, request->vcpu);
    g_autofree char *slot = g_strdup_printf("%u", request->vcpu);
    JsonObject *info = json_object_new(), *data = json_object_new();
    if (id) {
        json_object_set_string_member(info, "device", id);
    }
    json_object_set_int_member(info, "source", request->source);
    json_object_set_int_member(info, "status", request->status);
    json_object_set_string_member(info, "slot", slot);
    json_object_set_string_member(info, "slot-type", "CPU");
    json_object_set_object_member(data, "info", info);
    machine_emit(machine, "ACPI_DEVICE_OST", data);
    gboolean is_eject = request->source == OST_EJECT_REQUEST || request->source == OST_EJECT_BY_GUEST;
    if (id && is_eject && request->status != OST_SUCCESS && request->status != OST_EJECT_IN_PROGRESS) {
        machine_emit(machine, "DEVICE_UNPLUG_GUEST_ERROR", device_named(id));
    }
}

void machine_handle_vcpu_request(Machine *machine, const Request *request)
{
    if (request->kind == REQUEST_EJECT_VCPU) {
        eject_vcpu(machine, request->vcpu);
    } else {
        vcpu_report(machine, request);
    }
}

void machine_handle_vcpu_requests(Machine *machine)
{
    for (;;) {
        Request *request = NULL;
        g_mutex_lock(&machine->request_lock);
        for (GList *link = machine->requests.head; link && !request; link = link->next) {
            Request *candidate = link->data;
            if (candidate->kind == REQUEST_EJECT_VCPU || candidate->kind == REQUEST_VCPU_REPORT) {
                request = candidate;
                g_queue_delete_link(&machine->requests, link);
                break;
            }
        }
        g_mutex_unlock(&machine->request_lock);
        if (!request) {
            return;
        }
        machine_handle_vcpu_request(machine, request);
        machine_request_free(request);
    }
}

guint machine_possible_vcpus(const Machine *machine)
{
    return cpu_set_possible(machine->cpus);
}

MachineVcpu machine_vcpu(const Machine *machine, guint index)
{
    const Vcpu *vcpu = cpu_set_vcpu(machine->cpus, index);
    return vcpu ? (MachineVcpu){.present = TRUE,
                                .thread_id = vcpu_thread_id(vcpu),
                                .id = cpu_set_id(machine->cpus, index)}
                : (MachineVcpu){.present = FALSE};
}

const KvmStats *machine_vcpu_stats(Machine *machine, guint index, GError **error)
{
    const Vcpu *vcpu = cpu_set_vcpu(machine->cpus, index);
    g_return_val_if_fail(vcpu != NULL, NULL);
    const KvmStats *stats = vcpu_stats(vcpu);
    if (!stats) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_NOT_SUPPORTED,
                    "this host's KVM keeps no statistics of vCPUs");
    }
    return stats;
}

gboolean machine_plug_vcpu(Machine *machine, guint index, const char *id, GError **error)
{
    g_return_val_if_fail(index < cpu_set_possible(machine->cpus), FALSE);
    if (cpu_set_is_present(machine->cpus, index)) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_EXISTS, "vCPU %u is there already", index);
        return FALSE;
    }
    if (!cpu_set_plug(machine->cpus, index, id, machine->state == MACHINE_RUNNING, error)) {
        return FALSE;
    }
    pc_announce_cpu(machine->pc, index);
    return TRUE;
}

gboolean machine_unplug_vcpu(Machine *machine, guint index, GError **error)
{
    g_return_val_if_fail(cpu_set_is_present(machine->cpus, index), FALSE);
    if (index == 0 || !machine_has_cpu_hotplug(machine)) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_NOT_SUPPORTED,
                    index == 0 ? "the first vCPU cannot be unplugged" : "this machine has no vCPU hotplug");
        return FALSE;
    }
    pc_request_cpu_eject(machine->pc, index);
    return TRUE;
}

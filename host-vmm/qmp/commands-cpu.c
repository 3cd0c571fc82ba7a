// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * vCPUs: which there are, which there may be; adding one (device_add) and asking for one back (device_del).
 */
#include "host-vmm/qmp/commands-cpu.h"

#include <string.h>

static JsonObject *topology_props(Machine *machine, guint index)
{
    const MachineConfig *config = machine_config(machine);
    const Numa *numa = machine_numa(machine);
    JsonObject *props = json_object_new();

    if (numa->count > 0) {
        json_object_set_int_member(props, "node-id", numa->node_of_vcpu[index]);
    }

    json_object_set_int_member(props, "core-id", index / config->threads % config->cores);
    json_object_set_int_member(props, "thread-id", index % config->threads);
    json_object_set_int_member(props, "socket-id", index / (config->threads * config->cores));
    return props;
}

char *qmp_cpu_path(MachineVcpu vcpu, guint index)
{
    return vcpu.id != NULL ? g_strdup_printf("/machine/peripheral/%s", vcpu.id)
                           : g_strdup_printf("/machine/unattached/device[%u]", index);
}

static void query_cpus_fast(CommandCall *call, JsonObject *arguments, gpointer data)
{
    Machine *machine = ((QmpContext *)data)->machine;
    JsonArray *vcpus = json_array_new();

    for (guint i = 0; i < machine_possible_vcpus(machine); i++) {
        MachineVcpu vcpu = machine_vcpu(machine, i);

        if (vcpu.present) {
            g_autofree char *path = qmp_cpu_path(vcpu, i);
            JsonObject *info = json_object_new();

            json_object_set_int_member(info, "thread-id", vcpu.thread_id);
            json_object_set_object_member(info, "props", topology_props(machine, i));
            json_object_set_string_member(info, "qom-path", path);
            json_object_set_int_member(info, "cpu-index", i);
            json_object_set_string_member(info, "target", "x86_64");
            json_array_add_object_element(vcpus, info);
        }
    }
    command_call_return_array(call, vcpus);
}

/* The last one first, as QEMU lists them. */
static void query_hotpluggable_cpus(CommandCall *call, JsonObject *arguments, gpointer data)
{
    Machine *machine = ((QmpContext *)data)->machine;
    JsonArray *vcpus = json_array_new();

    for (guint i = machine_possible_vcpus(machine); i-- > 0;) {
        MachineVcpu vcpu = machine_vcpu(machine, i);
        JsonObject *info = json_object_new();

        json_object_set_object_member(info, "props", topology_props(machine, i));
        json_object_set_int_member(info, "vcpus-count", 1);
        if (vcpu.present) {
            g_autofree char *path = qmp_cpu_path(vcpu, i);

            json_object_set_string_member(info, "qom-path", path);
        }
        json_object_set_string_member(info, "type", cpu_model_type(machine_config(machine)->cpu));
        json_array_add_object_element(vcpus, info);
    }
    command_call_return_array(call, vcpus);
}

gboolean qmp_is_cpu_type(const Machine *machine, const char *driver)
{
    return strcmp(driver, cpu_model_type(machine_config(machine)->cpu)) == 0;
}

/* One of the place's three numbers; a machine that has only one of them does not need it said. */
static gboolean take_id(OptSet *options, const char *key, guint count, guint *id, GError **error)
{
    guint64 value = 0;

    if (count > 1 && !optset_has(options, key)) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT, "'%s' is missing", key);
        return FALSE;
    }
    if (!optset_uint(options, key, 0, count - 1, &value, error)) {
        return FALSE;
    }
    *id = (guint)value;
    return TRUE;
}

gboolean qmp_cpu_add(Machine *machine, OptSet *options, GError **error)
{
    const MachineConfig *config = machine_config(machine);
    const char *id = optset_need_string(options, "id", error);
    guint socket, core, thread;

    if (machine_numa(machine)->count > 0) {
        optset_ignore(options, "node-id"); /* the vCPU's node is known by its place */
    }
    if (id == NULL || !take_id(options, "socket-id", config->sockets, &socket, error) ||
        !take_id(options, "core-id", config->cores, &core, error) ||
        !take_id(options, "thread-id", config->threads, &thread, error) || !optset_finish(options, error)) {
        return FALSE;
    }
    return machine_plug_vcpu(machine, (socket * config->cores + core) * config->threads + thread, id, error);
}

int qmp_cpu_find(Machine *machine, const char *id)
{
    for (guint i = 0; i < machine_possible_vcpus(machine); i++) {
        if (g_strcmp0(machine_vcpu(machine, i).id, id) == 0) {
            return (int)i;
        }
    }
    return -1;
}

const Command QMP_COMMANDS_CPU[] = {
    {"query-cpus-fast", NULL, query_cpus_fast},
    {"query-hotpluggable-cpus", NULL, query_hotpluggable_cpus},
    {NULL},
};

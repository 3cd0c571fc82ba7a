// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Statistics: what KVM counts of the machine and of each vCPU, in QEMU's shapes.
 */
#include <string.h>

#include "host-vmm/qmp/commands-cpu.h"

static const char *const TARGETS[] = {"vm", "vcpu", NULL};
static const char *const PROVIDERS[] = {"kvm", NULL};

static const CommandArg STRING_ELEMENT = {.type = COMMAND_ARG_STRING};

static const CommandArg PROVIDER_MEMBERS[] = {
    {.name = "provider", .type = COMMAND_ARG_ENUM, .values = PROVIDERS},
    {.name = "names", .type = COMMAND_ARG_ARRAY, .optional = TRUE, .element = &STRING_ELEMENT},
    {NULL},
};
static const CommandArg PROVIDER_ELEMENT = {.type = COMMAND_ARG_OBJECT, .members = PROVIDER_MEMBERS};

static const CommandArg QUERY_ARGS[] = {
    {.name = "target", .type = COMMAND_ARG_ENUM, .values = TARGETS},
    {.name = "vcpus", .type = COMMAND_ARG_ARRAY, .optional = TRUE, .element = &STRING_ELEMENT},
    {.name = "providers", .type = COMMAND_ARG_ARRAY, .optional = TRUE, .element = &PROVIDER_ELEMENT},
    {NULL},
};

static gboolean array_has(JsonArray *array, const char *text)
{
    for (guint i = 0; i < json_array_get_length(array); i++) {
        if (strcmp(json_array_get_string_element(array, i), text) == 0) {
            return TRUE;
        }
    }
    return FALSE;
}

/* What is asked for, if only some is. Without providers all is wanted; with none of them nothing is. */
static gboolean is_wanted(JsonObject *arguments, const char *name)
{
    JsonArray *providers;

    if (!command_has(arguments, "providers")) {
        return TRUE;
    }
    providers = json_object_get_array_member(arguments, "providers");
    for (guint i = 0; i < json_array_get_length(providers); i++) {
        JsonObject *provider = json_array_get_object_element(providers, i);

        if (!command_has(provider, "names") ||
            array_has(json_object_get_array_member(provider, "names"), name)) {
            return TRUE;
        }
    }
    return FALSE;
}

static JsonNode *stat_value(const KvmStat *stat, const guint64 *values)
{
    JsonNode *node = json_node_alloc();
    JsonArray *buckets;

    if (strcmp(stat->unit != NULL ? stat->unit : "", "boolean") == 0) {
        return json_node_init_boolean(node, values[stat->first] != 0);
    }
    if (stat->count == 1) {
        return json_node_init_int(node, (gint64)values[stat->first]);
    }
    buckets = json_array_new();
    for (guint i = 0; i < stat->count; i++) {
        json_array_add_int_element(buckets, (gint64)values[stat->first + i]);
    }
    json_node_init_array(node, buckets);
    json_array_unref(buckets);
    return node;
}

/* Adds one object's statistics; nothing if none of them is wanted. path: a vCPU's, or NULL. */
static gboolean add_result(JsonArray *results, const KvmStats *stats, const char *path, JsonObject *arguments,
                           GError **error)
{
    g_autofree guint64 *values = kvm_stats_read(stats, error);
    guint count;
    const KvmStat *list = kvm_stats_list(stats, &count);
    JsonObject *result;
    JsonArray *rows;

    if (values == NULL) {
        return FALSE;
    }
    rows = json_array_new();
    for (guint i = 0; i < count; i++) {
        if (is_wanted(arguments, list[i].name)) {
            JsonObject *row = json_object_new();

            json_object_set_string_member(row, "name", list[i].name);
            json_object_set_member(row, "value", stat_value(&list[i], values));
            json_array_add_object_element(rows, row);
        }
    }
    if (json_array_get_length(rows) == 0) {
        json_array_unref(rows);
        return TRUE;
    }
    result = json_object_new();
    json_object_set_string_member(result, "provider", PROVIDERS[0]);
    if (path != NULL) {
        json_object_set_string_member(result, "qom-path", path);
    }
    json_object_set_array_member(result, "stats", rows);
    json_array_add_object_element(results, result);
    return TRUE;
}

static gboolean add_vcpus(JsonArray *results, Machine *machine, JsonObject *arguments, GError **error)
{
    for (guint i = 0; i < machine_possible_vcpus(machine); i++) {
        MachineVcpu vcpu = machine_vcpu(machine, i);
        g_autofree char *path = qmp_cpu_path(vcpu, i);
        const KvmStats *stats;

        if (!vcpu.present || (command_has(arguments, "vcpus") &&
                              !array_has(json_object_get_array_member(arguments, "vcpus"), path))) {
            continue;
        }
        stats = machine_vcpu_stats(machine, i, error);
        if (stats == NULL || !add_result(results, stats, path, arguments, error)) {
            return FALSE;
        }
    }
    return TRUE;
}

static void query_stats(CommandCall *call, JsonObject *arguments, gpointer data)
{
    Machine *machine = ((QmpContext *)data)->machine;
    JsonArray *results = json_array_new();
    GError *error = NULL;
    gboolean good;

    if (strcmp(command_string(arguments, "target", ""), "vcpu") == 0) {
        good = add_vcpus(results, machine, arguments, &error);
    } else if (command_has(arguments, "vcpus")) {
        command_call_fail(call, "Parameter 'vcpus' is unexpected");
        json_array_unref(results);
        return;
    } else {
        const KvmStats *stats = machine_vm_stats(machine, &error);

        good = stats != NULL && add_result(results, stats, NULL, arguments, &error);
    }
    if (good) {
        command_call_return_array(call, results);
    } else {
        json_array_unref(results);
        command_call_take_error(call, error);
    }
}

static JsonObject *schema(const KvmStats *stats, const char *target)
{
    JsonObject *all = json_object_new();
    JsonArray *rows = json_array_new();
    guint count;
    const KvmStat *list = kvm_stats_list(stats, &count);

    for (guint i = 0; i < count; i++) {
        JsonObject *row = json_object_new();

        json_object_set_string_member(row, "name", list[i].name);
        json_object_set_string_member(row, "type", list[i].type);
        if (list[i].unit != NULL) {
            json_object_set_string_member(row, "unit", list[i].unit);
        }
        if (list[i].exponent != 0) {
            json_object_set_int_member(row, "base", list[i].base);
        }
        json_object_set_int_member(row, "exponent", list[i].exponent);
        if (list[i].bucket_size != 0) {
            json_object_set_int_member(row, "bucket-size", list[i].bucket_size);
        }
        json_array_add_object_element(rows, row);
    }
    json_object_set_string_member(all, "provider", PROVIDERS[0]);
    json_object_set_string_member(all, "target", target);
    json_object_set_array_member(all, "stats", rows);
    return all;
}

static const CommandArg SCHEMAS_ARGS[] = {
    {.name = "provider", .type = COMMAND_ARG_ENUM, .values = PROVIDERS, .optional = TRUE},
    {NULL},
};

static void query_stats_schemas(CommandCall *call, JsonObject *arguments, gpointer data)
{
    Machine *machine = ((QmpContext *)data)->machine;
    GError *error = NULL;
    const KvmStats *vm = machine_vm_stats(machine, &error);
    const KvmStats *vcpu = vm != NULL ? machine_vcpu_stats(machine, 0, &error) : NULL;
    JsonArray *schemas;

    if (vcpu == NULL) {
        command_call_take_error(call, error);
        return;
    }
    schemas = json_array_new();
    json_array_add_object_element(schemas, schema(vm, TARGETS[0]));
    json_array_add_object_element(schemas, schema(vcpu, TARGETS[1]));
    command_call_return_array(call, schemas);
}

const Command QMP_COMMANDS_STATS[] = {
    {"query-stats", QUERY_ARGS, query_stats},
    {"query-stats-schemas", SCHEMAS_ARGS, query_stats_schemas},
    {NULL},
};

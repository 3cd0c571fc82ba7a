// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Network cards and their host ends.
 */
#include "host-vmm/qmp/commands.h"
#include "host-vmm/virtio/virtio-net.h"

static DeviceEnv *env_of(gpointer data)
{
    return machine_device_env(((QmpContext *)data)->machine);
}

static const CommandArg netdev_add_args[] = {
    {"type", COMMAND_ARG_STRING},
    {"id", COMMAND_ARG_STRING},
    {NULL},
};

static void netdev_add(CommandCall *call, JsonObject *arguments, gpointer data)
{
    GError *error = NULL;
    g_autoptr(OptSet) options = optset_from_json("netdev_add", arguments, &error);

    if (options != NULL && netdev_set_add(env_of(data)->netdevs, options, &error) != NULL) {
        command_call_return_empty(call);
    } else {
        command_call_take_error(call, error);
    }
}

static const CommandArg id_args[] = {
    {"id", COMMAND_ARG_STRING},
    {NULL},
};

static void netdev_del(CommandCall *call, JsonObject *arguments, gpointer data)
{
    const char *id = command_string(arguments, "id", NULL);

    if (netdev_set_remove(env_of(data)->netdevs, id)) {
        command_call_return_empty(call);
    } else {
        command_call_fail_class(call, "DeviceNotFound", "Device '%s' not found", id);
    }
}

static const CommandArg set_link_args[] = {
    {"name", COMMAND_ARG_STRING},
    {"up", COMMAND_ARG_BOOL},
    {NULL},
};

/* A card's id, or its host end's: either end of the cable. */
static void set_link(CommandCall *call, JsonObject *arguments, gpointer data)
{
    const char *name = command_string(arguments, "name", NULL);
    gboolean up = command_bool(arguments, "up", TRUE);
    Device *device = device_find(env_of(data), name);
    NetDev *netdev = netdev_set_find(env_of(data)->netdevs, name);

    if (device != NULL && virtio_net_check(device)) {
        virtio_net_set_link(device, up);
    } else if (netdev != NULL) {
        netdev_set_link(netdev, up);
    } else {
        command_call_fail_class(call, "DeviceNotFound", "Device '%s' not found", name);
        return;
    }
    command_call_return_empty(call);
}

static const CommandArg filter_args[] = {
    {"name", COMMAND_ARG_STRING, .optional = TRUE},
    {NULL},
};

static void query_rx_filter(CommandCall *call, JsonObject *arguments, gpointer data)
{
    const char *name = command_string(arguments, "name", NULL);
    const DeviceEnv *env = env_of(data);
    JsonArray *filters;

    if (name != NULL && (device_find(env, name) == NULL || !virtio_net_check(device_find(env, name)))) {
        command_call_fail(call, "invalid net client name: %s", name);
        return;
    }
    filters = json_array_new();
    for (guint i = 0; i < env->devices->len; i++) {
        Device *device = env->devices->pdata[i];

        if (virtio_net_check(device) && (name == NULL || g_strcmp0(device->id, name) == 0)) {
            json_array_add_object_element(filters, virtio_net_rx_filter(device));
        }
    }
    command_call_return_array(call, filters);
}

const Command QMP_COMMANDS_NET[] = {
    {"netdev_add", netdev_add_args, netdev_add, COMMAND_LOOSE_ARGS},
    {"netdev_del", id_args, netdev_del},
    {"set_link", set_link_args, set_link},
    {"query-rx-filter", filter_args, query_rx_filter},
    {NULL},
};

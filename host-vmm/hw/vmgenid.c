// SPDX-License-Identifier: GPL-2.0-or-later
#include "host-vmm/hw/vmgenid.h"

#include <string.h>

#define GUID_SIZE 16

typedef struct VmGenId {
    Device device;
    DeviceEnv *env;
    char *guid; /* canonical; main thread */
} VmGenId;

/* A GUID in memory has its first three fields in little-endian order. */
static void to_bytes(const char *guid, guint8 bytes[GUID_SIZE])
{
    static const guint8 order[GUID_SIZE] = {3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15};
    guint count = 0;
    for (const char *at = guid; count < GUID_SIZE; at++) {
        if (*at != '-') {
            bytes[order[count++]] = (guint8)(g_ascii_xdigit_value(at[0]) << 4 | g_ascii_xdigit_value(at[1]));
            at++;
        }
    }
}

static gboolean write_guid(VmGenId *self)
{
    guint8 bytes[GUID_SIZE];
    to_bytes(self->guid, bytes);
    return guest_memory_write(self->env->memory, VMGENID_ADDRESS, bytes, GUID_SIZE);
}

static gboolean take_guid(VmGenId *self, const char *guid, GError **error)
{
    if (!g_strcmp0(guid, "auto")) {
        g_free(self->guid);
        self->guid = g_uuid_string_random();
        return TRUE;
    }
    if (!guid || !g_uuid_string_is_valid(guid)) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT,
                    "guid is 'auto' or a UUID like 11111111-2222-3333-4444-555555555555");
        return FALSE;
    }
    g_free(self->guid);
    self->guid = g_ascii_strdown(guid, -1);
    return TRUE;
}

/* The kernel's loading does not touch it, but the guest may have. */
static void genid_reset(Device *device)
{
    write_guid((VmGenId *)device);
}

static void genid_destroy(Device *device)
{
    VmGenId *self = (VmGenId *)device;
    g_free(self->guid);
    g_free(self);
}

static Device *create(DeviceEnv *env, OptSet *options, GError **error)
{
    if (vmgenid_find(env)) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_EXISTS, "Only one vmgenid device is supported");
        return NULL;
    }
    const char *guid = optset_string(options, "guid");
    VmGenId *self = g_new0(VmGenId, 1);
    self->device = (Device){.reset = genid_reset, .destroy = genid_destroy};
    self->env = env;
    if (!take_guid(self, guid ? guid : "auto", error)) {
        genid_destroy(&self->device);
        return NULL;
    }
    if (!write_guid(self)) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_NO_SPACE, "guest memory is too small for it");
        genid_destroy(&self->device);
        return NULL;
    }
    return &self->device;
}

Device *vmgenid_find(const DeviceEnv *env)
{
    return device_find_type(env, &vmgenid_type);
}

char *vmgenid_guid(Device *device)
{
    return g_strdup(((VmGenId *)device)->guid);
}

static JsonNode *get_guid(Device *device, GError **error)
{
    return json_node_init_string(json_node_alloc(), ((VmGenId *)device)->guid);
}

static gboolean set_guid(Device *device, JsonNode *value, GError **error)
{
    VmGenId *self = (VmGenId *)device;
    const char *guid = JSON_NODE_HOLDS_VALUE(value) ? json_node_get_string(value) : NULL;
    if (!take_guid(self, guid, error)) {
        return FALSE;
    }
    write_guid(self);
    self->env->raise_gpe(VMGENID_GPE, self->env->event_data);
    return TRUE;
}

static const DeviceProperty properties[] = {
    {"guid", "string", get_guid, set_guid},
    {NULL},
};

const DeviceType vmgenid_type = {
    .name = "vmgenid",
    .bus = "ACPI",
    .description = "virtual machine generation id [guid=UUID|auto]",
    .create = create,
    .properties = properties,
};

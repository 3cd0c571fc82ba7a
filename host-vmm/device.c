// SPDX-License-Identifier: GPL-2.0-or-later
#include "host-vmm/device.h"

#include <string.h>

static const DeviceType *const types[] = {
    NULL,
};

const DeviceType *const *device_types(void)
{
    return types;
}

static const DeviceType *type_find(const char *name)
{
    for (guint i = 0; types[i] != NULL; i++) {
        if (strcmp(types[i]->name, name) == 0 || g_strcmp0(types[i]->alias, name) == 0)
            return types[i];
    }
    return NULL;
}

/* QEMU's rule for ids: a letter, then letters, digits, '-', '.', '_'. */
static gboolean id_is_well_formed(const char *id)
{
    if (!g_ascii_isalpha(id[0]))
        return FALSE;
    for (const char *at = id; *at != '\0'; at++) {
        if (!g_ascii_isalnum(*at) && strchr("-._", *at) == NULL)
            return FALSE;
    }
    return TRUE;
}

/* Says which device, unless the option parser has said it already. */
static void name_device(GError **error, OptSet *options, const char *driver, const char *id)
{
    if (error == NULL || *error == NULL || g_str_has_prefix((*error)->message, optset_what(options)))
        return;
    g_prefix_error(error, "%s %s%s%s: ", optset_what(options), driver, id != NULL ? ",id=" : "",
                   id != NULL ? id : "");
}

Device *device_create(DeviceEnv *env, OptSet *options, GError **error)
{
    const char *driver = optset_need_string(options, "driver", error);
    if (driver == NULL)
        return NULL;
    const DeviceType *type = type_find(driver);
    if (type == NULL) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_NOT_FOUND,
                    "%s: driver '%s' is not known; -device help lists them", optset_what(options), driver);
        return NULL;
    }
    const char *id = optset_string(options, "id");
    if (id != NULL && !id_is_well_formed(id)) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT,
                    "id '%s' must begin with a letter and have only letters, digits, '-', '.' and '_'", id);
        name_device(error, options, driver, NULL);
        return NULL;
    }
    if (id != NULL && device_find(env, id) != NULL) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_EXISTS, "Duplicate device ID '%s'", id);
        name_device(error, options, driver, NULL);
        return NULL;
    }
    Device *device = type->create(env, options, error);
    if (device == NULL || !optset_finish(options, error)) {
        name_device(error, options, driver, id);
        if (device != NULL)
            device_destroy(device);
        return NULL;
    }
    device->type = type;
    device->id = g_strdup(id);
    g_ptr_array_add(env->devices, device);
    return device;
}

Device *device_find(const DeviceEnv *env, const char *id)
{
    for (guint i = 0; i < env->devices->len; i++) {
        Device *device = g_ptr_array_index(env->devices, i);
        if (g_strcmp0(device->id, id) == 0)
            return device;
    }
    return NULL;
}

void device_destroy(Device *device)
{
    if (device == NULL)
        return;
    g_free(g_steal_pointer(&device->id));
    device->destroy(device);
}

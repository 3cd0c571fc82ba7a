// SPDX-License-Identifier: GPL-2.0-or-later
#include "host-vmm/device.h"

#include <string.h>

#include "host-vmm/hw/i6300esb.h"
#include "host-vmm/hw/i8042.h"
#include "host-vmm/hw/pvpanic.h"
#include "host-vmm/hw/uart16550.h"
#include "host-vmm/hw/vmgenid.h"
#include "host-vmm/virtio/vhost-vsock.h"
#include "host-vmm/virtio/virtio-balloon.h"
#include "host-vmm/virtio/virtio-blk.h"
#include "host-vmm/virtio/virtio-mem.h"
#include "host-vmm/virtio/virtio-net.h"
#include "host-vmm/virtio/virtio-rng.h"
#include "host-vmm/virtio/virtio-scsi.h"
#include "host-vmm/virtio/virtio-serial.h"

static const DeviceType *const types[] = {
    &i6300esb_type,
    &i8042_type,
    &pvpanic_type,
    &pvpanic_pci_type,
    &uart16550_type,
    &vmgenid_type,
    &vhost_vsock_pci_type,
    &virtio_balloon_pci_type,
    &virtio_blk_pci_type,
    &virtio_mem_pci_type,
    &virtio_net_pci_type,
    &virtio_rng_pci_type,
    &virtio_scsi_pci_type,
    &scsi_hd_type,
    &scsi_cd_type,
    &virtio_serial_pci_type,
    &virtserialport_type,
    &virtconsole_type,
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

/* Says which device, unless the option parser has said it already. */
static void name_device(GError **error, OptSet *options, const char *id)
{
    const char *what = optset_what(options);
    if (error != NULL && *error != NULL && !g_str_has_prefix((*error)->message, what))
        g_prefix_error(error, "%s%s%s: ", what, id != NULL ? ",id=" : "", id != NULL ? id : "");
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
    if (id != NULL && device_find(env, id) != NULL) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_EXISTS, "%s: Duplicate device ID '%s'",
                    optset_what(options), id);
        return NULL;
    }
    Device *device = type->create(env, options, error);
    if (device == NULL || !optset_finish(options, error)) {
        name_device(error, options, id);
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

gboolean device_take_pci_place(OptSet *options, int *slot, guint *function, GError **error)
{
    const char *bus = optset_string(options, "bus");
    const char *address = optset_string(options, "addr");
    *slot = -1;
    *function = 0;
    if (bus != NULL && strcmp(bus, "pci.0") != 0) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_NOT_FOUND, "bus '%s' does not exist; there is pci.0", bus);
        return FALSE;
    }
    return address == NULL || pci_parse_address(address, slot, function, error);
}

Device *device_find_type(const DeviceEnv *env, const DeviceType *type)
{
    for (guint i = 0; i < env->devices->len; i++) {
        Device *device = g_ptr_array_index(env->devices, i);
        if (device->type == type)
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

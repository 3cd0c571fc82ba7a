// SPDX-License-Identifier: GPL-2.0-or-later
/* scsi-hd and scsi-cd: what sits on a virtio-scsi bus. */
#include <string.h>

#include "host-vmm/virtio/virtio-scsi-private.h"

#define CD_BLOCK 2048

static gboolean is_idle(gpointer user_data)
{
    ScsiDevice *disk = user_data;
    VirtioDevice *adapter = (VirtioDevice *)disk->scsi;
    g_mutex_lock(&adapter->lock);
    gboolean idle = disk->outstanding == 0;
    g_mutex_unlock(&adapter->lock);
    return idle;
}

/* On the adapter's thread. */
static void end_commands(gpointer user_data)
{
    ScsiDevice *disk = user_data;
    drive_cancel(disk->drive);
    drive_drain(disk->drive);
    io_context_wait(virtio_scsi_io(disk->scsi), is_idle, disk);
}

static void destroy(Device *device)
{
    ScsiDevice *disk = (ScsiDevice *)device;
    if (disk->scsi != NULL) {
        io_context_call(virtio_scsi_io(disk->scsi), end_commands, disk);
        virtio_scsi_leave(disk);
    }
    scsi_unit_free(disk->unit);
    drive_close(disk->drive);
    g_free(disk->id);
    g_free(disk);
}

static void on_resized(gpointer user_data)
{
    ScsiDevice *disk = user_data;
    if (disk->scsi != NULL)
        virtio_scsi_capacity_changed(disk);
}

/* Text that goes into fields of printable ASCII (SPC-4, 4.4.1). */
static gboolean take_text(OptSet *options, const char *key, gsize size, const char **text, GError **error)
{
    const char *value = optset_string(options, key);
    if (value == NULL)
        return TRUE;
    if (strlen(value) > size) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT, "'%s' has more than %u characters", key,
                    (guint)size);
        return FALSE;
    }
    for (const char *c = value; *c != '\0'; c++) {
        if (!g_ascii_isprint(*c)) {
            g_set_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT, "'%s' is not printable ASCII", key);
            return FALSE;
        }
    }
    *text = value;
    return TRUE;
}

static gboolean make_unit(ScsiDevice *disk, gboolean is_cd, OptSet *options, GError **error)
{
    guint64 block_size = is_cd ? CD_BLOCK : 512, wwn = 0;
    gboolean write_cache = drive_is_writeback(disk->drive);
    ScsiUnitConfig config = {
        .drive = disk->drive,
        .is_cd = is_cd,
        .vendor = "VSUITE",
        .product = is_cd ? "VIRT-SUITE CDROM" : "VIRT-SUITE DISK",
        .version = "1",
    };
    optset_ignore(options, "bootindex"); /* there is no firmware that boots from a disk */
    if (!take_text(options, "vendor", 8, &config.vendor, error) ||
        !take_text(options, "product", 16, &config.product, error) ||
        !take_text(options, "ver", 4, &config.version, error) ||
        !take_text(options, "serial", 36, &config.serial, error) ||
        !optset_uint(options, "wwn", 0, G_MAXUINT64, &wwn, error))
        return FALSE;
    if (!is_cd && (!optset_size(options, "logical_block_size", 1, &block_size, error) ||
                   (g_strcmp0(optset_string(options, "write-cache"), "auto") != 0 &&
                    !optset_bool(options, "write-cache", &write_cache, error))))
        return FALSE;
    if (block_size < 512 || block_size > 4096 || (block_size & (block_size - 1)) != 0) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT,
                    "'logical_block_size' must be a power of two from 512 to 4096");
        return FALSE;
    }
    config.block_size = (guint32)block_size;
    config.wwn = wwn;
    config.write_cache = write_cache && !is_cd;
    disk->unit = scsi_unit_new(&config);
    return TRUE;
}

static gboolean join(ScsiDevice *disk, VirtioScsi *scsi, OptSet *options, GError **error)
{
    guint64 channel = 0, target = 0, lun = 0;
    if (!optset_uint(options, "channel", 0, 0, &channel, error) ||
        !optset_uint(options, "scsi-id", 0, SCSI_MAX_TARGET, &target, error) ||
        !optset_uint(options, "lun", 0, SCSI_MAX_LUN, &lun, error))
        return FALSE;
    return virtio_scsi_join(scsi, disk, optset_has(options, "scsi-id") ? (int)target : -1,
                            optset_has(options, "lun") ? (int)lun : -1, error);
}

static Device *create(DeviceEnv *env, gboolean is_cd, OptSet *options, GError **error)
{
    VirtioScsi *scsi = virtio_scsi_find(env, optset_string(options, "bus"), error);
    if (scsi == NULL)
        return NULL;
    ScsiDevice *disk = g_new0(ScsiDevice, 1);
    disk->device.destroy = destroy;
    disk->id = g_strdup(optset_string(options, "id"));
    DriveUser user = {.id = disk->id,
                      .context = virtio_scsi_io(scsi),
                      .read_only = is_cd,
                      .resized = on_resized,
                      .user_data = disk};
    disk->drive = drive_open(env->drives, options, &user, error);
    if (disk->drive == NULL || !make_unit(disk, is_cd, options, error) || !join(disk, scsi, options, error)) {
        destroy(&disk->device);
        return NULL;
    }
    return &disk->device;
}

static Device *create_hd(DeviceEnv *env, OptSet *options, GError **error)
{
    return create(env, FALSE, options, error);
}

static Device *create_cd(DeviceEnv *env, OptSet *options, GError **error)
{
    return create(env, TRUE, options, error);
}

const DeviceType scsi_hd_type = {
    .name = "scsi-hd",
    .bus = "SCSI",
    .description = "SCSI disk [drive=NODE,bus=ID.0,scsi-id=N,lun=N,serial=TEXT,wwn=N,write-cache=on|off]",
    .create = create_hd,
};

const DeviceType scsi_cd_type = {
    .name = "scsi-cd",
    .bus = "SCSI",
    .description = "SCSI CD-ROM [drive=NODE,bus=ID.0,scsi-id=N,lun=N,serial=TEXT]",
    .create = create_cd,
};

// SPDX-License-Identifier: GPL-2.0-or-later
#include "guest-agent/disks.h"
#include "guest-agent/disk-address.h"
#include "guest-agent/disk-udev.h"
#include "guest-agent/nvme-smart.h"
#include "guest-agent/text-file.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define DEPTH_MAX                                                                                            \
    16 /* layers of virtual devices one on another; there are no loops, but links can be anything */

/* A block device: its real folder, below root. */
typedef struct Device {
    const char *root;
    char *folder; /* "/sys/devices/…", without root */
} Device;

static void device_free(Device *device)
{
    g_free(device->folder);
    g_free(device);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Device, device_free)

/* NULL if there is no such folder. */
static Device *device_open(const char *root, const char *path)
{
    g_autofree char *name = g_strconcat(root, path, NULL);
    char *real = realpath(name, NULL);
    g_autofree char *real_root = *root ? realpath(root, NULL) : NULL;
    gsize skip = real_root ? strlen(real_root) : 0;
    if (!real || (real_root && strncmp(real, real_root, skip) != 0)) {
        free(real);
        return NULL;
    }
    Device *device = g_new(Device, 1);
    device->root = root;
    device->folder = g_strdup(real + skip);
    free(real);
    return device;
}

static Device *device_open_below(const Device *parent, const char *name)
{
    g_autofree char *path = g_build_filename(parent->folder, name, NULL);
    return device_open(parent->root, path);
}

static char *read_attribute(const Device *device, const char *name)
{
    g_autofree char *path = g_build_filename(device->folder, name, NULL);
    return text_file_read(device->root, path, NULL);
}

static gboolean is_virtual(const Device *device)
{
    return strstr(device->folder, "/devices/virtual/block/") != NULL;
}

/* "/dev/vda1", as the kernel calls the node; NULL if it has none. */
static char *device_node(const Device *device)
{
    g_autofree char *text = read_attribute(device, "uevent");
    g_auto(GStrv) lines = g_strsplit(text ? text : "", "\n", -1);
    for (char **line = lines; *line; line++) {
        if (g_str_has_prefix(*line, "DEVNAME="))
            return g_strconcat("/dev/", *line + strlen("DEVNAME="), NULL);
    }
    return NULL;
}

/* What udev has found out, else what a virtio disk or an NVMe namespace tells itself. NULL: not known. */
static char *device_serial(const Device *device)
{
    static const char *const FILES[] = {"serial", "../serial", "device/serial"};
    char *serial = *device->root ? NULL : disk_udev_serial(device->folder);
    for (gsize i = 0; i < G_N_ELEMENTS(FILES) && !serial; i++) {
        serial = read_attribute(device, FILES[i]);
        if (serial)
            g_strstrip(serial);
        if (serial && !*serial)
            g_clear_pointer(&serial, g_free);
    }
    return serial;
}

/* NULL if nothing at all is known. */
static JsonObject *describe_address(const Device *device)
{
    DiskAddress address;
    gboolean known = disk_address_read(device->root, device->folder, &address);
    g_autofree char *node = device_node(device);
    g_autofree char *serial = device_serial(device);
    if (!known && !node && !serial)
        return NULL;
    JsonObject *object = disk_address_to_json(&address);
    if (serial)
        json_object_set_string_member(object, "serial", serial);
    if (node)
        json_object_set_string_member(object, "dev", node);
    return object;
}

static gint compare_names(gconstpointer a, gconstpointer b)
{
    g_autofree char *x = g_utf8_collate_key_for_filename(*(char *const *)a, -1);
    g_autofree char *y = g_utf8_collate_key_for_filename(*(char *const *)b, -1);
    return strcmp(x, y);
}

/* The names in a folder, in order (g_ptr_array_unref); NULL with the cause if it cannot be read. */
static GPtrArray *list_folder(const char *root, const char *path, int *errnum)
{
    g_autofree char *name = g_strconcat(root, path, NULL);
    errno = 0;
    g_autoptr(GDir) dir = g_dir_open(name, 0, NULL);
    if (!dir) {
        if (errnum)
            *errnum = errno ? errno : ENOENT;
        return NULL;
    }
    GPtrArray *names = g_ptr_array_new_with_free_func(g_free);
    const char *entry;
    while ((entry = g_dir_read_name(dir)))
        g_ptr_array_add(names, g_strdup(entry));
    g_ptr_array_sort(names, compare_names);
    return names;
}

/* What a virtual device is made of: names of links in its folder "slaves". NULL if it has none such folder.
 */
static GPtrArray *list_slaves(const Device *device)
{
    g_autofree char *path = g_build_filename(device->folder, "slaves", NULL);
    return list_folder(device->root, path, NULL);
}

static Device *open_slave(const Device *device, const char *name)
{
    g_autofree char *path = g_build_filename("slaves", name, NULL);
    return device_open_below(device, path);
}

/* ---- a file system's disks ---- */

static void add_addresses(const Device *device, JsonArray *disks, int depth)
{
    if (!is_virtual(device)) {
        JsonObject *address = describe_address(device);
        if (address)
            json_array_add_object_element(disks, address);
        return;
    }
    g_autoptr(GPtrArray) slaves = list_slaves(device);
    for (guint i = 0; slaves && i < slaves->len && depth < DEPTH_MAX; i++) {
        g_autoptr(Device) slave = open_slave(device, slaves->pdata[i]);
        if (slave)
            add_addresses(slave, disks, depth + 1);
    }
}

char *disks_of_device(const char *root, guint major, guint minor, JsonArray *disks)
{
    g_autofree char *path = g_strdup_printf("/sys/dev/block/%u:%u", major, minor);
    g_autoptr(Device) device = device_open(root, path);
    if (!device)
        return g_path_get_basename(path);
    add_addresses(device, disks, 0);
    return g_path_get_basename(device->folder);
}

/* ---- guest-get-disks ---- */

/* The common part of a disk and a partition; NULL if there is no node for it. */
static JsonObject *begin_row(const Device *device, gboolean partition)
{
    g_autofree char *node = device_node(device);
    if (!node)
        return NULL;
    JsonObject *row = json_object_new();
    json_object_set_string_member(row, "name", node);
    json_object_set_boolean_member(row, "partition", partition);
    return row;
}

static void add_dependencies(const Device *device, JsonObject *row)
{
    g_autoptr(GPtrArray) slaves = list_slaves(device);
    if (!slaves)
        return;
    JsonArray *dependencies = json_array_new();
    json_object_set_array_member(row, "dependencies", dependencies);
    for (guint i = 0; i < slaves->len; i++) {
        g_autoptr(Device) slave = open_slave(device, slaves->pdata[i]);
        g_autofree char *node = slave ? device_node(slave) : NULL;
        if (node)
            json_array_add_string_element(dependencies, node);
    }
}

static void add_alias(const Device *device, JsonObject *row)
{
    g_autofree char *alias = read_attribute(device, "dm/name");
    if (alias && *alias)
        json_object_set_string_member(row, "alias", alias);
}

static void add_address_and_health(const Device *device, JsonObject *row)
{
    JsonObject *address = is_virtual(device) ? NULL : describe_address(device);
    if (!address)
        return;
    json_object_set_object_member(row, "address", address);
    JsonObject *smart =
        *device->root == '\0' && g_str_equal(json_object_get_string_member(address, "bus-type"), "nvme")
            ? nvme_smart_read(json_object_get_string_member(row, "name"))
            : NULL;
    if (smart)
        json_object_set_object_member(row, "smart", smart);
}

/* The folders of a disk that are partitions. */
static void add_partitions(const Device *disk, const char *disk_node, JsonArray *rows)
{
    g_autoptr(GPtrArray) names = list_folder(disk->root, disk->folder, NULL);
    for (guint i = 0; names && i < names->len; i++) {
        g_autofree char *mark_name = g_build_filename(names->pdata[i], "partition", NULL);
        g_autofree char *mark = read_attribute(disk, mark_name);
        g_autoptr(Device) partition = mark ? device_open_below(disk, names->pdata[i]) : NULL;
        JsonObject *row = partition ? begin_row(partition, TRUE) : NULL;
        if (!row)
            continue;
        JsonArray *dependencies = json_array_new();
        json_array_add_string_element(dependencies, disk_node);
        json_object_set_array_member(row, "dependencies", dependencies);
        json_array_add_object_element(rows, row);
    }
}

/* An empty drive (a loop device without a file, a CD-ROM without a disc) is left out. */
static void add_disk(const Device *disk, JsonArray *rows)
{
    g_autofree char *size = read_attribute(disk, "size");
    JsonObject *row = size && !g_str_equal(size, "0") ? begin_row(disk, FALSE) : NULL;
    if (!row)
        return;
    add_alias(disk, row);
    add_dependencies(disk, row);
    add_address_and_health(disk, row);
    json_array_add_object_element(rows, row);
    add_partitions(disk, json_object_get_string_member(row, "name"), rows);
}

JsonArray *disks_list(const char *root, int *errnum)
{
    g_autoptr(GPtrArray) names = list_folder(root, "/sys/block", errnum);
    if (!names)
        return NULL;
    JsonArray *rows = json_array_new();
    for (guint i = 0; i < names->len; i++) {
        g_autofree char *path = g_build_filename("/sys/block", names->pdata[i], NULL);
        g_autoptr(Device) disk = device_open(root, path);
        if (disk)
            add_disk(disk, rows);
    }
    return rows;
}

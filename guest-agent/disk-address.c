// SPDX-License-Identifier: GPL-2.0-or-later
#include "guest-agent/disk-address.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The numbers of a SCSI device's folder, ".../targetH:C:T/H:C:T:L/…", without its host. */
typedef struct ScsiNumbers {
    guint channel, target, lun;
} ScsiNumbers;

static gboolean read_scsi(const char *folder, ScsiNumbers *scsi)
{
    const char *at = strstr(folder, "/target");
    return at &&
           sscanf(at, "/target%*u:%*u:%*u/%*u:%u:%u:%u", &scsi->channel, &scsi->target, &scsi->lun) == 3;
}

/* ---- which of a controller's ports ---- */

static gint compare_numbers(gconstpointer a, gconstpointer b)
{
    guint x = *(const guint *)a, y = *(const guint *)b;
    return (x > y) - (x < y);
}

/* The number after `word` at the beginning of name. */
static gboolean numbered(const char *name, const char *word, guint *number)
{
    guint64 value;
    if (!g_str_has_prefix(name, word))
        return FALSE;
    g_autofree char *digits = g_strndup(name + strlen(word), strspn(name + strlen(word), "0123456789"));
    if (!g_ascii_string_to_unsigned(digits, 10, 0, G_MAXUINT, &value, NULL))
        return FALSE;
    *number = (guint)value;
    return TRUE;
}

/* The how-manieth port of its controller the folder's "ataN" or, without one, "hostN" is: hosts count ports
 * from 0, the guest's kernel counts those of all controllers together. FALSE if it has neither. */
static gboolean read_port(const char *root, const char *folder, guint *port)
{
    const char *word = strstr(folder, "/ata") ? "ata" : "host";
    g_autofree char *mark = g_strconcat("/", word, NULL);
    const char *at = strstr(folder, mark);
    guint mine, other;
    if (!at || !numbered(at + 1, word, &mine))
        return FALSE;
    g_autofree char *controller = g_strndup(folder, (gsize)(at - folder));
    g_autofree char *path = g_strconcat(root, controller, NULL);
    g_autoptr(GDir) dir = g_dir_open(path, 0, NULL);
    g_autoptr(GArray) ports = g_array_new(FALSE, FALSE, sizeof(guint));
    const char *name;
    while (dir && (name = g_dir_read_name(dir))) {
        if (numbered(name, word, &other))
            g_array_append_val(ports, other);
    }
    g_array_sort(ports, compare_numbers);
    for (*port = 0; *port < ports->len; (*port)++) {
        if (g_array_index(ports, guint, *port) == mine)
            return TRUE;
    }
    return FALSE;
}

/* ---- PCI ---- */

/* Each reads what its kind of controller adds; FALSE if the folder is not as it should be. */

static gboolean read_ide(const char *root, const char *folder, const ScsiNumbers *scsi, DiskAddress *address)
{
    address->bus_type = "ide"; /* an ATA host for each cable, a target for each drive on it */
    return scsi && read_port(root, folder, &address->bus) && (address->unit = scsi->target, TRUE);
}

static gboolean read_sata(const char *root, const char *folder, const ScsiNumbers *scsi, DiskAddress *address)
{
    address->bus_type = "sata"; /* an ATA host for each drive */
    return scsi && read_port(root, folder, &address->unit);
}

static gboolean read_lsi(const char *root, const char *folder, const ScsiNumbers *scsi, DiskAddress *address)
{
    address->bus_type = "scsi"; /* a target for each drive */
    return scsi && (address->unit = scsi->target, TRUE);
}

static gboolean read_virtio(const char *root, const char *folder, const ScsiNumbers *scsi,
                            DiskAddress *address)
{
    address->bus_type = scsi ? "scsi" : "virtio";
    if (scsi) {
        address->bus = scsi->channel;
        address->target = scsi->target;
        address->unit = scsi->lun;
    }
    return TRUE;
}

static gboolean read_nvme(const char *root, const char *folder, const ScsiNumbers *scsi, DiskAddress *address)
{
    address->bus_type = "nvme";
    return TRUE;
}

static gboolean read_usb(const char *root, const char *folder, const ScsiNumbers *scsi, DiskAddress *address)
{
    address->bus_type = "usb";
    return TRUE;
}

/* By the driver of the PCI function. */
static const struct {
    const char *driver;
    gboolean (*read)(const char *root, const char *folder, const ScsiNumbers *scsi, DiskAddress *address);
} CONTROLLERS[] = {
    {"ata_piix", read_ide}, {"sym53c8xx", read_lsi}, {"virtio-pci", read_virtio}, {"ahci", read_sata},
    {"nvme", read_nvme},    {"xhci_hcd", read_usb},  {"ehci-pci", read_usb},
};

/* Index of the controller's row, or -1. */
static int find_controller(const char *root, const char *folder)
{
    g_autofree char *path = g_strconcat(root, folder, "/driver", NULL);
    g_autofree char *target = g_file_read_link(path, NULL);
    g_autofree char *driver = target ? g_path_get_basename(target) : NULL;
    for (gsize i = 0; driver && i < G_N_ELEMENTS(CONTROLLERS); i++) {
        if (g_str_equal(CONTROLLERS[i].driver, driver))
            return (int)i;
    }
    return -1;
}

/* Goes from bridge to bridge, until a function whose driver is known. */
static gboolean read_pci(const char *root, const char *folder, DiskAddress *address)
{
    ScsiNumbers numbers;
    const ScsiNumbers *scsi = read_scsi(folder, &numbers) ? &numbers : NULL;
    const char *at = strstr(folder, "/devices/pci");
    guint domain, bus, slot, function;
    int length = 0;
    if (sscanf(at, "/devices/pci%*x:%*x%n", &length) < 0 || !length)
        return FALSE;
    for (at += length; sscanf(at, "/%x:%x:%x.%x%n", &domain, &bus, &slot, &function, &length) == 4;) {
        at += length;
        g_autofree char *controller = g_strndup(folder, (gsize)(at - folder));
        int found = find_controller(root, controller);
        if (found < 0)
            continue;
        DiskAddress whole = *address;
        whole.domain = domain;
        whole.pci_bus = bus;
        whole.slot = slot;
        whole.function = function;
        if (!CONTROLLERS[found].read(root, folder, scsi, &whole))
            return FALSE;
        *address = whole;
        return TRUE;
    }
    g_debug("no known controller in %s", folder);
    return FALSE;
}

/* ---- others ---- */

/* virtio without PCI: MMIO, channel I/O. */
static gboolean read_plain_virtio(const char *root, const char *folder, DiskAddress *address)
{
    ScsiNumbers numbers;
    return strstr(folder, "/virtio") && strstr(folder, "/block") &&
           read_virtio(root, folder, read_scsi(folder, &numbers) ? &numbers : NULL, address);
}

/* "/devices/css0/0.0.0004/0.0.0000/virtio0/…": subchannel, then device. */
static gboolean read_ccw(const char *root, const char *folder, DiskAddress *address)
{
    guint cssid, ssid, subchno, devno;
    const char *at = strstr(folder, "/devices/css");
    if (sscanf(at, "/devices/css%*x/%x.%x.%x/%*x.%*x.%x/", &cssid, &ssid, &subchno, &devno) != 4)
        return FALSE;
    address->is_ccw = TRUE;
    address->cssid = cssid;
    address->ssid = ssid;
    address->subchno = subchno;
    address->devno = devno;
    read_plain_virtio(root, at, address);
    return TRUE;
}

gboolean disk_address_read(const char *root, const char *folder, DiskAddress *address)
{
    *address = (DiskAddress){.domain = -1, .pci_bus = -1, .slot = -1, .function = -1, .bus_type = "unknown"};
    if (strstr(folder, "/devices/pci"))
        return read_pci(root, folder, address);
    if (strstr(folder, "/devices/css"))
        return read_ccw(root, folder, address);
    return read_plain_virtio(root, folder, address);
}

JsonObject *disk_address_to_json(const DiskAddress *address)
{
    JsonObject *pci = json_object_new();
    json_object_set_int_member(pci, "domain", address->domain);
    json_object_set_int_member(pci, "bus", address->pci_bus);
    json_object_set_int_member(pci, "slot", address->slot);
    json_object_set_int_member(pci, "function", address->function);
    JsonObject *object = json_object_new();
    json_object_set_object_member(object, "pci-controller", pci);
    json_object_set_string_member(object, "bus-type", address->bus_type);
    json_object_set_int_member(object, "bus", address->bus);
    json_object_set_int_member(object, "target", address->target);
    json_object_set_int_member(object, "unit", address->unit);
    if (address->is_ccw) {
        JsonObject *ccw = json_object_new();
        json_object_set_int_member(ccw, "cssid", address->cssid);
        json_object_set_int_member(ccw, "ssid", address->ssid);
        json_object_set_int_member(ccw, "subchno", address->subchno);
        json_object_set_int_member(ccw, "devno", address->devno);
        json_object_set_object_member(object, "ccw-address", ccw);
    }
    return object;
}

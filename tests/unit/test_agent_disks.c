// SPDX-License-Identifier: GPL-2.0-or-later
/* guest-agent/disks, disk-address, nvme-smart: made-up guests in sysfs */
#include "guest-agent/disk-address.h"
#include "guest-agent/disks.h"
#include "guest-agent/nvme-smart.h"
#include "tests/check-run.h"
#include "tests/unit/fake-root.h"

#include <check.h>
#include <errno.h>
#include <string.h>

#define PCI "/sys/devices/pci0000:00"

/* A block device's folder with its number, node and links to it. */
static void add_block(const char *folder, const char *number, const char *size)
{
    g_autofree char *name = g_path_get_basename(folder);
    g_autofree char *uevent_name = g_strconcat(folder, "/uevent", NULL);
    g_autofree char *uevent = g_strdup_printf("MAJOR=1\nMINOR=2\nDEVNAME=%s\nDEVTYPE=disk\n", name);
    g_autofree char *size_name = g_strconcat(folder, "/size", NULL);
    g_autofree char *by_number = g_strconcat("/sys/dev/block/", number, NULL);
    g_autofree char *target = g_strconcat("../../..", folder, NULL);
    fake_root_file(uevent_name, uevent, 0644);
    fake_root_file(size_name, size, 0644);
    fake_root_link(by_number, target);
}

static void add_disk(const char *folder, const char *number, const char *size)
{
    g_autofree char *name = g_path_get_basename(folder);
    g_autofree char *by_name = g_strconcat("/sys/block/", name, NULL);
    g_autofree char *target = g_strconcat("../..", folder, NULL);
    g_autofree char *slaves = g_strconcat(folder, "/slaves", NULL);
    add_block(folder, number, size);
    fake_root_folder(slaves);
    fake_root_link(by_name, target);
}

static void add_partition(const char *folder, const char *number)
{
    g_autofree char *mark = g_strconcat(folder, "/partition", NULL);
    add_block(folder, number, "100\n");
    fake_root_file(mark, "1\n", 0644);
}

static void add_driver(const char *function, const char *driver)
{
    g_autofree char *name = g_strconcat(function, "/driver", NULL);
    g_autofree char *target = g_strconcat("../../../bus/pci/drivers/", driver, NULL);
    fake_root_link(name, target);
}

static char *to_text(JsonNode *node)
{
    g_autoptr(GString) text = g_string_new(NULL);
    json_write(node, text);
    return g_string_free(g_steal_pointer(&text), FALSE);
}

static char *array_text(JsonArray *array)
{
    g_autoptr(JsonNode) node = json_node_init_array(json_node_alloc(), array);
    json_array_unref(array);
    return to_text(node);
}

/* "NAME: bus-type domain:bus:slot.function bus/target/unit [serial] [dev]" of each disk under a file system.
 */
static void expect(guint major, guint minor, const char *expected)
{
    JsonArray *disks = json_array_new();
    g_autofree char *name = disks_of_device(fake_root, major, minor, disks);
    g_autoptr(GString) got = g_string_new(name);
    g_string_append_c(got, ':');
    for (guint i = 0; i < json_array_get_length(disks); i++) {
        JsonObject *disk = json_array_get_object_element(disks, i);
        JsonObject *pci = json_object_get_object_member(disk, "pci-controller");
        g_string_append_printf(
            got, " %s %d:%d:%d.%d %d/%d/%d", json_object_get_string_member(disk, "bus-type"),
            (int)json_object_get_int_member(pci, "domain"), (int)json_object_get_int_member(pci, "bus"),
            (int)json_object_get_int_member(pci, "slot"), (int)json_object_get_int_member(pci, "function"),
            (int)json_object_get_int_member(disk, "bus"), (int)json_object_get_int_member(disk, "target"),
            (int)json_object_get_int_member(disk, "unit"));
        if (json_object_has_member(disk, "serial"))
            g_string_append_printf(got, " [%s]", json_object_get_string_member(disk, "serial"));
        if (json_object_has_member(disk, "dev"))
            g_string_append_printf(got, " %s", json_object_get_string_member(disk, "dev"));
    }
    json_array_unref(disks);
    ck_assert_str_eq(got->str, expected);
}

START_TEST (virtio_blk) {
    add_driver(PCI "/0000:00:03.0", "virtio-pci");
    add_disk(PCI "/0000:00:03.0/virtio1/block/vda", "254:0", "1000\n");
    fake_root_file(PCI "/0000:00:03.0/virtio1/block/vda/serial", "abc", 0644);
    add_partition(PCI "/0000:00:03.0/virtio1/block/vda/vda1", "254:1");
    expect(254, 0, "vda: virtio 0:0:3.0 0/0/0 [abc] /dev/vda");
    expect(254, 1, "vda1: virtio 0:0:3.0 0/0/0 [abc] /dev/vda1");
}
END_TEST

START_TEST (behind_bridges) {
    add_driver(PCI "/0000:00:02.1", "pcieport");
    add_driver(PCI "/0000:00:02.1/0001:1f:1e.7", "virtio-pci");
    add_disk(PCI "/0000:00:02.1/0001:1f:1e.7/virtio1/block/vdb", "254:16", "1\n");
    expect(254, 16, "vdb: virtio 1:31:30.7 0/0/0 /dev/vdb");
}
END_TEST

START_TEST (virtio_scsi) {
    add_driver(PCI "/0000:00:05.0", "virtio-pci");
    add_disk(PCI "/0000:00:05.0/virtio2/host2/target2:0:3/2:0:3:7/block/sda", "8:0", "1\n");
    expect(8, 0, "sda: scsi 0:0:5.0 0/3/7 /dev/sda");
}
END_TEST

START_TEST (ide_and_sata_count_their_ports) {
    add_driver(PCI "/0000:00:01.1", "ata_piix");
    fake_root_folder(PCI "/0000:00:01.1/ata9");
    add_disk(PCI "/0000:00:01.1/ata10/host1/target1:0:1/1:0:1:0/block/sdb", "8:16", "1\n");
    expect(8, 16, "sdb: ide 0:0:1.1 1/0/1 /dev/sdb");
    add_driver(PCI "/0000:00:1f.2", "ahci");
    fake_root_folder(PCI "/0000:00:1f.2/ata11");
    fake_root_folder(PCI "/0000:00:1f.2/ata13");
    fake_root_folder(PCI "/0000:00:1f.2/ata_port");
    add_disk(PCI "/0000:00:1f.2/ata12/host3/target3:0:0/3:0:0:0/block/sdc", "8:32", "1\n");
    expect(8, 32, "sdc: sata 0:0:31.2 0/0/1 /dev/sdc");
}
END_TEST

START_TEST (other_controllers) {
    add_driver(PCI "/0000:00:06.0", "nvme");
    add_disk(PCI "/0000:00:06.0/nvme/nvme0/nvme0n1", "259:0", "1\n");
    fake_root_file(PCI "/0000:00:06.0/nvme/nvme0/serial", "S3RIAL  ", 0644);
    expect(259, 0, "nvme0n1: nvme 0:0:6.0 0/0/0 [S3RIAL] /dev/nvme0n1");
    add_driver(PCI "/0000:00:07.0", "xhci_hcd");
    add_disk(PCI "/0000:00:07.0/usb1/1-1/1-1:1.0/host5/target5:0:0/5:0:0:0/block/sdd", "8:48", "1\n");
    expect(8, 48, "sdd: usb 0:0:7.0 0/0/0 /dev/sdd");
    add_driver(PCI "/0000:00:08.0", "sym53c8xx");
    add_disk(PCI "/0000:00:08.0/host6/target6:0:4/6:0:4:0/block/sde", "8:64", "1\n");
    expect(8, 64, "sde: scsi 0:0:8.0 0/0/4 /dev/sde");
}
END_TEST

START_TEST (without_pci) {
    add_disk("/sys/devices/platform/a000000.virtio_mmio/virtio0/block/vdc", "254:32", "1\n");
    expect(254, 32, "vdc: virtio -1:-1:-1.-1 0/0/0 /dev/vdc");
    add_disk("/sys/devices/css0/0.0.0004/0.0.0a00/virtio3/block/vdd", "254:48", "1\n");
    expect(254, 48, "vdd: virtio -1:-1:-1.-1 0/0/0 /dev/vdd");
    JsonArray *disks = json_array_new();
    G_GNUC_UNUSED g_autofree char *name = disks_of_device(fake_root, 254, 48, disks);
    g_autofree char *text = array_text(disks);
    ck_assert_ptr_nonnull(
        strstr(text, "\"ccw-address\": {\"cssid\": 0, \"ssid\": 0, \"subchno\": 4, \"devno\": 2560}"));
}
END_TEST

START_TEST (what_is_not_known_is_told_as_far_as_it_is) {
    add_driver(PCI "/0000:00:09.0", "some_raid");
    add_disk(PCI "/0000:00:09.0/host7/target7:0:0/7:0:0:0/block/sdf", "8:80", "1\n");
    expect(8, 80, "sdf: unknown -1:-1:-1.-1 0/0/0 /dev/sdf");
    add_disk("/sys/devices/virtual/nvme-subsystem/nvme-subsys0/nvme1n1", "259:1", "1\n");
    expect(259, 1, "nvme1n1: unknown -1:-1:-1.-1 0/0/0 /dev/nvme1n1");
    add_driver(PCI "/0000:00:0a.0", "ahci"); /* without its ATA host */
    add_disk(PCI "/0000:00:0a.0/block/sdg", "8:96", "1\n");
    expect(8, 96, "sdg: unknown -1:-1:-1.-1 0/0/0 /dev/sdg");
    expect(99, 9, "99:9:"); /* not in sysfs at all, as in a container */
}
END_TEST

START_TEST (virtual_ones_are_what_they_are_made_of) {
    add_driver(PCI "/0000:00:03.0", "virtio-pci");
    add_driver(PCI "/0000:00:04.0", "virtio-pci");
    add_disk(PCI "/0000:00:03.0/virtio1/block/vda", "254:0", "1\n");
    add_partition(PCI "/0000:00:03.0/virtio1/block/vda/vda2", "254:2");
    add_disk(PCI "/0000:00:04.0/virtio2/block/vdb", "254:16", "1\n");
    add_disk("/sys/devices/virtual/block/md0", "9:0", "1\n");
    fake_root_link("/sys/devices/virtual/block/md0/slaves/vda2",
                   "../../../../pci0000:00/0000:00:03.0/virtio1/block/vda/vda2");
    fake_root_link("/sys/devices/virtual/block/md0/slaves/vdb",
                   "../../../../pci0000:00/0000:00:04.0/virtio2/block/vdb");
    add_disk("/sys/devices/virtual/block/dm-0", "253:0", "1\n");
    fake_root_file("/sys/devices/virtual/block/dm-0/dm/name", "vg-root\n", 0644);
    fake_root_link("/sys/devices/virtual/block/dm-0/slaves/md0", "../../md0");
    expect(253, 0, "dm-0: virtio 0:0:3.0 0/0/0 /dev/vda2 virtio 0:0:4.0 0/0/0 /dev/vdb");
    add_disk("/sys/devices/virtual/block/loop0", "7:0", "1\n");
    expect(7, 0, "loop0:");
}
END_TEST

START_TEST (a_loop_of_links_ends) {
    add_disk("/sys/devices/virtual/block/dm-1", "253:1", "1\n");
    fake_root_link("/sys/devices/virtual/block/dm-1/slaves/dm-1", "../../dm-1");
    expect(253, 1, "dm-1:");
}
END_TEST

START_TEST (the_list_of_disks) {
    int errnum = 0;
    ck_assert_ptr_null(disks_list(fake_root, &errnum));
    ck_assert_int_eq(errnum, ENOENT);
    add_driver(PCI "/0000:00:03.0", "virtio-pci");
    add_disk(PCI "/0000:00:03.0/virtio1/block/vda", "254:0", "1000\n");
    add_partition(PCI "/0000:00:03.0/virtio1/block/vda/vda2", "254:2");
    add_partition(PCI "/0000:00:03.0/virtio1/block/vda/vda10", "254:10");
    fake_root_folder(PCI "/0000:00:03.0/virtio1/block/vda/queue");
    add_disk("/sys/devices/virtual/block/dm-0", "253:0", "1\n");
    fake_root_file("/sys/devices/virtual/block/dm-0/dm/name", "vg-root\n", 0644);
    fake_root_link("/sys/devices/virtual/block/dm-0/slaves/vda2",
                   "../../../../pci0000:00/0000:00:03.0/virtio1/block/vda/vda2");
    add_disk("/sys/devices/virtual/block/loop0", "7:0", "0\n");
    g_autofree char *text = array_text(disks_list(fake_root, &errnum));
    ck_assert_str_eq(
        text,
        "[{\"name\": \"/dev/dm-0\", \"partition\": false, \"alias\": \"vg-root\", \"dependencies\": "
        "[\"/dev/vda2\"]}, "
        "{\"name\": \"/dev/vda\", \"partition\": false, \"dependencies\": [], \"address\": "
        "{\"pci-controller\": "
        "{\"domain\": 0, \"bus\": 0, \"slot\": 3, \"function\": 0}, \"bus-type\": \"virtio\", \"bus\": 0, "
        "\"target\": 0, \"unit\": 0, \"dev\": \"/dev/vda\"}}, "
        "{\"name\": \"/dev/vda2\", \"partition\": true, \"dependencies\": [\"/dev/vda\"]}, "
        "{\"name\": \"/dev/vda10\", \"partition\": true, \"dependencies\": [\"/dev/vda\"]}]");
}
END_TEST

START_TEST (the_health_of_an_nvme_drive) {
    guint8 page[NVME_SMART_BYTES] = {0};
    page[0] = 1;
    page[1] = 0x2c;
    page[2] = 0x01;
    page[3] = 100;
    page[4] = 10;
    page[5] = 3;
    for (int i = 0; i < 10; i++) {
        page[32 + 16 * i] = (guint8)(i + 1);
        page[32 + 16 * i + 8] = (guint8)(i + 101);
    }
    page[32 + 7] = 0x80; /* above what JSON's readers take */
    JsonObject *smart = nvme_smart_to_json(page);
    g_autoptr(JsonNode) node = json_node_init_object(json_node_alloc(), smart);
    json_object_unref(smart);
    g_autofree char *text = to_text(node);
    ck_assert_str_eq(
        text, "{\"type\": \"nvme\", \"critical-warning\": 1, \"temperature\": 300, \"available-spare\": 100, "
              "\"available-spare-threshold\": 10, \"percentage-used\": 3, "
              "\"data-units-read-lo\": 9223372036854775807, \"data-units-read-hi\": 101, "
              "\"data-units-written-lo\": 2, \"data-units-written-hi\": 102, "
              "\"host-read-commands-lo\": 3, \"host-read-commands-hi\": 103, "
              "\"host-write-commands-lo\": 4, \"host-write-commands-hi\": 104, "
              "\"controller-busy-time-lo\": 5, \"controller-busy-time-hi\": 105, "
              "\"power-cycles-lo\": 6, \"power-cycles-hi\": 106, "
              "\"power-on-hours-lo\": 7, \"power-on-hours-hi\": 107, "
              "\"unsafe-shutdowns-lo\": 8, \"unsafe-shutdowns-hi\": 108, "
              "\"media-errors-lo\": 9, \"media-errors-hi\": 109, "
              "\"number-of-error-log-entries-lo\": 10, \"number-of-error-log-entries-hi\": 110}");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("agent disks");
    TCase *tcase = tcase_create("disks");
    tcase_add_checked_fixture(tcase, fake_root_setup, fake_root_teardown);
    tcase_add_test(tcase, virtio_blk);
    tcase_add_test(tcase, behind_bridges);
    tcase_add_test(tcase, virtio_scsi);
    tcase_add_test(tcase, ide_and_sata_count_their_ports);
    tcase_add_test(tcase, other_controllers);
    tcase_add_test(tcase, without_pci);
    tcase_add_test(tcase, what_is_not_known_is_told_as_far_as_it_is);
    tcase_add_test(tcase, virtual_ones_are_what_they_are_made_of);
    tcase_add_test(tcase, a_loop_of_links_ends);
    tcase_add_test(tcase, the_list_of_disks);
    tcase_add_test(tcase, the_health_of_an_nvme_drive);
    suite_add_tcase(suite, tcase);
    return check_run(suite);
}

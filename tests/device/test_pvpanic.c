// SPDX-License-Identifier: GPL-2.0-or-later
/* pvpanic at a port and as a PCI function; vmgenid, the other device that is a few bytes. */
#include <check.h>
#include <string.h>

#include "host-vmm/hw/pvpanic.h"
#include "host-vmm/hw/vmgenid.h"
#include "tests/device/driver.h"
#include "tests/check-run.h"

static Rig *rig;

static void set_up(void)
{
    rig = rig_new();
}

static void tear_down(void)
{
    rig_free(rig);
}

static void refused(const char *options, const char *why)
{
    g_autoptr(GError) error = NULL;
    ck_assert_ptr_null(rig_try_device(rig, options, &error));
    ck_assert_msg(strstr(error->message, why) != NULL, "%s: %s", options, error->message);
}

START_TEST (panics_at_a_port) {
    guint16 port = 0;
    Device *device = rig_device(rig, "pvpanic");
    ck_assert(pvpanic_place(device, &port));
    ck_assert_uint_eq(port, 0x505);
    ck_assert_uint_eq(io_bus_read(rig->env.ports, 0x505, 1), 3);
    io_bus_write(rig->env.ports, 0x505, 1, 0);
    io_bus_write(rig->env.ports, 0x505, 1, 0xfc);
    ck_assert_uint_eq(rig->alarms[DEVICE_ALARM_PANIC] + rig->alarms[DEVICE_ALARM_CRASH_LOADED], 0);
    io_bus_write(rig->env.ports, 0x505, 1, 1);
    ck_assert_uint_eq(rig->alarms[DEVICE_ALARM_PANIC], 1);
    io_bus_write(rig->env.ports, 0x505, 1, 2);
    ck_assert_uint_eq(rig->alarms[DEVICE_ALARM_CRASH_LOADED], 1);
    ck_assert_uint_eq(rig->alarms[DEVICE_ALARM_PANIC], 1);
    rig_device(rig, "pvpanic,ioport=1286,events=1");
    ck_assert_uint_eq(io_bus_read(rig->env.ports, 0x506, 1), 1);
    io_bus_write(rig->env.ports, 0x506, 1, 2); /* not understood */
    ck_assert_uint_eq(rig->alarms[DEVICE_ALARM_CRASH_LOADED], 1);
    refused("pvpanic", "0x505");
    refused("pvpanic,ioport=70000", "ioport");
    refused("pvpanic,events=4", "events");
}
END_TEST

START_TEST (panics_on_pci) {
    guint16 port;
    ck_assert(!pvpanic_place(rig_device(rig, "pvpanic-pci,addr=3"), &port));
    rig_assign(rig);
    ck_assert_uint_eq(rig_config_read(rig, 3, 0, 4), 0x00111b36);
    guint64 bar = rig_config_read(rig, 3, 0x10, 4) & ~0xfull;
    ck_assert_uint_eq(io_bus_read(rig->env.mmio, bar, 1), 3);
    io_bus_write(rig->env.mmio, bar + 1, 1, 1); /* one byte only */
    ck_assert_uint_eq(rig->alarms[DEVICE_ALARM_PANIC], 0);
    io_bus_write(rig->env.mmio, bar, 1, 1);
    ck_assert_uint_eq(rig->alarms[DEVICE_ALARM_PANIC], 1);
    rig_reset(rig);
    refused("pvpanic-pci,addr=3", "slot 3");
    refused("pvpanic-pci,bus=pci.9", "pci.9");
    refused("pvpanic-pci,addr=x", "addr");
}
END_TEST

static const guint8 *number(void)
{
    return guest_memory_range(rig->memory, VMGENID_ADDRESS, 16);
}

START_TEST (generation_id_lies_in_memory) {
    static const guint8 bytes[] = {0x33, 0x22, 0x11, 0x00, 0x55, 0x44, 0x77, 0x66,
                                   0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff};
    ck_assert_ptr_null(vmgenid_find(&rig->env));
    Device *device = rig_device(rig, "vmgenid,guid=00112233-4455-6677-8899-AABBCCDDEEFF");
    ck_assert_ptr_eq(vmgenid_find(&rig->env), device);
    ck_assert_mem_eq(number(), bytes, 16);
    g_autofree char *guid = vmgenid_guid(device);
    ck_assert_str_eq(guid, "00112233-4455-6677-8899-aabbccddeeff");
    memset(guest_memory_range(rig->memory, VMGENID_ADDRESS, 16), 0, 16); /* the guest's doing */
    rig_reset(rig);
    ck_assert_mem_eq(number(), bytes, 16);
    ck_assert_uint_eq(rig->gpes, 0);
    refused("vmgenid", "Only one");
}
END_TEST

START_TEST (generation_id_changes) {
    Device *device = rig_device(rig, "vmgenid,guid=auto");
    const DeviceProperty *property = &device->type->properties[0];
    g_autofree char *first = vmgenid_guid(device);
    g_autoptr(JsonNode) automatic = json_node_init_string(json_node_alloc(), "auto");
    ck_assert(property->set(device, automatic, NULL));
    ck_assert_uint_eq(rig->gpes, 1u << VMGENID_GPE);
    g_autofree char *second = vmgenid_guid(device);
    ck_assert_str_ne(first, second);
    g_autoptr(JsonNode) got = property->get(device, NULL);
    ck_assert_str_eq(json_node_get_string(got), second);
    g_autoptr(JsonNode) wrong = json_node_init_string(json_node_alloc(), "1-2-3");
    g_autoptr(JsonNode) no_text = json_node_init_int(json_node_alloc(), 5);
    ck_assert(!property->set(device, wrong, NULL));
    ck_assert(!property->set(device, no_text, NULL));
    g_autofree char *third = vmgenid_guid(device);
    ck_assert_str_eq(second, third);
}
END_TEST

START_TEST (generation_id_wants_a_uuid) {
    refused("vmgenid,guid=5", "guid");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("pvpanic and vmgenid");
    TCase *tcase = tcase_create("pvpanic and vmgenid");
    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, panics_at_a_port);
    tcase_add_test(tcase, panics_on_pci);
    tcase_add_test(tcase, generation_id_lies_in_memory);
    tcase_add_test(tcase, generation_id_changes);
    tcase_add_test(tcase, generation_id_wants_a_uuid);
    suite_add_tcase(suite, tcase);
    return check_run(suite);
}

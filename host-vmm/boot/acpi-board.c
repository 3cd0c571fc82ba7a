// SPDX-License-Identifier: GPL-2.0-or-later
#include "host-vmm/boot/acpi-board.h"

#define STATUS_THERE     0xf  /* present, enabled, shown, working (6.3.7) */
#define NOTIFY_OF_DEVICE 0x80 /* a value whose meaning is the device's own (5.6.6) */

void acpi_append_pvpanic(Aml *dsdt, guint16 port)
{
    Aml *resources = aml_new();
    aml_resource_io(resources, port, 1);
    Aml *units = aml_new();
    aml_field_unit(units, "PEPT", 8);

    Aml *body = aml_name("_HID", aml_string("QEMU0001"));
    aml_append(body, aml_name("_CRS", aml_resources(resources)));
    aml_append(body, aml_name("_STA", aml_int(STATUS_THERE)));
    aml_append(body, aml_port_region("PEOR", port, 1));
    aml_append(body, aml_field("PEOR", 1, FALSE, units));
    aml_append(body, aml_method("RDPT", 0, aml_return(aml_path("PEPT"))));
    aml_append(body, aml_method("WRPT", 1, aml_store(aml_arg(0), aml_path("PEPT"))));
    aml_append(dsdt, aml_scope("\\_SB_", aml_device("PEVT", body)));
}

void acpi_append_vmgenid(Aml *dsdt, guint64 address, guint gpe)
{
    Aml *place[] = {aml_int(address & 0xffffffff), aml_int(address >> 32)};
    Aml *body = aml_name("_HID", aml_string("QEMUVGID"));
    aml_append(body, aml_name("_CID", aml_string("VM_Gen_Counter")));
    aml_append(body, aml_name("_DDN", aml_string("VM_Gen_Counter")));
    aml_append(body, aml_name("ADDR", aml_package(place, G_N_ELEMENTS(place))));
    aml_append(dsdt, aml_scope("\\_SB_", aml_device("VGEN", body)));

    char name[5];
    g_snprintf(name, sizeof(name), "_E%02X", gpe & 0xff);
    aml_append(
        dsdt, aml_scope("\\_GPE", aml_method(name, 0, aml_notify("\\_SB_.VGEN", aml_int(NOTIFY_OF_DEVICE)))));
}

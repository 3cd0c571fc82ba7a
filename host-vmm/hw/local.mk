# SPDX-License-Identifier: GPL-2.0-or-later
host_vmm_libhostvmm_a_SOURCES += \
	host-vmm/hw/cpu-hotplug.c host-vmm/hw/cpu-hotplug.h \
	host-vmm/hw/i8042.c host-vmm/hw/i8042.h host-vmm/hw/i8042-keys.c host-vmm/hw/i8042-keys.h \
	host-vmm/hw/i6300esb.c host-vmm/hw/i6300esb.h \
	host-vmm/hw/pvpanic.c host-vmm/hw/pvpanic.h \
	host-vmm/hw/vmgenid.c host-vmm/hw/vmgenid.h \
	host-vmm/hw/pc.c \
	host-vmm/hw/pc.h \
	host-vmm/hw/uart16550.c \
	host-vmm/hw/uart16550.h \
	host-vmm/hw/cmos-rtc.c \
	host-vmm/hw/cmos-rtc.h \
	host-vmm/hw/acpi-pm.c \
	host-vmm/hw/acpi-pm.h

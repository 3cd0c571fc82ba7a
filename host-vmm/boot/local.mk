# SPDX-License-Identifier: GPL-2.0-or-later
host_vmm_libhostvmm_a_SOURCES += \
	host-vmm/boot/acpi-board.c host-vmm/boot/acpi-board.h \
	host-vmm/boot/acpi-cpus.c host-vmm/boot/acpi-cpus.h \
	host-vmm/boot/acpi-numa.c host-vmm/boot/acpi-numa.h \
	host-vmm/boot/loader.c \
	host-vmm/boot/loader.h \
	host-vmm/boot/loader-private.h \
	host-vmm/boot/bzimage.c \
	host-vmm/boot/vmlinux.c \
	host-vmm/boot/kernel-cache.c host-vmm/boot/kernel-cache.h \
	host-vmm/boot/unpack.c host-vmm/boot/unpack.h \
	host-vmm/boot/elf-pvh.c \
	host-vmm/boot/acpi.c \
	host-vmm/boot/acpi.h \
	host-vmm/boot/aml.c \
	host-vmm/boot/aml.h

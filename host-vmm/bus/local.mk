# SPDX-License-Identifier: GPL-2.0-or-later
host_vmm_libhostvmm_a_SOURCES += \
	host-vmm/bus/io-bus.c host-vmm/bus/io-bus.h \
	host-vmm/bus/pci.c host-vmm/bus/pci.h \
	host-vmm/bus/pci-msix.c host-vmm/bus/pci-msix.h \
	host-vmm/bus/vm-ops.h

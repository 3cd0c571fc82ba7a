# SPDX-License-Identifier: GPL-2.0-or-later
host_vmm_libhostvmm_a_SOURCES += \
	host-vmm/confine/confine.c host-vmm/confine/confine.h \
	host-vmm/confine/filter.c host-vmm/confine/filter.h \
	host-vmm/confine/privileges.c host-vmm/confine/privileges.h \
	host-vmm/confine/syscalls.c host-vmm/confine/syscalls.h

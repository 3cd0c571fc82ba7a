# SPDX-License-Identifier: GPL-2.0-or-later
host_vmm_libhostvmm_a_SOURCES += \
	host-vmm/memory/guest-memory.c \
	host-vmm/memory/guest-memory.h

# SPDX-License-Identifier: GPL-2.0-or-later
host_vmm_libhostvmm_a_SOURCES += \
	host-vmm/memory/guest-memory.c \
	host-vmm/memory/guest-memory.h \
	host-vmm/memory/memory-backend.c \
	host-vmm/memory/memory-backend.h \
	host-vmm/memory/numa.c \
	host-vmm/memory/numa.h

# SPDX-License-Identifier: GPL-2.0-or-later
host_vmm_libhostvmm_a_SOURCES += \
	host-vmm/qmp/server.c \
	host-vmm/qmp/server.h \
	host-vmm/qmp/commands.h \
	host-vmm/qmp/commands-actions.c \
	host-vmm/qmp/commands-input.c \
	host-vmm/qmp/commands-monitor.c \
	host-vmm/qmp/commands-machine.c \
	host-vmm/qmp/commands-balloon.c \
	host-vmm/qmp/commands-stats.c \
	host-vmm/qmp/commands-qom.c \
	host-vmm/qmp/commands-cpu.c \
	host-vmm/qmp/commands-cpu.h \
	host-vmm/qmp/commands-device.c \
	host-vmm/qmp/commands-fd.c \
	host-vmm/qmp/commands-net.c \
	host-vmm/qmp/commands-block.c \
	host-vmm/qmp/commands-char.c

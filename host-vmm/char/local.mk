# SPDX-License-Identifier: GPL-2.0-or-later
host_vmm_libhostvmm_a_SOURCES += \
	host-vmm/char/chardev.c \
	host-vmm/char/chardev.h \
	host-vmm/char/chardev-socket.c \
	host-vmm/char/chardev-pty.c \
	host-vmm/char/chardev-stdio.c \
	host-vmm/char/chardev-file.c \
	host-vmm/char/chardev-private.h \
	host-vmm/char/unix-listen.c \
	host-vmm/char/unix-listen.h

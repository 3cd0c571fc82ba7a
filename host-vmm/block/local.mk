# SPDX-License-Identifier: GPL-2.0-or-later
host_vmm_libhostvmm_a_SOURCES += \
	host-vmm/block/block.c host-vmm/block/block.h \
	host-vmm/block/drive.c host-vmm/block/drive.h host-vmm/block/drive-private.h \
	host-vmm/block/drive-set.c \
	host-vmm/block/file.c \
	host-vmm/block/file-lock.c host-vmm/block/file-lock.h \
	host-vmm/block/io-context.c host-vmm/block/io-context.h \
	host-vmm/block/io-ring.c host-vmm/block/io-ring.h \
	host-vmm/block/iothread.c host-vmm/block/iothread.h \
	host-vmm/block/qcow2.c host-vmm/block/qcow2.h \
	host-vmm/block/qcow2-cache.c host-vmm/block/qcow2-cache.h \
	host-vmm/block/qcow2-format.h host-vmm/block/qcow2-private.h \
	host-vmm/block/qcow2-free.c \
	host-vmm/block/qcow2-guard.c \
	host-vmm/block/qcow2-header.c \
	host-vmm/block/qcow2-io.c \
	host-vmm/block/qcow2-map.c \
	host-vmm/block/qcow2-refcount.c \
	host-vmm/block/qcow2-resize.c \
	host-vmm/block/qcow2-submit.c \
	host-vmm/block/qcow2-unpack.c host-vmm/block/qcow2-unpack.h \
	host-vmm/block/qcow2-zero.c \
	host-vmm/block/range-lock.c host-vmm/block/range-lock.h \
	host-vmm/block/raw.c \
	host-vmm/block/throttle.c host-vmm/block/throttle.h \
	host-vmm/block/throttle-filter.c \
	host-vmm/block/throttle-group.c host-vmm/block/throttle-group.h

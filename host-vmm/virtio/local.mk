# SPDX-License-Identifier: GPL-2.0-or-later
host_vmm_libhostvmm_a_SOURCES += \
	host-vmm/virtio/virtqueue.c host-vmm/virtio/virtqueue.h \
	host-vmm/virtio/virtio-device.c host-vmm/virtio/virtio-device.h \
	host-vmm/virtio/virtio-pci.c host-vmm/virtio/virtio-pci.h \
	host-vmm/virtio/virtio-net.c host-vmm/virtio/virtio-net.h host-vmm/virtio/virtio-net-private.h \
	host-vmm/virtio/virtio-net-rx.c host-vmm/virtio/virtio-net-tx.c \
	host-vmm/virtio/virtio-net-vhost.c \
	host-vmm/virtio/virtio-net-control.c host-vmm/virtio/virtio-net-filter.c \
	host-vmm/virtio/rng-backend.c host-vmm/virtio/rng-backend.h \
	host-vmm/virtio/vhost.c host-vmm/virtio/vhost.h host-vmm/virtio/vhost-vsock.c host-vmm/virtio/vhost-vsock.h \
	host-vmm/virtio/balloon-pages.c host-vmm/virtio/balloon-pages.h \
	host-vmm/virtio/virtio-balloon.c \
	host-vmm/virtio/virtio-balloon.h \
	host-vmm/virtio/virtio-mem.c host-vmm/virtio/virtio-mem.h \
	host-vmm/virtio/virtio-blk.c host-vmm/virtio/virtio-blk.h \
	host-vmm/virtio/virtio-rng.c host-vmm/virtio/virtio-rng.h \
	host-vmm/virtio/virtio-scsi.c host-vmm/virtio/virtio-scsi.h host-vmm/virtio/virtio-scsi-private.h \
	host-vmm/virtio/scsi-disk.c \
	host-vmm/virtio/virtio-storage.c host-vmm/virtio/virtio-storage.h \
	host-vmm/virtio/virtio-serial.c host-vmm/virtio/virtio-serial.h \
	host-vmm/virtio/virtio-serial-port.c host-vmm/virtio/virtio-serial-private.h

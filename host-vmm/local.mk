# SPDX-License-Identifier: GPL-2.0-or-later
if ENABLE_HOST_VMM
bin_PROGRAMS += host-vmm/host-vmm
noinst_LIBRARIES += host-vmm/libhostvmm.a
endif
host_vmm_host_vmm_SOURCES = host-vmm/main.c
# What the monitor links beyond BASE_LIBS.
VMM_LIBS = $(SECCOMP_LIBS) $(URING_LIBS) $(SLIRP_LIBS) $(ZSTD_LIBS) $(LZ4_LIBS) $(LZMA_LIBS)
host_vmm_host_vmm_LDADD = host-vmm/libhostvmm.a lib/libvirtsuite.a $(BASE_LIBS) $(VMM_LIBS)

# All but main(), so that device tests can link it.
host_vmm_libhostvmm_a_SOURCES = \
	host-vmm/machine.c host-vmm/machine.h host-vmm/machine-private.h host-vmm/machine-actions.c \
	host-vmm/machine-vcpus.c \
	host-vmm/actions.c host-vmm/actions.h \
	host-vmm/cpu-set.c host-vmm/cpu-set.h \
	host-vmm/machine-config.h host-vmm/machine-config.c host-vmm/options.c \
	host-vmm/optset.c host-vmm/optset.h \
	host-vmm/daemonize.c host-vmm/daemonize.h \
	host-vmm/pidfile.c host-vmm/pidfile.h \
	host-vmm/device.c host-vmm/device.h \
	host-vmm/fd-store.c host-vmm/fd-store.h \
	host-vmm/notifier.c host-vmm/notifier.h \
	host-vmm/slow-event.c host-vmm/slow-event.h \
	host-vmm/trim.c host-vmm/trim.h \
	host-vmm/object.c host-vmm/object.h
include host-vmm/confine/local.mk
include host-vmm/kvm/local.mk
include host-vmm/memory/local.mk
include host-vmm/boot/local.mk
include host-vmm/bus/local.mk
include host-vmm/block/local.mk
include host-vmm/virtio/local.mk
include host-vmm/hw/local.mk
include host-vmm/char/local.mk
include host-vmm/net/local.mk
include host-vmm/scsi/local.mk
include host-vmm/qmp/local.mk

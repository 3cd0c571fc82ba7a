# SPDX-License-Identifier: GPL-2.0-or-later
host_vmm_libhostvmm_a_SOURCES += \
	host-vmm/net/packet.c host-vmm/net/packet.h \
	host-vmm/net/vnet-header.c host-vmm/net/vnet-header.h \
	host-vmm/net/segment.c host-vmm/net/segment.h \
	host-vmm/net/coalesce.c host-vmm/net/coalesce.h \
	host-vmm/net/net-poll.c host-vmm/net/net-poll.h \
	host-vmm/net/netdev.c host-vmm/net/netdev.h host-vmm/net/netdev-private.h \
	host-vmm/net/netdev-tap.c \
	host-vmm/net/vhost-net.c host-vmm/net/vhost-net.h \
	host-vmm/net/tap-script.c host-vmm/net/tap-script.h \
	host-vmm/net/socket-address.c host-vmm/net/socket-address.h \
	host-vmm/net/netdev-stream.c \
	host-vmm/net/netdev-dgram.c \
	host-vmm/net/user-options.c host-vmm/net/user-options.h \
	host-vmm/net/hostfwd.c host-vmm/net/hostfwd.h
if HAVE_SLIRP
host_vmm_libhostvmm_a_SOURCES += host-vmm/net/netdev-user.c
endif

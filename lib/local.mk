# SPDX-License-Identifier: GPL-2.0-or-later
noinst_LIBRARIES += lib/libvirtsuite.a
lib_libvirtsuite_a_SOURCES = \
	lib/jsonstream.c lib/jsonstream.h \
	lib/json-write.c lib/json-scan.h \
	lib/json-number.c lib/json-number.h \
	lib/json-string.c lib/json-string.h \
	lib/json-text.c \
	lib/command.c lib/command-check.c lib/command.h \
	lib/json-client.c lib/json-client.h \
	lib/json-rpc.c lib/json-rpc.h \
	lib/qmp-client.c lib/qmp-client.h \
	lib/agent-client.c lib/agent-client.h \
	lib/runtime-dir.c lib/runtime-dir.h \
	lib/log.c lib/log.h \
	lib/memory.c lib/memory.h \
	lib/pending.c lib/pending.h \
	lib/text.c lib/text.h

# Guests as every program sees them. Libvirt is loaded when it is used (lib/libvirt-api.h).
noinst_LIBRARIES += lib/libdomain.a
lib_libdomain_a_SOURCES = \
	lib/domain.c lib/domain.h \
	lib/domain-fields.c lib/domain-fields.h \
	lib/domain-monitor.c lib/domain-monitor-calls.c lib/domain-monitor-vcpus.c \
	lib/domain-monitor-guest.c lib/domain-monitor-guest.h \
	lib/domain-proc.c lib/domain-proc.h \
	lib/domain-qmp.c lib/domain-qmp.h \
	lib/domain-source.c lib/domain-source.h \
	lib/domain-worker.c lib/domain-worker.h \
	lib/domain-xml.c lib/domain-xml.h
if HAVE_LIBVIRT
lib_libdomain_a_SOURCES += \
	lib/agent-libvirt.c lib/agent-libvirt.h \
	lib/domain-libvirt.c lib/domain-libvirt-list.c lib/domain-libvirt-refresh.c lib/domain-libvirt.h \
	lib/libvirt-api.c lib/libvirt-api.h
else
lib_libdomain_a_SOURCES += lib/domain-no-libvirt.c
endif
lib_libdomain_a_CFLAGS = $(AM_CFLAGS) $(LIBVIRT_CFLAGS)
DOMAIN_LIBS = lib/libdomain.a lib/libvirtsuite.a $(LOADED_LIBS) $(BASE_LIBS)

# Programs with a screen.
if HAVE_NCURSES
noinst_LIBRARIES += lib/libterminal.a
endif
lib_libterminal_a_SOURCES = lib/terminal.c lib/terminal.h
lib_libterminal_a_CFLAGS = $(AM_CFLAGS) $(NCURSES_CFLAGS)
TERMINAL_LIBS = lib/libterminal.a $(NCURSES_LIBS)

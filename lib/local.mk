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
	lib/memory.c lib/memory.h

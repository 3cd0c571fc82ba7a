# SPDX-License-Identifier: GPL-2.0-or-later

if HAVE_CHECK
if ENABLE_HOST_VMM
check_PROGRAMS += tests/unit/test_optset tests/unit/test_options tests/unit/test_chardev
endif
endif
tests_unit_test_optset_SOURCES = tests/unit/test_optset.c host-vmm/optset.c
tests_unit_test_optset_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
tests_unit_test_optset_LDADD = lib/libvirtsuite.a $(BASE_LIBS) $(CHECK_LIBS)
tests_unit_test_chardev_SOURCES = tests/unit/test_chardev.c host-vmm/optset.c \
	host-vmm/char/chardev.c host-vmm/char/chardev-socket.c host-vmm/char/chardev-pty.c \
	host-vmm/char/chardev-stdio.c host-vmm/char/chardev-file.c host-vmm/char/unix-listen.c
tests_unit_test_chardev_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
tests_unit_test_chardev_LDADD = lib/libvirtsuite.a $(BASE_LIBS) $(CHECK_LIBS)
tests_unit_test_options_SOURCES = tests/unit/test_options.c host-vmm/options.c host-vmm/optset.c
tests_unit_test_options_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
tests_unit_test_options_LDADD = lib/libvirtsuite.a $(BASE_LIBS) $(CHECK_LIBS)

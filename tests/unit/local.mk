# SPDX-License-Identifier: GPL-2.0-or-later

if HAVE_CHECK
if ENABLE_HOST_VMM
check_PROGRAMS += tests/unit/test_optset
endif
endif
tests_unit_test_optset_SOURCES = tests/unit/test_optset.c host-vmm/optset.c
tests_unit_test_optset_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
tests_unit_test_optset_LDADD = lib/libvirtsuite.a $(BASE_LIBS) $(CHECK_LIBS)

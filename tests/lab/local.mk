# SPDX-License-Identifier: GPL-2.0-or-later
check_PROGRAMS += tests/lab/agent-copy
tests_lab_agent_copy_SOURCES = tests/lab/agent-copy.c
tests_lab_agent_copy_LDADD = lib/libvirtsuite.a $(BASE_LIBS)

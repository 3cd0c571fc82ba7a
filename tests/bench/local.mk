# SPDX-License-Identifier: GPL-2.0-or-later
EXTRA_DIST += tests/bench/boot tests/bench/boot-work
EXTRA_DIST += tests/bench/disk tests/bench/disk-init tests/bench/disk-work
EXTRA_DIST += tests/bench/virt-top tests/bench/virt-top-fetch tests/bench/virt-what
EXTRA_DIST += tests/bench/paired.sh tests/bench/net tests/bench/net-flows.sh tests/bench/balloon tests/bench/balloon-rounds.sh
EXTRA_DIST += tests/bench/policy tests/bench/policy-trace

noinst_PROGRAMS += tests/bench/agent-load
tests_bench_agent_load_SOURCES = tests/bench/agent-load.c
tests_bench_agent_load_LDADD = $(BASE_LIBS)
EXTRA_DIST += tests/bench/agent tests/bench/balloond tests/bench/ksm

# SPDX-License-Identifier: GPL-2.0-or-later
# libFuzzer targets: configure --enable-fuzzers CC=clang, then make fuzzers and tests/fuzz/run. A target is fuzz_<name>.c with its
# seeds in corpus/<name>/.
if ENABLE_FUZZERS
noinst_PROGRAMS += tests/fuzz/fuzz_command tests/fuzz/fuzz_jsonstream
if ENABLE_HOST_VMM
noinst_PROGRAMS += tests/fuzz/fuzz_kernel tests/fuzz/fuzz_net_tx tests/fuzz/fuzz_qcow2
endif
if HAVE_CHECK
if ENABLE_HOST_VMM
noinst_PROGRAMS += tests/fuzz/fuzz_legacy tests/fuzz/fuzz_qmp tests/fuzz/fuzz_virtqueue
endif
endif
if ENABLE_GUEST_AGENT
noinst_PROGRAMS += tests/fuzz/fuzz_agent
endif
if ENABLE_VIRT_WHAT
noinst_PROGRAMS += tests/fuzz/fuzz_signatures
endif
endif
if ENABLE_FUZZERS
if ENABLE_VIRT_WHO
noinst_PROGRAMS += tests/fuzz/fuzz_who_ini
endif
endif
fuzz_ldflags = $(AM_LDFLAGS) -fsanitize=fuzzer
fuzz_session = tests/fuzz/session.c tests/fuzz/session.h
tests_fuzz_fuzz_agent_SOURCES = tests/fuzz/fuzz_agent.c $(fuzz_session)
tests_fuzz_fuzz_agent_LDFLAGS = $(fuzz_ldflags)
tests_fuzz_fuzz_agent_LDADD = $(AGENT_LIBS)
tests_fuzz_fuzz_command_SOURCES = tests/fuzz/fuzz_command.c $(fuzz_session)
tests_fuzz_fuzz_command_LDFLAGS = $(fuzz_ldflags)
tests_fuzz_fuzz_command_LDADD = lib/libvirtsuite.a $(BASE_LIBS)
tests_fuzz_fuzz_jsonstream_LDFLAGS = $(fuzz_ldflags)
tests_fuzz_fuzz_jsonstream_LDADD = lib/libvirtsuite.a $(BASE_LIBS)
tests_fuzz_fuzz_kernel_LDFLAGS = $(fuzz_ldflags)
tests_fuzz_fuzz_kernel_LDADD = host-vmm/libhostvmm.a lib/libvirtsuite.a $(BASE_LIBS) $(VMM_LIBS)
tests_fuzz_fuzz_net_tx_LDFLAGS = $(fuzz_ldflags)
tests_fuzz_fuzz_net_tx_LDADD = host-vmm/libhostvmm.a lib/libvirtsuite.a $(BASE_LIBS) $(VMM_LIBS)
tests_fuzz_fuzz_qcow2_SOURCES = tests/fuzz/fuzz_qcow2.c tests/unit/qcow2-play.c tests/unit/qcow2-play.h $(qcow2_image)
tests_fuzz_fuzz_qcow2_LDFLAGS = $(fuzz_ldflags)
tests_fuzz_fuzz_qcow2_LDADD = host-vmm/libhostvmm.a lib/libvirtsuite.a $(BASE_LIBS) $(VMM_LIBS)
tests_fuzz_fuzz_legacy_LDFLAGS = $(fuzz_ldflags)
tests_fuzz_fuzz_legacy_LDADD = $(device_test_libs)
# What it opens is not there: an input may name any file of the machine that it runs on.
tests_fuzz_fuzz_qmp_SOURCES = tests/fuzz/fuzz_qmp.c $(fake_machine)
tests_fuzz_fuzz_qmp_LDFLAGS = $(fuzz_ldflags) -Wl,--wrap=open -Wl,--wrap=socket -Wl,--wrap=stat
tests_fuzz_fuzz_qmp_LDADD = $(device_test_libs)
tests_fuzz_fuzz_virtqueue_LDFLAGS = $(fuzz_ldflags)
tests_fuzz_fuzz_virtqueue_LDADD = $(device_test_libs)
tests_fuzz_fuzz_signatures_SOURCES = tests/fuzz/fuzz_signatures.c virt-what/cpuid.c virt-what/evidence.c \
	virt-what/pattern.c virt-what/root-file.c virt-what/table.c
tests_fuzz_fuzz_signatures_CFLAGS = $(what_cflags)
tests_fuzz_fuzz_signatures_LDFLAGS = $(fuzz_ldflags)
tests_fuzz_fuzz_who_ini_LDFLAGS = $(fuzz_ldflags)
tests_fuzz_fuzz_who_ini_LDADD = $(WHO_LIBS)
EXTRA_DIST += tests/fuzz/run tests/fuzz/json.dict tests/fuzz/corpus

if ENABLE_FUZZERS
.PHONY: fuzzers
fuzzers: $(filter tests/fuzz/%,$(noinst_PROGRAMS))
endif

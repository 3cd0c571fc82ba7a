# SPDX-License-Identifier: GPL-2.0-or-later
# What scenarios run beside the suite's own programs.
noinst_PROGRAMS += tests/lab/agent-copy
tests_lab_agent_copy_SOURCES = tests/lab/agent-copy.c
tests_lab_agent_copy_LDADD = lib/libvirtsuite.a $(BASE_LIBS)
noinst_PROGRAMS += tests/lab/tcp-flow
tests_lab_tcp_flow_SOURCES = tests/lab/tcp-flow.c
noinst_PROGRAMS += tests/lab/disk-load
tests_lab_disk_load_SOURCES = tests/lab/disk-load.c
if ENABLE_HOST_VMM
noinst_PROGRAMS += tests/lab/guest-cpuid
tests_lab_guest_cpuid_SOURCES = tests/lab/guest-cpuid.c
tests_lab_guest_cpuid_LDADD = host-vmm/libhostvmm.a $(BASE_LIBS)
endif
noinst_PROGRAMS += tests/lab/disk-verify
tests_lab_disk_verify_SOURCES = tests/lab/disk-verify.c
# virt-top without libvirt, whose libraries are ten times as big as the guests.
if ENABLE_VIRT_TOP
noinst_PROGRAMS += tests/lab/virt-top
tests_lab_virt_top_SOURCES = virt-top/main.c lib/domain-no-libvirt.c
tests_lab_virt_top_LDADD = $(VIRT_TOP_LIBS) $(TERMINAL_LIBS) lib/libdomain.a lib/libvirtsuite.a $(BASE_LIBS) -lm
endif
EXTRA_DIST += quickstart .ci/run tests/run
EXTRA_DIST += tests/lab/demo tests/lab/fetch tests/lab/image tests/lab/machine tests/lab/qemu-firmware tests/lab/run \
	tests/lab/scenario.sh tests/lab/work tests/lab/guest tests/lab/level1 tests/lab/scenarios

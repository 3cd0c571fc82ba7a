# SPDX-License-Identifier: GPL-2.0-or-later
EXTRA_DIST += tests/program/payload.S
EXTRA_DIST += tests/program/vmctl_fakes.py tests/program/vmctl-agent.test tests/program/vmctl-agent-work.test \
	tests/program/vmctl-check-host.test tests/program/vmctl-console.test \
	tests/program/vmctl-guests.test tests/program/vmctl-run.test tests/program/vmctl-words.test
if ENABLE_HOST_VMM
noinst_DATA += tests/program/payload
CLEANFILES += tests/program/payload
tests/program/payload: tests/program/payload.S
	@$(MKDIR_P) tests/program
	$(AM_V_CCAS)$(CC) -m32 -nostdlib -static -no-pie -Wl,-Ttext-segment=0x100000 -Wl,--build-id=none -o $@ $(srcdir)/tests/program/payload.S
endif

EXTRA_DIST += tests/program/vmm_monitor.py \
	tests/program/vmm-actions.test \
	tests/program/vmm-confine.test \
	tests/program/vmm-disks.test \
	tests/program/vmm-fds.test \
	tests/program/vmm-memory.test \
	tests/program/vmm-options.test \
	tests/program/vmm-probe.test \
	tests/program/vmm-qmp.test \
	tests/program/vmm-terminal.test \
	tests/program/vmm-vcpus.test

# virt-what: each .case describes a root and what is to be found in it.
EXTRA_DIST += tests/program/apt-private.sh tests/program/virt_what_roots.py tests/program/virt-what-fetch tests/program/virt-what \
	tests/program/virt-what-cvm.test \
	tests/program/virt-what-facts.test \
	tests/program/virt-what-hostile.test \
	tests/program/virt-what-options.test \
	tests/program/virt-what-peers.test \
	tests/program/virt-what-upstream.test

# Disk images as host-vmm sees them, driven from outside.
if ENABLE_HOST_VMM
noinst_PROGRAMS += tests/program/block-io
endif
tests_program_block_io_SOURCES = tests/program/block-io.c
tests_program_block_io_LDADD = host-vmm/libhostvmm.a lib/libvirtsuite.a $(BASE_LIBS) $(VMM_LIBS)

EXTRA_DIST += tests/program/agent_under_test.py \
	tests/program/agent-accounts.test \
	tests/program/agent-guest.test \
	tests/program/agent-libvirt-init \
	tests/program/agent-libvirt.test \
	tests/program/agent-hostile.test tests/program/agent_command_table.py \
	tests/program/agent-commands.test \
	tests/program/agent-config.test \
	tests/program/agent-exec.test \
	tests/program/agent-file.test \
	tests/program/agent-freeze.test \
	tests/program/agent-port.test \
	tests/program/agent-process.test \
	tests/program/agent-qemu-tests.test tests/program/qemu-tests-fetch tests/program/qemu-tests-shim.h \
	tests/program/agent-service.test \
	tests/program/agent-shutdown.test \
	tests/program/agent-sockets.test \
	tests/program/agent-stream.test \
	tests/program/agent-wire.test

EXTRA_DIST += tests/program/virt_top_run.py tests/program/virt-top.test tests/program/virt-top-libvirtd.test \
	tests/program/virt-top-screens.test tests/program/virt-top-screens.txt
EXTRA_DIST += tests/program/qcow2_images.py tests/program/qcow2-kill.test tests/program/qcow2-qemu.test

EXTRA_DIST += tests/program/balloond-libvirt.test tests/program/balloond-guest-init tests/program/private_libvirtd.py
EXTRA_DIST += tests/program/balloon-sim.test tests/program/balloon-sim-scores.txt tests/program/balloond.test \
	tests/program/balloond_under_test.py tests/program/balloond-scale.test tests/program/balloonctl-import.test \
	tests/program/balloonctl-top.test tests/program/balloond-ksm.test tests/program/balloond-numa.test \
	tests/program/memory_guest.py tests/program/balloond-conf.test tests/program/balloond-control.test \
	tests/program/balloond-service.test

EXTRA_DIST += tests/program/entitlement_server.py tests/program/who_under_test.py \
	tests/program/who-config.test \
	tests/program/who-daemon.test \
	tests/program/who-kill.test \
	tests/program/who-libvirt.test \
	tests/program/who-server.test

# SPDX-License-Identifier: GPL-2.0-or-later
if ENABLE_VMCTL
bin_PROGRAMS += host-vmm/vmctl/vmctl
endif
host_vmm_vmctl_vmctl_SOURCES = \
	host-vmm/vmctl/main.c host-vmm/vmctl/vmctl.h \
	host-vmm/vmctl/verb-agent.c host-vmm/vmctl/verb-check-host.c host-vmm/vmctl/verb-console.c host-vmm/vmctl/verb-list.c \
	host-vmm/vmctl/verb-qmp.c host-vmm/vmctl/verb-run.c host-vmm/vmctl/verb-status.c \
	host-vmm/vmctl/verb-stop.c host-vmm/vmctl/verb-vcpus.c \
	host-vmm/vmctl/agent-copy.c host-vmm/vmctl/agent-copy.h \
	host-vmm/vmctl/agent-exec.c host-vmm/vmctl/agent-exec.h \
	host-vmm/vmctl/agent-exec-plain.c host-vmm/vmctl/agent-exec-stream.c host-vmm/vmctl/agent-fs.c host-vmm/vmctl/agent-transfer.c \
	host-vmm/vmctl/agent-vcpus.c host-vmm/vmctl/agent-words.h \
	host-vmm/vmctl/agent-link.c host-vmm/vmctl/agent-link.h \
	host-vmm/vmctl/arguments.c host-vmm/vmctl/arguments.h \
	host-vmm/vmctl/console.c host-vmm/vmctl/console.h \
	host-vmm/vmctl/guest.c host-vmm/vmctl/guest.h \
	host-vmm/vmctl/host-check.c host-vmm/vmctl/host-check.h \
	host-vmm/vmctl/host-check-cpu.c host-vmm/vmctl/host-check-kvm.c \
	host-vmm/vmctl/inspect.c host-vmm/vmctl/inspect.h \
	host-vmm/vmctl/interrupt.c host-vmm/vmctl/interrupt.h \
	host-vmm/vmctl/launch.c host-vmm/vmctl/launch.h \
	host-vmm/vmctl/options.c host-vmm/vmctl/options.h \
	host-vmm/vmctl/print.c host-vmm/vmctl/print.h \
	host-vmm/vmctl/progress.c host-vmm/vmctl/progress.h \
	host-vmm/vmctl/relay.c host-vmm/vmctl/relay.h \
	host-vmm/vmctl/replies.c host-vmm/vmctl/replies.h \
	host-vmm/vmctl/signals.c host-vmm/vmctl/signals.h \
	host-vmm/vmctl/stop.c host-vmm/vmctl/stop.h
host_vmm_vmctl_vmctl_LDADD = lib/libdomain.a lib/libvirtsuite.a $(BASE_LIBS)

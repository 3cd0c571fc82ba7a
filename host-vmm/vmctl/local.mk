# SPDX-License-Identifier: GPL-2.0-or-later
if ENABLE_VMCTL
bin_PROGRAMS += host-vmm/vmctl/vmctl
endif
host_vmm_vmctl_vmctl_SOURCES = host-vmm/vmctl/main.c
host_vmm_vmctl_vmctl_LDADD = lib/libvirtsuite.a $(BASE_LIBS)

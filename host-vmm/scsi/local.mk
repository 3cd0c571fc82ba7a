# SPDX-License-Identifier: GPL-2.0-or-later
host_vmm_libhostvmm_a_SOURCES += \
	host-vmm/scsi/scsi-unit.c host-vmm/scsi/scsi-unit.h host-vmm/scsi/scsi-private.h \
	host-vmm/scsi/scsi-inquiry.c host-vmm/scsi/scsi-mode.c host-vmm/scsi/scsi-cd.c

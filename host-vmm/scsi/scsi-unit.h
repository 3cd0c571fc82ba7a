// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * scsi-unit: a SCSI logical unit on a drive: a direct-access disk (SBC-3) or a CD-ROM (MMC-6), with the
 * commands that every unit has (SPC-4).
 *
 * A unit knows no bus: it is given commands and calls back. All functions are for the thread of the drive's
 * IoContext, but where it is said.
 */
#pragma once

#include "host-vmm/block/drive.h"

#define SCSI_MAX_CDB    32
#define SCSI_SENSE_SIZE 18 /* fixed format (SPC-4, 4.5.3) */

#define SCSI_GOOD            0x00
#define SCSI_CHECK_CONDITION 0x02

typedef struct ScsiUnit ScsiUnit;
typedef struct ScsiCommand ScsiCommand;

typedef struct ScsiUnitConfig {
    Drive *drive;
    gboolean is_cd;
    guint32 block_size; /* 512 to 4096; a CD's is 2048 */
    gboolean write_cache;
    const char *vendor, *product, *version,
        *serial; /* ASCII, cut to 8, 16, 4 and 36; copied. serial may be NULL */
    guint64 wwn; /* 0: none */
} ScsiUnitConfig;

/* Stays as it is until done(), which may be called from within scsi_unit_execute(). */
struct ScsiCommand {
    DriveRequest drive; /* the unit's */
    guint8 cdb[SCSI_MAX_CDB];
    const struct iovec *out, *in; /* data from and to the initiator, in guest RAM */
    guint out_count, in_count;
    guint64 out_bytes, in_bytes;
    void (*done)(ScsiCommand *command);
    /* The answer. */
    guint8 status;
    guint8 sense[SCSI_SENSE_SIZE];
    guint sense_length;  /* 0: none */
    guint64 transferred; /* bytes, in the one direction that the command has */
    /* The unit's. */
    ScsiUnit *unit;
    guint8 *list; /* of UNMAP: its ranges */
    guint list_count, list_next;
};

ScsiUnit *scsi_unit_new(const ScsiUnitConfig *config); /* main thread */
void scsi_unit_free(ScsiUnit *unit);
Drive *scsi_unit_drive(const ScsiUnit *unit); /* any thread */
/* Back to power-on: a unit attention is pending. */
void scsi_unit_reset(ScsiUnit *unit);
/* The length has changed: a unit attention tells the initiator. */
void scsi_unit_capacity_changed(ScsiUnit *unit);
void scsi_unit_execute(ScsiUnit *unit, ScsiCommand *command);

/* Answers a command that reached no unit: LOGICAL UNIT NOT SUPPORTED, or an INQUIRY and a REPORT LUNS as
 * SPC-4 has them for an absent unit. luns: of the units of this target, ascending. */
void scsi_answer_absent(ScsiCommand *command, const guint16 *luns, guint lun_count);
/* Fills in REPORT LUNS' answer (for a present unit too) and finishes. */
void scsi_answer_report_luns(ScsiCommand *command, const guint16 *luns, guint lun_count);
#define SCSI_REPORT_LUNS 0xa0

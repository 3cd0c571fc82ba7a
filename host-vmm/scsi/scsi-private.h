// SPDX-License-Identifier: GPL-2.0-or-later
/* scsi-private: what the files of a unit share. */
#pragma once

#include "host-vmm/scsi/scsi-unit.h"

/* Sense key, additional sense code and qualifier in one number: 0xKKAAQQ (SPC-4, annex D). */
#define SENSE_UNIT_ATTENTION_RESET    0x062900
#define SENSE_CAPACITY_CHANGED        0x062a09
#define SENSE_INVALID_OPCODE          0x052000
#define SENSE_LBA_OUT_OF_RANGE        0x052100
#define SENSE_INVALID_FIELD           0x052400
#define SENSE_LUN_NOT_SUPPORTED       0x052500
#define SENSE_INVALID_PARAMETER       0x052600
#define SENSE_SAVING_NOT_SUPPORTED    0x053900
#define SENSE_ILLEGAL_MODE            0x056400
#define SENSE_WRITE_PROTECTED         0x072700
#define SENSE_READ_ERROR              0x031100
#define SENSE_WRITE_ERROR             0x030c00
#define SENSE_SPACE_ALLOCATION_FAILED 0x072707
#define SENSE_INTERNAL_FAILURE        0x044400
#define SENSE_ABORTED                 0x0b0006 /* I/O process terminated */

struct ScsiUnit {
    ScsiUnitConfig config;
    char vendor[8], product[16], version[4], serial[36]; /* padded with spaces, not terminated */
    guint serial_length;
    guint32 attention; /* pending unit attention, 0: none */
    gboolean write_cache;
    gboolean locked; /* the medium must stay (PREVENT ALLOW MEDIUM REMOVAL) */
};

void scsi_finish(ScsiCommand *command, guint8 status);
void scsi_fail(ScsiCommand *command, guint32 sense);
/* Puts up to `allocation` of the bytes into the data-in buffers and finishes with GOOD. */
void scsi_reply(ScsiCommand *command, const void *data, gsize length, gsize allocation);
/* Up to `length` bytes of the data-out buffers; returns how much there was. */
gsize scsi_take_parameters(const ScsiCommand *command, void *to, gsize length);

guint64 scsi_block_count(const ScsiUnit *unit);
/* A CD's time of day of the block: minute, second, frame from 2 s on (MMC-6). */
void scsi_lba_to_msf(guint32 lba, guint8 msf[3]);

/* Commands that only talk (scsi-inquiry.c, scsi-mode.c, scsi-cd.c). FALSE: not one of these. */
gboolean scsi_execute_inquiry(ScsiUnit *unit, ScsiCommand *command);
gboolean scsi_execute_mode(ScsiUnit *unit, ScsiCommand *command);
gboolean scsi_execute_cd(ScsiUnit *unit, ScsiCommand *command);

static inline guint32 scsi_get16(const guint8 *at)
{
    return (guint32)at[0] << 8 | at[1];
}

static inline guint32 scsi_get32(const guint8 *at)
{
    return scsi_get16(at) << 16 | scsi_get16(at + 2);
}

static inline guint64 scsi_get64(const guint8 *at)
{
    return (guint64)scsi_get32(at) << 32 | scsi_get32(at + 4);
}

static inline void scsi_put16(guint8 *at, guint32 value)
{
    at[0] = (guint8)(value >> 8);
    at[1] = (guint8)value;
}

static inline void scsi_put32(guint8 *at, guint32 value)
{
    scsi_put16(at, value >> 16);
    scsi_put16(at + 2, value);
}

static inline void scsi_put64(guint8 *at, guint64 value)
{
    scsi_put32(at, (guint32)(value >> 32));
    scsi_put32(at + 4, (guint32)value);
}

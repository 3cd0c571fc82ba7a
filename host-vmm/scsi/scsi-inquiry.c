// SPDX-License-Identifier: GPL-2.0-or-later
/* What a unit is: INQUIRY with its vital product data, READ CAPACITY, REPORT LUNS. */
#include "host-vmm/scsi/scsi-private.h"

#include <string.h>

#define INQUIRY              0x12
#define READ_CAPACITY_10     0x25
#define SERVICE_ACTION_IN_16 0x9e
#define SAI_READ_CAPACITY_16 0x10

#define TYPE_DISK        0x00
#define TYPE_CD          0x05
#define TYPE_ABSENT      0x7f /* qualifier 3: no unit can be there */
#define VERSION_SPC_4    0x06
#define INQUIRY_SIZE     36
#define EVPD             0x01
#define REMOVABLE        0x80
#define COMMAND_QUEUEING 0x02

enum {
    VPD_SUPPORTED = 0x00,
    VPD_SERIAL = 0x80,
    VPD_IDENTIFICATION = 0x83,
    VPD_BLOCK_LIMITS = 0xb0,
    VPD_CHARACTERISTICS = 0xb1,
    VPD_PROVISIONING = 0xb2,
};

/* Block limits (SBC-3, 6.6.4). */
#define MAX_TRANSFER_BYTES (32u << 20)
#define MAX_UNMAP_BLOCKS   0x3fffffu
#define MAX_UNMAP_RANGES   255u
#define MAX_SAME_BLOCKS    0x3fffffu

static guint8 type_of(const ScsiUnit *unit)
{
    return unit->config.is_cd ? TYPE_CD : TYPE_DISK;
}

static void inquiry(ScsiUnit *unit, ScsiCommand *command)
{
    guint8 data[INQUIRY_SIZE] = {
        type_of(unit),    unit->config.is_cd ? REMOVABLE : 0, VERSION_SPC_4, 0x12 /* HiSup, format 2 */,
        INQUIRY_SIZE - 5,
    };
    data[7] = COMMAND_QUEUEING;
    memcpy(data + 8, unit->vendor, sizeof(unit->vendor));
    memcpy(data + 16, unit->product, sizeof(unit->product));
    memcpy(data + 32, unit->version, sizeof(unit->version));
    scsi_reply(command, data, sizeof(data), scsi_get16(command->cdb + 3));
}

/* Designation descriptors (SPC-4, 7.8.6): vendor, product and serial as text; the wwn as NAA. */
static gsize identification(const ScsiUnit *unit, guint8 *data)
{
    guint8 *at = data;
    guint text_length = (guint)(sizeof(unit->vendor) + sizeof(unit->product)) + unit->serial_length;
    at[0] = 0x02; /* ASCII */
    at[1] = 0x01; /* T10 vendor id based, of the unit */
    at[3] = (guint8)text_length;
    memcpy(at + 4, unit->vendor, sizeof(unit->vendor));
    memcpy(at + 12, unit->product, sizeof(unit->product));
    memcpy(at + 28, unit->serial, unit->serial_length);
    at += 4 + text_length;
    if (unit->config.wwn) {
        at[0] = 0x01; /* binary */
        at[1] = 0x03; /* NAA, of the unit */
        at[3] = 8;
        scsi_put64(at + 4, unit->config.wwn);
        at += 12;
    }
    return (gsize)(at - data);
}

static gsize block_limits(const ScsiUnit *unit, guint8 *data)
{
    guint32 block_size = unit->config.block_size;
    data[0] = 0x01; /* WRITE SAME: no zero count */
    scsi_put32(data + 4, MAX_TRANSFER_BYTES / block_size);
    if (!unit->config.is_cd && !drive_is_read_only(unit->config.drive)) {
        scsi_put32(data + 16, MAX_UNMAP_BLOCKS);
        scsi_put32(data + 20, MAX_UNMAP_RANGES);
        scsi_put32(data + 24, 1); /* granularity, blocks */
        scsi_put64(data + 32, MAX_SAME_BLOCKS);
    }
    return 60;
}

static void vital_product_data(ScsiUnit *unit, ScsiCommand *command)
{
    static const guint8 pages[] = {VPD_SUPPORTED,    VPD_SERIAL,          VPD_IDENTIFICATION,
                                   VPD_BLOCK_LIMITS, VPD_CHARACTERISTICS, VPD_PROVISIONING};
    guint8 data[256] = {type_of(unit), command->cdb[2]};
    gsize length;
    switch (command->cdb[2]) {
    case VPD_SUPPORTED:
        length = unit->config.is_cd ? 4 : sizeof(pages);
        memcpy(data + 4, pages, length);
        break;
    case VPD_SERIAL:
        length = unit->serial_length;
        memcpy(data + 4, unit->serial, length);
        break;
    case VPD_IDENTIFICATION:
        length = identification(unit, data + 4);
        break;
    case VPD_BLOCK_LIMITS:
        length = block_limits(unit, data + 4);
        break;
    case VPD_CHARACTERISTICS:
        data[5] = 0x01; /* it does not rotate */
        length = unit->config.is_cd ? 0 : 60;
        break;
    case VPD_PROVISIONING:
        data[5] = 0xe0; /* UNMAP, WRITE SAME (16) and (10) unmap */
        data[6] = 0x02; /* thin */
        length = unit->config.is_cd ? 0 : 4;
        break;
    default:
        length = 0;
        break;
    }
    if (length == 0 && command->cdb[2] != VPD_SERIAL) {
        scsi_fail(command, SENSE_INVALID_FIELD);
        return;
    }
    scsi_put16(data + 2, (guint32)length);
    scsi_reply(command, data, length + 4, scsi_get16(command->cdb + 3));
}

static void read_capacity_10(ScsiUnit *unit, ScsiCommand *command)
{
    guint64 count = scsi_block_count(unit);
    guint8 data[8];
    scsi_put32(data, (guint32)MIN(count ? count - 1 : 0, G_MAXUINT32));
    scsi_put32(data + 4, unit->config.block_size);
    scsi_reply(command, data, sizeof(data), sizeof(data));
}

static void read_capacity_16(ScsiUnit *unit, ScsiCommand *command)
{
    guint64 count = scsi_block_count(unit);
    guint8 data[32] = {0};
    scsi_put64(data, count ? count - 1 : 0);
    scsi_put32(data + 8, unit->config.block_size);
    if (!drive_is_read_only(unit->config.drive)) {
        data[14] = 0x80; /* LBPME: blocks can be unmapped */
    }
    scsi_reply(command, data, sizeof(data), scsi_get32(command->cdb + 10));
}

gboolean scsi_execute_inquiry(ScsiUnit *unit, ScsiCommand *command)
{
    const guint8 *cdb = command->cdb;
    if (cdb[0] == INQUIRY && (cdb[1] & EVPD)) {
        vital_product_data(unit, command);
    } else if (cdb[0] == INQUIRY && cdb[2] == 0) {
        inquiry(unit, command);
    } else if (cdb[0] == INQUIRY) {
        scsi_fail(command, SENSE_INVALID_FIELD);
    } else if (cdb[0] == READ_CAPACITY_10) {
        read_capacity_10(unit, command);
    } else if (cdb[0] == SERVICE_ACTION_IN_16 && (cdb[1] & 0x1f) == SAI_READ_CAPACITY_16 &&
               !unit->config.is_cd) {
        read_capacity_16(unit, command);
    } else {
        return FALSE;
    }
    return TRUE;
}

void scsi_answer_report_luns(ScsiCommand *command, const guint16 *luns, guint lun_count)
{
    gsize length = 8 + (gsize)lun_count * 8;
    g_autofree guint8 *data = g_malloc0(length);
    scsi_put32(data, lun_count * 8);
    for (guint i = 0; i < lun_count; i++) {
        guint8 *at = data + 8 + i * 8;
        /* Peripheral addressing up to 255, flat space beyond (SAM-5, 4.7.7). */
        scsi_put16(at, luns[i] < 256 ? luns[i] : 0x4000u | luns[i]);
    }
    scsi_reply(command, data, length, scsi_get32(command->cdb + 6));
}

void scsi_answer_absent(ScsiCommand *command, const guint16 *luns, guint lun_count)
{
    command->sense_length = 0;
    command->transferred = 0;
    if (command->cdb[0] == SCSI_REPORT_LUNS) {
        scsi_answer_report_luns(command, luns, lun_count);
    } else if (command->cdb[0] == INQUIRY && !(command->cdb[1] & EVPD)) {
        static const guint8 data[INQUIRY_SIZE] = {TYPE_ABSENT, 0, VERSION_SPC_4, 0x02, INQUIRY_SIZE - 5};
        scsi_reply(command, data, sizeof(data), scsi_get16(command->cdb + 3));
    } else {
        scsi_fail(command, SENSE_LUN_NOT_SUPPORTED);
    }
}

// SPDX-License-Identifier: GPL-2.0-or-later
/* What only a CD drive is asked (MMC-6): its table of contents, its profile, its events. The disc is always
 * in. */
#include "host-vmm/scsi/scsi-private.h"

#include <string.h>

#define READ_TOC          0x43
#define GET_CONFIGURATION 0x46
#define GET_EVENT_STATUS  0x4a
#define READ_DISC_INFO    0x51
#define MECHANISM_STATUS  0xbd

#define MSF_BIT       0x02
#define LEAD_OUT      0xaa
#define DATA_TRACK    0x14
#define FRAMES        75u
#define SECONDS       60u
#define LEAD_IN       150u /* frames before block 0 */
#define PROFILE_CD    0x0008
#define PROFILE_DVD   0x0010
#define CD_MAX_BLOCKS 359849u /* 80 minutes */

void scsi_lba_to_msf(guint32 lba, guint8 msf[3])
{
    lba += LEAD_IN;
    msf[0] = (guint8)(lba / FRAMES / SECONDS);
    msf[1] = (guint8)(lba / FRAMES % SECONDS);
    msf[2] = (guint8)(lba % FRAMES);
}

static void put_address(guint8 *at, gboolean msf, guint32 lba)
{
    if (msf) {
        at[0] = 0;
        scsi_lba_to_msf(lba, at + 1);
    } else {
        scsi_put32(at, lba);
    }
}

static void read_toc(ScsiUnit *unit, ScsiCommand *command)
{
    const guint8 *cdb = command->cdb;
    gboolean msf = (cdb[1] & MSF_BIT) != 0;
    guint format = cdb[2] & 0x0f ? cdb[2] & 0x0fu : cdb[9] >> 6;
    guint start = cdb[6];
    guint8 data[20] = {0};
    guint length = 4;
    data[2] = data[3] = 1; /* first and last track, or session */
    if (format == 0 && (start <= 1 || start == LEAD_OUT)) {
        if (start <= 1) {
            data[length + 1] = DATA_TRACK;
            data[length + 2] = 1;
            put_address(data + length + 4, msf, 0);
            length += 8;
        }
        data[length + 1] = DATA_TRACK;
        data[length + 2] = LEAD_OUT;
        put_address(data + length + 4, msf, (guint32)MIN(scsi_block_count(unit), G_MAXUINT32));
        length += 8;
    } else if (format == 1) { /* the last session begins with track 1 */
        data[length + 1] = DATA_TRACK;
        data[length + 2] = 1;
        put_address(data + length + 4, msf, 0);
        length += 8;
    } else {
        scsi_fail(command, SENSE_INVALID_FIELD);
        return;
    }
    scsi_put16(data, length - 2);
    scsi_reply(command, data, length, scsi_get16(cdb + 7));
}

static void put_feature(guint8 *at, guint code, guint flags, guint length)
{
    scsi_put16(at, code);
    at[2] = (guint8)flags;
    at[3] = (guint8)length;
}

static void get_configuration(ScsiUnit *unit, ScsiCommand *command)
{
    guint8 data[40] = {0};
    guint profile = scsi_block_count(unit) > CD_MAX_BLOCKS ? PROFILE_DVD : PROFILE_CD;
    scsi_put32(data, sizeof(data) - 4);
    scsi_put16(data + 6, profile);
    put_feature(data + 8, 0x0000, 0x03, 8); /* profile list: persistent, current */
    scsi_put16(data + 12, PROFILE_DVD);
    data[14] = profile == PROFILE_DVD;
    scsi_put16(data + 16, PROFILE_CD);
    data[18] = profile == PROFILE_CD;
    put_feature(data + 20, 0x0001, 0x07, 8); /* core */
    scsi_put32(data + 24, 1);                /* SCSI */
    data[28] = 0x01;
    put_feature(data + 32, 0x0003, 0x03, 4); /* removable medium: tray */
    data[36] = 0x29;
    scsi_reply(command, data, sizeof(data), scsi_get16(command->cdb + 7));
}

static void get_event_status(ScsiCommand *command)
{
    guint8 data[8] = {0};
    if (!(command->cdb[1] & 1)) { /* only polled */
        scsi_fail(command, SENSE_INVALID_FIELD);
        return;
    }
    data[3] = 0x10; /* media events */
    if (command->cdb[4] & 0x10) {
        data[1] = 6;
        data[2] = 0x04;
        data[5] = 0x02; /* no change, a medium is in */
        scsi_reply(command, data, sizeof(data), scsi_get16(command->cdb + 7));
    } else {
        data[1] = 2;
        data[2] = 0x80; /* none of what was asked for */
        scsi_reply(command, data, 4, scsi_get16(command->cdb + 7));
    }
}

static void read_disc_info(ScsiCommand *command)
{
    guint8 data[34] = {0};
    scsi_put16(data, sizeof(data) - 2);
    data[2] = 0x0e;                            /* finished, the last session too */
    data[3] = data[4] = data[5] = data[6] = 1; /* one track, one session */
    data[7] = 0x20;                            /* unrestricted use */
    scsi_reply(command, data, sizeof(data), scsi_get16(command->cdb + 7));
}

gboolean scsi_execute_cd(ScsiUnit *unit, ScsiCommand *command)
{
    static const guint8 mechanism[8] = {0, 0, 0, 0, 0, 1};
    switch (command->cdb[0]) {
    case READ_TOC:
        read_toc(unit, command);
        return TRUE;
    case GET_CONFIGURATION:
        get_configuration(unit, command);
        return TRUE;
    case GET_EVENT_STATUS:
        get_event_status(command);
        return TRUE;
    case READ_DISC_INFO:
        read_disc_info(command);
        return TRUE;
    case MECHANISM_STATUS:
        scsi_reply(command, mechanism, sizeof(mechanism), scsi_get16(command->cdb + 8));
        return TRUE;
    default:
        return FALSE;
    }
}

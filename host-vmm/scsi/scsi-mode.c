// SPDX-License-Identifier: GPL-2.0-or-later
/* Mode pages: whether writes are cached, what a CD drive can do (MODE SENSE, MODE SELECT). */
#include "host-vmm/scsi/scsi-private.h"

#include <string.h>

#define MODE_SELECT_6  0x15
#define MODE_SENSE_6   0x1a
#define MODE_SELECT_10 0x55
#define MODE_SENSE_10  0x5a

#define PAGE_RECOVERY     0x01
#define PAGE_CACHING      0x08
#define PAGE_CAPABILITIES 0x2a /* of CD drives */
#define PAGE_ALL          0x3f

#define CACHING_WCE     0x04
#define CACHING_LENGTH  18
#define WRITE_PROTECTED 0x80
#define DPO_FUA         0x10
#define NO_DESCRIPTORS  0x08 /* DBD, byte 1 */

#define PAGES_MAX 64

/* control: 0 current, 1 changeable bits, 2 default. Returns the page's length, 0: there is none. */
static guint put_page(const ScsiUnit *unit, guint page, guint control, guint8 *at)
{
    memset(at, 0, PAGES_MAX);
    at[0] = (guint8)page;
    switch (page) {
    case PAGE_RECOVERY:
        at[1] = 10;
        at[2] = control == 1 ? 0 : 0x80; /* automatic reallocation of writes */
        return 12;
    case PAGE_CACHING:
        if (unit->config.is_cd) {
            return 0;
        }
        at[1] = CACHING_LENGTH;
        at[2] = control == 1                                                    ? CACHING_WCE
                : (control == 0 ? unit->write_cache : unit->config.write_cache) ? CACHING_WCE
                                                                                : 0;
        return CACHING_LENGTH + 2;
    case PAGE_CAPABILITIES:
        if (!unit->config.is_cd) {
            return 0;
        }
        at[1] = 18;
        if (control != 1) {
            at[2] = 0x3b;                          /* reads CD-R, CD-RW, DVD-ROM, DVD-R, DVD-RAM */
            at[6] = 0x2d | (unit->locked ? 2 : 0); /* tray, eject, lockable */
            scsi_put16(at + 8, 50 * 176);          /* 50x, kB/s */
            scsi_put16(at + 14, 50 * 176);
        }
        return 20;
    default:
        return 0;
    }
}

static guint put_pages(const ScsiUnit *unit, guint page, guint control, guint8 *data)
{
    static const guint8 all[] = {PAGE_RECOVERY, PAGE_CACHING, PAGE_CAPABILITIES};
    guint length = 0;
    if (page != PAGE_ALL) {
        return put_page(unit, page, control, data);
    }
    for (guint i = 0; i < G_N_ELEMENTS(all); i++) {
        length += put_page(unit, all[i], control, data + length);
    }
    return length;
}

static void mode_sense(ScsiUnit *unit, ScsiCommand *command)
{
    const guint8 *cdb = command->cdb;
    gboolean is_long = cdb[0] == MODE_SENSE_10;
    guint control = cdb[2] >> 6;
    guint8 data[8 + 8 + 4 * PAGES_MAX] = {0};
    guint header = is_long ? 8 : 4;
    guint8 *at = data + header;
    if (control == 3) {
        scsi_fail(command, SENSE_SAVING_NOT_SUPPORTED);
        return;
    }
    guint8 specific =
        unit->config.is_cd ? 0 : (drive_is_read_only(unit->config.drive) ? WRITE_PROTECTED : 0) | DPO_FUA;
    guint descriptor = 0;
    if (!(cdb[1] & NO_DESCRIPTORS) && !unit->config.is_cd) {
        descriptor = 8;
        scsi_put32(at, (guint32)MIN(scsi_block_count(unit), 0xffffff));
        scsi_put32(at + 4, unit->config.block_size);
        at += descriptor;
    }
    guint pages = put_pages(unit, cdb[2] & 0x3f, control, at);
    if (pages == 0 || cdb[3] != 0) {
        scsi_fail(command, SENSE_INVALID_FIELD);
        return;
    }
    guint length = header + descriptor + pages;
    if (is_long) {
        scsi_put16(data, length - 2);
        data[3] = specific;
        scsi_put16(data + 6, descriptor);
    } else {
        data[0] = (guint8)(length - 1);
        data[2] = specific;
        data[3] = (guint8)descriptor;
    }
    scsi_reply(command, data, length, is_long ? scsi_get16(cdb + 7) : cdb[4]);
}

/* Only the write cache can be changed; everything else has to come as MODE SENSE gave it. */
static gboolean take_page(ScsiUnit *unit, const guint8 *page, guint length)
{
    guint8 current[PAGES_MAX], changeable[PAGES_MAX];
    if (length < 2 || put_page(unit, page[0] & 0x3f, 0, current) != length) {
        return FALSE;
    }
    put_page(unit, page[0] & 0x3f, 1, changeable);
    for (guint i = 1; i < length; i++) {
        guint8 fixed = i == 1 ? 0xff : (guint8)~changeable[i];
        if ((page[i] ^ current[i]) & fixed) {
            return FALSE;
        }
    }
    if ((page[0] & 0x3f) == PAGE_CACHING) {
        unit->write_cache = (page[2] & CACHING_WCE) != 0;
    }
    return TRUE;
}

static void mode_select(ScsiUnit *unit, ScsiCommand *command)
{
    const guint8 *cdb = command->cdb;
    gboolean is_long = cdb[0] == MODE_SELECT_10;
    guint length = is_long ? scsi_get16(cdb + 7) : cdb[4];
    guint header = is_long ? 8 : 4;
    guint8 data[256];
    if (length == 0) {
        scsi_finish(command, SCSI_GOOD);
        return;
    }
    if (!(cdb[1] & 0x10) || (cdb[1] & 0x01)) { /* page format, and nothing is saved */
        scsi_fail(command, SENSE_INVALID_FIELD);
        return;
    }
    if (length < header || length > sizeof(data) || scsi_take_parameters(command, data, length) < length) {
        scsi_fail(command, SENSE_INVALID_PARAMETER);
        return;
    }
    guint at = header + (is_long ? scsi_get16(data + 6) : data[3]);
    while (at + 2 <= length) {
        guint page_length = data[at + 1] + 2u;
        if (page_length > length - at || !take_page(unit, data + at, page_length)) {
            scsi_fail(command, SENSE_INVALID_PARAMETER);
            return;
        }
        at += page_length;
    }
    if (at != length) {
        scsi_fail(command, SENSE_INVALID_PARAMETER);
        return;
    }
    command->transferred = length;
    scsi_finish(command, SCSI_GOOD);
}

gboolean scsi_execute_mode(ScsiUnit *unit, ScsiCommand *command)
{
    switch (command->cdb[0]) {
    case MODE_SENSE_6:
    case MODE_SENSE_10:
        mode_sense(unit, command);
        return TRUE;
    case MODE_SELECT_6:
    case MODE_SELECT_10:
        mode_select(unit, command);
        return TRUE;
    default:
        return FALSE;
    }
}

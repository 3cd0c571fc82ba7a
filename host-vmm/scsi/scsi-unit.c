// SPDX-License-Identifier: GPL-2.0-or-later
/* The commands that move data, and what all commands have in common. */
#include "host-vmm/scsi/scsi-private.h"

#include <errno.h>
#include <string.h>

enum {
    TEST_UNIT_READY = 0x00,
    REQUEST_SENSE = 0x03,
    READ_6 = 0x08,
    WRITE_6 = 0x0a,
    INQUIRY = 0x12,
    START_STOP_UNIT = 0x1b,
    PREVENT_ALLOW = 0x1e,
    READ_10 = 0x28,
    WRITE_10 = 0x2a,
    VERIFY_10 = 0x2f,
    SYNCHRONIZE_CACHE_10 = 0x35,
    WRITE_SAME_10 = 0x41,
    UNMAP = 0x42,
    READ_16 = 0x88,
    WRITE_16 = 0x8a,
    VERIFY_16 = 0x8f,
    SYNCHRONIZE_CACHE_16 = 0x91,
    WRITE_SAME_16 = 0x93,
    READ_12 = 0xa8,
    WRITE_12 = 0xaa,
};

#define FUA_BIT           0x08 /* byte 1 of READ and WRITE */
#define SAME_UNMAP        0x08 /* byte 1 of WRITE SAME */
#define SAME_NO_DATA_OUT  0x01
#define VERIFY_BYTCHK     0x06
#define UNMAP_HEADER_SIZE 8u
#define UNMAP_RANGE_SIZE  16u
#define MAX_UNMAP_RANGES  255u /* as the block limits page says */

/* ---- answers ---- */

void scsi_finish(ScsiCommand *command, guint8 status)
{
    command->status = status;
    g_clear_pointer(&command->list, g_free);
    command->done(command);
}

void scsi_fail(ScsiCommand *command, guint32 sense)
{
    memset(command->sense, 0, sizeof(command->sense));
    command->sense[0] = 0x70; /* current, fixed format */
    command->sense[2] = (guint8)(sense >> 16);
    command->sense[7] = SCSI_SENSE_SIZE - 8;
    command->sense[12] = (guint8)(sense >> 8);
    command->sense[13] = (guint8)sense;
    command->sense_length = SCSI_SENSE_SIZE;
    command->transferred = 0;
    scsi_finish(command, SCSI_CHECK_CONDITION);
}

static gsize copy_in(const ScsiCommand *command, const guint8 *data, gsize length)
{
    gsize done = 0;
    for (guint i = 0; i < command->in_count && done < length; i++) {
        gsize part = MIN(command->in[i].iov_len, length - done);
        memcpy(command->in[i].iov_base, data + done, part);
        done += part;
    }
    return done;
}

void scsi_reply(ScsiCommand *command, const void *data, gsize length, gsize allocation)
{
    command->transferred = copy_in(command, data, MIN(length, allocation));
    scsi_finish(command, SCSI_GOOD);
}

gsize scsi_take_parameters(const ScsiCommand *command, void *to, gsize length)
{
    gsize done = 0;
    for (guint i = 0; i < command->out_count && done < length; i++) {
        gsize part = MIN(command->out[i].iov_len, length - done);
        memcpy((guint8 *)to + done, command->out[i].iov_base, part);
        done += part;
    }
    return done;
}

guint64 scsi_block_count(const ScsiUnit *unit)
{
    return drive_length(unit->config.drive) / unit->config.block_size;
}

/* ---- data ---- */

static gboolean is_write(const ScsiCommand *command)
{
    return command->drive.block.op != BLOCK_READ && command->drive.block.op != BLOCK_FLUSH;
}

static void next_unmap(ScsiCommand *command);

static void on_done(DriveRequest *request, int result)
{
    ScsiCommand *command = (ScsiCommand *)request;
    if (result == 0 && command->list && ++command->list_next < command->list_count) {
        next_unmap(command);
    } else if (result == 0) {
        gboolean moves = request->block.op == BLOCK_READ || request->block.op == BLOCK_WRITE;
        command->transferred = moves ? request->block.length : 0;
        scsi_finish(command, SCSI_GOOD);
    } else {
        scsi_fail(command, result == -ECANCELED ? SENSE_ABORTED
                           : result == -ENOSPC  ? SENSE_SPACE_ALLOCATION_FAILED
                           : result == -ENOTSUP ? SENSE_INVALID_OPCODE
                           : is_write(command)  ? SENSE_WRITE_ERROR
                                                : SENSE_READ_ERROR);
    }
}

static void submit(ScsiCommand *command, BlockOp op, guint64 offset, guint64 length, guint flags)
{
    DriveRequest *drive = &command->drive;
    drive->block.op = op;
    drive->block.flags = flags;
    drive->block.offset = offset;
    drive->block.length = length;
    drive->done = on_done;
    drive->count = 1;
    drive_submit(command->unit->config.drive, drive);
}

static gboolean check_range(ScsiCommand *command, guint64 lba, guint64 blocks)
{
    guint64 count = scsi_block_count(command->unit);
    if (lba <= count && blocks <= count - lba) {
        return TRUE;
    }
    scsi_fail(command, SENSE_LBA_OUT_OF_RANGE);
    return FALSE;
}

static gboolean check_writable(ScsiCommand *command)
{
    if (!drive_is_read_only(command->unit->config.drive)) {
        return TRUE;
    }
    scsi_fail(command, SENSE_WRITE_PROTECTED);
    return FALSE;
}

static guint write_flags(const ScsiCommand *command, guint8 byte_1)
{
    return (byte_1 & FUA_BIT) || !command->unit->write_cache ? BLOCK_FUA : 0;
}

static void transfer(ScsiCommand *command, gboolean write, guint64 lba, guint64 blocks, guint8 byte_1)
{
    guint64 bytes = blocks * command->unit->config.block_size;
    if ((write && !check_writable(command)) || !check_range(command, lba, blocks)) {
        return;
    }
    if (blocks == 0) {
        scsi_finish(command, SCSI_GOOD);
        return;
    }
    /* The buffers have to be what the command says: neither more is touched nor less is called a success. */
    if (bytes != (write ? command->out_bytes : command->in_bytes)) {
        drive_count_invalid(command->unit->config.drive, write ? DRIVE_STAT_WRITE : DRIVE_STAT_READ);
        scsi_fail(command, SENSE_INVALID_FIELD);
        return;
    }
    command->drive.block.segments = write ? command->out : command->in;
    command->drive.block.segment_count = write ? command->out_count : command->in_count;
    submit(command, write ? BLOCK_WRITE : BLOCK_READ, lba * command->unit->config.block_size, bytes,
           write ? write_flags(command, byte_1) : 0);
}

/* WRITE SAME: only zeroes are the same in every block that we write. */
static void write_same(ScsiCommand *command, guint64 lba, guint64 blocks, guint8 byte_1)
{
    guint32 block_size = command->unit->config.block_size;
    if (!check_writable(command)) {
        return;
    }
    if (blocks == 0) {
        blocks = scsi_block_count(command->unit) - MIN(lba, scsi_block_count(command->unit));
    }
    if (!check_range(command, lba, blocks)) {
        return;
    }
    if (!(byte_1 & SAME_NO_DATA_OUT)) {
        g_autofree guint8 *pattern = g_malloc0(block_size);
        gsize got = scsi_take_parameters(command, pattern, block_size);
        for (gsize i = 0; i < block_size; i++) {
            if (got != block_size || pattern[i] != 0) {
                scsi_fail(command, SENSE_INVALID_FIELD);
                return;
            }
        }
    }
    if (blocks == 0) {
        scsi_finish(command, SCSI_GOOD);
        return;
    }
    submit(command, BLOCK_WRITE_ZEROES, lba * block_size, blocks * block_size,
           write_flags(command, 0) | (byte_1 & SAME_UNMAP ? BLOCK_MAY_UNMAP : 0));
}

static void next_unmap(ScsiCommand *command)
{
    const guint8 *range = command->list + command->list_next * UNMAP_RANGE_SIZE;
    guint32 block_size = command->unit->config.block_size;
    submit(command, BLOCK_DISCARD, scsi_get64(range) * block_size,
           (guint64)scsi_get32(range + 8) * block_size, 0);
}

static void unmap(ScsiCommand *command)
{
    guint8 header[UNMAP_HEADER_SIZE];
    guint allocation = scsi_get16(command->cdb + 7);
    if (!check_writable(command)) {
        return;
    }
    if (allocation == 0) {
        scsi_finish(command, SCSI_GOOD);
        return;
    }
    if (allocation < UNMAP_HEADER_SIZE ||
        scsi_take_parameters(command, header, sizeof(header)) < sizeof(header)) {
        scsi_fail(command, SENSE_INVALID_PARAMETER);
        return;
    }
    guint count = scsi_get16(header + 2) / UNMAP_RANGE_SIZE;
    gsize size = UNMAP_HEADER_SIZE + (gsize)count * UNMAP_RANGE_SIZE;
    g_autofree guint8 *parameters = g_malloc(size);
    if (count > MAX_UNMAP_RANGES || size > allocation ||
        scsi_take_parameters(command, parameters, size) < size) {
        scsi_fail(command, SENSE_INVALID_PARAMETER);
        return;
    }
    for (guint i = 0; i < count; i++) {
        const guint8 *range = parameters + UNMAP_HEADER_SIZE + i * UNMAP_RANGE_SIZE;
        if (!check_range(command, scsi_get64(range), scsi_get32(range + 8))) {
            return;
        }
    }
    if (count == 0) {
        scsi_finish(command, SCSI_GOOD);
        return;
    }
    command->list = g_malloc(count * UNMAP_RANGE_SIZE);
    memcpy(command->list, parameters + UNMAP_HEADER_SIZE, count * UNMAP_RANGE_SIZE);
    command->list_count = count;
    command->list_next = 0;
    next_unmap(command);
}

static void verify(ScsiCommand *command, guint64 lba, guint64 blocks)
{
    if (command->cdb[1] & VERIFY_BYTCHK) {
        scsi_fail(command, SENSE_INVALID_FIELD);
    } else if (check_range(command, lba, blocks)) {
        scsi_finish(command, SCSI_GOOD);
    }
}

/* TRUE if it was one of these. */
static gboolean execute_data(ScsiUnit *unit, ScsiCommand *command)
{
    const guint8 *cdb = command->cdb;
    gboolean is_disk = !unit->config.is_cd;
    switch (cdb[0]) {
    case READ_6:
    case WRITE_6:
        if (cdb[0] == WRITE_6 && !is_disk) {
            return FALSE;
        }
        transfer(command, cdb[0] == WRITE_6, scsi_get32(cdb) & 0x1fffff, cdb[4] ? cdb[4] : 256, 0);
        return TRUE;
    case READ_10:
        transfer(command, FALSE, scsi_get32(cdb + 2), scsi_get16(cdb + 7), cdb[1]);
        return TRUE;
    case READ_12:
        transfer(command, FALSE, scsi_get32(cdb + 2), scsi_get32(cdb + 6), cdb[1]);
        return TRUE;
    case READ_16:
        transfer(command, FALSE, scsi_get64(cdb + 2), scsi_get32(cdb + 10), cdb[1]);
        return TRUE;
    case SYNCHRONIZE_CACHE_10:
    case SYNCHRONIZE_CACHE_16:
        submit(command, BLOCK_FLUSH, 0, 0, 0);
        return TRUE;
    case VERIFY_10:
        verify(command, scsi_get32(cdb + 2), scsi_get16(cdb + 7));
        return TRUE;
    default:
        break;
    }
    if (!is_disk) {
        return FALSE;
    }
    switch (cdb[0]) {
    case WRITE_10:
        transfer(command, TRUE, scsi_get32(cdb + 2), scsi_get16(cdb + 7), cdb[1]);
        return TRUE;
    case WRITE_12:
        transfer(command, TRUE, scsi_get32(cdb + 2), scsi_get32(cdb + 6), cdb[1]);
        return TRUE;
    case WRITE_16:
        transfer(command, TRUE, scsi_get64(cdb + 2), scsi_get32(cdb + 10), cdb[1]);
        return TRUE;
    case VERIFY_16:
        verify(command, scsi_get64(cdb + 2), scsi_get32(cdb + 10));
        return TRUE;
    case WRITE_SAME_10:
        write_same(command, scsi_get32(cdb + 2), scsi_get16(cdb + 7), cdb[1] & SAME_UNMAP);
        return TRUE;
    case WRITE_SAME_16:
        write_same(command, scsi_get64(cdb + 2), scsi_get32(cdb + 10), cdb[1]);
        return TRUE;
    case UNMAP:
        unmap(command);
        return TRUE;
    default:
        return FALSE;
    }
}

/* ---- the unit ---- */

static void request_sense(ScsiUnit *unit, ScsiCommand *command)
{
    guint8 sense[SCSI_SENSE_SIZE] = {0x70, [7] = SCSI_SENSE_SIZE - 8};
    sense[2] = (guint8)(unit->attention >> 16);
    sense[12] = (guint8)(unit->attention >> 8);
    sense[13] = (guint8)unit->attention;
    unit->attention = 0;
    scsi_reply(command, sense, sizeof(sense), command->cdb[4]);
}

static gboolean execute_simple(ScsiUnit *unit, ScsiCommand *command)
{
    switch (command->cdb[0]) {
    case TEST_UNIT_READY:
    case START_STOP_UNIT: /* there is no motor, and the medium stays */
        scsi_finish(command, SCSI_GOOD);
        return TRUE;
    case REQUEST_SENSE:
        request_sense(unit, command);
        return TRUE;
    case PREVENT_ALLOW:
        unit->locked = command->cdb[4] & 1;
        scsi_finish(command, SCSI_GOOD);
        return TRUE;
    default:
        return FALSE;
    }
}

void scsi_unit_execute(ScsiUnit *unit, ScsiCommand *command)
{
    guint8 opcode = command->cdb[0];
    command->unit = unit;
    command->sense_length = 0;
    command->transferred = 0;
    /* SPC-4, 5.14: these two (and REPORT LUNS) leave a unit attention pending. */
    if (unit->attention && opcode != INQUIRY && opcode != REQUEST_SENSE) {
        guint32 sense = unit->attention;
        unit->attention = 0;
        scsi_fail(command, sense);
        return;
    }
    if (!execute_data(unit, command) && !execute_simple(unit, command) &&
        !scsi_execute_inquiry(unit, command) && !scsi_execute_mode(unit, command) &&
        !(unit->config.is_cd && scsi_execute_cd(unit, command))) {
        scsi_fail(command, SENSE_INVALID_OPCODE);
    }
}

static void pad(char *field, gsize size, const char *text)
{
    memset(field, ' ', size);
    memcpy(field, text, MIN(strlen(text), size));
}

ScsiUnit *scsi_unit_new(const ScsiUnitConfig *config)
{
    ScsiUnit *unit = g_new0(ScsiUnit, 1);
    unit->config = *config;
    pad(unit->vendor, sizeof(unit->vendor), config->vendor);
    pad(unit->product, sizeof(unit->product), config->product);
    pad(unit->version, sizeof(unit->version), config->version);
    pad(unit->serial, sizeof(unit->serial), config->serial ? config->serial : "");
    unit->serial_length = (guint)MIN(config->serial ? strlen(config->serial) : 0, sizeof(unit->serial));
    scsi_unit_reset(unit);
    return unit;
}

void scsi_unit_free(ScsiUnit *unit)
{
    g_free(unit);
}

Drive *scsi_unit_drive(const ScsiUnit *unit)
{
    return unit->config.drive;
}

void scsi_unit_reset(ScsiUnit *unit)
{
    unit->attention = SENSE_UNIT_ATTENTION_RESET;
    unit->write_cache = unit->config.write_cache;
    unit->locked = FALSE;
}

void scsi_unit_capacity_changed(ScsiUnit *unit)
{
    unit->attention = SENSE_CAPACITY_CHANGED;
}

// SPDX-License-Identifier: GPL-2.0-or-later
#include "host-vmm/block/drive-private.h"

#include <errno.h>
#include <time.h>

#define REPORT_EVERY_US 1000000 /* a guest may cause errors as fast as it likes */

static gint64 now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (gint64)now.tv_sec * 1000000000 + now.tv_nsec;
}

static void append(DriveList *list, DriveRequest *request)
{
    request->next = NULL;
    if (list->last != NULL)
        list->last->next = request;
    else
        list->first = request;
    list->last = request;
}

static DriveRequest *take_first(DriveList *list)
{
    DriveRequest *request = list->first;
    if (request != NULL) {
        list->first = request->next;
        if (list->first == NULL)
            list->last = NULL;
    }
    return request;
}

/* ---- counting ---- */

static DriveStat stat_of(BlockOp op)
{
    static const DriveStat stats[] = {[BLOCK_READ] = DRIVE_STAT_READ,
                                      [BLOCK_WRITE] = DRIVE_STAT_WRITE,
                                      [BLOCK_FLUSH] = DRIVE_STAT_FLUSH,
                                      [BLOCK_DISCARD] = DRIVE_STAT_UNMAP,
                                      [BLOCK_WRITE_ZEROES] = DRIVE_STAT_WRITE};
    return stats[op];
}

static void count(Drive *drive, const DriveRequest *request, int result)
{
    DriveStat stat = stat_of(request->block.op);
    gint64 now = now_ns();
    g_mutex_lock(&drive->lock);
    DriveCounters *counters = &drive->counters;
    if (result == 0) {
        counters->operations[stat] += request->count;
        counters->merged[stat] += request->count - 1;
        counters->bytes[stat] += request->block.length;
    } else {
        counters->failed[stat] += request->count;
    }
    counters->time_ns[stat] += (guint64)(now - request->started) * request->count;
    counters->last_access_ns = now;
    g_mutex_unlock(&drive->lock);
}

void drive_count_invalid(Drive *drive, DriveStat stat)
{
    g_mutex_lock(&drive->lock);
    drive->counters.invalid[stat]++;
    g_mutex_unlock(&drive->lock);
}

void drive_get_counters(Drive *drive, DriveCounters *counters)
{
    g_mutex_lock(&drive->lock);
    *counters = drive->counters;
    g_mutex_unlock(&drive->lock);
}

DriveStatus drive_status(Drive *drive)
{
    g_mutex_lock(&drive->lock);
    DriveStatus status = drive->status;
    g_mutex_unlock(&drive->lock);
    return status;
}

static void set_status(Drive *drive, DriveStatus status)
{
    g_mutex_lock(&drive->lock);
    drive->status = status;
    g_mutex_unlock(&drive->lock);
}

/* ---- errors ---- */

static void report(Drive *drive, gboolean is_read, const char *action, int result)
{
    JsonObject *data = json_object_new();
    json_object_set_string_member(data, "device", drive->name);
    json_object_set_string_member(data, "node-name", drive->node->name);
    json_object_set_string_member(data, "reason", g_strerror(-result));
    json_object_set_string_member(data, "operation", is_read ? "read" : "write");
    json_object_set_string_member(data, "action", action);
    json_object_set_boolean_member(data, "nospace", result == -ENOSPC);
    drive->set->env.event("BLOCK_IO_ERROR", data, drive->set->env.user_data);
}

/* TRUE: the request is kept, and the guest stops. Otherwise *result is what the device shall see. */
static gboolean handle_error(Drive *drive, DriveRequest *request, int *result)
{
    gboolean is_read = request->block.op == BLOCK_READ;
    OnError policy = is_read ? drive->on_read_error : drive->on_write_error;
    gboolean stops = policy == ON_ERROR_STOP || (policy == ON_ERROR_ENOSPC && *result == -ENOSPC);
    if (!stops) {
        gint64 now = g_get_monotonic_time();
        if (drive->last_report_us == 0 || now - drive->last_report_us >= REPORT_EVERY_US) {
            drive->last_report_us = now;
            report(drive, is_read, policy == ON_ERROR_IGNORE ? "ignore" : "report", *result);
        }
        if (policy == ON_ERROR_IGNORE)
            *result = 0;
        return FALSE;
    }
    append(&drive->held, request);
    if (drive_status(drive) == DRIVE_OK) {
        set_status(drive, *result == -ENOSPC ? DRIVE_NO_SPACE : DRIVE_FAILED);
        report(drive, is_read, "stop", *result);
        drive->set->env.io_error(drive->set->env.user_data);
    }
    return TRUE;
}

/* ---- requests ---- */

static void on_done(BlockRequest *block, int result)
{
    DriveRequest *request = (DriveRequest *)block;
    Drive *drive = request->drive;
    drive->in_flight--;
    count(drive, request, result);
    if (result < 0 && handle_error(drive, request, &result))
        return;
    request->done(request, result);
}

static void start(Drive *drive, DriveRequest *request)
{
    drive->in_flight++;
    block_submit(drive->node, &request->block);
}

static void pass(BlockRequest *block, gpointer user_data)
{
    Drive *drive = user_data;
    if (drive->paused)
        append(&drive->held, (DriveRequest *)block);
    else
        start(drive, (DriveRequest *)block);
}

void drive_submit(Drive *drive, DriveRequest *request)
{
    request->drive = drive;
    request->started = now_ns();
    request->block.context = drive->user.context;
    request->block.done = on_done;
    if (drive->throttle != NULL && !drive->paused)
        throttle_member_submit(drive->throttle, &request->block);
    else
        pass(&request->block, drive);
}

void drive_cancel(Drive *drive)
{
    BlockRequest *block;
    DriveRequest *request;
    while (drive->throttle != NULL && (block = throttle_member_take(drive->throttle)) != NULL)
        append(&drive->held, (DriveRequest *)block);
    while ((request = take_first(&drive->held)) != NULL)
        request->done(request, -ECANCELED);
    block_drain(drive->node, drive->user.context);
}

static gboolean is_idle(gpointer user_data)
{
    Drive *drive = user_data;
    if (drive->in_flight > 0)
        block_drain(drive->node, drive->user.context);
    return drive->in_flight == 0;
}

void drive_drain(Drive *drive)
{
    io_context_wait(drive->user.context, is_idle, drive);
}

static void pause_here(gpointer user_data)
{
    Drive *drive = user_data;
    drive->paused = TRUE;
    drive_drain(drive);
}

void drive_pause(Drive *drive)
{
    io_context_call(drive->user.context, pause_here, drive);
}

static void resume_here(gpointer user_data)
{
    Drive *drive = user_data;
    DriveList again = drive->held;
    DriveRequest *request;
    drive->paused = FALSE;
    drive->held = (DriveList){NULL, NULL};
    set_status(drive, DRIVE_OK);
    while ((request = take_first(&again)) != NULL)
        start(drive, request);
}

void drive_resume(Drive *drive)
{
    io_context_call(drive->user.context, resume_here, drive);
}

/* ---- facts ---- */

const char *drive_name(const Drive *drive)
{
    return drive->name;
}

const char *drive_qom_path(const Drive *drive)
{
    return drive->qom_path;
}

BlockNode *drive_node(const Drive *drive)
{
    return drive->node;
}

gboolean drive_is_read_only(const Drive *drive)
{
    return !drive->writes;
}

gboolean drive_is_writeback(const Drive *drive)
{
    return drive->writeback;
}

guint64 drive_length(const Drive *drive)
{
    return block_length(drive->node);
}

/* ---- changes ---- */

ThrottleGroup *drive_throttle_group(const Drive *drive)
{
    return drive->throttle != NULL ? throttle_member_group(drive->throttle) : NULL;
}

typedef struct ThrottleChange {
    Drive *drive;
    ThrottleGroup *group; /* NULL: none */
} ThrottleChange;

static void change_group(gpointer user_data)
{
    ThrottleChange *change = user_data;
    Drive *drive = change->drive;
    ThrottleMember *old = g_steal_pointer(&drive->throttle);
    if (change->group != NULL)
        drive->throttle = throttle_member_new(change->group, drive->user.context, pass, drive);
    if (old != NULL)
        throttle_member_release(old);
    throttle_member_free(old);
}

void drive_set_throttle(Drive *drive, const ThrottleConfig *config, const char *group)
{
    ThrottleChange change = {drive, NULL};
    if (drive->user.context == NULL) { /* for the device to come */
        drive->initial_throttle = *config;
        g_free(drive->initial_group);
        drive->initial_group = g_strdup(group);
        return;
    }
    ThrottleGroup *now = drive_throttle_group(drive);
    if (throttle_config_is_set(config)) {
        const char *own = *drive->name != '\0' ? drive->name : drive->qom_path;
        change.group =
            now != NULL && group == NULL ? now : drive_set_group(drive->set, group != NULL ? group : own);
        throttle_group_set(change.group, config);
    }
    if (change.group != now)
        io_context_call(drive->user.context, change_group, &change);
}

int drive_resize(Drive *drive, guint64 length)
{
    gboolean runs = drive->user.context != NULL && !drive->paused;
    if (runs)
        drive_pause(drive);
    int result = block_resize(drive->node, length);
    if (runs)
        drive_resume(drive);
    if (result == 0 && drive->user.resized != NULL)
        drive->user.resized(drive->user.user_data);
    return result;
}

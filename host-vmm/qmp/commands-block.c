// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Disks: block nodes and drives, their statistics, their limits, their size.
 */
#include "host-vmm/qmp/commands.h"

#include "host-vmm/block/iothread.h"

static DriveSet *drives_of(QmpContext *context)
{
    return machine_device_env(context->machine)->drives;
}

static BlockSet *blocks_of(QmpContext *context)
{
    return machine_device_env(context->machine)->blocks;
}

/* ---- what there is ---- */

static JsonObject *describe_image(BlockNode *node)
{
    JsonObject *image = json_object_new();
    BlockNode *bottom = node;

    while (bottom->file != NULL) {
        bottom = bottom->file;
    }
    json_object_set_int_member(image, "virtual-size", (gint64)block_length(node));
    json_object_set_string_member(image, "filename", block_filename(node));
    json_object_set_string_member(image, "format", node->driver->name);
    if (bottom->driver->allocated != NULL) {
        json_object_set_int_member(image, "actual-size", (gint64)bottom->driver->allocated(bottom));
    }
    json_object_set_boolean_member(image, "dirty-flag", FALSE);
    if (node->backing != NULL) {
        json_object_set_string_member(image, "backing-filename", block_filename(node->backing));
        json_object_set_string_member(image, "full-backing-filename", block_filename(node->backing));
        json_object_set_string_member(image, "backing-filename-format", node->backing->driver->name);
    }
    return image;
}

/* A limit is always there; bursts, and what goes with them, only if they are set. */
static void describe_throttle(JsonObject *info, const ThrottleConfig *config)
{
    for (guint i = 0; i < THROTTLE_LIMITS; i++) {
        const ThrottleLimit *limit = &config->limits[i];
        const char *name = throttle_names[i].qmp;
        g_autofree char *max = g_strconcat(name, "_max", NULL);
        g_autofree char *length = g_strconcat(name, "_max_length", NULL);

        json_object_set_int_member(info, name, (gint64)limit->average);
        if (limit->max > 0) {
            json_object_set_int_member(info, max, (gint64)limit->max);
            json_object_set_int_member(info, length, (gint64)limit->length);
        }
    }
    if (config->op_size > 0) {
        json_object_set_int_member(info, "iops_size", (gint64)config->op_size);
    }
}

/* drive: whose limits and cache these are, or NULL. */
static JsonObject *describe_node(BlockNode *node, const Drive *drive)
{
    JsonObject *info = json_object_new(), *cache = json_object_new();
    ThrottleGroup *group = drive != NULL ? drive_throttle_group(drive) : NULL;
    ThrottleConfig throttle;
    gint64 depth = 0;

    throttle_config_init(&throttle);
    if (group != NULL) {
        throttle_group_get(group, &throttle);
        json_object_set_string_member(info, "group", throttle_group_name(group));
    }
    describe_throttle(info, &throttle);
    for (BlockNode *below = node->backing; below != NULL; below = below->backing) {
        depth++;
    }
    json_object_set_boolean_member(cache, "writeback", drive == NULL || drive_is_writeback(drive));
    json_object_set_boolean_member(cache, "direct", node->direct);
    json_object_set_boolean_member(cache, "no-flush", node->no_flush);
    json_object_set_object_member(info, "cache", cache);
    json_object_set_object_member(info, "image", describe_image(node));
    json_object_set_string_member(info, "file", block_filename(node));
    json_object_set_string_member(info, "node-name", node->name);
    json_object_set_string_member(info, "drv", node->driver->name);
    if (node->backing != NULL) {
        json_object_set_string_member(info, "backing_file", block_filename(node->backing));
    }
    json_object_set_int_member(info, "backing_file_depth", depth);
    json_object_set_boolean_member(info, "ro", node->read_only);
    json_object_set_boolean_member(info, "encrypted", FALSE);
    json_object_set_string_member(info, "detect_zeroes", "off");
    json_object_set_int_member(info, "write_threshold", 0);
    return info;
}

static void add_drive(Drive *drive, gpointer user_data)
{
    static const char *const statuses[] = {
        [DRIVE_OK] = "ok", [DRIVE_FAILED] = "failed", [DRIVE_NO_SPACE] = "nospace"};
    JsonObject *info = json_object_new();

    json_object_set_string_member(info, "device", drive_name(drive));
    if (drive_qom_path(drive) != NULL) {
        json_object_set_string_member(info, "qdev", drive_qom_path(drive));
        json_object_set_string_member(info, "io-status", statuses[drive_status(drive)]);
    }
    json_object_set_string_member(info, "type", "unknown");
    json_object_set_boolean_member(info, "removable", FALSE);
    json_object_set_boolean_member(info, "locked", FALSE);
    json_object_set_object_member(info, "inserted", describe_node(drive_node(drive), drive));
    json_array_add_object_element(user_data, info);
}

static void query_block(CommandCall *call, JsonObject *arguments, gpointer data)
{
    JsonArray *list = json_array_new();

    drive_set_foreach(drives_of(data), add_drive, list);
    command_call_return_array(call, list);
}

static void add_node(BlockNode *node, gpointer user_data)
{
    json_array_add_object_element(user_data, describe_node(node, NULL));
}

static void query_named_block_nodes(CommandCall *call, JsonObject *arguments, gpointer data)
{
    JsonArray *list = json_array_new();

    block_set_foreach(blocks_of(data), add_node, list);
    command_call_return_array(call, list);
}

static const CommandArg FLAT_ARGS[] = {
    {.name = "flat", .type = COMMAND_ARG_BOOL, .optional = TRUE},
    {NULL},
};

static void add_iothread(Object *object, gpointer user_data)
{
    IoContext *context = iothread_from_object(object);
    JsonObject *info;

    if (context == NULL) {
        return;
    }
    info = json_object_new();
    json_object_set_string_member(info, "id", object->id);
    json_object_set_int_member(info, "thread-id", io_context_thread_id(context));
    json_array_add_object_element(user_data, info);
}

static void query_iothreads(CommandCall *call, JsonObject *arguments, gpointer data)
{
    JsonArray *list = json_array_new();

    object_set_foreach(machine_device_env(((QmpContext *)data)->machine)->objects, add_iothread, list);
    command_call_return_array(call, list);
}

/* ---- statistics ---- */

/* counters NULL: of a node, of which only the furthest write is known. */
static JsonObject *describe_counters(BlockNode *node, const DriveCounters *counters)
{
    static const char *const names[] = {[DRIVE_STAT_READ] = "rd",
                                        [DRIVE_STAT_WRITE] = "wr",
                                        [DRIVE_STAT_FLUSH] = "flush",
                                        [DRIVE_STAT_UNMAP] = "unmap"};
    static const DriveCounters none;
    JsonObject *stats = json_object_new();
    const DriveCounters *from = counters != NULL ? counters : &none;

    for (guint i = 0; i < DRIVE_STATS; i++) {
        const struct {
            const char *before, *after;
            guint64 value;
        } members[] = {
            {"", "_bytes", from->bytes[i]},
            {"", "_operations", from->operations[i]},
            {"", "_total_time_ns", from->time_ns[i]},
            {"", "_merged", from->merged[i]},
            {"failed_", "_operations", from->failed[i]},
            {"invalid_", "_operations", from->invalid[i]},
        };

        for (guint j = 0; j < G_N_ELEMENTS(members); j++) {
            g_autofree char *name = g_strconcat(members[j].before, names[i], members[j].after, NULL);

            /* A flush has no bytes and is never merged. */
            if (i != DRIVE_STAT_FLUSH || (j != 0 && j != 3)) {
                json_object_set_int_member(stats, name, (gint64)members[j].value);
            }
        }
    }
    json_object_set_int_member(stats, "wr_highest_offset",
                               (gint64)__atomic_load_n(&node->highest_write, __ATOMIC_RELAXED));
    json_object_set_boolean_member(stats, "account_invalid", counters != NULL);
    json_object_set_boolean_member(stats, "account_failed", counters != NULL);
    json_object_set_array_member(stats, "timed_stats", json_array_new());
    if (counters != NULL && counters->last_access_ns > 0) {
        json_object_set_int_member(stats, "idle_time_ns",
                                   MAX(g_get_monotonic_time() * 1000 - counters->last_access_ns, 0));
    }
    return stats;
}

static JsonObject *describe_node_stats(BlockNode *node, const DriveCounters *counters)
{
    JsonObject *info = json_object_new();

    json_object_set_object_member(info, "stats", describe_counters(node, counters));
    json_object_set_string_member(info, "node-name", node->name);
    if (node->driver->statistics != NULL) {
        JsonObject *specific = json_object_new();

        json_object_set_string_member(specific, "driver", node->driver->name);
        node->driver->statistics(node, specific);
        json_object_set_object_member(info, "driver-specific", specific);
    }
    if (node->file != NULL) {
        json_object_set_object_member(info, "parent", describe_node_stats(node->file, NULL));
    }
    if (node->backing != NULL) {
        json_object_set_object_member(info, "backing", describe_node_stats(node->backing, NULL));
    }
    return info;
}

static void add_drive_stats(Drive *drive, gpointer user_data)
{
    DriveCounters counters;
    JsonObject *info;

    drive_get_counters(drive, &counters);
    info = describe_node_stats(drive_node(drive), &counters);
    json_object_set_string_member(info, "device", drive_name(drive));
    if (drive_qom_path(drive) != NULL) {
        json_object_set_string_member(info, "qdev", drive_qom_path(drive));
    }
    json_array_add_object_element(user_data, info);
}

static void add_node_stats(BlockNode *node, gpointer user_data)
{
    json_array_add_object_element(user_data, describe_node_stats(node, NULL));
}

static void query_blockstats(CommandCall *call, JsonObject *arguments, gpointer data)
{
    JsonArray *list = json_array_new();

    if (command_bool(arguments, "query-nodes", FALSE)) {
        block_set_foreach(blocks_of(data), add_node_stats, list);
    } else {
        drive_set_foreach(drives_of(data), add_drive_stats, list);
    }
    command_call_return_array(call, list);
}

static const CommandArg BLOCKSTATS_ARGS[] = {
    {.name = "query-nodes", .type = COMMAND_ARG_BOOL, .optional = TRUE},
    {NULL},
};

/* ---- nodes that come and go ---- */

static void blockdev_add(CommandCall *call, JsonObject *arguments, gpointer data)
{
    GError *error = NULL;
    g_autoptr(OptSet) options = optset_from_json("blockdev-add", arguments, &error);

    if (options != NULL && block_set_add(blocks_of(data), options, &error) != NULL) {
        command_call_return_empty(call);
    } else {
        command_call_take_error(call, error);
    }
}

static const CommandArg BLOCKDEV_ADD_ARGS[] = {
    {.name = "driver", .type = COMMAND_ARG_STRING},
    {.name = "node-name", .type = COMMAND_ARG_STRING},
    {NULL},
};

static void blockdev_del(CommandCall *call, JsonObject *arguments, gpointer data)
{
    GError *error = NULL;

    if (block_set_remove(blocks_of(data), command_string(arguments, "node-name", ""), &error)) {
        command_call_return_empty(call);
    } else {
        command_call_take_error(call, error);
    }
}

static const CommandArg BLOCKDEV_DEL_ARGS[] = {
    {.name = "node-name", .type = COMMAND_ARG_STRING},
    {NULL},
};

/* ---- changes ---- */

typedef struct NodeSearch {
    BlockNode *node;
    Drive *drive;
} NodeSearch;

static void match_node(Drive *drive, gpointer user_data)
{
    NodeSearch *search = user_data;

    if (drive_node(drive) == search->node) {
        search->drive = drive;
    }
}

static int resize(QmpContext *context, NodeSearch *search, guint64 length)
{
    if (search->drive == NULL) {
        drive_set_foreach(drives_of(context), match_node, search);
    }
    return search->drive != NULL ? drive_resize(search->drive, length) : block_resize(search->node, length);
}

static void block_resize_command(CommandCall *call, JsonObject *arguments, gpointer data)
{
    const char *device = command_string(arguments, "device", NULL);
    const char *node_name = command_string(arguments, "node-name", NULL);
    gint64 size = command_int(arguments, "size", 0);
    NodeSearch search = {NULL, NULL};
    int result;

    if ((device == NULL) == (node_name == NULL)) {
        command_call_fail(call, "Need exactly one of 'device' and 'node-name'");
        return;
    }
    if (size < 0 || size > G_MAXINT64 - BLOCK_SECTOR) {
        command_call_fail(call, "Parameter 'size' expects a size that a disk can have");
        return;
    }
    if (device != NULL) {
        search.drive = drive_set_find(drives_of(data), device);
        search.node = search.drive != NULL ? drive_node(search.drive) : NULL;
    } else {
        search.node = block_set_find(blocks_of(data), node_name);
    }
    if (search.node == NULL) {
        command_call_fail_class(call, "DeviceNotFound", "There is no disk or block node '%s'",
                                device != NULL ? device : node_name);
        return;
    }
    result = resize(data, &search, ((guint64)size + BLOCK_SECTOR - 1) / BLOCK_SECTOR * BLOCK_SECTOR);
    if (result < 0) {
        command_call_fail(call, "'%s' cannot be resized: %s", search.node->name, g_strerror(-result));
        return;
    }
    command_call_return_empty(call);
}

static const CommandArg BLOCK_RESIZE_ARGS[] = {
    {.name = "device", .type = COMMAND_ARG_STRING, .optional = TRUE},
    {.name = "node-name", .type = COMMAND_ARG_STRING, .optional = TRUE},
    {.name = "size", .type = COMMAND_ARG_INT},
    {NULL},
};

static gboolean take_number(JsonObject *arguments, const char *name, const char *suffix, guint64 *value,
                            GError **error)
{
    g_autofree char *key = g_strconcat(name, suffix, NULL);
    gint64 number = command_int(arguments, key, (gint64)*value);

    if (number < 0) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT, "throttling: %s is negative", key);
        return FALSE;
    }
    *value = (guint64)number;
    return TRUE;
}

static gboolean take_throttle(JsonObject *arguments, ThrottleConfig *config, GError **error)
{
    throttle_config_init(config);
    for (guint i = 0; i < THROTTLE_LIMITS; i++) {
        ThrottleLimit *limit = &config->limits[i];
        const char *name = throttle_names[i].qmp;

        if (!take_number(arguments, name, "", &limit->average, error) ||
            !take_number(arguments, name, "_max", &limit->max, error) ||
            !take_number(arguments, name, "_max_length", &limit->length, error)) {
            return FALSE;
        }
    }
    return take_number(arguments, "iops_size", "", &config->op_size, error) &&
           throttle_config_check(config, error);
}

static void block_set_io_throttle(CommandCall *call, JsonObject *arguments, gpointer data)
{
    const char *device = command_string(arguments, "device", NULL);
    const char *id = command_string(arguments, "id", NULL);
    ThrottleConfig config;
    GError *error = NULL;
    Drive *drive;

    if ((device == NULL) == (id == NULL)) {
        command_call_fail(call, "Need exactly one of 'device' and 'id'");
        return;
    }
    drive = drive_set_find(drives_of(data), device != NULL ? device : id);
    if (drive == NULL) {
        command_call_fail_class(call, "DeviceNotFound", "Device '%s' not found",
                                device != NULL ? device : id);
        return;
    }
    if (!take_throttle(arguments, &config, &error)) {
        command_call_take_error(call, error);
        return;
    }
    drive_set_throttle(drive, &config, command_string(arguments, "group", NULL));
    command_call_return_empty(call);
}

#define NEEDED(name_)                                                                                        \
    {                                                                                                        \
        .name = name_, .type = COMMAND_ARG_INT                                                               \
    }
#define OPTIONAL(name_)                                                                                      \
    {                                                                                                        \
        .name = name_, .type = COMMAND_ARG_INT, .optional = TRUE                                             \
    }

static const CommandArg THROTTLE_ARGS[] = {
    {.name = "device", .type = COMMAND_ARG_STRING, .optional = TRUE},
    {.name = "id", .type = COMMAND_ARG_STRING, .optional = TRUE},
    NEEDED("bps"),
    NEEDED("bps_rd"),
    NEEDED("bps_wr"),
    NEEDED("iops"),
    NEEDED("iops_rd"),
    NEEDED("iops_wr"),
    OPTIONAL("bps_max"),
    OPTIONAL("bps_rd_max"),
    OPTIONAL("bps_wr_max"),
    OPTIONAL("iops_max"),
    OPTIONAL("iops_rd_max"),
    OPTIONAL("iops_wr_max"),
    OPTIONAL("bps_max_length"),
    OPTIONAL("bps_rd_max_length"),
    OPTIONAL("bps_wr_max_length"),
    OPTIONAL("iops_max_length"),
    OPTIONAL("iops_rd_max_length"),
    OPTIONAL("iops_wr_max_length"),
    OPTIONAL("iops_size"),
    {.name = "group", .type = COMMAND_ARG_STRING, .optional = TRUE},
    {NULL},
};

const Command QMP_COMMANDS_BLOCK[] = {
    {"query-block", NULL, query_block},
    {"query-named-block-nodes", FLAT_ARGS, query_named_block_nodes},
    {"query-blockstats", BLOCKSTATS_ARGS, query_blockstats},
    {"query-iothreads", NULL, query_iothreads},
    {"blockdev-add", BLOCKDEV_ADD_ARGS, blockdev_add, COMMAND_LOOSE_ARGS},
    {"blockdev-del", BLOCKDEV_DEL_ARGS, blockdev_del},
    {"block_resize", BLOCK_RESIZE_ARGS, block_resize_command},
    {"block_set_io_throttle", THROTTLE_ARGS, block_set_io_throttle},
    {NULL},
};

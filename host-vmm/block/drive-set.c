// SPDX-License-Identifier: GPL-2.0-or-later
#include "host-vmm/block/drive-private.h"

#include <string.h>

#define BACKEND "/virtio-backend"

static gboolean fail(GError **error, const char *format, ...) G_GNUC_PRINTF(2, 3);
static gboolean fail(GError **error, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    if (error != NULL)
        *error = g_error_new_valist(G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT, format, args);
    va_end(args);
    return FALSE;
}

/* ---- the set ---- */

DriveSet *drive_set_new(BlockSet *blocks, ObjectSet *objects, const DriveEnv *env)
{
    DriveSet *set = g_new0(DriveSet, 1);
    set->blocks = blocks;
    set->objects = objects;
    set->env = *env;
    set->drives = g_ptr_array_new();
    set->groups = g_hash_table_new_full(g_str_hash, g_str_equal, NULL, (GDestroyNotify)throttle_group_unref);
    return set;
}

static void drive_free(Drive *drive)
{
    g_ptr_array_remove(drive->set->drives, drive);
    g_mutex_clear(&drive->lock);
    g_free(drive->initial_group);
    g_free(drive->name);
    g_free(drive);
}

void drive_set_free(DriveSet *set)
{
    if (set == NULL)
        return;
    while (set->drives->len > 0)
        drive_free(set->drives->pdata[0]);
    g_ptr_array_unref(set->drives);
    g_hash_table_unref(set->groups);
    g_free(set);
}

BlockSet *drive_set_blocks(DriveSet *set)
{
    return set->blocks;
}

ThrottleGroup *drive_set_group(DriveSet *set, const char *name)
{
    Object *object = set->objects != NULL ? object_set_find(set->objects, name) : NULL;
    ThrottleGroup *group = object != NULL ? throttle_group_from_object(object) : NULL;
    if (group == NULL)
        group = g_hash_table_lookup(set->groups, name);
    if (group == NULL) {
        group = throttle_group_new(name);
        g_hash_table_insert(set->groups, (gpointer)throttle_group_name(group), group);
    }
    return group;
}

void drive_set_foreach(DriveSet *set, void (*func)(Drive *drive, gpointer user_data), gpointer user_data)
{
    for (guint i = 0; i < set->drives->len; i++)
        func(set->drives->pdata[i], user_data);
}

Drive *drive_set_find(DriveSet *set, const char *name)
{
    for (guint i = 0; i < set->drives->len; i++) {
        Drive *drive = set->drives->pdata[i];
        gsize path = drive->qom_path != NULL ? strlen(drive->qom_path) - strlen(BACKEND) : 0;
        if ((*name != '\0' && strcmp(drive->name, name) == 0) || g_strcmp0(drive->id, name) == 0 ||
            g_strcmp0(drive->qom_path, name) == 0 ||
            (path > 0 && strlen(name) == path && strncmp(drive->qom_path, name, path) == 0))
            return drive;
    }
    return NULL;
}

static Drive *drive_new(DriveSet *set, const char *name, BlockNode *node)
{
    Drive *drive = g_new0(Drive, 1);
    drive->set = set;
    drive->name = g_strdup(name);
    drive->node = node;
    drive->writeback = TRUE;
    drive->on_write_error = ON_ERROR_ENOSPC;
    throttle_config_init(&drive->initial_throttle);
    g_mutex_init(&drive->lock);
    g_ptr_array_add(set->drives, drive);
    return drive;
}

/* ---- options of devices and of -drive ---- */

static gboolean parse_on_error(OptSet *options, const char *key, OnError *value, GError **error)
{
    static const char *const words[] = {[ON_ERROR_REPORT] = "report",
                                        [ON_ERROR_IGNORE] = "ignore",
                                        [ON_ERROR_ENOSPC] = "enospc",
                                        [ON_ERROR_STOP] = "stop"};
    const char *text = optset_string(options, key);
    gboolean is_read = strcmp(key, "rerror") == 0;
    if (text == NULL || strcmp(text, "auto") == 0)
        return TRUE;
    for (guint i = 0; i < G_N_ELEMENTS(words); i++) {
        if (strcmp(words[i], text) == 0 && !(is_read && i == ON_ERROR_ENOSPC)) {
            *value = (OnError)i;
            return TRUE;
        }
    }
    return fail(error, "'%s' must be %sreport, ignore or stop, not '%s'", key, is_read ? "" : "enospc, ",
                text);
}

static gboolean parse_policies(Drive *drive, OptSet *options, GError **error)
{
    return parse_on_error(options, "rerror", &drive->on_read_error, error) &&
           parse_on_error(options, "werror", &drive->on_write_error, error);
}

/* A key that has one value that we do. */
static gboolean only_off(OptSet *options, const char *key, GError **error)
{
    gboolean value = FALSE;
    if (!optset_bool(options, key, &value, error))
        return FALSE;
    return !value || fail(error, "'%s=on' is not supported", key);
}

/* ---- attaching ---- */

static Drive *find_free(DriveSet *set, const char *name, GError **error)
{
    for (guint i = 0; i < set->drives->len; i++) {
        Drive *drive = set->drives->pdata[i];
        if (!drive->by_name || strcmp(drive->name, name) != 0)
            continue;
        if (drive->qom_path != NULL)
            fail(error, "drive '%s' is already in use by %s", name, drive->qom_path);
        return drive;
    }
    BlockNode *node = block_set_find(set->blocks, name);
    if (node != NULL)
        return drive_new(set, "", node);
    fail(error, "there is no drive or block node '%s'", name);
    return NULL;
}

static gboolean attach(Drive *drive, GError **error)
{
    BlockNode *node = drive->node;
    const char *user = drive->user.id != NULL ? drive->user.id : "a device without an id";
    gboolean may_write = !drive->user.read_only && (!node->read_only || node->auto_read_only);
    drive->writes = may_write && block_attach(node, user, TRUE, node->auto_read_only ? NULL : error);
    if (drive->writes)
        return TRUE;
    if (may_write && !node->auto_read_only)
        return FALSE;
    return block_attach(node, user, FALSE, error);
}

Drive *drive_open(DriveSet *set, OptSet *options, const DriveUser *user, GError **error)
{
    const char *name = optset_string(options, "drive");
    if (name == NULL) {
        fail(error, "'drive' is missing: the id of a -drive or the node-name of a -blockdev");
        return NULL;
    }
    Drive *drive = find_free(set, name, error);
    if (drive == NULL || drive->qom_path != NULL)
        return NULL;
    drive->user = *user;
    if (!parse_policies(drive, options, error) || !only_off(options, "share-rw", error) ||
        !attach(drive, error)) {
        drive->user = (DriveUser){0};
        if (!drive->by_name)
            drive_free(drive);
        return NULL;
    }
    drive->id = g_strdup(user->id);
    drive->qom_path =
        user->id != NULL ? g_strdup_printf("/machine/peripheral/%s" BACKEND, user->id)
                         : g_strdup_printf("/machine/peripheral-anon/device[%u]" BACKEND, set->next_number++);
    if (throttle_config_is_set(&drive->initial_throttle))
        drive_set_throttle(drive, &drive->initial_throttle, drive->initial_group);
    return drive;
}

void drive_close(Drive *drive)
{
    if (drive == NULL)
        return;
    ThrottleConfig none;
    throttle_config_init(&none);
    if (drive->throttle != NULL)
        throttle_group_get(drive_throttle_group(drive), &drive->initial_throttle);
    ThrottleConfig kept = drive->initial_throttle;
    drive_set_throttle(drive, &none, NULL);
    drive->initial_throttle = kept;
    block_detach(drive->node, drive->writes);
    drive->writes = FALSE;
    drive->paused = FALSE;
    drive->user = (DriveUser){0};
    g_clear_pointer(&drive->qom_path, g_free);
    g_clear_pointer(&drive->id, g_free);
    if (!drive->by_name)
        drive_free(drive);
}

/* ---- -drive ---- */

typedef struct CacheMode {
    const char *name;
    gboolean writeback, direct, no_flush;
} CacheMode;

static const CacheMode cache_modes[] = {
    {"writeback", TRUE, FALSE, FALSE},     {"none", TRUE, TRUE, FALSE},        {"unsafe", TRUE, FALSE, TRUE},
    {"writethrough", FALSE, FALSE, FALSE}, {"directsync", FALSE, TRUE, FALSE},
};

static gboolean parse_cache(OptSet *options, CacheMode *mode, GError **error)
{
    const char *name = optset_string(options, "cache");
    *mode = cache_modes[0];
    for (guint i = 0; name != NULL && strcmp(mode->name, name) != 0; i++) {
        if (i == G_N_ELEMENTS(cache_modes))
            return fail(
                error, "'cache' must be writeback, none, unsafe, writethrough or directsync, not '%s'", name);
        *mode = cache_modes[i];
    }
    return optset_bool(options, "cache.writeback", &mode->writeback, error) &&
           optset_bool(options, "cache.direct", &mode->direct, error) &&
           optset_bool(options, "cache.no-flush", &mode->no_flush, error);
}

/* "readonly", as it was called, and "read-only". */
static gboolean parse_read_only(OptSet *options, gboolean *read_only, GError **error)
{
    return optset_bool(options, "readonly", read_only, error) &&
           optset_bool(options, "read-only", read_only, error);
}

static void pass_on(OptSet *from, const char *key, OptSet *to, const char *as)
{
    const char *value = optset_string(from, key);
    if (value != NULL)
        optset_set_default(to, as, value);
}

/* An image without a format is raw unless it looks otherwise: a guest that may write its first bytes must not
 * be able to choose what the host takes it for. */
static const char *find_format(BlockSet *blocks, OptSet *options, const char *file, GError **error)
{
    const char *format = optset_string(options, "format");
    const char *driver = optset_string(options, "driver");
    if (format == NULL)
        format = driver;
    if (format != NULL)
        return format;
    format = block_probe_format(blocks, file, error);
    if (format != NULL && strcmp(format, "raw") != 0) {
        fail(error, "'%s' looks like %s: say format=%s, or format=raw if the guest itself wrote that", file,
             format, format);
        return NULL;
    }
    return format;
}

static OptSet *node_options(BlockSet *blocks, OptSet *options, const CacheMode *cache, GError **error)
{
    gboolean read_only = FALSE;
    const char *file = optset_need_string(options, "file", error);
    const char *format = file != NULL ? find_format(blocks, options, file, error) : NULL;
    if (format == NULL || !parse_read_only(options, &read_only, error))
        return NULL;
    OptSet *node = optset_new(optset_what(options));
    optset_set_default(node, "driver", format);
    optset_set_default(node, "file.driver", block_protocol_for(blocks, file));
    optset_set_default(node, "file.filename", file);
    optset_set_default(node, "read-only", read_only ? "on" : "off");
    optset_set_default(node, "cache.direct", cache->direct ? "on" : "off");
    optset_set_default(node, "cache.no-flush", cache->no_flush ? "on" : "off");
    pass_on(options, "discard", node, "discard");
    pass_on(options, "detect-zeroes", node, "detect-zeroes");
    pass_on(options, "auto-read-only", node, "auto-read-only");
    pass_on(options, "node-name", node, "node-name");
    pass_on(options, "aio", node, "file.aio");
    pass_on(options, "file.locking", node, "file.locking");
    return node;
}

/* FALSE and error: not for us. */
static gboolean parse_interface(OptSet *options, gboolean *virtio, GError **error)
{
    const char *interface = optset_string(options, "if");
    const char *media = optset_string(options, "media");
    *virtio = g_strcmp0(interface, "virtio") == 0;
    if (!*virtio && g_strcmp0(interface, "none") != 0)
        return fail(error, "%s: 'if' must be none or virtio%s%s", optset_what(options),
                    interface != NULL ? ", not " : "", interface != NULL ? interface : "");
    if (media != NULL && strcmp(media, "disk") != 0)
        return fail(error, "%s: 'media=%s' is not supported, only disk", optset_what(options), media);
    return only_off(options, "snapshot", error) && only_off(options, "copy-on-read", error);
}

static Drive *add(DriveSet *set, OptSet *options, const char *id, GError **error)
{
    CacheMode cache;
    ThrottleConfig throttle;
    if (!parse_cache(options, &cache, error) ||
        !throttle_config_parse(&throttle, options, "throttling.", error))
        return NULL;
    g_autoptr(OptSet) node_set = node_options(drive_set_blocks(set), options, &cache, error);
    BlockNode *node = node_set != NULL ? block_set_add_unnamed(set->blocks, node_set, error) : NULL;
    if (node == NULL)
        return NULL;
    Drive *drive = drive_new(set, id, node);
    drive->by_name = TRUE;
    drive->writeback = cache.writeback;
    drive->initial_throttle = throttle;
    drive->initial_group = g_strdup(optset_string(options, "throttling.group"));
    if (parse_policies(drive, options, error) && optset_finish(options, error))
        return drive;
    drive_free(drive);
    return NULL;
}

gboolean drive_set_add(DriveSet *set, OptSet *options, char **device, GError **error)
{
    gboolean virtio;
    *device = NULL;
    if (!parse_interface(options, &virtio, error))
        return FALSE;
    const char *given = optset_string(options, "id");
    g_autofree char *id = given != NULL
                              ? g_strdup(given)
                              : g_strdup_printf("%s%u", virtio ? "virtio" : "none", set->next_number++);
    for (guint i = 0; i < set->drives->len; i++) {
        if (strcmp(((Drive *)set->drives->pdata[i])->name, id) == 0)
            return fail(error, "%s: Duplicate drive ID '%s'", optset_what(options), id);
    }
    if (block_set_find(set->blocks, id) != NULL)
        return fail(error, "%s: '%s' is the name of a block node", optset_what(options), id);
    if (add(set, options, id, error) == NULL) {
        if (error != NULL && *error != NULL && !g_str_has_prefix((*error)->message, optset_what(options)))
            g_prefix_error(error, "%s,id=%s: ", optset_what(options), id);
        return FALSE;
    }
    if (virtio)
        *device = g_strdup_printf("virtio-blk-pci,drive=%s", id);
    return TRUE;
}

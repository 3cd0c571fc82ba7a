// SPDX-License-Identifier: GPL-2.0-or-later
/* guest-get-disks, guest-get-fsinfo: disks, and the file systems on them. Both run in a thread: a drive or a
 * file system may be slow to answer. */
#include "guest-agent/agent.h"
#include "guest-agent/disks.h"
#include "guest-agent/mounts.h"

#include <errno.h>
#include <sys/statvfs.h>

static JsonNode *node_of(JsonArray *array)
{
    JsonNode *node = json_node_init_array(json_node_alloc(), array);
    json_array_unref(array);
    return node;
}

static JsonNode *get_disks(JsonObject *arguments, GError **error)
{
    int errnum = 0;
    JsonArray *disks = disks_list("", &errnum);
    if (disks)
        return node_of(disks);
    g_set_error(error, G_IO_ERROR, g_io_error_from_errno(errnum), "Can't open directory \"/sys/block\": %s",
                g_strerror(errnum));
    return NULL;
}

static void set_bytes(JsonObject *object, const char *name, guint64 blocks, guint64 block_size)
{
    guint64 bytes;
    if (__builtin_mul_overflow(blocks, block_size, &bytes) || bytes > G_MAXINT64)
        bytes = G_MAXINT64;
    json_object_set_int_member(object, name, (gint64)bytes);
}

/* "total-bytes" is what those who are not root can fill, as df(1) counts. A file system that does not tell is
 * listed without. */
static void add_space(JsonObject *object, const char *path)
{
    struct statvfs fs;
    if (statvfs(path, &fs) < 0) {
        g_info("%s does not tell its size: %s", path, g_strerror(errno));
        return;
    }
    guint64 used = fs.f_blocks >= fs.f_bfree ? fs.f_blocks - fs.f_bfree : 0;
    set_bytes(object, "used-bytes", used, fs.f_frsize);
    set_bytes(object, "total-bytes", used + fs.f_bavail, fs.f_frsize);
    set_bytes(object, "total-bytes-privileged", fs.f_blocks, fs.f_frsize);
}

static JsonNode *get_fsinfo(JsonObject *arguments, GError **error)
{
    g_autoptr(GPtrArray) mounts = mounts_list("", error);
    if (!mounts)
        return NULL;
    JsonArray *answer = json_array_new();
    for (guint i = 0; i < mounts->len; i++) {
        const Mount *mount = mounts->pdata[i];
        JsonArray *disks = json_array_new();
        g_autofree char *name = disks_of_device("", mount->major, mount->minor, disks);
        JsonObject *object = json_object_new();
        json_object_set_string_member(object, "name", name);
        json_object_set_string_member(object, "mountpoint", mount->path);
        json_object_set_string_member(object, "type", mount->type);
        add_space(object, mount->path);
        json_object_set_array_member(object, "disk", disks);
        json_array_add_object_element(answer, object);
    }
    return node_of(answer);
}

static void guest_get_disks(CommandCall *call, JsonObject *arguments, gpointer data)
{
    agent_answer_in_thread(data, call, arguments, get_disks);
}

static void guest_get_fsinfo(CommandCall *call, JsonObject *arguments, gpointer data)
{
    agent_answer_in_thread(data, call, arguments, get_fsinfo);
}

const Command COMMANDS_DISK[] = {
    {"guest-get-disks", NULL, guest_get_disks, COMMAND_FLAG_NONE},
    {"guest-get-fsinfo", NULL, guest_get_fsinfo, COMMAND_FLAG_NONE},
    {0},
};

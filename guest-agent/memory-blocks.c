// SPDX-License-Identifier: GPL-2.0-or-later
#include "guest-agent/memory-blocks.h"
#include "guest-agent/rights.h"
#include "guest-agent/text-file.h"

#include <errno.h>
#include <linux/capability.h>
#include <string.h>
#include <unistd.h>

#define FOLDER "/sys/devices/system/memory/"

static gint compare_indexes(gconstpointer a, gconstpointer b)
{
    gint64 x = *(const gint64 *)a, y = *(const gint64 *)b;
    return (x > y) - (x < y);
}

static char *block_file(gint64 index, const char *name)
{
    return g_strdup_printf(FOLDER "memory%" G_GINT64_FORMAT "/%s", index, name);
}

/* NULL with the cause if it cannot be read. */
static char *read_file(const char *root, gint64 index, const char *name, int *errnum)
{
    g_autofree char *path = block_file(index, name);
    return text_file_read(root, path, errnum);
}

/* A block of an old kernel has no state: it is online then and stays so. */
static JsonObject *describe(const char *root, gint64 index)
{
    g_autofree char *state = read_file(root, index, "state", NULL);
    g_autofree char *removable = read_file(root, index, "removable", NULL);
    JsonObject *block = json_object_new();
    json_object_set_int_member(block, "phys-index", index);
    json_object_set_boolean_member(block, "online", !state || g_str_has_prefix(state, "online"));
    json_object_set_boolean_member(block, "can-offline", state && removable && removable[0] != '0');
    return block;
}

JsonNode *memory_blocks_list(const char *root, GError **error)
{
    g_autofree char *path = g_strconcat(root, FOLDER, NULL);
    g_autoptr(GError) why = NULL;
    g_autoptr(GDir) dir = g_dir_open(path, 0, &why);
    JsonArray *blocks = json_array_new();
    JsonNode *answer = json_node_init_array(json_node_alloc(), blocks);
    json_array_unref(blocks);
    if (!dir && g_error_matches(why, G_FILE_ERROR, G_FILE_ERROR_NOENT))
        return answer;
    g_autoptr(GArray) indexes = g_array_new(FALSE, FALSE, sizeof(gint64));
    const char *name;
    while (dir && (name = g_dir_read_name(dir))) {
        guint64 number;
        if (g_str_has_prefix(name, "memory") &&
            g_ascii_string_to_unsigned(name + strlen("memory"), 10, 0, G_MAXINT64, &number, NULL)) {
            gint64 index = (gint64)number;
            g_array_append_val(indexes, index);
        }
    }
    if (!indexes->len) {
        if (dir)
            g_set_error_literal(error, G_IO_ERROR, G_IO_ERROR_FAILED, "guest reported zero memory blocks!");
        else
            g_propagate_prefixed_error(error, g_steal_pointer(&why), "Can't open directory \"" FOLDER "\": ");
        json_node_unref(answer);
        return NULL;
    }
    g_array_sort(indexes, compare_indexes);
    for (guint i = 0; i < indexes->len; i++)
        json_array_add_object_element(blocks, describe(root, g_array_index(indexes, gint64, i)));
    return answer;
}

/* 0, or what kept it from being written. */
static int write_state(const char *root, gint64 index, gboolean online)
{
    g_autofree char *path = block_file(index, "state");
    const char *word = online ? "online" : "offline";
    int errnum = text_file_write(root, path, word);
    if (errnum) {
        g_autofree char *why = rights_explain(errnum, CAP_SYS_ADMIN);
        g_warning("memory block %" G_GINT64_FORMAT " cannot be set %s: %s", index, word, why);
    }
    return errnum;
}

static JsonObject *result(gint64 index, const char *response, int errnum)
{
    JsonObject *row = json_object_new();
    json_object_set_int_member(row, "phys-index", index);
    json_object_set_string_member(row, "response", response);
    if (errnum)
        json_object_set_int_member(row, "error-code", errnum);
    return row;
}

JsonObject *memory_block_set(const char *root, gint64 index, gboolean online)
{
    g_autofree char *folder = g_strconcat(root, FOLDER, NULL);
    if (access(folder, F_OK) < 0)
        return result(index, errno == ENOENT ? "operation-not-supported" : "operation-failed", errno);
    g_autofree char *block = g_strdup_printf("%smemory%" G_GINT64_FORMAT, folder, index);
    if (access(block, F_OK) < 0)
        return result(index, errno == ENOENT ? "not-found" : "operation-failed", errno);
    int errnum;
    g_autofree char *state = read_file(root, index, "state", &errnum);
    if (!state && errnum != ENOENT)
        return result(index, "operation-failed", errnum);
    if (!state)
        return online ? result(index, "success", 0) : result(index, "operation-not-supported", ENOENT);
    errnum = g_str_has_prefix(state, "online") == (online != FALSE) ? 0 : write_state(root, index, online);
    return result(index, errnum ? "operation-failed" : "success", errnum);
}

gint64 memory_block_size(const char *root, GError **error)
{
    int errnum;
    g_autofree char *text = text_file_read(root, FOLDER "block_size_bytes", &errnum);
    guint64 size;
    if (!text) {
        g_autofree char *folder = g_strconcat(root, FOLDER, NULL);
        gboolean no_folder = access(folder, F_OK) < 0;
        g_set_error(error, G_IO_ERROR, g_io_error_from_errno(errnum), "%s: %s",
                    no_folder ? "open(\"" FOLDER "\")" : "open sysfs file \"block_size_bytes\"",
                    g_strerror(errnum));
        return -1;
    }
    return g_ascii_string_to_unsigned(text, 16, 1, G_MAXINT64, &size, error) ? (gint64)size : -1;
}

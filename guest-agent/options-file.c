// SPDX-License-Identifier: GPL-2.0-or-later
#include "guest-agent/options.h"

#include <stdlib.h>
#include <string.h>

typedef enum {
    KEY_BOOL,
    KEY_STRING,
    KEY_NAMES,   /* a string: names with ',' between, as qemu-ga has them */
    KEY_LIST,    /* GKeyFile's: words with ';' between */
    KEY_SECONDS, /* 0: never */
    KEY_NUMBER,
    KEY_SIZE, /* bytes, or with K, M or G after it */
} KeyType;

typedef struct Key {
    const char *group, *name;
    KeyType type;
    gsize offset; /* in Options */
    gint64 min, max;
} Key;

#define DAY 86400

/* In the order in which they are printed. */
static const Key KEYS[] = {
    {"general", "compatible", KEY_BOOL, offsetof(Options, compatible), 0, 0},
    {"general", "daemon", KEY_BOOL, offsetof(Options, daemonize), 0, 0},
    {"general", "method", KEY_STRING, offsetof(Options, method), 0, 0},
    {"general", "path", KEY_STRING, offsetof(Options, path), 0, 0},
    {"general", "logfile", KEY_STRING, offsetof(Options, log_file), 0, 0},
    {"general", "pidfile", KEY_STRING, offsetof(Options, pid_file), 0, 0},
    {"general", "fsfreeze-hook", KEY_STRING, offsetof(Options, freeze_hook), 0, 0},
    {"general", "statedir", KEY_STRING, offsetof(Options, state_dir), 0, 0},
    {"general", "verbose", KEY_BOOL, offsetof(Options, verbose), 0, 0},
    {"general", "retry-path", KEY_BOOL, offsetof(Options, retry_path), 0, 0},
    {"general", "block-rpcs", KEY_NAMES, offsetof(Options, block_rpcs), 0, 0},
    {"general", "blacklist", KEY_NAMES, offsetof(Options, block_rpcs), 0, 0},
    {"general", "allow-rpcs", KEY_NAMES, offsetof(Options, allow_rpcs), 0, 0},
    {"freeze", "deadline", KEY_SECONDS, offsetof(Options, freeze_deadline), 0, 7 * DAY},
    {"freeze", "hook-timeout", KEY_SECONDS, offsetof(Options, hook_timeout), 0, DAY},
    {"exec", "allow", KEY_LIST, offsetof(Options, exec_allow), 0, 0},
    {"exec", "deny", KEY_LIST, offsetof(Options, exec_deny), 0, 0},
    {"users", "allow", KEY_LIST, offsetof(Options, users_allow), 0, 0},
    {"users", "deny", KEY_LIST, offsetof(Options, users_deny), 0, 0},
    {"network", "hide-interfaces", KEY_LIST, offsetof(Options, hidden_interfaces), 0, 0},
    {"limits", "message", KEY_SIZE, offsetof(Options, message_bytes), 64 << 10, 64 << 20},
    {"limits", "file-handles", KEY_NUMBER, offsetof(Options, file_handles), 1, 100000},
    {"limits", "exec-output", KEY_SIZE, offsetof(Options, exec_output_bytes), 4 << 10, 16 << 20},
};

static gboolean is_deprecated(const Key *key)
{
    return g_str_equal(key->name, "blacklist");
}

static const Key *find_key(const char *group, const char *name)
{
    for (gsize i = 0; i < G_N_ELEMENTS(KEYS); i++) {
        if (g_str_equal(KEYS[i].group, group) && g_str_equal(KEYS[i].name, name))
            return &KEYS[i];
    }
    return NULL;
}

void options_join(char **list, const char *names)
{
    if (!*names)
        return;
    char *joined = *list ? g_strjoin(",", *list, names, NULL) : g_strdup(names);
    g_free(*list);
    *list = joined;
}

/* A whole number, with K, M or G after it if it is a size. */
static gboolean parse_number(const Key *key, const char *text, gint64 *number)
{
    static const char UNITS[] = "KMG";
    char *end;
    if (!g_ascii_isdigit(*text))
        return FALSE;
    gint64 value = g_ascii_strtoll(text, &end, 10);
    if (key->type == KEY_SIZE && *end) {
        const char *unit = strchr(UNITS, g_ascii_toupper(*end));
        int shift = unit ? 10 * (int)(unit - UNITS + 1) : 0;
        if (!unit || value > G_MAXINT64 >> shift)
            return FALSE;
        value <<= shift;
        end++;
    }
    *number = value;
    return !*end && value >= key->min && value <= key->max;
}

static gboolean take_number(const Key *key, GKeyFile *file, gint64 *place, GError **error)
{
    g_autofree char *text = g_key_file_get_string(file, key->group, key->name, error);
    if (!text)
        return FALSE;
    if (parse_number(key, g_strstrip(text), place))
        return TRUE;
    g_set_error(error, G_KEY_FILE_ERROR, G_KEY_FILE_ERROR_INVALID_VALUE,
                "[%s] %s=%s: not a number from %" G_GINT64_FORMAT " to %" G_GINT64_FORMAT, key->group,
                key->name, text, key->min, key->max);
    return FALSE;
}

static gboolean take_key(Options *options, const Key *key, GKeyFile *file, GError **error)
{
    gpointer place = (char *)options + key->offset;
    GError *problem = NULL;
    g_autofree char *text = NULL;
    switch (key->type) {
    case KEY_BOOL: {
        gboolean value = g_key_file_get_boolean(file, key->group, key->name, &problem);
        if (!problem)
            *(gboolean *)place = value;
        break;
    }
    case KEY_STRING:
    case KEY_NAMES:
        text = g_key_file_get_string(file, key->group, key->name, &problem);
        if (text && key->type == KEY_NAMES) {
            options_join(place, text);
        } else if (text) {
            g_free(*(char **)place);
            *(char **)place = g_steal_pointer(&text);
        }
        break;
    case KEY_LIST:
        g_strfreev(*(char ***)place);
        *(char ***)place = g_key_file_get_string_list(file, key->group, key->name, NULL, &problem);
        break;
    default:
        take_number(key, file, place, &problem);
    }
    if (!problem)
        return TRUE;
    g_propagate_error(error, problem);
    return FALSE;
}

static gboolean take_group(Options *options, GKeyFile *file, const char *group, gboolean strict,
                           GError **error)
{
    g_auto(GStrv) names = g_key_file_get_keys(file, group, NULL, NULL);
    for (char **name = names; name && *name; name++) {
        const Key *key = find_key(group, *name);
        if (key) {
            if (!take_key(options, key, file, error))
                return FALSE;
        } else if (strict) {
            g_set_error(error, G_KEY_FILE_ERROR, G_KEY_FILE_ERROR_KEY_NOT_FOUND, "[%s] %s: no such key",
                        group, *name);
            return FALSE;
        } else {
            g_printerr("guest-agent: configuration key [%s] %s is not known and passed over\n", group, *name);
        }
    }
    return TRUE;
}

gboolean options_load(Options *options, const char *file, gboolean strict, GError **error)
{
    g_autoptr(GKeyFile) keys = g_key_file_new();
    gboolean good = g_key_file_load_from_file(keys, file, G_KEY_FILE_NONE, error);
    g_auto(GStrv) groups = g_key_file_get_groups(keys, NULL);
    for (char **group = groups; good && *group; group++)
        good = take_group(options, keys, *group, strict, error);
    if (!good)
        g_prefix_error(error, "error loading configuration from path: %s, ", file);
    return good;
}

char *options_dump(const Options *options)
{
    g_autoptr(GKeyFile) file = g_key_file_new();
    for (gsize i = 0; i < G_N_ELEMENTS(KEYS); i++) {
        const Key *key = &KEYS[i];
        gconstpointer place = (const char *)options + key->offset;
        gboolean is_ours = !g_str_equal(key->group, "general") || g_str_equal(key->name, "compatible");
        if (is_deprecated(key) || (is_ours && options->compatible))
            continue;
        if (key->type == KEY_BOOL) {
            g_key_file_set_boolean(file, key->group, key->name, *(const gboolean *)place);
        } else if (key->type == KEY_STRING || key->type == KEY_NAMES) {
            const char *text = *(char *const *)place;
            if (text || key->type == KEY_NAMES)
                g_key_file_set_string(file, key->group, key->name, text ? text : "");
        } else if (key->type == KEY_LIST) {
            const char *const *list = *(const char *const *const *)place;
            if (list)
                g_key_file_set_string_list(file, key->group, key->name, list, g_strv_length((char **)list));
        } else {
            g_key_file_set_int64(file, key->group, key->name, *(const gint64 *)place);
        }
    }
    return g_key_file_to_data(file, NULL, NULL);
}

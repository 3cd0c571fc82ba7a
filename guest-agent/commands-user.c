// SPDX-License-Identifier: GPL-2.0-or-later
/* guest-get-users, guest-set-user-password: who is logged in; a new password for somebody. */
#include "guest-agent/agent.h"
#include "guest-agent/base64.h"
#include "guest-agent/helper.h"

#include <string.h>
#include <utmp.h>

#define CHPASSWD_TIMEOUT_MS                                                                                  \
    30000                 /* it waits for the password file's lock, 15 s at most, and may hash slowly */
#define PASSWORD_MAX 4096 /* bytes, far above what chpasswd(8) takes */

/* ---- guest-get-users ---- */

static double login_time(const struct utmp *entry)
{
    return (double)entry->ut_tv.tv_sec + (double)entry->ut_tv.tv_usec / G_USEC_PER_SEC;
}

static void add_login(JsonArray *users, GHashTable *by_name, const struct utmp *entry)
{
    g_autofree char *name =
        g_strndup(entry->ut_user, sizeof entry->ut_user); /* a NUL only if there is room */
    JsonObject *user = g_hash_table_lookup(by_name, name);
    double login = login_time(entry);
    if (!user) {
        user = json_object_new();
        json_object_set_string_member(user, "user", name);
        json_object_set_double_member(user, "login-time", login);
        json_array_add_object_element(users, user);
        g_hash_table_insert(by_name, g_steal_pointer(&name), user);
    } else if (login < json_object_get_double_member(user, "login-time")) {
        json_object_set_double_member(user, "login-time", login);
    }
}

/* The earliest login of each. The file is read as it is: getutent(3) waits for whoever has it locked, with a
 * signal of its own. */
static void guest_get_users(CommandCall *call, JsonObject *arguments, gpointer data)
{
    JsonArray *users = json_array_new();
    g_autoptr(GHashTable) by_name = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    g_autofree char *bytes = NULL;
    gsize size = 0;
    if (!g_file_get_contents(_PATH_UTMP, &bytes, &size, NULL))
        size = 0;
    for (gsize at = 0; at + sizeof(struct utmp) <= size; at += sizeof(struct utmp)) {
        struct utmp entry;
        memcpy(&entry, bytes + at, sizeof entry);
        if (entry.ut_type == USER_PROCESS)
            add_login(users, by_name, &entry);
    }
    command_call_return_array(call, users);
}

/* ---- guest-set-user-password ---- */

static void wipe(char *text)
{
    explicit_bzero(text, strlen(text));
    g_free(text);
}

static void wipe_line(gpointer line)
{
    wipe(line);
}

/* NULL, the call failed, if it is none. Bytes after a NUL do not count. */
static char *decode_password(CommandCall *call, JsonObject *arguments)
{
    const char *code = command_string(arguments, "password", "");
    GError *error = NULL;
    gsize size;
    guint8 *data = base64_decode(code, strlen(code), &size, &error);
    if (!data) {
        command_call_take_error(call, error);
        return NULL;
    }
    char *password = g_strndup((const char *)data, size);
    explicit_bzero(data, size);
    g_free(data);
    const char *fault = NULL;
    if (strchr(password, '\n'))
        fault = "forbidden characters in raw password";
    else if (strlen(password) > PASSWORD_MAX)
        fault = "the password is too long";
    if (fault) {
        command_call_fail(call, "%s", fault);
        g_clear_pointer(&password, wipe);
    }
    return password;
}

static void guest_set_user_password(CommandCall *call, JsonObject *arguments, gpointer data)
{
    Agent *agent = data;
    const char *user = command_string(arguments, "username", "");
    char *password = decode_password(call, arguments);
    if (!password)
        return;
    if (strpbrk(user, "\n:")) {
        wipe(password);
        command_call_fail(call, "forbidden characters in username");
        return;
    }
    audit_log(agent->audit, "guest-set-user-password called, user: %s", user);
    char *line = g_strdup_printf("%s:%s\n", user, password);
    wipe(password);
    g_autoptr(GBytes) input = g_bytes_new_with_free_func(line, strlen(line), wipe_line, line);
    const char *argv[] = {"chpasswd", command_bool(arguments, "crypted", FALSE) ? "-e" : NULL, NULL};
    HelperSpec spec = {
        .argv = argv, .input = input, .action = "set user password", .timeout_ms = CHPASSWD_TIMEOUT_MS};
    helper_run(&spec, agent_helper_done, call);
}

static const CommandArg PASSWORD_ARGS[] = {
    {.name = "username", .type = COMMAND_ARG_STRING},
    {.name = "password", .type = COMMAND_ARG_STRING},
    {.name = "crypted", .type = COMMAND_ARG_BOOL},
    {0},
};

const Command COMMANDS_USER[] = {
    {"guest-get-users", NULL, guest_get_users, COMMAND_FLAG_NONE},
    {"guest-set-user-password", PASSWORD_ARGS, guest_set_user_password, COMMAND_FLAG_NONE},
    {0},
};

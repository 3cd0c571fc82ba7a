// SPDX-License-Identifier: GPL-2.0-or-later
/* guest-ssh-get-authorized-keys, -add-, -remove-: the keys with which a user may log in by ssh. */
#include "guest-agent/agent.h"
#include "guest-agent/ssh-keys.h"

static const char *user_of(JsonObject *arguments)
{
    return command_string(arguments, "username", "");
}

/* NULL-terminated, borrowed strings; NULL and error if one is no key. */
static const char **keys_of(JsonObject *arguments, GError **error)
{
    JsonArray *array = json_object_get_array_member(arguments, "keys");
    guint count = json_array_get_length(array);
    g_autofree const char **keys = g_new0(const char *, count + 1);
    for (guint i = 0; i < count; i++) {
        keys[i] = json_array_get_string_element(array, i);
        if (!ssh_key_is_valid(keys[i])) {
            g_set_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT, "invalid OpenSSH public key: '%s'",
                        keys[i]);
            return NULL;
        }
    }
    return g_steal_pointer(&keys);
}

static JsonNode *get_keys(JsonObject *arguments, GError **error)
{
    g_auto(GStrv) keys = ssh_keys_list(user_of(arguments), error);
    if (!keys)
        return NULL;
    JsonNode *answer = agent_empty_answer();
    JsonArray *array = json_array_new();
    for (char **key = keys; *key; key++)
        json_array_add_string_element(array, *key);
    json_object_set_array_member(json_node_get_object(answer), "keys", array);
    return answer;
}

static JsonNode *add_keys(JsonObject *arguments, GError **error)
{
    g_autofree const char **keys = keys_of(arguments, error);
    if (!keys || !ssh_keys_add(user_of(arguments), keys, command_bool(arguments, "reset", FALSE), error))
        return NULL;
    return agent_empty_answer();
}

static JsonNode *remove_keys(JsonObject *arguments, GError **error)
{
    g_autofree const char **keys = keys_of(arguments, error);
    if (!keys || !ssh_keys_remove(user_of(arguments), keys, error))
        return NULL;
    return agent_empty_answer();
}

/* Users may be in a directory on the network, and homes, too. */

static void guest_ssh_get_authorized_keys(CommandCall *call, JsonObject *arguments, gpointer data)
{
    agent_answer_in_thread(data, call, arguments, get_keys);
}

static void guest_ssh_add_authorized_keys(CommandCall *call, JsonObject *arguments, gpointer data)
{
    audit_log(((Agent *)data)->audit, "guest-ssh-add-authorized-keys called, user: %s", user_of(arguments));
    agent_answer_in_thread(data, call, arguments, add_keys);
}

static void guest_ssh_remove_authorized_keys(CommandCall *call, JsonObject *arguments, gpointer data)
{
    audit_log(((Agent *)data)->audit, "guest-ssh-remove-authorized-keys called, user: %s",
              user_of(arguments));
    agent_answer_in_thread(data, call, arguments, remove_keys);
}

static const CommandArg KEY = {.type = COMMAND_ARG_STRING};
static const CommandArg GET_ARGS[] = {{.name = "username", .type = COMMAND_ARG_STRING}, {0}};
static const CommandArg REMOVE_ARGS[] = {
    {.name = "username", .type = COMMAND_ARG_STRING},
    {.name = "keys", .type = COMMAND_ARG_ARRAY, .element = &KEY},
    {0},
};
static const CommandArg ADD_ARGS[] = {
    {.name = "username", .type = COMMAND_ARG_STRING},
    {.name = "keys", .type = COMMAND_ARG_ARRAY, .element = &KEY},
    {.name = "reset", .type = COMMAND_ARG_BOOL, .optional = TRUE},
    {0},
};

const Command COMMANDS_SSH[] = {
    {"guest-ssh-get-authorized-keys", GET_ARGS, guest_ssh_get_authorized_keys, COMMAND_FLAG_NONE},
    {"guest-ssh-add-authorized-keys", ADD_ARGS, guest_ssh_add_authorized_keys, COMMAND_FLAG_NONE},
    {"guest-ssh-remove-authorized-keys", REMOVE_ARGS, guest_ssh_remove_authorized_keys, COMMAND_FLAG_NONE},
    {0},
};

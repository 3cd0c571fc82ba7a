// SPDX-License-Identifier: GPL-2.0-or-later
/* vmctl agent GUEST vcpus: the guest's processors, which of them it uses, and to take some out of use. */
#include <stdio.h>
#include <string.h>

#include "host-vmm/vmctl/agent-words.h"
#include "host-vmm/vmctl/options.h"
#include "host-vmm/vmctl/replies.h"

enum { MAX_VCPU = 65535 };

typedef struct Change {
    GHashTable *wanted; /* logical-id -> online + 1 */
    gint64 count;       /* of online ones that are wanted, -1: as it comes out */
} Change;

/* "1-3,5" into wanted. */
static gboolean parse_list(const char *text, gboolean online, GHashTable *wanted)
{
    while (TRUE) {
        char *end;
        guint64 first, last;

        if (!g_ascii_isdigit(*text))
            return FALSE;
        first = last = g_ascii_strtoull(text, &end, 10);
        if (*end == '-') {
            if (!g_ascii_isdigit(end[1]))
                return FALSE;
            last = g_ascii_strtoull(end + 1, &end, 10);
        }
        if (first > last || last > MAX_VCPU)
            return FALSE;
        for (; first <= last; first++)
            g_hash_table_insert(wanted, GSIZE_TO_POINTER((gsize)first), GINT_TO_POINTER(online + 1));
        if (*end == '\0')
            return TRUE;
        if (*end != ',')
            return FALSE;
        text = end + 1;
    }
}

static gboolean parse_words(char **words, Change *change)
{
    guint64 count;

    if (words[0] != NULL && words[1] == NULL &&
        g_ascii_string_to_unsigned(words[0], 10, 1, MAX_VCPU, &count, NULL)) {
        change->count = (gint64)count;
        return TRUE;
    }
    for (guint i = 0; words[i] != NULL; i++)
        if (!(g_str_has_prefix(words[i], "on=") && parse_list(words[i] + 3, TRUE, change->wanted)) &&
            !(g_str_has_prefix(words[i], "off=") && parse_list(words[i] + 4, FALSE, change->wanted)))
            return FALSE;
    return TRUE;
}

static gint by_id(gconstpointer a, gconstpointer b)
{
    gint64 x = object_int(*(JsonObject *const *)a, "logical-id", -1);
    gint64 y = object_int(*(JsonObject *const *)b, "logical-id", -1);

    return x < y ? -1 : x > y;
}

/* The reply's rows (borrowed), by id. */
static GPtrArray *sorted(JsonNode *reply)
{
    GPtrArray *rows = g_ptr_array_new();
    JsonObject *row;

    for (guint i = 0; (row = reply_object(reply, i)) != NULL; i++)
        g_ptr_array_add(rows, row);
    g_ptr_array_sort(rows, by_id);
    return rows;
}

static void print_vcpus(const GPtrArray *rows)
{
    printf("VCPU  ONLINE  CAN-OFFLINE\n");
    for (guint i = 0; i < rows->len; i++)
        printf("%-4" G_GINT64_FORMAT "  %-6s  %s\n", object_int(rows->pdata[i], "logical-id", -1),
               object_bool(rows->pdata[i], "online", FALSE) ? "yes" : "no",
               object_bool(rows->pdata[i], "can-offline", FALSE) ? "yes" : "no");
}

static void add_row(JsonArray *array, gint64 id, gboolean online)
{
    JsonObject *row = json_object_new();

    json_object_set_int_member(row, "logical-id", id);
    json_object_set_boolean_member(row, "online", online);
    json_array_add_object_element(array, row);
}

/* The rows that have to change: by number, the first that are off come on, the last that can go off. */
static JsonArray *differences(const GPtrArray *rows, const Change *change)
{
    JsonArray *array = json_array_new();
    gint64 missing = change->count;

    for (guint i = 0; i < rows->len; i++) {
        gint64 id = object_int(rows->pdata[i], "logical-id", -1);
        gboolean online = object_bool(rows->pdata[i], "online", FALSE);
        int wanted = GPOINTER_TO_INT(g_hash_table_lookup(change->wanted, GSIZE_TO_POINTER((gsize)id)));

        missing -= online;
        if (change->count < 0 && wanted != 0 && (wanted == 2) != online)
            add_row(array, id, wanted == 2);
    }
    for (guint i = 0; change->count >= 0 && missing > 0 && i < rows->len; i++)
        if (!object_bool(rows->pdata[i], "online", FALSE)) {
            add_row(array, object_int(rows->pdata[i], "logical-id", -1), TRUE);
            missing--;
        }
    for (guint i = rows->len; change->count >= 0 && missing < 0 && i-- > 0;)
        if (object_bool(rows->pdata[i], "online", FALSE) &&
            object_bool(rows->pdata[i], "can-offline", FALSE)) {
            add_row(array, object_int(rows->pdata[i], "logical-id", -1), FALSE);
            missing++;
        }
    return array;
}

/* guest-set-vcpus may do only a part of what it is asked; the rest is asked for anew. */
static gboolean apply(AgentLink *link, JsonArray *changes, gint64 deadline, GError **error)
{
    guint done = 0, length = json_array_get_length(changes);

    while (done < length) {
        JsonObject *arguments = json_object_new();
        JsonArray *rest = json_array_new();
        g_autoptr(JsonNode) reply = NULL;
        gint64 count;

        for (guint i = done; i < length; i++)
            json_array_add_object_element(rest, json_object_ref(json_array_get_object_element(changes, i)));
        json_object_set_array_member(arguments, "vcpus", rest);
        reply = agent_link_call(link, "guest-set-vcpus", arguments, deadline, error);
        if (reply == NULL)
            return FALSE;
        count = JSON_NODE_HOLDS_VALUE(reply) ? json_node_get_int(reply) : 0;
        if (count <= 0 || count > (gint64)(length - done)) {
            g_set_error(error, VMCTL_ERROR, VMCTL_FAILED,
                        "guest-set-vcpus: the agent says that it has done %" G_GINT64_FORMAT " of %u", count,
                        length - done);
            return FALSE;
        }
        done += (guint)count;
    }
    return TRUE;
}

static guint count_online(const GPtrArray *rows)
{
    guint count = 0;

    for (guint i = 0; i < rows->len; i++)
        count += object_bool(rows->pdata[i], "online", FALSE) ? 1 : 0;
    return count;
}

static JsonNode *ask(AgentLink *link, gint64 deadline, GError **error)
{
    return agent_link_call(link, "guest-get-vcpus", NULL, deadline, error);
}

int agent_vcpus(const AgentTask *task, char **words)
{
    gint64 deadline = deadline_after_ms(task->timeout_ms);
    g_autoptr(GHashTable) wanted = g_hash_table_new(NULL, NULL);
    Change change = {.wanted = wanted, .count = -1};
    g_autoptr(AgentLink) link = NULL;
    g_autoptr(JsonNode) before = NULL, after = NULL;
    g_autoptr(GPtrArray) rows = NULL, now = NULL;
    g_autoptr(JsonArray) changes = NULL;
    GError *error = NULL;

    if (!parse_words(words, &change))
        return options_usage_error(task->verb, "vcpus: how many, or on=LIST and off=LIST, such as off=2-3,5");
    link = agent_link_open(&task->target, deadline, &error);
    if (link == NULL || (before = ask(link, deadline, &error)) == NULL)
        return complain_error(error);
    rows = sorted(before);
    if (words[0] == NULL) {
        print_vcpus(rows);
        return VMCTL_OK;
    }
    changes = differences(rows, &change);
    if (!apply(link, changes, deadline, &error) || (after = ask(link, deadline, &error)) == NULL)
        return complain_error(error);
    now = sorted(after);
    if (change.count >= 0 && count_online(now) != change.count) {
        complain("%s: %u vCPUs are online: no more can go on or off", agent_target_label(&task->target),
                 count_online(now));
        return VMCTL_FAILED;
    }
    printf("%s: %u vCPU%s online\n", agent_target_label(&task->target), count_online(now),
           count_online(now) == 1 ? "" : "s");
    return VMCTL_OK;
}

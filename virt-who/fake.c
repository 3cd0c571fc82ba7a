// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * fake: hosts and guests that a file tells of, for tests and for what no source here knows. Both forms of the
 * file that upstream has had are taken: hypervisorId and guestIds, or uuid and guests.
 */
#include <string.h>

#include "lib/jsonstream.h"
#include "lib/memory.h"
#include "virt-who/source.h"

#define MAX_BYTES (64 << 20)
#define MAX_ID    255

static gboolean fail(GError **error, const char *path, const char *what)
{
    g_set_error(error, SOURCE_ERROR, SOURCE_ERROR_FILE, "Fake virt file '%s' is not properly formed: %s",
                path, what);
    return FALSE;
}

/* NULL: it has another type, or is not there. */
static const char *text_of(JsonNode *node)
{
    const char *text =
        node != NULL && JSON_NODE_HOLDS_VALUE(node) && json_node_get_value_type(node) == G_TYPE_STRING
            ? json_node_get_string(node)
            : NULL;

    return text != NULL && text[0] != '\0' && strlen(text) <= MAX_ID ? text : NULL;
}

static const char *host_id(JsonObject *object)
{
    JsonNode *node = json_object_get_member(object, "hypervisorId");

    if (node == NULL) {
        node = json_object_get_member(object, "uuid");
    }
    if (node != NULL && JSON_NODE_HOLDS_OBJECT(node)) {
        node = json_object_get_member(json_node_get_object(node), "hypervisorId");
    }
    return text_of(node);
}

static gboolean add_guest(ReportHost *host, JsonNode *node, const char *path, GError **error)
{
    JsonObject *object = JSON_NODE_HOLDS_OBJECT(node) ? json_node_get_object(node) : NULL;
    JsonNode *state = object != NULL ? json_object_get_member(object, "state") : NULL;
    JsonNode *attributes = object != NULL ? json_object_get_member(object, "attributes") : NULL;
    const char *id = object != NULL ? text_of(json_object_get_member(object, "guestId")) : NULL;
    const char *type = NULL;
    gint64 number = 0;

    if (id == NULL) {
        return fail(error, path, "a guest has no 'guestId'");
    }
    if (state != NULL && JSON_NODE_HOLDS_VALUE(state) && json_node_get_value_type(state) == G_TYPE_INT64) {
        number = json_node_get_int(state);
    }
    if (attributes != NULL && JSON_NODE_HOLDS_OBJECT(attributes)) {
        type = text_of(json_object_get_member(json_node_get_object(attributes), "virtWhoType"));
    }
    report_host_add_guest(host, id, type != NULL ? type : "fake",
                          number >= 0 && number <= 7 ? (int)number : 0);
    return TRUE;
}

static gboolean add_host(Report *report, JsonNode *node, const char *path, GError **error)
{
    JsonObject *object = JSON_NODE_HOLDS_OBJECT(node) ? json_node_get_object(node) : NULL;
    const char *id = object != NULL ? host_id(object) : NULL;
    JsonNode *guests, *facts;
    ReportHost *host;

    if (object == NULL || (!report->is_list && id == NULL)) {
        return fail(error, path, "a hypervisor has no 'hypervisorId'");
    }
    if (report->is_list && id != NULL) {
        return fail(error, path, "a hypervisor's id shouldn't be present, try to check is_hypervisor value");
    }
    guests = json_object_get_member(object, "guestIds");
    guests = guests != NULL ? guests : json_object_get_member(object, "guests");
    if (guests == NULL || !JSON_NODE_HOLDS_ARRAY(guests)) {
        return fail(error, path, "a hypervisor has no 'guestIds'");
    }
    host =
        report_add_host(report, id, report->is_list ? NULL : text_of(json_object_get_member(object, "name")));
    facts = report->is_list ? NULL : json_object_get_member(object, "facts");
    if (facts != NULL && JSON_NODE_HOLDS_OBJECT(facts) &&
        json_object_get_size(json_node_get_object(facts)) > 0) {
        GString *text = g_string_new(NULL);

        json_write(facts, text);
        host->facts = g_string_free(text, FALSE);
        host->machine =
            g_strdup(text_of(json_object_get_member(json_node_get_object(facts), "dmi.system.uuid")));
    }
    for (guint i = 0; i < json_array_get_length(json_node_get_array(guests)); i++) {
        if (!add_guest(host, json_array_get_element(json_node_get_array(guests), i), path, error)) {
            return FALSE;
        }
    }
    return TRUE;
}

static Report *take(JsonNode *root, const char *path, gboolean is_list, GError **error)
{
    g_autoptr(Report) report = report_new(is_list);
    JsonNode *list = JSON_NODE_HOLDS_OBJECT(root)
                         ? json_object_get_member(json_node_get_object(root), "hypervisors")
                         : NULL;
    guint count =
        list != NULL && JSON_NODE_HOLDS_ARRAY(list) ? json_array_get_length(json_node_get_array(list)) : 0;

    if (list == NULL || !JSON_NODE_HOLDS_ARRAY(list) || (is_list && count == 0)) {
        fail(error, path, "there is no list 'hypervisors'");
        return NULL;
    }
    for (guint i = 0; i < (is_list ? 1 : count); i++) {
        if (!add_host(report, json_array_get_element(json_node_get_array(list), i), path, error)) {
            return NULL;
        }
    }
    return g_steal_pointer(&report);
}

Report *fake_read(const char *path, gboolean is_list, GError **error)
{
    g_autoptr(GError) reason = NULL;
    gsize length;
    g_autofree char *text = ini_read_bytes(path, MAX_BYTES, &length, NULL, &reason);
    JsonNode *root = text != NULL ? json_parse_text(text, (gssize)length, &reason) : NULL;
    Report *report;

    if (root == NULL) {
        g_set_error(error, SOURCE_ERROR, SOURCE_ERROR_FILE, "Can't read fake '%s' virt data: %s", path,
                    reason->message);
        return NULL;
    }
    report = take(root, path, is_list, error);
    json_node_unref(root);
    if (length > MEMORY_HUGE_BYTES) {
        memory_give_back_later();
    }
    return report;
}

// SPDX-License-Identifier: GPL-2.0-or-later
/* What QEMU's test-qga.c calls, on json-glib, so that the one file can be built without QEMU: objects and
 * lists of JSON, and a peer that sends requests and reads replies by line. Only agent-qemu-tests.test
 * includes it. */
#pragma once

#include <errno.h>
#include <glib.h>
#include <inttypes.h>
#include <json-glib/json-glib.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- objects and lists ---- */

typedef JsonObject QDict;
typedef JsonArray QList;
typedef struct QListEntry {
    JsonNode *value;
} QListEntry;

G_DEFINE_AUTOPTR_CLEANUP_FUNC(QDict, json_object_unref)

#define qobject_unref(object)  json_object_unref(object)
#define qobject_to(type, node) shim_to_##type(node)

static inline QDict *shim_to_QDict(JsonNode *node)
{
    g_assert(JSON_NODE_HOLDS_OBJECT(node));
    return json_node_get_object(node);
}

static inline JsonNode *shim_member(const QDict *dict, const char *name)
{
    JsonNode *node = json_object_get_member((QDict *)dict, name);
    if (!node)
        g_error("there is no member \"%s\"", name);
    return node;
}

static inline int qdict_haskey(const QDict *dict, const char *name)
{
    return json_object_has_member((QDict *)dict, name);
}

static inline QDict *qdict_get_qdict(const QDict *dict, const char *name)
{
    return shim_to_QDict(shim_member(dict, name));
}

static inline QList *qdict_get_qlist(const QDict *dict, const char *name)
{
    JsonNode *node = shim_member(dict, name);
    g_assert(JSON_NODE_HOLDS_ARRAY(node));
    return json_node_get_array(node);
}

static inline int64_t qdict_get_int(const QDict *dict, const char *name)
{
    JsonNode *node = shim_member(dict, name);
    g_assert(json_node_get_value_type(node) == G_TYPE_INT64); /* a float will not do */
    return json_node_get_int(node);
}

static inline bool qdict_get_bool(const QDict *dict, const char *name)
{
    JsonNode *node = shim_member(dict, name);
    g_assert(json_node_get_value_type(node) == G_TYPE_BOOLEAN);
    return json_node_get_boolean(node);
}

static inline const char *qdict_get_try_str(const QDict *dict, const char *name)
{
    JsonNode *node = json_object_get_member((QDict *)dict, name);
    return node && JSON_NODE_HOLDS_VALUE(node) ? json_node_get_string(node) : NULL;
}

static inline const char *qdict_get_str(const QDict *dict, const char *name)
{
    const char *text = qdict_get_try_str(dict, name);
    g_assert(text);
    return text;
}

/* NULL if the list is empty. Of one list at a time: the tests look at one. */
static inline const QListEntry *qlist_first(const QList *list)
{
    static QListEntry first;
    if (!json_array_get_length((QList *)list))
        return NULL;
    first.value = json_array_get_element((QList *)list, 0);
    return &first;
}

/* ---- the wire ---- */

static inline void qmp_fd_send_raw(int fd, const char *text)
{
    for (size_t left = strlen(text); left;) {
        ssize_t n = write(fd, text, left);
        g_assert(n > 0 || (n < 0 && errno == EINTR));
        if (n > 0) {
            text += n;
            left -= (size_t)n;
        }
    }
}

/* A string as JSON has it. */
static inline void shim_append_string(GString *out, const char *text)
{
    g_autoptr(JsonNode) node = json_node_init_string(json_node_alloc(), text);
    g_autofree char *quoted = json_to_string(node, FALSE);
    g_string_append(out, quoted);
}

/* printf's letters, but that %s is a JSON string. */
static inline void shim_send_va(int fd, const char *format, va_list args)
{
    g_autoptr(GString) out = g_string_new(NULL);
    for (const char *at = format; *at; at++) {
        if (*at != '%' || *++at == '%') {
            g_string_append_c(out, *at);
            continue;
        }
        int longs = 0;
        for (; *at == 'l'; at++)
            longs++;
        if (*at == 's')
            shim_append_string(out, va_arg(args, const char *));
        else if (*at == 'd' || *at == 'i')
            g_string_append_printf(out, "%" PRId64,
                                   longs ? va_arg(args, int64_t) : (int64_t)va_arg(args, int));
        else if (*at == 'u')
            g_string_append_printf(out, "%" PRIu64,
                                   longs ? va_arg(args, uint64_t) : (uint64_t)va_arg(args, unsigned));
        else
            g_error("the shim knows no %%%c", *at);
    }
    qmp_fd_send_raw(fd, out->str);
}

static inline void G_GNUC_UNUSED qmp_fd_send(int fd, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    shim_send_va(fd, format, args);
    va_end(args);
}

static inline QDict *qmp_fd_receive(int fd)
{
    g_autoptr(GString) line = g_string_new(NULL);
    char c = 0;
    while (c != '\n') {
        ssize_t n = read(fd, &c, 1);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            g_error("the agent has closed: \"%s\"", line->str);
        g_string_append_c(line, c);
    }
    g_autoptr(GError) error = NULL;
    g_autoptr(JsonNode) node = json_from_string(line->str, &error);
    g_assert_no_error(error);
    return json_object_ref(shim_to_QDict(node));
}

static inline QDict *qmp_fd(int fd, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    shim_send_va(fd, format, args);
    va_end(args);
    return qmp_fd_receive(fd);
}

/* Takes the reply. */
static inline void qmp_expect_error_and_unref(QDict *reply, const char *error_class)
{
    g_assert_cmpstr(qdict_get_try_str(qdict_get_qdict(reply, "error"), "class"), ==, error_class);
    qobject_unref(reply);
}

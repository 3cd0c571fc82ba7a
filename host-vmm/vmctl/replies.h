// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * replies: reads what a monitor or an agent has answered. The peer may be anybody: a reply of another shape
 * than expected reads as absent, never as a crash.
 */
#pragma once

#include <json-glib/json-glib.h>

/* The index-th element of an array reply: NULL after the last, if it is no object, or if reply is NULL or no
 * array. */
JsonObject *reply_object(JsonNode *reply, guint index);
/* A member of an object (which may be NULL) or of an object reply; the fallback if it is absent or of another
 * type. */
const char *object_string(JsonObject *object, const char *name, const char *fallback);
gint64 object_int(JsonObject *object, const char *name, gint64 fallback);
gboolean object_bool(JsonObject *object, const char *name, gboolean fallback);
JsonObject *object_object(JsonObject *object, const char *name);
JsonNode *object_array(JsonObject *object, const char *name);
/* The reply as an object, or NULL. */
JsonObject *reply_as_object(JsonNode *reply);

/* Of a query-chardev row: */

/* whether it is the socket at `path`; */
gboolean chardev_has_path(JsonObject *chardev, const char *path);
/* whether a client is connected to it; */
gboolean chardev_is_connected(JsonObject *chardev);
/* whether the guest's side is open. */
gboolean chardev_is_opened_by_guest(JsonObject *chardev);

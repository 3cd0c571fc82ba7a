// SPDX-License-Identifier: GPL-2.0-or-later
/* audit-private: what the writer and the reader of the log have in common: the names of numbers. */
#pragma once

#include "balloon/daemon/fleet.h"

extern const RecordField AUDIT_CONFIG[], AUDIT_HOST[], AUDIT_GUEST[], AUDIT_DECISION[]; /* the memory law's */

/* What states can be exchanged between: their sizes and this program's version. */
char *audit_layout(void);

/* ---- the writer's part for the laws beside that of memory, audit-laws.c ---- */

/* `logged` has what was last written of each law, of FLEET_LAWS. */
void audit_laws_init(Law *logged);
void audit_laws_clear(Law *logged);
/* Append the member "laws" of a line; start: with all that they remember, and all will be written anew. */
void audit_laws_add_config(Law *logged, GString *out, const Fleet *fleet, gboolean start);
void audit_laws_add_tick(Law *logged, GString *out, const Fleet *fleet);
/* A new guest has this place: nothing was written of it. */
void audit_laws_forget(Law *logged, guint place);
void audit_add_bytes(GString *out, gconstpointer bytes, gsize length);

/* ---- the reader's, replay-laws.c ---- */

/* `line` is that with the member "laws". FALSE: it is not whole. */
gboolean replay_laws_config(Fleet *fleet, JsonObject *line, gboolean start, GError **error);
/* What is seen in a tick, before the plan. */
gboolean replay_laws_see(Fleet *fleet, JsonObject *line, GError **error);
/* After it. decisions: is increased. */
gboolean replay_laws_compare(const Fleet *fleet, JsonObject *line, guint64 *decisions, GError **error);

/* Members of a line; NULL or FALSE: they are not there, or something else. */
JsonObject *replay_object(JsonObject *object, const char *name);
JsonArray *replay_array(JsonObject *object, const char *name);
const char *replay_text(JsonObject *object, const char *name);
gboolean replay_number(JsonNode *node, gint64 *value);
/* "state": as many bytes as that. */
gboolean replay_state(JsonObject *from, gpointer record, gsize size);
gboolean replay_bad(GError **error, const char *format, ...) G_GNUC_PRINTF(2, 3);

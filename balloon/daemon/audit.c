// SPDX-License-Identifier: GPL-2.0-or-later
#include "balloon/daemon/audit.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <string.h>
#include <unistd.h>

#include "balloon/daemon/audit-private.h"
#include "lib/jsonstream.h"

G_DEFINE_QUARK(balloond - audit - error - quark, audit_error)

struct Audit {
    char *path;
    gint64 limit, written;
    int fd;
    gboolean failed; /* since then nothing is written */
    GString *line;   /* that is being made */
    GString *come, *gone, *forgotten;
    PolicyGuest *seen; /* what was last logged of each place */
    gint64 *told;
    guint room;
    Law logged[FLEET_LAWS];
};

/* ---- pieces ---- */

static void add_text(GString *out, const char *text)
{
    g_autoptr(JsonNode) node = json_node_new(JSON_NODE_VALUE);
    json_node_set_string(node, text);
    json_write(node, out);
}

void audit_add_bytes(GString *out, gconstpointer bytes, gsize length)
{
    g_autofree char *text = g_base64_encode(bytes, length);
    g_string_append_printf(out, "\"%s\"", text);
}

static gint64 told_at(const PolicyGuest *guest, gint64 now)
{
    return guest->stats_age < 0 ? -1 : now - guest->stats_age;
}

static void make_room(Audit *audit, guint count)
{
    if (count <= audit->room)
        return;
    guint room = MAX(count, audit->room * 2);
    audit->seen = g_renew(PolicyGuest, audit->seen, room);
    audit->told = g_renew(gint64, audit->told, room);
    for (guint i = audit->room; i < room; i++) {
        audit->seen[i] = (PolicyGuest){0};
        audit->told[i] = -1;
    }
    audit->room = room;
}

/* What is not as it was logged before, of one guest. */
static void add_seen(Audit *audit, guint place, const PolicyGuest *guest, gint64 now, gboolean *any)
{
    GString *out = audit->line;
    gsize before = out->len;
    gint64 told = told_at(guest, now);
    g_string_append_printf(out, "%s\"%u\": {", *any ? ", " : "", place);
    gboolean fields = record_write(out, AUDIT_GUEST, guest, &audit->seen[place]);
    if (told != audit->told[place])
        g_string_append_printf(out, "%s\"told\": %" G_GINT64_FORMAT, fields ? ", " : "", told);
    if (fields || told != audit->told[place]) {
        g_string_append_c(out, '}');
        *any = TRUE;
    } else {
        g_string_truncate(out, before);
    }
    audit->seen[place] = *guest;
    audit->told[place] = told;
}

static void add_config(Audit *audit, const Fleet *fleet, gboolean start)
{
    GString *out = audit->line;
    g_string_append_printf(out, "\"dry_run\": %s, \"config\": {", fleet->dry_run ? "true" : "false");
    record_write(out, AUDIT_CONFIG, &fleet->config, NULL);
    g_string_append_c(out, '}');
    audit_laws_add_config(audit->logged, out, fleet, start);
}

static void add_wall_clock(GString *out)
{
    g_autoptr(GDateTime) now = g_date_time_new_now_utc();
    g_autofree char *text = g_date_time_format(now, "%Y-%m-%dT%H:%M:%SZ");
    g_string_append_printf(out, "\"at\": \"%s\", ", text);
}

/* ---- the file ---- */

static gboolean write_line(Audit *audit, GError **error)
{
    g_string_append(audit->line, "}\n");
    for (gsize done = 0; done < audit->line->len;) {
        gssize got = write(audit->fd, audit->line->str + done, audit->line->len - done);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0) {
            g_set_error(error, AUDIT_ERROR, AUDIT_ERROR_FILE, "%s: %s", audit->path, g_strerror(errno));
            return FALSE;
        }
        done += (gsize)got;
    }
    audit->written += (gint64)audit->line->len;
    if (audit->line->allocated_len > 1 << 20) { /* a start line with thousands of guests */
        g_string_free(audit->line, TRUE);
        audit->line = g_string_new(NULL);
    }
    return TRUE;
}

/* The first line: all that is needed to go on from here. */
static gboolean write_start(Audit *audit, const Fleet *fleet, GError **error)
{
    g_autofree char *layout = audit_layout();
    GString *out = audit->line;
    gboolean any = FALSE;
    g_string_assign(out, "{\"kind\": \"start\", ");
    add_wall_clock(out);
    g_string_append_printf(out, "\"layout\": \"%s\", ", layout);
    add_config(audit, fleet, TRUE);
    g_string_append(out, ", \"state\": ");
    audit_add_bytes(out, &fleet->state, sizeof fleet->state);
    g_string_append_printf(out, ", \"places\": %u, \"guests\": [", fleet->count);
    for (guint i = 0; i < fleet->count; i++) {
        const FleetGuest *place = &fleet->places[i];
        if (place->key == NULL)
            continue;
        g_string_append_printf(out, "%s{\"place\": %u, \"key\": ", any ? ", " : "", i);
        add_text(out, place->key);
        g_string_append(out, ", \"name\": ");
        add_text(out, place->name);
        g_string_append(out, ", \"state\": ");
        audit_add_bytes(out, &fleet->states[i], sizeof fleet->states[i]);
        g_string_append_c(out, '}');
        any = TRUE;
    }
    g_string_append_c(out, ']');
    for (guint i = 0; i < audit->room; i++) {
        audit->seen[i] = (PolicyGuest){0};
        audit->told[i] = -1;
    }
    return write_line(audit, error);
}

static gboolean begin_file(Audit *audit, const Fleet *fleet, GError **error)
{
    g_autofree char *before = g_strconcat(audit->path, ".1", NULL);
    if (audit->fd >= 0)
        close(audit->fd);
    if (g_rename(audit->path, before) != 0 && errno != ENOENT) {
        g_set_error(error, AUDIT_ERROR, AUDIT_ERROR_FILE, "%s: %s", audit->path, g_strerror(errno));
        audit->fd = -1;
        return FALSE;
    }
    audit->fd = open(audit->path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0640);
    if (audit->fd < 0) {
        g_set_error(error, AUDIT_ERROR, AUDIT_ERROR_FILE, "%s: %s", audit->path, g_strerror(errno));
        return FALSE;
    }
    audit->written = 0;
    if (write_start(audit, fleet, error))
        return TRUE;
    /* Else the next attempt would put this one in the place of the last that is whole. */
    close(audit->fd);
    audit->fd = -1;
    g_unlink(audit->path);
    return FALSE;
}

Audit *audit_open(const char *path, gint64 bytes, const Fleet *fleet, GError **error)
{
    g_autoptr(Audit) audit = g_new0(Audit, 1);
    audit->path = g_strdup(path);
    audit->limit = bytes;
    audit->fd = -1;
    audit->line = g_string_new(NULL);
    audit->come = g_string_new(NULL);
    audit->gone = g_string_new(NULL);
    audit->forgotten = g_string_new(NULL);
    audit_laws_init(audit->logged);
    return begin_file(audit, fleet, error) ? g_steal_pointer(&audit) : NULL;
}

void audit_close(Audit *audit)
{
    if (audit == NULL)
        return;
    if (audit->fd >= 0)
        close(audit->fd);
    g_string_free(audit->line, TRUE);
    g_string_free(audit->come, TRUE);
    g_string_free(audit->gone, TRUE);
    g_string_free(audit->forgotten, TRUE);
    g_free(audit->path);
    g_free(audit->seen);
    g_free(audit->told);
    audit_laws_clear(audit->logged);
    g_free(audit);
}

/* ---- what happens ---- */

static void fail(Audit *audit, GError *error)
{
    g_warning("The audit log has a gap: %s", error->message);
    g_error_free(error);
    audit->failed = TRUE;
}

static void add_place(GString *list, guint place)
{
    g_string_append_printf(list, "%s%u", list->len > 0 ? ", " : "", place);
}

void audit_note_come(Audit *audit, const Fleet *fleet, guint place)
{
    make_room(audit, place + 1);
    audit->seen[place] = (PolicyGuest){0};
    audit->told[place] = -1;
    audit_laws_forget(audit->logged, place);
    g_string_append_printf(audit->come, "%s[%u, ", audit->come->len > 0 ? ", " : "", place);
    add_text(audit->come, fleet->places[place].key);
    g_string_append(audit->come, ", ");
    add_text(audit->come, fleet->places[place].name);
    g_string_append_c(audit->come, ']');
}

void audit_note_gone(Audit *audit, guint place)
{
    add_place(audit->gone, place);
}

void audit_note_forgotten(Audit *audit, guint place)
{
    add_place(audit->forgotten, place);
}

void audit_note_config(Audit *audit, const Fleet *fleet)
{
    GError *error = NULL;
    g_string_assign(audit->line, "{\"kind\": \"config\", ");
    add_wall_clock(audit->line);
    add_config(audit, fleet, FALSE);
    if (!audit->failed && !write_line(audit, &error))
        fail(audit, error);
}

static void add_list(GString *out, const char *name, GString *list)
{
    if (list->len > 0)
        g_string_append_printf(out, ", \"%s\": [%s]", name, list->str);
    g_string_truncate(list, 0);
}

static void add_changes(GString *out, const Fleet *fleet)
{
    gboolean any = FALSE;
    for (guint i = 0; i < fleet->count; i++) {
        const PolicyDecision *decision = &fleet->decisions[i];
        if (fleet->places[i].key == NULL || !decision->changed)
            continue;
        g_string_append_printf(out, "%s\"%u\": {", any ? ", " : ", \"changed\": {", i);
        record_write(out, AUDIT_DECISION, decision, NULL);
        g_string_append_printf(out, ", \"reason\": \"%s\", \"trust\": \"%s\"}",
                               policy_reason_name(decision->reason), policy_trust_name(decision->trust));
        any = TRUE;
    }
    if (any)
        g_string_append_c(out, '}');
}

void audit_tick(Audit *audit, const Fleet *fleet, gint64 now)
{
    GString *out = audit->line;
    GError *error = NULL;
    gboolean any = FALSE;
    make_room(audit, fleet->count);
    if (audit->failed || audit->written > audit->limit) {
        /* This tick is in the states that the new file begins with. */
        g_string_truncate(audit->come, 0);
        g_string_truncate(audit->gone, 0);
        g_string_truncate(audit->forgotten, 0);
        gboolean was_failed = audit->failed;
        audit->failed = !begin_file(audit, fleet, was_failed ? NULL : &error);
        if (error != NULL)
            fail(audit, error);
        return;
    }
    g_string_assign(out, "{\"kind\": \"tick\", ");
    add_wall_clock(out);
    g_string_append_printf(out, "\"t\": %" G_GINT64_FORMAT ", \"host\": {", now);
    record_write(out, AUDIT_HOST, &fleet->host, NULL);
    g_string_append_c(out, '}');
    add_list(out, "gone", audit->gone);
    add_list(out, "come", audit->come);
    add_list(out, "forgotten", audit->forgotten);
    g_string_append(out, ", \"seen\": {");
    for (guint i = 0; i < fleet->count; i++)
        if (fleet->places[i].key != NULL)
            add_seen(audit, i, &fleet->guests[i], now, &any);
    g_string_append_c(out, '}');
    add_changes(out, fleet);
    g_string_append_printf(out, ", \"check\": \"%016" G_GINT64_MODIFIER "x\"", fleet_check(fleet));
    audit_laws_add_tick(audit->logged, out, fleet);
    if (!write_line(audit, &error))
        fail(audit, error);
}

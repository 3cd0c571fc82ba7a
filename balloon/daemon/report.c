// SPDX-License-Identifier: GPL-2.0-or-later
#include "balloon/daemon/report.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <unistd.h>

#include "balloon/daemon/audit-private.h"
#include "lib/jsonstream.h"
#include "lib/memory.h"

/* A status of more guests is worth giving its memory back. */
#define STATUS_MANY 100

/* ---- JSON ---- */

/* Numbers that are not known are left out. */
static void set_number(JsonObject *object, const char *name, gint64 value)
{
    if (value != POLICY_UNKNOWN)
        json_object_set_int_member(object, name, value);
}

static void set_fields(JsonObject *object, const RecordField *fields, gconstpointer record)
{
    for (; fields->name != NULL; fields++)
        set_number(object, fields->name, record_get(fields, record));
}

static JsonObject *guest_object(const Loop *loop, guint place)
{
    const FleetGuest *guest = &loop->fleet.places[place];
    const PolicyDecision *decision = &loop->fleet.decisions[place];
    const char *why_not = loop_why_not(loop, place);
    JsonObject *object = json_object_new();
    json_object_set_string_member(object, "name", guest->name);
    json_object_set_string_member(object, "uuid", guest->uuid);
    json_object_set_boolean_member(object, "managed", why_not == NULL);
    if (why_not != NULL)
        json_object_set_string_member(object, "why_not", why_not);
    if (guest->class != NULL)
        json_object_set_string_member(object, "class", guest->class);
    json_object_set_int_member(object, "size", loop->fleet.guests[place].actual);
    json_object_set_int_member(object, "max", loop->fleet.guests[place].max);
    if (why_not == NULL) {
        json_object_set_int_member(object, "target", decision->target);
        json_object_set_int_member(object, "need", decision->need);
        json_object_set_string_member(object, "trust", policy_trust_name(decision->trust));
    }
    json_object_set_string_member(object, "reason", policy_reason_name(guest->reason));
    if (guest->changes > 0) {
        json_object_set_int_member(object, "from", guest->was);
        json_object_set_int_member(object, "to", guest->now);
        json_object_set_int_member(object, "age_ms", loop->now - guest->changed_at);
    }
    json_object_set_int_member(object, "changes", (gint64)guest->changes);
    json_object_set_int_member(object, "refused", (gint64)guest->refused);
    return object;
}

static JsonObject *host_object(const Loop *loop)
{
    JsonObject *object = json_object_new();
    set_fields(object, AUDIT_HOST, &loop->fleet.host);
    set_number(object, "swapped_in", loop->rates.swapped_in);
    set_number(object, "swapped_out", loop->rates.swapped_out);
    set_number(object, "major_faults", loop->rates.major_faults);
    return object;
}

JsonObject *report_status(const Loop *loop)
{
    JsonObject *object = json_object_new();
    JsonArray *sources = json_array_new(), *guests = json_array_new();
    json_object_set_boolean_member(object, "dry_run", loop->dry_run);
    json_object_set_boolean_member(object, "paused", loop->paused);
    json_object_set_boolean_member(object, "settling", loop->now < loop->settle_until);
    json_object_set_boolean_member(object, "pressure_watched", loop->watches);
    json_object_set_int_member(object, "ticks", (gint64)loop->ticks);
    json_object_set_int_member(object, "late", (gint64)loop->late);
    json_object_set_int_member(object, "changes", (gint64)loop->changes);
    json_object_set_int_member(object, "refused", (gint64)loop->refused);
    json_object_set_object_member(object, "host", host_object(loop));
    json_object_set_object_member(object, "ksm", ksm_status(loop->ksm, &loop->fleet));
    json_object_set_object_member(object, "numa", numa_status(loop->numa, &loop->fleet));
    json_object_set_object_member(object, "vcpu", vcpus_status(loop->vcpus));
    for (guint i = 0; i < loop->feeds->len; i++) {
        const Feed *feed = loop->feeds->pdata[i];
        JsonObject *source = json_object_new();
        json_object_set_string_member(source, "name", feed->connect->name);
        json_object_set_boolean_member(source, "answers", !feed->failing);
        if (feed->failing)
            json_object_set_string_member(source, "error", feed->why != NULL ? feed->why : "unknown");
        json_array_add_object_element(sources, source);
    }
    json_object_set_array_member(object, "sources", sources);
    for (guint i = 0; i < loop->fleet.count; i++)
        if (loop->fleet.places[i].key != NULL)
            json_array_add_object_element(guests, guest_object(loop, i));
    json_object_set_array_member(object, "guests", guests);
    return object;
}

JsonObject *report_explain(const Loop *loop, guint place)
{
    const PolicyGuest *seen = &loop->fleet.guests[place];
    const PolicyGuestState *state = &loop->fleet.states[place];
    const PolicyDecision *decision = &loop->fleet.decisions[place];
    JsonObject *object = guest_object(loop, place);
    JsonObject *inputs = json_object_new(), *derived = json_object_new();
    set_fields(inputs, AUDIT_GUEST, seen);
    json_object_remove_member(inputs, "flags");
    set_number(inputs, "stats_age", seen->stats_age);
    json_object_set_object_member(object, "inputs", inputs);
    set_fields(derived, AUDIT_DECISION, decision);
    json_object_set_int_member(derived, "pain", state->pain / 16);
    json_object_set_int_member(derived, "in_swap", state->in_swap);
    json_object_set_int_member(derived, "busy", state->busy);
    json_object_set_int_member(derived, "reversals_left", loop->fleet.state.tokens / 1000);
    json_object_set_int_member(
        derived, "floor", seen->min > 0 ? seen->min : seen->max * loop->fleet.config.min_permille / 1000);
    if (state->hurt_at > 0)
        json_object_set_int_member(derived, "hurt_age", loop->now - state->hurt_at);
    json_object_set_object_member(object, "derived", derived);
    JsonObject *ksm = ksm_explain(&loop->fleet, place);
    JsonObject *numa = numa_explain(loop->numa, &loop->fleet, place);
    if (ksm != NULL)
        json_object_set_object_member(object, "ksm", ksm);
    if (numa != NULL)
        json_object_set_object_member(object, "numa", numa);
    JsonObject *vcpu = vcpus_explain(loop->vcpus, place, loop->now);
    if (vcpu != NULL)
        json_object_set_object_member(object, "vcpu", vcpu);
    JsonObject *host = host_object(loop), *marks = json_object_new();
    json_object_set_int_member(marks, "high", loop->fleet.config.high_permille);
    json_object_set_int_member(marks, "ease", loop->fleet.config.ease_permille);
    json_object_set_int_member(marks, "soft", loop->fleet.config.soft_permille);
    json_object_set_int_member(marks, "crit", loop->fleet.config.crit_permille);
    json_object_set_object_member(host, "marks", marks);
    json_object_set_object_member(object, "host", host);
    return object;
}

/* ---- OpenMetrics ---- */

static void add_label(GString *out, const char *text)
{
    for (; *text != '\0'; text++) {
        if (*text == '\\' || *text == '"')
            g_string_append_c(out, '\\');
        if (*text == '\n')
            g_string_append(out, "\\n");
        else
            g_string_append_c(out, *text);
    }
}

typedef gboolean (*MetricFunc)(const Loop *loop, guint place, gint64 *value);

static gboolean size_of(const Loop *loop, guint place, gint64 *value)
{
    *value = loop->fleet.guests[place].actual << 20;
    return TRUE;
}

static gboolean target_of(const Loop *loop, guint place, gint64 *value)
{
    *value = loop->fleet.decisions[place].target << 20;
    return loop_why_not(loop, place) == NULL;
}

static gboolean need_of(const Loop *loop, guint place, gint64 *value)
{
    *value = loop->fleet.decisions[place].need << 20;
    return loop_why_not(loop, place) == NULL;
}

static gboolean trusted(const Loop *loop, guint place, gint64 *value)
{
    *value = loop->fleet.decisions[place].trust == POLICY_TRUST_FULL;
    return loop_why_not(loop, place) == NULL;
}

static gboolean changes_of(const Loop *loop, guint place, gint64 *value)
{
    *value = (gint64)loop->fleet.places[place].changes;
    return TRUE;
}

static void add_family(GString *out, const Loop *loop, const char *name, const char *type, const char *unit,
                       const char *help, const char *suffix, MetricFunc func)
{
    g_string_append_printf(out, "# TYPE %s %s\n", name, type);
    if (unit != NULL)
        g_string_append_printf(out, "# UNIT %s %s\n", name, unit);
    g_string_append_printf(out, "# HELP %s %s\n", name, help);
    for (guint i = 0; i < loop->fleet.count; i++) {
        const FleetGuest *guest = &loop->fleet.places[i];
        gint64 value;
        if (guest->key == NULL || !func(loop, i, &value))
            continue;
        g_string_append_printf(out, "%s%s{guest=\"", name, suffix);
        add_label(out, guest->name);
        g_string_append_printf(out, "\",uuid=\"%s\"} %" G_GINT64_FORMAT "\n", guest->uuid, value);
    }
}

static void add_counter(GString *out, const char *name, const char *help, guint64 value)
{
    g_string_append_printf(out, "# TYPE %s counter\n# HELP %s %s\n%s_total %" G_GUINT64_FORMAT "\n", name,
                           name, help, name, value);
}

GString *report_metrics(const Loop *loop)
{
    GString *out = g_string_new(NULL);
    add_counter(out, "balloond_ticks", "Steps of the policy.", loop->ticks);
    add_counter(out, "balloond_late", "Ticks at which the step before was not done.", loop->late);
    add_counter(out, "balloond_refused", "Changes that a hypervisor refused.", loop->refused);
    g_string_append(out, "# TYPE balloond_host_memory_bytes gauge\n# UNIT balloond_host_memory_bytes bytes\n"
                         "# HELP balloond_host_memory_bytes Memory of the host.\n");
    g_string_append_printf(out, "balloond_host_memory_bytes{kind=\"total\"} %" G_GINT64_FORMAT "\n",
                           loop->fleet.host.total << 20);
    g_string_append_printf(out, "balloond_host_memory_bytes{kind=\"available\"} %" G_GINT64_FORMAT "\n",
                           loop->fleet.host.available << 20);
    ksm_metrics(loop->ksm, &loop->fleet, out);
    numa_metrics(loop->numa, &loop->fleet, out);
    vcpus_metrics(loop->vcpus, out);
    add_family(out, loop, "balloond_guest_size_bytes", "gauge", "bytes", "What the balloon leaves a guest.",
               "", size_of);
    add_family(out, loop, "balloond_guest_target_bytes", "gauge", "bytes", "What it should.", "", target_of);
    add_family(out, loop, "balloond_guest_need_bytes", "gauge", "bytes", "What the policy thinks it needs.",
               "", need_of);
    add_family(out, loop, "balloond_guest_trusted", "gauge", NULL, "Whether its statistics are believed.", "",
               trusted);
    add_family(out, loop, "balloond_guest_changes", "counter", NULL, "Changes of its size.", "_total",
               changes_of);
    g_string_append(out, "# EOF\n");
    return out;
}

/* ---- files ---- */

/* Readers see the old text or the new one. Not g_file_set_contents(), which waits for the disk: after a crash
 * of the machine nobody wants the state of before. */
static void write_file(const char *path, const GString *text)
{
    g_autofree char *beside = g_strconcat(path, ".new", NULL);
    int fd = g_open(beside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644);
    gboolean good = fd >= 0;
    for (gsize done = 0; good && done < text->len;) {
        gssize written = write(fd, text->str + done, text->len - done);
        good = written > 0;
        done += good ? (gsize)written : 0;
    }
    if (good)
        good = g_rename(beside, path) == 0;
    if (!good)
        g_info("%s: %s", path, g_strerror(errno));
    if (fd >= 0)
        close(fd);
    if (!good && fd >= 0)
        g_unlink(beside);
}

void report_write_files(Loop *loop)
{
    if (loop->settings->status_file != NULL) {
        g_autoptr(JsonNode) node = json_node_init_object(json_node_alloc(), NULL);
        GString *text = g_string_new(NULL);
        json_node_take_object(node, report_status(loop));
        json_write(node, text);
        g_string_append_c(text, '\n');
        write_file(loop->settings->status_file, text);
        g_string_free(text, TRUE);
        if (loop->fleet.count > STATUS_MANY)
            memory_give_back_later();
    }
    if (loop->settings->metrics_file != NULL) {
        GString *text = report_metrics(loop);
        write_file(loop->settings->metrics_file, text);
        g_string_free(text, TRUE);
    }
}

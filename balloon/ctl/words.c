// SPDX-License-Identifier: GPL-2.0-or-later
#include "balloon/ctl/words.h"

#include <string.h>

#include "lib/text.h"

#define NAME_WIDTH 24
#define D          "%" G_GINT64_FORMAT

/* ---- members ---- */

gint64 words_number(JsonObject *object, const char *name)
{
    return json_object_get_int_member_with_default(object, name, -1);
}

const char *words_text(JsonObject *object, const char *name)
{
    return json_object_get_string_member_with_default(object, name, "-");
}

gboolean words_is(JsonObject *object, const char *name)
{
    return json_object_get_boolean_member_with_default(object, name, FALSE);
}

JsonObject *words_object(JsonObject *object, const char *name)
{
    JsonNode *node = json_object_get_member(object, name);
    return node != NULL && JSON_NODE_HOLDS_OBJECT(node) ? json_node_get_object(node) : NULL;
}

/* What is not known, or does not apply, is a dash. */
static char *number(JsonObject *object, const char *name)
{
    gint64 value = words_number(object, name);
    return value < 0 ? g_strdup("-") : g_strdup_printf(D, value);
}

/* "95 s", "12 min", "3 h" */
static char *duration(gint64 ms)
{
    gint64 s = ms / 1000;
    return s < 120        ? g_strdup_printf(D " s", s)
           : s < 2 * 3600 ? g_strdup_printf(D " min", s / 60)
                          : g_strdup_printf(D " h", s / 3600);
}

/* ---- lines ---- */

char *words_host(JsonObject *status)
{
    JsonObject *host = words_object(status, "host");
    gint64 available = host != NULL ? words_number(host, "available") : -1;
    gint64 total = host != NULL ? words_number(host, "total") : -1;
    return g_strdup_printf("host: " D " of " D " MiB available (" D " %%)%s%s%s", available, total,
                           total > 0 ? available * 100 / total : 0,
                           words_is(status, "dry_run") ? ", dry run" : "",
                           words_is(status, "paused") ? ", paused" : "",
                           words_is(status, "settling") ? ", has just started" : "");
}

char *words_ksm(JsonObject *status)
{
    JsonObject *ksm = words_object(status, "ksm");
    if (ksm == NULL || strcmp(words_text(ksm, "mode"), "off") == 0)
        return NULL;
    if (json_object_has_member(ksm, "why_not"))
        return g_strdup_printf("ksm: left alone: %s", words_text(ksm, "why_not"));
    gint64 cpu = words_number(ksm, "cpu_ms");
    return g_strdup_printf("ksm: %s (%s), " D " MiB saved, " D "." D " s of CPU time used",
                           words_text(ksm, "phase"), words_text(ksm, "reason"), words_number(ksm, "saved"),
                           cpu / 1000, cpu % 1000 / 100);
}

char *words_numa(JsonObject *status)
{
    GString *out = g_string_new(NULL);
    JsonObject *numa = words_object(status, "numa");
    JsonArray *rows = numa != NULL && json_object_has_member(numa, "advice")
                          ? json_object_get_array_member(numa, "advice")
                          : NULL;
    for (guint i = 0; rows != NULL && i < json_array_get_length(rows); i++) {
        JsonObject *row = json_array_get_object_element(rows, i);
        g_autofree char *name = text_clean(words_text(row, "guest"));
        g_string_append_printf(out, "numa: %s %s node " D ", " D " %% of its accesses are local\n", name,
                               strcmp(words_text(numa, "mode"), "act") == 0 ? "was led to" : "should be on",
                               words_number(row, "node"), words_number(row, "local") / 10);
    }
    return g_string_free(out, FALSE);
}

char *words_silent(JsonObject *status)
{
    GString *out = g_string_new(NULL);
    JsonArray *sources = json_object_get_array_member(status, "sources");
    for (guint i = 0; i < json_array_get_length(sources); i++) {
        JsonObject *source = json_array_get_object_element(sources, i);
        if (json_object_get_boolean_member_with_default(source, "answers", TRUE))
            continue;
        g_autofree char *name = text_clean(words_text(source, "name"));
        g_autofree char *why = text_clean(words_text(source, "error"));
        g_string_append_printf(out, "%s does not answer: %s\n", name, why);
    }
    return g_string_free(out, FALSE);
}

char *words_heading(void)
{
    return g_strdup_printf("%-*s %9s %9s %9s  %-8s  %s", NAME_WIDTH, "GUEST", "SIZE", "NEED", "TARGET",
                           "TRUST", "LAST CHANGE");
}

static char *last_change(JsonObject *guest)
{
    gint64 from = words_number(guest, "from"), to = words_number(guest, "to");
    if (json_object_has_member(guest, "why_not"))
        return g_strdup_printf("left alone: %s", words_text(guest, "why_not"));
    if (from < 0)
        return g_strdup("-");
    g_autofree char *ago = duration(words_number(guest, "age_ms"));
    return g_strdup_printf("%s: " D " -> " D ", %s ago", words_text(guest, "reason"), from, to, ago);
}

char *words_guest(JsonObject *guest)
{
    g_autofree char *name = text_fit(words_text(guest, "name"), NAME_WIDTH, TRUE);
    g_autofree char *size = number(guest, "size"), *need = number(guest, "need");
    g_autofree char *target = number(guest, "target"), *change = last_change(guest);
    return g_strdup_printf("%s %9s %9s %9s  %-8s  %s", name, size, need, target, words_text(guest, "trust"),
                           change);
}

/* ---- explain ---- */

/* What a reason means, in the words of docs/policy.md. */
static const char *rule_of(const char *reason)
{
    static const struct {
        const char *reason, *rule;
    } rules[] = {
        {"none", "nothing has been changed since it was seen first"},
        {"adopted", "this size was found when it was seen first"},
        {"need",
         "its free memory fell below half of the guard: it was given what it used and 1.5 times the guard"},
        {"pain", "it read pages back from its swap: it was given what it read, at once"},
        {"minimum", "it was below its minimum"},
        {"give-back", "the host had memory to spare again"},
        {"ease", "it had not needed this for a quarter of an hour"},
        {"soft", "the host was short: it had not needed this for some minutes"},
        {"short", "the host was short: it does not need this now"},
        {"probe",
         "the host was short: memory in use that may be cold was taken; if that hurts, it comes back"},
        {"critical", "the host was about to swap: all give, down to their minimum"},
        {"stalled", "its balloon did not follow its target, which was taken back"},
    };
    for (guint i = 0; i < G_N_ELEMENTS(rules); i++)
        if (strcmp(rules[i].reason, reason) == 0)
            return rules[i].rule;
    return "this program does not know that reason";
}

static const char *meaning_of_trust(const char *trust)
{
    return strcmp(trust, "full") == 0       ? "its statistics are fresh and fit what the host sees"
           : strcmp(trust, "stale") == 0    ? "its statistics are too old: nothing is taken from it"
           : strcmp(trust, "dark") == 0     ? "it tells no statistics: most of its maximum stays to it"
           : strcmp(trust, "lying") == 0    ? "its statistics contradict what it does: as if it told none"
           : strcmp(trust, "nodriver") == 0 ? "its balloon does not follow: it is left alone for ten minutes"
                                            : "-";
}

static void add_head(GString *out, JsonObject *guest, JsonObject *inputs, JsonObject *derived)
{
    g_autofree char *name = text_clean(words_text(guest, "name"));
    g_string_append_printf(out, "%s (%s)", name, words_text(guest, "uuid"));
    if (json_object_has_member(guest, "class"))
        g_string_append_printf(out, ", of class %s", words_text(guest, "class"));
    g_string_append_printf(out, "\nIt has " D " MiB; at least " D ", at most " D ", with " D " shares.\n",
                           words_number(guest, "size"), words_number(derived, "floor"),
                           words_number(inputs, "max"), words_number(inputs, "shares"));
    if (json_object_has_member(guest, "why_not"))
        g_string_append_printf(out, "It is left alone: %s.\n", words_text(guest, "why_not"));
    else
        g_string_append_printf(out, "It needs " D " MiB and should have " D ".\n",
                               words_number(guest, "need"), words_number(guest, "target"));
}

static void add_rule(GString *out, JsonObject *guest)
{
    if (words_number(guest, "from") >= 0) {
        g_autofree char *ago = duration(words_number(guest, "age_ms"));
        g_string_append_printf(out, "Last change: " D " -> " D " MiB, %s ago (%s)\n",
                               words_number(guest, "from"), words_number(guest, "to"), ago,
                               words_text(guest, "reason"));
    }
    g_string_append_printf(out, "Why:         %s.\n", rule_of(words_text(guest, "reason")));
    if (words_number(guest, "refused") > 0)
        g_string_append_printf(out, "             Its hypervisor has refused " D " changes.\n",
                               words_number(guest, "refused"));
}

static void add_seen(GString *out, JsonObject *guest, JsonObject *inputs, JsonObject *derived)
{
    gint64 age = words_number(inputs, "stats_age");
    g_autofree char *told = age >= 0 ? duration(age) : NULL;
    if (json_object_has_member(guest, "trust"))
        g_string_append_printf(out, "Trust %s: %s.\n", words_text(guest, "trust"),
                               meaning_of_trust(words_text(guest, "trust")));
    if (told != NULL) {
        g_autofree char *usable = number(inputs, "usable"), *unused = number(inputs, "unused");
        g_autofree char *caches = number(inputs, "caches"), *in = number(inputs, "swapped_in");
        g_autofree char *swapped = number(inputs, "swapped_out"), *faults = number(inputs, "major_faults");
        g_string_append_printf(out,
                               "It told %s ago: %s MiB usable without swapping (%s empty, %s file cache);\n"
                               "  since it started %s MiB swapped out and %s read back, %s major faults.\n",
                               told, usable, unused, caches, swapped, in, faults);
    }
    gint64 busy = words_number(derived, "busy");
    g_autofree char *rss = number(inputs, "rss");
    g_string_append_printf(out, "The host sees: it holds %s MiB, and its vCPUs take " D "." D " CPUs.\n", rss,
                           MAX(busy, 0) / 1000, MAX(busy, 0) % 1000 / 100);
}

static void add_derived(GString *out, JsonObject *guest, JsonObject *derived)
{
    gint64 used = words_number(derived, "used"), guard = words_number(derived, "guard");
    gint64 need = words_number(derived, "need"), pain = words_number(derived, "pain");
    gint64 hurt = words_number(derived, "hurt_age"), in_swap = words_number(derived, "in_swap");
    if (json_object_has_member(guest, "why_not"))
        return;
    if (json_object_has_member(guest, "trust") && strcmp(words_text(guest, "trust"), "dark") == 0) {
        g_string_append_printf(out, "Its need: not known; " D " MiB is what it is left at the least.\n",
                               need);
    } else {
        g_string_append_printf(out, "Its need: " D " MiB used + " D " guard%s = " D " MiB.\n", used, guard,
                               used + guard == need ? ""
                               : used + guard < words_number(derived, "floor")
                                   ? ", but no less than its minimum"
                               : used + guard > need ? ", but no more than its maximum"
                                                     : ", and what it lately needed",
                               need);
    }
    if (pain > 0)
        g_string_append_printf(out, "It is in pain: it reads " D " MiB/s back from its swap.\n", pain);
    else if (hurt >= 0) {
        g_autofree char *ago = duration(hurt);
        g_string_append_printf(out, "It is not in pain now, and was %s ago.\n", ago);
    } else
        g_string_append(out, "It has not been in pain.\n");
    if (in_swap > 0)
        g_string_append_printf(out, "About " D " MiB of it are in its swap and may be wanted back.\n",
                               in_swap);
}

static void add_host(GString *out, JsonObject *host, JsonObject *derived)
{
    JsonObject *marks = words_object(host, "marks");
    gint64 total = words_number(host, "total"), available = words_number(host, "available");
    gint64 permille = total > 0 ? available * 1000 / total : 0;
    g_string_append_printf(out, "The host has " D " of " D " MiB available: " D "." D " %%", available, total,
                           permille / 10, permille % 10);
    if (marks != NULL) {
        gint64 high = words_number(marks, "high"), ease = words_number(marks, "ease");
        gint64 soft = words_number(marks, "soft"), crit = words_number(marks, "crit");
        g_string_append_printf(out, ", %s",
                               permille < crit   ? "less than crit: all give, down to their minimum"
                               : permille < soft ? "less than soft: those give that need it least"
                               : permille < high ? "less than high: nothing is given back"
                               : permille < ease ? "enough to give back, and what is long unused is taken"
                                                 : "enough: what was taken is given back");
        g_string_append_printf(
            out, "\n  (crit " D "." D " %%, soft " D "." D " %%, high " D "." D " %%, ease " D "." D " %%)",
            crit / 10, crit % 10, soft / 10, soft % 10, high / 10, high % 10, ease / 10, ease % 10);
    }
    g_string_append(out, ".\n");
    if (words_number(host, "psi_full") > 0)
        g_string_append_printf(out, "All its tasks waited for memory for " D "." D " %% of the last 10 s.\n",
                               words_number(host, "psi_full") / 10, words_number(host, "psi_full") % 10);
    g_string_append_printf(out, "Changes of direction that are left to all guests: " D ".\n",
                           words_number(derived, "reversals_left"));
}

/* Of a law's part; its name. */
static const char *title_of(const char *law)
{
    return strcmp(law, "ksm") == 0    ? "KSM (MiB)"
           : strcmp(law, "numa") == 0 ? "NUMA (permille; ms; MiB)"
           : strcmp(law, "vcpu") == 0 ? "vCPUs (ms; permille of a CPU)"
                                      : law;
}

/* What further laws tell, by their names for it. */
static void add_others(GString *out, JsonObject *guest)
{
    static const char *const known[] = {"inputs", "derived", "host", NULL};
    g_autoptr(GList) names = json_object_get_members(guest);
    for (GList *name = names; name != NULL; name = name->next) {
        JsonObject *law = words_object(guest, name->data);
        if (law == NULL || g_strv_contains(known, name->data))
            continue;
        g_autoptr(GList) members = json_object_get_members(law);
        g_string_append_printf(out, "%s:", title_of(name->data));
        for (GList *member = members; member != NULL; member = member->next) {
            JsonNode *node = json_object_get_member(law, member->data);
            if (!JSON_NODE_HOLDS_VALUE(node))
                continue;
            g_string_append_printf(out, "%s %s ", member == members ? "" : ",", (const char *)member->data);
            if (json_node_get_value_type(node) == G_TYPE_STRING) {
                g_autofree char *clean = text_clean(json_node_get_string(node));
                g_string_append(out, clean);
            } else {
                g_string_append_printf(out, D, json_node_get_int(node));
            }
        }
        g_string_append_c(out, '\n');
    }
}

char *words_explanation(JsonObject *guest)
{
    GString *out = g_string_new(NULL);
    JsonObject *inputs = words_object(guest, "inputs"), *derived = words_object(guest, "derived");
    JsonObject *host = words_object(guest, "host");
    if (inputs == NULL || derived == NULL || host == NULL)
        return g_string_free(g_string_append(out, "This daemon explains nothing.\n"), FALSE);
    add_head(out, guest, inputs, derived);
    add_rule(out, guest);
    g_string_append_c(out, '\n');
    add_seen(out, guest, inputs, derived);
    add_derived(out, guest, derived);
    g_string_append_c(out, '\n');
    add_host(out, host, derived);
    add_others(out, guest);
    return g_string_free(out, FALSE);
}

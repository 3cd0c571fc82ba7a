// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * balloonctl: asks a running balloond, and computes its log's decisions again.
 */
#include "config.h"

#include <stdio.h>
#include <string.h>

#include "balloon/ctl/ctl.h"
#include "balloon/daemon/audit.h"
#include "balloon/daemon/control.h"
#include "lib/qmp-client.h"

#define ANSWER_MS 5000

int ctl_fail(GError *error)
{
    fprintf(stderr, "balloonctl: %s\n", error->message);
    g_error_free(error);
    return 1;
}

/* ---- asking ---- */

static JsonNode *ask(const Call *call, const char *command, const char *guest, GError **error)
{
    g_autofree char *path = call->socket != NULL ? g_strdup(call->socket) : control_default_path();
    g_autoptr(QmpClient) client = qmp_client_open(path, ANSWER_MS, error);
    JsonObject *arguments = NULL;
    if (client == NULL) {
        g_prefix_error(error, "%s: ", path);
        return NULL;
    }
    if (guest != NULL) {
        arguments = json_object_new();
        json_object_set_string_member(arguments, "guest", guest);
    }
    return qmp_client_call(client, command, arguments, ANSWER_MS, error);
}

static void print_json(JsonNode *node)
{
    g_autoptr(GString) text = g_string_new(NULL);
    json_write(node, text);
    puts(text->str);
}

static gint64 number(JsonObject *object, const char *name)
{
    return json_object_get_int_member_with_default(object, name, -1);
}

static const char *text(JsonObject *object, const char *name)
{
    return json_object_get_string_member_with_default(object, name, "-");
}

/* What is not known, or does not apply, is a dash. */
static char *mib(JsonObject *object, const char *name)
{
    gint64 value = number(object, name);
    return value < 0 ? g_strdup("-") : g_strdup_printf("%" G_GINT64_FORMAT, value);
}

/* Names are their owners': no control bytes for the terminal. */
static char *printable(const char *name)
{
    char *copy = g_strdup(name);
    for (char *at = copy; *at != '\0'; at++)
        if (g_ascii_iscntrl(*at))
            *at = '?';
    return copy;
}

static void print_guest(JsonObject *guest)
{
    g_autofree char *name = printable(text(guest, "name"));
    g_autofree char *size = mib(guest, "size"), *need = mib(guest, "need"), *target = mib(guest, "target");
    gint64 from = number(guest, "from"), to = number(guest, "to"), age = number(guest, "age_ms");
    printf("%-24s %9s %9s %9s  %-8s  ", name, size, need, target, text(guest, "trust"));
    if (json_object_has_member(guest, "why_not"))
        printf("left alone: %s\n", text(guest, "why_not"));
    else if (from >= 0)
        printf("%s: %" G_GINT64_FORMAT " -> %" G_GINT64_FORMAT ", %" G_GINT64_FORMAT " s ago\n",
               text(guest, "reason"), from, to, age / 1000);
    else
        puts("-");
}

static void print_host(JsonObject *status)
{
    JsonObject *host = json_object_get_object_member(status, "host");
    printf("host: %" G_GINT64_FORMAT " of %" G_GINT64_FORMAT " MiB available%s%s%s\n",
           number(host, "available"), number(host, "total"),
           json_object_get_boolean_member_with_default(status, "dry_run", FALSE) ? ", dry run" : "",
           json_object_get_boolean_member_with_default(status, "paused", FALSE) ? ", paused" : "",
           json_object_get_boolean_member_with_default(status, "settling", FALSE) ? ", has just started"
                                                                                  : "");
}

static void print_ksm(JsonObject *status)
{
    JsonObject *ksm =
        json_object_has_member(status, "ksm") ? json_object_get_object_member(status, "ksm") : NULL;
    if (ksm == NULL || strcmp(text(ksm, "mode"), "off") == 0)
        return;
    if (json_object_has_member(ksm, "why_not"))
        printf("ksm: left alone: %s\n", text(ksm, "why_not"));
    else
        printf("ksm: %s (%s), %" G_GINT64_FORMAT " MiB saved, %" G_GINT64_FORMAT ".%" G_GINT64_FORMAT
               " s of CPU time used\n",
               text(ksm, "phase"), text(ksm, "reason"), number(ksm, "saved"), number(ksm, "cpu_ms") / 1000,
               number(ksm, "cpu_ms") % 1000 / 100);
}

static void print_status(JsonObject *status)
{
    JsonArray *guests = json_object_get_array_member(status, "guests");
    JsonArray *sources = json_object_get_array_member(status, "sources");
    print_host(status);
    print_ksm(status);
    for (guint i = 0; i < json_array_get_length(sources); i++) {
        JsonObject *source = json_array_get_object_element(sources, i);
        if (!json_object_get_boolean_member_with_default(source, "answers", TRUE)) {
            g_autofree char *why = printable(text(source, "error"));
            printf("%s does not answer: %s\n", text(source, "name"), why);
        }
    }
    printf("%-24s %9s %9s %9s  %-8s  %s\n", "GUEST", "SIZE", "NEED", "TARGET", "TRUST", "LAST CHANGE");
    for (guint i = 0; i < json_array_get_length(guests); i++)
        print_guest(json_array_get_object_element(guests, i));
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
           : strcmp(trust, "stale") == 0    ? "its statistics are too old: nothing is done to it"
           : strcmp(trust, "dark") == 0     ? "it tells no statistics: most of its maximum stays to it"
           : strcmp(trust, "lying") == 0    ? "its statistics contradict what it does: as if it told none"
           : strcmp(trust, "nodriver") == 0 ? "its balloon does not follow: it is left alone for ten minutes"
                                            : "-";
}

static void print_members(const char *title, JsonObject *object)
{
    g_autoptr(GList) names = json_object_get_members(object);
    printf("%s\n", title);
    for (GList *name = names; name != NULL; name = name->next)
        printf("  %-14s %" G_GINT64_FORMAT "\n", (const char *)name->data, number(object, name->data));
}

static void print_explanation(JsonObject *guest)
{
    g_autofree char *name = printable(text(guest, "name"));
    printf("%s (%s)\n", name, text(guest, "uuid"));
    if (json_object_has_member(guest, "why_not"))
        printf("It is left alone: %s.\n", text(guest, "why_not"));
    else
        printf("It has %" G_GINT64_FORMAT " MiB, should have %" G_GINT64_FORMAT " and needs %" G_GINT64_FORMAT
               ".\nTrust %s: %s.\n",
               number(guest, "size"), number(guest, "target"), number(guest, "need"), text(guest, "trust"),
               meaning_of_trust(text(guest, "trust")));
    if (number(guest, "from") >= 0)
        printf("Last change, %" G_GINT64_FORMAT " s ago: %" G_GINT64_FORMAT " -> %" G_GINT64_FORMAT " MiB.\n",
               number(guest, "age_ms") / 1000, number(guest, "from"), number(guest, "to"));
    printf("Why (%s): %s.\n", text(guest, "reason"), rule_of(text(guest, "reason")));
    print_members("What is seen of it (MiB, ms, counts):", json_object_get_object_member(guest, "inputs"));
    print_members("What follows from that:", json_object_get_object_member(guest, "derived"));
    if (json_object_has_member(guest, "ksm"))
        print_members("Of KSM (MiB):", json_object_get_object_member(guest, "ksm"));
    if (json_object_has_member(guest, "vcpu"))
        print_members("Of its vCPUs (ms; permille of a CPU):", json_object_get_object_member(guest, "vcpu"));
    print_members("The host:", json_object_get_object_member(guest, "host"));
}

/* ---- verbs ---- */

static int status_verb(const Call *call, char **words)
{
    GError *error = NULL;
    g_autoptr(JsonNode) node = ask(call, "query-status", NULL, &error);
    if (node == NULL)
        return ctl_fail(error);
    if (call->json)
        print_json(node);
    else
        print_status(json_node_get_object(node));
    return 0;
}

static int explain_verb(const Call *call, char **words)
{
    GError *error = NULL;
    g_autoptr(JsonNode) node = ask(call, "explain", words[0], &error);
    if (node == NULL)
        return ctl_fail(error);
    if (call->json)
        print_json(node);
    else
        print_explanation(json_node_get_object(node));
    return 0;
}

static int set_paused(const Call *call, const char *command, const char *guest)
{
    GError *error = NULL;
    g_autoptr(JsonNode) node = ask(call, command, guest, &error);
    return node != NULL ? 0 : ctl_fail(error);
}

static int pause_verb(const Call *call, char **words)
{
    return set_paused(call, "pause", words[0]);
}

static int resume_verb(const Call *call, char **words)
{
    return set_paused(call, "resume", words[0]);
}

static void print_law(const Fleet *fleet, const Law *law, gint place, gint64 now)
{
    g_autofree char *told = law->class->tell(law, place);
    g_autofree char *name = place >= 0 ? printable(fleet->places[place].name) : NULL;
    if (told != NULL)
        printf("%" G_GINT64_FORMAT " %s%s%s: %s\n", now, name != NULL ? name : "", name != NULL ? " " : "",
               law->class->name, told);
}

static void print_tick(const Fleet *fleet, gint64 now, gpointer user_data)
{
    for (guint i = 0; i < FLEET_LAWS; i++)
        for (gint place = -1; fleet->laws[i].on && place < (gint)fleet->count; place++)
            if (place < 0 || fleet->places[place].key != NULL)
                print_law(fleet, &fleet->laws[i], place, now);
    for (guint i = 0; i < fleet->count; i++) {
        const PolicyDecision *decision = &fleet->decisions[i];
        if (fleet->places[i].key == NULL || !decision->changed)
            continue;
        g_autofree char *name = printable(fleet->places[i].name);
        printf("%" G_GINT64_FORMAT " %s %" G_GINT64_FORMAT " -> %" G_GINT64_FORMAT " %s\n", now, name,
               fleet->guests[i].actual, decision->target, policy_reason_name(decision->reason));
    }
}

static int replay_verb(const Call *call, char **words)
{
    GError *error = NULL;
    AuditReplay result;
    gboolean good = audit_replay(words[0], print_tick, NULL, &result, &error);
    if (!good)
        return ctl_fail(error);
    printf("%" G_GUINT64_FORMAT " ticks, %" G_GUINT64_FORMAT " decisions: all the same\n", result.ticks,
           result.decisions);
    return 0;
}

static const struct {
    const char *name, *words, *help;
    guint least, most;
    int (*run)(const Call *call, char **words);
} VERBS[] = {
    {"status", "", "The host, and each guest's size, need, trust and last change", 0, 0, status_verb},
    {"explain", "GUEST", "What is known of a guest, and the rule behind its size", 1, 1, explain_verb},
    {"pause", "[GUEST]", "Leave a guest, or all, as they are", 0, 1, pause_verb},
    {"resume", "[GUEST]", "Go on with it, or all", 0, 1, resume_verb},
    {"replay", "LOG", "Compute an audit log's decisions again and compare", 1, 1, replay_verb},
    {"place", "CPUS[:MB]", "The nodes on which a new guest is best put, as numad -w tells them", 1, 1,
     place_verb},
    {"import-mom", "FILE", "MOM's configuration or policy as balloond's", 1, 1, import_mom_verb},
    {"import-ksmtuned", "FILE", "ksmtuned's configuration as balloond's", 1, 1, import_ksmtuned_verb},
};

static int usage(void)
{
    fputs("balloonctl: which of these?\n", stderr);
    for (guint i = 0; i < G_N_ELEMENTS(VERBS); i++)
        fprintf(stderr, "  balloonctl %s %s\n", VERBS[i].name, VERBS[i].words);
    return 2;
}

static int run(const Call *call, int argc, char **argv)
{
    for (guint i = 0; argc > 1 && i < G_N_ELEMENTS(VERBS); i++)
        if (strcmp(VERBS[i].name, argv[1]) == 0) {
            guint words = (guint)argc - 2;
            if (words < VERBS[i].least || words > VERBS[i].most)
                return usage();
            return VERBS[i].run(call, argv + 2); /* ended by NULL */
        }
    return usage();
}

int main(int argc, char **argv)
{
    Call call = {0};
    GError *error = NULL;
    gboolean version = FALSE;
    const GOptionEntry entries[] = {
        {"socket", 's', 0, G_OPTION_ARG_FILENAME, &call.socket, "The daemon's socket", "FILE"},
        {"root", 0, 0, G_OPTION_ARG_FILENAME, &call.root, "Read the host's /proc and /sys below DIR", "DIR"},
        {"json", 'j', 0, G_OPTION_ARG_NONE, &call.json, "Print what the daemon says as JSON", NULL},
        {"version", 'V', 0, G_OPTION_ARG_NONE, &version, "Print the version", NULL},
        {NULL}};
    GOptionContext *options = g_option_context_new("VERB [WORD] - asks balloond");
    GString *verbs = g_string_new("Verbs:");
    for (guint i = 0; i < G_N_ELEMENTS(VERBS); i++)
        g_string_append_printf(verbs, "\n  %-16s%-10s %s", VERBS[i].name, VERBS[i].words, VERBS[i].help);
    g_option_context_set_description(options, verbs->str);
    g_option_context_add_main_entries(options, entries, NULL);
    int status = g_option_context_parse(options, &argc, &argv, &error) ? 0 : ctl_fail(error) + 1;
    if (status == 0 && version)
        puts("balloonctl " VERSION);
    else if (status == 0)
        status = run(&call, argc, argv);
    g_option_context_free(options);
    g_string_free(verbs, TRUE);
    g_free(call.socket);
    g_free(call.root);
    return status;
}

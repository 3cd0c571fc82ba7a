// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * balloonctl: asks a running balloond, and computes its log's decisions again.
 */
#include "config.h"

#include <stdio.h>
#include <string.h>

#include "balloon/ctl/ctl.h"
#include "balloon/ctl/words.h"
#include "balloon/daemon/audit.h"
#include "balloon/daemon/control.h"
#include "lib/qmp-client.h"
#include "lib/text.h"

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
    if (client == NULL)
        return NULL;
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

static void print_status(JsonObject *status)
{
    JsonArray *guests = json_object_get_array_member(status, "guests");
    g_autofree char *host = words_host(status), *ksm = words_ksm(status), *silent = words_silent(status);
    g_autofree char *numa = words_numa(status);
    g_autofree char *heading = words_heading();
    puts(host);
    if (ksm != NULL)
        puts(ksm);
    fputs(numa, stdout);
    fputs(silent, stdout);
    puts(heading);
    for (guint i = 0; i < json_array_get_length(guests); i++) {
        g_autofree char *line = words_guest(json_array_get_object_element(guests, i));
        puts(line);
    }
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
    else {
        g_autofree char *text = words_explanation(json_node_get_object(node));
        fputs(text, stdout);
    }
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
    g_autofree char *name = place >= 0 ? text_clean(fleet->places[place].name) : NULL;
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
        g_autofree char *name = text_clean(fleet->places[i].name);
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
    {"top", "", "The same on a screen, every second", 0, 0, top_verb},
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

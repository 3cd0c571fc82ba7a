// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * balloonctl import-mom: MOM's configuration (Python's ConfigParser: "key: value" or "key = value" in
 * sections) with the policies that it names; or one policy alone.
 */
#include "balloon/ctl/import-mom.h"

#include <stdio.h>
#include <string.h>

#include "balloon/ctl/ctl.h"

#define POLICIES_MAX 100

typedef struct Mom {
    Import *import;
    const char *path;
    MomPolicy policy;
    gboolean balloon, ksm; /* of its controllers */
    guint connect_line;
    char *uri;
    GPtrArray *paths; /* of policies, which live as long as the import */
} Mom;

typedef struct Item {
    const char *section, *key, *value;
    guint line;
} Item;

/* ---- what its keys mean ---- */

static void refuse(Mom *mom, const Item *item, const char *why)
{
    import_refuse(mom->import, mom->path, item->line, "[%s] %s: %s", item->section, item->key, why);
}

static void take_seconds(Mom *mom, const Item *item, const char *key, gint64 normal)
{
    gint64 seconds;
    if (!g_ascii_string_to_signed(item->value, 10, 1, 86400, &seconds, NULL))
        refuse(mom, item, "this is no number of seconds");
    else if (seconds != normal)
        import_set(mom->import, mom->path, item->line, "host", key, "%" G_GINT64_FORMAT "s", seconds);
}

static void take_guest_interval(Mom *mom, const Item *item)
{
    take_seconds(mom, item, "stats", 5);
}

static void take_policy_interval(Mom *mom, const Item *item)
{
    take_seconds(mom, item, "tick", 10);
}

static void take_inside(Mom *mom, const Item *item)
{
    import_note(mom->import, mom->path, item->line, "[%s] %s is left out: it is of MOM's inside",
                item->section, item->key);
}

static void take_log(Mom *mom, const Item *item)
{
    import_note(mom->import, mom->path, item->line, "[%s] %s is left out: balloond logs to the journal",
                item->section, item->key);
}

static void take_history(Mom *mom, const Item *item)
{
    if (strcmp(item->value, "10") != 0)
        refuse(mom, item, "balloond takes no means of samples");
}

static void take_hypervisor(Mom *mom, const Item *item)
{
    mom->connect_line = item->line;
    if (strcmp(item->value, "libvirt") != 0)
        refuse(mom, item, "balloond speaks with libvirt and host-vmm, not with VDSM");
}

static void take_uri(Mom *mom, const Item *item)
{
    g_free(mom->uri);
    mom->uri = item->value[0] != '\0' ? g_strdup(item->value) : NULL;
    mom->connect_line = item->line;
}

static void take_plot(Mom *mom, const Item *item)
{
    if (item->value[0] == '\0')
        return;
    import_set(mom->import, mom->path, item->line, "audit", "file", "%s/balloond.jsonl", item->value);
    import_note(mom->import, mom->path, item->line, "plot-dir: the audit log has what was seen and decided");
}

static void take_rpc(Mom *mom, const Item *item)
{
    if (item->value[0] != '\0' && strcmp(item->value, "-1") != 0)
        refuse(mom, item, "balloond has no XML-RPC: it is asked over its control socket, by balloonctl");
}

static void take_policy(Mom *mom, const Item *item)
{
    if (item->value[0] == '\0')
        return;
    char *path = g_path_is_absolute(item->value) ? g_strdup(item->value) : NULL;
    g_autofree char *folder = g_path_get_dirname(mom->path);
    if (path == NULL)
        path = g_build_filename(folder, item->value, NULL);
    g_ptr_array_add(mom->paths, path);
    g_autofree char *text = import_read(mom->import, path, mom->path, item->line);
    if (text != NULL)
        mom_policy_take(&mom->policy, path, text);
}

static gint by_name(gconstpointer a, gconstpointer b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void take_policy_dir(Mom *mom, const Item *item)
{
    g_autoptr(GError) error = NULL;
    if (item->value[0] == '\0')
        return;
    g_autoptr(GDir) dir = g_dir_open(item->value, 0, &error);
    g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func(g_free);
    if (dir == NULL) {
        refuse(mom, item, error->message);
        return;
    }
    for (const char *name; (name = g_dir_read_name(dir)) != NULL && names->len < POLICIES_MAX;)
        if (g_str_has_suffix(name, ".policy"))
            g_ptr_array_add(names, g_build_filename(item->value, name, NULL));
    g_ptr_array_sort(names, by_name);
    for (guint i = 0; i < names->len; i++) {
        Item one = *item;
        one.value = names->pdata[i];
        take_policy(mom, &one);
    }
}

static void take_controllers(Mom *mom, const Item *item)
{
    g_auto(GStrv) names = g_strsplit(item->value, ",", -1);
    mom->balloon = mom->ksm = FALSE;
    for (char **name = names; *name != NULL; name++) {
        g_strstrip(*name);
        if (strcmp(*name, "Balloon") == 0)
            mom->balloon = TRUE;
        else if (strcmp(*name, "KSM") == 0)
            mom->ksm = TRUE;
        else if (strcmp(*name, "CpuTune") == 0 || strcmp(*name, "IoTune") == 0)
            refuse(mom, item, "balloond sets no quota of vCPUs and disks by rules (CpuTune, IoTune)");
        else if ((*name)[0] != '\0')
            refuse(mom, item, "MOM has no such controller");
    }
}

static void take_collectors(Mom *mom, const Item *item)
{
    static const char *const known[] = {
        "HostMemory",   "HostKSM",      "HostCpu",     "HostTime",       "GuestQemuProc",      "GuestMemory",
        "GuestBalloon", "GuestCpuTune", "GuestIoTune", "GuestQemuAgent", "GuestNetworkDaemon", NULL};
    g_auto(GStrv) names = g_strsplit(item->value, ",", -1);
    for (char **name = names; *name != NULL; name++) {
        g_strstrip(*name);
        if (g_str_has_suffix(*name, "Optional"))
            (*name)[strlen(*name) - strlen("Optional")] = '\0';
        if ((*name)[0] != '\0' && !g_strv_contains(known, *name))
            refuse(mom, item, "MOM has no such collector");
    }
    import_note(
        mom->import, mom->path, item->line,
        "[%s] collectors is left out: balloond reads the kernel's and the balloon drivers' statistics",
        item->section);
}

static const struct {
    const char *section, *key; /* key NULL: any */
    void (*take)(Mom *mom, const Item *item);
} KEYS[] = {
    {"main", "main-loop-interval", take_inside},
    {"main", "host-monitor-interval", take_inside},
    {"main", "guest-monitor-interval", take_guest_interval},
    {"main", "guest-manager-interval", take_inside},
    {"main", "guest-manager-multi-thread", take_inside},
    {"main", "policy-engine-interval", take_policy_interval},
    {"main", "hypervisor-interface", take_hypervisor},
    {"main", "libvirt-hypervisor-uri", take_uri},
    {"main", "controllers", take_controllers},
    {"main", "sample-history-length", take_history},
    {"main", "plot-dir", take_plot},
    {"main", "rpc-port", take_rpc},
    {"main", "policy", take_policy},
    {"main", "policy-dir", take_policy_dir},
    {"logging", "log", take_log},
    {"logging", "verbosity", take_log},
    {"logging", "max-bytes", take_log},
    {"logging", "backup-count", take_log},
    {"host", "collectors", take_collectors},
    {"guest", "collectors", take_collectors},
    {"Collector: GuestQemuAgent", NULL, take_inside},
    {"Collector: GuestNetworkDaemon", NULL, take_inside},
};

static void take_item(Mom *mom, const Item *item)
{
    for (guint i = 0; i < G_N_ELEMENTS(KEYS); i++)
        if (strcmp(KEYS[i].section, item->section) == 0 &&
            (KEYS[i].key == NULL || g_ascii_strcasecmp(KEYS[i].key, item->key) == 0)) {
            KEYS[i].take(mom, item);
            return;
        }
    refuse(mom, item, "MOM has no such key");
}

/* ---- its file ---- */

static void take_line(Mom *mom, guint line, char *text, char **section)
{
    gboolean continued = g_ascii_isspace(text[0]);
    text = g_strstrip(text);
    gsize split = strcspn(text, ":=");
    if (text[0] == '\0' || text[0] == '#' || text[0] == ';')
        return;
    if (text[0] == '[' && g_str_has_suffix(text, "]")) {
        g_free(*section);
        *section = g_strndup(text + 1, strlen(text) - 2);
    } else if (continued) {
        import_refuse(mom->import, mom->path, line, "a value that goes on over lines");
    } else if (*section == NULL || text[split] == '\0' || split == 0) {
        import_refuse(mom->import, mom->path, line, "neither a [section] nor \"key: value\" in one");
    } else {
        text[split] = '\0';
        const Item item = {*section, g_strchomp(text), g_strstrip(text + split + 1), line};
        take_item(mom, &item);
    }
}

static void take_conf(Mom *mom, const char *text)
{
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
    g_autofree char *section = NULL;
    for (guint i = 0; lines[i] != NULL; i++)
        take_line(mom, i + 1, lines[i], &section);
    import_set(mom->import, mom->path, mom->connect_line, "connect libvirt", "type", "libvirt");
    if (mom->uri != NULL)
        import_set(mom->import, mom->path, mom->connect_line, "connect libvirt", "uri", "%s", mom->uri);
}

/* A policy begins with a parenthesis, a configuration with a [section]. */
static gboolean is_policy(const char *text)
{
    for (;;) {
        text += strspn(text, " \t\r\n");
        if (*text != '#' && *text != ';')
            return *text == '(';
        text += strcspn(text, "\n");
    }
}

/* says_nothing: of KSM. */
static void conclude(Mom *mom, gboolean says_nothing)
{
    Import *import = mom->import;
    MomPolicy *policy = &mom->policy;
    if (policy->pace_line > 0)
        import_set_pace(import, policy->pace_path, policy->pace_line, policy->pages_max, policy->sleep_ms);
    if (!says_nothing && (!mom->ksm || policy->ksm_off)) {
        import_set(import, mom->path, 0, "ksm", "mode", "off");
    } else if (!says_nothing) {
        import_set(import, mom->path, 0, "ksm", "mode", "auto");
        if (import_get(import, "ksm", "start") == NULL)
            import_set(import, mom->path, 0, "ksm", "start", "20%%");
    }
    if (!mom->balloon || policy->balloon_off) {
        import_set(import, mom->path, 0, "class all", "match", "*");
        import_set(import, mom->path, 0, "class all", "manage", "no");
        import_note(import, mom->path, 0, "ballooning is off: all guests are left as they are");
    }
}

int import_mom_verb(const Call *call, char **words)
{
    g_autoptr(Import) import = import_new(words[0]);
    g_autofree char *text = import_read(import, words[0], NULL, 0);
    g_autoptr(GPtrArray) paths = g_ptr_array_new_with_free_func(g_free);
    Mom mom = {.import = import,
               .path = words[0],
               .policy = {import, 1250, 10, 0, NULL, FALSE, FALSE, FALSE},
               .balloon = TRUE,
               .ksm = TRUE,
               .paths = paths};
    if (text != NULL && is_policy(text))
        mom_policy_take(&mom.policy, words[0], text);
    else if (text != NULL)
        take_conf(&mom, text);
    conclude(&mom, text != NULL && is_policy(text) && !mom.policy.has_ksm);
    g_free(mom.uri);
    return import_finish(import);
}

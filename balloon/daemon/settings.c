// SPDX-License-Identifier: GPL-2.0-or-later
#include "balloon/daemon/settings.h"

#include <gio/gio.h>
#include <string.h>
#include <sys/stat.h>
#include <glib/gstdio.h>

#define MAX_BYTES      (1 << 20)
#define MAX_GROUPS     4096
#define MAX_PROBLEMS   50
#define DEFAULT_SHARES 1000
#define MIB            (1 << 20)

G_DEFINE_QUARK(balloond - settings - error - quark, settings_error)

/* ---- what may stand in the file ---- */

typedef enum {
    KEY_PERMILLE,
    KEY_COUNT,
    KEY_TIME,
    KEY_SIZE,
    KEY_MIB, /* a size in whole MiB */
    KEY_WORD,
    KEY_TEXT,
    KEY_LIST,
    KEY_AMOUNT,
    KEY_BOOL
} KeyType;

typedef struct Key {
    const char *group; /* of those with a name: the word before it */
    const char *name;
    KeyType type;
    gsize offset;
    gint64 least, most;
    const char *const *words; /* of KEY_WORD: their numbers are its values */
} Key;

static const char *const VCPU_MODES[] = {"off", "advise", "act", NULL}; /* VcpuMode */
static const char *const KSM_MODES[] = {"off", "auto", "on", NULL};     /* PolicyKsmMode */
static const char *const NUMA_MODES[] = {"off", "advise", "act", NULL}; /* NumaMode */

#define SECOND           1000
#define HOUR             (3600 * SECOND)
#define OF(type, member) G_STRUCT_OFFSET(type, member)

static const Key KEYS[] = {
    {"host", "tick", KEY_TIME, OF(Settings, tick_ms), 10, 60 * SECOND},
    {"host", "stats", KEY_TIME, OF(Settings, stats_ms), SECOND, 60 * SECOND},
    {"host", "high", KEY_PERMILLE, OF(Settings, policy.high_permille), 1, 1000},
    {"host", "ease", KEY_PERMILLE, OF(Settings, policy.ease_permille), 0, 1000},
    {"host", "soft", KEY_PERMILLE, OF(Settings, policy.soft_permille), 1, 900},
    {"host", "crit", KEY_PERMILLE, OF(Settings, policy.crit_permille), 1, 500},
    {"balloon", "tax", KEY_PERMILLE, OF(Settings, policy.tax_permille), 0, 990},
    {"balloon", "guard", KEY_PERMILLE, OF(Settings, policy.guard_permille), 0, 500},
    {"balloon", "min", KEY_PERMILLE, OF(Settings, policy.min_permille), 1, 1000},
    {"balloon", "dark", KEY_PERMILLE, OF(Settings, policy.dark_permille), 1, 1000},
    {"balloon", "reversals", KEY_COUNT, OF(Settings, policy.reversals), 1, 3600},
    {"balloon", "hold", KEY_TIME, OF(Settings, policy.hold_ms), 0, HOUR},
    {"balloon", "probe", KEY_TIME, OF(Settings, policy.probe_ms), SECOND, HOUR},
    {"ksm", "mode", KEY_WORD, OF(Settings, ksm.mode), 0, 0, KSM_MODES},
    {"ksm", "start", KEY_PERMILLE, OF(Settings, ksm.start_permille), 1, 1000},
    {"ksm", "short", KEY_PERMILLE, OF(Settings, ksm.short_permille), 0, 1000},
    {"ksm", "cpu-budget", KEY_PERMILLE, OF(Settings, ksm.budget_permille), 10, 1000},
    {"ksm", "burst", KEY_TIME, OF(Settings, ksm.burst_ms), 100, HOUR},
    {"ksm", "profit-floor", KEY_MIB, OF(Settings, ksm.profit_floor), MIB, (gint64)MIB << 20},
    {"ksm", "pass", KEY_TIME, OF(Settings, ksm.pass_ms), 10 * SECOND, 24 * HOUR},
    {"ksm", "smart-scan", KEY_BOOL, OF(Settings, ksm_fixed.smart_scan), 0, 0},
    {"ksm", "use-zero-pages", KEY_BOOL, OF(Settings, ksm_fixed.use_zero_pages), 0, 0},
    {"ksm", "merge-across-nodes", KEY_BOOL, OF(Settings, ksm_fixed.merge_across_nodes), 0, 0},
    {"ksm", "max-page-sharing", KEY_COUNT, OF(Settings, ksm_fixed.max_page_sharing), 2, 1 << 20},
    {"numa", "mode", KEY_WORD, OF(Settings, numa_mode), 0, 0, NUMA_MODES},
    {"numa", "local", KEY_PERMILLE, OF(Settings, numa.local_permille), 10, 1000},
    {"numa", "gain", KEY_COUNT, OF(Settings, numa.gain), 1, 1000},
    {"numa", "slice", KEY_MIB, OF(Settings, numa.slice), 16 * (gint64)MIB, 4096 * (gint64)MIB},
    {"numa", "in-flight", KEY_COUNT, OF(Settings, numa.in_flight), 1, 64},
    {"numa", "pause", KEY_TIME, OF(Settings, numa.pause_ms), SECOND, 24 * HOUR},
    {"numa", "sample", KEY_TIME, OF(Settings, numa_sample_ms), 100, HOUR},
    {"vcpu", "mode", KEY_WORD, OF(Settings, vcpu_mode), 0, 0, VCPU_MODES},
    {"vcpu", "up", KEY_PERMILLE, OF(Settings, vcpu.up_permille), 100, 1000},
    {"vcpu", "up-for", KEY_TIME, OF(Settings, vcpu.up_ms), SECOND, HOUR},
    {"vcpu", "up-pause", KEY_TIME, OF(Settings, vcpu.up_pause_ms), SECOND, HOUR},
    {"vcpu", "down", KEY_PERMILLE, OF(Settings, vcpu.down_permille), 10, 1000},
    {"vcpu", "down-for", KEY_TIME, OF(Settings, vcpu.down_ms), SECOND, 24 * HOUR},
    {"vcpu", "down-pause", KEY_TIME, OF(Settings, vcpu.down_pause_ms), SECOND, 24 * HOUR},
    {"vcpu", "wait", KEY_PERMILLE, OF(Settings, vcpu.wait_permille), 1, 1000},
    {"vcpu", "host", KEY_PERMILLE, OF(Settings, vcpu.host_permille), 10, 1000},
    {"vcpu", "changes", KEY_COUNT, OF(Settings, vcpu.changes), 1, 100000},
    {"vcpu", "refused", KEY_TIME, OF(Settings, vcpu.refused_ms), SECOND, 24 * HOUR},
    {"audit", "file", KEY_TEXT, OF(Settings, audit_file), 0, 0},
    {"audit", "size", KEY_SIZE, OF(Settings, audit_bytes), MIB, (gint64)MIB << 20},
    {"status", "json", KEY_TEXT, OF(Settings, status_file), 0, 0},
    {"status", "metrics", KEY_TEXT, OF(Settings, metrics_file), 0, 0},
    {"status", "interval", KEY_TIME, OF(Settings, status_ms), 100, HOUR},
    {"control", "socket", KEY_TEXT, OF(Settings, socket), 0, 0},
    {"control", "uid", KEY_COUNT, OF(Settings, control_uid), 0, G_MAXINT32},
    {"class", "match", KEY_LIST, OF(Rule, match), 0, 0},
    {"class", "min", KEY_AMOUNT, OF(Rule, min), 0, 0},
    {"class", "max", KEY_AMOUNT, OF(Rule, max), 0, 0},
    {"class", "shares", KEY_COUNT, OF(Rule, shares), 1, 1000000},
    {"class", "manage", KEY_BOOL, OF(Rule, manage), 0, 0},
    {"class", "ksm", KEY_BOOL, OF(Rule, ksm), 0, 0},
    {"class", "numa", KEY_BOOL, OF(Rule, numa), 0, 0},
    {"class", "vcpu-min", KEY_COUNT, OF(Rule, vcpu_min), 1, 4096},
    {"class", "vcpu-max", KEY_COUNT, OF(Rule, vcpu_max), 1, 4096},
    {"guest", "min", KEY_AMOUNT, OF(Rule, min), 0, 0},
    {"guest", "max", KEY_AMOUNT, OF(Rule, max), 0, 0},
    {"guest", "shares", KEY_COUNT, OF(Rule, shares), 1, 1000000},
    {"guest", "manage", KEY_BOOL, OF(Rule, manage), 0, 0},
    {"guest", "ksm", KEY_BOOL, OF(Rule, ksm), 0, 0},
    {"guest", "numa", KEY_BOOL, OF(Rule, numa), 0, 0},
    {"guest", "vcpu-min", KEY_COUNT, OF(Rule, vcpu_min), 1, 4096},
    {"guest", "vcpu-max", KEY_COUNT, OF(Rule, vcpu_max), 1, 4096},
    {"connect", "type", KEY_TEXT, OF(Connect, type_word), 0, 0},
    {"connect", "uri", KEY_TEXT, OF(Connect, uri), 0, 0},
    {"connect", "folder", KEY_TEXT, OF(Connect, folder), 0, 0},
    {"connect", "guests", KEY_TEXT, OF(Connect, guests), 0, 0},
    {"connect", "demand", KEY_TEXT, OF(Connect, demand), 0, 0},
    {"connect", "memory", KEY_SIZE, OF(Connect, memory), 64 * (gint64)MIB, (gint64)MIB << 24},
};

typedef struct Reading {
    const char *path;
    Settings *settings;
    GHashTable *lines; /* "group" and "group\nkey" -> line */
    GPtrArray *problems;
} Reading;

static void G_GNUC_PRINTF(3, 4) refuse(Reading *reading, guint line, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    g_autofree char *text = g_strdup_vprintf(format, args);
    va_end(args);
    if (reading->problems->len < MAX_PROBLEMS)
        g_ptr_array_add(reading->problems, g_strdup_printf("%s:%u: %s", reading->path, line, text));
}

static guint line_of(const Reading *reading, const char *group, const char *key)
{
    g_autofree char *place = key != NULL ? g_strdup_printf("%s\n%s", group, key) : g_strdup(group);
    return GPOINTER_TO_UINT(g_hash_table_lookup(reading->lines, place));
}

/* ---- values ---- */

typedef struct Unit {
    const char *name;
    gint64 factor;
} Unit;

/* "7.5 %": a number with at most one digit behind the point, and a unit; in tenths of the unit's factor. */
static gboolean take_number(const char *text, const Unit *units, gint64 *value)
{
    char *end;
    if (!g_ascii_isdigit(text[0]))
        return FALSE;
    guint64 whole = g_ascii_strtoull(text, &end, 10);
    gint64 tenth = 0;
    if (end[0] == '.' && g_ascii_isdigit(end[1])) {
        tenth = end[1] - '0';
        end += 2;
    }
    end += strspn(end, " ");
    for (; units->name != NULL; units++)
        if (strcmp(end, units->name) == 0) {
            if (whole > (guint64)(G_MAXINT64 / 10 / units->factor - 1))
                return FALSE;
            *value = (gint64)whole * units->factor + tenth * units->factor / 10;
            return tenth == 0 || units->factor % 10 == 0;
        }
    return FALSE;
}

static const Unit PERCENT[] = {{"%", 10}, {NULL, 0}};
static const Unit TIMES[] = {{"ms", 1}, {"s", SECOND}, {"m", 60 * SECOND}, {"h", HOUR}, {NULL, 0}};
static const Unit SIZES[] = {{"K", 1 << 10}, {"M", MIB}, {"G", 1 << 30}, {"T", (gint64)1 << 40}, {NULL, 0}};
static const Unit COUNTS[] = {{"", 1}, {NULL, 0}};

static const char *wanted(KeyType type)
{
    switch (type) {
    case KEY_PERMILLE:
        return "a percentage such as 7.5%";
    case KEY_COUNT:
        return "a whole number";
    case KEY_TIME:
        return "a time with its unit such as 500ms, 30s, 5m or 1h";
    case KEY_SIZE:
    case KEY_MIB:
        return "a size with its unit such as 64M or 16G";
    case KEY_AMOUNT:
        return "a part of the guest's maximum such as 25%, or a size such as 512M";
    case KEY_BOOL:
        return "yes or no";
    default:
        return "text";
    }
}

static gboolean take_amount(const char *text, Amount *amount)
{
    gint64 value;
    if (take_number(text, PERCENT, &value) && value >= 1 && value <= 1000) {
        amount->permille = (gint32)value;
        return TRUE;
    }
    if (take_number(text, SIZES, &value) && value >= MIB) {
        amount->mib = value / MIB;
        return TRUE;
    }
    return FALSE;
}

static void refuse_range(Reading *reading, const Key *key, const char *text, guint line)
{
    if (key->type == KEY_PERMILLE)
        refuse(reading, line, "%s: %s is out of range (%d.%d to %d.%d %%)", key->name, text,
               (int)key->least / 10, (int)key->least % 10, (int)key->most / 10, (int)key->most % 10);
    else
        refuse(reading, line, "%s: %s is out of range (%" G_GINT64_FORMAT " to %" G_GINT64_FORMAT "%s)",
               key->name, text, key->least, key->most,
               key->type == KEY_TIME    ? " ms"
               : key->type == KEY_COUNT ? ""
                                        : " bytes");
}

static void take_scalar(Reading *reading, const Key *key, const char *text, guint line, gpointer record)
{
    const Unit *units = key->type == KEY_PERMILLE ? PERCENT
                        : key->type == KEY_TIME   ? TIMES
                        : key->type == KEY_COUNT  ? COUNTS
                                                  : SIZES;
    gint64 value;
    if (!take_number(text, units, &value)) {
        refuse(reading, line, "%s: \"%s\" is not %s", key->name, text, wanted(key->type));
    } else if (value < key->least || value > key->most) {
        refuse_range(reading, key, text, line);
    } else if (key->type == KEY_PERMILLE || key->type == KEY_COUNT) {
        G_STRUCT_MEMBER(gint32, record, key->offset) = (gint32)value;
    } else {
        G_STRUCT_MEMBER(gint64, record, key->offset) = key->type == KEY_MIB ? value / MIB : value;
    }
}

static void take_word(Reading *reading, const Key *key, const char *text, guint line, gpointer record)
{
    g_autofree char *all = g_strjoinv(", ", (char **)key->words);
    for (gint i = 0; key->words[i] != NULL; i++)
        if (strcmp(key->words[i], text) == 0) {
            G_STRUCT_MEMBER(gint32, record, key->offset) = i;
            return;
        }
    refuse(reading, line, "%s: \"%s\" is none of %s", key->name, text, all);
}

static void take_value(Reading *reading, const Key *key, const char *text, guint line, gpointer record)
{
    switch (key->type) {
    case KEY_TEXT:
        if (text[0] == '\0')
            refuse(reading, line, "%s: it is empty", key->name);
        g_free(G_STRUCT_MEMBER(char *, record, key->offset));
        G_STRUCT_MEMBER(char *, record, key->offset) = g_strdup(text);
        break;
    case KEY_LIST:
        g_strfreev(G_STRUCT_MEMBER(char **, record, key->offset));
        G_STRUCT_MEMBER(char **, record, key->offset) = g_strsplit(text, ";", -1);
        for (char **word = G_STRUCT_MEMBER(char **, record, key->offset); *word != NULL; word++)
            if (g_strstrip(*word)[0] == '\0')
                refuse(reading, line, "%s: a pattern is empty", key->name);
        break;
    case KEY_AMOUNT:
        if (!take_amount(text, &G_STRUCT_MEMBER(Amount, record, key->offset)))
            refuse(reading, line, "%s: \"%s\" is not %s", key->name, text, wanted(key->type));
        break;
    case KEY_WORD:
        take_word(reading, key, text, line, record);
        break;
    case KEY_BOOL:
        if (strcmp(text, "yes") != 0 && strcmp(text, "no") != 0)
            refuse(reading, line, "%s: \"%s\" is not %s", key->name, text, wanted(key->type));
        G_STRUCT_MEMBER(gboolean, record, key->offset) = text[0] == 'y';
        break;
    default:
        take_scalar(reading, key, text, line, record);
    }
}

/* ---- groups ---- */

static void rule_free(gpointer data)
{
    Rule *rule = data;
    g_free(rule->name);
    g_strfreev(rule->match);
    g_free(rule);
}

static void connect_free(gpointer data)
{
    Connect *connect = data;
    g_free(connect->name);
    g_free(connect->type_word);
    g_free(connect->uri);
    g_free(connect->folder);
    g_free(connect->guests);
    g_free(connect->demand);
    g_free(connect);
}

/* Where the keys of a group go; kind: its word before the name. NULL: there is no such group. */
static gpointer record_of(Reading *reading, const char *kind, const char *name)
{
    static const char *const alone[] = {"host",  "balloon", "ksm",     "vcpu", "numa",
                                        "audit", "status",  "control", NULL};
    Settings *settings = reading->settings;
    if (name == NULL)
        return g_strv_contains(alone, kind) ? settings : NULL;
    gboolean is_class = strcmp(kind, "class") == 0;
    if (is_class || strcmp(kind, "guest") == 0) {
        Rule *rule = g_new0(Rule, 1);
        rule->name = g_strdup(name);
        rule->manage = rule->ksm = rule->numa = TRUE;
        g_ptr_array_add(is_class ? settings->classes : settings->guests, rule);
        return rule;
    }
    if (strcmp(kind, "connect") == 0) {
        Connect *connect = g_new0(Connect, 1);
        connect->name = g_strdup(name);
        g_ptr_array_add(settings->connects, connect);
        return connect;
    }
    return NULL;
}

static const Key *find_key(const char *group, const char *name)
{
    for (guint i = 0; i < G_N_ELEMENTS(KEYS); i++)
        if (strcmp(KEYS[i].group, group) == 0 && strcmp(KEYS[i].name, name) == 0)
            return &KEYS[i];
    return NULL;
}

static void check_connect(Reading *reading, const char *group, Connect *connect)
{
    guint line = line_of(reading, group, connect->type_word != NULL ? "type" : NULL);
    if (connect->type_word == NULL) {
        refuse(reading, line, "[%s] has no type: libvirt, host-vmm or fake", group);
        return;
    }
    if (strcmp(connect->type_word, "libvirt") == 0)
        connect->type = CONNECT_LIBVIRT;
    else if (strcmp(connect->type_word, "host-vmm") == 0)
        connect->type = CONNECT_MONITOR;
    else if (strcmp(connect->type_word, "fake") == 0)
        connect->type = CONNECT_FAKE;
    else
        refuse(reading, line, "type: \"%s\" is not libvirt, host-vmm or fake", connect->type_word);
    if (connect->type == CONNECT_FAKE &&
        (connect->guests == NULL || connect->demand == NULL || connect->memory == 0))
        refuse(reading, line, "a fake source needs guests, demand and memory");
    if (connect->type != CONNECT_FAKE &&
        (connect->guests != NULL || connect->demand != NULL || connect->memory != 0))
        refuse(reading, line, "guests, demand and memory are a fake source's");
    if (connect->type != CONNECT_LIBVIRT && connect->uri != NULL)
        refuse(reading, line_of(reading, group, "uri"), "uri is a libvirt source's");
    if (connect->type != CONNECT_MONITOR && connect->folder != NULL)
        refuse(reading, line_of(reading, group, "folder"), "folder is a host-vmm source's");
}

static void check_rule(Reading *reading, const char *group, const Rule *rule)
{
    gboolean parts = rule->max.permille > 0 && rule->min.permille > rule->max.permille;
    gboolean sizes = rule->max.mib > 0 && rule->min.mib > rule->max.mib;
    if (parts || sizes)
        refuse(reading, MAX(line_of(reading, group, "min"), line_of(reading, group, "max")),
               "min is more than max");
    if (rule->vcpu_max > 0 && rule->vcpu_min > rule->vcpu_max)
        refuse(reading, MAX(line_of(reading, group, "vcpu-min"), line_of(reading, group, "vcpu-max")),
               "vcpu-min is more than vcpu-max");
}

static void take_group(Reading *reading, GKeyFile *file, const char *group)
{
    g_autofree char *kind = g_strndup(group, strcspn(group, " "));
    const char *name = strchr(group, ' ');
    g_autofree char *own = name != NULL ? g_strstrip(g_strdup(name)) : NULL;
    gpointer record = own != NULL && own[0] == '\0' ? NULL : record_of(reading, kind, own);
    if (record == NULL) {
        refuse(reading, line_of(reading, group, NULL), "there is no group [%s]", group);
        return;
    }
    g_auto(GStrv) keys = g_key_file_get_keys(file, group, NULL, NULL);
    for (char **name_of = keys; name_of != NULL && *name_of != NULL; name_of++) {
        guint line = line_of(reading, group, *name_of);
        const Key *key = find_key(kind, *name_of);
        g_autoptr(GError) error = NULL;
        g_autofree char *text = g_key_file_get_string(file, group, *name_of, &error);
        if (key == NULL)
            refuse(reading, line, "[%s] has no key \"%s\"", group, *name_of);
        else if (text == NULL)
            refuse(reading, line, "%s: %s", *name_of, error->message);
        else
            take_value(reading, key, g_strstrip(text), line, record);
    }
    if (strcmp(kind, "class") == 0 || strcmp(kind, "guest") == 0)
        check_rule(reading, group, record);
    if (strcmp(kind, "class") == 0 && ((Rule *)record)->match == NULL)
        refuse(reading, line_of(reading, group, NULL), "[%s] has no match: no guest is of that class", group);
    if (strcmp(kind, "connect") == 0)
        check_connect(reading, group, record);
}

/* ---- lines: GKeyFile does not tell them, and takes what is there twice ---- */

static void note_line(Reading *reading, char *place, guint line, const char *what)
{
    guint before = GPOINTER_TO_UINT(g_hash_table_lookup(reading->lines, place));
    if (before != 0) {
        refuse(reading, line, "%s is there twice, see line %u", what, before);
        g_free(place);
    } else {
        g_hash_table_insert(reading->lines, place, GUINT_TO_POINTER(line));
    }
}

static void scan_lines(Reading *reading, const char *text)
{
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
    g_autofree char *group = NULL;
    guint groups = 0;
    for (guint i = 0; lines[i] != NULL; i++) {
        char *line = g_strstrip(lines[i]);
        char *equals = strchr(line, '=');
        if (line[0] == '\0' || line[0] == '#')
            continue;
        if (line[0] == '[' && g_str_has_suffix(line, "]")) {
            g_free(group);
            group = g_strndup(line + 1, strlen(line) - 2);
            g_autofree char *what = g_strdup_printf("[%s]", group);
            note_line(reading, g_strdup(group), i + 1, what);
            if (++groups > MAX_GROUPS)
                refuse(reading, i + 1, "there are more than %d groups", MAX_GROUPS);
        } else if (equals == NULL || equals == line) {
            refuse(reading, i + 1, "neither a [group] nor \"key=value\"");
        } else if (group == NULL) {
            refuse(reading, i + 1, "a key before the first [group]");
        } else {
            *equals = '\0';
            g_autofree char *what = g_strdup_printf("\"%s\"", g_strchomp(line));
            note_line(reading, g_strdup_printf("%s\n%s", group, line), i + 1, what);
        }
    }
}

static void check_marks(Reading *reading)
{
    const PolicyConfig *policy = &reading->settings->policy;
    if (reading->settings->stats_ms % SECOND != 0)
        refuse(reading, line_of(reading, "host", "stats"),
               "stats: %" G_GINT64_FORMAT "ms is not in whole seconds", reading->settings->stats_ms);
    if (policy->crit_permille >= policy->soft_permille)
        refuse(reading, MAX(line_of(reading, "host", "crit"), line_of(reading, "host", "soft")),
               "crit has to be below soft");
    if (policy->soft_permille >= policy->high_permille)
        refuse(reading, MAX(line_of(reading, "host", "soft"), line_of(reading, "host", "high")),
               "soft has to be below high");
    const PolicyVcpuConfig *vcpu = &reading->settings->vcpu;
    if (vcpu->down_permille >= vcpu->up_permille)
        refuse(reading, MAX(line_of(reading, "vcpu", "down"), line_of(reading, "vcpu", "up")),
               "down has to be below up");
    guint fakes = 0;
    for (guint i = 0; i < reading->settings->connects->len; i++)
        fakes += ((const Connect *)reading->settings->connects->pdata[i])->type == CONNECT_FAKE;
    if (fakes > 0 && reading->settings->connects->len > 1)
        refuse(reading, 1, "a fake source has a host and a clock of its own: it has to be the only one");
}

/* ---- the whole ---- */

Settings *settings_new(void)
{
    Settings *settings = g_new0(Settings, 1);
    policy_config_init(&settings->policy);
    policy_ksm_config_init(&settings->ksm);
    policy_numa_config_init(&settings->numa);
    settings->numa_mode = NUMA_ADVISE;
    settings->numa_sample_ms = 30 * SECOND;
    settings->ksm_fixed = (KsmFixed){-1, -1, -1, -1};
    policy_vcpu_config_init(&settings->vcpu);
    settings->vcpu.crowd_permille = 1000; /* there is nothing to hold guests to quotas with */
    settings->tick_ms = SECOND;
    settings->stats_ms = SECOND;
    settings->audit_bytes = 64 * MIB;
    settings->status_ms = 5 * SECOND;
    settings->control_uid = -1;
    settings->classes = g_ptr_array_new_with_free_func(rule_free);
    settings->guests = g_ptr_array_new_with_free_func(rule_free);
    settings->connects = g_ptr_array_new_with_free_func(connect_free);
    return settings;
}

void settings_free(Settings *settings)
{
    if (settings == NULL)
        return;
    g_free(settings->audit_file);
    g_free(settings->status_file);
    g_free(settings->metrics_file);
    g_free(settings->socket);
    g_ptr_array_unref(settings->classes);
    g_ptr_array_unref(settings->guests);
    g_ptr_array_unref(settings->connects);
    g_free(settings);
}

/* Nothing is said: the host-vmm guests of this machine. */
static void add_default_connect(Settings *settings)
{
    Connect *connect = g_new0(Connect, 1);
    connect->name = g_strdup("host-vmm");
    connect->type = CONNECT_MONITOR;
    g_ptr_array_add(settings->connects, connect);
}

Settings *settings_parse(const char *path, const char *text, GError **error)
{
    g_autoptr(Settings) settings = settings_new();
    g_autoptr(GHashTable) lines = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    g_autoptr(GPtrArray) problems = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(GKeyFile) file = g_key_file_new();
    g_autoptr(GError) reason = NULL;
    Reading reading = {path, settings, lines, problems};
    if (!g_utf8_validate(text, -1, NULL)) {
        refuse(&reading, 1, "this is not text in UTF-8");
    } else {
        scan_lines(&reading, text);
        if (problems->len == 0 && text[0] != '\0' &&
            !g_key_file_load_from_data(file, text, strlen(text), 0, &reason))
            refuse(&reading, 1, "%s", reason->message);
        g_auto(GStrv) groups = g_key_file_get_groups(file, NULL);
        for (char **group = groups; *group != NULL; group++)
            take_group(&reading, file, *group);
        check_marks(&reading);
    }
    if (problems->len > 0) {
        g_ptr_array_add(problems, NULL);
        g_autofree char *all = g_strjoinv("\n", (char **)problems->pdata);
        g_set_error_literal(error, SETTINGS_ERROR, SETTINGS_ERROR_WRONG, all);
        return NULL;
    }
    if (settings->connects->len == 0)
        add_default_connect(settings);
    return g_steal_pointer(&settings);
}

Settings *settings_read(const char *path, GError **error)
{
    g_autofree char *text = NULL;
    g_autoptr(GError) reason = NULL;
    gsize length = 0;
    GStatBuf info;
    if (g_stat(path, &info) == 0 && (!S_ISREG(info.st_mode) || info.st_size > MAX_BYTES)) {
        g_set_error(error, SETTINGS_ERROR, SETTINGS_ERROR_UNREADABLE,
                    "%s: not a regular file of at most 1 MiB", path);
        return NULL;
    }
    if (!g_file_get_contents(path, &text, &length, &reason)) {
        g_set_error_literal(error, SETTINGS_ERROR, SETTINGS_ERROR_UNREADABLE, reason->message);
        return NULL;
    }
    if (strlen(text) != length) {
        g_set_error(error, SETTINGS_ERROR, SETTINGS_ERROR_WRONG, "%s:1: it holds zero bytes", path);
        return NULL;
    }
    return settings_parse(path, text, error);
}

/* ---- what holds for a guest ---- */

static gint64 amount_of(const Amount *amount, gint64 whole)
{
    return amount->permille > 0 ? MAX(whole * amount->permille / 1000, 1) : MIN(amount->mib, whole);
}

static const Rule *class_of(const Settings *settings, const char *guest)
{
    for (guint i = 0; i < settings->classes->len; i++) {
        const Rule *class = settings->classes->pdata[i];
        for (char **pattern = class->match; *pattern != NULL; pattern++)
            if (g_pattern_match_simple(*pattern, guest))
                return class;
    }
    return NULL;
}

Terms settings_terms(const Settings *settings, const char *guest, gint64 max)
{
    const Rule *class = class_of(settings, guest);
    Terms terms = {class != NULL ? class->name : NULL, max, 0, 0, TRUE, TRUE, TRUE, 0, 0};
    Amount min = {0};
    Amount most = {0};
    const Rule *rules[2] = {class, NULL};
    for (guint i = 0; i < settings->guests->len; i++) {
        const Rule *own = settings->guests->pdata[i];
        if (strcmp(own->name, guest) == 0)
            rules[1] = own;
    }
    for (guint i = 0; i < G_N_ELEMENTS(rules); i++) {
        const Rule *rule = rules[i];
        if (rule == NULL)
            continue;
        if (rule->min.permille > 0 || rule->min.mib > 0)
            min = rule->min;
        if (rule->max.permille > 0 || rule->max.mib > 0)
            most = rule->max;
        terms.shares = rule->shares > 0 ? rule->shares : terms.shares;
        terms.manage = terms.manage && rule->manage;
        terms.ksm = terms.ksm && rule->ksm;
        terms.numa = terms.numa && rule->numa;
        terms.vcpu_min = rule->vcpu_min > 0 ? rule->vcpu_min : terms.vcpu_min;
        terms.vcpu_max = rule->vcpu_max > 0 ? rule->vcpu_max : terms.vcpu_max;
    }
    if (most.permille > 0 || most.mib > 0)
        terms.max = amount_of(&most, max);
    terms.min = MIN(amount_of(&min, max), terms.max);
    if (terms.shares == 0)
        terms.shares = DEFAULT_SHARES;
    return terms;
}

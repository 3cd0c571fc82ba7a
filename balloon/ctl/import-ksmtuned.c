// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * balloonctl import-ksmtuned: ksmtuned's variables. Its file is read by a shell; here it may only hold
 * assignments of plain values.
 */
#include <stdio.h>
#include <string.h>

#include "balloon/ctl/ctl.h"
#include "balloon/ctl/import.h"

/* A threshold in KiB is without effect where this part of a host's memory is more: ksmtuned takes the larger
 * one. */
#define CONST_MAX_KIB (256 << 10)

typedef struct Tuned {
    Import *import;
    const char *path;
    gint64 pages_max, sleep_ms;
    guint pace_line;
} Tuned;

static const struct {
    const char *name;
    gint64 normal; /* what ksmtuned takes when it is not said */
    gint64 least, most;
} NUMBERS[] = {
    {"KSM_MONITOR_INTERVAL", 60, 1, 86400},   {"KSM_SLEEP_MSEC", 10, 0, 100000},
    {"KSM_NPAGES_BOOST", 300, 0, G_MAXINT32}, {"KSM_NPAGES_DECAY", -50, -G_MAXINT32, 0},
    {"KSM_NPAGES_MIN", 64, 0, G_MAXINT32},    {"KSM_NPAGES_MAX", 1250, 1, G_MAXINT32},
    {"KSM_THRES_COEF", 20, 1, 100},           {"KSM_THRES_CONST", 2048, 0, G_MAXINT64},
};

static void take_number(Tuned *tuned, guint line, const char *name, gint64 value)
{
    Import *import = tuned->import;
    if (strcmp(name, "KSM_THRES_COEF") == 0) {
        import_set(import, tuned->path, line, "ksm", "start", "%" G_GINT64_FORMAT "%%", value);
    } else if (strcmp(name, "KSM_SLEEP_MSEC") == 0) {
        tuned->sleep_ms = MAX(value, 10); /* its own floor */
        tuned->pace_line = line;
    } else if (strcmp(name, "KSM_NPAGES_MAX") == 0) {
        tuned->pages_max = value;
        tuned->pace_line = line;
    } else if (strcmp(name, "KSM_MONITOR_INTERVAL") == 0) {
        import_note(import, tuned->path, line, "%s is left out: balloond looks every second ([host] tick)",
                    name);
    } else if (strcmp(name, "KSM_THRES_CONST") == 0 && value <= CONST_MAX_KIB) {
        import_note(import, tuned->path, line, "%s is left out: it is in KiB, and too little to ever count",
                    name);
    } else if (strcmp(name, "KSM_THRES_CONST") == 0) {
        import_refuse(import, tuned->path, line,
                      "%s: balloond has no threshold in KiB; say [ksm] start in percent of the host's memory",
                      name);
    } else {
        import_refuse(import, tuned->path, line,
                      "%s: balloond does not step up and down, it scans in bursts within [ksm] cpu-budget",
                      name);
    }
}

/* A shell's word: plain, or in quotes, and nothing but a comment behind it. NULL: something else. */
static char *plain_word(const char *text)
{
    char quote = *text == '"' || *text == '\'' ? *text : '\0';
    gsize length = quote != '\0' ? strcspn(text + 1, (char[]){quote, '\0'}) : strcspn(text, " \t;#\"'");
    const char *word = quote != '\0' ? text + 1 : text;
    const char *rest = word + length;
    if (quote != '\0' && *rest++ != quote)
        return NULL;
    g_autofree char *copy = g_strndup(word, length);
    if (strpbrk(copy, "$`\\&|<>(){}*?[]~") != NULL)
        return NULL;
    gsize space = strspn(rest, " \t");
    if (rest[space] != '\0' && !(rest[space] == '#' && space > 0))
        return NULL;
    return g_steal_pointer(&copy);
}

static void take_assignment(Tuned *tuned, guint line, const char *name, const char *value)
{
    static const char *const own[] = {"DEBUG", "LOGFILE", "PIDFILE", NULL};
    gint64 number;
    if (g_strv_contains(own, name)) {
        import_note(tuned->import, tuned->path, line, "%s is left out: balloond logs to the journal", name);
        return;
    }
    for (guint i = 0; i < G_N_ELEMENTS(NUMBERS); i++) {
        if (strcmp(NUMBERS[i].name, name) != 0)
            continue;
        if (value[0] == '\0') /* ${NAME:-…} takes its default */
            return;
        if (!g_ascii_string_to_signed(value, 10, NUMBERS[i].least, NUMBERS[i].most, &number, NULL))
            import_refuse(tuned->import, tuned->path, line, "%s: \"%s\" is no number that makes sense", name,
                          value);
        else if (number != NUMBERS[i].normal)
            take_number(tuned, line, name, number);
        return;
    }
    import_refuse(tuned->import, tuned->path, line, "%s: ksmtuned has no such variable", name);
}

static void take_line(Tuned *tuned, guint line, char *text)
{
    text = g_strstrip(text);
    if (text[0] == '\0' || text[0] == '#')
        return;
    if (g_str_has_prefix(text, "export "))
        text = g_strchug(text + strlen("export "));
    gsize length = strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_");
    g_autofree char *value = length > 0 && text[length] == '=' ? plain_word(text + length + 1) : NULL;
    g_autofree char *name = g_strndup(text, length);
    if (value == NULL)
        import_refuse(tuned->import, tuned->path, line,
                      "\"%s\" is more than an assignment of a plain value, and is not run", text);
    else
        take_assignment(tuned, line, name, value);
}

int import_ksmtuned_verb(const Call *call, char **words)
{
    g_autoptr(Import) import = import_new(words[0]);
    g_autofree char *text = import_read(import, words[0], NULL, 0);
    Tuned tuned = {import, words[0], 1250, 10, 0};
    if (text != NULL) {
        g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
        import_set(import, words[0], 0, "ksm", "mode", "auto");
        import_set(import, words[0], 0, "ksm", "start", "20%%");
        for (guint i = 0; lines[i] != NULL; i++)
            take_line(&tuned, i + 1, lines[i]);
        if (tuned.pace_line > 0)
            import_set_pace(import, words[0], tuned.pace_line, tuned.pages_max, tuned.sleep_ms);
    }
    return import_finish(import);
}

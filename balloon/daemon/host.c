// SPDX-License-Identifier: GPL-2.0-or-later
#include "balloon/daemon/host.h"

#include <fcntl.h>
#include <glib-unix.h>
#include <string.h>
#include <unistd.h>

#define KIB_PER_MIB 1024

struct Host {
    char *root;
    char buffer[32 << 10]; /* larger than any of the three files */
    gint64 looked_at;      /* ms; 0: never */
    gint64 swapped_in, swapped_out, major_faults;
    int trigger;
    guint source;
    void (*func)(gpointer user_data);
    gpointer data;
};

Host *host_new(const char *root)
{
    Host *host = g_new0(Host, 1);
    host->root = g_strdup(root);
    host->trigger = -1;
    return host;
}

void host_free(Host *host)
{
    if (host == NULL)
        return;
    if (host->source != 0)
        g_source_remove(host->source);
    if (host->trigger >= 0)
        close(host->trigger);
    g_free(host->root);
    g_free(host);
}

const char *host_root(const Host *host)
{
    return host->root;
}

const char *host_read(Host *host, const char *name)
{
    g_autofree char *path = g_strconcat(host->root, name, NULL);
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    gsize done = 0;
    gssize got = -1;
    while (fd >= 0 && done < sizeof host->buffer - 1 &&
           (got = read(fd, host->buffer + done, sizeof host->buffer - 1 - done)) > 0)
        done += (gsize)got;
    if (fd >= 0)
        close(fd);
    host->buffer[done] = '\0';
    return done > 0 && got >= 0 ? host->buffer : NULL;
}

gboolean host_number(const char *text, const char *word, gint64 *value)
{
    gsize length = strlen(word);
    for (const char *line = text; line != NULL; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (strncmp(line, word, length) == 0) {
            line += length + strspn(line + length, " \t");
            *value = g_ascii_strtoll(line, NULL, 10);
            return g_ascii_isdigit(*line);
        }
        if (*line == '\0')
            break;
    }
    return FALSE;
}

/* "full avg10=1.23 …" is 12 permille. */
gint32 host_pressure(Host *host, const char *resource, const char *kind)
{
    g_autofree char *name = g_strconcat("/proc/pressure/", resource, NULL);
    g_autofree char *word = g_strconcat(kind, " avg10=", NULL);
    const char *text = host_read(host, name);
    const char *at = text != NULL ? strstr(text, word) : NULL;
    if (at == NULL)
        return POLICY_UNKNOWN;
    at += strlen(word);
    gint64 percent = g_ascii_strtoll(at, (char **)&at, 10);
    gint64 tenth = at[0] == '.' && g_ascii_isdigit(at[1]) ? at[1] - '0' : 0;
    return (gint32)CLAMP(percent * 10 + tenth, 0, 1000);
}

static gint64 rate(gint64 *before, gint64 count, gint64 elapsed)
{
    gint64 grown = elapsed > 0 ? MAX(count - *before, 0) * 1000 / elapsed : POLICY_UNKNOWN;
    *before = count;
    return grown;
}

gboolean host_look(Host *host, gint64 now, PolicyHost *seen, HostRates *rates, GError **error)
{
    gint64 total = 0, available = 0, in = 0, out = 0, faults = 0;
    const char *text = host_read(host, "/proc/meminfo");
    if (text == NULL || !host_number(text, "MemTotal:", &total) ||
        !host_number(text, "MemAvailable:", &available) || total < KIB_PER_MIB) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA,
                    "%s/proc/meminfo does not tell MemTotal and MemAvailable", host->root);
        return FALSE;
    }
    seen->total = total / KIB_PER_MIB;
    seen->available = CLAMP(available, 0, total) / KIB_PER_MIB;
    seen->psi_full = host_pressure(host, "memory", "full");
    *rates = (HostRates){POLICY_UNKNOWN, POLICY_UNKNOWN, POLICY_UNKNOWN};
    text = host_read(host, "/proc/vmstat");
    if (text != NULL && host_number(text, "pswpin ", &in) && host_number(text, "pswpout ", &out) &&
        host_number(text, "pgmajfault ", &faults)) {
        gint64 elapsed = host->looked_at > 0 ? now - host->looked_at : 0;
        rates->swapped_in = rate(&host->swapped_in, in, elapsed);
        rates->swapped_out = rate(&host->swapped_out, out, elapsed);
        rates->major_faults = rate(&host->major_faults, faults, elapsed);
        host->looked_at = now;
    }
    return TRUE;
}

static gboolean on_trigger(gint fd, GIOCondition condition, gpointer user_data)
{
    Host *host = user_data;
    if (condition & (G_IO_ERR | G_IO_HUP)) { /* PSI was switched off */
        host->source = 0;
        return G_SOURCE_REMOVE;
    }
    host->func(host->data);
    return G_SOURCE_CONTINUE;
}

gboolean host_watch(Host *host, void (*func)(gpointer user_data), gpointer user_data)
{
    static const char *const triggers[] = {"some 50000 500000", "some 150000 2000000"};
    if (host->root[0] != '\0' || host->source != 0)
        return FALSE;
    host->func = func;
    host->data = user_data;
    for (guint i = 0; i < G_N_ELEMENTS(triggers); i++) {
        int fd = open("/proc/pressure/memory", O_RDWR | O_CLOEXEC | O_NONBLOCK);
        if (fd >= 0 && write(fd, triggers[i], strlen(triggers[i]) + 1) > 0) {
            host->trigger = fd;
            host->source = g_unix_fd_add(fd, G_IO_PRI | G_IO_ERR, on_trigger, host);
            return TRUE;
        }
        if (fd >= 0)
            close(fd);
    }
    return FALSE;
}

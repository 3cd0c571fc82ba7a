// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/domain-proc.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define TEXT_BYTES 4096

/* Small files only. */
static gboolean read_text(const char *path, char *text)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    gssize length;

    if (fd < 0) {
        return FALSE;
    }
    length = read(fd, text, TEXT_BYTES - 1);
    close(fd);
    if (length <= 0) {
        return FALSE;
    }
    text[length] = '\0';
    return TRUE;
}

int domain_proc_process_of(int thread)
{
    char path[64], text[TEXT_BYTES];
    const char *at;
    gint64 pid;

    snprintf(path, sizeof path, "/proc/%d/status", thread);
    if (thread <= 0 || !read_text(path, text)) {
        return 0;
    }
    at = strstr(text, "\nTgid:");
    pid = at != NULL ? g_ascii_strtoll(at + strlen("\nTgid:"), NULL, 10) : 0;
    return pid > 0 && pid <= G_MAXINT ? (int)pid : 0;
}

gboolean domain_proc_cpu_time(int pid, guint64 *time)
{
    struct timespec value;
    clockid_t clock;

    if (pid <= 0 || clock_getcpuclockid(pid, &clock) != 0 || clock_gettime(clock, &value) != 0) {
        return FALSE;
    }
    *time = (guint64)value.tv_sec * G_GUINT64_CONSTANT(1000000000) + (guint64)value.tv_nsec;
    return TRUE;
}

gboolean domain_proc_read_vcpu(int pid, int thread, DomainVcpu *vcpu)
{
    char path[96], text[TEXT_BYTES];
    const char *at;
    char *end;

    if (pid <= 0 || thread <= 0) {
        return FALSE;
    }
    snprintf(path, sizeof path, "/proc/%d/task/%d/schedstat", pid, thread);
    if (!read_text(path, text)) {
        return FALSE;
    }
    vcpu->time = g_ascii_strtoull(text, &end, 10);
    vcpu->delay = g_ascii_strtoull(end, NULL, 10);
    snprintf(path, sizeof path, "/proc/%d/task/%d/stat", pid, thread);
    if (!read_text(path, text) || (at = strrchr(text, ')')) == NULL || at[1] == '\0') {
        return FALSE;
    }
    /* Behind the name: field 3 is the state, 39 the CPU. */
    vcpu->state = at[2] == 'R' ? DOMAIN_VCPU_RUNNING : DOMAIN_VCPU_BLOCKED;
    for (guint field = 2; field < 39 && at != NULL; field++) {
        at = strchr(at + 1, ' ');
    }
    vcpu->cpu = at != NULL ? (int)g_ascii_strtoll(at + 1, NULL, 10) : -1;
    return TRUE;
}

guint64 domain_proc_rss(int pid)
{
    char path[64], text[TEXT_BYTES];
    const char *at;

    snprintf(path, sizeof path, "/proc/%d/statm", pid);
    if (pid <= 0 || !read_text(path, text) || (at = strchr(text, ' ')) == NULL) {
        return DOMAIN_UNKNOWN;
    }
    return g_ascii_strtoull(at, NULL, 10) * (guint64)sysconf(_SC_PAGESIZE) / 1024;
}

guint64 domain_proc_ksm(int pid)
{
    char path[64], text[TEXT_BYTES];

    snprintf(path, sizeof path, "/proc/%d/ksm_merging_pages", pid);
    if (pid <= 0 || !read_text(path, text)) {
        return DOMAIN_UNKNOWN;
    }
    return g_ascii_strtoull(text, NULL, 10) * (guint64)sysconf(_SC_PAGESIZE);
}

guint64 domain_proc_interface(const char *interface, const char *counter)
{
    g_autofree char *path = g_strdup_printf("/sys/class/net/%s/statistics/%s", interface, counter);
    char text[TEXT_BYTES];

    if (strchr(interface, '/') != NULL || interface[0] == '.' || !read_text(path, text)) {
        return DOMAIN_UNKNOWN;
    }
    return g_ascii_strtoull(text, NULL, 10);
}

// SPDX-License-Identifier: GPL-2.0-or-later
#include "host-vmm/vmctl/host-check.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "host-vmm/vmctl/print.h"

enum {
    MAX_TEXT = 1 << 20,
    MIN_FILES = 1024, /* open files: a guest with many disks and queues needs hundreds */
};

void host_check_free(HostCheck *check)
{
    g_free(check->detail);
    g_free(check->hint);
    g_free(check);
}

void host_check_add(Host *host, const char *name, HostCheckState state, char *detail, char *hint)
{
    HostCheck *check = g_new0(HostCheck, 1);

    check->name = name;
    check->state = state;
    check->detail = detail;
    check->hint = hint;
    g_ptr_array_add(host->checks, check);
}

char *host_path(const Host *host, const char *path)
{
    return g_strconcat(host->root, path, NULL);
}

gboolean host_has(const Host *host, const char *path)
{
    g_autofree char *whole = host_path(host, path);

    return access(whole, F_OK) == 0;
}

char *host_read(const Host *host, const char *path)
{
    g_autofree char *whole = host_path(host, path);
    g_autoptr(GString) text = g_string_new(NULL);
    char buffer[16384];
    int fd = open(whole, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    ssize_t length;

    if (fd < 0)
        return NULL;
    while ((length = read(fd, buffer, sizeof buffer)) > 0 && text->len < MAX_TEXT)
        g_string_append_len(text, buffer, length);
    close(fd);
    if (length < 0)
        return NULL;
    return g_strchomp(g_utf8_make_valid(text->str, -1));
}

/* The names in a folder, sorted; empty if there is none. */
static GPtrArray *list(const Host *host, const char *path)
{
    g_autofree char *whole = host_path(host, path);
    g_autoptr(GDir) folder = g_dir_open(whole, 0, NULL);
    GPtrArray *names = g_ptr_array_new_with_free_func(g_free);
    const char *name;

    while (folder != NULL && (name = g_dir_read_name(folder)) != NULL)
        g_ptr_array_add(names, g_strdup(name));
    g_ptr_array_sort(names, (GCompareFunc)g_strcmp0);
    return names;
}

/* The word in brackets of "always [madvise] never". Owned. */
static char *chosen(const char *text)
{
    const char *from = text == NULL ? NULL : strchr(text, '[');
    const char *to = from == NULL ? NULL : strchr(from, ']');

    return to == NULL ? NULL : g_strndup(from + 1, (gsize)(to - from) - 1);
}

/* ---- memory ---- */

/* KiB of a line of /proc/meminfo; -1. */
static gint64 meminfo(const char *text, const char *name)
{
    const char *at = text == NULL ? NULL : strstr(text, name);

    return at == NULL ? -1 : g_ascii_strtoll(at + strlen(name), NULL, 10);
}

static void check_huge_pages(Host *host)
{
    g_autoptr(GPtrArray) sizes = list(host, "/sys/kernel/mm/hugepages");
    g_autoptr(GString) said = g_string_new(NULL);
    guint64 total = 0;

    for (guint i = 0; i < sizes->len; i++) {
        const char *name = sizes->pdata[i];
        g_autofree char *path = g_strdup_printf("/sys/kernel/mm/hugepages/%s/nr_hugepages", name);
        g_autofree char *free_path = g_strdup_printf("/sys/kernel/mm/hugepages/%s/free_hugepages", name);
        g_autofree char *count = host_read(host, path), *unused = host_read(host, free_path);

        if (!g_str_has_prefix(name, "hugepages-") || count == NULL)
            continue;
        total += g_ascii_strtoull(count, NULL, 10);
        g_string_append_printf(said, "%s%s of %s, %s free", said->len > 0 ? "; " : "", count,
                               name + strlen("hugepages-"), unused != NULL ? unused : "?");
    }
    if (said->len == 0)
        host_check_add(host, "huge-pages", HOST_CHECK_NOTE, g_strdup("the kernel has none"), NULL);
    else
        host_check_add(host, "huge-pages", total > 0 ? HOST_CHECK_OK : HOST_CHECK_NOTE, g_strdup(said->str),
                       total > 0 ? NULL
                                 : g_strdup("sysctl vm.nr_hugepages reserves some, for guests' memory"));
}

void host_check_memory(Host *host)
{
    g_autofree char *text = host_read(host, "/proc/meminfo");
    g_autofree char *thp_text = host_read(host, "/sys/kernel/mm/transparent_hugepage/enabled"),
                    *thp = chosen(thp_text);
    g_autofree char *shmem_text = host_read(host, "/sys/kernel/mm/transparent_hugepage/shmem_enabled");
    g_autofree char *shmem = chosen(shmem_text), *ksm = host_read(host, "/sys/kernel/mm/ksm/run");
    gint64 total = meminfo(text, "MemTotal:"), available = meminfo(text, "MemAvailable:");

    if (total >= 0) {
        g_autofree char *all = print_size((guint64)total * 1024),
                        *unused = print_size((guint64)MAX(0, available) * 1024);

        host_check_add(host, "memory", HOST_CHECK_OK, g_strdup_printf("%s, %s available", all, unused), NULL);
    } else {
        host_check_add(host, "memory", HOST_CHECK_NOTE, g_strdup("not known"), NULL);
    }
    check_huge_pages(host);
    if (thp == NULL || strcmp(thp, "never") == 0)
        host_check_add(host, "transparent-huge-pages", HOST_CHECK_WARN,
                       g_strdup("never: guests' memory is slower"),
                       g_strdup("echo madvise >/sys/kernel/mm/transparent_hugepage/enabled"));
    else
        host_check_add(host, "transparent-huge-pages", HOST_CHECK_OK,
                       g_strdup_printf("%s; shared memory: %s", thp, shmem != NULL ? shmem : "not known"),
                       NULL);
    if (ksm == NULL)
        host_check_add(host, "ksm", HOST_CHECK_NOTE, g_strdup("the kernel cannot merge equal pages"), NULL);
    else
        host_check_add(host, "ksm", HOST_CHECK_OK,
                       g_strdup(*ksm == '1' ? "merges equal pages of guests" : "there, and switched off"),
                       NULL);
}

/* ---- devices ---- */

static void check_node(Host *host, const char *name, const char *path, const char *what, const char *hint)
{
    g_autofree char *whole = host_path(host, path);

    if (access(whole, R_OK | W_OK) == 0)
        host_check_add(host, name, HOST_CHECK_OK, g_strdup_printf("%s can be used", path), NULL);
    else
        host_check_add(host, name, HOST_CHECK_WARN,
                       g_strdup_printf("%s: %s: %s", path, g_strerror(errno), what),
                       errno == ENOENT ? g_strdup(hint) : NULL);
}

void host_check_devices(Host *host)
{
    g_autoptr(GPtrArray) groups = list(host, "/sys/kernel/iommu_groups");
    gboolean in_firmware =
        host_has(host, "/sys/firmware/acpi/tables/DMAR") || host_has(host, "/sys/firmware/acpi/tables/IVRS");

    check_node(host, "vhost-net", "/dev/vhost-net", "taps' packets go through the monitor",
               "modprobe vhost_net");
    check_node(host, "vhost-vsock", "/dev/vhost-vsock", "guests have no vsock", "modprobe vhost_vsock");
    check_node(host, "tun", "/dev/net/tun", "guests have no taps", "modprobe tun");
    if (groups->len > 0)
        host_check_add(host, "iommu", HOST_CHECK_OK, g_strdup_printf("%u groups of devices", groups->len),
                       NULL);
    else if (in_firmware)
        host_check_add(host, "iommu", HOST_CHECK_WARN, g_strdup("there, but the kernel does not use it"),
                       g_strdup("boot with intel_iommu=on, or amd_iommu=on, to hand devices to guests"));
    else
        host_check_add(host, "iommu", HOST_CHECK_WARN, g_strdup("none: no device can be handed to a guest"),
                       g_strdup("switch on VT-d or AMD-Vi in the firmware's setup, if the machine has it"));
}

/* ---- the rest of the system ---- */

static void check_cgroups(Host *host)
{
    /* Version 2 has no controllers for accounts and devices: each group has the first, programs do the other.
     */
    static const char *const needed[] = {"cpu", "cpuset", "memory", "io", "pids", "cpuacct", "devices"};
    g_autofree char *unified = host_read(host, "/sys/fs/cgroup/cgroup.controllers");
    g_autofree char *old = host_read(host, "/proc/cgroups");
    g_autoptr(GString) missing = g_string_new(NULL);
    g_auto(GStrv) words = g_strsplit(unified != NULL ? unified : "", " ", -1);

    for (guint i = 0; i < G_N_ELEMENTS(needed) - (unified != NULL ? 2 : 0); i++) {
        const char *name = unified == NULL && strcmp(needed[i], "io") == 0 ? "blkio" : needed[i];
        g_autofree char *pattern = g_strdup_printf("^%s\\t[0-9]+\\t[0-9]+\\t1$", name);

        if (unified != NULL ? !g_strv_contains((const char *const *)words, name)
                            : old == NULL || !g_regex_match_simple(pattern, old, G_REGEX_MULTILINE, 0))
            g_string_append_printf(missing, "%s%s", missing->len > 0 ? ", " : "", name);
    }
    if (missing->len > 0)
        host_check_add(host, "cgroups", HOST_CHECK_WARN,
                       g_strdup_printf("missing controllers: %s", missing->str),
                       g_strdup("guests cannot be limited in these"));
    else
        host_check_add(host, "cgroups", HOST_CHECK_OK, g_strdup(unified != NULL ? "version 2" : "version 1"),
                       NULL);
}

static void check_mitigations(Host *host)
{
    g_autoptr(GPtrArray) names = list(host, "/sys/devices/system/cpu/vulnerabilities");
    g_autoptr(GString) open_ones = g_string_new(NULL);

    for (guint i = 0; i < names->len; i++) {
        g_autofree char *path =
            g_strdup_printf("/sys/devices/system/cpu/vulnerabilities/%s", (char *)names->pdata[i]);
        g_autofree char *text = host_read(host, path);

        if (text != NULL && g_str_has_prefix(text, "Vulnerable"))
            g_string_append_printf(open_ones, "%s%s", open_ones->len > 0 ? ", " : "",
                                   (char *)names->pdata[i]);
    }
    if (open_ones->len > 0)
        host_check_add(host, "cpu-flaws", HOST_CHECK_WARN,
                       g_strdup_printf("guests may read what is not theirs by: %s", open_ones->str),
                       g_strdup("update kernel and microcode, and do not boot with mitigations=off"));
    else if (names->len > 0)
        host_check_add(host, "cpu-flaws", HOST_CHECK_OK, g_strdup("all known ones are dealt with"), NULL);
}

static void check_secure_guests(Host *host)
{
    static const struct {
        const char *path, *name;
    } kinds[] = {{"/sys/module/kvm_amd/parameters/sev", "SEV"},
                 {"/sys/module/kvm_amd/parameters/sev_es", "SEV-ES"},
                 {"/sys/module/kvm_amd/parameters/sev_snp", "SEV-SNP"},
                 {"/sys/module/kvm_intel/parameters/tdx", "TDX"}};
    g_autoptr(GString) found = g_string_new(NULL);

    for (guint i = 0; i < G_N_ELEMENTS(kinds); i++) {
        g_autofree char *value = host_read(host, kinds[i].path);

        if (value != NULL && (*value == 'Y' || *value == '1'))
            g_string_append_printf(found, "%s%s", found->len > 0 ? ", " : "", kinds[i].name);
    }
    host_check_add(host, "encrypted-guests", found->len > 0 ? HOST_CHECK_OK : HOST_CHECK_NOTE,
                   g_strdup(found->len > 0 ? found->str : "none (host-vmm does not use them)"), NULL);
}

static void check_clock(Host *host)
{
    g_autofree char *source =
        host_read(host, "/sys/devices/system/clocksource/clocksource0/current_clocksource");

    if (source == NULL)
        return;
    if (strcmp(source, "tsc") == 0)
        host_check_add(host, "clock", HOST_CHECK_OK, g_strdup(source), NULL);
    else
        host_check_add(host, "clock", HOST_CHECK_WARN,
                       g_strdup_printf("%s, not tsc: guests' clocks are slow to read", source), NULL);
}

void host_check_system(Host *host)
{
    struct rlimit files = {0}, locked = {0};

    check_cgroups(host);
    check_clock(host);
    check_mitigations(host);
    check_secure_guests(host);
    getrlimit(RLIMIT_NOFILE, &files);
    getrlimit(RLIMIT_MEMLOCK, &locked);
    host_check_add(host, "open-files", files.rlim_max >= MIN_FILES ? HOST_CHECK_OK : HOST_CHECK_WARN,
                   g_strdup_printf("up to %" G_GUINT64_FORMAT, (guint64)files.rlim_max),
                   files.rlim_max >= MIN_FILES ? NULL : g_strdup_printf("ulimit -n %d", MIN_FILES));
    if (locked.rlim_max == RLIM_INFINITY)
        host_check_add(host, "locked-memory", HOST_CHECK_OK, g_strdup("without limit"), NULL);
    else {
        g_autofree char *size = print_size(locked.rlim_max);

        host_check_add(host, "locked-memory", HOST_CHECK_NOTE, g_strdup_printf("up to %s", size), NULL);
    }
}

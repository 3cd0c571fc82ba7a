// SPDX-License-Identifier: GPL-2.0-or-later
/* KVM: its modules, its device, whether a guest runs on it, its limits. */
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "host-vmm/vmctl/host-check.h"

enum {
    API_VERSION = 12,       /* the one that there has been since 2007 */
    PROBE_LIMIT_MS = 15000, /* host-vmm gives it 3 s */
};

static const char *const MODULES[] = {"kvm_intel", "kvm_amd"};

static const char *loaded_module(const Host *host)
{
    for (guint i = 0; i < G_N_ELEMENTS(MODULES); i++) {
        g_autofree char *path = g_strdup_printf("/sys/module/%s", MODULES[i]);

        if (host_has(host, path))
            return MODULES[i];
    }
    return NULL;
}

static void check_modules(Host *host)
{
    const char *module = loaded_module(host);

    if (module != NULL)
        host_check_add(host, "kvm-module", HOST_CHECK_OK, g_strdup(module), NULL);
    else if (host_has(host, "/sys/module/kvm"))
        host_check_add(host, "kvm-module", HOST_CHECK_NOTE,
                       g_strdup("kvm, but neither kvm_intel nor kvm_amd"), NULL);
    else
        host_check_add(host, "kvm-module", HOST_CHECK_FAIL, g_strdup("KVM is not loaded"),
                       g_strdup("modprobe kvm_intel, or kvm_amd"));
}

static void check_nested(Host *host)
{
    const char *module = loaded_module(host);
    g_autofree char *path = g_strdup_printf("/sys/module/%s/parameters/nested", module);
    g_autofree char *value = module == NULL ? NULL : host_read(host, path);

    if (value == NULL)
        return;
    if (*value == 'Y' || *value == '1')
        host_check_add(host, "nested", HOST_CHECK_OK, g_strdup("guests can have guests"), NULL);
    else
        host_check_add(host, "nested", HOST_CHECK_NOTE, g_strdup("guests cannot have guests"),
                       g_strdup_printf("modprobe %s nested=1 lets them", module));
}

/* The descriptor of /dev/kvm; -1: told why. */
static int check_device(Host *host)
{
    g_autofree char *path = host_path(host, "/dev/kvm");
    int fd = open(path, O_RDWR | O_CLOEXEC | O_NONBLOCK);

    if (fd >= 0) {
        host_check_add(host, "kvm-device", HOST_CHECK_OK, g_strdup("/dev/kvm can be used"), NULL);
        return fd;
    }
    host_check_add(host, "kvm-device", HOST_CHECK_FAIL, g_strdup_printf("/dev/kvm: %s", g_strerror(errno)),
                   errno == EACCES || errno == EPERM
                       ? g_strdup("become a member of the group that owns it (kvm)")
                   : errno == ENOENT ? g_strdup("load KVM's modules; in a container, pass the device on")
                                     : NULL);
    return -1;
}

static void check_limits(Host *host, int fd)
{
    int version = ioctl(fd, KVM_GET_API_VERSION, 0);
    int soft = ioctl(fd, KVM_CHECK_EXTENSION, KVM_CAP_NR_VCPUS);
    int hard = ioctl(fd, KVM_CHECK_EXTENSION, KVM_CAP_MAX_VCPUS);
    int slots = ioctl(fd, KVM_CHECK_EXTENSION, KVM_CAP_NR_MEMSLOTS);

    if (version < 0) {
        host_check_add(host, "kvm-limits", HOST_CHECK_NOTE,
                       g_strdup_printf("not known: %s", g_strerror(errno)), NULL);
        return;
    }
    if (version != API_VERSION) {
        host_check_add(host, "kvm-limits", HOST_CHECK_FAIL,
                       g_strdup_printf("version %d of KVM's interface, not %d", version, API_VERSION), NULL);
        return;
    }
    host_check_add(host, "kvm-limits", HOST_CHECK_OK,
                   g_strdup_printf("%d vCPUs a guest (%d recommended), %d pieces of memory", MAX(hard, soft),
                                   soft, slots),
                   NULL);
}

/* ---- the probe guest, which host-vmm runs ---- */

typedef struct Probe {
    GMainLoop *loop;
    GSubprocess *process;
    char *out, *err;
    gboolean is_late;
} Probe;

static gboolean on_late(gpointer user_data)
{
    Probe *probe = user_data;

    probe->is_late = TRUE;
    g_subprocess_force_exit(probe->process);
    return G_SOURCE_REMOVE;
}

static void on_said(GObject *source, GAsyncResult *result, gpointer user_data)
{
    Probe *probe = user_data;

    g_subprocess_communicate_utf8_finish(G_SUBPROCESS(source), result, &probe->out, &probe->err, NULL);
    g_main_loop_quit(probe->loop);
}

/* What host-vmm says begins with its name. */
static char *first_line(const char *text, const char *fallback)
{
    const char *from = text != NULL ? text : "";

    if (g_str_has_prefix(from, "host-vmm: "))
        from += strlen("host-vmm: ");
    return *from == '\0' ? g_strdup(fallback) : g_strndup(from, strcspn(from, "\n"));
}

static void check_guest(Host *host, const char *monitor)
{
    g_autoptr(GMainLoop) loop = g_main_loop_new(NULL, FALSE);
    g_autoptr(GError) error = NULL;
    Probe probe = {.loop = loop};
    guint timer;

    probe.process = g_subprocess_new(G_SUBPROCESS_FLAGS_STDOUT_PIPE | G_SUBPROCESS_FLAGS_STDERR_PIPE, &error,
                                     monitor, "-accel", "kvm,probe=only", NULL);
    if (probe.process == NULL) {
        host_check_add(host, "kvm-guest", HOST_CHECK_NOTE, g_strdup_printf("not tried: %s", error->message),
                       NULL);
        return;
    }
    timer = g_timeout_add(PROBE_LIMIT_MS, on_late, &probe);
    g_subprocess_communicate_utf8_async(probe.process, NULL, NULL, on_said, &probe);
    g_main_loop_run(loop);
    if (probe.is_late)
        host_check_add(host, "kvm-guest", HOST_CHECK_FAIL, g_strdup("the probe guest does not end"), NULL);
    else if (g_subprocess_get_if_exited(probe.process) && g_subprocess_get_exit_status(probe.process) == 0)
        host_check_add(host, "kvm-guest", HOST_CHECK_OK, first_line(probe.out, "KVM runs 64-bit guests"),
                       NULL);
    else
        host_check_add(host, "kvm-guest", HOST_CHECK_FAIL,
                       first_line(probe.err, "the probe guest does not run"), NULL);
    if (!probe.is_late)
        g_source_remove(timer);
    g_free(probe.out);
    g_free(probe.err);
    g_object_unref(probe.process);
}

void host_check_kvm(Host *host, const char *monitor, const char *problem)
{
    int fd;

    check_modules(host);
    fd = check_device(host);
    if (fd >= 0) {
        check_limits(host, fd);
        close(fd);
        if (monitor != NULL)
            check_guest(host, monitor);
        else
            host_check_add(host, "kvm-guest", HOST_CHECK_NOTE, g_strdup_printf("not tried: %s", problem),
                           NULL);
    }
    check_nested(host);
}

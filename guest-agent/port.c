// SPDX-License-Identifier: GPL-2.0-or-later
#include "guest-agent/port.h"

#include <errno.h>
#include <glib-unix.h>
#include <linux/netlink.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/socket.h>
#include <unistd.h>

#define LINK_FOLDER  "/dev/virtio-ports"
#define CLASS_FOLDER "/sys/class/virtio-ports"

#define FOLDER_EVENTS (IN_CREATE | IN_MOVED_TO | IN_ATTRIB | IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR)

struct PortWatch {
    char *path;
    void (*func)(gpointer user_data);
    gpointer user_data;
    int inotify_fd, netlink_fd; /* -1: not to be had */
    guint inotify_source, netlink_source;
    int folder_watch; /* the one inotify watch, -1: none */
    char *folder;     /* what it is on */
};

char *port_find(const char *path, const char *root)
{
    g_autofree char *linked = g_strconcat(root, path, NULL);
    if (access(linked, F_OK) == 0)
        return g_steal_pointer(&linked);

    g_autofree char *link_folder = g_path_get_dirname(path);
    if (!g_str_equal(link_folder, LINK_FOLDER))
        return NULL;
    g_autofree char *wanted = g_path_get_basename(path);
    g_autofree char *class_folder = g_strconcat(root, CLASS_FOLDER, NULL);
    g_autoptr(GDir) dir = g_dir_open(class_folder, 0, NULL);
    const char *entry;
    while (dir && (entry = g_dir_read_name(dir))) {
        g_autofree char *name_file = g_build_filename(class_folder, entry, "name", NULL);
        g_autofree char *name = NULL;
        if (!g_file_get_contents(name_file, &name, NULL, NULL) || !g_str_equal(g_strchomp(name), wanted))
            continue;
        g_autofree char *node = g_strconcat(root, "/dev/", entry, NULL);
        if (access(node, F_OK) == 0)
            return g_steal_pointer(&node);
    }
    return NULL;
}

/* Puts the watch on the folder of the path, or on the nearest one above that exists. */
static void watch_folder(PortWatch *watch)
{
    if (watch->inotify_fd < 0)
        return;
    g_autofree char *folder = g_path_get_dirname(watch->path);
    for (;;) {
        if (g_strcmp0(folder, watch->folder) == 0 && watch->folder_watch >= 0 && access(folder, F_OK) == 0)
            return;
        int wd = inotify_add_watch(watch->inotify_fd, folder, FOLDER_EVENTS);
        if (wd >= 0) {
            if (watch->folder_watch >= 0 && watch->folder_watch != wd)
                inotify_rm_watch(watch->inotify_fd, watch->folder_watch);
            watch->folder_watch = wd;
            g_free(watch->folder);
            watch->folder = g_steal_pointer(&folder);
            return;
        }
        if (g_str_equal(folder, "/") || g_str_equal(folder, "."))
            return;
        char *above = g_path_get_dirname(folder);
        g_free(folder);
        folder = above;
    }
}

static gboolean on_folder_event(int fd, GIOCondition condition, gpointer user_data)
{
    PortWatch *watch = user_data;
    char buffer[4096] __attribute__((aligned(__alignof__(struct inotify_event))));
    gssize n;
    while ((n = read(fd, buffer, sizeof buffer)) > 0) {
        for (char *at = buffer; at < buffer + n;) {
            const struct inotify_event *event = (const struct inotify_event *)at;
            if ((event->mask & IN_IGNORED) && event->wd == watch->folder_watch)
                watch->folder_watch = -1;
            at += sizeof *event + event->len;
        }
    }
    watch_folder(watch);
    watch->func(watch->user_data);
    return G_SOURCE_CONTINUE;
}

/* The kernel's events: "add@/devices/…\0ACTION=add\0…SUBSYSTEM=virtio-ports\0…". The port's name comes to
 * sysfs after its node came to /dev, and only this tells so. */
static gboolean on_kernel_event(int fd, GIOCondition condition, gpointer user_data)
{
    static const char SUBSYSTEM[] = "SUBSYSTEM=virtio-ports";
    PortWatch *watch = user_data;
    gboolean ours = FALSE;
    char buffer[8192];
    gssize n;
    while ((n = recv(fd, buffer, sizeof buffer, 0)) > 0 || (n < 0 && errno == ENOBUFS))
        ours |= n < 0 || memmem(buffer, (gsize)n, SUBSYSTEM, sizeof SUBSYSTEM) != NULL;
    if (ours)
        watch->func(watch->user_data);
    return G_SOURCE_CONTINUE;
}

static int open_kernel_events(void)
{
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_KOBJECT_UEVENT);
    struct sockaddr_nl address = {.nl_family = AF_NETLINK,
                                  .nl_groups = 1 /* the kernel's own multicast group */};
    if (fd >= 0 && bind(fd, (struct sockaddr *)&address, sizeof address) < 0) {
        close(fd);
        return -1;
    }
    return fd;
}

PortWatch *port_watch_new(const char *path, void (*func)(gpointer user_data), gpointer user_data)
{
    PortWatch *watch = g_new0(PortWatch, 1);
    watch->path = g_strdup(path);
    watch->func = func;
    watch->user_data = user_data;
    watch->folder_watch = -1;
    watch->inotify_fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    if (watch->inotify_fd >= 0)
        watch->inotify_source = g_unix_fd_add(watch->inotify_fd, G_IO_IN, on_folder_event, watch);
    watch_folder(watch);
    watch->netlink_fd = open_kernel_events();
    if (watch->netlink_fd >= 0)
        watch->netlink_source = g_unix_fd_add(watch->netlink_fd, G_IO_IN, on_kernel_event, watch);
    return watch;
}

void port_watch_free(PortWatch *watch)
{
    if (!watch)
        return;
    if (watch->inotify_source)
        g_source_remove(watch->inotify_source);
    if (watch->netlink_source)
        g_source_remove(watch->netlink_source);
    if (watch->inotify_fd >= 0)
        close(watch->inotify_fd);
    if (watch->netlink_fd >= 0)
        close(watch->netlink_fd);
    g_free(watch->folder);
    g_free(watch->path);
    g_free(watch);
}

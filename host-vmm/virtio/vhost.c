// SPDX-License-Identifier: GPL-2.0-or-later
#include "host-vmm/virtio/vhost.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/vhost.h>
#include <sys/ioctl.h>
#include <unistd.h>

gboolean vhost_fail(const char *name, const char *what, GError **error)
{
    int number = errno;
    g_set_error(error, G_IO_ERROR, g_io_error_from_errno(number), "%s: %s: %s", name, what,
                g_strerror(number));
    return FALSE;
}

int vhost_open(const char *name, int fd, guint64 *features, GError **error)
{
    if (fd < 0) {
        g_autofree char *path = g_strconcat("/dev/", name, NULL);
        fd = open(path, O_RDWR | O_CLOEXEC | O_NONBLOCK);
        if (fd < 0) {
            int number = errno;
            g_autofree char *module = g_strdelimit(g_strdup(name), "-", '_');
            g_set_error(error, G_IO_ERROR, g_io_error_from_errno(number), "cannot open %s: %s%s%s%s", path,
                        g_strerror(number),
                        number == ENOENT || number == ENODEV ? " (as root: modprobe " : "",
                        number == ENOENT || number == ENODEV ? module : "",
                        number == ENOENT || number == ENODEV ? ")" : "");
            return -1;
        }
    }
    __u64 known = 0;
    if (ioctl(fd, VHOST_SET_OWNER) < 0) {
        vhost_fail(name, "VHOST_SET_OWNER", error);
    } else if (ioctl(fd, VHOST_GET_FEATURES, &known) < 0) {
        vhost_fail(name, "VHOST_GET_FEATURES", error);
    } else {
        fcntl(fd, F_SETFD, FD_CLOEXEC);
        *features = known & ~(1ull << VHOST_F_LOG_ALL);
        return fd;
    }
    close(fd);
    return -1;
}

static gboolean set_memory(const char *name, int fd, const GuestMemory *memory, GError **error)
{
    guint count;
    const GuestMemoryRegion *regions = guest_memory_all_regions(memory, &count);
    g_autofree struct vhost_memory *table =
        g_malloc0(sizeof(*table) + count * sizeof(struct vhost_memory_region));
    table->nregions = count;
    for (guint i = 0; i < count; i++) {
        table->regions[i] = (struct vhost_memory_region){.guest_phys_addr = regions[i].base,
                                                         .memory_size = regions[i].size,
                                                         .userspace_addr = (guintptr)regions[i].host};
    }
    return ioctl(fd, VHOST_SET_MEM_TABLE, table) == 0 || vhost_fail(name, "VHOST_SET_MEM_TABLE", error);
}

static gboolean set_ring(const char *name, int fd, guint index, const VhostRing *ring, GError **error)
{
    struct vhost_vring_state size = {.index = index, .num = ring->size};
    struct vhost_vring_state base = {.index = index, .num = ring->next_avail};
    struct vhost_vring_addr address = {.index = index,
                                       .desc_user_addr = (guintptr)ring->desc,
                                       .avail_user_addr = (guintptr)ring->driver,
                                       .used_user_addr = (guintptr)ring->device};
    struct vhost_vring_file kick = {.index = index, .fd = ring->kick};
    struct vhost_vring_file call = {.index = index, .fd = ring->call};
    struct vhost_vring_file broken = {.index = index, .fd = ring->error};
    const struct {
        const char *name;
        unsigned long request;
        void *argument;
    } steps[] = {
        {"VHOST_SET_VRING_NUM", VHOST_SET_VRING_NUM, &size},
        {"VHOST_SET_VRING_BASE", VHOST_SET_VRING_BASE, &base},
        {"VHOST_SET_VRING_ADDR", VHOST_SET_VRING_ADDR, &address},
        {"VHOST_SET_VRING_KICK", VHOST_SET_VRING_KICK, &kick},
        {"VHOST_SET_VRING_CALL", VHOST_SET_VRING_CALL, &call},
        {"VHOST_SET_VRING_ERR", VHOST_SET_VRING_ERR, &broken},
    };
    for (guint i = 0; i < G_N_ELEMENTS(steps); i++) {
        if (ioctl(fd, steps[i].request, steps[i].argument) < 0) {
            return vhost_fail(name, steps[i].name, error);
        }
    }
    return TRUE;
}

gboolean vhost_set_up(const char *name, int fd, guint64 features, const GuestMemory *memory,
                      const VhostRing *rings, guint count, GError **error)
{
    __u64 common = features;
    if (ioctl(fd, VHOST_SET_FEATURES, &common) < 0) {
        return vhost_fail(name, "VHOST_SET_FEATURES", error);
    }
    if (!set_memory(name, fd, memory, error)) {
        return FALSE;
    }
    for (guint i = 0; i < count; i++) {
        if (!set_ring(name, fd, i, &rings[i], error)) {
            return FALSE;
        }
    }
    return TRUE;
}

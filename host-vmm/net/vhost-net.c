// SPDX-License-Identifier: GPL-2.0-or-later
#include "host-vmm/net/vhost-net.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/vhost.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define VHOST_DEVICE "/dev/vhost-net"
#define MAX_REGIONS  2

struct VhostNet {
    int fd;
    guint64 features;
};

static gboolean fail(const char *what, GError **error)
{
    int number = errno;
    g_set_error(error, G_IO_ERROR, g_io_error_from_errno(number), "vhost-net: %s: %s", what,
                g_strerror(number));
    return FALSE;
}

VhostNet *vhost_net_new(int fd, GError **error)
{
    VhostNet *vhost = g_new0(VhostNet, 1);
    __u64 features = 0;
    vhost->fd = fd >= 0 ? fd : open(VHOST_DEVICE, O_RDWR | O_CLOEXEC | O_NONBLOCK);
    if (vhost->fd < 0) {
        int number = errno;
        g_set_error(error, G_IO_ERROR, g_io_error_from_errno(number), "cannot open " VHOST_DEVICE ": %s%s",
                    g_strerror(number),
                    number == ENOENT || number == ENODEV
                        ? " (as root: modprobe vhost_net; or leave out vhost=on)"
                        : "");
    } else if (ioctl(vhost->fd, VHOST_SET_OWNER) < 0) {
        fail("VHOST_SET_OWNER", error);
    } else if (ioctl(vhost->fd, VHOST_GET_FEATURES, &features) < 0) {
        fail("VHOST_GET_FEATURES", error);
    } else {
        fcntl(vhost->fd, F_SETFD, FD_CLOEXEC);
        vhost->features = features & ~(1ull << VHOST_NET_F_VIRTIO_NET_HDR | 1ull << VHOST_F_LOG_ALL);
        return vhost;
    }
    vhost_net_free(vhost);
    return NULL;
}

void vhost_net_free(VhostNet *vhost)
{
    if (vhost == NULL)
        return;
    if (vhost->fd >= 0)
        close(vhost->fd);
    g_free(vhost);
}

guint64 vhost_net_features(const VhostNet *vhost)
{
    return vhost->features;
}

static gboolean set_memory(VhostNet *vhost, const GuestMemory *memory, GError **error)
{
    union {
        struct vhost_memory table;
        guint8 room[sizeof(struct vhost_memory) + MAX_REGIONS * sizeof(struct vhost_memory_region)];
    } all = {0};
    guint count;
    const GuestMemoryRegion *regions = guest_memory_regions(memory, &count);
    g_return_val_if_fail(count <= MAX_REGIONS, FALSE);
    all.table.nregions = count;
    for (guint i = 0; i < count; i++)
        all.table.regions[i] = (struct vhost_memory_region){.guest_phys_addr = regions[i].base,
                                                            .memory_size = regions[i].size,
                                                            .userspace_addr = (guintptr)regions[i].host};
    return ioctl(vhost->fd, VHOST_SET_MEM_TABLE, &all.table) == 0 || fail("VHOST_SET_MEM_TABLE", error);
}

static gboolean set_ring(VhostNet *vhost, guint index, const VhostRing *ring, GError **error)
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
        if (ioctl(vhost->fd, steps[i].request, steps[i].argument) < 0)
            return fail(steps[i].name, error);
    }
    return TRUE;
}

static gboolean set_backend(VhostNet *vhost, guint index, int backend, GError **error)
{
    struct vhost_vring_file file = {.index = index, .fd = backend};
    return ioctl(vhost->fd, VHOST_NET_SET_BACKEND, &file) == 0 || fail("VHOST_NET_SET_BACKEND", error);
}

gboolean vhost_net_start(VhostNet *vhost, const GuestMemory *memory, guint64 features,
                         const VhostRing rings[2], int backend, GError **error)
{
    __u64 common = features & vhost->features;
    if ((ioctl(vhost->fd, VHOST_SET_FEATURES, &common) == 0 || fail("VHOST_SET_FEATURES", error)) &&
        set_memory(vhost, memory, error) && set_ring(vhost, VHOST_NET_RX, &rings[VHOST_NET_RX], error) &&
        set_ring(vhost, VHOST_NET_TX, &rings[VHOST_NET_TX], error) &&
        set_backend(vhost, VHOST_NET_RX, backend, error) && set_backend(vhost, VHOST_NET_TX, backend, error))
        return TRUE;
    vhost_net_stop(vhost);
    return FALSE;
}

void vhost_net_stop(VhostNet *vhost)
{
    set_backend(vhost, VHOST_NET_RX, -1, NULL);
    set_backend(vhost, VHOST_NET_TX, -1, NULL);
}

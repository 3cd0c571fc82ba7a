// SPDX-License-Identifier: GPL-2.0-or-later
#include "host-vmm/net/vhost-net.h"

#include <linux/vhost.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define NAME "vhost-net"

struct VhostNet {
    int fd;
    guint64 features;
};

VhostNet *vhost_net_new(int fd, GError **error)
{
    VhostNet *vhost = g_new0(VhostNet, 1);
    vhost->fd = vhost_open(NAME, fd, &vhost->features, error);
    if (vhost->fd < 0) {
        vhost_net_free(vhost);
        return NULL;
    }
    vhost->features &= ~(1ull << VHOST_NET_F_VIRTIO_NET_HDR);
    return vhost;
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

static gboolean set_backend(VhostNet *vhost, guint index, int backend, GError **error)
{
    struct vhost_vring_file file = {.index = index, .fd = backend};
    return ioctl(vhost->fd, VHOST_NET_SET_BACKEND, &file) == 0 ||
           vhost_fail(NAME, "VHOST_NET_SET_BACKEND", error);
}

gboolean vhost_net_start(VhostNet *vhost, const GuestMemory *memory, guint64 features,
                         const VhostRing rings[2], int backend, GError **error)
{
    if (vhost_set_up(NAME, vhost->fd, features & vhost->features, memory, rings, 2, error) &&
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

// SPDX-License-Identifier: GPL-2.0-or-later
#include "host-vmm/kvm/kvm-stats.h"

#include <errno.h>
#include <linux/kvm.h>
#include <unistd.h>

#include "host-vmm/kvm/kvm.h"

#define MAX_STATS     4096
#define MAX_NAME_SIZE 1024

struct KvmStats {
    int fd;
    guint64 data_offset, data_size;
    guint count;
    KvmStat *stats;
    char *names; /* what the stats' names point into */
};

static gboolean read_at(int fd, void *to, gsize length, guint64 offset, GError **error)
{
    if (pread(fd, to, length, (off_t)offset) == (ssize_t)length) {
        return TRUE;
    }
    return kvm_set_error(error, "cannot read its statistics");
}

static const char *type_name(guint32 flags)
{
    switch (flags & KVM_STATS_TYPE_MASK) {
    case KVM_STATS_TYPE_CUMULATIVE:
        return "cumulative";
    case KVM_STATS_TYPE_INSTANT:
        return "instant";
    case KVM_STATS_TYPE_PEAK:
        return "peak";
    case KVM_STATS_TYPE_LINEAR_HIST:
        return "linear-histogram";
    case KVM_STATS_TYPE_LOG_HIST:
        return "log2-histogram";
    default:
        return NULL;
    }
}

static const char *unit_name(guint32 flags)
{
    switch (flags & KVM_STATS_UNIT_MASK) {
    case KVM_STATS_UNIT_BYTES:
        return "bytes";
    case KVM_STATS_UNIT_SECONDS:
        return "seconds";
    case KVM_STATS_UNIT_CYCLES:
        return "cycles";
    case KVM_STATS_UNIT_BOOLEAN:
        return "boolean";
    default:
        return NULL;
    }
}

static gboolean read_descriptors(KvmStats *stats, GError **error)
{
    struct kvm_stats_header header;
    if (!read_at(stats->fd, &header, sizeof(header), 0, error)) {
        return FALSE;
    }
    if (header.num_desc > MAX_STATS || header.name_size == 0 || header.name_size > MAX_NAME_SIZE) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA,
                    "KVM: its statistics are of a kind not known here");
        return FALSE;
    }
    gsize row_size = sizeof(struct kvm_stats_desc) + header.name_size;
    g_autofree guint8 *rows = g_malloc(row_size * header.num_desc + 1);
    if (!read_at(stats->fd, rows, row_size * header.num_desc, header.desc_offset, error)) {
        return FALSE;
    }
    stats->data_offset = header.data_offset;
    stats->stats = g_new0(KvmStat, header.num_desc);
    stats->names = g_malloc0((gsize)header.name_size * header.num_desc + 1);
    for (guint i = 0; i < header.num_desc; i++) {
        struct kvm_stats_desc row;
        memcpy(&row, rows + i * row_size, sizeof(row));
        const char *type = type_name(row.flags);
        if (!type || row.size == 0 || row.offset % sizeof(guint64) != 0) {
            continue; /* of a later kernel: the rest is as good as ever */
        }
        char *name = stats->names + (gsize)i * header.name_size;
        memcpy(name, rows + i * row_size + sizeof(row), header.name_size - 1);
        gboolean linear = (row.flags & KVM_STATS_TYPE_MASK) == KVM_STATS_TYPE_LINEAR_HIST;
        stats->stats[stats->count++] = (KvmStat){
            .name = name,
            .type = type,
            .unit = unit_name(row.flags),
            .base = (row.flags & KVM_STATS_BASE_MASK) == KVM_STATS_BASE_POW2 ? 2 : 10,
            .exponent = row.exponent,
            .bucket_size = linear ? row.bucket_size : 0,
            .count = row.size,
            .first = row.offset / (guint)sizeof(guint64),
        };
        stats->data_size = MAX(stats->data_size, row.offset + row.size * sizeof(guint64));
    }
    return TRUE;
}

KvmStats *kvm_stats_open(int fd, GError **error)
{
    g_autoptr(KvmStats) stats = g_new0(KvmStats, 1);
    stats->fd = kvm_ioctl(fd, KVM_GET_STATS_FD, NULL);
    if (stats->fd < 0) {
        kvm_set_error(error, "it has no statistics");
        return NULL;
    }
    return read_descriptors(stats, error) ? g_steal_pointer(&stats) : NULL;
}

void kvm_stats_free(KvmStats *stats)
{
    if (!stats) {
        return;
    }
    if (stats->fd >= 0) {
        close(stats->fd);
    }
    g_free(stats->stats);
    g_free(stats->names);
    g_free(stats);
}

const KvmStat *kvm_stats_list(const KvmStats *stats, guint *count)
{
    *count = stats->count;
    return stats->stats;
}

guint64 *kvm_stats_read(const KvmStats *stats, GError **error)
{
    g_autofree guint64 *values = g_malloc0(stats->data_size + sizeof(guint64));
    return read_at(stats->fd, values, stats->data_size, stats->data_offset, error) ? g_steal_pointer(&values)
                                                                                   : NULL;
}

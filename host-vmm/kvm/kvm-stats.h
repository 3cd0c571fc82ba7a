// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * kvm-stats: what KVM counts of a VM or a vCPU (Documentation/virt/kvm/api.rst, KVM_GET_STATS_FD): a
 * descriptor that can be read at any time by any thread, without disturbing the guest.
 */
#pragma once

#include <gio/gio.h>

typedef struct KvmStats KvmStats;

typedef struct KvmStat {
    const char *name; /* "exits" */
    const char *type; /* QMP's words: "cumulative", "instant", "peak", "linear-histogram", "log2-histogram" */
    const char *unit; /* "bytes", "seconds", "cycles", "boolean", or NULL */
    guint base;       /* 10 or 2, of the exponent */
    gint exponent;    /* values are to be multiplied by base ^ exponent to be in that unit */
    guint bucket_size; /* of a linear histogram, else 0 */
    guint count;       /* values: 1, or the buckets of a histogram */
    guint first;       /* index of the first of them in what kvm_stats_read() gives */
} KvmStat;

/* fd: a VM's or a vCPU's. NULL and error where KVM has no such statistics (Linux before 5.14). */
KvmStats *kvm_stats_open(int fd, GError **error);
void kvm_stats_free(KvmStats *stats);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(KvmStats, kvm_stats_free)

/* All that there are; *count of them. Owned by stats. */
const KvmStat *kvm_stats_list(const KvmStats *stats, guint *count);
/* All values now (owned). NULL and error if they cannot be read. */
guint64 *kvm_stats_read(const KvmStats *stats, GError **error);

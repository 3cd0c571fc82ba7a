// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * domain: one model of a guest, whoever runs it: identity, state and counters at one moment.
 *
 * A Domain is filled by its source and never changed once it is in a snapshot; both are reference-counted and
 * may be read from any thread. Counters only grow while a guest runs; a number that the source does not tell
 * is DOMAIN_UNKNOWN. Memory is in KiB, times are in ns, all else is in bytes or a count.
 */
#pragma once

#include <gio/gio.h>

#define DOMAIN_UNKNOWN G_MAXUINT64

/* Numbers are libvirt's virDomainState. */
typedef enum {
    DOMAIN_STATE_NONE,
    DOMAIN_STATE_RUNNING,
    DOMAIN_STATE_BLOCKED,
    DOMAIN_STATE_PAUSED,
    DOMAIN_STATE_SHUTDOWN, /* being shut down */
    DOMAIN_STATE_SHUTOFF,
    DOMAIN_STATE_CRASHED,
    DOMAIN_STATE_PMSUSPENDED,
    DOMAIN_STATE_COUNT
} DomainState;

/* "running", "paused" …: never NULL. */
const char *domain_state_name(DomainState state);

/* Which parts of a Domain its source could fill this time. */
typedef enum {
    DOMAIN_HAS_CPU = 1 << 0,
    DOMAIN_HAS_MEMORY = 1 << 1,
    DOMAIN_HAS_VCPUS = 1 << 2,
    DOMAIN_HAS_BLOCKS = 1 << 3,
    DOMAIN_HAS_NICS = 1 << 4,
} DomainParts;

typedef enum {
    DOMAIN_VCPU_UNKNOWN = -1,
    DOMAIN_VCPU_OFFLINE,
    DOMAIN_VCPU_RUNNING,
    DOMAIN_VCPU_BLOCKED
} DomainVcpuState;

typedef struct DomainVcpu {
    guint number;
    DomainVcpuState state;
    int halted;       /* 1: waits for an interrupt; -1: unknown */
    int cpu;          /* the host CPU that it last ran on; -1: unknown */
    guint64 time;     /* CPU time of its thread */
    guint64 delay;    /* time its thread was ready to run, but did not: what the guest sees as steal */
    guint64 wait;     /* time its thread waited for input or output of the host's kernel */
    guint64 exits;    /* times it left guest mode */
    guint64 io_exits; /* of those, for port I/O and MMIO that needed the monitor */
} DomainVcpu;

typedef struct DomainBlock {
    GRefString *name; /* "vda" */
    GRefString *path; /* NULL: unknown */
    guint64 rd_reqs, rd_bytes, rd_time;
    guint64 wr_reqs, wr_bytes, wr_time;
    guint64 fl_reqs, fl_time;
    guint64 capacity, allocation;
} DomainBlock;

typedef struct DomainNic {
    GRefString *name;                                  /* of the host's interface where there is one */
    guint64 rx_bytes, rx_packets, rx_errors, rx_drops; /* as the guest sees it: rx is what it receives */
    guint64 tx_bytes, tx_packets, tx_errors, tx_drops;
} DomainNic;

typedef struct DomainMemory {
    guint64 maximum, current;                  /* what it could have; what the balloon leaves it */
    guint64 available, unused, usable, caches; /* as the guest's balloon driver says */
    guint64 swap_in, swap_out, major_faults, minor_faults; /* KiB, KiB, counts; likewise */
    guint64 rss;                                           /* of the monitor's process on the host */
    guint64 updated;                                       /* when the guest said it, s since 1970 */
} DomainMemory;

typedef struct Domain {
    gatomicrefcount references;
    char uuid[37];    /* lower case with dashes; a guest that has none is given one that stays the same */
    GRefString *name; /* what its owner called it: any bytes that are UTF-8 */
    int id;  /* the hypervisor's number of a running guest (host-vmm: its process); -1: does not run */
    int pid; /* its monitor's process on this machine; 0: unknown */
    DomainState state;
    gboolean answers; /* FALSE: its monitor is there but did not tell: the counters are old or unknown */
    guint parts;      /* DomainParts */
    gint64 when;      /* when the counters were read, monotonic time in us */
    guint vcpus, vcpus_max;
    guint vcpus_min; /* those that cannot be taken out; 0: not told */
    guint64 cpu_time, cpu_user, cpu_system; /* of the whole guest, monitor included */
    DomainMemory memory;
    guint n_vcpus, n_blocks, n_nics;
    DomainVcpu *vcpu;
    DomainBlock *block;
    DomainNic *nic;
} Domain;

/* With nothing known. name: need not be UTF-8 (wrong bytes become U+FFFD). uuid may be NULL: derived from the
 * name. */
Domain *domain_new(const char *name, const char *uuid);
/* With the identity (name, uuid, id, pid) of another one and nothing else known. */
Domain *domain_new_like(const Domain *other);
Domain *domain_ref(Domain *domain);
void domain_unref(Domain *domain);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Domain, domain_unref)

/* A copy of all counters with its own arrays: for a source that has to repeat an old answer. */
Domain *domain_copy(const Domain *domain);

/* Grow an array to at least `count` entries with nothing known in them; what is there stays. FALSE and no
 * change beyond 4096 vCPUs and 1024 devices: no monitor has so many, so that a source that says so errs. */
gboolean domain_set_vcpus(Domain *domain, guint count);
gboolean domain_set_blocks(Domain *domain, guint count);
gboolean domain_set_nics(Domain *domain, guint count);
/* name: not NULL; invalid UTF-8 is repaired. */
void domain_block_set_name(DomainBlock *block, const char *name);
void domain_block_set_path(DomainBlock *block, const char *path);
void domain_nic_set_name(DomainNic *nic, const char *name);

/* The machine that runs guests. */
typedef struct DomainHost {
    gatomicrefcount references;
    char *hostname;
    char *model;      /* of its CPUs, as libvirt says: "x86_64" */
    char *hypervisor; /* "QEMU 7.2.0", "host-vmm" … */
    char *type;       /* "QEMU", "LXC", "host-vmm"; NULL: not told */
    guint64 version;  /* of that, as libvirt counts: major * 1000000 + minor * 1000 + release; 0: not told */
    char *uuid;       /* of the machine (SMBIOS), lower case; NULL: not told */
    char *sockets;    /* of its board, as its source writes the number; NULL: not told */
    guint cpus;       /* that are on */
    guint max_cpus;
    guint mhz;
    guint64 memory; /* KiB */
} DomainHost;

DomainHost *domain_host_new(void);
/* This machine, as the kernel says. */
DomainHost *domain_host_new_local(const char *hypervisor);
DomainHost *domain_host_ref(DomainHost *host);
void domain_host_unref(DomainHost *host);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(DomainHost, domain_host_unref)

/* All guests of one source at one moment. */
typedef struct DomainSnapshot {
    gatomicrefcount references;
    DomainHost *host;
    GPtrArray *domains; /* of Domain */
    gint64 when;        /* monotonic time, us */
} DomainSnapshot;

/* host: taken. */
DomainSnapshot *domain_snapshot_new(DomainHost *host);
DomainSnapshot *domain_snapshot_ref(DomainSnapshot *snapshot);
void domain_snapshot_unref(DomainSnapshot *snapshot);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(DomainSnapshot, domain_snapshot_unref)

/* What is asked for one guest only, on its own page. Strings NULL, numbers DOMAIN_UNKNOWN: not told. */
typedef struct DomainLimits {
    char *block;                                  /* name of the disk */
    guint64 total_bytes, read_bytes, write_bytes; /* a second; 0: no limit */
    guint64 total_iops, read_iops, write_iops;    /* likewise */
} DomainLimits;

typedef struct DomainDetail {
    GArray *limits;     /* of DomainLimits: disks whose limits were told */
    char *os_name;      /* the agent: "Debian GNU/Linux 12 (bookworm)" */
    char *kernel;       /* the agent: release of its kernel */
    char *guest_host;   /* the agent: its host name */
    double load[3];     /* the agent: load averages; < 0: not told */
    guint64 ksm_shared; /* bytes of its memory that the host's kernel has merged */
    char *agent_note;   /* why the agent's answers are missing */
} DomainDetail;

DomainDetail *domain_detail_new(void);
/* An entry for a disk with no limits; borrowed until the next one. */
DomainLimits *domain_detail_add_limits(DomainDetail *detail, const char *block);
void domain_detail_free(DomainDetail *detail);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(DomainDetail, domain_detail_free)

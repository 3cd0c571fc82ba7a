// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * fleet: all guests of all sources, with what they did between the last two samples of each.
 *
 * Sources are asked all at once; one that is slow or gone keeps its last guests, marked as old, and delays
 * nobody.
 */
#pragma once

#include "lib/domain-source.h"

enum { FLEET_HISTORY = 64 };

typedef enum {
    SORT_ID,
    SORT_NAME,
    SORT_CPU,
    SORT_MEMORY,
    SORT_TIME,
    SORT_NET_RX,
    SORT_NET_TX,
    SORT_BLOCK_RD,
    SORT_BLOCK_WR,
    SORT_COUNT
} SortKey;

/* Counters' growth between two samples; DOMAIN_UNKNOWN: not told in both. */
typedef struct Traffic {
    guint64 rd_reqs, wr_reqs, rd_bytes, wr_bytes, rd_time, wr_time;
    guint64 rx_bytes, tx_bytes, rx_packets, tx_packets;
} Traffic;

typedef struct History {
    float cpu[FLEET_HISTORY]; /* %CPU, a ring */
    guint next, count;
} History;

typedef struct FleetSource FleetSource;

typedef struct Row {
    Domain *domain;
    Domain *before; /* the sample before; NULL: there is none that it can be compared with */
    FleetSource *source;
    History *history;
    gboolean active;
    gboolean old;         /* not from this round: its source has not answered */
    gboolean silent;      /* its monitor has not: numbers that only it tells are old or unknown */
    double seconds;       /* between the samples */
    guint64 cpu_time;     /* ns used meanwhile; 0 if unknown */
    double cpu_percent;   /* of all CPUs of its host */
    double steal_percent; /* time that its vCPUs waited for a host CPU, of their time; < 0: unknown */
    guint memory_percent;
    Traffic traffic;
} Row;

struct FleetSource {
    DomainSource *source;
    gboolean is_monitor;
    DomainSnapshot *snapshot;
    GPtrArray *rows; /* of Row, in the snapshot's order */
    char *problem;   /* NULL: it answered the last time */
    gint64 problem_since;
    gboolean busy, fresh, tried;
    GCancellable *cancellable;
    struct Fleet *fleet;
};

typedef struct Totals {
    guint count, running, blocked, paused, shutdown, shutoff, crashed, active, inactive;
    double cpu_percent;
    guint64 cpu_time;
    guint64 memory;       /* KiB of all active guests */
    guint64 guest_memory; /* the same without Xen's domain 0 */
    guint hosts, cpus, max_cpus, mhz;
    guint64 host_memory; /* KiB */
    const char *hostname, *model;
} Totals;

typedef void (*FleetFunc)(gpointer user_data);

typedef struct Fleet {
    GPtrArray *sources; /* of FleetSource */
    GPtrArray *rows;    /* of Row, borrowed: all of them, sorted */
    GPtrArray *gone;    /* of Row: not there any more, kept until the round is over for those who show them */
    gboolean changed_rows; /* guests have come or gone since they were put together */
    Totals totals;
    DomainWants wants;
    char **first; /* UUIDs on the screen */
    /* the round that is going on */
    guint waiting;
    gboolean in_round;
    guint timer;
    FleetFunc done, changed;
    gpointer user_data;
} Fleet;

/* done: a round is over; changed: something has happened that is worth a round. */
Fleet *fleet_new(FleetFunc done, FleetFunc changed, gpointer user_data);
void fleet_free(Fleet *fleet);
/* source: taken. */
void fleet_add(Fleet *fleet, DomainSource *source, gboolean is_monitor);

/* Asks all sources; done is called when all have answered, or after wait_ms with those that have. Nothing
 * while a round goes on. A source is given timeout_ms in all; it is not asked again before it has answered.
 */
void fleet_round(Fleet *fleet, guint wait_ms, guint timeout_ms);
/* Active ones first except by name, names last: as 1.1.1 sorts. by_host: those of a host stay together. */
void fleet_sort(Fleet *fleet, SortKey key, gboolean by_host);
/* TRUE if each source has been tried and none could be reached; *reason (borrowed) says why. */
gboolean fleet_is_lost(const Fleet *fleet, const char **reason);
const char *fleet_row_host(const Row *row);

/* Not all that is told of it is of this round. */
gboolean fleet_is_stale(const Row *row);
/* The growth of one device of a row. FALSE if it was not there before. */
gboolean fleet_block_traffic(const Row *row, guint i, Traffic *traffic);
gboolean fleet_nic_traffic(const Row *row, guint i, Traffic *traffic);
/* Growth of a counter; DOMAIN_UNKNOWN if it is not known twice, 0 if it was set back. */
guint64 fleet_growth(guint64 before, guint64 now);

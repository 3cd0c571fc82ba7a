// SPDX-License-Identifier: GPL-2.0-or-later
#include "virt-top/fleet.h"

#include <string.h>

guint64 fleet_growth(guint64 before, guint64 now)
{
    if (before == DOMAIN_UNKNOWN || now == DOMAIN_UNKNOWN) {
        return DOMAIN_UNKNOWN;
    }
    return now > before ? now - before : 0;
}

static void add(guint64 *sum, guint64 value)
{
    if (value != DOMAIN_UNKNOWN) {
        *sum = (*sum == DOMAIN_UNKNOWN ? 0 : *sum) + value;
    }
}

static const DomainBlock *find_block(const Domain *domain, const char *name, guint hint)
{
    if (hint < domain->n_blocks && strcmp(domain->block[hint].name, name) == 0) {
        return &domain->block[hint];
    }
    for (guint i = 0; i < domain->n_blocks; i++) {
        if (strcmp(domain->block[i].name, name) == 0) {
            return &domain->block[i];
        }
    }
    return NULL;
}

static const DomainNic *find_nic(const Domain *domain, const char *name, guint hint)
{
    if (hint < domain->n_nics && strcmp(domain->nic[hint].name, name) == 0) {
        return &domain->nic[hint];
    }
    for (guint i = 0; i < domain->n_nics; i++) {
        if (strcmp(domain->nic[i].name, name) == 0) {
            return &domain->nic[i];
        }
    }
    return NULL;
}

gboolean fleet_block_traffic(const Row *row, guint i, Traffic *traffic)
{
    const DomainBlock *now = &row->domain->block[i];
    const DomainBlock *before = row->before != NULL ? find_block(row->before, now->name, i) : NULL;

    memset(traffic, 0xff, sizeof *traffic);
    if (before == NULL) {
        return FALSE;
    }
    traffic->rd_reqs = fleet_growth(before->rd_reqs, now->rd_reqs);
    traffic->wr_reqs = fleet_growth(before->wr_reqs, now->wr_reqs);
    traffic->rd_bytes = fleet_growth(before->rd_bytes, now->rd_bytes);
    traffic->wr_bytes = fleet_growth(before->wr_bytes, now->wr_bytes);
    traffic->rd_time = fleet_growth(before->rd_time, now->rd_time);
    traffic->wr_time = fleet_growth(before->wr_time, now->wr_time);
    return TRUE;
}

gboolean fleet_nic_traffic(const Row *row, guint i, Traffic *traffic)
{
    const DomainNic *now = &row->domain->nic[i];
    const DomainNic *before = row->before != NULL ? find_nic(row->before, now->name, i) : NULL;

    memset(traffic, 0xff, sizeof *traffic);
    if (before == NULL) {
        return FALSE;
    }
    traffic->rx_bytes = fleet_growth(before->rx_bytes, now->rx_bytes);
    traffic->tx_bytes = fleet_growth(before->tx_bytes, now->tx_bytes);
    traffic->rx_packets = fleet_growth(before->rx_packets, now->rx_packets);
    traffic->tx_packets = fleet_growth(before->tx_packets, now->tx_packets);
    return TRUE;
}

/* ---- rows ---- */

static void row_free(gpointer data)
{
    Row *row = data;

    g_clear_pointer(&row->domain, domain_unref);
    g_clear_pointer(&row->before, domain_unref);
    g_free(row->history);
    g_free(row);
}

static void sum_traffic(Row *row)
{
    Traffic one;

    memset(&row->traffic, 0xff, sizeof row->traffic);
    if (row->before == NULL) {
        return;
    }
    if (row->domain->n_blocks > 0 && (row->domain->parts & row->before->parts & DOMAIN_HAS_BLOCKS)) {
        row->traffic.rd_reqs = row->traffic.wr_reqs = row->traffic.rd_bytes = row->traffic.wr_bytes = 0;
    }
    if (row->domain->n_nics > 0 && (row->domain->parts & row->before->parts & DOMAIN_HAS_NICS)) {
        row->traffic.rx_bytes = row->traffic.tx_bytes = row->traffic.rx_packets = row->traffic.tx_packets = 0;
    }
    for (guint i = 0; i < row->domain->n_blocks; i++) {
        if (fleet_block_traffic(row, i, &one)) {
            add(&row->traffic.rd_reqs, one.rd_reqs);
            add(&row->traffic.wr_reqs, one.wr_reqs);
            add(&row->traffic.rd_bytes, one.rd_bytes);
            add(&row->traffic.wr_bytes, one.wr_bytes);
            add(&row->traffic.rd_time, one.rd_time);
            add(&row->traffic.wr_time, one.wr_time);
        }
    }
    for (guint i = 0; i < row->domain->n_nics; i++) {
        if (fleet_nic_traffic(row, i, &one)) {
            add(&row->traffic.rx_bytes, one.rx_bytes);
            add(&row->traffic.tx_bytes, one.tx_bytes);
            add(&row->traffic.rx_packets, one.rx_packets);
            add(&row->traffic.tx_packets, one.tx_packets);
        }
    }
}

static void compute_steal(Row *row)
{
    guint64 delay = 0, time = 0;
    gboolean known = FALSE;

    for (guint i = 0; i < MIN(row->domain->n_vcpus, row->before->n_vcpus); i++) {
        guint64 of_delay = fleet_growth(row->before->vcpu[i].delay, row->domain->vcpu[i].delay);
        guint64 of_time = fleet_growth(row->before->vcpu[i].time, row->domain->vcpu[i].time);

        if (of_delay != DOMAIN_UNKNOWN && of_time != DOMAIN_UNKNOWN) {
            delay += of_delay;
            time += of_time;
            known = TRUE;
        }
    }
    if (known) {
        row->steal_percent = delay + time > 0 ? 100.0 * (double)delay / (double)(delay + time) : 0;
    }
}

/* domain: taken over as the newest sample; the one before it is what it is compared with. */
static void compute(Row *row, Domain *domain, const DomainHost *host)
{
    g_clear_pointer(&row->before, domain_unref);
    /* Started anew meanwhile: its counters are others. The same sample once more: what grew before is not
     * new. */
    if (row->domain != NULL && row->domain->id == domain->id && row->domain->when < domain->when) {
        row->before = g_steal_pointer(&row->domain);
    }
    g_clear_pointer(&row->domain, domain_unref);
    row->domain = domain_ref(domain);
    row->active = domain->id >= 0 && domain->state != DOMAIN_STATE_SHUTOFF;
    row->old = FALSE;
    row->silent = !domain->answers;
    row->steal_percent = -1;
    row->seconds = row->cpu_percent = 0;
    row->cpu_time = 0;
    row->memory_percent = 0;
    if (row->before != NULL) {
        guint64 grown = fleet_growth(row->before->cpu_time, domain->cpu_time);

        row->seconds = (double)(domain->when - row->before->when) / G_USEC_PER_SEC;
        if (grown != DOMAIN_UNKNOWN && row->seconds > 0 && host->cpus > 0) {
            row->cpu_time = grown;
            row->cpu_percent = (double)grown / 1e7 / row->seconds / host->cpus;
        }
        compute_steal(row);
        if (domain->memory.current != DOMAIN_UNKNOWN && host->memory > 0) {
            row->memory_percent = (guint)(MIN(domain->memory.current, G_MAXUINT32) * 100 / host->memory);
        }
        if (row->active) {
            row->history->cpu[row->history->next] = (float)row->cpu_percent;
            row->history->next = (row->history->next + 1) % FLEET_HISTORY;
            row->history->count = MIN(row->history->count + 1, FLEET_HISTORY);
        }
    }
    sum_traffic(row);
}

/* Most often the guests are those of the last time, at the same places. */
static gboolean is_same(GPtrArray *rows, GPtrArray *domains)
{
    if (rows->len != domains->len) {
        return FALSE;
    }
    for (guint i = 0; i < rows->len; i++) {
        const Row *row = rows->pdata[i];

        if (strcmp(row->domain->uuid, ((Domain *)domains->pdata[i])->uuid) != 0) {
            return FALSE;
        }
    }
    return TRUE;
}

/* Makes rows for these guests; those that were there keep theirs. */
static void change_rows(FleetSource *source, GPtrArray *domains)
{
    g_autoptr(GHashTable) old = g_hash_table_new(g_str_hash, g_str_equal);
    g_autoptr(GPtrArray) rows = g_steal_pointer(&source->rows);
    GHashTableIter iter;
    gpointer row;

    g_ptr_array_set_free_func(rows, NULL);
    source->rows = g_ptr_array_new_full(domains->len, row_free);
    for (guint i = 0; i < rows->len; i++) {
        row = rows->pdata[i];
        if (g_hash_table_contains(old, ((Row *)row)->domain->uuid)) {
            g_ptr_array_add(source->fleet->gone, row); /* two of the same UUID: an error of the source */
        } else {
            g_hash_table_insert(old, ((Row *)row)->domain->uuid, row);
        }
    }
    for (guint i = 0; i < domains->len; i++) {
        if (!g_hash_table_steal_extended(old, ((Domain *)domains->pdata[i])->uuid, NULL, &row)) {
            row = g_new0(Row, 1);
            ((Row *)row)->source = source;
            ((Row *)row)->history = g_new0(History, 1);
        }
        g_ptr_array_add(source->rows, row);
    }
    g_hash_table_iter_init(&iter, old);
    while (g_hash_table_iter_next(&iter, NULL, &row)) {
        g_ptr_array_add(source->fleet->gone, row);
    }
    source->fleet->changed_rows = TRUE;
}

static void take_snapshot(FleetSource *source, DomainSnapshot *snapshot)
{
    if (!is_same(source->rows, snapshot->domains)) {
        change_rows(source, snapshot->domains);
    }
    for (guint i = 0; i < snapshot->domains->len; i++) {
        compute(source->rows->pdata[i], snapshot->domains->pdata[i], snapshot->host);
    }
    g_clear_pointer(&source->snapshot, domain_snapshot_unref);
    source->snapshot = snapshot;
}

/* ---- totals ---- */

static void count_state(Totals *totals, const Row *row)
{
    totals->count++;
    if (!row->active) {
        totals->inactive++;
        return;
    }
    totals->active++;
    switch (row->domain->state) {
    case DOMAIN_STATE_RUNNING:
        totals->running++;
        break;
    case DOMAIN_STATE_BLOCKED:
        totals->blocked++;
        break;
    case DOMAIN_STATE_PAUSED:
    case DOMAIN_STATE_PMSUSPENDED:
        totals->paused++;
        break;
    case DOMAIN_STATE_SHUTDOWN:
        totals->shutdown++;
        break;
    case DOMAIN_STATE_SHUTOFF:
        totals->shutoff++;
        break;
    case DOMAIN_STATE_CRASHED:
        totals->crashed++;
        break;
    default:
        break;
    }
}

static void count_host(Totals *totals, GHashTable *seen, const DomainHost *host)
{
    if (host == NULL || !g_hash_table_add(seen, host->hostname)) {
        return;
    }
    if (totals->hosts++ == 0) {
        totals->hostname = host->hostname;
        totals->model = host->model;
        totals->mhz = host->mhz;
    }
    totals->cpus += host->cpus;
    totals->max_cpus += host->max_cpus;
    totals->host_memory += host->memory;
}

static void collect_rows(Fleet *fleet)
{
    g_ptr_array_set_size(fleet->rows, 0);
    for (guint i = 0; i < fleet->sources->len; i++) {
        FleetSource *source = fleet->sources->pdata[i];

        for (guint j = 0; j < source->rows->len; j++) {
            g_ptr_array_add(fleet->rows, source->rows->pdata[j]);
        }
    }
    fleet->changed_rows = FALSE;
}

static void count_all(Fleet *fleet)
{
    g_autoptr(GHashTable) seen = g_hash_table_new(g_str_hash, g_str_equal);
    Totals totals = {.hostname = "?", .model = "?"};
    double cpus_used = 0;

    if (fleet
            ->changed_rows) { /* else they stay in the order of the last time, which is nearly that of this */
        collect_rows(fleet);
    }
    for (guint i = 0; i < fleet->sources->len; i++) {
        FleetSource *source = fleet->sources->pdata[i];

        /* host-vmm's own view of this machine is for its guests, if libvirt tells the same host. */
        if (source->snapshot != NULL &&
            (!source->is_monitor || source->rows->len > 0 || fleet->sources->len == 1)) {
            count_host(&totals, seen, source->snapshot->host);
        }
        for (guint j = 0; j < source->rows->len; j++) {
            Row *row = source->rows->pdata[j];

            if (!source->fresh) {
                row->old = TRUE;
            }
            count_state(&totals, row);
            if (row->active) {
                totals.cpu_time += row->old ? 0 : row->cpu_time;
                cpus_used += row->old ? 0 : row->cpu_percent * source->snapshot->host->cpus;
                if (row->domain->memory.current != DOMAIN_UNKNOWN) {
                    totals.memory += row->domain->memory.current;
                    totals.guest_memory += row->domain->id != 0 ? row->domain->memory.current : 0;
                }
            }
        }
    }
    totals.cpu_percent = totals.cpus > 0 ? cpus_used / totals.cpus : 0;
    fleet->totals = totals;
}

/* ---- rounds ---- */

static void end_round(Fleet *fleet)
{
    fleet->in_round = FALSE;
    if (fleet->timer != 0) {
        g_source_remove(fleet->timer);
        fleet->timer = 0;
    }
    count_all(fleet);
    fleet->done(fleet->user_data);
    g_ptr_array_set_size(fleet->gone, 0); /* nobody shows them any more */
}

static void on_snapshot(GObject *object, GAsyncResult *result, gpointer user_data)
{
    g_autoptr(GError) error = NULL;
    DomainSnapshot *snapshot = domain_source_refresh_finish(result, &error);
    FleetSource *source;

    if (g_error_matches(error, G_IO_ERROR, G_IO_ERROR_CANCELLED)) {
        return; /* we are gone */
    }
    source = user_data;
    source->busy = FALSE;
    source->tried = TRUE;
    if (snapshot != NULL) {
        take_snapshot(source, snapshot);
        g_clear_pointer(&source->problem, g_free);
        source->fresh = TRUE;
    } else {
        if (source->problem == NULL) {
            source->problem_since = g_get_monotonic_time();
        }
        g_free(source->problem);
        source->problem = g_strdup(error->message);
    }
    if (source->fleet->waiting > 0 && --source->fleet->waiting == 0 && source->fleet->in_round) {
        end_round(source->fleet);
    }
}

static gboolean on_wait_over(gpointer user_data)
{
    Fleet *fleet = user_data;

    fleet->timer = 0;
    for (guint i = 0; i < fleet->sources->len; i++) {
        FleetSource *source = fleet->sources->pdata[i];

        if (source->busy && source->problem == NULL) {
            source->problem = g_strdup("no answer yet");
            source->problem_since = g_get_monotonic_time();
        }
    }
    end_round(fleet);
    return G_SOURCE_REMOVE;
}

void fleet_round(Fleet *fleet, guint wait_ms, guint timeout_ms)
{
    if (fleet->in_round) {
        return;
    }
    fleet->in_round = TRUE;
    fleet->waiting = 1;
    for (guint i = 0; i < fleet->sources->len; i++) {
        FleetSource *source = fleet->sources->pdata[i];

        source->fresh = FALSE;
        if (source->busy) {
            continue; /* it was late the last time: nobody waits for it */
        }
        source->busy = TRUE;
        fleet->waiting++;
        domain_source_refresh_async(source->source, fleet->wants, (const char *const *)fleet->first,
                                    timeout_ms, source->cancellable, on_snapshot, source);
    }
    fleet->timer = g_timeout_add(wait_ms, on_wait_over, fleet);
    if (--fleet->waiting == 0 && fleet->in_round) {
        end_round(fleet);
    }
}

static void on_event(DomainSource *from, DomainSourceEvent event, gpointer user_data)
{
    FleetSource *source = user_data;

    if (event == DOMAIN_SOURCE_DISCONNECTED && source->problem == NULL) {
        source->problem = g_strdup("the connection was closed");
        source->problem_since = g_get_monotonic_time();
    }
    source->fleet->changed(source->fleet->user_data);
}

static void source_free(gpointer data)
{
    FleetSource *source = data;

    g_cancellable_cancel(source->cancellable);
    domain_source_free(source->source);
    g_object_unref(source->cancellable);
    g_ptr_array_unref(source->rows);
    g_clear_pointer(&source->snapshot, domain_snapshot_unref);
    g_free(source->problem);
    g_free(source);
}

void fleet_add(Fleet *fleet, DomainSource *from, gboolean is_monitor)
{
    FleetSource *source = g_new0(FleetSource, 1);

    source->source = from;
    source->is_monitor = is_monitor;
    source->rows = g_ptr_array_new_with_free_func(row_free);
    source->cancellable = g_cancellable_new();
    source->fleet = fleet;
    domain_source_set_func(from, on_event, source);
    g_ptr_array_add(fleet->sources, source);
}

Fleet *fleet_new(FleetFunc done, FleetFunc changed, gpointer user_data)
{
    Fleet *fleet = g_new0(Fleet, 1);

    fleet->sources = g_ptr_array_new_with_free_func(source_free);
    fleet->rows = g_ptr_array_new();
    fleet->gone = g_ptr_array_new_with_free_func(row_free);
    fleet->wants = DOMAIN_WANT_ALL;
    fleet->done = done;
    fleet->changed = changed;
    fleet->user_data = user_data;
    return fleet;
}

void fleet_free(Fleet *fleet)
{
    if (fleet->timer != 0) {
        g_source_remove(fleet->timer);
    }
    g_ptr_array_unref(fleet->rows);
    g_ptr_array_unref(fleet->gone);
    g_ptr_array_unref(fleet->sources);
    g_strfreev(fleet->first);
    g_free(fleet);
}

gboolean fleet_is_lost(const Fleet *fleet, const char **reason)
{
    *reason = NULL;
    for (guint i = 0; i < fleet->sources->len; i++) {
        const FleetSource *source = fleet->sources->pdata[i];

        if (!source->is_monitor && (source->snapshot != NULL || source->busy)) {
            return FALSE; /* one that is slow may still answer */
        }
        if (source->is_monitor && (source->rows->len > 0 || fleet->sources->len == 1)) {
            return FALSE;
        }
        if (!source->is_monitor && *reason == NULL && source->problem != NULL) {
            *reason = source->problem;
        }
    }
    return *reason != NULL;
}

gboolean fleet_is_stale(const Row *row)
{
    return row->old || row->silent;
}

const char *fleet_row_host(const Row *row)
{
    return row->source->snapshot != NULL ? row->source->snapshot->host->hostname : "?";
}

/* ---- order ---- */

typedef struct Order {
    SortKey key;
    gboolean by_host;
} Order;

static int descending(double a, double b)
{
    return a > b ? -1 : a < b;
}

static int descending_int(guint64 a, guint64 b)
{
    /* unknown comes last */
    return a == b ? 0 : a == DOMAIN_UNKNOWN ? 1 : b == DOMAIN_UNKNOWN ? -1 : a > b ? -1 : 1;
}

static int compare_rows(gconstpointer a, gconstpointer b, gpointer user_data)
{
    const Row *x = *(Row *const *)a, *y = *(Row *const *)b;
    const Order *order = user_data;
    int result = 0;

    if (order->by_host && x->source != y->source) {
        result = strcmp(fleet_row_host(x), fleet_row_host(y));
        result = result != 0 ? result : x->source < y->source ? -1 : 1;
        return result;
    }
    if (x->active != y->active && order->key != SORT_NAME) {
        return x->active ? -1 : 1;
    }
    switch (x->active ? order->key : SORT_NAME) {
    case SORT_ID:
        result = (x->domain->id > y->domain->id) - (x->domain->id < y->domain->id);
        break;
    case SORT_CPU:
        result = descending(x->cpu_percent, y->cpu_percent);
        break;
    case SORT_MEMORY:
        result = descending_int(x->domain->memory.current, y->domain->memory.current);
        break;
    case SORT_TIME:
        result = descending_int(x->domain->cpu_time, y->domain->cpu_time);
        break;
    case SORT_NET_RX:
        result = descending_int(x->traffic.rx_bytes, y->traffic.rx_bytes);
        break;
    case SORT_NET_TX:
        result = descending_int(x->traffic.tx_bytes, y->traffic.tx_bytes);
        break;
    case SORT_BLOCK_RD:
        result = descending_int(x->traffic.rd_reqs, y->traffic.rd_reqs);
        break;
    case SORT_BLOCK_WR:
        result = descending_int(x->traffic.wr_reqs, y->traffic.wr_reqs);
        break;
    default:
        break;
    }
    return result != 0 ? result : strcmp(x->domain->name, y->domain->name);
}

void fleet_sort(Fleet *fleet, SortKey key, gboolean by_host)
{
    Order order = {key, by_host};

    for (guint i = 1; i < fleet->rows->len; i++) {
        if (compare_rows(&fleet->rows->pdata[i - 1], &fleet->rows->pdata[i], &order) > 0) {
            g_ptr_array_sort_with_data(fleet->rows, compare_rows, &order);
            return;
        }
    }
}

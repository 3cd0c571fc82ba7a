// SPDX-License-Identifier: GPL-2.0-or-later
#include "virt-who/report.h"

#include <string.h>

#include "lib/jsonstream.h"

static void clear_guest(gpointer data)
{
    g_free(((ReportGuest *)data)->uuid);
}

static void host_free(gpointer data)
{
    ReportHost *host = data;

    g_free(host->id);
    g_free(host->name);
    g_free(host->machine);
    g_free(host->facts);
    g_array_unref(host->guests);
    g_free(host);
}

Report *report_new(gboolean is_list)
{
    Report *report = g_new0(Report, 1);

    g_atomic_ref_count_init(&report->references);
    report->is_list = is_list;
    report->hosts = g_ptr_array_new_with_free_func(host_free);
    return report;
}

Report *report_ref(Report *report)
{
    g_atomic_ref_count_inc(&report->references);
    return report;
}

void report_unref(Report *report)
{
    if (g_atomic_ref_count_dec(&report->references)) {
        g_ptr_array_unref(report->hosts);
        g_free(report);
    }
}

static ReportHost *host_new(const char *id, const char *name)
{
    ReportHost *host = g_new0(ReportHost, 1);

    host->id = g_strdup(id);
    host->name = g_strdup(name);
    host->guests = g_array_new(FALSE, FALSE, sizeof(ReportGuest));
    g_array_set_clear_func(host->guests, clear_guest);
    return host;
}

ReportHost *report_add_host(Report *report, const char *id, const char *name)
{
    ReportHost *host = host_new(id, name);

    g_ptr_array_add(report->hosts, host);
    return host;
}

void report_host_add_guest(ReportHost *host, const char *uuid, const char *type, int state)
{
    ReportGuest guest = {g_strdup(uuid), g_intern_string(type), state};

    g_array_append_val(host->guests, guest);
}

guint report_count_guests(const GPtrArray *hosts)
{
    guint count = 0;

    for (guint i = 0; i < hosts->len; i++) {
        count += ((const ReportHost *)hosts->pdata[i])->guests->len;
    }
    return count;
}

/* ---- merging ---- */

static gboolean same_machine(const ReportHost *a, const ReportHost *b)
{
    if (a->machine != NULL && b->machine != NULL) {
        return g_ascii_strcasecmp(a->machine, b->machine) == 0;
    }
    return g_strcmp0(a->name, b->name) == 0;
}

static gboolean is_active(int state)
{
    return state == 1 || state == 3; /* running, paused */
}

/* A guest that is told twice is active if one of them says so. */
static ReportHost *merge_hosts(const ReportHost *a, const ReportHost *b)
{
    ReportHost *both = host_new(a->id, a->name);
    g_autoptr(GHashTable) seen = g_hash_table_new(g_str_hash, g_str_equal);

    both->machine = g_strdup(a->machine);
    both->facts = g_strdup(a->facts != NULL ? a->facts : b->facts);
    for (guint round = 0; round < 2; round++) {
        const GArray *guests = round == 0 ? a->guests : b->guests;

        for (guint i = 0; i < guests->len; i++) {
            const ReportGuest *guest = &g_array_index(guests, ReportGuest, i);
            gpointer at;

            if (!g_hash_table_lookup_extended(seen, guest->uuid, NULL, &at)) {
                g_hash_table_insert(seen, guest->uuid, GUINT_TO_POINTER(both->guests->len));
                report_host_add_guest(both, guest->uuid, guest->type, guest->state);
            } else if (is_active(guest->state)) {
                g_array_index(both->guests, ReportGuest, GPOINTER_TO_UINT(at)).state = guest->state;
            }
        }
    }
    return both;
}

static int compare_hosts(gconstpointer a, gconstpointer b)
{
    const ReportHost *x = *(ReportHost *const *)a, *y = *(ReportHost *const *)b;

    return g_strcmp0(x->id, y->id);
}

GPtrArray *report_merge(Report *const *reports, guint count, GPtrArray **owned, GPtrArray *doubles)
{
    g_autoptr(GHashTable) seen = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    GPtrArray *hosts = g_ptr_array_new();

    *owned = g_ptr_array_new_with_free_func(host_free);
    for (guint i = 0; i < count; i++) {
        for (guint j = 0; j < reports[i]->hosts->len; j++) {
            ReportHost *host = reports[i]->hosts->pdata[j];
            char *folded = g_utf8_casefold(host->id, -1);
            gpointer at;

            if (!g_hash_table_lookup_extended(seen, folded, NULL, &at)) {
                g_hash_table_insert(seen, folded, GUINT_TO_POINTER(hosts->len));
                g_ptr_array_add(hosts, host);
                continue;
            }
            g_free(folded);
            if (same_machine(hosts->pdata[GPOINTER_TO_UINT(at)], host)) {
                ReportHost *both = merge_hosts(hosts->pdata[GPOINTER_TO_UINT(at)], host);

                g_ptr_array_add(*owned, both);
                hosts->pdata[GPOINTER_TO_UINT(at)] = both;
            } else {
                g_ptr_array_add(doubles, g_strdup(host->id));
            }
        }
    }
    g_ptr_array_sort(hosts, compare_hosts);
    return hosts;
}

Report *report_join(Report *const *reports, guint count)
{
    Report *all = report_new(TRUE);

    for (guint i = 0; i < count; i++) {
        for (guint j = 0; j < reports[i]->hosts->len; j++) {
            ReportHost *host = reports[i]->hosts->pdata[j];
            ReportHost *both;

            if (all->hosts->len == 0) {
                report_add_host(all, host->id, NULL);
            }
            both = merge_hosts(all->hosts->pdata[0], host);
            if (both->id == NULL) {
                both->id = g_strdup(host->id);
            }
            g_ptr_array_set_size(all->hosts, 0);
            g_ptr_array_add(all->hosts, both);
        }
    }
    return all;
}

/* ---- writing ---- */

void report_write_string(const char *text, GString *out)
{
    g_autoptr(JsonNode) node = json_node_init_string(json_node_alloc(), text);

    json_write(node, out);
}

static void write_guest(const ReportGuest *guest, GString *out)
{
    g_string_append(out, "{\"guestId\": ");
    report_write_string(guest->uuid, out);
    g_string_append_printf(out, ", \"state\": %d, \"attributes\": {\"virtWhoType\": ", guest->state);
    report_write_string(guest->type, out);
    g_string_append_printf(out, ", \"active\": %d}}", is_active(guest->state));
}

static int compare_guests(gconstpointer a, gconstpointer b)
{
    const ReportGuest *x = *(ReportGuest *const *)a, *y = *(ReportGuest *const *)b;

    return strcmp(x->uuid, y->uuid);
}

static void write_guests(const GArray *guests, gboolean sorted, gboolean plain, GString *out)
{
    g_autofree const ReportGuest **order = g_new(const ReportGuest *, MAX(guests->len, 1));

    for (guint i = 0; i < guests->len; i++) {
        order[i] = &g_array_index(guests, ReportGuest, i);
    }
    if (sorted) {
        qsort(order, guests->len, sizeof order[0], compare_guests);
    }
    g_string_append_c(out, '[');
    for (guint i = 0; i < guests->len; i++) {
        if (i > 0) {
            g_string_append(out, ", ");
        }
        if (plain) {
            report_write_string(order[i]->uuid, out);
        } else {
            write_guest(order[i], out);
        }
    }
    g_string_append_c(out, ']');
}

static void write_id(const char *id, GString *out)
{
    g_string_append(out, "{\"hypervisorId\": ");
    report_write_string(id, out);
    g_string_append_c(out, '}');
}

void report_write_hosts(const GPtrArray *hosts, gboolean sorted, GString *out)
{
    g_string_append(out, "{\"hypervisors\": [");
    for (guint i = 0; i < hosts->len; i++) {
        const ReportHost *host = hosts->pdata[i];

        g_string_append(out, i > 0 ? ", {\"hypervisorId\": " : "{\"hypervisorId\": ");
        write_id(host->id, out);
        if (host->name != NULL && host->name[0] != '\0') {
            g_string_append(out, ", \"name\": ");
            report_write_string(host->name, out);
        }
        g_string_append(out, ", \"guestIds\": ");
        write_guests(host->guests, sorted, FALSE, out);
        if (host->facts != NULL) {
            g_string_append(out, ", \"facts\": ");
            g_string_append(out, host->facts);
        }
        g_string_append_c(out, '}');
    }
    g_string_append(out, "]}");
}

void report_write_list(const ReportHost *host, gboolean sorted, gboolean plain, GString *out)
{
    g_string_append(out, "{\"guestIds\": ");
    write_guests(host->guests, sorted, plain, out);
    if (host->id != NULL) {
        g_string_append(out, ", \"hypervisorId\": ");
        write_id(host->id, out);
    }
    g_string_append_c(out, '}');
}

void report_write_map(const GPtrArray *hosts, GString *out)
{
    g_string_append_c(out, '{');
    for (guint i = 0; i < hosts->len; i++) {
        const ReportHost *host = hosts->pdata[i];

        g_string_append(out, i > 0 ? ", " : "");
        report_write_string(host->id, out);
        g_string_append(out, ": ");
        write_guests(host->guests, TRUE, FALSE, out);
    }
    g_string_append_c(out, '}');
}

static void new_line(GString *out, guint depth)
{
    g_string_append_printf(out, "\n%*s", (int)depth * 4, "");
}

char *report_indent(const char *json)
{
    GString *out = g_string_sized_new(strlen(json) * 2);
    guint depth = 0;

    for (const char *p = json; *p != '\0'; p++) {
        switch (*p) {
        case '"': {
            const char *begin = p;

            for (p++; *p != '"' && *p != '\0'; p++) {
                p += *p == '\\' && p[1] != '\0';
            }
            g_string_append_len(out, begin, p - begin + (*p == '"'));
            p -= *p == '\0';
            break;
        }
        case '{':
        case '[':
            g_string_append_c(out, *p);
            if (p[1] == '}' || p[1] == ']') {
                g_string_append_c(out, *++p);
            } else {
                new_line(out, ++depth);
            }
            break;
        case '}':
        case ']':
            new_line(out, --depth);
            g_string_append_c(out, *p);
            break;
        case ',':
            g_string_append_c(out, ',');
            new_line(out, depth);
            p += p[1] == ' ';
            break;
        default:
            g_string_append_c(out, *p);
        }
    }
    return g_string_free(out, FALSE);
}

// SPDX-License-Identifier: GPL-2.0-or-later
#include "virt-who/source.h"

#include <string.h>

#include "lib/domain-source.h"

#define ZERO_UUID "00000000-0000-0000-0000-000000000000" /* Xen's Domain-0: not a guest */

G_DEFINE_QUARK(source - error - quark, source_error)

struct Source {
    const Conf *config;
    SourceFuncs funcs;
    gpointer user_data;
    char *label;
    DomainSource *domains; /* NULL: a file */
    GFileMonitor *watch;   /* of the file */
    gboolean told_no_uuid;
};

char *source_libvirt_uri(const char *server, const char *username)
{
    const char *scheme_end, *rest, *query, *path, *at;
    g_autofree char *scheme = NULL;
    g_autofree char *authority = NULL;
    g_autofree char *where = NULL;
    gboolean ssh, asks;

    if (server == NULL || server[0] == '\0') {
        return NULL;
    }
    scheme_end = strstr(server, "://");
    scheme = scheme_end != NULL ? g_strndup(server, (gsize)(scheme_end - server)) : g_strdup("qemu+ssh");
    rest = scheme_end != NULL ? scheme_end + 3 : server;
    query = strchrnul(rest, '?');
    path = memchr(rest, '/', (gsize)(query - rest));
    path = path != NULL ? path : query;
    authority = g_strndup(rest, (gsize)(path - rest));
    where = query - path > 1 ? g_strndup(path, (gsize)(query - path)) : g_strdup("/system");
    if (username != NULL && authority[0] != '\0') {
        char *other;

        at = strrchr(authority, '@');
        other = g_strconcat(username, "@", at != NULL ? at + 1 : authority, NULL);
        g_free(authority);
        authority = other;
    }
    /* A daemon has no terminal that ssh could ask on. */
    ssh = g_str_has_suffix(scheme, "+ssh");
    asks = strstr(query, "no_tty=") == NULL;
    return g_strconcat(scheme, "://", authority, where, query,
                       !ssh || !asks    ? ""
                       : *query != '\0' ? "&"
                                        : "?",
                       ssh && asks ? "no_tty=1" : "", NULL);
}

/* ---- from domains ---- */

static char *write_facts(const DomainHost *host)
{
    GString *out = g_string_new("{\"cpu.cpu_socket(s)\": ");

    if (host->sockets != NULL) {
        report_write_string(host->sockets, out);
    } else {
        g_string_append(out, "null");
    }
    g_string_append(out, ", \"hypervisor.type\": ");
    if (host->type != NULL) {
        report_write_string(host->type, out);
    } else {
        g_string_append(out, "null");
    }
    g_string_append_printf(out, ", \"hypervisor.version\": %" G_GUINT64_FORMAT, host->version);
    if (host->uuid != NULL) {
        g_string_append(out, ", \"dmi.system.uuid\": ");
        report_write_string(host->uuid, out);
    }
    g_string_append_c(out, '}');
    return g_string_free(out, FALSE);
}

static const char *host_id(Source *source, const DomainHost *host)
{
    if (source->config->by_hostname || host->uuid == NULL) {
        if (!source->config->by_hostname && source->config->is_hypervisor && !source->told_no_uuid) {
            source->told_no_uuid = TRUE;
            g_warning("Config \"%s\": the machine's UUID is not told%s; its host name is the hypervisor's id",
                      source->config->name, source->config->type == CONF_MONITOR ? " to this user" : "");
        }
        /* In a guest list an id is only added if it is the one that was asked for. */
        return source->config->by_hostname || source->config->is_hypervisor ? host->hostname : NULL;
    }
    return host->uuid;
}

static Report *report_from(Source *source, const DomainSnapshot *snapshot)
{
    const Conf *config = source->config;
    const char *type = config->type == CONF_MONITOR ? "host-vmm" : "libvirt";
    Report *report = report_new(!config->is_hypervisor);
    const char *id = host_id(source, snapshot->host);
    ReportHost *host;

    if (config->is_hypervisor && !filter_passes(config->filter, id)) {
        return report;
    }
    host = report_add_host(report, id, config->is_hypervisor ? snapshot->host->hostname : NULL);
    if (config->is_hypervisor) {
        host->facts = write_facts(snapshot->host);
        host->machine = g_strdup(snapshot->host->uuid);
    }
    for (guint i = 0; i < snapshot->domains->len; i++) {
        const Domain *domain = snapshot->domains->pdata[i];

        if (strcmp(domain->uuid, ZERO_UUID) != 0) {
            report_host_add_guest(host, domain->uuid, type, (int)domain->state);
        }
    }
    return report;
}

static void on_refreshed(GObject *object, GAsyncResult *result, gpointer user_data)
{
    Source *source = user_data;
    g_autoptr(GError) error = NULL;
    DomainSnapshot *snapshot = domain_source_refresh_finish(result, &error);
    g_autoptr(Report) report = NULL;

    if (snapshot == NULL && g_error_matches(error, G_IO_ERROR, G_IO_ERROR_CANCELLED)) {
        return; /* the source has gone */
    }
    if (snapshot != NULL) {
        report = report_from(source, snapshot);
        domain_snapshot_unref(snapshot);
    }
    source->funcs.gathered(source, report, error, source->user_data);
}

static void on_event(DomainSource *domains, DomainSourceEvent event, gpointer user_data)
{
    Source *source = user_data;

    if (event == DOMAIN_SOURCE_DISCONNECTED) {
        g_warning("Config \"%s\": %s has gone away", source->config->name, source->label);
    }
    source->funcs.changed(source, source->user_data);
}

/* ---- from a file ---- */

static void on_file_changed(GFileMonitor *watch, GFile *file, GFile *other, GFileMonitorEvent event,
                            gpointer user_data)
{
    Source *source = user_data;

    source->funcs.changed(source, source->user_data);
}

static void gather_file(Source *source)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(Report) report = fake_read(source->config->fake_file, !source->config->is_hypervisor, &error);

    if (report != NULL && !report->is_list) {
        for (guint i = report->hosts->len; i > 0; i--) {
            if (!filter_passes(source->config->filter, ((ReportHost *)report->hosts->pdata[i - 1])->id)) {
                g_ptr_array_remove_index(report->hosts, i - 1);
            }
        }
    }
    source->funcs.gathered(source, report, error, source->user_data);
}

/* ---- the interface ---- */

Source *source_new(const Conf *config, const SourceFuncs *funcs, gpointer user_data, GError **error)
{
    Source *source = g_new0(Source, 1);

    source->config = config;
    source->funcs = *funcs;
    source->user_data = user_data;
    switch (config->type) {
    case CONF_LIBVIRT: {
        g_autofree char *uri = source_libvirt_uri(config->server, config->username);

        source->domains = domain_source_new_libvirt_login(uri, DOMAIN_SOURCE_DEFAULT, config->username,
                                                          config->password, error);
        source->label = g_strdup(uri != NULL ? uri : "libvirt");
        g_info("Using libvirt url: %s", uri != NULL ? uri : "\"\"");
        break;
    }
    case CONF_MONITOR:
        source->domains = domain_source_new_monitor(config->server);
        source->label = g_strdup("host-vmm");
        break;
    case CONF_FAKE: {
        g_autoptr(GFile) file = g_file_new_for_path(config->fake_file);

        source->label = g_strdup(config->fake_file);
        source->watch = g_file_monitor_file(file, G_FILE_MONITOR_NONE, NULL, NULL);
        if (source->watch != NULL) {
            g_signal_connect(source->watch, "changed", G_CALLBACK(on_file_changed), source);
        }
        return source;
    }
    }
    if (source->domains == NULL) {
        source_free(source);
        return NULL;
    }
    domain_source_set_func(source->domains, on_event, source);
    return source;
}

void source_free(Source *source)
{
    domain_source_free(source->domains);
    if (source->watch != NULL) {
        g_signal_handlers_disconnect_by_data(source->watch, source);
        g_file_monitor_cancel(source->watch);
        g_object_unref(source->watch);
    }
    g_free(source->label);
    g_free(source);
}

void source_gather(Source *source, guint timeout_ms)
{
    if (source->domains == NULL) {
        gather_file(source);
    } else {
        domain_source_refresh_async(source->domains, DOMAIN_WANT_IDENTITY, NULL, timeout_ms, NULL,
                                    on_refreshed, source);
    }
}

const Conf *source_config(const Source *source)
{
    return source->config;
}

const char *source_label(const Source *source)
{
    return source->label;
}

// SPDX-License-Identifier: GPL-2.0-or-later
#include "virt-who/server.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <gnutls/x509.h>

#include "virt-who/secret.h"

#define MAX_PEM    (1 << 20)
#define MAX_CA     (8 << 20)
#define MAX_CA_PEM 1024

G_DEFINE_QUARK(server - error - quark, server_error)

/* ---- settings ---- */

/* A key of the section, else of rhsm.conf's [server]. Empty ones count as not there. */
static const char *pick(const Conf *config, RhsmKey key, const IniSection *section, const char *name)
{
    const char *text = config->rhsm[key];

    if (text == NULL && section != NULL) {
        text = ini_text(section, name, NULL);
    }
    return text != NULL && text[0] != '\0' ? text : NULL;
}

static guint number(const char *text, guint limit, guint fallback)
{
    guint64 value;

    return text != NULL && g_ascii_string_to_unsigned(text, 10, 1, limit, &value, NULL) ? (guint)value
                                                                                        : fallback;
}

static const char *from_environment(const char *const *environment, const char *const *names)
{
    for (; *names != NULL; names++) {
        const char *text = NULL;

        for (guint i = 0; environment != NULL && environment[i] != NULL && environment[i + 1] != NULL;
             i += 2) {
            /* Keys of a file have no case: HTTPS_PROXY is https_proxy there. */
            if (g_ascii_strcasecmp(environment[i], *names) == 0) {
                text = environment[i + 1];
            }
        }
        text = text != NULL ? text : g_getenv(*names);
        if (text != NULL && text[0] != '\0') {
            return text;
        }
    }
    return NULL;
}

gboolean server_skips_proxy(const char *no_proxy, const char *hostname)
{
    g_auto(GStrv) items = g_strsplit_set(no_proxy, ", ", -1);

    for (char **item = items; *item != NULL; item++) {
        const char *suffix = *item;
        gsize length, all = strlen(hostname);

        if (strcmp(suffix, "*") == 0) {
            return TRUE;
        }
        suffix += suffix[0] == '*';
        suffix += strspn(suffix, ".");
        length = strlen(suffix);
        if (length > 0 && length <= all && g_ascii_strcasecmp(hostname + all - length, suffix) == 0 &&
            (length == all || hostname[all - length - 1] == '.')) {
            return TRUE;
        }
    }
    return FALSE;
}

static void take_proxy_url(Server *server, const char *url)
{
    const char *rest = strstr(url, "://") != NULL ? strstr(url, "://") + 3 : url;
    g_autofree char *authority = g_strndup(rest, strcspn(rest, "/"));
    char *at = strrchr(authority, '@');
    char *host = at != NULL ? at + 1 : authority;
    char *colon = strrchr(host, ':');

    if (at != NULL) {
        char *password = strchr(authority, ':');

        *at = '\0';
        if (password != NULL) {
            *password++ = '\0';
            server->proxy_password = g_uri_unescape_string(password, NULL);
        }
        server->proxy_user = g_uri_unescape_string(authority, NULL);
    }
    if (colon != NULL && strchr(colon, ']') == NULL) {
        *colon = '\0';
        server->proxy_port = number(colon + 1, 65535, 3128);
    }
    server->proxy_hostname = g_strdup(host);
}

static void read_proxy(Server *server, const Conf *config, const IniSection *rhsm,
                       const char *const *environment)
{
    static const char *const urls[] = {"HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", NULL};
    static const char *const skips[] = {"NO_PROXY", "no_proxy", NULL};
    const char *no_proxy = pick(config, RHSM_NO_PROXY, rhsm, "no_proxy");
    const char *hostname = pick(config, RHSM_PROXY_HOSTNAME, rhsm, "proxy_hostname");
    const char *url = hostname == NULL ? from_environment(environment, urls) : NULL;

    no_proxy = no_proxy != NULL ? no_proxy : from_environment(environment, skips);
    server->proxy_port = number(pick(config, RHSM_PROXY_PORT, rhsm, "proxy_port"), 65535, 3128);
    if ((hostname == NULL && url == NULL) ||
        (no_proxy != NULL && server_skips_proxy(no_proxy, server->hostname))) {
        return;
    }
    if (url != NULL) {
        take_proxy_url(server, url);
        return;
    }
    server->proxy_hostname = g_strdup(hostname);
    server->proxy_user = g_strdup(pick(config, RHSM_PROXY_USER, rhsm, "proxy_user"));
    server->proxy_password = g_strdup(pick(config, RHSM_PROXY_PASSWORD, rhsm, "proxy_password"));
}

Server *server_new(const Conf *config, const IniFile *rhsm, const char *const *environment, const char *root)
{
    Server *server = g_new0(Server, 1);
    const IniSection *section = rhsm != NULL ? ini_section(rhsm, "server") : NULL;
    const IniSection *files = rhsm != NULL ? ini_section(rhsm, "rhsm") : NULL;
    const char *prefix = pick(config, RHSM_PREFIX, section, "prefix");
    const char *hostname = pick(config, RHSM_HOSTNAME, section, "hostname");
    const char *insecure = pick(config, RHSM_INSECURE, section, "insecure");
    const char *folder = ini_text(files, "consumercertdir", "/etc/pki/consumer");
    gsize length;

    server->hostname = g_strdup(hostname != NULL ? hostname : "subscription.rhsm.redhat.com");
    server->port = number(pick(config, RHSM_PORT, section, "port"), 65535, 443);
    server->timeout = number(ini_text(section, "server_timeout", NULL), 3600, 180);
    prefix = prefix != NULL ? prefix : "/subscription";
    server->prefix = g_strconcat(prefix[0] == '/' ? "" : "/", prefix, NULL);
    for (length = strlen(server->prefix); length > 0 && server->prefix[length - 1] == '/'; length--) {
        server->prefix[length - 1] = '\0';
    }
    if (config->rhsm[RHSM_USERNAME] != NULL && config->rhsm[RHSM_PASSWORD] != NULL) {
        server->username = g_strdup(config->rhsm[RHSM_USERNAME]);
        server->password = g_strdup(config->rhsm[RHSM_PASSWORD]);
    }
    if (insecure != NULL) {
        conf_parse_bool(insecure, &server->insecure); /* what is neither yes nor no: verified */
    }
    server->ca_dir = g_strconcat(root, ini_text(files, "ca_cert_dir", "/etc/rhsm/ca"), NULL);
    server->cert = g_strconcat(root, folder, "/cert.pem", NULL);
    server->key = g_strconcat(root, folder, "/key.pem", NULL);
    read_proxy(server, config, section, environment);
    return server;
}

void server_free(Server *server)
{
    g_free(server->hostname);
    g_free(server->prefix);
    g_free(server->username);
    secret_free(server->password);
    g_free(server->proxy_hostname);
    g_free(server->proxy_user);
    secret_free(server->proxy_password);
    g_free(server->ca_dir);
    g_free(server->cert);
    g_free(server->key);
    g_free(server);
}

char *server_fingerprint(const Server *server)
{
    GChecksum *sum = g_checksum_new(G_CHECKSUM_SHA256);
    const char *const parts[] = {server->hostname,      server->prefix,         server->username,
                                 server->password,      server->proxy_hostname, server->proxy_user,
                                 server->proxy_password};
    g_autofree char *numbers =
        g_strdup_printf("%u %u %d", server->port, server->proxy_port, server->insecure);
    char *text;

    for (guint i = 0; i < G_N_ELEMENTS(parts); i++) {
        g_checksum_update(sum, (const guchar *)(parts[i] != NULL ? parts[i] : "\1"),
                          parts[i] != NULL ? (gssize)strlen(parts[i]) + 1 : 2);
    }
    g_checksum_update(sum, (const guchar *)numbers, -1);
    text = g_strdup(g_checksum_get_string(sum));
    g_checksum_free(sum);
    return text;
}

char *server_url(const Server *server)
{
    gboolean ipv6 = strchr(server->hostname, ':') != NULL && server->hostname[0] != '[';

    return g_strdup_printf("https://%s%s%s:%u%s", ipv6 ? "[" : "", server->hostname, ipv6 ? "]" : "",
                           server->port, server->prefix);
}

/* ---- certificates ---- */

static char *read_certificate(const char *pem, gsize length, gint64 now, const char *path, GError **error)
{
    gnutls_datum_t data = {(unsigned char *)pem, (unsigned int)length};
    gnutls_x509_crt_t certificate;
    char name[256];
    size_t size = sizeof name;
    char *result = NULL;

    gnutls_x509_crt_init(&certificate);
    if (gnutls_x509_crt_import(certificate, &data, GNUTLS_X509_FMT_PEM) != 0 ||
        gnutls_x509_crt_get_dn_by_oid(certificate, GNUTLS_OID_X520_COMMON_NAME, 0, 0, name, &size) != 0) {
        g_set_error(error, SERVER_ERROR, SERVER_ERROR_IDENTITY,
                    "Unable to read certificate, system is not registered or you are not root: %s is no "
                    "consumer's certificate",
                    path);
    } else if (gnutls_x509_crt_get_expiration_time(certificate) < now) {
        g_set_error(error, SERVER_ERROR, SERVER_ERROR_IDENTITY,
                    "the consumer's certificate %s has expired: register this system again", path);
    } else {
        result = g_strdup(name);
        /* It becomes a part of URLs and messages. */
        for (char *p = result; *p != '\0'; p++) {
            if (!g_ascii_isalnum(*p) && *p != '-' && *p != '_' && *p != '.') {
                *p = '_';
            }
        }
    }
    gnutls_x509_crt_deinit(certificate);
    return result;
}

char *server_consumer(const Server *server, gint64 now, GError **error)
{
    g_autoptr(GError) reason = NULL;
    gsize length;
    g_autofree char *pem = ini_read_bytes(server->cert, MAX_PEM, &length, NULL, &reason);

    if (pem == NULL || access(server->key, R_OK) != 0) {
        g_set_error(error, SERVER_ERROR, SERVER_ERROR_IDENTITY,
                    "Unable to read certificate, system is not registered or you are not root: %s: %s",
                    pem == NULL ? server->cert : server->key,
                    pem == NULL ? reason->message : g_strerror(errno));
        return NULL;
    }
    return read_certificate(pem, length, now, server->cert, error);
}

int server_open_ca(const Server *server, GError **error)
{
    int fd = memfd_create("virt-who-ca", MFD_CLOEXEC);
    GDir *dir = g_dir_open(server->ca_dir, 0, NULL);
    const char *name;
    guint count = 0;
    gsize total = 0;

    while (fd >= 0 && dir != NULL && count < MAX_CA_PEM && (name = g_dir_read_name(dir)) != NULL) {
        g_autofree char *path = g_build_filename(server->ca_dir, name, NULL);
        gsize length = 0;
        g_autofree char *pem = NULL;

        if (!g_str_has_suffix(name, ".pem") || total > MAX_CA) {
            continue;
        }
        pem = ini_read_bytes(path, MAX_PEM, &length, NULL, NULL);
        if (pem != NULL && write(fd, pem, length) == (gssize)length && write(fd, "\n", 1) == 1) {
            count++;
            total += length;
        }
    }
    if (dir != NULL) {
        g_dir_close(dir);
    }
    if (count == 0) {
        g_set_error(error, SERVER_ERROR, SERVER_ERROR_CA,
                    "there is no readable *.pem in %s, so that no server can be trusted", server->ca_dir);
        if (fd >= 0) {
            close(fd);
        }
        return -1;
    }
    return fd;
}

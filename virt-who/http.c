// SPDX-License-Identifier: GPL-2.0-or-later
#include "config.h"

#include "virt-who/http.h"

#include <curl/curl.h>
#include <string.h>
#include <unistd.h>

#include <glib-unix.h>

#define CONNECT_S   30
#define STALL_S     60 /* without a byte */
#define IDLE_S      50 /* a connection is kept */
#define MAX_HEADERS (256 << 10)

typedef struct Http {
    Transport base;
    Server *server;
    CURLM *multi;
    CURL *easy;
    char *url;
    char *correlation; /* a header */
    guint timer;
    GHashTable *watches; /* descriptor -> id of its source */
    /* the request that is going on */
    gboolean busy;
    TransportFunc func;
    gpointer user_data;
    struct curl_slist *headers;
    GByteArray *body;
    gsize header_bytes;
    gint64 retry_after;
    char error[CURL_ERROR_SIZE];
    const char *refused; /* why we ended it */
    int ca;
    char *problem; /* that kept it from being sent at all */
    guint later;
} Http;

static void check_done(Http *http);

/* ---- libcurl on GLib's loop ---- */

static gboolean on_socket(int fd, GIOCondition condition, gpointer user_data)
{
    Http *http = user_data;
    int flags = (condition & (G_IO_IN | G_IO_HUP) ? CURL_CSELECT_IN : 0) |
                (condition & G_IO_OUT ? CURL_CSELECT_OUT : 0) | (condition & G_IO_ERR ? CURL_CSELECT_ERR : 0);
    int running;

    curl_multi_socket_action(http->multi, fd, flags, &running);
    check_done(http);
    return G_SOURCE_CONTINUE;
}

static void remove_source(gpointer id)
{
    g_source_remove(GPOINTER_TO_UINT(id));
}

static int want_socket(CURL *easy, curl_socket_t fd, int what, void *user_data, void *socket_data)
{
    Http *http = user_data;
    GIOCondition condition =
        (what & CURL_POLL_IN ? G_IO_IN | G_IO_HUP : 0) | (what & CURL_POLL_OUT ? G_IO_OUT : 0) | G_IO_ERR;

    g_hash_table_remove(http->watches, GINT_TO_POINTER(fd));
    if (what != CURL_POLL_REMOVE) {
        g_hash_table_insert(http->watches, GINT_TO_POINTER(fd),
                            GUINT_TO_POINTER(g_unix_fd_add(fd, condition, on_socket, http)));
    }
    return 0;
}

static gboolean on_timer(gpointer user_data)
{
    Http *http = user_data;
    int running;

    http->timer = 0;
    curl_multi_socket_action(http->multi, CURL_SOCKET_TIMEOUT, 0, &running);
    check_done(http);
    return G_SOURCE_REMOVE;
}

static int want_timer(CURLM *multi, long timeout_ms, void *user_data)
{
    Http *http = user_data;

    g_clear_handle_id(&http->timer, g_source_remove);
    if (timeout_ms >= 0) {
        http->timer = g_timeout_add((guint)timeout_ms, on_timer, http);
    }
    return 0;
}

/* ---- an answer ---- */

static size_t take_body(char *data, size_t size, size_t count, void *user_data)
{
    Http *http = user_data;
    gsize bytes = size * count;

    if (http->body->len + bytes > HTTP_MAX_BODY) {
        http->refused = "the answer is larger than 8 MiB";
        return 0;
    }
    g_byte_array_append(http->body, (guint8 *)data, (guint)bytes);
    return bytes;
}

static size_t take_header(char *data, size_t size, size_t count, void *user_data)
{
    Http *http = user_data;
    gsize bytes = size * count;

    http->header_bytes += bytes;
    if (http->header_bytes > MAX_HEADERS) {
        http->refused = "the answer's headers are larger than 256 KiB";
        return 0;
    }
    return bytes;
}

static void end_request(Http *http)
{
    curl_multi_remove_handle(http->multi, http->easy);
    g_clear_pointer(&http->headers, curl_slist_free_all);
    http->busy = FALSE;
}

static void answer(Http *http, CURLcode code)
{
    TransportAnswer result = {.retry_after = -1};
    g_autofree char *text = NULL;
    GByteArray *body = g_steal_pointer(&http->body);
    curl_off_t retry_after = 0;
    long status = 0;

    curl_easy_getinfo(http->easy, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_getinfo(http->easy, CURLINFO_RETRY_AFTER, &retry_after);
    if (code == CURLE_OK && status >= 300 && status < 400 && status != 304) {
        char *target = NULL;

        curl_easy_getinfo(http->easy, CURLINFO_REDIRECT_URL, &target);
        text = g_strdup_printf("the server sends us elsewhere (%ld%s%s), which is not followed", status,
                               target != NULL ? ", " : "", target != NULL ? target : "");
        result.error = text;
    } else if (code != CURLE_OK) {
        result.error = http->refused != NULL    ? http->refused
                       : http->error[0] != '\0' ? http->error
                                                : curl_easy_strerror(code);
    } else {
        result.status = (guint)status;
        result.retry_after = retry_after > 0 ? retry_after : -1;
    }
    g_byte_array_append(body, (const guint8 *)"", 1);
    result.body = (const char *)body->data;
    result.length = body->len - 1;
    end_request(http);
    http->func(&result, http->user_data);
    g_byte_array_unref(body);
}

static void check_done(Http *http)
{
    CURLMsg *message;
    int left;

    while ((message = curl_multi_info_read(http->multi, &left)) != NULL) {
        if (message->msg == CURLMSG_DONE) {
            answer(http, message->data.result);
            return; /* it may have begun another one */
        }
    }
}

/* ---- a request ---- */

static void set_tls(Http *http)
{
    const Server *server = http->server;
    g_autofree char *bundle = g_strdup_printf("/proc/self/fd/%d", http->ca);

    curl_easy_setopt(http->easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    curl_easy_setopt(http->easy, CURLOPT_SSL_VERIFYPEER, server->insecure ? 0L : 1L);
    curl_easy_setopt(http->easy, CURLOPT_SSL_VERIFYHOST, server->insecure ? 0L : 2L);
    curl_easy_setopt(http->easy, CURLOPT_CAPATH, NULL);
    curl_easy_setopt(http->easy, CURLOPT_CAINFO, server->insecure ? NULL : bundle);
    if (server->username != NULL) {
        curl_easy_setopt(http->easy, CURLOPT_HTTPAUTH, (long)CURLAUTH_BASIC);
        curl_easy_setopt(http->easy, CURLOPT_USERNAME, server->username);
        curl_easy_setopt(http->easy, CURLOPT_PASSWORD, server->password);
    } else {
        curl_easy_setopt(http->easy, CURLOPT_SSLCERT, server->cert);
        curl_easy_setopt(http->easy, CURLOPT_SSLKEY, server->key);
    }
}

static void set_proxy(Http *http)
{
    const Server *server = http->server;

    /* "" also keeps libcurl from looking into the environment itself. */
    curl_easy_setopt(http->easy, CURLOPT_PROXY, server->proxy_hostname != NULL ? server->proxy_hostname : "");
    if (server->proxy_hostname != NULL) {
        curl_easy_setopt(http->easy, CURLOPT_PROXYTYPE, (long)CURLPROXY_HTTP);
        curl_easy_setopt(http->easy, CURLOPT_PROXYPORT, (long)server->proxy_port);
        curl_easy_setopt(http->easy, CURLOPT_HTTPPROXYTUNNEL, 1L);
        curl_easy_setopt(http->easy, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
        curl_easy_setopt(http->easy, CURLOPT_NOPROXY, "");
    }
    if (server->proxy_user != NULL) {
        curl_easy_setopt(http->easy, CURLOPT_PROXYAUTH, (long)CURLAUTH_BASIC);
        curl_easy_setopt(http->easy, CURLOPT_PROXYUSERNAME, server->proxy_user);
        curl_easy_setopt(http->easy, CURLOPT_PROXYPASSWORD,
                         server->proxy_password != NULL ? server->proxy_password : "");
    }
}

static void set_request(Http *http, const TransportRequest *request)
{
    g_autofree char *url = g_strconcat(http->url, request->path, NULL);
    g_autofree char *type = g_strconcat(
        "Content-Type: ", request->content_type != NULL ? request->content_type : "application/json", NULL);
    const char *const lines[] = {
        "Accept: application/json", type,
        http->correlation,          "x-subscription-manager-version: " PACKAGE_VERSION,
        "Accept-Language: en",      "Expect:"};

    for (guint i = 0; i < G_N_ELEMENTS(lines); i++) {
        http->headers = curl_slist_append(http->headers, lines[i]);
    }
    curl_easy_setopt(http->easy, CURLOPT_URL, url);
    curl_easy_setopt(http->easy, CURLOPT_HTTPHEADER, http->headers);
    if (strcmp(request->method, "GET") == 0) {
        curl_easy_setopt(http->easy, CURLOPT_HTTPGET, 1L);
    } else {
        curl_easy_setopt(http->easy, CURLOPT_POSTFIELDS, request->body != NULL ? request->body : "");
        curl_easy_setopt(http->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->length);
        curl_easy_setopt(http->easy, CURLOPT_CUSTOMREQUEST, request->method);
    }
}

static void prepare(Http *http)
{
    curl_easy_reset(http->easy);
    curl_easy_setopt(http->easy, CURLOPT_NOSIGNAL, 1L);
#if LIBCURL_VERSION_NUM >= 0x075500
    curl_easy_setopt(http->easy, CURLOPT_PROTOCOLS_STR, "https");
#else
    curl_easy_setopt(http->easy, CURLOPT_PROTOCOLS, (long)CURLPROTO_HTTPS);
#endif
    curl_easy_setopt(http->easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(http->easy, CURLOPT_USERAGENT, "RHSM/1.0 (cmd=virt-who) virt-who/" PACKAGE_VERSION);
    curl_easy_setopt(http->easy, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(http->easy, CURLOPT_CONNECTTIMEOUT, (long)MIN(CONNECT_S, http->server->timeout));
    curl_easy_setopt(http->easy, CURLOPT_TIMEOUT, (long)http->server->timeout);
    curl_easy_setopt(http->easy, CURLOPT_LOW_SPEED_LIMIT, 1L);
    curl_easy_setopt(http->easy, CURLOPT_LOW_SPEED_TIME, (long)STALL_S);
    curl_easy_setopt(http->easy, CURLOPT_MAXAGE_CONN, (long)IDLE_S);
    curl_easy_setopt(http->easy, CURLOPT_WRITEFUNCTION, take_body);
    curl_easy_setopt(http->easy, CURLOPT_WRITEDATA, http);
    curl_easy_setopt(http->easy, CURLOPT_HEADERFUNCTION, take_header);
    curl_easy_setopt(http->easy, CURLOPT_HEADERDATA, http);
    curl_easy_setopt(http->easy, CURLOPT_ERRORBUFFER, http->error);
}

/* What is wrong already is told as an answer, but not before send() has returned. */
static gboolean on_problem(gpointer user_data)
{
    Http *http = user_data;
    g_autofree char *problem = g_steal_pointer(&http->problem);
    TransportAnswer result = {.error = problem, .body = "", .retry_after = -1};

    http->later = 0;
    http->busy = FALSE;
    g_clear_pointer(&http->body, g_byte_array_unref);
    http->func(&result, http->user_data);
    return G_SOURCE_REMOVE;
}

static char *find_problem(Http *http)
{
    g_autoptr(GError) error = NULL;

    if (http->server->username == NULL) {
        g_autofree char *uuid = server_consumer(http->server, g_get_real_time() / G_USEC_PER_SEC, &error);

        if (uuid == NULL) {
            return g_strdup(error->message);
        }
    }
    if (!http->server->insecure && http->ca < 0) {
        http->ca = server_open_ca(http->server, &error);
        if (http->ca < 0) {
            return g_strdup(error->message);
        }
    }
    return NULL;
}

static void http_send(Transport *transport, const TransportRequest *request, TransportFunc func,
                      gpointer user_data)
{
    Http *http = (Http *)transport;

    g_return_if_fail(!http->busy);
    http->busy = TRUE;
    http->func = func;
    http->user_data = user_data;
    http->body = g_byte_array_new();
    http->header_bytes = 0;
    http->refused = NULL;
    http->error[0] = '\0';
    http->problem = find_problem(http);
    if (http->problem != NULL) {
        http->later = g_idle_add(on_problem, http);
        return;
    }
    prepare(http);
    set_tls(http);
    set_proxy(http);
    set_request(http, request);
    curl_multi_add_handle(http->multi, http->easy);
}

static void http_cancel(Transport *transport)
{
    Http *http = (Http *)transport;

    if (!http->busy) {
        return;
    }
    g_clear_handle_id(&http->later, g_source_remove);
    g_clear_pointer(&http->problem, g_free);
    g_clear_pointer(&http->body, g_byte_array_unref);
    end_request(http);
}

static char *http_consumer(Transport *transport, GError **error)
{
    return server_consumer(((Http *)transport)->server, g_get_real_time() / G_USEC_PER_SEC, error);
}

static void http_free(Transport *transport)
{
    Http *http = (Http *)transport;

    http_cancel(transport);
    curl_easy_cleanup(http->easy);
    curl_multi_cleanup(http->multi);
    g_clear_handle_id(&http->timer, g_source_remove);
    g_hash_table_unref(http->watches);
    if (http->ca >= 0) {
        close(http->ca);
    }
    server_free(http->server);
    g_free(http->url);
    g_free(http->correlation);
    g_free(http);
}

Transport *http_transport_new(Server *server)
{
    static gsize once;
    Http *http = g_new0(Http, 1);

    if (g_once_init_enter(&once)) {
        curl_global_init(CURL_GLOBAL_DEFAULT);
        g_once_init_leave(&once, 1);
    }
    http->base = (Transport){http_send, http_cancel, http_consumer, http_free};
    http->server = server;
    http->ca = -1;
    http->url = server_url(server);
    http->correlation = g_strdup_printf("X-Correlation-ID: %08x%08x%08x%08x", g_random_int(), g_random_int(),
                                        g_random_int(), g_random_int());
    http->watches = g_hash_table_new_full(NULL, NULL, NULL, remove_source);
    http->easy = curl_easy_init();
    http->multi = curl_multi_init();
    curl_multi_setopt(http->multi, CURLMOPT_SOCKETFUNCTION, want_socket);
    curl_multi_setopt(http->multi, CURLMOPT_SOCKETDATA, http);
    curl_multi_setopt(http->multi, CURLMOPT_TIMERFUNCTION, want_timer);
    curl_multi_setopt(http->multi, CURLMOPT_TIMERDATA, http);
    curl_multi_setopt(http->multi, CURLMOPT_MAXCONNECTS, 1L);
    return &http->base;
}

// SPDX-License-Identifier: GPL-2.0-or-later
#include "virt-top/http.h"

#include <string.h>

#define REQUEST_BYTES   8192
#define TIMEOUT_S       5
#define MAX_CONNECTIONS 32

struct HttpServer {
    GSocketService *service;
    HttpPageFunc page;
    gpointer user_data;
    GPtrArray *connections; /* of Connection */
};

typedef struct Connection {
    HttpServer *server; /* NULL: it is gone */
    GSocketConnection *stream;
    GCancellable *cancellable;
    GSource *timer;
    GString *request;
    char buffer[1024];
    char *answer;
} Connection;

static void connection_free(Connection *connection)
{
    g_source_destroy(connection->timer);
    g_source_unref(connection->timer);
    g_object_unref(connection->cancellable);
    g_object_unref(connection->stream); /* closes it */
    g_string_free(connection->request, TRUE);
    g_free(connection->answer);
    g_free(connection);
}

/* From the callback of the one call that is on its way. */
static void finish(Connection *connection)
{
    if (connection->server != NULL) {
        g_ptr_array_remove_fast(connection->server->connections, connection);
    }
    connection_free(connection);
}

static gboolean on_timeout(gpointer user_data)
{
    g_cancellable_cancel(((Connection *)user_data)->cancellable);
    return G_SOURCE_CONTINUE;
}

static void on_written(GObject *source, GAsyncResult *result, gpointer user_data)
{
    g_output_stream_write_all_finish(G_OUTPUT_STREAM(source), result, NULL, NULL);
    finish(user_data);
}

static void respond(Connection *connection)
{
    const char *request = connection->request->str;
    gboolean head = g_str_has_prefix(request, "HEAD ");
    const char *path = request + strcspn(request, " ");
    const char *status = "200 OK", *type = "text/plain; version=0.0.4; charset=utf-8";
    g_autofree char *body = NULL;
    gboolean openmetrics = strstr(request, "application/openmetrics-text") != NULL;

    if (!head && !g_str_has_prefix(request, "GET ")) {
        status = "405 Method Not Allowed";
    } else if (!g_str_has_prefix(path, " /metrics ") && !g_str_has_prefix(path, " /metrics?")) {
        status = "404 Not Found";
    } else {
        body = connection->server->page(openmetrics, connection->server->user_data);
        if (openmetrics) {
            type = "application/openmetrics-text; version=1.0.0; charset=utf-8";
        }
    }
    if (body == NULL) {
        type = "text/plain; charset=utf-8";
        body = g_strdup_printf("%s: there is /metrics\n", status);
    }
    connection->answer = g_strdup_printf(
        "HTTP/1.1 %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\nConnection: close\r\n\r\n%s", status, type,
        strlen(body), head ? "" : body);
    g_output_stream_write_all_async(g_io_stream_get_output_stream(G_IO_STREAM(connection->stream)),
                                    connection->answer, strlen(connection->answer), G_PRIORITY_DEFAULT,
                                    connection->cancellable, on_written, connection);
}

static void read_more(Connection *connection);

static void on_read(GObject *source, GAsyncResult *result, gpointer user_data)
{
    Connection *connection = user_data;
    gssize length = g_input_stream_read_finish(G_INPUT_STREAM(source), result, NULL);

    if (length <= 0 || connection->server == NULL ||
        connection->request->len + (gsize)length > REQUEST_BYTES ||
        memchr(connection->buffer, '\0', (gsize)length) != NULL) {
        finish(connection);
        return;
    }
    g_string_append_len(connection->request, connection->buffer, length);
    if (strstr(connection->request->str, "\r\n\r\n") != NULL ||
        strstr(connection->request->str, "\n\n") != NULL) {
        respond(connection);
    } else {
        read_more(connection);
    }
}

static void read_more(Connection *connection)
{
    g_input_stream_read_async(g_io_stream_get_input_stream(G_IO_STREAM(connection->stream)),
                              connection->buffer, sizeof connection->buffer, G_PRIORITY_DEFAULT,
                              connection->cancellable, on_read, connection);
}

static gboolean on_incoming(GSocketService *service, GSocketConnection *stream, GObject *object,
                            gpointer user_data)
{
    HttpServer *server = user_data;
    Connection *connection;

    if (server->connections->len >= MAX_CONNECTIONS) {
        return TRUE; /* closed at once */
    }
    connection = g_new0(Connection, 1);
    connection->server = server;
    connection->stream = g_object_ref(stream);
    connection->cancellable = g_cancellable_new();
    connection->request = g_string_new(NULL);
    connection->timer = g_timeout_source_new_seconds(TIMEOUT_S);
    g_source_set_callback(connection->timer, on_timeout, connection, NULL);
    g_source_attach(connection->timer, g_main_context_get_thread_default());
    g_ptr_array_add(server->connections, connection);
    read_more(connection);
    return TRUE;
}

HttpServer *http_server_new(const char *address, HttpPageFunc page, gpointer user_data, GError **error)
{
    const char *colon = strrchr(address, ':');
    g_autofree char *host = colon != NULL && colon != address ? g_strndup(address, (gsize)(colon - address))
                                                              : g_strdup("127.0.0.1");
    guint64 port;
    g_autoptr(GInetAddress) inet = NULL;
    g_autoptr(GSocketAddress) where = NULL;
    HttpServer *server;

    if (host[0] == '[' && g_str_has_suffix(host, "]")) {
        host[strlen(host) - 1] = '\0';
        memmove(host, host + 1, strlen(host));
    }
    inet = g_inet_address_new_from_string(strcmp(host, "localhost") == 0 ? "127.0.0.1" : host);
    if (inet == NULL ||
        !g_ascii_string_to_unsigned(colon != NULL ? colon + 1 : address, 10, 1, 65535, &port, NULL)) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT,
                    "'%s' is neither ADDRESS:PORT nor a path with a '/'", address);
        return NULL;
    }
    where = g_inet_socket_address_new(inet, (guint16)port);
    server = g_new0(HttpServer, 1);
    server->page = page;
    server->user_data = user_data;
    server->connections = g_ptr_array_new();
    server->service = g_socket_service_new();
    if (!g_socket_listener_add_address(G_SOCKET_LISTENER(server->service), where, G_SOCKET_TYPE_STREAM,
                                       G_SOCKET_PROTOCOL_TCP, NULL, NULL, error)) {
        http_server_free(server);
        return NULL;
    }
    g_signal_connect(server->service, "incoming", G_CALLBACK(on_incoming), server);
    g_socket_service_start(server->service);
    return server;
}

void http_server_free(HttpServer *server)
{
    g_socket_service_stop(server->service);
    g_socket_listener_close(G_SOCKET_LISTENER(server->service));
    g_signal_handlers_disconnect_by_data(server->service, server);
    g_object_unref(server->service);
    for (guint i = 0; i < server->connections->len; i++) {
        Connection *connection = server->connections->pdata[i];

        connection->server = NULL;
        g_cancellable_cancel(connection->cancellable); /* its callback frees it */
    }
    g_ptr_array_unref(server->connections);
    g_free(server);
}

// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/json-client.h"

#include <gio/gunixsocketaddress.h>
#include <string.h>
#include <sys/un.h>

#define READ_BYTES 65536

/* What has been read and not yet told: a value, garbage or (both NULL) the end. */
typedef struct Item {
    JsonNode *value;
    GError *error;
} Item;

struct JsonClient {
    gint references; /* the owner's and one while its function is called */
    GSocket *socket;
    GMainContext *context;
    JsonStream *stream;
    JsonClientFunc func; /* NULL once the owner has freed it */
    gpointer user_data;
    GSource *reader;
    GSource *writer; /* while there is something to write */
    GQueue items;    /* of Item, to be told */
    GQueue output;   /* of GBytes */
    gsize output_bytes;
    gsize output_done; /* of the first */
};

static void item_free(gpointer data)
{
    Item *item = data;

    g_clear_pointer(&item->value, json_node_unref);
    g_clear_error(&item->error);
    g_free(item);
}

GSocket *json_client_connect(const char *path, GError **error)
{
    g_autoptr(GSocket) socket = NULL;
    g_autoptr(GSocketAddress) address = NULL;
    g_autoptr(GError) reason = NULL;

    if (strlen(path) >= sizeof(((struct sockaddr_un *)NULL)->sun_path)) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_FILENAME, "socket path '%s' is too long", path);
        return NULL;
    }
    socket = g_socket_new(G_SOCKET_FAMILY_UNIX, G_SOCKET_TYPE_STREAM, G_SOCKET_PROTOCOL_DEFAULT, error);
    if (!socket) {
        return NULL;
    }
    g_socket_set_blocking(socket,
                          FALSE); /* a unix socket connects at once, or its listener's queue is full */
    address = g_unix_socket_address_new(path);
    if (!g_socket_connect(socket, address, NULL, &reason)) {
        g_propagate_prefixed_error(error, g_steal_pointer(&reason), "cannot connect to '%s': ", path);
        return NULL;
    }
    return g_steal_pointer(&socket);
}

static void client_unref(JsonClient *client)
{
    if (--client->references) {
        return;
    }
    g_queue_clear_full(&client->items, item_free);
    g_queue_clear_full(&client->output, (GDestroyNotify)g_bytes_unref);
    json_stream_free(client->stream);
    g_main_context_unref(client->context);
    g_free(client);
}

static void drop_source(GSource **source)
{
    if (*source) {
        g_source_destroy(*source);
        g_source_unref(*source);
        *source = NULL;
    }
}

static void push_item(JsonClient *client, JsonNode *value, const GError *error)
{
    Item *item = g_new0(Item, 1);

    item->value = value ? json_node_ref(value) : NULL;
    item->error = error ? g_error_copy(error) : NULL;
    g_queue_push_tail(&client->items, item);
}

static void on_value(JsonNode *value, const GError *error, gpointer user_data)
{
    push_item(user_data, value, error);
}

/* Apart from reading, so that a callee that runs the main context does not feed the stream inside a feed. */
static void tell_items(JsonClient *client)
{
    Item *item;

    client->references++;
    while (client->func && (item = g_queue_pop_head(&client->items))) {
        client->func(item->value, item->error, client->user_data);
        item_free(item);
    }
    client_unref(client);
}

static gboolean read_some(GSocket *socket, GIOCondition condition, gpointer user_data)
{
    JsonClient *client = user_data;
    g_autofree char *buffer = g_malloc(READ_BYTES);
    g_autoptr(GError) error = NULL;
    gssize length = g_socket_receive(client->socket, buffer, READ_BYTES, NULL, &error);

    if (length > 0) {
        json_stream_feed(client->stream, buffer, (gsize)length);
    } else if (length == 0 || !g_error_matches(error, G_IO_ERROR, G_IO_ERROR_WOULD_BLOCK)) {
        drop_source(&client->reader);
        drop_source(&client->writer);
        push_item(client, NULL, NULL);
    }
    tell_items(client);
    return G_SOURCE_CONTINUE;
}

static GSource *watch(JsonClient *client, GIOCondition condition, GSocketSourceFunc func)
{
    GSource *source = g_socket_create_source(client->socket, condition, NULL);

    g_source_set_callback(source, G_SOURCE_FUNC(func), client, NULL);
    g_source_set_can_recurse(source, TRUE);
    g_source_attach(source, client->context);
    return source;
}

JsonClient *json_client_new(GSocket *socket, JsonClientFunc func, gpointer user_data)
{
    g_return_val_if_fail(socket != NULL && func != NULL, NULL);

    JsonClient *client = g_new0(JsonClient, 1);

    client->references = 1;
    client->socket = socket;
    client->context = g_main_context_ref_thread_default();
    client->func = func;
    client->user_data = user_data;
    client->stream = json_stream_new(NULL, on_value, client);
    g_queue_init(&client->items);
    g_queue_init(&client->output);
    g_socket_set_blocking(socket, FALSE);
    client->reader = watch(client, G_IO_IN, read_some);
    return client;
}

void json_client_free(JsonClient *client)
{
    if (!client) {
        return;
    }
    client->func = NULL;
    drop_source(&client->reader);
    drop_source(&client->writer);
    if (client->socket) {
        g_socket_close(client->socket, NULL);
        g_clear_object(&client->socket);
    }
    client_unref(client);
}

/* FALSE when all is written or nothing more can be: an error here is told by the reader's end of file. */
static gboolean write_some(JsonClient *client)
{
    GBytes *first;

    while ((first = g_queue_peek_head(&client->output))) {
        gsize length;
        const char *data = g_bytes_get_data(first, &length);
        g_autoptr(GError) error = NULL;
        gssize written = g_socket_send(client->socket, data + client->output_done,
                                       length - client->output_done, NULL, &error);

        if (written < 0) {
            return g_error_matches(error, G_IO_ERROR, G_IO_ERROR_WOULD_BLOCK);
        }
        client->output_done += (gsize)written;
        client->output_bytes -= (gsize)written;
        if (client->output_done == length) {
            g_bytes_unref(g_queue_pop_head(&client->output));
            client->output_done = 0;
        }
    }
    return FALSE;
}

static gboolean write_ready(GSocket *socket, GIOCondition condition, gpointer user_data)
{
    JsonClient *client = user_data;

    if (!write_some(client)) {
        drop_source(&client->writer);
    }
    return G_SOURCE_CONTINUE;
}

gboolean json_client_send(JsonClient *client, GBytes *bytes)
{
    gsize length = g_bytes_get_size(bytes);

    if (client->output_bytes && client->output_bytes + length > JSON_CLIENT_QUEUE_BYTES) {
        return FALSE;
    }
    if (length) {
        g_queue_push_tail(&client->output, g_bytes_ref(bytes));
        client->output_bytes += length;
    }
    if (client->reader && !client->writer && write_some(client)) {
        client->writer = watch(client, G_IO_OUT, write_ready);
    }
    return TRUE;
}

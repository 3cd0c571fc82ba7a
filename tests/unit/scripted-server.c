// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/unit/scripted-server.h"

#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <glib/gstdio.h>

#include "lib/jsonstream.h"

struct ScriptedServer {
    char *folder;
    char *path;
    int listener;
    GThread *thread;
    ScriptedServerFunc func;
    gpointer user_data;
    guint delay_ms;
};

static gpointer serve(gpointer user_data)
{
    ScriptedServer *server = user_data;
    int fd;

    g_usleep(server->delay_ms * 1000);
    fd = accept(server->listener, NULL, NULL);
    if (fd >= 0) { /* else the test is over */
        server->func(fd, server->user_data);
        close(fd);
    }
    return NULL;
}

ScriptedServer *scripted_server_start(ScriptedServerFunc func, gpointer user_data, guint delay_ms)
{
    ScriptedServer *server = g_new0(ScriptedServer, 1);
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    server->folder = g_dir_make_tmp("scripted-XXXXXX", NULL);
    g_assert_nonnull(server->folder);
    server->path = g_build_filename(server->folder, "sock", NULL);
    server->func = func;
    server->user_data = user_data;
    server->delay_ms = delay_ms;
    server->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    g_strlcpy(address.sun_path, server->path, sizeof(address.sun_path));
    g_assert_cmpint(bind(server->listener, (struct sockaddr *)&address, sizeof(address)), ==, 0);
    g_assert_cmpint(listen(server->listener, 0), ==, 0);
    if (func) {
        server->thread = g_thread_new("scripted-server", serve, server);
    }
    return server;
}

const char *scripted_server_path(ScriptedServer *server)
{
    return server->path;
}

void scripted_server_stop(ScriptedServer *server)
{
    shutdown(server->listener, SHUT_RDWR); /* wakes an accept() that nobody came for */
    if (server->thread) {
        g_thread_join(server->thread);
    }
    close(server->listener);
    g_unlink(server->path);
    g_rmdir(server->folder);
    g_free(server->path);
    g_free(server->folder);
    g_free(server);
}

char *scripted_read_line(int fd)
{
    g_autoptr(GString) line = g_string_new(NULL);
    char c;

    while (read(fd, &c, 1) == 1) {
        if (c == '\n') {
            return g_string_free(g_steal_pointer(&line), FALSE);
        }
        g_string_append_c(line, c);
    }
    return NULL;
}

char *scripted_read_call(int fd, const char *command)
{
    g_autofree char *line = scripted_read_line(fd);
    g_autoptr(JsonNode) node = line ? json_parse_text(line, -1, NULL) : NULL;
    JsonObject *request;

    g_assert_nonnull(node);
    request = json_node_get_object(node);
    g_assert_cmpstr(json_object_get_string_member(request, "execute"), ==, command);
    return g_strdup(json_object_get_string_member(request, "id"));
}

void scripted_send(int fd, const char *format, ...)
{
    g_autofree char *text = NULL;
    gsize done = 0;
    va_list args;

    va_start(args, format);
    text = g_strdup_vprintf(format, args);
    va_end(args);
    while (done < strlen(text)) {
        gssize written = send(fd, text + done, strlen(text) - done, MSG_NOSIGNAL);

        if (written < 0) {
            return; /* the client has closed, as some tests want */
        }
        done += (gsize)written;
    }
}

void scripted_drain(int fd)
{
    char buffer[4096];

    while (read(fd, buffer, sizeof(buffer)) > 0) {
    }
}

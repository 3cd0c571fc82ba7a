// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * scripted-server: a unix socket server for client tests; a thread plays one connection as the test says.
 */
#pragma once

#include <glib.h>

typedef struct ScriptedServer ScriptedServer;

/* Plays one connection on fd; it is closed afterwards. Runs in the server's thread. */
typedef void (*ScriptedServerFunc)(int fd, gpointer user_data);

/* Listens in a folder of its own and accepts one connection after `delay_ms`. func NULL: never accepts. */
ScriptedServer *scripted_server_start(ScriptedServerFunc func, gpointer user_data, guint delay_ms);
const char *scripted_server_path(ScriptedServer *server);
/* Waits for the script's end and cleans up. */
void scripted_server_stop(ScriptedServer *server);

/* For scripts. A line without its newline (owned), NULL at the end of the connection. */
char *scripted_read_line(int fd);
/* Reads a request and gives the id in it (owned) if it executes `command`, else the script fails. */
char *scripted_read_call(int fd, const char *command);
void scripted_send(int fd, const char *format, ...) G_GNUC_PRINTF(2, 3);
/* Waits until the client closes. */
void scripted_drain(int fd);

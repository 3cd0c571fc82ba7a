// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * handle-counter: numbers for file handles, from 1000, that do not come again when the agent is started anew,
 * so that a host which still holds a number from before cannot write into another file.
 *
 * Kept in STATE_DIR/qga.state ([global] fd_counter=N, as qemu-ga keeps it), in blocks: the file names the
 * first number that has not been given out and is written once in a while only.
 */
#pragma once

#include <glib.h>

#define HANDLE_COUNTER_FIRST 1000

typedef struct HandleCounter HandleCounter;

/* state_dir need not exist or be writable: then numbers begin at 1000 each time (told once, at level info).
 */
HandleCounter *handle_counter_new(const char *state_dir);
void handle_counter_free(HandleCounter *counter);
gint64 handle_counter_next(HandleCounter *counter);

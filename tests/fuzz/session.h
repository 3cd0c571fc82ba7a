// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * session: what the fuzz targets of command tables share: bytes go to a session, every line it writes must be
 * a reply, and a valid request on a line of its own must be answered whatever came before it.
 */
#pragma once

#include "lib/command.h"

/* `data` of the tables' handlers. */
typedef struct FuzzWorld {
    GString *sent;
    GPtrArray *waiting; /* of CommandCall: calls that a handler leaves for later are put here */
} FuzzWorld;

/* ping: a command of the tables without arguments that returns {} at once. */
void fuzz_session_play(CommandDialect dialect, const Command *const *tables, const char *ping,
                       const guint8 *data, gsize size);

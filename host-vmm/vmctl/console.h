// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * console: a person (or a script) at a guest's console. Used by `vmctl console` and `vmctl run --foreground`.
 */
#pragma once

#include "host-vmm/vmctl/guest.h"
#include "host-vmm/vmctl/relay.h"

/* Connects to the console, refusing one that somebody else is at (as far as the monitor tells). -1 and error.
 */
int console_connect(const Guest *guest, GError **error);

/* Relays with notices on stderr. signals: from signals_catch(). */
RelayEnd console_attend(const Guest *guest, int socket, int signals, gint64 deadline, const char *until);

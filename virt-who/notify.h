// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * notify: tells systemd how we are (sd_notify(3)'s protocol: lines in a datagram to $NOTIFY_SOCKET).
 */
#pragma once

#include <glib.h>

/* Nothing is done, and FALSE returned, where nobody listens. */
gboolean notify_send(const char *lines);
/* Half of the time that the watchdog gives us (sd_watchdog_enabled(3)), ms; 0: there is none. */
guint notify_watchdog_ms(void);

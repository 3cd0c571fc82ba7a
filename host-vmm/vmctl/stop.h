// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * stop: ends a guest, politely first, and says each step on stdout.
 */
#pragma once

#include "host-vmm/vmctl/guest.h"

/* Presses the power button, again every 5 s (a guest that boots does not hear the first), for timeout_ms;
 * then the monitor is told to quit, then killed. force: without the button. The guest's folder is removed in
 * the end. FALSE and error if the guest does not run or is still there after all. */
gboolean stop_guest(const Guest *guest, guint timeout_ms, gboolean force, GError **error);

/* Waits until the guest's monitor is gone. */
gboolean stop_wait_gone(const Guest *guest, guint timeout_ms);

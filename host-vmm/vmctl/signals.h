// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * signals: SIGHUP, SIGINT, SIGQUIT and SIGTERM as a descriptor to wait on, for verbs that have something to
 * put in order before they go: a raw terminal, a guest half started.
 */
#pragma once

#include <gio/gio.h>

/* Blocks them (and ignores SIGPIPE: a closed stdout is to be seen by write()) and gives a signalfd; to be
 * called before there are threads. -1 and error. */
int signals_catch(GError **error);

/* Closes it, forgets those that came, and lets the signals do again what they do by default. */
void signals_release(int signals);

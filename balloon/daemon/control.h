// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * control: the unix socket over which balloonctl talks with the daemon, in QMP's manner: query-status,
 * explain, pause, resume. Only root, the daemon's own user and the one that the configuration names are let
 * in; what a client does not read holds up that client only, and who says and reads nothing for long, or
 * longest of too many, is dropped.
 */
#pragma once

#include "balloon/daemon/loop.h"

typedef struct Control Control;

/* A socket that is there and that nobody listens on is replaced. loop: borrowed, outlives it. */
Control *control_new(const char *path, Loop *loop, GError **error);
void control_free(Control *control);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Control, control_free)

/* Where it is when nothing is said: /run/balloond.sock for root, else below the user's runtime folder. */
char *control_default_path(void);

// SPDX-License-Identifier: GPL-2.0-or-later
/* power: which way a guest is shut down: what there is differs from a full system to an initramfs. */
#pragma once

#include <glib.h>

typedef enum { POWER_DOWN, POWER_HALT, POWER_REBOOT } PowerAction;

/* The command that asks the guest's init for the action (g_strfreev): /sbin/shutdown; else systemctl where
 * systemd runs; else poweroff, halt or reboot, unless it is busybox's (a signal to process 1) and process 1
 * does not listen to that signal. NULL: there is nothing to ask, reboot(2) is left. `root` is put before each
 * file name looked at ("" for the real ones); `path` is the search path. */
char **power_command(PowerAction action, const char *root, const char *path);

/* The action by reboot(2), without asking anybody; the caller has written back file systems. Returns only on
 * failure, with errno. */
void power_now(PowerAction action);

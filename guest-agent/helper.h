// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * helper: a program of the guest that does a command's work (shutdown, hwclock, chpasswd, a hook), with a
 * deadline: one that takes longer is killed, with what it has started in its session's process group.
 */
#pragma once

#include <gio/gio.h>

typedef struct HelperSpec {
    const char *const *argv; /* argv[0] is searched in our PATH unless it has a slash */
    const char *const *env;  /* NULL: ours */
    GBytes *input;           /* borrowed; NULL: none */
    const char *action;      /* what errors say it has failed to do, "set user password" */
    guint timeout_ms;
} HelperSpec;

#define HELPER_NO_STATUS -1

/* Called once from the main loop. status: the exit status, HELPER_NO_STATUS if there is none. error (taken)
 * unless that is 0, in the words of qemu-ga 10.0:
 *   "child process has failed to ACTION: OUTPUT" (both streams, at most 4 KiB) or ": exit status N",
 *   "child process has terminated abnormally", "child process has failed to ACTION: failed to exec 'X': …",
 *   and our own "child process has failed to ACTION: not done in N s". */
typedef void (*HelperDoneFunc)(int status, GError *error, gpointer user_data);

void helper_run(const HelperSpec *spec, HelperDoneFunc done, gpointer user_data);

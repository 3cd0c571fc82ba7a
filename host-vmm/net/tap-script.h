// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * tap-script: runs script= and downscript= of a tap, "SCRIPT INTERFACE", as QEMU does, but only if asked to.
 */
#pragma once

#include <gio/gio.h>

#define TAP_SCRIPT_SECONDS 60 /* then it is killed */

/* Waits for its end. FALSE and error: it could not be started, failed, or took too long. */
gboolean tap_script_run(const char *script, const char *interface, GError **error);

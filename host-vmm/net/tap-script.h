// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * tap-script: runs script= and downscript= of a tap, "SCRIPT INTERFACE", as QEMU does, but only if asked to.
 */
#pragma once

#include <gio/gio.h>

#define TAP_SCRIPT_SECONDS 60 /* then it is killed */

/* Waits for its end. FALSE and error: it could not be started, failed, or took too long; or this process is
 * confined and starts nothing any more. */
gboolean tap_script_run(const char *script, const char *interface, GError **error);

/* A script for later, when nothing can be started: a shell that has the rights of now waits for the word. It
 * ends without having run anything if this process just dies. */
typedef struct TapScript TapScript;
TapScript *tap_script_prepare(const char *script, const char *interface, GError **error);
/* Gives the word, waits for the end of it, frees. FALSE and error: it failed, or still runs. */
gboolean tap_script_finish(TapScript *prepared, GError **error);

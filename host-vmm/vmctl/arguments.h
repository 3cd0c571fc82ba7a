// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * arguments: the ARG=VALUE words of `vmctl agent` and `vmctl qmp` as a JSON object.
 *
 *   name=value    true and false are booleans, a decimal integer that fits 64 bits is an integer, all else is
 * text name==text    always text name:=json    any JSON value
 *   {"name": …}   all members of a JSON object
 */
#pragma once

#include <gio/gio.h>
#include <json-glib/json-glib.h>

/* words: NULL-terminated. NULL and an error of VMCTL_ERROR (VMCTL_USAGE) that names the word. Owned; an empty
 * object if there are no words. */
JsonObject *arguments_parse(char **words, GError **error);

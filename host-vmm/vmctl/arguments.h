// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * arguments: the ARG=VALUE words of `vmctl agent` and `vmctl qmp` as a JSON object.
 *
 *   name=value    true and false are booleans, a decimal integer that fits 64 bits is an integer, all else is
 *                 text, unless the name is one whose type is known
 *   name==text    always text
 *   name:=json    any JSON value
 *   name@=file    the file's bytes as base64 text; "-" is standard input
 *   {"name": …}   all members of a JSON object
 */
#pragma once

#include <gio/gio.h>
#include <json-glib/json-glib.h>

/* Names whose type is known, each list NULL-terminated. */
typedef struct ArgumentTypes {
    const char *const *texts; /* always text */
    const char *const *lists; /* arrays of texts; each name=value adds one more */
} ArgumentTypes;

/* words: NULL-terminated. types: may be NULL. NULL and an error of VMCTL_ERROR that names the word. Owned; an
 * empty object if there are no words. */
JsonObject *arguments_parse(char **words, const ArgumentTypes *types, GError **error);

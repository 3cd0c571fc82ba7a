// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * base64: file contents and process input and output in JSON (RFC 4648, section 4), checked as hosts know it
 * from qemu-ga.
 *
 * Own and not GLib's because it is where the time of a file transfer goes: with GLib's byte-at-a-time steps
 * and a check beforehand it was 44 % of the agent's time in guest-file-write of 1 MiB pieces; these tables
 * are 3 to 4 times as fast.
 */
#pragma once

#include <gio/gio.h>

/* Decodes length characters. Line feeds are skipped, "=" may stand anywhere (pieces put one after the other),
 * a last group of fewer than four characters is dropped; any other character is an error. The result is never
 * NULL on success (g_free), its size goes to *size. */
guint8 *base64_decode(const char *text, gsize length, gsize *size, GError **error);

/* Appends the code of size bytes: all but the last piece of a text must be a multiple of 3 long. */
void base64_append(GString *text, const guint8 *data, gsize size);

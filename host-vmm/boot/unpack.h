// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * unpack: what a kernel image carries compressed: LZ4 (its legacy frames), zstd, gzip, xz, as this build has
 * the libraries. The file is hostile: nothing is written outside of what is given, whatever it holds.
 */
#pragma once

#include <gio/gio.h>

/* How Linux' build leaves a compressed kernel. */
typedef struct UnpackKind {
    const char *name;
    gboolean size_appended; /* four bytes of the size unpacked follow, which are not part of the stream */
    gboolean (*unpack)(const guint8 *from, gsize size, guint8 *to, gsize room, gsize *unpacked,
                       GError **error);
} UnpackKind;

/* Bytes of a stream that unpack_kind() looks at. */
#define UNPACK_MAGIC_SIZE 6

/* What the stream that begins so is compressed by; NULL: by nothing that this build knows. */
const UnpackKind *unpack_kind(const guint8 magic[UNPACK_MAGIC_SIZE]);

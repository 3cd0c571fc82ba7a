// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * agent-copy: a file of the guest, read and written through its agent in chunks, over connections that may
 * break: a new one goes on where the old one was.
 */
#pragma once

#include "host-vmm/vmctl/agent-link.h"
#include "host-vmm/vmctl/interrupt.h"

/* What is read at a time: as base64 in a message it stays below what libvirt takes (4 MiB). */
#define AGENT_COPY_CHUNK (1 << 20)

typedef struct GuestFile {
    const AgentTarget *target;
    const char *path;
    const char *mode; /* fopen's, for the first time that it is opened */
    guint timeout_ms; /* how long it may take until something goes on */
    Interrupt *interrupt;
    AgentLink *link;
    gint64 handle; /* -1: not open */
    gboolean was_open;
} GuestFile;

/* Connects and opens. The members up to interrupt are set before. */
gboolean guest_file_open(GuestFile *file, GError **error);
/* Closes handle and connection; what the agent has buffered is written then. FALSE if that fails. */
gboolean guest_file_close(GuestFile *file, GError **error);

/* The file's length: bytes; -1 if it has none that can be known. Leaves the position at its end or where it
 * was. */
gint64 guest_file_length(GuestFile *file);
gboolean guest_file_seek(GuestFile *file, guint64 position, GError **error);
/* Up to AGENT_COPY_CHUNK bytes at `position`, where the file stands already. Owned; NULL and error. Of no
 * bytes: eof. */
GBytes *guest_file_read(GuestFile *file, guint64 position, gboolean *eof, GError **error);
/* All of the bytes, at `position`, where the file stands already. *landed: where the file stands then, which
 * is less if a connection broke and the agent has lost a part. */
gboolean guest_file_write(GuestFile *file, guint64 position, const guint8 *data, gsize length,
                          guint64 *landed, GError **error);

/* The SHA-256 of the file in the guest, in hexadecimal: by its own sha256sum, or by reading it once more. */
char *guest_file_digest(GuestFile *file, void (*progress)(guint64 done, gpointer user_data),
                        gpointer user_data, GError **error);

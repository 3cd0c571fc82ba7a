// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * guest: one guest as vmctl finds it: its folder and sockets, and whether its monitor lives.
 *
 * Whether it lives is asked of the kernel, not of files: a running host-vmm holds a lock on its pid file, and
 * the lock goes with the process however it ends. So a pid that meanwhile belongs to somebody else is never
 * taken for it.
 */
#pragma once

#include <gio/gio.h>

#include "lib/agent-client.h"
#include "lib/qmp-client.h"

typedef enum {
    GUEST_ABSENT,   /* no folder */
    GUEST_STARTING, /* a vmctl run is at work on it */
    GUEST_ALIVE,    /* its monitor runs */
    GUEST_ENDED,    /* ended in order; its log is left */
    GUEST_DEAD,     /* its monitor was killed; its pid file and sockets are left */
} GuestLife;

typedef struct Guest {
    char *label;  /* how messages name it: the name, or the socket's path */
    char *name;   /* NULL if it was given by a socket's path */
    char *folder; /* this and the files below: NULL if it was given by a socket's path… */
    char *pid_file, *log, *starting;
    char *qmp, *agent, *console; /* …but for these, which are then all that path */
} Guest;

/* By name or, with a '/' in it, by path. Fails on a bad name; does not look whether it exists. */
Guest *guest_new(const char *name_or_path, GError **error);
/* For verbs with --socket PATH: by that if not NULL, else by the first word, which is then passed over. */
Guest *guest_new_for(const char *socket, char ***words, GError **error);
void guest_free(Guest *guest);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Guest, guest_free)

/* pid: of the monitor, 0 if unknown (may be NULL). For a guest by path: GUEST_ALIVE if somebody listens
 * there. */
GuestLife guest_life(const Guest *guest, pid_t *pid);
/* Fails with VMCTL_NO_GUEST unless GUEST_ALIVE. */
gboolean guest_require(const Guest *guest, GError **error);

/* A pidfd (to be closed) of the live monitor, certain to be it; -1 if it is not alive or its pid is not
 * known. */
int guest_pin(const Guest *guest);

/* Holds off other vmctl processes that start or clean guests. Close the descriptor to let go. -1 and error
 * after 5 s. The runtime folder must exist. */
int guest_lock_all(GError **error);
/* Makes the folder and marks the guest as being started until the descriptor is closed. Under
 * guest_lock_all(). */
int guest_begin_start(const Guest *guest, GError **error);
/* Removes the folder and what is in it (no deeper folders). Under guest_lock_all(), and only of guests not
 * alive. */
gboolean guest_remove(const Guest *guest, GError **error);
/* guest_remove() with its own lock, if it is not alive (meanwhile). FALSE if it is, or cannot be removed. */
gboolean guest_clean(const Guest *guest, GError **error);

/* Opens the monitor's QMP. Fails with VMCTL_NO_GUEST if the guest does not run; `deadline` as
 * deadline_after_ms(). */
QmpClient *guest_open_qmp(const Guest *guest, gint64 deadline, GError **error);
/* Opens the agent, waiting until the deadline for a guest that is still booting; after 2 s it says on stderr
 * that it waits. */
AgentClient *guest_open_agent(const Guest *guest, gint64 deadline, GError **error);

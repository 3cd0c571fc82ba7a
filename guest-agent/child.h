// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * child: a process that the agent started, its input and its captured output, without ever waiting for it.
 *
 * A process counts as ended when it has ended itself, not when the last holder of its pipes has (a daemon
 * that it started may keep them open for ever): what is in the pipes by then is taken, and CHILD_GRACE_MS are
 * given to writers that are just finishing. Holders that are left behind can go on writing: it is read and
 * dropped, so that they are not killed by a closed pipe.
 */
#pragma once

#include <gio/gio.h>

#define CHILD_GRACE_MS 100

typedef struct Child Child;

typedef enum { CHILD_STDOUT, CHILD_STDERR } ChildStream;

typedef enum {
    CHILD_OUTPUT_NONE,   /* to /dev/null */
    CHILD_OUTPUT_STDOUT, /* captured, standard error to /dev/null */
    CHILD_OUTPUT_STDERR, /* the other way round */
    CHILD_OUTPUT_SEPARATE,
    CHILD_OUTPUT_MERGED, /* both captured as standard output */
} ChildOutput;

typedef struct ChildSpec {
    const char *const *argv; /* argv[0] is searched in our PATH unless it has a slash */
    const char *const *env;  /* NULL: ours */
    GBytes *input;           /* borrowed; NULL: standard input is /dev/null */
    ChildOutput output;
    gsize limit;    /* bytes kept of each stream; the rest is read and dropped */
    const int *fds; /* NULL, or what it gets as 0-2 (borrowed; -1: /dev/null), in place of input and output */
} ChildSpec;

/* Called once, when the process has ended (see above). May call child_free(). */
typedef void (*ChildEndedFunc)(Child *child, gpointer user_data);

/* Starts the process: leader of a session of its own, all signals at their defaults, no descriptors but 0-2.
 * NULL with errno set, and G_SPAWN_ERROR with GLib's own text, if it cannot be. */
Child *child_start(const ChildSpec *spec, ChildEndedFunc ended, gpointer user_data, GError **error);
/* Lets go of it; a process that still runs is left alone and reaped when it ends. */
void child_free(Child *child);

GPid child_pid(const Child *child);
gboolean child_has_ended(const Child *child);
/* As of waitpid(2), once it has ended. */
int child_wait_status(const Child *child);
/* Bytes captured so far (borrowed); NULL if this stream is not captured. */
const GByteArray *child_captured(const Child *child, ChildStream stream);
gboolean child_was_truncated(const Child *child, ChildStream stream);

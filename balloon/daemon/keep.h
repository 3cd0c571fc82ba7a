// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * keep: settings of the host that the daemon changes, and what they were before, so that they are put back
 * when it ends, and when it was killed at its next start.
 *
 * What is about to be written is put into a file first (/run/balloond.state), beside what was there: whenever
 * the daemon is killed, the file names all that it may have written. The next start puts back what still
 * has one of these values; any other value was set by somebody else since, and is theirs. For the same reason
 * a setting that has been changed by somebody else is not written again. Like the settings, the file does
 * not outlive the machine's run: one of an earlier boot is passed over. Where it is does not depend on the
 * configuration, so that the next start finds it with any. A lock (/run/balloond.lock) makes sure that one
 * daemon alone changes the host.
 */
#pragma once

#include <gio/gio.h>

typedef struct Keep Keep;

#define KEEP_ERROR (keep_error_quark())
GQuark keep_error_quark(void);
typedef enum {
    KEEP_ERROR_FOREIGN, /* somebody else has set it since: it is theirs now */
    KEEP_ERROR_CLOSED,  /* what it was could not be written down: nothing is changed */
    KEEP_ERROR_GONE,    /* there is no such setting (any more) */
    KEEP_ERROR_REFUSED, /* the kernel does not take it */
} KeepError;

/* Settings of one kind: files of a folder, say. Names and values have no control characters. */
typedef struct KeepKind {
    const char *name;
    /* What it is now (g_free); NULL: there is no such setting, or none that the daemon would change. */
    char *(*read)(const char *root, const char *setting);
    /* FALSE with errno. */
    gboolean (*write)(const char *root, const char *setting, const char *value);
} KeepKind;

/* Puts back what a daemon that was killed has left. root: "" for this machine. kinds: all there are, ended by
 * NULL, borrowed. dry_run: nothing is put back or changed. Never NULL; keep_why_not() tells why nothing can
 * be changed, NULL if it can. */
Keep *keep_open(const char *root, const KeepKind *const *kinds, gboolean dry_run);
/* Puts everything back. */
void keep_free(Keep *keep);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Keep, keep_free)
const char *keep_why_not(const Keep *keep);

/* FALSE: it is as it was. */
gboolean keep_set(Keep *keep, const KeepKind *kind, const char *setting, const char *value, GError **error);
/* Puts one setting, or with NULL all of a kind, back. */
void keep_restore(Keep *keep, const KeepKind *kind, const char *setting);
/* What it was before the daemon changed it; NULL: it did not. */
const char *keep_before(const Keep *keep, const KeepKind *kind, const char *setting);
/* How many settings are changed. */
guint keep_count(const Keep *keep, const KeepKind *kind);

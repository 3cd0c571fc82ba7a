// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * freezer: stops and releases writing to file systems, by the kernel's FIFREEZE and FITHAW. These calls may
 * take as long as a disk takes to write back: they are for threads.
 *
 * While file systems are frozen a mark file, STATE_DIR/qga.state.isfrozen as qemu-ga's, tells so to an agent
 * that is started after this one was killed. It holds the kernel's boot id: a mark from before a reset of the
 * guest means nothing.
 */
#pragma once

#include <gio/gio.h>

/* Freezes the file systems on block devices, the last mounted first; with `wanted` (NULL-terminated mount
 * points) only those. The ones that cannot be frozen at all, or are frozen by somebody else, are left out.
 * Returns how many were frozen, and leaves the mark if there is one. -1 and error if one failed, or *cancel
 * (atomic) became TRUE: then all are thawed again. */
int freezer_freeze(const char *state_dir, const char *const *wanted, const gint *cancel, GError **error);

/* Thaws everything, whoever froze it and how often; takes the mark away. Returns how many file systems were
 * frozen; -1 and error if it could not even look. */
int freezer_thaw(const char *state_dir, GError **error);

/* Whether the mark is there, from this boot. */
gboolean freezer_is_marked(const char *state_dir);

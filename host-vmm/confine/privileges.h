// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * privileges: what the process may do as who it is: another user, no capability, nothing gained by a program
 * that it starts (capabilities(7), PR_SET_NO_NEW_PRIVS of prctl(2)).
 */
#pragma once

#include <gio/gio.h>

/* Of the whole process, those threads that there are included. user: a name or "UID:GID", and its groups. */
gboolean privileges_set_user(const char *user, GError **error);
/* From now on no exec gives more rights. Inherited by threads made later. */
gboolean privileges_stop_gaining(GError **error);
/* Takes what an exec could give the calling thread, and those that it makes. Needs a capability; who has none
 * needs nothing taken. */
void privileges_drop_bounds(void);
/* Takes all capabilities of the calling thread, and of those that it makes. */
gboolean privileges_drop_capabilities(GError **error);

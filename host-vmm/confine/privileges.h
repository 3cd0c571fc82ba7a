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
/* Takes all capabilities of the calling thread, also those that an exec could give. */
gboolean privileges_drop_capabilities(GError **error);

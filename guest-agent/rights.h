// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * rights: says which right is missing when something is refused. An agent in a sandbox or a container lacks
 * some, and "Operation not permitted" alone has cost people days.
 */
#pragma once

#include <glib.h>

/* The error's text (g_free). If it is one about rights (EPERM, EACCES) and the calling thread lacks the
 * capability (CAP_* of <linux/capability.h>), then with " (the agent lacks CAP_…)" after it; with it, access
 * is refused by something else, which is said too. */
char *rights_explain(int errnum, int capability);

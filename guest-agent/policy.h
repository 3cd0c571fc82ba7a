// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * policy: what of the host's requests the configuration file refuses, beyond whole commands: programs that
 * may not be run, users that may not be touched, interfaces that are not told.
 *
 * Rules are patterns with * and ?. A program is known by the name it was asked for by, made absolute as the
 * search path has it, and by the file that it is in the end; a rule without a slash means the last part of
 * either. deny comes before allow; without an allow everything is allowed that is not denied. A name with
 * ".." in it counts as the file alone.
 */
#pragma once

#include "guest-agent/options.h"

/* NULL if the command may run with these arguments, else why not: the rule and its file (g_free). */
char *policy_refusal(const Options *options, const Command *command, JsonObject *arguments);
/* Whether guest-network-get-interfaces leaves the interface out. */
gboolean policy_hides_interface(const Options *options, const char *name);

// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * fake: a host and guests that the simulator plays, as a DomainSource: the whole daemon runs on them, to try
 * a configuration and for tests. Each refresh is a second of theirs.
 */
#pragma once

#include "balloon/policy.h"
#include "lib/domain-source.h"

/* The simulator's files; memory: of the host, MiB. */
DomainSource *fake_source_new(const char *guests, const char *demand, gint64 memory, GError **error);
/* The host at this second, and the second. */
void fake_source_look(DomainSource *source, PolicyHost *seen);
gint64 fake_source_second(DomainSource *source);
/* All of the trace has been played: it stands still. */
gboolean fake_source_is_over(DomainSource *source);

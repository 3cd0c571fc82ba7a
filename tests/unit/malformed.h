// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * malformed: a deterministic source of damaged requests, for every JSON server of the suite.
 */
#pragma once

#include <glib.h>

/* The damaged message of this seed (owned): one of `requests` (NULL-terminated, one line each) with a few
 * bytes changed, cut, doubled or put in, or plain noise. The same bytes on any machine. It holds no newline,
 * and may by chance still be well formed: choose requests that do no harm whatever becomes of their
 * arguments. A server may answer the line by one error at the most, and must answer a valid request on the
 * next line. */
GString *malformed_message(guint32 seed, const char *const *requests);

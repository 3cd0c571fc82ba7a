// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * words: what the daemon's JSON says, for people: its members, the lines of status and top, and what is
 * known of one guest in sentences.
 */
#pragma once

#include "lib/jsonstream.h"

/* A member; -1 and "-" if it is not there. */
gint64 words_number(JsonObject *object, const char *name);
const char *words_text(JsonObject *object, const char *name);
gboolean words_is(JsonObject *object, const char *name);
/* An object that is a member; NULL. */
JsonObject *words_object(JsonObject *object, const char *name);

/* "host: …"; and of KSM, NULL if it is off. Owned. */
char *words_host(JsonObject *status);
char *words_ksm(JsonObject *status);
/* The guests that should be, or were led, to another node, a line each. Owned. */
char *words_numa(JsonObject *status);
/* The sources that do not answer, a line each. Owned. */
char *words_silent(JsonObject *status);

/* A table with a guest a line. Names are cut and made safe for a terminal. Owned. */
char *words_heading(void);
char *words_guest(JsonObject *guest);

/* Several lines. Owned. */
char *words_explanation(JsonObject *guest);

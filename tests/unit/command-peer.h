// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * command-peer: a command server with commands of all kinds and one peer of it, for tests of lib/command.h.
 */
#pragma once

#include "lib/command.h"

typedef struct Peer {
    GString *text;
    CommandSession *session;
    gboolean frees_on_write;
} Peer;

typedef struct World {
    CommandCall *later; /* a call that waits to be finished */
    Peer *peer;         /* whose session handlers may free */
} World;

extern World world;
extern Peer peer;
extern CommandServer *server;
/* The first of the agent's two tables: guest-ping, guest-sync, … */
extern const Command commands[];
/* The arguments of "types": one of each type. */
extern const CommandArg types_args[];

/* Fixtures: the dialect of agents, and QMP with a greeting. */
void setup(void);
void setup_qmp(void);
void teardown(void);

/* What a session writes to its peer: user_data is the Peer. */
void take_bytes(const char *data, gsize length, gpointer user_data);
void peer_says(const char *text);
/* The peer has been sent exactly this since the last time. */
void expect_sent(const char *expected);
/* A line of request gets exactly this line, or nothing if it is "". */
void expect_reply(const char *request, const char *expected);
void expect_error(const char *request, const char *error_class, const char *desc);

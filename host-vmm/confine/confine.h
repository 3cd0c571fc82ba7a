// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * confine: what a guest that has taken over a thread of ours can do: -sandbox, -run-with user=.
 *
 * Made before any other thread, then in three steps: rights are given up when all is open (main thread), each
 * other thread takes its filter before it touches what is the guest's, the main thread takes its own when
 * everything is set up. docs/security.md says what is meant to hold.
 */
#pragma once

#include "host-vmm/confine/filter.h"

typedef struct ConfineConfig {
    gboolean off;    /* -sandbox off: none of it, but user */
    gboolean insist; /* -sandbox on: an error where there are no filters */
    char *user;      /* -run-with user=; NULL: as it is */
    FilterOptions filter;
} ConfineConfig;

typedef struct Confine Confine;

/* Nobody gains rights from here on. config is borrowed. */
Confine *confine_new(const ConfineConfig *config, GError **error);
void confine_free(Confine *confine);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Confine, confine_free)

/* What an exec could give the calling thread; each thread that there is does it before the user changes, as
 * it needs a right. */
void confine_give_up_bounds(const Confine *confine);
/* The user, for all threads; bounds and capabilities, for this one. Threads that are there must not be
 * filtered yet. */
gboolean confine_give_up_rights(const Confine *confine, GError **error);
/* For the calling thread: no capability, and the filter of its kind. The process ends if that fails. NULL:
 * nothing. */
void confine_thread(const Confine *confine, ConfineKind kind);

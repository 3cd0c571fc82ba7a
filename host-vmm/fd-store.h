// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * fd-store: open descriptors that were given to us: by a monitor's client (add-fd, getfd), or by whoever
 * started us (-add-fd).
 *
 * A set's are files: "/dev/fdset/N" is the name of what set N holds, and may be used and given back as often
 * as it is wanted, by one at a time (a descriptor's locks cannot be told apart). One under a name is for a
 * single use. Main thread only.
 */
#pragma once

#include <gio/gio.h>
#include <json-glib/json-glib.h>

#include "host-vmm/optset.h"

#define FD_STORE_MOST 512 /* of both kinds; a card with 16 queues needs 32 */

typedef struct FdStore FdStore;
typedef struct FdSetFile FdSetFile; /* one that is in use */

FdStore *fd_store_new(void);
void fd_store_free(FdStore *store); /* after all users; closes what is left */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(FdStore, fd_store_free)

/* ---- under a name ---- */

/* Takes fd, also in case of an error. One that had the name is closed. */
gboolean fd_store_add_named(FdStore *store, const char *name, int fd, GError **error);
gboolean fd_store_close_named(FdStore *store, const char *name, GError **error);
/* For an option that takes a descriptor: one by its name, which is the caller's from now on (*owned), or the
 * number of one that we inherited. -1 and error. store NULL: no names. */
int fd_store_take(FdStore *store, const char *text, const char *what, gboolean *owned, GError **error);

/* ---- sets ---- */

/* Takes fd, also in case of an error. set -1: a new one, of the lowest number that is free. opaque: a note
 * for query-fdsets, or NULL. Returns the set; -1 and error. */
gint64 fd_store_add(FdStore *store, gint64 set, const char *opaque, int fd, GError **error);
/* -add-fd fd=,set=[,opaque=]: takes what we inherited; it stays when monitors' clients go. */
gboolean fd_store_add_option(FdStore *store, OptSet *options, GError **error);
/* One of a set, or all of it (fd -1). What is in use is closed when it is no more. */
gboolean fd_store_remove(FdStore *store, gint64 set, gint64 fd, GError **error);
/* query-fdsets; owned. */
JsonArray *fd_store_describe(const FdStore *store);
/* The last client has gone: closes what clients gave, nobody uses and nobody could ever ask for again. */
void fd_store_clients_gone(FdStore *store);

/* Whether this names a set, not a file. */
gboolean fd_store_is_set_name(const char *filename);
/* One of the set that can be read and, if wanted, written. store NULL: there is none. */
FdSetFile *fd_store_use(FdStore *store, const char *filename, gboolean write, GError **error);
int fd_set_file_fd(const FdSetFile *file); /* not to be closed */
gboolean fd_set_file_is_writable(const FdSetFile *file);
void fd_set_file_give_back(FdSetFile *file);

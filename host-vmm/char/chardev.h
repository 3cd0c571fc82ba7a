// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * chardev: host ends of byte streams: unix socket (server, client, inherited descriptor), pty, stdio, file,
 * null.
 *
 * Created from -chardev options; at most one device (the front end) uses each. All calls and callbacks are on
 * the main thread, but chardev_write(), which may be called from any.
 */
#pragma once

#include <gio/gio.h>

#include "host-vmm/optset.h"

typedef struct Chardev Chardev;
typedef struct ChardevSet ChardevSet; /* all of a machine's, by id */

ChardevSet *chardev_set_new(void);
void chardev_set_free(ChardevSet *set); /* closes all; unlinks the sockets that we bound */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ChardevSet, chardev_set_free)
/* -chardev: "socket,id=..,path=..|fd=..,server=on|off,wait=on|off[,reconnect=s]", "pty,id=",
 * "stdio,id=[,signal=on|off]", "file,id=,path=[,append=on|off]", "null,id=". A listening path left over by a
 * dead process is replaced; one that somebody still serves is an error. */
Chardev *chardev_set_add(ChardevSet *set, OptSet *options, GError **error);
/* -serial/-qmp/-monitor shorthand: "unix:PATH[,server=on,wait=off]", "pty", "stdio", "file:PATH", "null",
 * "none" (NULL, no error), "chardev:ID". id: what it is called ("serial0", "compat_monitor0"). */
Chardev *chardev_set_add_shorthand(ChardevSet *set, const char *id, const char *text, GError **error);
Chardev *chardev_set_find(ChardevSet *set, const char *id);
void chardev_set_foreach(ChardevSet *set, void (*func)(Chardev *chardev, gpointer user_data),
                         gpointer user_data);

/* Makes an addition that is waiting for its first peer (wait=on) fail: the process has been told to end. */
void chardev_set_cancel(ChardevSet *set);

const char *chardev_id(const Chardev *chardev);
/* As query-chardev says it: "unix:PATH,server=on", "disconnected:unix:PATH,server=on", "pty:/dev/pts/3",
 * "stdio", "file". Owned. */
char *chardev_describe(Chardev *chardev);

/* ---- front end ---- */

typedef struct ChardevFront {
    /* How many bytes it can take now; 0: reading pauses until chardev_accept_input(). */
    gsize (*can_receive)(gpointer user_data);
    void (*receive)(gpointer user_data, const guint8 *data,
                    gsize length); /* never more than can_receive() said */
    /* A peer has come (TRUE) or gone (FALSE). Streams without a notion of it (file, stdio) are open from the
     * start. */
    void (*open_changed)(gpointer user_data, gboolean open);
    /* What chardev_write() could not take fits again. May be NULL. */
    void (*can_write)(gpointer user_data);
} ChardevFront;

/* Fails if another front end has it: "chardev 'x' is already in use by …". name: for that message.
 * open_changed(TRUE) is called from the main loop, not from here. */
gboolean chardev_attach(Chardev *chardev, const char *name, const ChardevFront *front, gpointer user_data,
                        GError **error);
void chardev_detach(Chardev *chardev);
gboolean chardev_is_attached(const Chardev *chardev);
gboolean chardev_is_open(Chardev *chardev);
/* Whether the guest's side is open (query-chardev's frontend-open); the front end tells it. Default TRUE. */
void chardev_set_front_open(Chardev *chardev, gboolean open);
gboolean chardev_front_is_open(Chardev *chardev);
/* Never blocks: returns how many bytes were taken, < length if the peer does not read; then can_write() will
 * be called. With no peer everything is taken and dropped. */
gsize chardev_write(Chardev *chardev, const void *data, gsize length);
/* can_receive() has grown. */
void chardev_accept_input(Chardev *chardev);

/* Whether it is a socket that listens. */
gboolean chardev_is_listening(const Chardev *chardev);
/* For a front end that serves many peers (the monitor): every connection to a listening socket is handed over
 * (owned reference) instead of becoming the one peer. FALSE if it is not a listening socket. */
typedef void (*ChardevAcceptFunc)(GSocketConnection *connection, gpointer user_data);
gboolean chardev_accept_many(Chardev *chardev, const char *name, ChardevAcceptFunc func, gpointer user_data,
                             GError **error);

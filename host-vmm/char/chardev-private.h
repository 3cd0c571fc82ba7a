// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * chardev-private: between chardev.c, which moves bytes and talks to the front end, and the kinds of host
 * end, which open and close descriptors.
 */
#pragma once

#include "host-vmm/char/chardev.h"

typedef struct ChardevKind {
    const char *name; /* "socket" */
    gsize size;       /* of its struct, which begins with a Chardev */
    /* Asks for all its properties and calls optset_finish() before it touches anything outside. Errors begin
     * with optset_what(options). On failure close() is called. */
    gboolean (*open)(Chardev *chardev, OptSet *options, GError **error);
    void (*close)(Chardev *chardev); /* gives everything back */
    char *(*describe)(Chardev *chardev);
    /* A front end has been attached (or an accept function): peers may be let in. May be NULL. */
    void (*attached)(Chardev *chardev);
    /* chardev_disconnected() has been done: close the peer's descriptor, get ready for the next one. May be
     * NULL. */
    void (*peer_gone)(Chardev *chardev);
    /* Input is at its end, but output goes on (stdio). NULL: that means that the peer has gone. */
    void (*input_ended)(Chardev *chardev);
} ChardevKind;

extern const ChardevKind CHARDEV_SOCKET, CHARDEV_PTY, CHARDEV_STDIO, CHARDEV_FILE, CHARDEV_NULL;

struct Chardev {
    const ChardevKind *kind;
    ChardevSet *set;
    char *id;

    /* The front end. Main thread. */
    char *front_name; /* NULL: none */
    const ChardevFront *front;
    gpointer front_data;
    GSource *tell_open; /* open_changed(TRUE) is still to be called */
    gint front_open;    /* atomic */

    /* Input. Main thread. */
    int in_fd; /* -1: nothing to read from */
    GSource *in_source;
    gpointer in_tag;
    gboolean in_wanted;

    gint open; /* atomic: there is a peer */

    GMutex lock; /* of what follows: chardev_write() comes from any thread */
    int out_fd;  /* -1: everything is taken and dropped */
    gboolean out_is_socket;
    GSource *out_source; /* waiting until out_fd takes more */
    gboolean warned;     /* of output that is lost */
};

/* A peer has come. in_fd, out_fd: non-blocking, stay the kind's; -1: none. Main thread. */
void chardev_connected(Chardev *chardev, int in_fd, int out_fd);
/* The peer has gone: stops using its descriptors, tells the front end, then calls peer_gone(). */
void chardev_disconnected(Chardev *chardev);

/* Whether a start that waits for a peer should be given up. */
gboolean chardev_set_is_cancelled(const ChardevSet *set);
/* Whether some chardev of the set has this descriptor already. */
gboolean chardev_set_has_fd(const ChardevSet *set, int fd);

/* A listening socket's descriptor, or -1. */
int chardev_socket_listener(const Chardev *chardev);
void chardev_socket_accept_many(Chardev *chardev, ChardevAcceptFunc func, gpointer user_data);

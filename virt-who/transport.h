// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * transport: carries one request at a time to an entitlement server. HTTPS by libcurl, or a test's script.
 */
#pragma once

#include <gio/gio.h>

typedef struct Transport Transport;

typedef struct TransportRequest {
    const char *method;       /* "GET", "PUT", "POST" */
    const char *path;         /* after the prefix, begins with '/' */
    const char *content_type; /* of the body */
    const char *body;         /* borrowed until the answer; NULL: none */
    gsize length;
} TransportRequest;

typedef struct TransportAnswer {
    guint status;     /* HTTP's; 0: there was none, see error */
    const char *body; /* with a 0 behind it */
    gsize length;
    gint64 retry_after; /* seconds; -1: not told */
    const char *error;  /* why there is no status */
} TransportAnswer;

typedef void (*TransportFunc)(const TransportAnswer *answer, gpointer user_data);

struct Transport {
    /* func is called once, never before this returns, and not after cancel. */
    void (*send)(Transport *transport, const TransportRequest *request, TransportFunc func,
                 gpointer user_data);
    void (*cancel)(Transport *transport);
    /* This machine's consumer; NULL and error: it has none. */
    char *(*consumer)(Transport *transport, GError **error);
    void (*free)(Transport *transport);
};

// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * pending: the answer of an asynchronous function that is still to come, as a GAsyncResult.
 *
 * What GTask is, without threads: the first GTask of a process starts a thread for GLib's own use, with a
 * stack and a heap of its own, even if no task ever runs in one. All happens on the thread-default main
 * context in which it was made. The callback is never called before the function that was called has come
 * back to the main loop.
 */
#pragma once

#include <gio/gio.h>

typedef struct Pending Pending;

/* cancellable: NULL, or one that, when it is cancelled before the callback takes the answer, makes that
 * CANCELLED. To be unreferenced by the caller, after it was answered. */
Pending *pending_new(GCancellable *cancellable, GAsyncReadyCallback callback, gpointer user_data);

/* Something that lives as long as it does. */
void pending_set_data(Pending *pending, gpointer data, GDestroyNotify free_data);

/* One of these, once. The result is the caller's who takes it; one that nobody takes is freed. */
void pending_return_pointer(Pending *pending, gpointer result, GDestroyNotify free_result);
void pending_return_boolean(Pending *pending, gboolean result);
/* error: taken. */
void pending_return_error(Pending *pending, GError *error);
void pending_return_new_error(Pending *pending, GQuark domain, gint code, const char *format, ...)
    G_GNUC_PRINTF(4, 5);

/* In the callback. NULL or FALSE, and the error. */
gpointer pending_take_pointer(GAsyncResult *result, GError **error);
gboolean pending_take_boolean(GAsyncResult *result, GError **error);

GType pending_get_type(void);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Pending, g_object_unref)

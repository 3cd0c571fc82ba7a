// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/pending.h"

struct Pending {
    GObject base;
    GMainContext *context;
    gint64 made_at; /* in the time of the dispatch in which it was made */
    GCancellable *cancellable;
    GAsyncReadyCallback callback;
    gpointer user_data;
    gpointer data;
    GDestroyNotify free_data;
    gboolean answered;
    gpointer pointer;
    GDestroyNotify free_pointer;
    gboolean truth;
    GError *error;
};

typedef struct PendingClass {
    GObjectClass base;
} PendingClass;

static void pending_result_init(GAsyncResultIface *iface);
G_DEFINE_TYPE_WITH_CODE(Pending, pending, G_TYPE_OBJECT,
                        G_IMPLEMENT_INTERFACE(G_TYPE_ASYNC_RESULT, pending_result_init))
#define PENDING(result) ((Pending *)g_type_check_instance_cast((GTypeInstance *)(result), pending_get_type()))

static gpointer result_user_data(GAsyncResult *result)
{
    return PENDING(result)->user_data;
}

static GObject *result_source(GAsyncResult *result)
{
    return NULL;
}

static gboolean result_is_tagged(GAsyncResult *result, gpointer tag)
{
    return FALSE;
}

static void pending_result_init(GAsyncResultIface *iface)
{
    iface->get_user_data = result_user_data;
    iface->get_source_object = result_source;
    iface->is_tagged = result_is_tagged;
}

static void pending_finalize(GObject *object)
{
    Pending *self = PENDING(object);

    if (self->pointer != NULL && self->free_pointer != NULL) {
        self->free_pointer(self->pointer);
    }
    if (self->free_data != NULL) {
        self->free_data(self->data);
    }
    g_clear_error(&self->error);
    g_clear_object(&self->cancellable);
    g_main_context_unref(self->context);
    G_OBJECT_CLASS(pending_parent_class)->finalize(object);
}

static void pending_class_init(PendingClass *class)
{
    class->base.finalize = pending_finalize;
}

static void pending_init(Pending *self)
{
}

Pending *pending_new(GCancellable *cancellable, GAsyncReadyCallback callback, gpointer user_data)
{
    Pending *self = g_object_new(pending_get_type(), NULL);
    GSource *now = g_main_current_source();

    self->context = g_main_context_ref_thread_default();
    self->made_at = now != NULL ? g_source_get_time(now) : 0;
    self->cancellable = cancellable != NULL ? g_object_ref(cancellable) : NULL;
    self->callback = callback;
    self->user_data = user_data;
    return self;
}

void pending_set_data(Pending *self, gpointer data, GDestroyNotify free_data)
{
    g_return_if_fail(self->free_data == NULL);
    self->data = data;
    self->free_data = free_data;
}

static gboolean call_back(gpointer user_data)
{
    Pending *self = user_data;

    if (self->callback != NULL) {
        self->callback(NULL, G_ASYNC_RESULT(self), self->user_data);
    }
    return G_SOURCE_REMOVE;
}

/* At once if the loop has gone round since it was made: who asked is not on the stack then. */
static void answer(Pending *self)
{
    GSource *now = g_main_current_source();

    g_return_if_fail(!self->answered);
    self->answered = TRUE;
    if (now != NULL && g_source_get_context(now) == self->context && g_source_get_time(now) > self->made_at) {
        g_object_ref(self);
        call_back(self);
        g_object_unref(self);
        return;
    }
    GSource *source = g_idle_source_new();
    g_source_set_priority(source, G_PRIORITY_DEFAULT);
    g_source_set_callback(source, call_back, g_object_ref(self), g_object_unref);
    g_source_attach(source, self->context);
    g_source_unref(source);
}

void pending_return_pointer(Pending *self, gpointer result, GDestroyNotify free_result)
{
    self->pointer = result;
    self->free_pointer = free_result;
    answer(self);
}

void pending_return_boolean(Pending *self, gboolean result)
{
    self->truth = result;
    answer(self);
}

void pending_return_error(Pending *self, GError *error)
{
    self->error = error;
    answer(self);
}

void pending_return_new_error(Pending *self, GQuark domain, gint code, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    self->error = g_error_new_valist(domain, code, format, args);
    va_end(args);
    answer(self);
}

static gboolean is_good(Pending *self, GError **error)
{
    if (self->cancellable != NULL && g_cancellable_set_error_if_cancelled(self->cancellable, error)) {
        return FALSE;
    }
    if (self->error != NULL) {
        g_propagate_error(error, g_steal_pointer(&self->error));
        return FALSE;
    }
    return TRUE;
}

gpointer pending_take_pointer(GAsyncResult *result, GError **error)
{
    Pending *self = PENDING(result);

    return is_good(self, error) ? g_steal_pointer(&self->pointer) : NULL;
}

gboolean pending_take_boolean(GAsyncResult *result, GError **error)
{
    Pending *self = PENDING(result);

    return is_good(self, error) && self->truth;
}

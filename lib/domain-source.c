// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/domain-source.h"

G_DEFINE_QUARK(domain - source - error - quark, domain_source_error)

DomainSource *domain_source_new_libvirt(const char *uri, DomainSourceFlags flags, GError **error)
{
    return domain_source_new_libvirt_login(uri, flags, NULL, NULL, error);
}

void domain_source_free(DomainSource *source)
{
    if (source != NULL) {
        source->func = NULL;
        g_free(g_steal_pointer(&source->label));
        g_free(g_steal_pointer(&source->uri));
        source->class->free(source);
    }
}

const char *domain_source_label(DomainSource *source)
{
    return source->label;
}

const char *domain_source_uri(DomainSource *source)
{
    return source->uri;
}

void domain_source_set_func(DomainSource *source, DomainSourceFunc func, gpointer user_data)
{
    source->func = func;
    source->func_data = user_data;
}

void domain_source_emit(DomainSource *source, DomainSourceEvent event)
{
    if (source->func != NULL) {
        source->func(source, event, source->func_data);
    }
}

void domain_source_refresh_async(DomainSource *source, DomainWants wants, const char *const *first,
                                 guint timeout_ms, GCancellable *cancellable, GAsyncReadyCallback callback,
                                 gpointer user_data)
{
    source->class->refresh(source, wants, first, timeout_ms, pending_new(cancellable, callback, user_data));
}

DomainSnapshot *domain_source_refresh_finish(GAsyncResult *result, GError **error)
{
    return pending_take_pointer(result, error);
}

void domain_source_detail_async(DomainSource *source, const char *uuid, guint timeout_ms,
                                GCancellable *cancellable, GAsyncReadyCallback callback, gpointer user_data)
{
    source->class->detail(source, uuid, timeout_ms, pending_new(cancellable, callback, user_data));
}

DomainDetail *domain_source_detail_finish(GAsyncResult *result, GError **error)
{
    return pending_take_pointer(result, error);
}

void domain_source_act_async(DomainSource *source, const char *uuid, DomainAction action, guint64 value,
                             guint timeout_ms, GCancellable *cancellable, GAsyncReadyCallback callback,
                             gpointer user_data)
{
    source->class->act(source, uuid, action, value, timeout_ms,
                       pending_new(cancellable, callback, user_data));
}

gboolean domain_source_act_finish(GAsyncResult *result, GError **error)
{
    return pending_take_boolean(result, error);
}

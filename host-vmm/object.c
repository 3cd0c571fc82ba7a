// SPDX-License-Identifier: GPL-2.0-or-later
#include "host-vmm/object.h"

#include <string.h>

#include "host-vmm/block/iothread.h"
#include "host-vmm/block/throttle-group.h"
#include "host-vmm/memory/memory-backend.h"
#include "host-vmm/virtio/rng-backend.h"

struct ObjectSet {
    GPtrArray *objects; /* Object*, in order of creation, owned */
};

static const ObjectType *const types[] = {
    &iothread_type,
    &memory_backend_file_type,
    &memory_backend_memfd_type,
    &memory_backend_ram_type,
    &throttle_group_type,
    &rng_builtin_type,
    &rng_random_type,
    NULL,
};

const ObjectType *const *object_types(void)
{
    return types;
}

static const ObjectType *type_find(const char *name)
{
    for (guint i = 0; types[i] != NULL; i++) {
        if (strcmp(types[i]->name, name) == 0)
            return types[i];
    }
    return NULL;
}

static void object_free(gpointer object)
{
    Object *self = object;
    g_free(g_steal_pointer(&self->id));
    self->destroy(self);
}

ObjectSet *object_set_new(void)
{
    ObjectSet *set = g_new0(ObjectSet, 1);
    set->objects = g_ptr_array_new_with_free_func(object_free);
    return set;
}

void object_set_free(ObjectSet *set)
{
    if (set == NULL)
        return;
    g_ptr_array_unref(set->objects);
    g_free(set);
}

Object *object_set_add(ObjectSet *set, OptSet *options, GError **error)
{
    const char *what = optset_what(options);
    const char *name = optset_need_string(options, "qom-type", error);
    const char *id = name != NULL ? optset_need_string(options, "id", error) : NULL;
    if (id == NULL)
        return NULL;
    const ObjectType *type = type_find(name);
    if (type == NULL) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_NOT_FOUND, "%s: type '%s' is not known", what, name);
        return NULL;
    }
    if (object_set_find(set, id) != NULL) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_EXISTS, "%s: Duplicate object ID '%s'", what, id);
        return NULL;
    }
    Object *object = type->create(options, error);
    if (object == NULL) {
        if (error != NULL && *error != NULL && !g_str_has_prefix((*error)->message, what))
            g_prefix_error(error, "%s,id=%s: ", what, id);
        return NULL;
    }
    if (!optset_finish(options, error)) {
        object_free(object);
        return NULL;
    }
    object->type = type;
    object->id = g_strdup(id);
    g_ptr_array_add(set->objects, object);
    return object;
}

Object *object_set_find(ObjectSet *set, const char *id)
{
    for (guint i = 0; i < set->objects->len; i++) {
        Object *object = g_ptr_array_index(set->objects, i);
        if (strcmp(object->id, id) == 0)
            return object;
    }
    return NULL;
}

void object_set_foreach(ObjectSet *set, void (*func)(Object *object, gpointer user_data), gpointer user_data)
{
    for (guint i = 0; i < set->objects->len; i++)
        func(g_ptr_array_index(set->objects, i), user_data);
}

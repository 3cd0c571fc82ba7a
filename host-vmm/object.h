// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * object: -object: host ends that are not byte streams, by id (rng-random, iothread, throttle-group), and
 * memory.
 */
#pragma once

#include <gio/gio.h>

#include "host-vmm/optset.h"

typedef struct ObjectSet ObjectSet;
typedef struct Object Object;
typedef struct ObjectType ObjectType;

struct ObjectType {
    const char *name;        /* "rng-random" */
    const char *description; /* one line for -object help */
    Object *(*create)(OptSet *options, GError **error);
};

/* An object's struct begins with this. type and id are filled in by object_set_add(). */
struct Object {
    const ObjectType *type;
    char *id;
    void (*destroy)(Object *object);
};

ObjectSet *object_set_new(void);
void object_set_free(ObjectSet *set);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ObjectSet, object_set_free)
/* options' "qom-type" and "id" are needed. Errors name them. */
Object *object_set_add(ObjectSet *set, OptSet *options, GError **error);
Object *object_set_find(ObjectSet *set, const char *id);
/* In order of creation. */
void object_set_foreach(ObjectSet *set, void (*func)(Object *object, gpointer user_data), gpointer user_data);
const ObjectType *const *object_types(void);

// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * rng-backend: where virtio-rng's bytes come from: -object rng-random (a file, by default /dev/urandom) or
 * rng-builtin (the host kernel's generator by getrandom(2)).
 */
#pragma once

#include "host-vmm/object.h"

typedef struct RngBackend RngBackend;

extern const ObjectType rng_random_type;
extern const ObjectType rng_builtin_type;

/* The object as a backend, or NULL if it is something else. Borrowed. */
RngBackend *rng_backend_from_object(Object *object);
/* For a device that names none: a built-in one of its own, freed with rng_backend_free(). */
RngBackend *rng_backend_new_builtin(void);
void rng_backend_free(RngBackend *backend);

/* Up to length bytes, never blocking: > 0 bytes; 0: none now, wait until rng_backend_fd() is readable; -1 and
 * error: there will be none (end of file, read error). */
gssize rng_backend_read(RngBackend *backend, void *to, gsize length, GError **error);
int rng_backend_fd(const RngBackend *backend);

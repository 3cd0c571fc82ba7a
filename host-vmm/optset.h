// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * optset: the keys and values of one command-line option or device_add, in QEMU's syntax.
 *
 * "virtio-rng-pci,id=rng0,addr=0x6" (a comma in a value is doubled; a bare word is key=on, nokey is key=off) or a
 * JSON object, of which nested objects become "outer.inner" and arrays "key.0", "key.1", a null member an empty string. It remembers which keys were asked for, so that optset_finish() can name the first one that nobody knows.
 */
#pragma once

#include <gio/gio.h>
#include <json-glib/json-glib.h>

typedef struct OptSet OptSet;

/* what: how errors name it ("-device"). implied: the key of a first bare word ("driver"), or NULL. */
OptSet *optset_parse(const char *what, const char *text, const char *implied, GError **error);
/* From device_add's arguments. */
OptSet *optset_from_json(const char *what, JsonObject *object, GError **error);
/* An empty one, for optset_set_default(). */
OptSet *optset_new(const char *what);
void optset_free(OptSet *options);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(OptSet, optset_free)

const char *optset_what(const OptSet *options);
gboolean optset_has(OptSet *options, const char *key); /* does not count as asked for */
/* As optset_string(), but does not count as asked for. */
const char *optset_peek(const OptSet *options, const char *key);
/* NULL if absent, the last one if given often. Borrowed. */
const char *optset_string(OptSet *options, const char *key);
/* All values of a key that may be given often, in order ("key=a,key=b", "key.0=a", {"key": ["a", {"str": "b"}]}); owned,
 * NULL-terminated. */
GStrv optset_list(OptSet *options, const char *key);
/* Fails "-device: 'driver' is missing" if absent. */
const char *optset_need_string(OptSet *options, const char *key, GError **error);
/* on/off/yes/no/true/false; the value stays as it is if absent. FALSE and error if it is not of that form. */
gboolean optset_bool(OptSet *options, const char *key, gboolean *value, GError **error);
/* Decimal or 0x, within [min, max]. */
gboolean optset_uint(OptSet *options, const char *key, guint64 min, guint64 max, guint64 *value, GError **error);
/* Bytes; suffix k, K, M, G, T (1024-based); default_unit multiplies a bare number (1 or 1 MiB). */
gboolean optset_size(OptSet *options, const char *key, guint64 default_unit, guint64 *value, GError **error);
/* Gives the key this value if it has none. */
void optset_set_default(OptSet *options, const char *key, const char *value);
/* What is given as "PREFIX.key" as a set of its own, with `key` (they count as asked for here); NULL: nothing. */
OptSet *optset_take(OptSet *options, const char *prefix);
/* Accepts without meaning for us: marks the key as asked for. */
void optset_ignore(OptSet *options, const char *key);
/* Fails "-device virtio-rng-pci: unknown property 'x'" if a key was never asked for. */
gboolean optset_finish(OptSet *options, GError **error);

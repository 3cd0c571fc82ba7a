// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * ini: configuration files as Python's ConfigParser reads them: "key = value" or "key: value", whole-line
 * comments
 * ('#', ';'), keys without case, values that go on in lines that are indented deeper, [DEFAULT] below every
 * section, %(name)s and %%, one pair of equal quotes around a value taken off.
 *
 * Where Python gives a whole file up, this does not, if the meaning is plain: a lone '%' and a %(name)s that
 * is nowhere are taken as they stand; a key or a section that is there twice is told of, the last one wins.
 */
#pragma once

#include <gio/gio.h>

/* A file that is larger is refused, and so is a longer line. */
#define INI_MAX_BYTES (4 << 20)
#define INI_MAX_KIB   64
#define INI_MAX_LINE  (INI_MAX_KIB << 10)

typedef struct IniValue {
    char *key;  /* lower case */
    char *text; /* expanded; never NULL */
    guint line;
} IniValue;

typedef struct IniSection {
    char *name;
    guint line;
    GPtrArray *values; /* of IniValue, each key once; those of [DEFAULT] that it lacks are at the end */
} IniSection;

typedef struct IniFile {
    char *path;
    GPtrArray *sections; /* of IniSection, without [DEFAULT] */
    GPtrArray *warnings; /* of char *: "PATH:LINE: …" */
    gboolean world_readable;
} IniFile;

#define INI_ERROR (ini_error_quark())
GQuark ini_error_quark(void);
typedef enum {
    INI_ERROR_UNREADABLE,
    INI_ERROR_NO_SECTION, /* a key stands before the first section, or there is none */
    INI_ERROR_SYNTAX,
} IniError;

/* path is for messages only. */
IniFile *ini_parse(const char *path, const char *text, gsize length, GError **error);
/* Reads a regular file of bounded size. */
IniFile *ini_read(const char *path, GError **error);
void ini_free(IniFile *file);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(IniFile, ini_free)

/* NULL if it is not there. */
const IniSection *ini_section(const IniFile *file, const char *name);
const IniValue *ini_value(const IniSection *section, const char *key);
/* Its text, or the fallback. section may be NULL. */
const char *ini_text(const IniSection *section, const char *key, const char *fallback);

/* Reads at most `limit` bytes of a regular file without ever waiting for it (a FIFO, a device). */
char *ini_read_bytes(const char *path, gsize limit, gsize *length, guint *mode, GError **error);

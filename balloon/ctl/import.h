// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * import: a configuration of balloond that is made out of another program's. What says the same is taken
 * over, a value that is the other program's own default says nothing, what concerns its inside only is left
 * out with a note, and all else is refused with its file and line: half an import would look like a whole
 * one.
 */
#pragma once

#include <glib.h>

typedef struct Import {
    const char *from;    /* the file that was named first */
    GPtrArray *problems; /* texts */
    GPtrArray *notes;
    GPtrArray *values; /* of ImportValue, in the order of their groups */
} Import;

typedef struct ImportValue {
    const char *group, *key; /* static */
    char *value;
} ImportValue;

Import *import_new(const char *from);
void import_free(Import *import);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Import, import_free)

/* The text of a file of at most 1 MiB. NULL: refused. line: of the file that named it; 0: a person did. */
char *import_read(Import *import, const char *path, const char *named_in, guint line);
void import_refuse(Import *import, const char *path, guint line, const char *format, ...) G_GNUC_PRINTF(4, 5);
void import_note(Import *import, const char *path, guint line, const char *format, ...) G_GNUC_PRINTF(4, 5);
/* group and key: static. The line is refused if balloond would refuse the value. One that was there is
 * replaced. */
void import_set(Import *import, const char *path, guint line, const char *group, const char *key,
                const char *format, ...) G_GNUC_PRINTF(6, 7);
const char *import_get(const Import *import, const char *group, const char *key);

/* The pace of a scanner that looks at so many pages and then sleeps so long, as a share of a CPU. */
void import_set_pace(Import *import, const char *path, guint line, gint64 pages, gint64 sleep_ms);

/* Prints the configuration, or all that was refused. The program's exit status. */
int import_finish(Import *import);

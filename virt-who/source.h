// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * source: where one section's guests are learnt of: libvirt, the host-vmm guests of this machine, or a file.
 */
#pragma once

#include "virt-who/conf.h"
#include "virt-who/report.h"

#define SOURCE_ERROR (source_error_quark())
GQuark source_error_quark(void);
typedef enum { SOURCE_ERROR_FILE, SOURCE_ERROR_NO_ID } SourceError;

typedef struct Source Source;

/* changed: worth gathering again; comes often in a boot storm. gathered: error NULL or report NULL; both
 * borrowed. */
typedef struct SourceFuncs {
    void (*changed)(Source *source, gpointer user_data);
    void (*gathered)(Source *source, Report *report, const GError *error, gpointer user_data);
} SourceFuncs;

/* config is borrowed and has to stay. NULL: built without libvirt. */
Source *source_new(const Conf *config, const SourceFuncs *funcs, gpointer user_data, GError **error);
void source_free(Source *source);

/* gathered is called once, perhaps before this returns. Not to be called again before that. */
void source_gather(Source *source, guint timeout_ms);
const Conf *source_config(const Source *source);
/* How messages name it; borrowed. */
const char *source_label(const Source *source);

/* server and username of a section as libvirt's URI; NULL: libvirt's default. */
char *source_libvirt_uri(const char *server, const char *username);

/* In fake.c: a file as a report; is_list: its first host's guests. */
Report *fake_read(const char *path, gboolean is_list, GError **error);

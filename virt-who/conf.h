// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * conf: /etc/virt-who.conf, /etc/virt-who.d/ and rhsm.conf, read, checked and put together.
 */
#pragma once

#include "virt-who/filter.h"
#include "virt-who/ini.h"

#define CONF_DEFAULT_INTERVAL 3600 /* seconds */
#define CONF_MIN_INTERVAL     60

/* Where things are; all owned. */
typedef struct Paths {
    char *root; /* what stands before all of them; "" */
    char *general, *folder, *rhsm, *key, *state, *pid, *machine_id;
} Paths;

/* root: "" or a folder. RHSM_CONFIG moves rhsm.conf, STATE_DIRECTORY (systemd.exec(5)) the state. */
void paths_init(Paths *paths, const char *root);
void paths_clear(Paths *paths);

typedef struct Problem {
    gboolean is_error; /* else a warning */
    char *file;        /* may be NULL */
    guint line;        /* 0: of the whole file */
    char *text;        /* without the place */
} Problem;

void problem_add(GPtrArray *problems, gboolean is_error, const char *file, guint line, const char *format,
                 ...) G_GNUC_PRINTF(5, 6);

typedef enum { CONF_LIBVIRT, CONF_FAKE, CONF_MONITOR } ConfType;
/* "libvirt" … */
const char *conf_type_name(ConfType type);

/* What says how the entitlement server is reached: keys of a section (rhsm_hostname …) over those of
 * rhsm.conf. */
typedef enum {
    RHSM_HOSTNAME,
    RHSM_PORT,
    RHSM_PREFIX,
    RHSM_USERNAME,
    RHSM_PASSWORD,
    RHSM_PROXY_HOSTNAME,
    RHSM_PROXY_PORT,
    RHSM_PROXY_USER,
    RHSM_PROXY_PASSWORD,
    RHSM_NO_PROXY,
    RHSM_INSECURE,
    RHSM_COUNT
} RhsmKey;

/* One section: where guests are learnt of, and to whom that is told. */
typedef struct Conf {
    char *name;
    char *file; /* NULL: made up, since nothing was configured */
    guint line;
    ConfType type;
    char *server, *username, *password, *owner; /* NULL: not set; so are all below */
    gboolean by_hostname;                       /* hypervisor_id=hostname */
    gboolean is_hypervisor;                     /* reports hosts, not just this machine's guests */
    char *fake_file;
    Filter *filter;
    char *rhsm[RHSM_COUNT];
} Conf;

typedef struct Settings {
    guint interval; /* seconds */
    char *reporter_id;
    gboolean debug, oneshot, print, status, json, log_per_config;
    char *log_dir, *log_file; /* log_file NULL: no file */
    char **configs;           /* NULL: those of the folder */
    char *status_file, *metrics_file;
} Settings;

typedef struct ConfSet {
    Settings settings;
    char **environment;  /* NAME, VALUE … of [system_environment] */
    GPtrArray *configs;  /* of Conf, in the order of files */
    GPtrArray *problems; /* of Problem */
    IniFile *rhsm;       /* NULL: there is none */
    gboolean key_failed; /* an encrypted password, but no key to read it */
} ConfSet;

/* files: of --config, NULL or empty: those that the settings name, or the folder's. Always gives a set; what
 * is wrong is in its problems. */
ConfSet *conf_read(const Paths *paths, const char *const *files);
void conf_set_free(ConfSet *set);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ConfSet, conf_set_free)

/* "HOSTNAME-MACHINEID". */
char *conf_default_reporter_id(const Paths *paths);
/* 1, yes, true, on and their opposites. FALSE: none of them. */
gboolean conf_parse_bool(const char *text, gboolean *value);

/* ---- for the parts of this module ---- */

/* In conf-section.c: one section of a file. NULL: it has errors, or is not for us. defaults may be NULL. */
Conf *conf_section_read(const IniFile *file, const IniSection *section, const IniFile *defaults_file,
                        const IniSection *defaults, const Paths *paths, ConfSet *set);
void conf_free(gpointer config);

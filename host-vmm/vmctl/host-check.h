// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * host-check: what of this host matters to guests, found out from /proc, /sys, /dev, CPUID and KVM. Changes
 * nothing.
 */
#pragma once

#include <gio/gio.h>

typedef enum {
    HOST_CHECK_OK,
    HOST_CHECK_NOTE, /* neither good nor bad, or not known */
    HOST_CHECK_WARN, /* guests run, but slower, or without something */
    HOST_CHECK_FAIL, /* no guest runs */
} HostCheckState;

typedef struct HostCheck {
    const char *name; /* static: never changes its meaning, for scripts */
    HostCheckState state;
    char *detail; /* what was found */
    char *hint;   /* what to do, or NULL */
} HostCheck;

void host_check_free(HostCheck *check);

/* What the checks look at. */
typedef struct Host {
    const char *root;  /* "" or a folder that stands for / */
    GPtrArray *checks; /* of HostCheck */
} Host;

/* Adds a finding. detail and hint: taken; hint may be NULL. */
void host_check_add(Host *host, const char *name, HostCheckState state, char *detail, char *hint);
/* A path below the root. Owned. */
char *host_path(const Host *host, const char *path);
/* A file's text without the white space at its end, 1 MiB of it at most; NULL if it cannot be read. Owned. */
char *host_read(const Host *host, const char *path);
gboolean host_has(const Host *host, const char *path);

/* The checks, by subject; each adds its findings. */
void host_check_cpu(Host *host);
/* monitor: the host-vmm that runs the probe guest; NULL: there is none, why is `problem`. */
void host_check_kvm(Host *host, const char *monitor, const char *problem);
void host_check_memory(Host *host);
void host_check_devices(Host *host);
void host_check_system(Host *host);

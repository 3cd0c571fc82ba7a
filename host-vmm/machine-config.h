// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * machine-config: what the command line asks for, as plain data. options.c fills it in, machine.c builds it.
 */
#pragma once

#include <gio/gio.h>

#include "host-vmm/actions.h"
#include "host-vmm/confine/confine.h"
#include "host-vmm/kvm/cpu-model.h"

typedef struct MachineConfig {
    char *name;                     /* -name guest=; NULL: none */
    char *uuid;                     /* -uuid, canonical lower case; NULL: none */
    CpuModel *cpu;                  /* -cpu; default: host */
    guint64 memory_size;            /* -m, bytes; 0: not given (128 MiB, or what the backends make) */
    guint64 memory_most;            /* -m maxmem=, bytes; 0: what it has at the start */
    char *memory_backend;           /* -machine memory-backend=; NULL: none */
    gboolean memory_merge;          /* -machine mem-merge=; default TRUE */
    guint vcpus;                    /* -smp, present at the start; default 1 */
    guint sockets, cores, threads;  /* topology; product is the possible vCPUs */
    char *kernel, *initrd, *append; /* -kernel, -initrd, -append */
    gboolean kernel_unpack;         /* -machine kernel-unpack=: the host unpacks a bzImage; default TRUE */
    char *kernel_cache;             /* -machine kernel-cache=, a folder; NULL: none */
    gboolean probe;                 /* -accel kvm,probe=: run the probe guest first; default TRUE */
    gboolean probe_only;            /* …=only: and nothing else */
    gboolean start_paused;          /* -S */
    Actions actions;                /* -action, -watchdog-action, -no-reboot, -no-shutdown */
    gboolean daemonize;
    char *pidfile;
    char *log_file; /* -D; NULL: stderr */

    ConfineConfig confine; /* -sandbox, -run-with */

    GPtrArray *objects;   /* OptSet of each -object, in order */
    GPtrArray *chardevs;  /* OptSet of each -chardev */
    GPtrArray *add_fds;   /* OptSet of each -add-fd */
    GPtrArray *blockdevs; /* OptSet of each -blockdev */
    GPtrArray *drives;    /* OptSet of each -drive */
    GPtrArray *netdevs;   /* OptSet of each -netdev */
    GPtrArray *devices;   /* OptSet of each -device */
    GPtrArray *numas;     /* OptSet of each -numa */
    GPtrArray *serials;   /* char* of each -serial */
    GPtrArray *monitors;  /* OptSet of each -mon; a -qmp X is {chardev=compat_monitorN} with X in qmps */
    GPtrArray *qmps;      /* char* of each -qmp */
} MachineConfig;

/* What a machine is if nothing is said. Ends with machine_config_free(). */
MachineConfig *machine_config_new(void);
void machine_config_free(MachineConfig *config);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MachineConfig, machine_config_free)

/* Parses the whole command line. NULL and one clear error naming the option; *handled: --help, --version or
 * "-device help" has been printed and the program should exit 0. */
MachineConfig *machine_config_parse(int argc, char **argv, gboolean *handled, GError **error);

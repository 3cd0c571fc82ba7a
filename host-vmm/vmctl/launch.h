// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * launch: from a few wishes to a running host-vmm.
 */
#pragma once

#include "host-vmm/vmctl/guest.h"

typedef enum {
    CONSOLE_SERIAL, /* ttyS0: every kernel has it, from its first line on */
    CONSOLE_VIRTIO, /* hvc0: no exit to the monitor for each byte; needs the driver, which may be a module */
    CONSOLE_NONE,
} ConsoleKind;

/* What the guest is to be. Strings are borrowed. */
typedef struct LaunchRequest {
    const char *kernel, *initrd, *append; /* initrd and append may be NULL */
    guint64 memory;                       /* MiB */
    guint vcpus;
    guint max_vcpus; /* that there may be later; 0: no more than at the start */
    ConsoleKind console;
    gboolean agent; /* give it an agent port */
    gboolean paused;
    char *const *extra; /* further options for host-vmm, or NULL */
} LaunchRequest;

/* $VIRT_SUITE_HOST_VMM, else beside this program (installed, or in the build tree), else in PATH. Owned. */
char *launch_find_monitor(GError **error);

/* The whole command line, NULL-terminated. Owned (g_strfreev). */
char **launch_command_line(const char *monitor, const Guest *guest, const LaunchRequest *request);

/* Makes the guest's folder (removing what a dead one of that name has left) and starts its monitor, which
 * goes to the background within timeout_ms. If that fails nothing is left, and the error is what the monitor
 * said on stderr; a signal on `signals` (from signals_catch()) makes it fail. */
gboolean launch_guest(const Guest *guest, const LaunchRequest *request, guint timeout_ms, int signals,
                      GError **error);

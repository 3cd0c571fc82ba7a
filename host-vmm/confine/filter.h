// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * filter: a seccomp filter for one kind of thread (libseccomp makes it out of syscalls.c's table).
 *
 * Any system call that is not on the list stops the process, and is named in the log.
 */
#pragma once

#include "host-vmm/confine/syscalls.h"

typedef struct Filter Filter;

/* What an option took away of the main thread. */
typedef struct FilterOptions {
    gboolean open_denied, sockets_denied;
} FilterOptions;

/* Whether host-vmm was built with libseccomp, and this kernel has filters. */
gboolean filter_is_available(void);
Filter *filter_new(ConfineKind kind, const FilterOptions *options, GError **error);
void filter_free(Filter *filter);
/* Once per process: what names a violation. */
void filter_init_signal(void);
/* For the calling thread and those that it makes; there is no way back. The process must have no_new_privs.
 */
gboolean filter_load(const Filter *filter, GError **error);

// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * syscalls: what each kind of thread may ask of the kernel, as data: a row is some system calls, who may make
 * them and why. Filters (filter.c), `-sandbox help` and docs/security.md all come of it.
 */
#pragma once

#include <gio/gio.h>

/* A filter is for one of these. */
typedef enum {
    CONFINE_MAIN,
    CONFINE_VCPU,
    CONFINE_IO, /* iothreads, and the workers of both them and the main thread */
    CONFINE_KINDS
} ConfineKind;
const char *confine_kind_name(ConfineKind kind); /* "main", "vcpu", "io" */

/* What is asked of a call's arguments. */
typedef enum {
    RULE_NONE,
    RULE_REQUESTS,    /* ioctl: one of `requests` */
    RULE_NO_EXEC,     /* mmap, mprotect: without PROT_EXEC */
    RULE_NEW_THREAD,  /* clone: a thread of this process, no other process */
    RULE_NEW_PROCESS, /* clone: anything; without it, as if the row were not there */
    RULE_OWN_PROCESS, /* tgkill: to this process */
    RULE_THREAD_NAME, /* prctl: PR_SET_NAME, PR_GET_NAME */
    RULE_DESCRIPTOR,  /* newfstatat: of a descriptor (AT_EMPTY_PATH) */
} SyscallRule;

/* What of the main thread's calls an option takes away; it then gets EPERM, and a QMP command an error. */
typedef enum { UNLESS_NOTHING, UNLESS_OPEN_DENIED, UNLESS_SOCKETS_DENIED, UNLESS_SPAWN_DENIED } SyscallUnless;

typedef struct SyscallRow {
    guint kinds; /* bits 1 << ConfineKind */
    SyscallUnless unless;
    SyscallRule rule;
    const char *calls;                   /* a space between */
    const char *requests;                /* for people: the names of request_values */
    const unsigned long *request_values; /* ends with 0 */
    const char *reason;
} SyscallRow;
extern const SyscallRow SYSCALL_ROWS[]; /* ends with calls NULL */

/* Prints the table. */
void syscalls_print_help(void);

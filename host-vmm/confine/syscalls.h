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
    RULE_REQUESTS,    /* ioctl, fcntl: one of `requests` */
    RULE_NO_EXEC,     /* mmap, mprotect: without PROT_EXEC */
    RULE_NEW_THREAD,  /* clone: a thread of this process, no other process */
    RULE_OWN_PROCESS, /* tgkill: to this process */
    RULE_NAMES,       /* prctl: PR_SET_NAME, PR_GET_NAME, PR_SET_VMA (a mapping's) */
    RULE_ITSELF,      /* prlimit64: of this process, by the number 0 */
    RULE_DESCRIPTOR,  /* newfstatat: of a descriptor (AT_EMPTY_PATH) */
} SyscallRule;

/* What of the main thread's calls an option takes away, or the sandbox itself; it then gets EPERM, and a QMP
 * command an error. */
typedef enum { UNLESS_NOTHING, UNLESS_OPEN_DENIED, UNLESS_SOCKETS_DENIED, UNLESS_CONFINED } SyscallUnless;

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

/* From here on calls are newer than this table (Linux 6.5 and later): they are told not to exist, as on the
 * kernels of before, so that a C library that tries one takes what it took before. */
#define SYSCALLS_UNKNOWN 451

/* What is asked of the row's arguments, or NULL; what takes it away, or "". */
const char *syscalls_rule_text(const SyscallRow *row);
const char *syscalls_unless_text(const SyscallRow *row);
/* Prints the table. */
void syscalls_print_help(void);

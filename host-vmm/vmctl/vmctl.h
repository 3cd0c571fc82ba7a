// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * vmctl: the person's client of host-vmm. What all verbs share: the table's row, exit statuses, errors,
 * messages.
 *
 * A verb is one file verb-NAME.c with one row in main.c's table. Its function parses its own words with
 * options_parse(), which also prints its help, so that help and options cannot drift apart.
 */
#pragma once

#include <gio/gio.h>

/* Exit statuses, as in vmctl(1). */
typedef enum {
    VMCTL_OK = 0,
    VMCTL_FAILED = 1,      /* it was tried and did not work: the guest or its monitor said no */
    VMCTL_USAGE = 2,       /* the command line makes no sense */
    VMCTL_NO_GUEST = 3,    /* there is no such guest, or it does not run */
    VMCTL_TIMED_OUT = 124, /* the deadline passed; the number that timeout(1) uses */
} VmctlStatus;

typedef struct Verb Verb;
struct Verb {
    const char *name;    /* NULL ends a table */
    const char *usage;   /* the words after the verb's name, one form a line */
    const char *summary; /* one line for `vmctl help` */
    const char *help;    /* paragraphs for `vmctl help VERB`, in lines of at most 79 columns */
    /* words: NULL-terminated, without the verb; the function may rearrange them but not free them. */
    int (*run)(const Verb *verb, char **words);
};

/* The verbs, one a file. */
extern const Verb VERB_RUN, VERB_LIST, VERB_STATUS, VERB_CONSOLE, VERB_AGENT, VERB_STOP, VERB_VCPUS, VERB_QMP,
    VERB_CHECK_HOST;

#define VMCTL_ERROR (vmctl_error_quark())
GQuark vmctl_error_quark(void);
/* A code of this domain is the VmctlStatus to exit with. */

/* Prints "vmctl: <message>" on stderr, control characters made visible; the message may come from a guest. */
void complain(const char *format, ...) G_GNUC_PRINTF(1, 2);
/* Prints the error and gives the status to exit with: its own for VMCTL_ERROR, VMCTL_TIMED_OUT for a time-out
 * of one of the clients, else VMCTL_FAILED. Frees it. */
int complain_error(GError *error);

/* ---- deadlines: monotonic microseconds, as g_get_monotonic_time() ---- */

gint64 deadline_after_ms(guint64 ms);
/* What is left, rounded up, never above G_MAXINT; 0 once it has passed. */
guint deadline_left_ms(gint64 deadline);

// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Looking at the evidence that rows of the signature tables name: files, CPUID, ACPI tables, the container
 * manager. What only the script can look at (dmidecode's output; in a test root also the fake programs')
 * stays undecided.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "virt-what/cpuid.h"
#include "virt-what/table.h"

typedef enum { EVIDENCE_NO, EVIDENCE_YES, EVIDENCE_UNDECIDED } EvidenceAnswer;

/* Called with what could not be looked at for want of rights, once for each. */
typedef void (*EvidenceDenied)(const char *path);

typedef struct Evidence Evidence;

/* Looks at nothing yet. The root is a test root, or NULL. NULL if there is no memory. */
Evidence *evidence_new(const char *root, EvidenceDenied denied);
void evidence_free(Evidence *evidence);

/* Whether a condition holds; negated conditions are answered as such. */
EvidenceAnswer evidence_decide(Evidence *evidence, const TableCondition *condition);

/* Where the evidence of a condition is ("/proc/cpuinfo", "cpuid 0x40000000"), for people. */
#define EVIDENCE_SOURCE_MAX 256
void evidence_source(Evidence *evidence, const TableCondition *condition, char source[EVIDENCE_SOURCE_MAX]);

/* uname -m as the rows see it: "i386" for all its kinds, "arm" likewise. */
const char *evidence_arch(Evidence *evidence);

/* "yes", "no" or, if that cannot be seen, "unknown". */
const char *evidence_chroot(Evidence *evidence);

/* The word of the container manager, or "". */
const char *evidence_manager(Evidence *evidence);

// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What virt-what's shell script cannot see well by itself, looked at in one go: the helper reads the
 * signature tables and looks at the evidence that their rows name; the script looks at dmidecode's output,
 * and concludes.
 *
 * What is printed are fields, each ended by the byte 0x1f. First "virt-what-1", then records of a tag and its
 * fields: arch A, uid N          uname -m and the effective user; without a root dmi LINES              of
 * /sys/class/dmi/id, named as dmidecode does; without a root chroot yes|no|unknown  if a row asks denied PATH
 * what could not be looked at for want of rights bad TEXT               a line of a table that cannot be used
 *   section NAME           the rows that follow are of this section
 *   row FACTS CHAINS COUNT and COUNT times KIND TEXT
 * A row is there only if the script can still find that it holds: conditions that do are left out, and what
 * is left is the script's ("!" before a KIND negates). To explain, a row's first condition is "@" FILE:LINE
 * and one that is known to hold is "+SOURCE" VERB:OBJECT or "-SOURCE" VERB:OBJECT (negated). In all that
 * comes from files, bytes outside printable ASCII are question marks.
 */
#pragma once

#include <stdbool.h>

#include "virt-what/table.h"

typedef struct {
    const char *root;         // a test root, or NULL
    const char *table;        // the signature table, outside of the root
    const char *table_folder; // more of them, in the root; or NULL
    bool explain;
    bool sections[SECTION_COUNT];
} GatherOptions;

/* Prints; false if there is no signature table. */
bool gather(const GatherOptions *options);

/* Prints the names that the rows of the sections can give, in lines, whether they hold or not. */
bool gather_names(const GatherOptions *options);

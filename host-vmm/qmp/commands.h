// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * commands: the monitor's commands, one table a subject. Adding one is adding a row and a function.
 */
#pragma once

#include "host-vmm/machine.h"
#include "lib/command.h"

/* What each handler is given. */
typedef struct QmpContext {
    Machine *machine;
    ChardevSet *chardevs;
    /* The descriptor that came with the command that this session's peer has just sent: the caller's, who
     * closes it; -1: none. NULL: no peer can send any. */
    int (*take_fd)(const CommandSession *session, gpointer user_data);
    gpointer take_fd_data;
} QmpContext;

extern const Command QMP_COMMANDS_MONITOR[]; /* the monitor itself */
extern const Command QMP_COMMANDS_MACHINE[]; /* the guest and its life */
extern const Command QMP_COMMANDS_ACTIONS[]; /* what is done when something happens to the guest */
extern const Command QMP_COMMANDS_INPUT[];   /* keys */
extern const Command QMP_COMMANDS_CPU[];     /* vCPUs */
extern const Command QMP_COMMANDS_DEVICE[];  /* adding and removing */
extern const Command QMP_COMMANDS_BALLOON[]; /* the balloon */
extern const Command QMP_COMMANDS_QOM[];     /* devices' properties */
extern const Command QMP_COMMANDS_STATS[];   /* what KVM counts */
extern const Command QMP_COMMANDS_CHAR[];    /* character devices */
extern const Command QMP_COMMANDS_BLOCK[];   /* disks and their images */
extern const Command QMP_COMMANDS_NET[];     /* network cards and their host ends */
extern const Command QMP_COMMANDS_FD[];      /* descriptors that clients give us */

/* {"qemu": {"major", "minor", "micro"}, "package"}, owned: the greeting's and query-version's. */
JsonObject *qmp_version(void);

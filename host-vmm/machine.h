// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * machine: puts the parts of one guest together and owns its lifecycle: run, pause, reset, shut down.
 *
 * All functions are for the main thread unless said otherwise.
 */
#pragma once

#include "host-vmm/actions.h"
#include "host-vmm/device.h"
#include "host-vmm/kvm/kvm-stats.h"
#include "host-vmm/machine-config.h"
#include "host-vmm/memory/numa.h"

typedef struct Machine Machine;

/* QMP's RunState words (query-status). */
typedef enum {
    MACHINE_PRELAUNCH, /* -S, before the first cont */
    MACHINE_RUNNING,
    MACHINE_PAUSED,
    MACHINE_IO_ERROR,       /* a disk's error stopped it (werror, rerror); resuming tries again */
    MACHINE_SHUTDOWN,       /* the guest powered off and -no-shutdown keeps us */
    MACHINE_WATCHDOG,       /* -action watchdog=pause */
    MACHINE_GUEST_PANICKED, /* -action panic= has paused or ended it */
    MACHINE_INTERNAL_ERROR, /* KVM could not go on; paused with the reason logged */
} MachineState;
const char *
machine_state_name(MachineState state); /* "prelaunch", "running", "paused", "shutdown", "internal-error" */

/* Builds everything but does not run a vCPU. `config` stays the caller's and must outlive the machine;
 * chardevs likewise. Errors are one clear line. */
Machine *machine_new(const MachineConfig *config, ChardevSet *chardevs, GError **error);
void machine_free(Machine *machine); /* stops and joins vCPU threads */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Machine, machine_free)

const MachineConfig *machine_config(const Machine *machine);
/* How RAM and vCPUs belong together; without nodes: not said. */
const Numa *machine_numa(const Machine *machine);
DeviceEnv *machine_device_env(Machine *machine);
MachineState machine_state(const Machine *machine);

/* The main thread's own confinement: when the process is set up to the last descriptor. */
void machine_confine(Machine *machine);
/* Starts or resumes (event RESUME); an error in state internal-error or shutdown (a reset leads out). */
gboolean machine_resume(Machine *machine, GError **error);
/* Stops all vCPUs, returns when they stand (event STOP). Nothing if already stopped. */
void machine_pause(Machine *machine);
/* Resets as the reset button does (event RESET{guest: false, reason: "host-qmp-system-reset"}); a paused
 * guest stays paused, at its entry; state shutdown or internal-error becomes paused. */
void machine_reset(Machine *machine);
/* Presses the ACPI power button (event POWERDOWN). */
void machine_powerdown(Machine *machine);
/* Ends (event SHUTDOWN{guest: false, reason}); `reason`: "host-qmp-quit", "host-signal". The quit function is
 * called from the main loop. */
void machine_quit(Machine *machine, const char *reason);

/* What is done when something happens to the guest: at first what the command line says. Borrowed. */
const Actions *machine_actions(const Machine *machine);
void machine_set_actions(Machine *machine, const Actions *actions);
/* A non-maskable interrupt for each vCPU. */
gboolean machine_inject_nmi(Machine *machine, GError **error);

typedef struct MachineVcpu {
    gboolean present;
    int thread_id; /* TID; 0 unless present */
    const char
        *id; /* the one it was plugged under, borrowed; NULL: was there from the start, or is not present */
} MachineVcpu;
/* How many vCPUs there may be; numbers go by socket, core, thread. */
guint machine_possible_vcpus(const Machine *machine);
MachineVcpu machine_vcpu(const Machine *machine, guint index);
/* What KVM counts of the VM, of a vCPU that is present. Owned by the machine. NULL and error where KVM has no
 * statistics. */
const KvmStats *machine_vm_stats(Machine *machine, GError **error);
const KvmStats *machine_vcpu_stats(Machine *machine, guint index, GError **error);
/* Adds vCPU `index` (-smp maxcpus= leaves room) and tells the guest. Events follow: ACPI_DEVICE_OST when the
 * guest has answered. */
gboolean machine_plug_vcpu(Machine *machine, guint index, const char *id, GError **error);
/* Asks the guest to give it back. Events follow: ACPI_DEVICE_OST, and DEVICE_DELETED when it is gone or
 * DEVICE_UNPLUG_GUEST_ERROR when the guest refuses. */
gboolean machine_unplug_vcpu(Machine *machine, guint index, GError **error);

/* Events for the monitor, delivered on the main thread in order. */
typedef void (*MachineEventFunc)(const char *name, JsonObject *data, gpointer user_data);
void machine_set_event_func(Machine *machine, MachineEventFunc func, gpointer user_data);
/* Called once when the process should end: guest power-off (without -no-shutdown), reset with -no-reboot,
 * quit. */
typedef void (*MachineQuitFunc)(int exit_status, gpointer user_data);
void machine_set_quit_func(Machine *machine, MachineQuitFunc func, gpointer user_data);

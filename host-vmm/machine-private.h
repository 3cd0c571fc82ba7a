// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * machine-private: what the files of the machine share; for nobody else.
 */
#pragma once

#include "host-vmm/cpu-set.h"
#include "host-vmm/hw/pc.h"
#include "host-vmm/machine.h"
#include "host-vmm/boot/loader.h"
#include "host-vmm/notifier.h"

/* What other threads ask of the main thread, in order. */
typedef enum {
    REQUEST_EVENT,
    REQUEST_GUEST_RESET,
    REQUEST_GUEST_POWER_OFF,
    REQUEST_STOP_ON_ERROR,
    REQUEST_STOP_ON_IO_ERROR,
    REQUEST_EJECT_VCPU,
    REQUEST_VCPU_REPORT,
    REQUEST_ALARM,
} RequestKind;

typedef struct Request {
    RequestKind kind;
    char *text; /* the event's name, or what went wrong */
    JsonObject *data;
    guint vcpu;
    guint32 source, status; /* of _OST */
    DeviceAlarm alarm;
} Request;

struct Machine {
    const MachineConfig *config;
    Actions actions;
    MachineState state; /* main thread, as all that is not said to be otherwise */
    DeviceEnv env;
    Kvm *kvm;
    Loader *loader;
    Pc *pc;
    Confine *confine;
    Numa *numa;
    CpuidTable *cpuid;
    KvmStats *vm_stats; /* NULL until asked for */
    CpuSet *cpus;
    gboolean ended; /* the quit function has been called */

    GMutex request_lock; /* guards requests */
    GQueue requests;
    Notifier *request_notifier;

    MachineEventFunc event_func;
    gpointer event_data;
    MachineQuitFunc quit_func;
    gpointer quit_data;
};

/* Hands the request, with what it owns, to the main thread. Any thread. */
void machine_post_request(Machine *machine, Request request);
void machine_request_free(gpointer request);
/* Tells the monitor's clients. Takes data. */
void machine_emit(Machine *machine, const char *name, JsonObject *data);
/* All vCPUs and devices stand still (event STOP if they did not). */
void machine_stop_in_state(Machine *machine, MachineState state);
/* What the guest's own reset does: -action reboot= says it. */
void machine_guest_reset(Machine *machine);
/* The process is to end (event SHUTDOWN). */
void machine_end(Machine *machine, gboolean by_guest, const char *reason, int status);

/* machine-actions.c: what is to be done about an alarm of a device. */
void machine_handle_alarm(Machine *machine, DeviceAlarm alarm);

/* machine-vcpus.c */
CpuTopology machine_topology(const Machine *machine);
/* Whether vCPUs may come and go. */
gboolean machine_has_cpu_hotplug(const Machine *machine);
/* Makes those that are there at the start. Needs machine->env and machine->pc. */
gboolean machine_create_vcpus(Machine *machine, GError **error);
/* One of REQUEST_EJECT_VCPU and REQUEST_VCPU_REPORT. */
void machine_handle_vcpu_request(Machine *machine, const Request *request);
/* What the guest has said about its vCPUs so far: a vCPU that it gave back before a reset must not be told to
 * the guest after it. */
void machine_handle_vcpu_requests(Machine *machine);

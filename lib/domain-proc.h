// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * domain-proc: what this machine's kernel says of a monitor's process and its threads (proc(5)).
 */
#pragma once

#include "lib/domain.h"

/* The process that a thread belongs to (Tgid); 0 if there is none such. */
int domain_proc_process_of(int thread);
/* CPU time of a process with all its threads, those that have ended too, ns: clock_getcpuclockid(3). */
gboolean domain_proc_cpu_time(int pid, guint64 *time);
/* time, delay, cpu, state of a vCPU from its thread: /proc/PID/task/TID/{schedstat,stat}. */
gboolean domain_proc_read_vcpu(int pid, int thread, DomainVcpu *vcpu);
/* Resident memory, KiB; DOMAIN_UNKNOWN. */
guint64 domain_proc_rss(int pid);
/* Bytes merged by KSM: /proc/PID/ksm_merging_pages (since Linux 5.19); DOMAIN_UNKNOWN. */
guint64 domain_proc_ksm(int pid);
/* A counter of an interface, /sys/class/net/NAME/statistics/COUNTER; DOMAIN_UNKNOWN. */
guint64 domain_proc_interface(const char *interface, const char *counter);

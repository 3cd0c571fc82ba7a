// SPDX-License-Identifier: GPL-2.0-or-later
#include "host-vmm/confine/syscalls.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <linux/if_tun.h>
#include <linux/kvm.h>
#include <linux/vhost.h>
#include <sys/ioctl.h>
#include <termios.h>

#define MAIN (1u << CONFINE_MAIN)
#define VCPU (1u << CONFINE_VCPU)
#define IO   (1u << CONFINE_IO)
#define ALL  (MAIN | VCPU | IO)

static const unsigned long kvm_device_requests[] = {
    KVM_RUN,      KVM_IRQ_LINE,  KVM_SET_GSI_ROUTING, KVM_IRQFD, KVM_IOEVENTFD,
    KVM_GET_REGS, KVM_GET_SREGS, KVM_TRANSLATE,       0,
};
static const unsigned long kvm_machine_requests[] = {
    KVM_CREATE_VCPU,
    KVM_GET_VCPU_MMAP_SIZE,
    KVM_CHECK_EXTENSION,
    KVM_GET_MSR_INDEX_LIST,
    KVM_GET_MSRS,
    KVM_SET_MSRS,
    KVM_SET_REGS,
    KVM_SET_SREGS,
    KVM_SET_CPUID2,
    KVM_ENABLE_CAP,
    KVM_GET_FPU,
    KVM_SET_FPU,
    KVM_GET_DEBUGREGS,
    KVM_SET_DEBUGREGS,
    KVM_GET_XCRS,
    KVM_SET_XCRS,
    KVM_GET_LAPIC,
    KVM_SET_LAPIC,
    KVM_GET_VCPU_EVENTS,
    KVM_SET_VCPU_EVENTS,
    KVM_GET_MP_STATE,
    KVM_SET_MP_STATE,
    KVM_GET_NESTED_STATE,
    KVM_SET_NESTED_STATE,
    KVM_GET_IRQCHIP,
    KVM_SET_IRQCHIP,
    KVM_GET_PIT2,
    KVM_SET_PIT2,
    KVM_GET_CLOCK,
    KVM_SET_CLOCK,
    KVM_GET_STATS_FD,
    KVM_NMI,
    KVM_KVMCLOCK_CTRL,
    KVM_GET_DIRTY_LOG,
    KVM_SET_USER_MEMORY_REGION,
    KVM_GET_TSC_KHZ,
    KVM_SET_TSC_KHZ,
    KVM_SIGNAL_MSI,
    0,
};
static const unsigned long device_requests[] = {
    VHOST_GET_FEATURES,
    VHOST_SET_FEATURES,
    VHOST_SET_OWNER,
    VHOST_RESET_OWNER,
    VHOST_SET_MEM_TABLE,
    VHOST_SET_VRING_NUM,
    VHOST_SET_VRING_ADDR,
    VHOST_SET_VRING_BASE,
    VHOST_GET_VRING_BASE,
    VHOST_SET_VRING_KICK,
    VHOST_SET_VRING_CALL,
    VHOST_SET_VRING_ERR,
    VHOST_NET_SET_BACKEND,
    VHOST_VSOCK_SET_GUEST_CID,
    VHOST_VSOCK_SET_RUNNING,
    TUNSETOFFLOAD,
    TUNSETQUEUE,
    TUNSETVNETHDRSZ,
    TUNSETSNDBUF,
    TUNGETIFF,
    FIONREAD,
    FIONBIO,
    0,
};
static const unsigned long descriptor_requests[] = {
    F_DUPFD_CLOEXEC, F_GETFD,     F_SETFD,     F_GETFL,     F_SETFL,     F_GETLK,
    F_SETLK,         F_OFD_GETLK, F_OFD_SETLK, F_ADD_SEALS, F_GET_SEALS, 0,
};
static const unsigned long disk_requests[] = {BLKSSZGET, BLKGETSIZE64, BLKDISCARD, BLKZEROOUT, 0};
/* <asm/termbits.h> has them, and cannot be had beside <termios.h>: struct termios2 has 44 bytes. */
#define TERMIOS2_SIZE 44u
#define TERMIOS2_GET  _IOC(_IOC_READ, 'T', 0x2a, TERMIOS2_SIZE)
#define TERMIOS2_SET  _IOC(_IOC_WRITE, 'T', 0x2b, TERMIOS2_SIZE)
#define TERMIOS2_SETW _IOC(_IOC_WRITE, 'T', 0x2c, TERMIOS2_SIZE)
#define TERMIOS2_SETF _IOC(_IOC_WRITE, 'T', 0x2d, TERMIOS2_SIZE)
static const unsigned long terminal_requests[] = {
    TCGETS, TCSETS, TCSETSW, TCSETSF, TERMIOS2_GET, TERMIOS2_SET, TERMIOS2_SETW, TERMIOS2_SETF, 0,
};
static const unsigned long setup_requests[] = {TUNSETIFF, TIOCGPTN, TIOCSPTLCK, TIOCGWINSZ, 0};

const SyscallRow SYSCALL_ROWS[] = {
    {ALL, UNLESS_NOTHING, RULE_REQUESTS, "ioctl",
     "KVM_RUN, KVM_IRQ_LINE, KVM_SET_GSI_ROUTING, KVM_IRQFD, KVM_IOEVENTFD, KVM_GET_REGS, KVM_GET_SREGS, "
     "KVM_TRANSLATE",
     kvm_device_requests, "running the guest, its interrupts and doorbells; telling where it stopped"},
    {ALL, UNLESS_NOTHING, RULE_REQUESTS, "ioctl",
     "VHOST_*, TUNSETOFFLOAD, TUNSETQUEUE, TUNSETVNETHDRSZ, TUNSETSNDBUF, TUNGETIFF, FIONREAD, FIONBIO",
     device_requests, "a guest's driver starts, stops and sets up its network card"},
    {MAIN | IO, UNLESS_NOTHING, RULE_REQUESTS, "ioctl", "BLKSSZGET, BLKGETSIZE64, BLKDISCARD, BLKZEROOUT",
     disk_requests, "disks that are block devices"},
    {MAIN, UNLESS_NOTHING, RULE_REQUESTS, "ioctl",
     "KVM's others, but those that make a VM or its interrupt chips: vCPU state, MSRs, statistics",
     kvm_machine_requests, "reset, vCPUs that are plugged, query-stats"},
    {MAIN, UNLESS_NOTHING, RULE_REQUESTS, "ioctl", "TUNSETIFF, TIOCGPTN, TIOCSPTLCK, TIOCGWINSZ",
     setup_requests, "netdev_add, pseudoterminals"},
    {ALL, UNLESS_NOTHING, RULE_REQUESTS, "ioctl", "TCGETS*, TCSETS*", terminal_requests,
     "the terminal as it was before, whichever thread it is that a signal stops (newer C libraries: by "
     "struct termios2)"},
    {ALL, UNLESS_NOTHING, RULE_NONE,
     "read write readv writev pread64 pwrite64 preadv pwritev preadv2 pwritev2 lseek close fstat", NULL, NULL,
     "descriptors that are open"},
    {ALL, UNLESS_NOTHING, RULE_REQUESTS, "fcntl",
     "F_DUPFD_CLOEXEC, F_GETFD, F_SETFD, F_GETFL, F_SETFL, F_GETLK, F_SETLK, F_OFD_GETLK, F_OFD_SETLK, "
     "F_ADD_SEALS, F_GET_SEALS",
     descriptor_requests, "the same; not F_SETOWN, which could send signals to others"},
    {ALL, UNLESS_NOTHING, RULE_DESCRIPTOR, "newfstatat", NULL, NULL, "what fstat() is in newer C libraries"},
    {ALL, UNLESS_NOTHING, RULE_NONE,
     "recvfrom recvmsg recvmmsg sendto sendmsg sendmmsg shutdown getsockopt setsockopt getsockname "
     "getpeername",
     NULL, NULL, "sockets that are open: character devices, networks, monitors"},
    {ALL, UNLESS_NOTHING, RULE_NONE, "poll ppoll select pselect6 epoll_wait epoll_pwait epoll_ctl eventfd2",
     NULL, NULL, "waiting; an eventfd for each queue and interrupt that a driver sets up"},
    {ALL, UNLESS_NOTHING, RULE_NONE,
     "futex sched_yield nanosleep clock_nanosleep clock_gettime clock_getres gettimeofday time getrandom "
     "membarrier",
     NULL, NULL, "locks, clocks, random numbers for virtio-rng"},
    {ALL, UNLESS_NOTHING, RULE_NONE, "brk munmap mremap madvise", NULL, NULL,
     "the C library's memory; RAM that the balloon gives back"},
    {ALL, UNLESS_NOTHING, RULE_NO_EXEC, "mmap mprotect", NULL, NULL, "the same, never to be executed"},
    {ALL, UNLESS_NOTHING, RULE_NEW_THREAD, "clone", NULL, NULL,
     "worker threads, which have their maker's list; a new vCPU's"},
    {ALL, UNLESS_NOTHING, RULE_NONE,
     "set_robust_list rseq sched_getaffinity sched_getattr sched_setattr set_tid_address exit exit_group",
     NULL, NULL, "threads begin and end"},
    {ALL, UNLESS_NOTHING, RULE_NONE, "seccomp capset", NULL, NULL,
     "a new thread has its maker's list and takes its own as well; neither gives anything"},
    {ALL, UNLESS_NOTHING, RULE_NAMES, "prctl", NULL, NULL,
     "threads have names; so has their memory, if the C library is told to"},
    {ALL, UNLESS_NOTHING, RULE_NONE,
     "rt_sigaction rt_sigprocmask rt_sigreturn sigaltstack restart_syscall getpid gettid", NULL, NULL,
     "signals: a vCPU is kicked by one"},
    {ALL, UNLESS_NOTHING, RULE_NONE, "sysinfo getcpu", NULL, NULL,
     "the C library: how much memory qsort() may take, which CPU this is"},
    {ALL, UNLESS_NOTHING, RULE_OWN_PROCESS, "tgkill", NULL, NULL, "a kick by another thread"},
    {ALL, UNLESS_NOTHING, RULE_NONE, "fallocate", NULL, NULL,
     "RAM in a memfd that the balloon gives back; holes in images"},
    {MAIN | IO, UNLESS_NOTHING, RULE_NONE,
     "fdatasync fsync ftruncate copy_file_range sync_file_range io_uring_enter", NULL, NULL,
     "disk images; a ring of ours takes reads, writes and flushes only"},
    {MAIN, UNLESS_NOTHING, RULE_NONE, "accept4 accept", NULL, NULL,
     "clients of monitors and character devices"},
    {MAIN, UNLESS_NOTHING, RULE_NONE,
     "unlink unlinkat stat lstat newfstatat statx access faccessat faccessat2 readlink readlinkat getcwd "
     "flock fstatfs "
     "statfs fchmod umask getdents64",
     NULL, NULL,
     "paths: sockets and the pid file are removed at the end, images are looked at before they are opened"},
    {MAIN, UNLESS_NOTHING, RULE_NONE,
     "pipe2 dup dup2 dup3 timerfd_create timerfd_settime timerfd_gettime signalfd4 epoll_create1 "
     "memfd_create mbind "
     "wait4 waitid getuid geteuid getgid getegid getppid getpgrp uname getrusage times getrlimit",
     NULL, NULL, "the main loop; nothing of it reaches beyond the process"},
    {MAIN, UNLESS_NOTHING, RULE_ITSELF, "prlimit64", NULL, NULL, "what getrlimit() is"},
    {MAIN, UNLESS_OPEN_DENIED, RULE_NONE, "openat openat2 open io_uring_setup io_uring_register", NULL, NULL,
     "QMP: images (blockdev-add), tap devices (netdev_add), backends"},
    {MAIN, UNLESS_SOCKETS_DENIED, RULE_NONE, "socket socketpair connect bind listen", NULL, NULL,
     "QMP: netdev_add; -netdev user for the guest's connections; character devices that reconnect"},
    {MAIN, UNLESS_CONFINED, RULE_NONE, "execve", NULL, NULL,
     "nothing: netdev_add asks so whether it may run a script, and gets an error"},
    {0},
};

static const char *const kind_names[CONFINE_KINDS] = {"main", "vcpu", "io"};

const char *confine_kind_name(ConfineKind kind)
{
    return kind_names[kind];
}

const char *syscalls_rule_text(const SyscallRow *row)
{
    static const char *const texts[] = {
        [RULE_NO_EXEC] = "without PROT_EXEC",
        [RULE_NEW_THREAD] = "a thread of this process",
        [RULE_OWN_PROCESS] = "to this process",
        [RULE_NAMES] = "PR_SET_NAME, PR_GET_NAME, PR_SET_VMA",
        [RULE_ITSELF] = "its own",
        [RULE_DESCRIPTOR] = "AT_EMPTY_PATH",

    };
    return row->rule == RULE_REQUESTS ? row->requests : row->rule == RULE_NONE ? NULL : texts[row->rule];
}

const char *syscalls_unless_text(const SyscallRow *row)
{
    static const char *const texts[] = {
        [UNLESS_NOTHING] = "",
        [UNLESS_OPEN_DENIED] = " [not with open=deny]",
        [UNLESS_SOCKETS_DENIED] = " [not with open=deny, unless the command line needs it]",
        [UNLESS_CONFINED] = " [never]",
    };
    return texts[row->unless];
}

void syscalls_print_help(void)
{
    for (guint kind = 0; kind < CONFINE_KINDS; kind++) {
        g_print("%s:\n", kind_names[kind]);
        for (const SyscallRow *row = SYSCALL_ROWS; row->calls; row++) {
            if (row->kinds & 1u << kind) {
                const char *rule = syscalls_rule_text(row);
                g_print("  %s%s%s%s: %s%s\n", row->calls, rule ? " (" : "", rule ? rule : "", rule ? ")" : "",
                        row->reason, syscalls_unless_text(row));
            }
        }
    }
}

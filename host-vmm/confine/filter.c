// SPDX-License-Identifier: GPL-2.0-or-later
#include "config.h"

#include "host-vmm/confine/filter.h"

#ifdef HAVE_LIBSECCOMP

#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lib/log.h"

#define X32_BIT 0x40000000u

struct Filter {
    ConfineKind kind;
    struct sock_filter *code;
    gsize count;
};

/* What the calling thread is, for the words of a violation. */
static __thread ConfineKind thread_kind;

/* Sanitizers make system calls of their own, ptrace() even. */
#if defined(__SANITIZE_ADDRESS__)
#define IS_SANITIZED TRUE
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define IS_SANITIZED TRUE
#endif
#endif
#ifndef IS_SANITIZED
#define IS_SANITIZED FALSE
#endif

gboolean filter_is_available(void)
{
    guint32 action = SECCOMP_RET_TRAP;
    return !IS_SANITIZED && syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action) == 0;
}

/* ---- making ---- */

/* Adds one call to the list; a name that this C library's libseccomp does not know is none of this kernel's.
 */
static int allow(scmp_filter_ctx context, guint32 action, const char *name, guint count,
                 const struct scmp_arg_cmp *compare)
{
    int number = seccomp_syscall_resolve_name(name);
    int result =
        number == __NR_SCMP_ERROR ? 0 : seccomp_rule_add_array(context, action, number, count, compare);
    return result == -EEXIST ? 0 : result; /* two rows may say the same */
}

static int allow_with_rule(scmp_filter_ctx context, const SyscallRow *row, const char *name)
{
    struct scmp_arg_cmp compare;
    int result = 0;
    switch (row->rule) {
    case RULE_REQUESTS:
        for (const unsigned long *request = row->request_values; *request && result == 0; request++) {
            compare = SCMP_A1(SCMP_CMP_MASKED_EQ, 0xffffffff, *request); /* the kernel looks at 32 bits */
            result = allow(context, SCMP_ACT_ALLOW, name, 1, &compare);
        }
        return result;
    case RULE_NO_EXEC:
        compare = SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0);
        break;
    case RULE_NEW_THREAD:
        compare = SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_VM | CLONE_THREAD, CLONE_VM | CLONE_THREAD);
        break;
    case RULE_OWN_PROCESS:
        compare = SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)getpid());
        break;
    case RULE_NAMES: {
        static const int options[] = {PR_SET_NAME, PR_GET_NAME /* on_violation()'s */, PR_SET_VMA};
        for (guint i = 0; i < G_N_ELEMENTS(options) && result == 0; i++) {
            compare = SCMP_A0(SCMP_CMP_MASKED_EQ, 0xffffffff, (scmp_datum_t)options[i]);
            result = allow(context, SCMP_ACT_ALLOW, name, 1, &compare);
        }
        return result;
    }
    case RULE_ITSELF:
        compare = SCMP_A0(SCMP_CMP_EQ, 0);
        break;
    case RULE_DESCRIPTOR:
        compare = SCMP_A3(SCMP_CMP_MASKED_EQ, AT_EMPTY_PATH, AT_EMPTY_PATH);
        break;
    default:
        return allow(context, SCMP_ACT_ALLOW, name, 0, NULL);
    }
    return allow(context, SCMP_ACT_ALLOW, name, 1, &compare);
}

static gboolean is_taken_away(const SyscallRow *row, const FilterOptions *options)
{
    return (row->unless == UNLESS_OPEN_DENIED && options->open_denied) ||
           (row->unless == UNLESS_SOCKETS_DENIED && options->sockets_denied) ||
           row->unless == UNLESS_CONFINED;
}

static int add_rows(scmp_filter_ctx context, ConfineKind kind, const FilterOptions *options)
{
    int result = 0;
    for (const SyscallRow *row = SYSCALL_ROWS; row->calls && result == 0; row++) {
        if (!(row->kinds & 1u << kind)) {
            continue;
        }
        g_auto(GStrv) names = g_strsplit(row->calls, " ", -1);
        for (guint i = 0; names[i] && result == 0; i++) {
            result = is_taken_away(row, options) ? allow(context, SCMP_ACT_ERRNO(EPERM), names[i], 0, NULL)
                                                 : allow_with_rule(context, row, names[i]);
        }
    }
    /* The C library asks for clone3 and takes clone if it is not there. */
    return result ? result : allow(context, SCMP_ACT_ERRNO(ENOSYS), "clone3", 0, NULL);
}

/* Before libseccomp's program, which knows no ranges of numbers: calls that are newer than the table. Other
 * ABIs' numbers (x32's have bit 30) are left to it. */
static const struct sock_filter PREFIX[] = {
    BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 0, 4),
    BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
    BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, SYSCALLS_UNKNOWN, 0, 2),
    BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, X32_BIT, 1, 0),
    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
};

/* libseccomp writes programs to descriptors only. */
static int export_code(scmp_filter_ctx context, Filter *filter)
{
    int fd = memfd_create("filter", MFD_CLOEXEC);
    if (fd < 0) {
        return -errno;
    }
    int result = seccomp_export_bpf(context, fd);
    off_t size = result ? 0 : lseek(fd, 0, SEEK_END);
    if (size > 0) {
        filter->count = G_N_ELEMENTS(PREFIX) + (gsize)size / sizeof(struct sock_filter);
        filter->code = g_malloc(sizeof(PREFIX) + (gsize)size);
        memcpy(filter->code, PREFIX, sizeof(PREFIX));
        result = pread(fd, filter->code + G_N_ELEMENTS(PREFIX), (gsize)size, 0) == size ? 0 : -EIO;
    }
    close(fd);
    return result;
}

Filter *filter_new(ConfineKind kind, const FilterOptions *options, GError **error)
{
    scmp_filter_ctx context = seccomp_init(SCMP_ACT_TRAP);
    Filter *filter = g_new0(Filter, 1);
    filter->kind = kind;
    int result = context ? seccomp_syscall_priority(context, SCMP_SYS(ioctl), 255) : -ENOMEM;
    result = result ? result : seccomp_attr_set(context, SCMP_FLTATR_CTL_OPTIMIZE, 2);
    /* By default only the thread would end, and nobody would be told. */
    result = result ? result : seccomp_attr_set(context, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_TRAP);
    result = result ? result : add_rows(context, kind, options);
    result = result ? result : export_code(context, filter);
    seccomp_release(context);
    if (result) {
        g_set_error(error, G_IO_ERROR, g_io_error_from_errno(-result), "-sandbox: cannot make a filter: %s",
                    g_strerror(-result));
        filter_free(filter);
        return NULL;
    }
    return filter;
}

void filter_free(Filter *filter)
{
    if (filter) {
        g_free(filter->code);
        g_free(filter);
    }
}

/* ---- using ---- */

/* Whose signal it was before: a terminal's, which is to be as it was. There is no way to hand a handler a
 * pointer. */
static struct sigaction signal_before;

/* The calls' names by their numbers, each with its NUL: made before, as it may be the allocator that makes a
 * wrong call. */
static char *call_names;

static void collect_names(void)
{
    GString *names = g_string_new(NULL);
    for (int number = 0; number < SYSCALLS_UNKNOWN; number++) {
        char *name = seccomp_syscall_resolve_num_arch(SCMP_ARCH_X86_64, number);
        g_string_append_len(names, name ? name : "", name ? (gssize)strlen(name) + 1 : 1);
        free(name);
    }
    call_names = g_string_free(names, FALSE);
}

/* NULL: none that is known. */
static const char *call_name(int number)
{
    const char *name = call_names;
    if (number < 0 || number >= SYSCALLS_UNKNOWN) {
        return NULL;
    }
    for (int i = 0; i < number; i++) {
        name += strlen(name) + 1;
    }
    return *name ? name : NULL;
}

/* The thread has made a call that it must not: says which, and lets the signal end the process. */
static void on_violation(int number, siginfo_t *info, void *ucontext)
{
    char thread[16] = "?", text[200];
    sigaction(number, &signal_before, NULL);
    prctl(PR_GET_NAME, thread);
    const char *name = info->si_arch == AUDIT_ARCH_X86_64 ? call_name(info->si_syscall) : NULL;
    snprintf(text, sizeof(text), "the %s thread '%s' called %s (%d), which is not on its list: it is stopped",
             confine_kind_name(thread_kind), thread, name ? name : "an unknown system call",
             info->si_syscall);
    log_emergency(text);
    raise(number);
}

void filter_init_signal(void)
{
    struct sigaction action = {.sa_sigaction = on_violation, .sa_flags = SA_SIGINFO | SA_NODEFER}, before;
    if (!call_names) {
        collect_names();
    }
    sigaction(SIGSYS, &action, &before);
    if (before.sa_sigaction != on_violation) {
        signal_before = before;
    }
}

gboolean filter_load(const Filter *filter, GError **error)
{
    struct sock_fprog program = {.len = (unsigned short)filter->count, .filter = filter->code};
    thread_kind = filter->kind;
    if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) < 0) {
        g_set_error(error, G_IO_ERROR, g_io_error_from_errno(errno), "-sandbox: cannot load a filter: %s",
                    g_strerror(errno));
        return FALSE;
    }
    return TRUE;
}

#else

gboolean filter_is_available(void)
{
    return FALSE;
}

Filter *filter_new(ConfineKind kind, const FilterOptions *options, GError **error)
{
    g_set_error(error, G_IO_ERROR, G_IO_ERROR_NOT_SUPPORTED, "-sandbox: built without libseccomp");
    return NULL;
}

void filter_free(Filter *filter)
{
}

void filter_init_signal(void)
{
}

gboolean filter_load(const Filter *filter, GError **error)
{
    return FALSE;
}

#endif

// SPDX-License-Identifier: GPL-2.0-or-later
#include "host-vmm/kvm/probe.h"

#include <errno.h>
#include <linux/kvm.h>
#include <pthread.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "host-vmm/kvm/cpuid.h"
#include "host-vmm/kvm/kvm.h"
#include "host-vmm/kvm/probe-guest.h"
#include "host-vmm/kvm/vcpu.h"

#define DEADLINE_NS 3000000000ll
/*
 * The slowest loop that still is a CPU running code: hardware takes 0.05 ms for it, QEMU's TCG about 1 ms, an
 * interpreter 300 ms. Half way on that scale, so that a busy host is not taken for one.
 */
#define SLOWEST_LOOP_NS 20000000ll
#define LOOP_TRIES      3 /* the vCPU may have lost its CPU in between: the best of these counts */

/* Guest-physical layout. */
#define PML4_ADDRESS  0x1000
#define PDPT_ADDRESS  0x2000
#define PD_ADDRESS    0x3000
#define CODE_ADDRESS  0x4000
#define STACK_ADDRESS 0x8000
#define MEMORY_SIZE   0x10000

/* Page table bits: present, writable, user; 2 MiB page. */
#define PTE_OPEN 7ull
#define PTE_HUGE (1ull << 7)

#define CR0_FLAGS  (1u << 31 | 1u << 16 | 1u << 4 | 1u << 1 | 1u) /* PG WP ET MP PE */
#define CR4_FLAGS  (1u << 10 | 1u << 9 | 1u << 5)                 /* OSXMMEXCPT OSFXSR PAE */
#define EFER_FLAGS (1u << 10 | 1u << 8)                           /* LMA LME */

typedef struct Probe {
    Kvm *kvm;
    GuestMemory *memory;
    int vcpu_fd;
    struct kvm_run *run;
    gsize run_size;

    GMutex lock; /* guards what follows */
    GCond change;
    gboolean started, done;
    pthread_t thread;
    guint stage; /* the last one that the guest has come through */
    gint64 stage_ns[PROBE_STAGE_USER + 1];
    guint exit_reason; /* that ended it, 0: KVM_RUN failed with run_errno */
    int run_errno;
} Probe;

static gint64 now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000000000ll + now.tv_nsec;
}

static gpointer run_guest(gpointer data)
{
    Probe *probe = data;
    g_mutex_lock(&probe->lock);
    probe->thread = pthread_self();
    probe->started = TRUE;
    g_cond_broadcast(&probe->change);
    g_mutex_unlock(&probe->lock);
    for (;;) {
        gboolean ran = ioctl(probe->vcpu_fd, KVM_RUN, NULL) == 0;
        int saved = errno;
        G_GNUC_UNUSED g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&probe->lock);
        if (!ran && saved == EAGAIN) {
            continue;
        }
        struct kvm_run *run = probe->run;
        probe->exit_reason = ran ? run->exit_reason : 0;
        probe->run_errno = ran ? 0 : saved;
        if (ran && run->exit_reason == KVM_EXIT_IO && run->io.port == PROBE_PORT &&
            run->io.direction == KVM_EXIT_IO_OUT) {
            guint stage = *((guint8 *)run + run->io.data_offset);
            if (stage == probe->stage + 1 && stage <= PROBE_STAGE_USER) {
                probe->stage = stage;
                probe->stage_ns[stage] = now_ns();
                if (stage < PROBE_STAGE_USER) {
                    continue;
                }
            }
        }
        probe->done = TRUE;
        g_cond_broadcast(&probe->change);
        return NULL;
    }
}

static gboolean set_up_vcpu(Probe *probe, GError **error)
{
    static const CpuTopology topology = {1, 1, 1};
    probe->vcpu_fd = ioctl(kvm_vm_fd(probe->kvm), KVM_CREATE_VCPU, 0);
    if (probe->vcpu_fd < 0) {
        return kvm_set_error(error, "cannot create a vCPU");
    }
    int run_size = kvm_ioctl(kvm_system_fd(probe->kvm), KVM_GET_VCPU_MMAP_SIZE, NULL);
    probe->run_size = run_size > 0 ? (gsize)run_size : 0;
    probe->run = mmap(NULL, probe->run_size, PROT_READ | PROT_WRITE, MAP_SHARED, probe->vcpu_fd, 0);
    if (probe->run == MAP_FAILED) {
        return kvm_set_error(error, "cannot map a vCPU's shared page");
    }
    g_autoptr(CpuModel) model = cpu_model_new_host();
    g_autoptr(CpuidTable) table = cpuid_table_new(probe->kvm, model, &topology, error);
    if (!table || !cpuid_set(table, probe->vcpu_fd, 0, &topology, error)) {
        return FALSE;
    }
    struct kvm_sregs sregs;
    if (kvm_ioctl(probe->vcpu_fd, KVM_GET_SREGS, &sregs) < 0) {
        return kvm_set_error(error, "cannot read a vCPU's system registers");
    }
    struct kvm_segment code = {
        .limit = 0xffffffff, .selector = 0x8, .type = 0xb, .present = 1, .s = 1, .l = 1, .g = 1};
    struct kvm_segment stack = {
        .limit = 0xffffffff, .selector = 0x10, .type = 3, .present = 1, .s = 1, .db = 1, .g = 1};
    sregs.cs = code;
    sregs.ds = sregs.es = sregs.fs = sregs.gs = sregs.ss = stack;
    sregs.cr0 = CR0_FLAGS;
    sregs.cr3 = PML4_ADDRESS;
    sregs.cr4 = CR4_FLAGS;
    sregs.efer = EFER_FLAGS;
    struct kvm_regs regs = {.rip = CODE_ADDRESS, .rsp = STACK_ADDRESS, .rflags = 2};
    if (kvm_ioctl(probe->vcpu_fd, KVM_SET_SREGS, &sregs) < 0 ||
        kvm_ioctl(probe->vcpu_fd, KVM_SET_REGS, &regs) < 0) {
        return kvm_set_error(error, "cannot put a vCPU into long mode");
    }
    return TRUE;
}

static void fill_memory(Probe *probe)
{
    static const struct {
        guint64 address, entry;
    } tables[] = {
        {PML4_ADDRESS, PDPT_ADDRESS | PTE_OPEN},
        {PDPT_ADDRESS, PD_ADDRESS | PTE_OPEN},
        {PD_ADDRESS, 0 | PTE_HUGE | PTE_OPEN},
    };
    for (guint i = 0; i < G_N_ELEMENTS(tables); i++) {
        guest_memory_write(probe->memory, tables[i].address, &tables[i].entry, sizeof(guint64));
    }
    guest_memory_write(probe->memory, CODE_ADDRESS, probe_guest_start,
                       (gsize)(probe_guest_end - probe_guest_start));
}

/* Waits for the thread's end, at the deadline kicks it out. */
static void wait_for_guest(Probe *probe)
{
    gint64 deadline = g_get_monotonic_time() + DEADLINE_NS / 1000;
    G_GNUC_UNUSED g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&probe->lock);
    while (!probe->done && g_cond_wait_until(&probe->change, &probe->lock, deadline)) {
    }
    if (!probe->done && probe->started) {
        probe->run->immediate_exit = 1;
        pthread_kill(probe->thread, SIGUSR1);
    }
}

#define ADVICE                                                                                               \
    "a stock kernel cannot run here: use a machine with hardware virtualisation (or nested virtualisation "  \
    "switched on "                                                                                           \
    "for this one), or -accel kvm,probe=off to try all the same"

static gboolean judge(const Probe *probe, gint64 loop_ns, GError **error)
{
    static const char *const doing[] = {
        "entering long mode", "cmpxchg16b", "xsave and xrstor", "a short loop", "entering user space",
    };
    if (probe->stage < PROBE_STAGE_USER) {
        g_autofree char *how =
            probe->exit_reason == KVM_EXIT_INTERNAL_ERROR ? g_strdup("stopped with an internal error")
            : probe->exit_reason == KVM_EXIT_SHUTDOWN     ? g_strdup("crashed")
            : probe->run_errno == EINTR                   ? g_strdup("was not done in 3 s")
            : probe->run_errno ? g_strdup_printf("failed (%s)", g_strerror(probe->run_errno))
                               : g_strdup_printf("stopped with KVM exit %u", probe->exit_reason);
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_NOT_SUPPORTED,
                    "this host's /dev/kvm does not run 64-bit guests: its probe guest %s at %s; " ADVICE, how,
                    doing[probe->stage]);
        return FALSE;
    }
    if (loop_ns > SLOWEST_LOOP_NS) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_NOT_SUPPORTED,
                    "this host's /dev/kvm interprets guest code instead of running it (%" G_GINT64_FORMAT
                    " ms for a loop of %d turns); " ADVICE,
                    loop_ns / 1000000, PROBE_LOOP_TURNS);
        return FALSE;
    }
    return TRUE;
}

/* One VM, one run of the guest. FALSE: set-up failed, or the guest did not come through. */
static gboolean run_once(gint64 *loop_ns, gboolean *too_slow, GError **error)
{
    Probe probe = {.vcpu_fd = -1, .run = MAP_FAILED};
    g_mutex_init(&probe.lock);
    g_cond_init(&probe.change);
    gboolean good = FALSE;
    *too_slow = FALSE;

    probe.kvm = kvm_new(error);
    probe.memory = probe.kvm ? guest_memory_new(MEMORY_SIZE, error) : NULL;
    if (!probe.memory || !kvm_map_memory(probe.kvm, probe.memory, error) || !set_up_vcpu(&probe, error)) {
        goto out;
    }
    fill_memory(&probe);
    GThread *thread = g_thread_try_new("probe", run_guest, &probe, error);
    if (!thread) {
        goto out;
    }
    wait_for_guest(&probe);
    g_thread_join(thread);
    *loop_ns = probe.stage_ns[PROBE_STAGE_LOOP] - probe.stage_ns[PROBE_STAGE_XRSTOR];
    good = judge(&probe, *loop_ns, error);
    *too_slow = !good && probe.stage == PROBE_STAGE_USER;

out:
    if (probe.run != MAP_FAILED) {
        munmap(probe.run, probe.run_size);
    }
    if (probe.vcpu_fd >= 0) {
        close(probe.vcpu_fd);
    }
    kvm_free(probe.kvm);
    guest_memory_free(probe.memory);
    g_cond_clear(&probe.change);
    g_mutex_clear(&probe.lock);
    return good;
}

gboolean probe_kvm(ProbeResult *result, GError **error)
{
    gint64 start = now_ns();
    gint64 loop_ns = 0;
    gboolean good = FALSE;
    gboolean too_slow = TRUE;
    vcpu_init_signals();
    for (guint try = 0; !good && too_slow && try < LOOP_TRIES; try++) {
        g_clear_error(error);
        good = run_once(&loop_ns, &too_slow, error);
    }
    if (result) {
        *result = (ProbeResult){.loop_ns = loop_ns, .total_ns = now_ns() - start};
    }
    return good;
}

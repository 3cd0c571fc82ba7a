// SPDX-License-Identifier: GPL-2.0-or-later
#include "host-vmm/kvm/vcpu.h"

#include <errno.h>
#include <linux/kvm.h>
#include <pthread.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "host-vmm/kvm/vcpu-state.h"

#define KICK_SIGNAL                      SIGUSR1
#define HV_STATUS_INVALID_HYPERCALL_CODE 2
#define MAX_INSTRUCTION_BYTES            15 /* Intel SDM 2A, 2.3.11: the longest x86 instruction */

struct Vcpu {
    VcpuConfig config;
    char *thread_name;
    int fd;
    struct kvm_run *run; /* shared with KVM; the vCPU thread's while it is in its loop */
    gsize run_size;
    KvmStats *stats;     /* NULL where KVM has none */
    VcpuState *power_on; /* what vcpu_reset() brings back */
    GThread *thread;
    pthread_t pthread;
    int thread_id;

    GMutex lock;     /* guards the flags below and the setting of run->immediate_exit */
    GCond change;    /* signalled at each change of them */
    gboolean stop;   /* should stand still */
    gboolean parked; /* stands still */
    gboolean quit;   /* thread should end */
    gboolean ready;  /* thread_id and pthread are set */
};

static void ignore_kick(int signal_number)
{
}

void vcpu_init_signals(void)
{
    /* No SA_RESTART: KVM_RUN has to return EINTR. */
    struct sigaction action = {.sa_handler = ignore_kick};
    sigaction(KICK_SIGNAL, &action, NULL);
}

/* ---- exits ---- */

static guint64 load(const guint8 *data, guint size)
{
    guint64 value = 0;
    memcpy(&value, data, size);
    return value;
}

static void handle_port_io(Vcpu *vcpu)
{
    struct kvm_run *run = vcpu->run;
    guint8 *data = (guint8 *)run + run->io.data_offset;
    for (guint i = 0; i < run->io.count; i++, data += run->io.size) {
        if (run->io.direction == KVM_EXIT_IO_OUT) {
            io_bus_write(vcpu->config.ports, run->io.port, run->io.size, load(data, run->io.size));
        } else {
            guint64 value = io_bus_read(vcpu->config.ports, run->io.port, run->io.size);
            memcpy(data, &value, run->io.size);
        }
    }
}

static void handle_mmio(Vcpu *vcpu)
{
    struct kvm_run *run = vcpu->run;
    guint size = MIN(run->mmio.len, 8);
    if (run->mmio.is_write) {
        io_bus_write(vcpu->config.mmio, run->mmio.phys_addr, size, load(run->mmio.data, size));
    } else {
        guint64 value = io_bus_read(vcpu->config.mmio, run->mmio.phys_addr, size);
        memcpy(run->mmio.data, &value, size);
    }
}

/* Appends "rip 0x…, instruction bytes …" as far as they can be learnt. */
static void describe_place(Vcpu *vcpu, GString *text)
{
    struct kvm_regs regs;
    struct kvm_sregs sregs;
    if (ioctl(vcpu->fd, KVM_GET_REGS, &regs) < 0 || ioctl(vcpu->fd, KVM_GET_SREGS, &sregs) < 0) {
        g_string_append(text, " (registers cannot be read)");
        return;
    }
    g_string_append_printf(text, " at rip 0x%llx", regs.rip);

    guint8 bytes[MAX_INSTRUCTION_BYTES];
    guint count = 0;
    struct kvm_run *run = vcpu->run;
    if (run->exit_reason == KVM_EXIT_INTERNAL_ERROR &&
        run->internal.suberror == KVM_INTERNAL_ERROR_EMULATION && run->emulation_failure.ndata >= 1 &&
        (run->emulation_failure.flags & KVM_INTERNAL_ERROR_EMULATION_FLAG_INSTRUCTION_BYTES)) {
        count = MIN(run->emulation_failure.insn_size, sizeof(bytes));
        memcpy(bytes, run->emulation_failure.insn_bytes, count);
    }
    gboolean is_64bit = (sregs.efer & (1u << 10)) && sregs.cs.l;
    for (guint64 linear = is_64bit ? regs.rip : sregs.cs.base + regs.rip; count < sizeof(bytes); count++) {
        struct kvm_translation translation = {.linear_address = linear + count};
        if (ioctl(vcpu->fd, KVM_TRANSLATE, &translation) < 0 || !translation.valid ||
            !guest_memory_read(vcpu->config.memory, translation.physical_address, &bytes[count], 1)) {
            break;
        }
    }
    g_string_append(text, count ? ", instruction bytes" : ", instruction bytes cannot be read");
    for (guint i = 0; i < count; i++) {
        g_string_append_printf(text, " %02x", bytes[i]);
    }
}

/* Reports an event and stands still until the machine says otherwise. */
static void report(Vcpu *vcpu, VcpuEvent event, const char *text)
{
    g_mutex_lock(&vcpu->lock);
    vcpu->stop = TRUE;
    vcpu->run->immediate_exit = 1;
    g_mutex_unlock(&vcpu->lock);
    vcpu->config.event(vcpu, event, text, vcpu->config.event_data);
}

static void report_error(Vcpu *vcpu, const char *format, ...) G_GNUC_PRINTF(2, 3);
static void report_error(Vcpu *vcpu, const char *format, ...)
{
    g_autoptr(GString) text = g_string_new(NULL);
    g_string_append_printf(text, "vCPU %u: ", vcpu->config.index);
    va_list arguments;
    va_start(arguments, format);
    g_string_append_vprintf(text, format, arguments);
    va_end(arguments);
    describe_place(vcpu, text);
    report(vcpu, VCPU_EVENT_ERROR, text->str);
}

static const char *suberror_name(guint suberror)
{
    switch (suberror) {
    case KVM_INTERNAL_ERROR_EMULATION:
        return "an instruction that KVM cannot emulate";
    case KVM_INTERNAL_ERROR_SIMUL_EX:
        return "simultaneous exceptions";
    case KVM_INTERNAL_ERROR_DELIVERY_EV:
        return "a failed event delivery";
    case KVM_INTERNAL_ERROR_UNEXPECTED_EXIT_REASON:
        return "an unexpected exit of the hardware";
    default:
        return "an unknown cause";
    }
}

static void handle_exit(Vcpu *vcpu)
{
    struct kvm_run *run = vcpu->run;
    switch (run->exit_reason) {
    case KVM_EXIT_IO:
        handle_port_io(vcpu);
        break;
    case KVM_EXIT_MMIO:
        handle_mmio(vcpu);
        break;
    case KVM_EXIT_INTR:
        break;
    case KVM_EXIT_HYPERV:
        /* Its interrupt controller has moved, which only KVM has to know; nothing of ours takes messages. */
        if (run->hyperv.type == KVM_EXIT_HYPERV_HCALL) {
            run->hyperv.u.hcall.result = HV_STATUS_INVALID_HYPERCALL_CODE;
        }
        break;
    case KVM_EXIT_SHUTDOWN: /* triple fault */
        report(vcpu, VCPU_EVENT_RESET, NULL);
        break;
    case KVM_EXIT_SYSTEM_EVENT:
        if (run->system_event.type == KVM_SYSTEM_EVENT_SHUTDOWN) {
            report(vcpu, VCPU_EVENT_SHUTDOWN, NULL);
        } else if (run->system_event.type == KVM_SYSTEM_EVENT_RESET) {
            report(vcpu, VCPU_EVENT_RESET, NULL);
        } else {
            report_error(vcpu, "KVM system event %u", run->system_event.type);
        }
        break;
    case KVM_EXIT_INTERNAL_ERROR:
        report_error(vcpu, "KVM internal error %u, %s,", run->internal.suberror,
                     suberror_name(run->internal.suberror));
        break;
    case KVM_EXIT_FAIL_ENTRY:
        report_error(vcpu, "the hardware refused to enter the guest, reason 0x%llx,",
                     run->fail_entry.hardware_entry_failure_reason);
        break;
    default:
        report_error(vcpu, "unexpected KVM exit %u", run->exit_reason);
        break;
    }
}

/* ---- thread ---- */

/* Stands still as long as asked to. FALSE: the thread should end. */
static gboolean wait_while_stopped(Vcpu *vcpu)
{
    g_mutex_lock(&vcpu->lock);
    while (vcpu->stop && !vcpu->quit) {
        vcpu->parked = TRUE;
        g_cond_broadcast(&vcpu->change);
        g_cond_wait(&vcpu->change, &vcpu->lock);
    }
    vcpu->parked = FALSE;
    vcpu->run->immediate_exit = 0;
    gboolean go_on = !vcpu->quit;
    g_mutex_unlock(&vcpu->lock);
    return go_on;
}

static gpointer vcpu_thread(gpointer data)
{
    Vcpu *vcpu = data;
    if (vcpu->thread_name) {
        pthread_setname_np(pthread_self(), vcpu->thread_name);
    }
    confine_thread(vcpu->config.confine, CONFINE_VCPU);
    g_mutex_lock(&vcpu->lock);
    vcpu->pthread = pthread_self();
    vcpu->thread_id = gettid();
    vcpu->ready = TRUE;
    g_cond_broadcast(&vcpu->change);
    g_mutex_unlock(&vcpu->lock);

    while (wait_while_stopped(vcpu)) {
        /* Leaves this loop only by EINTR, never right after an exit: KVM completes an I/O access at the next
         * KVM_RUN, and a parked vCPU must have nothing half done. */
        for (;;) {
            if (ioctl(vcpu->fd, KVM_RUN, NULL) == 0) {
                handle_exit(vcpu);
            } else if (errno == EINTR) {
                break;
            } else if (errno != EAGAIN) {
                report_error(vcpu, "KVM_RUN: %s", g_strerror(errno));
            }
        }
    }
    return NULL;
}

Vcpu *vcpu_new(const Kvm *kvm, const VcpuConfig *config, GError **error)
{
    g_autoptr(Vcpu) vcpu = g_new0(Vcpu, 1);
    g_mutex_init(&vcpu->lock);
    g_cond_init(&vcpu->change);
    vcpu->config = *config;
    vcpu->thread_name = g_strdup(config->thread_name);
    vcpu->stop = TRUE;
    vcpu->run = MAP_FAILED;

    /* The id of a vCPU is its initial APIC id. */
    guint32 apic_id = topology_apic_id(&config->topology, config->index);
    vcpu->fd = ioctl(kvm_vm_fd(kvm), KVM_CREATE_VCPU, (unsigned long)apic_id);
    if (vcpu->fd < 0) {
        kvm_set_error(error, "cannot create a vCPU");
        return NULL;
    }
    int run_size = kvm_ioctl(kvm_system_fd(kvm), KVM_GET_VCPU_MMAP_SIZE, NULL);
    if (run_size < (int)sizeof(struct kvm_run)) {
        kvm_set_error(error, "cannot learn the size of a vCPU's shared page");
        return NULL;
    }
    vcpu->run_size = (gsize)run_size;
    vcpu->run = mmap(NULL, vcpu->run_size, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu->fd, 0);
    if (vcpu->run == MAP_FAILED) {
        kvm_set_error(error, "cannot map a vCPU's shared page");
        return NULL;
    }
    if (!cpuid_set(config->cpuid, vcpu->fd, config->index, &config->topology, error)) {
        return NULL;
    }
    vcpu->power_on = vcpu_state_save(kvm, vcpu->fd, config->index == 0, error);
    if (!vcpu->power_on) {
        return NULL;
    }
    /* Now: once the vCPU runs, KVM would have this wait until it leaves the guest. */
    vcpu->stats = kvm_stats_open(vcpu->fd, NULL);
    vcpu->thread = g_thread_try_new("vcpu", vcpu_thread, vcpu, error);
    if (!vcpu->thread) {
        return NULL;
    }
    g_mutex_lock(&vcpu->lock);
    while (!vcpu->ready) {
        g_cond_wait(&vcpu->change, &vcpu->lock);
    }
    g_mutex_unlock(&vcpu->lock);
    return g_steal_pointer(&vcpu);
}

/* With the lock held. immediate_exit covers a kick that comes before KVM_RUN, the signal one that comes
 * during it. */
static void kick(Vcpu *vcpu)
{
    vcpu->run->immediate_exit = 1;
    pthread_kill(vcpu->pthread, KICK_SIGNAL);
}

void vcpu_free(Vcpu *vcpu)
{
    if (!vcpu) {
        return;
    }
    if (vcpu->thread) {
        g_mutex_lock(&vcpu->lock);
        vcpu->quit = TRUE;
        kick(vcpu);
        g_cond_broadcast(&vcpu->change);
        g_mutex_unlock(&vcpu->lock);
        g_thread_join(vcpu->thread);
    }
    kvm_stats_free(vcpu->stats);
    g_clear_pointer(&vcpu->power_on, vcpu_state_free);
    if (vcpu->run != MAP_FAILED) {
        munmap(vcpu->run, vcpu->run_size);
    }
    if (vcpu->fd >= 0) {
        close(vcpu->fd);
    }
    g_free(vcpu->thread_name);
    g_cond_clear(&vcpu->change);
    g_mutex_clear(&vcpu->lock);
    g_free(vcpu);
}

guint vcpu_index(const Vcpu *vcpu)
{
    return vcpu->config.index;
}

int vcpu_thread_id(const Vcpu *vcpu)
{
    return vcpu->thread_id;
}

const KvmStats *vcpu_stats(const Vcpu *vcpu)
{
    return vcpu->stats;
}

void vcpu_request_pause(Vcpu *vcpu)
{
    g_mutex_lock(&vcpu->lock);
    vcpu->stop = TRUE;
    if (!vcpu->parked) {
        kick(vcpu);
    }
    g_mutex_unlock(&vcpu->lock);
}

void vcpu_wait_parked(Vcpu *vcpu)
{
    g_mutex_lock(&vcpu->lock);
    while (!vcpu->parked) {
        g_cond_wait(&vcpu->change, &vcpu->lock);
    }
    g_mutex_unlock(&vcpu->lock);
}

void vcpu_resume(Vcpu *vcpu)
{
    g_mutex_lock(&vcpu->lock);
    vcpu->stop = FALSE;
    g_cond_broadcast(&vcpu->change);
    g_mutex_unlock(&vcpu->lock);
}

gboolean vcpu_reset(Vcpu *vcpu, const VcpuEntry *entry, GError **error)
{
    return vcpu_state_restore(vcpu->power_on, vcpu->fd, error) &&
           (!entry || vcpu_state_set_entry(vcpu->fd, entry, error));
}

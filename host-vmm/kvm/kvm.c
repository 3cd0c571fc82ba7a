// SPDX-License-Identifier: GPL-2.0-or-later
#include "host-vmm/kvm/kvm.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <sys/ioctl.h>
#include <unistd.h>

/* Three pages that Intel CPUs need for real mode, below the firmware area; no RAM or device is there. */
#define KVM_IDENTITY_MAP 0xfffbc000ull
#define KVM_TSS          0xfffbd000ul

/* Message-signalled interrupts (Intel SDM 3A, 11.11): to all, delivery mode NMI. */
#define MSI_ADDRESS  0xfee00000u
#define MSI_ALL_CPUS (0xffu << 12)
#define MSI_NMI      (4u << 8)

#define IRQCHIP_COUNT 3 /* 8259 master, 8259 slave, I/O APIC */

struct Kvm {
    int system_fd;
    int vm_fd;
    struct kvm_irqchip saved_irqchip[IRQCHIP_COUNT];
    struct kvm_pit_state2 saved_pit;
};

int kvm_ioctl(int fd, unsigned long request, void *argument)
{
    int result;
    do {
        result = ioctl(fd, request, argument);
    } while (result < 0 && errno == EINTR);
    return result;
}

gboolean kvm_set_error(GError **error, const char *what)
{
    int saved = errno;
    g_set_error(error, G_IO_ERROR, g_io_error_from_errno(saved), "KVM: %s: %s", what, g_strerror(saved));
    return FALSE;
}

static int open_device(GError **error)
{
    int fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);
    if (fd >= 0) {
        return fd;
    }
    const char *advice =
        errno == EACCES || errno == EPERM ? "run as root or as a member of the group kvm"
        : errno == ENOENT || errno == ENXIO || errno == ENODEV
            ? "load kvm_intel or kvm_amd; the firmware must not have virtualisation switched off"
            : "see the kernel log";
    g_set_error(error, G_IO_ERROR, g_io_error_from_errno(errno), "cannot open /dev/kvm: %s (%s)",
                g_strerror(errno), advice);
    return -1;
}

Kvm *kvm_new(GError **error)
{
    g_autoptr(Kvm) kvm = g_new0(Kvm, 1);
    kvm->vm_fd = -1;
    kvm->system_fd = open_device(error);
    if (kvm->system_fd < 0) {
        return NULL;
    }
    int version = kvm_ioctl(kvm->system_fd, KVM_GET_API_VERSION, NULL);
    if (version != KVM_API_VERSION) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_NOT_SUPPORTED, "KVM speaks API version %d, needed is %d",
                    version, KVM_API_VERSION);
        return NULL;
    }
    kvm->vm_fd = kvm_ioctl(kvm->system_fd, KVM_CREATE_VM, NULL);
    if (kvm->vm_fd < 0) {
        kvm_set_error(error, "cannot create a virtual machine");
        return NULL;
    }
    static const struct {
        int number;
        const char *name;
    } needed[] = {
        {KVM_CAP_USER_MEMORY, "user memory"},
        {KVM_CAP_IRQCHIP, "in-kernel interrupt controller"},
        {KVM_CAP_IRQFD, "irqfd"},
        {KVM_CAP_IOEVENTFD, "ioeventfd"},
        {KVM_CAP_IRQ_ROUTING, "GSI routing"},
        {KVM_CAP_IMMEDIATE_EXIT, "immediate exit"},
    };
    for (guint i = 0; i < G_N_ELEMENTS(needed); i++) {
        if (kvm_capability(kvm, needed[i].number) <= 0) {
            g_set_error(error, G_IO_ERROR, G_IO_ERROR_NOT_SUPPORTED, "this host's KVM has no %s",
                        needed[i].name);
            return NULL;
        }
    }
    return g_steal_pointer(&kvm);
}

void kvm_free(Kvm *kvm)
{
    if (!kvm) {
        return;
    }
    if (kvm->vm_fd >= 0) {
        close(kvm->vm_fd);
    }
    if (kvm->system_fd >= 0) {
        close(kvm->system_fd);
    }
    g_free(kvm);
}

gboolean kvm_create_irqchip(Kvm *kvm, GError **error)
{
    guint64 identity_map = KVM_IDENTITY_MAP;
    if (kvm_ioctl(kvm->vm_fd, KVM_SET_IDENTITY_MAP_ADDR, &identity_map) < 0 ||
        kvm_ioctl(kvm->vm_fd, KVM_SET_TSS_ADDR, (void *)KVM_TSS) < 0) {
        return kvm_set_error(error, "cannot place the real-mode pages");
    }
    if (kvm_ioctl(kvm->vm_fd, KVM_CREATE_IRQCHIP, NULL) < 0) {
        return kvm_set_error(error, "cannot create the interrupt controllers");
    }
    struct kvm_pit_config pit = {.flags = KVM_PIT_SPEAKER_DUMMY};
    if (kvm_ioctl(kvm->vm_fd, KVM_CREATE_PIT2, &pit) < 0) {
        return kvm_set_error(error, "cannot create the interval timer");
    }
    return TRUE;
}

gboolean kvm_save_irqchip(Kvm *kvm, GError **error)
{
    for (guint i = 0; i < IRQCHIP_COUNT; i++) {
        kvm->saved_irqchip[i].chip_id = i;
        if (kvm_ioctl(kvm->vm_fd, KVM_GET_IRQCHIP, &kvm->saved_irqchip[i]) < 0) {
            return kvm_set_error(error, "cannot read an interrupt controller");
        }
    }
    if (kvm_ioctl(kvm->vm_fd, KVM_GET_PIT2, &kvm->saved_pit) < 0) {
        return kvm_set_error(error, "cannot read the interval timer");
    }
    return TRUE;
}

gboolean kvm_reset_irqchip(Kvm *kvm, GError **error)
{
    for (guint i = 0; i < IRQCHIP_COUNT; i++) {
        if (kvm_ioctl(kvm->vm_fd, KVM_SET_IRQCHIP, &kvm->saved_irqchip[i]) < 0) {
            return kvm_set_error(error, "cannot reset an interrupt controller");
        }
    }
    if (kvm_ioctl(kvm->vm_fd, KVM_SET_PIT2, &kvm->saved_pit) < 0) {
        return kvm_set_error(error, "cannot reset the interval timer");
    }
    return TRUE;
}

gboolean kvm_inject_nmi(const Kvm *kvm, GError **error)
{
    /* As a message: KVM_NMI would wait until the vCPU has left the guest. */
    struct kvm_msi message = {.address_lo = MSI_ADDRESS | MSI_ALL_CPUS, .data = MSI_NMI};
    return kvm_ioctl(kvm->vm_fd, KVM_SIGNAL_MSI, &message) >= 0 ||
           kvm_set_error(error, "cannot send a non-maskable interrupt");
}

gboolean kvm_map_memory(Kvm *kvm, const GuestMemory *memory, GError **error)
{
    guint count;
    const GuestMemoryRegion *regions = guest_memory_all_regions(memory, &count);
    for (guint i = 0; i < count; i++) {
        struct kvm_userspace_memory_region slot = {
            .slot = i,
            .guest_phys_addr = regions[i].base,
            .memory_size = regions[i].size,
            .userspace_addr = (guintptr)regions[i].host,
        };
        if (kvm_ioctl(kvm->vm_fd, KVM_SET_USER_MEMORY_REGION, &slot) < 0) {
            return kvm_set_error(error, "cannot give the guest its memory");
        }
    }
    return TRUE;
}

int kvm_system_fd(const Kvm *kvm)
{
    return kvm->system_fd;
}

int kvm_vm_fd(const Kvm *kvm)
{
    return kvm->vm_fd;
}

int kvm_capability(const Kvm *kvm, int capability)
{
    int result = ioctl(kvm->vm_fd, KVM_CHECK_EXTENSION, (long)capability);
    return result < 0 ? 0 : result;
}

guint kvm_max_vcpus(const Kvm *kvm)
{
    int most = kvm_capability(kvm, KVM_CAP_MAX_VCPUS);
    if (most <= 0) {
        most = kvm_capability(kvm, KVM_CAP_NR_VCPUS);
    }
    return most > 0 ? (guint)most : 4; /* api.rst: 4 where neither is told */
}

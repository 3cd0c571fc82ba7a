// SPDX-License-Identifier: GPL-2.0-or-later
#include "host-vmm/kvm/interrupts.h"

#include <errno.h>
#include <linux/kvm.h>

#define FIRST_MSI_GSI 24
#define MAX_GSIS      1024 /* what every KVM has room for */

typedef struct Interrupts {
    VmOps ops;
    Kvm *kvm;       /* not owned */
    GMutex lock;    /* guards what follows */
    GArray *routes; /* of struct kvm_irq_routing_entry: all that KVM has been told */
    gboolean used[MAX_GSIS];
} Interrupts;

static Interrupts *from_ops(VmOps *ops)
{
    return (Interrupts *)ops;
}

/* Tells KVM the whole table; there is no smaller call. */
static gboolean commit_routes(Interrupts *self, GError **error)
{
    gsize entries_size = self->routes->len * sizeof(struct kvm_irq_routing_entry);
    g_autofree struct kvm_irq_routing *table = g_malloc0(sizeof(*table) + entries_size);
    table->nr = self->routes->len;
    memcpy(table->entries, self->routes->data, entries_size);
    if (kvm_ioctl(kvm_vm_fd(self->kvm), KVM_SET_GSI_ROUTING, table) < 0) {
        return kvm_set_error(error, "cannot set interrupt routing");
    }
    return TRUE;
}

static void add_chip_route(Interrupts *self, guint gsi, guint chip, guint pin)
{
    struct kvm_irq_routing_entry entry = {
        .gsi = gsi, .type = KVM_IRQ_ROUTING_IRQCHIP, .u.irqchip = {.irqchip = chip, .pin = pin}};
    g_array_append_val(self->routes, entry);
}

static struct kvm_irq_routing_entry msi_entry(guint gsi, guint64 address, guint32 data)
{
    return (struct kvm_irq_routing_entry){
        .gsi = gsi,
        .type = KVM_IRQ_ROUTING_MSI,
        .u.msi = {.address_lo = (guint32)address, .address_hi = (guint32)(address >> 32), .data = data}};
}

static int find_msi(Interrupts *self, guint gsi)
{
    for (guint i = 0; i < self->routes->len; i++) {
        struct kvm_irq_routing_entry *entry = &g_array_index(self->routes, struct kvm_irq_routing_entry, i);
        if (entry->type == KVM_IRQ_ROUTING_MSI && entry->gsi == gsi) {
            return (int)i;
        }
    }
    return -1;
}

static void set_line(VmOps *ops, guint gsi, gboolean level)
{
    struct kvm_irq_level line = {.irq = gsi, .level = level ? 1 : 0};
    if (kvm_ioctl(kvm_vm_fd(from_ops(ops)->kvm), KVM_IRQ_LINE, &line) < 0) {
        g_warning("KVM: cannot set interrupt line %u: %s", gsi, g_strerror(errno));
    }
}

static int msi_add(VmOps *ops, guint64 address, guint32 data, GError **error)
{
    Interrupts *self = from_ops(ops);
    G_GNUC_UNUSED g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&self->lock);
    for (guint gsi = FIRST_MSI_GSI; gsi < MAX_GSIS; gsi++) {
        if (self->used[gsi]) {
            continue;
        }
        struct kvm_irq_routing_entry entry = msi_entry(gsi, address, data);
        g_array_append_val(self->routes, entry);
        if (!commit_routes(self, error)) {
            g_array_set_size(self->routes, self->routes->len - 1);
            return -1;
        }
        self->used[gsi] = TRUE;
        return (int)gsi;
    }
    g_set_error(error, G_IO_ERROR, G_IO_ERROR_NO_SPACE, "no message-signalled interrupt is left of %d",
                MAX_GSIS - FIRST_MSI_GSI);
    return -1;
}

static gboolean msi_update(VmOps *ops, guint gsi, guint64 address, guint32 data, GError **error)
{
    Interrupts *self = from_ops(ops);
    G_GNUC_UNUSED g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&self->lock);
    int index = find_msi(self, gsi);
    g_return_val_if_fail(index >= 0, FALSE);
    struct kvm_irq_routing_entry *entry = &g_array_index(self->routes, struct kvm_irq_routing_entry, index);
    struct kvm_irq_routing_entry updated = msi_entry(gsi, address, data);
    if (!memcmp(entry, &updated, sizeof(updated))) {
        return TRUE;
    }
    *entry = updated;
    return commit_routes(self, error);
}

static void msi_remove(VmOps *ops, guint gsi)
{
    Interrupts *self = from_ops(ops);
    G_GNUC_UNUSED g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&self->lock);
    int index = find_msi(self, gsi);
    g_return_if_fail(index >= 0);
    g_array_remove_index_fast(self->routes, (guint)index);
    self->used[gsi] = FALSE;
    g_autoptr(GError) error = NULL;
    if (!commit_routes(self, &error)) {
        g_warning("%s", error->message);
    }
}

static gboolean set_irqfd(Interrupts *self, int eventfd, guint gsi, guint32 flags)
{
    struct kvm_irqfd irqfd = {.fd = (guint32)eventfd, .gsi = gsi, .flags = flags};
    return kvm_ioctl(kvm_vm_fd(self->kvm), KVM_IRQFD, &irqfd) == 0;
}

static gboolean irqfd_add(VmOps *ops, int eventfd, guint gsi, GError **error)
{
    return set_irqfd(from_ops(ops), eventfd, gsi, 0) || kvm_set_error(error, "cannot attach an irqfd");
}

static void irqfd_remove(VmOps *ops, int eventfd, guint gsi)
{
    if (!set_irqfd(from_ops(ops), eventfd, gsi, KVM_IRQFD_FLAG_DEASSIGN)) {
        g_warning("KVM: cannot detach the irqfd of GSI %u: %s", gsi, g_strerror(errno));
    }
}

static gboolean set_doorbell(Interrupts *self, guint64 address, guint size, int eventfd, guint32 flags)
{
    struct kvm_ioeventfd doorbell = {.addr = address, .len = size, .fd = eventfd, .flags = flags};
    return kvm_ioctl(kvm_vm_fd(self->kvm), KVM_IOEVENTFD, &doorbell) == 0;
}

static gboolean doorbell_add(VmOps *ops, guint64 address, guint size, int eventfd, GError **error)
{
    return set_doorbell(from_ops(ops), address, size, eventfd, 0) ||
           kvm_set_error(error, "cannot attach an ioeventfd");
}

static void doorbell_remove(VmOps *ops, guint64 address, guint size, int eventfd)
{
    if (!set_doorbell(from_ops(ops), address, size, eventfd, KVM_IOEVENTFD_FLAG_DEASSIGN)) {
        g_warning("KVM: cannot detach the ioeventfd at 0x%" G_GINT64_MODIFIER "x: %s", address,
                  g_strerror(errno));
    }
}

VmOps *interrupts_new(Kvm *kvm, GError **error)
{
    Interrupts *self = g_new0(Interrupts, 1);
    self->ops = (VmOps){
        .set_line = set_line,
        .msi_add = msi_add,
        .msi_update = msi_update,
        .msi_remove = msi_remove,
        .irqfd_add = irqfd_add,
        .irqfd_remove = irqfd_remove,
        .doorbell_add = doorbell_add,
        .doorbell_remove = doorbell_remove,
    };
    self->kvm = kvm;
    g_mutex_init(&self->lock);
    self->routes = g_array_new(FALSE, TRUE, sizeof(struct kvm_irq_routing_entry));
    for (guint gsi = 0; gsi < FIRST_MSI_GSI; gsi++) {
        self->used[gsi] = TRUE;
        if (gsi < 16 && gsi != 2) { /* IRQ 2 is the cascade */
            add_chip_route(self, gsi, gsi < 8 ? KVM_IRQCHIP_PIC_MASTER : KVM_IRQCHIP_PIC_SLAVE, gsi % 8);
        }
        if (gsi != 2) { /* the timer's IRQ 0 arrives at pin 2, as the MADT says */
            add_chip_route(self, gsi, KVM_IRQCHIP_IOAPIC, gsi == 0 ? 2 : gsi);
        }
    }
    if (!commit_routes(self, error)) {
        interrupts_free(&self->ops);
        return NULL;
    }
    return &self->ops;
}

void interrupts_free(VmOps *ops)
{
    if (!ops) {
        return;
    }
    Interrupts *self = from_ops(ops);
    g_array_unref(self->routes);
    g_mutex_clear(&self->lock);
    g_free(self);
}

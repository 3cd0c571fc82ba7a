// SPDX-License-Identifier: GPL-2.0-or-later
#include "host-vmm/bus/pci-msix.h"

#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define ENTRY_SIZE   16u
#define ENTRY_MASKED 1u

#define MAX_COMPLAINTS 10

typedef struct Vector {
    /* The table entry as the guest sees it. */
    guint64 address;
    guint32 data;
    guint32 control;
    gboolean pending;

    /* What it is wired to; event_fd -1: not yet. */
    int event_fd;
    guint gsi;
    guint64 routed_address;
    guint32 routed_data;
} Vector;

/* Of pci_msix_attach(). */
typedef struct Attached {
    guint vector;
    int fd;
    gboolean is_irqfd;
} Attached;

struct PciMsix {
    VmOps *vm;
    guint count;

    GMutex lock; /* guards all below */
    gboolean enabled, masked;
    guint complaints; /* how often the log was told that a vector has no interrupt */
    Vector vectors[PCI_MSIX_MAX_VECTORS];
    GArray *attached; /* of Attached */
};

/* A guest may try over and over again: it must not fill the host's log. */
static void complain(PciMsix *msix, const GError *error)
{
    if (msix->complaints < MAX_COMPLAINTS) {
        msix->complaints++;
        g_warning("an MSI-X vector has no interrupt: %s", error->message);
    }
}

/* Makes the vector's attached eventfds irqfds, or no longer. */
static void wire_attached(PciMsix *msix, const Vector *vector, gboolean wanted)
{
    for (guint i = 0; i < msix->attached->len; i++) {
        Attached *attached = &g_array_index(msix->attached, Attached, i);
        if (&msix->vectors[attached->vector] != vector || attached->is_irqfd == wanted)
            continue;
        g_autoptr(GError) error = NULL;
        if (!wanted) {
            msix->vm->irqfd_remove(msix->vm, attached->fd, vector->gsi);
            attached->is_irqfd = FALSE;
        } else if (msix->vm->irqfd_add(msix->vm, attached->fd, vector->gsi, &error)) {
            attached->is_irqfd = TRUE;
        } else {
            complain(msix, error);
        }
    }
}

static void vector_unwire(PciMsix *msix, Vector *vector)
{
    if (vector->event_fd < 0)
        return;
    wire_attached(msix, vector, FALSE);
    msix->vm->irqfd_remove(msix->vm, vector->event_fd, vector->gsi);
    msix->vm->msi_remove(msix->vm, vector->gsi);
    close(vector->event_fd);
    vector->event_fd = -1;
}

static gboolean vector_wire(PciMsix *msix, Vector *vector, GError **error)
{
    int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (fd < 0) {
        g_set_error(error, G_IO_ERROR, g_io_error_from_errno(errno), "eventfd: %s", g_strerror(errno));
        return FALSE;
    }
    int gsi = msix->vm->msi_add(msix->vm, vector->address, vector->data, error);
    if (gsi < 0) {
        close(fd);
        return FALSE;
    }
    if (!msix->vm->irqfd_add(msix->vm, fd, (guint)gsi, error)) {
        msix->vm->msi_remove(msix->vm, (guint)gsi);
        close(fd);
        return FALSE;
    }
    vector->event_fd = fd;
    vector->gsi = (guint)gsi;
    vector->routed_address = vector->address;
    vector->routed_data = vector->data;
    return TRUE;
}

static gboolean vector_deliverable(const PciMsix *msix, const Vector *vector)
{
    return msix->enabled && !msix->masked && (vector->control & ENTRY_MASKED) == 0;
}

static void vector_fire(Vector *vector)
{
    guint64 one = 1;
    /* The only failure of a non-blocking eventfd is a full counter: then the interrupt is due anyway. */
    if (vector->event_fd >= 0 && write(vector->event_fd, &one, sizeof one) < 0 && errno != EAGAIN)
        g_warning("an interrupt could not be raised: %s", g_strerror(errno));
}

/* Brings wiring and pending interrupt in line with the table; costs a system call only if something changed.
 */
static void vector_update(PciMsix *msix, Vector *vector)
{
    if (!vector_deliverable(msix, vector)) {
        wire_attached(msix, vector, FALSE);
        return;
    }
    g_autoptr(GError) error = NULL;
    if (vector->event_fd < 0) {
        if (!vector_wire(msix, vector, &error))
            complain(msix, error);
    } else if (vector->address != vector->routed_address || vector->data != vector->routed_data) {
        if (!msix->vm->msi_update(msix->vm, vector->gsi, vector->address, vector->data, &error)) {
            complain(msix, error);
        } else {
            vector->routed_address = vector->address;
            vector->routed_data = vector->data;
        }
    }
    if (vector->event_fd >= 0)
        wire_attached(msix, vector, TRUE);
    if (vector->pending && vector->event_fd >= 0) {
        vector->pending = FALSE;
        vector_fire(vector);
    }
}

PciMsix *pci_msix_new(VmOps *vm, guint vectors)
{
    g_return_val_if_fail(vectors >= 1 && vectors <= PCI_MSIX_MAX_VECTORS, NULL);

    PciMsix *msix = g_new0(PciMsix, 1);
    msix->vm = vm;
    msix->count = vectors;
    msix->attached = g_array_new(FALSE, FALSE, sizeof(Attached));
    g_mutex_init(&msix->lock);
    for (guint i = 0; i < vectors; i++) {
        msix->vectors[i].control = ENTRY_MASKED;
        msix->vectors[i].event_fd = -1;
    }
    return msix;
}

void pci_msix_free(PciMsix *msix)
{
    if (msix == NULL)
        return;
    for (guint i = 0; i < msix->count; i++)
        vector_unwire(msix, &msix->vectors[i]);
    g_array_unref(msix->attached);
    g_mutex_clear(&msix->lock);
    g_free(msix);
}

guint pci_msix_vectors(const PciMsix *msix)
{
    return msix->count;
}

void pci_msix_set_control(PciMsix *msix, gboolean enabled, gboolean masked)
{
    g_mutex_lock(&msix->lock);
    if (msix->enabled != enabled || msix->masked != masked) {
        msix->enabled = enabled;
        msix->masked = masked;
        for (guint i = 0; i < msix->count; i++) {
            if (enabled) {
                vector_update(msix, &msix->vectors[i]);
            } else {
                vector_unwire(msix, &msix->vectors[i]);
                msix->vectors[i].pending = FALSE;
            }
        }
    }
    g_mutex_unlock(&msix->lock);
}

gboolean pci_msix_enabled(PciMsix *msix)
{
    g_mutex_lock(&msix->lock);
    gboolean enabled = msix->enabled;
    g_mutex_unlock(&msix->lock);
    return enabled;
}

void pci_msix_notify(PciMsix *msix, guint vector)
{
    g_mutex_lock(&msix->lock);
    if (msix->enabled && vector < msix->count) {
        if (vector_deliverable(msix, &msix->vectors[vector]))
            vector_fire(&msix->vectors[vector]);
        else
            msix->vectors[vector].pending = TRUE;
    }
    g_mutex_unlock(&msix->lock);
}

void pci_msix_attach(PciMsix *msix, guint vector, int fd)
{
    Attached attached = {.vector = vector, .fd = fd};
    g_return_if_fail(vector < msix->count);
    g_mutex_lock(&msix->lock);
    g_array_append_val(msix->attached, attached);
    vector_update(msix, &msix->vectors[vector]);
    g_mutex_unlock(&msix->lock);
}

void pci_msix_detach(PciMsix *msix, int fd)
{
    g_mutex_lock(&msix->lock);
    for (guint i = 0; i < msix->attached->len; i++) {
        const Attached *attached = &g_array_index(msix->attached, Attached, i);
        if (attached->fd != fd)
            continue;
        if (attached->is_irqfd)
            msix->vm->irqfd_remove(msix->vm, fd, msix->vectors[attached->vector].gsi);
        g_array_remove_index_fast(msix->attached, i);
        break;
    }
    g_mutex_unlock(&msix->lock);
}

void pci_msix_reset(PciMsix *msix)
{
    g_mutex_lock(&msix->lock);
    msix->enabled = FALSE;
    msix->masked = FALSE;
    for (guint i = 0; i < msix->count; i++) {
        Vector *vector = &msix->vectors[i];
        vector_unwire(msix, vector);
        vector->address = 0;
        vector->data = 0;
        vector->control = ENTRY_MASKED;
        vector->pending = FALSE;
    }
    g_mutex_unlock(&msix->lock);
}

static gboolean vector_pending(const PciMsix *msix, guint index)
{
    gboolean pending = msix->vectors[index].pending;
    for (guint i = 0; i < msix->attached->len && !pending; i++) {
        const Attached *attached = &g_array_index(msix->attached, Attached, i);
        struct pollfd counter = {.fd = attached->fd, .events = POLLIN};
        pending = attached->vector == index && !attached->is_irqfd && poll(&counter, 1, 0) == 1;
    }
    return pending;
}

/* The aligned 32-bit word at offset. */
static guint32 read_word(const PciMsix *msix, guint64 offset)
{
    if (offset >= PCI_MSIX_PBA_OFFSET) {
        guint first = (guint)(offset - PCI_MSIX_PBA_OFFSET) * 8;
        guint32 bits = 0;
        for (guint i = 0; i < 32 && first + i < msix->count; i++)
            bits |= (guint32)vector_pending(msix, first + i) << i;
        return bits;
    }
    guint index = (guint)(offset / ENTRY_SIZE);
    if (index >= msix->count)
        return 0;
    const Vector *vector = &msix->vectors[index];
    switch (offset % ENTRY_SIZE / 4) {
    case 0:
        return (guint32)vector->address;
    case 1:
        return (guint32)(vector->address >> 32);
    case 2:
        return vector->data;
    default:
        return vector->control;
    }
}

static guint64 bar_read(gpointer device, guint64 offset, guint size)
{
    PciMsix *msix = device;
    guint64 base = offset & ~7ull;
    if (offset - base + size > 8)
        return G_MAXUINT64;
    g_mutex_lock(&msix->lock);
    guint64 value = read_word(msix, base) | (guint64)read_word(msix, base + 4) << 32;
    g_mutex_unlock(&msix->lock);
    return value >> ((offset - base) * 8);
}

static void write_word(Vector *vector, guint64 offset, guint32 value)
{
    switch (offset % ENTRY_SIZE / 4) {
    case 0:
        vector->address = (vector->address & ~0xffffffffull) | (value & ~3u);
        break;
    case 1:
        vector->address = (vector->address & 0xffffffffull) | (guint64)value << 32;
        break;
    case 2:
        vector->data = value;
        break;
    default:
        vector->control = value & ENTRY_MASKED;
        break;
    }
}

/* Whole aligned words or pairs of them only, as section 6.8.2 asks of software; pending bits are read-only.
 */
static void bar_write(gpointer device, guint64 offset, guint size, guint64 value)
{
    PciMsix *msix = device;
    guint64 index = offset / ENTRY_SIZE;
    if ((size != 4 && size != 8) || offset % size != 0 || index >= msix->count)
        return;
    g_mutex_lock(&msix->lock);
    Vector *vector = &msix->vectors[index];
    write_word(vector, offset, (guint32)value);
    if (size == 8)
        write_word(vector, offset + 4, (guint32)(value >> 32));
    vector_update(msix, vector);
    g_mutex_unlock(&msix->lock);
}

const IoBusOps pci_msix_bar_ops = {.read = bar_read, .write = bar_write};

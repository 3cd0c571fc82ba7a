// SPDX-License-Identifier: GPL-2.0-or-later
#include "host-vmm/bus/io-bus.h"

typedef struct IoRange {
    guint64 base, length;
    const IoBusOps *ops;
    gpointer device;
} IoRange;

typedef struct LaterStep {
    gboolean is_map;
    IoRange range;
} LaterStep;

struct IoBus {
    char *name;
    guint64 limit;

    GRWLock lock;   /* guards ranges; held for reading while a handler runs */
    GArray *ranges; /* IoRange, ascending, none overlaps another */

    GMutex later_lock; /* guards later */
    GQueue later;      /* LaterStep, in order of asking */
    int later_count;   /* atomic: steps that have not taken effect yet */
};

IoBus *io_bus_new(const char *name, guint64 limit)
{
    IoBus *bus = g_new0(IoBus, 1);
    bus->name = g_strdup(name);
    bus->limit = limit;
    bus->ranges = g_array_new(FALSE, FALSE, sizeof(IoRange));
    g_rw_lock_init(&bus->lock);
    g_mutex_init(&bus->later_lock);
    g_queue_init(&bus->later);
    return bus;
}

void io_bus_free(IoBus *bus)
{
    if (bus == NULL)
        return;
    g_queue_clear_full(&bus->later, g_free);
    g_mutex_clear(&bus->later_lock);
    g_rw_lock_clear(&bus->lock);
    g_array_unref(bus->ranges);
    g_free(bus->name);
    g_free(bus);
}

/* Index of the first range that ends after address: the one that holds it or the next one above. */
static guint range_search(const IoBus *bus, guint64 address)
{
    guint low = 0, high = bus->ranges->len;
    while (low < high) {
        guint middle = low + (high - low) / 2;
        const IoRange *range = &g_array_index(bus->ranges, IoRange, middle);
        if (address - range->base < range->length || address < range->base)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

static gboolean map_locked(IoBus *bus, const IoRange *range, GError **error)
{
    if (range->length == 0 || range->base > bus->limit || range->length - 1 > bus->limit - range->base) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT,
                    "%s: range at 0x%" G_GINT64_MODIFIER "x of 0x%" G_GINT64_MODIFIER
                    "x bytes passes the end",
                    bus->name, range->base, range->length);
        return FALSE;
    }
    guint at = range_search(bus, range->base);
    if (at < bus->ranges->len) {
        const IoRange *next = &g_array_index(bus->ranges, IoRange, at);
        if (next->base <= range->base + (range->length - 1)) {
            g_set_error(error, G_IO_ERROR, G_IO_ERROR_EXISTS,
                        "%s: range at 0x%" G_GINT64_MODIFIER "x of 0x%" G_GINT64_MODIFIER
                        "x bytes overlaps the one at 0x%" G_GINT64_MODIFIER "x",
                        bus->name, range->base, range->length, next->base);
            return FALSE;
        }
    }
    g_array_insert_val(bus->ranges, at, *range);
    return TRUE;
}

static gboolean unmap_locked(IoBus *bus, guint64 base)
{
    guint at = range_search(bus, base);
    if (at >= bus->ranges->len || g_array_index(bus->ranges, IoRange, at).base != base)
        return FALSE;
    g_array_remove_index(bus->ranges, at);
    return TRUE;
}

gboolean io_bus_map(IoBus *bus, guint64 base, guint64 length, const IoBusOps *ops, gpointer device,
                    GError **error)
{
    IoRange range = {.base = base, .length = length, .ops = ops, .device = device};
    g_rw_lock_writer_lock(&bus->lock);
    gboolean ok = map_locked(bus, &range, error);
    g_rw_lock_writer_unlock(&bus->lock);
    return ok;
}

gboolean io_bus_unmap(IoBus *bus, guint64 base)
{
    g_rw_lock_writer_lock(&bus->lock);
    gboolean ok = unmap_locked(bus, base);
    g_rw_lock_writer_unlock(&bus->lock);
    return ok;
}

static void push_later(IoBus *bus, const LaterStep *step)
{
    LaterStep *copy = g_new(LaterStep, 1);
    *copy = *step;
    g_mutex_lock(&bus->later_lock);
    g_queue_push_tail(&bus->later, copy);
    g_atomic_int_inc(&bus->later_count);
    g_mutex_unlock(&bus->later_lock);
}

void io_bus_map_later(IoBus *bus, guint64 base, guint64 length, const IoBusOps *ops, gpointer device)
{
    LaterStep step = {.is_map = TRUE,
                      .range = {.base = base, .length = length, .ops = ops, .device = device}};
    push_later(bus, &step);
}

void io_bus_unmap_later(IoBus *bus, guint64 base)
{
    LaterStep step = {.is_map = FALSE, .range = {.base = base}};
    push_later(bus, &step);
}

/* The count falls only after a step has taken effect, so that a thread which sees it at zero may rely on its
 * own. */
static void apply_later(IoBus *bus)
{
    g_rw_lock_writer_lock(&bus->lock);
    for (;;) {
        g_mutex_lock(&bus->later_lock);
        g_autofree LaterStep *step = g_queue_pop_head(&bus->later);
        g_mutex_unlock(&bus->later_lock);
        if (step == NULL)
            break;
        g_autoptr(GError) error = NULL;
        if (!step->is_map)
            unmap_locked(bus, step->range.base);
        else if (!map_locked(bus, &step->range, &error))
            g_debug("not mapped: %s", error->message);
        g_atomic_int_add(&bus->later_count, -1);
    }
    g_rw_lock_writer_unlock(&bus->lock);
}

/* The range that holds all of the access, or NULL; called with the lock held for reading. */
static const IoRange *range_of_access(const IoBus *bus, guint64 address, guint size)
{
    guint at = range_search(bus, address);
    if (at >= bus->ranges->len)
        return NULL;
    const IoRange *range = &g_array_index(bus->ranges, IoRange, at);
    if (address < range->base || range->length < size || address - range->base > range->length - size)
        return NULL;
    return range;
}

static guint64 size_mask(guint size)
{
    return size >= 8 ? G_MAXUINT64 : (1ull << (size * 8)) - 1;
}

guint64 io_bus_read(IoBus *bus, guint64 address, guint size)
{
    guint64 value = G_MAXUINT64;
    g_rw_lock_reader_lock(&bus->lock);
    const IoRange *range = range_of_access(bus, address, size);
    if (range != NULL)
        value = range->ops->read(range->device, address - range->base, size);
    g_rw_lock_reader_unlock(&bus->lock);
    if (g_atomic_int_get(&bus->later_count) > 0)
        apply_later(bus);
    return value & size_mask(size);
}

void io_bus_write(IoBus *bus, guint64 address, guint size, guint64 value)
{
    g_rw_lock_reader_lock(&bus->lock);
    const IoRange *range = range_of_access(bus, address, size);
    if (range != NULL)
        range->ops->write(range->device, address - range->base, size, value & size_mask(size));
    g_rw_lock_reader_unlock(&bus->lock);
    if (g_atomic_int_get(&bus->later_count) > 0)
        apply_later(bus);
}

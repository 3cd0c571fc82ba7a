// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * io-bus: dispatch of port I/O or MMIO accesses to the devices that claim the addresses.
 *
 * One bus for ports (limit 0xffff), one for MMIO. Accesses come from vCPU threads; devices lock themselves.
 * Mapping and unmapping may happen meanwhile (a guest moves a BAR): a reader-writer lock covers the table, and a
 * handler runs with the read lock held, so that after io_bus_unmap() returns no handler of that range is running.
 * A handler that has to map or unmap (PCI configuration) therefore uses io_bus_map_later()/io_bus_unmap_later(),
 * applied when the access has returned.
 */
#pragma once

#include <gio/gio.h>

typedef struct IoBus IoBus;

typedef struct IoBusOps {
    /* offset from the range's base; size 1, 2, 4 or 8 bytes. Values are little-endian numbers in the low bits. */
    guint64 (*read)(gpointer device, guint64 offset, guint size);
    void (*write)(gpointer device, guint64 offset, guint size, guint64 value);
} IoBusOps;

IoBus *io_bus_new(const char *name, guint64 limit);
void io_bus_free(IoBus *bus);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(IoBus, io_bus_free)

/* Fails if the range overlaps another one or passes the limit. An access that crosses a range's end is unclaimed. */
gboolean io_bus_map(IoBus *bus, guint64 base, guint64 length, const IoBusOps *ops, gpointer device, GError **error);
/* Removes the range that begins at base; FALSE if there is none. */
gboolean io_bus_unmap(IoBus *bus, guint64 base);
/* From inside a handler: done after it. A map that overlaps then is dropped (the guest placed BARs badly). */
void io_bus_map_later(IoBus *bus, guint64 base, guint64 length, const IoBusOps *ops, gpointer device);
void io_bus_unmap_later(IoBus *bus, guint64 base);

/* What nobody claims reads as all ones, and writes to it are dropped. */
guint64 io_bus_read(IoBus *bus, guint64 address, guint size);
void io_bus_write(IoBus *bus, guint64 address, guint size, guint64 value);

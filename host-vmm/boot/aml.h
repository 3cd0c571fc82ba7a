// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * aml: writes ACPI Machine Language (ACPI specification 6.4, chapter 20) into a byte array.
 *
 * An expression is a GByteArray that its consumer takes: aml_append(scope, aml_name("_UID", aml_int(0))).
 */
#pragma once

#include <gio/gio.h>

typedef GByteArray Aml;

Aml *aml_new(void);
/* Appends child's bytes and frees it. */
void aml_append(Aml *parent, Aml *child);

Aml *aml_int(guint64 value);
Aml *aml_string(const char *text);
/* An EISA id: "PNP0A03" (three letters, four hex digits). */
Aml *aml_eisa_id(const char *id);
/* Name(path, value) */
Aml *aml_name(const char *path, Aml *value);
/* Scope / Device / Package around a body. path: "\\_SB_", "PCI0", with names padded to four characters. */
Aml *aml_scope(const char *path, Aml *body);
Aml *aml_device(const char *name, Aml *body);
/* A package of up to 255 elements, each given as one Aml in `elements` (taken). */
Aml *aml_package(Aml **elements, guint count);

/* A resource template: collect descriptors in an Aml, then close it as a buffer. */
Aml *aml_resources(Aml *descriptors);
void aml_resource_io(Aml *resources, guint16 base, guint8 length);
void aml_resource_irq(Aml *resources, guint irq); /* edge-triggered, active high, exclusive */
void aml_resource_bus_range(Aml *resources, guint8 first, guint8 last);
void aml_resource_port_window(Aml *resources, guint16 first, guint16 last);
void aml_resource_memory_window(Aml *resources, guint32 first, guint32 last);

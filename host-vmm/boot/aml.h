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
/* Bytes as they are. */
Aml *aml_buffer(const void *data, guint length);

/* ---- methods and what is in them (20.2.5) ---- */

Aml *aml_method(const char *name, guint arguments, Aml *body);
Aml *aml_arg(guint index);       /* Arg0-Arg6 */
Aml *aml_local(guint index);     /* Local0-Local7 */
Aml *aml_path(const char *path); /* the object of that name; a method without arguments is called by it */
/* A method called with arguments (taken). */
Aml *aml_call(const char *path, Aml **arguments, guint count);
Aml *aml_store(Aml *value, Aml *target);
Aml *aml_equal(Aml *left, Aml *right);
Aml *aml_if(Aml *condition, Aml *body);
Aml *aml_else(Aml *body); /* right after aml_if() */
Aml *aml_while(Aml *condition, Aml *body);
Aml *aml_return(Aml *value);
Aml *aml_notify(const char *device, Aml *value);
Aml *aml_mutex(const char *name);
Aml *aml_acquire(const char *mutex); /* waits for ever */
Aml *aml_release(const char *mutex);

/* A region of ports, and its fields: `units` is made by aml_field_skip() and aml_field_unit() one after the
 * other. */
Aml *aml_port_region(const char *name, guint16 base, guint8 length);
/* access: 1, 2 or 4 bytes; write_as_zeros: what is not of the field is written as zeros, else it is read
 * first. */
Aml *aml_field(const char *region, guint access, gboolean write_as_zeros, Aml *units);
void aml_field_skip(Aml *units, guint bits);
void aml_field_unit(Aml *units, const char *name, guint bits);

/* A resource template: collect descriptors in an Aml, then close it as a buffer. */
Aml *aml_resources(Aml *descriptors);
void aml_resource_io(Aml *resources, guint16 base, guint8 length);
void aml_resource_irq(Aml *resources, guint irq); /* edge-triggered, active high, exclusive */
void aml_resource_bus_range(Aml *resources, guint8 first, guint8 last);
void aml_resource_port_window(Aml *resources, guint16 first, guint16 last);
void aml_resource_memory_window(Aml *resources, guint32 first, guint32 last);

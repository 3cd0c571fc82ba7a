// SPDX-License-Identifier: GPL-2.0-or-later
#include "host-vmm/boot/aml.h"

#include <string.h>

enum {
    OP_ZERO = 0x00,
    OP_ONE = 0x01,
    OP_NAME = 0x08,
    OP_BYTE = 0x0a,
    OP_WORD = 0x0b,
    OP_DWORD = 0x0c,
    OP_STRING = 0x0d,
    OP_QWORD = 0x0e,
    OP_SCOPE = 0x10,
    OP_BUFFER = 0x11,
    OP_PACKAGE = 0x12,
    OP_METHOD = 0x14,
    OP_MULTI_NAME = 0x2f,
    OP_EXTENDED = 0x5b,
    OP_LOCAL_0 = 0x60,
    OP_ARG_0 = 0x68,
    OP_STORE = 0x70,
    OP_NOTIFY = 0x86,
    OP_EQUAL = 0x93,
    OP_IF = 0xa0,
    OP_ELSE = 0xa1,
    OP_WHILE = 0xa2,
    OP_RETURN = 0xa4,
    OP_EXT_MUTEX = 0x01,
    OP_EXT_ACQUIRE = 0x23,
    OP_EXT_RELEASE = 0x27,
    OP_EXT_REGION = 0x80,
    OP_EXT_FIELD = 0x81,
    OP_EXT_DEVICE = 0x82,
};

Aml *aml_new(void)
{
    return g_byte_array_new();
}

static void put(Aml *aml, guint64 value, guint bytes)
{
    for (guint i = 0; i < bytes; i++) {
        guint8 byte = (guint8)(value >> (8 * i));
        g_byte_array_append(aml, &byte, 1);
    }
}

void aml_append(Aml *parent, Aml *child)
{
    g_byte_array_append(parent, child->data, child->len);
    g_byte_array_unref(child);
}

/* 20.2.4: the length counts its own bytes. */
static void put_package_length(Aml *aml, guint body_length)
{
    guint bytes = body_length + 1 < 0x40       ? 1
                  : body_length + 2 < 0x1000   ? 2
                  : body_length + 3 < 0x100000 ? 3
                                               : 4;
    guint length = body_length + bytes;
    if (bytes == 1) {
        put(aml, length, 1);
        return;
    }
    put(aml, (bytes - 1) << 6 | (length & 0x0f), 1);
    put(aml, length >> 4, bytes - 1);
}

/* 20.2.2: segments of four characters, separated by dots in `path`; a leading backslash is the root. */
static void put_path(Aml *aml, const char *path)
{
    if (*path == '\\') {
        put(aml, '\\', 1);
        path++;
    }
    g_auto(GStrv) segments = g_strsplit(path, ".", -1);
    guint count = g_strv_length(segments);
    if (count == 2) {
        put(aml, 0x2e, 1);
    } else if (count > 2) {
        put(aml, OP_MULTI_NAME, 1);
        put(aml, count, 1);
    } else if (count == 0) {
        put(aml, 0, 1);
    }
    for (guint i = 0; i < count; i++) {
        char segment[4] = {'_', '_', '_', '_'};
        memcpy(segment, segments[i], MIN(strlen(segments[i]), sizeof(segment)));
        g_byte_array_append(aml, (const guint8 *)segment, sizeof(segment));
    }
}

/* An opcode before its operands (each taken, NULL left out). */
static Aml *operation(guint op, Aml *first, Aml *second)
{
    Aml *aml = aml_new();
    put(aml, op, 1);
    if (first) {
        aml_append(aml, first);
    }
    if (second) {
        aml_append(aml, second);
    }
    return aml;
}

static Aml *extended(guint op, Aml *operand)
{
    return operation(OP_EXTENDED, operation(op, operand, NULL), NULL);
}

/* An opcode, a package length, and in the package both parts. */
static Aml *block(guint op, Aml *head, Aml *body)
{
    Aml *inside = head ? head : aml_new();
    aml_append(inside, body);
    Aml *aml = aml_new();
    put(aml, op, 1);
    put_package_length(aml, inside->len);
    aml_append(aml, inside);
    return aml;
}

Aml *aml_int(guint64 value)
{
    Aml *aml = aml_new();
    if (value <= 1) {
        put(aml, value ? OP_ONE : OP_ZERO, 1);
    } else if (value <= G_MAXUINT8) {
        put(aml, OP_BYTE, 1);
        put(aml, value, 1);
    } else if (value <= G_MAXUINT16) {
        put(aml, OP_WORD, 1);
        put(aml, value, 2);
    } else if (value <= G_MAXUINT32) {
        put(aml, OP_DWORD, 1);
        put(aml, value, 4);
    } else {
        put(aml, OP_QWORD, 1);
        put(aml, value, 8);
    }
    return aml;
}

Aml *aml_string(const char *text)
{
    Aml *aml = aml_new();
    put(aml, OP_STRING, 1);
    g_byte_array_append(aml, (const guint8 *)text, (guint)strlen(text) + 1);
    return aml;
}

Aml *aml_eisa_id(const char *id)
{
    g_return_val_if_fail(strlen(id) == 7, NULL);
    guint number = (guint)g_ascii_strtoull(id + 3, NULL, 16);
    guint letters = (guint)(id[0] - '@') << 10 | (guint)(id[1] - '@') << 5 | (guint)(id[2] - '@');
    /* 19.3.4: big-endian in a little-endian integer. */
    Aml *aml = aml_new();
    put(aml, OP_DWORD, 1);
    put(aml, letters >> 8, 1);
    put(aml, letters, 1);
    put(aml, number >> 8, 1);
    put(aml, number, 1);
    return aml;
}

Aml *aml_name(const char *path, Aml *value)
{
    Aml *aml = aml_new();
    put(aml, OP_NAME, 1);
    put_path(aml, path);
    aml_append(aml, value);
    return aml;
}

Aml *aml_package(Aml **elements, guint count)
{
    g_return_val_if_fail(count <= 255, NULL);
    Aml *body = aml_new();
    put(body, count, 1);
    for (guint i = 0; i < count; i++) {
        aml_append(body, elements[i]);
    }
    return block(OP_PACKAGE, NULL, body);
}

Aml *aml_buffer(const void *data, guint length)
{
    Aml *body = aml_int(length);
    g_byte_array_append(body, data, length);
    return block(OP_BUFFER, NULL, body);
}

/* ---- methods ---- */

Aml *aml_scope(const char *path, Aml *body)
{
    return block(OP_SCOPE, aml_path(path), body);
}

Aml *aml_device(const char *name, Aml *body)
{
    return operation(OP_EXTENDED, block(OP_EXT_DEVICE, aml_path(name), body), NULL);
}

Aml *aml_path(const char *path)
{
    Aml *aml = aml_new();
    put_path(aml, path);
    return aml;
}

Aml *aml_method(const char *name, guint arguments, Aml *body)
{
    Aml *head = aml_path(name);
    put(head, arguments, 1); /* not serialized */
    return block(OP_METHOD, head, body);
}

Aml *aml_arg(guint index)
{
    return operation(OP_ARG_0 + index, NULL, NULL);
}

Aml *aml_local(guint index)
{
    return operation(OP_LOCAL_0 + index, NULL, NULL);
}

Aml *aml_call(const char *path, Aml **arguments, guint count)
{
    Aml *aml = aml_path(path);
    for (guint i = 0; i < count; i++) {
        aml_append(aml, arguments[i]);
    }
    return aml;
}

Aml *aml_store(Aml *value, Aml *target)
{
    return operation(OP_STORE, value, target);
}

Aml *aml_equal(Aml *left, Aml *right)
{
    return operation(OP_EQUAL, left, right);
}

Aml *aml_if(Aml *condition, Aml *body)
{
    return block(OP_IF, condition, body);
}

Aml *aml_else(Aml *body)
{
    return block(OP_ELSE, NULL, body);
}

Aml *aml_while(Aml *condition, Aml *body)
{
    return block(OP_WHILE, condition, body);
}

Aml *aml_return(Aml *value)
{
    return operation(OP_RETURN, value, NULL);
}

Aml *aml_notify(const char *device, Aml *value)
{
    return operation(OP_NOTIFY, aml_path(device), value);
}

Aml *aml_mutex(const char *name)
{
    Aml *path = aml_path(name);
    put(path, 0, 1); /* sync level */
    return extended(OP_EXT_MUTEX, path);
}

Aml *aml_acquire(const char *mutex)
{
    Aml *path = aml_path(mutex);
    put(path, 0xffff, 2); /* no time limit */
    return extended(OP_EXT_ACQUIRE, path);
}

Aml *aml_release(const char *mutex)
{
    return extended(OP_EXT_RELEASE, aml_path(mutex));
}

Aml *aml_port_region(const char *name, guint16 base, guint8 length)
{
    Aml *region = aml_path(name);
    put(region, 1, 1); /* SystemIO */
    aml_append(region, aml_int(base));
    aml_append(region, aml_int(length));
    return extended(OP_EXT_REGION, region);
}

Aml *aml_field(const char *region, guint access, gboolean write_as_zeros, Aml *units)
{
    Aml *head = aml_path(region);
    put(head, (access == 1 ? 1u : access == 2 ? 2u : 3u) | (write_as_zeros ? 2u << 5 : 0), 1);
    return operation(OP_EXTENDED, block(OP_EXT_FIELD, head, units), NULL);
}

/* A unit's size is written as a package length, which here does not count itself. */
static void put_unit_length(Aml *units, guint bits)
{
    if (bits < 0x40) {
        put(units, bits, 1);
    } else {
        put(units, 1u << 6 | (bits & 0x0f), 1);
        put(units, bits >> 4, 1);
    }
}

void aml_field_skip(Aml *units, guint bits)
{
    put(units, 0, 1);
    put_unit_length(units, bits);
}

void aml_field_unit(Aml *units, const char *name, guint bits)
{
    put_path(units, name);
    put_unit_length(units, bits);
}

/* ---- resource descriptors (chapter 6.4) ---- */

Aml *aml_resources(Aml *descriptors)
{
    put(descriptors, 0x79, 1); /* end tag; checksum zero: not checked */
    put(descriptors, 0, 1);
    Aml *aml = aml_buffer(descriptors->data, descriptors->len);
    g_byte_array_unref(descriptors);
    return aml;
}

void aml_resource_io(Aml *resources, guint16 base, guint8 length)
{
    put(resources, 0x47, 1);
    put(resources, 1, 1); /* decodes 16 bits */
    put(resources, base, 2);
    put(resources, base, 2);
    put(resources, 1, 1);
    put(resources, length, 1);
}

void aml_resource_irq(Aml *resources, guint irq)
{
    put(resources, 0x22, 1);
    put(resources, 1u << irq, 2);
}

/* Word and DWord address space descriptors: minimum and maximum fixed, positive decode, produced for
 * children. */
static void put_window(Aml *resources, guint tag, guint width, guint type, guint type_flags, guint64 first,
                       guint64 last)
{
    put(resources, tag, 1);
    put(resources, 3 + 5 * width, 2);
    put(resources, type, 1);
    put(resources, 0x0c, 1);
    put(resources, type_flags, 1);
    put(resources, 0, width);
    put(resources, first, width);
    put(resources, last, width);
    put(resources, 0, width);
    put(resources, last - first + 1, width);
}

void aml_resource_bus_range(Aml *resources, guint8 first, guint8 last)
{
    put_window(resources, 0x88, 2, 2, 0, first, last);
}

void aml_resource_port_window(Aml *resources, guint16 first, guint16 last)
{
    put_window(resources, 0x88, 2, 1, 3, first, last); /* entire range */
}

void aml_resource_memory_window(Aml *resources, guint32 first, guint32 last)
{
    put_window(resources, 0x87, 4, 0, 1, first, last); /* not cacheable, read-write */
}

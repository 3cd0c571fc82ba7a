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
    OP_MULTI_NAME = 0x2f,
    OP_EXTENDED = 0x5b,
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

static Aml *enclose(const char *path, Aml *body)
{
    Aml *inside = aml_new();
    put_path(inside, path);
    aml_append(inside, body);
    Aml *aml = aml_new();
    put_package_length(aml, inside->len);
    aml_append(aml, inside);
    return aml;
}

Aml *aml_scope(const char *path, Aml *body)
{
    Aml *aml = aml_new();
    put(aml, OP_SCOPE, 1);
    aml_append(aml, enclose(path, body));
    return aml;
}

Aml *aml_device(const char *name, Aml *body)
{
    Aml *aml = aml_new();
    put(aml, OP_EXTENDED, 1);
    put(aml, OP_EXT_DEVICE, 1);
    aml_append(aml, enclose(name, body));
    return aml;
}

Aml *aml_package(Aml **elements, guint count)
{
    g_return_val_if_fail(count <= 255, NULL);
    Aml *inside = aml_new();
    put(inside, count, 1);
    for (guint i = 0; i < count; i++) {
        aml_append(inside, elements[i]);
    }
    Aml *aml = aml_new();
    put(aml, OP_PACKAGE, 1);
    put_package_length(aml, inside->len);
    aml_append(aml, inside);
    return aml;
}

/* ---- resource descriptors (chapter 6.4) ---- */

Aml *aml_resources(Aml *descriptors)
{
    put(descriptors, 0x79, 1); /* end tag; checksum zero: not checked */
    put(descriptors, 0, 1);
    Aml *inside = aml_int(descriptors->len);
    aml_append(inside, descriptors);
    Aml *aml = aml_new();
    put(aml, OP_BUFFER, 1);
    put_package_length(aml, inside->len);
    aml_append(aml, inside);
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

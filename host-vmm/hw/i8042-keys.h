// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * i8042-keys: what an MF2 keyboard has: QEMU's name of each key and its codes.
 */
#pragma once

#include <glib.h>

typedef struct I8042Key {
    const char *name;
    guint8 set1, set2; /* scan codes; a release is 0x80 added, or 0xf0 before it */
    gboolean extended; /* after 0xe0 */
} I8042Key;

extern const I8042Key I8042_KEYS[];
extern const guint I8042_KEY_COUNT;

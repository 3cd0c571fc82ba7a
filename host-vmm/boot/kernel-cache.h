// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * kernel-cache: a folder of unpacked kernels, so that each is unpacked once and not at every start.
 *
 * An entry is found by what the kernel's file is (device, inode, size, times of its last changes). What is in
 * the folder is as trusted as the kernels: it must be ours, or root's, and nobody else may be able to write
 * to it.
 */
#pragma once

#include <gio/gio.h>

/* A descriptor to read the entry of the kernel that is open as `kernel` from, *size its bytes; -1: there is
 * none that can be trusted. */
int kernel_cache_open(const char *folder, int kernel, guint64 *size);

/* Makes the entry, and the folder if need be (for us alone); the entries that were used least lately go, so
 * that KERNEL_CACHE_MOST are left. Fails if it cannot be written, which is no more than a pity. */
gboolean kernel_cache_store(const char *folder, int kernel, const guint8 *bytes, gsize size, GError **error);
#define KERNEL_CACHE_MOST 4

// SPDX-License-Identifier: GPL-2.0-or-later
/* memory-blocks: the blocks in which the guest's memory comes and goes, as sysfs shows them. `root` is put
 * before each file name looked at ("" for the real ones). */
#pragma once

#include "lib/jsonstream.h"

#include <gio/gio.h>

/* The answer of guest-get-memory-blocks, by index: [{"phys-index", "online", "can-offline"}]; none at all if
 * the kernel has no such folder. */
JsonNode *memory_blocks_list(const char *root, GError **error);

/* Sets one block and gives its row of the answer of guest-set-memory-blocks: {"phys-index", "response",
 * "error-code"?}. */
JsonObject *memory_block_set(const char *root, gint64 index, gboolean online);

/* Bytes of a block; -1 and error if they are not known. */
gint64 memory_block_size(const char *root, GError **error);

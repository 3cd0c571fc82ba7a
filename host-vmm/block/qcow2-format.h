// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * qcow2-format: what a qcow2 image looks like on disk (QEMU's docs/interop/qcow2.txt). All numbers are
 * big-endian.
 *
 * Where the format leaves a size open, the limit is the one that QEMU has for its own images.
 */
#pragma once

#include <glib.h>

#define QCOW2_MAGIC 0x514649fbu /* "QFI\xfb" */

/* Offsets in the header. */
#define QCOW2_HEADER_VERSION           4
#define QCOW2_HEADER_BACKING_OFFSET    8
#define QCOW2_HEADER_BACKING_LENGTH    16
#define QCOW2_HEADER_CLUSTER_BITS      20
#define QCOW2_HEADER_SIZE              24
#define QCOW2_HEADER_CRYPT             32
#define QCOW2_HEADER_L1_SIZE           36
#define QCOW2_HEADER_L1_OFFSET         40
#define QCOW2_HEADER_REFTABLE_OFFSET   48
#define QCOW2_HEADER_REFTABLE_CLUSTERS 56
#define QCOW2_HEADER_SNAPSHOT_COUNT    60
#define QCOW2_HEADER_SNAPSHOTS_OFFSET  64
#define QCOW2_HEADER_LENGTH_V2         72 /* of a version 2 header; version 3 goes on with: */
#define QCOW2_HEADER_INCOMPATIBLE      72
#define QCOW2_HEADER_AUTOCLEAR         88
#define QCOW2_HEADER_REFCOUNT_ORDER    96
#define QCOW2_HEADER_LENGTH            100
#define QCOW2_HEADER_LENGTH_V3         104 /* at least */
#define QCOW2_HEADER_COMPRESSION       104

/* Bits of incompatible_features. */
#define QCOW2_DIRTY            (1ull << 0)
#define QCOW2_CORRUPT          (1ull << 1)
#define QCOW2_DATA_FILE        (1ull << 2)
#define QCOW2_COMPRESSION_TYPE (1ull << 3)
#define QCOW2_EXTENDED_L2      (1ull << 4)

#define QCOW2_COMPRESSION_ZLIB 0
#define QCOW2_COMPRESSION_ZSTD 1

/* Header extensions. */
#define QCOW2_EXTENSION_END            0u
#define QCOW2_EXTENSION_BACKING_FORMAT 0xe2792acau
#define QCOW2_EXTENSION_FEATURES       0x6803f857u
#define QCOW2_EXTENSION_BITMAPS        0x23852875u
#define QCOW2_FEATURE_ROW              48 /* kind, bit, 46 bytes of name */
#define QCOW2_FEATURE_NAME             46

/* Entries of L1 and L2 tables. */
#define QCOW2_OFFSET_MASK 0x00fffffffffffe00ull
#define QCOW2_COPIED      (1ull << 63) /* what it refers to has a refcount of one: may be written to */
#define QCOW2_COMPRESSED  (1ull << 62)
#define QCOW2_ZERO        (1ull << 0) /* version 3: reads as zeroes, whether it has an offset or not */

/* Entries of the refcount table. */
#define QCOW2_REFTABLE_MASK 0xfffffffffffffe00ull

#define QCOW2_MIN_CLUSTER_BITS      9
#define QCOW2_MAX_CLUSTER_BITS      21
#define QCOW2_MAX_REFCOUNT_ORDER    6
#define QCOW2_MAX_L1_BYTES          (32u << 20)
#define QCOW2_MAX_REFTABLE_BYTES    (8u << 20)
#define QCOW2_MAX_SNAPSHOTS         65536u
#define QCOW2_MAX_SNAPSHOT_TABLE    (64u << 20)
#define QCOW2_MAX_BACKING_NAME      1023u
#define QCOW2_SNAPSHOT_FIXED        40 /* bytes of a snapshot's row before its variable part */
#define QCOW2_SNAPSHOT_L1_OFFSET    0
#define QCOW2_SNAPSHOT_L1_SIZE      8
#define QCOW2_SNAPSHOT_ID_LENGTH    12
#define QCOW2_SNAPSHOT_NAME_LENGTH  14
#define QCOW2_SNAPSHOT_EXTRA_LENGTH 36

static inline guint16 qcow2_get16(const guint8 *from)
{
    guint16 value;
    __builtin_memcpy(&value, from, sizeof value);
    return GUINT16_FROM_BE(value);
}

static inline guint32 qcow2_get32(const guint8 *from)
{
    guint32 value;
    __builtin_memcpy(&value, from, sizeof value);
    return GUINT32_FROM_BE(value);
}

static inline guint64 qcow2_get64(const guint8 *from)
{
    guint64 value;
    __builtin_memcpy(&value, from, sizeof value);
    return GUINT64_FROM_BE(value);
}

static inline void qcow2_put32(guint8 *to, guint32 value)
{
    value = GUINT32_TO_BE(value);
    __builtin_memcpy(to, &value, sizeof value);
}

static inline void qcow2_put64(guint8 *to, guint64 value)
{
    value = GUINT64_TO_BE(value);
    __builtin_memcpy(to, &value, sizeof value);
}

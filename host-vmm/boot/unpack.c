// SPDX-License-Identifier: GPL-2.0-or-later
#include "config.h"

#include "host-vmm/boot/unpack.h"

#include <string.h>

#ifdef HAVE_LIBLZ4
#include <lz4.h>
#endif
#ifdef HAVE_LIBLZMA
#include <lzma.h>
#endif
#ifdef HAVE_LIBZSTD
#include <zstd.h>
#endif

static gboolean fail(GError **error, const char *why)
{
    g_set_error_literal(error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA, why);
    return FALSE;
}

#ifdef HAVE_LIBLZ4
#define LZ4_LEGACY_BLOCK                                                                                     \
    (8u << 20) /* bytes that a block has unpacked, but the last (lz4_Frame_format.md)                        \
                */

#define LZ4_MOST_WORKERS 4

typedef struct Lz4Block {
    const guint8 *bytes;
    guint32 length;
} Lz4Block;

/* Blocks do not know of each other, and each but the last has the same size unpacked: several are unpacked at
 * once. */
typedef struct Lz4Work {
    GArray *blocks;
    guint8 *to;
    gsize room;
    gint next;       /* atomic: the first block that nobody has taken */
    gint failed;     /* atomic */
    gsize last_size; /* of the last block, unpacked; written by who takes it */
} Lz4Work;

static gpointer lz4_worker(gpointer data)
{
    Lz4Work *work = data;
    for (;;) {
        guint index = (guint)g_atomic_int_add(&work->next, 1);
        if (index >= work->blocks->len) {
            return NULL;
        }
        const Lz4Block *block = &g_array_index(work->blocks, Lz4Block, index);
        gsize at = (gsize)index * LZ4_LEGACY_BLOCK;
        int count = at > work->room ? -1
                                    : LZ4_decompress_safe((const char *)block->bytes, (char *)work->to + at,
                                                          (int)block->length,
                                                          (int)MIN(work->room - at, LZ4_LEGACY_BLOCK));
        gboolean is_last = index + 1 == work->blocks->len;
        if (count < 0 || (!is_last && count != LZ4_LEGACY_BLOCK)) {
            g_atomic_int_set(&work->failed, TRUE);
        } else if (is_last) {
            work->last_size = (gsize)count;
        }
    }
}

/* A frame of blocks one after the other, each with its length before it. */
static gboolean unpack_lz4(const guint8 *from, gsize size, guint8 *to, gsize room, gsize *unpacked,
                           GError **error)
{
    g_autoptr(GArray) blocks = g_array_new(FALSE, FALSE, sizeof(Lz4Block));
    for (gsize at = sizeof(guint32); at < size;) { /* after the magic number */
        guint32 length;
        if (size - at < sizeof(length)) {
            return fail(error, "its LZ4 stream is cut short");
        }
        memcpy(&length, from + at, sizeof(length));
        at += sizeof(length);
        length = GUINT32_FROM_LE(length);
        if (length == 0 || length > size - at || length > LZ4_COMPRESSBOUND(LZ4_LEGACY_BLOCK)) {
            return fail(error, "its LZ4 stream has a block of a wrong length");
        }
        Lz4Block block = {from + at, length};
        g_array_append_val(blocks, block);
        at += length;
    }
    if (blocks->len == 0) {
        return fail(error, "its LZ4 stream is cut short");
    }
    Lz4Work work = {.blocks = blocks, .to = to, .room = room};
    GThread *workers[LZ4_MOST_WORKERS - 1];
    guint count = 0, wanted = MIN(MIN(g_get_num_processors(), LZ4_MOST_WORKERS), blocks->len) - 1;
    while (count < wanted && (workers[count] = g_thread_try_new("unpack", lz4_worker, &work, NULL))) {
        count++;
    }
    lz4_worker(&work);
    while (count > 0) {
        g_thread_join(workers[--count]);
    }
    if (work.failed) {
        return fail(error, "its LZ4 stream is damaged or longer than it says");
    }
    *unpacked = (gsize)(blocks->len - 1) * LZ4_LEGACY_BLOCK + work.last_size;
    return TRUE;
}
#endif

#ifdef HAVE_LIBZSTD
static gboolean unpack_zstd(const guint8 *from, gsize size, guint8 *to, gsize room, gsize *unpacked,
                            GError **error)
{
    size_t result = ZSTD_decompress(to, room, from, size);
    if (ZSTD_isError(result)) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA, "its zstd stream: %s",
                    ZSTD_getErrorName(result));
        return FALSE;
    }
    *unpacked = result;
    return TRUE;
}
#endif

#ifdef HAVE_LIBLZMA
#define XZ_MEMORY_LIMIT (256ull << 20) /* a kernel's dictionary has at most 128 MiB */

static gboolean unpack_xz(const guint8 *from, gsize size, guint8 *to, gsize room, gsize *unpacked,
                          GError **error)
{
    uint64_t limit = XZ_MEMORY_LIMIT;
    size_t in = 0, out = 0;
    if (lzma_stream_buffer_decode(&limit, 0, NULL, from, &in, size, to, &out, room) != LZMA_OK) {
        return fail(error, "its xz stream is damaged or longer than it says");
    }
    *unpacked = out;
    return TRUE;
}
#endif

static gboolean unpack_gzip(const guint8 *from, gsize size, guint8 *to, gsize room, gsize *unpacked,
                            GError **error)
{
    g_autoptr(GZlibDecompressor) stream = g_zlib_decompressor_new(G_ZLIB_COMPRESSOR_FORMAT_GZIP);
    gsize in = 0, out = 0;
    for (GConverterResult result = G_CONVERTER_CONVERTED; result != G_CONVERTER_FINISHED;) {
        gsize taken = 0, made = 0;
        /* The stream's end may come where there is no more room, and zlib wants a byte all the same. */
        guint8 excess;
        gboolean is_full = out == room;
        result =
            g_converter_convert(G_CONVERTER(stream), from + in, size - in, is_full ? &excess : to + out,
                                is_full ? 1 : room - out, G_CONVERTER_INPUT_AT_END, &taken, &made, error);
        if (result == G_CONVERTER_ERROR) {
            g_prefix_error(error, "its gzip stream: ");
            return FALSE;
        }
        if (is_full && made > 0) {
            return fail(error, "its gzip stream is longer than it says");
        }
        in += taken;
        out += made;
    }
    *unpacked = out;
    return TRUE;
}

static const struct {
    const char *magic;
    gsize length;
    UnpackKind kind;
} KINDS[] = {
#ifdef HAVE_LIBLZ4
    {"\x02\x21\x4c\x18", 4, {"LZ4", TRUE, unpack_lz4}},
#endif
#ifdef HAVE_LIBZSTD
    {"\x28\xb5\x2f\xfd", 4, {"zstd", TRUE, unpack_zstd}},
#endif
#ifdef HAVE_LIBLZMA
    {"\xfd"
     "7zXZ",
     6,
     {"xz", TRUE, unpack_xz}},
#endif
    {"\x1f\x8b", 2, {"gzip", FALSE, unpack_gzip}},
};

const UnpackKind *unpack_kind(const guint8 magic[UNPACK_MAGIC_SIZE])
{
    for (guint i = 0; i < G_N_ELEMENTS(KINDS); i++) {
        if (!memcmp(magic, KINDS[i].magic, KINDS[i].length)) {
            return &KINDS[i].kind;
        }
    }
    return NULL;
}

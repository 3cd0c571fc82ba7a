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
#define LZ4_LEGACY_MAGIC 0x184c2102u
#define LZ4_LEGACY_BLOCK                                                                                     \
    (8u << 20) /* bytes that a block has unpacked, but the last (lz4_Frame_format.md)                        \
                */

/* Blocks one after the other, each with its length before it; frames may follow each other. */
static gboolean unpack_lz4(const guint8 *from, gsize size, guint8 *to, gsize room, gsize *unpacked,
                           GError **error)
{
    gsize out = 0;
    for (gsize at = 0; at < size;) {
        guint32 length;
        if (size - at < sizeof(length)) {
            return fail(error, "its LZ4 stream is cut short");
        }
        memcpy(&length, from + at, sizeof(length));
        at += sizeof(length);
        if (GUINT32_FROM_LE(length) == LZ4_LEGACY_MAGIC) {
            continue;
        }
        length = GUINT32_FROM_LE(length);
        if (length == 0 || length > size - at || length > LZ4_COMPRESSBOUND(LZ4_LEGACY_BLOCK)) {
            return fail(error, "its LZ4 stream has a block of a wrong length");
        }
        int count = LZ4_decompress_safe((const char *)from + at, (char *)to + out, (int)length,
                                        (int)MIN(room - out, LZ4_LEGACY_BLOCK));
        if (count < 0) {
            return fail(error, "its LZ4 stream is damaged or longer than it says");
        }
        out += (gsize)count;
        at += length;
    }
    *unpacked = out;
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

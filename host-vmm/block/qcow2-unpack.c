// SPDX-License-Identifier: GPL-2.0-or-later
#include "config.h"

#include "host-vmm/block/qcow2-unpack.h"

#include <errno.h>
#include <string.h>
#ifdef HAVE_LIBZSTD
#include <zstd.h>
#endif

#include "host-vmm/block/qcow2-format.h"

#define KEPT_BYTES (1u << 20)
#define MAX_WINDOW 23 /* log2 of the memory that a zstd stream may ask for: a cluster is 2 MiB at most */

gboolean qcow2_can_unpack(guint type)
{
#ifdef HAVE_LIBZSTD
    if (type == QCOW2_COMPRESSION_ZSTD)
        return TRUE;
#endif
    return type == QCOW2_COMPRESSION_ZLIB;
}

void qcow2_unpacker_init(Qcow2Unpacker *unpacker, guint type, gsize cluster_size)
{
    unpacker->type = type;
    unpacker->cluster_size = cluster_size;
    unpacker->kept_most = (guint)CLAMP(KEPT_BYTES / cluster_size, 1, G_N_ELEMENTS(unpacker->kept));
    g_mutex_init(&unpacker->lock);
}

void qcow2_unpacker_clear(Qcow2Unpacker *unpacker)
{
    qcow2_unpacker_forget(unpacker);
    g_mutex_clear(&unpacker->lock);
}

gboolean qcow2_unpacker_find(Qcow2Unpacker *unpacker, guint64 entry, gsize from, gsize length, guint8 *to)
{
    gboolean found = FALSE;
    g_mutex_lock(&unpacker->lock);
    for (guint i = 0; i < unpacker->kept_most && !found; i++) {
        Qcow2Unpacked *kept = &unpacker->kept[i];
        found = kept->entry == entry;
        if (found) {
            kept->used = ++unpacker->clock;
            memcpy(to, kept->data + from, length);
        }
    }
    g_mutex_unlock(&unpacker->lock);
    return found;
}

void qcow2_unpacker_keep(Qcow2Unpacker *unpacker, guint64 entry, guint8 *cluster)
{
    g_mutex_lock(&unpacker->lock);
    Qcow2Unpacked *oldest = &unpacker->kept[0];
    for (guint i = 0; i < unpacker->kept_most; i++) {
        Qcow2Unpacked *kept = &unpacker->kept[i];
        if (kept->entry == entry) {
            oldest = kept; /* another thread was faster */
            break;
        }
        if (kept->used < oldest->used)
            oldest = kept;
    }
    g_free(oldest->data);
    *oldest = (Qcow2Unpacked){.entry = entry, .data = cluster, .used = ++unpacker->clock};
    g_mutex_unlock(&unpacker->lock);
}

void qcow2_unpacker_forget(Qcow2Unpacker *unpacker)
{
    g_mutex_lock(&unpacker->lock);
    for (guint i = 0; i < unpacker->kept_most; i++) {
        g_free(unpacker->kept[i].data);
        unpacker->kept[i] = (Qcow2Unpacked){.entry = 0};
    }
    g_mutex_unlock(&unpacker->lock);
}

/* A raw deflate stream (RFC 1951). */
static int unpack_zlib(const guint8 *packed, gsize length, guint8 *cluster, gsize size)
{
    g_autoptr(GZlibDecompressor) stream = g_zlib_decompressor_new(G_ZLIB_COMPRESSOR_FORMAT_RAW);
    gsize read = 0, written = 0;
    while (written < size) {
        gsize took, gave;
        GConverterResult result =
            g_converter_convert(G_CONVERTER(stream), packed + read, length - read, cluster + written,
                                size - written, G_CONVERTER_INPUT_AT_END, &took, &gave, NULL);
        if (result == G_CONVERTER_ERROR || (took == 0 && gave == 0))
            return -EIO;
        read += took;
        written += gave;
        if (result == G_CONVERTER_FINISHED)
            break;
    }
    return written == size ? 0 : -EIO;
}

#ifdef HAVE_LIBZSTD
static int unpack_zstd(const guint8 *packed, gsize length, guint8 *cluster, gsize size)
{
    ZSTD_DCtx *stream = ZSTD_createDCtx();
    ZSTD_inBuffer in = {packed, length, 0};
    ZSTD_outBuffer out = {cluster, size, 0};
    gboolean good =
        stream != NULL && !ZSTD_isError(ZSTD_DCtx_setParameter(stream, ZSTD_d_windowLogMax, MAX_WINDOW));
    while (good && out.pos < out.size) {
        gsize before = in.pos + out.pos;
        good = !ZSTD_isError(ZSTD_decompressStream(stream, &out, &in)) && in.pos + out.pos > before;
    }
    ZSTD_freeDCtx(stream);
    return good ? 0 : -EIO;
}
#endif

int qcow2_unpack(Qcow2Unpacker *unpacker, const guint8 *packed, gsize length, guint8 *cluster)
{
#ifdef HAVE_LIBZSTD
    if (unpacker->type == QCOW2_COMPRESSION_ZSTD)
        return unpack_zstd(packed, length, cluster, unpacker->cluster_size);
#endif
    return unpack_zlib(packed, length, cluster, unpacker->cluster_size);
}

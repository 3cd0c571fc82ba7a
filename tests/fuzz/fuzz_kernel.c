// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Fuzzes what unpacks kernels: a byte, a setup_header, and what the bzImage carries; if the byte is odd that
 * is what is to be compressed, else it is there as it is.
 */
#include <asm/bootparam.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "host-vmm/boot/loader-private.h"

int LLVMFuzzerTestOneInput(const guint8 *data, gsize size);

#define MEMORY     (32u << 20)
#define SETUP_SIZE 1024u /* setup_sects is 1 */
#define LONGEST    (64u << 10)

static GByteArray *compress(const guint8 *data, gsize size)
{
    g_autoptr(GZlibCompressor) stream = g_zlib_compressor_new(G_ZLIB_COMPRESSOR_FORMAT_GZIP, 0);
    GByteArray *out = g_byte_array_new();
    gsize taken, made = 0;
    g_byte_array_set_size(out, (guint)size + 1024);
    g_converter_convert(G_CONVERTER(stream), data, size, out->data, out->len, G_CONVERTER_INPUT_AT_END,
                        &taken, &made, NULL);
    g_byte_array_set_size(out, (guint)made);
    return out;
}

static void boot(const guint8 *image, gsize size)
{
    int fd = memfd_create("kernel", MFD_CLOEXEC);
    if (fd < 0 || write(fd, image, size) != (gssize)size) {
        g_error("no file");
    }
    g_autofree char *path = g_strdup_printf("/proc/self/fd/%d", fd);
    g_autoptr(GuestMemory) memory = guest_memory_new(MEMORY, NULL);
    Loader *loader = loader_new(path, NULL, "quiet", NULL);
    VcpuEntry entry;
    if (loader && loader_load(loader, memory, &entry, NULL) && entry.cr3 && entry.eip >= MEMORY) {
        g_error("the kernel is entered outside of memory");
    }
    loader_free(loader);
    close(fd);
}

int LLVMFuzzerTestOneInput(const guint8 *data, gsize size)
{
    struct setup_header header;
    if (size < 1 + sizeof(header) || size > LONGEST) {
        return 0;
    }
    const guint8 *payload = data + 1 + sizeof(header);
    gsize payload_size = size - 1 - sizeof(header);
    memcpy(&header, data + 1, sizeof(header));
    header.setup_sects = 1;
    header.boot_flag = 0xaa55;
    header.header = 0x53726448;
    header.loadflags |= LOADED_HIGH;
    g_autoptr(GByteArray) image = g_byte_array_new();
    g_byte_array_set_size(image, SETUP_SIZE);
    memset(image->data, 0, image->len);
    g_autoptr(GByteArray) packed = NULL;
    if (data[0] & 1) {
        packed = compress(payload, payload_size);
        payload = packed->data;
        payload_size = packed->len;
        header.payload_offset = 0;
        header.payload_length = (guint32)payload_size;
    }
    memcpy(image->data + 0x1f1, &header, sizeof(header));
    g_byte_array_append(image, payload, (guint)payload_size);
    boot(image->data, image->len);
    return 0;
}

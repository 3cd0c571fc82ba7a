// SPDX-License-Identifier: GPL-2.0-or-later
#include "host-vmm/boot/loader-private.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "host-vmm/boot/acpi.h"
#include "host-vmm/boot/kernel-cache.h"
#include "host-vmm/kvm/vcpu-state.h"

static gboolean open_file(BootFile *file, const char *what, const char *path, GError **error)
{
    file->path = g_strdup(path);
    file->fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    struct stat status;
    if (file->fd < 0 || fstat(file->fd, &status) < 0) {
        g_set_error(error, G_IO_ERROR, g_io_error_from_errno(errno), "cannot open %s %s: %s", what, path,
                    g_strerror(errno));
        return FALSE;
    }
    if (!S_ISREG(status.st_mode) || status.st_size == 0) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA, "%s %s is %s", what, path,
                    S_ISREG(status.st_mode) ? "empty" : "not a regular file");
        return FALSE;
    }
    file->size = (guint64)status.st_size;
    return TRUE;
}

static void close_file(BootFile *file)
{
    g_free(file->path);
    if (file->fd >= 0) {
        close(file->fd);
    }
}

gboolean boot_file_read(const BootFile *file, guint64 offset, void *to, gsize length, GError **error)
{
    for (gsize done = 0; done < length;) {
        ssize_t count = pread(file->fd, (guint8 *)to + done, length - done, (off_t)(offset + done));
        if (count < 0 && errno == EINTR) {
            continue;
        }
        if (count <= 0) {
            g_set_error(error, G_IO_ERROR, G_IO_ERROR_FAILED, "cannot read %s: %s", file->path,
                        count < 0 ? g_strerror(errno) : "it is shorter than it says");
            return FALSE;
        }
        done += (gsize)count;
    }
    return TRUE;
}

gboolean boot_file_load(const BootFile *file, guint64 offset, const GuestMemory *memory, guint64 address,
                        guint64 length, GError **error)
{
    if (length == 0) {
        return TRUE;
    }
    void *to = guest_memory_range(memory, address, length);
    if (!to) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_NO_SPACE,
                    "%s does not fit into %" G_GUINT64_FORMAT " MiB of guest memory", file->path,
                    guest_memory_size(memory) >> 20);
        return FALSE;
    }
    return boot_file_read(file, offset, to, length, error);
}

gboolean boot_place_initrd(const Loader *loader, const GuestMemory *memory, guint64 floor, guint64 limit,
                           guint64 *address, GError **error)
{
    *address = 0;
    if (!loader->initrd.path) {
        return TRUE;
    }
    guint count;
    guint64 top = MIN(guest_memory_regions(memory, &count)[0].size, limit);
    guint64 size = loader->initrd.size;
    if (top < size || ((top - size) & ~0xfffull) < floor) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_NO_SPACE,
                    "%s does not fit beside the kernel into %" G_GUINT64_FORMAT " MiB of guest memory",
                    loader->initrd.path, guest_memory_size(memory) >> 20);
        return FALSE;
    }
    *address = (top - size) & ~0xfffull;
    return TRUE;
}

gboolean boot_load_initrd(const Loader *loader, const GuestMemory *memory, guint64 address, GError **error)
{
    return !loader->initrd.path ||
           boot_file_load(&loader->initrd, 0, memory, address, loader->initrd.size, error);
}

gboolean boot_load_cmdline(const Loader *loader, const GuestMemory *memory, gsize max, GError **error)
{
    gsize length = strlen(loader->append);
    gsize limit = max ? MIN(max, BOOT_CMDLINE_MAX - 1) : BOOT_CMDLINE_MAX - 1;
    if (length > limit) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT,
                    "the kernel command line has %" G_GSIZE_FORMAT
                    " bytes, this kernel takes %" G_GSIZE_FORMAT,
                    length, limit);
        return FALSE;
    }
    return guest_memory_write(memory, BOOT_CMDLINE_ADDRESS, loader->append, length + 1);
}

guint boot_memory_map(const GuestMemory *memory, BootMapEntry map[BOOT_MAP_MAX])
{
    guint regions;
    const GuestMemoryRegion *region = guest_memory_regions(memory, &regions);
    guint count = 0;
    map[count++] = (BootMapEntry){0, BOOT_LOW_RAM_END, 1};
    map[count++] = (BootMapEntry){BOOT_LOW_RAM_END, 0xa0000 - BOOT_LOW_RAM_END, 2};
    map[count++] = (BootMapEntry){ACPI_TABLES_ADDRESS, ACPI_TABLES_SIZE, 2};
    map[count++] = (BootMapEntry){BOOT_HIGH_RAM, region[0].size - BOOT_HIGH_RAM, 1};
    for (guint i = 1; i < regions; i++) {
        map[count++] = (BootMapEntry){region[i].base, region[i].size, 1};
    }
    return count;
}

Loader *loader_new(const char *kernel, const char *initrd, const char *append, GError **error)
{
    Loader *loader = g_new0(Loader, 1);
    loader->kernel.fd = loader->initrd.fd = loader->unpacked.fd = -1;
    loader->append = g_strdup(append ? append : "");
    loader->unpack = TRUE;
    guint8 magic[SELFMAG] = {0};
    if (!open_file(&loader->kernel, "kernel", kernel, error) ||
        !boot_file_read(&loader->kernel, 0, magic, MIN(loader->kernel.size, sizeof(magic)), error)) {
        goto fail;
    }
    loader->is_elf = !memcmp(magic, ELFMAG, SELFMAG);
    if (!(loader->is_elf ? elf_pvh_check : bzimage_check)(&loader->kernel, error)) {
        goto fail;
    }
    if (initrd && !open_file(&loader->initrd, "initrd", initrd, error)) {
        goto fail;
    }
    return loader;
fail:
    loader_free(loader);
    return NULL;
}

void loader_free(Loader *loader)
{
    if (!loader) {
        return;
    }
    if (loader->job) {
        VmlinuxPlace place;
        vmlinux_finish(loader->job, &place, NULL);
    }
    close_file(&loader->kernel);
    close_file(&loader->initrd);
    close_file(&loader->unpacked);
    g_free(loader->cache);
    g_free(loader->append);
    g_free(loader);
}

void loader_set_unpack(Loader *loader, gboolean unpack)
{
    loader->unpack = unpack;
}

void loader_set_cache(Loader *loader, const char *folder)
{
    g_return_if_fail(loader->cache == NULL);
    loader->cache = g_strdup(folder);
    loader->unpacked.fd = kernel_cache_open(folder, loader->kernel.fd, &loader->unpacked.size);
    if (loader->unpacked.fd >= 0) {
        loader->unpacked.path = g_strdup_printf("the entry of %s in %s", loader->kernel.path, folder);
    }
}

void loader_begin(Loader *loader, const GuestMemory *memory)
{
    g_return_if_fail(loader->job == NULL);
    if (!loader->is_elf) {
        loader->job = bzimage_begin(loader, memory);
    }
}

gboolean loader_load(Loader *loader, const GuestMemory *memory, VcpuEntry *entry, GError **error)
{
    guint count;
    if (guest_memory_regions(memory, &count)[0].size < 2 * BOOT_HIGH_RAM) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_NO_SPACE, "a kernel needs more than 2 MiB of guest memory");
        return FALSE;
    }
    if (!guest_memory_write(memory, BOOT_GDT_ADDRESS, BOOT_GDT, sizeof(BOOT_GDT))) {
        return FALSE;
    }
    return loader->is_elf ? elf_pvh_load(loader, memory, entry, error)
                          : bzimage_load(loader, g_steal_pointer(&loader->job), memory, entry, error);
}

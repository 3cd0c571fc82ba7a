// SPDX-License-Identifier: GPL-2.0-or-later
#include "host-vmm/trim.h"

#include <link.h>
#include <malloc.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

/* Segments that cannot be written to are as they are in their files: nothing is lost. (What the loader has
 * relocated and then protected is part of a writable segment.) */
static int drop_read_only(struct dl_phdr_info *info, size_t size, void *data)
{
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    for (unsigned i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *segment = &info->dlpi_phdr[i];
        if (segment->p_type == PT_LOAD && !(segment->p_flags & PF_W)) {
            uintptr_t start = (info->dlpi_addr + segment->p_vaddr) & ~(page - 1);
            uintptr_t end = info->dlpi_addr + segment->p_vaddr + segment->p_memsz;
            (void)madvise((void *)start, end - start, MADV_DONTNEED);
        }
    }
    return 0;
}

void trim_after_start(void)
{
    malloc_trim(0);
    dl_iterate_phdr(drop_read_only, NULL);
}

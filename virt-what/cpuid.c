// SPDX-License-Identifier: GPL-2.0-or-later
#include "virt-what/cpuid.h"

#include <stdlib.h>
#include <string.h>
#if defined(__x86_64__) || defined(__i386__)
#include <cpuid.h>
#define HAVE_CPUID 1
#else
#define HAVE_CPUID 0
#endif

#include "virt-what/root-file.h"

#define CAPTURE_LIMIT (256 * 1024) // bytes

// The signatures that virt-what knows; each is twelve bytes, filled up with NULs.
static const char *const known_signatures[] = {
    "KVMKVMKVM",    "XenVMMXenVMM", "Microsoft Hv", "VMwareVMware",
    "TCGTCGTCGTCG", "LKVMLKVMLKVM", "bhyve bhyve ", "OpenBSDVMM58",
};

static bool parse_register(const char *line, const char *name, uint32_t *value)
{
    const char *at = strstr(line, name);
    if (!at)
        return false;
    *value = (uint32_t)strtoul(at + strlen(name), NULL, 16);
    return true;
}

static void capture_line(CpuidSource *source, const char *line)
{
    char *end;
    unsigned long leaf = strtoul(line, &end, 16);
    if (end == line || *end != ' ' || source->count == CPUID_CAPTURE_MAX)
        return;
    unsigned long subleaf = strtoul(end, NULL, 16);
    CpuidRegs regs;
    if (!parse_register(line, "eax=", &regs.eax) || !parse_register(line, "ebx=", &regs.ebx) ||
        !parse_register(line, "ecx=", &regs.ecx) || !parse_register(line, "edx=", &regs.edx))
        return;
    source->captured[source->count].leaf = (uint32_t)leaf;
    source->captured[source->count].subleaf = (uint32_t)subleaf;
    source->captured[source->count].regs = regs;
    source->count++;
}

void cpuid_open(CpuidSource *source, const char *root)
{
    RootText text;
    source->live = !root && HAVE_CPUID;
    source->count = 0;
    if (!root || root_file_read(root, "/cpuid", CAPTURE_LIMIT, &text) != ROOT_FILE_READ)
        return;
    char *rest = text.bytes;
    for (char *line = strsep(&rest, "\n"); line; line = strsep(&rest, "\n"))
        capture_line(source, line);
    free(text.bytes);
}

CpuidRegs cpuid_leaf(const CpuidSource *source, uint32_t leaf, uint32_t subleaf)
{
    CpuidRegs regs = {0};
#if HAVE_CPUID
    if (source->live) {
        // Not __get_cpuid(): that keeps to the basic leaves' maximum, and hypervisors' leaves are above it.
        __cpuid_count(leaf, subleaf, regs.eax, regs.ebx, regs.ecx, regs.edx);
        return regs;
    }
#endif
    for (size_t i = 0; i < source->count; i++)
        if (source->captured[i].leaf == leaf && source->captured[i].subleaf == subleaf)
            return source->captured[i].regs;
    return regs;
}

void cpuid_signature(const CpuidRegs *regs, char signature[13])
{
    memcpy(signature, &regs->ebx, 4);
    memcpy(signature + 4, &regs->ecx, 4);
    memcpy(signature + 8, &regs->edx, 4);
    signature[12] = '\0';
}

bool cpuid_has_hypervisor(const CpuidSource *source)
{
    return cpuid_leaf(source, 1, 0).ecx >> 31;
}

static bool is_known(const char *signature)
{
    for (size_t i = 0; i < sizeof(known_signatures) / sizeof(known_signatures[0]); i++)
        if (strcmp(signature, known_signatures[i]) == 0)
            return true;
    return false;
}

/* A processor without such a leaf answers with that of another one, or with zeros: neither is text. */
static bool is_text(const char *signature)
{
    size_t length = strlen(signature);
    if (length < 4)
        return false;
    for (size_t i = 0; i < length; i++)
        if (signature[i] < ' ' || signature[i] > '~')
            return false;
    return true;
}

size_t cpuid_places(const CpuidSource *source, CpuidPlace places[CPUID_PLACES_MAX])
{
    size_t count = 0;
    for (uint32_t leaf = CPUID_HYPERVISOR_LAST; leaf >= CPUID_HYPERVISOR_FIRST && count < CPUID_PLACES_MAX;
         leaf -= CPUID_HYPERVISOR_STEP) {
        CpuidRegs regs = cpuid_leaf(source, leaf, 0);
        CpuidPlace *place = &places[count];
        cpuid_signature(&regs, place->signature);
        bool own_range = regs.eax >= leaf && regs.eax < leaf + CPUID_HYPERVISOR_STEP;
        // Old KVMs give no maximum (zero); so a known signature counts by itself.
        if (!is_known(place->signature) && !(own_range && is_text(place->signature)))
            continue;
        place->leaf = leaf;
        place->highest = own_range ? regs.eax : leaf;
        count++;
    }
    return count;
}

int cpuid_known_place(const CpuidPlace *places, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (is_known(places[i].signature))
            return (int)i;
    return -1;
}

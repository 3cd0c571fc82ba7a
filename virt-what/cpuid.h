// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * CPUID leaves: of the processor this runs on, or of one that a file in a test root describes, so that what
 * is found on hypervisors and in confidential guests can be tried anywhere.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct {
    uint32_t eax, ebx, ecx, edx;
} CpuidRegs;

#define CPUID_CAPTURE_MAX 1024 // leaves of a captured processor

typedef struct {
    bool live; // ask the processor; otherwise the captured leaves
    size_t count;
    struct {
        uint32_t leaf, subleaf;
        CpuidRegs regs;
    } captured[CPUID_CAPTURE_MAX];
} CpuidSource;

/*
 * Without a root: the processor (nothing, where it is not an x86). With one: the file ROOT/cpuid, lines in
 * the format of "cpuid -r" ("0x00000001 0x00: eax=0x... ebx=0x... ecx=0x... edx=0x..."; other lines are
 * passed over). No file, no leaves.
 */
void cpuid_open(CpuidSource *source, const char *root);

/* The registers of a leaf, all zero for one that is not known. */
CpuidRegs cpuid_leaf(const CpuidSource *source, uint32_t leaf, uint32_t subleaf);

/* The twelve bytes of ebx, ecx, edx as text, without what follows a NUL. */
void cpuid_signature(const CpuidRegs *regs, char signature[13]);

/* Whether leaf 1 says that a hypervisor is there (ECX bit 31, which the vendors keep free for that). */
bool cpuid_has_hypervisor(const CpuidSource *source);

/*
 * Hypervisors describe themselves from leaf 0x40000000 on; one that shows a second interface moves its own up
 * in steps of 0x100 (so KVM is at 0x40000100 when it shows Hyper-V's at 0x40000000). The highest place is
 * 0x4000ff00.
 */
#define CPUID_HYPERVISOR_FIRST 0x40000000u
#define CPUID_HYPERVISOR_LAST  0x4000ff00u
#define CPUID_HYPERVISOR_STEP  0x100u
#define CPUID_PLACES_MAX       32

typedef struct {
    uint32_t leaf;
    uint32_t highest; // the last leaf of this interface; the leaf itself if it does not say
    char signature[13];
} CpuidPlace;

/* The interfaces found, the highest first; returns how many. */
size_t cpuid_places(const CpuidSource *source, CpuidPlace places[CPUID_PLACES_MAX]);

/*
 * The one signature of virt-what: of the highest interface that it knows ("KVMKVMKVM", "Microsoft Hv", ...).
 * Its table has eight; others are passed over. Gives the index in places, or -1.
 */
int cpuid_known_place(const CpuidPlace *places, size_t count);

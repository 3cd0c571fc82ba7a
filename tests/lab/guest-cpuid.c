// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * guest-cpuid: runs in a guest: what the CPUID instruction itself says there.
 *   guest-cpuid features   the names of the features, in the order of the table
 *   guest-cpuid LEAF       EAX EBX ECX EDX of it, in hexadecimal
 */
#include <cpuid.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host-vmm/kvm/cpu-features.h"

static void read_leaf(guint32 function, guint32 index, guint32 registers[4])
{
    __cpuid_count(function, index, registers[0], registers[1], registers[2], registers[3]);
}

/* Beyond the highest leaf Intel's CPUs say what the highest one says. */
static gboolean has_leaf(guint32 function)
{
    guint32 registers[4];
    read_leaf(function & 0xf0000000u, 0, registers);
    return registers[0] >= function && registers[0] < (function & 0xf0000000u) + 0x10000;
}

static void print_features(void)
{
    const char *separator = "";
    for (const CpuFeature *feature = CPU_FEATURES; feature->name; feature++) {
        const CpuWordPlace *place = &CPU_WORD_PLACES[feature->word];
        guint32 registers[4] = {0};
        if (has_leaf(place->function)) {
            read_leaf(place->function, place->index, registers);
        }
        if ((registers[place->reg] & feature->mask) == feature->mask) {
            printf("%s%.*s", separator, (int)strcspn(feature->name, "|"), feature->name);
            separator = " ";
        }
    }
    printf("\n");
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: guest-cpuid features|LEAF\n");
        return EXIT_FAILURE;
    }
    if (strcmp(argv[1], "features") == 0) {
        print_features();
        return EXIT_SUCCESS;
    }
    guint32 registers[4];
    read_leaf((guint32)strtoul(argv[1], NULL, 16), 0, registers);
    printf("%08x %08x %08x %08x\n", registers[0], registers[1], registers[2], registers[3]);
    return EXIT_SUCCESS;
}

// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * cpu-features: the CPU features that have a name, QEMU's names, and where CPUID tells each (Intel SDM 2A,
 * CPUID; AMD APM 3, appendix E; Documentation/virt/kvm/x86/cpuid.rst).
 */
#pragma once

#include <glib.h>

/* The registers that features are told in. */
typedef enum {
    CPU_WORD_1_EDX,
    CPU_WORD_1_ECX,
    CPU_WORD_6_EAX,
    CPU_WORD_7_0_EBX,
    CPU_WORD_7_0_ECX,
    CPU_WORD_7_0_EDX,
    CPU_WORD_7_1_EAX,
    CPU_WORD_D_1_EAX,
    CPU_WORD_8000_0001_EDX,
    CPU_WORD_8000_0001_ECX,
    CPU_WORD_8000_0007_EDX,
    CPU_WORD_8000_0008_EBX,
    CPU_WORD_8000_000A_EDX, /* what SVM offers */
    CPU_WORD_KVM,           /* 0x40000001 EAX: what KVM offers its guests beyond a CPU */
    CPU_WORDS
} CpuWord;

typedef enum { CPU_EAX, CPU_EBX, CPU_ECX, CPU_EDX } CpuRegister;

typedef struct CpuWordPlace {
    guint32 function, index;
    CpuRegister reg;
} CpuWordPlace;
extern const CpuWordPlace CPU_WORD_PLACES[CPU_WORDS];

typedef struct CpuFeature {
    const char *name; /* where it has several: "pni|sse3", the first being told */
    CpuWord word;
    guint32 mask; /* one bit, except for kvmclock */
} CpuFeature;
extern const CpuFeature CPU_FEATURES[]; /* ends with a NULL name */

/* By name; '-', '_' and '.' are the same, as they have been in QEMU at one time or another. NULL: unknown. */
const CpuFeature *cpu_feature_find(const char *name);
/* Whether `name` is one of the feature's, to the same rules. */
gboolean cpu_feature_has_name(const CpuFeature *feature, const char *name);

typedef guint32 CpuFeatureSet[CPU_WORDS];
/* Removes what cannot be without something else that is not there: AVX2 without AVX, AVX without XSAVE. */
void cpu_features_drop_orphans(CpuFeatureSet set);
/* The features of an x86-64 level of the psABI, 1 to 4, and those that every 64-bit PC has. */
void cpu_features_of_level(guint level, CpuFeatureSet set);
/* Bits of XCR0 (SDM 1, 13.1) that these features have a use for. */
guint64 cpu_features_xcr0(const CpuFeatureSet set);

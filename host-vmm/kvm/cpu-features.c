// SPDX-License-Identifier: GPL-2.0-or-later
#include "host-vmm/kvm/cpu-features.h"

#include <string.h>

const CpuWordPlace CPU_WORD_PLACES[CPU_WORDS] = {
    [CPU_WORD_1_EDX] = {0x1, 0, CPU_EDX},
    [CPU_WORD_1_ECX] = {0x1, 0, CPU_ECX},
    [CPU_WORD_6_EAX] = {0x6, 0, CPU_EAX},
    [CPU_WORD_7_0_EBX] = {0x7, 0, CPU_EBX},
    [CPU_WORD_7_0_ECX] = {0x7, 0, CPU_ECX},
    [CPU_WORD_7_0_EDX] = {0x7, 0, CPU_EDX},
    [CPU_WORD_7_1_EAX] = {0x7, 1, CPU_EAX},
    [CPU_WORD_D_1_EAX] = {0xd, 1, CPU_EAX},
    [CPU_WORD_8000_0001_EDX] = {0x80000001, 0, CPU_EDX},
    [CPU_WORD_8000_0001_ECX] = {0x80000001, 0, CPU_ECX},
    [CPU_WORD_8000_0007_EDX] = {0x80000007, 0, CPU_EDX},
    [CPU_WORD_8000_0008_EBX] = {0x80000008, 0, CPU_EBX},
    [CPU_WORD_8000_000A_EDX] = {0x8000000a, 0, CPU_EDX},
    [CPU_WORD_KVM] = {0x40000001, 0, CPU_EAX},
};

const CpuFeature CPU_FEATURES[] = {
    {"fpu", CPU_WORD_1_EDX, 1u << 0},
    {"vme", CPU_WORD_1_EDX, 1u << 1},
    {"de", CPU_WORD_1_EDX, 1u << 2},
    {"pse", CPU_WORD_1_EDX, 1u << 3},
    {"tsc", CPU_WORD_1_EDX, 1u << 4},
    {"msr", CPU_WORD_1_EDX, 1u << 5},
    {"pae", CPU_WORD_1_EDX, 1u << 6},
    {"mce", CPU_WORD_1_EDX, 1u << 7},
    {"cx8", CPU_WORD_1_EDX, 1u << 8},
    {"apic", CPU_WORD_1_EDX, 1u << 9},
    {"sep", CPU_WORD_1_EDX, 1u << 11},
    {"mtrr", CPU_WORD_1_EDX, 1u << 12},
    {"pge", CPU_WORD_1_EDX, 1u << 13},
    {"mca", CPU_WORD_1_EDX, 1u << 14},
    {"cmov", CPU_WORD_1_EDX, 1u << 15},
    {"pat", CPU_WORD_1_EDX, 1u << 16},
    {"pse36", CPU_WORD_1_EDX, 1u << 17},
    {"pn", CPU_WORD_1_EDX, 1u << 18},
    {"clflush|clfsh", CPU_WORD_1_EDX, 1u << 19},
    {"ds", CPU_WORD_1_EDX, 1u << 21},
    {"acpi", CPU_WORD_1_EDX, 1u << 22},
    {"mmx", CPU_WORD_1_EDX, 1u << 23},
    {"fxsr", CPU_WORD_1_EDX, 1u << 24},
    {"sse", CPU_WORD_1_EDX, 1u << 25},
    {"sse2", CPU_WORD_1_EDX, 1u << 26},
    {"ss", CPU_WORD_1_EDX, 1u << 27},
    {"tm", CPU_WORD_1_EDX, 1u << 29},
    {"ia64", CPU_WORD_1_EDX, 1u << 30},
    {"pbe", CPU_WORD_1_EDX, 1u << 31},
    {"pni|sse3", CPU_WORD_1_ECX, 1u << 0},
    {"pclmulqdq|pclmuldq", CPU_WORD_1_ECX, 1u << 1},
    {"dtes64", CPU_WORD_1_ECX, 1u << 2},
    {"monitor", CPU_WORD_1_ECX, 1u << 3},
    {"ds-cpl", CPU_WORD_1_ECX, 1u << 4},
    {"vmx", CPU_WORD_1_ECX, 1u << 5},
    {"smx", CPU_WORD_1_ECX, 1u << 6},
    {"est", CPU_WORD_1_ECX, 1u << 7},
    {"tm2", CPU_WORD_1_ECX, 1u << 8},
    {"ssse3", CPU_WORD_1_ECX, 1u << 9},
    {"cid", CPU_WORD_1_ECX, 1u << 10},
    {"fma", CPU_WORD_1_ECX, 1u << 12},
    {"cx16", CPU_WORD_1_ECX, 1u << 13},
    {"xtpr", CPU_WORD_1_ECX, 1u << 14},
    {"pdcm", CPU_WORD_1_ECX, 1u << 15},
    {"pcid", CPU_WORD_1_ECX, 1u << 17},
    {"dca", CPU_WORD_1_ECX, 1u << 18},
    {"sse4.1", CPU_WORD_1_ECX, 1u << 19},
    {"sse4.2", CPU_WORD_1_ECX, 1u << 20},
    {"x2apic", CPU_WORD_1_ECX, 1u << 21},
    {"movbe", CPU_WORD_1_ECX, 1u << 22},
    {"popcnt", CPU_WORD_1_ECX, 1u << 23},
    {"tsc-deadline", CPU_WORD_1_ECX, 1u << 24},
    {"aes", CPU_WORD_1_ECX, 1u << 25},
    {"xsave", CPU_WORD_1_ECX, 1u << 26},
    {"avx", CPU_WORD_1_ECX, 1u << 28},
    {"f16c", CPU_WORD_1_ECX, 1u << 29},
    {"rdrand", CPU_WORD_1_ECX, 1u << 30},
    {"hypervisor", CPU_WORD_1_ECX, 1u << 31},
    {"arat", CPU_WORD_6_EAX, 1u << 2},
    {"fsgsbase", CPU_WORD_7_0_EBX, 1u << 0},
    {"tsc-adjust", CPU_WORD_7_0_EBX, 1u << 1},
    {"sgx", CPU_WORD_7_0_EBX, 1u << 2},
    {"bmi1", CPU_WORD_7_0_EBX, 1u << 3},
    {"hle", CPU_WORD_7_0_EBX, 1u << 4},
    {"avx2", CPU_WORD_7_0_EBX, 1u << 5},
    {"smep", CPU_WORD_7_0_EBX, 1u << 7},
    {"bmi2", CPU_WORD_7_0_EBX, 1u << 8},
    {"erms", CPU_WORD_7_0_EBX, 1u << 9},
    {"invpcid", CPU_WORD_7_0_EBX, 1u << 10},
    {"rtm", CPU_WORD_7_0_EBX, 1u << 11},
    {"mpx", CPU_WORD_7_0_EBX, 1u << 14},
    {"avx512f", CPU_WORD_7_0_EBX, 1u << 16},
    {"avx512dq", CPU_WORD_7_0_EBX, 1u << 17},
    {"rdseed", CPU_WORD_7_0_EBX, 1u << 18},
    {"adx", CPU_WORD_7_0_EBX, 1u << 19},
    {"smap", CPU_WORD_7_0_EBX, 1u << 20},
    {"avx512ifma", CPU_WORD_7_0_EBX, 1u << 21},
    {"clflushopt", CPU_WORD_7_0_EBX, 1u << 23},
    {"clwb", CPU_WORD_7_0_EBX, 1u << 24},
    {"intel-pt", CPU_WORD_7_0_EBX, 1u << 25},
    {"avx512pf", CPU_WORD_7_0_EBX, 1u << 26},
    {"avx512er", CPU_WORD_7_0_EBX, 1u << 27},
    {"avx512cd", CPU_WORD_7_0_EBX, 1u << 28},
    {"sha-ni", CPU_WORD_7_0_EBX, 1u << 29},
    {"avx512bw", CPU_WORD_7_0_EBX, 1u << 30},
    {"avx512vl", CPU_WORD_7_0_EBX, 1u << 31},
    {"avx512vbmi", CPU_WORD_7_0_ECX, 1u << 1},
    {"umip", CPU_WORD_7_0_ECX, 1u << 2},
    {"pku", CPU_WORD_7_0_ECX, 1u << 3},
    {"waitpkg", CPU_WORD_7_0_ECX, 1u << 5},
    {"avx512vbmi2", CPU_WORD_7_0_ECX, 1u << 6},
    {"gfni", CPU_WORD_7_0_ECX, 1u << 8},
    {"vaes", CPU_WORD_7_0_ECX, 1u << 9},
    {"vpclmulqdq", CPU_WORD_7_0_ECX, 1u << 10},
    {"avx512vnni", CPU_WORD_7_0_ECX, 1u << 11},
    {"avx512bitalg", CPU_WORD_7_0_ECX, 1u << 12},
    {"avx512-vpopcntdq", CPU_WORD_7_0_ECX, 1u << 14},
    {"la57", CPU_WORD_7_0_ECX, 1u << 16},
    {"rdpid", CPU_WORD_7_0_ECX, 1u << 22},
    {"bus-lock-detect", CPU_WORD_7_0_ECX, 1u << 24},
    {"cldemote", CPU_WORD_7_0_ECX, 1u << 25},
    {"movdiri", CPU_WORD_7_0_ECX, 1u << 27},
    {"movdir64b", CPU_WORD_7_0_ECX, 1u << 28},
    {"sgxlc", CPU_WORD_7_0_ECX, 1u << 30},
    {"pks", CPU_WORD_7_0_ECX, 1u << 31},
    {"avx512-4vnniw", CPU_WORD_7_0_EDX, 1u << 2},
    {"avx512-4fmaps", CPU_WORD_7_0_EDX, 1u << 3},
    {"fsrm", CPU_WORD_7_0_EDX, 1u << 4},
    {"avx512-vp2intersect", CPU_WORD_7_0_EDX, 1u << 8},
    {"md-clear", CPU_WORD_7_0_EDX, 1u << 10},
    {"serialize", CPU_WORD_7_0_EDX, 1u << 14},
    {"tsx-ldtrk", CPU_WORD_7_0_EDX, 1u << 16},
    {"pconfig", CPU_WORD_7_0_EDX, 1u << 18},
    {"arch-lbr", CPU_WORD_7_0_EDX, 1u << 19},
    {"amx-bf16", CPU_WORD_7_0_EDX, 1u << 22},
    {"avx512-fp16", CPU_WORD_7_0_EDX, 1u << 23},
    {"amx-tile", CPU_WORD_7_0_EDX, 1u << 24},
    {"amx-int8", CPU_WORD_7_0_EDX, 1u << 25},
    {"spec-ctrl", CPU_WORD_7_0_EDX, 1u << 26},
    {"stibp", CPU_WORD_7_0_EDX, 1u << 27},
    {"flush-l1d", CPU_WORD_7_0_EDX, 1u << 28},
    {"arch-capabilities", CPU_WORD_7_0_EDX, 1u << 29},
    {"core-capability", CPU_WORD_7_0_EDX, 1u << 30},
    {"ssbd", CPU_WORD_7_0_EDX, 1u << 31},
    {"avx-vnni", CPU_WORD_7_1_EAX, 1u << 4},
    {"avx512-bf16", CPU_WORD_7_1_EAX, 1u << 5},
    {"fzrm", CPU_WORD_7_1_EAX, 1u << 10},
    {"fsrs", CPU_WORD_7_1_EAX, 1u << 11},
    {"fsrc", CPU_WORD_7_1_EAX, 1u << 12},
    {"amx-fp16", CPU_WORD_7_1_EAX, 1u << 21},
    {"avx-ifma", CPU_WORD_7_1_EAX, 1u << 23},
    {"xsaveopt", CPU_WORD_D_1_EAX, 1u << 0},
    {"xsavec", CPU_WORD_D_1_EAX, 1u << 1},
    {"xgetbv1", CPU_WORD_D_1_EAX, 1u << 2},
    {"xsaves", CPU_WORD_D_1_EAX, 1u << 3},
    {"xfd", CPU_WORD_D_1_EAX, 1u << 4},
    {"syscall", CPU_WORD_8000_0001_EDX, 1u << 11},
    {"mp", CPU_WORD_8000_0001_EDX, 1u << 19},
    {"nx", CPU_WORD_8000_0001_EDX, 1u << 20},
    {"mmxext", CPU_WORD_8000_0001_EDX, 1u << 22},
    {"fxsr-opt|ffxsr", CPU_WORD_8000_0001_EDX, 1u << 25},
    {"pdpe1gb", CPU_WORD_8000_0001_EDX, 1u << 26},
    {"rdtscp", CPU_WORD_8000_0001_EDX, 1u << 27},
    {"lm|i64", CPU_WORD_8000_0001_EDX, 1u << 29},
    {"3dnowext", CPU_WORD_8000_0001_EDX, 1u << 30},
    {"3dnow", CPU_WORD_8000_0001_EDX, 1u << 31},
    {"lahf-lm", CPU_WORD_8000_0001_ECX, 1u << 0},
    {"cmp-legacy", CPU_WORD_8000_0001_ECX, 1u << 1},
    {"svm", CPU_WORD_8000_0001_ECX, 1u << 2},
    {"extapic", CPU_WORD_8000_0001_ECX, 1u << 3},
    {"cr8legacy", CPU_WORD_8000_0001_ECX, 1u << 4},
    {"abm|lzcnt", CPU_WORD_8000_0001_ECX, 1u << 5},
    {"sse4a", CPU_WORD_8000_0001_ECX, 1u << 6},
    {"misalignsse", CPU_WORD_8000_0001_ECX, 1u << 7},
    {"3dnowprefetch", CPU_WORD_8000_0001_ECX, 1u << 8},
    {"osvw", CPU_WORD_8000_0001_ECX, 1u << 9},
    {"ibs", CPU_WORD_8000_0001_ECX, 1u << 10},
    {"xop", CPU_WORD_8000_0001_ECX, 1u << 11},
    {"skinit", CPU_WORD_8000_0001_ECX, 1u << 12},
    {"wdt", CPU_WORD_8000_0001_ECX, 1u << 13},
    {"lwp", CPU_WORD_8000_0001_ECX, 1u << 15},
    {"fma4", CPU_WORD_8000_0001_ECX, 1u << 16},
    {"tce", CPU_WORD_8000_0001_ECX, 1u << 17},
    {"nodeid-msr", CPU_WORD_8000_0001_ECX, 1u << 19},
    {"tbm", CPU_WORD_8000_0001_ECX, 1u << 21},
    {"topoext", CPU_WORD_8000_0001_ECX, 1u << 22},
    {"perfctr-core", CPU_WORD_8000_0001_ECX, 1u << 23},
    {"perfctr-nb", CPU_WORD_8000_0001_ECX, 1u << 24},
    {"invtsc", CPU_WORD_8000_0007_EDX, 1u << 8},
    {"clzero", CPU_WORD_8000_0008_EBX, 1u << 0},
    {"xsaveerptr", CPU_WORD_8000_0008_EBX, 1u << 2},
    {"wbnoinvd", CPU_WORD_8000_0008_EBX, 1u << 9},
    {"ibpb", CPU_WORD_8000_0008_EBX, 1u << 12},
    {"ibrs", CPU_WORD_8000_0008_EBX, 1u << 14},
    {"amd-stibp", CPU_WORD_8000_0008_EBX, 1u << 15},
    {"amd-ssbd", CPU_WORD_8000_0008_EBX, 1u << 24},
    {"virt-ssbd", CPU_WORD_8000_0008_EBX, 1u << 25},
    {"amd-no-ssb", CPU_WORD_8000_0008_EBX, 1u << 26},
    {"amd-psfd", CPU_WORD_8000_0008_EBX, 1u << 28},
    {"npt", CPU_WORD_8000_000A_EDX, 1u << 0},
    {"lbrv", CPU_WORD_8000_000A_EDX, 1u << 1},
    {"svm-lock", CPU_WORD_8000_000A_EDX, 1u << 2},
    {"nrip-save", CPU_WORD_8000_000A_EDX, 1u << 3},
    {"tsc-scale", CPU_WORD_8000_000A_EDX, 1u << 4},
    {"vmcb-clean", CPU_WORD_8000_000A_EDX, 1u << 5},
    {"flushbyasid", CPU_WORD_8000_000A_EDX, 1u << 6},
    {"decodeassists", CPU_WORD_8000_000A_EDX, 1u << 7},
    {"pause-filter", CPU_WORD_8000_000A_EDX, 1u << 10},
    {"pfthreshold", CPU_WORD_8000_000A_EDX, 1u << 12},
    {"avic", CPU_WORD_8000_000A_EDX, 1u << 13},
    {"v-vmsave-vmload", CPU_WORD_8000_000A_EDX, 1u << 15},
    {"vgif", CPU_WORD_8000_000A_EDX, 1u << 16},
    {"kvm-nopiodelay", CPU_WORD_KVM, 1u << 1},
    {"kvm-asyncpf", CPU_WORD_KVM, 1u << 4},
    {"kvm-steal-time", CPU_WORD_KVM, 1u << 5},
    {"kvm-pv-eoi", CPU_WORD_KVM, 1u << 6},
    {"kvm-pv-unhalt", CPU_WORD_KVM, 1u << 7},
    {"kvm-pv-tlb-flush", CPU_WORD_KVM, 1u << 9},
    {"kvm-asyncpf-vmexit", CPU_WORD_KVM, 1u << 10},
    {"kvm-pv-ipi", CPU_WORD_KVM, 1u << 11},
    {"kvm-poll-control", CPU_WORD_KVM, 1u << 12},
    {"kvm-pv-sched-yield", CPU_WORD_KVM, 1u << 13},
    {"kvm-asyncpf-int", CPU_WORD_KVM, 1u << 14},
    {"kvmclock", CPU_WORD_KVM, 1u << 0 | 1u << 3 | 1u << 24}, /* both interfaces, and that it is stable */
    {NULL},
};

static gboolean is_separator(char c)
{
    return c == '-' || c == '_' || c == '.';
}

gboolean cpu_feature_has_name(const CpuFeature *feature, const char *name)
{
    for (const char *own = feature->name; *own;) {
        const char *given = name;
        while (*own && *own != '|' && (*own == *given || (is_separator(*own) && is_separator(*given)))) {
            own++;
            given++;
        }
        if (!*given && (!*own || *own == '|')) {
            return TRUE;
        }
        own += strcspn(own, "|");
        own += *own == '|';
    }
    return FALSE;
}

const CpuFeature *cpu_feature_find(const char *name)
{
    for (const CpuFeature *feature = CPU_FEATURES; feature->name; feature++) {
        if (cpu_feature_has_name(feature, name)) {
            return feature;
        }
    }
    return NULL;
}

static void add_names(CpuFeatureSet set, const char *names)
{
    g_auto(GStrv) words = g_strsplit(names, " ", -1);
    for (guint i = 0; words[i]; i++) {
        const CpuFeature *feature = cpu_feature_find(words[i]);
        g_return_if_fail(feature != NULL);
        set[feature->word] |= feature->mask;
    }
}

static gboolean has(const CpuFeatureSet set, const char *name)
{
    const CpuFeature *feature = cpu_feature_find(name);
    return (set[feature->word] & feature->mask) == feature->mask;
}

void cpu_features_drop_orphans(CpuFeatureSet set)
{
    static const struct {
        const char *needed, *without;
    } rules[] = {
        {"xsave", "avx mpx pku xsaveopt xsavec xgetbv1 xsaves xfd amx-tile"},
        {"avx", "avx2 fma f16c fma4 xop vaes vpclmulqdq avx-vnni avx-ifma avx512f"},
        {"avx512f",
         "avx512dq avx512ifma avx512pf avx512er avx512cd avx512bw avx512vl avx512vbmi avx512vbmi2 "
         "avx512vnni avx512bitalg avx512-vpopcntdq avx512-4vnniw avx512-4fmaps avx512-vp2intersect "
         "avx512-fp16 avx512-bf16"},
        {"amx-tile", "amx-bf16 amx-int8 amx-fp16"},
        {"sse2", "pni sse4.1 sse4.2 ssse3 aes pclmulqdq sha-ni gfni"},
    };
    for (guint i = 0; i < G_N_ELEMENTS(rules); i++) {
        if (!has(set, rules[i].needed)) {
            CpuFeatureSet orphans = {0};
            add_names(orphans, rules[i].without);
            for (guint word = 0; word < CPU_WORDS; word++) {
                set[word] &= ~orphans[word];
            }
        }
    }
    if (!has(set, "svm")) {
        set[CPU_WORD_8000_000A_EDX] = 0;
    }
}

void cpu_features_of_level(guint level, CpuFeatureSet set)
{
    /* What a 64-bit PC's kernel relies on, a hypervisor's interrupt controller and clocks; then the psABI's.
     */
    static const char *const added[] = {
        "de pse tsc msr pae mce apic sep mtrr pge mca pat pse36 clflush nx lm vme hypervisor x2apic "
        "tsc-deadline "
        "arat",
        "cmov cx8 fpu fxsr mmx syscall sse sse2",
        "cx16 lahf-lm popcnt pni sse4.1 sse4.2 ssse3",
        "avx avx2 bmi1 bmi2 f16c fma abm movbe xsave",
        "avx512f avx512bw avx512cd avx512dq avx512vl",
    };
    memset(set, 0, sizeof(CpuFeatureSet));
    for (guint i = 0; i <= level && i < G_N_ELEMENTS(added); i++) {
        add_names(set, added[i]);
    }
}

guint64 cpu_features_xcr0(const CpuFeatureSet set)
{
    guint64 bits = 0x3; /* x87 and SSE */
    bits |= has(set, "avx") ? 1 << 2 : 0;
    bits |= has(set, "mpx") ? 3 << 3 : 0;
    bits |= has(set, "avx512f") ? 7 << 5 : 0;
    bits |= has(set, "pku") ? 1 << 9 : 0;
    bits |= has(set, "amx-tile") ? 3 << 17 : 0;
    return bits;
}

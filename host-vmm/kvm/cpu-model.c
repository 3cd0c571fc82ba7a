// SPDX-License-Identifier: GPL-2.0-or-later
#include "host-vmm/kvm/cpu-model.h"

#include <string.h>

#define KVM_LEAF_SIGNATURE 0x40000000u
#define KVM_LEAF_FEATURES  0x40000001u
#define KVM_LEAVES_BESIDE                                                                                    \
    0x100u /* where KVM's leaves go when Hyper-V's are there (Linux looks every 0x100) */

#define VENDOR_AMD_EBX   0x68747541u /* "Auth" */
#define VENDOR_HYGON_EBX 0x6f677948u /* "Hygo" */

/* What AMD repeats in 0x80000001 EDX of leaf 1 EDX (APM 3, E.4.2). */
#define AMD_REPEATED 0x0183f3ffu

#define SVM_FEATURES 0x8000000au

struct CpuModel {
    char *type;
    guint level; /* 0: all that the host has */
    CpuFeatureSet on, off;
    GPtrArray *asked; /* const CpuFeature*: those switched on by name */
    gboolean migratable, check, enforce, kvm, pmu;
    gboolean nested_given, nested;
    HypervOptions hyperv;
};

CpuModel *cpu_model_new_host(void)
{
    CpuModel *model = g_new0(CpuModel, 1);
    model->type = g_strdup("host-x86_64-cpu");
    model->asked = g_ptr_array_new();
    model->check = model->kvm = model->pmu = TRUE;
    return model;
}

void cpu_model_free(CpuModel *model)
{
    if (!model) {
        return;
    }
    g_free(model->type);
    g_ptr_array_unref(model->asked);
    g_free(model);
}

const char *cpu_model_type(const CpuModel *model)
{
    return model->type;
}

const HypervOptions *cpu_model_hyperv(const CpuModel *model)
{
    return &model->hyperv;
}

/* ---- what -cpu says ---- */

static gboolean take_name(CpuModel *model, const char *name, GError **error)
{
    static const char *const levels[] = {"host", "x86-64-v1", "x86-64-v2", "x86-64-v3", "x86-64-v4"};
    if (!strcmp(name, "max")) {
        name = "host"; /* KVM has nothing beyond it */
    }
    for (guint i = 0; i < G_N_ELEMENTS(levels); i++) {
        if (!strcmp(name, levels[i])) {
            model->level = i;
            g_free(model->type);
            model->type = g_strdup_printf("%s-x86_64-cpu", name);
            model->pmu = i == 0;
            return TRUE;
        }
    }
    g_set_error(error, G_IO_ERROR, G_IO_ERROR_NOT_FOUND,
                "-cpu: model '%s' is not supported, only host, max and x86-64-v1 to x86-64-v4", name);
    return FALSE;
}

static void set_feature(CpuModel *model, const CpuFeature *feature, gboolean on)
{
    model->on[feature->word] &= ~feature->mask;
    model->off[feature->word] &= ~feature->mask;
    (on ? model->on : model->off)[feature->word] |= feature->mask;
    g_ptr_array_remove(model->asked, (gpointer)feature);
    if (on) {
        g_ptr_array_add(model->asked, (gpointer)feature);
    }
}

/* The ways in which a name with separators has been written: "lahf-lm", "lahf_lm", "sse4.1". */
static gboolean take_feature(CpuModel *model, OptSet *options, const CpuFeature *feature, GError **error)
{
    static const char separators[] = "-_.";
    static const char *const prefixes[] = {"", "+", "-"};
    g_auto(GStrv) names = g_strsplit(feature->name, "|", -1);
    for (guint prefix = 0; prefix < G_N_ELEMENTS(prefixes); prefix++) {
        for (guint i = 0; names[i]; i++) {
            guint ways = strpbrk(names[i], separators) ? (guint)strlen(separators) : 1;
            for (guint way = 0; way < ways; way++) {
                g_autofree char *key = g_strconcat(prefixes[prefix], names[i], NULL);
                g_strdelimit(key + strlen(prefixes[prefix]), separators, separators[way]);
                if (!optset_has(options, key)) {
                    continue;
                }
                gboolean on = TRUE;
                if (!optset_bool(options, key, &on, error)) {
                    return FALSE;
                }
                set_feature(model, feature, prefix == 2 ? FALSE : on);
            }
        }
    }
    return TRUE;
}

CpuModel *cpu_model_new(OptSet *options, GError **error)
{
    g_autoptr(CpuModel) model = cpu_model_new_host();
    const char *name = optset_need_string(options, "model", error);
    if (!name || !take_name(model, name, error) || !hyperv_take(&model->hyperv, options, error)) {
        return NULL;
    }
    for (const CpuFeature *feature = CPU_FEATURES; feature->name; feature++) {
        if (!take_feature(model, options, feature, error)) {
            return NULL;
        }
    }
    model->nested_given = optset_has(options, "nested");
    if (!optset_bool(options, "nested", &model->nested, error) ||
        !optset_bool(options, "migratable", &model->migratable, error) ||
        !optset_bool(options, "check", &model->check, error) ||
        !optset_bool(options, "enforce", &model->enforce, error) ||
        !optset_bool(options, "kvm", &model->kvm, error) ||
        !optset_bool(options, "pmu", &model->pmu, error) || !optset_finish(options, error)) {
        return NULL;
    }
    return g_steal_pointer(&model);
}

/* ---- tables ---- */

static struct kvm_cpuid_entry2 *find(GArray *table, guint32 function, guint32 index)
{
    for (guint i = 0; i < table->len; i++) {
        struct kvm_cpuid_entry2 *entry = &g_array_index(table, struct kvm_cpuid_entry2, i);
        if (entry->function == function && entry->index == index) {
            return entry;
        }
    }
    return NULL;
}

static guint32 *word_in(GArray *table, guint word)
{
    const CpuWordPlace *place = &CPU_WORD_PLACES[word];
    struct kvm_cpuid_entry2 *entry = find(table, place->function, place->index);
    if (!entry) {
        return NULL;
    }
    guint32 *registers[] = {&entry->eax, &entry->ebx, &entry->ecx, &entry->edx};
    return registers[place->reg];
}

static gboolean is_amd(GArray *table)
{
    const struct kvm_cpuid_entry2 *entry = find(table, 0, 0);
    return entry && (entry->ebx == VENDOR_AMD_EBX || entry->ebx == VENDOR_HYGON_EBX);
}

static void read_supported(const CpuHost *host, CpuFeatureSet set)
{
    const struct {
        const char *name;
        gboolean is_there;
    } beside[] = {
        {"hypervisor", TRUE}, {"tsc-deadline", host->tsc_deadline}, {"invtsc", host->tsc_invariant}};
    for (guint word = 0; word < CPU_WORDS; word++) {
        const guint32 *value = word_in(host->supported, word);
        set[word] = value ? *value : 0;
    }
    for (guint i = 0; i < G_N_ELEMENTS(beside); i++) {
        const CpuFeature *feature = cpu_feature_find(beside[i].name);
        if (beside[i].is_there) {
            set[feature->word] |= feature->mask;
        }
    }
}

/* The features asked for, whether or not the host has them. */
static void choose(const CpuModel *model, const CpuHost *host, const CpuFeatureSet supported,
                   CpuFeatureSet wanted)
{
    if (model->level) {
        cpu_features_of_level(model->level, wanted);
        wanted[CPU_WORD_KVM] = supported[CPU_WORD_KVM]; /* no part of a CPU */
    } else {
        memcpy(wanted, supported, sizeof(CpuFeatureSet));
        if (model->migratable) {
            /* An invariant TSC would be a promise for all hosts that the guest may be moved to. */
            wanted[CPU_WORD_8000_0007_EDX] &= ~cpu_feature_find("invtsc")->mask;
        }
    }
    for (guint word = 0; word < CPU_WORDS; word++) {
        wanted[word] = (wanted[word] | model->on[word]) & ~model->off[word];
    }
    const CpuFeature *svm = cpu_feature_find("svm"), *vmx = cpu_feature_find("vmx");
    if (model->nested_given) {
        wanted[svm->word] &= ~svm->mask;
        wanted[vmx->word] &= ~vmx->mask;
        const CpuFeature *own = is_amd(host->supported) ? svm : vmx;
        wanted[own->word] |= model->nested ? own->mask : 0;
    }
    if (wanted[svm->word] & svm->mask && model->level) {
        wanted[CPU_WORD_8000_000A_EDX] |=
            supported[CPU_WORD_8000_000A_EDX] & ~model->off[CPU_WORD_8000_000A_EDX];
    }
}

/* Takes out what the host lacks, and says so. */
static gboolean check(const CpuModel *model, const CpuFeatureSet supported, CpuFeatureSet wanted,
                      GError **error)
{
    g_autoptr(GString) missing = g_string_new(NULL);
    for (const CpuFeature *feature = CPU_FEATURES; feature->name; feature++) {
        if ((wanted[feature->word] & ~supported[feature->word] & feature->mask) == 0) {
            continue;
        }
        int length = (int)strcspn(feature->name, "|");
        const CpuWordPlace *place = &CPU_WORD_PLACES[feature->word];
        g_string_append_printf(missing, "%s%.*s", missing->len ? ", " : "", length, feature->name);
        if (model->check && !model->enforce) {
            g_warning("-cpu: this host has no %.*s (CPUID 0x%x, bit %d of %s): the guest gets none", length,
                      feature->name, place->function, g_bit_nth_lsf(feature->mask, -1),
                      (const char *[]){"EAX", "EBX", "ECX", "EDX"}[place->reg]);
        }
    }
    for (guint word = 0; word < CPU_WORDS; word++) {
        wanted[word] &= supported[word];
    }
    if (missing->len && model->enforce) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_NOT_SUPPORTED, "-cpu: this host lacks %s", missing->str);
        return FALSE;
    }
    if (model->nested && !(wanted[CPU_WORD_8000_0001_ECX] & cpu_feature_find("svm")->mask) &&
        !(wanted[CPU_WORD_1_ECX] & cpu_feature_find("vmx")->mask)) {
        g_set_error(
            error, G_IO_ERROR, G_IO_ERROR_NOT_SUPPORTED,
            "-cpu: nested=on: this host's KVM does not nest (parameter 'nested' of kvm_intel or kvm_amd)");
        return FALSE;
    }
    return TRUE;
}

/* Whether a leaf is part of what a level says; the rest is the host's own. */
static gboolean level_has_leaf(guint32 function, guint32 index, const CpuFeatureSet set)
{
    gboolean has_svm = (set[CPU_WORD_8000_0001_ECX] & cpu_feature_find("svm")->mask) != 0;
    gboolean has_topoext = (set[CPU_WORD_8000_0001_ECX] & cpu_feature_find("topoext")->mask) != 0;
    switch (function) {
    case 0x0:
    case 0x1:
    case 0x2: /* caches and TLBs */
    case 0x4:
    case 0x6:
    case 0xb:
    case 0xd:
    case KVM_LEAF_SIGNATURE:
    case KVM_LEAF_FEATURES:
        return TRUE;
    case 0x7:
        return index == 0 || set[CPU_WORD_7_1_EAX] != 0;
    case SVM_FEATURES:
        return has_svm;
    case 0x8000001d:
    case 0x8000001e:
        return has_topoext;
    default:
        return function >= 0x80000000u && function <= 0x80000008u;
    }
}

static gboolean keep_leaf(const CpuModel *model, const struct kvm_cpuid_entry2 *entry,
                          const CpuFeatureSet set)
{
    gboolean is_kvm_leaf = entry->function == KVM_LEAF_SIGNATURE || entry->function == KVM_LEAF_FEATURES;
    if (is_kvm_leaf && !model->kvm) {
        return FALSE;
    }
    if (entry->function == 0xa && !model->pmu) {
        return FALSE;
    }
    if (entry->function == SVM_FEATURES && !(set[CPU_WORD_8000_0001_ECX] & cpu_feature_find("svm")->mask)) {
        return FALSE;
    }
    if (entry->function == 0xd) {
        guint64 xcr0 = cpu_features_xcr0(set);
        gboolean has_xsave = (set[CPU_WORD_1_ECX] & cpu_feature_find("xsave")->mask) != 0;
        gboolean has_xsaves = (set[CPU_WORD_D_1_EAX] & cpu_feature_find("xsaves")->mask) != 0;
        /* ECX bit 0 of a component: one of XSAVES', not of XCR0. */
        return has_xsave && (entry->index < 2 ||
                             (entry->ecx & 1 ? has_xsaves : entry->index < 64 && xcr0 >> entry->index & 1));
    }
    return !model->level || level_has_leaf(entry->function, entry->index, set);
}

/* Leaf 0xd, subleaf 0: components and the room that all of them need. */
static void fix_xsave(GArray *table, const CpuFeatureSet set)
{
    struct kvm_cpuid_entry2 *main_entry = find(table, 0xd, 0);
    if (!main_entry) {
        return;
    }
    guint64 xcr0 = cpu_features_xcr0(set);
    main_entry->eax &= (guint32)xcr0;
    main_entry->edx &= (guint32)(xcr0 >> 32);
    guint32 room = 576; /* the legacy area and the header (SDM 1, 13.4) */
    for (guint i = 2; i < 64; i++) {
        const struct kvm_cpuid_entry2 *entry = find(table, 0xd, i);
        if (entry && !(entry->ecx & 1)) {
            room = MAX(room, entry->ebx + entry->eax);
        }
    }
    main_entry->ecx = room;
}

static void write_features(GArray *table, const CpuFeatureSet set)
{
    for (guint word = 0; word < CPU_WORDS; word++) {
        guint32 *value = word_in(table, word);
        if (value) {
            *value = set[word];
        }
    }
    guint32 *repeated = word_in(table, CPU_WORD_8000_0001_EDX);
    if (repeated && is_amd(table)) {
        *repeated = (*repeated & ~AMD_REPEATED) | (set[CPU_WORD_1_EDX] & AMD_REPEATED);
    }
}

/* The highest leaves, and a name in place of the host's, for a model that is the same on all hosts. */
static void fix_level_leaves(const CpuModel *model, GArray *table)
{
    guint32 basic = 0, extended = 0x80000000u;
    for (guint i = 0; i < table->len; i++) {
        guint32 function = g_array_index(table, struct kvm_cpuid_entry2, i).function;
        if (function < KVM_LEAF_SIGNATURE) {
            basic = MAX(basic, function);
        } else if (function >= 0x80000000u) {
            extended = MAX(extended, function);
        }
    }
    struct kvm_cpuid_entry2 *entry = find(table, 0, 0);
    if (entry) {
        entry->eax = basic;
    }
    entry = find(table, 0x80000000u, 0);
    if (entry) {
        entry->eax = extended;
    }
    char name[48] = "";
    g_snprintf(name, sizeof(name), "Virtual CPU x86-64-v%u", model->level);
    for (guint i = 0; i < 3; i++) {
        entry = find(table, 0x80000002u + i, 0);
        if (entry) {
            guint32 part[4];
            memcpy(part, name + 16 * i, sizeof(part));
            entry->eax = part[0];
            entry->ebx = part[1];
            entry->ecx = part[2];
            entry->edx = part[3];
        }
    }
}

static void move_kvm_leaves(GArray *table)
{
    for (guint i = 0; i < table->len; i++) {
        struct kvm_cpuid_entry2 *entry = &g_array_index(table, struct kvm_cpuid_entry2, i);
        if (entry->function == KVM_LEAF_SIGNATURE) {
            entry->eax = KVM_LEAF_FEATURES + KVM_LEAVES_BESIDE;
        }
        if (entry->function == KVM_LEAF_SIGNATURE || entry->function == KVM_LEAF_FEATURES) {
            entry->function += KVM_LEAVES_BESIDE;
        }
    }
}

GArray *cpu_model_table(const CpuModel *model, const CpuHost *host, GError **error)
{
    CpuFeatureSet supported, wanted;
    read_supported(host, supported);
    choose(model, host, supported, wanted);
    if (!check(model, supported, wanted, error)) {
        return NULL;
    }
    cpu_features_drop_orphans(wanted);
    g_autoptr(GArray) table = g_array_new(FALSE, TRUE, sizeof(struct kvm_cpuid_entry2));
    for (guint i = 0; i < host->supported->len; i++) {
        struct kvm_cpuid_entry2 entry = g_array_index(host->supported, struct kvm_cpuid_entry2, i);
        if (keep_leaf(model, &entry, wanted)) {
            g_array_append_val(table, entry);
        }
    }
    write_features(table, wanted);
    fix_xsave(table, wanted);
    if (model->level) {
        fix_level_leaves(model, table);
    }
    if (hyperv_is_on(&model->hyperv)) {
        move_kvm_leaves(table);
        if (!hyperv_add_leaves(&model->hyperv, host->hyperv_supported, table, error)) {
            return NULL;
        }
    }
    return g_steal_pointer(&table);
}

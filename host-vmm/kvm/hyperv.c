// SPDX-License-Identifier: GPL-2.0-or-later
#include "host-vmm/kvm/hyperv.h"

#include <linux/kvm.h>
#include <string.h>

#define LEAF_VENDOR       0x40000000u
#define LEAF_INTERFACE    0x40000001u
#define LEAF_VERSION      0x40000002u
#define LEAF_FEATURES     0x40000003u
#define LEAF_ADVICE       0x40000004u
#define LEAF_LIMITS       0x40000005u
#define INTERFACE_HV1     0x31237648u /* "Hv#1" */
#define VERSION_BUILD     14393u      /* Windows Server 2016's, as QEMU tells */
#define VERSION_NUMBER    (10u << 16)
#define DEFAULT_VENDOR    "Microsoft Hv"
#define NEVER_YIELD       0xffffffffu
#define SMALLEST_SPINLOCK 0xfffu
#define HAS_HYPERCALL     (1u << 5) /* features EAX: without it the guest uses nothing of the rest */
#define SYNIC_MESSAGES    (3u << 4) /* features EBX: post messages, signal events */

typedef enum {
    RELAXED,
    VAPIC,
    TIME,
    VPINDEX,
    RUNTIME,
    SYNIC,
    STIMER,
    STIMER_DIRECT,
    RESET,
    FREQUENCIES,
    REENLIGHTENMENT,
    TLBFLUSH,
    IPI,
    XMM_INPUT,
    ROWS
} Row;

#define BIT(n) (1u << (n))

static const struct {
    const char *name;
    guint32 features_eax, features_edx, advice_eax;
    guint32 needs; /* rows */
} rows[ROWS] = {
    [RELAXED] = {"hv-relaxed", 0, 0, BIT(5), 0},
    [VAPIC] = {"hv-vapic", BIT(4), 0, BIT(3), 0},
    [TIME] = {"hv-time", BIT(1) | BIT(9), 0, 0, 0},
    [VPINDEX] = {"hv-vpindex", BIT(6), 0, 0, 0},
    [RUNTIME] = {"hv-runtime", BIT(0), 0, 0, 0},
    [SYNIC] = {"hv-synic", BIT(2), 0, 0, BIT(VPINDEX)},
    [STIMER] = {"hv-stimer", BIT(3), 0, 0, BIT(SYNIC) | BIT(TIME)},
    [STIMER_DIRECT] = {"hv-stimer-direct", 0, BIT(19), 0, BIT(STIMER)},
    [RESET] = {"hv-reset", BIT(7), 0, 0, 0},
    [FREQUENCIES] = {"hv-frequencies", BIT(11), BIT(8), 0, 0},
    [REENLIGHTENMENT] = {"hv-reenlightenment", BIT(13), 0, 0, 0},
    [TLBFLUSH] = {"hv-tlbflush", 0, 0, BIT(2) | BIT(11), BIT(VPINDEX)},
    [IPI] = {"hv-ipi", 0, 0, BIT(10) | BIT(11), BIT(VPINDEX)},
    [XMM_INPUT] = {"hv-xmm-input", 0, BIT(4), 0, 0},
};

/* "hv_relaxed" is as good as "hv-relaxed". */
static gboolean take_bool(OptSet *options, const char *name, gboolean *value, GError **error)
{
    g_autofree char *other = g_strdup(name);
    g_strdelimit(other, "-", '_');
    return optset_bool(options, other, value, error) && optset_bool(options, name, value, error);
}

gboolean hyperv_take(HypervOptions *hyperv, OptSet *options, GError **error)
{
    gboolean all = FALSE;
    if (!take_bool(options, "hv-passthrough", &all, error)) {
        return FALSE;
    }
    hyperv->asked = all ? BIT(ROWS) : 0; /* "all" until the host is known */
    for (guint i = 0; i < ROWS; i++) {
        gboolean on = FALSE;
        if (!take_bool(options, rows[i].name, &on, error)) {
            return FALSE;
        }
        hyperv->asked |= on ? BIT(i) : 0;
    }
    for (guint i = 0; i < ROWS; i++) {
        for (guint j = 0; j < ROWS; j++) {
            if (hyperv->asked & BIT(i) && rows[i].needs & BIT(j) && !(hyperv->asked & (BIT(j) | BIT(ROWS)))) {
                g_set_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT, "-cpu: %s needs %s", rows[i].name,
                            rows[j].name);
                return FALSE;
            }
        }
    }
    guint64 spinlocks = 0;
    const char *key = optset_has(options, "hv-spinlocks") ? "hv-spinlocks" : "hv_spinlocks";
    gboolean has_spinlocks = optset_has(options, key);
    if (!optset_uint(options, key, SMALLEST_SPINLOCK, NEVER_YIELD, &spinlocks, error)) {
        return FALSE;
    }
    hyperv->spinlocks = has_spinlocks ? (guint32)spinlocks : NEVER_YIELD;
    if (has_spinlocks && hyperv->asked == 0) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT,
                    "-cpu: hv-spinlocks needs another hv- feature");
        return FALSE;
    }
    const char *vendor = optset_string(options, "hv-vendor-id");
    if (vendor && strlen(vendor) >= sizeof(hyperv->vendor)) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT,
                    "-cpu: hv-vendor-id has %u characters at most", (guint)sizeof(hyperv->vendor) - 1);
        return FALSE;
    }
    g_strlcpy(hyperv->vendor, vendor ? vendor : DEFAULT_VENDOR, sizeof(hyperv->vendor));
    return TRUE;
}

gboolean hyperv_is_on(const HypervOptions *hyperv)
{
    return hyperv->asked != 0;
}

gboolean hyperv_has_synic(const HypervOptions *hyperv)
{
    return (hyperv->asked & (BIT(SYNIC) | BIT(ROWS))) != 0;
}

gboolean hyperv_has_vp_index(const HypervOptions *hyperv)
{
    return (hyperv->asked & (BIT(VPINDEX) | BIT(ROWS))) != 0;
}

static struct kvm_cpuid_entry2 leaf_of(const GArray *table, guint32 function)
{
    for (guint i = 0; i < table->len; i++) {
        const struct kvm_cpuid_entry2 *entry = &g_array_index(table, struct kvm_cpuid_entry2, i);
        if (entry->function == function) {
            return *entry;
        }
    }
    return (struct kvm_cpuid_entry2){.function = function};
}

static void add(GArray *table, guint32 function, guint32 eax, guint32 ebx, guint32 ecx, guint32 edx)
{
    struct kvm_cpuid_entry2 entry = {.function = function, .eax = eax, .ebx = ebx, .ecx = ecx, .edx = edx};
    g_array_append_val(table, entry);
}

gboolean hyperv_add_leaves(const HypervOptions *hyperv, const GArray *supported, GArray *table,
                           GError **error)
{
    if (!supported) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_NOT_SUPPORTED, "-cpu: this host's KVM has no hv- features");
        return FALSE;
    }
    struct kvm_cpuid_entry2 has = leaf_of(supported, LEAF_FEATURES),
                            advises = leaf_of(supported, LEAF_ADVICE);
    guint32 eax = HAS_HYPERCALL, ebx = 0, edx = 0, advice = 0;
    for (guint i = 0; i < ROWS; i++) {
        gboolean there = (rows[i].features_eax & ~has.eax) == 0 && (rows[i].features_edx & ~has.edx) == 0 &&
                         (rows[i].advice_eax & ~advises.eax) == 0;
        if (hyperv->asked & BIT(i) && !there) {
            g_set_error(error, G_IO_ERROR, G_IO_ERROR_NOT_SUPPORTED, "-cpu: this host's KVM has no %s",
                        rows[i].name);
            return FALSE;
        }
        if (there && hyperv->asked & (BIT(i) | BIT(ROWS))) {
            eax |= rows[i].features_eax;
            edx |= rows[i].features_edx;
            advice |= rows[i].advice_eax;
            ebx |= i == SYNIC ? SYNIC_MESSAGES : 0;
        }
    }
    guint32 vendor[3];
    memcpy(vendor, hyperv->vendor, sizeof(vendor));
    add(table, LEAF_VENDOR, LEAF_LIMITS, vendor[0], vendor[1], vendor[2]);
    add(table, LEAF_INTERFACE, INTERFACE_HV1, 0, 0, 0);
    add(table, LEAF_VERSION, VERSION_BUILD, VERSION_NUMBER, 0, 0);
    add(table, LEAF_FEATURES, eax, ebx, 0, edx);
    add(table, LEAF_ADVICE, advice, hyperv->spinlocks, 0, 0);
    struct kvm_cpuid_entry2 limits = leaf_of(supported, LEAF_LIMITS);
    add(table, LEAF_LIMITS, limits.eax, limits.ebx, 0, 0);
    return TRUE;
}

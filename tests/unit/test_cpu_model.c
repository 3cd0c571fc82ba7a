// SPDX-License-Identifier: GPL-2.0-or-later
/* -cpu on a host that is made up: what of it the guest's CPUID table has. */
#include <check.h>
#include <string.h>

#include "host-vmm/kvm/cpu-model.h"
#include "tests/check-run.h"

static guint warnings; /* how many the last table() said */

static GLogWriterOutput count_warnings(GLogLevelFlags level, const GLogField *fields, gsize count,
                                       gpointer data)
{
    warnings += (level & G_LOG_LEVEL_WARNING) != 0;
    return G_LOG_WRITER_HANDLED;
}

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

static void add(GArray *table, guint32 function, guint32 index, guint32 eax, guint32 ebx, guint32 ecx,
                guint32 edx)
{
    struct kvm_cpuid_entry2 entry = {
        .function = function, .index = index, .eax = eax, .ebx = ebx, .ecx = ecx, .edx = edx};
    g_array_append_val(table, entry);
}

/* In the order of EBX, ECX, EDX. */
static const guint32 AMD[] = {0x68747541, 0x444d4163, 0x69746e65},
                     INTEL[] = {0x756e6547, 0x6c65746e, 0x49656e69};

/* A host with every named feature but those in `lacks`. */
static GArray *host_table(const guint32 vendor[3], const char *lacks)
{
    GArray *table = g_array_new(FALSE, TRUE, sizeof(struct kvm_cpuid_entry2));
    add(table, 0, 0, 0x20, vendor[0], vendor[1], vendor[2]);
    add(table, 1, 0, 0x000306a9, 0, 0, 0);
    add(table, 6, 0, 0, 0, 0, 0);
    add(table, 7, 0, 1, 0, 0, 0);
    add(table, 7, 1, 0, 0, 0, 0);
    add(table, 0xa, 0, 0x07300402, 0, 0, 0x603);
    add(table, 0xd, 0, 0x602e7, 0x340, 0x2b00, 0);
    add(table, 0xd, 1, 0, 0, 0x1800, 0);
    add(table, 0xd, 2, 0x100, 0x240, 0, 0);
    add(table, 0xd, 5, 0x40, 0x440, 0, 0);
    add(table, 0xd, 6, 0x200, 0x480, 0, 0);
    add(table, 0xd, 7, 0x400, 0x680, 0, 0);
    add(table, 0xd, 9, 8, 0xa80, 0, 0);
    add(table, 0xd, 11, 0x10, 0, 1, 0); /* CET: XSAVES only */
    add(table, 0xd, 17, 0x40, 0xac0, 2, 0);
    add(table, 0xd, 18, 0x2000, 0xb00, 6, 0);
    add(table, 0x14, 0, 1, 0, 0, 0);
    add(table, 0x40000000, 0, 0x40000001, 0x4b4d564b, 0x564b4d56, 0x4d);
    add(table, 0x40000001, 0, 1u << 24 | 0x7fff, 0, 0, 0);
    add(table, 0x80000000, 0, 0x80000021, vendor[0], vendor[1], vendor[2]);
    add(table, 0x80000001, 0, 0, 0, 0, vendor == AMD ? 0x0183f3ff : 0);
    add(table, 0x80000002, 0, 0x74736f48, 0, 0, 0);
    add(table, 0x80000007, 0, 0, 0, 0, 0);
    add(table, 0x80000008, 0, 0x3030, 0, 0, 0);
    add(table, 0x8000000a, 0, 1, 8, 0, 0);
    add(table, 0x8000001e, 0, 0, 0, 0, 0);
    add(table, 0x80000021, 0, 0x45, 0, 0, 0);
    g_auto(GStrv) without = g_strsplit(lacks, " ", -1);
    for (const CpuFeature *feature = CPU_FEATURES; feature->name; feature++) {
        gboolean there = TRUE;
        for (guint i = 0; without[i]; i++) {
            there &= !cpu_feature_has_name(feature, without[i]);
        }
        const CpuWordPlace *place = &CPU_WORD_PLACES[feature->word];
        struct kvm_cpuid_entry2 *entry = find(table, place->function, place->index);
        guint32 *registers[] = {&entry->eax, &entry->ebx, &entry->ecx, &entry->edx};
        *registers[place->reg] |= there ? feature->mask : 0;
    }
    return table;
}

static gboolean tsc_invariant; /* the host's kernel keeps time by the TSC */

static GArray *build(const char *text, const guint32 vendor[3], const char *lacks, GError **error)
{
    g_autoptr(OptSet) options = optset_parse("-cpu", text, "model", NULL);
    g_autoptr(CpuModel) model = cpu_model_new(options, error);
    if (!model) {
        return NULL;
    }
    g_autoptr(GArray) supported = host_table(vendor, lacks);
    g_autoptr(GArray) hyperv = g_array_new(FALSE, TRUE, sizeof(struct kvm_cpuid_entry2));
    add(hyperv, 0x40000003, 0, 0xfff & ~(1u << 7), 0, 0, 0xffffffff); /* no reset */
    add(hyperv, 0x40000004, 0, 0xffffffff, 0, 0, 0);
    add(hyperv, 0x40000005, 0, 255, 64, 0, 0);
    CpuHost host = {.supported = supported,
                    .hyperv_supported = hyperv,
                    .tsc_deadline = TRUE,
                    .tsc_invariant = tsc_invariant};
    warnings = 0;
    return cpu_model_table(model, &host, error);
}

static GArray *table_of(const char *text, const guint32 vendor[3], const char *lacks)
{
    g_autoptr(GError) error = NULL;
    GArray *table = build(text, vendor, lacks, &error);
    ck_assert_msg(table != NULL, "%s: %s", text, error ? error->message : "?");
    return table;
}

static gboolean has(GArray *table, const char *name)
{
    const CpuFeature *feature = cpu_feature_find(name);
    ck_assert_msg(feature != NULL, "%s", name);
    const CpuWordPlace *place = &CPU_WORD_PLACES[feature->word];
    const struct kvm_cpuid_entry2 *entry = find(table, place->function, place->index);
    guint32 registers[] = {entry ? entry->eax : 0, entry ? entry->ebx : 0, entry ? entry->ecx : 0,
                           entry ? entry->edx : 0};
    return (registers[place->reg] & feature->mask) == feature->mask;
}

START_TEST (names_are_unique_and_found) {
    for (const CpuFeature *feature = CPU_FEATURES; feature->name; feature++) {
        g_auto(GStrv) names = g_strsplit(feature->name, "|", -1);
        for (guint i = 0; names[i]; i++) {
            ck_assert_ptr_eq(cpu_feature_find(names[i]), feature);
            g_strdelimit(names[i], "-.", '_');
            ck_assert_ptr_eq(cpu_feature_find(names[i]), feature);
        }
        for (const CpuFeature *other = feature + 1; other->name; other++) {
            ck_assert(feature->word != other->word || (feature->mask & other->mask) == 0);
        }
    }
    ck_assert_ptr_null(cpu_feature_find("sse4"));
    ck_assert_ptr_null(cpu_feature_find(""));
}
END_TEST

START_TEST (host_has_all_unless_it_is_to_be_moved) {
    g_autoptr(GArray) table = table_of("host", AMD, "");
    ck_assert(has(table, "avx512f"));
    ck_assert(has(table, "svm"));
    ck_assert(has(table, "kvmclock"));
    ck_assert(has(table, "invtsc"));
    ck_assert_ptr_nonnull(find(table, 0x80000021, 0));
    g_autoptr(GArray) movable = table_of("host,migratable=on", AMD, "");
    ck_assert(!has(movable, "invtsc"));
    g_autoptr(GArray) asked = table_of("host,migratable=on,+invtsc", INTEL, "");
    ck_assert(has(asked, "invtsc"));
    g_autoptr(GArray) refused = table_of("host,-invtsc", AMD, "");
    ck_assert(!has(refused, "invtsc"));
    g_autoptr(GArray) lacks = table_of("host", AMD, "invtsc");
    ck_assert(!has(lacks, "invtsc"));
    tsc_invariant = TRUE;
    g_autoptr(GArray) trusted = table_of("host", AMD, "invtsc");
    ck_assert(has(trusted, "invtsc"));
    tsc_invariant = FALSE;
}
END_TEST

START_TEST (levels_have_exactly_their_features) {
    static const char *const added[] = {
        "cmov cx8 fpu fxsr mmx syscall sse sse2 de pse tsc msr pae mce apic sep mtrr pge mca pat pse36 "
        "clflush nx lm "
        "vme hypervisor x2apic tsc-deadline arat",
        "cx16 lahf-lm popcnt sse3 sse4.1 sse4.2 ssse3",
        "avx avx2 bmi1 bmi2 f16c fma lzcnt movbe xsave",
        "avx512f avx512bw avx512cd avx512dq avx512vl",
    };
    g_autoptr(GString) all = g_string_new(NULL);
    for (guint level = 1; level <= 4; level++) {
        g_string_append_printf(all, " %s", added[level - 1]);
        g_autofree char *name = g_strdup_printf("x86-64-v%u", level);
        g_autoptr(GArray) table = table_of(name, level % 2 ? AMD : INTEL, "");
        g_auto(GStrv) words = g_strsplit(all->str + 1, " ", -1);
        for (const CpuFeature *feature = CPU_FEATURES; feature->name; feature++) {
            gboolean wanted = feature->word == CPU_WORD_KVM;
            for (guint i = 0; words[i]; i++) {
                wanted |= cpu_feature_has_name(feature, words[i]);
            }
            g_autofree char *one = g_strndup(feature->name, strcspn(feature->name, "|"));
            ck_assert_msg(has(table, one) == wanted, "v%u: %s", level, one);
        }
        ck_assert_uint_eq(warnings, 0);
        /* Neither are leaves there that only another CPU has. */
        static const guint32 foreign[] = {0xa, 0x14, 0x8000000a, 0x8000001e, 0x80000021};
        for (guint i = 0; i < G_N_ELEMENTS(foreign); i++) {
            ck_assert_ptr_null(find(table, foreign[i], 0));
        }
        ck_assert_uint_eq(find(table, 0, 0)->eax, level < 3 ? 7 : 0xd);
        ck_assert_uint_eq(find(table, 0x80000000, 0)->eax, 0x80000008);
        ck_assert((find(table, 0xd, 0) != NULL) == (level >= 3));
        if (level >= 3) {
            ck_assert_uint_eq(find(table, 0xd, 0)->eax, level == 3 ? 0x7 : 0xe7);
            ck_assert_uint_eq(find(table, 0xd, 0)->ecx, level == 3 ? 0x340 : 0xa80);
            ck_assert((find(table, 0xd, 5) != NULL) == (level == 4));
            ck_assert_ptr_null(find(table, 0xd, 9));
            ck_assert_ptr_null(find(table, 0xd, 11));
            ck_assert_ptr_null(find(table, 0xd, 17));
        }
    }
}
END_TEST

START_TEST (features_are_switched_by_name) {
    g_autoptr(GArray) table =
        table_of("x86-64-v2,+aes,avx=on,+xsave,smep=on,-popcnt,sse4_2=off,kvmclock=off", INTEL, "");
    static const char *const on[] = {"aes", "avx", "xsave", "smep", "sse4.1"}, *const off[] = {"popcnt",
                                                                                               "sse4.2"};
    for (guint i = 0; i < G_N_ELEMENTS(on); i++) {
        ck_assert_msg(has(table, on[i]), "%s", on[i]);
    }
    for (guint i = 0; i < G_N_ELEMENTS(off); i++) {
        ck_assert_msg(!has(table, off[i]), "%s", off[i]);
    }
    ck_assert_uint_eq(find(table, 0x40000001, 0)->eax & (1u << 24 | 1u << 3 | 1), 0);
    /* What cannot be without another goes with it. */
    g_autoptr(GArray) plain = table_of("host,-xsave", INTEL, "");
    ck_assert(!has(plain, "avx2"));
    ck_assert(!has(plain, "avx512bw"));
    ck_assert_ptr_null(find(plain, 0xd, 0));
    g_autoptr(GArray) amd = table_of("host,-sse2", AMD, "");
    ck_assert_uint_eq(find(amd, 0x80000001, 0)->edx >> 24 & 1, 1); /* fxsr, repeated */
    g_autoptr(GArray) hidden = table_of("host,kvm=off,pmu=off", INTEL, "");
    ck_assert_ptr_null(find(hidden, 0x40000000, 0));
    ck_assert_ptr_null(find(hidden, 0xa, 0));
}
END_TEST

START_TEST (nesting_is_one_switch) {
    g_autoptr(GArray) off = table_of("host,nested=off", AMD, "");
    ck_assert(!has(off, "svm"));
    ck_assert_ptr_null(find(off, 0x8000000a, 0));
    g_autoptr(GArray) amd = table_of("x86-64-v2,nested=on", AMD, "");
    ck_assert(has(amd, "svm"));
    ck_assert(!has(amd, "vmx"));
    ck_assert(has(amd, "npt"));
    g_autoptr(GArray) intel = table_of("x86-64-v2,nested=on", INTEL, "");
    ck_assert(has(intel, "vmx"));
    ck_assert(!has(intel, "svm"));
    g_autoptr(GError) error = NULL;
    ck_assert_ptr_null(build("host,nested=on", INTEL, "vmx", &error));
    ck_assert_ptr_nonnull(strstr(error->message, "does not nest"));
}
END_TEST

START_TEST (what_the_host_lacks_is_told) {
    g_autoptr(GArray) table = table_of("x86-64-v3", INTEL, "avx2 fma");
    ck_assert_uint_eq(warnings, 2);
    ck_assert(!has(table, "avx2"));
    ck_assert(has(table, "avx"));
    G_GNUC_UNUSED g_autoptr(GArray) quiet = table_of("x86-64-v3,check=off", INTEL, "avx2 fma");
    ck_assert_uint_eq(warnings, 0);
    g_autoptr(GError) error = NULL;
    ck_assert_ptr_null(build("x86-64-v3,enforce=on", INTEL, "avx2 fma", &error));
    ck_assert_str_eq(error->message, "-cpu: this host lacks fma, avx2");
    g_clear_error(&error);
    ck_assert_ptr_null(build("host,+avx512f,enforce", INTEL, "avx512f", &error));
    ck_assert_str_eq(error->message, "-cpu: this host lacks avx512f");
}
END_TEST

START_TEST (nonsense_is_refused) {
    static const struct {
        const char *text, *message;
    } cases[] = {
        {"qemu64", "model 'qemu64' is not supported"},
        {"host,+sse9", "unknown property '+sse9'"},
        {"host,sse9=on", "unknown property 'sse9'"},
        {"host,avx=maybe", "avx"},
        {"host,hv-synic", "hv-synic needs hv-vpindex"},
        {"host,hv-spinlocks=0x1fff", "needs another hv- feature"},
        {"host,hv-relaxed,hv-spinlocks=1", "hv-spinlocks"},
        {"host,hv-relaxed,hv-vendor-id=ThirteenChars", "12 characters"},
        {"host,hv-nonsense", "unknown property 'hv-nonsense'"},
        {"host,hv-reset", "KVM has no hv-reset"},
    };
    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(GError) error = NULL;
        ck_assert_msg(build(cases[i].text, INTEL, "", &error) == NULL, "%s", cases[i].text);
        ck_assert_msg(strstr(error->message, cases[i].message) != NULL, "%s: %s", cases[i].text,
                      error->message);
    }
}
END_TEST

START_TEST (hyperv_leaves_come_first) {
    g_autoptr(GArray) table =
        table_of("host,hv-relaxed,hv_time,hv-vpindex,hv-synic=on,hv-spinlocks=0x1fff,hv-vendor-id=Somebody",
                 INTEL, "");
    const struct kvm_cpuid_entry2 *entry = find(table, 0x40000000, 0);
    ck_assert_uint_eq(entry->eax, 0x40000005);
    ck_assert_mem_eq(&entry->ebx, "Somebody\0\0\0\0", 12);
    ck_assert_uint_eq(find(table, 0x40000001, 0)->eax, 0x31237648);
    entry = find(table, 0x40000003, 0);
    ck_assert_uint_eq(entry->eax, 1u << 1 | 1u << 2 | 1u << 5 | 1u << 6 | 1u << 9);
    ck_assert_uint_eq(entry->ebx, 3u << 4);
    entry = find(table, 0x40000004, 0);
    ck_assert_uint_eq(entry->eax, 1u << 5);
    ck_assert_uint_eq(entry->ebx, 0x1fff);
    entry = find(table, 0x40000100, 0);
    ck_assert_ptr_nonnull(entry);
    ck_assert_uint_eq(entry->eax, 0x40000101);
    ck_assert_ptr_nonnull(find(table, 0x40000101, 0));

    g_autoptr(GArray) all = table_of("host,hv-passthrough", INTEL, "");
    ck_assert_uint_eq(find(all, 0x40000003, 0)->eax >> 3 & 1, 1);
    ck_assert_uint_eq(find(all, 0x40000003, 0)->eax >> 7 & 1, 0); /* reset is not offered */
    g_autoptr(GArray) none = table_of("host", INTEL, "");
    ck_assert_uint_eq(find(none, 0x40000000, 0)->ebx, 0x4b4d564b);
}
END_TEST

int main(void)
{
    g_log_set_writer_func(count_warnings, NULL, NULL);
    Suite *suite = suite_create("cpu-model");
    TCase *tcase = tcase_create("cpu-model");
    tcase_add_test(tcase, names_are_unique_and_found);
    tcase_add_test(tcase, host_has_all_unless_it_is_to_be_moved);
    tcase_add_test(tcase, levels_have_exactly_their_features);
    tcase_add_test(tcase, features_are_switched_by_name);
    tcase_add_test(tcase, nesting_is_one_switch);
    tcase_add_test(tcase, what_the_host_lacks_is_told);
    tcase_add_test(tcase, nonsense_is_refused);
    tcase_add_test(tcase, hyperv_leaves_come_first);
    suite_add_tcase(suite, tcase);
    return check_run(suite);
}

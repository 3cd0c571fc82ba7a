// SPDX-License-Identifier: GPL-2.0-or-later
/* What the processors can do: AMD's Programmer's Manual volume 2, chapter 15; Intel's volume 3, chapters 24
 * and 29. */
#include <cpuid.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "host-vmm/vmctl/host-check.h"
#include "host-vmm/vmctl/print.h"

#define CPUID_VMX            (1u << 5)  /* leaf 1, ECX */
#define CPUID_SVM            (1u << 2)  /* leaf 0x80000001, ECX */
#define MSR_FEATURE_CONTROL  0x3a       /* Intel: bit 0 locked, bit 2 VMX outside SMX */
#define MSR_VM_CR            0xc0010114 /* AMD: bit 4 SVM disabled */
#define FEATURE_CONTROL_LOCK 0x1
#define FEATURE_CONTROL_VMX  0x4
#define VM_CR_SVMDIS         0x10

/* As the CPU itself says it, whatever the kernel has crossed out in /proc/cpuinfo. */
static gboolean read_cpuid(const Host *host, guint32 leaf, guint32 *ecx)
{
    g_autofree char *path = host_path(host, "/dev/cpu/0/cpuid");
    guint32 registers[4];
    unsigned eax, ebx, edx, out;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    gboolean done = fd >= 0 && pread(fd, registers, sizeof registers, leaf) == sizeof registers;

    if (fd >= 0)
        close(fd);
    if (done) {
        *ecx = registers[2];
        return TRUE;
    }
    if (*host->root != '\0' || !__get_cpuid(leaf, &eax, &ebx, &out, &edx))
        return FALSE;
    *ecx = out;
    return TRUE;
}

static gboolean read_msr(const Host *host, guint32 number, guint64 *value)
{
    g_autofree char *path = host_path(host, "/dev/cpu/0/msr");
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    gboolean done = fd >= 0 && pread(fd, value, sizeof *value, number) == sizeof *value;

    if (fd >= 0)
        close(fd);
    return done;
}

/* The first line of that name in /proc/cpuinfo, or "". Owned. */
static char *cpuinfo_line(const char *cpuinfo, const char *name)
{
    g_auto(GStrv) lines = g_strsplit(cpuinfo != NULL ? cpuinfo : "", "\n", -1);

    for (guint i = 0; lines[i] != NULL; i++) {
        const char *colon = strchr(lines[i], ':');
        g_autofree char *key = colon == NULL ? NULL : g_strndup(lines[i], (gsize)(colon - lines[i]));

        if (key != NULL && strcmp(g_strstrip(key), name) == 0)
            return g_strdup(g_strstrip(lines[i] + (colon - lines[i]) + 1));
    }
    return g_strdup("");
}

static gboolean has_flag(const char *flags, const char *flag)
{
    g_auto(GStrv) words = g_strsplit(flags, " ", -1);

    return g_strv_contains((const char *const *)words, flag);
}

/* Why the CPU's extension is not in /proc/cpuinfo. */
static void explain_missing(Host *host, gboolean is_amd, gboolean is_guest)
{
    guint32 vmx = 0, svm = 0;
    guint64 msr = 0;
    gboolean known = is_amd ? read_cpuid(host, 0x80000001, &svm) : read_cpuid(host, 1, &vmx);
    gboolean in_cpu = ((vmx & CPUID_VMX) | (svm & CPUID_SVM)) != 0;
    gboolean locked = is_amd ? read_msr(host, MSR_VM_CR, &msr) && (msr & VM_CR_SVMDIS) != 0
                             : read_msr(host, MSR_FEATURE_CONTROL, &msr) &&
                                   (msr & FEATURE_CONTROL_LOCK) != 0 && (msr & FEATURE_CONTROL_VMX) == 0;
    HostCheckState state = host_has(host, "/dev/kvm") ? HOST_CHECK_WARN : HOST_CHECK_FAIL;

    if (in_cpu || locked)
        host_check_add(host, "cpu-virtualization", state,
                       g_strdup_printf("%s is in the CPU, but %s", is_amd ? "SVM" : "VMX",
                                       locked
                                           ? "the firmware has switched it off"
                                           : "the kernel does not use it: the firmware has switched it off"),
                       g_strdup(is_amd ? "switch on SVM (AMD-V) in the firmware's setup"
                                       : "switch on VMX (Intel VT-x) in the firmware's setup"));
    else if (is_guest)
        host_check_add(
            host, "cpu-virtualization", state,
            g_strdup("this machine is a guest, and its hypervisor offers no nested virtualisation"),
            g_strdup("switch on nested virtualisation, and -cpu host, for this guest on its host"));
    else
        host_check_add(
            host, "cpu-virtualization", state,
            g_strdup(known ? "the CPU has neither VMX nor SVM" : "neither VMX nor SVM is to be seen"), NULL);
}

/* As much memory as guest-physical addresses can name: "address sizes : 48 bits physical, 48 bits virtual".
 */
static void check_addresses(Host *host, const char *cpuinfo)
{
    g_autofree char *sizes = cpuinfo_line(cpuinfo, "address sizes");
    guint64 bits = g_ascii_strtoull(sizes, NULL, 10);

    if (bits >= 32 && bits < 64 && g_str_has_suffix(sizes, "virtual")) {
        g_autofree char *size = print_size(1ull << bits);

        host_check_add(host, "guest-memory", HOST_CHECK_OK,
                       g_strdup_printf("up to %s a guest (%u bits of addresses)", size, (guint)bits), NULL);
    } else {
        host_check_add(host, "guest-memory", HOST_CHECK_NOTE, g_strdup("its limit is not known"), NULL);
    }
}

void host_check_cpu(Host *host)
{
    g_autofree char *cpuinfo = host_read(host, "/proc/cpuinfo");
    g_autofree char *model = cpuinfo_line(cpuinfo, "model name"),
                    *vendor = cpuinfo_line(cpuinfo, "vendor_id");
    g_autofree char *flags = cpuinfo_line(cpuinfo, "flags"), *vmx_flags = cpuinfo_line(cpuinfo, "vmx flags");
    gboolean is_amd = strcmp(vendor, "AuthenticAMD") == 0 || strcmp(vendor, "HygonGenuine") == 0;
    gboolean vmx = has_flag(flags, "vmx"), svm = has_flag(flags, "svm");

    host_check_add(host, "cpu", *model != '\0' ? HOST_CHECK_OK : HOST_CHECK_NOTE,
                   g_strdup(*model != '\0' ? model : "not known"), NULL);
    check_addresses(host, cpuinfo);
    if (!vmx && !svm) {
        explain_missing(host, is_amd, has_flag(flags, "hypervisor"));
        return;
    }
    host_check_add(host, "cpu-virtualization", HOST_CHECK_OK, g_strdup(vmx ? "Intel VMX" : "AMD SVM"), NULL);
    if (vmx ? has_flag(flags, "ept") || has_flag(vmx_flags, "ept") : has_flag(flags, "npt"))
        host_check_add(host, "nested-paging", HOST_CHECK_OK, g_strdup(vmx ? "EPT" : "NPT"), NULL);
    else
        host_check_add(host, "nested-paging", HOST_CHECK_WARN,
                       g_strdup("the CPU has no page tables for guests: memory is slow"), NULL);
}

// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * virt-what-cvm: says whether this is a confidential virtual machine, and of which kind. A drop-in for
 * virt-what's; it also takes what the kernel shows in sysfs, which needs neither root nor the msr module,
 * knows Arm's, and has a test root.
 */
#include <dirent.h>
#include <getopt.h>
#include <limits.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "virt-what/cpuid.h"
#include "virt-what/root-file.h"

#define COMPATIBLE "1.27" // the virt-what whose facts and options these are
#define PATIENCE   5      // seconds: a file system below a test root may not answer

// AMD64 Architecture Programmer's Manual, volume 3, appendix E.4.17, and volume 2, 15.34.10.
#define AMD_EXTENDED_MAXIMUM 0x80000000u
#define AMD_ENCRYPTION       0x8000001fu
#define AMD_ENCRYPTION_SEV   (1u << 1) // EAX
#define AMD_SEV_STATUS_MSR   0xc0010131u
#define AMD_SEV_STATUS_SEV   (1u << 0)
#define AMD_SEV_STATUS_ES    (1u << 1)
#define AMD_SEV_STATUS_SNP   (1u << 2)
// Intel TDX Module 1.5 Base Architecture Specification, "CPUID Leaf 0x21".
#define INTEL_TDX           0x21u
#define INTEL_TDX_SIGNATURE "IntelTDX    "
// Hypervisor Top Level Functional Specification, 2.4.
#define HYPERV_INTERFACE         0x40000000u
#define HYPERV_LEAVES_LEAST      0x40000005u
#define HYPERV_LEAVES_MOST       0x4000ffffu
#define HYPERV_FEATURES          0x40000003u
#define HYPERV_CPU_MANAGEMENT    (1u << 12) // EBX: only of the root partition
#define HYPERV_ISOLATION         (1u << 22) // EBX
#define HYPERV_ISOLATION_CONFIG  0x4000000cu
#define HYPERV_ISOLATION_TYPE(b) ((b)&15u) // EBX
#define HYPERV_ISOLATION_SNP     2u
#define HYPERV_ISOLATION_TDX     3u

typedef struct {
    const char *root;
    bool debug;
    CpuidSource cpuid;
} Machine;

__attribute__((format(printf, 2, 3))) static void debug(const Machine *machine, const char *format, ...)
{
    va_list arguments;
    if (!machine->debug)
        return;
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
}

static CpuidRegs ask(const Machine *machine, uint32_t leaf)
{
    CpuidRegs regs = cpuid_leaf(&machine->cpuid, leaf, 0);
    debug(machine, "CPUID 0x%08x: eax 0x%08x ebx 0x%08x ecx 0x%08x edx 0x%08x", leaf, regs.eax, regs.ebx,
          regs.ecx, regs.edx);
    return regs;
}

/* Vendors, and TDX, spell their names in the order ebx, edx, ecx. */
static bool spells(CpuidRegs regs, const char *name)
{
    char signature[13];
    CpuidRegs ordered = {.ebx = regs.ebx, .ecx = regs.edx, .edx = regs.ecx};
    cpuid_signature(&ordered, signature);
    return strcmp(signature, name) == 0;
}

static bool exists(const Machine *machine, const char *path)
{
    bool found = root_file_exists(machine->root, path);
    debug(machine, "%s: %s", path, found ? "there" : "not there");
    return found;
}

static bool first_byte_is(const Machine *machine, const char *path, char wanted)
{
    RootText text;
    bool found = root_file_read(machine->root, path, 64, &text) == ROOT_FILE_READ && text.bytes[0] == wanted;
    debug(machine, "%s: %s", path, found ? "yes" : "no, or not there");
    free(text.bytes);
    return found;
}

/* Who answers the attestation reports that somebody has begun in configfs
 * (Documentation/ABI/testing/configfs-tsm-report). */
static bool report_provider_is(const Machine *machine, const char *wanted)
{
    static const char folder[] = "/sys/kernel/config/tsm/report";
    char full[ROOT_PATH_MAX], path[sizeof(folder) + NAME_MAX + sizeof("/provider")];
    DIR *reports = root_path(full, machine->root, folder) ? opendir(full) : NULL;
    struct dirent *entry;
    bool found = false;
    while (reports && !found && (entry = readdir(reports))) {
        RootText text;
        if (entry->d_name[0] == '.')
            continue;
        snprintf(path, sizeof(path), "%s/%s/provider", folder, entry->d_name);
        if (root_file_read(machine->root, path, 64, &text) != ROOT_FILE_READ)
            continue;
        text.bytes[strcspn(text.bytes, "\n")] = '\0';
        debug(machine, "%s: %s", path, text.bytes);
        found = strcmp(text.bytes, wanted) == 0;
        free(text.bytes);
    }
    if (reports)
        closedir(reports);
    return found;
}

/* Below Azure's paravisor the processor's own signs are hidden, and Hyper-V's tell. */
static bool hyperv_isolates_by(const Machine *machine, uint32_t type)
{
    char signature[13];
    CpuidRegs interface = ask(machine, HYPERV_INTERFACE);
    cpuid_signature(&interface, signature);
    if (strcmp(signature, "Microsoft Hv") != 0 || interface.eax < HYPERV_LEAVES_LEAST ||
        interface.eax > HYPERV_LEAVES_MOST)
        return false;
    CpuidRegs features = ask(machine, HYPERV_FEATURES);
    if (!(features.ebx & HYPERV_ISOLATION) || features.ebx & HYPERV_CPU_MANAGEMENT)
        return false;
    return HYPERV_ISOLATION_TYPE(ask(machine, HYPERV_ISOLATION_CONFIG).ebx) == type;
}

/* The kernel makes these only in an SEV-SNP guest. */
static bool kernel_says_snp(const Machine *machine)
{
    return exists(machine, "/sys/devices/platform/sev-guest") ||
           exists(machine, "/sys/devices/system/cpu/sev/vmpl") || exists(machine, "/dev/sev-guest") ||
           report_provider_is(machine, "sev_guest");
}

static void print_amd(const Machine *machine)
{
    if (ask(machine, AMD_EXTENDED_MAXIMUM).eax < AMD_ENCRYPTION ||
        !(ask(machine, AMD_ENCRYPTION).eax & AMD_ENCRYPTION_SEV)) {
        if (hyperv_isolates_by(machine, HYPERV_ISOLATION_SNP))
            puts("amd-sev-snp\nhyperv-hcl");
        else if (kernel_says_snp(machine))
            puts("amd-sev-snp");
        return;
    }
    // The leaf says what the processor can; the register says what this guest has.
    uint64_t status;
    if (!root_file_read_at(machine->root, "/dev/cpu/0/msr", AMD_SEV_STATUS_MSR, &status, sizeof(status))) {
        debug(machine, "/dev/cpu/0/msr: cannot be read; SEV and SEV-ES cannot be told without it");
        if (kernel_says_snp(machine))
            puts("amd-sev-snp");
        return;
    }
    debug(machine, "MSR 0x%08x: 0x%llx", AMD_SEV_STATUS_MSR, (unsigned long long)status);
    if (status & AMD_SEV_STATUS_SNP)
        puts("amd-sev-snp");
    else if (status & AMD_SEV_STATUS_ES)
        puts("amd-sev-es");
    else if (status & AMD_SEV_STATUS_SEV)
        puts("amd-sev");
}

/* The kernel makes these only in a TDX guest. */
static bool kernel_says_tdx(const Machine *machine)
{
    return exists(machine, "/sys/class/misc/tdx_guest") || exists(machine, "/dev/tdx_guest") ||
           report_provider_is(machine, "tdx_guest");
}

static void print_intel(const Machine *machine, uint32_t basic_maximum)
{
    if (basic_maximum >= INTEL_TDX && spells(ask(machine, INTEL_TDX), INTEL_TDX_SIGNATURE))
        puts("intel-tdx");
    else if (hyperv_isolates_by(machine, HYPERV_ISOLATION_TDX))
        puts("intel-tdx\nhyperv-hcl");
    else if (kernel_says_tdx(machine))
        puts("intel-tdx");
}

static void print_facts(const Machine *machine)
{
    if (ask(machine, 1).ecx >> 31) {
        CpuidRegs vendor = ask(machine, 0);
        if (spells(vendor, "AuthenticAMD"))
            print_amd(machine);
        else if (spells(vendor, "GenuineIntel"))
            print_intel(machine, vendor.eax);
    }
    if (first_byte_is(machine, "/sys/firmware/uv/prot_virt_guest", '1'))
        puts("s390-protvirt");
    if (exists(machine, "/sys/devices/platform/arm-cca-dev") || report_provider_is(machine, "arm_cca_guest"))
        puts("arm-cca");
}

static void usage(FILE *file)
{
    fputs("Usage: virt-what-cvm [-d|--debug] [-h|--help] [-v|--version]\n", file);
}

int main(int argc, char **argv)
{
    static const struct option options[] = {
        {"debug", no_argument, NULL, 'd'},
        {"help", no_argument, NULL, 'h'},
        {"version", no_argument, NULL, 'v'},
        {"test-root", required_argument, NULL, 'r'},
        {NULL, 0, NULL, 0},
    };
    Machine machine = {0};
    for (int option; (option = getopt_long(argc, argv, "dhv", options, NULL)) != -1;)
        switch (option) {
        case 'd':
            machine.debug = true;
            break;
        case 'h':
            usage(stdout);
            return EXIT_SUCCESS;
        case 'v':
            puts(COMPATIBLE);
            return EXIT_SUCCESS;
        case 'r':
            machine.root = optarg;
            break;
        default:
            usage(stderr);
            return EXIT_FAILURE;
        }
    alarm(PATIENCE);
    cpuid_open(&machine.cpuid, machine.root);
    print_facts(&machine);
    return fflush(stdout) == 0 && !ferror(stdout) ? EXIT_SUCCESS : EXIT_FAILURE;
}

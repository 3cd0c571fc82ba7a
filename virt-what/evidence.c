// SPDX-License-Identifier: GPL-2.0-or-later
#include "virt-what/evidence.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <sys/utsname.h>

#include "virt-what/pattern.h"
#include "virt-what/root-file.h"

#define FILES_MAX        128
#define FILE_LIMIT       (256 * 1024) // bytes of a file that are looked at
#define LINE_LIMIT       1024         // characters of a line that a pattern is tried on
#define WORD_LIMIT       256          // bytes of a file with a word in it
#define ACPI_TABLES_MAX  64
#define ACPI_HEADER_SIZE 36 // ACPI 6.5, 5.2.6
#define LEAVES_MAX       16 // leaves of one hypervisor interface that are looked at

typedef struct {
    bool done;
    char *bytes;
    size_t length;
} Text;

struct Evidence {
    const char *root;
    EvidenceDenied denied;
    size_t n_files;
    struct {
        const char *path;
        Text text;
    } files[FILES_MAX]; // NULs are newlines in them
    Text acpi, leaves;  // lines
    bool asked_cpuid, asked_containers, asked_tracer;
    CpuidSource cpuid;
    CpuidPlace places[CPUID_PLACES_MAX];
    size_t n_places;
    int known; // index of the place whose signature counts, or -1
    struct utsname names;
    bool asked_arch;
    const char *chroot;
    char manager[WORD_LIMIT + 1], tracer[WORD_LIMIT + 1];
};

Evidence *evidence_new(const char *root, EvidenceDenied denied)
{
    Evidence *evidence = calloc(1, sizeof(Evidence));
    if (evidence) {
        evidence->root = root;
        evidence->denied = denied;
    }
    return evidence;
}

void evidence_free(Evidence *evidence)
{
    if (!evidence)
        return;
    for (size_t i = 0; i < evidence->n_files; i++)
        free(evidence->files[i].text.bytes);
    free(evidence->acpi.bytes);
    free(evidence->leaves.bytes);
    free(evidence);
}

/* ---- texts ---- */

static bool text_has(const Text *text, const char *wanted)
{
    return text->bytes && memmem(text->bytes, text->length, wanted, strlen(wanted));
}

static bool text_has_line_like(const Text *text, const char *pattern)
{
    if (!text->bytes)
        return false;
    const char *end = text->bytes + text->length;
    for (const char *line = text->bytes; line < end;) {
        const char *newline = memchr(line, '\n', (size_t)(end - line));
        size_t length = (size_t)((newline ? newline : end) - line);
        if (length <= LINE_LIMIT && pattern_matches(pattern, line, length))
            return true;
        line += length + 1;
    }
    return false;
}

/* A file, read at the first question about it. More files than there is room for are empty. */
static const Text *file_text(Evidence *evidence, const char *path)
{
    static const Text nothing = {.done = true};
    size_t i = 0;
    while (i < evidence->n_files && strcmp(evidence->files[i].path, path) != 0)
        i++;
    if (i < evidence->n_files)
        return &evidence->files[i].text;
    if (i == FILES_MAX)
        return &nothing;
    RootText read;
    if (root_file_read(evidence->root, path, FILE_LIMIT, &read) == ROOT_FILE_DENIED)
        evidence->denied(path);
    for (size_t k = 0; k < read.length; k++)
        if (!read.bytes[k])
            read.bytes[k] = '\n';
    evidence->files[i].path = path;
    evidence->files[i].text = (Text){true, read.bytes, read.length};
    evidence->n_files++;
    return &evidence->files[i].text;
}

/* The first line of a file; what is not printable ASCII in it is a question mark. */
static void read_word(Evidence *evidence, const char *path, char word[WORD_LIMIT + 1])
{
    RootText read;
    word[0] = '\0';
    RootFileStatus status = root_file_read(evidence->root, path, WORD_LIMIT, &read);
    if (status == ROOT_FILE_DENIED)
        evidence->denied(path);
    if (status != ROOT_FILE_READ)
        return;
    size_t length = strcspn(read.bytes, "\n");
    for (size_t i = 0; i < length; i++)
        word[i] = read.bytes[i] < ' ' || read.bytes[i] > '~' ? '?' : read.bytes[i];
    word[length] = '\0';
    free(read.bytes);
}

/* ---- CPUID ---- */

static void ask_cpuid(Evidence *evidence)
{
    if (evidence->asked_cpuid)
        return;
    evidence->asked_cpuid = true;
    evidence->known = -1;
    cpuid_open(&evidence->cpuid, evidence->root);
    if (!evidence->cpuid.live && evidence->cpuid.count == 0)
        return;
    evidence->n_places = cpuid_places(&evidence->cpuid, evidence->places);
    evidence->known = cpuid_known_place(evidence->places, evidence->n_places);
}

static void put_leaf(FILE *file, const CpuidSource *source, uint32_t leaf)
{
    CpuidRegs regs = cpuid_leaf(source, leaf, 0);
    fprintf(file, "0x%08x 0x00: eax=0x%08x ebx=0x%08x ecx=0x%08x edx=0x%08x\n", leaf, regs.eax, regs.ebx,
            regs.ecx, regs.edx);
}

/* Leaf 1 and those of the hypervisor's interfaces, as "cpuid -r" prints them. */
static const Text *leaves_text(Evidence *evidence)
{
    ask_cpuid(evidence);
    if (evidence->leaves.done)
        return &evidence->leaves;
    evidence->leaves.done = true;
    if (!evidence->cpuid.live && evidence->cpuid.count == 0)
        return &evidence->leaves;
    FILE *file = open_memstream(&evidence->leaves.bytes, &evidence->leaves.length);
    if (!file)
        return &evidence->leaves;
    put_leaf(file, &evidence->cpuid, 1);
    for (size_t i = 0; i < evidence->n_places; i++) {
        const CpuidPlace *place = &evidence->places[i];
        for (uint32_t leaf = place->leaf; leaf <= place->highest && leaf < place->leaf + LEAVES_MAX; leaf++)
            put_leaf(file, &evidence->cpuid, leaf);
    }
    fclose(file);
    return &evidence->leaves;
}

/* Signatures are filled up with NULs or, bhyve's, with a space, and the tables' texts end with neither. */
static bool is_signature(const char *signature, const char *wanted)
{
    size_t length = strlen(signature);
    while (length && signature[length - 1] == ' ')
        length--;
    return length == strlen(wanted) && strncmp(signature, wanted, length) == 0;
}

/* The interface that answers a question about signatures, or NULL. */
static const CpuidPlace *signature_place(Evidence *evidence, const TableCondition *condition)
{
    ask_cpuid(evidence);
    if (strcmp(condition->kind, "cpuid") == 0) {
        const CpuidPlace *place = evidence->known < 0 ? NULL : &evidence->places[evidence->known];
        return place && is_signature(place->signature, condition->text) ? place : NULL;
    }
    for (size_t i = 0; i < evidence->n_places; i++)
        if (strstr(evidence->places[i].signature, condition->text))
            return &evidence->places[i];
    return NULL;
}

/* ---- ACPI ---- */

#define ACPI_FOLDER "/sys/firmware/acpi/tables"

/* "FACP OEMID TABLEID"; the fields are filled up with spaces or NULs. */
static void put_acpi_header(FILE *file, const char *header)
{
    char oem[7] = "", name[9] = "";
    memcpy(oem, header + 10, 6);
    memcpy(name, header + 16, 8);
    oem[strcspn(oem, " \n")] = '\0';
    name[strcspn(name, " \n")] = '\0';
    fprintf(file, "%.4s %s %s\n", header, oem, name);
}

static const Text *acpi_text(Evidence *evidence)
{
    char full[ROOT_PATH_MAX], path[sizeof(ACPI_FOLDER) + NAME_MAX + 1];
    if (evidence->acpi.done)
        return &evidence->acpi;
    evidence->acpi.done = true;
    DIR *tables = root_path(full, evidence->root, ACPI_FOLDER) ? opendir(full) : NULL;
    FILE *file = tables ? open_memstream(&evidence->acpi.bytes, &evidence->acpi.length) : NULL;
    bool denied = false;
    struct dirent *entry;
    for (int count = 0; file && count < ACPI_TABLES_MAX && (entry = readdir(tables)); count++) {
        RootText header;
        snprintf(path, sizeof(path), ACPI_FOLDER "/%s", entry->d_name);
        denied |= root_file_read(evidence->root, path, ACPI_HEADER_SIZE, &header) == ROOT_FILE_DENIED;
        if (header.length == ACPI_HEADER_SIZE)
            put_acpi_header(file, header.bytes);
        free(header.bytes);
    }
    if (file)
        fclose(file);
    if (tables)
        closedir(tables);
    if (denied)
        evidence->denied(ACPI_FOLDER);
    return &evidence->acpi;
}

/* ---- containers ---- */

#define CONTAINER_VARIABLE "container="

/* PID 1's value of "container=", which may not be in small letters; each, if there are more. */
static bool container_is(Evidence *evidence, const char *wanted)
{
    const Text *text = file_text(evidence, "/proc/1/environ");
    if (!text->bytes)
        return false;
    for (const char *at = text->bytes, *end = at + text->length; at && at < end;) {
        if (strncasecmp(at, CONTAINER_VARIABLE, strlen(CONTAINER_VARIABLE)) == 0 &&
            strncasecmp(at + strlen(CONTAINER_VARIABLE), wanted, strlen(wanted)) == 0)
            return true;
        at = memchr(at, '\n', (size_t)(end - at));
        at = at ? at + 1 : NULL;
    }
    return false;
}

/*
 * The Container Interface of systemd: the manager leaves its name in /run/host, PID 1 in /run/systemd, where
 * everybody may read it; without either it is in PID 1's environment.
 */
static void ask_containers(Evidence *evidence)
{
    if (evidence->asked_containers)
        return;
    evidence->asked_containers = true;
    read_word(evidence, "/run/host/container-manager", evidence->manager);
    if (!evidence->manager[0])
        read_word(evidence, "/run/systemd/container", evidence->manager);
    if (evidence->manager[0])
        return;
    const Text *text = file_text(evidence, "/proc/1/environ");
    if (!text->bytes)
        return;
    for (const char *at = text->bytes, *end = at + text->length; at < end;) {
        size_t length = strcspn(at, "\n");
        if (strncmp(at, CONTAINER_VARIABLE, strlen(CONTAINER_VARIABLE)) == 0 && length < WORD_LIMIT) {
            at += strlen(CONTAINER_VARIABLE);
            length -= strlen(CONTAINER_VARIABLE);
            for (size_t i = 0; i < length; i++)
                evidence->manager[i] = at[i] < ' ' || at[i] > '~' ? '?' : at[i];
            evidence->manager[length] = '\0';
            return;
        }
        at += length + 1;
    }
}

const char *evidence_manager(Evidence *evidence)
{
    ask_containers(evidence);
    return evidence->manager;
}

/* The name of the process that traces us, which is how proot works. */
static const char *ask_tracer(Evidence *evidence)
{
    static const char field[] = "TracerPid:";
    if (!evidence->asked_tracer) {
        evidence->asked_tracer = true;
        const Text *status = file_text(evidence, "/proc/self/status");
        const char *at = status->bytes ? strstr(status->bytes, field) : NULL;
        unsigned long pid = at ? strtoul(at + strlen(field), NULL, 10) : 0;
        char path[64];
        snprintf(path, sizeof(path), "/proc/%lu/comm", pid);
        if (pid)
            read_word(evidence, path, evidence->tracer);
    }
    return evidence->tracer;
}

/* As systemd does: our root folder is not PID 1's; and where there is no proc at all it is a bare chroot. */
const char *evidence_chroot(Evidence *evidence)
{
    char path[ROOT_PATH_MAX];
    struct stat ours, theirs;
    if (evidence->chroot)
        return evidence->chroot;
    evidence->chroot = "unknown";
    if (!root_path(path, evidence->root, "/") || stat(path, &ours) < 0 ||
        !root_path(path, evidence->root, "/proc/1/root"))
        return evidence->chroot;
    if (stat(path, &theirs) == 0)
        evidence->chroot = ours.st_dev == theirs.st_dev && ours.st_ino == theirs.st_ino ? "no" : "yes";
    else if (errno == ENOENT && !root_file_exists(evidence->root, "/proc/self"))
        evidence->chroot = "yes";
    return evidence->chroot;
}

/* ---- other questions ---- */

const char *evidence_arch(Evidence *evidence)
{
    if (!evidence->asked_arch) {
        char *machine = evidence->names.machine;
        evidence->asked_arch = true;
        if (uname(&evidence->names) < 0)
            machine[0] = '\0';
        if (machine[0] == 'i' && machine[1] && strcmp(machine + 2, "86") == 0)
            strcpy(machine, "i386");
        else if (strncmp(machine, "arm", 3) == 0)
            machine[3] = '\0';
    }
    return evidence->names.machine;
}

static bool arch_is(Evidence *evidence, const char *patterns)
{
    const char *arch = evidence_arch(evidence);
    char pattern[TABLE_TEXT_MAX + 1];
    while (*patterns) {
        size_t length = strcspn(patterns, " ");
        memcpy(pattern, patterns, length);
        pattern[length] = '\0';
        if (length && pattern_matches(pattern, arch, strlen(arch)))
            return true;
        patterns += length + (patterns[length] == ' ');
    }
    return false;
}

/* Whether there is such a path; its last part may be a pattern. */
static bool path_exists(Evidence *evidence, const char *path)
{
    char full[ROOT_PATH_MAX];
    if (!path[strcspn(path, "*?[")])
        return root_file_exists(evidence->root, path);
    const char *name = strrchr(path, '/') + 1;
    bool found = false;
    if (!root_path(full, evidence->root, path))
        return false;
    full[strlen(full) - strlen(name)] = '\0';
    DIR *folder = opendir(full);
    struct dirent *entry;
    while (folder && !found && (entry = readdir(folder)))
        found = entry->d_name[0] != '.' && pattern_matches(name, entry->d_name, strlen(entry->d_name));
    if (folder)
        closedir(folder);
    return found;
}

static bool path_is(Evidence *evidence, const char *path, mode_t type)
{
    char full[ROOT_PATH_MAX];
    struct stat status;
    return root_path(full, evidence->root, path) && stat(full, &status) == 0 &&
           (status.st_mode & S_IFMT) == type;
}

static bool word_is_like(const char *word, const char *pattern)
{
    return word[0] && pattern_matches(pattern, word, strlen(word));
}

static EvidenceAnswer decide(Evidence *evidence, const TableCondition *condition)
{
    const char *text = condition->text, *path = condition->path;
    switch (condition->kind_id) {
    case KIND_DMI:
    case KIND_DMI_LIKE:
    case KIND_FACT:
    case KIND_LDOMS:
        return EVIDENCE_UNDECIDED;
    case KIND_CPUID:
        // In a test root the fake helper alone says this.
        return evidence->root                         ? EVIDENCE_UNDECIDED
               : signature_place(evidence, condition) ? EVIDENCE_YES
                                                      : EVIDENCE_NO;
    case KIND_CPUID_ANY:
        if (signature_place(evidence, condition))
            return EVIDENCE_YES;
        return evidence->root ? EVIDENCE_UNDECIDED : EVIDENCE_NO;
    case KIND_ARCH:
        return evidence->root ? EVIDENCE_UNDECIDED : (EvidenceAnswer)arch_is(evidence, text);
    case KIND_CPUID_LIKE:
        return (EvidenceAnswer)text_has_line_like(leaves_text(evidence), text);
    case KIND_ACPI_LIKE:
        return (EvidenceAnswer)text_has_line_like(acpi_text(evidence), text);
    case KIND_CHROOT:
        return (EvidenceAnswer)(strcmp(evidence_chroot(evidence), text) == 0);
    case KIND_CONTAINER:
        return (EvidenceAnswer)container_is(evidence, text);
    case KIND_CONTAINER_MANAGER:
        return (EvidenceAnswer)word_is_like(evidence_manager(evidence), text);
    case KIND_TRACER:
        return (EvidenceAnswer)word_is_like(ask_tracer(evidence), text);
    case KIND_DIR:
        return (EvidenceAnswer)path_is(evidence, path, S_IFDIR);
    case KIND_FILE:
        return (EvidenceAnswer)path_is(evidence, path, S_IFREG);
    case KIND_PATH:
        return (EvidenceAnswer)path_exists(evidence, path);
    case KIND_FILE_HAS:
        return (EvidenceAnswer)text_has(file_text(evidence, path), text);
    case KIND_FILE_LIKE:
        return (EvidenceAnswer)text_has_line_like(file_text(evidence, path), text);
    }
    return EVIDENCE_NO;
}

EvidenceAnswer evidence_decide(Evidence *evidence, const TableCondition *condition)
{
    EvidenceAnswer answer = decide(evidence, condition);
    if (!condition->negated || answer == EVIDENCE_UNDECIDED)
        return answer;
    return answer == EVIDENCE_YES ? EVIDENCE_NO : EVIDENCE_YES;
}

void evidence_source(Evidence *evidence, const TableCondition *condition, char source[EVIDENCE_SOURCE_MAX])
{
    const CpuidPlace *place;
    const char *where = condition->kind;
    switch (condition->kind_id) {
    case KIND_CPUID:
    case KIND_CPUID_ANY:
        place = signature_place(evidence, condition);
        if (place) {
            snprintf(source, EVIDENCE_SOURCE_MAX, "cpuid 0x%08x", place->leaf);
            return;
        }
        where = "cpuid";
        break;
    case KIND_CPUID_LIKE:
        where = "cpuid";
        break;
    case KIND_ACPI_LIKE:
        where = ACPI_FOLDER;
        break;
    case KIND_ARCH:
        where = "uname";
        break;
    case KIND_CONTAINER:
        where = "/proc/1/environ";
        break;
    default:
        if (condition->path)
            where = condition->path;
    }
    snprintf(source, EVIDENCE_SOURCE_MAX, "%s", where);
}

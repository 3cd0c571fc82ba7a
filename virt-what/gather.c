// SPDX-License-Identifier: GPL-2.0-or-later
#include "virt-what/gather.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "virt-what/evidence.h"
#include "virt-what/root-file.h"

#define FIELD_END  0x1f
#define DMI_LIMIT  256 // bytes of a string of SMBIOS
#define OBJECT_MAX (TABLE_TEXT_MAX + 64)

#define SMBIOS_TABLE "/sys/firmware/dmi/tables/DMI"

/* ---- printing ---- */

static void put_field(const char *text)
{
    for (; *text; text++)
        putchar_unlocked((*text < ' ' || *text > '~') && *text != '\n' ? '?' : *text);
    putchar_unlocked(FIELD_END);
}

static void put_record(const char *tag, const char *text)
{
    put_field(tag);
    put_field(text);
}

static void put_complaint(const char *file, unsigned line, const char *what, void *user)
{
    char text[ROOT_PATH_MAX + 256];
    (void)user;
    if (line)
        snprintf(text, sizeof(text), "%s:%u: %s", file, line, what);
    else
        snprintf(text, sizeof(text), "%s: %s", file, what);
    put_record("bad", text);
}

static void put_denied(const char *path)
{
    put_record("denied", path);
}

/* ---- the machine ---- */

/* The strings of SMBIOS that everybody may read, under the names that dmidecode gives them. */
static void put_dmi(void)
{
    static const struct {
        const char *file, *name;
    } strings[] = {
        {"bios_vendor", "Vendor"},          {"bios_version", "Version"},    {"sys_vendor", "Manufacturer"},
        {"product_name", "Product Name"},   {"product_version", "Version"}, {"product_family", "Family"},
        {"board_vendor", "Manufacturer"},   {"board_name", "Product Name"}, {"board_version", "Version"},
        {"chassis_vendor", "Manufacturer"}, {"chassis_version", "Version"},
    };
    char lines[sizeof(strings) / sizeof(strings[0]) * (DMI_LIMIT + 32)] = "";
    size_t used = 0;
    for (size_t i = 0; i < sizeof(strings) / sizeof(strings[0]); i++) {
        char path[64];
        RootText text;
        snprintf(path, sizeof(path), "/sys/class/dmi/id/%s", strings[i].file);
        if (root_file_read(NULL, path, DMI_LIMIT, &text) != ROOT_FILE_READ)
            continue;
        int length = (int)strcspn(text.bytes, "\n");
        used += (size_t)snprintf(lines + used, sizeof(lines) - used, "%s: %.*s\n", strings[i].name, length,
                                 text.bytes);
        free(text.bytes);
    }
    put_record("dmi", lines);
}

static void put_machine(Evidence *evidence)
{
    char uid[24];
    snprintf(uid, sizeof(uid), "%lu", (unsigned long)geteuid());
    put_record("uid", uid);
    put_record("arch", evidence_arch(evidence));
    put_dmi();
    // The whole table is for root, and dmidecode, alone.
    RootText table;
    if (root_file_read(NULL, SMBIOS_TABLE, 1, &table) == ROOT_FILE_DENIED)
        put_denied(SMBIOS_TABLE);
    free(table.bytes);
}

/* ---- rows ---- */

/* A condition that holds, for people. */
static void explain(Evidence *evidence, const TableCondition *condition)
{
    char source[EVIDENCE_SOURCE_MAX], object[OBJECT_MAX];
    const char *verb = "has", *text = condition->text;
    size_t length = strlen(condition->kind);
    evidence_source(evidence, condition, source);
    if (condition->kind_id == KIND_FILE || condition->kind_id == KIND_DIR || condition->kind_id == KIND_PATH)
        verb = "is", text = condition->kind_id == KIND_FILE  ? "a file"
                            : condition->kind_id == KIND_DIR ? "a folder"
                                                             : "there";
    else if (condition->kind_id == KIND_CONTAINER_MANAGER)
        verb = "is", text = evidence_manager(evidence);
    else if (condition->kind_id == KIND_ARCH)
        verb = "is", text = evidence_arch(evidence);
    else if (length > 5 && strcmp(condition->kind + length - 5, "-like") == 0)
        verb = "like";
    snprintf(object, sizeof(object), "%s:%s", verb, text);
    putchar_unlocked(condition->negated ? '-' : '+');
    put_field(source);
    put_field(object);
}

/* Prints a row, unless it is known not to hold. */
static void put_row(const GatherOptions *options, Evidence *evidence, const TableRow *row)
{
    EvidenceAnswer answers[TABLE_CONDITIONS_MAX];
    size_t undecided = 0;
    for (size_t i = 0; i < row->n_conditions; i++) {
        answers[i] = evidence_decide(evidence, &row->conditions[i]);
        if (answers[i] == EVIDENCE_NO)
            return;
        undecided += answers[i] == EVIDENCE_UNDECIDED;
    }
    put_field("row");
    put_field(row->facts);
    put_field(row->chains);
    printf("%zu%c", options->explain ? row->n_conditions + 1 : undecided, FIELD_END);
    if (options->explain) {
        char where[ROOT_PATH_MAX + 16];
        snprintf(where, sizeof(where), "%s:%u", row->file, row->line);
        put_record("@", where);
    }
    for (size_t i = 0; i < row->n_conditions; i++) {
        const TableCondition *condition = &row->conditions[i];
        if (answers[i] == EVIDENCE_UNDECIDED) {
            if (condition->negated)
                putchar_unlocked('!');
            put_field(condition->kind);
            put_field(condition->text);
        } else if (options->explain)
            explain(evidence, condition);
    }
}

static void put_rows(const GatherOptions *options, Evidence *evidence, const Table *table)
{
    // Section by section: what a site adds to one comes after what the others have in it.
    for (int section = 0; section < SECTION_COUNT; section++) {
        if (!options->sections[section])
            continue;
        put_record("section", table_section_name((TableSection)section));
        for (size_t i = 0; i < table->n_rows; i++)
            if (table->rows[i].section == (TableSection)section)
                put_row(options, evidence, &table->rows[i]);
    }
}

static bool read_tables(const GatherOptions *options, Table *table, TableComplaint complain)
{
    if (!table || !table_add_file(table, NULL, options->table, complain, NULL))
        return false;
    if (options->table_folder)
        table_add_folder(table, options->root, options->table_folder, complain, NULL);
    return true;
}

bool gather(const GatherOptions *options)
{
    Table *table = table_new();
    Evidence *evidence = evidence_new(options->root, put_denied);
    put_field("virt-what-1");
    bool good = evidence && read_tables(options, table, put_complaint);
    if (good) {
        if (!options->root)
            put_machine(evidence);
        if (options->sections[SECTION_SYSTEMD_CHROOT])
            put_record("chroot", evidence_chroot(evidence));
        put_rows(options, evidence, table);
    }
    evidence_free(evidence);
    table_free(table);
    return good;
}

static void ignore_complaint(const char *file, unsigned line, const char *what, void *user)
{
    (void)file, (void)line, (void)what, (void)user;
}

/* Whether an earlier row of the sections has the facts of this one. */
static bool is_repeated(const GatherOptions *options, const Table *table, size_t row)
{
    for (size_t i = 0; i < row; i++)
        if (options->sections[table->rows[i].section] &&
            strcmp(table->rows[i].facts, table->rows[row].facts) == 0)
            return true;
    return false;
}

bool gather_names(const GatherOptions *options)
{
    Table *table = table_new();
    bool good = read_tables(options, table, ignore_complaint);
    for (size_t i = 0; good && i < table->n_rows; i++)
        if (options->sections[table->rows[i].section] && strcmp(table->rows[i].facts, "-") != 0 &&
            !is_repeated(options, table, i))
            puts(table->rows[i].facts);
    table_free(table);
    return good;
}

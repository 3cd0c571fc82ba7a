// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The signature tables: what says which fact. The format is described in virt-what(1), "Signatures"; a line
 * that does not keep to it is reported and left out, the others count.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#define TABLE_FILES_MAX      64
#define TABLE_FILE_LIMIT     (128 * 1024) // bytes
#define TABLE_ROWS_MAX       1024
#define TABLE_CONDITIONS_MAX 8
#define TABLE_TEXT_MAX       160 // characters of a condition's text
#define TABLE_STARS_MAX      8   // of a pattern
#define TABLE_DMI_STARS_MAX  3   // of one that the shell compares: some take the power of it to fail

typedef enum {
    SECTION_FACTS,
    SECTION_EXTENDED,
    SECTION_MACHINE_LAYERS,
    SECTION_CONTAINER_LAYERS,
    SECTION_SYSTEMD_VM,
    SECTION_SYSTEMD_CONTAINER,
    SECTION_SYSTEMD_CHROOT,
    SECTION_SYSTEMD_PRIVATE_USERS,
    SECTION_COUNT
} TableSection;

typedef enum {
    KIND_ACPI_LIKE,
    KIND_ARCH,
    KIND_CHROOT,
    KIND_CONTAINER,
    KIND_CONTAINER_MANAGER,
    KIND_CPUID,
    KIND_CPUID_ANY,
    KIND_CPUID_LIKE,
    KIND_DIR,
    KIND_DMI,
    KIND_DMI_LIKE,
    KIND_FACT,
    KIND_FILE,
    KIND_FILE_HAS,
    KIND_FILE_LIKE,
    KIND_LDOMS,
    KIND_PATH,
    KIND_TRACER,
} TableKind;

typedef struct {
    bool negated;
    TableKind kind_id;
    const char *kind; // "cpuid", "dmi", "file-has", ...
    const char *path; // of the kinds that look at a path; otherwise NULL
    const char *text; // of the kinds that look for one; otherwise ""
} TableCondition;

typedef struct {
    TableSection section;
    const char *file; // where the row stands, for messages and --json
    unsigned line;
    const char *facts;  // names with commas between them, or "-"
    const char *chains; // names with commas between them; the first may be "-"
    size_t n_conditions;
    TableCondition conditions[TABLE_CONDITIONS_MAX];
} TableRow;

/* Called for each line that cannot be used. */
typedef void (*TableComplaint)(const char *file, unsigned line, const char *what, void *user);

typedef struct {
    size_t n_rows;
    TableRow rows[TABLE_ROWS_MAX];
    size_t n_files;
    struct {
        char *name;
        char *bytes; // the rows point into it
    } files[TABLE_FILES_MAX];
} Table;

/* A new, empty table; NULL if there is no memory for one. */
Table *table_new(void);
void table_free(Table *table);

/*
 * Adds the rows of a text, which is malloc()ed, has room for a NUL behind its length bytes, and is taken. The
 * name is for messages and --json. False if there are too many texts.
 */
bool table_add_text(Table *table, const char *name, char *bytes, size_t length, TableComplaint complain,
                    void *user);

/* Adds the rows of a file. False if it cannot be read; one that is too much for the table is complained of.
 */
bool table_add_file(Table *table, const char *root, const char *path, TableComplaint complain, void *user);

/* Adds the rows of the files of a folder whose names end in ".signatures", in the order of their names. No
 * folder, no rows. */
void table_add_folder(Table *table, const char *root, const char *folder, TableComplaint complain,
                      void *user);

/* "facts", "extended", ... */
const char *table_section_name(TableSection section);
bool table_section_parse(const char *name, TableSection *section);

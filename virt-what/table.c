// SPDX-License-Identifier: GPL-2.0-or-later
#include "virt-what/table.h"

#include <ctype.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "virt-what/pattern.h"
#include "virt-what/root-file.h"

#define NAME_MAX_LENGTH 40
#define BLANKS          " \t"

typedef enum { NEEDS_TEXT, NEEDS_PATTERN, NEEDS_PATH, NEEDS_PATH_AND_TEXT, NEEDS_PATH_AND_PATTERN } Needs;

static const struct {
    const char *name;
    Needs needs;
} kinds[] = {
    [KIND_ACPI_LIKE] = {"acpi-like", NEEDS_PATTERN},
    [KIND_ARCH] = {"arch", NEEDS_PATTERN},
    [KIND_CHROOT] = {"chroot", NEEDS_TEXT},
    [KIND_CONTAINER] = {"container", NEEDS_TEXT},
    [KIND_CONTAINER_MANAGER] = {"container-manager", NEEDS_PATTERN},
    [KIND_CPUID] = {"cpuid", NEEDS_TEXT},
    [KIND_CPUID_ANY] = {"cpuid-any", NEEDS_TEXT},
    [KIND_CPUID_LIKE] = {"cpuid-like", NEEDS_PATTERN},
    [KIND_DIR] = {"dir", NEEDS_PATH},
    [KIND_DMI] = {"dmi", NEEDS_TEXT},
    [KIND_DMI_LIKE] = {"dmi-like", NEEDS_PATTERN},
    [KIND_FACT] = {"fact", NEEDS_TEXT},
    [KIND_FILE] = {"file", NEEDS_PATH},
    [KIND_FILE_HAS] = {"file-has", NEEDS_PATH_AND_TEXT},
    [KIND_FILE_LIKE] = {"file-like", NEEDS_PATH_AND_PATTERN},
    [KIND_LDOMS] = {"ldoms", NEEDS_TEXT},
    [KIND_PATH] = {"path", NEEDS_PATH},
    [KIND_TRACER] = {"tracer", NEEDS_PATTERN},
};

static const char *const section_names[SECTION_COUNT] = {
    [SECTION_FACTS] = "facts",
    [SECTION_EXTENDED] = "extended",
    [SECTION_MACHINE_LAYERS] = "machine-layers",
    [SECTION_CONTAINER_LAYERS] = "container-layers",
    [SECTION_SYSTEMD_VM] = "systemd-vm",
    [SECTION_SYSTEMD_CONTAINER] = "systemd-container",
    [SECTION_SYSTEMD_CHROOT] = "systemd-chroot",
    [SECTION_SYSTEMD_PRIVATE_USERS] = "systemd-private-users",
};

const char *table_section_name(TableSection section)
{
    return section_names[section];
}

bool table_section_parse(const char *name, TableSection *section)
{
    for (int i = 0; i < SECTION_COUNT; i++)
        if (strcmp(name, section_names[i]) == 0) {
            *section = (TableSection)i;
            return true;
        }
    return false;
}

Table *table_new(void)
{
    return calloc(1, sizeof(Table));
}

void table_free(Table *table)
{
    if (!table)
        return;
    for (size_t i = 0; i < table->n_files; i++) {
        free(table->files[i].name);
        free(table->files[i].bytes);
    }
    free(table);
}

/* Cuts the next word off, or gives NULL. */
static char *next_word(char **rest)
{
    *rest += strspn(*rest, BLANKS);
    if (!**rest)
        return NULL;
    char *word = *rest;
    *rest += strcspn(*rest, BLANKS);
    if (**rest)
        *(*rest)++ = '\0';
    return word;
}

static char *trimmed(char *text)
{
    text += strspn(text, BLANKS);
    size_t length = strlen(text);
    while (length && strchr(BLANKS, text[length - 1]))
        text[--length] = '\0';
    return text;
}

/* Names with commas between them, each of letters, digits and "._-". A first "-" stands for none. */
static bool names_are_good(const char *names)
{
    size_t length = 0;
    for (const char *at = names;; at++) {
        if (*at == ',' || !*at) {
            if (length == 0 || length > NAME_MAX_LENGTH)
                return false;
            length = 0;
            if (!*at)
                return true;
        } else if (isalnum((unsigned char)*at) || strchr("._-", *at))
            length++;
        else
            return false;
    }
}

/* What follows the kind; gives what is wrong with it, or NULL. */
static const char *parse_argument(TableCondition *condition, Needs needs, char *rest)
{
    condition->path = NULL;
    if (needs >= NEEDS_PATH) {
        condition->path = next_word(&rest);
        if (!condition->path || condition->path[0] != '/' || strstr(condition->path, "/.."))
            return "a path from / on, without \"..\", is missing";
    }
    condition->text = trimmed(rest);
    if ((needs == NEEDS_PATH) != !condition->text[0])
        return needs == NEEDS_PATH ? "there is something after the path" : "the text is missing";
    if (strlen(condition->text) > TABLE_TEXT_MAX ||
        (condition->path && strlen(condition->path) > TABLE_TEXT_MAX))
        return "the text is too long";
    bool is_pattern = needs == NEEDS_PATTERN || needs == NEEDS_PATH_AND_PATTERN;
    bool by_shell = condition->kind_id == KIND_DMI_LIKE || condition->kind_id == KIND_ARCH;
    if (is_pattern && !pattern_is_good(condition->text, by_shell ? TABLE_DMI_STARS_MAX : TABLE_STARS_MAX))
        return "the pattern has a backslash, an open bracket or too many stars";
    // Only the last part of a path can be a pattern, and only where there is nothing to be read.
    const char *special = condition->path ? strpbrk(condition->path, "*?[\\") : NULL;
    if (special && (condition->kind_id != KIND_PATH || strchr(special, '/') ||
                    !pattern_is_good(condition->path, TABLE_STARS_MAX)))
        return "only the last part of a \"path\" can be a pattern";
    return NULL;
}

static const char *parse_condition(TableCondition *condition, char *rest)
{
    char *word = next_word(&rest);
    condition->negated = word && strcmp(word, "not") == 0;
    if (condition->negated)
        word = next_word(&rest);
    if (!word)
        return "evidence is missing";
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
        if (strcmp(word, kinds[i].name) == 0) {
            condition->kind_id = (TableKind)i;
            condition->kind = kinds[i].name;
            return parse_argument(condition, kinds[i].needs, rest);
        }
    return "there is no such kind of evidence";
}

static const char *parse_row(TableRow *row, char *line)
{
    row->facts = next_word(&line);
    row->chains = next_word(&line);
    if (!row->chains || !names_are_good(row->facts) || !names_are_good(row->chains))
        return "this is not FACT CHAIN EVIDENCE";
    row->n_conditions = 0;
    for (char *rest = line; rest;) {
        char *condition = rest;
        rest = strstr(rest, " && ");
        if (rest) {
            *rest = '\0';
            rest += strlen(" && ");
        }
        if (row->n_conditions == TABLE_CONDITIONS_MAX)
            return "there is too much evidence in one line";
        const char *wrong = parse_condition(&row->conditions[row->n_conditions++], condition);
        if (wrong)
            return wrong;
    }
    return NULL;
}

static bool is_printable(const char *line, size_t length)
{
    for (size_t i = 0; i < length; i++)
        if ((line[i] < ' ' || line[i] > '~') && line[i] != '\t')
            return false;
    return true;
}

/* One line; NULL if it is fine. */
static const char *parse_line(Table *table, char *line, size_t length, TableSection *section,
                              const char *file, unsigned number)
{
    if (length && line[length - 1] == '\r')
        line[--length] = '\0';
    if (!is_printable(line, length))
        return "there are characters that are not ASCII";
    line = trimmed(line);
    if (!*line || *line == '#')
        return NULL;
    if (*line == '[') {
        char *end = strchr(line, ']');
        if (!end || end[1])
            return "this is not [SECTION]";
        *end = '\0';
        *section = SECTION_COUNT;
        return table_section_parse(line + 1, section) ? NULL : "there is no such section";
    }
    if (*section == SECTION_COUNT)
        return NULL; // the lines of a section that was complained of already
    if (table->n_rows == TABLE_ROWS_MAX)
        return "there are too many lines";
    TableRow *row = &table->rows[table->n_rows];
    row->section = *section;
    row->file = file;
    row->line = number;
    const char *wrong = parse_row(row, line);
    if (!wrong)
        table->n_rows++;
    return wrong;
}

bool table_add_text(Table *table, const char *name, char *bytes, size_t length, TableComplaint complain,
                    void *user)
{
    char *copy = table->n_files < TABLE_FILES_MAX ? strdup(name) : NULL;
    if (!copy) {
        complain(name, 0, "there are too many files", user);
        free(bytes);
        return false;
    }
    table->files[table->n_files].name = copy;
    table->files[table->n_files].bytes = bytes;
    table->n_files++;
    TableSection section = SECTION_FACTS;
    unsigned number = 0;
    for (char *line = bytes, *end = bytes + length; line < end;) {
        char *newline = memchr(line, '\n', (size_t)(end - line));
        size_t line_length = (size_t)((newline ? newline : end) - line);
        line[line_length] = '\0';
        const char *wrong = parse_line(table, line, line_length, &section, copy, ++number);
        if (wrong)
            complain(copy, number, wrong, user);
        line += line_length + 1;
    }
    return true;
}

bool table_add_file(Table *table, const char *root, const char *path, TableComplaint complain, void *user)
{
    RootText text;
    // One byte more than allowed, to see a file that is too long.
    if (root_file_read(root, path, TABLE_FILE_LIMIT + 1, &text) != ROOT_FILE_READ)
        return false;
    if (text.length > TABLE_FILE_LIMIT) {
        complain(path, 0, "the file is too long", user);
        free(text.bytes);
        return true;
    }
    table_add_text(table, path, text.bytes, text.length, complain, user);
    return true;
}

static int is_signature_file(const struct dirent *entry)
{
    static const char suffix[] = ".signatures";
    size_t length = strlen(entry->d_name);
    return entry->d_name[0] != '.' && length > strlen(suffix) &&
           strcmp(entry->d_name + length - strlen(suffix), suffix) == 0;
}

void table_add_folder(Table *table, const char *root, const char *folder, TableComplaint complain, void *user)
{
    char full[ROOT_PATH_MAX], path[ROOT_PATH_MAX];
    struct dirent **entries;
    int count = root_path(full, root, folder) ? scandir(full, &entries, is_signature_file, alphasort) : -1;
    for (int i = 0; i < count; i++) {
        int length = snprintf(path, sizeof(path), "%s/%s", folder, entries[i]->d_name);
        if (length > 0 && length < (int)sizeof(path) && !table_add_file(table, root, path, complain, user))
            complain(path, 0, "cannot be read", user);
        free(entries[i]);
    }
    if (count >= 0)
        free(entries);
}

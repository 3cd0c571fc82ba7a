// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Fuzzes virt-what's signature tables: whatever a site writes, each line gives a row that keeps to the rules
 * or a complaint, and the evidence can be looked at.
 */
#include <ctype.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "virt-what/evidence.h"
#include "virt-what/pattern.h"
#include "virt-what/table.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Holds in fuzzing builds too, which may have no assert(). */
static void check(bool holds)
{
    if (!holds)
        abort();
}

static void count_complaint(const char *file, unsigned line, const char *what, void *user)
{
    (void)line;
    check(strcmp(file, "fuzz") == 0 && what[0]);
    ++*(size_t *)user;
}

static void ignore_denied(const char *path)
{
    check(path[0] == '/');
}

static void check_text(const char *text, size_t most)
{
    check(strlen(text) <= most);
    for (; *text; text++)
        check((*text >= ' ' && *text <= '~') || *text == '\t');
}

static void check_row(const TableRow *row, Evidence *evidence)
{
    check(row->section < SECTION_COUNT && row->n_conditions >= 1 &&
          row->n_conditions <= TABLE_CONDITIONS_MAX);
    for (const char *at = row->facts; *at; at++)
        check(isalnum((unsigned char)*at) || strchr(",._-", *at));
    for (size_t i = 0; i < row->n_conditions; i++) {
        const TableCondition *condition = &row->conditions[i];
        char source[EVIDENCE_SOURCE_MAX];
        check_text(condition->text, TABLE_TEXT_MAX);
        if (condition->path) {
            check_text(condition->path, TABLE_TEXT_MAX);
            check(condition->path[0] == '/' && !strstr(condition->path, "/.."));
        }
        evidence_decide(evidence, condition);
        evidence_source(evidence, condition, source);
        if (pattern_is_good(condition->text, TABLE_STARS_MAX))
            pattern_matches(condition->text, "a line of text: 0x40000000", 26);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t complaints = 0, lines = 1;
    Table *table = table_new();
    Evidence *evidence = evidence_new("/nonexistent", ignore_denied);
    char *bytes = malloc(size + 1);
    check(table && evidence && bytes);
    memcpy(bytes, data, size);
    for (size_t i = 0; i < size; i++)
        lines += data[i] == '\n';
    check(table_add_text(table, "fuzz", bytes, size, count_complaint, &complaints));
    check(table->n_rows + complaints <= lines);
    for (size_t i = 0; i < table->n_rows; i++)
        check_row(&table->rows[i], evidence);
    evidence_free(evidence);
    table_free(table);
    return 0;
}

// SPDX-License-Identifier: GPL-2.0-or-later
#include "balloon/sim/sim-input.h"

#include <string.h>
#include <sys/mman.h>

#include "balloon/sim/sim-spool.h"

#define MIB_MAX (1 << 30)
#define PAGES   (1 << 20) /* bytes of a file after whose reading they are let go */

/* Where a reader is in a file. */
typedef struct {
    const char *path;
    const char *at, *end;
    guint line;
} Reader;

static gboolean bad(const Reader *reader, const char *what, GError **error)
{
    g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_INVAL, "%s:%u: %s", reader->path, reader->line, what);
    return FALSE;
}

/* The next field, without spaces around it; FALSE at the end of the line. */
static gboolean field(Reader *reader, const char **text, gsize *length, gboolean *last)
{
    const char *from = reader->at;
    while (reader->at < reader->end && *reader->at != ',' && *reader->at != '\n')
        reader->at++;
    const char *to = reader->at;
    *last = reader->at == reader->end || *reader->at == '\n';
    if (!*last)
        reader->at++;
    while (from < to && (*from == ' ' || *from == '\t'))
        from++;
    while (to > from && (to[-1] == ' ' || to[-1] == '\t' || to[-1] == '\r'))
        to--;
    *text = from;
    *length = (gsize)(to - from);
    return to > from;
}

/* A field that is a whole number from `low` to `high`; what comes after a point is dropped. */
static gboolean number(Reader *reader, const char *name, gint64 low, gint64 high, gint32 *value,
                       gboolean *last, GError **error)
{
    const char *text;
    gsize length;
    gboolean there = field(reader, &text, &length, last);
    gsize i = 0;
    gboolean minus = there && text[0] == '-';
    if (minus)
        i++;
    gint64 sum = 0;
    gsize digits = 0;
    for (; i < length && g_ascii_isdigit(text[i]); i++, digits++)
        sum = MIN(sum * 10 + (text[i] - '0'), G_GINT64_CONSTANT(1) << 40);
    if (i < length && text[i] == '.')
        for (i++; i < length && g_ascii_isdigit(text[i]); i++)
            ;
    if (minus)
        sum = -sum;
    if (digits == 0 || i < length || sum < low || sum > high) {
        g_autofree char *what =
            g_strdup_printf("%s '%.*s' is not a number from %" G_GINT64_FORMAT " to %" G_GINT64_FORMAT, name,
                            (int)MIN(length, 40), text, low, high);
        return bad(reader, what, error);
    }
    *value = (gint32)sum;
    return TRUE;
}

/* Goes to the next line that says something. FALSE: there is none. */
static gboolean next_line(Reader *reader)
{
    for (;;) {
        if (reader->line > 0) {
            while (reader->at < reader->end && *reader->at != '\n')
                reader->at++;
            if (reader->at < reader->end)
                reader->at++;
        }
        reader->line++;
        if (reader->at == reader->end)
            return FALSE;
        if (*reader->at != '\n' && *reader->at != '\r' && *reader->at != '#')
            return TRUE;
    }
}

static gboolean starts(const Reader *reader, const char *word)
{
    return (gsize)(reader->end - reader->at) > strlen(word) && strncmp(reader->at, word, strlen(word)) == 0;
}

static gboolean read_guests(SimInput *input, GHashTable *names, Reader *reader, GError **error)
{
    while (next_line(reader)) {
        if (reader->line == 1 && starts(reader, "guest,"))
            continue;
        SimGuest guest = {0};
        const char *text;
        gsize length;
        gboolean last;
        if (!field(reader, &text, &length, &last) || last || length > 255)
            return bad(reader, "the line does not begin with a guest's name and a comma", error);
        g_autofree char *name = g_strndup(text, length);
        if (g_hash_table_contains(names, name))
            return bad(reader, "this guest was there before", error);
        field(reader, &text, &length, &last);
        g_autofree char *class = g_strndup(text, MIN(length, 255));
        gint32 max, min, node;
        if (last || !number(reader, "max_mib", 1, MIB_MAX, &max, &last, error) || last ||
            !number(reader, "min_mib", 0, max, &min, &last, error) || last ||
            !number(reader, "shares", 1, 1000000, &guest.shares, &last, error) || last ||
            !number(reader, "vcpus_max", 1, 4096, &guest.vcpus, &last, error) || last)
            return error && *error ? FALSE : bad(reader, "the line is too short", error);
        field(reader, &text, &length, &last); /* image: guests of one image have the same pages */
        if (last || !number(reader, "node", 0, 1023, &node, &last, error) || last)
            return error && *error ? FALSE : bad(reader, "the line is too short", error);
        field(reader, &text, &length, &last);
        static const char *const kinds[] = {"full", "nostats", "lying", "nodriver"};
        gsize kind = 0;
        while (kind < G_N_ELEMENTS(kinds) &&
               (strlen(kinds[kind]) != length || memcmp(kinds[kind], text, length) != 0))
            kind++;
        if (kind == G_N_ELEMENTS(kinds))
            return bad(reader, "stats is not one of full, nostats, lying, nodriver", error);
        guest.stats = (SimStats)kind;
        if (last || !number(reader, "lag_s", 0, SIM_LAG_MAX, &guest.lag, &last, error) || last ||
            !number(reader, "rate_mib_s", 1, MIB_MAX, &guest.rate, &last, error))
            return error && *error ? FALSE : bad(reader, "the line is too short", error);
        if (!last)
            return bad(reader, "the line is too long", error);
        if (input->guests->len == SIM_GUESTS_MAX)
            return bad(reader, "there are too many guests", error);
        guest.max = max;
        guest.min = min;
        guest.name = g_steal_pointer(&name);
        guest.class = g_steal_pointer(&class);
        g_hash_table_insert(names, guest.name, GUINT_TO_POINTER(input->guests->len));
        g_array_append_val(input->guests, guest);
    }
    return input->guests->len > 0 || bad(reader, "there are no guests", error);
}

/* Which guest a field names; mostly the one after the last. */
static gboolean find_guest(const SimInput *input, GHashTable *names, const char *text, gsize length,
                           gint32 *guest)
{
    gint32 next = *guest + 1 < (gint32)input->guests->len ? *guest + 1 : 0;
    for (int try = 0; try < 2; try++, next = *guest) {
        const char *name = g_array_index(input->guests, SimGuest, next).name;
        if (strncmp(name, text, length) == 0 && name[length] == '\0') {
            *guest = next;
            return TRUE;
        }
    }
    char name[256];
    if (length >= sizeof name)
        return FALSE;
    memcpy(name, text, length);
    name[length] = '\0';
    gpointer found;
    if (!g_hash_table_lookup_extended(names, name, NULL, &found))
        return FALSE;
    *guest = (gint32)GPOINTER_TO_UINT(found);
    return TRUE;
}

/* What was read of the file does not stay in our memory. */
static const char *let_go(const char *from, const char *at)
{
    if (at - from < PAGES)
        return from;
    madvise((char *)from, PAGES, MADV_DONTNEED);
    return from + PAGES;
}

static gint by_time(gconstpointer a, gconstpointer b)
{
    const SimDemand *x = a, *y = b;
    return x->t != y->t ? (x->t < y->t ? -1 : 1) : 0;
}

static gboolean read_demand(SimInput *input, GHashTable *names, Reader *reader, GError **error)
{
    gint32 before = 0, guest = -1;
    gboolean sorted = TRUE;
    const char *held = reader->at;
    while (next_line(reader)) {
        if (reader->line == 1 && starts(reader, "t,"))
            continue;
        SimDemand row;
        gint32 dup;
        gboolean last;
        const char *text;
        gsize length;
        if (!number(reader, "t", 0, SIM_SECONDS_MAX, &row.t, &last, error))
            return FALSE;
        if (last || !field(reader, &text, &length, &last) || last)
            return bad(reader, "the line is too short", error);
        guest = MAX(guest, 0);
        if (!find_guest(input, names, text, length, &guest))
            return bad(reader, "the guest is not in the guests' file", error);
        row.guest = guest;
        if (!number(reader, "demand_mib", -1, MIB_MAX, &row.demand, &last, error) || last ||
            !number(reader, "hot_mib", -1, MIB_MAX, &row.hot, &last, error) || last ||
            !number(reader, "cache_mib", -1, MIB_MAX, &row.cache, &last, error) || last ||
            !number(reader, "dup_pct", -1, 100, &dup, &last, error) || last ||
            !number(reader, "cpu_pct", -1, 1000000, &row.cpu, &last, error))
            return error && *error ? FALSE : bad(reader, "the line is too short", error);
        if (!last)
            return bad(reader, "the line is too long", error);
        sorted = sorted && row.t >= before;
        before = row.t;
        input->seconds = MAX(input->seconds, row.t + 1);
        if (input->demand != NULL)
            g_array_append_val(input->demand, row);
        else if (!sorted)
            return bad(reader, "the rows are not in the order of their times", error);
        else if (!sim_spool_add(input->spool, &row, error))
            return FALSE;
        held = let_go(held, reader->at);
    }
    if (!sorted)
        g_array_sort(input->demand, by_time); /* GLib's keeps the order of equal rows */
    return input->seconds > 0 || bad(reader, "there are no demands", error);
}

static void clear_guest(gpointer data)
{
    SimGuest *guest = data;
    g_free(guest->name);
    g_free(guest->class);
}

static gboolean read_both(SimInput *input, const char *guests_path, const char *demand_path, GError **error)
{
    g_autoptr(GHashTable) names = g_hash_table_new(g_str_hash, g_str_equal);
    const char *const paths[] = {guests_path, demand_path};
    input->guests = g_array_new(FALSE, FALSE, sizeof(SimGuest));
    g_array_set_clear_func(input->guests, clear_guest);
    for (int i = 0; i < 2; i++) {
        g_autoptr(GMappedFile) file = g_mapped_file_new(paths[i], FALSE, error);
        if (!file)
            return FALSE;
        Reader reader = {.path = paths[i], .at = g_mapped_file_get_contents(file)};
        reader.end = reader.at + g_mapped_file_get_length(file);
        if (!(i == 0 ? read_guests : read_demand)(input, names, &reader, error))
            return FALSE;
    }
    return TRUE;
}

SimInput *sim_input_read(const char *guests_path, const char *demand_path, GError **error)
{
    g_autoptr(SimInput) input = g_new0(SimInput, 1);
    input->demand = g_array_new(FALSE, FALSE, sizeof(SimDemand));
    return read_both(input, guests_path, demand_path, error) ? g_steal_pointer(&input) : NULL;
}

SimInput *sim_input_spool(const char *guests_path, const char *demand_path, GError **error)
{
    g_autoptr(SimInput) input = g_new0(SimInput, 1);
    input->spool = sim_spool_new(error);
    if (input->spool == NULL || !read_both(input, guests_path, demand_path, error) ||
        !sim_spool_rewind(input->spool, error))
        return NULL;
    return g_steal_pointer(&input);
}

void sim_input_free(SimInput *input)
{
    g_clear_pointer(&input->guests, g_array_unref);
    g_clear_pointer(&input->demand, g_array_unref);
    sim_spool_free(input->spool);
    g_free(input);
}

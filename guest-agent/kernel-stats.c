// SPDX-License-Identifier: GPL-2.0-or-later
#include "guest-agent/kernel-stats.h"

#include <arpa/inet.h>
#include <string.h>

#define MS_PER_S 1000

/* The words of a line, blanks between them taken for one (g_strfreev). */
static char **split_words(const char *line)
{
    g_autoptr(GPtrArray) words = g_ptr_array_new();
    while (*(line += strspn(line, " \t"))) {
        gsize length = strcspn(line, " \t");
        g_ptr_array_add(words, g_strndup(line, length));
        line += length;
    }
    g_ptr_array_add(words, NULL);
    return (char **)g_ptr_array_free(g_steal_pointer(&words), FALSE);
}

static void set_counter(JsonObject *object, const char *name, guint64 value)
{
    json_object_set_int_member(object, name, (gint64)MIN(value, (guint64)G_MAXINT64));
}

/* ---- guest-get-diskstats ---- */

enum { DISK_MAJOR, DISK_MINOR, DISK_NAME, DISK_COUNTERS };

static const char *const DISK_FIELDS[] = {
    "read-ios",       "read-merges",     "read-sectors",  "read-ticks",  "write-ios",    "write-merges",
    "write-sectors",  "write-ticks",     "ios-pgr",       "total-ticks", "weight-ticks", "discard-ios",
    "discard-merges", "discard-sectors", "discard-ticks", "flush-ios",   "flush-ticks",
};
/* Of a partition of a kernel before 2.6.25. */
static const char *const OLD_DISK_FIELDS[] = {"read-ios", "read-sectors", "write-ios", "write-sectors"};

#define BASIC_DISK_FIELDS 11

/* How many of `words` are numbers; they go to values. */
static guint read_counters(char **words, guint64 *values, guint most)
{
    guint count = 0;
    while (count < most && words[count] &&
           g_ascii_string_to_unsigned(words[count], 10, 0, G_MAXUINT64, &values[count], NULL))
        count++;
    return count;
}

static JsonObject *describe_disk(char **words)
{
    guint64 device[2], values[G_N_ELEMENTS(DISK_FIELDS)];
    if (g_strv_length(words) < DISK_COUNTERS || read_counters(words, device, 2) != 2)
        return NULL;
    guint count = read_counters(words + DISK_COUNTERS, values, G_N_ELEMENTS(values));
    const char *const *names = DISK_FIELDS;
    if (count == G_N_ELEMENTS(OLD_DISK_FIELDS))
        names = OLD_DISK_FIELDS;
    else if (count < BASIC_DISK_FIELDS)
        return NULL;
    JsonObject *stats = json_object_new();
    for (guint i = 0; i < count; i++)
        set_counter(stats, names[i], values[i]);
    JsonObject *disk = json_object_new();
    json_object_set_string_member(disk, "name", words[DISK_NAME]);
    set_counter(disk, "major", device[0]);
    set_counter(disk, "minor", device[1]);
    json_object_set_object_member(disk, "stats", stats);
    return disk;
}

JsonArray *kernel_diskstats(const char *text)
{
    JsonArray *disks = json_array_new();
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
    for (char **line = lines; *line; line++) {
        g_auto(GStrv) words = split_words(*line);
        JsonObject *disk = describe_disk(words);
        if (disk)
            json_array_add_object_element(disks, disk);
    }
    return disks;
}

/* ---- guest-get-cpustats ---- */

static const char *const CPU_FIELDS[] = {"user", "nice",    "system", "idle",  "iowait",
                                         "irq",  "softirq", "steal",  "guest", "guestnice"};
#define BASIC_CPU_FIELDS 4

static JsonObject *describe_cpu(char **words, guint ticks)
{
    guint64 number, values[G_N_ELEMENTS(CPU_FIELDS)];
    if (!words[0] || !g_str_has_prefix(words[0], "cpu") ||
        !g_ascii_string_to_unsigned(words[0] + strlen("cpu"), 10, 0, G_MAXINT32, &number, NULL))
        return NULL; /* the sum of all, or another line */
    guint count = read_counters(words + 1, values, G_N_ELEMENTS(values));
    if (count < BASIC_CPU_FIELDS)
        return NULL;
    JsonObject *cpu = json_object_new();
    json_object_set_string_member(cpu, "type", "linux");
    set_counter(cpu, "cpu", number);
    for (guint i = 0; i < count; i++)
        set_counter(cpu, CPU_FIELDS[i],
                    values[i] > G_MAXUINT64 / MS_PER_S ? values[i] / ticks * MS_PER_S
                                                       : values[i] * MS_PER_S / ticks);
    return cpu;
}

JsonArray *kernel_cpustats(const char *text, guint ticks)
{
    JsonArray *cpus = json_array_new();
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
    for (char **line = lines; *line; line++) {
        g_auto(GStrv) words = split_words(*line);
        JsonObject *cpu = describe_cpu(words, MAX(ticks, 1));
        if (cpu)
            json_array_add_object_element(cpus, cpu);
    }
    return cpus;
}

/* ---- guest-network-get-route ---- */

/* An IPv4 address as the kernel prints it: the bytes in memory, as one number. FALSE if it is none. */
static gboolean set_v4(JsonObject *route, const char *name, const char *word)
{
    guint64 value;
    char text[INET_ADDRSTRLEN];
    if (!g_ascii_string_to_unsigned(word, 16, 0, G_MAXUINT32, &value, NULL))
        return FALSE;
    struct in_addr address = {.s_addr = (guint32)value};
    inet_ntop(AF_INET, &address, text, sizeof text);
    json_object_set_string_member(route, name, text);
    return TRUE;
}

/* An IPv6 address as the kernel prints it: 32 hexadecimal digits. */
static gboolean set_v6(JsonObject *route, const char *name, const char *word)
{
    struct in6_addr address;
    char text[INET6_ADDRSTRLEN];
    if (strlen(word) != 2 * sizeof address.s6_addr)
        return FALSE;
    for (gsize i = 0; i < sizeof address.s6_addr; i++) {
        int high = g_ascii_xdigit_value(word[2 * i]), low = g_ascii_xdigit_value(word[2 * i + 1]);
        if (high < 0 || low < 0)
            return FALSE;
        address.s6_addr[i] = (guint8)(high << 4 | low);
    }
    inet_ntop(AF_INET6, &address, text, sizeof text);
    json_object_set_string_member(route, name, text);
    return TRUE;
}

static gboolean set_number(JsonObject *route, const char *name, const char *word, guint base)
{
    gint64 value;
    if (base == 10) {
        if (!g_ascii_string_to_signed(word, base, G_MININT32, G_MAXUINT32, &value, NULL))
            return FALSE;
        json_object_set_int_member(route, name, value);
        return TRUE;
    }
    guint64 bits;
    if (!g_ascii_string_to_unsigned(word, base, 0, G_MAXUINT32, &bits, NULL))
        return FALSE;
    json_object_set_int_member(route, name, (gint64)bits);
    return TRUE;
}

/* Prefix lengths are decimal numbers in strings, so the protocol has it. */
static gboolean set_length(JsonObject *route, const char *name, const char *word)
{
    guint64 value;
    if (!g_ascii_string_to_unsigned(word, 16, 0, 128, &value, NULL))
        return FALSE;
    g_autofree char *text = g_strdup_printf("%u", (guint)value);
    json_object_set_string_member(route, name, text);
    return TRUE;
}

/* "Iface Destination Gateway Flags RefCnt Use Metric Mask MTU Window IRTT" */
static gboolean read_v4(JsonObject *route, char **w)
{
    json_object_set_string_member(route, "iface", w[0]);
    json_object_set_int_member(route, "version", 4);
    return set_v4(route, "destination", w[1]) && set_v4(route, "gateway", w[2]) &&
           set_number(route, "flags", w[3], 16) && set_number(route, "refcnt", w[4], 10) &&
           set_number(route, "use", w[5], 10) && set_number(route, "metric", w[6], 10) &&
           set_v4(route, "mask", w[7]) && set_number(route, "mtu", w[8], 10) &&
           set_number(route, "window", w[9], 10) && set_number(route, "irtt", w[10], 10);
}

/* destination, its prefix length, source, its prefix length, next hop, metric, references, use, flags,
 * interface */
static gboolean read_v6(JsonObject *route, char **w)
{
    json_object_set_string_member(route, "iface", w[9]);
    json_object_set_int_member(route, "version", 6);
    return set_v6(route, "destination", w[0]) && set_length(route, "desprefixlen", w[1]) &&
           set_v6(route, "source", w[2]) && set_length(route, "srcprefixlen", w[3]) &&
           set_v6(route, "nexthop", w[4]) && set_number(route, "metric", w[5], 16) &&
           set_number(route, "refcnt", w[6], 16) && set_number(route, "use", w[7], 16) &&
           set_number(route, "flags", w[8], 16);
}

static void add_routes(JsonArray *routes, const char *text, guint columns,
                       gboolean (*read)(JsonObject *, char **))
{
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
    for (char **line = lines; *line; line++) {
        g_auto(GStrv) words = split_words(*line);
        JsonObject *route = json_object_new();
        if (g_strv_length(words) == columns && read(route, words))
            json_array_add_object_element(routes, route);
        else
            json_object_unref(route); /* the heading, too */
    }
}

void kernel_routes_v4(JsonArray *routes, const char *text)
{
    add_routes(routes, text, 11, read_v4);
}

void kernel_routes_v6(JsonArray *routes, const char *text)
{
    add_routes(routes, text, 10, read_v6);
}

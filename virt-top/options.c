// SPDX-License-Identifier: GPL-2.0-or-later
#include "config.h"

#include "virt-top/options.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <glib/gstdio.h>

#define MAX_INIT_BYTES (1 << 20)
#define MAX_DELAY      1e6

const char *const OPTIONS_COLUMNS[] = {"vcpus", "steal", "rss",  "used", "rdlat",
                                       "wrlat", "hist",  "host", NULL};

static const char USAGE[] =
    "virt-top : a 'top'-like utility for virtualization\n"
    "\n"
    "SUMMARY\n"
    "  virt-top [-options]\n"
    "\n"
    "OPTIONS\n"
    "  -1                Start by displaying pCPUs (default: tasks)\n"
    "  -2                Start by displaying network interfaces\n"
    "  -3                Start by displaying block devices\n"
    "  -b                Batch mode: text on stdout\n"
    "  -c uri            Connect to libvirt URI (may be given more than once)\n"
    "  --connect uri     Connect to libvirt URI\n"
    "  --csv file        Log statistics to CSV file\n"
    "  --no-csv-cpu      Disable CPU stats in CSV\n"
    "  --no-csv-mem      Disable memory stats in CSV\n"
    "  --no-csv-block    Disable block device stats in CSV\n"
    "  --no-csv-net      Disable net stats in CSV\n"
    "  -d delay          Delay time interval (seconds)\n"
    "  --debug file      Send debug messages to file\n"
    "  --end-time time   Exit at given time\n"
    "  --hist-cpu secs   Historical CPU delay\n"
    "  --init-file file  Set name of init file\n"
    "  --no-init-file    Do not read init file\n"
    "  -n iterations     Number of iterations to run\n"
    "  -o sort           Set sort order (cpu|mem|time|id|name|netrx|nettx|blockrdrq|blockwrrq)\n"
    "  -s                Secure (\"kiosk\") mode\n"
    "  --script          Run from a script (no user interface)\n"
    "  --stream          dump output to stdout (no userinterface)\n"
    "  --block-in-bytes  show block device load in bytes rather than reqs\n"
    "  --rates           Show rates per second, not what came since the last refresh\n"
    "  --json            Write one JSON object a refresh to stdout (no user interface)\n"
    "  --prometheus [addr:port|file]\n"
    "                    Serve statistics to Prometheus (default: 127.0.0.1:9177), or write them to a file\n"
    "  --actions         Allow actions on guests: pause, resume, shut down, vCPUs, balloon\n"
    "  --no-host-vmm     Do not look for host-vmm guests\n"
    "  --ascii           Do not use UTF-8 graphics\n"
    "  --no-colour       Do not use colours\n"
    "  --version         Display version number and exit\n"
    "  -help             Display this list of options\n"
    "  --help            Display this list of options\n";

static const struct {
    const char *name;
    SortKey key;
} SORTS[] = {
    {"cpu", SORT_CPU},
    {"processor", SORT_CPU},
    {"mem", SORT_MEMORY},
    {"memory", SORT_MEMORY},
    {"time", SORT_TIME},
    {"id", SORT_ID},
    {"name", SORT_NAME},
    {"netrx", SORT_NET_RX},
    {"nettx", SORT_NET_TX},
    {"blockrdrq", SORT_BLOCK_RD},
    {"blockwrrq", SORT_BLOCK_WR},
};

gboolean options_parse_sort(const char *text, SortKey *key)
{
    for (guint i = 0; i < G_N_ELEMENTS(SORTS); i++) {
        if (strcmp(SORTS[i].name, text) == 0) {
            *key = SORTS[i].key;
            return TRUE;
        }
    }
    return FALSE;
}

const char *options_sort_name(SortKey key)
{
    for (guint i = 0; i < G_N_ELEMENTS(SORTS); i++) {
        if (SORTS[i].key == key) {
            return SORTS[i].name;
        }
    }
    return "cpu";
}

static gboolean parse_number(const char *text, double least, double most, double *value)
{
    char *end;
    double number = g_ascii_strtod(text, &end);

    if (end == text || *end != '\0' || !isfinite(number) || number < least || number > most) {
        return FALSE;
    }
    *value = number;
    return TRUE;
}

gboolean options_parse_end_time(const char *text, gint64 now, gint64 *result)
{
    struct tm parts = {.tm_isdst = -1};
    time_t today = (time_t)now;
    guint hours, minutes, seconds;
    char *end;
    double offset;

    if (text[0] == '+') {
        int used = 0;

        if (sscanf(text + 1, "%3u:%2u:%2u%n", &hours, &minutes, &seconds, &used) == 3 &&
            text[1 + used] == '\0') {
            *result = now + hours * 3600 + minutes * 60 + seconds;
            return TRUE;
        }
        if (g_ascii_isdigit(text[1]) && parse_number(text + 1, 0, 1e9, &offset)) {
            *result = now + (gint64)ceil(offset);
            return TRUE;
        }
        return FALSE;
    }
    end = strptime(text, "%Y-%m-%d %H:%M:%S", &parts);
    if (end == NULL || *end != '\0') {
        localtime_r(&today, &parts);
        parts.tm_isdst = -1;
        end = strptime(text, "%H:%M:%S", &parts);
    }
    if (end == NULL || *end != '\0') {
        return FALSE;
    }
    *result = mktime(&parts);
    return *result != -1;
}

static gboolean fail(const char *format, ...) G_GNUC_PRINTF(1, 2);
static gboolean fail(const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    fputs("virt-top: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    return FALSE;
}

/* ---- init file ---- */

static gboolean parse_flag(const char *text, gboolean *flag)
{
    static const char *const yes[] = {"true", "t", "yes", "y", "1", "on", NULL};
    static const char *const no[] = {"false", "f", "no", "n", "0", "off", NULL};
    g_autofree char *lower = g_ascii_strdown(text, -1);

    if (g_strv_contains(yes, lower)) {
        *flag = TRUE;
        return TRUE;
    }
    *flag = FALSE;
    return g_strv_contains(no, lower);
}

static gboolean take_columns(Options *options, const char *value)
{
    g_auto(GStrv) names = g_strsplit_set(value, ", ", 64);
    gboolean good = TRUE;

    options->columns = 0;
    for (char **name = names; *name != NULL; name++) {
        gboolean known = **name == '\0';

        for (guint i = 0; OPTIONS_COLUMNS[i] != NULL; i++) {
            if (strcmp(OPTIONS_COLUMNS[i], *name) == 0) {
                options->columns |= 1u << i;
                known = TRUE;
            }
        }
        good = good && known;
    }
    return good;
}

static gboolean take_display(Options *options, const char *value)
{
    static const char *const names[] = {"task", "pcpu", "net", "block"};

    for (guint i = 0; i < G_N_ELEMENTS(names); i++) {
        if (strcmp(names[i], value) == 0) {
            options->view = (View)i;
            return TRUE;
        }
    }
    return FALSE;
}

static void set(char **text, const char *value)
{
    g_free(*text);
    *text = g_strdup(value);
}

char *options_take_line(Options *options, const char *line, gint64 now)
{
    const struct {
        const char *key;
        gboolean *flag;
    } flags[] = {
        {"csv-cpu", &options->lines.cpu},
        {"csv-mem", &options->lines.memory},
        {"csv-block", &options->lines.block},
        {"csv-net", &options->lines.net},
        {"batch", &options->batch},
        {"secure", &options->secure},
        {"script", &options->script},
        {"stream", &options->stream},
        {"block-in-bytes", &options->lines.in_bytes},
        {"overwrite-init-file", &options->overwrite_init_file},
        {"rates", &options->lines.per_second},
        {"tree", &options->tree},
        {"meters", &options->meters},
        {"ascii", &options->ascii},
        {"no-colour", &options->no_colour},
    };
    g_autofree char *text = g_strstrip(g_strdup(line));
    char *value = text + strcspn(text, " \t=");
    gboolean good = TRUE;
    double number;

    if (text[0] == '\0' || text[0] == '#') {
        return NULL;
    }
    if (*value != '\0') {
        *value++ = '\0';
        value += strspn(value, " \t=");
    }
    for (guint i = 0; i < G_N_ELEMENTS(flags); i++) {
        if (strcmp(flags[i].key, text) == 0) {
            return parse_flag(value, flags[i].flag)
                       ? NULL
                       : g_strdup_printf("%s: '%s' is neither true nor false", text, value);
        }
    }
    if (strcmp(text, "display") == 0) {
        good = take_display(options, value);
    } else if (strcmp(text, "delay") == 0) {
        good = parse_number(value, 0.001, MAX_DELAY, &options->delay);
    } else if (strcmp(text, "hist-cpu") == 0) {
        good = parse_number(value, 0, MAX_DELAY, &options->hist_cpu);
    } else if (strcmp(text, "iterations") == 0) {
        good = parse_number(value, -1, 1e15, &number);
        options->iterations = good && number > 0 ? (guint64)number : 0;
    } else if (strcmp(text, "sort") == 0) {
        good = options_parse_sort(value, &options->sort);
    } else if (strcmp(text, "connect") == 0) {
        if (!g_ptr_array_find_with_equal_func(options->uris, value, g_str_equal, NULL)) {
            g_ptr_array_add(options->uris, g_strdup(value));
        }
    } else if (strcmp(text, "debug") == 0) {
        set(&options->debug, value);
    } else if (strcmp(text, "csv") == 0) {
        set(&options->csv, value);
    } else if (strcmp(text, "end-time") == 0) {
        good = options_parse_end_time(value, now, &options->end_time);
    } else if (strcmp(text, "columns") == 0) {
        good = take_columns(options, value);
    } else {
        return g_strdup_printf("unknown key '%s'", text);
    }
    return good ? NULL : g_strdup_printf("%s: '%s' is not possible", text, value);
}

static void read_init_file(Options *options, gint64 now)
{
    g_autofree char *text = NULL;
    g_auto(GStrv) lines = NULL;
    g_autoptr(GError) error = NULL;
    struct stat info;
    gboolean own_uris = options->uris->len == 0;

    if (options->init_file == NULL || g_stat(options->init_file, &info) != 0) {
        return;
    }
    if (!S_ISREG(info.st_mode) || info.st_size > MAX_INIT_BYTES) {
        fail("%s: not an init file", options->init_file);
        return;
    }
    if (!g_file_get_contents(options->init_file, &text, NULL, &error)) {
        fail("%s", error->message);
        return;
    }
    lines = g_strsplit(text, "\n", -1);
    for (guint i = 0; lines[i] != NULL; i++) {
        g_autofree char *problem = NULL;

        /* 1.1.1 lets the file win; for connections, which can be many here, the command line has said it all.
         */
        if (!own_uris && g_str_has_prefix(g_strchug(lines[i]), "connect")) {
            continue;
        }
        problem = options_take_line(options, lines[i], now);
        if (problem != NULL) {
            fail("%s:%u: %s", options->init_file, i + 1, problem);
        }
    }
}

gboolean options_write(const Options *options, const char *uri, GError **error)
{
    static const char *const displays[] = {"task", "pcpu", "net", "block"};
    g_autoptr(GString) text = g_string_new(
        "# .virt-toprc virt-top configuration file\n# Written by virt-top " PACKAGE_VERSION "\n");
    g_autofree char *old = g_strconcat(options->init_file != NULL ? options->init_file : "", ".old", NULL);
    char number[G_ASCII_DTOSTR_BUF_SIZE];

    if (options->init_file == NULL) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT, "there is no init file (--no-init-file)");
        return FALSE;
    }
    g_string_append_printf(text, "display %s\ndelay %s\n", displays[options->view],
                           g_ascii_formatd(number, sizeof number, "%g", options->delay));
    g_string_append_printf(text, "hist-cpu %s\nsort %s\n",
                           g_ascii_formatd(number, sizeof number, "%g", options->hist_cpu),
                           options_sort_name(options->sort));
    for (guint i = 0; i < options->uris->len; i++) {
        g_string_append_printf(text, "connect %s\n", (char *)options->uris->pdata[i]);
    }
    if (options->uris->len == 0) {
        g_string_append_printf(text, uri != NULL ? "connect %s\n" : "# connect qemu:///system%s\n",
                               uri != NULL ? uri : "");
    }
    g_string_append_printf(text, "block-in-bytes %s\nrates %s\ntree %s\nmeters %s\ncolumns ",
                           options->lines.in_bytes ? "true" : "false",
                           options->lines.per_second ? "true" : "false", options->tree ? "true" : "false",
                           options->meters ? "true" : "false");
    for (guint i = 0, written = 0; OPTIONS_COLUMNS[i] != NULL; i++) {
        if (options->columns & (1u << i)) {
            g_string_append_printf(text, "%s%s", written++ > 0 ? "," : "", OPTIONS_COLUMNS[i]);
        }
    }
    g_string_append(text, "\n# debug /tmp/virt-top.debug\n# csv /tmp/virt-top.csv\n"
                          "# So that this file is never overwritten:\n# overwrite-init-file false\n");
    if (g_rename(options->init_file, old) != 0 && errno != ENOENT) {
        g_set_error(error, G_FILE_ERROR, g_file_error_from_errno(errno), "%s: %s", old, g_strerror(errno));
        return FALSE;
    }
    return g_file_set_contents(options->init_file, text->str, (gssize)text->len, error);
}

/* ---- command line ---- */

static OptionsResult usage(const char *program, const char *format, const char *a, const char *b)
{
    fprintf(stderr, "%s: ", program);
    fprintf(stderr, format, a, b); /* one of ours below */
    fprintf(stderr, ".\n%s", USAGE);
    return OPTIONS_USAGE;
}

/* Options that take a word. */
static OptionsResult take_word(Options *options, const char *program, const char *name, const char *word,
                               gint64 now)
{
    double number;
    char *end;

    if (strcmp(name, "-c") == 0 || strcmp(name, "--connect") == 0) {
        g_ptr_array_add(options->uris, g_strdup(word));
    } else if (strcmp(name, "--csv") == 0) {
        set(&options->csv, word);
    } else if (strcmp(name, "--debug") == 0) {
        set(&options->debug, word);
    } else if (strcmp(name, "--init-file") == 0) {
        set(&options->init_file, word);
    } else if (strcmp(name, "-d") == 0 || strcmp(name, "--hist-cpu") == 0) {
        gboolean delay = name[1] == 'd';

        if (!parse_number(word, -MAX_DELAY, MAX_DELAY, &number)) {
            return usage(program,
                         delay ? "wrong argument '%s'; option '%s' expects a float"
                               : "wrong argument '%s'; option '%s' expects an integer",
                         word, name);
        }
        if (delay && number <= 0) {
            fail("-d: cannot set a negative delay");
            return OPTIONS_FAILED;
        }
        *(delay ? &options->delay : &options->hist_cpu) = delay ? MAX(number, 0.001) : MAX(number, 0);
    } else if (strcmp(name, "-n") == 0) {
        gint64 count = g_ascii_strtoll(word, &end, 10);

        if (end == word || *end != '\0') {
            return usage(program, "wrong argument '%s'; option '%s' expects an integer", word, name);
        }
        options->iterations = count > 0 ? (guint64)count : 0;
    } else if (strcmp(name, "-o") == 0) {
        if (!options_parse_sort(word, &options->sort)) {
            fail("%s: sort order should be: cpu|mem|time|id|name|netrx|nettx|blockrdrq|blockwrrq", word);
            return OPTIONS_FAILED;
        }
    } else if (strcmp(name, "--end-time") == 0) {
        if (!options_parse_end_time(word, now, &options->end_time)) {
            fail("--end-time: '%s' should be YYYY-MM-DD HH:MM:SS, HH:MM:SS, +HH:MM:SS or +SECONDS", word);
            return OPTIONS_FAILED;
        }
    }
    return OPTIONS_RUN;
}

OptionsResult options_read(Options *options, int argc, char **argv, gint64 now)
{
    static const char *const with_word[] = {"-c",         "--connect",   "--csv", "--debug",
                                            "-d",         "--hist-cpu",  "-n",    "-o",
                                            "--end-time", "--init-file", NULL};
    const struct {
        const char *name;
        gboolean *flag;
        gboolean value;
    } flags[] = {
        {"-b", &options->batch, TRUE},
        {"-s", &options->secure, TRUE},
        {"--script", &options->script, TRUE},
        {"--stream", &options->stream, TRUE},
        {"--json", &options->json, TRUE},
        {"--actions", &options->actions, TRUE},
        {"--no-host-vmm", &options->no_host_vmm, TRUE},
        {"--ascii", &options->ascii, TRUE},
        {"--no-colour", &options->no_colour, TRUE},
        {"--rates", &options->lines.per_second, TRUE},
        {"--block-in-bytes", &options->lines.in_bytes, TRUE},
        {"--no-csv-cpu", &options->lines.cpu, FALSE},
        {"--no-csv-mem", &options->lines.memory, FALSE},
        {"--no-csv-block", &options->lines.block, FALSE},
        {"--no-csv-net", &options->lines.net, FALSE},
    };

    *options = (Options){.delay = 3, .hist_cpu = 20, .sort = SORT_CPU, .overwrite_init_file = TRUE};
    options->lines = (LineOptions){.cpu = TRUE, .memory = TRUE, .block = TRUE, .net = TRUE};
    options->uris = g_ptr_array_new_with_free_func(g_free);
    options->init_file = g_build_filename(g_get_home_dir(), ".virt-toprc", NULL);
    for (int i = 1; i < argc; i++) {
        const char *word = argv[i];
        gboolean known = FALSE;

        if (strcmp(word, "-help") == 0 || strcmp(word, "--help") == 0) {
            fputs(USAGE, stdout);
            return OPTIONS_DONE;
        }
        if (strcmp(word, "--version") == 0) {
            puts("virt-top 1.1.1 virt-suite " PACKAGE_VERSION);
            return OPTIONS_DONE;
        }
        if (g_strv_contains(with_word, word)) {
            OptionsResult result;

            if (i + 1 >= argc) {
                return usage(argv[0], "option '%s' needs an argument%s", word, "");
            }
            result = take_word(options, argv[0], word, argv[++i], now);
            if (result != OPTIONS_RUN) {
                return result;
            }
            continue;
        }
        if (word[0] == '-' && word[1] >= '1' && word[1] <= '3' && word[2] == '\0') {
            options->view = (View)(word[1] - '0');
            continue;
        }
        if (strcmp(word, "--no-init-file") == 0) {
            g_clear_pointer(&options->init_file, g_free);
            continue;
        }
        if (strcmp(word, "--prometheus") == 0 || g_str_has_prefix(word, "--prometheus=")) {
            const char *value = word[strlen("--prometheus")] == '=' ? word + strlen("--prometheus=") : NULL;

            if (value == NULL && i + 1 < argc && argv[i + 1][0] != '-') {
                value = argv[++i];
            }
            set(&options->prometheus, value != NULL ? value : "127.0.0.1:9177");
            continue;
        }
        for (guint j = 0; j < G_N_ELEMENTS(flags) && !known; j++) {
            if (strcmp(flags[j].name, word) == 0) {
                *flags[j].flag = flags[j].value;
                known = TRUE;
            }
        }
        if (!known) {
            return usage(argv[0], word[0] == '-' ? "unknown option '%s'%s" : "'%s' is not an option%s", word,
                         "");
        }
    }
    read_init_file(options, now);
    return OPTIONS_RUN;
}

void options_clear(Options *options)
{
    g_ptr_array_unref(options->uris);
    g_free(options->csv);
    g_free(options->debug);
    g_free(options->prometheus);
    g_free(options->init_file);
}

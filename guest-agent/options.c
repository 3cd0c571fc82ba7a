// SPDX-License-Identifier: GPL-2.0-or-later
/* getopt_long(3), not GOption: units and scripts hold command lines written for it (-pPATH, -vd, --meth=…,
 * -F[PATH]), and GOption knows none of these forms. */
#include "config.h"
#include "guest-agent/options.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>

#define DEFAULT_PID_FILE   "/var/run/qemu-ga.pid"
#define DEFAULT_STATE_DIR  "/var/run"
#define DEFAULT_FILE       "/etc/guest-agent.conf"
#define COMPATIBLE_FILE    "/etc/qemu/qemu-ga.conf"
#define DEFAULT_HOOKS      "/etc/guest-agent/fsfreeze-hook.d"
#define COMPATIBLE_HOOK    "/etc/qemu/fsfreeze-hook"
#define DEFAULT_DEADLINE   600 /* s: a guest whose host has forgotten it must not stand still for ever */
#define DEFAULT_HOOK_LIMIT 120 /* s */

enum { OPTION_BLACKLIST = 256 };

static const struct option LONG_OPTIONS[] = {
    {"method", required_argument, NULL, 'm'},
    {"path", required_argument, NULL, 'p'},
    {"logfile", required_argument, NULL, 'l'},
    {"pidfile", required_argument, NULL, 'f'},
    {"fsfreeze-hook", optional_argument, NULL, 'F'},
    {"statedir", required_argument, NULL, 't'},
    {"verbose", no_argument, NULL, 'v'},
    {"version", no_argument, NULL, 'V'},
    {"daemonize", no_argument, NULL, 'd'},
    {"block-rpcs", required_argument, NULL, 'b'},
    {"blacklist", required_argument, NULL, OPTION_BLACKLIST}, /* before QEMU 9.1 */
    {"allow-rpcs", required_argument, NULL, 'a'},
    {"config", required_argument, NULL, 'c'},
    {"dump-conf", no_argument, NULL, 'D'},
    {"retry-path", no_argument, NULL, 'r'},
    {"help", no_argument, NULL, 'h'},
    {0},
};
static const char SHORT_OPTIONS[] = "m:p:l:f:F::t:vVdb:a:c:Drh";

static void print_help(const char *program)
{
    printf("Usage: %s [-m METHOD] [-p PATH] [OPTION...]\n"
           "Carries out what the host asks for inside this guest (virt-suite %s).\n"
           "\n"
           "  -m, --method METHOD   how the host is reached:\n",
           program, PACKAGE_VERSION);
    for (const TransportOps *const *transport = TRANSPORTS; *transport; transport++) {
        if ((*transport)->default_path)
            printf("                          %s at %s%s\n", (*transport)->method, (*transport)->default_path,
                   transport == TRANSPORTS ? " (default)" : "");
        else
            printf("                          %s at the path of -p\n", (*transport)->method);
    }
    printf("  -p, --path PATH       the port's or the socket's path, or CID:PORT\n"
           "  -c, --config FILE     read FILE, not " DEFAULT_FILE "\n"
           "  -D, --dump-conf       print the configuration and exit\n"
           "  -l, --logfile FILE    log to FILE, not to standard error\n"
           "  -f, --pidfile FILE    write the process id to FILE and lock it\n"
           "                        (with -d the default is " DEFAULT_PID_FILE ")\n"
           "  -F, --fsfreeze-hook[=PATH]\n"
           "                        call the program PATH, or the programs in the folder PATH,\n"
           "                        before file systems are frozen and after they are thawed\n"
           "  -t, --statedir DIR    keep what outlives the process in DIR (" DEFAULT_STATE_DIR ")\n"
           "  -b, --block-rpcs LIST disable these commands (',' between them; help: list all)\n"
           "  -a, --allow-rpcs LIST disable all but these commands (help: list all)\n"
           "  -v, --verbose         log everything, not only troubles\n"
           "  -d, --daemonize       go to the background\n"
           "  -r, --retry-path      accepted: a port that is not there is always waited for\n"
           "  -V, --version         print the version\n"
           "  -h, --help            print this\n");
}

static void take(char **place, const char *value)
{
    g_free(*place);
    *place = g_strdup(value);
}

/* The background is in "/". */
static void make_absolute(char **place)
{
    char *absolute = *place ? g_canonicalize_filename(*place, NULL) : NULL;
    g_free(*place);
    *place = absolute;
}

/* What the command line says besides the values of Options. */
typedef struct CommandLine {
    Options options;
    const char *file; /* of -c */
    gboolean dump;
} CommandLine;

/* OPTIONS_RUN: go on. */
static OptionsResult parse_command_line(CommandLine *line, int argc, char **argv)
{
    Options *options = &line->options;
    int c;
    while ((c = getopt_long(argc, argv, SHORT_OPTIONS, LONG_OPTIONS, NULL)) != -1) {
        switch (c) {
        case 'm':
            take(&options->method, optarg);
            break;
        case 'p':
            take(&options->path, optarg);
            break;
        case 'l':
            take(&options->log_file, optarg);
            break;
        case 'f':
            take(&options->pid_file, optarg);
            break;
        case 'F':
            take(&options->freeze_hook, optarg ? optarg : "");
            break;
        case 't':
            take(&options->state_dir, optarg);
            break;
        case 'v':
            options->verbose = TRUE;
            break;
        case 'd':
            options->daemonize = TRUE;
            break;
        case 'b':
        case OPTION_BLACKLIST:
        case 'a':
            if (g_str_equal(optarg, "help") || g_str_equal(optarg, "?"))
                return OPTIONS_LIST_COMMANDS;
            options_join(c == 'a' ? &options->allow_rpcs : &options->block_rpcs, optarg);
            break;
        case 'c':
            line->file = optarg;
            break;
        case 'D':
            line->dump = TRUE;
            break;
        case 'r':
            options->retry_path = TRUE;
            break;
        case 'V':
            printf("QEMU Guest Agent %s\n", PACKAGE_VERSION);
            return OPTIONS_DONE;
        case 'h':
            print_help(argv[0]);
            return OPTIONS_DONE;
        default:
            fprintf(stderr, "Unknown option, try '%s --help' for more information.\n", argv[0]);
            return OPTIONS_BAD;
        }
    }
    return OPTIONS_RUN;
}

/* Finds the file and whether it, or our name, makes us qemu-ga. */
static gboolean load_file(Options *options, const char *wanted, const char *program, GError **error)
{
    g_autofree char *name = g_path_get_basename(program);
    const char *file = wanted;
    gboolean is_compatible = g_str_equal(name, OPTIONS_COMPATIBLE_NAME);
    if (!file && (file = g_getenv("QGA_CONF")))
        is_compatible = TRUE;
    if (!file && !is_compatible && g_file_test(DEFAULT_FILE, G_FILE_TEST_EXISTS))
        file = DEFAULT_FILE;
    if (!file && g_file_test(COMPATIBLE_FILE, G_FILE_TEST_EXISTS)) {
        file = COMPATIBLE_FILE;
        is_compatible = TRUE;
    }
    options->compatible = is_compatible;
    if (!file || (!wanted && !g_file_test(file, G_FILE_TEST_EXISTS)))
        return TRUE;
    options->file = g_strdup(file);
    return options_load(options, file, !is_compatible, error);
}

static void set_string(char **place, char **value)
{
    if (*value) {
        g_free(*place);
        *place = g_steal_pointer(value);
    }
}

static void set_default(char **place, const char *value)
{
    if (!*place)
        *place = g_strdup(value);
}

/* The command line comes before the file. */
static void overlay(Options *options, Options *line)
{
    set_string(&options->method, &line->method);
    set_string(&options->path, &line->path);
    set_string(&options->log_file, &line->log_file);
    set_string(&options->pid_file, &line->pid_file);
    set_string(&options->freeze_hook, &line->freeze_hook);
    set_string(&options->state_dir, &line->state_dir);
    if (line->block_rpcs)
        options_join(&options->block_rpcs, line->block_rpcs);
    if (line->allow_rpcs)
        options_join(&options->allow_rpcs, line->allow_rpcs);
    options->verbose |= line->verbose;
    options->daemonize |= line->daemonize;
    options->retry_path |= line->retry_path;
}

static void set_defaults(Options *options)
{
    set_default(&options->method, TRANSPORTS[0]->method);
    options->transport = transport_find(options->method);
    if (options->transport && options->transport->default_path)
        set_default(&options->path, options->transport->default_path);
    set_default(&options->state_dir, DEFAULT_STATE_DIR);
    if (!options->compatible && g_file_test(DEFAULT_HOOKS, G_FILE_TEST_IS_DIR))
        set_default(&options->freeze_hook, DEFAULT_HOOKS);
    if (options->freeze_hook && !*options->freeze_hook) /* -F alone */
        take(&options->freeze_hook, options->compatible ? COMPATIBLE_HOOK : DEFAULT_HOOKS);
    if (options->freeze_deadline < 0)
        options->freeze_deadline = options->compatible ? 0 : DEFAULT_DEADLINE;
    if (options->hook_timeout < 0)
        options->hook_timeout = options->compatible ? 0 : DEFAULT_HOOK_LIMIT;
}

/* systemd's socket comes before -m and -p. */
static gboolean take_inherited(Options *options, const char *program)
{
    g_autoptr(GError) error = NULL;
    int fd = transport_inherited(&error);
    if (error) {
        fprintf(stderr, "%s: %s\n", program, error->message);
        return FALSE;
    }
    if (fd >= 0) {
        options->transport = &TRANSPORT_INHERITED;
        g_free(options->path);
        options->path = g_strdup_printf("%d", fd);
    }
    return TRUE;
}

/* Whether the agent can be started with it. */
static gboolean complete(Options *options, const char *program)
{
    if (!take_inherited(options, program))
        return FALSE;
    if (!options->transport) {
        fprintf(stderr, "%s: unsupported channel method/type: %s\n", program, options->method);
        return FALSE;
    }
    if (!options->path) {
        fprintf(stderr, "%s: must specify a path for this channel: -p PATH\n", program);
        return FALSE;
    }
    if (options->daemonize) {
        make_absolute(&options->state_dir);
        make_absolute(&options->freeze_hook);
        make_absolute(&options->log_file);
        make_absolute(&options->pid_file);
        if (options->path[0] == '.' || strchr(options->path, '/')) /* not CID:PORT */
            make_absolute(&options->path);
    }
    return TRUE;
}

static void print_configuration(Options *options)
{
    set_default(&options->pid_file, DEFAULT_PID_FILE);
    g_autofree char *text = options_dump(options);
    fputs(text, stdout);
}

static OptionsResult put_together(Options *options, CommandLine *line, const char *program)
{
    g_autoptr(GError) error = NULL;
    *options = (Options){.freeze_deadline = -1,
                         .hook_timeout = -1,
                         .message_bytes = 64 << 20,
                         .file_handles = 512,
                         .exec_output_bytes = 16 << 20};
    if (!load_file(options, line->file, program, &error)) {
        fprintf(stderr, "%s: %s\n", program, error->message);
        return OPTIONS_BAD;
    }
    if (!line->dump && !options->daemonize && !line->options.daemonize)
        g_clear_pointer(&options->pid_file, g_free); /* a file's is for the background, as qemu-ga has it */
    overlay(options, &line->options);
    set_defaults(options);
    if (line->dump) {
        print_configuration(options);
        return OPTIONS_DONE;
    }
    if (options->daemonize)
        set_default(&options->pid_file, DEFAULT_PID_FILE);
    return complete(options, program) ? OPTIONS_RUN : OPTIONS_BAD;
}

OptionsResult options_parse(Options *options, int argc, char **argv)
{
    CommandLine line = {0};
    *options = (Options){0};
    OptionsResult result = parse_command_line(&line, argc, argv);
    if (result == OPTIONS_RUN)
        result = put_together(options, &line, argv[0]);
    options_clear(&line.options);
    return result;
}

void options_clear(Options *options)
{
    g_free(options->method);
    g_free(options->path);
    g_free(options->log_file);
    g_free(options->pid_file);
    g_free(options->freeze_hook);
    g_free(options->state_dir);
    g_free(options->block_rpcs);
    g_free(options->allow_rpcs);
    g_strfreev(options->exec_allow);
    g_strfreev(options->exec_deny);
    g_strfreev(options->users_allow);
    g_strfreev(options->users_deny);
    g_strfreev(options->hidden_interfaces);
    g_free(options->file);
}

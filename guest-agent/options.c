// SPDX-License-Identifier: GPL-2.0-or-later
/* getopt_long(3), not GOption: units and scripts hold command lines written for it (-pPATH, -vd, --meth=…,
 * and -F[PATH] in time), and GOption knows none of these forms. */
#include "config.h"
#include "guest-agent/options.h"

#include <getopt.h>
#include <stdio.h>

#define DEFAULT_PID_FILE  "/var/run/qemu-ga.pid"
#define DEFAULT_STATE_DIR "/var/run"

static const struct option LONG_OPTIONS[] = {
    {"method", required_argument, NULL, 'm'},
    {"path", required_argument, NULL, 'p'},
    {"logfile", required_argument, NULL, 'l'},
    {"pidfile", required_argument, NULL, 'f'},
    {"statedir", required_argument, NULL, 't'},
    {"verbose", no_argument, NULL, 'v'},
    {"version", no_argument, NULL, 'V'},
    {"daemonize", no_argument, NULL, 'd'},
    {"retry-path", no_argument, NULL, 'r'},
    {"help", no_argument, NULL, 'h'},
    {0},
};
static const char SHORT_OPTIONS[] = "m:p:l:f:t:vVdrh";

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
    printf("  -p, --path PATH       the port's or the socket's path\n"
           "  -l, --logfile FILE    log to FILE, not to standard error\n"
           "  -f, --pidfile FILE    write the process id to FILE and lock it\n"
           "                        (with -d the default is " DEFAULT_PID_FILE ")\n"
           "  -t, --statedir DIR    keep the file handle counter in DIR (" DEFAULT_STATE_DIR ")\n"
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

static gboolean complete(Options *options, const char *program, const char *method)
{
    options->transport = transport_find(method);
    if (!options->transport) {
        fprintf(stderr, "%s: unsupported channel method/type: %s\n", program, method);
        return FALSE;
    }
    if (!options->path && !options->transport->default_path) {
        fprintf(stderr, "%s: must specify a path for this channel: -p PATH\n", program);
        return FALSE;
    }
    if (!options->path)
        options->path = g_strdup(options->transport->default_path);
    if (!options->pid_file && options->daemonize)
        options->pid_file = g_strdup(DEFAULT_PID_FILE);
    if (!options->state_dir)
        options->state_dir = g_strdup(DEFAULT_STATE_DIR);
    if (options->daemonize) {
        make_absolute(&options->path);
        make_absolute(&options->state_dir);
    }
    return TRUE;
}

OptionsResult options_parse(Options *options, int argc, char **argv)
{
    g_autofree char *method = g_strdup(TRANSPORTS[0]->method);
    int c;
    *options = (Options){0};
    while ((c = getopt_long(argc, argv, SHORT_OPTIONS, LONG_OPTIONS, NULL)) != -1) {
        switch (c) {
        case 'm':
            take(&method, optarg);
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
        case 't':
            take(&options->state_dir, optarg);
            break;
        case 'v':
            options->verbose = TRUE;
            break;
        case 'd':
            options->daemonize = TRUE;
            break;
        case 'r':
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
    return complete(options, argv[0], method) ? OPTIONS_RUN : OPTIONS_BAD;
}

void options_clear(Options *options)
{
    g_free(options->path);
    g_free(options->log_file);
    g_free(options->pid_file);
    g_free(options->state_dir);
}

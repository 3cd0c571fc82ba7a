// SPDX-License-Identifier: GPL-2.0-or-later
#include "config.h"

#include "virt-who/options.h"

#include <stdio.h>
#include <sysexits.h>

#define USAGE_STATUS 2

static int usage(const char *message)
{
    fprintf(stderr, "virt-who: %s\nTry: virt-who --help\n", message);
    return USAGE_STATUS;
}

int options_read(Options *options, int argc, char **argv)
{
    const GOptionEntry entries[] = {
        {"debug", 'd', 0, G_OPTION_ARG_NONE, &options->debug, "Enable debugging output", NULL},
        {"one-shot", 'o', 0, G_OPTION_ARG_NONE, &options->oneshot,
         "Send the list of guest IDs and exit immediately", NULL},
        {"interval", 'i', 0, G_OPTION_ARG_INT, &options->interval,
         "Acquire list of virtual guests each N seconds (at least 60; default 3600); events are sent at once",
         "N"},
        {"print", 'p', 0, G_OPTION_ARG_NONE, &options->print,
         "Print the host to guest association in JSON format to standard output, send nothing", NULL},
        {"config", 'c', 0, G_OPTION_ARG_FILENAME_ARRAY, &options->configs,
         "Configuration file to use instead of those in /etc/virt-who.d (may be given many times)", "FILE"},
        {"status", 's', 0, G_OPTION_ARG_NONE, &options->status,
         "Check and report connection status of sources and destinations", NULL},
        {"json", 'j', 0, G_OPTION_ARG_NONE, &options->json, "Print --status or --check-config in JSON format",
         NULL},
        {"check-config", 0, 0, G_OPTION_ARG_NONE, &options->check_config,
         "Read the configuration, tell what is wrong and where, and exit: 1 if there are errors", NULL},
        {"strict", 0, 0, G_OPTION_ARG_NONE, &options->strict,
         "Exit with 3 if --one-shot, --print or --status has not succeeded in all", NULL},
        {"status-file", 0, 0, G_OPTION_ARG_FILENAME, &options->status_file,
         "Keep the status in a file, as JSON", "FILE"},
        {"metrics-file", 0, 0, G_OPTION_ARG_FILENAME, &options->metrics_file,
         "Keep numbers in a file for Prometheus's node exporter (OpenMetrics)", "FILE"},
        {"root", 0, 0, G_OPTION_ARG_FILENAME, &options->root, "Find all files of virt-who's below a folder",
         "DIR"},
        {"version", 0, 0, G_OPTION_ARG_NONE, &options->version, "Print the version and exit", NULL},
        {NULL},
    };
    g_autoptr(GOptionContext) context = g_option_context_new(NULL);
    g_autoptr(GError) error = NULL;

    g_option_context_set_summary(context, "Reports which guests run on which host to an entitlement server.");
    g_option_context_set_description(context, "Configuration: virt-who-config(5).");
    g_option_context_add_main_entries(context, entries, NULL);
    if (!g_option_context_parse(context, &argc, &argv, &error)) {
        return usage(error->message);
    }
    if (argc > 1) {
        g_autofree char *text = g_strdup_printf("unrecognized arguments: %s", argv[1]);

        return usage(text);
    }
    if (options->version) {
        puts("virt-who " PACKAGE_VERSION);
        return 0;
    }
    if (options->json && !options->status && !options->check_config) {
        fprintf(stderr, "virt-who: Error: --json must be used with --status or --check-config\n");
        return EX_USAGE;
    }
    if (options->status && (options->oneshot || options->print)) {
        fprintf(stderr, "virt-who: Error: --status can't be used with --one-shot or --print\n");
        return EX_USAGE;
    }
    return -1;
}

void options_clear(Options *options)
{
    g_strfreev(options->configs);
    g_free(options->root);
    g_free(options->status_file);
    g_free(options->metrics_file);
}

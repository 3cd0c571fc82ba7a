// SPDX-License-Identifier: GPL-2.0-or-later
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/agent-client.h"
#include "lib/qmp-client.h"
#include "lib/runtime-dir.h"
#include "host-vmm/vmctl/print.h"
#include "host-vmm/vmctl/vmctl.h"

static const Verb *const VERBS[] = {
    &VERB_RUN, &VERB_LIST, &VERB_STATUS, &VERB_CONSOLE, &VERB_AGENT, &VERB_STOP, &VERB_VCPUS, &VERB_QMP,
    &VERB_CHECK_HOST, NULL,
};

G_DEFINE_QUARK(vmctl_error, vmctl_error)

void complain(const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    g_autofree char *text = g_strdup_vprintf(format, arguments);
    va_end(arguments);
    g_autofree char *visible = print_visible(text);
    fflush(stdout); /* so that what is said stays in order where both go to one place */
    fprintf(stderr, "vmctl: %s\n", visible);
}

int complain_error(GError *error)
{
    int status = VMCTL_FAILED;

    complain("%s", error->message);
    if (error->domain == VMCTL_ERROR)
        status = error->code;
    else if (g_error_matches(error, QMP_CLIENT_ERROR, QMP_CLIENT_ERROR_TIMEOUT) ||
             g_error_matches(error, AGENT_CLIENT_ERROR, AGENT_CLIENT_ERROR_TIMEOUT))
        status = VMCTL_TIMED_OUT;
    g_error_free(error);
    return status;
}

gint64 deadline_after_ms(guint64 ms)
{
    return g_get_monotonic_time() + (gint64)ms * 1000;
}

guint deadline_left_ms(gint64 deadline)
{
    gint64 left = deadline - g_get_monotonic_time();

    return left <= 0 ? 0 : (guint)MIN((left + 999) / 1000, G_MAXINT);
}

static void print_general_help(void)
{
    g_autofree char *folder = runtime_dir_path();

    printf("usage: vmctl VERB [WORD…]\n"
           "\n"
           "Starts, shows, reaches and stops guests of host-vmm.\n"
           "\n"
           "Verbs:\n");
    for (guint i = 0; VERBS[i] != NULL; i++)
        printf("  %-10s%s\n", VERBS[i]->name, VERBS[i]->summary);
    printf("  %-10s%s\n", "help", "explain a verb: vmctl help VERB");
    printf("\n"
           "A guest is named as with run, or by a path with a '/' to its QMP, agent or console\n"
           "socket. Guests are kept in %s\n"
           "(from VIRT_SUITE_RUNTIME_DIR or XDG_RUNTIME_DIR).\n"
           "\n"
           "Exit status: 0 done; 1 failed; 2 wrong words; 3 no such guest, or it does not run;\n"
           "124 the deadline has passed.\n",
           folder);
}

static const Verb *find_verb(const char *name)
{
    for (guint i = 0; VERBS[i] != NULL; i++)
        if (strcmp(VERBS[i]->name, name) == 0)
            return VERBS[i];
    return NULL;
}

static int unknown_verb(const char *name)
{
    complain("there is no verb '%s' (see: vmctl help)", name);
    return VMCTL_USAGE;
}

static int help(char **words)
{
    char *ask[] = {(char *)"--help", NULL};
    const Verb *verb;

    if (words[0] == NULL) {
        print_general_help();
        return VMCTL_OK;
    }
    verb = find_verb(words[0]);
    if (verb == NULL)
        return unknown_verb(words[0]);
    return verb->run(verb, ask);
}

static int dispatch(char **words)
{
    const char *name = words[0];
    const Verb *verb;

    if (name == NULL) {
        complain("what should be done? (see: vmctl help)");
        return VMCTL_USAGE;
    }
    if (strcmp(name, "--version") == 0 || strcmp(name, "-V") == 0) {
        printf("vmctl (%s) %s\n", PACKAGE_NAME, PACKAGE_VERSION);
        return VMCTL_OK;
    }
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0 || strcmp(name, "help") == 0)
        return help(words + 1);
    verb = find_verb(name);
    return verb == NULL ? unknown_verb(name) : verb->run(verb, words + 1);
}

int main(int argc, char **argv)
{
    /* The verbs rearrange their words; the strings stay argv's. */
    g_autofree char **words = g_new0(char *, (gsize)argc + 1);
    int status;

    memcpy(words, argv, (gsize)argc * sizeof *argv);
    g_set_prgname("vmctl");
    setvbuf(stdout, NULL, _IOLBF, 0);
    status = dispatch(argc > 0 ? words + 1 : words);
    if (fflush(stdout) != 0 || ferror(stdout)) {
        complain("cannot write the output: %s", g_strerror(errno));
        return status == VMCTL_OK ? VMCTL_FAILED : status;
    }
    return status;
}

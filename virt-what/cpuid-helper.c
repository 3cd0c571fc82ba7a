// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * virt-what-cpuid-helper: prints the hypervisor's signature from CPUID, in a line, or nothing.
 *
 * With --gather it looks, for virt-what, at what the signature tables name (see gather.h); with --names it
 * prints which names they have: virt-what-cpuid-helper --gather=SECTION[,SECTION]... --table=FILE
 * [--table-folder=DIR] [--root=DIR] [--explain] virt-what-cpuid-helper --names=SECTION[,SECTION]...
 * --table=FILE [--table-folder=DIR] [--root=DIR]
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "virt-what/cpuid.h"
#include "virt-what/gather.h"

#define PATIENCE 5 // seconds for looking at everything: a file system below a test root may not answer

static int print_signature(void)
{
    CpuidSource source;
    CpuidPlace places[CPUID_PLACES_MAX];
    cpuid_open(&source, NULL);
    if (!source.live)
        return EXIT_SUCCESS;
    int known = cpuid_known_place(places, cpuid_places(&source, places));
    if (known >= 0)
        puts(places[known].signature);
    return EXIT_SUCCESS;
}

/* The value of an option "--name=VALUE", or NULL if the argument is another one. */
static const char *value_of(const char *argument, const char *option)
{
    size_t length = strlen(option);
    return strncmp(argument, option, length) == 0 ? argument + length : NULL;
}

static bool parse_sections(GatherOptions *options, const char *list)
{
    char *names = strdup(list), *rest = names;
    bool good = names != NULL;
    for (char *name = strsep(&rest, ","); good && name; name = strsep(&rest, ",")) {
        TableSection section = SECTION_COUNT;
        good = table_section_parse(name, &section);
        if (good)
            options->sections[section] = true;
    }
    free(names);
    return good;
}

int main(int argc, char **argv)
{
    GatherOptions options = {0};
    bool good = true, (*job)(const GatherOptions *) = NULL;
    for (int i = 1; i < argc; i++) {
        const char *value;
        if ((value = value_of(argv[i], "--gather="))) {
            job = gather;
            good &= parse_sections(&options, value);
        } else if ((value = value_of(argv[i], "--names="))) {
            job = gather_names;
            good &= parse_sections(&options, value);
        } else if ((value = value_of(argv[i], "--table=")))
            options.table = value;
        else if ((value = value_of(argv[i], "--table-folder=")))
            options.table_folder = value;
        else if ((value = value_of(argv[i], "--root=")))
            options.root = value;
        else if (strcmp(argv[i], "--explain") == 0)
            options.explain = true;
    }
    // Like virt-what's own, this takes no notice of other arguments.
    if (!job)
        return print_signature();
    if (!good || !options.table) {
        fputs("virt-what-cpuid-helper: sections or the --table are missing or wrong\n", stderr);
        return EXIT_FAILURE;
    }
    alarm(PATIENCE);
    if (!job(&options)) {
        fprintf(stderr, "virt-what-cpuid-helper: cannot read %s\n", options.table);
        return EXIT_FAILURE;
    }
    return fflush(stdout) == 0 && !ferror(stdout) ? EXIT_SUCCESS : EXIT_FAILURE;
}

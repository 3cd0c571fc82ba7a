// SPDX-License-Identifier: GPL-2.0-or-later
#include "guest-agent/policy.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

/* What a program or user is known by, NULL-terminated. */
typedef struct Names {
    char *names[3];
} Names;

static void names_clear(Names *names)
{
    for (gsize i = 0; i < G_N_ELEMENTS(names->names); i++)
        g_free(names->names[i]);
}

/* The file that it is in the end, or NULL (g_free). */
static char *real_file(const char *path)
{
    char buffer[PATH_MAX];
    return realpath(path, buffer) ? g_strdup(buffer) : NULL;
}

static Names names_of_program(const char *path)
{
    Names names = {{NULL}};
    g_autofree char *found =
        strchr(path, '/') ? g_canonicalize_filename(path, NULL) : g_find_program_in_path(path);
    gsize n = 0;
    if (!found) {
        names.names[n++] =
            g_strdup(path); /* there is none: it will not run, but must not be allowed either */
        return names;
    }
    /* ".." behind a symbolic link is not what it looks like: canonicalizing has not followed any */
    char *file = real_file(strchr(path, '/') ? path : found);
    if (!file || !strstr(path, "/.."))
        names.names[n++] = g_steal_pointer(&found);
    if (file)
        names.names[n++] = file;
    return names;
}

static gboolean rule_matches(const char *rule, const char *name)
{
    const char *last = strrchr(name, '/');
    return g_pattern_match_simple(rule, last && !strchr(rule, '/') ? last + 1 : name);
}

static const char *matching_rule(char **rules, const Names *names)
{
    for (char **rule = rules; rule && *rule; rule++) {
        for (gsize i = 0; names->names[i]; i++) {
            if (rule_matches(*rule, names->names[i]))
                return *rule;
        }
    }
    return NULL;
}

static char *check(const Options *options, const char *group, const char *what, char **allow, char **deny,
                   const Names *names)
{
    const char *file = options->file ? options->file : "the configuration";
    const char *rule = matching_rule(deny, names);
    if (rule)
        return g_strdup_printf("%s is refused by rule [%s] deny=%s of %s", what, group, rule, file);
    if (allow && !matching_rule(allow, names))
        return g_strdup_printf("%s is refused: no rule in [%s] allow= of %s is for it", what, group, file);
    return NULL;
}

static char *refuse_program(const Options *options, const char *path)
{
    if (!options->exec_allow && !options->exec_deny)
        return NULL;
    Names names = names_of_program(path);
    g_autofree char *what = g_strdup_printf("program '%s'", path);
    char *refusal = check(options, "exec", what, options->exec_allow, options->exec_deny, &names);
    names_clear(&names);
    return refusal;
}

static char *refuse_user(const Options *options, const char *user)
{
    Names names = {{g_strdup(user)}};
    g_autofree char *what = g_strdup_printf("user '%s'", user);
    char *refusal = check(options, "users", what, options->users_allow, options->users_deny, &names);
    names_clear(&names);
    return refusal;
}

char *policy_refusal(const Options *options, const Command *command, JsonObject *arguments)
{
    const char *user = command_string(arguments, "username", NULL);
    if (user)
        return refuse_user(options, user);
    if (g_str_has_prefix(command->name, "guest-exec") && command_has(arguments, "path"))
        return refuse_program(options, command_string(arguments, "path", ""));
    return NULL;
}

gboolean policy_hides_interface(const Options *options, const char *name)
{
    for (char **rule = options->hidden_interfaces; rule && *rule; rule++) {
        if (g_pattern_match_simple(*rule, name))
            return TRUE;
    }
    return FALSE;
}

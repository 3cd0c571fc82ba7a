// SPDX-License-Identifier: GPL-2.0-or-later
#include "guest-agent/freeze-hooks.h"
#include "guest-agent/child.h"
#include "guest-agent/helper.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

typedef struct Hooks {
    GPtrArray *programs; /* of char * */
    guint next;
    gboolean thaw;
    gboolean undo; /* of a freeze that failed: what was called before is thawed */
    guint timeout_ms;
    GError *error; /* the first one */
    FreezeHooksFunc done;
    gpointer user_data;
} Hooks;

static gboolean is_left_over(const char *name)
{
    static const char *const SUFFIXES[] = {"~", ".bak", ".orig", ".sample", NULL};
    for (const char *const *suffix = SUFFIXES; *suffix; suffix++) {
        if (g_str_has_suffix(name, *suffix))
            return TRUE;
    }
    const char *dot = strrchr(name, '.');
    return name[0] == '.' || (dot && (g_str_has_prefix(dot, ".rpm") || g_str_has_prefix(dot, ".dpkg-")));
}

static int compare_names(gconstpointer a, gconstpointer b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* In the order of a freeze. */
static GPtrArray *list_programs(const char *path)
{
    GPtrArray *programs = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(GDir) folder = path ? g_dir_open(path, 0, NULL) : NULL;
    const char *name;
    while (folder && (name = g_dir_read_name(folder))) {
        g_autofree char *file = g_build_filename(path, name, NULL);
        if (!is_left_over(name) && g_file_test(file, G_FILE_TEST_IS_REGULAR) && access(file, X_OK) == 0)
            g_ptr_array_add(programs, g_steal_pointer(&file));
    }
    g_ptr_array_sort(programs, compare_names);
    return programs;
}

static void reverse(GPtrArray *programs)
{
    for (guint i = 0; i < programs->len / 2; i++) {
        gpointer other = programs->pdata[programs->len - 1 - i];
        programs->pdata[programs->len - 1 - i] = programs->pdata[i];
        programs->pdata[i] = other;
    }
}

static void call_next(Hooks *hooks);

/* Those before the one that failed, backwards. */
static void undo(Hooks *hooks)
{
    g_ptr_array_set_size(hooks->programs, (int)hooks->next - 1);
    reverse(hooks->programs);
    hooks->next = 0;
    hooks->thaw = hooks->undo = TRUE;
}

static void on_called(int status, GError *error, gpointer user_data)
{
    Hooks *hooks = user_data;
    if (error && hooks->error) {
        g_warning("%s", error->message);
        g_error_free(error);
    } else if (error) {
        hooks->error = error;
        if (!hooks->thaw)
            undo(hooks);
    }
    call_next(hooks);
}

static void call_next(Hooks *hooks)
{
    if (hooks->next == hooks->programs->len) {
        hooks->done(hooks->error, hooks->user_data);
        g_ptr_array_unref(hooks->programs);
        g_free(hooks);
        return;
    }
    const char *program = hooks->programs->pdata[hooks->next++];
    const char *argv[] = {program, hooks->thaw ? "thaw" : "freeze", NULL};
    g_autofree char *action = g_strdup_printf("execute fsfreeze hook '%s'", program);
    HelperSpec spec = {
        .argv = argv, .action = action, .timeout_ms = hooks->timeout_ms ? hooks->timeout_ms : G_MAXUINT};
    g_info("calling fsfreeze hook %s %s", program, argv[1]);
    helper_run(&spec, on_called, hooks);
}

static gboolean begin(gpointer user_data)
{
    call_next(user_data);
    return G_SOURCE_REMOVE;
}

void freeze_hooks_run(const char *path, gboolean thaw, guint timeout_ms, FreezeHooksFunc done,
                      gpointer user_data)
{
    Hooks *hooks = g_new0(Hooks, 1);
    hooks->thaw = thaw;
    hooks->timeout_ms = timeout_ms;
    hooks->done = done;
    hooks->user_data = user_data;
    hooks->programs = list_programs(path);
    if (path && !g_file_test(path, G_FILE_TEST_IS_DIR)) {
        if (access(path, X_OK) == 0)
            g_ptr_array_add(hooks->programs, g_strdup(path));
        else
            hooks->error = g_error_new(G_FILE_ERROR, g_file_error_from_errno(errno),
                                       "can't access fsfreeze hook '%s': %s", path, g_strerror(errno));
    }
    if (thaw)
        reverse(hooks->programs);
    g_idle_add_full(G_PRIORITY_DEFAULT, begin, hooks, NULL);
}

void freeze_hooks_start_thaw(const char *path)
{
    g_autoptr(GPtrArray) programs = list_programs(path);
    if (path && !programs->len && !g_file_test(path, G_FILE_TEST_IS_DIR))
        g_ptr_array_add(programs, g_strdup(path));
    reverse(programs);
    for (guint i = 0; i < programs->len; i++) {
        const char *argv[] = {programs->pdata[i], "thaw", NULL};
        ChildSpec spec = {.argv = argv};
        child_free(child_start(&spec, NULL, NULL, NULL));
    }
}

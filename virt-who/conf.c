// SPDX-License-Identifier: GPL-2.0-or-later
#include "virt-who/conf.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "virt-who/secret.h"

#define MAX_FILES 4096

void paths_init(Paths *paths, const char *root)
{
    const char *rhsm = g_getenv("RHSM_CONFIG"), *state = g_getenv("STATE_DIRECTORY");

    paths->root = g_strdup(root);
    paths->general = g_strconcat(root, "/etc/virt-who.conf", NULL);
    paths->folder = g_strconcat(root, "/etc/virt-who.d", NULL);
    paths->rhsm = g_strconcat(root, rhsm != NULL && rhsm[0] == '/' ? rhsm : "/etc/rhsm/rhsm.conf", NULL);
    paths->key = g_strconcat(root, "/var/lib/virt-who/key", NULL);
    paths->state = state != NULL && state[0] == '/' && strchr(state, ':') == NULL
                       ? g_build_filename(state, "run_data.json", NULL)
                       : g_strconcat(root, "/var/lib/virt-who/run_data.json", NULL);
    paths->pid = g_strconcat(root, "/run/virt-who.pid", NULL);
    paths->machine_id = g_strconcat(root, "/etc/machine-id", NULL);
}

void paths_clear(Paths *paths)
{
    g_free(paths->root);
    g_free(paths->general);
    g_free(paths->folder);
    g_free(paths->rhsm);
    g_free(paths->key);
    g_free(paths->state);
    g_free(paths->pid);
    g_free(paths->machine_id);
}

static void problem_free(gpointer data)
{
    Problem *problem = data;

    g_free(problem->file);
    g_free(problem->text);
    g_free(problem);
}

void problem_add(GPtrArray *problems, gboolean is_error, const char *file, guint line, const char *format,
                 ...)
{
    Problem *problem = g_new0(Problem, 1);
    va_list args;

    va_start(args, format);
    problem->text = g_strdup_vprintf(format, args);
    va_end(args);
    problem->is_error = is_error;
    problem->file = g_strdup(file);
    problem->line = line;
    g_ptr_array_add(problems, problem);
}

const char *conf_type_name(ConfType type)
{
    static const char *const names[] = {"libvirt", "fake", "monitor"};

    return names[type];
}

gboolean conf_parse_bool(const char *text, gboolean *value)
{
    static const char *const words[2][4] = {{"0", "no", "false", "off"}, {"1", "yes", "true", "on"}};

    for (guint i = 0; i < 2; i++) {
        for (guint j = 0; j < 4; j++) {
            if (g_ascii_strcasecmp(text, words[i][j]) == 0) {
                *value = i == 1;
                return TRUE;
            }
        }
    }
    return FALSE;
}

char *conf_default_reporter_id(const Paths *paths)
{
    gsize length;
    g_autofree char *id = ini_read_bytes(paths->machine_id, 256, &length, NULL, NULL);

    if (id != NULL) {
        g_strstrip(id);
    }
    return id != NULL && id[0] != '\0' && g_str_is_ascii(id) ? g_strconcat(g_get_host_name(), "-", id, NULL)
                                                             : g_strdup(g_get_host_name());
}

/* ---- [global] ---- */

static void take_interval(Settings *settings, const IniFile *file, const IniValue *value, GPtrArray *problems)
{
    char *end;
    gint64 seconds = g_ascii_strtoll(value->text, &end, 10);

    if (end == value->text || *end != '\0' || seconds > G_MAXINT / 1000) {
        problem_add(problems, FALSE, file->path, value->line,
                    "interval was not set to a valid integer, defaulting to %u seconds.",
                    CONF_DEFAULT_INTERVAL);
    } else if (seconds < CONF_MIN_INTERVAL) {
        problem_add(
            problems, FALSE, file->path, value->line,
            "Interval value can't be lower than %u seconds. Default value of %u seconds will be used.",
            CONF_MIN_INTERVAL, CONF_DEFAULT_INTERVAL);
    } else {
        settings->interval = (guint)seconds;
    }
}

static gboolean take_global(Settings *settings, const IniFile *file, const IniValue *value,
                            GPtrArray *problems)
{
    const struct {
        const char *key;
        gboolean *flag;
    } flags[] = {{"debug", &settings->debug},  {"oneshot", &settings->oneshot},
                 {"print_", &settings->print}, {"status", &settings->status},
                 {"json", &settings->json},    {"log_per_config", &settings->log_per_config}};
    const struct {
        const char *key;
        char **text;
    } texts[] = {{"reporter_id", &settings->reporter_id},
                 {"log_dir", &settings->log_dir},
                 {"log_file", &settings->log_file},
                 {"status_file", &settings->status_file},
                 {"metrics_file", &settings->metrics_file}};

    for (guint i = 0; i < G_N_ELEMENTS(flags); i++) {
        if (strcmp(value->key, flags[i].key) == 0) {
            if (!conf_parse_bool(value->text, flags[i].flag)) {
                problem_add(problems, FALSE, file->path, value->line,
                            "%s must be a valid boolean, using default.", value->key);
            }
            return TRUE;
        }
    }
    for (guint i = 0; i < G_N_ELEMENTS(texts); i++) {
        if (strcmp(value->key, texts[i].key) == 0) {
            if (value->text[0] != '\0') {
                g_free(*texts[i].text);
                *texts[i].text = g_strdup(value->text);
            }
            return TRUE;
        }
    }
    if (strcmp(value->key, "interval") == 0) {
        take_interval(settings, file, value, problems);
        return TRUE;
    }
    if (strcmp(value->key, "configs") == 0) {
        char **list = filter_split(value->text);

        if (list != NULL && list[0] != NULL) {
            g_strfreev(settings->configs);
            settings->configs = g_steal_pointer(&list);
        }
        g_strfreev(list);
        return TRUE;
    }
    return FALSE;
}

static void read_global(ConfSet *set, const IniFile *file, const IniSection *section)
{
    for (guint i = 0; i < section->values->len; i++) {
        const IniValue *value = section->values->pdata[i];

        if (!take_global(&set->settings, file, value, set->problems)) {
            problem_add(set->problems, FALSE, file->path, value->line,
                        "[global]: Ignoring unknown configuration option \"%s\"", value->key);
        }
    }
}

static char **read_environment(const IniSection *section)
{
    GPtrArray *pairs = g_ptr_array_new();

    for (guint i = 0; section != NULL && i < section->values->len; i++) {
        const IniValue *value = section->values->pdata[i];

        g_ptr_array_add(pairs, g_strdup(value->key));
        g_ptr_array_add(pairs, g_strdup(value->text));
    }
    g_ptr_array_add(pairs, NULL);
    return (char **)g_ptr_array_free(pairs, FALSE);
}

/* ---- files ---- */

static IniFile *read_file(ConfSet *set, const char *path)
{
    g_autoptr(GError) error = NULL;
    IniFile *file = ini_read(path, &error);

    if (file == NULL) {
        problem_add(set->problems, TRUE, path, 0, "%s", error->message);
        return NULL;
    }
    for (guint i = 0; i < file->warnings->len; i++) {
        problem_add(set->problems, FALSE, NULL, 0, "%s", (char *)file->warnings->pdata[i]);
    }
    return file;
}

/* Everything but those that say something about virt-who itself. */
static void take_sections(ConfSet *set, const IniFile *file, const IniFile *general, const Paths *paths)
{
    static const char *const special[] = {"global", "defaults", "system_environment", NULL};
    const IniSection *defaults = general != NULL ? ini_section(general, "defaults") : NULL;

    for (guint i = 0; i < file->sections->len; i++) {
        const IniSection *section = file->sections->pdata[i];
        Conf *config;

        if (g_strv_contains(special, section->name)) {
            if (file != general) {
                problem_add(set->problems, FALSE, file->path, section->line,
                            "section [%s] is only read in %s; it is ignored", section->name, paths->general);
            }
            continue;
        }
        for (guint j = 0; j < set->configs->len; j++) {
            const Conf *other = set->configs->pdata[j];

            if (strcmp(other->name, section->name) == 0) {
                problem_add(set->problems, FALSE, file->path, section->line,
                            "section [%s] replaces the one of %s:%u", section->name, other->file,
                            other->line);
                g_ptr_array_remove_index(set->configs, j);
                break;
            }
        }
        config = conf_section_read(file, section, general, defaults, paths, set);
        if (config != NULL) {
            g_ptr_array_add(set->configs, config);
        }
    }
    if (file->sections->len == 0 && file != general) {
        problem_add(set->problems, TRUE, file->path, 0, "Configuration file %s contains no section headers",
                    file->path);
    }
}

static int compare_names(gconstpointer a, gconstpointer b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static GPtrArray *list_folder(ConfSet *set, const char *folder)
{
    GPtrArray *files = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(GError) error = NULL;
    GDir *dir = g_dir_open(folder, 0, &error);
    const char *name;

    if (dir == NULL) {
        if (!g_error_matches(error, G_FILE_ERROR, G_FILE_ERROR_NOENT)) {
            problem_add(set->problems, TRUE, folder, 0, "Configuration directory %s cannot be read: %s",
                        folder, error->message);
        }
        return files;
    }
    while ((name = g_dir_read_name(dir)) != NULL) {
        if (name[0] == '.') {
            continue;
        }
        if (!g_str_has_suffix(name, ".conf")) {
            problem_add(set->problems, FALSE, folder, 0,
                        "Configuration file %s/%s is ignored: its name does not end in .conf", folder, name);
        } else if (files->len >= MAX_FILES) {
            problem_add(set->problems, TRUE, folder, 0, "there are more than %d files", MAX_FILES);
            break;
        } else {
            g_ptr_array_add(files, g_build_filename(folder, name, NULL));
        }
    }
    g_dir_close(dir);
    g_ptr_array_sort(files, compare_names);
    return files;
}

static gboolean has_errors(const ConfSet *set)
{
    for (guint i = 0; i < set->problems->len; i++) {
        if (((const Problem *)set->problems->pdata[i])->is_error) {
            return TRUE;
        }
    }
    return FALSE;
}

/* What is done on a machine where nothing is configured: its own guests are told. */
static Conf *made_up(void)
{
    Conf *config = g_new0(Conf, 1);

    config->name = g_strdup("env/cmdline");
    config->type = CONF_LIBVIRT;
    return config;
}

static void read_named(ConfSet *set, const char *const *files, const IniFile *general, const Paths *paths)
{
    gboolean any = FALSE;

    for (; *files != NULL; files++) {
        g_autoptr(IniFile) file = read_file(set, *files);

        if (file != NULL) {
            any = TRUE;
            take_sections(set, file, general, paths);
        }
    }
    if (!any) {
        problem_add(set->problems, TRUE, NULL, 0, "No valid configuration file provided using -c/--config");
    }
}

ConfSet *conf_read(const Paths *paths, const char *const *files)
{
    ConfSet *set = g_new0(ConfSet, 1);
    g_autoptr(IniFile) general = NULL;
    const IniSection *global;

    set->problems = g_ptr_array_new_with_free_func(problem_free);
    set->configs = g_ptr_array_new_with_free_func(conf_free);
    set->settings.interval = CONF_DEFAULT_INTERVAL;
    set->settings.log_dir = g_strconcat(paths->root, "/var/log/rhsm", NULL);
    if (g_file_test(paths->general, G_FILE_TEST_EXISTS)) {
        general = read_file(set, paths->general);
    }
    global = general != NULL ? ini_section(general, "global") : NULL;
    if (global != NULL) {
        read_global(set, general, global);
    }
    set->environment = read_environment(general != NULL ? ini_section(general, "system_environment") : NULL);
    if (set->settings.reporter_id == NULL) {
        set->settings.reporter_id = conf_default_reporter_id(paths);
    }
    if (g_file_test(paths->rhsm, G_FILE_TEST_EXISTS)) {
        set->rhsm = read_file(set, paths->rhsm);
    }
    if (general != NULL) {
        take_sections(set, general, general, paths);
    }
    if (files == NULL || *files == NULL) {
        files = (const char *const *)set->settings.configs;
    }
    if (files != NULL && *files != NULL) {
        read_named(set, files, general, paths);
    } else {
        g_autoptr(GPtrArray) found = list_folder(set, paths->folder);

        for (guint i = 0; i < found->len; i++) {
            g_autoptr(IniFile) file = read_file(set, found->pdata[i]);

            if (file != NULL) {
                take_sections(set, file, general, paths);
            }
        }
        if (set->configs->len == 0 && !has_errors(set)) {
            g_ptr_array_add(set->configs, made_up());
        }
    }
    return set;
}

void conf_set_free(ConfSet *set)
{
    g_strfreev(set->environment);
    g_ptr_array_unref(set->configs);
    g_ptr_array_unref(set->problems);
    g_clear_pointer(&set->rhsm, ini_free);
    g_free(set->settings.reporter_id);
    g_free(set->settings.log_dir);
    g_free(set->settings.log_file);
    g_free(set->settings.status_file);
    g_free(set->settings.metrics_file);
    g_strfreev(set->settings.configs);
    g_free(set);
}

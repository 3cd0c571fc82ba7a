// SPDX-License-Identifier: GPL-2.0-or-later
/* guest-get-vcpus, guest-set-vcpus: the guest's processors, by sysfs
 * (Documentation/admin-guide/cputopology.rst). */
#include "guest-agent/agent.h"
#include "guest-agent/rights.h"
#include "guest-agent/text-file.h"

#include <errno.h>
#include <linux/capability.h>

#define CPU_FOLDER "/sys/devices/system/cpu"

static gint compare_ids(gconstpointer a, gconstpointer b)
{
    gint64 x = *(const gint64 *)a, y = *(const gint64 *)b;
    return (x > y) - (x < y);
}

/* The numbers of the folders cpuN, in order. NULL and error if there is no sysfs. */
static GArray *list_cpus(GError **error)
{
    g_autoptr(GDir) dir = g_dir_open(CPU_FOLDER, 0, error);
    if (!dir)
        return NULL;
    GArray *ids = g_array_new(FALSE, FALSE, sizeof(gint64));
    const char *name;
    while ((name = g_dir_read_name(dir))) {
        gint64 id;
        guint64 number;
        if (g_str_has_prefix(name, "cpu") &&
            g_ascii_string_to_unsigned(name + 3, 10, 0, G_MAXINT32, &number, NULL)) {
            id = (gint64)number;
            g_array_append_val(ids, id);
        }
    }
    g_array_sort(ids, compare_ids);
    return ids;
}

/* A processor without the file `online` cannot be switched off. */
static JsonObject *describe_cpu(gint64 id)
{
    g_autofree char *path = g_strdup_printf(CPU_FOLDER "/cpu%" G_GINT64_FORMAT "/online", id);
    g_autofree char *text = NULL;
    gboolean can_offline = g_file_get_contents(path, &text, NULL, NULL);
    JsonObject *cpu = json_object_new();
    json_object_set_int_member(cpu, "logical-id", id);
    json_object_set_boolean_member(cpu, "online", !can_offline || text[0] != '0');
    json_object_set_boolean_member(cpu, "can-offline", can_offline);
    return cpu;
}

static void guest_get_vcpus(CommandCall *call, JsonObject *arguments, gpointer data)
{
    GError *error = NULL;
    g_autoptr(GArray) ids = list_cpus(&error);
    if (!ids) {
        command_call_take_error(call, error);
        return;
    }
    JsonArray *cpus = json_array_new();
    for (guint i = 0; i < ids->len; i++)
        json_array_add_object_element(cpus, describe_cpu(g_array_index(ids, gint64, i)));
    command_call_return_array(call, cpus);
}

/* ---- guest-set-vcpus ---- */

#define MAX_CHANGES 65536

typedef struct Change {
    gint64 id;
    gboolean online;
} Change;

/* All of one request: taking a processor offline may take its time, so a thread does it. */
typedef struct Changes {
    CommandCall *call;
    guint count, done;
    GError *error; /* what stopped it */
    Change changes[];
} Changes;

static gboolean write_online(const char *path, gboolean online, GError **error)
{
    int errnum = text_file_write("", path, online ? "1" : "0");
    if (!errnum)
        return TRUE;
    g_autofree char *why = rights_explain(errnum, CAP_DAC_OVERRIDE);
    g_set_error(error, G_IO_ERROR, g_io_error_from_errno(errnum), "pwrite(\"%s\"): %s", path, why);
    return FALSE;
}

static gboolean apply(const Change *change, GError **error)
{
    g_autofree char *folder = g_strdup_printf(CPU_FOLDER "/cpu%" G_GINT64_FORMAT, change->id);
    g_autofree char *path = g_build_filename(folder, "online", NULL);
    g_autofree char *text = NULL;
    if (!g_file_test(folder, G_FILE_TEST_IS_DIR)) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_NOT_FOUND, "open(\"%s/\"): %s", folder, g_strerror(ENOENT));
        return FALSE;
    }
    if (!g_file_get_contents(path, &text, NULL, NULL)) {
        if (!change->online)
            g_set_error(error, G_IO_ERROR, G_IO_ERROR_NOT_SUPPORTED,
                        "logical processor #%" G_GINT64_FORMAT " can't be offlined", change->id);
        return change->online; /* it is always online */
    }
    return (text[0] != '0') == change->online || write_online(path, change->online, error);
}

static void apply_all(gpointer work)
{
    Changes *changes = work;
    while (changes->done < changes->count && apply(&changes->changes[changes->done], &changes->error))
        changes->done++;
}

/* An error is told only if nothing was done: else the count says how far it went. */
static void changes_done(gpointer work)
{
    Changes *changes = work;
    if (changes->error && changes->done == 0) {
        command_call_take_error(changes->call, g_steal_pointer(&changes->error));
    } else {
        command_call_return_int(changes->call, changes->done);
        g_clear_error(&changes->error);
    }
    g_free(changes);
}

static const CommandArg VCPU_MEMBERS[] = {
    {.name = "logical-id", .type = COMMAND_ARG_INT},
    {.name = "online", .type = COMMAND_ARG_BOOL},
    {.name = "can-offline",
     .type = COMMAND_ARG_BOOL,
     .optional = TRUE}, /* as guest-get-vcpus gave it: not looked at */
    {0},
};
static const CommandArg VCPU = {.type = COMMAND_ARG_OBJECT, .members = VCPU_MEMBERS};
static const CommandArg SET_VCPUS_ARGS[] = {
    {.name = "vcpus", .type = COMMAND_ARG_ARRAY, .element = &VCPU},
    {0},
};

static void guest_set_vcpus(CommandCall *call, JsonObject *arguments, gpointer data)
{
    Agent *agent = data;
    JsonArray *vcpus = json_object_get_array_member(arguments, "vcpus");
    guint count = json_array_get_length(vcpus);
    if (count > MAX_CHANGES) {
        command_call_fail(call, "more than %d processors", MAX_CHANGES);
        return;
    }
    Changes *changes = g_malloc0(sizeof *changes + count * sizeof(Change));
    changes->call = call;
    changes->count = count;
    for (guint i = 0; i < count; i++) {
        JsonObject *vcpu = json_array_get_object_element(vcpus, i);
        changes->changes[i] =
            (Change){.id = command_int(vcpu, "logical-id", -1), .online = command_bool(vcpu, "online", TRUE)};
    }
    worker_run(agent->worker, apply_all, changes_done, changes);
}

const Command COMMANDS_CPU[] = {
    {"guest-get-vcpus", NULL, guest_get_vcpus, COMMAND_FLAG_NONE},
    {"guest-set-vcpus", SET_VCPUS_ARGS, guest_set_vcpus, COMMAND_FLAG_NONE},
    {0},
};

// SPDX-License-Identifier: GPL-2.0-or-later
/* guest-fstrim: tells the disks which blocks no file uses any more. In a thread: it takes minutes. */
#include "guest-agent/agent.h"
#include "guest-agent/mounts.h"
#include "guest-agent/rights.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <unistd.h>

static char *explain(const char *what, int errnum)
{
    g_autofree char *why = rights_explain(errnum, CAP_SYS_ADMIN);
    return g_strdup_printf("%s: %s", what, why);
}

/* Adds what came of it to the answer for its path. */
static void trim(const Mount *mount, guint64 minimum, JsonObject *answer)
{
    struct fstrim_range range = {.start = 0, .len = G_MAXUINT64, .minlen = minimum};
    g_autofree char *problem = NULL;
    int fd = open(mount->path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0) {
        problem = explain("failed to open", errno);
    } else if (ioctl(fd, FITRIM, &range) < 0) {
        problem = errno == ENOTTY || errno == EOPNOTSUPP ? g_strdup("trim not supported")
                                                         : explain("failed to trim", errno);
    } else {
        json_object_set_int_member(answer, "minimum", (gint64)range.minlen);
        json_object_set_int_member(answer, "trimmed", (gint64)range.len);
    }
    if (problem)
        json_object_set_string_member(answer, "error", problem);
    if (fd >= 0)
        close(fd);
}

static JsonNode *run_trim(JsonObject *arguments, GError **error)
{
    g_autoptr(GPtrArray) mounts = mounts_list("", error);
    if (!mounts)
        return NULL;
    guint64 minimum = (guint64)command_int(arguments, "minimum", 0);
    JsonArray *paths = json_array_new();
    for (guint i = 0; i < mounts->len; i++) {
        const Mount *mount = g_ptr_array_index(mounts, i);
        JsonObject *answer = json_object_new();
        json_object_set_string_member(answer, "path", mount->path);
        trim(mount, minimum, answer);
        json_array_add_object_element(paths, answer);
    }
    JsonObject *answer = json_object_new();
    json_object_set_array_member(answer, "paths", paths);
    JsonNode *node = json_node_init_object(json_node_alloc(), NULL);
    json_node_take_object(node, answer);
    return node;
}

static void guest_fstrim(CommandCall *call, JsonObject *arguments, gpointer data)
{
    Agent *agent = data;
    audit_log(agent->audit, "guest-fstrim called");
    agent_answer_in_thread(agent, call, arguments, run_trim);
}

static const CommandArg TRIM_ARGS[] = {{.name = "minimum", .type = COMMAND_ARG_INT, .optional = TRUE}, {0}};

const Command COMMANDS_TRIM[] = {
    {"guest-fstrim", TRIM_ARGS, guest_fstrim, COMMAND_FLAG_NONE},
    {0},
};

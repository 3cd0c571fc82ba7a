// SPDX-License-Identifier: GPL-2.0-or-later
#include "guest-agent/helper.h"
#include "guest-agent/child.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>

#define OUTPUT_MAX 4096 /* bytes kept of what it says */

typedef struct Helper {
    Child *child;
    char *action;
    guint timer, timeout_ms;
    HelperDoneFunc done;
    gpointer user_data;
    GError *error; /* of the start */
} Helper;

/* Calls done; the helper is gone afterwards. error is taken. */
static void finish(Helper *helper, int status, GError *error)
{
    if (helper->timer)
        g_source_remove(helper->timer);
    child_free(helper->child);
    helper->done(status, error, helper->user_data);
    g_free(helper->action);
    g_free(helper);
}

static GError *G_GNUC_PRINTF(2, 3) failure(const Helper *helper, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    g_autofree char *what = g_strdup_vprintf(format, args);
    va_end(args);
    return g_error_new(G_IO_ERROR, G_IO_ERROR_FAILED, "child process has failed to %s: %s", helper->action,
                       what);
}

static void on_ended(Child *child, gpointer user_data)
{
    Helper *helper = user_data;
    int status = child_wait_status(child);
    const GByteArray *said = child_captured(child, CHILD_STDOUT);
    g_autofree char *text =
        said->len ? g_utf8_make_valid((const char *)said->data, (gssize)said->len) : g_strdup("");
    g_strchomp(text);
    if (!WIFEXITED(status))
        finish(helper, HELPER_NO_STATUS,
               g_error_new(G_IO_ERROR, G_IO_ERROR_FAILED, "child process has terminated abnormally%s%s",
                           *text ? ": " : "", text));
    else if (!WEXITSTATUS(status))
        finish(helper, 0, NULL);
    else if (*text)
        finish(helper, WEXITSTATUS(status), failure(helper, "%s", text));
    else
        finish(helper, WEXITSTATUS(status), failure(helper, "exit status %d", WEXITSTATUS(status)));
}

static gboolean on_deadline(gpointer user_data)
{
    Helper *helper = user_data;
    helper->timer = 0;
    kill(-child_pid(helper->child), SIGKILL);
    finish(helper, HELPER_NO_STATUS, failure(helper, "not done in %u s", helper->timeout_ms / 1000));
    return G_SOURCE_REMOVE;
}

static gboolean on_no_start(gpointer user_data)
{
    Helper *helper = user_data;
    helper->timer = 0;
    finish(helper, HELPER_NO_STATUS, g_steal_pointer(&helper->error));
    return G_SOURCE_REMOVE;
}

void helper_run(const HelperSpec *spec, HelperDoneFunc done, gpointer user_data)
{
    Helper *helper = g_new0(Helper, 1);
    helper->action = g_strdup(spec->action);
    helper->timeout_ms = spec->timeout_ms;
    helper->done = done;
    helper->user_data = user_data;
    ChildSpec child = {.argv = spec->argv,
                       .env = spec->env,
                       .input = spec->input,
                       .output = CHILD_OUTPUT_MERGED,
                       .limit = OUTPUT_MAX};
    helper->child = child_start(&child, on_ended, helper, NULL);
    if (helper->child) {
        helper->timer = g_timeout_add(spec->timeout_ms, on_deadline, helper);
    } else {
        helper->error = failure(helper, "failed to exec '%s': %s", spec->argv[0], g_strerror(errno));
        helper->timer = g_idle_add(on_no_start, helper);
    }
}

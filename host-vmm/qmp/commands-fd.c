// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Descriptors that a client sends along with a command (SCM_RIGHTS).
 */
#include <unistd.h>

#include "host-vmm/qmp/commands.h"

static FdStore *store_of(gpointer data)
{
    return machine_device_env(((QmpContext *)data)->machine)->fds;
}

/* The one that came with this command; -1: the call has been failed. */
static int received_fd(CommandCall *call, const QmpContext *context)
{
    int fd =
        context->take_fd != NULL ? context->take_fd(command_call_session(call), context->take_fd_data) : -1;

    if (fd < 0) {
        command_call_fail(call, "No file descriptor supplied via SCM_RIGHTS");
    }
    return fd;
}

/* error: taken; NULL: it is done. */
static void finish(CommandCall *call, GError *error)
{
    if (error == NULL) {
        command_call_return_empty(call);
    } else {
        command_call_take_error(call, error);
    }
}

static const CommandArg name_args[] = {
    {"fdname", COMMAND_ARG_STRING},
    {NULL},
};

static void getfd(CommandCall *call, JsonObject *arguments, gpointer data)
{
    int fd = received_fd(call, data);
    GError *error = NULL;

    if (fd >= 0) {
        fd_store_add_named(store_of(data), command_string(arguments, "fdname", NULL), fd, &error);
        finish(call, error);
    }
}

static void closefd(CommandCall *call, JsonObject *arguments, gpointer data)
{
    GError *error = NULL;

    fd_store_close_named(store_of(data), command_string(arguments, "fdname", NULL), &error);
    finish(call, error);
}

static const CommandArg add_args[] = {
    {"fdset-id", COMMAND_ARG_INT, .optional = TRUE},
    {"opaque", COMMAND_ARG_STRING, .optional = TRUE},
    {NULL},
};

static void add_fd(CommandCall *call, JsonObject *arguments, gpointer data)
{
    gint64 set = command_int(arguments, "fdset-id", -1);
    int fd = received_fd(call, data);
    GError *error = NULL;
    JsonObject *info;

    if (fd < 0) {
        return;
    }
    if (set < 0 && command_has(arguments, "fdset-id")) {
        close(fd);
        command_call_fail(call, "Parameter 'fdset-id' expects a non-negative value");
        return;
    }
    set = fd_store_add(store_of(data), set, command_string(arguments, "opaque", NULL), fd, &error);
    if (set < 0) {
        command_call_take_error(call, error);
        return;
    }
    info = json_object_new();
    json_object_set_int_member(info, "fdset-id", set);
    json_object_set_int_member(info, "fd", fd);
    command_call_return_object(call, info);
}

static const CommandArg remove_args[] = {
    {"fdset-id", COMMAND_ARG_INT},
    {"fd", COMMAND_ARG_INT, .optional = TRUE},
    {NULL},
};

static void remove_fd(CommandCall *call, JsonObject *arguments, gpointer data)
{
    gint64 set = command_int(arguments, "fdset-id", 0), fd = command_int(arguments, "fd", -1);
    GError *error = NULL;

    if (fd < 0 && command_has(arguments, "fd")) {
        command_call_fail(call, "Parameter 'fd' expects a non-negative value");
        return;
    }
    fd_store_remove(store_of(data), set, fd, &error);
    finish(call, error);
}

static void query_fdsets(CommandCall *call, JsonObject *arguments, gpointer data)
{
    command_call_return_array(call, fd_store_describe(store_of(data)));
}

const Command QMP_COMMANDS_FD[] = {
    {"getfd", name_args, getfd},           {"closefd", name_args, closefd},      {"add-fd", add_args, add_fd},
    {"remove-fd", remove_args, remove_fd}, {"query-fdsets", NULL, query_fdsets}, {NULL},
};

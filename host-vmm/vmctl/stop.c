// SPDX-License-Identifier: GPL-2.0-or-later
#include "host-vmm/vmctl/stop.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "host-vmm/vmctl/print.h"
#include "host-vmm/vmctl/replies.h"
#include "host-vmm/vmctl/vmctl.h"

enum {
    CALL_MS = 5000,   /* for a command that the monitor answers at once */
    PRESS_MS = 5000,  /* between two presses of the button */
    END_MS = 5000,    /* for the process to go after it said it would */
    LOOK_MS = 1000,   /* between two looks at whether it stays (-no-shutdown) */
    LAST_MS = 10000,  /* for a process whose guest has shut down: a busy host takes its time */
    LINGER_MS = 1000, /* for a helper of the monitor */
    POLL_MS = 50,
};

/* What is known of the guest while it is being stopped. */
typedef struct Stop {
    const Guest *guest;
    int pidfd;      /* of the monitor, -1 if its pid is not known */
    QmpClient *qmp; /* NULL if it does not answer, or no more */
} Stop;

static gboolean wait_gone(const Stop *stop, guint timeout_ms)
{
    gint64 deadline = deadline_after_ms(timeout_ms);

    if (stop->pidfd >= 0) {
        struct pollfd wait = {.fd = stop->pidfd, .events = POLLIN};
        int ready;
        do
            ready = poll(&wait, 1, (int)deadline_left_ms(deadline));
        while (ready < 0 && deadline_left_ms(deadline) > 0);
        return ready > 0;
    }
    while (guest_life(stop->guest, NULL) == GUEST_ALIVE) {
        if (deadline_left_ms(deadline) == 0)
            return FALSE;
        g_usleep(POLL_MS * 1000);
    }
    return TRUE;
}

gboolean stop_wait_gone(const Guest *guest, guint timeout_ms)
{
    Stop stop = {.guest = guest, .pidfd = guest_pin(guest)};
    gboolean gone = wait_gone(&stop, timeout_ms);

    if (stop.pidfd >= 0)
        close(stop.pidfd);
    return gone;
}

/* FALSE if the command failed; it has been said why. */
static gboolean tell(Stop *stop, const char *command)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(JsonNode) reply = NULL;

    if (stop->qmp == NULL)
        return FALSE;
    reply = qmp_client_call(stop->qmp, command, NULL, CALL_MS, &error);
    /* Ending the connection is an answer too, for what ends the guest. */
    if (reply != NULL || g_error_matches(error, QMP_CLIENT_ERROR, QMP_CLIENT_ERROR_CLOSED))
        return TRUE;
    complain("%s: %s: %s", stop->guest->label, command, error->message);
    return FALSE;
}

/* QMP's word for the guest's state (owned). NULL if the monitor does not answer, which is said; it is not
 * asked again. */
static char *query_state(Stop *stop)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(JsonNode) reply = NULL;

    if (stop->qmp == NULL)
        return NULL;
    reply = qmp_client_call(stop->qmp, "query-status", NULL, CALL_MS, &error);
    if (reply == NULL) {
        complain("the monitor of %s: %s", stop->guest->label, error->message);
        g_clear_pointer(&stop->qmp, qmp_client_close);
        return NULL;
    }
    return g_strdup(object_string(reply_as_object(reply), "status", "unknown"));
}

/* After the guest has shut down: waits for its monitor, unless that is one that stays. */
static gboolean wait_ended(Stop *stop)
{
    gint64 deadline = deadline_after_ms(LAST_MS);

    while (!wait_gone(stop, LOOK_MS)) {
        g_autoptr(JsonNode) reply = NULL;

        if (deadline_left_ms(deadline) == 0)
            return FALSE;
        if (stop->qmp != NULL)
            reply = qmp_client_call(stop->qmp, "query-status", NULL, CALL_MS, NULL);
        if (reply != NULL && strcmp(object_string(reply_as_object(reply), "status", ""), "shutdown") == 0)
            return FALSE;
    }
    return TRUE;
}

/* TRUE once the guest has shut down (or its monitor is gone). */
static gboolean press_button(Stop *stop, gint64 deadline)
{
    guint left;

    while ((left = deadline_left_ms(deadline)) > 0) {
        g_autoptr(GError) error = NULL;

        if (!tell(stop, "system_powerdown"))
            return wait_gone(stop, 0);
        if (qmp_client_wait_event(stop->qmp, "SHUTDOWN", MIN(left, PRESS_MS), &error))
            return TRUE;
        if (!g_error_matches(error, QMP_CLIENT_ERROR, QMP_CLIENT_ERROR_TIMEOUT))
            return wait_ended(stop); /* the connection has ended: mostly because all has */
    }
    return FALSE;
}

/* Whether the guest has gone by way of its power button. */
static gboolean stop_politely(Stop *stop, guint timeout_ms)
{
    gint64 deadline = deadline_after_ms(timeout_ms);
    const char *label = stop->guest->label;
    g_autofree char *state = query_state(stop);

    if (state == NULL)
        return FALSE;
    if (strcmp(state, "paused") == 0) {
        printf("%s is paused: resuming it, so that it can shut down\n", label);
        if (!tell(stop, "cont"))
            return FALSE;
    } else if (strcmp(state, "running") != 0) {
        g_autofree char *visible = print_visible(state);
        printf("%s is in state %s, in which no guest hears the power button\n", label, visible);
        return FALSE;
    }
    printf("pressing the power button of %s; it has %.3g s to shut down\n", label, timeout_ms / 1000.0);
    if (!press_button(stop, deadline)) {
        printf("%s has not shut down within %.3g s\n", label, timeout_ms / 1000.0);
        return FALSE;
    }
    return wait_ended(stop);
}

static gboolean stop_hard(Stop *stop, GError **error)
{
    const char *label = stop->guest->label;
    g_autofree char *state = query_state(stop);

    if (g_strcmp0(state, "shutdown") == 0) /* -no-shutdown: nothing is lost */
        printf("%s has shut down; telling its monitor to quit\n", label);
    else
        printf("ending %s the hard way\n", label);
    if (tell(stop, "quit") && wait_gone(stop, END_MS))
        return TRUE;
    if (stop->pidfd < 0) {
        g_set_error(error, VMCTL_ERROR, VMCTL_FAILED,
                    "the monitor of %s has not quit, and it cannot be killed: it has no pid file", label);
        return FALSE;
    }
    printf("%s the monitor of %s\n", state == NULL ? "killing" : "it has not quit: killing", label);
    if (syscall(SYS_pidfd_send_signal, stop->pidfd, SIGKILL, NULL, 0) != 0 || !wait_gone(stop, END_MS)) {
        g_set_error(error, VMCTL_ERROR, VMCTL_FAILED, "the monitor of %s could not be killed", label);
        return FALSE;
    }
    return TRUE;
}

gboolean stop_guest(const Guest *guest, guint timeout_ms, gboolean force, GError **error)
{
    Stop stop = {.guest = guest};
    g_autoptr(GError) problem = NULL;
    gboolean gone;

    if (!guest_require(guest, error))
        return FALSE;
    stop.pidfd = guest_pin(guest);
    stop.qmp = qmp_client_open(guest->qmp, CALL_MS, &problem);
    if (stop.qmp == NULL)
        complain("the monitor of %s: %s", guest->label, problem->message);
    gone = (!force && stop_politely(&stop, timeout_ms)) || stop_hard(&stop, error);
    g_clear_pointer(&stop.qmp, qmp_client_close);
    if (stop.pidfd >= 0)
        close(stop.pidfd);
    if (!gone)
        return FALSE;
    stop_wait_gone(guest, LINGER_MS); /* a helper of the monitor may hold its sockets a moment longer */
    if (guest->folder != NULL && !guest_clean(guest, error))
        return FALSE;
    printf("guest %s is stopped\n", guest->label);
    return TRUE;
}

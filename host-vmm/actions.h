// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * actions: what the machine does when the guest resets, powers off, panics or lets its watchdog expire:
 * QEMU's -action and QMP's set-action.
 */
#pragma once

#include <gio/gio.h>

typedef enum {
    PANIC_PAUSE,
    PANIC_SHUTDOWN,     /* end with status 0 */
    PANIC_EXIT_FAILURE, /* end with status 1 */
    PANIC_NONE,
} PanicAction;

typedef enum {
    WATCHDOG_RESET,
    WATCHDOG_SHUTDOWN, /* press the power button */
    WATCHDOG_POWEROFF, /* end */
    WATCHDOG_PAUSE,
    WATCHDOG_DEBUG, /* say so in the log */
    WATCHDOG_NONE,
    WATCHDOG_INJECT_NMI,
} WatchdogAction;

typedef struct Actions {
    gboolean reboot_ends;     /* reboot=shutdown, -no-reboot */
    gboolean shutdown_pauses; /* shutdown=pause, -no-shutdown */
    PanicAction panic;
    WatchdogAction watchdog;
} Actions;

/* What QEMU does unless told otherwise: reset, poweroff, shutdown, reset. */
#define ACTIONS_DEFAULT ((Actions){.panic = PANIC_SHUTDOWN, .watchdog = WATCHDOG_RESET})

/* The events that there is an action for: "reboot", "shutdown", "panic", "watchdog"; NULL-terminated. */
extern const char *const ACTION_EVENTS[];

/* event=action, in QEMU's words; FALSE and an error that names the words for what is not known. */
gboolean actions_set(Actions *actions, const char *event, const char *action, GError **error);

const char *watchdog_action_name(WatchdogAction action); /* "reset"… as in the event WATCHDOG */

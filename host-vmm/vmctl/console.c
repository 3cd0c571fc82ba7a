// SPDX-License-Identifier: GPL-2.0-or-later
#include "host-vmm/vmctl/console.h"

#include <stdio.h>
#include <unistd.h>

#include "host-vmm/vmctl/replies.h"
#include "host-vmm/vmctl/stop.h"
#include "host-vmm/vmctl/vmctl.h"

enum {
    CONNECT_MS = 2000,
    ASK_MS = 1000,
    LEAVE_MS = 300, /* for the monitor to notice that the one before has left */
    RETRY_MS = 50,
    END_MS = 3000, /* for the monitor to go after it has closed the console */
};

/* A second client would sit in the socket's queue and see nothing, so it is better told. A monitor that does
 * not answer in time is taken to have nothing against it. */
static gboolean is_taken(const Guest *guest)
{
    g_autoptr(QmpClient) qmp = guest->name == NULL ? NULL : qmp_client_open(guest->qmp, ASK_MS, NULL);
    gint64 deadline = deadline_after_ms(LEAVE_MS);
    gboolean taken = FALSE;

    while (qmp != NULL) {
        g_autoptr(JsonNode) chardevs = qmp_client_call(qmp, "query-chardev", NULL, ASK_MS, NULL);
        JsonObject *chardev;

        taken = FALSE;
        for (guint i = 0; (chardev = reply_object(chardevs, i)) != NULL; i++)
            if (chardev_has_path(chardev, guest->console))
                taken = chardev_is_connected(chardev);
        if (!taken || deadline_left_ms(deadline) == 0)
            break;
        g_usleep(RETRY_MS * 1000);
    }
    return taken;
}

int console_connect(const Guest *guest, GError **error)
{
    if (!guest_require(guest, error))
        return -1;
    if (access(guest->console, F_OK) != 0) {
        g_set_error(error, VMCTL_ERROR, VMCTL_FAILED, "guest %s has no console socket (%s)", guest->label,
                    guest->console);
        return -1;
    }
    if (is_taken(guest)) {
        g_set_error(error, VMCTL_ERROR, VMCTL_FAILED, "somebody else is at the console of %s (one at a time)",
                    guest->label);
        return -1;
    }
    return relay_connect(guest->console, CONNECT_MS, error);
}

RelayEnd console_attend(const Guest *guest, int socket, int signals, gint64 deadline, const char *until)
{
    gboolean is_person = isatty(STDIN_FILENO);
    RelayEnd end;

    if (is_person)
        complain("at the console of %s; Ctrl-] leaves it", guest->label);
    fflush(stdout);
    end = relay_run(socket, signals, deadline, until);
    if (is_person)
        fputc('\n', stderr); /* the guest's last line may be unfinished */
    switch (end) {
    case RELAY_CLOSED:
        if (guest->name != NULL && stop_wait_gone(guest, END_MS))
            complain("guest %s has ended", guest->label);
        else
            complain("the console of %s was closed from the other end", guest->label);
        break;
    case RELAY_DETACHED:
        complain("left the console; guest %s goes on", guest->label);
        break;
    case RELAY_NO_OUTPUT:
        complain("the output cannot be written any more");
        break;
    case RELAY_FOUND:
    case RELAY_TIMED_OUT:
    case RELAY_SIGNALLED:
        break;
    }
    return end;
}

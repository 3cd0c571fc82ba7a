// SPDX-License-Identifier: GPL-2.0-or-later
#include "host-vmm/vmctl/guest.h"

#include <errno.h>
#include <fcntl.h>
#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include "lib/runtime-dir.h"
#include "host-vmm/vmctl/replies.h"
#include "host-vmm/vmctl/vmctl.h"

enum { LOCK_WAIT_MS = 5000, AGENT_TRY_MS = 3000, AGENT_NOTICE_MS = 2000 };

static void set_errno_error(GError **error, int number, const char *what, const char *path)
{
    g_set_error(error, VMCTL_ERROR, VMCTL_FAILED, "%s %s: %s", what, path, g_strerror(number));
}

Guest *guest_new(const char *name_or_path, GError **error)
{
    g_autoptr(Guest) guest = g_new0(Guest, 1);
    GError *problem = NULL;
    struct sockaddr_un address;

    guest->label = g_strdup(name_or_path);
    if (strchr(name_or_path, '/') == NULL) {
        guest->console =
            runtime_dir_guest_path(name_or_path, "console.sock", &problem); /* the longest path of all */
        if (guest->console == NULL) { /* what is wrong is on the command line */
            g_set_error_literal(error, VMCTL_ERROR, VMCTL_USAGE, problem->message);
            g_error_free(problem);
            return NULL;
        }
        guest->name = g_strdup(name_or_path);
        guest->folder = g_path_get_dirname(guest->console);
        guest->pid_file = g_build_filename(guest->folder, "pid", NULL);
        guest->log = g_build_filename(guest->folder, "log", NULL);
        guest->starting = g_build_filename(guest->folder, "starting", NULL);
        guest->qmp = g_build_filename(guest->folder, "qmp.sock", NULL);
        guest->agent = g_build_filename(guest->folder, "agent.sock", NULL);
    } else if (strlen(name_or_path) >= sizeof address.sun_path) {
        g_set_error(error, VMCTL_ERROR, VMCTL_USAGE, "%s: a unix socket's path can have %zu bytes at most",
                    name_or_path, sizeof address.sun_path - 1);
        return NULL;
    } else {
        guest->qmp = g_strdup(name_or_path);
        guest->agent = g_strdup(name_or_path);
        guest->console = g_strdup(name_or_path);
    }
    return g_steal_pointer(&guest);
}

Guest *guest_new_for(const char *socket, char ***words, GError **error)
{
    g_autofree char *path = NULL;

    if (socket == NULL)
        return guest_new(*(*words)++, error);
    /* A name without a folder would be taken for a guest's. */
    path = strchr(socket, '/') != NULL ? g_strdup(socket) : g_build_filename(".", socket, NULL);
    return guest_new(path, error);
}

void guest_free(Guest *guest)
{
    g_free(guest->label);
    g_free(guest->name);
    g_free(guest->folder);
    g_free(guest->pid_file);
    g_free(guest->log);
    g_free(guest->starting);
    g_free(guest->qmp);
    g_free(guest->agent);
    g_free(guest->console);
    g_free(guest);
}

/* Whether somebody listens; a queue that is full counts. */
static gboolean is_served(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd, result, number;

    memcpy(address.sun_path, path, MIN(strlen(path), sizeof address.sun_path - 1));
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return FALSE;
    result = connect(fd, (const struct sockaddr *)&address, sizeof address);
    number = errno;
    close(fd);
    return result == 0 || number == EAGAIN;
}

typedef enum { LOCK_NO_FILE, LOCK_FREE, LOCK_HELD } LockState;

/* Whether somebody holds a lock on the file, without taking it even for a moment. Sees the locks of a process
 * and those of an open file description alike. pid (may be NULL): what the file says, 0 if it does not say
 * one. */
static LockState look_at_lock(const char *path, pid_t *pid)
{
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    LockState state = LOCK_FREE;
    char text[32] = "";
    int fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);

    if (fd < 0)
        return errno == ENOENT || errno == ENOTDIR ? LOCK_NO_FILE : LOCK_FREE;
    if (fcntl(fd, F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK)
        state = LOCK_HELD;
    if (pid != NULL) {
        gint64 value = read(fd, text, sizeof text - 1) > 0 ? g_ascii_strtoll(text, NULL, 10) : 0;
        *pid = value > 0 && value <= G_MAXINT ? (pid_t)value : 0;
    }
    close(fd);
    return state;
}

GuestLife guest_life(const Guest *guest, pid_t *pid)
{
    pid_t found = 0;
    LockState lock;

    if (pid != NULL)
        *pid = 0;
    if (guest->name == NULL)
        return is_served(guest->qmp) ? GUEST_ALIVE : GUEST_ABSENT;
    if (!g_file_test(guest->folder, G_FILE_TEST_IS_DIR))
        return GUEST_ABSENT;
    if (look_at_lock(guest->starting, NULL) == LOCK_HELD)
        return GUEST_STARTING;
    lock = look_at_lock(guest->pid_file, &found);
    if (lock == LOCK_HELD) {
        if (pid != NULL)
            *pid = found;
        return GUEST_ALIVE;
    }
    /* Started by hand without -pidfile? */
    if (is_served(guest->qmp))
        return GUEST_ALIVE;
    return lock == LOCK_NO_FILE && access(guest->qmp, F_OK) != 0 ? GUEST_ENDED : GUEST_DEAD;
}

gboolean guest_require(const Guest *guest, GError **error)
{
    switch (guest_life(guest, NULL)) {
    case GUEST_ALIVE:
        return TRUE;
    case GUEST_ABSENT:
        if (guest->name == NULL)
            g_set_error(error, VMCTL_ERROR, VMCTL_NO_GUEST, "nobody listens on %s", guest->label);
        else
            g_set_error(error, VMCTL_ERROR, VMCTL_NO_GUEST, "there is no guest '%s' (see: vmctl list)",
                        guest->label);
        return FALSE;
    case GUEST_STARTING:
        g_set_error(error, VMCTL_ERROR, VMCTL_NO_GUEST, "guest %s is just being started", guest->label);
        return FALSE;
    case GUEST_ENDED:
        g_set_error(error, VMCTL_ERROR, VMCTL_NO_GUEST, "guest %s has ended", guest->label);
        return FALSE;
    case GUEST_DEAD:
        g_set_error(error, VMCTL_ERROR, VMCTL_NO_GUEST,
                    "guest %s is dead: its monitor has been killed (log: %s)", guest->label, guest->log);
        return FALSE;
    }
    g_return_val_if_reached(FALSE);
}

int guest_pin(const Guest *guest)
{
    pid_t pid = 0, again = 0;
    int fd;

    if (guest->name == NULL || look_at_lock(guest->pid_file, &pid) != LOCK_HELD || pid == 0)
        return -1;
    fd = (int)syscall(SYS_pidfd_open, pid, 0);
    /* Still locked and the same: then the pid was not used anew before the pidfd was opened. */
    if (fd >= 0 && (look_at_lock(guest->pid_file, &again) != LOCK_HELD || again != pid)) {
        close(fd);
        return -1;
    }
    return fd;
}

static gboolean lock_file(int fd, guint wait_ms)
{
    gint64 deadline = deadline_after_ms(wait_ms);

    while (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        if (deadline_left_ms(deadline) == 0)
            return FALSE;
        g_usleep(20 * 1000);
    }
    return TRUE;
}

int guest_lock_all(GError **error)
{
    g_autofree char *path = runtime_dir_path();
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd < 0) {
        set_errno_error(error, errno, "cannot open", path);
        return -1;
    }
    if (!lock_file(fd, LOCK_WAIT_MS)) {
        g_set_error(error, VMCTL_ERROR, VMCTL_TIMED_OUT, "another vmctl has held %s locked for %d s", path,
                    LOCK_WAIT_MS / 1000);
        close(fd);
        return -1;
    }
    return fd;
}

int guest_begin_start(const Guest *guest, GError **error)
{
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    int fd;

    if (mkdir(guest->folder, 0700) != 0) {
        set_errno_error(error, errno, "cannot make", guest->folder);
        return -1;
    }
    fd = open(guest->starting, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0 || fcntl(fd, F_OFD_SETLK, &lock) != 0) {
        set_errno_error(error, errno, "cannot make", guest->starting);
        if (fd >= 0)
            close(fd);
        guest_remove(guest, NULL);
        return -1;
    }
    return fd;
}

gboolean guest_remove(const Guest *guest, GError **error)
{
    int fd = open(guest->folder, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *folder = fd < 0 ? NULL : fdopendir(fd);
    const struct dirent *entry;

    if (folder == NULL) {
        int number = errno;
        if (fd >= 0)
            close(fd);
        if (number == ENOENT)
            return TRUE;
        set_errno_error(error, number, "cannot open", guest->folder);
        return FALSE;
    }
    while ((entry = readdir(folder)) != NULL)
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            unlinkat(fd, entry->d_name, 0); /* what cannot go makes rmdir() fail */
    closedir(folder);
    if (rmdir(guest->folder) != 0 && errno != ENOENT) {
        set_errno_error(error, errno, "cannot remove", guest->folder);
        return FALSE;
    }
    return TRUE;
}

gboolean guest_clean(const Guest *guest, GError **error)
{
    int lock = guest_lock_all(error);
    GuestLife life;
    gboolean done = FALSE;

    if (lock < 0)
        return FALSE;
    life = guest_life(guest, NULL);
    if (life == GUEST_ALIVE || life == GUEST_STARTING)
        g_set_error(error, VMCTL_ERROR, VMCTL_FAILED, "guest %s is running again", guest->label);
    else
        done = guest_remove(guest, error);
    close(lock);
    return done;
}

QmpClient *guest_open_qmp(const Guest *guest, gint64 deadline, GError **error)
{
    QmpClient *client;

    if (!guest_require(guest, error))
        return NULL;
    client = qmp_client_open(guest->qmp, MAX(1, deadline_left_ms(deadline)), error);
    if (client == NULL)
        g_prefix_error(error, "the monitor of %s: ", guest->label);
    return client;
}

/* One more sentence for a person whose agent does not answer: what the monitor knows of its port. */
static const char *port_hint(const Guest *guest)
{
    g_autoptr(QmpClient) qmp = NULL;
    g_autoptr(JsonNode) chardevs = NULL;
    JsonObject *chardev;

    if (guest->name == NULL || (qmp = qmp_client_open(guest->qmp, 1000, NULL)) == NULL)
        return "";
    chardevs = qmp_client_call(qmp, "query-chardev", NULL, 1000, NULL);
    for (guint i = 0; (chardev = reply_object(chardevs, i)) != NULL; i++)
        if (chardev_has_path(chardev, guest->agent) && !chardev_is_opened_by_guest(chardev))
            return "; no program in the guest has opened the agent's port";
    return "";
}

AgentClient *guest_open_agent(const Guest *guest, gint64 deadline, GError **error)
{
    gint64 started = g_get_monotonic_time();
    gboolean noticed = FALSE;

    if (!guest_require(guest, error))
        return NULL;
    if (access(guest->agent, F_OK) != 0) {
        g_set_error(error, VMCTL_ERROR, VMCTL_FAILED, "guest %s has no agent socket (%s)", guest->label,
                    guest->agent);
        return NULL;
    }
    for (;;) {
        GError *problem = NULL;
        guint left = deadline_left_ms(deadline);
        guint try_ms = noticed ? AGENT_TRY_MS : AGENT_NOTICE_MS;
        AgentClient *client = agent_client_open(guest->agent, CLAMP(left, 1, try_ms), &problem);

        if (client != NULL)
            return client;
        left = deadline_left_ms(deadline);
        if (!g_error_matches(problem, AGENT_CLIENT_ERROR, AGENT_CLIENT_ERROR_TIMEOUT)) {
            g_propagate_prefixed_error(error, problem, "the agent of %s: ", guest->label);
            return NULL;
        }
        g_error_free(problem);
        if (left == 0 || guest_life(guest, NULL) != GUEST_ALIVE) {
            g_set_error(error, VMCTL_ERROR, VMCTL_TIMED_OUT,
                        "the agent of %s has not answered within %.3g s%s", guest->label,
                        (double)(g_get_monotonic_time() - started) / G_USEC_PER_SEC, port_hint(guest));
            return NULL;
        }
        if (!noticed)
            complain("the agent of %s does not answer yet; waiting up to %u s more", guest->label,
                     (left + 999) / 1000);
        noticed = TRUE;
    }
}

// SPDX-License-Identifier: GPL-2.0-or-later
#include <check.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "host-vmm/char/chardev.h"
#include "tests/check-run.h"

/* ---- a front end that remembers ---- */

typedef struct Front {
    GByteArray *got;
    gsize room;
    guint opened, closed, writable;
} Front;

static gsize front_can_receive(gpointer user_data)
{
    return ((Front *)user_data)->room;
}

static void front_receive(gpointer user_data, const guint8 *data, gsize length)
{
    Front *front = user_data;

    ck_assert_uint_le(length, front->room);
    front->room -= length;
    g_byte_array_append(front->got, data, (guint)length);
}

static void front_open_changed(gpointer user_data, gboolean open)
{
    Front *front = user_data;

    if (open) {
        front->opened++;
    } else {
        front->closed++;
    }
}

static void front_can_write(gpointer user_data)
{
    ((Front *)user_data)->writable++;
}

static const ChardevFront front_funcs = {front_can_receive, front_receive, front_open_changed,
                                         front_can_write};

/* ---- fixture ---- */

static char *folder;
static ChardevSet *set;
static Front front;

static void setup(void)
{
    folder = g_dir_make_tmp("chardev-XXXXXX", NULL);
    set = chardev_set_new();
    front = (Front){g_byte_array_new(), 1 << 20, 0, 0, 0};
}

static void teardown(void)
{
    GDir *dir;

    chardev_set_free(set);
    g_byte_array_unref(front.got);
    dir = g_dir_open(folder, 0, NULL);
    for (const char *name; (name = g_dir_read_name(dir)) != NULL;) {
        g_autofree char *path = g_build_filename(folder, name, NULL);

        g_unlink(path);
    }
    g_dir_close(dir);
    g_rmdir(folder);
    g_free(folder);
}

static char *at(const char *name)
{
    return g_build_filename(folder, name, NULL);
}

/* Runs the main loop until the condition holds; fails after 10 s. */
#define SPIN(condition)                                                                                      \
    do {                                                                                                     \
        gint64 deadline = g_get_monotonic_time() + 10 * G_USEC_PER_SEC;                                      \
        while (!(condition)) {                                                                               \
            ck_assert_msg(g_get_monotonic_time() < deadline, "never: %s", #condition);                       \
            if (!g_main_context_iteration(NULL, FALSE)) {                                                    \
                g_usleep(1000);                                                                              \
            }                                                                                                \
        }                                                                                                    \
    } while (0)

static void settle(void)
{
    for (guint i = 0; i < 50; i++) {
        g_main_context_iteration(NULL, FALSE);
        g_usleep(1000);
    }
}

static Chardev *add(const char *format, ...) G_GNUC_PRINTF(1, 2);
static Chardev *add(const char *format, ...)
{
    g_autofree char *text = NULL;
    g_autoptr(OptSet) options = NULL;
    g_autoptr(GError) error = NULL;
    Chardev *chardev;
    va_list args;

    va_start(args, format);
    text = g_strdup_vprintf(format, args);
    va_end(args);
    options = optset_parse("-chardev", text, "backend", &error);
    ck_assert_msg(options != NULL, "%s", text);
    chardev = chardev_set_add(set, options, &error);
    ck_assert_msg(chardev != NULL, "%s: %s", text, error != NULL ? error->message : "?");
    return chardev;
}

static void refused(const char *message, const char *format, ...) G_GNUC_PRINTF(2, 3);
static void refused(const char *message, const char *format, ...)
{
    g_autofree char *text = NULL;
    g_autoptr(OptSet) options = NULL;
    g_autoptr(GError) error = NULL;
    va_list args;

    va_start(args, format);
    text = g_strdup_vprintf(format, args);
    va_end(args);
    options = optset_parse("-chardev", text, "backend", &error);
    ck_assert_msg(options != NULL, "%s", text);
    ck_assert_msg(chardev_set_add(set, options, &error) == NULL, "%s: accepted", text);
    ck_assert_msg(strstr(error->message, message) != NULL, "%s: '%s' is not in '%s'", text, message,
                  error->message);
    ck_assert_msg(g_str_has_prefix(error->message, "-chardev"), "%s", error->message);
    ck_assert_ptr_null(strchr(error->message, '\n'));
}

static void attach(Chardev *chardev)
{
    g_autoptr(GError) error = NULL;

    ck_assert(chardev_attach(chardev, "the test", &front_funcs, &front, &error));
}

static int unix_socket(struct sockaddr_un *address, const char *path)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    ck_assert_int_ge(fd, 0);
    *address = (struct sockaddr_un){.sun_family = AF_UNIX};
    g_strlcpy(address->sun_path, path, sizeof(address->sun_path));
    return fd;
}

static int client(const char *path)
{
    struct sockaddr_un address;
    int fd = unix_socket(&address, path);

    ck_assert_int_eq(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    return fd;
}

static int listener(const char *path)
{
    struct sockaddr_un address;
    int fd = unix_socket(&address, path);

    ck_assert_int_eq(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    ck_assert_int_eq(listen(fd, 4), 0);
    return fd;
}

static void put(int fd, const char *text)
{
    ck_assert_int_eq(write(fd, text, strlen(text)), (gssize)strlen(text));
}

static void got(const char *text)
{
    SPIN(front.got->len >= strlen(text));
    ck_assert_uint_eq(front.got->len, strlen(text));
    ck_assert_mem_eq(front.got->data, text, strlen(text));
    g_byte_array_set_size(front.got, 0);
}

static void peer_gets(int fd, const char *text)
{
    char buffer[256];

    ck_assert_int_eq(read(fd, buffer, sizeof(buffer)), (gssize)strlen(text));
    ck_assert_mem_eq(buffer, text, strlen(text));
}

/* ---- sockets ---- */

START_TEST (server) {
    g_autofree char *path = at("s.sock"), *described = NULL, *again = NULL, *expected = NULL, *lonely = NULL;
    Chardev *chardev = add("socket,id=c,path=%s,server=on,wait=off", path);
    struct stat info;
    int first, second;

    ck_assert_int_eq(stat(path, &info), 0);
    ck_assert_uint_eq(info.st_mode & 07777, 0600);
    attach(chardev);
    expected = g_strdup_printf("unix:%s,server=on", path);
    lonely = g_strconcat("disconnected:", expected, NULL);
    described = chardev_describe(chardev);
    ck_assert_str_eq(described, lonely);
    ck_assert(!chardev_is_open(chardev));
    ck_assert_uint_eq(chardev_write(chardev, "lost", 4), 4);

    first = client(path);
    second = client(path);
    put(second, "second");
    SPIN(front.opened == 1);
    ck_assert(chardev_is_open(chardev));
    again = chardev_describe(chardev);
    ck_assert_str_eq(again, expected);
    put(first, "hello");
    got("hello");
    ck_assert_uint_eq(chardev_write(chardev, "world", 5), 5);
    peer_gets(first, "world");
    settle();
    ck_assert_uint_eq(front.got->len, 0);
    ck_assert_uint_eq(front.opened, 1);

    close(first);
    SPIN(front.closed == 1 && front.opened == 2);
    got("second");
    ck_assert_uint_eq(chardev_write(chardev, "2", 1), 1);
    peer_gets(second, "2");
    close(second);
    SPIN(front.closed == 2);
    settle();
    ck_assert_uint_eq(front.opened, 2);
}
END_TEST

START_TEST (unlinked_at_the_end) {
    g_autofree char *mine = at("mine.sock"), *other = at("other.sock");
    int foreign;

    add("socket,id=a,path=%s,server=on,wait=off", mine);
    add("socket,id=b,path=%s,server=on,wait=off", other);
    ck_assert_int_eq(g_unlink(other), 0);
    foreign = listener(other);
    chardev_set_free(set);
    set = chardev_set_new();
    ck_assert(!g_file_test(mine, G_FILE_TEST_EXISTS));
    ck_assert(g_file_test(other, G_FILE_TEST_EXISTS));
    close(foreign);
}
END_TEST

START_TEST (left_over_and_in_use) {
    g_autofree char *path = at("s.sock"), *file = at("file"), *deep = at("no/such/s.sock"),
                    *full = at("full.sock");
    g_autofree char *longer = g_strnfill(120, 'x');
    struct sockaddr_un address;
    int fd = listener(path), fillers[8];

    refused("already in use by another process", "socket,id=c,path=%s,server=on,wait=off", path);
    ck_assert(g_file_test(path, G_FILE_TEST_EXISTS));
    close(fd);
    ck_assert(g_file_test(path, G_FILE_TEST_EXISTS));
    add("socket,id=c,path=%s,server=on,wait=off", path);
    close(client(path));
    refused("already in use by another process", "socket,id=d,path=%s,server=on,wait=off", path);

    ck_assert(g_file_set_contents(file, "precious", -1, NULL));
    refused("is there already, and is not a socket", "socket,id=d,path=%s,server=on,wait=off", file);
    ck_assert(g_file_test(file, G_FILE_TEST_IS_REGULAR));
    refused("No such file", "socket,id=d,path=%s,server=on,wait=off", deep);
    refused("must have 1 to 107 bytes", "socket,id=d,path=/tmp/%s,server=on,wait=off", longer);
    refused("must have 1 to 107 bytes", "socket,id=d,path=,server=on,wait=off");

    /* One that is too busy to answer is alive too. */
    fd = unix_socket(&address, full);
    ck_assert_int_eq(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    ck_assert_int_eq(listen(fd, 0), 0);
    for (guint i = 0; i < G_N_ELEMENTS(fillers); i++) {
        fillers[i] = unix_socket(&address, full);
        fcntl(fillers[i], F_SETFL, O_NONBLOCK);
        (void)connect(fillers[i], (struct sockaddr *)&address, sizeof(address));
    }
    refused("already in use by another process", "socket,id=d,path=%s,server=on,wait=off", full);
    for (guint i = 0; i < G_N_ELEMENTS(fillers); i++) {
        close(fillers[i]);
    }
    close(fd);
}
END_TEST

START_TEST (input_waits_for_room) {
    g_autofree char *path = at("s.sock"), *big = g_strnfill(100000, 'x');
    Chardev *chardev = add("socket,id=c,path=%s,server=on,wait=off", path);
    int peer;

    front.room = 0;
    attach(chardev);
    peer = client(path);
    put(peer, big);
    SPIN(front.opened == 1);
    settle();
    ck_assert_uint_eq(front.got->len, 0);
    ck_assert(!g_main_context_pending(NULL));
    front.room = 10;
    chardev_accept_input(chardev);
    SPIN(front.got->len == 10);
    settle();
    ck_assert_uint_eq(front.got->len, 10);
    ck_assert(!g_main_context_pending(NULL));
    front.room = 1 << 20;
    chardev_accept_input(chardev);
    SPIN(front.got->len == 100000);

    /* A peer that leaves while nobody wants its bytes makes room for the next one. */
    front.room = 0;
    put(peer, "unwanted");
    settle();
    close(peer);
    SPIN(front.closed == 1);
    front.room = 100;
    g_byte_array_set_size(front.got, 0);
    peer = client(path);
    put(peer, "wanted");
    got("wanted");
    close(peer);
}
END_TEST

START_TEST (output_is_bounded) {
    g_autofree char *path = at("s.sock"), *chunk = g_malloc(65536), *sink = g_malloc(65536);
    Chardev *chardev = add("socket,id=c,path=%s,server=on,wait=off", path);
    gsize sent = 0, received = 0, taken;
    int peer;

    attach(chardev);
    peer = client(path);
    SPIN(front.opened == 1);
    for (guint i = 0; i < 65536; i++) {
        chunk[i] = (char)(i * 7);
    }
    while ((taken = chardev_write(chardev, chunk + sent % 256, 65536 - 256)) == 65536 - 256) {
        sent += taken;
        ck_assert_uint_lt(sent, 64 << 20);
    }
    sent += taken;
    ck_assert_uint_eq(chardev_write(chardev, "x", 1), 0);
    settle();
    ck_assert_uint_eq(front.writable, 0);
    ck_assert(!g_main_context_pending(NULL));
    while (received < sent) {
        gssize count = read(peer, sink, 65536);

        ck_assert_int_gt(count, 0);
        for (gssize i = 0; i < count; i++) {
            ck_assert_int_eq((guint8)sink[i], (guint8)((received + (gsize)i) * 7));
        }
        received += (gsize)count;
    }
    SPIN(front.writable == 1);
    ck_assert_uint_eq(chardev_write(chardev, "x", 1), 1);

    /* Full again, and the peer goes: nobody waits for ever. */
    while (chardev_write(chardev, chunk, 65536) == 65536) {
    }
    close(peer);
    SPIN(front.closed == 1 && front.writable == 2);
    ck_assert_uint_eq(chardev_write(chardev, chunk, 65536), 65536);
}
END_TEST

static gpointer keep_writing(gpointer user_data)
{
    Chardev *chardev = user_data;
    char text[4096] = {0};

    for (guint i = 0; i < 2000; i++) {
        chardev_write(chardev, text, sizeof(text));
    }
    return NULL;
}

START_TEST (peers_vanish_at_any_time) {
    g_autofree char *path = at("s.sock");
    Chardev *chardev = add("socket,id=c,path=%s,server=on,wait=off", path);
    GThread *thread;

    attach(chardev);
    thread = g_thread_new("writer", keep_writing, chardev);
    for (guint i = 1; i <= 50; i++) {
        int peer = client(path);

        SPIN(front.opened >= i || front.closed >= i);
        if (i % 2 == 0) {
            put(peer, "some bytes");
        }
        close(peer);
        SPIN(front.closed >= i);
    }
    g_thread_join(thread);
    settle();
    ck_assert_uint_eq(front.opened, 50);
    ck_assert_uint_eq(front.closed, 50);
    ck_assert(!g_main_context_pending(NULL));
}
END_TEST

START_TEST (client_side) {
    g_autofree char *path = at("s.sock"), *described = NULL, *expected = NULL;
    int fd, peer;
    Chardev *chardev;

    refused("cannot connect to", "socket,id=c,path=%s", path);
    fd = listener(path);
    chardev = add("socket,id=c,path=%s", path);
    peer = accept(fd, NULL, NULL);
    attach(chardev);
    ck_assert_uint_eq(front.opened, 0);
    SPIN(front.opened == 1);
    described = chardev_describe(chardev);
    expected = g_strdup_printf("unix:%s", path);
    ck_assert_str_eq(described, expected);
    put(peer, "in");
    got("in");
    chardev_write(chardev, "out", 3);
    peer_gets(peer, "out");
    close(peer);
    SPIN(front.closed == 1);
    ck_assert_uint_eq(chardev_write(chardev, "x", 1), 1);
    close(fd);
}
END_TEST

START_TEST (client_comes_back) {
    g_autofree char *path = at("s.sock");
    Chardev *chardev = add("socket,id=c,path=%s,reconnect=1", path);
    int fd, peer;

    attach(chardev);
    fd = listener(path);
    SPIN(front.opened == 1);
    peer = accept(fd, NULL, NULL);
    close(peer);
    SPIN(front.opened == 2);
    peer = accept(fd, NULL, NULL);
    put(peer, "again");
    got("again");
    close(peer);
    close(fd);
}
END_TEST

START_TEST (inherited) {
    g_autofree char *path = at("s.sock"), *described = NULL, *expected = NULL;
    int fd = listener(path), pair[2], pipe_fds[2], peer;
    Chardev *chardev;

    refused("is a listening socket: server=on is needed", "socket,id=c,fd=%d", fd);
    chardev = add("socket,id=c,fd=%d,server=on,wait=off", fd);
    refused("is used by another chardev", "socket,id=d,fd=%d,server=on,wait=off", fd);
    attach(chardev);
    described = chardev_describe(chardev);
    expected = g_strdup_printf("disconnected:unix:%s,server=on", path);
    ck_assert_str_eq(described, expected);
    peer = client(path);
    put(peer, "hello");
    got("hello");
    close(peer);
    SPIN(front.closed == 1);
    chardev_detach(chardev);

    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    refused("is not a listening socket", "socket,id=d,fd=%d,server=on", pair[0]);
    chardev = add("socket,id=d,fd=%d", pair[0]);
    attach(chardev);
    put(pair[1], "pair");
    got("pair");
    close(pair[1]);
    SPIN(front.closed == 2);

    ck_assert_int_eq(pipe(pipe_fds), 0);
    refused("is not an open stream socket", "socket,id=e,fd=%d", pipe_fds[0]);
    refused("is not an open stream socket", "socket,id=e,fd=999");
    close(pipe_fds[0]);
    close(pipe_fds[1]);
    chardev_set_free(set);
    set = chardev_set_new();
    /* What somebody else has bound stays. */
    ck_assert(g_file_test(path, G_FILE_TEST_EXISTS));
}
END_TEST

static gpointer come_later(gpointer user_data)
{
    g_usleep(100000);
    return GINT_TO_POINTER(client(user_data));
}

static gboolean cancel(gpointer user_data)
{
    chardev_set_cancel(set);
    return G_SOURCE_REMOVE;
}

START_TEST (wait_for_the_first) {
    g_autofree char *path = at("s.sock"), *other = at("t.sock");
    GThread *thread = NULL;
    Chardev *chardev;
    int peer;

    /* The thread needs the socket to be there: it comes when the main loop runs, that is while we wait. */
    g_autoptr(OptSet) options = NULL;
    g_autofree char *text = g_strdup_printf("socket,id=c,path=%s,server=on", path);

    options = optset_parse("-chardev", text, "backend", NULL);
    thread = g_thread_new("client", come_later, path);
    chardev = chardev_set_add(set, options, NULL);
    ck_assert_ptr_nonnull(chardev);
    peer = GPOINTER_TO_INT(g_thread_join(thread));
    ck_assert(chardev_is_open(chardev));
    attach(chardev);
    put(peer, "first");
    got("first");
    close(peer);
    SPIN(front.closed == 1);

    g_timeout_add(50, cancel, NULL);
    refused("stopped while waiting", "socket,id=d,path=%s,server=on,wait=on", other);
    ck_assert(!g_file_test(other, G_FILE_TEST_EXISTS));
}
END_TEST

static void accepted(GSocketConnection *connection, gpointer user_data)
{
    g_ptr_array_add(user_data, connection);
}

START_TEST (many) {
    g_autofree char *path = at("s.sock"), *none = NULL, *some = NULL;
    g_autoptr(GPtrArray) connections = g_ptr_array_new_with_free_func(g_object_unref);
    Chardev *chardev = add("socket,id=c,path=%s,server=on,wait=off", path);
    g_autoptr(GError) error = NULL;
    int peers[5];

    ck_assert(!chardev_accept_many(add("null,id=n"), "monitor", accepted, connections, &error));
    g_clear_error(&error);
    ck_assert(chardev_accept_many(chardev, "monitor", accepted, connections, &error));
    ck_assert(!chardev_attach(chardev, "the test", &front_funcs, &front, &error));
    ck_assert_str_eq(error->message, "chardev 'c' is already in use by monitor");
    none = chardev_describe(chardev);
    ck_assert(g_str_has_prefix(none, "disconnected:unix:"));
    for (guint i = 0; i < 5; i++) {
        peers[i] = client(path);
    }
    SPIN(connections->len == 5);
    some = chardev_describe(chardev);
    ck_assert(g_str_has_prefix(some, "unix:"));
    for (guint i = 0; i < 5; i++) {
        close(peers[i]);
    }
    g_ptr_array_set_size(connections, 1);
    chardev_set_free(set); /* with a connection alive */
    set = chardev_set_new();
    g_ptr_array_set_size(connections, 0);
}
END_TEST

/* ---- others ---- */

START_TEST (pty) {
    Chardev *chardev = add("pty,id=c");
    g_autofree char *described = chardev_describe(chardev);
    const char *name = described + strlen("pty:");
    int fd;

    ck_assert(g_str_has_prefix(described, "pty:/dev/pts/"));
    attach(chardev);
    settle();
    ck_assert(!chardev_is_open(chardev));
    ck_assert_uint_eq(front.opened, 0);
    ck_assert_uint_eq(chardev_write(chardev, "lost\n", 5), 5);
    for (guint i = 1; i <= 3; i++) {
        fd = open(name, O_RDWR | O_NOCTTY);
        ck_assert_int_ge(fd, 0);
        SPIN(front.opened == i);
        put(fd, "typed\r\n\003");
        got("typed\r\n\003");
        ck_assert_uint_eq(chardev_write(chardev, "shown\n", 6), 6);
        peer_gets(fd, "shown\n");
        close(fd);
        SPIN(front.closed == i);
        settle();
        ck_assert_uint_eq(front.opened, i);
        ck_assert(!g_main_context_pending(NULL));
    }
    /* What somebody writes and leaves behind arrives. */
    fd = open(name, O_RDWR | O_NOCTTY);
    put(fd, "left behind");
    close(fd);
    got("left behind");
    SPIN(front.closed == 4);
}
END_TEST

START_TEST (file) {
    g_autofree char *path = at("log"), *deep = at("no/log"), *contents = NULL, *described = NULL;
    Chardev *chardev = add("file,id=c,path=%s", path);
    struct stat info;

    attach(chardev);
    SPIN(front.opened == 1);
    ck_assert_uint_eq(chardev_write(chardev, "one", 3), 3);
    described = chardev_describe(chardev);
    ck_assert_str_eq(described, "file");
    chardev_detach(chardev);
    chardev = add("file,id=d,path=%s,append=on", path);
    ck_assert_uint_eq(chardev_write(chardev, "two", 3), 3);
    ck_assert(g_file_get_contents(path, &contents, NULL, NULL));
    ck_assert_str_eq(contents, "onetwo");
    ck_assert_int_eq(stat(path, &info), 0);
    ck_assert_uint_eq(info.st_mode & 07777, 0600);
    g_free(contents);
    add("file,id=e,path=%s", path);
    ck_assert(g_file_get_contents(path, &contents, NULL, NULL));
    ck_assert_str_eq(contents, "");
    refused("No such file", "file,id=f,path=%s", deep);
    refused("'path' is missing", "file,id=f");
    chardev = add("file,id=full,path=/dev/full");
    ck_assert_uint_eq(chardev_write(chardev, "x", 1), 1);
}
END_TEST

START_TEST (front_ends) {
    Chardev *chardev = add("null,id=c");
    g_autoptr(GError) error = NULL;

    ck_assert(!chardev_is_attached(chardev));
    attach(chardev);
    ck_assert(chardev_is_attached(chardev));
    ck_assert(!chardev_attach(chardev, "another", &front_funcs, &front, &error));
    ck_assert_str_eq(error->message, "chardev 'c' is already in use by the test");
    ck_assert_uint_eq(front.opened, 0);
    SPIN(front.opened == 1);
    ck_assert(chardev_front_is_open(chardev));
    chardev_set_front_open(chardev, FALSE);
    ck_assert(!chardev_front_is_open(chardev));
    chardev_detach(chardev);
    ck_assert(!chardev_is_attached(chardev));
    /* Detached before the news of its being open. */
    attach(chardev);
    chardev_detach(chardev);
    settle();
    ck_assert_uint_eq(front.opened, 1);
}
END_TEST

START_TEST (bad_options) {
    g_autoptr(GError) error = NULL;
    g_autoptr(OptSet) nothing = optset_parse("-chardev", "id=a", "backend", NULL);

    add("null,id=c");
    refused("there is a chardev 'c' already", "null,id=c");
    refused("'id' is missing", "null");
    refused("'tcp' is not a character device", "tcp,id=d");
    refused("unknown property 'path'", "pty,id=d,path=x");
    refused("unknown property 'colour'", "null,id=d,colour=red");
    refused("unknown property 'telnet'", "socket,id=d,path=x,telnet=on");
    refused("network sockets (host, port) are not supported", "socket,id=d,host=localhost,port=1,server=on");
    refused("needs either 'path' or 'fd'", "socket,id=d");
    refused("needs either 'path' or 'fd'", "socket,id=d,path=x,fd=3");
    refused("'wait' needs server=on", "socket,id=d,path=x,wait=off");
    refused("'reconnect' needs a path to connect to", "socket,id=d,path=x,server=on,reconnect=1");
    refused("'server' must be on or off", "socket,id=d,path=x,server=maybe");
    refused("'fd' must be a number", "socket,id=d,fd=-1");
    ck_assert_ptr_null(chardev_set_add(set, nothing, &error));
    ck_assert_str_eq(error->message, "-chardev: 'backend' is missing");
}
END_TEST

START_TEST (shorthand) {
    g_autofree char *path = at("s,s.sock"), *log = at("l,og"), *unix_text = NULL, *file_text = NULL;
    g_autoptr(GError) error = NULL;
    static const char *const bad[] = {"tcp::4444", "mon:stdio", "vc", "", "chardev:nobody", "unix:", "udp:x"};
    Chardev *chardev;

    ck_assert_ptr_null(chardev_set_add_shorthand(set, "serial0", "none", &error));
    ck_assert_ptr_null(error);
    unix_text = g_strdup_printf("unix:%s/s,,s.sock,server,nowait", folder);
    chardev = chardev_set_add_shorthand(set, "serial0", unix_text, &error);
    ck_assert_ptr_nonnull(chardev);
    ck_assert_str_eq(chardev_id(chardev), "serial0");
    ck_assert(g_file_test(path, G_FILE_TEST_EXISTS));
    ck_assert_ptr_eq(chardev_set_add_shorthand(set, "serial1", "chardev:serial0", &error), chardev);
    file_text = g_strconcat("file:", log, NULL);
    ck_assert_ptr_nonnull(chardev_set_add_shorthand(set, "serial1", file_text, &error));
    ck_assert(g_file_test(log, G_FILE_TEST_EXISTS));
    ck_assert_ptr_nonnull(chardev_set_add_shorthand(set, "serial2", "null", &error));
    for (guint i = 0; i < G_N_ELEMENTS(bad); i++) {
        ck_assert_msg(chardev_set_add_shorthand(set, "serial3", bad[i], &error) == NULL, "%s", bad[i]);
        ck_assert_msg(error != NULL, "%s", bad[i]);
        g_clear_error(&error);
    }
}
END_TEST

START_TEST (standard_streams) {
    int in[2], out[2], saved_in = dup(0), saved_out = dup(1);
    Chardev *chardev;

    ck_assert_int_eq(pipe(in), 0);
    ck_assert_int_eq(pipe(out), 0);
    fflush(stdout);
    dup2(in[0], 0);
    dup2(out[1], 1);
    chardev = add("stdio,id=c");
    refused("in use already", "stdio,id=d");
    /* The shell's own descriptors stay as they are. */
    ck_assert_int_eq(fcntl(0, F_GETFL) & O_NONBLOCK, 0);
    ck_assert_int_eq(fcntl(1, F_GETFL) & O_NONBLOCK, 0);
    front.room = 0;
    attach(chardev);
    put(in[1], "typed before anybody listens");
    close(in[1]);
    settle();
    ck_assert(!g_main_context_pending(NULL));
    front.room = 100;
    chardev_accept_input(chardev);
    got("typed before anybody listens");
    settle();
    /* The end of input is not the end of output. */
    ck_assert(chardev_is_open(chardev));
    ck_assert_uint_eq(chardev_write(chardev, "shown", 5), 5);
    peer_gets(out[0], "shown");
    chardev_set_free(set);
    set = chardev_set_new();
    dup2(saved_in, 0);
    dup2(saved_out, 1);
    close(saved_in);
    close(saved_out);
    close(in[0]);
    close(out[0]);
    close(out[1]);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("chardev");
    TCase *tcase = tcase_create("chardev");

    tcase_set_timeout(tcase, 30);
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, server);
    tcase_add_test(tcase, unlinked_at_the_end);
    tcase_add_test(tcase, left_over_and_in_use);
    tcase_add_test(tcase, input_waits_for_room);
    tcase_add_test(tcase, output_is_bounded);
    tcase_add_test(tcase, peers_vanish_at_any_time);
    tcase_add_test(tcase, client_side);
    tcase_add_test(tcase, client_comes_back);
    tcase_add_test(tcase, inherited);
    tcase_add_test(tcase, wait_for_the_first);
    tcase_add_test(tcase, many);
    tcase_add_test(tcase, pty);
    tcase_add_test(tcase, file);
    tcase_add_test(tcase, front_ends);
    tcase_add_test(tcase, bad_options);
    tcase_add_test(tcase, shorthand);
    tcase_add_test(tcase, standard_streams);
    suite_add_tcase(suite, tcase);
    return check_run(suite);
}

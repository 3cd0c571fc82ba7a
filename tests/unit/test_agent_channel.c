// SPDX-License-Identifier: GPL-2.0-or-later
/* guest-agent/channel over socket pairs and a FIFO */
#include "guest-agent/channel.h"
#include "tests/check-run.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

typedef struct Owner {
    Channel *channel;
    GString *got;
    gsize appetite; /* bytes that input takes before it says "not now" */
    gsize bite;     /* bytes that it takes at a time */
    int inputs, eofs, drains, failures, errnum;
    gboolean free_at_input;
} Owner;

static gsize on_input(const char *data, gsize length, gpointer user_data)
{
    Owner *owner = user_data;
    gsize taken = MIN(MIN(length, owner->bite), owner->appetite);
    owner->inputs++;
    owner->appetite -= taken;
    g_string_append_len(owner->got, data, (gssize)taken);
    if (owner->free_at_input)
        g_clear_pointer(&owner->channel, channel_free);
    return taken;
}

static void on_eof(gpointer user_data)
{
    ((Owner *)user_data)->eofs++;
}

static void on_drained(gpointer user_data)
{
    ((Owner *)user_data)->drains++;
}

static void on_failed(int errnum, gpointer user_data)
{
    Owner *owner = user_data;
    owner->failures++;
    owner->errnum = errnum;
}

static const ChannelFuncs FUNCS = {on_input, on_eof, on_drained, on_failed};

static Owner owner;
static int far; /* the other end */

static void setup(void)
{
    int ends[2];
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    far = ends[1];
    owner = (Owner){.got = g_string_new(NULL), .appetite = G_MAXSIZE, .bite = G_MAXSIZE};
    owner.channel = channel_new(ends[0], CHANNEL_STREAM, &FUNCS, &owner);
    ck_assert_ptr_nonnull(owner.channel);
}

static void teardown(void)
{
    channel_free(owner.channel);
    g_string_free(owner.got, TRUE);
    if (far >= 0)
        close(far);
}

/* Runs the loop until there is nothing to do. Returns the turns it took. */
static int settle(void)
{
    int turns = 0;
    while (g_main_context_iteration(NULL, FALSE)) {
        turns++;
        ck_assert_msg(turns < 100000, "the loop does not come to rest");
    }
    return turns;
}

static void say(const char *text)
{
    ck_assert_int_eq(write(far, text, strlen(text)), (gssize)strlen(text));
}

START_TEST (hands_on_what_comes_and_rests) {
    say("one");
    settle();
    say("two");
    settle();
    ck_assert_str_eq(owner.got->str, "onetwo");
    ck_assert_int_eq(settle(), 0);
}
END_TEST

START_TEST (an_end_that_comes_with_data_is_seen) {
    settle();
    say("last words");
    shutdown(far, SHUT_WR);
    settle();
    ck_assert_str_eq(owner.got->str, "last words");
    ck_assert_int_eq(owner.eofs, 1);
    ck_assert_int_eq(settle(), 0); /* and told once, without spinning */
    ck_assert_int_eq(owner.eofs, 1);
}
END_TEST

START_TEST (still_writes_after_the_peers_end) {
    shutdown(far, SHUT_WR);
    settle();
    channel_write(owner.channel, "reply\n", 6);
    char buffer[16];
    ck_assert_int_eq(read(far, buffer, sizeof buffer), 6);
}
END_TEST

START_TEST (what_is_not_taken_waits_for_resume) {
    owner.appetite = 3;
    say("abcdef");
    settle();
    ck_assert_str_eq(owner.got->str, "abc");
    say("ghi");
    ck_assert_int_le(settle(), 2); /* the edge, and rest: no spinning on unread bytes */
    ck_assert_str_eq(owner.got->str, "abc");
    owner.appetite = G_MAXSIZE;
    channel_resume(owner.channel);
    settle();
    ck_assert_str_eq(owner.got->str, "abcdefghi");
}
END_TEST

START_TEST (small_bites_lose_nothing) {
    owner.bite = 7;
    for (int i = 0; i < 1000; i++) {
        say("0123456789");
        if (i % 100 == 99)
            settle();
    }
    ck_assert_uint_eq(owner.got->len, 10000);
    for (gsize i = 0; i < owner.got->len; i++)
        ck_assert_int_eq(owner.got->str[i], '0' + (char)(i % 10));
}
END_TEST

START_TEST (a_peer_that_does_not_read_costs_no_turns) {
    g_autofree char *big = g_malloc0(10 << 20);
    settle();
    channel_write(owner.channel, big, 10 << 20);
    settle();
    gsize queued = channel_queued(owner.channel);
    ck_assert_uint_gt(queued, CHANNEL_OUTPUT_HIGH);
    ck_assert_int_eq(settle(), 0);
    /* its requests are not served meanwhile */
    say("request");
    ck_assert_int_le(settle(), 2);
    ck_assert_uint_eq(owner.got->len, 0);
    ck_assert_int_eq(owner.drains, 0);
    gsize left = 10 << 20;
    while (left) {
        static char buffer[1 << 16];
        settle();
        gssize n = read(far, buffer, sizeof buffer);
        ck_assert_int_gt(n, 0);
        left -= (gsize)n;
        if (channel_queued(owner.channel) > CHANNEL_OUTPUT_HIGH)
            ck_assert_uint_eq(owner.got->len, 0);
    }
    settle();
    ck_assert_str_eq(owner.got->str, "request");
    ck_assert_int_eq(owner.drains, 1);
    ck_assert_uint_eq(channel_queued(owner.channel), 0);
}
END_TEST

START_TEST (a_peer_that_goes_is_told_once) {
    shutdown(far, SHUT_WR);
    settle();
    ck_assert_int_eq(owner.eofs, 1);
    ck_assert_int_eq(owner.failures, 0); /* it may still read */
    close(far);
    far = -1;
    channel_write(owner.channel, "x", 1);
    ck_assert_int_eq(owner.failures, 0); /* from the loop only */
    settle();
    ck_assert_int_eq(owner.eofs, 1);
    ck_assert_int_eq(owner.failures, 1);
    ck_assert_int_eq(owner.errnum, EPIPE);
    channel_write(owner.channel, "x", 1);
    ck_assert_int_eq(settle(), 0);
    ck_assert_int_eq(owner.failures, 1);
}
END_TEST

START_TEST (nobody_is_waited_for_who_has_gone) {
    say("last words");
    close(far);
    far = -1;
    settle();
    ck_assert_str_eq(owner.got->str, "last words");
    ck_assert_int_eq(owner.eofs, 1);
    ck_assert_int_eq(owner.failures, 1);
}
END_TEST

START_TEST (may_be_freed_by_its_own_function) {
    owner.free_at_input = TRUE;
    say("abc");
    settle();
    ck_assert_ptr_null(owner.channel);
    char byte;
    ck_assert_int_eq(read(far, &byte, 1), 0); /* the descriptor is closed at once */
}
END_TEST

START_TEST (discards_on_demand) {
    g_autofree char *big = g_malloc0(5 << 20);
    owner.appetite = 1;
    say("abc");
    settle();
    channel_write(owner.channel, big, 5 << 20);
    channel_discard(owner.channel);
    ck_assert_uint_eq(channel_queued(owner.channel), 0);
    owner.appetite = G_MAXSIZE;
    say("def");
    settle();
    ck_assert_str_eq(owner.got->str, "adef");
}
END_TEST

/* A port whose host side is closed and opened again, as a FIFO does it. */
START_TEST (a_ports_end_is_not_the_end) {
    g_autofree char *folder = g_dir_make_tmp("channel-XXXXXX", NULL);
    g_autofree char *path = g_build_filename(folder, "fifo", NULL);
    ck_assert_int_eq(mkfifo(path, 0600), 0);
    Owner port = {.got = g_string_new(NULL), .appetite = G_MAXSIZE, .bite = G_MAXSIZE};
    port.channel = channel_new(open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC), CHANNEL_PORT, &FUNCS, &port);
    for (int i = 1; i <= 3; i++) {
        int host = open(path, O_WRONLY | O_CLOEXEC);
        ck_assert_int_eq(write(host, "hi", 2), 2);
        settle();
        int eofs = port.eofs;
        ck_assert_uint_eq(port.got->len, 2 * i);
        close(host);
        settle();
        ck_assert_int_eq(port.eofs, eofs + 1);
        ck_assert_int_eq(settle(), 0); /* hung up for as long as nobody opens it, and no turn is made */
    }
    ck_assert_int_eq(port.failures, 0);
    channel_free(port.channel);
    g_string_free(port.got, TRUE);
    unlink(path);
    rmdir(folder);
}
END_TEST

static gboolean over(gpointer user_data)
{
    *(gboolean *)user_data = TRUE;
    return G_SOURCE_REMOVE;
}

static void run_for(guint ms)
{
    gboolean late = FALSE;
    g_timeout_add(ms, over, &late);
    while (!late)
        g_main_context_iteration(NULL, TRUE);
}

/* Data that comes with a hang-up may be of a host that is just opening the port: what it says counts, and the
 * end is told when it has not come after all. */
START_TEST (data_with_a_hangup_leaves_the_end_in_doubt) {
    g_autofree char *folder = g_dir_make_tmp("channel-XXXXXX", NULL);
    g_autofree char *path = g_build_filename(folder, "fifo", NULL);
    ck_assert_int_eq(mkfifo(path, 0600), 0);
    Owner port = {.got = g_string_new(NULL), .appetite = G_MAXSIZE, .bite = G_MAXSIZE};
    port.channel = channel_new(open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC), CHANNEL_PORT, &FUNCS, &port);
    settle();
    int eofs = port.eofs;
    int host = open(path, O_WRONLY | O_CLOEXEC);
    ck_assert_int_eq(write(host, "hi", 2), 2);
    close(host);
    settle();
    ck_assert_str_eq(port.got->str, "hi");
    ck_assert_int_eq(port.eofs, eofs);
    run_for(400);
    ck_assert_int_eq(port.eofs, eofs + 1);
    ck_assert_int_eq(settle(), 0);
    /* and when it has opened it: no end */
    host = open(path, O_WRONLY | O_CLOEXEC);
    ck_assert_int_eq(write(host, "a", 1), 1);
    close(host);
    settle();
    host = open(path, O_WRONLY | O_CLOEXEC);
    ck_assert_int_eq(write(host, "b", 1), 1);
    settle();
    run_for(400);
    ck_assert_str_eq(port.got->str, "hiab");
    ck_assert_int_eq(port.eofs, eofs + 1);
    close(host);
    channel_free(port.channel);
    g_string_free(port.got, TRUE);
    unlink(path);
    rmdir(folder);
}
END_TEST

START_TEST (a_plain_file_is_refused) {
    int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    ck_assert_ptr_null(channel_new(fd, CHANNEL_PORT, &FUNCS, &owner));
    ck_assert_int_eq(errno, EPERM);
    ck_assert_int_eq(fcntl(fd, F_GETFD), -1);
}
END_TEST

int main(void)
{
    signal(SIGPIPE, SIG_IGN);
    Suite *suite = suite_create("agent channel");
    TCase *tcase = tcase_create("channel");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, hands_on_what_comes_and_rests);
    tcase_add_test(tcase, an_end_that_comes_with_data_is_seen);
    tcase_add_test(tcase, still_writes_after_the_peers_end);
    tcase_add_test(tcase, what_is_not_taken_waits_for_resume);
    tcase_add_test(tcase, small_bites_lose_nothing);
    tcase_add_test(tcase, a_peer_that_does_not_read_costs_no_turns);
    tcase_add_test(tcase, a_peer_that_goes_is_told_once);
    tcase_add_test(tcase, nobody_is_waited_for_who_has_gone);
    tcase_add_test(tcase, may_be_freed_by_its_own_function);
    tcase_add_test(tcase, discards_on_demand);
    tcase_add_test(tcase, a_ports_end_is_not_the_end);
    tcase_add_test(tcase, data_with_a_hangup_leaves_the_end_in_doubt);
    tcase_add_test(tcase, a_plain_file_is_refused);
    suite_add_tcase(suite, tcase);
    return check_run(suite);
}

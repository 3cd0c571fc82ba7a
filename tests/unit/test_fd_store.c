// SPDX-License-Identifier: GPL-2.0-or-later
/* Descriptors that were given to us: which one a name means, and when it is closed. */
#include <check.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <string.h>
#include <unistd.h>

#include "host-vmm/block/block.h"
#include "host-vmm/fd-store.h"
#include "tests/check-run.h"

static FdStore *store;
static char *path;

static void setup(void)
{
    store = fd_store_new();
    close(g_file_open_tmp("fd-store-XXXXXX", &path, NULL));
}

static void teardown(void)
{
    fd_store_free(store);
    g_unlink(path);
    g_free(path);
}

static int add(gint64 set, int flags)
{
    int fd = open(path, flags | O_CLOEXEC);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(fd_store_add(store, set, NULL, fd, NULL), set);
    return fd;
}

static gboolean is_open(int fd)
{
    return fcntl(fd, F_GETFD) >= 0;
}

START_TEST (the_one_that_fits_best_is_used) {
    g_autoptr(GError) error = NULL;
    add(3, O_PATH);
    add(3, O_WRONLY);
    int both = add(3, O_RDWR), read_only = add(3, O_RDONLY);
    FdSetFile *first = fd_store_use(store, "/dev/fdset/3", FALSE, NULL);
    FdSetFile *second = fd_store_use(store, "/dev/fdset/3", FALSE, NULL);
    ck_assert_int_eq(fd_set_file_fd(first), read_only);
    ck_assert_int_eq(fd_set_file_fd(second), both);
    ck_assert(!fd_set_file_is_writable(first) && fd_set_file_is_writable(second));
    ck_assert_ptr_null(fd_store_use(store, "/dev/fdset/3", TRUE, &error));
    ck_assert(g_error_matches(error, G_IO_ERROR, G_IO_ERROR_BUSY));
    fd_set_file_give_back(second);
    second = fd_store_use(store, "/dev/fdset/3", TRUE, NULL);
    ck_assert_int_eq(fd_set_file_fd(second), both);
    fd_set_file_give_back(first);
    fd_set_file_give_back(second);
}
END_TEST

START_TEST (what_cannot_do_it_is_not_used) {
    g_autoptr(GError) error = NULL;
    add(0, O_RDONLY);
    add(0, O_PATH);
    add(0, O_WRONLY);
    ck_assert_ptr_null(fd_store_use(store, "/dev/fdset/0", TRUE, &error));
    ck_assert(g_error_matches(error, G_IO_ERROR, G_IO_ERROR_PERMISSION_DENIED));
    g_clear_error(&error);
    static const char *const names[] = {"/dev/fdset/1", "/dev/fdset/", "/dev/fdset/0x0", "/dev/fdset/ 0"};
    for (guint i = 0; i < G_N_ELEMENTS(names); i++) {
        ck_assert_ptr_null(fd_store_use(store, names[i], FALSE, &error));
        ck_assert(g_error_matches(error, G_IO_ERROR, G_IO_ERROR_NOT_FOUND));
        g_clear_error(&error);
    }
    ck_assert_ptr_null(fd_store_use(NULL, "/dev/fdset/0", FALSE, &error));
}
END_TEST

START_TEST (what_is_in_use_is_closed_later) {
    int fd = add(0, O_RDONLY), other = add(0, O_RDONLY);
    FdSetFile *file = fd_store_use(store, "/dev/fdset/0", FALSE, NULL);
    ck_assert_int_eq(fd_set_file_fd(file), fd);
    ck_assert(fd_store_remove(store, 0, -1, NULL));
    ck_assert(is_open(fd) && !is_open(other));
    ck_assert_ptr_null(fd_store_use(store, "/dev/fdset/0", FALSE, NULL));
    fd_store_clients_gone(store);
    ck_assert(is_open(fd));
    fd_set_file_give_back(file);
    ck_assert(!is_open(fd));
    ck_assert(!fd_store_remove(store, 0, -1, NULL));
}
END_TEST

START_TEST (a_name_is_used_once) {
    gboolean owned;
    int fd = open(path, O_RDONLY | O_CLOEXEC), digit = dup(fd);
    ck_assert(fd_store_add_named(store, "tap", fd, NULL));
    ck_assert(!fd_store_add_named(store, "0tap", digit, NULL));
    ck_assert(!is_open(digit));
    ck_assert(!fd_store_add_named(store, "", dup(fd), NULL));
    ck_assert_int_eq(fd_store_take(store, "17", "-netdev", &owned, NULL), 17);
    ck_assert(!owned);
    ck_assert_int_eq(fd_store_take(store, "tap", "-netdev", &owned, NULL), fd);
    ck_assert(owned && is_open(fd));
    ck_assert_int_eq(fd_store_take(store, "tap", "-netdev", &owned, NULL), -1);
    ck_assert_int_eq(fd_store_take(store, "17x", "-netdev", &owned, NULL), -1);
    ck_assert_int_eq(fd_store_take(NULL, "tap", "-netdev", &owned, NULL), -1);
    ck_assert(!fd_store_close_named(store, "tap", NULL));
    close(fd);
}
END_TEST

START_TEST (a_set_is_no_backing_file) {
    g_autoptr(GError) error = NULL;
    g_autoptr(BlockSet) blocks = block_set_new(NULL);
    block_set_set_fds(blocks, store);
    add(0, O_RDWR);
    add(1, O_RDONLY);
    g_autoptr(OptSet) options =
        optset_parse("-blockdev", "file,node-name=n,filename=/dev/fdset/0", "driver", NULL);
    BlockNode *node = block_set_add(blocks, options, &error);
    ck_assert_msg(node, "%s", error ? error->message : "");
    static const char *const names[] = {"/dev/fdset/1", "1", "file:/dev/fdset/1"};
    for (guint i = 0; i < G_N_ELEMENTS(names); i++) {
        ck_assert_ptr_null(block_open_backing(node, names[i], "raw", &error));
        ck_assert_ptr_nonnull(strstr(error->message, "cannot name a set"));
        g_clear_error(&error);
    }
    ck_assert_str_eq(block_protocol_for(blocks, "/dev/fdset/1"), "file");
    ck_assert_str_eq(block_probe_format(blocks, "/dev/fdset/1", NULL), "raw");
    ck_assert_ptr_null(block_probe_format(blocks, "/dev/fdset/0", &error)); /* in use */
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("fd-store");
    TCase *tcase = tcase_create("fd-store");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, the_one_that_fits_best_is_used);
    tcase_add_test(tcase, what_cannot_do_it_is_not_used);
    tcase_add_test(tcase, what_is_in_use_is_closed_later);
    tcase_add_test(tcase, a_name_is_used_once);
    tcase_add_test(tcase, a_set_is_no_backing_file);
    suite_add_tcase(suite, tcase);
    return check_run(suite);
}
